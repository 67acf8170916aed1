import hashlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence.commitments import SALT_BYTES, commit, opens
from evidence.errors import NotCanonical

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
SALT = st.binary(min_size=SALT_BYTES, max_size=SALT_BYTES)


def test_a_commitment_is_the_sha_256_of_zero_salt_and_canonical_form() -> None:
    salt = bytes(range(32))
    by_hand = hashlib.sha256(b"\x00" + salt + '{"id":"b1","name":"张三"}'.encode()).digest()
    commitment = commit({"name": "张三", "id": "b1"}, salt)
    assert commitment.digest == by_hand
    assert commitment.salt == salt


def test_without_a_salt_each_commitment_has_its_own_of_32_bytes() -> None:
    first, second = commit("明天发货"), commit("明天发货")
    assert len(first.salt) == len(second.salt) == SALT_BYTES == 32
    assert first.salt != second.salt
    assert first.digest != second.digest


@given(TEXT, SALT)
def test_a_commitment_opens_with_its_salt_and_value(value: str, salt: bytes) -> None:
    assert opens(commit(value, salt).digest, salt, value)


@given(TEXT, TEXT, SALT)
def test_a_commitment_opens_with_no_other_value(value: str, other: str, salt: bytes) -> None:
    assert opens(commit(value, salt).digest, salt, other) == (value == other)


@given(SALT, st.integers(0, 255))
def test_a_commitment_opens_under_no_salt_that_differs_by_a_bit(salt: bytes, bit: int) -> None:
    flipped = bytearray(salt)
    flipped[bit // 8] ^= 1 << bit % 8
    assert not opens(commit("x", salt).digest, bytes(flipped), "x")


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_salt_of_another_length_is_refused_and_opens_nothing(length: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        commit("x", b"s" * length)
    assert not opens(commit("x").digest, b"s" * length, "x")


def test_a_value_without_canonical_form_is_refused() -> None:
    with pytest.raises(NotCanonical):
        commit("\ud800")


def test_a_commitment_costs_well_under_a_millisecond() -> None:
    started = time.perf_counter()
    for _ in range(1_000):
        commit({"id": "buyer-1", "name": "张三"})
    # Some 10 µs each; the limit is generous for busy machines and still catches a slow salt or form.
    assert time.perf_counter() - started < 0.5
