"""The API under granian: `python -m mediation.serve`, configured by the environment.

granian's first process only watches over its workers (API_PROCESSES of them), each of which binds the port by itself
(SO_REUSEPORT) and runs Python in API_THREADS threads. The workers are not daemons and outlive a first process that is
killed, therefore each of them watches its parent.
"""

from __future__ import annotations

import sys
from typing import Any

from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.log import LogLevels

from mediation import logs
from mediation.services import check, check_policies
from mediation.settings import BadSetting, Settings, load
from mediation.supervision.parent import claim_children, die_with_parent

# granian's `backpressure` counts open connections, idle ones too, not requests at work: a small number would let a few
# clients that keep their connections shut out everyone. Threads bound the work, this bounds only the open sockets.
CONNECTIONS = 1024
READ_TIMEOUT_MS = 15_000  # A client's time for the head of a request, and the life of an idle connection.
DRAIN = 10  # seconds for requests under way at a stop


def application() -> Any:
    """The WSGI application, made in the worker itself: nothing of it may exist before granian forks or spawns."""
    die_with_parent()
    logs.configure(load())
    from mediation.wsgi import app  # noqa: PLC0415

    return app


def server(settings: Settings) -> Any:
    """The granian server for these settings, not yet started."""
    return Granian(
        "mediation.wsgi:app",
        address=settings.host,
        port=settings.port,
        interface=Interfaces.WSGI,
        workers=settings.processes,
        blocking_threads=settings.threads,
        backpressure=CONNECTIONS,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=READ_TIMEOUT_MS),
        websockets=False,
        loop=Loops.asyncio,
        respawn_failed_workers=True,
        workers_kill_timeout=DRAIN,
        log_level=LogLevels(settings.log_level),
        log_dictconfig=logs.dict_config(settings),
        log_access=False,
    )


def main() -> None:
    """Serve until SIGTERM or SIGINT, then let the requests under way finish."""
    die_with_parent()
    try:
        settings = load()
        check(settings)  # Here a wrong one is told once; in a worker it would be told at every restart.
        check_policies(settings)
    except BadSetting as error:
        sys.exit(f"Error: {error}")
    logs.configure(settings)
    claim_children()
    # Our own loader, because granian's puts the working folder on the import path.
    server(settings).serve(target_loader=application, wrap_loader=False)


if __name__ == "__main__":
    main()
