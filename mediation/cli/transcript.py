"""`mediation transcript`: what an import of a chat log gives, before anything is filed."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from evidence.admission import Admitted, admit
from evidence.errors import NotAdmitted
from evidence.transcripts import imports
from evidence.transcripts.importers import importers
from evidence.transcripts.normal import SenderRole
from evidence.transcripts.pieces import DateOrder, Piece, Stated
from evidence.transcripts.source import Source
from evidence.transcripts.times import zone
from mediation.cli.imported import LISTED, Shown, counted, plain

MAX_FILE = 10 * 1024 * 1024
BIG_FILE = 1024 * 1024
"""Bytes from which on progress is shown, where somebody looks."""
#: Which option states what is asked for.
_OPTIONS = {"timezone": "--timezone Asia/Shanghai", "date_order": "--date-order dmy", "format": "--format NAME"}
#: What is refused for want of a statement about the conversation: those who state it want to know who speaks in it.
_ASKED = frozenset({"timezone", "date_order", "participants"})
_SHOWN = 40


class _Refused(click.ClickException):
    exit_code = 1


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--format",
    "format_",
    type=click.Choice([imports.AUTO, *importers()]),
    metavar="NAME",
    default=imports.AUTO,
    show_default=True,
    help="auto, or " + ", ".join(importers()) + ".",
)
@click.option("--timezone", metavar="ZONE", help="The zone of local times in the file, such as Asia/Shanghai.")
@click.option(
    "--date-order",
    type=click.Choice([str(order) for order in DateOrder]),
    help="Where dates can be read in two ways: day, month or year first.",
)
@click.option("--buyer", multiple=True, metavar="NAME", help="A sender who is the buyer. Can be repeated.")
@click.option("--seller", multiple=True, metavar="NAME", help="A sender who is the seller. Can be repeated.")
@click.option("--staff", multiple=True, metavar="NAME", help="A sender who is staff; so is who is left out.")
@click.option(
    "--gap",
    type=click.FloatRange(0, min_open=True),
    default=24.0,
    show_default=True,
    metavar="HOURS",
    help="Hours of silence that are told.",
)
@click.option("--limit", type=click.IntRange(0), default=_SHOWN, show_default=True, help="Messages to print.")
@click.option("--all", "all_", is_flag=True, help="Print every message, sender and gap.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead, with every message.")
def transcript(  # noqa: PLR0917 - one parameter an option
    file: Path,
    format_: str,
    timezone: str | None,
    date_order: str | None,
    buyer: tuple[str, ...],
    seller: tuple[str, ...],
    staff: tuple[str, ...],
    gap: float,
    limit: int,
    all_: bool,
    as_json: bool,
) -> None:
    """Show what filing FILE as a chat log would give: messages, senders, gaps and problems. Nothing is filed.

    Exit status: 0 if it can be filed like this, 1 if not, 2 for wrong options.

    \b
    Examples:
      mediation transcript chat.txt --timezone Asia/Shanghai
      mediation transcript _chat.zip --timezone Europe/Madrid --date-order dmy --buyer "Ana Ruiz" --seller "Lamp Corner"
      mediation transcript export.json --json > messages.json
    """
    people = _people(buyer, seller, staff)
    stated = Stated(_zone(timezone), DateOrder(date_order) if date_order else None)
    try:
        with file.open("rb") as stream, admit(stream, filename=file.name, max_bytes=MAX_FILE) as admitted:
            found = _read(admitted, format_, stated, people)
    except NotAdmitted as error:
        raise _Refused(_why(error)) from error
    shown = Shown(found, admitted, longest_gap=timedelta(hours=gap))
    if as_json:
        click.echo(shown.json())
    else:
        shown.print(stated.timezone or ZoneInfo("UTC"), limit=None if all_ else limit)


def _people(buyer: Sequence[str], seller: Sequence[str], staff: Sequence[str]) -> dict[str, SenderRole]:
    sides = ((buyer, SenderRole.buyer), (seller, SenderRole.seller), (staff, SenderRole.staff))
    people = {name: role for names, role in sides for name in names}
    if len(people) < len(buyer) + len(seller) + len(staff):
        raise click.UsageError("a sender can be named once only, for one side")
    return people


def _zone(name: str | None) -> ZoneInfo | None:
    try:
        return None if name is None else zone(name)
    except NotAdmitted as error:
        raise click.BadParameter(error.detail, param_hint="--timezone") from error


def _read(admitted: Admitted, format_: str, stated: Stated, people: Mapping[str, SenderRole]) -> imports.Imported:
    """Import it. What is refused for want of a statement is told with the senders that there are."""
    source = Source(
        admitted.file, filename=admitted.filename, media_type=admitted.media_type, encoding=admitted.encoding
    )
    console = Console(stderr=True)
    progress = Progress(
        TextColumn("reading"),
        BarColumn(),
        TextColumn("{task.fields[messages]:,} messages"),
        transient=True,
        console=console,
        disable=not console.is_terminal or admitted.size < BIG_FILE,
    )
    with progress:
        task = progress.add_task("reading", total=None if source.is_archive else admitted.size, messages=0)
        count = itertools.count(1)

        def watch(piece: Piece) -> None:
            if piece.draft is not None and (seen := next(count)) % 1_000 == 0:
                progress.update(task, completed=admitted.file.tell(), messages=seen)

        try:
            return imports.read(source, format=format_, stated=stated, participants=people, watch=watch)
        except NotAdmitted as error:
            if error.field in _ASKED:
                progress.stop()
                _tell_senders(source, format_, stated)
            raise


def _tell_senders(source: Source, format_: str, stated: Stated) -> None:
    """Print who speaks in a file that could be read if more were stated: read in UTC and in whichever order fits."""
    for order in [stated.date_order] if stated.date_order else [None, *DateOrder]:
        supposed = Stated(stated.timezone or ZoneInfo("UTC"), order)
        try:
            senders = imports.read(source, format=format_, stated=supposed, participants={}).senders
        except NotAdmitted:
            # What is wrong is said by the refusal that led here.
            continue
        for name, count in itertools.islice(senders.items(), LISTED):
            click.echo(f"sender      {plain(name, lines=False)}: {counted(count)}", err=True)
        if len(senders) > LISTED:
            click.echo(f"            and {len(senders) - LISTED:,} more", err=True)
        return


def _why(error: NotAdmitted) -> str:
    option = _OPTIONS.get(error.field or "")
    return f"{error.detail} ({error.code})" + (f"; give {option}" if option else "")
