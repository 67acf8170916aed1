"""Two sides' copies of one conversation, compared: what one has and the other lacks, and what is not the same in both.

How messages are paired is said in `pairing`; the clocks of the two copies are compared first (`copies.clock_shift`).
Nothing here repeats what a message says: differences are positions, and readers render them.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import Any

from evidence.transcripts import pairing
from evidence.transcripts.copies import (
    ERASED,
    NEAR,
    SECOND,
    Copy,
    Pair,
    clock_shift,
    is_recall,
    set_right_clock,
    side_by_side,
)
from evidence.transcripts.likeness import Span, differing, similarity
from evidence.transcripts.normal import Message, MessageKind
from evidence.transcripts.silences import Silence, silences

DEFAULT_GAP = timedelta(days=1)


class DifferenceKind(StrEnum):
    """In what two copies differ.

    `recalled`: one has the trace of a recall, the other the message or neither. `erased`: the words of at least one
    were taken out by a redaction, so that they cannot be compared. `gap`: a long time without messages in one copy, or
    in both. `clock_shift`: the two copies' clocks, once for all; other times are compared after it was made up for.
    """

    clock_shift = "clock_shift"
    missing = "missing"
    recalled = "recalled"
    erased = "erased"
    edited = "edited"
    sender_differs = "sender_differs"
    kind_differs = "kind_differs"
    attachment_differs = "attachment_differs"
    time_differs = "time_differs"
    reordered = "reordered"
    gap = "gap"


class Silent(StrEnum):
    """Which copy has no messages for a long time."""

    left = "left"
    right = "right"
    both = "both"


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference. `left_seq` and `right_seq` are messages' numbers, None where a copy lacks the message.

    Of a gap they are, in a copy that is silent, the messages around it (`..._until` the one after), in a copy that is
    not, the first and the last in it; `length` is how long it is. `left_span` and `right_span` are where the texts of
    an edited message differ, `similarity` is from 0 to 1. `offset` is the right copy's time less the left's.
    """

    kind: DifferenceKind
    left_seq: int | None = None
    right_seq: int | None = None
    left_until: int | None = None
    right_until: int | None = None
    left_span: Span | None = None
    right_span: Span | None = None
    similarity: float | None = None
    offset: timedelta | None = None
    silent: Silent | None = None
    length: timedelta | None = None

    def mirrored(self) -> "Difference":
        """Return the same difference with left and right changed over."""
        turned = {Silent.left: Silent.right, Silent.right: Silent.left, Silent.both: Silent.both, None: None}
        return replace(
            self,
            left_seq=self.right_seq,
            right_seq=self.left_seq,
            left_until=self.right_until,
            right_until=self.left_until,
            left_span=self.right_span,
            right_span=self.left_span,
            offset=None if self.offset is None else -self.offset,
            silent=turned[self.silent],
        )

    def as_dict(self) -> dict[str, Any]:
        """Return it in plain values: what it has not is left out, times are in seconds."""
        plain: dict[str, Any] = {"kind": self.kind.value, "left_seq": self.left_seq, "right_seq": self.right_seq}
        more = {
            "left_until": self.left_until,
            "right_until": self.right_until,
            "left_span": _plain_span(self.left_span),
            "right_span": _plain_span(self.right_span),
            "similarity": self.similarity,
            "offset_seconds": None if self.offset is None else self.offset.total_seconds(),
            "silent": None if self.silent is None else self.silent.value,
            "length_seconds": None if self.length is None else self.length.total_seconds(),
        }
        return plain | {name: value for name, value in more.items() if value is not None}


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

    def mirrored(self) -> "Alignment":
        """Return the alignment of the same copies with left and right changed over."""
        matches = tuple(sorted((right, left) for left, right in self.matches))
        differences = tuple(one.mirrored() for one in self.differences)
        return Alignment(matches, self.right_only, self.left_only, differences)

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
    ordered = pairing.in_order(pairs)
    alone = (
        pairing.alone(range(len(left)), (i for i, _ in pairs)),
        pairing.alone(range(len(right)), (j for _, j in pairs)),
    )
    placed = [*_of_pairs(both, pairs, ordered), *_of_alone(both, alone, ordered)]
    placed += ((_before(silence, ordered), _gap(both, silence)) for silence in silences(both, pairs, _whole(gap)))
    placed.sort(key=lambda one: one[0])
    shifted = [Difference(DifferenceKind.clock_shift, offset=_time(shift))] if shift else []
    return Alignment(
        matches=tuple((left[i].seq, right[j].seq) for i, j in pairs),
        left_only=tuple(left[i].seq for i in alone[0]),
        right_only=tuple(right[j].seq for j in alone[1]),
        differences=(*shifted, *(difference for _, difference in placed)),
    )
