"""What a reader may see, and how it looks to them: the other side's people masked, staff by their role alone.

The API's answers and the sealed case file are made of the same values, so that no copy says more than a view would.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from evidence import chain
from mediation import docket
from mediation.deadlines import Running
from mediation.models import (
    Appeal,
    CustodyEntry,
    Deadline,
    Decision,
    DocketEntry,
    DocketOpening,
    EvidenceItem,
    EvidenceRequest,
    LedgerEntry,
    Offer,
    Order,
    Party,
    Refund,
)
from mediation.schemas import money, rfc3339
from workflows.acts import Actor
from workflows.states import PARTIES, STAFF

#: What a decision seals of exhibits that only staff may see.
CUSTODY_OF_STAFF = "custody_of_staff"
#: What a redaction erased where only staff may look.
ERASED_OF_STAFF = "erased_of_staff"
OF_STAFF = frozenset({CUSTODY_OF_STAFF, ERASED_OF_STAFF})
#: Entries whose note is from staff to staff.
_STAFF_NOTES = frozenset({"escalate", "approve", "return_to_mediator", "hand_over", "redacted"})
#: Fields of an order that only say when something happened.
_ORDER_TIMES = ("paid_at", "ship_by", "shipped_at", "delivered_at", "receipt_confirmed_at")
_ORDER_TEXTS = ("region", "carrier", "tracking_number")


def order_answer(order: Order, *, whole: bool = False, masked: bool = False) -> dict[str, Any]:
    """An order; `whole` with its parties and what is held on it, as the platform and staff see it; `masked` for the
    seller, to whom the one who took the parcel in is not named.
    """
    answer: dict[str, Any] = {"id": order.external_id, "paid": money(order.paid_minor, order.currency)}
    answer |= {name: rfc3339(getattr(order, name)) for name in _ORDER_TIMES}
    answer |= {name: getattr(order, name) for name in _ORDER_TEXTS}
    answer |= {"delivered_to": mask(order.delivered_to) if masked else order.delivered_to, "lines": order.lines}
    if whole:
        answer |= {
            "reserved": money(order.reserved_minor, order.currency),
            "refunded": money(order.refunded_minor, order.currency),
            "updated_at": rfc3339(order.updated_at),
            "buyer": party_answer(order.buyer),
            "seller": party_answer(order.seller),
        }
    return answer


def party_answer(party: Party, *, masked: bool = False) -> dict[str, Any]:
    """A party, the name masked for the other side."""
    return {
        "id": party.external_id,
        "name": mask(party.name) if masked else party.name,
        "locale": party.locale,
    }


def who_answer(role: str, subject: str | None, reader: Actor) -> dict[str, Any]:
    """Who did something: to a party, the other side's person masked and staff by their role alone. None once erased."""
    if reader.role not in PARTIES or role == reader.role:
        return {"role": role, "id": subject}
    return {"role": role, "id": mask(subject) if role in PARTIES else None}


def mask(name: str | None) -> str | None:
    """A name of which only the first character is left, and not even that of a name of one."""
    return None if name is None else f"{name[0] if len(name) > 1 else ''}**"


def remedy_answer(remedy: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A remedy with its sum as money."""
    if remedy is None:
        return None
    currency = remedy["currency"]
    return {
        "kind": remedy["kind"],
        "amount": money(remedy["amount_minor"], currency),
        "freight_bearer": remedy.get("freight_bearer"),
        "return_required": remedy.get("return_required"),
        "purposes": {name: money(amount, currency) for name, amount in remedy.get("purposes", {}).items()},
        "in_place": money(in_place, currency) if (in_place := remedy.get("in_place_minor")) else None,
    }


def deadline_answer(one: Deadline | Running) -> dict[str, Any]:
    """A deadline that is not over."""
    left = one.remaining
    policy = None if one.policy_row is None else {"version": one.policy_version, "row": one.policy_row}
    return {
        "kind": one.kind,
        "fires": one.fires,
        "at": rfc3339(one.due_at),
        "started_at": rfc3339(one.started_at),
        "remaining_seconds": None if left is None else left.total_seconds(),
        "extended_seconds": one.extended.total_seconds(),
        "hours": one.hours,
        "provisional": one.provisional,
        "policy": policy,
    }


def offer_answer(offer: Offer, note: str | None) -> dict[str, Any]:
    """An offer with its note, None once erased."""
    return {
        "id": str(offer.id),
        "by": offer.side,
        "remedy": {
            "kind": offer.kind,
            "amount": money(offer.amount_minor, offer.currency),
            "return_required": offer.return_required,
        },
        "note": note,
        "status": offer.status,
        "made_at": rfc3339(offer.made_at),
        "answered_at": rfc3339(offer.answered_at),
    }


def refund_answer(refund: Refund, reader: Actor) -> dict[str, Any]:
    """A refund; how it was sent is not told to parties."""
    inner = reader.role not in PARTIES
    return {
        "id": str(refund.id),
        "purpose": refund.purpose,
        "purposes": {name: money(amount, refund.currency) for name, amount in refund.purposes.items()},
        "amount": money(refund.amount_minor, refund.currency),
        "status": refund.status,
        "attempts": refund.attempts if inner else None,
        "requested_at": rfc3339(refund.requested_at),
        "settled_at": rfc3339(refund.settled_at),
        "failure": refund.failure,
        "gateway": refund.gateway if inner else None,
        "gateway_reference": refund.gateway_reference,
        "anomaly": refund.anomaly if inner else None,
    }


def ledger_answer(one: LedgerEntry) -> dict[str, Any]:
    """One side of a movement of money."""
    return {
        "refund_id": str(one.refund_id),
        "n": one.n,
        "account": one.account,
        "purpose": one.purpose,
        "amount": money(one.amount_minor, one.currency),
        "at": rfc3339(one.at),
    }


def request_answer(one: EvidenceRequest, items: Sequence[EvidenceItem], words: Mapping[str, Any]) -> dict[str, Any]:
    """A request for evidence with those of `items` that are its own; `words` are those of its docket entry."""
    return {
        "id": str(one.id),
        "from": one.asked_of,
        "status": one.status,
        "asked_at": rfc3339(one.asked_at),
        "closed_at": rfc3339(one.closed_at),
        "items": [
            {
                "item": item.n,
                "side": item.side,
                "type": item.type,
                "note": words.get(f"items.{item.n}.note"),
                "status": item.status,
                "exhibit": item.exhibit,
            }
            for item in items
            if item.request_id == one.id
        ],
    }


def decision_answer(one: Decision, reader: Actor, words: Mapping[str, Any]) -> dict[str, Any]:
    """A decision with its words, as its docket entry holds them: quotes are positions. Parties are named no staff."""
    named = reader.role not in PARTIES
    return {
        "id": str(one.id),
        "number": one.number if named else one.issued_number,
        "status": one.status,
        "on_appeal": one.on_appeal,
        "upholds": one.upholds,
        "outcome": one.outcome,
        "remedy": {
            "kind": one.remedy_kind,
            "amount": money(one.amount_minor, one.currency),
            "freight": money(one.freight_minor, one.currency) if one.freight_minor else None,
            "freight_bearer": one.freight_bearer,
            "return_required": one.return_required,
        },
        "dispositions": [
            {
                "claim": item["claim"],
                "remedy": {"kind": item["kind"], "amount": money(item["amount_minor"], one.currency)},
            }
            for item in one.dispositions
        ],
        "liability": [
            {"party": item["party"], "amount": money(item["amount_minor"], one.currency)} for item in one.liability
        ],
        "blame": one.blame,
        "findings": words.get("findings", []),
        "reasons": words.get("reasons"),
        "decided_by": one.decided_by if named else None,
        # When it was made would tell a party that it waited for an approval.
        "decided_at": rfc3339(one.decided_at if named else one.issued_at),
        "approved_by": one.approved_by if named else None,
        "issued_at": rfc3339(one.issued_at),
        "final_at": rfc3339(one.final_at),
    }


def appeals_answer(
    decision: Decision, appeals: Sequence[Appeal], words: Mapping[int, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Those of `appeals` against the decision; `words` are those of docket entries, by number."""
    return [
        {
            "side": appeal.side,
            "grounds": words[appeal.seq].get("grounds"),
            "exhibits": appeal.exhibits,
            "filed_at": rfc3339(appeal.filed_at),
        }
        for appeal in appeals
        if appeal.decision_id == decision.id
    ]


# --- the docket --------------------------------------------------------------------------------------------------


def may_see(entry: DocketEntry, reader: Actor) -> bool:
    """Whether an entry is shown at all; of the others a reader gets number and hash."""
    return entry.visibility == docket.PARTIES_SEE or reader.role in STAFF


def withheld(entry: DocketEntry) -> dict[str, Any]:
    """What is shown of an entry that may not be seen: the chain still verifies."""
    return {"seq": entry.seq, "hash": entry.hash.hex()}


def entry_answer(entry: DocketEntry) -> dict[str, Any]:
    """An entry as it was hashed, with its hash; times are written as there and not as the rest of the API does."""
    return {
        "v": entry.v,
        "case": str(entry.case_id),
        "seq": entry.seq,
        "prev": entry.prev.hex(),
        "at": chain.instant(entry.at),
        "type": entry.type,
        "from": entry.from_state,
        "to": entry.to_state,
        "commitments": [digest.hex() for digest in entry.commitments],
        "hash": entry.hash.hex(),
    }


def opening_answer(entry: DocketEntry, opening: DocketOpening, reader: Actor) -> dict[str, Any]:
    """Salt and value of a commitment, both null where they may not be seen or were erased."""
    if opening.salt is None or _hidden(entry, opening, reader):
        return {"salt": None, "value": None}
    return {"salt": opening.salt.hex(), "value": opening.value}


def _hidden(entry: DocketEntry, opening: DocketOpening, reader: Actor) -> bool:
    """Parties see their own acts whole; of others' acts not who in person acted, and no note among staff."""
    if reader.role in STAFF:
        return False
    if opening.name in OF_STAFF or (opening.name == "note" and entry.type in _STAFF_NOTES):
        return True
    return (
        reader.role in PARTIES
        and opening.name == "actor"
        and opening.value is not None
        and opening.value["actor"]["role"] != reader.role
    )


# --- custody -----------------------------------------------------------------------------------------------------


def custody_answer(one: CustodyEntry) -> dict[str, Any]:
    """A custody entry as it was hashed, with its hash."""
    return {
        "v": one.v,
        "exhibit": str(one.exhibit_id),
        "seq": one.seq,
        "prev": one.prev.hex(),
        "at": chain.instant(one.at),
        "act": one.act,
        "commitment": one.commitment.hex(),
        "hash": one.hash.hex(),
    }


def custody_opening_answer(salt: bytes | None, value: Mapping[str, Any] | None, reader: Actor) -> dict[str, Any]:
    """Who acted, and on what part; parties see it of what their own side did. Both null where hidden or erased."""
    hidden = value is not None and reader.role in PARTIES and value["actor"]["role"] != reader.role
    if salt is None or hidden:
        return {"salt": None, "value": None}
    return {"salt": salt.hex(), "value": value}
