"""The least that answers the same requests: Flask, psycopg and the recorded statements, under the API's granian.

`python -m benchmarks.bare`, configured like the API, its requests in the file that BENCHMARK_VIEWS names. It has no
validation, no rules, no docket to seal and no log: a token is compared, the body parsed, the statements said in one
transaction, the answer written.
"""

from __future__ import annotations

import hmac
import os
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from flask import Flask, Response, request
from psycopg.types.json import set_json_dumps, set_json_loads
from psycopg_pool import ConnectionPool

from benchmarks.databases import libpq
from benchmarks.programs import compiled
from mediation.db import connection_options
from mediation.serve import server
from mediation.settings import load

VARIABLE = "BENCHMARK_VIEWS"
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class View:
    """One request: its rule, its status, and the program that `templates.python` wrote for it."""

    name: str
    rule: str
    status: int
    source: str
    constants: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Views:
    """What a process is to serve, and the one token it knows."""

    token: str
    views: tuple[View, ...]

    def write(self, path: Path) -> None:
        """Leave it in a file for the process."""
        path.write_bytes(pickle.dumps(self))


def application() -> Flask:
    """The WSGI application, made in granian's worker."""
    settings = load()
    assert settings.database_url is not None
    wanted: Views = pickle.loads(Path(os.environ[VARIABLE]).read_bytes())
    set_json_dumps(orjson.dumps)
    set_json_loads(orjson.loads)
    pool = ConnectionPool(
        libpq(settings.database_url),
        kwargs={"options": connection_options(), "application_name": "mediation"},
        min_size=settings.pool_size,
        max_size=settings.pool_size,
        open=True,
    )
    app = Flask("bare", static_folder=None)
    for view in wanted.views:
        app.add_url_rule(view.rule, view.name, _handler(pool, view, f"Bearer {wanted.token}"), methods=["POST"])
    app.add_url_rule("/readyz", "readyz", lambda: "ready")
    return app


def _handler(pool: ConnectionPool[Any], view: View, expected: str) -> Callable[..., Response]:
    answer = compiled(view.source, view.constants)
    status = view.status

    def act(case: str) -> Response:
        if not hmac.compare_digest(request.headers.get("Authorization", ""), expected):
            return Response(status=401)
        orjson.loads(request.get_data(cache=False))
        with pool.connection() as connection, connection.cursor() as cursor:
            written = answer(cursor, case)
        return Response(orjson.dumps(written, option=orjson.OPT_UTC_Z), status, content_type=JSON)

    def open_() -> Response:
        if not hmac.compare_digest(request.headers.get("Authorization", ""), expected):
            return Response(status=401)
        body = orjson.loads(request.get_data(cache=False))
        with pool.connection() as connection, connection.cursor() as cursor:
            written = answer(cursor, body["order"]["id"], body["buyer"]["id"], body["seller"]["id"])
        return Response(orjson.dumps(written, option=orjson.OPT_UTC_Z), status, content_type=JSON)

    return open_ if view.name == "open" else act


if __name__ == "__main__":
    server(load()).serve(target_loader=application, wrap_loader=False)
