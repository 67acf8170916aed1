"""`mediation up`."""

from __future__ import annotations

from pathlib import Path

import click

from mediation import settings, supervisor


@click.command()
@click.option(
    "--port", type=click.IntRange(0, 65_535), help="Port of the API; 0 finds a free one.  [default: $PORT or 8080]"
)
@click.option(
    "--home",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the data, keys and files.  [default: $MEDIATION_HOME or ./var]",
)
@click.option("--demo", is_flag=True, help="Put a case on file to play with.")
def up(port: int | None, home: Path | None, demo: bool) -> None:
    """Run everything until Ctrl-C: database, migrations, API and worker.

    Without DATABASE_URL a PostgreSQL of its own starts in the home, and stops with the rest. A second start finds the
    data again, also after a crash.

    \b
    Examples:
      mediation up --demo
      mediation up --port 0 --home /srv/mediation
      DATABASE_URL=postgresql://me@db/mediation mediation up
    """
    supervisor.up(settings.load(port=port, home=home), demo=demo)
