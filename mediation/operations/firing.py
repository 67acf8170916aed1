"""What a deadline does when its time is over: one function for each name that `fires` can have."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from mediation import deadlines, docket
from mediation.models import Case, Refund
from mediation.operations import assignment, decisions, evidence_requests, negotiation, performance, refunds, suspending
from mediation.operations.refunds import UNDER_WAY
from workflows.deadlines import DeadlineKind
from workflows.policies import LimitKind

Fire = Callable[[Session, Case, datetime], None]


def _notify_seller(session: Session, case: Case, now: datetime) -> None:
    negotiation.notify_seller(session, case, docket.CLOCK, now, {})


def _request_mediation(session: Session, case: Case, now: datetime) -> None:
    negotiation.request_mediation(session, case, docket.CLOCK, now, {})


def _finalise(session: Session, case: Case, now: datetime) -> None:
    decisions.finalise(session, case, docket.CLOCK, now)


def _resume(session: Session, case: Case, now: datetime) -> None:
    suspending.resume(session, case, docket.CLOCK, now, {})


def _fail_refund(session: Session, case: Case, now: datetime) -> None:
    """Nobody knows what became of the payment; whoever settles it late still finds the case escalated for it.

    A payment that nobody has tried has not failed: where no worker lived to try it, its time begins now.
    """
    refund = session.scalars(select(Refund).where(Refund.case_id == case.id, Refund.status.in_(UNDER_WAY))).one()
    if refund.attempts == 0:
        until = deadlines.longest(session, case, LimitKind.REFUND, now).due.at
        docket.record_deadlines(session, case, "payment_awaited", now, due={DeadlineKind.REFUND: until})
        return
    refunds.fail(session, refund.id, now, failure="no final answer in time", actor=docket.CLOCK)


FIRES: dict[str, Fire] = {
    "notify_seller": _notify_seller,
    "agree": negotiation.agree_by_silence,
    "request_mediation": _request_mediation,
    "expire_offer": negotiation.expire_offer,
    "lapse": negotiation.lapse,
    "conclude_inspection": performance.conclude_inspection,
    "refund_in_place": performance.refund_in_place,
    "conclude_performance": performance.conclude_performance,
    "escalate": assignment.escalate_by_time,
    "default_evidence": evidence_requests.default,
    "raise_level": assignment.raise_level,
    "finalise": _finalise,
    "fail_refund": _fail_refund,
    "resume": _resume,
}
