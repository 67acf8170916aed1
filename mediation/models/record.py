"""The record: docket entries, what opens their commitments, seals, and answers kept for safe retries."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import ARRAY, CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, LargeBinary, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from mediation.db import Base


class DocketEntry(Base):
    """One act on a case, in the committed and chained format of docs/evidence.md. Never changed, never removed:
    triggers and missing privileges see to it.

    `prev` and `hash` are 32 bytes; `commitments` are 32 bytes each, in the order of the openings' `n`.
    """

    __tablename__ = "docket_entries"
    __table_args__ = (
        UniqueConstraint("case_id", "seq", "to_state"),
        CheckConstraint("visibility IN ('parties', 'staff')", name="visibility"),
        CheckConstraint("octet_length(hash) = 32 AND octet_length(prev) = 32", name="digests"),
    )

    case_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("cases.id"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    v: Mapped[int]
    at: Mapped[datetime]
    type: Mapped[str]
    from_state: Mapped[str | None]
    to_state: Mapped[str]
    commitments: Mapped[list[bytes]] = mapped_column(ARRAY(LargeBinary))
    prev: Mapped[bytes]
    hash: Mapped[bytes]
    visibility: Mapped[str]


class DocketOpening(Base):
    """What a commitment of an entry hides: the value and its salt. Both become null when it is erased."""

    __tablename__ = "docket_openings"
    __table_args__ = (
        ForeignKeyConstraint(["case_id", "seq"], ["docket_entries.case_id", "docket_entries.seq"]),
        CheckConstraint("(salt IS NULL) = (value IS NULL)", name="erased_whole"),
    )

    case_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    n: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str]
    salt: Mapped[bytes | None]
    value: Mapped[dict[str, Any] | None]


class SealingKey(Base):
    """A public key under which heads and receipts were signed. Retired ones stay, so that old seals verify."""

    __tablename__ = "sealing_keys"

    kid: Mapped[str] = mapped_column(primary_key=True)
    jwk: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    retired_at: Mapped[datetime | None]


class Seal(Base):
    """A signed head of a docket (compact JWS), made when a decision is issued."""

    __tablename__ = "seals"
    __table_args__ = (ForeignKeyConstraint(["case_id", "seq"], ["docket_entries.case_id", "docket_entries.seq"]),)

    case_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    kid: Mapped[str] = mapped_column(ForeignKey("sealing_keys.kid"))
    jws: Mapped[str]
    at: Mapped[datetime]


class IdempotentAnswer(Base):
    """The first answer to a POST with an Idempotency-Key, written in the transaction of its effect."""

    __tablename__ = "idempotent_answers"
    __table_args__ = (Index("ix_idempotent_answers_case", "case_id"), Index("ix_idempotent_answers_at", "at"))

    marketplace: Mapped[str] = mapped_column(primary_key=True)
    caller: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    request_digest: Mapped[bytes]
    status: Mapped[int]
    headers: Mapped[dict[str, Any]]
    body: Mapped[bytes]
    case_id: Mapped[uuid.UUID | None]
    at: Mapped[datetime]
