# ruff: noqa: E501 - the table is read by its columns
"""Every state, every action, every role: what docs/lifecycle.md says comes of it.

The table is typed from there and from nothing else. A cell holds the state that the case comes to, or why not:
403, the role is not named for the action at all; 409, it is, but not from this state; or the code of the rule that
stands against it. It is tried twice: over the API with a real case, and at the procedure with a plain object, where
the three actors act whom no token ever names (clock, gateway, system).
"""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from sqlalchemy import text

from tests.mediation.story import CHAT, Story, decision, money
from tests.workflows.cases import PlainCase, act
from workflows import procedure
from workflows.refusals import NotPermitted, Refused, WrongState

TABLES = {
    "opened": """
action             buyer  seller mediator        senior supervisor platform        admin clock           gateway system
notify_seller      403    403    seller_notified 403    403        seller_notified 403   seller_notified 403     403
agree              403    409    403             403    403        403             403   409             403     403
refuse             403    409    403             403    403        403             403   403             403     403
offer              409    409    403             403    403        403             403   403             403     403
accept_offer       409    409    403             403    403        403             403   403             403     403
decline_offer      409    409    403             403    403        403             403   403             403     403
request_mediation  409    409    403             403    403        403             403   409             403     403
take               403    403    409             409    409        403             403   403             403     403
release            403    403    409             409    409        403             403   403             403     403
escalate           403    403    409             403    403        403             403   409             403     403
decide             403    403    409             409    409        403             403   403             403     403
approve            403    403    403             409    409        403             403   403             403     403
return_to_mediator 403    403    403             409    409        403             403   403             403     403
accept_decision    409    409    403             403    403        403             403   403             403     403
finalise           403    403    403             403    403        403             403   409             403     409
appeal             409    409    403             403    403        403             403   403             403     403
withdraw           closed 403    403             403    403        403             403   403             403     403
settle_refund      403    403    403             403    403        403             403   403             409     409
fail_refund        403    403    403             403    403        403             403   409             409     409
retry_refund       403    403    403             409    409        403             403   403             403     403
settle_elsewhere   403    403    403             409    409        403             403   403             403     403
""",
    "seller_notified": """
action             buyer       seller         mediator senior supervisor platform admin clock        gateway system
notify_seller      403         403            409      403    403        409      403   409          403     403
agree              403         refund         403      403    403        403      403   refund       403     403
refuse             403         seller_refused 403      403    403        403      403   403          403     403
offer              negotiating negotiating    403      403    403        403      403   403          403     403
accept_offer       409         409            403      403    403        403      403   403          403     403
decline_offer      409         409            403      403    403        403      403   403          403     403
request_mediation  409         409            403      403    403        403      403   under_review 403     403
take               403         403            409      409    409        403      403   403          403     403
release            403         403            409      409    409        403      403   403          403     403
escalate           403         403            409      403    403        403      403   409          403     403
decide             403         403            409      409    409        403      403   403          403     403
approve            403         403            403      409    409        403      403   403          403     403
return_to_mediator 403         403            403      409    409        403      403   403          403     403
accept_decision    409         409            403      403    403        403      403   403          403     403
finalise           403         403            403      403    403        403      403   409          403     409
appeal             409         409            403      403    403        403      403   403          403     403
withdraw           closed      403            403      403    403        403      403   403          403     403
settle_refund      403         403            403      403    403        403      403   403          409     409
fail_refund        403         403            403      403    403        403      403   409          409     409
retry_refund       403         403            403      409    409        403      403   403          403     403
settle_elsewhere   403         403            403      409    409        403      403   403          403     403
""",
    "negotiating": """
action             buyer          seller       mediator senior supervisor platform admin clock        gateway system
notify_seller      403            403          409      403    403        409      403   409          403     403
agree              403            refund       403      403    403        403      403   refund       403     403
refuse             403            409          403      403    403        403      403   403          403     403
offer              negotiating    negotiating  403      403    403        403      403   403          403     403
accept_offer       refund         own_offer    403      403    403        403      403   403          403     403
decline_offer      seller_refused own_offer    403      403    403        403      403   403          403     403
request_mediation  under_review   under_review 403      403    403        403      403   under_review 403     403
take               403            403          409      409    409        403      403   403          403     403
release            403            403          409      409    409        403      403   403          403     403
escalate           403            403          409      403    403        403      403   409          403     403
decide             403            403          409      409    409        403      403   403          403     403
approve            403            403          403      409    409        403      403   403          403     403
return_to_mediator 403            403          403      409    409        403      403   403          403     403
accept_decision    409            409          403      403    403        403      403   403          403     403
finalise           403            403          403      403    403        403      403   409          403     409
appeal             409            409          403      403    403        403      403   403          403     403
withdraw           closed         403          403      403    403        403      403   403          403     403
settle_refund      403            403          403      403    403        403      403   403          409     409
fail_refund        403            403          403      403    403        403      403   409          409     409
retry_refund       403            403          403      409    409        403      403   403          403     403
settle_elsewhere   403            403          403      409    409        403      403   403          403     403
""",
    "seller_refused": """
action             buyer        seller        mediator senior supervisor platform admin clock        gateway system
notify_seller      403          403           409      403    403        409      403   409          403     403
agree              403          refund        403      403    403        403      403   refund       403     403
refuse             403          409           403      403    403        403      403   403          403     403
offer              negotiating  negotiating   403      403    403        403      403   403          403     403
accept_offer       409          409           403      403    403        403      403   403          403     403
decline_offer      409          409           403      403    403        403      403   403          403     403
request_mediation  under_review no_offer_made 403      403    403        403      403   under_review 403     403
take               403          403           409      409    409        403      403   403          403     403
release            403          403           409      409    409        403      403   403          403     403
escalate           403          403           409      403    403        403      403   409          403     403
decide             403          403           409      409    409        403      403   403          403     403
approve            403          403           403      409    409        403      403   403          403     403
return_to_mediator 403          403           403      409    409        403      403   403          403     403
accept_decision    409          409           403      403    403        403      403   403          403     403
finalise           403          403           403      403    403        403      403   409          403     409
appeal             409          409           403      403    403        403      403   403          403     403
withdraw           closed       403           403      403    403        403      403   403          403     403
settle_refund      403          403           403      403    403        403      403   403          409     409
fail_refund        403          403           403      403    403        403      403   409          409     409
retry_refund       403          403           403      409    409        403      403   403          403     403
settle_elsewhere   403          403           403      409    409        403      403   403          403     403
""",
    "under_review": """
action             buyer  seller mediator            senior supervisor platform admin clock     gateway system
notify_seller      403    403    409                 403    403        409      403   409       403     403
agree              403    refund 403                 403    403        403      403   409       403     403
refuse             403    409    403                 403    403        403      403   403       403     403
offer              409    409    403                 403    403        403      403   403       403     403
accept_offer       409    409    403                 403    403        403      403   403       403     403
decline_offer      409    409    403                 403    403        403      403   403       403     403
request_mediation  409    409    403                 403    403        403      403   409       403     403
take               403    403    under_review        409    409        403      403   403       403     403
release            403    403    not_assigned_to_you 409    409        403      403   403       403     403
escalate           403    403    escalated           403    403        403      403   escalated 403     403
decide             403    403    decided             409    409        403      403   403       403     403
approve            403    403    403                 409    409        403      403   403       403     403
return_to_mediator 403    403    403                 409    409        403      403   403       403     403
accept_decision    409    409    403                 403    403        403      403   403       403     403
finalise           403    403    403                 403    403        403      403   409       403     409
appeal             409    409    403                 403    403        403      403   403       403     403
withdraw           closed 403    403                 403    403        403      403   403       403     403
settle_refund      403    403    403                 403    403        403      403   403       409     409
fail_refund        403    403    403                 403    403        403      403   409       409     409
retry_refund       403    403    403                 409    409        403      403   403       403     403
settle_elsewhere   403    403    403                 409    409        403      403   403       403     403
""",
    "escalated, complex": """
action             buyer            seller           mediator senior              supervisor          platform admin clock gateway           system
notify_seller      403              403              409      403                 403                 409      403   409   403               403
agree              403              refund           403      403                 403                 403      403   409   403               403
refuse             403              409              403      403                 403                 403      403   403   403               403
offer              409              409              403      403                 403                 403      403   403   403               403
accept_offer       409              409              403      403                 403                 403      403   403   403               403
decline_offer      409              409              403      403                 403                 403      403   403   403               403
request_mediation  409              409              403      403                 403                 403      403   409   403               403
take               403              403              409      escalated           escalated           403      403   403   403               403
release            403              403              409      not_assigned_to_you not_assigned_to_you 403      403   403   403               403
escalate           403              403              409      403                 403                 403      403   409   403               403
decide             403              403              409      decided             decided             403      403   403   403               403
approve            403              403              403      no_pending_decision no_pending_decision 403      403   403   403               403
return_to_mediator 403              403              403      under_review        under_review        403      403   403   403               403
accept_decision    409              409              403      403                 403                 403      403   403   403               403
finalise           403              403              403      403                 403                 403      403   409   403               409
appeal             not_under_appeal not_under_appeal 403      403                 403                 403      403   403   403               403
withdraw           closed           403              403      403                 403                 403      403   403   403               403
settle_refund      403              403              403      403                 403                 403      403   403   refund_not_failed refund_not_failed
fail_refund        403              403              403      403                 403                 403      403   409   409               409
retry_refund       403              403              403      refund_not_failed   refund_not_failed   403      403   403   403               403
settle_elsewhere   403              403              403      refund_not_failed   refund_not_failed   403      403   403   403               403
""",
    "escalated, decision pending": """
action             buyer            seller           mediator senior              supervisor          platform admin clock gateway           system
notify_seller      403              403              409      403                 403                 409      403   409   403               403
agree              403              refund           403      403                 403                 403      403   409   403               403
refuse             403              409              403      403                 403                 403      403   403   403               403
offer              409              409              403      403                 403                 403      403   403   403               403
accept_offer       409              409              403      403                 403                 403      403   403   403               403
decline_offer      409              409              403      403                 403                 403      403   403   403               403
request_mediation  409              409              403      403                 403                 403      403   409   403               403
take               403              403              409      escalated           escalated           403      403   403   403               403
release            403              403              409      not_assigned_to_you not_assigned_to_you 403      403   403   403               403
escalate           403              403              409      403                 403                 403      403   409   403               403
decide             403              403              409      decided             decided             403      403   403   403               403
approve            403              403              403      decided             decided             403      403   403   403               403
return_to_mediator 403              403              403      under_review        under_review        403      403   403   403               403
accept_decision    409              409              403      403                 403                 403      403   403   403               403
finalise           403              403              403      403                 403                 403      403   409   403               409
appeal             not_under_appeal not_under_appeal 403      403                 403                 403      403   403   403               403
withdraw           closed           403              403      403                 403                 403      403   403   403               403
settle_refund      403              403              403      403                 403                 403      403   403   refund_not_failed refund_not_failed
fail_refund        403              403              403      403                 403                 403      403   409   409               409
retry_refund       403              403              403      refund_not_failed   refund_not_failed   403      403   403   403               403
settle_elsewhere   403              403              403      refund_not_failed   refund_not_failed   403      403   403   403               403
""",
    "escalated, appeal by the seller": """
action             buyer           seller           mediator senior              supervisor          platform admin clock gateway           system
notify_seller      403             403              409      403                 403                 409      403   409   403               403
agree              403             appeal_pending   403      403                 403                 403      403   409   403               403
refuse             403             409              403      403                 403                 403      403   403   403               403
offer              409             409              403      403                 403                 403      403   403   403               403
accept_offer       409             409              403      403                 403                 403      403   403   403               403
decline_offer      409             409              403      403                 403                 403      403   403   403               403
request_mediation  409             409              403      403                 403                 403      403   409   403               403
take               403             403              409      escalated           escalated           403      403   403   403               403
release            403             403              409      not_assigned_to_you not_assigned_to_you 403      403   403   403               403
escalate           403             403              409      403                 403                 403      403   409   403               403
decide             403             403              409      decided             decided             403      403   403   403               403
approve            403             403              403      no_pending_decision no_pending_decision 403      403   403   403               403
return_to_mediator 403             403              403      appeal_pending      appeal_pending      403      403   403   403               403
accept_decision    409             409              403      403                 403                 403      403   403   403               403
finalise           403             403              403      403                 403                 403      403   409   403               409
appeal             escalated       already_appealed 403      403                 403                 403      403   403   403               403
withdraw           decision_issued 403              403      403                 403                 403      403   403   403               403
settle_refund      403             403              403      403                 403                 403      403   403   refund_not_failed refund_not_failed
fail_refund        403             403              403      403                 403                 403      403   409   409               409
retry_refund       403             403              403      refund_not_failed   refund_not_failed   403      403   403   403               403
settle_elsewhere   403             403              403      refund_not_failed   refund_not_failed   403      403   403   403               403
""",
    "escalated, refund failed": """
action             buyer            seller           mediator senior              supervisor          platform admin clock gateway  system
notify_seller      403              403              409      403                 403                 409      403   409   403      403
agree              403              refund_failed    403      403                 403                 403      403   409   403      403
refuse             403              409              403      403                 403                 403      403   403   403      403
offer              409              409              403      403                 403                 403      403   403   403      403
accept_offer       409              409              403      403                 403                 403      403   403   403      403
decline_offer      409              409              403      403                 403                 403      403   403   403      403
request_mediation  409              409              403      403                 403                 403      403   409   403      403
take               403              403              409      escalated           escalated           403      403   403   403      403
release            403              403              409      not_assigned_to_you not_assigned_to_you 403      403   403   403      403
escalate           403              403              409      403                 403                 403      403   409   403      403
decide             403              403              409      refund_failed       refund_failed       403      403   403   403      403
approve            403              403              403      no_pending_decision no_pending_decision 403      403   403   403      403
return_to_mediator 403              403              403      refund_failed       refund_failed       403      403   403   403      403
accept_decision    409              409              403      403                 403                 403      403   403   403      403
finalise           403              403              403      403                 403                 403      403   409   403      409
appeal             not_under_appeal not_under_appeal 403      403                 403                 403      403   403   403      403
withdraw           refund_failed    403              403      403                 403                 403      403   403   403      403
settle_refund      403              403              403      403                 403                 403      403   403   refunded refunded
fail_refund        403              403              403      403                 403                 403      403   409   409      409
retry_refund       403              403              403      refund              refund              403      403   403   403      403
settle_elsewhere   403              403              403      refunded            refunded            403      403   403   403      403
""",
    "decided": """
action             buyer     seller    mediator senior supervisor platform admin clock  gateway system
notify_seller      403       403       409      403    403        409      403   409    403     403
agree              403       409       403      403    403        403      403   409    403     403
refuse             403       409       403      403    403        403      403   403    403     403
offer              409       409       403      403    403        403      403   403    403     403
accept_offer       409       409       403      403    403        403      403   403    403     403
decline_offer      409       409       403      403    403        403      403   403    403     403
request_mediation  409       409       403      403    403        403      403   409    403     403
take               403       403       409      409    409        403      403   403    403     403
release            403       403       409      409    409        403      403   403    403     403
escalate           403       403       409      403    403        403      403   409    403     403
decide             403       403       409      409    409        403      403   403    403     403
approve            403       403       403      409    409        403      403   403    403     403
return_to_mediator 403       403       403      409    409        403      403   403    403     403
accept_decision    decided   decided   403      403    403        403      403   403    403     403
finalise           403       403       403      403    403        403      403   refund 403     refund
appeal             escalated escalated 403      403    403        403      403   403    403     403
withdraw           409       403       403      403    403        403      403   403    403     403
settle_refund      403       403       403      403    403        403      403   403    409     409
fail_refund        403       403       403      403    403        403      403   409    409     409
retry_refund       403       403       403      409    409        403      403   403    403     403
settle_elsewhere   403       403       403      409    409        403      403   403    403     403
""",
    "refund": """
action             buyer seller mediator senior supervisor platform admin clock     gateway   system
notify_seller      403   403    409      403    403        409      403   409       403       403
agree              403   409    403      403    403        403      403   409       403       403
refuse             403   409    403      403    403        403      403   403       403       403
offer              409   409    403      403    403        403      403   403       403       403
accept_offer       409   409    403      403    403        403      403   403       403       403
decline_offer      409   409    403      403    403        403      403   403       403       403
request_mediation  409   409    403      403    403        403      403   409       403       403
take               403   403    409      409    409        403      403   403       403       403
release            403   403    409      409    409        403      403   403       403       403
escalate           403   403    409      403    403        403      403   409       403       403
decide             403   403    409      409    409        403      403   403       403       403
approve            403   403    403      409    409        403      403   403       403       403
return_to_mediator 403   403    403      409    409        403      403   403       403       403
accept_decision    409   409    403      403    403        403      403   403       403       403
finalise           403   403    403      403    403        403      403   409       403       409
appeal             409   409    403      403    403        403      403   403       403       403
withdraw           409   403    403      403    403        403      403   403       403       403
settle_refund      403   403    403      403    403        403      403   403       refunded  refunded
fail_refund        403   403    403      403    403        403      403   escalated escalated escalated
retry_refund       403   403    403      409    409        403      403   403       403       403
settle_elsewhere   403   403    403      409    409        403      403   403       403       403
""",
    "refunded": """
action             buyer seller mediator senior supervisor platform admin clock gateway system
notify_seller      403   403    409      403    403        409      403   409   403     403
agree              403   409    403      403    403        403      403   409   403     403
refuse             403   409    403      403    403        403      403   403   403     403
offer              409   409    403      403    403        403      403   403   403     403
accept_offer       409   409    403      403    403        403      403   403   403     403
decline_offer      409   409    403      403    403        403      403   403   403     403
request_mediation  409   409    403      403    403        403      403   409   403     403
take               403   403    409      409    409        403      403   403   403     403
release            403   403    409      409    409        403      403   403   403     403
escalate           403   403    409      403    403        403      403   409   403     403
decide             403   403    409      409    409        403      403   403   403     403
approve            403   403    403      409    409        403      403   403   403     403
return_to_mediator 403   403    403      409    409        403      403   403   403     403
accept_decision    409   409    403      403    403        403      403   403   403     403
finalise           403   403    403      403    403        403      403   409   403     409
appeal             409   409    403      403    403        403      403   403   403     403
withdraw           409   403    403      403    403        403      403   403   403     403
settle_refund      403   403    403      403    403        403      403   403   409     409
fail_refund        403   403    403      403    403        403      403   409   409     409
retry_refund       403   403    403      409    409        403      403   403   403     403
settle_elsewhere   403   403    403      409    409        403      403   403   403     403
""",
    "closed": """
action             buyer seller mediator senior supervisor platform admin clock gateway system
notify_seller      403   403    409      403    403        409      403   409   403     403
agree              403   409    403      403    403        403      403   409   403     403
refuse             403   409    403      403    403        403      403   403   403     403
offer              409   409    403      403    403        403      403   403   403     403
accept_offer       409   409    403      403    403        403      403   403   403     403
decline_offer      409   409    403      403    403        403      403   403   403     403
request_mediation  409   409    403      403    403        403      403   409   403     403
take               403   403    409      409    409        403      403   403   403     403
release            403   403    409      409    409        403      403   403   403     403
escalate           403   403    409      403    403        403      403   409   403     403
decide             403   403    409      409    409        403      403   403   403     403
approve            403   403    403      409    409        403      403   403   403     403
return_to_mediator 403   403    403      409    409        403      403   403   403     403
accept_decision    409   409    403      403    403        403      403   403   403     403
finalise           403   403    403      403    403        403      403   409   403     409
appeal             409   409    403      403    403        403      403   403   403     403
withdraw           409   403    403      403    403        403      403   403   403     403
settle_refund      403   403    403      403    403        403      403   403   409     409
fail_refund        403   403    403      403    403        403      403   409   409     409
retry_refund       403   403    403      409    409        403      403   403   403     403
settle_elsewhere   403   403    403      409    409        403      403   403   403     403
""",
}

#: Where the API's answer is one step further: a decision on appeal is final at once, in the same transaction.
FURTHER_OVER_THE_API = {
    ("escalated, appeal by the seller", "decide", "senior"): "refund",
    ("escalated, appeal by the seller", "decide", "supervisor"): "refund",
}

#: The status of each rule in the table: 409 where somebody else's hand is in the way, 422 where the rule itself is.
STATUS_OF = {
    "own_offer": 422,
    "no_offer_made": 422,
    "not_assigned_to_you": 409,
    "no_pending_decision": 422,
    "not_under_appeal": 422,
    "appeal_pending": 422,
    "already_appealed": 422,
    "decision_issued": 422,
    "refund_failed": 422,
    "refund_not_failed": 422,
}

ACTIONS = (
    "notify_seller",
    "agree",
    "refuse",
    "offer",
    "accept_offer",
    "decline_offer",
    "request_mediation",
    "take",
    "release",
    "escalate",
    "decide",
    "approve",
    "return_to_mediator",
    "accept_decision",
    "finalise",
    "appeal",
    "withdraw",
    "settle_refund",
    "fail_refund",
    "retry_refund",
    "settle_elsewhere",
)
ROLES = ("buyer", "seller", "mediator", "senior", "supervisor", "platform", "admin", "clock", "gateway", "system")
TOKEN_ROLES = ("buyer", "seller", "mediator", "senior", "supervisor", "platform", "admin")


def _read(table: str) -> dict[str, dict[str, str]]:
    """{action: {role: cell}}"""
    (_, *roles), *rows = (line.split() for line in table.strip().splitlines())
    return {action: dict(zip(roles, cells, strict=True)) for action, *cells in rows}


CELLS = {place: _read(table) for place, table in TABLES.items()}
ROWS = [(place, action) for place, actions in CELLS.items() for action in actions]

_REFUSAL = {"reason": "as_described", "statement": "It is what was shown."}
_OFFER = {"remedy": "partial_refund", "amount": money(200), "note": "a fifth?"}
#: A body that each action accepts, so that nothing but the procedure can refuse it.
BODIES: dict[str, Any] = {
    "refuse": _REFUSAL,
    "offer": _OFFER,
    "escalate": {"reason": "complex"},
    "decide": decision(5_000),
    "appeal": {"grounds": "The carrier was late, not us."},
    "settle_elsewhere": {"proof": "M-1"},
}


# --- over the API ------------------------------------------------------------------------------------------------

#: How a case is brought to each place of the table; above the mediator's authority a decision waits.
WAYS = {
    "escalated, complex": lambda story: story.at("escalated"),
    "escalated, decision pending": lambda story: story.at("pending", paid=60_000),
    "escalated, appeal by the seller": lambda story: story.at("appealed"),
    "escalated, refund failed": lambda story: story.failed_refund(),
}


def _case_at(story: Story, place: str) -> str:
    case = WAYS[place](story) if place in WAYS else story.at(place)
    if place == "escalated, refund failed":
        filed = story.post("mediator", f"/cases/{case}/exhibits", CHAT)
        assert filed.status_code == 201, filed.get_data(as_text=True)
    return str(case)


@pytest.fixture(scope="module")
def standing(shared: Story) -> dict[str, str]:
    """One case for each place of the table, for all that is refused there."""
    return {place: _case_at(shared, place) for place in CELLS}


_WRITTEN = text(
    "SELECT c.state, c.version, c.head, c.updated_at, c.waiting_on, c.assignee, c.reserved_minor, "
    "(SELECT count(*) FROM docket_entries e WHERE e.case_id = c.id), "
    "(SELECT count(*) FROM docket_openings o WHERE o.case_id = c.id), "
    "(SELECT count(*) FROM offers f WHERE f.case_id = c.id), "
    "(SELECT count(*) FROM decisions d WHERE d.case_id = c.id), "
    "(SELECT count(*) FROM refunds r WHERE r.case_id = c.id) FROM cases c WHERE c.id = :id"
)


def _written(story: Story, case: str) -> tuple[Any, ...]:
    """All that an action could have written."""
    with story.services.engine.connect() as connection:
        return tuple(connection.execute(_WRITTEN, {"id": uuid.UUID(case)}).one())


def _outcome(story: Story, who: str, case: str, action: str) -> tuple[int, str]:
    """(status, state or code) of an action over the API."""
    response = story.act(who, case, action, BODIES.get(action))
    told = response.get_json()
    return response.status_code, told["state"] if response.status_code == 200 else told["code"]


def _expected(cell: str) -> tuple[int, str]:
    if cell == "403":
        return 403, "not_permitted"
    if cell == "409":
        return 409, "wrong_state"
    return (STATUS_OF[cell], cell) if cell in STATUS_OF else (200, cell)


@pytest.mark.parametrize(("place", "action"), ROWS)
def test_over_the_api_each_role_gets_what_the_table_says(
    shared: Story, standing: dict[str, str], place: str, action: str
) -> None:
    for role in TOKEN_ROLES:
        cell = FURTHER_OVER_THE_API.get((place, action, role), CELLS[place][action][role])
        status, told = _expected(cell)
        if status == 200:
            case = _case_at(shared, place)
            assert _outcome(shared, role, case, action) == (200, told), role
            continue
        case = standing[place]
        before = _written(shared, case)
        assert _outcome(shared, role, case, action) == (status, told), role
        assert _written(shared, case) == before, f"{role}: a refused action wrote something"


@pytest.mark.parametrize("place", CELLS)
def test_a_case_offers_each_role_exactly_the_actions_that_succeed(
    shared: Story, standing: dict[str, str], place: str
) -> None:
    for role in TOKEN_ROLES:
        cells = {action: row[role] for action, row in CELLS[place].items() if row[role] != "403"}
        answered = shared.get(role, f"/cases/{standing[place]}").get_json()
        offered = {action for action, cell in cells.items() if _expected(cell)[0] == 200}
        assert {one["name"] for one in answered["actions"]} == offered, role
        assert {one["name"] for one in answered["unavailable_actions"]} == cells.keys() - offered, role
        assert all(one["why"] for one in answered["unavailable_actions"])


@pytest.mark.parametrize("place", CELLS)
def test_a_wrong_state_answer_names_what_can_be_done_instead(
    shared: Story, standing: dict[str, str], place: str
) -> None:
    for role in TOKEN_ROLES:
        row = {action: cells[role] for action, cells in CELLS[place].items()}
        wrong = [action for action, cell in row.items() if cell == "409"]
        possible = {action for action, cell in row.items() if _expected(cell)[0] == 200}
        for action in wrong[:1]:
            response = shared.act(role, standing[place], action, BODIES.get(action))
            assert set(response.get_json()["actions"]) == possible, (role, action)


# --- at the procedure --------------------------------------------------------------------------------------------

PLAIN: dict[str, dict[str, Any]] = {
    "opened": {},
    "seller_notified": {},
    "negotiating": {"offers_made": 1, "open_offer_by": "seller"},
    "seller_refused": {},
    "under_review": {},
    "escalated, complex": {"escalation_reason": "complex", "level": 1},
    "escalated, decision pending": {
        "escalation_reason": "amount_over_authority",
        "level": 1,
        "pending_decision_by": "mia",
    },
    "escalated, appeal by the seller": {
        "escalation_reason": "appeal",
        "level": 1,
        "decisions_issued": 1,
        "decided_by": "mia",
        "appealed_by_seller": True,
    },
    "escalated, refund failed": {"escalation_reason": "refund_failed", "level": 1},
    "decided": {"decisions_issued": 1, "decided_by": "mia", "assignee": "mia"},
    "refund": {},
    "refunded": {},
    "closed": {},
}


@pytest.mark.parametrize(("place", "action"), ROWS)
def test_at_the_procedure_each_actor_gets_what_the_table_says(place: str, action: str) -> None:
    for role, cell in CELLS[place][action].items():
        case = PlainCase(state=place.partition(",")[0], **PLAIN[place])
        before = vars(case).copy()
        try:
            procedure.fire(case, action, act(role))
            found = case.state
        except NotPermitted:
            found = "403"
        except WrongState:
            found = "409"
        except Refused as refused:
            found = refused.code
        assert found == cell, role
        after = vars(case)
        assert {name: after[name] for name in after if after[name] != before[name]}.keys() <= {"state"}
        if _expected(cell)[0] != 200:
            assert after == before


# --- the table itself --------------------------------------------------------------------------------------------


def test_the_table_is_whole() -> None:
    """13 places x 21 actions x 10 roles; a cell that is missing would be a cell that is not tried."""
    assert len(CELLS) == 13
    assert CELLS.keys() == PLAIN.keys()
    for rows in CELLS.values():
        assert tuple(rows) == ACTIONS
        assert all(tuple(cells) == ROLES for cells in rows.values())


def test_the_table_names_every_action_and_every_state_of_the_procedure() -> None:
    assert set(ACTIONS) == set(procedure.ACTIONS)
    assert {place.partition(",")[0] for place in CELLS} == set(procedure.CaseState)


def test_a_role_is_refused_by_name_everywhere_or_nowhere() -> None:
    for action in ACTIONS:
        for role in ROLES:
            cells = [CELLS[place][action][role] for place in CELLS]
            assert len({cell == "403" for cell in cells}) == 1, (action, role)


def test_what_time_gateway_and_system_do_is_refused_to_every_token() -> None:
    for action in ("finalise", "settle_refund", "fail_refund"):
        for place in CELLS:
            assert {CELLS[place][action][role] for role in TOKEN_ROLES} == {"403"}


def test_a_decision_that_grants_nothing_closes_the_case_once_it_is_final() -> None:
    """The one cell with two targets: `finalise` leads to the first leg, or to closed where there is none."""
    for role in ("clock", "system"):
        case = PlainCase(state="decided", **PLAIN["decided"])
        procedure.fire(case, "finalise", act(role, {"legs": ()}))
        assert case.state == "closed"


def test_a_decision_above_the_mediators_authority_escalates_the_case() -> None:
    """The other: `decide` leads to decided, or above the decider's authority to escalated."""
    case = PlainCase(state="under_review")
    procedure.fire(case, "decide", act("mediator", {"amount_minor": 50_001, "authority_minor": 50_000}))
    assert case.state == "escalated"
    case = PlainCase(state="under_review")
    procedure.fire(case, "decide", act("mediator", {"amount_minor": 50_000, "authority_minor": 50_000}))
    assert case.state == "decided"
