"""/cases/{id}/alignment: two chat logs compared as copies of one conversation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask_smorest import Blueprint
from marshmallow import Schema, ValidationError, fields, validates_schema
from sqlalchemy import select

from evidence import labels
from evidence.custody import CustodyAct
from evidence.errors import NotALabel
from evidence.transcripts.differences import Difference
from mediation import docket
from mediation.api.calls import Answer, Call
from mediation.api.endpoint import ALL, V1, Hold, endpoint
from mediation.api.lists import PageSchema, after, page_answer
from mediation.errors import InvalidBody, NotFound
from mediation.models import Case, Exhibit
from mediation.operations import alignments, custody
from workflows.states import STAFF

blueprint = Blueprint("alignment", __name__, url_prefix=V1, description="Two sides' copies of one conversation")


class Label(fields.String):
    """The label of an exhibit, as in B-1."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, attr, data, **kwargs)
        try:
            labels.parse(text)
        except NotALabel as error:
            raise ValidationError("Must be the label of an exhibit, like B-1.") from error
        return text


class AskAlignmentSchema(PageSchema):
    left = Label(required=True, metadata={"example": "B-1"})
    right = Label(required=True, metadata={"example": "S-1"})

    @validates_schema
    def two_exhibits(self, data: dict[str, Any], **kwargs: Any) -> None:
        """Nothing is compared with itself."""
        if data.get("left") == data.get("right"):
            raise ValidationError({"right": ["Must be another exhibit than the left one."]})


class SpanSchema(Schema):
    start = fields.Integer(required=True, metadata={"description": "from 0, in code points"})
    length = fields.Integer(required=True)


class DifferenceSchema(Schema):
    """One difference. A number is null where that copy lacks the message, a text also where it was erased."""

    n = fields.Integer(required=True, metadata={"description": "from 1, in the order of the conversation"})
    kind = fields.String(required=True)
    left_seq = fields.Integer(required=True, allow_none=True)
    right_seq = fields.Integer(required=True, allow_none=True)
    left_text = fields.String(required=True, allow_none=True)
    right_text = fields.String(required=True, allow_none=True)
    left_until = fields.Integer(metadata={"description": "of a gap: the message after it, or the last within it"})
    right_until = fields.Integer()
    left_span = fields.Nested(SpanSchema, metadata={"description": "of an edit: where the texts differ"})
    right_span = fields.Nested(SpanSchema)
    similarity = fields.Float(metadata={"description": "of an edit: from 0 to 1"})
    offset_seconds = fields.Float(metadata={"description": "the right copy's time less the left's"})
    silent = fields.String(metadata={"description": "of a gap: left, right or both"})
    length_seconds = fields.Float(metadata={"description": "of a gap"})


class AlignmentSchema(Schema):
    left = fields.String(required=True)
    right = fields.String(required=True)
    counts = fields.Dict(required=True, metadata={"description": "messages in both and in one alone; differences"})
    differences = fields.List(fields.Nested(DifferenceSchema), required=True)
    next_cursor = fields.String(required=True, allow_none=True)


ASKED = AskAlignmentSchema()


@endpoint(
    blueprint,
    "GET",
    "/cases/<case_id>/alignment",
    operation="getAlignment",
    summary="Two chat logs compared: what one has and the other lacks, and what is not the same in both",
    roles=ALL,
    hold=Hold.READ,
    query=ASKED,
    answer=AlignmentSchema(),
)
def get_alignment(call: Call, case: Case) -> Answer:
    asked = call.query(ASKED)
    start = after(asked, int) or 0
    exhibits = [_chat_log(call, case, asked[side], side) for side in ("left", "right")]
    found = alignments.compare(*(alignments.chat_log(call.session, one) for one in exhibits))
    page = found.differences[start : start + asked["limit"]]
    if page:
        compared = {"alignment": [asked["left"], asked["right"]], "differences": [start + 1, start + len(page)]}
        # Not before: whoever takes one of the two in hand waits from here on until this call is answered.
        custody.record_all(call.session, exhibits, call.actor, call.now, CustodyAct.viewed, **compared)
    items = _items(call, exhibits, page, start)
    more = len(found.differences) > start + len(items)
    answer = page_answer(items, start + len(items) if more and items else None)
    answer.value = {
        "left": asked["left"],
        "right": asked["right"],
        "counts": found.counts(),
        "differences": answer.value["items"],
        "next_cursor": answer.value["next_cursor"],
    }
    return answer


def _items(call: Call, exhibits: Sequence[Exhibit], page: Sequence[Difference], start: int) -> list[dict[str, Any]]:
    """The differences with the texts of both sides, read anew: a redaction may have come while they were compared."""
    left = alignments.texts(call.session, exhibits[0], {one.left_seq for one in page if one.left_seq is not None})
    right = alignments.texts(call.session, exhibits[1], {one.right_seq for one in page if one.right_seq is not None})
    return [
        {
            "n": n,
            **one.as_dict(),
            "left_text": None if one.left_seq is None else left[one.left_seq],
            "right_text": None if one.right_seq is None else right[one.right_seq],
        }
        for n, one in enumerate(page, start + 1)
    ]


def _chat_log(call: Call, case: Case, label: str, side: str) -> Exhibit:
    """The exhibit of that label. Raises NotFound if the caller sees none, InvalidBody if it is no chat log.

    An exhibit that is for staff and one that is not there are told apart by nothing.
    """
    exhibit = call.session.scalar(select(Exhibit).where(Exhibit.case_id == case.id, Exhibit.label == label))
    if exhibit is None or (exhibit.visibility != docket.PARTIES_SEE and call.actor.role not in STAFF):
        raise NotFound()
    if exhibit.message_count is None:
        raise InvalidBody(errors={side: ["Must be the label of a chat log."]})
    return exhibit
