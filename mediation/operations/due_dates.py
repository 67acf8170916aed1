"""Dates that people name: until when evidence is awaited, how far a deadline is extended.

Each must lie ahead and within what the policies allow; the refusal names the latest date and the row it comes from.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from mediation import deadlines, docket
from mediation.models import Case
from mediation.operations import notices
from mediation.schemas import rfc3339
from workflows.acts import Actor
from workflows.deadlines import OWN, DeadlineKind
from workflows.policies import LimitKind
from workflows.refusals import Refused
from workflows.states import CaseState

Body = Mapping[str, Any]


def require_within(session: Session, case: Case, now: datetime, named: datetime, most: LimitKind) -> None:
    """Raises Refused `due_in_the_past` or `due_too_far`, naming `due`, unless it lies within the longest allowed."""
    require_ahead(named, now, "due")
    longest = deadlines.longest(session, case, most, now)
    if named > longest.due.at:
        raise Refused("due_too_far", field="due", latest=rfc3339(longest.due.at), row=longest.row)


def require_ahead(named: datetime, now: datetime, field: str) -> None:
    """Raises Refused `due_in_the_past` naming the field."""
    if named <= now:
        raise Refused("due_in_the_past", field=field, now=rfc3339(now))


def extend(session: Session, case: Case, actor: Actor, now: datetime, body: Body) -> None:
    """Give the party whom the case waits on more time. Both sides are told.

    Raises Refused `due_in_the_past`, `not_an_extension` or `due_too_far`: all extensions of one deadline together stay
    within the policies.
    """
    docket.check(case, "extend", actor, now)
    # A case from before there were clocks gets its own first, so that there is something to extend.
    docket.record_deadlines(session, case, "clock_started", now)
    running = {one.kind: one for one in deadlines.running(session, case.id)}
    own = running.get(OWN[CaseState(case.state)]) or running.get(DeadlineKind.CONFIRMATION)
    assert own is not None and own.due_at is not None, "a state that waits on a party has a clock of its own"
    require_ahead(body["due"], now, "due")
    if body["due"] <= own.due_at:
        raise Refused("not_an_extension", field="due", due=rfc3339(own.due_at))
    longest = deadlines.longest(session, case, LimitKind.EXTENSION_LONGEST, own.due_at - own.extended, now=now)
    if body["due"] > longest.due.at:
        raise Refused("due_too_far", field="due", latest=rfc3339(longest.due.at), row=longest.row)
    written = docket.advance(
        session,
        case,
        "extend",
        actor,
        now,
        private={"reason": body["reason"]},
        due={own.kind: body["due"]},
        kind=own.kind,
        until=body["due"].isoformat(),
    )
    notices.serve(session, case, written, "deadline_extended", *notices.BOTH, due_at=body["due"])
