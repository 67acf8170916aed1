"""The bytes of exhibits that were redacted, taken out of the blob store after the commit that says so.

A process that dies in between, or a store that is away, leaves the bytes and a row that says they are still there: the
next sweep takes them.
"""

from __future__ import annotations

import structlog
from sqlalchemy import select, update

from evidence.errors import BlobNotDeleted
from evidence.store import blob_folder
from mediation.models import Exhibit
from mediation.services import Services

log = structlog.get_logger("mediation.erasure")


def sweep(house: Services, *, limit: int = 100) -> int:
    """Delete what is left of up to `limit` redacted exhibits, for good; of how many it is gone. Safe to repeat."""
    with house.sessions.begin() as session:
        found = session.execute(
            select(Exhibit.id, Exhibit.case_id)
            .where(Exhibit.redacted_at.is_not(None), Exhibit.blob_erased_at.is_(None))
            .order_by(Exhibit.id)
            .limit(limit)
        ).all()
    gone = 0
    for exhibit, case in found:
        try:
            house.blobs.delete_folder(blob_folder(str(case), str(exhibit)))
        except BlobNotDeleted:
            # Nobody who redacts can do anything about it; the next sweep tries again.
            log.warning("bytes_not_erased", exhibit=str(exhibit))
            continue
        with house.sessions.begin() as session:
            session.execute(
                update(Exhibit)
                .where(Exhibit.id == exhibit, Exhibit.blob_erased_at.is_(None))
                .values(blob_erased_at=house.real())
            )
        gone += 1
    return gone
