"""Tampering with a chain: every way is found, and named where it was done."""

import copy
import string
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence.chain import GENESIS, breaches, entry_hash, seal_entry

AT = datetime(2026, 11, 3, 9, 30, tzinfo=UTC)
STATES = ["opened", "seller_notified", "negotiating", "negotiating", "seller_refused", "under_review", "decided"]

Entry = dict[str, Any]


def a_chain(length: int = len(STATES), case: str = "c1") -> list[Entry]:
    chain: list[Entry] = []
    for index in range(length):
        chain.append(
            seal_entry(
                case=case,
                seq=index + 1,
                prev=chain[-1]["hash"] if chain else GENESIS,
                at=AT + timedelta(minutes=index),
                type="step",
                from_=chain[-1]["to"] if chain else None,
                to=STATES[index % len(STATES)],
                commitments=["ab" * 32],
            )
        )
    return chain


def withheld(entry: Entry) -> Entry:
    return {"seq": entry["seq"], "hash": entry["hash"]}


def resealed(entry: Entry, **changes: Any) -> Entry:
    altered = {**entry, **changes}
    return {**altered, "hash": entry_hash(altered)}


def found(entries: list[Any], head: str | None = None, case: str | None = None) -> set[tuple[int | None, str]]:
    return {(breach.seq, breach.code) for breach in breaches(entries, head, case=case)}


@given(st.integers(0, 30))
def test_a_chain_as_sealed_has_no_breach(length: int) -> None:
    chain = a_chain(length)
    assert breaches(chain) == []
    assert breaches(chain, chain[-1]["hash"] if chain else None, case="c1") == []


@given(st.integers(1, 12), st.data())
def test_with_any_entries_withheld_a_chain_still_verifies(length: int, data: st.DataObject) -> None:
    chain = a_chain(length)
    hidden = data.draw(st.sets(st.integers(0, length - 1)))
    shown = [withheld(entry) if index in hidden else entry for index, entry in enumerate(chain)]
    assert breaches(shown, chain[-1]["hash"]) == []


@given(st.integers(0, 6), st.data())
def test_one_altered_character_in_any_field_is_found_at_its_entry(index: int, data: st.DataObject) -> None:
    chain = a_chain()
    field = data.draw(st.sampled_from(["case", "prev", "at", "type", "to", "hash"]))
    value = chain[index][field]
    at = data.draw(st.integers(0, len(value) - 1))
    character = data.draw(st.sampled_from([c for c in string.ascii_lowercase + string.digits if c != value[at]]))
    chain[index][field] = value[:at] + character + value[at + 1 :]
    assert index + 1 in {seq for seq, _ in found(chain)}


@given(st.integers(0, 6), st.integers(0, 255))
def test_a_flipped_bit_in_a_commitment_accuses_its_entry_and_no_other(index: int, bit: int) -> None:
    chain = a_chain()
    digest = bytearray.fromhex(chain[index]["commitments"][0])
    digest[bit // 8] ^= 1 << bit % 8
    chain[index]["commitments"][0] = digest.hex()
    assert found(chain, chain[-1]["hash"]) == {(index + 1, "hash")}


@given(st.integers(0, 5))
def test_an_entry_altered_and_resealed_breaks_the_link_of_the_next(index: int) -> None:
    chain = a_chain()
    chain[index] = resealed(chain[index], at="2026-11-03T09:30:00.000001Z")
    assert found(chain, chain[-1]["hash"]) == {(index + 2, "prev")}


def test_the_last_entry_altered_and_resealed_is_found_by_the_head_alone() -> None:
    chain = a_chain()
    head = chain[-1]["hash"]
    chain[-1] = resealed(chain[-1], at="2026-11-03T09:30:00.000001Z")
    assert found(chain) == set()
    assert found(chain, head) == {(7, "head")}


@given(st.integers(0, 5))
def test_a_dropped_entry_is_a_gap_and_nothing_else(index: int) -> None:
    chain = a_chain()
    head = chain[-1]["hash"]
    del chain[index]
    assert found(chain, head) == {(index + 1, "gap")}


def test_a_gap_of_several_entries_is_named_from_first_to_last() -> None:
    chain = a_chain()
    del chain[2:5]
    assert [breach.what for breach in breaches(chain)] == ["entries 3 to 5 are missing"]


def test_dropped_and_renumbered_entries_do_not_link() -> None:
    chain = a_chain()
    del chain[2]
    for entry in chain[2:]:
        entry.update(resealed(entry, seq=entry["seq"] - 1))
    assert (3, "prev") in found(chain)


@given(st.integers(1, 7))
def test_a_truncated_chain_is_found_by_its_head(kept: int) -> None:
    chain = a_chain()
    head = chain[-1]["hash"]
    assert found(chain[:kept]) == set()
    assert found(chain[:kept], head) == (set() if kept == 7 else {(kept, "head")})


def test_entries_after_the_head_are_named() -> None:
    chain = a_chain()
    (breach,) = breaches(chain, chain[4]["hash"])
    assert breach.what == "the head is that of entry 5, yet entries up to 7 follow"


def test_an_emptied_chain_is_found_by_its_head() -> None:
    assert found([], "ab" * 32) == {(None, "head")}
    assert found([]) == set()


@given(st.lists(st.integers(0, 6), min_size=2, max_size=2, unique=True))
def test_swapped_entries_stand_out_of_order(pair: list[int]) -> None:
    chain = a_chain()
    first, second = sorted(pair)
    chain[first], chain[second] = chain[second], chain[first]
    assert {code for _, code in found(chain)} == {"out_of_order"}


@given(st.integers(0, 6), st.integers(0, 7))
def test_a_duplicated_entry_is_named(index: int, where: int) -> None:
    chain = a_chain()
    chain.insert(where, copy.deepcopy(chain[index]))
    assert (index + 1, "duplicate") in found(chain)


@given(st.integers(1, 6))
def test_an_inserted_entry_is_found_even_with_a_sound_hash_and_link(index: int) -> None:
    chain = a_chain()
    before = chain[index - 1]
    forged = seal_entry(
        case="c1",
        seq=index + 1,
        prev=before["hash"],
        at=AT,
        type="forged",
        from_=before["to"],
        to=before["to"],
        commitments=[],
    )
    chain.insert(index, forged)
    assert (index + 1, "duplicate") in found(chain)


@given(st.integers(1, 6))
def test_an_entry_replaced_by_another_cases_is_found(index: int) -> None:
    chain = a_chain()
    chain[index] = a_chain(case="c2")[index]
    assert (index + 1, "wrong_case") in found(chain)
    assert (index + 1, "prev") in found(chain)


def test_a_whole_chain_of_another_case_is_found_when_the_case_is_named() -> None:
    chain = a_chain(2, case="c2")
    assert found(chain) == set()
    assert found(chain, case="c1") == {(1, "wrong_case"), (2, "wrong_case")}


def test_a_state_that_does_not_follow_is_found_though_everything_is_resealed() -> None:
    chain = a_chain(3)
    chain[2] = resealed(chain[2], **{"from": "decided"})
    assert found(chain) == {(3, "state")}


@pytest.mark.parametrize(("field", "value", "code"), [("prev", "ab" * 32, "prev"), ("from", "opened", "state")])
def test_a_first_entry_that_is_not_the_beginning_is_found(field: str, value: str, code: str) -> None:
    chain = [resealed(a_chain(1)[0], **{field: value})]
    assert found(chain) == {(1, code)}


def test_a_withheld_entry_under_a_false_hash_is_found_by_the_next() -> None:
    chain = a_chain()
    chain[3] = {"seq": 4, "hash": "ab" * 32}
    assert found(chain) == {(5, "prev")}


@pytest.mark.parametrize("version", [0, 2, True, "1", None])
def test_another_version_of_the_format_is_found(version: object) -> None:
    chain = [resealed(a_chain(1)[0], v=version)]
    assert found(chain) == {(1, "version")}


@pytest.mark.parametrize(
    ("entry", "seq"),
    [
        ("not an object", None),
        (None, None),
        ({}, None),
        ({"seq": "1", "hash": "ab" * 32}, None),
        ({"seq": True, "hash": "ab" * 32}, None),
        ({"seq": 0, "hash": "ab" * 32}, 0),
        ({"seq": -5, "hash": "ab" * 32}, -5),
        ({"seq": 2}, 2),
        ({"seq": 2, "hash": "AB" * 32}, 2),
        ({"seq": 2, "hash": "ab" * 32, "case": "c1"}, 2),
    ],
)
def test_an_entry_that_cannot_be_read_is_named_and_stops_nothing(entry: object, seq: int | None) -> None:
    first = a_chain(1)
    assert found([*first, entry]) == {(seq, "malformed")}


def test_an_entry_that_cannot_be_hashed_is_named() -> None:
    chain = a_chain(2)
    chain[1]["commitments"] = [float("nan")]
    assert found(chain) == {(2, "malformed")}


def test_a_forged_number_without_measure_costs_no_time() -> None:
    chain = [*a_chain(2), {"seq": 10**30, "hash": "ab" * 32}]
    assert found(chain) == {(3, "gap")}
