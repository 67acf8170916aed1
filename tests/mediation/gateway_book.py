"""A marketplace's payment gateway with a book of its own: a separate process, told by the tests how to misbehave.

`python gateway_book.py FOLDER CALLBACK_URL SECRET` listens on 127.0.0.1, on a port that it prints. Its book is an
SQLite file that is synced to disk before any answer. Payments are kept by Idempotency-Key, as the protocol asks, so
whoever changes the key over the tries is paid twice here, and the tests see it. Behind it, `Book` is the tests' hand.
"""

from __future__ import annotations

import json
import queue
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

SCHEMA = """
CREATE TABLE IF NOT EXISTS payments (key TEXT PRIMARY KEY, order_id TEXT, amount INTEGER, currency TEXT, ref TEXT);
CREATE TABLE IF NOT EXISTS asks (n INTEGER PRIMARY KEY, key TEXT, order_id TEXT, message TEXT, behaviour TEXT);
CREATE TABLE IF NOT EXISTS plans (order_id TEXT, n INTEGER, behaviour TEXT, PRIMARY KEY (order_id, n));
CREATE TABLE IF NOT EXISTS callbacks (n INTEGER PRIMARY KEY, order_id TEXT, told TEXT, code INTEGER, answer TEXT);
"""
#: Behaviours that leave the money where it is.
UNPAID = {"silent", "error", "accept", "refuse", "refuse_by_status", "busy", "fail_by_callback", "nonsense"}
LATE = 1.0  # seconds; longer than the tests let us wait


class Ledger:
    """The gateway's own book. Every write is on disk when the call returns."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        with closing(self._open()) as connection:
            connection.executescript(SCHEMA)

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, timeout=10)
        connection.execute("PRAGMA synchronous=FULL")
        connection.row_factory = sqlite3.Row
        return connection

    def write(self, statement: str, *values: object) -> None:
        with self._lock, closing(self._open()) as connection:
            connection.execute(statement, values)

    def rows(self, statement: str, *values: object) -> list[dict[str, Any]]:
        with self._lock, closing(self._open()) as connection:
            return [dict(row) for row in connection.execute(statement, values)]

    def pay(self, key: str, order: str, amount: dict[str, Any]) -> dict[str, Any]:
        """Pay once for a key; the payment that there is."""
        self.write(
            "INSERT INTO payments VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            key, order, amount["amount"], amount["currency"], f"pay-{key[-8:]}",
        )  # fmt: skip
        return self.rows("SELECT * FROM payments WHERE key = ?", key)[0]


class Handler(BaseHTTPRequestHandler):
    """POST /refunds is the protocol; anything else is the tests'."""

    protocol_version = "HTTP/1.1"
    ledger: Ledger
    secret: Webhook
    callback_url: str
    quiet = threading.Event()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing to stderr."""

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["content-length"] or 0))
        if self.path != "/refunds":
            self._control(json.loads(raw))
            return
        try:
            body = self.secret.verify(raw, dict(self.headers.items()))
        except WebhookVerificationError:
            self._answer(401, {"why": "signature"})
            return
        self._ask(body)

    def _control(self, told: dict[str, Any]) -> None:
        if self.path == "/plan":
            for n, behaviour in enumerate(told["behaviours"]):
                self.ledger.write("INSERT OR REPLACE INTO plans VALUES (?, ?, ?)", told["order"], n, behaviour)
            self._answer(200, {})
        elif self.path == "/pay_late":
            (ask,) = self.ledger.rows("SELECT DISTINCT key FROM asks WHERE order_id = ?", told["order"])
            payment = self.ledger.pay(ask["key"], told["order"], told["amount"])
            self._answer(200, self._call_back(payment, "settled"))
        else:
            self._answer(200, {"rows": self.ledger.rows(told["query"], *told["values"])})

    def _ask(self, body: dict[str, Any]) -> None:
        key, order = self.headers["idempotency-key"], body["order"]
        before = len(self.ledger.rows("SELECT 1 FROM asks WHERE order_id = ?", order))
        plan = self.ledger.rows("SELECT behaviour FROM plans WHERE order_id = ? ORDER BY n", order)
        behaviour = plan[min(before, len(plan) - 1)]["behaviour"] if plan else "settle"
        if behaviour not in UNPAID:
            payment = self.ledger.pay(key, order, body["amount"])
        else:
            payment = {"key": key, "order_id": order, **body["amount"], "ref": None}
        # Noted after the payment, so that a test that sees the ask knows the money has moved.
        self.ledger.write(
            "INSERT INTO asks (key, order_id, message, behaviour) VALUES (?, ?, ?, ?)",
            key, order, self.headers["webhook-id"], behaviour,
        )  # fmt: skip
        getattr(self, f"_{behaviour}")(payment)

    # --- behaviours: each has the payment as it stands in the book ---

    def _settle(self, payment: dict[str, Any]) -> None:
        self._answer(200, {"status": "settled", "reference": payment["ref"]})

    def _late(self, payment: dict[str, Any]) -> None:
        time.sleep(LATE)
        self._settle(payment)

    def _slow(self, payment: dict[str, Any]) -> None:
        """Within the patience of the one who asks, but long enough for something to happen meanwhile."""
        time.sleep(0.35)
        self._settle(payment)

    def _twice(self, payment: dict[str, Any]) -> None:
        self._settle(payment)
        for _ in range(2):
            self._call_back(payment, "settled")

    def _error_after_paying(self, payment: dict[str, Any]) -> None:
        self._answer(500, {"why": "internal"})

    _error = _error_after_paying

    def _busy(self, payment: dict[str, Any]) -> None:
        self._answer(429, {})

    def _close_after_paying(self, payment: dict[str, Any]) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def _silent(self, payment: dict[str, Any]) -> None:
        self.quiet.wait(20)
        self.close_connection = True

    _silent_after_paying = _silent

    def _trickle(self, payment: dict[str, Any]) -> None:
        """Head and length at once, then a byte now and then: no single wait is too long, all of them are."""
        self.send_response(200)
        self.send_header("content-length", "60000")
        self.end_headers()
        for _ in range(40):
            self.wfile.write(b" ")
            self.wfile.flush()
            time.sleep(0.1)

    def _nonsense(self, payment: dict[str, Any]) -> None:
        self._answer(200, ["settled"])

    def _accept(self, payment: dict[str, Any]) -> None:
        self._answer(202, {"status": "accepted"})

    def _callback_only(self, payment: dict[str, Any]) -> None:
        self._accept(payment)
        self._call_back(payment, "settled")

    def _callback_first(self, payment: dict[str, Any]) -> None:
        self._call_back(payment, "settled")
        self._settle(payment)

    def _other_amount(self, payment: dict[str, Any]) -> None:
        amount = {"amount": payment["amount"] - 1, "currency": payment["currency"]}
        self._answer(200, {"status": "settled", "amount": amount})

    def _refuse(self, payment: dict[str, Any]) -> None:
        self._answer(422, {"why": "the account is closed"})

    def _refuse_by_status(self, payment: dict[str, Any]) -> None:
        self._answer(200, {"status": "failed", "why": "the account is closed"})

    def _fail_by_callback(self, payment: dict[str, Any]) -> None:
        self._accept(payment)
        self._call_back(payment, "failed")

    # --- answering ---

    def _answer(self, status: int, body: Any) -> None:
        raw = json.dumps(body).encode()
        try:
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)
            self.wfile.flush()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # The one who asked did not wait, or is dead.

    def _call_back(self, payment: dict[str, Any], status: str) -> dict[str, Any]:
        amount = {"amount": payment["amount"], "currency": payment["currency"]}
        body = {"refund_id": payment["key"], "status": status, "amount": amount, "reference": payment["ref"]}
        headers, raw = signed(self.secret, body)
        answer = httpx.post(self.callback_url, content=raw, headers=headers, timeout=10, trust_env=False)
        self.ledger.write(
            "INSERT INTO callbacks (order_id, told, code, answer) VALUES (?, ?, ?, ?)",
            payment["order_id"], status, answer.status_code, answer.text,
        )  # fmt: skip
        return {"status": answer.status_code, "body": answer.json()}


def signed(secret: Webhook, body: Any, at: datetime | None = None) -> tuple[dict[str, str], bytes]:
    """Headers and bytes of a message signed after Standard Webhooks."""
    raw, at = json.dumps(body), at or datetime.now(UTC)
    message = f"msg_{time.monotonic_ns()}"
    headers = {
        "content-type": "application/json",
        "webhook-id": message,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": secret.sign(message, at, raw),
    }
    return headers, raw.encode()


class Book:
    """The tests' hand on the gateway's process."""

    def __init__(self, folder: Path, callback_url: str, secret: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(folder), callback_url, secret], stdout=subprocess.PIPE, text=True
        )
        self.address = f"http://127.0.0.1:{self._first_line(10.0)}"
        self.url = f"{self.address}/refunds"
        self._client = httpx.Client(base_url=self.address, trust_env=False, timeout=10.0)

    def _first_line(self, patience: float) -> int:
        lines: queue.Queue[str] = queue.Queue()
        assert self._process.stdout is not None
        threading.Thread(target=lambda out: lines.put(out.readline()), args=(self._process.stdout,)).start()
        return int(lines.get(timeout=patience))

    def plan(self, order: str, *behaviours: str) -> None:
        """How it will take the first ask for an order, the second…; the last one goes on."""
        self._client.post("/plan", json={"order": order, "behaviours": behaviours}).raise_for_status()

    def pay_late(self, order: str, amount: int) -> dict[str, Any]:
        """Pay now what was asked earlier, and call back; what the callback was answered."""
        told: dict[str, Any] = self._client.post(
            "/pay_late", json={"order": order, "amount": {"amount": amount, "currency": "CNY"}}
        ).json()
        return told

    def _rows(self, table: str, order: str) -> list[dict[str, Any]]:
        query = f"SELECT * FROM {table} WHERE order_id = ?"
        rows: list[dict[str, Any]] = self._client.post("/rows", json={"query": query, "values": [order]}).json()["rows"]
        return rows

    def payments(self, order: str) -> list[dict[str, Any]]:
        return self._rows("payments", order)

    def asks(self, order: str) -> list[dict[str, Any]]:
        return self._rows("asks", order)

    def callbacks(self, order: str) -> list[dict[str, Any]]:
        return self._rows("callbacks", order)

    def close(self) -> None:
        self._client.close()
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


def main() -> None:
    folder, Handler.callback_url, secret = sys.argv[1:]
    Handler.ledger, Handler.secret = Ledger(Path(folder) / "book.sqlite"), Webhook(secret)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    sys.stdout.write(f"{server.server_address[1]}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main()
