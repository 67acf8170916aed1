"""`mediation policies`: limits and what silence does, in versions."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress
from sqlalchemy import select

from mediation import docket
from mediation import policies as book
from mediation.cli.connected import home as _home
from mediation.cli.connected import services
from mediation.models import Deadline
from mediation.services import Services
from workflows import policies as reading

_file = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))


class _NotReadable(click.ClickException):
    exit_code = 2


@click.group("policies")
def policies() -> None:
    """Read, check and load the policies: time limits, what silence does, caps and authorities.

    \b
    Examples:
      mediation policies shipped > policies.toml
      mediation policies check policies.toml
      mediation policies load policies.toml
      mediation policies load policies.toml --from 2027-01-01T00:00:00Z
      mediation policies recount
    """


@policies.command()
def shipped() -> None:
    """Print the policies that are shipped: a file to start from."""
    click.echo(reading.shipped(), nl=False)


@policies.command()
@_file
def check(file: Path) -> None:
    """Say whether FILE can be loaded, and if not, everything that is wrong with it."""
    read = _read(file)
    click.echo(f"{read.name}: {len(read.rows)} rows, {len(read.categories)} categories")


@policies.command("list")
@_home
def list_(home: Path | None) -> None:
    """Print every version on file, the newest first."""
    with services(home) as house, house.sessions.begin() as session:
        current = book.in_force(session, house.clock())[0]
        for one in book.versions(session):
            mark = "*" if one["version"] == current else " "
            click.echo(f"{mark} {one['version']:>4}  from {one['effective_from']:%Y-%m-%d %H:%M}Z  {one['name']}")


@policies.command()
@_home
@_file
@click.option(
    "--from", "begins", metavar="TIME", help="When it comes into force, like 2027-01-01T00:00:00Z.  [default: now]"
)
@click.option("--recount", is_flag=True, help="Count the clocks that run anew; without it they are left alone.")
def load(home: Path | None, file: Path, begins: str | None, recount: bool) -> None:
    """Put FILE on file as a new version. Clocks that run keep their dates unless --recount is given."""
    text = _text(file)
    with services(home) as house:
        now = house.clock()
        effective = _moment(begins) if begins else now
        if effective < now:
            raise click.BadParameter("must not lie in the past", param_hint="--from")
        if recount and effective > now:
            raise click.UsageError(
                "--recount wants a version in force at once; later, `mediation policies recount` does the same"
            )
        try:
            with house.sessions.begin() as session:
                version = book.load(session, text, effective_from=effective, now=house.real(), by="command line")
        except reading.PoliciesNotReadable as error:
            raise _refused(file, error) from error
        click.echo(f"version {version}, in force from {effective:%Y-%m-%d %H:%M:%S}Z")
        if recount:
            _recount(house)


@policies.command()
@_home
def recount(home: Path | None) -> None:
    """Count every clock that runs anew by the version in force; each change is entered in its case's docket."""
    with services(home) as house:
        _recount(house)


def _recount(house: Services) -> None:
    query = select(Deadline.case_id).where(Deadline.done_at.is_(None), Deadline.policy_row.is_not(None)).distinct()
    with house.sessions.begin() as session:
        found = session.scalars(query.order_by(Deadline.case_id)).all()
    changed = 0
    with Progress(transient=True, console=Console(stderr=True)) as progress:
        for case_id in progress.track(found, description="counting anew"):
            # A case a transaction: nobody's act waits for the others.
            with house.sessions.begin() as session:
                case = docket.lock_for_system(session, case_id)
                changed += docket.recount_deadlines(session, case, docket.SYSTEM, house.clock()) is not None
    click.echo(f"{changed} of {len(found)} cases have other dates now")


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise click.BadParameter("must be a time like 2027-01-01T00:00:00Z", param_hint="--from") from error
    if moment.tzinfo is None:
        raise click.BadParameter("must say its offset from UTC, like Z or +08:00", param_hint="--from")
    return moment.astimezone(UTC)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _NotReadable(f"{file} cannot be read as UTF-8: {error}") from error


def _read(file: Path) -> reading.Policies:
    try:
        return reading.read(_text(file))
    except reading.PoliciesNotReadable as error:
        raise _refused(file, error) from error


def _refused(file: Path, error: reading.PoliciesNotReadable) -> _NotReadable:
    lines = [f"  {place}: {' '.join(rules)}" for place, rules in error.errors.items()]
    return _NotReadable("\n".join([f"{file} cannot be loaded:", *lines]))
