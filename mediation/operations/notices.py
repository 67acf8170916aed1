"""Telling people: notices, each served with the docket entry that it tells of."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import insert
from sqlalchemy.orm import Session

from mediation import docket
from mediation.db import new_id
from mediation.models import Case, Notice
from workflows.acts import Actor
from workflows.states import Side, WaitingOn

BOTH = (Side.BUYER, Side.SELLER)
SUPERVISOR = "supervisor"


def serve(
    session: Session, case: Case, written: docket.Written, kind: str, *served_on: str, due_at: datetime | None = None
) -> None:
    """Serve a notice of what was just entered on each of these."""
    session.execute(
        insert(Notice),
        [
            {
                "id": new_id(),
                "case_id": case.id,
                "seq": written.seq,
                "kind": kind,
                "served_on": str(who),
                "served_at": written.at,
                "due_at": due_at,
            }
            for who in served_on
        ],
    )


def sides_waited_on(case: Case) -> tuple[Side, ...]:
    """The sides whose turn it is."""
    if case.waiting_on == WaitingOn.BOTH:
        return BOTH
    return tuple(side for side in BOTH if case.waiting_on == side)


def remind_seller(session: Session, case: Case, actor: Actor, now: datetime, body: Mapping[str, Any]) -> None:
    """Remind the seller that the case waits on them; served as a notice."""
    written = docket.advance(session, case, "remind_seller", actor, now)
    serve(session, case, written, "reminder", Side.SELLER, due_at=case.due_at)
