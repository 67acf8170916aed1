"""`python -m benchmarks.evidence`: importing a log beside a COPY of its rows, verifying a case file beside SHA-256.

Each pair is measured in turns in one process, so that a ratio says more than the machine it was taken on.
"""

from __future__ import annotations

import hashlib
import io
import resource
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from sqlalchemy import select
from sqlalchemy.orm import Session

from benchmarks import databases
from evidence.admission import admit
from evidence.dossier.verifying import verify
from mediation import create_app, docket, dossiers, logs, migrating
from mediation.auth import issue_token
from mediation.db import make_engine
from mediation.models import Case
from mediation.operations import exhibits
from mediation.services import Services, build
from mediation.settings import load
from workflows.acts import Actor
from workflows.states import Role

META = {"kind": "chat_log", "visibility": "parties", "timezone": "Asia/Shanghai"}
BUYER = Actor(Role.BUYER, "buyer-1", "buyer-1", "demo")
MEDIATOR = Actor(Role.MEDIATOR, "kim", "kim", "demo")


def chat(messages: int) -> bytes:
    """A conversation as Signal exports it."""
    lines = (
        f"[2026-11-{5 + n // 1440 % 20:02}, {n // 60 % 24:02}:{n % 60:02}] {'Ana' if n % 2 else 'Shop'}: "
        f"message {n}: 您好，请问什么时候发货？\n"
        for n in range(messages)
    )
    return "".join(lines).encode()


@contextmanager
def house(home: Path | None) -> Iterator[Services]:
    """The application over a database of its own, with one case in it."""
    with databases.server(home) as (server, _), tempfile.TemporaryDirectory() as place:
        name = f"bench_evidence_{uuid.uuid4().hex[:8]}"
        server.admin(f"CREATE DATABASE {name}")
        try:
            url = server.url(name)
            migrating.upgrade(url)
            settings = load(database_url=url, home=Path(place), log_level="error")
            logs.configure(settings)
            services = build(settings, engine=make_engine(url), hint=lambda: None)
            _open_case(services)
            yield services
            services.engine.dispose()
        finally:
            server.drop(name)


def _open_case(services: Services) -> None:
    token = issue_token(services.settings, subject="platform", role="platform")
    money = {"amount": 100, "currency": "CNY"}
    line = {"id": "1", "sku": "k", "title": "kettle", "quantity": 1, "unit_price": money}
    body = {
        "order": {"id": "T1", "paid": money, "paid_at": "2026-11-01T08:00:00Z", "lines": [line]},
        "buyer": {"id": "buyer-1"},
        "seller": {"id": "shop-17"},
        "claims": [{"line_id": "1", "reason": "other", "request": "refund_only", "amount": money, "statement": "late"}],
    }
    client = create_app(services.settings, services).test_client()
    answer = client.post("/v1/cases", json=body, headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 201, answer.get_data(as_text=True)


def _case(session: Session) -> Case:
    return docket.lock_for_system(session, session.scalars(select(Case.id)).one())


def file_log(services: Services, content: bytes) -> exhibits.Filing:
    """Admit, import, seal and store a log as filing it does, blob and docket among it; the filing."""
    with services.sessions.begin() as session:
        case = _case(session)
        with admit(io.BytesIO(content), filename="chat.txt") as admitted:
            filing = exhibits.document(case.id, META, admitted)
            services.blobs.put(filing.blob_key, admitted.file)
        exhibits.file(session, case, BUYER, services.clock(), filing, sealer=services.sealer)
    return filing


def copy_rows(services: Services, filing: exhibits.Filing, exhibit: uuid.UUID) -> None:
    """Copy the very rows of a log that was sealed before into the same two tables, under another exhibit."""
    with services.sessions.begin() as session:
        case = _case(session)
        exhibits.copy_messages(session, case.id, exhibit, filing.messages or ())


def _spare(services: Services, n: int) -> uuid.UUID:
    """An exhibit without messages, under which rows can be copied."""
    content = f"note {n}".encode()
    with services.sessions.begin() as session:
        case = _case(session)
        with admit(io.BytesIO(content), filename="note.txt") as admitted:
            filing = exhibits.document(case.id, {**META, "kind": "other"}, admitted)
            services.blobs.put(filing.blob_key, admitted.file)
        exhibits.file(session, case, BUYER, services.clock(), filing, sealer=services.sealer)
    return filing.exhibit_id


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds that the work took, and what it answered."""
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result


def importing(services: Services, messages: int, rounds: int) -> list[tuple[float, float]]:
    """Seconds of filing a log and of a COPY of the same rows, in turns."""
    content, found = chat(messages), []
    for n in range(rounds):
        ours, filing = timed(lambda: file_log(services, content))
        spare = _spare(services, n)
        bare, _ = timed(lambda filing=filing, spare=spare: copy_rows(services, filing, spare))
        found.append((ours, bare))
    return found


def verifying(services: Services, rounds: int) -> tuple[list[tuple[float, float]], int]:
    """Seconds of verifying the case file and of SHA-256 over its bytes, in turns; and its size in bytes."""
    with services.sessions.begin() as session:
        case = session.scalars(select(Case.id)).one()
    with dossiers.make(services, case, MEDIATOR) as file:
        data = file.read()
        report = verify(file)
        assert report.intact, [str(fault) for fault in report.faults]
        found = []
        for _ in range(rounds):
            ours, _ = timed(lambda: verify(file))
            bare, _ = timed(lambda: hashlib.sha256(data).digest())
            found.append((ours, bare))
    return found, len(data)


def memory(messages: int) -> int:
    """Megabytes that a process of its own takes at most to import and seal a log."""
    code = f"from benchmarks import evidence; print(evidence.resident({messages}))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return int(ended.stdout)


def resident(messages: int) -> int:
    """Megabytes that this process has taken at most, once it has read and sealed a log."""
    with admit(io.BytesIO(chat(messages)), filename="chat.txt") as admitted:
        filing = exhibits.document(uuid.uuid4(), META, admitted)
    assert filing.messages is not None and len(filing.messages) == messages
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--messages", type=click.IntRange(1, 100_000), default=5_000, show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=7, show_default=True)
@click.option("--home", type=click.Path(file_okay=False, path_type=Path), help="Keep the embedded PostgreSQL here.")
def main(messages: int, rounds: int, home: Path | None) -> None:
    """Measure what evidence costs, as ratios to the least that could do the same.

    \b
    import   a chat log admitted, read, sealed, stored   beside COPY of the same rows        goal 0.5 or more
    verify   the case file with that log                 beside SHA-256 of the same bytes    goal 20 or less
    memory   a log of 100,000 messages read and sealed                                       goal 500 MB or less
    """
    table = Table(box=None)
    for heading in ("", "ours ms", "bare ms", "ratio", "from", "to", "goal"):
        table.add_column(heading, justify="right" if heading else "left")
    with house(home) as services:
        pairs = importing(services, messages, rounds)
        _row(table, f"import {messages:,} messages", pairs, [bare / ours for ours, bare in pairs], ">= 0.5")
    with house(home) as services:
        file_log(services, chat(messages))
        pairs, size = verifying(services, max(rounds, 15))
        title = f"verify {messages:,} messages, {size / 1e6:.1f} MB"
        _row(table, title, pairs, [ours / bare for ours, bare in pairs], "<= 20")
    console = Console()
    console.print(table)
    console.print(f"memory for 100,000 messages: {memory(100_000)} MB (goal: 500 or less)")


def _row(table: Table, title: str, pairs: list[tuple[float, float]], ratios: list[float], goal: str) -> None:
    ours, bare = (median(part) * 1_000 for part in zip(*pairs, strict=True))
    figures = (median(ratios), min(ratios), max(ratios))
    table.add_row(title, f"{ours:.1f}", f"{bare:.1f}", *(f"{figure:.2f}" for figure in figures), goal)


if __name__ == "__main__":
    main()
