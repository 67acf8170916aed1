"""The embedded PostgreSQL: started, found again, adopted after a SIGKILL, never mistaken for another process."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import sqlalchemy as sa

from mediation.embedded import EmbeddedServer, EmbeddedServerError, postmaster, running, sockets
from mediation.embedded.accounts import Account, account_for

PATIENCE = 15.0  # seconds


@pytest.fixture
def empty_home() -> Iterator[Path]:
    """A short folder of our own; whatever server is left on it at the end is stopped."""
    folder = Path(tempfile.mkdtemp(prefix="m-"))
    yield folder
    for data in folder.glob("**/postgres"):
        left = postmaster.find(data)
        if left is not None:
            postmaster.end(left)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    """Data made once; making them takes a second, moving them nothing."""
    folder = Path(tempfile.mkdtemp(prefix="m-"))
    make_data(folder)
    yield folder / "postgres"
    shutil.rmtree(folder)


@pytest.fixture
def home(empty_home: Path, made: Path) -> Iterator[Path]:
    """A home with data in it, whose server is not running."""
    made.rename(empty_home / "postgres")
    yield empty_home
    (data,) = empty_home.glob("**/postgres")
    left = postmaster.find(data)
    if left is not None:
        postmaster.end(left)
    data.rename(made)


def run_sql(server: EmbeddedServer, statement: str) -> object:
    engine = sa.create_engine(server.url(), poolclass=sa.NullPool)
    with engine.begin() as connection:
        result = connection.execute(sa.text(statement))
        return result.scalar() if result.returns_rows else None


def server_pid(home: Path) -> int | None:
    process = postmaster.find(home / "postgres")
    return None if process is None else int(process.pid)


def hold_in_another_process(home: Path) -> subprocess.Popen[str]:
    """A process that holds the server until its input ends."""
    program = (
        "import pathlib, sys\n"
        "from mediation.embedded import running\n"
        "with running(pathlib.Path(sys.argv[1]), durable=False):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    said = []
    while not said or said[-1] != "held\n":
        said.append(holder.stdout.readline())
        assert said[-1], f"the other process did not start the server: {said}"
    return holder


def finish(holder: subprocess.Popen[str]) -> None:
    holder.communicate(timeout=PATIENCE)


def as_account(account: Account, act: Callable[[], None]) -> int:
    """Do something in a forked process of that account; an interpreter in root's own folder could not be started."""
    with warnings.catch_warnings():
        # Later Pythons warn of forking beside threads; the child takes none of their locks.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    code = 1
    try:
        os.setgroups([])
        os.setgid(account.gid)
        os.setuid(account.uid)
        act()
        code = 0
    finally:
        if code:
            traceback.print_exc()
        os._exit(code)


def make_data(home: Path) -> None:
    with running(home, durable=False):
        pass


def test_a_second_start_finds_the_data_of_the_first(empty_home: Path) -> None:
    with running(empty_home, durable=False) as server:
        run_sql(server, "CREATE TABLE kept (word text)")
        run_sql(server, "INSERT INTO kept VALUES ('明天发货')")
    assert server_pid(empty_home) is None, "the last holder left, and the server still runs"
    with running(empty_home, durable=False) as server:
        assert run_sql(server, "SELECT word FROM kept") == "明天发货"


def test_the_server_listens_on_no_tcp_port(home: Path) -> None:
    with running(home, durable=False) as server:
        assert run_sql(server, "SHOW listen_addresses") == ""
        process = postmaster.find(server.data)
        assert process is not None
        assert [c for c in process.net_connections() if c.status == psutil.CONN_LISTEN] == []


def test_texts_sort_the_same_on_every_machine(home: Path) -> None:
    with running(home, durable=False) as server:
        provider = "SELECT datlocprovider::text || datlocale FROM pg_database WHERE datname = 'mediation'"
        assert run_sql(server, provider) == "bC.UTF-8"


def test_the_last_holder_of_several_stops_the_server(home: Path) -> None:
    first, second = EmbeddedServer(home, durable=False), EmbeddedServer(home, durable=False)
    first.start()
    pid = server_pid(home)
    second.start()
    first.stop()
    first.stop()
    assert server_pid(home) == pid, "the server went while it was held"
    second.stop()
    assert server_pid(home) is None


def test_a_killed_holder_leaves_a_server_that_the_next_one_adopts_and_stops(home: Path) -> None:
    holder = hold_in_another_process(home)
    pid = server_pid(home)
    holder.kill()
    finish(holder)
    assert server_pid(home) == pid, "the server died with its holder"
    with running(home, durable=False):
        assert server_pid(home) == pid, "the running server was not adopted"
    assert server_pid(home) is None


def test_a_living_holder_in_another_process_keeps_the_server(home: Path) -> None:
    holder = hold_in_another_process(home)
    with running(home, durable=False):
        pass
    assert server_pid(home) is not None
    finish(holder)
    assert server_pid(home) is None


def test_a_killed_server_recovers_at_the_next_start(home: Path) -> None:
    with running(home) as server:
        run_sql(server, "CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n")
        process = postmaster.find(server.data)
        assert process is not None
        process.send_signal(signal.SIGKILL)
        process.wait(PATIENCE)
        assert not server.alive
        server.start()
        assert run_sql(server, "SELECT count(*) FROM kept") == 1000


def test_a_pid_file_that_names_another_process_is_not_believed(home: Path) -> None:
    make_data(home)
    data = home / "postgres"
    account = account_for(data)
    # The stranger runs under the server's own account: only then does PostgreSQL take it for itself.
    identity = {"user": account.uid, "group": account.gid} if os.geteuid() == 0 else {}
    stranger = subprocess.Popen(["sleep", "60"], cwd="/", **identity)
    try:
        lines = f"{stranger.pid}\n{data}\n1\n5432\n{data}\n\n\nready\n"
        (data / "postmaster.pid").write_text(lines)
        (data / f"{sockets.SOCKET_FILE}.lock").write_text(lines)
        assert postmaster.find(data) is None
        with running(home, durable=False) as server:
            assert server_pid(home) not in {None, stranger.pid}
            assert run_sql(server, "SELECT 1") == 1
        assert stranger.poll() is None, "a process that is none of ours was ended"
    finally:
        stranger.kill()
        stranger.wait()


@pytest.mark.parametrize("left", ["", "garbage", "999999999\n"])
def test_a_pid_file_cut_short_by_a_crash_does_not_stop_the_start(home: Path, left: str) -> None:
    make_data(home)
    (home / "postgres" / "postmaster.pid").write_text(left)
    with running(home, durable=False) as server:
        assert run_sql(server, "SELECT 1") == 1


def test_an_initdb_that_was_killed_leaves_nothing_to_trip_over(empty_home: Path) -> None:
    (empty_home / "postgres.new").mkdir()
    (empty_home / "postgres.new" / "PG_VERSION").write_text("18\n")
    with running(empty_home, durable=False) as server:
        assert run_sql(server, "SELECT 1") == 1


@pytest.mark.parametrize("name", ["d" * 150, "comma, dollar $x and 'quotes'", "空 格"])
def test_a_home_deep_or_strange_is_served_all_the_same(home: Path, name: str) -> None:
    deep = home / name
    deep.mkdir()
    (home / "postgres").rename(deep / "postgres")
    with running(deep, durable=False) as server:
        assert run_sql(server, "SELECT current_database()") == "mediation"
        folder = sockets.socket_folder(server.data)
    if folder != server.data:
        assert folder.stat().st_mode & 0o077 == 0
        folder.rmdir()


def test_a_socket_folder_that_others_could_enter_is_refused(home: Path) -> None:
    deep = home / ("d" * 150)
    deep.mkdir()
    (home / "postgres").rename(deep / "postgres")
    make_data(deep)
    folder = sockets.socket_folder(EmbeddedServer(deep).data)
    folder.chmod(0o777)
    with pytest.raises(EmbeddedServerError, match="not private"):
        make_data(deep)
    folder.rmdir()


def test_data_of_another_major_version_are_named_and_left_alone(home: Path) -> None:
    make_data(home)
    version = home / "postgres" / "PG_VERSION"
    ours = version.read_text()
    version.write_text("15\n")
    with pytest.raises(EmbeddedServerError, match=r"are of PostgreSQL 15.*DATABASE_URL"):
        make_data(home)
    version.write_text(ours)


def test_a_folder_that_holds_something_else_is_refused(empty_home: Path) -> None:
    (empty_home / "postgres").mkdir()
    (empty_home / "postgres" / "letters.txt").write_text("mine")
    with pytest.raises(EmbeddedServerError, match="neither empty nor a PostgreSQL data folder"):
        make_data(empty_home)


def test_a_home_that_cannot_be_a_folder_is_named_with_a_way_out(empty_home: Path) -> None:
    (empty_home / "file").write_text("")
    with pytest.raises(EmbeddedServerError, match=r"file.*--home or MEDIATION_HOME"):
        make_data(empty_home / "file" / "home")


def test_what_postgresql_said_is_in_the_error_when_it_does_not_start(home: Path) -> None:
    make_data(home)
    settings = home / "postgres" / "postgresql.conf"
    ours = settings.read_text()
    settings.write_text(ours + "no_such_setting = 1\n")
    with pytest.raises(EmbeddedServerError, match="no_such_setting"):
        make_data(home)
    settings.write_text(ours)


@pytest.mark.parametrize("seconds", [0.002, 0.01, 0.02, 0.04, 0.06])
def test_a_start_interrupted_at_any_moment_leaves_no_server(home: Path, seconds: float) -> None:
    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            signal.setitimer(signal.ITIMER_REAL, seconds)
            with running(home, durable=False):
                time.sleep(PATIENCE)
    finally:
        signal.signal(signal.SIGALRM, before)
    data = str(home / "postgres")
    assert not [p for p in psutil.process_iter(["cmdline"]) if data in (p.info["cmdline"] or [])]


def test_two_starts_at_the_same_moment_share_one_server(empty_home: Path) -> None:
    holders = [
        subprocess.Popen(
            [
                sys.executable,
                "-c",
                "import pathlib, sys, time\n"
                "from mediation.embedded import running\n"
                "with running(pathlib.Path(sys.argv[1]), durable=False): time.sleep(0.5)\n",
                str(empty_home),
            ]
        )
        for _ in range(3)
    ]
    assert [holder.wait(PATIENCE) for holder in holders] == [0, 0, 0]
    deadline = time.monotonic() + PATIENCE
    while server_pid(empty_home) is not None:
        assert time.monotonic() < deadline, "the last of the holders left the server behind"
        time.sleep(0.05)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_as_root_only_the_right_to_pass_is_added_to_folders_above(empty_home: Path) -> None:
    empty_home.chmod(0o700)
    make_data(empty_home)
    assert empty_home.stat().st_mode & 0o777 == 0o701


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_an_ordinary_user_serves_a_home_of_its_own_and_root_serves_it_as_that_user(empty_home: Path) -> None:
    empty_home.chmod(0o755)
    own = empty_home / "own"
    own.mkdir()
    account = account_for(empty_home / "none")
    os.chown(own, account.uid, account.gid)
    assert as_account(account, lambda: make_data(own)) == 0
    with running(own, durable=False) as server:
        process = postmaster.find(server.data)
        assert process is not None
        assert process.uids().real == account.uid
