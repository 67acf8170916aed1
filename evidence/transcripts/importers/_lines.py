"""Text formats in which a message begins with a header and goes on until the next one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from evidence.transcripts.normal import MessageKind
from evidence.transcripts.pieces import Draft, Piece, PieceKind
from evidence.transcripts.source import Line, Source


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


def share(source: Source, opens: Callable[[str], object]) -> float:
    """The share, 0 to 1, of the first lines that begin a message; blank lines do not count."""
    lines = [line for line in source.head_lines if line.strip()][:200]
    return sum(1 for line in lines if opens(line)) / len(lines) if lines else 0.0
