"""The docket: what is written stays written, and anyone can check it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import DBAPIError

from evidence import chain, sealing
from evidence.commitments import commit, opens
from mediation import create_app
from mediation.db import APPLICATION_ROLE, Base, make_engine
from tests.mediation.conftest import make_services, make_settings
from tests.mediation.story import CHAT, Story, decision

#: What PostgreSQL answers (SQLSTATE): no privilege, not the owner's rule, a key already there.
FORBIDDEN, BROKEN, TAKEN = "42501", "23000", "23505"
APPEND_ONLY = ("docket_entries", "exhibit_messages", "custody_entries", "ledger_entries", "seals")
#: Tables that a redaction erases from, with the columns that it may empty.
ERASABLE = {
    "docket_openings": {"salt", "value"},
    "exhibit_message_openings": {
        "text", "text_salt", "sender", "sender_salt", "attachments", "attachments_salt",
    },
    "custody_openings": {"salt", "value"},
    "exhibits": {"sha256", "title", "filename", "blob_key", "filed_by"},
}  # fmt: skip
#: Set once, and tried below.
SAID_ONCE = {"redacted_at", "blob_erased_at"}


@contextmanager
def _connected(url: str, role: str | None = APPLICATION_ROLE) -> Iterator[Connection]:
    """A connection in a transaction, as the application's role or (None) as the owner."""
    engine = make_engine(url, role=role)
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def _sqlstate(error: DBAPIError) -> str:
    return str(getattr(error.orig, "sqlstate", None))


def _url(story: Story) -> str:
    return str(story.services.settings.database_url)


def _digest(url: str) -> str:
    """One digest over every row that must never change."""
    parts = " || ".join(
        f"coalesce((SELECT string_agg(t::text, ';' ORDER BY t::text) FROM {table} t), '')" for table in APPEND_ONLY
    )
    with _connected(url, role=None) as connection:
        return str(connection.scalar(text(f"SELECT md5({parts})")))


@pytest.fixture(scope="module")
def kept(shared: Story) -> Story:
    """A database in which each protected table holds something."""
    case = shared.at("under_review")
    assert shared.post("seller", f"/cases/{case}/exhibits", CHAT).status_code == 201
    shared.do("mediator", case, "decide", decision())
    shared.at("refunded")
    with shared.services.engine.connect() as connection:
        for table in APPEND_ONLY:
            assert connection.scalar(text(f"SELECT count(*) FROM {table}")), table
    return shared


# --- what the application's role may not do ----------------------------------------------------------------------

FROM_THE_APPLICATION = [
    *[f"UPDATE {table} SET case_id = case_id" for table in APPEND_ONLY],
    *[f"DELETE FROM {table}" for table in APPEND_ONLY],
    *[f"TRUNCATE {table}" for table in APPEND_ONLY],
    "TRUNCATE cases CASCADE",
    "DELETE FROM cases",
    "DELETE FROM docket_openings",
    "UPDATE docket_openings SET name = name",
    "UPDATE exhibit_message_openings SET seq = seq",
    "UPDATE exhibits SET label = label",
    "UPDATE exhibits SET merkle_root = NULL",
    "DELETE FROM exhibits",
    "DELETE FROM exhibit_message_openings",
    "DELETE FROM decisions",
    "UPDATE alembic_version SET version_num = '0000'",
    "ALTER TABLE docket_entries DISABLE TRIGGER ALL",
    "ALTER TABLE docket_entries DISABLE TRIGGER docket_entries_append_only",
    "ALTER TABLE docket_entries ENABLE REPLICA TRIGGER docket_entries_append_only",
    "ALTER TABLE docket_entries DROP COLUMN hash",
    "ALTER TABLE docket_entries OWNER TO mediation_app",
    "ALTER TABLE cases DROP CONSTRAINT fk_cases_state_is_in_the_docket",
    "DROP TRIGGER docket_entries_append_only ON docket_entries",
    "DROP FUNCTION refuse_rewrite() CASCADE",
    "CREATE OR REPLACE FUNCTION refuse_rewrite() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    "CREATE TRIGGER hidden BEFORE INSERT ON docket_entries EXECUTE FUNCTION refuse_rewrite()",
    "CREATE RULE hidden AS ON INSERT TO docket_entries DO INSTEAD NOTHING",
    "CREATE TABLE public.docket (id int)",
    "DROP TABLE docket_entries CASCADE",
    "DROP SCHEMA public CASCADE",
    "SET session_replication_role = replica",
    "ALTER ROLE mediation_app SUPERUSER",
    "INSERT INTO docket_entries SELECT * FROM docket_entries ON CONFLICT (case_id, seq) DO UPDATE SET type = 'x'",
    "MERGE INTO docket_entries d USING docket_entries s ON d.case_id = s.case_id WHEN MATCHED THEN DELETE",
    "SELECT * FROM docket_entries FOR UPDATE",
    "COPY docket_entries TO PROGRAM 'cat'",
]


@pytest.mark.parametrize("statement", FROM_THE_APPLICATION)
def test_the_application_cannot_rewrite_the_record(kept: Story, statement: str) -> None:
    before = _digest(_url(kept))
    with _connected(_url(kept)) as connection:
        with pytest.raises(DBAPIError) as refused:
            connection.execute(text(statement))
        # Not a statement that merely fails to be one.
        assert _sqlstate(refused.value) == FORBIDDEN
    assert _digest(_url(kept)) == before


def test_the_application_cannot_give_itself_what_it_lacks(kept: Story) -> None:
    """PostgreSQL answers such a grant with a warning, so what counts is what it left."""
    with _connected(_url(kept)) as connection:
        for table in APPEND_ONLY:
            connection.execute(text(f"GRANT ALL ON {table} TO {APPLICATION_ROLE}"))
            for privilege in ("UPDATE", "DELETE", "TRUNCATE", "TRIGGER", "REFERENCES", "SELECT WITH GRANT OPTION"):
                asked = text("SELECT has_table_privilege(:role, :table, :privilege)")
                told = {"role": APPLICATION_ROLE, "table": table, "privilege": privilege}
                assert connection.scalar(asked, told) is False, (table, privilege)


def test_the_application_acts_as_a_role_that_owns_nothing(kept: Story) -> None:
    with _connected(_url(kept)) as connection:
        who = connection.execute(
            text(
                "SELECT current_user, rolsuper, rolcanlogin, rolcreaterole, rolbypassrls FROM pg_roles "
                "WHERE rolname = current_user"
            )
        ).one()
        assert tuple(who) == (APPLICATION_ROLE, False, False, False, False)
        owned = connection.scalar(
            text("SELECT count(*) FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner WHERE r.rolname = current_user")
        )
        assert owned == 0


@pytest.mark.parametrize("statement", ["RESET ROLE", "RESET ALL", "SET role TO DEFAULT", "DISCARD ALL"])
def test_resetting_the_role_leads_back_to_the_applications(kept: Story, statement: str) -> None:
    with _connected(_url(kept)) as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT")
        connection.execute(text(statement))
        assert connection.scalar(text("SELECT current_user")) == APPLICATION_ROLE


@pytest.mark.parametrize("table", APPEND_ONLY)
@pytest.mark.parametrize("verb", ["UPDATE {} SET case_id = case_id", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_stepping_out_of_the_role_does_not_open_the_record(kept: Story, table: str, verb: str) -> None:
    """With one URL the login is the owner's, so SET ROLE NONE is allowed; the triggers still refuse."""
    before = _digest(_url(kept))
    with _connected(_url(kept)) as connection:
        connection.execute(text("SET ROLE NONE"))
        with pytest.raises(DBAPIError) as refused:
            connection.execute(text(verb.format(table)))
        assert _sqlstate(refused.value) == BROKEN
        assert f"{table} is append-only" in str(refused.value)
    assert _digest(_url(kept)) == before


# --- what not even the owner may do ------------------------------------------------------------------------------

FROM_THE_OWNER = [
    *[f"UPDATE {table} SET case_id = case_id" for table in APPEND_ONLY],
    *[f"DELETE FROM {table}" for table in APPEND_ONLY],
    *[f"TRUNCATE {table} CASCADE" for table in APPEND_ONLY],
    "TRUNCATE cases CASCADE",
    "UPDATE docket_entries SET type = 'agree' WHERE false",
]


@pytest.mark.parametrize("replica", [False, True], ids=["as_usual", "as_replica"])
@pytest.mark.parametrize("statement", FROM_THE_OWNER)
def test_not_even_the_owner_rewrites_the_record(kept: Story, statement: str, replica: bool) -> None:
    """A superuser who plays replica switches ordinary triggers off; these are enabled always."""
    before = _digest(_url(kept))
    with _connected(_url(kept), role=None) as connection:
        if replica:
            connection.execute(text("SET session_replication_role = replica"))
        with pytest.raises(DBAPIError) as refused:
            connection.execute(text(statement))
        assert _sqlstate(refused.value) == BROKEN
        assert "is append-only" in str(refused.value)
    assert _digest(_url(kept)) == before


def test_every_guard_of_the_record_is_enabled_always(kept: Story) -> None:
    with _connected(_url(kept), role=None) as connection:
        rows = connection.execute(
            text("SELECT tgrelid::regclass::text, tgname, tgenabled FROM pg_trigger WHERE NOT tgisinternal "
                 "AND tgrelid::regclass::text NOT LIKE 'procrastinate.%'")
        ).all()  # fmt: skip
    assert {(table, name) for table, name, _ in rows} >= {
        *((table, f"{table}_append_only") for table in APPEND_ONLY),
        *((table, f"{table}_only_erased") for table in ERASABLE),
        ("docket_entries", "docket_entries_chained"),
        ("custody_entries", "custody_entries_chained"),
        ("ledger_entries", "ledger_entries_balanced"),
    }
    assert all((enabled.decode() if isinstance(enabled, bytes) else enabled) == "A" for *_, enabled in rows)


# --- what may be erased, and never changed -----------------------------------------------------------------------

#: For each type of column a value that is another one than before, or one where there was none.
_OTHER = {
    "UUID": "gen_random_uuid()",
    "BIGINT": "coalesce({0}, 0) + 1",
    "TEXT": "coalesce({0}, '') || 'x'",
    "BOOLEAN": "NOT {0}",
    "TIMESTAMP WITH TIME ZONE": "{0} + interval '1 second'",
    "BYTEA": "coalesce({0}, '') || '\\x00'::bytea",
    "JSONB": "jsonb_build_object('was', {0})",
}
_CHANGES = [
    (table, column.name, _OTHER[str(column.type.compile(postgresql.dialect()))].format(column.name))
    for table in ERASABLE
    for column in Base.metadata.tables[table].columns
    if column.name not in SAID_ONCE
]
#: No exhibit of this module's story answers a request.
_EMPTY = {"answers_request", "answers_item"}
_LOSSES = [(table, name, "NULL") for table, name, _ in _CHANGES if name not in ERASABLE[table] | _EMPTY]


@pytest.mark.parametrize("replica", [False, True], ids=["as_usual", "as_replica"])
@pytest.mark.parametrize(("table", "column", "value"), [*_CHANGES, *_LOSSES])
def test_what_may_be_erased_is_never_changed(kept: Story, table: str, column: str, value: str, replica: bool) -> None:
    """Not by the owner, and not by a superuser who plays replica either."""
    with _connected(_url(kept), role=None) as connection:
        if replica:
            connection.execute(text("SET session_replication_role = replica"))
        rows = f"WHERE {column} IS NOT NULL" if value == "NULL" else ""
        assert connection.scalar(text(f"SELECT count(*) FROM {table} {rows}"))
        with pytest.raises(DBAPIError) as refused:
            connection.execute(text(f"UPDATE {table} SET {column} = {value} {rows}"))
        assert _sqlstate(refused.value) == BROKEN
        assert f"{table} can be erased and not changed" in str(refused.value)


@pytest.mark.parametrize("role", [APPLICATION_ROLE, None], ids=["application", "owner"])
@pytest.mark.parametrize("table", ERASABLE)
def test_what_may_be_erased_is_erased_for_good(kept: Story, table: str, role: str | None) -> None:
    with _connected(_url(kept), role=role) as connection:
        columns = sorted(ERASABLE[table])
        count = connection.scalar(text(f"SELECT count(*) FROM {table}"))
        emptied = connection.execute(text(f"UPDATE {table} SET {', '.join(f'{name} = NULL' for name in columns)}"))
        assert emptied.rowcount == count > 0
        for name in columns:
            kind = str(Base.metadata.tables[table].columns[name].type.compile(postgresql.dialect()))
            with pytest.raises(DBAPIError) as refused, connection.begin_nested():
                connection.execute(text(f"UPDATE {table} SET {name} = {_OTHER[kind].format(name)}"))
            assert f"{table} can be erased and not changed" in str(refused.value)
        connection.rollback()


@pytest.mark.parametrize("column", sorted(SAID_ONCE))
def test_when_an_exhibit_was_erased_is_said_once(kept: Story, column: str) -> None:
    with _connected(_url(kept), role=None) as connection:
        connection.execute(text(f"UPDATE exhibits SET {column} = now()"))
        for value in (f"{column} + interval '1 second'", "NULL"):
            with pytest.raises(DBAPIError) as refused, connection.begin_nested():
                connection.execute(text(f"UPDATE exhibits SET {column} = {value}"))
            assert "exhibits can be erased and not changed" in str(refused.value)
        connection.rollback()


# --- what may be added -------------------------------------------------------------------------------------------

_INSERT = text(
    "INSERT INTO public.docket_entries "
    "(case_id, seq, v, at, type, from_state, to_state, commitments, prev, hash, visibility) "
    "VALUES (:case, :seq, 1, :at, 'message_posted', :state, :state, ARRAY[:digest]::bytea[], :prev, :hash, 'parties')"
)


def _entry(connection: Connection, case: str, /, **other: Any) -> dict[str, Any]:
    """The row of an entry that follows the last one of the case, or differs from it as told."""
    last = connection.execute(
        text("SELECT seq, hash, to_state FROM public.docket_entries WHERE case_id = :id ORDER BY seq DESC LIMIT 1"),
        {"id": uuid.UUID(case)},
    ).one()
    at, digest = datetime(2030, 1, 1, tzinfo=UTC), commit({"text": "x"}).digest
    sealed = chain.seal_entry(
        case=case,
        seq=last.seq + 1,
        prev=last.hash.hex(),
        at=at,
        type="message_posted",
        from_=last.to_state,
        to=last.to_state,
        commitments=[digest.hex()],
    )
    row = {
        "case": uuid.UUID(case),
        "seq": last.seq + 1,
        "at": at,
        "state": last.to_state,
        "digest": digest,
        "prev": last.hash,
        "hash": bytes.fromhex(sealed["hash"]),
    }
    return row | other


def test_an_entry_that_follows_the_last_one_is_taken(kept: Story) -> None:
    """The control of the refusals below: only what they change is what is refused."""
    case = kept.at("seller_notified")
    with _connected(_url(kept)) as connection:
        connection.execute(_INSERT, _entry(connection, case))
        connection.rollback()


@pytest.mark.parametrize(
    ("other", "sqlstate"),
    [
        ({"prev": bytes(32)}, BROKEN),
        ({"prev": b"\x01" * 32}, BROKEN),
        ({"seq": 4}, BROKEN),
        ({"seq": 99}, BROKEN),
        ({"seq": 0}, BROKEN),
        ({"seq": -1}, BROKEN),
        ({"seq": 1}, BROKEN),
        ({"seq": 1, "prev": bytes(32)}, TAKEN),
        ({"case": uuid.UUID(int=7), "seq": 1, "prev": b"\x01" * 32}, BROKEN),
        ({"case": uuid.UUID(int=7), "seq": 2}, BROKEN),
    ],
    ids=str,
)
def test_an_entry_that_does_not_follow_is_refused(kept: Story, other: dict[str, Any], sqlstate: str) -> None:
    case = kept.at("seller_notified")
    for role in (APPLICATION_ROLE, None):
        with _connected(_url(kept), role=role) as connection:
            row = _entry(connection, case, **other)
            with pytest.raises(DBAPIError) as refused:
                connection.execute(_INSERT, row)
            assert _sqlstate(refused.value) == sqlstate


def test_an_entry_that_follows_another_cases_is_refused(kept: Story) -> None:
    mine, other = kept.at("seller_notified"), kept.at("seller_notified")
    with _connected(_url(kept)) as connection:
        row = _entry(connection, mine, prev=_entry(connection, other)["prev"])
        with pytest.raises(DBAPIError) as refused:
            connection.execute(_INSERT, row)
        assert _sqlstate(refused.value) == BROKEN


def test_the_second_of_two_entries_under_one_number_is_refused(kept: Story) -> None:
    case = kept.at("seller_notified")
    with _connected(_url(kept)) as connection:
        row = _entry(connection, case)
        connection.execute(_INSERT, row)
        with pytest.raises(DBAPIError) as refused:
            connection.execute(_INSERT, row)
        assert _sqlstate(refused.value) == TAKEN


def test_a_table_of_the_same_name_cannot_stand_in_for_the_docket(kept: Story) -> None:
    """A trigger that looks its table up by name alone would find a temporary one of the session's own first."""
    case = kept.at("seller_notified")
    with _connected(_url(kept)) as connection:
        row = _entry(connection, case, seq=99, prev=b"\x01" * 32)
        with pytest.raises(DBAPIError):
            connection.execute(text("CREATE TEMP TABLE docket_entries (case_id uuid, seq bigint, hash bytea)"))
            connection.execute(
                text("INSERT INTO pg_temp.docket_entries VALUES (:case, 98, :prev)"),
                {"case": row["case"], "prev": row["prev"]},
            )
            connection.execute(_INSERT, row)


# --- the case and its docket -------------------------------------------------------------------------------------

_SET_STATE = text("UPDATE cases SET state = :state WHERE id = :id")


@pytest.mark.parametrize("role", [APPLICATION_ROLE, None], ids=["application", "owner"])
def test_a_state_without_an_entry_fails_at_the_commit(kept: Story, role: str | None) -> None:
    case = kept.at("seller_notified")
    with _connected(_url(kept), role=role) as connection:
        changed = connection.execute(_SET_STATE, {"state": "closed", "id": uuid.UUID(case)})
        assert changed.rowcount == 1
        with pytest.raises(DBAPIError) as refused:
            connection.commit()
        assert "fk_cases_state_is_in_the_docket" in str(refused.value)
    assert kept.state(case) == "seller_notified"


def test_a_version_without_an_entry_fails_at_the_commit(kept: Story) -> None:
    case = kept.at("seller_notified")
    with _connected(_url(kept)) as connection:
        connection.execute(text("UPDATE cases SET version = version + 1 WHERE id = :id"), {"id": uuid.UUID(case)})
        with pytest.raises(DBAPIError) as refused:
            connection.commit()
        assert "fk_cases_state_is_in_the_docket" in str(refused.value)


def test_a_case_cannot_be_set_back_to_where_an_earlier_entry_left_it(kept: Story) -> None:
    """The state of a case is that of its last entry; an earlier one's is a state without an entry, too."""
    case = kept.at("seller_notified")
    with _connected(_url(kept)) as connection, pytest.raises(DBAPIError):
        connection.execute(
            text("UPDATE cases SET state = 'opened', version = 1 WHERE id = :id"), {"id": uuid.UUID(case)}
        )
        connection.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))


def test_a_case_without_any_entry_fails_at_the_commit(kept: Story) -> None:
    case = kept.at("opened")
    with _connected(_url(kept)) as connection:
        connection.execute(
            text(
                "INSERT INTO cases (id, marketplace, reference, order_id, buyer_id, seller_id, state, version, head, "
                "opened_at, updated_at, currency, claimed_minor) "
                "SELECT gen_random_uuid(), marketplace, 'D-X', order_id, buyer_id, seller_id, state, version, head, "
                "opened_at, updated_at, currency, claimed_minor "
                "FROM cases WHERE id = :id"
            ),
            {"id": uuid.UUID(case)},
        )
        with pytest.raises(DBAPIError) as refused:
            connection.commit()
        assert "fk_cases_state_is_in_the_docket" in str(refused.value)


# --- the ledger --------------------------------------------------------------------------------------------------

_MOVE = text(
    "INSERT INTO public.ledger_entries (refund_id, n, case_id, account, amount_minor, currency, at) "
    "SELECT id, :n, case_id, :account, :amount, :currency, now() FROM refunds WHERE case_id = :case"
)


def _moves(connection: Connection, case: str, *moves: tuple[int, str]) -> None:
    for n, (amount, currency) in enumerate(moves):
        told = {"n": n, "account": f"a{n}", "amount": amount, "currency": currency, "case": uuid.UUID(case)}
        assert connection.execute(_MOVE, told).rowcount == 1


@pytest.mark.parametrize(
    "moves",
    [
        [(100, "CNY")],
        [(-100, "CNY"), (99, "CNY")],
        [(-100, "CNY"), (100, "USD")],
        [(-100, "CNY"), (100, "CNY"), (1, "USD")],
    ],
    ids=str,
)
def test_movements_that_do_not_sum_to_zero_in_each_currency_fail_at_the_commit(
    kept: Story, moves: list[tuple[int, str]]
) -> None:
    case = kept.at("refund")
    with _connected(_url(kept)) as connection:
        _moves(connection, case, *moves)
        with pytest.raises(DBAPIError) as refused:
            connection.commit()
        assert _sqlstate(refused.value) == BROKEN
        assert "do not sum to zero" in str(refused.value)


def test_movements_that_sum_to_zero_are_taken(kept: Story) -> None:
    case = kept.at("refund")
    with _connected(_url(kept)) as connection:
        _moves(connection, case, (-60, "CNY"), (-40, "CNY"), (100, "CNY"))
        connection.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))
        connection.rollback()


def test_a_movement_of_nothing_is_refused(kept: Story) -> None:
    case = kept.at("refund")
    with _connected(_url(kept)) as connection:
        with pytest.raises(DBAPIError) as refused:
            _moves(connection, case, (0, "CNY"))
        assert "ck_ledger_entries_amount" in str(refused.value)


def test_a_table_of_the_same_name_cannot_stand_in_for_the_ledger(kept: Story) -> None:
    case = kept.at("refund")
    with _connected(_url(kept)) as connection, pytest.raises(DBAPIError):
        connection.execute(
            text("CREATE TEMP TABLE ledger_entries (refund_id uuid, currency text, amount_minor bigint)")
        )
        _moves(connection, case, (100, "CNY"))
        connection.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))


def test_every_refund_that_was_paid_stands_in_the_ledger_in_balance(kept: Story) -> None:
    kept.at("refunded", paid=7_777)
    with _connected(_url(kept)) as connection:
        sums = connection.execute(
            text("SELECT sum(l.amount_minor), max(l.amount_minor), max(r.amount_minor) FROM ledger_entries l "
                 "JOIN refunds r ON r.id = l.refund_id GROUP BY l.refund_id")
        ).all()  # fmt: skip
    assert sums
    assert all(total == 0 and credited == owed for total, credited, owed in sums)


# --- the chain, as anyone can check it over the API ---------------------------------------------------------------


def _docket(story: Story, who: str, case: str, limit: int = 100) -> list[dict[str, Any]]:
    """The whole docket, page by page."""
    items: list[dict[str, Any]] = []
    path = f"/cases/{case}/docket?limit={limit}"
    while True:
        answered = story.get(who, path).get_json()
        items += answered["items"]
        if answered["next_cursor"] is None:
            return items
        path = f"/cases/{case}/docket?limit={limit}&cursor={answered['next_cursor']}"


def _bare(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The entries as they were hashed: what opens them is beside them, not in them."""
    return [{name: value for name, value in entry.items() if name != "openings"} for entry in entries]


def _head(story: Story, case: str) -> str:
    with story.services.engine.connect() as connection:
        head: bytes = connection.scalar(text("SELECT head FROM cases WHERE id = :id"), {"id": uuid.UUID(case)})
        return head.hex()


#: Everything a person wrote in the story below, and who they are. None of it may stand in an entry's own row.
WORDS = {
    "statement": "Line 1 never came.",
    "refusal": "It is on its way.",
    "message": "请尽快处理，电话 13800138000",
    "internal": "The shop did this twice before.",
    "escalation": "I have met the buyer's brother.",
    "reasons": "The goods were not sent in time.",
    "approval": "Agreed, and well argued.",
    "grounds": "The carrier was late, not us.",
    "dismissal": "The shop chose the carrier.",
    "title": "旺旺聊天记录",
}
PEOPLE = ("buyer-1", "clerk-9", "shop-17", "mia", "sam", "sue", "vera", "shop-system", "李雷", "Kettle House")


@pytest.fixture(scope="module")
def long(shared: Story) -> tuple[Story, str]:
    """A case with an entry of nearly every kind: a note, an exhibit, a decision that waited, an appeal, a refund."""
    case = shared.at("under_review", paid=60_000)
    shared.post("buyer", f"/cases/{case}/messages", {"text": WORDS["message"]})
    shared.post("mediator", f"/cases/{case}/messages", {"text": WORDS["internal"], "visibility": "staff"})
    filed = shared.post("seller", f"/cases/{case}/exhibits", CHAT | {"title": WORDS["title"]})
    assert filed.status_code == 201
    shared.do("mediator", case, "take")
    shared.do("mediator", case, "escalate", {"reason": "complex", "note": WORDS["escalation"]})
    shared.do("senior", case, "return_to_mediator", {"note": WORDS["approval"]})
    found = [{"issue": "When was it sent?", "burden": "seller", "finding": "not_proven",
              "relied_on": [{"exhibit": "S-1", "quotes": [{"seq": 2, "text": "明天发货"}]}]}]  # fmt: skip
    shared.do("mediator", case, "decide", decision(60_000, findings=found))
    shared.do("senior", case, "approve", {"note": WORDS["approval"]})
    shared.do("seller", case, "appeal", {"grounds": WORDS["grounds"], "exhibits": ["S-1"]})
    shared.do("supervisor", case, "decide", {"upholds": True, "reasons": WORDS["dismissal"]})
    shared.pay()
    assert shared.state(case) == "refunded"
    return shared, case


@pytest.mark.parametrize("who", ["buyer", "seller", "mediator", "senior", "supervisor", "platform", "admin"])
def test_the_chain_verifies_as_every_reader_sees_it(long: tuple[Story, str], who: str) -> None:
    story, case = long
    entries = _bare(_docket(story, who, case))
    assert len(entries) == story.get(who, f"/cases/{case}").get_json()["version"]
    assert chain.breaches(entries, _head(story, case), case=case) == []


def test_the_check_can_fail(long: tuple[Story, str]) -> None:
    """Altering one letter anywhere, or leaving an entry out, is found: the test above proves something."""
    story, case = long
    entries, head = _bare(_docket(story, "mediator", case)), _head(story, case)
    for n, entry in enumerate(entries):
        altered = [*entries[:n], entry | {"type": entry["type"] + "x"}, *entries[n + 1 :]]
        assert chain.breaches(altered, head, case=case), n
        assert chain.breaches([*entries[:n], *entries[n + 1 :]], head, case=case), n


@pytest.mark.parametrize("who", ["buyer", "seller", "mediator", "platform"])
def test_what_a_reader_sees_opened_opens_the_commitment(long: tuple[Story, str], who: str) -> None:
    story, case = long
    seen = 0
    for entry in _docket(story, who, case):
        for opening in entry.get("openings", []):
            assert opening["commitment"] in entry["commitments"]
            if opening["salt"] is None:
                assert opening["value"] is None
                continue
            digest, salt = bytes.fromhex(opening["commitment"]), bytes.fromhex(opening["salt"])
            assert opens(digest, salt, opening["value"])
            assert set(opening["value"]) == {opening["name"]}, "a value is bound to its name"
            assert not opens(digest, salt, {"other": opening["value"][opening["name"]]})
            seen += 1
    assert seen > 10


def test_every_commitment_of_an_entry_that_is_seen_has_its_opening(long: tuple[Story, str]) -> None:
    story, case = long
    for entry in _docket(story, "senior", case):
        assert [opening["commitment"] for opening in entry["openings"]] == entry["commitments"]
        assert all(opening["value"] is not None for opening in entry["openings"]), "staff see all of it"


def test_the_pages_of_the_docket_make_up_the_whole(long: tuple[Story, str]) -> None:
    story, case = long
    for limit in (1, 2, 7):
        assert _docket(story, "mediator", case, limit) == _docket(story, "mediator", case)


@pytest.mark.parametrize("who", ["buyer", "seller", "platform", "admin"])
def test_of_what_is_for_staff_only_the_others_see_number_and_hash(long: tuple[Story, str], who: str) -> None:
    story, case = long
    for theirs, staffs in zip(_docket(story, who, case), _docket(story, "mediator", case), strict=True):
        assert (theirs["seq"], theirs["hash"]) == (staffs["seq"], staffs["hash"])
        # The internal note and the decision that waited for approval.
        hidden = staffs["to"] == "escalated" and staffs["type"] == "decide" and staffs["from"] == "under_review"
        hidden |= staffs["type"] == "message_posted" and WORDS["internal"] in str(staffs)
        assert (set(theirs) == {"seq", "hash"}) == hidden, staffs["type"]
    withheld = [entry for entry in _docket(story, who, case) if set(entry) == {"seq", "hash"}]
    assert len(withheld) == 2


@pytest.mark.parametrize("who", ["buyer", "seller"])
def test_a_party_reads_neither_notes_among_staff_nor_who_in_person_acted(long: tuple[Story, str], who: str) -> None:
    story, case = long
    told = str(_docket(story, who, case))
    for word in ("internal", "escalation", "approval"):
        assert WORDS[word] not in told, word
    for person in ("mia", "sam", "vera", *({"buyer-1"} if who == "seller" else {"clerk-9"})):
        assert f"'subject': '{person}'" not in told, person
    for word in ("message", "refusal", "reasons", "grounds", "dismissal"):
        assert WORDS[word] in told, word


def test_no_words_and_no_people_stand_in_the_entries_themselves(long: tuple[Story, str]) -> None:
    """They are committed to, so that they can be erased; the row that can never change holds none of them."""
    story, _ = long
    with _connected(_url(story), role=None) as connection:
        rows = "\n".join(connection.scalars(text("SELECT e::text FROM docket_entries e")))
        opened = "\n".join(connection.scalars(text("SELECT o.value::text FROM docket_openings o")))
    for word in (*WORDS.values(), *PEOPLE, "明天发货", "T2026-"):
        assert word not in rows, word
    for word in (*WORDS.values(), "mia", "clerk-9"):
        assert word in opened, f"{word}: the test looks for something that was never written"


def test_an_erased_value_leaves_the_chain_whole(story: Story) -> None:
    case = story.at("seller_refused")
    with _connected(_url(story), role=None) as connection:
        erased = connection.execute(
            text("UPDATE docket_openings SET salt = NULL, value = NULL WHERE case_id = :id AND name = 'statement'"),
            {"id": uuid.UUID(case)},
        )
        assert erased.rowcount == 1
        connection.commit()
    entries = _docket(story, "seller", case)
    gone = [opening for entry in entries for opening in entry["openings"] if opening["name"] == "statement"]
    assert [(opening["salt"], opening["value"]) for opening in gone] == [(None, None)]
    assert WORDS["refusal"] not in str(entries)
    assert chain.breaches(_bare(entries), _head(story, case), case=case) == []


@pytest.mark.parametrize("half", ["salt", "value"])
def test_a_value_is_erased_with_its_salt_or_not_at_all(kept: Story, half: str) -> None:
    """A salt that stays behind would let likely values be tried out."""
    with _connected(_url(kept), role=None) as connection:
        with pytest.raises(DBAPIError) as refused:
            connection.execute(text(f"UPDATE docket_openings SET {half} = NULL"))
        assert "ck_docket_openings_erased_whole" in str(refused.value)


def test_a_receipt_and_the_seals_name_the_hashes_of_their_entries(story: Story) -> None:
    case = story.at("under_review")
    filed = story.post("buyer", f"/cases/{case}/exhibits", CHAT).get_json()
    story.do("mediator", case, "decide", decision())
    keys = story.get("buyer", "/keys").get_json()
    by_seq = {entry["seq"]: entry["hash"] for entry in _docket(story, "buyer", case)}
    receipt = sealing.verify(filed["receipt"], keys)
    assert receipt["head"] == by_seq[receipt["seq"]]
    assert (receipt["case"], receipt["label"], receipt["sha256"]) == (case, "B-1", filed["sha256"])
    with _connected(_url(story)) as connection:
        seal = connection.scalar(text("SELECT jws FROM seals WHERE case_id = :id"), {"id": uuid.UUID(case)})
    sealed = sealing.verify(seal, keys)
    assert sealed["hash"] == by_seq[sealed["seq"]] == _head(story, case)


def test_time_never_runs_backwards_in_a_docket(database: str, tmp_path: Path) -> None:
    """A machine whose clock is behind writes the time of the entry before its own."""
    times = iter(datetime(2026, 11, 5, tzinfo=UTC) - timedelta(hours=n) for n in range(1_000))
    settings = make_settings(database, tmp_path)
    services = make_services(settings, clock=lambda: next(times))
    behind = Story(create_app(settings, services), services)
    case = behind.at("under_review")
    entries = _docket(behind, "mediator", case)
    assert len(entries) == 4
    assert len({entry["at"] for entry in entries}) == 1
    assert chain.breaches(_bare(entries), _head(behind, case), case=case) == []
    services.engine.dispose()


def test_who_acted_is_committed_to_with_role_subject_party_and_marketplace(story: Story) -> None:
    case = story.at("seller_refused")
    refusal = _docket(story, "mediator", case)[-1]
    [who] = [opening["value"]["actor"] for opening in refusal["openings"] if opening["name"] == "actor"]
    assert who == {"role": "seller", "subject": "clerk-9", "acts_for": "shop-17", "marketplace": "demo"}


def test_the_same_words_twice_are_two_commitments(story: Story) -> None:
    """Salted, so that equal words cannot be told to be equal."""
    case = story.at("opened")
    for _ in range(2):
        story.post("buyer", f"/cases/{case}/messages", {"text": "Hello?"})
    first, second = _docket(story, "buyer", case)[-2:]
    assert not set(first["commitments"]) & set(second["commitments"])


def test_money_and_closed_lists_of_a_step_stand_in_its_facts(story: Story) -> None:
    case = story.at("negotiating")
    openings = _docket(story, "buyer", case)[-1]["openings"]
    [facts] = [opening["value"]["facts"] for opening in openings if opening["name"] == "facts"]
    assert facts == {
        "remedy": {
            "kind": "partial_refund",
            "amount_minor": 100,
            "currency": "CNY",
            "freight_bearer": None,
            "return_required": False,
            "purposes": {"refund": 100},
            "in_place_minor": 0,
        }
    }


def test_what_a_step_changes_about_the_clocks_stands_in_its_entry(story: Story) -> None:
    case = story.at("negotiating")
    entry = _docket(story, "buyer", case)[-1]
    [told] = [opening["value"]["deadlines"] for opening in entry["openings"] if opening["name"] == "deadlines"]
    changes = {one["kind"]: (one["change"], one["fires"]) for one in told}
    assert changes == {
        "response": ("ended", "request_mediation"),
        "offer": ("started", "expire_offer"),
        "negotiation": ("started", "request_mediation"),
    }
    running = {one["kind"]: one for one in story.get("buyer", f"/cases/{case}").get_json()["deadlines"]}
    for one in told:
        if one["change"] == "started":
            assert datetime.fromisoformat(one["due_at"]) == datetime.fromisoformat(running[one["kind"]]["at"])
            assert one["policy"] == running[one["kind"]]["policy"] == {"version": 1, "row": "base"}
    begun = datetime.fromisoformat(entry["at"])
    limits = {kind: datetime.fromisoformat(one["at"]) - begun for kind, one in running.items()}
    assert limits == {"offer": timedelta(hours=48), "negotiation": timedelta(days=10)}
