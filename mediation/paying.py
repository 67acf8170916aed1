"""Sending what is due, and applying what came of it. A job is only a hint: the refund's row says what is owed."""

from __future__ import annotations

import uuid
from datetime import datetime

import structlog

from mediation.gateways import Fate, Gateway, Reply
from mediation.models import Refund
from mediation.operations import refunds
from mediation.services import Services

log = structlog.get_logger("mediation.paying")


def due(services: Services) -> list[uuid.UUID]:
    """The refunds whose next try is due."""
    with services.sessions.begin() as session:
        return refunds.due(session, services.clock())


def pay(services: Services, gateway: Gateway, refund_id: uuid.UUID) -> None:
    """Try a refund once, if it is due and nobody else is at it."""
    settings, now = services.settings, services.clock()
    # Nobody may try again before this try has had its answer or its time-out.
    pause = settings.gateway_timeout + settings.refund_retry_pause
    with services.sessions.begin() as session:
        refund = refunds.claim(session, refund_id, gateway.name, now, pause)
    if refund is None:
        return
    reply = gateway.pay(services.sessions, refund, now)
    log.info("refund_tried", refund=str(refund_id), attempt=refund.attempts, fate=reply.fate, why=reply.why)
    _apply(services, refund, reply, services.clock())


def _apply(services: Services, refund: Refund, reply: Reply, now: datetime) -> None:
    with services.sessions.begin() as session:
        if reply.fate is Fate.SETTLED:
            refunds.settle(session, refund.id, now, reference=reply.reference)
        elif reply.fate is Fate.FAILED:
            refunds.fail(session, refund.id, now, failure=reply.why or "the gateway refused")
        elif now - refund.tries_since >= services.settings.refund_give_up_after:
            # Nobody knows whether it was paid; senior staff find out, and the money stays reserved until they have.
            refunds.fail(session, refund.id, now, failure=reply.why or "no answer in time", actor=refunds.SYSTEM)
