"""Migrations: up, down and up again with data, no drift from the models, safe from several machines at once."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, select, text
from sqlalchemy.engine import make_url

from mediation import clock, create_app, migrating, models
from mediation.db import APPLICATION_ROLE, LOCK_TIMEOUT_MS, make_engine
from mediation.services import real_time
from tests.mediation.conftest import Server, load_policies, make_services, make_settings
from tests.mediation.story import CHAT, PARCEL, WAYS, Story
from tests.mediation.timed import Hands, TimedStory
from workflows.states import CaseState

VERSIONS = sorted((migrating.MIGRATIONS / "versions").glob("[0-9]*.py"))
OURS = {"mediation", "workflows", "evidence", "migrations"}
METADATA = models.Case.metadata


@pytest.fixture
def empty(server: Server) -> Iterator[str]:
    """The URL of a database in which nothing was ever made."""
    name = server.create()
    yield server.url(name)
    server.drop(name)


@pytest.fixture
def owner(database: str) -> Iterator[Engine]:
    engine = make_engine(database, role=None)
    yield engine
    engine.dispose()


def _scripts() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(migrating.MIGRATIONS))
    return ScriptDirectory.from_config(config)


def _fill(url: str, home: Path) -> Story:
    """Every table of the application gets rows, all of them over the API, and cases stand in every state."""
    load_policies(url)
    settings = make_settings(url, home, sandbox=True)
    services = make_services(settings)
    story = Story(create_app(settings, services), services)
    case = story.at("decided")
    assert story.post("seller", f"/cases/{case}/exhibits", CHAT).status_code == 201
    spare = story.post("buyer", f"/cases/{case}/exhibits", CHAT).get_json()["id"]
    redacted = story.post("senior", f"/exhibits/{spare}/redactions", {"seqs": [1], "reason": "personal_data"})
    assert redacted.status_code == 200, redacted.get_json()
    story.do("seller", case, "appeal", {"grounds": "The carrier was late, not us.", "exhibits": ["S-1"]})
    for state in WAYS:
        story.at(state, paid=60_000 if state == "pending" else 12_900)
    story.failed_refund()
    story.at("refund")  # once more, because the way to `refunded` pays whatever is due
    with services.sessions.begin() as session:
        assert set(session.scalars(select(models.Case.state))) == set(CaseState), "a state without a case in it"
    order = story.get("platform", f"/cases/{case}").get_json()["order"]["id"]
    parcel = {**PARCEL, "leg": "outbound", "scans": [{"status": "accepted", "at": "2026-11-02T08:00:00Z"}]}
    written = [
        story.post("platform", f"/orders/{order}/tracking", parcel),
        story.post("mediator", "/interests", {"side": "buyer", "party": "buyer-7"}),
        story.post("buyer", f"/cases/{case}/messages", {"text": "Hello?"}, headers={"Idempotency-Key": "once"}),
        story.post("admin", "/sandbox/gateway", {"mode": "pass"}),
    ]
    assert all(response.status_code < 300 for response in written), [one.get_json() for one in written]
    services.engine.dispose()
    return story


_CATALOGUE = text(
    """
    SELECT 'column', c.relname, a.attname, format_type(a.atttypid, a.atttypmod) || CASE WHEN a.attnotnull THEN ' !' ELSE '' END
        || coalesce(' = ' || pg_get_expr(d.adbin, d.adrelid), '')
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace AND contype NOT IN ('n', 't')
    UNION ALL
    SELECT 'index', tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
    """  # noqa: E501 - one row of the answer to a line
)
_GUARDS = text(
    """
    SELECT 'trigger', tgrelid::regclass::text, tgname, pg_get_triggerdef(oid) || ' ' || tgenabled::text FROM pg_trigger
    WHERE NOT tgisinternal
    UNION ALL
    SELECT 'function', proname, '', prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL
    SELECT 'grant', c.relname, a.privilege_type, a.is_grantable::text FROM pg_class c, aclexplode(c.relacl) a
    WHERE c.relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname IN ('public', 'procrastinate'))
        AND a.grantee = 'mediation_app'::regrole
    """
)


def _rows(connection: Connection, query: Any) -> set[tuple[str, ...]]:
    return {tuple(str(value) for value in row) for row in connection.execute(query)}


def _schema(url: str) -> set[tuple[str, ...]]:
    """Every column, constraint, index, trigger, function and privilege of a database."""
    engine = make_engine(url, role=None)
    with engine.connect() as connection:
        found = _rows(connection, _CATALOGUE) | _rows(connection, _GUARDS)
    engine.dispose()
    return found


# --- up, down, up ------------------------------------------------------------------------------------------------


def test_a_database_full_of_data_goes_down_and_up_again(database: str, owner: Engine, tmp_path: Path) -> None:
    _fill(database, tmp_path / "before")
    before = _schema(database)
    with owner.connect() as connection:
        for table in METADATA.tables:
            assert connection.scalar(text(f"SELECT count(*) FROM {table}")), f"{table} was not filled"
    migrating.downgrade(database, "base")
    with owner.connect() as connection:
        left = connection.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).all()
        functions = connection.scalar(text("SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace"))
        schemas = connection.scalar(text("SELECT count(*) FROM pg_namespace WHERE nspname = 'procrastinate'"))
    assert left == ["alembic_version"]
    assert (functions, schemas) == (0, 0)
    migrating.upgrade(database)
    assert _schema(database) == before
    _fill(database, tmp_path / "after")


def test_each_migration_goes_down_and_up_by_itself(database: str, tmp_path: Path) -> None:
    """With data in it: a step that works on an empty database only is found here."""
    _fill(database, tmp_path)
    before = _schema(database)
    for revision in _scripts().walk_revisions():
        below = revision.down_revision or "base"
        migrating.downgrade(database, str(below))
        assert _schema(database) != before, f"{revision.revision} takes nothing back"
        migrating.upgrade(database, revision.revision)
        migrating.downgrade(database, str(below))
    migrating.upgrade(database)
    assert _schema(database) == before


def test_an_upgrade_of_what_is_up_already_changes_nothing(database: str, tmp_path: Path) -> None:
    _fill(database, tmp_path)
    before = _schema(database)
    migrating.upgrade(database)
    assert _schema(database) == before


# --- what was there before ---------------------------------------------------------------------------------------

#: Where the cases of revision 0002 can stand, and which clocks are to run there: kind, what it fires, for how long.
CLOCKS: dict[str, set[tuple[str, str | None, timedelta]]] = {
    "opened": {("notification", "notify_seller", timedelta(hours=1))},
    "seller_notified": {("response", "request_mediation", timedelta(hours=48))},
    "negotiating": {
        ("offer", "expire_offer", timedelta(hours=48)),
        ("negotiation", "request_mediation", timedelta(days=10)),
    },
    "seller_refused": {("mediation_request", "lapse", timedelta(days=7))},
    "under_review": {("review", "escalate", timedelta(hours=48))},
    "escalated": {("escalation", "raise_level", timedelta(hours=24))},
    "pending": {("escalation", "raise_level", timedelta(hours=24))},
    "decided": {("appeal", "finalise", timedelta(days=7))},
    "appealed": {("escalation", "raise_level", timedelta(hours=24)), ("appeal", None, timedelta(days=7))},
    "failed": {("escalation", "raise_level", timedelta(hours=24))},
    "refund": {("refund", "fail_refund", timedelta(hours=24))},
    "refunded": set(),
    "closed": set(),
}
#: A remedy as revision 0002 kept it: what was agreed said nothing of freight.
AS_IT_WAS = text(
    """
    UPDATE cases SET remedy = remedy - ARRAY['return_required', 'in_place_minor', 'purposes', 'liability']
        - CASE outcome WHEN 'settled' THEN ARRAY['freight_bearer'] ELSE ARRAY[]::text[] END
    WHERE remedy IS NOT NULL
    """
)


class Before:
    """Cases as revision 0002 left them, found by the present version; the time is the test's own from then on."""

    def __init__(self, url: str, owner: Engine, home: Path) -> None:
        services = make_services(make_settings(url, home))
        story = Story(create_app(services.settings, services), services)
        self.cases = {
            state: (story.failed_refund if state == "failed" else partial(story.at, state))(
                claims=CLAIMED[state], paid=sum(CLAIMED[state])
            )
            for state in sorted(CLOCKS, key=lambda state: state == "refund")  # last: `refunded` pays whatever is due
        }
        self.at_head = {state: self._read(story, case) for state, case in self.cases.items()}
        services.engine.dispose()
        migrating.downgrade(url, "0002")
        with owner.begin() as connection:
            assert connection.execute(AS_IT_WAS).rowcount >= 5
            kept = connection.scalars(text("SELECT DISTINCT jsonb_object_keys(remedy) FROM cases")).all()
            assert set(kept) == {"kind", "amount_minor", "currency", "freight_bearer"}
        migrating.upgrade(url)
        load_policies(url)
        self.story = TimedStory(make_services(make_settings(url, home)), Hands(real_time() + timedelta(hours=2)))

    @staticmethod
    def _read(story: Story, case: str) -> dict[str, Any]:
        found: dict[str, Any] = story.get("senior", f"/cases/{case}").get_json()
        return found

    def read(self, state: str) -> dict[str, Any]:
        return self._read(self.story, self.cases[state])

    def close(self) -> None:
        self.story.services.engine.dispose()


#: What a case says after the change of versions as it said it before.
KEPT = ("state", "stage", "waiting_on", "queue", "remedy", "outcome", "claims", "level", "escalation_reason", "version")
#: What each of these cases claims, line by line; within a mediator's authority but for the one that waits for approval.
CLAIMED = {state: [60_000] if state == "pending" else [6_000, 6_900] for state in CLOCKS} | {
    state: [12_900] for state in ("decided", "appealed")
}


@pytest.fixture
def before(database: str, owner: Engine, tmp_path: Path) -> Iterator[Before]:
    found = Before(database, owner, tmp_path)
    yield found
    found.close()


def test_every_open_case_of_before_gets_its_clocks_once_from_the_day_they_are_started(before: Before) -> None:
    story, now = before.story, before.story.hands.now
    for state in CLOCKS:
        assert before.read(state)["deadlines"] == [], "a clock that nobody started"
    assert clock.start_missing(story.services) == len([state for state in CLOCKS if CLOCKS[state]])
    for state, wanted in CLOCKS.items():
        found = before.read(state)["deadlines"]
        assert {(one["kind"], one["fires"], datetime.fromisoformat(one["at"]) - now) for one in found} == wanted, state
        entry = story.entries(before.cases[state])[-1]
        if wanted:
            assert entry["type"] == "clock_started", state
            told = next(one["value"]["deadlines"] for one in entry["openings"] if one["name"] == "deadlines")
            assert {(one["kind"], one["change"]) for one in told} == {(kind, "started") for kind, *_ in wanted}
        else:
            assert entry["type"] != "clock_started", state
    versions = {state: before.read(state)["version"] for state in CLOCKS}
    assert clock.start_missing(story.services) == 0
    assert {state: before.read(state)["version"] for state in CLOCKS} == versions


def test_what_the_policies_are_looked_up_by_is_filled_in_claim_by_claim(before: Before, owner: Engine) -> None:
    with owner.connect() as connection:
        found = {str(case): matters for case, matters in connection.execute(text("SELECT id, matters FROM cases"))}
    matter = {"reason": "late_shipment", "request": "refund_only", "category": "home_appliances"}
    for state, case in before.cases.items():
        claims = before.at_head[state]["claims"]
        assert found[case] == [matter] * len(claims), state
    assert max(len(matters) for matters in found.values()) == 2


def test_remedies_and_refunds_of_before_say_of_what_they_consist(before: Before) -> None:
    with_remedy = 0
    for state in CLOCKS:
        now, then = before.read(state), before.at_head[state]
        assert {name: now[name] for name in KEPT} == {name: then[name] for name in KEPT}, state
        with_remedy += then["remedy"] is not None
    assert with_remedy >= 5
    assert before.read("refund")["legs"] == ["refund"]
    story = before.story
    story.pay()
    assert story.state(before.cases["refund"]) == "refunded"
    with story.services.engine.connect() as connection:
        booked = connection.execute(
            text("SELECT account LIKE 'buyer:%', purpose, amount_minor FROM ledger_entries WHERE case_id = :case"),
            {"case": uuid.UUID(before.cases["refund"])},
        )
        assert {tuple(row) for row in booked} == {(False, "liability", -12_900), (True, "refund", 12_900)}


def test_an_appeal_that_could_still_be_made_can_still_be_made_once_clocks_run(before: Before) -> None:
    story, grounds = before.story, {"grounds": "We were not heard either."}
    clock.start_missing(story.services)
    story.hands.move(days=6, hours=23)
    # The seller has appealed already; nobody has appealed against the other decision.
    assert story.act("buyer", before.cases["appealed"], "appeal", grounds).status_code == 200
    assert story.do("seller", before.cases["decided"], "appeal", grounds)["state"] == "escalated"


def test_every_case_of_before_that_is_left_alone_goes_on_by_itself(before: Before) -> None:
    story = before.story
    clock.start_missing(story.services)
    story.pass_time(days=20)
    ends = {state: before.read(state)["state"] for state in CLOCKS}
    assert ends == {
        "opened": "escalated",
        "seller_notified": "escalated",
        "negotiating": "escalated",
        "seller_refused": "closed",
        "under_review": "escalated",
        "escalated": "escalated",
        "pending": "escalated",
        "decided": "refunded",
        "appealed": "escalated",
        "failed": "escalated",
        "refund": "refunded",
        "refunded": "refunded",
        "closed": "closed",
    }
    for state, end in ends.items():
        if end == "escalated":
            assert before.read(state)["waiting_on"] == "supervisor", state


# --- no drift ----------------------------------------------------------------------------------------------------


def test_the_migrations_lead_to_what_the_models_say(owner: Engine) -> None:
    with owner.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, METADATA) == []


def test_the_comparison_can_fail(owner: Engine) -> None:
    with owner.connect() as connection:
        connection.execute(text("ALTER TABLE offers DROP COLUMN status"))
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, METADATA) != []
        connection.rollback()


def test_checks_and_conditions_of_indexes_are_those_of_the_models_to_the_letter(database: str, empty: str) -> None:
    """Alembic compares neither, so both schemas are built and PostgreSQL is asked."""
    engine = make_engine(empty, role=None)
    METADATA.create_all(engine)
    with engine.connect() as connection:
        of_models = _rows(connection, _CATALOGUE)
    engine.dispose()
    migrated = make_engine(database, role=None)
    with migrated.connect() as connection:
        of_migrations = {row for row in _rows(connection, _CATALOGUE) if row[1] != "alembic_version"}
    migrated.dispose()
    assert of_migrations == of_models


def test_the_application_may_use_every_table_of_the_models_and_rewrite_none_of_the_record(owner: Engine) -> None:
    with owner.connect() as connection:
        granted: dict[str, set[str]] = {}
        for _, table, privilege, grantable in _rows(connection, _GUARDS):
            if table in METADATA.tables and privilege in ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE"):
                granted.setdefault(table, set()).add(privilege)
                assert grantable == "false"
    assert granted.keys() == METADATA.tables.keys()
    assert all({"SELECT", "INSERT"} <= privileges for privileges in granted.values())
    assert all("TRUNCATE" not in privileges for privileges in granted.values())
    for table in (
        "docket_entries",
        "exhibit_messages",
        "ledger_entries",
        "seals",
        "appeals",
        "claims",
        "notices",
        "policy_versions",
        "tracking_scans",
    ):
        assert granted[table] == {"SELECT", "INSERT"}, table


# --- the scripts -------------------------------------------------------------------------------------------------


def test_the_head_file_names_the_last_script() -> None:
    assert _scripts().get_heads() == [migrating.HEAD]
    assert (migrating.MIGRATIONS / "HEAD").read_text(encoding="utf-8") == f"{migrating.HEAD}\n"


def test_the_scripts_are_numbered_in_one_line_without_branches() -> None:
    line = [revision.revision for revision in _scripts().walk_revisions()][::-1]
    assert line == [f"{n + 1:04}" for n in range(len(line))]
    assert [path.name[:4] for path in VERSIONS] == line
    assert all(re.fullmatch(r"\d{4}_[a-z0-9_]+\.py", path.name) for path in VERSIONS)


def _imported(source: str) -> set[str]:
    """The top-level packages that some code imports, by whatever form of import."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add("migrations" if node.level else str(node.module).partition(".")[0])
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in (
            "import_module",
            "__import__",
        ):
            found |= {str(word.value).partition(".")[0] for word in node.args if isinstance(word, ast.Constant)}
    return found


@pytest.mark.parametrize("path", VERSIONS, ids=lambda path: path.stem)
def test_a_migration_imports_nothing_of_ours(path: Path) -> None:
    assert _imported(path.read_text(encoding="utf-8")) & OURS == set()


@pytest.mark.parametrize(
    "planted",
    [
        "from mediation.models import Case",
        "import mediation.db as db",
        "from workflows.states import CaseState",
        "def upgrade():\n    from evidence import chain",
        "from . import helpers",
        "import importlib\nimportlib.import_module('mediation.models')",
    ],
)
def test_a_migration_that_imports_ours_is_caught(planted: str) -> None:
    assert _imported(VERSIONS[0].read_text(encoding="utf-8") + "\n" + planted) & OURS


# --- several at once ---------------------------------------------------------------------------------------------


def _at_once(*steps: Any) -> list[BaseException]:
    """Run the steps together and collect what they raise."""
    barrier, raised = Barrier(len(steps)), []

    def run(step: Any) -> None:
        barrier.wait()
        try:
            step()
        except BaseException as error:  # noqa: BLE001 - it is handed to the test
            raised.append(error)

    threads = [Thread(target=run, args=(step,)) for step in steps]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return raised


def _upgrading(url: str) -> subprocess.Popen[bytes]:
    """A machine of its own that upgrades the database."""
    program = "import sys; from mediation import migrating; migrating.upgrade(sys.argv[1])"
    return subprocess.Popen([sys.executable, "-c", program, url], stderr=subprocess.PIPE, cwd=Path(__file__).parents[2])


def test_machines_that_upgrade_one_database_together_all_succeed(empty: str, database: str) -> None:
    machines = [_upgrading(empty) for _ in range(3)]
    told = [machine.communicate()[1].decode() for machine in machines]
    assert [machine.returncode for machine in machines] == [0, 0, 0], told
    assert _schema(empty) == _schema(database)
    engine = make_engine(empty)
    assert migrating.current(engine) == migrating.HEAD
    engine.dispose()


def test_an_upgrade_waits_for_the_one_that_is_running(empty: str, owner: Engine) -> None:
    """Both hold one lock to the end of their transaction, so the second finds the work of the first done."""
    lock = _lock_of_migrations()
    engine = make_engine(empty, role=None)
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": lock})
        second = Thread(target=migrating.upgrade, args=(empty,))
        second.start()
        _until_somebody_waits(owner)
        assert connection.scalar(text("SELECT to_regclass('public.cases')")) is None
        connection.rollback()
        second.join()
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == migrating.HEAD
    engine.dispose()


def test_an_upgrade_waits_for_as_long_as_the_running_one_takes(
    empty: str, owner: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit on waiting for a lock is for the tables of a service that runs, not for the turn to migrate."""
    monkeypatch.setattr("mediation.db.LOCK_TIMEOUT_MS", 50)
    engine = make_engine(empty, role=None)
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _lock_of_migrations()})
        raised: list[BaseException] = []
        second = Thread(target=lambda: raised.extend(_at_once(lambda: migrating.upgrade(empty))))
        second.start()
        _until_somebody_waits(owner)
        second.join(timeout=0.5)  # Ten times the limit.
        connection.rollback()
        second.join()
    engine.dispose()
    assert raised == []


def _lock_of_migrations() -> int:
    """The number in env.py, which cannot be imported without running it."""
    for node in ast.parse((migrating.MIGRATIONS / "env.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "MIGRATION_LOCK":
            return int(ast.literal_eval(node.value))
    raise AssertionError("env.py takes no lock")


def _until_somebody_waits(engine: Engine) -> None:
    """Ask, for at most the time a lock is waited for, until a connection waits for an advisory lock."""
    asked = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    last = time.monotonic() + LOCK_TIMEOUT_MS / 1000
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        while not connection.scalar(asked):
            assert time.monotonic() < last, "nobody waits"


def test_threads_that_upgrade_one_database_together_all_succeed(empty: str, database: str) -> None:
    assert _at_once(lambda: migrating.upgrade(empty), lambda: migrating.upgrade(empty)) == []
    assert _schema(empty) == _schema(database)


def test_threads_that_upgrade_two_databases_keep_them_apart(server: Server, empty: str) -> None:
    other = server.create()
    try:
        assert _at_once(lambda: migrating.upgrade(empty), lambda: migrating.upgrade(server.url(other))) == []
        assert _schema(empty) == _schema(server.url(other))
    finally:
        server.drop(other)


def test_a_failing_upgrade_leaves_nothing_behind(empty: str) -> None:
    """All of it is one transaction: half a schema would be worse than none."""
    engine = make_engine(empty, role=None)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE seals (mine int)"))  # Stands in the way of one of the last tables.
    with pytest.raises(Exception, match="already exists"):
        migrating.upgrade(empty)
    with engine.connect() as connection:
        assert connection.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).all() == [
            "seals"
        ]
    engine.dispose()


def test_the_revision_of_a_database_without_any_is_none(empty: str, database: str) -> None:
    for url, revision in ((empty, None), (database, migrating.HEAD)):
        engine = make_engine(url, role=None)
        assert migrating.current(engine) == revision
        engine.dispose()


# --- readiness ---------------------------------------------------------------------------------------------------


def _ready(story: Story) -> tuple[int, str, str | None]:
    response = story.client.get("/readyz")
    told = response.get_json()
    return response.status_code, told.get("code") or told["status"], response.headers.get("Retry-After")


def test_the_service_is_ready_only_while_its_database_is_migrated(story: Story, database: str) -> None:
    assert _ready(story) == (200, "ready", None)
    for revision in ("0002", "0001", "base"):
        migrating.downgrade(database, revision)
        assert _ready(story) == (503, "not_migrated", "1")
        assert story.client.get("/healthz").status_code == 200
    migrating.upgrade(database)
    assert _ready(story) == (200, "ready", None)


def test_a_database_of_a_later_version_is_not_ready_either(story: Story, owner: Engine) -> None:
    with owner.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert _ready(story)[:2] == (503, "not_migrated")


def test_a_service_without_its_database_is_alive_and_not_ready(story: Story, server: Server, database: str) -> None:
    server.drop(database.rpartition("/")[2].partition("?")[0])
    assert _ready(story) == (503, "database_away", "1")
    assert story.client.get("/healthz").status_code == 200
    response = story.get("buyer", "/cases")
    assert (response.status_code, response.get_json()["code"]) == (503, "busy")
    assert response.headers["Retry-After"] == "1"


def test_the_role_survives_a_downgrade_for_the_servers_other_databases(database: str, owner: Engine) -> None:
    migrating.downgrade(database, "base")
    with owner.connect() as connection:
        found = connection.scalar(
            text("SELECT count(*) FROM pg_roles WHERE rolname = :role"), {"role": APPLICATION_ROLE}
        )
    assert found == 1


def test_an_owner_who_is_no_superuser_migrates_and_the_application_can_connect(server: Server) -> None:
    """What a managed PostgreSQL gives: a login that owns its database and may create roles, and nothing more.

    The application's role is the whole server's, so it is there already; the grant is the one that PostgreSQL itself
    makes to whoever creates a role, which from 16 on does not let them take it.
    """
    asking = make_engine(server.url("postgres"), role=None)
    with asking.connect() as connection:
        version = int(connection.scalar(text("SELECT current_setting('server_version_num')")) or 0)
    asking.dispose()
    creators = "ADMIN TRUE, SET FALSE, INHERIT FALSE" if version >= 160_000 else "ADMIN OPTION"
    owner = f"o_{uuid.uuid4().hex[:12]}"
    server.execute(f"CREATE ROLE {owner} LOGIN CREATEROLE")
    server.execute(f"GRANT {APPLICATION_ROLE} TO {owner} WITH {creators}")
    name = server.create()
    try:
        server.execute(f"ALTER DATABASE {name} OWNER TO {owner}")
        url = make_url(server.url(name)).set(username=owner).render_as_string(hide_password=False)
        migrating.upgrade(url)
        engine = make_engine(url)
        with engine.connect() as connection:
            assert connection.scalar(text("SELECT current_user")) == APPLICATION_ROLE
            assert connection.scalar(text("SELECT count(*) FROM cases")) == 0
            assert connection.scalar(text("SELECT count(*) FROM procrastinate.procrastinate_jobs")) == 0
        engine.dispose()
    finally:
        server.drop(name)
        server.execute(f"DROP OWNED BY {owner}")
        server.execute(f"DROP ROLE {owner}")
