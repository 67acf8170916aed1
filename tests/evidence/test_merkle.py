"""The Merkle tree against the published vectors of RFC 6962, and against its recursive definition."""

import hashlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence.merkle import EMPTY_ROOT, inclusion_proof, root, verify_inclusion

# The data and tree heads of the test vectors of Certificate Transparency (RFC 6962), sizes 1 to 8.
DATA = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
HEADS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
# The audit paths of the same test vectors, by leaf (from 1) and size of the tree.
PATHS = {
    (1, 1): [],
    (1, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (6, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (3, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
    (2, 5): [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
LEAVES = [hashlib.sha256(b"\x00" + bytes.fromhex(data)).digest() for data in DATA]
MANY = [hashlib.sha256(str(number).encode()).digest() for number in range(300)]


def node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def by_definition(leaves: list[bytes]) -> bytes:
    """The recursive definition of RFC 6962 section 2.1, spelt out."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node(by_definition(leaves[:split]), by_definition(leaves[split:]))


def path_by_definition(leaves: list[bytes], index: int) -> list[bytes]:
    """The recursive definition of the audit path, RFC 6962 section 2.1.1."""
    if len(leaves) == 1:
        return []
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    if index < split:
        return [*path_by_definition(leaves[:split], index), by_definition(leaves[split:])]
    return [*path_by_definition(leaves[split:], index - split), by_definition(leaves[:split])]


def root_by_path(leaf: bytes, index: int, size: int, path: list[bytes]) -> bytes:
    """The root that a path leads to, by the definition of the path read from its end, where the topmost split is."""
    if size == 1:
        assert path == []
        return leaf
    split = 1
    while split * 2 < size:
        split *= 2
    if index < split:
        return node(root_by_path(leaf, index, split, path[:-1]), path[-1])
    return node(path[-1], root_by_path(leaf, index - split, size - split, path[:-1]))


@pytest.mark.parametrize("size", range(1, 9))
def test_the_heads_are_those_of_the_rfc_6962_vectors(size: int) -> None:
    assert root(LEAVES[:size]).hex() == HEADS[size - 1]
    # The vectors themselves, by a recursion that shares nothing with the code.
    assert by_definition(LEAVES[:size]).hex() == HEADS[size - 1]


@pytest.mark.parametrize(("leaf", "size"), PATHS)
def test_the_audit_paths_are_those_of_the_rfc_6962_vectors(leaf: int, size: int) -> None:
    path = [bytes.fromhex(part) for part in PATHS[leaf, size]]
    assert inclusion_proof(LEAVES[:size], leaf - 1) == path
    assert path_by_definition(LEAVES[:size], leaf - 1) == path
    assert root_by_path(LEAVES[leaf - 1], leaf - 1, size, path).hex() == HEADS[size - 1]
    assert verify_inclusion(LEAVES[leaf - 1], leaf - 1, size, path, bytes.fromhex(HEADS[size - 1]))
    for other in range(1, 9):
        if other != size:
            assert not verify_inclusion(LEAVES[leaf - 1], leaf - 1, other, path, bytes.fromhex(HEADS[other - 1]))


def test_every_path_in_every_small_tree_is_that_of_the_definition_and_leads_to_its_root() -> None:
    for size in range(1, 66):
        leaves = MANY[:size]
        head = by_definition(leaves)
        assert root(leaves) == head
        for index in range(size):
            path = inclusion_proof(leaves, index)
            assert path == path_by_definition(leaves, index)
            assert root_by_path(leaves[index], index, size, path) == head
            assert verify_inclusion(leaves[index], index, size, path, head)


@given(st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=40), st.data())
def test_a_proof_is_accepted_exactly_where_the_definition_leads_to_the_root(
    leaves: list[bytes], data: st.DataObject
) -> None:
    size = len(leaves)
    index = data.draw(st.integers(0, size - 1))
    other = data.draw(st.sampled_from(leaves))
    path = path_by_definition(leaves, index)
    leads = root_by_path(other, index, size, path) == by_definition(leaves)
    assert verify_inclusion(other, index, size, path, root(leaves)) == leads


def test_the_empty_tree_is_the_hash_of_nothing() -> None:
    assert root([]) == EMPTY_ROOT == hashlib.sha256().digest()


def test_a_tree_of_three_is_what_it_is_by_hand() -> None:
    a, b, c = LEAVES[:3]
    assert root([a, b, c]) == node(node(a, b), c)
    assert inclusion_proof([a, b, c], 0) == [b, c]
    assert inclusion_proof([a, b, c], 2) == [node(a, b)]


@given(st.integers(1, 300), st.data())
def test_root_and_path_are_those_of_the_recursive_definition(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    leaves = MANY[:size]
    assert root(leaves) == by_definition(leaves)
    assert inclusion_proof(leaves, index) == path_by_definition(leaves, index)


@given(st.integers(1, 300), st.data())
def test_a_proof_verifies_for_its_leaf_at_its_place_and_nowhere_else(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    leaves = MANY[:size]
    head, proof = root(leaves), inclusion_proof(leaves, index)
    assert verify_inclusion(leaves[index], index, size, proof, head)
    for other in range(size):
        assert verify_inclusion(leaves[index], other, size, proof, head) == (other == index)
        assert verify_inclusion(leaves[other], index, size, proof, head) == (other == index)


@given(st.integers(2, 300), st.data())
def test_a_proof_altered_by_a_bit_a_hash_more_or_a_hash_less_does_not_verify(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    leaves = MANY[:size]
    head, proof = root(leaves), inclusion_proof(leaves, index)
    at, bit = data.draw(st.integers(0, len(proof) - 1)), data.draw(st.integers(0, 255))
    flipped = bytearray(proof[at])
    flipped[bit // 8] ^= 1 << bit % 8
    assert not verify_inclusion(leaves[index], index, size, [*proof[:at], bytes(flipped), *proof[at + 1 :]], head)
    assert not verify_inclusion(leaves[index], index, size, [*proof, proof[at]], head)
    assert not verify_inclusion(leaves[index], index, size, proof[:at] + proof[at + 1 :], head)


def test_a_node_cannot_pass_for_a_leaf() -> None:
    a, b, c, d = LEAVES[:4]
    assert not verify_inclusion(node(a, b), 0, 4, [node(c, d)], root([a, b, c, d]))


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 0), (5, 2)])
def test_a_place_outside_the_tree_verifies_nothing(index: int, size: int) -> None:
    assert not verify_inclusion(LEAVES[0], index, size, [], LEAVES[0])


def test_parts_of_another_length_verify_nothing() -> None:
    assert not verify_inclusion(b"short", 0, 1, [], b"short")
    assert not verify_inclusion(LEAVES[0], 0, 2, [b"short"], root(LEAVES[:2]))


def test_leaves_that_are_no_hashes_and_indexes_that_are_not_there_are_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        root([b"short"])
    with pytest.raises(IndexError):
        inclusion_proof(LEAVES, 8)
    with pytest.raises(IndexError):
        inclusion_proof(LEAVES, -1)


def test_a_hundred_thousand_leaves_take_about_a_tenth_of_a_second() -> None:
    leaves = [hashlib.sha256(number.to_bytes(4)).digest() for number in range(100_000)]
    started = time.perf_counter()
    head = root(leaves)
    proof = inclusion_proof(leaves, 77_777)
    assert time.perf_counter() - started < 3
    assert verify_inclusion(leaves[77_777], 77_777, 100_000, proof, head)
