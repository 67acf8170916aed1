"""Importing: a file becomes messages in the normal form, with what was noticed on the way.

Nothing is dropped or moved: every part of the file is a message, a header, a receipt, blank, or kept as a message of
the kind system and reported with its line. Formats that are exported newest first are read from their end.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from evidence.errors import NotAdmitted
from evidence.transcripts.importers import Importer, importers
from evidence.transcripts.native import MAX_ATTACHMENTS, MAX_MESSAGES, MAX_NAME, MAX_TEXT
from evidence.transcripts.normal import Attachment, Message, MessageKind, Problem, Sender, SenderRole, Transcript
from evidence.transcripts.oddities import DETAILS, Oddities
from evidence.transcripts.pieces import Draft, Piece, PieceKind, Stated
from evidence.transcripts.source import Source

AUTO = "auto"
SURE = 50
"""The likeness below which `auto` does not take a file for a format."""
MAX_PROBLEMS = 1_000
"""Problems told one by one; of the rest only the number is told."""
MAX_REMARKS = 200
"""The same for each of the kinds that leave a message's words alone, so that they do not crowd out the others."""
_REMARKS = frozenset({"field_not_read", "attachment_missing", "edited"})
MAX_FILE_NAME = 255
"""Characters in an attachment's name; file systems know no longer ones."""


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
    (unknown_participant), `file` (no_messages, too_many_messages, too_many_attachments, too_long, nul_character,
    lone_surrogate, and what reading the source raises).
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
        self._unnamed: set[str] = set()
        self._remarks: Counter[str] = Counter()
        self._oddities = Oddities()
        self.senders: Counter[str] = Counter()

    def take(self, piece: Piece, draft: Draft) -> None:
        """Take the message of a piece."""
        seq = len(self._messages) + 1
        where = f"line {piece.line}" if piece.line else f"message {seq}"
        if seq > MAX_MESSAGES:
            raise NotAdmitted("file", "too_many_messages", f"at most {MAX_MESSAGES:,} messages", "too_large")
        message = Message(
            seq=seq,
            sender=self._sender(draft, seq, piece.line, where),
            sent_at=draft.sent_at,
            kind=draft.kind,
            text=_sound(draft.text, MAX_TEXT, f"the text of the message at {where}"),
            attachments=_attached(draft.attachments, where),
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

    def _sender(self, draft: Draft, seq: int, line: int | None, where: str) -> Sender:
        for name in (draft.sender, draft.sender_id):
            if name is not None:
                _sound(name, MAX_NAME, f"the sender's name at {where}")
        if draft.sender is None:
            return Sender(SenderRole.system, draft.sender_id, None)
        named = self._participants.get(draft.sender)
        role = named or draft.role
        if role is None and draft.sender not in self._unnamed:
            self._unnamed.add(draft.sender)
            self._note(line, seq, "sender_not_named")
        self.senders[draft.sender] += 1
        return Sender(role or SenderRole.staff, draft.sender_id, draft.sender)

    def _note(self, line: int | None, seq: int, code: str) -> None:
        remark = code in _REMARKS
        self._remarks[code] += remark
        if len(self._problems) >= MAX_PROBLEMS or (remark and self._remarks[code] > MAX_REMARKS):
            self._untold += 1
        else:
            self._problems.append(Problem(line, seq, code, DETAILS[code]))


def _attached(attachments: Sequence[Attachment], where: str) -> tuple[Attachment, ...]:
    if len(attachments) > MAX_ATTACHMENTS:
        raise NotAdmitted(
            "file", "too_many_attachments", f"the message at {where} has more than {MAX_ATTACHMENTS} attachments"
        )
    for one in attachments:
        _sound(one.name, MAX_FILE_NAME, f"the name of an attachment at {where}")
        if one.media_type is not None:
            _sound(one.media_type, MAX_NAME, f"the type of an attachment at {where}")
    return tuple(attachments)


def _sound(text: str, longest: int, what: str) -> str:
    """A text as it can be kept and hashed; JSON can escape what no admitted text holds."""
    if len(text) > longest:
        raise NotAdmitted("file", "too_long", f"{what} has more than {longest:,} characters")
    if "\x00" in text:
        raise NotAdmitted("file", "nul_character", f"{what} contains a NUL character")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise NotAdmitted("file", "lone_surrogate", f"{what} contains half of a surrogate pair") from error
    return text
