"""`python -m benchmarks`: the API beside a bare view and pgbench, the same statements, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from benchmarks import databases, recording, report, seeding, templates
from benchmarks.contenders import API, BARE, PGBENCH, Failed, Measured, Setup, measure, without_pgbench
from benchmarks.workloads import ACTION, WORKLOADS, Workload
from mediation import migrating

SEED_WORKERS = 2


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("--only", type=click.Choice(list(WORKLOADS)), help="Measure this workload alone.")
@click.option("--seconds", type=click.FloatRange(1), default=10, show_default=True, help="Time of one measurement.")
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True, help="Measurements of each, in turns.")
@click.option("--cases", type=click.IntRange(1_000), default=20_000, show_default=True, help="Cases in the database.")
@click.option(
    "--concurrency", type=click.IntRange(1, 64), default=8, show_default=True, help="Clients, each with a connection."
)
@click.option(
    "--warm-up", type=click.FloatRange(0), default=2, show_default=True, help="Seconds before the time counts."
)
@click.option(
    "--home",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep the embedded PostgreSQL and the seeded cases here, for the next run.  [default: a temporary folder]",
)
@click.option("--markdown", is_flag=True, help="Print the table for docs/performance.md too.")
@click.option("--show", is_flag=True, help="Print the recorded statements as pgbench scripts, and measure nothing.")
def main(
    *,
    only: str | None,
    seconds: float,
    rounds: int,
    cases: int,
    concurrency: int,
    warm_up: float,
    home: Path | None,
    markdown: bool,
    show: bool,
) -> None:
    """Measure "one action on a case" and "open a case" over HTTP, as ratios on one machine in one run.

    Beside the API, as it is served, stand two others that say the very statements of its own requests, recorded at
    the start: a bare Flask and psycopg view under the same granian, pool and durability, and pgbench, the floor.
    They are measured in turns, each time on a fresh copy of a database with --cases cases; every run is checked: no
    request failed, and each wrote exactly one entry of the docket.

    Uses the server of DATABASE_URL (databases named bench_… are made there and removed), else an embedded one.
    The whole takes about 6 minutes; `--rounds 1 --seconds 3 --only action` gives a first impression in half a one.
    """
    console = Console()
    wanted = [WORKLOADS[only]] if only else list(WORKLOADS.values())
    with ExitStack() as stack:
        server, folder = stack.enter_context(databases.server(home))
        progress = stack.enter_context(_progress(console))
        template = _seeded(server, cases, progress, keep=home is not None, stack=stack)
        setup = Setup(server, folder, cases, concurrency, seconds, warm_up, databases.pgbench())
        recorded = {workload.name: _record(setup, workload, template) for workload in wanted}
        if show:
            progress.stop()
            for workload in wanted:
                made = recorded[workload.name].values()
                click.echo(templates.pgbench_script(made, workload.sets, workload.values))
            return
        try:
            results = [
                _workload(setup, workload, recorded[workload.name], template, rounds=rounds, progress=progress)
                for workload in wanted
            ]
        except Failed as error:
            raise click.ClickException(str(error)) from error
        postgres = server.value(template, "SHOW server_version")
    _print(console, results, postgres, setup, markdown=markdown, rounds=rounds)


def _progress(console: Console) -> Progress:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeElapsedColumn(), TextColumn("{task.fields[note]}"), console=console)


def _seeded(server: databases.Server, cases: int, progress: Progress, *, keep: bool, stack: ExitStack) -> str:
    """The database from which every measurement gets its copy; made anew unless a kept one is of this schema."""
    name = f"bench_seed_{migrating.HEAD}_{cases}"
    task = progress.add_task(f"seeding {cases:,} cases", total=cases, note="")
    if not server.exists(name):
        draft = f"{name}_draft"
        server.drop(draft)
        server.admin(f"CREATE DATABASE {draft}")
        migrating.upgrade(server.url(draft))
        seeding.seed(server.conninfo(draft), cases, SEED_WORKERS, lambda count: progress.advance(task, count))
        for n in (1, cases // 2, cases):
            seeding.verify(server.conninfo(draft), n)
        server.admin(f"ALTER DATABASE {draft} RENAME TO {name}")
    if not keep:
        stack.callback(server.drop, name)
    progress.update(task, completed=cases)
    return name


def _record(setup: Setup, workload: Workload, template: str) -> dict[str, templates.Template]:
    with setup.server.copy(template) as database:
        samples = recording.record(workload, setup.server.url(database), setup.home)
    return {kind: templates.template(kind, found) for kind, found in samples.items()}


def _workload(
    setup: Setup,
    workload: Workload,
    made: dict[str, templates.Template],
    template: str,
    *,
    rounds: int,
    progress: Progress,
) -> report.Result:
    why_not = without_pgbench(setup, workload, made)
    contenders = (API, BARE) if why_not else (API, BARE, PGBENCH)
    result = report.Result(workload, tuple(len(one.calls) for one in made.values()), without_pgbench=why_not)
    task = progress.add_task(workload.title, total=rounds * len(contenders), note="")
    for number in range(rounds):
        found: dict[str, Measured] = {}
        # Who comes first changes from round to round, so that nobody always has the machine as it was left.
        for contender in contenders[number % len(contenders) :] + contenders[: number % len(contenders)]:
            progress.update(task, description=f"{workload.title}: {contender}")
            found[contender] = _checked(contender, setup, workload, made, template)
            progress.update(task, advance=1, note=f"{contender} {found[contender].rate:.0f}/s")
        result.rounds.append(found)
    progress.update(task, description=workload.title, note="")
    return result


def _checked(
    contender: str, setup: Setup, workload: Workload, made: dict[str, templates.Template], template: str
) -> Measured:
    """Measure on a fresh copy, then count what was written. Raises Failed if the docket says otherwise."""
    count = "SELECT count(*) FROM docket_entries"
    with setup.server.copy(template) as database:
        before = setup.server.value(database, count)
        found = measure(contender, setup, workload, made, database)
        written = setup.server.value(database, count) - before
        if contender == API and workload is ACTION:
            for n in range(1, 1 + setup.clients):
                seeding.verify(setup.server.conninfo(database), n)
    if written != found.entries:
        raise Failed(f"{contender}: {found.entries} requests succeeded, but {written} entries were written")
    return found


def _print(
    console: Console, results: Sequence[report.Result], postgres: str, setup: Setup, *, markdown: bool, rounds: int
) -> None:
    console.print(report.table(results))
    console.print(report.facts(postgres), highlight=False)
    console.print(
        f"{rounds} rounds of {setup.seconds:g} s, {setup.clients} clients, {setup.cases:,} cases; the load took up to "
        f"{max(result.busy() for result in results):.0%} of a core; no request failed, and each wrote one entry.",
        highlight=False,
    )
    for result in results:
        if result.without_pgbench:
            console.print(f"{result.workload.title}: pgbench was not measured: {result.without_pgbench}.")
        ratios = result.ratios(API, BARE)
        reached = sorted(ratios)[len(ratios) // 2] >= report.GOAL
        verdict = "[green]reached[/]" if reached else "[red]missed[/]"
        console.print(f"{result.workload.title}: the goal of {report.GOAL} of the bare view is {verdict}")
    if markdown:
        click.echo(f"\n{report.markdown(results)}\n\n{report.facts(postgres)}")


if __name__ == "__main__":
    main()
