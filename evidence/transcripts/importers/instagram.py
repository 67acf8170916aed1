"""Instagram and Messenger: the JSON of a conversation in Meta's export, newest message first."""

from collections.abc import Iterator, Mapping
from typing import Any

from evidence.transcripts.importers._files import media_type_of
from evidence.transcripts.importers._items import NotAnItem, field_doubt, itemised, mapping, objects, string
from evidence.transcripts.normal import Attachment, MessageKind
from evidence.transcripts.pieces import Draft, Piece, Stated, aware
from evidence.transcripts.source import Source

NAME = "instagram"
TITLE = "Instagram or Messenger, exported as JSON"

_PICTURES = ("photos", "gifs", "sticker")
_FILES = (*_PICTURES, "videos", "audio_files", "files")
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
        sent_at = aware(milliseconds // 1000).replace(microsecond=milliseconds % 1000 * 1000)
    except ValueError as error:
        raise NotAnItem from error
    text, attachments = _repaired(string(item.get("content")) or ""), _attachments(item)
    doubts = (("attachment_missing",) if attachments else ()) + field_doubt(item, _READ)
    kind = MessageKind.text
    if item.get("is_unsent") is True:
        kind = MessageKind.recall
    elif attachments:
        kind = MessageKind.image if any(item.get(name) for name in _PICTURES) else MessageKind.file
    elif not text:
        doubts += ("no_text",)
    return Draft(
        sender=_repaired(sender), text=text, sent_at=sent_at, kind=kind, attachments=attachments, doubts=doubts
    )


def _attachments(item: Mapping[str, Any]) -> tuple[Attachment, ...]:
    """What was sent, under the last part of its place in the export; a sticker stands alone, the others in lists."""
    found: list[Attachment] = []
    for name in _FILES:
        value = item.get(name)
        for one in objects(value if isinstance(value, list) else [value]):
            if uri := string(one.get("uri")):
                file = _repaired(uri.rpartition("/")[2]) or name
                found.append(Attachment(file, media_type_of(file)))
    return tuple(found)


def _repaired(text: str) -> str:
    """Meta writes the bytes of UTF-8 as if each were a character; where all of them are that, they are put together."""
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text
