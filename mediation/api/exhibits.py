"""/cases/{id}/exhibits and /exhibits/{id}: filing evidence, and reading it."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from flask import Response, request
from flask_smorest import Blueprint
from marshmallow import Schema, fields
from sqlalchemy import select

from evidence.custody import CustodyAct
from evidence.errors import BlobMissing
from mediation import docket, idempotency
from mediation.api.calls import Answer, Call, case_headers, path_id, require_version, run, services
from mediation.api.docket import WRITERS
from mediation.api.endpoint import ALL, V1, Hold, describe, endpoint, mount
from mediation.api.lists import PageSchema, after, list_of, page_answer
from mediation.api.uploads import CHAT_LOG, META, MULTIPART, Upload, prepared
from mediation.errors import NotAllowed, NotFound
from mediation.models import Case, Exhibit, ExhibitMessage, ExhibitMessageOpening
from mediation.operations import custody, exhibits, redactions
from mediation.schemas import rfc3339
from mediation.services import Services
from mediation.sight import who_answer
from workflows.states import STAFF

blueprint = Blueprint("exhibits", __name__, url_prefix=V1, description="Evidence: filed once, never changed")


class ExhibitSchema(Schema):
    id = fields.UUID(required=True)
    label = fields.String(required=True, metadata={"example": "B-1"})
    kind = fields.String(required=True)
    title = fields.String(required=True, allow_none=True)
    sha256 = fields.String(required=True, allow_none=True)
    size = fields.Integer(required=True)
    media_type = fields.String(required=True)
    filed_by = fields.Dict(required=True)
    filed_at = fields.DateTime(required=True)
    late = fields.Boolean(required=True, metadata={"description": "filed after its side had defaulted"})
    answers = fields.Dict(allow_none=True, metadata={"description": "request and item that it answers"})
    visibility = fields.String(required=True)
    messages = fields.Integer(required=True, allow_none=True, metadata={"description": "how many"})
    merkle_root = fields.String(allow_none=True)
    problems = fields.List(fields.Dict(), required=True)
    redacted_at = fields.DateTime(allow_none=True, metadata={"description": "when its bytes and its digest went"})
    receipt = fields.String(metadata={"description": "signed head of the docket (JWS), in the filing's answer only"})


class ExhibitMessageSchema(Schema):
    seq = fields.Integer(required=True)
    sender = fields.Dict(required=True, allow_none=True)
    sent_at = fields.DateTime(required=True, allow_none=True)
    kind = fields.String(required=True)
    text = fields.String(required=True, allow_none=True)
    attachments = fields.List(fields.Dict(), required=True, allow_none=True)
    redacted = fields.Boolean(required=True, metadata={"description": "its words were taken out"})


EXHIBIT, PAGE = ExhibitSchema(), PageSchema()


# --- filing ------------------------------------------------------------------------------------------------------


def _file_exhibit(case_id: str) -> Response:
    """The file is judged and stored before the case is locked: nobody waits for an upload."""
    house = services()
    actor = house.authenticator.actor(request.headers.get("Authorization"))
    case = path_id(case_id, "case_id")
    with house.sessions.begin() as session:
        found = docket.find(session, case, actor)
        if actor.role not in WRITERS:
            raise NotAllowed()
        # A retry gets its first answer, however the case went on since.
        if not idempotency.is_known(session, request, actor):
            require_version(found)
            exhibits.require_fileable(found)
    with prepared(actor, case) as upload, _stored(house, case, upload) as became:

        def view(call: Call) -> Answer:
            call.case_id = case
            locked = docket.lock(call.session, case, call.actor)
            docket.require_on_time(locked, call.actor, call.now)
            require_version(locked)
            exhibit, receipt = exhibits.file(
                call.session, locked, call.actor, call.now, upload.filing, sealer=house.sealer
            )
            headers = {"Location": f"{V1}/exhibits/{exhibit.id}", **case_headers(locked)}
            return Answer(_answer(call, exhibit) | {"receipt": receipt}, 201, headers)

        response = run(view, raw=upload.digest)
        became.exhibit = "Idempotency-Replayed" not in response.headers
        return response


@dataclass(slots=True)
class _Fate:
    """Whether the bytes are known to have become an exhibit."""

    exhibit: bool = False


@contextmanager
def _stored(house: Services, case: uuid.UUID, upload: Upload) -> Iterator[_Fate]:
    """The bytes in the blob store; taken away again if no exhibit came of them.

    In doubt the database is asked, for a commit whose answer was lost has happened all the same; the case's lock waits
    for one that is still happening. Where it cannot be asked the bytes stay: a blob that nothing names harms nobody,
    an exhibit without its bytes does.
    """
    key, fate = upload.filing.blob_key, _Fate()
    try:
        house.blobs.put(key, upload.content)
        yield fate
    finally:
        if not fate.exhibit:
            with house.sessions.begin() as session:
                docket.lock_for_system(session, case)
                fate.exhibit = session.get(Exhibit, upload.filing.exhibit_id) is not None
            if not fate.exhibit:
                house.blobs.delete(key)


_FILING = describe(
    "File evidence: a chat log as JSON, or any file as multipart (`file` and `meta`)",
    answer=EXHIBIT,
    status=201,
    roles=WRITERS,
)
_FILING["requestBody"] = {
    "required": True,
    "content": {
        "application/json": {"schema": CHAT_LOG},
        MULTIPART: {
            "schema": {
                "type": "object",
                "required": ["file", "meta"],
                "properties": {
                    "file": {"type": "string", "contentMediaType": "application/octet-stream"},
                    "meta": META,
                },
            },
            "encoding": {"meta": {"contentType": "application/json"}},
        },
    },
}
mount(
    blueprint,
    "POST",
    "/cases/<case_id>/exhibits",
    _file_exhibit,
    operation="fileExhibit",
    permission=WRITERS,
    doc=_FILING,
)


# --- reading -----------------------------------------------------------------------------------------------------


def _answer(call: Call, exhibit: Exhibit) -> dict[str, Any]:
    return {
        "id": str(exhibit.id),
        "label": exhibit.label,
        "kind": exhibit.kind,
        "title": exhibit.title,
        "sha256": exhibit.sha256,
        "size": exhibit.size,
        "media_type": exhibit.media_type,
        "filed_by": who_answer(exhibit.filed_role, exhibit.filed_by, call.actor),
        "filed_at": rfc3339(exhibit.filed_at),
        "late": exhibit.late,
        "answers": _answers(exhibit),
        "visibility": exhibit.visibility,
        "messages": exhibit.message_count,
        "merkle_root": None if exhibit.merkle_root is None else exhibit.merkle_root.hex(),
        "problems": exhibit.problems,
        "redacted_at": rfc3339(exhibit.redacted_at),
    }


def _answers(exhibit: Exhibit) -> dict[str, Any] | None:
    if exhibit.answers_request is None:
        return None
    return {"request": str(exhibit.answers_request), "item": exhibit.answers_item}


@endpoint(
    blueprint,
    "GET",
    "/cases/<case_id>/exhibits",
    operation="listExhibits",
    summary="The exhibits of a case, in the order of filing",
    roles=ALL,
    hold=Hold.READ,
    query=PAGE,
    answer=list_of(ExhibitSchema),
)
def list_exhibits(call: Call, case: Case) -> Answer:
    asked = call.query(PAGE)
    query = select(Exhibit).where(Exhibit.case_id == case.id)
    if call.actor.role not in STAFF:
        query = query.where(Exhibit.visibility == docket.PARTIES_SEE)
    # By the number of the entry and not by id: an exhibit has its id before it has its place.
    query = query.where(Exhibit.seq > (after(asked, int) or 0)).order_by(Exhibit.seq).limit(asked["limit"] + 1)
    found = call.session.scalars(query).all()
    page = found[: asked["limit"]]
    return page_answer([_answer(call, one) for one in page], page[-1].seq if len(found) > len(page) else None)


def visible_exhibit(call: Call, exhibit_id: str) -> Exhibit:
    """The exhibit, if it is on a case of the caller's and theirs to see. Raises NotFound otherwise."""
    exhibit = call.session.get(Exhibit, path_id(exhibit_id, "exhibit_id"))
    if exhibit is None or (exhibit.visibility != docket.PARTIES_SEE and call.actor.role not in STAFF):
        raise NotFound()
    docket.find(call.session, exhibit.case_id, call.actor)
    return exhibit


@endpoint(
    blueprint,
    "GET",
    "/exhibits/<exhibit_id>",
    operation="getExhibit",
    summary="What an exhibit is",
    roles=ALL,
    answer=EXHIBIT,
)
def get_exhibit(call: Call, exhibit_id: str) -> Answer:
    exhibit = visible_exhibit(call, exhibit_id)
    custody.record(call.session, exhibit, call.actor, call.now, CustodyAct.viewed)
    return Answer(_answer(call, exhibit))


@endpoint(
    blueprint,
    "GET",
    "/exhibits/<exhibit_id>/messages",
    operation="listExhibitMessages",
    summary="The messages of a chat log",
    roles=ALL,
    query=PAGE,
    answer=list_of(ExhibitMessageSchema),
)
def list_exhibit_messages(call: Call, exhibit_id: str) -> Answer:
    exhibit = visible_exhibit(call, exhibit_id)
    asked = call.query(PAGE)
    start = after(asked, int) or 0
    # Messages are numbered without gaps; with both ends named, nobody joins a page with a whole log.
    end = start + asked["limit"] + 1
    message, opening = ExhibitMessage, ExhibitMessageOpening
    rows = call.session.execute(
        select(message.seq, message.role, message.sent_at, message.kind, opening.text, opening.sender,
               opening.attachments)
        .join(opening, (opening.case_id == message.case_id) & (opening.exhibit_id == message.exhibit_id)
              & (opening.seq == message.seq))
        .where(message.case_id == exhibit.case_id, message.exhibit_id == exhibit.id, message.seq > start,
               message.seq <= end, opening.seq > start, opening.seq <= end)
        .order_by(message.seq)
    ).all()  # fmt: skip
    items = [
        {
            "seq": row.seq,
            "sender": {"role": row.role, **(row.sender or {"id": None, "name": None})},
            "sent_at": rfc3339(row.sent_at),
            "kind": row.kind,
            "text": row.text,
            "attachments": row.attachments,
            "redacted": row.text is None,
        }
        for row in rows[: asked["limit"]]
    ]
    if items:
        seen = [items[0]["seq"], items[-1]["seq"]]
        custody.record(call.session, exhibit, call.actor, call.now, CustodyAct.viewed, messages=seen)
    more = len(rows) > asked["limit"]
    return page_answer(items, items[-1]["seq"] if more else None)


def _content(exhibit_id: str) -> Response:
    """The bytes as they were filed, streamed; always offered as a download, never shown as a page of ours."""
    house = services()
    actor = house.authenticator.actor(request.headers.get("Authorization"))
    with house.sessions.begin() as session:
        call = Call(house, actor, house.clock(), "en", session)
        exhibit = visible_exhibit(call, exhibit_id)
        if exhibit.blob_key is None:
            raise redactions.tombstone(session, exhibit)
        # Entered before the first byte leaves: nothing is shown that is not on record.
        custody.record(session, exhibit, actor, call.now, CustodyAct.downloaded)
    suffix = re.sub(r"[^a-z0-9]", "", exhibit.media_type.rpartition("/")[2])[:8]
    headers = {
        "Content-Disposition": f'attachment; filename="{exhibit.label}.{suffix}"',
        "Content-Length": str(exhibit.size),
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cache-Control": "private, no-store",
    }
    return Response(_bytes(house, exhibit), headers=headers, content_type=exhibit.media_type)


def _bytes(house: Services, exhibit: Exhibit) -> Iterator[bytes]:
    """Raises Gone where a redaction came between the look at the exhibit and the first byte."""
    try:
        return house.blobs.get(str(exhibit.blob_key))
    except BlobMissing:
        with house.sessions.begin() as session:
            again = session.get_one(Exhibit, exhibit.id)
            if again.blob_key is None:
                raise redactions.tombstone(session, again) from None
        raise


_CONTENT = describe("The bytes of an exhibit, as they were filed", roles=ALL)
_CONTENT["responses"]["200"]["content"] = {"application/octet-stream": {}}
mount(
    blueprint,
    "GET",
    "/exhibits/<exhibit_id>/content",
    _content,
    operation="getExhibitContent",
    permission=ALL,
    doc=_CONTENT,
)
