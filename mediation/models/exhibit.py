"""What is shown: exhibits, and the messages of a chat log with their commitments."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from mediation.db import Base, new_id


class Exhibit(Base):
    """One thing filed. `sha256` (hex) is over the stored bytes; `merkle_root` over the messages' leaves.

    `seq` is the docket entry of the filing. What a redaction empties: `sha256`, `title`, `filename`, `blob_key`,
    `filed_by`; `blob_erased_at` says when the bytes were gone.
    The signed receipt is handed out and not kept: it holds the plain digest.
    """

    __tablename__ = "exhibits"
    __table_args__ = (
        UniqueConstraint("case_id", "label"),
        UniqueConstraint("case_id", "seq"),
        CheckConstraint("visibility IN ('parties', 'staff')", name="visibility"),
        Index(
            "ix_exhibits_to_erase",
            "id",
            postgresql_where=text("redacted_at IS NOT NULL AND blob_erased_at IS NULL"),
        ),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    case_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("cases.id"))
    seq: Mapped[int]
    label: Mapped[str]
    kind: Mapped[str]
    title: Mapped[str | None]
    filename: Mapped[str | None]
    sha256: Mapped[str | None]
    size: Mapped[int]
    media_type: Mapped[str]
    blob_key: Mapped[str | None]
    filed_role: Mapped[str]
    filed_by: Mapped[str | None]
    filed_at: Mapped[datetime]
    late: Mapped[bool]
    visibility: Mapped[str]
    timezone: Mapped[str | None]
    message_count: Mapped[int | None]
    merkle_root: Mapped[bytes | None]
    problems: Mapped[list[Any]]
    answers_request: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("evidence_requests.id"))
    answers_item: Mapped[int | None]
    redacted_at: Mapped[datetime | None]
    blob_erased_at: Mapped[datetime | None]


class ExhibitMessage(Base):
    """The lasting part of a message: its Merkle leaf (32 bytes) and what that is made of. Append-only."""

    __tablename__ = "exhibit_messages"

    case_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("cases.id"), primary_key=True)
    exhibit_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("exhibits.id"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    role: Mapped[str]
    sent_at: Mapped[datetime | None]
    kind: Mapped[str]
    c_text: Mapped[bytes]
    c_sender: Mapped[bytes]
    c_attachments: Mapped[bytes]
    leaf: Mapped[bytes]


class ExhibitMessageOpening(Base):
    """The erasable part of a message: text, sender and attachments with their salts."""

    __tablename__ = "exhibit_message_openings"
    __table_args__ = (
        CheckConstraint(
            "(text IS NULL) = (text_salt IS NULL) AND (sender IS NULL) = (sender_salt IS NULL) "
            "AND (attachments IS NULL) = (attachments_salt IS NULL)",
            name="erased_whole",
        ),
    )

    case_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("cases.id"), primary_key=True)
    exhibit_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("exhibits.id"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    text: Mapped[str | None]
    text_salt: Mapped[bytes | None]
    sender: Mapped[dict[str, Any] | None]
    sender_salt: Mapped[bytes | None]
    attachments: Mapped[list[Any] | None]
    attachments_salt: Mapped[bytes | None]
