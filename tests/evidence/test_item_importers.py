"""Formats of items (JSON, CSV, archives of JSON): what their samples do not say of them."""

from __future__ import annotations

import io
import json
import time
import zipfile
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from evidence.errors import NotAdmitted
from evidence.transcripts import imports
from evidence.transcripts.importers._files import media_type_of
from evidence.transcripts.importers._html import plain
from evidence.transcripts.normal import MessageKind, SenderRole
from evidence.transcripts.pieces import Stated
from tests.evidence.test_importers import source_of

SAID = {"sender": {"role": "buyer", "name": "Ida"}, "sent_at": "2026-11-01T09:00:00", "text": "hi"}


def read(content: bytes, name: str = "x.json", zone: str | None = None, **more: Any) -> imports.Imported:
    with source_of(content, name) as source:
        stated = Stated(ZoneInfo(zone) if zone else None)
        return imports.read(source, stated=stated, participants={}, **more)


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


def codes(found: imports.Imported) -> list[tuple[int | None, str]]:
    return [(one.message_seq, one.code) for one in found.transcript.problems]


def zipped(**files: Any) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, value in files.items():
            archive.writestr(name, value if isinstance(value, str) else json.dumps(value))
    return out.getvalue()


# --- native ------------------------------------------------------------------------------------------------------


def test_the_zone_that_a_native_file_states_holds_where_the_filer_states_none_or_the_same() -> None:
    content = as_json({"timezone": "Asia/Tokyo", "messages": [SAID]})
    for zone in (None, "Asia/Tokyo"):
        [one] = read(content, zone=zone).transcript.messages
        assert str(one.sent_at) == "2026-11-01 00:00:00+00:00"


def test_a_zone_other_than_the_one_that_the_file_states_is_refused() -> None:
    with pytest.raises(NotAdmitted) as refused:
        read(as_json({"timezone": "Asia/Tokyo", "messages": [SAID]}), zone="UTC")
    assert (refused.value.field, refused.value.code) == ("timezone", "timezone_does_not_fit")


@pytest.mark.parametrize("zone", ["Mars/Base", "../../etc/localtime", 9, None, ["UTC"]])
def test_a_zone_in_the_file_that_is_none_is_as_good_as_none(zone: object) -> None:
    content = as_json({"timezone": zone, "messages": [SAID]})
    with pytest.raises(NotAdmitted) as refused:
        read(content)
    assert (refused.value.field, refused.value.code) == ("timezone", "timezone_needed")
    assert str(read(content, zone="Asia/Tokyo").transcript.messages[0].sent_at) == "2026-11-01 00:00:00+00:00"


def test_whoever_files_may_say_another_side_than_the_file() -> None:
    with source_of(as_json([SAID]), "x.json") as source:
        people = {"Ida": SenderRole.seller}
        [one] = imports.read(source, stated=Stated(ZoneInfo("UTC")), participants=people).transcript.messages
    assert one.sender.role is SenderRole.seller


def test_a_number_of_any_length_stops_nothing() -> None:
    content = b'[{"sender": {"role": "buyer", "name": "Ida"}, "text": "hi"}, {"n": ' + b"9" * 10_000 + b"}]"
    found = read(content, format="native")
    assert codes(found) == [(2, "unreadable")]
    assert "9" * 10_000 in found.transcript.messages[1].text


def test_an_item_that_is_too_long_to_be_kept_refuses_the_file() -> None:
    with pytest.raises(NotAdmitted) as refused:
        read(as_json([{**SAID, "sent_at": None}, {"noise": "x" * 20_000}]), format="native")
    assert (refused.value.field, refused.value.code) == ("file", "too_long")
    assert "message 2" in refused.value.detail


# --- problems ----------------------------------------------------------------------------------------------------


def test_remarks_without_number_do_not_crowd_out_what_could_not_be_read() -> None:
    one = {"type": "message", "date_unixtime": "1793869200", "from": "Ole", "edited_unixtime": "1793869201"}
    items = [{**one, "text": str(n), "reactions": [{"emoji": "x"}]} for n in range(2_000)]
    found = read(as_json({"messages": [*items, {"what": 1}]}))
    assert codes(found).count((2_001, "unreadable")) == 1
    told = [code for _, code in codes(found)]
    assert (told.count("edited"), told.count("field_not_read")) == (imports.MAX_REMARKS, imports.MAX_REMARKS)
    assert told[-1] == "more_problems"


# --- CSV ---------------------------------------------------------------------------------------------------------


def test_a_cell_without_end_is_refused_with_its_line() -> None:
    content = 'sender,text\nIda,hi\nIda,"' + "a line of a letter\n" * 10_000
    with pytest.raises(NotAdmitted) as refused:
        read(content.encode(), "x.csv")
    assert (refused.value.field, refused.value.code) == ("file", "too_long")


@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\u2212x"])
def test_what_a_spreadsheet_would_compute_is_a_text(text: str) -> None:
    found = read(f'sender,text\nIda,"{text}"\n'.encode(), "x.csv")
    assert [one.text for one in found.transcript.messages] == [text]


@pytest.mark.parametrize(
    ("written", "read_as"),
    [
        ("2026/11/3 9:05", "2026-11-03 08:05:00+00:00"),
        ("2026-11-03 09:05:07", "2026-11-03 08:05:07+00:00"),
        ("2026-11-03T09:05:07.25+08:00", "2026-11-03 01:05:07.250000+00:00"),
        ("2026/1/3 09:05Z", "2026-01-03 09:05:00+00:00"),
        ("2026/13/3 9:05", "None"),
        ("3/11/2026 9:05", "None"),
        ("2026/11/3", "None"),
        ("45123.5", "None"),
    ],
)
def test_times_as_spreadsheets_write_them(written: str, read_as: str) -> None:
    found = read(f"sender,time,text\nIda,{written},hi\n".encode(), "x.csv", "Europe/Oslo")
    assert str(found.transcript.messages[0].sent_at) == read_as


def test_a_table_of_sides_without_names_is_read_by_its_sides() -> None:
    found = read("角色;内容\n买家;壶裂了\n卖家;补发\n".encode("gb18030"), "x.csv")
    assert [one.sender.role for one in found.transcript.messages] == [SenderRole.buyer, SenderRole.seller]
    assert codes(found) == []


# --- Slack -------------------------------------------------------------------------------------------------------


def test_times_of_slack_are_exact_to_the_microsecond() -> None:
    """Through floating point a third of these would come out one off."""
    stamps = [f"1793606400.{n:06}" for n in range(0, 1_000_000, 997)]
    items = [{"type": "message", "user": "U1", "text": stamp, "ts": stamp} for stamp in reversed(stamps)]
    found = read(zipped(**{"users.json": [], "general/2026-11-02.json": items}), "x.zip")
    assert [one.text for one in found.transcript.messages] == stamps
    assert [f"1793606400.{one.sent_at.microsecond:06}" for one in found.transcript.messages if one.sent_at] == stamps


@pytest.mark.parametrize("day", ["not json", "[1", "", "\x00"])
def test_a_day_of_slack_that_cannot_be_read_refuses_the_export(day: str) -> None:
    said = [{"type": "message", "user": "U1", "text": "hi", "ts": "1793606400.000001"}]
    content = zipped(**{"general/2026-11-02.json": said, "general/2026-11-03.json": day})
    with pytest.raises(NotAdmitted) as refused:
        read(content, "x.zip")
    assert refused.value.field == "file"


def test_an_export_in_a_folder_of_its_own_is_read_too() -> None:
    said = [{"type": "message", "user": "U1", "text": "hi", "ts": "1793606400.000001"}]
    found = read(zipped(**{"shop/users.json": [{"id": "U1", "name": "ina"}], "shop/dm/2026-11-02.json": said}), "x.zip")
    assert [one.sender.name for one in found.transcript.messages] == ["ina"]


# --- Telegram ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ([], ""),
        (["a", "b"], "ab"),
        ([{"type": "bold", "text": "un"}, {"type": "italic", "text": "done"}], "undone"),
        (["at", {"type": "link", "text": "shop.example"}], "atshop.example"),
        ([{"type": "bold", "text": "Link:"}, {"type": "link", "text": "shop.example"}], "Link: shop.example"),
        ([{"type": "bold", "text": "Link:\n"}, {"type": "link", "text": "shop.example"}], "Link:\nshop.example"),
        ([{"type": "bold", "text": "a"}, {"type": ["link"], "text": "b"}], "ab"),
        ([{"type": "bold"}, 7, None, {"type": "code", "text": " x "}], " x "),
    ],
)
def test_marked_up_parts_are_put_together_as_they_stand(parts: list[Any], text: str) -> None:
    one = {"type": "message", "date_unixtime": "1793869200", "from": "Ole"}
    found = read(as_json({"messages": [{**one, "text": parts}, {**one, "text": "end"}]}))
    assert found.transcript.messages[0].text == text


# --- Intercom ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("1 < 2 & 3 > 2", "1 < 2 & 3 > 2"),
        ("<p>one</p>\n<p>two</p>", "one\ntwo"),
        ("one<br><br/>two", "one\n\ntwo"),
        ("<ul><li>one</li><li>two</li></ul>", "one\ntwo"),
        ("<p>&lt;b&gt; &amp;amp; &#39;x&#39; &nbsp;</p>", "<b> &amp; 'x' \u00a0"),
        ('<P CLASS="x">a <B>b</B> <a href="https://x.example">c</a></P>', "a b c"),
        ("a <!-- note --> b", "a <!-- note --> b"),
        ("<script>alert(1)</script>", "alert(1)"),
    ],
)
def test_bodies_in_html_come_out_as_their_words(body: str, text: str) -> None:
    assert plain(body) == (text, [])


def test_images_in_a_body_are_told_by_their_addresses() -> None:
    assert plain("<img src='a.png'><IMG alt=x SRC=b.png><img alt=\"src\"><p>t</p>") == ("t", ["a.png", "b.png"])


@pytest.mark.parametrize(
    "part", ["<", "<a ", "<a b='", '<a b="', "</", "<!--", "&", "&#", "<img src=", "<img src='", "a=b ", "\n", "<p>"]
)
def test_no_body_takes_long(part: str) -> None:
    began = time.monotonic()
    for start, end in (("", ""), ("<a ", ""), ("<img ", ">")):
        plain(start + part * (2_000_000 // len(part)) + end)
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("parts", [None, {}, [], {"conversation_parts": None}, {"conversation_parts": "x"}, "x", 7])
def test_a_conversation_without_parts_is_its_source(parts: object) -> None:
    source = {"body": "<p>hi</p>", "author": {"type": "user", "id": "1", "name": "Ivy"}}
    conversation = {"type": "conversation", "created_at": 1793520000, "source": source, "conversation_parts": parts}
    [one] = read(as_json({"deep": [{"er": conversation}]})).transcript.messages
    assert (one.text, one.sender.name, one.kind) == ("hi", "Ivy", MessageKind.text)


# --- attachments -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ([{"name": "x" * 255, "mimetype": "image/png"}], None),
        ([{"name": "x" * 256}], "too_long"),
        ([{"name": "x", "mimetype": "y" * 201}], "too_long"),
        ([{"name": "x"}] * 51, "too_many_attachments"),
    ],
)
def test_attachments_have_bounds(files: list[dict[str, str]], code: str | None) -> None:
    said = [{"type": "message", "user": "U1", "text": "", "ts": "1793606400.000001", "files": files}]
    content = zipped(**{"dm/2026-11-02.json": said})
    if code is None:
        assert len(read(content, "x.zip").transcript.messages[0].attachments) == 1
        return
    with pytest.raises(NotAdmitted) as refused:
        read(content, "x.zip")
    assert (refused.value.field, refused.value.code) == ("file", code)


def test_what_a_name_says_of_a_file_does_not_depend_on_the_machine() -> None:
    assert media_type_of("a/IMG.JPEG") == "image/jpeg"
    assert media_type_of("voice.m4a") == "audio/mp4"
    assert [media_type_of(name) for name in ("x", ".png", "x.", "x.unheard-of")] == [None] * 4
