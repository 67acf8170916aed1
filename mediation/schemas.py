"""Fields and shapes that several resources share. Unknown fields are refused; nothing is coerced from another type."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from workflows.remedies import MAX_MINOR

MAX_STATEMENT = 5_000
MAX_NOTE = 2_000
MAX_REASONS = 20_000
_ID = re.compile(r"[^\x00-\x1f\x7f]{1,128}")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_FORBIDDEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


ID_RULE = "Must be 1 to 128 characters, none of them a control character."


def is_id(text: str) -> bool:
    """Whether a text can be an id of the marketplace's."""
    return _ID.fullmatch(text) is not None and _FORBIDDEN.search(text) is None


class Text(fields.String):
    """Words of a person: not blank, at most `longest` characters, no control characters but tab and newline."""

    def __init__(self, longest: int, **kwargs: Any) -> None:
        super().__init__(validate=validate.Length(min=1, max=longest), **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, attr, data, **kwargs)
        if isinstance(text, str):
            if _FORBIDDEN.search(text):
                raise ValidationError("Must hold no NUL, control character or lone surrogate.")
            if text and not text.strip():
                raise ValidationError("Must not be blank.")
        return text


class Id(fields.String):
    """An id of the marketplace's: 1 to 128 characters, none of them a control character."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, attr, data, **kwargs)
        if isinstance(text, str) and not is_id(text):
            raise ValidationError(ID_RULE)
        return text


class Flag(fields.Boolean):
    """true or false, and nothing that merely looks like it."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if not isinstance(value, bool):
            raise ValidationError("Must be true or false.")
        return value


class Whole(fields.Integer):
    """A whole number within bounds; neither a fraction nor a text nor a truth value."""

    def __init__(self, least: int, most: int, **kwargs: Any) -> None:
        super().__init__(strict=True, validate=validate.Range(least, most), **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValidationError("Must be a whole number.")
        return value


class Instant(fields.AwareDateTime):
    """A time with its offset from UTC (RFC 3339), between the years 1970 and 2199; given on in UTC."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(format="iso", default_timezone=None, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if not isinstance(value, str) or "T" not in value.upper():
            raise ValidationError("Must be a time like 2026-11-01T08:00:00Z.")
        try:
            moment = datetime.fromisoformat(value)
        except ValueError as error:
            raise ValidationError("Must be a time like 2026-11-01T08:00:00Z.") from error
        if moment.tzinfo is None:
            raise ValidationError("Must say its offset from UTC, like Z or +08:00.")
        # Before, for the last year there is cannot be moved, and after, for it is the year in UTC that counts.
        if not 1970 <= moment.year < 2200 or not 1970 <= (moment := moment.astimezone(UTC)).year < 2200:
            raise ValidationError("Must lie between the years 1970 and 2199.")
        return moment


class OneOf(fields.String):
    """A value of a closed list."""

    def __init__(self, choices: type[StrEnum] | tuple[StrEnum, ...], **kwargs: Any) -> None:
        super().__init__(validate=validate.OneOf([str(choice) for choice in choices]), **kwargs)


class Currency(fields.String):
    """A currency code of ISO 4217: three capital letters."""

    def __init__(self, **kwargs: Any) -> None:
        message = "Must be a currency code like CNY."
        super().__init__(validate=validate.Regexp(r"\A[A-Z]{3}\Z", error=message), **kwargs)


class MoneySchema(Schema):
    """An amount in minor units (cents, fen) of a currency; more than zero, at most 2^53 - 1."""

    amount = Whole(1, MAX_MINOR, required=True)
    currency = Currency(required=True)


class SumSchema(MoneySchema):
    """An amount that may be zero."""

    amount = Whole(0, MAX_MINOR, required=True)


class ReturnAddressSchema(Schema):
    name = Text(200, required=True)
    line = Text(500, required=True)
    phone = Id()


class PartySchema(Schema):
    id = Id(required=True)
    name = Text(200, allow_none=True)
    return_address = fields.Nested(
        ReturnAddressSchema, allow_none=True, metadata={"description": "a seller's, for goods that go back"}
    )
    locale = fields.String(validate=validate.Regexp(r"\A[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,3}\Z"))


class NoBodySchema(Schema):
    """No fields."""


def money(amount_minor: int, currency: str) -> dict[str, Any]:
    """Money as the API writes it."""
    return {"amount": amount_minor, "currency": currency}


def rfc3339(moment: datetime | None) -> str | None:
    """A time as the API writes it: UTC with Z, microseconds kept where there are any."""
    if moment is None:
        return None
    written = moment.isoformat()
    if not written.endswith("+00:00"):
        written = moment.astimezone(UTC).isoformat()
    return f"{written[:-6]}Z"


def flat(messages: Any, prefix: str = "") -> dict[str, list[str]]:
    """marshmallow's nested messages as one level: {"claims.0.amount": ["Must be …"]}."""
    if isinstance(messages, dict):
        merged: dict[str, list[str]] = {}
        for key, value in messages.items():
            name = prefix if key == "_schema" else f"{prefix}.{key}".lstrip(".")
            for field, errors in flat(value, name).items():
                merged.setdefault(field, []).extend(errors)
        return merged
    found = messages if isinstance(messages, list) else [messages]
    return {prefix or "body": [str(message) for message in found]}


def as_uuid(value: str) -> uuid.UUID | None:
    """The UUID that a path names, None if it names none. One spelling only: Python's own reading is far too kind."""
    return uuid.UUID(value) if _UUID.fullmatch(value) else None
