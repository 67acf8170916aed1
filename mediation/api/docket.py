"""/cases/{id}/docket and /cases/{id}/messages: the record, and the conversation that is part of it."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from flask_smorest import Blueprint
from marshmallow import Schema, fields

from mediation import queries
from mediation.api.calls import Answer, Call, case_headers
from mediation.api.endpoint import ALL, V1, Hold, endpoint
from mediation.api.lists import PageSchema, after, list_of, page_answer
from mediation.docket import PARTIES_SEE, STAFF_SEE
from mediation.errors import NotAllowed
from mediation.models import Case, DocketEntry, DocketOpening
from mediation.operations import messages
from mediation.operations.exhibits import require_fileable
from mediation.schemas import MAX_STATEMENT, OneOf, Text, rfc3339
from mediation.sight import entry_answer, may_see, opening_answer, who_answer, withheld
from workflows.acts import Actor
from workflows.states import PARTIES, STAFF, Role

blueprint = Blueprint("docket", __name__, url_prefix=V1, description="What happened, and what was said")


class Visibility(StrEnum):
    PARTIES = PARTIES_SEE
    STAFF = STAFF_SEE


class OpeningSchema(Schema):
    """What a commitment hides: SHA-256(0x00 + salt + RFC 8785 of value); both null where you may not see it."""

    commitment = fields.String(required=True)
    name = fields.String(required=True)
    salt = fields.String(required=True, allow_none=True)
    value = fields.Dict(required=True, allow_none=True)


class DocketEntrySchema(Schema):
    """An entry; one that you may not see shows its seq and hash, and the chain still verifies."""

    seq = fields.Integer(required=True)
    hash = fields.String(required=True)
    v = fields.Integer()
    case = fields.UUID()
    prev = fields.String()
    at = fields.String()
    type = fields.String()
    to = fields.String()

    class Meta:
        include = {"from": fields.String(allow_none=True)}  # noqa: RUF012 - `from` is a word of Python's

    commitments = fields.List(fields.String())
    openings = fields.List(fields.Nested(OpeningSchema))


class MessageSchema(Schema):
    id = fields.Integer(required=True, metadata={"description": "the seq of its docket entry"})
    author = fields.Dict(required=True)
    text = fields.String(required=True, allow_none=True)
    visibility = fields.String(required=True)
    posted_at = fields.DateTime(required=True)


class PostMessageSchema(Schema):
    text = Text(MAX_STATEMENT, required=True)
    visibility = OneOf(Visibility, load_default=PARTIES_SEE)


PAGE, POST, MESSAGE = PageSchema(), PostMessageSchema(), MessageSchema()
WRITERS = frozenset(STAFF | PARTIES | {Role.PLATFORM})


@endpoint(
    blueprint,
    "GET",
    "/cases/<case_id>/docket",
    operation="listDocket",
    summary="The append-only history, oldest first, each entry with its hash",
    roles=ALL,
    hold=Hold.READ,
    query=PAGE,
    answer=list_of(DocketEntrySchema),
)
def list_docket(call: Call, case: Case) -> Answer:
    asked = call.query(PAGE)
    entries, more = queries.docket_page(call.session, case, after=after(asked, int) or 0, limit=asked["limit"])
    seen = [entry for entry in entries if may_see(entry, call.actor)]
    openings = queries.openings(call.session, case, [entry.seq for entry in seen])
    items = [_entry(entry, openings.get(entry.seq), call.actor) for entry in entries]
    return page_answer(items, more)


def _entry(entry: DocketEntry, openings: list[DocketOpening] | None, reader: Actor) -> dict[str, Any]:
    if openings is None:
        return withheld(entry)
    shown = [
        {"commitment": entry.commitments[one.n].hex(), "name": one.name, **opening_answer(entry, one, reader)}
        for one in openings
    ]
    return {**entry_answer(entry), "openings": shown}


@endpoint(
    blueprint,
    "GET",
    "/cases/<case_id>/messages",
    operation="listMessages",
    summary="The conversation inside the case, oldest first",
    roles=ALL,
    hold=Hold.READ,
    query=PAGE,
    answer=list_of(MessageSchema),
)
def list_messages(call: Call, case: Case) -> Answer:
    asked = call.query(PAGE)
    entries, more = queries.docket_page(
        call.session,
        case,
        after=after(asked, int) or 0,
        limit=asked["limit"],
        type_=messages.MESSAGE,
        actor=call.actor,
    )
    words = queries.words(call.session, case, [entry.seq for entry in entries])
    items = [_message(call, entry, words[entry.seq]) for entry in entries]
    return page_answer(items, more)


def _message(call: Call, entry: DocketEntry, words: dict[str, Any]) -> dict[str, Any]:
    author = words.get("actor")
    return {
        "id": entry.seq,
        "author": None if author is None else who_answer(author["role"], author["subject"], call.actor),
        "text": words.get("text"),
        "visibility": entry.visibility,
        "posted_at": rfc3339(entry.at),
    }


@endpoint(
    blueprint,
    "POST",
    "/cases/<case_id>/messages",
    operation="postMessage",
    summary="Say something on the case; staff may write an internal note with visibility staff",
    roles=WRITERS,
    hold=Hold.LOCK,
    body=POST,
    answer=MESSAGE,
    status=201,
)
def post_message(call: Call, case: Case) -> Answer:
    require_fileable(case)
    body = call.body(POST)
    if body["visibility"] == STAFF_SEE and call.actor.role not in STAFF:
        raise NotAllowed("Only staff write internal notes.")
    written = messages.post(call.session, case, call.actor, call.now, body)
    author = who_answer(call.actor.role, call.actor.subject, call.actor)
    answer = {
        "id": written.seq,
        "author": author,
        "text": body["text"],
        "visibility": body["visibility"],
        "posted_at": rfc3339(written.at),
    }
    return Answer(answer, 201, case_headers(case))
