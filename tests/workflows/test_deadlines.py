"""Which clocks run where, what they fire, what stops them and what they survive: docs/lifecycle.md, table of states."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workflows.cases import STILL_OPEN, PlainCase, act
from tests.workflows.life import FINAL, TALKS, Life, take
from tests.workflows.walk import HAPPENED, Reached, rows_of, trials
from workflows.deadlines import BEGINS_ANEW, MOVES_CLOCKS, OWN, DeadlineKind, Plan, plan, wanted
from workflows.refusals import Refused
from workflows.states import CaseState

Clocks = dict[DeadlineKind, str | None]

#: A limit that fires nothing: when it is over, a door is shut.
NOTHING = None
_OFFER = {"state": "negotiating", "offers_made": 1, "open_offer_by": "seller"}
_PROPOSAL = {"state": "negotiating", "offers_made": 1, "open_offer_by": "mediator"}
_APPEALED = {
    "state": "escalated",
    "escalation_reason": "appeal",
    "level": 1,
    "decisions_issued": 1,
    "appealed_by_buyer": True,
    "appeal_until": STILL_OPEN,
}
#: place -> (case, {kind: what it fires}), as on coming there from a place of which no clock lasts
PLACES: dict[str, tuple[dict[str, Any], dict[str, str | None]]] = {
    "opened": ({}, {"notification": "notify_seller"}),
    "seller_notified": ({}, {"response": "by_policy"}),
    "negotiating": (_OFFER, {"offer": "expire_offer", "negotiation": "request_mediation"}),
    "negotiating, a proposal": (_PROPOSAL, {"offer": "expire_offer"}),
    "seller_refused": ({}, {"mediation_request": "lapse"}),
    "awaiting_return": ({}, {"return_shipping": "lapse"}),
    "awaiting_inspection": ({}, {"inspection": "conclude_inspection"}),
    "awaiting_performance": ({}, {"performance": "refund_in_place"}),
    "awaiting_performance, performed": ({"performed": True}, {"confirmation": "conclude_performance"}),
    "under_review": ({}, {"review": "escalate"}),
    "awaiting_evidence": ({"evidence_from": "under_review"}, {"evidence": "default_evidence"}),
    "awaiting_evidence, of seniors": ({"evidence_from": "escalated"}, {"evidence": "default_evidence"}),
    "escalated": ({"escalation_reason": "complex", "level": 1}, {"escalation": "raise_level"}),
    "escalated, a decision waits": (
        {"escalation_reason": "amount_over_authority", "level": 2, "pending_decision_by": "mia"},
        {"escalation": "raise_level"},
    ),
    "escalated, a refund failed": ({"escalation_reason": "refund_failed", "level": 1}, {"escalation": "raise_level"}),
    "decided": ({"decisions_issued": 1}, {"appeal": "finalise"}),
    "refund": ({}, {"refund": "fail_refund"}),
    "suspended": ({"suspended_from": "under_review"}, {"suspension": "resume"}),
    "refunded": ({}, {}),
    "closed": ({}, {}),
}
#: The deadline that limits the state itself, which `extend` moves.
LIMITS = {
    "opened": "notification",
    "seller_notified": "response",
    "negotiating": "offer",
    "seller_refused": "mediation_request",
    "awaiting_return": "return_shipping",
    "awaiting_inspection": "inspection",
    "awaiting_performance": "performance",
    "under_review": "review",
    "awaiting_evidence": "evidence",
    "escalated": "escalation",
    "decided": "appeal",
    "refund": "refund",
    "suspended": "suspension",
}


def _case(place: str) -> PlainCase:
    return PlainCase(**{"state": place.partition(",")[0], **PLACES[place][0]})


def _clocks(told: dict[str, str | None]) -> Clocks:
    return {DeadlineKind(kind): fires for kind, fires in told.items()}


def _empty() -> Plan:
    return Plan(start={}, anew=(), over=(), pause=(), resume=(), refire={})


# --- each state --------------------------------------------------------------------------------------------------


def test_every_state_is_in_the_table() -> None:
    assert {place.partition(",")[0] for place in PLACES} == set(CaseState)
    assert {kind for _, clocks in PLACES.values() for kind in clocks} == set(DeadlineKind)


@pytest.mark.parametrize("place", PLACES)
def test_each_state_has_the_clocks_of_the_table(place: str) -> None:
    assert wanted(_case(place), {}) == PLACES[place][1]


@pytest.mark.parametrize("place", PLACES)
def test_coming_somewhere_ends_what_ran_before_and_starts_what_the_table_says(place: str) -> None:
    """From a state of which nothing lasts; where a case stands still, what ran before stops instead."""
    clocks = PLACES[place][1]
    before = "response" if "notification" in clocks else "notification"
    todo = plan(_case(place), "any", _clocks({before: "x"}), {})
    assert todo.start == clocks
    still = place.startswith(("awaiting_evidence", "suspended"))
    assert (todo.over, todo.pause) == ((), (before,)) if still else ((before,), ())
    assert (todo.anew, todo.resume, todo.refire) == ((), (), {})


@pytest.mark.parametrize("place", PLACES)
def test_what_changes_nothing_changes_no_clock(place: str) -> None:
    assert plan(_case(place), "take", _clocks(PLACES[place][1]), {}) == _empty()


def test_every_open_state_has_a_limit_of_its_own_which_fires() -> None:
    assert {str(state): str(kind) for state, kind in OWN.items()} == LIMITS
    for place, (_, clocks) in PLACES.items():
        limit = LIMITS.get(place.partition(",")[0])
        assert (limit in clocks) == bool(clocks) or place.endswith("performed")
        assert all(fires is not None for fires in clocks.values())


@pytest.mark.parametrize("fires", ["agree", "request_mediation"])
def test_what_the_policies_chose_for_a_silent_seller_stays_chosen(fires: str) -> None:
    assert plan(_case("seller_notified"), "remind_seller", _clocks({"response": fires}), {}) == _empty()


# --- talks -------------------------------------------------------------------------------------------------------


def _walk(life: Life, *steps: tuple[str, str] | tuple[str, str, dict[str, Any]]) -> Life:
    for action, role, *facts in steps:
        take(life, action, act(role, *facts))
    return life


def _talking() -> Life:
    return _walk(Life.begun(), ("notify_seller", "clock"), ("offer", "seller"))


TOTAL = {"negotiation": "request_mediation"}


def test_a_counter_offer_restarts_its_own_clock_and_leaves_the_total_alone() -> None:
    life = _talking()
    assert dict(life.running) == {"offer": "expire_offer", **TOTAL}
    assert plan(life, "offer", dict(life.running), {}) == Plan(
        start={}, anew=(DeadlineKind.OFFER,), over=(), pause=(), resume=(), refire={}
    )


def test_an_offer_after_a_refusal_begins_the_talks() -> None:
    todo = plan(PlainCase(**_OFFER), "offer", _clocks({"mediation_request": "lapse"}), {})
    assert todo.start == {"offer": "expire_offer", **TOTAL}
    assert (todo.over, todo.anew) == (("mediation_request",), ())


def test_the_total_of_the_talks_survives_offers_that_are_turned_down() -> None:
    life = _talking()
    for _ in range(2):
        _walk(life, ("decline_offer", "buyer"))
        assert dict(life.running) == {"mediation_request": "lapse", **TOTAL}
        # A new offer starts a clock for itself; the total goes on and is not begun anew.
        life_with_offer = PlainCase(**_OFFER)
        todo = plan(life_with_offer, "offer", dict(life.running), {})
        assert todo.start == {"offer": "expire_offer"}
        assert (todo.anew, todo.over) == ((), ("mediation_request",))
        _walk(life, ("offer", "seller"))
        assert dict(life.running) == {"offer": "expire_offer", **TOTAL}
        life.counter_offers_seller = 0


@pytest.mark.parametrize(
    "ending",
    [
        ("request_mediation", "buyer"),
        ("request_mediation", "clock"),
        ("expire_offer", "clock"),
        ("withdraw", "buyer"),
        ("agree", "seller"),
        ("accept_offer", "buyer"),
    ],
)
def test_the_total_of_the_talks_ends_with_them(ending: tuple[str, str]) -> None:
    life = _walk(_talking(), ending)
    assert not {"negotiation", "offer"} & {*dict(life.running), *dict(life.paused)}


def test_talks_that_the_platform_leads_have_no_total() -> None:
    """Neither the mediator's proposal nor what follows when it is turned down counts as talks."""
    life = _walk(_talking(), ("request_mediation", "buyer"), ("propose", "mediator"))
    assert dict(life.running) == {"offer": "expire_offer"}
    _walk(life, ("accept_offer", "buyer", {}))
    assert dict(life.running) == {"offer": "expire_offer"}
    _walk(life, ("decline_offer", "seller"))
    assert dict(life.running) == {"review": "escalate"}


def test_no_total_runs_where_no_offer_was_made() -> None:
    life = _walk(Life.begun(), ("notify_seller", "clock"), ("refuse", "seller"))
    assert dict(life.running) == {"mediation_request": "lapse"}


# --- performance, levels -----------------------------------------------------------------------------------------


def test_performing_replaces_the_sellers_clock_by_the_buyers() -> None:
    case = PlainCase(state="awaiting_performance", performed=True)
    assert plan(case, "perform", _clocks({"performance": "refund_in_place"}), {}) == Plan(
        start=_clocks({"confirmation": "conclude_performance"}),
        anew=(),
        over=(DeadlineKind.PERFORMANCE,),
        pause=(),
        resume=(),
        refire={},
    )


def test_each_level_of_an_escalation_has_the_whole_time_again() -> None:
    case = PlainCase(state="escalated", escalation_reason="complex", level=2)
    todo = plan(case, "raise_level", _clocks({"escalation": "raise_level"}), {})
    assert (todo.anew, todo.start, todo.over) == (("escalation",), {}, ())


@pytest.mark.parametrize("action", ["take", "release", "hand_over"])
def test_taking_an_escalated_case_buys_no_time(action: str) -> None:
    case = PlainCase(state="escalated", escalation_reason="complex", level=1)
    assert plan(case, action, _clocks({"escalation": "raise_level"}), {}) == _empty()


def test_whoever_is_extended_or_reminded_keeps_the_clock_that_runs() -> None:
    """`extend` moves the date of a clock, which is no part of a plan."""
    for place, (_, clocks) in PLACES.items():
        for action in ("extend", "remind_seller"):
            assert plan(_case(place), action, _clocks(clocks), {}) == _empty()


# --- the time to appeal ------------------------------------------------------------------------------------------


def _decided() -> Life:
    life = _walk(Life.begun(), ("notify_seller", "clock"), ("refuse", "seller"), ("request_mediation", "buyer"))
    return _walk(life, ("decide", "mediator"))


def test_the_other_sides_time_to_appeal_goes_on_under_an_appeal_and_fires_nothing_there() -> None:
    assert plan(PlainCase(**_APPEALED), "appeal", _clocks({"appeal": "finalise"}), {}) == Plan(
        start=_clocks({"escalation": "raise_level"}),
        anew=(),
        over=(),
        pause=(),
        resume=(),
        refire={DeadlineKind.APPEAL: NOTHING},
    )
    life = _walk(_decided(), ("appeal", "buyer"))
    assert dict(life.running) == {"escalation": "raise_level", "appeal": NOTHING}
    before = life.running
    _walk(life, ("appeal", "seller"), ("raise_level", "clock"), ("take", "supervisor"))
    assert life.running == before


def test_no_other_escalation_has_a_time_to_appeal() -> None:
    for reason in ("complex", "amount_over_authority", "refund_failed"):
        case = PlainCase(state="escalated", escalation_reason=reason, level=1, decisions_issued=1)
        todo = plan(case, "escalate", _clocks({"appeal": "finalise"}), {})
        assert (todo.over, todo.refire) == (("appeal",), {})


def test_a_time_to_appeal_that_is_not_there_is_not_begun_by_an_appeal() -> None:
    assert wanted(PlainCase(**_APPEALED | {"appeal_until": None}), {}) == {"escalation": "raise_level"}


def test_a_time_to_appeal_from_before_there_were_clocks_gets_its_own() -> None:
    case = PlainCase(**_APPEALED | {"appeal_until": STILL_OPEN})
    assert wanted(case, {}) == {"escalation": "raise_level", "appeal": NOTHING}


def test_a_second_decision_leaves_no_time_to_appeal() -> None:
    life = _walk(_decided(), ("appeal", "buyer"), ("decide", "senior", {"amount_minor": 1, "legs": ("refund",)}))
    assert dict(life.running) == {"refund": "fail_refund"}
    assert life.paused == ()


def test_the_time_to_appeal_stops_while_evidence_is_awaited_in_the_appeal() -> None:
    life = _walk(_decided(), ("appeal", "buyer"), ("request_evidence", "senior", {"from": ("buyer",)}))
    assert dict(life.running) == {"evidence": "default_evidence"}
    assert dict(life.paused) == {"escalation": "raise_level", "appeal": NOTHING}
    assert life.appeal_until is None
    _walk(life, ("default_evidence", "clock"))
    assert dict(life.running) == {"escalation": "raise_level", "appeal": NOTHING}
    assert life.appeal_until == STILL_OPEN


# --- standing still ----------------------------------------------------------------------------------------------

_STOPPED = {"review": "escalate"}


def test_awaiting_evidence_stops_the_review_and_starts_its_own_clock() -> None:
    assert plan(_case("awaiting_evidence"), "request_evidence", _clocks(_STOPPED), {}) == Plan(
        start=_clocks({"evidence": "default_evidence"}),
        anew=(),
        over=(),
        pause=(DeadlineKind.REVIEW,),
        resume=(),
        refire={},
    )


@pytest.mark.parametrize("action", ["evidence_complete", "end_evidence_request", "default_evidence"])
def test_once_evidence_is_there_the_review_goes_on_with_what_it_had_left(action: str) -> None:
    assert plan(_case("under_review"), action, _clocks({"evidence": "default_evidence"}), _clocks(_STOPPED)) == Plan(
        start={}, anew=(), over=(DeadlineKind.EVIDENCE,), pause=(), resume=(DeadlineKind.REVIEW,), refire={}
    )


@pytest.mark.parametrize("place", ["closed", "refund", "awaiting_return"])
def test_what_stands_still_ends_where_the_case_goes_another_way(place: str) -> None:
    todo = plan(_case(place), "agree", _clocks({"evidence": "default_evidence"}), _clocks(_STOPPED))
    assert set(todo.over) == {"evidence", "review"}
    assert (todo.resume, todo.pause) == ((), ())


#: In neither can a case be put to rest, and what is over does not rest either.
_NO_REST = ("suspended", "refund", *FINAL)


@pytest.mark.parametrize("place", [place for place in PLACES if place not in _NO_REST])
def test_a_suspension_stops_every_clock_and_its_end_lets_them_all_go_on(place: str) -> None:
    clocks = _clocks(PLACES[place][1])
    rest = PlainCase(state="suspended", suspended_from=place.partition(",")[0])
    todo = plan(rest, "suspend", clocks, {})
    assert todo.start == {"suspension": "resume"}
    assert (set(todo.pause), todo.over, todo.anew, todo.resume) == (set(clocks), (), (), ())
    again = plan(_case(place), "resume", _clocks({"suspension": "resume"}), clocks)
    assert (set(again.resume), again.over) == (set(clocks), ("suspension",))
    assert (again.start, again.anew, again.pause, again.refire) == ({}, (), (), {})


def test_a_case_that_rests_while_evidence_is_awaited_keeps_both_clocks() -> None:
    life = _walk(Life.begun(), ("notify_seller", "clock"), ("refuse", "seller"), ("request_mediation", "buyer"))
    _walk(life, ("request_evidence", "mediator", {"from": ("buyer", "seller")}))
    awaiting = life.running, life.paused
    assert awaiting == (((DeadlineKind.EVIDENCE, "default_evidence"),), ((DeadlineKind.REVIEW, "escalate"),))
    _walk(life, ("suspend", "mediator"))
    assert dict(life.running) == {"suspension": "resume"}
    assert dict(life.paused) == {"evidence": "default_evidence", "review": "escalate"}
    _walk(life, ("resume", "clock"))
    assert (life.running, life.paused) == awaiting
    _walk(life, ("default_evidence", "clock"))
    assert (dict(life.running), life.paused) == ({"review": "escalate"}, ())


def test_the_total_of_the_talks_stands_still_while_a_case_rests_between_two_offers() -> None:
    life = _walk(_talking(), ("decline_offer", "buyer"))
    before = life.running
    assert "negotiation" in dict(before)
    _walk(life, ("suspend", "senior"))
    assert dict(life.paused) == dict(before)
    _walk(life, ("resume", "clock"))
    assert (life.running, life.paused) == (before, ())


def test_withdrawing_a_case_that_rests_ends_everything() -> None:
    life = _walk(_talking(), ("suspend", "mediator"), ("withdraw", "buyer"))
    assert (life.state, life.running, life.paused) == ("closed", (), ())


# --- any plan ----------------------------------------------------------------------------------------------------

_cases = st.builds(
    PlainCase,
    state=st.sampled_from([state.value for state in CaseState]),
    escalation_reason=st.sampled_from([None, "complex", "appeal", "refund_failed"]),
    open_offer_by=st.sampled_from([None, "buyer", "seller", "mediator"]),
    performed=st.booleans(),
    suspended_from=st.sampled_from([None, "under_review", "awaiting_evidence"]),
)
_fires = st.sampled_from([None, "by_policy", "agree", "finalise", "lapse", "request_mediation"])
_known = st.dictionaries(st.sampled_from(DeadlineKind), st.tuples(_fires, st.booleans()))
_actions = st.sampled_from(["any", *sorted(MOVES_CLOCKS)])


@given(_cases, _known, _actions)
def test_a_plan_accounts_for_every_clock_once(
    case: PlainCase, known: dict[DeadlineKind, tuple[str | None, bool]], action: str
) -> None:
    """Whatever ran or stood still is over, runs or stands still afterwards, and nothing both begins and ends."""
    running = {kind: fires for kind, (fires, runs) in known.items() if runs}
    paused = {kind: fires for kind, (fires, runs) in known.items() if not runs}
    todo = plan(case, action, running, paused)
    start, over = set(todo.start), set(todo.over)
    pause, resume, anew = set(todo.pause), set(todo.resume), set(todo.anew)
    assert not start & known.keys()
    assert over <= known.keys()
    assert pause <= running.keys()
    assert resume <= paused.keys()
    assert anew | set(todo.refire) <= known.keys() - over
    assert not over & (pause | resume | anew)
    assert not anew & (pause | resume)
    after = (running.keys() - over - pause) | resume | anew | start
    assert after == wanted(case, {**running, **paused}).keys()
    # Where the case stands still, only the time of standing still itself ends; elsewhere nothing is left standing.
    still = case.state in ("awaiting_evidence", "suspended")
    assert over == ((known.keys() - after) & {DeadlineKind.SUSPENSION} if still else known.keys() - after)


# --- every way through -------------------------------------------------------------------------------------------


def test_nothing_but_these_begins_a_clock_anew_that_runs() -> None:
    assert {action: str(kind) for action, kind in BEGINS_ANEW.items()} == {
        "offer": "offer",
        "raise_level": "escalation",
    }


def test_a_step_that_moves_no_clock_by_its_name_has_an_empty_plan_wherever_it_is_taken(reached: Reached) -> None:
    """Why the docket may leave the plan alone after most steps that do not change the state."""
    for here, edges in reached.edges.items():
        state = Life(*here).state
        for edge in edges:
            after = Life(*edge.there)
            if after.state == state and edge.action not in (*MOVES_CLOCKS, HAPPENED):
                assert plan(after, edge.action, dict(after.running), dict(after.paused)) == _empty(), (
                    edge.action,
                    after,
                )


def test_in_every_reachable_situation_exactly_the_clocks_of_the_table_run(reached: Reached) -> None:
    for life in reached.lives():
        expected = dict(PLACES[_place(life)][1])
        lasting = {}
        if life.state == "seller_refused":
            lasting = {"negotiation": "request_mediation"}  # If an offer was made.
        if life.state == "escalated" and life.escalation_reason == "appeal":
            expected["appeal"] = NOTHING
        assert expected.items() <= dict(life.running).items() <= {**expected, **lasting}.items(), life
        still = life.state in ("awaiting_evidence", "suspended")
        assert bool(life.paused) == still, life
        assert not dict(life.running).keys() & dict(life.paused).keys(), life


def _place(life: Life) -> str:
    if life.state == "negotiating" and life.open_offer_by == "mediator":
        return "negotiating, a proposal"
    performed = life.state == "awaiting_performance" and life.performed
    return "awaiting_performance, performed" if performed else str(life.state)


class _Told:
    """What must run and what must stand still, told from the steps that were taken and from the table above alone.

    Each time a case comes to stand still, what runs there is put on a pile, and taken from it when the case goes on.
    """

    def __init__(self) -> None:
        self.running = dict(PLACES["opened"][1])
        self.talks = False
        self.pile: list[dict[str, str | None]] = []

    @property
    def paused(self) -> dict[str, str | None]:
        return {kind: fires for clocks in self.pile for kind, fires in clocks.items()}

    def step(self, life: Life, action: str) -> None:
        """The case has come to where it is by this action."""
        self.talks = (self.talks or action == "offer") and (life.suspended_from or life.state) in TALKS
        depth = (life.state == "suspended") + (life.evidence_from is not None)
        if depth > len(self.pile):
            self.pile.append(self.running)
            self.running = dict(PLACES[_place(life)][1])
        elif action in ("resume", "evidence_complete", "end_evidence_request", "default_evidence"):
            while depth < len(self.pile):
                self.running = self.pile.pop()
        elif depth == 0:
            self.pile, self.running = [], self._table(life)

    def _table(self, life: Life) -> dict[str, str | None]:
        clocks = dict(PLACES[_place(life)][1])
        if life.state == "seller_refused" and self.talks:
            clocks |= TOTAL
        if life.state == "escalated" and life.escalation_reason == "appeal":
            clocks["appeal"] = NOTHING
        return clocks


@settings(max_examples=300)
@given(st.lists(st.integers(0, 2**20), min_size=60, max_size=120))
def test_on_any_way_through_exactly_what_is_wanted_runs_and_the_rest_stands_still(choices: list[int]) -> None:
    life, told = Life.begun(), _Told()
    for choice in choices:
        if life.state in FINAL:
            life, told = Life.begun(), _Told()
        rows = rows_of(str(life.state))
        actions = sorted({action for action, _ in rows})
        action, nth = actions[choice % len(actions)], choice // len(actions)
        if action in ("withdraw", "agree", "lapse") and nth % 9:
            continue  # Possible in many places, they would cut most ways short.
        tries = [trial for named, role in rows if named == action for trial in trials(life, action, role)]
        trial = tries[nth % len(tries)]
        try:
            take(life, action, trial)
        except Refused:
            pass  # That it leaves everything as it was shows in what follows.
        else:
            told.step(life, action)
        assert dict(life.running) == told.running, (action, life)
        assert dict(life.paused) == told.paused, (action, life)
        assert wanted(life, {**dict(life.running), **dict(life.paused)}).keys() == told.running.keys()
