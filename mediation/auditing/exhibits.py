"""Exhibits: that each is what was filed, and that the messages of a chat log give its leaves and its Merkle root."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from evidence import merkle
from evidence.chain import instant
from evidence.commitments import opens
from evidence.errors import NotCanonical
from evidence.leaves import leaf_of
from mediation.auditing.audited import Audited, Difference, at_entry
from mediation.models import Exhibit, ExhibitMessage, ExhibitMessageOpening

FILED = "exhibit_filed"
#: Messages that are in memory at the same time.
_AT_A_TIME = 1_000


def filed(session: Session, audited: Audited) -> Iterator[Difference]:
    """Each exhibit is as its docket entry says, and each entry of a filing has its exhibit."""
    by_seq = {entry.seq: entry for entry in audited.entries}
    for exhibit in audited.exhibits:
        entry = by_seq.get(exhibit.seq)
        if entry is None or entry.type != FILED:
            yield audited.differs("no filing is entered there", f"{exhibit.label}, {at_entry(exhibit.seq)}")
            continue
        pairs = {"filed_at": (exhibit.filed_at, entry.at), "visibility": (exhibit.visibility, entry.visibility)}
        yield from audited.compare(pairs | _facts(audited, exhibit), exhibit.label)
        yield from _private(audited, exhibit)
    there = {exhibit.seq for exhibit in audited.exhibits}
    for seq in (entry.seq for entry in audited.entries if entry.type == FILED and entry.seq not in there):
        yield audited.differs("the exhibit that was filed is not there", at_entry(seq))


def _facts(audited: Audited, exhibit: Exhibit) -> dict[str, tuple[Any, Any]]:
    """What the entry says in plain values; earlier versions said less."""
    found = {
        "exhibit": str(exhibit.id),
        "label": exhibit.label,
        "kind": exhibit.kind,
        "media_type": exhibit.media_type,
        "size": exhibit.size,
        "messages": exhibit.message_count,
        "merkle_root": None if exhibit.merkle_root is None else exhibit.merkle_root.hex(),
        "late": exhibit.late,
    }
    facts = audited.facts(exhibit.seq)
    pairs = {name: (value, facts[name]) for name, value in found.items() if name in facts}
    actor = audited.words[exhibit.seq].get("actor")
    return pairs | ({"filed_role": (exhibit.filed_role, actor["role"])} if isinstance(actor, dict) else {})


def _private(audited: Audited, exhibit: Exhibit) -> Iterator[Difference]:
    """What is committed to by itself, erased in both places or in none. Titles and names are not shown."""
    words = audited.words[exhibit.seq]
    # What does not open its commitment is told already, and is not erased.
    erased = {one.name for one in audited.openings[exhibit.seq] if one.salt is None and one.value is None}
    told = {name: words[name] for name in ("sha256", "title") if words.get(name) is not None}
    told |= {name: None for name in ("sha256", "title") if name in erased}
    if told.get("sha256", exhibit.sha256) != exhibit.sha256:
        what = "is not the one that was filed" if told["sha256"] and exhibit.sha256 else "is erased in one place only"
        yield audited.differs(f"sha256 {what}", exhibit.label)
    if "title" not in words and exhibit.title is not None:
        yield audited.differs("it has a title, and was filed without one", exhibit.label)
    if told.get("title", exhibit.title) != exhibit.title:
        yield audited.differs("title is not the one that was filed", exhibit.label)
    actor = words.get("actor")
    if exhibit.filed_by is not None and isinstance(actor, dict) and actor["subject"] != exhibit.filed_by:
        yield audited.differs("filed_by is not whom the record says", exhibit.label)
    if len({exhibit.sha256 is None, exhibit.blob_key is None, exhibit.redacted_at is not None}) != 1:
        yield audited.differs("sha256, blob_key and redacted_at do not agree on whether it was redacted", exhibit.label)


# --- messages ----------------------------------------------------------------------------------------------------


def messages(session: Session, audited: Audited) -> Iterator[Difference]:
    """Every message gives its leaf, every opening that was not erased its commitment, all leaves the Merkle root."""
    for exhibit in audited.exhibits:
        leaves: list[bytes] = []
        for row in _rows(session, exhibit):
            place = f"{exhibit.label}, message {row.seq}"
            if row.seq != len(leaves) + 1:
                yield audited.differs(f"it stands where message {len(leaves) + 1} ought to", place)
            leaves.append(row.leaf)
            yield from _message(audited, row, place)
        audited.counts.messages += len(leaves)
        if len(leaves) != (exhibit.message_count or 0):
            what = f"message_count is {exhibit.message_count}, and there are {len(leaves)} messages"
            yield audited.differs(what, exhibit.label)
        if exhibit.message_count is None and exhibit.merkle_root is None:
            continue
        try:
            root: bytes | None = merkle.root(leaves)
        except ValueError:
            root = None
        if exhibit.merkle_root != root:
            yield audited.differs("the leaves do not give its Merkle root", exhibit.label)


def _rows(session: Session, exhibit: Exhibit) -> Iterator[Any]:
    """The messages of an exhibit with what opens them, a batch at a time from the server."""
    message, opening = ExhibitMessage, ExhibitMessageOpening
    yield from session.execute(
        select(message.seq, message.role, message.sent_at, message.kind, message.c_text, message.c_sender,
               message.c_attachments, message.leaf, opening.seq.label("opening_seq"), opening.text, opening.text_salt,
               opening.sender, opening.sender_salt, opening.attachments, opening.attachments_salt)
        .outerjoin(opening, (opening.case_id == message.case_id) & (opening.exhibit_id == message.exhibit_id)
                   & (opening.seq == message.seq))
        .where(message.case_id == exhibit.case_id, message.exhibit_id == exhibit.id)
        .order_by(message.seq)
        .execution_options(yield_per=_AT_A_TIME)
    )  # fmt: skip


def _message(audited: Audited, row: Any, place: str) -> Iterator[Difference]:
    fields = {
        "seq": row.seq,
        "role": row.role,
        "sent_at": None if row.sent_at is None else instant(row.sent_at),
        "kind": row.kind,
        "c_text": row.c_text.hex(),
        "c_sender": row.c_sender.hex(),
        "c_attachments": row.c_attachments.hex(),
    }
    if leaf_of(fields) != row.leaf:
        yield audited.differs("the message does not give its leaf", place)
    if row.opening_seq is None:
        yield audited.differs("nothing is there to open its commitments", place)
        return
    for name in ("text", "sender", "attachments"):
        salt, value = getattr(row, f"{name}_salt"), getattr(row, name)
        if salt is None and value is None:
            continue
        if not _opens(getattr(row, f"c_{name}"), salt, value):
            yield audited.differs(f"{name} does not open its commitment", place)


def _opens(digest: bytes, salt: bytes | None, value: Any) -> bool:
    try:
        return salt is not None and opens(digest, salt, value)
    except NotCanonical:
        return False
