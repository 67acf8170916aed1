"""A case as the procedure knows it, without a database, and the people who act on it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from workflows.acts import Act, Actor
from workflows.states import Role

NOW = datetime(2026, 11, 5, 10, 0, tzinfo=UTC)
#: The end of an appeal window that is still open, and of one that is over.
STILL_OPEN, JUST_OVER = NOW + timedelta(days=7), NOW - timedelta(microseconds=1)


@dataclass
class PlainCase:
    """The attributes of `workflows.acts.CaseLike`, as they are when a case is opened."""

    state: str = "opened"
    assignee: str | None = None
    level: int = 0
    escalation_reason: str | None = None
    offers_made: int = 0
    open_offer_by: str | None = None
    counter_offers_buyer: int = 0
    counter_offers_seller: int = 0
    pending_decision_by: str | None = None
    decisions_issued: int = 0
    decided_by: str | None = None
    approved_by: str | None = None
    accepted_by_buyer: bool = False
    accepted_by_seller: bool = False
    appealed_by_buyer: bool = False
    appealed_by_seller: bool = False
    appeal_until: datetime | None = None
    proposal_accepted_by_buyer: bool = False
    proposal_accepted_by_seller: bool = False
    performed: bool = False
    evidence_from: str | None = None
    evidence_of_buyer: bool = False
    evidence_of_seller: bool = False
    suspended_from: str | None = None
    buyer_ref: str = "buyer-1"
    seller_ref: str = "shop-17"


#: role -> (subject, acts for)
_PEOPLE = {
    "buyer": ("buyer-1", "buyer-1"),
    "seller": ("clerk-9", "shop-17"),
    "mediator": ("mia", "mia"),
    "senior": ("sam", "sam"),
    "supervisor": ("vera", "vera"),
}


def actor(role: str, **other: Any) -> Actor:
    """One of the case's own parties, or somebody of the house."""
    subject, acts_for = _PEOPLE.get(role, (role, role))
    told: dict[str, Any] = {"subject": subject, "acts_for": acts_for, "marketplace": "demo", **other}
    return Actor(Role(role), **told)


#: What an act must bring so that the procedure can choose its row: money to pay back, and a sum within any authority.
FACTS: dict[str, Any] = {"legs": ("refund",), "amount_minor": 12_900, "authority_minor": 50_000}


def act(role: str, facts: dict[str, Any] | None = None, **other: Any) -> Act:
    """An act of that role now."""
    return Act(actor(role, **other), NOW, FACTS if facts is None else facts)
