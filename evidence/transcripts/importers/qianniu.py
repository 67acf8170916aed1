"""Qianniu and Wangwang: a conversation as it is copied out of the window.

Each message has a header: the name on one line and the time on the next, or both joined on one, or `A --> B` before
the time. Then comes the text, often a line that says whether it was read. Somebody who took a message back leaves
`X 撤回了一条消息` and no time.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from evidence.transcripts.importers._dates import instant_of
from evidence.transcripts.importers._lines import unreadable
from evidence.transcripts.normal import MessageKind
from evidence.transcripts.pieces import Draft, Piece, PieceKind, Stated
from evidence.transcripts.source import Line, Source

NAME = "qianniu"
TITLE = "Qianniu or Wangwang, copied text"

# Possessive, so that a line of spaces is not gone over again for each length of the name before it.
_GAP = r"[ \u3000]*+"
_TIME = rf"(?P<time>[0-9]{{4}}-[0-9]{{1,2}}-[0-9]{{1,2}} [0-9]{{1,2}}:[0-9]{{2}}:[0-9]{{2}}){_GAP}"
_TIME_ALONE = re.compile(rf"{_GAP}{_TIME}")
_JOINED = re.compile(rf"(?P<name>.{{1,130}}?){_GAP}{_TIME}")
_RECALLED = re.compile(rf"(?P<name>\S.{{0,130}}?)(?P<gap>{_GAP})撤回了一条消息[。.]?")
_ARROW = " --> "
_READ = frozenset({"已读", "未读"})
_LONGEST_NAME = 130
_LONGEST_TEXT = 40
"""Lines under one header beyond which a text is rather something that happens to have a date."""
_PICTURE = re.compile(r"\[图片\]|(?:\[(?:动画表情|表情)\])+(?:\n|\Z)")
_FILE = re.compile(r"\[(?:视频|文件|语音)\]")


@dataclass(frozen=True, slots=True)
class _Header:
    """Who and when; `local` is None for a time that is none, `lines` is 1, or 2 with the time on a line of its own."""

    name: str
    local: datetime | None
    lines: int


@dataclass(slots=True)
class _Open:
    """A message that is being read: its header is written, its lines are collected."""

    sender: str
    sent_at: datetime | None
    doubts: tuple[str, ...]
    number: int
    begins: int
    lines: list[Line]

    @property
    def is_closed(self) -> bool:
        """Whether a read mark or a blank line stands at its end as it is now."""
        last = self.lines[-1].text.strip() if self.lines else "text"
        return not last or (last in _READ and len(self.lines) > 1)


def likeness(source: Source) -> int:
    """See `evidence.transcripts.pieces`."""
    lines = [line for line in source.head_lines if line.strip()]
    headers, with_text, first, at = 0, 0, 0, 0
    while at < len(lines):
        header = _header(lines[at], lines[at + 1] if at + 1 < len(lines) else None)
        if header is None:
            at += 1
            continue
        first = first if headers else at
        at += header.lines
        headers += 1
        with_text += at < len(lines) and not _JOINED.fullmatch(lines[at])
    if not headers:
        return 1 if source.is_longer or any(map(_RECALLED.fullmatch, lines)) else 0
    if with_text * 2 < headers or len(lines) > headers * _LONGEST_TEXT:
        # A table or a log with a time at the end of each line, or a letter with a date on it.
        return 30
    return 90 if first == 0 or _RECALLED.fullmatch(lines[0]) else 55


def pieces(source: Source, stated: Stated) -> Iterator[Piece]:
    """See `evidence.transcripts.pieces`."""
    names, marked = _surveyed(source)
    current: _Open | None = None
    recall_ends = -1
    for line, end, header in _units(source):
        if header is not None:
            at, doubts = instant_of(header.local, stated)
            if marked and current is not None and not current.is_closed and names[_name(header.name)] == 1:
                doubts += ("header_in_text",)
            if current is not None:
                yield from _closed(current)
            yield Piece(PieceKind.header, line.start, end, line.number)
            current = _Open(_name(header.name), at, doubts, line.number, end, [])
        elif recalled := _recalled(line, names, current):
            if current is not None:
                yield from _closed(current)
            current = None
            draft = Draft(sender=recalled, text="", kind=MessageKind.recall)
            yield Piece(PieceKind.message, line.start, line.end, line.number, draft)
            recall_ends = line.end
        elif current is not None:
            current.lines.append(line)
        elif line.start == recall_ends and line.text.strip() in _READ:
            yield Piece(PieceKind.receipt, line.start, line.end, line.number)
        else:
            yield unreadable(line)
    if current is not None:
        yield from _closed(current)


def _surveyed(source: Source) -> tuple[Counter[str], bool]:
    """How many headers each name has in the whole text, and whether there are read marks in it."""
    names: Counter[str] = Counter()
    marked = False
    for line, _, header in _units(source):
        if header is not None:
            names[_name(header.name)] += 1
        marked = marked or line.text.strip() in _READ
    return names, marked


def _units(source: Source) -> Iterator[tuple[Line, int, _Header | None]]:
    """Each line with where it ends, or, if it is a header, where that ends: with the time on the line that follows."""
    lines = source.lines()
    line = next(lines, None)
    while line is not None:
        following = next(lines, None)
        header = _header(line.text, following.text if following else None)
        if header is not None and header.lines == 2 and following is not None:
            yield line, following.end, header
            following = next(lines, None)
        else:
            yield line, line.end, header
        line = following


def _header(line: str, following: str | None) -> _Header | None:
    if (joined := _JOINED.fullmatch(line)) and joined["name"].strip():
        return _Header(joined["name"], _time(joined), 1)
    alone = _TIME_ALONE.fullmatch(following) if following is not None and _is_name(line) else None
    return _Header(line, _time(alone), 2) if alone else None


def _recalled(line: Line, names: Mapping[str, int], current: _Open | None) -> str | None:
    """Who took a message back, if a line says so and is not what somebody wrote.

    A name that has messages in the file is believed anywhere; another one only where a message has ended, or where it
    is parted by a space as the program writes it and there is some text before it.
    """
    found = _RECALLED.fullmatch(line.text)
    if found is None:
        return None
    name = _name(found["name"])
    believed = name in names or current is None or current.is_closed or (found["gap"] and current.lines)
    return name if believed else None


def _is_name(line: str) -> bool:
    """Whether a line can be the name over a time: not blank, no read mark, and no time itself."""
    return (
        bool(line.strip())
        and len(line) <= _LONGEST_NAME
        and line.strip() not in _READ
        and not _TIME_ALONE.fullmatch(line)
        and not _RECALLED.fullmatch(line)
    )


def _name(written: str) -> str:
    """Who speaks: in `A --> B` it is A."""
    return written.partition(_ARROW)[0].strip()


def _time(found: re.Match[str]) -> datetime | None:
    day, _, clock = found["time"].partition(" ")
    try:
        return datetime(*map(int, (*day.split("-"), *clock.split(":"))))  # type: ignore[arg-type]  # noqa: DTZ001
    except ValueError:
        return None


def _closed(message: _Open) -> Iterator[Piece]:
    """The text of a message, then its read mark and the blank lines around that."""
    lines = message.lines
    end = len(lines)
    while end and not lines[end - 1].text.strip():
        end -= 1
    mark = end - 1 if end > 1 and lines[end - 1].text.strip() in _READ else None
    stop = end if mark is None else mark
    while stop and not lines[stop - 1].text.strip():
        stop -= 1
    text = "\n".join(line.text for line in lines[:stop])
    doubts = message.doubts if text else (*message.doubts, "no_text")
    draft = Draft(sender=message.sender, text=text, sent_at=message.sent_at, kind=_kind(text), doubts=doubts)
    end_of_text = lines[stop - 1].end if stop else message.begins
    yield Piece(PieceKind.message, message.begins, end_of_text, message.number, draft)
    for n, line in enumerate(lines[stop:], stop):
        yield Piece(PieceKind.receipt if n == mark else PieceKind.blank, line.start, line.end, line.number)


def _kind(text: str) -> MessageKind:
    if _PICTURE.match(text):
        return MessageKind.image
    return MessageKind.file if _FILE.match(text) else MessageKind.text
