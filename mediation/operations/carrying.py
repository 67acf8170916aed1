"""Carrying out what was agreed or decided: the remedy as a sum of purposes, the legs in their order, the money held.

A remedy as the case keeps it is `{kind, amount_minor, currency, freight_bearer, return_required, purposes,
in_place_minor}`: `purposes` are the parts of the sum (refund, compensation, freight), `in_place_minor` is what goes
back where a remedy in kind is not performed. The order bears all of it from the moment it is granted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mediation import deadlines, docket, policies
from mediation.errors import InvalidBody
from mediation.models import Case, Claim, DocketOpening
from mediation.operations import holding, refunds
from workflows import money
from workflows.acts import Actor
from workflows.guards import is_within
from workflows.refusals import Refused
from workflows.remedies import GRANTS, IN_KIND, PAYING, Leg, combined_kind, legs_of
from workflows.states import CaseState, RemedyKind, Request, Side

ADDRESS = "return_address"


@dataclass(frozen=True, slots=True)
class Part:
    """What one claim is granted: a kind, the sum it pays, and the value that goes back if it is not performed."""

    kind: RemedyKind
    amount_minor: int
    in_place_minor: int = 0


@dataclass(frozen=True, slots=True)
class Grant:
    """A remedy to be carried out, and its legs in order."""

    remedy: dict[str, Any]
    legs: list[str]

    @property
    def returns(self) -> bool:
        """Whether goods go back first."""
        return Leg.RETURN in self.legs


def grant(
    parts: Sequence[Part],
    currency: str,
    *,
    kind: RemedyKind | None = None,
    freight_minor: int = 0,
    freight_bearer: str | None = None,
    return_required: bool = True,
) -> Grant:
    """The remedy that these parts make up. `freight_minor` is return freight repaid to the buyer."""
    purposes = {
        "refund": sum(part.amount_minor for part in parts if part.kind is not RemedyKind.COMPENSATION),
        "compensation": sum(part.amount_minor for part in parts if part.kind is RemedyKind.COMPENSATION),
        "freight": freight_minor,
    }
    legs = legs_of((part.kind for part in parts), return_required=return_required)
    if freight_minor and Leg.REFUND not in legs:
        legs = (*legs, Leg.REFUND)
    remedy = {
        "kind": kind or combined_kind([part.kind for part in parts]),
        "amount_minor": sum(purposes.values()),
        "currency": currency,
        "freight_bearer": freight_bearer,
        "return_required": Leg.RETURN in legs,
        "purposes": {name: amount for name, amount in purposes.items() if amount},
        "in_place_minor": sum(part.in_place_minor for part in parts),
    }
    return Grant(remedy, [str(leg) for leg in legs])


def all_that_was_asked(session: Session, case: Case) -> Grant:
    """What grants every claim in full. Goods that are on their way back, or back, are not asked for again."""
    rows = session.execute(
        select(Claim.request, Claim.amount_minor).where(Claim.case_id == case.id).order_by(Claim.n)
    ).all()
    granted = grant([_granting(GRANTS[Request(request)], amount) for request, amount in rows], case.currency)
    if case.return_shipped_at is None:
        return granted
    return Grant(granted.remedy, [leg for leg in granted.legs if leg != Leg.RETURN])


def of_kind(
    session: Session, case: Case, kind: RemedyKind, amount_minor: int, *, return_required: bool = True
) -> Grant:
    """One remedy for the whole case, as an offer or a proposal names it.

    In kind, it is worth what was claimed beside compensation, or at least the order's price if only that was claimed.
    """
    part = Part(kind, amount_minor)
    if kind in IN_KIND:
        claimed = select(func.sum(Claim.amount_minor)).where(Claim.case_id == case.id)
        beside = session.scalar(claimed.where(Claim.request != Request.COMPENSATION))
        part = Part(kind, 0, int(beside or min(case.claimed_minor, case.order.paid_minor)))
    return grant([part], case.currency, return_required=return_required)


def check_offered(case: Case, kind: RemedyKind, amount: Mapping[str, Any] | None, place: str = "amount") -> None:
    """Raises InvalidBody where a remedy and its sum do not go together, or the order cannot bear it."""
    errors: dict[str, list[str]] = {}
    if kind is RemedyKind.NONE:
        errors["remedy"] = ["Must offer something; to end the dispute without a remedy the buyer withdraws it."]
    elif kind in PAYING and amount is None:
        errors[place] = ["Missing data for required field."]
    elif kind in IN_KIND and amount is not None:
        errors[place] = ["Must be left out: a remedy in kind pays nothing while it is performed."]
    if amount is not None:
        if amount["currency"] != case.currency:
            errors[f"{place}.currency"] = [f"Must be the order's currency, {case.currency}."]
        elif amount["amount"] > case.order.paid_minor:
            errors[f"{place}.amount"] = ["Must not exceed what was paid for the order."]
    if errors:
        raise InvalidBody(errors=errors)


def _granting(kind: RemedyKind, claimed_minor: int) -> Part:
    return Part(kind, 0, claimed_minor) if kind in IN_KIND else Part(kind, claimed_minor)


# --- where returned goods go -------------------------------------------------------------------------------------


def address_on_file(session: Session, case: Case, at: datetime) -> Mapping[str, Any] | None:
    """The address to return goods to where nobody gave one: the seller's own, else the one of the policies."""
    if case.seller.return_address is not None:
        return case.seller.return_address
    book = policies.in_force(session, at)[1]
    found = (book.return_address(matter) for matter in deadlines.matters(case))
    return next((one.value for one in found if one is not None), None)


def address(
    session: Session, case: Case, actor: Actor, body: Mapping[str, Any], at: datetime, *, needed: bool
) -> dict[str, Any]:
    """The private part of an entry that says where goods go back to: what `body` gives, else what is on file.

    Empty where no goods go back, or an earlier entry has said it. Raises InvalidBody where the buyer would say it, to
    whom the goods must not go, and Refused `return_address_needed`.
    """
    if ADDRESS in body:
        if actor.side is Side.BUYER:
            raise InvalidBody(errors={ADDRESS: ["Must be left out: the seller says where the goods go back to."]})
        return {ADDRESS: body[ADDRESS]}
    if not needed or case.return_address_seq is not None:
        return {}
    found = address_on_file(session, case, at)
    if found is None:
        raise Refused("return_address_needed", field=ADDRESS)
    return {ADDRESS: dict(found)}


def address_of(session: Session, case: Case, seq: int | None) -> dict[str, Any]:
    """Where goods go back to, as this entry of the case says it; empty once erased, or if it says nothing of it."""
    value = session.scalar(
        select(DocketOpening.value).where(
            DocketOpening.case_id == case.id,
            DocketOpening.seq == seq,
            DocketOpening.name == ADDRESS,
        )
    )
    return value or {}


# --- from leg to leg ---------------------------------------------------------------------------------------------


def beginning(case: Case, granted: Grant, private: Mapping[str, Any]) -> dict[str, Any]:
    """The changes of a case that go with a step which begins to carry a remedy out."""
    changes: dict[str, Any] = {"legs": granted.legs, "performed": False}
    if granted.returns:
        changes |= {"return_carrier": None, "return_tracking_number": None, "return_shipped_at": None}
    return changes | addressed(case, private)


def addressed(case: Case, private: Mapping[str, Any]) -> dict[str, Any]:
    """Which entry says where goods go back to, if the next one does."""
    return {"return_address_seq": case.version + 1} if ADDRESS in private else {}


def hold(session: Session, case: Case, at: datetime) -> None:
    """Hold on the order what the case's remedy may cost, instead of what was held before.

    Raises Refused `compensation_above_cap` or `freight_above_cap`; more than was paid is refused by the database.
    """
    remedy = case.remedy or {}
    purposes = remedy.get("purposes", {})
    caps = holding.Caps.of(session, case, at)
    holding.hold(
        session,
        case,
        holding.Held(
            purposes.get("refund", 0) + remedy.get("in_place_minor", 0),
            purposes.get("compensation", 0),
            purposes.get("freight", 0),
        ),
        caps,
    )


def release(session: Session, case: Case) -> None:
    """Let go of what is held on the order: nothing is promised any more."""
    holding.hold(session, case, holding.Held(), None)


def go_on(session: Session, case: Case, at: datetime) -> None:
    """What begins with the leg that a step has led to: a payment is ordered, or what was held is let go."""
    if case.state == CaseState.REFUND:
        refunds.request(session, case, at)
    elif case.state == CaseState.CLOSED:
        release(session, case)


def next_leg(
    session: Session,
    case: Case,
    action: str,
    actor: Actor,
    now: datetime,
    *,
    private: Mapping[str, Any] | None = None,
    **facts: Any,
) -> docket.Written:
    """Take a step that ends the leg under way, and begin the next one."""
    done, *left = case.legs or [None]
    written = docket.advance(
        session,
        case,
        action,
        actor,
        now,
        changes={"legs": left, "performed": False},
        private=private,
        legs=left,
        **facts,
    )
    if done == Leg.PERFORMANCE and case.remedy:
        # Performed, so nothing will have to go back in its place.
        case.remedy = case.remedy | {"in_place_minor": 0}
        if case.state != CaseState.CLOSED:
            hold(session, case, written.at)
    go_on(session, case, written.at)
    return written


def is_borne(case: Case, granted: Grant) -> bool:
    """Whether the order, as it is known now, can bear this remedy, compensation and freight apart."""
    order, purposes = case.order, granted.remedy["purposes"]
    left = order.paid_minor - order.reserved_minor - order.refunded_minor + case.reserved_minor
    return bool(purposes.get("refund", 0) + granted.remedy["in_place_minor"] <= left)


def is_within_caps(session: Session, case: Case, granted: Grant, at: datetime) -> bool:
    """Whether the compensation of this remedy is within the policies' cap for all cases of the order."""
    cap = holding.Caps.of(session, case, at).compensation
    others = case.order.compensation_minor - case.compensation_minor
    return cap is None or others + granted.remedy["purposes"].get("compensation", 0) <= cap


def require_authority(session: Session, case: Case, actor: Actor, amount_minor: int, at: datetime) -> None:
    """Raises Refused `above_authority` for a sum that this role does not order alone."""
    limit = limit_of(session, case, actor, at)
    if not is_within(amount_minor, limit):
        shown = [money.shown(sum_, case.currency) for sum_ in (amount_minor, limit or 0)]
        raise Refused("above_authority", amount=shown[0], limit=shown[1])


def in_place(remedy: Mapping[str, Any]) -> dict[str, Any]:
    """The remedy where what should have been performed is paid for instead; who did not perform bears it."""
    purposes = dict(remedy["purposes"])
    if remedy["in_place_minor"]:
        purposes["refund"] = purposes.get("refund", 0) + remedy["in_place_minor"]
    return {
        **remedy,
        "amount_minor": remedy["amount_minor"] + remedy["in_place_minor"],
        "purposes": purposes,
        "in_place_minor": 0,
    }


def limit_of(session: Session, case: Case, actor: Actor, at: datetime) -> int | None:
    """The largest sum that this role decides alone in this case, in minor units; None: no limit.

    Of several claims the least.
    """
    book = policies.in_force(session, at)[1]
    limits = [book.authority(actor.role.value, case.currency, matter).value for matter in deadlines.matters(case)]
    bounded = [limit for limit in limits if limit is not None]
    return min(bounded, default=None)
