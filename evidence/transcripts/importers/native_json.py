"""The native form as a file: `{"messages": [...], "timezone"?}` or a bare list, messages as the API takes them."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from evidence.errors import NotAdmitted
from evidence.transcripts import native
from evidence.transcripts.importers._items import NotAnItem, field_doubt, itemised
from evidence.transcripts.pieces import Draft, Piece, Stated
from evidence.transcripts.source import Source
from evidence.transcripts.times import zone

NAME = "native"
TITLE = "JSON messages as the API takes them"

_READ = frozenset({"messages", "timezone"})


def likeness(source: Source) -> int:
    """See `evidence.transcripts.pieces`."""
    items = _items(source)
    if not items:
        return 0
    looks = sum(1 for item in items[:50] if is_native(item))
    return round(95 * looks / min(len(items), 50))


def pieces(source: Source, stated: Stated) -> Iterator[Piece]:
    """See `evidence.transcripts.pieces`. Raises NotAdmitted (timezone_does_not_fit) where the file states another."""
    value = source.json
    known = _zoned(value, stated)
    doubts = field_doubt(value, _READ) if isinstance(value, dict) else ()
    return itemised(_items(source), lambda item: draft_of(item, known), doubts=doubts)


def _zoned(value: Any, stated: Stated) -> Stated:
    """What is stated, with the zone that the file itself states where the filer states none."""
    try:
        written = zone(value.get("timezone") if isinstance(value, dict) else None)
    except NotAdmitted:
        # The file states none, or none that there is; where one is needed the filer is asked for it.
        return stated
    if stated.timezone is None:
        return replace(stated, timezone=written)
    if stated.timezone.key != written.key:
        raise NotAdmitted("timezone", "timezone_does_not_fit", "the file itself states another time zone")
    return stated


def is_native(item: object) -> bool:
    """Whether an item has the shape of a native message."""
    return isinstance(item, Mapping) and isinstance(item.get("sender"), Mapping) and "role" in item["sender"]


def draft_of(item: Mapping[str, Any], stated: Stated) -> Draft:
    """The message of an item. Raises NotAnItem for one that the native reader refuses, NotAdmitted without a zone."""
    try:
        message, doubt = native.message_of(item, stated.instant)
    except NotAdmitted as error:
        if error.field == "timezone":
            raise
        raise NotAnItem from error
    sender = message.sender
    return Draft(
        sender=sender.name or sender.id,
        text=message.text,
        sent_at=message.sent_at,
        kind=message.kind,
        sender_id=sender.id,
        role=sender.role,
        attachments=message.attachments,
        doubts=doubt,
    )


def _items(source: Source) -> list[Any]:
    value = source.json
    found = value.get("messages") if isinstance(value, dict) else value
    return found if isinstance(found, list) else []
