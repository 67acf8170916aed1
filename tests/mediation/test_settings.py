"""A setting that cannot be used stops the program with its name and the rule, before anything is served."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from mediation import create_app, policies
from mediation.db import make_engine, make_sessions
from mediation.services import build, check
from mediation.settings import BadSetting, load
from tests.mediation.conftest import make_services, make_settings, patient_policies
from tests.mediation.story import Story, decision
from workflows.policies import shipped

SECRET = "whsec_" + "c2VjcmV0" * 4


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "70000"),
        ("PORT", "x"),
        ("API_THREADS", "0"),
        ("POOL_SIZE", "-1"),
        ("MARKETPLACE", ""),
        ("SANDBOX", "maybe"),
        ("SANDBOX", "2"),
        ("CLOCK_WORKERS", "0"),
        ("CLOCK_WORKERS", "65"),
        ("CLOCK_WORKERS", "1.5"),
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


def test_a_deployment_is_no_sandbox_unless_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (load().sandbox, load().clock_workers, load().policy_file) == (False, 2, None)
    monkeypatch.setenv("SANDBOX", "1")
    monkeypatch.setenv("CLOCK_WORKERS", "5")
    monkeypatch.setenv("POLICY_FILE", "rules.toml")
    assert (load().sandbox, load().clock_workers, load().policy_file) == (True, 5, Path("rules.toml"))


UNREADABLE_POLICIES = {
    "not there": None,
    "a folder": "",
    "not TOML": "rows = [",
    "nothing in it": "# nothing",
    "not UTF-8": "name = '\ud800'",
    "an unknown limit": shipped().replace("[rows.limits]", "[rows.limits]\npatience = '1h'", 1),
    "a limit of no length": shipped().replace('response = "48h"', 'response = "soon"'),
    "an authority below zero": shipped().replace("CNY = 50000", "CNY = -1", 1),
    "an authority of half a unit": shipped().replace("CNY = 50000", "CNY = 0.5", 1),
}


@pytest.fixture
def engine(database: str) -> Iterator[Engine]:
    made = make_engine(database)
    yield made
    made.dispose()


@pytest.mark.parametrize("what", UNREADABLE_POLICIES)
def test_a_policy_file_that_cannot_be_used_is_named_and_leaves_none_on_file(
    database: str, engine: Engine, tmp_path: Path, what: str
) -> None:
    file, text = tmp_path / "rules.toml", UNREADABLE_POLICIES[what]
    if text:
        file.write_bytes(text.encode(errors="surrogatepass"))
    elif text == "":
        file.mkdir()
    with pytest.raises(BadSetting, match="POLICY_FILE") as refused:
        build(make_settings(database, tmp_path / "home", policy_file=file), engine=engine)
    assert str(file) in str(refused.value)
    with make_sessions(engine).begin() as session:
        assert [one["loaded_by"] for one in policies.versions(session)] == ["tests"]


def test_what_a_role_decides_alone_is_changed_by_editing_the_policy_file_and_nothing_else(
    database: str, tmp_path: Path
) -> None:
    file = tmp_path / "rules.toml"
    assert "CNY = 50000\nother = 50000\n" in patient_policies()
    states: list[str] = []
    for limit in (12_900, 12_899):
        file.write_text(
            patient_policies().replace("CNY = 50000\nother = 50000\n", f"CNY = {limit}\nother = 1\n"), encoding="utf-8"
        )
        settings = make_settings(database, tmp_path / "home", policy_file=file)
        services = make_services(settings)
        story = Story(create_app(settings, services), services)
        states.append(story.do("mediator", story.at("under_review"), "decide", decision())["state"])
        services.engine.dispose()
    assert states == ["decided", "escalated"]


def test_a_policy_file_that_was_loaded_before_is_left_alone(database: str, tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(patient_policies() + "\n# our own\n", encoding="utf-8")
    for _ in range(3):
        services = make_services(make_settings(database, tmp_path / "home", policy_file=file))
        with services.sessions.begin() as session:
            assert [one["loaded_by"] for one in policies.versions(session)] == ["rules.toml", "tests"]
        services.engine.dispose()


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
