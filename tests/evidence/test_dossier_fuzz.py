"""Whatever a dossier holds, verifying answers: it never raises, never waits and never takes more than it is given."""

from __future__ import annotations

import io
import random
import struct
import time
import tracemalloc
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence.canonical import canonical
from evidence.dossier import messages
from evidence.dossier.faults import MAX_FAULTS, Findings
from evidence.dossier.verifying import verify
from evidence.errors import NotCanonical
from tests.evidence.dossiers import Maker, members_of, rich
from tests.evidence.resealing import KEYS, archived, resealed, stale

MADE = rich()
MEMBERS = members_of(MADE.data)
JSON_MEMBERS = sorted(name for name in MEMBERS if name.endswith((".json", ".jsonl")))

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([0, -1, 2**53, 2**64, 1e300, -0.5, "", "0" * 64, "ab" * 32, "2026-02-30T00:00:00.000000Z"]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.none(), max_size=2),
)


@given(st.binary(max_size=2_000))
@settings(max_examples=300)
def test_any_bytes_are_answered_and_none_are_intact(data: bytes) -> None:
    assert not verify(io.BytesIO(data)).intact


@given(st.lists(st.sampled_from([b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06", b"\0" * 26, b"\xff" * 7]), max_size=60))
@settings(max_examples=200)
def test_any_records_are_answered(parts: list[bytes]) -> None:
    assert not verify(io.BytesIO(b"".join(parts))).intact


@given(st.data())
@settings(max_examples=250)
def test_any_value_in_any_place_is_answered(data: st.DataObject) -> None:
    """A value of any member replaced, removed or added anywhere, with the digests redone around it."""
    name = data.draw(st.sampled_from(JSON_MEMBERS))
    lines = MEMBERS[name].split(b"\n")
    at = data.draw(st.integers(0, max(0, len(lines) - 2)))
    value = orjson.loads(lines[at])
    changed = _changed(value, data)
    try:
        lines[at] = canonical(changed)
    except NotCanonical:
        lines[at] = orjson.dumps(changed) if not _has_large(changed) else b"[1e400]"
    altered = {**MEMBERS, name: b"\n".join(lines)}
    files = stale(altered) if name in (KEYS, "verify/manifest.json") else resealed(altered)
    report = verify(io.BytesIO(files), receipts=MADE.receipts)
    assert report.intact == (not report.faults)


def _has_large(value: Any) -> bool:
    try:
        orjson.dumps(value)
    except orjson.JSONEncodeError:
        return True
    return False


def _changed(value: Any, data: st.DataObject) -> Any:
    """The value with something odd at a place that is drawn."""
    if isinstance(value, dict) and value and data.draw(st.integers(0, 4)):
        name = data.draw(st.sampled_from(sorted(value)))
        if not data.draw(st.integers(0, 5)):
            return {key: item for key, item in value.items() if key != name}
        return {**value, name: _changed(value[name], data)}
    if isinstance(value, list) and value and data.draw(st.integers(0, 4)):
        at = data.draw(st.integers(0, len(value) - 1))
        return [*value[:at], _changed(value[at], data), *value[at + 1 :]]
    return data.draw(ODD)


@given(st.binary(max_size=200), st.sampled_from(sorted(MEMBERS)))
@settings(max_examples=200)
def test_any_bytes_as_a_member_are_answered(data: bytes, name: str) -> None:
    verify(io.BytesIO(stale({**MEMBERS, name: data})), receipts=MADE.receipts)


@given(
    st.text(max_size=300)
    | st.from_regex(r"[A-Za-z0-9_-]{1,90}\.[A-Za-z0-9_-]{1,40}\.[A-Za-z0-9_-]{1,90}", fullmatch=True)
)
@settings(max_examples=150)
def test_any_receipt_is_answered(receipt: str) -> None:
    assert not verify(io.BytesIO(MADE.data), receipts=[receipt]).intact


def test_a_line_is_found_in_order_exactly_where_looking_at_its_parts_finds_nothing() -> None:
    """The fast way through a log against the thorough one, on lines altered in every byte and in every value."""
    maker = Maker(7, "mediator")
    maker.enter("open", "opened", by="buyer")
    maker.file("B-1", "buyer", messages=6, redacted=True)
    rng = random.Random(3)
    agreed = {True: 0, False: 0}
    for value in maker.messages["B-1"]:
        line = canonical(value)
        mutations = [line, *(_mutated(line, rng) for _ in range(1_500))]
        mutations += [canonical(odd) for odd in _odd_values(value)]
        for mutated in mutations:
            found = Findings()
            looked_at = messages._looked_at("log", 1, mutated, found)
            in_order = messages._in_order(mutated)
            assert (in_order is not None) == (not found.faults), (mutated, found.faults)
            assert in_order is None or in_order == looked_at
            agreed[in_order is not None] += 1
    assert agreed[True] >= 6 and agreed[False] > 5_000


def _mutated(line: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(line))
    kind = rng.randrange(4)
    if kind == 0:
        return line[:at] + bytes([line[at] ^ (1 << rng.randrange(8))]) + line[at + 1 :]
    if kind == 1:
        return line[:at] + rng.choice([b" ", b"\\u0041", b"\\n", b"\x00", b"\xff", b'"', b"null", b"0"]) + line[at:]
    if kind == 2:
        return line[:at] + line[at + rng.randrange(1, 9) :]
    return line[:at] + line[at : at + 1].upper() + line[at + 1 :]


def _odd_values(value: dict[str, Any]) -> list[dict[str, Any]]:
    odd: list[dict[str, Any]] = []
    for part in ("text", "sender", "attachments", "leaf"):
        for name in value[part]:
            for other in (None, 1, "", "x", [], {}, [1], "AB" * 32, "0a" * 32, 2**53 - 1, True, -1):
                odd.append({**value, part: {**value[part], name: other}})
    return odd


def test_a_size_that_lies_costs_nothing() -> None:
    data = bytearray(archived([("case.json", b"{}"), ("docket.jsonl", b"")]))
    data[18:26] = b"\xff" * 8
    end = len(data) - 22
    data[end + 8 : end + 20] = b"\xff" * 12
    tracemalloc.start()
    try:
        report = verify(io.BytesIO(bytes(data)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert not report.intact
    assert peak < 2_000_000


def test_a_file_that_is_wrong_everywhere_is_told_of_in_bounds_and_in_time() -> None:
    lines = b"\n" * 3_000_000
    begin = time.monotonic()
    report = verify(io.BytesIO(stale({**MEMBERS, "docket.jsonl": lines})))
    assert len(report.faults) == MAX_FAULTS
    assert report.untold > 0
    records = struct.pack("<4s26x", b"PK\x03\x04") * 70_000 + b"PK\x01\x02" * 500_000
    assert not verify(io.BytesIO(records)).intact
    assert time.monotonic() - begin < 20


def test_values_nested_deeper_than_can_be_walked_are_told_and_not_walked() -> None:
    for depth in (200, 300, 1_000, 100_000):
        deep = b'{"a":' * depth + b"1" + b"}" * depth
        for name in ("case.json", "docket.jsonl", "exhibits/B-1/messages.jsonl", "decisions.json"):
            ended = deep + b"\n" if name.endswith("l") else deep
            assert not verify(io.BytesIO(resealed({**MEMBERS, name: ended}))).intact
    nested: Any = 1
    for _ in range(240):
        nested = [nested]
    decisions = orjson.loads(MEMBERS["decisions.json"])
    decisions[0]["findings"] = nested
    report = verify(io.BytesIO(resealed({**MEMBERS, "decisions.json": canonical(decisions)})))
    assert any(fault.file == "decisions.json" for fault in report.faults)
