"""The conversation inside a case. A message is a docket entry, so it can be neither changed nor taken back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from mediation import docket
from mediation.models import Case
from mediation.operations.exhibits import require_fileable
from workflows.acts import Actor

MESSAGE = "message_posted"


def post(session: Session, case: Case, actor: Actor, now: datetime, body: Mapping[str, Any]) -> docket.Written:
    """Post a message to all on the case, or (staff) an internal note. Raises Conflict `case_final` after the end."""
    require_fileable(case)
    return docket.record(
        session, case, MESSAGE, actor, now, private={"text": body["text"]}, visibility=body["visibility"]
    )
