"""Rows beside the case that say again what its docket says: claims, lines in dispute, offers, decisions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mediation.auditing.audited import Audited, Difference, at_entry
from mediation.models import Claim, Decision, Offer, OpenLine
from workflows.states import FINAL_STATES

_CLAIM = ("line_id", "reason", "request", "amount_minor", "currency")


def claimed(session: Session, audited: Audited) -> Iterator[Difference]:
    """The claims are those that the case was opened with, and their lines are in dispute until it is over."""
    case = audited.case
    rows = session.scalars(select(Claim).where(Claim.case_id == case.id).order_by(Claim.n)).all()
    stated = audited.facts(1).get("claims")
    if isinstance(stated, list):
        if len(stated) != len(rows):
            yield audited.differs(f"there are {len(rows)} claims, and {len(stated)} are on record", at_entry(1))
        for n, (row, said) in enumerate(zip(rows, stated, strict=False)):
            pairs = {name: (getattr(row, name), said[name]) for name in _CLAIM if name in said}
            yield from audited.compare(pairs | {"id": (str(row.id), said.get("id", str(row.id)))}, f"claim {n}")
    if sum(row.amount_minor for row in rows) != case.claimed_minor:
        yield audited.differs(f"claimed_minor is {case.claimed_minor}, which is not the sum of its claims", "claims")
    held = set(session.scalars(select(OpenLine.line_id).where(OpenLine.case_id == case.id)))
    if held != (set() if case.state in FINAL_STATES else {row.line_id for row in rows}):
        yield audited.differs(f"{len(held)} order lines are marked as in dispute, which are not those", "claims")


def offered(session: Session, audited: Audited) -> Iterator[Difference]:
    """There are as many offers as were made, and one is open exactly where the case says so."""
    case, offer = audited.case, Offer
    made, still_open = session.execute(
        select(func.count(), func.count().filter(offer.status == "open")).where(offer.case_id == case.id)
    ).one()
    if made != case.offers_made:
        yield audited.differs(f"offers_made is {case.offers_made}, and there are {made} offers", "offers")
    if still_open != (case.open_offer_by is not None):
        yield audited.differs(f"{still_open} offers are open, and open_offer_by is {case.open_offer_by}", "offers")


def decided(session: Session, audited: Audited) -> Iterator[Difference]:
    """Each decision is, in figures and closed lists, as the entry says that holds its words."""
    case = audited.case
    rows = session.scalars(select(Decision).where(Decision.case_id == case.id).order_by(Decision.number)).all()
    for row in rows:
        said: Any = audited.facts(row.seq).get("decision")
        place = f"decision {row.number}, {at_entry(row.seq)}"
        if not isinstance(said, dict):
            yield audited.differs("no decision is entered there", place)
            continue
        wrong = [name for name, value in said.items() if getattr(row, name, value) != value]
        for name in sorted(wrong):
            yield audited.differs(f"{name} is not as the record says", place)
    issued = sum(row.issued_number is not None for row in rows)
    if issued != case.decisions_issued:
        what = f"decisions_issued is {case.decisions_issued}, and {issued} decisions were"
        yield audited.differs(what, "decisions")
