"""/healthz and /readyz, outside /v1 and without a token."""

from __future__ import annotations

from flask import Response
from flask_smorest import Blueprint
from sqlalchemy.exc import SQLAlchemyError

from mediation import migrating
from mediation.api.calls import Answer, respond, services
from mediation.api.endpoint import describe, mount
from mediation.api.problems import problem

blueprint = Blueprint("health", __name__, description="Whether the service is alive and ready")


def _healthz() -> Response:
    return respond(Answer({"status": "alive"}))


def _readyz() -> Response:
    try:
        revision = migrating.current(services().engine)
    except SQLAlchemyError:
        return problem(503, "database_away", "The database cannot be reached.")
    if revision != migrating.HEAD:
        return problem(
            503, "not_migrated", f"The database is at revision {revision}, this code needs {migrating.HEAD}."
        )
    return respond(Answer({"status": "ready", "revision": revision}))


mount(
    blueprint,
    "GET",
    "/healthz",
    _healthz,
    operation="healthz",
    permission="public",
    doc=describe("The process answers"),
)
mount(
    blueprint,
    "GET",
    "/readyz",
    _readyz,
    operation="readyz",
    permission="public",
    doc=describe("The database is there and migrated"),
)
