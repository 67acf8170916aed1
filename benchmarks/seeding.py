"""Thousands of cases under review, each with its order, its claim and a docket of four entries that verifies.

The rows are computed in the format of docs/evidence.md and copied in as the database's owner; its triggers and keys
check them as they check the application's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from benchmarks.workloads import BUYERS, CLAIM, MARKETPLACE, ORDER, SELLERS, case_id
from evidence import chain
from evidence.commitments import commit

CHUNK = 1_000
_BEGAN = datetime(2026, 10, 10, 8, tzinfo=UTC)
_TIMES = ("paid_at", "ship_by", "delivered_at")
Row = dict[str, Any]


def _id(table: int, n: int) -> str:
    """The id of the n-th row of a table, made of nothing but these two numbers."""
    return f"0190000{table:x}-0000-7000-8000-{n:012x}"


def seed(conninfo: str, cases: int, workers: int, done: Callable[[int], None]) -> None:
    """Fill a migrated, empty database; `done` is told how many cases have been written."""
    with psycopg.connect(conninfo) as connection:
        _copy(connection, "parties", list(_parties()))
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        starts = range(1, cases + 1, CHUNK)
        parts = [pool.submit(_write, conninfo, start, min(start + CHUNK, cases + 1)) for start in starts]
        for part in as_completed(parts):
            done(part.result())
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("VACUUM (FREEZE, ANALYZE)")


def verify(conninfo: str, n: int) -> None:
    """Check the docket of the n-th case as a reader outside would. Raises ValueError."""
    query = "SELECT v, seq, prev, at, type, from_state, to_state, commitments, hash FROM docket_entries"
    with psycopg.connect(conninfo) as connection:
        rows = connection.execute(query + " WHERE case_id = %s ORDER BY seq", [case_id(n)]).fetchall()
    entries = [
        {
            "v": v,
            "case": case_id(n),
            "seq": seq,
            "prev": prev.hex(),
            "at": chain.instant(at),
            "type": type_,
            "from": from_,
            "to": to,
            "commitments": [digest.hex() for digest in commitments],
            "hash": hash_.hex(),
        }
        for v, seq, prev, at, type_, from_, to, commitments, hash_ in rows
    ]
    if not entries or chain.breaches(entries):
        raise ValueError(f"the docket of case {n} does not verify")


def _parties() -> Iterator[Row]:
    for table, side, count, name in ((1, "buyer", BUYERS, "李雷"), (2, "seller", SELLERS, "Kettle House")):
        for n in range(count):
            row = {"marketplace": MARKETPLACE, "side": side, "external_id": f"{side}-{n}", "name": name}
            yield {"id": _id(table, n), "locale": "zh-CN", **row}


def _write(conninfo: str, start: int, end: int) -> int:
    """One chunk of cases, in one transaction, because the case's key to its docket is checked at its end."""
    tables: dict[str, list[Row]] = {}
    for n in range(start, end):
        for table, row in _case(n):
            tables.setdefault(table, []).append(row)
    with psycopg.connect(conninfo) as connection:
        for table in ("orders", "cases", "claims", "open_lines", "docket_entries", "docket_openings"):
            _copy(connection, table, tables[table])
    return end - start


def _copy(connection: psycopg.Connection[Any], table: str, rows: Sequence[Row]) -> None:
    columns = list(rows[0])
    with connection.cursor().copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row([row[column] for column in columns])


def _case(n: int) -> Iterator[tuple[str, Row]]:
    opened = _BEGAN + timedelta(seconds=n)
    case, order, claim = case_id(n), _id(3, n), _id(4, n)
    parties = {"buyer_id": _id(1, n % BUYERS), "seller_id": _id(2, n % SELLERS)}
    amount, currency = CLAIM["amount"]["amount"], CLAIM["amount"]["currency"]  # type: ignore[index]
    stated = {name: CLAIM[name] for name in ("line_id", "reason", "request")}
    yield (
        "orders",
        {
            "id": order,
            "marketplace": MARKETPLACE,
            "external_id": f"order-{n}",
            **parties,
            "currency": currency,
            "paid_minor": ORDER["paid"]["amount"],  # type: ignore[index]
            **{name: ORDER[name] for name in ("region", "delivered_to", "carrier", "tracking_number", *_TIMES)},
            "lines": Jsonb(ORDER["lines"], dumps=_json),
            "updated_at": opened,
        },
    )
    claimed = {"id": claim, **stated, "amount_minor": amount, "currency": currency}
    entries = list(_docket(case, n, opened, {"order": f"order-{n}", "claims": [claimed]}))
    last = entries[-1][0]
    yield (
        "cases",
        {
            "id": case,
            "marketplace": MARKETPLACE,
            "reference": f"D-{n:012d}",
            "order_id": order,
            **parties,
            "state": last["to_state"],
            "version": last["seq"],
            "head": last["hash"],
            "waiting_on": "mediator",
            "queue": "mediation",
            "opened_at": opened,
            "updated_at": last["at"],
            "currency": currency,
            "claimed_minor": amount,
        },
    )
    yield "claims", {"case_id": case, "n": 0, "order_id": order, **claimed}
    yield "open_lines", {"order_id": order, "line_id": stated["line_id"], "case_id": case}
    for entry, openings in entries:
        yield "docket_entries", entry
        for opening in openings:
            yield "docket_openings", opening


def _docket(case: str, n: int, opened: datetime, facts: Mapping[str, Any]) -> Iterator[tuple[Row, list[Row]]]:
    """Opened by the platform, told to the seller, refused, brought before a mediator."""
    statement = {"claims.0.statement": CLAIM["statement"]}
    buyer, seller = f"buyer-{n % BUYERS}", f"seller-{n % SELLERS}"
    words = {"facts": {"reason": "not_agreed"}, "statement": "We shipped it on the day we had promised."}
    steps: list[tuple[str, str | None, str, tuple[str, str], dict[str, Any]]] = [
        ("open", None, "opened", ("platform", "shop"), {"facts": facts, **statement}),
        ("notify_seller", "opened", "seller_notified", ("platform", "shop"), {}),
        ("refuse", "seller_notified", "seller_refused", ("seller", seller), words),
        ("request_mediation", "seller_refused", "under_review", ("buyer", buyer), {}),
    ]
    head = bytes(32)
    for seq, (type_, from_, to, (role, who), said) in enumerate(steps, 1):
        actor = {"role": role, "subject": who, "acts_for": who, "marketplace": MARKETPLACE}
        values = [{name: value} for name, value in {"actor": actor, **said}.items()]
        commitments = [commit(value) for value in values]
        at = opened + timedelta(minutes=seq)
        sealed = chain.seal_entry(
            case=case,
            seq=seq,
            prev=head.hex(),
            at=at,
            type=type_,
            from_=from_,
            to=to,
            commitments=[commitment.digest.hex() for commitment in commitments],
        )
        place = {"case_id": case, "seq": seq}
        entry = {
            **place,
            "v": sealed["v"],
            "at": at,
            "type": type_,
            "from_state": from_,
            "to_state": to,
            "commitments": [commitment.digest for commitment in commitments],
            "prev": head,
            "hash": bytes.fromhex(sealed["hash"]),
            "visibility": "parties",
        }
        openings = [
            {**place, "n": k, "name": next(iter(value)), "salt": made.salt, "value": Jsonb(value, dumps=_json)}
            for k, (value, made) in enumerate(zip(values, commitments, strict=True))
        ]
        yield entry, openings
        head = entry["hash"]


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
