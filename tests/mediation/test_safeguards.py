"""What a sly party, a new version of the policies, or two things at once must not bring about."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from mediation import policies
from mediation.services import real_time
from mediation.settings import Settings
from tests.mediation.conftest import make_services, make_settings, patient_policies
from tests.mediation.story import ADDRESS, PARCEL, Story, decision, money
from tests.mediation.timed import Hands, TimedStory

ELSEWHERE = {"name": "Mallory", "line": "13 Dark Alley"}


@pytest.fixture
def timed(settings: Settings) -> Iterator[TimedStory]:
    made = make_services(settings)
    yield TimedStory(made, Hands())
    made.engine.dispose()


def _load(timed: TimedStory, text: str, begins: Any) -> None:
    with timed.services.sessions.begin() as session:
        policies.load(session, text, effective_from=begins, now=real_time(), by="a test")


def test_the_buyer_cannot_say_where_the_goods_go_back_to(timed: TimedStory) -> None:
    case = timed.asked("return_and_refund")
    offer = {"remedy": "return_and_refund", "amount": money(12_900)}
    timed.do("seller", case, "offer", {**offer, "return_address": ADDRESS})
    for action, body in (("accept_offer", {}), ("offer", offer)):
        refused = timed.act("buyer", case, action, {**body, "return_address": ELSEWHERE})
        assert (refused.status_code, list(refused.get_json()["errors"])) == (422, ["return_address"])
    timed.do("buyer", case, "accept_offer")
    assert timed.case(case, "buyer")["return_address"] == ADDRESS


def test_an_address_of_an_offer_that_came_to_nothing_is_not_shown_to_the_buyer(timed: TimedStory) -> None:
    case = timed.asked("return_and_refund")
    offer = {"remedy": "return_and_refund", "amount": money(12_900), "return_address": ADDRESS}
    timed.do("seller", case, "offer", offer)
    assert timed.case(case, "buyer")["return_address"] is None
    assert timed.case(case, "seller")["return_address"] == ADDRESS


def test_a_decision_that_waits_does_not_show_where_it_sends_the_goods(timed: TimedStory) -> None:
    case = timed.asked("return_and_refund", paid=60_000)
    timed.do("seller", case, "refuse", {"reason": "other", "statement": "No."})
    timed.do("buyer", case, "request_mediation")
    remedy = {"kind": "return_and_refund", "amount": money(60_000)}
    timed.do("mediator", case, "decide", decision(60_000, remedy=remedy, return_address=ADDRESS))
    for party in ("buyer", "seller"):
        assert timed.case(case, party)["return_address"] is None
    timed.do("senior", case, "approve")
    assert timed.case(case, "buyer")["return_address"] == ADDRESS
    approved = timed.entries(case, "buyer")[-1]
    assert {"return_address": ADDRESS} in [one["value"] for one in approved["openings"]]


def test_a_version_that_begins_tomorrow_counts_nothing_today(timed: TimedStory) -> None:
    tomorrow = timed.hands.now + timedelta(days=1)
    _load(timed, patient_policies().replace('offer = "48h"', 'offer = "1h"'), tomorrow)
    case = timed.at("seller_notified")
    due = timed.hands.now + timedelta(days=4)
    timed.do("mediator", case, "extend", {"due": due.isoformat(), "reason": "A holiday of the shop."})
    other = timed.at("negotiating")
    assert timed.due(other) == timed.hands.now + timedelta(hours=48)
    timed.hands.now = tomorrow
    assert timed.due(timed.at("negotiating")) == tomorrow + timedelta(hours=1)


def test_what_silence_needs_is_what_it_needed_when_the_clock_began(timed: TimedStory) -> None:
    case = timed.asked("refund_only", reason="not_shipped")
    timed.track(case, "outbound", "T-1", ("accepted", timed.hands.now))
    _load(timed, patient_policies().replace('needs = "not_shipped"', ""), timed.hands.now)
    timed.pass_time(hours=48)
    assert timed.state(case) == "under_review"
    entry = timed.entries(case)[-1]
    facts = next(one["value"]["facts"] for one in entry["openings"] if one["name"] == "facts")
    assert (facts["instead_of"], facts["why"]) == ("agree", "facts_do_not_hold")
    assert facts["silence"]["rows"] == ["not-shipped"]


def test_money_is_not_sent_back_at_once_where_nobody_said_when_it_had_to_be_shipped(timed: TimedStory) -> None:
    case = timed.asked("refund_only", reason="not_shipped", ship_by=None)
    refused = timed.act("mediator", case, "refund_now", {"ground": "not_shipped"})
    assert refused.get_json()["code"] == "ground_not_proven"
    timed.pass_time(hours=48)
    assert timed.state(case) == "refunded"


def test_a_parcel_goes_back_once(timed: TimedStory) -> None:
    body = timed.case_body(claims=[6_000, 6_900], order_id="T-PARCEL")
    for claim in body["claims"]:
        claim["request"] = "return_and_refund"
    cases = []
    for claim in body["claims"]:
        case = timed.post("platform", "/cases", body | {"claims": [claim]}).get_json()["id"]
        timed.do("platform", case, "notify_seller")
        timed.do("seller", case, "agree", {"return_address": ADDRESS})
        cases.append(case)
    timed.do("buyer", cases[0], "ship_return", PARCEL)
    for number, carrier in (("SF123", "SF"), (" sf123 ", "SF"), ("SF123", "another")):
        refused = timed.act("buyer", cases[1], "ship_return", {"carrier": carrier, "tracking_number": number})
        assert (refused.status_code, refused.get_json()["code"]) == (422, "parcel_used")
    timed.do("buyer", cases[1], "ship_return", PARCEL | {"tracking_number": "SF124"})


def test_two_cases_told_of_one_parcel_at_the_same_moment_do_not_both_have_it(timed: TimedStory) -> None:
    for round_ in range(4):
        body = timed.case_body(claims=[6_000, 6_900], order_id=f"T-BOTH-{round_}")
        cases = []
        for claim in body["claims"]:
            claim["request"] = "return_and_refund"
            case = timed.post("platform", "/cases", body | {"claims": [claim]}).get_json()["id"]
            timed.do("platform", case, "notify_seller")
            timed.do("seller", case, "agree", {"return_address": ADDRESS})
            cases.append(case)
        barrier, found = threading.Barrier(2), []

        def ship(case: str, barrier: threading.Barrier = barrier, found: list[int] = found) -> None:
            barrier.wait()
            found.append(timed.act("buyer", case, "ship_return", PARCEL).status_code)

        threads = [threading.Thread(target=ship, args=(case,)) for case in cases]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(found) == [200, 422]


def test_policies_nested_beyond_all_reason_are_refused(timed: TimedStory) -> None:
    text = 'name="x"\ncategories=[]\n[[rows]]\nid="a"\nreason' + ".a" * 3_000 + "=1"
    refused = timed.post("admin", "/policies", {"text": text})
    assert (refused.status_code, refused.get_json()["code"]) == (422, "invalid_body")
    assert timed.post("admin", "/policies", {"text": "#" * 50_001}).status_code == 422


def test_a_decision_says_the_same_of_the_goods_everywhere(timed: TimedStory) -> None:
    case = timed.at("under_review")
    decided = timed.do("mediator", case, "decide", decision())
    shown = timed.get("mediator", f"/cases/{case}/decisions").get_json()["items"][0]
    assert decided["remedy"]["return_required"] is shown["remedy"]["return_required"] is False


def test_a_year_counts_in_utc(timed: TimedStory) -> None:
    for moment in ("2199-12-31T23:59:59-23:59", "1970-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"):
        body = {"text": patient_policies(), "effective_from": moment}
        refused = timed.post("admin", "/policies", body)
        assert "effective_from" in refused.get_json()["errors"], moment


def test_liability_by_weights_is_split_to_the_last_unit(timed: TimedStory) -> None:
    case = timed.at("under_review")
    parties = ("seller", "platform", "carrier")
    liability = [{"party": party, "weight": weight} for party, weight in zip(parties, (2, 1, 1), strict=True)]
    mixed = [liability[0], {"party": "platform", "amount": money(100)}]
    assert "liability" in timed.act("mediator", case, "decide", decision(101, liability=mixed)).get_json()["errors"]
    timed.do("mediator", case, "decide", decision(101, liability=liability))
    decided = timed.get("mediator", f"/cases/{case}/decisions").get_json()["items"][0]
    assert [part["amount"]["amount"] for part in decided["liability"]] == [51, 25, 25]


def test_only_the_deadline_that_fired_is_told_as_fired(timed: TimedStory) -> None:
    case = timed.at("negotiating")
    timed.hands.move(days=11)
    timed.work()
    entry = next(one for one in timed.entries(case) if one["type"] == "expire_offer")
    told = next(one["value"]["deadlines"] for one in entry["openings"] if one["name"] == "deadlines")
    assert {one["kind"]: one["change"] for one in told} == {
        "offer": "fired",
        "negotiation": "ended",
        "review": "started",
    }


def test_a_refund_that_went_another_way_is_in_the_ledger_too(timed: TimedStory) -> None:
    case = timed.failed_refund()
    chat = {
        "kind": "refund_proof",
        "timezone": "UTC",
        "messages": [{"sender": {"role": "seller", "id": "s", "name": "s"}, "text": "paid by bank"}],
    }
    timed.post("senior", f"/cases/{case}/exhibits", chat | {"kind": "chat_log"})
    timed.do("senior", case, "settle_elsewhere", {"proof": "M-1"})
    rows = timed.get("senior", f"/cases/{case}/ledger").get_json()["items"]
    assert [row["amount"]["amount"] for row in rows] == [-12_900, 12_900]


@pytest.mark.parametrize("version", ["0", "-1", "9" * 5_000, "１", "x"])
def test_a_version_that_can_be_none_is_not_there(timed: TimedStory, version: str) -> None:
    assert timed.get("buyer", f"/policies/{version}").status_code == 404


def test_policies_with_a_nul_in_a_text_are_refused(timed: TimedStory) -> None:
    text = patient_policies().replace('name = "Shipped defaults"', 'name = "a\\u0000b"')
    refused = timed.post("admin", "/policies", {"text": text})
    assert (refused.status_code, list(refused.get_json()["errors"])) == (422, ["text.name"])


def test_a_sandbox_moves_once_for_one_key(database: str, tmp_path: Any) -> None:
    services = make_services(make_settings(database, tmp_path, sandbox=True))
    from mediation import create_app

    story = Story(create_app(services.settings, services), services)
    answers = [story.post("admin", "/sandbox/clock", {"advance": "P1D"}, {"Idempotency-Key": "once"}) for _ in range(2)]
    assert [one.status_code for one in answers] == [200, 200]
    assert answers[1].headers["Idempotency-Replayed"] == "true"
    assert timedelta(hours=23) < services.clock() - services.real() < timedelta(hours=25)
    services.engine.dispose()


def test_withdrawing_and_disputing_the_line_again_do_not_lock_each_other_out(timed: TimedStory) -> None:
    for round_ in range(6):
        order_id = f"T-LOCK-{round_}"
        body = timed.case_body(order_id=order_id)
        body["claims"][0]["request"] = "return_and_refund"
        case = timed.post("platform", "/cases", body).get_json()["id"]
        timed.do("platform", case, "notify_seller")
        timed.do("seller", case, "agree", {"return_address": ADDRESS})
        barrier, statuses = threading.Barrier(2), {}

        def run(name: str, act: Any, barrier: threading.Barrier = barrier, statuses: dict[str, int] = statuses) -> None:
            barrier.wait()
            statuses[name] = act().status_code

        opening = {"order": {"id": order_id}, "claims": body["claims"]}
        acts = {
            "withdraw": lambda case=case: timed.act("buyer", case, "withdraw"),
            "open": lambda opening=opening: timed.post("buyer", "/cases", opening),
        }
        threads = [threading.Thread(target=run, args=pair) for pair in acts.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert statuses["withdraw"] == 200
        assert statuses["open"] in (201, 409)
