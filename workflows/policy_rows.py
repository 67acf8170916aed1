"""What a row of the policies holds, and what a look-up is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, TypeVar

T = TypeVar("T")

#: The keys of a row, the weightier first.
KEYS = ("reason", "request", "category", "region")
#: The currency key that stands for all currencies that are not named.
OTHER = "other"


class LimitKind(StrEnum):
    """What is limited. The comments of default_policies.toml say what each one is for."""

    NOTIFICATION = "notification"
    RESPONSE = "response"
    OFFER = "offer"
    NEGOTIATION = "negotiation"
    MEDIATION_REQUEST = "mediation_request"
    RETURN_SHIPPING = "return_shipping"
    INSPECTION = "inspection"
    PERFORMANCE = "performance"
    CONFIRMATION = "confirmation"
    REVIEW = "review"
    EVIDENCE = "evidence"
    EVIDENCE_LONGEST = "evidence_longest"
    EXTENSION_LONGEST = "extension_longest"
    ESCALATION = "escalation"
    APPEAL = "appeal"
    REFUND = "refund"
    SUSPENSION_AGREEMENT = "suspension_agreement"
    SUSPENSION_COURT_DOCKET = "suspension_court_docket"
    SUSPENSION_POLICE = "suspension_police"


class SilenceFires(StrEnum):
    REQUEST_MEDIATION = "request_mediation"
    AGREE = "agree"


class SilenceNeeds(StrEnum):
    """Facts of the order without which silence does not agree, but requests mediation."""

    NOT_SHIPPED = "not_shipped"


#: What the row without keys must set. Authority is not here, since a role without it has no limit.
BASE = (*(f"limits.{kind}" for kind in LimitKind), "silence", "compensation", "freight_cap", "advance")


@dataclass(frozen=True, slots=True)
class Matter:
    """What a look-up is about."""

    reason: str
    request: str
    category: str | None = None
    region: str | None = None


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """A setting, and the id of the row that it comes from."""

    value: T
    row: str


@dataclass(frozen=True, slots=True)
class Silence:
    """What the seller's silence does, and the fact that the order must show for it."""

    fires: str
    needs: str | None = None


@dataclass(frozen=True, slots=True)
class Compensation:
    """For late shipment: a share of the price in percent; floor and cap in minor units by currency."""

    share_percent: int
    floor: Mapping[str, int]
    cap: Mapping[str, int]


class PoliciesNotReadable(Exception):
    """A document of policies is not as it must be. `errors`: the rules broken, by field, as in `rows.2.id`."""

    def __init__(self, errors: dict[str, list[str]]) -> None:
        super().__init__("; ".join(f"{path}: {' '.join(rules)}" for path, rules in errors.items()))
        self.errors = errors


@dataclass(frozen=True, slots=True)
class Row:
    id: str
    keys: Mapping[str, str]
    settings: Mapping[str, Any]

    def holds_for(self, matter: Matter) -> bool:
        for key, wanted in self.keys.items():
            given = getattr(matter, key)
            if given != wanted and not (key == "region" and given and given.startswith(f"{wanted}-")):
                return False
        return True

    @property
    def weight(self) -> tuple[int, ...]:
        """Heavier is more specific: more keys, then the earlier keys, then a subdivision before its country."""
        return (len(self.keys), *(key in self.keys for key in KEYS), "-" in self.keys.get("region", ""))
