"""/cases/{id}/exhibits and /exhibits/{id}: filing evidence, and reading it."""

from __future__ import annotations

import hashlib
import io
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

import orjson
from flask import Response, request
from flask_smorest import Blueprint
from marshmallow import Schema, fields, validate
from sqlalchemy import select
from werkzeug.datastructures import FileStorage

from evidence.admission import Admitted, admit
from evidence.canonical import canonical
from evidence.errors import NotAdmitted
from evidence.leaves import seal_transcript
from evidence.store import blob_key
from evidence.transcripts import native
from mediation import docket, queries
from mediation.api.answers import mask
from mediation.api.calls import (
    MAX_UPLOAD,
    Answer,
    Call,
    case_headers,
    load,
    parse,
    path_id,
    read_body,
    run,
    services,
)
from mediation.api.docket import WRITERS, Visibility
from mediation.api.endpoint import ALL, V1, Hold, describe, endpoint, mount
from mediation.api.lists import PageSchema, list_of, page_answer
from mediation.db import new_id
from mediation.errors import BodyTooLarge, InvalidBody, NotAllowed, NotFound
from mediation.models import Case, Exhibit, ExhibitMessage, ExhibitMessageOpening
from mediation.operations import exhibits
from mediation.schemas import OneOf, Text, rfc3339
from workflows.acts import Actor
from workflows.refusals import Refused
from workflows.states import PARTIES, STAFF, EvidenceType

blueprint = Blueprint("exhibits", __name__, url_prefix=V1, description="Evidence: filed once, never changed")

MAX_EXHIBIT = 10 * 1024 * 1024
MULTIPART = "multipart/form-data"


class FileChatLogSchema(Schema):
    """A chat log as JSON messages. The messages are judged by `evidence.transcripts.native`."""

    kind = fields.String(required=True, validate=validate.Equal("chat_log"))
    title = Text(200)
    timezone = fields.String(required=True, metadata={"description": "IANA name, for times without an offset"})
    messages = fields.List(
        fields.Raw(metadata={"type": "object"}), required=True, validate=validate.Length(1, native.MAX_MESSAGES)
    )
    visibility = OneOf(Visibility, load_default=docket.PARTIES_SEE)


class FileMetaSchema(Schema):
    """The `meta` part of an upload."""

    kind = OneOf(EvidenceType, required=True)
    title = Text(200)
    visibility = OneOf(Visibility, load_default=docket.PARTIES_SEE)
    # Of the contract, but for importers and evidence requests that are not there yet.
    format = fields.String()
    timezone = fields.String()
    participants = fields.Dict()
    answers = fields.Dict()


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
    late = fields.Boolean(required=True)
    visibility = fields.String(required=True)
    messages = fields.Integer(required=True, allow_none=True, metadata={"description": "how many"})
    merkle_root = fields.String(allow_none=True)
    problems = fields.List(fields.Dict(), required=True)
    receipt = fields.String(metadata={"description": "signed head of the docket (JWS), in the filing's answer only"})


class ExhibitMessageSchema(Schema):
    seq = fields.Integer(required=True)
    sender = fields.Dict(required=True, allow_none=True)
    sent_at = fields.DateTime(required=True, allow_none=True)
    kind = fields.String(required=True)
    text = fields.String(required=True, allow_none=True)
    attachments = fields.List(fields.Dict(), required=True, allow_none=True)


CHAT_LOG, META, EXHIBIT, PAGE = FileChatLogSchema(), FileMetaSchema(), ExhibitSchema(), PageSchema()


# --- filing ------------------------------------------------------------------------------------------------------


def _file_exhibit(case_id: str) -> Response:
    """The file is judged and stored before the case is locked: nobody waits for an upload. What does not become an
    exhibit after all is deleted again.
    """
    house = services()
    actor = house.authenticator.actor(request.headers.get("Authorization"))
    case = path_id(case_id, "case_id")
    with house.sessions.begin() as session:
        found = docket.find(session, case, actor)
        if actor.role not in WRITERS:
            raise NotAllowed()
        exhibits.require_fileable(found)
    with _prepared(actor, case) as (filing, digest):
        filed: list[Exhibit] = []

        def view(call: Call) -> Answer:
            call.case_id = case
            locked = docket.lock(call.session, case, call.actor)
            call.require_version(locked)
            exhibit, receipt = exhibits.file(call.session, locked, call.actor, call.now, filing, sealer=house.sealer)
            filed.append(exhibit)
            headers = {"Location": f"{V1}/exhibits/{exhibit.id}", **case_headers(locked)}
            return Answer(_answer(call, exhibit) | {"receipt": receipt}, 201, headers)

        kept = False
        try:
            response = run(view, raw=digest)
            kept = bool(filed)
        finally:
            if not kept:
                house.blobs.delete(filing.blob_key)
    return response


@contextmanager
def _prepared(actor: Actor, case: uuid.UUID) -> Iterator[tuple[exhibits.Filing, bytes]]:
    """What is filed, stored under its key, with the digest by which a repeated request is known."""
    if request.mimetype == MULTIPART:
        upload, meta = _upload()
        with admit(cast(BinaryIO, upload.stream), filename=upload.filename or "", max_bytes=MAX_EXHIBIT) as admitted:
            filing = _document(case, meta, admitted)
            _require_visibility(actor, filing)
            services().blobs.put(filing.blob_key, admitted.file)
            yield filing, orjson.dumps([meta, admitted.filename, admitted.sha256])
    else:
        raw = read_body(request)
        filing, stored = _chat_log(case, load(CHAT_LOG, parse(raw, request.mimetype)))
        _require_visibility(actor, filing)
        services().blobs.put(filing.blob_key, io.BytesIO(stored))
        yield filing, raw


def _require_visibility(actor: Actor, filing: exhibits.Filing) -> None:
    if filing.visibility == docket.STAFF_SEE and actor.role not in STAFF:
        raise NotAllowed("Only staff file exhibits that only staff may see.")


def _upload() -> tuple[FileStorage, dict[str, Any]]:
    request.max_content_length = MAX_UPLOAD
    if request.content_length is not None and request.content_length > MAX_UPLOAD:
        raise BodyTooLarge(f"An upload may have {MAX_UPLOAD} bytes at most.")
    request.max_form_parts = 10
    files, form = request.files, request.form
    errors = {name: ["Unknown field."] for name in {*files, *form} - {"file", "meta"}}
    for name, parts in (("file", files.getlist("file")), ("meta", form.getlist("meta"))):
        if len(parts) != 1:
            errors[name] = ["Must be there once."]
    if errors:
        raise InvalidBody(errors=errors)
    try:
        meta = load(META, parse(form["meta"].encode(), "application/json"))
    except InvalidBody as error:
        raise InvalidBody(errors={f"meta.{name}": why for name, why in (error.errors or {}).items()}) from error
    for name in ("format", "timezone", "participants", "answers"):
        if name in meta:
            raise Refused("not_offered_yet", field=f"meta.{name}", value=name)
    if meta["kind"] == EvidenceType.CHAT_LOG:
        # A chat log that could not be quoted from would be worth little: it is filed as JSON messages.
        raise Refused("not_offered_yet", field="meta.kind", value="chat_log as a file")
    return files["file"], meta


def _document(case: uuid.UUID, meta: dict[str, Any], admitted: Admitted) -> exhibits.Filing:
    exhibit_id = new_id()
    return exhibits.Filing(
        exhibit_id=exhibit_id,
        kind=meta["kind"],
        title=meta.get("title"),
        visibility=meta["visibility"],
        sha256=admitted.sha256,
        size=admitted.size,
        media_type=admitted.media_type,
        blob_key=blob_key(str(case), str(exhibit_id), admitted.sha256),
        filename=admitted.filename,
    )


def _chat_log(case: uuid.UUID, body: dict[str, Any]) -> tuple[exhibits.Filing, bytes]:
    transcript = native.read(body["messages"], timezone=body["timezone"])
    sealed, root = seal_transcript(transcript.messages)
    stored = canonical(body)
    if len(stored) > MAX_EXHIBIT:
        raise NotAdmitted("messages", "too_large", f"a chat log may have {MAX_EXHIBIT} bytes at most", "too_large")
    digest = hashlib.sha256(stored).hexdigest()
    exhibit_id = new_id()
    filing = exhibits.Filing(
        exhibit_id=exhibit_id,
        kind="chat_log",
        title=body.get("title"),
        visibility=body["visibility"],
        sha256=digest,
        size=len(stored),
        media_type="application/json",
        blob_key=blob_key(str(case), str(exhibit_id), digest),
        timezone=body["timezone"],
        messages=sealed,
        merkle_root=root,
        problems=[
            {"message_seq": one.message_seq, "code": one.code, "detail": one.detail} for one in transcript.problems
        ],
    )
    return filing, stored


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
                    "meta": {"type": "string", "contentMediaType": "application/json"},
                },
            }
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
    own = call.actor.role not in PARTIES or exhibit.filed_role == call.actor.role
    return {
        "id": str(exhibit.id),
        "label": exhibit.label,
        "kind": exhibit.kind,
        "title": exhibit.title,
        "sha256": exhibit.sha256,
        "size": exhibit.size,
        "media_type": exhibit.media_type,
        "filed_by": {"role": exhibit.filed_role, "id": exhibit.filed_by if own else mask(exhibit.filed_by)},
        "filed_at": rfc3339(exhibit.filed_at),
        "late": exhibit.late,
        "visibility": exhibit.visibility,
        "messages": exhibit.message_count,
        "merkle_root": None if exhibit.merkle_root is None else exhibit.merkle_root.hex(),
        "problems": exhibit.problems,
    }


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
    cursor = asked.get("cursor")
    after = None if cursor is None else queries.position_of(cursor, [uuid.UUID])[0]
    found, more = queries.page(call.session, query, Exhibit.id, after=after, limit=asked["limit"])
    return page_answer([_answer(call, one) for one in found], None if more is None else queries.cursor_of(more))


def _exhibit(call: Call, exhibit_id: str) -> Exhibit:
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
    return Answer(_answer(call, _exhibit(call, exhibit_id)))


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
    exhibit = _exhibit(call, exhibit_id)
    asked = call.query(PAGE)
    cursor = asked.get("cursor")
    after = 0 if cursor is None else queries.position_of(cursor, [int])[0]
    message, opening = ExhibitMessage, ExhibitMessageOpening
    rows = call.session.execute(
        select(message.seq, message.role, message.sent_at, message.kind, opening.text, opening.sender,
               opening.attachments)
        .join(opening, (opening.case_id == message.case_id) & (opening.exhibit_id == message.exhibit_id)
              & (opening.seq == message.seq))
        .where(message.case_id == exhibit.case_id, message.exhibit_id == exhibit.id, message.seq > after)
        .order_by(message.seq)
        .limit(asked["limit"] + 1)
    ).all()  # fmt: skip
    items = [
        {
            "seq": row.seq,
            "sender": {"role": row.role, **(row.sender or {"id": None, "name": None})},
            "sent_at": rfc3339(row.sent_at),
            "kind": row.kind,
            "text": row.text,
            "attachments": row.attachments,
        }
        for row in rows[: asked["limit"]]
    ]
    more = len(rows) > asked["limit"]
    return page_answer(items, queries.cursor_of(items[-1]["seq"]) if more else None)


def _content(exhibit_id: str) -> Response:
    """The bytes as they were filed, streamed; always offered as a download, never shown as a page of ours."""
    house = services()
    actor = house.authenticator.actor(request.headers.get("Authorization"))
    with house.sessions.begin() as session:
        exhibit = _exhibit(Call(house, actor, house.clock(), "en", session), exhibit_id)
    if exhibit.blob_key is None:
        raise NotFound()
    suffix = re.sub(r"[^a-z0-9]", "", exhibit.media_type.rpartition("/")[2])[:8]
    headers = {
        "Content-Disposition": f'attachment; filename="{exhibit.label}.{suffix}"',
        "Content-Length": str(exhibit.size),
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
        "Cache-Control": "private, no-store",
    }
    return Response(house.blobs.get(exhibit.blob_key), headers=headers, content_type=exhibit.media_type)


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
