"""Interests that staff declare in a party, and which bar them from its cases."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from mediation.db import new_id
from mediation.errors import NotFound
from mediation.models import Interest
from workflows.acts import Actor
from workflows.states import Role


def declare(session: Session, actor: Actor, now: datetime, body: Mapping[str, Any]) -> Interest:
    """Declare one's own interest in a party. A second declaration of the same is refused by the database."""
    interest = Interest(
        id=new_id(),
        marketplace=actor.marketplace,
        subject=actor.subject,
        side=body["side"],
        party=body["party"],
        declared_at=now,
    )
    session.add(interest)
    session.flush()
    return interest


def end(session: Session, actor: Actor, now: datetime, interest_id: uuid.UUID) -> Interest:
    """End a declared interest: one's own, or anyone's for a supervisor. The row stays. Raises NotFound."""
    query = select(Interest).where(
        Interest.id == interest_id, Interest.marketplace == actor.marketplace, Interest.ended_at.is_(None)
    )
    if actor.role is not Role.SUPERVISOR:
        query = query.where(Interest.subject == actor.subject)
    interest = session.scalar(query.with_for_update())
    if interest is None:
        raise NotFound()
    interest.ended_at = now
    session.flush()
    return interest
