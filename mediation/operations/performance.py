"""Goods on their way: returns and their inspection, remedies in kind and their confirmation, money back on facts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from mediation import docket
from mediation.models import Case, DocketEntry, DocketOpening, Order
from mediation.operations import carrying, evidence_requests, negotiation, notices, order_facts
from workflows.acts import Actor
from workflows.facts import FactName, fact, proven, same
from workflows.refusals import Refused
from workflows.remedies import Leg
from workflows.states import CaseState, Ground, Outcome, RemedyKind, Side

Body = Mapping[str, Any]


def ship_return(session: Session, case: Case, actor: Actor, now: datetime, body: Body) -> None:
    """The buyer has sent the goods back; the seller's time to look at them runs from here.

    Raises Refused `parcel_used` for a parcel that was named for a return before.
    """
    parcel = {"carrier": body["carrier"], "tracking_number": body["tracking_number"]}
    _require_fresh(session, case, parcel)
    written = docket.advance(
        session,
        case,
        "ship_return",
        actor,
        now,
        changes={f"return_{name}": value for name, value in parcel.items()} | {"return_shipped_at": now},
        private={"parcel": parcel},
    )
    notices.serve(session, case, written, "return_shipped", Side.SELLER, due_at=case.due_at)


def _require_fresh(session: Session, case: Case, parcel: Mapping[str, str]) -> None:
    """Raises Refused `parcel_used`: what went back once, in any case of the order, proves no second return.

    The order is locked, for its other cases may be told of the same parcel at the same moment. Numbers are compared as
    scans are, and whatever the carrier is called.
    """
    session.execute(select(Order.id).where(Order.id == case.order_id).with_for_update())
    named = session.scalars(
        select(DocketOpening.value)
        .join(Case, Case.id == DocketOpening.case_id)
        .join(
            DocketEntry,
            (DocketEntry.case_id == DocketOpening.case_id) & (DocketEntry.seq == DocketOpening.seq),
        )
        .where(
            Case.order_id == case.order_id,
            DocketEntry.type == "ship_return",
            DocketOpening.name == "parcel",
            DocketOpening.value.is_not(None),
        )
    )
    if any(same(one["parcel"]["tracking_number"], parcel["tracking_number"]) for one in named if one is not None):
        raise Refused("parcel_used", field="tracking_number")


def confirm_return(session: Session, case: Case, actor: Actor, now: datetime, body: Body) -> None:
    """The goods came back as they should: the next leg begins."""
    carrying.next_leg(session, case, "confirm_return", actor, now)


def dispute_return(session: Session, case: Case, actor: Actor, now: datetime, body: Body) -> None:
    """Something else came back, or nothing: a mediator looks at it anew."""
    _dispute(session, case, "dispute_return", actor, now, body=body)


def conclude_inspection(session: Session, case: Case, now: datetime) -> None:
    """The seller let the time to look at the goods pass, so they count as returned; unless a carrier says they are not.

    The entry says which fact it stands on.
    """
    known = order_facts.of_case(session, case, now)
    delivered, missing = fact(FactName.RETURN_DELIVERED, known), fact(FactName.RETURN_NOT_DELIVERED, known)
    if missing.holds:
        why = {"stands_on": [order_facts.entered(missing)], "instead_of": "conclude_inspection"}
        negotiation.request_mediation(session, case, docket.CLOCK, now, {}, **why)
        return
    stands_on = delivered if delivered.holds else fact(FactName.RETURN_SHIPPED, known)
    carrying.next_leg(
        session, case, "conclude_inspection", docket.CLOCK, now, stands_on=[order_facts.entered(stands_on)]
    )


def perform(session: Session, case: Case, actor: Actor, now: datetime, body: Body) -> None:
    """The seller has sent what was exchanged, sent again or repaired; now the buyer answers."""
    parcel = {"carrier": body["carrier"], "tracking_number": body["tracking_number"]}
    written = docket.advance(
        session, case, "perform", actor, now, changes={"performed": True}, private={"parcel": parcel}
    )
    notices.serve(session, case, written, "performed", Side.BUYER, due_at=case.due_at)


def confirm_performance(session: Session, case: Case, actor: Actor, now: datetime, body: Body) -> None:
    """What was sent is as it should be: the next leg begins."""
    carrying.next_leg(session, case, "confirm_performance", actor, now)


def conclude_performance(session: Session, case: Case, now: datetime) -> None:
    """The buyer let the time to object pass."""
    carrying.next_leg(session, case, "conclude_performance", docket.CLOCK, now)


def dispute_performance(session: Session, case: Case, actor: Actor, now: datetime, body: Body) -> None:
    """What was sent is not as it should be: a mediator looks at it anew."""
    _dispute(session, case, "dispute_performance", actor, now, body=body)


def _dispute(session: Session, case: Case, action: str, actor: Actor, now: datetime, *, body: Body) -> None:
    docket.advance(
        session,
        case,
        action,
        actor,
        now,
        changes={"legs": [], "performed": False, **negotiation.new_round(case)},
        private={"statement": body["statement"]},
        verdict=body["verdict"],
    )


def refund_in_place(session: Session, case: Case, now: datetime) -> None:
    """The seller never performed: what the remedy was worth goes back in its place."""
    remedy = carrying.in_place(case.remedy or {})
    written = docket.advance(
        session,
        case,
        "refund_in_place",
        docket.CLOCK,
        now,
        changes={"remedy": remedy, "legs": [str(Leg.REFUND)], "performed": False},
        remedy=remedy,
    )
    carrying.hold(session, case, written.at)
    carrying.go_on(session, case, written.at)


def refund_now(session: Session, case: Case, actor: Actor, now: datetime, body: Body) -> None:
    """Send the money back without a decision, where the order's own facts prove the ground. Irreversible.

    Raises Refused `ground_not_proven` or `above_authority`, Conflict `exceeds_paid`.
    """
    ground = Ground(body["ground"])
    docket.check(case, "refund_now", actor, now)
    proof = proven(ground, order_facts.of_case(session, case, now))
    if proof is None:
        raise Refused("ground_not_proven", field="ground", ground=str(ground))
    remedy = _money_back(session, case)
    carrying.require_authority(session, case, actor, remedy["amount_minor"], now)
    written = docket.advance(
        session,
        case,
        "refund_now",
        actor,
        now,
        changes={
            **negotiation.new_round(case),
            **evidence_requests.NOTHING_ASKED,
            "outcome": Outcome.BUYER_FAVOUR,
            "remedy": remedy,
            "legs": [str(Leg.REFUND)],
            "assignee": None,
            "pending_decision_by": None,
        },
        ground=str(ground),
        stands_on=[order_facts.entered(proof)],
        remedy=remedy,
    )
    negotiation.void_offers(session, case, written.at)
    negotiation.void_pending_decision(session, case)
    carrying.hold(session, case, written.at)
    carrying.go_on(session, case, written.at)


def _money_back(session: Session, case: Case) -> dict[str, Any]:
    """What was agreed or decided where a return is under way, else all that was asked; what was in kind, in money."""
    agreed = case.remedy if case.state == CaseState.AWAITING_INSPECTION else None
    remedy = carrying.in_place(agreed or carrying.all_that_was_asked(session, case).remedy)
    return remedy if "refund" not in remedy["purposes"] else remedy | {"kind": RemedyKind.REFUND}
