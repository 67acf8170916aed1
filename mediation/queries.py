"""Reading: pages of cases, and what belongs to one case. Nothing here locks or writes."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Row,
    Select,
    Uuid,
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
from mediation.db import say
from mediation.deadlines import AS_JSON, Running, from_json
from mediation.errors import InvalidBody
from mediation.models import Case, Claim, Deadline, DocketEntry, DocketOpening, Order, Party
from workflows.acts import Actor
from workflows.states import STAFF, STAGE_OF

MAX_PAGE = 100
PAGE = 50

#: What cases can be sorted by; the id beside it makes the order total.
SORTS: dict[str, Any] = {
    "opened_at": Case.opened_at,
    "updated_at": Case.updated_at,
    "amount": Case.claimed_minor,
    "due_at": Case.due_at,
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
    if name == "due_at":
        # What nothing falls due on is in no list of what falls due.
        query = query.where(Case.due_at.is_not(None))
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
        states = [state for state, stage in STAGE_OF.items() if stage == asked["stage"]]
        # A suspended case keeps the stage in which it stands still.
        found.append(or_(Case.state.in_(states), Case.suspended_from.in_(states)))
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
    if "due_before" in asked:
        found.append(Case.due_at < asked["due_before"])
    if "updated_since" in asked:
        found.append(Case.updated_at >= asked["updated_since"])
    if "q" in asked:
        word = asked["q"].strip()
        found.append(or_(Case.reference == word.upper(), Order.external_id == word))
    return found


@dataclass(frozen=True, slots=True)
class Belongings:
    """What is shown of several cases beside their rows: claims, each with its statement (None once erased), and the
    deadlines that are not over, both by case and in order; and the interests that the reader has declared.
    """

    claims: dict[uuid.UUID, list[dict[str, Any]]]
    deadlines: dict[uuid.UUID, list[Running]]
    interests: frozenset[tuple[str, str]]


# One statement and one value, put together by the database: asking and reading cost more than answering.
_BELONGINGS = f"""
    SELECT json_build_array(
        (
            SELECT json_agg(json_build_array(side, party)) FROM interests
            WHERE marketplace = %(marketplace)s AND subject = %(subject)s AND ended_at IS NULL
        ),
        (
            SELECT json_agg(
                json_build_array(
                    claims.case_id, id, line_id, reason, request, amount_minor, currency, value ->> name
                ) ORDER BY claims.case_id, claims.n
            )
            FROM claims LEFT JOIN docket_openings AS opening ON opening.case_id = claims.case_id
                AND opening.seq = 1 AND opening.name = concat('claims.', claims.n, '.statement')
            WHERE claims.case_id = ANY(%(case_ids)s::uuid[])
        ),
        (
            SELECT json_agg(json_build_array(case_id, {AS_JSON}) ORDER BY id) FROM deadlines
            WHERE case_id = ANY(%(case_ids)s::uuid[]) AND done_at IS NULL
        )
    ) AS found
    """  # noqa: S608 - our own words


def belongings(session: Session, actor: Actor, case_ids: Sequence[uuid.UUID]) -> Belongings:
    """What belongs to these cases, and the actor's interests, read at once."""
    by_text = {str(case_id): case_id for case_id in case_ids}
    subject = actor.subject if actor.role in STAFF else None
    values = {"marketplace": actor.marketplace, "subject": subject, "case_ids": f"{{{','.join(by_text)}}}"}
    [((interests, claims, running),)] = say(session, _BELONGINGS, values)
    found = Belongings(
        {case_id: [] for case_id in case_ids},
        {case_id: [] for case_id in case_ids},
        frozenset((side, party) for side, party in interests or ()),
    )
    for case_id, claim_id, line, reason, request, amount, currency, statement in claims or ():
        found.claims[by_text[case_id]].append(
            {
                "id": claim_id,
                "line_id": line,
                "reason": reason,
                "request": request,
                "amount": {"amount": amount, "currency": currency},
                "statement": statement,
            }
        )
    for case_id, one in running or ():
        found.deadlines[by_text[case_id]].append(from_json(by_text[case_id], one))
    return found


_RUNNING = (
    select(Deadline)
    .where(Deadline.case_id == func.any(bindparam("case_ids", type_=ARRAY(Uuid()))), Deadline.done_at.is_(None))
    .order_by(Deadline.id)
    .execution_options(populate_existing=True)
)


def deadlines(session: Session, case_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, list[Deadline]]:
    """The deadlines of several cases that are not over, by case, in the order of their start."""
    found: dict[uuid.UUID, list[Deadline]] = {case_id: [] for case_id in case_ids}
    if found:
        for one in session.scalars(_RUNNING, {"case_ids": list(case_ids)}):
            found[one.case_id].append(one)
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
