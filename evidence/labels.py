"""Exhibit labels: who filed it and the how-manieth of theirs it is, as in B-1, S-2, M-3, P-1."""

import re
from dataclasses import dataclass

from evidence.errors import NotALabel

# Staff of every level file in one series: a case has one bench, whoever sits on it.
LETTERS = {"buyer": "B", "seller": "S", "mediator": "M", "senior": "M", "supervisor": "M", "platform": "P"}

_LABEL = re.compile(r"([BSMP])-([1-9][0-9]{0,5})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Label:
    """`letter`: B, S, M or P; `number`: from 1."""

    letter: str
    number: int

    def __str__(self) -> str:
        return f"{self.letter}-{self.number}"


def label(side: str, n: int) -> str:
    """Return the label of the n-th exhibit (from 1) of a side. Raises NotALabel for an unknown side or n < 1."""
    if side not in LETTERS:
        raise NotALabel(f"nobody of that side files exhibits; known are {', '.join(LETTERS)}")
    if not 1 <= n <= 999_999:
        raise NotALabel("exhibits are numbered from 1 to 999999")
    return str(Label(LETTERS[side], n))


def parse(label: str) -> Label:
    """Read a label. Raises NotALabel for anything that `label` would not have written, to the character."""
    match = _LABEL.fullmatch(label)
    if match is None:
        raise NotALabel("a label is B, S, M or P, a hyphen and a number from 1, as in B-1")
    return Label(match[1], int(match[2]))
