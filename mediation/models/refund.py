"""Money on its way: refunds and the embedded double-entry ledger."""

from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from mediation.db import Base, new_id


class RefundStatus(StrEnum):
    """`requested`: to be sent; `sent`: the gateway has or may have it; the rest are ends, `failed` one that can be
    retried by a senior under the same key."""

    REQUESTED = "requested"
    SENT = "sent"
    SETTLED = "settled"
    FAILED = "failed"
    SETTLED_ELSEWHERE = "settled_elsewhere"


class Refund(Base):
    """One payment owed to the buyer. Its id is the gateway's idempotency key, the same over every try.

    `purposes` are the parts of its sum, in minor units: refund, compensation, freight. `tries_since` is null until the
    first try; `next_try_at` is real time, also where a sandbox has moved the time of cases on.
    """

    __tablename__ = "refunds"
    __table_args__ = (
        Index("ix_refunds_case", "case_id", "id"),
        Index(
            "ix_refunds_due",
            "next_try_at",
            postgresql_where=text("status IN ('requested', 'sent')"),
        ),
        Index(
            "uq_refunds_under_way",
            "case_id",
            unique=True,
            postgresql_where=text("status IN ('requested', 'sent', 'failed')"),
        ),
        CheckConstraint("amount_minor > 0", name="amount"),
        CheckConstraint("status IN ('requested', 'sent', 'settled', 'failed', 'settled_elsewhere')", name="status"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    case_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("cases.id"))
    order_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("orders.id"))
    purpose: Mapped[str]
    amount_minor: Mapped[int]
    currency: Mapped[str]
    purposes: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    status: Mapped[str]
    gateway: Mapped[str | None]
    gateway_reference: Mapped[str | None]
    attempts: Mapped[int] = mapped_column(server_default="0")
    requested_at: Mapped[datetime]
    tries_since: Mapped[datetime | None]
    next_try_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]
    failure: Mapped[str | None]
    anomaly: Mapped[str | None]


class LedgerEntry(Base):
    """One side of a movement. Positive amounts are credited to the account; each refund's entries sum to zero."""

    __tablename__ = "ledger_entries"
    __table_args__ = (CheckConstraint("amount_minor <> 0", name="amount"),)

    refund_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("refunds.id"), primary_key=True)
    n: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    case_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("cases.id"), index=True)
    account: Mapped[str]
    purpose: Mapped[str | None]
    amount_minor: Mapped[int]
    currency: Mapped[str]
    at: Mapped[datetime]
