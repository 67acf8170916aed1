"""Importers under whatever admission lets through: no crash, no hang, and every part of the file accounted for."""

from __future__ import annotations

import csv
import html
import io
import json
import re
import time
import zipfile
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
from evidence.transcripts.source import Source
from tests.evidence.test_importers import ALL, TEXTS, assert_covers, packed, source_of

STATED = Stated(ZoneInfo("UTC"), DateOrder.dmy)
#: Zones ahead of and behind UTC, so that the first and the last hours of the calendar lie outside it.
STATEMENTS = [STATED, Stated(ZoneInfo("Asia/Shanghai"), DateOrder.ymd), Stated(ZoneInfo("America/New_York"))]
TEXT_FORMATS = ("qianniu", "whatsapp", "signal", "irc", "csv", "jsonl")
FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
#: What formats look for: a file made of these is nearly one of them.
FRAGMENTS = [
    *("2026-11-05 10:00:00", "[2026-11-05, 08:00] ", "05/11/26, 09:12 - ", "[11/5/26, 9:12:01 PM] ", "Ana: "),
    *(" --> ", "撤回了一条消息", "<nick> ", "--- Day changed Fri Nov 06 2026", "* nick", "sender,time,text", "已读"),
    *('{"sender": {"role": "buyer", "name": "x"}, "text": "y"}', "[图片]", "<attached: a.jpg>", "99/99/99, 99:99 - "),
    *(
        '"',
        ",",
        ";",
        "\t",
        "\u200e",
        " ",
        "未读",
        "9999-12-31 23:59:59",
        "[0001-01-01, 00:00] ",
        "31/12/9999, 23:59 - ",
    ),
    *("2026/11/3 下午3:05 - ", "2026-02-30 10:00:00", "(file attached)", "image omitted", "]", "-!- ", "\u202f"),
]
LINES = st.lists(st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=12), max_size=5).map("".join), max_size=20)


def accounted(content: bytes, filename: str, format: str, stated: Stated = STATED) -> None:
    """Import, and see that nothing but a refusal comes of it and that the pieces are the file."""
    try:
        with source_of(content, filename) as source:
            if format in TEXT_FORMATS and not source.is_archive:
                covered(source, format, stated)
            pieces: list[Piece] = []
            found = imports.read(source, format=format, stated=stated, participants={}, watch=pieces.append)
            for one in found.transcript.messages:
                json.dumps([one.text, one.sender.name, one.sender.id], ensure_ascii=False).encode()
            assert len([one for one in pieces if one.draft]) == len(found.transcript.messages)
    except NotAdmitted:
        return


def covered(source: Source, format: str, stated: Stated) -> None:
    """The pieces put together are the file, also of one that is refused for what its messages say."""
    importer = importers()[format]
    if importer.likeness(source):
        assert_covers(source.text(), list(importer.pieces(source, stated)), verbatim=format not in ("csv", "jsonl"))


@pytest.mark.parametrize("format", sorted(TEXT_FORMATS))
@FUZZ
@given(lines=LINES, ending=st.sampled_from(["\n", "\r\n", "\r"]), stated=st.sampled_from(STATEMENTS))
def test_texts_made_of_what_formats_look_for(format: str, lines: list[str], ending: str, stated: Stated) -> None:
    accounted(ending.join(lines).encode("utf-8", "replace"), "x.txt", format, stated)


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
    stated = data.draw(st.sampled_from(STATEMENTS))
    accounted("\n".join(lines).encode(), path.name, path.parent.name, stated)  # type: ignore[attr-defined]


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
        "a\n" * 50_000,
        '"' * 99_999,
        "2026-11-05 10:00:00\n" * 20_000,
        "x撤回了" * 30_000,
        "[2026-11-05, 08:00] " * 10_000,
        "\u200e" * 200_000,
        "x 2026-11-05 10:00:00\n" * 10_000,
        "x\n2026-11-05 10:00:00\n" * 10_000,
        "[2026-11-05, 08:00] A: " + "\u200e<attached: xx" * 10_000,
        *(sign * 1_000_000 for sign in "[: 1<"),
        *((sign * 99 + "\n") * 10_000 for sign in "[: 1<"),
        "\n" * 100_000,
    ],
    ids=lambda text: f"{text[:6]!r}{len(text)}",
)
def test_no_text_takes_long(format: str, text: str) -> None:
    """An expression that backtracks would take hours for these; a second is what a slow machine takes."""
    began = time.process_time()
    accounted(text.encode(), "x.txt", format)
    assert time.process_time() - began < 5


def test_an_archive_of_a_thousand_texts_is_looked_through_at_once() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for n in range(999):
            archive.writestr(f"{n}.txt", "no chat\n")
        archive.writestr("x.txt", "13/11/26, 09:12 - Ana: hi\n")
    began = time.process_time()
    with source_of(out.getvalue(), "x.zip") as source:
        found = imports.read(source, stated=STATED, participants={})
    assert [one.text for one in found.transcript.messages] == ["hi"]
    assert time.process_time() - began < 10


# --- there and back ----------------------------------------------------------------------------------------------

WORDS = (
    st.text(
        st.characters(exclude_categories=["Cc", "Cs", "Cf", "Zl", "Zp", "Zs"]) | st.just(" "), min_size=1, max_size=30
    )
    .map(str.strip)
    .filter(bool)
)
TEXTS_SAID = st.lists(WORDS | st.just(""), min_size=1, max_size=4).map("\n".join).map(str.strip).filter(bool)
ROWS = st.lists(
    st.tuples(st.sampled_from(["Ana", "小林", "Shop.Two"]), st.integers(0, 10**8), TEXTS_SAID), min_size=1, max_size=12
)
BEGAN = datetime(2020, 1, 13, tzinfo=UTC)
Rows = list[tuple[str, datetime, str]]


def _csv(rows: Rows) -> str:
    out = io.StringIO()
    csv.writer(out).writerows([["sender", "time", "text"], *([name, at.isoformat(), text] for name, at, text in rows)])
    return out.getvalue()


def _slack(rows: Rows) -> bytes:
    out = io.BytesIO()
    users = [{"id": f"U{n}", "name": name} for n, name in enumerate(sorted({name for name, *_ in rows}))]
    ids = {one["name"]: one["id"] for one in users}
    items = [
        {"type": "message", "user": ids[name], "ts": f"{int(at.timestamp())}.000{n:03}", "text": text}
        for n, (name, at, text) in enumerate(rows)
    ]
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("users.json", json.dumps(users))
        archive.writestr("channels.json", "[]")
        archive.writestr("support/2020-01-13.json", json.dumps(items))
    return out.getvalue()


def _intercom(rows: Rows) -> str:
    says = [
        {"author": {"type": "user", "id": name, "name": name}, "created_at": int(at.timestamp()), "body": _html(text)}
        for name, at, text in rows
    ]
    parts = {"type": "conversation_part.list", "conversation_parts": says[1:]}
    first = {"type": "conversation", "source": says[0], "created_at": says[0]["created_at"]}
    return json.dumps(first | {"conversation_parts": parts})


def _html(text: str) -> str:
    return "".join(f"<p>{html.escape(line)}</p>" for line in text.split("\n"))


THERE: dict[str, Callable[[Rows], str | bytes]] = {
    "whatsapp": lambda rows: "".join(f"{at:%d/%m/%Y, %H:%M:%S} - {name}: {text}\n" for name, at, text in rows),
    "qianniu": lambda rows: "".join(f"{name}\n{at:%Y-%m-%d %H:%M:%S}\n{text}\n未读\n" for name, at, text in rows),
    "irc": lambda rows: "".join(f"{at:%Y-%m-%d %H:%M:%S} <{name}> {text}\n" for name, at, text in rows),
    "csv": _csv,
    "signal": lambda rows: "".join(f"[{at:%Y-%m-%d, %H:%M}] {name}: {text}\n" for name, at, text in rows),
    "slack": _slack,
    "intercom": _intercom,
    "instagram": lambda rows: json.dumps(
        {
            "messages": [
                {
                    "sender_name": name.encode().decode("latin-1"),
                    "timestamp_ms": int(at.timestamp()) * 1000,
                    "content": text.encode().decode("latin-1"),
                }
                for name, at, text in reversed(rows)
            ]
        }
    ),
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


#: Formats in which a message is one line, or in which blank lines of a text are not told from none.
ONE_LINE = ("irc",)
NO_BLANK_LINES = ("intercom",)
SUFFIX = {"csv": "csv", "slack": "zip"} | dict.fromkeys(("native", "telegram", "instagram", "intercom"), "json")


def test_every_format_is_written_and_read_again() -> None:
    assert THERE.keys() == importers().keys()


@pytest.mark.parametrize("format", sorted(THERE))
@FUZZ
@given(rows=ROWS)
def test_what_was_written_in_a_format_is_read_again(format: str, rows: list[tuple[str, int, str]]) -> None:
    timed = [(name, BEGAN + timedelta(seconds=seconds), text) for name, seconds, text in rows]
    if format in ONE_LINE:
        timed = [(name, at, text.replace("\n", " ")) for name, at, text in timed]
    if format in NO_BLANK_LINES:
        timed = [(name, at, re.sub("\n+", "\n", text)) for name, at, text in timed]
    if format == "signal":
        timed = [(name, at.replace(second=0), text) for name, at, text in timed]
    if format in ("slack", "instagram"):
        # The one is put in the order of its times, and of the other its times tell which end is the first.
        timed.sort(key=lambda row: row[1])
    written = THERE[format](timed)
    content = written if isinstance(written, bytes) else written.encode()
    with source_of(content, f"x.{SUFFIX.get(format, 'txt')}") as source:
        found = imports.read(source, format=format, stated=STATED, participants={})
    said = [(one.sender.name, one.sent_at, one.text) for one in found.transcript.messages]
    if format == "slack":
        said = [(name, at and at.replace(microsecond=0), text) for name, at, text in said]
    assert said == timed
