"""What a run found, as a table for a terminal and for docs/performance.md."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from rich.table import Table

from benchmarks.contenders import PGBENCH, ROOT, Measured


@dataclass(slots=True)
class Result:
    """The rounds of one workload: `ours` is what is measured, `bare` what it is held against, by the ratio `goal`.

    `statements` is their number in one request, of each kind. `without_pgbench` says why pgbench was left out.
    """

    title: str
    ours: str
    bare: str
    goal: float
    statements: tuple[int, ...]
    rounds: list[dict[str, Measured]] = field(default_factory=list)
    without_pgbench: str | None = None

    def rates(self, contender: str) -> list[float]:
        """Requests or firings per second in each round."""
        return [found[contender].rate for found in self.rounds if contender in found]

    def ratios(self, one: str, other: str) -> list[float]:
        """How one did beside the other in the same round."""
        return [found[one].rate / found[other].rate for found in self.rounds if one in found and other in found]

    def latency(self, name: str) -> float | None:
        """Our latency in milliseconds, `p50` or `p99`, the median of the rounds; None where nobody waits."""
        seen = [found[self.ours].seen for found in self.rounds]
        return median(float(getattr(one, name)) for one in seen) if all(seen) else None

    def busy(self) -> float:
        """The largest share of a core that the load took."""
        return max((found.seen.busy for each in self.rounds for found in each.values() if found.seen), default=0.0)

    def reached(self) -> bool:
        """Whether the median of the ratios is at least the goal."""
        return median(self.ratios(self.ours, self.bare)) >= self.goal


HEADINGS = (
    "workload",
    "ours, bare",
    "statements",
    "ours /s",
    "bare /s",
    "pgbench /s",
    "ours : bare",
    "goal",
    "ours : pgbench",
    "bare : pgbench",
    "p50 ms",
    "p99 ms",
)


def row(result: Result) -> tuple[str, ...]:
    """One workload as texts, in the order of HEADINGS."""
    ours, bare = result.ours, result.bare
    return (
        result.title,
        f"{ours}, {bare}",
        " and ".join(str(count) for count in sorted(set(result.statements))),
        *(_rate(result.rates(name)) for name in (ours, bare, PGBENCH)),
        _ratio(result.ratios(ours, bare)),
        f"{result.goal:g}",
        _ratio(result.ratios(ours, PGBENCH)),
        _ratio(result.ratios(bare, PGBENCH)),
        _milliseconds(result.latency("p50")),
        _milliseconds(result.latency("p99")),
    )


def _rate(found: Sequence[float]) -> str:
    return f"{median(found):.0f}" if found else "–"


def _ratio(found: Sequence[float]) -> str:
    return f"{median(found):.2f} ({min(found):.2f}–{max(found):.2f})" if found else "–"


def _milliseconds(found: float | None) -> str:
    return "–" if found is None else f"{found:.1f}"


def table(results: Sequence[Result]) -> Table:
    """For a terminal: a column to each workload, so that it fits."""
    shown = Table(title="per second; ratios within a round: median (least–most)", title_justify="left")
    shown.add_column("")
    rows = [row(result) for result in results]
    for found in rows:
        shown.add_column(found[0], justify="right")
    for number, heading in enumerate(HEADINGS[1:], 1):
        shown.add_row(heading, *(found[number] for found in rows))
    return shown


def markdown(results: Sequence[Result]) -> str:
    """For the documentation."""
    lines = [f"| {' | '.join(HEADINGS)} |", "|" + " --- |" * len(HEADINGS)]
    lines += [f"| {' | '.join(row(result))} |" for result in results]
    return "\n".join(lines)


def facts(postgres: str) -> str:
    """The machine, the server and the commit."""
    load = os.getloadavg()[2]
    return (
        f"{os.cpu_count()} cores ({_processor()}), load {load:.1f} in the last 15 minutes, PostgreSQL {postgres}, "
        f"commit {_commit()}"
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return "unknown"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def _commit() -> str:
    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()

    commit = git("rev-parse", "--short", "HEAD") or "unknown"
    changed = git("status", "--porcelain", "--", "mediation", "workflows", "evidence", "migrations")
    return f"{commit} with changes" if changed else commit
