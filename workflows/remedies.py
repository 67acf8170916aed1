"""Remedies: what can be ordered, which legs carry it out, and sums exact to the minor unit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum

from workflows.refusals import Refused
from workflows.states import RemedyKind, Request

#: Largest amount in minor units: what a JSON reader holds exactly in a double (2^53 - 1, RFC 8785 section 3.2.2.3).
MAX_MINOR = 2**53 - 1


class Leg(StrEnum):
    """What is to be done after an agreement or a decision. The return and performance legs have no states yet."""

    REFUND = "refund"


#: The legs that each remedy on offer needs. A kind that is not here needs states that do not exist yet.
LEGS: dict[RemedyKind, tuple[Leg, ...]] = {
    RemedyKind.REFUND: (Leg.REFUND,),
    RemedyKind.PARTIAL_REFUND: (Leg.REFUND,),
    RemedyKind.COMPENSATION: (Leg.REFUND,),
    RemedyKind.NONE: (),
}
#: The remedy that grants each request on offer in full.
GRANTS: dict[Request, RemedyKind] = {
    Request.REFUND_ONLY: RemedyKind.REFUND,
    Request.COMPENSATION: RemedyKind.COMPENSATION,
}


def offered_request(request: str, *, field: str) -> Request:
    """The request, if it can be carried out. Raises Refused `not_offered_yet` naming `field`."""
    asked = Request(request)
    if asked not in GRANTS:
        raise Refused("not_offered_yet", field=field, value=request)
    return asked


def offered_kind(kind: str, *, field: str) -> RemedyKind:
    """The kind of remedy, if it can be carried out. Raises Refused `not_offered_yet` naming `field`."""
    wanted = RemedyKind(kind)
    if wanted not in LEGS:
        raise Refused("not_offered_yet", field=field, value=kind)
    return wanted


def legs_of(kinds: Iterable[RemedyKind]) -> tuple[Leg, ...]:
    """The union of the legs of several remedies, in the fixed order of `Leg`."""
    needed = {leg for kind in kinds for leg in LEGS[kind]}
    return tuple(leg for leg in Leg if leg in needed)


def combined_kind(kinds: Sequence[RemedyKind]) -> RemedyKind:
    """One name for the remedy of a case with several claims: the only kind, else `refund` if money is among them."""
    distinct = list(dict.fromkeys(kinds))
    if len(distinct) == 1:
        return distinct[0]
    paying = [kind for kind in distinct if LEGS[kind]]
    return paying[0] if len(paying) == 1 else RemedyKind.REFUND


def sums_exactly(parts: Iterable[int], total: int) -> bool:
    """Whether parts in minor units make up the total, to the last unit."""
    return sum(parts) == total
