"""Two sides' copies of one conversation, compared: what one has and the other lacks, and what is not the same in both.

How messages are paired is said in `pairing`; the clocks of the two copies are compared first (`copies.clock_shift`).
Nothing here repeats what a message says: differences are positions, and readers render them.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import accumulate
from typing import Any, Self

from evidence.transcripts import pairing
from evidence.transcripts.copies import ERASED, NEAR, Copy, Pair, clock_shift, is_recall, set_right_clock, side_by_side
from evidence.transcripts.differences import Difference, DifferenceKind
from evidence.transcripts.likeness import differing, similarity
from evidence.transcripts.normal import Message
from evidence.transcripts.silences import silences

DEFAULT_GAP = timedelta(days=1)

Place = tuple[int, int, int, int]
"""Where a difference stands among the others: with which pair in order or before which (`_Order.at`), then what
the clock had come to on its side, the side, and the place there."""
_NEVER = -(2**63)


@dataclass(frozen=True, slots=True)
class Alignment:
    """Which message is which, as pairs of numbers in the order of the left copy, and in what the copies differ.

    Each message of either copy stands once in `matches` or in what only its side has. The differences stand in the
    order of the conversation, which does not depend on which copy is the left one.
    """

    matches: tuple[tuple[int, int], ...]
    left_only: tuple[int, ...]
    right_only: tuple[int, ...]
    differences: tuple[Difference, ...]

    def mirrored(self) -> Self:
        """Return the alignment of the same copies with left and right changed over."""
        matches = tuple(sorted((right, left) for left, right in self.matches))
        differences = tuple(one.mirrored() for one in self.differences)
        return type(self)(matches, self.right_only, self.left_only, differences)

    def counts(self) -> dict[str, int]:
        """Return how many messages are in both, how many on one side alone, and how many differences of each kind."""
        kinds = Counter(one.kind.value for one in self.differences)
        sizes = {"matched": len(self.matches), "left_only": len(self.left_only), "right_only": len(self.right_only)}
        return sizes | {kind.value: kinds[kind.value] for kind in DifferenceKind}

    def as_dict(self) -> dict[str, Any]:
        """Return counts and differences in plain values, the differences numbered from 1."""
        listed = [{"n": n, **one.as_dict()} for n, one in enumerate(self.differences, 1)]
        return {"counts": self.counts(), "differences": listed}


def align(
    left: Sequence[Message],
    right: Sequence[Message],
    *,
    gap: timedelta = DEFAULT_GAP,
    left_erased: Collection[int] = frozenset(),
    right_erased: Collection[int] = frozenset(),
) -> Alignment:
    """Compare two copies of one conversation; `..._erased` are the numbers of messages whose words were taken out.

    The numbers (seq) of one copy rise. A time without messages is a gap if it is `gap` or longer. Raises ValueError if
    that is not more than no time.
    """
    if gap <= timedelta(0):
        raise ValueError("a gap is longer than no time")
    # Where several pairings are as good, left and right would choose differently: their contents say who is which.
    if _comes_first(right, left, sorted(right_erased), sorted(left_erased)):
        return align(right, left, gap=gap, left_erased=right_erased, right_erased=left_erased).mirrored()
    both = side_by_side(left, right, (left_erased, right_erased))
    shift = clock_shift(both)
    set_right_clock(both, shift)
    pairs = pairing.pairs(both)
    left_alone = pairing.alone(range(len(left)), (i for i, _ in pairs))
    right_alone = pairing.alone(range(len(right)), (j for _, j in pairs))
    shifted = [Difference(DifferenceKind.clock_shift, offset=timedelta(microseconds=shift))] if shift else []
    return Alignment(
        matches=tuple((left[i].seq, right[j].seq) for i, j in pairs),
        left_only=tuple(left[i].seq for i in left_alone),
        right_only=tuple(right[j].seq for j in right_alone),
        differences=(*shifted, *_differences(both, pairs, left_alone, right_alone, gap)),
    )


def _comes_first(
    one: Sequence[Message], other: Sequence[Message], one_erased: list[int], other_erased: list[int]
) -> bool:
    """Whether a copy comes strictly before another in an order of copies that knows no sides."""
    if len(one) != len(other):
        return len(one) < len(other)
    for here, there in zip(one, other, strict=True):
        if here != there:
            return repr(here) < repr(there)
    return one_erased < other_erased


# --- what is not the same --------------------------------------------------------------------------------------------


def _differences(
    both: Pair,
    pairs: Sequence[pairing.Places],
    left_alone: Sequence[int],
    right_alone: Sequence[int],
    gap: timedelta,
) -> list[Difference]:
    """Return all differences but that of the clocks, in the order of the conversation."""
    ordered = pairing.in_order(pairs)
    lefts = _Order(both.left, 0, sorted(i for i, _ in ordered))
    rights = _Order(both.right, 1, sorted(j for _, j in ordered))
    placed: list[tuple[Place, Difference]] = []
    for pair in pairs:
        placed += ((lefts.at(pair[0]), one) for one in _of_pair(both, *pair))
        if pair not in ordered:
            placed.append((lefts.at(pair[0]), _at(both, DifferenceKind.reordered, *pair)))
    placed += ((lefts.at(i), _of_one(both, i, None)) for i in left_alone)
    placed += ((rights.at(j), _of_one(both, None, j)) for j in right_alone)
    for of_left, ending, one in silences(both, gap):
        rank, clock, _, place = (lefts if of_left else rights).at(ending)
        # Before whatever is said of the message that ends it.
        placed.append(((rank, clock, -1, place), one))
    return [one for _, one in sorted(placed, key=lambda one: one[0])]


class _Order:
    """The order of one copy's messages among those of both."""

    def __init__(self, copy: Copy, side: int, in_order: Sequence[int]) -> None:
        self._side = side
        self._in_order = in_order
        # As far as it has come, for a message out of its time stays where it was filed.
        self._clock = list(accumulate((_NEVER if time is None else time for time in copy.times), max))

    def at(self, place: int) -> Place:
        """Return where a message stands: at 2k + 1 with the k-th pair that is in order (from 0), else at 2k before it.

        What stands between two pairs on either side stands in the order of time.
        """
        before = bisect_left(self._in_order, place)
        if before < len(self._in_order) and self._in_order[before] == place:
            return 2 * before + 1, 0, 0, 0
        return 2 * before, self._clock[place], self._side, place


def _of_pair(both: Pair, i: int, j: int) -> Iterator[Difference]:
    left, right = both.left, both.right
    recalled = is_recall(left, i) != is_recall(right, j)
    if ERASED in (left.texts[i], right.texts[j]):
        yield _at(both, DifferenceKind.erased, i, j)
    elif recalled:
        yield _at(both, DifferenceKind.recalled, i, j)
    else:
        yield from _of_words(both, i, j)
    here, there = left.times[i], right.times[j]
    # Some programs put the trace of a recall where it was done, others where the message was.
    if here is not None and there is not None and abs(there - here) > NEAR and not recalled:
        yield _at(both, DifferenceKind.time_differs, i, j, offset=timedelta(microseconds=there - here))


def _of_words(both: Pair, i: int, j: int) -> Iterator[Difference]:
    one, other = both.left.messages[i], both.right.messages[j]
    if one.kind is not other.kind:
        yield _at(both, DifferenceKind.kind_differs, i, j)
    elif one.text != other.text:
        here, there = differing(one.text, other.text)
        alike = similarity(one.text, other.text)
        yield _at(both, DifferenceKind.edited, i, j, left_span=here, right_span=there, similarity=alike)
    if not both.same_sender(i, j):
        yield _at(both, DifferenceKind.sender_differs, i, j)
    if both.other_files(i, j):
        yield _at(both, DifferenceKind.attachment_differs, i, j)


def _of_one(both: Pair, i: int | None, j: int | None) -> Difference:
    copy, place = (both.left, i) if i is not None else (both.right, j)
    assert place is not None
    if copy.texts[place] == ERASED:
        return _at(both, DifferenceKind.erased, i, j)
    return _at(both, DifferenceKind.recalled if is_recall(copy, place) else DifferenceKind.missing, i, j)


def _at(both: Pair, kind: DifferenceKind, i: int | None, j: int | None, **more: Any) -> Difference:
    here = None if i is None else both.left.messages[i].seq
    there = None if j is None else both.right.messages[j].seq
    return Difference(kind, here, there, **more)
