"""Money by purpose: refund, compensation and freight, held apart, capped apart, and borne by who is liable."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from mediation import policies
from mediation.services import real_time
from mediation.settings import Settings
from tests.mediation.conftest import make_services, patient_policies
from tests.mediation.story import decision, money
from tests.mediation.timed import ADDRESS, PARCEL, Hands, TimedStory


@pytest.fixture
def timed(settings: Settings) -> Iterator[TimedStory]:
    made = make_services(settings)
    yield TimedStory(made, Hands())
    made.engine.dispose()


def _load(timed: TimedStory, text: str) -> None:
    with timed.services.sessions.begin() as session:
        policies.load(session, text, effective_from=policies.ALWAYS, now=real_time(), by="a test")


def _review(timed: TimedStory, *requests: str, **more: Any) -> tuple[str, list[str]]:
    case = timed.asked(*requests, **more)
    timed.do("seller", case, "refuse", {"reason": "other", "statement": "No."})
    found = timed.do("buyer", case, "request_mediation")
    return case, [claim["id"] for claim in found["claims"]]


def _ledger(timed: TimedStory, case: str) -> list[tuple[str, str, int]]:
    rows = timed.get("senior", f"/cases/{case}/ledger").get_json()["items"]
    assert sum(row["amount"]["amount"] for row in rows) == 0
    return [(row["account"].partition(":")[0], row["purpose"], row["amount"]["amount"]) for row in rows]


def _order(timed: TimedStory, case: str) -> dict[str, Any]:
    order_id = timed.case(case)["order"]["id"]
    found: dict[str, Any] = timed.get("platform", f"/orders/{order_id}").get_json()
    return found


def _final(timed: TimedStory, case: str) -> dict[str, Any]:
    timed.do("buyer", case, "accept_decision")
    return timed.do("seller", case, "accept_decision")


def test_return_freight_is_repaid_beside_the_price_and_shared_as_decided(timed: TimedStory) -> None:
    case, _ = _review(timed, "return_and_refund")
    body = decision(
        remedy={
            "kind": "return_and_refund",
            "amount": money(12_900),
            "freight": money(1_200),
            "freight_bearer": "seller",
        },
        liability=[{"party": "seller", "amount": money(13_000)}, {"party": "carrier", "amount": money(1_100)}],
        return_address=ADDRESS,
    )
    decided = timed.do("mediator", case, "decide", body)
    assert decided["remedy"]["amount"] == money(14_100)
    assert decided["remedy"]["purposes"] == {"refund": money(12_900), "freight": money(1_200)}
    assert _order(timed, case)["reserved"] == money(12_900)
    assert _final(timed, case)["state"] == "awaiting_return"
    timed.do("buyer", case, "ship_return", PARCEL)
    timed.do("seller", case, "confirm_return")
    timed.work()
    assert timed.state(case) == "refunded"
    assert _ledger(timed, case) == [
        ("seller", "liability", -13_000),
        ("carrier", "liability", -1_100),
        ("buyer", "refund", 12_900),
        ("buyer", "freight", 1_200),
    ]
    assert _order(timed, case)["refunded"] == money(12_900)


@pytest.mark.parametrize(
    ("remedy", "field"),
    [
        ({"freight": money(5_001), "freight_bearer": "seller"}, "remedy.freight"),
        ({"freight": money(100), "freight_bearer": "buyer"}, "remedy.freight_bearer"),
        ({"freight": money(100)}, "remedy.freight_bearer"),
        ({"freight": money(100, "USD"), "freight_bearer": "seller"}, "remedy.freight.currency"),
        ({"kind": "refund", "freight": money(100), "freight_bearer": "seller"}, "remedy.freight"),
    ],
    ids=["above the cap", "the buyer bears it", "nobody bears it", "another currency", "nothing goes back"],
)
def test_freight_that_breaks_a_rule_is_refused(timed: TimedStory, remedy: dict[str, Any], field: str) -> None:
    case, _ = _review(timed, "return_and_refund")
    amount = 12_900 + remedy["freight"]["amount"]
    body = decision(
        remedy={"kind": "return_and_refund", "amount": money(12_900), **remedy},
        liability=[{"party": "seller", "amount": money(amount)}],
        return_address=ADDRESS,
    )
    refused = timed.act("mediator", case, "decide", body)
    assert refused.status_code == 422
    assert field in refused.get_json()["errors"]
    assert timed.state(case) == "under_review"
    assert _order(timed, case)["reserved"] == money(0)


def test_compensation_comes_beside_a_full_refund(timed: TimedStory) -> None:
    case, claims = _review(timed, "refund_only", "compensation", paid=10_000)
    dispositions = [
        {"claim": claims[0], "remedy": {"kind": "refund", "amount": money(10_000)}},
        {"claim": claims[1], "remedy": {"kind": "compensation", "amount": money(3_000)}},
    ]
    body = decision(13_000, remedy={"kind": "refund", "amount": money(13_000)}, dispositions=dispositions)
    decided = timed.do("mediator", case, "decide", body)
    assert decided["remedy"]["purposes"] == {"refund": money(10_000), "compensation": money(3_000)}
    _final(timed, case)
    timed.work()
    assert _order(timed, case)["refunded"] == money(10_000)
    assert _ledger(timed, case) == [
        ("seller", "liability", -13_000),
        ("buyer", "refund", 10_000),
        ("buyer", "compensation", 3_000),
    ]


def test_a_refund_above_what_was_paid_is_refused_however_it_is_split(timed: TimedStory) -> None:
    case, claims = _review(timed, "refund_only", "refund_only", paid=10_000)
    dispositions = [{"claim": claim, "remedy": {"kind": "refund", "amount": money(6_000)}} for claim in claims]
    body = decision(12_000, remedy={"kind": "refund", "amount": money(12_000)}, dispositions=dispositions)
    refused = timed.act("mediator", case, "decide", body)
    assert refused.get_json()["errors"] == {"remedy.amount.amount": ["Must not exceed what was paid for the order."]}


def test_compensation_above_the_cap_of_the_policies_is_refused_with_the_row(timed: TimedStory) -> None:
    case, _ = _review(timed, "compensation", paid=80_000)
    body = decision(60_000, remedy={"kind": "compensation", "amount": money(60_000)})
    timed.do("mediator", case, "escalate", {"reason": "complex"})
    refused = timed.act("senior", case, "decide", body).get_json()
    assert refused["code"] == "compensation_above_cap"
    assert "500.00 CNY" in refused["detail"]
    assert "'base'" in refused["detail"]
    chinese = timed.act("senior", case, "decide", body, **{"Accept-Language": "zh-CN"}).get_json()
    assert "赔偿总额最高" in chinese["detail"]
    assert timed.state(case) == "escalated"


def test_the_cap_holds_over_all_cases_of_an_order(timed: TimedStory) -> None:
    order_id = "T-CAP"
    first = timed.case_body(paid=80_000, claims=[40_000, 40_000], order_id=order_id)
    bodies = [first | {"claims": [claim | {"request": "compensation"}]} for claim in first["claims"]]
    codes = []
    for body in bodies:
        case = timed.post("platform", "/cases", body).get_json()["id"]
        timed.do("platform", case, "notify_seller")
        answer = timed.act("seller", case, "agree")
        codes.append((answer.status_code, answer.get_json().get("code")))
    assert codes == [(200, None), (422, "compensation_above_cap")]


def test_what_is_paid_for_because_it_was_not_performed_is_borne_by_the_seller(timed: TimedStory) -> None:
    case, _ = _review(timed, "reship")
    body = decision(0, remedy={"kind": "reship"}, liability=[])
    assert timed.do("mediator", case, "decide", body)["remedy"]["in_place"] == money(12_900)
    assert _order(timed, case)["reserved"] == money(12_900)
    assert _final(timed, case)["state"] == "awaiting_performance"
    timed.pass_time(days=8)
    assert timed.state(case) == "refunded"
    assert _ledger(timed, case) == [("seller", "liability", -12_900), ("buyer", "refund", 12_900)]


def test_where_the_platform_advances_the_ledger_shows_the_advance_and_its_recovery(timed: TimedStory) -> None:
    _load(timed, patient_policies().replace("platform = false", "platform = true"))
    case = timed.asked("refund_only")
    timed.do("seller", case, "agree")
    timed.work()
    assert _ledger(timed, case) == [
        ("platform", "advance", -12_900),
        ("buyer", "refund", 12_900),
        ("seller", "liability", -12_900),
        ("platform", "recovery", 12_900),
    ]


@pytest.mark.parametrize(("currency", "paid"), [("JPY", 1_001), ("KWD", 12_345), ("CNY", 9_999)])
def test_liability_is_exact_in_every_currency(timed: TimedStory, currency: str, paid: int) -> None:
    body = timed.case_body(paid=paid)
    body["order"] |= {"paid": money(paid, currency)}
    body["order"]["lines"][0]["unit_price"] = money(paid, currency)
    body["claims"][0]["amount"] = money(paid, currency)
    case = timed.post("platform", "/cases", body).get_json()["id"]
    timed.do("platform", case, "notify_seller")
    timed.do("seller", case, "refuse", {"reason": "other", "statement": "No."})
    timed.do("buyer", case, "request_mediation")
    third = paid // 3
    shares = {"seller": paid - 2 * third, "platform": third, "carrier": third}
    told = decision(
        remedy={"kind": "refund", "amount": money(paid, currency)},
        liability=[{"party": party, "amount": money(amount, currency)} for party, amount in shares.items()],
    )
    off = [
        {**part, "amount": money(part["amount"]["amount"] + (n == 0), currency)}
        for n, part in enumerate(told["liability"])
    ]
    refused = timed.act("mediator", case, "decide", told | {"liability": off})
    assert "liability" in refused.get_json()["errors"]
    timed.do("mediator", case, "decide", told)
    _final(timed, case)
    timed.work()
    assert _ledger(timed, case) == [
        *((party, "liability", -amount) for party, amount in shares.items()),
        ("buyer", "refund", paid),
    ]


def test_late_shipment_shows_what_the_policies_grant_for_it(timed: TimedStory) -> None:
    case = timed.asked("compensation", reason="late_shipment", shipped_at="2026-11-04T08:00:00Z")
    fact = next(one for one in timed.case(case)["facts"] if one["name"] == "shipped_late")
    assert fact["holds"]
    assert fact["detail"]["late_by_seconds"] == 86_400
    assert fact["detail"]["compensation"] == money(3_870)
    assert fact["detail"]["policy"]["row"] == "base"


def test_withdrawing_lets_go_of_what_was_held(timed: TimedStory) -> None:
    case = timed.asked("return_and_refund")
    timed.do("seller", case, "agree", {"return_address": ADDRESS})
    assert _order(timed, case)["reserved"] == money(12_900)
    timed.do("buyer", case, "withdraw")
    assert _order(timed, case)["reserved"] == money(0)


def test_a_return_that_never_leaves_lets_go_of_what_was_held(timed: TimedStory) -> None:
    case = timed.asked("return_and_refund")
    timed.do("seller", case, "agree", {"return_address": ADDRESS})
    timed.pass_time(days=8)
    found = timed.case(case)
    assert (found["state"], found["outcome"]) == ("closed", "lapsed")
    assert _order(timed, case)["reserved"] == money(0)
