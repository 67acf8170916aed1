"""Clocks as processes of their own: many that fire what is due and are replaced when they die, or one that dies.

`python -m tests.mediation.clock_process WORKERS` keeps so many processes firing until SIGTERM, and prints the number of
each that it starts. They are forked from one that has imported everything, so that a new one costs next to nothing.

`python -m tests.mediation.clock_process MOMENT CASE` fires what is due on one case and dies at that moment. As in
worker_process, the application itself knows nothing of the moments.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
import uuid
from collections.abc import Callable
from datetime import datetime
from types import FrameType
from typing import NoReturn

from sqlalchemy import event
from sqlalchemy.orm import Session

from mediation import clock, docket, logs
from mediation.models import Case
from mediation.operations import firing
from mediation.services import build, no_hint
from mediation.settings import load
from mediation.supervision.parent import claim_children, die_with_parent
from tests.mediation.worker_process import WorkerProcess, _die, _dies_after, wait_until

IDLE_SECONDS = 0.05


class Clocks(WorkerProcess):
    """Processes that fire deadlines, with a parent that replaces each one that dies."""

    def __init__(self, env: dict[str, str], workers: int) -> None:
        super().__init__(env, "-m", "tests.mediation.clock_process", str(workers))
        self._workers = workers

    @property
    def started(self) -> list[int]:
        """The number of every process so far, in the order of their start; the last ones are alive."""
        return [int(line.split()[1]) for line in self.output.splitlines() if line.startswith("started ")]

    @property
    def alive(self) -> list[int]:
        """The processes that work now."""
        ended = {int(line.split()[1]) for line in self.output.splitlines() if line.startswith("ended ")}
        return [number for number in self.started if number not in ended]

    def until_all_work(self) -> Clocks:
        """Itself, once as many as wanted were started."""
        wait_until(lambda: len(self.started) >= self._workers, "all were started", lambda: self.output)
        return self


# --- many --------------------------------------------------------------------------------------------------------


class _Stop:
    """Whether somebody asked for the end."""

    def __init__(self) -> None:
        self.asked = False
        signal.signal(signal.SIGTERM, self._ask)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = True


def _work() -> None:
    """Fire what is due until asked to stop."""
    stop = _Stop()
    die_with_parent()
    services = build(load(), hint=no_hint)
    while not stop.asked:
        if not clock.fire_next(services):
            time.sleep(IDLE_SECONDS)
    services.engine.dispose()


def _fork() -> int:
    number = os.fork()
    if number == 0:
        _leave_after(_work)
    _tell("started", number)
    return number


def _leave_after(work: Callable[[], None]) -> NoReturn:
    """Work and end this process there, so that nothing goes on in it that its parent had under way."""
    code = 1
    try:
        work()
        code = 0
    except Exception:
        traceback.print_exc()
        raise
    finally:
        os._exit(code)


def _tell(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def _keep(workers: int) -> None:
    stop = _Stop()
    claim_children()
    alive = {_fork() for _ in range(workers)}
    while alive:
        if stop.asked:
            for number in alive:
                os.kill(number, signal.SIGTERM)
        time.sleep(0.005)
        ended, _ = os.waitpid(-1, os.WNOHANG)
        if ended:
            alive.discard(ended)
            _tell("ended", ended)
            if not stop.asked:
                alive.add(_fork())


# --- one that dies -----------------------------------------------------------------------------------------------


def _dies_when(what: str) -> None:
    event.listen(Session, what, lambda session: _die())


def moments() -> dict[str, Callable[[], None]]:
    """How to die at each moment of a firing."""
    return {
        "after the case is locked": lambda: _dies_after(docket, "lock_for_system"),
        "after it was fired": _dies_after_firing,
        "before the commit": lambda: _dies_after(clock, "_require_over"),
        "at the commit": lambda: _dies_when("before_commit"),
        "after the commit": lambda: _dies_when("after_commit"),
    }


MOMENTS = (
    "after the case is locked",
    "after it was fired",
    "before the commit",
    "at the commit",
    "after the commit",
)


def dying(env: dict[str, str], moment: str, case: str) -> WorkerProcess:
    """A process that fires what is due on the case and dies at the moment."""
    return WorkerProcess(env, "-m", "tests.mediation.clock_process", moment, case)


def _dies_after_firing() -> None:
    def and_dies(fire: firing.Fire) -> firing.Fire:
        def fires_and_dies(session: Session, case: Case, now: datetime) -> None:
            fire(session, case, now)
            session.flush()
            _die()

        return fires_and_dies

    firing.FIRES.update({name: and_dies(fire) for name, fire in firing.FIRES.items()})


def _fire_and_die(moment: str, case: str) -> None:
    services = build(load(), hint=no_hint)
    moments()[moment]()
    clock.fire_case(services, uuid.UUID(case))


def main() -> None:
    logs.configure(load())
    if len(sys.argv) == 2:
        _keep(int(sys.argv[1]))
    else:
        _fire_and_die(*sys.argv[1:])


if __name__ == "__main__":
    main()
