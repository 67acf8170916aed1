"""How a case looks to the one who reads it: what they may do now, and what is masked for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from marshmallow import Schema, fields

from mediation import docket
from mediation.api.calls import Call
from mediation.deadlines import Running
from mediation.models import Case
from mediation.operations import carrying, order_facts
from mediation.schemas import money, rfc3339
from mediation.sight import deadline_answer, mask, order_answer, party_answer, remedy_answer
from workflows import standing
from workflows.acts import Actor
from workflows.facts import OF_RETURN, PERSONAL_DETAILS, Fact, FactName
from workflows.states import PARTIES, EscalationReason, Role


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
    return_required = fields.Boolean(allow_none=True)
    purposes = fields.Dict(metadata={"description": "the parts of the sum: refund, compensation, freight"})
    in_place = fields.Nested(
        MoneyAnswerSchema, allow_none=True, metadata={"description": "what goes back if a remedy in kind is not done"}
    )


class DeadlineSchema(Schema):
    """A limit on a case. `at` is null while it stands still; `fires` is null where nothing happens by itself."""

    kind = fields.String(required=True)
    fires = fields.String(required=True, allow_none=True)
    at = fields.DateTime(required=True, allow_none=True)
    started_at = fields.DateTime(required=True)
    remaining_seconds = fields.Float(required=True, allow_none=True, metadata={"description": "while it stands still"})
    extended_seconds = fields.Float(required=True)
    hours = fields.String(required=True, metadata={"description": "how its time is counted"})
    provisional = fields.Boolean(
        required=True, metadata={"description": "a year's holidays were not published when it was counted"}
    )
    policy = fields.Dict(required=True, allow_none=True, metadata={"description": "version and row it comes from"})


class FactSchema(Schema):
    name = fields.String(required=True)
    holds = fields.Boolean(required=True)
    at = fields.DateTime(required=True, allow_none=True)
    source = fields.String(required=True)
    detail = fields.Dict(required=True)


class CaseSchema(Schema):
    """A case, as the caller may see it."""

    id = fields.UUID(required=True)
    reference = fields.String(required=True, metadata={"example": "D-7K4Q-9XM2-ABCD"})
    state = fields.String(required=True)
    stage = fields.String(required=True)
    waiting_on = fields.String(required=True, allow_none=True)
    view = fields.String(required=True)
    deadline = fields.Dict(
        required=True, allow_none=True, metadata={"description": "the next one that fires: at, fires, kind"}
    )
    deadlines = fields.List(fields.Nested(DeadlineSchema), required=True)
    legs = fields.List(fields.String(), required=True, metadata={"description": "still to be done, in order"})
    suspension = fields.Dict(required=True, allow_none=True)
    facts = fields.List(fields.Nested(FactSchema), metadata={"description": "of its order, where one case is read"})
    return_address = fields.Dict(allow_none=True, metadata={"description": "where one case is read"})
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
    """The case for the caller, its claims and deadlines read along."""
    return case_answers(call, [case])[0]


def whole_case_answer(call: Call, case: Case) -> dict[str, Any]:
    """The case with what its order's facts say, and where goods go back to."""
    role = call.actor.role
    # The buyer learns where the goods go once they are to go there, and not from an offer that came to nothing.
    told = role is not Role.BUYER or (case.remedy or {}).get("return_required", False)
    address = carrying.address_of(call.session, case, case.return_address_seq) if told else {}
    facts = [
        # Who took a parcel in is a person of the side that it went to.
        fact_answer(fact, masked=role is (Role.BUYER if fact.name in OF_RETURN else Role.SELLER))
        for fact in order_facts.of_case(call.session, case, call.now)
    ]
    for fact in facts:
        if fact["name"] == FactName.SHIPPED_LATE and fact["holds"]:
            worth = order_facts.for_lateness(call.session, case, call.now)
            fact["detail"] |= {
                "compensation": money(worth.amount_minor, case.currency),
                "policy": {"version": worth.version, "row": worth.row},
            }
    return case_answer(call, case) | {
        "facts": facts,
        "return_address": address.get(carrying.ADDRESS),
    }


def fact_answer(fact: Fact, *, masked: bool = False) -> dict[str, Any]:
    """A fact with its source; `masked` for whom it may not name a person."""
    detail = {
        name: mask(value) if masked and name in PERSONAL_DETAILS else value for name, value in fact.detail.items()
    }
    return {
        "name": str(fact.name),
        "holds": fact.holds,
        "at": rfc3339(fact.at),
        "source": fact.source,
        "detail": detail,
    }


def case_answers(call: Call, found: Sequence[Case]) -> list[dict[str, Any]]:
    """Several cases for the caller, all their claims and deadlines read at once."""
    call.read_along(found)
    return [_case(call, case, call.claims_of(case), call.deadlines_of(case)) for case in found]


def _next_deadline(running: Sequence[Running]) -> dict[str, Any] | None:
    firing = [one for one in running if one.due_at and one.fires is not None and one.set_aside_at is None]
    if not firing:
        return None
    one = min(firing, key=lambda deadline: (deadline.due_at, deadline.id))
    return {"at": rfc3339(one.due_at), "fires": one.fires, "kind": one.kind}


def _suspension(case: Case) -> dict[str, Any] | None:
    if case.suspended_from is None:
        return None
    return {"from": case.suspended_from, "ground": case.suspension_ground, "since": rfc3339(case.suspended_at)}


def _case(call: Call, case: Case, claims: list[dict[str, Any]], running: Sequence[Running]) -> dict[str, Any]:
    actor = call.actor
    open_now, closed_now = _actions(call, case)
    return {
        "id": str(case.id),
        "reference": case.reference,
        "state": case.state,
        "stage": standing.stage(case),
        "waiting_on": case.waiting_on,
        "view": docket.view_for(case, actor),
        "deadline": _next_deadline(running),
        "deadlines": [deadline_answer(one) for one in running],
        "legs": case.legs,
        "suspension": _suspension(case),
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
    base, due_at = f"/v1/cases/{case.id}/actions/", rfc3339(case.due_at) if mine else None
    for name, refusal in docket.options(case, call.informed_actor(), call.now):
        if refusal is None:
            href = base + name
            open_now.append({"name": name, "href": href, "method": "POST", "due_at": due_at, "mandatory": mine})
        else:
            closed_now.append({"name": name, "why": refusal.sentence(call.language)})
    return open_now, closed_now
