"""Long times in which a copy of a conversation has no messages."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise

from evidence.transcripts.copies import NEAR, Copy, Pair
from evidence.transcripts.differences import Difference, DifferenceKind, Silent

Timed = Sequence[tuple[int, int]]
"""The messages of a copy that have a time, as (time, place), in the order of time."""


@dataclass(frozen=True, slots=True)
class _Silence:
    """A time without messages, in microseconds, and the places of the messages around it."""

    begins: int
    ends: int
    before: int
    after: int


def silences(both: Pair, gap: timedelta) -> Iterator[tuple[bool, int, Difference]]:
    """Yield each gap, with whether it is the left copy's or both's, and with the place of the message that ends it.

    Where one copy has messages while the other has none for `gap` or longer, it is that other one's; where neither
    has, it is told once. What lies before the first and after the last message of a copy is none.
    """
    lefts, rights = _timed(both.left), _timed(both.right)
    of_right = list(_silences(rights, gap))
    for one in _silences(lefts, gap):
        inside = _inside(rights, one)
        if inside:
            yield True, one.after, _gap(both, Silent.left, gap_of=one, left=(one.before, one.after), right=inside)
        elif (other := _same(of_right, one)) is not None:
            around = (other.before, other.after)
            yield True, one.after, _gap(both, Silent.both, gap_of=one, left=(one.before, one.after), right=around)
    for one in of_right:
        inside = _inside(lefts, one)
        if inside:
            yield False, one.after, _gap(both, Silent.right, gap_of=one, left=inside, right=(one.before, one.after))


def _timed(copy: Copy) -> Timed:
    return sorted((time, place) for place, time in enumerate(copy.times) if time is not None)


def _silences(timed: Timed, gap: timedelta) -> Iterator[_Silence]:
    least = gap // timedelta(microseconds=1)
    for (begins, before), (ends, after) in pairwise(timed):
        if ends - begins >= least:
            yield _Silence(begins, ends, before, after)


def _inside(timed: Timed, silence: _Silence) -> tuple[int, int] | None:
    """Return the places of the first and the last message that another copy has within a silence."""
    first = bisect_right(timed, silence.begins + NEAR, key=lambda one: one[0])
    last = bisect_left(timed, silence.ends - NEAR, key=lambda one: one[0]) - 1
    return (timed[first][1], timed[last][1]) if first <= last else None


def _same(others: Sequence[_Silence], silence: _Silence) -> _Silence | None:
    place = bisect_left(others, silence.begins - NEAR, key=lambda one: one.begins)
    for other in others[place:]:
        if other.begins > silence.begins + NEAR:
            break
        if abs(other.ends - silence.ends) <= NEAR:
            return other
    return None


def _gap(both: Pair, silent: Silent, *, gap_of: _Silence, left: tuple[int, int], right: tuple[int, int]) -> Difference:
    here, there = both.left.messages, both.right.messages
    return Difference(
        DifferenceKind.gap,
        left_seq=here[left[0]].seq,
        right_seq=there[right[0]].seq,
        left_until=here[left[1]].seq,
        right_until=there[right[1]].seq,
        silent=silent,
        length=timedelta(microseconds=gap_of.ends - gap_of.begins),
    )
