"""Demo data for an empty home, put on file by the operations that the API itself calls."""

from __future__ import annotations

import dataclasses
import io
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from mediation import docket, services
from mediation.demo.cases import APART, CLOCK, Quarrel, quarrels
from mediation.demo.people import cast
from mediation.gateways import LedgerGateway
from mediation.models import Case, Exhibit, Order, Refund
from mediation.operations import decisions, exhibits, filing, negotiation, orders, refunds
from mediation.services import Services
from mediation.settings import Settings
from workflows.acts import Actor
from workflows.states import Role

_LOCK = 0x6D656469_64656D6F
_PLAIN = {
    "notify_seller": negotiation.notify_seller,
    "refuse": negotiation.refuse,
    "agree": negotiation.agree,
    "offer": negotiation.offer,
    "request_mediation": negotiation.request_mediation,
}


@dataclass(slots=True)
class _Leftover:
    """What outlives the transaction: keys of stored blobs, and refunds to be paid once it is committed."""

    keys: list[str] = field(default_factory=list)
    refunds: list[Refund] = field(default_factory=list)


def seed(url: str, settings: Settings) -> None:
    """Put the demo's orders and cases on file in the settings' marketplace, all of them or none.

    Repeating it, also after a crash and from two processes at once, finds them there and changes nothing.
    """
    # Nobody needs waking: the only refund is paid here.
    house = services.build(dataclasses.replace(settings, database_url=url), hint=services.no_hint)
    left = _Leftover()
    try:
        with house.sessions.begin() as session:
            session.execute(select(func.pg_advisory_xact_lock(_LOCK)))
            now = house.clock()
            told = quarrels(now)
            if not _is_on_file(session, settings.marketplace, told):
                for quarrel in told:
                    _put(session, house, quarrel, now, left)
        for refund in left.refunds:
            LedgerGateway().pay(house.sessions, refund, refund.requested_at + APART)
    except BaseException:
        _forget_unfiled(house, left.keys)
        raise
    finally:
        house.engine.dispose()


def _forget_unfiled(house: Services, keys: Sequence[str]) -> None:
    """What the database did not keep must not stay in the files either."""
    with house.sessions.begin() as session:
        filed = set(session.scalars(select(Exhibit.blob_key).where(Exhibit.blob_key.in_(keys))))
    for key in keys:
        if key not in filed:
            house.blobs.delete(key)


def _is_on_file(session: Session, marketplace: str, told: Sequence[Quarrel]) -> bool:
    ids = [quarrel.order["order"]["id"] for quarrel in told]
    query = select(Order.id).where(Order.marketplace == marketplace, Order.external_id.in_(ids)).limit(1)
    return session.scalar(query) is not None


def _put(session: Session, house: Services, quarrel: Quarrel, now: datetime, left: _Leftover) -> None:
    marketplace = house.settings.marketplace
    people = {
        who: Actor(Role(person.role), person.subject, person.party or person.subject, marketplace)
        for who, person in cast(quarrel.order["buyer"], quarrel.order["seller"]).items()
    }
    at = now - quarrel.ago
    orders.put(session, marketplace, _as_read(quarrel.order), at)
    opening = {"order": {"id": quarrel.order["order"]["id"]}, "claims": [quarrel.claim]}
    case = filing.open_case(session, people["buyer"], at, opening).id
    for deed in quarrel.deeds:
        session.flush()
        if deed.who == CLOCK:
            _PLAIN[deed.does](session, docket.lock_for_system(session, case), docket.CLOCK, at, deed.body)
            continue
        at += APART
        if deed.does == "pay":
            left.refunds.append(_claimed_refund(session, case, at))
            continue
        actor = people[deed.who]
        # Read anew for each deed, as each call of the API does, so that nobody acts on a case that is not theirs.
        locked = docket.lock(session, case, actor)
        if deed.does == "chat_log":
            filed, key = _chat_log(house, locked, deed.body)
            left.keys.append(key)
            exhibits.file(session, locked, actor, at, filed, sealer=house.sealer)
        elif deed.does == "decide":
            decisions.decide(session, locked, actor, at, deed.body, sealer=house.sealer)
        else:
            _PLAIN[deed.does](session, locked, actor, at, deed.body)


def _as_read(order: Mapping[str, Any]) -> dict[str, Any]:
    """An order with its times read, as the API hands it on."""
    facts = {
        name: datetime.fromisoformat(value) if name.endswith(("_at", "ship_by")) else value
        for name, value in order["order"].items()
    }
    return {**order, "order": facts}


def _chat_log(house: Services, case: Case, body: Mapping[str, Any]) -> tuple[exhibits.Filing, str]:
    """A chat log prepared and stored as the API does it, and the key under which its bytes lie."""
    filing, content = exhibits.chat_log(case.id, {**body, "visibility": docket.PARTIES_SEE})
    house.blobs.put(filing.blob_key, io.BytesIO(content))
    return filing, filing.blob_key


def _claimed_refund(session: Session, case: uuid.UUID, at: datetime) -> Refund:
    """The case's refund, claimed for the ledger whatever gateway is set: demo money must never leave by a real one."""
    waiting = session.scalars(select(Refund.id).where(Refund.case_id == case)).one()
    refund = refunds.claim(session, waiting, LedgerGateway.name, at, pause=APART, give_up_after=APART)
    assert refund is not None, "a refund asked for in this transaction is due, and nobody else knows of it"
    return refund
