"""What is peculiar to formats in text: orders of dates, lines that are not what they look like, chats in archives."""

from __future__ import annotations

import io
import re
import zipfile
from zoneinfo import ZoneInfo

import pytest

from evidence.errors import NotAdmitted
from evidence.transcripts import imports
from evidence.transcripts.normal import MessageKind
from evidence.transcripts.pieces import DateOrder, Piece, Stated
from tests.evidence.test_importers import SAMPLES, UTC, assert_covers, packed, source_of

SHANGHAI = ZoneInfo("Asia/Shanghai")
IN_UTC = Stated(UTC)


def imported(content: str | bytes, stated: Stated = IN_UTC, format: str = imports.AUTO) -> imports.Imported:
    """A text, or an archive, as it is imported with nobody named."""
    raw, name = (content, "x.zip") if isinstance(content, bytes) else (content.encode(), "x.txt")
    with source_of(raw, name) as source:
        return imports.read(source, format=format, stated=stated, participants={})


def said(content: str | bytes, stated: Stated = IN_UTC, format: str = imports.AUTO) -> list[tuple[str | None, str]]:
    """Who said what."""
    return [(one.sender.name, one.text) for one in imported(content, stated, format).transcript.messages]


def codes(content: str | bytes, stated: Stated = IN_UTC) -> list[tuple[int | None, str]]:
    """What was noticed, with its line, save who was named for no side."""
    problems = imported(content, stated).transcript.problems
    return [(one.line, one.code) for one in problems if one.code != "sender_not_named"]


# --- dates -------------------------------------------------------------------------------------------------------

AMBIGUOUS = "03/04/26, 09:12 - Ana: hi\n05/06/26, 09:12 - Shop: hi\n"


def _dated(text: str, order: DateOrder | None) -> list[str]:
    return [str(one.sent_at)[:10] for one in imported(text, Stated(UTC, order)).transcript.messages]


def test_an_order_of_day_and_month_that_nothing_proves_is_asked_for() -> None:
    with pytest.raises(NotAdmitted) as refused:
        _dated(AMBIGUOUS, None)
    assert (refused.value.field, refused.value.code) == ("date_order", "date_order_needed")
    assert _dated(AMBIGUOUS, DateOrder.dmy) == ["2026-04-03", "2026-06-05"]
    assert _dated(AMBIGUOUS, DateOrder.mdy) == ["2026-03-04", "2026-05-06"]


def test_one_date_in_the_whole_file_proves_the_order_of_all() -> None:
    assert _dated(AMBIGUOUS + "25/06/26, 09:12 - Ana: hi\n", None) == ["2026-04-03", "2026-06-05", "2026-06-25"]


def test_an_order_that_the_dates_contradict_is_refused() -> None:
    with pytest.raises(NotAdmitted) as refused:
        _dated(AMBIGUOUS + "25/06/26, 09:12 - Ana: hi\n", DateOrder.mdy)
    assert (refused.value.field, refused.value.code) == ("date_order", "date_order_does_not_fit")


def test_dates_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(NotAdmitted) as refused:
        _dated("25/06/26, 09:12 - Ana: hi\n06/25/26, 09:12 - Ana: hi\n", None)
    assert (refused.value.field, refused.value.code) == ("date_order", "date_order_does_not_fit")


def test_a_number_that_can_only_be_a_year_proves_that_it_comes_first() -> None:
    assert _dated("99/12/31, 09:12 - Ana: hi\n", None) == ["2099-12-31"]
    # 26 may be a day as well, and whoever writes the year first writes all of it: only the filer knows better.
    assert _dated("26/11/05, 09:12 - Ana: hi\n", None) == ["2005-11-26"]
    assert _dated("26/11/05, 09:12 - Ana: hi\n", DateOrder.ymd) == ["2026-11-05"]


@pytest.mark.parametrize("line", ["99/99/99, 10:00 - Ana: x", "31/02/26, 10:00 - Ana: x", "25/06/26, 24:61 - Ana: x"])
def test_a_date_that_is_none_proves_nothing_and_keeps_its_sender(line: str) -> None:
    text = f"25/06/26, 09:12 - Bo: hi\n{line}\n"
    assert _dated(text, None) == ["2026-06-25", "None"]
    assert said(text) == [("Bo", "hi"), ("Ana", "x")]
    assert codes(text) == [(2, "unreadable_time")]


@pytest.mark.parametrize(
    ("zone", "text"),
    [
        ("Asia/Shanghai", "[0001-01-01, 00:00] Ana: x\n"),
        ("America/New_York", "[9999-12-31, 23:59] Ana: x\n"),
        ("America/New_York", "31/12/9999, 23:59 - Ana: x\n"),
        ("America/New_York", "Ana\n9999-12-31 23:59:59\nx\n"),
        ("America/New_York", "9999-12-31 23:59:59 <Ana> x\n"),
    ],
)
def test_a_time_outside_the_calendar_is_told_and_its_message_kept(zone: str, text: str) -> None:
    assert said(text, Stated(ZoneInfo(zone))) == [("Ana", "x")]
    assert codes(text, Stated(ZoneInfo(zone))) == [(1, "unreadable_time")]


@pytest.mark.parametrize(
    ("written", "hour"),
    [
        *(("12:05 AM", 0), ("12:05 PM", 12), ("1:05 p.\u00a0m.", 13), ("11:05 a. m.", 11), ("00:05 a. m.", 0)),
        *(("\u4e0a\u53489:05", 9), ("\u4e0b\u53483:05", 15), ("\u4e2d\u534812:05", 12), ("\u4e2d\u53481:05", 13)),
        *(("\u51cc\u666812:05", 0), ("\u665a\u4e0a9:05", 21), ("9:05\u202fPM", 21), ("09:05", 9), ("21:05", 21)),
    ],
)
def test_hours_in_every_habit(written: str, hour: int) -> None:
    found = imported(f"2026/11/3, {written} - Ana: hi\n").transcript.messages[0]
    assert found.sent_at is not None
    assert (found.sent_at.hour, found.sent_at.minute) == (hour, 5)


# --- lines that are not what they look like ------------------------------------------------------------------------


def test_a_name_is_taken_as_it_is_seen() -> None:
    text = "[14/11/26, 10:00:00] \u202a+1 555\u202c: hi\n\u200e[14/11/26, 10:00:01] \u200e~ Bo: ho\n"
    assert said(text) == [("+1 555", "hi"), ("~ Bo", "ho")]


def test_a_colon_without_a_space_ends_only_a_name_that_speaks_elsewhere() -> None:
    text = "[2026-11-05, 08:00] Shop:Two: hi\n[2026-11-05, 08:01] Shop:Two:\n[2026-11-05, 08:02] Ana: at 9:30\n"
    assert said(text) == [("Shop:Two", "hi"), ("Shop:Two", ""), ("Ana", "at 9:30")]
    assert said("14/11/26, 10:00 - Ana: hi\n14/11/26, 10:01 - left:now\n")[1] == (None, "left:now")


def test_what_is_too_long_for_a_name_is_no_name() -> None:
    text = f"14/11/26, 10:00 - Ana: hi\n14/11/26, 10:01 - {'x' * 201}: y\n"
    assert said(text)[1][0] is None


@pytest.mark.parametrize("preface", ["\n", "WhatsApp Chat with Ana\n", "\n\nA copy\n"])
def test_lines_before_the_first_message_do_not_hide_the_format(preface: str) -> None:
    found = imported(preface + "14/11/26, 10:00 - Ana: hi\n14/11/26, 10:01 - Bo: ho\n")
    assert found.format == "whatsapp"
    assert [one.text for one in found.transcript.messages if one.kind is MessageKind.text] == ["hi", "ho"]


def test_a_format_that_is_stated_is_looked_for_behind_a_long_beginning() -> None:
    preface = "a letter that goes on and on\n" * 1_000
    text = preface + "[2026-11-05, 08:00] Ana: hi\n"
    found = imported(text, format="signal").transcript
    assert found.messages[-1].text == "hi" and len(found.messages) == 1_001
    with pytest.raises(NotAdmitted) as refused:
        imported(preface, format="whatsapp")
    assert refused.value.code == "no_messages"


def test_a_sentence_about_taking_back_is_no_trace_of_it() -> None:
    text = "甲\n2026-11-03 09:12:41\n你为什么撤回了一条消息\n已读\n乙2026-11-03 09:12:50\n没有啊\n"
    assert said(text, Stated(SHANGHAI)) == [("甲", "你为什么撤回了一条消息"), ("乙", "没有啊")]


@pytest.mark.parametrize("line", ["乙 撤回了一条消息", "乙撤回了一条消息", "丙 撤回了一条消息"])
def test_what_was_taken_back_is_told_with_who_did(line: str) -> None:
    text = f"甲\n2026-11-03 09:12:41\n在吗\n{line}\n已读\n乙2026-11-03 09:12:50\n在\n"
    found = imported(text, Stated(SHANGHAI)).transcript
    recall = found.messages[1]
    assert (recall.kind, recall.sender.name, recall.text, recall.sent_at) == (MessageKind.recall, line[0], "", None)
    assert [one.text for one in found.messages] == ["在吗", "", "在"]


def test_a_header_that_may_be_part_of_a_text_is_pointed_out() -> None:
    head = "甲\n2026-11-03 09:12:41\n单子上写着\n"
    tail = "已读\n甲\n2026-11-03 09:15:00\n在吗\n已读\n"
    assert (4, "header_in_text") in codes(f"{head}预计送达\n2026-11-03 09:14:00\n{tail}", Stated(SHANGHAI))
    # Where messages are not closed by read marks at all, a name that speaks once is nothing odd.
    unmarked = f"{head}乙\n2026-11-03 09:14:00\n好\n{tail}".replace("已读\n", "")
    assert codes(unmarked, Stated(SHANGHAI)) == []


def test_a_read_mark_inside_a_text_is_text() -> None:
    text = "甲\n2026-11-03 09:12:41\n已读\n不回\n未读\n"
    assert said(text, Stated(SHANGHAI)) == [("甲", "已读\n不回")]


def test_what_only_sounds_like_a_file_is_none() -> None:
    text = "14/11/26, 10:00 - Ana: see the terms (file attached)\n14/11/26, 10:01 - Ana: I <omitted> it, sorry\n"
    assert codes(text) == []


# --- chats in archives ---------------------------------------------------------------------------------------------


def archived(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def test_the_chat_is_found_among_documents_of_any_content() -> None:
    chat = "14/11/26, 10:00 - Ana: a.txt (file attached)\n"
    members = {"a.txt": b"\x01\x02", "b.txt": b"a letter\n", "WhatsApp Chat.txt": chat.encode(), "c.txt": b"\xff\xff"}
    found = imported(archived(members)).transcript
    assert [one.text for one in found.messages] == ["a.txt (file attached)"]
    assert found.messages[0].attachments[0].sha256 is not None


def test_an_archive_without_a_chat_is_not_taken_for_one() -> None:
    with pytest.raises(NotAdmitted) as refused:
        imported(archived({"a.txt": b"a letter\n"}))
    assert (refused.value.field, refused.value.code) == ("format", "format_not_recognised")
    with pytest.raises(NotAdmitted) as refused:
        imported(archived({"a.txt": b"a letter\n"}), format="whatsapp")
    assert (refused.value.field, refused.value.code) == ("format", "not_this_format")


def test_the_pieces_of_a_chat_in_an_archive_cover_its_text() -> None:
    pieces: list[Piece] = []
    path = SAMPLES / "whatsapp" / "documents.zip"
    with source_of(packed(path), path.name) as source:
        imports.read(source, stated=Stated(UTC), participants={}, watch=pieces.append)
        assert_covers(source.member("WhatsApp Chat with Olive.txt").text(), pieces)


# --- lines ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "gb18030"])
@pytest.mark.parametrize("shift", range(5))
def test_lines_are_the_same_wherever_a_chunk_ends(encoding: str, shift: int) -> None:
    """A chunk of 64 KiB may end inside a character or between CR and LF."""
    text = "x" * shift + "啊\r\n😀\r\r\n\n" * 12_000
    with source_of(text.encode(encoding), "x.txt") as source:
        lines = list(source.lines())
    assert [line.text for line in lines] == re.split("\r\n|\n|\r", text)[:-1]
    assert "".join(text[line.start : line.end] for line in lines) == text
    assert [line.number for line in lines] == list(range(1, len(lines) + 1))
