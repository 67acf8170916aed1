"""What is filed: an upload or a JSON chat log, judged and stored before any case is locked for it."""

from __future__ import annotations

import io
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any, BinaryIO, cast

import orjson
from flask import request
from marshmallow import Schema, fields, validate
from werkzeug.datastructures import FileStorage

from evidence.admission import Admitted, admit
from evidence.errors import NotAdmitted
from evidence.transcripts import imports, native
from evidence.transcripts.normal import SenderRole
from evidence.transcripts.pieces import DateOrder
from mediation import docket
from mediation.api.calls import MAX_UPLOAD, load, parse, read_body
from mediation.api.docket import Visibility
from mediation.errors import BodyTooLarge, InvalidBody, NotAllowed
from mediation.operations import exhibits
from mediation.schemas import OneOf, Text, Whole
from workflows.acts import Actor
from workflows.states import STAFF, EvidenceType

MULTIPART = "multipart/form-data"
MAX_PARTICIPANTS = 1_000
#: Fields of `meta` that say how a chat log is to be read.
OF_CHAT_LOGS = {"format", "timezone", "date_order", "participants"}


class AnswersSchema(Schema):
    """The item of an evidence request that a filing answers."""

    request = fields.UUID(required=True)
    item = Whole(1, 1_000, required=True)


class FileChatLogSchema(Schema):
    """A chat log as JSON messages. The messages are judged by `evidence.transcripts.native`."""

    kind = fields.String(required=True, validate=validate.Equal("chat_log"))
    title = Text(200)
    timezone = fields.String(required=True, metadata={"description": "IANA name, for times without an offset"})
    messages = fields.List(
        fields.Raw(metadata={"type": "object"}), required=True, validate=validate.Length(1, native.MAX_MESSAGES)
    )
    visibility = OneOf(Visibility, load_default=docket.PARTIES_SEE)
    answers = fields.Nested(AnswersSchema)


class FileMetaSchema(Schema):
    """The `meta` part of an upload."""

    kind = OneOf(EvidenceType, required=True)
    title = Text(200)
    visibility = OneOf(Visibility, load_default=docket.PARTIES_SEE)
    answers = fields.Nested(AnswersSchema)
    # Of a chat log, and of nothing else.
    format = fields.String(metadata={"description": "auto, or the format's name", "example": imports.AUTO})
    timezone = fields.String(metadata={"description": "IANA name, needed where the file has local times"})
    date_order = OneOf(tuple(DateOrder), metadata={"description": "needed where the dates can be read in two ways"})
    participants = fields.Dict(
        keys=fields.String(validate=validate.Length(1, native.MAX_NAME)),
        values=OneOf((SenderRole.buyer, SenderRole.seller, SenderRole.staff)),
        validate=validate.Length(max=MAX_PARTICIPANTS),
        metadata={"description": "which side the senders are, by their name in the file; who is left out is staff"},
    )


CHAT_LOG, META = FileChatLogSchema(), FileMetaSchema()


@dataclass(frozen=True, slots=True)
class Upload:
    """What is to be filed, its bytes, and the digest by which a repeated request is known."""

    filing: exhibits.Filing
    content: IO[bytes]
    digest: bytes


@contextmanager
def prepared(actor: Actor, case: uuid.UUID) -> Iterator[Upload]:
    """The request's body, judged. Raises NotAdmitted, InvalidBody and the like, NotAllowed, Refused."""
    if request.mimetype == MULTIPART:
        part, meta = _upload()
        with admit(cast(BinaryIO, part.stream), filename=part.filename or "", max_bytes=exhibits.MAX_EXHIBIT) as file:
            filing = _judged(case, meta, file)
            _require_visibility(actor, filing)
            yield Upload(filing, file.file, orjson.dumps([meta, file.filename, file.sha256]))
    else:
        raw = read_body(request)
        filing, stored = exhibits.chat_log(case, load(CHAT_LOG, parse(raw, request.mimetype)))
        _require_visibility(actor, filing)
        yield Upload(filing, io.BytesIO(stored), raw)


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
        raise InvalidBody(errors={_of_meta(name): why for name, why in (error.errors or {}).items()}) from error
    if meta["kind"] != EvidenceType.CHAT_LOG and (extra := sorted(OF_CHAT_LOGS & meta.keys())):
        raise InvalidBody(errors={f"meta.{name}": ["Must be left out for what is no chat_log."] for name in extra})
    return files["file"], meta


def _of_meta(name: str) -> str:
    """A field of `meta` by its full name; whom the participants' names belong to is nobody's business in an error."""
    return "meta.participants" if name.startswith("participants.") else f"meta.{name}"


def _judged(case: uuid.UUID, meta: dict[str, Any], admitted: Admitted) -> exhibits.Filing:
    try:
        return exhibits.document(case, meta, admitted)
    except NotAdmitted as error:
        if error.field in OF_CHAT_LOGS:
            raise NotAdmitted(f"meta.{error.field}", error.code, error.detail, error.status_hint) from error
        raise
