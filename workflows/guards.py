"""Predicates of the procedure. A guard returns nothing, or raises why not; a condition only chooses between rows.

Guards need no facts of the act, so the same guard that stops an act also tells beforehand why it is unavailable.
"""

from __future__ import annotations

from workflows.acts import Act, CaseLike
from workflows.refusals import Conflict, NotPermitted, Refused
from workflows.remedies import Leg
from workflows.states import EscalationReason, Side

COUNTER_OFFERS_A_SIDE = 3


# --- who ---------------------------------------------------------------------------------------------------------


def is_party(case: CaseLike, act: Act) -> None:
    """A buyer or seller acts on their own case only."""
    side = act.actor.side
    own = {Side.BUYER: case.buyer_ref, Side.SELLER: case.seller_ref}
    if side is not None and own[side] != act.actor.acts_for:
        raise NotPermitted("not_a_party")


def no_interest(case: CaseLike, act: Act) -> None:
    """Staff with a declared interest in either party stay out of the case."""
    parties = {(Side.BUYER.value, case.buyer_ref), (Side.SELLER.value, case.seller_ref)}
    if act.actor.interests & parties:
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


def no_decision_issued(case: CaseLike, act: Act) -> None:
    if case.decisions_issued:
        raise Refused("decision_issued")


# --- conditions: which row of the table is meant -----------------------------------------------------------------


def money_is_next(case: CaseLike, act: Act) -> bool:
    """The first leg to be done is a refund."""
    return tuple(act.facts.get("legs", ()))[:1] == (Leg.REFUND,)


def nothing_is_next(case: CaseLike, act: Act) -> bool:
    return not act.facts.get("legs")


def is_within(amount_minor: int, authority_minor: int | None) -> bool:
    """Whether a sum is at most an authority; both in minor units, no authority meaning no limit."""
    return authority_minor is None or amount_minor <= authority_minor


def within_authority(case: CaseLike, act: Act) -> bool:
    """The sum ordered is at most the decider's authority."""
    return is_within(act.facts["amount_minor"], act.facts.get("authority_minor"))


def above_authority(case: CaseLike, act: Act) -> bool:
    return not within_authority(case, act)
