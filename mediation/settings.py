"""Everything the environment may say, read here and nowhere else.

A setting that is wrong stops the program with its name and the rule; nothing is guessed.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from environs import Env, EnvError, validate


class BadSetting(Exception):
    """A setting in the environment cannot be used."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The deployment's settings; see docs/operations.md for each variable.

    Times are `timedelta`, money is in minor units, sizes in bytes.
    """

    home: Path
    database_url: str | None = field(repr=False)
    host: str = "127.0.0.1"
    port: int = 8080
    processes: int = 1
    threads: int = 8
    pool_size: int = 10
    marketplace: str = "demo"
    blob_url: str | None = None
    token_key: Path | None = None
    sealing_key: Path | None = None
    sealing_key_pem: str | None = field(default=None, repr=False)
    policy_file: Path | None = None
    sandbox: bool = False
    clock_workers: int = 2
    gateway: str = "ledger"
    gateway_url: str | None = None
    gateway_secret: str | None = field(default=None, repr=False)
    gateway_timeout: timedelta = timedelta(seconds=10)
    refund_retry_pause: timedelta = timedelta(seconds=5)
    refund_give_up_after: timedelta | None = None
    log_level: str = "info"
    log_format: str = "auto"

    @property
    def token_key_path(self) -> Path:
        """Where the private key that signs access tokens lies (Ed25519, PEM)."""
        return self.token_key or self.home / "keys" / "token.pem"

    @property
    def sealing_key_path(self) -> Path:
        """Where the private key that signs heads and receipts lies (Ed25519, PEM), unless it is `sealing_key_pem`
        itself; never the token key."""
        return self.sealing_key or self.home / "keys" / "sealing.pem"

    @property
    def blob_location(self) -> str:
        """The URL of the blob store: a folder of the home unless one is set."""
        return self.blob_url or (self.home.absolute() / "blobs").as_uri()


def load(**overrides: object) -> Settings:
    """Read the settings from the environment, each override (not None) winning over its variable.

    Raises BadSetting naming the variable and the rule it breaks.
    """
    env = Env()
    try:
        values: dict[str, object] = {
            "home": Path(env.str("MEDIATION_HOME", "var")),
            "database_url": env.str("DATABASE_URL", None),
            "host": env.str("HOST", "127.0.0.1"),
            "port": env.int("PORT", 8080, validate=validate.Range(0, 65_535)),
            "processes": env.int("API_PROCESSES", 1, validate=validate.Range(1, 64)),
            "threads": env.int("API_THREADS", 8, validate=validate.Range(1, 256)),
            "pool_size": env.int("POOL_SIZE", 10, validate=validate.Range(1, 500)),
            "marketplace": env.str("MARKETPLACE", "demo", validate=validate.Length(min=1, max=64)),
            "blob_url": env.str("BLOB_URL", None),
            "token_key": env.path("TOKEN_KEY", None),
            "sealing_key": env.path("SEALING_KEY", None),
            # Where an environment holds no line ends they are written \n, which no PEM has in it otherwise.
            "sealing_key_pem": env.str("SEALING_KEY_PEM", "").replace("\\n", "\n") or None,
            "policy_file": env.path("POLICY_FILE", None),
            "sandbox": env.bool("SANDBOX", False),
            "clock_workers": env.int("CLOCK_WORKERS", 2, validate=validate.Range(1, 64)),
            "gateway": env.str("GATEWAY", "ledger", validate=validate.OneOf(["ledger", "http"])),
            "gateway_url": env.str("GATEWAY_URL", None),
            "gateway_secret": env.str("GATEWAY_SECRET", None),
            "gateway_timeout": _seconds(env, "GATEWAY_TIMEOUT_SECONDS", 10.0),
            "refund_retry_pause": _seconds(env, "REFUND_RETRY_PAUSE_SECONDS", 5.0),
            "refund_give_up_after": _seconds(env, "REFUND_GIVE_UP_AFTER_SECONDS", None),
            "log_level": env.str("LOG_LEVEL", "info", validate=validate.OneOf(["debug", "info", "warning", "error"])),
            "log_format": env.str("LOG_FORMAT", "auto", validate=validate.OneOf(["auto", "json", "text"])),
        }
    except EnvError as error:
        raise BadSetting(str(error)) from error
    values.update({name: value for name, value in overrides.items() if value is not None})
    settings = Settings(**values)  # type: ignore[arg-type]
    _check(settings)
    return settings


def _check(settings: Settings) -> None:
    if settings.sealing_key is not None and settings.sealing_key_pem is not None:
        raise BadSetting("SEALING_KEY, SEALING_KEY_PEM: set one of them; a file and the key itself may not agree")
    url = settings.database_url
    if url is not None and not url.startswith(("postgresql://", "postgres://", "postgresql+psycopg://")):
        raise BadSetting("DATABASE_URL: must be a postgresql:// URL; PostgreSQL is the only database")
    if settings.gateway == "http":
        if not settings.gateway_url or not settings.gateway_url.startswith(("http://", "https://")):
            raise BadSetting("GATEWAY_URL: must be an http(s) URL when GATEWAY=http")
        _check_secret(settings.gateway_secret)


def _seconds(env: Env, name: str, default: float | None) -> timedelta | None:
    bounds = validate.Range(0, 10**9, min_inclusive=False)
    seconds = env.float(name, default, validate=bounds)
    return None if seconds is None else timedelta(seconds=seconds)


def _check_secret(secret: str | None) -> None:
    """Standard Webhooks asks for 24 to 64 random bytes, in base64 after `whsec_`."""
    rule = "GATEWAY_SECRET: must be whsec_ and 24 to 64 bytes in base64 (Standard Webhooks) when GATEWAY=http"
    try:
        key = base64.b64decode((secret or "").removeprefix("whsec_"), validate=True)
    except ValueError as error:
        raise BadSetting(rule) from error
    if not 24 <= len(key) <= 64:
        raise BadSetting(rule)
