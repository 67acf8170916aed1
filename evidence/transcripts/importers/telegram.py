"""Telegram: JSON of one chat, or of a whole account with its chats."""

import mimetypes
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from evidence.transcripts.importers._items import NotAnItem, itemised, mapping, objects, string
from evidence.transcripts.normal import Attachment, MessageKind
from evidence.transcripts.pieces import Draft, Piece, Stated, aware
from evidence.transcripts.source import Source

NAME = "telegram"
TITLE = "Telegram, exported as JSON"

_READ = frozenset(
    {"id", "type", "date", "date_unixtime", "edited", "edited_unixtime", "from", "from_id", "actor", "actor_id"}
    | {"action", "text", "text_entities", "photo", "file", "file_name", "mime_type", "media_type", "thumbnail"}
    | {"width", "height", "duration_seconds", "file_size", "photo_file_size", "thumbnail_file_size", "sticker_emoji"}
    | {"members", "title", "reply_to_message_id"}
)


def likeness(source: Source) -> int:
    """See `evidence.transcripts.pieces`."""
    items = [item for chat in _chats(source) for item in objects(chat.get("messages"))][:50]
    if not items:
        return 0
    return round(95 * sum(1 for item in items if _looks(item)) / len(items))


def _looks(item: Mapping[str, Any]) -> bool:
    return item.get("type") in ("message", "service") and ("date" in item or "date_unixtime" in item)


def pieces(source: Source, stated: Stated) -> Iterator[Piece]:
    """See `evidence.transcripts.pieces`."""
    start = 0
    for chat in _chats(source):
        items = chat["messages"]
        first = [start > 0]

        def read(item: Mapping[str, Any], first: list[bool] = first) -> Draft:
            draft = _draft(item, stated, another=first[0])
            first[0] = False
            return draft

        yield from itemised(items, read, start=start)
        start += len(items)


def _chats(source: Source) -> list[Mapping[str, Any]]:
    value = mapping(source.json)
    listed = objects(mapping(value.get("chats")).get("list")) + objects(mapping(value.get("left_chats")).get("list"))
    return [chat for chat in [value, *listed] if isinstance(chat.get("messages"), list)]


def _draft(item: Mapping[str, Any], stated: Stated, *, another: bool) -> Draft:
    if not _looks(item):
        raise NotAnItem
    sent_at, doubts = _time(item, stated)
    doubts += ("another_conversation",) if another else ()
    doubts += ("edited",) if item.get("edited") or item.get("edited_unixtime") else ()
    doubts += ("field_not_read",) if item.keys() - _READ else ()
    if item["type"] == "service":
        words = [string(item.get("actor")), string(item.get("action")), string(item.get("title"))]
        text = " ".join(word for word in words if word)
        return Draft(sender=None, text=text, sent_at=sent_at, kind=MessageKind.system, doubts=doubts)
    attachments, missing = _attachments(item)
    picture = "photo" in item or item.get("media_type") == "sticker"
    kind = MessageKind.image if picture else MessageKind.file if attachments else MessageKind.text
    return Draft(
        # An account that was deleted has no name any more.
        sender=string(item.get("from")) or string(item.get("from_id")),
        text=_text(item.get("text")),
        sent_at=sent_at,
        kind=kind,
        sender_id=string(item.get("from_id")),
        attachments=attachments,
        doubts=(*doubts, *missing),
    )


def _text(value: object) -> str:
    """A text, or the parts that it is marked up in, put together.

    Between two marked-up parts that nothing parts the export says that one ended and another began, so a space is
    put there; everything else stands as it is.
    """
    if isinstance(value, str):
        return value
    text, marked = "", False
    for part in value if isinstance(value, list) else []:
        words = part if isinstance(part, str) else string(mapping(part).get("text")) or ""
        parted = not text or text[-1].isspace() or words[:1].isspace()
        text += words if parted or not marked or isinstance(part, str) else f" {words}"
        marked = not isinstance(part, str)
    return text


def _time(item: Mapping[str, Any], stated: Stated) -> tuple[datetime | None, tuple[str, ...]]:
    try:
        if isinstance(item.get("date_unixtime"), str | int):
            return aware(int(item["date_unixtime"])), ()
        return stated.instant(datetime.fromisoformat(str(item.get("date"))).replace(tzinfo=None))
    except ValueError:
        return None, ("unreadable_time",)


def _attachments(item: Mapping[str, Any]) -> tuple[tuple[Attachment, ...], tuple[str, ...]]:
    path = string(item.get("photo")) or string(item.get("file"))
    if path is None:
        return (), ()
    name = string(item.get("file_name")) or path.rpartition("/")[2]
    media_type = string(item.get("mime_type")) or mimetypes.guess_type(name)[0]
    return (Attachment(name[:200], media_type),), ("attachment_missing",)
