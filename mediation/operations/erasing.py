"""Erasing: what was found is emptied, and every plain digest over it with it. Commitments, roots and chains stay.

Irreversible. The bytes in the blob store go after the commit, see `mediation.erasure`.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Select,
    any_,
    delete,
    literal,
    null,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.orm import Session

from evidence.labels import parse
from evidence.store import BlobStore
from mediation.docket import STAFF_SEE
from mediation.models import (
    Case,
    CustodyOpening,
    DocketEntry,
    DocketOpening,
    Exhibit,
    ExhibitMessage,
    ExhibitMessageOpening,
    IdempotentAnswer,
    Party,
)
from mediation.operations.carrying import ADDRESS
from mediation.operations.finding_words import STANDING, Places, contents, exhibits_of, texts_of
from workflows.states import FINAL_STATES, Side

Erased = dict[str, Any]

#: Openings that no words are taken from to look for elsewhere: they are no words of a person, or name a thing.
_NO_WORDS = frozenset({"actor", "sha256", "title", "parcel"})


# --- what was asked for ------------------------------------------------------------------------------------------


def of_exhibit(
    session: Session, blobs: BlobStore, case: Case, exhibit: Exhibit, seqs: list[int]
) -> tuple[Places, list[str]]:
    """Messages of an exhibit, or the whole of one that is no chat log, and the words that are in them."""
    places = Places()
    if exhibit.message_count is None:
        return places, _whole(session, blobs, case, [exhibit], places)
    for seq in seqs:
        places.add_message(exhibit.id, seq)
    opening = ExhibitMessageOpening
    return places, _said(session, case, (opening.exhibit_id == exhibit.id) & _numbered(seqs), places)


def of_side(session: Session, blobs: BlobStore, case: Case, side: Side) -> tuple[Places, list[str]]:
    """All that came from one side, and the words in it: its messages in every copy, its exhibits, its words in the
    docket.
    """
    places = Places()
    message = ExhibitMessage
    mine = select(message.exhibit_id, message.seq).where(message.case_id == case.id, message.role == side)
    for exhibit_id, seq in [*session.execute(mine), *_by_name(session, case, side, mine)]:
        places.add_message(exhibit_id, seq)
        places.senders.setdefault(exhibit_id, set()).add(seq)
    for exhibit in exhibits_of(session, case):
        if any(problem["code"] == "sender_not_named" for problem in exhibit.problems):
            # Somebody in it was said to be of neither side, and may be of this one under another name.
            places.remains.add(f"senders of {exhibit.label}")
    filed = [exhibit for exhibit in exhibits_of(session, case) if exhibit.filed_role == side]
    for exhibit in filed:
        places.add_whole(exhibit.id)
    opening = ExhibitMessageOpening
    words = _said(session, case, tuple_(opening.exhibit_id, opening.seq).in_(mine), places)
    words += _whole(session, blobs, case, [one for one in filed if one.message_count is None], places)
    for seq, n, name, value in _openings_of(session, case, side):
        places.openings.add((seq, n))
        if name not in _NO_WORDS:
            words += texts_of(value)
    return places, words


def _whole(session: Session, blobs: BlobStore, case: Case, exhibits: Iterable[Exhibit], places: Places) -> list[str]:
    """Mark these exhibits and those that are the same to the byte; answer what they say, where that can be read.

    What they are called is no secret that would be looked for elsewhere: every second picture is "photo.jpg".
    """
    words: list[str] = []
    digests = set()
    for exhibit in exhibits:
        places.add_whole(exhibit.id)
        if exhibit.blob_key is not None:
            digests.add(exhibit.sha256)
            words += contents(blobs, exhibit)[0]
    for twin in exhibits_of(session, case):
        if twin.sha256 is not None and twin.sha256 in digests:
            places.add_whole(twin.id)
    return words


def _by_name(session: Session, case: Case, side: Side, mine: Select[uuid.UUID, int]) -> list[Any]:
    """Messages under a name or id that this side goes by, in logs whose filer did not say whose they are."""
    opening = ExhibitMessageOpening
    theirs = select(opening.sender).where(
        opening.case_id == case.id, opening.sender.is_not(None), tuple_(opening.exhibit_id, opening.seq).in_(mine)
    )
    party = case.buyer if side is Side.BUYER else case.seller
    known = {party.name, party.external_id}
    for sender in session.scalars(theirs.distinct()):
        known |= {sender["name"], sender["id"]} if sender else set()
    names = sorted(name for name in known if name)
    sender = opening.sender
    return list(
        session.execute(
            select(opening.exhibit_id, opening.seq).where(
                opening.case_id == case.id,
                or_(sender["name"].as_string().in_(names), sender["id"].as_string().in_(names)),
            )
        )
    )


def _said(session: Session, case: Case, which: ColumnElement[bool], places: Places) -> list[str]:
    """The words of these messages, and the digests of what hung on them, by which the same file is known elsewhere."""
    opening = ExhibitMessageOpening
    words: list[str] = []
    for text, attachments in session.execute(
        select(opening.text, opening.attachments).where(opening.case_id == case.id, which)
    ):
        words += [text] if text else []
        words += [one["sha256"] for one in attachments or () if one["sha256"]]
        places.attached |= {one["name"] for one in attachments or ()}
    return words


def _numbered(seqs: Iterable[int]) -> ColumnElement[bool]:
    """As one array: a log has more messages than a statement may have parameters."""
    return ExhibitMessageOpening.seq == any_(literal(sorted(seqs), ARRAY(BigInteger)))


def _openings_of(session: Session, case: Case, side: Side) -> Iterable[Any]:
    opening = DocketOpening
    entries = select(opening.seq).where(
        opening.case_id == case.id, opening.name == "actor", opening.value["actor"]["role"].as_string() == side
    )
    own: list[ColumnElement[bool]] = [
        opening.seq.in_(entries) & opening.name.not_in(STANDING - {"actor", ADDRESS, "parcel"})
    ]
    if side is Side.BUYER:
        # What the buyer claims is the buyer's, also where the platform opened the case for them.
        own.append(opening.name.startswith("claims."))
    else:
        # So is where the seller's goods go back to, whoever entered it from what was on file.
        own.append(opening.name == ADDRESS)
    return session.execute(
        select(opening.seq, opening.n, opening.name, opening.value).where(
            opening.case_id == case.id, opening.value.is_not(None), or_(*own)
        )
    )


# --- where it was found, told by place and never by content ------------------------------------------------------


def told(session: Session, case: Case, places: Places) -> Erased:
    """What is erased and what is not, ready to be kept and shown to staff."""
    labels = {exhibit.id: exhibit.label for exhibit in exhibits_of(session, case)}
    names = {
        (seq, n): name
        for seq, n, name in session.execute(
            select(DocketOpening.seq, DocketOpening.n, DocketOpening.name).where(DocketOpening.case_id == case.id)
        )
    }
    messages = {labels[one]: sorted(seqs) for one, seqs in places.messages.items()}
    return {
        "messages": {label: messages[label] for label in sorted(messages, key=_order)},
        "entries": [{"seq": seq, "name": names[seq, n]} for seq, n in sorted(places.openings)],
        "exhibits": sorted((labels[one] for one in places.blobs | places.names), key=_order),
        "answers": 0,
        "not_searched": sorted(places.not_searched, key=_order),
        "remains": sorted(places.remains),
    }


def divided(session: Session, case: Case, erased: Mapping[str, Any]) -> tuple[Erased, Erased]:
    """What `told` answers, for both sides to see, and what of it only staff may know of."""
    hidden = {exhibit.label for exhibit in exhibits_of(session, case) if exhibit.visibility == STAFF_SEE}
    entry = DocketEntry
    entries = set(session.scalars(select(entry.seq).where(entry.case_id == case.id, entry.visibility == STAFF_SEE)))

    def part(of_staff: bool) -> Erased:
        return {
            "messages": {one: seqs for one, seqs in erased["messages"].items() if (one in hidden) == of_staff},
            "entries": [one for one in erased["entries"] if (one["seq"] in entries) == of_staff],
            "exhibits": [one for one in erased["exhibits"] if (one in hidden) == of_staff],
        }

    return part(of_staff=False), part(of_staff=True)


def _order(label: str) -> tuple[str, int]:
    found = parse(label)
    return found.letter, found.number


# --- emptying ----------------------------------------------------------------------------------------------------


def empty(session: Session, case: Case, places: Places, now: datetime, *, side: Side | None = None) -> int:
    """Empty what `places` names; answers how many kept answers were forgotten.

    With `side` that side's own senders, names and persons go as well.
    """
    _empty_messages(session, case, places)
    _empty_exhibits(session, case, places, now, side)
    for seq, n in sorted(places.openings):
        _empty_openings(session, case, seq, DocketOpening.n == n)
    if side is not None:
        _empty_persons(session, case, side)
    # They hold what was filed, receipts with plain digests, and digests of what was sent.
    forgotten = session.execute(
        delete(IdempotentAnswer).where(IdempotentAnswer.case_id == case.id).execution_options(synchronize_session=False)
    )
    return int(forgotten.rowcount)  # type: ignore[attr-defined]


def _empty_messages(session: Session, case: Case, places: Places) -> None:
    opening = ExhibitMessageOpening
    nothing: Mapping[str, Any] = {"text": None, "text_salt": None, "attachments": null(), "attachments_salt": None}
    for exhibit, seqs in places.messages.items():
        session.execute(
            update(opening)
            .where(opening.case_id == case.id, opening.exhibit_id == exhibit, _numbered(seqs))
            .values(**nothing)
        )
    for exhibit, seqs in places.senders.items():
        session.execute(
            update(opening)
            .where(opening.case_id == case.id, opening.exhibit_id == exhibit, _numbered(seqs))
            .values(sender=null(), sender_salt=None)
        )


def _empty_exhibits(session: Session, case: Case, places: Places, now: datetime, side: Side | None) -> None:
    touched = places.blobs | places.names
    for exhibit in session.scalars(select(Exhibit).where(Exhibit.case_id == case.id, Exhibit.id.in_(touched))):
        changes: dict[str, Any] = {}
        if exhibit.id in places.names:
            changes |= {"title": None, "filename": None}
            _empty_openings(session, case, exhibit.seq, DocketOpening.name == "title")
        if exhibit.id in places.blobs:
            # With the other messages known, a bare digest over all of them gives a short text away.
            changes |= {"sha256": None, "blob_key": None}
            if exhibit.redacted_at is None:
                changes["redacted_at"] = now
            _empty_openings(session, case, exhibit.seq, DocketOpening.name == "sha256")
        if side is not None and exhibit.filed_role == side:
            changes["filed_by"] = None
        session.execute(update(Exhibit).where(Exhibit.id == exhibit.id).values(**changes))
        session.expire(exhibit)


def _empty_openings(session: Session, case: Case, seq: int, which: Any) -> None:
    session.execute(
        update(DocketOpening)
        .where(DocketOpening.case_id == case.id, DocketOpening.seq == seq, which)
        .values(salt=None, value=null())
    )


def _empty_persons(session: Session, case: Case, side: Side) -> None:
    session.execute(
        update(CustodyOpening)
        .where(
            CustodyOpening.case_id == case.id,
            CustodyOpening.value["actor"]["role"].as_string() == side,
        )
        .values(salt=None, value=null())
    )
    if not needed_elsewhere(session, case, side):
        party = case.buyer_id if side is Side.BUYER else case.seller_id
        session.execute(update(Party).where(Party.id == party).values(name=None, return_address=null()))


def needed_elsewhere(session: Session, case: Case, side: Side) -> bool:
    """Whether another case of that party is not over: all of them share its name and where its goods go back to."""
    column, party = (Case.buyer_id, case.buyer_id) if side is Side.BUYER else (Case.seller_id, case.seller_id)
    query = select(Case.id).where(column == party, Case.id != case.id, Case.state.not_in(FINAL_STATES)).limit(1)
    return session.scalar(query) is not None
