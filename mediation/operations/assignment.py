"""Whose case it is: taking, giving back, passing up."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from mediation import docket, policies
from mediation.models import Case
from mediation.operations import notices
from workflows.acts import Act, Actor
from workflows.guards import may_hear_appeal, no_interest
from workflows.refusals import Refused
from workflows.states import EscalationReason

Body = Mapping[str, Any]


def take(session: Session, case: Case, actor: Actor, now: datetime, body: Body) -> None:
    """Make the case one's own. Raises Conflict `assigned_to_other` when somebody was faster."""
    docket.advance(session, case, "take", actor, now, changes={"assignee": actor.subject})


def release(session: Session, case: Case, actor: Actor, now: datetime, body: Body) -> None:
    """Give the case back to the queue."""
    docket.advance(session, case, "release", actor, now, changes={"assignee": None})


def hand_over(session: Session, case: Case, actor: Actor, now: datetime, body: Body) -> None:
    """Give the case to a colleague who knows its category, with the buyer's consent.

    Raises Refused `consent_needed`, `unknown_category` or `own_hand_over`, NotPermitted `interest_declared` where the
    colleague has an interest in a party, `own_decision_appealed` where they decided what is appealed against.
    """
    if not body["consent"]:
        raise Refused("consent_needed", field="consent")
    _require_category(session, body["category"], now)
    if body["to"] == actor.subject:
        raise Refused("own_hand_over", field="to")
    docket.check(case, "hand_over", actor, now)
    colleague = docket.with_interests(session, Actor(actor.role, body["to"], body["to"], actor.marketplace))
    for fits in (no_interest, may_hear_appeal):
        fits(case, Act(colleague, now))
    docket.advance(
        session,
        case,
        "hand_over",
        actor,
        now,
        changes={"assignee": body["to"]},
        # Whom it goes to is a person's name, and why is a person's words.
        private={"note": {"to": body["to"], "reason": body["reason"]}},
        category=body["category"],
        consent=body["consent"],
    )


def _require_category(session: Session, category: str, now: datetime) -> None:
    known = policies.in_force(session, now)[1].categories
    if category not in known:
        raise Refused("unknown_category", field="category", value=category, known=", ".join(sorted(known)))


def raise_level(session: Session, case: Case, now: datetime) -> None:
    """Nobody took up what was escalated: it goes a level higher, and a supervisor is told."""
    written = docket.advance(
        session, case, "raise_level", docket.CLOCK, now, changes={"level": case.level + 1}, level=case.level + 1
    )
    notices.serve(session, case, written, "level_raised", notices.SUPERVISOR, due_at=case.due_at)


def escalate_by_time(session: Session, case: Case, now: datetime) -> None:
    """No mediator decided in time: senior staff take over."""
    escalate(session, case, docket.CLOCK, now, {"reason": EscalationReason.NO_MEDIATOR_DECISION})


def escalate(session: Session, case: Case, actor: Actor, now: datetime, body: Body) -> None:
    """Pass the case up to senior staff; it is nobody's until one of them takes it."""
    if "category" in body:
        _require_category(session, body["category"], now)
    note = {"note": body["note"]} if "note" in body else None
    told = {name: body[name] for name in ("category", "consent") if name in body}
    docket.advance(
        session,
        case,
        "escalate",
        actor,
        now,
        changes={"assignee": None, "level": 1, "escalation_reason": body["reason"]},
        private=note,
        visibility=docket.PARTIES_SEE,
        reason=body["reason"],
        **told,
    )
