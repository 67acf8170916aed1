"""Who does what, when: the shapes that the procedure reads and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from workflows.states import PARTIES, Role, Side


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who acts on a case.

    `subject` is the person or machine, `acts_for` the party they act for (a shop's staff act for the shop).
    `interests` are the parties, as (side, id), in which a member of staff has declared an interest.
    """

    role: Role
    subject: str
    acts_for: str
    marketplace: str
    interests: frozenset[tuple[str, str]] = frozenset()

    @property
    def side(self) -> Side | None:
        return Side(self.role.value) if self.role in PARTIES else None


@dataclass(frozen=True, slots=True)
class Act:
    """One act: the actor, the time, and the facts it brings (already validated, in plain values)."""

    actor: Actor
    now: datetime
    facts: Mapping[str, Any] = field(default_factory=dict)


class CaseLike(Protocol):
    """What the procedure needs to know of a case. It writes `state` and nothing else."""

    state: str
    assignee: str | None
    level: int
    escalation_reason: str | None
    offers_made: int
    open_offer_by: str | None
    counter_offers_buyer: int
    counter_offers_seller: int
    pending_decision_by: str | None
    decisions_issued: int
    decided_by: str | None
    approved_by: str | None
    accepted_by_buyer: bool
    accepted_by_seller: bool
    appealed_by_buyer: bool
    appealed_by_seller: bool
    appeal_until: datetime | None
    proposal_accepted_by_buyer: bool
    proposal_accepted_by_seller: bool
    performed: bool
    evidence_from: str | None
    evidence_of_buyer: bool
    evidence_of_seller: bool
    suspended_from: str | None

    @property
    def buyer_ref(self) -> str: ...

    @property
    def seller_ref(self) -> str: ...
