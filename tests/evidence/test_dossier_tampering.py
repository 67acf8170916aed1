"""Tampering with a dossier: every way is found, and named where it was done."""

from __future__ import annotations

import io
import random
from collections.abc import Iterable

import pytest

from evidence.dossier.faults import Report
from evidence.dossier.verifying import verify
from tests.evidence import tampering
from tests.evidence.dossiers import honest, rich
from tests.evidence.resealing import Altered

#: One alteration is not told as fifty, unless it was done to every member.
FEW = 15


def _report(altered: Altered) -> Report:
    return verify(io.BytesIO(altered.data), key=altered.pem, receipts=altered.receipts)


def _unfound(alterations: Iterable[Altered]) -> tuple[int, list[str]]:
    """How many were tried, and those that were not found, or not at their place."""
    tried, wrong = 0, []
    for altered in alterations:
        tried += 1
        report = _report(altered)
        if report.intact or not any(
            fault.file == altered.file and fault.place.startswith(altered.place) for fault in report.faults
        ):
            told = [str(fault) for fault in report.faults[:4]]
            wrong.append(f"{altered.name}: wanted {altered.file}, {altered.place}; got {told}")
        elif len(report.faults) > FEW and not altered.name.startswith(("a member with data", "a member all")):
            wrong.append(f"{altered.name}: told as {len(report.faults)} faults")
    return tried, wrong


@pytest.mark.parametrize("reader", ["mediator", "buyer"])
def test_every_alteration_is_found_and_its_place_is_named(reader: str) -> None:
    tried, wrong = _unfound(tampering.everything(rich(reader)))
    assert not wrong, "\n".join(wrong)
    assert tried > 800


@pytest.mark.parametrize("reader", ["mediator", "seller"])
def test_a_bit_flipped_in_any_member_is_found_there(reader: str) -> None:
    tried, wrong = _unfound(tampering.bits_of_members(rich(reader), random.Random(1)))
    assert not wrong, "\n".join(wrong)
    assert tried > 200


def test_a_bit_flipped_anywhere_in_the_file_is_found_there() -> None:
    tried, wrong = _unfound(tampering.bits_of_the_archive(rich(), random.Random(2), 1_000))
    assert not wrong, "\n".join(wrong)
    assert tried == 1_000


def test_every_bit_of_a_small_dossiers_records_counts() -> None:
    """All bits of every header, record and the end of the archive, where a lenient reader would look away."""
    made = min((honest(seed) for seed in range(60)), key=lambda one: len(one.data))
    records = [(start, min(end, start + 46)) for start, end, _ in tampering.extents_of(made.data)]
    for start, end in records:
        for position in range(start, end):
            data = tampering.flipped(made.data, position, position % 8)
            assert not verify(io.BytesIO(data)).intact, position


def test_without_the_readers_key_a_strangers_dossier_is_whole() -> None:
    """The control: it is the key that tells, and nothing else."""
    for altered in tampering.strangers(rich()):
        assert verify(io.BytesIO(altered.data)).intact, altered.name


def test_without_what_was_kept_a_rolled_back_record_is_whole() -> None:
    rolled = [altered for altered in tampering.rollbacks(rich()) if altered.name.startswith("rolled back")]
    assert len(rolled) == 4
    for altered in rolled:
        assert verify(io.BytesIO(altered.data)).intact, altered.name


def test_a_changed_message_is_named_by_number_and_part_and_told_once() -> None:
    for altered in tampering.everything(rich()):
        if altered.name == "value of text of message 1, stale":
            assert [str(fault) for fault in _report(altered).faults] == [
                "exhibits/B-1/messages.jsonl, contents: they are not those that the manifest names",
                "exhibits/B-1/messages.jsonl, message 1: its text does not open c_text",
            ]
            return
    raise AssertionError("there is no such alteration")


def test_a_dossier_cut_off_on_its_way_is_not_intact_at_any_length() -> None:
    made = min((honest(seed) for seed in range(60)), key=lambda one: len(one.data))
    for size in range(0, len(made.data), 37):
        assert not verify(io.BytesIO(made.data[:size])).intact
