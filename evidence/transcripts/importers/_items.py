"""JSON formats: lists of items, each of which is a message, is the program's own, or cannot be read."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from evidence.transcripts.normal import MessageKind
from evidence.transcripts.pieces import Draft, Piece, PieceKind


class NotAnItem(Exception):
    """The item lacks what makes a message; it is kept as it stands."""


def itemised(items: Iterable[Any], read: Callable[[Mapping[str, Any]], Draft], *, start: int = 0) -> Iterator[Piece]:
    """One piece for each item, counted from `start`. `read` raises NotAnItem for what is no message."""
    for n, item in enumerate(items, start):
        try:
            if not isinstance(item, Mapping):
                raise NotAnItem
            yield Piece(PieceKind.message, n, n + 1, draft=read(item))
        except NotAnItem:
            text = json.dumps(item, ensure_ascii=False)
            draft = Draft(sender=None, text=text, kind=MessageKind.system)
            yield Piece(PieceKind.unreadable, n, n + 1, draft=draft)


def string(value: object) -> str | None:
    """A text that says something, else None."""
    return value if isinstance(value, str) and value else None


def objects(value: object) -> list[Mapping[str, Any]]:
    """The objects of a list; none where there is no list."""
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def mapping(value: object) -> Mapping[str, Any]:
    """An object, an empty one where there is none."""
    return value if isinstance(value, Mapping) else {}


def field_doubt(item: Mapping[str, Any], read: frozenset[str]) -> tuple[str, ...]:
    """`field_not_read` where an item says more than is read of it."""
    return ("field_not_read",) if any(item[name] not in (None, [], {}, "") for name in item.keys() - read) else ()
