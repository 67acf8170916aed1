"""Sending what is due, and applying what came of it. A job is only a hint: the refund's row says what is owed."""

from __future__ import annotations

import uuid
from typing import Any

import structlog

from mediation import clock
from mediation.gateways import Fate, Gateway, Reply
from mediation.models import Refund
from mediation.operations import refunds
from mediation.services import Services

log = structlog.get_logger("mediation.paying")


def due(services: Services) -> list[uuid.UUID]:
    """The refunds whose next try is due."""
    with services.sessions.begin() as session:
        return refunds.due(session, services.real())


def in_hand(services: Services) -> bool:
    """Whether somebody has taken a refund for a try that may be under way right now."""
    began = services.real() - services.settings.gateway_timeout
    with services.sessions.begin() as session:
        return refunds.in_hand(session, since=began)


def pay(services: Services, gateway: Gateway, refund_id: uuid.UUID) -> None:
    """Try a refund once, if it is due and nobody else is at it.

    Three transactions at most, and none of them open while the gateway is asked: the try is claimed, the gateway pays,
    its reply is applied. Whatever goes wrong in between is raised; the refund's row has its next try set already.
    """
    settings, now = services.settings, services.real()
    with services.sessions.begin() as session:
        refund = refunds.claim(
            session,
            refund_id,
            gateway.name,
            now,
            # A try has normally had its answer or its time-out when the next one is due.
            settings.gateway_timeout + settings.refund_retry_pause,
            give_up_after=settings.refund_give_up_after or refunds.FAR_OFF,
        )
    if refund is None:
        return
    if refund.gateway != gateway.name:
        # What the other gateway may have paid already, this one must not pay again.
        _fail(services, refund, f"tried through the gateway {refund.gateway}, which is not set up any more")
        return
    try:
        reply = clock.in_time(services, lambda: gateway.pay(services.sessions, refund, now))
        log.info("refund_tried", refund=str(refund_id), attempt=refund.attempts, fate=reply.fate, answer=reply.answer)
        _apply(services, refund, reply)
    except Exception:
        # A refund that cannot be settled for a defect of ours must not wait for ever without anybody knowing.
        if _out_of_time(services, refund):
            _fail(services, refund, "it could not be settled on our side")
        raise


def _apply(services: Services, refund: Refund, reply: Reply) -> None:
    if reply.applied:
        return
    if reply.fate is Fate.SETTLED:
        clock.in_time(services, lambda: _settle(services, refund, reply))
    elif reply.fate is Fate.FAILED:
        why = reply.why or "the gateway refused"
        clock.in_time(services, lambda: _failed(services, refund, why, only_if_sent=True))
    elif reply.fate in (Fate.UNKNOWN, Fate.ACCEPTED) and _out_of_time(services, refund):
        # Nobody knows whether it was paid; senior staff find out, and the money stays reserved until they have.
        _fail(services, refund, reply.why or "no final answer in time")


def _out_of_time(services: Services, refund: Refund) -> bool:
    assert refund.tries_since is not None, "a refund that was claimed has had a first try"
    give_up_after = services.settings.refund_give_up_after
    return give_up_after is not None and services.real() - refund.tries_since >= give_up_after


def _settle(services: Services, refund: Refund, reply: Reply) -> None:
    with services.sessions.begin() as session:
        refunds.settle(session, refund.id, services.clock(), reference=reply.reference)


def _failed(services: Services, refund: Refund, failure: str, **how: Any) -> None:
    with services.sessions.begin() as session:
        refunds.fail(session, refund.id, services.clock(), failure=failure, **how)


def _fail(services: Services, refund: Refund, failure: str) -> None:
    clock.in_time(services, lambda: _failed(services, refund, failure, actor=refunds.SYSTEM))
    log.error("refund_given_up", refund=str(refund.id), attempts=refund.attempts)
