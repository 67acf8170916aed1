"""What happens at the same moment: real threads, real connections, and a database that goes away in the middle."""

from __future__ import annotations

import random
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from threading import Barrier, Event
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select
from sqlalchemy import text as sql
from werkzeug.test import TestResponse

from evidence import chain
from evidence.store import BlobStore
from mediation import create_app, db, paying
from mediation.gateways import LedgerGateway
from mediation.models import Case, Decision, DocketEntry, IdempotentAnswer, LedgerEntry, Offer, OpenLine, Order, Refund
from mediation.operations import carrying, holding, messages
from tests.mediation.story import CHAT, Story, decision, money, order

Call = Callable[[Any], TestResponse]


def post(story: Story, who: str, path: str, body: Any = None) -> Call:
    """A call, to be made later by a client of one's own."""
    headers = story.headers(who)
    return lambda client: client.post(f"/v1{path}", json=body or {}, headers=headers)


def act(story: Story, who: str, case: str, action: str, body: Any = None) -> Call:
    return post(story, who, f"/cases/{case}/actions/{action}", body)


def at_once(story: Story, calls: Sequence[Call]) -> list[TestResponse]:
    """Make all these calls at the same moment, each in a thread of its own; the answers in their order."""
    ready = Barrier(len(calls))

    def make(call: Call) -> TestResponse:
        client = story.app.test_client()
        ready.wait(timeout=30)
        return call(client)

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(make, calls))


def outcomes(answers: Sequence[TestResponse]) -> list[tuple[int, str]]:
    return sorted((answer.status_code, answer.get_json().get("code", "done")) for answer in answers)


def count(story: Story, model: Any, *where: Any) -> int:
    with story.services.sessions.begin() as session:
        return session.scalar(select(func.count()).select_from(model).where(*where)) or 0


def require_whole_docket(story: Story, case: str) -> list[dict[str, Any]]:
    """The docket is gapless, its chain verifies up to the case's own head, and the case is where it says."""
    with story.services.sessions.begin() as session:
        row = session.get(Case, uuid.UUID(case))
        assert row is not None
        rows = session.scalars(select(DocketEntry).where(DocketEntry.case_id == row.id).order_by(DocketEntry.seq)).all()
    entries = [
        {
            "v": one.v,
            "case": str(one.case_id),
            "seq": one.seq,
            "prev": one.prev.hex(),
            "at": chain.instant(one.at),
            "type": one.type,
            "from": one.from_state,
            "to": one.to_state,
            "commitments": [digest.hex() for digest in one.commitments],
            "hash": one.hash.hex(),
        }
        for one in rows
    ]
    assert chain.breaches(entries, row.head.hex(), case=case) == []
    assert [one["seq"] for one in entries] == list(range(1, row.version + 1))
    assert entries[-1]["to"] == row.state
    assert all(one.at <= two.at for one, two in pairwise(rows))
    return entries


# --- two hands on one case ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", range(3))
def test_two_mediators_deciding_one_case_at_once_make_one_decision(shared: Story, n: int) -> None:
    case = shared.at("under_review")
    answers = at_once(
        shared,
        [
            act(shared, "mediator", case, "decide", decision(12_900, reasons="Mia decides.")),
            act(shared, "other_mediator", case, "decide", decision(5_000, reasons="Max decides.")),
        ],
    )
    assert outcomes(answers) == [(200, "done"), (409, "wrong_state")]
    won = 0 if answers[0].status_code == 200 else 1
    assert count(shared, Decision, Decision.case_id == uuid.UUID(case)) == 1
    shown = shared.get("buyer", f"/cases/{case}/decisions").get_json()["items"]
    assert shown[0]["reasons"] == ("Mia decides.", "Max decides.")[won]
    assert shared.get("senior", f"/cases/{case}").get_json()["assignee"] == ("mia", "max")[won]
    assert [one["type"] for one in require_whole_docket(shared, case)].count("decide") == 1


@pytest.mark.parametrize("n", range(3))
def test_two_mediators_taking_one_case_at_once_do_not_both_have_it(shared: Story, n: int) -> None:
    case = shared.at("under_review")
    answers = at_once(shared, [act(shared, who, case, "take") for who in ("mediator", "other_mediator")])
    assert outcomes(answers) == [(200, "done"), (409, "assigned_to_other")]
    holder = ("mia", "max")[0 if answers[0].status_code == 200 else 1]
    assert shared.get("senior", f"/cases/{case}").get_json()["assignee"] == holder


@pytest.mark.parametrize("n", range(3))
def test_two_seniors_approving_at_once_issue_the_decision_once(shared: Story, n: int) -> None:
    case = shared.at("pending", paid=60_000)
    answers = at_once(shared, [act(shared, who, case, "approve") for who in ("senior", "other_senior")])
    assert outcomes(answers) == [(200, "done"), (409, "wrong_state")]
    assert shared.get("platform", f"/orders/{ordered(shared, case)}").get_json()["reserved"] == money(60_000)


@pytest.mark.parametrize("n", range(3))
def test_both_sides_accepting_at_once_finalise_once(shared: Story, n: int) -> None:
    case = shared.at("decided")
    answers = at_once(shared, [act(shared, who, case, "accept_decision") for who in ("buyer", "seller")])
    assert [answer.status_code for answer in answers] == [200, 200]
    assert shared.state(case) == "refund"
    assert count(shared, Refund, Refund.case_id == uuid.UUID(case)) == 1
    assert [one["type"] for one in require_whole_docket(shared, case)].count("finalise") == 1


@pytest.mark.parametrize("n", range(4))
def test_accepting_an_offer_and_withdrawing_at_once_end_in_one_of_the_two(shared: Story, n: int) -> None:
    case = shared.at("negotiating")
    answers = at_once(shared, [act(shared, "buyer", case, "accept_offer"), act(shared, "buyer", case, "withdraw")])
    assert outcomes(answers) == [(200, "done"), (409, "wrong_state")]
    accepted = answers[0].status_code == 200
    assert shared.state(case) == ("refund" if accepted else "closed")
    assert count(shared, Refund, Refund.case_id == uuid.UUID(case)) == int(accepted)
    assert count(shared, Offer, Offer.case_id == uuid.UUID(case), Offer.status == "open") == 0
    held = shared.get("platform", f"/orders/{ordered(shared, case)}").get_json()["reserved"]
    assert held == money(100 if accepted else 0)
    require_whole_docket(shared, case)


@pytest.mark.parametrize("n", range(3))
def test_an_appeal_and_an_acceptance_by_one_side_at_once_do_not_both_stand(shared: Story, n: int) -> None:
    case = shared.at("decided")
    calls = [act(shared, "seller", case, "appeal", {"grounds": "g"}), act(shared, "seller", case, "accept_decision")]
    answers = at_once(shared, calls)
    assert [status for status, _ in outcomes(answers)] in ([200, 409], [200, 422])
    require_whole_docket(shared, case)


def ordered(story: Story, case: str) -> str:
    return str(story.get("platform", f"/cases/{case}").get_json()["order"]["id"])


# --- one order, many cases ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("on_file", [False, True], ids=["order sent along", "order on file"])
def test_of_twenty_disputes_opened_at_once_about_one_line_one_is_opened(shared: Story, on_file: bool) -> None:
    body = shared.case_body()
    if on_file:
        put = {name: body[name] for name in ("order", "buyer", "seller")}
        assert shared.put("platform", f"/orders/{body['order']['id']}", put).status_code == 200
        body = {"order": {"id": body["order"]["id"]}, "claims": body["claims"]}
    who = ["buyer" if on_file and n % 2 else "platform" for n in range(20)]
    answers = at_once(shared, [post(shared, one, "/cases", body) for one in who])
    assert outcomes(answers) == [(201, "done")] + [(409, "open_case_exists")] * 19
    opened = next(answer.get_json()["id"] for answer in answers if answer.status_code == 201)
    for answer in answers:
        if answer.status_code == 409:
            assert answer.get_json()["case"] == opened
            assert f"</v1/cases/{opened}>" in answer.headers["Link"]
    assert count(shared, OpenLine, OpenLine.case_id == uuid.UUID(opened)) == 1


@pytest.mark.parametrize("n", range(3))
def test_two_cases_of_one_order_agreed_at_once_do_not_promise_more_than_was_paid(shared: Story, n: int) -> None:
    cases = two_cases_of_one_order(shared)
    answers = at_once(shared, [act(shared, "seller", case, "agree") for case in cases])
    assert outcomes(answers) == [(200, "done"), (409, "exceeds_paid")]
    shown = shared.get("platform", f"/orders/{ordered(shared, cases[0])}").get_json()
    assert (shown["reserved"], shown["refunded"]) == (money(12_900), money(0))
    assert sorted(shared.state(case) for case in cases) == ["refund", "seller_notified"]
    assert count(shared, Refund, Refund.case_id.in_([uuid.UUID(case) for case in cases])) == 1
    shared.pay()
    assert outcomes([act(shared, "seller", case, "agree")(shared.client) for case in cases])[1][0] == 409
    for case in cases:
        require_whole_docket(shared, case)


def two_cases_of_one_order(story: Story) -> list[str]:
    """Two notified cases about two lines of one order, each of which claims all that was paid."""
    body = story.case_body(paid=12_900, claims=[6_450, 6_450])
    cases = []
    for n in range(2):
        claim = {**body["claims"][n], "amount": money(12_900)}
        opened = story.post("platform", "/cases", {**body, "claims": [claim]})
        assert opened.status_code == 201, opened.get_data(as_text=True)
        cases.append(opened.get_json()["id"])
        story.do("platform", cases[-1], "notify_seller")
    return cases


@pytest.mark.parametrize("n", range(3))
def test_the_sum_paid_cannot_be_lowered_below_a_promise_made_at_once(shared: Story, n: int) -> None:
    case = shared.at("seller_notified")
    name, headers = ordered(shared, case), shared.headers("platform")
    lowered = {"order": {**order(name), "paid": money(100)}, "buyer": {"id": "buyer-1"}, "seller": {"id": "shop-17"}}
    answers = at_once(
        shared,
        [
            act(shared, "seller", case, "agree"),
            lambda client: client.put(f"/v1/orders/{name}", json=lowered, headers=headers),
        ],
    )
    assert outcomes(answers) in ([(200, "done"), (409, "exceeds_paid")], [(200, "done"), (409, "paid_below_promised")])
    shown = shared.get("platform", f"/orders/{name}").get_json()
    assert shown["reserved"]["amount"] + shown["refunded"]["amount"] <= shown["paid"]["amount"]


def test_eight_workers_paying_at_once_pay_once(story: Story) -> None:
    case = story.at("refund")
    (refund,) = paying.due(story.services)
    ready = Barrier(8)

    def pay(_: int) -> None:
        ready.wait(timeout=30)
        paying.pay(story.services, LedgerGateway(), refund)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(pay, range(8)))
    assert story.state(case) == "refunded"
    with story.services.sessions.begin() as session:
        sums = session.scalars(select(LedgerEntry.amount_minor).where(LedgerEntry.refund_id == refund)).all()
    assert sorted(sums) == [-12_900, 12_900]
    assert [one["type"] for one in require_whole_docket(story, case)].count("settle_refund") == 1


# --- many hands, no order ----------------------------------------------------------------------------------------

OFFER = {"remedy": "partial_refund", "amount": money(100)}
MOVES: list[tuple[str, str, Any]] = [
    ("platform", "actions/notify_seller", {}),
    ("seller", "actions/refuse", {"reason": "shipped", "statement": "It is on its way."}),
    ("seller", "actions/offer", OFFER),
    ("buyer", "actions/offer", OFFER),
    ("buyer", "actions/decline_offer", {}),
    ("seller", "actions/decline_offer", {}),
    ("buyer", "actions/request_mediation", {}),
    ("mediator", "actions/take", {}),
    ("mediator", "actions/release", {}),
    ("mediator", "actions/escalate", {"reason": "complex"}),
    ("senior", "actions/return_to_mediator", {}),
    ("mediator", "actions/decide", decision()),
    ("senior", "actions/decide", decision(900)),
    ("seller", "actions/appeal", {"grounds": "g"}),
    ("buyer", "actions/accept_decision", {}),
    ("buyer", "messages", {"text": "hello"}),
    ("mediator", "messages", {"text": "note", "visibility": "staff"}),
    ("buyer", "exhibits", CHAT),
    ("seller", "exhibits", CHAT),
]


@pytest.mark.parametrize("seed", range(3))
def test_eight_threads_of_random_acts_leave_a_gapless_docket_that_verifies(shared: Story, seed: int) -> None:
    case = shared.open()

    def play(thread: int) -> Counter[int]:
        drawn, client = random.Random(f"{seed}-{thread}"), shared.app.test_client()
        found: Counter[int] = Counter()
        for _ in range(20):
            who, path, body = drawn.choice(MOVES)
            found[post(shared, who, f"/cases/{case}/{path}", body)(client).status_code] += 1
        return found

    with ThreadPoolExecutor(8) as pool:
        statuses = sum(pool.map(play, range(8)), Counter())
    assert set(statuses) <= {200, 201, 403, 409, 422}, statuses
    entries = require_whole_docket(shared, case)
    accepted = statuses[200] + statuses[201]
    # One entry for the opening, one for each act that was answered with success, one more if it became final.
    assert len(entries) == 1 + accepted + [one["type"] for one in entries].count("finalise")
    labels = [one["label"] for one in shared.get("supervisor", f"/cases/{case}/exhibits?limit=100").get_json()["items"]]
    for letter in "BS":
        numbers = [int(label[2:]) for label in labels if label[0] == letter]
        assert numbers == list(range(1, len(numbers) + 1))


def test_an_exhibit_that_took_long_to_judge_is_listed_where_it_was_filed(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader who goes on from the last exhibit they saw must come upon it too."""
    case = story.open()
    put, inside, let_go = BlobStore.put, Event(), Event()

    def waits(self: BlobStore, key: str, file: Any) -> None:
        if not inside.is_set():
            inside.set()
            assert let_go.wait(timeout=30)
        put(self, key, file)

    monkeypatch.setattr(BlobStore, "put", waits)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(post(story, "buyer", f"/cases/{case}/exhibits", CHAT), story.app.test_client())
        try:
            assert inside.wait(timeout=30)
            for _ in range(2):
                assert story.post("buyer", f"/cases/{case}/exhibits", CHAT).status_code == 201
            first = story.get("seller", f"/cases/{case}/exhibits?limit=1").get_json()
        finally:
            let_go.set()
        assert slow.result(timeout=30).get_json()["label"] == "B-3"
    rest = story.get("seller", f"/cases/{case}/exhibits?cursor={first['next_cursor']}").get_json()
    assert [one["label"] for one in (*first["items"], *rest["items"])] == ["B-1", "B-2", "B-3"]


def test_orders_cases_and_agreements_crossing_each_other_never_lock_each_other_out(shared: Story) -> None:
    """Two orders of the same people; whoever writes takes parties, order, case in ways that could cross."""
    names = ["CROSS-A", "CROSS-B"]
    people = {"buyer": {"id": "buyer-1", "name": "李雷"}, "seller": {"id": "shop-17", "name": "Kettle House"}}
    for name in names:
        body = {"order": order(name, paid=12_000, lines=4), **people}
        assert shared.put("platform", f"/orders/{name}", body).status_code == 200

    def play(thread: int) -> Counter[tuple[int, str]]:
        drawn, client = random.Random(thread), shared.app.test_client()
        platform = shared.headers("platform")
        found: Counter[tuple[int, str]] = Counter()
        for n in range(7):
            name = drawn.choice(names)
            facts = {"order": order(name, paid=12_000, lines=4), **people}
            claim = {"reason": "other", "request": "refund_only", "amount": money(10), "statement": "s"}
            claims = [{**claim, "line_id": str(line)} for line in drawn.sample(range(1, 5), 2)]
            answers = [
                client.put(f"/v1/orders/{name}", json=facts, headers=platform),
                client.post("/v1/cases", json={**facts, "claims": claims}, headers=platform),
            ]
            if answers[-1].status_code == 201:
                case = answers[-1].get_json()["id"]
                answers.append(act(shared, "platform", case, "notify_seller")(client))
                ends = ("seller", "agree") if n % 2 else ("buyer", "withdraw")
                answers.append(act(shared, ends[0], case, ends[1])(client))
                if ends[1] == "agree":
                    shared.pay()
            for answer in answers:
                found[answer.status_code, answer.get_json().get("code", "done")] += 1
        return found

    with ThreadPoolExecutor(8) as pool:
        seen = sum(pool.map(play, range(8)), Counter())
    assert set(seen) <= {(200, "done"), (201, "done"), (409, "open_case_exists")}, seen
    assert seen[201, "done"] > 4
    for name in names:
        shown = shared.get("platform", f"/orders/{name}").get_json()
        with shared.services.sessions.begin() as session:
            paid = session.scalar(
                select(func.sum(Refund.amount_minor))
                .join(Order, Order.id == Refund.order_id)
                .where(Order.external_id == name, Refund.status == "settled")
            )
        assert shown["refunded"]["amount"] == (paid or 0)
        assert shown["reserved"]["amount"] == 0


def test_paying_for_a_line_and_disputing_it_again_do_not_lock_each_other_out(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both take the order first and then its lines, so one waits for the other and neither for ever."""
    body = story.case_body()
    case = story.post("platform", "/cases", body).get_json()["id"]
    story.do("platform", case, "notify_seller")
    story.do("seller", case, "agree")
    (refund,) = paying.due(story.services)
    settle, inside, let_go = holding.settle, Event(), Event()

    def waits(*args: Any) -> None:
        settle(*args)
        inside.set()
        assert let_go.wait(timeout=30)

    monkeypatch.setattr(holding, "settle", waits)
    with ThreadPoolExecutor(2) as pool:
        paid = pool.submit(paying.pay, story.services, LedgerGateway(), refund)
        try:
            assert inside.wait(timeout=30)
            opened = pool.submit(post(story, "platform", "/cases", body), story.app.test_client())
            until_one_waits(story)
        finally:
            let_go.set()
        paid.result(timeout=30)
        assert opened.result(timeout=30).status_code == 201
    assert story.state(case) == "refunded"


def until_one_waits(story: Story) -> None:
    """Return once a connection of this database waits for a lock that another one holds."""
    waiting = sql("SELECT count(*) FROM pg_locks WHERE NOT granted AND pid IN (SELECT pid FROM pg_stat_activity)")
    deadline = time.monotonic() + 20
    while True:
        with story.services.engine.connect() as connection:
            if connection.scalar(waiting):
                return
        assert time.monotonic() < deadline, "nobody came to wait"
        time.sleep(0.01)


# --- a database that is slow, or goes away -----------------------------------------------------------------------


@pytest.fixture
def hasty(shared: Story, monkeypatch: pytest.MonkeyPatch) -> Iterator[Story]:
    """The same database seen by an application that waits a tenth of a second for a lock."""
    monkeypatch.setattr(db, "LOCK_TIMEOUT_MS", 100)
    settings = shared.services.settings
    engine = db.make_engine(str(settings.database_url), pool_size=2)
    services = replace(shared.services, engine=engine, sessions=db.make_sessions(engine))
    yield Story(create_app(settings, services), services)
    engine.dispose()


def require_busy(response: TestResponse) -> None:
    assert response.status_code == 503, response.get_data(as_text=True)
    assert response.content_type == "application/problem+json"
    assert response.get_json()["code"] == "busy"
    assert int(response.headers["Retry-After"]) >= 1


@pytest.mark.parametrize("table", ["cases", "orders"])
def test_a_lock_that_is_not_had_in_time_is_503_and_writes_nothing(hasty: Story, table: str) -> None:
    case = hasty.at("seller_notified")
    of_case = "id = :id" if table == "cases" else "id = (SELECT order_id FROM cases WHERE id = :id)"
    before = count(hasty, DocketEntry)
    with hasty.services.engine.connect() as other:
        other.execute(sql(f"SELECT 1 FROM {table} WHERE {of_case} FOR UPDATE"), {"id": uuid.UUID(case)})
        require_busy(hasty.act("seller", case, "agree", {}, **{"Idempotency-Key": uuid.uuid4().hex}))
        # Reading waits for nobody.
        assert hasty.get("seller", f"/cases/{case}").get_json()["state"] == "seller_notified"
        other.rollback()
    assert count(hasty, DocketEntry) == before
    assert hasty.act("seller", case, "agree").status_code == 200


def test_a_pool_without_a_free_connection_is_503(shared: Story) -> None:
    settings = shared.services.settings
    engine = db.make_engine(str(settings.database_url), pool_size=1)
    engine.pool._timeout = 0.1  # type: ignore[attr-defined]
    services = replace(shared.services, engine=engine, sessions=db.make_sessions(engine))
    crowded = Story(create_app(settings, services), services)
    with engine.connect():
        require_busy(crowded.get("platform", "/cases"))
        require_busy(crowded.post("platform", "/cases", crowded.case_body()))
    assert crowded.get("platform", "/cases").status_code == 200
    engine.dispose()


def test_a_database_that_is_not_there_is_503_everywhere(shared: Story) -> None:
    settings = replace(shared.services.settings, database_url="postgresql://nobody@127.0.0.1:9/none")
    engine = db.make_engine(str(settings.database_url), pool_size=1)
    services = replace(shared.services, settings=settings, engine=engine, sessions=db.make_sessions(engine))
    away = Story(create_app(settings, services), services)
    case = uuid.uuid4()
    require_busy(away.get("platform", "/cases"))
    require_busy(away.post("platform", "/cases", shared.case_body()))
    require_busy(away.get("buyer", f"/exhibits/{case}/content"))
    require_busy(away.post("buyer", f"/cases/{case}/exhibits", CHAT))
    assert away.client.get("/healthz").status_code == 200
    assert away.client.get("/readyz").status_code == 503
    assert away.client.get("/v1/cases").status_code == 401
    engine.dispose()


def _kill_own_connection(server: Any, session: Any) -> None:
    pid = session.scalar(sql("SELECT pg_backend_pid()"))
    server.execute(f"SELECT pg_terminate_backend({int(pid)}, 10000)")


@pytest.mark.parametrize("moment", ["before the effect", "after the effect"])
def test_a_connection_killed_in_the_middle_is_503_with_nothing_half_written(
    shared: Story, server: Any, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    case, key = shared.open(), uuid.uuid4().hex
    posted = messages.post

    def dies(session: Any, *args: Any) -> Any:
        if moment == "before the effect":
            _kill_own_connection(server, session)
        written = posted(session, *args)
        if moment == "after the effect":
            _kill_own_connection(server, session)
        return written

    before = count(shared, DocketEntry), count(shared, IdempotentAnswer)
    monkeypatch.setattr(messages, "post", dies)
    headers = {"Idempotency-Key": key}
    require_busy(shared.post("buyer", f"/cases/{case}/messages", {"text": "hello"}, headers))
    assert (count(shared, DocketEntry), count(shared, IdempotentAnswer)) == before
    monkeypatch.undo()
    again = shared.post("buyer", f"/cases/{case}/messages", {"text": "hello"}, headers)
    assert again.status_code == 201 and "Idempotency-Replayed" not in again.headers
    require_whole_docket(shared, case)


def test_an_agreement_killed_after_the_money_was_reserved_leaves_no_money_reserved(
    shared: Story, server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = shared.at("seller_notified")
    hold = carrying.hold

    def dies(session: Any, *args: Any) -> None:
        hold(session, *args)
        session.flush()
        _kill_own_connection(server, session)

    monkeypatch.setattr(carrying, "hold", dies)
    require_busy(shared.act("seller", case, "agree"))
    monkeypatch.undo()
    shown = shared.get("platform", f"/orders/{ordered(shared, case)}").get_json()
    assert (shown["reserved"], shared.state(case)) == (money(0), "seller_notified")
    assert [one["kind"] for one in shared.get("seller", f"/cases/{case}").get_json()["deadlines"]] == ["response"]
    assert count(shared, Refund, Refund.case_id == uuid.UUID(case)) == 0
    shared.do("seller", case, "agree")


def test_all_connections_killed_at_once_cost_one_answer_each_at_most(shared: Story, server: Any) -> None:
    """Idle connections in the pool are dead too; each is noticed once, and none is used for half an act."""
    case = shared.open()
    at_once(shared, [lambda client: client.get("/v1/cases", headers=shared.headers("platform"))] * 6)
    name = shared.services.engine.url.database
    server.execute(f"SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = '{name}'")
    statuses = [shared.get("buyer", f"/cases/{case}").status_code for _ in range(24)]
    assert set(statuses) <= {200, 503}
    assert statuses.count(503) <= 1, statuses


def test_an_order_of_locks_that_crosses_is_503_for_one_and_success_for_the_other(
    shared: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A true deadlock, made by hand: PostgreSQL ends one, and the API says what it means."""
    first, second = shared.open(), shared.open()
    posted, crossed = messages.post, Barrier(2)
    other = {first: second, second: first}

    def crosses(session: Any, case: Case, *args: Any) -> Any:
        written = posted(session, case, *args)
        crossed.wait(timeout=30)
        wanted = uuid.UUID(other[str(case.id)])
        session.execute(sql("SELECT 1 FROM cases WHERE id = :id FOR UPDATE"), {"id": wanted})
        return written

    monkeypatch.setattr(messages, "post", crosses)
    calls = [post(shared, "buyer", f"/cases/{case}/messages", {"text": "x"}) for case in (first, second)]
    answers = at_once(shared, calls)
    monkeypatch.undo()
    assert outcomes(answers) == [(201, "done"), (503, "busy")]
    for case, answer in zip((first, second), answers, strict=True):
        said = shared.get("buyer", f"/cases/{case}/messages").get_json()["items"]
        assert len(said) == (1 if answer.status_code == 201 else 0)
        require_whole_docket(shared, case)


def test_a_slow_client_of_one_case_holds_up_no_other_case(shared: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    held, free = shared.open(), shared.open()
    inside, let_go, posted = Event(), Event(), messages.post

    def waits(session: Any, case: Case, *args: Any) -> Any:
        written = posted(session, case, *args)
        if str(case.id) == held:
            inside.set()
            assert let_go.wait(timeout=30)
        return written

    monkeypatch.setattr(messages, "post", waits)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(post(shared, "buyer", f"/cases/{held}/messages", {"text": "x"}), shared.app.test_client())
        try:
            assert inside.wait(timeout=30)
            assert shared.post("buyer", f"/cases/{free}/messages", {"text": "x"}).status_code == 201
            assert shared.get("buyer", f"/cases/{held}/messages").get_json()["items"] == []
        finally:
            let_go.set()
        assert running.result(timeout=30).status_code == 201


def test_the_application_is_one_object_for_many_threads(app: Flask, story: Story) -> None:
    """Who asks, and in which language, is never another thread's."""
    case = story.at("under_review")

    def ask(n: int) -> tuple[str, str]:
        who, language = (("buyer", "en"), ("seller", "zh-CN"))[n % 2]
        client = app.test_client()
        headers = story.headers(who, **{"Accept-Language": language})
        shown = client.get(f"/v1/cases/{case}", headers=headers).get_json()
        refused = client.post(f"/v1/cases/{case}/actions/appeal", json={}, headers=headers).get_json()
        return shown["buyer"]["name"], refused["detail"][0]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, range(64)))
    assert set(found[::2]) == {("李雷", "'")}
    assert set(found[1::2]) == {("李**", "案")}


def test_an_order_put_and_a_case_opened_about_it_do_not_lock_each_other_out(story: Story) -> None:
    """Neither tells anything new of the parties, whose rows are in every order of a shop."""
    bare = story.case_body()
    for side in ("buyer", "seller"):
        bare[side] = {"id": bare[side]["id"]}
    order = {name: bare[name] for name in ("order", "buyer", "seller")}
    path = f"/orders/{order['order']['id']}"
    assert story.put("platform", path, order).status_code == 200
    claims = {"order": {"id": order["order"]["id"]}, "claims": bare["claims"]}

    def puts(_: int) -> int:
        client = story.app.test_client()
        return client.put(f"/v1{path}", json=order, headers=story.headers("platform")).status_code

    def opens(_: int) -> int:
        client = story.app.test_client()
        return client.post("/v1/cases", json=claims, headers=story.headers("buyer")).status_code

    with ThreadPoolExecutor(8) as pool:
        told = [pool.submit(puts if n % 2 else opens, n) for n in range(60)]
        statuses = Counter(one.result(timeout=60) for one in told)
    assert set(statuses) <= {200, 201, 409}, statuses
    assert statuses[201] == 1
