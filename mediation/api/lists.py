"""Pages of a list: {"items": [...], "next_cursor": ...}, with a Link to the next one."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import urlencode

from flask import request
from marshmallow import Schema, ValidationError, fields, validate

from mediation import queries
from mediation.api.calls import Answer
from mediation.queries import MAX_PAGE, PAGE


class Limit(fields.Integer):
    """How many items a page holds: 1 to 100."""

    def __init__(self) -> None:
        super().__init__(load_default=PAGE, validate=validate.Range(1, MAX_PAGE), metadata={"example": PAGE})

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if not (isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10):
            raise ValidationError(f"Must be a whole number from 1 to {MAX_PAGE}.")
        return int(value)


class PageSchema(Schema):
    """The query of any list."""

    limit = Limit()
    cursor = fields.String(validate=validate.Length(1, 500))


Position = TypeVar("Position", int, uuid.UUID)


def after(asked: Mapping[str, Any], kind: type[Position]) -> Position | None:
    """Where the page before ended: a seq or an id. None for the first page. Raises InvalidBody."""
    cursor = asked.get("cursor")
    if cursor is None:
        return None
    position: Position = queries.position_of(cursor, [kind])[0]
    return position


def page_answer(items: list[Any], end: int | uuid.UUID | None) -> Answer:
    """One page; `end` is where it ended, None if it was the last."""
    return page_until(items, None if end is None else queries.cursor_of(end))


def page_until(items: list[Any], next_cursor: str | None) -> Answer:
    """One page, with the address of the next in the Link header."""
    headers = {}
    if next_cursor is not None:
        asked = {name: value for name, value in request.args.items() if name != "cursor"}
        headers["Link"] = f'<{request.path}?{urlencode(asked | {"cursor": next_cursor})}>; rel="next"'
    return Answer({"items": items, "next_cursor": next_cursor}, headers=headers)


def list_of(item: type[Schema]) -> Schema:
    """The schema of a page of items, for the OpenAPI description."""
    name = item.__name__.removesuffix("Schema")
    made = Schema.from_dict(
        {
            "items": fields.List(fields.Nested(item), required=True),
            "next_cursor": fields.String(required=True, allow_none=True),
        },
        name=f"{name}PageSchema",
    )
    return made()
