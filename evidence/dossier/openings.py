"""Openings: what a commitment hides, or null twice where it is not shown."""

import hashlib
from enum import Enum
from typing import Any

from evidence.canonical import canonical
from evidence.chain import is_hex_digest
from evidence.errors import NotCanonical

_FIELDS = {"salt", "value"}


class State(Enum):
    """What became of an opening; the values say it for a person where it is a fault."""

    OPEN = "it opens its commitment"
    CLOSED = "it is not shown"
    HALF = "one of salt and value is null and the other is not"
    MALFORMED = "it is not an object of a salt, 64 lowercase hex digits, and a value"
    WRONG = "it does not open its commitment"

    @property
    def is_fault(self) -> bool:
        """Whether it may not stand so."""
        return self not in (State.OPEN, State.CLOSED)


def state_of(opening: Any, commitment: Any) -> State:
    """Compare an opening, an object with `salt` and `value` and nothing else, with a commitment in hex."""
    if type(opening) is not dict or opening.keys() != _FIELDS:
        return State.MALFORMED
    salt, value = opening["salt"], opening["value"]
    if salt is None and value is None:
        return State.CLOSED
    if salt is None or value is None:
        return State.HALF
    if not is_hex_digest(salt):
        return State.MALFORMED
    try:
        digest = hashlib.sha256(b"\x00" + bytes.fromhex(salt) + canonical(value)).hexdigest()
    except NotCanonical:
        return State.WRONG
    return State.OPEN if digest == commitment else State.WRONG
