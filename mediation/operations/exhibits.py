"""Filing evidence: labels, commitments, receipt. What is filed is never changed."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb
from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from evidence import labels
from evidence.admission import Admitted
from evidence.canonical import canonical
from evidence.custody import CustodyAct
from evidence.errors import NotAdmitted
from evidence.leaves import SealedMessage, attachments_value, seal_transcript, sender_value
from evidence.store import blob_key
from evidence.transcripts import imports, native
from evidence.transcripts.normal import Problem, SenderRole
from evidence.transcripts.pieces import DateOrder, Stated
from evidence.transcripts.source import Source
from evidence.transcripts.times import zone
from mediation import docket
from mediation.db import new_id
from mediation.models import Case, Exhibit
from mediation.operations import custody, evidence_requests
from mediation.sealing import Sealer
from workflows.acts import Actor
from workflows.refusals import Conflict
from workflows.states import FINAL_STATES, EvidenceType

EXHIBITS_A_SIDE = 100
MAX_EXHIBIT = 10 * 1024 * 1024

_MESSAGES = (
    "COPY exhibit_messages (case_id, exhibit_id, seq, role, sent_at, kind, c_text, c_sender, c_attachments, "
    "leaf) FROM STDIN"
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
    answers: Mapping[str, Any] | None = None


def chat_log(case: uuid.UUID, body: Mapping[str, Any]) -> tuple[Filing, bytes]:
    """A chat log of JSON messages as a filing, and the bytes to be stored: the canonical form of what was sent.

    Raises NotAdmitted naming the message at fault, or `messages` if there are more than MAX_EXHIBIT bytes of them.
    """
    transcript = native.read(body["messages"], timezone=body["timezone"])
    stored = canonical({name: value for name, value in body.items() if name != "answers"})
    if len(stored) > MAX_EXHIBIT:
        raise NotAdmitted("messages", "too_large", f"a chat log may have {MAX_EXHIBIT} bytes at most", "too_large")
    sealed, root = seal_transcript(transcript.messages)
    digest = hashlib.sha256(stored).hexdigest()
    exhibit_id = new_id()
    filing = Filing(
        exhibit_id=exhibit_id,
        kind="chat_log",
        title=body.get("title"),
        visibility=body["visibility"],
        sha256=digest,
        size=len(stored),
        media_type="application/json",
        blob_key=blob_key(str(case), str(exhibit_id), digest),
        timezone=body["timezone"],
        messages=sealed,
        merkle_root=root,
        answers=body.get("answers"),
        problems=[_problem(one) for one in transcript.problems],
    )
    return filing, stored


def document(case: uuid.UUID, meta: Mapping[str, Any], admitted: Admitted) -> Filing:
    """An admitted file as a filing; a chat log is imported, so that it can be quoted from.

    `meta` has kind and visibility, and may have title and answers; of a chat log also format, timezone, date_order and
    participants (side by the sender's name in the file), see `evidence.transcripts.imports.read`.
    Raises NotAdmitted for a chat log that cannot be imported as it is stated, or at all.
    """
    exhibit_id = new_id()
    filing = Filing(
        exhibit_id=exhibit_id,
        kind=meta["kind"],
        title=meta.get("title"),
        visibility=meta["visibility"],
        sha256=admitted.sha256,
        size=admitted.size,
        media_type=admitted.media_type,
        blob_key=blob_key(str(case), str(exhibit_id), admitted.sha256),
        filename=admitted.filename,
        answers=meta.get("answers"),
    )
    return _imported(filing, meta, admitted) if filing.kind == EvidenceType.CHAT_LOG else filing


def _imported(filing: Filing, meta: Mapping[str, Any], admitted: Admitted) -> Filing:
    named = meta.get("timezone")
    order = meta.get("date_order")
    imported = imports.read(
        Source(
            admitted.file,
            filename=admitted.filename,
            media_type=admitted.media_type,
            encoding=admitted.encoding,
        ),
        format=meta.get("format", imports.AUTO),
        stated=Stated(None if named is None else zone(named), None if order is None else DateOrder(order)),
        participants={name: SenderRole(role) for name, role in meta.get("participants", {}).items()},
    )
    sealed, root = seal_transcript(imported.transcript.messages)
    return replace(
        filing,
        timezone=named,
        messages=sealed,
        merkle_root=root,
        problems=[_problem(one) for one in imported.transcript.problems],
    )


def _problem(one: Problem) -> dict[str, Any]:
    return {"line": one.line, "message_seq": one.message_seq, "code": one.code, "detail": one.detail}


def require_fileable(case: Case) -> None:
    """Raises Conflict `case_final` once the case is over: evidence is welcome late, but not after the end."""
    if case.state in FINAL_STATES:
        raise Conflict("case_final")


def file(
    session: Session, case: Case, actor: Actor, now: datetime, filing: Filing, *, sealer: Sealer
) -> tuple[Exhibit, str]:
    """Make an exhibit of it; answers the exhibit and the signed receipt with the docket's new head.

    Raises Conflict `case_final`, or `too_many_exhibits` after a hundred of one side; Refused `item_not_open` where it
    answers what was not asked of this side. What comes after that side's default is tagged late.
    """
    require_fileable(case)
    answer = evidence_requests.answering(session, case, actor, filing.answers)
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
        late=answer.late,
        **_answers(answer),
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
        late=answer.late,
        visibility=filing.visibility,
        timezone=filing.timezone,
        message_count=None if filing.messages is None else len(filing.messages),
        merkle_root=filing.merkle_root,
        problems=[dict(problem) for problem in filing.problems],
        answers_request=answer.request,
        answers_item=answer.item,
    )
    _insert(session, exhibit)
    if filing.messages:
        copy_messages(session, case.id, exhibit.id, filing.messages)
    custody.record(session, exhibit, actor, written.at, CustodyAct.filed)
    receipt = sealer.receipt(case, written, exhibit=exhibit.id, label=label, sha256=filing.sha256, merkle_root=root)
    evidence_requests.answered(session, case, written.at, answer, label)
    return exhibit, receipt


def _answers(answer: evidence_requests.Answering) -> dict[str, Any]:
    return {} if answer.request is None else {"answers": {"request": str(answer.request), "item": answer.item}}


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


def copy_messages(
    session: Session, case_id: uuid.UUID, exhibit_id: uuid.UUID, messages: Sequence[SealedMessage]
) -> None:
    """Stream the messages of an exhibit in by COPY, in the session's own transaction."""
    cursor = session.connection().connection.cursor()
    with cursor.copy(_MESSAGES) as copy:
        for one in messages:
            said = one.message
            copy.write_row(
                (
                    case_id,
                    exhibit_id,
                    said.seq,
                    said.sender.role.value,
                    said.sent_at,
                    said.kind.value,
                    one.c_text.digest,
                    one.c_sender.digest,
                    one.c_attachments.digest,
                    one.leaf,
                )
            )
    with cursor.copy(_OPENINGS) as copy:
        for one in messages:
            said = one.message
            copy.write_row(
                (
                    case_id,
                    exhibit_id,
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
