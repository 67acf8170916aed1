"""What can go wrong, and one table from each kind of error to its HTTP status.

An error's docstring is its sentence for people; `code` is the snake_case of its name and is public contract.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from evidence.errors import NotAdmitted, NotCanonical, QuoteDoesNotStand
from workflows.refusals import Conflict, NotPermitted, Refused, WrongState

FieldErrors = Mapping[str, list[str]]


class MediationError(Exception):
    """Something went wrong."""

    status = 500

    def __init__(self, detail: str | None = None, *, errors: FieldErrors | None = None, **extra: Any) -> None:
        self.detail = detail or (type(self).__doc__ or "").strip()
        super().__init__(self.detail)
        self.errors = dict(errors) if errors else None
        self.extra = extra

    @property
    def code(self) -> str:
        return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(self).__name__).lower()


class Unauthenticated(MediationError):
    """A valid access token is needed: Authorization: Bearer <token>."""

    status = 401


class NotFound(MediationError):
    """There is no such thing, or it is not yours."""

    status = 404


class NotAllowed(MediationError):
    """Your role may not do this."""

    status = 403

    @property
    def code(self) -> str:
        return "not_permitted"


class StaleVersion(MediationError):
    """The case has moved on since the version named in If-Match; read it again."""

    status = 412


class MalformedBody(MediationError):
    """The body cannot be read as JSON."""

    status = 400


class InvalidBody(MediationError):
    """Some fields cannot be accepted."""

    status = 422


class BodyTooLarge(MediationError):
    """The body is larger than this address accepts."""

    status = 413


class UnsupportedMediaType(MediationError):
    """This address does not accept this kind of content."""

    status = 415


class OpenCaseExists(MediationError):
    """There is an open case about this order line already."""

    status = 409


class Gone(MediationError):
    """The bytes were taken out by a redaction; what may be said of them stands in the exhibit."""

    status = 410


class PaidBelowPromised(MediationError):
    """The sum paid cannot be set below what is reserved and refunded on the order already."""

    status = 409


class OrderConflict(MediationError):
    """The order on file says otherwise, and this cannot be changed once cases stand on it."""

    status = 409


class AlreadyDeclared(MediationError):
    """This interest is declared already."""

    status = 409


class KeyReused(MediationError):
    """This Idempotency-Key was used with another request."""

    status = 422


class StillRunning(MediationError):
    """The first request with this Idempotency-Key is still running; try again shortly."""

    status = 409


class BadSignature(MediationError):
    """The callback's signature does not hold."""

    status = 401


class Busy(MediationError):
    """The database is busy or away; nothing was written. Try again."""

    status = 503


#: Errors that are not ours, by class, most special first.
_STATUS_OF: tuple[tuple[type[Exception], int], ...] = (
    (NotPermitted, 403),
    (WrongState, 409),
    (Conflict, 409),
    (Refused, 422),
    (NotAdmitted, 422),
    (QuoteDoesNotStand, 422),
    (NotCanonical, 422),
)
_ADMISSION_STATUS = {"too_large": 413, "unsupported_type": 415, "refused": 422}

#: Constraints of the database that a well-formed request can run into, and what they mean to the one who asked.
_CONSTRAINTS: dict[str, Refused | type[MediationError]] = {
    "ck_orders_within_paid": Conflict("exceeds_paid"),
    "uq_interests_running": AlreadyDeclared,
}


def status_of(error: Exception) -> int:
    """The HTTP status of an error; 500 for one that is not in the table."""
    if isinstance(error, MediationError):
        return error.status
    if isinstance(error, NotAdmitted):
        return _ADMISSION_STATUS[error.status_hint]
    return next((status for kind, status in _STATUS_OF if isinstance(error, kind)), 500)


def from_database(error: Exception) -> Exception:
    """What a database error means to the caller: a broken rule, a busy server, or (unchanged) a defect of ours."""
    if isinstance(error, PoolTimeout):
        return Busy()
    if isinstance(error, IntegrityError):
        name = getattr(getattr(error.orig, "diag", None), "constraint_name", None)
        meaning = _CONSTRAINTS.get(name or "")
        if meaning is not None:
            return meaning if isinstance(meaning, Exception) else meaning()
        return error
    if isinstance(error, DBAPIError):
        # 40 serialization, deadlock; 53 no room; 55P03 lock wait; 57 shutdown or time limit; 08 or none: no server.
        state = getattr(error.orig, "sqlstate", None) or ""
        lost = isinstance(error, OperationalError) and not state
        if (
            lost
            or error.connection_invalidated
            or state.startswith(("08", "40", "57", "53"))
            or state in ("55P03", "25P03")
        ):
            return Busy()
    return error


def every_error() -> Iterator[type[MediationError]]:
    """Every error class of ours, for the test that each has a status and a sentence."""
    yield from MediationError.__subclasses__()
