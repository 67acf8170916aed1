"""What the machine must never allow, tried over every situation that can be reached from a case just opened."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from threading import Barrier, Thread
from typing import Any

import pytest

from tests.workflows.cases import PlainCase, act, actor
from workflows import procedure
from workflows.acts import Act
from workflows.refusals import Refused
from workflows.states import Role, View

FINAL = {"refunded", "closed"}
STATES = {
    "opened",
    "seller_notified",
    "negotiating",
    "seller_refused",
    "under_review",
    "escalated",
    "decided",
    "refund",
    "refunded",
    "closed",
}

#: Everyone who may try something: two mediators and two seniors, so that nobody is barred from everything.
CAST: list[tuple[str, dict[str, Any]]] = [
    ("buyer", {}),
    ("seller", {}),
    ("mediator", {}),
    ("mediator", {"subject": "max"}),
    ("senior", {}),
    ("supervisor", {}),
    ("platform", {}),
    ("admin", {}),
    ("clock", {}),
    ("gateway", {}),
    ("system", {}),
]
MONEY, NOTHING = {"legs": ("refund",)}, {"legs": ()}
SMALL, LARGE = {"amount_minor": 100, "authority_minor": 500}, {"amount_minor": 900, "authority_minor": 500}
FACTS = {"decide": (SMALL, LARGE), "finalise": (MONEY, NOTHING)}


def _settled(case: PlainCase) -> None:
    case.open_offer_by = case.pending_decision_by = case.escalation_reason = case.assignee = None
    case.level = 0


def _issued(case: PlainCase, by: str, approved_by: str | None) -> None:
    on_appeal = case.escalation_reason == "appeal"
    case.decisions_issued = min(case.decisions_issued + 1, 2)
    case.decided_by, case.approved_by, case.assignee = by, approved_by, by
    case.pending_decision_by = case.escalation_reason = None
    case.accepted_by_buyer = case.accepted_by_seller = False
    case.level = 0
    if on_appeal:
        procedure.fire(case, "finalise", act("system", MONEY))
        case.assignee = None


def _offered(case: PlainCase, side: str) -> None:
    # One counter-offer stands for all three, which keeps the number of situations small.
    if case.offers_made:
        setattr(case, f"counter_offers_{side}", 3)
    case.offers_made, case.open_offer_by = 1, side


def _accepted(case: PlainCase, side: str) -> None:
    setattr(case, f"accepted_by_{side}", True)
    if case.accepted_by_buyer and case.accepted_by_seller:
        procedure.fire(case, "finalise", act("system", MONEY))


def _appealed(case: PlainCase, side: str) -> None:
    setattr(case, f"appealed_by_{side}", True)
    case.assignee = case.assignee if case.escalation_reason == "appeal" else None
    case.escalation_reason, case.level = "appeal", 1


def _decided(case: PlainCase, by: str) -> None:
    if case.state == "escalated":
        _passed_up(case, "amount_over_authority")
        case.pending_decision_by = by
    else:
        _issued(case, by, None)


def _passed_up(case: PlainCase, reason: str) -> None:
    case.assignee, case.level, case.escalation_reason = None, 1, reason


def _returned(case: PlainCase) -> None:
    case.assignee, case.level = case.pending_decision_by, 0
    case.escalation_reason = case.pending_decision_by = None


#: What goes with each step in the application, told once more and briefly: (case, side, subject).
FOLLOWS: dict[str, Callable[[PlainCase, str, str], None]] = {
    "offer": lambda case, side, _: _offered(case, side),
    "agree": lambda case, *_: _settled(case),
    "accept_offer": lambda case, *_: _settled(case),
    "withdraw": lambda case, *_: _settled(case),
    "retry_refund": lambda case, *_: _settled(case),
    "settle_refund": lambda case, *_: _settled(case),
    "settle_elsewhere": lambda case, *_: _settled(case),
    "decline_offer": lambda case, *_: setattr(case, "open_offer_by", None),
    "request_mediation": lambda case, *_: setattr(case, "open_offer_by", None),
    "take": lambda case, _, subject: setattr(case, "assignee", subject),
    "release": lambda case, *_: setattr(case, "assignee", None),
    "finalise": lambda case, *_: setattr(case, "assignee", None),
    "escalate": lambda case, *_: _passed_up(case, "complex"),
    "fail_refund": lambda case, *_: _passed_up(case, "refund_failed"),
    "decide": lambda case, _, subject: _decided(case, subject),
    "approve": lambda case, _, subject: _issued(case, str(case.pending_decision_by), subject),
    "return_to_mediator": lambda case, *_: _returned(case),
    "accept_decision": lambda case, side, _: _accepted(case, side),
    "appeal": lambda case, side, _: _appealed(case, side),
}


def _follow(case: PlainCase, action: str, who: Act) -> None:
    if action in FOLLOWS:
        FOLLOWS[action](case, who.actor.role.value, who.actor.subject)


Situation = tuple[Any, ...]


def _situation(case: PlainCase) -> Situation:
    return tuple(vars(case).values())


def _case(situation: Situation) -> PlainCase:
    return PlainCase(*situation)


def _tries(action: str) -> Iterator[Act]:
    for role, other in CAST:
        for facts in FACTS.get(action, (MONEY | SMALL,)):
            yield act(role, facts, **other)


@pytest.fixture(scope="module")
def reached() -> dict[Situation, set[Situation]]:
    """Every situation that can be reached from the opening of a case, with those that follow it.

    On the way, whatever is refused must leave the case untouched.
    """
    first = _situation(PlainCase())
    found: dict[Situation, set[Situation]] = {first: set()}
    waiting = [first]
    while waiting:
        here = waiting.pop()
        for action in procedure.ACTIONS:
            for trial in _tries(action):
                case = _case(here)
                try:
                    procedure.fire(case, action, trial)
                except Refused:
                    assert _situation(case) == here, (action, here)
                    continue
                _follow(case, action, trial)
                there = _situation(case)
                found[here].add(there)
                if there not in found:
                    found[there] = set()
                    waiting.append(there)
    return found


def test_every_state_of_the_procedure_can_be_reached(reached: dict[Situation, set[Situation]]) -> None:
    assert {_case(one).state for one in reached} == STATES == set(procedure.CaseState)


def test_every_kind_of_escalation_can_be_reached(reached: dict[Situation, set[Situation]]) -> None:
    reasons = {_case(one).escalation_reason for one in reached if _case(one).state == "escalated"}
    assert reasons == {"complex", "amount_over_authority", "appeal", "refund_failed"}


def test_from_everywhere_a_final_state_can_be_reached(reached: dict[Situation, set[Situation]]) -> None:
    ends = {one for one in reached if _case(one).state in FINAL}
    before: dict[Situation, set[Situation]] = {one: set() for one in reached}
    for here, following in reached.items():
        for there in following:
            before[there].add(here)
    saved, waiting = set(ends), list(ends)
    while waiting:
        for earlier in before[waiting.pop()] - saved:
            saved.add(earlier)
            waiting.append(earlier)
    assert reached.keys() - saved == set()


def test_nothing_leads_out_of_a_final_state(reached: dict[Situation, set[Situation]]) -> None:
    assert all(not following for one, following in reached.items() if _case(one).state in FINAL)


def test_an_open_case_always_waits_on_someone_and_a_final_one_on_nobody(
    reached: dict[Situation, set[Situation]],
) -> None:
    for one in reached:
        case = _case(one)
        assert (procedure.waiting_on(case) is None) == (case.state in FINAL), case


def test_whoever_a_case_waits_on_can_act_on_it(reached: dict[Situation, set[Situation]]) -> None:
    """No case waits for somebody whose hands are tied, were it for want of a second pair of them."""
    machines = {"platform": ("platform", "clock", "gateway", "system")}
    for one in reached:
        case = _case(one)
        waits = procedure.waiting_on(case)
        if waits is None:
            continue
        for role in ("buyer", "seller") if waits == "both" else machines.get(waits, (waits,)):
            # Somebody who has had no part in the case yet, or where it is in a mediator's hands, that mediator.
            name = case.assignee if role == "mediator" and case.assignee else "fresh"
            who = act(role) if role in ("buyer", "seller") else act(role, subject=name)
            open_now = [action for action, refusal in procedure.options(case, who.actor, who) if refusal is None]
            if open_now:
                break
        else:
            pytest.fail(f"nobody whom the case waits on can act: {case}")


def test_both_sides_can_act_where_a_case_waits_on_both() -> None:
    case = PlainCase(state="decided", decisions_issued=1, decided_by="mia")
    assert procedure.waiting_on(case) == "both"
    for side in ("buyer", "seller"):
        who = act(side)
        told = dict(procedure.options(case, who.actor, who))
        assert told["accept_decision"] is None
        assert told["appeal"] is None


def test_a_case_lies_in_a_queue_exactly_while_it_waits_on_staff(reached: dict[Situation, set[Situation]]) -> None:
    staff = {"mediator", "senior", "supervisor"}
    for one in reached:
        case = _case(one)
        assert (procedure.queue(case) is not None) == (procedure.waiting_on(case) in staff), case


def test_no_side_ever_appeals_twice_and_no_case_is_decided_three_times(
    reached: dict[Situation, set[Situation]],
) -> None:
    for here, following in reached.items():
        case = _case(here)
        if case.decisions_issued == 2:
            assert case.state not in ("decided", "under_review"), case
            assert all(_case(there).decisions_issued == 2 for there in following)


def test_admin_moves_nothing_anywhere(reached: dict[Situation, set[Situation]]) -> None:
    for one in reached:
        assert procedure.possible_actions(_case(one), act("admin")) == ()


def test_options_promise_exactly_what_fire_then_does(reached: dict[Situation, set[Situation]]) -> None:
    """An action listed as open succeeds with some facts; one listed as closed is refused by the rule it names."""
    for one in reached:
        for role, other in CAST:
            who = act(role, {}, **other)
            for action, refusal in procedure.options(_case(one), who.actor, who):
                codes = set()
                for facts in FACTS.get(action, (MONEY | SMALL,)):
                    try:
                        procedure.fire(_case(one), action, Act(who.actor, who.now, facts))
                        codes.add(None)
                    except Refused as refused:
                        codes.add(refused.code)
                assert codes == {refusal.code if refusal else None}, (one, role, action)


def test_facts_that_choose_no_row_are_refused_and_move_nothing() -> None:
    """An agreement without any leg has nowhere to go."""
    case = PlainCase(state="seller_notified")
    with pytest.raises(Refused) as refused:
        procedure.fire(case, "agree", act("seller", NOTHING))
    assert refused.value.code == "wrong_state"
    assert case == PlainCase(state="seller_notified")


def test_the_machine_has_no_way_around_the_table() -> None:
    """No automatic `to_<state>` events, and no model that would hold a state of its own."""
    assert set(procedure.MACHINE.events) == set(procedure.ACTIONS)
    assert procedure.MACHINE.models == []


# --- who a case waits on, and what it means to its reader ---------------------------------------------------------

WAITS: list[tuple[dict[str, Any], str | None, str | None]] = [
    ({"state": "opened"}, "platform", None),
    ({"state": "seller_notified"}, "seller", None),
    ({"state": "negotiating", "offers_made": 1, "open_offer_by": "seller"}, "buyer", None),
    ({"state": "negotiating", "offers_made": 1, "open_offer_by": "buyer"}, "seller", None),
    ({"state": "seller_refused"}, "buyer", None),
    ({"state": "under_review"}, "mediator", "mediation"),
    ({"state": "escalated", "level": 1, "escalation_reason": "complex"}, "senior", "escalations"),
    ({"state": "escalated", "level": 2, "escalation_reason": "complex"}, "supervisor", "escalations"),
    ({"state": "escalated", "level": 3, "escalation_reason": "complex"}, "supervisor", "escalations"),
    (
        {
            "state": "escalated",
            "level": 1,
            "escalation_reason": "amount_over_authority",
            "pending_decision_by": "mia",
        },
        "senior",
        "approvals",
    ),
    ({"state": "escalated", "level": 1, "escalation_reason": "appeal"}, "senior", "appeals"),
    ({"state": "escalated", "level": 1, "escalation_reason": "refund_failed"}, "senior", "failed_refunds"),
    ({"state": "decided"}, "both", None),
    ({"state": "decided", "accepted_by_buyer": True}, "seller", None),
    ({"state": "decided", "accepted_by_seller": True}, "buyer", None),
    ({"state": "refund"}, "platform", None),
    ({"state": "refunded"}, None, None),
    ({"state": "closed"}, None, None),
]


@pytest.mark.parametrize(("given", "waits", "queue"), WAITS)
def test_a_case_waits_on_whom_the_table_of_states_names(
    given: dict[str, Any], waits: str | None, queue: str | None
) -> None:
    assert procedure.waiting_on(PlainCase(**given)) == waits
    assert procedure.queue(PlainCase(**given)) == queue


ACT, WAIT, REVIEW = View.ACTION_REQUIRED, View.WAITING_OTHER_PARTY, View.UNDER_PLATFORM_REVIEW
#: state -> how buyer, seller and mediator see it
VIEWS: list[tuple[dict[str, Any], tuple[View, View]]] = [
    ({"state": "opened"}, (REVIEW, REVIEW)),
    ({"state": "seller_notified"}, (WAIT, ACT)),
    ({"state": "negotiating", "offers_made": 1, "open_offer_by": "seller"}, (ACT, WAIT)),
    ({"state": "seller_refused"}, (ACT, WAIT)),
    ({"state": "under_review"}, (REVIEW, REVIEW)),
    ({"state": "escalated", "level": 1}, (REVIEW, REVIEW)),
    ({"state": "decided"}, (View.APPEALABLE, View.APPEALABLE)),
    ({"state": "decided", "accepted_by_buyer": True}, (WAIT, View.APPEALABLE)),
    ({"state": "refund"}, (REVIEW, REVIEW)),
    ({"state": "refunded"}, (View.RESOLVED, View.RESOLVED)),
    ({"state": "closed"}, (View.RESOLVED, View.RESOLVED)),
]


@pytest.mark.parametrize(("given", "views"), VIEWS)
def test_each_side_is_told_what_the_case_means_to_it(given: dict[str, Any], views: tuple[View, View]) -> None:
    case = PlainCase(**given)
    assert (procedure.view_for(case, actor("buyer")), procedure.view_for(case, actor("seller"))) == views


def test_staff_are_told_to_act_where_the_case_waits_on_their_role() -> None:
    case = PlainCase(state="under_review")
    assert procedure.view_for(case, actor("mediator")) is ACT
    assert procedure.view_for(case, actor("senior")) is REVIEW
    assert procedure.view_for(PlainCase(state="seller_notified"), actor("mediator")) is WAIT


# --- the one machine, shared -------------------------------------------------------------------------------------

#: Ways through the procedure that end differently, each step by whom, with the state it leads to.
WAYS: list[list[tuple[str, str, str]]] = [
    [
        ("notify_seller", "platform", "seller_notified"),
        ("agree", "seller", "refund"),
        ("settle_refund", "gateway", "refunded"),
    ],
    [
        ("notify_seller", "clock", "seller_notified"),
        ("refuse", "seller", "seller_refused"),
        ("withdraw", "buyer", "closed"),
    ],
    [
        ("notify_seller", "mediator", "seller_notified"),
        ("refuse", "seller", "seller_refused"),
        ("request_mediation", "buyer", "under_review"),
        ("take", "mediator", "under_review"),
        ("decide", "mediator", "decided"),
        ("appeal", "seller", "escalated"),
        ("decide", "senior", "decided"),
    ],
    [
        ("notify_seller", "platform", "seller_notified"),
        ("offer", "seller", "negotiating"),
        ("decline_offer", "buyer", "seller_refused"),
        ("request_mediation", "seller", "under_review"),
        ("escalate", "mediator", "escalated"),
        ("return_to_mediator", "senior", "under_review"),
    ],
]


def test_many_threads_share_the_one_machine_without_mixing_their_cases() -> None:
    threads, rounds = 16, 60
    barrier, wrong = Barrier(threads), []

    def walk(n: int) -> None:
        barrier.wait()
        for turn in range(rounds):
            case = PlainCase(buyer_ref=f"buyer-{n}", seller_ref=f"shop-{n}")
            for action, role, target in WAYS[(n + turn) % len(WAYS)]:
                own = {"buyer": {"acts_for": f"buyer-{n}"}, "seller": {"acts_for": f"shop-{n}"}}.get(role, {})
                came_from = case.state
                try:
                    told = procedure.fire(case, action, act(role, **own))
                except Refused as refused:
                    wrong.append((n, action, refused.code))
                    break
                if (told, case.state) != (came_from, target):
                    wrong.append((n, action, told, case.state))
                _follow_briefly(case, action, role)

    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # Threads change places inside a step, not only between them.
    try:
        running = [Thread(target=walk, args=(n,)) for n in range(threads)]
        for thread in running:
            thread.start()
        for thread in running:
            thread.join()
    finally:
        sys.setswitchinterval(usual)
    assert wrong == []


def _follow_briefly(case: PlainCase, action: str, role: str) -> None:
    """What the next steps of the ways above look at."""
    if action == "offer":
        case.offers_made, case.open_offer_by = 1, role
    elif action == "take":
        case.assignee = "mia"
    elif action == "decide":
        case.decided_by = "mia"
    elif action == "appeal":
        case.escalation_reason = "appeal"
    elif action == "escalate":
        case.escalation_reason = "complex"


def test_a_role_that_no_row_names_is_told_apart_from_a_wrong_state() -> None:
    for role in Role:
        for action in procedure.ACTIONS:
            named = any(role in step.by for step in procedure.STEPS if step.action == action)
            try:
                procedure.require_role(action, role)
                assert named
            except Refused as refused:
                assert not named
                assert refused.code == "not_permitted"
