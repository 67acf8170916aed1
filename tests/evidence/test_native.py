from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence.errors import NotAdmitted
from evidence.transcripts.native import MAX_ATTACHMENTS, MAX_MESSAGES, MAX_NAME, MAX_TEXT, read
from evidence.transcripts.normal import Attachment, MessageKind, Sender, SenderRole

SELLER = {"role": "seller", "id": "shop-17", "name": "小店"}


def message(**changes: Any) -> dict[str, Any]:
    return {"sender": SELLER, "text": "明天发货", **changes}


def one(**changes: Any) -> Any:
    return read([message(**changes)], timezone="Asia/Shanghai")


def refusal(messages: Any, timezone: Any = "Asia/Shanghai") -> NotAdmitted:
    with pytest.raises(NotAdmitted) as caught:
        read(messages, timezone=timezone)
    return caught.value


def codes(messages: list[dict[str, Any]], timezone: str = "Asia/Shanghai") -> list[tuple[int | None, str]]:
    return [(problem.message_seq, problem.code) for problem in read(messages, timezone=timezone).problems]


def test_a_message_takes_its_normal_form() -> None:
    attachment = {"name": "box.jpg", "media_type": "image/jpeg", "sha256": "ab" * 32}
    transcript = one(sent_at="2026-11-03T09:30:00+08:00", kind="image", text="看", attachments=[attachment])
    (read_back,) = transcript.messages
    assert read_back.seq == 1
    assert read_back.sender == Sender(SenderRole.seller, "shop-17", "小店")
    assert read_back.sent_at == datetime(2026, 11, 3, 1, 30, tzinfo=UTC)
    assert read_back.kind is MessageKind.image
    assert read_back.text == "看"
    assert read_back.attachments == (Attachment("box.jpg", "image/jpeg", "ab" * 32),)
    assert read_back.source_line is None
    assert transcript.problems == ()


def test_messages_are_numbered_from_one_in_the_order_filed() -> None:
    messages = read([message(text=text) for text in "甲乙丙"], timezone="UTC").messages
    assert [(one.seq, one.text) for one in messages] == [(1, "甲"), (2, "乙"), (3, "丙")]


def test_what_is_left_out_has_its_default() -> None:
    (read_back,) = one(sent_at=None, attachments=None).messages
    assert (read_back.sent_at, read_back.kind, read_back.attachments) == (None, MessageKind.text, ())


@pytest.mark.parametrize("kind", ["image", "file", "system", "recall"])
def test_only_a_text_needs_a_text(kind: str) -> None:
    raw = message(kind=kind)
    del raw["text"]
    assert read([raw], timezone="UTC").messages[0].text == ""


def test_the_program_itself_needs_no_name() -> None:
    assert one(sender={"role": "system"}).messages[0].sender == Sender(SenderRole.system, None, None)


@pytest.mark.parametrize(
    ("written", "timezone", "hour"),
    [
        ("2026-11-03T09:30:00", "Asia/Shanghai", 1),
        ("2026-11-03 09:30", "Asia/Shanghai", 1),
        ("2026-11-03T09:30:00", "UTC", 9),
        ("2026-11-03T09:30:00Z", "Asia/Shanghai", 9),
        ("2026-11-03t09:30:00z", "Asia/Shanghai", 9),
        ("2026-11-03T09:30:00+08:00", "America/New_York", 1),
        ("2026-11-03T09:30:00-0500", "Asia/Shanghai", 14),
        ("2026-07-03T09:30:00", "Europe/Berlin", 7),
        ("2026-11-03T09:30:00", "Europe/Berlin", 8),
    ],
)
def test_an_offset_is_taken_as_it_is_and_its_lack_means_the_stated_zone(written: str, timezone: str, hour: int) -> None:
    sent_at = read([message(sent_at=written)], timezone=timezone).messages[0].sent_at
    assert sent_at is not None
    assert sent_at.tzinfo is UTC
    assert (sent_at.hour, sent_at.minute) == (hour, 30)


def test_fractions_of_a_second_are_kept_to_the_microsecond() -> None:
    sent_at = one(sent_at="2026-11-03T09:30:00.123456789+00:00").messages[0].sent_at
    assert sent_at == datetime(2026, 11, 3, 9, 30, 0, 123456, tzinfo=UTC)


@pytest.mark.parametrize(
    "written",
    [
        "",
        "yesterday",
        "2026-11-03",
        "2026-13-03T09:30:00",
        "2026-02-30T09:30:00",
        "2026-11-03T24:30:00",
        "2026-11-03T09:30:60",
        "2026-11-03X09:30:00",
        "2026-W45-2T09:30:00",
        "20261103T093000",
        "２０２６-11-03T09:30:00",
        "2026-11-03T09:30:00+99:00",
        "2026-11-03T09:30:00 +08:00",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "2026-11-03T09:30:00\n",
        1762133400,
        {},
    ],
)
def test_what_is_no_time_is_refused_by_its_field(written: object) -> None:
    error = refusal([message(), message(), message(), message(sent_at=written)])
    assert (error.field, error.code) == ("messages.3.sent_at", "unreadable_time")


def test_a_local_time_outside_the_calendar_is_refused() -> None:
    assert refusal([message(sent_at="0001-01-01T00:00:00")]).code == "unreadable_time"


def test_a_local_time_that_the_clocks_skipped_is_reported() -> None:
    transcript = read([message(sent_at="2026-03-29T02:30:00")], timezone="Europe/Berlin")
    assert [problem.code for problem in transcript.problems] == ["time_does_not_exist"]
    assert transcript.messages[0].sent_at == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)


def test_a_local_time_that_the_clocks_showed_twice_is_reported() -> None:
    transcript = read([message(sent_at="2026-10-25T02:30:00")], timezone="Europe/Berlin")
    assert [problem.code for problem in transcript.problems] == ["time_is_ambiguous"]
    assert transcript.messages[0].sent_at == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


def test_with_an_offset_a_change_of_clocks_leaves_no_doubt() -> None:
    assert codes([message(sent_at="2026-10-25T02:30:00+02:00")], "Europe/Berlin") == []


def test_times_that_run_backwards_are_reported_and_nothing_is_moved() -> None:
    times = ["2026-11-03T09:00:00", "2026-11-03T08:00:00", None, "2026-11-03T08:30:00", "2026-11-03T09:00:00"]
    messages = [message(sent_at=sent_at, text=str(index)) for index, sent_at in enumerate(times)]
    assert codes(messages) == [(2, "time_runs_backwards"), (4, "time_runs_backwards")]
    assert [one.text for one in read(messages, timezone="UTC").messages] == ["0", "1", "2", "3", "4"]


def test_equal_neighbours_are_reported_and_kept() -> None:
    messages = [message(), message(), message(text="在吗"), message()]
    assert codes(messages) == [(2, "repeats_the_message_before")]
    assert len(read(messages, timezone="UTC").messages) == 4


def test_the_same_words_of_another_or_at_another_time_are_no_repetition() -> None:
    buyer = {"role": "buyer", "id": "b1", "name": "张三"}
    assert codes([message(), message(sender=buyer)]) == []
    assert codes([message(sent_at="2026-11-03T09:00"), message(sent_at="2026-11-03T09:01")]) == []


def test_a_problem_never_repeats_what_was_said() -> None:
    transcript = read([message(text="机密"), message(text="机密")], timezone="UTC")
    assert all("机密" not in problem.detail for problem in transcript.problems)


@pytest.mark.parametrize(
    "timezone",
    ["", "CST8", "China", "Asia", "../etc/passwd", "/etc/localtime", "localtime", "Factory", None, 8, "\x00"],
)
def test_a_zone_that_is_not_an_iana_name_is_refused(timezone: object) -> None:
    error = refusal([message()], timezone)
    assert (error.field, error.code) == ("timezone", "unknown_timezone")


@pytest.mark.parametrize(
    ("changes", "field", "code"),
    [
        ({"kind": "video"}, "kind", "unknown_kind"),
        ({"kind": None}, "kind", "unknown_kind"),
        ({"text": None}, "text", "missing_text"),
        ({"text": ""}, "text", "missing_text"),
        ({"text": 5}, "text", "not_a_string"),
        ({"text": "a\x00b"}, "text", "nul_character"),
        ({"text": "a\ud83d"}, "text", "lone_surrogate"),
        ({"text": "x" * (MAX_TEXT + 1)}, "text", "too_long"),
        ({"sender": None}, "sender", "not_an_object"),
        ({"sender": "seller"}, "sender", "not_an_object"),
        ({"sender": {"id": "x"}}, "sender.role", "unknown_role"),
        ({"sender": {"role": "judge", "id": "x"}}, "sender.role", "unknown_role"),
        ({"sender": {"role": ["seller"], "id": "x"}}, "sender.role", "unknown_role"),
        ({"sender": {"role": "seller"}}, "sender", "missing_sender"),
        ({"sender": {"role": "seller", "id": "", "name": None}}, "sender", "missing_sender"),
        ({"sender": {"role": "seller", "id": "\x00"}}, "sender.id", "nul_character"),
        ({"sender": {"role": "seller", "name": "\udc00"}}, "sender.name", "lone_surrogate"),
        ({"sender": {"role": "seller", "name": "x" * (MAX_NAME + 1)}}, "sender.name", "too_long"),
        ({"sender": {"role": "seller", "id": 7}}, "sender.id", "not_a_string"),
        ({"sender": {**SELLER, "phone": "138"}}, "sender", "unknown_field"),
        ({"seq": 1}, "", "unknown_field"),
        ({"attachments": "a.jpg"}, "attachments", "not_a_list"),
        ({"attachments": ["a.jpg"]}, "attachments.0", "not_an_object"),
        ({"attachments": [{"name": "a"}, {}]}, "attachments.1.name", "missing_name"),
        ({"attachments": [{"name": "a", "sha256": "AB" * 32}]}, "attachments.0.sha256", "not_a_digest"),
        ({"attachments": [{"name": "a", "url": "x"}]}, "attachments.0", "unknown_field"),
        ({"attachments": [{"name": "a"}] * (MAX_ATTACHMENTS + 1)}, "attachments", "too_many_attachments"),
    ],
)
def test_what_cannot_be_taken_at_its_word_is_refused_by_its_field(
    changes: dict[str, Any], field: str, code: str
) -> None:
    error = refusal([message(), message(**changes)])
    assert (error.field, error.code) == (f"messages.1.{field}".rstrip("."), code)
    assert error.detail


def test_a_message_that_is_no_object_is_refused() -> None:
    assert refusal([message(), "hello"]).field == "messages.1"


@pytest.mark.parametrize("messages", [{}, "text", None, 5])
def test_what_is_no_list_of_messages_is_refused(messages: object) -> None:
    assert refusal(messages).code == "not_a_list"


def test_an_empty_log_and_one_too_long_are_refused() -> None:
    assert refusal([]).code == "no_messages"
    too_many = refusal([message()] * (MAX_MESSAGES + 1))
    assert (too_many.code, too_many.status_hint) == ("too_many_messages", "too_large")


def test_the_longest_text_is_taken_and_kept_to_the_letter() -> None:
    text = " \t\r\n" + "字" * (MAX_TEXT - 5) + "\u200b"
    assert one(text=text).messages[0].text == text


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda i: (
            st.lists(i)
            | st.dictionaries(
                st.sampled_from(["sender", "role", "id", "name", "sent_at", "kind", "text", "attachments"]) | st.text(),
                i,
            )
        ),
    )
)
def test_whatever_is_sent_is_read_or_refused_and_never_fails_otherwise(anything: Any) -> None:
    for messages in (anything, [anything], [message(attachments=anything)], [message(sender=anything)]):
        try:
            read(messages, timezone="Asia/Shanghai")
        except NotAdmitted as error:
            assert error.field
