"""The native form, one message a line."""

import json
from collections.abc import Iterator
from typing import Any

from evidence.transcripts.importers._items import NotAnItem
from evidence.transcripts.importers._lines import unreadable
from evidence.transcripts.importers.native_json import draft_of, is_native
from evidence.transcripts.pieces import Piece, PieceKind, Stated
from evidence.transcripts.source import HEAD_CHARACTERS, Line, Source

NAME = "jsonl"
TITLE = "JSON messages as the API takes them, one a line"


def likeness(source: Source) -> int:
    """See `evidence.transcripts.pieces`."""
    lines = source.head_lines
    if len(source.head) == HEAD_CHARACTERS and len(lines) > 1:
        # The last of them may have been cut off.
        del lines[-1]
    whole = [line for line in lines if line.strip()][:50]
    return round(94 * sum(1 for line in whole if is_native(_parsed(line))) / len(whole)) if whole else 0


def pieces(source: Source, stated: Stated) -> Iterator[Piece]:
    """See `evidence.transcripts.pieces`."""
    for line in source.lines():
        yield _piece(line, stated)


def _piece(line: Line, stated: Stated) -> Piece:
    item = _parsed(line.text)
    if not isinstance(item, dict):
        return unreadable(line)
    try:
        draft = draft_of(item, stated)
    except NotAnItem:
        return unreadable(line)
    return Piece(PieceKind.message, line.start, line.end, line.number, draft)


def _parsed(line: str) -> Any:
    # A line that is nested too deeply, or whose numbers are too long to be read, is one that cannot be read.
    try:
        return json.loads(line, object_pairs_hook=_object, parse_int=_number, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands there twice")
    return found


def _number(digits: str) -> int:
    if len(digits) > 40:
        raise ValueError("the number is too long")
    return int(digits)


def _no_constant(_: str) -> None:
    raise ValueError("NaN and infinities are not JSON")
