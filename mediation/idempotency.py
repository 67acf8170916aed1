"""Safe retries: the first answer to a POST with an Idempotency-Key, again, for the same request.

The answer is written in the transaction of its effect, so either both are there or neither. Only successes are kept:
a refusal may be tried again. Two at once are told apart by an advisory lock that is tried, never waited for.
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

import orjson
from flask import Request, Response
from sqlalchemy import delete, insert, select, tuple_
from sqlalchemy import text as sql
from sqlalchemy.orm import Session

from mediation.errors import InvalidBody, KeyReused, StillRunning
from mediation.models import IdempotentAnswer
from workflows.acts import Actor

MAX_KEY = 200
#: How long an answer is kept. It holds what people wrote, so it is not kept for ever.
RETENTION = timedelta(days=7)
_KEPT_HEADERS = ("ETag", "Location", "Content-Type")
_TRY_LOCK = sql("SELECT pg_try_advisory_xact_lock(:key)")


@dataclass(frozen=True, slots=True)
class Attempt:
    """A request with a key: `replay` is its first answer, if there was one."""

    marketplace: str
    caller: str
    key: str
    digest: bytes
    replay: Response | None = None

    def keep(self, session: Session, response: Response, case_id: uuid.UUID | None, now: datetime) -> None:
        """Keep a successful answer."""
        if response.status_code >= 400:
            return
        session.execute(
            insert(IdempotentAnswer),
            {
                "marketplace": self.marketplace,
                "caller": self.caller,
                "key": self.key,
                "request_digest": self.digest,
                "status": response.status_code,
                "headers": {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers},
                "body": response.get_data(),
                "case_id": case_id,
                "at": now,
            },
        )


def _caller(actor: Actor) -> str:
    """One name for one caller: as JSON, so that no two lists of ids read the same."""
    return orjson.dumps([actor.role, actor.subject, actor.acts_for]).decode()


def is_known(session: Session, request: Request, actor: Actor) -> bool:
    """Whether the request's key has an answer already, of this request or of another one."""
    key = request.headers.get("Idempotency-Key")
    return key is not None and session.get(IdempotentAnswer, (actor.marketplace, _caller(actor), key)) is not None


def forget(session: Session, now: datetime, *, limit: int = 1_000) -> int:
    """Delete up to `limit` answers whose time is over; how many there were."""
    old = (
        select(IdempotentAnswer.marketplace, IdempotentAnswer.caller, IdempotentAnswer.key)
        .where(IdempotentAnswer.at < now - RETENTION)
        .order_by(IdempotentAnswer.at)
        .limit(limit)
    )
    key = tuple_(IdempotentAnswer.marketplace, IdempotentAnswer.caller, IdempotentAnswer.key)
    query = delete(IdempotentAnswer).where(key.in_(old)).execution_options(synchronize_session=False)
    return int(session.execute(query).rowcount)  # type: ignore[attr-defined]


def begin(session: Session, request: Request, actor: Actor, raw: bytes) -> Attempt | None:
    """Look the request's key up; None if it has none.

    Raises InvalidBody (an unusable key), KeyReused (the key of another request), StillRunning.
    """
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    if not 0 < len(key) <= MAX_KEY or not key.isprintable():
        raise InvalidBody(errors={"Idempotency-Key": [f"Must be 1 to {MAX_KEY} printable characters."]})
    caller = _caller(actor)
    digest = hashlib.sha256(
        b"\x00".join([request.method.encode(), request.full_path.encode(), request.mimetype.encode(), raw])
    ).digest()
    attempt = Attempt(actor.marketplace, caller, key, digest)
    name = "\x00".join([actor.marketplace, caller, key]).encode()
    number = int.from_bytes(hashlib.sha256(name).digest()[:8], signed=True)
    if not session.scalar(_TRY_LOCK, {"key": number}):
        raise StillRunning()
    kept = session.execute(
        select(
            IdempotentAnswer.request_digest, IdempotentAnswer.status, IdempotentAnswer.headers, IdempotentAnswer.body
        ).where(
            IdempotentAnswer.marketplace == actor.marketplace,
            IdempotentAnswer.caller == caller,
            IdempotentAnswer.key == key,
        )
    ).one_or_none()
    if kept is None:
        return attempt
    if kept.request_digest != digest:
        raise KeyReused()
    headers = {**kept.headers, "Idempotency-Replayed": "true"}
    return Attempt(actor.marketplace, caller, key, digest, Response(kept.body, kept.status, headers=headers))
