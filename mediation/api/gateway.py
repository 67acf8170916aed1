"""/gateway/callbacks: the marketplace's gateway tells a refund's fate. Repeated and late answers are welcome."""

from __future__ import annotations

import structlog
from flask import Response, request
from flask_smorest import Blueprint
from marshmallow import Schema, fields, validate

from mediation import gateways
from mediation.api.calls import Answer, load, read_body, respond, services
from mediation.api.endpoint import V1, describe, mount
from mediation.errors import InvalidBody
from mediation.models import Refund
from mediation.operations import refunds
from mediation.schemas import Id, MoneySchema

blueprint = Blueprint("gateway", __name__, url_prefix=V1, description="The marketplace's payment gateway")
log = structlog.get_logger("mediation.gateway")
MAX_CALLBACK = 64 * 1024


class CallbackSchema(Schema):
    refund_id = fields.UUID(required=True)
    status = fields.String(required=True, validate=validate.OneOf(["settled", "failed"]))
    amount = fields.Nested(MoneySchema, required=True)
    reference = Id(allow_none=True)
    why = Id(allow_none=True)


class CallbackAnswerSchema(Schema):
    applied = fields.Boolean(required=True, metadata={"description": "false: it was known, or came too late"})


CALLBACK = CallbackSchema()


def _callback() -> Response:
    house = services()
    raw = read_body(request, MAX_CALLBACK)
    told = gateways.verified(house.settings, raw, {name.lower(): value for name, value in request.headers.items()})
    body = load(CALLBACK, told)
    now = house.clock()
    with house.sessions.begin() as session:
        refund = session.get(Refund, body["refund_id"])
        if refund is not None and body["amount"] != {"amount": refund.amount_minor, "currency": refund.currency}:
            # Applying it would make our book lie; refusing it makes the gateway's side look.
            log.error("gateway_amount_differs", refund=str(refund.id))
            raise InvalidBody(errors={"amount": ["Must be the amount of the refund."]})
        if body["status"] == "settled":
            applied = refunds.settle(session, body["refund_id"], now, reference=body.get("reference"))
        else:
            applied = refunds.fail(
                session, body["refund_id"], now, failure=body.get("why") or "the gateway reported a failure"
            )
    log.info("gateway_callback", refund=str(body["refund_id"]), status=body["status"], applied=applied)
    return respond(Answer({"applied": applied}))


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
