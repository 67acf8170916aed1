"""Money held on an order for its cases. The case is locked already; two cases of one order meet at the order row."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Row, update
from sqlalchemy.orm import Session

from mediation import deadlines, policies
from mediation.models import Case, Order
from workflows import money
from workflows.policies import Found
from workflows.refusals import Refused


@dataclass(frozen=True, slots=True)
class Held:
    """What a case holds on its order, in minor units. Only `refund` counts against what was paid."""

    refund: int = 0
    compensation: int = 0
    freight: int = 0


@dataclass(frozen=True, slots=True)
class Caps:
    """The most that all cases of an order together may hold beside what was paid; None: no cap. With their rows."""

    compensation: int | None
    compensation_row: str
    freight: int | None
    freight_row: str

    @classmethod
    def of(cls, session: Session, case: Case, at: datetime) -> Caps:
        """The caps of the policies in force: of several claims the highest, as each of them might be alone."""
        book, matters = policies.in_force(session, at)[1], deadlines.matters(case)
        compensation = _highest([book.compensation_cap(case.currency, matter) for matter in matters])
        freight = _highest([book.freight_cap(case.currency, matter) for matter in matters])
        return cls(compensation.value, compensation.row, freight.value, freight.row)


def _highest(found: list[Found[int | None]]) -> Found[int | None]:
    return max(found, key=lambda one: (one.value is None, one.value or 0))


def hold(session: Session, case: Case, held: Held, caps: Caps | None) -> None:
    """Hold exactly this for the case, instead of what it held. The database refuses more than was paid.

    Raises Refused `compensation_above_cap` or `freight_above_cap`.
    """
    more = Held(
        held.refund - case.reserved_minor,
        held.compensation - case.compensation_minor,
        held.freight - case.freight_minor,
    )
    if more == Held():
        return
    left = _shift(session, case, more, refunded=0)
    if caps is not None:
        if more.compensation > 0 and caps.compensation is not None and left.compensation_minor > caps.compensation:
            cap = money.shown(caps.compensation, case.currency)
            raise Refused("compensation_above_cap", field="remedy", cap=cap, row=caps.compensation_row)
        if more.freight > 0 and caps.freight is not None and left.freight_minor > caps.freight:
            cap = money.shown(caps.freight, case.currency)
            raise Refused("freight_above_cap", field="remedy.freight", cap=cap, row=caps.freight_row)
    case.reserved_minor, case.compensation_minor, case.freight_minor = held.refund, held.compensation, held.freight


def settle(session: Session, case: Case) -> None:
    """What the case held has been paid back."""
    _shift(session, case, Held(-case.reserved_minor), refunded=case.reserved_minor)
    # Compensation and freight stay counted on the order: their caps are for all of its cases together.
    case.reserved_minor = case.compensation_minor = case.freight_minor = 0


def _shift(session: Session, case: Case, more: Held, *, refunded: int) -> Row[int, int]:
    return session.execute(
        update(Order)
        .where(Order.id == case.order_id)
        .values(
            reserved_minor=Order.reserved_minor + more.refund,
            refunded_minor=Order.refunded_minor + refunded,
            compensation_minor=Order.compensation_minor + more.compensation,
            freight_minor=Order.freight_minor + more.freight,
        )
        .returning(Order.compensation_minor, Order.freight_minor)
        .execution_options(synchronize_session=False)
    ).one()
