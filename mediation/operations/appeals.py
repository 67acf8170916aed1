"""Appealing against a decision."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from mediation import docket
from mediation.db import new_id
from mediation.models import Appeal, Case, Decision
from mediation.operations.findings import labels_on_file
from workflows.acts import Actor
from workflows.states import EscalationReason


def appeal(session: Session, case: Case, actor: Actor, now: datetime, body: Mapping[str, Any]) -> None:
    """One side appeals, once, with grounds in words; exhibits may support them. Senior staff hear it anew.

    Raises InvalidBody naming an exhibit that is not on file.
    """
    labels = list(dict.fromkeys(body.get("exhibits", [])))
    if labels:
        labels_on_file(session, case, labels, "exhibits")
    written = docket.advance(
        session,
        case,
        "appeal",
        actor,
        now,
        changes={
            f"appealed_by_{actor.side}": True,
            "escalation_reason": EscalationReason.APPEAL,
            "level": max(1, case.level),
            # The one who decided does not hear the appeal; a second appeal leaves the one who hears it in place.
            "assignee": case.assignee if case.escalation_reason == EscalationReason.APPEAL else None,
        },
        private={"grounds": body["grounds"]},
        exhibits=labels,
    )
    decision = session.scalars(
        select(Decision.id).where(Decision.case_id == case.id, Decision.status == "issued")
    ).one()
    session.execute(
        insert(Appeal),
        {
            "id": new_id(),
            "case_id": case.id,
            "decision_id": decision,
            "side": str(actor.side),
            "seq": written.seq,
            "exhibits": labels,
            "filed_at": written.at,
        },
    )
