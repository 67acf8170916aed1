"""Access tokens: only what our own key has signed, whole and in time, lets anyone in."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import OctKey, OKPKey
from werkzeug.test import TestResponse

from mediation import auth
from mediation.auth import Authenticator, issue_token, token_key
from mediation.errors import Unauthenticated
from mediation.keys import read_or_make
from mediation.sealing import Sealer
from mediation.settings import Settings
from tests.mediation.story import Story

HOUR = 3600


def claims(**more: Any) -> dict[str, Any]:
    """Claims of a mediator that are accepted; each named one set, or left out where it is `...`."""
    now = int(time.time())
    whole = {"iss": "mediation", "sub": "mia", "acts_for": "mia", "role": "mediator", "marketplace": "demo"}
    whole |= {"iat": now, "exp": now + HOUR, **more}
    return {name: value for name, value in whole.items() if value is not ...}


def b64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def signed(key: OKPKey, body: Any, header: dict[str, Any] | None = None) -> str:
    """A compact JWS over anything, signed by any Ed25519 key, under any header."""
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    written = {"alg": "Ed25519", **(header or {})}
    unsigned = f"{b64(json.dumps(written).encode())}.{b64(payload)}"
    signature = jws.serialize_compact({"alg": "Ed25519"}, payload, key, algorithms=["Ed25519"]).rpartition(".")[2]
    if header:
        private: Any = key.private_key
        signature = b64(private.sign(unsigned.encode()))
        return f"{unsigned}.{signature}"
    return jws.serialize_compact({"alg": "Ed25519"}, payload, key, algorithms=["Ed25519"])


def ask(story: Story, authorization: str | None) -> TestResponse:
    return story.client.get("/v1/cases", headers={} if authorization is None else {"Authorization": authorization})


def require_401(response: TestResponse) -> str:
    assert response.status_code == 401, response.get_data(as_text=True)
    found = response.get_json()
    assert found["code"] == "unauthenticated"
    assert response.headers["WWW-Authenticate"] == "Bearer"
    return str(found["detail"])


@pytest.fixture(scope="module")
def key(shared: Story) -> OKPKey:
    return token_key(shared.services.settings)


def test_a_token_of_our_key_lets_in_and_says_who_asks(shared: Story, key: OKPKey) -> None:
    """Every refusal below would mean nothing if this were refused."""
    assert ask(shared, f"Bearer {signed(key, claims())}").status_code == 200
    assert ask(shared, f"bearer   {signed(key, claims())} ").status_code == 200
    assert ask(shared, f"Bearer {signed(key, claims(), {'kid': 'x'})}").status_code == 200


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", "Basic cm9vdDpyb290", "Token x", "x", "Bearer x", "Bearer a.b.c", "Bearer ..",
     "Bearer a.b", "Bearer \xe9.\xff.\xfe", "Bearer " + "." * 1000, "Bearer null", "Bearer {}"],
)  # fmt: skip
def test_what_is_no_token_is_401(shared: Story, authorization: str | None) -> None:
    require_401(ask(shared, authorization))


NOW = int(time.time())
REFUSED: dict[str, dict[str, Any]] = {
    "expired": {"exp": NOW - 1},
    "expired long ago": {"exp": 1},
    "not valid yet": {"nbf": NOW + HOUR},
    "issued in the future": {"iat": NOW + HOUR},
    "another issuer": {"iss": "elsewhere"},
    "no issuer": {"iss": ...},
    "no expiry": {"exp": ...},
    "no subject": {"sub": ...},
    "no role": {"role": ...},
    "no marketplace": {"marketplace": ...},
    "a role that no token has": {"role": "clock"},
    "the gateway": {"role": "gateway"},
    "the system": {"role": "system"},
    "an unknown role": {"role": "king"},
    "a role in capitals": {"role": "MEDIATOR"},
    "a list of roles": {"role": ["mediator"]},
    "two roles": {"role": "mediator,senior"},
    "an object for a role": {"role": {"mediator": True}},
    "null for a role": {"role": None},
    "a number for a subject": {"sub": 5},
    "a list for a subject": {"sub": ["mia"]},
    "an empty subject": {"sub": ""},
    "null for a subject": {"sub": None},
    "a long subject": {"sub": "x" * 129},
    "a number for a party": {"acts_for": 5},
    "an empty party": {"acts_for": "", "role": "seller"},
    "null for a party": {"acts_for": None, "role": "seller"},
    "a list for a marketplace": {"marketplace": ["demo"]},
    "an empty marketplace": {"marketplace": ""},
    "a long marketplace": {"marketplace": "x" * 129},
    "a text for an expiry": {"exp": str(NOW + HOUR)},
    "null for an expiry": {"exp": None},
    "true for an expiry": {"exp": True},
    "an endless expiry": {"exp": float("inf")},
    "no number for an expiry": {"exp": float("nan")},
    "a list for an expiry": {"exp": [NOW + HOUR]},
    "a text for nbf": {"nbf": "soon"},
    "a NUL in the subject": {"sub": "a\x00b"},
    "half a character in the subject": {"sub": "a\ud800b"},
    "a NUL in the marketplace": {"marketplace": "demo\x00"},
    "a line break in the party": {"acts_for": "shop\n17", "role": "seller"},
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_token_with_a_wrong_claim_is_401(shared: Story, key: OKPKey, what: str) -> None:
    """Signed by our own key, so that nothing but the claim speaks against it."""
    require_401(ask(shared, f"Bearer {signed(key, claims(**REFUSED[what]))}"))


@pytest.mark.parametrize("payload", [b"", b"{}", b"[]", b"null", b"5", b"not JSON", b"\xff", b'"x"', b"[" * 5_000])
def test_a_signed_payload_that_is_no_claims_is_401(shared: Story, key: OKPKey, payload: bytes) -> None:
    require_401(ask(shared, f"Bearer {signed(key, payload)}"))


def test_a_tampered_payload_or_signature_is_401(shared: Story, key: OKPKey) -> None:
    header, payload, signature = signed(key, claims(role="buyer")).split(".")
    promoted = b64(json.dumps(claims(role="supervisor")).encode())
    flipped = ("A" if signature[5] != "A" else "B").join([signature[:5], signature[6:]])
    for token in (
        f"{header}.{promoted}.{signature}",
        f"{header}.{payload}.{flipped}",
        f"{header}.{payload}.",
        f"{header}.{payload}",
        f"{header}.{payload}.{signature}.{signature}",
        f"{header}.{payload}.{signature}AAAA",
        f"{header}.{payload}.{b64(bytes(64))}",
        f"{header}.{payload[::-1]}.{signature}",
        f".{payload}.{signature}",
    ):
        require_401(ask(shared, f"Bearer {token}"))


def test_a_role_cannot_be_raised_by_spelling_a_claim_twice(shared: Story, key: OKPKey) -> None:
    """Which of two equal names counts differs from reader to reader; either way the one who signs says both."""
    body = json.dumps(claims(role="buyer"))[:-1] + ', "role": "clock"}'
    require_401(ask(shared, f"Bearer {signed(key, body.encode())}"))


def test_no_signature_at_all_is_401(shared: Story) -> None:
    payload = b64(json.dumps(claims()).encode())
    for alg in ("none", "None", "NONE", "", None):
        header = b64(json.dumps({"alg": alg, "typ": "JWT"}).encode())
        for token in (f"{header}.{payload}.", f"{header}.{payload}.{b64(b'x')}"):
            require_401(ask(shared, f"Bearer {token}"))


def test_a_mac_under_the_public_key_is_401(shared: Story, key: OKPKey) -> None:
    """The old confusion of algorithms: what everyone may know taken for a shared secret."""
    public: list[bytes] = [
        key.as_pem(private=False),
        json.dumps(key.as_dict(private=False)).encode(),
        base64.urlsafe_b64decode(key.as_dict(private=False)["x"] + "="),
    ]
    for secret in public:
        for alg, digest in (("HS256", hashlib.sha256), ("HS512", hashlib.sha512)):
            unsigned = f"{b64(json.dumps({'alg': alg}).encode())}.{b64(json.dumps(claims()).encode())}"
            mac = hmac.new(secret, unsigned.encode(), digest).digest()
            require_401(ask(shared, f"Bearer {unsigned}.{b64(mac)}"))
    octet = OctKey.import_key("x" * 32)
    require_401(ask(shared, "Bearer " + jws.serialize_compact({"alg": "HS256"}, json.dumps(claims()), octet)))


def test_another_key_is_401_even_when_the_header_brings_it_along(shared: Story) -> None:
    stranger = OKPKey.generate_key("Ed25519")
    for header in (
        {},
        {"kid": token_key(shared.services.settings).thumbprint()},
        {"jwk": stranger.as_dict(private=False)},
        {"jku": "http://127.0.0.1:9/keys"},
        {"x5u": "http://127.0.0.1:9/keys"},
        {"crit": ["exp"]},
    ):
        require_401(ask(shared, f"Bearer {signed(stranger, claims(), header)}"))


@pytest.mark.parametrize(
    "header",
    [{"alg": "EdDSA"}, {"alg": "Ed448"}, {"alg": "RS256"}, {"crit": ["x"], "x": 1}, {"b64": False, "crit": ["b64"]}],
)
def test_our_key_under_another_header_is_401(shared: Story, key: OKPKey, header: dict[str, Any]) -> None:
    require_401(ask(shared, f"Bearer {signed(key, claims(), header)}"))


def test_the_sealing_key_is_no_token_key_and_the_other_way_round(shared: Story, key: OKPKey) -> None:
    settings = shared.services.settings
    sealing = OKPKey.import_key(settings.sealing_key_path.read_bytes())
    require_401(ask(shared, f"Bearer {signed(sealing, claims())}"))
    assert settings.sealing_key_path.read_bytes() != settings.token_key_path.read_bytes()
    published = shared.get("buyer", "/keys").get_json()["keys"]
    assert [one["kid"] for one in published] == [sealing.thumbprint()]
    assert key.as_dict(private=False)["x"] not in json.dumps(published)
    assert '"d"' not in json.dumps(published)
    # A signed receipt is a JWS of ours as well, and no token either.
    case = shared.open()
    receipt = shared.post("buyer", f"/cases/{case}/exhibits", {"kind": "chat_log", "timezone": "UTC", "messages": [
        {"sender": {"role": "buyer", "id": "b"}, "text": "x"}]}).get_json()["receipt"]  # fmt: skip
    require_401(ask(shared, f"Bearer {receipt}"))


def test_a_huge_or_deeply_nested_token_is_401(shared: Story, key: OKPKey) -> None:
    for token in (
        "x" * 1_000_000,
        signed(key, claims(), {"x": "y" * 100_000}),
        f"{b64(b'[' * 300)}.e30.AAAA",
        f"{b64(b'[' * 100_000)}.e30.AAAA",
        b64(b'{"a":' * 90) + ".e30.AAAA",
        ".".join(["e30"] * 10_000),
        "A" * 700 + "." + "B" * 700_000 + "." + "C" * 86,
    ):
        require_401(ask(shared, f"Bearer {token}"))


def test_the_refusal_repeats_nothing_of_the_token(shared: Story, key: OKPKey) -> None:
    detail = require_401(ask(shared, f"Bearer {signed(key, claims(sub='Ada Lovelace', role='king'))}"))
    assert "Ada" not in detail and "king" not in detail


# --- what is remembered ------------------------------------------------------------------------------------------


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """The time that tokens are read at, to be set."""
    now = [time.time()]
    monkeypatch.setattr(time, "time", lambda: now[0])
    yield now


def test_a_remembered_token_ends_when_it_expires(shared: Story, clock: list[float]) -> None:
    authenticator = Authenticator(shared.services.settings)
    token = issue_token(shared.services.settings, subject="mia", role="mediator", lifetime=timedelta(seconds=60))
    began = int(clock[0])
    for later in (0, 30, 59):
        clock[0] = began + later
        assert authenticator.actor(f"Bearer {token}").subject == "mia"
    for later in (60, 61, HOUR):
        clock[0] = began + later
        with pytest.raises(Unauthenticated):
            authenticator.actor(f"Bearer {token}")


def test_a_refused_token_is_not_remembered_as_good(shared: Story, clock: list[float]) -> None:
    authenticator = Authenticator(shared.services.settings)
    key = token_key(shared.services.settings)
    early = signed(key, claims(nbf=int(clock[0]) + 60, exp=int(clock[0]) + 120))
    for _ in range(2):
        with pytest.raises(Unauthenticated):
            authenticator.actor(f"Bearer {early}")
    clock[0] += 61
    assert authenticator.actor(f"Bearer {early}").subject == "mia"


def test_the_memory_of_tokens_is_bounded(shared: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "_REMEMBERED", 8)
    authenticator = Authenticator(shared.services.settings)
    for n in range(30):
        token = issue_token(shared.services.settings, subject=f"m{n}", role="mediator")
        assert authenticator.actor(f"Bearer {token}").subject == f"m{n}"
    assert len(authenticator._seen) <= 8


def test_many_threads_are_each_told_their_own_name(shared: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "_REMEMBERED", 4)
    authenticator = Authenticator(shared.services.settings)
    tokens = {f"m{n}": issue_token(shared.services.settings, subject=f"m{n}", role="mediator") for n in range(12)}

    def ask_often(name: str) -> set[str]:
        return {authenticator.actor(f"Bearer {tokens[name]}").subject for _ in range(40)}

    with ThreadPoolExecutor(12) as pool:
        found = dict(zip(tokens, pool.map(ask_often, tokens), strict=True))
    assert found == {name: {name} for name in tokens}


def test_whom_a_token_names_is_read_as_it_is_written(shared: Story) -> None:
    def actor(**named: Any) -> Any:
        return shared.services.authenticator.actor(f"Bearer {issue_token(shared.services.settings, **named)}")

    clerk = actor(subject="clerk-9", role="seller", acts_for="shop-17", marketplace="other")
    assert (clerk.subject, clerk.acts_for, clerk.marketplace) == ("clerk-9", "shop-17", "other")
    plain = actor(subject="shop-17", role="seller")
    assert (plain.subject, plain.acts_for, plain.marketplace) == ("shop-17", "shop-17", "demo")
    staff = actor(subject="mia", role="mediator", acts_for="sam")
    assert (staff.subject, staff.acts_for) == ("mia", "mia")


@pytest.mark.parametrize(
    "named", [{"subject": ""}, {"subject": "x" * 129}, {"subject": "a\x00"}, {"subject": "a\n"}, {"subject": "\ud800"},
              {"subject": "x", "acts_for": "y" * 129}, {"subject": "x", "marketplace": "\t"}]
)  # fmt: skip
def test_no_token_is_issued_for_an_id_that_cannot_be_one(shared: Story, named: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"(?i)must be"):
        issue_token(shared.services.settings, role="seller", **named)


# --- key files ---------------------------------------------------------------------------------------------------


_MAKE = """
import sys
from pathlib import Path
from secrets import token_hex
from mediation.keys import read_or_make
print("ready", flush=True)
sys.stdin.readline()
print(read_or_make(Path(sys.argv[1]), lambda: token_hex(64).encode()).decode(), flush=True)
"""


def test_processes_that_start_together_end_with_one_key(tmp_path: Path) -> None:
    path = tmp_path / "new" / "keys" / "token.pem"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    started = [subprocess.Popen([sys.executable, "-c", _MAKE, str(path)], **pipes) for _ in range(6)]
    for process in started:
        assert process.stdout and process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
    keys = {process.communicate(timeout=30)[0].strip() for process in started}
    assert keys == {path.read_text()}
    assert [one.name for one in path.parent.iterdir()] == ["token.pem"]


def test_threads_that_start_together_end_with_one_key(tmp_path: Path) -> None:
    path, barrier = tmp_path / "keys" / "token.pem", Barrier(16)

    def make(n: int) -> bytes:
        barrier.wait(timeout=30)
        return read_or_make(path, lambda: b"key %d" % n)

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(make, range(16))) == {path.read_bytes()}
    assert [one.name for one in path.parent.iterdir()] == ["token.pem"]


def test_keys_and_their_folder_are_readable_by_their_owner_alone(shared: Story, tmp_path: Path) -> None:
    settings: Settings = replace(shared.services.settings, home=tmp_path / "fresh")
    Authenticator(settings)
    Sealer(settings)
    for path in (settings.token_key_path, settings.sealing_key_path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_key_that_is_there_is_never_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "token.pem"
    path.write_bytes(b"mine")

    def never() -> bytes:
        raise AssertionError("made anew")

    assert read_or_make(path, never) == b"mine"


def test_a_key_that_cannot_be_made_leaves_no_half(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "token.pem"

    def fails() -> bytes:
        raise OSError("no randomness")

    with pytest.raises(OSError, match="no randomness"):
        read_or_make(path, fails)
    assert list(path.parent.iterdir()) == []
