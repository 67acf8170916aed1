"""The tables. Models hold data and derive from it; they decide nothing and never commit."""

from mediation.models.case import Case, Claim, Offer, OpenLine, Order, Party
from mediation.models.decision import Appeal, Decision
from mediation.models.exhibit import Exhibit, ExhibitMessage, ExhibitMessageOpening
from mediation.models.record import DocketEntry, DocketOpening, IdempotentAnswer, Seal, SealingKey
from mediation.models.refund import LedgerEntry, Refund, RefundStatus
from mediation.models.staff import Interest

__all__ = [
    "Appeal",
    "Case",
    "Claim",
    "Decision",
    "DocketEntry",
    "DocketOpening",
    "Exhibit",
    "ExhibitMessage",
    "ExhibitMessageOpening",
    "IdempotentAnswer",
    "Interest",
    "LedgerEntry",
    "Offer",
    "OpenLine",
    "Order",
    "Party",
    "Refund",
    "RefundStatus",
    "Seal",
    "SealingKey",
]
