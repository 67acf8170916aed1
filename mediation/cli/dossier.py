"""`mediation dossier`: the sealed case file, made from the command line."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import IO

import click
from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from mediation import dossiers
from mediation.cli.connected import home as _home
from mediation.cli.connected import services
from mediation.models import Case
from mediation.schemas import as_uuid
from workflows.acts import Actor
from workflows.states import PARTIES, Role

_READERS = (Role.MEDIATOR, Role.BUYER, Role.SELLER)


@click.command()
@_home
@click.argument("case", metavar="CASE")
@click.option(
    "--for",
    "role",
    type=click.Choice([str(role) for role in _READERS]),
    default=str(Role.MEDIATOR),
    show_default=True,
    help="Whose copy it is: a party's leaves out what only staff may see.",
)
@click.option(
    "--output",
    "-o",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where it goes.  [default: REFERENCE.dossier.zip here]",
)
def dossier(home: Path | None, case: str, role: str, output: Path | None) -> None:
    """Make the sealed case file of CASE, named by its reference or its id.

    \b
    Examples:
      mediation dossier D-7K4Q-9XM2-ABCD
      mediation dossier D-7K4Q-9XM2-ABCD --for buyer -o buyer.zip
      mediation verify buyer.zip
    """
    with services(home) as house:
        with house.sessions.begin() as session:
            found = _find(session, case)
        reader = _reader(found, Role(role))
        by = Actor(Role.SYSTEM, "command line", "command line", found.marketplace)
        path = output or Path(dossiers.filename(found))
        with dossiers.make(house, found.id, reader, by=by) as made:
            _save(made, path)
    click.echo(f"{path}: the case file of {found.reference} as it stood at entry {found.version} or later, for {role}")


def _find(session: Session, named: str) -> Case:
    identity = as_uuid(named)
    matches = Case.reference == named.upper() if identity is None else Case.id == identity
    query = select(Case).where(matches).options(joinedload(Case.buyer), joinedload(Case.seller))
    found = session.scalars(query).all()
    if not found:
        raise click.BadParameter("there is no such case", param_hint="CASE")
    if len(found) > 1:
        raise click.BadParameter("several marketplaces have this reference; give the case's id", param_hint="CASE")
    return found[0]


def _reader(case: Case, role: Role) -> Actor:
    party = {Role.BUYER: case.buyer_ref, Role.SELLER: case.seller_ref}.get(role, "command line")
    return Actor(role, party if role in PARTIES else "command line", party, case.marketplace)


def _save(made: IO[bytes], path: Path) -> None:
    """Whole or not at all: what stood there before is only replaced by a file that is complete."""
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as draft:
            try:
                shutil.copyfileobj(made, draft)
                draft.flush()
                os.fsync(draft.fileno())
                Path(draft.name).replace(path)
            except BaseException:
                Path(draft.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise click.ClickException(f"{path}: cannot be written: {error.strerror}") from error
