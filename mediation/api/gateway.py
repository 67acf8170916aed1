"""/gateway/callbacks: the marketplace's gateway tells a refund's fate. Repeated and late answers are welcome."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import structlog
from flask import Response, request
from flask_smorest import Blueprint
from marshmallow import Schema, fields, validate
from sqlalchemy.orm import Session

from mediation import clock, gateways
from mediation.api.calls import Answer, load, parse, read_body, respond, services
from mediation.api.endpoint import V1, describe, mount
from mediation.errors import InvalidBody, NotFound
from mediation.models import Refund
from mediation.operations import refunds
from mediation.schemas import Id, MoneySchema, Text
from mediation.settings import Settings

blueprint = Blueprint("gateway", __name__, url_prefix=V1, description="The marketplace's payment gateway")
log = structlog.get_logger("mediation.gateway")
MAX_CALLBACK = 64 * 1024


class CallbackSchema(Schema):
    refund_id = fields.UUID(required=True)
    status = fields.String(required=True, validate=validate.OneOf(["settled", "failed"]))
    amount = fields.Nested(MoneySchema, required=True)
    reference = Id(allow_none=True)
    why = Text(500, allow_none=True)


class CallbackAnswerSchema(Schema):
    applied = fields.Boolean(required=True, metadata={"description": "false: it was known, or came too late"})


CALLBACK = CallbackSchema()


def _callback() -> Response:
    house = services()
    raw = read_body(request, MAX_CALLBACK)
    gateways.verify(house.settings, raw, dict(request.headers))
    body = load(CALLBACK, parse(raw, request.mimetype))

    def once() -> bool:
        now = house.clock()
        with house.sessions.begin() as session:
            _check(session, house.settings, body)
            return _apply(session, body, now)

    applied = clock.in_time(house, once)
    log.info("gateway_callback", refund=str(body["refund_id"]), status=body["status"], applied=applied)
    return respond(Answer({"applied": applied}))


def _check(session: Session, settings: Settings, body: dict[str, Any]) -> None:
    """Raises NotFound (no such refund, or one that never was this gateway's) or InvalidBody (another amount)."""
    refund = session.get(Refund, body["refund_id"])
    if refund is None:
        raise NotFound("There is no such refund.")
    if (refund.gateway or settings.gateway) != gateways.HttpGateway.name:
        # The ledger settles its own; a settling from outside would have no movement in it.
        log.error("gateway_callback_unexpected", refund=str(refund.id))
        raise NotFound("There is no such refund.")
    if body["amount"] != {"amount": refund.amount_minor, "currency": refund.currency}:
        # Applying it would make our book lie; refusing it makes the gateway's side look.
        log.error("gateway_amount_differs", refund=str(refund.id))
        raise InvalidBody(errors={"amount": ["Must be the amount of the refund."]})


def _apply(session: Session, body: dict[str, Any], now: datetime) -> bool:
    if body["status"] == "settled":
        return refunds.settle(session, body["refund_id"], now, reference=body.get("reference"))
    failure = body.get("why") or "the gateway reported a failure"
    # Callbacks are repeated: one about the try before a senior's retry must not fail the new one.
    return refunds.fail(session, body["refund_id"], now, failure=failure, only_if_sent=True)


mount(
    blueprint,
    "POST",
    "/gateway/callbacks",
    _callback,
    operation="gatewayCallback",
    permission="signed",
    doc=describe(
        "A refund's fate, signed after Standard Webhooks (webhook-id, webhook-timestamp, webhook-signature)",
        body=CALLBACK,
        answer=CallbackAnswerSchema(),
    ),
)
