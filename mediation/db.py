"""The one database: engine, session, and the base of the models. PostgreSQL 15 or newer through psycopg 3."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

import orjson
import uuid_utils.compat
from sqlalchemy import BigInteger, DateTime, Engine, MetaData, Text, Uuid, create_engine
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import make_url
from sqlalchemy.orm import DeclarativeBase, Session, sessionmaker

#: The role without ownership that every connection of the application takes; created by the first migration.
APPLICATION_ROLE = "mediation_app"
LOCK_TIMEOUT_MS = 5_000
STATEMENT_TIMEOUT_MS = 30_000
IDLE_TRANSACTION_TIMEOUT_MS = 60_000


class Base(DeclarativeBase):
    """Constraint names follow one convention, so that a migration can name what it changes."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy's own declaration
        datetime: DateTime(timezone=True),
        uuid.UUID: Uuid(),
        int: BigInteger(),
        str: Text(),
        dict[str, Any]: JSONB(),
        list[Any]: JSONB(),
    }


def new_id() -> uuid.UUID:
    """A UUIDv7: unique without asking the database, ordered by time (RFC 9562)."""
    return uuid_utils.compat.uuid7()


def driver_url(url: str) -> str:
    """A PostgreSQL URL as SQLAlchemy wants it, with psycopg 3 named as the driver."""
    scheme, rest = url.split("://", 1)
    return f"postgresql+psycopg://{rest}" if scheme in ("postgres", "postgresql") else url


def connection_options(role: str | None = APPLICATION_ROLE) -> str:
    """The `options` of a connection: role, time limits and UTC, fixed before the first statement."""
    settings = {
        "lock_timeout": LOCK_TIMEOUT_MS,
        "statement_timeout": STATEMENT_TIMEOUT_MS,
        "idle_in_transaction_session_timeout": IDLE_TRANSACTION_TIMEOUT_MS,
        "timezone": "UTC",
    }
    if role:
        settings["role"] = role
    return " ".join(f"-c {name}={value}" for name, value in settings.items())


def make_engine(url: str, *, pool_size: int = 10, role: str | None = APPLICATION_ROLE, **kwargs: Any) -> Engine:
    """An engine whose connections act as `role` (None: as whoever the URL logs in)."""
    parsed = make_url(driver_url(url))
    asked = parsed.query.get("options", "")
    options = " ".join(filter(None, [asked if isinstance(asked, str) else " ".join(asked), connection_options(role)]))
    return create_engine(
        parsed.difference_update_query(["options"]),
        connect_args={"options": options, "application_name": "mediation", "connect_timeout": 10},
        hide_parameters=True,  # They hold personal text, and errors end up in logs.
        json_serializer=_to_json,
        json_deserializer=orjson.loads,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=10,
        pool_recycle=1800,
        **kwargs,
    )


def _to_json(value: object) -> str:
    return orjson.dumps(value).decode()


def make_sessions(engine: Engine) -> sessionmaker[Session]:
    """Sessions that keep their objects readable after commit and never flush behind a reader's back."""
    return sessionmaker(engine, expire_on_commit=False, autoflush=False)
