"""Orders as the platform states them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Row, bindparam, exists, select
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, aliased, contains_eager

from mediation.db import new_id
from mediation.errors import InvalidBody, NotFound, OrderConflict, PaidBelowPromised
from mediation.models import Case, OpenLine, Order, Party
from workflows.acts import Actor
from workflows.states import Role

#: What the platform may correct at any time; who the parties are and in which currency was paid stay.
FACTS = (
    "paid_at",
    "region",
    "ship_by",
    "shipped_at",
    "delivered_at",
    "delivered_to",
    "receipt_confirmed_at",
    "carrier",
    "tracking_number",
)

_BUYER, _SELLER = aliased(Party), aliased(Party)
_WHOLE_ORDER = (
    select(Order)
    .join(_BUYER, Order.buyer_id == _BUYER.id)
    .join(_SELLER, Order.seller_id == _SELLER.id)
    .options(contains_eager(Order.buyer.of_type(_BUYER)), contains_eager(Order.seller.of_type(_SELLER)))
)
# Put together once: building a statement takes longer than executing it.
_KNOWN_PARTIES = sql(
    """
    SELECT b.id AS buyer_id, b.name AS buyer_name, b.locale AS buyer_locale,
           b.return_address AS buyer_return_address, s.return_address AS seller_return_address,
           s.id AS seller_id, s.name AS seller_name, s.locale AS seller_locale
    FROM (SELECT) AS neither_may_be_known
    LEFT JOIN parties b ON b.marketplace = :marketplace AND b.side = 'buyer' AND b.external_id = :buyer
    LEFT JOIN parties s ON s.marketplace = :marketplace AND s.side = 'seller' AND s.external_id = :seller
    """
)
_LOCK_ORDER = (
    _WHOLE_ORDER.where(Order.marketplace == bindparam("marketplace"), Order.external_id == bindparam("external_id"))
    .with_for_update(of=Order)
    .execution_options(populate_existing=True)
)


def put(session: Session, marketplace: str, body: Mapping[str, Any], now: datetime) -> Order:
    """Put an order on file, or bring it up to what the platform now says. `body` holds order, buyer and seller.

    Raises InvalidBody (mixed currencies, a line twice), OrderConflict (other parties or another currency than on
    file, a disputed line gone), PaidBelowPromised (less paid than is reserved and refunded).
    """
    stated = body["order"]
    _check(stated)
    ids = {"marketplace": marketplace, "buyer": body["buyer"]["id"], "seller": body["seller"]["id"]}
    known = session.execute(_KNOWN_PARTIES, ids).one()
    # Parties are always locked buyer first, so that two orders of the same people cannot wait for each other.
    buyer = _put_party(session, marketplace, "buyer", body["buyer"], known)
    seller = _put_party(session, marketplace, "seller", body["seller"], known)
    # What is left out stays as it was told before; null takes it back.
    facts = {name: stated[name] for name in FACTS if name in stated} | {
        "paid_minor": stated["paid"]["amount"],
        "lines": stated["lines"],
        "updated_at": now,
    }
    fixed = {"buyer_id": buyer, "seller_id": seller, "currency": stated["paid"]["currency"]}
    created = session.execute(
        insert(Order)
        .values(id=new_id(), marketplace=marketplace, external_id=stated["id"], **fixed, **facts)
        .on_conflict_do_nothing(index_elements=["marketplace", "external_id"])
        .returning(Order.id)
    ).scalar()
    order = lock(session, marketplace, stated["id"])
    if created is None:
        _correct(session, order, fixed, facts)
    return order


def _check(stated: Mapping[str, Any]) -> None:
    errors: dict[str, list[str]] = {}
    seen: set[str] = set()
    for n, line in enumerate(stated["lines"]):
        if line["unit_price"]["currency"] != stated["paid"]["currency"]:
            errors[f"order.lines.{n}.unit_price.currency"] = ["Must be the currency that was paid."]
        if line["id"] in seen:
            errors[f"order.lines.{n}.id"] = ["Must be different for each line."]
        seen.add(line["id"])
    if errors:
        raise InvalidBody(errors=errors)


def _put_party(session: Session, marketplace: str, side: str, stated: Mapping[str, Any], known: Row[Any]) -> uuid.UUID:
    told = {name: stated[name] for name in ("name", "locale", "return_address") if name in stated}
    found: uuid.UUID | None = getattr(known, f"{side}_id")
    if found is not None and all(getattr(known, f"{side}_{name}") == value for name, value in told.items()):
        # Nothing new: a large shop's row is in every order, and an update would lock it for all.
        return found
    key = {"marketplace": marketplace, "side": side, "external_id": stated["id"]}
    query = insert(Party).values(id=new_id(), **key, **{"locale": "zh-CN", **told})
    # Never the key itself: PostgreSQL would then lock the row against everything that refers to it.
    changed: dict[str, Any] = {name: query.excluded[name] for name in told} or {"locale": Party.locale}
    return session.execute(
        query.on_conflict_do_update(index_elements=list(key), set_=changed).returning(Party.id)
    ).scalar_one()


def _correct(session: Session, order: Order, fixed: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
    if any(getattr(order, name) != value for name, value in fixed.items()):
        raise OrderConflict()
    if facts["paid_minor"] < order.reserved_minor + order.refunded_minor:
        raise PaidBelowPromised(errors={"order.paid.amount": ["Must cover what is reserved and refunded."]})
    kept = {line["id"] for line in facts["lines"]}
    disputed = session.scalars(select(OpenLine.line_id).where(OpenLine.order_id == order.id)).all()
    if gone := [line for line in disputed if line not in kept]:
        raise OrderConflict(errors={"order.lines": [f"Line {line} is in dispute and must stay." for line in gone]})
    for name, value in facts.items():
        setattr(order, name, value)
    session.flush()


def lock(session: Session, marketplace: str, external_id: str) -> Order:
    """The order, locked, with its parties. Raises NotFound."""
    order = session.scalar(_LOCK_ORDER, {"marketplace": marketplace, "external_id": external_id})
    if order is None:
        raise NotFound()
    return order


def find(session: Session, actor: Actor, external_id: str) -> Order:
    """The order, read only. The platform sees its marketplace's, staff those that a case is about. Raises NotFound."""
    query = _WHOLE_ORDER.where(Order.marketplace == actor.marketplace, Order.external_id == external_id)
    if actor.role is Role.BUYER:
        query = query.where(_BUYER.external_id == actor.acts_for)
    elif actor.role is Role.SELLER:
        query = query.where(_SELLER.external_id == actor.acts_for)
    elif actor.role is not Role.PLATFORM:
        query = query.where(exists().where(Case.order_id == Order.id))
    order = session.scalar(query)
    if order is None:
        raise NotFound()
    return order
