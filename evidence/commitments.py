"""Salted commitments: how private things enter a public record.

A commitment is SHA-256(0x00 || salt || RFC 8785 form of the value) with a salt of 32 random bytes. It binds the value
(SHA-256 is collision resistant) and hides it (whoever lacks the salt cannot try out likely values), so that erasing
value and salt leaves a digest that says nothing while every chain and proof above it still verifies.
"""

import hashlib
import hmac
import secrets
from typing import Any, NamedTuple

from evidence.canonical import canonical

SALT_BYTES = 32

COMMITMENT_PREFIX = b"\x00"


class Commitment(NamedTuple):
    """`digest`: 32 bytes that may be public; `salt`: 32 bytes to be kept, and erased, with the value."""

    digest: bytes
    salt: bytes


def commit(value: Any, salt: bytes | None = None) -> Commitment:
    """Commit to a JSON value, with fresh randomness unless `salt` (32 bytes) is given.

    Raises NotCanonical when the value has no RFC 8785 form, ValueError when the salt is not 32 bytes long: with a
    fixed length no byte can wander from the salt to the value.
    """
    if salt is None:
        salt = secrets.token_bytes(SALT_BYTES)
    elif len(salt) != SALT_BYTES:
        raise ValueError(f"a salt has {SALT_BYTES} bytes, not {len(salt)}")
    return Commitment(hashlib.sha256(COMMITMENT_PREFIX + salt + canonical(value)).digest(), salt)


def opens(digest: bytes, salt: bytes, value: Any) -> bool:
    """Tell whether `salt` and `value` open the commitment `digest`, in time that does not depend on the digest.

    False also for a salt of another length. Raises NotCanonical when the value has no RFC 8785 form.
    """
    if len(salt) != SALT_BYTES:
        return False
    return hmac.compare_digest(commit(value, salt).digest, digest)
