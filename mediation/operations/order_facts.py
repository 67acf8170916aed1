"""What the facts of a case's order say: the platform's own times and the carriers' scans, each fact with its source."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from mediation import deadlines, policies
from mediation.db import new_id
from mediation.errors import InvalidBody
from mediation.models import Case, Claim, Order, Refund, RefundStatus, TrackingScan
from workflows import facts
from workflows.facts import PERSONAL_DETAILS, Fact, FactName, ReturnParcel, Scan, ScanLeg, ScanStatus, Shipped
from workflows.policies import late_shipment_compensation

#: Scans of one order: far more than parcels ever have, and a bound on what one reading takes in.
MAX_SCANS = 2_000
_SCANS = (
    select(
        TrackingScan.leg,
        TrackingScan.carrier,
        TrackingScan.tracking_number,
        TrackingScan.at,
        TrackingScan.status,
        TrackingScan.place,
        TrackingScan.signed_by,
    )
    .where(TrackingScan.order_id == bindparam("order_id"))
    .order_by(TrackingScan.at, TrackingScan.id)
)


def track(session: Session, order: Order, now: datetime, body: Mapping[str, Any]) -> int:
    """Put a parcel's scans on file; how many of them were new. Told again, or out of order, they change nothing.

    The order is locked by the caller. Raises InvalidBody where an order would have more scans than MAX_SCANS.
    """
    rows = [
        {
            "id": new_id(),
            "order_id": order.id,
            "leg": body["leg"],
            "carrier": body["carrier"],
            "tracking_number": body["tracking_number"],
            "at": scan["at"],
            "status": scan["status"],
            "place": scan.get("place"),
            "signed_by": scan.get("signed_by"),
            "received_at": now,
        }
        for scan in body["scans"]
    ]
    written = insert(TrackingScan).values(rows).on_conflict_do_nothing().returning(TrackingScan.id)
    new = len(session.scalars(written).all())
    # Counted afterwards: what is told again is no scan more.
    if new and len(scans(session, order.id)) > MAX_SCANS:
        raise InvalidBody(errors={"scans": [f"Must not bring the order's scans above {MAX_SCANS}."]})
    return new


def scans(session: Session, order_id: uuid.UUID) -> Sequence[Scan]:
    """Every scan on file for an order, the earliest first."""
    return [
        Scan(ScanLeg(leg), carrier, number, at, ScanStatus(status), place, signed_by)
        for leg, carrier, number, at, status, place, signed_by in session.execute(_SCANS, {"order_id": order_id})
    ]


def of_case(session: Session, case: Case, now: datetime) -> tuple[Fact, ...]:
    """The facts on which `refund_now` and automatic outcomes stand."""
    order = case.order
    stated = Shipped(
        ship_by=order.ship_by,
        shipped_at=order.shipped_at,
        delivered_at=order.delivered_at,
        delivered_to=order.delivered_to,
        receipt_confirmed_at=order.receipt_confirmed_at,
        carrier=order.carrier,
        tracking_number=order.tracking_number,
    )
    parcel = None
    if case.return_shipped_at and case.return_carrier and case.return_tracking_number:
        parcel = ReturnParcel(case.return_carrier, case.return_tracking_number, case.return_shipped_at)
    return facts.facts(stated, scans(session, order.id), now, parcel=parcel, refunded_at=_refunded_at(session, case))


def unshipped(session: Session, case: Case, now: datetime) -> Fact | None:
    """What shows that nothing was shipped, for a seller who kept silent about it; None if something was, or may yet be.

    Where the platform stated no date to ship by, a seller who had the time to say that it is on its way and did not is
    taken at that; money that is sent back at once wants the fact itself (`refund_now`).
    """
    known = of_case(session, case, now)
    missing, shipped = facts.fact(FactName.NOT_SHIPPED, known), facts.fact(FactName.SHIPPED, known)
    if missing.holds:
        return missing
    return shipped if case.order.ship_by is None and not shipped.holds else None


@dataclass(frozen=True, slots=True)
class Lateness:
    """What the policies grant for late shipment of the disputed lines, in minor units; with the row it comes from."""

    amount_minor: int
    version: int
    row: str


def for_lateness(session: Session, case: Case, now: datetime) -> Lateness:
    """What late shipment of the disputed lines is worth by the policies in force: a share of their price."""
    version, book = policies.in_force(session, now)
    found = book.compensation(deadlines.matters(case)[0])
    disputed = set(session.scalars(select(Claim.line_id).where(Claim.case_id == case.id)))
    lines = (line for line in case.order.lines if line["id"] in disputed)
    price = sum(line["unit_price"]["amount"] * line.get("quantity", 1) for line in lines)
    # Nobody owes a share of more than was paid, whatever the lines say they would have cost.
    worth = late_shipment_compensation(found.value, min(price, case.order.paid_minor), case.currency)
    return Lateness(worth, version, found.row)


def _refunded_at(session: Session, case: Case) -> datetime | None:
    settled = (RefundStatus.SETTLED, RefundStatus.SETTLED_ELSEWHERE)
    return session.scalar(
        select(Refund.settled_at).where(Refund.case_id == case.id, Refund.status.in_(settled)).limit(1)
    )


def entered(fact: Fact) -> dict[str, Any]:
    """A fact as the docket keeps it: what holds since when and by which source, and no person's name."""
    return {
        "name": str(fact.name),
        "holds": fact.holds,
        "at": None if fact.at is None else fact.at.isoformat(),
        "source": fact.source,
        "detail": {name: value for name, value in fact.detail.items() if name not in PERSONAL_DETAILS},
    }
