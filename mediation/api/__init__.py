"""The REST contract: one module per resource, its view and its schemas together."""

from __future__ import annotations

import re
import time
from typing import Any

import structlog
from flask import Flask, Response, g, request
from flask_smorest import Api
from flask_swagger_ui import get_swaggerui_blueprint

from mediation.api import (
    actions,
    alignment,
    cases,
    custody,
    docket,
    dossier,
    exhibits,
    gateway,
    health,
    history,
    interests,
    orders,
    policies,
    problems,
    proofs,
    redactions,
    sandbox,
    waiting,
)
from mediation.db import new_id

BLUEPRINTS = (
    cases.blueprint,
    actions.blueprint,
    docket.blueprint,
    exhibits.blueprint,
    proofs.blueprint,
    alignment.blueprint,
    custody.blueprint,
    redactions.blueprint,
    dossier.blueprint,
    history.blueprint,
    orders.blueprint,
    waiting.blueprint,
    interests.blueprint,
    policies.blueprint,
    sandbox.blueprint,
    gateway.blueprint,
    health.blueprint,
)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
log = structlog.get_logger("mediation.api")

PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "errors": {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}},
        "request_id": {"type": ["string", "null"]},
    },
}


def register(app: Flask, version: str) -> None:
    """Put the API, its description at /v1/openapi.json and the page to browse it at /docs on the application."""
    app.config.update(
        API_TITLE="Mediation",
        API_VERSION=version,
        OPENAPI_VERSION="3.1.0",
        OPENAPI_URL_PREFIX="/v1",
        OPENAPI_JSON_PATH="openapi.json",
        # Its own default error answers are not ours.
        API_SPEC_OPTIONS={
            "info": {
                "description": "Buyer-seller disputes: cases, evidence, decisions, refunds.",
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            }
        },
    )
    # An address has one spelling: nothing is guessed from doubled slashes.
    app.url_map.merge_slashes = False
    api = Api(app)
    api.spec.components.security_scheme("bearer", {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"})
    api.spec.components.schema("Problem", component=PROBLEM_SCHEMA)
    api.spec.components.response(
        "Problem",
        {
            "description": "What is wrong, for programs (`code`) and people (`detail`).",
            "content": {problems.CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        },
    )
    for blueprint in BLUEPRINTS:
        api.register_blueprint(blueprint)
    app.register_blueprint(
        get_swaggerui_blueprint(
            "/docs",
            "/v1/openapi.json",
            # Nothing is loaded from, or told to, any other host.
            config={"app_name": "Mediation API", "validatorUrl": None, "oauth2RedirectUrl": ""},
        )
    )
    problems.register(app)
    app.before_request(_begin)
    app.after_request(_end)


def _begin() -> None:
    given = request.headers.get("X-Request-Id", "")
    g.request_id = given if _REQUEST_ID.fullmatch(given) else str(new_id())
    g.began = time.perf_counter()
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=g.request_id)


def _end(response: Response) -> Response:
    response.headers["X-Request-Id"] = g.request_id
    response.headers.setdefault("Cache-Control", "no-store")
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    log.info(
        "request",
        method=request.method,
        # The rule and not the path: an id in it may be a person's.
        route=None if request.url_rule is None else request.url_rule.rule,
        status=response.status_code,
        code=g.get("problem_code"),
        milliseconds=round((time.perf_counter() - g.began) * 1000, 1),
    )
    return response
