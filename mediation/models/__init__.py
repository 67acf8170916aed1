"""The tables. Models hold data and derive from it; they decide nothing and never commit."""

from mediation.models.case import Case, Claim, Offer, OpenLine, Order, Party
from mediation.models.custody import CustodyEntry, CustodyOpening, Redaction
from mediation.models.deadline import Deadline, Notice, PolicyVersion, Sandbox
from mediation.models.decision import Appeal, Decision
from mediation.models.evidence import EvidenceItem, EvidenceRequest
from mediation.models.exhibit import Exhibit, ExhibitMessage, ExhibitMessageOpening
from mediation.models.record import DocketEntry, DocketOpening, IdempotentAnswer, Seal, SealingKey
from mediation.models.refund import LedgerEntry, Refund, RefundStatus
from mediation.models.staff import Interest
from mediation.models.tracking import TrackingScan

__all__ = [
    "Appeal",
    "Case",
    "Claim",
    "CustodyEntry",
    "CustodyOpening",
    "Deadline",
    "Decision",
    "DocketEntry",
    "DocketOpening",
    "EvidenceItem",
    "EvidenceRequest",
    "Exhibit",
    "ExhibitMessage",
    "ExhibitMessageOpening",
    "IdempotentAnswer",
    "Interest",
    "LedgerEntry",
    "Notice",
    "Offer",
    "OpenLine",
    "Order",
    "Party",
    "PolicyVersion",
    "Redaction",
    "Refund",
    "RefundStatus",
    "Sandbox",
    "Seal",
    "SealingKey",
    "TrackingScan",
]
