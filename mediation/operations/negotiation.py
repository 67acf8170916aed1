"""What the parties do among themselves, and how they call the platform in."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from mediation import docket
from mediation.db import new_id
from mediation.errors import InvalidBody
from mediation.models import Case, Claim, Decision, Offer
from mediation.operations import orders, refunds
from workflows.acts import Actor
from workflows.refusals import Refused
from workflows.remedies import GRANTS, combined_kind, legs_of, offered_kind
from workflows.states import Outcome, RemedyKind, Request

Body = Mapping[str, Any]


def notify_seller(session: Session, case: Case, actor: Actor, now: datetime, body: Body) -> None:
    """Tell the seller of the dispute."""
    docket.advance(session, case, "notify_seller", actor, now)


def refuse(session: Session, case: Case, actor: Actor, now: datetime, body: Body) -> None:
    """The seller refuses what is asked, with a reason and their own words."""
    docket.advance(session, case, "refuse", actor, now, private={"statement": body["statement"]}, reason=body["reason"])


def agree(session: Session, case: Case, actor: Actor, now: datetime, body: Body) -> None:
    """The seller grants all that was asked. Raises Conflict `exceeds_paid` if the order cannot bear it any more."""
    if "return_address" in body:
        raise Refused("not_offered_yet", field="return_address", value="return_address")
    requests = session.scalars(select(Claim.request).where(Claim.case_id == case.id).order_by(Claim.n)).all()
    kinds = [GRANTS[Request(request)] for request in requests]
    remedy = {"kind": combined_kind(kinds), "amount_minor": case.claimed_minor, "currency": case.currency}
    written = docket.advance(
        session,
        case,
        "agree",
        actor,
        now,
        changes={**_no_offer(), **_settled(remedy)},
        legs=[str(leg) for leg in legs_of(kinds)],
        remedy=remedy,
    )
    void_offers(session, case, written.at)
    void_pending_decision(session, case)
    _pay(session, case, written.at)


def offer(session: Session, case: Case, actor: Actor, now: datetime, body: Body) -> None:
    """One side proposes a remedy; an open offer, whoever made it, is replaced."""
    kind = offered_kind(body["remedy"], field="remedy")
    amount = body["amount"]
    errors: dict[str, list[str]] = {}
    if kind is RemedyKind.NONE:
        errors["remedy"] = ["Must offer something; to end the dispute without a remedy the buyer withdraws it."]
    if amount["currency"] != case.currency:
        errors["amount.currency"] = [f"Must be the order's currency, {case.currency}."]
    elif amount["amount"] > case.order.paid_minor:
        errors["amount.amount"] = ["Must not exceed what was paid for the order."]
    if errors:
        raise InvalidBody(errors=errors)
    side = str(actor.side)
    counts = f"counter_offers_{side}"
    written = docket.advance(
        session,
        case,
        "offer",
        actor,
        now,
        changes={
            "offers_made": case.offers_made + 1,
            counts: getattr(case, counts) + (case.offers_made > 0),
            "open_offer_by": side,
        },
        private={"note": body["note"]} if "note" in body else None,
        remedy={"kind": kind, "amount_minor": amount["amount"], "currency": case.currency},
    )
    _answer_offer(session, case, "replaced", written.at)
    session.execute(
        insert(Offer),
        {
            "id": new_id(),
            "case_id": case.id,
            "seq": written.seq,
            "side": side,
            "kind": kind,
            "amount_minor": amount["amount"],
            "currency": case.currency,
            "status": "open",
            "made_at": written.at,
        },
    )


def accept_offer(session: Session, case: Case, actor: Actor, now: datetime, body: Body) -> None:
    """The other side takes the open offer, and it binds. Raises Conflict `exceeds_paid`."""
    standing = session.scalars(select(Offer).where(Offer.case_id == case.id, Offer.status == "open")).one()
    remedy = {"kind": standing.kind, "amount_minor": standing.amount_minor, "currency": standing.currency}
    written = docket.advance(
        session,
        case,
        "accept_offer",
        actor,
        now,
        changes={**_no_offer(), **_settled(remedy)},
        legs=[str(leg) for leg in legs_of([RemedyKind(standing.kind)])],
        remedy=remedy,
    )
    _answer_offer(session, case, "accepted", written.at)
    _pay(session, case, written.at)


def decline_offer(session: Session, case: Case, actor: Actor, now: datetime, body: Body) -> None:
    """The other side turns the open offer down."""
    written = docket.advance(session, case, "decline_offer", actor, now, changes=_no_offer())
    _answer_offer(session, case, "declined", written.at)


def request_mediation(session: Session, case: Case, actor: Actor, now: datetime, body: Body) -> None:
    """Call the platform in; an open offer falls."""
    written = docket.advance(session, case, "request_mediation", actor, now, changes=_no_offer())
    void_offers(session, case, written.at)


def withdraw(session: Session, case: Case, actor: Actor, now: datetime, body: Body) -> None:
    """The buyer takes the dispute back. Irreversible: the case is closed."""
    changes = {
        **_no_offer(),
        "outcome": Outcome.WITHDRAWN,
        "pending_decision_by": None,
        "escalation_reason": None,
        "level": 0,
    }
    written = docket.advance(session, case, "withdraw", actor, now, changes=changes)
    void_offers(session, case, written.at)
    void_pending_decision(session, case)


def _no_offer() -> dict[str, Any]:
    return {"open_offer_by": None}


def _settled(remedy: dict[str, Any]) -> dict[str, Any]:
    return {
        "outcome": Outcome.SETTLED,
        "remedy": remedy,
        "pending_decision_by": None,
        "escalation_reason": None,
        "level": 0,
        "assignee": None,
    }


def _pay(session: Session, case: Case, now: datetime) -> None:
    remedy = case.remedy or {}
    orders.reserve(session, case, remedy["amount_minor"])
    refunds.request(session, case, now)


def void_offers(session: Session, case: Case, now: datetime) -> None:
    """An open offer falls with what happened."""
    if case.offers_made:
        _answer_offer(session, case, "void", now)


def _answer_offer(session: Session, case: Case, status: str, now: datetime) -> None:
    session.execute(
        update(Offer)
        .where(Offer.case_id == case.id, Offer.status == "open")
        .values(status=status, answered_at=now)
        .execution_options(synchronize_session=False)
    )


def void_pending_decision(session: Session, case: Case) -> None:
    """A decision that waits for approval falls when the case ends without it."""
    session.execute(
        update(Decision)
        .where(Decision.case_id == case.id, Decision.status == "pending")
        .values(status="void")
        .execution_options(synchronize_session=False)
    )
