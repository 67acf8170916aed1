"""Deadlines fired: worker processes with the real clock, and as many bare loops that say the very same statements.

`python -m benchmarks.firing` is one such process. It reads what to do as JSON, fires a few so that nothing is done for
the first time any more, and says so; told to go on, it fires until nothing is left, and writes how many that were.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson
import psycopg
from psycopg.types.json import set_json_dumps, set_json_loads

from benchmarks import programs
from benchmarks.contenders import ROOT, Failed, Measured, Setup
from benchmarks.databases import libpq
from benchmarks.templates import Template
from benchmarks.workloads import FIRED, MARKETPLACE, case_id
from mediation import clock, logs
from mediation.db import connection_options
from mediation.services import build
from mediation.settings import Settings

CLOCK, LOOP = "clock", "bare loop"
WARM_UP = 25  # firings of each worker before the time counts


@dataclass(frozen=True, slots=True)
class Task:
    """What one process is to do; `program` is the file with the bare loop's program, None for the real clock."""

    url: str
    home: str
    program: str | None


@dataclass(frozen=True, slots=True)
class Done:
    """What came of it: all firings, those after the warm-up, and between which moments of the machine's clock."""

    fired: int
    counted: int
    began: float
    ended: float


def measure(contender: str, setup: Setup, made: Template, database: str) -> Measured:
    """Fire everything that is overdue. Raises Failed unless each was fired exactly once, as the docket has it."""
    program = None
    if contender == LOOP:
        program = setup.home / "firing.program"
        program.write_bytes(pickle.dumps(programs.python(made, _ends(made))))
    task = Task(setup.server.url(database), str(setup.home), None if program is None else str(program))
    log = setup.home / "firing.log"
    with _processes(setup.workers, log) as workers:
        for worker in workers:
            _tell(worker, asdict(task))
        for worker in workers:
            _hear(worker, log)
        for worker in workers:
            _tell(worker, "go")
        found = [Done(**_hear(worker, log)) for worker in workers]
    fired = sum(done.fired for done in found)
    _check(contender, setup, database, fired)
    elapsed = max(done.ended for done in found) - min(done.began for done in found)
    return Measured(sum(done.counted for done in found) / elapsed, fired)


def _ends(made: Template) -> dict[int, tuple[str, object]]:
    """When a bare loop goes no further: no case was found (None), or somebody was quicker with its deadline (False)."""
    wake = made.calls[1].columns.index("wake_at")
    late = f"row[{wake}] is not None and row[{wake}] <= made_0"
    return {0: ("not rows_0", None), 1: (f"not any({late} for row in rows_1)", False)}


def _check(contender: str, setup: Setup, database: str, fired: int) -> None:
    """Raises Failed unless the docket has one entry for each case that was overdue, and none for any other."""
    query = "SELECT count(*), count(DISTINCT case_id), min(case_id::text), max(case_id::text) FROM docket_entries"
    over = "SELECT count(*) FROM deadlines WHERE kind = 'review' AND ended = 'fired'"
    with psycopg.connect(setup.server.conninfo(database)) as connection:
        entries, cases, first, last = connection.execute(f"{query} WHERE type = %s", [FIRED]).fetchone() or (
            0,
            0,
            None,
            None,
        )
        (ended,) = connection.execute(over).fetchone() or (0,)
    expected = (case_id(setup.cases + 1), case_id(setup.cases + setup.overdue))
    if {entries, cases, ended, fired} != {setup.overdue} or (first, last) != expected:
        raise Failed(
            f"{contender}: {setup.overdue} deadlines were overdue; {fired} were fired, {ended} are over, and the "
            f"docket has {entries} entries of {cases} cases, from {first} to {last}"
        )


# --- the processes, from outside -------------------------------------------------------------------------------------


@contextmanager
def _processes(number: int, log: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    command = [sys.executable, "-m", "benchmarks.firing"]
    pipe = subprocess.PIPE
    with log.open("wb") as out:
        workers = [subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=out) for _ in range(number)]
        try:
            yield workers
        finally:
            for worker in workers:
                # Whoever has not been told to go on by now ends with its input.
                worker.communicate()


def _tell(worker: subprocess.Popen[bytes], what: Mapping[str, Any] | str) -> None:
    assert worker.stdin is not None
    worker.stdin.write(orjson.dumps(what) + b"\n")
    worker.stdin.flush()


def _hear(worker: subprocess.Popen[bytes], log: Path) -> Any:
    assert worker.stdout is not None
    line = worker.stdout.readline()
    if not line:
        raise Failed(f"a worker ended with status {worker.wait()}:\n{log.read_text(errors='replace')[-2000:]}")
    return orjson.loads(line)


# --- one process -----------------------------------------------------------------------------------------------------


def main() -> None:
    """Be one worker."""
    task = Task(**orjson.loads(sys.stdin.buffer.readline()))
    fire = _clock(task) if task.program is None else _loop(task)
    warm = sum(fire() for _ in range(WARM_UP))
    _say("ready")
    if not sys.stdin.buffer.readline():
        return
    counted, began = 0, time.monotonic()
    ended = began
    while fire():
        counted, ended = counted + 1, time.monotonic()
    _say(asdict(Done(warm + counted, counted, began, ended)))


def _say(what: Mapping[str, Any] | str) -> None:
    sys.stdout.buffer.write(orjson.dumps(what) + b"\n")
    sys.stdout.buffer.flush()


def _clock(task: Task) -> Callable[[], bool]:
    """The real thing, with its log."""
    settings = Settings(home=Path(task.home), database_url=task.url, marketplace=MARKETPLACE)
    logs.configure(settings)
    services = build(settings, hint=lambda: None)
    return lambda: clock.fire_next(services)


def _loop(task: Task) -> Callable[[], bool]:
    """A connection, the recorded statements, a commit."""
    fire = programs.compiled(*pickle.loads(Path(str(task.program)).read_bytes()))
    set_json_dumps(orjson.dumps)
    set_json_loads(orjson.loads)
    connection = psycopg.connect(libpq(task.url), options=connection_options(), application_name="mediation")

    def fire_next() -> bool:
        while True:
            with connection.cursor() as cursor:
                fired: bool | None = fire(cursor)
            connection.commit()
            if fired is not False:
                return bool(fired)

    return fire_next


if __name__ == "__main__":
    main()
