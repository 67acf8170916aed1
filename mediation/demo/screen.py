"""How the story is told: colours and a progress bar on a terminal, plain lines in a pipe or under NO_COLOR."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.text import Text

COLOURS = {
    "platform": "magenta",
    "buyer": "cyan",
    "seller": "yellow",
    "mediator": "green",
    "senior": "blue",
    "other senior": "blue",
    "worker": "magenta",
    "clock": "magenta",
    "time": "red",
}
INDENT = 4


class Screen:
    """Writes to standard output. What comes from outside is shown as text: no markup, no control characters."""

    def __init__(self) -> None:
        # A terminal that cannot write a character shows a substitute instead of ending the story.
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")
        console = Console(highlight=False)
        self._alive = console.is_terminal and not console.no_color and not console.is_dumb_terminal
        self._console = console if self._alive else Console(highlight=False, color_system=None)
        self._progress: Progress | None = None

    @contextmanager
    def telling(self, headline: str, steps: int) -> Iterator[None]:
        """The whole story, under its headline."""
        self._print(Text(plain(headline), style="bold"))
        columns = (SpinnerColumn(), BarColumn(bar_width=24), MofNCompleteColumn(), TextColumn("{task.description}"))
        with Progress(*columns, console=self._console, transient=True, disable=not self._alive) as progress:
            self._progress = progress
            self._task = progress.add_task("", total=steps)
            yield
        self._progress = None

    def begin(self, n: int, who: str, does: str) -> None:
        """A step begins."""
        self._print()
        self._print(Text.assemble((f"{n:>2}. ", "dim"), (who, f"bold {COLOURS.get(who, '')}"), f" {plain(does)}"))
        self.doing(f"{who} {does}")

    def said(self, text: str) -> None:
        """Somebody's words."""
        self._line("» ", text, "italic")

    def came_back(self, text: str) -> None:
        """What the API answered."""
        self._line("→ ", text, "")

    def checked(self, text: str) -> None:
        """What was recomputed here and holds."""
        self._line("✓ ", text, "green")

    def failed(self, text: str) -> None:
        """Why the step came to nothing."""
        self._line("✗ ", text, "bold red")

    def done(self) -> None:
        """The step that was begun has ended."""
        if self._progress is not None:
            self._progress.advance(self._task)

    def doing(self, text: str) -> None:
        """What is under way; seen on a terminal only."""
        if self._progress is not None:
            self._progress.update(self._task, description=plain(text), refresh=True)

    def closing(self, *lines: str) -> None:
        """The last words."""
        self._print()
        for n, line in enumerate(lines):
            self._print(Text(plain(line), style="" if n else "bold green"))

    def _line(self, mark: str, text: str, style: str) -> None:
        line = Text(f"{mark}{plain(text)}", style=style)
        if self._alive:
            self._console.print(Padding(line, (0, 0, 0, INDENT)))
        else:
            self._print(Text(" " * INDENT) + line)

    def _print(self, text: Text | str = "") -> None:
        # A pipe has no width at which a line had to end.
        self._console.print(text, soft_wrap=True)


def plain(text: str) -> str:
    """The text on one line, with nothing in it that a terminal would act upon."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in " ".join(text.split()))
