"""How a case looks to the one who reads it: what they may do now, and what is masked for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from marshmallow import Schema, fields

from mediation import docket, queries
from mediation.api.calls import Call
from mediation.models import Case, Order, Party
from mediation.schemas import money, rfc3339
from workflows.acts import Actor
from workflows.states import PARTIES, STAGE_OF, CaseState, EscalationReason, Role

#: Fields of an order that only say when something happened.
_ORDER_TIMES = ("paid_at", "ship_by", "shipped_at", "delivered_at", "receipt_confirmed_at")
_ORDER_TEXTS = ("region", "carrier", "tracking_number")


class MoneyAnswerSchema(Schema):
    amount = fields.Integer(required=True, metadata={"description": "minor units"})
    currency = fields.String(required=True, metadata={"example": "CNY"})


class PartyAnswerSchema(Schema):
    id = fields.String(required=True)
    name = fields.String(required=True, allow_none=True, metadata={"description": "masked for the other side"})
    locale = fields.String(required=True)


class ActionSchema(Schema):
    name = fields.String(required=True)
    href = fields.String(required=True)
    method = fields.String(required=True)
    due_at = fields.DateTime(required=True, allow_none=True)
    mandatory = fields.Boolean(required=True, metadata={"description": "the case waits on the caller"})


class UnavailableActionSchema(Schema):
    name = fields.String(required=True)
    why = fields.String(required=True, metadata={"description": "in the caller's language"})


class ClaimAnswerSchema(Schema):
    id = fields.UUID(required=True)
    line_id = fields.String(required=True)
    reason = fields.String(required=True)
    request = fields.String(required=True)
    amount = fields.Nested(MoneyAnswerSchema, required=True)
    statement = fields.String(required=True, allow_none=True)


class OrderAnswerSchema(Schema):
    id = fields.String(required=True)
    paid = fields.Nested(MoneyAnswerSchema, required=True)
    reserved = fields.Nested(MoneyAnswerSchema)
    refunded = fields.Nested(MoneyAnswerSchema)
    paid_at = fields.DateTime(allow_none=True)
    region = fields.String(allow_none=True)
    ship_by = fields.DateTime(allow_none=True)
    shipped_at = fields.DateTime(allow_none=True)
    delivered_at = fields.DateTime(allow_none=True)
    delivered_to = fields.String(allow_none=True)
    receipt_confirmed_at = fields.DateTime(allow_none=True)
    carrier = fields.String(allow_none=True)
    tracking_number = fields.String(allow_none=True)
    lines = fields.List(fields.Dict(), required=True)
    updated_at = fields.DateTime()
    buyer = fields.Nested(PartyAnswerSchema)
    seller = fields.Nested(PartyAnswerSchema)


class RemedyAnswerSchema(Schema):
    kind = fields.String(required=True)
    amount = fields.Nested(MoneyAnswerSchema, required=True)
    freight_bearer = fields.String(allow_none=True)


class CaseSchema(Schema):
    """A case, as the caller may see it."""

    id = fields.UUID(required=True)
    reference = fields.String(required=True, metadata={"example": "D-7K4Q-9XM2-ABCD"})
    state = fields.String(required=True)
    stage = fields.String(required=True)
    waiting_on = fields.String(required=True, allow_none=True)
    view = fields.String(required=True)
    deadline = fields.Dict(required=True, allow_none=True)
    deadlines = fields.List(fields.Dict(), required=True)
    order = fields.Nested(OrderAnswerSchema, required=True)
    buyer = fields.Nested(PartyAnswerSchema, required=True)
    seller = fields.Nested(PartyAnswerSchema, required=True)
    claims = fields.List(fields.Nested(ClaimAnswerSchema), required=True)
    assignee = fields.String(required=True, allow_none=True)
    queue = fields.String(required=True, allow_none=True)
    level = fields.Integer(required=True)
    escalation_reason = fields.String(required=True, allow_none=True)
    outcome = fields.String(required=True, allow_none=True)
    remedy = fields.Nested(RemedyAnswerSchema, required=True, allow_none=True)
    opened_at = fields.DateTime(required=True)
    updated_at = fields.DateTime(required=True)
    closed_at = fields.DateTime(required=True, allow_none=True)
    version = fields.Integer(required=True)
    actions = fields.List(fields.Nested(ActionSchema), required=True)
    unavailable_actions = fields.List(fields.Nested(UnavailableActionSchema), required=True)


def case_answer(call: Call, case: Case) -> dict[str, Any]:
    """The case for the caller, its claims read along."""
    return _case(call, case, queries.claims(call.session, [case.id])[case.id])


def case_answers(call: Call, found: Sequence[Case]) -> list[dict[str, Any]]:
    """Several cases for the caller, all their claims read at once."""
    claims = queries.claims(call.session, [case.id for case in found])
    return [_case(call, case, claims[case.id]) for case in found]


def _case(call: Call, case: Case, claims: list[dict[str, Any]]) -> dict[str, Any]:
    actor = call.actor
    open_now, closed_now = _actions(call, case)
    return {
        "id": str(case.id),
        "reference": case.reference,
        "state": case.state,
        "stage": STAGE_OF[CaseState(case.state)],
        "waiting_on": case.waiting_on,
        "view": docket.view_for(case, actor),
        # No clock runs on a case yet; the members are there because readers of the contract expect them.
        "deadline": None,
        "deadlines": [],
        "order": order_answer(case.order, masked=actor.role is Role.SELLER),
        "buyer": party_answer(case.buyer, masked=actor.role is Role.SELLER),
        "seller": party_answer(case.seller, masked=actor.role is Role.BUYER),
        "claims": claims,
        "assignee": case.assignee if actor.role not in PARTIES else None,
        "queue": case.queue if actor.role not in PARTIES else None,
        "level": case.level,
        "escalation_reason": _escalation_reason(case, actor),
        "outcome": case.outcome,
        "remedy": remedy_answer(case.remedy),
        "opened_at": rfc3339(case.opened_at),
        "updated_at": rfc3339(case.updated_at),
        "closed_at": rfc3339(case.closed_at),
        "version": case.version,
        "actions": open_now,
        "unavailable_actions": closed_now,
    }


def _escalation_reason(case: Case, actor: Actor) -> str | None:
    """Parties are not told that a sum is above an authority: it would tell them of a decision that waits."""
    if actor.role in PARTIES and case.escalation_reason == EscalationReason.AMOUNT_OVER_AUTHORITY:
        return None
    return case.escalation_reason


def _actions(call: Call, case: Case) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    open_now, closed_now = [], []
    mine = case.waiting_on == call.actor.role or (case.waiting_on == "both" and call.actor.role in PARTIES)
    for name, refusal in docket.options(case, call.informed_actor(), call.now):
        if refusal is None:
            href = f"/v1/cases/{case.id}/actions/{name}"
            open_now.append({"name": name, "href": href, "method": "POST", "due_at": None, "mandatory": mine})
        else:
            closed_now.append({"name": name, "why": refusal.sentence(call.language)})
    return open_now, closed_now


def order_answer(order: Order, *, whole: bool = False, masked: bool = False) -> dict[str, Any]:
    """An order; `whole` with its parties and what is held on it, as the platform and staff see it; `masked` for the
    seller, to whom the one who took the parcel in is not named.
    """
    answer: dict[str, Any] = {"id": order.external_id, "paid": money(order.paid_minor, order.currency)}
    answer |= {name: rfc3339(getattr(order, name)) for name in _ORDER_TIMES}
    answer |= {name: getattr(order, name) for name in _ORDER_TEXTS}
    answer |= {"delivered_to": mask(order.delivered_to) if masked else order.delivered_to, "lines": order.lines}
    if whole:
        answer |= {
            "reserved": money(order.reserved_minor, order.currency),
            "refunded": money(order.refunded_minor, order.currency),
            "updated_at": rfc3339(order.updated_at),
            "buyer": party_answer(order.buyer),
            "seller": party_answer(order.seller),
        }
    return answer


def party_answer(party: Party, *, masked: bool = False) -> dict[str, Any]:
    """A party, the name masked for the other side."""
    return {
        "id": party.external_id,
        "name": mask(party.name) if masked else party.name,
        "locale": party.locale,
    }


def who_answer(role: str, subject: str, reader: Actor) -> dict[str, Any]:
    """Who did something: to a party, the other side's person masked and staff by their role alone."""
    if reader.role not in PARTIES or role == reader.role:
        return {"role": role, "id": subject}
    return {"role": role, "id": mask(subject) if role in PARTIES else None}


def mask(name: str | None) -> str | None:
    """A name of which only the first character is left, and not even that of a name of one."""
    return None if name is None else f"{name[0] if len(name) > 1 else ''}**"


def remedy_answer(remedy: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A remedy with its sum as money."""
    if remedy is None:
        return None
    return {
        "kind": remedy["kind"],
        "amount": money(remedy["amount_minor"], remedy["currency"]),
        "freight_bearer": remedy.get("freight_bearer"),
    }
