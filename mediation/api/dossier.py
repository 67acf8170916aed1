"""/cases/{id}/dossier: the sealed case file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

from flask import Response, request
from flask_smorest import Blueprint

from evidence.dossier.archive import chunks_of
from mediation import docket, dossiers
from mediation.api.calls import path_id, services
from mediation.api.endpoint import V1, describe, mount
from mediation.errors import NotAllowed
from workflows.states import PARTIES, STAFF

blueprint = Blueprint("dossier", __name__, url_prefix=V1, description="The sealed case file")

READERS = frozenset(PARTIES | STAFF)


def _dossier(case_id: str) -> Response:
    """Made whole before the first byte leaves, so that a file that was cut off on its way can be told from one that
    is not whole."""
    house = services()
    actor = house.authenticator.actor(request.headers.get("Authorization"))
    case = path_id(case_id, "case_id")
    with house.sessions.begin() as session:
        found = docket.find(session, case, actor)
        if actor.role not in READERS:
            raise NotAllowed()
        name = dossiers.filename(found)
    file = dossiers.make(house, case, actor)
    size = file.seek(0, 2)
    file.seek(0)
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Content-Length": str(size),
        "Cache-Control": "private, no-store",
    }
    response = Response(_chunks(file), headers=headers, content_type="application/zip")
    response.call_on_close(file.close)
    return response


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        yield from chunks_of(file)


_DOC = describe(
    "The sealed case file: record, evidence, decisions and a page to read, as far as the caller may see them",
    roles=READERS,
    description="Verified offline by `mediation verify`; docs/dossier.md is its format.",
)
_DOC["responses"]["200"]["content"] = {"application/zip": {}}
mount(blueprint, "GET", "/cases/<case_id>/dossier", _dossier, operation="getDossier", permission=READERS, doc=_DOC)
