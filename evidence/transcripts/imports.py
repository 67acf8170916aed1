"""Importing: a file becomes messages in the normal form, with what was noticed on the way.

Nothing is dropped or moved: every part of the file is a message, a header, a receipt, blank, or kept as a message of
the kind system and reported with its line. Formats that are exported newest first are read from their end.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from evidence.errors import NotAdmitted
from evidence.transcripts.importers import Importer, importers
from evidence.transcripts.native import MAX_MESSAGES, MAX_NAME, MAX_TEXT
from evidence.transcripts.normal import Message, MessageKind, Problem, Sender, SenderRole, Transcript
from evidence.transcripts.oddities import DETAILS, Oddities
from evidence.transcripts.pieces import Draft, Piece, PieceKind, Stated
from evidence.transcripts.source import Source

AUTO = "auto"
SURE = 50
"""The likeness below which `auto` does not take a file for a format."""
MAX_PROBLEMS = 1_000
"""Problems told one by one; of the rest only the number is told."""


@dataclass(frozen=True, slots=True)
class Imported:
    """A transcript, the format it was read as, and who speaks in it: messages by sender (name or id in the file)."""

    format: str
    transcript: Transcript
    senders: Mapping[str, int]


def read(
    source: Source,
    *,
    format: str = AUTO,
    stated: Stated,
    participants: Mapping[str, SenderRole],
    watch: Callable[[Piece], None] | None = None,
) -> Imported:
    """Import a file. `participants` says of senders, by the name the file has, which side they are; the rest is staff.

    `watch` is shown every piece as it is read. Raises NotAdmitted: `format` (unknown_format, format_not_recognised,
    not_this_format), `timezone` and `date_order` where they are needed and missing, `participants`
    (unknown_participant), `file` (no_messages, too_many_messages, too_long, and what reading the source raises).
    """
    importer = _importer(source, format)
    collected = _Collector(participants)
    for piece in importer.pieces(source, stated):
        if watch is not None:
            watch(piece)
        if piece.draft is not None:
            collected.take(piece, piece.draft)
    return Imported(importer.NAME, collected.transcript(), collected.senders)


def detect(source: Source) -> str | None:
    """The format that a file is most likely in, None if it looks like none that is known."""
    likely = {name: one.likeness(source) for name, one in importers().items()}
    name = max(likely, key=lambda name: likely[name])
    return name if likely[name] >= SURE else None


def _importer(source: Source, format: str) -> Importer:
    known = importers()
    name = detect(source) if format == AUTO else format
    if name is None:
        raise NotAdmitted("format", "format_not_recognised", f"state the format; known are {', '.join(known)}")
    if name not in known:
        raise NotAdmitted("format", "unknown_format", f"must be auto or one of {', '.join(known)}")
    if known[name].likeness(source) == 0:
        raise NotAdmitted("format", "not_this_format", f"the file is not in the format {name}")
    return known[name]


class _Collector:
    """Numbers the messages and notes what is odd about them."""

    def __init__(self, participants: Mapping[str, SenderRole]) -> None:
        self._participants = participants
        self._messages: list[Message] = []
        self._problems: list[Problem] = []
        self._untold = 0
        self._oddities = Oddities()
        self.senders: Counter[str] = Counter()

    def take(self, piece: Piece, draft: Draft) -> None:
        """Take the message of a piece."""
        seq = len(self._messages) + 1
        if seq > MAX_MESSAGES:
            raise NotAdmitted("file", "too_many_messages", f"at most {MAX_MESSAGES:,} messages", "too_large")
        message = Message(
            seq=seq,
            sender=self._sender(draft, seq, piece.line),
            sent_at=draft.sent_at,
            kind=draft.kind,
            text=_bounded(draft.text, MAX_TEXT, "text", piece, seq),
            attachments=tuple(draft.attachments),
            source_line=piece.line,
        )
        if "another_conversation" in draft.doubts:
            # What came before in the file says nothing about the order of this one.
            self._oddities = Oddities()
        if piece.kind is PieceKind.unreadable:
            self._note(piece.line, seq, "unreadable")
        for code in (*draft.doubts, *self._oddities.of(message)):
            self._note(piece.line, seq, code)
        self._messages.append(message)

    def transcript(self) -> Transcript:
        """What was taken. Raises NotAdmitted where that is nothing, or a participant speaks nowhere."""
        if not self._messages or all(one.kind is MessageKind.system for one in self._messages):
            raise NotAdmitted("file", "no_messages", "there is no message of anybody in the file")
        for n, name in enumerate(self._participants):
            if name not in self.senders:
                raise NotAdmitted(
                    "participants",
                    "unknown_participant",
                    f"participant {n + 1} is the sender of no message in the file",
                )
        if self._untold:
            self._problems.append(
                Problem(None, None, "more_problems", f"{self._untold:,} more problems of these kinds are not listed")
            )
        return Transcript(tuple(self._messages), tuple(self._problems))

    def _sender(self, draft: Draft, seq: int, line: int | None) -> Sender:
        if draft.sender is None:
            return Sender(SenderRole.system, draft.sender_id, None)
        for name in (draft.sender, draft.sender_id):
            if name is not None and len(name) > MAX_NAME:
                where = f"line {line}" if line else f"message {seq}"
                raise NotAdmitted(
                    "file", "too_long", f"the sender's name at {where} has more than {MAX_NAME} characters"
                )
        named = self._participants.get(draft.sender)
        role = named or draft.role
        if role is None and draft.sender not in self.senders:
            self._note(line, seq, "sender_not_named")
        self.senders[draft.sender] += 1
        return Sender(role or SenderRole.staff, draft.sender_id, draft.sender)

    def _note(self, line: int | None, seq: int, code: str) -> None:
        if len(self._problems) >= MAX_PROBLEMS:
            self._untold += 1
        else:
            self._problems.append(Problem(line, seq, code, DETAILS[code]))


def _bounded(text: str, longest: int, what: str, piece: Piece, seq: int) -> str:
    if len(text) > longest:
        where = f"line {piece.line}" if piece.line else f"message {seq}"
        raise NotAdmitted(
            "file", "too_long", f"the {what} of the message at {where} has more than {longest:,} characters"
        )
    return text
