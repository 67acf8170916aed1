"""How alike two texts are, and where they differ. Counted in code points, in time linear in the texts' length."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

_SKETCH = 128
"""Code points at either end of a text that a quick look compares."""
_NEARLY = 0.999
"""What texts that differ come to at most, however alike they are."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a text: `start` from 0, `length` may be 0, both in code points."""

    start: int
    length: int


Grams = Counter[tuple[str, str]]


def grams(text: str) -> Grams:
    """Count what a text is made of: its characters, and its pairs of neighbours with the ends as such."""
    return Counter(_grams(text))


def _grams(text: str) -> Iterator[tuple[str, str]]:
    before = ""
    for character in text:
        yield character, ""
        yield before, character
        before = character
    # Neither of the others has three characters in one place.
    yield before, "end"


def shared(left: Grams, right: Grams) -> float:
    """Return Dice's coefficient of two counts, from 0 to 1: twice what they share over what they hold.

    Dice, "Measures of the amount of ecologic association between species", Ecology 26 (1945).
    """
    if len(right) < len(left):
        left, right = right, left
    common = sum(min(count, right[gram]) for gram, count in left.items() if gram in right)
    return 2 * common / (left.total() + right.total())


def similarity(left: str, right: str) -> float:
    """Return how alike two texts are, from 0 to 1 in thousandths; 1 for equal texts and for no others."""
    if left == right:
        return 1.0
    return min(_NEARLY, round(shared(grams(left), grams(right)), 3))


def sketched(text: str) -> Grams:
    """Count the grams of a text's ends, for a quick look at texts of any length."""
    return grams(text if len(text) <= 2 * _SKETCH else text[:_SKETCH] + text[-_SKETCH:])


def differing(left: str, right: str) -> tuple[Span, Span]:
    """Return the stretch of each text that lies between what both begin with and what both end with.

    It begins at the first character that differs and ends with the last; of equal texts both are empty at the end.
    """
    shorter = min(len(left), len(right))
    head = _common(left, right, shorter)
    tail = _common(left[::-1], right[::-1], shorter - head)
    return Span(head, len(left) - head - tail), Span(head, len(right) - head - tail)


def _common(left: str, right: str, most: int) -> int:
    for place in range(most):
        if left[place] != right[place]:
            return place
    return most
