"""/cases/{id}/actions/{action}: the one door for everything that moves a case, one route for each action."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flask import Response
from flask_smorest import Blueprint
from marshmallow import Schema, fields, validate
from sqlalchemy import select

from mediation import docket
from mediation.api.answers import CaseSchema, case_answer, remedy_answer
from mediation.api.calls import Answer, Call, case_headers, path_id, require_version, run
from mediation.api.deciding import DecideSchema
from mediation.api.endpoint import V1, describe, mount
from mediation.models import Case, Decision
from mediation.operations import appeals, assignment, decisions, negotiation, refunds
from mediation.schemas import MAX_NOTE, MAX_STATEMENT, Flag, Id, MoneySchema, NoBodySchema, OneOf, Text, money
from workflows.states import STATED_ESCALATION_REASONS, TOKEN_ROLES, RefuseReason, RemedyKind

blueprint = Blueprint("actions", __name__, url_prefix=V1, description="What moves a case")


class ReturnAddressSchema(Schema):
    name = Text(200, required=True)
    line = Text(500, required=True)
    phone = Id()


class AgreeSchema(Schema):
    return_address = fields.Nested(ReturnAddressSchema)


class RefuseSchema(Schema):
    reason = OneOf(RefuseReason, required=True)
    statement = Text(MAX_STATEMENT, required=True)


class OfferSchema(Schema):
    remedy = OneOf(RemedyKind, required=True)
    amount = fields.Nested(MoneySchema, required=True)
    note = Text(MAX_NOTE)


class EscalateSchema(Schema):
    reason = OneOf(STATED_ESCALATION_REASONS, required=True)
    category = Id()
    consent = Flag()
    note = Text(MAX_NOTE)


class NoteSchema(Schema):
    note = Text(MAX_NOTE)


class AppealSchema(Schema):
    grounds = Text(MAX_STATEMENT, required=True)
    exhibits = fields.List(Id(), load_default=list, validate=validate.Length(max=100))


class SettleElsewhereSchema(Schema):
    proof = Id(required=True, metadata={"description": "label of the exhibit that proves the payment"})


class DryRunSchema(Schema):
    dry_run = fields.Boolean(metadata={"description": "true: say what the decision would do, and write nothing"})


Operation = Callable[[Call, Case, Mapping[str, Any]], None]


def _plain(operation: Callable[..., None]) -> Operation:
    def act(call: Call, case: Case, body: Mapping[str, Any]) -> None:
        operation(call.session, case, call.actor, call.now, body)

    return act


def _decide(call: Call, case: Case, body: Mapping[str, Any]) -> None:
    house = call.services
    authority = house.settings.mediator_authority_minor
    decisions.decide(call.session, case, call.actor, call.now, body, sealer=house.sealer, authority_minor=authority)


def _approve(call: Call, case: Case, body: Mapping[str, Any]) -> None:
    decisions.approve(call.session, case, call.actor, call.now, body, sealer=call.services.sealer)


NOTHING = NoBodySchema()
#: Every action that a token can take: its body, and the operation behind it.
ACTIONS: dict[str, tuple[Schema, Operation, str]] = {
    "notify_seller": (NOTHING, _plain(negotiation.notify_seller), "Tell the seller of the dispute"),
    "agree": (AgreeSchema(), _plain(negotiation.agree), "Grant all that was asked"),
    "refuse": (RefuseSchema(), _plain(negotiation.refuse), "Refuse what was asked"),
    "offer": (OfferSchema(), _plain(negotiation.offer), "Offer a remedy, or counter one"),
    "accept_offer": (NOTHING, _plain(negotiation.accept_offer), "Take the other side's offer; it binds"),
    "decline_offer": (NOTHING, _plain(negotiation.decline_offer), "Turn the other side's offer down"),
    "request_mediation": (NOTHING, _plain(negotiation.request_mediation), "Call the platform in"),
    "withdraw": (NOTHING, _plain(negotiation.withdraw), "Take the dispute back; irreversible"),
    "take": (NOTHING, _plain(assignment.take), "Make the case yours"),
    "release": (NOTHING, _plain(assignment.release), "Give the case back to the queue"),
    "escalate": (EscalateSchema(), _plain(assignment.escalate), "Pass the case up to senior staff"),
    "decide": (DecideSchema(), _decide, "Decide the case"),
    "approve": (NoteSchema(), _approve, "Issue the decision that waits for approval"),
    "return_to_mediator": (NoteSchema(), _plain(decisions.return_to_mediator), "Send the case back down"),
    "accept_decision": (NOTHING, _plain(decisions.accept_decision), "Accept the decision, forfeiting the appeal"),
    "appeal": (AppealSchema(), _plain(appeals.appeal), "Appeal against the decision, once a side"),
    "retry_refund": (NOTHING, _plain(refunds.retry), "Send the failed refund again, under the same key"),
    "settle_elsewhere": (
        SettleElsewhereSchema(),
        _plain(refunds.settle_elsewhere),
        "Record that the money went another way; irreversible",
    ),
}
#: Taken by time, the gateway or the system alone: the address is there to say so.
UNTAKEN = ("finalise", "settle_refund", "fail_refund")
CASE, DRY_RUN = CaseSchema(), DryRunSchema()
EVERYONE = frozenset(TOKEN_ROLES)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _mount(action: str, schema: Schema, operation: Operation, summary: str) -> None:
    def view(call: Call, case_id: str) -> Answer:
        call.case_id = path_id(case_id, "case_id")
        case = docket.lock(call.session, call.case_id, call.actor)
        docket.require_role(action, call.actor)
        require_version(case)
        actor = call.informed_actor()
        docket.require_state(case, action, actor, call.now)
        body = call.body(schema)
        docket.check(case, action, actor, call.now)
        if call.query(DRY_RUN if action == "decide" else NOTHING).get("dry_run"):
            return _rehearsed(call, case, operation, body)
        operation(call, case, body)
        return Answer(case_answer(call, case), headers=case_headers(case))

    def handler(case_id: str) -> Response:
        return run(view, case_id=case_id)

    mount(
        blueprint,
        "POST",
        f"/cases/<case_id>/actions/{action}",
        handler,
        operation=_camel(action),
        permission=EVERYONE,
        doc=describe(
            summary,
            body=schema,
            query=DRY_RUN if action == "decide" else None,
            answer=CASE,
            roles=EVERYONE,
            description="Who may is told by the case's `actions`.",
        ),
    )


def _rehearsed(call: Call, case: Case, operation: Operation, body: Mapping[str, Any]) -> Answer:
    """What the action would do: it is done and undone again, so that every check and sum is the real one."""
    version = case.version
    trial = call.session.begin_nested()
    operation(call, case, body)
    call.session.flush()
    call.session.refresh(case.order)
    order = case.order
    left = order.paid_minor - order.reserved_minor - order.refunded_minor
    foreseen = {
        "dry_run": True,
        "state": case.state,
        "waiting_on": case.waiting_on,
        "awaits_approval": case.pending_decision_by is not None,
        **_terms(call, case),
        "order": {
            "paid": money(order.paid_minor, order.currency),
            "reserved": money(order.reserved_minor, order.currency),
            "refunded": money(order.refunded_minor, order.currency),
            "left": money(left, order.currency),
        },
    }
    trial.rollback()
    call.session.info.pop("refund_requested", None)
    return Answer(foreseen, headers={"ETag": f'"{version}"'})


def _terms(call: Call, case: Case) -> dict[str, Any]:
    """What was decided, be it issued or waiting for approval."""
    made = call.session.scalars(
        select(Decision).where(Decision.case_id == case.id).order_by(Decision.number.desc()).limit(1)
    ).one()
    remedy = {"kind": made.remedy_kind, "amount_minor": made.amount_minor, "currency": made.currency}
    return {"outcome": made.outcome, "remedy": remedy_answer(remedy | {"freight_bearer": made.freight_bearer})}


def _untaken(call: Call, case: Case, body: Mapping[str, Any]) -> None:
    raise AssertionError("no token has a role that the procedure lets take this action")


for _name, (_schema, _operation, _summary) in ACTIONS.items():
    _mount(_name, _schema, _operation, _summary)
for _name in UNTAKEN:
    _mount(_name, NOTHING, _untaken, "Taken by time, the gateway or the system alone: 403 for every token")
