"""The table of steps as a picture and as a table, for the docs and for `mediation procedure`."""

from __future__ import annotations

from collections.abc import Iterable

from workflows.states import FINAL_STATES, CaseState
from workflows.steps import STEPS, SUSPENDABLE, Step

#: Between these marks a page holds the diagram and the table.
BEGIN, END = "<!-- procedure -->\n", "<!-- /procedure -->"
#: Drawn as one sentence each instead of an arrow from nearly every state.
EVERYWHERE = ("suspend", "resume", "withdraw")


def mermaid(steps: Iterable[Step] = STEPS) -> str:
    """A Mermaid state diagram: one arrow for each pair of states, with the actions that lead along it."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for step in steps:
        if step.action in EVERYWHERE or step.target is None:
            continue
        for source in step.source:
            actions = arrows.setdefault((source.value, step.target.value), [])
            if step.action not in actions:
                actions.append(step.action)
    order = [state.value for state in CaseState]
    lines = ["stateDiagram-v2", f"    [*] --> {CaseState.OPENED.value}"]
    for (before, after), actions in sorted(
        arrows.items(), key=lambda arrow: (order.index(arrow[0][0]), order.index(arrow[0][1]))
    ):
        lines.append(f"    {before} --> {after}: {', '.join(actions)}")
    lines += [f"    {final.value} --> [*]" for final in CaseState if final in FINAL_STATES]
    return "\n".join(lines)


def table(steps: Iterable[Step] = STEPS) -> str:
    """The steps as a Markdown table, rows that differ in nothing but their conditions together."""
    rows: dict[tuple[str, tuple[str, ...], tuple[str, ...]], list[str]] = {}
    for step in steps:
        key = (step.action, tuple(role.value for role in step.by), tuple(state.value for state in step.source))
        target = "same" if step.target is None else step.target.value
        targets = rows.setdefault(key, [])
        if target not in targets:
            targets.append(target)
    lines = ["| action | by | from | to |", "| --- | --- | --- | --- |"]
    for (action, by, source), targets in rows.items():
        told = (
            "any open state but refund" if source == tuple(state.value for state in SUSPENDABLE) else ", ".join(source)
        )
        reached = "where it was" if action == "resume" else " / ".join(targets)
        if action == "resume" and any(line.startswith("| resume ") for line in lines):
            continue
        lines.append(f"| {action} | {', '.join(by)} | {told} | {reached} |")
    return "\n".join(lines)


def refreshed(page: str) -> str:
    """A Markdown page with the diagram and the table as they are now. Raises ValueError if it lacks the marks."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the marks {BEGIN.strip()} and {END} are missing")
    everywhere = (
        "From every open state but refund a case can be suspended; resume leads back. withdraw leads to closed."
    )
    drawn = f"## Diagram\n\n```mermaid\n{mermaid()}\n```\n\n{everywhere}\n\n## Actions\n\n{table()}\n"
    return f"{before}{BEGIN}\n{drawn}\n{END}{after}"
