"""What an importer makes of a file: its pieces, in the order in which they stand there.

An importer is one module of `evidence.transcripts.importers` with

    NAME        the format's name in the API, such as "whatsapp"
    TITLE       what it is, for a person
    likeness(source) -> int                          0 to 100: how surely the source is in this format
    pieces(source, stated) -> Iterator[Piece]        every part of the source, in order, none left out

The pieces of a text cover it: each begins where the one before ended, and their spans put together are the whole
decoded text. What is read from an archive or a JSON value has spans over items instead, see `Piece`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple
from zoneinfo import ZoneInfo

from evidence.errors import NotAdmitted
from evidence.transcripts.normal import Attachment, MessageKind, SenderRole
from evidence.transcripts.times import localised


class PieceKind(StrEnum):
    """What a part of a file is.

    `message` carries a draft; `header` says who and when of the message after it, or what the file is; `receipt` is a
    note of the chat program, such as read marks; `blank` is empty; `unreadable` carries a draft too, for what cannot
    be read is kept as a message of the kind system.
    """

    message = "message"
    header = "header"
    receipt = "receipt"
    blank = "blank"
    unreadable = "unreadable"


class DateOrder(StrEnum):
    """In which order a date is written: day, month and year."""

    dmy = "dmy"
    mdy = "mdy"
    ymd = "ymd"


class Draft(NamedTuple):
    """A message as the file has it, before it is numbered and its sender is known for a side.

    `sender` is the name or, where there is none, the id that the filer calls a side by; None is the chat program
    itself. `role` is given only by formats that state it. `sent_at` is aware UTC. `doubts` are codes of
    `evidence.transcripts.imports.DETAILS`.
    """

    sender: str | None
    text: str
    sent_at: datetime | None = None
    kind: MessageKind = MessageKind.text
    sender_id: str | None = None
    role: SenderRole | None = None
    attachments: Sequence[Attachment] = ()
    doubts: Sequence[str] = ()


class Piece(NamedTuple):
    """A part of a file: code points `start` to `end` of the decoded text, beginning in `line` (from 1).

    Of a JSON value or an archive, `start` and `end` count items (an item is one element of the list of messages, over
    all lists in the order read), and `line` is None.
    """

    kind: PieceKind
    start: int
    end: int
    line: int | None = None
    draft: Draft | None = None


@dataclass(frozen=True, slots=True)
class Stated:
    """What the filer states about a file. What is missing and needed is asked for, never guessed."""

    timezone: ZoneInfo | None = None
    date_order: DateOrder | None = None

    def instant(self, local: datetime) -> tuple[datetime, tuple[str, ...]]:
        """Return a local time in UTC, with the doubts that a change of clocks makes.

        Raises NotAdmitted (timezone_needed) where no zone was stated.
        """
        if self.timezone is None:
            raise NotAdmitted(
                "timezone",
                "timezone_needed",
                "the times in this file are local: state their zone, such as Asia/Shanghai",
            )
        return localised(local, self.timezone)


def aware(seconds: float) -> datetime:
    """Return the instant of a Unix time in seconds. Raises ValueError outside the years 1970 to 9999."""
    try:
        if seconds < 0:
            raise ValueError("before 1970")
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError) as error:
        raise ValueError("outside the years 1970 to 9999") from error
