"""/orders: what the platform says was sold and paid. It is believed from no one else."""

from __future__ import annotations

from flask_smorest import Blueprint
from marshmallow import Schema, fields, validate

from mediation.api.answers import OrderAnswerSchema
from mediation.api.calls import Answer, Call
from mediation.api.endpoint import V1, endpoint
from mediation.errors import InvalidBody, NotFound
from mediation.operations import order_facts, orders
from mediation.schemas import ID_RULE, Id, Instant, MoneySchema, OneOf, PartySchema, SumSchema, Text, Whole, is_id
from mediation.sight import order_answer
from workflows.facts import ScanLeg, ScanStatus
from workflows.states import STAFF, Role

blueprint = Blueprint("orders", __name__, url_prefix=V1, description="Orders as the platform states them")


class LineSchema(Schema):
    id = Id(required=True)
    sku = Id(allow_none=True)
    title = Text(500, required=True)
    quantity = Whole(1, 1_000_000, load_default=1)
    unit_price = fields.Nested(SumSchema, required=True)
    category = Id(allow_none=True)


class OrderSchema(Schema):
    # It stands in an address, where a slash would part it.
    id = Id(required=True, validate=validate.ContainsNoneOf("/", error="Must hold no slash."))
    paid = fields.Nested(MoneySchema, required=True)
    paid_at = Instant(allow_none=True)
    region = fields.String(allow_none=True, validate=validate.Regexp(r"\A[A-Z]{2}(-[A-Z0-9]{1,3})?\Z"))
    ship_by = Instant(allow_none=True)
    shipped_at = Instant(allow_none=True)
    delivered_at = Instant(allow_none=True)
    delivered_to = Text(200, allow_none=True)
    receipt_confirmed_at = Instant(allow_none=True)
    carrier = Id(allow_none=True)
    tracking_number = Id(allow_none=True)
    lines = fields.List(fields.Nested(LineSchema), required=True, validate=validate.Length(1, 200))


class PutOrderSchema(Schema):
    order = fields.Nested(OrderSchema, required=True)
    buyer = fields.Nested(PartySchema, required=True)
    seller = fields.Nested(PartySchema, required=True)


PUT_ORDER, ORDER = PutOrderSchema(), OrderAnswerSchema()


class ScanSchema(Schema):
    at = Instant(required=True)
    status = OneOf(ScanStatus, required=True)
    place = Text(200, allow_none=True)
    signed_by = Text(200, allow_none=True)


class TrackSchema(Schema):
    """Scans of one parcel. Repeated and out-of-order ones are welcome."""

    leg = OneOf(ScanLeg, required=True)
    carrier = Id(required=True)
    tracking_number = Id(required=True)
    scans = fields.List(fields.Nested(ScanSchema), required=True, validate=validate.Length(1, 500))


class TrackAnswerSchema(Schema):
    received = fields.Integer(required=True)
    new = fields.Integer(required=True, metadata={"description": "how many were not on file yet"})


TRACK, TRACKED = TrackSchema(), TrackAnswerSchema()
READERS = STAFF | {Role.PLATFORM, Role.BUYER, Role.SELLER}


def _known(order_id: str) -> None:
    """Raises NotFound for what can be no order's id."""
    if not is_id(order_id):
        raise NotFound(errors={"order_id": [ID_RULE]})


@endpoint(
    blueprint,
    "PUT",
    "/orders/<order_id>",
    operation="putOrder",
    summary="Put an order on file, or correct it",
    roles=frozenset({Role.PLATFORM}),
    body=PUT_ORDER,
    answer=ORDER,
)
def put_order(call: Call, order_id: str) -> Answer:
    _known(order_id)
    body = call.body(PUT_ORDER)
    if body["order"]["id"] != order_id:
        raise InvalidBody(errors={"order.id": ["Must be the id in the address."]})
    order = orders.put(call.session, call.actor.marketplace, body, call.now)
    return Answer(order_answer(order, whole=True))


@endpoint(
    blueprint,
    "GET",
    "/orders/<order_id>",
    operation="getOrder",
    summary="An order as it is on file",
    roles=frozenset(READERS),
    answer=ORDER,
)
def get_order(call: Call, order_id: str) -> Answer:
    _known(order_id)
    order = orders.find(call.session, call.actor, order_id)
    whole = call.actor.role not in (Role.BUYER, Role.SELLER)
    return Answer(order_answer(order, whole=whole, masked=call.actor.role is Role.SELLER))


@endpoint(
    blueprint,
    "POST",
    "/orders/<order_id>/tracking",
    operation="trackOrder",
    summary="Put carrier scans of a parcel on file",
    roles=frozenset({Role.PLATFORM}),
    body=TRACK,
    answer=TRACKED,
)
def track_order(call: Call, order_id: str) -> Answer:
    _known(order_id)
    order = orders.lock(call.session, call.actor.marketplace, order_id)
    body = call.body(TRACK)
    return Answer({"received": len(body["scans"]), "new": order_facts.track(call.session, order, call.now, body)})
