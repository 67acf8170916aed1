"""Runs migrations as the owner of the schema, in one transaction, with a bounded wait for locks.

The limits go in as connection options: a SET before the context is configured would open a transaction of its own
and nothing would be migrated.
"""

from __future__ import annotations

import os

from alembic import context
from sqlalchemy import Connection

from mediation import models
from mediation.db import make_engine

#: One upgrade at a time, whoever starts it: an advisory lock held to the end of the transaction.
MIGRATION_LOCK = 0x6D656469
#: Milliseconds. A migration may run long, but must not stand in a queue for locks that stops everyone behind it.
LIMITS = {"lock_timeout": 5_000, "statement_timeout": 0}


def _is_ours(_object: object, name: str | None, type_: str, _reflected: bool, _compare_to: object) -> bool:
    return not (type_ == "table" and name is not None and name.startswith("procrastinate_"))


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=models.Case.metadata,
        include_object=_is_ours,
        compare_server_default=True,
    )
    with context.begin_transaction():
        # Whoever comes second waits for as long as the first takes; only then do the limits hold again.
        for limit in LIMITS:
            connection.exec_driver_sql(f"SET LOCAL {limit} = 0")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")
        for limit, value in LIMITS.items():
            connection.exec_driver_sql(f"SET LOCAL {limit} = {value}")
        context.run_migrations()


def main() -> None:
    given = context.config.attributes.get("connection")
    if given is not None:
        run(given)
        return
    url = context.config.get_main_option("sqlalchemy.url") or os.environ.get("DATABASE_URL")
    if not url:
        raise SystemExit("DATABASE_URL: must name the PostgreSQL database to migrate")
    engine = make_engine(url, role=None)
    with engine.connect() as connection:
        run(connection)
    engine.dispose()


main()
