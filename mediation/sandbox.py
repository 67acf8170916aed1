"""What a sandbox is set to: how far its time was moved on, and how its gateway behaves.

Both are on file, so that the API and every worker of the deployment agree on them.
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from mediation.models import Sandbox

_ROW = 1
_AHEAD = select(Sandbox.ahead).where(Sandbox.id == _ROW)


class GatewayMode(StrEnum):
    """How a sandbox's gateway behaves: as it is, refusing, never answering, or paying and answering twice."""

    PASS = "pass"  # noqa: S105 - a way to behave, no password
    FAIL = "fail"
    STALL = "stall"
    TWICE = "twice"


def ahead(session: Session) -> timedelta:
    """How far the time of cases is ahead of the machine's."""
    return session.scalar(_AHEAD) or timedelta(0)


def move_on(session: Session, to: timedelta) -> None:
    """Set how far time is ahead; it never goes back, whoever else moves it at the same moment."""
    row = insert(Sandbox).values(id=_ROW, ahead=to)
    session.execute(
        row.on_conflict_do_update(
            index_elements=["id"], set_={"ahead": row.excluded.ahead}, where=Sandbox.ahead < row.excluded.ahead
        )
    )


def gateway_mode(session: Session) -> GatewayMode:
    """How the gateway behaves."""
    return GatewayMode(session.scalar(select(Sandbox.gateway).where(Sandbox.id == _ROW)) or GatewayMode.PASS)


def set_gateway_mode(session: Session, mode: GatewayMode) -> None:
    """Make the gateway behave so from now on."""
    row = insert(Sandbox).values(id=_ROW, gateway=mode)
    session.execute(row.on_conflict_do_update(index_elements=["id"], set_={"gateway": row.excluded.gateway}))
