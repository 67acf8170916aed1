"""What is measured: the requests, which of them follows which, and the values each of them brings along.

A client takes its turns one after another. A turn is one request of each kind (take, then release), so that it ends
where it began and can be repeated for ever. What a turn is about follows from the client's number and the turn's, and
stands here twice: in Python for the requests, in SQL for pgbench, which must make up the same values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from workflows.states import Role

MARKETPLACE = "benchmark"
BUYERS, SELLERS = 20_000, 2_000
_STRIDE = 7_919  # a prime, so that neighbouring turns lie on different pages of the database
_CASE = "01900000-0000-7000-8000-"


def case_id(n: int) -> str:
    """The id of the n-th seeded case."""
    return f"{_CASE}{n:012x}"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of request. `path` and `body` may name the turn's values in braces and angle brackets."""

    name: str
    path: str
    status: int
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Workload:
    """`values` are what a turn brings along: SQL that makes each of them from pgbench's variables t, client_id."""

    name: str
    title: str
    role: Role
    kinds: tuple[Kind, ...]
    values: Mapping[str, str]
    sets: str

    def turn(self, client: int, turn: int, clients: int, cases: int) -> dict[str, str]:
        """The values of a client's turn, as the requests carry them."""
        if self.name == "action":
            return {"case": case_id(1 + client + clients * ((turn * _STRIDE) % (cases // clients)))}
        k = turn * clients + client
        return {
            "order": f"order-new-{k}",
            "buyer": f"buyer-{(k * _STRIDE) % BUYERS}",
            "seller": f"seller-{(k * _STRIDE) % SELLERS}",
        }

    def request(self, kind: Kind, values: Mapping[str, str]) -> tuple[str, bytes]:
        """The path and the body of one request."""
        body = orjson.dumps(kind.body)
        for name, value in values.items():
            body = body.replace(f"<{name}>".encode(), value.encode())
        return kind.path.format(**values), body


ORDER = {
    "paid": {"amount": 25_900, "currency": "CNY"},
    "paid_at": "2026-01-02T03:04:05Z",
    "region": "CN-31",
    "ship_by": "2026-01-05T00:00:00Z",
    "delivered_at": "2026-01-09T08:30:00Z",
    "delivered_to": "front desk",
    "carrier": "sf",
    "tracking_number": "SF1234567890",
    "lines": [
        {
            "id": "1",
            "sku": "kettle-17",
            "title": "Electric kettle, 1.7 litres",
            "quantity": 1,
            "unit_price": {"amount": 25_900, "currency": "CNY"},
            "category": "home",
        }
    ],
}
CLAIM = {
    "line_id": "1",
    "reason": "late_shipment",
    "request": "refund_only",
    "amount": {"amount": 25_900, "currency": "CNY"},
    "statement": "The kettle came nine days late and by then I had bought another one.",
}

ACTION = Workload(
    name="action",
    title="one action on a case",
    role=Role.MEDIATOR,
    kinds=tuple(Kind(name, f"/v1/cases/{{case}}/actions/{name}", 200, {}) for name in ("take", "release")),
    values={"case": f"('{_CASE}' || lpad(to_hex(:n::bigint), 12, '0'))"},
    sets=f"\\set n 1 + :client_id + :clients * mod(:t * {_STRIDE}, :cases / :clients)\n",
)
OPEN = Workload(
    name="open",
    title="open a case",
    role=Role.PLATFORM,
    kinds=(
        Kind(
            "open",
            "/v1/cases",
            201,
            {
                "order": {"id": "<order>", **ORDER},
                "buyer": {"id": "<buyer>", "name": "李雷", "locale": "zh-CN"},
                "seller": {"id": "<seller>", "name": "Kettle House", "locale": "zh-CN"},
                "claims": [CLAIM],
            },
        ),
    ),
    values={
        "order": "('order-new-' || :k::bigint)",
        "buyer": f"('buyer-' || mod(:k::bigint * {_STRIDE}, {BUYERS}))",
        "seller": f"('seller-' || mod(:k::bigint * {_STRIDE}, {SELLERS}))",
    },
    sets="\\set k :t * :clients + :client_id\n",
)
WORKLOADS = {workload.name: workload for workload in (ACTION, OPEN)}
#: What is fired in the workload "deadlines fired".
FIRED = "escalate"
