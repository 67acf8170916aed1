"""Signal: a conversation exported as text, `[2026-11-03, 09:12] Name: text`."""

import re
from collections.abc import Iterator
from datetime import datetime

from evidence.transcripts.importers._dates import instant_of
from evidence.transcripts.importers._lines import Opening, assemble, resemblance, speaker, speakers
from evidence.transcripts.normal import MessageKind
from evidence.transcripts.pieces import Draft, Piece, Stated
from evidence.transcripts.source import Line, Source

NAME = "signal"
TITLE = "Signal, exported as text"

_header = re.compile(r"\[([0-9]{4}-[0-9]{2}-[0-9]{2}), ([0-9]{2}:[0-9]{2})\] ").match


def likeness(source: Source) -> int:
    """See `evidence.transcripts.pieces`."""
    return resemblance(source, _header, least=80, most=95)


def pieces(source: Source, stated: Stated) -> Iterator[Piece]:
    """See `evidence.transcripts.pieces`."""
    known = speakers(source, _header)

    def opens(line: Line) -> Opening | None:
        found = _header(line.text)
        if found is None:
            return None
        at, doubts = instant_of(_time(found), stated)
        sender, text_at = speaker(line.text, found.end(), known)
        kind = MessageKind.text if sender else MessageKind.system
        return Opening(text_at, lambda text: Draft(sender=sender, text=text, sent_at=at, kind=kind, doubts=doubts))

    return assemble(source, opens)


def _time(found: re.Match[str]) -> datetime | None:
    try:
        return datetime.fromisoformat(f"{found[1]}T{found[2]}")
    except ValueError:
        return None
