"""The sealing key at work: signed heads and receipts, the published public keys, and a new key in place of the old."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Any

import structlog
from sqlalchemy import Connection, Engine, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from evidence import sealing
from evidence.errors import EvidenceError
from mediation import keys
from mediation.docket import Written
from mediation.models import Case, Seal, SealingKey
from mediation.schemas import rfc3339
from mediation.settings import Settings

#: The advisory lock of whoever replaces the sealing key of this database.
_REPLACING = 0x7365616C
log = structlog.get_logger("mediation.sealing")


class BeingReplaced(Exception):
    """Somebody else is replacing the sealing key at this moment."""


class Sealer:
    """Signs with the deployment's sealing key; several machines share it by SEALING_KEY or SEALING_KEY_PEM.

    A key that takes the place of the one in the file is noticed before the next signature, by one look at the file's
    state, and published before it signs. Where what lies there cannot be used, the key that was read last goes on.
    """

    def __init__(self, settings: Settings) -> None:
        self._path: Path | None = None
        self._seen: keys.State = None
        self._announce: Callable[[sealing.SealingKey], None] | None = None
        self._noticing = Lock()
        if settings.sealing_key_pem is not None:
            self._key = sealing.SealingKey.from_pem(settings.sealing_key_pem)
            return
        self._path = settings.sealing_key_path
        keys.read_or_make(self._path, lambda: sealing.generate().to_pem())
        self._seen, pem = keys.read(self._path)
        self._key = sealing.SealingKey.from_pem(pem)

    @property
    def kid(self) -> str:
        """The thumbprint of the key that was in use last."""
        return self._key.kid

    def publish(self, session: Session, now: datetime) -> None:
        """Put the public key on file if it is new, so that what it signs can be verified for ever."""
        publish(session, self._key, now)

    def watch(self, announce: Callable[[sealing.SealingKey], None]) -> None:
        """From now on notice another key in the file; `announce` publishes it, in a transaction of its own."""
        self._announce = announce

    def current(self) -> sealing.SealingKey:
        """The key to sign with now. It is published, and stays the same however often the file changes meanwhile."""
        # Who comes while another thread is publishing the new key signs with the old one, which is not retired yet.
        if self._announce is not None and self._changed() and self._noticing.acquire(blocking=False):
            try:
                self._notice(self._announce)
            finally:
                self._noticing.release()
        return self._key

    def _changed(self) -> bool:
        return self._path is not None and keys.state(self._path) != self._seen

    def _notice(self, announce: Callable[[sealing.SealingKey], None]) -> None:
        assert self._path is not None
        found = keys.state(self._path)
        try:
            found, pem = keys.read(self._path)
            key = sealing.SealingKey.from_pem(pem)
            if key.kid != self._key.kid:
                announce(key)
                log.info("sealing_key_changed", kid=key.kid, before=self._key.kid)
        except (OSError, EvidenceError) as error:
            # Told once for each thing that lies there, not with every signature.
            log.error("sealing_key_unusable", path=str(self._path), error=str(error), going_on_with=self._key.kid)
        except SQLAlchemyError as error:
            log.error("sealing_key_not_published", kid=key.kid, error=str(error), going_on_with=self._key.kid)
            return
        else:
            self._key = key
        self._seen = found

    def receipt(self, case: Case, written: Written, *, exhibit: uuid.UUID, label: str, **digests: str | None) -> str:
        """The signed receipt (compact JWS) of a filing, with the docket's head right after it."""
        return self.current().sign(
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
        key = self.current()
        statement = sealing.head_statement(str(case.id), written.seq, written.hash.hex(), written.at)
        row = {"case_id": case.id, "seq": written.seq, "kid": key.kid, "at": written.at}
        session.execute(insert(Seal), row | {"jws": key.sign(statement)})

    def signed_head(self, case: Case, now: datetime) -> str:
        """The docket's head as it stands now, signed (compact JWS) and not kept."""
        return self.current().sign(sealing.head_statement(str(case.id), case.version, case.head.hex(), now))


# --- what is published -------------------------------------------------------------------------------------------


def publish(session: Session | Connection, key: sealing.SealingKey, now: datetime) -> None:
    """Put a public key on file if it is new. One that was retired stays so, which is logged: it is to be replaced."""
    session.execute(
        upsert(SealingKey)
        .values(kid=key.kid, jwk=key.public_jwk(), created_at=now)
        .on_conflict_do_nothing(index_elements=["kid"])
    )
    retired = session.scalar(select(SealingKey.retired_at).where(SealingKey.kid == key.kid))
    if retired is not None:
        log.warning("sealing_key_is_retired", kid=key.kid, retired_at=rfc3339(retired))


@dataclass(frozen=True, slots=True)
class Published:
    """A public sealing key on file."""

    kid: str
    jwk: dict[str, Any]
    created_at: datetime
    retired_at: datetime | None


def on_file(session: Session | Connection) -> list[Published]:
    """Every sealing key that was ever published, oldest first."""
    key = SealingKey
    rows = session.execute(select(key.kid, key.jwk, key.created_at, key.retired_at).order_by(key.created_at, key.kid))
    return [Published(*row) for row in rows]


def published(session: Session) -> list[dict[str, Any]]:
    """The public sealing keys, retired ones kept, oldest first (RFC 7517)."""
    return [one.jwk | ({"retired_at": rfc3339(one.retired_at)} if one.retired_at else {}) for one in on_file(session)]


# --- a new key ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Replaced:
    """The thumbprints of the key that is in use now and of the one that was."""

    kid: str
    before: str


def replace(engine: Engine, path: Path, clock: Callable[[], datetime]) -> Replaced:
    """Make a new sealing key, publish it, put it in the place of the one at `path`, and retire all others.

    A deployment has one sealing key, so whatever else is still on file as in use, as after a replacement that was
    broken off, is retired as well. Broken off anywhere it leaves a service that works, with the old key or the new one,
    and is simply done again. Raises BeingReplaced, OSError, or BadSealingKey where what lies at `path` is no key.
    """
    with engine.connect() as connection, _alone(connection):
        before = sealing.SealingKey.from_pem(keys.read(path)[1])
        key = sealing.generate()
        draft = keys.draft_beside(path, key.to_pem())
        try:
            with connection.begin():
                publish(connection, key, clock())
            keys.put_in_place(draft, path)
        finally:
            draft.unlink(missing_ok=True)
        with connection.begin():
            retire_others(connection, key.kid, clock())
    return Replaced(key.kid, before.kid)


def retire_others(connection: Connection, kid: str, now: datetime) -> None:
    """Retire every key that is not retired yet, but for this one."""
    connection.execute(
        update(SealingKey).where(SealingKey.kid != kid, SealingKey.retired_at.is_(None)).values(retired_at=now)
    )


@contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    """Within, nobody else replaces the key of this database. The lock goes with the connection when a process dies."""
    with connection.begin():
        had = connection.scalar(select(func.pg_try_advisory_lock(_REPLACING)))
    if not had:
        raise BeingReplaced()
    try:
        yield
    finally:
        with connection.begin():
            connection.execute(select(func.pg_advisory_unlock(_REPLACING)))
