"""What the machine must never allow, tried over every situation that can be reached from a case just opened."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from threading import Barrier, Thread

import pytest

from tests.workflows.cases import PlainCase, act
from tests.workflows.life import FINAL, FOLLOWS, NOTHING_FOLLOWS, Life, Situation, take
from tests.workflows.walk import CAST, HAPPENED, Edge, Reached, facts_of, rows_of
from workflows import deadlines, procedure, standing
from workflows.deadlines import DeadlineKind
from workflows.refusals import NotPermitted, Refused, WrongState
from workflows.states import Role
from workflows.steps import STEPS

STATES = {
    "opened",
    "seller_notified",
    "negotiating",
    "seller_refused",
    "awaiting_return",
    "awaiting_inspection",
    "awaiting_performance",
    "under_review",
    "awaiting_evidence",
    "escalated",
    "decided",
    "refund",
    "suspended",
    "refunded",
    "closed",
}
#: "any open state but refund", as lifecycle.md has it of suspend.
RESTS = STATES - {"refund", "suspended", *FINAL}

SENIORS = {"senior", "supervisor"}  # "A supervisor may do all a senior may."
STAFF = {"mediator", *SENIORS}
#: Who may do what, typed from the table of actions and from what the table of states fires.
BY: dict[str, set[str]] = {
    "notify_seller": {"platform", "mediator", "clock"},
    "agree": {"seller", "clock"},
    "refuse": {"seller"},
    "offer": {"buyer", "seller"},
    "accept_offer": {"buyer", "seller"},
    "decline_offer": {"buyer", "seller"},
    "expire_offer": {"clock"},
    "propose": {"mediator"},
    "request_mediation": {"buyer", "seller", "clock"},
    "lapse": {"clock"},
    "ship_return": {"buyer"},
    "confirm_return": {"seller"},
    "dispute_return": {"seller"},
    "conclude_inspection": {"clock"},
    "perform": {"seller"},
    "confirm_performance": {"buyer"},
    "dispute_performance": {"buyer"},
    "conclude_performance": {"clock"},
    "refund_in_place": {"clock"},
    "take": STAFF,
    "release": STAFF,
    "hand_over": STAFF,
    "request_evidence": STAFF,
    "evidence_complete": {"system"},
    "end_evidence_request": STAFF,
    "default_evidence": {"clock"},
    "extend": STAFF,
    "decide": STAFF,
    "approve": SENIORS,
    "return_to_mediator": SENIORS,
    "escalate": {"mediator", "clock"},
    "raise_level": {"clock"},
    "refund_now": STAFF,
    "remind_seller": {"mediator", "platform"},
    "accept_decision": {"buyer", "seller"},
    "finalise": {"clock", "system"},
    "appeal": {"buyer", "seller"},
    "withdraw": {"buyer"},
    "suspend": STAFF,
    "resume": {*STAFF, "clock"},
    "settle_refund": {"gateway", "system"},
    "fail_refund": {"gateway", "system", "clock"},
    "retry_refund": SENIORS,
    "settle_elsewhere": SENIORS,
}


def _all(reached: Reached) -> Iterator[tuple[Life, Edge]]:
    """Every step that was taken: the case before it, and the step."""
    for here, edges in reached.edges.items():
        for edge in edges:
            if edge.action != HAPPENED:
                yield Life(*here), edge


# --- all of it is there ------------------------------------------------------------------------------------------


def test_every_state_of_the_procedure_can_be_reached(reached: Reached) -> None:
    assert {life.state for life in reached.lives()} == STATES == set(procedure.CaseState)


def test_every_kind_of_escalation_suspension_and_evidence_request_can_be_reached(reached: Reached) -> None:
    lives = list(reached.lives())
    reasons = {life.escalation_reason for life in lives if life.state == "escalated"}
    assert reasons == {"complex", "no_mediator_decision", "amount_over_authority", "appeal", "refund_failed"}
    assert {life.suspended_from for life in lives if life.state == "suspended"} == RESTS
    assert {life.evidence_from for life in lives if life.state == "awaiting_evidence"} == {"under_review", "escalated"}


def test_every_row_of_the_table_is_taken_somewhere(reached: Reached) -> None:
    """A row that no situation comes to would be a promise that nobody can claim."""
    taken = {(edge.action, edge.role, life.state, Life(*edge.there).state) for life, edge in _all(reached)}
    for step in STEPS:
        for role in step.by:
            for source in step.source:
                assert (step.action, role, source, step.target or source) in taken, (step.action, role, source)


def test_the_model_knows_what_follows_from_every_action() -> None:
    assert FOLLOWS.keys() | NOTHING_FOLLOWS == set(procedure.ACTIONS)
    assert not FOLLOWS.keys() & NOTHING_FOLLOWS


# --- it always ends ----------------------------------------------------------------------------------------------


def test_from_everywhere_a_final_state_can_be_reached(reached: Reached) -> None:
    before: dict[Situation, set[Situation]] = {one: set() for one in reached.edges}
    for here, edges in reached.edges.items():
        for edge in edges:
            before[edge.there].add(here)
    saved = {life.situation() for life in reached.lives() if life.state in FINAL}
    waiting = list(saved)
    while waiting:
        earlier = before[waiting.pop()] - saved
        saved |= earlier
        waiting += earlier
    assert reached.edges.keys() - saved == set()


def test_nothing_leads_out_of_a_final_state_and_no_clock_runs_there(reached: Reached) -> None:
    for here, edges in reached.edges.items():
        life = Life(*here)
        if life.state in FINAL:
            assert edges == []
            assert (life.running, life.paused, life.appeal_until) == ((), (), None)


def test_every_open_case_has_a_running_clock_that_fires(reached: Reached) -> None:
    """More than is asked for: not a clock or a person it waits on, but a clock wherever it is."""
    for life in reached.lives():
        assert any(fires is not None for _, fires in life.running) == (life.state not in FINAL), life


def test_an_open_case_waits_on_someone_unless_it_rests(reached: Reached) -> None:
    for life in reached.lives():
        assert (standing.waiting_on(life) is None) == (life.state in {"suspended", *FINAL}), life


def _fired(life: Life) -> Iterator[tuple[DeadlineKind, str]]:
    """(kind, action) of everything that the running clocks of a case can fire."""
    for kind, fires in life.running:
        if fires == "by_policy":
            yield from ((kind, "agree"), (kind, "request_mediation"))
        elif fires is not None:
            yield kind, fires
            if fires == "conclude_inspection":  # Where a carrier says that nothing came back.
                yield kind, "request_mediation"


def test_whatever_a_clock_fires_is_possible_then_and_ends_that_clock_or_begins_it_anew(reached: Reached) -> None:
    """A deadline that could not fire, or stayed over, would be tried again and again and set aside."""
    for life in reached.lives():
        for kind, action in _fired(life):
            for facts in facts_of(life, action, "clock", "clock"):
                after = Life(*life.situation())
                take(after, action, act("clock", facts))
                anew = deadlines.BEGINS_ANEW.get(action) == kind
                assert (kind in dict(after.running)) == anew, (life, action)
                assert kind not in dict(after.paused), (life, action)


def test_a_case_left_alone_by_everyone_comes_to_its_end_or_before_senior_staff(reached: Reached) -> None:
    """Following the clocks alone, in whatever order they fire, no way goes round in a circle and none stops short."""
    ends: set[Situation] = set()
    under_way: set[Situation] = set()

    def follow(life: Life) -> None:
        here = life.situation()
        assert here not in under_way, life
        if here in ends:
            return
        under_way.add(here)
        following = [
            (action, facts) for _, action in _fired(life) for facts in facts_of(life, action, "clock", "clock")
        ]
        assert following or life.state in FINAL, life
        for action, facts in following:
            after = Life(*here)
            take(after, action, act("clock", facts))
            if after.state != "escalated":
                follow(after)
        under_way.discard(here)
        ends.add(here)

    for life in reached.lives():
        if life.state != "escalated":
            follow(life)


def test_what_is_escalated_never_ends_by_time_alone_and_its_level_rises(reached: Reached) -> None:
    for life in reached.lives():
        if life.state == "escalated":
            assert list(_fired(life)) == [("escalation", "raise_level")], life
            take(life, "raise_level", act("clock", {}))
            assert (life.state, life.level) == ("escalated", 2)


# --- who can act -------------------------------------------------------------------------------------------------


def _open_to(life: Life, role: str, **other: str) -> set[str]:
    who = act(role, {}, **other)
    return {action for action, refusal in procedure.options(life, who.actor, who) if refusal is None}


#: What somebody can do who is waited on and wants to go on with it: more than giving up, or passing time.
_IDLE = {"withdraw", "suspend", "resume", "extend", "remind_seller"}


def test_whoever_a_case_waits_on_can_act_on_it(reached: Reached) -> None:
    """No case waits for somebody whose hands are tied, were it for want of a second pair of them."""
    machines = ("platform", "clock", "gateway", "system")
    for life in reached.lives():
        waits = standing.waiting_on(life)
        if waits is None or life.state == "awaiting_evidence":
            continue  # Evidence is shown by filing it, which is no step of the table.
        for role in ("buyer", "seller") if waits == "both" else (waits.value,):
            if role == "platform":
                open_now = set().union(*(_open_to(life, machine) for machine in machines))
            elif role in ("buyer", "seller"):
                open_now = _open_to(life, role)
            else:
                # Somebody who has had no part in the case yet, or where a mediator has it, that mediator.
                name = life.assignee if role == "mediator" and life.assignee else "fresh"
                open_now = _open_to(life, role, subject=name)
            assert open_now - _IDLE, (life, role)


def test_the_side_that_owes_evidence_is_the_side_that_is_waited_on(reached: Reached) -> None:
    for life in reached.lives():
        if life.state == "awaiting_evidence":
            owing = [side for side in ("buyer", "seller") if getattr(life, f"evidence_of_{side}")]
            assert standing.waiting_on(life) == ("both" if len(owing) == 2 else owing[0]), life


def test_a_case_lies_in_a_queue_exactly_while_it_waits_on_staff(reached: Reached) -> None:
    for life in reached.lives():
        assert (standing.queue(life) is not None) == (standing.waiting_on(life) in STAFF), life


def test_admin_moves_nothing_anywhere(reached: Reached) -> None:
    for life in reached.lives():
        assert procedure.possible_actions(life, act("admin")) == ()


def test_options_promise_exactly_what_fire_then_does(reached: Reached) -> None:
    """An action listed as open succeeds; one listed as closed is refused by the rule it names."""
    for here, told in reached.told.items():
        life = Life(*here)
        for role, other in CAST:
            who = act(role, {}, **other)
            for action, refusal in procedure.options(life, who.actor, who):
                code = told.get((action, role, who.actor.subject), "wrong_state")
                assert code == (refusal.code if refusal else None), (life, role, action)


# --- who can not -------------------------------------------------------------------------------------------------


def test_no_step_is_ever_taken_by_a_role_that_is_not_named_for_it(reached: Reached) -> None:
    assert BY.keys() == set(procedure.ACTIONS)
    taken: dict[str, set[str]] = {action: set() for action in BY}
    for _, edge in _all(reached):
        taken[edge.action].add(edge.role)
    assert taken == BY


def test_a_role_that_no_row_names_is_told_apart_from_a_wrong_state() -> None:
    for role in Role:
        for action in procedure.ACTIONS:
            if role in BY[action]:
                procedure.require_role(action, role)
                continue
            with pytest.raises(NotPermitted) as refused:
                procedure.require_role(action, role)
            assert refused.value.code == "not_permitted"


def test_whatever_no_row_allows_from_a_state_is_refused_and_leaves_the_case_alone(reached: Reached) -> None:
    one_of_each = {life.state: life for life in reached.lives()}
    for state, life in one_of_each.items():
        before, named = life.situation(), set(rows_of(str(state)))
        for action in procedure.ACTIONS:
            for role, other in CAST:
                if (action, role) in named:
                    continue
                with pytest.raises(Refused) as refused:
                    procedure.fire(life, action, act(role, **other))
                assert refused.value.code == ("wrong_state" if role in BY[action] else "not_permitted")
                assert life.situation() == before


def test_nobody_acts_as_a_party_on_a_case_that_is_not_theirs(reached: Reached) -> None:
    strangers = {"buyer": ("buyer-2", "shop-17"), "seller": ("shop-99", "buyer-1")}
    for here, told in reached.told.items():
        for action, role, _ in told:
            for stranger in strangers.get(role, ()):
                life = Life(*here)
                with pytest.raises(NotPermitted) as refused:
                    procedure.fire(life, action, act(role, acts_for=stranger))
                assert refused.value.code == "not_a_party"
                assert life.situation() == here


#: What decides a case, makes it one's own to decide, or changes the time that it takes.
DECIDES = {
    "take",
    "propose",
    "request_evidence",
    "end_evidence_request",
    "extend",
    "suspend",
    "refund_now",
    "decide",
    "approve",
    "return_to_mediator",
    "retry_refund",
    "settle_elsewhere",
}


@pytest.mark.parametrize("party", [("buyer", "buyer-1"), ("seller", "shop-17")])
def test_nobody_decides_a_case_of_a_party_in_whom_they_declared_an_interest(
    reached: Reached, party: tuple[str, str]
) -> None:
    for here, told in reached.told.items():
        for action, role, subject in told:
            if action not in DECIDES:
                continue
            life = Life(*here)
            trial = act(role, subject=subject, acts_for=subject, interests=frozenset({party}))
            with pytest.raises(NotPermitted) as refused:
                procedure.fire(life, action, trial)
            assert refused.value.code == "interest_declared"
            assert life.situation() == here


def test_nobody_approves_a_decision_of_their_own(reached: Reached) -> None:
    approved = [(life.pending_decision_by, edge.subject) for life, edge in _all(reached) if edge.action == "approve"]
    assert ("max", "mia") in approved, "a mediator who is a senior as well approves another's"
    assert all(decider != subject for decider, subject in approved)


def test_nobody_hears_an_appeal_against_what_they_decided_or_approved(reached: Reached) -> None:
    heard = [
        (life, edge)
        for life, edge in _all(reached)
        if edge.action in ("decide", "take", "request_evidence") and life.escalation_reason == "appeal"
    ]
    assert heard
    for life, edge in heard:
        assert edge.subject not in (life.decided_by, life.approved_by), (life, edge)


def test_a_decision_on_appeal_is_final_at_once_and_no_round_has_a_third(reached: Reached) -> None:
    for life, edge in _all(reached):
        after = Life(*edge.there)
        assert after.decided_in_round <= 2
        if edge.action == "decide" and life.escalation_reason == "appeal":
            assert after.state in {"awaiting_return", "awaiting_performance", "refund", "closed"}, (life, edge)
        elif edge.action in ("decide", "approve") and after.state == "decided":
            assert after.decided_in_round == 1, (life, edge)


#: What begins a new round of review, in which both sides may appeal afresh.
NEW_ROUND = {"request_mediation", "dispute_return", "dispute_performance", "refund_now"}


def test_no_side_appeals_twice_in_one_round_nor_after_accepting(reached: Reached) -> None:
    for life, edge in _all(reached):
        after = Life(*edge.there)
        for side in ("buyer", "seller"):
            had, has = (getattr(one, f"appealed_by_{side}") for one in (life, after))
            if edge.action == "appeal" and edge.role == side:
                assert (had, has) == (False, True)
                assert not getattr(life, f"accepted_by_{side}")
                assert not life.window_over
            elif edge.action not in NEW_ROUND:
                assert had == has, (life, edge)


def test_a_case_whose_refund_is_of_unknown_fate_waits_for_nothing_but_the_refund(reached: Reached) -> None:
    """No second payment is ordered, nothing is decided or agreed, and the case neither rests nor ends without it."""
    for life, edge in _all(reached):
        if life.state == "escalated" and life.escalation_reason == "refund_failed":
            assert edge.action in {
                "take", "release", "hand_over", "raise_level", "settle_refund", "retry_refund", "settle_elsewhere",
            }, (life, edge)  # fmt: skip
        if life.state == "refund":
            assert edge.action in {"settle_refund", "fail_refund"}, (life, edge)


def test_nothing_is_withdrawn_after_a_decision_was_issued(reached: Reached) -> None:
    withdrawn = [life for life, edge in _all(reached) if edge.action == "withdraw"]
    assert {life.state for life in withdrawn} == RESTS - {"decided"} | {"suspended"}
    assert all(life.decisions_issued == 0 for life in withdrawn)


# --- standing still ----------------------------------------------------------------------------------------------


def test_a_suspended_case_goes_on_exactly_where_it_was(reached: Reached) -> None:
    """All of it, clocks and assignee included, whoever suspends and whoever or whatever resumes it."""
    rested = set()
    for here, told in reached.told.items():
        for role in sorted({role for action, role, _ in told if action == "suspend"}):
            life = Life(*here)
            state, stage = life.state, standing.stage(life)
            if told["suspend", role, act(role).actor.subject] is not None:
                assert life.escalation_reason == "refund_failed", life
                continue
            take(life, "suspend", act(role, {}))
            assert (life.state, life.suspended_from, standing.stage(life)) == ("suspended", state, stage)
            assert life.running == (("suspension", "resume"),)
            for back in ("clock", "mediator", "senior", "supervisor"):
                again = Life(*life.situation())
                take(again, "resume", act(back, {}))
                assert again.situation() == here
            rested.add(state)
    assert rested == RESTS


def test_evidence_goes_back_to_where_it_was_asked_for(reached: Reached) -> None:
    ends = {"evidence_complete", "end_evidence_request", "default_evidence"}
    for life, edge in _all(reached):
        after = Life(*edge.there)
        if edge.action == "request_evidence":
            assert (after.state, after.evidence_from) == ("awaiting_evidence", life.state)
        if edge.action in ends:
            assert after.state == life.evidence_from
            assert (after.evidence_from, after.evidence_of_buyer, after.evidence_of_seller) == (None, False, False)
            assert after.assignee == life.assignee
            assert (after.escalation_reason, after.level) == (life.escalation_reason, life.level)


# --- the table itself --------------------------------------------------------------------------------------------


def test_rows_of_one_action_state_and_role_have_the_same_guards() -> None:
    """Why `options` may ask the guards of the first row only."""
    guards: dict[tuple[str, str, str], tuple[object, ...]] = {}
    for step in STEPS:
        for role in step.by:
            for source in step.source:
                assert guards.setdefault((step.action, role, source), step.guards) == step.guards, (step.action, source)


def test_facts_that_choose_no_row_are_refused_and_move_nothing() -> None:
    """An agreement without any leg has nowhere to go."""
    case = PlainCase(state="seller_notified")
    with pytest.raises(WrongState):
        procedure.fire(case, "agree", act("seller", {"legs": ()}))
    assert case == PlainCase(state="seller_notified")


def test_the_machine_has_no_way_around_the_table() -> None:
    """No automatic `to_<state>` events, and no model that would hold a state of its own."""
    assert set(procedure.MACHINE.events) == set(procedure.ACTIONS)
    assert procedure.MACHINE.models == []


# --- the one machine, shared -------------------------------------------------------------------------------------

_BACK = {"legs": ("return", "performance", "refund")}
#: Ways through the procedure that end differently, each step by whom, with the state it leads to.
WAYS: list[list[tuple[str, str, dict[str, object], str]]] = [
    [
        ("notify_seller", "platform", {}, "seller_notified"),
        ("agree", "seller", {"legs": ("refund",)}, "refund"),
        ("settle_refund", "gateway", {}, "refunded"),
    ],
    [
        ("notify_seller", "clock", {}, "seller_notified"),
        ("agree", "seller", _BACK, "awaiting_return"),
        ("ship_return", "buyer", {}, "awaiting_inspection"),
        ("confirm_return", "seller", {"legs": ("performance", "refund")}, "awaiting_performance"),
        ("suspend", "mediator", {}, "suspended"),
        ("resume", "clock", {}, "awaiting_performance"),
        ("perform", "seller", {}, "awaiting_performance"),
        ("confirm_performance", "buyer", {"legs": ("refund",)}, "refund"),
        ("fail_refund", "clock", {}, "escalated"),
        ("settle_elsewhere", "senior", {}, "refunded"),
    ],
    [
        ("notify_seller", "mediator", {}, "seller_notified"),
        ("refuse", "seller", {}, "seller_refused"),
        ("request_mediation", "buyer", {}, "under_review"),
        ("take", "mediator", {}, "under_review"),
        ("request_evidence", "mediator", {"from": ("buyer",)}, "awaiting_evidence"),
        ("default_evidence", "clock", {}, "under_review"),
        ("decide", "mediator", {"amount_minor": 1}, "decided"),
        ("appeal", "seller", {}, "escalated"),
        ("decide", "senior", {"amount_minor": 1, "legs": ()}, "closed"),
    ],
    [
        ("notify_seller", "platform", {}, "seller_notified"),
        ("offer", "seller", {}, "negotiating"),
        ("decline_offer", "buyer", {}, "seller_refused"),
        ("request_mediation", "seller", {}, "under_review"),
        ("propose", "mediator", {}, "negotiating"),
        ("accept_offer", "seller", {}, "negotiating"),
        ("decline_offer", "buyer", {}, "under_review"),
        ("escalate", "clock", {}, "escalated"),
        ("return_to_mediator", "senior", {}, "under_review"),
        ("withdraw", "buyer", {}, "closed"),
    ],
]


def test_many_threads_share_the_one_machine_without_mixing_their_cases() -> None:
    threads, rounds = 16, 40
    barrier, wrong = Barrier(threads), []

    def walk(n: int) -> None:
        barrier.wait()
        for turn in range(rounds):
            life = Life.begun()
            life.buyer_ref, life.seller_ref = f"buyer-{n}", f"shop-{n}"
            for action, role, facts, target in WAYS[(n + turn) % len(WAYS)]:
                own = {"buyer": {"acts_for": f"buyer-{n}"}, "seller": {"acts_for": f"shop-{n}"}}.get(role, {})
                before = life.state
                try:
                    told = take(life, action, act(role, dict(facts), **own))
                except Refused as refused:
                    wrong.append((n, action, refused.code))
                    break
                if (told, life.state) != (before, target):
                    wrong.append((n, action, told, life.state))

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
