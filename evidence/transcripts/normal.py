"""The normal form of a chat log, whatever it was exported from."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class SenderRole(StrEnum):
    """Whose words they are: a party's, the marketplace's or shop's staff's, or the chat program's own."""

    buyer = "buyer"
    seller = "seller"
    staff = "staff"
    system = "system"


class MessageKind(StrEnum):
    """What was sent. `recall` is the trace of a message that its sender took back."""

    text = "text"
    image = "image"
    file = "file"
    system = "system"
    recall = "recall"


@dataclass(frozen=True, slots=True)
class Sender:
    """`id` and `name` are as the export has them; at least one is there, save for the role system."""

    role: SenderRole
    id: str | None
    name: str | None


@dataclass(frozen=True, slots=True)
class Attachment:
    """What hung on a message: `sha256` is lowercase hex over the bytes, when they are known."""

    name: str
    media_type: str | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One message. `seq` counts from 1, `sent_at` is aware UTC, `source_line` counts from 1 in the file it is from."""

    seq: int
    sender: Sender
    sent_at: datetime | None
    kind: MessageKind
    text: str
    attachments: tuple[Attachment, ...] = ()
    source_line: int | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """Something to be known about the copy that was filed; nothing is dropped or moved on its account.

    `line` and `message_seq` say where (from 1), `code` what; `detail` is for a person and repeats no message's text,
    since problems outlive a redaction.
    """

    line: int | None
    message_seq: int | None
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Transcript:
    """The messages in the order filed, and what was noticed while reading them."""

    messages: tuple[Message, ...]
    problems: tuple[Problem, ...]
