"""The case and what it is about: parties, order, claims, offers."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, Interval, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from mediation.db import Base, new_id


class Party(Base):
    """A buyer or a seller of one marketplace, known by the marketplace's own id."""

    __tablename__ = "parties"
    __table_args__ = (
        UniqueConstraint("marketplace", "side", "external_id"),
        CheckConstraint("side IN ('buyer', 'seller')", name="side"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    marketplace: Mapped[str]
    side: Mapped[str]
    external_id: Mapped[str]
    name: Mapped[str | None]
    locale: Mapped[str] = mapped_column(server_default="zh-CN")
    return_address: Mapped[dict[str, Any] | None]


class Order(Base):
    """What the platform says was sold and paid. Sums are minor units of `currency`.

    The row also guards the money: what is reserved and refunded over all cases never exceeds what was paid.
    Compensation and return freight are no part of that; they are held apart, each under a cap of the policies.
    """

    __tablename__ = "orders"
    __table_args__ = (
        UniqueConstraint("marketplace", "external_id"),
        CheckConstraint("reserved_minor + refunded_minor <= paid_minor", name="within_paid"),
        CheckConstraint("paid_minor >= 0 AND reserved_minor >= 0 AND refunded_minor >= 0", name="not_negative"),
        CheckConstraint("compensation_minor >= 0 AND freight_minor >= 0", name="extras_not_negative"),
        CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    marketplace: Mapped[str]
    external_id: Mapped[str]
    buyer_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("parties.id"))
    seller_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("parties.id"))
    currency: Mapped[str]
    paid_minor: Mapped[int]
    reserved_minor: Mapped[int] = mapped_column(server_default="0")
    refunded_minor: Mapped[int] = mapped_column(server_default="0")
    compensation_minor: Mapped[int] = mapped_column(server_default="0")
    freight_minor: Mapped[int] = mapped_column(server_default="0")
    paid_at: Mapped[datetime | None]
    region: Mapped[str | None]
    ship_by: Mapped[datetime | None]
    shipped_at: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]
    delivered_to: Mapped[str | None]
    receipt_confirmed_at: Mapped[datetime | None]
    carrier: Mapped[str | None]
    tracking_number: Mapped[str | None]
    lines: Mapped[list[Any]]
    updated_at: Mapped[datetime]

    buyer: Mapped[Party] = relationship(foreign_keys=[buyer_id], lazy="raise")
    seller: Mapped[Party] = relationship(foreign_keys=[seller_id], lazy="raise")


class Case(Base):
    """The aggregate. Only `mediation.docket` writes `state`, `version`, `head` and what is derived from them.

    `matters` are the reason, request and category of each claim, by which the policies are looked up. `legs` are still
    to be done, the one under way first. `due_at` is when the next of its deadlines fires. What is held on the order
    for this case: `reserved_minor`, `compensation_minor` and `freight_minor`.

    The deferred key to the docket makes the database refuse a case whose state is not that of its last entry.
    `head` is the last entry's hash.
    """

    __tablename__ = "cases"
    __table_args__ = (
        UniqueConstraint("marketplace", "reference"),
        ForeignKeyConstraint(
            ["id", "version", "state"],
            ["docket_entries.case_id", "docket_entries.seq", "docket_entries.to_state"],
            name="fk_cases_state_is_in_the_docket",
            use_alter=True,
            deferrable=True,
            initially="DEFERRED",
        ),
        Index("ix_cases_buyer", "buyer_id", "id"),
        Index("ix_cases_seller", "seller_id", "id"),
        Index("ix_cases_order", "order_id"),
        Index("ix_cases_opened", "marketplace", "opened_at", "id"),
        Index("ix_cases_updated", "marketplace", "updated_at", "id"),
        Index("ix_cases_due", "marketplace", "due_at", "id", postgresql_where=text("due_at IS NOT NULL")),
        Index("ix_cases_unclocked", "id", postgresql_where=text("due_at IS NULL AND closed_at IS NULL")),
        Index("ix_cases_amount", "marketplace", "claimed_minor", "id"),
        Index(
            "ix_cases_queue",
            "marketplace",
            "queue",
            "opened_at",
            "id",
            postgresql_where=text("queue IS NOT NULL"),
        ),
        Index(
            "ix_cases_assignee",
            "marketplace",
            "assignee",
            "opened_at",
            "id",
            postgresql_where=text("assignee IS NOT NULL"),
        ),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    marketplace: Mapped[str]
    reference: Mapped[str]
    order_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("orders.id"))
    buyer_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("parties.id"))
    seller_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("parties.id"))
    state: Mapped[str]
    version: Mapped[int]
    head: Mapped[bytes]
    waiting_on: Mapped[str | None]
    queue: Mapped[str | None]
    opened_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    currency: Mapped[str]
    claimed_minor: Mapped[int]
    assignee: Mapped[str | None]
    level: Mapped[int] = mapped_column(server_default="0")
    escalation_reason: Mapped[str | None]
    outcome: Mapped[str | None]
    remedy: Mapped[dict[str, Any] | None]
    reserved_minor: Mapped[int] = mapped_column(server_default="0")
    compensation_minor: Mapped[int] = mapped_column(server_default="0")
    freight_minor: Mapped[int] = mapped_column(server_default="0")
    matters: Mapped[list[Any]] = mapped_column(server_default=text("'[]'::jsonb"))
    legs: Mapped[list[Any]] = mapped_column(server_default=text("'[]'::jsonb"))
    due_at: Mapped[datetime | None]
    offers_made: Mapped[int] = mapped_column(server_default="0")
    open_offer_by: Mapped[str | None]
    counter_offers_buyer: Mapped[int] = mapped_column(server_default="0")
    counter_offers_seller: Mapped[int] = mapped_column(server_default="0")
    pending_decision_by: Mapped[str | None]
    decisions_issued: Mapped[int] = mapped_column(server_default="0")
    decided_by: Mapped[str | None]
    approved_by: Mapped[str | None]
    accepted_by_buyer: Mapped[bool] = mapped_column(server_default=text("false"))
    accepted_by_seller: Mapped[bool] = mapped_column(server_default=text("false"))
    appealed_by_buyer: Mapped[bool] = mapped_column(server_default=text("false"))
    appealed_by_seller: Mapped[bool] = mapped_column(server_default=text("false"))
    appeal_until: Mapped[datetime | None]
    proposal_accepted_by_buyer: Mapped[bool] = mapped_column(server_default=text("false"))
    proposal_accepted_by_seller: Mapped[bool] = mapped_column(server_default=text("false"))
    performed: Mapped[bool] = mapped_column(server_default=text("false"))
    return_address_seq: Mapped[int | None]
    return_carrier: Mapped[str | None]
    return_tracking_number: Mapped[str | None]
    return_shipped_at: Mapped[datetime | None]
    evidence_from: Mapped[str | None]
    evidence_of_buyer: Mapped[bool] = mapped_column(server_default=text("false"))
    evidence_of_seller: Mapped[bool] = mapped_column(server_default=text("false"))
    suspended_from: Mapped[str | None]
    suspended_at: Mapped[datetime | None]
    suspension_ground: Mapped[str | None]
    agreement_used: Mapped[timedelta] = mapped_column(Interval(), server_default=text("'0'::interval"))

    buyer: Mapped[Party] = relationship(foreign_keys=[buyer_id], lazy="raise")
    seller: Mapped[Party] = relationship(foreign_keys=[seller_id], lazy="raise")
    order: Mapped[Order] = relationship(lazy="raise")

    @property
    def buyer_ref(self) -> str:
        return self.buyer.external_id

    @property
    def seller_ref(self) -> str:
        return self.seller.external_id


class Claim(Base):
    """What the buyer asks about one order line. The statement stands in the docket's first entry."""

    __tablename__ = "claims"
    __table_args__ = (
        UniqueConstraint("case_id", "n"),
        Index("ix_claims_line", "order_id", "line_id"),
        CheckConstraint("amount_minor > 0", name="amount"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    case_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("cases.id"))
    n: Mapped[int]
    order_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("orders.id"))
    line_id: Mapped[str]
    reason: Mapped[str]
    request: Mapped[str]
    amount_minor: Mapped[int]
    currency: Mapped[str]


class OpenLine(Base):
    """The order lines now in dispute: its key is what makes two open cases about one line impossible."""

    __tablename__ = "open_lines"

    order_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("orders.id"), primary_key=True)
    line_id: Mapped[str] = mapped_column(primary_key=True)
    case_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("cases.id"), index=True)


class Offer(Base):
    """What one side, or a mediator for both, puts forward. `seq` is the docket entry that holds its note."""

    __tablename__ = "offers"
    __table_args__ = (
        Index("ix_offers_case", "case_id", "id"),
        Index("uq_offers_open", "case_id", unique=True, postgresql_where=text("status = 'open'")),
        CheckConstraint("status IN ('open', 'accepted', 'declined', 'replaced', 'expired', 'void')", name="status"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    case_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("cases.id"))
    seq: Mapped[int]
    side: Mapped[str]
    kind: Mapped[str]
    amount_minor: Mapped[int]
    currency: Mapped[str]
    return_required: Mapped[bool] = mapped_column(server_default=text("true"))
    status: Mapped[str]
    made_at: Mapped[datetime]
    answered_at: Mapped[datetime | None]
