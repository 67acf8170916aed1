"""Letting a case rest until a date, and going on where it was."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from mediation import deadlines, docket, policies
from mediation.models import Case
from mediation.operations import evidence_requests, notices
from mediation.operations.due_dates import require_ahead
from mediation.schemas import rfc3339
from workflows import working_days
from workflows.acts import Actor
from workflows.deadlines import DeadlineKind
from workflows.policies import LimitKind
from workflows.refusals import Refused
from workflows.states import SuspendGround

Body = Mapping[str, Any]
_SUSPENSION = {
    SuspendGround.AGREEMENT: LimitKind.SUSPENSION_AGREEMENT,
    SuspendGround.COURT_DOCKET: LimitKind.SUSPENSION_COURT_DOCKET,
    SuspendGround.POLICE: LimitKind.SUSPENSION_POLICE,
}


def suspend(session: Session, case: Case, actor: Actor, now: datetime, body: Body) -> None:
    """Let the case rest until a date; every deadline keeps what it has left.

    Raises Refused `due_in_the_past` or `suspension_too_long`: by agreement all suspensions of the case count together.
    """
    ground, until = SuspendGround(body["ground"]), body["until"]
    require_ahead(until, now, "until")
    latest = _latest(session, case, ground, now)
    if until > latest:
        raise Refused("suspension_too_long", field="until", ground=str(ground), latest=rfc3339(latest))
    docket.check(case, "suspend", actor, now)
    written = docket.advance(
        session,
        case,
        "suspend",
        actor,
        now,
        changes={"suspended_from": case.state, "suspension_ground": str(ground), "suspended_at": now},
        due={DeadlineKind.SUSPENSION: until},
        ground=str(ground),
        until=until.isoformat(),
    )
    notices.serve(session, case, written, "suspended", *notices.BOTH, due_at=until)


def _latest(session: Session, case: Case, ground: SuspendGround, now: datetime) -> datetime:
    book = policies.in_force(session, now)[1]
    matter = deadlines.matters(case)[0]
    limit = book.limit(_SUSPENSION[ground], matter).value
    used = case.agreement_used if ground is SuspendGround.AGREEMENT else timedelta(0)
    left = max(timedelta(seconds=limit.seconds) - used, timedelta(0))
    return working_days.due_after(limit, now, left, region=case.order.region).at


def resume(session: Session, case: Case, actor: Actor, now: datetime, body: Body) -> None:
    """The case goes on where it was, every deadline with what it had left."""
    began, ground = case.suspended_at or now, case.suspension_ground
    used = case.agreement_used + (max(now, began) - began if ground == SuspendGround.AGREEMENT else timedelta(0))
    written = docket.advance(
        session,
        case,
        "resume",
        actor,
        now,
        changes={"suspended_from": None, "suspended_at": None, "suspension_ground": None, "agreement_used": used},
    )
    notices.serve(session, case, written, "resumed", *notices.BOTH, due_at=case.due_at)
    # What was still asked for may have been shown meanwhile.
    evidence_requests.complete_if_all_done(session, case, written.at)
