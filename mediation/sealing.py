"""The sealing key at work: signed heads and receipts, and the published public keys."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from evidence import sealing
from mediation.docket import Written
from mediation.keys import read_or_make
from mediation.models import Case, Seal, SealingKey
from mediation.settings import Settings


class Sealer:
    """Signs with the deployment's sealing key; several machines share it by the setting SEALING_KEY."""

    def __init__(self, settings: Settings) -> None:
        pem = read_or_make(settings.sealing_key_path, lambda: sealing.generate().to_pem())
        self._key = sealing.SealingKey.from_pem(pem)
        self.kid: str = self._key.kid

    def publish(self, session: Session, now: datetime) -> None:
        """Put the public key on file if it is new, so that what it signs can be verified for ever."""
        session.execute(
            upsert(SealingKey)
            .values(kid=self.kid, jwk=self._key.public_jwk(), created_at=now)
            .on_conflict_do_nothing(index_elements=["kid"])
        )

    def receipt(self, case: Case, written: Written, *, exhibit: uuid.UUID, label: str, **digests: str | None) -> str:
        """The signed receipt (compact JWS) of a filing, with the docket's head right after it."""
        return self._key.sign(
            sealing.receipt_statement(
                case=str(case.id),
                exhibit=str(exhibit),
                label=label,
                sha256=digests.get("sha256"),
                merkle_root=digests.get("merkle_root"),
                seq=written.seq,
                head=written.hash.hex(),
                at=written.at,
            )
        )

    def seal_head(self, session: Session, case: Case, written: Written) -> None:
        """Sign the docket's head as `written` left it, and keep the seal."""
        statement = sealing.head_statement(str(case.id), written.seq, written.hash.hex(), written.at)
        row = {"case_id": case.id, "seq": written.seq, "kid": self.kid, "at": written.at}
        session.execute(insert(Seal), row | {"jws": self._key.sign(statement)})


def published(session: Session) -> list[dict[str, Any]]:
    """The public sealing keys, retired ones kept, oldest first (RFC 7517)."""
    rows = session.execute(select(SealingKey.jwk, SealingKey.retired_at).order_by(SealingKey.created_at))
    return [jwk | ({"retired_at": retired.isoformat()} if retired else {}) for jwk, retired in rows]
