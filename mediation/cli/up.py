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
@click.option("--demo", is_flag=True, help="Put cases on file to play with.")
@click.option(
    "--sandbox",
    is_flag=True,
    help="Let an admin move the time of cases on and make refunds fail; never for real money.  [default: $SANDBOX]",
)
def up(port: int | None, home: Path | None, demo: bool, sandbox: bool) -> None:
    """Run everything until Ctrl-C: database, migrations, API and worker.

    Without DATABASE_URL a PostgreSQL of its own starts in the home, and stops with the rest. A second start finds the
    data again, also after a crash.

    \b
    Examples:
      mediation up --demo --sandbox
      mediation up --port 0 --home /srv/mediation
      DATABASE_URL=postgresql://me@db/mediation mediation up
    """
    # Left out, the environment says whether it is one.
    supervisor.up(settings.load(port=port, home=home, sandbox=sandbox or None), demo=demo)
