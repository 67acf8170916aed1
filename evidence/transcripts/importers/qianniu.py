"""Qianniu and Wangwang: a conversation as it is copied out of the window.

Each message has a header: the name on one line and the time on the next, or both joined on one, or `A --> B` before
the time. Then comes the text, often a line that says whether it was read. Somebody who took a message back leaves
`X 撤回了一条消息` and no time.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from evidence.transcripts.importers._lines import unreadable
from evidence.transcripts.normal import MessageKind
from evidence.transcripts.pieces import Draft, Piece, PieceKind, Stated
from evidence.transcripts.source import Line, Source

NAME = "qianniu"
TITLE = "Qianniu or Wangwang, copied text"

_TIME = r"(?P<time>[0-9]{4}-[0-9]{1,2}-[0-9]{1,2} [0-9]{1,2}:[0-9]{2}:[0-9]{2})[ \u3000]*"
_TIME_ALONE = re.compile(rf"[ \u3000]*{_TIME}")
_JOINED = re.compile(rf"(?P<name>.{{1,130}}?)[ \u3000]*{_TIME}")
_RECALLED = re.compile(r"(?P<name>\S.{0,130}?)[ \u3000]*撤回了一条消息[。.]?")
_ARROW = " --> "
_READ = frozenset({"已读", "未读"})
_LONGEST_NAME = 130
_PICTURE = re.compile(r"\[(?:图片|动画表情|表情)\]")
_FILE = re.compile(r"\[(?:视频|文件|语音)\]")


@dataclass(slots=True)
class _Open:
    """A message that is being read: its header is written, its lines are collected."""

    sender: str
    sent_at: datetime | None
    doubts: tuple[str, ...]
    number: int
    begins: int
    lines: list[Line]


def likeness(source: Source) -> int:
    """See `evidence.transcripts.pieces`."""
    lines = [line for line in source.head_lines if line.strip()]
    if len(lines) >= 2 and _is_name(lines[0]) and _TIME_ALONE.fullmatch(lines[1]):
        return 90
    if lines and (_JOINED.fullmatch(lines[0]) or _RECALLED.fullmatch(lines[0])):
        return 80 if any(_JOINED.fullmatch(line) or _TIME_ALONE.fullmatch(line) for line in lines) else 0
    pairs = pairwise(lines)
    later = any(map(_JOINED.fullmatch, lines)) or any(_is_name(name) and _TIME_ALONE.fullmatch(t) for name, t in pairs)
    return 55 if later else 0


def pieces(source: Source, stated: Stated) -> Iterator[Piece]:
    """See `evidence.transcripts.pieces`."""
    current: _Open | None = None
    lines = source.lines()
    line = next(lines, None)
    while line is not None:
        following = next(lines, None)
        header = _header(line, following, stated)
        recalled = _RECALLED.fullmatch(line.text) if header is None else None
        if header is None and recalled is None:
            if current is None:
                yield unreadable(line)
            else:
                current.lines.append(line)
        else:
            if current is not None:
                yield from _closed(current)
            current = header
            if recalled is not None:
                draft = Draft(sender=_name(recalled["name"]), text="", kind=MessageKind.recall)
                yield Piece(PieceKind.message, line.start, line.end, line.number, draft)
            elif header is not None and following is not None and not _is_joined(line):
                yield Piece(PieceKind.header, line.start, following.end, line.number)
                following = next(lines, None)
            else:
                yield Piece(PieceKind.header, line.start, line.end, line.number)
        line = following
    if current is not None:
        yield from _closed(current)


def _header(line: Line, following: Line | None, stated: Stated) -> _Open | None:
    """The message that a line begins, alone or with the time on the line that follows."""
    joined = _JOINED.fullmatch(line.text)
    if joined is not None and (local := _time(joined)) is not None:
        name = joined["name"]
    elif following is not None and _is_name(line.text) and (alone := _TIME_ALONE.fullmatch(following.text)):
        local, name = _time(alone), line.text
    else:
        return None
    if local is None:
        return None
    at, doubts = stated.instant(local)
    begins = line.end if _is_joined(line) or following is None else following.end
    return _Open(_name(name), at, doubts, line.number, begins, [])


def _is_joined(line: Line) -> bool:
    joined = _JOINED.fullmatch(line.text)
    return joined is not None and _time(joined) is not None


def _is_name(line: str) -> bool:
    """Whether a line can be the name over a time: not blank, no read mark, and no time itself."""
    return (
        bool(line.strip())
        and len(line) <= _LONGEST_NAME
        and line.strip() not in _READ
        and not _TIME_ALONE.fullmatch(line)
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
