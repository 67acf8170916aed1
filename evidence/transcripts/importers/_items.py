"""JSON formats: lists of items, each of which is a message, is the program's own, or cannot be read."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from evidence.transcripts.normal import MessageKind
from evidence.transcripts.pieces import Draft, Piece, PieceKind

#: What JSON can spell with an escape and no text can hold: NUL and half of a surrogate pair.
_NO_TEXT = re.compile("[\x00\ud800-\udfff]")


class NotAnItem(Exception):
    """The item lacks what makes a message; it is kept as it stands."""


def itemised(
    items: Iterable[Any],
    read: Callable[[Mapping[str, Any]], Draft],
    *,
    start: int = 0,
    doubts: tuple[str, ...] = (),
) -> Iterator[Piece]:
    """One piece for each item, counted from `start`; a list that does not begin at 0 is another conversation.

    `read` raises NotAnItem for what is no message. That, and what holds characters that no text can hold, is kept as
    the item's JSON text. `doubts` about the list as a whole are told with its first item.
    """
    for n, item in enumerate(items, start):
        try:
            if not isinstance(item, Mapping):
                raise NotAnItem
            kind, draft = PieceKind.message, _storable(read(item))
        except NotAnItem:
            kind, draft = PieceKind.unreadable, Draft(sender=None, text=written(item), kind=MessageKind.system)
        if n == start:
            another = ("another_conversation",) if start else ()
            draft = draft._replace(doubts=tuple(dict.fromkeys((*another, *doubts, *draft.doubts))))
        yield Piece(kind, n, n + 1, draft=draft)


def _storable(draft: Draft) -> Draft:
    """The draft itself. Raises NotAnItem where it holds what no text can hold."""
    words = [draft.text, draft.sender, draft.sender_id]
    for one in draft.attachments:
        words += [one.name, one.media_type]
    if any(_NO_TEXT.search(word) for word in words if word):
        raise NotAnItem
    return draft


def written(value: Any) -> str:
    """The JSON text of a value; escapes are left in it only where it could not be written down without them."""
    text = json.dumps(value, ensure_ascii=False)
    return json.dumps(value) if _NO_TEXT.search(text) else text


def string(value: object) -> str | None:
    """A text that says something, else None."""
    return value if isinstance(value, str) and value else None


def identity(value: object) -> str | None:
    """An id as a text, whether it was written as one or as a number; None where it is neither."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return str(value) or None


def objects(value: object) -> list[Mapping[str, Any]]:
    """The objects of a list; none where there is no list."""
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def mapping(value: object) -> Mapping[str, Any]:
    """An object, an empty one where there is none."""
    return value if isinstance(value, Mapping) else {}


def field_doubt(item: Mapping[str, Any], read: frozenset[str]) -> tuple[str, ...]:
    """`field_not_read` where an item says more than is read of it."""
    return ("field_not_read",) if unread(item, read) else ()


def unread(item: Mapping[str, Any], read: frozenset[str]) -> dict[str, Any]:
    """What an item says beside the fields that are read; empty values say nothing."""
    return {name: value for name, value in item.items() if name not in read and value not in (None, [], {}, "", False)}
