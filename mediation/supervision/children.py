"""A child process that is kept running."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog

from mediation.supervision.errors import CannotRun

log = structlog.get_logger(__name__)

QUICK = 10.0  # seconds: who dies sooner died of its start
QUICK_DEATHS = 5  # in a row; more pauses would not help
FIRST_PAUSE = 0.5  # seconds, doubled with every quick death


@dataclass
class Child:
    """One program of ours (`python -m module`), started again when it dies."""

    name: str
    module: str
    env: Mapping[str, str] = field(repr=False)
    _process: subprocess.Popen[bytes] | None = None
    _started: float = 0.0
    _quick_deaths: int = 0
    _due: float = 0.0

    def start(self) -> None:
        """Start it, in a process group of its own: Ctrl-C must reach it from us, in order, not from the terminal."""
        # -P keeps the working folder off the import path; a folder named mediation in it would be run instead.
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-P", "-m", self.module], stdin=subprocess.DEVNULL, env=dict(self.env), process_group=0
        )
        self._started = time.monotonic()
        log.info("child_started", child=self.name, pid=self._process.pid)

    def tend(self) -> None:
        """Start it again when it has died and its pause is over. Raises CannotRun after the fifth quick death."""
        now = time.monotonic()
        if self._process is None:
            if now >= self._due:
                self.start()
            return
        code = self._process.poll()
        if code is None:
            return
        self._process = None
        self._quick_deaths = self._quick_deaths + 1 if now - self._started < QUICK else 1
        pause = FIRST_PAUSE * 2 ** (self._quick_deaths - 1)
        self._due = now + pause
        if self._quick_deaths >= QUICK_DEATHS:
            log.error("child_given_up", child=self.name, exit_code=code, deaths=self._quick_deaths)
            raise CannotRun(
                f"The {self.name} died {self._quick_deaths} times right after its start; see the log above."
            )
        log.warning("child_died", child=self.name, exit_code=code, restart_in_seconds=pause)

    def stop(self, patience: float) -> None:
        """End it: politely, after `patience` seconds by force."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            code = self._process.wait(patience)
        except subprocess.TimeoutExpired:
            log.warning("child_killed", child=self.name, pid=self._process.pid, after_seconds=patience)
            self._process.kill()
            code = self._process.wait()
        log.info("child_stopped", child=self.name, exit_code=code)
        self._process = None
