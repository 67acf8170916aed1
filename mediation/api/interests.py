"""/interests and /keys: what staff declare about themselves, and what verifies our seals."""

from __future__ import annotations

import uuid
from typing import Any

from flask_smorest import Blueprint
from marshmallow import Schema, fields
from sqlalchemy import select

from mediation import queries, sealing
from mediation.api.calls import Answer, Call, path_id
from mediation.api.endpoint import ALL, V1, endpoint
from mediation.api.lists import PageSchema, after, list_of, page_answer
from mediation.models import Interest
from mediation.operations import interests
from mediation.schemas import Id, OneOf, rfc3339
from workflows.states import STAFF, Role, Side

blueprint = Blueprint("interests", __name__, url_prefix=V1, description="Declared interests, sealing keys")


class DeclareInterestSchema(Schema):
    side = OneOf(Side, required=True)
    party = Id(required=True, metadata={"description": "the marketplace's id of the buyer or seller"})


class InterestSchema(Schema):
    id = fields.UUID(required=True)
    subject = fields.String(required=True)
    side = fields.String(required=True)
    party = fields.String(required=True)
    declared_at = fields.DateTime(required=True)


class KeysSchema(Schema):
    keys = fields.List(fields.Dict(), required=True)


DECLARE, INTEREST, PAGE = DeclareInterestSchema(), InterestSchema(), PageSchema()
STAFF_ONLY = frozenset(STAFF)


def _answer(interest: Interest) -> dict[str, Any]:
    return {
        "id": str(interest.id),
        "subject": interest.subject,
        "side": interest.side,
        "party": interest.party,
        "declared_at": rfc3339(interest.declared_at),
    }


@endpoint(
    blueprint,
    "GET",
    "/interests",
    operation="listInterests",
    summary="Your declared interests; a supervisor sees everyone's",
    roles=STAFF_ONLY,
    query=PAGE,
    answer=list_of(InterestSchema),
)
def list_interests(call: Call) -> Answer:
    asked = call.query(PAGE)
    query = select(Interest).where(Interest.marketplace == call.actor.marketplace, Interest.ended_at.is_(None))
    if call.actor.role is not Role.SUPERVISOR:
        query = query.where(Interest.subject == call.actor.subject)
    found, more = queries.page(call.session, query, Interest.id, after=after(asked, uuid.UUID), limit=asked["limit"])
    return page_answer([_answer(one) for one in found], more)


@endpoint(
    blueprint,
    "POST",
    "/interests",
    operation="declareInterest",
    summary="Declare an interest in a party; it bars you from its cases",
    roles=STAFF_ONLY,
    body=DECLARE,
    answer=INTEREST,
    status=201,
)
def declare_interest(call: Call) -> Answer:
    return Answer(_answer(interests.declare(call.session, call.actor, call.now, call.body(DECLARE))), 201)


@endpoint(
    blueprint,
    "DELETE",
    "/interests/<interest_id>",
    operation="endInterest",
    summary="End a declared interest; that it was declared stays known",
    roles=STAFF_ONLY,
    status=204,
)
def end_interest(call: Call, interest_id: str) -> Answer:
    interests.end(call.session, call.actor, call.now, path_id(interest_id, "interest_id"))
    return Answer(None, 204)


@endpoint(
    blueprint,
    "GET",
    "/keys",
    operation="listKeys",
    summary="The public sealing keys (JWKS), retired ones kept",
    roles=ALL,
    answer=KeysSchema(),
)
def list_keys(call: Call) -> Answer:
    return Answer({"keys": sealing.published(call.session)})
