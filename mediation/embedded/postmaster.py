"""The server's process: finding it, knowing it from others, starting and ending it.

A postmaster is known by its command line, never by a number in a file alone: after a crash of the machine, or in a
container started anew, that number may belong to anyone.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypedDict

import psutil  # type: ignore[import-untyped]
import structlog

from mediation.embedded.accounts import Account
from mediation.embedded.errors import EmbeddedServerError
from mediation.embedded.sockets import PORT, SOCKET_FILE
from mediation.embedded.wheel import PROGRAMS

log = structlog.get_logger(__name__)

LOOK_AGAIN = 0.05  # seconds
SAY_AGAIN = 5.0  # seconds between two words about a long wait
FAST_STOP, IMMEDIATE_STOP = 60.0, 30.0  # seconds


class _AsAccount(TypedDict, total=False):
    cwd: str
    env: Mapping[str, str]
    user: int
    group: int
    extra_groups: Sequence[int]


def _as_account(account: Account) -> _AsAccount:
    # PG* variables are meant for somebody's client, and our working folder may be closed to the account.
    env = {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"LC_ALL": "C"}
    if os.geteuid() != 0:
        return {"cwd": "/", "env": env}
    return {"cwd": "/", "env": env, "user": account.uid, "group": account.gid, "extra_groups": []}


def run(program: str, *arguments: str, account: Account) -> None:
    """Run one of PostgreSQL's programs to its end. Raises EmbeddedServerError with what it said if it fails."""
    # In a session of its own, so that a Ctrl-C at the terminal does not tear it.
    done = subprocess.run(  # noqa: S603
        [PROGRAMS / program, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        start_new_session=True,
        **_as_account(account),
    )
    if done.returncode != 0:
        raise EmbeddedServerError(f"PostgreSQL's {program} failed:\n{done.stdout.strip()}")


def status(data: Path) -> str:
    """What the postmaster last said of itself: starting, ready, stopping; `absent` without its pid file."""
    lines = _pid_file(data)
    if not lines:
        return "absent"
    return lines[7].strip() if len(lines) > 7 else "starting"


def _pid_file(data: Path) -> list[str]:
    # Its lines: pid, data, start, port, socket folder, address, shared memory, status.
    try:
        return (data / "postmaster.pid").read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return []


def find(data: Path) -> psutil.Process | None:
    """The postmaster running on this data folder, if one is."""
    lines = _pid_file(data)
    if not lines or not lines[0].strip().isdigit():
        return None
    try:
        process = psutil.Process(int(lines[0]))
        return process if _serves(process.cmdline(), data) else None
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None


def _serves(command: list[str], data: Path) -> bool:
    if not command or Path(command[0]).name != "postgres" or "-D" not in command[:-1]:
        return False
    try:
        return Path(command[command.index("-D") + 1]).samefile(data)
    except OSError:
        # Gone, or somebody else's and closed to us: in both cases not the folder we were asked for.
        return False


def spawn(data: Path, sockets: Path, settings: Mapping[str, str], sink: Path, account: Account) -> psutil.Process:
    """Start a postmaster that outlives us, its words appended to the file `sink`.

    Returns when it can be found, and so be stopped, by anyone; it may still have to recover before it serves.
    """
    _drop_stale_locks(data, sockets)
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    places = ["-D", str(data), "-h", "", "-p", str(PORT), "-k", str(sockets)]
    with sink.open("ab") as output:
        # In a session of its own, so that a Ctrl-C at the terminal does not stop it before its clients.
        child = subprocess.Popen(  # noqa: S603
            [PROGRAMS / "postgres", *places, *options],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            **_as_account(account),
        )
    # Somebody must take note of the child's end at any time, or its entry stays in the process table.
    process = psutil.Process(child.pid)
    threading.Thread(target=child.wait, name="postmaster-reaper", daemon=True).start()
    while find(data) is None and _alive(process):
        time.sleep(LOOK_AGAIN / 5)
    return process


def _drop_stale_locks(data: Path, sockets: Path) -> None:
    """Remove lock files cut short by a crash, or naming a living process which is not a server of this data.

    PostgreSQL would believe both: it asks only whether a process of its own user has that number. Against a server
    that does run on the same data, its shared memory, found by the data folder's inode, still stands guard.
    """
    for lock in (data / "postmaster.pid", sockets / f"{SOCKET_FILE}.lock"):
        if lock.exists():
            pid = lock.read_text(errors="replace").partition("\n")[0].strip()
            if not pid.isdigit() or psutil.pid_exists(int(pid)):
                log.warning("stale_lock_removed", file=str(lock), pid=pid)
                lock.unlink()


def await_ready(process: psutil.Process, data: Path, sink: Path, heard: int) -> None:
    """Wait until the postmaster takes connections: however long, for recovery after a crash takes what it takes.

    Raises EmbeddedServerError with what it wrote to `sink` after byte `heard`, if it ends instead.
    """
    began = said = time.monotonic()
    while status(data) != "ready" or _pid_file(data)[0].strip() != str(process.pid):
        if not _alive(process):
            words = sink.read_bytes()[heard:].decode(errors="replace").strip()
            raise EmbeddedServerError(f"PostgreSQL did not start. It wrote to {sink}:\n{words[-2000:]}")
        if time.monotonic() - said > SAY_AGAIN:
            said = time.monotonic()
            log.info("waiting_for_postgresql", pid=process.pid, seconds=round(said - began))
        time.sleep(LOOK_AGAIN)


def _alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def end(process: psutil.Process) -> None:
    """Stop a postmaster: at once for its clients, cleanly for its data; without a clean end only if it hangs.

    An immediate stop loses nothing that was committed, the next start recovers it.
    Raises EmbeddedServerError if even that does not end it.
    """
    for number, patience in ((signal.SIGINT, FAST_STOP), (signal.SIGQUIT, IMMEDIATE_STOP)):
        try:
            process.send_signal(number)  # psutil makes sure the number still belongs to the same process.
            process.wait(patience)
            return
        except psutil.NoSuchProcess:
            return
        except psutil.TimeoutExpired:
            log.warning("postgresql_does_not_stop", pid=process.pid, seconds=patience)
    raise EmbeddedServerError(f"PostgreSQL (pid {process.pid}) does not stop; see what its log says.")
