"""Signal: a conversation exported as text, `[2026-11-03, 09:12] Name: text`."""

import re
from collections.abc import Iterator
from datetime import datetime

from evidence.transcripts.importers._lines import Opening, assemble, share
from evidence.transcripts.pieces import Draft, Piece, Stated
from evidence.transcripts.source import Line, Source

NAME = "signal"
TITLE = "Signal, exported as text"

_HEADER = re.compile(r"\[([0-9]{4}-[0-9]{2}-[0-9]{2}), ([0-9]{2}:[0-9]{2})\] ([^:\n]{1,200}): ?")


def likeness(source: Source) -> int:
    """See `evidence.transcripts.pieces`."""
    first = next((line for line in source.head_lines if line.strip()), "")
    return 80 + round(15 * share(source, _HEADER.match)) if _time(_HEADER.match(first)) else 0


def pieces(source: Source, stated: Stated) -> Iterator[Piece]:
    """See `evidence.transcripts.pieces`."""

    def opens(line: Line) -> Opening | None:
        found = _HEADER.match(line.text)
        local = _time(found)
        if found is None or local is None:
            return None
        at, doubts = stated.instant(local)
        sender = found[3]
        return Opening(found.end(), lambda text: Draft(sender=sender, text=text, sent_at=at, doubts=doubts))

    return assemble(source, opens)


def _time(found: re.Match[str] | None) -> datetime | None:
    if found is None:
        return None
    try:
        return datetime.fromisoformat(f"{found[1]}T{found[2]}")
    except ValueError:
        return None
