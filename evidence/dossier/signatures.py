"""Signatures in a dossier: compact JWS of one spelling only, by keys that are named after themselves."""

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from evidence import sealing
from evidence.canonical import canonical
from evidence.dossier.archive import Archive
from evidence.dossier.faults import Findings
from evidence.dossier.names import KEYS
from evidence.dossier.shapes import OBJECT, TEXT, Each, Fields, Kind, Shape, exactly, misfits
from evidence.dossier.values import document, read
from evidence.errors import BadSeal, BadSealingKey

KEY_BYTES = 32
MAX_JWS = 64 << 10
"""Bytes. A statement has a few hundred."""

Jwk = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Signed:
    """A statement whose signature holds, and the thumbprint of the key that made it."""

    kid: str
    payload: Mapping[str, Any]


def _is_key(value: object) -> bool:
    return type(value) is str and len(_decoded(value) or b"") == KEY_BYTES


_JWK = {
    "kty": exactly("OKP"),
    "crv": exactly(sealing.ALGORITHM),
    "x": Kind("must be 32 bytes in base64url", _is_key),
    "kid": TEXT,
    "use": exactly("sig"),
    "alg": exactly(sealing.ALGORITHM),
}


def _jwk_shape(value: Any) -> Shape:
    return Fields({**_JWK, "retired_at": TEXT} if type(value) is dict and "retired_at" in value else _JWK)


def published(archive: Archive, found: Findings) -> dict[str, Jwk]:
    """Return the keys of the dossier by thumbprint; those that are not what they are called are told and left out."""
    value = document(archive, KEYS, Fields({"keys": Each(OBJECT)}), found)
    keys: dict[str, Jwk] = {}
    for n, jwk in enumerate([] if value is None else value["keys"], 1):
        problem = _problem(jwk, keys)
        if problem:
            found.add(KEYS, f"key {n}", "key", problem)
        else:
            keys[jwk["kid"]] = jwk
    return keys


def trusted(pem: bytes) -> Jwk:
    """Read the key that the reader trusts, a PEM of an Ed25519 key. Raises BadSealingKey if it is none."""
    try:
        key = OKPKey.import_key(pem)
    except (ValueError, TypeError, JoseError, UnsupportedAlgorithm) as error:
        raise BadSealingKey("the PEM cannot be read as a key") from error
    if key.curve_name != sealing.ALGORITHM:
        raise BadSealingKey("an Ed25519 key is needed")
    return {**key.as_dict(private=False), "kid": key.thumbprint()}


def kid_of(jws: str) -> str:
    """Return the thumbprint in the header of a JWS. Raises BadSeal if it is not of the one spelling."""
    parts = [_decoded(part) for part in jws.split(".")] if len(jws) <= MAX_JWS else []
    if len(parts) != 3 or parts[0] is None or parts[1] is None or parts[2] is None:
        raise BadSeal("it is not a compact JWS in its one spelling")
    header = read(parts[0]).value
    kid = header.get("kid") if type(header) is dict else None
    if type(kid) is not str or canonical({"alg": sealing.ALGORITHM, "kid": kid, "typ": sealing.TYPE}) != parts[0]:
        raise BadSeal("the header is not that of a seal")
    return kid


def checked(jws: str, keys: Mapping[str, Jwk]) -> Signed:
    """Return what a JWS says, signed by one of `keys`. Raises BadSeal if it is not of the one spelling, or not so."""
    kid = kid_of(jws)
    if kid not in keys:
        raise BadSeal("the key that signed is not among the published ones")
    return Signed(kid, sealing.verify(jws, {"keys": [dict(keys[kid])]}))


def _problem(jwk: Any, known: Mapping[str, Jwk]) -> str | None:
    wrong = next(misfits(jwk, _jwk_shape(jwk)), None)
    if wrong:
        return " ".join(part for part in wrong if part)
    thumbprint = hashlib.sha256(canonical({"crv": jwk["crv"], "kty": jwk["kty"], "x": jwk["x"]})).digest()
    if jwk["kid"] != base64.urlsafe_b64encode(thumbprint).rstrip(b"=").decode():
        return "its kid is not its thumbprint"
    return "it is there already" if jwk["kid"] in known else None


def _decoded(text: str) -> bytes | None:
    """Decode base64url without padding; None if the text is not the one way to write those bytes."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if base64.urlsafe_b64encode(data).rstrip(b"=") == text.encode("ascii", "replace") else None
