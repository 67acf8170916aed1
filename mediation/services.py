"""What a process of the application holds for as long as it lives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Engine
from sqlalchemy.orm import Session, sessionmaker

from evidence.store import BlobStore, open_store
from mediation.auth import Authenticator
from mediation.db import make_engine, make_sessions
from mediation.jobs import Hinter
from mediation.sealing import Sealer
from mediation.settings import BadSetting, Settings


@dataclass(frozen=True, slots=True)
class Services:
    """Settings, database, keys and files of one process. `clock` gives the time at the door, and nowhere else."""

    settings: Settings
    engine: Engine
    sessions: sessionmaker[Session]
    authenticator: Authenticator
    sealer: Sealer
    blobs: BlobStore
    clock: Callable[[], datetime]
    hint: Callable[[], None]


def real_time() -> datetime:
    """Now, aware, in UTC."""
    return datetime.now(UTC)


def no_hint() -> None:
    """Nobody to wake: the worker finds what is due by itself."""


def build(
    settings: Settings,
    *,
    engine: Engine | None = None,
    clock: Callable[[], datetime] = real_time,
    hint: Callable[[], None] | None = None,
) -> Services:
    """Services for a database that is there and migrated. Raises BadSetting without one."""
    if engine is None:
        if settings.database_url is None:
            raise BadSetting("DATABASE_URL: must be set; `mediation up` sets it for the embedded PostgreSQL")
        engine = make_engine(settings.database_url, pool_size=settings.pool_size)
    sealer = Sealer(settings)
    sessions = make_sessions(engine)
    with sessions.begin() as session:
        sealer.publish(session, clock())
    return Services(
        settings=settings,
        engine=engine,
        sessions=sessions,
        authenticator=Authenticator(settings),
        sealer=sealer,
        blobs=open_store(settings.blob_location),
        clock=clock,
        hint=hint or (Hinter(settings.database_url) if settings.database_url else no_hint),
    )
