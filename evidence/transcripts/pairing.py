"""Which message of one copy of a conversation is which of the other's.

1. In the stretches that are still open, what both begin with and what both end with is the same, and what stands once
   in either is an anchor; of the anchors the longest run that is in order in both copies is kept. This is Bram Cohen's
   patience diff, gone through once for each of a few ways to tell messages apart, from strict to loose, so that it
   takes time linear in the messages but for the sorting.
2. In what is left between anchors each message has a bounded number of candidates, each weighed by text, time, sender
   and kind; the heaviest run that is in order in both copies is kept. That is the heaviest common subsequence of
   Jacobson and Vo, "Heaviest increasing/common subsequence problems" (CPM 1992), without a table of all pairs.
3. Messages that stand as often on one side as on the other among those still alone were moved.

Two messages are paired only if they can be one: see `weight`.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence

from evidence.transcripts.copies import ERASED, NEAR, SECOND, Copy, Pair, is_recall
from evidence.transcripts.normal import MessageKind

Places = tuple[int, int]
"""A message of the left copy and one of the right, by their places from 0."""
Stretch = tuple[int, int, int, int]
"""What lies between two anchors: from and to on the left, from and to on the right."""
Key = Callable[[Copy, int], Hashable]

_DENSE = 1_024
"""Pairs of one stretch that are all weighed; in longer ones only those that stand near each other are."""
_REACH = 8
"""Candidates on either side of where a message is expected, among all and among those that say the same."""
_LONG = 8
"""Code points from which on a text is told by itself, whenever it was sent."""
_RECALLED_WITHIN = 3 * 86_400 * SECOND
"""How long after a message the trace of its recall may stand: no program known lets one take back later."""
_MEDIA = frozenset({MessageKind.image, MessageKind.file})


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
    return both.same_sender(i, j) or both.apart(i, j) == 0 or len(both.left.messages[i].text) >= _LONG


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


def weight(both: Pair, i: int, j: int) -> int:
    """Return how much speaks for a message of the left copy and one of the right being one; 0 if they cannot be.

    Two that agree in text and time outweigh any two pairs that do not: a message that one side lacks does not make
    those after it be taken for one another.
    """
    left, right = both.left, both.right
    apart = both.apart(i, j)
    near = both.near(i, j)
    close = 0 if apart is None or not near else (NEAR - apart) // SECOND
    same_sender = both.same_sender(i, j)
    one, other = left.messages[i], right.messages[j]
    if ERASED in (left.texts[i], right.texts[j]):
        return 300 + close if same_sender and near and one.kind is other.kind else 0
    if is_recall(left, i) != is_recall(right, j):
        return 250 + close if same_sender and _can_be_recalled(both, i, j) else 0
    if left.texts[i] == right.texts[j] and (one.text or one.kind is other.kind):
        return _of_same_text(both, i, j, close)
    if not same_sender:
        return 0
    if one.kind is not other.kind:
        # A program that leaves pictures out writes a text in their place.
        return 350 + close if apart is not None and near and {one.kind, other.kind} & _MEDIA else 0
    return _of_other_text(both, i, j)


def _can_be_recalled(both: Pair, i: int, j: int) -> bool:
    trace_is_left = is_recall(both.left, i)
    said = both.right.messages[j] if trace_is_left else both.left.messages[i]
    if said.kind is MessageKind.system:
        return False
    here, there = both.left.times[i], both.right.times[j]
    if here is None or there is None:
        return True
    later = here - there if trace_is_left else there - here
    return -NEAR <= later <= _RECALLED_WITHIN


def _of_same_text(both: Pair, i: int, j: int, close: int) -> int:
    near, told = both.near(i, j), len(both.left.messages[i].text) >= _LONG
    if both.other_files(i, j):
        return 350 + close if near and both.same_sender(i, j) else 0
    if both.same_sender(i, j):
        base = 1_000 if near else 400
    else:
        base = 600 if both.apart(i, j) is not None and near else 300 if near or told else 0
    kinds = both.left.messages[i].kind is both.right.messages[j].kind
    return base + close - (0 if kinds else 100) if base else 0


def _of_other_text(both: Pair, i: int, j: int) -> int:
    apart = both.apart(i, j)
    alike = both.alike(i, j)
    if apart == 0 and (alike >= 0.25 or both.left.times[i] % (60 * SECOND) != 0):  # type: ignore[operator]
        return 450 + int(100 * alike)
    if both.near(i, j):
        return 400 + int(100 * alike) if alike >= (0.5 if apart is None else 0.4) else 0
    return 200 if alike >= 0.75 else 0


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
        return _certain(both, i, j) or (not both.near(i, j) and len(both.left.messages[i].text) >= _LONG)
    return both.alike(i, j) >= 0.5
