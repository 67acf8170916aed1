"""The sealing key: Ed25519 signatures (RFC 8032) as compact JWS (RFC 7515) over canonical JSON.

It signs the docket's heads and the receipts of filings, so that anyone can show later what the record was. It is never
the token key. The `alg` is Ed25519 (RFC 9864), which names the curve, and not the older, deprecated EdDSA.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from evidence.canonical import canonical
from evidence.chain import instant
from evidence.errors import BadSeal, BadSealingKey, NotCanonical

ALGORITHM: Final = "Ed25519"
TYPE = "mediation-seal"
"""The `typ` header: a token signed by mistake with this key would still not read as a seal, nor a seal as a token."""

VERSION = 1


class SealingKey:
    """A private Ed25519 key. `kid` is the RFC 7638 thumbprint of its public half."""

    def __init__(self, key: OKPKey) -> None:
        self._key = key
        self.kid: str = key.thumbprint()

    def __repr__(self) -> str:
        return f"SealingKey(kid={self.kid!r})"

    @classmethod
    def from_pem(cls, pem: bytes | str) -> "SealingKey":
        """Read an unencrypted PKCS #8 PEM. Raises BadSealingKey if it is not a private Ed25519 key."""
        try:
            key = OKPKey.import_key(pem)
        except (ValueError, TypeError, JoseError) as error:
            raise BadSealingKey("the PEM cannot be read as a private key") from error
        if not isinstance(key, OKPKey) or key.curve_name != ALGORITHM or not key.is_private:
            raise BadSealingKey("a private Ed25519 key is needed")
        return cls(key)

    def to_pem(self) -> bytes:
        """Return the private key as unencrypted PKCS #8 PEM."""
        return self._key.as_pem(private=True)

    def public_jwk(self) -> dict[str, Any]:
        """Return the public half as a JWK (RFC 8037) with kid, use and alg, ready for a JWKS."""
        return {**self._key.as_dict(private=False), "kid": self.kid, "use": "sig", "alg": ALGORITHM}

    def sign(self, payload: Mapping[str, Any]) -> str:
        """Return the compact JWS over the RFC 8785 form of `payload`. Raises NotCanonical if it has none."""
        header = {"alg": ALGORITHM, "kid": self.kid, "typ": TYPE}
        return jws.serialize_compact(header, canonical(dict(payload)), self._key, algorithms=[ALGORITHM])


def public_pem(jwk: Mapping[str, Any]) -> bytes:
    """Return a published key as PEM (SubjectPublicKeyInfo), as `mediation verify --key` takes it."""
    return OKPKey.import_key({name: jwk[name] for name in ("kty", "crv", "x")}).as_pem(private=False)


def generate() -> SealingKey:
    """Make a new key from the system's randomness."""
    return SealingKey(OKPKey.generate_key(ALGORITHM))


def verify(seal: str, jwks: Mapping[str, Any]) -> dict[str, Any]:
    """Check a seal against published keys (`{"keys": [...]}`, retired ones included) and return its payload.

    Raises BadSeal if it is not a compact JWS of ours, its key is not among them, the signature fails, or the payload
    is not in canonical form (a second spelling of one statement could not have come from `SealingKey.sign`).
    """
    try:
        header = jws.extract_compact(seal.encode()).headers()
        if header.get("alg") != ALGORITHM or header.get("typ") != TYPE:
            raise BadSeal("the header is not that of a seal")
        payload = jws.deserialize_compact(seal, _key_of(header.get("kid"), jwks), algorithms=[ALGORITHM]).payload
    except (JoseError, ValueError, TypeError) as error:
        raise BadSeal("it is not a compact JWS, or its signature does not match") from error
    return _canonical_object(payload)


def head_statement(case: str, seq: int, hash: str, at: datetime) -> dict[str, Any]:
    """State that the docket of `case` stood at entry `seq` with this hash (hex) at that instant."""
    return {"v": VERSION, "statement": "head", "case": case, "seq": seq, "hash": hash, "at": instant(at)}


def receipt_statement(
    *,
    case: str,
    exhibit: str,
    label: str,
    sha256: str | None,
    merkle_root: str | None,
    seq: int,
    head: str,
    at: datetime,
) -> dict[str, Any]:
    """State that an exhibit was filed: its id and label, digest and Merkle root (hex), and the docket's head then."""
    return {
        "v": VERSION,
        "statement": "receipt",
        "case": case,
        "exhibit": exhibit,
        "label": label,
        "sha256": sha256,
        "merkle_root": merkle_root,
        "seq": seq,
        "head": head,
        "at": instant(at),
    }


def _key_of(kid: object, jwks: Mapping[str, Any]) -> OKPKey:
    keys = jwks.get("keys")
    for jwk in keys if isinstance(keys, list) else ():
        if isinstance(jwk, Mapping) and isinstance(kid, str) and jwk.get("kid") == kid:
            public = {name: jwk[name] for name in ("kty", "crv", "x") if name in jwk}
            key = OKPKey.import_key(public)
            # A kid is a thumbprint: a key published under another's name is not the key that the seal means.
            if key.curve_name == ALGORITHM and key.thumbprint() == kid:
                return key
    raise BadSeal("the key that signed is not among the published ones")


def _canonical_object(payload: bytes) -> dict[str, Any]:
    try:
        value = json.loads(payload)
        if isinstance(value, dict) and canonical(value) == payload:
            return value
    except (ValueError, RecursionError, NotCanonical) as error:
        raise BadSeal("the payload is not JSON") from error
    raise BadSeal("the payload is not a JSON object in canonical form")
