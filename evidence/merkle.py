"""The Merkle tree of RFC 6962 section 2.1 (RFC 9162 section 2.1), over leaves that are hashed already.

A leaf is a 32-byte SHA-256 (see `leaves`), a node is SHA-256(0x01 || left || right), the empty tree is the SHA-256 of
the empty string. The RFC defines the tree by splitting at the largest power of two below n; pairing neighbours level
by level and carrying an odd last node up unchanged builds the same tree without recursion.
"""

import hashlib
import hmac
from collections.abc import Sequence

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()

_NODE = b"\x01"


def root(leaves: Sequence[bytes]) -> bytes:
    """Return the tree head, 32 bytes. Raises ValueError if a leaf is not 32 bytes long."""
    _check(leaves)
    if not leaves:
        return EMPTY_ROOT
    level = leaves
    while len(level) > 1:
        level = _level_above(level)
    return level[0]


def inclusion_proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """Return the audit path of the leaf at `index` (from 0), from the leaf upwards: at most ceil(log2(n)) hashes.

    Raises IndexError if there is no such leaf, ValueError if a leaf is not 32 bytes long.
    """
    _check(leaves)
    if not 0 <= index < len(leaves):
        raise IndexError(f"there is no leaf {index} in a tree of {len(leaves)}")
    path = []
    level = leaves
    while len(level) > 1:
        sibling = index ^ 1
        # An odd last node has no sibling at this level: it is carried up and adds nothing to the path.
        if sibling < len(level):
            path.append(level[sibling])
        level = _level_above(level)
        index //= 2
    return path


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Tell whether `proof` shows that `leaf` stands at `index` (from 0) of the tree of `size` leaves with that root.

    The algorithm is that of RFC 9162 section 2.1.3.2. Never raises for a bad proof: it is then simply not a proof.
    """
    if not 0 <= index < size or any(len(part) != HASH_BYTES for part in (leaf, root, *proof)):
        return False
    position, last = index, size - 1
    result = leaf
    for sibling in proof:
        if last == 0:
            return False
        if position & 1 or position == last:
            result = _node(sibling, result)
            # Levels at which this node was carried up unchanged have no part in the path.
            while not position & 1 and position:
                position >>= 1
                last >>= 1
        else:
            result = _node(result, sibling)
        position >>= 1
        last >>= 1
    return last == 0 and hmac.compare_digest(result, root)


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(_NODE + left + right).digest()


def _level_above(level: Sequence[bytes]) -> list[bytes]:
    above = [_node(level[at], level[at + 1]) for at in range(0, len(level) - 1, 2)]
    if len(level) % 2:
        above.append(level[-1])
    return above


def _check(leaves: Sequence[bytes]) -> None:
    if any(len(leaf) != HASH_BYTES for leaf in leaves):
        raise ValueError(f"a leaf is a SHA-256 of {HASH_BYTES} bytes")
