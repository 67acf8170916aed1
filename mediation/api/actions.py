"""/cases/{id}/actions/{action}: the one door for everything that moves a case, one route for each action."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flask import Response
from flask_smorest import Blueprint
from marshmallow import Schema, fields, validate
from sqlalchemy import select

from mediation import docket
from mediation.api.answers import CaseSchema, case_answer
from mediation.api.calls import Answer, Call, case_headers, path_id, require_version, run
from mediation.api.deciding import DecideSchema
from mediation.api.endpoint import V1, describe, mount
from mediation.models import Case, Decision
from mediation.operations import (
    appeals,
    assignment,
    decisions,
    due_dates,
    evidence_requests,
    negotiation,
    notices,
    performance,
    refunds,
    suspending,
)
from mediation.schemas import (
    MAX_NOTE,
    MAX_STATEMENT,
    Flag,
    Id,
    Instant,
    MoneySchema,
    NoBodySchema,
    OneOf,
    ReturnAddressSchema,
    Text,
    money,
)
from mediation.sight import remedy_answer
from workflows.states import (
    DISPUTED_VERDICTS,
    STATED_ESCALATION_REASONS,
    TOKEN_ROLES,
    EvidenceType,
    Ground,
    RefuseReason,
    RemedyKind,
    SuspendGround,
)

blueprint = Blueprint("actions", __name__, url_prefix=V1, description="What moves a case")


class AddressedSchema(Schema):
    return_address = fields.Nested(ReturnAddressSchema, metadata={"description": "where the buyer sends the goods"})


class RefuseSchema(Schema):
    reason = OneOf(RefuseReason, required=True)
    statement = Text(MAX_STATEMENT, required=True)


class ProposeSchema(Schema):
    remedy = OneOf(RemedyKind, required=True)
    amount = fields.Nested(MoneySchema, metadata={"description": "for a remedy that pays; none for one in kind"})
    return_required = Flag(metadata={"description": "false: what is exchanged or repaired need not come back"})
    note = Text(MAX_NOTE)


class OfferSchema(ProposeSchema, AddressedSchema):
    """An offer; the seller's may say where the goods go back to."""


class HandOverSchema(Schema):
    to = Id(required=True, metadata={"description": "the colleague's subject"})
    category = Id(required=True, metadata={"description": "a category of the policies in force"})
    reason = Text(MAX_NOTE, required=True)
    consent = Flag(required=True, metadata={"description": "the buyer's; must be true"})


class EvidenceItemSchema(Schema):
    type = OneOf(EvidenceType, required=True)
    note = Text(MAX_NOTE)


class RequestEvidenceSchema(Schema):
    items = fields.List(fields.Nested(EvidenceItemSchema), required=True, validate=validate.Length(1, 20))
    due = Instant(metadata={"description": "left out: as the policies say"})

    class Meta:
        include = {  # noqa: RUF012 - `from` is a word of Python's
            "from": fields.String(required=True, validate=validate.OneOf(["buyer", "seller", "both"]))
        }


class ExtendSchema(Schema):
    due = Instant(required=True)
    reason = Text(MAX_NOTE, required=True)


class SuspendSchema(Schema):
    ground = OneOf(SuspendGround, required=True)
    until = Instant(required=True)


class RefundNowSchema(Schema):
    ground = OneOf(Ground, required=True)


class ParcelSchema(Schema):
    carrier = Id(required=True)
    tracking_number = Id(required=True)


class DisputeSchema(Schema):
    verdict = OneOf(DISPUTED_VERDICTS, required=True)
    statement = Text(MAX_STATEMENT, required=True)


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
    decisions.decide(call.session, case, call.actor, call.now, body, sealer=call.services.sealer)


def _approve(call: Call, case: Case, body: Mapping[str, Any]) -> None:
    decisions.approve(call.session, case, call.actor, call.now, body, sealer=call.services.sealer)


NOTHING = NoBodySchema()
#: Every action that a token can take: its body, and the operation behind it.
ACTIONS: dict[str, tuple[Schema, Operation, str]] = {
    "notify_seller": (NOTHING, _plain(negotiation.notify_seller), "Tell the seller of the dispute"),
    "agree": (AddressedSchema(), _plain(negotiation.agree), "Grant all that was asked"),
    "refuse": (RefuseSchema(), _plain(negotiation.refuse), "Refuse what was asked"),
    "offer": (OfferSchema(), _plain(negotiation.offer), "Offer a remedy, or counter one"),
    "accept_offer": (
        AddressedSchema(),
        _plain(negotiation.accept_offer),
        "Take the other side's offer, or a mediator's proposal; it binds",
    ),
    "decline_offer": (NOTHING, _plain(negotiation.decline_offer), "Turn the other side's offer down"),
    "request_mediation": (NOTHING, _plain(negotiation.request_mediation), "Call the platform in"),
    "ship_return": (ParcelSchema(), _plain(performance.ship_return), "Say that the goods are on their way back"),
    "confirm_return": (NOTHING, _plain(performance.confirm_return), "Say that the goods came back as they should"),
    "dispute_return": (DisputeSchema(), _plain(performance.dispute_return), "Say what is wrong with what came back"),
    "perform": (ParcelSchema(), _plain(performance.perform), "Say that the replacement is on its way"),
    "confirm_performance": (NOTHING, _plain(performance.confirm_performance), "Say that the replacement is in order"),
    "dispute_performance": (
        DisputeSchema(),
        _plain(performance.dispute_performance),
        "Say what is wrong with the replacement",
    ),
    "withdraw": (NOTHING, _plain(negotiation.withdraw), "Take the dispute back; irreversible"),
    "take": (NOTHING, _plain(assignment.take), "Make the case yours"),
    "release": (NOTHING, _plain(assignment.release), "Give the case back to the queue"),
    "hand_over": (HandOverSchema(), _plain(assignment.hand_over), "Give the case to a colleague of its category"),
    "propose": (ProposeSchema(), _plain(negotiation.propose), "Put a remedy forward that binds when both accept"),
    "request_evidence": (RequestEvidenceSchema(), _plain(evidence_requests.ask), "Ask a side to show something"),
    "end_evidence_request": (NOTHING, _plain(evidence_requests.end), "Stop waiting for evidence"),
    "extend": (ExtendSchema(), _plain(due_dates.extend), "Give whom the case waits on more time"),
    "remind_seller": (NOTHING, _plain(notices.remind_seller), "Remind the seller that the case waits on them"),
    "refund_now": (
        RefundNowSchema(),
        _plain(performance.refund_now),
        "Send the money back on the order's facts alone; irreversible",
    ),
    "suspend": (SuspendSchema(), _plain(suspending.suspend), "Let the case rest until a date"),
    "resume": (NOTHING, _plain(suspending.resume), "Let the case go on where it was"),
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
UNTAKEN = (
    "conclude_inspection",
    "conclude_performance",
    "default_evidence",
    "evidence_complete",
    "expire_offer",
    "fail_refund",
    "finalise",
    "lapse",
    "raise_level",
    "refund_in_place",
    "settle_refund",
)
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
        docket.require_on_time(case, call.actor, call.now)
        require_version(case)
        actor = call.informed_actor(case)
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
    granted = decisions.granted_by(call.session, case, {name: getattr(made, name) for name in decisions.TERMS})
    return {"outcome": made.outcome, "remedy": remedy_answer(granted.remedy), "legs": granted.legs}


def _untaken(call: Call, case: Case, body: Mapping[str, Any]) -> None:
    raise AssertionError("no token has a role that the procedure lets take this action")


for _name, (_schema, _operation, _summary) in ACTIONS.items():
    _mount(_name, _schema, _operation, _summary)
for _name in UNTAKEN:
    _mount(_name, NOTHING, _untaken, "Taken by time, the gateway or the system alone: 403 for every token")
