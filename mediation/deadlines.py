"""The deadlines of one case: what runs, what a step changes about it, and when the next of them fires.

Only `mediation.docket` calls `follow` and `carry`: a change of a deadline is always part of a docket entry.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from mediation import policies
from mediation.db import as_text, innermost, new_id, say
from mediation.models import Case, Deadline
from workflows import working_days
from workflows.deadlines import BY_POLICY, MOVES_CLOCKS, DeadlineKind, plan
from workflows.policies import Found, LimitKind, Matter, Policies, Silence
from workflows.working_days import Due, Limit

#: Counts every moment, which is how a date that a person named is counted.
ALWAYS = working_days.spelled(Limit(seconds=0))
NO_MATTER: tuple[dict[str, Any], ...] = ({"reason": "other", "request": "refund_only", "category": None},)


@dataclass(slots=True)
class Running:
    """A deadline that is not over: a row of `deadlines` as it is, or as it is to be."""

    id: uuid.UUID
    case_id: uuid.UUID
    kind: str
    fires: str | None
    started_at: datetime
    due_at: datetime | None
    remaining: timedelta | None
    extended: timedelta
    hours: str
    region: str | None
    provisional: bool
    policy_version: int | None
    policy_row: str | None
    wake_at: datetime | None
    attempts: int
    failure: str | None
    set_aside_at: datetime | None
    done_at: datetime | None = None
    ended: str | None = None

    def wake(self) -> None:
        """Look at it when it is due; what failed before is forgotten with the date."""
        self.wake_at = self.due_at if self.fires is not None else None
        self.attempts, self.failure, self.set_aside_at = 0, None, None


_COLUMNS = tuple(Running.__dataclass_fields__)
_RUNNING = as_text(
    select(*(getattr(Deadline, name) for name in _COLUMNS))
    .where(Deadline.case_id == bindparam("case_id"), Deadline.done_at.is_(None))
    .order_by(Deadline.id)
)
_MICROSECOND = timedelta(microseconds=1)
#: How values come back from JSON, by the column's type of Python; intervals are written as microseconds.
_READ: dict[type, Callable[[Any], Any]] = {
    uuid.UUID: uuid.UUID,
    datetime: datetime.fromisoformat,
    timedelta: lambda microseconds: timedelta(microseconds=microseconds),
}
_WITHOUT_CASE = [(name, _READ.get(getattr(Deadline, name).type.python_type)) for name in _COLUMNS if name != "case_id"]
#: SQL for one row of `deadlines` as an array of JSON, which `from_json` reads.
AS_JSON = f"""json_build_array({
    ", ".join(
        f"(extract(epoch FROM {name}) * 1000000)::bigint" if read is _READ[timedelta] else name
        for name, read in _WITHOUT_CASE
    )
})"""
_REMEMBERED = "deadlines"
Changes = list[dict[str, Any]]
#: The deadline that is being fired, so that its entry says so of it and of no other that is over as well.
_FIRING: ContextVar[uuid.UUID | None] = ContextVar("firing", default=None)


@contextmanager
def firing(deadline: uuid.UUID) -> Iterator[None]:
    """Within, what happens to the case happens because this deadline is over."""
    token = _FIRING.set(deadline)
    try:
        yield
    finally:
        _FIRING.reset(token)


def running(session: Session, case_id: uuid.UUID) -> list[Running]:
    """The deadlines of a locked case that are not over, standing still or not, in the order of their start."""
    found = [Running(*row) for row in say(session, _RUNNING, {"case_id": case_id})]
    remember(session, case_id, found)
    return found


def known(session: Session, case_id: uuid.UUID) -> list[Running]:
    """The same, read only once: while a case is locked, nobody but this transaction changes its deadlines."""
    transaction, found = session.info.get(_REMEMBERED, (None, {}))
    if transaction is not innermost(session) or case_id not in found:
        return running(session, case_id)
    return list(found[case_id])


def remember(session: Session, case_id: uuid.UUID, found: Iterable[Running]) -> None:
    """Remember the deadlines of a locked case until the transaction, or the savepoint, is over."""
    transaction, others = session.info.get(_REMEMBERED, (None, {}))
    now = innermost(session)
    kept = others if transaction is now else {}
    session.info[_REMEMBERED] = now, {**kept, case_id: sorted(found, key=lambda one: one.id)}


def from_json(case_id: uuid.UUID, values: Iterable[Any]) -> Running:
    """A deadline as `AS_JSON` writes it."""
    first, *others = (
        value if read is None or value is None else read(value)
        for (_, read), value in zip(_WITHOUT_CASE, values, strict=True)
    )
    return Running(first, case_id, *others)


def follow(
    session: Session,
    case: Case,
    action: str,
    came_from: str | None,
    *,
    at: datetime,
    due: Mapping[str, datetime] | None,
) -> tuple[list[Running], Changes]:
    """What a step that was just taken makes of the case's deadlines: the rows to be written, and what to enter of it.

    `due` are dates that somebody named, by kind of deadline; without one the policies in force say how long it is.
    """
    if came_from == case.state and action not in MOVES_CLOCKS and due is None:
        return [], []
    before = [] if came_from is None else known(session, case.id)
    by_kind = {DeadlineKind(one.kind): one for one in before}
    now_running = {kind: one.fires for kind, one in by_kind.items() if one.due_at is not None}
    paused = {kind: one.fires for kind, one in by_kind.items() if one.due_at is None}
    todo = plan(case, action, now_running, paused)
    changes: Changes = []
    for kind in todo.over:
        changes.append(_end(by_kind[kind], at))
    for kind in todo.pause:
        changes.append(_pause(by_kind[kind], at))
    for kind in todo.resume:
        changes.append(_resume(by_kind[kind], at))
    for kind, fires in todo.refire.items():
        changes.append(_refire(by_kind[kind], fires))
    counted = _Counting(session, case, at, due or {})
    for kind in todo.anew:
        if _FIRING.get() == by_kind[kind].id:
            changes.append(_told(by_kind[kind], "fired"))
        changes.append(counted.anew(by_kind[kind]))
    for kind, fires in todo.start.items():
        by_kind[kind] = counted.start(kind, fires)
        changes.append(_told(by_kind[kind], "started"))
    for kind, moment in counted.left():
        changes.append(_move(by_kind[kind], moment))
    carry(case, by_kind.values())
    remember(session, case.id, [one for one in by_kind.values() if one.done_at is None])
    touched = {change["kind"] for change in changes}
    return [one for kind, one in by_kind.items() if kind in touched], changes


def carry(case: Case, deadlines: Iterable[Running]) -> None:
    """What the case itself knows of its deadlines: when the next one fires, and until when an appeal can be made."""
    live = [one for one in deadlines if one.done_at is None]
    firing = [one.due_at for one in live if one.due_at and one.fires is not None and one.set_aside_at is None]
    case.due_at = min(firing, default=None)
    case.appeal_until = next((one.due_at for one in live if one.kind == DeadlineKind.APPEAL), None)


def as_rows(deadlines: Iterable[Running]) -> list[dict[str, Any]]:
    """The rows as values of JSON, for one statement that writes them all."""
    rows = []
    for one in deadlines:
        row = {name: getattr(one, name) for name in _COLUMNS}
        for name in ("remaining", "extended"):
            row[name] = None if row[name] is None else f"{row[name] / _MICROSECOND:.0f} microseconds"
        rows.append(row)
    return rows


def recount(session: Session, case: Case, at: datetime) -> tuple[list[Running], Changes]:
    """The case's deadlines as the policies now in force count them, what is used up of each taken off.

    A date that a person named stays. The rows to be written, and what to enter of it; nothing where nothing changes.
    """
    found_running = known(session, case.id)
    changes: Changes = []
    for one in found_running:
        if one.policy_row is None or one.hours == ALWAYS:
            continue
        before, found = working_days.parse(one.hours), longest(session, case, LimitKind(one.kind), at)
        after = working_days.parse(found.hours)
        left = one.remaining
        if one.due_at is not None:
            left = working_days.remaining(before, at, one.due_at, region=one.region)
        assert left is not None, "what does not stand still has a date"
        left = max(timedelta(0), left + timedelta(seconds=after.seconds - before.seconds))
        fires = silence(session, case, at) if one.kind == DeadlineKind.RESPONSE else one.fires
        if (one.hours, one.fires) == (found.hours, fires):
            continue
        one.hours, one.policy_version, one.policy_row, one.fires = found.hours, found.version, found.row, fires
        if one.due_at is None:
            one.remaining = left
        else:
            again = working_days.due_after(after, at, left, region=one.region)
            one.due_at, one.provisional = again.at, again.provisional
            one.wake()
        changes.append(_told(one, "recounted"))
    carry(case, found_running)
    touched = {change["kind"] for change in changes}
    return [one for one in found_running if one.kind in touched], changes


# --- one deadline ------------------------------------------------------------------------------------------------


def _end(one: Running, at: datetime) -> dict[str, Any]:
    one.ended = "fired" if _FIRING.get() == one.id else "ended"
    one.done_at, one.wake_at = at, None
    return _told(one, one.ended)


def _pause(one: Running, at: datetime) -> dict[str, Any]:
    assert one.due_at is not None, "only what runs is stopped"
    limit = working_days.parse(one.hours)
    one.remaining = working_days.remaining(limit, at, one.due_at, region=one.region)
    one.due_at, one.wake_at = None, None
    return _told(one, "paused") | {"remaining_seconds": one.remaining.total_seconds()}


def _resume(one: Running, at: datetime) -> dict[str, Any]:
    assert one.remaining is not None, "only what stands still goes on"
    again = working_days.due_after(working_days.parse(one.hours), at, one.remaining, region=one.region)
    one.due_at, one.remaining, one.provisional = again.at, None, one.provisional or again.provisional
    one.wake()
    return _told(one, "resumed")


def _refire(one: Running, fires: str | None) -> dict[str, Any]:
    one.fires = fires
    if one.due_at is not None:
        one.wake()
    return _told(one, "fires")


def _move(one: Running, moment: datetime) -> dict[str, Any]:
    assert one.due_at is not None, "only what runs is extended"
    one.extended += moment - one.due_at
    # A date that a person named counts every moment, also where the limit it takes the place of did not.
    one.due_at, one.hours = moment, ALWAYS
    one.wake()
    return _told(one, "extended")


def _told(one: Running, change: str) -> dict[str, Any]:
    told: dict[str, Any] = {"kind": one.kind, "change": change, "fires": one.fires}
    if one.due_at is not None:
        told["due_at"] = one.due_at.isoformat()
    if one.policy_row is not None:
        told["policy"] = {"version": one.policy_version, "row": one.policy_row}
    return told


class _Counting:
    """Counts how long deadlines are that begin with one step: by a date that was named, else by the policies."""

    def __init__(self, session: Session, case: Case, at: datetime, due: Mapping[str, datetime]) -> None:
        self._session, self._case, self._at = session, case, at
        self._due = {DeadlineKind(kind): moment for kind, moment in due.items()}
        self._region = case.order.region

    def start(self, kind: DeadlineKind, fires: str | None) -> Running:
        one = Running(
            id=new_id(), case_id=self._case.id, kind=kind, fires=fires, started_at=self._at, due_at=None,
            remaining=None, extended=timedelta(0), hours=ALWAYS, region=self._region, provisional=False,
            policy_version=None, policy_row=None, wake_at=None, attempts=0, failure=None, set_aside_at=None,
        )  # fmt: skip
        if fires == BY_POLICY:
            one.fires = silence(self._session, self._case, self._at)
        self._count(one)
        return one

    def anew(self, one: Running) -> dict[str, Any]:
        one.extended = timedelta(0)
        self._count(one)
        return _told(one, "restarted")

    def left(self) -> list[tuple[DeadlineKind, datetime]]:
        """The dates that were named and belong to a deadline that runs already."""
        return list(self._due.items())

    def _count(self, one: Running) -> None:
        named = self._due.pop(DeadlineKind(one.kind), None)
        one.started_at = self._at
        if named is not None:
            one.due_at, one.provisional, one.hours = named, False, ALWAYS
            one.policy_version = one.policy_row = None
        else:
            found = longest(self._session, self._case, LimitKind(one.kind), self._at)
            one.due_at, one.provisional = found.due.at, found.due.provisional
            one.hours, one.policy_version, one.policy_row = found.hours, found.version, found.row
        one.wake()


@dataclass(frozen=True, slots=True)
class Counted:
    """How long something is by the policies: until when, by which row of which version, counted in which hours."""

    due: Due
    hours: str
    version: int
    row: str


def matters(case: Case) -> list[Matter]:
    """What the policies are looked up by: one matter for each claim."""
    return [
        Matter(one["reason"], one["request"], one["category"], case.order.region) for one in case.matters or NO_MATTER
    ]


def longest(session: Session, case: Case, kind: LimitKind, at: datetime, *, now: datetime | None = None) -> Counted:
    """The limit of a case from `at` on: of several claims the longest, so that no claim takes time from another.

    It is that of the policies in force `now`, where `at` is another time.
    """
    version, book = policies.in_force(session, now or at)
    found = [book.limit(kind, matter) for matter in matters(case)]
    counted = [
        Counted(
            working_days.due(one.value, at, region=case.order.region), working_days.spelled(one.value), version, one.row
        )
        for one in found
    ]
    return max(counted, key=lambda one: one.due.at)


def silences(session: Session, case: Case, at: datetime) -> tuple[int, list[Found[Silence]]]:
    """What the seller's silence does for each claim, by the version that their time to answer is counted by."""
    own = next((one for one in known(session, case.id) if one.kind == DeadlineKind.RESPONSE), None)
    version = policies.in_force(session, at)[0] if own is None or own.policy_version is None else own.policy_version
    book = policies.book(session).version(session, version)
    return version, [book.silence(matter) for matter in matters(case)]


def silence(session: Session, case: Case, at: datetime) -> str:
    """What the seller's silence fires: `agree` where the policies say so of every claim, else `request_mediation`."""
    book: Policies = policies.in_force(session, at)[1]
    fires = {str(book.silence(matter).value.fires) for matter in matters(case)}
    return fires.pop() if len(fires) == 1 else "request_mediation"
