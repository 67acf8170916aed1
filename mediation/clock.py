"""The clock at work: overdue deadlines, one case to a transaction, each exactly once.

Any number of workers on any number of machines do this at the same time. Which deadline is over is a row's matter, and
that it was fired is part of the docket entry's own transaction: a worker that dies in between has done nothing.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

import structlog
from sqlalchemy import bindparam, func, select, update
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.orm import Session

from mediation import deadlines, docket
from mediation.models import Case, Deadline
from mediation.operations import notices
from mediation.operations.firing import FIRES
from mediation.services import Services

T = TypeVar("T")
#: A deadline that fails is tried again after this, twice this, four times this …
FIRST_PAUSE = timedelta(seconds=5)
#: … and is set aside, with an alert, after so many failures.
TRIES = 8
#: Deadlines of one case that can come due one after another before whoever acts goes on: more than any case has.
CHAIN = 16
log = structlog.get_logger("mediation.clock")

_UNCLOCKED = (
    select(Case.id)
    # Nothing falls due on them, which is so of few: they are found by an index of their own.
    .where(Case.closed_at.is_(None), Case.due_at.is_(None))
    .where(~select(Deadline.id).where(Deadline.case_id == Case.id, Deadline.done_at.is_(None)).exists())
    .where(Case.id > bindparam("after"))
    .order_by(Case.id)
    .limit(1)
    .with_for_update(of=Case, skip_locked=True)
)


class NothingFired(Exception):
    """A deadline was fired and is still over: what it fires does not end it."""


def in_time(services: Services, work: Callable[[], T]) -> T:
    """Do what `work` does, in transactions of its own; where something of its case is due, that is fired first.

    The firing is committed by itself, so that it stands even if `work` is then refused.
    """
    try:
        return work()
    except docket.Overdue as late:
        case_id = late.case_id
    fire_case(services, case_id)
    with docket.after_trying(case_id):
        return work()


def fire_case(services: Services, case_id: uuid.UUID) -> int:
    """Fire everything that is due on one case, each in a transaction of its own; how many deadlines that were."""
    for fired in range(CHAIN):
        if not _attempt(services, case_id):
            return fired
    return CHAIN


def fire_next(services: Services) -> bool:
    """Fire the deadline that has been over for longest, of a case that nobody is at. False if there was none."""
    while (fired := _attempt(services, None)) is False:
        # Somebody else was quicker with the one that was found; there may be others.
        continue
    return fired is True


def _attempt(services: Services, case_id: uuid.UUID | None) -> bool | None:
    """Whether a deadline was tried, of this case or of any; None if there was no case to look at."""
    now = services.clock()
    tried: list[deadlines.Running] = []
    try:
        with services.sessions.begin() as session:
            case = docket.lock_for_system(session, case_id) if case_id else docket.lock_next(session, now)
            if case is None:
                return None
            _fire(session, case, now, tried)
    except Exception as error:
        # What the database says at the commit is this deadline's failure too, and must not keep the next one waiting.
        if not tried or (isinstance(error, DBAPIError) and is_away(error)):
            raise
        _write_down(services, tried[0], type(error).__name__)
        return True
    for one in tried:
        log.info("deadline_fired", case=str(one.case_id), kind=one.kind, fires=one.fires, due_at=str(one.due_at))
    return bool(tried)


def is_away(error: DBAPIError) -> bool:
    """Whether the database is gone or going, rather than refusing this one statement."""
    if not isinstance(error, OperationalError | InterfaceError):
        # What the driver itself refuses, such as a text with a NUL, has no state either.
        return False
    state = getattr(error.orig, "sqlstate", None) or ""
    return error.connection_invalidated or not state or state.startswith(("08", "53", "57P"))


def _fire(session: Session, case: Case, now: datetime, tried: list[deadlines.Running]) -> None:
    """Fire the first deadline of a locked case that is due, and tell in `tried` which it was."""
    # Looked at again after locking: somebody may have been quicker.
    due = [one for one in deadlines.running(session, case.id) if one.wake_at is not None and one.wake_at <= now]
    if not due:
        return
    # As it is now: what is fired changes the deadline itself.
    first = replace(min(due, key=lambda one: (one.wake_at, one.id)))
    tried.append(first)
    with deadlines.firing(first.id):
        FIRES[str(first.fires)](session, case, now)
    session.flush()
    _require_over(session, first, max(now, case.updated_at))


def _require_over(session: Session, fired: deadlines.Running, now: datetime) -> None:
    """Raises NothingFired: a deadline that stays over, or is over again at once, would be fired for ever."""
    found = next((one for one in deadlines.known(session, fired.case_id) if one.id == fired.id), None)
    if found is not None and found.due_at is not None and found.due_at <= now:
        raise NothingFired(fired.kind)


def _write_down(services: Services, failed: deadlines.Running, error: str) -> None:
    """Count the failure and set the next try, or set the deadline aside; it never blocks the next one."""
    attempts = failed.attempts + 1
    aside = attempts >= TRIES
    now = services.clock()
    with services.sessions.begin() as session:
        case = docket.lock_for_system(session, failed.case_id)
        written = session.execute(
            update(Deadline)
            # Only as it was when it failed: meanwhile it may have been fired, or been given another date by somebody.
            .where(Deadline.id == failed.id, Deadline.done_at.is_(None), Deadline.wake_at == failed.wake_at)
            .values(
                attempts=attempts,
                failure=error,
                wake_at=None if aside else now + FIRST_PAUSE * 2**failed.attempts,
                set_aside_at=now if aside else None,
            )
            .returning(Deadline.id)
            .execution_options(synchronize_session=False)
        ).first()
        if written is None:
            return
        if aside:
            _set_aside(session, case, failed, now)
    told = {"case": str(failed.case_id), "kind": failed.kind, "fires": failed.fires}
    log.error("deadline_failed", **told, error=error, attempt=attempts)
    if aside:
        log.error("deadline_set_aside", **told)


def _set_aside(session: Session, case: Case, failed: deadlines.Running, now: datetime) -> None:
    """Enter that a deadline is not tried any more, and tell a supervisor; from now on people act without it."""
    deadlines.carry(case, deadlines.running(session, case.id))
    entered = docket.record(
        session, case, "deadline_set_aside", docket.CLOCK, now, visibility=docket.STAFF_SEE, kind=failed.kind
    )
    notices.serve(session, case, entered, "deadline_set_aside", notices.SUPERVISOR)


# --- looking -----------------------------------------------------------------------------------------------------


def start_missing(services: Services) -> int:
    """Start the clocks of open cases that have none, such as those opened before there were clocks; how many cases.

    Their time begins now: nobody loses time that they were never told of. A case where it fails keeps no other waiting.
    """
    started, after = 0, uuid.UUID(int=0)
    while True:
        found: uuid.UUID | None = None
        now = services.clock()
        try:
            with services.sessions.begin() as session:
                found = session.scalar(_UNCLOCKED, {"after": after})
                if found is None:
                    return started
                case = docket.lock_for_system(session, found)
                docket.record_deadlines(session, case, "clock_started", now)
            started += 1
        except Exception as error:
            if found is None or (isinstance(error, DBAPIError) and is_away(error)):
                raise
            log.error("clock_not_started", case=str(found), error=type(error).__name__)
        after = found


def status(session: Session, now: datetime, *, limit: int = 50) -> dict[str, Any]:
    """What is due, late, failing and set aside: counts over all cases, and the worst `limit` of them one by one."""
    waiting = Deadline.done_at.is_(None) & Deadline.fires.is_not(None)
    late = waiting & (Deadline.due_at <= now) & Deadline.set_aside_at.is_(None)
    counts = {
        "running": waiting & Deadline.due_at.is_not(None),
        "standing_still": waiting & Deadline.due_at.is_(None),
        "due_within_an_hour": waiting & (Deadline.due_at > now) & (Deadline.due_at <= now + timedelta(hours=1)),
        "late": late,
        "failing": late & (Deadline.attempts > 0),
        "set_aside": waiting & Deadline.set_aside_at.is_not(None),
    }
    counted = session.execute(select(*(func.count().filter(one).label(name) for name, one in counts.items()))).one()
    worst = session.execute(
        select(Case.reference, Case.state, Deadline)
        .join(Case, Case.id == Deadline.case_id)
        .where(waiting, (Deadline.due_at <= now) | Deadline.set_aside_at.is_not(None))
        .order_by(Deadline.set_aside_at.is_(None), Deadline.attempts.desc(), Deadline.due_at)
        .limit(limit)
    )
    return {
        **counted._asdict(),
        "worst": [
            {
                "case": reference,
                "state": state,
                "kind": one.kind,
                "fires": one.fires,
                "due_at": one.due_at,
                "late_seconds": (now - one.due_at).total_seconds() if one.due_at else None,
                "attempts": one.attempts,
                "failure": one.failure,
                "set_aside": one.set_aside_at is not None,
            }
            for reference, state, one in worst
        ],
    }


def retry_set_aside(services: Services) -> int:
    """Try again what was set aside, once what made it fail is mended; how many deadlines that was. A case at a time."""
    with services.sessions.begin() as session:
        query = select(Deadline.case_id).where(Deadline.set_aside_at.is_not(None), Deadline.done_at.is_(None))
        found = session.scalars(query.distinct()).all()
    retried = 0
    for case_id in found:
        with services.sessions.begin() as session:
            retried += _retry(session, docket.lock_for_system(session, case_id), services.clock())
    return retried


def _retry(session: Session, case: Case, now: datetime) -> int:
    aside = (Deadline.case_id == case.id) & Deadline.set_aside_at.is_not(None) & Deadline.done_at.is_(None)
    query = update(Deadline).where(aside).values(set_aside_at=None, attempts=0, failure=None, wake_at=Deadline.due_at)
    retried = session.scalars(query.returning(Deadline.id).execution_options(synchronize_session=False)).all()
    deadlines.carry(case, deadlines.running(session, case.id))
    docket.record(session, case, "deadline_retried", docket.SYSTEM, now, visibility=docket.STAFF_SEE)
    return len(retried)


def next_wake(session: Session) -> datetime | None:
    """When the next deadline is to be looked at."""
    return session.scalar(select(func.min(Deadline.wake_at)))
