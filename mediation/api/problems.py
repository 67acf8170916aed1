"""Every error as application/problem+json (RFC 9457): one shape, no stack trace, never a 500 for bad input."""

from __future__ import annotations

import traceback
from http import HTTPStatus
from typing import Any

import orjson
import structlog
from flask import Flask, Response, g, request
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from evidence.errors import EvidenceError, QuoteDoesNotStand
from mediation.api.calls import language_of
from mediation.errors import MediationError, from_database, status_of
from workflows.refusals import Refused, WrongState

CONTENT_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 1
log = structlog.get_logger("mediation.api")


def register(app: Flask) -> None:
    """Answer every error of the application with a problem."""
    app.register_error_handler(Exception, answer)
    # flask-smorest brings a handler of its own for these, in another shape.
    app.register_error_handler(HTTPException, answer)


def answer(error: Exception) -> Response:
    """The problem that an error is."""
    if isinstance(error, HTTPException):
        return _of_http(error)
    if isinstance(error, SQLAlchemyError):
        error = from_database(error)
    status = status_of(error)
    if isinstance(error, Refused):
        return problem(status, error.code, error.sentence(language_of(request)), **_of_refusal(error))
    if isinstance(error, QuoteDoesNotStand):
        # The one who quotes may read the message; its text goes to them and to no log.
        refusal = Refused("quote_does_not_stand", field=error.field)
        said = refusal.sentence(language_of(request))
        return problem(status, refusal.code, said, **_of_refusal(refusal), real_text=error.real_text)
    if isinstance(error, EvidenceError) and status < 500:
        return problem(status, error.code, error.detail, errors={error.field: [error.detail]} if error.field else None)
    if isinstance(error, MediationError):
        return problem(status, error.code, error.detail, errors=error.errors, **error.extra)
    _report(error)
    return problem(500, "internal_error", "Something went wrong on our side; nothing was written.")


def problem(status: int, code: str, detail: str, **more: Any) -> Response:
    """A problem: `code` for programs, `detail` for people, `errors` by field."""
    body = {
        "type": f"urn:mediation:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
        **{name: value for name, value in more.items() if value is not None},
        "request_id": g.get("request_id"),
    }
    headers = {}
    if code == "unauthenticated":
        headers["WWW-Authenticate"] = "Bearer"
    if status == 503:
        headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    if code == "open_case_exists" and more.get("case"):
        headers["Link"] = f'</v1/cases/{more["case"]}>; rel="related"'
    g.problem_code = code
    return Response(orjson.dumps(body), status, headers=headers, content_type=CONTENT_TYPE)


def _of_refusal(error: Refused) -> dict[str, Any]:
    more: dict[str, Any] = {}
    if isinstance(error, WrongState):
        more["actions"] = list(error.possible)
    if error.field is not None:
        more["errors"] = {error.field: [error.sentence(language_of(request))]}
    return more


def _of_http(error: HTTPException) -> Response:
    status = error.code or 500
    if isinstance(error, RequestEntityTooLarge):
        return problem(413, "body_too_large", "The body is larger than this address accepts.")
    code = HTTPStatus(status).phrase.lower().replace(" ", "_").replace("'", "")
    response = problem(status, code, error.description or HTTPStatus(status).description)
    allowed = getattr(error, "valid_methods", None)
    if allowed:
        response.headers["Allow"] = ", ".join(sorted(allowed))
    return response


def _report(error: Exception) -> None:
    """Log where it happened and what kind of error it was; its message may hold personal text and is left out."""
    frames = traceback.extract_tb(error.__traceback__)
    log.error(
        "unexpected_error",
        error=type(error).__name__,
        sqlstate=getattr(getattr(error, "orig", None), "sqlstate", None),
        constraint=getattr(getattr(getattr(error, "orig", None), "diag", None), "constraint_name", None),
        where=[f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[-12:]],
    )
