"""A setting that cannot be used stops the program with its name and the rule, before anything is served."""

from __future__ import annotations

from pathlib import Path

import pytest

from mediation.services import check
from mediation.settings import BadSetting, load

SECRET = "whsec_" + "c2VjcmV0" * 4


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "70000"),
        ("PORT", "x"),
        ("API_THREADS", "0"),
        ("POOL_SIZE", "-1"),
        ("MARKETPLACE", ""),
        ("MEDIATOR_AUTHORITY_MINOR", "-1"),
        ("MEDIATOR_AUTHORITY_MINOR", "0.5"),
        ("GATEWAY", "cash"),
        ("GATEWAY_TIMEOUT_SECONDS", "0"),
        ("REFUND_RETRY_PAUSE_SECONDS", "nan"),
        ("REFUND_GIVE_UP_AFTER_SECONDS", "1e15"),
        ("REFUND_GIVE_UP_AFTER_SECONDS", "inf"),
        ("LOG_FORMAT", "xml"),
        ("DATABASE_URL", "sqlite:///x"),
    ],
)
def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(BadSetting, match=name):
        load()


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_c2hvcnQ=", "whsec_not base64"])
def test_the_http_gateway_needs_a_secret_that_can_sign(monkeypatch: pytest.MonkeyPatch, secret: str) -> None:
    monkeypatch.setenv("GATEWAY", "http")
    monkeypatch.setenv("GATEWAY_URL", "https://pay.example/refunds")
    monkeypatch.setenv("GATEWAY_SECRET", SECRET)
    assert load().gateway == "http"
    monkeypatch.setenv("GATEWAY_SECRET", secret)
    with pytest.raises(BadSetting, match="GATEWAY_SECRET"):
        load()


@pytest.mark.parametrize("name", ["TOKEN_KEY", "SEALING_KEY"])
def test_a_key_that_is_none_is_named(tmp_path: Path, name: str) -> None:
    key = tmp_path / "key.pem"
    key.write_text("-----BEGIN PRIVATE KEY-----\nnonsense\n-----END PRIVATE KEY-----\n")
    with pytest.raises(BadSetting, match=name):
        check(load(home=tmp_path, **{name.lower(): key}))


def test_a_blob_store_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadSetting, match="BLOB_URL"):
        check(load(home=tmp_path, blob_url="ftp://nowhere"))


@pytest.mark.parametrize("odd", ["a#b", "a?b", "a%20b", "字"])
def test_evidence_stays_in_a_home_of_any_name(tmp_path: Path, odd: str) -> None:
    home = tmp_path / odd / "home"
    check(load(home=home))
    assert (home / "blobs").is_dir()
    assert [one.name for one in tmp_path.iterdir()] == [odd]
