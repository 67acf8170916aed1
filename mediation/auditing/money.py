"""Money: each refund against the docket and the ledger, each order against what its cases hold and what was paid back.

A remedy's refund counts against what was paid for the order; compensation and freight are counted apart, and stay
counted once they were paid.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import BigInteger, cast, func, select
from sqlalchemy.orm import Session

from mediation.auditing.audited import Audited, Counts, Difference, at_entry
from mediation.models import Case, LedgerEntry, Order, Refund, RefundStatus
from workflows.states import CaseState, EscalationReason

SETTLED = (RefundStatus.SETTLED, RefundStatus.SETTLED_ELSEWHERE)
UNDER_WAY = (RefundStatus.REQUESTED, RefundStatus.SENT)
_SETTLES = ("settle_refund", "settle_elsewhere")
#: What is debited and what passes through, as against what the buyer is credited with.
_NOT_PAID = frozenset({"liability", "advance", "recovery"})


def refunded(session: Session, audited: Audited) -> Iterator[Difference]:
    """Where the case stands a refund is under way, and what was settled is entered: in the docket, and once in the
    ledger, whose movements sum to zero and credit the buyer with what was owed.
    """
    case = audited.case
    refunds = session.scalars(select(Refund).where(Refund.case_id == case.id).order_by(Refund.id)).all()
    found = [refund.status for refund in refunds if refund.status not in SETTLED]
    failed = case.escalation_reason == EscalationReason.REFUND_FAILED and case.state == CaseState.ESCALATED
    if case.state == CaseState.REFUND and not (len(found) == 1 and found[0] in UNDER_WAY):
        yield audited.differs("it waits for a refund, and none is under way", "refunds")
    elif failed and found != [RefundStatus.FAILED]:
        yield audited.differs("its refund failed, and there is none that did", "refunds")
    elif found and case.state != CaseState.REFUND and not failed:
        yield audited.differs("a refund is not settled, and the case does not wait for it", "refunds")
    yield from _entered(audited, [refund for refund in refunds if refund.status in SETTLED])
    for refund in refunds:
        yield from _moved(session, audited, refund)


def _entered(audited: Audited, settled: Sequence[Refund]) -> Iterator[Difference]:
    """Settled refunds and the entries that say so, one for one and in order."""
    entries = [entry for entry in audited.entries if entry.type in _SETTLES]
    if len(entries) != len(settled):
        what = f"{len(settled)} refunds are settled, and {len(entries)} on record"
        yield audited.differs(what, "refunds")
        return
    by_time = sorted(settled, key=lambda refund: (refund.settled_at is not None, refund.settled_at))
    for refund, entry in zip(by_time, entries, strict=True):
        facts, place = audited.facts(entry.seq), f"refund {refund.id}, {at_entry(entry.seq)}"
        said = {"id": facts.get("refund", str(refund.id)), "amount_minor": facts.get("amount_minor")}
        pairs: dict[str, tuple[Any, Any]] = {
            "settled_at": (refund.settled_at, entry.at),
            "id": (str(refund.id), said["id"]),
        }
        if said["amount_minor"] is not None:
            pairs["amount_minor"] = (refund.amount_minor, said["amount_minor"])
        yield from audited.compare(pairs, place)


def _moved(session: Session, audited: Audited, refund: Refund) -> Iterator[Difference]:
    """The movements of one refund."""
    place = f"refund {refund.id}"
    rows = session.scalars(select(LedgerEntry).where(LedgerEntry.refund_id == refund.id)).all()
    if bool(rows) != (refund.status in SETTLED):
        yield audited.differs(f"it is {refund.status}, and {len(rows)} movements are in the ledger", place)
    if refund.order_id != audited.case.order_id:
        yield audited.differs("it is of another order", place)
    if sum(refund.purposes.values()) != refund.amount_minor:
        yield audited.differs("its purposes do not make up its amount", place)
    if not rows:
        return
    if {(row.case_id, row.currency) for row in rows} != {(audited.case.id, refund.currency)}:
        yield audited.differs("ledger: a movement is of another case or currency", place)
    total = sum(row.amount_minor for row in rows)
    if total:
        yield audited.differs(f"ledger: its movements sum to {total}", place)
    credits: dict[str | None, int] = {}
    for row in rows:
        # Before purposes were entered, what was credited was all for one.
        if row.purpose not in _NOT_PAID and row.amount_minor > 0:
            credits[row.purpose] = credits.get(row.purpose, 0) + row.amount_minor
    paid = {None: refund.amount_minor} if None in credits else refund.purposes
    if credits != paid:
        yield audited.differs("ledger: the buyer is not credited with what was owed", place)


# --- orders ------------------------------------------------------------------------------------------------------

_HOLDS = ("reserved", "compensation", "freight")


def orders(session: Session, ids: Sequence[uuid.UUID], counts: Counts) -> Iterator[Difference]:
    """What is held and refunded on each of these orders is what its cases hold and what was settled, in one statement
    and so at one moment.
    """
    for row in session.execute(_ORDERS.where(Order.id.in_(ids)).order_by(Order.id)):
        counts.orders += 1
        subject = f"order {row.marketplace}/{row.external_id}"
        wanted = {
            "reserved_minor": row.reserved,
            "refunded_minor": row.paid_refund,
            "compensation_minor": row.compensation + row.paid_compensation,
            "freight_minor": row.freight + row.paid_freight,
        }
        for name, value in wanted.items():
            found = getattr(row, name)
            if found != value:
                yield Difference(subject, f"{name} is {found}, and its cases and refunds make {value}", "order")


def _held(name: str) -> Any:
    total = func.coalesce(func.sum(getattr(Case, f"{name}_minor")), 0)
    return select(cast(total, BigInteger)).where(Case.order_id == Order.id).scalar_subquery().label(name)


def _paid(purpose: str) -> Any:
    total = func.coalesce(func.sum(cast(Refund.purposes[purpose].as_string(), BigInteger)), 0)
    # Found by way of its cases: there is an index to the refunds of a case, and none to those of an order.
    settled = select(cast(total, BigInteger)).join(Case, Case.id == Refund.case_id)
    settled = settled.where(Case.order_id == Order.id, Refund.status.in_(SETTLED))
    return settled.scalar_subquery().label(f"paid_{purpose}")


_ORDERS = select(
    Order.id,
    Order.marketplace,
    Order.external_id,
    Order.reserved_minor,
    Order.refunded_minor,
    Order.compensation_minor,
    Order.freight_minor,
    *(_held(name) for name in _HOLDS),
    *(_paid(purpose) for purpose in ("refund", "compensation", "freight")),
)
