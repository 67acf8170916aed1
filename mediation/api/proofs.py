"""/exhibits/{id}/proof and /cases/{id}/head: what shows a message to be one of those filed, and a later rollback."""

from __future__ import annotations

from typing import Any

from flask_smorest import Blueprint
from marshmallow import Schema, ValidationError, fields, validate
from sqlalchemy import Row, func, literal, select
from sqlalchemy.dialects.postgresql import aggregate_order_by

from evidence import merkle
from evidence.chain import instant
from evidence.custody import CustodyAct
from mediation.api.calls import Answer, Call, case_headers
from mediation.api.endpoint import ALL, V1, Hold, endpoint
from mediation.api.exhibits import visible_exhibit
from mediation.errors import NotFound
from mediation.models import Case, Exhibit, ExhibitMessage, ExhibitMessageOpening
from mediation.operations import custody

blueprint = Blueprint("proofs", __name__, url_prefix=V1, description="Proofs to be kept, and checked anywhere")


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


class HeadSchema(Schema):
    """Where the docket stands; `seal` is a JWS over `{v, statement: "head", case, seq, hash, at}`."""

    case = fields.UUID(required=True)
    seq = fields.Integer(required=True)
    hash = fields.String(required=True)
    at = fields.String(required=True)
    seal = fields.String(required=True)


ASK, PROOF, HEAD = AskProofSchema(), ProofSchema(), HeadSchema()


@endpoint(
    blueprint,
    "GET",
    "/cases/<case_id>/head",
    operation="getHead",
    summary="The docket's head as it stands now, freshly signed: kept, it shows a later rollback",
    roles=ALL,
    hold=Hold.READ,
    answer=HEAD,
)
def get_head(call: Call, case: Case) -> Answer:
    # Never before the entry that it is the hash of.
    at = max(call.now, case.updated_at)
    seal = call.services.sealer.signed_head(case, at)
    return Answer(
        {"case": str(case.id), "seq": case.version, "hash": case.head.hex(), "at": instant(at), "seal": seal},
        headers=case_headers(case),
    )


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
    custody.record(call.session, exhibit, call.actor, call.now, CustodyAct.viewed, messages=[seq, seq])
    leaves = _leaves(call, exhibit)
    message, opening = ExhibitMessage, ExhibitMessageOpening
    row = call.session.execute(
        select(message.seq, message.role, message.sent_at, message.kind, message.c_text, message.c_sender,
               message.c_attachments, opening.text, opening.text_salt, opening.sender, opening.sender_salt,
               opening.attachments, opening.attachments_salt)
        .join(opening, (opening.case_id == message.case_id) & (opening.exhibit_id == message.exhibit_id)
              & (opening.seq == message.seq))
        .where(message.case_id == exhibit.case_id, message.exhibit_id == exhibit.id, message.seq == seq)
    ).one()  # fmt: skip
    return Answer(
        {
            "exhibit": str(exhibit.id),
            "label": exhibit.label,
            "leaf": _fields(row),
            "openings": [
                _opening("c_text", row.text_salt, row.text),
                _opening("c_sender", row.sender_salt, row.sender),
                _opening("c_attachments", row.attachments_salt, row.attachments),
            ],
            "size": len(leaves),
            "path": [part.hex() for part in merkle.inclusion_proof(leaves, seq - 1)],
            "merkle_root": exhibit.merkle_root.hex(),
        }
    )


def _leaves(call: Call, exhibit: Exhibit) -> list[bytes]:
    """Every leaf of the exhibit, in order."""
    # As one value: rows of their own take several times as long.
    leaf = ExhibitMessage.leaf
    joined: bytes = call.session.execute(
        select(func.string_agg(leaf, aggregate_order_by(literal(b"", leaf.type), ExhibitMessage.seq))).where(
            ExhibitMessage.case_id == exhibit.case_id, ExhibitMessage.exhibit_id == exhibit.id
        )
    ).scalar_one()
    return [joined[at : at + merkle.HASH_BYTES] for at in range(0, len(joined), merkle.HASH_BYTES)]


def _fields(row: Row[Any]) -> dict[str, Any]:
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
