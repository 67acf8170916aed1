"""What the parties do among themselves, and how they call the platform in."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from mediation import deadlines, docket
from mediation.db import new_id
from mediation.models import Case, Decision, Offer
from mediation.operations import carrying, evidence_requests, notices, order_facts
from workflows.acts import Actor
from workflows.standing import PROPOSER
from workflows.states import Outcome, RemedyKind, Role, Side

Body = Mapping[str, Any]


def notify_seller(session: Session, case: Case, actor: Actor, now: datetime, body: Body) -> None:
    """Tell the seller of the dispute; their time to answer runs from this notice."""
    written = docket.advance(session, case, "notify_seller", actor, now)
    notices.serve(session, case, written, "case_opened", Side.SELLER, due_at=case.due_at)


def refuse(session: Session, case: Case, actor: Actor, now: datetime, body: Body) -> None:
    """The seller refuses what is asked, with a reason and their own words."""
    docket.advance(session, case, "refuse", actor, now, private={"statement": body["statement"]}, reason=body["reason"])


def agree(session: Session, case: Case, actor: Actor, now: datetime, body: Body, **facts: Any) -> None:
    """Everything that was asked is granted, by the seller or, where the policies say so, by their silence.

    Raises Conflict `exceeds_paid` if the order cannot bear it any more, Refused `return_address_needed`.
    """
    granted = carrying.all_that_was_asked(session, case)
    private = carrying.address(session, case, actor, body, now, needed=granted.returns)
    outcome = Outcome.BUYER_FAVOUR if actor.role is Role.CLOCK else Outcome.SETTLED
    written = docket.advance(
        session,
        case,
        "agree",
        actor,
        now,
        changes={**_no_offer(), **_settled(granted, outcome), **carrying.beginning(case, granted, private)},
        private=private,
        legs=granted.legs,
        remedy=granted.remedy,
        **facts,
    )
    void_offers(session, case, written.at)
    void_pending_decision(session, case)
    evidence_requests.end_open(session, case, written.at)
    carrying.hold(session, case, written.at)
    carrying.go_on(session, case, written.at)


def agree_by_silence(session: Session, case: Case, now: datetime) -> None:
    """The seller's time to answer is over and the policies take silence for consent.

    Where they want a fact of the order for it that does not hold, goods would go back and nobody knows where to, or
    the order cannot bear it any more, mediation is requested instead; the entry says why, and which fact it stands on.
    """
    version, silences = deadlines.silences(session, case, now)
    told: dict[str, Any] = {"silence": {"version": version, "rows": sorted({one.row for one in silences})}}
    unshipped = True
    if any(one.value.needs for one in silences):
        proof = order_facts.unshipped(session, case, now)
        unshipped = proof is not None
        told["stands_on"] = [] if proof is None else [order_facts.entered(proof)]
    granted = carrying.all_that_was_asked(session, case)
    why = None
    if not unshipped:
        why = "facts_do_not_hold"
    elif granted.returns and not carrying.address_on_file(session, case, now):
        why = "return_address_needed"
    elif not carrying.is_borne(case, granted):
        why = "exceeds_paid"
    elif not carrying.is_within_caps(session, case, granted, now):
        why = "compensation_above_cap"
    if why is None:
        agree(session, case, docket.CLOCK, now, {}, **told)
    else:
        request_mediation(session, case, docket.CLOCK, now, {}, instead_of="agree", why=why, **told)


def offer(session: Session, case: Case, actor: Actor, now: datetime, body: Body) -> None:
    """One side proposes a remedy; an open offer, whoever made it, is replaced."""
    kind = RemedyKind(body["remedy"])
    carrying.check_offered(case, kind, body.get("amount"))
    granted = _offered(session, case, kind, body)
    seller_offers = actor.side is Side.SELLER
    private = carrying.address(session, case, actor, body, now, needed=granted.returns and seller_offers)
    side = str(actor.side)
    counts = f"counter_offers_{side}"
    changes = {counts: getattr(case, counts) + (case.offers_made > 0), "open_offer_by": side}
    _put_forward(session, case, "offer", actor, now, body=body, granted=granted, changes=changes, private=private)


def propose(session: Session, case: Case, actor: Actor, now: datetime, body: Body) -> None:
    """A mediator puts a remedy forward; it binds once both sides accept it. A free case becomes the mediator's."""
    kind = RemedyKind(body["remedy"])
    carrying.check_offered(case, kind, body.get("amount"))
    granted = _offered(session, case, kind, body)
    changes = {"open_offer_by": PROPOSER, "assignee": actor.subject}
    _put_forward(session, case, "propose", actor, now, body=body, granted=granted, changes=changes, private={})


def _offered(session: Session, case: Case, kind: RemedyKind, body: Body) -> carrying.Grant:
    amount = body["amount"]["amount"] if "amount" in body else 0
    return carrying.of_kind(session, case, kind, amount, return_required=body.get("return_required", True))


def _put_forward(
    session: Session,
    case: Case,
    action: str,
    actor: Actor,
    now: datetime,
    *,
    body: Body,
    granted: carrying.Grant,
    changes: Mapping[str, Any],
    private: Mapping[str, Any],
) -> None:
    written = docket.advance(
        session,
        case,
        action,
        actor,
        now,
        changes={
            **_nobody_accepted(),
            "offers_made": case.offers_made + 1,
            **changes,
            **carrying.addressed(case, private),
        },
        private={**({"note": body["note"]} if "note" in body else {}), **private},
        remedy=granted.remedy,
    )
    _answer_offer(session, case, "replaced", written.at)
    session.execute(
        insert(Offer),
        {
            "id": new_id(),
            "case_id": case.id,
            "seq": written.seq,
            "side": case.open_offer_by,
            "kind": granted.remedy["kind"],
            "amount_minor": granted.remedy["amount_minor"],
            "currency": case.currency,
            "return_required": granted.remedy["return_required"],
            "status": "open",
            "made_at": written.at,
        },
    )
    notices.serve(session, case, written, "offer_made", *notices.sides_waited_on(case), due_at=case.due_at)


def accept_offer(session: Session, case: Case, actor: Actor, now: datetime, body: Body) -> None:
    """The other side takes the open offer, and it binds; a mediator's proposal binds when both sides have.

    Raises Conflict `exceeds_paid`, Refused `return_address_needed`.
    """
    standing = session.scalars(select(Offer).where(Offer.case_id == case.id, Offer.status == "open")).one()
    granted = carrying.of_kind(
        session, case, RemedyKind(standing.kind), standing.amount_minor, return_required=standing.return_required
    )
    proposal = standing.side == PROPOSER
    side = actor.side or Side.BUYER
    binds = not proposal or getattr(case, f"proposal_accepted_by_{side.other}")
    # Only the seller can say where the goods go; the buyer's acceptance needs it said, or on file.
    private = carrying.address(
        session, case, actor, body, now, needed=granted.returns and (binds or side is Side.SELLER)
    )
    changes: dict[str, Any] = {f"proposal_accepted_by_{side}": proposal, **carrying.addressed(case, private)}
    if binds:
        changes = {**_no_offer(), **_settled(granted), **carrying.beginning(case, granted, private)}
    facts: dict[str, Any] = {"legs": granted.legs, "remedy": granted.remedy} if binds else {}
    written = docket.advance(session, case, "accept_offer", actor, now, changes=changes, private=private, **facts)
    if binds:
        _answer_offer(session, case, "accepted", written.at)
        carrying.hold(session, case, written.at)
        carrying.go_on(session, case, written.at)


def decline_offer(session: Session, case: Case, actor: Actor, now: datetime, body: Body) -> None:
    """The other side turns the open offer down; a proposal goes back to the mediator."""
    written = docket.advance(session, case, "decline_offer", actor, now, changes=_no_offer())
    _answer_offer(session, case, "declined", written.at)


def expire_offer(session: Session, case: Case, now: datetime) -> None:
    """Nobody answered the open offer in time: the platform takes over."""
    written = docket.advance(session, case, "expire_offer", docket.CLOCK, now, changes=_no_offer())
    _answer_offer(session, case, "expired", written.at)


def request_mediation(session: Session, case: Case, actor: Actor, now: datetime, body: Body, **facts: Any) -> None:
    """Call the platform in; an open offer falls."""
    changes = {**_no_offer(), "legs": [], **new_round(case)}
    written = docket.advance(session, case, "request_mediation", actor, now, changes=changes, **facts)
    void_offers(session, case, written.at)


def lapse(session: Session, case: Case, now: datetime) -> None:
    """Nobody went on with it in time: the case is closed. Irreversible."""
    docket.advance(session, case, "lapse", docket.CLOCK, now, changes={"outcome": Outcome.LAPSED, "legs": []})
    carrying.release(session, case)


def withdraw(session: Session, case: Case, actor: Actor, now: datetime, body: Body) -> None:
    """The buyer takes the dispute back. Irreversible: the case is closed."""
    changes = {
        **_no_offer(),
        **evidence_requests.NOTHING_ASKED,
        "suspended_from": None,
        "outcome": Outcome.WITHDRAWN,
        "legs": [],
        "pending_decision_by": None,
        "escalation_reason": None,
        "level": 0,
    }
    written = docket.advance(session, case, "withdraw", actor, now, changes=changes)
    void_offers(session, case, written.at)
    void_pending_decision(session, case)
    evidence_requests.end_open(session, case, written.at)
    carrying.release(session, case)


def new_round(case: Case) -> dict[str, Any]:
    """A quarrel about how a decision was carried out is reviewed anew, and can be appealed anew."""
    return {
        "appealed_by_buyer": False,
        "appealed_by_seller": False,
        "accepted_by_buyer": False,
        "accepted_by_seller": False,
        "escalation_reason": None,
        "level": 0,
    }


def _nobody_accepted() -> dict[str, Any]:
    return {"proposal_accepted_by_buyer": False, "proposal_accepted_by_seller": False}


def _no_offer() -> dict[str, Any]:
    return {"open_offer_by": None, **_nobody_accepted()}


def _settled(granted: carrying.Grant, outcome: Outcome = Outcome.SETTLED) -> dict[str, Any]:
    return {
        "outcome": outcome,
        "remedy": granted.remedy,
        "pending_decision_by": None,
        "escalation_reason": None,
        "level": 0,
        "assignee": None,
        **evidence_requests.NOTHING_ASKED,
    }


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
