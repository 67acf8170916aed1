"""Facts: what the platform's order and the carriers' scans say, worked out anew each time, each with its source.

Nothing here judges. A fact that does not hold is not disproved: it only is not shown by what is on file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from workflows.states import Ground


class ScanLeg(StrEnum):
    OUTBOUND = "outbound"
    RETURN = "return"


class ScanStatus(StrEnum):
    """What a carrier saw. `failed` is one attempt; a parcel on its way back, or back, to its sender is `returned`."""

    ACCEPTED = "accepted"
    IN_TRANSIT = "in_transit"
    OUT_FOR_DELIVERY = "out_for_delivery"
    DELIVERED = "delivered"
    FAILED = "failed"
    RETURNED = "returned"
    LOST = "lost"


class FactName(StrEnum):
    SHIPPED = "shipped"
    NOT_SHIPPED = "not_shipped"
    SHIPPED_LATE = "shipped_late"
    DELIVERED = "delivered"
    DELIVERY_FAILED = "delivery_failed"
    RECEIPT_CONFIRMED = "receipt_confirmed"
    RETURN_SHIPPED = "return_shipped"
    RETURN_DELIVERED = "return_delivered"
    RETURN_NOT_DELIVERED = "return_not_delivered"
    REFUND_OUTSTANDING = "refund_outstanding"


#: Facts about the parcel that goes back; whoever signs for it is of the seller's side.
OF_RETURN = frozenset(
    {FactName.RETURN_SHIPPED, FactName.RETURN_DELIVERED, FactName.RETURN_NOT_DELIVERED, FactName.REFUND_OUTSTANDING}
)
#: Keys of `Fact.detail` whose value may name a person.
PERSONAL_DETAILS = frozenset({"signed_by", "delivered_to"})

_PROVED_BY: dict[Ground, FactName] = {
    Ground.NOT_SHIPPED: FactName.NOT_SHIPPED,
    Ground.RETURN_DELIVERED: FactName.RETURN_DELIVERED,
    Ground.DELIVERY_FAILED: FactName.DELIVERY_FAILED,
}

#: Per leg the statuses that settle where a parcel ended up, the weakest first: of two at the same instant the later
#: here counts. Delivered beats a failed attempt, since carriers round to the minute and try again after a failure, not
#: after a delivery. Between delivered and returned or lost no order of events is the likelier, so what moves no money
#: wins: a contradiction is for a mediator to weigh and proves no ground for refunding at once, on either leg.
_CONCLUSIVE: dict[ScanLeg, tuple[ScanStatus, ...]] = {
    ScanLeg.OUTBOUND: (ScanStatus.FAILED, ScanStatus.RETURNED, ScanStatus.LOST, ScanStatus.DELIVERED),
    ScanLeg.RETURN: (ScanStatus.FAILED, ScanStatus.DELIVERED, ScanStatus.RETURNED, ScanStatus.LOST),
}


@dataclass(frozen=True, slots=True)
class Scan:
    """One event of a parcel as its carrier reported it; `at` is aware, `signed_by` may be a person's name."""

    leg: ScanLeg
    carrier: str
    tracking_number: str
    at: datetime
    status: ScanStatus
    place: str | None = None
    signed_by: str | None = None


@dataclass(frozen=True, slots=True)
class Shipped:
    """The order's way to the buyer as the platform states it; times are aware, None is what it does not state."""

    ship_by: datetime | None = None
    shipped_at: datetime | None = None
    delivered_at: datetime | None = None
    delivered_to: str | None = None
    receipt_confirmed_at: datetime | None = None
    carrier: str | None = None
    tracking_number: str | None = None


@dataclass(frozen=True, slots=True)
class ReturnParcel:
    """The return that the buyer declared in the case; `shipped_at` is aware."""

    carrier: str
    tracking_number: str
    shipped_at: datetime


@dataclass(frozen=True, slots=True)
class Fact:
    """Whether something is so, since when, and who says it.

    `detail` holds plain JSON values (durations in whole seconds). Those under PERSONAL_DETAILS may be a person's name:
    callers mask them before they are shown to anybody else. `source` is the order's field (`order.shipped_at`),
    `scan:<leg>:<carrier>:<tracking_number>`, `parcel.shipped_at` for the buyer's own word, or `order` for what is
    concluded from an absence.
    """

    name: FactName
    holds: bool
    at: datetime | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    source: str = "order"


def facts(
    order: Shipped,
    scans: Sequence[Scan],
    now: datetime,
    *,
    parcel: ReturnParcel | None = None,
    refunded_at: datetime | None = None,
) -> tuple[Fact, ...]:
    """Every fact once, in the order of FactName; times are aware UTC.

    Scans may come repeated and in any order, and those later than `now` are left out. What the order states is taken
    as it stands, even when its clock runs ahead: to leave that out would prove the opposite. Outbound scans count if
    they bear the order's tracking number, or all of them if it states none; their carrier may differ, because parcels
    change hands. Return scans count only for the declared parcel, by its number and carrier. An order that travels in
    several parcels is judged by the latest conclusive scan of them all.

    Details may name a person (PERSONAL_DETAILS); callers mask them.
    """
    seen = order_of(scan for scan in scans if scan.at <= now)
    outbound = [scan for scan in seen if _is_of_order(scan, order)]
    returning = [scan for scan in seen if parcel is not None and _is_of_parcel(scan, parcel)]
    shipped = _shipped(order, outbound)
    return_delivered = _ended(FactName.RETURN_DELIVERED, returning, ScanStatus.DELIVERED)
    return (
        shipped,
        _not_shipped(order, shipped, now),
        _shipped_late(order, shipped, now),
        _delivered(order, outbound),
        _delivery_failed(order, outbound),
        _stated(FactName.RECEIPT_CONFIRMED, "order.receipt_confirmed_at", order.receipt_confirmed_at),
        _return_shipped(parcel, returning),
        return_delivered,
        _ended(FactName.RETURN_NOT_DELIVERED, returning, ScanStatus.FAILED, ScanStatus.RETURNED, ScanStatus.LOST),
        _refund_outstanding(return_delivered, refunded_at, now),
    )


def fact(name: FactName, found: Iterable[Fact]) -> Fact:
    """The fact of that name. Raises LookupError if it is not among them."""
    for one in found:
        if one.name == name:
            return one
    raise LookupError(f"no fact named {name}")


def proven(ground: Ground, found: Iterable[Fact]) -> Fact | None:
    """The fact that proves a ground for refunding at once, or None if nothing does."""
    return next((one for one in found if one.name == _PROVED_BY[ground] and one.holds), None)


def order_of(scans: Iterable[Scan]) -> tuple[Scan, ...]:
    """The scans without repetitions, the earliest first; of one instant the scan that counts for more comes last."""
    return tuple(sorted(set(scans), key=_rank))


def _rank(scan: Scan) -> tuple[Any, ...]:
    """A key that no two different scans share, so that the order in which they arrived leaves no trace.

    Of two reports of the same event the one that tells more, a place or a signature, comes later.
    """
    conclusive = _CONCLUSIVE[scan.leg]
    weight = conclusive.index(scan.status) if scan.status in conclusive else -1
    known = (scan.signed_by is not None, scan.place is not None)
    words = (scan.signed_by or "", scan.place or "", scan.carrier, scan.tracking_number, scan.leg, scan.status)
    return (scan.at, weight, known, words)


# --- which scans count ---------------------------------------------------------------------------------------------


def same(one: str, other: str) -> bool:
    """People copy numbers and carriers by hand: case and blanks around them tell nothing apart."""
    return one.strip().casefold() == other.strip().casefold()


def _is_of_order(scan: Scan, order: Shipped) -> bool:
    return scan.leg == ScanLeg.OUTBOUND and (
        not order.tracking_number or same(scan.tracking_number, order.tracking_number)
    )


def _is_of_parcel(scan: Scan, parcel: ReturnParcel) -> bool:
    """Numbers are unique within a carrier only, so the carriers must agree where both are known."""
    carriers_agree = not scan.carrier or not parcel.carrier or same(scan.carrier, parcel.carrier)
    return scan.leg == ScanLeg.RETURN and same(scan.tracking_number, parcel.tracking_number) and carriers_agree


# --- the way out ---------------------------------------------------------------------------------------------------


def _shipped(order: Shipped, outbound: Sequence[Scan]) -> Fact:
    """Any scan shows that the carrier has it; and what arrived was shipped, though nobody says when."""
    if order.shipped_at is not None:
        return _stated(FactName.SHIPPED, "order.shipped_at", order.shipped_at)
    if outbound:
        return _scanned(FactName.SHIPPED, outbound[0])
    arrival = _arrival(order)
    return Fact(FactName.SHIPPED, False) if arrival is None else Fact(FactName.SHIPPED, True, source=arrival)


def _not_shipped(order: Shipped, shipped: Fact, now: datetime) -> Fact:
    """Nothing shows that it left, and the time that was set for it is over. Where none was set, nothing is proven."""
    if shipped.holds or order.ship_by is None or order.ship_by > now:
        return Fact(FactName.NOT_SHIPPED, False)
    return Fact(FactName.NOT_SHIPPED, True, _utc(order.ship_by))


def _shipped_late(order: Shipped, shipped: Fact, now: datetime) -> Fact:
    """Shipped after the time set for it, or still not shipped when that is over; late so far, in the latter case."""
    moment = shipped.at if shipped.holds else now
    if order.ship_by is None or moment is None or moment <= order.ship_by:
        return Fact(FactName.SHIPPED_LATE, False)
    at = moment if shipped.holds else order.ship_by
    return Fact(
        FactName.SHIPPED_LATE, True, _utc(at), {"late_by_seconds": _seconds(moment - order.ship_by)}, shipped.source
    )


def _delivered(order: Shipped, outbound: Sequence[Scan]) -> Fact:
    if order.delivered_at is None:
        return _ended(FactName.DELIVERED, outbound, ScanStatus.DELIVERED)
    detail = {} if order.delivered_to is None else {"delivered_to": order.delivered_to}
    return _stated(FactName.DELIVERED, "order.delivered_at", order.delivered_at, detail)


def _delivery_failed(order: Shipped, outbound: Sequence[Scan]) -> Fact:
    """A failed attempt alone proves nothing, since the carrier tries again; and a stated arrival outweighs any scan."""
    if _arrival(order) is not None:
        return Fact(FactName.DELIVERY_FAILED, False)
    return _ended(FactName.DELIVERY_FAILED, outbound, ScanStatus.RETURNED, ScanStatus.LOST)


def _arrival(order: Shipped) -> str | None:
    """The field by which the order says that the goods arrived, if it says so."""
    if order.delivered_at is not None:
        return "order.delivered_at"
    return None if order.receipt_confirmed_at is None else "order.receipt_confirmed_at"


# --- the way back --------------------------------------------------------------------------------------------------


def _return_shipped(parcel: ReturnParcel | None, returning: Sequence[Scan]) -> Fact:
    """The buyer's own word; `scanned` says whether a carrier has seen the parcel."""
    if parcel is None:
        return Fact(FactName.RETURN_SHIPPED, False)
    return _stated(FactName.RETURN_SHIPPED, "parcel.shipped_at", parcel.shipped_at, {"scanned": bool(returning)})


def _refund_outstanding(delivered: Fact, refunded_at: datetime | None, now: datetime) -> Fact:
    """The goods are back and the money is not; one that went back earlier, before the goods came, settles it too."""
    if not delivered.holds or delivered.at is None or refunded_at is not None:
        return Fact(FactName.REFUND_OUTSTANDING, False)
    since = {"since_seconds": _seconds(now - delivered.at)}
    return Fact(FactName.REFUND_OUTSTANDING, True, delivered.at, since, delivered.source)


# --- how a fact is put ---------------------------------------------------------------------------------------------


def _stated(name: FactName, source: str, at: datetime | None, detail: Mapping[str, Any] | None = None) -> Fact:
    return Fact(name, False) if at is None else Fact(name, True, _utc(at), detail or {}, source)


def _scanned(name: FactName, scan: Scan) -> Fact:
    told = {"status": str(scan.status), "place": scan.place, "signed_by": scan.signed_by}
    detail = {key: value for key, value in told.items() if value is not None}
    return Fact(name, True, _utc(scan.at), detail, f"scan:{scan.leg}:{scan.carrier}:{scan.tracking_number}")


def _ended(name: FactName, scans: Sequence[Scan], *statuses: ScanStatus) -> Fact:
    """Whether the latest conclusive scan has one of the statuses; `scans` are in the order of `order_of`."""
    last = next((scan for scan in reversed(scans) if scan.status in _CONCLUSIVE[scan.leg]), None)
    return Fact(name, False) if last is None or last.status not in statuses else _scanned(name, last)


def _utc(at: datetime | None) -> datetime | None:
    return None if at is None else at.astimezone(UTC)


def _seconds(span: timedelta) -> int:
    """Whole seconds, the broken one left off."""
    return span // timedelta(seconds=1)
