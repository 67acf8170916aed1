"""In what two copies of a conversation can differ, as positions; no difference repeats what a message says."""

from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import Any, Self

from evidence.transcripts.likeness import Span


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

    def mirrored(self) -> Self:
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


def _plain_span(span: Span | None) -> dict[str, int] | None:
    return None if span is None else {"start": span.start, "length": span.length}
