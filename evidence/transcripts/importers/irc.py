"""IRC logs: irssi, weechat and the like.

A line is a time, then `<nick> text`, a nick and a text parted by tabs, `* nick does something`, or a line of the
program (`-!-`, `***`, `-->`). Where lines have only a time of day, the day comes from `--- Log opened` and
`--- Day changed`.
"""

import re
from collections.abc import Iterator
from datetime import date, datetime

from evidence.transcripts.importers._lines import unreadable
from evidence.transcripts.normal import MessageKind
from evidence.transcripts.pieces import Draft, Piece, PieceKind, Stated
from evidence.transcripts.source import Line, Source
from evidence.transcripts.times import read_time

NAME = "irc"
TITLE = "IRC log"

_TIME = (
    r"\[?(?:(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})[T ])?"
    r"(?P<clock>[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?)"
    r"(?P<offset>Z|[+-][0-9]{2}:?[0-9]{2})?\]?"
)
_LINE = re.compile(
    rf"{_TIME}(?:[ \t]+<[ @+%&~]?(?P<nick>[^\s<>]{{1,64}})> ?|\t[@+%&~]?(?P<tabbed>[^\s<>*=!@+%&~-][^\s<>]{{0,63}})\t"
    r"|[ \t]+(?P<action>\*[ \t]+(?P<actor>[^\s*]{1,64})) ?|[ \t]+(?P<program>-!-|\*\*\*|-->|<--|--|=!=|===))"
)
_DAY = re.compile(
    r"--- (?:Log opened|Day changed) (?:[A-Z][a-z]{2} )?(?P<month>[A-Z][a-z]{2}) (?P<day>[0-9]{1,2})"
    r"(?: [0-9]{2}:[0-9]{2}:[0-9]{2})? (?P<year>[0-9]{4})"
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def likeness(source: Source) -> int:
    """See `evidence.transcripts.pieces`."""
    lines = [line for line in source.head_lines if line.strip()][:200]
    said = sum(1 for line in lines if _LINE.match(line))
    known = said + sum(1 for line in lines if line.startswith("--- "))
    return round(85 * known / len(lines)) if said else 1 if source.is_longer else 0


def pieces(source: Source, stated: Stated) -> Iterator[Piece]:
    """See `evidence.transcripts.pieces`. A message is one line."""
    today: date | None = None
    for line in source.lines():
        if (changed := _DAY.match(line.text)) and (day := _day(changed)):
            today = day
            yield Piece(PieceKind.header, line.start, line.end, line.number)
        elif line.text.startswith("--- Log closed"):
            yield Piece(PieceKind.header, line.start, line.end, line.number)
        elif found := _LINE.match(line.text):
            yield from _said(line, found, today, stated)
        else:
            yield unreadable(line)


def _said(line: Line, found: re.Match[str], today: date | None, stated: Stated) -> Iterator[Piece]:
    sent_at, doubts = _time(found, today, stated)
    sender = found["nick"] or found["tabbed"] or found["actor"]
    # What somebody does is told with their name, as the program shows it.
    begins = found.start("action") if found["action"] else found.start("program") if found["program"] else found.end()
    kind = MessageKind.system if sender is None else MessageKind.text
    draft = Draft(sender=sender, text=line.text[begins:], sent_at=sent_at, kind=kind, doubts=doubts)
    yield Piece(PieceKind.header, line.start, line.start + begins, line.number)
    yield Piece(PieceKind.message, line.start + begins, line.end, line.number, draft)


def _time(found: re.Match[str], today: date | None, stated: Stated) -> tuple[datetime | None, tuple[str, ...]]:
    day = found["day"] or (today.isoformat() if today else None)
    if day is None:
        return None, ("unreadable_time",)
    try:
        if found["offset"]:
            return read_time(f"{day}T{found['clock']}{found['offset']}", stated.instant)
        return stated.instant(datetime.fromisoformat(f"{day}T{found['clock']}"))
    except ValueError:
        return None, ("unreadable_time",)


def _day(found: re.Match[str]) -> date | None:
    if found["month"] not in _MONTHS:
        return None
    try:
        return date(int(found["year"]), _MONTHS.index(found["month"]) + 1, int(found["day"]))
    except ValueError:
        return None
