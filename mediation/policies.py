"""The policies in force: versions on file, and the book that a process reads them from.

A version is never changed; the newest whose day has come is in force. A clock that runs keeps the version it was
counted by, unless it is asked to be counted anew.
"""

from __future__ import annotations

import hashlib
import time
from bisect import bisect_right
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session, defer

from mediation.models import PolicyVersion
from workflows import policies
from workflows.policies import Policies

#: Seconds that a process may go on with what it last read. A version is announced by its day, so nobody waits for it.
FRESH = 2.0
SHIPPED = "shipped"
ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)
_LOCK = 0x6D656469_706F6C69
_DATES = select(PolicyVersion.effective_from, PolicyVersion.version).order_by(
    PolicyVersion.effective_from, PolicyVersion.version
)


class Book:
    """What a process knows of the versions on file. One book belongs to one database."""

    def __init__(self) -> None:
        self._read: dict[int, Policies] = {}
        self._known: tuple[list[tuple[datetime, int]], float] | None = None

    def forget(self) -> None:
        """Look again at the next question: a version was loaded."""
        self._known = None

    def in_force(self, session: Session, at: datetime) -> tuple[int, Policies]:
        """The version in force at that time, with its number. Raises LookupError where none was ever loaded."""
        known = self._known
        if known is None or known[1] <= time.monotonic():
            dates = [(begins, version) for begins, version in session.execute(_DATES)]
            known = self._known = (dates, time.monotonic() + FRESH)
        # What is remembered are the dates and not the answer: one that begins on its day is in force on that day.
        begun = bisect_right(known[0], at, key=lambda one: one[0])
        if not begun:
            raise LookupError("no version of the policies is in force")
        version = known[0][begun - 1][1]
        return version, self.version(session, version)

    def version(self, session: Session, version: int) -> Policies:
        """One version. Raises LookupError where it is not on file."""
        if version not in self._read:
            document = session.scalar(select(PolicyVersion.document).where(PolicyVersion.version == version))
            if document is None:
                raise LookupError(f"version {version} of the policies is not on file")
            self._read[version] = policies.from_document(document)
        return self._read[version]


def book(session: Session) -> Book:
    """The book of the session's database, one for all sessions of a process."""
    found: Book = session.info["shared"].setdefault("policies", Book())
    return found


def in_force(session: Session, at: datetime) -> tuple[int, Policies]:
    """The version in force at that time, with its number."""
    return book(session).in_force(session, at)


def load(session: Session, text: str, *, effective_from: datetime, now: datetime, by: str) -> int:
    """Put a version on file, in force from then on; its number.

    Clocks that run are left alone. Raises workflows.policies.PoliciesNotReadable with every field that is wrong.
    """
    read = policies.read(text)
    session.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    version = (session.scalar(select(func.max(PolicyVersion.version))) or 0) + 1
    row = {
        "version": version,
        "name": read.name,
        "document": read.document,
        "digest": _digest(text),
        "effective_from": effective_from,
        "loaded_at": now,
        "loaded_by": by,
    }
    session.execute(insert(PolicyVersion), row)
    book(session).forget()
    return version


def publish(session: Session, file: Path | None, now: datetime, *, edited: bool = False) -> int | None:
    """Load the shipped policies into an empty database, and a file of the deployment's own when it says something new.

    The number of the version that was loaded, None if there was nothing to load. Several processes may start at once:
    one loads. A file that was loaded before is left alone at a start, so that two machines never load in turn; one that
    was `edited` back to what it once said is loaded again, unless it is the version loaded last.

    Raises workflows.policies.PoliciesNotReadable, OSError, UnicodeDecodeError.
    """
    text = policies.shipped() if file is None else file.read_text(encoding="utf-8")
    session.execute(select(func.pg_advisory_xact_lock(_LOCK)))
    query = select(PolicyVersion.digest).order_by(PolicyVersion.version.desc())
    on_file = session.scalars(query.limit(1) if edited else query).all()
    if on_file if file is None else _digest(text) in on_file:
        return None
    if file is None:
        # What is shipped holds for whatever came before it, too.
        return load(session, text, effective_from=ALWAYS, now=now, by=SHIPPED)
    return load(session, text, effective_from=now, now=now, by=file.name)


def versions(session: Session) -> list[dict[str, Any]]:
    """Every version on file, the newest first."""
    query = select(PolicyVersion).order_by(PolicyVersion.version.desc()).options(defer(PolicyVersion.document))
    return [
        {
            "version": one.version,
            "name": one.name,
            "effective_from": one.effective_from,
            "loaded_at": one.loaded_at,
            "loaded_by": one.loaded_by,
            "digest": one.digest,
        }
        for one in session.scalars(query)
    ]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
