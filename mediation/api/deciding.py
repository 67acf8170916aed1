"""The body of a decision."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from evidence.transcripts.differences import DifferenceKind
from mediation.schemas import MAX_NOTE, MAX_REASONS, Flag, Id, MoneySchema, OneOf, ReturnAddressSchema, Text, Whole
from workflows.states import DECISION_OUTCOMES, Blame, FindingResult, RemedyKind, Side

MANY = validate.Length(max=100)


class RemedySchema(Schema):
    kind = OneOf(RemedyKind, required=True)
    amount = fields.Nested(MoneySchema, metadata={"description": "what is paid, freight apart"})
    freight = fields.Nested(MoneySchema, metadata={"description": "return freight that is repaid to the buyer"})
    freight_bearer = OneOf(Blame, allow_none=True)
    return_required = Flag(metadata={"description": "false: what is exchanged or repaired need not come back"})


class DispositionRemedySchema(Schema):
    kind = OneOf(RemedyKind, required=True)
    amount = fields.Nested(MoneySchema)


class DispositionSchema(Schema):
    claim = fields.UUID(required=True)
    remedy = fields.Nested(DispositionRemedySchema, required=True)


class LiabilitySchema(Schema):
    party = fields.String(required=True, validate=validate.OneOf([str(one) for one in Blame if one is not Blame.NONE]))
    amount = fields.Nested(MoneySchema)
    weight = Whole(1, 1_000_000, metadata={"description": "instead of amounts: the remedy is split by these, exactly"})


class QuoteSchema(Schema):
    seq = Whole(1, 2**31 - 1, required=True)
    text = fields.String(required=True, validate=validate.Length(1, 20_000))


class ReliedOnSchema(Schema):
    exhibit = Id(required=True)
    quotes = fields.List(fields.Nested(QuoteSchema), load_default=list, validate=MANY)


class RejectedSchema(Schema):
    exhibit = Id(required=True)
    why = Text(MAX_NOTE, required=True)


class RuleSchema(Schema):
    id = Id(required=True)
    version = Whole(1, 2**31 - 1, required=True)


class DefaultSchema(Schema):
    """A side's silence on an evidence request, on record."""

    request = fields.UUID(required=True)
    side = OneOf(Side, required=True)


class CitedDifferenceSchema(Schema):
    """In what two chat logs differ, as their alignment numbers the messages; null where that copy lacks the message."""

    left = Id(required=True, metadata={"example": "B-1"})
    right = Id(required=True, metadata={"example": "S-1"})
    kind = OneOf(tuple(DifferenceKind), required=True)
    left_seq = Whole(1, 2**31 - 1, load_default=None, allow_none=True)
    right_seq = Whole(1, 2**31 - 1, load_default=None, allow_none=True)


class FindingSchema(Schema):
    issue = Text(MAX_NOTE, required=True)
    burden = OneOf(Side, required=True)
    finding = OneOf(FindingResult, required=True)
    rules = fields.List(fields.Nested(RuleSchema), load_default=list, validate=MANY)
    relied_on = fields.List(fields.Nested(ReliedOnSchema), load_default=list, validate=MANY)
    rejected = fields.List(fields.Nested(RejectedSchema), load_default=list, validate=MANY)
    defaults = fields.List(fields.Nested(DefaultSchema), load_default=list, validate=MANY)
    differences = fields.List(fields.Nested(CitedDifferenceSchema), load_default=list, validate=MANY)


class DecideSchema(Schema):
    """A decision; or, hearing an appeal, `upholds: true` with reasons, which dismisses it."""

    upholds = Flag(validate=validate.Equal(True))
    outcome = OneOf(DECISION_OUTCOMES)
    remedy = fields.Nested(RemedySchema)
    dispositions = fields.List(fields.Nested(DispositionSchema), validate=validate.Length(1, 50))
    liability = fields.List(fields.Nested(LiabilitySchema), validate=validate.Length(max=10))
    blame = OneOf(Blame)
    findings = fields.List(fields.Nested(FindingSchema), validate=MANY)
    reasons = Text(MAX_REASONS, required=True)
    return_address = fields.Nested(ReturnAddressSchema, metadata={"description": "where the buyer sends the goods"})

    @validates_schema
    def whole_unless_upheld(self, data: dict[str, Any], **kwargs: Any) -> None:
        """A decision of its own needs all its parts."""
        if data.get("upholds"):
            return
        missing = [name for name in ("outcome", "remedy", "liability", "findings") if name not in data]
        if missing:
            raise ValidationError({name: ["Missing data for required field."] for name in missing})
