"""The custody chain of an exhibit: its format, and every way of altering it found where it stands."""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence.canonical import canonical
from evidence.chain import GENESIS
from evidence.commitments import commit
from evidence.custody import CustodyAct, breaches, seal_entry

EXHIBIT = "0190f000-0000-7000-8000-000000000001"
OTHER = "0190f000-0000-7000-8000-000000000002"
START = datetime(2026, 11, 5, 2, 0, tzinfo=UTC)
Entry = dict[str, Any]


def chain(length: int, exhibit: str = EXHIBIT) -> list[Entry]:
    made: list[Entry] = []
    for seq in range(1, length + 1):
        value = {"actor": {"role": "buyer", "subject": "buyer-1"}, "what": {"messages": [1, seq]}}
        made.append(
            seal_entry(
                exhibit=exhibit,
                seq=seq,
                prev=made[-1]["hash"] if made else GENESIS,
                at=START + timedelta(minutes=seq),
                act=CustodyAct.filed if seq == 1 else CustodyAct.viewed,
                commitment=commit(value, bytes([seq]) * 32).digest.hex(),
            )
        )
    return made


CHAIN = chain(6)


def found(entries: list[Any], head: str | None = None, exhibit: str | None = EXHIBIT) -> list[tuple[int | None, str]]:
    return [(breach.seq, breach.code) for breach in breaches(entries, head, exhibit=exhibit)]


def resealed(entry: Entry, **changes: Any) -> Entry:
    """The entry with other contents and a hash that fits them."""
    rest = {name: value for name, value in (entry | changes).items() if name != "hash"}
    return {**rest, "hash": hashlib.sha256(canonical(rest)).hexdigest()}


def test_an_entry_has_the_fields_of_the_format_and_its_hash_is_over_the_rest_of_them() -> None:
    first, second = CHAIN[:2]
    assert list(first) == ["v", "exhibit", "seq", "prev", "at", "act", "commitment", "hash"]
    assert (first["v"], first["prev"], first["at"], first["act"]) == (
        1,
        "0" * 64,
        "2026-11-05T02:01:00.000000Z",
        "filed",
    )
    assert second["prev"] == first["hash"]
    assert resealed(first) == first


def test_the_hash_of_a_known_entry_never_changes() -> None:
    assert CHAIN[0]["hash"] == "6842edfdf43dc27c42747d9ecfb3f40755ca2b7ca68b3f93f228f4ffb0b0100f"


def test_the_time_is_written_in_utc_whatever_the_offset() -> None:
    local = START.astimezone(timezone(timedelta(hours=8)))
    sealed = [
        seal_entry(exhibit=EXHIBIT, seq=1, prev=GENESIS, at=at, act=CustodyAct.filed, commitment="ab" * 32)
        for at in (START, local)
    ]
    assert sealed[0] == sealed[1]


@pytest.mark.parametrize(
    "wrong",
    [
        {"seq": 0},
        {"seq": 2},
        {"prev": "ab" * 32},
        {"seq": 2, "prev": "ab" * 31},
        {"commitment": "AB" * 32},
        {"at": START.replace(tzinfo=None)},
    ],
    ids=str,
)
def test_what_is_no_entry_is_not_sealed(wrong: dict[str, Any]) -> None:
    right = {
        "exhibit": EXHIBIT,
        "seq": 1,
        "prev": GENESIS,
        "at": START,
        "act": CustodyAct.filed,
        "commitment": "ab" * 32,
    }
    assert seal_entry(**right)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"entries|SHA-256|instant"):
        seal_entry(**(right | wrong))


@pytest.mark.parametrize("length", [0, 1, 6])
def test_an_honest_chain_has_no_fault(length: int) -> None:
    entries = CHAIN[:length]
    assert found(entries) == []
    assert found(entries, entries[-1]["hash"] if entries else None) == []


def test_a_chain_that_was_cut_off_or_written_anew_is_found_by_its_head() -> None:
    head = CHAIN[-1]["hash"]
    assert found(CHAIN[:4]) == []
    assert found(CHAIN[:4], head) == [(4, "head")]
    assert found([], head) == [(None, "head")]
    anew = [resealed(CHAIN[0], commitment="cd" * 32)]
    for entry in CHAIN[1:]:
        anew.append(resealed(entry, prev=anew[-1]["hash"]))
    assert found(anew) == []
    assert found(anew, head) == [(6, "head")]


@given(st.integers(0, 5), st.sampled_from(["exhibit", "prev", "at", "act", "commitment", "v"]))
def test_an_altered_field_is_found_where_it_stands(index: int, field: str) -> None:
    before = CHAIN[index]
    value = before["v"] + 1 if field == "v" else ("f" if before[field][0] != "f" else "e") + before[field][1:]
    changed: list[Any] = [*CHAIN[:index], {**before, field: value}, *CHAIN[index + 1 :]]
    faults = found(changed)
    assert (index + 1, "hash") in faults
    assert {seq for seq, _ in faults} == {index + 1}
    again = [*CHAIN[:index], resealed(before, **{field: value}), *CHAIN[index + 1 :]]
    assert {seq for seq, _ in found(again, CHAIN[-1]["hash"])} <= {index + 1, index + 2}
    assert found(again, CHAIN[-1]["hash"])


@given(st.integers(0, 5))
def test_a_dropped_entry_is_one_gap_and_a_doubled_one_is_a_double(index: int) -> None:
    dropped = CHAIN[:index] + CHAIN[index + 1 :]
    expected = [(6 - 1, "head")] if index == 5 else [(index + 1, "gap")]
    assert found(dropped, CHAIN[-1]["hash"]) == expected
    doubled = CHAIN[: index + 1] + CHAIN[index:]
    assert found(doubled, CHAIN[-1]["hash"]) == [(index + 1, "duplicate")]


@given(st.permutations(range(6)))
def test_entries_in_another_order_are_named_and_nothing_else_is(order: list[int]) -> None:
    faults = found([CHAIN[place] for place in order], CHAIN[-1]["hash"])
    assert {code for _, code in faults} <= {"out_of_order"}
    assert bool(faults) == (order != sorted(order))


def test_an_inserted_entry_is_found() -> None:
    stranger = resealed(CHAIN[2], commitment="cd" * 32)
    assert found([*CHAIN[:3], stranger, *CHAIN[3:]]) == [(3, "duplicate")]
    assert found([*CHAIN[:2], stranger, *CHAIN[3:]]) == [(4, "prev")]


def test_an_entry_of_another_exhibit_is_found_with_and_without_the_id() -> None:
    assert found(chain(2, OTHER)) == [(1, "wrong_exhibit"), (2, "wrong_exhibit")]
    assert found(chain(2, OTHER), exhibit=None) == []
    foreign = resealed(CHAIN[1], exhibit=OTHER)
    assert found([CHAIN[0], foreign], exhibit=None) == [(2, "wrong_exhibit")]


@pytest.mark.parametrize(
    "broken",
    [
        lambda entry: None,
        lambda entry: "entry",
        lambda entry: [*entry],
        lambda entry: {name: value for name, value in entry.items() if name != "act"},
        lambda entry: {**entry, "more": 1},
        lambda entry: {**entry, "hash": entry["hash"].upper() + "0"},
        lambda entry: {**entry, "hash": None},
        lambda entry: {**entry, "seq": True},
        lambda entry: {**entry, "seq": "2"},
        lambda entry: {**entry, "seq": -2},
        lambda entry: {"seq": entry["seq"], "hash": entry["hash"]},
    ],
)
def test_what_cannot_be_read_is_reported_at_its_place_and_accuses_no_neighbour(broken: Callable[[Entry], Any]) -> None:
    entries: list[Any] = [CHAIN[0], broken(CHAIN[1]), *CHAIN[2:]]
    assert found(entries, CHAIN[-1]["hash"]) == [(2, "malformed")]


@pytest.mark.parametrize("value", ["\ud800", float("nan"), 2**60, object()])
def test_a_field_without_a_canonical_form_is_malformed_and_no_crash(value: object) -> None:
    entries = [CHAIN[0], {**CHAIN[1], "act": value}]
    assert found(entries) == [(2, "malformed")]


def test_a_forged_number_beyond_all_others_costs_nothing() -> None:
    far = resealed(CHAIN[1], seq=2**53 - 1)
    assert found([CHAIN[0], far]) == [(2, "gap")]
