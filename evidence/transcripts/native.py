"""The native chat log: JSON messages as the API takes them.

A message is `{sender: {role, id?, name?}, sent_at?, kind?: "text", text, attachments?: [{name, media_type?,
sha256?}]}`. Its `seq` is its place in the list, from 1; the fields that errors name count from 0.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar

from evidence.chain import is_hex_digest
from evidence.errors import NotAdmitted
from evidence.transcripts.normal import Attachment, Message, MessageKind, Problem, Sender, SenderRole, Transcript
from evidence.transcripts.oddities import DETAILS, Oddities
from evidence.transcripts.times import localised, read_time, zone

MAX_MESSAGES = 100_000
MAX_TEXT = 20_000
"""Characters (code points) in one message's text."""
MAX_NAME = 200
"""Characters in an id, a name, a media type."""
MAX_ATTACHMENTS = 50

_Choice = TypeVar("_Choice", bound=StrEnum)
Instant = Callable[[datetime], tuple[datetime, tuple[str, ...]]]


def read(messages: Sequence[Mapping[str, Any]], *, timezone: str) -> Transcript:
    """Read a native chat log into the normal form.

    `timezone` is an IANA name, for times without an offset. Oddities that a true log can have (times that run
    backwards, repetitions, local times that a change of clocks spoilt) become problems; nothing is dropped or moved.
    Raises NotAdmitted, naming the field, for what cannot be taken at its word: an unknown zone, role, kind or field,
    a time that is none, a text that is missing, over-long or holds NUL or a lone surrogate, too many messages.
    """
    local = zone(timezone)

    def instant(written: datetime) -> tuple[datetime, tuple[str, ...]]:
        return localised(written, local)

    if not isinstance(messages, Sequence) or isinstance(messages, str | bytes):
        raise NotAdmitted("messages", "not_a_list", "messages must be a list")
    if not messages:
        raise NotAdmitted("messages", "no_messages", "a chat log has at least one message")
    if len(messages) > MAX_MESSAGES:
        raise NotAdmitted("messages", "too_many_messages", f"at most {MAX_MESSAGES:,} messages", "too_large")
    read_so_far: list[Message] = []
    problems: list[Problem] = []
    oddities = Oddities()
    for index, raw in enumerate(messages):
        message, doubts = message_of(raw, instant, index)
        codes = [*doubts, *oddities.of(message)]
        problems += (Problem(None, message.seq, code, DETAILS[code]) for code in codes)
        read_so_far.append(message)
    return Transcript(tuple(read_so_far), tuple(problems))


def message_of(raw: object, instant: Instant, index: int = 0) -> tuple[Message, tuple[str, ...]]:
    """Read one message, the `index`-th from 0; `instant` brings a local time to UTC, with its doubts.

    Raises NotAdmitted as `read` does, and what `instant` raises.
    """
    at = f"messages.{index}"
    fields = _object(raw, at, {"sender", "sent_at", "kind", "text", "attachments"})
    kind = _choice(MessageKind, fields.get("kind", "text"), f"{at}.kind", "unknown_kind")
    sent_at, doubts = _sent_at(fields.get("sent_at"), f"{at}.sent_at", instant)
    message = Message(
        seq=index + 1,
        sender=_sender(fields.get("sender"), f"{at}.sender"),
        sent_at=sent_at,
        kind=kind,
        text=_text(fields.get("text"), f"{at}.text", kind),
        attachments=_attachments(fields.get("attachments"), f"{at}.attachments"),
    )
    return message, doubts


def _sender(raw: object, at: str) -> Sender:
    fields = _object(raw, at, {"role", "id", "name"})
    role = _choice(SenderRole, fields.get("role"), f"{at}.role", "unknown_role")
    sender = Sender(role, _name(fields.get("id"), f"{at}.id"), _name(fields.get("name"), f"{at}.name"))
    if sender.id is None and sender.name is None and role is not SenderRole.system:
        raise NotAdmitted(at, "missing_sender", "a sender has an id or a name")
    return sender


def _sent_at(raw: object, at: str, instant: Instant) -> tuple[datetime | None, tuple[str, ...]]:
    if raw is None:
        return None, ()
    detail = "a time is written like 2026-11-03T09:30:00, with or without an offset such as +08:00"
    if not isinstance(raw, str):
        raise NotAdmitted(at, "unreadable_time", detail)
    try:
        return read_time(raw, instant)
    except ValueError as error:
        raise NotAdmitted(at, "unreadable_time", detail) from error


def _text(raw: object, at: str, kind: MessageKind) -> str:
    if raw is None or raw == "":
        if kind is MessageKind.text:
            raise NotAdmitted(at, "missing_text", "a message of the kind text has a text")
        return ""
    return _string(raw, at, MAX_TEXT)


def _attachments(raw: object, at: str) -> tuple[Attachment, ...]:
    if raw is None:
        return ()
    if not isinstance(raw, list | tuple):
        raise NotAdmitted(at, "not_a_list", "attachments must be a list")
    if len(raw) > MAX_ATTACHMENTS:
        raise NotAdmitted(at, "too_many_attachments", f"at most {MAX_ATTACHMENTS} attachments to a message")
    return tuple(_attachment(item, f"{at}.{index}") for index, item in enumerate(raw))


def _attachment(raw: object, at: str) -> Attachment:
    fields = _object(raw, at, {"name", "media_type", "sha256"})
    name = _name(fields.get("name"), f"{at}.name")
    if name is None:
        raise NotAdmitted(f"{at}.name", "missing_name", "an attachment has a name")
    sha256 = fields.get("sha256")
    if sha256 is not None and not is_hex_digest(sha256):
        raise NotAdmitted(f"{at}.sha256", "not_a_digest", "a SHA-256 is 64 lowercase hex digits")
    return Attachment(name, _name(fields.get("media_type"), f"{at}.media_type"), sha256)


def _object(raw: object, at: str, known: set[str]) -> Mapping[str, Any]:
    if not isinstance(raw, Mapping):
        raise NotAdmitted(at, "not_an_object", "an object is expected here")
    unknown = sorted(str(key) for key in raw if key not in known)
    if unknown:
        # The key itself is the client's text and stays out of the message.
        raise NotAdmitted(at, "unknown_field", f"the fields here are {', '.join(sorted(known))}")
    return raw


def _choice(kind: type[_Choice], raw: object, at: str, code: str) -> _Choice:
    # Not by `raw in kind`: on Python 3.11 that raises TypeError for a plain string.
    for choice in kind:
        if raw == choice.value:
            return choice
    raise NotAdmitted(at, code, f"one of {', '.join(kind)} is expected")


def _name(raw: object, at: str) -> str | None:
    if raw is None or raw == "":
        return None
    return _string(raw, at, MAX_NAME)


def _string(raw: object, at: str, longest: int) -> str:
    if not isinstance(raw, str):
        raise NotAdmitted(at, "not_a_string", "a string is expected here")
    if len(raw) > longest:
        raise NotAdmitted(at, "too_long", f"at most {longest:,} characters")
    if "\x00" in raw:
        raise NotAdmitted(at, "nul_character", "the text contains a NUL character")
    try:
        raw.encode()
    except UnicodeEncodeError as error:
        raise NotAdmitted(at, "lone_surrogate", "the text contains half of a surrogate pair") from error
    return raw
