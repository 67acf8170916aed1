"""A case as one reader's copy of it holds: what the members of the sealed file are made of (docs/dossier.md).

Everything is read in one snapshot, which the caller sees to; messages and custody chains are streamed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from evidence.chain import instant
from mediation import docket, queries
from mediation.models import (
    Appeal,
    Case,
    CustodyEntry,
    CustodyOpening,
    Decision,
    DocketEntry,
    EvidenceItem,
    EvidenceRequest,
    Exhibit,
    ExhibitMessage,
    ExhibitMessageOpening,
    LedgerEntry,
    Offer,
    Refund,
    Seal,
)
from mediation.schemas import rfc3339
from mediation.sight import (
    appeals_answer,
    custody_answer,
    custody_opening_answer,
    deadline_answer,
    decision_answer,
    entry_answer,
    ledger_answer,
    may_see,
    offer_answer,
    opening_answer,
    order_answer,
    party_answer,
    refund_answer,
    remedy_answer,
    request_answer,
    who_answer,
    withheld,
)
from workflows.acts import Actor
from workflows.states import PARTIES, STAFF, Role

MESSAGE_POSTED = "message_posted"
_AT_A_TIME = 1_000


def case_member(session: Session, case: Case, reader: Actor) -> dict[str, Any]:
    """case.json: the matter, the people, the money, and what was said inside the case."""
    found = queries.belongings(session, reader, [case.id])
    return {
        "id": str(case.id),
        "reference": case.reference,
        "marketplace": case.marketplace,
        "state": case.state,
        "version": case.version,
        "opened_at": rfc3339(case.opened_at),
        "updated_at": rfc3339(case.updated_at),
        "closed_at": rfc3339(case.closed_at),
        "buyer": party_answer(case.buyer, masked=reader.role is Role.SELLER),
        "seller": party_answer(case.seller, masked=reader.role is Role.BUYER),
        "order": order_answer(case.order, masked=reader.role is Role.SELLER),
        "claims": [{**claim, "id": str(claim["id"])} for claim in found.claims[case.id]],
        "refunds": [refund_answer(one, reader) for one in session.scalars(_of(Refund, case).order_by(Refund.id))],
        "ledger": _ledger(session, case, reader),
        "offers": _offers(session, case),
        "messages": _posted(session, case, reader),
        "evidence_requests": _requests(session, case),
        "deadlines": [deadline_answer(one) for one in found.deadlines[case.id]],
        "outcome": case.outcome,
        "remedy": remedy_answer(case.remedy),
    }


def _of(model: Any, case: Case) -> Select[Any]:
    return select(model).where(model.case_id == case.id)


def _ledger(session: Session, case: Case, reader: Actor) -> list[dict[str, Any]]:
    """Movements between accounts of the marketplace are not told to parties."""
    if reader.role in PARTIES:
        return []
    query = _of(LedgerEntry, case).order_by(LedgerEntry.refund_id, LedgerEntry.n)
    return [ledger_answer(one) for one in session.scalars(query)]


def _offers(session: Session, case: Case) -> list[dict[str, Any]]:
    found = session.scalars(_of(Offer, case).order_by(Offer.id)).all()
    words = queries.words(session, case, [one.seq for one in found])
    return [offer_answer(one, words[one.seq].get("note")) for one in found]


def _requests(session: Session, case: Case) -> list[dict[str, Any]]:
    found = session.scalars(_of(EvidenceRequest, case).order_by(EvidenceRequest.id)).all()
    items = session.scalars(_of(EvidenceItem, case).order_by(EvidenceItem.n)).all()
    words = queries.words(session, case, [one.seq for one in found])
    return [request_answer(one, items, words[one.seq]) for one in found]


def _posted(session: Session, case: Case, reader: Actor) -> list[dict[str, Any]]:
    query = _of(DocketEntry, case).where(DocketEntry.type == MESSAGE_POSTED, DocketEntry.seq <= case.version)
    found = [one for one in session.scalars(query.order_by(DocketEntry.seq)) if may_see(one, reader)]
    words = queries.words(session, case, [one.seq for one in found])
    return [
        {
            "seq": one.seq,
            "author": who_answer(who["role"], who["subject"], reader) if (who := words[one.seq].get("actor")) else None,
            "text": words[one.seq].get("text"),
            "visibility": one.visibility,
            "posted_at": rfc3339(one.at),
        }
        for one in found
    ]


# --- the record --------------------------------------------------------------------------------------------------


def docket_lines(session: Session, case: Case, reader: Actor) -> list[dict[str, Any]]:
    """docket.jsonl: every entry up to the case's version, or its number and hash where the reader may not see it."""
    entries = session.scalars(
        _of(DocketEntry, case).where(DocketEntry.seq <= case.version).order_by(DocketEntry.seq)
    ).all()
    openings = queries.openings(session, case, [one.seq for one in entries if may_see(one, reader)])
    return [
        {
            "entry": entry_answer(one),
            "openings": [{"name": each.name, **opening_answer(one, each, reader)} for each in openings[one.seq]],
        }
        if may_see(one, reader)
        else withheld(one)
        for one in entries
    ]


def seals(session: Session, case: Case) -> list[dict[str, Any]]:
    """seals.json: the heads that were signed when decisions were issued."""
    rows = session.execute(select(Seal.seq, Seal.jws).where(Seal.case_id == case.id).order_by(Seal.seq))
    return [{"seq": row.seq, "jws": row.jws} for row in rows]


def decisions(session: Session, case: Case, reader: Actor) -> list[dict[str, Any]]:
    """decisions.json: what was decided, with its appeals; what was not issued is for staff only."""
    query = _of(Decision, case)
    if reader.role not in STAFF:
        query = query.where(Decision.issued_at.is_not(None))
    found = session.scalars(query.order_by(Decision.number)).all()
    appeals = session.scalars(_of(Appeal, case).order_by(Appeal.id)).all()
    words = queries.words(session, case, [one.seq for one in (*found, *appeals)])
    return [
        {
            "seq": one.seq,
            **decision_answer(one, reader, words[one.seq]),
            "appeals": appeals_answer(one, appeals, words),
        }
        for one in found
    ]


# --- exhibits ----------------------------------------------------------------------------------------------------


def exhibits_for(session: Session, case: Case, reader: Actor) -> Sequence[Exhibit]:
    """The exhibits that the reader may see, in the order of filing."""
    query = _of(Exhibit, case).where(Exhibit.seq <= case.version)
    if reader.role not in STAFF:
        query = query.where(Exhibit.visibility == docket.PARTIES_SEE)
    return session.scalars(query.order_by(Exhibit.seq)).all()


def exhibit_member(exhibit: Exhibit, head: tuple[int, bytes] | None, reader: Actor) -> dict[str, Any]:
    """One of exhibits.json; `head` is where its custody chain stands."""
    return {
        "id": str(exhibit.id),
        "label": exhibit.label,
        "kind": exhibit.kind,
        "title": exhibit.title,
        # What a file was called on somebody's machine is theirs.
        "filename": exhibit.filename if reader.role in STAFF or reader.role == exhibit.filed_role else None,
        "media_type": exhibit.media_type,
        "size": exhibit.size,
        "sha256": exhibit.sha256,
        "merkle_root": None if exhibit.merkle_root is None else exhibit.merkle_root.hex(),
        "messages": exhibit.message_count,
        "timezone": exhibit.timezone,
        "filed_by": who_answer(exhibit.filed_role, exhibit.filed_by, reader),
        # As its docket entry has it, to the letter.
        "filed_at": instant(exhibit.filed_at),
        "late": exhibit.late,
        "visibility": exhibit.visibility,
        "seq": exhibit.seq,
        "problems": exhibit.problems,
        "redacted_at": rfc3339(exhibit.redacted_at),
        "custody": None if head is None else {"seq": head[0], "hash": head[1].hex()},
        "content": None if exhibit.blob_key is None else f"exhibits/{exhibit.label}/content",
    }


def message_lines(session: Session, exhibit: Exhibit) -> Iterator[dict[str, Any]]:
    """messages.jsonl of an exhibit."""
    message, opening = ExhibitMessage, ExhibitMessageOpening
    # Read side by side and not joined: of a log that was filed just now the planner knows nothing, and compares each
    # message with each opening.
    leaves = session.execute(
        select(message.seq, message.role, message.sent_at, message.kind, message.c_text, message.c_sender,
               message.c_attachments)
        .where(message.case_id == exhibit.case_id, message.exhibit_id == exhibit.id)
        .order_by(message.seq)
        .execution_options(yield_per=_AT_A_TIME)
    )  # fmt: skip
    opened = session.execute(
        select(opening.text, opening.text_salt, opening.sender, opening.sender_salt, opening.attachments,
               opening.attachments_salt)
        .where(opening.case_id == exhibit.case_id, opening.exhibit_id == exhibit.id)
        .order_by(opening.seq)
        .execution_options(yield_per=_AT_A_TIME)
    )  # fmt: skip
    for row, shown in zip(leaves, opened, strict=True):
        yield {
            "leaf": {
                "seq": row.seq,
                "role": row.role,
                "sent_at": None if row.sent_at is None else instant(row.sent_at),
                "kind": row.kind,
                "c_text": row.c_text.hex(),
                "c_sender": row.c_sender.hex(),
                "c_attachments": row.c_attachments.hex(),
            },
            "text": _opening(shown.text_salt, shown.text),
            "sender": _opening(shown.sender_salt, shown.sender),
            "attachments": _opening(shown.attachments_salt, shown.attachments),
        }


def _opening(salt: bytes | None, value: Any) -> dict[str, Any]:
    return {"salt": None, "value": None} if salt is None else {"salt": salt.hex(), "value": value}


def custody_lines(session: Session, exhibit: Exhibit, reader: Actor) -> Iterator[dict[str, Any]]:
    """custody.jsonl of an exhibit."""
    entry, opening = CustodyEntry, CustodyOpening
    rows = session.execute(
        select(entry, opening.salt, opening.value)
        .join(opening, (opening.case_id == entry.case_id) & (opening.exhibit_id == entry.exhibit_id)
              & (opening.seq == entry.seq))
        .where(entry.case_id == exhibit.case_id, entry.exhibit_id == exhibit.id)
        .order_by(entry.seq)
        .execution_options(yield_per=_AT_A_TIME)
    )  # fmt: skip
    for one, salt, value in rows:
        yield {"entry": custody_answer(one), "opening": custody_opening_answer(salt, value, reader)}
