"""What carriers say: scans of the parcels of an order."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from mediation.db import Base, new_id


class TrackingScan(Base):
    """One scan of a parcel. The same scan told again is the same row, in whatever order scans come in."""

    __tablename__ = "tracking_scans"
    __table_args__ = (
        Index(
            "uq_tracking_scans_scan",
            "order_id",
            "leg",
            "carrier",
            "tracking_number",
            "at",
            "status",
            text("coalesce(place, '')"),
            unique=True,
        ),
        CheckConstraint("leg IN ('outbound', 'return')", name="leg"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    order_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("orders.id"))
    leg: Mapped[str]
    carrier: Mapped[str]
    tracking_number: Mapped[str]
    at: Mapped[datetime]
    status: Mapped[str]
    place: Mapped[str | None]
    signed_by: Mapped[str | None]
    received_at: Mapped[datetime]
