"""What a process of the application holds for as long as it lives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from joserfc.errors import JoseError
from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from evidence.errors import EvidenceError
from evidence.sealing import SealingKey
from evidence.store import BlobStore, open_store
from mediation import policies, sandbox
from mediation.auth import Authenticator
from mediation.db import make_engine, make_sessions
from mediation.jobs import Hinter
from mediation.sealing import Sealer, publish
from mediation.settings import BadSetting, Settings
from workflows.policies import PoliciesNotReadable, read


@dataclass(frozen=True, slots=True)
class Services:
    """Settings, database, keys and files of one process.

    `clock` gives the time of cases at the door, and nowhere else; a sandbox may have moved it on. `real` gives the
    machine's, for payments, tokens and whatever else happens outside.
    """

    settings: Settings
    engine: Engine
    sessions: sessionmaker[Session]
    authenticator: Authenticator
    sealer: Sealer
    blobs: BlobStore
    clock: Callable[[], datetime]
    real: Callable[[], datetime]
    hint: Callable[[], None]


def real_time() -> datetime:
    """Now, aware, in UTC."""
    return datetime.now(UTC)


def no_hint() -> None:
    """Nobody to wake: the worker finds what is due by itself."""


def check(settings: Settings) -> tuple[Sealer, Authenticator, BlobStore]:
    """Keys and blob store as the settings name them. Raises BadSetting naming the one that cannot be used."""
    try:
        sealer = Sealer(settings)
    except (OSError, EvidenceError, ValueError) as error:
        named = "SEALING_KEY_PEM:" if settings.sealing_key_pem else f"SEALING_KEY: {settings.sealing_key_path}"
        raise BadSetting(f"{named} cannot be used: {error}") from error
    try:
        authenticator = Authenticator(settings)
    except (OSError, JoseError, ValueError) as error:
        raise BadSetting(f"TOKEN_KEY: {settings.token_key_path} cannot be used: {error}") from error
    try:
        blobs = open_store(settings.blob_location)
        if settings.blob_url is None:
            # Evidence is nobody's to read but the service's; the folder above must let PostgreSQL's own user through.
            (settings.home / "blobs").chmod(0o700)
    except (OSError, EvidenceError) as error:
        raise BadSetting(f"BLOB_URL: {settings.blob_location} cannot be used: {error}") from error
    return sealer, authenticator, blobs


def check_policies(settings: Settings) -> None:
    """Raises BadSetting where the file of policies cannot be used, with everything that is wrong with it."""
    file = settings.policy_file
    if file is None:
        return
    try:
        read(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadSetting(f"POLICY_FILE: {file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadSetting(f"POLICY_FILE: {file} must be UTF-8: {error.reason}") from error
    except PoliciesNotReadable as error:
        raise BadSetting(f"POLICY_FILE: {file}: {error}") from error


class SandboxTime:
    """The time of a sandbox's cases: the machine's, moved on by what is on file, so that every process has the same."""

    def __init__(self, sessions: sessionmaker[Session], real: Callable[[], datetime]) -> None:
        self._sessions, self._real = sessions, real

    def __call__(self) -> datetime:
        """Now, as the sandbox has it."""
        with self._sessions.begin() as session:
            return self._real() + sandbox.ahead(session)


def key_announcer(engine: Engine, real: Callable[[], datetime]) -> Callable[[SealingKey], None]:
    """What publishes a sealing key that a running process notices."""

    def announce(key: SealingKey) -> None:
        # Over a connection of its own: whoever is about to sign holds one of the pool's, and it may be the last.
        own = make_engine(engine.url.render_as_string(hide_password=False), pool_size=1)
        try:
            with make_sessions(own).begin() as session:
                publish(session, key, real())
        finally:
            own.dispose()

    return announce


def build(
    settings: Settings,
    *,
    engine: Engine | None = None,
    clock: Callable[[], datetime] | None = None,
    real: Callable[[], datetime] = real_time,
    hint: Callable[[], None] | None = None,
) -> Services:
    """Services for a database that is there and migrated. Raises BadSetting without one."""
    if engine is None:
        if settings.database_url is None:
            raise BadSetting("DATABASE_URL: must be set; `mediation up` sets it for the embedded PostgreSQL")
        engine = make_engine(settings.database_url, pool_size=settings.pool_size)
    sealer, authenticator, blobs = check(settings)
    check_policies(settings)
    sessions = make_sessions(engine)
    with sessions.begin() as session:
        sealer.publish(session, real())
        policies.publish(session, settings.policy_file, real())
    sealer.watch(key_announcer(engine, real))
    if clock is None:
        clock = SandboxTime(sessions, real) if settings.sandbox else real
    return Services(
        settings=settings,
        engine=engine,
        sessions=sessions,
        authenticator=authenticator,
        sealer=sealer,
        blobs=blobs,
        clock=clock,
        real=real,
        hint=hint or (Hinter(settings.database_url) if settings.database_url else no_hint),
    )
