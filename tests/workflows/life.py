"""A case and all that goes with each of its steps in the application, without a database, told once more and briefly.

`mediation.operations` is where each step's consequences are written; here they stand again, from the contract, so that
every situation of a case can be walked through. What differs without making a difference is kept as one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.workflows.cases import JUST_OVER, STILL_OPEN, PlainCase, act
from workflows import deadlines, procedure
from workflows.acts import Act
from workflows.deadlines import DeadlineKind
from workflows.states import Role

TALKS = ("seller_notified", "negotiating", "seller_refused")
FINAL = ("refunded", "closed")
#: What an agreement, an offer or a decision can come to: legs in their fixed order.
GRANTED = (
    ("refund",),
    ("return", "refund"),
    ("return", "performance"),
    ("performance",),
    ("performance", "refund"),
    ("return", "performance", "refund"),
)
NOTHING: tuple[str, ...] = ()

Clocks = tuple[tuple[DeadlineKind, str | None], ...]
Situation = tuple[Any, ...]


@dataclass
class Life(PlainCase):
    """A case with what is kept beside it: the legs still to be done, and its clocks by kind with what each fires.

    `decided_in_round` counts the decisions issued since the case was opened or last quarrelled over, `window_over` says
    that the other side's time to appeal has run out while an appeal is heard.
    """

    legs: tuple[str, ...] = ()
    decided_in_round: int = 0
    window_over: bool = False
    running: Clocks = ()
    paused: Clocks = ()

    @classmethod
    def begun(cls) -> Life:
        """A case just opened."""
        life = cls()
        _count(life, "open", None)
        return life

    def situation(self) -> Situation:
        """All that can make a difference, in a form that can be remembered."""
        return tuple(vars(self).values())


# --- what goes with each step ------------------------------------------------------------------------------------


def _no_offer(life: Life) -> None:
    life.open_offer_by = None
    life.proposal_accepted_by_buyer = life.proposal_accepted_by_seller = False


def _nothing_asked(life: Life) -> None:
    life.evidence_from, life.evidence_of_buyer, life.evidence_of_seller = None, False, False


def _lowered(life: Life) -> None:
    life.escalation_reason, life.level = None, 0


def _new_round(life: Life) -> None:
    life.appealed_by_buyer = life.appealed_by_seller = life.accepted_by_buyer = life.accepted_by_seller = False
    life.decided_in_round = 0
    _lowered(life)


def _granted(life: Life, done: Act) -> None:
    """Both sides are of one mind, or one is silent: the first leg begins."""
    _no_offer(life)
    _nothing_asked(life)
    _lowered(life)
    life.assignee = life.pending_decision_by = None
    life.legs, life.performed = tuple(done.facts["legs"]), False


def _offered(life: Life, done: Act) -> None:
    _no_offer(life)
    side = done.actor.role.value
    if life.offers_made:
        # One counter-offer stands for all three, which keeps the number of situations small.
        setattr(life, f"counter_offers_{side}", 3)
    life.offers_made, life.open_offer_by = 1, side


def _proposed(life: Life, done: Act) -> None:
    _no_offer(life)
    life.offers_made, life.open_offer_by, life.assignee = 1, "mediator", done.actor.subject


def _accepted_offer(life: Life, done: Act) -> None:
    if life.state == "negotiating":
        setattr(life, f"proposal_accepted_by_{done.actor.role.value}", True)
    else:
        _granted(life, done)


def _called_in(life: Life, done: Act) -> None:
    _no_offer(life)
    _new_round(life)
    life.legs = ()


def _withdrawn(life: Life, done: Act) -> None:
    _no_offer(life)
    _nothing_asked(life)
    _lowered(life)
    life.suspended_from = life.pending_decision_by = None
    life.legs = ()


def _next_leg(life: Life, done: Act) -> None:
    life.legs, life.performed = tuple(done.facts["legs"]), False


def _quarrelled(life: Life, done: Act) -> None:
    _new_round(life)
    life.legs, life.performed = (), False


def _paid_in_place(life: Life, done: Act) -> None:
    life.legs, life.performed = ("refund",), False


def _refunded_now(life: Life, done: Act) -> None:
    _new_round(life)
    _nothing_asked(life)
    life.legs, life.assignee, life.pending_decision_by = ("refund",), None, None


def _passed_up(life: Life, reason: str) -> None:
    life.assignee, life.level, life.escalation_reason = None, 1, reason


def _escalated(life: Life, done: Act) -> None:
    # One reason stands for all that a mediator can state.
    _passed_up(life, "no_mediator_decision" if done.actor.role is Role.CLOCK else "complex")


def _raised(life: Life, done: Act) -> None:
    life.level = min(life.level + 1, 2)  # All levels above the first are the supervisors'.


def _decided(life: Life, done: Act) -> None:
    if life.state == "escalated":
        _passed_up(life, "amount_over_authority")
        life.pending_decision_by = done.actor.subject
    else:
        _issued(life, done.actor.subject, None)


def _approved(life: Life, done: Act) -> None:
    _issued(life, str(life.pending_decision_by), done.actor.subject)


def _issued(life: Life, by: str, approved_by: str | None) -> None:
    life.decisions_issued, life.decided_in_round = 1, life.decided_in_round + 1
    life.decided_by, life.approved_by, life.assignee = by, approved_by, by
    life.pending_decision_by = None
    life.accepted_by_buyer = life.accepted_by_seller = False
    _lowered(life)


def _returned(life: Life, done: Act) -> None:
    life.assignee, life.pending_decision_by = life.pending_decision_by, None
    _lowered(life)


def _accepted_decision(life: Life, done: Act) -> None:
    setattr(life, f"accepted_by_{done.actor.role.value}", True)


def _finalised(life: Life, done: Act) -> None:
    life.assignee, life.legs, life.performed = None, tuple(done.facts["legs"]), False


def _appealed(life: Life, done: Act) -> None:
    setattr(life, f"appealed_by_{done.actor.role.value}", True)
    life.assignee = life.assignee if life.escalation_reason == "appeal" else None
    life.escalation_reason, life.level = "appeal", max(1, life.level)


def _asked(life: Life, done: Act) -> None:
    sides = done.facts["from"]
    life.evidence_of_buyer, life.evidence_of_seller = "buyer" in sides, "seller" in sides


def _retried(life: Life, done: Act) -> None:
    _lowered(life)
    life.assignee = None


def _settled(life: Life, done: Act) -> None:
    _lowered(life)


FOLLOWS: dict[str, Callable[[Life, Act], None]] = {
    "agree": _granted,
    "offer": _offered,
    "accept_offer": _accepted_offer,
    "decline_offer": lambda life, done: _no_offer(life),
    "expire_offer": lambda life, done: _no_offer(life),
    "propose": _proposed,
    "request_mediation": _called_in,
    "withdraw": _withdrawn,
    "lapse": lambda life, done: setattr(life, "legs", ()),
    "confirm_return": _next_leg,
    "conclude_inspection": _next_leg,
    "dispute_return": _quarrelled,
    "perform": lambda life, done: setattr(life, "performed", True),
    "confirm_performance": _next_leg,
    "conclude_performance": _next_leg,
    "dispute_performance": _quarrelled,
    "refund_in_place": _paid_in_place,
    "refund_now": _refunded_now,
    "take": lambda life, done: setattr(life, "assignee", done.actor.subject),
    "release": lambda life, done: setattr(life, "assignee", None),
    "hand_over": lambda life, done: setattr(life, "assignee", done.facts["to"]),
    "request_evidence": _asked,
    "evidence_complete": lambda life, done: _nothing_asked(life),
    "end_evidence_request": lambda life, done: _nothing_asked(life),
    "default_evidence": lambda life, done: _nothing_asked(life),
    "escalate": _escalated,
    "raise_level": _raised,
    "decide": _decided,
    "approve": _approved,
    "return_to_mediator": _returned,
    "accept_decision": _accepted_decision,
    "finalise": _finalised,
    "appeal": _appealed,
    "fail_refund": lambda life, done: _passed_up(life, "refund_failed"),
    "retry_refund": _retried,
    "settle_refund": _settled,
    "settle_elsewhere": _settled,
    "resume": lambda life, done: setattr(life, "suspended_from", None),
}
#: Steps with which nothing goes but what `take` itself notes: the state, and where the case came from.
NOTHING_FOLLOWS = {"notify_seller", "refuse", "ship_return", "extend", "remind_seller", "suspend"}


def take(life: Life, action: str, done: Act) -> str:
    """Take one step with all that goes with it; the state it came from. Raises Refused, with everything as it was."""
    on_appeal = life.escalation_reason == "appeal"
    came_from = procedure.fire(life, action, done)
    if action in FOLLOWS:
        FOLLOWS[action](life, done)
    if action == "suspend":
        life.suspended_from = came_from
    if action == "request_evidence":
        life.evidence_from = came_from
    if life.state in FINAL:
        life.assignee, life.legs = None, ()
    _count(life, action, came_from)
    _forget(life)
    both_accepted = life.accepted_by_buyer and life.accepted_by_seller
    if life.state == "decided" and (both_accepted or (action == "decide" and on_appeal)):
        take(life, "finalise", act("system", dict(done.facts)))
    if action == "resume" and life.state == "awaiting_evidence" and owing(life) == 0:
        take(life, "evidence_complete", act("system"))
    return came_from


def owing(life: Life) -> int:
    """How many sides have yet to show what they were asked for."""
    return life.evidence_of_buyer + life.evidence_of_seller


def _forget(life: Life) -> None:
    """What nothing looks at until it is set anew is dropped: situations that differ in it alone are one."""
    place = life.suspended_from or life.state
    if place not in TALKS:
        life.offers_made = life.counter_offers_buyer = life.counter_offers_seller = 0
    if place != "decided" and life.escalation_reason != "appeal":
        life.decided_by = life.approved_by = None


# --- its clocks --------------------------------------------------------------------------------------------------


def _count(life: Life, action: str, came_from: str | None) -> None:
    """Let the clocks follow a step as the plan says, and keep what the case knows of its appeal window."""
    if came_from != life.state or action in deadlines.MOVES_CLOCKS:
        running, paused = dict(life.running), dict(life.paused)
        todo = deadlines.plan(life, action, running, paused)
        for kind in todo.over:
            running.pop(kind, None)
            paused.pop(kind, None)
        for kind in todo.pause:
            paused[kind] = running.pop(kind)
        for kind in todo.resume:
            running[kind] = paused.pop(kind)
        running |= todo.start
        running |= {kind: fires for kind, fires in todo.refire.items() if kind in running}
        paused |= {kind: fires for kind, fires in todo.refire.items() if kind in paused}
        life.running, life.paused = _kept(running), _kept(paused)
    if DeadlineKind.APPEAL not in {*dict(life.running), *dict(life.paused)}:
        life.window_over = False
    look_at_window(life)


def _kept(clocks: dict[DeadlineKind, str | None]) -> Clocks:
    return tuple(sorted(clocks.items(), key=lambda clock: clock[0]))


def look_at_window(life: Life) -> None:
    """Until when an appeal can be made: while its clock runs, and no longer than that."""
    runs = DeadlineKind.APPEAL in dict(life.running)
    life.appeal_until = (JUST_OVER if life.window_over else STILL_OPEN) if runs else None
