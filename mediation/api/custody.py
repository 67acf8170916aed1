"""/exhibits/{id}/custody: who had an exhibit in hand."""

from __future__ import annotations

from flask_smorest import Blueprint
from marshmallow import Schema, fields
from sqlalchemy import select

from mediation.api.calls import Answer, Call
from mediation.api.endpoint import ALL, V1, endpoint
from mediation.api.exhibits import visible_exhibit
from mediation.api.lists import PageSchema, after, page_answer
from mediation.models import CustodyEntry, CustodyOpening
from mediation.operations import custody
from mediation.sight import custody_answer, custody_opening_answer

blueprint = Blueprint("custody", __name__, url_prefix=V1, description="Who had an exhibit in hand")


class CustodyOpeningSchema(Schema):
    salt = fields.String(required=True, allow_none=True)
    value = fields.Dict(required=True, allow_none=True)


class CustodyEntrySchema(Schema):
    """SHA-256 of the RFC 8785 form of all but hash and opening is the hash; who acted stands in the opening."""

    v = fields.Integer(required=True)
    exhibit = fields.UUID(required=True)
    seq = fields.Integer(required=True)
    prev = fields.String(required=True)
    at = fields.String(required=True)
    act = fields.String(required=True)
    commitment = fields.String(required=True)
    hash = fields.String(required=True)
    opening = fields.Nested(CustodyOpeningSchema, required=True)


class CustodyHeadSchema(Schema):
    seq = fields.Integer(required=True)
    hash = fields.String(required=True)


class CustodySchema(Schema):
    items = fields.List(fields.Nested(CustodyEntrySchema), required=True)
    next_cursor = fields.String(required=True, allow_none=True)
    head = fields.Nested(CustodyHeadSchema, required=True, allow_none=True)


PAGE = PageSchema()


@endpoint(
    blueprint,
    "GET",
    "/exhibits/<exhibit_id>/custody",
    operation="listCustody",
    summary="Who had an exhibit in hand, oldest first, each act chained to the one before",
    roles=ALL,
    query=PAGE,
    answer=CustodySchema(),
)
def list_custody(call: Call, exhibit_id: str) -> Answer:
    exhibit = visible_exhibit(call, exhibit_id)
    asked = call.query(PAGE)
    # The head first, and nothing beyond it: what is entered meanwhile belongs to neither.
    head = custody.head(call.session, exhibit)
    entry, opening = CustodyEntry, CustodyOpening
    rows = call.session.execute(
        select(entry, opening.salt, opening.value)
        .join(opening, (opening.case_id == entry.case_id) & (opening.exhibit_id == entry.exhibit_id)
              & (opening.seq == entry.seq))
        .where(entry.case_id == exhibit.case_id, entry.exhibit_id == exhibit.id, entry.seq > (after(asked, int) or 0),
               entry.seq <= (0 if head is None else head[0]))
        .order_by(entry.seq)
        .limit(asked["limit"] + 1)
    ).all()  # fmt: skip
    shown = rows[: asked["limit"]]
    items = [
        {**custody_answer(one), "opening": custody_opening_answer(salt, value, call.actor)}
        for one, salt, value in shown
    ]
    answer = page_answer(items, items[-1]["seq"] if len(rows) > len(shown) else None)
    answer.value["head"] = None if head is None else {"seq": head[0], "hash": head[1].hex()}
    return answer
