"""`python -m benchmarks`: ours beside a bare process and pgbench, the same statements, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from benchmarks import contests, databases, report
from benchmarks.contenders import Failed, Setup


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option(
    "--only", multiple=True, type=click.Choice(contests.NAMES), help="Measure this alone; may be given twice."
)
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True, help="Measurements of each, in turns.")
@click.option("--seconds", type=click.FloatRange(1), default=10, show_default=True, help="Time of one with requests.")
@click.option(
    "--warm-up", type=click.FloatRange(0), default=2, show_default=True, help="Seconds before its time counts."
)
@click.option("--cases", type=click.IntRange(1_000), default=20_000, show_default=True, help="Cases in the database.")
@click.option(
    "--concurrency", type=click.IntRange(1, 64), default=8, show_default=True, help="Clients, each with a connection."
)
@click.option(
    "--overdue", type=click.IntRange(1_000), default=4_000, show_default=True, help="More cases, with a deadline over."
)
@click.option("--workers", type=click.IntRange(1, 16), default=4, show_default=True, help="Processes that fire them.")
@click.option(
    "--home",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep the embedded PostgreSQL and the seeded cases here, for the next run.  [default: a temporary folder]",
)
@click.option("--markdown", is_flag=True, help="Print the table for docs/performance.md too.")
@click.option("--show", is_flag=True, help="Print what was recorded as programs, and measure nothing.")
def main(
    *,
    only: tuple[str, ...],
    rounds: int,
    seconds: float,
    warm_up: float,
    cases: int,
    concurrency: int,
    overdue: int,
    workers: int,
    home: Path | None,
    markdown: bool,
    show: bool,
) -> None:
    """Measure what the service does, as ratios to the least that could do the same, on one machine in one run.

    \b
    action  one action on a case over HTTP      the API : a bare Flask and psycopg view    goal 0.6
    fire    overdue deadlines, by 4 processes   the clock : a bare psycopg loop            goal 0.5
    open    a case opened over HTTP             the API : a bare Flask and psycopg view    goal 0.6

    What stands beside us says the very statements that are recorded from ours at the start, with fresh values, as
    often as we do and as durably; with requests, pgbench says them too: the floor. All are measured in turns, each
    time on a fresh copy of one seeded database, and every measurement is checked: no request failed, and each wrote
    exactly one entry of the docket; every overdue deadline was fired, and fired once.

    Uses the server of DATABASE_URL (databases named bench_… are made there and removed), else an embedded one.
    The whole takes about 12 minutes; `--rounds 1 --seconds 3 --only action --only fire` gives a first impression in
    one.
    """
    console = Console()
    wanted = [name for name in contests.NAMES if not only or name in only]
    with ExitStack() as stack:
        server, folder = stack.enter_context(databases.server(home))
        progress = stack.enter_context(_progress(console))
        pgbench = databases.pgbench()
        setup = Setup(server, folder, cases, overdue, concurrency, workers, seconds, warm_up, pgbench)
        template = stack.enter_context(contests.seeded(setup, progress, keep=home is not None))
        if show:
            progress.stop()
            click.echo("\n".join(contests.shown(setup, name, template) for name in wanted))
            return
        try:
            results = [contests.hold(setup, name, template, rounds, progress) for name in wanted]
        except Failed as error:
            raise click.ClickException(str(error)) from error
        postgres = server.value(template, "SHOW server_version")
    _print(console, results, postgres, setup, markdown=markdown, rounds=rounds)


def _progress(console: Console) -> Progress:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeElapsedColumn(), TextColumn("{task.fields[note]}"), console=console)


def _print(
    console: Console, results: Sequence[report.Result], postgres: str, setup: Setup, *, markdown: bool, rounds: int
) -> None:
    console.print(report.table(results))
    console.print(report.facts(postgres), highlight=False)
    console.print(
        f"{rounds} rounds; requests: {setup.seconds:g} s each, {setup.clients} clients, {setup.cases:,} cases, the "
        f"load took up to {max(result.busy() for result in results):.0%} of a core, none failed, each wrote one entry; "
        f"deadlines: {setup.overdue:,} overdue, {setup.workers} workers, each fired exactly once.",
        highlight=False,
    )
    for result in results:
        if result.without_pgbench:
            console.print(f"{result.title}: pgbench was not measured: {result.without_pgbench}.")
        verdict = "[green]reached[/]" if result.reached() else "[red]missed[/]"
        console.print(f"{result.title}: the goal of {result.goal:g} of the {result.bare} is {verdict}")
    if markdown:
        click.echo(f"\n{report.markdown(results)}\n\n{report.facts(postgres)}")


if __name__ == "__main__":
    main()
