"""The worker as it runs: several at once, killed, cut off from its database, its queue lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from structlog.testing import capture_logs

from mediation import clock, jobs, policies
from mediation import worker as working
from mediation.jobs import Hinter
from mediation.operations import ledger, refunds
from tests.mediation.conftest import Server, patient_policies
from tests.mediation.story import Story
from tests.mediation.worker_process import WorkerProcess, environment, wait_until

MANY, SOME = 60, 16
Start = Callable[..., WorkerProcess]


@pytest.fixture
def start(database: str, tmp_path: Path) -> Iterator[Start]:
    """Starts real workers with the ledger, and sees to their end."""
    started: list[WorkerProcess] = []

    def one(**settings: str) -> WorkerProcess:
        started.append(WorkerProcess(environment(database, tmp_path, LOG_FORMAT="json", **settings)))
        return started[-1]

    yield one
    for worker in started:
        worker.close()


@pytest.fixture
def owner(database: str) -> Iterator[psycopg.Connection]:
    """A connection with all rights, in the queue's schema."""
    url = database.replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(url, autocommit=True, options="-c search_path=procrastinate,public") as connection:
        yield connection


def rows(story: Story, query: str, **values: object) -> list[tuple[object, ...]]:
    with story.services.sessions.begin() as session:
        return [tuple(row) for row in session.execute(text(query), values)]


def settled(story: Story) -> int:
    return int(str(rows(story, "SELECT count(*) FROM refunds WHERE status = 'settled'")[0][0]))


def ask_for(story: Story, count: int) -> None:
    """So many refunds, each of its own case and order, asked for over the API."""
    with ThreadPoolExecutor(4) as pool:
        # Each thread with a test client of its own.
        list(pool.map(lambda _: Story(story.app, story.services).at("refund"), range(count)))


def each_settled_once(story: Story, count: int) -> None:
    assert rows(story, "SELECT status, count(*) FROM refunds GROUP BY status") == [("settled", count)]
    assert rows(story, "SELECT sum(reserved_minor), sum(refunded_minor) FROM orders") == [(0, count * 12_900)]
    movements = (
        "SELECT count(*), count(DISTINCT refund_id), sum(amount_minor), sum(abs(amount_minor)) FROM ledger_entries"
    )
    assert rows(story, movements) == [(2 * count, count, 0, 2 * count * 12_900)]
    settlings = "SELECT count(*), count(DISTINCT case_id) FROM docket_entries WHERE type = 'settle_refund'"
    assert rows(story, settlings) == [(count, count)]
    gaps = "SELECT case_id FROM docket_entries GROUP BY case_id HAVING max(seq) <> count(*)"
    assert rows(story, gaps) == []
    assert rows(story, "SELECT DISTINCT state FROM cases") == [("refunded",)]


def both_outputs(*workers: WorkerProcess) -> Callable[[], str]:
    return lambda: "\n---\n".join(worker.output for worker in workers)


def test_two_workers_settle_many_refunds_once_each(story, start):
    ask_for(story, MANY)
    workers = start(), start()
    wait_until(lambda: settled(story) == MANY, "all were settled", both_outputs(*workers))
    assert [worker.stop() for worker in workers] == [0, 0]
    each_settled_once(story, MANY)
    assert rows(story, "SELECT DISTINCT attempts FROM refunds") == [(1,)]
    tried = [worker.output.count("refund_tried") for worker in workers]
    assert sum(tried) == MANY and min(tried) > 0, f"both took part: {tried}"
    for words in ("李雷", "Kettle House", "buyer-1", "shop-17"):
        assert words not in both_outputs(*workers)()


def test_a_worker_killed_midway_leaves_the_rest_to_the_other(story, start, owner):
    ask_for(story, SOME)
    first, second = start(), start()
    wait_until(lambda: settled(story) > 0, "the first was settled", both_outputs(first, second))
    first.kill()
    wait_until(lambda: settled(story) == SOME, "all were settled", both_outputs(first, second))
    each_settled_once(story, SOME)


def test_jobs_of_a_dead_worker_block_nothing_and_are_forgotten(story, start, owner):
    ask_for(story, 3)
    refund_ids = [str(row[0]) for row in rows(story, "SELECT id FROM refunds")]
    # As a worker leaves them that was killed: taken, with its own row long silent.
    (dead,) = owner.execute(
        "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '1 hour') RETURNING id"
    ).fetchone()
    leave = (
        "INSERT INTO procrastinate_jobs (queue_name, task_name, queueing_lock, args, status, worker_id)"
        " VALUES ('default', %s, %s, '{}', 'doing', %s)"
    )
    for lock in (jobs.SWEEP, *(f"mediation.pay_refund:{one}" for one in refund_ids)):
        owner.execute(leave, (lock.split(":")[0], lock, dead))
    worker = start()
    wait_until(lambda: settled(story) == 3, "all were settled", lambda: worker.output)
    each_settled_once(story, 3)

    def forgotten() -> bool:
        left = owner.execute("SELECT count(*) FROM procrastinate_jobs WHERE worker_id IS NULL AND status = 'doing'")
        return left.fetchone() == (0,)

    wait_until(forgotten, "the dead one's jobs were forgotten", lambda: worker.output)


def test_a_queue_that_is_wiped_midway_costs_time_only(story, start, owner):
    ask_for(story, SOME)
    workers = start(), start()
    wait_until(lambda: settled(story) > 0, "the first was settled", both_outputs(*workers))
    owner.execute("TRUNCATE procrastinate_jobs, procrastinate_periodic_defers, procrastinate_events")
    wait_until(lambda: settled(story) == SOME, "all were settled", both_outputs(*workers))
    each_settled_once(story, SOME)


def test_a_hint_wakes_the_worker_at_once_and_without_one_it_comes_by_itself(story, start, database, owner):
    worker = start().until_started()
    hint = Hinter(database)
    took = []
    try:
        for hinted in (True, True, True, False):
            before = settled(story)
            ask_for(story, 1)
            asked = time.monotonic()
            if hinted:
                hint()
            wait_until(lambda before=before: settled(story) > before, "it was settled", lambda: worker.output)
            took.append(time.monotonic() - asked)
    finally:
        hint.close()
    assert sorted(took[:3])[1] < 1.0, f"seconds with a hint: {took[:3]}"
    assert took[3] < 5.0, f"seconds without: {took[3]}"
    # What the queue leaves behind does not grow with the time it runs.
    assert worker.stop() == 0, worker.output
    left = [
        owner.execute(f"SELECT count(*) FROM procrastinate_{table}").fetchone()[0]  # type: ignore[arg-type]
        for table in ("workers", "jobs", "events", "periodic_defers")
    ]
    # One row for each of the four periodic tasks, and what the last sweep may have left.
    assert left[0] == 0 and left[1] <= 2 and left[2] <= 4 and left[3] <= 4, left


def test_hints_pile_up_nowhere_when_no_worker_runs(story, database, owner):
    hint = Hinter(database)
    try:
        for _ in range(5):
            hint()
    finally:
        hint.close()
    assert owner.execute("SELECT task_name, status FROM procrastinate_jobs").fetchall() == [(jobs.SWEEP, "todo")]


def test_a_hint_that_cannot_be_given_harms_nobody(tmp_path):
    hint = Hinter("postgresql://nobody@127.0.0.1:1/nowhere")
    began = time.monotonic()
    try:
        hint()
    finally:
        hint.close()
    assert time.monotonic() - began < 5.0


def cut_off(server: Server, database: str) -> str:
    """End all connections to the database and let nobody in; its name, to let them in again."""
    name = str(make_url(database).database)
    server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    server.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
    return name


def test_a_worker_outlives_its_database_being_away_and_can_be_stopped_meanwhile(story, start, server: Server, database):
    workers = start(), start()
    for worker in workers:
        worker.until_started()
    name = cut_off(server, database)
    wait_until(
        lambda: all("worker_pauses" in worker.output for worker in workers), "both noticed", both_outputs(*workers)
    )
    staying, leaving = workers
    began = time.monotonic()
    assert leaving.stop() == 0, leaving.output
    assert time.monotonic() - began < 5.0
    assert staying.process.poll() is None, staying.output
    server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    story.services.engine.dispose()
    ask_for(story, 1)
    wait_until(lambda: settled(story) == 1, "it was settled", lambda: staying.output)
    assert staying.stop() == 0, staying.output


def test_a_refund_that_cannot_be_settled_is_tried_with_pauses_and_tells_nothing_personal(story, start):
    ask_for(story, 2)
    (stuck,), *_ = rows(story, "SELECT id FROM refunds ORDER BY requested_at")
    with story.services.sessions.begin() as session:
        session.execute(
            text("UPDATE refunds SET tries_since = now() + interval '1 hour' WHERE id = :id"), {"id": stuck}
        )
        refund = session.get_one(refunds.Refund, stuck)
        # Somebody else's movement under its key: the ledger refuses ours, and with it the settling.
        ledger.enter(session, refund, {"seller:x": 12_900}, "x", story.services.clock())
    worker = start(REFUND_GIVE_UP_AFTER_SECONDS="3").until_started()
    with story.services.sessions.begin() as session:
        # The time for tries begins now, however long the worker took to start.
        session.execute(text("UPDATE refunds SET tries_since = now() WHERE id = :id"), {"id": stuck})
    wait_until(lambda: settled(story) == 1, "the other was settled", lambda: worker.output)

    def escalated() -> bool:
        return rows(story, "SELECT status FROM refunds WHERE id = :id", id=stuck) == [("failed",)]

    wait_until(escalated, "a senior was called", lambda: worker.output)
    assert worker.stop() == 0
    assert 2 <= worker.output.count("job_failed") <= 6, worker.output
    assert "IntegrityError" in worker.output and "refund_given_up" in worker.output
    for words in ("李雷", "Kettle House", "buyer-1", "shop-17", "seller:x", "DETAIL"):
        assert words not in worker.output


def test_settings_that_cannot_be_used_end_the_worker_with_a_sentence(start):
    worker = start(GATEWAY="http", GATEWAY_URL="http://x/", GATEWAY_SECRET="whsec_")
    assert worker.ended() == 1
    assert "GATEWAY_SECRET" in worker.output and "Traceback" not in worker.output


# --- the clock of a real worker ----------------------------------------------------------------------------------


def put_in_force(story: Story, old: str, new: str) -> None:
    """A version of the policies in which a line says something else, in force for whoever looks next."""
    assert old in patient_policies()
    with story.services.sessions.begin() as session:
        policies.load(
            session,
            patient_policies().replace(old, new),
            effective_from=policies.ALWAYS,
            now=story.services.real(),
            by="tests",
        )


def entered(story: Story, type_: str) -> int:
    return int(str(rows(story, "SELECT count(*) FROM docket_entries WHERE type = :type", type=type_)[0][0]))


def test_an_idle_worker_fires_a_deadline_within_five_seconds_of_its_time(story, start):
    put_in_force(story, 'notification = "1h"', 'notification = "2s"')
    worker = start().until_started()
    for count in (1, 2):
        story.open()
        wait_until(lambda count=count: entered(story, "notify_seller") == count, "it was fired", lambda: worker.output)
    late = rows(
        story,
        "SELECT extract(epoch FROM e.at - d.due_at)::float FROM docket_entries e"
        " JOIN deadlines d ON d.case_id = e.case_id AND d.kind = 'notification' WHERE e.type = 'notify_seller'",
    )
    assert [0 <= float(str(one[0])) < 5 for one in late] == [True, True], late
    assert worker.stop() == 0, worker.output
    assert worker.output.count("deadline_fired") == 2


def test_a_worker_goes_on_firing_and_paying_past_a_deadline_that_fails(story, start, owner):
    broken, sound, paid = story.open(), story.open(), story.at("refund")
    owner.execute("UPDATE public.deadlines SET fires = 'nothing_known' WHERE case_id = %s", [broken])
    owner.execute(
        "UPDATE public.deadlines SET due_at = now(), wake_at = now() WHERE case_id = ANY (%s)", [[broken, sound]]
    )
    worker = start()
    wait_until(lambda: settled(story) == 1, "the refund was paid", lambda: worker.output)
    wait_until(lambda: story.state(sound) == "seller_notified", "the sound one was fired", lambda: worker.output)
    wait_until(lambda: "deadline_failed" in worker.output, "the failure was told", lambda: worker.output)
    assert (story.state(broken), story.state(paid)) == ("opened", "refunded")
    standing = story.get("senior", f"/cases/{broken}/deadlines").get_json()["items"][0]
    assert standing["attempts"] >= 1 and standing["failure"] == "KeyError"
    assert worker.stop() == 0, worker.output


def test_a_deadline_that_falls_due_while_the_database_is_away_is_fired_once_it_is_back(
    story, start, server: Server, database
):
    put_in_force(story, 'notification = "1h"', 'notification = "3s"')
    workers = start(), start()
    for worker in workers:
        worker.until_started()
    case = story.open()
    name = cut_off(server, database)
    wait_until(
        lambda: all("worker_pauses" in worker.output for worker in workers), "both noticed", both_outputs(*workers)
    )
    server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    story.services.engine.dispose()
    wait_until(lambda: story.state(case) == "seller_notified", "it was fired", both_outputs(*workers))
    assert [worker.stop() for worker in workers] == [0, 0]
    assert entered(story, "notify_seller") == 1
    assert rows(story, "SELECT DISTINCT attempts FROM deadlines") == [(0,)]


def test_a_worker_starts_the_clocks_of_cases_that_have_none(story, start, owner):
    case = story.at("under_review")
    owner.execute("DELETE FROM public.deadlines")
    owner.execute("UPDATE public.cases SET due_at = NULL")
    workers = start(), start()
    wait_until(lambda: entered(story, "clock_started"), "it was started", both_outputs(*workers))
    for worker in workers:
        # One may have done it before the other knows what to do with a signal.
        worker.until_started()
    assert [worker.stop() for worker in workers] == [0, 0]
    assert entered(story, "clock_started") == 1
    (running,) = story.get("mediator", f"/cases/{case}").get_json()["deadlines"]
    assert (running["kind"], running["fires"]) == ("review", "escalate")


def test_a_worker_takes_up_an_edited_file_of_policies_and_keeps_the_old_ones_while_it_cannot_be_read(
    story, start, tmp_path
):
    file = tmp_path / "policies.toml"

    def write(response: str) -> None:
        file.write_text(patient_policies().replace('response = "48h"', f'response = "{response}"'), encoding="utf-8")

    def loaded() -> list[object]:
        return [row[0] for row in rows(story, "SELECT version FROM policy_versions ORDER BY version")]

    def length() -> timedelta:
        with story.services.sessions.begin() as session:
            policies.book(session).forget()
        case = story.at("seller_notified")
        (running,) = story.get("seller", f"/cases/{case}").get_json()["deadlines"]
        return datetime.fromisoformat(running["at"]) - datetime.fromisoformat(running["started_at"])

    write("24h")
    workers = start(POLICY_FILE=str(file)), start(POLICY_FILE=str(file))
    for worker in workers:
        worker.until_started()
    assert (loaded(), length()) == ([1, 2], timedelta(hours=24))
    before = story.at("seller_notified")
    due = story.get("seller", f"/cases/{before}").get_json()["deadline"]["at"]
    write("36h")
    wait_until(lambda: loaded() == [1, 2, 3], "the edited file was loaded", both_outputs(*workers))
    assert length() == timedelta(hours=36)
    for content in (b'name = "half a f', b"name = \xff"):
        file.write_bytes(content)
        told = [worker.output.count("policies_not_loaded") for worker in workers]
        wait_until(
            lambda told=told: all(
                worker.output.count("policies_not_loaded") > count for worker, count in zip(workers, told, strict=True)
            ),
            "both said that the file cannot be read",
            both_outputs(*workers),
        )
        assert (loaded(), length()) == ([1, 2, 3], timedelta(hours=36))
    write("12h")
    wait_until(lambda: loaded() == [1, 2, 3, 4], "the mended file was loaded", both_outputs(*workers))
    assert length() == timedelta(hours=12)
    assert story.get("seller", f"/cases/{before}").get_json()["deadline"]["at"] == due
    assert [worker.stop() for worker in workers] == [0, 0]


def test_a_limit_that_is_edited_back_to_what_it_once_was_holds_again(story, start, tmp_path):
    file = tmp_path / "policies.toml"
    file.write_text(patient_policies().replace('response = "48h"', 'response = "24h"'), encoding="utf-8")
    kept = file.read_bytes()
    worker = start(POLICY_FILE=str(file)).until_started()
    file.write_bytes(kept.replace(b'response = "24h"', b'response = "36h"'))
    versions = "SELECT max(version) FROM policy_versions"
    wait_until(lambda: rows(story, versions) == [(3,)], "the edited file was loaded", lambda: worker.output)
    file.write_bytes(kept)
    wait_until(lambda: rows(story, versions) == [(4,)], "the old text was loaded again", lambda: worker.output)
    with story.services.sessions.begin() as session:
        policies.book(session).forget()
    (running,) = story.get("seller", f"/cases/{story.at('seller_notified')}").get_json()["deadlines"]
    assert datetime.fromisoformat(running["at"]) - datetime.fromisoformat(running["started_at"]) == timedelta(hours=24)


def test_a_lock_that_was_not_had_in_time_ends_no_shift_but_a_database_that_shuts_down_does(
    story, monkeypatch: pytest.MonkeyPatch
):
    def refused(kind: type[psycopg.Error]) -> OperationalError:
        return OperationalError("SELECT", {}, kind())

    said = [refused(psycopg.errors.LockNotAvailable), True, False, PoolTimeout(), refused(psycopg.errors.AdminShutdown)]

    def fire_next(services: object) -> object:
        one = said.pop(0)
        if isinstance(one, Exception):
            raise one
        return one

    monkeypatch.setattr(clock, "fire_next", fire_next)
    monkeypatch.setattr(working, "TICK_SECONDS", 0.01)
    with capture_logs() as lines, pytest.raises(OperationalError, match="AdminShutdown"):
        asyncio.run(working.tick(story.services))
    assert said == []
    assert [(line["event"], line["error"]) for line in lines] == [
        ("clock_disturbed", "LockNotAvailable"),
        ("clock_disturbed", "TimeoutError"),
    ]
