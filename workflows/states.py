"""Closed lists of the procedure. Their values are public contract (docs/api.md)."""

from __future__ import annotations

from enum import StrEnum


class CaseState(StrEnum):
    """Where a case stands."""

    OPENED = "opened"
    SELLER_NOTIFIED = "seller_notified"
    NEGOTIATING = "negotiating"
    SELLER_REFUSED = "seller_refused"
    AWAITING_RETURN = "awaiting_return"
    AWAITING_INSPECTION = "awaiting_inspection"
    AWAITING_PERFORMANCE = "awaiting_performance"
    UNDER_REVIEW = "under_review"
    AWAITING_EVIDENCE = "awaiting_evidence"
    ESCALATED = "escalated"
    DECIDED = "decided"
    REFUND = "refund"
    SUSPENDED = "suspended"
    REFUNDED = "refunded"
    CLOSED = "closed"


class Stage(StrEnum):
    NEGOTIATION = "negotiation"
    PERFORMANCE = "performance"
    MEDIATION = "mediation"
    APPEAL = "appeal"
    EXECUTION = "execution"
    FINAL = "final"


#: The stage of each state but `suspended`, which keeps the stage of the state that it stands still in.
STAGE_OF: dict[CaseState, Stage] = {
    CaseState.OPENED: Stage.NEGOTIATION,
    CaseState.SELLER_NOTIFIED: Stage.NEGOTIATION,
    CaseState.NEGOTIATING: Stage.NEGOTIATION,
    CaseState.SELLER_REFUSED: Stage.NEGOTIATION,
    CaseState.AWAITING_RETURN: Stage.PERFORMANCE,
    CaseState.AWAITING_INSPECTION: Stage.PERFORMANCE,
    CaseState.AWAITING_PERFORMANCE: Stage.PERFORMANCE,
    CaseState.UNDER_REVIEW: Stage.MEDIATION,
    CaseState.AWAITING_EVIDENCE: Stage.MEDIATION,
    CaseState.ESCALATED: Stage.MEDIATION,
    CaseState.DECIDED: Stage.APPEAL,
    CaseState.REFUND: Stage.EXECUTION,
    CaseState.REFUNDED: Stage.FINAL,
    CaseState.CLOSED: Stage.FINAL,
}
FINAL_STATES = frozenset(state for state, stage in STAGE_OF.items() if stage is Stage.FINAL)


class Role(StrEnum):
    """Who acts. No token is ever issued for `clock`, `gateway` and `system`."""

    BUYER = "buyer"
    SELLER = "seller"
    MEDIATOR = "mediator"
    SENIOR = "senior"
    SUPERVISOR = "supervisor"
    PLATFORM = "platform"
    ADMIN = "admin"
    CLOCK = "clock"
    GATEWAY = "gateway"
    SYSTEM = "system"


PARTIES = frozenset({Role.BUYER, Role.SELLER})
STAFF = frozenset({Role.MEDIATOR, Role.SENIOR, Role.SUPERVISOR})
TOKENLESS = frozenset({Role.CLOCK, Role.GATEWAY, Role.SYSTEM})
TOKEN_ROLES = tuple(role for role in Role if role not in TOKENLESS)


class Side(StrEnum):
    BUYER = "buyer"
    SELLER = "seller"

    @property
    def other(self) -> Side:
        return Side.SELLER if self is Side.BUYER else Side.BUYER


class WaitingOn(StrEnum):
    PLATFORM = "platform"
    BUYER = "buyer"
    SELLER = "seller"
    BOTH = "both"
    MEDIATOR = "mediator"
    SENIOR = "senior"
    SUPERVISOR = "supervisor"


class Queue(StrEnum):
    """Where staff look for a case that waits on them."""

    MEDIATION = "mediation"
    ESCALATIONS = "escalations"
    APPROVALS = "approvals"
    APPEALS = "appeals"
    FAILED_REFUNDS = "failed_refunds"


class View(StrEnum):
    """What a case means to the one who reads it."""

    ACTION_REQUIRED = "action_required"
    WAITING_OTHER_PARTY = "waiting_other_party"
    UNDER_PLATFORM_REVIEW = "under_platform_review"
    APPEALABLE = "appealable"
    RESOLVED = "resolved"


class Outcome(StrEnum):
    BUYER_FAVOUR = "buyer_favour"
    SELLER_FAVOUR = "seller_favour"
    SPLIT = "split"
    REFUSED_TO_HEAR = "refused_to_hear"
    SETTLED = "settled"
    LAPSED = "lapsed"
    WITHDRAWN = "withdrawn"


DECISION_OUTCOMES = (Outcome.BUYER_FAVOUR, Outcome.SELLER_FAVOUR, Outcome.SPLIT, Outcome.REFUSED_TO_HEAR)


class Reason(StrEnum):
    NOT_RECEIVED = "not_received"
    LATE_SHIPMENT = "late_shipment"
    NOT_SHIPPED = "not_shipped"
    NOT_AS_DESCRIBED = "not_as_described"
    QUALITY_DEFECT = "quality_defect"
    DAMAGED = "damaged"
    MISSING_ITEMS = "missing_items"
    WRONG_ITEM = "wrong_item"
    COUNTERFEIT = "counterfeit"
    REFUND_NOT_PROCESSED = "refund_not_processed"
    NO_REASON_RETURN = "no_reason_return"
    AMOUNT = "amount"
    SHIPPING_FEE = "shipping_fee"
    GIFT = "gift"
    SELLER_UNRESPONSIVE = "seller_unresponsive"
    OTHER = "other"


class Request(StrEnum):
    REFUND_ONLY = "refund_only"
    RETURN_AND_REFUND = "return_and_refund"
    EXCHANGE = "exchange"
    RESHIP = "reship"
    REPAIR = "repair"
    COMPENSATION = "compensation"


class RemedyKind(StrEnum):
    REFUND = "refund"
    PARTIAL_REFUND = "partial_refund"
    RETURN_AND_REFUND = "return_and_refund"
    EXCHANGE = "exchange"
    RESHIP = "reship"
    REPAIR = "repair"
    COMPENSATION = "compensation"
    NONE = "none"


class RefuseReason(StrEnum):
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    AS_DESCRIBED = "as_described"
    BUYER_DAMAGE = "buyer_damage"
    OUT_OF_TIME = "out_of_time"
    OTHER = "other"


class Ground(StrEnum):
    """What the order's own facts must prove before money is sent back without a decision."""

    NOT_SHIPPED = "not_shipped"
    RETURN_DELIVERED = "return_delivered"
    DELIVERY_FAILED = "delivery_failed"


class SuspendGround(StrEnum):
    AGREEMENT = "agreement"
    COURT_DOCKET = "court_docket"
    POLICE = "police"


class Verdict(StrEnum):
    """What came out of a parcel that was opened."""

    RECEIVED_OK = "received_ok"
    NOT_RECEIVED = "not_received"
    DAMAGED = "damaged"
    EMPTY_OR_DIFFERENT = "empty_or_different"
    MISSING_ITEMS = "missing_items"


#: What a dispute over a return or a performance may say; that all is well is no dispute.
DISPUTED_VERDICTS = tuple(verdict for verdict in Verdict if verdict is not Verdict.RECEIVED_OK)


class EscalationReason(StrEnum):
    AMOUNT_OVER_AUTHORITY = "amount_over_authority"
    SAFETY_OR_COUNTERFEIT = "safety_or_counterfeit"
    EXTORTION = "extortion"
    COMPLEX = "complex"
    NO_MEDIATOR_DECISION = "no_mediator_decision"
    REFUND_FAILED = "refund_failed"
    APPEAL = "appeal"
    OTHER = "other"


#: What a mediator may give as a reason; the others are set by what happened.
STATED_ESCALATION_REASONS = (
    EscalationReason.AMOUNT_OVER_AUTHORITY,
    EscalationReason.SAFETY_OR_COUNTERFEIT,
    EscalationReason.EXTORTION,
    EscalationReason.COMPLEX,
    EscalationReason.OTHER,
)


class Blame(StrEnum):
    BUYER = "buyer"
    SELLER = "seller"
    CARRIER = "carrier"
    PLATFORM = "platform"
    NONE = "none"


class EvidenceType(StrEnum):
    CHAT_LOG = "chat_log"
    PHOTO = "photo"
    VIDEO = "video"
    TRACKING = "tracking"
    DELIVERY_SIGNATURE = "delivery_signature"
    RETURN_TRACKING = "return_tracking"
    LISTING_SNAPSHOT = "listing_snapshot"
    INVOICE = "invoice"
    SOURCING_CERTIFICATE = "sourcing_certificate"
    CUSTOMS_DOCUMENT = "customs_document"
    INSPECTION_REPORT = "inspection_report"
    REFUND_PROOF = "refund_proof"
    PROMISE = "promise"
    COURT_OR_POLICE_DOCUMENT = "court_or_police_document"
    STATEMENT = "statement"
    OTHER = "other"


class FindingResult(StrEnum):
    PROVEN = "proven"
    NOT_PROVEN = "not_proven"
    UNDISPUTED = "undisputed"
