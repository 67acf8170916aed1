"""`mediation clock`: what is due, late and failing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import orjson
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from mediation import clock as clocks
from mediation.cli.connected import home as _home
from mediation.cli.connected import services

_NAMES = ("running", "standing_still", "due_within_an_hour", "late", "failing", "set_aside")


@click.group("clock")
def clock() -> None:
    """Look at the deadlines of all cases.

    \b
    Examples:
      mediation clock status
      mediation clock status --json | jq .late
      mediation clock retry
    """


@clock.command()
@_home
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many to list.")
def status(home: Path | None, as_json: bool, limit: int) -> None:
    """Print what is due, late, failing and set aside.

    Ends with status 1 if a deadline fails, was set aside, or is over for more than a minute.
    """
    with services(home) as house, house.sessions.begin() as session:
        found = clocks.status(session, house.clock(), limit=limit)
    if as_json:
        click.echo(orjson.dumps(found, option=orjson.OPT_INDENT_2).decode())
    else:
        _print(found)
    slow = any((one["late_seconds"] or 0) > 60 for one in found["worst"])
    if found["failing"] or found["set_aside"] or slow:
        raise click.exceptions.Exit(1)


def _print(found: dict[str, Any]) -> None:
    for name in _NAMES:
        click.echo(f"{found[name]:>10}  {name.replace('_', ' ')}")
    if not found["worst"]:
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("case", "state", "kind", "fires", "late by", "failures", ""):
        table.add_column(heading, no_wrap=True)
    for one in found["worst"]:
        late = "-" if one["late_seconds"] is None else f"{one['late_seconds']:.0f} s"
        failures = f"{one['attempts']} ({one['failure']})" if one["attempts"] else "-"
        aside = "set aside" if one["set_aside"] else ""
        table.add_row(one["case"], one["state"], one["kind"], one["fires"], late, failures, aside)
    click.echo()
    # As wide as it is: a reference that is cut is of no use to whoever reads it from a file.
    console = Console()
    console.width = max(console.width, Measurement.get(console, console.options.update(max_width=500), table).maximum)
    console.print(table)


@clock.command()
@_home
def retry(home: Path | None) -> None:
    """Try again the deadlines that were set aside, once what made them fail is mended."""
    with services(home) as house:
        click.echo(f"{clocks.retry_set_aside(house)} will be tried again")
