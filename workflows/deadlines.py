"""Which clocks run where a case stands, what each fires, and which of them stand still.

A deadline has a kind; at most one of a kind runs on a case. After every step the clocks that are wanted there are
compared with those that run: the difference is the plan, which the docket carries out and enters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from workflows.acts import CaseLike
from workflows.standing import PROPOSER
from workflows.states import CaseState, EscalationReason

S = CaseState


class DeadlineKind(StrEnum):
    """What a deadline limits. All but `suspension` have a limit of the same name in the policies."""

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
    ESCALATION = "escalation"
    APPEAL = "appeal"
    REFUND = "refund"
    SUSPENSION = "suspension"


#: What a deadline fires where the policies choose: `agree` or `request_mediation` for a silent seller.
BY_POLICY = "by_policy"
#: A limit that fires nothing: when it is over, a door is shut.
NOTHING = None

K = DeadlineKind
_CLOCKS: dict[CaseState, tuple[DeadlineKind, str | None]] = {
    S.OPENED: (K.NOTIFICATION, "notify_seller"),
    S.SELLER_NOTIFIED: (K.RESPONSE, BY_POLICY),
    S.NEGOTIATING: (K.OFFER, "expire_offer"),
    S.SELLER_REFUSED: (K.MEDIATION_REQUEST, "lapse"),
    S.AWAITING_RETURN: (K.RETURN_SHIPPING, "lapse"),
    S.AWAITING_INSPECTION: (K.INSPECTION, "conclude_inspection"),
    S.AWAITING_PERFORMANCE: (K.PERFORMANCE, "refund_in_place"),
    S.UNDER_REVIEW: (K.REVIEW, "escalate"),
    S.AWAITING_EVIDENCE: (K.EVIDENCE, "default_evidence"),
    S.ESCALATED: (K.ESCALATION, "raise_level"),
    S.DECIDED: (K.APPEAL, "finalise"),
    S.REFUND: (K.REFUND, "fail_refund"),
    S.SUSPENDED: (K.SUSPENSION, "resume"),
}
#: The deadline that limits the state itself: the one that `extend` moves.
OWN: dict[CaseState, DeadlineKind] = {state: kind for state, (kind, _) in _CLOCKS.items()}
#: Actions that leave a case where it is and yet begin a clock anew.
BEGINS_ANEW: dict[str, DeadlineKind] = {
    "offer": K.OFFER,
    "raise_level": K.ESCALATION,
}
#: States in which every clock but the state's own stands still, to go on afterwards with what it had left.
STANDING_STILL = frozenset({S.AWAITING_EVIDENCE, S.SUSPENDED})


def wanted(case: CaseLike, running: Mapping[DeadlineKind, str | None]) -> dict[DeadlineKind, str | None]:
    """The clocks that are to run where the case stands, with what each fires; `running` are those of before."""
    state = CaseState(case.state)
    if state not in _CLOCKS:
        return {}
    kind, fires = _CLOCKS[state]
    clocks: dict[DeadlineKind, str | None] = {kind: fires}
    if state is S.AWAITING_PERFORMANCE and case.performed:
        clocks = {K.CONFIRMATION: "conclude_performance"}
    # The ten days of talks go on over every offer that is turned down; a mediator's proposal is no part of them.
    talking = state is S.NEGOTIATING and case.open_offer_by != PROPOSER
    if talking or (state is S.SELLER_REFUSED and K.NEGOTIATION in running):
        clocks[K.NEGOTIATION] = "request_mediation"
    # The other side has its own time to appeal as well, in which nothing happens by itself.
    windowed = K.APPEAL in running or case.appeal_until is not None
    if state is S.ESCALATED and case.escalation_reason == EscalationReason.APPEAL and windowed:
        clocks[K.APPEAL] = NOTHING
    return clocks


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to become of a case's deadlines, by kind: which start or begin anew (with what they fire), which are
    over, which stop and which go on, and which are to fire something else from now on.
    """

    start: Mapping[DeadlineKind, str | None]
    anew: tuple[DeadlineKind, ...]
    over: tuple[DeadlineKind, ...]
    pause: tuple[DeadlineKind, ...]
    resume: tuple[DeadlineKind, ...]
    refire: Mapping[DeadlineKind, str | None]


def plan(
    case: CaseLike,
    action: str,
    running: Mapping[DeadlineKind, str | None],
    paused: Mapping[DeadlineKind, str | None],
) -> Plan:
    """What follows for the clocks from `action`, which has brought the case where it stands.

    `running` and `paused` are the deadlines so far, by kind, with what they fire.
    """
    known = {**running, **paused}
    clocks = wanted(case, known)
    still = CaseState(case.state) in STANDING_STILL
    anew = tuple(kind for kind in clocks if kind in known and BEGINS_ANEW.get(action) is kind)
    others = [kind for kind in known if kind not in clocks]
    # What stands still is stopped and not ended, but for the time of standing still itself.
    over = tuple(kind for kind in others if not still or kind is DeadlineKind.SUSPENSION)
    return Plan(
        start={kind: fires for kind, fires in clocks.items() if kind not in known},
        anew=anew,
        over=over,
        pause=tuple(kind for kind in running if kind in others and kind not in over),
        resume=tuple(kind for kind in paused if kind in clocks and kind not in anew),
        refire={
            kind: clocks[kind]
            for kind, fires in known.items()
            if kind in clocks and clocks[kind] not in (fires, BY_POLICY)
        },
    )


#: Steps that leave a case where it is and may change a clock all the same.
MOVES_CLOCKS = frozenset({*BEGINS_ANEW, "perform", "extend"})
