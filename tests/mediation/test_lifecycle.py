"""The life of a case over the API: what each way through it does to money, offers, decisions and people."""

from __future__ import annotations

import uuid
from threading import Barrier, Thread
from typing import Any

import pytest
from werkzeug.test import TestResponse

from mediation.auth import issue_token
from mediation.operations import refunds
from tests.mediation.story import ADDRESS, CHAT, NOTHING_GRANTED, PARCEL, Story, decision, money, order

PAID = 12_900
ABOVE = 50_001
GROUNDS = {"grounds": "The carrier was late, not us."}
UPHELD = {"upholds": True, "reasons": "Nothing new was brought."}


# --- short ways to ask -------------------------------------------------------------------------------------------


def _case(story: Story, case: str, who: str = "mediator") -> dict[str, Any]:
    answered: dict[str, Any] = story.get(who, f"/cases/{case}").get_json()
    return answered


def _items(story: Story, case: str, what: str, who: str = "mediator") -> list[dict[str, Any]]:
    response = story.get(who, f"/cases/{case}/{what}")
    assert response.status_code == 200, response.get_data(as_text=True)
    items: list[dict[str, Any]] = response.get_json()["items"]
    return items


def _held(story: Story, case: str) -> tuple[int, int, int]:
    """(paid, reserved, refunded) of the case's order, as the platform reads it."""
    found = story.get("platform", f"/orders/{_case(story, case)['order']['id']}").get_json()
    return found["paid"]["amount"], found["reserved"]["amount"], found["refunded"]["amount"]


def _refused(response: TestResponse, status: int, code: str, *fields: str) -> dict[str, Any]:
    """The problem of a refusal that must be this one."""
    told: dict[str, Any] = response.get_json()
    assert (response.status_code, told["code"]) == (status, code), told
    assert response.mimetype == "application/problem+json"
    assert told["detail"]
    if fields:
        assert set(told["errors"]) == set(fields), told
    return told


def _as(story: Story, who: tuple[str, str], action: str, case: str, body: Any = None) -> TestResponse:
    """An action by somebody (role, subject) who is not among the people of the story."""
    role, subject = who
    token = issue_token(story.services.settings, subject=subject, role=role, marketplace="demo")
    return story.client.post(
        f"/v1/cases/{case}/actions/{action}", json=body or {}, headers={"Authorization": f"Bearer {token}"}
    )


def _another(story: Story, order_id: str, *, paid: int, amount: int, line: str = "1", **claim: Any) -> TestResponse:
    """Open another case about a line of an order that is on file."""
    body = story.case_body(paid=paid, order_id=order_id)
    body["order"] = {"id": order_id}
    body["claims"] = [body["claims"][0] | {"line_id": line, "amount": money(amount)} | claim]
    return story.post("platform", "/cases", body)


def _remedy(kind: str, amount: int, **more: Any) -> dict[str, Any]:
    """A remedy as the API answers it: one that pays `amount` as a refund, unless `more` says otherwise."""
    return {
        "kind": kind,
        "amount": money(amount),
        "freight_bearer": None,
        "return_required": False,
        "purposes": {"refund": money(amount)} if amount else {},
        "in_place": None,
        **more,
    }


# --- agreeing ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "state",
    ["seller_notified", "negotiating", "proposed", "seller_refused", "under_review", "awaiting_evidence", "escalated"],
)
def test_agreeing_reserves_what_was_asked_and_pays_it_back(shared: Story, state: str) -> None:
    case = shared.at(state)
    assert _held(shared, case) == (PAID, 0, 0)
    agreed = shared.do("seller", case, "agree")
    assert (agreed["state"], agreed["stage"], agreed["outcome"]) == ("refund", "execution", "settled")
    assert (agreed["remedy"], agreed["legs"]) == (_remedy("refund", PAID), ["refund"])
    assert (agreed["waiting_on"], agreed["queue"], agreed["escalation_reason"]) == ("platform", None, None)
    assert _held(shared, case) == (PAID, PAID, 0)
    [refund] = _items(shared, case, "refunds")
    assert (refund["status"], refund["amount"], refund["purpose"]) == ("requested", money(PAID), "refund")
    shared.pay()
    paid = _case(shared, case)
    assert (paid["state"], paid["waiting_on"], paid["view"]) == ("refunded", None, "resolved")
    assert (paid["legs"], paid["deadlines"], paid["deadline"]) == ([], [], None)
    assert paid["closed_at"] is not None
    assert _held(shared, case) == (PAID, 0, PAID)
    [refund] = _items(shared, case, "refunds")
    assert (refund["status"], refund["attempts"]) == ("settled", 1)


def test_agreeing_grants_the_claims_and_not_the_order(shared: Story) -> None:
    case = shared.open(paid=10_000, claims=[2_000, 3_000])
    shared.do("platform", case, "notify_seller")
    agreed = shared.do("seller", case, "agree")
    assert agreed["remedy"]["amount"] == money(5_000)
    assert _held(shared, case) == (10_000, 5_000, 0)
    shared.pay()
    assert _held(shared, case) == (10_000, 0, 5_000)


def test_agreeing_voids_the_open_offer(shared: Story) -> None:
    case = shared.at("negotiating")
    shared.do("seller", case, "agree")
    assert [offer["status"] for offer in _items(shared, case, "offers")] == ["void"]


def test_agreeing_while_a_decision_waits_voids_it(shared: Story) -> None:
    case = shared.at("pending", paid=60_000)
    assert shared.do("seller", case, "agree")["state"] == "refund"
    assert [one["status"] for one in _items(shared, case, "decisions")] == ["void"]
    assert _items(shared, case, "decisions", "buyer") == []
    assert _held(shared, case) == (60_000, 60_000, 0)


def test_agreeing_ends_what_was_asked_for_and_nobody_defaults_by_it(shared: Story) -> None:
    case = shared.at("awaiting_evidence")
    shared.do("seller", case, "agree")
    [asked] = _items(shared, case, "evidence-requests", "buyer")
    assert (asked["status"], [item["status"] for item in asked["items"]]) == ("ended", ["ended", "ended"])


def test_an_agreement_is_neither_given_twice_nor_taken_back(shared: Story) -> None:
    case = shared.at("refund")
    _refused(shared.act("seller", case, "agree"), 409, "wrong_state")
    _refused(shared.act("buyer", case, "withdraw"), 409, "wrong_state")
    assert len(_items(shared, case, "refunds")) == 1


def test_a_compensation_that_is_agreed_is_paid_as_one(shared: Story) -> None:
    body = shared.case_body()
    body["claims"][0] |= {"request": "compensation", "amount": money(500)}
    case = shared.post("platform", "/cases", body).get_json()["id"]
    shared.do("platform", case, "notify_seller")
    assert shared.do("seller", case, "agree")["remedy"] == _remedy(
        "compensation", 500, purposes={"compensation": money(500)}
    )
    [refund] = _items(shared, case, "refunds")
    assert (refund["purpose"], refund["amount"]) == ("compensation", money(500))
    assert _held(shared, case) == (PAID, 0, 0), "what is paid beside the price takes nothing from what was paid"


# --- offers ------------------------------------------------------------------------------------------------------


def _offer(story: Story, who: str, case: str, amount: int, **more: Any) -> dict[str, Any]:
    return story.do(who, case, "offer", {"remedy": "partial_refund", "amount": money(amount), **more})


def test_accepting_an_offer_pays_the_sum_that_was_offered(shared: Story) -> None:
    case = shared.at("seller_notified")
    _offer(shared, "seller", case, 4_321, note="a third?")
    accepted = shared.do("buyer", case, "accept_offer")
    assert (accepted["state"], accepted["outcome"]) == ("refund", "settled")
    assert (accepted["remedy"], accepted["legs"]) == (_remedy("partial_refund", 4_321), ["refund"])
    assert _held(shared, case) == (PAID, 4_321, 0)
    shared.pay()
    assert _held(shared, case) == (PAID, 0, 4_321)
    [offer] = _items(shared, case, "offers", "buyer")
    assert (offer["by"], offer["status"], offer["note"]) == ("seller", "accepted", "a third?")
    assert offer["answered_at"] is not None


def test_the_seller_accepts_the_buyers_offer_as_well(shared: Story) -> None:
    case = shared.at("seller_refused")
    _offer(shared, "buyer", case, 9_000)
    assert shared.do("seller", case, "accept_offer")["remedy"]["amount"] == money(9_000)


def test_an_offer_of_ones_own_is_neither_accepted_nor_declined(shared: Story) -> None:
    case = shared.at("negotiating")
    for action in ("accept_offer", "decline_offer"):
        _refused(shared.act("seller", case, action), 422, "own_offer")
    assert shared.state(case) == "negotiating"


def test_a_new_offer_takes_the_place_of_the_open_one_whoever_made_it(shared: Story) -> None:
    case = shared.at("seller_notified")
    for who, amount in (("seller", 100), ("buyer", 900), ("buyer", 800), ("seller", 300)):
        other = "seller" if who == "buyer" else "buyer"
        assert _offer(shared, who, case, amount)["waiting_on"] == other
    offers = _items(shared, case, "offers", "buyer")
    assert [(one["by"], one["remedy"]["amount"]["amount"], one["status"]) for one in offers] == [
        ("seller", 100, "replaced"),
        ("buyer", 900, "replaced"),
        ("buyer", 800, "replaced"),
        ("seller", 300, "open"),
    ]
    assert shared.do("buyer", case, "accept_offer")["remedy"]["amount"] == money(300)


def test_after_three_counter_offers_a_side_the_next_is_refused(shared: Story) -> None:
    case = shared.at("negotiating")  # The seller's first offer opened the talks.
    for n in range(3):
        _offer(shared, "buyer", case, 1_000 - n)
        _offer(shared, "seller", case, 200 + n)
    body = {"remedy": "partial_refund", "amount": money(500)}
    for who in ("buyer", "seller"):
        told = _refused(shared.act(who, case, "offer", body), 422, "counter_offers_exhausted")
        assert "3" in told["detail"]
        names = {one["name"] for one in _case(shared, case, who)["unavailable_actions"]}
        assert "offer" in names
    assert len(_items(shared, case, "offers")) == 7
    assert shared.do("buyer", case, "accept_offer")["remedy"]["amount"] == money(202)


def test_a_declined_offer_leads_to_refusal_and_new_offers_still_count(shared: Story) -> None:
    case = shared.at("negotiating")
    assert shared.do("buyer", case, "decline_offer")["state"] == "seller_refused"
    assert [one["status"] for one in _items(shared, case, "offers")] == ["declined"]
    assert _offer(shared, "buyer", case, 700)["state"] == "negotiating"
    assert [one["status"] for one in _items(shared, case, "offers")] == ["declined", "open"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"remedy": "refund", "amount": money(PAID + 1)}, "amount.amount"),
        ({"remedy": "refund", "amount": money(5, "USD")}, "amount.currency"),
        ({"remedy": "none", "amount": money(5)}, "remedy"),
        ({"remedy": "refund"}, "amount"),
        ({"remedy": "compensation"}, "amount"),
        ({"remedy": "return_and_refund"}, "amount"),
        ({"remedy": "exchange", "amount": money(5)}, "amount"),
        ({"remedy": "reship", "amount": money(5)}, "amount"),
        ({"remedy": "repair", "amount": money(5)}, "amount"),
    ],
)
def test_an_offer_that_cannot_be_kept_is_refused(shared: Story, body: dict[str, Any], field: str) -> None:
    case = shared.at("seller_notified")
    _refused(shared.act("seller", case, "offer", body), 422, "invalid_body", field)
    assert _items(shared, case, "offers") == []


# --- calling the platform in -------------------------------------------------------------------------------------


def test_the_seller_calls_the_platform_in_only_after_an_offer_was_made(shared: Story) -> None:
    case = shared.at("seller_refused")
    told = _refused(shared.act("seller", case, "request_mediation"), 422, "no_offer_made")
    listed = {one["name"]: one["why"] for one in _case(shared, case, "seller")["unavailable_actions"]}
    assert listed["request_mediation"] == told["detail"]
    _offer(shared, "buyer", case, 100)
    reviewed = shared.do("seller", case, "request_mediation")
    assert (reviewed["state"], reviewed["waiting_on"]) == ("under_review", "mediator")
    assert [one["status"] for one in _items(shared, case, "offers")] == ["void"]


def test_a_declined_offer_counts_as_one_that_was_made(shared: Story) -> None:
    case = shared.at("negotiating")
    shared.do("buyer", case, "decline_offer")
    assert shared.do("seller", case, "request_mediation")["state"] == "under_review"


# --- whose case it is --------------------------------------------------------------------------------------------


def test_a_case_is_taken_released_and_taken_by_another(shared: Story) -> None:
    case = shared.at("under_review")
    assert shared.do("mediator", case, "take")["assignee"] == "mia"
    _refused(shared.act("mediator", case, "take"), 409, "already_yours")
    for action, body in (("take", None), ("decide", decision())):
        told = _refused(shared.act("other_mediator", case, action, body), 409, "assigned_to_other")
        assert "mia" in told["detail"]
    _refused(shared.act("other_mediator", case, "release"), 409, "not_assigned_to_you")
    assert shared.do("mediator", case, "release")["assignee"] is None
    assert shared.do("other_mediator", case, "take")["assignee"] == "max"


def test_parties_are_not_told_who_has_their_case(shared: Story) -> None:
    case = shared.at("under_review")
    shared.do("mediator", case, "take")
    assert _case(shared, case, "buyer")["assignee"] is None
    assert _case(shared, case, "seller")["assignee"] is None


def test_deciding_a_free_case_takes_it(shared: Story) -> None:
    case = shared.at("under_review")
    assert shared.do("mediator", case, "decide", decision())["assignee"] == "mia"


def test_senior_staff_take_release_and_decide_over_each_other(shared: Story) -> None:
    case = shared.at("escalated")
    assert shared.do("senior", case, "take")["assignee"] == "sam"
    _refused(shared.act("other_senior", case, "take"), 409, "assigned_to_other")
    assert shared.do("senior", case, "release")["assignee"] is None
    shared.do("senior", case, "take")
    assert shared.do("other_senior", case, "decide", decision())["state"] == "decided"


def test_two_mediators_deciding_at_the_same_moment_make_one_decision(shared: Story) -> None:
    for _ in range(5):
        case, barrier, answers = shared.at("under_review"), Barrier(2), {}
        headers = {who: shared.headers(who) for who in ("mediator", "other_mediator")}

        def decide(who: str, case: str = case, barrier: Barrier = barrier, answers: dict[str, Any] = answers) -> None:
            client = shared.app.test_client()
            barrier.wait()
            response = client.post(f"/v1/cases/{case}/actions/decide", json=decision(), headers=headers[who])  # noqa: B023
            answers[who] = (response.status_code, response.get_json().get("code"))

        threads = [Thread(target=decide, args=(who,)) for who in headers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(answers.values(), key=str) == [(200, None), (409, "wrong_state")]
        assert len(_items(shared, case, "decisions")) == 1
        assert _held(shared, case) == (PAID, PAID, 0)


# --- authority ---------------------------------------------------------------------------------------------------


def test_a_decision_up_to_the_authority_is_issued_and_one_above_it_waits(shared: Story) -> None:
    case = shared.at("under_review", paid=50_000)
    issued = shared.do("mediator", case, "decide", decision(50_000))
    assert (issued["state"], issued["queue"], issued["assignee"]) == ("decided", None, "mia")
    assert _held(shared, case) == (50_000, 50_000, 0)
    [one] = _items(shared, case, "decisions", "buyer")
    assert (one["status"], one["issued_at"]) == ("issued", one["decided_at"])
    case = shared.at("under_review", paid=ABOVE)
    waiting = shared.do("mediator", case, "decide", decision(ABOVE))
    assert (waiting["state"], waiting["waiting_on"], waiting["queue"]) == ("escalated", "senior", "approvals")
    assert (waiting["assignee"], waiting["outcome"], waiting["remedy"]) == (None, None, None)
    assert _held(shared, case) == (ABOVE, 0, 0)
    [one] = _items(shared, case, "decisions")
    assert (one["status"], one["issued_at"], one["decided_by"]) == ("pending", None, "mia")


def test_a_senior_decides_any_sum_at_once(shared: Story) -> None:
    case = shared.at("escalated", paid=90_000)
    decided = shared.do("senior", case, "decide", decision(90_000))
    assert (decided["state"], decided["assignee"]) == ("decided", "sam")


@pytest.mark.parametrize("who", ["buyer", "seller"])
def test_a_party_sees_nothing_of_a_decision_that_waits(shared: Story, who: str) -> None:
    case = shared.at("pending", paid=ABOVE)
    assert _items(shared, case, "decisions", who) == []
    docket = _items(shared, case, "docket", who)
    assert set(docket[-1]) == {"seq", "hash"}
    seen = str([_case(shared, case, who), docket, _items(shared, case, "messages", who)])
    assert "not sent in time" not in seen
    assert "'outcome': 'buyer_favour'" not in seen


@pytest.mark.parametrize("who", ["buyer", "seller"])
def test_a_party_is_not_told_that_a_decision_waits_for_approval(shared: Story, who: str) -> None:
    """Pending decisions are seen by staff only: the name of their queue would give them away."""
    case = shared.at("pending", paid=ABOVE)
    assert _case(shared, case)["queue"] == "approvals"
    assert "approvals" not in str(_case(shared, case, who))


def test_another_senior_approves_and_the_parties_see_it_whole(shared: Story) -> None:
    case = shared.at("pending", paid=ABOVE)
    approved = shared.do("senior", case, "approve", {"note": "well argued"})
    assert (approved["state"], approved["outcome"]) == ("decided", "buyer_favour")
    assert _held(shared, case) == (ABOVE, ABOVE, 0)
    [one] = _items(shared, case, "decisions", "buyer")
    assert (one["status"], one["reasons"]) == ("issued", "The goods were not sent in time.")
    assert (one["decided_by"], one["approved_by"]) == (None, None)
    [staffs] = _items(shared, case, "decisions", "senior")
    assert (staffs["decided_by"], staffs["approved_by"]) == ("mia", "sam")
    entry = _items(shared, case, "docket", "buyer")[-1]
    names = {opening["name"]: opening["value"] for opening in entry["openings"]}
    assert names["reasons"] == {"reasons": "The goods were not sent in time."}
    assert names["note"] is None
    _refused(shared.act("other_senior", case, "approve"), 409, "wrong_state")


def test_nobody_approves_their_own_decision(shared: Story) -> None:
    """Somebody promoted since: the role has changed, the person has not."""
    case = shared.at("pending", paid=ABOVE)
    for role in ("senior", "supervisor"):
        _refused(_as(shared, (role, "mia"), "approve", case), 403, "own_decision")
    assert shared.state(case) == "escalated"


def test_a_decision_is_sent_back_to_the_mediator_who_made_it(shared: Story) -> None:
    case = shared.at("pending", paid=ABOVE)
    returned = shared.do("senior", case, "return_to_mediator", {"note": "too much"})
    assert (returned["state"], returned["assignee"], returned["level"]) == ("under_review", "mia", 0)
    assert returned["escalation_reason"] is None
    _refused(shared.act("other_mediator", case, "decide", decision(100)), 409, "assigned_to_other")
    assert shared.do("mediator", case, "decide", decision(20_000))["state"] == "decided"
    assert [one["status"] for one in _items(shared, case, "decisions")] == ["returned", "issued"]
    assert [one["number"] for one in _items(shared, case, "decisions", "seller")] == [1]


def test_a_senior_who_decides_anew_supersedes_the_decision_that_waited(shared: Story) -> None:
    case = shared.at("pending", paid=ABOVE)
    decided = shared.do("senior", case, "decide", decision(30_000))
    assert (decided["state"], decided["remedy"]["amount"]) == ("decided", money(30_000))
    assert [one["status"] for one in _items(shared, case, "decisions")] == ["superseded", "issued"]
    assert [one["number"] for one in _items(shared, case, "decisions", "buyer")] == [1]
    assert _held(shared, case) == (ABOVE, 30_000, 0)


def test_an_escalated_case_goes_back_free_when_nobody_has_decided(shared: Story) -> None:
    case = shared.at("escalated")
    returned = shared.do("senior", case, "return_to_mediator")
    assert (returned["state"], returned["assignee"], returned["queue"]) == ("under_review", None, "mediation")


# --- interests ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("side", "party"), [("buyer", "buyer-1"), ("seller", "shop-17")])
def test_a_declared_interest_bars_from_taking_deciding_and_approving(story: Story, side: str, party: str) -> None:
    review, complex_, pending = story.at("under_review"), story.at("escalated"), story.at("pending", paid=ABOVE)
    declared = {}
    for who in ("mediator", "senior", "supervisor"):
        response = story.post(who, "/interests", {"side": side, "party": party})
        assert response.status_code == 201
        declared[who] = response.get_json()["id"]
    tries = [
        ("mediator", review, "take", None),
        ("mediator", review, "decide", decision()),
        ("senior", complex_, "take", None),
        ("senior", complex_, "decide", decision()),
        ("senior", pending, "approve", None),
        ("supervisor", pending, "approve", None),
        ("supervisor", complex_, "decide", decision()),
    ]
    for who, case, action, body in tries:
        _refused(story.act(who, case, action, body), 403, "interest_declared")
    # Somebody without an interest may, and so may the same person once it has ended.
    story.do("other_senior", pending, "approve")
    for who, interest in declared.items():
        assert story.client.delete(f"/v1/interests/{interest}", headers=story.headers(who)).status_code == 204
    story.do("mediator", review, "decide", decision())
    story.do("senior", complex_, "decide", decision())


def test_what_an_interest_bars_from_is_listed_as_unavailable(story: Story) -> None:
    """`actions` are those of this caller: what would be refused for a declared interest is not offered."""
    case = story.at("under_review")
    told = story.post("mediator", "/interests", {"side": "buyer", "party": "buyer-1"})
    assert told.status_code == 201
    why = _refused(story.act("mediator", case, "take"), 403, "interest_declared")["detail"]
    listed = [_case(story, case), *story.get("mediator", "/cases").get_json()["items"]]
    for seen in listed:
        assert not {"take", "decide"} & {one["name"] for one in seen["actions"]}
        unavailable = {one["name"]: one["why"] for one in seen["unavailable_actions"]}
        assert unavailable["take"] == unavailable["decide"] == why


def test_an_interest_in_somebody_else_bars_from_nothing(story: Story) -> None:
    for side, party in (("buyer", "buyer-2"), ("seller", "buyer-1"), ("buyer", "shop-17")):
        assert story.post("mediator", "/interests", {"side": side, "party": party}).status_code == 201
    assert story.do("mediator", story.at("under_review"), "take")["assignee"] == "mia"


def test_an_interest_declared_while_having_a_case_bars_from_deciding_it(story: Story) -> None:
    case = story.at("under_review")
    story.do("mediator", case, "take")
    story.post("mediator", "/interests", {"side": "seller", "party": "shop-17"})
    _refused(story.act("mediator", case, "decide", decision()), 403, "interest_declared")
    assert story.do("mediator", case, "release")["assignee"] is None


# --- accepting ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", ["buyer", "seller"])
def test_when_both_accept_the_decision_is_final_and_is_paid(shared: Story, first: str) -> None:
    case = shared.at("decided")
    other = "seller" if first == "buyer" else "buyer"
    accepted = shared.do(first, case, "accept_decision")
    assert (accepted["state"], accepted["waiting_on"], accepted["view"]) == ("decided", other, "waiting_other_party")
    _refused(shared.act(first, case, "accept_decision"), 422, "already_accepted")
    _refused(shared.act(first, case, "appeal", GROUNDS), 422, "already_accepted")
    final = shared.do(other, case, "accept_decision")
    assert (final["state"], final["outcome"]) == ("refund", "buyer_favour")
    assert _held(shared, case) == (PAID, PAID, 0)
    [one] = _items(shared, case, "decisions", "buyer")
    assert one["status"] == "final"
    assert one["final_at"] is not None
    shared.pay()
    assert shared.state(case) == "refunded"
    assert _held(shared, case) == (PAID, 0, PAID)


def test_a_decision_that_grants_nothing_closes_the_case(shared: Story) -> None:
    case = shared.at("under_review")
    decided = shared.do("mediator", case, "decide", NOTHING_GRANTED)
    assert (decided["outcome"], decided["remedy"]["kind"]) == ("seller_favour", "none")
    shared.do("buyer", case, "accept_decision")
    closed = shared.do("seller", case, "accept_decision")
    assert (closed["state"], closed["waiting_on"]) == ("closed", None)
    assert closed["closed_at"] is not None
    assert _items(shared, case, "refunds") == []
    assert _held(shared, case) == (PAID, 0, 0)


def test_who_bears_the_refund_is_entered_in_the_ledger_as_decided(shared: Story) -> None:
    case = shared.at("under_review", paid=1_000)
    shared.do(
        "mediator",
        case,
        "decide",
        decision(
            1_000,
            liability=[{"party": "seller", "amount": money(333)}, {"party": "carrier", "amount": money(667)}],
        ),
    )
    for who in ("buyer", "seller"):
        shared.do(who, case, "accept_decision")
    shared.pay()
    with shared.services.engine.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT amount_minor FROM ledger_entries WHERE case_id = %s ORDER BY amount_minor", (uuid.UUID(case),)
        ).all()
    assert [amount for (amount,) in rows] == [-667, -333, 1_000]


# --- appealing ---------------------------------------------------------------------------------------------------


def test_an_appeal_brings_the_case_to_senior_staff_and_keeps_the_money_reserved(shared: Story) -> None:
    case = shared.at("decided")
    appealed = shared.do("buyer", case, "appeal", GROUNDS)
    assert (appealed["state"], appealed["escalation_reason"], appealed["queue"]) == ("escalated", "appeal", None)
    assert _case(shared, case, "senior")["queue"] == "appeals"
    assert (appealed["waiting_on"], appealed["level"]) == ("senior", 1)
    assert _held(shared, case) == (PAID, PAID, 0)
    [one] = _items(shared, case, "decisions", "seller")
    assert [(appeal["side"], appeal["grounds"]) for appeal in one["appeals"]] == [("buyer", GROUNDS["grounds"])]


def test_each_side_appeals_once_and_the_other_may_while_the_appeal_is_heard(shared: Story) -> None:
    case = shared.at("appealed")
    _refused(shared.act("seller", case, "appeal", GROUNDS), 422, "already_appealed")
    shared.do("senior", case, "take")
    both = shared.do("buyer", case, "appeal", {"grounds": "It is too little."})
    assert both["state"] == "escalated"
    assert _case(shared, case)["assignee"] == "sam", "the one who hears it goes on"
    _refused(shared.act("buyer", case, "appeal", GROUNDS), 422, "already_appealed")
    [one] = _items(shared, case, "decisions")
    assert [appeal["side"] for appeal in one["appeals"]] == ["seller", "buyer"]


def test_the_side_that_accepted_cannot_appeal_when_the_other_does(shared: Story) -> None:
    case = shared.at("decided")
    shared.do("buyer", case, "accept_decision")
    shared.do("seller", case, "appeal", GROUNDS)
    _refused(shared.act("buyer", case, "appeal", GROUNDS), 422, "already_accepted")


def test_an_upheld_decision_is_final_at_once_with_its_own_terms(shared: Story) -> None:
    case = shared.at("appealed")
    upheld = shared.do("senior", case, "decide", UPHELD)
    assert (upheld["state"], upheld["remedy"]["amount"], upheld["outcome"]) == ("refund", money(PAID), "buyer_favour")
    first, second = _items(shared, case, "decisions", "buyer")
    assert (first["status"], second["status"]) == ("upheld", "final")
    assert (second["upholds"], second["on_appeal"], second["reasons"]) == (True, True, UPHELD["reasons"])
    assert second["liability"] == first["liability"]
    assert len(_items(shared, case, "refunds")) == 1
    shared.pay()
    assert _held(shared, case) == (PAID, 0, PAID)
    for who in ("buyer", "seller"):
        _refused(shared.act(who, case, "appeal", GROUNDS), 409, "wrong_state")


def test_a_second_decision_is_final_and_its_sum_takes_the_place_of_the_firsts(shared: Story) -> None:
    case = shared.at("appealed")
    decided = shared.do("senior", case, "decide", decision(4_000, outcome="split"))
    assert (decided["state"], decided["outcome"], decided["remedy"]["amount"]) == ("refund", "split", money(4_000))
    assert _held(shared, case) == (PAID, 4_000, 0)
    assert [one["status"] for one in _items(shared, case, "decisions", "seller")] == ["overturned", "final"]
    shared.pay()
    assert _held(shared, case) == (PAID, 0, 4_000)


def test_a_second_decision_that_grants_nothing_releases_the_money_and_closes_the_case(shared: Story) -> None:
    case = shared.at("appealed")
    closed = shared.do("senior", case, "decide", NOTHING_GRANTED)
    assert (closed["state"], closed["outcome"]) == ("closed", "seller_favour")
    assert _held(shared, case) == (PAID, 0, 0)
    assert _items(shared, case, "refunds") == []


def test_only_an_appeal_can_be_dismissed(shared: Story) -> None:
    for case, who in ((shared.at("under_review"), "mediator"), (shared.at("escalated"), "senior")):
        _refused(shared.act(who, case, "decide", UPHELD), 422, "not_under_appeal", "upholds")


def test_a_dismissal_states_no_terms_of_its_own(shared: Story) -> None:
    case = shared.at("appealed")
    body = {**decision(), "upholds": True}
    told = _refused(shared.act("senior", case, "decide", body), 422, "invalid_body")
    assert {"outcome", "remedy", "liability", "blame"} == set(told["errors"])


def test_who_decided_does_not_hear_the_appeal(shared: Story) -> None:
    case = shared.at("escalated")
    shared.do("senior", case, "decide", decision())
    shared.do("seller", case, "appeal", GROUNDS)
    assert _case(shared, case)["assignee"] is None
    for action, body in (("take", None), ("decide", UPHELD)):
        _refused(shared.act("senior", case, action, body), 403, "own_decision_appealed")
    # Nor under another role of theirs, nor the mediator whose decision it was, promoted since.
    _refused(_as(shared, ("supervisor", "sam"), "decide", case, UPHELD), 403, "own_decision_appealed")
    assert shared.do("other_senior", case, "decide", UPHELD)["state"] == "refund"


def test_who_approved_does_not_hear_the_appeal_nor_does_the_mediator_promoted_since(shared: Story) -> None:
    case = shared.at("pending", paid=ABOVE)
    shared.do("senior", case, "approve")
    shared.do("buyer", case, "appeal", GROUNDS)
    for subject in ("sam", "mia"):
        for action, body in (("take", None), ("decide", UPHELD)):
            _refused(_as(shared, ("senior", subject), action, case, body), 403, "own_decision_appealed")
    assert shared.do("supervisor", case, "decide", UPHELD)["state"] == "refund"


@pytest.mark.parametrize("label", ["S-9", "B-1"])
def test_an_appeal_names_exhibits_that_are_on_file(shared: Story, label: str) -> None:
    case = shared.at("decided")
    body = {**GROUNDS, "exhibits": [label]}
    _refused(shared.act("seller", case, "appeal", body), 422, "invalid_body", "exhibits.0")
    assert shared.state(case) == "decided"
    assert shared.post("seller", f"/cases/{case}/exhibits", CHAT).status_code == 201
    shared.do("seller", case, "appeal", {**GROUNDS, "exhibits": ["S-1"]})
    [one] = _items(shared, case, "decisions")
    assert one["appeals"][0]["exhibits"] == ["S-1"]


# --- withdrawing -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "state",
    [
        "opened",
        "seller_notified",
        "negotiating",
        "proposed",
        "seller_refused",
        "awaiting_return",
        "awaiting_inspection",
        "awaiting_performance",
        "performed",
        "under_review",
        "awaiting_evidence",
        "escalated",
        "pending",
        "suspended",
    ],
)
def test_the_buyer_withdraws_until_a_decision_is_issued(shared: Story, state: str) -> None:
    case = shared.at(state, paid=ABOVE)
    closed = shared.do("buyer", case, "withdraw")
    assert (closed["state"], closed["outcome"], closed["waiting_on"]) == ("closed", "withdrawn", None)
    assert (closed["actions"], closed["legs"], closed["deadlines"]) == ([], [], [])
    assert closed["suspension"] is None
    assert _held(shared, case) == (ABOVE, 0, 0)
    asked = _items(shared, case, "evidence-requests")
    assert all(one["status"] == "ended" for one in [*asked, *(item for one in asked for item in one["items"])])
    assert all(one["status"] == "void" for one in [*_items(shared, case, "offers"), *_items(shared, case, "decisions")])
    # The line is free again.
    assert _another(shared, closed["order"]["id"], paid=ABOVE, amount=100).status_code == 201


def test_nobody_withdraws_once_a_decision_was_issued(shared: Story) -> None:
    _refused(shared.act("buyer", shared.at("decided"), "withdraw"), 409, "wrong_state")
    _refused(shared.act("buyer", shared.at("appealed"), "withdraw"), 422, "decision_issued")


def test_nobody_withdraws_while_a_refunds_fate_is_unknown(shared: Story) -> None:
    case = shared.failed_refund()
    _refused(shared.act("buyer", case, "withdraw"), 422, "refund_failed")
    assert _held(shared, case) == (PAID, PAID, 0)


# --- several claims ----------------------------------------------------------------------------------------------


def _disposing(story: Story, case: str, *amounts: int) -> dict[str, Any]:
    """A decision that grants these sums, claim by claim (0: none)."""
    claims = [claim["id"] for claim in _case(story, case)["claims"]]
    given = [
        {"claim": claim, "remedy": {"kind": "refund", "amount": money(amount)} if amount else {"kind": "none"}}
        for claim, amount in zip(claims, amounts, strict=True)
    ]
    return decision(sum(amounts), outcome="split", dispositions=given)


def test_several_claims_are_each_disposed_of(shared: Story) -> None:
    case = shared.at("under_review", paid=9_000, claims=[4_000, 5_000])
    body = _disposing(shared, case, 4_000, 0)
    decided = shared.do("mediator", case, "decide", body)
    assert decided["remedy"]["amount"] == money(4_000)
    [one] = _items(shared, case, "decisions", "buyer")
    assert [item["remedy"] for item in one["dispositions"]] == [
        {"kind": "refund", "amount": money(4_000)},
        {"kind": "none", "amount": money(0)},
    ]
    assert decided["remedy"]["return_required"] is False
    for who in ("buyer", "seller"):
        shared.do(who, case, "accept_decision")
    assert _held(shared, case) == (9_000, 4_000, 0)


def test_several_claims_all_denied_close_the_case(shared: Story) -> None:
    case = shared.at("under_review", paid=9_000, claims=[4_000, 5_000])
    claims = [claim["id"] for claim in _case(shared, case)["claims"]]
    none = [{"claim": claim, "remedy": {"kind": "none"}} for claim in claims]
    shared.do("mediator", case, "decide", {**NOTHING_GRANTED, "dispositions": none})
    shared.do("buyer", case, "accept_decision")
    assert shared.do("seller", case, "accept_decision")["state"] == "closed"


def test_dispositions_that_do_not_fit_the_claims_are_refused(shared: Story) -> None:
    case = shared.at("under_review", paid=9_000, claims=[4_000, 5_000])
    sound = _disposing(shared, case, 1_000, 2_000)
    first, second = sound["dispositions"]
    wrong: dict[str, tuple[Any, str]] = {
        "none at all": (None, "dispositions"),
        "one missing": ([first], "dispositions"),
        "one twice": ([first, first], "dispositions"),
        "a stranger's": ([first, {**second, "claim": str(uuid.uuid4())}], "dispositions"),
        "another sum": ([first, {**second, "remedy": {"kind": "refund", "amount": money(1)}}], "dispositions"),
        "a remedy without a sum": ([first, {**second, "remedy": {"kind": "refund"}}], "dispositions.1.remedy.amount"),
        "a sum without a remedy": (
            [first, {**second, "remedy": {"kind": "none", "amount": money(2_000)}}],
            "dispositions.1.remedy.amount",
        ),
    }
    for what, (given, field) in wrong.items():
        body = {name: value for name, value in sound.items() if name != "dispositions"}
        if given is not None:
            body["dispositions"] = given
        told = _refused(shared.act("mediator", case, "decide", body), 422, "invalid_body")
        assert set(told["errors"]) == {field}, what
    assert shared.state(case) == "under_review"
    shared.do("mediator", case, "decide", sound)


# --- what a decision must be -------------------------------------------------------------------------------------

FINDING = {"issue": "When was it sent?", "burden": "seller", "finding": "not_proven"}


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"liability": [{"party": "seller", "amount": money(PAID - 1)}]}, "liability"),
        ({"liability": []}, "liability"),
        (
            {
                "liability": [
                    {"party": "seller", "amount": money(900)},
                    {"party": "seller", "amount": money(PAID - 900)},
                ]
            },
            "liability",
        ),
        ({"outcome": "seller_favour"}, "outcome"),
        ({"outcome": "refused_to_hear"}, "outcome"),
        ({"remedy": {"kind": "refund"}, "liability": []}, "remedy.amount"),
        ({"remedy": {"kind": "none", "amount": money(PAID)}}, "remedy.amount"),
        ({"remedy": {"kind": "none"}, "liability": []}, "outcome"),
        ({"remedy": {"kind": "refund", "amount": money(PAID, "USD")}}, "remedy.amount.currency"),
        ({"liability": [{"party": "seller", "amount": money(PAID, "USD")}]}, "liability.0.amount.currency"),
        ({"findings": [{**FINDING, "rules": [{"id": "38", "version": 3}]}]}, "findings.0.rules"),
        ({"findings": [{**FINDING, "relied_on": [{"exhibit": "S-7"}]}]}, "findings.0.relied_on.0.exhibit"),
        ({"findings": [{**FINDING, "rejected": [{"exhibit": "B-7", "why": "x"}]}]}, "findings.0.rejected.0.exhibit"),
        ({"reasons": "  "}, "reasons"),
        ({"remedy": {"kind": "exchange"}}, "liability"),
        ({"remedy": {"kind": "exchange", "amount": money(PAID)}}, "remedy.amount"),
        ({"remedy": {"kind": "reship", "amount": money(PAID)}}, "remedy.amount"),
        ({"remedy": {"kind": "return_and_refund"}, "liability": []}, "remedy.amount"),
        (
            {
                "remedy": {
                    "kind": "refund",
                    "amount": money(PAID - 900),
                    "freight": money(900),
                    "freight_bearer": "seller",
                }
            },
            "remedy.freight",
        ),
        (
            {"remedy": {"kind": "return_and_refund", "amount": money(PAID - 900), "freight": money(900)}},
            "remedy.freight_bearer",
        ),
        (
            {
                "remedy": {
                    "kind": "return_and_refund",
                    "amount": money(PAID - 900),
                    "freight": money(900),
                    "freight_bearer": "buyer",
                }
            },
            "remedy.freight_bearer",
        ),
        (
            {
                "remedy": {
                    "kind": "return_and_refund",
                    "amount": money(PAID - 900),
                    "freight": money(900, "USD"),
                    "freight_bearer": "seller",
                }
            },
            "remedy.freight.currency",
        ),
    ],
)
def test_a_decision_that_does_not_hold_together_is_refused(shared: Story, more: dict[str, Any], field: str) -> None:
    case = shared.at("under_review")
    _refused(shared.act("mediator", case, "decide", decision() | more), 422, "invalid_body", field)
    assert _items(shared, case, "decisions") == []
    assert _held(shared, case) == (PAID, 0, 0)


def test_a_default_that_is_not_on_file_cannot_be_cited(shared: Story) -> None:
    case = shared.at("under_review")
    cited = {**FINDING, "defaults": [{"request": str(uuid.UUID(int=7)), "side": "seller"}]}
    body = decision() | {"findings": [cited]}
    _refused(shared.act("mediator", case, "decide", body), 422, "default_not_on_file", "findings.0.defaults.0")
    chinese = shared.act("mediator", case, "decide", body, **{"Accept-Language": "zh-CN"}).get_json()
    assert "逾期未举证" in chinese["detail"]
    assert _items(shared, case, "decisions") == []


def test_a_decision_above_what_was_paid_is_refused(shared: Story) -> None:
    case = shared.at("under_review")
    _refused(shared.act("mediator", case, "decide", decision(PAID + 1)), 422, "invalid_body", "remedy.amount.amount")


@pytest.mark.parametrize("missing", ["outcome", "remedy", "liability", "findings", "reasons"])
def test_a_decision_needs_all_its_parts(shared: Story, missing: str) -> None:
    case = shared.at("under_review")
    body = {name: value for name, value in decision().items() if name != missing}
    _refused(shared.act("mediator", case, "decide", body), 422, "invalid_body", missing)


def test_a_quote_stands_to_the_letter_or_the_decision_is_refused_with_the_real_text(shared: Story) -> None:
    case = shared.at("under_review")
    assert shared.post("seller", f"/cases/{case}/exhibits", CHAT).status_code == 201

    def quoting(text: str, seq: int = 2) -> dict[str, Any]:
        quotes = [{"seq": seq, "text": text}]
        return decision(findings=[{**FINDING, "relied_on": [{"exhibit": "S-1", "quotes": quotes}]}])

    told = _refused(shared.act("mediator", case, "decide", quoting("后天发货")), 422, "quote_does_not_stand")
    assert told["real_text"] == "亲，明天发货"
    assert list(told["errors"]) == ["findings.0.relied_on.0.quotes.0.text"]
    _refused(
        shared.act("mediator", case, "decide", quoting("明天发货", seq=9)),
        422,
        "invalid_body",
        "findings.0.relied_on.0.quotes.0.seq",
    )
    shared.do("mediator", case, "decide", quoting("明天发货"))
    [one] = _items(shared, case, "decisions", "buyer")
    [quote] = one["findings"][0]["relied_on"][0]["quotes"]
    assert quote == {"seq": 2, "start": 2, "length": 4, "text": "明天发货"}


# --- one order, several cases ------------------------------------------------------------------------------------


def test_a_line_has_one_open_case_and_the_second_is_told_where_it_is(shared: Story) -> None:
    case = shared.at("seller_notified")
    order_id = _case(shared, case)["order"]["id"]
    response = _another(shared, order_id, paid=PAID, amount=100)
    told = _refused(response, 409, "open_case_exists")
    assert told["case"] == case
    assert response.headers["Link"] == f'</v1/cases/{case}>; rel="related"'


def test_another_line_of_the_order_has_its_own_case(shared: Story) -> None:
    body = shared.case_body(paid=9_000, claims=[4_000, 5_000])
    first, second = body["claims"]
    opened = shared.post("platform", "/cases", body | {"claims": [first]})
    assert opened.status_code == 201
    assert _another(shared, body["order"]["id"], paid=9_000, amount=5_000, line="2").status_code == 201
    both = shared.post("platform", "/cases", body | {"claims": [first, second]})
    _refused(both, 409, "open_case_exists")


def test_a_line_decided_once_is_not_disputed_again_for_the_same_reason(shared: Story) -> None:
    case = shared.at("under_review")
    order_id = _case(shared, case)["order"]["id"]
    shared.do("mediator", case, "decide", decision(1_000))
    for who in ("buyer", "seller"):
        shared.do(who, case, "accept_decision")
    shared.pay()
    told = _refused(_another(shared, order_id, paid=PAID, amount=100), 409, "already_decided", "claims.0.line_id")
    assert "1" in told["detail"]
    assert _another(shared, order_id, paid=PAID, amount=100, reason="damaged").status_code == 201


def test_a_line_whose_case_was_only_settled_may_be_disputed_again(shared: Story) -> None:
    """Nothing was decided: an agreement binds the parties and bars nobody's claim."""
    case = shared.at("seller_notified", claims=[1_000], paid=PAID)
    order_id = _case(shared, case)["order"]["id"]
    shared.do("seller", case, "agree")
    shared.pay()
    assert _another(shared, order_id, paid=PAID, amount=100).status_code == 201


def _two_cases(story: Story) -> tuple[str, str, str]:
    """(order, case, case): 9,000 were paid for two lines, and each case asks for 6,000 of them."""
    body = story.case_body(paid=9_000, claims=[6_000, 6_000])
    body["claims"][1]["line_id"] = "2"
    first = story.post("platform", "/cases", body | {"claims": body["claims"][:1]}).get_json()["id"]
    second = story.post("platform", "/cases", body | {"claims": body["claims"][1:]}).get_json()["id"]
    for case in (first, second):
        story.do("platform", case, "notify_seller")
    return body["order"]["id"], first, second


def test_two_cases_of_one_order_cannot_promise_the_same_money(shared: Story) -> None:
    _, first, second = _two_cases(shared)
    shared.do("seller", first, "agree")
    before = _case(shared, second)["version"]
    _refused(shared.act("seller", second, "agree"), 409, "exceeds_paid")
    assert (_case(shared, second)["state"], _case(shared, second)["version"]) == ("seller_notified", before)
    assert _items(shared, second, "refunds") == []
    assert _held(shared, first) == (9_000, 6_000, 0)
    shared.pay()
    assert _held(shared, first) == (9_000, 0, 6_000)
    _refused(shared.act("seller", second, "agree"), 409, "exceeds_paid")
    # What is left can still be had.
    _offer(shared, "seller", second, 3_000)
    shared.do("buyer", second, "accept_offer")
    shared.pay()
    assert _held(shared, second) == (9_000, 0, 9_000)


def test_a_decision_too_cannot_promise_what_another_case_holds(shared: Story) -> None:
    _, first, second = _two_cases(shared)
    shared.do("seller", first, "agree")
    shared.do("seller", second, "refuse", {"reason": "shipped", "statement": "It is on its way."})
    shared.do("buyer", second, "request_mediation")
    _refused(shared.act("mediator", second, "decide", decision(3_001)), 409, "exceeds_paid")
    assert _items(shared, second, "decisions") == []
    assert shared.do("mediator", second, "decide", decision(3_000))["state"] == "decided"
    assert _held(shared, second) == (9_000, 9_000, 0)


def test_two_sellers_clerks_agreeing_at_the_same_moment_promise_once(shared: Story) -> None:
    _, *cases = _two_cases(shared)
    barrier, answers = Barrier(2), []
    headers = shared.headers("seller")

    def agree(case: str) -> None:
        client = shared.app.test_client()
        barrier.wait()
        response = client.post(f"/v1/cases/{case}/actions/agree", json={}, headers=headers)
        answers.append((response.status_code, response.get_json().get("code")))

    threads = [Thread(target=agree, args=(case,)) for case in cases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers, key=str) == [(200, None), (409, "exceeds_paid")]
    assert _held(shared, cases[0]) == (9_000, 6_000, 0)


def test_money_that_is_released_can_be_promised_again(shared: Story) -> None:
    _, first, second = _two_cases(shared)
    shared.do("seller", first, "refuse", {"reason": "shipped", "statement": "It is on its way."})
    shared.do("buyer", first, "request_mediation")
    shared.do("mediator", first, "decide", decision(6_000))
    _refused(shared.act("seller", second, "agree"), 409, "exceeds_paid")
    shared.do("seller", first, "appeal", GROUNDS)
    shared.do("senior", first, "decide", NOTHING_GRANTED)
    assert shared.do("seller", second, "agree")["state"] == "refund"


def _put(story: Story, order_id: str, sum_paid: int, **more: Any) -> TestResponse:
    body = {"order": order(order_id, paid=sum_paid) | more, "buyer": {"id": "buyer-1"}, "seller": {"id": "shop-17"}}
    return story.put("platform", f"/orders/{order_id}", body)


def test_an_order_is_never_put_below_what_was_promised_on_it(shared: Story) -> None:
    case = shared.at("decided")
    order_id = _case(shared, case)["order"]["id"]
    _refused(_put(shared, order_id, PAID - 1), 409, "paid_below_promised", "order.paid.amount")
    assert _held(shared, case) == (PAID, PAID, 0)
    assert _put(shared, order_id, PAID).status_code == 200
    for who in ("buyer", "seller"):
        shared.do(who, case, "accept_decision")
    shared.pay()
    _refused(_put(shared, order_id, PAID - 1), 409, "paid_below_promised", "order.paid.amount")
    assert _put(shared, order_id, PAID + 1).status_code == 200
    assert _held(shared, case) == (PAID + 1, 0, PAID)


def test_an_order_keeps_its_parties_its_currency_and_its_disputed_lines(shared: Story) -> None:
    case = shared.at("opened")
    order_id = _case(shared, case)["order"]["id"]
    other = {"order": order(order_id), "buyer": {"id": "buyer-2"}, "seller": {"id": "shop-17"}}
    _refused(shared.put("platform", f"/orders/{order_id}", other), 409, "order_conflict")
    lines = order(order_id)["lines"]
    _refused(_put(shared, order_id, PAID, lines=[lines[0] | {"id": "2"}]), 409, "order_conflict", "order.lines")
    dollars = [lines[0] | {"unit_price": money(PAID, "USD")}]
    _refused(_put(shared, order_id, PAID, lines=dollars, paid=money(PAID, "USD")), 409, "order_conflict")


# --- goods that go back, and remedies in kind ---------------------------------------------------------------------

IN_KIND = ["exchange", "reship", "repair"]
#: What each request leads to when it is granted in full: the legs, what is paid, what goes back if it is not performed.
GRANTED = {
    "return_and_refund": (["return", "refund"], PAID, 0),
    "exchange": (["return", "performance"], 0, PAID),
    "reship": (["performance"], 0, PAID),
    "repair": (["return", "performance"], 0, PAID),
}
#: The state in which each leg is done.
STATE_OF_LEG = {"return": "awaiting_return", "performance": "awaiting_performance", "refund": "refund"}


def _go_through(story: Story, case: str, legs: list[str]) -> str:
    """Do every leg in its turn, and check that the case stands where the leg is done; the last state."""
    for n, leg in enumerate(legs):
        found = _case(story, case)
        assert (found["state"], found["legs"]) == (STATE_OF_LEG[leg], legs[n:])
        if leg == "return":
            story.do("buyer", case, "ship_return", PARCEL)
            story.do("seller", case, "confirm_return")
        elif leg == "performance":
            story.do("seller", case, "perform", PARCEL)
            story.do("buyer", case, "confirm_performance")
        else:
            story.pay()
    return story.state(case)


@pytest.mark.parametrize("asked", GRANTED)
def test_a_request_that_is_agreed_to_goes_through_its_legs_to_its_end(shared: Story, asked: str) -> None:
    legs, amount, in_place = GRANTED[asked]
    case = shared.at("seller_notified", request=asked)
    agreed = shared.do("seller", case, "agree", {"return_address": ADDRESS} if "return" in legs else None)
    assert (agreed["legs"], agreed["outcome"]) == (legs, "settled")
    assert agreed["remedy"] == _remedy(
        asked, amount, return_required="return" in legs, in_place=money(in_place) if in_place else None
    )
    assert _held(shared, case) == (PAID, PAID, 0), "the price is held, for it goes back if nothing else does"
    assert _items(shared, case, "refunds") == [], "nothing is paid before its leg has come"
    assert _go_through(shared, case, legs) == ("refunded" if amount else "closed")
    assert _held(shared, case) == ((PAID, 0, PAID) if amount else (PAID, 0, 0))
    assert _case(shared, case)["legs"] == []


@pytest.mark.parametrize("kind", GRANTED)
def test_a_remedy_that_is_decided_goes_through_its_legs_to_its_end(shared: Story, kind: str) -> None:
    legs, amount, in_place = GRANTED[kind]
    case = shared.at("under_review")
    remedy = {"kind": kind} | ({"amount": money(amount)} if amount else {})
    body = decision(
        remedy=remedy,
        liability=[{"party": "seller", "amount": money(amount)}] if amount else [],
        **({"return_address": ADDRESS} if "return" in legs else {}),
    )
    decided = shared.do("mediator", case, "decide", body)
    assert (decided["state"], decided["legs"]) == ("decided", [])
    assert decided["remedy"] == _remedy(
        kind, amount, return_required="return" in legs, in_place=money(in_place) if in_place else None
    )
    assert _held(shared, case) == (PAID, PAID, 0)
    for who in ("buyer", "seller"):
        shared.do(who, case, "accept_decision")
    assert _go_through(shared, case, legs) == ("refunded" if amount else "closed")
    assert _held(shared, case) == ((PAID, 0, PAID) if amount else (PAID, 0, 0))
    [one] = _items(shared, case, "decisions", "buyer")
    assert (one["remedy"]["kind"], one["status"]) == (kind, "final")


@pytest.mark.parametrize("kind", GRANTED)
@pytest.mark.parametrize("by", ["seller", "buyer"])
def test_an_offer_of_goods_is_accepted_and_goes_through_its_legs(shared: Story, by: str, kind: str) -> None:
    legs, amount, in_place = GRANTED[kind]
    case = shared.at("seller_refused")
    to = {"return_address": ADDRESS} if "return" in legs else {}
    offered = {"remedy": kind} | ({"amount": money(amount)} if amount else {})
    shared.do(by, case, "offer", offered | (to if by == "seller" else {}))
    [offer] = _items(shared, case, "offers", "buyer")
    assert (offer["remedy"]["kind"], offer["remedy"]["amount"]) == (kind, money(amount))
    other = "buyer" if by == "seller" else "seller"
    accepted = shared.do(other, case, "accept_offer", to if by == "buyer" else None)
    assert accepted["remedy"] == _remedy(
        kind, amount, return_required="return" in legs, in_place=money(in_place) if in_place else None
    )
    assert _held(shared, case) == (PAID, PAID, 0)
    assert _go_through(shared, case, legs) == ("refunded" if amount else "closed")


@pytest.mark.parametrize("kind", ["exchange", "repair"])
def test_what_need_not_come_back_is_exchanged_or_repaired_without_a_return(shared: Story, kind: str) -> None:
    offered = shared.at("seller_notified")
    shared.do("seller", offered, "offer", {"remedy": kind, "return_required": False})
    accepted = shared.do("buyer", offered, "accept_offer")
    decided = shared.at("under_review")
    shared.do("mediator", decided, "decide", decision(remedy={"kind": kind, "return_required": False}, liability=[]))
    shared.do("buyer", decided, "accept_decision")
    final = shared.do("seller", decided, "accept_decision")
    for found in (accepted, final):
        assert (found["state"], found["legs"]) == ("awaiting_performance", ["performance"])
        assert found["remedy"] == _remedy(kind, 0, in_place=money(PAID))


def test_who_gets_the_price_back_returns_the_goods_whatever_is_said(shared: Story) -> None:
    case = shared.at("seller_notified")
    body = {"remedy": "return_and_refund", "amount": money(PAID), "return_required": False, "return_address": ADDRESS}
    shared.do("seller", case, "offer", body)
    assert shared.do("buyer", case, "accept_offer")["legs"] == ["return", "refund"]


def test_two_claims_with_different_remedies_go_through_the_union_of_their_legs(shared: Story) -> None:
    case = shared.at("under_review", paid=9_000, claims=[4_000, 5_000])
    body = _disposing(shared, case, 2_000, 0) | {"return_address": ADDRESS}
    body["dispositions"][1]["remedy"] = {"kind": "exchange"}
    decided = shared.do("mediator", case, "decide", body)
    assert decided["remedy"] == _remedy(
        "refund", 2_000, freight_bearer="seller", return_required=True, in_place=money(5_000)
    )
    assert _held(shared, case) == (9_000, 7_000, 0)
    for who in ("buyer", "seller"):
        shared.do(who, case, "accept_decision")
    assert _go_through(shared, case, ["return", "performance", "refund"]) == "refunded"
    assert _held(shared, case) == (9_000, 0, 2_000)


def test_a_disposition_in_kind_names_no_sum(shared: Story) -> None:
    case = shared.at("under_review", paid=9_000, claims=[4_000, 5_000])
    body = _disposing(shared, case, 1_000, 2_000)
    body["dispositions"][1]["remedy"]["kind"] = "exchange"
    _refused(shared.act("mediator", case, "decide", body), 422, "invalid_body", "dispositions.1.remedy.amount")
    assert _held(shared, case) == (9_000, 0, 0)


def test_a_remedy_in_kind_counts_against_an_authority_with_what_it_is_worth(shared: Story) -> None:
    """Not performed, it is paid for: who may not order the sum may not order its equal in goods."""
    case = shared.at("under_review", paid=ABOVE)
    body = decision(remedy={"kind": "reship"}, liability=[])
    assert shared.do("mediator", case, "decide", body)["state"] == "escalated"
    [one] = _items(shared, case, "decisions")
    assert one["status"] == "pending"
    approved = shared.do("senior", case, "approve")
    assert (approved["state"], approved["remedy"]["in_place"]) == ("decided", money(ABOVE))
    assert _held(shared, case) == (ABOVE, ABOVE, 0)


# --- where goods go back to ---------------------------------------------------------------------------------------


def _needs_address(story: Story, who: str, action: str, case: str, body: Any = None) -> None:
    """The action is refused for want of an address, and nothing has come of it."""
    before = _case(story, case)
    _refused(story.act(who, case, action, body), 422, "return_address_needed", "return_address")
    after = _case(story, case)
    assert (after["version"], after["state"], after["return_address"]) == (before["version"], before["state"], None)
    assert _held(story, case)[1] == 0


def test_a_return_is_neither_agreed_nor_decided_nor_offered_without_an_address(shared: Story) -> None:
    agreed = shared.at("seller_notified", request="return_and_refund")
    _needs_address(shared, "seller", "agree", agreed)
    _needs_address(shared, "seller", "offer", agreed, {"remedy": "exchange"})
    assert _items(shared, agreed, "offers") == []
    decided = shared.at("under_review")
    _needs_address(shared, "mediator", "decide", decided, decision(remedy={"kind": "exchange"}, liability=[]))
    assert _items(shared, decided, "decisions") == []


def test_a_buyer_offers_a_return_without_an_address_and_the_seller_gives_one_in_accepting(shared: Story) -> None:
    case = shared.at("seller_notified")
    shared.do("buyer", case, "offer", {"remedy": "exchange"})
    _needs_address(shared, "seller", "accept_offer", case)
    shared.do("seller", case, "accept_offer", {"return_address": ADDRESS})
    assert _case(shared, case, "buyer")["return_address"] == ADDRESS


def test_an_address_given_with_an_offer_is_that_of_the_return_it_leads_to(shared: Story) -> None:
    case = shared.at("seller_notified")
    shared.do("seller", case, "offer", {"remedy": "exchange", "return_address": ADDRESS})
    shared.do("buyer", case, "accept_offer")
    for who in ("buyer", "seller", "mediator"):
        assert _case(shared, case, who)["return_address"] == ADDRESS


def _of_shop(story: Story, address: Any, shop: str) -> tuple[str, dict[str, str]]:
    """A case against a shop with this address on file that is to be returned to, and the shop's headers."""
    body = story.case_body(request="return_and_refund")
    body["seller"] = {"id": shop, "name": "Another House", "return_address": address}
    case = story.post("platform", "/cases", body).get_json()["id"]
    story.do("platform", case, "notify_seller")
    token = issue_token(story.services.settings, subject="clerk", role="seller", acts_for=shop, marketplace="demo")
    return case, {"Authorization": f"Bearer {token}"}


def test_the_sellers_own_address_on_file_serves_unless_another_is_given(shared: Story) -> None:
    own = {"name": "Own House", "line": "2 Quay"}
    for given, wanted in ((None, own), (ADDRESS, ADDRESS)):
        case, clerk = _of_shop(shared, own, "shop-with-address")
        body = {} if given is None else {"return_address": given}
        agreed = shared.client.post(f"/v1/cases/{case}/actions/agree", json=body, headers=clerk)
        assert (agreed.status_code, agreed.get_json()["state"]) == (200, "awaiting_return")
        assert _case(shared, case, "buyer")["return_address"] == wanted


def test_an_address_stands_in_the_docket_apart_so_that_it_can_be_erased_alone(shared: Story) -> None:
    case = shared.at("awaiting_return")
    entry = _items(shared, case, "docket")[-1]
    openings = {one["name"]: one["value"] for one in entry["openings"]}
    assert entry["type"] == "agree"
    assert openings["return_address"] == {"return_address": ADDRESS}
    assert ADDRESS["line"] not in str({name: value for name, value in openings.items() if name != "return_address"})


@pytest.mark.parametrize(
    "address", [{}, {"name": "x"}, {"line": "x"}, {"name": "x", "line": "  "}, {"name": "x", "line": "y", "z": 1}, "x"]
)
def test_an_address_that_says_too_little_is_refused(shared: Story, address: Any) -> None:
    case = shared.at("seller_notified", request="return_and_refund")
    told = _refused(shared.act("seller", case, "agree", {"return_address": address}), 422, "invalid_body")
    assert all(field.startswith("return_address") for field in told["errors"])
    assert shared.state(case) == "seller_notified"


# --- what comes back, and what is sent again ----------------------------------------------------------------------

WRONG = {"verdict": "empty_or_different", "statement": "There was a brick in it."}


def test_a_return_that_is_disputed_is_reviewed_and_its_money_stays_held(shared: Story) -> None:
    case = shared.at("awaiting_inspection")
    disputed = shared.do("seller", case, "dispute_return", WRONG)
    assert (disputed["state"], disputed["waiting_on"], disputed["legs"]) == ("under_review", "mediator", [])
    assert _held(shared, case) == (PAID, PAID, 0)
    entry = _items(shared, case, "docket")[-1]
    openings = {one["name"]: one["value"] for one in entry["openings"]}
    assert openings["facts"]["facts"]["verdict"] == "empty_or_different"
    assert openings["statement"] == {"statement": WRONG["statement"]}
    shared.do("mediator", case, "decide", NOTHING_GRANTED)
    assert _held(shared, case) == (PAID, 0, 0), "a new decision takes the place of what was agreed"


def test_a_performance_is_confirmed_or_disputed_only_once_it_is_done_and_done_once(shared: Story) -> None:
    case = shared.at("awaiting_performance")
    _refused(shared.act("buyer", case, "confirm_performance"), 422, "not_performed")
    _refused(shared.act("buyer", case, "dispute_performance", WRONG), 422, "not_performed")
    performed = shared.do("seller", case, "perform", PARCEL)
    assert (performed["state"], performed["waiting_on"], performed["view"]) == (
        "awaiting_performance",
        "buyer",
        "waiting_other_party",
    )
    _refused(shared.act("seller", case, "perform", PARCEL), 422, "already_performed")
    disputed = shared.do("buyer", case, "dispute_performance", WRONG)
    assert (disputed["state"], disputed["legs"]) == ("under_review", [])
    assert _held(shared, case) == (PAID, PAID, 0)


def test_a_quarrel_about_how_a_decision_was_carried_out_can_be_appealed_anew(shared: Story) -> None:
    case = shared.at("under_review")
    shared.do("mediator", case, "decide", decision(remedy={"kind": "reship"}, liability=[]))
    shared.do("buyer", case, "appeal", GROUNDS)
    shared.do("senior", case, "decide", UPHELD)
    shared.do("seller", case, "perform", PARCEL)
    shared.do("buyer", case, "dispute_performance", WRONG)
    shared.do("mediator", case, "decide", decision(9_000))
    assert _held(shared, case) == (PAID, 9_000, 0)
    assert shared.do("buyer", case, "appeal", GROUNDS)["state"] == "escalated"
    _refused(shared.act("buyer", case, "withdraw"), 422, "decision_issued")


@pytest.mark.parametrize("verdict", ["received_ok", "fine", ""])
def test_that_all_is_well_is_no_dispute(shared: Story, verdict: str) -> None:
    case = shared.at("awaiting_inspection")
    _refused(shared.act("seller", case, "dispute_return", WRONG | {"verdict": verdict}), 422, "invalid_body", "verdict")
    assert shared.state(case) == "awaiting_inspection"


# --- proposals ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("first", "second"), [("buyer", "seller"), ("seller", "buyer")])
def test_a_mediators_proposal_binds_once_both_sides_accept_it(shared: Story, first: str, second: str) -> None:
    case = shared.at("proposed")
    proposed = _case(shared, case, first)
    assert (proposed["state"], proposed["waiting_on"], proposed["view"]) == ("negotiating", "both", "action_required")
    assert _case(shared, case)["assignee"] == "mia", "proposing takes a free case"
    accepted = shared.do(first, case, "accept_offer")
    assert (accepted["state"], accepted["waiting_on"], accepted["outcome"]) == ("negotiating", second, None)
    assert _held(shared, case) == (PAID, 0, 0)
    for action in ("accept_offer", "decline_offer"):
        _refused(shared.act(first, case, action), 422, "proposal_accepted")
    bound = shared.do(second, case, "accept_offer")
    assert (bound["state"], bound["outcome"], bound["remedy"]) == (
        "refund",
        "settled",
        _remedy("partial_refund", 100),
    )
    assert _held(shared, case) == (PAID, 100, 0)
    [offer] = _items(shared, case, "offers", first)
    assert (offer["by"], offer["status"], offer["note"]) == ("mediator", "accepted", "half each")


@pytest.mark.parametrize("who", ["buyer", "seller"])
def test_a_proposal_that_one_side_declines_goes_back_to_its_mediator(shared: Story, who: str) -> None:
    case = shared.at("proposed")
    other = "seller" if who == "buyer" else "buyer"
    shared.do(other, case, "accept_offer")
    declined = shared.do(who, case, "decline_offer")
    assert (declined["state"], declined["waiting_on"]) == ("under_review", "mediator")
    assert _case(shared, case)["assignee"] == "mia"
    assert [one["status"] for one in _items(shared, case, "offers")] == ["declined"]
    again = shared.do("mediator", case, "propose", {"remedy": "partial_refund", "amount": money(200)})
    assert again["waiting_on"] == "both", "an acceptance of the last proposal is none of this one"


@pytest.mark.parametrize("who", ["buyer", "seller"])
def test_nothing_is_offered_while_a_proposal_waits_for_its_answers(shared: Story, who: str) -> None:
    case = shared.at("proposed")
    body = {"remedy": "partial_refund", "amount": money(500)}
    _refused(shared.act(who, case, "offer", body), 422, "proposal_open")
    assert len(_items(shared, case, "offers")) == 1


def test_a_proposal_for_a_case_of_a_colleague_is_refused(shared: Story) -> None:
    case = shared.at("under_review")
    shared.do("mediator", case, "take")
    body = {"remedy": "partial_refund", "amount": money(200)}
    _refused(shared.act("other_mediator", case, "propose", body), 409, "assigned_to_other")
    assert _items(shared, case, "offers") == []


# --- refunds that fail -------------------------------------------------------------------------------------------


def test_a_failed_refund_goes_up_and_keeps_its_money_reserved(shared: Story) -> None:
    case = shared.failed_refund()
    found = _case(shared, case)
    assert (found["state"], found["escalation_reason"], found["queue"]) == (
        "escalated",
        "refund_failed",
        "failed_refunds",
    )
    assert _held(shared, case) == (PAID, PAID, 0)
    [refund] = _items(shared, case, "refunds")
    assert (refund["status"], refund["failure"]) == ("failed", "no such account")


def test_a_retried_refund_is_the_same_refund_and_leaves_once(shared: Story) -> None:
    case = shared.failed_refund()
    [before] = _items(shared, case, "refunds")
    retried = shared.do("senior", case, "retry_refund")
    assert (retried["state"], retried["escalation_reason"], retried["level"]) == ("refund", None, 0)
    [after] = _items(shared, case, "refunds")
    assert (after["id"], after["status"], after["failure"]) == (before["id"], "requested", None)
    shared.pay()
    shared.pay()
    assert shared.state(case) == "refunded"
    assert _held(shared, case) == (PAID, 0, PAID)
    assert len(_items(shared, case, "refunds")) == 1


def test_a_refund_fails_again_and_is_retried_again(shared: Story) -> None:
    case = shared.failed_refund()
    for _ in range(2):
        shared.do("supervisor", case, "retry_refund")
        [refund] = _items(shared, case, "refunds")
        with shared.services.sessions.begin() as session:
            assert refunds.fail(session, uuid.UUID(refund["id"]), shared.services.clock(), failure="still none")
    assert shared.state(case) == "escalated"
    assert _held(shared, case) == (PAID, PAID, 0)


@pytest.mark.parametrize("proof", ["M-1", "B-1", "S-1"])
def test_settling_elsewhere_needs_a_proof_that_is_on_file(shared: Story, proof: str) -> None:
    case = shared.failed_refund()
    _refused(shared.act("senior", case, "settle_elsewhere", {"proof": proof}), 422, "invalid_body", "proof")
    _refused(shared.act("senior", case, "settle_elsewhere", {}), 422, "invalid_body", "proof")
    who = {"M": "senior", "B": "buyer", "S": "seller"}[proof[0]]
    assert shared.post(who, f"/cases/{case}/exhibits", CHAT).status_code == 201
    settled = shared.do("senior", case, "settle_elsewhere", {"proof": proof})
    assert (settled["state"], settled["queue"], settled["escalation_reason"]) == ("refunded", None, None)
    [refund] = _items(shared, case, "refunds")
    assert refund["status"] == "settled_elsewhere"
    assert refund["settled_at"] is not None
    assert _held(shared, case) == (PAID, 0, PAID)
    shared.pay()
    assert _held(shared, case) == (PAID, 0, PAID), "what was settled elsewhere is not paid again"


def test_a_proof_from_another_case_is_no_proof(shared: Story) -> None:
    other, case = shared.at("opened"), shared.failed_refund()
    assert shared.post("mediator", f"/cases/{other}/exhibits", CHAT).status_code == 201
    _refused(shared.act("senior", case, "settle_elsewhere", {"proof": "M-1"}), 422, "invalid_body", "proof")


def test_a_payment_reported_after_all_settles_a_refund_that_had_failed(shared: Story) -> None:
    case = shared.failed_refund()
    [refund] = _items(shared, case, "refunds")
    with shared.services.sessions.begin() as session:
        assert refunds.settle(session, uuid.UUID(refund["id"]), shared.services.clock(), reference="late-1")
    with shared.services.sessions.begin() as session:
        assert not refunds.settle(session, uuid.UUID(refund["id"]), shared.services.clock(), reference="late-1")
    assert shared.state(case) == "refunded"
    assert _held(shared, case) == (PAID, 0, PAID)


# --- the end -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["refunded", "closed"])
def test_nothing_is_added_to_a_case_that_is_over(shared: Story, state: str) -> None:
    case = shared.at(state)
    before = _case(shared, case)["version"]
    _refused(shared.post("buyer", f"/cases/{case}/messages", {"text": "One more thing."}), 409, "case_final")
    _refused(shared.post("buyer", f"/cases/{case}/exhibits", CHAT), 409, "case_final")
    for who in ("buyer", "seller", "mediator", "senior", "supervisor", "platform", "admin"):
        assert _case(shared, case, who)["actions"] == []
    assert _case(shared, case)["version"] == before


def test_every_step_is_one_entry_and_the_version_counts_them(shared: Story) -> None:
    case = shared.at("under_review")
    shared.do("mediator", case, "decide", decision())
    shared.do("buyer", case, "accept_decision")
    shared.do("seller", case, "accept_decision")
    entries = _items(shared, case, "docket")
    assert [entry["type"] for entry in entries] == [
        "open",
        "notify_seller",
        "refuse",
        "request_mediation",
        "decide",
        "accept_decision",
        "accept_decision",
        "finalise",
    ]
    assert [entry["seq"] for entry in entries] == list(range(1, 9))
    assert _case(shared, case)["version"] == 8
