"""Custody: every act on an exhibit, in a chain of its own. Neither locks the case nor changes its version, nor waits
for whoever has it locked."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, select, true
from sqlalchemy.orm import Session

from evidence.commitments import commit
from evidence.custody import CustodyAct, seal_entry
from mediation.docket import PARTIES_SEE
from mediation.models import Case, CustodyEntry, CustodyOpening, Exhibit
from workflows.acts import Actor

_NOTHING = bytes(32)
#: Distinguishes these advisory locks from those of other uses.
_LOCK_SPACE = 0x63757374


def record(session: Session, exhibit: Exhibit, actor: Actor, now: datetime, act: CustodyAct, **what: Any) -> None:
    """Enter one act in the exhibit's chain. `what` says on which part, in plain values.

    Acts on one exhibit queue for each other until their transactions end; whoever enters on several takes them in one
    order, see `record_all`. Nothing is kept where the transaction is taken back.
    """
    # Not the exhibit's row, which a redaction holds while it works through the whole case. The four bytes are random
    # ones of a UUIDv7: two exhibits that share them wait for each other now and then, and nothing else comes of it.
    session.execute(select(func.pg_advisory_xact_lock(_LOCK_SPACE, _lock_of(exhibit))))
    # Only now, and as a statement of its own: it must see what was committed while the lock was waited for.
    last = session.execute(
        select(CustodyEntry.seq, CustodyEntry.at, CustodyEntry.hash)
        .where(CustodyEntry.case_id == exhibit.case_id, CustodyEntry.exhibit_id == exhibit.id)
        .order_by(CustodyEntry.seq.desc())
        .limit(1)
    ).one_or_none()
    who = {
        "role": actor.role.value,
        "subject": actor.subject,
        "acts_for": actor.acts_for,
        "marketplace": actor.marketplace,
    }
    value = {"actor": who, "what": what}
    made = commit(value)
    seq, prev = (1, _NOTHING) if last is None else (last.seq + 1, last.hash)
    at = now if last is None else max(now, last.at)
    sealed = seal_entry(exhibit=str(exhibit.id), seq=seq, prev=prev.hex(), at=at, act=act, commitment=made.digest.hex())
    place = {"case_id": exhibit.case_id, "exhibit_id": exhibit.id, "seq": seq}
    session.execute(
        insert(CustodyEntry),
        place
        | {
            "v": sealed["v"],
            "at": at,
            "act": act.value,
            "commitment": made.digest,
            "prev": prev,
            "hash": bytes.fromhex(sealed["hash"]),
        },
    )
    session.execute(insert(CustodyOpening), place | {"salt": made.salt, "value": value})


def record_all(
    session: Session, exhibits: Sequence[Exhibit], actor: Actor, now: datetime, act: CustodyAct, **what: Any
) -> None:
    """Enter one act on several exhibits, in an order in which no two callers can wait for each other."""
    for exhibit in sorted(exhibits, key=_lock_of):
        record(session, exhibit, actor, now, act, **what)


def _lock_of(exhibit: Exhibit) -> int:
    return int.from_bytes(exhibit.id.bytes[-4:], signed=True)


#: The last entry of each exhibit, looked up from the end of its chain: a case has many more views than exhibits.
_LAST = (
    select(CustodyEntry.seq.label("last_seq"), CustodyEntry.hash)
    .where(CustodyEntry.case_id == Exhibit.case_id, CustodyEntry.exhibit_id == Exhibit.id)
    .order_by(CustodyEntry.seq.desc())
    .limit(1)
    .correlate(Exhibit)
    .lateral("last")
)
_HEADS = select(Exhibit.id, Exhibit.label, Exhibit.visibility, _LAST.c.last_seq, _LAST.c.hash).join(_LAST, true())


def head(session: Session, exhibit: Exhibit) -> tuple[int, bytes] | None:
    """Number and hash of the last entry of an exhibit's chain, None if there is none. Waits for nobody."""
    row = session.execute(_HEADS.where(Exhibit.id == exhibit.id)).one_or_none()
    return None if row is None else (row.last_seq, row.hash)


def heads(session: Session, case_id: uuid.UUID) -> dict[uuid.UUID, tuple[int, bytes]]:
    """Where each custody chain of the case stands: number and hash of its last entry, by exhibit. Waits for nobody."""
    rows = session.execute(_HEADS.where(Exhibit.case_id == case_id))
    return {row.id: (row.last_seq, row.hash) for row in rows}


def sealed_heads(session: Session, case: Case) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a decision seals: the heads of the exhibits that both sides may see, and those of the others, by label.

    Each is `{exhibit, seq, hash}`. Waits for nobody: what is viewed at this moment comes after the decision.
    """
    seen: dict[str, Any] = {}
    unseen: dict[str, Any] = {}
    for row in session.execute(_HEADS.where(Exhibit.case_id == case.id).order_by(Exhibit.seq)):
        part = seen if row.visibility == PARTIES_SEE else unseen
        part[row.label] = {"exhibit": str(row.id), "seq": row.last_seq, "hash": row.hash.hex()}
    return seen, unseen
