"""Asking a side to show something, and what comes of it: answered, waived, ended, or defaulted by silence."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.orm import Session

from mediation import docket
from mediation.db import new_id
from mediation.errors import NotFound
from mediation.models import Case, EvidenceItem, EvidenceRequest
from mediation.operations import notices
from mediation.operations.due_dates import require_within
from workflows.acts import Actor
from workflows.deadlines import DeadlineKind
from workflows.policies import LimitKind
from workflows.refusals import Refused
from workflows.states import PARTIES, CaseState, Side

Body = Mapping[str, Any]
BOTH = "both"
#: What a case says of evidence while none is awaited.
NOTHING_ASKED: dict[str, Any] = {"evidence_from": None, "evidence_of_buyer": False, "evidence_of_seller": False}


@dataclass(frozen=True, slots=True)
class Answering:
    """Which item of which request an exhibit answers, and whether it came after that side's default."""

    request: uuid.UUID | None
    item: int | None
    late: bool


def ask(session: Session, case: Case, actor: Actor, now: datetime, body: Body) -> None:
    """Ask one side, or both, for evidence until a date; the clock of the review stands still meanwhile.

    Raises Refused `due_in_the_past` or `due_too_far`.
    """
    due = body.get("due")
    if due is not None:
        require_within(session, case, now, due, LimitKind.EVIDENCE_LONGEST)
    sides = notices.BOTH if body["from"] == BOTH else (Side(body["from"]),)
    request = new_id()
    asked = [(side, item) for side in sides for item in body["items"]]
    items = [
        {"request_id": request, "n": n, "case_id": case.id, "side": str(side), "type": item["type"], "status": "open"}
        for n, (side, item) in enumerate(asked, start=1)
    ]
    notes = {f"items.{n}.note": item["note"] for n, (_, item) in enumerate(asked, start=1) if "note" in item}
    written = docket.advance(
        session,
        case,
        "request_evidence",
        actor,
        now,
        changes={"evidence_from": case.state, **{f"evidence_of_{side}": side in sides for side in Side}},
        private=notes,
        due=None if due is None else {DeadlineKind.EVIDENCE: due},
        request=str(request),
        items=[{name: item[name] for name in ("n", "side", "type")} for item in items],
        **{"from": body["from"]},
    )
    session.execute(
        insert(EvidenceRequest),
        {
            "id": request,
            "case_id": case.id,
            "seq": written.seq,
            "asked_of": body["from"],
            "status": "open",
            "asked_at": written.at,
        },
    )
    session.execute(insert(EvidenceItem), items)
    notices.serve(session, case, written, "evidence_requested", *sides, due_at=case.due_at)


# --- answering ---------------------------------------------------------------------------------------------------


def answering(session: Session, case: Case, actor: Actor, answers: Body | None) -> Answering:
    """What a filing of this actor answers. Raises Refused `item_not_open`, naming `answers`."""
    if answers is None:
        return Answering(None, None, late=_has_defaulted(session, case, actor))
    item = session.get(EvidenceItem, (answers["request"], answers["item"]))
    if item is None or item.case_id != case.id or item.side != actor.role or item.status not in ("open", "defaulted"):
        raise Refused("item_not_open", field="answers")
    return Answering(item.request_id, item.n, late=item.status == "defaulted")


def _has_defaulted(session: Session, case: Case, actor: Actor) -> bool:
    if actor.role not in PARTIES:
        return False
    query = select(EvidenceItem.n).where(
        EvidenceItem.case_id == case.id, EvidenceItem.side == actor.role, EvidenceItem.status == "defaulted"
    )
    return session.scalar(query.limit(1)) is not None


def answered(session: Session, case: Case, now: datetime, answer: Answering, exhibit: str) -> None:
    """Note which exhibit answers the item; what comes late is noted too, and the default stands."""
    if answer.request is None:
        return
    status = {} if answer.late else {"status": "answered", "closed_at": now}
    session.execute(
        update(EvidenceItem)
        .where(EvidenceItem.request_id == answer.request, EvidenceItem.n == answer.item)
        .values(exhibit=exhibit, **status)
        .execution_options(synchronize_session=False)
    )
    complete_if_all_done(session, case, now)


def waive(session: Session, case: Case, actor: Actor, now: datetime, item_key: tuple[uuid.UUID, int]) -> None:
    """Do without an item (its request and number): its side has nothing to show, or staff does not need it any more.

    Raises NotFound, Refused `item_not_open`.
    """
    item = session.get(EvidenceItem, item_key)
    if item is None or item.case_id != case.id:
        raise NotFound()
    if item.status != "open" or (actor.role in PARTIES and item.side != actor.role):
        raise Refused("item_not_open")
    written = docket.record(session, case, "evidence_waived", actor, now, request=str(item.request_id), item=item.n)
    item.status, item.closed_at = "waived", written.at
    session.flush()
    complete_if_all_done(session, case, now)


def complete_if_all_done(session: Session, case: Case, now: datetime) -> None:
    """Note which sides still owe something; where none does, the case goes back by itself, once it does not rest."""
    left = _open_items(session, case)
    if case.evidence_from is None or left is None:
        return
    owing = {item.side for item in left}
    case.evidence_of_buyer, case.evidence_of_seller = Side.BUYER in owing, Side.SELLER in owing
    docket.renew(case)
    if owing or case.state != CaseState.AWAITING_EVIDENCE:
        return
    written = docket.advance(session, case, "evidence_complete", docket.SYSTEM, now, changes=NOTHING_ASKED)
    _close(session, case, "complete", written.at)


def _open_items(session: Session, case: Case) -> Sequence[EvidenceItem] | None:
    """The items of the open request that wait for an answer; None if there is no open request."""
    request = session.scalar(
        select(EvidenceRequest.id).where(EvidenceRequest.case_id == case.id, EvidenceRequest.status == "open")
    )
    if request is None:
        return None
    query = select(EvidenceItem).where(EvidenceItem.request_id == request, EvidenceItem.status == "open")
    return session.scalars(query.order_by(EvidenceItem.n)).all()


# --- the end of a request ----------------------------------------------------------------------------------------


def end(session: Session, case: Case, actor: Actor, now: datetime, body: Body) -> None:
    """Stop waiting for what was asked; nobody defaults by it."""
    written = docket.advance(session, case, "end_evidence_request", actor, now, changes=NOTHING_ASKED)
    _close(session, case, "ended", written.at)


def end_open(session: Session, case: Case, now: datetime) -> None:
    """A request falls with what happened to the case."""
    _close(session, case, "ended", now)


def default(session: Session, case: Case, now: datetime) -> None:
    """The time to show something is over: the default of each side that still owes something goes on record."""
    left = _open_items(session, case) or ()
    silent = sorted({item.side for item in left})
    written = docket.advance(
        session,
        case,
        "default_evidence",
        docket.CLOCK,
        now,
        changes=NOTHING_ASKED,
        silent=silent,
        request=str(left[0].request_id) if left else None,
        items=[item.n for item in left],
    )
    _close(session, case, "defaulted", written.at)
    notices.serve(session, case, written, "evidence_defaulted", *notices.BOTH)


def _close(session: Session, case: Case, status: str, at: datetime) -> None:
    request = session.scalar(
        update(EvidenceRequest)
        .where(EvidenceRequest.case_id == case.id, EvidenceRequest.status == "open")
        .values(status=status, closed_at=at)
        .returning(EvidenceRequest.id)
        .execution_options(synchronize_session=False)
    )
    if request is None:
        return
    session.execute(
        update(EvidenceItem)
        .where(EvidenceItem.request_id == request, EvidenceItem.status == "open")
        .values(status="defaulted" if status == "defaulted" else "ended", closed_at=at)
        .execution_options(synchronize_session="fetch")
    )


def require_defaults(session: Session, case: Case, cited: Mapping[str, Mapping[str, Any]]) -> None:
    """Raises Refused `default_not_on_file` naming the first place that cites a default, `{request, side}`, in vain."""
    if not cited:
        return
    rows = session.execute(
        select(EvidenceItem.request_id, EvidenceItem.side).where(
            EvidenceItem.case_id == case.id, EvidenceItem.status == "defaulted"
        )
    )
    known = {(request, side) for request, side in rows}
    for place, one in cited.items():
        if (one["request"], one["side"]) not in known:
            raise Refused("default_not_on_file", field=place)
