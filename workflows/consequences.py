"""What each entry of a docket makes of its case, told from the entry alone.

The operations write these changes as they take a step; here they stand once more, as functions of what is on record,
so that a docket can be replayed. What an entry does not say, or does not say any more, is UNKNOWN.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from workflows.remedies import Leg
from workflows.standing import PROPOSER
from workflows.states import PARTIES, CaseState, EscalationReason, Outcome, Role, Side


class _Unknown:
    """Stands for what the record does not say."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final[Any] = _Unknown()
Changes = dict[str, Any]


class CaseSoFar(Protocol):
    """The case as its docket told it so far."""

    open_items: dict[tuple[str, int], str]

    def get(self, name: str) -> Any:
        """An attribute, or UNKNOWN."""

    def change(self, changes: Mapping[str, Any]) -> None:
        """Set attributes; what is UNKNOWN is forgotten."""


@dataclass(frozen=True, slots=True)
class Told:
    """What one entry tells: when, which act, between which states, by whom, and with which openings, by name."""

    seq: int
    at: datetime
    action: str
    came_from: str | None
    to: str
    role: Any
    subject: Any
    acts_for: Any
    facts: Mapping[str, Any]
    openings: Mapping[str, Any]

    @property
    def side(self) -> Any:
        """The side that acted, UNKNOWN where that was erased or was neither."""
        return Side(self.role.value) if self.role in PARTIES else UNKNOWN

    @property
    def waits_for_approval(self) -> bool:
        """Whether the entry is a decision that was not issued with it."""
        return self.action == "decide" and self.to != CaseState.DECIDED

    def fact(self, name: str) -> Any:
        """A fact, or UNKNOWN."""
        return self.facts.get(name, UNKNOWN)

    def sound_facts(self) -> dict[str, Any]:
        """The facts that conditions look at, where they are of the kind that they ought to be."""
        return {
            name: self.facts[name]
            for name, kinds in _KINDS.items()
            if name in self.facts and isinstance(self.facts[name], kinds)
        }


_KINDS: dict[str, tuple[type, ...]] = {"legs": (list,), "amount_minor": (int,), "authority_minor": (int, type(None))}
Consequence = Callable[[CaseSoFar, Told], Changes]

_NOBODY_ACCEPTED: Changes = {"proposal_accepted_by_buyer": False, "proposal_accepted_by_seller": False}
_NO_OFFER: Changes = {"open_offer_by": None, **_NOBODY_ACCEPTED}
_NOTHING_ASKED: Changes = {"evidence_from": None, "evidence_of_buyer": False, "evidence_of_seller": False}
_LOWERED: Changes = {"escalation_reason": None, "level": 0}
_NEW_ROUND: Changes = {
    "appealed_by_buyer": False,
    "appealed_by_seller": False,
    "accepted_by_buyer": False,
    "accepted_by_seller": False,
    **_LOWERED,
}


def _more(before: Any, by: int = 1) -> Any:
    return UNKNOWN if before is UNKNOWN else before + by


def _by_side(told: Told, name: str, value: Any) -> Changes:
    """An attribute of the side that acted; of both nothing is known where that was erased."""
    if told.side is UNKNOWN:
        return {f"{name}_{side}": UNKNOWN for side in Side}
    return {f"{name}_{told.side}": value}


# --- negotiation -------------------------------------------------------------------------------------------------


def _settled(told: Told, outcome: Any) -> Changes:
    settled = {"outcome": outcome, "pending_decision_by": None, "assignee": None}
    begun = {"legs": told.fact("legs"), "performed": False}
    return {**_NO_OFFER, **_LOWERED, **_NOTHING_ASKED, **settled, **begun}


def _agree(case: CaseSoFar, told: Told) -> Changes:
    if told.role is UNKNOWN:
        return _settled(told, UNKNOWN)
    return _settled(told, Outcome.BUYER_FAVOUR if told.role is Role.CLOCK else Outcome.SETTLED)


def _offer(case: CaseSoFar, told: Told) -> Changes:
    made = case.get("offers_made")
    counted: Changes = {}
    if told.side is UNKNOWN or made is UNKNOWN:
        counted = {f"counter_offers_{side}": UNKNOWN for side in Side}
    elif made:
        counted = {f"counter_offers_{told.side}": _more(case.get(f"counter_offers_{told.side}"))}
    side = told.side if told.side is UNKNOWN else str(told.side)
    return {**_NOBODY_ACCEPTED, **counted, "offers_made": _more(made), "open_offer_by": side}


def _propose(case: CaseSoFar, told: Told) -> Changes:
    made = _more(case.get("offers_made"))
    return {**_NOBODY_ACCEPTED, "offers_made": made, "open_offer_by": PROPOSER, "assignee": told.subject}


def _accept_offer(case: CaseSoFar, told: Told) -> Changes:
    if told.to == told.came_from:
        return _by_side(told, "proposal_accepted_by", True)
    return _settled(told, Outcome.SETTLED)


def _withdraw(case: CaseSoFar, told: Told) -> Changes:
    ended: Changes = {"suspended_from": None, "outcome": Outcome.WITHDRAWN, "legs": [], "pending_decision_by": None}
    return {**_NO_OFFER, **_NOTHING_ASKED, **_LOWERED, **ended}


# --- mediation ---------------------------------------------------------------------------------------------------


def _hand_over(case: CaseSoFar, told: Told) -> Changes:
    note = told.openings.get("note")
    return {"assignee": note.get("to", UNKNOWN) if isinstance(note, Mapping) else UNKNOWN}


def _request_evidence(case: CaseSoFar, told: Told) -> Changes:
    case.open_items.clear()
    asked, request = told.fact("from"), told.fact("request")
    if asked not in ("buyer", "seller", "both"):
        return {"evidence_from": told.came_from, "evidence_of_buyer": UNKNOWN, "evidence_of_seller": UNKNOWN}
    for item in told.facts.get("items", ()):
        case.open_items[str(request), item["n"]] = item["side"]
    return {
        "evidence_from": told.came_from,
        "evidence_of_buyer": asked != "seller",
        "evidence_of_seller": asked != "buyer",
    }


def _end_of_evidence(case: CaseSoFar, told: Told) -> Changes:
    return dict(_NOTHING_ASKED)


def _answered(case: CaseSoFar, told: Told) -> None:
    """What was asked for was shown in time, or is not needed any more."""
    answers = told.facts.get("answers") if told.action == "exhibit_filed" else told.facts
    if not isinstance(answers, Mapping) or told.facts.get("late"):
        return
    case.open_items.pop((str(answers.get("request")), answers.get("item", 0)), None)
    if case.get("evidence_from") is None:
        return
    owing = set(case.open_items.values())
    case.change({f"evidence_of_{side}": side.value in owing for side in Side})


def _escalate(case: CaseSoFar, told: Told) -> Changes:
    return {"assignee": None, "level": 1, "escalation_reason": told.fact("reason")}


def _issued(case: CaseSoFar, told: Told, decided_by: Any, approved_by: Any) -> Changes:
    decision = told.fact("decision")
    return {
        **_LOWERED,
        "decisions_issued": _more(case.get("decisions_issued")),
        "decided_by": decided_by,
        "approved_by": approved_by,
        "pending_decision_by": None,
        "assignee": decided_by,
        "outcome": decision.get("outcome", UNKNOWN) if isinstance(decision, Mapping) else UNKNOWN,
        "accepted_by_buyer": False,
        "accepted_by_seller": False,
    }


def _decide(case: CaseSoFar, told: Told) -> Changes:
    if not told.waits_for_approval:
        return _issued(case, told, told.subject, None)
    over = EscalationReason.AMOUNT_OVER_AUTHORITY
    return {"assignee": None, "level": 1, "escalation_reason": over, "pending_decision_by": told.subject}


def _approve(case: CaseSoFar, told: Told) -> Changes:
    return _issued(case, told, case.get("pending_decision_by"), told.subject)


def _return_to_mediator(case: CaseSoFar, told: Told) -> Changes:
    return {**_LOWERED, "assignee": case.get("pending_decision_by"), "pending_decision_by": None}


def _appeal(case: CaseSoFar, told: Told) -> Changes:
    level, heard = case.get("level"), case.get("escalation_reason")
    kept = case.get("assignee") if heard == EscalationReason.APPEAL else UNKNOWN if heard is UNKNOWN else None
    return {
        **_by_side(told, "appealed_by", True),
        "escalation_reason": EscalationReason.APPEAL,
        "level": UNKNOWN if level is UNKNOWN else max(1, level),
        "assignee": kept,
    }


def _resume(case: CaseSoFar, told: Told) -> Changes:
    return {"suspended_from": None, "suspension_ground": None}


# --- carrying out, and money --------------------------------------------------------------------------------------


def _next_leg(case: CaseSoFar, told: Told) -> Changes:
    return {"legs": told.fact("legs"), "performed": False}


def _finalise(case: CaseSoFar, told: Told) -> Changes:
    return {"assignee": None, **_next_leg(case, told)}


def _dispute(case: CaseSoFar, told: Told) -> Changes:
    return {"legs": [], "performed": False, **_NEW_ROUND}


def _money_now(case: CaseSoFar, told: Told) -> Changes:
    return {
        **_NEW_ROUND,
        **_NOTHING_ASKED,
        "outcome": Outcome.BUYER_FAVOUR,
        "legs": [str(Leg.REFUND)],
        "assignee": None,
        "pending_decision_by": None,
    }


def _fail_refund(case: CaseSoFar, told: Told) -> Changes:
    return {"escalation_reason": EscalationReason.REFUND_FAILED, "level": 1, "assignee": None}


#: By action; one that is not here changes the state alone.
CONSEQUENCES: dict[str, Consequence] = {
    "agree": _agree,
    "offer": _offer,
    "propose": _propose,
    "accept_offer": _accept_offer,
    "decline_offer": lambda case, told: dict(_NO_OFFER),
    "expire_offer": lambda case, told: dict(_NO_OFFER),
    "request_mediation": lambda case, told: {**_NO_OFFER, "legs": [], **_NEW_ROUND},
    "withdraw": _withdraw,
    "lapse": lambda case, told: {"outcome": Outcome.LAPSED, "legs": []},
    "perform": lambda case, told: {"performed": True},
    "confirm_return": _next_leg,
    "conclude_inspection": _next_leg,
    "confirm_performance": _next_leg,
    "conclude_performance": _next_leg,
    "dispute_return": _dispute,
    "dispute_performance": _dispute,
    "refund_in_place": lambda case, told: {"legs": [str(Leg.REFUND)], "performed": False},
    "take": lambda case, told: {"assignee": told.subject},
    "release": lambda case, told: {"assignee": None},
    "hand_over": _hand_over,
    "request_evidence": _request_evidence,
    "evidence_complete": _end_of_evidence,
    "end_evidence_request": _end_of_evidence,
    "default_evidence": _end_of_evidence,
    "refund_now": _money_now,
    "escalate": _escalate,
    "raise_level": lambda case, told: {"level": _more(case.get("level"))},
    "decide": _decide,
    "approve": _approve,
    "return_to_mediator": _return_to_mediator,
    "suspend": lambda case, told: {"suspended_from": told.came_from, "suspension_ground": told.fact("ground")},
    "resume": _resume,
    "accept_decision": lambda case, told: _by_side(told, "accepted_by", True),
    "appeal": _appeal,
    "finalise": _finalise,
    "settle_refund": lambda case, told: dict(_LOWERED),
    "settle_elsewhere": lambda case, told: dict(_LOWERED),
    "fail_refund": _fail_refund,
    "retry_refund": lambda case, told: {**_LOWERED, "assignee": None},
}
#: By type of what is recorded without moving the case.
OF_RECORDS: dict[str, Callable[[CaseSoFar, Told], None]] = {
    "exhibit_filed": _answered,
    "evidence_waived": _answered,
}
