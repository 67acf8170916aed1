"""The one machine that obeys the table of `workflows.steps`. Only `mediation.docket` may import this module."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from functools import cache
from typing import cast

from transitions import EventData, Machine

from workflows import guards as g
from workflows.acts import Act, Actor, CaseLike
from workflows.refusals import NotPermitted, Refused, WrongState
from workflows.states import CaseState, Role
from workflows.steps import SAME, STEPS, Guard, Step

logging.getLogger("transitions").setLevel(logging.WARNING)

ACTIONS: tuple[str, ...] = tuple(dict.fromkeys(step.action for step in STEPS))
_BY_ACTION: dict[str, tuple[Step, ...]] = {
    action: tuple(step for step in STEPS if step.action == action) for action in ACTIONS
}
_ROLES_OF: dict[str, frozenset[Role]] = {
    action: frozenset(role for step in steps for role in step.by) for action, steps in _BY_ACTION.items()
}
_ACTIONS_OF: dict[Role, tuple[str, ...]] = {
    role: tuple(action for action in ACTIONS if role in _ROLES_OF[action]) for role in Role
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
    if not _rows(case.state, action, act.actor.role):
        raise WrongState(action=action, state=case.state, possible=possible_actions(case, act))


@cache
def _rows(state: str, action: str, role: Role) -> tuple[Step, ...]:
    """The rows of the table for this action of this role in this state; asked for a dozen times in each request."""
    return tuple(step for step in _BY_ACTION[action] if state in step.source and role in step.by)


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
        # No row's conditions hold, and every set of facts that an operation brings has its row.
        raise WrongState(action=action, state=case.state, possible=possible_actions(case, act))
    return came_from


def options(case: CaseLike, actor: Actor, act: Act) -> Iterator[tuple[str, Refused | None]]:
    """Every action this role can ever take, with what stands against it now (None: nothing does)."""
    said: dict[Guard, Refused | None] = {}
    for action in _ACTIONS_OF[actor.role]:
        guards = _standing_guards(case.state, action, actor.role)
        if guards is None:
            yield action, WrongState(action=action, state=case.state, possible=())
        else:
            yield action, _first_refusal(guards, case, act, said)


def standing_refusal(case: CaseLike, action: str, act: Act) -> Refused | None:
    """What the guards of the action's row say, before any body is known."""
    guards = _standing_guards(case.state, action, act.actor.role)
    assert guards is not None, "the state was looked at before"
    return _first_refusal(guards, case, act, {})


@cache
def _standing_guards(state: str, action: str, role: Role) -> tuple[Guard, ...] | None:
    """The guards of an action, in their order; None if there is no row for it.

    The rows of one action, state and role differ in their conditions only, so the first one's guards speak for all.
    """
    rows = _rows(state, action, role)
    return (g.is_party, *rows[0].guards) if rows else None


def _first_refusal(
    guards: tuple[Guard, ...], case: CaseLike, act: Act, said: dict[Guard, Refused | None]
) -> Refused | None:
    """The first of the guards that refuses; none is asked twice, `said` being what they have answered so far."""
    for guard in guards:
        if guard not in said:
            said[guard] = _answer(guard, case, act)
        if said[guard] is not None:
            return said[guard]
    return None


def _answer(guard: Guard, case: CaseLike, act: Act) -> Refused | None:
    try:
        guard(case, act)
    except Refused as refused:
        return refused
    return None
