"""/cases/{id}/deadlines, /notices and /evidence-requests: what is running, what was served, what is asked for."""

from __future__ import annotations

import re
from typing import Any

from flask_smorest import Blueprint
from marshmallow import Schema, fields
from sqlalchemy import select

from mediation import queries
from mediation.api.answers import CaseSchema as CaseAnswerSchema
from mediation.api.answers import DeadlineSchema, case_answer
from mediation.api.calls import Answer, Call, case_headers
from mediation.api.endpoint import ALL, V1, Hold, endpoint
from mediation.api.history import list_page
from mediation.api.lists import PageSchema, list_of, page_answer
from mediation.errors import NotFound
from mediation.models import Case, Deadline, EvidenceItem, EvidenceRequest, Notice
from mediation.operations import evidence_requests
from mediation.schemas import NoBodySchema, as_uuid, rfc3339
from mediation.sight import deadline_answer, request_answer
from workflows.acts import Act
from workflows.guards import no_interest
from workflows.states import PARTIES, STAFF

blueprint = Blueprint("waiting", __name__, url_prefix=V1, description="Deadlines, notices and evidence requests")


class StandingDeadlineSchema(DeadlineSchema):
    attempts = fields.Integer(allow_none=True, metadata={"description": "failed tries to fire it; for staff"})
    failure = fields.String(allow_none=True)
    set_aside_at = fields.DateTime(allow_none=True)


class NoticeSchema(Schema):
    id = fields.UUID(required=True)
    kind = fields.String(required=True)
    served_on = fields.String(required=True)
    served_at = fields.DateTime(required=True)
    due_at = fields.DateTime(required=True, allow_none=True, metadata={"description": "what was then the next date"})
    seq = fields.Integer(required=True, metadata={"description": "the docket entry it tells of"})


class EvidenceItemAnswerSchema(Schema):
    item = fields.Integer(required=True)
    side = fields.String(required=True)
    type = fields.String(required=True)
    note = fields.String(required=True, allow_none=True)
    status = fields.String(required=True)
    exhibit = fields.String(required=True, allow_none=True)


class EvidenceRequestSchema(Schema):
    id = fields.UUID(required=True)
    status = fields.String(required=True)
    asked_at = fields.DateTime(required=True)
    closed_at = fields.DateTime(required=True, allow_none=True)
    items = fields.List(fields.Nested(EvidenceItemAnswerSchema), required=True)

    class Meta:
        include = {"from": fields.String(required=True)}  # noqa: RUF012 - `from` is a word of Python's


PAGE, NOTHING = PageSchema(), NoBodySchema()
#: Who may do without an item: its own side, or whoever reviews the case.
WAIVERS = frozenset(PARTIES | STAFF)


@endpoint(
    blueprint,
    "GET",
    "/cases/<case_id>/deadlines",
    operation="listDeadlines",
    summary="The deadlines that are not over, those that stand still among them",
    roles=ALL,
    hold=Hold.READ,
    answer=list_of(StandingDeadlineSchema),
)
def list_deadlines(call: Call, case: Case) -> Answer:
    found = queries.deadlines(call.session, [case.id])[case.id]
    return page_answer([_deadline(call, one) for one in found], None)


def _deadline(call: Call, one: Deadline) -> dict[str, Any]:
    answer = deadline_answer(one)
    if call.actor.role in STAFF:
        answer |= {"attempts": one.attempts, "failure": one.failure, "set_aside_at": rfc3339(one.set_aside_at)}
    return answer


@endpoint(
    blueprint,
    "GET",
    "/cases/<case_id>/notices",
    operation="listNotices",
    summary="What was served on whom and when",
    roles=ALL,
    hold=Hold.READ,
    query=PAGE,
    answer=list_of(NoticeSchema),
)
def list_notices(call: Call, case: Case) -> Answer:
    query = select(Notice).where(Notice.case_id == case.id)
    if call.actor.role in PARTIES:
        query = query.where(Notice.served_on == call.actor.role)
    found, more = list_page(call, query, Notice.id)
    items = [
        {
            "id": str(one.id),
            "kind": one.kind,
            "served_on": one.served_on,
            "served_at": rfc3339(one.served_at),
            "due_at": rfc3339(one.due_at),
            "seq": one.seq,
        }
        for one in found
    ]
    return page_answer(items, more)


@endpoint(
    blueprint,
    "GET",
    "/cases/<case_id>/evidence-requests",
    operation="listEvidenceRequests",
    summary="What was asked of whom, and what came of it",
    roles=ALL,
    hold=Hold.READ,
    query=PAGE,
    answer=list_of(EvidenceRequestSchema),
)
def list_evidence_requests(call: Call, case: Case) -> Answer:
    found, more = list_page(call, select(EvidenceRequest).where(EvidenceRequest.case_id == case.id), EvidenceRequest.id)
    query = select(EvidenceItem).where(EvidenceItem.request_id.in_([one.id for one in found]))
    items = call.session.scalars(query.order_by(EvidenceItem.n)).all()
    words = queries.words(call.session, case, [one.seq for one in found])
    return page_answer([request_answer(one, items, words[one.seq]) for one in found], more)


@endpoint(
    blueprint,
    "POST",
    "/cases/<case_id>/evidence-requests/<request_id>/items/<item>/waiver",
    operation="waiveEvidenceItem",
    summary="Do without an item: its side has nothing to show, or staff does not need it any more",
    roles=WAIVERS,
    hold=Hold.LOCK,
    body=NOTHING,
    answer=CaseAnswerSchema(),
)
def waive_item(call: Call, case: Case, request_id: str, item: str) -> Answer:
    request = as_uuid(request_id)
    if request is None or not re.fullmatch(r"[1-9][0-9]{0,3}", item):
        raise NotFound()
    call.body(NOTHING)
    # To do without what a side was asked to show is a part of hearing the case.
    no_interest(case, Act(call.informed_actor(), call.now))
    evidence_requests.waive(call.session, case, call.actor, call.now, (request, int(item)))
    return Answer(case_answer(call, case), headers=case_headers(case))
