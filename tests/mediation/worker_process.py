"""The worker as a process of its own: the real one, or one that sends a single refund and dies at a set moment.

`python -m tests.mediation.worker_process MOMENT REFUND` is the dying one. The moments are made by wrapping what the
application calls there; the application itself knows nothing of them.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

PATIENCE = 20.0  # seconds: far above what anything here takes
ROOT = Path(__file__).parents[2]
SECRET = "whsec_" + "c2VjcmV0LW9mLXRoZS1nYXRld2F5LWluLXRlc3Rz"
#: Tries follow each other quickly, and the gateway's lateness (1 s) is more than our patience.
QUICK = {"GATEWAY_TIMEOUT_SECONDS": "0.6", "REFUND_RETRY_PAUSE_SECONDS": "0.2"}
_FOREIGN = ("DATABASE_URL", "MEDIATION_", "GATEWAY", "REFUND_", "LOG_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


def environment(database: str, home: Path, **more: str) -> dict[str, str]:
    """Nothing of the surroundings but what a process needs, and the settings of the test."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(_FOREIGN)}
    return {**kept, **QUICK, "DATABASE_URL": database, "MEDIATION_HOME": str(home), **more}


def wait_until(holds: Callable[[], Any], what: str, output: Callable[[], str] = str, patience: float = PATIENCE) -> Any:
    """What `holds` answers once it is true; a failure that says what did not happen."""
    until = time.monotonic() + patience
    while not (found := holds()):
        assert time.monotonic() < until, f"in {patience:.0f} s it did not happen that {what}; the output:\n{output()}"
        time.sleep(0.05)
    return found


class WorkerProcess:
    """A worker that a test started, with its output in a file."""

    def __init__(self, env: dict[str, str], *command: str) -> None:
        self._sink = tempfile.TemporaryFile("w+b")  # noqa: SIM115 - closed by close()
        self.process = subprocess.Popen(
            [sys.executable, *(command or ("-m", "mediation.worker"))],
            cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=self._sink, stderr=subprocess.STDOUT,
        )  # fmt: skip

    @classmethod
    def dying(cls, env: dict[str, str], moment: str, refund: str) -> WorkerProcess:
        return cls(env, "-m", "tests.mediation.worker_process", moment, refund)

    @property
    def output(self) -> str:
        return os.pread(self._sink.fileno(), 10_000_000, 0).decode()

    def until_started(self) -> WorkerProcess:
        wait_until(
            lambda: "worker_started" in self.output or self.process.poll() is not None,
            "it started",
            lambda: self.output,
        )
        assert self.process.poll() is None, self.output
        return self

    def ended(self) -> int:
        """Its exit code, once it has ended by itself."""
        wait_until(lambda: self.process.poll() is not None, "it ended", lambda: self.output)
        return int(self.process.returncode)

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.ended()

    def close(self) -> None:
        """Whatever the test did, nothing of it goes on."""
        if self.process.poll() is None:
            self.kill()
        self._sink.close()


# --- the dying one ------------------------------------------------------------------------------------------------


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


def _dies_before(holder: Any, name: str) -> None:
    setattr(holder, name, lambda *args, **kwargs: _die())


def _dies_after(holder: Any, name: str) -> None:
    inner = getattr(holder, name)

    def call(*args: Any, **kwargs: Any) -> None:
        inner(*args, **kwargs)
        _die()

    setattr(holder, name, call)


def moments() -> dict[str, Callable[[], None]]:
    """How to die at each moment of a try."""
    import httpx

    from mediation import gateways, paying
    from mediation.operations import ledger, refunds

    return {
        "before the claim is committed": lambda: _dies_after(refunds, "claim"),
        "after the claim is committed": lambda: _dies_before(gateways.HttpGateway, "pay"),
        "before the request is sent": lambda: _dies_before(httpx.Client, "stream"),
        "after the answer, before it is applied": lambda: _dies_before(paying, "_apply"),
        "while it is applied, before the commit": lambda: _dies_after(refunds, "settle"),
        "after the commit": lambda: _dies_after(paying, "_apply"),
        "while the ledger is written, before the commit": lambda: _dies_after(ledger, "enter"),
        "after the ledger is committed": lambda: _dies_before(paying, "_apply"),
        "never": lambda: None,
    }


MOMENTS = (
    "before the claim is committed",
    "after the claim is committed",
    "before the request is sent",
    "after the answer, before it is applied",
    "while it is applied, before the commit",
    "after the commit",
)
LEDGER_MOMENTS = (
    "before the claim is committed",
    "while the ledger is written, before the commit",
    "while it is applied, before the commit",
    "after the ledger is committed",
)


def main() -> None:
    from mediation import paying
    from mediation.gateways import gateway_of
    from mediation.services import build
    from mediation.settings import load

    moment, refund = sys.argv[1:]
    settings = load()
    services = build(settings)
    moments()[moment]()
    paying.pay(services, gateway_of(settings), uuid.UUID(refund))


if __name__ == "__main__":
    main()
