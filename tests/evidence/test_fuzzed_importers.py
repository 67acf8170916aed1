"""Importers under whatever admission lets through: no crash, no hang, and every part of the file accounted for."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evidence.errors import NotAdmitted
from evidence.transcripts import imports
from evidence.transcripts.importers import importers
from evidence.transcripts.pieces import DateOrder, Piece, Stated
from tests.evidence.test_importers import ALL, TEXTS, assert_covers, packed, source_of

UTC_ZONE = ZoneInfo("UTC")
STATED = Stated(UTC_ZONE, DateOrder.dmy)
TEXT_FORMATS = ("qianniu", "whatsapp", "signal", "irc", "csv", "jsonl")
FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
#: What formats look for: a file made of these is nearly one of them.
FRAGMENTS = [
    *("2026-11-05 10:00:00", "[2026-11-05, 08:00] ", "05/11/26, 09:12 - ", "[11/5/26, 9:12:01 PM] ", "Ana: "),
    *(" --> ", "撤回了一条消息", "<nick> ", "--- Day changed Fri Nov 06 2026", "* nick", "sender,time,text", "已读"),
    *('{"sender": {"role": "buyer", "name": "x"}, "text": "y"}', "[图片]", "<attached: a.jpg>", "99/99/99, 99:99 - "),
    *('"', ",", ";", "\t", "\u200e", " ", "未读"),
]
LINES = st.lists(st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=12), max_size=5).map("".join), max_size=20)


def accounted(content: bytes, filename: str, format: str) -> None:
    """Import, and see that nothing but a refusal comes of it and that the pieces are the file."""
    pieces: list[Piece] = []
    try:
        with source_of(content, filename) as source:
            text = source.text()
            try:
                found = imports.read(source, format=format, stated=STATED, participants={}, watch=pieces.append)
            except NotAdmitted:
                return
            if format in TEXT_FORMATS and not source.is_archive:
                assert_covers(text, pieces)
            drafts = [one for one in pieces if one.draft is not None]
            assert len(drafts) == len(found.transcript.messages)
    except NotAdmitted:
        return


@pytest.mark.parametrize("format", sorted(TEXT_FORMATS))
@FUZZ
@given(lines=LINES, ending=st.sampled_from(["\n", "\r\n", "\r"]))
def test_texts_made_of_what_formats_look_for(format: str, lines: list[str], ending: str) -> None:
    accounted(ending.join(lines).encode("utf-8", "replace"), "x.txt", format)


@pytest.mark.parametrize("format", ["auto", *sorted(importers())])
@settings(max_examples=60, deadline=None)
@given(content=st.binary(max_size=400), name=st.sampled_from(["x.txt", "x.json", "x.csv", "x.zip"]))
def test_arbitrary_bytes(format: str, content: bytes, name: str) -> None:
    accounted(content, name, format)


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: f"{path.parent.name}/{path.name}")
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_samples_with_lines_lost_doubled_swapped_and_spoilt(path: object, data: st.DataObject) -> None:
    lines = path.read_text("utf-8").split("\n")  # type: ignore[attr-defined]
    for _ in range(data.draw(st.integers(1, 6))):
        at, other = data.draw(st.integers(0, len(lines) - 1)), data.draw(st.integers(0, len(lines) - 1))
        act = data.draw(st.sampled_from(["lose", "double", "swap", "spoil"]))
        if act == "lose" and len(lines) > 1:
            del lines[at]
        elif act == "double":
            lines.insert(other, lines[at])
        elif act == "swap":
            lines[at], lines[other] = lines[other], lines[at]
        else:
            cut = data.draw(st.integers(0, len(lines[at])))
            lines[at] = lines[at][:cut] + data.draw(st.sampled_from(FRAGMENTS)) + lines[at][cut:]
    accounted("\n".join(lines).encode(), path.name, path.parent.name)  # type: ignore[attr-defined]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
SAMPLES_OF_JSON = [path for path in ALL if path.suffix == ".json"]


@pytest.mark.parametrize("path", SAMPLES_OF_JSON, ids=lambda path: f"{path.parent.name}/{path.name}")
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_json_with_a_value_that_is_something_else(path: object, data: st.DataObject) -> None:
    value = json.loads(path.read_text("utf-8"))  # type: ignore[attr-defined]
    for _ in range(data.draw(st.integers(1, 4))):
        node = value
        while isinstance(node, dict | list) and node:
            keys = list(node) if isinstance(node, dict) else list(range(len(node)))
            key = data.draw(st.sampled_from(keys))
            if not isinstance(node[key], dict | list) or not node[key] or data.draw(st.booleans()):
                node[key] = data.draw(JSON)
                break
            node = node[key]
    accounted(json.dumps(value).encode(), "x.json", path.parent.name)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "path", [one for one in ALL if one.is_dir()], ids=lambda path: f"{path.parent.name}/{path.name}"
)
@settings(max_examples=60, deadline=None)
@given(at=st.integers(0, 10_000), byte=st.integers(0, 255))
def test_archives_with_a_byte_that_is_another(path: object, at: int, byte: int) -> None:
    content = bytearray(packed(path))  # type: ignore[arg-type]
    content[at % len(content)] = byte
    accounted(bytes(content), "x.zip", path.parent.name)  # type: ignore[attr-defined]


@pytest.mark.parametrize("format", sorted(TEXT_FORMATS))
@pytest.mark.parametrize(
    "text",
    [
        "[" * 200_000,
        ":" * 200_000,
        " " * 200_000 + "x",
        "1" * 200_000,
        "1/1/1, " * 30_000,
        "A --> " * 40_000,
        "a\n" * 100_000,
        '"' * 99_999,
        "2026-11-05 10:00:00\n" * 20_000,
        "x撤回了" * 30_000,
        "[2026-11-05, 08:00] " * 10_000,
        "\u200e" * 200_000,
    ],
    ids=lambda text: repr(text[:6]),
)
def test_no_text_takes_long(format: str, text: str) -> None:
    """An expression that backtracks would take hours for these; a slow machine takes a second."""
    began = time.monotonic()
    accounted(text.encode(), "x.txt", format)
    assert time.monotonic() - began < 20


# --- there and back ----------------------------------------------------------------------------------------------

WORDS = (
    st.text(
        st.characters(exclude_categories=["Cc", "Cs", "Cf", "Zl", "Zp", "Zs"]) | st.just(" "), min_size=1, max_size=30
    )
    .map(str.strip)
    .filter(bool)
)
ROWS = st.lists(
    st.tuples(st.sampled_from(["Ana", "小林", "Shop.Two"]), st.integers(0, 10**8), WORDS), min_size=1, max_size=12
)
BEGAN = datetime(2020, 1, 13, tzinfo=UTC)


def _csv(rows: list[tuple[str, datetime, str]]) -> str:
    out = io.StringIO()
    csv.writer(out).writerows([["sender", "time", "text"], *([name, at.isoformat(), text] for name, at, text in rows)])
    return out.getvalue()


THERE: dict[str, Callable[[list[tuple[str, datetime, str]]], str]] = {
    "whatsapp": lambda rows: "".join(f"{at:%d/%m/%Y, %H:%M:%S} - {name}: {text}\n" for name, at, text in rows),
    "qianniu": lambda rows: "".join(f"{name}\n{at:%Y-%m-%d %H:%M:%S}\n{text}\n未读\n" for name, at, text in rows),
    "irc": lambda rows: "".join(f"{at:%Y-%m-%d %H:%M:%S} <{name}> {text}\n" for name, at, text in rows),
    "csv": _csv,
    "jsonl": lambda rows: "".join(
        json.dumps({"sender": {"role": "buyer", "name": name}, "sent_at": at.isoformat(), "text": text}) + "\n"
        for name, at, text in rows
    ),
    "native": lambda rows: json.dumps(
        [
            {"sender": {"role": "buyer", "name": name}, "sent_at": at.isoformat(), "text": text}
            for name, at, text in rows
        ]
    ),
    "telegram": lambda rows: json.dumps(
        {
            "messages": [
                {"type": "message", "date_unixtime": str(int(at.timestamp())), "from": name, "text": text}
                for name, at, text in rows
            ]
        }
    ),
}


@pytest.mark.parametrize("format", sorted(THERE))
@FUZZ
@given(rows=ROWS)
def test_what_was_written_in_a_format_is_read_again(format: str, rows: list[tuple[str, int, str]]) -> None:
    timed = [(name, BEGAN + timedelta(seconds=seconds), text) for name, seconds, text in rows]
    if format == "qianniu":
        # A text that is itself a read mark, a time or a recall cannot be told from one.
        timed = [one for one in timed if not one[2].startswith(("已读", "未读")) and "撤回" not in one[2]]
    if not timed:
        return
    filename = {"csv": "x.csv", "native": "x.json", "telegram": "x.json"}.get(format, "x.txt")
    with source_of(THERE[format](timed).encode(), filename) as source:
        found = imports.read(source, format=format, stated=STATED, participants={})
    assert [(one.sender.name, one.sent_at, one.text) for one in found.transcript.messages] == timed
