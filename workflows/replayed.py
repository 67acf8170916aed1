"""What a docket that is told once more consists of, and the case and its deadlines as they follow from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from workflows.consequences import UNKNOWN

OPENED = "open"
#: What a case is when it is opened, by the names of its attributes.
AT_FIRST: dict[str, Any] = {
    "assignee": None,
    "level": 0,
    "escalation_reason": None,
    "outcome": None,
    "legs": [],
    "offers_made": 0,
    "open_offer_by": None,
    "counter_offers_buyer": 0,
    "counter_offers_seller": 0,
    "pending_decision_by": None,
    "decisions_issued": 0,
    "decided_by": None,
    "approved_by": None,
    "accepted_by_buyer": False,
    "accepted_by_seller": False,
    "appealed_by_buyer": False,
    "appealed_by_seller": False,
    "proposal_accepted_by_buyer": False,
    "proposal_accepted_by_seller": False,
    "performed": False,
    "return_address_seq": None,
    "evidence_from": None,
    "evidence_of_buyer": False,
    "evidence_of_seller": False,
    "suspended_from": None,
    "suspension_ground": None,
    "closed_at": None,
    "due_at": None,
    "appeal_until": None,
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a docket. `openings` holds what each opening hides, by its name; None where that cannot be had."""

    seq: int
    at: datetime
    type: str
    from_: str | None
    to: str
    openings: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Misstep:
    """An entry that the procedure does not allow, and why, for a person. Holds nothing that anybody wrote."""

    seq: int
    what: str


@dataclass(slots=True)
class Clock:
    """A deadline that is not over: what it fires (None: nothing), when (None: it stands still), whether it was set
    aside."""

    fires: str | None
    due_at: datetime | None
    aside: bool = False


class Unknown(Exception):
    """The record does not say."""


class Replayed:
    """A case as its docket tells it: a `CaseLike` whose attributes raise Unknown where the record does not say.

    `clocks` are its deadlines that are not over, by kind, None where the record does not say; `open_items` the sides
    that still owe what was asked of them, by request and number.
    """

    clocks: dict[str, Clock] | None
    open_items: dict[tuple[str, int], str]

    def __init__(self, buyer_ref: str, seller_ref: str) -> None:
        self.__dict__.update(AT_FIRST, buyer_ref=buyer_ref, seller_ref=seller_ref, clocks={}, open_items={})

    def __getattr__(self, name: str) -> Any:
        raise Unknown(name)

    def get(self, name: str) -> Any:
        """An attribute, or UNKNOWN."""
        return self.__dict__.get(name, UNKNOWN)

    def change(self, changes: Mapping[str, Any]) -> None:
        """Set attributes; what is UNKNOWN is forgotten."""
        for name, value in changes.items():
            if value is UNKNOWN:
                self.__dict__.pop(name, None)
            else:
                self.__dict__[name] = value

    def known(self) -> dict[str, Any]:
        """The attributes that follow from the record, by name."""
        return {
            name: value for name, value in self.__dict__.items() if name in AT_FIRST or name in ("state", "opened_at")
        }


@dataclass(slots=True)
class Replay:
    """Where a docket leads, and every misstep on the way, in order."""

    case: Replayed
    missteps: list[Misstep] = field(default_factory=list)


# --- deadlines -------------------------------------------------------------------------------------------------------


def follow(case: Replayed, entry: Entry) -> None:
    """What the entry tells of deadlines. A case that was opened without any is from before there were clocks: what it
    says of them follows from the record once they are started.
    """
    if entry.type == OPENED and "deadlines" not in entry.openings:
        case.change({"due_at": UNKNOWN, "appeal_until": UNKNOWN})
        return
    if "deadlines" in entry.openings:
        changes = entry.openings["deadlines"]
        clocks = None if case.clocks is None or not isinstance(changes, list) else case.clocks
        case.clocks = clocks if clocks is not None and all(_change(clocks, one) for one in changes) else None
    elif entry.type in ("deadline_set_aside", "deadline_retried") and case.clocks is not None:
        facts = entry.openings.get("facts") or {}
        for kind, clock in case.clocks.items():
            clock.aside = entry.type == "deadline_set_aside" and (clock.aside or kind == facts.get("kind"))
    else:
        return
    if case.clocks is None:
        case.change({"due_at": UNKNOWN, "appeal_until": UNKNOWN})
        return
    firing = [one.due_at for one in case.clocks.values() if one.due_at and one.fires is not None and not one.aside]
    appeal = case.clocks.get("appeal")
    case.change({"due_at": min(firing, default=None), "appeal_until": None if appeal is None else appeal.due_at})


def _change(clocks: dict[str, Clock], change: Any) -> bool:
    """Follow one change of a deadline; False where it cannot be read."""
    try:
        kind, what, fires = str(change["kind"]), change["change"], change["fires"]
        due_at = datetime.fromisoformat(change["due_at"]) if "due_at" in change else None
    except (KeyError, TypeError, ValueError):
        return False
    if what in ("fired", "ended"):
        clocks.pop(kind, None)
    elif what in ("started", "restarted", "resumed", "extended"):
        clocks[kind] = Clock(fires, due_at)
    elif what in ("paused", "fires", "recounted") and kind in clocks:
        stays = due_at is None and clocks[kind].aside
        clocks[kind] = Clock(fires, due_at, aside=stays)
    else:
        return False
    return True
