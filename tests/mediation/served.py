"""An API that answers over HTTP on a port of this machine, with a worker in threads, for `mediation demo` to call."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner, Result
from flask import Flask
from werkzeug.serving import make_server

from mediation import clock, paying, policies
from mediation.cli import main
from mediation.gateways import LedgerGateway
from mediation.services import Services
from workflows.policies import shipped


@dataclass
class Served:
    """Where the API answers, and the home with its keys."""

    url: str
    home: Path
    services: Services

    def demo(self, *options: str) -> Result:
        return CliRunner().invoke(main, ["demo", "--url", self.url, "--home", str(self.home), *options])


def load_shipped_policies(services: Services) -> None:
    """The policies as they are shipped, by which the clock tells the seller at once."""
    with services.sessions.begin() as session:
        policies.load(session, shipped(), effective_from=policies.ALWAYS, now=services.real(), by="tests")


@contextmanager
def serving(app: Flask) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def fire(services: Services) -> None:
    """What a worker's clock does: fire everything that is due."""
    while clock.fire_next(services):
        pass


def pay(services: Services) -> None:
    """What a worker's sweep does: try each refund that is due, once."""
    for refund in paying.due(services):
        paying.pay(services, LedgerGateway(), refund)


@contextmanager
def working(services: Services, *works: Callable[[Services], None]) -> Iterator[None]:
    """A worker's work, all of it unless some is named, each in a thread of its own."""
    stop = threading.Event()

    def go_on(work: Callable[[Services], None]) -> None:
        while not stop.wait(0.05):
            work(services)

    threads = [threading.Thread(target=go_on, args=(work,), daemon=True) for work in works or (fire, pay)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
