"""Remedies: what can be ordered, which legs carry it out, and sums exact to the minor unit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum

from workflows.states import RemedyKind, Request

#: Largest amount in minor units: what a JSON reader holds exactly in a double (2^53 - 1, RFC 8785 section 3.2.2.3).
MAX_MINOR = 2**53 - 1


class Leg(StrEnum):
    """What is to be done after an agreement or a decision, in the order in which it is done."""

    RETURN = "return"
    PERFORMANCE = "performance"
    REFUND = "refund"


#: The legs that carry out each remedy.
LEGS: dict[RemedyKind, tuple[Leg, ...]] = {
    RemedyKind.REFUND: (Leg.REFUND,),
    RemedyKind.PARTIAL_REFUND: (Leg.REFUND,),
    RemedyKind.COMPENSATION: (Leg.REFUND,),
    RemedyKind.RETURN_AND_REFUND: (Leg.RETURN, Leg.REFUND),
    RemedyKind.EXCHANGE: (Leg.RETURN, Leg.PERFORMANCE),
    RemedyKind.REPAIR: (Leg.RETURN, Leg.PERFORMANCE),
    RemedyKind.RESHIP: (Leg.PERFORMANCE,),
    RemedyKind.NONE: (),
}
#: The remedy that grants each request in full.
GRANTS: dict[Request, RemedyKind] = {
    Request.REFUND_ONLY: RemedyKind.REFUND,
    Request.RETURN_AND_REFUND: RemedyKind.RETURN_AND_REFUND,
    Request.EXCHANGE: RemedyKind.EXCHANGE,
    Request.RESHIP: RemedyKind.RESHIP,
    Request.REPAIR: RemedyKind.REPAIR,
    Request.COMPENSATION: RemedyKind.COMPENSATION,
}
#: Remedies that pay a sum; the others in kind pay one only where they are not performed.
PAYING = frozenset(kind for kind, legs in LEGS.items() if Leg.REFUND in legs)
IN_KIND = frozenset(kind for kind, legs in LEGS.items() if Leg.PERFORMANCE in legs)


def legs_of(kinds: Iterable[RemedyKind], *, return_required: bool = True) -> tuple[Leg, ...]:
    """The union of the legs of several remedies, in the fixed order of `Leg`.

    `return_required: false` lets the buyer keep what is exchanged or repaired; who gets the price back returns it.
    """
    needed: set[Leg] = set()
    for kind in kinds:
        legs = set(LEGS[kind])
        if not return_required and kind in IN_KIND:
            legs.discard(Leg.RETURN)
        needed |= legs
    return tuple(leg for leg in Leg if leg in needed)


def combined_kind(kinds: Sequence[RemedyKind]) -> RemedyKind:
    """One name for the remedy of a case with several claims: the only kind that grants something, else the most
    far-reaching: `refund` if all of them only pay, else the one with the most legs, the first of equals.
    """
    granting = [kind for kind in dict.fromkeys(kinds) if LEGS[kind]]
    if not granting:
        return RemedyKind.NONE
    if len(granting) == 1:
        return granting[0]
    if all(LEGS[kind] == (Leg.REFUND,) for kind in granting):
        return RemedyKind.REFUND
    return max(granting, key=lambda kind: len(LEGS[kind]))


def sums_exactly(parts: Iterable[int], total: int) -> bool:
    """Whether parts in minor units make up the total, to the last unit."""
    return sum(parts) == total
