"""The queue: procrastinate on the same PostgreSQL, in a schema of its own.

Jobs are hints that make things quick. Whatever one would do is also found by a sweep over the rows that say what is
owed, so a lost, doubled or stalled job costs time and nothing else.
"""

from __future__ import annotations

from contextlib import suppress
from threading import Lock
from typing import Any

import procrastinate
import structlog
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException
from sqlalchemy.engine import make_url

from mediation.db import connection_options, driver_url

SWEEP = "mediation.sweep_refunds"
SCHEMA = "procrastinate"
#: A sweep goes before the payments that wait, so that however many these are, it has its turn.
SWEEP_PRIORITY = 10
log = structlog.get_logger("mediation.jobs")


def _connection(url: str) -> dict[str, Any]:
    """Connection arguments for a pool of psycopg's, with the application's role and the queue's schema."""
    parsed = make_url(driver_url(url)).set(drivername="postgresql")
    asked = parsed.query.get("options", "")
    asked = asked if isinstance(asked, str) else " ".join(asked)
    return {
        "conninfo": parsed.difference_update_query(["options"]).render_as_string(hide_password=False),
        "kwargs": {
            "options": f"{asked} {connection_options()} -c search_path={SCHEMA}".strip(),
            "application_name": "mediation-queue",
            "connect_timeout": 10,
        },
    }


def worker_connector(url: str) -> procrastinate.PsycopgConnector:
    """The connector of a worker."""
    # Where the database is away for longer than this, the worker is to notice and pause, and to be able to stop.
    return procrastinate.PsycopgConnector(**_connection(url), min_size=1, max_size=4, timeout=3)


class Hinter:
    """Wakes a worker after a commit. What cannot be hinted is left to the sweep."""

    def __init__(self, url: str) -> None:
        self._app = procrastinate.App(
            connector=procrastinate.SyncPsycopgConnector(**_connection(url), min_size=0, max_size=2, timeout=2)
        )
        self._open = False
        self._lock = Lock()

    def __call__(self) -> None:
        """Ask for a sweep now, unless one is waiting already."""
        try:
            with self._lock:
                if not self._open:
                    self._app.open()
                    self._open = True
            # One that is waiting already will find this refund too.
            with suppress(AlreadyEnqueued):
                self._app.configure_task(SWEEP, queueing_lock=SWEEP, priority=SWEEP_PRIORITY, allow_unknown=True).defer(
                    timestamp=0
                )
        except ConnectorException as error:
            log.warning("hint_failed", error=type(error).__name__)

    def close(self) -> None:
        """Close the connections."""
        if self._open:
            self._app.close()
            self._open = False
