"""/policies: the rules for time and money that machines read, in versions."""

from __future__ import annotations

import re
from typing import Any

from flask_smorest import Blueprint
from marshmallow import Schema, fields, validate

from mediation import policies
from mediation.api.calls import Answer, Call
from mediation.api.endpoint import ALL, V1, endpoint
from mediation.api.lists import list_of, page_answer
from mediation.errors import InvalidBody, NotFound
from mediation.schemas import Instant, rfc3339
from workflows.policies import PoliciesNotReadable
from workflows.refusals import Refused
from workflows.states import Role

blueprint = Blueprint("policies", __name__, url_prefix=V1, description="Limits and what silence does, by version")
#: Far more than a hundred rows, and little enough that reading it takes no time worth speaking of.
MAX_TEXT = 50_000
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")


class PolicyVersionSchema(Schema):
    version = fields.Integer(required=True)
    name = fields.String(required=True)
    effective_from = fields.DateTime(required=True)
    loaded_at = fields.DateTime(required=True)
    loaded_by = fields.String(required=True)
    digest = fields.String(required=True, metadata={"description": "SHA-256 of the file as it was loaded"})


class PolicyDocumentSchema(PolicyVersionSchema):
    in_force = fields.Boolean(required=True)
    document = fields.Dict(required=True)


class LoadPoliciesSchema(Schema):
    text = fields.String(
        required=True, validate=validate.Length(1, MAX_TEXT), metadata={"description": "the policies as TOML"}
    )
    effective_from = Instant(metadata={"description": "left out: now; never in the past"})


LOAD, VERSION = LoadPoliciesSchema(), PolicyVersionSchema()


@endpoint(
    blueprint,
    "GET",
    "/policies",
    operation="listPolicies",
    summary="Every version on file, the newest first",
    roles=ALL,
    answer=list_of(PolicyVersionSchema),
)
def list_policies(call: Call) -> Answer:
    return page_answer([_version(one) for one in policies.versions(call.session)], None)


def _version(one: dict[str, Any]) -> dict[str, Any]:
    return {**one, **{name: rfc3339(one[name]) for name in ("effective_from", "loaded_at")}}


@endpoint(
    blueprint,
    "GET",
    "/policies/<version>",
    operation="getPolicies",
    summary="One version, whole; `current` is the one in force",
    roles=ALL,
    answer=PolicyDocumentSchema(),
)
def get_policies(call: Call, version: str) -> Answer:
    current = policies.in_force(call.session, call.now)[0]
    if version != "current" and not _NUMBER.fullmatch(version):
        raise NotFound()
    wanted = current if version == "current" else int(version)
    found = next((one for one in policies.versions(call.session) if one["version"] == wanted), None)
    if found is None:
        raise NotFound()
    document = policies.book(call.session).version(call.session, wanted).document
    return Answer({**_version(found), "in_force": wanted == current, "document": document})


@endpoint(
    blueprint,
    "POST",
    "/policies",
    operation="loadPolicies",
    summary="Put a new version on file",
    description="Clocks that run are left alone; `mediation policies recount` counts them anew.",
    roles=frozenset({Role.ADMIN}),
    body=LOAD,
    answer=VERSION,
    status=201,
)
def load_policies(call: Call) -> Answer:
    body = call.body(LOAD)
    begins = body.get("effective_from", call.now)
    if begins < call.now:
        raise Refused("due_in_the_past", field="effective_from", now=rfc3339(call.now))
    try:
        version = policies.load(
            call.session, body["text"], effective_from=begins, now=call.services.real(), by=call.actor.subject
        )
    except PoliciesNotReadable as error:
        raise InvalidBody(errors={f"text.{place}": rules for place, rules in error.errors.items()}) from error
    loaded = next(one for one in policies.versions(call.session) if one["version"] == version)
    return Answer(_version(loaded), 201, {"Location": f"{V1}/policies/{version}"})
