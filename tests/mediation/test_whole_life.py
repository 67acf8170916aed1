"""The whole life of a case over the API, with time: every way it goes on when somebody acts, and when nobody does."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from mediation.settings import Settings
from tests.mediation.conftest import make_services
from tests.mediation.story import decision, money
from tests.mediation.timed import ADDRESS, PARCEL, Hands, TimedStory


@pytest.fixture
def timed(settings: Settings) -> Iterator[TimedStory]:
    made = make_services(settings)
    yield TimedStory(made, Hands())
    made.engine.dispose()


def test_a_seller_who_never_ships_and_never_answers_pays_and_nobody_lifts_a_finger(timed: TimedStory) -> None:
    response = timed.post("platform", "/cases", timed.case_body())
    case = response.get_json()["id"]
    assert response.get_json()["deadline"]["fires"] == "notify_seller"
    timed.pass_time(hours=1)
    assert timed.state(case) == "seller_notified"


def test_not_shipped_and_silent(timed: TimedStory) -> None:
    case = timed.asked("refund_only", reason="not_shipped")
    assert timed.case(case)["deadline"]["fires"] == "agree"
    timed.pass_time(hours=47)
    assert timed.state(case) == "seller_notified"
    timed.pass_time(hours=2)
    found = timed.case(case)
    assert (found["state"], found["outcome"]) == ("refunded", "buyer_favour")
    assert timed.types(case) == ["open", "notify_seller", "agree", "settle_refund"]


def test_return_and_refund(timed: TimedStory) -> None:
    case = timed.asked("return_and_refund")
    refused = timed.act("seller", case, "agree")
    assert (refused.status_code, refused.get_json()["code"]) == (422, "return_address_needed")
    agreed = timed.do("seller", case, "agree", {"return_address": ADDRESS})
    assert (agreed["state"], agreed["legs"]) == ("awaiting_return", ["return", "refund"])
    assert timed.case(case, "buyer")["return_address"] == ADDRESS
    timed.do("buyer", case, "ship_return", PARCEL)
    done = timed.do("seller", case, "confirm_return")
    assert done["state"] == "refund"
    timed.work()
    assert timed.state(case) == "refunded"


def test_goods_back_but_no_money(timed: TimedStory) -> None:
    case = timed.asked("return_and_refund")
    timed.do("seller", case, "agree", {"return_address": ADDRESS})
    timed.do("buyer", case, "ship_return", PARCEL)
    refused = timed.act("mediator", case, "refund_now", {"ground": "return_delivered"})
    assert refused.get_json()["code"] == "ground_not_proven"
    timed.hands.move(days=2)
    timed.track(case, "return", "SF123", ("delivered", timed.hands.now - timedelta(hours=1)))
    facts = {fact["name"]: fact for fact in timed.case(case)["facts"]}
    assert facts["refund_outstanding"]["holds"]
    timed.do("mediator", case, "refund_now", {"ground": "return_delivered"})
    timed.work()
    assert timed.state(case) == "refunded"


def test_exchange(timed: TimedStory) -> None:
    case = timed.asked("exchange")
    agreed = timed.do("seller", case, "agree", {"return_address": ADDRESS})
    assert agreed["remedy"]["in_place"] == money(12_900)
    timed.do("buyer", case, "ship_return", PARCEL)
    assert timed.do("seller", case, "confirm_return")["state"] == "awaiting_performance"
    performed = timed.do("seller", case, "perform", PARCEL)
    assert (performed["state"], performed["waiting_on"]) == ("awaiting_performance", "buyer")
    assert timed.do("buyer", case, "confirm_performance")["state"] == "closed"
    order_id = timed.case(case)["order"]["id"]
    assert timed.get("platform", f"/orders/{order_id}").get_json()["reserved"] == money(0)


def test_a_reship_never_done_is_paid_for(timed: TimedStory) -> None:
    case = timed.asked("reship")
    assert timed.do("seller", case, "agree")["state"] == "awaiting_performance"
    timed.pass_time(days=8)
    found = timed.case(case)
    assert (found["state"], found["remedy"]["amount"]) == ("refunded", money(12_900))


def _asked_evidence(timed: TimedStory, **more: Any) -> str:
    case = timed.at("under_review")
    body = {"from": "both", "items": [{"type": "tracking", "note": "the waybill"}], **more}
    timed.do("mediator", case, "request_evidence", body)
    return case


def test_evidence_default(timed: TimedStory) -> None:
    case = _asked_evidence(timed)
    found = timed.case(case)
    assert (found["state"], found["waiting_on"]) == ("awaiting_evidence", "both")
    review = next(one for one in found["deadlines"] if one["kind"] == "review")
    assert review["at"] is None
    left = review["remaining_seconds"]
    asked = timed.get("buyer", f"/cases/{case}/evidence-requests").get_json()["items"][0]
    chat = {
        "kind": "chat_log",
        "timezone": "UTC",
        "messages": [{"sender": {"role": "buyer", "id": "b", "name": "b"}, "text": "see"}],
        "answers": {"request": asked["id"], "item": 1},
    }
    filed = timed.post("buyer", f"/cases/{case}/exhibits", chat)
    assert filed.status_code == 201, filed.get_json()
    assert timed.case(case)["waiting_on"] == "seller"
    timed.pass_time(hours=73)
    found = timed.case(case)
    assert found["state"] == "under_review"
    entry = next(one for one in timed.entries(case) if one["type"] == "default_evidence")
    facts = next(one["value"]["facts"] for one in entry["openings"] if one["name"] == "facts")
    assert facts["silent"] == ["seller"]
    assert next(one for one in found["deadlines"] if one["kind"] == "review")["at"] is not None
    assert left > 0
    late = timed.post("seller", f"/cases/{case}/exhibits", {**chat, "answers": {"request": asked["id"], "item": 2}})
    assert (late.status_code, late.get_json()["late"]) == (201, True)
    finding = {
        "issue": "Was it sent?",
        "burden": "seller",
        "finding": "not_proven",
        "defaults": [{"request": asked["id"], "side": "seller"}],
    }
    timed.do("mediator", case, "decide", decision(findings=[finding]))


def test_suspension_keeps_the_remaining_time_to_the_second(timed: TimedStory) -> None:
    case = timed.at("seller_notified")
    timed.hands.move(hours=5, seconds=7)
    until = timed.hands.now + timedelta(days=3)
    timed.do("mediator", case, "suspend", {"ground": "agreement", "until": until.isoformat()})
    assert timed.case(case)["stage"] == "negotiation"
    timed.pass_time(days=3, seconds=1)
    found = timed.case(case)
    assert found["state"] == "seller_notified"
    assert found["deadline"]["at"].startswith((until + timedelta(hours=42, minutes=59, seconds=53)).isoformat()[:19])


def test_nobody_decides(timed: TimedStory) -> None:
    case = timed.at("under_review")
    timed.pass_time(hours=48)
    assert timed.case(case)["state"] == "escalated"
    timed.pass_time(hours=24)
    found = timed.case(case)
    assert (found["state"], found["level"], found["waiting_on"]) == ("escalated", 2, "supervisor")
    notices = timed.get("supervisor", f"/cases/{case}/notices").get_json()["items"]
    assert "level_raised" in [one["kind"] for one in notices]


def test_a_proposal_binds_when_both_accept(timed: TimedStory) -> None:
    case = timed.at("under_review")
    timed.do("mediator", case, "propose", {"remedy": "partial_refund", "amount": money(5000)})
    one = timed.do("buyer", case, "accept_offer")
    assert (one["state"], one["waiting_on"]) == ("negotiating", "seller")
    assert timed.do("seller", case, "accept_offer")["state"] == "refund"


def test_a_decision_nobody_appeals_becomes_final_by_itself(timed: TimedStory) -> None:
    case = timed.at("decided")
    timed.pass_time(days=7, seconds=1)
    assert timed.state(case) == "refunded"


def test_acting_after_the_time_finds_what_time_did_first(timed: TimedStory) -> None:
    case = timed.asked("refund_only", reason="not_shipped")
    timed.hands.move(hours=48)
    late = timed.act("seller", case, "refuse", {"reason": "shipped", "statement": "It is on its way."})
    assert (late.status_code, late.get_json()["code"]) == (409, "wrong_state")
    assert timed.state(case) == "refund"
