"""One `mediation up` to a home."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mediation.settings import BadSetting
from mediation.supervision.errors import CannotRun


@contextmanager
def exclusive(home: Path) -> Iterator[bool]:
    """Have the home to ourselves; yields whether the run before this one was killed.

    The kernel drops the lock with our process, so a killed run locks nobody out. Raises CannotRun naming the pid
    of the process that has the home, BadSetting if the home cannot be used.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
        file = (home / "lock").open("a+")
    except OSError as error:
        raise BadSetting(f"MEDIATION_HOME: the folder {home} cannot be used: {error.strerror}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            pid = file.read().strip() or "unknown"
            raise CannotRun(
                f"mediation is already running as pid {pid} on {home}. Stop it first, or name another --home."
            ) from error
        file.seek(0)
        was_killed = bool(file.read().strip())
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        try:
            yield was_killed
        finally:
            file.truncate(0)
