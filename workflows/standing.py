"""What follows from where a case stands: whose turn it is, in which queue it lies, what it means to its reader."""

from __future__ import annotations

from collections.abc import Callable

from workflows.acts import Actor, CaseLike
from workflows.states import FINAL_STATES, STAGE_OF, CaseState, EscalationReason, Queue, Side, Stage, View, WaitingOn

S = CaseState
#: Who holds the open offer when it is a mediator's proposal, which both sides answer.
PROPOSER = "mediator"

_WAITS_ON: dict[CaseState, WaitingOn] = {
    S.OPENED: WaitingOn.PLATFORM,
    S.SELLER_NOTIFIED: WaitingOn.SELLER,
    S.SELLER_REFUSED: WaitingOn.BUYER,
    S.AWAITING_RETURN: WaitingOn.BUYER,
    S.AWAITING_INSPECTION: WaitingOn.SELLER,
    S.UNDER_REVIEW: WaitingOn.MEDIATOR,
    S.REFUND: WaitingOn.PLATFORM,
}


def waiting_on(case: CaseLike) -> WaitingOn | None:
    """Who must act next; None once the case is final, and while it is suspended: then time alone goes on."""
    state = CaseState(case.state)
    if state in FINAL_STATES or state is S.SUSPENDED:
        return None
    depends = _DEPENDS.get(state)
    return _WAITS_ON[state] if depends is None else depends(case)


def _answers_offer(case: CaseLike) -> WaitingOn:
    if case.open_offer_by in (None, PROPOSER):
        return _either(not case.proposal_accepted_by_buyer, not case.proposal_accepted_by_seller)
    return WaitingOn(Side(case.open_offer_by).other.value)


def _either(on_buyer: bool, on_seller: bool) -> WaitingOn:
    if on_buyer == on_seller:
        return WaitingOn.BOTH
    return WaitingOn.BUYER if on_buyer else WaitingOn.SELLER


def _answers_performance(case: CaseLike) -> WaitingOn:
    return WaitingOn.BUYER if case.performed else WaitingOn.SELLER


def _owes_evidence(case: CaseLike) -> WaitingOn:
    return _either(case.evidence_of_buyer, case.evidence_of_seller)


def _looks_after_escalation(case: CaseLike) -> WaitingOn:
    return WaitingOn.SUPERVISOR if case.level >= 2 else WaitingOn.SENIOR


def _may_still_appeal(case: CaseLike) -> WaitingOn:
    return _either(not case.accepted_by_buyer, not case.accepted_by_seller)


_DEPENDS: dict[CaseState, Callable[[CaseLike], WaitingOn]] = {
    S.NEGOTIATING: _answers_offer,
    S.AWAITING_PERFORMANCE: _answers_performance,
    S.AWAITING_EVIDENCE: _owes_evidence,
    S.ESCALATED: _looks_after_escalation,
    S.DECIDED: _may_still_appeal,
}


def stage(case: CaseLike) -> Stage:
    """The stage of the case's state; a suspended case keeps that of the state in which it stands still."""
    state = CaseState(case.state)
    return STAGE_OF[CaseState(case.suspended_from) if state is S.SUSPENDED and case.suspended_from else state]


def queue(case: CaseLike) -> Queue | None:
    """The staff queue in which the case lies, if any."""
    if case.state == S.UNDER_REVIEW:
        return Queue.MEDIATION
    if case.state != S.ESCALATED:
        return None
    if case.escalation_reason == EscalationReason.APPEAL:
        return Queue.APPEALS
    if case.escalation_reason == EscalationReason.REFUND_FAILED:
        return Queue.FAILED_REFUNDS
    return Queue.APPROVALS if case.pending_decision_by is not None else Queue.ESCALATIONS


def view_for(case: CaseLike, actor: Actor) -> View:
    """What the case means to this reader: whether they must act, may appeal, or wait."""
    if case.state in FINAL_STATES:
        return View.RESOLVED
    waits = waiting_on(case)
    return _view_of_staff(actor, waits) if actor.side is None else _view_of_party(case, actor.side, waits)


def _view_of_staff(actor: Actor, waits: WaitingOn | None) -> View:
    if waits is not None and waits.value == actor.role.value:
        return View.ACTION_REQUIRED
    reviewing = (WaitingOn.MEDIATOR, WaitingOn.SENIOR, WaitingOn.SUPERVISOR)
    return View.UNDER_PLATFORM_REVIEW if waits in reviewing else View.WAITING_OTHER_PARTY


def _view_of_party(case: CaseLike, side: Side, waits: WaitingOn | None) -> View:
    if case.state == S.DECIDED:
        accepted = case.accepted_by_buyer if side is Side.BUYER else case.accepted_by_seller
        return View.WAITING_OTHER_PARTY if accepted else View.APPEALABLE
    if waits is WaitingOn.BOTH or (waits is not None and waits.value == side.value):
        return View.ACTION_REQUIRED
    if waits is not None and waits.value == side.other.value:
        return View.WAITING_OTHER_PARTY
    return View.UNDER_PLATFORM_REVIEW
