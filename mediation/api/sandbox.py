"""/sandbox: time that moves on at will, and a gateway that misbehaves on request. There only with SANDBOX=1."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import isodate
from flask import Response
from flask_smorest import Blueprint
from marshmallow import Schema, ValidationError, fields
from sqlalchemy import select

from mediation import clock, paying, sandbox
from mediation.api.calls import Answer, Call, run
from mediation.api.endpoint import V1, describe, mount
from mediation.errors import NotFound
from mediation.gateways import gateway_of
from mediation.sandbox import GatewayMode
from mediation.schemas import OneOf, rfc3339
from mediation.services import Services
from workflows.states import Role

blueprint = Blueprint("sandbox", __name__, url_prefix=V1, description="Only with SANDBOX=1: time and gateway at will")
LONGEST = timedelta(days=400)
#: Deadlines that one call fires before it stops where it has come to.
MOST_FIRED = 50_000
#: The same by time: an answer that comes says how far it came, one that takes minutes may reach nobody.
LONGEST_SECONDS = 20.0
#: How often, and after what pause, a payment that is in a worker's hand is looked at before time goes on.
PATIENCE, PAUSE_SECONDS = 40, 0.05


class Ahead(fields.Field[timedelta]):
    """An ISO 8601 duration such as PT36H or P10D, at most 400 days."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> timedelta:
        try:
            span = isodate.parse_duration(value)
        except (isodate.ISO8601Error, TypeError, ValueError, OverflowError) as error:
            raise ValidationError("Must be an ISO 8601 duration such as PT36H or P10D.") from error
        # Months and years have no length of their own, and a T announces hours, minutes or seconds.
        if not isinstance(span, timedelta) or value.endswith("T") or not timedelta(0) <= span <= LONGEST:
            raise ValidationError(f"Must lie between PT0S and P{LONGEST.days}D, without months and years.")
        return span


class MoveClockSchema(Schema):
    advance = Ahead(required=True, metadata={"example": "P2D"})


class ClockSchema(Schema):
    now = fields.DateTime(required=True, metadata={"description": "the time of cases from now on"})
    fired = fields.Integer(required=True, metadata={"description": "deadlines that fell due on the way"})


class GatewaySchema(Schema):
    mode = OneOf(GatewayMode, required=True)


MOVE, GATEWAY = MoveClockSchema(), GatewaySchema()
ADMIN = frozenset({Role.ADMIN})


def _open(call: Call) -> Services:
    """The services of a sandbox, for an admin. Raises NotFound (no sandbox), NotAllowed."""
    if not call.services.settings.sandbox:
        raise NotFound("This deployment is no sandbox: SANDBOX=1 makes it one.")
    call.require(Role.ADMIN)
    return call.services


def _move_clock(call: Call) -> Answer:
    house = _open(call)
    until = house.clock() + call.body(MOVE)["advance"]
    fired = 0
    for count in _go(house, until):
        fired += count
        # The call's own transaction holds nothing but its safe retry, and must not look idle to the database.
        call.session.execute(select(1))
    return Answer({"now": rfc3339(house.clock()), "fired": fired})


def _go(house: Services, until: datetime) -> Iterator[int]:
    """Go from one moment at which something falls due to the next, so that each fires in its own time.

    Says at each how many deadlines fired; stops at the moment it has come to when that took long.
    """
    fired, began = 0, time.monotonic()
    while True:
        count = _fire_and_pay(house)
        fired += count
        yield count
        with house.sessions.begin() as session:
            moment = clock.next_wake(session)
        if fired >= MOST_FIRED or time.monotonic() - began > LONGEST_SECONDS:
            return
        _set(house, until if moment is None else min(moment, until))
        if moment is None or moment > until:
            yield _fire_and_pay(house)
            return


def _fire_and_pay(house: Services) -> int:
    fired = 0
    while fired < MOST_FIRED and clock.fire_next(house):
        fired += 1
    gateway = gateway_of(house.settings)
    try:
        for refund in paying.due(house):
            paying.pay(house, gateway, refund)
    finally:
        gateway.close()
    _await_others(house)
    return fired


def _await_others(house: Services) -> None:
    """Wait, for a moment, for payments that a worker has in hand: time must not run away from under them."""
    for _ in range(PATIENCE):
        if not paying.in_hand(house):
            return
        time.sleep(PAUSE_SECONDS)


def _set(house: Services, moment: datetime) -> None:
    with house.sessions.begin() as session:
        sandbox.move_on(session, max(moment - house.real(), timedelta(0)))


def _set_gateway(call: Call) -> Answer:
    _open(call)
    mode = GatewayMode(call.body(GATEWAY)["mode"])
    sandbox.set_gateway_mode(call.session, mode)
    return Answer({"mode": str(mode)})


def _moved() -> Response:
    return run(_move_clock)


def _misbehaving() -> Response:
    return run(_set_gateway)


mount(
    blueprint,
    "POST",
    "/sandbox/clock",
    _moved,
    operation="moveSandboxClock",
    permission=ADMIN,
    doc=describe(
        "Move the time of cases on and fire what falls due on the way", body=MOVE, answer=ClockSchema(), roles=ADMIN
    ),
)
mount(
    blueprint,
    "POST",
    "/sandbox/gateway",
    _misbehaving,
    operation="setSandboxGateway",
    permission=ADMIN,
    doc=describe("Make refunds fail, stall or be answered twice", body=GATEWAY, answer=GATEWAY, roles=ADMIN),
)
