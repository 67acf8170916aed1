# ruff: noqa: E501 - the table is read by its columns
"""Every state, every action, every role: what docs/lifecycle.md says comes of it.

The table is typed from there and from nothing else. A cell holds the state that the case comes to, or why not:
403, the role is not named for the action at all; 409, it is, but not from this state; or the code of the rule that
stands against it. It is tried twice: over the API with a real case, and at the procedure with a plain object, where
the three actors act whom no token ever names (clock, gateway, system).

Where lifecycle.md leaves a cell open, this is how it is meant: while a refund's fate is unknown nothing but the refund
is dealt with, so that such a case is neither suspended nor asked about; under an appeal only a new decision sends money,
so that `refund_now` is refused; silence is taken for consent where the seller's time to answer runs, which is in
seller_notified alone; a mediator's proposal is answered before anything else is offered; and each of the staff asks
for evidence where they decide, the mediator in under_review, seniors in escalated.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, text

from mediation import docket, paying
from mediation.gateways import LedgerGateway
from mediation.models import Case, Refund
from mediation.operations import refunds
from mediation.operations.firing import FIRES
from tests.mediation.story import CHAT, Story, decision, money
from tests.workflows.cases import FACTS, STILL_OPEN, PlainCase, act
from tests.workflows.life import TALKS, Life, take
from workflows import procedure
from workflows.acts import CaseLike
from workflows.refusals import NotPermitted, Refused, WrongState

TABLES = {
    "opened": """
action               buyer  seller mediator        senior    supervisor platform        admin clock           gateway system
notify_seller        403    403    seller_notified 403       403        seller_notified 403   seller_notified 403     403
agree                403    409    403             403       403        403             403   409             403     403
refuse               403    409    403             403       403        403             403   403             403     403
offer                409    409    403             403       403        403             403   403             403     403
accept_offer         409    409    403             403       403        403             403   403             403     403
decline_offer        409    409    403             403       403        403             403   403             403     403
expire_offer         403    403    403             403       403        403             403   409             403     403
propose              403    403    409             403       403        403             403   403             403     403
request_mediation    409    409    403             403       403        403             403   409             403     403
lapse                403    403    403             403       403        403             403   409             403     403
ship_return          409    403    403             403       403        403             403   403             403     403
confirm_return       403    409    403             403       403        403             403   403             403     403
dispute_return       403    409    403             403       403        403             403   403             403     403
conclude_inspection  403    403    403             403       403        403             403   409             403     403
perform              403    409    403             403       403        403             403   403             403     403
confirm_performance  409    403    403             403       403        403             403   403             403     403
dispute_performance  409    403    403             403       403        403             403   403             403     403
conclude_performance 403    403    403             403       403        403             403   409             403     403
refund_in_place      403    403    403             403       403        403             403   409             403     403
take                 403    403    409             409       409        403             403   403             403     403
release              403    403    409             409       409        403             403   403             403     403
hand_over            403    403    409             409       409        403             403   403             403     403
request_evidence     403    403    409             409       409        403             403   403             403     403
evidence_complete    403    403    403             403       403        403             403   403             403     409
default_evidence     403    403    403             403       403        403             403   409             403     403
end_evidence_request 403    403    409             409       409        403             403   403             403     403
extend               403    403    409             409       409        403             403   403             403     403
decide               403    403    409             409       409        403             403   403             403     403
approve              403    403    403             409       409        403             403   403             403     403
return_to_mediator   403    403    403             409       409        403             403   403             403     403
escalate             403    403    409             403       403        403             403   409             403     403
raise_level          403    403    403             403       403        403             403   409             403     403
refund_now           403    403    409             409       409        403             403   403             403     403
remind_seller        403    403    409             403       403        409             403   403             403     403
accept_decision      409    409    403             403       403        403             403   403             403     403
finalise             403    403    403             403       403        403             403   409             403     409
appeal               409    409    403             403       403        403             403   403             403     403
withdraw             closed 403    403             403       403        403             403   403             403     403
suspend              403    403    suspended       suspended suspended  403             403   403             403     403
resume               403    403    409             409       409        403             403   409             403     403
settle_refund        403    403    403             403       403        403             403   403             409     409
fail_refund          403    403    403             403       403        403             403   409             409     409
retry_refund         403    403    403             409       409        403             403   403             403     403
settle_elsewhere     403    403    403             409       409        403             403   403             403     403
""",
    "seller_notified": """
action               buyer       seller         mediator        senior          supervisor      platform        admin clock        gateway system
notify_seller        403         403            409             403             403             409             403   409          403     403
agree                403         refund         403             403             403             403             403   refund       403     403
refuse               403         seller_refused 403             403             403             403             403   403          403     403
offer                negotiating negotiating    403             403             403             403             403   403          403     403
accept_offer         409         409            403             403             403             403             403   403          403     403
decline_offer        409         409            403             403             403             403             403   403          403     403
expire_offer         403         403            403             403             403             403             403   409          403     403
propose              403         403            409             403             403             403             403   403          403     403
request_mediation    409         409            403             403             403             403             403   under_review 403     403
lapse                403         403            403             403             403             403             403   409          403     403
ship_return          409         403            403             403             403             403             403   403          403     403
confirm_return       403         409            403             403             403             403             403   403          403     403
dispute_return       403         409            403             403             403             403             403   403          403     403
conclude_inspection  403         403            403             403             403             403             403   409          403     403
perform              403         409            403             403             403             403             403   403          403     403
confirm_performance  409         403            403             403             403             403             403   403          403     403
dispute_performance  409         403            403             403             403             403             403   403          403     403
conclude_performance 403         403            403             403             403             403             403   409          403     403
refund_in_place      403         403            403             403             403             403             403   409          403     403
take                 403         403            409             409             409             403             403   403          403     403
release              403         403            409             409             409             403             403   403          403     403
hand_over            403         403            409             409             409             403             403   403          403     403
request_evidence     403         403            409             409             409             403             403   403          403     403
evidence_complete    403         403            403             403             403             403             403   403          403     409
default_evidence     403         403            403             403             403             403             403   409          403     403
end_evidence_request 403         403            409             409             409             403             403   403          403     403
extend               403         403            seller_notified seller_notified seller_notified 403             403   403          403     403
decide               403         403            409             409             409             403             403   403          403     403
approve              403         403            403             409             409             403             403   403          403     403
return_to_mediator   403         403            403             409             409             403             403   403          403     403
escalate             403         403            409             403             403             403             403   409          403     403
raise_level          403         403            403             403             403             403             403   409          403     403
refund_now           403         403            refund          refund          refund          403             403   403          403     403
remind_seller        403         403            seller_notified 403             403             seller_notified 403   403          403     403
accept_decision      409         409            403             403             403             403             403   403          403     403
finalise             403         403            403             403             403             403             403   409          403     409
appeal               409         409            403             403             403             403             403   403          403     403
withdraw             closed      403            403             403             403             403             403   403          403     403
suspend              403         403            suspended       suspended       suspended       403             403   403          403     403
resume               403         403            409             409             409             403             403   409          403     403
settle_refund        403         403            403             403             403             403             403   403          409     409
fail_refund          403         403            403             403             403             403             403   409          409     409
retry_refund         403         403            403             409             409             403             403   403          403     403
settle_elsewhere     403         403            403             409             409             403             403   403          403     403
""",
    "negotiating, the seller's offer": """
action               buyer          seller       mediator              senior      supervisor  platform              admin clock        gateway system
notify_seller        403            403          409                   403         403         409                   403   409          403     403
agree                403            refund       403                   403         403         403                   403   409          403     403
refuse               403            409          403                   403         403         403                   403   403          403     403
offer                negotiating    negotiating  403                   403         403         403                   403   403          403     403
accept_offer         refund         own_offer    403                   403         403         403                   403   403          403     403
decline_offer        seller_refused own_offer    403                   403         403         403                   403   403          403     403
expire_offer         403            403          403                   403         403         403                   403   under_review 403     403
propose              403            403          409                   403         403         403                   403   403          403     403
request_mediation    under_review   under_review 403                   403         403         403                   403   under_review 403     403
lapse                403            403          403                   403         403         403                   403   409          403     403
ship_return          409            403          403                   403         403         403                   403   403          403     403
confirm_return       403            409          403                   403         403         403                   403   403          403     403
dispute_return       403            409          403                   403         403         403                   403   403          403     403
conclude_inspection  403            403          403                   403         403         403                   403   409          403     403
perform              403            409          403                   403         403         403                   403   403          403     403
confirm_performance  409            403          403                   403         403         403                   403   403          403     403
dispute_performance  409            403          403                   403         403         403                   403   403          403     403
conclude_performance 403            403          403                   403         403         403                   403   409          403     403
refund_in_place      403            403          403                   403         403         403                   403   409          403     403
take                 403            403          409                   409         409         403                   403   403          403     403
release              403            403          409                   409         409         403                   403   403          403     403
hand_over            403            403          409                   409         409         403                   403   403          403     403
request_evidence     403            403          409                   409         409         403                   403   403          403     403
evidence_complete    403            403          403                   403         403         403                   403   403          403     409
default_evidence     403            403          403                   403         403         403                   403   409          403     403
end_evidence_request 403            403          409                   409         409         403                   403   403          403     403
extend               403            403          negotiating           negotiating negotiating 403                   403   403          403     403
decide               403            403          409                   409         409         403                   403   403          403     403
approve              403            403          403                   409         409         403                   403   403          403     403
return_to_mediator   403            403          403                   409         409         403                   403   403          403     403
escalate             403            403          409                   403         403         403                   403   409          403     403
raise_level          403            403          403                   403         403         403                   403   409          403     403
refund_now           403            403          409                   409         409         403                   403   403          403     403
remind_seller        403            403          not_waiting_on_seller 403         403         not_waiting_on_seller 403   403          403     403
accept_decision      409            409          403                   403         403         403                   403   403          403     403
finalise             403            403          403                   403         403         403                   403   409          403     409
appeal               409            409          403                   403         403         403                   403   403          403     403
withdraw             closed         403          403                   403         403         403                   403   403          403     403
suspend              403            403          suspended             suspended   suspended   403                   403   403          403     403
resume               403            403          409                   409         409         403                   403   409          403     403
settle_refund        403            403          403                   403         403         403                   403   403          409     409
fail_refund          403            403          403                   403         403         403                   403   409          409     409
retry_refund         403            403          403                   409         409         403                   403   403          403     403
settle_elsewhere     403            403          403                   409         409         403                   403   403          403     403
""",
    "negotiating, a mediator's proposal": """
action               buyer         seller        mediator    senior      supervisor  platform    admin clock        gateway system
notify_seller        403           403           409         403         403         409         403   409          403     403
agree                403           refund        403         403         403         403         403   409          403     403
refuse               403           409           403         403         403         403         403   403          403     403
offer                proposal_open proposal_open 403         403         403         403         403   403          403     403
accept_offer         negotiating   negotiating   403         403         403         403         403   403          403     403
decline_offer        under_review  under_review  403         403         403         403         403   403          403     403
expire_offer         403           403           403         403         403         403         403   under_review 403     403
propose              403           403           409         403         403         403         403   403          403     403
request_mediation    under_review  under_review  403         403         403         403         403   under_review 403     403
lapse                403           403           403         403         403         403         403   409          403     403
ship_return          409           403           403         403         403         403         403   403          403     403
confirm_return       403           409           403         403         403         403         403   403          403     403
dispute_return       403           409           403         403         403         403         403   403          403     403
conclude_inspection  403           403           403         403         403         403         403   409          403     403
perform              403           409           403         403         403         403         403   403          403     403
confirm_performance  409           403           403         403         403         403         403   403          403     403
dispute_performance  409           403           403         403         403         403         403   403          403     403
conclude_performance 403           403           403         403         403         403         403   409          403     403
refund_in_place      403           403           403         403         403         403         403   409          403     403
take                 403           403           409         409         409         403         403   403          403     403
release              403           403           409         409         409         403         403   403          403     403
hand_over            403           403           409         409         409         403         403   403          403     403
request_evidence     403           403           409         409         409         403         403   403          403     403
evidence_complete    403           403           403         403         403         403         403   403          403     409
default_evidence     403           403           403         403         403         403         403   409          403     403
end_evidence_request 403           403           409         409         409         403         403   403          403     403
extend               403           403           negotiating negotiating negotiating 403         403   403          403     403
decide               403           403           409         409         409         403         403   403          403     403
approve              403           403           403         409         409         403         403   403          403     403
return_to_mediator   403           403           403         409         409         403         403   403          403     403
escalate             403           403           409         403         403         403         403   409          403     403
raise_level          403           403           403         403         403         403         403   409          403     403
refund_now           403           403           409         409         409         403         403   403          403     403
remind_seller        403           403           negotiating 403         403         negotiating 403   403          403     403
accept_decision      409           409           403         403         403         403         403   403          403     403
finalise             403           403           403         403         403         403         403   409          403     409
appeal               409           409           403         403         403         403         403   403          403     403
withdraw             closed        403           403         403         403         403         403   403          403     403
suspend              403           403           suspended   suspended   suspended   403         403   403          403     403
resume               403           403           409         409         409         403         403   409          403     403
settle_refund        403           403           403         403         403         403         403   403          409     409
fail_refund          403           403           403         403         403         403         403   409          409     409
retry_refund         403           403           403         409         409         403         403   403          403     403
settle_elsewhere     403           403           403         409         409         403         403   403          403     403
""",
    "seller_refused": """
action               buyer        seller        mediator       senior         supervisor     platform admin clock        gateway system
notify_seller        403          403           409            403            403            409      403   409          403     403
agree                403          refund        403            403            403            403      403   409          403     403
refuse               403          409           403            403            403            403      403   403          403     403
offer                negotiating  negotiating   403            403            403            403      403   403          403     403
accept_offer         409          409           403            403            403            403      403   403          403     403
decline_offer        409          409           403            403            403            403      403   403          403     403
expire_offer         403          403           403            403            403            403      403   409          403     403
propose              403          403           409            403            403            403      403   403          403     403
request_mediation    under_review no_offer_made 403            403            403            403      403   under_review 403     403
lapse                403          403           403            403            403            403      403   closed       403     403
ship_return          409          403           403            403            403            403      403   403          403     403
confirm_return       403          409           403            403            403            403      403   403          403     403
dispute_return       403          409           403            403            403            403      403   403          403     403
conclude_inspection  403          403           403            403            403            403      403   409          403     403
perform              403          409           403            403            403            403      403   403          403     403
confirm_performance  409          403           403            403            403            403      403   403          403     403
dispute_performance  409          403           403            403            403            403      403   403          403     403
conclude_performance 403          403           403            403            403            403      403   409          403     403
refund_in_place      403          403           403            403            403            403      403   409          403     403
take                 403          403           409            409            409            403      403   403          403     403
release              403          403           409            409            409            403      403   403          403     403
hand_over            403          403           409            409            409            403      403   403          403     403
request_evidence     403          403           409            409            409            403      403   403          403     403
evidence_complete    403          403           403            403            403            403      403   403          403     409
default_evidence     403          403           403            403            403            403      403   409          403     403
end_evidence_request 403          403           409            409            409            403      403   403          403     403
extend               403          403           seller_refused seller_refused seller_refused 403      403   403          403     403
decide               403          403           409            409            409            403      403   403          403     403
approve              403          403           403            409            409            403      403   403          403     403
return_to_mediator   403          403           403            409            409            403      403   403          403     403
escalate             403          403           409            403            403            403      403   409          403     403
raise_level          403          403           403            403            403            403      403   409          403     403
refund_now           403          403           refund         refund         refund         403      403   403          403     403
remind_seller        403          403           409            403            403            409      403   403          403     403
accept_decision      409          409           403            403            403            403      403   403          403     403
finalise             403          403           403            403            403            403      403   409          403     409
appeal               409          409           403            403            403            403      403   403          403     403
withdraw             closed       403           403            403            403            403      403   403          403     403
suspend              403          403           suspended      suspended      suspended      403      403   403          403     403
resume               403          403           409            409            409            403      403   409          403     403
settle_refund        403          403           403            403            403            403      403   403          409     409
fail_refund          403          403           403            403            403            403      403   409          409     409
retry_refund         403          403           403            409            409            403      403   403          403     403
settle_elsewhere     403          403           403            409            409            403      403   403          403     403
""",
    "awaiting_return": """
action               buyer               seller mediator        senior          supervisor      platform admin clock  gateway system
notify_seller        403                 403    409             403             403             409      403   409    403     403
agree                403                 409    403             403             403             403      403   409    403     403
refuse               403                 409    403             403             403             403      403   403    403     403
offer                409                 409    403             403             403             403      403   403    403     403
accept_offer         409                 409    403             403             403             403      403   403    403     403
decline_offer        409                 409    403             403             403             403      403   403    403     403
expire_offer         403                 403    403             403             403             403      403   409    403     403
propose              403                 403    409             403             403             403      403   403    403     403
request_mediation    409                 409    403             403             403             403      403   409    403     403
lapse                403                 403    403             403             403             403      403   closed 403     403
ship_return          awaiting_inspection 403    403             403             403             403      403   403    403     403
confirm_return       403                 409    403             403             403             403      403   403    403     403
dispute_return       403                 409    403             403             403             403      403   403    403     403
conclude_inspection  403                 403    403             403             403             403      403   409    403     403
perform              403                 409    403             403             403             403      403   403    403     403
confirm_performance  409                 403    403             403             403             403      403   403    403     403
dispute_performance  409                 403    403             403             403             403      403   403    403     403
conclude_performance 403                 403    403             403             403             403      403   409    403     403
refund_in_place      403                 403    403             403             403             403      403   409    403     403
take                 403                 403    409             409             409             403      403   403    403     403
release              403                 403    409             409             409             403      403   403    403     403
hand_over            403                 403    409             409             409             403      403   403    403     403
request_evidence     403                 403    409             409             409             403      403   403    403     403
evidence_complete    403                 403    403             403             403             403      403   403    403     409
default_evidence     403                 403    403             403             403             403      403   409    403     403
end_evidence_request 403                 403    409             409             409             403      403   403    403     403
extend               403                 403    awaiting_return awaiting_return awaiting_return 403      403   403    403     403
decide               403                 403    409             409             409             403      403   403    403     403
approve              403                 403    403             409             409             403      403   403    403     403
return_to_mediator   403                 403    403             409             409             403      403   403    403     403
escalate             403                 403    409             403             403             403      403   409    403     403
raise_level          403                 403    403             403             403             403      403   409    403     403
refund_now           403                 403    409             409             409             403      403   403    403     403
remind_seller        403                 403    409             403             403             409      403   403    403     403
accept_decision      409                 409    403             403             403             403      403   403    403     403
finalise             403                 403    403             403             403             403      403   409    403     409
appeal               409                 409    403             403             403             403      403   403    403     403
withdraw             closed              403    403             403             403             403      403   403    403     403
suspend              403                 403    suspended       suspended       suspended       403      403   403    403     403
resume               403                 403    409             409             409             403      403   409    403     403
settle_refund        403                 403    403             403             403             403      403   403    409     409
fail_refund          403                 403    403             403             403             403      403   409    409     409
retry_refund         403                 403    403             409             409             403      403   403    403     403
settle_elsewhere     403                 403    403             409             409             403      403   403    403     403
""",
    "awaiting_inspection": """
action               buyer  seller       mediator            senior              supervisor          platform            admin clock        gateway system
notify_seller        403    403          409                 403                 403                 409                 403   409          403     403
agree                403    409          403                 403                 403                 403                 403   409          403     403
refuse               403    409          403                 403                 403                 403                 403   403          403     403
offer                409    409          403                 403                 403                 403                 403   403          403     403
accept_offer         409    409          403                 403                 403                 403                 403   403          403     403
decline_offer        409    409          403                 403                 403                 403                 403   403          403     403
expire_offer         403    403          403                 403                 403                 403                 403   409          403     403
propose              403    403          409                 403                 403                 403                 403   403          403     403
request_mediation    409    409          403                 403                 403                 403                 403   under_review 403     403
lapse                403    403          403                 403                 403                 403                 403   409          403     403
ship_return          409    403          403                 403                 403                 403                 403   403          403     403
confirm_return       403    refund       403                 403                 403                 403                 403   403          403     403
dispute_return       403    under_review 403                 403                 403                 403                 403   403          403     403
conclude_inspection  403    403          403                 403                 403                 403                 403   refund       403     403
perform              403    409          403                 403                 403                 403                 403   403          403     403
confirm_performance  409    403          403                 403                 403                 403                 403   403          403     403
dispute_performance  409    403          403                 403                 403                 403                 403   403          403     403
conclude_performance 403    403          403                 403                 403                 403                 403   409          403     403
refund_in_place      403    403          403                 403                 403                 403                 403   409          403     403
take                 403    403          409                 409                 409                 403                 403   403          403     403
release              403    403          409                 409                 409                 403                 403   403          403     403
hand_over            403    403          409                 409                 409                 403                 403   403          403     403
request_evidence     403    403          409                 409                 409                 403                 403   403          403     403
evidence_complete    403    403          403                 403                 403                 403                 403   403          403     409
default_evidence     403    403          403                 403                 403                 403                 403   409          403     403
end_evidence_request 403    403          409                 409                 409                 403                 403   403          403     403
extend               403    403          awaiting_inspection awaiting_inspection awaiting_inspection 403                 403   403          403     403
decide               403    403          409                 409                 409                 403                 403   403          403     403
approve              403    403          403                 409                 409                 403                 403   403          403     403
return_to_mediator   403    403          403                 409                 409                 403                 403   403          403     403
escalate             403    403          409                 403                 403                 403                 403   409          403     403
raise_level          403    403          403                 403                 403                 403                 403   409          403     403
refund_now           403    403          refund              refund              refund              403                 403   403          403     403
remind_seller        403    403          awaiting_inspection 403                 403                 awaiting_inspection 403   403          403     403
accept_decision      409    409          403                 403                 403                 403                 403   403          403     403
finalise             403    403          403                 403                 403                 403                 403   409          403     409
appeal               409    409          403                 403                 403                 403                 403   403          403     403
withdraw             closed 403          403                 403                 403                 403                 403   403          403     403
suspend              403    403          suspended           suspended           suspended           403                 403   403          403     403
resume               403    403          409                 409                 409                 403                 403   409          403     403
settle_refund        403    403          403                 403                 403                 403                 403   403          409     409
fail_refund          403    403          403                 403                 403                 403                 403   409          409     409
retry_refund         403    403          403                 409                 409                 403                 403   403          403     403
settle_elsewhere     403    403          403                 409                 409                 403                 403   403          403     403
""",
    "awaiting_performance": """
action               buyer         seller               mediator             senior               supervisor           platform             admin clock         gateway system
notify_seller        403           403                  409                  403                  403                  409                  403   409           403     403
agree                403           409                  403                  403                  403                  403                  403   409           403     403
refuse               403           409                  403                  403                  403                  403                  403   403           403     403
offer                409           409                  403                  403                  403                  403                  403   403           403     403
accept_offer         409           409                  403                  403                  403                  403                  403   403           403     403
decline_offer        409           409                  403                  403                  403                  403                  403   403           403     403
expire_offer         403           403                  403                  403                  403                  403                  403   409           403     403
propose              403           403                  409                  403                  403                  403                  403   403           403     403
request_mediation    409           409                  403                  403                  403                  403                  403   409           403     403
lapse                403           403                  403                  403                  403                  403                  403   409           403     403
ship_return          409           403                  403                  403                  403                  403                  403   403           403     403
confirm_return       403           409                  403                  403                  403                  403                  403   403           403     403
dispute_return       403           409                  403                  403                  403                  403                  403   403           403     403
conclude_inspection  403           403                  403                  403                  403                  403                  403   409           403     403
perform              403           awaiting_performance 403                  403                  403                  403                  403   403           403     403
confirm_performance  not_performed 403                  403                  403                  403                  403                  403   403           403     403
dispute_performance  not_performed 403                  403                  403                  403                  403                  403   403           403     403
conclude_performance 403           403                  403                  403                  403                  403                  403   not_performed 403     403
refund_in_place      403           403                  403                  403                  403                  403                  403   refund        403     403
take                 403           403                  409                  409                  409                  403                  403   403           403     403
release              403           403                  409                  409                  409                  403                  403   403           403     403
hand_over            403           403                  409                  409                  409                  403                  403   403           403     403
request_evidence     403           403                  409                  409                  409                  403                  403   403           403     403
evidence_complete    403           403                  403                  403                  403                  403                  403   403           403     409
default_evidence     403           403                  403                  403                  403                  403                  403   409           403     403
end_evidence_request 403           403                  409                  409                  409                  403                  403   403           403     403
extend               403           403                  awaiting_performance awaiting_performance awaiting_performance 403                  403   403           403     403
decide               403           403                  409                  409                  409                  403                  403   403           403     403
approve              403           403                  403                  409                  409                  403                  403   403           403     403
return_to_mediator   403           403                  403                  409                  409                  403                  403   403           403     403
escalate             403           403                  409                  403                  403                  403                  403   409           403     403
raise_level          403           403                  403                  403                  403                  403                  403   409           403     403
refund_now           403           403                  409                  409                  409                  403                  403   403           403     403
remind_seller        403           403                  awaiting_performance 403                  403                  awaiting_performance 403   403           403     403
accept_decision      409           409                  403                  403                  403                  403                  403   403           403     403
finalise             403           403                  403                  403                  403                  403                  403   409           403     409
appeal               409           409                  403                  403                  403                  403                  403   403           403     403
withdraw             closed        403                  403                  403                  403                  403                  403   403           403     403
suspend              403           403                  suspended            suspended            suspended            403                  403   403           403     403
resume               403           403                  409                  409                  409                  403                  403   409           403     403
settle_refund        403           403                  403                  403                  403                  403                  403   403           409     409
fail_refund          403           403                  403                  403                  403                  403                  403   409           409     409
retry_refund         403           403                  403                  409                  409                  403                  403   403           403     403
settle_elsewhere     403           403                  403                  409                  409                  403                  403   403           403     403
""",
    "awaiting_performance, performed": """
action               buyer        seller            mediator              senior               supervisor           platform              admin clock             gateway system
notify_seller        403          403               409                   403                  403                  409                   403   409               403     403
agree                403          409               403                   403                  403                  403                   403   409               403     403
refuse               403          409               403                   403                  403                  403                   403   403               403     403
offer                409          409               403                   403                  403                  403                   403   403               403     403
accept_offer         409          409               403                   403                  403                  403                   403   403               403     403
decline_offer        409          409               403                   403                  403                  403                   403   403               403     403
expire_offer         403          403               403                   403                  403                  403                   403   409               403     403
propose              403          403               409                   403                  403                  403                   403   403               403     403
request_mediation    409          409               403                   403                  403                  403                   403   409               403     403
lapse                403          403               403                   403                  403                  403                   403   409               403     403
ship_return          409          403               403                   403                  403                  403                   403   403               403     403
confirm_return       403          409               403                   403                  403                  403                   403   403               403     403
dispute_return       403          409               403                   403                  403                  403                   403   403               403     403
conclude_inspection  403          403               403                   403                  403                  403                   403   409               403     403
perform              403          already_performed 403                   403                  403                  403                   403   403               403     403
confirm_performance  closed       403               403                   403                  403                  403                   403   403               403     403
dispute_performance  under_review 403               403                   403                  403                  403                   403   403               403     403
conclude_performance 403          403               403                   403                  403                  403                   403   closed            403     403
refund_in_place      403          403               403                   403                  403                  403                   403   already_performed 403     403
take                 403          403               409                   409                  409                  403                   403   403               403     403
release              403          403               409                   409                  409                  403                   403   403               403     403
hand_over            403          403               409                   409                  409                  403                   403   403               403     403
request_evidence     403          403               409                   409                  409                  403                   403   403               403     403
evidence_complete    403          403               403                   403                  403                  403                   403   403               403     409
default_evidence     403          403               403                   403                  403                  403                   403   409               403     403
end_evidence_request 403          403               409                   409                  409                  403                   403   403               403     403
extend               403          403               awaiting_performance  awaiting_performance awaiting_performance 403                   403   403               403     403
decide               403          403               409                   409                  409                  403                   403   403               403     403
approve              403          403               403                   409                  409                  403                   403   403               403     403
return_to_mediator   403          403               403                   409                  409                  403                   403   403               403     403
escalate             403          403               409                   403                  403                  403                   403   409               403     403
raise_level          403          403               403                   403                  403                  403                   403   409               403     403
refund_now           403          403               409                   409                  409                  403                   403   403               403     403
remind_seller        403          403               not_waiting_on_seller 403                  403                  not_waiting_on_seller 403   403               403     403
accept_decision      409          409               403                   403                  403                  403                   403   403               403     403
finalise             403          403               403                   403                  403                  403                   403   409               403     409
appeal               409          409               403                   403                  403                  403                   403   403               403     403
withdraw             closed       403               403                   403                  403                  403                   403   403               403     403
suspend              403          403               suspended             suspended            suspended            403                   403   403               403     403
resume               403          403               409                   409                  409                  403                   403   409               403     403
settle_refund        403          403               403                   403                  403                  403                   403   403               409     409
fail_refund          403          403               403                   403                  403                  403                   403   409               409     409
retry_refund         403          403               403                   409                  409                  403                   403   403               403     403
settle_elsewhere     403          403               403                   409                  409                  403                   403   403               403     403
""",
    "under_review": """
action               buyer  seller mediator            senior    supervisor platform admin clock     gateway system
notify_seller        403    403    409                 403       403        409      403   409       403     403
agree                403    refund 403                 403       403        403      403   409       403     403
refuse               403    409    403                 403       403        403      403   403       403     403
offer                409    409    403                 403       403        403      403   403       403     403
accept_offer         409    409    403                 403       403        403      403   403       403     403
decline_offer        409    409    403                 403       403        403      403   403       403     403
expire_offer         403    403    403                 403       403        403      403   409       403     403
propose              403    403    negotiating         403       403        403      403   403       403     403
request_mediation    409    409    403                 403       403        403      403   409       403     403
lapse                403    403    403                 403       403        403      403   409       403     403
ship_return          409    403    403                 403       403        403      403   403       403     403
confirm_return       403    409    403                 403       403        403      403   403       403     403
dispute_return       403    409    403                 403       403        403      403   403       403     403
conclude_inspection  403    403    403                 403       403        403      403   409       403     403
perform              403    409    403                 403       403        403      403   403       403     403
confirm_performance  409    403    403                 403       403        403      403   403       403     403
dispute_performance  409    403    403                 403       403        403      403   403       403     403
conclude_performance 403    403    403                 403       403        403      403   409       403     403
refund_in_place      403    403    403                 403       403        403      403   409       403     403
take                 403    403    under_review        409       409        403      403   403       403     403
release              403    403    not_assigned_to_you 409       409        403      403   403       403     403
hand_over            403    403    not_assigned_to_you 409       409        403      403   403       403     403
request_evidence     403    403    awaiting_evidence   409       409        403      403   403       403     403
evidence_complete    403    403    403                 403       403        403      403   403       403     409
default_evidence     403    403    403                 403       403        403      403   409       403     403
end_evidence_request 403    403    409                 409       409        403      403   403       403     403
extend               403    403    409                 409       409        403      403   403       403     403
decide               403    403    decided             409       409        403      403   403       403     403
approve              403    403    403                 409       409        403      403   403       403     403
return_to_mediator   403    403    403                 409       409        403      403   403       403     403
escalate             403    403    escalated           403       403        403      403   escalated 403     403
raise_level          403    403    403                 403       403        403      403   409       403     403
refund_now           403    403    refund              refund    refund     403      403   403       403     403
remind_seller        403    403    409                 403       403        409      403   403       403     403
accept_decision      409    409    403                 403       403        403      403   403       403     403
finalise             403    403    403                 403       403        403      403   409       403     409
appeal               409    409    403                 403       403        403      403   403       403     403
withdraw             closed 403    403                 403       403        403      403   403       403     403
suspend              403    403    suspended           suspended suspended  403      403   403       403     403
resume               403    403    409                 409       409        403      403   409       403     403
settle_refund        403    403    403                 403       403        403      403   403       409     409
fail_refund          403    403    403                 403       403        403      403   409       409     409
retry_refund         403    403    403                 409       409        403      403   403       403     403
settle_elsewhere     403    403    403                 409       409        403      403   403       403     403
""",
    "under_review, the mediator has it": """
action               buyer  seller mediator          senior    supervisor platform admin clock     gateway system
notify_seller        403    403    409               403       403        409      403   409       403     403
agree                403    refund 403               403       403        403      403   409       403     403
refuse               403    409    403               403       403        403      403   403       403     403
offer                409    409    403               403       403        403      403   403       403     403
accept_offer         409    409    403               403       403        403      403   403       403     403
decline_offer        409    409    403               403       403        403      403   403       403     403
expire_offer         403    403    403               403       403        403      403   409       403     403
propose              403    403    negotiating       403       403        403      403   403       403     403
request_mediation    409    409    403               403       403        403      403   409       403     403
lapse                403    403    403               403       403        403      403   409       403     403
ship_return          409    403    403               403       403        403      403   403       403     403
confirm_return       403    409    403               403       403        403      403   403       403     403
dispute_return       403    409    403               403       403        403      403   403       403     403
conclude_inspection  403    403    403               403       403        403      403   409       403     403
perform              403    409    403               403       403        403      403   403       403     403
confirm_performance  409    403    403               403       403        403      403   403       403     403
dispute_performance  409    403    403               403       403        403      403   403       403     403
conclude_performance 403    403    403               403       403        403      403   409       403     403
refund_in_place      403    403    403               403       403        403      403   409       403     403
take                 403    403    already_yours     409       409        403      403   403       403     403
release              403    403    under_review      409       409        403      403   403       403     403
hand_over            403    403    under_review      409       409        403      403   403       403     403
request_evidence     403    403    awaiting_evidence 409       409        403      403   403       403     403
evidence_complete    403    403    403               403       403        403      403   403       403     409
default_evidence     403    403    403               403       403        403      403   409       403     403
end_evidence_request 403    403    409               409       409        403      403   403       403     403
extend               403    403    409               409       409        403      403   403       403     403
decide               403    403    decided           409       409        403      403   403       403     403
approve              403    403    403               409       409        403      403   403       403     403
return_to_mediator   403    403    403               409       409        403      403   403       403     403
escalate             403    403    escalated         403       403        403      403   escalated 403     403
raise_level          403    403    403               403       403        403      403   409       403     403
refund_now           403    403    refund            refund    refund     403      403   403       403     403
remind_seller        403    403    409               403       403        409      403   403       403     403
accept_decision      409    409    403               403       403        403      403   403       403     403
finalise             403    403    403               403       403        403      403   409       403     409
appeal               409    409    403               403       403        403      403   403       403     403
withdraw             closed 403    403               403       403        403      403   403       403     403
suspend              403    403    suspended         suspended suspended  403      403   403       403     403
resume               403    403    409               409       409        403      403   409       403     403
settle_refund        403    403    403               403       403        403      403   403       409     409
fail_refund          403    403    403               403       403        403      403   409       409     409
retry_refund         403    403    403               409       409        403      403   403       403     403
settle_elsewhere     403    403    403               409       409        403      403   403       403     403
""",
    "awaiting_evidence, both owe it": """
action               buyer  seller mediator          senior            supervisor        platform          admin clock        gateway system
notify_seller        403    403    409               403               403               409               403   409          403     403
agree                403    refund 403               403               403               403               403   409          403     403
refuse               403    409    403               403               403               403               403   403          403     403
offer                409    409    403               403               403               403               403   403          403     403
accept_offer         409    409    403               403               403               403               403   403          403     403
decline_offer        409    409    403               403               403               403               403   403          403     403
expire_offer         403    403    403               403               403               403               403   409          403     403
propose              403    403    409               403               403               403               403   403          403     403
request_mediation    409    409    403               403               403               403               403   409          403     403
lapse                403    403    403               403               403               403               403   409          403     403
ship_return          409    403    403               403               403               403               403   403          403     403
confirm_return       403    409    403               403               403               403               403   403          403     403
dispute_return       403    409    403               403               403               403               403   403          403     403
conclude_inspection  403    403    403               403               403               403               403   409          403     403
perform              403    409    403               403               403               403               403   403          403     403
confirm_performance  409    403    403               403               403               403               403   403          403     403
dispute_performance  409    403    403               403               403               403               403   403          403     403
conclude_performance 403    403    403               403               403               403               403   409          403     403
refund_in_place      403    403    403               403               403               403               403   409          403     403
take                 403    403    409               409               409               403               403   403          403     403
release              403    403    409               409               409               403               403   403          403     403
hand_over            403    403    409               409               409               403               403   403          403     403
request_evidence     403    403    409               409               409               403               403   403          403     403
evidence_complete    403    403    403               403               403               403               403   403          403     under_review
default_evidence     403    403    403               403               403               403               403   under_review 403     403
end_evidence_request 403    403    under_review      under_review      under_review      403               403   403          403     403
extend               403    403    awaiting_evidence awaiting_evidence awaiting_evidence 403               403   403          403     403
decide               403    403    409               409               409               403               403   403          403     403
approve              403    403    403               409               409               403               403   403          403     403
return_to_mediator   403    403    403               409               409               403               403   403          403     403
escalate             403    403    409               403               403               403               403   409          403     403
raise_level          403    403    403               403               403               403               403   409          403     403
refund_now           403    403    409               409               409               403               403   403          403     403
remind_seller        403    403    awaiting_evidence 403               403               awaiting_evidence 403   403          403     403
accept_decision      409    409    403               403               403               403               403   403          403     403
finalise             403    403    403               403               403               403               403   409          403     409
appeal               409    409    403               403               403               403               403   403          403     403
withdraw             closed 403    403               403               403               403               403   403          403     403
suspend              403    403    suspended         suspended         suspended         403               403   403          403     403
resume               403    403    409               409               409               403               403   409          403     403
settle_refund        403    403    403               403               403               403               403   403          409     409
fail_refund          403    403    403               403               403               403               403   409          409     409
retry_refund         403    403    403               409               409               403               403   403          403     403
settle_elsewhere     403    403    403               409               409               403               403   403          403     403
""",
    "awaiting_evidence, the buyer owes it in an appeal": """
action               buyer           seller         mediator              senior            supervisor        platform              admin clock     gateway system
notify_seller        403             403            409                   403               403               409                   403   409       403     403
agree                403             appeal_pending 403                   403               403               403                   403   409       403     403
refuse               403             409            403                   403               403               403                   403   403       403     403
offer                409             409            403                   403               403               403                   403   403       403     403
accept_offer         409             409            403                   403               403               403                   403   403       403     403
decline_offer        409             409            403                   403               403               403                   403   403       403     403
expire_offer         403             403            403                   403               403               403                   403   409       403     403
propose              403             403            409                   403               403               403                   403   403       403     403
request_mediation    409             409            403                   403               403               403                   403   409       403     403
lapse                403             403            403                   403               403               403                   403   409       403     403
ship_return          409             403            403                   403               403               403                   403   403       403     403
confirm_return       403             409            403                   403               403               403                   403   403       403     403
dispute_return       403             409            403                   403               403               403                   403   403       403     403
conclude_inspection  403             403            403                   403               403               403                   403   409       403     403
perform              403             409            403                   403               403               403                   403   403       403     403
confirm_performance  409             403            403                   403               403               403                   403   403       403     403
dispute_performance  409             403            403                   403               403               403                   403   403       403     403
conclude_performance 403             403            403                   403               403               403                   403   409       403     403
refund_in_place      403             403            403                   403               403               403                   403   409       403     403
take                 403             403            409                   409               409               403                   403   403       403     403
release              403             403            409                   409               409               403                   403   403       403     403
hand_over            403             403            409                   409               409               403                   403   403       403     403
request_evidence     403             403            409                   409               409               403                   403   403       403     403
evidence_complete    403             403            403                   403               403               403                   403   403       403     escalated
default_evidence     403             403            403                   403               403               403                   403   escalated 403     403
end_evidence_request 403             403            own_decision_appealed escalated         escalated         403                   403   403       403     403
extend               403             403            awaiting_evidence     awaiting_evidence awaiting_evidence 403                   403   403       403     403
decide               403             403            409                   409               409               403                   403   403       403     403
approve              403             403            403                   409               409               403                   403   403       403     403
return_to_mediator   403             403            403                   409               409               403                   403   403       403     403
escalate             403             403            409                   403               403               403                   403   409       403     403
raise_level          403             403            403                   403               403               403                   403   409       403     403
refund_now           403             403            409                   409               409               403                   403   403       403     403
remind_seller        403             403            not_waiting_on_seller 403               403               not_waiting_on_seller 403   403       403     403
accept_decision      409             409            403                   403               403               403                   403   403       403     403
finalise             403             403            403                   403               403               403                   403   409       403     409
appeal               409             409            403                   403               403               403                   403   403       403     403
withdraw             decision_issued 403            403                   403               403               403                   403   403       403     403
suspend              403             403            suspended             suspended         suspended         403                   403   403       403     403
resume               403             403            409                   409               409               403                   403   409       403     403
settle_refund        403             403            403                   403               403               403                   403   403       409     409
fail_refund          403             403            403                   403               403               403                   403   409       409     409
retry_refund         403             403            403                   409               409               403                   403   403       403     403
settle_elsewhere     403             403            403                   409               409               403                   403   403       403     403
""",
    "escalated, complex": """
action               buyer            seller           mediator  senior              supervisor          platform admin clock     gateway           system
notify_seller        403              403              409       403                 403                 409      403   409       403               403
agree                403              refund           403       403                 403                 403      403   409       403               403
refuse               403              409              403       403                 403                 403      403   403       403               403
offer                409              409              403       403                 403                 403      403   403       403               403
accept_offer         409              409              403       403                 403                 403      403   403       403               403
decline_offer        409              409              403       403                 403                 403      403   403       403               403
expire_offer         403              403              403       403                 403                 403      403   409       403               403
propose              403              403              409       403                 403                 403      403   403       403               403
request_mediation    409              409              403       403                 403                 403      403   409       403               403
lapse                403              403              403       403                 403                 403      403   409       403               403
ship_return          409              403              403       403                 403                 403      403   403       403               403
confirm_return       403              409              403       403                 403                 403      403   403       403               403
dispute_return       403              409              403       403                 403                 403      403   403       403               403
conclude_inspection  403              403              403       403                 403                 403      403   409       403               403
perform              403              409              403       403                 403                 403      403   403       403               403
confirm_performance  409              403              403       403                 403                 403      403   403       403               403
dispute_performance  409              403              403       403                 403                 403      403   403       403               403
conclude_performance 403              403              403       403                 403                 403      403   409       403               403
refund_in_place      403              403              403       403                 403                 403      403   409       403               403
take                 403              403              409       escalated           escalated           403      403   403       403               403
release              403              403              409       not_assigned_to_you not_assigned_to_you 403      403   403       403               403
hand_over            403              403              409       not_assigned_to_you not_assigned_to_you 403      403   403       403               403
request_evidence     403              403              409       awaiting_evidence   awaiting_evidence   403      403   403       403               403
evidence_complete    403              403              403       403                 403                 403      403   403       403               409
default_evidence     403              403              403       403                 403                 403      403   409       403               403
end_evidence_request 403              403              409       409                 409                 403      403   403       403               403
extend               403              403              409       409                 409                 403      403   403       403               403
decide               403              403              409       decided             decided             403      403   403       403               403
approve              403              403              403       no_pending_decision no_pending_decision 403      403   403       403               403
return_to_mediator   403              403              403       under_review        under_review        403      403   403       403               403
escalate             403              403              409       403                 403                 403      403   409       403               403
raise_level          403              403              403       403                 403                 403      403   escalated 403               403
refund_now           403              403              refund    refund              refund              403      403   403       403               403
remind_seller        403              403              409       403                 403                 409      403   403       403               403
accept_decision      409              409              403       403                 403                 403      403   403       403               403
finalise             403              403              403       403                 403                 403      403   409       403               409
appeal               not_under_appeal not_under_appeal 403       403                 403                 403      403   403       403               403
withdraw             closed           403              403       403                 403                 403      403   403       403               403
suspend              403              403              suspended suspended           suspended           403      403   403       403               403
resume               403              403              409       409                 409                 403      403   409       403               403
settle_refund        403              403              403       403                 403                 403      403   403       refund_not_failed refund_not_failed
fail_refund          403              403              403       403                 403                 403      403   409       409               409
retry_refund         403              403              403       refund_not_failed   refund_not_failed   403      403   403       403               403
settle_elsewhere     403              403              403       refund_not_failed   refund_not_failed   403      403   403       403               403
""",
    "escalated, decision pending": """
action               buyer            seller           mediator  senior              supervisor          platform admin clock     gateway           system
notify_seller        403              403              409       403                 403                 409      403   409       403               403
agree                403              refund           403       403                 403                 403      403   409       403               403
refuse               403              409              403       403                 403                 403      403   403       403               403
offer                409              409              403       403                 403                 403      403   403       403               403
accept_offer         409              409              403       403                 403                 403      403   403       403               403
decline_offer        409              409              403       403                 403                 403      403   403       403               403
expire_offer         403              403              403       403                 403                 403      403   409       403               403
propose              403              403              409       403                 403                 403      403   403       403               403
request_mediation    409              409              403       403                 403                 403      403   409       403               403
lapse                403              403              403       403                 403                 403      403   409       403               403
ship_return          409              403              403       403                 403                 403      403   403       403               403
confirm_return       403              409              403       403                 403                 403      403   403       403               403
dispute_return       403              409              403       403                 403                 403      403   403       403               403
conclude_inspection  403              403              403       403                 403                 403      403   409       403               403
perform              403              409              403       403                 403                 403      403   403       403               403
confirm_performance  409              403              403       403                 403                 403      403   403       403               403
dispute_performance  409              403              403       403                 403                 403      403   403       403               403
conclude_performance 403              403              403       403                 403                 403      403   409       403               403
refund_in_place      403              403              403       403                 403                 403      403   409       403               403
take                 403              403              409       escalated           escalated           403      403   403       403               403
release              403              403              409       not_assigned_to_you not_assigned_to_you 403      403   403       403               403
hand_over            403              403              409       not_assigned_to_you not_assigned_to_you 403      403   403       403               403
request_evidence     403              403              409       awaiting_evidence   awaiting_evidence   403      403   403       403               403
evidence_complete    403              403              403       403                 403                 403      403   403       403               409
default_evidence     403              403              403       403                 403                 403      403   409       403               403
end_evidence_request 403              403              409       409                 409                 403      403   403       403               403
extend               403              403              409       409                 409                 403      403   403       403               403
decide               403              403              409       decided             decided             403      403   403       403               403
approve              403              403              403       decided             decided             403      403   403       403               403
return_to_mediator   403              403              403       under_review        under_review        403      403   403       403               403
escalate             403              403              409       403                 403                 403      403   409       403               403
raise_level          403              403              403       403                 403                 403      403   escalated 403               403
refund_now           403              403              refund    refund              refund              403      403   403       403               403
remind_seller        403              403              409       403                 403                 409      403   403       403               403
accept_decision      409              409              403       403                 403                 403      403   403       403               403
finalise             403              403              403       403                 403                 403      403   409       403               409
appeal               not_under_appeal not_under_appeal 403       403                 403                 403      403   403       403               403
withdraw             closed           403              403       403                 403                 403      403   403       403               403
suspend              403              403              suspended suspended           suspended           403      403   403       403               403
resume               403              403              409       409                 409                 403      403   409       403               403
settle_refund        403              403              403       403                 403                 403      403   403       refund_not_failed refund_not_failed
fail_refund          403              403              403       403                 403                 403      403   409       409               409
retry_refund         403              403              403       refund_not_failed   refund_not_failed   403      403   403       403               403
settle_elsewhere     403              403              403       refund_not_failed   refund_not_failed   403      403   403       403               403
""",
    "escalated, appeal by the seller": """
action               buyer           seller           mediator       senior              supervisor          platform admin clock     gateway           system
notify_seller        403             403              409            403                 403                 409      403   409       403               403
agree                403             appeal_pending   403            403                 403                 403      403   409       403               403
refuse               403             409              403            403                 403                 403      403   403       403               403
offer                409             409              403            403                 403                 403      403   403       403               403
accept_offer         409             409              403            403                 403                 403      403   403       403               403
decline_offer        409             409              403            403                 403                 403      403   403       403               403
expire_offer         403             403              403            403                 403                 403      403   409       403               403
propose              403             403              409            403                 403                 403      403   403       403               403
request_mediation    409             409              403            403                 403                 403      403   409       403               403
lapse                403             403              403            403                 403                 403      403   409       403               403
ship_return          409             403              403            403                 403                 403      403   403       403               403
confirm_return       403             409              403            403                 403                 403      403   403       403               403
dispute_return       403             409              403            403                 403                 403      403   403       403               403
conclude_inspection  403             403              403            403                 403                 403      403   409       403               403
perform              403             409              403            403                 403                 403      403   403       403               403
confirm_performance  409             403              403            403                 403                 403      403   403       403               403
dispute_performance  409             403              403            403                 403                 403      403   403       403               403
conclude_performance 403             403              403            403                 403                 403      403   409       403               403
refund_in_place      403             403              403            403                 403                 403      403   409       403               403
take                 403             403              409            escalated           escalated           403      403   403       403               403
release              403             403              409            not_assigned_to_you not_assigned_to_you 403      403   403       403               403
hand_over            403             403              409            not_assigned_to_you not_assigned_to_you 403      403   403       403               403
request_evidence     403             403              409            awaiting_evidence   awaiting_evidence   403      403   403       403               403
evidence_complete    403             403              403            403                 403                 403      403   403       403               409
default_evidence     403             403              403            403                 403                 403      403   409       403               403
end_evidence_request 403             403              409            409                 409                 403      403   403       403               403
extend               403             403              409            409                 409                 403      403   403       403               403
decide               403             403              409            decided             decided             403      403   403       403               403
approve              403             403              403            no_pending_decision no_pending_decision 403      403   403       403               403
return_to_mediator   403             403              403            appeal_pending      appeal_pending      403      403   403       403               403
escalate             403             403              409            403                 403                 403      403   409       403               403
raise_level          403             403              403            403                 403                 403      403   escalated 403               403
refund_now           403             403              appeal_pending appeal_pending      appeal_pending      403      403   403       403               403
remind_seller        403             403              409            403                 403                 409      403   403       403               403
accept_decision      409             409              403            403                 403                 403      403   403       403               403
finalise             403             403              403            403                 403                 403      403   409       403               409
appeal               escalated       already_appealed 403            403                 403                 403      403   403       403               403
withdraw             decision_issued 403              403            403                 403                 403      403   403       403               403
suspend              403             403              suspended      suspended           suspended           403      403   403       403               403
resume               403             403              409            409                 409                 403      403   409       403               403
settle_refund        403             403              403            403                 403                 403      403   403       refund_not_failed refund_not_failed
fail_refund          403             403              403            403                 403                 403      403   409       409               409
retry_refund         403             403              403            refund_not_failed   refund_not_failed   403      403   403       403               403
settle_elsewhere     403             403              403            refund_not_failed   refund_not_failed   403      403   403       403               403
""",
    "escalated, refund failed": """
action               buyer            seller           mediator      senior              supervisor          platform admin clock     gateway  system
notify_seller        403              403              409           403                 403                 409      403   409       403      403
agree                403              refund_failed    403           403                 403                 403      403   409       403      403
refuse               403              409              403           403                 403                 403      403   403       403      403
offer                409              409              403           403                 403                 403      403   403       403      403
accept_offer         409              409              403           403                 403                 403      403   403       403      403
decline_offer        409              409              403           403                 403                 403      403   403       403      403
expire_offer         403              403              403           403                 403                 403      403   409       403      403
propose              403              403              409           403                 403                 403      403   403       403      403
request_mediation    409              409              403           403                 403                 403      403   409       403      403
lapse                403              403              403           403                 403                 403      403   409       403      403
ship_return          409              403              403           403                 403                 403      403   403       403      403
confirm_return       403              409              403           403                 403                 403      403   403       403      403
dispute_return       403              409              403           403                 403                 403      403   403       403      403
conclude_inspection  403              403              403           403                 403                 403      403   409       403      403
perform              403              409              403           403                 403                 403      403   403       403      403
confirm_performance  409              403              403           403                 403                 403      403   403       403      403
dispute_performance  409              403              403           403                 403                 403      403   403       403      403
conclude_performance 403              403              403           403                 403                 403      403   409       403      403
refund_in_place      403              403              403           403                 403                 403      403   409       403      403
take                 403              403              409           escalated           escalated           403      403   403       403      403
release              403              403              409           not_assigned_to_you not_assigned_to_you 403      403   403       403      403
hand_over            403              403              409           not_assigned_to_you not_assigned_to_you 403      403   403       403      403
request_evidence     403              403              409           refund_failed       refund_failed       403      403   403       403      403
evidence_complete    403              403              403           403                 403                 403      403   403       403      409
default_evidence     403              403              403           403                 403                 403      403   409       403      403
end_evidence_request 403              403              409           409                 409                 403      403   403       403      403
extend               403              403              409           409                 409                 403      403   403       403      403
decide               403              403              409           refund_failed       refund_failed       403      403   403       403      403
approve              403              403              403           no_pending_decision no_pending_decision 403      403   403       403      403
return_to_mediator   403              403              403           refund_failed       refund_failed       403      403   403       403      403
escalate             403              403              409           403                 403                 403      403   409       403      403
raise_level          403              403              403           403                 403                 403      403   escalated 403      403
refund_now           403              403              refund_failed refund_failed       refund_failed       403      403   403       403      403
remind_seller        403              403              409           403                 403                 409      403   403       403      403
accept_decision      409              409              403           403                 403                 403      403   403       403      403
finalise             403              403              403           403                 403                 403      403   409       403      409
appeal               not_under_appeal not_under_appeal 403           403                 403                 403      403   403       403      403
withdraw             refund_failed    403              403           403                 403                 403      403   403       403      403
suspend              403              403              refund_failed refund_failed       refund_failed       403      403   403       403      403
resume               403              403              409           409                 409                 403      403   409       403      403
settle_refund        403              403              403           403                 403                 403      403   403       refunded refunded
fail_refund          403              403              403           403                 403                 403      403   409       409      409
retry_refund         403              403              403           refund              refund              403      403   403       403      403
settle_elsewhere     403              403              403           refunded            refunded            403      403   403       403      403
""",
    "decided": """
action               buyer     seller    mediator  senior    supervisor platform admin clock  gateway system
notify_seller        403       403       409       403       403        409      403   409    403     403
agree                403       409       403       403       403        403      403   409    403     403
refuse               403       409       403       403       403        403      403   403    403     403
offer                409       409       403       403       403        403      403   403    403     403
accept_offer         409       409       403       403       403        403      403   403    403     403
decline_offer        409       409       403       403       403        403      403   403    403     403
expire_offer         403       403       403       403       403        403      403   409    403     403
propose              403       403       409       403       403        403      403   403    403     403
request_mediation    409       409       403       403       403        403      403   409    403     403
lapse                403       403       403       403       403        403      403   409    403     403
ship_return          409       403       403       403       403        403      403   403    403     403
confirm_return       403       409       403       403       403        403      403   403    403     403
dispute_return       403       409       403       403       403        403      403   403    403     403
conclude_inspection  403       403       403       403       403        403      403   409    403     403
perform              403       409       403       403       403        403      403   403    403     403
confirm_performance  409       403       403       403       403        403      403   403    403     403
dispute_performance  409       403       403       403       403        403      403   403    403     403
conclude_performance 403       403       403       403       403        403      403   409    403     403
refund_in_place      403       403       403       403       403        403      403   409    403     403
take                 403       403       409       409       409        403      403   403    403     403
release              403       403       409       409       409        403      403   403    403     403
hand_over            403       403       409       409       409        403      403   403    403     403
request_evidence     403       403       409       409       409        403      403   403    403     403
evidence_complete    403       403       403       403       403        403      403   403    403     409
default_evidence     403       403       403       403       403        403      403   409    403     403
end_evidence_request 403       403       409       409       409        403      403   403    403     403
extend               403       403       decided   decided   decided    403      403   403    403     403
decide               403       403       409       409       409        403      403   403    403     403
approve              403       403       403       409       409        403      403   403    403     403
return_to_mediator   403       403       403       409       409        403      403   403    403     403
escalate             403       403       409       403       403        403      403   409    403     403
raise_level          403       403       403       403       403        403      403   409    403     403
refund_now           403       403       409       409       409        403      403   403    403     403
remind_seller        403       403       decided   403       403        decided  403   403    403     403
accept_decision      decided   decided   403       403       403        403      403   403    403     403
finalise             403       403       403       403       403        403      403   refund 403     refund
appeal               escalated escalated 403       403       403        403      403   403    403     403
withdraw             409       403       403       403       403        403      403   403    403     403
suspend              403       403       suspended suspended suspended  403      403   403    403     403
resume               403       403       409       409       409        403      403   409    403     403
settle_refund        403       403       403       403       403        403      403   403    409     409
fail_refund          403       403       403       403       403        403      403   409    409     409
retry_refund         403       403       403       409       409        403      403   403    403     403
settle_elsewhere     403       403       403       409       409        403      403   403    403     403
""",
    "refund": """
action               buyer seller mediator senior supervisor platform admin clock     gateway   system
notify_seller        403   403    409      403    403        409      403   409       403       403
agree                403   409    403      403    403        403      403   409       403       403
refuse               403   409    403      403    403        403      403   403       403       403
offer                409   409    403      403    403        403      403   403       403       403
accept_offer         409   409    403      403    403        403      403   403       403       403
decline_offer        409   409    403      403    403        403      403   403       403       403
expire_offer         403   403    403      403    403        403      403   409       403       403
propose              403   403    409      403    403        403      403   403       403       403
request_mediation    409   409    403      403    403        403      403   409       403       403
lapse                403   403    403      403    403        403      403   409       403       403
ship_return          409   403    403      403    403        403      403   403       403       403
confirm_return       403   409    403      403    403        403      403   403       403       403
dispute_return       403   409    403      403    403        403      403   403       403       403
conclude_inspection  403   403    403      403    403        403      403   409       403       403
perform              403   409    403      403    403        403      403   403       403       403
confirm_performance  409   403    403      403    403        403      403   403       403       403
dispute_performance  409   403    403      403    403        403      403   403       403       403
conclude_performance 403   403    403      403    403        403      403   409       403       403
refund_in_place      403   403    403      403    403        403      403   409       403       403
take                 403   403    409      409    409        403      403   403       403       403
release              403   403    409      409    409        403      403   403       403       403
hand_over            403   403    409      409    409        403      403   403       403       403
request_evidence     403   403    409      409    409        403      403   403       403       403
evidence_complete    403   403    403      403    403        403      403   403       403       409
default_evidence     403   403    403      403    403        403      403   409       403       403
end_evidence_request 403   403    409      409    409        403      403   403       403       403
extend               403   403    409      409    409        403      403   403       403       403
decide               403   403    409      409    409        403      403   403       403       403
approve              403   403    403      409    409        403      403   403       403       403
return_to_mediator   403   403    403      409    409        403      403   403       403       403
escalate             403   403    409      403    403        403      403   409       403       403
raise_level          403   403    403      403    403        403      403   409       403       403
refund_now           403   403    409      409    409        403      403   403       403       403
remind_seller        403   403    409      403    403        409      403   403       403       403
accept_decision      409   409    403      403    403        403      403   403       403       403
finalise             403   403    403      403    403        403      403   409       403       409
appeal               409   409    403      403    403        403      403   403       403       403
withdraw             409   403    403      403    403        403      403   403       403       403
suspend              403   403    409      409    409        403      403   403       403       403
resume               403   403    409      409    409        403      403   409       403       403
settle_refund        403   403    403      403    403        403      403   403       refunded  refunded
fail_refund          403   403    403      403    403        403      403   escalated escalated escalated
retry_refund         403   403    403      409    409        403      403   403       403       403
settle_elsewhere     403   403    403      409    409        403      403   403       403       403
""",
    "suspended": """
action               buyer  seller mediator     senior       supervisor   platform admin clock        gateway system
notify_seller        403    403    409          403          403          409      403   409          403     403
agree                403    409    403          403          403          403      403   409          403     403
refuse               403    409    403          403          403          403      403   403          403     403
offer                409    409    403          403          403          403      403   403          403     403
accept_offer         409    409    403          403          403          403      403   403          403     403
decline_offer        409    409    403          403          403          403      403   403          403     403
expire_offer         403    403    403          403          403          403      403   409          403     403
propose              403    403    409          403          403          403      403   403          403     403
request_mediation    409    409    403          403          403          403      403   409          403     403
lapse                403    403    403          403          403          403      403   409          403     403
ship_return          409    403    403          403          403          403      403   403          403     403
confirm_return       403    409    403          403          403          403      403   403          403     403
dispute_return       403    409    403          403          403          403      403   403          403     403
conclude_inspection  403    403    403          403          403          403      403   409          403     403
perform              403    409    403          403          403          403      403   403          403     403
confirm_performance  409    403    403          403          403          403      403   403          403     403
dispute_performance  409    403    403          403          403          403      403   403          403     403
conclude_performance 403    403    403          403          403          403      403   409          403     403
refund_in_place      403    403    403          403          403          403      403   409          403     403
take                 403    403    409          409          409          403      403   403          403     403
release              403    403    409          409          409          403      403   403          403     403
hand_over            403    403    409          409          409          403      403   403          403     403
request_evidence     403    403    409          409          409          403      403   403          403     403
evidence_complete    403    403    403          403          403          403      403   403          403     409
default_evidence     403    403    403          403          403          403      403   409          403     403
end_evidence_request 403    403    409          409          409          403      403   403          403     403
extend               403    403    409          409          409          403      403   403          403     403
decide               403    403    409          409          409          403      403   403          403     403
approve              403    403    403          409          409          403      403   403          403     403
return_to_mediator   403    403    403          409          409          403      403   403          403     403
escalate             403    403    409          403          403          403      403   409          403     403
raise_level          403    403    403          403          403          403      403   409          403     403
refund_now           403    403    409          409          409          403      403   403          403     403
remind_seller        403    403    409          403          403          409      403   403          403     403
accept_decision      409    409    403          403          403          403      403   403          403     403
finalise             403    403    403          403          403          403      403   409          403     409
appeal               409    409    403          403          403          403      403   403          403     403
withdraw             closed 403    403          403          403          403      403   403          403     403
suspend              403    403    409          409          409          403      403   403          403     403
resume               403    403    under_review under_review under_review 403      403   under_review 403     403
settle_refund        403    403    403          403          403          403      403   403          409     409
fail_refund          403    403    403          403          403          403      403   409          409     409
retry_refund         403    403    403          409          409          403      403   403          403     403
settle_elsewhere     403    403    403          409          409          403      403   403          403     403
""",
    "refunded": """
action               buyer seller mediator senior supervisor platform admin clock gateway system
notify_seller        403   403    409      403    403        409      403   409   403     403
agree                403   409    403      403    403        403      403   409   403     403
refuse               403   409    403      403    403        403      403   403   403     403
offer                409   409    403      403    403        403      403   403   403     403
accept_offer         409   409    403      403    403        403      403   403   403     403
decline_offer        409   409    403      403    403        403      403   403   403     403
expire_offer         403   403    403      403    403        403      403   409   403     403
propose              403   403    409      403    403        403      403   403   403     403
request_mediation    409   409    403      403    403        403      403   409   403     403
lapse                403   403    403      403    403        403      403   409   403     403
ship_return          409   403    403      403    403        403      403   403   403     403
confirm_return       403   409    403      403    403        403      403   403   403     403
dispute_return       403   409    403      403    403        403      403   403   403     403
conclude_inspection  403   403    403      403    403        403      403   409   403     403
perform              403   409    403      403    403        403      403   403   403     403
confirm_performance  409   403    403      403    403        403      403   403   403     403
dispute_performance  409   403    403      403    403        403      403   403   403     403
conclude_performance 403   403    403      403    403        403      403   409   403     403
refund_in_place      403   403    403      403    403        403      403   409   403     403
take                 403   403    409      409    409        403      403   403   403     403
release              403   403    409      409    409        403      403   403   403     403
hand_over            403   403    409      409    409        403      403   403   403     403
request_evidence     403   403    409      409    409        403      403   403   403     403
evidence_complete    403   403    403      403    403        403      403   403   403     409
default_evidence     403   403    403      403    403        403      403   409   403     403
end_evidence_request 403   403    409      409    409        403      403   403   403     403
extend               403   403    409      409    409        403      403   403   403     403
decide               403   403    409      409    409        403      403   403   403     403
approve              403   403    403      409    409        403      403   403   403     403
return_to_mediator   403   403    403      409    409        403      403   403   403     403
escalate             403   403    409      403    403        403      403   409   403     403
raise_level          403   403    403      403    403        403      403   409   403     403
refund_now           403   403    409      409    409        403      403   403   403     403
remind_seller        403   403    409      403    403        409      403   403   403     403
accept_decision      409   409    403      403    403        403      403   403   403     403
finalise             403   403    403      403    403        403      403   409   403     409
appeal               409   409    403      403    403        403      403   403   403     403
withdraw             409   403    403      403    403        403      403   403   403     403
suspend              403   403    409      409    409        403      403   403   403     403
resume               403   403    409      409    409        403      403   409   403     403
settle_refund        403   403    403      403    403        403      403   403   409     409
fail_refund          403   403    403      403    403        403      403   409   409     409
retry_refund         403   403    403      409    409        403      403   403   403     403
settle_elsewhere     403   403    403      409    409        403      403   403   403     403
""",
    "closed": """
action               buyer seller mediator senior supervisor platform admin clock gateway system
notify_seller        403   403    409      403    403        409      403   409   403     403
agree                403   409    403      403    403        403      403   409   403     403
refuse               403   409    403      403    403        403      403   403   403     403
offer                409   409    403      403    403        403      403   403   403     403
accept_offer         409   409    403      403    403        403      403   403   403     403
decline_offer        409   409    403      403    403        403      403   403   403     403
expire_offer         403   403    403      403    403        403      403   409   403     403
propose              403   403    409      403    403        403      403   403   403     403
request_mediation    409   409    403      403    403        403      403   409   403     403
lapse                403   403    403      403    403        403      403   409   403     403
ship_return          409   403    403      403    403        403      403   403   403     403
confirm_return       403   409    403      403    403        403      403   403   403     403
dispute_return       403   409    403      403    403        403      403   403   403     403
conclude_inspection  403   403    403      403    403        403      403   409   403     403
perform              403   409    403      403    403        403      403   403   403     403
confirm_performance  409   403    403      403    403        403      403   403   403     403
dispute_performance  409   403    403      403    403        403      403   403   403     403
conclude_performance 403   403    403      403    403        403      403   409   403     403
refund_in_place      403   403    403      403    403        403      403   409   403     403
take                 403   403    409      409    409        403      403   403   403     403
release              403   403    409      409    409        403      403   403   403     403
hand_over            403   403    409      409    409        403      403   403   403     403
request_evidence     403   403    409      409    409        403      403   403   403     403
evidence_complete    403   403    403      403    403        403      403   403   403     409
default_evidence     403   403    403      403    403        403      403   409   403     403
end_evidence_request 403   403    409      409    409        403      403   403   403     403
extend               403   403    409      409    409        403      403   403   403     403
decide               403   403    409      409    409        403      403   403   403     403
approve              403   403    403      409    409        403      403   403   403     403
return_to_mediator   403   403    403      409    409        403      403   403   403     403
escalate             403   403    409      403    403        403      403   409   403     403
raise_level          403   403    403      403    403        403      403   409   403     403
refund_now           403   403    409      409    409        403      403   403   403     403
remind_seller        403   403    409      403    403        409      403   403   403     403
accept_decision      409   409    403      403    403        403      403   403   403     403
finalise             403   403    403      403    403        403      403   409   403     409
appeal               409   409    403      403    403        403      403   403   403     403
withdraw             409   403    403      403    403        403      403   403   403     403
suspend              403   403    409      409    409        403      403   403   403     403
resume               403   403    409      409    409        403      403   409   403     403
settle_refund        403   403    403      403    403        403      403   403   409     409
fail_refund          403   403    403      403    403        403      403   409   409     409
retry_refund         403   403    403      409    409        403      403   403   403     403
settle_elsewhere     403   403    403      409    409        403      403   403   403     403
""",
}

#: Where the API's answer is another one: a decision on appeal is final at once, in the same transaction; and a sum that
#: is above the mediator's authority is known from the case alone.
OVER_THE_API = {
    ("escalated, appeal by the seller", "decide", "senior"): "refund",
    ("escalated, appeal by the seller", "decide", "supervisor"): "refund",
    ("escalated, decision pending", "refund_now", "mediator"): "above_authority",
}

#: The status of each rule in the table: 409 where somebody else's hand is in the way, 422 where the rule itself is.
STATUS_OF = {
    "above_authority": 422,
    "already_appealed": 422,
    "already_performed": 422,
    "already_yours": 409,
    "appeal_pending": 422,
    "decision_issued": 422,
    "no_offer_made": 422,
    "no_pending_decision": 422,
    "not_assigned_to_you": 409,
    "not_performed": 422,
    "not_under_appeal": 422,
    "not_waiting_on_seller": 422,
    "own_decision_appealed": 403,
    "own_offer": 422,
    "proposal_open": 422,
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
    "expire_offer",
    "propose",
    "request_mediation",
    "lapse",
    "ship_return",
    "confirm_return",
    "dispute_return",
    "conclude_inspection",
    "perform",
    "confirm_performance",
    "dispute_performance",
    "conclude_performance",
    "refund_in_place",
    "take",
    "release",
    "hand_over",
    "request_evidence",
    "evidence_complete",
    "default_evidence",
    "end_evidence_request",
    "extend",
    "decide",
    "approve",
    "return_to_mediator",
    "escalate",
    "raise_level",
    "refund_now",
    "remind_seller",
    "accept_decision",
    "finalise",
    "appeal",
    "withdraw",
    "suspend",
    "resume",
    "settle_refund",
    "fail_refund",
    "retry_refund",
    "settle_elsewhere",
)
ROLES = ("buyer", "seller", "mediator", "senior", "supervisor", "platform", "admin", "clock", "gateway", "system")
TOKEN_ROLES = ("buyer", "seller", "mediator", "senior", "supervisor", "platform", "admin")
#: What no token can do: it is done by time, the gateway or the system.
UNTAKEN = (
    "expire_offer",
    "lapse",
    "conclude_inspection",
    "conclude_performance",
    "refund_in_place",
    "evidence_complete",
    "default_evidence",
    "raise_level",
    "finalise",
    "settle_refund",
    "fail_refund",
)


def _read(table: str) -> dict[str, dict[str, str]]:
    """{action: {role: cell}}"""
    (_, *roles), *rows = (line.split() for line in table.strip().splitlines())
    return {action: dict(zip(roles, cells, strict=True)) for action, *cells in rows}


CELLS = {place: _read(table) for place, table in TABLES.items()}
ROWS = [(place, action) for place, actions in CELLS.items() for action in actions]

# --- over the API ------------------------------------------------------------------------------------------------

_PARCEL = {"carrier": "SF", "tracking_number": "SF123"}
_ADDRESS = {"return_address": {"name": "Kettle House returns", "line": "1 Dock Road, Hangzhou"}}
_OFFER = {"remedy": "partial_refund", "amount": money(200), "note": "a fifth?"}
_DISPUTE = {"verdict": "damaged", "statement": "It came in pieces."}
_GROUNDS = {"grounds": "The carrier was late, not us."}
_COMPLEX = {"reason": "complex"}


def _asked(of: str) -> dict[str, Any]:
    return {"from": of, "items": [{"type": "tracking", "note": "the waybill"}]}


def _later(story: Story) -> dict[str, Any]:
    """Later than any deadline of these cases, and not too late for the shortest of them: 10 d, and 48 h + 10 d."""
    return {"due": (story.services.clock() + timedelta(days=11)).isoformat(), "reason": "a holiday"}


def _rest(story: Story) -> dict[str, Any]:
    return {"ground": "agreement", "until": (story.services.clock() + timedelta(days=3)).isoformat()}


Body = dict[str, Any] | Callable[[Story], dict[str, Any]] | None
#: A body that each action accepts, so that nothing but the procedure can refuse it.
BODIES: dict[str, Body] = {
    "refuse": {"reason": "as_described", "statement": "It is what was shown."},
    "offer": _OFFER,
    "propose": _OFFER,
    "ship_return": _PARCEL,
    "dispute_return": _DISPUTE,
    "perform": _PARCEL,
    "dispute_performance": _DISPUTE,
    "hand_over": {"to": "max", "category": "home_appliances", "reason": "He knows kettles.", "consent": True},
    "request_evidence": _asked("both"),
    "extend": _later,
    "decide": decision(5_000),
    "escalate": _COMPLEX,
    "refund_now": {"ground": "not_shipped"},
    "suspend": _rest,
    "appeal": _GROUNDS,
    "settle_elsewhere": {"proof": "M-1"},
}

Steps = list[tuple[str, str, Body]]
_NOTIFIED: Steps = [("platform", "notify_seller", None)]
_REFUSED: Steps = [*_NOTIFIED, ("seller", "refuse", BODIES["refuse"])]
_REVIEW: Steps = [*_REFUSED, ("buyer", "request_mediation", None)]
_DECIDED: Steps = [*_REVIEW, ("mediator", "decide", decision(12_900))]
_APPEALED: Steps = [*_DECIDED, ("seller", "appeal", _GROUNDS)]
_AGREED: Steps = [*_NOTIFIED, ("seller", "agree", None)]
_RETURNING: Steps = [*_NOTIFIED, ("seller", "agree", _ADDRESS)]
#: The shortest honest way to each place, by the request that leads there.
WAYS: dict[str, tuple[str, Steps]] = {
    "opened": ("refund_only", []),
    "seller_notified": ("refund_only", _NOTIFIED),
    "negotiating, the seller's offer": ("refund_only", [*_NOTIFIED, ("seller", "offer", _OFFER)]),
    "negotiating, a mediator's proposal": ("refund_only", [*_REVIEW, ("mediator", "propose", _OFFER)]),
    "seller_refused": ("refund_only", _REFUSED),
    "awaiting_return": ("return_and_refund", _RETURNING),
    "awaiting_inspection": ("return_and_refund", [*_RETURNING, ("buyer", "ship_return", _PARCEL)]),
    "awaiting_performance": ("reship", _AGREED),
    "awaiting_performance, performed": ("reship", [*_AGREED, ("seller", "perform", _PARCEL)]),
    "under_review": ("refund_only", _REVIEW),
    "under_review, the mediator has it": ("refund_only", [*_REVIEW, ("mediator", "take", None)]),
    "awaiting_evidence, both owe it": ("refund_only", [*_REVIEW, ("mediator", "request_evidence", _asked("both"))]),
    "awaiting_evidence, the buyer owes it in an appeal": (
        "refund_only",
        [*_APPEALED, ("senior", "request_evidence", _asked("buyer"))],
    ),
    "escalated, complex": ("refund_only", [*_REVIEW, ("mediator", "escalate", _COMPLEX)]),
    "escalated, decision pending": ("refund_only", [*_REVIEW, ("mediator", "decide", decision(60_000))]),
    "escalated, appeal by the seller": ("refund_only", _APPEALED),
    "escalated, refund failed": ("refund_only", _AGREED),
    "decided": ("refund_only", _DECIDED),
    "refund": ("refund_only", _AGREED),
    "suspended": ("refund_only", [*_REVIEW, ("mediator", "suspend", _rest)]),
    "refunded": ("refund_only", _AGREED),
    "closed": ("refund_only", [("buyer", "withdraw", None)]),
}
#: What is above the mediator's authority waits for approval.
_PAID = {"escalated, decision pending": 60_000}


def _case_at(story: Story, place: str) -> str:
    """The id of a new case that has come to this place."""
    request, steps = WAYS[place]
    body = story.case_body(paid=_PAID.get(place, 12_900))
    body["claims"][0]["request"] = request
    # Nothing shows that it was sent, and its time is long over: the order's facts prove `not_shipped` on any day.
    body["order"]["ship_by"] = "2020-01-01T00:00:00Z"
    response = story.post("platform", "/cases", body)
    assert response.status_code == 201, response.get_data(as_text=True)
    case = str(response.get_json()["id"])
    for who, action, given in steps:
        story.do(who, case, action, given(story) if callable(given) else given)
    if place == "refunded":
        # This one alone: a case that stands in refund is to stay there.
        paying.pay(story.services, LedgerGateway(), _refund(story, case))
    if place == "escalated, refund failed":
        _fail(story, case)
    return case


def _refund(story: Story, case: str) -> uuid.UUID:
    return uuid.UUID(story.get("senior", f"/cases/{case}/refunds").get_json()["items"][0]["id"])


def _fail(story: Story, case: str) -> None:
    """The case's refund fails; a proof that the money went another way is on file."""
    with story.services.sessions.begin() as session:
        assert refunds.fail(session, _refund(story, case), story.services.clock(), failure="no such account")
    filed = story.post("mediator", f"/cases/{case}/exhibits", CHAT)
    assert filed.status_code == 201, filed.get_data(as_text=True)


@pytest.fixture(scope="module")
def standing(shared: Story) -> dict[str, str]:
    """One case for each place of the table, for all that is refused there."""
    return {place: _case_at(shared, place) for place in CELLS}


_COUNTED = (
    "docket_entries",
    "docket_openings",
    "offers",
    "decisions",
    "refunds",
    "appeals",
    "deadlines",
    "evidence_requests",
    "evidence_items",
    "notices",
)
_WRITTEN = text(
    "SELECT c.state, c.version, c.head, c.updated_at, c.waiting_on, c.assignee, c.reserved_minor, c.due_at, "
    + ", ".join(f"(SELECT count(*) FROM {table} t WHERE t.case_id = c.id)" for table in _COUNTED)
    + " FROM cases c WHERE c.id = :id"
)


def _written(story: Story, case: str) -> tuple[Any, ...]:
    """All that an action could have written."""
    with story.services.engine.connect() as connection:
        return tuple(connection.execute(_WRITTEN, {"id": uuid.UUID(case)}).one())


def _outcome(story: Story, who: str, case: str, action: str) -> tuple[int, str]:
    """(status, state or code) of an action over the API."""
    body = BODIES.get(action)
    response = story.act(who, case, action, body(story) if callable(body) else body)
    told = response.get_json()
    return response.status_code, told["state"] if response.status_code == 200 else told["code"]


def _expected(cell: str) -> tuple[int, str]:
    if cell == "403":
        return 403, "not_permitted"
    if cell == "409":
        return 409, "wrong_state"
    return (STATUS_OF[cell], cell) if cell in STATUS_OF else (200, cell)


def _over_the_api(place: str, action: str, role: str) -> tuple[int, str]:
    return _expected(OVER_THE_API.get((place, action, role), CELLS[place][action][role]))


@pytest.mark.parametrize(("place", "action"), ROWS)
def test_over_the_api_each_role_gets_what_the_table_says(
    shared: Story, standing: dict[str, str], place: str, action: str
) -> None:
    expected = {role: _over_the_api(place, action, role) for role in TOKEN_ROLES}
    before = _written(shared, standing[place])
    # What succeeds is tried on a case of its own; what is refused, all on one, in which it must leave no trace.
    cases = {
        role: _case_at(shared, place) if status == 200 else standing[place] for role, (status, _) in expected.items()
    }
    assert {role: _outcome(shared, role, case, action) for role, case in cases.items()} == expected
    assert _written(shared, standing[place]) == before, "a refused action wrote something"
    for role, (status, _) in expected.items():
        if status == 200:
            assert _in_the_database(shared, cases[role]) == _in_the_model(_replayed(place, (role, action))), role


# --- the model of the other tests against the application ---------------------------------------------------------

_DEADLINES = text("SELECT kind, fires, due_at FROM deadlines WHERE case_id = :id AND done_at IS NULL")
#: What grants each request in full.
_GRANTED = {
    "refund_only": ("refund",),
    "return_and_refund": ("return", "refund"),
    "reship": ("performance",),
}


def _facts(life: Life, action: str, body: Any, request: str) -> dict[str, Any]:
    """The facts that go with an action, as the application brings them."""
    asked = (body or {}).get("from")
    return {
        "legs": life.legs[1:] if action.startswith(("confirm", "conclude")) else _GRANTED[request],
        "amount_minor": (body or {}).get("remedy", {}).get("amount", {}).get("amount") if action == "decide" else None,
        "authority_minor": 50_000,
        "from": ("buyer", "seller") if asked == "both" else (asked,),
        "to": (body or {}).get("to"),
    }


def _replayed(place: str, *more: tuple[str, str]) -> Life:
    """What `tests.workflows.life` makes of the way to a place, and of what is done there then."""
    request, steps = WAYS[place]
    life = Life.begun()
    for role, action, body in [*steps, *((role, action, BODIES.get(action)) for role, action in more)]:
        take(life, action, act(role, _facts(life, action, None if callable(body) else body, request)))
        if (place, action) == ("escalated, refund failed", "agree"):
            take(life, "fail_refund", act("gateway"))
    if place == "refunded":
        take(life, "settle_refund", act("gateway"))
    return life


def _told(case: CaseLike, clocks: list[tuple[str, str | None, bool]], legs: Iterable[str]) -> dict[str, Any]:
    """What the procedure knows of a case, less what the model does not count."""
    told = {name: getattr(case, name) for name in CaseLike.__annotations__}
    for counted in ("offers_made", "counter_offers_buyer", "counter_offers_seller", "decisions_issued"):
        told[counted] = told[counted] > 0
    if (case.suspended_from or case.state) not in TALKS:
        told |= {"offers_made": False, "counter_offers_buyer": False, "counter_offers_seller": False}
    if case.state != "decided" and case.escalation_reason != "appeal":
        told |= {"decided_by": None, "approved_by": None}
    told["appeal_until"] = case.appeal_until is not None
    told["clocks"] = sorted(
        (kind, "by_policy" if kind == "response" else str(fires), runs) for kind, fires, runs in clocks
    )
    return told | {"legs": list(legs)}


def _in_the_model(life: Life) -> dict[str, Any]:
    clocks = [(str(kind), fires, True) for kind, fires in life.running]
    return _told(life, [*clocks, *((str(kind), fires, False) for kind, fires in life.paused)], life.legs)


def _in_the_database(story: Story, case: str) -> dict[str, Any]:
    with story.services.sessions() as session:
        found = session.execute(_DEADLINES, {"id": uuid.UUID(case)}).all()
        row = session.get_one(Case, uuid.UUID(case))
        return _told(row, [(kind, fires, due_at is not None) for kind, fires, due_at in found], row.legs)


@pytest.mark.parametrize("place", WAYS)
def test_the_model_of_the_procedures_tests_comes_to_the_same_place(
    standing: dict[str, str], shared: Story, place: str
) -> None:
    """What the walk through everything proves holds of the application as far as both are of one mind."""
    assert _in_the_database(shared, standing[place]) == _in_the_model(_replayed(place))


_FIRED = [(place, action) for place, action in ROWS if _expected(CELLS[place][action]["clock"])[0] == 200]


@pytest.mark.parametrize(("place", "action"), _FIRED)
def test_what_time_does_comes_to_what_the_table_says_and_the_model_has_it(
    shared: Story, place: str, action: str
) -> None:
    case = _case_at(shared, place)
    if action == "fail_refund":
        # Only a payment that somebody tried can have failed.
        with shared.services.sessions.begin() as session:
            refund = session.scalars(select(Refund.id).where(Refund.case_id == uuid.UUID(case))).one()
            assert refunds.claim(session, refund, "http", shared.services.real(), timedelta(days=9))
    with shared.services.sessions.begin() as session:
        FIRES[action](session, docket.lock_for_system(session, uuid.UUID(case)), shared.services.clock())
    assert _in_the_database(shared, case) == _in_the_model(_replayed(place, ("clock", action)))
    assert shared.state(case) == CELLS[place][action]["clock"]


def test_time_fires_every_action_that_is_named_as_the_clocks_and_no_other() -> None:
    assert FIRES.keys() == {action for action in ACTIONS if CELLS["opened"][action]["clock"] != "403"}
    assert FIRES.keys() == {action for _, action in _FIRED}


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
            response = shared.act(role, standing[place], action)
            assert response.get_json()["code"] == "wrong_state"
            assert set(response.get_json()["actions"]) == possible, (role, action)


# --- at the procedure --------------------------------------------------------------------------------------------

_IN_APPEAL = {
    "escalation_reason": "appeal",
    "level": 1,
    "decisions_issued": 1,
    "decided_by": "mia",
    "appealed_by_seller": True,
    "appeal_until": STILL_OPEN,
}
PLAIN: dict[str, dict[str, Any]] = {
    "opened": {},
    "seller_notified": {},
    "negotiating, the seller's offer": {"offers_made": 1, "open_offer_by": "seller"},
    "negotiating, a mediator's proposal": {"offers_made": 1, "open_offer_by": "mediator", "assignee": "mia"},
    "seller_refused": {},
    "awaiting_return": {},
    "awaiting_inspection": {},
    "awaiting_performance": {},
    "awaiting_performance, performed": {"performed": True},
    "under_review": {},
    "under_review, the mediator has it": {"assignee": "mia"},
    "awaiting_evidence, both owe it": {
        "evidence_from": "under_review",
        "evidence_of_buyer": True,
        "evidence_of_seller": True,
    },
    "awaiting_evidence, the buyer owes it in an appeal": {
        **_IN_APPEAL,
        "appeal_until": None,
        "evidence_from": "escalated",
        "evidence_of_buyer": True,
    },
    "escalated, complex": {"escalation_reason": "complex", "level": 1},
    "escalated, decision pending": {
        "escalation_reason": "amount_over_authority",
        "level": 1,
        "pending_decision_by": "mia",
    },
    "escalated, appeal by the seller": _IN_APPEAL,
    "escalated, refund failed": {"escalation_reason": "refund_failed", "level": 1},
    "decided": {"decisions_issued": 1, "decided_by": "mia", "assignee": "mia", "appeal_until": STILL_OPEN},
    "refund": {},
    "suspended": {"suspended_from": "under_review"},
    "refunded": {},
    "closed": {},
}
#: What is still to be done at a place where it is not the refund alone.
LEGS: dict[str, tuple[str, ...]] = {"awaiting_performance, performed": ()}


@pytest.mark.parametrize(("place", "action"), ROWS)
def test_at_the_procedure_each_actor_gets_what_the_table_says(place: str, action: str) -> None:
    facts = FACTS | {"legs": LEGS.get(place, FACTS["legs"])}
    for role, cell in CELLS[place][action].items():
        case = PlainCase(state=place.partition(",")[0], **PLAIN[place])
        before = vars(case).copy()
        try:
            procedure.fire(case, action, act(role, facts))
            found = case.state
        except NotPermitted as refused:
            # Without a word of its own: the role is not named for the action at all.
            found = "403" if refused.code == "not_permitted" else refused.code
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
    """22 places x 44 actions x 10 roles; a cell that is missing would be a cell that is not tried."""
    assert len(CELLS) == 22
    assert len(ACTIONS) == 44
    assert CELLS.keys() == PLAIN.keys() == WAYS.keys()
    for rows in CELLS.values():
        assert tuple(rows) == ACTIONS
        assert all(tuple(cells) == ROLES for cells in rows.values())


def test_the_table_names_every_action_and_every_state_of_the_procedure() -> None:
    assert set(ACTIONS) == set(procedure.ACTIONS)
    assert {place.partition(",")[0] for place in CELLS} == set(procedure.CaseState)


def test_every_rule_that_has_a_status_stands_in_a_cell() -> None:
    cells = {cell for rows in CELLS.values() for row in rows.values() for cell in row.values()}
    cells |= set(OVER_THE_API.values())
    assert cells == {"403", "409"} | STATUS_OF.keys() | set(procedure.CaseState) - {"opened"}


def test_a_role_is_refused_by_name_everywhere_or_nowhere() -> None:
    for action in ACTIONS:
        for role in ROLES:
            cells = [CELLS[place][action][role] for place in CELLS]
            assert len({cell == "403" for cell in cells}) == 1, (action, role)


def test_what_time_gateway_and_system_do_is_refused_to_every_token() -> None:
    for action in UNTAKEN:
        for place in CELLS:
            assert {CELLS[place][action][role] for role in TOKEN_ROLES} == {"403"}


def test_admin_is_refused_everything_everywhere() -> None:
    assert {rows[action]["admin"] for rows in CELLS.values() for action in ACTIONS} == {"403"}


def test_a_supervisor_may_do_all_that_a_senior_may() -> None:
    for place, rows in CELLS.items():
        for action, cells in rows.items():
            assert cells["supervisor"] == cells["senior"], (place, action)


def test_nothing_is_possible_where_a_case_is_over() -> None:
    for place in ("refunded", "closed"):
        assert {cell for cells in CELLS[place].values() for cell in cells.values()} == {"403", "409"}


def test_a_decision_that_grants_nothing_closes_the_case_once_it_is_final() -> None:
    """A cell with two targets: `finalise` leads to the first leg, or to closed where there is none."""
    for role in ("clock", "system"):
        case = PlainCase(state="decided", **PLAIN["decided"])
        procedure.fire(case, "finalise", act(role, {"legs": ()}))
        assert case.state == "closed"


def test_a_decision_above_the_mediators_authority_escalates_the_case() -> None:
    """Another: `decide` leads to decided, or above the decider's authority to escalated."""
    for amount, state in ((50_001, "escalated"), (50_000, "decided")):
        case = PlainCase(state="under_review")
        procedure.fire(case, "decide", act("mediator", {"amount_minor": amount, "authority_minor": 50_000}))
        assert case.state == state
