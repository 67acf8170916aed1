"""Redactions: who asks for one, who approves it, and what is entered. What the law says must go, goes.

Before a case was decided a mediator redacts; afterwards senior staff has to agree, since decisions stand on what is
taken away.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from evidence.custody import CustodyAct
from evidence.store import BlobStore
from mediation import docket
from mediation.db import new_id
from mediation.errors import Gone, InvalidBody, NotFound
from mediation.models import Case, Exhibit, Redaction
from mediation.operations import custody, erasing
from mediation.operations.finding_words import Places, Words, find
from mediation.schemas import rfc3339
from mediation.sight import ERASED_OF_STAFF
from workflows.acts import Act, Actor
from workflows.guards import no_interest
from workflows.refusals import Conflict, NotPermitted
from workflows.states import FINAL_STATES, Role, Side

APPROVERS = frozenset({Role.SENIOR, Role.SUPERVISOR})
PENDING, DONE, REJECTED = "pending", "done", "rejected"

Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Target:
    """What is to go: messages of an exhibit, the whole of one that is no chat log, or all that came from a side."""

    exhibit: Exhibit | None = None
    seqs: tuple[int, ...] = ()
    side: Side | None = None


def of_messages(exhibit: Exhibit, body: Body) -> Target:
    """The messages that are named, each once and in order. Raises InvalidBody naming the one that is not there."""
    named = body.get("seqs")
    if exhibit.message_count is None:
        if named:
            raise InvalidBody(errors={"seqs": [f"Must be left out: {exhibit.label} is no chat log."]})
        return Target(exhibit)
    if not named:
        raise InvalidBody(errors={"seqs": [f"Must name messages of {exhibit.label}."]})
    errors = {
        f"seqs.{n}": [f"{exhibit.label} has messages 1 to {exhibit.message_count}."]
        for n, seq in enumerate(named)
        if seq > exhibit.message_count
    }
    if errors:
        raise InvalidBody(errors=errors)
    return Target(exhibit, tuple(sorted(set(named))))


def of_side(case: Case, side: str) -> Target:
    """All that came from one side. Raises Conflict `case_not_final` while the case stands on it."""
    if case.state not in FINAL_STATES:
        raise Conflict("case_not_final")
    return Target(side=Side(side))


def foreseen(session: Session, blobs: BlobStore, case: Case, target: Target) -> dict[str, Any]:
    """What would be erased; nothing is written."""
    return erasing.told(session, case, _everywhere(session, blobs, case, target))


def request(
    session: Session, blobs: BlobStore, case: Case, actor: Actor, now: datetime, *, target: Target, body: Body
) -> Redaction:
    """Redact, or ask senior staff to, where the case was decided and the actor is a mediator.

    Raises InvalidBody where the note says again what is to go. Irreversible where it is done.
    """
    _, words = _marked(session, blobs, case, target)
    if words.in_text(body.get("note")):
        # Such a note would keep in the record what is taken out of it.
        raise InvalidBody(errors={"note": ["Must not repeat what is to be erased."]})
    private = {"note": body["note"]} if "note" in body else {}
    row = Redaction(
        id=new_id(),
        case_id=case.id,
        exhibit_id=None if target.exhibit is None else target.exhibit.id,
        seqs=list(target.seqs),
        side=target.side,
        reason=body["reason"],
        requested_by=actor.subject,
        requested_at=now,
        erased={},
    )
    if case.decisions_issued and actor.role not in APPROVERS:
        written = docket.record(
            session,
            case,
            "redaction_requested",
            actor,
            now,
            private=private,
            visibility=docket.STAFF_SEE,
            redaction=str(row.id),
            **_what(target, row),
        )
        row.status, row.seq, row.requested_at = PENDING, written.seq, written.at
    else:
        places = _everywhere(session, blobs, case, target)
        done = _Doing(session, case, actor, now, target, row)
        row.seq, row.status = done.write(places, private, approved=False), DONE
    session.add(row)
    session.flush()
    return row


def approve(session: Session, blobs: BlobStore, case: Case, actor: Actor, now: datetime, *, one: Redaction) -> None:
    """Do what waits for approval, wherever it stands by now. Irreversible.

    Raises Conflict `already_answered`, NotPermitted `own_request`.
    """
    _require_answerable(actor, one)
    target = _target_of(session, one)
    places = _everywhere(session, blobs, case, target)
    _Doing(session, case, actor, now, target, one).write(places, {}, approved=True)
    one.status, one.answered_by, one.answered_at = DONE, actor.subject, now
    session.flush()


def reject(session: Session, case: Case, actor: Actor, now: datetime, *, one: Redaction) -> None:
    """Say no to what waits for approval. Raises as `approve` does."""
    _require_answerable(actor, one)
    docket.record(session, case, "redaction_rejected", actor, now, visibility=docket.STAFF_SEE, redaction=str(one.id))
    one.status, one.answered_by, one.answered_at = REJECTED, actor.subject, now
    session.flush()


def require_disinterested(case: Case, actor: Actor, now: datetime) -> None:
    """Raises NotPermitted `interest_declared` for staff that has an interest in a party of the case."""
    no_interest(case, Act(actor, now))


def read_anew(session: Session, redaction_id: uuid.UUID) -> Redaction:
    """The redaction as it is now that its case is locked. Raises NotFound."""
    found = session.scalar(
        select(Redaction).where(Redaction.id == redaction_id).execution_options(populate_existing=True)
    )
    if found is None:
        raise NotFound()
    return found


def tombstone(session: Session, exhibit: Exhibit) -> Gone:
    """What is answered where the bytes of an exhibit stood: when they went, and why."""
    done_at = func.coalesce(Redaction.answered_at, Redaction.requested_at)
    reason = session.scalar(
        select(Redaction.reason)
        .where(
            Redaction.case_id == exhibit.case_id,
            Redaction.status == DONE,
            Redaction.erased["exhibits"].contains([exhibit.label]),
            done_at <= exhibit.redacted_at,
        )
        .order_by(done_at.desc())
        .limit(1)
    )
    return Gone(redacted_at=rfc3339(exhibit.redacted_at), reason=reason)


def _require_answerable(actor: Actor, one: Redaction) -> None:
    if one.status != PENDING:
        raise Conflict("already_answered")
    if one.requested_by == actor.subject:
        raise NotPermitted("own_request")


def _target_of(session: Session, one: Redaction) -> Target:
    if one.side is not None:
        return Target(side=Side(one.side))
    return Target(session.get_one(Exhibit, one.exhibit_id), tuple(one.seqs))


def _what(target: Target, row: Redaction) -> dict[str, Any]:
    if target.exhibit is None:
        return {"side": target.side, "reason": row.reason}
    return {"exhibit": target.exhibit.label, "seqs": list(target.seqs), "reason": row.reason}


def _marked(session: Session, blobs: BlobStore, case: Case, target: Target) -> tuple[Places, Words]:
    """What was asked for, and the words to look for elsewhere."""
    if target.exhibit is not None:
        places, words = erasing.of_exhibit(session, blobs, case, target.exhibit, list(target.seqs))
    else:
        assert target.side is not None
        places, words = erasing.of_side(session, blobs, case, target.side)
    return places, Words(words)


def _everywhere(session: Session, blobs: BlobStore, case: Case, target: Target) -> Places:
    """What was asked for, and wherever else the same words stand."""
    places, words = _marked(session, blobs, case, target)
    if words:
        find(session, blobs, case, words, places)
    if target.side is not None and erasing.needed_elsewhere(session, case, target.side):
        places.remains.add(target.side.value)
    return places


@dataclass(frozen=True, slots=True)
class _Doing:
    """One redaction that is done now, in the transaction of whoever calls."""

    session: Session
    case: Case
    actor: Actor
    now: datetime
    target: Target
    row: Redaction

    def write(self, places: Places, private: Mapping[str, Any], *, approved: bool) -> int:
        """Enter where, and empty it; answers the number of the entry."""
        session, case, target = self.session, self.case, self.target
        told = erasing.told(session, case, places)
        open_part, of_staff = erasing.divided(session, case, told)
        hidden = target.exhibit is not None and target.exhibit.visibility == docket.STAFF_SEE
        touched = session.scalars(
            select(Exhibit).where(Exhibit.id.in_(places.blobs | places.names | set(places.messages)))
        ).all()
        written = docket.record(
            session,
            case,
            "redacted",
            self.actor,
            self.now,
            private={**private, **({ERASED_OF_STAFF: of_staff} if any(of_staff.values()) else {})},
            visibility=docket.STAFF_SEE if hidden else docket.PARTIES_SEE,
            redaction=str(self.row.id),
            approved=approved,
            erased=open_part,
            **_what(target, self.row),
        )
        custody.record_all(session, touched, self.actor, written.at, CustodyAct.redacted, redaction=str(self.row.id))
        answers = erasing.empty(session, case, places, written.at, side=target.side)
        self.row.erased = {**told, "answers": answers}
        return written.seq
