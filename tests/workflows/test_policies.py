"""Policies: what a document must be, which row decides, and what late shipment costs."""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows.policies import (
    Compensation,
    Found,
    LimitKind,
    Matter,
    Policies,
    PoliciesNotReadable,
    Silence,
    from_document,
    late_shipment_compensation,
    read,
    shipped,
)
from workflows.remedies import MAX_MINOR
from workflows.states import Reason, Request
from workflows.working_days import Limit, parse

ANY = Matter("damaged", "refund_only")
BASE: dict[str, Any] = {
    "id": "base",
    "limits": dict.fromkeys([kind.value for kind in LimitKind], "48h"),
    "silence": {"fires": "request_mediation"},
    "authority": {"mediator": {"CNY": 50000, "other": 100}},
    "compensation": {"share_percent": 30, "floor": {"CNY": 500}, "cap": {"CNY": 50000, "other": 50000}},
    "freight_cap": {"CNY": 5000},
    "advance": {"platform": False},
}


def document(*rows: dict[str, Any], **changes: Any) -> dict[str, Any]:
    whole = {"name": "Tried", "categories": ["books", "phones"], "rows": [deepcopy(BASE), *rows]}
    return whole | changes


def row(id_: str, hours: int | None = None, /, **fields: Any) -> dict[str, Any]:
    """A row that sets the limit to respond to so many hours, and whatever else is given."""
    return {"id": id_, **({} if hours is None else {"limits": {"response": f"{hours}h"}}), **fields}


def errors_of(whole: Any) -> dict[str, list[str]]:
    with pytest.raises(PoliciesNotReadable) as refused:
        from_document(whole)
    return refused.value.errors


def response(policies: Policies, matter: Matter) -> Found[Limit]:
    return policies.limit(LimitKind.RESPONSE, matter)


# --- the shipped document ----------------------------------------------------------------------------------------


def test_the_shipped_document_reads_and_survives_json() -> None:
    policies = read(shipped())
    again = from_document(json.loads(json.dumps(policies.document)))
    assert again.document == policies.document
    assert again.rows == policies.rows == ("base", "not-shipped", "return-and-refund", "fresh-food")
    assert policies.name == "Shipped defaults"
    assert {"fresh_food", "virtual_goods", "other"} <= policies.categories
    for reason in Reason:
        for kind in LimitKind:
            matter = Matter(reason, Request.REFUND_ONLY, "fresh_food", "CN-SH")
            assert policies.limit(kind, matter) == again.limit(kind, matter)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("notification", "0"),
        ("response", "48h"),
        ("offer", "48h"),
        ("negotiation", "10d"),
        ("mediation_request", "7d"),
        ("return_shipping", "7d"),
        ("inspection", "10d"),
        ("performance", "7d"),
        ("confirmation", "10d"),
        ("review", "48h"),
        ("evidence", "72h"),
        ("evidence_longest", "14d"),
        ("extension_longest", "10d"),
        ("escalation", "24h"),
        ("appeal", "7d"),
        ("refund", "24h"),
        ("suspension_agreement", "30d"),
        ("suspension_court_docket", "7 working days"),
        ("suspension_police", "183d"),
    ],
)
def test_the_shipped_limits_are_these(kind: str, text: str) -> None:
    assert read(shipped()).limit(LimitKind(kind), ANY) == Found(parse(text), "base")


def test_the_shipped_sums_are_these() -> None:
    policies = read(shipped())
    assert policies.authority("mediator", "CNY", ANY) == Found(50000, "base")
    assert policies.authority("mediator", "USD", ANY) == Found(50000, "base")
    assert policies.authority("senior", "CNY", ANY) == Found(None, "base")
    assert policies.compensation(ANY) == Found(Compensation(30, {"CNY": 500}, {"CNY": 50000, "other": 50000}), "base")
    assert policies.freight_cap("CNY", ANY) == Found(5000, "base")
    assert policies.freight_cap("EUR", ANY) == Found(10000, "base")
    assert policies.advance(ANY) == Found(False, "base")
    assert policies.return_address(ANY) is None


def test_a_silent_seller_agrees_only_where_nothing_is_lost_by_it() -> None:
    policies = read(shipped())
    assert policies.silence(ANY) == Found(Silence("request_mediation"), "base")
    assert policies.silence(Matter("not_shipped", "refund_only")) == Found(
        Silence("agree", "not_shipped"), "not-shipped"
    )
    assert policies.silence(Matter("damaged", "return_and_refund")) == Found(Silence("agree"), "return-and-refund")
    # The reason goes before the request, so that the safer rule holds for both.
    assert policies.silence(Matter("not_shipped", "return_and_refund")).row == "not-shipped"


def test_fresh_food_is_quicker_and_otherwise_like_all_else() -> None:
    policies, fresh = read(shipped()), Matter("damaged", "refund_only", "fresh_food")
    assert response(policies, fresh) == Found(parse("24h"), "fresh-food")
    assert policies.limit(LimitKind.INSPECTION, fresh) == Found(parse("3d"), "fresh-food")
    assert policies.limit(LimitKind.REVIEW, fresh).row == "base"


# --- which row decides -------------------------------------------------------------------------------------------

FULL = Matter("damaged", "refund_only", "books", "CN-SH")
#: From the least specific row that holds for FULL to the most specific one.
LADDER: list[dict[str, str]] = [
    {"region": "CN"},
    {"region": "CN-SH"},
    {"category": "books"},
    {"request": "refund_only"},
    {"reason": "damaged"},
    {"category": "books", "region": "CN"},
    {"category": "books", "region": "CN-SH"},
    {"request": "refund_only", "region": "CN"},
    {"request": "refund_only", "category": "books"},
    {"reason": "damaged", "region": "CN"},
    {"reason": "damaged", "region": "CN-SH"},
    {"reason": "damaged", "category": "books"},
    {"reason": "damaged", "request": "refund_only"},
    {"request": "refund_only", "category": "books", "region": "CN-SH"},
    {"reason": "damaged", "category": "books", "region": "CN"},
    {"reason": "damaged", "request": "refund_only", "region": "CN-SH"},
    {"reason": "damaged", "request": "refund_only", "category": "books"},
    {"reason": "damaged", "request": "refund_only", "category": "books", "region": "CN"},
    {"reason": "damaged", "request": "refund_only", "category": "books", "region": "CN-SH"},
]


@given(st.sets(st.integers(0, len(LADDER) - 1)), st.randoms(use_true_random=False))
def test_the_most_specific_row_decides_in_whatever_order_they_stand(steps: set[int], random: Any) -> None:
    rows = [BASE, *(row(f"step-{step}", step + 100, **LADDER[step]) for step in steps)]
    random.shuffle(rows)
    policies = from_document(document(rows=rows))
    expected = Found(parse(f"{max(steps) + 100}h"), f"step-{max(steps)}") if steps else Found(parse("48h"), "base")
    assert response(policies, FULL) == expected


@pytest.mark.parametrize(
    "other",
    [
        Matter("counterfeit", "refund_only", "books", "CN-SH"),
        Matter("damaged", "exchange", "books", "CN-SH"),
        Matter("damaged", "refund_only", "phones", "CN-SH"),
        Matter("damaged", "refund_only", None, "CN-SH"),
        Matter("damaged", "refund_only", "books", "CN-BJ"),
        Matter("damaged", "refund_only", "books", "CN"),
        Matter("damaged", "refund_only", "books", "CN-SHX"),
        Matter("damaged", "refund_only", "books", None),
    ],
)
def test_a_row_with_one_key_that_does_not_match_does_not_hold(other: Matter) -> None:
    policies = from_document(document(row("all-keys", 1, **LADDER[-1])))
    assert response(policies, FULL).row == "all-keys"
    assert response(policies, other).row == "base"


def test_a_country_holds_in_its_parts_and_nowhere_else() -> None:
    policies = from_document(document(row("china", 1, region="CN")))
    found = {region: response(policies, Matter("damaged", "exchange", None, region)).row for region in ("CN", "CN-SH")}
    assert found == {"CN": "china", "CN-SH": "china"}
    assert response(policies, Matter("damaged", "exchange", None, "CNX")).row == "base"


def test_each_setting_is_looked_up_by_itself() -> None:
    books = row("books", category="books", authority={"senior": {"other": 7}}, advance={"platform": True})
    china = row("china", 5, region="CN", compensation={"share_percent": 10}, freight_cap={"other": 3})
    home = {"name": "Returns", "line": "1 Dock Road"}
    exact = row("exact", category="books", region="CN", return_address=home, silence={"fires": "agree"})
    policies = from_document(document(books, china, exact))
    assert response(policies, FULL) == Found(parse("5h"), "china")
    assert policies.authority("senior", "CNY", FULL) == Found(7, "books")
    assert policies.authority("mediator", "CNY", FULL) == Found(50000, "base")
    assert policies.authority("mediator", "USD", FULL) == Found(100, "base")
    assert policies.authority("supervisor", "USD", FULL) == Found(None, "base")
    assert policies.advance(FULL) == Found(True, "books")
    assert policies.silence(FULL) == Found(Silence("agree"), "exact")
    address = policies.return_address(FULL)
    assert address is not None
    assert (dict(address.value), address.row) == (home, "exact")
    # The compensation and the cap on freight are taken whole: nothing of the base shows through.
    assert policies.compensation(FULL) == Found(Compensation(10, {}, {}), "china")
    assert policies.freight_cap("CNY", FULL) == Found(3, "china")
    assert policies.freight_cap("USD", ANY) == Found(None, "base")


def test_rows_with_the_same_keys_may_set_different_settings() -> None:
    policies = from_document(
        document(row("one", 1, region="CN"), row("two", region="CN", limits={"review": "2h"}, authority={}))
    )
    assert response(policies, FULL).row == "one"
    assert policies.limit(LimitKind.REVIEW, FULL).row == "two"


def test_policies_are_told_apart_by_identity_and_keep_their_own_document() -> None:
    given_ = document()
    one, two = from_document(given_), from_document(given_)
    given_["rows"][0]["limits"]["response"] = "1h"
    assert one != two
    assert len({one, two}) == 2
    assert one.document["rows"][0]["limits"]["response"] == "48h"
    assert response(one, ANY).value.seconds == timedelta(hours=48).total_seconds()
    assert response(one, ANY) is response(one, ANY)


# --- refusals ----------------------------------------------------------------------------------------------------


def changed(path: str, value: Any) -> dict[str, Any]:
    """A good document with one field set, or removed if the value is None. Row 1 has the keys reason and category."""
    whole = document(row("second", 24, reason="damaged", category="books"))
    *way, last = path.split(".")
    place: Any = whole
    for step in way:
        place = place[int(step)] if isinstance(place, list) else place.setdefault(step, {})
    if value is None:
        del place[last]
    elif isinstance(place, list):
        place[int(last)] = value
    else:
        place[last] = value
    return whole


@pytest.mark.parametrize(
    ("path", "value", "rule"),
    [
        ("name", None, "Is missing"),
        ("name", " ", "1 to 200 characters"),
        ("name", 5, "1 to 200 characters"),
        ("categories", None, "Is missing"),
        ("categories", "books", "Must be a list"),
        ("categories.1", "Big Books", "small letters"),
        ("categories.1", 7, "small letters"),
        ("categories.1", "books", "twice"),
        ("colour", "red", "Is not a field; the fields here are name, categories, rows"),
        ("rows.1.id", None, "Is missing"),
        ("rows.1.id", "Two Words", "hyphens"),
        ("rows.1.id", 2, "hyphens"),
        ("rows.1.id", "base", "Is already the id of rows.0"),
        ("rows.1.resaon", "damaged", "Is not a field; the fields here are id, reason, request"),
        ("rows.1.reason", "bored", "Must be one of not_received, late_shipment"),
        ("rows.1.reason", ["damaged"], "Must be one of not_received"),
        ("rows.1.request", "everything", "Must be one of refund_only"),
        ("rows.1.category", "boats", "Must be one of books, phones"),
        ("rows.1.region", "China", "a country like CN"),
        ("rows.1.region", "cn", "a country like CN"),
        ("rows.1.limits", "48h", "Must be a table"),
        ("rows.1.limits.lunch", "1h", "Is not a field"),
        ("rows.1.limits.response", 48, "Must be a text"),
        ("rows.1.limits.response", "48", "no length of time"),
        ("rows.1.limits.response", "4h within 18:00-09:00", "over midnight"),
        ("rows.1.silence", "agree", "Must be a table"),
        ("rows.1.silence.fires", "shout", "Must be one of request_mediation, agree"),
        ("rows.0.silence.fires", None, "Is missing"),
        ("rows.1.silence", {"fires": "agree", "needs": "moonlight"}, ("needs", "Must be one of not_shipped")),
        ("rows.0.silence.needs", "not_shipped", "Is only for silence that agrees"),
        ("rows.1.authority.buyer", {"other": 1}, "the fields here are mediator, senior, supervisor"),
        ("rows.1.authority.mediator", 500, "Must be a table of sums"),
        ("rows.1.authority.mediator", {"CNY": 1}, ("other", "Is missing: the sum for every currency")),
        ("rows.0.authority.mediator.cny", 1, "three capitals"),
        ("rows.0.authority.mediator.CNY", -1, "whole number of minor units"),
        ("rows.0.authority.mediator.CNY", 1.5, "whole number of minor units"),
        ("rows.0.authority.mediator.CNY", True, "whole number of minor units"),
        ("rows.0.authority.mediator.CNY", MAX_MINOR + 1, f"to {MAX_MINOR}"),
        ("rows.0.compensation.share_percent", None, "Is missing"),
        ("rows.0.compensation.share_percent", 101, "0 to 100"),
        ("rows.0.compensation.share_percent", -1, "0 to 100"),
        ("rows.0.compensation.share_percent", 12.5, "0 to 100"),
        ("rows.0.compensation.share_percent", True, "0 to 100"),
        ("rows.0.compensation.floor.CNY", "5", "whole number of minor units"),
        ("rows.0.compensation.cap", [], "Must be a table of sums"),
        ("rows.0.compensation.roof", {}, "Is not a field"),
        ("rows.0.freight_cap.CNY", -5, "whole number of minor units"),
        ("rows.0.advance.platform", "yes", "Must be true or false"),
        ("rows.0.advance.platform", None, "Is missing"),
        ("rows.0.advance.platform", 1, "Must be true or false"),
        ("rows.1.return_address", {"name": "Depot"}, ("line", "Is missing")),
        ("rows.1.return_address", {"name": " ", "line": "x"}, ("name", "1 to 500 characters")),
        ("rows.1.return_address", {"name": "n", "line": "x", "fax": "1"}, ("fax", "name, line, phone")),
        ("rows.1.limits", None, ("", "Sets nothing")),
        ("rows.0.limits.review", None, "the row without keys must set it"),
        ("rows.0.silence", None, "the row without keys must set it"),
        ("rows.0.compensation", None, "the row without keys must set it"),
        ("rows.0.freight_cap", None, "the row without keys must set it"),
        ("rows.0.advance", None, "the row without keys must set it"),
    ],
)
def test_one_fault_is_told_by_field_and_rule_and_nothing_else_is(path: str, value: Any, rule: Any) -> None:
    where = path
    if isinstance(rule, tuple):
        where, rule = (f"{path}.{rule[0]}" if rule[0] else path.rpartition(".")[0]), rule[1]
    errors = errors_of(changed(path, value))
    assert list(errors) == [where]
    assert len(errors[where]) == 1
    assert rule in errors[where][0]


def test_authority_may_be_left_out_of_the_base_row() -> None:
    assert from_document(changed("rows.0.authority", None)).authority("mediator", "CNY", ANY) == Found(None, "base")


@pytest.mark.parametrize("whole", [None, [], "name", 5])
def test_a_document_that_is_no_table_is_refused(whole: Any) -> None:
    assert errors_of(whole)["document"] == ["Must be a table of fields."]


@pytest.mark.parametrize("rows", [[], "rows", {"id": "base"}])
def test_without_a_row_that_holds_everywhere_nothing_is_read(rows: Any) -> None:
    assert "One row must have no keys" in errors_of(document(rows=rows))["rows"][-1]


def test_two_rows_with_the_same_keys_do_not_set_the_same() -> None:
    same = [row("one", 1, region="CN", reason="damaged"), row("two", 2, reason="damaged", region="CN")]
    assert errors_of(document(*same)) == {
        "rows.2.limits.response": ["Is already set by rows.1, which has the same keys."]
    }
    roles = [row(id_, region="CN", authority={"senior": {"other": 1}}) for id_ in ("one", "two")]
    assert list(errors_of(document(*roles))) == ["rows.2.authority.senior"]
    assert list(errors_of(document(row("second-base", 1)))) == ["rows.1.limits.response"]


def test_all_faults_are_told_at_once() -> None:
    bad = row("Bad", 24, reason="bored", compensation={"share_percent": 300, "cap": {"yuan": 1, "other": 1}})
    bad["limits"]["offer"] = "soon"
    errors = errors_of(document(bad, name="", extra=1))
    assert set(errors) == {
        "name",
        "extra",
        "rows.1.id",
        "rows.1.reason",
        "rows.1.limits.offer",
        "rows.1.compensation.share_percent",
        "rows.1.compensation.cap.yuan",
    }
    with pytest.raises(PoliciesNotReadable, match=r"rows\.1\.reason: Must be one of"):
        from_document(document(bad))


@pytest.mark.parametrize("text", ['name = "a"\nrows = [\n', "name = 'a'\nname = 'b'", "x = " + "[" * 5000])
def test_what_is_no_toml_is_told_with_the_place(text: str) -> None:
    with pytest.raises(PoliciesNotReadable) as refused:
        read(text)
    assert refused.value.errors.keys() == {"document"}
    assert "Is not valid TOML" in refused.value.errors["document"][0]


def test_the_line_of_a_slip_in_the_toml_is_told() -> None:
    with pytest.raises(PoliciesNotReadable, match="line 2"):
        read('name = "a"\ncategories = [books]\n')


def test_a_date_in_the_toml_is_no_text() -> None:
    with pytest.raises(PoliciesNotReadable) as refused:
        read(shipped().replace('name = "Shipped defaults"', "name = 2026-01-01"))
    assert list(refused.value.errors) == ["name"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
places = [
    "name",
    "categories",
    "categories.0",
    "rows",
    "rows.1",
    *(f"rows.1.{name}" for name in ("id", "reason", "category", "region", "limits", "silence", "authority")),
    *(f"rows.1.{name}" for name in ("limits.response", "compensation", "freight_cap", "advance", "return_address")),
    *(f"rows.0.{name}" for name in ("silence.fires", "authority.mediator", "compensation.cap", "advance.platform")),
]


@given(st.sampled_from(places), json_values.filter(lambda value: value is not None))
def test_whatever_stands_in_a_field_it_is_read_or_refused(place: str, value: Any) -> None:
    try:
        from_document(changed(place, value))
    except PoliciesNotReadable as refused:
        assert refused.errors


# --- compensation for late shipment ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("percent", "price", "owed"),
    [(30, 10000, 3000), (30, 5, 2), (50, 1, 1), (30, 1, 0), (33, 150, 50), (100, 7, 7), (0, 10000, 0)],
)
def test_the_share_is_rounded_half_up_to_a_minor_unit(percent: int, price: int, owed: int) -> None:
    assert late_shipment_compensation(Compensation(percent, {}, {}), price, "CNY") == owed


def test_the_floor_and_the_cap_are_those_of_the_currency_or_of_all_others() -> None:
    found = Compensation(30, {"CNY": 500, "other": 10}, {"CNY": 50000, "other": 700})
    assert late_shipment_compensation(found, 100, "CNY") == 500
    assert late_shipment_compensation(found, 1_000_000, "CNY") == 50000
    assert late_shipment_compensation(found, 1, "USD") == 10
    assert late_shipment_compensation(found, 1_000_000, "USD") == 700
    assert late_shipment_compensation(Compensation(30, {"CNY": 500}, {"CNY": 50000}), 1_000_000, "USD") == 300_000


@given(st.integers(0, 100), st.integers(0, MAX_MINOR), st.integers(0, MAX_MINOR), st.integers(0, MAX_MINOR))
def test_compensation_is_never_above_the_cap_and_otherwise_never_below_the_floor(
    percent: int, price: int, floor: int, cap: int
) -> None:
    owed = late_shipment_compensation(Compensation(percent, {"CNY": floor}, {"CNY": cap}), price, "CNY")
    assert owed <= cap
    assert owed == cap or owed >= floor
    free = late_shipment_compensation(Compensation(percent, {}, {}), price, "CNY")
    assert -100 < 2 * (free * 100 - price * percent) <= 100
    assert free <= price


def test_a_negative_price_is_an_error_of_the_caller() -> None:
    with pytest.raises(ValueError, match="not negative"):
        late_shipment_compensation(Compensation(30, {}, {}), -1, "CNY")
