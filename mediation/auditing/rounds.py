"""The round of an audit: case by case and then order by order, each as it stands at one moment.

A case is read in one transaction that is read only and sees one snapshot, so that nobody waits for the audit and a case
that changes meanwhile is judged by how it stood. Nothing is locked and nothing is written.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session, sessionmaker

from evidence.store import BlobStore
from mediation.auditing import blobs, custody, exhibits, money, record, redactions, rows, seals
from mediation.auditing.audited import Check, Counts, Difference, read
from mediation.models import Case, Exhibit, Order
from mediation.schemas import as_uuid

#: What is compared of each case, in this order: `record.opened` says which words the later ones may rely on.
CHECKS: tuple[Check, ...] = (
    record.chained,
    record.opened,
    record.replayed,
    rows.claimed,
    rows.offered,
    rows.decided,
    exhibits.filed,
    exhibits.messages,
    custody.held,
    redactions.erased,
    seals.sealed,
    money.refunded,
)
_PAGE = 500
_SNAPSHOT = text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")


@dataclass(slots=True)
class Round:
    """One round over everything on file, or over the cases that are named and their orders.

    `store` is None where the bytes of exhibits are left out. `kept` are the first `limit` differences; all are counted.
    """

    sessions: sessionmaker[Session]
    store: BlobStore | None
    limit: int
    counts: Counts = field(default_factory=Counts)
    kept: list[Difference] = field(default_factory=list)

    def find(self, named: str) -> Sequence[uuid.UUID]:
        """The cases of a reference, one a marketplace at most, or of an id; empty where there is none."""
        identity = as_uuid(named)
        query = select(Case.id).where(Case.reference == named.upper() if identity is None else Case.id == identity)
        with self.sessions.begin() as session:
            return session.scalars(query).all()

    def extent(self, named: Sequence[uuid.UUID] | None) -> tuple[int, int]:
        """How many cases and orders there are to go round now."""
        if named is not None:
            return len(named), len(self._orders_of(named))
        with self.sessions.begin() as session:
            count = select(func.count())
            return (
                session.scalar(count.select_from(Case)) or 0,
                session.scalar(count.select_from(Order)) or 0,
            )

    def over_cases(self, named: Sequence[uuid.UUID] | None = None) -> Iterator[None]:
        """Go from case to case, handing over after each. Cases opened meanwhile are left out."""
        for case_id in self._ids(Case) if named is None else sorted(named):
            self._case(case_id)
            yield

    def over_orders(self, named: Sequence[uuid.UUID] | None = None) -> Iterator[None]:
        """Go over the orders, handing over after each page of them. With `named`, over those of these cases."""
        ids = iter(self._ids(Order) if named is None else self._orders_of(named))
        while page := [one for _, one in zip(range(_PAGE), ids, strict=False)]:
            with self.sessions.begin() as session:
                session.execute(_SNAPSHOT)
                self._keep(money.orders(session, page, self.counts))
            yield

    def _case(self, case_id: uuid.UUID) -> None:
        with self.sessions.begin() as session:
            session.execute(_SNAPSHOT)
            audited = read(session, case_id, self.counts)
            self._keep(chain.from_iterable(check(session, audited) for check in CHECKS))
            expected = blobs.expected(audited)
        if self.store is not None:
            # Outside the transaction: bytes may take longer to come than the database lets one idle.
            self._keep(blobs.stored(self.store, expected, self.counts, redacted=self._redacted))

    def _keep(self, differences: Iterator[Difference]) -> None:
        for one in differences:
            self.counts.differences += 1
            if len(self.kept) < self.limit:
                self.kept.append(one)

    def _ids(self, model: type[Case] | type[Order]) -> Iterator[uuid.UUID]:
        """The ids that there are now, page by page: those made later are larger."""
        with self.sessions.begin() as session:
            last = session.scalar(select(model.id).order_by(model.id.desc()).limit(1))
        after = uuid.UUID(int=0)
        while last is not None and after < last:
            with self.sessions.begin() as session:
                query = select(model.id).where(model.id > after, model.id <= last).order_by(model.id).limit(_PAGE)
                page = session.scalars(query).all()
            yield from page
            after = page[-1] if page else last

    def _orders_of(self, named: Sequence[uuid.UUID]) -> list[uuid.UUID]:
        with self.sessions.begin() as session:
            query = select(Case.order_id).where(Case.id.in_(named)).distinct().order_by(Case.order_id)
            return list(session.scalars(query))

    def _redacted(self, blob: blobs.Blob) -> bool:
        """Whether an exhibit was redacted since its snapshot was taken."""
        with self.sessions.begin() as session:
            return session.scalar(select(Exhibit.blob_key).where(Exhibit.id == blob.exhibit_id)) is None
