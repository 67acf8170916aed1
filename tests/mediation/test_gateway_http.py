"""The http gateway against a separate process with its own book that misbehaves, and with our own process killed.

Whatever happens, at the end both books show one payment of the exact sum, or none and a senior who looks.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import text
from werkzeug.serving import make_server

from mediation import create_app
from mediation.jobs import Hinter
from mediation.services import Services
from tests.mediation.conftest import Server, make_services, make_settings
from tests.mediation.gateway_book import Book
from tests.mediation.story import Story
from tests.mediation.worker_process import MOMENTS, SECRET, WorkerProcess, environment, wait_until

PAID = 12_900


class Office:
    """Our side of the street: the API on a real port for callbacks, the story, and what a worker needs to know."""

    def __init__(self, database: str, home: Path) -> None:
        settings = make_settings(database, home, gateway="http", gateway_url="http://127.0.0.1/", gateway_secret=SECRET)
        self.services: Services = make_services(settings)
        self.story = Story(create_app(settings, self.services), self.services)
        self.hint = Hinter(database)
        self._server = make_server("127.0.0.1", 0, self.story.app, threaded=True)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.book = Book(home, f"http://127.0.0.1:{self._server.server_port}/v1/gateway/callbacks", SECRET)
        self.env = environment(
            database, home, GATEWAY="http", GATEWAY_URL=self.book.url, GATEWAY_SECRET=SECRET, LOG_FORMAT="json"
        )

    def close(self) -> None:
        self.book.close()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self.hint.close()
        self.services.engine.dispose()

    # --- a refund and its books ---

    def order_refund(self, *behaviours: str) -> tuple[str, str, str]:
        """A case in `refund` whose order the gateway treats in these ways: case, refund and order."""
        case = self.story.open()
        order = self.story.get("mediator", f"/cases/{case}").get_json()["order"]["id"]
        self.book.plan(order, *behaviours)
        self.story.do("platform", case, "notify_seller")
        self.story.do("seller", case, "agree")
        return case, self.refund(case)["id"], order

    def refund(self, case: str) -> dict[str, Any]:
        (one,) = self.story.get("senior", f"/cases/{case}/refunds").get_json()["items"]
        return dict(one)

    def until(self, case: str, state: str, worker: WorkerProcess) -> None:
        def reached() -> bool:
            self.hint()
            return self.story.state(case) == state

        wait_until(reached, f"the case came to {state} ({self.refund(case)})", lambda: worker.output)

    def rows(self, query: str, **values: object) -> list[Any]:
        with self.services.sessions.begin() as session:
            return list(session.execute(text(query), values))

    def long_transactions(self) -> list[Any]:
        """Transactions that have been open for a while, whoever's; only the server's owner sees them all."""
        owner = self.services.settings.database_url
        with psycopg.connect(str(owner).replace("postgresql+psycopg://", "postgresql://")) as connection:
            return connection.execute(
                "SELECT application_name, state, query FROM pg_stat_activity WHERE datname = current_database()"
                " AND pid <> pg_backend_pid() AND now() - xact_start > interval '0.15 seconds'"
            ).fetchall()

    def settled_once(self, case: str, order: str) -> None:
        """Both books show one payment of the exact sum; the record is gapless and tells of it once."""
        payments, asks = self.book.payments(order), self.book.asks(order)
        refund = self.refund(case)
        assert [(one["key"], one["amount"], one["currency"]) for one in payments] == [(refund["id"], PAID, "CNY")]
        assert {ask["key"] for ask in asks} <= {refund["id"]}
        assert len({ask["message"] for ask in asks}) == len(asks), "each message has an id of its own"
        assert refund["status"] == "settled" and refund["gateway_reference"] == payments[0]["ref"]
        self._money_and_record(case, reserved=0, refunded=PAID, settlings=1)
        assert self.story.state(case) == "refunded"

    def not_settled(self, case: str, order: str) -> None:
        """The money is still reserved, and the case lies with senior staff."""
        self._money_and_record(case, reserved=PAID, refunded=0, settlings=0)
        assert self.refund(case)["status"] == "failed"
        assert self.story.get("senior", f"/cases/{case}").get_json()["queue"] == "failed_refunds"

    def _money_and_record(self, case: str, *, reserved: int, refunded: int, settlings: int) -> None:
        query = (
            "SELECT o.reserved_minor, o.refunded_minor, c.reserved_minor"
            " FROM orders o JOIN cases c ON c.order_id = o.id WHERE c.id = :case"
        )
        assert self.rows(query, case=case) == [(reserved, refunded, reserved)]
        entries = self.rows(
            "SELECT seq, prev, hash, type FROM docket_entries WHERE case_id = :case ORDER BY seq", case=case
        )
        assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
        assert [entry.prev for entry in entries] == [bytes(32), *(entry.hash for entry in entries[:-1])]
        assert [entry.type for entry in entries].count("settle_refund") == settlings


@pytest.fixture(scope="module")
def office(module_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    made = Office(module_database, tmp_path_factory.mktemp("office"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def worker(office: Office) -> Iterator[WorkerProcess]:
    """A real worker that serves the module's office."""
    made = WorkerProcess({**office.env, "REFUND_GIVE_UP_AFTER_SECONDS": "2"}).until_started()
    yield made
    made.close()


@pytest.fixture
def own_office(database: str, tmp_path: Path) -> Iterator[Office]:
    """An office in which no worker is but the test's own."""
    made = Office(database, tmp_path)
    yield made
    made.close()


PAYS_IN_THE_END = [
    ("settle",),
    ("late", "settle"),
    ("twice",),
    ("error_after_paying", "settle"),
    ("error", "busy", "settle"),
    ("close_after_paying", "settle"),
    ("silent_after_paying", "settle"),
    ("silent", "settle"),
    ("trickle", "settle"),
    ("nonsense", "settle"),
    ("callback_only",),
    ("callback_first",),
    ("accept", "settle"),
]


@pytest.mark.parametrize("behaviours", PAYS_IN_THE_END, ids=" then ".join)
def test_a_gateway_that_pays_in_the_end_has_paid_once(office, worker, behaviours):
    case, _, order = office.order_refund(*behaviours)
    office.until(case, "refunded", worker)
    wait_until(lambda: behaviours[-1] != "twice" or len(office.book.callbacks(order)) >= 2, "it called back twice")
    assert {callback["code"] for callback in office.book.callbacks(order)} <= {200}
    office.settled_once(case, order)
    assert len(office.book.asks(order)) >= len(behaviours)


@pytest.mark.parametrize("behaviour", ["refuse", "refuse_by_status", "fail_by_callback"])
def test_a_refusal_goes_to_senior_staff_at_once_and_keeps_the_money_reserved(office, worker, behaviour):
    case, _, order = office.order_refund(behaviour)
    office.until(case, "escalated", worker)
    office.not_settled(case, order)
    assert len(office.book.asks(order)) == 1 and office.book.payments(order) == []


def test_the_gateways_own_words_stand_in_the_case_and_in_no_log(office, worker):
    case, _, _ = office.order_refund("refuse")
    office.until(case, "escalated", worker)
    assert office.refund(case)["failure"] == "the account is closed"
    for words in ("account is closed", "李雷", "Kettle House", "buyer-1", "shop-17"):
        assert words not in worker.output


def test_a_retry_by_a_senior_goes_out_under_the_same_key(office, worker):
    case, refund, order = office.order_refund("refuse", "settle")
    office.until(case, "escalated", worker)
    office.story.do("senior", case, "retry_refund")
    office.until(case, "refunded", worker)
    assert [ask["key"] for ask in office.book.asks(order)] == [refund, refund]
    office.settled_once(case, order)


def test_an_answer_with_another_amount_is_not_believed(office, worker):
    case, _, order = office.order_refund("other_amount")
    office.until(case, "escalated", worker)
    office.not_settled(case, order)
    assert "another amount" in office.refund(case)["failure"]


@pytest.mark.parametrize("behaviour", ["silent", "silent_after_paying", "accept"])
def test_when_the_time_for_tries_is_over_a_senior_looks_and_a_late_payment_still_settles(office, worker, behaviour):
    case, _, order = office.order_refund(behaviour)
    office.until(case, "escalated", worker)
    office.not_settled(case, order)
    assert len(office.book.asks(order)) > 1
    assert office.book.pay_late(order, PAID) == {"status": 200, "body": {"applied": True}}
    assert office.book.pay_late(order, PAID) == {"status": 200, "body": {"applied": False}}
    office.settled_once(case, order)


def test_no_transaction_and_no_lock_is_held_while_the_gateway_thinks(office, worker):
    case, refund, order = office.order_refund("silent_after_paying", "settle")
    office.hint()
    wait_until(lambda: office.book.asks(order), "the gateway was asked", lambda: worker.output)
    for _ in range(8):
        with office.services.sessions.begin() as session:
            session.execute(text("SELECT 1 FROM cases WHERE id = :id FOR UPDATE NOWAIT"), {"id": case})
            session.execute(text("SELECT 1 FROM refunds WHERE id = :id FOR UPDATE NOWAIT"), {"id": refund})
        assert office.long_transactions() == []
        time.sleep(0.05)
    office.until(case, "refunded", worker)
    office.settled_once(case, order)


@dataclass
class Killed:
    """A refund whose sender was killed: how that one ended, what stood in the books then, and its successor."""

    case: str
    order: str
    exit_code: int
    output: str
    paid: int
    state: str
    successor: WorkerProcess


@pytest.fixture(scope="module")
def killed(
    server: Server, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Office, dict[str, Killed]]]:
    """One refund for each moment, its sender killed then; and a real worker, started after all of them are dead."""
    database = server.create(template)
    office = Office(server.url(database), tmp_path_factory.mktemp("killed"))
    found = {moment: office.order_refund("settle") for moment in MOMENTS}
    dying = {moment: WorkerProcess.dying(office.env, moment, refund) for moment, (_, refund, _) in found.items()}
    codes = {moment: one.ended() for moment, one in dying.items()}
    books = {
        moment: (len(office.book.payments(order)), office.story.state(case))
        for moment, (case, _, order) in found.items()
    }
    successor = WorkerProcess(office.env)
    yield (
        office,
        {
            moment: Killed(case, order, codes[moment], dying[moment].output, *books[moment], successor)
            for moment, (case, _, order) in found.items()
        },
    )
    for one in (*dying.values(), successor):
        one.close()
    office.close()
    server.drop(database)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_sender_killed_at_any_moment_leaves_one_payment(killed, moment):
    office, senders = killed
    sender = senders[moment]
    assert sender.exit_code == -signal.SIGKILL, sender.output
    answered = MOMENTS.index(moment) >= MOMENTS.index("after the answer, before it is applied")
    committed = moment == "after the commit"
    assert (sender.paid, sender.state) == (int(answered), "refunded" if committed else "refund")
    office.until(sender.case, "refunded", sender.successor)
    office.settled_once(sender.case, sender.order)
    assert len(office.book.asks(sender.order)) == (2 if answered and not committed else 1)


def test_a_worker_killed_while_it_waits_for_the_answer_leaves_one_payment(own_office):
    case, _, order = own_office.order_refund("silent_after_paying", "settle")
    first = WorkerProcess(own_office.env)
    second = None
    try:
        wait_until(lambda: own_office.book.asks(order), "the gateway was asked", lambda: first.output)
        first.kill()
        assert len(own_office.book.payments(order)) == 1
        assert own_office.story.state(case) == "refund"
        second = WorkerProcess(own_office.env)
        own_office.until(case, "refunded", second)
    finally:
        for one in filter(None, (first, second)):
            one.close()
    own_office.settled_once(case, order)


def test_a_worker_told_to_stop_finishes_the_payment_under_way(own_office):
    case, _, order = own_office.order_refund("slow")
    worker = WorkerProcess(own_office.env)
    try:
        wait_until(lambda: own_office.book.asks(order), "the gateway was asked", lambda: worker.output)
        assert worker.stop() == 0, worker.output
    finally:
        worker.close()
    assert len(own_office.book.asks(order)) == 1
    own_office.settled_once(case, order)


def test_a_refund_that_one_gateway_may_have_paid_is_never_given_to_the_other(own_office):
    case, _, order = own_office.order_refund("error_after_paying")
    first = WorkerProcess(own_office.env)
    second = None
    try:
        wait_until(lambda: own_office.book.asks(order), "the gateway was asked", lambda: first.output)
        assert first.stop() == 0, first.output
        second = WorkerProcess({**own_office.env, "GATEWAY": "ledger"})
        own_office.until(case, "escalated", second)
    finally:
        for one in filter(None, (first, second)):
            one.close()
    assert own_office.rows("SELECT 1 FROM ledger_entries") == []
    own_office.not_settled(case, order)
    assert len(own_office.book.payments(order)) == 1
