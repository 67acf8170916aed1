"""The clock under fire: eight real processes killed at random, parties acting at the same instant, and long silences.

What is claimed is counted from the docket, which nobody can rewrite.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from psycopg.types.json import Jsonb
from sqlalchemy import Table, select
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from evidence import chain
from evidence.commitments import commit
from mediation import clock, sandbox
from mediation.db import new_id
from mediation.models import (
    Case,
    Claim,
    Deadline,
    Decision,
    DocketEntry,
    DocketOpening,
    Notice,
    OpenLine,
    Order,
)
from mediation.services import real_time
from mediation.settings import Settings
from tests.mediation import clock_process
from tests.mediation.clock_process import Clocks
from tests.mediation.conftest import make_services, make_settings
from tests.mediation.story import CHAT, NOTHING_GRANTED, decision
from tests.mediation.test_races import require_whole_docket
from tests.mediation.timed import ADDRESS, PARCEL, START, Hands, TimedStory, money
from tests.mediation.worker_process import environment, wait_until

WORKERS, MANY, ROUNDS = 8, 5_000, 4


@pytest.fixture
def long_ago(settings: Settings) -> Iterator[TimedStory]:
    """A story of a month ago: by the machine's time, everything in it is overdue."""
    made = make_services(settings)
    yield TimedStory(made, Hands(real_time() - timedelta(days=30)))
    made.engine.dispose()


@pytest.fixture
def timed(settings: Settings) -> Iterator[TimedStory]:
    made = make_services(settings)
    yield TimedStory(made, Hands())
    made.engine.dispose()


@pytest.fixture(scope="module")
def racing(module_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TimedStory]:
    """A story in the module's database, for what fires on its own case and no other."""
    made = make_services(make_settings(module_database, tmp_path_factory.mktemp("home")))
    yield TimedStory(made, Hands())
    made.engine.dispose()


# --- five thousand at once ---------------------------------------------------------------------------------------

#: How a case comes to wait for time alone, what time then does, and how many such cases there are.
OVERDUE = {
    "notify_seller": (lambda timed: timed.open(), 1_500),
    "agree": (lambda timed: timed.asked("refund_only", reason="not_shipped"), 1_000),
    "lapse": (lambda timed: timed.at("seller_refused"), 1_000),
    "escalate": (lambda timed: timed.at("under_review"), 500),
    "raise_level": (lambda timed: timed.at("escalated"), 500),
    "finalise": (lambda timed: timed.at("decided"), 500),
}
TABLES: tuple[Any, ...] = (Order, Case, DocketEntry, DocketOpening, Claim, OpenLine, Deadline, Decision, Notice)


def copies(session: Session, case: str, count: int) -> None:
    """Put so many more cases on file that stand where this one stands, each with an order and a docket of its own."""
    row = session.get_one(Case, uuid.UUID(case))
    rows = {
        model.__table__: [
            dict(found)
            for found in session.execute(
                select(model.__table__).where(
                    (model.id if model in (Order, Case) else model.case_id)
                    == (row.order_id if model is Order else row.id)
                )
            ).mappings()
        ]
        for model in TABLES
    }
    made: dict[Table, list[dict[str, Any]]] = {table: [] for table in rows}
    for _ in range(count):
        for table, copied in _copy(rows).items():
            made[table] += copied
    cursor = session.connection().connection.cursor()
    for table, copied in made.items():
        names = list(table.columns.keys())
        is_json = [isinstance(column.type, JSONB) for column in table.columns]
        with cursor.copy(f"COPY {table.name} ({', '.join(names)}) FROM STDIN") as copy:
            for one in copied:
                copy.write_row(
                    [
                        Jsonb(one[name]) if json_ and one[name] is not None else one[name]
                        for name, json_ in zip(names, is_json, strict=True)
                    ]
                )


def _copy(rows: Mapping[Table, Sequence[Mapping[str, Any]]]) -> dict[Table, list[dict[str, Any]]]:
    """The rows of one case again, under ids of their own, and its docket sealed anew."""
    ids = {one["id"]: new_id() for found in rows.values() for one in found if "id" in one}
    made = {table: [_renamed(one, ids) for one in found] for table, found in rows.items()}
    (case,), (order,) = made[Case.__table__], made[Order.__table__]
    case["reference"] = order["external_id"] = f"D-{case['id']}"
    case["head"] = bytes(32)
    for entry in sorted(made[DocketEntry.__table__], key=lambda one: one["seq"]):
        entry["commitments"] = []
        for opening in sorted(made[DocketOpening.__table__], key=lambda one: one["n"]):
            if opening["seq"] == entry["seq"]:
                commitment = commit(opening["value"])
                opening["salt"] = commitment.salt
                entry["commitments"].append(commitment.digest)
        entry["prev"] = case["head"]
        entry["hash"] = case["head"] = bytes.fromhex(chain.entry_hash(_as_chained(entry)))
    return made


def _renamed(one: Mapping[str, Any], ids: Mapping[uuid.UUID, uuid.UUID]) -> dict[str, Any]:
    found = {name: ids.get(value, value) if isinstance(value, uuid.UUID) else value for name, value in one.items()}
    for name, value in found.items():
        if isinstance(value, dict | list) and name != "commitments":
            text = json.dumps(value)
            for old, new in ids.items():
                text = text.replace(str(old), str(new))
            found[name] = json.loads(text)
    return found


def _as_chained(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the docket in the form in which it is hashed."""
    return {
        "v": entry["v"],
        "case": str(entry["case_id"]),
        "seq": entry["seq"],
        "prev": entry["prev"].hex(),
        "at": chain.instant(entry["at"]),
        "type": entry["type"],
        "from": entry["from_state"],
        "to": entry["to_state"],
        "commitments": [digest.hex() for digest in entry["commitments"]],
        "hash": entry["hash"].hex(),
    }


def every_docket(story: TimedStory) -> dict[str, list[str]]:
    """What happened on each case, in order; every chain is verified up to its case's own head on the way."""
    with story.services.sessions.begin() as session:
        heads = {one.id: one for one in session.execute(select(Case.id, Case.head, Case.version, Case.state))}
        found: dict[uuid.UUID, list[dict[str, Any]]] = {case: [] for case in heads}
        query = select(DocketEntry.__table__).order_by(DocketEntry.case_id, DocketEntry.seq)
        for entry in session.execute(query).mappings():
            found[entry["case_id"]].append(_as_chained(entry))
    for case, entries in found.items():
        head = heads[case]
        assert chain.breaches(entries, head.head.hex(), case=str(case)) == []
        assert (len(entries), entries[-1]["to"]) == (head.version, head.state)
    return {str(case): [entry["type"] for entry in entries] for case, entries in found.items()}


def scalars(story: TimedStory, query: str, **values: Any) -> list[Any]:
    with story.services.sessions.begin() as session:
        return list(session.scalars(sql(query), values))


def _waiting(story: TimedStory) -> int:
    """How many deadlines are over and not fired."""
    return int(scalars(story, "SELECT count(*) FROM deadlines WHERE wake_at <= now()")[0])


def test_five_thousand_overdue_deadlines_fire_once_each_though_workers_are_killed_at_random(
    long_ago: TimedStory, database: str, tmp_path: Path
) -> None:
    expected: Counter[tuple[str, ...]] = Counter()
    for fires, (bring, count) in OVERDUE.items():
        case = bring(long_ago)
        with long_ago.services.sessions.begin() as session:
            copies(session, case, count - 1)
        expected[(*long_ago.types(case), fires)] += count
    assert expected.total() == len(every_docket(long_ago)) == _waiting(long_ago) == MANY
    clocks = Clocks(environment(database, tmp_path, LOG_LEVEL="error", LOG_FORMAT="json"), WORKERS)
    try:
        kills = _kill_at_random_until_all_are_fired(long_ago, clocks)
        assert clocks.stop() == 0, clocks.output
        assert "deadline_failed" not in clocks.output and "Traceback" not in clocks.output, clocks.output
    finally:
        clocks.close()
    assert kills > WORKERS, "the fire was no fire"
    assert Counter(tuple(types) for types in every_docket(long_ago).values()) == expected
    _require_consistent(long_ago)


def _kill_at_random_until_all_are_fired(story: TimedStory, clocks: Clocks) -> int:
    """Kill one of the processes whenever some more deadlines were fired; how many were killed."""
    chance, kills = random.Random(MANY), 0
    spared, patience = MANY - 40, time.monotonic() + 180
    while left := _waiting(story):
        assert time.monotonic() < patience, f"{left} deadlines were not fired; the output:\n{clocks.output}"
        if left <= spared and clocks.alive:
            os.kill(chance.choice(clocks.alive), signal.SIGKILL)
            kills += 1
            spared = left - chance.randint(40, 120)
        time.sleep(0.05)
    return kills


def _require_consistent(story: TimedStory) -> None:
    """What the tables say agrees with what the dockets say."""

    def rows(query: str) -> list[tuple[Any, ...]]:
        with story.services.sessions.begin() as session:
            return [tuple(row) for row in session.execute(sql(query))]

    fired = rows("SELECT fires, count(*) FROM deadlines WHERE ended = 'fired' GROUP BY fires ORDER BY fires")
    failed = rows("SELECT count(*) FROM deadlines WHERE attempts > 0 OR set_aside_at IS NOT NULL")
    running = rows(
        "SELECT c.state = 'closed', count(*), count(d.kind), count(DISTINCT c.id), bool_and(c.due_at = d.due_at)"
        " FROM cases c LEFT JOIN deadlines d ON d.case_id = c.id AND d.done_at IS NULL GROUP BY 1 ORDER BY 1"
    )
    refunds = rows("SELECT count(*), count(DISTINCT case_id) FROM refunds")
    # What begins anew goes on under another date.
    assert fired == [(fires, count) for fires, (_, count) in sorted(OVERDUE.items()) if fires != "raise_level"]
    assert failed == [(0,)]
    lapsed = OVERDUE["lapse"][1]
    assert running == [(False, MANY - lapsed, MANY - lapsed, MANY - lapsed, True), (True, lapsed, 0, lapsed, None)]
    paid = OVERDUE["agree"][1] + OVERDUE["finalise"][1]
    assert refunds == [(paid, paid)]


# --- one that dies in the middle ---------------------------------------------------------------------------------


def _everything(story: TimedStory, case: str) -> dict[str, list[Any]]:
    """Every row that belongs to a case, as text."""
    tables = ("docket_entries", "docket_openings", "deadlines", "notices", "refunds", "open_lines", "claims")
    found = {table: f"SELECT to_jsonb(t)::text FROM {table} t WHERE case_id = :case ORDER BY 1" for table in tables}
    found["cases"] = "SELECT to_jsonb(t)::text FROM cases t WHERE id = :case"
    found["orders"] = "SELECT to_jsonb(o)::text FROM orders o JOIN cases c ON c.order_id = o.id WHERE c.id = :case"
    return {name: scalars(story, query, case=case) for name, query in found.items()}


def test_a_worker_that_is_killed_between_firing_and_commit_leaves_nothing(
    long_ago: TimedStory, database: str, tmp_path: Path
) -> None:
    env = environment(database, tmp_path, LOG_LEVEL="error", LOG_FORMAT="json")
    cases = {moment: long_ago.asked("refund_only", reason="not_shipped") for moment in clock_process.MOMENTS}
    before = {moment: _everything(long_ago, case) for moment, case in cases.items()}
    dying = {moment: clock_process.dying(env, moment, case) for moment, case in cases.items()}
    try:
        for moment, process in dying.items():
            assert process.ended() == -signal.SIGKILL, (moment, process.output)
    finally:
        for process in dying.values():
            process.close()
    long_ago.hands.now = real_time()
    for moment, case in cases.items():
        committed = moment == "after the commit"
        assert (_everything(long_ago, case) == before[moment]) != committed, moment
        assert long_ago.fire(case) == int(not committed), moment
        assert long_ago.types(case) == ["open", "notify_seller", "agree"], moment
        assert len(_everything(long_ago, case)["refunds"]) == 1, moment
        require_whole_docket(long_ago, case)


# --- two clocks and somebody who acts, at the same instant -------------------------------------------------------


def _returning(timed: TimedStory) -> str:
    case = timed.asked("return_and_refund")
    timed.do("seller", case, "agree", {"return_address": ADDRESS})
    return case


def _performing(timed: TimedStory) -> str:
    case = timed.asked("reship")
    timed.do("seller", case, "agree")
    return case


#: How it comes to the race; who acts, and how, in the last instant; what time does.
RACES: dict[str, tuple[Callable[[TimedStory], str], str, str, Any, str]] = {
    "refusing": (
        lambda timed: timed.asked("refund_only", reason="not_shipped"),
        "seller",
        "refuse",
        {"reason": "shipped", "statement": "It is on its way."},
        "agree",
    ),
    "agreeing": (lambda timed: timed.asked("refund_only", reason="not_shipped"), "seller", "agree", None, "agree"),
    "accepting": (lambda timed: timed.at("negotiating"), "buyer", "accept_offer", None, "expire_offer"),
    "calling the platform in": (lambda timed: timed.at("seller_refused"), "buyer", "request_mediation", None, "lapse"),
    "sending back": (_returning, "buyer", "ship_return", PARCEL, "lapse"),
    "performing": (_performing, "seller", "perform", PARCEL, "refund_in_place"),
    "deciding": (lambda timed: timed.at("under_review"), "mediator", "decide", decision(), "escalate"),
    "hearing": (
        lambda timed: timed.at("escalated"),
        "senior",
        "decide",
        decision(),
        "raise_level",
    ),
    "appealing": (lambda timed: timed.at("decided"), "seller", "appeal", {"grounds": "We were in time."}, "finalise"),
    "withdrawing": (lambda timed: timed.open(), "buyer", "withdraw", None, "notify_seller"),
}
#: Where time does not end what was possible: whoever comes after the clock acts on where it left the case.
STILL_POSSIBLE = frozenset({"hearing", "withdrawing"})


@pytest.mark.parametrize("what", RACES)
def test_of_two_clocks_and_somebody_at_the_same_instant_one_wins(racing: TimedStory, what: str) -> None:
    bring, who, action, body, fires = RACES[what]
    chance = random.Random(what)
    for _ in range(ROUNDS):
        racing.hands.now = START
        case = bring(racing)
        before, due = racing.types(case), racing.due(case)
        # By the clock of the machine that serves the caller, it is not yet over.
        racing.hands.now = due - timedelta(microseconds=1)
        status, fired = _race(racing, case, due, (who, action, body), chance)
        after = racing.types(case)[len(before) :]
        if status == 200 and what in STILL_POSSIBLE:
            assert after in ([action], [fires, action]), after
            assert fired == after.count(fires)
        else:
            assert (status, fired, after) in ((200, 0, [action]), (409, 1, [fires])), (status, fired, after)
        require_whole_docket(racing, case)
        assert scalars(racing, "SELECT count(*) FROM refunds WHERE case_id = :case", case=case)[0] <= 1


def _race(
    story: TimedStory, case: str, due: datetime, act: tuple[str, str, Any], chance: random.Random
) -> tuple[int, int]:
    """One caller and two clocks on the case at once: the caller's status, and how many deadlines the clocks fired."""
    ahead = replace(story.services, clock=lambda: due)
    ready = Barrier(3)
    who, action, body = act
    story.token(who)

    def acts(pause: float) -> int:
        client = story.app.test_client()
        ready.wait(timeout=30)
        time.sleep(pause)
        headers = story.headers(who)
        return client.post(f"/v1/cases/{case}/actions/{action}", json=body or {}, headers=headers).status_code

    def fires(pause: float) -> int:
        ready.wait(timeout=30)
        time.sleep(pause)
        return clock.fire_case(ahead, uuid.UUID(case))

    with ThreadPoolExecutor(3) as pool:
        acting = pool.submit(acts, chance.uniform(0, 0.004))
        firing = [pool.submit(fires, chance.uniform(0, 0.008)) for _ in range(2)]
        return acting.result(), sum(one.result() for one in firing)


def test_the_last_exhibit_and_the_default_at_the_same_instant_are_one_of_the_two(racing: TimedStory) -> None:
    chance = random.Random("evidence")
    for _ in range(ROUNDS):
        racing.hands.now = START
        case = racing.at("under_review")
        racing.do("mediator", case, "request_evidence", {"from": "seller", "items": [{"type": "chat_log"}]})
        due = racing.due(case)
        request = racing.get("seller", f"/cases/{case}/evidence-requests").get_json()["items"][0]["id"]
        racing.hands.now = due - timedelta(microseconds=1)
        answers = {**CHAT, "answers": {"request": request, "item": 1}}
        late, fired = _race_filing(racing, case, due, answers, chance)
        assert late == (fired == 1)
        end = ["default_evidence", "exhibit_filed"] if late else ["exhibit_filed", "evidence_complete"]
        assert racing.types(case)[-2:] == end
        assert racing.state(case) == "under_review"
        require_whole_docket(racing, case)


def _race_filing(story: TimedStory, case: str, due: datetime, body: Any, chance: random.Random) -> tuple[bool, int]:
    ahead, ready = replace(story.services, clock=lambda: due), Barrier(2)

    def files(pause: float) -> bool:
        client = story.app.test_client()
        ready.wait(timeout=30)
        time.sleep(pause)
        filed = client.post(f"/v1/cases/{case}/exhibits", json=body, headers=story.headers("seller"))
        assert filed.status_code == 201, filed.get_json()
        return bool(filed.get_json()["late"])

    def fires(pause: float) -> int:
        ready.wait(timeout=30)
        time.sleep(pause)
        return clock.fire_case(ahead, uuid.UUID(case))

    with ThreadPoolExecutor(2) as pool:
        filing, firing = pool.submit(files, chance.uniform(0, 0.004)), pool.submit(fires, chance.uniform(0, 0.012))
        return filing.result(), firing.result()


# --- nobody there, and eight afterwards --------------------------------------------------------------------------

#: In a story: nobody does anything until time does.
SILENCE = "silence"
Step = tuple[str, str, Any] | str
RESHIP, RETURN = ("reship",), ("return_and_refund",)
_TO_REVIEW: list[Step] = [
    ("seller", "refuse", {"reason": "shipped", "statement": "It is on its way."}),
    ("buyer", "request_mediation", None),
]
_AGREED = ("seller", "agree", {"return_address": ADDRESS})
#: What was asked for which reason, what people do in order, and where it ends with which sum paid back.
STORIES: dict[str, tuple[tuple[tuple[str, ...], str], list[Step], tuple[str, int]]] = {
    "never shipped": ((("refund_only",), "not_shipped"), [SILENCE], ("refunded", 12_900)),
    "a return inspected by nobody": (
        (RETURN, "quality_defect"),
        [_AGREED, ("buyer", "ship_return", PARCEL), SILENCE],
        ("refunded", 12_900),
    ),
    "silence about a return that is then never sent": ((RETURN, "quality_defect"), [_AGREED, SILENCE], ("closed", 0)),
    "a performance never done": ((RESHIP, "damaged"), [("seller", "agree", None), SILENCE], ("refunded", 12_900)),
    "a performance nobody confirms": (
        (RESHIP, "damaged"),
        [("seller", "agree", None), ("seller", "perform", PARCEL), SILENCE],
        ("closed", 0),
    ),
    "nobody decides": (
        (("refund_only",), "damaged"),
        [*_TO_REVIEW, SILENCE, SILENCE, SILENCE, ("supervisor", "decide", decision(7_000)), SILENCE],
        ("refunded", 7_000),
    ),
    "decided and accepted by silence": (
        (("refund_only",), "damaged"),
        [*_TO_REVIEW, ("mediator", "decide", decision(5_000)), SILENCE],
        ("refunded", 5_000),
    ),
    "silent from the start": (
        (("refund_only",), "damaged"),
        [SILENCE, SILENCE, ("senior", "decide", NOTHING_GRANTED), SILENCE],
        ("closed", 0),
    ),
    "an offer nobody answers, and no evidence": (
        (("refund_only",), "damaged"),
        [
            ("seller", "offer", {"remedy": "partial_refund", "amount": money(100)}),
            SILENCE,
            ("mediator", "request_evidence", {"from": "both", "items": [{"type": "photo"}]}),
            SILENCE,
            ("mediator", "decide", decision(900)),
            SILENCE,
        ],
        ("refunded", 900),
    ),
    "suspended, and nobody comes back": (
        (("refund_only",), "damaged"),
        [("mediator", "suspend", {"ground": "police", "until": "2026-11-20T00:00:00Z"}), SILENCE, SILENCE, SILENCE],
        ("escalated", 0),
    ),
    "agreed, and paid by whoever comes first": ((("refund_only",), "damaged"), [_AGREED], ("refunded", 12_900)),
    "two claims, of which one is to be performed and never is": (
        (("reship", "refund_only"), "damaged"),
        [("seller", "agree", None), SILENCE],
        ("refunded", 12_900),
    ),
}


def _eight_workers(story: TimedStory) -> None:
    """Eight workers at once do all there is to do now."""
    ready = Barrier(WORKERS)

    def work(_: int) -> None:
        ready.wait(timeout=30)
        while clock.fire_next(story.services):
            continue

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(work, range(WORKERS)))
    story.work()


def _tell(story: TimedStory, what: str, dead_for: Sequence[timedelta]) -> dict[str, Any]:
    """Play a story whose workers come back so long after each due moment, and after its last act; how it ends."""
    (requests, reason), steps, _ = STORIES[what]
    case, dead = story.asked(*requests, reason=reason), list(dead_for)
    for step in steps:
        if isinstance(step, str):
            story.hands.now = story.due(case) + dead.pop()
            _eight_workers(story)
        else:
            story.do(step[0], case, step[1], step[2])
    if steps[-1] != SILENCE:
        story.hands.now += dead.pop()
        _eight_workers(story)
    require_whole_docket(story, case)
    found = story.case(case)
    order = story.get("platform", f"/orders/{found['order']['id']}").get_json()
    ledger = "SELECT split_part(account, ':', 1) || purpose || amount_minor FROM ledger_entries WHERE case_id = :case"
    return {
        # That a payment's time began anew because nobody lived to try it changes nothing about where the case comes to.
        "types": [one for one in story.types(case) if one != "payment_awaited"],
        "case": {name: found[name] for name in ("state", "outcome", "remedy", "level", "waiting_on", "legs")},
        "deadlines": sorted(story.deadlines(case)),
        "notices": story.notices(case, "senior"),
        "order": (order["reserved"], order["refunded"]),
        "ledger": sorted(scalars(story, ledger, case=case)),
    }


@pytest.mark.parametrize("what", STORIES)
def test_workers_dead_across_every_due_moment_and_started_afterwards_give_the_same_end(
    timed: TimedStory, what: str
) -> None:
    moments = STORIES[what][1].count(SILENCE) or 1
    alive = _tell(timed, what, [timedelta(0)] * moments)
    state, paid = STORIES[what][2]
    assert (alive["case"]["state"], alive["order"]) == (state, (money(0), money(paid)))
    timed.hands.now = START
    # From a second to months; what runs from a firing runs from when it was fired.
    chance = random.Random(what)
    dead_for = [timedelta(seconds=chance.choice([1, 3_600, 300_000, 9_000_000])) for _ in range(moments)]
    assert _tell(timed, what, dead_for) == alive


# --- the same with real processes, whose time is a sandbox's -----------------------------------------------------

_REVIEWED = ["open", "notify_seller", "refuse", "request_mediation"]
_NOBODY = ["escalate", "raise_level"]
#: What happens on cases on which nobody acts any more and none of which comes to a payment, and where they end. How
#: often nobody takes up what was escalated does not matter.
ENDS: dict[str, tuple[list[str], str]] = {
    "opened": (["open", "notify_seller", "request_mediation", *_NOBODY], "escalated"),
    "refused": (["open", "notify_seller", "refuse", "lapse"], "closed"),
    "under review": ([*_REVIEWED, *_NOBODY], "escalated"),
    "granted nothing": ([*_REVIEWED, "decide", "finalise"], "closed"),
    "asked for evidence": ([*_REVIEWED, "request_evidence", "default_evidence", *_NOBODY], "escalated"),
    "never sent back": (["open", "notify_seller", "agree", "lapse"], "closed"),
    "performed": (["open", "notify_seller", "agree", "perform", "conclude_performance"], "closed"),
}


def _left_alone(story: TimedStory) -> dict[str, str]:
    """The cases of ENDS, by name, as people leave them."""
    cases = {"opened": story.open(), "refused": story.at("seller_refused"), "under review": story.at("under_review")}
    cases |= {what: story.at("under_review") for what in ("granted nothing", "asked for evidence")}
    cases |= {"never sent back": _returning(story), "performed": _performing(story)}
    story.do("mediator", cases["granted nothing"], "decide", NOTHING_GRANTED)
    evidence = {"from": "buyer", "items": [{"type": "photo"}]}
    story.do("mediator", cases["asked for evidence"], "request_evidence", evidence)
    story.do("seller", cases["performed"], "perform", PARCEL)
    return cases


def _next_moment(story: TimedStory) -> datetime:
    with story.services.sessions.begin() as session:
        moment = clock.next_wake(session)
    assert moment is not None, "what is escalated always has a next moment"
    return moment


def _move_on(story: TimedStory, further: timedelta) -> None:
    """Move the sandbox's time to the next due moment, and so much further."""
    ahead = _next_moment(story) + further - story.services.real()
    with story.services.sessions.begin() as session:
        sandbox.move_on(session, ahead)


def _ended(story: TimedStory, cases: Mapping[str, str]) -> bool:
    return all(story.types(case)[-1] == ENDS[what][0][-1] for what, case in cases.items())


def _until_fired(story: TimedStory, clocks: Clocks) -> None:
    wait_until(lambda: _next_moment(story) > story.services.clock(), "all that is due was fired", lambda: clocks.output)
    assert "deadline_failed" not in clocks.output, clocks.output


def _live_through(story: TimedStory, env: dict[str, str], cases: Mapping[str, str]) -> None:
    """Eight processes are there all the time."""
    clocks = Clocks(env, WORKERS)
    try:
        while not _ended(story, cases):
            _move_on(story, timedelta(0))
            _until_fired(story, clocks)
    finally:
        clocks.close()


def _come_back(story: TimedStory, env: dict[str, str], cases: Mapping[str, str]) -> None:
    """At each due moment nobody is there; many days later eight processes are, until all is fired."""
    while not _ended(story, cases):
        _move_on(story, timedelta(days=12))
        clocks = Clocks(env, WORKERS).until_all_work()
        try:
            _until_fired(story, clocks)
            assert clocks.stop() == 0, clocks.output
        finally:
            clocks.close()


@pytest.mark.parametrize("work", [_live_through, _come_back])
def test_eight_real_processes_dead_across_every_due_moment_end_as_eight_that_live(
    database: str, tmp_path: Path, work: Callable[[TimedStory, dict[str, str], Mapping[str, str]], None]
) -> None:
    made = make_services(make_settings(database, tmp_path, sandbox=True))
    story = TimedStory(made, made.clock)
    cases = _left_alone(story)
    work(story, environment(database, tmp_path, SANDBOX="1", LOG_LEVEL="error", LOG_FORMAT="json"), cases)
    found = {
        what: ([type_ for type_, _ in itertools.groupby(story.types(case))], story.state(case))
        for what, case in cases.items()
    }
    assert found == ENDS
    for case in cases.values():
        require_whole_docket(story, case)
    made.engine.dispose()
