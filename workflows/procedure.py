"""The whole procedure as one table, and the one machine that obeys it.

Reading STEPS is reading the behaviour: nothing outside it moves a case. Only `mediation.docket` may import this
module. States and actions are those of docs/lifecycle.md; a row is tried in the order in which it stands here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import cast

from transitions import EventData, Machine

from workflows import guards as g
from workflows.acts import Act, Actor, CaseLike
from workflows.refusals import NotPermitted, Refused, WrongState
from workflows.states import FINAL_STATES, CaseState, EscalationReason, Queue, Role, Side, View, WaitingOn

logging.getLogger("transitions").setLevel(logging.WARNING)

Guard = Callable[[CaseLike, Act], None]
Condition = Callable[[CaseLike, Act], bool]

BUYER, SELLER, MEDIATOR = Role.BUYER, Role.SELLER, Role.MEDIATOR
PLATFORM, CLOCK, GATEWAY, SYSTEM = Role.PLATFORM, Role.CLOCK, Role.GATEWAY, Role.SYSTEM
SENIORS = (Role.SENIOR, Role.SUPERVISOR)  # a supervisor may do all a senior may

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
UNDECIDED = (S.OPENED, *TALKS, S.UNDER_REVIEW, S.ESCALATED)
FIT = (g.no_interest,)
HEARS = (g.no_interest, g.refund_not_failed, g.may_hear_appeal)

STEPS: tuple[Step, ...] = (
    # negotiation
    Step("notify_seller", (PLATFORM, MEDIATOR, CLOCK), (S.OPENED,), S.SELLER_NOTIFIED),
    Step("agree", (SELLER,), (*TALKS, S.UNDER_REVIEW), S.REFUND, when=(g.money_is_next,)),
    Step(
        "agree",
        (SELLER,),
        (S.ESCALATED,),
        S.REFUND,
        guards=(g.not_under_appeal, g.refund_not_failed),
        when=(g.money_is_next,),
    ),
    Step("agree", (CLOCK,), TALKS, S.REFUND, when=(g.money_is_next,)),
    Step("refuse", (SELLER,), (S.SELLER_NOTIFIED,), S.SELLER_REFUSED),
    Step("offer", (SELLER, BUYER), TALKS, S.NEGOTIATING, guards=(g.counter_offers_left,)),
    Step(
        "accept_offer",
        (BUYER, SELLER),
        (S.NEGOTIATING,),
        S.REFUND,
        guards=(g.offer_is_the_others,),
        when=(g.money_is_next,),
    ),
    Step("decline_offer", (BUYER, SELLER), (S.NEGOTIATING,), S.SELLER_REFUSED, guards=(g.offer_is_the_others,)),
    Step("request_mediation", (BUYER,), (S.SELLER_REFUSED, S.NEGOTIATING), S.UNDER_REVIEW),
    Step(
        "request_mediation",
        (SELLER,),
        (S.SELLER_REFUSED, S.NEGOTIATING),
        S.UNDER_REVIEW,
        guards=(g.an_offer_was_made,),
    ),
    Step("request_mediation", (CLOCK,), TALKS, S.UNDER_REVIEW),
    Step(
        "withdraw",
        (BUYER,),
        UNDECIDED,
        S.CLOSED,
        guards=(g.no_decision_issued, g.refund_not_failed),
    ),
    # mediation
    Step("take", (MEDIATOR,), (S.UNDER_REVIEW,), SAME, guards=(*FIT, g.free_to_take)),
    Step("take", SENIORS, (S.ESCALATED,), SAME, guards=(*FIT, g.may_hear_appeal, g.free_to_take)),
    Step("release", (MEDIATOR,), (S.UNDER_REVIEW,), SAME, guards=(g.has_the_case,)),
    Step("release", SENIORS, (S.ESCALATED,), SAME, guards=(g.has_the_case,)),
    Step("escalate", (MEDIATOR, CLOCK), (S.UNDER_REVIEW,), S.ESCALATED),
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
        guards=(*FIT, g.not_under_appeal, g.refund_not_failed),
    ),
    # after a decision
    Step("accept_decision", (BUYER, SELLER), (S.DECIDED,), SAME, guards=(g.not_yet_accepted,)),
    Step("appeal", (BUYER, SELLER), (S.DECIDED,), S.ESCALATED, guards=(g.not_yet_accepted, g.not_yet_appealed)),
    Step(
        "appeal",
        (BUYER, SELLER),
        (S.ESCALATED,),
        SAME,
        guards=(g.under_appeal, g.not_yet_accepted, g.not_yet_appealed),
    ),
    Step("finalise", (CLOCK, SYSTEM), (S.DECIDED,), S.REFUND, when=(g.money_is_next,)),
    Step("finalise", (CLOCK, SYSTEM), (S.DECIDED,), S.CLOSED, when=(g.nothing_is_next,)),
    # execution
    Step("settle_refund", (GATEWAY, SYSTEM), (S.REFUND,), S.REFUNDED),
    Step("settle_refund", (GATEWAY, SYSTEM), (S.ESCALATED,), S.REFUNDED, guards=(g.refund_failed,)),
    Step("fail_refund", (GATEWAY, SYSTEM, CLOCK), (S.REFUND,), S.ESCALATED),
    Step("retry_refund", SENIORS, (S.ESCALATED,), S.REFUND, guards=(*FIT, g.refund_failed)),
    Step("settle_elsewhere", SENIORS, (S.ESCALATED,), S.REFUNDED, guards=(*FIT, g.refund_failed)),
)

ACTIONS: tuple[str, ...] = tuple(dict.fromkeys(step.action for step in STEPS))
_BY_ACTION: dict[str, tuple[Step, ...]] = {
    action: tuple(step for step in STEPS if step.action == action) for action in ACTIONS
}
_ROLES_OF: dict[str, frozenset[Role]] = {
    action: frozenset(role for step in steps for role in step.by) for action, steps in _BY_ACTION.items()
}


def _machine() -> Machine:
    """One machine for all cases: it holds no model, so it is cheap to fire and safe between threads."""
    machine = Machine(
        model=None,
        states=[state.value for state in CaseState],
        initial=CaseState.OPENED.value,
        auto_transitions=False,
        send_event=True,
        queued=False,
    )
    for step in STEPS:
        machine.add_transition(
            step.action,
            [state.value for state in step.source],
            "=" if step.target is SAME else step.target.value,
            conditions=[_chooses(step)],
            before=[_guards(step)],
        )
    return machine


def _case_and_act(event: EventData) -> tuple[CaseLike, Act]:
    args = cast(tuple[Act], event.args)
    return cast(CaseLike, event.model), args[0]


def _chooses(step: Step) -> Callable[[EventData], bool]:
    def chooses(event: EventData) -> bool:
        case, act = _case_and_act(event)
        return act.actor.role in step.by and all(condition(case, act) for condition in step.when)

    return chooses


def _guards(step: Step) -> Callable[[EventData], None]:
    def guard(event: EventData) -> None:
        case, act = _case_and_act(event)
        for check in step.guards:
            check(case, act)

    return guard


MACHINE = _machine()


def require_role(action: str, role: Role) -> None:
    """Raises NotPermitted if no row of the table names this role for the action."""
    if role not in _ROLES_OF[action]:
        raise NotPermitted("not_permitted", role=role.value, action=action)


def require_state(case: CaseLike, action: str, act: Act) -> None:
    """Raises WrongState if no row lets this role take the action from where the case stands."""
    if not _rows(case, action, act.actor.role):
        raise WrongState(action=action, state=case.state, possible=possible_actions(case, act))


def _rows(case: CaseLike, action: str, role: Role) -> list[Step]:
    return [step for step in _BY_ACTION[action] if case.state in step.source and role in step.by]


def possible_actions(case: CaseLike, act: Act) -> tuple[str, ...]:
    """The actions that nothing stands against now, short of what their bodies may bring."""
    return tuple(action for action, refusal in options(case, act.actor, act) if refusal is None)


def fire(case: CaseLike, action: str, act: Act) -> str:
    """Move the case by one act and return the state it came from.

    Raises NotPermitted (the role, or the person, may not), WrongState (not from here), Refused (a guard's rule).
    On any of them the case is as it was.
    """
    require_role(action, act.actor.role)
    g.is_party(case, act)
    require_state(case, action, act)
    came_from = case.state
    moved: bool = MACHINE.events[action].trigger(case, act)
    if not moved:
        # No row's conditions hold: the facts ask for a leg that has no state, which operations refuse beforehand.
        raise WrongState(action=action, state=case.state, possible=possible_actions(case, act))
    return came_from


def options(case: CaseLike, actor: Actor, act: Act) -> Iterator[tuple[str, Refused | None]]:
    """Every action this role can ever take, with what stands against it now (None: nothing does)."""
    for action in ACTIONS:
        if actor.role not in _ROLES_OF[action]:
            continue
        if not _rows(case, action, actor.role):
            yield action, WrongState(action=action, state=case.state, possible=())
            continue
        yield action, standing_refusal(case, action, act)


def standing_refusal(case: CaseLike, action: str, act: Act) -> Refused | None:
    """What the guards of the action's row say, before any body is known.

    The rows of one action, state and role differ in their conditions only, so the first one's guards speak for all.
    """
    try:
        g.is_party(case, act)
        for guard in _rows(case, action, act.actor.role)[0].guards:
            guard(case, act)
    except Refused as refused:
        return refused
    return None


# --- what follows from where a case stands -----------------------------------------------------------------------

_WAITS_ON: dict[CaseState, WaitingOn] = {
    S.OPENED: WaitingOn.PLATFORM,
    S.SELLER_NOTIFIED: WaitingOn.SELLER,
    S.SELLER_REFUSED: WaitingOn.BUYER,
    S.UNDER_REVIEW: WaitingOn.MEDIATOR,
    S.REFUND: WaitingOn.PLATFORM,
}


def waiting_on(case: CaseLike) -> WaitingOn | None:
    """Who must act next; None once the case is final."""
    state = CaseState(case.state)
    if state in FINAL_STATES:
        return None
    if state is S.NEGOTIATING and case.open_offer_by is not None:
        return WaitingOn(Side(case.open_offer_by).other.value)
    if state is S.ESCALATED:
        return WaitingOn.SUPERVISOR if case.level >= 2 else WaitingOn.SENIOR
    if state is S.DECIDED:
        if case.accepted_by_buyer:
            return WaitingOn.SELLER
        return WaitingOn.BUYER if case.accepted_by_seller else WaitingOn.BOTH
    return _WAITS_ON[state]


def queue(case: CaseLike) -> Queue | None:
    """The staff queue in which the case lies, if any."""
    if case.state == S.UNDER_REVIEW:
        return Queue.MEDIATION
    if case.state != S.ESCALATED:
        return None
    if case.escalation_reason == EscalationReason.APPEAL:
        return Queue.APPEALS
    if case.escalation_reason == EscalationReason.REFUND_FAILED:
        return Queue.FAILED_REFUNDS
    return Queue.APPROVALS if case.pending_decision_by is not None else Queue.ESCALATIONS


def view_for(case: CaseLike, actor: Actor) -> View:
    """What the case means to this reader: whether they must act, may appeal, or wait."""
    if case.state in FINAL_STATES:
        return View.RESOLVED
    side = actor.side
    waits = waiting_on(case)
    if side is None:
        staff_waits = {WaitingOn.MEDIATOR, WaitingOn.SENIOR, WaitingOn.SUPERVISOR}
        mine = waits is not None and waits.value == actor.role.value
        return (
            View.ACTION_REQUIRED
            if mine
            else (View.UNDER_PLATFORM_REVIEW if waits in staff_waits else View.WAITING_OTHER_PARTY)
        )
    if case.state == S.DECIDED:
        accepted = case.accepted_by_buyer if side is Side.BUYER else case.accepted_by_seller
        return View.WAITING_OTHER_PARTY if accepted else View.APPEALABLE
    if waits is not None and waits.value == side.value:
        return View.ACTION_REQUIRED
    if waits is not None and waits.value == side.other.value:
        return View.WAITING_OTHER_PARTY
    return View.UNDER_PLATFORM_REVIEW
