"""The one database: engine, session, and the base of the models. PostgreSQL 15 or newer through psycopg 3."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar

import orjson
import psycopg
import uuid_utils.compat
from sqlalchemy import BigInteger, DateTime, Engine, MetaData, Select, Text, Uuid, create_engine, inspect
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.engine import make_url
from sqlalchemy.orm import DeclarativeBase, Session, SessionTransaction, sessionmaker
from sqlalchemy.orm.attributes import instance_dict, instance_state, set_committed_value

#: The role without ownership that every connection of the application takes; created by the first migration.
APPLICATION_ROLE = "mediation_app"
LOCK_TIMEOUT_MS = 5_000
STATEMENT_TIMEOUT_MS = 30_000
IDLE_TRANSACTION_TIMEOUT_MS = 60_000
T = TypeVar("T")
_DIALECT = PGDialect_psycopg()  # type: ignore[no-untyped-call]


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
    """Sessions that keep their objects readable after commit and never flush behind a reader's back.

    All of them carry one `shared` dictionary along, for what a process remembers of this database.
    """
    return sessionmaker(engine, expire_on_commit=False, autoflush=False, info={"shared": {}})


# --- statements past the object layer --------------------------------------------------------------------------------


def innermost(session: Session) -> SessionTransaction | None:
    """The savepoint that the session is in, else its transaction."""
    return session.get_nested_transaction() or session.get_transaction()


def say(session: Session, statement: str, values: Mapping[str, Any]) -> psycopg.Cursor[tuple[Any, ...]]:
    """Execute a statement as the driver takes it, with %(name)s for its values, in the session's transaction.

    For the few that nearly every request needs: nothing is built, compiled or described for them. What fails is a
    sqlalchemy.exc.DBAPIError, as ever.
    """
    transaction, driver = session.info.get("driver", (None, None))
    if driver is None or transaction is not innermost(session):
        # It is this question that makes the session begin its transaction, or set its savepoint.
        driver = session.connection().connection.driver_connection
        session.info["driver"] = innermost(session), driver
    try:
        found: psycopg.Cursor[tuple[Any, ...]] = driver.execute(statement, values)
    except psycopg.Error as error:
        session.connection()._handle_dbapi_exception(error, statement, values, None, None)
    return found


def as_text(query: Select[Any]) -> str:
    """A query as the driver takes it, for `say`."""
    return str(query.compile(dialect=_DIALECT))


class Reader(Generic[T]):
    """Makes the persistent objects of one mapped class from rows of all its columns, in the order of `names`.

    The ORM does the same for any query there can be, and takes several times as long for it as the database.
    """

    def __init__(self, mapped: type[T]) -> None:
        self._mapper = inspect(mapped)
        self.names = tuple(self._mapper.column_attrs.keys())
        self._keys = [self.names.index(column.key) for column in self._mapper.primary_key]

    def read(self, session: Session, values: Sequence[Any], related: Mapping[str, object], *, anew: bool) -> T:
        """The object of a row and what is related to it, put into the session as the row has it.

        What the session knows of it already stays as it is there, unless it is to be read `anew`.
        """
        key = self._mapper.identity_key_from_primary_key([values[place] for place in self._keys])
        found: T | None = session.identity_map.get(key)
        if found is None:
            found = self._mapper.class_manager.new_instance()
            state = instance_state(found)
            state.key, state.session_id = key, session.hash_key
            session.identity_map.add(state)
            state.dict.update(zip(self.names, values, strict=True), **related)
            return found
        read = dict(zip(self.names, values, strict=True), **related)
        if anew:
            state = instance_state(found)
            state.dict.update(read)
            state._commit_all(state.dict, session.identity_map)
            return found
        for name in read.keys() - instance_dict(found).keys():
            set_committed_value(found, name, read[name])
        return found


def changed_columns(instance: Base) -> set[str]:
    """The attributes of a persistent object that were set since it was read or written."""
    return set(instance_state(instance).committed_state)


def nothing_left_to_flush(session: Session, instance: Base) -> None:
    """Tell the session that the object's row was just written as the object now has it, by a statement of our own.

    As after a flush: what is set from now on is flushed later, and a rollback makes the session read the row anew.
    """
    state = instance_state(instance)
    session._register_altered([state])
    state._commit_all(state.dict, session.identity_map)
