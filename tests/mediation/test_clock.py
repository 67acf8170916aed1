"""The clock at work: a deadline fires at its time and once, one that fails harms no other, limits come from a file.

The test holds the hands of the clock; what eight workers do to it at once is in test_clock_under_fire.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result
from sqlalchemy import func, select, text, update
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from mediation import clock, policies
from mediation.cli import main
from mediation.models import Case, Deadline, PolicyVersion, Refund
from mediation.operations import firing, refunds
from mediation.services import Services, build, real_time
from mediation.settings import BadSetting, Settings
from tests.mediation.conftest import Server, make_services, make_settings, patient_policies
from tests.mediation.test_races import require_whole_docket
from tests.mediation.timed import ADDRESS, PARCEL, START, Hands, TimedStory, money, opened

SECOND = timedelta(seconds=1)


@pytest.fixture
def timed(settings: Settings) -> Iterator[TimedStory]:
    """A story in a database of its own, where everything that falls due is this test's."""
    made = make_services(settings)
    yield TimedStory(made, Hands())
    made.engine.dispose()


@pytest.fixture(scope="module")
def house(module_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    made = make_services(make_settings(module_database, tmp_path_factory.mktemp("home")))
    yield made
    made.engine.dispose()


@pytest.fixture
def alone(house: Services) -> TimedStory:
    """A story in the module's database, for a test that fires on its own case and no other."""
    return TimedStory(house, Hands())


def load(story: TimedStory, old: str, new: str) -> int:
    """Put a version in force in which a line of the policies says something else; its number."""
    text_ = patient_policies()
    assert old in text_
    with story.services.sessions.begin() as session:
        return policies.load(
            session, text_.replace(old, new), effective_from=policies.ALWAYS, now=story.hands.now, by="tests"
        )


# --- each kind, once ---------------------------------------------------------------------------------------------


def _returning(timed: TimedStory) -> str:
    case = timed.asked("return_and_refund")
    timed.do("seller", case, "agree", {"return_address": ADDRESS})
    return case


def _inspecting(timed: TimedStory) -> str:
    case = _returning(timed)
    timed.do("buyer", case, "ship_return", PARCEL)
    return case


def _performing(timed: TimedStory) -> str:
    case = timed.asked("reship")
    timed.do("seller", case, "agree")
    return case


def _performed(timed: TimedStory) -> str:
    case = _performing(timed)
    timed.do("seller", case, "perform", PARCEL)
    return case


def _asked_for_evidence(timed: TimedStory, **more: Any) -> str:
    case = timed.at("under_review")
    timed.do("mediator", case, "request_evidence", {"from": "seller", "items": [{"type": "tracking"}], **more})
    return case


def _talking_for_long(timed: TimedStory) -> str:
    """A case whose sides offered and turned down until less is left of the ten days of talks than an offer has."""
    case = timed.at("negotiating")
    for side in ("buyer", "seller") * 3:
        timed.hands.move(hours=38)
        timed.do(side, case, "decline_offer")
        timed.do(side, case, "offer", {"remedy": "partial_refund", "amount": money(200)})
    return case


def _being_paid(timed: TimedStory) -> str:
    """A case whose refund was taken for a try that nobody heard of again."""
    case = timed.at("refund")
    with timed.services.sessions.begin() as session:
        refund = session.scalars(select(Refund.id).where(Refund.case_id == uuid.UUID(case))).one()
        assert refunds.claim(session, refund, "http", timed.services.real(), timedelta(days=9))
    return case


def _suspended(timed: TimedStory) -> str:
    case = timed.at("seller_notified")
    until = timed.hands.now + timedelta(days=3)
    timed.do("mediator", case, "suspend", {"ground": "agreement", "until": until.isoformat()})
    return case


#: kind -> how a case comes to have it; what is entered when it is over; how long it is; where the case is then.
KINDS: dict[str, tuple[Callable[[TimedStory], str], str, timedelta, str]] = {
    "notification": (lambda timed: timed.open(), "notify_seller", timedelta(hours=1), "seller_notified"),
    "response": (lambda timed: timed.asked("refund_only"), "request_mediation", timedelta(hours=48), "under_review"),
    "response, where silence agrees": (
        lambda timed: timed.asked("refund_only", reason="not_shipped"),
        "agree",
        timedelta(hours=48),
        "refund",
    ),
    "offer": (lambda timed: timed.at("negotiating"), "expire_offer", timedelta(hours=48), "under_review"),
    "negotiation": (_talking_for_long, "request_mediation", timedelta(days=10), "under_review"),
    "mediation_request": (lambda timed: timed.at("seller_refused"), "lapse", timedelta(days=7), "closed"),
    "return_shipping": (_returning, "lapse", timedelta(days=7), "closed"),
    "inspection": (_inspecting, "conclude_inspection", timedelta(days=10), "refund"),
    "performance": (_performing, "refund_in_place", timedelta(days=7), "refund"),
    "confirmation": (_performed, "conclude_performance", timedelta(days=10), "closed"),
    "review": (lambda timed: timed.at("under_review"), "escalate", timedelta(hours=48), "escalated"),
    "evidence": (_asked_for_evidence, "default_evidence", timedelta(hours=72), "under_review"),
    "escalation": (lambda timed: timed.at("escalated"), "raise_level", timedelta(hours=24), "escalated"),
    "appeal": (lambda timed: timed.at("decided"), "finalise", timedelta(days=7), "refund"),
    "refund": (_being_paid, "fail_refund", timedelta(hours=24), "escalated"),
    "suspension": (_suspended, "resume", timedelta(days=3), "seller_notified"),
}


@pytest.mark.parametrize("what", KINDS)
def test_a_deadline_fires_at_its_time_and_once(alone: TimedStory, what: str) -> None:
    bring, fires, length, target = KINDS[what]
    case = bring(alone)
    kind = what.partition(",")[0]
    running = alone.deadlines(case)[kind]
    due, before = datetime.fromisoformat(running["at"]), alone.types(case)
    assert due - datetime.fromisoformat(running["started_at"]) == length
    assert due == alone.due(case)
    alone.hands.now = due - timedelta(microseconds=1)
    assert alone.fire(case) == 0
    alone.hands.now = due
    assert (alone.fire(case), alone.fire(case)) == (1, 0)
    entries = alone.entries(case)
    assert [one["type"] for one in entries] == [*before, fires]
    assert (opened(entries[-1])["actor"]["role"], datetime.fromisoformat(entries[-1]["at"])) == ("clock", due)
    assert alone.state(case) == target
    require_whole_docket(alone, case)
    with alone.services.sessions.begin() as session:
        rows = session.scalars(select(Deadline).where(Deadline.case_id == uuid.UUID(case), Deadline.kind == kind)).all()
    ended = [(one.ended, one.done_at) for one in rows if one.due_at == due]
    # What begins anew is the same row with another date.
    assert ended == ([] if fires == "raise_level" else [("fired", due)])


def test_a_refund_that_nobody_ever_tried_has_not_failed_but_gets_its_time_anew(alone: TimedStory) -> None:
    case = alone.at("refund")
    alone.hands.now = due = alone.due(case)
    assert (alone.fire(case), alone.fire(case)) == (1, 0)
    assert (alone.state(case), alone.types(case)[-1]) == ("refund", "payment_awaited")
    assert alone.due(case) == due + timedelta(hours=24)
    alone.work()
    assert alone.state(case) == "refunded"
    require_whole_docket(alone, case)


# --- what fails --------------------------------------------------------------------------------------------------


class NotToday(Exception):
    """What a firing raises in these tests; its words must not get anywhere."""


def _breaks(session: Any, case: Case, now: datetime) -> None:
    raise NotToday("李雷 lives at 1 Dock Road")


@pytest.fixture
def lapse_breaks(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """While this holds, no case can lapse; `undo` mends it."""
    monkeypatch.setitem(firing.FIRES, "lapse", _breaks)
    return monkeypatch


def _overdue(timed: TimedStory) -> str:
    """A case whose buyer, once refused, let the time to ask for mediation go by."""
    case = timed.at("seller_refused")
    timed.hands.now = timed.due(case)
    return case


def _fail_until_set_aside(timed: TimedStory) -> None:
    for _ in range(clock.TRIES):
        with timed.services.sessions.begin() as session:
            moment = clock.next_wake(session)
        assert moment is not None
        timed.hands.now = max(timed.hands.now, moment)
        assert clock.fire_next(timed.services)
        assert not clock.fire_next(timed.services)


def test_a_deadline_that_fails_is_tried_with_growing_pauses_and_set_aside_after_eight(
    timed: TimedStory, lapse_breaks: pytest.MonkeyPatch
) -> None:
    case = _overdue(timed)
    due, pauses = timed.hands.now, []
    with capture_logs() as lines:
        for attempt in range(1, clock.TRIES + 1):
            assert clock.fire_next(timed.services)
            assert not clock.fire_next(timed.services), "it has its pause first"
            standing = timed.deadlines(case)["mediation_request"]
            assert (standing["attempts"], standing["failure"]) == (attempt, "NotToday")
            with timed.services.sessions.begin() as session:
                moment = clock.next_wake(session)
            if moment is not None:
                pauses.append((moment - timed.hands.now).total_seconds())
                timed.hands.now = moment - timedelta(microseconds=1)
                assert not clock.fire_next(timed.services), "the pause is not over"
                timed.hands.now = moment
    assert pauses == [5, 10, 20, 40, 80, 160, 320]
    assert datetime.fromisoformat(timed.deadlines(case)["mediation_request"]["set_aside_at"]) == timed.hands.now
    timed.hands.move(days=30)
    assert not clock.fire_next(timed.services), "what is set aside is tried no more"
    assert datetime.fromisoformat(timed.deadlines(case)["mediation_request"]["at"]) == due
    errors = [(line["event"], line["kind"]) for line in lines if line["log_level"] == "error"]
    assert errors == [("deadline_failed", "mediation_request")] * 8 + [("deadline_set_aside", "mediation_request")]
    assert "Dock Road" not in str(lines) and "李雷" not in str(lines)


def test_setting_aside_is_entered_for_staff_and_told_to_a_supervisor(
    timed: TimedStory, lapse_breaks: pytest.MonkeyPatch
) -> None:
    case = _overdue(timed)
    _fail_until_set_aside(timed)
    entry = timed.entries(case)[-1]
    assert (entry["type"], opened(entry)["actor"]["role"]) == ("deadline_set_aside", "clock")
    assert opened(entry)["facts"] == {"kind": "mediation_request"}
    assert "deadline_set_aside" in timed.notices(case, "supervisor")
    for party in ("buyer", "seller"):
        assert "deadline_set_aside" not in timed.notices(case, party)
        assert "deadline_set_aside" not in [one.get("type") for one in timed.entries(case, party)]
        shown = timed.get(party, f"/cases/{case}/deadlines").get_json()["items"]
        assert all("failure" not in one and "attempts" not in one for one in shown)
    require_whole_docket(timed, case)


def test_a_deadline_that_fails_never_keeps_the_next_one_waiting(
    timed: TimedStory, lapse_breaks: pytest.MonkeyPatch
) -> None:
    failing, next_one = timed.at("seller_refused"), timed.open()
    timed.hands.now = timed.due(failing)
    assert clock.fire_next(timed.services) and timed.state(next_one) == "seller_notified", "the longest over is first"
    timed.hands.now += timedelta(days=1)
    later = [timed.open() for _ in range(3)]
    timed.hands.now += timedelta(hours=1)
    fired = 0
    while clock.fire_next(timed.services):
        fired += 1
    assert fired == 4
    assert [timed.state(one) for one in later] == ["seller_notified"] * 3
    assert timed.state(failing) == "seller_refused"


def test_of_one_case_too_a_deadline_that_fails_lets_the_others_fire(
    timed: TimedStory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(firing.FIRES, "expire_offer", _breaks)
    case = timed.at("negotiating")
    timed.hands.move(days=10)
    assert timed.fire(case) == 2
    assert timed.types(case)[-1] == "request_mediation"
    assert timed.state(case) == "under_review"


def test_people_go_on_acting_on_a_case_whose_deadline_fails(
    timed: TimedStory, lapse_breaks: pytest.MonkeyPatch
) -> None:
    case = _overdue(timed)
    timed.hands.move(minutes=1)
    assert timed.do("buyer", case, "request_mediation")["state"] == "under_review"
    with timed.services.sessions.begin() as session:
        ended = session.execute(select(Deadline.ended, Deadline.attempts).where(Deadline.kind == "mediation_request"))
        assert ended.all() == [("ended", 1)], "it was tried first, and what the buyer did ended it"
    require_whole_docket(timed, case)


def test_people_go_on_acting_on_a_case_whose_deadline_was_set_aside(
    timed: TimedStory, lapse_breaks: pytest.MonkeyPatch
) -> None:
    case = _overdue(timed)
    _fail_until_set_aside(timed)
    filed = timed.post("buyer", f"/cases/{case}/messages", {"text": "Is anybody there?"})
    assert filed.status_code == 201, filed.get_json()
    assert timed.do("buyer", case, "request_mediation")["state"] == "under_review"
    assert timed.deadlines(case).keys() == {"review"}
    assert timed.due(case) == timed.hands.now + timedelta(hours=48)


def test_what_was_set_aside_is_tried_again_when_asked_and_entered(
    timed: TimedStory, lapse_breaks: pytest.MonkeyPatch
) -> None:
    case = _overdue(timed)
    _fail_until_set_aside(timed)
    lapse_breaks.undo()
    timed.hands.move(days=2)
    assert not clock.fire_next(timed.services)
    assert clock.retry_set_aside(timed.services) == 1
    entry = timed.entries(case)[-1]
    assert entry["type"] == "deadline_retried"
    assert "deadline_retried" not in [one.get("type") for one in timed.entries(case, "buyer")]
    assert clock.fire_next(timed.services)
    assert timed.state(case) == "closed"
    require_whole_docket(timed, case)


def test_what_was_set_aside_and_is_over_meanwhile_is_not_tried_again(
    timed: TimedStory, lapse_breaks: pytest.MonkeyPatch
) -> None:
    case = _overdue(timed)
    _fail_until_set_aside(timed)
    timed.do("buyer", case, "withdraw")
    version = timed.case(case)["version"]
    assert clock.retry_set_aside(timed.services) == 0
    assert timed.case(case)["version"] == version


def test_what_was_set_aside_keeps_its_remaining_time_over_a_suspension_and_is_tried_afterwards(
    timed: TimedStory, lapse_breaks: pytest.MonkeyPatch
) -> None:
    case = _overdue(timed)
    _fail_until_set_aside(timed)
    until = timed.hands.now + timedelta(days=1)
    timed.do("mediator", case, "suspend", {"ground": "agreement", "until": until.isoformat()})
    clock.retry_set_aside(timed.services)
    lapse_breaks.undo()
    timed.pass_time(days=1)
    assert timed.types(case)[-2:] == ["resume", "lapse"]


def test_what_the_database_says_at_the_commit_is_a_failure_too(
    timed: TimedStory, monkeypatch: pytest.MonkeyPatch
) -> None:
    lapse = firing.FIRES["lapse"]

    def lapses_and_forges(session: Any, case: Case, now: datetime) -> None:
        lapse(session, case, now)
        # The state without its docket entry: the database looks at that when the transaction ends.
        session.flush()
        session.execute(update(Case).where(Case.id == case.id).values(version=Case.version + 1))

    monkeypatch.setitem(firing.FIRES, "lapse", lapses_and_forges)
    case, other = _overdue(timed), timed.open()
    timed.hands.move(hours=1)
    with capture_logs() as lines:
        assert clock.fire_next(timed.services)
    assert timed.state(case) == "seller_refused"
    standing = timed.deadlines(case)["mediation_request"]
    assert (standing["attempts"], standing["failure"]) == (1, "IntegrityError")
    assert [line["event"] for line in lines] == ["deadline_failed"], "nothing is told as fired that was not"
    assert clock.fire_next(timed.services) and timed.state(other) == "seller_notified"
    require_whole_docket(timed, case)


def test_what_the_driver_refuses_is_a_failure_and_not_a_database_that_is_away(
    timed: TimedStory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(
        firing.FIRES, "lapse", lambda session, case, now: session.execute(text("SELECT :x"), {"x": "\0"})
    )
    case = _overdue(timed)
    assert clock.fire_next(timed.services)
    assert (timed.deadlines(case)["mediation_request"]["attempts"], clock.fire_next(timed.services)) == (1, False)


@pytest.mark.parametrize("when", ["while it fires", "at the commit"])
def test_a_database_that_goes_away_is_no_failure_of_the_deadline(
    timed: TimedStory, server: Server, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    lapse = firing.FIRES["lapse"]

    def cut(session: Any, case: Case, now: datetime) -> None:
        lapse(session, case, now)
        pid = session.scalar(select(func.pg_backend_pid()))
        gone = f"SELECT pg_terminate_backend({pid}, 5000)"
        if when == "at the commit":
            session.flush()
            monkeypatch.setattr(clock, "_require_over", lambda *args: server.execute(gone))
        else:
            server.execute(gone)

    monkeypatch.setitem(firing.FIRES, "lapse", cut)
    case = _overdue(timed)
    with pytest.raises(OperationalError):
        clock.fire_next(timed.services)
    standing = timed.deadlines(case)["mediation_request"]
    assert (standing["attempts"], standing["failure"], timed.state(case)) == (0, None, "seller_refused")
    monkeypatch.undo()
    assert clock.fire_next(timed.services)
    assert timed.state(case) == "closed"
    require_whole_docket(timed, case)


def test_a_deadline_that_failed_while_somebody_extended_it_keeps_its_new_date(
    timed: TimedStory, lapse_breaks: pytest.MonkeyPatch
) -> None:
    case = _overdue(timed)
    timed.hands.move(minutes=1)
    later = timed.hands.now + timedelta(days=3)
    write_down = clock._write_down

    def after_somebody_was_quicker(*args: Any) -> None:
        lapse_breaks.setattr(clock, "_write_down", write_down)
        # The same failure meets the mediator's act, which comes first all the same.
        timed.do("mediator", case, "extend", {"due": later.isoformat(), "reason": "The buyer was ill."})
        write_down(*args)

    lapse_breaks.setattr(clock, "_write_down", after_somebody_was_quicker)
    assert clock.fire_next(timed.services)
    lapse_breaks.undo()
    standing = timed.deadlines(case)["mediation_request"]
    assert (standing["attempts"], datetime.fromisoformat(standing["at"])) == (0, later)
    timed.hands.now = later - SECOND
    assert not clock.fire_next(timed.services), "not before its new date"
    timed.hands.now = later
    assert clock.fire_next(timed.services)
    assert timed.state(case) == "closed"


def test_what_a_deadline_fires_must_end_it(timed: TimedStory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(firing.FIRES, "lapse", lambda session, case, now: None)
    case = _overdue(timed)
    assert (clock.fire_next(timed.services), clock.fire_next(timed.services)) == (True, False)
    assert timed.deadlines(case)["mediation_request"]["failure"] == "NothingFired"


class Ticking(Hands):
    """Hands that go on by themselves, a little each time somebody looks."""

    def __call__(self) -> datetime:
        self.move(milliseconds=1)
        return self.now


def test_a_deadline_that_is_over_again_at_once_is_not_fired_for_ever(settings: Settings) -> None:
    made = make_services(settings)
    story = TimedStory(made, Ticking())
    load(story, 'escalation = "24h"', 'escalation = "0"')
    case = story.at("escalated")
    tries = [clock.fire_next(story.services) for _ in range(20)]
    assert sum(tries) == 1, "it failed once and has its pause"
    assert story.deadlines(case)["escalation"]["failure"] == "NothingFired"
    assert story.case(case)["level"] == 1
    made.engine.dispose()


# --- cases without a clock ---------------------------------------------------------------------------------------


def _forget_clocks(database: str, *cases: str) -> None:
    """Leave these cases as a database has them that is older than its clocks."""
    with psycopg.connect(database.replace("+psycopg", ""), autocommit=True) as owner:
        for case in cases:
            owner.execute("DELETE FROM deadlines WHERE case_id = %s", [case])
            owner.execute("UPDATE cases SET due_at = NULL, appeal_until = NULL WHERE id = %s", [case])


#: state -> the clock that it has by itself, and what that fires.
OWN_CLOCKS = {
    "opened": ("notification", "notify_seller"),
    "seller_notified": ("response", "request_mediation"),
    "seller_refused": ("mediation_request", "lapse"),
    "under_review": ("review", "escalate"),
    "escalated": ("escalation", "raise_level"),
    "decided": ("appeal", "finalise"),
    "refund": ("refund", "fail_refund"),
}


def test_open_cases_without_a_clock_get_one_that_begins_now(timed: TimedStory, database: str) -> None:
    cases = {state: timed.at(state) for state in OWN_CLOCKS}
    ended = timed.at("closed")
    _forget_clocks(database, *cases.values())
    timed.hands.move(days=60)
    assert not clock.fire_next(timed.services), "what was never begun is not over"
    assert clock.start_missing(timed.services) == len(cases)
    for state, case in cases.items():
        kind, fires = OWN_CLOCKS[state]
        (running,) = timed.deadlines(case).values()
        assert (running["kind"], running["fires"]) == (kind, fires)
        assert datetime.fromisoformat(running["started_at"]) == timed.hands.now
        entry = timed.entries(case)[-1]
        assert (entry["type"], opened(entry)["deadlines"][0]["change"]) == ("clock_started", "started")
        require_whole_docket(timed, case)
    assert timed.types(ended) == ["open", "withdraw"]
    assert clock.start_missing(timed.services) == 0
    timed.pass_time(days=10)
    assert timed.state(cases["opened"]) == "escalated"
    assert timed.state(cases["decided"]) == "refunded"


def test_a_case_whose_clock_cannot_be_started_keeps_no_other_waiting(
    timed: TimedStory, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, sound = timed.open(), timed.open()
    _forget_clocks(database, broken, sound)
    record_deadlines = clock.docket.record_deadlines

    def breaks_on_one(session: Any, case: Case, *args: Any) -> Any:
        if str(case.id) == broken:
            raise NotToday("李雷")
        return record_deadlines(session, case, *args)

    monkeypatch.setattr(clock.docket, "record_deadlines", breaks_on_one)
    with capture_logs() as lines:
        assert clock.start_missing(timed.services) == 1
    assert [(line["event"], line["case"], line["error"]) for line in lines] == [
        ("clock_not_started", broken, "NotToday")
    ]
    assert (timed.deadlines(broken), timed.deadlines(sound).keys()) == ({}, {"notification"})
    monkeypatch.undo()
    assert clock.start_missing(timed.services) == 1


# --- `mediation clock` -------------------------------------------------------------------------------------------


@pytest.fixture
def today(settings: Settings) -> Iterator[TimedStory]:
    """A story that begins at the machine's own time, which is what the command line goes by."""
    made = make_services(settings)
    yield TimedStory(made, Hands(real_time()))
    made.engine.dispose()


def command(story: TimedStory, *arguments: str) -> Result:
    """Run `mediation` with these arguments over the story's database."""
    kept = story.services.settings
    env = {"DATABASE_URL": kept.database_url, "MEDIATION_HOME": str(kept.home)}
    return CliRunner().invoke(main, list(arguments), env=env)


def counts(told: dict[str, Any]) -> dict[str, int]:
    return {name: value for name, value in told.items() if name != "worst" and value}


def test_the_status_of_the_clock_is_fine_as_long_as_nothing_is_late(today: TimedStory) -> None:
    told = command(today, "clock", "status", "--json")
    assert (told.exit_code, counts(json.loads(told.output)), json.loads(told.output)["worst"]) == (0, {}, [])
    today.at("under_review")
    today.open()
    told = command(today, "clock", "status", "--json")
    assert told.exit_code == 0, told.output
    assert counts(json.loads(told.output)) == {"running": 2, "due_within_an_hour": 1}
    _asked_for_evidence(today)
    assert counts(json.loads(command(today, "clock", "status", "--json").output)) == {
        "running": 3,
        "standing_still": 1,
        "due_within_an_hour": 1,
    }


def test_a_deadline_late_by_more_than_a_minute_is_told_with_the_exit_status(today: TimedStory) -> None:
    today.hands.move(hours=-1, seconds=-5)
    today.open()
    assert command(today, "clock", "status").exit_code == 0, "the clock may be about to fire it"
    today.hands.move(seconds=-100)
    case = today.open()
    told = command(today, "clock", "status", "--json")
    assert told.exit_code == 1
    found = json.loads(told.output)
    assert counts(found) == {"running": 2, "late": 2}
    assert found["worst"][0]["case"] == today.case(case)["reference"]
    assert found["worst"][0]["late_seconds"] > 100
    assert (found["worst"][0]["kind"], found["worst"][0]["fires"]) == ("notification", "notify_seller")


def test_what_fails_and_what_was_set_aside_is_told_in_text_and_for_programs_and_tried_again(
    today: TimedStory, lapse_breaks: pytest.MonkeyPatch
) -> None:
    today.hands.move(days=-8)
    aside = today.at("seller_refused")
    today.hands.now = today.due(aside)
    _fail_until_set_aside(today)
    today.hands.now = real_time() - timedelta(days=7, seconds=4)
    failing = today.at("seller_refused")
    today.hands.now = today.due(failing)
    assert clock.fire_next(today.services)
    told = command(today, "clock", "status", "--json")
    found = json.loads(told.output)
    assert (told.exit_code, counts(found)) == (1, {"running": 2, "late": 1, "failing": 1, "set_aside": 1})
    first, second = found["worst"]
    assert (first["case"], first["set_aside"], first["attempts"]) == (today.case(aside)["reference"], True, 8)
    assert (second["case"], second["set_aside"], second["attempts"]) == (today.case(failing)["reference"], False, 1)
    assert {first["failure"], second["failure"]} == {"NotToday"}
    assert len(json.loads(command(today, "clock", "status", "--json", "--limit", "1").output)["worst"]) == 1
    text_ = command(today, "clock", "status")
    assert text_.exit_code == 1
    for words in ("1  failing", "1  set aside", "NotToday", "lapse"):
        assert words in text_.output, text_.output
    assert "Dock Road" not in text_.output + told.output
    assert command(today, "clock", "retry").output == "1 will be tried again\n"
    assert command(today, "clock", "retry").output == "0 will be tried again\n"
    lapse_breaks.undo()
    today.hands.now = real_time() + timedelta(minutes=1)
    assert clock.fire_next(today.services) and clock.fire_next(today.services)
    assert (today.state(aside), today.state(failing)) == ("closed", "closed")
    assert command(today, "clock", "status").exit_code == 0


def test_the_status_names_each_case_whole_also_where_it_is_no_terminal_that_reads(
    today: TimedStory, lapse_breaks: pytest.MonkeyPatch
) -> None:
    today.hands.move(days=-8)
    case = _overdue(today)
    _fail_until_set_aside(today)
    told = command(today, "clock", "status").output
    for word in (today.case(case)["reference"], "seller_refused", "mediation_request"):
        assert word in told, told


# --- policies: limits that come from a file ----------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of policies, to be edited: the seller has a day to answer."""
    path = tmp_path / "policies.toml"
    path.write_text(patient_policies().replace('response = "48h"', 'response = "24h"'), encoding="utf-8")
    return path


def edit(path: Path, old: str, new: str) -> None:
    """What an editor does to the file."""
    kept = path.read_text(encoding="utf-8")
    assert old in kept
    path.write_text(kept.replace(old, new), encoding="utf-8")


def test_the_shipped_policies_can_be_printed_and_loaded_as_they_are(today: TimedStory, tmp_path: Path) -> None:
    printed = command(today, "policies", "shipped")
    (tmp_path / "shipped.toml").write_text(printed.output, encoding="utf-8")
    checked = command(today, "policies", "check", str(tmp_path / "shipped.toml"))
    assert (checked.exit_code, checked.output) == (0, "Shipped defaults: 4 rows, 13 categories\n")
    assert command(today, "policies", "load", str(tmp_path / "shipped.toml")).exit_code == 0
    assert today.get("buyer", "/policies/current").get_json()["name"] == "Shipped defaults"


def test_a_file_that_cannot_be_loaded_is_refused_with_everything_that_is_wrong(today: TimedStory, file: Path) -> None:
    edit(file, 'offer = "48h"', 'offer = "two days"')
    edit(file, 'review = "48h"', "reviewing = 48")
    edit(file, 'id = "fresh-food"', 'id = "base"')
    edit(file, "share_percent = 30", "share_percent = 130")
    for verb in ("check", "load"):
        refused = command(today, "policies", verb, str(file))
        assert refused.exit_code == 2
        for place in (
            "rows.0.limits.offer",
            "rows.0.limits.reviewing",
            "rows.0.limits.review",
            "rows.3.id",
            "rows.0.compensation.share_percent",
        ):
            assert f"{place}: " in refused.output, refused.output
    assert command(today, "policies", "list").output.count("\n") == 1, "nothing of it was loaded"
    file.write_bytes(b"name = \xff")
    assert command(today, "policies", "check", str(file)).exit_code == 2
    file.write_text("name =\ncategories = []\n", encoding="utf-8")
    assert "line 1" in command(today, "policies", "check", str(file)).output


def test_a_new_version_holds_for_clocks_that_begin_and_changes_none_that_runs(today: TimedStory, file: Path) -> None:
    before = today.asked("refund_only")
    due = today.due(before)
    loaded = command(today, "policies", "load", str(file))
    assert loaded.exit_code == 0 and loaded.output.startswith("version 2, in force from "), loaded.output
    _look_again(today)
    today.hands.now = real_time()
    after = today.asked("refund_only")
    assert today.due(after) == today.hands.now + timedelta(hours=24)
    assert today.case(after)["deadlines"][0]["policy"] == {"version": 2, "row": "base"}
    assert (today.due(before), today.case(before)["deadlines"][0]["policy"]["version"]) == (due, 1)
    listed = command(today, "policies", "list").output.splitlines()
    assert [line[:6] for line in listed] == ["*    2", "     1"]


def test_a_version_can_be_put_on_file_for_a_day_to_come(today: TimedStory, file: Path) -> None:
    begins = real_time() + timedelta(days=30)
    loaded = command(today, "policies", "load", str(file), "--from", begins.isoformat())
    assert loaded.output == f"version 2, in force from {begins:%Y-%m-%d %H:%M:%S}Z\n"
    assert [line[:6] for line in command(today, "policies", "list").output.splitlines()] == ["     2", "*    1"]
    before = today.asked("refund_only")
    today.hands.now = begins
    _look_again(today)
    after = today.asked("refund_only")
    assert today.due(after) == begins + timedelta(hours=24)
    assert today.case(before)["deadlines"][0]["policy"]["version"] == 1


def _look_again(story: TimedStory) -> None:
    """Have the story's process look for versions now, as it does by itself every other second."""
    with story.services.sessions.begin() as session:
        policies.book(session).forget()


def test_a_version_that_cannot_begin_so_is_refused(today: TimedStory, file: Path) -> None:
    for options, why in (
        (("--from", "2020-01-01T00:00:00Z"), "must not lie in the past"),
        (("--from", "2127-01-01T00:00:00"), "must say its offset from UTC"),
        (("--from", "tomorrow"), "must be a time like"),
        (("--from", "2127-01-01T00:00:00Z", "--recount"), "--recount wants a version in force at once"),
    ):
        refused = command(today, "policies", "load", str(file), *options)
        assert (refused.exit_code, why in refused.output) == (2, True), refused.output
    assert command(today, "policies", "list").output.count("\n") == 1


def test_counting_anew_gives_running_clocks_the_new_limit_less_what_is_used_up(today: TimedStory, file: Path) -> None:
    today.hands.move(hours=-10)
    shorter, lapsing, other = today.asked("refund_only"), today.at("seller_refused"), today.open()
    dues = {case: today.due(case) for case in (shorter, lapsing, other)}
    today.hands.move(hours=-20)
    over = today.asked("refund_only")
    today.hands.now = real_time()
    edit(file, 'mediation_request = "7d"', 'mediation_request = "8d"')
    loaded = command(today, "policies", "load", str(file), "--recount")
    assert loaded.exit_code == 0
    assert loaded.output.splitlines()[-1] == "3 of 4 cases have other dates now"
    assert today.due(shorter) == dues[shorter] - timedelta(hours=24)
    assert today.due(lapsing) == dues[lapsing] + timedelta(hours=24)
    entry = today.entries(over)[-1]
    assert today.due(over) == datetime.fromisoformat(entry["at"]), "it is over at once, and not before it was said"
    entry = today.entries(shorter)[-1]
    assert (entry["type"], opened(entry)["actor"]["role"]) == ("deadlines_recounted", "system")
    (change,) = opened(entry)["deadlines"]
    assert (change["kind"], change["change"], change["policy"]) == (
        "response", "recounted", {"version": 2, "row": "base"},
    )  # fmt: skip
    assert datetime.fromisoformat(change["due_at"]) == today.due(shorter)
    assert today.due(other) == dues[other]
    assert "deadlines_recounted" not in today.types(other)
    assert command(today, "policies", "recount").output.splitlines()[-1] == "0 of 4 cases have other dates now"
    for case in (shorter, lapsing, other, over):
        require_whole_docket(today, case)


def test_counting_anew_gives_clocks_that_stand_still_what_they_will_have_left(today: TimedStory, file: Path) -> None:
    today.hands.move(hours=-5)
    case = today.at("under_review")
    named = today.at("under_review")
    today.hands.now = real_time()
    until = today.hands.now + timedelta(days=2)
    ask = {"from": "seller", "items": [{"type": "tracking"}]}
    today.do("mediator", case, "request_evidence", ask)
    today.do("mediator", named, "request_evidence", ask | {"due": until.isoformat()})
    left = today.deadlines(case)["review"]["remaining_seconds"]
    edit(file, 'review = "48h"', 'review = "72h"')
    edit(file, 'evidence = "72h"', 'evidence = "24h"')
    assert command(today, "policies", "load", str(file), "--recount").exit_code == 0
    standing = today.deadlines(case)["review"]
    assert (standing["at"], standing["remaining_seconds"]) == (None, left + 24 * 3600)
    assert standing["policy"] == {"version": 2, "row": "base"}
    assert today.due(case) == today.hands.now + timedelta(hours=24)
    assert today.due(named) == until, "a date that a person named stays"
    today.hands.now = real_time()
    back = today.do("mediator", case, "end_evidence_request")
    assert datetime.fromisoformat(back["deadline"]["at"]) == today.hands.now + timedelta(seconds=left + 24 * 3600)


def test_counting_anew_also_says_what_silence_does_now(today: TimedStory, file: Path) -> None:
    case = today.asked("refund_only")
    due = today.due(case)
    edit(file, 'response = "24h"', 'response = "48h"')
    edit(file, 'fires = "request_mediation"', 'fires = "agree"')
    assert command(today, "policies", "load", str(file), "--recount").exit_code == 0
    assert today.case(case)["deadline"]["fires"] == "agree"
    assert abs(today.due(case) - due) < timedelta(milliseconds=1)
    today.hands.now = today.due(case)
    today.work()
    assert today.state(case) == "refunded"


# --- POLICY_FILE -------------------------------------------------------------------------------------------------


def _from_file(settings: Settings, file: Path) -> Services:
    return make_services(make_settings(str(settings.database_url), settings.home, policy_file=file))


def test_a_limit_is_changed_by_editing_the_file_of_policies_and_nothing_else(settings: Settings, file: Path) -> None:
    lengths = []
    for hours in (24, 36, 12):
        made = _from_file(settings, file)
        story = TimedStory(made, Hands(real_time()))
        case = story.asked("refund_only")
        lengths.append((hours, story.due(case) - story.hands.now))
        made.engine.dispose()
        edit(file, f'response = "{hours}h"', f'response = "{36 if hours == 24 else 12}h"')
    assert lengths == [(hours, timedelta(hours=hours)) for hours in (24, 36, 12)]


def test_a_file_that_was_loaded_is_not_loaded_again_at_the_next_start(settings: Settings, file: Path) -> None:
    for _ in range(3):
        made = _from_file(settings, file)
        with made.sessions.begin() as session:
            assert session.scalars(select(PolicyVersion.loaded_by).order_by(PolicyVersion.version)).all() == [
                "tests",
                "policies.toml",
            ]
        made.engine.dispose()


@pytest.mark.parametrize("content", [b'name = "half a f', b"name = \xff", None, b""])
def test_a_file_of_policies_that_cannot_be_read_stops_the_start_and_names_the_setting(
    timed: TimedStory, file: Path, content: bytes | None
) -> None:
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    kept = timed.services.settings
    with pytest.raises(BadSetting, match="POLICY_FILE"):
        build(make_settings(str(kept.database_url), kept.home, policy_file=file), engine=timed.services.engine)


# --- hours and days that count -----------------------------------------------------------------------------------


def at(text_: str) -> datetime:
    """A moment by Shanghai's wall clock."""
    return datetime.fromisoformat(f"{text_}+08:00").astimezone(UTC)


def test_an_evidence_window_of_four_office_hours_comes_out_right_across_the_night(timed: TimedStory) -> None:
    load(timed, 'evidence = "72h"', 'evidence = "4h within 09:00-18:00"')
    timed.hands.now = at("2026-11-05 16:30")
    case = _asked_for_evidence(timed)
    found = timed.case(case)["deadlines"]
    evidence = next(one for one in found if one["kind"] == "evidence")
    assert datetime.fromisoformat(evidence["at"]) == at("2026-11-06 11:30")
    assert (evidence["hours"], evidence["provisional"]) == ("4h within 09:00-18:00", False)
    timed.hands.now = at("2026-11-06 11:29:59")
    assert timed.fire(case) == 0
    timed.hands.now = at("2026-11-06 11:30")
    assert timed.fire(case) == 1
    assert timed.state(case) == "under_review"


def test_office_hours_count_from_whenever_evidence_is_asked_for(timed: TimedStory) -> None:
    load(timed, 'evidence = "72h"', 'evidence = "4h within 09:00-18:00"')
    for asked, due in (
        ("2026-11-05 09:00", "2026-11-05 13:00"),
        ("2026-11-05 14:00", "2026-11-05 18:00"),
        ("2026-11-05 18:00", "2026-11-06 13:00"),
        ("2026-11-05 23:00", "2026-11-06 13:00"),
        ("2026-11-06 03:00", "2026-11-06 13:00"),
        ("2026-11-06 17:59:30", "2026-11-07 12:59:30"),
    ):
        timed.hands.now = at(asked)
        assert timed.due(_asked_for_evidence(timed)) == at(due), asked


def test_office_hours_that_stand_still_go_on_with_what_was_left(timed: TimedStory) -> None:
    load(timed, 'evidence = "72h"', 'evidence = "4h within 09:00-18:00"')
    timed.hands.now = at("2026-11-05 16:30")
    case = _asked_for_evidence(timed)
    timed.hands.now = at("2026-11-05 23:00")
    until = at("2026-11-08 17:00")
    timed.do("mediator", case, "suspend", {"ground": "agreement", "until": until.isoformat()})
    assert timed.deadlines(case)["evidence"]["remaining_seconds"] == 2.5 * 3600
    timed.pass_time(days=2, hours=18)
    assert timed.hands.now == until
    assert (timed.state(case), timed.due(case)) == ("awaiting_evidence", at("2026-11-09 10:30"))


def test_seven_working_days_over_the_national_day_week_count_its_shifted_days(timed: TimedStory) -> None:
    load(timed, 'mediation_request = "7d"', 'mediation_request = "7 working days"')
    # Off from 1 to 7 October 2026, with Saturday the 10th worked in return (notice of the State Council's office).
    timed.hands.now = at("2026-09-30 10:00")
    case = timed.at("seller_refused")
    (running,) = timed.case(case)["deadlines"]
    assert datetime.fromisoformat(running["at"]) == at("2026-10-15 10:00")
    assert (running["hours"], running["provisional"]) == ("7 working days", False)
    timed.pass_time(days=14, hours=23, minutes=59)
    assert timed.state(case) == "seller_refused"
    timed.pass_time(minutes=1)
    assert timed.state(case) == "closed"


def test_a_court_has_seven_working_days_for_its_file_number(timed: TimedStory) -> None:
    timed.hands.now = at("2026-09-30 10:00")
    case = timed.at("seller_refused")
    late = timed.act("mediator", case, "suspend", {"ground": "court_docket", "until": "2026-10-15T02:00:01Z"})
    assert (late.status_code, late.get_json()["code"]) == (422, "suspension_too_long")
    assert "2026-10-15T02:00:00Z" in late.get_json()["detail"]
    timed.do("mediator", case, "suspend", {"ground": "court_docket", "until": "2026-10-15T02:00:00Z"})
    assert timed.due(case) == at("2026-10-15 10:00")


def test_a_year_whose_holidays_are_not_published_is_counted_provisionally_and_says_so(timed: TimedStory) -> None:
    load(timed, 'mediation_request = "7d"', 'mediation_request = "7 working days"')
    timed.hands.now = at("2031-03-03 10:00")
    (running,) = timed.case(timed.at("seller_refused"))["deadlines"]
    assert (running["provisional"], datetime.fromisoformat(running["at"])) == (True, at("2031-03-12 10:00"))


def test_of_several_claims_the_longest_limit_holds_and_the_case_names_version_and_row(timed: TimedStory) -> None:
    assert load(timed, 'mediation_request = "7d"', 'mediation_request = "6d"') == 2
    lengths = {}
    for categories in (("fresh_food",), ("fresh_food", "toys"), ("fresh_food", "fresh_food")):
        body = timed.case_body(claims=[3_000] * len(categories))
        for line, category in zip(body["order"]["lines"], categories, strict=True):
            line["category"] = category
        case = timed.post("platform", "/cases", body).get_json()["id"]
        (running,) = timed.do("platform", case, "notify_seller")["deadlines"]
        lengths[categories] = datetime.fromisoformat(running["at"]) - START, running["policy"], running["hours"]
    assert lengths == {
        ("fresh_food",): (timedelta(hours=24), {"version": 2, "row": "fresh-food"}, "1d"),
        ("fresh_food", "toys"): (timedelta(hours=48), {"version": 2, "row": "base"}, "2d"),
        ("fresh_food", "fresh_food"): (timedelta(hours=24), {"version": 2, "row": "fresh-food"}, "1d"),
    }


def test_silence_agrees_only_where_the_policies_say_so_of_every_claim(timed: TimedStory) -> None:
    assert timed.case(timed.asked("return_and_refund", "return_and_refund"))["deadline"]["fires"] == "agree"
    assert timed.case(timed.asked("return_and_refund", "repair"))["deadline"]["fires"] == "request_mediation"


def test_a_limit_for_a_region_holds_in_its_parts_and_nowhere_else(timed: TimedStory) -> None:
    rows = '\n[[rows]]\nid = "shanghai"\nregion = "CN-SH"\n[rows.limits]\nresponse = "12h"\n'
    rows += '\n[[rows]]\nid = "china"\nregion = "CN"\n[rows.limits]\nresponse = "36h"\n'
    with timed.services.sessions.begin() as session:
        policies.load(
            session, patient_policies() + rows, effective_from=policies.ALWAYS, now=timed.hands.now, by="tests"
        )
    found = {}
    for region in ("CN-SH", "CN-BJ", "US"):
        case = timed.asked("refund_only", region=region)
        found[region] = timed.due(case) - START, timed.case(case)["deadlines"][0]["policy"]["row"]
    assert found == {
        "CN-SH": (timedelta(hours=12), "shanghai"),
        "CN-BJ": (timedelta(hours=36), "china"),
        "US": (timedelta(hours=48), "base"),
    }
