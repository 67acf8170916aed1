"""What staff declare about themselves."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from mediation.db import Base, new_id


class Interest(Base):
    """A member of staff's declared interest in a party. Ending one keeps the row: who was barred when stays known."""

    __tablename__ = "interests"
    __table_args__ = (
        Index(
            "uq_interests_running",
            "marketplace",
            "subject",
            "side",
            "party",
            unique=True,
            postgresql_where=text("ended_at IS NULL"),
        ),
        CheckConstraint("side IN ('buyer', 'seller')", name="side"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    marketplace: Mapped[str]
    subject: Mapped[str]
    side: Mapped[str]
    party: Mapped[str]
    declared_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
