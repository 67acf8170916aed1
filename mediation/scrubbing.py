"""Taking what was erased out of PostgreSQL's own files: dead rows, statistics, the write-ahead log.

An UPDATE leaves the row as it was on disk until the space is used again, ANALYZE copies values into a catalogue, and
the write-ahead log holds all that was ever written until its segments are removed. No reader of the database gets at
dead rows or the log, whoever holds the disk does.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql
from psycopg.errors import InsufficientPrivilege, LockNotAvailable
from sqlalchemy.engine import make_url

from mediation.db import driver_url

#: Tables whose rows are erased or forgotten, and of each that may come to be empty the columns with words or digests.
TABLES: dict[str, tuple[str, ...]] = {
    "docket_openings": (),
    "exhibit_message_openings": (),
    "custody_openings": (),
    "exhibits": (),
    "parties": (),
    "idempotent_answers": ("request_digest", "headers", "body"),
    "procrastinate.procrastinate_jobs": ("args",),
}
STATISTICS = "pg_catalog.pg_statistic"
PATIENCE = 60.0  # seconds for transactions that still see what was erased
LOOK_AGAIN = 1.0  # seconds
_LOCK_TIMEOUT = "30s"
_SEGMENT = "^[0-9A-F]{24}$"
_NUMBER = re.compile(r"\d+")

Say = Callable[[str], None]


def scrub(url: str, say: Say, *, patience: float = PATIENCE) -> list[str]:
    """Rewrite the tables that words were erased from and let go of the log; what stays on disk, and why.

    Needs the owner of the tables; the log needs a superuser, or what PostgreSQL calls pg_checkpoint and a grant of
    pg_switch_wal and pg_ls_waldir. Each table is locked against everybody while it is rewritten.
    """
    parsed = make_url(driver_url(url)).set(drivername="postgresql")
    asked = parsed.query.get("options", "")
    # Beside the URL, for in it a space comes out as a plus.
    options = asked if isinstance(asked, str) else " ".join(asked)
    conninfo = parsed.difference_update_query(["options"]).render_as_string(hide_password=False)
    with psycopg.connect(conninfo, autocommit=True, options=options, connect_timeout=10) as connection:
        # The limits of the service are too short for rewriting a table; that we wait for a lock keeps others waiting.
        connection.execute("SET statement_timeout = 0")
        connection.execute(sql.SQL("SET lock_timeout = {}").format(sql.Literal(_LOCK_TIMEOUT)))
        stays: list[str] = []
        for table, columns in TABLES.items():
            say(f"rewriting {table}")
            stays += _rewrite(connection, table, patience, columns)
        say(f"rewriting {STATISTICS}")
        stays += _rewrite(connection, STATISTICS, patience)
        say("letting go of the write-ahead log")
        stays += let_go_of_log(connection)
        return stays


def _name(table: str) -> sql.Identifier:
    return sql.Identifier(*table.split("."))


def _rewrite(
    connection: psycopg.Connection, table: str, patience: float, columns: tuple[str, ...] | None = None
) -> Iterator[str]:
    """VACUUM FULL until no row is carried over that somebody still sees though it was erased; what stays after all.

    With `columns` (which may be none) the table is one of ours, whose statistics are made anew.
    """
    options = sql.SQL("FULL, VERBOSE" if columns is None else "FULL, VERBOSE, ANALYZE")
    statement = sql.SQL("VACUUM ({}) {}").format(options, _name(table))
    until = time.monotonic() + patience
    while True:
        try:
            with _heard(connection) as heard:
                connection.execute(statement)
            if not (refused := any(severity == "WARNING" for severity, _ in heard)):
                _drop_statistics(connection, table, columns or ())
        except LockNotAvailable:
            yield f"{table}: it was in use for {_LOCK_TIMEOUT} on end; try again when less is going on"
            return
        if refused:
            yield f"{table}: only its owner, or a superuser, may rewrite it"
            return
        # "N dead row versions cannot be removed yet", in whatever language the server speaks.
        counts = [_NUMBER.match(detail) for _, detail in heard]
        seen = sum(int(count[0]) for count in counts if count)
        if not seen:
            return
        if time.monotonic() > until:
            yield f"{table}: {seen} dead rows, which a transaction or a replication slot still sees"
            return
        time.sleep(LOOK_AGAIN)


@contextmanager
def _heard(connection: psycopg.Connection) -> Iterator[list[tuple[str, str]]]:
    """Severity and detail of what the server says meanwhile."""
    heard: list[tuple[str, str]] = []

    def note(said: psycopg.errors.Diagnostic) -> None:
        # At once: afterwards there is nothing left in it.
        heard.append((said.severity_nonlocalized or "", said.message_detail or ""))

    connection.add_notice_handler(note)
    try:
        yield heard
    finally:
        connection.remove_notice_handler(note)


def _drop_statistics(connection: psycopg.Connection, table: str, columns: tuple[str, ...]) -> None:
    """Of a table without a row ANALYZE forgets nothing; a column whose type is stated anew has its statistics
    dropped.
    """
    if connection.execute(sql.SQL("SELECT FROM {} LIMIT 1").format(_name(table))).fetchone() is not None:
        return
    for column in columns:
        found = connection.execute(
            "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = %s::regclass AND attname = %s",
            [table, column],
        ).fetchone()
        assert found is not None
        connection.execute(
            sql.SQL("ALTER TABLE {} ALTER COLUMN {} TYPE {}").format(
                _name(table), sql.Identifier(column), sql.SQL(found[0])
            )
        )


def let_go_of_log(connection: psycopg.Connection) -> Iterator[str]:
    """Have every segment removed that was written so far, and overwrite those that were kept for use again."""
    try:
        switched = _value(connection, "SELECT pg_walfile_name(pg_switch_wal())")
        # Twice: what the first round leaves behind it may be kept for use again, with what stood in it.
        for _ in range(2):
            _overwrite_ahead(connection)
            connection.execute("CHECKPOINT")
        kept = "SELECT count(*) FROM pg_ls_waldir() WHERE name ~ %s AND name <= %s"
        left = int(_value(connection, kept, _SEGMENT, switched))
    except InsufficientPrivilege:
        yield "write-ahead log: only a superuser may let go of it; its segments go with the checkpoints to come"
        return
    if left:
        yield f"write-ahead log: {left} segments that a replica, an archive or wal_keep_size holds back"


def _overwrite_ahead(connection: psycopg.Connection) -> None:
    """Go on beyond every segment that is there: one that is switched away from is filled with zeros to its end."""
    ahead = "SELECT count(*) FROM pg_ls_waldir() WHERE name ~ %s AND name >= pg_walfile_name(pg_current_wal_lsn())"
    for _ in range(int(_value(connection, ahead, _SEGMENT))):
        connection.execute("SELECT pg_logical_emit_message(false, 'scrub', '')")
        connection.execute("SELECT pg_switch_wal()")


def _value(connection: psycopg.Connection, query: str, *values: object) -> str:
    row = connection.execute(query, values).fetchone()
    assert row is not None
    return str(row[0])
