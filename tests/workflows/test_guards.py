"""Each guard, on both sides of its rule; a refusal always names the rule and leaves the case as it was."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.workflows.cases import JUST_OVER, NOW, STILL_OPEN, PlainCase, act
from tests.workflows.life import GRANTED
from workflows import procedure
from workflows.acts import Act
from workflows.refusals import LANGUAGES, Conflict, NotPermitted, OutOfTime, Refused

DECIDED = {"state": "decided", "decisions_issued": 1, "decided_by": "mia", "appeal_until": STILL_OPEN}
APPEALED = {
    "state": "escalated",
    "escalation_reason": "appeal",
    "level": 1,
    "decisions_issued": 1,
    "decided_by": "sam",
    "approved_by": "sue",
    "appealed_by_buyer": True,
    "appeal_until": STILL_OPEN,
}
OFFERED = {"state": "negotiating", "offers_made": 1, "open_offer_by": "seller"}
PROPOSED = {"state": "negotiating", "offers_made": 1, "open_offer_by": "mediator", "assignee": "mia"}
TO_PERFORM = {"state": "awaiting_performance"}
PERFORMED = {"state": "awaiting_performance", "performed": True}
PENDING = {"state": "escalated", "escalation_reason": "amount_over_authority", "pending_decision_by": "mia", "level": 1}
FAILED = {"state": "escalated", "escalation_reason": "refund_failed", "level": 1}
COMPLEX = {"state": "escalated", "escalation_reason": "complex", "level": 1}
MY_BUYER = frozenset({("buyer", "buyer-1")})
MY_SELLER = frozenset({("seller", "shop-17")})

#: what is tried, on which case, by whom -> the code and its kind
REFUSED: dict[str, tuple[str, dict[str, Any], Act, str, type[Refused]]] = {
    "another shop's clerk": (
        "refuse",
        {"state": "seller_notified"},
        act("seller", acts_for="shop-99"),
        "not_a_party",
        NotPermitted,
    ),
    "another buyer": ("withdraw", {}, act("buyer", acts_for="buyer-2"), "not_a_party", NotPermitted),
    "a buyer by the seller's name": ("withdraw", {}, act("buyer", acts_for="shop-17"), "not_a_party", NotPermitted),
    "a mediator with an interest in the buyer": (
        "take",
        {"state": "under_review"},
        act("mediator", interests=MY_BUYER),
        "interest_declared",
        NotPermitted,
    ),
    "deciding with an interest in the seller": (
        "decide",
        {"state": "under_review"},
        act("mediator", interests=MY_SELLER),
        "interest_declared",
        NotPermitted,
    ),
    "a senior deciding with an interest": (
        "decide",
        COMPLEX,
        act("senior", interests=MY_SELLER),
        "interest_declared",
        NotPermitted,
    ),
    "approving with an interest": (
        "approve",
        PENDING,
        act("senior", interests=MY_BUYER),
        "interest_declared",
        NotPermitted,
    ),
    "taking what one has": (
        "take",
        {"state": "under_review", "assignee": "mia"},
        act("mediator"),
        "already_yours",
        Conflict,
    ),
    "taking what another has": (
        "take",
        {"state": "under_review", "assignee": "max"},
        act("mediator"),
        "assigned_to_other",
        Conflict,
    ),
    "a senior taking what another senior has": (
        "take",
        COMPLEX | {"assignee": "sue"},
        act("senior"),
        "assigned_to_other",
        Conflict,
    ),
    "deciding what another has": (
        "decide",
        {"state": "under_review", "assignee": "max"},
        act("mediator"),
        "assigned_to_other",
        Conflict,
    ),
    "releasing what another has": (
        "release",
        {"state": "under_review", "assignee": "max"},
        act("mediator"),
        "not_assigned_to_you",
        Conflict,
    ),
    "handing over what another has": (
        "hand_over",
        {"state": "under_review", "assignee": "max"},
        act("mediator"),
        "not_assigned_to_you",
        Conflict,
    ),
    "handing over what nobody has": ("hand_over", COMPLEX, act("supervisor"), "not_assigned_to_you", Conflict),
    "proposing in what another has": (
        "propose",
        {"state": "under_review", "assignee": "max"},
        act("mediator"),
        "assigned_to_other",
        Conflict,
    ),
    "proposing with an interest": (
        "propose",
        {"state": "under_review"},
        act("mediator", interests=MY_SELLER),
        "interest_declared",
        NotPermitted,
    ),
    "asking for evidence with an interest": (
        "request_evidence",
        {"state": "under_review"},
        act("mediator", interests=MY_BUYER),
        "interest_declared",
        NotPermitted,
    ),
    "a senior asking for evidence with an interest": (
        "request_evidence",
        COMPLEX,
        act("supervisor", interests=MY_SELLER),
        "interest_declared",
        NotPermitted,
    ),
    "the one who decided asking for evidence in the appeal": (
        "request_evidence",
        APPEALED,
        act("senior"),
        "own_decision_appealed",
        NotPermitted,
    ),
    "asking for evidence while a refund's fate is unknown": (
        "request_evidence",
        FAILED,
        act("senior"),
        "refund_failed",
        Refused,
    ),
    "refunding at once with an interest": (
        "refund_now",
        {"state": "seller_notified"},
        act("mediator", interests=MY_SELLER),
        "interest_declared",
        NotPermitted,
    ),
    "refunding at once while an appeal is heard": (
        "refund_now",
        APPEALED,
        act("supervisor"),
        "appeal_pending",
        Refused,
    ),
    "refunding at once while a refund's fate is unknown": (
        "refund_now",
        FAILED,
        act("senior"),
        "refund_failed",
        Refused,
    ),
    "returning to the mediator with an interest": (
        "return_to_mediator",
        COMPLEX,
        act("senior", interests=MY_BUYER),
        "interest_declared",
        NotPermitted,
    ),
    "returning to the mediator while a refund's fate is unknown": (
        "return_to_mediator",
        FAILED,
        act("senior"),
        "refund_failed",
        Refused,
    ),
    "returning their own pending decision to the mediator that they are": (
        "return_to_mediator",
        PENDING,
        act("senior", subject="mia"),
        "own_decision",
        NotPermitted,
    ),
    "ending what was asked for in an appeal against their own decision": (
        "end_evidence_request",
        APPEALED
        | {"state": "awaiting_evidence", "evidence_from": "escalated", "evidence_of_buyer": True, "decided_by": "mia"},
        act("mediator"),
        "own_decision_appealed",
        NotPermitted,
    ),
    "retrying a refund with an interest": (
        "retry_refund",
        FAILED,
        act("senior", interests=MY_BUYER),
        "interest_declared",
        NotPermitted,
    ),
    "settling elsewhere with an interest": (
        "settle_elsewhere",
        FAILED,
        act("senior", interests=MY_SELLER),
        "interest_declared",
        NotPermitted,
    ),
    "suspending while a refund's fate is unknown": ("suspend", FAILED, act("mediator"), "refund_failed", Refused),
    "releasing what nobody has": ("release", COMPLEX, act("senior"), "not_assigned_to_you", Conflict),
    "a fourth counter-offer": (
        "offer",
        {"state": "negotiating", "offers_made": 4, "open_offer_by": "buyer", "counter_offers_seller": 3},
        act("seller"),
        "counter_offers_exhausted",
        Refused,
    ),
    "accepting one's own offer": (
        "accept_offer",
        {"state": "negotiating", "offers_made": 1, "open_offer_by": "buyer"},
        act("buyer"),
        "own_offer",
        Refused,
    ),
    "declining one's own offer": (
        "decline_offer",
        {"state": "negotiating", "offers_made": 1, "open_offer_by": "seller"},
        act("seller"),
        "own_offer",
        Refused,
    ),
    "offering while a mediator's proposal is open": ("offer", PROPOSED, act("buyer"), "proposal_open", Refused),
    "accepting a proposal twice": (
        "accept_offer",
        PROPOSED | {"proposal_accepted_by_buyer": True},
        act("buyer"),
        "proposal_accepted",
        Refused,
    ),
    "declining a proposal after accepting it": (
        "decline_offer",
        PROPOSED | {"proposal_accepted_by_seller": True},
        act("seller"),
        "proposal_accepted",
        Refused,
    ),
    "confirming what was not performed": ("confirm_performance", TO_PERFORM, act("buyer"), "not_performed", Refused),
    "disputing what was not performed": ("dispute_performance", TO_PERFORM, act("buyer"), "not_performed", Refused),
    "concluding what was not performed": ("conclude_performance", TO_PERFORM, act("clock"), "not_performed", Refused),
    "performing twice": ("perform", PERFORMED, act("seller"), "already_performed", Refused),
    "paying in place of what was performed": (
        "refund_in_place",
        PERFORMED,
        act("clock"),
        "already_performed",
        Refused,
    ),
    "reminding the seller of an offer that the buyer answers": (
        "remind_seller",
        OFFERED,
        act("mediator"),
        "not_waiting_on_seller",
        Refused,
    ),
    "reminding the seller of a proposal that they accepted": (
        "remind_seller",
        PROPOSED | {"proposal_accepted_by_seller": True},
        act("mediator"),
        "not_waiting_on_seller",
        Refused,
    ),
    "reminding the seller of what they performed": (
        "remind_seller",
        PERFORMED,
        act("platform"),
        "not_waiting_on_seller",
        Refused,
    ),
    "reminding the seller of evidence that the buyer owes": (
        "remind_seller",
        {"state": "awaiting_evidence", "evidence_from": "under_review", "evidence_of_buyer": True},
        act("platform"),
        "not_waiting_on_seller",
        Refused,
    ),
    "the seller calling the platform in before any offer": (
        "request_mediation",
        {"state": "seller_refused"},
        act("seller"),
        "no_offer_made",
        Refused,
    ),
    "agreeing while an appeal is heard": ("agree", APPEALED, act("seller"), "appeal_pending", Refused),
    "agreeing while evidence is awaited in an appeal": (
        "agree",
        APPEALED | {"state": "awaiting_evidence", "evidence_from": "escalated", "evidence_of_buyer": True},
        act("seller"),
        "appeal_pending",
        Refused,
    ),
    "returning an appeal to the mediator": (
        "return_to_mediator",
        APPEALED | {"decided_by": "mia", "approved_by": None},
        act("senior"),
        "appeal_pending",
        Refused,
    ),
    "agreeing while a refund's fate is unknown": ("agree", FAILED, act("seller"), "refund_failed", Refused),
    "withdrawing while a refund's fate is unknown": ("withdraw", FAILED, act("buyer"), "refund_failed", Refused),
    "deciding while a refund's fate is unknown": ("decide", FAILED, act("senior"), "refund_failed", Refused),
    "retrying a refund that has not failed": ("retry_refund", COMPLEX, act("senior"), "refund_not_failed", Refused),
    "settling elsewhere what has not failed": (
        "settle_elsewhere",
        COMPLEX,
        act("supervisor"),
        "refund_not_failed",
        Refused,
    ),
    "a late word of the gateway on a refund that has not failed": (
        "settle_refund",
        PENDING,
        act("gateway"),
        "refund_not_failed",
        Refused,
    ),
    "the one who decided hearing the appeal": (
        "decide",
        APPEALED,
        act("senior"),
        "own_decision_appealed",
        NotPermitted,
    ),
    "the one who decided taking the appeal": ("take", APPEALED, act("senior"), "own_decision_appealed", NotPermitted),
    "the one who approved hearing the appeal": (
        "decide",
        APPEALED,
        act("supervisor", subject="sue"),
        "own_decision_appealed",
        NotPermitted,
    ),
    "approving where nothing waits": ("approve", COMPLEX, act("senior"), "no_pending_decision", Refused),
    "approving one's own": ("approve", PENDING, act("senior", subject="mia"), "own_decision", NotPermitted),
    "accepting twice": (
        "accept_decision",
        DECIDED | {"accepted_by_buyer": True},
        act("buyer"),
        "already_accepted",
        Refused,
    ),
    "appealing after accepting": (
        "appeal",
        DECIDED | {"accepted_by_seller": True},
        act("seller"),
        "already_accepted",
        Refused,
    ),
    "appealing after accepting while the other side's appeal is heard": (
        "appeal",
        APPEALED | {"accepted_by_seller": True},
        act("seller"),
        "already_accepted",
        Refused,
    ),
    "appealing a moment too late": (
        "appeal",
        DECIDED | {"appeal_until": JUST_OVER},
        act("seller"),
        "appeal_out_of_time",
        OutOfTime,
    ),
    "appealing a moment too late while the other side's appeal is heard": (
        "appeal",
        APPEALED | {"appeal_until": JUST_OVER},
        act("seller"),
        "appeal_out_of_time",
        OutOfTime,
    ),
    "appealing where no time for it runs": (
        "appeal",
        APPEALED | {"appeal_until": None},
        act("seller"),
        "appeal_out_of_time",
        OutOfTime,
    ),
    "appealing twice": (
        "appeal",
        DECIDED | {"appealed_by_seller": True},
        act("seller"),
        "already_appealed",
        Refused,
    ),
    "appealing twice while the appeal is heard": ("appeal", APPEALED, act("buyer"), "already_appealed", Refused),
    "appealing where nothing was decided": ("appeal", COMPLEX, act("buyer"), "not_under_appeal", Refused),
    "withdrawing after a decision": ("withdraw", APPEALED, act("buyer"), "decision_issued", Refused),
    "withdrawing while a decided case rests": (
        "withdraw",
        DECIDED | {"state": "suspended", "suspended_from": "decided"},
        act("buyer"),
        "decision_issued",
        Refused,
    ),
    "withdrawing while a decision is carried out": (
        "withdraw",
        {"state": "awaiting_return", "decisions_issued": 1},
        act("buyer"),
        "decision_issued",
        Refused,
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_guard_refuses_by_its_rule_and_leaves_the_case_alone(what: str) -> None:
    action, given, trial, code, kind = REFUSED[what]
    case = PlainCase(**given)
    before = vars(case).copy()
    with pytest.raises(Refused) as refused:
        procedure.fire(case, action, trial)
    assert refused.value.code == code
    assert type(refused.value) is kind
    assert vars(case) == before
    assert all(refused.value.sentence(language) for language in LANGUAGES)


@pytest.mark.parametrize("what", REFUSED)
def test_what_a_guard_refuses_is_told_beforehand(what: str) -> None:
    """`options` and `standing_refusal` know without any facts what `fire` will say."""
    action, given, trial, code, _ = REFUSED[what]
    case = PlainCase(**given)
    told = procedure.standing_refusal(case, action, Act(trial.actor, trial.now))
    assert told is not None
    assert told.code == code
    listed = dict(procedure.options(case, trial.actor, Act(trial.actor, trial.now)))
    assert listed[action] is not None


#: The other side of each rule: what is nearly refused and is not.
ALLOWED: dict[str, tuple[str, dict[str, Any], Act, str]] = {
    "the shop's other clerk": (
        "refuse",
        {"state": "seller_notified"},
        act("seller", subject="clerk-2"),
        "seller_refused",
    ),
    "an interest in somebody else": (
        "take",
        {"state": "under_review"},
        act("mediator", interests=frozenset({("buyer", "buyer-2"), ("seller", "shop-99")})),
        "under_review",
    ),
    "an interest in a buyer of the seller's name": (
        "take",
        {"state": "under_review"},
        act("mediator", interests=frozenset({("buyer", "shop-17"), ("seller", "buyer-1")})),
        "under_review",
    ),
    "deciding what one has": ("decide", {"state": "under_review", "assignee": "mia"}, act("mediator"), "decided"),
    "a senior deciding what another senior has": ("decide", COMPLEX | {"assignee": "sue"}, act("senior"), "decided"),
    "releasing what one has": (
        "release",
        {"state": "under_review", "assignee": "mia"},
        act("mediator"),
        "under_review",
    ),
    "handing over what one has": (
        "hand_over",
        {"state": "under_review", "assignee": "mia"},
        act("mediator"),
        "under_review",
    ),
    "taking what nobody has": ("take", COMPLEX, act("supervisor"), "escalated"),
    "proposing in what one has": (
        "propose",
        {"state": "under_review", "assignee": "mia"},
        act("mediator"),
        "negotiating",
    ),
    "asking for evidence in what another has": (
        "request_evidence",
        {"state": "under_review", "assignee": "max"},
        act("mediator"),
        "awaiting_evidence",
    ),
    "somebody else asking for evidence in the appeal": (
        "request_evidence",
        APPEALED,
        act("supervisor"),
        "awaiting_evidence",
    ),
    "somebody else taking the appeal": ("take", APPEALED, act("supervisor"), "escalated"),
    "refunding at once while a decision waits": ("refund_now", PENDING, act("mediator"), "refund"),
    "suspending while an appeal is heard": ("suspend", APPEALED, act("senior"), "suspended"),
    "returning to the mediator while a decision waits": ("return_to_mediator", PENDING, act("senior"), "under_review"),
    "retrying a refund that failed": ("retry_refund", FAILED, act("senior"), "refund"),
    "settling elsewhere what failed": ("settle_elsewhere", FAILED, act("supervisor"), "refunded"),
    "a late word of the gateway on a refund that failed": ("settle_refund", FAILED, act("gateway"), "refunded"),
    "accepting the other side's offer": ("accept_offer", OFFERED, act("buyer"), "refund"),
    "declining the other side's offer": ("decline_offer", OFFERED, act("buyer"), "seller_refused"),
    "countering an open offer": ("offer", OFFERED, act("buyer"), "negotiating"),
    "accepting a proposal that the other side accepted": (
        "accept_offer",
        PROPOSED | {"proposal_accepted_by_buyer": True},
        act("seller"),
        "refund",
    ),
    "declining a proposal that the other side accepted": (
        "decline_offer",
        PROPOSED | {"proposal_accepted_by_buyer": True},
        act("seller"),
        "under_review",
    ),
    "an acceptance of an earlier proposal, where a party's offer is open": (
        "accept_offer",
        OFFERED | {"proposal_accepted_by_buyer": True},
        act("buyer"),
        "refund",
    ),
    "the seller calling the platform in while a proposal is open": (
        "request_mediation",
        PROPOSED,
        act("seller"),
        "under_review",
    ),
    "performing once": ("perform", TO_PERFORM, act("seller"), "awaiting_performance"),
    "paying in place of what was not performed": ("refund_in_place", TO_PERFORM, act("clock"), "refund"),
    "confirming what was performed": ("confirm_performance", PERFORMED, act("buyer"), "refund"),
    "concluding what was performed": ("conclude_performance", PERFORMED, act("clock"), "refund"),
    "disputing what was performed": ("dispute_performance", PERFORMED, act("buyer"), "under_review"),
    "reminding the seller to answer": (
        "remind_seller",
        {"state": "seller_notified"},
        act("platform"),
        "seller_notified",
    ),
    "reminding the seller of the buyer's offer": (
        "remind_seller",
        OFFERED | {"open_offer_by": "buyer"},
        act("mediator"),
        "negotiating",
    ),
    "reminding the seller of a proposal that both have yet to answer": (
        "remind_seller",
        PROPOSED,
        act("mediator"),
        "negotiating",
    ),
    "reminding the seller of a proposal that the buyer accepted": (
        "remind_seller",
        PROPOSED | {"proposal_accepted_by_buyer": True},
        act("mediator"),
        "negotiating",
    ),
    "reminding the seller to perform": ("remind_seller", TO_PERFORM, act("platform"), "awaiting_performance"),
    "reminding the seller to inspect": (
        "remind_seller",
        {"state": "awaiting_inspection"},
        act("mediator"),
        "awaiting_inspection",
    ),
    "reminding the seller of evidence that both owe": (
        "remind_seller",
        {
            "state": "awaiting_evidence",
            "evidence_from": "escalated",
            "evidence_of_buyer": True,
            "evidence_of_seller": True,
        },
        act("platform"),
        "awaiting_evidence",
    ),
    "agreeing while evidence is awaited": (
        "agree",
        {"state": "awaiting_evidence", "evidence_from": "under_review", "evidence_of_seller": True},
        act("seller"),
        "refund",
    ),
    "a third counter-offer": (
        "offer",
        {"state": "negotiating", "offers_made": 3, "open_offer_by": "buyer", "counter_offers_seller": 2},
        act("seller"),
        "negotiating",
    ),
    "a counter-offer when only the other side has spent theirs": (
        "offer",
        {"state": "seller_refused", "offers_made": 4, "counter_offers_buyer": 3},
        act("seller"),
        "negotiating",
    ),
    "the buyer calling the platform in before any offer": (
        "request_mediation",
        {"state": "seller_refused"},
        act("buyer"),
        "under_review",
    ),
    "the seller calling it in after one": (
        "request_mediation",
        {"state": "seller_refused", "offers_made": 1},
        act("seller"),
        "under_review",
    ),
    "hearing an appeal against another's decision": ("decide", APPEALED, act("supervisor"), "decided"),
    "the one who decided before, where no appeal is heard": (
        "decide",
        COMPLEX | {"decided_by": "sam"},
        act("senior"),
        "decided",
    ),
    "approving another's": ("approve", PENDING, act("senior"), "decided"),
    "accepting after the other side": (
        "accept_decision",
        DECIDED | {"accepted_by_buyer": True},
        act("seller"),
        "decided",
    ),
    "appealing after the other side accepted": (
        "appeal",
        DECIDED | {"accepted_by_buyer": True},
        act("seller"),
        "escalated",
    ),
    "appealing after the other side appealed against an earlier decision": (
        "appeal",
        DECIDED | {"appealed_by_buyer": True},
        act("seller"),
        "escalated",
    ),
    "appealing at the last moment": ("appeal", DECIDED | {"appeal_until": NOW}, act("seller"), "escalated"),
    "the other side appealing at the last moment": (
        "appeal",
        APPEALED | {"appeal_until": NOW},
        act("seller"),
        "escalated",
    ),
    "accepting a decision that one has time to appeal against": ("accept_decision", DECIDED, act("buyer"), "decided"),
    "the other side appealing too": ("appeal", APPEALED, act("seller"), "escalated"),
    "withdrawing before a decision was issued": ("withdraw", PENDING, act("buyer"), "closed"),
    "withdrawing while a case rests": (
        "withdraw",
        {"state": "suspended", "suspended_from": "awaiting_return"},
        act("buyer"),
        "closed",
    ),
    "agreeing while a decision waits": ("agree", PENDING, act("seller"), "refund"),
}


@pytest.mark.parametrize("what", ALLOWED)
def test_a_guard_lets_pass_what_its_rule_does_not_mean(what: str) -> None:
    action, given, trial, target = ALLOWED[what]
    case = PlainCase(**given)
    assert procedure.standing_refusal(case, action, Act(trial.actor, trial.now)) is None
    came_from = procedure.fire(case, action, trial)
    assert came_from == given.get("state", "opened")
    assert case.state == target


def test_every_refusal_of_a_guard_is_tried() -> None:
    """The codes of the guards, typed from the rules of lifecycle.md; each has its other side above."""
    assert {code for _, _, _, code, _ in REFUSED.values()} == {
        "not_a_party", "interest_declared", "assigned_to_other", "already_yours", "not_assigned_to_you", "own_offer",
        "counter_offers_exhausted", "proposal_open", "proposal_accepted", "no_offer_made", "appeal_pending",
        "not_under_appeal", "refund_failed", "refund_not_failed", "own_decision_appealed", "no_pending_decision",
        "own_decision", "already_accepted", "already_appealed", "appeal_out_of_time", "decision_issued",
        "not_performed", "already_performed", "not_waiting_on_seller",
    }  # fmt: skip


# --- conditions: which of several ends an action has ---------------------------------------------------------------

FIRST_LEG = {"return": "awaiting_return", "performance": "awaiting_performance", "refund": "refund"}


@pytest.mark.parametrize("legs", GRANTED)
@pytest.mark.parametrize(
    ("action", "given", "role"),
    [
        ("agree", {"state": "seller_notified"}, "seller"),
        ("agree", {"state": "seller_notified"}, "clock"),
        ("agree", {"state": "under_review"}, "seller"),
        ("agree", COMPLEX, "seller"),
        ("accept_offer", OFFERED, "buyer"),
        ("accept_offer", PROPOSED | {"proposal_accepted_by_buyer": True}, "seller"),
        ("finalise", DECIDED, "clock"),
        ("finalise", DECIDED, "system"),
    ],
)
def test_what_was_agreed_or_decided_begins_with_its_first_leg(
    action: str, given: dict[str, Any], role: str, legs: tuple[str, ...]
) -> None:
    case = PlainCase(**given)
    procedure.fire(case, action, act(role, {"legs": legs}))
    assert case.state == FIRST_LEG[legs[0]]


@pytest.mark.parametrize(
    ("action", "role"),
    [("confirm_return", "seller"), ("conclude_inspection", "clock")],
)
def test_after_a_return_comes_the_performance_or_the_refund(action: str, role: str) -> None:
    for left, state in ((("performance", "refund"), "awaiting_performance"), (("refund",), "refund")):
        case = PlainCase(state="awaiting_inspection")
        procedure.fire(case, action, act(role, {"legs": left}))
        assert case.state == state


@pytest.mark.parametrize(
    ("action", "role"),
    [("confirm_performance", "buyer"), ("conclude_performance", "clock")],
)
def test_after_a_performance_comes_the_refund_or_the_end(action: str, role: str) -> None:
    for left, state in ((("refund",), "refund"), ((), "closed")):
        case = PlainCase(**PERFORMED)
        procedure.fire(case, action, act(role, {"legs": left}))
        assert case.state == state


@pytest.mark.parametrize(("side", "other"), [("buyer", "seller"), ("seller", "buyer")])
def test_a_proposal_binds_with_the_second_acceptance_and_an_offer_with_the_first(side: str, other: str) -> None:
    case = PlainCase(**PROPOSED)
    procedure.fire(case, "accept_offer", act(side, {}))
    assert case.state == "negotiating"
    setattr(case, f"proposal_accepted_by_{side}", True)
    procedure.fire(case, "accept_offer", act(other))
    assert case.state == "refund"
    case = PlainCase(**OFFERED | {"open_offer_by": other})
    procedure.fire(case, "accept_offer", act(side))
    assert case.state == "refund"


@pytest.mark.parametrize("side", ["buyer", "seller"])
def test_a_declined_proposal_goes_back_to_the_mediator_and_a_declined_offer_to_the_parties(side: str) -> None:
    other = {"buyer": "seller", "seller": "buyer"}[side]
    for open_offer_by, state in (("mediator", "under_review"), (other, "seller_refused")):
        case = PlainCase(**OFFERED | {"open_offer_by": open_offer_by})
        procedure.fire(case, "decline_offer", act(side))
        assert case.state == state


@pytest.mark.parametrize("came_from", ["under_review", "escalated"])
@pytest.mark.parametrize(
    ("action", "role"),
    [
        ("evidence_complete", "system"),
        ("default_evidence", "clock"),
        ("end_evidence_request", "mediator"),
        ("end_evidence_request", "senior"),
        ("end_evidence_request", "supervisor"),
    ],
)
def test_evidence_goes_back_to_where_it_was_asked_for(came_from: str, action: str, role: str) -> None:
    case = PlainCase(state="awaiting_evidence", evidence_from=came_from, evidence_of_buyer=True)
    procedure.fire(case, action, act(role, {}))
    assert case.state == came_from


#: "any open state but refund".
RESTS = [
    "opened", "seller_notified", "negotiating", "seller_refused", "awaiting_return", "awaiting_inspection",
    "awaiting_performance", "under_review", "awaiting_evidence", "escalated", "decided",
]  # fmt: skip


@pytest.mark.parametrize("state", RESTS)
def test_a_case_rests_in_any_open_state_but_refund_and_goes_on_there(state: str) -> None:
    for role in ("mediator", "senior", "supervisor", "clock"):
        case = PlainCase(state=state)
        procedure.fire(case, "suspend", act("mediator" if role == "clock" else role, {}))
        assert case.state == "suspended"
        case.suspended_from = state
        procedure.fire(case, "resume", act(role, {}))
        assert case.state == state


def test_what_rests_is_not_put_to_rest_again() -> None:
    for state in ("refund", "suspended", "refunded", "closed"):
        with pytest.raises(Refused) as refused:
            procedure.fire(PlainCase(state=state, suspended_from="opened"), "suspend", act("senior"))
        assert refused.value.code == "wrong_state"


@pytest.mark.parametrize(("amount", "state"), [(0, "decided"), (50_000, "decided"), (50_001, "escalated")])
def test_a_mediator_issues_what_is_within_their_authority_to_the_last_unit(amount: int, state: str) -> None:
    case = PlainCase(state="under_review")
    procedure.fire(case, "decide", act("mediator", {"amount_minor": amount, "authority_minor": 50_000}))
    assert case.state == state


# --- counting ------------------------------------------------------------------------------------------------------


def _offer(case: PlainCase, side: str) -> None:
    """Make an offer and count it as the application does."""
    procedure.fire(case, "offer", act(side))
    count = f"counter_offers_{side}"
    setattr(case, count, getattr(case, count) + (case.offers_made > 0))
    case.offers_made += 1
    case.open_offer_by = side


@pytest.mark.parametrize("first", ["seller", "buyer"])
def test_the_first_offer_opens_the_talks_and_each_side_then_counters_three_times(first: str) -> None:
    other = {"seller": "buyer", "buyer": "seller"}[first]
    case = PlainCase(state="seller_notified")
    for _ in range(3):
        _offer(case, first)
        _offer(case, other)
    _offer(case, first)  # The opening one did not count.
    for side in (first, other):
        with pytest.raises(Refused, match="3 counter-offers"):
            _offer(case, side)
    assert case.offers_made == 7


def test_declining_does_not_give_counter_offers_back() -> None:
    case = PlainCase(state="seller_notified")
    _offer(case, "buyer")
    for _ in range(3):
        procedure.fire(case, "decline_offer", act("seller" if case.open_offer_by == "buyer" else "buyer"))
        case.open_offer_by = None
        _offer(case, "seller")
    procedure.fire(case, "decline_offer", act("buyer"))
    case.open_offer_by = None
    with pytest.raises(Refused) as refused:
        _offer(case, "seller")
    assert refused.value.code == "counter_offers_exhausted"
    _offer(case, "buyer")


def test_the_time_for_an_appeal_is_over_a_microsecond_after_its_end() -> None:
    trial = act("buyer")
    procedure.fire(PlainCase(**DECIDED), "appeal", replace(trial, now=STILL_OPEN))
    with pytest.raises(OutOfTime):
        procedure.fire(PlainCase(**DECIDED), "appeal", replace(trial, now=STILL_OPEN + timedelta(microseconds=1)))


def test_without_an_authority_there_is_no_limit() -> None:
    case = PlainCase(state="escalated", escalation_reason="complex", level=1)
    procedure.fire(case, "decide", act("senior", {"amount_minor": 2**53 - 1, "authority_minor": None}))
    assert case.state == "decided"
