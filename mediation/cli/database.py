"""`mediation db`: the schema of the database, and its files."""

from __future__ import annotations

from pathlib import Path

import click

from mediation import migrating, scrubbing
from mediation.cli.connected import database_url
from mediation.cli.connected import home as _home
from mediation.db import make_engine


@click.group("db")
def database() -> None:
    """Look at the schema of the database, and change it.

    Works on DATABASE_URL, or on the embedded PostgreSQL, which starts for it if it does not run.

    \b
    Examples:
      mediation db current
      DATABASE_URL=postgresql://owner@db/mediation mediation db upgrade
      mediation db scrub
    """


@database.command()
@_home
@click.argument("revision", default="head")
def upgrade(home: Path | None, revision: str) -> None:
    """Bring the schema up to REVISION, by default the newest. Safe to repeat, and from several machines at once."""
    with database_url(home) as url:
        migrating.upgrade(url, revision)
        click.echo(_revision(url))


@database.command()
@_home
def current(home: Path | None) -> None:
    """Print the revision the schema is at, and whether this release needs a newer one."""
    with database_url(home) as url:
        click.echo(_revision(url))


@database.command()
@_home
@click.argument("revision")
@click.confirmation_option(prompt="This drops what the newer schema holds, for good. Go on?")
def downgrade(home: Path | None, revision: str) -> None:
    """Take the schema back to REVISION ("base" for nothing at all). What only the newer schema holds is lost."""
    with database_url(home) as url:
        migrating.downgrade(url, revision)
        click.echo(_revision(url))


@database.command()
@_home
def scrub(home: Path | None) -> None:
    """Take what was erased out of PostgreSQL's own files: dead rows, statistics, the write-ahead log.

    A redaction erases what any reader of the database can get at; this does the same for whoever holds the disk.
    Safe to repeat. Each table with words is locked while it is rewritten, so choose a quiet hour. Exit status 1, and a
    line for each, where something stays. Backups, replicas and archived logs are beyond its reach.
    """
    with database_url(home) as url:
        stays = scrubbing.scrub(url, click.echo)
    for line in stays:
        click.echo(f"stays: {line}", err=True)
    if stays:
        raise SystemExit(1)
    click.echo("what was erased is in none of PostgreSQL's files any more")


def _revision(url: str) -> str:
    engine = make_engine(url, role=None)
    try:
        found = migrating.current(engine)
    finally:
        engine.dispose()
    if found == migrating.HEAD:
        return f"{found} (up to date)"
    return f"{found or 'empty'} (this release needs {migrating.HEAD})"
