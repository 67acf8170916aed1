"""Money on its way back: asked for in the case's transaction, sent and settled outside it, never twice.

A refund's id is the gateway's idempotency key over every try. What a gateway says is applied once, whoever brings
it: the sender's own answer, a callback, or a repeated or late one.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from mediation import docket
from mediation.db import new_id
from mediation.errors import InvalidBody, NotFound
from mediation.models import Case, Exhibit, Refund, RefundStatus
from mediation.operations import holding, ledger
from workflows.acts import Actor
from workflows.states import EscalationReason, Role

GATEWAY = Actor(Role.GATEWAY, "gateway", "gateway", "-")
SYSTEM = docket.SYSTEM
#: Pauses between tries double up to this many times the first one.
LONGEST_PAUSE = 720
FAR_OFF = timedelta(days=36_500)
#: Due by every clock: payments go by the machine's time, and what orders them by that of the case.
AT_ONCE = datetime(1970, 1, 1, tzinfo=UTC)
UNDER_WAY = (RefundStatus.REQUESTED, RefundStatus.SENT)
#: What can be told of a payment that our book has closed otherwise; kept on the refund for people to look into.
PAID_TWICE = "paid_after_settled_elsewhere"
TWO_REFERENCES = "settled_under_two_references"
log = structlog.get_logger("mediation.refunds")


def request(session: Session, case: Case, now: datetime) -> None:
    """Order the refund that the case has come to. The worker finds the row; nothing leaves before the commit."""
    remedy = case.remedy or {}
    session.execute(
        insert(Refund),
        {
            "id": new_id(),
            "case_id": case.id,
            "order_id": case.order_id,
            "purpose": max(remedy["purposes"], key=remedy["purposes"].__getitem__),
            "purposes": remedy["purposes"],
            "amount_minor": remedy["amount_minor"],
            "currency": remedy["currency"],
            "status": RefundStatus.REQUESTED,
            "requested_at": now,
            "tries_since": None,
            "next_try_at": AT_ONCE,
        },
    )
    session.info["refund_requested"] = True


def due(session: Session, now: datetime, *, limit: int = 500) -> list[uuid.UUID]:
    """The refunds whose next try is due, oldest first."""
    query = select(Refund.id).where(Refund.status.in_(UNDER_WAY), Refund.next_try_at <= now)
    return list(session.scalars(query.order_by(Refund.next_try_at).limit(limit)))


def in_hand(session: Session, *, since: datetime) -> bool:
    """Whether a refund was first taken for a try since then, and nothing is known of its fate."""
    taken = (Refund.status == RefundStatus.SENT) & (Refund.attempts == 1) & (Refund.tries_since >= since)
    return session.scalar(select(Refund.id).where(taken).limit(1)) is not None


def claim(
    session: Session,
    refund_id: uuid.UUID,
    gateway: str,
    now: datetime,
    pause: timedelta,
    *,
    give_up_after: timedelta = FAR_OFF,
) -> Refund | None:
    """Take a due refund for one try, or None if it is not due any more or somebody else has it.

    The try is counted and the next one set before anything is sent: a worker that dies in between costs a pause,
    never a payment. Pauses grow; the last try falls on the end of `give_up_after`. The refund keeps the first gateway
    that it was taken for, and the caller must send it through no other.
    """
    refund = session.scalar(
        select(Refund)
        .where(Refund.id == refund_id, Refund.status.in_(UNDER_WAY), Refund.next_try_at <= now)
        .with_for_update(skip_locked=True),
        execution_options={"populate_existing": True},
    )
    if refund is None:
        return None
    refund.status = RefundStatus.SENT
    refund.gateway = refund.gateway or gateway
    refund.tries_since = refund.tries_since or now
    growing = pause * min(2**refund.attempts, LONGEST_PAUSE)
    left = give_up_after - (now - refund.tries_since)
    refund.next_try_at = now + min(growing, max(left, pause))
    refund.attempts += 1
    session.flush()
    return refund


def lock_case_under_way(session: Session, refund_id: uuid.UUID) -> Case | None:
    """The case of a refund that is still under way, both locked; None if its fate was settled meanwhile."""
    case, refund = _locked(session, refund_id)
    return case if refund.status in UNDER_WAY else None


def settle(
    session: Session, refund_id: uuid.UUID, now: datetime, *, reference: str | None, actor: Actor = GATEWAY
) -> bool:
    """The money has left. True if that was news; False if it was known, or came too late to matter to the case.

    Raises NotFound. A payment reported after senior staff settled elsewhere is kept as an anomaly on the refund, and
    so is one that is reported again under another reference: in both the money may have left twice.
    """
    case, refund = _locked(session, refund_id)
    if refund.status in (RefundStatus.SETTLED, RefundStatus.SETTLED_ELSEWHERE):
        _compare(session, refund, reference)
        return False
    # The order before the lines that the end of the case frees: whoever opens a case locks them in this order too.
    holding.settle(session, case)
    docket.advance(
        session,
        case,
        "settle_refund",
        actor,
        now,
        changes={"escalation_reason": None, "level": 0},
        refund=str(refund.id),
        gateway_reference=reference,
        amount_minor=refund.amount_minor,
    )
    refund.status, refund.settled_at, refund.gateway_reference = RefundStatus.SETTLED, case.updated_at, reference
    refund.failure = None
    ledger.enter_refund(session, case, refund, case.updated_at)
    session.flush()
    return True


def _compare(session: Session, refund: Refund, reference: str | None) -> None:
    """What is told once more of a refund that our book has closed already: only a contradiction matters."""
    known = refund.gateway_reference
    if refund.status == RefundStatus.SETTLED_ELSEWHERE:
        refund.anomaly, refund.gateway_reference = PAID_TWICE, known or reference
    elif known is None:
        refund.gateway_reference = reference
    elif reference is not None and reference != known:
        refund.anomaly = TWO_REFERENCES
    if refund.anomaly is not None:
        log.error("refund_anomaly", refund=str(refund.id), anomaly=refund.anomaly)
    session.flush()


def fail(
    session: Session,
    refund_id: uuid.UUID,
    now: datetime,
    *,
    failure: str,
    actor: Actor = GATEWAY,
    only_if_sent: bool = False,
) -> bool:
    """The refund did not go through, or nobody knows: senior staff must look. False if the case had moved on.

    `only_if_sent` is for news that may be old: a refund that is yet to be sent (again) cannot have failed, so what is
    told then is about an earlier try. The money stays reserved. Raises NotFound.
    """
    case, refund = _locked(session, refund_id)
    expected = (RefundStatus.SENT,) if only_if_sent else UNDER_WAY
    if refund.status not in expected:
        return False
    docket.advance(
        session,
        case,
        "fail_refund",
        actor,
        now,
        changes={"escalation_reason": EscalationReason.REFUND_FAILED, "level": 1, "assignee": None},
        # The gateway's own words: nobody knows what is in them, so they must be erasable.
        private={"failure": failure},
        refund=str(refund.id),
    )
    refund.status, refund.failure = RefundStatus.FAILED, failure
    session.flush()
    return True


def retry(session: Session, case: Case, actor: Actor, now: datetime, body: Mapping[str, Any]) -> None:
    """Send the failed refund again under the same key, so that a gateway that did pay says so instead of paying."""
    docket.advance(
        session, case, "retry_refund", actor, now, changes={"escalation_reason": None, "level": 0, "assignee": None}
    )
    refund = _failed(session, case)
    refund.status, refund.failure, refund.attempts = RefundStatus.REQUESTED, None, 0
    refund.next_try_at, refund.tries_since = AT_ONCE, None
    session.flush()
    session.info["refund_requested"] = True


def settle_elsewhere(session: Session, case: Case, actor: Actor, now: datetime, body: Mapping[str, Any]) -> None:
    """The money went another way, and an exhibit on file proves it. Irreversible: the case is refunded."""
    proof = session.scalar(
        select(Exhibit).where(
            # The docket names it to both sides, so both must be able to see it.
            Exhibit.case_id == case.id,
            Exhibit.label == body["proof"],
            Exhibit.visibility == docket.PARTIES_SEE,
        )
    )
    if proof is None:
        raise InvalidBody(
            errors={"proof": ["Must be the label of an exhibit on file for both sides to see, such as M-1."]}
        )
    holding.settle(session, case)
    docket.advance(
        session,
        case,
        "settle_elsewhere",
        actor,
        now,
        changes={"escalation_reason": None, "level": 0},
        proof=proof.label,
    )
    refund = _failed(session, case)
    refund.status, refund.settled_at = RefundStatus.SETTLED_ELSEWHERE, case.updated_at
    ledger.enter_refund(session, case, refund, case.updated_at)
    session.flush()


def _locked(session: Session, refund_id: uuid.UUID) -> tuple[Case, Refund]:
    case_id = session.scalar(select(Refund.case_id).where(Refund.id == refund_id))
    if case_id is None:
        raise NotFound("There is no such refund.")
    case = docket.lock_for_system(session, case_id)
    refund = session.scalars(
        select(Refund).where(Refund.id == refund_id).with_for_update(),
        execution_options={"populate_existing": True},
    ).one()
    return case, refund


def _failed(session: Session, case: Case) -> Refund:
    query = select(Refund).where(Refund.case_id == case.id, Refund.status == RefundStatus.FAILED)
    return session.scalars(query.with_for_update()).one()
