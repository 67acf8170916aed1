"""Opening a dispute."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from mediation import docket
from mediation.db import new_id
from mediation.errors import InvalidBody, NotAllowed, NotFound, OpenCaseExists
from mediation.models import Case, Claim, OpenLine, Order
from mediation.operations import orders
from workflows.acts import Actor
from workflows.refusals import Conflict
from workflows.states import Request, Role

#: Crockford's base 32: no letter that is read as a digit.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

# Statements that every opening needs are put together once: building one takes longer than executing it.
_ADD_CLAIM = insert(Claim.__table__)  # type: ignore[arg-type]
_DECIDED = (
    select(Claim.line_id, Claim.reason)
    .join(Case, Claim.case_id == Case.id)
    .where(Claim.order_id == bindparam("order_id"), Case.decisions_issued > 0)
)


def open_case(session: Session, actor: Actor, now: datetime, body: Mapping[str, Any]) -> Case:
    """Open a dispute about lines of one order: the platform may send the order along, a buyer names their own.

    Raises InvalidBody, NotFound (a buyer's order that is not on file or not theirs), NotAllowed (a buyer who states
    order facts), OpenCaseExists (with the open case's id), Conflict `already_decided`.
    """
    order = _order(session, actor, now, body)
    _check(order, body["claims"])
    case = Case(
        id=new_id(),
        marketplace=order.marketplace,
        reference=_reference(),
        order_id=order.id,
        buyer_id=order.buyer_id,
        seller_id=order.seller_id,
        currency=order.currency,
        claimed_minor=sum(claim["amount"]["amount"] for claim in body["claims"]),
        level=0,
        reserved_minor=0,
        compensation_minor=0,
        freight_minor=0,
        matters=_matters(order, body["claims"]),
        legs=[],
        performed=False,
        proposal_accepted_by_buyer=False,
        proposal_accepted_by_seller=False,
        evidence_of_buyer=False,
        evidence_of_seller=False,
        agreement_used=timedelta(0),
        offers_made=0,
        counter_offers_buyer=0,
        counter_offers_seller=0,
        decisions_issued=0,
        accepted_by_buyer=False,
        accepted_by_seller=False,
        appealed_by_buyer=False,
        appealed_by_seller=False,
    )
    case.order, case.buyer, case.seller = order, order.buyer, order.seller
    claims = [_claim(case, n, claim) for n, claim in enumerate(body["claims"])]
    docket.open_case(
        session,
        case,
        actor,
        now,
        facts={"order": order.external_id, "claims": [_fact(claim) for claim in claims]},
        private={f"claims.{n}.statement": claim["statement"] for n, claim in enumerate(body["claims"])},
    )
    _hold_lines(session, case, claims)
    session.execute(_ADD_CLAIM, claims)
    return case


def _order(session: Session, actor: Actor, now: datetime, body: Mapping[str, Any]) -> Order:
    stated = body["order"]
    if actor.role is Role.PLATFORM:
        if set(stated) == {"id"}:
            return orders.lock(session, actor.marketplace, stated["id"])
        missing = [name for name in ("buyer", "seller") if name not in body]
        missing += [f"order.{name}" for name in ("paid", "lines") if name not in stated]
        if missing:
            raise InvalidBody(errors={name: ["Missing data for required field."] for name in missing})
        return orders.put(session, actor.marketplace, body, now)
    if set(stated) != {"id"} or "seller" in body or body.get("buyer", {"id": actor.acts_for})["id"] != actor.acts_for:
        raise NotAllowed("Order facts come from the platform alone; a buyer names the order's id and nothing more.")
    order = orders.lock(session, actor.marketplace, stated["id"])
    if order.buyer.external_id != actor.acts_for:
        raise NotFound()
    return order


def _check(order: Order, claims: Sequence[Mapping[str, Any]]) -> None:
    errors: dict[str, list[str]] = {}
    lines = {line["id"] for line in order.lines}
    seen: set[str] = set()
    for n, claim in enumerate(claims):
        if claim["line_id"] not in lines:
            errors[f"claims.{n}.line_id"] = ["Must be a line of the order."]
        elif claim["line_id"] in seen:
            errors[f"claims.{n}.line_id"] = ["Must be different for each claim."]
        if claim["amount"]["currency"] != order.currency:
            errors[f"claims.{n}.amount.currency"] = [f"Must be the order's currency, {order.currency}."]
        seen.add(claim["line_id"])
    if not errors:
        errors = _too_much(order, claims)
    if errors:
        raise InvalidBody(errors=errors)


def _too_much(order: Order, claims: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Compensation comes beside what was paid; all other claims come out of it."""
    extra = [claim["request"] == Request.COMPENSATION for claim in claims]
    amounts = [claim["amount"]["amount"] for claim in claims]
    if sum(amount for amount, beside in zip(amounts, extra, strict=True) if not beside) > order.paid_minor:
        return {"claims.0.amount.amount": ["All claims together must not exceed what was paid for the order."]}
    return {
        f"claims.{n}.amount.amount": ["Must not exceed what was paid for the order."]
        for n, amount in enumerate(amounts)
        if amount > order.paid_minor
    }


def _matters(order: Order, claims: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What the policies are looked up by, for each claim."""
    categories = {line["id"]: line.get("category") for line in order.lines}
    return [
        {"reason": claim["reason"], "request": claim["request"], "category": categories[claim["line_id"]]}
        for claim in claims
    ]


def _claim(case: Case, n: int, stated: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": new_id(),
        "case_id": case.id,
        "n": n,
        "order_id": case.order_id,
        "line_id": stated["line_id"],
        "reason": stated["reason"],
        "request": stated["request"],
        "amount_minor": stated["amount"]["amount"],
        "currency": case.currency,
    }


def _fact(claim: Mapping[str, Any]) -> dict[str, Any]:
    kept = ("line_id", "reason", "request", "amount_minor", "currency")
    return {"id": str(claim["id"]), **{name: claim[name] for name in kept}}


def _hold_lines(session: Session, case: Case, claims: Sequence[Mapping[str, Any]]) -> None:
    """Mark the lines as in dispute; a line that another open case holds waits for it and then refuses."""
    rows = [{"order_id": case.order_id, "line_id": claim["line_id"], "case_id": case.id} for claim in claims]
    held = set(
        session.scalars(
            upsert(OpenLine)
            .values(sorted(rows, key=lambda row: row["line_id"]))
            .on_conflict_do_nothing()
            .returning(OpenLine.line_id)
        )
    )
    taken = [claim["line_id"] for claim in claims if claim["line_id"] not in held]
    if taken:
        other = session.scalars(
            select(OpenLine.case_id).where(OpenLine.order_id == case.order_id, OpenLine.line_id.in_(taken))
        ).first()
        raise OpenCaseExists(case=None if other is None else str(other))
    _refuse_decided(session, case.order_id, claims)


def _refuse_decided(session: Session, order_id: uuid.UUID, claims: Sequence[Mapping[str, Any]]) -> None:
    decided = {(line, reason) for line, reason in session.execute(_DECIDED, {"order_id": order_id})}
    for n, claim in enumerate(claims):
        if (claim["line_id"], claim["reason"]) in decided:
            raise Conflict("already_decided", field=f"claims.{n}.line_id", line=claim["line_id"])


def _reference() -> str:
    """A reference for people, such as D-7K4Q-9XM2-ABCD: 60 random bits."""
    drawn = "".join(secrets.choice(_ALPHABET) for _ in range(12))
    return "-".join(["D", drawn[:4], drawn[4:8], drawn[8:]])
