"""What follows from where a case stands, typed from the table of states in docs/lifecycle.md."""

from __future__ import annotations

from typing import Any

import pytest

from tests.workflows.cases import PlainCase, actor
from workflows import standing
from workflows.states import FINAL_STATES, CaseState, View

#: state -> stage; `suspended` keeps that of the state it stands still in
STAGES = {
    "opened": "negotiation",
    "seller_notified": "negotiation",
    "negotiating": "negotiation",
    "seller_refused": "negotiation",
    "awaiting_return": "performance",
    "awaiting_inspection": "performance",
    "awaiting_performance": "performance",
    "under_review": "mediation",
    "awaiting_evidence": "mediation",
    "escalated": "mediation",
    "decided": "appeal",
    "refund": "execution",
    "refunded": "final",
    "closed": "final",
}


def test_every_state_has_its_stage() -> None:
    assert {*STAGES, "suspended"} == set(CaseState)
    for state, stage in STAGES.items():
        assert standing.stage(PlainCase(state=state)) == stage
    assert {state for state, stage in STAGES.items() if stage == "final"} == FINAL_STATES


def test_a_suspended_case_keeps_the_stage_of_the_state_it_stands_still_in() -> None:
    for state, stage in STAGES.items():
        if stage not in ("final", "execution"):
            assert standing.stage(PlainCase(state="suspended", suspended_from=state)) == stage


_OFFER = {"state": "negotiating", "offers_made": 1}
_PROPOSAL = _OFFER | {"open_offer_by": "mediator"}
_EVIDENCE = {"state": "awaiting_evidence", "evidence_from": "under_review"}
_ESCALATED = {"state": "escalated", "level": 1, "escalation_reason": "complex"}
_PENDING = {"escalation_reason": "amount_over_authority", "pending_decision_by": "mia"}
#: case -> whom it waits on, and in which queue it lies
WAITS: list[tuple[dict[str, Any], str | None, str | None]] = [
    ({"state": "opened"}, "platform", None),
    ({"state": "seller_notified"}, "seller", None),
    (_OFFER | {"open_offer_by": "seller"}, "buyer", None),
    (_OFFER | {"open_offer_by": "buyer"}, "seller", None),
    (_PROPOSAL, "both", None),
    (_PROPOSAL | {"proposal_accepted_by_buyer": True}, "seller", None),
    (_PROPOSAL | {"proposal_accepted_by_seller": True}, "buyer", None),
    ({"state": "seller_refused"}, "buyer", None),
    ({"state": "awaiting_return"}, "buyer", None),
    ({"state": "awaiting_inspection"}, "seller", None),
    ({"state": "awaiting_performance"}, "seller", None),
    ({"state": "awaiting_performance", "performed": True}, "buyer", None),
    ({"state": "under_review"}, "mediator", "mediation"),
    (_EVIDENCE | {"evidence_of_buyer": True}, "buyer", None),
    (_EVIDENCE | {"evidence_of_seller": True}, "seller", None),
    (_EVIDENCE | {"evidence_of_buyer": True, "evidence_of_seller": True}, "both", None),
    (_EVIDENCE | {"evidence_from": "escalated", "evidence_of_buyer": True}, "buyer", None),
    (_ESCALATED, "senior", "escalations"),
    (_ESCALATED | {"level": 2}, "supervisor", "escalations"),
    (_ESCALATED | {"level": 3}, "supervisor", "escalations"),
    (_ESCALATED | _PENDING, "senior", "approvals"),
    (_ESCALATED | _PENDING | {"level": 2}, "supervisor", "approvals"),
    (_ESCALATED | {"escalation_reason": "appeal"}, "senior", "appeals"),
    (_ESCALATED | {"escalation_reason": "refund_failed"}, "senior", "failed_refunds"),
    (_ESCALATED | {"escalation_reason": "refund_failed", "level": 2}, "supervisor", "failed_refunds"),
    ({"state": "decided"}, "both", None),
    ({"state": "decided", "accepted_by_buyer": True}, "seller", None),
    ({"state": "decided", "accepted_by_seller": True}, "buyer", None),
    ({"state": "refund"}, "platform", None),
    ({"state": "suspended", "suspended_from": "under_review"}, None, None),
    ({"state": "suspended", "suspended_from": "escalated", "level": 1}, None, None),
    ({"state": "refunded"}, None, None),
    ({"state": "closed"}, None, None),
]


@pytest.mark.parametrize(("given", "waits", "queue"), WAITS)
def test_a_case_waits_on_whom_the_table_of_states_names(
    given: dict[str, Any], waits: str | None, queue: str | None
) -> None:
    assert standing.waiting_on(PlainCase(**given)) == waits
    assert standing.queue(PlainCase(**given)) == queue


def test_every_state_is_tried() -> None:
    assert {given["state"] for given, *_ in WAITS} == set(CaseState) == {given["state"] for given, _ in VIEWS}


ACT, WAIT, REVIEW = View.ACTION_REQUIRED, View.WAITING_OTHER_PARTY, View.UNDER_PLATFORM_REVIEW
APPEALABLE, RESOLVED = View.APPEALABLE, View.RESOLVED
#: case -> how buyer and seller see it
VIEWS: list[tuple[dict[str, Any], tuple[View, View]]] = [
    ({"state": "opened"}, (REVIEW, REVIEW)),
    ({"state": "seller_notified"}, (WAIT, ACT)),
    (_OFFER | {"open_offer_by": "seller"}, (ACT, WAIT)),
    (_OFFER | {"open_offer_by": "buyer"}, (WAIT, ACT)),
    (_PROPOSAL, (ACT, ACT)),
    (_PROPOSAL | {"proposal_accepted_by_buyer": True}, (WAIT, ACT)),
    (_PROPOSAL | {"proposal_accepted_by_seller": True}, (ACT, WAIT)),
    ({"state": "seller_refused"}, (ACT, WAIT)),
    ({"state": "awaiting_return"}, (ACT, WAIT)),
    ({"state": "awaiting_inspection"}, (WAIT, ACT)),
    ({"state": "awaiting_performance"}, (WAIT, ACT)),
    ({"state": "awaiting_performance", "performed": True}, (ACT, WAIT)),
    ({"state": "under_review"}, (REVIEW, REVIEW)),
    (_EVIDENCE | {"evidence_of_buyer": True}, (ACT, WAIT)),
    (_EVIDENCE | {"evidence_of_seller": True}, (WAIT, ACT)),
    (_EVIDENCE | {"evidence_of_buyer": True, "evidence_of_seller": True}, (ACT, ACT)),
    (_ESCALATED, (REVIEW, REVIEW)),
    ({"state": "decided"}, (APPEALABLE, APPEALABLE)),
    ({"state": "decided", "accepted_by_buyer": True}, (WAIT, APPEALABLE)),
    ({"state": "decided", "accepted_by_seller": True}, (APPEALABLE, WAIT)),
    ({"state": "refund"}, (REVIEW, REVIEW)),
    ({"state": "suspended", "suspended_from": "seller_notified"}, (REVIEW, REVIEW)),
    ({"state": "refunded"}, (RESOLVED, RESOLVED)),
    ({"state": "closed"}, (RESOLVED, RESOLVED)),
]


@pytest.mark.parametrize(("given", "views"), VIEWS)
def test_each_side_is_told_what_the_case_means_to_it(given: dict[str, Any], views: tuple[View, View]) -> None:
    case = PlainCase(**given)
    assert (standing.view_for(case, actor("buyer")), standing.view_for(case, actor("seller"))) == views


def test_staff_are_told_to_act_where_the_case_waits_on_their_role() -> None:
    case = PlainCase(state="under_review")
    assert standing.view_for(case, actor("mediator")) is ACT
    assert standing.view_for(case, actor("senior")) is REVIEW
    case = PlainCase(**_ESCALATED)
    assert standing.view_for(case, actor("senior")) is ACT
    assert standing.view_for(case, actor("mediator")) is REVIEW
    case = PlainCase(**_ESCALATED | {"level": 2})
    assert standing.view_for(case, actor("supervisor")) is ACT
    assert standing.view_for(case, actor("senior")) is REVIEW
    assert standing.view_for(PlainCase(state="seller_notified"), actor("mediator")) is WAIT
    assert standing.view_for(PlainCase(state="opened"), actor("platform")) is ACT
    for role in ("mediator", "senior", "supervisor", "platform", "admin"):
        assert standing.view_for(PlainCase(state="closed"), actor(role)) is RESOLVED
