"""One copy of a conversation made ready to be compared: times in whole microseconds, texts as numbers."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from evidence.transcripts.likeness import Grams, shared, sketched
from evidence.transcripts.normal import Message, MessageKind, Sender

SECOND = 1_000_000
NEAR = 60 * SECOND
"""Microseconds that the times of one message may lie apart in two copies: some exports know no seconds."""
ERASED = -1
"""The number of a text that was taken out: it is like no other, and of it nothing is known."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RANKS = 5
"""By how many the counts may differ of two equal messages that vote on a clock shift together."""
_VOTES = 3
"""Messages that must agree on a clock shift for it to be one."""
_REMEMBERED = 4_096


@dataclass(slots=True)
class Copy:
    """One side's messages, in order, and what of each is compared.

    `texts` and `said` number the texts, and sender's role, kind and text together, alike for both sides. `times` are
    microseconds since 1970, the right side's moved by the clock shift once that is known.
    """

    messages: Sequence[Message]
    texts: list[int]
    said: list[int]
    times: list[int | None]
    digests: list[tuple[str, ...] | None]

    def __len__(self) -> int:
        return len(self.messages)


@dataclass(slots=True)
class Pair:
    """The two copies side by side."""

    left: Copy
    right: Copy
    _sketch: Callable[[str], Grams] = field(default_factory=lambda: lru_cache(_REMEMBERED)(sketched))

    def apart(self, i: int, j: int) -> int | None:
        """Return how far apart message i of the left copy and j of the right were sent; None if that is not known."""
        here, there = self.left.times[i], self.right.times[j]
        return None if here is None or there is None else abs(here - there)

    def near(self, i: int, j: int) -> bool:
        """Whether they can have been sent at the same time."""
        apart = self.apart(i, j)
        return apart is None or apart <= NEAR

    def same_sender(self, i: int, j: int) -> bool:
        """Whether both are from the same sender, see `is_same_sender`."""
        return is_same_sender(self.left.messages[i].sender, self.right.messages[j].sender)

    def alike(self, i: int, j: int) -> float:
        """Return how alike their texts look at a quick look, from 0 to 1."""
        return shared(self._sketch(self.left.messages[i].text), self._sketch(self.right.messages[j].text))

    def other_files(self, i: int, j: int) -> bool:
        """Whether other bytes hang on one than on the other, as far as the digests of both are known."""
        here, there = self.left.digests[i], self.right.digests[j]
        return here is not None and there is not None and here != there


def is_same_sender(left: Sender, right: Sender) -> bool:
    """Whether two senders are one: by role, for each side's program names people its own way; else by id or name."""
    if left.role is right.role:
        return True
    return (left.id is not None and left.id == right.id) or (left.name is not None and left.name == right.name)


def side_by_side(
    left: Sequence[Message], right: Sequence[Message], erased: tuple[Collection[int], Collection[int]]
) -> Pair:
    """Make two copies comparable. `erased` are the numbers (seq) of the messages whose texts were taken out."""
    texts: dict[str, int] = {}
    said: dict[Hashable, int] = {}
    return Pair(_copy(left, erased[0], texts, said), _copy(right, erased[1], texts, said))


def _copy(
    messages: Sequence[Message], erased: Collection[int], texts: dict[str, int], said: dict[Hashable, int]
) -> Copy:
    copy = Copy(messages, [], [], [], [])
    for one in messages:
        text = ERASED if one.seq in erased else texts.setdefault(one.text, len(texts))
        copy.texts.append(text)
        copy.said.append(said.setdefault((one.sender.role, one.kind, text), len(said)))
        copy.times.append(None if one.sent_at is None else _microseconds(one.sent_at - _EPOCH))
        copy.digests.append(None if text == ERASED else _digests(one))
    return copy


def _digests(message: Message) -> tuple[str, ...] | None:
    """Return the digests of what hangs on a message, sorted; None unless all of them are known."""
    known = [one.sha256 for one in message.attachments if one.sha256 is not None]
    return tuple(sorted(known)) if known and len(known) == len(message.attachments) else None


def _microseconds(span: timedelta) -> int:
    return (span.days * 86_400 + span.seconds) * SECOND + span.microseconds


# --- two clocks ------------------------------------------------------------------------------------------------------


def clock_shift(pair: Pair) -> int:
    """Return by how many microseconds the right copy's clock is ahead of the left's; 0 if by none that is systematic.

    Messages that say the same vote, each with how far its times lie apart; what most of them agree on to a minute is
    the shift (a histogram of offsets, as one finds the delay between two recordings). It must be that of more than
    half of the messages both have, and of three at least.
    """
    votes: Counter[int] = Counter()
    common = 0
    repeated = _said_by_both(pair)
    for here, there in repeated:
        fewer = min(len(here), len(there))
        common += fewer
        # Two neighbouring minutes together: what agrees may lie on both sides of a full one.
        windows = Counter(offset // NEAR - step for offset in _offsets(here, there) for step in (0, 1))
        # Nothing votes more often than it was said, however many pairs there are of it.
        votes.update({minute: min(fewer, count) for minute, count in windows.items()})
    most = max(votes.values(), default=0)
    if most < _VOTES or 2 * most <= common:
        return 0
    # Of several as good the nearest to none: messages that repeat at one interval agree on every multiple of it.
    best = min((minute for minute, count in votes.items() if count == most), key=lambda n: (abs(n + 1), n))
    agreed = sorted(
        offset for here, there in repeated for offset in _offsets(here, there) if best <= offset // NEAR <= best + 1
    )
    middle = agreed[len(agreed) // 2]
    return middle if abs(middle) > NEAR else 0


def _said_by_both(pair: Pair) -> list[tuple[list[int], list[int]]]:
    """Return for each text that both copies have the times at which they have it."""
    spoken: tuple[dict[int, list[int]], ...] = (defaultdict(list), defaultdict(list))
    for copy, times in zip((pair.left, pair.right), spoken, strict=True):
        for text, time in zip(copy.texts, copy.times, strict=True):
            if text != ERASED and time is not None:
                times[text].append(time)
    return [(here, spoken[1][text]) for text, here in spoken[0].items() if text in spoken[1]]


def _offsets(here: Sequence[int], there: Sequence[int]) -> Iterator[int]:
    """Yield how far apart, with sign, the times lie at which a text was said about as many times before."""
    for n, ours in enumerate(here):
        for theirs in there[max(0, n - _RANKS) : n + _RANKS + 1]:
            yield theirs - ours


def set_right_clock(pair: Pair, shift: int) -> None:
    """Move the right copy's times back by a clock shift."""
    pair.right.times = [None if time is None else time - shift for time in pair.right.times]


def is_recall(copy: Copy, place: int) -> bool:
    """Whether a message is the trace of one that was taken back."""
    return copy.messages[place].kind is MessageKind.recall
