"""The rows behind the docket: one statement reads a case with its order and parties, one writes an entry and its case.

Both go past the ORM's own reading and flushing, which take several times as long as the database. What is read are its
objects all the same, and whatever else is set on them is flushed as ever. Only `mediation.docket` comes here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import accumulate
from typing import Any

from psycopg.types.json import Jsonb
from sqlalchemy import Select, bindparam, select
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session, aliased, contains_eager
from sqlalchemy.orm.exc import StaleDataError

from mediation import deadlines
from mediation.db import Reader, as_text, changed_columns, nothing_left_to_flush, say
from mediation.models import Case, Deadline, Order, Party
from workflows.states import Role

# --- reading -----------------------------------------------------------------------------------------------------


BUYER, SELLER = aliased(Party), aliased(Party)
#: A case as the ORM reads it, for lists and whatever else is asked of many.
WHOLE_CASE = (
    select(Case)
    .join(BUYER, Case.buyer_id == BUYER.id)
    .join(SELLER, Case.seller_id == SELLER.id)
    .join(Order, Case.order_id == Order.id)
    .options(
        contains_eager(Case.buyer.of_type(BUYER)),
        contains_eager(Case.seller.of_type(SELLER)),
        contains_eager(Case.order),
    )
)

_CASES, _ORDERS, _PARTIES = Reader(Case), Reader(Order), Reader(Party)


def _columns(reader: Reader[Any], alias: Any) -> list[Any]:
    return [getattr(alias, name) for name in reader.names]


def _whole(case: Any, source: Any) -> Select[Any]:
    """A case with its order and parties, all of their columns; `case` has the case's columns, which `source` gives."""
    return (
        select(
            *_columns(_CASES, case),
            *_columns(_ORDERS, Order),
            *_columns(_PARTIES, BUYER),
            *_columns(_PARTIES, SELLER),
        )
        .select_from(source)
        .join(BUYER, case.buyer_id == BUYER.id)
        .join(SELLER, case.seller_id == SELLER.id)
        .join(Order, case.order_id == Order.id)
    )


_BY_ID = _whole(Case, Case).where(Case.id == bindparam("case_id"))
_ONE_CASE = _BY_ID.where(Case.marketplace == bindparam("marketplace"))
_PLACES = tuple(accumulate(len(reader.names) for reader in (_CASES, _ORDERS, _PARTIES)))
_QUERIES: dict[Role | None, Select[Any]] = {
    None: _ONE_CASE,
    Role.BUYER: _ONE_CASE.where(BUYER.external_id == bindparam("party")),
    Role.SELLER: _ONE_CASE.where(SELLER.external_id == bindparam("party")),
}
FIND = {role: as_text(query) for role, query in _QUERIES.items()}
LOCK = {role: as_text(query.with_for_update(of=Case)) for role, query in _QUERIES.items()}
LOCK_ANY = as_text(_BY_ID.with_for_update(of=Case))
#: The row is found and locked by itself: beside the others, the planner takes it for one of thousands to be joined.
_NEXT = (
    sql("""SELECT cases.* FROM cases JOIN deadlines ON deadlines.case_id = cases.id
    WHERE deadlines.wake_at <= :now ORDER BY deadlines.wake_at LIMIT 1 FOR UPDATE OF cases SKIP LOCKED""")
    .columns(*_columns(_CASES, Case))
    .cte("due")
)
LOCK_NEXT = as_text(_whole(_NEXT.c, _NEXT))


def read(session: Session, statement: str, values: Mapping[str, Any], *, anew: bool) -> Case | None:
    """The case that one of these statements finds. Without `anew` what the session has seen before stays as it was."""
    row = say(session, statement, values).fetchone()
    if row is None:
        return None
    case, order, buyer = _PLACES
    related = {
        "order": _ORDERS.read(session, row[case:order], {}, anew=anew),
        "buyer": _PARTIES.read(session, row[order:buyer], {}, anew=anew),
        "seller": _PARTIES.read(session, row[buyer:], {}, anew=anew),
    }
    return _CASES.read(session, row[:case], related, anew=anew)


# --- writing -----------------------------------------------------------------------------------------------------


#: Columns of the case's row that every entry writes, and which of the entry's values they take.
_MOVED = {"state": "to_state", "version": "seq", "head": "hash", "updated_at": "at"}
_CASE_COLUMNS = tuple(column.name for column in Case.__table__.columns if column.name not in _MOVED)
_CASE_JSON = frozenset(column.name for column in Case.__table__.columns if isinstance(column.type, JSONB))
_DEADLINE_COLUMNS = [column.name for column in Deadline.__table__.columns]
_ENTRY = """entry AS (
        INSERT INTO docket_entries
            (case_id, seq, v, at, type, from_state, to_state, commitments, prev, hash, visibility)
        VALUES (
            %(case_id)s, %(seq)s, %(v)s, %(at)s, %(type)s, %(from_state)s, %(to_state)s,
            (
                SELECT array_agg(decode(opened ->> 1, 'hex') ORDER BY n)
                FROM jsonb_array_elements(%(openings)s) WITH ORDINALITY AS opening (opened, n)
            ),
            %(prev)s, %(hash)s, %(visibility)s
        )
    )"""
_OPENINGS = """INSERT INTO docket_openings (case_id, seq, n, name, salt, value)
        SELECT %(case_id)s, %(seq)s, n - 1, opened ->> 0, decode(opened ->> 2, 'hex'), opened -> 3
        FROM jsonb_array_elements(%(openings)s) WITH ORDINALITY AS opening (opened, n)"""
_CLOCKS = f"""clocks AS (
        INSERT INTO deadlines ({", ".join(_DEADLINE_COLUMNS)})
        SELECT {", ".join(_DEADLINE_COLUMNS)} FROM jsonb_populate_recordset(NULL::deadlines, %(deadlines)s)
        ON CONFLICT (id) DO UPDATE SET
            {", ".join(f"{name} = excluded.{name}" for name in _DEADLINE_COLUMNS if name != "id")}
    )"""  # noqa: S608 - names of our own columns
#: The first entry of a case, whose row is there already.
_FIRST = f"WITH {_CLOCKS}, {_ENTRY} {_OPENINGS}"


def write(session: Session, case: Case, entry: Mapping[str, Any], clocks: Sequence[deadlines.Running]) -> None:
    """Write an entry, the deadlines that it changes, and the row of its case as far as the case was changed.

    Raises StaleDataError where the row does not stand at the entry before: it was not locked, or is not there.
    """
    values = {**entry, "deadlines": Jsonb(deadlines.as_rows(clocks))} if clocks else dict(entry)
    changed = changed_columns(case)
    names = tuple(name for name in _CASE_COLUMNS if name in changed)
    for name in names:
        value = getattr(case, name)
        values[f"case_{name}"] = Jsonb(value) if name in _CASE_JSON else value
    if say(session, _statement(names, clocks=bool(clocks)), values).rowcount != 1:
        raise StaleDataError(f"case {case.id} does not stand at entry {entry['seq'] - 1}")
    nothing_left_to_flush(session, case)


def write_first(session: Session, entry: Mapping[str, Any], clocks: Sequence[deadlines.Running]) -> None:
    """Write the first entry of a case, whose row is there already, and its deadlines."""
    say(session, _FIRST, {**entry, "deadlines": Jsonb(deadlines.as_rows(clocks))})


@cache
def _statement(changed: tuple[str, ...], *, clocks: bool) -> str:
    """The statement that enters a step which changes these columns of the case. There are a few for each action."""
    moved = [f"{name} = %({value})s" for name, value in _MOVED.items()]
    moved += [f"{name} = %(case_{name})s" for name in changed]
    parts = [*([_CLOCKS] if clocks else []), _ENTRY, f"openings AS ({_OPENINGS})"]
    return f"""
    WITH {", ".join(parts)}
    UPDATE cases SET {", ".join(moved)} WHERE id = %(case_id)s AND version = %(seq)s - 1
    """  # noqa: S608
