"""Predicates of the procedure. A guard returns nothing, or raises why not; a condition only chooses between rows.

Guards need no facts of the act, so the same guard that stops an act also tells beforehand why it is unavailable.
"""

from __future__ import annotations

from collections.abc import Callable

from workflows.acts import Act, CaseLike
from workflows.refusals import Conflict, NotPermitted, OutOfTime, Refused
from workflows.remedies import Leg
from workflows.standing import PROPOSER, waiting_on
from workflows.states import CaseState, EscalationReason, Side, WaitingOn

COUNTER_OFFERS_A_SIDE = 3


# --- who ---------------------------------------------------------------------------------------------------------


def is_party(case: CaseLike, act: Act) -> None:
    """A buyer or seller acts on their own case only."""
    side = act.actor.side
    if side is not None and act.actor.acts_for != (case.buyer_ref if side is Side.BUYER else case.seller_ref):
        raise NotPermitted("not_a_party")


def no_interest(case: CaseLike, act: Act) -> None:
    """Staff with a declared interest in either party stay out of the case."""
    parties = ((Side.BUYER.value, case.buyer_ref), (Side.SELLER.value, case.seller_ref))
    if act.actor.interests and not act.actor.interests.isdisjoint(parties):
        raise NotPermitted("interest_declared")


def free_to_take(case: CaseLike, act: Act) -> None:
    """One assignee: a case that somebody has is not taken from them."""
    if case.assignee == act.actor.subject:
        raise Conflict("already_yours")
    not_with_another(case, act)


def not_with_another(case: CaseLike, act: Act) -> None:
    if case.assignee is not None and case.assignee != act.actor.subject:
        raise Conflict("assigned_to_other", assignee=case.assignee)


def has_the_case(case: CaseLike, act: Act) -> None:
    if case.assignee != act.actor.subject:
        raise Conflict("not_assigned_to_you")


# --- offers ------------------------------------------------------------------------------------------------------


def counter_offers_left(case: CaseLike, act: Act) -> None:
    """The first offer of a case opens the talks; each later one counters, three a side."""
    if case.offers_made == 0:
        return
    made = {Side.BUYER: case.counter_offers_buyer, Side.SELLER: case.counter_offers_seller}
    side = act.actor.side
    if side is not None and made[side] >= COUNTER_OFFERS_A_SIDE:
        raise Refused("counter_offers_exhausted", limit=COUNTER_OFFERS_A_SIDE)


def offer_is_the_others(case: CaseLike, act: Act) -> None:
    if case.open_offer_by == act.actor.side:
        raise Refused("own_offer")


def no_proposal_open(case: CaseLike, act: Act) -> None:
    """A mediator's proposal is answered before anything else is offered."""
    if case.open_offer_by == PROPOSER:
        raise Refused("proposal_open")


def proposal_not_yet_accepted(case: CaseLike, act: Act) -> None:
    """A side that accepted a mediator's proposal stands by it."""
    if act.actor.side is not None and _accepted_proposal(case, act.actor.side):
        raise Refused("proposal_accepted")


def _accepted_proposal(case: CaseLike, side: Side) -> bool:
    accepted = {Side.BUYER: case.proposal_accepted_by_buyer, Side.SELLER: case.proposal_accepted_by_seller}
    return case.open_offer_by == PROPOSER and accepted[side]


def an_offer_was_made(case: CaseLike, act: Act) -> None:
    if case.offers_made == 0:
        raise Refused("no_offer_made")


# --- escalation, decision, appeal --------------------------------------------------------------------------------


def _escalated_for(case: CaseLike, reason: EscalationReason) -> bool:
    return case.escalation_reason == reason


def not_under_appeal(case: CaseLike, act: Act) -> None:
    if _escalated_for(case, EscalationReason.APPEAL):
        raise Refused("appeal_pending")


def under_appeal(case: CaseLike, act: Act) -> None:
    if not _escalated_for(case, EscalationReason.APPEAL):
        raise Refused("not_under_appeal")


def refund_not_failed(case: CaseLike, act: Act) -> None:
    """While a refund's fate is unknown no other may be ordered."""
    if _escalated_for(case, EscalationReason.REFUND_FAILED):
        raise Refused("refund_failed")


def refund_failed(case: CaseLike, act: Act) -> None:
    if not _escalated_for(case, EscalationReason.REFUND_FAILED):
        raise Refused("refund_not_failed")


def may_hear_appeal(case: CaseLike, act: Act) -> None:
    """Nobody hears an appeal against what they decided or approved."""
    if _escalated_for(case, EscalationReason.APPEAL) and act.actor.subject in (case.decided_by, case.approved_by):
        raise NotPermitted("own_decision_appealed")


def decision_pending(case: CaseLike, act: Act) -> None:
    if case.pending_decision_by is None:
        raise Refused("no_pending_decision")


def not_own_pending_decision(case: CaseLike, act: Act) -> None:
    if case.pending_decision_by == act.actor.subject:
        raise NotPermitted("own_decision")


def not_yet_accepted(case: CaseLike, act: Act) -> None:
    """Accepting forfeits that side's appeal, and once is enough."""
    accepted = {Side.BUYER: case.accepted_by_buyer, Side.SELLER: case.accepted_by_seller}
    side = act.actor.side
    if side is not None and accepted[side]:
        raise Refused("already_accepted")


def not_yet_appealed(case: CaseLike, act: Act) -> None:
    appealed = {Side.BUYER: case.appealed_by_buyer, Side.SELLER: case.appealed_by_seller}
    side = act.actor.side
    if side is not None and appealed[side]:
        raise Refused("already_appealed")


def within_appeal_window(case: CaseLike, act: Act) -> None:
    """Also while the other side's appeal is heard, an appeal comes within its own time."""
    if case.appeal_until is None or act.now > case.appeal_until:
        raise OutOfTime("appeal_out_of_time")


def no_decision_issued(case: CaseLike, act: Act) -> None:
    if case.decisions_issued:
        raise Refused("decision_issued")


# --- performance, evidence, time --------------------------------------------------------------------------------


def performed(case: CaseLike, act: Act) -> None:
    if not case.performed:
        raise Refused("not_performed")


def not_performed(case: CaseLike, act: Act) -> None:
    if case.performed:
        raise Refused("already_performed")


def waits_on_seller(case: CaseLike, act: Act) -> None:
    if waiting_on(case) not in (WaitingOn.SELLER, WaitingOn.BOTH):
        raise Refused("not_waiting_on_seller")


# --- conditions: which row of the table is meant -----------------------------------------------------------------


def money_is_next(case: CaseLike, act: Act) -> bool:
    """The first leg to be done is a refund."""
    return tuple(act.facts.get("legs", ()))[:1] == (Leg.REFUND,)


def return_is_next(case: CaseLike, act: Act) -> bool:
    return tuple(act.facts.get("legs", ()))[:1] == (Leg.RETURN,)


def performance_is_next(case: CaseLike, act: Act) -> bool:
    return tuple(act.facts.get("legs", ()))[:1] == (Leg.PERFORMANCE,)


def nothing_is_next(case: CaseLike, act: Act) -> bool:
    return not act.facts.get("legs")


def is_proposal(case: CaseLike, act: Act) -> bool:
    """The open offer is a mediator's proposal."""
    return case.open_offer_by == PROPOSER


def is_offer(case: CaseLike, act: Act) -> bool:
    return case.open_offer_by != PROPOSER


def binds(case: CaseLike, act: Act) -> bool:
    """This acceptance is the last one needed: a proposal wants both sides'."""
    return act.actor.side is None or is_offer(case, act) or _accepted_proposal(case, act.actor.side.other)


def other_side_is_awaited(case: CaseLike, act: Act) -> bool:
    return not binds(case, act)


def asked_in_review(case: CaseLike, act: Act) -> bool:
    """Evidence was asked for while a mediator had the case."""
    return case.evidence_from == CaseState.UNDER_REVIEW


def asked_in_escalation(case: CaseLike, act: Act) -> bool:
    return case.evidence_from == CaseState.ESCALATED


def stood_in(state: CaseState) -> Callable[[CaseLike, Act], bool]:
    """The condition that the case was suspended in this state."""

    def condition(case: CaseLike, act: Act) -> bool:
        return case.suspended_from == state

    return condition


def is_within(amount_minor: int, authority_minor: int | None) -> bool:
    """Whether a sum is at most an authority; both in minor units, no authority meaning no limit."""
    return authority_minor is None or amount_minor <= authority_minor


def within_authority(case: CaseLike, act: Act) -> bool:
    """The sum ordered is at most the decider's authority."""
    return is_within(act.facts["amount_minor"], act.facts.get("authority_minor"))


def above_authority(case: CaseLike, act: Act) -> bool:
    return not within_authority(case, act)
