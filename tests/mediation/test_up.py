"""`mediation up` as a user runs it: a process of its own, ended in every way, and what is left of it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest
from click.testing import CliRunner

from mediation.cli import main
from mediation.embedded import EmbeddedServer, postmaster, running
from mediation.supervision import children
from mediation.supervision.children import Child
from mediation.supervision.errors import CannotRun
from tests.mediation.story import money, order
from workflows.states import TOKEN_ROLES

PATIENCE = 30.0  # seconds: far above what anything here takes
MEDIATION = [sys.executable, "-c", "from mediation.cli import main; main()"]
CLEAN = {
    name: value
    for name, value in os.environ.items()
    if name not in {"DATABASE_URL", "MEDIATION_HOME", "PORT", "HOST", "SANDBOX", "POLICY_FILE", "CLOCK_WORKERS"}
}


def wait_until(holds: Callable[[], object], what: str, output: Callable[[], str] = str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, (
            f"in {PATIENCE:.0f} s it did not happen that {what}; the output:\n{output()}"
        )
        time.sleep(0.05)


def lives(process: psutil.Process) -> bool:
    """A process that has ended may wait a while for init to take note of it; that is no life."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


class Up:
    """A running `mediation up`, its output kept in a file."""

    def __init__(self, home: Path, *options: str, env: dict[str, str] | None = None) -> None:
        self.home = home
        self._sink = tempfile.NamedTemporaryFile("w+", prefix="m-", suffix=".log")  # noqa: SIM115
        self.process = subprocess.Popen(
            [*MEDIATION, "up", "--home", str(home), *options],
            stdin=subprocess.DEVNULL,
            stdout=self._sink,
            stderr=subprocess.STDOUT,
            env=CLEAN | (env or {}),
            start_new_session=True,
        )
        self.family: list[psutil.Process] = []

    @property
    def output(self) -> str:
        return Path(self._sink.name).read_text()

    @property
    def address(self) -> str:
        found = re.search(r"answers at (http://\S+)", self.output)
        assert found, self.output
        return found.group(1)

    def until_ready(self) -> Up:
        wait_until(
            lambda: "Ctrl-C stops everything" in self.output or self.process.poll() is not None,
            "it was ready",
            lambda: self.output,
        )
        assert self.process.poll() is None, self.output
        self.note_family()
        return self

    def note_family(self) -> None:
        """Remember all children but PostgreSQL's, which have their own rules."""
        for process in psutil.Process(self.process.pid).children(recursive=True):
            # PostgreSQL's own come and go by the connection.
            with suppress(psutil.NoSuchProcess):
                if "postgres" not in process.name():
                    self.family.append(process)

    def child(self, module: str) -> psutil.Process:
        (found,) = [p for p in psutil.Process(self.process.pid).children() if module in p.cmdline()]
        return found

    def end(self, number: int) -> int:
        """What a terminal or a service manager does: a signal, to the whole group if it is Ctrl-C."""
        self.note_family()
        if number == signal.SIGINT:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            pytest.fail(f"it did not end; the output:\n{self.output}")

    def nothing_left(self) -> bool:
        return not any(lives(process) for process in self.family)

    def close(self) -> None:
        """Whatever the test did, nothing of it goes on."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._sink.close()


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="m-"))
    yield folder
    left = postmaster.find(folder / "postgres")
    if left is not None:
        postmaster.end(left)
    shutil.rmtree(folder)


@pytest.fixture
def start(home: Path) -> Iterator[Callable[..., Up]]:
    """Starts `mediation up`; all that were started are ended at the end of the test."""
    started: list[Up] = []

    def start_up(*options: str, home: Path = home, env: dict[str, str] | None = None) -> Up:
        started.append(Up(home, *(options or ("--port", "0")), env=env))
        return started[-1]

    yield start_up
    for each in started:
        each.close()


def postgres(home: Path) -> int | None:
    process = postmaster.find(home / "postgres")
    return None if process is None else int(process.pid)


def ask(home: Path, statement: str) -> object:
    url = EmbeddedServer(home).url().replace("+psycopg", "")
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement)
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


def answers(address: str, path: str = "/readyz") -> bool:
    try:
        return httpx.get(f"{address}{path}", trust_env=False, timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def test_it_answers_prints_what_is_needed_and_ends_without_a_trace_on_sigterm(
    home: Path, start: Callable[..., Up]
) -> None:
    up = start("--port", "0", "--demo").until_ready()
    assert answers(up.address, "/healthz")
    assert answers(up.address, "/readyz")
    tokens = dict(re.findall(r"^  (\w+) +\S+ +(ey\S+)$", up.output, re.MULTILINE))
    assert set(tokens) == {str(role) for role in TOKEN_ROLES}
    commands = re.findall(r"^  (curl .+)$", up.output, re.MULTILINE)
    assert len(commands) == 3
    assert all(up.address in command for command in commands)
    bearer = {"Authorization": f"Bearer {tokens['mediator']}"}
    cases = httpx.get(f"{up.address}/v1/cases", headers=bearer, trust_env=False)
    assert cases.status_code == 200, cases.text
    assert cases.json()["items"], "--demo put no case on file"

    assert up.end(signal.SIGTERM) == 0, up.output
    assert up.nothing_left(), up.output
    assert postgres(home) is None, up.output


def test_the_worker_fires_what_falls_due_and_a_sandbox_brings_it_forward(home: Path, start: Callable[..., Up]) -> None:
    """Nobody lifts a finger but to open the case and to let the time pass."""
    up = start(env={"SANDBOX": "1"}).until_ready()
    tokens = dict(re.findall(r"^  (\w+) +\S+ +(ey\S+)$", up.output, re.MULTILINE))

    def call(who: str, method: str, path: str, body: object = None) -> httpx.Response:
        headers = {"Authorization": f"Bearer {tokens[who]}"}
        return httpx.request(method, f"{up.address}/v1{path}", json=body, headers=headers, trust_env=False, timeout=60)

    line = {
        "line_id": "1",
        "reason": "not_shipped",
        "request": "refund_only",
        "amount": money(12_900),
        "statement": "?",
    }
    parties = {"buyer": {"id": "b-1"}, "seller": {"id": "s-1"}}
    opened = call("platform", "POST", "/cases", {"order": order("UP-1"), **parties, "claims": [line]})
    assert opened.status_code == 201, opened.text
    case = f"/cases/{opened.json()['id']}"

    def state() -> str:
        return str(call("mediator", "GET", case).json()["state"])

    wait_until(lambda: state() == "seller_notified", "the worker told the seller", lambda: up.output)
    moved = call("admin", "POST", "/sandbox/clock", {"advance": "PT49H"})
    assert moved.status_code == 200, moved.text
    wait_until(lambda: state() == "refunded", "silence was taken for consent and paid", lambda: up.output)
    told = call("mediator", "GET", f"{case}/docket").json()["items"]
    assert [entry["type"] for entry in told] == ["open", "notify_seller", "agree", "settle_refund"]
    assert up.end(signal.SIGTERM) == 0, up.output


def test_killed_it_leaves_no_child_and_the_next_start_finds_its_data_and_ends_everything(
    home: Path, start: Callable[..., Up]
) -> None:
    first = start().until_ready()
    ask(home, "CREATE TABLE IF NOT EXISTS kept AS SELECT 'still here' AS word")
    port = first.address.rpartition(":")[2]
    server = postgres(home)
    began = time.monotonic()
    first.end(signal.SIGKILL)

    # At once and on the same port, where the API of the killed one may still be dying.
    second = start("--port", port)
    wait_until(first.nothing_left, "the children of the killed process were gone", lambda: first.output)
    assert time.monotonic() - began < 3
    second.until_ready()
    assert postgres(home) == server, "the server that goes on was not adopted"
    assert ask(home, "SELECT word FROM kept") == "still here"
    assert answers(second.address)

    assert second.end(signal.SIGINT) == 0, second.output
    assert second.nothing_left(), second.output
    assert postgres(home) is None, second.output


def test_all_of_it_killed_at_once_it_recovers(home: Path, start: Callable[..., Up]) -> None:
    first = start().until_ready()
    ask(home, "CREATE TABLE IF NOT EXISTS survived AS SELECT 'a crash' AS what")
    server = postmaster.find(home / "postgres")
    assert server is not None
    first.end(signal.SIGKILL)
    server.kill()
    second = start().until_ready()
    assert ask(home, "SELECT what FROM survived") == "a crash"
    assert second.end(signal.SIGTERM) == 0, second.output
    assert postgres(home) is None


def test_each_part_that_dies_is_started_again_and_the_home_and_port_stay_its_own(
    home: Path, start: Callable[..., Up]
) -> None:
    up = start().until_ready()
    again = start()
    assert again.process.wait(PATIENCE) == 1
    assert f"already running as pid {up.process.pid}" in again.output

    worker, api, server = up.child("mediation.worker"), up.child("mediation.serve"), postmaster.find(home / "postgres")
    assert server is not None
    worker.kill()
    wait_until(lambda: up.output.count('"child":"worker"') >= 3, "the worker was started again", lambda: up.output)
    api.kill()
    wait_until(lambda: "API" in up.output.partition("child_died")[2], "the API's death was said", lambda: up.output)
    wait_until(lambda: answers(up.address), "the API answered again", lambda: up.output)
    server.kill()
    wait_until(lambda: "postgresql_recovered" in up.output, "PostgreSQL was started again", lambda: up.output)
    wait_until(lambda: answers(up.address), "the API answered again", lambda: up.output)

    assert up.end(signal.SIGTERM) == 0, up.output
    assert up.nothing_left(), "a child of the API that was killed lives on"
    assert postgres(home) is None


def test_a_port_that_is_taken_is_named_with_the_way_out(home: Path, start: Callable[..., Up]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        up = start("--port", port)
        assert up.process.wait(PATIENCE) == 1
        assert re.search(rf"Error: Port {port} .* is taken.*--port", up.output)
    assert postgres(home) is None


@pytest.mark.parametrize("text", [None, "rows = [", "name = '\ud800'"], ids=["not there", "not TOML", "not UTF-8"])
def test_a_policy_file_that_cannot_be_used_is_told_in_one_line_before_anything_is_served(
    home: Path, start: Callable[..., Up], tmp_path: Path, text: str | None
) -> None:
    file = tmp_path / "rules.toml"
    if text is not None:
        file.write_bytes(text.encode(errors="surrogatepass"))
    up = start(env={"POLICY_FILE": str(file)})
    assert up.process.wait(PATIENCE) == 2, up.output
    assert up.output.splitlines()[-1].startswith(f"Error: POLICY_FILE: {file}"), up.output
    assert "Traceback" not in up.output
    assert "child_started" not in up.output
    assert postgres(home) is None


def test_with_a_database_url_nothing_embedded_starts(home: Path, start: Callable[..., Up]) -> None:
    elsewhere = Path(tempfile.mkdtemp(prefix="m-"))
    try:
        with running(home) as server:
            url = server.url().replace("+psycopg", "")
            up = start("--port", "0", home=elsewhere, env={"DATABASE_URL": url}).until_ready()
            assert answers(up.address)
            assert not (elsewhere / "postgres").exists()
            assert up.end(signal.SIGTERM) == 0, up.output
            assert postgres(home) is not None, "somebody else's server was stopped"
            up.close()
    finally:
        shutil.rmtree(elsewhere)


def test_a_child_that_keeps_dying_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "FIRST_PAUSE", 0.01)
    child = Child("worker", "mediation.no_such_module", os.environ)
    child.start()
    deadline = time.monotonic() + PATIENCE
    with pytest.raises(CannotRun, match="worker died 5 times"):
        while time.monotonic() < deadline:
            child.tend()
            time.sleep(0.01)


@pytest.mark.parametrize(
    ("env", "code", "said"),
    [
        ({"PORT": "many"}, 2, "PORT"),
        ({"SANDBOX": "maybe"}, 2, "SANDBOX"),
        ({"CLOCK_WORKERS": "0"}, 2, "CLOCK_WORKERS"),
        ({"DATABASE_URL": "mysql://x"}, 2, "DATABASE_URL: must be a postgresql:// URL"),
        ({"MEDIATION_HOME": "/dev/null/home"}, 2, "MEDIATION_HOME: the folder /dev/null/home cannot be used"),
        ({"TOKEN_KEY": "/dev/null/key", "PORT": "0"}, 2, "TOKEN_KEY: /dev/null/key cannot be used"),
        ({"HOST": "192.0.2.1", "PORT": "0"}, 2, "HOST: cannot listen on 192.0.2.1"),
        ({"DATABASE_URL": "postgresql://me:secret@127.0.0.1:1/x", "PORT": "0"}, 1, "The database cannot be prepared"),
    ],
)
def test_what_cannot_be_is_told_without_a_trace(env: dict[str, str], code: int, said: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [*MEDIATION, "up"],
        env=CLEAN | env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert done.stderr.splitlines()[-1].startswith("Error: ")
    assert "Traceback" not in done.stderr
    assert "secret" not in done.stderr


def test_a_token_is_printed_for_roles_that_have_one_and_no_others(home: Path) -> None:
    def token(role: str) -> list[str]:
        return ["token", "--role", role, "--subject", "kim", "--home", str(home)]

    printed = CliRunner().invoke(main, token("mediator"))
    assert printed.exit_code == 0, printed.output
    assert printed.output.count(".") == 2
    for role in ("clock", "gateway", "system", "king"):
        assert CliRunner().invoke(main, token(role)).exit_code == 2


def test_the_schema_goes_up_and_down_from_the_command_line(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)

    def db(*words: str) -> str:
        result = CliRunner().invoke(main, ["db", *words, "--home", str(home)])
        assert result.exit_code == 0, result.output
        return result.output

    with running(home):
        assert "up to date" in db("upgrade")
        assert "needs" in db("downgrade", "base", "--yes")
        assert "needs" in db("current")
        assert "up to date" in db("upgrade")
