"""Instagram and Messenger: the JSON of a conversation in Meta's export, newest message first."""

from collections.abc import Iterator, Mapping
from typing import Any

from evidence.transcripts.importers._items import NotAnItem, field_doubt, itemised, mapping, objects, string
from evidence.transcripts.normal import Attachment, MessageKind
from evidence.transcripts.pieces import Draft, Piece, Stated, aware
from evidence.transcripts.source import Source

NAME = "instagram"
TITLE = "Instagram or Messenger, exported as JSON"

_FILES = ("photos", "videos", "audio_files", "files", "gifs")
_READ = frozenset({"sender_name", "timestamp_ms", "content", "is_unsent", "type", "is_geoblocked_for_viewer", *_FILES})


def likeness(source: Source) -> int:
    """See `evidence.transcripts.pieces`."""
    items = _items(source)[:50]
    looks = sum(1 for item in items if isinstance(item, dict) and "sender_name" in item and "timestamp_ms" in item)
    return round(95 * looks / len(items)) if items else 0


def pieces(source: Source, stated: Stated) -> Iterator[Piece]:
    """See `evidence.transcripts.pieces`. Read from the end, where the first message is."""
    return itemised(reversed(_items(source)), _draft)


def _items(source: Source) -> list[Any]:
    found = mapping(source.json).get("messages")
    return found if isinstance(found, list) else []


def _draft(item: Mapping[str, Any]) -> Draft:
    sender, milliseconds = string(item.get("sender_name")), item.get("timestamp_ms")
    if sender is None or type(milliseconds) is not int:
        raise NotAnItem
    try:
        sent_at, doubts = aware(milliseconds // 1000).replace(microsecond=milliseconds % 1000 * 1000), ()
    except ValueError as error:
        raise NotAnItem from error
    attachments = tuple(
        Attachment(uri.rpartition("/")[2][:200])
        for name in _FILES
        for one in objects(item.get(name))
        if (uri := string(one.get("uri")))
    )
    kind = MessageKind.text
    if attachments:
        kind = MessageKind.image if item.get("photos") or item.get("gifs") else MessageKind.file
    if item.get("is_unsent") is True:
        kind = MessageKind.recall
    missing = ("attachment_missing",) if attachments else ()
    return Draft(
        sender=_repaired(sender),
        text=_repaired(string(item.get("content")) or ""),
        sent_at=sent_at,
        kind=kind,
        attachments=attachments,
        doubts=(*doubts, *missing, *field_doubt(item, _READ)),
    )


def _repaired(text: str) -> str:
    """Meta writes the bytes of UTF-8 as if each were a character; where all of them are that, they are put together."""
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text
