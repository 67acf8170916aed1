"""Intercom: conversation objects of its API, wherever they stand in a JSON document."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from evidence.transcripts.importers._files import media_type_of
from evidence.transcripts.importers._html import plain
from evidence.transcripts.importers._items import NotAnItem, identity, itemised, mapping, objects, string
from evidence.transcripts.normal import Attachment, MessageKind, SenderRole
from evidence.transcripts.pieces import Draft, Piece, Stated, aware
from evidence.transcripts.source import Source

NAME = "intercom"
TITLE = "Intercom, conversations of its API"

_STAFF = frozenset({"admin", "bot", "team"})


def likeness(source: Source) -> int:
    """See `evidence.transcripts.pieces`."""
    return 95 if any(True for _ in _conversations(source.json)) else 0


def pieces(source: Source, stated: Stated) -> Iterator[Piece]:
    """See `evidence.transcripts.pieces`. A conversation's source comes first, then its parts."""
    start = 0
    for conversation in _conversations(source.json):
        items, doubts = _items(conversation)
        yield from itemised(items, _draft, start=start, doubts=doubts)
        start += len(items)


def _items(conversation: Mapping[str, Any]) -> tuple[list[Any], tuple[str, ...]]:
    """The source and the parts, and the doubts about the conversation as a whole."""
    origin, parts = conversation.get("source"), conversation.get("conversation_parts")
    listed = parts.get("conversation_parts") if isinstance(parts, Mapping) else parts
    items = list(listed) if isinstance(listed, list) else []
    total = mapping(parts).get("total_count")
    # The API answers the latest 500 parts and no more.
    doubts: tuple[str, ...] = ("messages_missing",) if type(total) is int and total > len(items) else ()
    if string(mapping(conversation.get("conversation_rating")).get("remark")):
        doubts += ("field_not_read",)
    if isinstance(origin, Mapping):
        items.insert(0, {**origin, "created_at": conversation.get("created_at")})
    elif origin is not None:
        items.insert(0, origin)
    return items, doubts


def _conversations(value: Any) -> Iterator[Mapping[str, Any]]:
    """Every conversation of a document, in its order."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Mapping):
            if one.get("type") == "conversation" and any(
                isinstance(one.get(name), Mapping) for name in ("source", "conversation_parts")
            ):
                yield one
            else:
                waiting += reversed(list(one.values()))
        elif isinstance(one, list):
            waiting += reversed(one)


def _draft(item: Mapping[str, Any]) -> Draft:
    author = mapping(item.get("author"))
    if not author and item.get("body") is None:
        raise NotAnItem
    sent_at, doubts = _time(item.get("created_at"))
    text, images = plain(string(item.get("body")) or "")
    hung, shown = _hung(item), _shown(images)
    attachments = (*hung, *shown)
    sender_id = identity(author.get("id"))
    name = string(author.get("name")) or string(author.get("email")) or sender_id
    kind = MessageKind.text
    if item.get("redacted") is True:
        kind = MessageKind.recall
    elif attachments and not text:
        pictures = all((one.media_type or "").startswith("image/") for one in hung)
        kind = MessageKind.image if pictures else MessageKind.file
    elif not text:
        # Assigned, closed, snoozed: something happened and nobody said anything.
        happened = string(item.get("part_type")) or string(item.get("delivered_as"))
        kind, name, text = MessageKind.system, None, happened or ""
    if name is None and kind is not MessageKind.system:
        raise NotAnItem
    subject, _ = plain(string(item.get("subject")) or "")
    return Draft(
        sender=name,
        text=text,
        sent_at=sent_at,
        kind=kind,
        sender_id=sender_id,
        role=SenderRole.staff if string(author.get("type")) in _STAFF else None,
        attachments=attachments,
        doubts=(
            *doubts,
            *(("attachment_missing",) if attachments else ()),
            *(("field_not_read",) if subject.strip() else ()),
        ),
    )


def _hung(item: Mapping[str, Any]) -> tuple[Attachment, ...]:
    return tuple(
        Attachment(string(one.get("name")) or "file", string(one.get("content_type")))
        for one in objects(item.get("attachments"))
    )


def _shown(images: Iterable[str]) -> tuple[Attachment, ...]:
    """The images that a body shows, by the last part of their address."""
    names = (address.partition("?")[0].rstrip("/").rpartition("/")[2] or "image" for address in images)
    return tuple(Attachment(name, media_type_of(name)) for name in names)


def _time(value: object) -> tuple[datetime | None, tuple[str, ...]]:
    try:
        if type(value) is not int:
            raise ValueError("no time")
        return aware(value), ()
    except ValueError:
        return None, ("unreadable_time",)
