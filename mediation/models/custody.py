"""Who had an exhibit in hand, and what was taken out of the record: custody chains and redactions."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from mediation.db import Base, new_id


class CustodyEntry(Base):
    """One act on an exhibit, chained to the one before (`evidence.custody`). Append-only.

    `commitment`, `prev` and `hash` are 32 bytes each. That the exhibit is one of the case a trigger sees to: a foreign
    key to the case would make a view wait for whoever has the case locked.
    """

    __tablename__ = "custody_entries"
    __table_args__ = (
        CheckConstraint("act IN ('filed', 'viewed', 'downloaded', 'exported', 'redacted')", name="act"),
        CheckConstraint(
            "octet_length(hash) = 32 AND octet_length(prev) = 32 AND octet_length(commitment) = 32", name="digests"
        ),
    )

    case_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    exhibit_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("exhibits.id"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    v: Mapped[int]
    at: Mapped[datetime]
    act: Mapped[str]
    commitment: Mapped[bytes]
    prev: Mapped[bytes]
    hash: Mapped[bytes]


class CustodyOpening(Base):
    """What the commitment of a custody entry hides: who acted, on what part. Both become null when it is erased."""

    __tablename__ = "custody_openings"
    __table_args__ = (
        ForeignKeyConstraint(
            ["case_id", "exhibit_id", "seq"],
            ["custody_entries.case_id", "custody_entries.exhibit_id", "custody_entries.seq"],
        ),
        CheckConstraint("(salt IS NULL) = (value IS NULL)", name="erased_whole"),
    )

    case_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    exhibit_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    salt: Mapped[bytes | None]
    value: Mapped[dict[str, Any] | None]


class Redaction(Base):
    """A redaction of messages of one exhibit (`seqs`, from 1; empty: the whole exhibit), or the erasure of what came
    from one side. It waits for senior staff, was done, or was rejected.

    `seq` is the docket entry of the request or, where none had to be made, of the act. `erased` says where it found
    what it erased, never what that said.
    """

    __tablename__ = "redactions"
    __table_args__ = (
        Index("ix_redactions_case", "case_id", "id"),
        CheckConstraint("(exhibit_id IS NULL) <> (side IS NULL)", name="exhibit_or_side"),
        CheckConstraint("side IN ('buyer', 'seller')", name="side"),
        CheckConstraint("reason IN ('personal_data', 'third_party_secret')", name="reason"),
        CheckConstraint("status IN ('pending', 'done', 'rejected')", name="status"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    case_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("cases.id"))
    exhibit_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("exhibits.id"))
    seqs: Mapped[list[Any]]
    side: Mapped[str | None]
    reason: Mapped[str]
    status: Mapped[str]
    seq: Mapped[int]
    requested_by: Mapped[str]
    requested_at: Mapped[datetime]
    answered_by: Mapped[str | None]
    answered_at: Mapped[datetime | None]
    erased: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
