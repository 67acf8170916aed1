"""Bringing a database to the present schema."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Lock

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Engine

import migrations
from mediation.db import make_engine
from mediation.settings import BadSetting

MIGRATIONS = Path(migrations.__file__).parent
#: The revision this code needs; the file makes two branches that both add a migration collide in review.
HEAD = (MIGRATIONS / "HEAD").read_text(encoding="utf-8").strip()

#: The oldest major version of PostgreSQL that is supported.
OLDEST = 15

_ALEMBIC = Lock()


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def upgrade(url: str, revision: str = "head") -> None:
    """Bring the schema up to `revision`. Safe to call from several machines at once: one does it, the others wait.

    Raises sqlalchemy.exc.DBAPIError if the database cannot be reached or refuses, BadSetting if its
    server is too old.
    """
    _run(url, lambda config: command.upgrade(config, revision))


def downgrade(url: str, revision: str) -> None:
    """Take the schema back to `revision` ("base" for none). Irreversible for the data that goes with it."""
    _run(url, lambda config: command.downgrade(config, revision))


def _require_version(connection: Connection) -> None:
    info = connection.connection.driver_connection.info  # type: ignore[union-attr]
    if info.server_version < OLDEST * 10_000:
        raise BadSetting(
            f"DATABASE_URL: PostgreSQL {OLDEST} or newer is needed; this server is {info.server_version // 10_000}"
        )


def _run(url: str, step: Callable[[Config], None]) -> None:
    engine = make_engine(url, role=None)
    try:
        with engine.connect() as connection:
            _require_version(connection)
            # Alembic keeps what it is at in variables of the process.
            with _ALEMBIC:
                step(_config(connection))
    finally:
        engine.dispose()


def current(engine: Engine) -> str | None:
    """The revision the database is at, None before the first."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()
