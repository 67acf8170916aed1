"""Decisions and appeals. Their words (reasons, findings, grounds) stand in the docket entry that `seq` names.

Findings hold quotes as positions (exhibit, seq, start, length), never as copies.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from mediation.db import Base, new_id


class Decision(Base):
    """A decision: pending until it is issued, final or overturned afterwards. Sums are minor units of `currency`.

    `number` counts all that were made in the case, `issued_number` those that were issued.
    """

    __tablename__ = "decisions"
    __table_args__ = (
        UniqueConstraint("case_id", "number"),
        Index(
            "uq_decisions_standing",
            "case_id",
            unique=True,
            postgresql_where=text("status IN ('pending', 'issued')"),
        ),
        CheckConstraint(
            "status IN ('pending', 'issued', 'final', 'overturned', 'returned', 'superseded', 'upheld', 'void')",
            name="status",
        ),
        CheckConstraint("amount_minor >= 0", name="amount"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    case_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("cases.id"))
    number: Mapped[int]
    issued_number: Mapped[int | None]
    seq: Mapped[int]
    status: Mapped[str]
    on_appeal: Mapped[bool]
    upholds: Mapped[bool]
    outcome: Mapped[str]
    remedy_kind: Mapped[str]
    amount_minor: Mapped[int]
    currency: Mapped[str]
    freight_bearer: Mapped[str | None]
    freight_minor: Mapped[int] = mapped_column(server_default="0")
    return_required: Mapped[bool] = mapped_column(server_default=text("true"))
    blame: Mapped[str | None]
    dispositions: Mapped[list[Any]]
    liability: Mapped[list[Any]]
    decided_by: Mapped[str]
    decided_at: Mapped[datetime]
    approved_by: Mapped[str | None]
    issued_at: Mapped[datetime | None]
    final_at: Mapped[datetime | None]


class Appeal(Base):
    """One side's appeal against a decision; once a side."""

    __tablename__ = "appeals"
    __table_args__ = (UniqueConstraint("decision_id", "side"), Index("ix_appeals_case", "case_id"))

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    case_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("cases.id"))
    decision_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("decisions.id"))
    side: Mapped[str]
    seq: Mapped[int]
    exhibits: Mapped[list[Any]]
    filed_at: Mapped[datetime]
