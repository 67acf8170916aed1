"""Reading: pages of cases, and what belongs to one case. Nothing here locks or writes."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Row,
    Select,
    Uuid,
    and_,
    bindparam,
    exists,
    func,
    literal,
    or_,
    select,
    tuple_,
)
from sqlalchemy.orm import Session, aliased

from mediation import docket
from mediation.errors import InvalidBody
from mediation.models import Case, Claim, DocketEntry, DocketOpening, Order, Party
from workflows.acts import Actor
from workflows.states import STAFF, STAGE_OF

MAX_PAGE = 100
PAGE = 50

#: What cases can be sorted by; the id beside it makes the order total.
SORTS: dict[str, Any] = {
    "opened_at": Case.opened_at,
    "updated_at": Case.updated_at,
    "amount": Case.claimed_minor,
}


# --- cursors -----------------------------------------------------------------------------------------------------


def cursor_of(*position: Any) -> str:
    """Where a page ended, as an opaque text."""
    written = orjson.dumps(position)
    return base64.urlsafe_b64encode(written).decode().rstrip("=")


def position_of(cursor: str, kinds: Sequence[type]) -> list[Any]:
    """The position in a cursor. Raises InvalidBody for one that we did not write."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        values = orjson.loads(base64.urlsafe_b64decode(padded.encode("ascii")))
        if not isinstance(values, list) or len(values) != len(kinds):
            raise ValueError(cursor)
        return [_read(kind, value) for kind, value in zip(kinds, values, strict=True)]
    except (ValueError, TypeError) as error:
        raise InvalidBody(errors={"cursor": ["Must be the next_cursor of the page before."]}) from error


def _read(kind: type, value: Any) -> Any:
    if kind is not int and not isinstance(value, str):
        raise TypeError(value)
    if kind is datetime:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None or not 1970 <= moment.year < 2200:
            raise ValueError(value)
        return moment
    if kind is uuid.UUID:
        return uuid.UUID(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        raise ValueError(value)
    return value


# --- cases -------------------------------------------------------------------------------------------------------


def cases(
    session: Session, actor: Actor, asked: Mapping[str, Any], *, sort: str, limit: int, cursor: str | None
) -> tuple[Sequence[Case], str | None]:
    """One page of the cases this actor may know of, and the cursor of the next (None at the end).

    `sort` is a name of SORTS, with a minus before it for the largest first.
    """
    descending, name = sort.startswith("-"), sort.lstrip("-")
    column = SORTS[name]
    query = docket.visible_cases(actor).where(*_conditions(asked))
    if cursor is not None:
        value, last = position_of(cursor, [int if name == "amount" else datetime, uuid.UUID])
        here, there = tuple_(column, Case.id), tuple_(literal(value), literal(last))
        query = query.where(here < there if descending else here > there)
    order = (column.desc(), Case.id.desc()) if descending else (column, Case.id)
    found = session.scalars(query.order_by(*order).limit(limit + 1)).all()
    if len(found) <= limit:
        return found, None
    end = found[limit - 1]
    reached = getattr(end, "claimed_minor" if name == "amount" else name)
    return found[:limit], cursor_of(reached, end.id)


def _conditions(asked: Mapping[str, Any]) -> list[ColumnElement[bool]]:
    """The filters of GET /cases as conditions."""
    simple = {"state": Case.state, "waiting_on": Case.waiting_on, "queue": Case.queue, "assignee": Case.assignee}
    found: list[ColumnElement[bool]] = [column == asked[name] for name, column in simple.items() if name in asked]
    if "stage" in asked:
        found.append(Case.state.in_([state for state, stage in STAGE_OF.items() if stage == asked["stage"]]))
    for name in ("reason", "request"):
        if name in asked:
            found.append(exists().where(Claim.case_id == Case.id, getattr(Claim, name) == asked[name]))
    for name, column in (("buyer", Case.buyer_id), ("seller", Case.seller_id)):
        if name in asked:
            party = aliased(Party)
            found.append(column.in_(select(party.id).where(party.side == name, party.external_id == asked[name])))
    if "order" in asked:
        found.append(Order.external_id == asked["order"])
    if "opened_from" in asked:
        found.append(Case.opened_at >= asked["opened_from"])
    if "opened_to" in asked:
        found.append(Case.opened_at < asked["opened_to"])
    if "updated_since" in asked:
        found.append(Case.updated_at >= asked["updated_since"])
    if "q" in asked:
        word = asked["q"].strip()
        found.append(or_(Case.reference == word.upper(), Order.external_id == word))
    return found


_OPENING = and_(
    DocketOpening.case_id == Claim.case_id,
    DocketOpening.seq == 1,
    DocketOpening.name == func.concat("claims.", Claim.n, ".statement"),
)
_CLAIMS = (
    select(
        Claim.case_id, Claim.id, Claim.line_id, Claim.reason, Claim.request, Claim.amount_minor, Claim.currency,
        DocketOpening.name, DocketOpening.value,
    )
    .outerjoin(DocketOpening, _OPENING)
    .where(Claim.case_id == func.any(bindparam("case_ids", type_=ARRAY(Uuid()))))
    .order_by(Claim.case_id, Claim.n)
)  # fmt: skip


def claims(session: Session, case_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, list[dict[str, Any]]]:
    """The claims of several cases by case, in order, each with its statement (None once erased)."""
    found: dict[uuid.UUID, list[dict[str, Any]]] = {case_id: [] for case_id in case_ids}
    if not found:
        return found
    rows = session.execute(_CLAIMS, {"case_ids": list(case_ids)})
    for case_id, claim_id, line, reason, request, amount, currency, name, value in rows:
        found[case_id].append(
            {
                "id": str(claim_id),
                "line_id": line,
                "reason": reason,
                "request": request,
                "amount": {"amount": amount, "currency": currency},
                "statement": None if value is None else value[name],
            }
        )
    return found


# --- the docket --------------------------------------------------------------------------------------------------


def docket_page(
    session: Session, case: Case, *, after: int, limit: int, type_: str | None = None, actor: Actor | None = None
) -> tuple[Sequence[DocketEntry], int | None]:
    """Entries after `after`, oldest first, and the number to go on from. With `actor`, only those they may see."""
    query = select(DocketEntry).where(DocketEntry.case_id == case.id, DocketEntry.seq > after)
    if type_ is not None:
        query = query.where(DocketEntry.type == type_)
    if actor is not None and actor.role not in STAFF:
        query = query.where(DocketEntry.visibility == docket.PARTIES_SEE)
    found = session.scalars(query.order_by(DocketEntry.seq).limit(limit + 1)).all()
    return found[:limit], (found[limit - 1].seq if len(found) > limit else None)


def openings(session: Session, case: Case, seqs: Sequence[int]) -> dict[int, list[DocketOpening]]:
    """What opens the commitments of these entries, by entry, in order."""
    found: dict[int, list[DocketOpening]] = {seq: [] for seq in seqs}
    if seqs:
        query = select(DocketOpening).where(DocketOpening.case_id == case.id, DocketOpening.seq.in_(seqs))
        for opening in session.scalars(query.order_by(DocketOpening.seq, DocketOpening.n)):
            found[opening.seq].append(opening)
    return found


def words(session: Session, case: Case, seqs: Sequence[int]) -> dict[int, dict[str, Any]]:
    """The opened values of these entries, by entry and name; what was erased is missing."""
    return {
        seq: {opening.name: opening.value[opening.name] for opening in found if opening.value is not None}
        for seq, found in openings(session, case, seqs).items()
    }


def page(
    session: Session, query: Select[Any], key: Any, *, after: uuid.UUID | None, limit: int
) -> tuple[Sequence[Any], uuid.UUID | None]:
    """One keyset page of a query over rows with a time-ordered id, oldest first, and where to go on from."""
    if after is not None:
        query = query.where(key > after)
    found: Sequence[Row[Any] | Any] = session.scalars(query.order_by(key).limit(limit + 1)).all()
    return found[:limit], (found[limit - 1].id if len(found) > limit else None)
