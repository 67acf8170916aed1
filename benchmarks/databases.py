"""The PostgreSQL of a run, and the databases in it: one seeded template, a fresh copy of it for each measurement."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy.engine import make_url

from mediation.db import connection_options, driver_url


class Server:
    """A PostgreSQL server on which we may create databases. Ours are named `bench_…`."""

    def __init__(self, url: str) -> None:
        self._url = make_url(driver_url(url))

    def url(self, database: str) -> str:
        """The URL of a database, as the application takes it."""
        return self._url.set(database=database).render_as_string(hide_password=False)

    def conninfo(self, database: str) -> str:
        """The same as libpq takes it, logging in as the owner."""
        return libpq(self.url(database))

    def admin(self, statement: str) -> None:
        """Run a statement outside any transaction, in the database that is always there."""
        with psycopg.connect(self.conninfo("postgres"), autocommit=True) as connection:
            connection.execute(statement)

    def value(self, database: str, query: str) -> Any:
        """The single value of a query."""
        with psycopg.connect(self.conninfo(database), autocommit=True) as connection:
            row = connection.execute(query).fetchone()
        assert row is not None
        return row[0]

    def exists(self, database: str) -> bool:
        """Whether the database is there."""
        return bool(self.value("postgres", f"SELECT count(*) FROM pg_database WHERE datname = '{database}'"))

    def drop(self, database: str) -> None:
        """Remove a database of ours, if it is there."""
        self.admin(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")

    @contextmanager
    def copy(self, template: str) -> Iterator[str]:
        """A fresh copy of a database, removed in the end. FILE_COPY ends with a checkpoint, so all start alike."""
        name = f"bench_copy_{os.getpid()}"
        self.drop(name)
        self.admin(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        try:
            yield name
        finally:
            self.drop(name)


def libpq(url: str) -> str:
    """A URL of the application as libpq and psycopg take it."""
    return (
        make_url(url)
        .set(drivername="postgresql")
        .difference_update_query(["options"])
        .render_as_string(hide_password=False)
    )


def application_environment() -> dict[str, str]:
    """What makes a libpq client's connections like the application's: its role, its time limits."""
    return {**os.environ, "PGOPTIONS": connection_options(), "PGAPPNAME": "mediation"}


def pgbench() -> Path | None:
    """The pgbench of the embedded PostgreSQL, or the one of the system; None if there is neither."""
    from mediation.embedded.wheel import PROGRAMS  # noqa: PLC0415

    # Not whatever is called pgbench on the PATH: Debian's is a wrapper that looks for a cluster of its own.
    found = [PROGRAMS / "pgbench", *sorted(Path("/usr/lib/postgresql").glob("*/bin/pgbench"), reverse=True)]
    found += [Path(folder) / "pgbench" for folder in os.environ.get("PATH", "").split(os.pathsep)]
    return next((path for path in found if path.is_file() and _runs(path)), None)


def _runs(program: Path) -> bool:
    return subprocess.run([program, "--version"], capture_output=True, check=False).returncode == 0


@contextmanager
def server(home: Path | None) -> Iterator[tuple[Server, Path]]:
    """The server of DATABASE_URL, else an embedded one under `home` (None: a folder that goes again in the end).

    Yields it with the folder in which the processes measured keep their keys and logs.
    """
    given = os.environ.get("DATABASE_URL")
    with ExitStack() as stack:
        if home is None:
            home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True)))
        home.mkdir(parents=True, exist_ok=True)
        if given:
            yield Server(given), home
            return
        from mediation.embedded import running  # noqa: PLC0415

        yield Server(stack.enter_context(running(home)).url("postgres")), home
