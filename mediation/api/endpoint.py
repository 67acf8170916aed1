"""How an address is declared: its rule, its permission, what it takes and answers, all in one place.

Deny by default: an address cannot be declared without saying who may call it, and a test finds any that was.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

from flask import Response
from flask_smorest import Blueprint
from marshmallow import Schema

from mediation import docket
from mediation.api.calls import Answer, Call, path_id, require_version, run
from workflows.states import TOKEN_ROLES, Role

ALL = frozenset(TOKEN_ROLES)
V1 = "/v1"


class Hold(Enum):
    """How an address under a case holds it while it answers."""

    READ = "read"
    LOCK = "lock"


Handler = Callable[..., Response]


def endpoint(
    blueprint: Blueprint,
    method: str,
    rule: str,
    *,
    operation: str,
    summary: str,
    roles: frozenset[Role],
    hold: Hold | None = None,
    body: Schema | None = None,
    query: Schema | None = None,
    answer: Schema | None = None,
    status: int = 200,
    description: str | None = None,
    doc: dict[str, Any] | None = None,
) -> Callable[[Callable[..., Answer]], Callable[..., Answer]]:
    """Declare a view. With `hold` the view gets the case, found or locked, after 404, 403 and 412 were settled."""

    def declare(view: Callable[..., Answer]) -> Callable[..., Answer]:
        def answered(call: Call, **path: Any) -> Answer:
            if hold is None:
                call.require(*roles)
                return view(call, **path)
            call.case_id = path_id(path.pop("case_id"), "case_id")
            get = docket.lock if hold is Hold.LOCK else docket.find
            case = get(call.session, call.case_id, call.actor)
            call.require(*roles)
            if hold is Hold.LOCK:
                docket.require_on_time(case, call.actor, call.now)
            require_version(case)
            return view(call, case, **path)

        def handler(**path: Any) -> Response:
            return run(answered, **path)

        mount(
            blueprint,
            method,
            rule,
            handler,
            operation=operation,
            permission=roles,
            doc=describe(
                summary, body=body, query=query, answer=answer, status=status, roles=roles, description=description
            )
            | (doc or {}),
        )
        return view

    return declare


def mount(
    blueprint: Blueprint,
    method: str,
    rule: str,
    handler: Handler,
    *,
    operation: str,
    permission: frozenset[Role] | str,
    doc: dict[str, Any],
) -> None:
    """Put a handler under its address, with the permission that the fence looks for."""
    handler.__name__ = handler.__qualname__ = operation
    handler.permission = permission  # type: ignore[attr-defined]
    parameters = doc.pop("parameters", [])
    documented = blueprint.doc(operationId=operation, parameters=parameters, **doc)(handler)
    documented.permission = permission
    blueprint.route(rule, endpoint=operation, methods=[method])(documented)


def describe(
    summary: str,
    *,
    body: Schema | None = None,
    query: Schema | None = None,
    answer: Schema | None = None,
    status: int = 200,
    roles: frozenset[Role] | None = None,
    description: str | None = None,
) -> dict[str, Any]:
    """The OpenAPI operation of an address: who may call it, what it takes, answers and refuses."""
    who = "" if roles is None else "By: " + ", ".join(sorted(roles)) + "."
    responses: dict[str, Any] = {str(status): {"description": "Done."}}
    if answer is not None:
        responses[str(status)]["content"] = {"application/json": {"schema": answer}}
    responses["default"] = {"$ref": "#/components/responses/Problem"}
    doc: dict[str, Any] = {
        "summary": summary,
        "description": " ".join(filter(None, [description, who])),
        "responses": responses,
        "security": [{"bearer": []}] if roles is not None else [],
    }
    if body is not None:
        doc["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    if query is not None:
        doc["parameters"] = [{"in": "query", "schema": query}]
    return doc
