"""What an audit finds and counts, and one case as it is read for it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from mediation.models import Case, DocketEntry, DocketOpening, Exhibit
from mediation.sealing import published


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that is not as it ought to be: of which case (its reference) or order, what, and where. Holds nothing
    that anybody wrote."""

    subject: str
    what: str
    place: str

    def __str__(self) -> str:
        return f"{self.subject} {self.what} ({self.place})"


@dataclass(slots=True)
class Counts:
    """What was looked at so far."""

    cases: int = 0
    entries: int = 0
    messages: int = 0
    blobs: int = 0
    seals: int = 0
    orders: int = 0
    differences: int = 0


@dataclass(slots=True)
class Audited:
    """One case in one snapshot. `openings` are by entry, in order; `words` what they hide, by entry and name, None
    where that was erased or does not open its commitment.
    """

    case: Case
    entries: Sequence[DocketEntry]
    openings: Mapping[int, Sequence[DocketOpening]]
    exhibits: Sequence[Exhibit]
    keys: Mapping[str, Any]
    counts: Counts
    words: dict[int, dict[str, Any]] = field(default_factory=dict)

    def differs(self, what: str, place: str) -> Difference:
        """A difference in this case."""
        return Difference(self.case.reference, what, place)

    def facts(self, seq: int) -> Mapping[str, Any]:
        """The facts of an entry; empty where it has none that can be read."""
        found = self.words.get(seq, {}).get("facts")
        return found if isinstance(found, Mapping) else {}

    def compare(self, pairs: Mapping[str, tuple[Any, Any]], place: str) -> Iterator[Difference]:
        """A difference for each name of which what is on file (first) is not what the record says."""
        for name, (found, said) in pairs.items():
            if found != said:
                yield self.differs(f"{name} is {shown(found)}, and the record says {shown(said)}", place)


#: One thing to be compared, in the case's snapshot.
Check = Callable[[Session, Audited], Iterator[Difference]]


def shown(value: Any) -> str:
    """A value of a closed list, a number, a time or a digest. A text that may be anybody's is passed in as a bool."""
    if value is None:
        return "null"
    return value.hex() if isinstance(value, bytes) else str(value)


def at_entry(seq: int) -> str:
    """A place in the docket."""
    return f"entry {seq}"


def read(session: Session, case_id: uuid.UUID, counts: Counts) -> Audited:
    """The case with its docket and exhibits, as the session's snapshot has them."""
    whole = (joinedload(Case.buyer), joinedload(Case.seller), joinedload(Case.order))
    case = session.scalars(select(Case).where(Case.id == case_id).options(*whole)).one()
    entries = session.scalars(select(DocketEntry).where(DocketEntry.case_id == case_id).order_by(DocketEntry.seq)).all()
    opening = DocketOpening
    openings: dict[int, list[DocketOpening]] = {entry.seq: [] for entry in entries}
    for one in session.scalars(select(opening).where(opening.case_id == case_id).order_by(opening.seq, opening.n)):
        openings.setdefault(one.seq, []).append(one)
    exhibits = session.scalars(select(Exhibit).where(Exhibit.case_id == case_id).order_by(Exhibit.seq)).all()
    counts.cases += 1
    counts.entries += len(entries)
    return Audited(case, entries, openings, exhibits, {"keys": published(session)}, counts)
