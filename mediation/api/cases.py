"""/cases: opening, listing, reading."""

from __future__ import annotations

from flask_smorest import Blueprint
from marshmallow import Schema, fields, validate

from mediation import queries
from mediation.api.answers import CaseSchema, case_answer, case_answers, whole_case_answer
from mediation.api.calls import Answer, Call, case_headers
from mediation.api.endpoint import ALL, V1, Hold, endpoint
from mediation.api.lists import PageSchema, list_of, page_until
from mediation.api.orders import LineSchema, OrderSchema
from mediation.errors import InvalidBody
from mediation.models import Case
from mediation.operations import filing
from mediation.schemas import MAX_STATEMENT, Id, Instant, MoneySchema, OneOf, PartySchema, Text
from workflows.states import PARTIES, CaseState, Queue, Reason, Request, Role, Stage, WaitingOn

blueprint = Blueprint("cases", __name__, url_prefix=V1, description="Disputes between a buyer and a seller")


class ClaimSchema(Schema):
    line_id = Id(required=True)
    reason = OneOf(Reason, required=True)
    request = OneOf(Request, required=True)
    amount = fields.Nested(MoneySchema, required=True)
    statement = Text(MAX_STATEMENT, required=True)


class CaseOrderSchema(OrderSchema):
    """The order of a new case: all of it from the platform, its id alone from a buyer."""

    paid = fields.Nested(MoneySchema)
    lines = fields.List(fields.Nested(LineSchema), validate=validate.Length(1, 200))


class OpenCaseSchema(Schema):
    order = fields.Nested(CaseOrderSchema, required=True)
    buyer = fields.Nested(PartySchema)
    seller = fields.Nested(PartySchema)
    claims = fields.List(fields.Nested(ClaimSchema), required=True, validate=validate.Length(1, 50))


class ListCasesSchema(PageSchema):
    state = OneOf(CaseState)
    stage = OneOf(Stage)
    waiting_on = OneOf(WaitingOn)
    queue = OneOf(Queue)
    assignee = Id()
    reason = OneOf(Reason)
    request = OneOf(Request)
    buyer = Id()
    seller = Id()
    order = Id()
    opened_from = Instant()
    opened_to = Instant()
    due_before = Instant()
    updated_since = Instant()
    q = Id(metadata={"description": "a case's reference or an order's id, whole"})
    sort = fields.String(
        load_default="opened_at",
        validate=validate.OneOf([f"{sign}{name}" for name in queries.SORTS for sign in ("", "-")]),
        metadata={"description": "a minus before it: largest first"},
    )


OPEN_CASE, LIST_CASES, CASE = OpenCaseSchema(), ListCasesSchema(), CaseSchema()


@endpoint(
    blueprint,
    "POST",
    "/cases",
    operation="openCase",
    summary="Open a dispute",
    description="Order facts come from the platform alone; a buyer names an order on file by its id.",
    roles=frozenset({Role.PLATFORM, Role.BUYER}),
    body=OPEN_CASE,
    answer=CASE,
    status=201,
)
def open_case(call: Call) -> Answer:
    case = filing.open_case(call.session, call.actor, call.now, call.body(OPEN_CASE))
    call.case_id = case.id
    headers = {"Location": f"{V1}/cases/{case.id}", **case_headers(case)}
    return Answer(case_answer(call, case), 201, headers)


@endpoint(
    blueprint,
    "GET",
    "/cases",
    operation="listCases",
    summary="The cases you may see, page by page",
    roles=ALL,
    query=LIST_CASES,
    answer=list_of(CaseSchema),
)
def list_cases(call: Call) -> Answer:
    asked = call.query(LIST_CASES)
    if call.actor.role in PARTIES and (inner := [name for name in ("queue", "assignee") if name in asked]):
        raise InvalidBody(errors={name: ["Is not for parties to ask by."] for name in inner})
    found, cursor = queries.cases(
        call.session,
        call.actor,
        asked,
        sort=asked["sort"],
        limit=asked["limit"],
        cursor=asked.get("cursor"),
    )
    return page_until(case_answers(call, found), cursor)


@endpoint(
    blueprint,
    "GET",
    "/cases/<case_id>",
    operation="getCase",
    summary="One case, with what you can do about it now",
    roles=ALL,
    hold=Hold.READ,
    answer=CASE,
)
def get_case(call: Call, case: Case) -> Answer:
    return Answer(whole_case_answer(call, case), headers=case_headers(case))
