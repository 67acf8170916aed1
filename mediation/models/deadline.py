"""Time as data: deadlines, notices, and the versions of the policies that say how long they are."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, Interval, text
from sqlalchemy.orm import Mapped, mapped_column

from mediation.db import Base, new_id


class Deadline(Base):
    """A limit on a case: what it is (`kind`), when it is over (`due_at`), and what happens then (`fires`).

    While it stands still, `due_at` is null and `remaining` holds the counted time that is left. `wake_at` is when the
    clock is to look at it: `due_at`, or later after a try that failed; null if there is nothing to fire, if it stands
    still, is over (`done_at`), or was set aside (`set_aside_at`) after too many failures. `failure` names a kind of
    error and holds no personal text. `hours` says how its time counts, in the words of workflows.working_days.
    """

    __tablename__ = "deadlines"
    __table_args__ = (
        Index("uq_deadlines_running", "case_id", "kind", unique=True, postgresql_where=text("done_at IS NULL")),
        Index("ix_deadlines_case", "case_id", "id"),
        Index("ix_deadlines_wake", "wake_at", postgresql_where=text("wake_at IS NOT NULL")),
        CheckConstraint("(due_at IS NULL) = (remaining IS NOT NULL)", name="runs_or_stands_still"),
        CheckConstraint("ended IN ('fired', 'ended')", name="ended"),
        CheckConstraint("(done_at IS NULL) = (ended IS NULL)", name="done"),
        CheckConstraint("done_at IS NULL OR wake_at IS NULL", name="done_wakes_nobody"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    case_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("cases.id"))
    kind: Mapped[str]
    fires: Mapped[str | None]
    started_at: Mapped[datetime]
    due_at: Mapped[datetime | None]
    remaining: Mapped[timedelta | None] = mapped_column(Interval())
    extended: Mapped[timedelta] = mapped_column(Interval(), server_default=text("'0'::interval"))
    hours: Mapped[str]
    region: Mapped[str | None]
    provisional: Mapped[bool]
    policy_version: Mapped[int | None]
    policy_row: Mapped[str | None]
    wake_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(server_default="0")
    failure: Mapped[str | None]
    set_aside_at: Mapped[datetime | None]
    done_at: Mapped[datetime | None]
    ended: Mapped[str | None]


class Notice(Base):
    """Something served on somebody, with the docket entry (`seq`) that it tells of. Its words are made when shown."""

    __tablename__ = "notices"
    __table_args__ = (
        Index("ix_notices_case", "case_id", "id"),
        CheckConstraint("served_on IN ('buyer', 'seller', 'supervisor')", name="served_on"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    case_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("cases.id"))
    seq: Mapped[int]
    kind: Mapped[str]
    served_on: Mapped[str]
    served_at: Mapped[datetime]
    due_at: Mapped[datetime | None]


class PolicyVersion(Base):
    """One version of the policies, as it was read. Never changed: a deadline names the version it was counted by."""

    __tablename__ = "policy_versions"
    __table_args__ = (CheckConstraint("version > 0", name="version"),)

    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str]
    document: Mapped[dict[str, Any]]
    digest: Mapped[str]
    effective_from: Mapped[datetime]
    loaded_at: Mapped[datetime]
    loaded_by: Mapped[str]


class Sandbox(Base):
    """What a sandbox is set to; there is one row or none. `ahead` is how far its time has been moved on."""

    __tablename__ = "sandbox"
    __table_args__ = (
        CheckConstraint("id = 1", name="one_row"),
        CheckConstraint("ahead >= '0'::interval", name="onward"),
        CheckConstraint("gateway IN ('pass', 'fail', 'stall', 'twice')", name="gateway"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    ahead: Mapped[timedelta] = mapped_column(Interval(), server_default=text("'0'::interval"))
    gateway: Mapped[str] = mapped_column(server_default="pass")
