"""Telegram: JSON of one chat, or of a whole account with its chats."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from evidence.transcripts.importers._files import media_type_of
from evidence.transcripts.importers._items import (
    NotAnItem,
    field_doubt,
    identity,
    itemised,
    mapping,
    objects,
    string,
    unread,
    written,
)
from evidence.transcripts.normal import Attachment, MessageKind
from evidence.transcripts.pieces import Draft, Piece, Stated, aware
from evidence.transcripts.source import Source
from evidence.transcripts.times import read_time

NAME = "telegram"
TITLE = "Telegram, exported as JSON"

_READ = frozenset(
    {"id", "type", "date", "date_unixtime", "edited", "edited_unixtime", "from", "from_id", "actor", "actor_id"}
    | {"action", "text", "text_entities", "photo", "file", "file_name", "mime_type", "media_type", "thumbnail"}
    | {"width", "height", "duration_seconds", "file_size", "photo_file_size", "thumbnail_file_size"}
    | {"members", "title", "message_id", "reply_to_message_id"}
)
#: Parts that begin a word of their own wherever they stand.
_LINKS = frozenset({"link", "mention", "email", "phone", "hashtag", "cashtag", "bot_command"})


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
        yield from itemised(chat["messages"], lambda item: _draft(item, stated), start=start)
        start += len(chat["messages"])


def _chats(source: Source) -> list[Mapping[str, Any]]:
    value = mapping(source.json)
    listed = objects(mapping(value.get("chats")).get("list")) + objects(mapping(value.get("left_chats")).get("list"))
    return [chat for chat in [value, *listed] if isinstance(chat.get("messages"), list)]


def _draft(item: Mapping[str, Any], stated: Stated) -> Draft:
    if not _looks(item):
        raise NotAnItem
    sent_at, doubts = _time(item, stated)
    doubts += ("edited",) if _edited(item) else ()
    if item["type"] == "service":
        doubts += field_doubt(item, _READ)
        return Draft(sender=None, text=_action(item), sent_at=sent_at, kind=MessageKind.system, doubts=doubts)
    # An account that was deleted has no name any more.
    sender_id = identity(item.get("from_id"))
    sender = string(item.get("from")) or sender_id
    if sender is None:
        raise NotAnItem
    attachments, missing = _attachments(item)
    text, more = _text(item.get("text")), field_doubt(item, _READ)
    if not text and not attachments:
        # A place, a poll, somebody's card: what was sent stands in fields of its own.
        others = unread(item, _READ)
        text, more = (written(others), ("unknown_kind",)) if others else ("", ("no_text",))
    picture = "photo" in item or item.get("media_type") == "sticker"
    kind = MessageKind.image if picture else MessageKind.file if attachments else MessageKind.text
    return Draft(
        sender=sender,
        text=text,
        sent_at=sent_at,
        kind=kind,
        sender_id=sender_id,
        attachments=attachments,
        doubts=(*doubts, *missing, *more),
    )


def _action(item: Mapping[str, Any]) -> str:
    """What happened: who, did what, with whom, and the words that go with it."""
    listed = item.get("members")
    members = ", ".join(one for one in listed if isinstance(one, str)) if isinstance(listed, list) else ""
    words = [string(item.get("actor")), string(item.get("action")), members, string(item.get("title"))]
    return " ".join(word for word in [*words, _text(item.get("text"))] if word)


def _text(value: object) -> str:
    """A text, or the parts that it is marked up in, put together.

    A link that begins where another marked-up part ends is a word of its own: a space is put there, since without it
    the two would read as one. Everything else stands as it is.
    """
    if isinstance(value, str):
        return value
    text, marked = "", False
    for part in value if isinstance(value, list) else []:
        words = part if isinstance(part, str) else string(mapping(part).get("text")) or ""
        joins = bool(text) and not text[-1].isspace() and not words[:1].isspace()
        text += f" {words}" if joins and marked and string(mapping(part).get("type")) in _LINKS else words
        marked = not isinstance(part, str)
    return text


def _time(item: Mapping[str, Any], stated: Stated) -> tuple[datetime | None, tuple[str, ...]]:
    try:
        if isinstance(item.get("date_unixtime"), str | int):
            return aware(int(item["date_unixtime"])), ()
        return read_time(str(item.get("date")), stated.instant)
    except ValueError:
        return None, ("unreadable_time",)


def _edited(item: Mapping[str, Any]) -> bool:
    # Old versions of the program write the beginning of 1970 where nothing was edited.
    at, unix = str(item.get("edited") or ""), str(item.get("edited_unixtime") or "")
    return bool(at and not at.startswith("1970-01-0")) or bool(unix and unix != "0")


def _attachments(item: Mapping[str, Any]) -> tuple[tuple[Attachment, ...], tuple[str, ...]]:
    path = string(item.get("photo")) or string(item.get("file"))
    if path is None:
        return (), ()
    # In brackets stands why the file was left out of the export.
    left_out = path.startswith("(")
    name = string(item.get("file_name")) or (None if left_out else path.rpartition("/")[2])
    media_type = string(item.get("mime_type")) or (media_type_of(name) if name else None)
    return (Attachment(name or string(item.get("media_type")) or "file", media_type),), ("attachment_missing",)
