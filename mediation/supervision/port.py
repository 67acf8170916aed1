"""The port of the API, kept while the API is started and started again."""

from __future__ import annotations

import errno
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mediation.settings import BadSetting
from mediation.supervision.errors import CannotRun

LOOK_AGAIN = 0.1  # seconds


@contextmanager
def reserved(host: str, port: int, patience: float) -> Iterator[int]:
    """Keep a port for our API; 0 takes a free one. Yields its number.

    The API's own processes share their port (SO_REUSEPORT), so a second API of the same user would start on it
    without complaint and take half of the requests: whether the port is free must be asked before. Then a socket
    that is bound but does not listen keeps it, also from the moment a free one is found to the API's start.
    Waits up to `patience` seconds for the port. Raises CannotRun if it stays taken, BadSetting for a bad host.
    """
    family, address = _resolve(host, port)
    with socket.socket(family, socket.SOCK_STREAM) as keeper:
        if port:
            _await_free(family, address, patience)
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        _bind(keeper, address)
        yield keeper.getsockname()[1]


def _resolve(host: str, port: int) -> tuple[int, Any]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise BadSetting(f"HOST: {host!r} is no address of this machine: {error}") from error
    family, _, _, _, address = found[0]
    return family, address


def _await_free(family: int, address: Any, patience: float) -> None:
    deadline = time.monotonic() + patience
    while True:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            # Connections of a past server that are still dying do not make the port taken, listeners do.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                _bind(probe, address)
                return
            except CannotRun:
                if time.monotonic() > deadline:
                    raise
        time.sleep(LOOK_AGAIN)


def _bind(sock: socket.socket, address: Any) -> None:
    host, port = address[:2]
    try:
        sock.bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CannotRun(
                f"Port {port} on {host} is taken. Name another with --port, or let --port 0 find one."
            ) from error
        if error.errno == errno.EACCES:
            raise CannotRun(f"Port {port} is not open to this user. Name one above 1023 with --port.") from error
        raise BadSetting(f"HOST: cannot listen on {host}: {error.strerror}") from error
