"""Every format, by its samples: what goes in comes out, whatever the encoding and the line endings.

A sample of a format is `NAME.ext` (or a folder `NAME.zip`, packed here) with `NAME.expected.json` beside it.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from evidence.admission import admit
from evidence.errors import NotAdmitted
from evidence.transcripts import imports
from evidence.transcripts.importers import importers
from evidence.transcripts.normal import MessageKind, SenderRole
from evidence.transcripts.pieces import DateOrder, Piece, PieceKind, Stated
from evidence.transcripts.source import Source

SAMPLES = Path(__file__).parent / "transcripts"
ALL = sorted(path for path in SAMPLES.glob("*/*") if not path.name.endswith(".expected.json"))
TEXTS = [
    path
    for path in ALL
    if path.parent.name in ("qianniu", "whatsapp", "signal", "irc", "csv", "jsonl") and path.is_file()
]
UTC = ZoneInfo("UTC")


_LINE_END = re.compile(r"\r\n?")


def is_verbatim(path: Path) -> bool:
    """Whether messages stand in the text as they are; in CSV and JSON they are quoted."""
    return path.parent.name not in ("csv", "jsonl")


def packed(path: Path) -> bytes:
    """A sample's bytes; of a folder, the zip of it."""
    if path.is_file():
        return path.read_bytes()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for one in sorted(path.rglob("*")):
            if one.is_file():
                archive.write(one, one.relative_to(path).as_posix())
    return out.getvalue()


def expected_of(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((path.parent / f"{path.name.split('.')[0]}.expected.json").read_text("utf-8"))
    return found


@contextmanager
def source_of(content: bytes, filename: str) -> Iterator[Source]:
    """The content as it would be filed."""
    with admit(io.BytesIO(content), filename=filename) as admitted:
        yield Source(admitted.file, filename=filename, media_type=admitted.media_type, encoding=admitted.encoding)


def stated_of(expected: dict[str, Any]) -> Stated:
    zone, order = expected["timezone"], expected["date_order"]
    return Stated(ZoneInfo(zone) if zone else None, DateOrder(order) if order else None)


def read(content: bytes, path: Path, expected: dict[str, Any], **more: Any) -> tuple[imports.Imported, list[Piece]]:
    seen: list[Piece] = []
    people = {name: SenderRole(role) for name, role in expected["participants"].items()}
    with source_of(content, path.name) as source:
        options = {"stated": stated_of(expected), "participants": people, "watch": seen.append} | more
        return imports.read(source, **options), seen


def shown(found: imports.Imported, expected: dict[str, Any]) -> list[dict[str, Any]]:
    """The messages as the expectation writes them: only what it speaks of."""
    zone = ZoneInfo(expected["timezone"]) if expected["timezone"] else UTC
    rows = []
    for message, wanted in zip(found.transcript.messages, expected["messages"], strict=True):
        local = None if message.sent_at is None else message.sent_at.astimezone(zone).replace(tzinfo=None).isoformat()
        if local and wanted["sent_at"] and wanted["sent_at"].endswith("Z"):
            local = message.sent_at.isoformat().replace("+00:00", "Z") if message.sent_at else None
        row: dict[str, Any] = {
            "seq": message.seq,
            "sender": message.sender.name,
            "sent_at": local,
            "kind": message.kind.value,
            "text": message.text,
            "role": message.sender.role.value,
            "attachments": [
                {"name": one.name, "media_type": one.media_type, "sha256": one.sha256} for one in message.attachments
            ],
        }
        rows.append({name: row[name] for name in wanted})
    return rows


def test_every_format_has_a_folder_of_samples() -> None:
    assert {path.name for path in SAMPLES.iterdir()} == set(importers())
    assert {path.parent.name for path in ALL} == set(importers())


@pytest.mark.parametrize("path", ALL, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_sample_comes_out_message_for_message(path: Path) -> None:
    expected = expected_of(path)
    found, _ = read(packed(path), path, expected)
    assert found.format == path.parent.name, "auto takes it for another format"
    assert shown(found, expected) == expected["messages"]
    problems = [{"line": one.line, "seq": one.message_seq, "code": one.code} for one in found.transcript.problems]
    assert problems == expected["problems"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "gb18030"])
@pytest.mark.parametrize("path", TEXTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_the_encoding_makes_no_difference(path: Path, encoding: str) -> None:
    expected = expected_of(path)
    found, _ = read(path.read_text("utf-8").encode(encoding), path, expected)
    assert shown(found, expected) == expected["messages"]


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: f"{path.parent.name}/{path.name}")
@pytest.mark.parametrize("ending", ["\r\n", "\r"])
def test_line_endings_make_no_difference(path: Path, ending: str) -> None:
    expected = expected_of(path)
    found, pieces = read(path.read_text("utf-8").replace("\n", ending).encode(), path, expected)
    assert shown(found, expected) == expected["messages"]
    assert_covers(path.read_text("utf-8").replace("\n", ending), pieces, verbatim=is_verbatim(path))


def assert_covers(text: str, pieces: list[Piece], *, verbatim: bool = True) -> None:
    """The pieces put together are the text; each message's span holds its lines as they stand, if `verbatim`."""
    assert "".join(text[one.start : one.end] for one in pieces) == text
    at = 0
    for one in pieces:
        assert one.start == at and one.end >= one.start
        at = one.end
        if one.kind is PieceKind.blank and verbatim:
            assert not text[one.start : one.end].strip()
        elif one.draft is not None and one.draft.kind is not MessageKind.recall and verbatim:
            assert _LINE_END.sub("\n", text[one.start : one.end]).removesuffix("\n") == one.draft.text


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_the_pieces_of_a_text_cover_it(path: Path) -> None:
    _, pieces = read(path.read_bytes(), path, expected_of(path))
    assert_covers(path.read_text("utf-8"), pieces, verbatim=is_verbatim(path))


@pytest.mark.parametrize("path", [p for p in ALL if p not in TEXTS], ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_item_of_a_list_is_one_piece(path: Path) -> None:
    found, pieces = read(packed(path), path, expected_of(path))
    drafts = [one for one in pieces if one.draft is not None]
    assert len(drafts) == len(found.transcript.messages)
    if path.parent.name != "whatsapp":
        assert [(one.start, one.end) for one in pieces] == [(n, n + 1) for n in range(len(pieces))]


LOCAL = [
    path
    for path in ALL
    if expected_of(path)["timezone"] and path.parent.name not in ("jsonl",) and path.name != "dateless.txt"
]


@pytest.mark.parametrize("path", LOCAL, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_zone_that_is_needed_is_asked_for(path: Path) -> None:
    expected = expected_of(path)
    with pytest.raises(NotAdmitted) as refused:
        read(packed(path), path, expected, stated=Stated(None, stated_of(expected).date_order))
    assert (refused.value.field, refused.value.code) == ("timezone", "timezone_needed")


def test_a_participant_who_says_nothing_is_refused() -> None:
    path = SAMPLES / "signal" / "talk.txt"
    with pytest.raises(NotAdmitted) as refused:
        read(path.read_bytes(), path, expected_of(path), participants={"Kim Lea": SenderRole.buyer})
    assert (refused.value.field, refused.value.code) == ("participants", "unknown_participant")
    assert "Kim" not in str(refused.value)


def test_senders_named_for_neither_side_are_staff_and_told_once_each() -> None:
    path = SAMPLES / "signal" / "talk.txt"
    found, _ = read(path.read_bytes(), path, expected_of(path), participants={"Kim Lee": SenderRole.buyer})
    assert [one.sender.role for one in found.transcript.messages] == [SenderRole.buyer, SenderRole.staff]
    assert [(one.line, one.code) for one in found.transcript.problems] == [(3, "sender_not_named")]


@pytest.mark.parametrize("path", ALL, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_no_other_format_is_as_like_a_sample_as_its_own(path: Path) -> None:
    with source_of(packed(path), path.name) as source:
        likely = {name: one.likeness(source) for name, one in importers().items()}
    own = likely.pop(path.parent.name)
    assert own >= imports.SURE
    assert max(likely.values()) < own


NO_CHATS = [
    "Shall I compare thee\nto a summer's day?\n",
    "a,b\n1,2\n",
    "order,paid_at\n1,2026-11-03 09:20:55\n2,2026-11-03 09:21:55\n",
    "started 2026-11-03 09:20:55\nstopped 2026-11-03 09:21:55\n",
    "春夜喜雨\n2026-11-03 09:20:55\n" + "好雨知时节，当春乃发生。\n" * 60,
    "10:00 coffee\n10:30 bread\n",
    "[1] A note: see below\n[2] Another: see above\n",
    "{}",
    "[]",
    '[{"a": 1}]',
]


@pytest.mark.parametrize("text", NO_CHATS, ids=lambda text: repr(text[:12]))
def test_what_is_no_conversation_is_not_taken_for_one(text: str) -> None:
    name = "x.json" if text.endswith(("}", "]")) else "x.txt"
    with source_of(text.encode(), name) as source, pytest.raises(NotAdmitted) as refused:
        imports.read(source, stated=Stated(UTC), participants={})
    assert (refused.value.field, refused.value.code) == ("format", "format_not_recognised")


@pytest.mark.parametrize(("format", "code"), [("fax", "unknown_format"), ("slack", "not_this_format")])
def test_a_format_that_does_not_fit_is_refused(format: str, code: str) -> None:
    with source_of(b"hello\n", "x.txt") as source, pytest.raises(NotAdmitted) as refused:
        imports.read(source, format=format, stated=Stated(UTC), participants={})
    assert (refused.value.field, refused.value.code) == ("format", code)


def test_a_text_that_no_message_may_have_is_refused_with_its_line() -> None:
    text = "[2026-11-05, 08:00] Kim: " + "x" * 20_001
    with source_of(text.encode(), "x.txt") as source, pytest.raises(NotAdmitted) as refused:
        imports.read(source, stated=Stated(UTC), participants={})
    assert refused.value.code == "too_long" and "line 1" in refused.value.detail


def test_more_problems_than_anyone_reads_are_counted() -> None:
    text = "".join(f"[2026-11-05, 08:{59 - n % 60:02}] Kim: {n}\n" for n in range(3_000))
    with source_of(text.encode(), "x.txt") as source:
        found = imports.read(source, stated=Stated(UTC), participants={"Kim": SenderRole.buyer})
    assert len(found.transcript.messages) == 3_000
    assert len(found.transcript.problems) == imports.MAX_PROBLEMS + 1
    assert found.transcript.problems[-1].code == "more_problems"
