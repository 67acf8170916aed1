"""What one request of the API says to the database: each statement with its values and its rows, and the answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import psycopg
from sqlalchemy import event

from benchmarks.workloads import MARKETPLACE, Kind, Workload
from mediation import clock, create_app, logs
from mediation.auth import issue_token
from mediation.db import make_engine
from mediation.services import Services, build
from mediation.settings import Settings

CASES = 64  # The first of the seeded cases are enough to record on.


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement as psycopg got it: text with %(name)s, values by name, and the rows it gave back."""

    text: str
    values: Mapping[str, Any]
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Any, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """One recorded request: the turn's values, what it said to the database, what it answered."""

    values: Mapping[str, str]
    statements: tuple[Statement, ...]
    answer: Any


@dataclass(slots=True)
class _Tape:
    statements: list[Statement] = field(default_factory=list)


def record(workload: Workload, url: str, home: Path) -> dict[str, list[Sample]]:
    """Make each request of the workload a few times and return what was recorded, by kind.

    The cases are met in different versions, so that what follows from a version cannot pass for a constant.
    """
    with _recorded(url, home) as (services, tape):
        token = issue_token(services.settings, subject=subject(workload), role=workload.role)
        client = create_app(services.settings, services).test_client()
        found: dict[str, list[Sample]] = {kind.name: [] for kind in workload.kinds}
        for turn in (0, 0, 0, 1, 2) if workload.name == "action" else (0, 1, 2, 3):
            values = workload.turn(0, turn, 1, CASES)
            for kind in workload.kinds:
                tape.statements = []
                answer = _ask(client, workload, kind, values, token)
                found[kind.name].append(Sample(values, tuple(tape.statements), answer))
    # The very first request is left out: it may bring things that a process does only once.
    return {name: samples[1:] for name, samples in found.items()}


def record_firings(url: str, home: Path) -> list[Sample]:
    """Fire a few overdue deadlines as a worker does and return what each firing said to the database."""
    found: list[Sample] = []
    with _recorded(url, home) as (services, tape):
        for _ in range(5):
            tape.statements = []
            if not clock.fire_next(services):
                raise RuntimeError("nothing is overdue")
            found.append(Sample({}, tuple(tape.statements), answer=True))
    return found[1:]


@contextmanager
def _recorded(url: str, home: Path) -> Iterator[tuple[Services, _Tape]]:
    """Services whose statements are put on a tape."""
    settings = Settings(home=home, database_url=url, marketplace=MARKETPLACE, log_level="warning")
    logs.configure(settings)
    tape = _Tape()
    engine = make_engine(url, pool_size=1)

    @event.listens_for(engine, "connect")
    def _listen(connection: Any, _: object) -> None:
        connection.cursor_factory = _recorder(tape)

    try:
        yield build(settings, engine=engine, hint=lambda: None), tape
    finally:
        engine.dispose()


def subject(workload: Workload) -> str:
    """Who makes the requests."""
    return f"{workload.role}-1"


def _ask(client: Any, workload: Workload, kind: Kind, values: Mapping[str, str], token: str) -> Any:
    path, body = workload.request(kind, values)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    response = client.post(path, data=body, headers=headers)
    if response.status_code != kind.status:
        raise RuntimeError(f"{kind.name} answered {response.status_code}: {response.get_data(as_text=True)[:400]}")
    return orjson.loads(response.get_data())


def _recorder(tape: _Tape) -> type[psycopg.Cursor[Any]]:
    class Recorder(psycopg.Cursor[Any]):
        def execute(self, query: Any, params: Any = None, **kwargs: Any) -> Any:
            super().execute(query, params, **kwargs)
            rows: list[tuple[Any, ...]] = []
            if self.description is not None:
                rows = self.fetchall()
                if rows:
                    self.scroll(0, mode="absolute")
            columns = tuple(column.name for column in self.description or ())
            tape.statements.append(Statement(str(query), dict(params or {}), columns, tuple(rows)))
            return self

        def executemany(self, query: Any, params_seq: Any, **kwargs: Any) -> None:
            raise NotImplementedError("a statement sent many times in one request cannot be recorded")

    return Recorder
