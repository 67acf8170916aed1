"""The bytes of exhibits that were redacted, taken out of the blob store after the commit that says so.

A process that dies in between, or a store that is away, leaves the bytes and a row that says they are still there: the
next sweep takes them.
"""

from __future__ import annotations

import uuid
from datetime import timedelta

import structlog
from sqlalchemy import select, update

from evidence.errors import BlobNotDeleted
from evidence.store import blob_folder
from mediation.models import Exhibit
from mediation.services import Services

#: No filing takes as long: what no exhibit names by then was left by a process that died.
STRAY_AFTER = timedelta(hours=1)
log = structlog.get_logger("mediation.erasure")


def sweep(house: Services, *, limit: int = 100) -> int:
    """Delete what is left of redacted exhibits, `limit` at a time, for good; of how many it is gone. Safe to repeat.

    With them goes what stands beside them in the store and never became an exhibit: it may be the same file, whose
    upload was cut off.
    """
    gone, last = 0, uuid.UUID(int=0)
    while True:
        # On behind those of the page before: what cannot be deleted today must not keep the rest waiting.
        found = _left(house, last, limit)
        gone += sum(_is_gone(house, exhibit, case) for exhibit, case in found)
        if len(found) < limit:
            return gone
        last = found[-1][0]


def _left(house: Services, after: uuid.UUID, limit: int) -> list[tuple[uuid.UUID, uuid.UUID]]:
    with house.sessions.begin() as session:
        rows = session.execute(
            select(Exhibit.id, Exhibit.case_id)
            .where(Exhibit.redacted_at.is_not(None), Exhibit.blob_erased_at.is_(None), Exhibit.id > after)
            .order_by(Exhibit.id)
            .limit(limit)
        )
        return [(row.id, row.case_id) for row in rows]


def _is_gone(house: Services, exhibit: uuid.UUID, case: uuid.UUID) -> bool:
    """Delete what is stored of an exhibit and note it; False where the store does not let it go now."""
    try:
        _delete_strays(house, case)
        house.blobs.delete_folder(blob_folder(str(case), str(exhibit)))
    except BlobNotDeleted:
        # Nobody who redacts can do anything about it; the next sweep tries again.
        log.warning("bytes_not_erased", exhibit=str(exhibit))
        return False
    with house.sessions.begin() as session:
        session.execute(
            update(Exhibit)
            .where(Exhibit.id == exhibit, Exhibit.blob_erased_at.is_(None))
            .values(blob_erased_at=house.real())
        )
    return True


def _delete_strays(house: Services, case: uuid.UUID) -> None:
    # The store first: what is in it by now, and is an exhibit, has its row by the time the rows are read.
    written = house.blobs.folders(str(case))
    with house.sessions.begin() as session:
        known = {str(one) for one in session.scalars(select(Exhibit.id).where(Exhibit.case_id == case))}
    for name, at in written.items():
        if name not in known and at < house.real() - STRAY_AFTER:
            house.blobs.delete_folder(blob_folder(str(case), name))
