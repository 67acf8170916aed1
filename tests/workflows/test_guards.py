"""Each guard, on both sides of its rule; a refusal always names the rule and leaves the case as it was."""

from __future__ import annotations

from typing import Any

import pytest

from tests.workflows.cases import PlainCase, act
from workflows import procedure
from workflows.acts import Act
from workflows.refusals import LANGUAGES, Conflict, NotPermitted, Refused

APPEALED = {
    "state": "escalated",
    "escalation_reason": "appeal",
    "level": 1,
    "decisions_issued": 1,
    "decided_by": "sam",
    "approved_by": "sue",
    "appealed_by_buyer": True,
}
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
    "the seller calling the platform in before any offer": (
        "request_mediation",
        {"state": "seller_refused"},
        act("seller"),
        "no_offer_made",
        Refused,
    ),
    "agreeing while an appeal is heard": ("agree", APPEALED, act("seller"), "appeal_pending", Refused),
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
        {"state": "decided", "accepted_by_buyer": True},
        act("buyer"),
        "already_accepted",
        Refused,
    ),
    "appealing after accepting": (
        "appeal",
        {"state": "decided", "accepted_by_seller": True},
        act("seller"),
        "already_accepted",
        Refused,
    ),
    "appealing twice": (
        "appeal",
        {"state": "decided", "appealed_by_seller": True},
        act("seller"),
        "already_appealed",
        Refused,
    ),
    "appealing twice while the appeal is heard": ("appeal", APPEALED, act("buyer"), "already_appealed", Refused),
    "appealing where nothing was decided": ("appeal", COMPLEX, act("buyer"), "not_under_appeal", Refused),
    "withdrawing after a decision": ("withdraw", APPEALED, act("buyer"), "decision_issued", Refused),
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
        {"state": "decided", "accepted_by_buyer": True},
        act("seller"),
        "decided",
    ),
    "appealing after the other side accepted": (
        "appeal",
        {"state": "decided", "accepted_by_buyer": True},
        act("seller"),
        "escalated",
    ),
    "the other side appealing too": ("appeal", APPEALED, act("seller"), "escalated"),
    "withdrawing before a decision was issued": ("withdraw", PENDING, act("buyer"), "closed"),
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


def test_without_an_authority_there_is_no_limit() -> None:
    case = PlainCase(state="escalated", escalation_reason="complex", level=1)
    procedure.fire(case, "decide", act("senior", {"amount_minor": 2**53 - 1, "authority_minor": None}))
    assert case.state == "decided"
