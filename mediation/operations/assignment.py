"""Whose case it is: taking, giving back, passing up."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from mediation import docket
from mediation.models import Case
from workflows.acts import Actor

Body = Mapping[str, Any]


def take(session: Session, case: Case, actor: Actor, now: datetime, body: Body) -> None:
    """Make the case one's own. Raises Conflict `assigned_to_other` when somebody was faster."""
    docket.advance(session, case, "take", actor, now, changes={"assignee": actor.subject})


def release(session: Session, case: Case, actor: Actor, now: datetime, body: Body) -> None:
    """Give the case back to the queue."""
    docket.advance(session, case, "release", actor, now, changes={"assignee": None})


def escalate(session: Session, case: Case, actor: Actor, now: datetime, body: Body) -> None:
    """Pass the case up to senior staff; it is nobody's until one of them takes it."""
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
