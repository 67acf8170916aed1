"""THE SEAM: the only writer of a case's state, and of the docket that says how it came there.

Every function takes a session whose transaction the caller owns, and none commits. The case row is locked first,
by `lock`; then `advance` lets the procedure decide and writes down what it decided.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ARRAY, BigInteger, LargeBinary, Select, Text, bindparam, delete, select
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session, aliased, contains_eager

from evidence import chain
from evidence.commitments import commit
from mediation.errors import NotFound
from mediation.models import Case, Interest, OpenLine, Order, Party
from workflows import procedure
from workflows.acts import Act, Actor
from workflows.refusals import Refused
from workflows.states import FINAL_STATES, PARTIES, STAFF, CaseState, Role, View

OPENED = "open"
#: What one act of a party or a member of staff may tell everyone on the case, or staff only.
PARTIES_SEE, STAFF_SEE = "parties", "staff"

SYSTEM = Actor(Role.SYSTEM, "system", "system", "-")

_WRITE = sql(
    """
    WITH entry AS (
        INSERT INTO docket_entries
            (case_id, seq, v, at, type, from_state, to_state, commitments, prev, hash, visibility)
        VALUES (:case_id, :seq, :v, :at, :type, :from_state, :to_state, :commitments, :prev, :hash, :visibility)
    )
    INSERT INTO docket_openings (case_id, seq, n, name, salt, value)
    SELECT :case_id, :seq, n, name, salt, value
    FROM unnest(:n, :names, :salts, :values) AS opening (n, name, salt, value)
    """
).bindparams(
    bindparam("commitments", type_=ARRAY(LargeBinary)),
    bindparam("n", type_=ARRAY(BigInteger)),
    bindparam("names", type_=ARRAY(Text)),
    bindparam("salts", type_=ARRAY(LargeBinary)),
    bindparam("values", type_=ARRAY(JSONB)),
)


_BUYER, _SELLER = aliased(Party), aliased(Party)
_WHOLE_CASE = (
    select(Case)
    .join(_BUYER, Case.buyer_id == _BUYER.id)
    .join(_SELLER, Case.seller_id == _SELLER.id)
    .join(Order, Case.order_id == Order.id)
    .options(
        contains_eager(Case.buyer.of_type(_BUYER)),
        contains_eager(Case.seller.of_type(_SELLER)),
        contains_eager(Case.order),
    )
)


_ANY_CASE = _WHOLE_CASE.where(Case.id == bindparam("case_id"))
_ONE_CASE = _ANY_CASE.where(Case.marketplace == bindparam("marketplace"))
#: Statements that every request needs are put together once: building one takes longer than executing it.
_FIND: dict[Role | None, Select[Case]] = {
    None: _ONE_CASE,
    Role.BUYER: _ONE_CASE.where(_BUYER.external_id == bindparam("party")),
    Role.SELLER: _ONE_CASE.where(_SELLER.external_id == bindparam("party")),
}
# Without populate_existing the row would be locked and the state read before the wait returned.
_LOCK = {
    role: query.with_for_update(of=Case).execution_options(populate_existing=True) for role, query in _FIND.items()
}
_LOCK_ANY = _ANY_CASE.with_for_update(of=Case).execution_options(populate_existing=True)
_INTERESTS = select(Interest.side, Interest.party).where(
    Interest.marketplace == bindparam("marketplace"),
    Interest.subject == bindparam("subject"),
    Interest.ended_at.is_(None),
)


@dataclass(frozen=True, slots=True)
class Written:
    """What was just entered: its number, its hash (32 bytes) and its time."""

    seq: int
    hash: bytes
    at: datetime


# --- finding and locking -----------------------------------------------------------------------------------------


def visible_cases(actor: Actor) -> Select[Case]:
    """The cases this actor may know of, with parties and order: a party's own, or all of the marketplace."""
    query = _WHOLE_CASE.where(Case.marketplace == actor.marketplace)
    if actor.role is Role.BUYER:
        return query.where(_BUYER.external_id == actor.acts_for)
    if actor.role is Role.SELLER:
        return query.where(_SELLER.external_id == actor.acts_for)
    return query


def find(session: Session, case_id: uuid.UUID, actor: Actor) -> Case:
    """The case, read only. Raises NotFound if it is not there or not this actor's."""
    return _one(session, _FIND, case_id, actor)


def lock(session: Session, case_id: uuid.UUID, actor: Actor) -> Case:
    """The case, locked until the transaction ends and read as it is now, whatever the session had seen before.

    Raises NotFound if it is not there or not this actor's; a lock that is not had in time is a database error.
    """
    return _one(session, _LOCK, case_id, actor)


def lock_for_system(session: Session, case_id: uuid.UUID) -> Case:
    """The case, locked, for the worker and the gateway, which see every marketplace. Raises NotFound."""
    return _there(session.scalar(_LOCK_ANY, {"case_id": case_id}))


def _one(session: Session, queries: Mapping[Role | None, Select[Case]], case_id: uuid.UUID, actor: Actor) -> Case:
    values = {"case_id": case_id, "marketplace": actor.marketplace}
    if actor.role in PARTIES:
        return _there(session.scalar(queries[actor.role], values | {"party": actor.acts_for}))
    return _there(session.scalar(queries[None], values))


def _there(case: Case | None) -> Case:
    if case is None:
        raise NotFound()
    return case


def with_interests(session: Session, actor: Actor) -> Actor:
    """The actor with the interests they have declared; parties and machines have none."""
    if actor.role not in STAFF:
        return actor
    rows = session.execute(_INTERESTS, {"marketplace": actor.marketplace, "subject": actor.subject})
    return Actor(
        actor.role,
        actor.subject,
        actor.acts_for,
        actor.marketplace,
        frozenset((side, party) for side, party in rows),
    )


# --- writing -----------------------------------------------------------------------------------------------------


def open_case(
    session: Session, case: Case, actor: Actor, now: datetime, *, facts: Mapping[str, Any], private: Mapping[str, Any]
) -> Written:
    """Insert a new case together with the first entry of its docket."""
    case.state, case.version, case.head = CaseState.OPENED.value, 0, bytes(32)
    case.opened_at = case.updated_at = now
    row = _next_entry(case, _Line(OPENED, None, actor, now, facts, private, PARTIES_SEE))
    session.add(case)
    session.flush()  # The entry's foreign key needs the row.
    session.execute(_WRITE, row)
    return Written(case.version, case.head, now)


def advance(
    session: Session,
    case: Case,
    action: str,
    actor: Actor,
    now: datetime,
    *,
    changes: Mapping[str, Any] | None = None,
    private: Mapping[str, Any] | None = None,
    visibility: str = PARTIES_SEE,
    **facts: Any,
) -> Written:
    """Take one action on a locked case: the procedure moves it, one entry records it.

    `facts` are plain values, seen by the guards and entered together; `private` are words, entered one by one so that
    each can be erased alone; `changes` are attributes of the case that go with the step, set only once it is allowed.
    Raises NotPermitted, WrongState or Refused, with the case as it was.
    """
    at = max(now, case.updated_at)
    came_from = procedure.fire(case, action, Act(actor, at, facts))
    for name, value in (changes or {}).items():
        setattr(case, name, value)
    if case.state in FINAL_STATES:
        _close(session, case, at)
    return _enter(session, case, _Line(action, came_from, actor, at, facts, private or {}, visibility))


def record(
    session: Session,
    case: Case,
    type_: str,
    actor: Actor,
    now: datetime,
    *,
    private: Mapping[str, Any] | None = None,
    visibility: str = PARTIES_SEE,
    **facts: Any,
) -> Written:
    """Enter something that happened on a locked case without moving it: a message, an exhibit."""
    at = max(now, case.updated_at)
    return _enter(session, case, _Line(type_, case.state, actor, at, facts, private or {}, visibility))


def _close(session: Session, case: Case, at: datetime) -> None:
    case.closed_at = at
    case.assignee = None
    session.execute(delete(OpenLine).where(OpenLine.case_id == case.id))


@dataclass(frozen=True, slots=True)
class _Line:
    """What is to be entered."""

    type: str
    came_from: str | None
    actor: Actor
    at: datetime
    facts: Mapping[str, Any]
    private: Mapping[str, Any]
    visibility: str


def _enter(session: Session, case: Case, line: _Line) -> Written:
    session.execute(_WRITE, _next_entry(case, line))
    return Written(case.version, case.head, line.at)


def _next_entry(case: Case, line: _Line) -> dict[str, Any]:
    """Seal the next entry and move the case's version, head and derived columns on to it."""
    names, values = _openings(line)
    commitments = [commit(value) for value in values]
    case.version += 1
    sealed = chain.seal_entry(
        case=str(case.id),
        seq=case.version,
        prev=case.head.hex(),
        at=line.at,
        type=line.type,
        from_=line.came_from,
        to=str(case.state),
        commitments=[commitment.digest.hex() for commitment in commitments],
    )
    row = {
        "case_id": case.id,
        "seq": case.version,
        "v": sealed["v"],
        "at": line.at,
        "type": line.type,
        "from_state": line.came_from,
        "to_state": str(case.state),
        "commitments": [commitment.digest for commitment in commitments],
        "prev": case.head,
        "hash": bytes.fromhex(sealed["hash"]),
        "visibility": line.visibility,
        "n": list(range(len(names))),
        "names": names,
        "salts": [commitment.salt for commitment in commitments],
        "values": values,
    }
    case.head = row["hash"]
    case.updated_at = line.at
    case.waiting_on = procedure.waiting_on(case)
    case.queue = procedure.queue(case)
    return row


def _openings(line: _Line) -> tuple[list[str], list[dict[str, Any]]]:
    """What the entry commits to, each value wrapped in its name so that one can never be passed off as another."""
    who = {
        "role": line.actor.role.value,
        "subject": line.actor.subject,
        "acts_for": line.actor.acts_for,
        "marketplace": line.actor.marketplace,
    }
    opened: dict[str, Any] = {"actor": who}
    if line.facts:
        opened["facts"] = dict(line.facts)
    opened.update(line.private)
    return list(opened), [{name: value} for name, value in opened.items()]


# --- what the procedure says of a case, for those who may not import it -------------------------------------------


def require_role(action: str, actor: Actor) -> None:
    """Raises NotPermitted if this role can never take the action."""
    procedure.require_role(action, actor.role)


def require_state(case: Case, action: str, actor: Actor, now: datetime) -> None:
    """Raises WrongState, naming what is possible, if this role cannot take the action from where the case stands."""
    procedure.require_state(case, action, Act(actor, now))


def check(case: Case, action: str, actor: Actor, now: datetime) -> None:
    """Raises whatever stands against this action now, short of what its body may bring."""
    procedure.require_role(action, actor.role)
    act = Act(actor, now)
    procedure.require_state(case, action, act)
    refusal = procedure.standing_refusal(case, action, act)
    if refusal is not None:
        raise refusal


def options(case: Case, actor: Actor, now: datetime) -> list[tuple[str, Refused | None]]:
    """Every action this actor's role can ever take, with what stands against it now (None: nothing)."""
    return list(procedure.options(case, actor, Act(actor, now)))


def view_for(case: Case, actor: Actor) -> View:
    """What the case means to this reader."""
    return procedure.view_for(case, actor)


def actions() -> tuple[str, ...]:
    """The names of all actions of the procedure."""
    return procedure.ACTIONS
