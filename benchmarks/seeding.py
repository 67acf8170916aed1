"""Thousands of cases under review, each with its order, claim, clocks and a docket of four entries that verifies.

The rows are computed in the format of docs/evidence.md and copied in as the database's owner; its triggers and keys
check them as they check the application's. The time for the review of the first cases ends in a far year, so that no
clock interferes with requests; that of the last ones, which are there to be fired, is over.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from datetime import UTC, datetime, timedelta
from functools import cache
from multiprocessing import get_context
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from benchmarks.workloads import BUYERS, CLAIM, MARKETPLACE, ORDER, SELLERS, case_id
from evidence import chain
from evidence.commitments import commit
from mediation import policies
from mediation.db import make_engine, make_sessions
from workflows import policies as shipped_policies
from workflows import working_days
from workflows.policies import LimitKind, Matter, Policies
from workflows.working_days import Limit

CHUNK = 1_000
_BEGAN = datetime(2026, 1, 10, 8, tzinfo=UTC)
_FAR = datetime(2190, 1, 1, tzinfo=UTC)
CATEGORY = ORDER["lines"][0]["category"]  # type: ignore[index]
#: The clocks that the four entries of a docket begin, one after another, and what each of them fires.
CLOCKS = (
    ("notification", "notify_seller"),
    ("response", "request_mediation"),
    ("mediation_request", "lapse"),
    ("review", "escalate"),
)
_TIMES = ("paid_at", "ship_by", "delivered_at")
TABLES = ("orders", "cases", "deadlines", "claims", "open_lines", "docket_entries", "docket_openings")
Row = dict[str, Any]


def _id(table: int, n: int) -> str:
    """The id of the n-th row of a table, made of nothing but these two numbers."""
    return f"0190000{table:x}-0000-7000-8000-{n:012x}"


def load_policies(url: str) -> None:
    """Put the shipped policies on file, as the first process that starts would."""
    engine = make_engine(url, pool_size=1)
    with make_sessions(engine).begin() as session:
        policies.publish(session, None, datetime.now(UTC))
    engine.dispose()


def seed(conninfo: str, cases: int, overdue: int, workers: int, done: Callable[[int], None]) -> None:
    """Fill a migrated database without cases; `done` is told how many have been written.

    The first `cases` have time left, the `overdue` after them have none.
    """
    with psycopg.connect(conninfo) as connection:
        _copy(connection, "parties", list(_parties()))
    end = cases + overdue + 1
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        starts = range(1, end, CHUNK)
        parts = [pool.submit(_write, conninfo, start, min(start + CHUNK, end), cases) for start in starts]
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


def _write(conninfo: str, start: int, end: int, last_in_time: int) -> int:
    """One chunk of cases, in one transaction, because the case's key to its docket is checked at its end."""
    tables: dict[str, list[Row]] = {}
    for n in range(start, end):
        for table, row in _case(n, in_time=n <= last_in_time):
            tables.setdefault(table, []).append(row)
    with psycopg.connect(conninfo) as connection:
        for table in TABLES:
            _copy(connection, table, tables[table])
    return end - start


def _copy(connection: psycopg.Connection[Any], table: str, rows: Sequence[Row]) -> None:
    columns = list(rows[0])
    with connection.cursor().copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row([row[column] for column in columns])


def _case(n: int, *, in_time: bool) -> Iterator[tuple[str, Row]]:
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
    clocks = list(_clocks(case, n, opened, in_time=in_time))
    entries = list(_docket(case, n, opened, {"order": f"order-{n}", "claims": [claimed]}, clocks))
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
            "matters": Jsonb([{"reason": CLAIM["reason"], "request": CLAIM["request"], "category": CATEGORY}]),
            "due_at": clocks[-1]["due_at"],
        },
    )
    for clock in clocks:
        yield "deadlines", clock
    yield "claims", {"case_id": case, "n": 0, "order_id": order, **claimed}
    yield "open_lines", {"order_id": order, "line_id": stated["line_id"], "case_id": case}
    for entry, openings in entries:
        yield "docket_entries", entry
        for opening in openings:
            yield "docket_openings", opening


def _clocks(case: str, n: int, opened: datetime, *, in_time: bool) -> Iterator[Row]:
    """The case's deadlines, one begun by each entry of its docket and ended by the next; the last one runs."""
    region, rule = ORDER["region"], book()
    matter = Matter(CLAIM["reason"], CLAIM["request"], CATEGORY, region)  # type: ignore[arg-type]
    for k, (kind, fires) in enumerate(CLOCKS):
        began, last = opened + timedelta(minutes=k + 1), kind == CLOCKS[-1][0]
        found = rule.limit(LimitKind(kind), matter)
        # A date that a person named comes from no row of the policies.
        far = last and in_time
        due_at = _FAR if far else working_days.due(found.value, began, region=region).at  # type: ignore[arg-type]
        yield {
            "id": f"019{k}0005-0000-7000-8000-{n:012x}",
            "case_id": case,
            "kind": kind,
            "fires": fires,
            "started_at": began,
            "due_at": due_at,
            "hours": working_days.spelled(Limit(seconds=0) if far else found.value),
            "region": region,
            "provisional": False,
            "policy_version": None if far else 1,
            "policy_row": None if far else found.row,
            "wake_at": due_at if last else None,
            "done_at": None if last else began + timedelta(minutes=1),
            "ended": None if last else "ended",
        }


@cache
def book() -> Policies:
    """The shipped policies."""
    return shipped_policies.read(shipped_policies.shipped())


def _told(clock: Row, change: str) -> Row:
    told = {"kind": clock["kind"], "change": change, "fires": clock["fires"], "due_at": clock["due_at"].isoformat()}
    if clock["policy_row"] is None:
        return told
    return {**told, "policy": {"version": clock["policy_version"], "row": clock["policy_row"]}}


def _docket(
    case: str, n: int, opened: datetime, facts: Mapping[str, Any], clocks: Sequence[Row]
) -> Iterator[tuple[Row, list[Row]]]:
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
        told = [_told(clock, "ended") for clock in clocks[seq - 2 : seq - 1]] + [_told(clocks[seq - 1], "started")]
        values = [{name: value} for name, value in {"actor": actor, **said, "deadlines": told}.items()]
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
