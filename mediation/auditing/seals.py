"""Signed heads: each verifies against the published keys and names an entry of the docket, one for each decision."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import select
from sqlalchemy.orm import Session

from evidence import sealing
from evidence.errors import BadSeal
from mediation.auditing.audited import Audited, Difference, at_entry
from mediation.models import Seal
from workflows.states import CaseState

#: What issues a decision, where it leads to one.
_ISSUES = frozenset({"decide", "approve"})


def sealed(session: Session, audited: Audited) -> Iterator[Difference]:
    """Every seal is a signature of ours over the head as its entry left it, and every issued decision has one."""
    seals = session.scalars(select(Seal).where(Seal.case_id == audited.case.id).order_by(Seal.seq)).all()
    audited.counts.seals += len(seals)
    for seal in seals:
        what = _wrong(audited, seal)
        if what is not None:
            yield audited.differs(f"seal: {what}", at_entry(seal.seq))
    there = {seal.seq for seal in seals}
    for entry in audited.entries:
        issued = entry.type in _ISSUES and entry.to_state == CaseState.DECIDED
        if issued and entry.seq not in there:
            yield audited.differs("seal: the decision has none", at_entry(entry.seq))


def _wrong(audited: Audited, seal: Seal) -> str | None:
    keys = [key for key in audited.keys["keys"] if key.get("kid") == seal.kid]
    try:
        # By the key that the row names and no other.
        said = sealing.verify(seal.jws, {"keys": keys})
    except BadSeal:
        return "it is not a signature by the key that it names"
    entry = next((one for one in audited.entries if one.seq == seal.seq), None)
    if entry is None:
        return "its entry is not there"
    if said != sealing.head_statement(str(audited.case.id), entry.seq, entry.hash.hex(), entry.at):
        return "it does not name the head as the entry left it"
    return None
