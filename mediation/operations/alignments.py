"""Two chat logs on file compared as copies of one conversation. Reads, waits for nobody and locks nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from evidence.transcripts.alignment import Alignment, align
from evidence.transcripts.differences import Difference
from evidence.transcripts.normal import Attachment, Message, MessageKind, Sender, SenderRole
from mediation.errors import InvalidBody
from mediation.models import Exhibit, ExhibitMessage, ExhibitMessageOpening

#: Messages of all pairs that the findings of one decision compare: it is done anew, and the case waits meanwhile.
MAX_COMPARED = 200_000
#: Differences cited in one decision.
MAX_CITED = 500
#: What of a difference is kept with a finding: whole numbers and closed lists, no measure.
_KEPT = ("kind", "left_seq", "right_seq", "left_until", "right_until", "left_span", "right_span", "silent")

_AT_A_TIME = 1_000


@dataclass(frozen=True, slots=True)
class ChatLog:
    """The messages of an exhibit in order, and the numbers of those whose words were taken out."""

    messages: list[Message]
    erased: frozenset[int]


def chat_log(session: Session, exhibit: Exhibit) -> ChatLog:
    """What is needed of an exhibit's messages to compare them, read a thousand at a time."""
    message, opening = ExhibitMessage, ExhibitMessageOpening
    lasting = _in_order(session, message, exhibit, message.role, message.sent_at, message.kind)
    erasable = _in_order(session, opening, exhibit, opening.text, opening.sender, opening.attachments)
    found: list[Message] = []
    erased: set[int] = set()
    senders: dict[tuple[str, str | None, str | None], Sender] = {}
    # Side by side and not joined: of what was filed a moment ago the database does not know yet that it is much, and
    # would look for each message among all.
    for (seq, role, sent_at, kind), (_, text, sender, attachments) in zip(lasting, erasable, strict=True):
        named = sender or {}
        who = (role, named.get("id"), named.get("name"))
        if who not in senders:
            # Kept once: a log has many messages and few senders.
            senders[who] = Sender(SenderRole(role), who[1], who[2])
        files = tuple(Attachment(one["name"], one.get("media_type"), one.get("sha256")) for one in attachments or ())
        found.append(Message(seq, senders[who], sent_at, MessageKind(kind), text or "", files))
        if text is None:
            erased.add(seq)
    return ChatLog(found, frozenset(erased))


def _in_order(
    session: Session, part: type[ExhibitMessage | ExhibitMessageOpening], exhibit: Exhibit, *columns: Any
) -> Iterable[Any]:
    return session.execute(
        select(part.seq, *columns)
        .where(part.case_id == exhibit.case_id, part.exhibit_id == exhibit.id)
        .order_by(part.seq)
        .execution_options(yield_per=_AT_A_TIME)
    )


def compare(left: ChatLog, right: ChatLog) -> Alignment:
    """The alignment of two chat logs; where words were taken out it is told as such."""
    return align(left.messages, right.messages, left_erased=left.erased, right_erased=right.erased)


def texts(session: Session, exhibit: Exhibit, seqs: Collection[int]) -> dict[int, str | None]:
    """The texts of some messages as they are now, None where they were taken out."""
    opening = ExhibitMessageOpening
    rows = session.execute(
        select(opening.seq, opening.text).where(
            opening.case_id == exhibit.case_id, opening.exhibit_id == exhibit.id, opening.seq.in_(seqs)
        )
    )
    return {row.seq: row.text for row in rows}


def cited(
    session: Session, exhibits: Mapping[str, Exhibit], stated: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """The differences that findings cite, by the place where they do, as they are kept: positions, and no words.

    Raises InvalidBody naming the place: an exhibit that is no chat log or is compared with itself, a difference that
    does not stand between the two now; or more of them, or more messages, than are compared at once.
    """
    _require_comparable(exhibits, stated)
    standing: dict[tuple[str, str], dict[tuple[Any, ...], Difference]] = {}
    kept: dict[str, dict[str, Any]] = {}
    errors: dict[str, list[str]] = {}
    for place, one in stated.items():
        pair = one["left"], one["right"]
        if pair not in standing:
            left, right = (chat_log(session, exhibits[label]) for label in pair)
            found = compare(left, right)
            standing[pair] = _by_position(found)
            standing[pair[::-1]] = _by_position(found.mirrored())
        difference = standing[pair].get((one["kind"], one["left_seq"], one["right_seq"]))
        if difference is None:
            errors[place] = [f"No such difference stands between {pair[0]} and {pair[1]}."]
            continue
        plain = difference.as_dict()
        kept[place] = {"left": pair[0], "right": pair[1]} | {name: plain[name] for name in _KEPT if name in plain}
    if errors:
        raise InvalidBody(errors=errors)
    return kept


def _by_position(alignment: Alignment) -> dict[tuple[Any, ...], Difference]:
    return {(one.kind.value, one.left_seq, one.right_seq): one for one in alignment.differences}


def _require_comparable(exhibits: Mapping[str, Exhibit], stated: Mapping[str, Mapping[str, Any]]) -> None:
    if len(stated) > MAX_CITED:
        raise InvalidBody(errors={"findings": [f"Must cite {MAX_CITED} differences at most."]})
    pairs = {frozenset((one["left"], one["right"])) for one in stated.values()}
    if sum(exhibits[label].message_count or 0 for pair in pairs for label in pair) > MAX_COMPARED:
        raise InvalidBody(errors={"findings": [f"Must compare {MAX_COMPARED:,} messages at most."]})
    errors: dict[str, list[str]] = {}
    for place, one in stated.items():
        for side in ("left", "right"):
            if exhibits[one[side]].message_count is None:
                errors[f"{place}.{side}"] = [f"{one[side]} is not a chat log."]
        if one["left"] == one["right"]:
            errors[f"{place}.right"] = ["Must be another exhibit than the left one."]
    if errors:
        raise InvalidBody(errors=errors)
