"""Text formats in which a message begins with a header and goes on until the next one."""

import re
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass

from evidence.transcripts.native import MAX_NAME
from evidence.transcripts.normal import MessageKind
from evidence.transcripts.pieces import Draft, Piece, PieceKind
from evidence.transcripts.source import Line, Source

Header = Callable[[str], re.Match[str] | None]

_LONGEST_PREFACE = 5
_COLON = re.compile(":")


@dataclass(frozen=True, slots=True)
class Opening:
    """A line that begins a message: its text begins at `text_at` of the line; `draft` makes the message of the text."""

    text_at: int
    draft: Callable[[str], Draft]


def assemble(source: Source, opens: Callable[[Line], Opening | None]) -> Iterator[Piece]:
    """Cut a text into pieces: header, text with the lines that go on with it, blank lines behind it.

    `opens` tells whether a line begins a message. What stands before the first message cannot be read.
    """
    open_message: _Message | None = None
    for line in source.lines():
        opening = opens(line)
        if opening is not None:
            if open_message is not None:
                yield from open_message.pieces()
            open_message = _Message(line, opening)
        elif open_message is not None:
            open_message.add(line)
        else:
            yield unreadable(line)
    if open_message is not None:
        yield from open_message.pieces()


def unreadable(line: Line) -> Piece:
    """A line that belongs to no message: kept as it stands, or blank."""
    if not line.text.strip():
        return Piece(PieceKind.blank, line.start, line.end, line.number)
    draft = Draft(sender=None, text=line.text, kind=MessageKind.system)
    return Piece(PieceKind.unreadable, line.start, line.end, line.number, draft)


class _Message:
    """A message that is being read."""

    def __init__(self, line: Line, opening: Opening) -> None:
        self._line = line
        self._opening = opening
        self._text_start = line.start + opening.text_at
        self._lines = [line.text[opening.text_at :]]
        self._end = line.end
        self._blank: list[Line] = []

    def add(self, line: Line) -> None:
        if line.text.strip():
            self._lines += [one.text for one in self._blank] + [line.text]
            self._blank = []
            self._end = line.end
        else:
            # Blank lines inside a message are part of it, those behind it only part it from the next.
            self._blank.append(line)

    def pieces(self) -> Iterator[Piece]:
        number = self._line.number
        if self._text_start > self._line.start:
            yield Piece(PieceKind.header, self._line.start, self._text_start, number)
        draft = self._opening.draft("\n".join(self._lines))
        yield Piece(PieceKind.message, self._text_start, self._end, number, draft)
        for line in self._blank:
            yield Piece(PieceKind.blank, line.start, line.end, line.number)


def resemblance(source: Source, opens: Callable[[str], object], *, least: int, most: int) -> int:
    """How surely, 0 to 100, a text is in a format whose messages begin with lines that `opens` knows.

    A single message of many lines is a chat too, so one header at the very beginning weighs much: that is worth
    `least`, and `most` where every line is a header. Behind a few lines of something else it is worth a little less.
    """
    lines = [line for line in source.head_lines if line.strip()][:200]
    headers = [n for n, line in enumerate(lines) if opens(line)]
    if not headers:
        return 1 if source.is_longer else 0
    if headers[0] == 0:
        return least + round((most - least) * len(headers) / len(lines))
    return least - 20 if headers[0] < _LONGEST_PREFACE and len(headers) > 1 else 10


def speakers(source: Source, header: Header) -> set[str]:
    """The names that stand between a header and a colon with a space, anywhere in a text."""
    found = set()
    for line in source.lines():
        if opening := header(line.text):
            name, colon, _ = line.text[opening.end() :].partition(": ")
            if colon and len(name) <= MAX_NAME:
                found.add(_visible(name))
    return found


def speaker(line: str, begins: int, known: Container[str]) -> tuple[str | None, int]:
    """Who speaks in a line with a header that ends at `begins`, and where the text begins.

    What has no name before a colon is a line of the program itself. Names that contain a colon themselves cannot be
    told from a text that does, save where it is followed by no space.
    """
    rest = line[begins:]
    name, colon, _ = rest.partition(": ")
    if colon and len(name) <= MAX_NAME and _visible(name):
        return _visible(name), begins + len(name) + 2
    # Without a space a colon may be anybody's, so only a name that speaks elsewhere is taken, the longest of them.
    for found in reversed(list(_COLON.finditer(rest, 0, MAX_NAME + 1))):
        if (name := _visible(rest[: found.start()])) in known:
            return name, begins + found.end()
    return None, begins


def _visible(name: str) -> str:
    """A name without the marks of direction that some programs put around it, which nobody sees or could state."""
    return name.strip("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2068\u2069 ")
