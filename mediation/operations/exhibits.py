"""Filing evidence: labels, commitments, receipt. What is filed is never changed."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb
from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from evidence import labels
from evidence.leaves import SealedMessage, attachments_value, sender_value
from mediation import docket
from mediation.models import Case, Exhibit
from mediation.sealing import Sealer
from workflows.acts import Actor
from workflows.refusals import Conflict
from workflows.states import FINAL_STATES

EXHIBITS_A_SIDE = 100

_MESSAGES = (
    "COPY exhibit_messages (case_id, exhibit_id, seq, role, sent_at, kind, c_text, c_sender, c_attachments) FROM STDIN"
)
_OPENINGS = (
    "COPY exhibit_message_openings (case_id, exhibit_id, seq, text, text_salt, sender, sender_salt, attachments, "
    "attachments_salt) FROM STDIN"
)


@dataclass(frozen=True, slots=True)
class Filing:
    """What is to be filed, already admitted and stored. `sha256` is hex over the stored bytes, `size` their number."""

    exhibit_id: uuid.UUID
    kind: str
    title: str | None
    visibility: str
    sha256: str
    size: int
    media_type: str
    blob_key: str
    filename: str | None = None
    timezone: str | None = None
    messages: Sequence[SealedMessage] | None = None
    merkle_root: bytes | None = None
    problems: Sequence[Mapping[str, Any]] = ()


def require_fileable(case: Case) -> None:
    """Raises Conflict `case_final` once the case is over: evidence is welcome late, but not after the end."""
    if case.state in FINAL_STATES:
        raise Conflict("case_final")


def file(
    session: Session, case: Case, actor: Actor, now: datetime, filing: Filing, *, sealer: Sealer
) -> tuple[Exhibit, str]:
    """Make an exhibit of it; answers the exhibit and the signed receipt with the docket's new head.

    Raises Conflict `case_final`, or `too_many_exhibits` after a hundred of one side.
    """
    require_fileable(case)
    label = _next_label(session, case, actor)
    root = filing.merkle_root.hex() if filing.merkle_root else None
    written = docket.record(
        session,
        case,
        "exhibit_filed",
        actor,
        now,
        # A bare digest would give short texts away, so it is committed to on its own and can be erased.
        private={"sha256": filing.sha256, **({"title": filing.title} if filing.title else {})},
        visibility=filing.visibility,
        exhibit=str(filing.exhibit_id),
        label=label,
        kind=filing.kind,
        media_type=filing.media_type,
        size=filing.size,
        messages=None if filing.messages is None else len(filing.messages),
        merkle_root=root,
    )
    exhibit = Exhibit(
        id=filing.exhibit_id,
        case_id=case.id,
        seq=written.seq,
        label=label,
        kind=filing.kind,
        title=filing.title,
        filename=filing.filename,
        sha256=filing.sha256,
        size=filing.size,
        media_type=filing.media_type,
        blob_key=filing.blob_key,
        filed_role=actor.role.value,
        filed_by=actor.subject,
        filed_at=written.at,
        late=False,
        visibility=filing.visibility,
        timezone=filing.timezone,
        message_count=None if filing.messages is None else len(filing.messages),
        merkle_root=filing.merkle_root,
        problems=[dict(problem) for problem in filing.problems],
    )
    _insert(session, exhibit)
    if filing.messages:
        _copy(session, case, exhibit, filing.messages)
    receipt = sealer.receipt(case, written, exhibit=exhibit.id, label=label, sha256=filing.sha256, merkle_root=root)
    return exhibit, receipt


def _insert(session: Session, exhibit: Exhibit) -> None:
    columns = [column.key for column in Exhibit.__table__.columns]
    session.execute(insert(Exhibit), {name: getattr(exhibit, name) for name in columns})


def _next_label(session: Session, case: Case, actor: Actor) -> str:
    first = labels.label(actor.role.value, 1)
    letter = first.partition("-")[0]
    # The case is locked, so nobody else is counting.
    count = session.scalar(
        select(func.count()).select_from(Exhibit).where(Exhibit.case_id == case.id, Exhibit.label.startswith(letter))
    )
    if (count or 0) >= EXHIBITS_A_SIDE:
        raise Conflict("too_many_exhibits", limit=EXHIBITS_A_SIDE)
    return labels.label(actor.role.value, (count or 0) + 1)


def _copy(session: Session, case: Case, exhibit: Exhibit, messages: Sequence[SealedMessage]) -> None:
    """Stream the messages in by COPY, in the session's own transaction."""
    cursor = session.connection().connection.cursor()
    with cursor.copy(_MESSAGES) as copy:
        for one in messages:
            said = one.message
            copy.write_row(
                (
                    case.id,
                    exhibit.id,
                    said.seq,
                    said.sender.role.value,
                    said.sent_at,
                    said.kind.value,
                    one.c_text.digest,
                    one.c_sender.digest,
                    one.c_attachments.digest,
                )
            )
    with cursor.copy(_OPENINGS) as copy:
        for one in messages:
            said = one.message
            copy.write_row(
                (
                    case.id,
                    exhibit.id,
                    said.seq,
                    said.text,
                    one.c_text.salt,
                    Jsonb(sender_value(said)),
                    one.c_sender.salt,
                    Jsonb(attachments_value(said)),
                    one.c_attachments.salt,
                )
            )
    cursor.close()
