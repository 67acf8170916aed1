"""The custody chain of each exhibit: whole, opened, and such that the heads which decisions sealed are in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from evidence.chain import FIRST_SEQ, GENESIS, entry_hash
from evidence.commitments import opens
from evidence.custody import CustodyAct
from evidence.errors import NotCanonical
from mediation.auditing.audited import Audited, Difference, at_entry
from mediation.models import CustodyEntry, CustodyOpening, Exhibit
from mediation.sight import CUSTODY_OF_STAFF, custody_answer

#: Entries that are in memory at the same time: an exhibit is viewed more often than its case moves.
_AT_A_TIME = 1_000
#: By exhibit: number of a custody entry, its hash, and the docket entry that sealed it.
_Sealed = dict[str, list[tuple[int, str, int]]]


def held(session: Session, audited: Audited) -> Iterator[Difference]:
    """The custody chain of every exhibit holds, and none was cut off or written anew since a decision sealed it."""
    sealed = _sealed(audited)
    for exhibit in audited.exhibits:
        wanted = {seq: (digest, entry) for seq, digest, entry in sealed.pop(str(exhibit.id), [])}
        before: Mapping[str, Any] | None = None
        for row in _rows(session, exhibit):
            shown = custody_answer(row.CustodyEntry)
            place = f"{exhibit.label}, custody entry {shown['seq']}"
            yield from (audited.differs(f"custody: {what}", place) for what in _faults(shown, before, row))
            if wanted.pop(shown["seq"], (shown["hash"], 0))[0] != shown["hash"]:
                yield audited.differs("custody: it is not the one that a decision sealed", place)
            before = shown
        for seq, (_, entry) in sorted(wanted.items()):
            place = f"{exhibit.label}, custody entry {seq}, sealed in {at_entry(entry)}"
            yield audited.differs("custody: it is not there", place)
    for seals in sealed.values():
        yield audited.differs("custody: a decision sealed that of an exhibit that is not there", at_entry(seals[0][2]))


def _rows(session: Session, exhibit: Exhibit) -> Iterator[Any]:
    entry, opening = CustodyEntry, CustodyOpening
    same = (opening.case_id == entry.case_id) & (opening.exhibit_id == entry.exhibit_id) & (opening.seq == entry.seq)
    query = (
        select(entry, opening.seq.label("opening_seq"), opening.salt, opening.value)
        .outerjoin(opening, same)
        .where(entry.case_id == exhibit.case_id, entry.exhibit_id == exhibit.id)
        .order_by(entry.seq)
    )
    for batch in session.execute(query.execution_options(yield_per=_AT_A_TIME)).partitions():
        yield from batch


def _faults(shown: Mapping[str, Any], before: Mapping[str, Any] | None, row: Any) -> Iterator[str]:
    """What is wrong with one entry, by itself and after the one before it."""
    expected = FIRST_SEQ if before is None else before["seq"] + 1
    if shown["seq"] != expected:
        yield f"entries {expected} to {shown['seq'] - 1} are missing"
    elif shown["prev"] != (GENESIS if before is None else before["hash"]):
        yield f"prev is not the hash of entry {expected - 1}"
    if shown["hash"] != entry_hash(shown):
        yield "the contents do not give the hash: the entry was altered"
    if before is not None and shown["act"] == CustodyAct.filed:
        yield "a filing does not come after anything else"
    if row.opening_seq is None:
        yield "nothing is there to open its commitment"
    elif (row.salt is not None or row.value is not None) and not _opens(row):
        yield "the opening does not open its commitment"


def _opens(row: Any) -> bool:
    try:
        return row.salt is not None and opens(row.CustodyEntry.commitment, row.salt, row.value)
    except NotCanonical:
        return False


def _sealed(audited: Audited) -> _Sealed:
    """The heads that decisions sealed, those that only staff may see among them."""
    found: _Sealed = {}
    for seq, words in audited.words.items():
        for heads in (audited.facts(seq).get("custody"), words.get(CUSTODY_OF_STAFF)):
            for head in heads.values() if isinstance(heads, Mapping) else ():
                found.setdefault(head["exhibit"], []).append((head["seq"], head["hash"], seq))
    return found
