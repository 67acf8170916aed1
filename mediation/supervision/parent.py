"""Ending with one's parent, however that one ended."""

from __future__ import annotations

import os
import signal
import threading
import time

#: Set by whoever starts the process. It is no setting of the deployment but a word from a parent to its child, and
#: only the parent can say it without a race: a child that asks for its parent's pid may already be an orphan.
VARIABLE = "MEDIATION_PARENT_PID"
LOOK_AGAIN = 0.2  # seconds
GRACE = 0.7  # seconds to finish what is under way


def die_with_parent() -> None:
    """From now on end this process within about a second of its parent, first politely.

    To be called at the start of each process that is started by ours, also in those that a server forks or spawns.
    Does nothing in a process started by hand or by a service manager.
    """
    parent = os.environ.get(VARIABLE)
    if parent is not None:
        threading.Thread(target=_watch, args=(int(parent),), name="die-with-parent", daemon=True).start()


def claim_children() -> None:
    """Make this process the one whose end the children it starts from now on shall share."""
    os.environ[VARIABLE] = str(os.getpid())


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_AGAIN)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os._exit(1)
