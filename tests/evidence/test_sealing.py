import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import OctKey, OKPKey

from evidence.errors import BadSeal, BadSealingKey, NotCanonical
from evidence.sealing import SealingKey, generate, head_statement, receipt_statement, verify

KEY = generate()
JWKS = {"keys": [KEY.public_jwk()]}
AT = datetime(2026, 11, 3, 9, 30, tzinfo=UTC)
PAYLOAD = head_statement("c1", 7, "ab" * 32, AT)


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def signed(payload: bytes, **header: Any) -> str:
    full = {"alg": "Ed25519", "kid": KEY.kid, "typ": "mediation-seal", **header}
    return jws.serialize_compact(full, payload, OKPKey.import_key(KEY.to_pem()), algorithms=[full["alg"]])


def test_a_seal_verifies_and_gives_its_payload_back() -> None:
    assert verify(KEY.sign(PAYLOAD), JWKS) == PAYLOAD


def test_a_seal_is_ed25519_over_header_and_canonical_payload() -> None:
    header, payload, signature = KEY.sign(PAYLOAD).split(".")
    assert json.loads(unb64(header)) == {"alg": "Ed25519", "kid": KEY.kid, "typ": "mediation-seal"}
    assert unb64(payload) == json.dumps(PAYLOAD, sort_keys=True, separators=(",", ":")).encode()
    public = Ed25519PublicKey.from_public_bytes(unb64(KEY.public_jwk()["x"]))
    public.verify(unb64(signature), f"{header}.{payload}".encode())


def test_the_kid_is_the_rfc_7638_thumbprint_of_the_key_of_rfc_8037() -> None:
    secret = unb64("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")
    private = Ed25519PrivateKey.from_private_bytes(secret)
    key = SealingKey.from_pem(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    assert key.kid == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    assert key.public_jwk()["x"] == "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"


def test_a_key_survives_its_pem() -> None:
    again = SealingKey.from_pem(KEY.to_pem())
    assert again.kid == KEY.kid
    assert verify(again.sign(PAYLOAD), JWKS) == PAYLOAD
    assert SealingKey.from_pem(KEY.to_pem().decode()).kid == KEY.kid


def test_what_is_published_or_printed_holds_nothing_private() -> None:
    jwk = KEY.public_jwk()
    assert set(jwk) == {"kty", "crv", "x", "kid", "use", "alg"}
    assert (jwk["kty"], jwk["crv"], jwk["use"], jwk["alg"]) == ("OKP", "Ed25519", "sig", "Ed25519")
    assert repr(KEY) == f"SealingKey(kid='{KEY.kid}')"


def pem_of_another_kind() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def pem_of_the_public_half() -> bytes:
    public = Ed25519PrivateKey.generate().public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"nonsense",
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
        pem_of_another_kind(),
        pem_of_the_public_half(),
        OKPKey.generate_key("X25519").as_pem(private=True),
    ],
)
def test_a_pem_that_is_no_private_ed25519_key_is_refused(pem: bytes) -> None:
    with pytest.raises(BadSealingKey):
        SealingKey.from_pem(pem)


def test_a_retired_key_still_verifies_while_published() -> None:
    retired = generate()
    seal = retired.sign(PAYLOAD)
    assert verify(seal, {"keys": [KEY.public_jwk(), retired.public_jwk()]}) == PAYLOAD
    with pytest.raises(BadSeal, match="not among the published"):
        verify(seal, JWKS)


def test_another_key_under_the_published_name_does_not_verify() -> None:
    other = generate()
    with pytest.raises(BadSeal):
        verify(other.sign(PAYLOAD), {"keys": [{**KEY.public_jwk(), "kid": other.kid}]})
    with pytest.raises(BadSeal):
        verify(KEY.sign(PAYLOAD), {"keys": [{**other.public_jwk(), "kid": KEY.kid}]})


@given(st.data())
def test_a_seal_with_one_altered_character_does_not_verify(data: st.DataObject) -> None:
    seal = KEY.sign(PAYLOAD)
    at = data.draw(st.integers(0, len(seal) - 1))
    character = data.draw(st.sampled_from([c for c in "ABCXYZabcxyz0189-_." if c != seal[at]]))
    altered = seal[:at] + character + seal[at + 1 :]
    try:
        verify(altered, JWKS)
    except BadSeal:
        return
    # The last character of a base64url part carries bits that mean nothing: then the bytes are the same.
    assert [unb64(part) for part in altered.split(".")] == [unb64(part) for part in seal.split(".")]


@settings(max_examples=50)
@given(st.text() | st.from_regex(r"[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*", fullmatch=True))
def test_what_is_no_seal_is_a_bad_seal_and_nothing_else(text: str) -> None:
    with pytest.raises(BadSeal):
        verify(text, JWKS)


@pytest.mark.parametrize(
    "header",
    [
        {"typ": "JWT"},
        {"typ": None},
        {"kid": "unknown"},
        {"kid": None},
    ],
)
def test_a_signature_of_ours_under_another_header_is_no_seal(header: dict[str, Any]) -> None:
    kept = {**{"alg": "Ed25519", "kid": KEY.kid, "typ": "mediation-seal"}, **header}
    kept = {name: value for name, value in kept.items() if value is not None}
    key = OKPKey.import_key(KEY.to_pem())
    with pytest.raises(BadSeal):
        verify(jws.serialize_compact(kept, b"{}", key, algorithms=["Ed25519"]), JWKS)


def test_a_signature_by_the_public_key_taken_as_a_shared_secret_is_no_seal() -> None:
    secret = OctKey.import_key(unb64(KEY.public_jwk()["x"]))
    header = {"alg": "HS256", "kid": KEY.kid, "typ": "mediation-seal"}
    with pytest.raises(BadSeal):
        verify(jws.serialize_compact(header, b"{}", secret), JWKS)


def test_an_unsigned_statement_is_no_seal() -> None:
    header = b64(json.dumps({"alg": "none", "kid": KEY.kid, "typ": "mediation-seal"}).encode())
    with pytest.raises(BadSeal):
        verify(f"{header}.{b64(b'{}')}.", JWKS)


@pytest.mark.parametrize(
    "payload", [b"", b"{", b'{"b":1,"a":2}', b'{"a": 1}', b'{"a":1,"a":1}', b"[]", b"\xff", b'{"a":NaN}']
)
def test_a_payload_in_any_other_spelling_is_no_seal(payload: bytes) -> None:
    with pytest.raises(BadSeal):
        verify(signed(payload), JWKS)


@pytest.mark.parametrize("jwks", [{}, {"keys": None}, {"keys": ["x", {}]}, {"keys": [{"kid": KEY.kid}]}])
def test_key_sets_of_any_shape_are_looked_through(jwks: dict[str, Any]) -> None:
    with pytest.raises(BadSeal):
        verify(KEY.sign(PAYLOAD), jwks)


def test_a_payload_without_canonical_form_is_not_signed() -> None:
    with pytest.raises(NotCanonical):
        KEY.sign({"a": float("nan")})


def test_the_statements_say_what_they_are() -> None:
    assert PAYLOAD == {
        "v": 1,
        "statement": "head",
        "case": "c1",
        "seq": 7,
        "hash": "ab" * 32,
        "at": "2026-11-03T09:30:00.000000Z",
    }
    receipt = receipt_statement(
        case="c1", exhibit="e1", label="B-1", sha256=None, merkle_root="cd" * 32, seq=7, head="ab" * 32, at=AT
    )
    assert receipt == {
        "v": 1,
        "statement": "receipt",
        "case": "c1",
        "exhibit": "e1",
        "label": "B-1",
        "sha256": None,
        "merkle_root": "cd" * 32,
        "seq": 7,
        "head": "ab" * 32,
        "at": "2026-11-03T09:30:00.000000Z",
    }
