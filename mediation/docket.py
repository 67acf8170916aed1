"""THE SEAM: the only writer of a case's state, and of the docket that says how it came there.

Every function takes a session whose transaction the caller owns, and none commits. The case row is locked first,
by `lock`; then `advance` lets the procedure decide and writes down what it decided.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb
from sqlalchemy import Select, bindparam, delete, select
from sqlalchemy.orm import Session

from evidence import chain
from evidence.commitments import commit
from mediation import deadlines, rows
from mediation.errors import NotFound
from mediation.models import Case, Interest, OpenLine, Order
from workflows import procedure, replaying, standing
from workflows.acts import Act, Actor
from workflows.refusals import Refused
from workflows.replayed import Entry, Replay
from workflows.states import FINAL_STATES, PARTIES, STAFF, CaseState, Role, View

OPENED = "open"
_TRIED: ContextVar[uuid.UUID | None] = ContextVar("tried", default=None)
#: What one act of a party or a member of staff may tell everyone on the case, or staff only.
PARTIES_SEE, STAFF_SEE = "parties", "staff"

SYSTEM = Actor(Role.SYSTEM, "system", "system", "-")
CLOCK = Actor(Role.CLOCK, "clock", "clock", "-")

_INTERESTS = select(Interest.side, Interest.party).where(
    Interest.marketplace == bindparam("marketplace"),
    Interest.subject == bindparam("subject"),
    Interest.ended_at.is_(None),
)


_LOCK_ORDER = select(Order.id).where(Order.id == bindparam("order_id")).with_for_update()


class Overdue(Exception):
    """Something of the case is due and was not fired yet: that comes first, then what was to be done is tried anew."""

    def __init__(self, case_id: uuid.UUID) -> None:
        super().__init__(str(case_id))
        self.case_id = case_id


@dataclass(frozen=True, slots=True)
class Written:
    """What was just entered: its number, its hash (32 bytes) and its time."""

    seq: int
    hash: bytes
    at: datetime


# --- finding and locking -----------------------------------------------------------------------------------------


def visible_cases(actor: Actor) -> Select[Case]:
    """The cases this actor may know of, with parties and order: a party's own, or all of the marketplace."""
    query = rows.WHOLE_CASE.where(Case.marketplace == actor.marketplace)
    if actor.role is Role.BUYER:
        return query.where(rows.BUYER.external_id == actor.acts_for)
    if actor.role is Role.SELLER:
        return query.where(rows.SELLER.external_id == actor.acts_for)
    return query


def find(session: Session, case_id: uuid.UUID, actor: Actor) -> Case:
    """The case, read only. Raises NotFound if it is not there or not this actor's."""
    return _one(session, rows.FIND, case_id, actor, anew=False)


def lock(session: Session, case_id: uuid.UUID, actor: Actor) -> Case:
    """The case, locked until the transaction ends and read as it is now, whatever the session had seen before.

    Raises NotFound if it is not there or not this actor's; a lock that is not had in time is a database error.
    """
    return _one(session, rows.LOCK, case_id, actor, anew=True)


def lock_for_system(session: Session, case_id: uuid.UUID) -> Case:
    """The case, locked, for the worker and the gateway, which see every marketplace. Raises NotFound."""
    return _there(rows.read(session, rows.LOCK_ANY, {"case_id": case_id}, anew=True))


def lock_next(session: Session, now: datetime) -> Case | None:
    """The case, locked, whose deadline has been over for longest, of those that nobody is at. None if there is none.

    Whether the deadline is still over is to be looked at again: before the lock was had, somebody may have fired it.
    """
    return rows.read(session, rows.LOCK_NEXT, {"now": now}, anew=True)


def _one(
    session: Session, statements: Mapping[Role | None, str], case_id: uuid.UUID, actor: Actor, *, anew: bool
) -> Case:
    values = {"case_id": case_id, "marketplace": actor.marketplace, "party": actor.acts_for}
    return _there(rows.read(session, statements[actor.role if actor.role in PARTIES else None], values, anew=anew))


def _there(case: Case | None) -> Case:
    if case is None:
        raise NotFound()
    return case


def with_interests(session: Session, actor: Actor) -> Actor:
    """The actor with the interests they have declared; parties and machines have none."""
    if actor.role not in STAFF:
        return actor
    found = session.execute(_INTERESTS, {"marketplace": actor.marketplace, "subject": actor.subject})
    return interested(actor, frozenset((side, party) for side, party in found))


def interested(actor: Actor, interests: frozenset[tuple[str, str]]) -> Actor:
    """The actor with these interests, as (side, party)."""
    if interests == actor.interests:
        return actor
    return Actor(actor.role, actor.subject, actor.acts_for, actor.marketplace, interests)


# --- writing -----------------------------------------------------------------------------------------------------


def open_case(
    session: Session, case: Case, actor: Actor, now: datetime, *, facts: Mapping[str, Any], private: Mapping[str, Any]
) -> Written:
    """Insert a new case together with the first entry of its docket."""
    case.state, case.version, case.head = CaseState.OPENED.value, 0, bytes(32)
    case.opened_at = case.updated_at = now
    clocks, changed = deadlines.follow(session, case, OPENED, None, at=now, due=None)
    row = _next_entry(case, _Line(OPENED, None, actor, now, facts, private, PARTIES_SEE, changed))
    session.add(case)
    session.flush()  # The entry's foreign key needs the row.
    rows.write_first(session, row, clocks)
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
    due: Mapping[str, datetime] | None = None,
    **facts: Any,
) -> Written:
    """Take one action on a locked case: the procedure moves it, one entry records it, the clocks follow.

    `facts` are plain values, seen by the guards and entered together; `private` are words, entered one by one so that
    each can be erased alone; `changes` are attributes of the case that go with the step, set only once it is allowed;
    `due` are dates that somebody named, by kind of deadline. Raises NotPermitted, WrongState or Refused, with the case
    as it was, and Overdue where something of the case must be fired before.
    """
    at = max(now, case.updated_at)
    require_on_time(case, actor, at)
    came_from = procedure.fire(case, action, Act(actor, at, facts))
    for name, value in (changes or {}).items():
        setattr(case, name, value)
    if case.state in FINAL_STATES:
        _close(session, case, at)
    clocks, changed = deadlines.follow(session, case, action, came_from, at=at, due=due)
    return _enter(session, case, _Line(action, came_from, actor, at, facts, private or {}, visibility, changed), clocks)


def require_on_time(case: Case, actor: Actor, now: datetime) -> None:
    """Raises Overdue if something of the case is due and not fired: time comes before whoever acts now.

    Where it was tried just now and failed, people go on; the clock tries again by itself.
    """
    late = case.due_at is not None and case.due_at <= now
    if late and actor.role is not Role.CLOCK and _TRIED.get() != case.id:
        raise Overdue(case.id)


@contextmanager
def after_trying(case_id: uuid.UUID) -> Iterator[None]:
    """Within, what is still due on this case keeps nobody from acting: it was tried to fire and failed."""
    token = _TRIED.set(case_id)
    try:
        yield
    finally:
        _TRIED.reset(token)


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


def record_deadlines(
    session: Session, case: Case, type_: str, now: datetime, *, due: Mapping[str, datetime] | None = None, **facts: Any
) -> Written | None:
    """Start the clocks of a locked case that has none where it stands, and move those that `due` names.

    None if all of them run and none was named.
    """
    at = max(now, case.updated_at)
    clocks, changed = deadlines.follow(session, case, type_, case.state, at=at, due=due or {})
    if not clocks:
        return None
    return _enter(session, case, _Line(type_, case.state, SYSTEM, at, facts, {}, PARTIES_SEE, changed), clocks)


def recount_deadlines(session: Session, case: Case, actor: Actor, now: datetime) -> Written | None:
    """Count the clocks of a locked case anew by the policies now in force. None if that changes nothing."""
    at = max(now, case.updated_at)
    clocks, changed = deadlines.recount(session, case, at)
    if not changed:
        return None
    line = _Line("deadlines_recounted", case.state, actor, at, {}, {}, PARTIES_SEE, changed)
    return _enter(session, case, line, clocks)


def renew(case: Case) -> None:
    """Derive anew whom the case waits on, after something was recorded that changes it."""
    case.waiting_on = standing.waiting_on(case)


def _close(session: Session, case: Case, at: datetime) -> None:
    case.closed_at = at
    case.assignee = None
    case.legs = []
    # The order before the lines that are freed: whoever opens a case locks them in this order too.
    session.execute(_LOCK_ORDER, {"order_id": case.order_id})
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
    deadlines: Sequence[Mapping[str, Any]] = ()


def _enter(session: Session, case: Case, line: _Line, clocks: Sequence[deadlines.Running] = ()) -> Written:
    rows.write(session, case, _next_entry(case, line), clocks)
    return Written(case.version, case.head, line.at)


def _next_entry(case: Case, line: _Line) -> dict[str, Any]:
    """Seal the next entry and move the case's version, head and derived columns on to it."""
    opened = _openings(line)
    made = [commit({name: value}) for name, value in opened.items()]
    digests = [one.digest.hex() for one in made]
    seq, head, state = case.version + 1, case.head, str(case.state)
    sealed = chain.seal_entry(
        case=str(case.id),
        seq=seq,
        prev=head.hex(),
        at=line.at,
        type=line.type,
        from_=line.came_from,
        to=state,
        commitments=digests,
    )
    row = {
        "case_id": case.id,
        "seq": seq,
        "v": sealed["v"],
        "at": line.at,
        "type": line.type,
        "from_state": line.came_from,
        "to_state": state,
        "prev": head,
        "hash": bytes.fromhex(sealed["hash"]),
        "visibility": line.visibility,
        # Lists that the database takes apart: as JSON they take the driver a fraction of what its arrays do.
        "openings": Jsonb(
            [
                (name, digest, one.salt.hex(), {name: value})
                for (name, value), digest, one in zip(opened.items(), digests, made, strict=True)
            ]
        ),
    }
    case.version = seq
    case.head = row["hash"]
    case.updated_at = line.at
    case.waiting_on = standing.waiting_on(case)
    case.queue = standing.queue(case)
    return row


def _openings(line: _Line) -> dict[str, Any]:
    """What the entry commits to, by name: each is wrapped in it, so that none can be passed off as another."""
    who = {
        "role": line.actor.role.value,
        "subject": line.actor.subject,
        "acts_for": line.actor.acts_for,
        "marketplace": line.actor.marketplace,
    }
    opened: dict[str, Any] = {"actor": who}
    if line.facts:
        opened["facts"] = dict(line.facts)
    if line.deadlines:
        opened["deadlines"] = list(line.deadlines)
    opened.update(line.private)
    return opened


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
    return standing.view_for(case, actor)


def actions() -> tuple[str, ...]:
    """The names of all actions of the procedure."""
    return procedure.ACTIONS


def replay(case: Case, entries: Iterable[Entry]) -> Replay:
    """Where these entries of the case lead by the procedure, told from nothing."""
    return replaying.replay(entries, buyer_ref=case.buyer_ref, seller_ref=case.seller_ref)
