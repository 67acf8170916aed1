"""What commands that look into the database share: where it is, and the services over it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import click

from mediation import settings
from mediation.embedded import running
from mediation.services import Services, build, no_hint

home = click.option(
    "--home",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the embedded PostgreSQL.  [default: $MEDIATION_HOME or ./var]",
)


@contextmanager
def database_url(folder: Path | None) -> Iterator[str]:
    """The URL in DATABASE_URL, or that of the embedded PostgreSQL, which starts for it if it does not run."""
    loaded = settings.load(home=folder)
    if loaded.database_url:
        yield loaded.database_url
    else:
        with running(loaded.home) as server:
            yield server.url()


@contextmanager
def services(folder: Path | None) -> Iterator[Services]:
    """The services over a database that is there and migrated."""
    with database_url(folder) as url:
        house = build(replace(settings.load(home=folder), database_url=url), hint=no_hint)
        try:
            yield house
        finally:
            house.engine.dispose()
