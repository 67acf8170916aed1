"""The three that take requests: the API, the bare view, pgbench. Each gets a fresh database and gives its rate."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from benchmarks import bare, programs, templates
from benchmarks.databases import Server, application_environment
from benchmarks.load import Plan, Seen
from benchmarks.recording import subject
from benchmarks.workloads import MARKETPLACE, Workload
from mediation.auth import issue_token
from mediation.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
API, BARE, PGBENCH = "API", "bare view", "pgbench"
START_PATIENCE = 30.0  # seconds
STOP_PATIENCE = 20.0


class Failed(Exception):
    """A measurement that does not count."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What all measurements of a run have in common: `cases` in time and `overdue` ones, clients, workers."""

    server: Server
    home: Path
    cases: int
    overdue: int
    clients: int
    workers: int
    seconds: float
    warm_up: float
    pgbench: Path | None


@dataclass(frozen=True, slots=True)
class Measured:
    """Requests or firings per second, the entries that must have been written, and what the clients saw."""

    rate: float
    entries: int
    seen: Seen | None = None


def measure(
    contender: str, setup: Setup, workload: Workload, made: Mapping[str, templates.Template], database: str
) -> Measured:
    """Measure one contender on a database. Raises Failed on any error."""
    if contender == PGBENCH:
        return _pgbench(setup, workload, made, database)
    token = _token(setup, workload)
    if contender == API:
        module, extra = "mediation.serve", {}
    else:
        path = setup.home / f"{workload.name}.views"
        bare.Views(token, tuple(_view(workload, made, kind) for kind in made)).write(path)
        module, extra = "benchmarks.bare", {bare.VARIABLE: str(path)}
    with _serving(module, setup, database, extra) as port:
        plan = Plan(workload.name, "127.0.0.1", port, token, setup.clients, setup.cases, setup.warm_up, setup.seconds)
        seen = _load(plan)
    if seen.failed:
        raise Failed(f"{contender}: {seen.failed} requests failed, the first with\n{seen.first_failure}")
    return Measured(seen.rate, seen.succeeded, seen)


def _token(setup: Setup, workload: Workload) -> str:
    settings = Settings(home=setup.home, database_url=None, marketplace=MARKETPLACE)
    return issue_token(settings, subject=subject(workload), role=workload.role)


def _view(workload: Workload, made: Mapping[str, templates.Template], name: str) -> bare.View:
    kind = next(kind for kind in workload.kinds if kind.name == name)
    source, constants = programs.python(made[name])
    return bare.View(name, kind.path.replace("{", "<").replace("}", ">"), kind.status, source, constants)


def _load(plan: Plan) -> Seen:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.load"],
        input=orjson.dumps(asdict(plan)),
        capture_output=True,
        cwd=ROOT,
        check=False,
    )
    if done.returncode:
        raise Failed(done.stderr.decode(errors="replace")[-2000:])
    return Seen(**orjson.loads(done.stdout))


@contextmanager
def _serving(module: str, setup: Setup, database: str, extra: Mapping[str, str]) -> Iterator[int]:
    """The server as it is served: settings by the environment, its defaults, its log into a file."""
    port = _free_port()
    environment = {
        **os.environ,
        "DATABASE_URL": setup.server.url(database),
        "MEDIATION_HOME": str(setup.home),
        "MARKETPLACE": MARKETPLACE,
        "PORT": str(port),
        **extra,
    }
    log = setup.home / f"{module}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", module], env=environment, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=out
        )
        try:
            _await_ready(process, port, log)
            yield port
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _await_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_PATIENCE
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise Failed(f"the server does not get ready:\n{log.read_text(errors='replace')[-2000:]}")


def without_pgbench(setup: Setup, workload: Workload, made: Mapping[str, templates.Template]) -> str | None:
    """Why pgbench cannot be measured, None if it can."""
    if setup.pgbench is None:
        return "it is neither in the embedded PostgreSQL nor on this machine"
    try:
        programs.pgbench_script(made.values(), workload.sets, workload.values)
    except programs.Unwritable as error:
        return str(error)
    return None


def _pgbench(setup: Setup, workload: Workload, made: Mapping[str, templates.Template], database: str) -> Measured:
    script = setup.home / f"{workload.name}.sql"
    script.write_text(programs.pgbench_script(made.values(), workload.sets, workload.values), encoding="utf-8")
    assert setup.pgbench is not None
    command = [str(setup.pgbench), "-M", "prepared", "-n", "-c", str(setup.clients), "-j", "2"]
    command += ["-T", str(max(1, round(setup.seconds))), "-f", str(script), "-D", "t=-1"]
    command += ["-D", f"clients={setup.clients}", "-D", f"cases={setup.cases}", setup.server.conninfo(database)]
    done = subprocess.run(command, env=application_environment(), capture_output=True, text=True, check=False)
    turns = re.search(r"transactions actually processed: (\d+)", done.stdout)
    rate = re.search(r"^tps = ([\d.]+)", done.stdout, re.MULTILINE)
    if done.returncode or turns is None or rate is None:
        raise Failed(f"pgbench: {done.stdout[-1000:]}\n{done.stderr[-3000:]}")
    return Measured(float(rate[1]) * len(made), int(turns[1]) * len(made))
