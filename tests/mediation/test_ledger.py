"""The embedded ledger: what is entered, who bears it, and what it refuses."""

from __future__ import annotations

import signal
import threading
import uuid
from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from mediation import paying
from mediation.gateways import LedgerGateway
from mediation.models import Case, LedgerEntry, Order, Refund
from mediation.operations import ledger, refunds
from tests.mediation.story import decision, money
from tests.mediation.worker_process import LEDGER_MOMENTS, WorkerProcess, environment


def movements(story, case: str) -> dict[str, int]:
    with story.services.sessions.begin() as session:
        entries = session.scalars(select(LedgerEntry).where(LedgerEntry.case_id == uuid.UUID(case))).all()
        assert len({entry.account for entry in entries}) == len(entries)
        return {entry.account: entry.amount_minor for entry in entries}


def row(story, case: str) -> tuple[Case, Order, Refund]:
    with story.services.sessions.begin() as session:
        found = session.get_one(Case, uuid.UUID(case))
        refund = session.scalars(select(Refund).where(Refund.case_id == found.id)).one()
        return found, session.get_one(Order, found.order_id), refund


def decided(story, amount: int, liability: dict[str, int], **more: Any) -> str:
    """A case in `refund` by a decision that both accepted, the sum borne as `liability` says."""
    case: str = story.at("under_review")
    parts = [{"party": party, "amount": money(sum_)} for party, sum_ in liability.items()]
    story.do("mediator", case, "decide", decision(amount, liability=parts, **more))
    for party in ("buyer", "seller"):
        story.do(party, case, "accept_decision")
    return case


def test_an_agreed_refund_is_the_sellers_alone(shared):
    case = shared.at("refund")
    shared.pay()
    found, order, refund = row(shared, case)
    assert movements(shared, case) == {f"seller:{found.seller_id}": -12_900, f"buyer:{found.buyer_id}": 12_900}
    assert (order.reserved_minor, order.refunded_minor, found.reserved_minor) == (0, 12_900, 0)
    assert (refund.status, refund.gateway_reference) == ("settled", f"ledger:{refund.id}")
    assert shared.state(case) == "refunded"


def test_a_decided_refund_is_borne_as_the_final_decision_splits_it(shared):
    case = decided(shared, 10_000, {"seller": 6_001, "carrier": 2_999, "platform": 1_000})
    shared.pay()
    found, _, _ = row(shared, case)
    assert movements(shared, case) == {
        f"seller:{found.seller_id}": -6_001,
        "carrier:demo": -2_999,
        "platform:demo": -1_000,
        f"buyer:{found.buyer_id}": 10_000,
    }


def test_an_overturned_decision_splits_nothing(shared):
    case = shared.at("appealed")
    parts = [{"party": "carrier", "amount": money(5_000)}]
    shared.do("senior", case, "decide", decision(5_000, liability=parts, blame="carrier"))
    shared.pay()
    found, order, _ = row(shared, case)
    assert movements(shared, case) == {"carrier:demo": -5_000, f"buyer:{found.buyer_id}": 5_000}
    assert (order.reserved_minor, order.refunded_minor) == (0, 5_000)


def test_a_dismissed_appeal_leaves_the_split_as_it_was(shared):
    case = shared.at("under_review")
    parts = [{"party": party, "amount": money(450)} for party in ("seller", "platform")]
    shared.do("mediator", case, "decide", decision(900, liability=parts))
    shared.do("seller", case, "appeal", {"grounds": "The carrier was late, not us."})
    shared.do("senior", case, "decide", {"upholds": True, "reasons": "Nothing new was said.", "findings": []})
    shared.pay()
    found, _, _ = row(shared, case)
    assert movements(shared, case) == {
        f"seller:{found.seller_id}": -450,
        "platform:demo": -450,
        f"buyer:{found.buyer_id}": 900,
    }


def test_the_ledger_names_no_person_and_no_id_of_the_marketplace(shared):
    case = shared.at("refunded")
    for account in movements(shared, case):
        assert not {"buyer-1", "shop-17"} & set(account.split(":"))


def test_a_second_writing_is_impossible(shared):
    case = shared.at("refunded")
    _, _, refund = row(shared, case)
    with pytest.raises(IntegrityError), shared.services.sessions.begin() as session:
        ledger.enter(session, refund, {"seller:x": 12_900}, "x", shared.services.clock())
    assert len(movements(shared, case)) == 2


@pytest.mark.parametrize(
    "amounts", [{"seller:x": 12_899}, {"seller:x": 12_901}, {"seller:x": 12_900, "platform:x": 1}, {}]
)
def test_movements_that_do_not_sum_to_zero_are_refused_at_the_commit(shared, amounts):
    case = shared.at("refund")
    _, _, refund = row(shared, case)
    with pytest.raises(IntegrityError, match="sum to zero"), shared.services.sessions.begin() as session:
        ledger.enter(session, refund, amounts, "x", shared.services.clock())
    assert movements(shared, case) == {}


def test_movements_that_balance_over_two_currencies_only_are_refused(shared):
    case = shared.at("refund")
    found, _, refund = row(shared, case)
    sides = [("CNY", 100), ("USD", -100)]
    with pytest.raises(IntegrityError, match="sum to zero"), shared.services.sessions.begin() as session:
        session.execute(
            insert(LedgerEntry),
            [
                {
                    "refund_id": refund.id,
                    "n": n,
                    "case_id": found.id,
                    "account": currency,
                    "amount_minor": amount,
                    "currency": currency,
                    "at": shared.services.clock(),
                }
                for n, (currency, amount) in enumerate(sides)
            ],
        )


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger_entries SET amount_minor = amount_minor * 2",
        "DELETE FROM ledger_entries",
        "TRUNCATE ledger_entries",
        "ALTER TABLE ledger_entries DISABLE TRIGGER ALL",
    ],
)
def test_the_application_cannot_rewrite_the_ledger(shared, statement):
    shared.at("refunded")
    with pytest.raises(DBAPIError), shared.services.sessions.begin() as session:
        session.execute(text(statement))


def test_not_even_the_owner_rewrites_the_ledger(shared, module_database):
    shared.at("refunded")
    owner = module_database.replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(owner) as connection, pytest.raises(psycopg.errors.IntegrityError, match="append-only"):
        connection.execute("SET session_replication_role = replica")
        connection.execute("UPDATE ledger_entries SET amount_minor = 1")


def test_many_at_once_pay_one_refund_once(shared):
    case = shared.at("refund")
    refund = row(shared, case)[2].id
    start, errors = threading.Barrier(8), []

    def attempt() -> None:
        start.wait()
        try:
            paying.pay(shared.services, LedgerGateway(), refund)
        except Exception as error:  # noqa: BLE001 - told to the test below
            errors.append(error)

    threads = [threading.Thread(target=attempt) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found, order, paid = row(shared, case)
    assert errors == []
    assert (paid.status, paid.attempts) == ("settled", 1)
    assert sum(abs(amount) for amount in movements(shared, case).values()) == 2 * 12_900
    assert (order.reserved_minor, order.refunded_minor) == (0, 12_900)
    assert found.state == "refunded"


def test_a_refund_that_was_settled_meanwhile_moves_nothing_more(shared):
    case = shared.at("refund")
    refund = row(shared, case)[2]
    before = shared.services.clock()
    shared.pay()
    LedgerGateway().pay(shared.services.sessions, refund, before)
    assert len(movements(shared, case)) == 2


def test_a_refund_that_cannot_be_settled_hinders_no_other_and_goes_to_a_senior_in_the_end(shared):
    stuck, other = shared.at("refund"), shared.at("refund")
    _, _, refund = row(shared, stuck)
    with shared.services.sessions.begin() as session:
        # Somebody else's movement under its key: the ledger refuses ours, and with it the settling.
        ledger.enter(session, refund, {"seller:x": 12_900}, "x", shared.services.clock())
    for each in paying.due(shared.services):
        if each == refund.id:
            with pytest.raises(IntegrityError):
                paying.pay(shared.services, LedgerGateway(), each)
        else:
            paying.pay(shared.services, LedgerGateway(), each)
    assert shared.state(other) == "refunded" and shared.state(stuck) == "refund"
    assert refund.id not in paying.due(shared.services), "its next try has a pause"
    with shared.services.sessions.begin() as session:
        long_ago = "UPDATE refunds SET tries_since = now() - interval '25 hours', next_try_at = now() WHERE id = :id"
        session.execute(text(long_ago), {"id": refund.id})
    giving_up = replace(shared.services.settings, refund_give_up_after=timedelta(hours=24))
    with pytest.raises(IntegrityError):
        paying.pay(replace(shared.services, settings=giving_up), LedgerGateway(), refund.id)
    found, order, failed = row(shared, stuck)
    assert (found.state, found.escalation_reason, failed.status) == ("escalated", "refund_failed", "failed")
    assert order.reserved_minor == 12_900


def test_pauses_grow_and_the_last_try_falls_on_the_end_of_all_tries(shared):
    settings, services = shared.services.settings, shared.services
    case = shared.at("refund")
    refund = row(shared, case)[2]
    pause = settings.gateway_timeout + settings.refund_retry_pause
    at, pauses, give_up_after = refund.requested_at, [], timedelta(hours=24)
    while at < refund.requested_at + give_up_after:
        with services.sessions.begin() as session:
            claimed = refunds.claim(session, refund.id, "http", at, pause, give_up_after=give_up_after)
            pauses.append(claimed.next_try_at - at)
        at += pauses[-1]
    assert pauses[:4] == [pause, 2 * pause, 4 * pause, 8 * pause]
    assert pauses[:-1] == sorted(pauses[:-1]) and max(pauses) == refunds.LONGEST_PAUSE * pause
    assert at == refund.requested_at + give_up_after
    with services.sessions.begin() as session:
        session.execute(text("UPDATE refunds SET next_try_at = 'infinity' WHERE id = :id"), {"id": refund.id})


@pytest.fixture(scope="module")
def killed(shared, module_database, tmp_path_factory):
    """One case for each moment in which the payer of its refund was killed."""
    env = environment(module_database, tmp_path_factory.mktemp("killed"))
    cases = {moment: shared.at("refund") for moment in LEDGER_MOMENTS}
    dying = {moment: WorkerProcess.dying(env, moment, str(row(shared, case)[2].id)) for moment, case in cases.items()}
    try:
        assert {moment: one.ended() for moment, one in dying.items()} == dict.fromkeys(cases, -signal.SIGKILL)
    finally:
        for one in dying.values():
            one.close()
    return cases


@pytest.mark.parametrize("moment", LEDGER_MOMENTS)
def test_a_payer_killed_at_any_moment_has_paid_and_settled_or_neither(shared, killed, moment):
    case = killed[moment]
    refund = row(shared, case)[2]
    done = moment == "after the ledger is committed"
    assert (len(movements(shared, case)), shared.state(case)) == ((2, "refunded") if done else (0, "refund"))
    with shared.services.sessions.begin() as session:
        session.execute(text("UPDATE refunds SET next_try_at = now() WHERE id = :id"), {"id": refund.id})
    paying.pay(shared.services, LedgerGateway(), refund.id)
    found, order, paid = row(shared, case)
    assert (found.state, paid.status, len(movements(shared, case))) == ("refunded", "settled", 2)
    assert (order.reserved_minor, order.refunded_minor) == (0, 12_900)
    record = shared.get("mediator", f"/cases/{case}/docket").get_json()["items"]
    assert [entry["type"] for entry in record].count("settle_refund") == 1
