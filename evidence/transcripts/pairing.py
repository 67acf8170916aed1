"""Which message of one copy of a conversation is which of the other's.

1. In the stretches that are still open, what both begin with and what both end with is the same, and what stands once
   in either is an anchor; of the anchors the longest run that is in order in both copies is kept. This is Bram Cohen's
   patience diff, gone through once for each of a few ways to tell messages apart, from strict to loose, so that it
   takes time linear in the messages but for the sorting.
2. In what is left between anchors each message has a bounded number of candidates, each weighed by text, time, sender
   and kind; the heaviest run that is in order in both copies is kept. That is the heaviest common subsequence of
   Jacobson and Vo, "Heaviest increasing/common subsequence problems" (CPM 1992), without a table of all pairs.
3. Messages that stand as often on one side as on the other among those still alone were moved.

Two messages are paired only if they can be one: see `weighing`.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

from evidence.transcripts.copies import ERASED, Copy, Pair, is_recall
from evidence.transcripts.weighing import LONG, weight

Places = tuple[int, int]
"""A message of the left copy and one of the right, by their places from 0."""
Stretch = tuple[int, int, int, int]
"""What lies between two anchors: from and to on the left, from and to on the right."""
Key = Callable[[Copy, int], Hashable]

_DENSE = 1_024
"""Pairs of one stretch that are all weighed; in longer ones only those that stand near each other are."""
_REACH = 8
"""Candidates on either side of where a message is expected, among all and among those that say the same."""


def pairs(both: Pair) -> list[Places]:
    """Return which message is which, in the order of the left copy, each message in one pair at most."""
    found: list[Places] = []
    for key in (_to_the_letter, _in_its_context, _by_words, _by_text_and_time, _by_text):
        found = sorted([*found, *(one for part in _stretches(found, both) for one in _anchored(both, part, key))])
    found += [one for part in _stretches(found, both) for one in _heaviest(_candidates(both, part))]
    return sorted([*found, *_moved(both, found)])


def in_order(found: Sequence[Places]) -> set[Places]:
    """Return a longest run of pairs that stand in the same order in both copies. The pairs are sorted."""
    return set(_longest(found))


def alone(places: Iterable[int], paired: Iterable[int]) -> list[int]:
    """Return those places that are not among the paired ones."""
    taken = set(paired)
    return [place for place in places if place not in taken]


# --- how messages are told apart -------------------------------------------------------------------------------------


def _to_the_letter(copy: Copy, place: int) -> Hashable:
    return copy.said[place], copy.times[place], copy.digests[place]


def _in_its_context(copy: Copy, place: int) -> Hashable:
    if place < 2 or place + 2 >= len(copy):
        return None
    return tuple(copy.said[place - 2 : place + 3])


def _by_words(copy: Copy, place: int) -> Hashable:
    return copy.said[place]


def _by_text_and_time(copy: Copy, place: int) -> Hashable:
    return (copy.texts[place], copy.times[place]) if _tells(copy, place) else None


def _by_text(copy: Copy, place: int) -> Hashable:
    return copy.texts[place] if _tells(copy, place) else None


def _tells(copy: Copy, place: int) -> bool:
    """Whether there is a text that can be compared whoever sent it."""
    return copy.texts[place] != ERASED and copy.messages[place].text != "" and not is_recall(copy, place)


def _by_sender_and_time(copy: Copy, place: int) -> Hashable:
    one = copy.messages[place]
    known = copy.times[place] is not None and _tells(copy, place)
    return (one.sender.role, one.kind, copy.times[place]) if known else None


# --- 1. anchors ------------------------------------------------------------------------------------------------------


def _stretches(found: Sequence[Places], both: Pair) -> Iterator[Stretch]:
    """Yield what lies between pairs that are in order, where there is something on both sides."""
    i = j = 0
    for to_i, to_j in (*found, (len(both.left), len(both.right))):
        if i < to_i and j < to_j:
            yield i, to_i, j, to_j
        i, j = to_i + 1, to_j + 1


def _anchored(both: Pair, stretch: Stretch, key: Key) -> list[Places]:
    """Return the pairs of a stretch that are certain by one way to tell messages apart."""
    i, to_i, j, to_j = stretch
    head: list[Places] = []
    while i < to_i and j < to_j and _equal(both, i, j):
        head.append((i, j))
        i, j = i + 1, j + 1
    tail: list[Places] = []
    while i < to_i and j < to_j and _equal(both, to_i - 1, to_j - 1):
        to_i, to_j = to_i - 1, to_j - 1
        tail.append((to_i, to_j))
    once = _once(both.right, range(j, to_j), key)
    anchors = [(place, once[said]) for said, place in _once(both.left, range(i, to_i), key).items() if said in once]
    anchors = sorted(one for one in anchors if _certain(both, *one))
    return [*head, *_longest(anchors), *reversed(tail)]


def _equal(both: Pair, i: int, j: int) -> bool:
    left, right = both.left, both.right
    same = left.said[i] == right.said[j] and left.times[i] == right.times[j]
    return same and not both.other_files(i, j)


def _once(copy: Copy, places: range, key: Key) -> dict[Hashable, int]:
    """Return what stands once among these places, and where."""
    seen: dict[Hashable, int] = {}
    again: set[Hashable] = set()
    for place in places:
        said = key(copy, place)
        if said in seen:
            again.add(said)
        elif said is not None:
            seen[said] = place
    return {said: place for said, place in seen.items() if said not in again}


def _certain(both: Pair, i: int, j: int) -> bool:
    if not both.near(i, j) or (both.other_files(i, j) and both.apart(i, j) != 0):
        return False
    return both.same_sender(i, j) or both.apart(i, j) == 0 or len(both.left.messages[i].text) >= LONG


def _longest(found: Sequence[Places]) -> list[Places]:
    """Return a longest run with both places rising, of pairs that are sorted (patience sorting)."""
    ends: list[int] = []
    piles: list[int] = []
    before: list[int | None] = []
    for n, (_, j) in enumerate(found):
        pile = bisect_left(ends, j)
        before.append(piles[pile - 1] if pile else None)
        if pile == len(ends):
            ends.append(j)
            piles.append(n)
        else:
            ends[pile], piles[pile] = j, n
    return _chain(found, before, piles[-1] if piles else None)


def _chain(found: Sequence[Places], before: Sequence[int | None], last: int | None) -> list[Places]:
    run: list[Places] = []
    while last is not None:
        run.append(found[last])
        last = before[last]
    return run[::-1]


# --- 2. candidates, weighed ------------------------------------------------------------------------------------------


def _candidates(both: Pair, stretch: Stretch) -> list[tuple[int, int, int]]:
    """Return the pairs of a stretch that can be one message, each with its weight."""
    i, to_i, j, to_j = stretch
    dense = (to_i - i) * (to_j - j) <= _DENSE
    partners = (range(j, to_j) for _ in range(i, to_i)) if dense else _nearby(both, stretch)
    weighed = ((here, there, weight(both, here, there)) for here, some in enumerate(partners, i) for there in some)
    return [one for one in weighed if one[2] > 0]


def _nearby(both: Pair, stretch: Stretch) -> Iterator[Sequence[int]]:
    """Yield for each message on the left those on the right near where it is expected: by time, else by proportion."""
    i, to_i, j, to_j = stretch
    clock: list[int] = []
    where: dict[int, list[int]] = defaultdict(list)
    for there in range(j, to_j):
        time = both.right.times[there]
        clock.append(max(clock[-1] if clock else -(2**63), -(2**63) if time is None else time))
        where[both.right.texts[there]].append(there)
    for here in range(i, to_i):
        time = both.left.times[here]
        if time is None or clock[-1] == -(2**63):
            expected = j + (here - i) * (to_j - j) // (to_i - i)
        else:
            expected = j + bisect_left(clock, time)
        same = where.get(both.left.texts[here], [])
        middle = bisect_left(same, expected)
        near = range(max(j, expected - _REACH), min(to_j, expected + _REACH + 1))
        yield sorted({*near, *same[max(0, middle - _REACH) : middle + _REACH]})


def _heaviest(candidates: Sequence[tuple[int, int, int]]) -> list[Places]:
    """Return the heaviest run with both places rising; of several as heavy the one that is found first."""
    # Those of one left message from the right backwards, so that none follows another of them.
    ordered = sorted(candidates, key=lambda one: (one[0], -one[1]))
    columns = {there: n for n, there in enumerate(sorted({there for _, there, _ in ordered}), 1)}
    # A Fenwick tree of maxima over the columns: the heaviest run that ends at or before one, and its last pair.
    best: list[tuple[int, int | None]] = [(0, None)] * (len(columns) + 1)
    before: list[int | None] = []
    heaviest: tuple[int, int | None] = (0, None)
    for n, (_, there, weighs) in enumerate(ordered):
        column = columns[there]
        sofar, last = _most(best, column - 1)
        before.append(last)
        total = sofar + weighs
        if total > heaviest[0]:
            heaviest = total, n
        while column < len(best):
            if total > best[column][0]:
                best[column] = total, n
            column += column & -column
    return _chain([(here, there) for here, there, _ in ordered], before, heaviest[1])


def _most(best: Sequence[tuple[int, int | None]], column: int) -> tuple[int, int | None]:
    most: tuple[int, int | None] = (0, None)
    while column:
        if best[column][0] > most[0]:
            most = best[column]
        column -= column & -column
    return most


# --- 3. moved --------------------------------------------------------------------------------------------------------


def _moved(both: Pair, found: Sequence[Places]) -> list[Places]:
    """Return pairs of messages that are still alone and are told apart well enough to have been moved."""
    left = alone(range(len(both.left)), (i for i, _ in found))
    right = alone(range(len(both.right)), (j for _, j in found))
    moved: list[Places] = []
    for key in (_to_the_letter, _by_words, _by_text_and_time, _by_sender_and_time):
        here, there = _grouped(both.left, left, key), _grouped(both.right, right, key)
        new = [
            (i, j)
            for said, places in here.items()
            if len(places) == len(there.get(said, ()))
            for i, j in zip(places, there[said], strict=True)
            if _can_be_moved(both, i, j)
        ]
        moved += new
        left = alone(left, (i for i, _ in new))
        right = alone(right, (j for _, j in new))
    return moved


def _grouped(copy: Copy, places: Sequence[int], key: Key) -> dict[Hashable, list[int]]:
    groups: dict[Hashable, list[int]] = defaultdict(list)
    for place in places:
        said = key(copy, place)
        if said is not None and copy.texts[place] != ERASED:
            groups[said].append(place)
    return groups


def _can_be_moved(both: Pair, i: int, j: int) -> bool:
    if both.left.texts[i] == both.right.texts[j]:
        return _certain(both, i, j) or (not both.near(i, j) and len(both.left.messages[i].text) >= LONG)
    return both.alike(i, j) >= 0.5
