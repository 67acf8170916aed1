"""How a refund leaves: one interface, two real ways. Neither pays twice for the same refund.

`ledger`  the embedded double-entry ledger: the payment and the case's settling are one transaction.
`http`    a signed, idempotent POST to the marketplace; its answer, or a signed callback, tells the fate.

Signatures both ways are those of Standard Webhooks (HMAC-SHA256 over id, time and body). docs/gateway.md is the
protocol as a marketplace implements it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

import httpx
import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker
from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook, WebhookVerificationError

from mediation import sandbox
from mediation.db import new_id
from mediation.errors import BadSignature
from mediation.models import Order, Refund
from mediation.operations import refunds
from mediation.sandbox import GatewayMode
from mediation.schemas import money
from mediation.settings import BadSetting, Settings

#: The most that is read of a gateway's answer, in bytes.
MAX_ANSWER = 64 * 1024


class Fate(StrEnum):
    """What is known of a payment after a try. `UNKNOWN` means try again under the same key; `ACCEPTED`: wait."""

    SETTLED = "settled"
    FAILED = "failed"
    ACCEPTED = "accepted"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Reply:
    """What a gateway answered: a fate, its own reference, and why it failed or is unknown.

    `why` may be the gateway's own words and is for the case's people only; `answer` (a status, the kind of an error)
    may be logged. `applied`: the case was settled together with the payment.
    """

    fate: Fate
    reference: str | None = None
    why: str | None = None
    answer: str | None = None
    applied: bool = False


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
        """Settle: the movement in the ledger, whose primary key refuses a second one, is the payment."""
        reference = f"ledger:{refund.id}"
        with sessions.begin() as session:
            case = refunds.lock_case_under_way(session, refund.id)
            if case is None:
                # Its fate was applied by whoever brought it.
                return Reply(Fate.UNKNOWN, answer="not under way any more", applied=True)
            refunds.settle(session, refund.id, now, reference=reference)
        return Reply(Fate.SETTLED, reference=reference, applied=True)

    def close(self) -> None:
        """Nothing is held."""


class HttpGateway:
    """Asks the marketplace to pay, by POST to its URL with the refund's id as Idempotency-Key.

    2xx with {"status": "settled" | "failed" | "accepted"} is an answer; 4xx but 408, 409, 425 and 429 is a refusal;
    anything else, and no answer in time, leaves the fate unknown. Raises BadSetting if URL or secret cannot be used.
    """

    name = "http"
    _TRANSIENT = frozenset({408, 409, 425, 429})

    def __init__(self, settings: Settings) -> None:
        self._url = _url(settings)
        self._signer = _signer(settings)
        self._patience = settings.gateway_timeout.total_seconds()
        # Compressed answers could unfold beyond the bound that they are read with.
        self._client = httpx.Client(
            timeout=self._patience, follow_redirects=False, headers={"accept-encoding": "identity"}
        )

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
                "purposes": {name: money(amount, refund.currency) for name, amount in sorted(refund.purposes.items())},
                "amount": money(refund.amount_minor, refund.currency),
            }
        ).decode()
        # A new one each time: a receiver that drops message ids it has seen would leave a repeated try unanswered.
        message = f"refund_{new_id()}"
        headers = {
            "content-type": "application/json",
            "idempotency-key": str(refund.id),
            "webhook-id": message,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._signer.sign(message, now, body),
        }
        try:
            with self._client.stream("POST", self._url, content=body, headers=headers) as answer:
                return self._read(answer.status_code, _told(answer, self._patience), refund)
        except httpx.HTTPError as error:
            kind = type(error).__name__
            return Reply(Fate.UNKNOWN, why=f"no answer from the gateway ({kind})", answer=kind)

    def _read(self, status: int, told: Mapping[str, Any], refund: Refund) -> Reply:
        said, why = f"gateway answered {status}", _words(told.get("why"))
        if 400 <= status < 500 and status not in self._TRANSIENT:
            return Reply(Fate.FAILED, why=why or said, answer=str(status))
        if not 200 <= status < 300:
            return Reply(Fate.UNKNOWN, why=said, answer=str(status))
        if told.get("status") not in (Fate.SETTLED, Fate.FAILED, Fate.ACCEPTED):
            return Reply(Fate.UNKNOWN, why="gateway answered no status", answer=f"{status} without a status")
        if told.get("amount", money(refund.amount_minor, refund.currency)) != money(
            refund.amount_minor, refund.currency
        ):
            # Settling would make our book lie, and asking again would hear the same.
            return Reply(Fate.FAILED, why="the gateway told another amount", answer=f"{status} with another amount")
        return Reply(Fate(told["status"]), _words(told.get("reference")), why, answer=str(status))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def _url(settings: Settings) -> str:
    try:
        url = httpx.URL(str(settings.gateway_url))
    except httpx.InvalidURL as error:
        raise BadSetting("GATEWAY_URL: must be an http(s) URL") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise BadSetting("GATEWAY_URL: must be an http(s) URL")
    return str(url)


def _signer(settings: Settings) -> Webhook:
    try:
        return Webhook(str(settings.gateway_secret))
    except (ValueError, EmptyWebhookSecretError) as error:
        raise BadSetting("GATEWAY_SECRET: must be whsec_ and base64, as of Standard Webhooks") from error


def _told(answer: httpx.Response, patience: float) -> Mapping[str, Any]:
    """The JSON object in an answer; empty if there is none. Raises httpx.HTTPError on one too long or too slow."""
    body, until = bytearray(), time.monotonic() + patience
    for part in answer.iter_bytes():
        body += part
        if len(body) > MAX_ANSWER:
            raise httpx.ReadError("The answer is too long.")
        if time.monotonic() > until:
            raise httpx.ReadTimeout("The answer trickles.")
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return told if isinstance(told, dict) else {}


def _words(value: object) -> str | None:
    return value[:200] if isinstance(value, str) and value and value.isprintable() else None


class SandboxGateway:
    """The gateway of a sandbox: the one that is set up, made to fail, stall or answer twice by /sandbox/gateway."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self.name = gateway.name

    def pay(self, sessions: sessionmaker[Session], refund: Refund, now: datetime) -> Reply:
        """Pay, or behave as the sandbox is set."""
        with sessions.begin() as session:
            mode = sandbox.gateway_mode(session)
        if mode is GatewayMode.FAIL:
            return Reply(Fate.FAILED, why="the sandbox's gateway refuses", answer="sandbox")
        if mode is GatewayMode.STALL:
            return Reply(Fate.UNKNOWN, why="the sandbox's gateway does not answer", answer="sandbox")
        reply = self._gateway.pay(sessions, refund, now)
        if mode is GatewayMode.TWICE:
            again = self._gateway.pay(sessions, refund, now)
            if reply.fate is Fate.SETTLED:
                # Told a second time, as a callback tells it; whoever brings it, it is applied once.
                with sessions.begin() as session:
                    refunds.settle(session, refund.id, now, reference=reply.reference)
            return again if not reply.applied else reply
        return reply

    def close(self) -> None:
        """Let go of what the gateway holds."""
        self._gateway.close()


def gateway_of(settings: Settings) -> Gateway:
    """The gateway that the settings name. Raises BadSetting."""
    gateway: Gateway = HttpGateway(settings) if settings.gateway == "http" else LedgerGateway()
    return SandboxGateway(gateway) if settings.sandbox else gateway


def verify(settings: Settings, raw: bytes, headers: Mapping[str, str]) -> None:
    """Raises BadSignature unless the callback's signature holds and is at most five minutes old."""
    if not settings.gateway_secret:
        raise BadSignature("No gateway is set up to call back.")
    try:
        _signer(settings).verify(raw, dict(headers), json_parse=False)
    except (WebhookVerificationError, ValueError) as error:
        raise BadSignature() from error
