"""Walking through everything that can become of a case: who can try what where, and all the situations it leads to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from tests.workflows.cases import act
from tests.workflows.life import GRANTED, NOTHING, Life, Situation, look_at_window, owing, take
from workflows import procedure
from workflows.acts import Act
from workflows.deadlines import DeadlineKind
from workflows.refusals import Refused
from workflows.steps import STEPS

#: Everyone who may try something: two mediators and two seniors, so that nobody is barred from everything, and one
#: mediator who is a senior as well.
CAST: tuple[tuple[str, dict[str, Any]], ...] = (
    ("buyer", {}),
    ("seller", {}),
    ("mediator", {}),
    ("mediator", {"subject": "max"}),
    ("senior", {}),
    ("senior", {"subject": "mia"}),
    ("supervisor", {}),
    ("platform", {}),
    ("admin", {}),
    ("clock", {}),
    ("gateway", {}),
    ("system", {}),
)
SMALL, LARGE = {"amount_minor": 100, "authority_minor": 500}, {"amount_minor": 501, "authority_minor": 500}
_TO = {"mediator": {"mia": "max", "max": "mia"}, "senior": {"sam": "mia", "mia": "sam"}, "supervisor": {"vera": "sam"}}


def facts_of(life: Life, action: str, role: str, subject: str) -> Iterator[dict[str, Any]]:
    """Every kind of facts with which the application can take this action of this person here."""
    if action in ("agree", "accept_offer"):
        yield from ({"legs": legs} for legs in GRANTED)
    elif action == "finalise":
        yield from ({"legs": legs} for legs in (*GRANTED, NOTHING))
    elif action == "accept_decision":
        last = life.accepted_by_seller if role == "buyer" else life.accepted_by_buyer
        yield from ({"legs": legs} for legs in ((*GRANTED, NOTHING) if last else (NOTHING,)))
    elif action == "decide":
        # A second decision is final at once and so leads to its legs.
        final = (*GRANTED, NOTHING) if life.escalation_reason == "appeal" else (NOTHING,)
        sums = (SMALL, LARGE) if role == "mediator" else (SMALL,)
        yield from ({**ordered, "legs": legs} for ordered in sums for legs in final)
    elif action in ("confirm_return", "conclude_inspection", "confirm_performance", "conclude_performance"):
        yield {"legs": life.legs[1:]}
    elif action == "request_evidence":
        yield from ({"from": sides} for sides in (("buyer",), ("seller",), ("buyer", "seller")))
    elif action == "hand_over":
        yield {"to": _TO[role][subject]}
    else:
        yield {}


def trials(life: Life, action: str, role: str) -> Iterator[Act]:
    """Every act by which somebody of this role can try the action here."""
    for other in _OTHERS[role]:
        subject = act(role, {}, **other).actor.subject
        for facts in facts_of(life, action, role, subject):
            yield act(role, facts, **other)


_OTHERS: dict[str, list[dict[str, Any]]] = {}
for _role, _other in CAST:
    _OTHERS.setdefault(_role, []).append(_other)


def happenings(life: Life) -> Iterator[Life]:
    """What comes of things that happen to a case without a step: an item of evidence shown, a window that closes."""
    waits = life.state == "awaiting_evidence"
    if waits or (life.state == "suspended" and life.suspended_from == "awaiting_evidence"):
        for side in ("buyer", "seller"):
            # While the case rests nothing goes back by itself: the last answer shows when it is resumed.
            if getattr(life, f"evidence_of_{side}") and (owing(life) == 2 or not waits):
                shown = Life(*life.situation())
                setattr(shown, f"evidence_of_{side}", False)
                yield shown
    if dict(life.running).get(DeadlineKind.APPEAL, "") is None and not life.window_over:
        late = Life(*life.situation())
        late.window_over = True
        look_at_window(late)
        yield late


# --- walking through all of it -----------------------------------------------------------------------------------


class Edge(NamedTuple):
    """A step that was taken, by whom, and the situation it led to; no action for what happened by itself."""

    action: str
    role: str
    subject: str
    there: Situation


Try = tuple[str, str, str]


class Reached(NamedTuple):
    """Every situation that can be reached, with the steps out of it, and what came of each try: None, or its refusal.

    A try is (action, role, subject), by everyone whose role is named for the action in that state.
    """

    edges: dict[Situation, list[Edge]]
    told: dict[Situation, dict[Try, str | None]]

    def lives(self) -> Iterator[Life]:
        """Each situation as a case of its own."""
        return (Life(*one) for one in self.edges)


HAPPENED = "-"


def rows_of(state: str) -> list[tuple[str, str]]:
    """(action, role) of every row that starts in this state."""
    found = [(step.action, role.value) for step in STEPS if state in step.source for role in step.by]
    return list(dict.fromkeys(found))


def explore() -> Reached:
    """Walk through everything that can become of a case. On the way, what is refused must leave the case untouched."""
    first = Life.begun().situation()
    reached = Reached({first: []}, {})
    rows = {state.value: rows_of(state.value) for state in procedure.CaseState}
    waiting = [first]
    while waiting:
        here = waiting.pop()
        reached.told[here] = {}
        for action, role in rows[str(Life(*here).state)]:
            for trial in trials(Life(*here), action, role):
                _try(reached, here, action, trial)
        reached.edges[here] += [
            Edge(HAPPENED, HAPPENED, HAPPENED, life.situation()) for life in happenings(Life(*here))
        ]
        fresh = {edge.there for edge in reached.edges[here] if edge.there not in reached.edges}
        reached.edges.update({there: [] for there in fresh})
        waiting += fresh
    return reached


def _try(reached: Reached, here: Situation, action: str, trial: Act) -> None:
    life, name = Life(*here), (action, trial.actor.role.value, trial.actor.subject)
    try:
        take(life, action, trial)
        code = None
        reached.edges[here].append(Edge(*name, life.situation()))
    except Refused as refused:
        code = refused.code
        assert life.situation() == here, (name, here)
    # Facts choose between rows; whether a step is open they never decide.
    assert reached.told[here].setdefault(name, code) == code, (name, here)
