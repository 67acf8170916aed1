"""What a run found, as a table for a terminal and for docs/performance.md."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from rich.table import Table

from benchmarks.contenders import API, BARE, PGBENCH, ROOT, Measured
from benchmarks.workloads import Workload

GOAL = 0.6


@dataclass(slots=True)
class Result:
    """The rounds of one workload; `statements` is their number in one request, of each kind.

    `without_pgbench` says why pgbench was left out, if it was.
    """

    workload: Workload
    statements: tuple[int, ...]
    rounds: list[dict[str, Measured]] = field(default_factory=list)
    without_pgbench: str | None = None

    def rates(self, contender: str) -> list[float]:
        """Requests per second in each round."""
        return [found[contender].rate for found in self.rounds if contender in found]

    def ratios(self, one: str, other: str) -> list[float]:
        """How one did beside the other in the same round."""
        return [found[one].rate / found[other].rate for found in self.rounds if one in found and other in found]

    def latency(self, name: str) -> float:
        """The API's latency in milliseconds, `p50` or `p99`, the median of the rounds."""
        seen = [found[API].seen for found in self.rounds if API in found]
        return median(float(getattr(one, name)) for one in seen)

    def busy(self) -> float:
        """The largest share of a core that the load took."""
        return max((found.seen.busy for each in self.rounds for found in each.values() if found.seen), default=0.0)


HEADINGS = (
    "workload",
    "statements",
    "API /s",
    "bare view /s",
    "pgbench /s",
    "API : bare view",
    "API : pgbench",
    "bare view : pgbench",
    "API p50 ms",
    "API p99 ms",
)


def row(result: Result) -> tuple[str, ...]:
    """One workload as texts, in the order of HEADINGS."""
    return (
        result.workload.title,
        " and ".join(str(count) for count in sorted(set(result.statements))),
        *(_rate(result.rates(name)) for name in (API, BARE, PGBENCH)),
        _ratio(result.ratios(API, BARE)),
        _ratio(result.ratios(API, PGBENCH)),
        _ratio(result.ratios(BARE, PGBENCH)),
        f"{result.latency('p50'):.1f}",
        f"{result.latency('p99'):.1f}",
    )


def _rate(found: Sequence[float]) -> str:
    return f"{median(found):.0f}" if found else "not measured"


def _ratio(found: Sequence[float]) -> str:
    return f"{median(found):.2f} ({min(found):.2f}–{max(found):.2f})" if found else "not measured"


def table(results: Sequence[Result]) -> Table:
    """For a terminal: a column to each workload, so that it fits."""
    shown = Table(title="requests per second; ratios within a round: median (least–most)", title_justify="left")
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
    return f"{os.cpu_count()} cores ({_processor()}), PostgreSQL {postgres}, commit {_commit()}"


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
