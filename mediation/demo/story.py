"""What a story is: steps that people, the clock and time itself take, one after another, over one dispute."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from mediation.demo.client import Api
from mediation.demo.screen import Screen
from mediation.demo.script import Dispute

#: Who takes the steps that nobody takes: the clock of the deployment, and days that go by, which takes a sandbox.
CLOCK, TIME = "clock", "time"


def _order_id() -> str:
    return f"DEMO-{datetime.now(UTC):%Y%m%d}-{secrets.token_hex(4)}"


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class Play:
    """What is known while a story runs. `patience` is in seconds: how long a worker is waited for.

    `now` is the time of cases as it was last told; only a story that lets days go by asks for it.
    """

    api: Api
    script: Dispute
    screen: Screen
    patience: float
    order_id: str = field(default_factory=_order_id)
    now: datetime = field(default_factory=_now)
    case: dict[str, Any] = field(default_factory=dict)
    exhibit: dict[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """The address of the case, under /v1."""
        return f"/cases/{self.case['id']}"

    def look(self) -> None:
        """Read the case anew: the clock may have moved it."""
        self.case = self.api.call("buyer", "GET", self.path)

    def show_case(self, more: str = "") -> None:
        """Tell how the case stands."""
        waits = self.case["waiting_on"]
        on = f"waits on {'both sides' if waits == 'both' else f'the {waits}'}" if waits else "waits on nobody"
        legs = f"; still to do: {', then '.join(self.case['legs'])}" if len(self.case["legs"]) > 1 else ""
        self.screen.came_back(f"{self.case['state']}, {on}{legs}{more}")


Act = Callable[[Play, str], None]


def _always(play: Play) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Step:
    """Who does what. `leads_to` are the states the case may be in afterwards (none: not looked at)."""

    who: str
    does: str
    act: Act
    leads_to: tuple[str, ...] = ()
    when: Callable[[Play], bool] = _always


@dataclass(frozen=True, slots=True)
class Story:
    """A story that can be played by its name. `about` says in one line what it shows."""

    name: str
    about: str
    dispute: Callable[[datetime], Dispute]
    steps: tuple[Step, ...]

    @property
    def needs_sandbox(self) -> bool:
        """Whether days go by in it, which nobody would wait for."""
        return any(step.who == TIME for step in self.steps)
