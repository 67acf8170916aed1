"""How much speaks for a message of one copy and one of the other being the same message."""

from evidence.transcripts.copies import ERASED, NEAR, SECOND, Pair, is_recall
from evidence.transcripts.normal import MessageKind

LONG = 8
"""Code points from which on a text is told by itself, whenever it was sent."""

_RECALLED_WITHIN = 3 * 86_400 * SECOND
"""How long after a message the trace of its recall may stand: no program known lets one take back later."""
_MEDIA = frozenset({MessageKind.image, MessageKind.file})


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
    near, told = both.near(i, j), len(both.left.messages[i].text) >= LONG
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
    # Where only minutes are known, two messages of one sender share their time easily.
    if apart == 0 and (alike >= 0.25 or (both.left.times[i] or 0) % (60 * SECOND)):
        return 450 + int(100 * alike)
    if both.near(i, j):
        return 400 + int(100 * alike) if alike >= (0.5 if apart is None else 0.4) else 0
    return 200 if alike >= 0.75 else 0
