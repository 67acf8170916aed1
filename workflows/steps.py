"""The whole procedure as one table. Reading STEPS is reading the behaviour: nothing outside it moves a case.

States and actions are those of docs/lifecycle.md; rows of one action are tried in the order in which they stand here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from workflows import guards as g
from workflows.acts import Act, CaseLike
from workflows.states import CaseState, Role

Guard = Callable[[CaseLike, Act], None]
Condition = Callable[[CaseLike, Act], bool]

BUYER, SELLER, MEDIATOR = Role.BUYER, Role.SELLER, Role.MEDIATOR
PLATFORM, CLOCK, GATEWAY, SYSTEM = Role.PLATFORM, Role.CLOCK, Role.GATEWAY, Role.SYSTEM
PARTIES = (BUYER, SELLER)
SENIORS = (Role.SENIOR, Role.SUPERVISOR)  # a supervisor may do all a senior may
REVIEWERS = (MEDIATOR, *SENIORS)

S = CaseState
SAME = None


@dataclass(frozen=True, slots=True)
class Step:
    """One row: `action` by one of `by` moves a case from any of `source` to `target` (None: it stays).

    `when` chooses between rows of one action; `guards` refuse, each with its reason.
    """

    action: str
    by: tuple[Role, ...]
    source: tuple[CaseState, ...]
    target: CaseState | None
    guards: tuple[Guard, ...] = ()
    when: tuple[Condition, ...] = ()


TALKS = (S.SELLER_NOTIFIED, S.NEGOTIATING, S.SELLER_REFUSED)
PERFORMING = (S.AWAITING_RETURN, S.AWAITING_INSPECTION, S.AWAITING_PERFORMANCE)
REVIEWED = (S.UNDER_REVIEW, S.AWAITING_EVIDENCE, S.ESCALATED)
#: States in which a case can stand still. While money is on its way it cannot.
SUSPENDABLE = (S.OPENED, *TALKS, *PERFORMING, *REVIEWED, S.DECIDED)
#: States that wait on a party, whose time a mediator may extend.
ON_PARTIES = (*TALKS, *PERFORMING, S.AWAITING_EVIDENCE, S.DECIDED)
ON_SELLER = (
    S.SELLER_NOTIFIED,
    S.NEGOTIATING,
    S.AWAITING_INSPECTION,
    S.AWAITING_PERFORMANCE,
    S.AWAITING_EVIDENCE,
    S.DECIDED,
)
FIT = (g.no_interest,)
HEARS = (g.no_interest, g.refund_not_failed, g.may_hear_appeal)
#: Neither an appeal nor a payment of unknown fate is in the way.
FREE = (g.not_under_appeal, g.refund_not_failed)

Leg = tuple[Condition, CaseState]
RETURN: Leg = (g.return_is_next, S.AWAITING_RETURN)
PERFORM: Leg = (g.performance_is_next, S.AWAITING_PERFORMANCE)
PAY: Leg = (g.money_is_next, S.REFUND)
END: Leg = (g.nothing_is_next, S.CLOSED)
GRANTED = (RETURN, PERFORM, PAY)


def _to_next_leg(
    action: str,
    by: tuple[Role, ...],
    source: tuple[CaseState, ...],
    legs: tuple[Leg, ...],
    *,
    guards: tuple[Guard, ...] = (),
    when: tuple[Condition, ...] = (),
) -> tuple[Step, ...]:
    """A row for each leg that can be next: legs are done in the order return, performance, refund."""
    return tuple(Step(action, by, source, state, guards, (*when, is_next)) for is_next, state in legs)


def _back_from_evidence(action: str, by: tuple[Role, ...], guards: tuple[Guard, ...] = ()) -> tuple[Step, ...]:
    """Rows back to where evidence was asked for."""
    return (
        Step(action, by, (S.AWAITING_EVIDENCE,), S.UNDER_REVIEW, guards, (g.asked_in_review,)),
        Step(action, by, (S.AWAITING_EVIDENCE,), S.ESCALATED, guards, (g.asked_in_escalation,)),
    )


NEGOTIATION: tuple[Step, ...] = (
    Step("notify_seller", (PLATFORM, MEDIATOR, CLOCK), (S.OPENED,), S.SELLER_NOTIFIED),
    *_to_next_leg("agree", (SELLER,), (*TALKS, S.UNDER_REVIEW), GRANTED),
    *_to_next_leg("agree", (SELLER,), (S.AWAITING_EVIDENCE, S.ESCALATED), GRANTED, guards=FREE),
    *_to_next_leg("agree", (CLOCK,), (S.SELLER_NOTIFIED,), GRANTED),
    Step("refuse", (SELLER,), (S.SELLER_NOTIFIED,), S.SELLER_REFUSED),
    Step("offer", PARTIES, TALKS, S.NEGOTIATING, guards=(g.no_proposal_open, g.counter_offers_left)),
    *_to_next_leg(
        "accept_offer",
        PARTIES,
        (S.NEGOTIATING,),
        GRANTED,
        guards=(g.offer_is_the_others, g.proposal_not_yet_accepted),
        when=(g.binds,),
    ),
    Step(
        "accept_offer",
        PARTIES,
        (S.NEGOTIATING,),
        SAME,
        guards=(g.offer_is_the_others, g.proposal_not_yet_accepted),
        when=(g.other_side_is_awaited,),
    ),
    Step(
        "decline_offer",
        PARTIES,
        (S.NEGOTIATING,),
        S.SELLER_REFUSED,
        guards=(g.offer_is_the_others, g.proposal_not_yet_accepted),
        when=(g.is_offer,),
    ),
    Step(
        "decline_offer",
        PARTIES,
        (S.NEGOTIATING,),
        S.UNDER_REVIEW,
        guards=(g.offer_is_the_others, g.proposal_not_yet_accepted),
        when=(g.is_proposal,),
    ),
    Step("expire_offer", (CLOCK,), (S.NEGOTIATING,), S.UNDER_REVIEW),
    Step("request_mediation", (BUYER,), (S.SELLER_REFUSED, S.NEGOTIATING), S.UNDER_REVIEW),
    Step(
        "request_mediation",
        (SELLER,),
        (S.SELLER_REFUSED, S.NEGOTIATING),
        S.UNDER_REVIEW,
        guards=(g.an_offer_was_made,),
    ),
    Step("request_mediation", (CLOCK,), (*TALKS, S.AWAITING_INSPECTION), S.UNDER_REVIEW),
    Step(
        "withdraw",
        (BUYER,),
        (S.OPENED, *TALKS, *PERFORMING, *REVIEWED, S.SUSPENDED),
        S.CLOSED,
        guards=(g.no_decision_issued, g.refund_not_failed),
    ),
    Step("lapse", (CLOCK,), (S.SELLER_REFUSED, S.AWAITING_RETURN), S.CLOSED),
)

PERFORMANCE: tuple[Step, ...] = (
    Step("ship_return", (BUYER,), (S.AWAITING_RETURN,), S.AWAITING_INSPECTION),
    *_to_next_leg("confirm_return", (SELLER,), (S.AWAITING_INSPECTION,), (PERFORM, PAY)),
    *_to_next_leg("conclude_inspection", (CLOCK,), (S.AWAITING_INSPECTION,), (PERFORM, PAY)),
    Step("dispute_return", (SELLER,), (S.AWAITING_INSPECTION,), S.UNDER_REVIEW),
    Step("perform", (SELLER,), (S.AWAITING_PERFORMANCE,), SAME, guards=(g.not_performed,)),
    *_to_next_leg("confirm_performance", (BUYER,), (S.AWAITING_PERFORMANCE,), (PAY, END), guards=(g.performed,)),
    *_to_next_leg("conclude_performance", (CLOCK,), (S.AWAITING_PERFORMANCE,), (PAY, END), guards=(g.performed,)),
    Step("dispute_performance", (BUYER,), (S.AWAITING_PERFORMANCE,), S.UNDER_REVIEW, guards=(g.performed,)),
    Step("refund_in_place", (CLOCK,), (S.AWAITING_PERFORMANCE,), S.REFUND, guards=(g.not_performed,)),
)

MEDIATION: tuple[Step, ...] = (
    Step("take", (MEDIATOR,), (S.UNDER_REVIEW,), SAME, guards=(*FIT, g.free_to_take)),
    Step("take", SENIORS, (S.ESCALATED,), SAME, guards=(*FIT, g.may_hear_appeal, g.free_to_take)),
    Step("release", (MEDIATOR,), (S.UNDER_REVIEW,), SAME, guards=(g.has_the_case,)),
    Step("release", SENIORS, (S.ESCALATED,), SAME, guards=(g.has_the_case,)),
    Step("hand_over", (MEDIATOR,), (S.UNDER_REVIEW,), SAME, guards=(g.has_the_case,)),
    Step("hand_over", SENIORS, (S.ESCALATED,), SAME, guards=(g.has_the_case,)),
    Step("propose", (MEDIATOR,), (S.UNDER_REVIEW,), S.NEGOTIATING, guards=(*FIT, g.not_with_another)),
    Step("request_evidence", (MEDIATOR,), (S.UNDER_REVIEW,), S.AWAITING_EVIDENCE, guards=FIT),
    Step("request_evidence", SENIORS, (S.ESCALATED,), S.AWAITING_EVIDENCE, guards=HEARS),
    *_back_from_evidence("evidence_complete", (SYSTEM,)),
    *_back_from_evidence("end_evidence_request", REVIEWERS, (*FIT, g.may_hear_appeal)),
    *_back_from_evidence("default_evidence", (CLOCK,)),
    Step("extend", REVIEWERS, ON_PARTIES, SAME, guards=FIT),
    Step("remind_seller", (MEDIATOR, PLATFORM), ON_SELLER, SAME, guards=(g.waits_on_seller,)),
    Step(
        "refund_now",
        REVIEWERS,
        (S.SELLER_NOTIFIED, S.SELLER_REFUSED, S.AWAITING_INSPECTION, S.UNDER_REVIEW, S.ESCALATED),
        S.REFUND,
        guards=(*FIT, *FREE),
    ),
    Step("escalate", (MEDIATOR, CLOCK), (S.UNDER_REVIEW,), S.ESCALATED),
    Step("raise_level", (CLOCK,), (S.ESCALATED,), SAME),
    Step(
        "decide",
        (MEDIATOR,),
        (S.UNDER_REVIEW,),
        S.DECIDED,
        guards=(*FIT, g.not_with_another),
        when=(g.within_authority,),
    ),
    Step(
        "decide",
        (MEDIATOR,),
        (S.UNDER_REVIEW,),
        S.ESCALATED,
        guards=(*FIT, g.not_with_another),
        when=(g.above_authority,),
    ),
    Step("decide", SENIORS, (S.ESCALATED,), S.DECIDED, guards=HEARS),
    Step(
        "approve",
        SENIORS,
        (S.ESCALATED,),
        S.DECIDED,
        guards=(*FIT, g.decision_pending, g.not_own_pending_decision),
    ),
    Step(
        "return_to_mediator",
        SENIORS,
        (S.ESCALATED,),
        S.UNDER_REVIEW,
        guards=(*FIT, *FREE, g.not_own_pending_decision),
    ),
    Step("suspend", REVIEWERS, SUSPENDABLE, S.SUSPENDED, guards=(*FIT, g.refund_not_failed)),
    *(Step("resume", (*REVIEWERS, CLOCK), (S.SUSPENDED,), state, FIT, (g.stood_in(state),)) for state in SUSPENDABLE),
)

AFTERWARDS: tuple[Step, ...] = (
    Step("accept_decision", PARTIES, (S.DECIDED,), SAME, guards=(g.not_yet_accepted,)),
    Step(
        "appeal",
        PARTIES,
        (S.DECIDED,),
        S.ESCALATED,
        guards=(g.not_yet_accepted, g.not_yet_appealed, g.within_appeal_window),
    ),
    Step(
        "appeal",
        PARTIES,
        (S.ESCALATED,),
        SAME,
        guards=(g.under_appeal, g.not_yet_accepted, g.not_yet_appealed, g.within_appeal_window),
    ),
    *_to_next_leg("finalise", (CLOCK, SYSTEM), (S.DECIDED,), (*GRANTED, END)),
    Step("settle_refund", (GATEWAY, SYSTEM), (S.REFUND,), S.REFUNDED),
    Step("settle_refund", (GATEWAY, SYSTEM), (S.ESCALATED,), S.REFUNDED, guards=(g.refund_failed,)),
    Step("fail_refund", (GATEWAY, SYSTEM, CLOCK), (S.REFUND,), S.ESCALATED),
    Step("retry_refund", SENIORS, (S.ESCALATED,), S.REFUND, guards=(*FIT, g.refund_failed)),
    Step("settle_elsewhere", SENIORS, (S.ESCALATED,), S.REFUNDED, guards=(*FIT, g.refund_failed)),
)

STEPS: tuple[Step, ...] = (*NEGOTIATION, *PERFORMANCE, *MEDIATION, *AFTERWARDS)
