"""Redactions: each is entered in the docket, and what it took out has not come back.

What comes back opens its commitment like everything that was never erased, so nothing else would tell.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sqlalchemy import ARRAY, BigInteger, any_, func, literal, select
from sqlalchemy.orm import Session

from mediation.auditing.audited import Audited, Difference, at_entry
from mediation.models import ExhibitMessageOpening, Redaction

#: By status of a redaction: the types of the entries that name it, in order, with its request or without one.
_ENTERED: dict[str, tuple[tuple[str, ...], ...]] = {
    "pending": (("redaction_requested",),),
    "rejected": (("redaction_requested", "redaction_rejected"),),
    "done": (("redacted",), ("redaction_requested", "redacted")),
}
_TYPES = frozenset(one for ways in _ENTERED.values() for way in ways for one in way)


def erased(session: Session, audited: Audited) -> Iterator[Difference]:
    """Every redaction is entered as its status says, every such entry has its redaction, and what is gone is gone."""
    entered: dict[str, list[str]] = {}
    for entry in audited.entries:
        facts = audited.facts(entry.seq)
        if entry.type in _TYPES and "redaction" in facts:
            entered.setdefault(str(facts["redaction"]), []).append(entry.type)
    query = select(Redaction).where(Redaction.case_id == audited.case.id).order_by(Redaction.id)
    for one in session.scalars(query).all():
        found = tuple(entered.pop(str(one.id), ()))
        if found not in _ENTERED.get(one.status, ()):
            what = f"it is {one.status}, and the record has {' and '.join(found) or 'nothing'} of it"
            yield audited.differs(what, f"redaction {one.id}, {at_entry(one.seq)}")
        if one.status == "done":
            yield from _came_back(session, audited, one.erased)
    for identity in entered:
        yield audited.differs("it is on record, and not on file", f"redaction {identity}")


def _came_back(session: Session, audited: Audited, erased: Mapping[str, object]) -> Iterator[Difference]:
    """What a redaction took out and is there again."""
    exhibits = {exhibit.label: exhibit for exhibit in audited.exhibits}
    messages, entries = erased.get("messages"), erased.get("entries")
    for label, seqs in messages.items() if isinstance(messages, Mapping) else ():
        opening = ExhibitMessageOpening
        back = select(func.count()).where(
            opening.case_id == audited.case.id,
            opening.exhibit_id == (exhibits[label].id if label in exhibits else None),
            opening.seq == any_(literal(list(seqs), ARRAY(BigInteger))),
            opening.text.is_not(None) | opening.attachments.is_not(None),
        )
        if count := session.scalar(back):
            yield audited.differs(f"{count} messages that were redacted are there again", str(label))
    there = {(seq, one.name) for seq, found in audited.openings.items() for one in found if one.value is not None}
    for one in entries if isinstance(entries, list) else ():
        if (one["seq"], one["name"]) in there:
            yield audited.differs("what was erased is there again", f"{at_entry(one['seq'])}, opening {one['name']}")
