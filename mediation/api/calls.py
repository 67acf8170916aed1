"""One call of the API: who asks, in which language, with what body; its transaction, its safe retry, its answer.

The order in which a call is checked is contract: token, existence and ownership, role, If-Match, state, body, guards.
So the body is read (bounded) before the transaction and understood inside it, by the view, when its turn has come.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
from flask import Request, Response, current_app, request
from marshmallow import Schema, ValidationError
from sqlalchemy.orm import Session

from mediation import clock, deadlines, docket, idempotency, queries
from mediation.deadlines import Running
from mediation.errors import (
    BodyTooLarge,
    InvalidBody,
    MalformedBody,
    NotAllowed,
    NotFound,
    StaleVersion,
    UnsupportedMediaType,
)
from mediation.models import Case
from mediation.schemas import as_uuid, flat
from mediation.services import Services
from workflows.acts import Actor
from workflows.states import Role

MAX_JSON = 16 * 1024 * 1024
MAX_UPLOAD = 50 * 1024 * 1024
_TAG = re.compile(r'\s*(?:W/)?"(?P<version>\d{1,18})"\s*|\s*(?P<any>\*)\s*')


@dataclass(slots=True)
class Call:
    """What a view needs of the request. `session` is in a transaction that ends when the view has answered."""

    services: Services
    actor: Actor
    now: datetime
    language: str
    session: Session
    raw: bytes = b""
    case_id: uuid.UUID | None = None
    _informed: bool = False
    _claims: dict[uuid.UUID, list[dict[str, Any]]] = field(default_factory=dict)
    _running: dict[uuid.UUID, list[Running]] = field(default_factory=dict)

    def informed_actor(self, locked: Case | None = None) -> Actor:
        """The caller with the interests they have declared, read once, and with them what belongs to a locked case."""
        if locked is not None:
            deadlines.remember(self.session, locked.id, self._read([locked]).deadlines[locked.id])
        elif not self._informed:
            self.actor = docket.with_interests(self.session, self.actor)
            self._informed = True
        return self.actor

    def read_along(self, cases: Sequence[Case]) -> None:
        """Read what belongs to these cases and was not read yet."""
        missing = [case for case in cases if case.id not in self._claims]
        if missing:
            self._running |= self._read(missing).deadlines

    def _read(self, cases: Sequence[Case]) -> queries.Belongings:
        found = queries.belongings(self.session, self.actor, [case.id for case in cases])
        self.actor = docket.interested(self.actor, found.interests)
        self._informed = True
        self._claims |= found.claims
        return found

    def claims_of(self, case: Case) -> list[dict[str, Any]]:
        """The claims of a case that was read along, in order, as they are shown."""
        return self._claims[case.id]

    def deadlines_of(self, case: Case) -> list[Running]:
        """The deadlines of a case that was read along, as they are after what was done with it."""
        found = self._running.get(case.id)
        return deadlines.known(self.session, case.id) if found is None else found

    def body(self, schema: Schema) -> dict[str, Any]:
        """The JSON body as the schema has it. Raises MalformedBody, UnsupportedMediaType or InvalidBody."""
        return load(schema, parse(self.raw, request.mimetype))

    def query(self, schema: Schema) -> dict[str, Any]:
        """The query string as the schema has it. Raises InvalidBody naming the parameter."""
        if not request.query_string:
            return load(schema, {})
        twice = [name for name, values in request.args.lists() if len(values) > 1]
        if twice:
            raise InvalidBody(errors={name: ["Must be given once."] for name in twice})
        return load(schema, request.args.to_dict())

    def require(self, *roles: Role) -> None:
        """Raises NotAllowed unless the caller has one of these roles."""
        if self.actor.role not in roles:
            raise NotAllowed()


@dataclass(slots=True)
class Answer:
    """What a view answers: a JSON value, or nothing."""

    value: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


View = Callable[..., Answer]


def services() -> Services:
    """The services of the running application."""
    found: Services = current_app.extensions["mediation"]
    return found


def _asked() -> Request:
    """The request itself: Flask's stand-in for it looks it up anew for each attribute."""
    found: Request = request._get_current_object()  # type: ignore[attr-defined]
    return found


def run(view: View, /, raw: bytes | None = None, **path: Any) -> Response:
    """Call the view inside one transaction and answer; effects outside the database start after the commit.

    `raw` stands for a body that was read elsewhere, such as an upload that went to disk.
    """
    house = services()
    asked = _asked()
    actor = house.authenticator.actor(asked.headers.get("Authorization"))
    if raw is None:
        raw = read_body(asked)
    response, pays = clock.in_time(house, lambda: _once(house, actor, view, raw, path))
    if pays:
        # Only now, after the commit; what this does not wake the worker for, its sweep finds.
        house.hint()
    return response


def _once(house: Services, actor: Actor, view: View, raw: bytes, path: dict[str, Any]) -> tuple[Response, bool]:
    """The call's one transaction: the answer, and whether it ordered a refund."""
    asked = _asked()
    replayable = asked.method == "POST"
    with house.sessions.begin() as session:
        call = Call(house, actor, house.clock(), language_of(asked), session, raw)
        attempt = idempotency.begin(session, asked, actor, raw) if replayable else None
        if attempt is not None and attempt.replay is not None:
            return attempt.replay, False
        answer = view(call, **path)
        response = respond(answer)
        if attempt is not None:
            attempt.keep(session, response, call.case_id, house.real())
        session.flush()
        return response, session.info.pop("refund_requested", False)


def require_version(case: Case) -> None:
    """Raises StaleVersion if If-Match names another version of the case than the one that was read."""
    wanted = request.headers.get("If-Match")
    if wanted is None:
        return
    found = [match for match in map(_TAG.fullmatch, wanted.split(",")) if match]
    if not any(match["any"] or int(match["version"]) == case.version for match in found):
        raise StaleVersion(version=case.version)


def respond(answer: Answer) -> Response:
    """The answer as JSON in UTF-8."""
    if answer.value is None:
        return Response(status=answer.status, headers=answer.headers)
    return Response(orjson.dumps(answer.value), answer.status, headers=answer.headers, content_type="application/json")


def read_body(asked: Request, limit: int = MAX_JSON) -> bytes:
    """The body, at most `limit` bytes of it. Raises BodyTooLarge without reading on."""
    if asked.method in ("GET", "HEAD", "DELETE"):
        return b""
    # One byte more than may be: a body without a length that just reaches a limit is cut there without a word.
    asked.max_content_length = limit + 1
    too_large = BodyTooLarge(f"The body may have {limit} bytes at most.")
    if asked.content_length is not None and asked.content_length > limit:
        raise too_large
    raw = asked.get_data(cache=False)
    if len(raw) > limit:
        raise too_large
    return raw


def parse(raw: bytes, mimetype: str) -> Any:
    """The JSON in a body; an empty body stands for no fields."""
    if not raw:
        return {}
    if mimetype not in ("application/json", ""):
        raise UnsupportedMediaType("The body must be application/json in UTF-8.")
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise MalformedBody(
            f"The body cannot be read as JSON in UTF-8: {error.msg} (line {error.lineno}, column {error.colno})."
        ) from error


def load(schema: Schema, value: Any) -> dict[str, Any]:
    """The value as the schema has it. Raises InvalidBody with every field's errors."""
    if value == {} and not schema.fields:
        return {}
    try:
        loaded: dict[str, Any] = schema.load(value)
    except ValidationError as error:
        raise InvalidBody(errors=flat(error.messages)) from error
    return loaded


def path_id(value: str, name: str) -> uuid.UUID:
    """The id in a path. Raises NotFound naming it, for what is no UUID is not there either."""
    found = as_uuid(value)
    if found is None:
        raise NotFound(errors={name: ["Must be a UUID."]})
    return found


def language_of(asked: Request) -> str:
    """zh-CN or en, by Accept-Language; en where it says neither."""
    if "Accept-Language" not in asked.headers:
        return "en"
    best = asked.accept_languages.best_match(["en", "zh-CN", "zh"], default="en")
    return "zh-CN" if best.startswith("zh") else "en"


def case_headers(case: Case) -> dict[str, str]:
    """ETag: the version of the case."""
    return {"ETag": f'"{case.version}"'}
