"""/exhibits/{id}/redactions, /cases/{id}/erasures and /redactions/{id}: taking out what must go."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from enum import StrEnum
from typing import Any

import structlog
from flask import Response
from flask_smorest import Blueprint
from marshmallow import Schema, fields, validate
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from mediation import docket, erasure
from mediation.api.calls import Answer, Call, case_headers, path_id, require_version, run, services
from mediation.api.endpoint import ALL, V1, Hold, describe, endpoint, mount
from mediation.api.exhibits import visible_exhibit
from mediation.api.history import list_page
from mediation.api.lists import PageSchema, list_of, page_answer
from mediation.errors import NotFound
from mediation.models import Case, Exhibit, Redaction
from mediation.operations import erasing, redactions
from mediation.operations.redactions import Target
from mediation.schemas import MAX_NOTE, NoBodySchema, OneOf, Text, Whole, rfc3339
from workflows.states import STAFF, Side

blueprint = Blueprint("redactions", __name__, url_prefix=V1, description="Redaction and erasure")

log = structlog.get_logger("mediation.api.redactions")
REDACTORS = frozenset(STAFF)
NOTICE = "Copies that were handed out already, such as case files, downloads and receipts, cannot be recalled."


class Reason(StrEnum):
    PERSONAL_DATA = "personal_data"
    THIRD_PARTY_SECRET = "third_party_secret"  # noqa: S105 - no password


class RedactSchema(Schema):
    seqs = fields.List(
        Whole(1, 2**31 - 1),
        validate=validate.Length(1, 10_000),
        metadata={"description": "messages of a chat log; left out for any other exhibit, which goes whole"},
    )
    reason = OneOf(Reason, required=True)
    note = Text(MAX_NOTE)


class EraseSchema(Schema):
    side = OneOf(Side, required=True)
    reason = OneOf((Reason.PERSONAL_DATA,), required=True)
    note = Text(MAX_NOTE)


class DryRunSchema(Schema):
    dry_run = fields.Boolean(metadata={"description": "true: say what would be erased, and write nothing"})


class RedactionSchema(Schema):
    id = fields.UUID(required=True, allow_none=True)
    status = fields.String(required=True, metadata={"description": "pending, done, rejected or foreseen"})
    exhibit = fields.String(required=True, allow_none=True)
    seqs = fields.List(fields.Integer(), required=True)
    side = fields.String(required=True, allow_none=True)
    reason = fields.String(required=True)
    requested_by = fields.String(required=True, allow_none=True)
    requested_at = fields.DateTime(required=True, allow_none=True)
    answered_by = fields.String(required=True, allow_none=True)
    answered_at = fields.DateTime(required=True, allow_none=True)
    erased = fields.Dict(required=True, metadata={"description": "by place, never by content"})
    notice = fields.String(required=True)


REDACT, ERASE, DRY_RUN, NOTHING = RedactSchema(), EraseSchema(), DryRunSchema(), NoBodySchema()
REDACTION, PAGE = RedactionSchema(), PageSchema()


def _answer(call: Call, case: Case, one: Redaction, label: str | None) -> dict[str, Any]:
    staff = call.actor.role in STAFF
    erased = one.erased
    if erased and not staff:
        # Where only staff may look is not told to the parties, and what remains is staff's to see to.
        erased = {**erased, **erasing.divided(call.session, case, erased)[0], "not_searched": [], "remains": []}
    return {
        "id": str(one.id),
        "status": one.status,
        "exhibit": label,
        "seqs": one.seqs,
        "side": one.side,
        "reason": one.reason,
        "requested_by": one.requested_by if staff else None,
        "requested_at": rfc3339(one.requested_at),
        "answered_by": one.answered_by if staff else None,
        "answered_at": rfc3339(one.answered_at),
        "erased": erased,
        "notice": NOTICE,
    }


def _foreseen(call: Call, case: Case, target: Target, reason: str) -> Answer:
    erased = redactions.foreseen(call.session, call.services.blobs, case, target)
    nobody = dict.fromkeys(("id", "requested_by", "requested_at", "answered_by", "answered_at"))
    return Answer(
        {
            **nobody,
            "status": "foreseen",
            "exhibit": None if target.exhibit is None else target.exhibit.label,
            "seqs": list(target.seqs),
            "side": target.side,
            "reason": reason,
            "erased": erased,
            "notice": NOTICE,
        }
    )


def _done(call: Call, case: Case, one: Redaction) -> Answer:
    label = None if one.exhibit_id is None else call.session.get_one(Exhibit, one.exhibit_id).label
    status = 202 if one.status == redactions.PENDING else 200
    return Answer(_answer(call, case, one, label), status, case_headers(case))


def _locked(call: Call, case_id: uuid.UUID) -> Case:
    call.case_id = case_id
    case = docket.lock(call.session, case_id, call.actor)
    docket.require_on_time(case, call.actor, call.now)
    require_version(case)
    redactions.require_disinterested(case, call.informed_actor(), call.now)
    return case


# --- asking ------------------------------------------------------------------------------------------------------


def _asked(call: Call, case: Case, target: Target, body: dict[str, Any]) -> Answer:
    if call.query(DRY_RUN).get("dry_run"):
        return _foreseen(call, case, target, body["reason"])
    one = redactions.request(call.session, call.services.blobs, case, call.actor, call.now, target=target, body=body)
    return _done(call, case, one)


def _redact(call: Call, exhibit_id: str) -> Answer:
    exhibit = visible_exhibit(call, exhibit_id)
    call.require(*REDACTORS)
    case = _locked(call, exhibit.case_id)
    call.session.refresh(exhibit)
    body = call.body(REDACT)
    return _asked(call, case, redactions.of_messages(exhibit, body), body)


def _erase(call: Call, case_id: str) -> Answer:
    found = docket.find(call.session, path_id(case_id, "case_id"), call.actor)
    call.require(*REDACTORS)
    case = _locked(call, found.id)
    body = call.body(ERASE)
    return _asked(call, case, redactions.of_side(case, body["side"]), body)


def _answered(call: Call, redaction_id: str, *, yes: bool) -> Answer:
    # What waits is senior staff's own matter: others are not told whether it is there.
    call.require(*redactions.APPROVERS)
    identity = path_id(redaction_id, "redaction_id")
    found = call.session.get(Redaction, identity)
    if found is None:
        raise NotFound()
    docket.find(call.session, found.case_id, call.actor)
    case = _locked(call, found.case_id)
    call.body(NOTHING)
    one = redactions.read_anew(call.session, identity)
    if yes:
        redactions.approve(call.session, call.services.blobs, case, call.actor, call.now, one=one)
    else:
        redactions.reject(call.session, case, call.actor, call.now, one=one)
    return _done(call, case, one)


def _approve(call: Call, redaction_id: str) -> Answer:
    return _answered(call, redaction_id, yes=True)


def _reject(call: Call, redaction_id: str) -> Answer:
    return _answered(call, redaction_id, yes=False)


def _mount(rule: str, view: Callable[..., Answer], operation: str, summary: str, **doc: Any) -> None:
    """An address after whose transaction the bytes go that it took the names of."""

    def handler(**path: Any) -> Response:
        response = run(view, **path)
        if response.status_code == 200:
            try:
                erasure.sweep(services())
            except (DBAPIError, PoolTimeout) as error:
                # What was asked is done and committed; the worker's sweep takes the bytes.
                log.warning("bytes_not_erased", error=type(error).__name__)
        return response

    roles = doc.pop("roles", REDACTORS)
    mount(
        blueprint,
        "POST",
        rule,
        handler,
        operation=operation,
        permission=roles,
        doc=describe(summary, answer=REDACTION, roles=roles, **doc),
    )


_mount(
    "/exhibits/<exhibit_id>/redactions",
    _redact,
    "redactExhibit",
    "Take messages out, with the same words wherever else they stand; irreversible",
    body=REDACT,
    query=DRY_RUN,
    description="200 when it was done, 202 when it waits for senior staff, because the case was decided.",
)
_mount(
    "/cases/<case_id>/erasures",
    _erase,
    "eraseSide",
    "Take out all that came from one side of a case that is over; irreversible",
    body=ERASE,
    query=DRY_RUN,
    description="200 when it was done, 202 when it waits for senior staff.",
)
_mount(
    "/redactions/<redaction_id>/approve",
    _approve,
    "approveRedaction",
    "Do what waits for approval; irreversible",
    body=NOTHING,
    roles=redactions.APPROVERS,
)
_mount(
    "/redactions/<redaction_id>/reject",
    _reject,
    "rejectRedaction",
    "Say no to what waits for approval",
    body=NOTHING,
    roles=redactions.APPROVERS,
)


@endpoint(
    blueprint,
    "GET",
    "/cases/<case_id>/redactions",
    operation="listRedactions",
    summary="What was taken out of the case, and what waits for approval; the latter for staff only",
    roles=ALL,
    hold=Hold.READ,
    query=PAGE,
    answer=list_of(RedactionSchema),
)
def list_redactions(call: Call, case: Case) -> Answer:
    query = select(Redaction).where(Redaction.case_id == case.id)
    labels = {
        one.id: (one.label, one.visibility)
        for one in call.session.scalars(select(Exhibit).where(Exhibit.case_id == case.id))
    }
    if call.actor.role not in STAFF:
        hidden = [one for one, (_, visibility) in labels.items() if visibility == docket.STAFF_SEE]
        query = query.where(Redaction.status == redactions.DONE)
        query = query.where(Redaction.exhibit_id.is_(None) | Redaction.exhibit_id.not_in(hidden))
    found, more = list_page(call, query, Redaction.id)
    return page_answer([_answer(call, case, one, labels.get(one.exhibit_id, (None,))[0]) for one in found], more)
