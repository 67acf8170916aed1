"""The docket: its chain, its openings, where it leads by the procedure, and that the case stands there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from evidence import chain
from evidence.commitments import opens
from evidence.errors import NotCanonical
from mediation import docket
from mediation.auditing.audited import Audited, Difference, at_entry
from mediation.models import Deadline, DocketEntry, DocketOpening
from mediation.sight import entry_answer
from workflows import standing
from workflows.replayed import Clock, Entry, Replay

ROW = "the case's row"
#: Attributes that may name a person, so that a difference does not show what they hold.
_PERSONS = frozenset({"assignee", "pending_decision_by", "decided_by", "approved_by"})


def chained(session: Session, audited: Audited) -> Iterator[Difference]:
    """The entries verify as a chain, as the API would show them, and end in the case's head."""
    shown = [entry_answer(entry) for entry in audited.entries]
    for breach in chain.breaches(shown, audited.case.head.hex(), case=str(audited.case.id)):
        # That an entry goes on from where the one before it led is the replay's to tell.
        if breach.code != "state":
            place = "docket" if breach.seq is None else at_entry(breach.seq)
            yield audited.differs(f"chain: {breach.what}", place)


def opened(session: Session, audited: Audited) -> Iterator[Difference]:
    """Every commitment has its opening, and every opening that was not erased opens it.

    Notes in `audited.words` what may be relied on: what does not open its commitment is no part of the record.
    """
    for entry in audited.entries:
        found = audited.openings[entry.seq]
        words = audited.words.setdefault(entry.seq, {})
        if [one.n for one in found] != list(range(len(entry.commitments))):
            what = f"{len(found)} openings of {len(entry.commitments)} commitments"
            yield audited.differs(what, at_entry(entry.seq))
        for one in found:
            words[one.name] = None
            if one.salt is None and one.value is None:
                continue
            if _opens(entry, one):
                assert one.value is not None, "it opens"
                words[one.name] = one.value[one.name]
            else:
                what = "the opening does not open its commitment"
                yield audited.differs(what, f"{at_entry(entry.seq)}, opening {one.n} {one.name}")
    for seq in audited.openings.keys() - {entry.seq for entry in audited.entries}:
        yield audited.differs("there are openings of an entry that is not there", at_entry(seq))


def _opens(entry: DocketEntry, one: DocketOpening) -> bool:
    """Whether an opening opens its commitment, under its own name."""
    if one.salt is None or one.value is None or one.value.keys() != {one.name} or one.n >= len(entry.commitments):
        return False
    try:
        return opens(entry.commitments[one.n], one.salt, one.value)
    except NotCanonical:
        return False


def replayed(session: Session, audited: Audited) -> Iterator[Difference]:
    """Every step was one that the procedure allows, and the case's row stands where they lead."""
    told = docket.replay(audited.case, [_entry(one, audited.words[one.seq]) for one in audited.entries])
    for misstep in told.missteps:
        yield audited.differs(f"replay: {misstep.what}", at_entry(misstep.seq))
    yield from _row(audited, told)
    if told.case.clocks is not None:
        yield from _deadlines(session, audited, told.case.clocks)


def _entry(entry: DocketEntry, words: Mapping[str, Any]) -> Entry:
    return Entry(entry.seq, entry.at, entry.type, entry.from_state, entry.to_state, words)


def _row(audited: Audited, told: Replay) -> Iterator[Difference]:
    case, last = audited.case, (audited.entries[-1] if audited.entries else None)
    if last is None:
        # Without a docket the chain says that there is none, and nothing follows from it.
        return
    yield from audited.compare({"version": (case.version, last.seq), "updated_at": (case.updated_at, last.at)}, ROW)
    known = told.case.known()
    plain = {name: (getattr(case, name), value) for name, value in known.items() if name not in _PERSONS}
    yield from audited.compare(plain, ROW)
    for name in sorted(_PERSONS & known.keys()):
        if getattr(case, name) != known[name]:
            yield audited.differs(f"{name} is not whom the record says", ROW)
    try:
        derived = {
            "waiting_on": (case.waiting_on, standing.waiting_on(case)),
            "queue": (case.queue, standing.queue(case)),
        }
    except ValueError:
        yield audited.differs("it stands where no case can, so that it waits on nobody", ROW)
        return
    yield from audited.compare(derived, ROW)


def _deadlines(session: Session, audited: Audited, clocks: Mapping[str, Clock]) -> Iterator[Difference]:
    """The deadlines that are not over are those that the entries started, due when these say."""
    query = select(Deadline).where(Deadline.case_id == audited.case.id, Deadline.done_at.is_(None))
    rows: Sequence[Deadline] = session.scalars(query).all()
    running = {one.kind: one for one in rows}
    for kind in sorted(running.keys() | clocks.keys()):
        row, clock, place = running.get(kind), clocks.get(kind), f"deadline {kind}"
        if row is None or clock is None:
            yield audited.differs(f"it {'runs' if row else 'does not run'}, against the record", place)
            continue
        yield from audited.compare({"due_at": (row.due_at, clock.due_at), "fires": (row.fires, clock.fires)}, place)
