"""Honest dossiers: written in one spelling, streamed, and never accused of anything."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

import orjson
import pytest

from evidence import chain
from evidence.canonical import canonical
from evidence.dossier.archive import Writer
from evidence.dossier.verifying import verify
from evidence.dossier.writing import Contents, write
from tests.evidence.dossiers import Maker, honest, key, members_of, rich
from tests.evidence.resealing import KEYS, MANIFEST, archived, resealed


def test_a_thousand_honest_dossiers_are_found_intact() -> None:
    seen: dict[str, int] = {}
    for seed in range(1_000):
        made = honest(seed)
        report = verify(io.BytesIO(made.data), key=made.pem, receipts=made.receipts)
        assert report.intact, (seed, [str(fault) for fault in report.faults])
        assert report.key_checked
        assert (report.counts["exhibits"], report.counts["messages"]) == (made.exhibits, made.messages)
        data = members_of(made.data)
        shapes = {
            "redacted": b'"salt":null' in b"".join(data[name] for name in data if name.endswith("messages.jsonl")),
            "withheld": any(
                line.keys() == {"seq", "hash"} for line in map(orjson.loads, data["docket.jsonl"].splitlines())
            ),
            "sealed": report.counts["seals"] > 1,
            "quoted": report.counts["quotes"] > 0,
            "rotated": b"retired_at" in data[KEYS],
            "no exhibits": report.counts["exhibits"] == 0,
            "several exhibits": report.counts["exhibits"] > 2,
            "an empty log": any(name.endswith("messages.jsonl") and not one for name, one in data.items()),
            "custody": report.counts["custody"] > 0,
        }
        for shape, there in shapes.items():
            seen[shape] = seen.get(shape, 0) + there
    # What is said of all dossiers is only worth something if there were some of each.
    assert all(count >= 10 for count in seen.values()), seen


@pytest.mark.parametrize("reader", ["mediator", "buyer", "seller"])
def test_a_dossier_with_everything_is_intact_for_each_reader(reader: str) -> None:
    made = rich(reader)
    report = verify(io.BytesIO(made.data), key=made.pem, receipts=made.receipts)
    assert report.intact, [str(fault) for fault in report.faults]
    assert report.signed_by == key(1).kid
    assert report.counts == {
        "members": len(members_of(made.data)),
        "entries": 12,
        "seals": 2,
        "decisions": 2,
        "exhibits": 4 if reader == "mediator" else 3,
        "messages": 13 if reader == "mediator" else 11,
        "custody": report.counts["custody"],
        "quotes": 4,
    }


def test_a_dossier_is_written_in_the_one_spelling_that_the_format_describes() -> None:
    """The archive that the tests write by themselves, from the format's words, is the same to the byte."""
    for seed in range(20):
        data = honest(seed).data
        assert archived(sorted(members_of(data).items())) == data
        assert honest(seed).data == data


def test_any_zip_program_can_read_it() -> None:
    with zipfile.ZipFile(io.BytesIO(rich().data)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == sorted(archive.namelist())


def test_a_file_on_disk_and_a_buffer_are_read_alike(tmp_path: Any) -> None:
    made = rich()
    path = tmp_path / "case.zip"
    path.write_bytes(made.data)
    with path.open("rb") as file:
        assert verify(file, key=made.pem) == verify(io.BytesIO(made.data), key=made.pem)


def test_what_follows_from_a_stranger_is_seen_only_with_a_key() -> None:
    """The control of the tampering tests: sealing again what was not altered makes a dossier that is whole."""
    report = verify(io.BytesIO(resealed(members_of(rich().data))))
    assert report.intact
    assert report.signed_by == key(99).kid
    assert not report.key_checked


def test_members_are_written_in_order_and_once() -> None:
    archive = Writer(io.BytesIO())
    archive.add("b", [b"1"])
    for name in ("a", "b"):
        with pytest.raises(ValueError, match="order of their names"):
            archive.add(name, [b"2"])
    with pytest.raises(ValueError, match="ascii"):
        archive.add("ü", [b"2"])


def test_the_manifest_names_every_other_member_and_is_returned() -> None:
    out = io.BytesIO()
    maker = Maker(1, "buyer")
    maker.enter("open", "opened", by="buyer")
    manifest = write(out, _contents(maker), sign=key(0).sign)
    members = members_of(out.getvalue())
    assert canonical(manifest) == members[MANIFEST]
    assert manifest["files"].keys() == members.keys() - {MANIFEST, "verify/manifest.jws"}
    assert verify(io.BytesIO(out.getvalue())).intact


def test_messages_are_streamed_and_never_held_as_one_string() -> None:
    maker = Maker(2, "mediator")
    maker.enter("open", "opened", by="buyer")
    maker.file("B-1", "buyer", messages=2)
    line, count = maker.messages["B-1"][0], 30_000
    maker.exhibits[0]["messages"] = count

    def lines() -> Iterator[Mapping[str, Any]]:
        for _ in range(count):
            yield line

    contents = _contents(maker, messages=lambda label: lines())
    tracemalloc.start()
    try:
        manifest = write(_Counting(), contents, sign=key(0).sign)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    size = manifest["files"]["exhibits/B-1/messages.jsonl"]["size"]
    assert size > 19_000_000
    assert peak < size / 4


class _Counting(io.RawIOBase):
    """A file that keeps nothing."""

    def write(self, data: Any) -> int:
        return len(data)

    def seek(self, at: int, whence: int = 0) -> int:
        return at


def _contents(maker: Maker, **other: Any) -> Contents:
    for exhibit in maker.exhibits:
        exhibit["custody"] = None
    fields: dict[str, Any] = {
        "case": maker.case_member(),
        "docket": maker.lines,
        "seals": [],
        "decisions": [],
        "exhibits": maker.exhibits,
        "messages": maker.messages.__getitem__,
        "custody": maker.custody.__getitem__,
        "content": lambda label: [maker.contents[label]],
        "pages": {"page.en.html": lambda: ["a page"], "page.zh-CN.html": lambda: ["一页"]},
        "keys": maker.keys(),
        "head": {"seq": len(maker.entries), "hash": maker.entries[-1]["hash"]},
        "made_at": chain.instant(maker.at),
        "made_for": maker.reader,
    }
    return Contents(**(fields | other))
