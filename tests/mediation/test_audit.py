"""The audit: silent on what is honest, and exact about what was altered behind the application's back."""

from __future__ import annotations

import ast
import json
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import Engine, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

import mediation
from evidence import sealing
from mediation import erasure
from mediation.auditing import rounds
from mediation.auditing.audited import Audited, Difference
from mediation.auditing.rounds import Round
from mediation.cli import main
from mediation.db import make_engine
from mediation.models import Case, Exhibit, Seal
from mediation.operations.messages import MESSAGE
from tests.mediation.story import CHAT, WAYS, Story, decision
from tests.mediation.test_dossiers import _full
from tests.mediation.test_redactions import PHONE, file_chat, file_text, redact
from tests.mediation.timed import Hands, TimedStory
from workflows.replaying import RECORDED


def go(story: Story, *cases: str, limit: int = 1_000) -> Round:
    """One round over these cases and their orders, or over everything."""
    round_ = Round(story.services.sessions, story.services.blobs, limit)
    named = [uuid.UUID(case) for case in cases] or None
    for _ in (*round_.over_cases(named), *round_.over_orders(named)):
        pass
    return round_


def lines(story: Story, *cases: str) -> list[str]:
    """What was found, without whose it is."""
    return [f"{one.what} ({one.place})" for one in go(story, *cases).kept]


# --- what is honest ----------------------------------------------------------------------------------------------


def test_cases_in_every_state_are_as_their_record_says(shared: Story) -> None:
    for state in WAYS:
        shared.at(state)
    shared.failed_refund()
    case = _full(shared)
    round_ = go(shared)
    assert [str(one) for one in round_.kept] == []
    counts = round_.counts
    assert counts.cases > len(WAYS) and counts.orders == counts.cases and counts.entries > 3 * counts.cases
    assert (counts.messages, counts.blobs, counts.differences) == (5, 4, 0)
    assert counts.seals >= 3
    assert go(shared, case).counts.cases == 1


def test_whole_lives_by_the_clock_are_as_their_record_says(database: str, services: Any) -> None:
    story = TimedStory(services, Hands())
    kinds = ("refund_only", "return_and_refund", "exchange", "reship", "compensation")
    cases = [story.asked(kind) for kind in kinds] + [story.asked("refund_only", "reship")]
    cases += [story.at(state) for state in ("proposed", "awaiting_evidence", "appealed", "suspended", "decided")]
    cases.append(story.failed_refund())
    for days in (2, 5, 9, 20):
        story.pass_time(days=days)
        assert lines(story) == [], days
    assert {story.state(case) for case in cases} == {"refunded", "escalated"}


def test_what_was_redacted_or_erased_is_no_difference(story: Story) -> None:
    case = story.at("under_review")
    chat = file_chat(story, case, "发货了吗", PHONE)
    file_text(story, case, f"note: {PHONE}".encode(), title="memo")
    story.post("seller", f"/cases/{case}/messages", {"text": f"call {PHONE}"})
    story.do("mediator", case, "decide", decision())
    assert redact(story, chat["id"], 2, who="senior").status_code == 200
    assert lines(story) == []
    erasure.sweep(story.services)
    assert lines(story) == []
    for who in ("buyer", "seller"):
        story.do(who, case, "accept_decision")
    story.pay()
    for side in ("buyer", "seller"):
        body = {"side": side, "reason": "personal_data"}
        response = story.post("supervisor", f"/cases/{case}/erasures", body)
        assert response.status_code == 200, response.get_data(as_text=True)
    erasure.sweep(story.services)
    round_ = go(story)
    assert [str(one) for one in round_.kept] == []
    assert (round_.counts.messages, round_.counts.blobs) == (2, 0)


def test_every_kind_of_happening_that_is_recorded_is_known_to_the_replay() -> None:
    """Whatever the application passes to the docket as the type of an entry that moves nothing."""
    found = {"deadlines_recounted"}  # the docket's own
    for path in Path(mediation.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            called = node.func if isinstance(node, ast.Call) else None
            if isinstance(called, ast.Attribute) and ast.unparse(called) in (
                "docket.record",
                "docket.record_deadlines",
            ):
                kind = node.args[2]  # type: ignore[attr-defined]
                found.add(MESSAGE if isinstance(kind, ast.Name) and kind.id == "MESSAGE" else ast.literal_eval(kind))
    assert found == RECORDED.keys()


# --- what was altered --------------------------------------------------------------------------------------------

TABLES = (
    "cases", "docket_entries", "docket_openings", "exhibits", "exhibit_messages", "exhibit_message_openings", "seals",
    "custody_entries", "custody_openings", "ledger_entries",
)  # fmt: skip
Plant = Callable[..., None]


@pytest.fixture(scope="module")
def owner(shared: Story) -> Iterator[Engine]:
    """A superuser of the module's database, in which nothing guards the record any more."""
    engine = make_engine(str(shared.services.settings.database_url), role=None)
    with engine.begin() as connection:
        for table in TABLES:
            connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
    yield engine
    engine.dispose()


@pytest.fixture
def plant(owner: Engine) -> Plant:
    def planted(statement: str, **values: Any) -> None:
        with owner.begin() as connection:
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            assert connection.execute(text(statement), values).rowcount >= 1, statement

    return planted


_OF = "WHERE case_id = :case"
_LAST = f"(SELECT max(seq) FROM docket_entries {_OF})"
_OTHER = "decode(repeat('ab', 32), 'hex')"
_CHAT = f"(SELECT id FROM exhibits {_OF} AND label = 'S-1')"
_MESSAGE = f"{_OF} AND exhibit_id = {_CHAT} AND seq = 2"
_TEXT = '{"text": "other"}'
#: A statement, and every line that must be found of it; a case in `decided` has entries 1 to 11, the last its decision.
ALTERED: dict[str, tuple[str, list[str]]] = {
    "state": (
        "UPDATE cases SET state = 'closed' WHERE id = :case",
        ["state is closed, and the record says decided (the case's row)"],
    ),
    "counter": (
        "UPDATE cases SET decisions_issued = 0, level = 2, accepted_by_buyer = true WHERE id = :case",
        [
            "decisions_issued is 0, and the record says 1 (the case's row)",
            "level is 2, and the record says 0 (the case's row)",
            "accepted_by_buyer is True, and the record says False (the case's row)",
            "decisions_issued is 0, and 1 decisions were (decisions)",
        ],
    ),
    "assignee": (
        "UPDATE cases SET assignee = 'mallory' WHERE id = :case",
        ["assignee is not whom the record says (the case's row)"],
    ),
    "due": (
        "UPDATE cases SET due_at = due_at + interval '1 day' WHERE id = :case",
        ["due_at is "],
    ),
    "deadline": (
        f"UPDATE deadlines SET due_at = due_at + interval '1 day' {_OF} AND done_at IS NULL",
        ["(deadline appeal)"],
    ),
    "deadline gone": (
        f"DELETE FROM deadlines {_OF} AND done_at IS NULL",
        ["it does not run, against the record (deadline appeal)"],
    ),
    "head": (
        f"UPDATE cases SET head = {_OTHER} WHERE id = :case",
        ["chain: the head is not the hash of entry 11: entries were cut off the end, or rewritten (entry 11)"],
    ),
    "entry's hash": (
        f"UPDATE docket_entries SET hash = {_OTHER} {_OF} AND seq = 3",
        [
            "chain: the contents do not give the hash: the entry was altered (entry 3)",
            "chain: prev is not the hash of entry 3 (entry 4)",
        ],
    ),
    "entry's type": (
        f"UPDATE docket_entries SET type = 'agree' {_OF} AND seq = 3",
        [
            "chain: the contents do not give the hash: the entry was altered (entry 3)",
            "replay: agree leads from seller_notified to awaiting_performance or awaiting_return or refund here, "
            "not to seller_refused (entry 3)",
        ],
    ),
    "entry dropped": (
        f"DELETE FROM docket_entries {_OF} AND seq = 3",
        [
            "chain: entry 3 is missing (entry 3)",
            "there are openings of an entry that is not there (entry 3)",
            "replay: the entry goes on from seller_refused, and the one before left the case in seller_notified "
            "(entry 4)",
        ],
    ),
    "entry cut off": (
        f"DELETE FROM docket_entries {_OF} AND seq = {_LAST}",
        [
            "chain: the head is not the hash of entry 10: entries were cut off the end, or rewritten (entry 10)",
            "version is 11, and the record says 10 (the case's row)",
            "state is decided, and the record says under_review (the case's row)",
            "seal: its entry is not there (entry 11)",
            "no decision is entered there (decision 1, entry 11)",
        ],
    ),
    "opening's value": (
        f"UPDATE docket_openings SET value = '{_TEXT}' {_OF} AND name = 'text' AND seq = 9".replace(":", "\\:", 1),
        ["the opening does not open its commitment (entry 9, opening 1 text)"],
    ),
    "actor": (
        f"UPDATE docket_openings SET value = jsonb_set(value, '{{actor,role}}', '\"senior\"') {_OF} AND seq = 4 "
        "AND n = 0",
        ["the opening does not open its commitment (entry 4, opening 0 actor)"],
    ),
    "opening's name": (
        f"UPDATE docket_openings SET name = 'note' {_OF} AND name = 'text' AND seq = 9",
        ["the opening does not open its commitment (entry 9, opening 1 note)"],
    ),
    "opening gone": (
        f"DELETE FROM docket_openings {_OF} AND name = 'text' AND seq = 9",
        ["1 openings of 2 commitments (entry 9)"],
    ),
    "message text": (
        f"UPDATE exhibit_message_openings SET text = 'other' {_MESSAGE}",
        ["text does not open its commitment (S-1, message 2)"],
    ),
    "sender": (
        f"UPDATE exhibit_message_openings SET sender = jsonb_set(sender, '{{name}}', '\"Mallory\"') {_MESSAGE}",
        ["sender does not open its commitment (S-1, message 2)"],
    ),
    "salt": (
        f"UPDATE exhibit_message_openings SET text_salt = {_OTHER} {_MESSAGE}",
        ["text does not open its commitment (S-1, message 2)"],
    ),
    "message's openings gone": (
        f"DELETE FROM exhibit_message_openings {_MESSAGE}",
        ["nothing is there to open its commitments (S-1, message 2)"],
    ),
    "time": (
        f"UPDATE exhibit_messages SET sent_at = sent_at + interval '1 s' {_MESSAGE}",
        ["the message does not give its leaf (S-1, message 2)"],
    ),
    "commitment": (
        f"UPDATE exhibit_messages SET c_text = {_OTHER} {_MESSAGE}",
        [
            "the message does not give its leaf (S-1, message 2)",
            "text does not open its commitment (S-1, message 2)",
        ],
    ),
    "leaf": (
        f"UPDATE exhibit_messages SET leaf = {_OTHER} {_MESSAGE}",
        [
            "the message does not give its leaf (S-1, message 2)",
            "the leaves do not give its Merkle root (S-1)",
        ],
    ),
    "message dropped": (
        f"DELETE FROM exhibit_messages {_OF} AND exhibit_id = {_CHAT} AND seq = 1",
        [
            "it stands where message 1 ought to (S-1, message 2)",
            "message_count is 2, and there are 1 messages (S-1)",
            "the leaves do not give its Merkle root (S-1)",
        ],
    ),
    "root": (
        f"UPDATE exhibits SET merkle_root = {_OTHER} {_OF} AND label = 'S-1'",
        ["the leaves do not give its Merkle root (S-1)", f"merkle_root is {'ab' * 32}, and the record says "],
    ),
    "digest": (
        f"UPDATE exhibits SET sha256 = repeat('ab', 32) {_OF} AND label = 'S-1'",
        [
            "sha256 is not the one that was filed (S-1)",
            "blob: its key is not made of case, exhibit and digest (S-1)",
        ],
    ),
    "digest erased alone": (
        f"UPDATE exhibits SET sha256 = NULL {_OF} AND label = 'S-1'",
        [
            "sha256 is erased in one place only (S-1)",
            "sha256, blob_key and redacted_at do not agree on whether it was redacted (S-1)",
        ],
    ),
    "filer": (
        f"UPDATE exhibits SET filed_role = 'buyer', filed_by = 'mallory', title = 'mallory' {_OF} AND label = 'S-1'",
        [
            "filed_role is buyer, and the record says seller (S-1)",
            "filed_by is not whom the record says (S-1)",
            "it has a title, and was filed without one (S-1)",
        ],
    ),
    "title": (
        f"UPDATE exhibits SET title = 'mallory' {_OF} AND label = 'S-2'",
        ["title is not the one that was filed (S-2)"],
    ),
    "exhibit dropped": (
        f"DELETE FROM exhibits {_OF} AND label = 'S-2'",
        ["the exhibit that was filed is not there (entry 7)"],
    ),
    "exhibit moved": (
        f"UPDATE exhibits SET seq = 2 {_OF} AND label = 'S-2'",
        ["no filing is entered there (S-2, entry 2)", "the exhibit that was filed is not there (entry 7)"],
    ),
    "custody entry": (
        f"UPDATE custody_entries SET act = 'viewed' {_OF} AND exhibit_id = {_CHAT} AND seq = 1",
        ["custody: the contents do not give the hash: the entry was altered (S-1, custody entry 1)"],
    ),
    "custody opening": (
        f"UPDATE custody_openings SET value = '{{}}' {_OF} AND exhibit_id = {_CHAT} AND seq = 1",
        ["custody: the opening does not open its commitment (S-1, custody entry 1)"],
    ),
    "custody cut off": (
        f"DELETE FROM custody_entries {_OF} AND exhibit_id = {_CHAT}",
        ["custody: it is not there (S-1, custody entry 1, sealed in entry 11)"],
    ),
    "seal dropped": (f"DELETE FROM seals {_OF}", ["seal: the decision has none (entry 11)"]),
    "claim": (
        f"UPDATE claims SET amount_minor = 1 {_OF}",
        [
            "amount_minor is 1, and the record says 12900 (claim 0)",
            "claimed_minor is 12900, which is not the sum of its claims (claims)",
        ],
    ),
    "line freed": (
        f"DELETE FROM open_lines {_OF}",
        ["0 order lines are marked as in dispute, which are not those (claims)"],
    ),
    "decision": (
        f"UPDATE decisions SET amount_minor = 1, outcome = 'split' {_OF}",
        [
            "amount_minor is not as the record says (decision 1, entry 11)",
            "outcome is not as the record says (decision 1, entry 11)",
        ],
    ),
    "reserved": (
        "UPDATE orders SET reserved_minor = 1 WHERE id = (SELECT order_id FROM cases WHERE id = :case)",
        ["reserved_minor is 1, and its cases and refunds make 12900 (order)"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", ALTERED)
def test_what_was_altered_is_found_and_named(shared: Story, plant: Plant, what: str) -> None:
    statement, expected = ALTERED[what]
    case = _full(shared)
    assert lines(shared, case) == []
    plant(statement, case=case)
    found = lines(shared, case)
    assert [one for one in expected if not any(one in line for line in found)] == [], found
    of_case = shared.get("platform", f"/cases/{case}").get_json()
    of_order = f"order demo/{of_case['order']['id']}"
    assert {one.subject for one in go(shared, case).kept} == {of_order if what == "reserved" else of_case["reference"]}
    words = "\n".join(found)
    assert not any(word in words for word in ("发货", PHONE, "other", "mallory", "Mallory"))


#: Of a case that was refunded.
OF_MONEY: dict[str, tuple[str, list[str]]] = {
    "order's reserve": (
        "UPDATE orders SET reserved_minor = 7, refunded_minor = 12893 "
        "WHERE id = (SELECT order_id FROM cases WHERE id = :case)",
        [
            "reserved_minor is 7, and its cases and refunds make 0 (order)",
            "refunded_minor is 12893, and its cases and refunds make 12900 (order)",
        ],
    ),
    "order's extras": (
        "UPDATE orders SET compensation_minor = 5, freight_minor = 6 "
        "WHERE id = (SELECT order_id FROM cases WHERE id = :case)",
        [
            "compensation_minor is 5, and its cases and refunds make 0 (order)",
            "freight_minor is 6, and its cases and refunds make 0 (order)",
        ],
    ),
    "movement": (
        f"UPDATE ledger_entries SET amount_minor = amount_minor + 1 {_OF} AND amount_minor > 0",
        ["ledger: its movements sum to 1 (refund ", "ledger: the buyer is not credited with what was owed (refund "],
    ),
    "movement's case": (
        f"UPDATE ledger_entries SET currency = 'EUR' {_OF} AND amount_minor > 0",
        ["ledger: a movement is of another case or currency (refund "],
    ),
    "movement gone": (
        f"DELETE FROM ledger_entries {_OF} AND amount_minor > 0",
        ["ledger: its movements sum to -12900"],
    ),
    "movements gone": (f"DELETE FROM ledger_entries {_OF}", ["it is settled, and 0 movements are in the ledger"]),
    "refund's amount": (
        f"UPDATE refunds SET amount_minor = 1 {_OF}",
        ["its purposes do not make up its amount (refund ", "amount_minor is 1, and the record says 12900 (refund "],
    ),
    "refund unsettled": (
        f"UPDATE refunds SET status = 'sent' {_OF}",
        [
            "a refund is not settled, and the case does not wait for it (refunds)",
            "0 refunds are settled, and 1 on record (refunds)",
            "it is sent, and 2 movements are in the ledger (refund ",
            "refunded_minor is 12900, and its cases and refunds make 0 (order)",
        ],
    ),
    "closed": (
        "UPDATE cases SET closed_at = NULL, outcome = 'withdrawn' WHERE id = :case",
        ["closed_at is null, and the record says 20", "outcome is withdrawn, and the record says settled"],
    ),
}


@pytest.mark.parametrize("what", OF_MONEY)
def test_money_that_was_altered_is_found_and_named(shared: Story, plant: Plant, what: str) -> None:
    statement, expected = OF_MONEY[what]
    case = shared.at("refunded")
    assert lines(shared, case) == []
    plant(statement, case=case)
    found = lines(shared, case)
    assert [one for one in expected if not any(one in line for line in found)] == [], found


def test_a_refund_that_nobody_ordered_and_one_that_is_missing_are_found(shared: Story, plant: Plant) -> None:
    waiting, failed = shared.at("refund"), shared.failed_refund()
    plant("UPDATE refunds SET status = 'failed' WHERE case_id = :case", case=waiting)
    plant("UPDATE refunds SET status = 'sent' WHERE case_id = :case", case=failed)
    assert lines(shared, waiting) == ["it waits for a refund, and none is under way (refunds)"]
    assert lines(shared, failed) == ["its refund failed, and there is none that did (refunds)"]


def test_an_offer_that_was_altered_is_found(shared: Story, plant: Plant) -> None:
    case = shared.at("negotiating")
    plant("UPDATE offers SET status = 'declined' WHERE case_id = :case", case=case)
    plant("UPDATE cases SET offers_made = 2 WHERE id = :case", case=case)
    assert lines(shared, case) == [
        "offers_made is 2, and the record says 1 (the case's row)",
        "offers_made is 2, and there are 1 offers (offers)",
        "0 offers are open, and open_offer_by is seller (offers)",
    ]


def test_a_seal_that_was_replaced_is_found(shared: Story, plant: Plant) -> None:
    case, other = _full(shared), _full(shared)
    strangers = sealing.generate()
    with shared.services.sessions.begin() as session:
        [jws] = session.scalars(select(Seal.jws).where(Seal.case_id == uuid.UUID(other)))
        said = sealing.verify(jws, {"keys": [shared.services.sealer._key.public_jwk()]})
    replace = "UPDATE seals SET jws = :jws WHERE case_id = :case"
    plant(replace, case=case, jws=jws)
    assert lines(shared, case) == ["seal: it does not name the head as the entry left it (entry 11)"]
    plant(replace, case=other, jws=strangers.sign(said))
    assert lines(shared, other) == ["seal: it is not a signature by the key that it names (entry 11)"]


def _blob(story: Story, case: str, label: str) -> Path:
    with story.services.sessions.begin() as session:
        query = select(Exhibit.blob_key).where(Exhibit.case_id == uuid.UUID(case), Exhibit.label == label)
        key = session.scalar(query)
    return story.services.settings.home / "blobs" / str(key)


def test_bytes_that_were_altered_cut_short_or_taken_away_are_found(shared: Story) -> None:
    case = _full(shared)
    flipped, short, gone = (_blob(shared, case, label) for label in ("S-1", "S-2", "B-1"))
    content = bytearray(flipped.read_bytes())
    content[10] ^= 1
    flipped.write_bytes(content)
    short.write_bytes(short.read_bytes()[:-1])
    gone.unlink()
    assert sorted(lines(shared, case)) == [
        "blob: it has 10 bytes, and 11 were filed (S-2)",
        "blob: it is not in the store (B-1)",
        "blob: its bytes do not give the digest that was filed (S-1)",
    ]


def test_what_was_redacted_and_is_there_again_is_found(shared: Story, plant: Plant) -> None:
    """As from an old backup: it opens its commitment, so the chain and the root say nothing."""
    case = shared.at("under_review")
    chat = file_chat(shared, case, "发货了吗", PHONE)
    file_text(shared, case, f"note: {PHONE}".encode(), title="memo")
    shared.post("seller", f"/cases/{case}/messages", {"text": f"call {PHONE}"})
    kept = "SELECT text, text_salt FROM exhibit_message_openings WHERE case_id = :case AND seq = 2"
    said = "SELECT seq, n, salt, value FROM docket_openings WHERE case_id = :case AND name = 'text'"
    with shared.services.sessions.begin() as session:
        [(words, salt)] = session.execute(text(kept), {"case": case})
        [(seq, n, other_salt, value)] = session.execute(text(said), {"case": case})
    assert redact(shared, chat["id"], 2).status_code == 200
    assert lines(shared, case) == []
    back = "UPDATE exhibit_message_openings SET text = :words, text_salt = :salt WHERE case_id = :case AND seq = 2"
    plant(back, case=case, words=words, salt=salt)
    back = "UPDATE docket_openings SET value = :value, salt = :salt WHERE case_id = :case AND seq = :seq AND n = :n"
    plant(back, case=case, seq=seq, n=n, salt=other_salt, value=json.dumps(value))
    assert lines(shared, case) == [
        "1 messages that were redacted are there again (B-1)",
        f"what was erased is there again (entry {seq}, opening text)",
    ]


def test_a_redaction_that_was_done_in_secret_or_forgotten_is_found(shared: Story, plant: Plant) -> None:
    secret, forgotten = shared.at("decided"), shared.at("under_review")
    chat = file_chat(shared, secret, PHONE)
    assert redact(shared, chat["id"], 1).status_code == 202
    assert redact(shared, file_chat(shared, forgotten, PHONE)["id"], 1).status_code == 200
    assert lines(shared, secret, forgotten) == []
    plant("UPDATE redactions SET status = 'done' WHERE case_id = :case", case=secret)
    plant("DELETE FROM redactions WHERE case_id = :case", case=forgotten)
    [of_secret] = lines(shared, secret)
    assert of_secret.startswith("it is done, and the record has redaction_requested of it (redaction ")
    [of_forgotten] = lines(shared, forgotten)
    assert of_forgotten.startswith("it is on record, and not on file (redaction ")


# --- on a live system --------------------------------------------------------------------------------------------


def _while_reading(monkeypatch: pytest.MonkeyPatch, act: Callable[[Session, Audited], None]) -> None:
    """Let something happen when a case was read and before anything of it is compared."""

    def check(session: Session, audited: Audited) -> Iterator[Difference]:
        act(session, audited)
        yield from ()

    monkeypatch.setattr(rounds, "CHECKS", (check, *rounds.CHECKS))


def test_nobody_waits_for_the_audit_and_it_judges_by_one_moment(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    case = story.at("under_review")
    chat = file_chat(story, case, "发货了吗", PHONE)

    def act(session: Session, audited: Audited) -> None:
        story.do("mediator", case, "decide", decision())
        assert redact(story, chat["id"], 2, who="senior").status_code == 200
        erasure.sweep(story.services)

    _while_reading(monkeypatch, act)
    # What was redacted meanwhile is still expected by the snapshot, and its bytes are gone.
    round_ = go(story, case)
    assert [str(one) for one in round_.kept] == []
    assert (round_.counts.seals, round_.counts.blobs) == (0, 1)


def test_the_audit_waits_for_nobody(story: Story) -> None:
    case = story.at("decided")
    with story.services.sessions.begin() as session:
        session.execute(select(Case).with_for_update())
        session.execute(text("UPDATE orders SET updated_at = now()"))
        assert lines(story, case) == []


def test_the_audit_cannot_write(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    case = story.at("opened")
    _while_reading(monkeypatch, lambda session, audited: session.execute(text("UPDATE cases SET level = 3")) and None)
    with pytest.raises(DBAPIError, match="read-only transaction"):
        go(story, case)


def test_a_round_while_people_act_raises_no_false_alarm(story: Story) -> None:
    ways = ("refunded", "appealed", "awaiting_inspection", "awaiting_evidence", "proposed", "closed")
    errors: list[Exception] = []

    def act(number: int) -> None:
        own = Story(story.app, story.services)
        try:
            for way in ways[number:] + ways[:number]:
                case = own.at(way)
                if way not in ("refunded", "closed"):
                    assert own.post("seller", f"/cases/{case}/exhibits", CHAT).status_code == 201
        except Exception as error:  # noqa: BLE001 - told to the test below
            errors.append(error)

    threads = [threading.Thread(target=act, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    found: list[str] = []
    rounds_ = 0
    while any(thread.is_alive() for thread in threads):
        found += lines(story)
        rounds_ += 1
    for thread in threads:
        thread.join()
    assert (errors, found) == ([], [])
    assert rounds_ > 1
    assert go(story).counts.cases == 18


# --- the command -------------------------------------------------------------------------------------------------


def run(story: Story, *args: str) -> tuple[int, str, str]:
    settings = story.services.settings
    environment = {"DATABASE_URL": str(settings.database_url), "MEDIATION_HOME": str(settings.home)}
    result = CliRunner().invoke(main, ["audit", *args], env=environment)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def house(story: Story) -> Story:
    story.at("refunded")
    _full(story)
    return story


def test_the_command_counts_what_it_looked_at(house: Story) -> None:
    status, out, err = run(house)
    assert (status, err) == (0, "")
    assert out == "2 cases, 15 entries, 5 messages, 4 blobs, 1 seals, 2 orders, 0 differences\n"
    assert "0 blobs" in run(house, "--quick")[1]


def test_the_command_tells_each_difference_on_a_line_and_ends_with_status_1(house: Story) -> None:
    case = house.at("opened")
    reference = house.get("mediator", f"/cases/{case}").get_json()["reference"]
    with house.services.sessions.begin() as session:
        session.execute(text("UPDATE cases SET level = 2, offers_made = 3 WHERE id = :case"), {"case": case})
    status, out, _ = run(house)
    told = out.splitlines()
    assert (status, told[0]) == (1, f"{reference} level is 2, and the record says 0 (the case's row)")
    assert told[-1].endswith("3 orders, 3 differences")
    status, out, _ = run(house, "--limit-differences", "1")
    assert status == 1 and out.count(reference) == 1
    assert "2 more differences" in out
    status, out, _ = run(house, "--json", "--case", reference.lower(), "--case", case)
    found = json.loads(out)
    assert (status, found["cases"], found["orders"], found["differences"]) == (1, 1, 1, 3)
    assert found["found"][0] == {
        "subject": reference,
        "what": "level is 2, and the record says 0",
        "place": "the case's row",
    }
    assert (found["interrupted"], found["bytes_checked"]) == (False, True)


def test_the_command_makes_no_key_and_no_folder(house: Story, tmp_path: Path) -> None:
    """Wherever it is run: a key of its own would be published beside those that sealed the record."""
    elsewhere = tmp_path / "elsewhere"
    environment = {"DATABASE_URL": str(house.services.settings.database_url), "MEDIATION_HOME": str(elsewhere)}
    result = CliRunner().invoke(main, ["audit", "--quick"], env=environment)
    assert (result.exit_code, elsewhere.exists()) == (0, False)


@pytest.mark.parametrize("named", ["D-NONE-NONE-NONE", "01900000-0000-7000-8000-000000000000", ""])
def test_a_case_that_is_not_there_is_a_wrong_call(house: Story, named: str) -> None:
    status, out, err = run(house, "--case", named)
    assert (status, out) == (2, "")
    assert "there is no case" in err


def test_an_interrupt_ends_with_what_was_checked_so_far(house: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    with house.services.sessions.begin() as session:
        session.execute(text("UPDATE cases SET level = 2"))
    last = rounds.CHECKS[-1]

    def interrupted(session: Session, audited: Audited) -> Iterator[Difference]:
        yield from last(session, audited)
        if audited.counts.cases == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(rounds, "CHECKS", (*rounds.CHECKS[:-1], interrupted))
    status, out, _ = run(house)
    told = out.splitlines()
    assert (status, len(told)) == (130, 4)
    assert all("level is 2" in one for one in told[:2]), "of the case that it was at as well"
    assert told[2] == "interrupted; so far:"
    assert told[3].startswith("2 cases, 15 entries, ") and told[3].endswith("0 orders, 2 differences")
    found = json.loads(run(house, "--json")[1])
    assert (found["interrupted"], len(found["found"])) == (True, 2)
