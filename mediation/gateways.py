"""How a refund leaves: one interface, two real ways. Neither pays twice for the same refund.

`ledger`  the embedded double-entry ledger: the payment and the case's settling are one transaction.
`http`    a signed, idempotent POST to the marketplace; its answer, or a signed callback, tells the fate.

Signatures both ways are those of Standard Webhooks (HMAC-SHA256 over id, time and body).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

import httpx
import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from mediation.errors import BadSignature
from mediation.models import Decision, Order, Refund
from mediation.operations import refunds
from mediation.schemas import money
from mediation.settings import Settings


class Fate(StrEnum):
    """What is known of a payment after a try. `UNKNOWN` means try again under the same key; `ACCEPTED`: wait."""

    SETTLED = "settled"
    FAILED = "failed"
    ACCEPTED = "accepted"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Reply:
    """What a gateway answered: a fate, its own reference, and why it failed or is unknown."""

    fate: Fate
    reference: str | None = None
    why: str | None = None


class Gateway(Protocol):
    """Where refunds go."""

    name: str

    def pay(self, sessions: sessionmaker[Session], refund: Refund, now: datetime) -> Reply:
        """Pay a refund that was claimed, or say what became of it. Repeating the call never pays again."""
        ...

    def close(self) -> None:
        """Let go of what it holds."""
        ...


class LedgerGateway:
    """Pays in the embedded ledger, in the session's own transaction: paid and settled, or neither."""

    name = "ledger"

    def pay(self, sessions: sessionmaker[Session], refund: Refund, now: datetime) -> Reply:
        """Debit who bears the refund, credit the buyer, settle; the ledger's primary key refuses a second writing."""
        reference = f"ledger:{refund.id}"
        with sessions.begin() as session:
            case = refunds.lock_case_under_way(session, refund.id)
            if case is None:
                return Reply(Fate.ACCEPTED)
            shares = _shares(session, refund, case.seller_ref)
            refunds.enter_in_ledger(session, refund, shares, case.buyer_ref, now)
            refunds.settle(session, refund.id, now, reference=reference)
        return Reply(Fate.SETTLED, reference=reference)

    def close(self) -> None:
        """Nothing is held."""


def _shares(session: Session, refund: Refund, seller: str) -> dict[str, int]:
    """Who bears the refund, by account: as the final decision splits the liability, else the seller alone."""
    liability = session.scalar(
        select(Decision.liability).where(Decision.case_id == refund.case_id, Decision.status == "final")
    )
    if not liability:
        return {f"seller:{seller}": refund.amount_minor}
    return {
        f"seller:{seller}" if part["party"] == "seller" else str(part["party"]): part["amount_minor"]
        for part in liability
    }


class HttpGateway:
    """Asks the marketplace to pay, by POST {url} with the refund's id as Idempotency-Key.

    2xx with {"status": "settled" | "failed" | "accepted"} is an answer; 4xx but 408, 409, 425 and 429 is a refusal;
    anything else, and no answer in time, leaves the fate unknown.
    """

    name = "http"
    _TRANSIENT = frozenset({408, 409, 425, 429})

    def __init__(self, settings: Settings) -> None:
        self._url = str(settings.gateway_url)
        self._signer = Webhook(str(settings.gateway_secret))
        self._client = httpx.Client(timeout=settings.gateway_timeout.total_seconds(), follow_redirects=False)

    def pay(self, sessions: sessionmaker[Session], refund: Refund, now: datetime) -> Reply:
        """Send the refund. No transaction is open while the network is asked."""
        with sessions.begin() as session:
            query = select(Order.external_id, Order.marketplace).where(Order.id == refund.order_id)
            order, marketplace = session.execute(query).one()
        body = orjson.dumps(
            {
                "refund_id": str(refund.id),
                "marketplace": marketplace,
                "order": order,
                "case": str(refund.case_id),
                "purpose": refund.purpose,
                "amount": money(refund.amount_minor, refund.currency),
            }
        ).decode()
        message = f"refund-{refund.id}-{refund.attempts}"
        headers = {
            "content-type": "application/json",
            "idempotency-key": str(refund.id),
            "webhook-id": message,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._signer.sign(message, now, body),
        }
        try:
            answer = self._client.post(self._url, content=body, headers=headers)
        except httpx.HTTPError as error:
            return Reply(Fate.UNKNOWN, why=type(error).__name__)
        return self._read(answer)

    def _read(self, answer: httpx.Response) -> Reply:
        if 400 <= answer.status_code < 500 and answer.status_code not in self._TRANSIENT:
            return Reply(Fate.FAILED, why=f"gateway answered {answer.status_code}")
        if not answer.is_success:
            return Reply(Fate.UNKNOWN, why=f"gateway answered {answer.status_code}")
        try:
            told = orjson.loads(answer.content)
            fate = Fate(told["status"])
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            return Reply(Fate.UNKNOWN, why="gateway answered no status")
        return Reply(fate, reference=_text(told.get("reference")), why=_text(told.get("why")))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def _text(value: object) -> str | None:
    return value[:200] if isinstance(value, str) and value.isprintable() else None


def gateway_of(settings: Settings) -> Gateway:
    """The gateway that the settings name."""
    return HttpGateway(settings) if settings.gateway == "http" else LedgerGateway()


def verified(settings: Settings, raw: bytes, headers: dict[str, str]) -> Any:
    """The JSON of a callback whose signature holds and is at most five minutes old. Raises BadSignature."""
    if not settings.gateway_secret:
        raise BadSignature("No gateway is set up to call back.")
    try:
        return Webhook(settings.gateway_secret).verify(raw.decode(), headers)
    except (WebhookVerificationError, ValueError) as error:
        raise BadSignature() from error
