"""/exhibits/{id}/proof: what shows a message to be one of those that were filed."""

from __future__ import annotations

from typing import Any

from flask_smorest import Blueprint
from marshmallow import Schema, ValidationError, fields, validate
from sqlalchemy import select

from evidence import merkle
from evidence.chain import instant
from mediation.api.calls import Answer, Call
from mediation.api.endpoint import ALL, V1, endpoint
from mediation.api.exhibits import visible_exhibit
from mediation.errors import NotFound
from mediation.models import ExhibitMessage, ExhibitMessageOpening

blueprint = Blueprint("proofs", __name__, url_prefix=V1, description="Proofs that a message was filed")


class Seq(fields.Integer):
    """The number of a message, from 1, in a query string."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if not (isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10):
            raise ValidationError("Must be a whole number from 1.")
        return int(value)


class AskProofSchema(Schema):
    seq = Seq(required=True, validate=validate.Range(min=1))


class MessageOpeningSchema(Schema):
    """SHA-256(0x00 + salt + RFC 8785 of value) is the commitment; both null once erased."""

    name = fields.String(required=True, metadata={"example": "c_text"})
    salt = fields.String(required=True, allow_none=True)
    value = fields.Raw(required=True, allow_none=True)


class ProofSchema(Schema):
    """An inclusion proof of RFC 9162 for the leaf of one message; index is seq - 1."""

    exhibit = fields.UUID(required=True)
    label = fields.String(required=True)
    leaf = fields.Dict(required=True, metadata={"description": "the fields whose canonical form is hashed"})
    openings = fields.List(fields.Nested(MessageOpeningSchema), required=True)
    size = fields.Integer(required=True)
    path = fields.List(fields.String(), required=True)
    merkle_root = fields.String(required=True)


ASK, PROOF = AskProofSchema(), ProofSchema()


@endpoint(
    blueprint,
    "GET",
    "/exhibits/<exhibit_id>/proof",
    operation="proveMessage",
    summary="The proof that a message is one of those that were filed",
    roles=ALL,
    query=ASK,
    answer=PROOF,
)
def prove_message(call: Call, exhibit_id: str) -> Answer:
    exhibit = visible_exhibit(call, exhibit_id)
    seq = call.query(ASK)["seq"]
    if exhibit.merkle_root is None or seq > (exhibit.message_count or 0):
        raise NotFound("There is no such message.")
    leaves = call.session.scalars(
        select(ExhibitMessage.leaf)
        .where(ExhibitMessage.case_id == exhibit.case_id, ExhibitMessage.exhibit_id == exhibit.id)
        .order_by(ExhibitMessage.seq)
    ).all()
    message = call.session.get_one(ExhibitMessage, (exhibit.case_id, exhibit.id, seq))
    opening = call.session.get_one(ExhibitMessageOpening, (exhibit.case_id, exhibit.id, seq))
    return Answer(
        {
            "exhibit": str(exhibit.id),
            "label": exhibit.label,
            "leaf": _fields(message),
            "openings": [
                _opening("c_text", opening.text_salt, opening.text),
                _opening("c_sender", opening.sender_salt, opening.sender),
                _opening("c_attachments", opening.attachments_salt, opening.attachments),
            ],
            "size": len(leaves),
            "path": [part.hex() for part in merkle.inclusion_proof(leaves, seq - 1)],
            "merkle_root": exhibit.merkle_root.hex(),
        }
    )


def _fields(row: ExhibitMessage) -> dict[str, Any]:
    return {
        "seq": row.seq,
        "role": row.role,
        "sent_at": None if row.sent_at is None else instant(row.sent_at),
        "kind": row.kind,
        "c_text": row.c_text.hex(),
        "c_sender": row.c_sender.hex(),
        "c_attachments": row.c_attachments.hex(),
    }


def _opening(name: str, salt: bytes | None, value: Any) -> dict[str, Any]:
    return {"name": name, "salt": None if salt is None else salt.hex(), "value": None if salt is None else value}
