"""Facts: what order and scans say, whatever the order in which the scans came in and however often."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows.facts import (
    PERSONAL_DETAILS,
    Fact,
    FactName,
    ReturnParcel,
    Scan,
    ScanLeg,
    ScanStatus,
    Shipped,
    fact,
    facts,
    order_of,
    proven,
)
from workflows.states import Ground

NOW = datetime(2026, 11, 5, 10, 0, tzinfo=UTC)
DAY = timedelta(days=1)
PARCEL = ReturnParcel("SF", "R-1", NOW - 5 * DAY)
#: What the latest conclusive scan of each status makes of a delivery and of a return.
ENDINGS = [
    (ScanStatus.DELIVERED, FactName.DELIVERED, FactName.RETURN_DELIVERED),
    (ScanStatus.FAILED, None, FactName.RETURN_NOT_DELIVERED),
    (ScanStatus.RETURNED, FactName.DELIVERY_FAILED, FactName.RETURN_NOT_DELIVERED),
    (ScanStatus.LOST, FactName.DELIVERY_FAILED, FactName.RETURN_NOT_DELIVERED),
]
UNDER_WAY = [ScanStatus.ACCEPTED, ScanStatus.IN_TRANSIT, ScanStatus.OUT_FOR_DELIVERY]
OUT_ENDS = {FactName.DELIVERED, FactName.DELIVERY_FAILED}
RETURN_ENDS = {FactName.RETURN_DELIVERED, FactName.RETURN_NOT_DELIVERED}


def out(status: str, days_ago: float = 1, **other: Any) -> Scan:
    told: dict[str, Any] = {"carrier": "SF", "tracking_number": "T-1", **other}
    return Scan(leg=ScanLeg.OUTBOUND, at=NOW - days_ago * DAY, status=ScanStatus(status), **told)


def back(status: str, days_ago: float = 1, **other: Any) -> Scan:
    return replace(out(status, days_ago, **{"tracking_number": "R-1", **other}), leg=ScanLeg.RETURN)


def named(name: FactName, order: Shipped, scans: Sequence[Scan] = (), **other: Any) -> Fact:
    return fact(name, facts(order, scans, NOW, **other))


def holding(order: Shipped, scans: Sequence[Scan] = (), **other: Any) -> set[FactName]:
    return {one.name for one in facts(order, scans, NOW, **other) if one.holds}


# --- shipping ----------------------------------------------------------------------------------------------------


def test_what_the_order_states_comes_before_any_scan() -> None:
    order = Shipped(shipped_at=NOW - 3 * DAY)
    shipped = named(FactName.SHIPPED, order, [out("accepted", 4)])
    assert (shipped.holds, shipped.at, shipped.source) == (True, NOW - 3 * DAY, "order.shipped_at")


@pytest.mark.parametrize("status", ScanStatus)
def test_any_scan_shows_that_the_carrier_has_it(status: str) -> None:
    shipped = named(FactName.SHIPPED, Shipped(), [out("in_transit", 1), out(status, 2)])
    assert (shipped.holds, shipped.at, shipped.source) == (True, NOW - 2 * DAY, "scan:outbound:SF:T-1")


@pytest.mark.parametrize("field", ["delivered_at", "receipt_confirmed_at"])
def test_what_arrived_was_shipped_though_nobody_says_when(field: str) -> None:
    stated: dict[str, Any] = {field: NOW - DAY}
    order = Shipped(ship_by=NOW - 2 * DAY, **stated)
    shipped = named(FactName.SHIPPED, order)
    assert (shipped.holds, shipped.at, shipped.source) == (True, None, f"order.{field}")
    assert not holding(order) & {FactName.NOT_SHIPPED, FactName.SHIPPED_LATE}


@pytest.mark.parametrize(("ship_by", "holds"), [(NOW - DAY, True), (NOW, True), (NOW + DAY, False), (None, False)])
def test_nothing_was_shipped_once_the_time_that_was_set_for_it_is_over(ship_by: datetime | None, holds: bool) -> None:
    found = named(FactName.NOT_SHIPPED, Shipped(ship_by=ship_by))
    assert found == Fact(FactName.NOT_SHIPPED, holds, ship_by if holds else None)
    assert found.source == "order"


def test_a_scan_still_to_come_shows_nothing() -> None:
    order = Shipped(ship_by=NOW - DAY)
    assert holding(order, [out("delivered", -0.01)]) == {FactName.NOT_SHIPPED, FactName.SHIPPED_LATE}
    assert FactName.DELIVERED in holding(order, [out("delivered", 0)])


def test_a_stated_time_counts_even_when_the_clock_that_set_it_runs_ahead() -> None:
    order = Shipped(ship_by=NOW - DAY, shipped_at=NOW + timedelta(seconds=2))
    assert holding(order) == {FactName.SHIPPED, FactName.SHIPPED_LATE}


@pytest.mark.parametrize(("late", "seconds"), [(-1, None), (0, None), (1.5, 1), (86_400, 86_400)])
def test_shipped_late_is_shipped_after_the_time_set_for_it(late: float, seconds: int | None) -> None:
    ship_by = NOW - 3 * DAY
    order = Shipped(ship_by=ship_by, shipped_at=ship_by + timedelta(seconds=late))
    found = named(FactName.SHIPPED_LATE, order)
    assert found.holds is (seconds is not None)
    assert found.detail.get("late_by_seconds") == seconds
    if found.holds:
        assert (found.at, found.source) == (order.shipped_at, "order.shipped_at")


def test_lateness_is_reckoned_from_the_first_scan_where_the_order_states_no_time() -> None:
    found = named(FactName.SHIPPED_LATE, Shipped(ship_by=NOW - 3 * DAY), [out("accepted", 2), out("delivered", 1)])
    assert found.source == "scan:outbound:SF:T-1"
    assert (found.at, found.detail) == (NOW - 2 * DAY, {"late_by_seconds": 86_400})


def test_what_is_not_shipped_is_late_so_far() -> None:
    found = named(FactName.SHIPPED_LATE, Shipped(ship_by=NOW - DAY))
    assert found == Fact(FactName.SHIPPED_LATE, True, NOW - DAY, {"late_by_seconds": 86_400})


# --- the way out -------------------------------------------------------------------------------------------------


def test_a_stated_delivery_tells_to_whom_and_outweighs_every_scan() -> None:
    order = Shipped(delivered_at=NOW - 3 * DAY, delivered_to="Li Wei")
    delivered = named(FactName.DELIVERED, order, [out("lost", 1)])
    assert delivered == Fact(
        FactName.DELIVERED, True, NOW - 3 * DAY, {"delivered_to": "Li Wei"}, source="order.delivered_at"
    )
    assert FactName.DELIVERY_FAILED not in holding(order, [out("lost", 1)])


def test_a_delivery_by_scan_tells_who_signed_and_where() -> None:
    delivered = named(FactName.DELIVERED, Shipped(), [out("delivered", signed_by="Li Wei", place="Suzhou")])
    assert delivered.detail == {"status": "delivered", "signed_by": "Li Wei", "place": "Suzhou"}
    assert (delivered.at, delivered.source) == (NOW - DAY, "scan:outbound:SF:T-1")


def test_confirmed_receipt_is_a_fact_of_its_own_and_rules_out_a_failed_delivery() -> None:
    order = Shipped(receipt_confirmed_at=NOW)
    confirmed = named(FactName.RECEIPT_CONFIRMED, order)
    assert (confirmed.holds, confirmed.at, confirmed.source) == (True, NOW, "order.receipt_confirmed_at")
    assert not holding(order, [out("lost")]) & OUT_ENDS


@pytest.mark.parametrize(("status", "outcome", "_"), ENDINGS)
@pytest.mark.parametrize("before", ScanStatus)
@pytest.mark.parametrize("after", UNDER_WAY)
def test_the_latest_conclusive_scan_tells_how_a_delivery_ended(
    status: str, outcome: FactName | None, _: FactName, before: str, after: str
) -> None:
    found = holding(Shipped(), [out(after, 1), out(status, 2), out(before, 3)]) & OUT_ENDS
    assert found == ({outcome} if outcome else set())


@pytest.mark.parametrize("status", UNDER_WAY)
def test_a_parcel_under_way_is_neither_delivered_nor_failed(status: str) -> None:
    assert holding(Shipped(), [out(status)]) == {FactName.SHIPPED}


@pytest.mark.parametrize("other", [status for status in ScanStatus if status is not ScanStatus.DELIVERED])
def test_at_the_same_instant_a_delivery_to_the_buyer_outweighs_whatever_contradicts_it(other: str) -> None:
    for scans in ([out("delivered"), out(other)], [out(other), out("delivered")]):
        assert holding(Shipped(), scans) & OUT_ENDS == {FactName.DELIVERED}


@pytest.mark.parametrize("other", ["returned", "lost"])
def test_at_the_same_instant_a_failed_attempt_gives_way_to_what_is_final(other: str) -> None:
    assert holding(Shipped(), [out(other), out("failed")]) & OUT_ENDS == {FactName.DELIVERY_FAILED}


def test_scans_of_another_number_count_only_where_the_order_states_none() -> None:
    scans = [out("delivered", tracking_number="T-2")]
    assert FactName.DELIVERED in holding(Shipped(), scans)
    assert FactName.DELIVERED in holding(Shipped(tracking_number=""), scans)
    assert holding(Shipped(ship_by=NOW - DAY, tracking_number="T-1"), scans) >= {FactName.NOT_SHIPPED}
    assert FactName.DELIVERED in holding(Shipped(tracking_number=" t-2"), scans)


def test_a_parcel_that_changed_hands_is_still_the_orders() -> None:
    order = Shipped(carrier="SF", tracking_number="T-1")
    assert FactName.DELIVERED in holding(order, [out("delivered", carrier="EMS")])


# --- the way back ------------------------------------------------------------------------------------------------


def test_a_declared_return_is_the_buyers_word_until_a_carrier_has_seen_it() -> None:
    declared = named(FactName.RETURN_SHIPPED, Shipped(), parcel=PARCEL)
    assert declared == Fact(
        FactName.RETURN_SHIPPED, True, PARCEL.shipped_at, {"scanned": False}, source="parcel.shipped_at"
    )
    assert named(FactName.RETURN_SHIPPED, Shipped(), [back("accepted")], parcel=PARCEL).detail == {"scanned": True}
    assert FactName.RETURN_SHIPPED not in holding(Shipped(), [back("accepted")])


@pytest.mark.parametrize(("status", "_", "outcome"), ENDINGS)
@pytest.mark.parametrize("before", ScanStatus)
@pytest.mark.parametrize("after", UNDER_WAY)
def test_the_latest_conclusive_scan_tells_how_a_return_ended(
    status: str, _: FactName | None, outcome: FactName, before: str, after: str
) -> None:
    scans = [back(after, 1), back(status, 2), back(before, 3)]
    assert holding(Shipped(), scans, parcel=PARCEL) & RETURN_ENDS == {outcome}
    found = named(outcome, Shipped(), scans, parcel=PARCEL)
    assert (found.at, found.source, found.detail) == (NOW - 2 * DAY, "scan:return:SF:R-1", {"status": status})


@pytest.mark.parametrize(("other", "delivered"), [("failed", True), ("returned", False), ("lost", False)])
def test_at_the_same_instant_a_return_is_delivered_only_if_nothing_final_contradicts(
    other: str, delivered: bool
) -> None:
    """A contradiction refunds nobody at once, on the way back as on the way out."""
    for scans in ([back("delivered"), back(other)], [back(other), back("delivered")]):
        assert (FactName.RETURN_DELIVERED in holding(Shipped(), scans, parcel=PARCEL)) is delivered


@pytest.mark.parametrize(
    ("scan", "counts"),
    [
        (back("delivered"), True),
        (back("delivered", carrier="sf", tracking_number="r-1 "), True),
        (back("delivered", carrier=""), True),
        (back("delivered", carrier="EMS"), False),
        (back("delivered", tracking_number="R-2"), False),
        (out("delivered", tracking_number="R-1"), False),
    ],
)
def test_only_scans_of_the_declared_parcel_show_its_return(scan: Scan, counts: bool) -> None:
    assert (FactName.RETURN_DELIVERED in holding(Shipped(), [scan], parcel=PARCEL)) is counts


def test_a_scan_on_the_way_back_says_nothing_about_the_way_out() -> None:
    assert holding(Shipped(ship_by=NOW + DAY), [back("delivered")], parcel=PARCEL) == {
        FactName.RETURN_SHIPPED,
        FactName.RETURN_DELIVERED,
        FactName.REFUND_OUTSTANDING,
    }


def test_a_refund_is_outstanding_from_the_return_until_it_is_made() -> None:
    scans = [back("delivered", 2)]
    found = named(FactName.REFUND_OUTSTANDING, Shipped(), scans, parcel=PARCEL)
    assert (found.at, found.detail) == (NOW - 2 * DAY, {"since_seconds": 172_800})
    assert found.source == "scan:return:SF:R-1"
    for refunded_at in (NOW - DAY, NOW - 3 * DAY):
        assert FactName.REFUND_OUTSTANDING not in holding(Shipped(), scans, parcel=PARCEL, refunded_at=refunded_at)
    assert FactName.REFUND_OUTSTANDING not in holding(Shipped(), [back("in_transit")], parcel=PARCEL)


# --- grounds -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ground", "order", "scans"),
    [
        (Ground.NOT_SHIPPED, Shipped(ship_by=NOW - DAY), []),
        (Ground.DELIVERY_FAILED, Shipped(), [out("returned")]),
        (Ground.RETURN_DELIVERED, Shipped(shipped_at=NOW - 9 * DAY), [back("delivered")]),
    ],
)
def test_a_ground_is_proven_by_the_fact_that_states_it_and_by_no_other(
    ground: Ground, order: Shipped, scans: list[Scan]
) -> None:
    found = facts(order, scans, NOW, parcel=PARCEL)
    proof = proven(ground, found)
    assert proof is not None
    assert proof.holds
    assert proof.name.value == ground.value
    assert [other for other in Ground if proven(other, found)] == [ground]


def test_nothing_on_file_proves_no_ground_but_that_nothing_was_shipped() -> None:
    found = facts(Shipped(ship_by=NOW + DAY), [], NOW)
    assert [proven(ground, found) for ground in Ground] == [None, None, None]
    assert [proven(ground, []) for ground in Ground] == [None, None, None]


def test_a_fact_that_was_not_worked_out_is_an_error_of_the_caller() -> None:
    with pytest.raises(LookupError, match="no fact named shipped"):
        fact(FactName.SHIPPED, [])


# --- whatever comes in -------------------------------------------------------------------------------------------

# Few instants, carriers and words, so that repetitions, ties and near misses are common.
instants = st.integers(-1, 4).map(lambda days: NOW - days * DAY)
maybe_instants = st.none() | instants
scans_ = st.builds(
    Scan,
    leg=st.sampled_from(ScanLeg),
    carrier=st.sampled_from(["SF", "sf", "EMS"]),
    tracking_number=st.sampled_from(["T-1", "T-2", "R-1"]),
    at=instants,
    status=st.sampled_from(ScanStatus),
    place=st.sampled_from([None, "", "Suzhou"]),
    signed_by=st.sampled_from([None, "Li Wei", "door"]),
)
many_scans = st.lists(scans_, max_size=8)
orders = st.builds(
    Shipped,
    ship_by=maybe_instants,
    shipped_at=maybe_instants,
    delivered_at=maybe_instants,
    delivered_to=st.sampled_from([None, "Li Wei"]),
    receipt_confirmed_at=maybe_instants,
    tracking_number=st.sampled_from([None, "T-1"]),
)
parcels = st.sampled_from([None, PARCEL])


@given(orders, many_scans, parcels, st.data())
def test_repeated_and_shuffled_scans_say_the_same(
    order: Shipped, scans: list[Scan], parcel: ReturnParcel | None, data: st.DataObject
) -> None:
    """The same instant told in another zone is a repetition too; the facts agree to the letter."""
    again = data.draw(st.lists(st.sampled_from(scans), max_size=8)) if scans else []
    elsewhere = [replace(scan, at=scan.at.astimezone(timezone(timedelta(hours=8)))) for scan in again]
    shuffled = data.draw(st.permutations([*scans, *again, *elsewhere]))
    assert repr(facts(order, shuffled, NOW, parcel=parcel)) == repr(facts(order, scans, NOW, parcel=parcel))


def test_times_told_in_another_zone_come_back_in_utc() -> None:
    beijing = timezone(timedelta(hours=8))
    order = Shipped(ship_by=(NOW - 3 * DAY).astimezone(beijing))
    scans = [replace(scan, at=scan.at.astimezone(beijing)) for scan in (out("accepted", 2), out("delivered", 1))]
    assert repr(facts(order, scans, NOW)) == repr(
        facts(Shipped(ship_by=NOW - 3 * DAY), [out("accepted", 2), out("delivered", 1)], NOW)
    )


def test_scans_of_one_event_that_differ_in_a_name_only_keep_one_order() -> None:
    scans = [out("delivered", signed_by=name) for name in "abcdefgh"]
    assert order_of(reversed(scans)) == tuple(scans)


@given(many_scans, st.data())
def test_scans_in_order_are_each_once_by_time_however_they_came(scans: list[Scan], data: st.DataObject) -> None:
    ordered = order_of(data.draw(st.permutations(scans)) + scans)
    assert ordered == order_of(scans)
    assert len(ordered) == len(set(scans))
    assert set(ordered) == set(scans)
    assert [scan.at for scan in ordered] == sorted(scan.at for scan in ordered)


@given(orders, many_scans, parcels, maybe_instants)
def test_every_fact_is_named_once_with_its_source_and_plain_utc_values(
    order: Shipped, scans: list[Scan], parcel: ReturnParcel | None, refunded_at: datetime | None
) -> None:
    found = facts(order, scans, NOW, parcel=parcel, refunded_at=refunded_at)
    assert [one.name for one in found] == list(FactName)
    for one in found:
        assert one.source.split(":")[0].split(".")[0] in {"order", "scan", "parcel"}
        assert json.loads(json.dumps(one.detail)) == one.detail
        assert one.at is None or one.at.tzinfo is UTC
        if not one.holds:
            assert one == Fact(one.name, False)


@given(orders, many_scans, parcels, maybe_instants)
def test_facts_never_contradict_one_another(
    order: Shipped, scans: list[Scan], parcel: ReturnParcel | None, refunded_at: datetime | None
) -> None:
    found = holding(order, scans, parcel=parcel, refunded_at=refunded_at)
    for one, other in [
        (FactName.SHIPPED, FactName.NOT_SHIPPED),
        (FactName.DELIVERED, FactName.DELIVERY_FAILED),
        (FactName.RECEIPT_CONFIRMED, FactName.DELIVERY_FAILED),
        (FactName.RETURN_DELIVERED, FactName.RETURN_NOT_DELIVERED),
    ]:
        assert not {one, other} <= found
    if found & {FactName.DELIVERED, FactName.DELIVERY_FAILED, FactName.RECEIPT_CONFIRMED}:
        assert FactName.SHIPPED in found
    if FactName.REFUND_OUTSTANDING in found:
        assert FactName.RETURN_DELIVERED in found


@given(orders, many_scans, parcels)
def test_a_persons_name_stands_only_where_callers_mask_it(
    order: Shipped, scans: list[Scan], parcel: ReturnParcel | None
) -> None:
    for one in facts(order, scans, NOW, parcel=parcel):
        shown = {key: value for key, value in one.detail.items() if key not in PERSONAL_DETAILS}
        assert not {"Li Wei", "door"} & set(shown.values())
