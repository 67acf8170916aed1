"""`mediation keys`: the sealing key, and those before it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from sqlalchemy import Engine

from evidence.errors import EvidenceError
from evidence.sealing import SealingKey, public_pem
from mediation import keys as files
from mediation import sealing, settings
from mediation.cli.connected import database_url
from mediation.cli.connected import home as _home
from mediation.db import make_engine
from mediation.services import real_time
from mediation.settings import BadSetting, Settings


@click.group("keys")
def keys() -> None:
    """Look at the sealing keys, and put a new one in place of the one in use.

    The sealing key signs receipts, docket heads and sealed case files. The public halves are published at /v1/keys for
    ever, so that what an old key signed can still be verified.

    \b
    Examples:
      mediation keys list
      mediation keys public > sealing-key.pem
      mediation keys rotate
    """


@keys.command("list")
@_home
def list_(home: Path | None) -> None:
    """Print every sealing key on file, the oldest first; * marks the one in use here."""
    here = _kid_here(settings.load(home=home))
    with _engine(home) as engine, engine.connect() as connection:
        found = sealing.on_file(connection)
    for one in found:
        mark = "*" if one.kid == here else " "
        retired = "" if one.retired_at is None else f"  retired {one.retired_at:%Y-%m-%d %H:%M:%S}Z"
        click.echo(f"{mark} {one.kid}  created {one.created_at:%Y-%m-%d %H:%M:%S}Z{retired}")


@keys.command()
@_home
@click.argument("kid", required=False)
def public(home: Path | None, kid: str | None) -> None:
    """Print the public half of a key as PEM: of KID, or of the one in use here.

    For whoever verifies: mediation verify FILE --key FILE.
    """
    wanted = kid or _kid_here(settings.load(home=home))
    with _engine(home) as engine, engine.connect() as connection:
        found = [one for one in sealing.on_file(connection) if one.kid == wanted]
    if not found:
        raise click.BadParameter("there is no such key on file", param_hint="KID")
    click.echo(public_pem(found[0].jwk).decode(), nl=False)


@keys.command()
@_home
def rotate(home: Path | None) -> None:
    """Make a new sealing key, publish it, and retire the one in use.

    Processes that share the key's file sign with the new key from their next signature on, without a restart. Where
    other machines have a file of their own, copy the new one there. The old private key is deleted; a copy of it in a
    backup is yours to delete.
    """
    loaded = settings.load(home=home)
    if loaded.sealing_key_pem is not None:
        raise BadSetting(
            "SEALING_KEY_PEM: a key in the environment cannot be replaced from here; set another one there"
        )
    path = loaded.sealing_key_path
    if files.state(path) is None:
        raise BadSetting(f"SEALING_KEY: there is no key at {path}; `mediation up` makes it, --home names the folder")
    with _engine(home) as engine:
        try:
            done = sealing.replace(engine, path, real_time)
        except sealing.BeingReplaced as error:
            raise click.ClickException("Somebody else is rotating the key just now; nothing was changed.") from error
        except (OSError, EvidenceError) as error:
            raise BadSetting(f"SEALING_KEY: {path} cannot be replaced: {error}") from error
    click.echo(f"{done.kid} signs from now on; {done.before} is retired and stays published")


def _kid_here(loaded: Settings) -> str | None:
    """The thumbprint of the key that this installation signs with. None if it has none that can be read."""
    try:
        pem = loaded.sealing_key_pem or loaded.sealing_key_path.read_bytes()
        return SealingKey.from_pem(pem).kid
    except FileNotFoundError:
        return None
    except (OSError, EvidenceError) as error:
        click.echo(f"The key in use here cannot be read: {error}", err=True)
        return None


@contextmanager
def _engine(home: Path | None) -> Iterator[Engine]:
    with database_url(home) as url:
        engine = make_engine(url, pool_size=1)
        try:
            yield engine
        finally:
            engine.dispose()
