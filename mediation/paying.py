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
    """Try a refund once, if it is due and nobody else is at it.

    Three transactions at most, and none of them open while the gateway is asked: the try is claimed, the gateway pays,
    its reply is applied. Whatever goes wrong in between is raised; the refund's row has its next try set already.
    """
    settings, now = services.settings, services.clock()
    with services.sessions.begin() as session:
        refund = refunds.claim(
            session,
            refund_id,
            gateway.name,
            now,
            # A try has normally had its answer or its time-out when the next one is due.
            settings.gateway_timeout + settings.refund_retry_pause,
            give_up_after=settings.refund_give_up_after,
        )
    if refund is None:
        return
    if refund.gateway != gateway.name:
        # What the other gateway may have paid already, this one must not pay again.
        _fail(services, refund, f"tried through the gateway {refund.gateway}, which is not set up any more")
        return
    try:
        reply = gateway.pay(services.sessions, refund, now)
        log.info("refund_tried", refund=str(refund_id), attempt=refund.attempts, fate=reply.fate, answer=reply.answer)
        _apply(services, refund, reply)
    except Exception:
        # A refund that cannot be settled for a defect of ours must not wait for ever without anybody knowing.
        if _out_of_time(services, refund, services.clock()):
            _fail(services, refund, "it could not be settled on our side")
        raise


def _apply(services: Services, refund: Refund, reply: Reply) -> None:
    if reply.applied:
        return
    now = services.clock()
    if reply.fate is Fate.SETTLED:
        with services.sessions.begin() as session:
            refunds.settle(session, refund.id, now, reference=reply.reference)
    elif reply.fate is Fate.FAILED:
        with services.sessions.begin() as session:
            refunds.fail(session, refund.id, now, failure=reply.why or "the gateway refused", only_if_sent=True)
    elif reply.fate in (Fate.UNKNOWN, Fate.ACCEPTED) and _out_of_time(services, refund, now):
        # Nobody knows whether it was paid; senior staff find out, and the money stays reserved until they have.
        _fail(services, refund, reply.why or "no final answer in time")


def _out_of_time(services: Services, refund: Refund, now: datetime) -> bool:
    return now - refund.tries_since >= services.settings.refund_give_up_after


def _fail(services: Services, refund: Refund, failure: str) -> None:
    with services.sessions.begin() as session:
        refunds.fail(session, refund.id, services.clock(), failure=failure, actor=refunds.SYSTEM)
    log.error("refund_given_up", refund=str(refund.id), attempts=refund.attempts)
