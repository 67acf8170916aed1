"""`mediation audit`: everything on file compared with what the record says."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from evidence.errors import EvidenceError
from evidence.store import BlobStore, open_store
from mediation import settings
from mediation.auditing.audited import Difference
from mediation.auditing.rounds import Round
from mediation.cli.connected import database_url
from mediation.cli.connected import home as _home
from mediation.db import make_engine, make_sessions
from mediation.settings import BadSetting

#: What a shell answers of a program that was interrupted.
INTERRUPTED = 130


@click.command()
@_home
@click.option("--case", "named", multiple=True, metavar="CASE", help="Only this case, by reference or id. Repeatable.")
@click.option("--quick", is_flag=True, help="Leave out the bytes of exhibits, which take the longest.")
@click.option(
    "--limit-differences",
    "limit",
    type=click.IntRange(0),
    default=1_000,
    show_default=True,
    metavar="N",
    help="Print the first N; all are counted.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, when all is done.")
@click.pass_context
def audit(
    context: click.Context, home: Path | None, named: tuple[str, ...], *, quick: bool, limit: int, as_json: bool
) -> None:
    """Check everything on file: replay each case, verify chains, messages, bytes, seals and money.

    Safe on a live system: it locks nothing and writes nothing, and judges each case by one moment.

    \b
    Exit status: 0 no difference; 1 some, each on a line of its own (CASE what differs (place));
    2 wrongly called; 130 interrupted, with what was checked so far.

    \b
    Examples:
      mediation audit
      mediation audit --quick --case D-7K4Q-9XM2-ABCD
      mediation audit --json > audit.json
    """
    with database_url(home) as url:
        engine = make_engine(url)
        try:
            round_ = Round(make_sessions(engine), None if quick else _store(home), limit)
            ids = sorted({one for name in named for one in _find(round_, name)}) if named else None
            interrupted = _go(round_, ids, quiet=as_json)
        finally:
            engine.dispose()
    _tell(round_, as_json=as_json, interrupted=interrupted)
    context.exit(INTERRUPTED if interrupted else 1 if round_.counts.differences else 0)


def _find(round_: Round, named: str) -> Sequence[uuid.UUID]:
    found = round_.find(named)
    if not found:
        raise click.BadParameter(f"there is no case {named}", param_hint="--case")
    return found


def _store(home: Path | None) -> BlobStore:
    location = settings.load(home=home).blob_location
    try:
        return open_store(location)
    except (OSError, EvidenceError) as error:
        raise BadSetting(f"BLOB_URL: it cannot be used: {error}") from error


def _go(round_: Round, named: Sequence[uuid.UUID] | None, *, quiet: bool) -> bool:
    """Go round, telling each difference as it is found; whether it was interrupted."""
    cases, orders = round_.extent(named)
    told = 0
    try:
        with _progress() as progress:
            for title, total, walk in (
                ("cases", cases, round_.over_cases(named)),
                ("orders", orders, round_.over_orders(named)),
            ):
                task = progress.add_task(title, total=total)
                for _ in walk:
                    if len(round_.kept) > told and not quiet:
                        _tell_of(round_.kept[told:], progress)
                        told = len(round_.kept)
                    done = round_.counts.cases if title == "cases" else round_.counts.orders
                    progress.update(task, completed=done)
    except KeyboardInterrupt:
        for difference in () if quiet else round_.kept[told:]:
            # Of the case that it was at.
            click.echo(str(difference))
        return True
    return False


@contextmanager
def _progress() -> Iterator[Progress]:
    """A bar on stderr where that is a terminal. What goes elsewhere is not to be taken for part of the picture."""
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
        redirect_stdout=False,
    )
    with bar:
        yield bar


def _tell_of(found: Sequence[Difference], progress: Progress) -> None:
    """A line each on stdout, with the bar out of the way: both may be the same terminal."""
    if not progress.disable:
        progress.stop()
    for difference in found:
        click.echo(str(difference))
    if not progress.disable:
        progress.start()


def _tell(round_: Round, *, as_json: bool, interrupted: bool) -> None:
    counts = asdict(round_.counts)
    if as_json:
        found: dict[str, Any] = {
            **counts,
            "interrupted": interrupted,
            "bytes_checked": round_.store is not None,
            "found": [asdict(one) for one in round_.kept],
        }
        click.echo(orjson.dumps(found, option=orjson.OPT_INDENT_2).decode())
        return
    left_out = round_.counts.differences - len(round_.kept)
    if left_out:
        click.echo(f"{left_out:,} more differences; --limit-differences prints them")
    if interrupted:
        click.echo("interrupted; so far:")
    click.echo(", ".join(f"{count:,} {name}" for name, count in counts.items()))
