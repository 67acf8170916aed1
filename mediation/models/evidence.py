"""What was asked to be shown: evidence requests and their items."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from mediation.db import Base, new_id


class EvidenceRequest(Base):
    """Evidence asked of one side or both, with one due date. `seq` is the docket entry that holds the notes."""

    __tablename__ = "evidence_requests"
    __table_args__ = (
        Index("ix_evidence_requests_case", "case_id", "id"),
        Index("uq_evidence_requests_open", "case_id", unique=True, postgresql_where=text("status = 'open'")),
        CheckConstraint("asked_of IN ('buyer', 'seller', 'both')", name="asked_of"),
        CheckConstraint("status IN ('open', 'complete', 'defaulted', 'ended')", name="status"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    case_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("cases.id"))
    seq: Mapped[int]
    asked_of: Mapped[str]
    status: Mapped[str]
    asked_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]


class EvidenceItem(Base):
    """One thing asked of one side. `n` counts within the request; `exhibit` is the label of what answered it."""

    __tablename__ = "evidence_items"
    __table_args__ = (
        CheckConstraint("side IN ('buyer', 'seller')", name="side"),
        CheckConstraint("status IN ('open', 'answered', 'waived', 'defaulted', 'ended')", name="status"),
    )

    request_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("evidence_requests.id"), primary_key=True)
    n: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    case_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("cases.id"), index=True)
    side: Mapped[str]
    type: Mapped[str]
    status: Mapped[str]
    exhibit: Mapped[str | None]
    closed_at: Mapped[datetime | None]
