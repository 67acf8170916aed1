"""`mediation up`: the whole installation in one command, and its orderly end.

PostgreSQL (unless DATABASE_URL names one), migrations, API and worker, in this order; at the end the API drains, the
worker stops, then PostgreSQL. The children end by themselves when this process is killed; PostgreSQL goes on and is
adopted by the next start.
"""

from __future__ import annotations

import dataclasses
import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType

import httpx
import structlog
from sqlalchemy.exc import DBAPIError

from mediation import logs, migrating
from mediation.embedded import EmbeddedServer, running
from mediation.services import check_policies
from mediation.settings import Settings
from mediation.supervision.children import Child
from mediation.supervision.errors import CannotRun
from mediation.supervision.greeting import greet, issue_tokens
from mediation.supervision.lock import exclusive
from mediation.supervision.parent import VARIABLE
from mediation.supervision.port import reserved

log = structlog.get_logger(__name__)

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LOOK_AGAIN = 0.2  # seconds
FIRST_ANSWER = 60.0  # seconds from the API's start to its first answer
AFTER_A_KILL = 5.0  # seconds in which the children of a killed run have ended
# Seconds to stop by themselves: more than each gives the work under way (serve.DRAIN, worker.DRAIN_SECONDS).
API_PATIENCE, WORKER_PATIENCE = 15.0, 20.0


def up(settings: Settings, *, demo: bool = False) -> None:
    """Run everything until SIGINT, SIGTERM or SIGHUP, which end it cleanly.

    Raises CannotRun (already running, port taken, a child that keeps dying), BadSetting, EmbeddedServerError.
    """
    logs.configure(settings)
    settings = dataclasses.replace(settings, home=settings.home.expanduser().absolute())
    check_policies(settings)  # Here a wrong file is told once; in the children it would be told at every restart.
    with _until_signal(), ExitStack() as stack:
        was_killed = stack.enter_context(exclusive(settings.home))
        tokens = issue_tokens(settings)
        patience = AFTER_A_KILL if was_killed else 0.0
        port = stack.enter_context(reserved(settings.host, settings.port, patience))
        server = None if settings.database_url else stack.enter_context(running(settings.home))
        url = settings.database_url or (server.url() if server else "")
        settings = dataclasses.replace(settings, port=port, database_url=url)
        _prepare(settings, url, demo=demo)
        children = [stack.enter_context(_kept(child, patience)) for child, patience in _children(settings, url)]
        address = _address(settings)
        _await_answer(address, children)
        greet(address, tokens, sandbox=settings.sandbox)
        _watch(children, server)


@contextmanager
def _until_signal() -> Iterator[None]:
    """Run the block until one of SIGNALS, then let it unwind undisturbed: a second signal changes nothing."""

    def stop(number: int, _frame: FrameType | None) -> None:
        for each in SIGNALS:
            signal.signal(each, lambda _number, _frame: None)
        log.info("stopping", signal=signal.Signals(number).name)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in SIGNALS}
    try:
        yield
    except KeyboardInterrupt:
        log.info("stopped")
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _prepare(settings: Settings, url: str, *, demo: bool) -> None:
    try:
        migrating.upgrade(url)
        if demo:
            from mediation.demo.data import seed  # noqa: PLC0415 - what only a demonstration needs

            seed(url, settings)
    except DBAPIError as error:
        raise CannotRun(f"The database cannot be prepared: {' '.join(str(error.orig).split())}") from error


def _children(settings: Settings, url: str) -> list[tuple[Child, float]]:
    """The children in the order of their start, each with its time to stop."""
    env = os.environ | {
        "DATABASE_URL": url,
        "MEDIATION_HOME": str(settings.home),
        "HOST": settings.host,
        "PORT": str(settings.port),
        "SANDBOX": str(int(settings.sandbox)),
        VARIABLE: str(os.getpid()),
    }
    # Ends in the reverse order: the API first, so that what it still accepts finds a worker.
    return [
        (Child("worker", "mediation.worker", env), WORKER_PATIENCE),
        (Child("API", "mediation.serve", env), API_PATIENCE),
    ]


@contextmanager
def _kept(child: Child, patience: float) -> Iterator[Child]:
    try:
        child.start()
        yield child
    finally:
        child.stop(patience)


def _address(settings: Settings) -> str:
    # An address that stands for all of the machine's is one to listen on, not one to call.
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(settings.host, settings.host)  # noqa: S104
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"


def _await_answer(address: str, children: list[Child]) -> None:
    deadline = time.monotonic() + FIRST_ANSWER
    waiting_for = ["/healthz", "/readyz"]
    # Proxies of the environment are for other machines.
    with httpx.Client(base_url=address, trust_env=False, timeout=5.0) as client:
        while waiting_for:
            for child in children:
                child.tend()
            try:
                if client.get(waiting_for[0]).status_code == httpx.codes.OK:
                    del waiting_for[0]
                    continue
            except httpx.TransportError as error:
                log.debug("api_does_not_answer_yet", why=str(error))
            if time.monotonic() > deadline:
                raise CannotRun(
                    f"{address}{waiting_for[0]} did not answer 200 in {FIRST_ANSWER:.0f} s; see the log above."
                )
            time.sleep(LOOK_AGAIN / 2)


def _watch(children: list[Child], server: EmbeddedServer | None) -> None:
    while True:
        for child in children:
            child.tend()
        if server is not None and not server.alive:
            log.error("postgresql_died", home=str(server.home))
            server.start()
            log.info("postgresql_recovered", home=str(server.home))
        time.sleep(LOOK_AGAIN)
