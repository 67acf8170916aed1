"""Who is measured against whom in which workload, in turns, each time on a fresh copy of one seeded database."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.progress import Progress

from benchmarks import firing, programs, recording, report, seeding, templates
from benchmarks.contenders import API, BARE, PGBENCH, ROOT, Failed, Measured, Setup, measure, without_pgbench
from benchmarks.workloads import ACTION, WORKLOADS, Workload
from mediation import migrating
from workflows.policies import shipped

FIRE = "fire"
NAMES = (ACTION.name, FIRE, *(name for name in WORKLOADS if name != ACTION.name))
SEED_WORKERS = 2
Recorded = dict[str, templates.Template]


@contextmanager
def seeded(setup: Setup, progress: Progress, *, keep: bool) -> Iterator[str]:
    """The database from which every measurement gets its copy; made anew unless a kept one is made of the same."""
    server, total = setup.server, setup.cases + setup.overdue
    name = f"bench_seed_{_ingredients()}_{setup.cases}_{setup.overdue}"
    task = progress.add_task(f"seeding {total:,} cases", total=total, note="")
    if not server.exists(name):
        draft = f"{name}_draft"
        server.drop(draft)
        server.admin(f"CREATE DATABASE {draft}")
        migrating.upgrade(server.url(draft))
        seeding.load_policies(server.url(draft))
        seeding.seed(
            server.conninfo(draft),
            setup.cases,
            setup.overdue,
            SEED_WORKERS,
            lambda count: progress.advance(task, count),
        )
        for n in (1, setup.cases // 2, setup.cases, total):
            seeding.verify(server.conninfo(draft), n)
        server.admin(f"ALTER DATABASE {draft} RENAME TO {name}")
    progress.update(task, completed=total)
    try:
        yield name
    finally:
        if not keep:
            server.drop(name)


def _ingredients() -> str:
    """What a seeded database is made of, in a few letters: migrations, policies, the seeding itself."""
    files = [*sorted((ROOT / "migrations" / "versions").glob("*.py")), Path(seeding.__file__)]
    made_of = [path.read_bytes() for path in files] + [shipped().encode()]
    return hashlib.sha256(b"\x00".join(made_of)).hexdigest()[:8]


def shown(setup: Setup, name: str, template: str) -> str:
    """What was recorded, as a program: a script of pgbench, or Python where pgbench cannot say it."""
    if name == FIRE:
        source, constants = programs.python(_record_firing(setup, template))
        said = [text for constant, text in constants.items() if constant.startswith("statement_")]
        return "\n\n".join([source, *said])
    workload = WORKLOADS[name]
    return programs.pgbench_script(_record(setup, workload, template).values(), workload.sets, workload.values)


def hold(setup: Setup, name: str, template: str, rounds: int, progress: Progress) -> report.Result:
    """Measure everyone who takes part, as often as there are rounds. Raises Failed on anything that is not right."""
    contest = _fire(setup, template) if name == FIRE else _requests(setup, WORKLOADS[name], template)
    result, contenders = contest.result, contest.contenders
    task = progress.add_task(result.title, total=rounds * len(contenders), note="")
    for number in range(rounds):
        found: dict[str, Measured] = {}
        # Who comes first changes from round to round, so that nobody always has the machine as it was left.
        for contender in contenders[number % len(contenders) :] + contenders[: number % len(contenders)]:
            progress.update(task, description=f"{result.title}: {contender}")
            with setup.server.copy(template) as database:
                found[contender] = contest.measure(contender, database)
            progress.update(task, advance=1, note=f"{contender} {found[contender].rate:.0f}/s")
        result.rounds.append(found)
    progress.update(task, description=result.title, note="")
    return result


@dataclass(frozen=True, slots=True)
class _Contest:
    """An empty result, who takes part, and how one of them is measured on a database."""

    result: report.Result
    contenders: tuple[str, ...]
    measure: Callable[[str, str], Measured]


def _fire(setup: Setup, template: str) -> _Contest:
    made = _record_firing(setup, template)
    return _Contest(
        report.Result("deadlines fired", firing.CLOCK, firing.LOOP, 0.5, (len(made.calls),)),
        (firing.CLOCK, firing.LOOP),
        lambda contender, database: firing.measure(contender, setup, made, database),
    )


def _requests(setup: Setup, workload: Workload, template: str) -> _Contest:
    made = _record(setup, workload, template)
    why_not = without_pgbench(setup, workload, made)
    statements = tuple(len(one.calls) for one in made.values())
    return _Contest(
        report.Result(workload.title, API, BARE, 0.6, statements, without_pgbench=why_not),
        (API, BARE) if why_not else (API, BARE, PGBENCH),
        lambda contender, database: _checked(contender, setup, workload, made, database),
    )


def _checked(contender: str, setup: Setup, workload: Workload, made: Recorded, database: str) -> Measured:
    """Measure, then count what was written. Raises Failed if the docket says otherwise."""

    def entries() -> Any:
        return setup.server.value(database, "SELECT count(*) FROM docket_entries")

    before = entries()
    found = measure(contender, setup, workload, made, database)
    written = entries() - before
    if contender == API and workload is ACTION:
        for n in range(1, 1 + setup.clients):
            seeding.verify(setup.server.conninfo(database), n)
    if written != found.entries:
        raise Failed(f"{contender}: {found.entries} requests succeeded, but {written} entries were written")
    return found


def _record(setup: Setup, workload: Workload, template: str) -> Recorded:
    with setup.server.copy(template) as database:
        samples = recording.record(workload, setup.server.url(database), setup.home)
    return {kind: templates.template(kind, found) for kind, found in samples.items()}


def _record_firing(setup: Setup, template: str) -> templates.Template:
    with setup.server.copy(template) as database:
        samples = recording.record_firings(setup.server.url(database), setup.home)
    return templates.template(FIRE, samples)
