"""The load: clients that each keep one connection and ask again as soon as they are answered.

`python -m benchmarks.load` reads what to do as JSON from its input and writes what it saw as JSON. It is one process
with one loop over raw sockets, so that it takes little from the machine it measures: it says how busy it was itself.
"""

from __future__ import annotations

import selectors
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import cast

import orjson

from benchmarks.workloads import WORKLOADS, Workload

_END = b"\r\n\r\n"
_LENGTH = b"content-length:"
SILENCE = 30.0  # seconds without any answer, after which the server is given up


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do: `warm_up` and `seconds` are times of the clock, `cases` the number seeded."""

    workload: str
    host: str
    port: int
    token: str
    clients: int
    cases: int
    warm_up: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of it. `succeeded` counts every success from the first on, `answered` those of the measured time.

    `p50` and `p99` are milliseconds, `busy` the share of one core that the load itself took.
    """

    succeeded: int
    failed: int
    answered: int
    seconds: float
    p50: float
    p99: float
    busy: float
    first_failure: str | None

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.answered / self.seconds


class Client:
    """One connection, one request under way at a time."""

    def __init__(self, plan: Plan, number: int) -> None:
        self._requests = _requests(WORKLOADS[plan.workload], plan, number)
        self._socket = socket.create_connection((plan.host, plan.port), timeout=SILENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._heard = b""
        self.sent_at = 0.0

    def fileno(self) -> int:
        """For the selector."""
        return self._socket.fileno()

    def send(self) -> None:
        """Ask the next request."""
        request = next(self._requests)
        self.sent_at = time.perf_counter()
        self._socket.sendall(request)

    def receive(self) -> tuple[bool, bytes] | None:
        """Whether the request succeeded, and the answer; None while it is still coming."""
        chunk = self._socket.recv(65_536)
        if not chunk:
            raise ConnectionError("the server closed a connection that was to be kept")
        self._heard += chunk
        head, end, body = self._heard.partition(_END)
        if not end:
            return None
        lower = head.lower()
        at = lower.index(_LENGTH) + len(_LENGTH)
        if len(body) < int(lower[at:].split(b"\r\n", 1)[0]):
            return None
        answer, self._heard = self._heard, b""
        return answer[9:10] == b"2", answer

    def close(self) -> None:
        """Hang up."""
        self._socket.close()


def _requests(workload: Workload, plan: Plan, client: int) -> Iterator[bytes]:
    turn = 0
    while True:
        values = workload.turn(client, turn, plan.clients, plan.cases)
        for kind in workload.kinds:
            path, body = workload.request(kind, values)
            head = (
                f"POST {path} HTTP/1.1\r\nHost: {plan.host}:{plan.port}\r\nAuthorization: Bearer {plan.token}\r\n"
                f"Content-Type: application/json\r\nAccept: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            yield head.encode() + body
        turn += 1


def drive(plan: Plan) -> Seen:
    """Ask until the time is over, then hear the answers to what is under way."""
    selector = selectors.DefaultSelector()
    clients = [Client(plan, number) for number in range(plan.clients)]
    took: list[float] = []
    succeeded = failed = 0
    first_failure: str | None = None
    began = time.perf_counter() + plan.warm_up
    ends = began + plan.seconds
    work_began = time.process_time()
    started = time.perf_counter()
    for client in clients:
        selector.register(client, selectors.EVENT_READ)
        client.send()
    under_way = len(clients)
    while under_way:
        events = selector.select(SILENCE)
        if not events:
            raise TimeoutError(f"no answer for {SILENCE:g} seconds")
        for key, _ in events:
            client = cast(Client, key.fileobj)
            heard = client.receive()
            if heard is None:
                continue
            now = time.perf_counter()
            good, answer = heard
            succeeded += good
            if not good:
                failed += 1
                first_failure = first_failure or answer.decode(errors="replace")[:600]
            if began <= now < ends:
                took.append(now - client.sent_at)
            if now < ends:
                client.send()
            else:
                under_way -= 1
    busy = (time.process_time() - work_began) / (time.perf_counter() - started)
    for client in clients:
        client.close()
    took.sort()
    return Seen(
        succeeded=succeeded,
        failed=failed,
        answered=len(took),
        seconds=plan.seconds,
        p50=_percentile(took, 0.50),
        p99=_percentile(took, 0.99),
        busy=busy,
        first_failure=first_failure,
    )


def _percentile(ordered: list[float], share: float) -> float:
    return 1000 * ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


if __name__ == "__main__":
    sys.stdout.buffer.write(orjson.dumps(asdict(drive(Plan(**orjson.loads(sys.stdin.buffer.read()))))))
