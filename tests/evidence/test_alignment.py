"""Two sides' copies of one conversation: what differs is found, named by its positions, and nothing else is."""

from __future__ import annotations

import itertools
import json
import random
import time
import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence.transcripts.alignment import Alignment, align
from evidence.transcripts.differences import DifferenceKind
from evidence.transcripts.likeness import Span, differing, similarity
from evidence.transcripts.normal import Attachment, Message, MessageKind, Sender, SenderRole

MORNING = datetime(2026, 11, 5, 2, 0, tzinfo=UTC)
BUYER, SELLER = Sender(SenderRole.buyer, "b-1", "李雷"), Sender(SenderRole.seller, "s-1", "客服")
WORDS = ("好的", "嗯", "在吗", "发货了吗", "亲，明天发货", "我要退款", "谢谢", "")

Found = list[tuple[str, int | None, int | None]]


def said(text: str, sender: Sender = BUYER, at: float | None = 0, **more: object) -> Message:
    """A message `at` so many minutes into the conversation, None at no time that is known; not numbered yet."""
    sent_at = None if at is None else MORNING + timedelta(minutes=at)
    return replace(Message(0, sender, sent_at, MessageKind.text, text), **more)  # type: ignore[arg-type]


def copy(*messages: Message) -> list[Message]:
    """A copy of these messages, numbered as they stand."""
    return [replace(one, seq=n) for n, one in enumerate(messages, 1)]


def conversation(*texts: str, every: float | None = 2) -> list[Message]:
    """Buyer and seller in turn, every few minutes."""
    sides = itertools.cycle((BUYER, SELLER))
    return copy(*(said(text, next(sides), None if every is None else n * every) for n, text in enumerate(texts)))


def found(alignment: Alignment) -> Found:
    return [(one.kind.value, one.left_seq, one.right_seq) for one in alignment.differences]


def assert_whole(alignment: Alignment, left: Sequence[Message], right: Sequence[Message]) -> None:
    """Each message stands once: in a pair or among those that its side has alone."""
    assert sorted([*(one for one, _ in alignment.matches), *alignment.left_only]) == [one.seq for one in left]
    assert sorted([*(one for _, one in alignment.matches), *alignment.right_only]) == [one.seq for one in right]


# --- any copies ------------------------------------------------------------------------------------------------------

messages = st.builds(
    said,
    st.sampled_from(WORDS),
    st.sampled_from([BUYER, SELLER, Sender(SenderRole.buyer, None, "李雷"), Sender(SenderRole.staff, None, "客服")]),
    st.one_of(st.none(), st.integers(0, 40), st.integers(0, 5_000).map(lambda n: n / 60)),
    kind=st.sampled_from(MessageKind),
    attachments=st.sampled_from([(), (Attachment("a.jpg", None, "a" * 64),), (Attachment("b.jpg", None, "b" * 64),)]),
)
copies = st.lists(messages, max_size=14).map(lambda some: copy(*some))
numbers = st.frozensets(st.integers(1, 14), max_size=4)
gaps = st.sampled_from([timedelta(minutes=10), timedelta(days=1)])


@given(copies, copies, numbers, numbers, gaps)
def test_whoever_is_left_the_same_is_found_mirrored(
    left: list[Message], right: list[Message], here: frozenset[int], there: frozenset[int], gap: timedelta
) -> None:
    one = align(left, right, gap=gap, left_erased=here, right_erased=there)
    other = align(right, left, gap=gap, left_erased=there, right_erased=here)
    assert other == one.mirrored()
    assert one.mirrored().mirrored() == one
    assert align(left, right, gap=gap, left_erased=here, right_erased=there) == one


@given(copies, copies, numbers, numbers)
def test_every_message_of_either_copy_stands_once(
    left: list[Message], right: list[Message], here: frozenset[int], there: frozenset[int]
) -> None:
    alignment = align(left, right, left_erased=here, right_erased=there)
    assert_whole(alignment, left, right)
    counts = alignment.counts()
    alone = [one for one in alignment.differences if (one.left_seq is None) != (one.right_seq is None)]
    assert len(alone) == counts["left_only"] + counts["right_only"]
    assert {one.kind for one in alone} <= {DifferenceKind.missing, DifferenceKind.recalled, DifferenceKind.erased}
    assert sum(counts[kind.value] for kind in DifferenceKind) == len(alignment.differences)


@given(copies)
def test_identical_copies_differ_in_nothing(messages: list[Message]) -> None:
    alignment = align(messages, list(messages))
    assert alignment.differences == ()
    assert alignment.matches == tuple((one.seq, one.seq) for one in messages)


@given(copies, copies)
def test_no_word_of_a_message_is_repeated(left: list[Message], right: list[Message]) -> None:
    secret = "十三八一二三四五六七八"
    told = align([replace(one, text=one.text + secret) for one in left], right)
    assert secret not in json.dumps(told.as_dict(), ensure_ascii=False) + repr(told)


# --- copies that were altered ----------------------------------------------------------------------------------------

KEEP, DROP, EDIT, RECALL = "keep", "drop", "edit", "recall"
acts = st.lists(st.sampled_from([KEEP] * 6 + [DROP, EDIT, RECALL]), min_size=1, max_size=40)


@given(acts, st.randoms(use_true_random=False), st.sampled_from([0, 8 * 60, -90]))
def test_exactly_what_was_dropped_edited_and_recalled_is_found(acts: list[str], dice: random.Random, off: int) -> None:
    """In conversations in which the same few words are said again and again, on phones whose clocks differ."""
    whole = copy(
        *(said(dice.choice(WORDS[:-1]), dice.choice((BUYER, SELLER)), n + dice.random() / 2) for n in range(len(acts)))
    )
    altered: list[Message] = []
    expected: Found = []
    for one, act in zip(whole, acts, strict=True):
        if act == DROP:
            expected.append(("missing", one.seq, None))
            continue
        seq = len(altered) + 1
        if act == EDIT:
            expected.append(("edited", one.seq, seq))
            altered.append(replace(one, text=f"{one.text}吧"))
        elif act == RECALL:
            expected.append(("recalled", one.seq, seq))
            altered.append(replace(one, text="", kind=MessageKind.recall))
        else:
            altered.append(one)
    if acts.count(KEEP) * 2 <= len(acts) or acts.count(KEEP) < 12:
        # What a shift is seen by, most of what both have, is not there.
        off = 0
    there = copy(*(replace(one, sent_at=one.sent_at + timedelta(minutes=off)) for one in altered if one.sent_at))
    alignment = align(whole, there)
    shift = [("clock_shift", None, None)] if off else []
    assert found(alignment) == shift + expected
    assert_whole(alignment, whole, there)


@given(st.integers(2, 30), st.data())
def test_exactly_the_message_that_was_moved_is_found(size: int, data: st.DataObject) -> None:
    whole = conversation(*(f"message {n}" for n in range(size)))
    origin = data.draw(st.integers(0, size - 1))
    rest = [one for one in whole if one is not whole[origin]]
    target = data.draw(st.integers(0, size - 1).filter(lambda n: abs(n - origin) != 1 or size == 2))
    there = copy(*rest[:target], whole[origin], *rest[target:])
    told = found(align(whole, there))
    if target == origin:
        assert told == []
    elif size == 2:
        # Of two that were changed over either can be called the one that was moved.
        assert told in ([("reordered", 1, 2)], [("reordered", 2, 1)])
    else:
        assert told == [("reordered", origin + 1, target + 1)]


@given(st.lists(st.booleans(), min_size=1, max_size=30))
def test_without_times_what_is_dropped_is_found_by_its_words(kept: list[bool]) -> None:
    whole = conversation(*(f"message {n}" for n in range(len(kept))), every=None)
    there = copy(*(one for one, stays in zip(whole, kept, strict=True) if stays))
    expected = [("missing", one.seq, None) for one, stays in zip(whole, kept, strict=True) if not stays]
    assert found(align(whole, there)) == expected


# --- the same words again and again ----------------------------------------------------------------------------------


@pytest.mark.parametrize("lost", range(1, 11))
def test_of_ten_equal_messages_the_one_that_is_missing_is_found_by_its_time(lost: int) -> None:
    whole = copy(*(said("好的", at=n * 2) for n in range(10)))
    jitter = itertools.cycle((timedelta(seconds=7), timedelta(seconds=-11), timedelta(0)))
    there = copy(
        *(replace(one, sent_at=one.sent_at + next(jitter)) for one in whole if one.seq != lost and one.sent_at)
    )
    assert found(align(whole, there)) == [("missing", lost, None)]


def test_of_ten_equal_messages_without_times_one_is_missing() -> None:
    whole = copy(*(said("好的", at=None) for _ in range(10)))
    assert [kind for kind, _, _ in found(align(whole, whole[:9]))] == ["missing"]


def test_equal_messages_are_told_apart_by_what_stands_around_them() -> None:
    words = ["ok", "a", "ok", "b", "ok", "c", "ok", "d", "ok"]
    whole = conversation(*words, every=None)
    there = copy(*(one for one in whole if one.seq != 5))
    assert found(align(whole, there)) == [("missing", 5, None)]


# --- each kind of difference -----------------------------------------------------------------------------------------


def test_an_edit_is_told_with_where_it_is_and_how_much_is_left() -> None:
    here, there = conversation("发货了吗", "亲，明天下午发货的"), conversation("发货了吗", "亲，后天上午发货的")
    [edit] = align(here, there).differences
    assert (edit.kind, edit.left_seq, edit.right_seq) == (DifferenceKind.edited, 2, 2)
    assert (edit.left_span, edit.right_span) == (Span(2, 3), Span(2, 3))
    assert edit.similarity is not None
    assert 0.5 < edit.similarity < 1
    assert edit.as_dict() == {
        "kind": "edited",
        "left_seq": 2,
        "right_seq": 2,
        "left_span": {"start": 2, "length": 3},
        "right_span": {"start": 2, "length": 3},
        "similarity": edit.similarity,
    }


def test_an_edited_message_is_found_without_times_too() -> None:
    here = conversation("发货了吗", "亲，明天下午发货的", "谢谢", every=None)
    there = conversation("发货了吗", "亲，后天上午发货的", "谢谢", every=None)
    assert found(align(here, there)) == [("edited", 2, 2)]


def test_other_words_at_another_time_are_no_edit() -> None:
    here = copy(said("发货了吗"), said("明天一定发", SELLER, 5), said("谢谢", at=30))
    there = copy(said("发货了吗"), said("没有货了", SELLER, 25), said("谢谢", at=30))
    assert found(align(here, there)) == [("missing", 2, None), ("missing", None, 2)]


def test_a_message_and_the_trace_of_its_recall_are_one() -> None:
    here = conversation("发货了吗", "不发货了", "什么？")
    there = copy(here[0], said("客服撤回了一条消息", SELLER, 3.5, kind=MessageKind.recall), here[2])
    assert found(align(here, there)) == [("recalled", 2, 2)]


def test_a_recall_of_which_one_side_has_no_trace_is_told_as_such() -> None:
    here = conversation("发货了吗", "不发货了", "什么？")
    there = copy(here[0], here[1], said("", SELLER, 3, kind=MessageKind.recall), here[2])
    assert found(align(here, there)) == [("recalled", None, 3)]
    assert found(align(there, there)) == []


def test_the_recall_of_somebody_else_is_not_that_of_a_message() -> None:
    here = conversation("发货了吗", "不发货了", "什么？")
    there = copy(here[0], said("", BUYER, 3, kind=MessageKind.recall), here[2])
    assert found(align(here, there)) == [("missing", 2, None), ("recalled", None, 2)]


def test_sides_that_each_side_names_in_its_own_way_are_the_same() -> None:
    here = conversation("发货了吗", "明天")
    names = {SenderRole.buyer: "我", SenderRole.seller: "水壶旗舰店"}
    there = [replace(one, sender=Sender(one.sender.role, None, names[one.sender.role])) for one in here]
    assert found(align(here, there)) == []


def test_a_sender_whom_one_filer_named_for_no_side_is_known_by_name_or_id() -> None:
    here = conversation("发货了吗", "明天", "嗯")
    by_name = [replace(one, sender=Sender(SenderRole.staff, None, one.sender.name)) for one in here]
    by_id = [replace(one, sender=Sender(SenderRole.staff, one.sender.id, "?")) for one in here]
    assert found(align(here, by_name)) == found(align(here, by_id)) == []


def test_words_that_one_copy_gives_to_the_other_side_are_told() -> None:
    here = conversation("发货了吗", "明天一定给您发货", "嗯")
    there = [here[0], replace(here[1], sender=BUYER), here[2]]
    assert found(align(here, there)) == [("sender_differs", 2, 2)]


def test_a_message_of_another_kind_is_told() -> None:
    here = conversation("发货了吗", "[图片]", "嗯")
    there = [here[0], replace(here[1], kind=MessageKind.image), here[2]]
    emptied = [here[0], replace(here[1], kind=MessageKind.image, text=""), here[2]]
    assert found(align(here, there)) == found(align(here, emptied)) == [("kind_differs", 2, 2)]


def test_a_picture_with_other_bytes_is_told_and_one_with_another_name_is_not() -> None:
    def pictured(name: str, digest: str | None) -> list[Message]:
        return copy(
            said("看"),
            said("", at=1, kind=MessageKind.image, attachments=(Attachment(name, None, digest),)),
            said("嗯"),
        )

    here = pictured("IMG-1.jpg", "a" * 64)
    assert found(align(here, pictured("IMG-7.jpg", "a" * 64))) == []
    assert found(align(here, pictured("IMG-7.jpg", None))) == []
    assert found(align(here, pictured("IMG-1.jpg", "b" * 64))) == [("attachment_differs", 2, 2)]


def test_a_message_at_another_time_is_told_with_how_much_later_it_is() -> None:
    here = conversation("发货了吗", "明天", "嗯", "谢谢")
    there = [here[0], replace(here[1], sent_at=here[1].sent_at and here[1].sent_at + timedelta(seconds=90)), *here[2:]]
    [late] = align(here, there).differences
    assert (late.kind, late.left_seq, late.offset) == (DifferenceKind.time_differs, 2, timedelta(seconds=90))
    assert late.as_dict()["offset_seconds"] == 90


def test_a_minute_is_no_difference_for_some_exports_know_no_seconds() -> None:
    here = copy(*(said(f"message {n}", at=n + n / 60) for n in range(40)))
    there = [replace(one, sent_at=one.sent_at and one.sent_at.replace(second=0)) for one in here]
    assert found(align(here, there)) == []


# --- clocks and silences ---------------------------------------------------------------------------------------------


def shifted(messages: Sequence[Message], by: timedelta) -> list[Message]:
    return [replace(one, sent_at=one.sent_at and one.sent_at + by) for one in messages]


@pytest.mark.parametrize("by", [timedelta(hours=8), timedelta(hours=-5, minutes=-30), timedelta(minutes=3)], ids=str)
def test_two_clocks_are_told_once_and_made_up_for(by: timedelta) -> None:
    here = conversation("发货了吗", "明天", "嗯", "谢谢", "好的")
    there = shifted(here, by)
    there[3] = replace(there[3], sent_at=there[3].sent_at and there[3].sent_at + timedelta(minutes=2))
    shift, late = align(here, there).differences
    assert (shift.kind, shift.left_seq, shift.right_seq, shift.offset) == (DifferenceKind.clock_shift, None, None, by)
    assert (late.kind, late.left_seq, late.offset) == (DifferenceKind.time_differs, 4, timedelta(minutes=2))


def test_equal_messages_at_one_interval_are_no_second_clock() -> None:
    whole = copy(*(said("好的", at=n * 10) for n in range(8)))
    assert found(align(whole, copy(*whole[1:]))) == [("missing", 1, None)]


def test_two_messages_that_differ_in_time_are_no_second_clock() -> None:
    here = conversation("发货了吗", "明天")
    assert found(align(here, shifted(here, timedelta(hours=8)))) == [("time_differs", 1, 1), ("time_differs", 2, 2)]


DAY = 24 * 60


def test_a_silence_of_one_copy_is_told_with_the_messages_around_and_within_it() -> None:
    here = copy(*(said(f"message {n}", at=n * DAY / 4) for n in range(8)))
    there = copy(*here[:2], *here[6:])
    gap = align(here, there).differences[-1]
    assert [one.kind for one in align(here, there).differences] == [DifferenceKind.missing] * 4 + [DifferenceKind.gap]
    assert gap.as_dict() == {
        "kind": "gap",
        "left_seq": 3,
        "left_until": 6,
        "right_seq": 2,
        "right_until": 3,
        "silent": "right",
        "length_seconds": 5 * DAY / 4 * 60,
    }
    assert align(here, there, gap=timedelta(days=2)).counts()["gap"] == 0


def test_a_silence_of_both_copies_is_told_once() -> None:
    here = copy(said("发货了吗"), said("明天", SELLER, 1), said("还没收到", at=5 * DAY))
    for there in (here, copy(here[0], *here[1:])):
        [gap] = align(here, there).differences
        assert (gap.kind, gap.silent) == (DifferenceKind.gap, "both")
        assert (gap.left_seq, gap.left_until, gap.right_seq, gap.right_until) == (2, 3, 2, 3)


def test_a_silence_is_seen_through_two_clocks() -> None:
    here = copy(*(said(f"message {n}", at=n) for n in range(5)), said("still nothing", at=3 * DAY))
    told = align(here, shifted(here, timedelta(hours=8))).differences
    assert [one.kind for one in told] == [DifferenceKind.clock_shift, DifferenceKind.gap]
    assert told[1].silent == "both"


@pytest.mark.parametrize("gap", [timedelta(0), timedelta(days=-1)])
def test_no_time_is_no_gap(gap: timedelta) -> None:
    with pytest.raises(ValueError, match="longer than no time"):
        align([], [], gap=gap)


# --- erased ----------------------------------------------------------------------------------------------------------


def test_a_message_whose_words_were_taken_out_is_told_as_erased_and_as_nothing_else() -> None:
    here = conversation("发货了吗", "我的电话是一三八", "嗯", "谢谢")
    there = [one if one.seq != 2 else replace(one, text="") for one in here]
    assert found(align(here, there, right_erased={2})) == [("erased", 2, 2)]
    assert found(align(there, there, left_erased={2}, right_erased={2})) == [("erased", 2, 2)]
    shorter = copy(here[0], *here[2:])
    assert found(align(there, shorter, left_erased={2})) == [("erased", 2, None)]


@given(copies)
def test_copies_that_were_erased_whole_are_still_aligned(messages: list[Message]) -> None:
    gone = [one.seq for one in messages]
    blank = [replace(one, text="", attachments=()) for one in messages]
    alignment = align(blank, list(blank), left_erased=gone, right_erased=gone)
    assert found(alignment) == [("erased", seq, seq) for seq in gone]


# --- texts -----------------------------------------------------------------------------------------------------------


@given(st.text(max_size=30), st.text(max_size=30))
def test_where_texts_differ_and_how_alike_they_are_is_symmetric_and_true(left: str, right: str) -> None:
    here, there = differing(left, right)
    assert differing(right, left) == (there, here)
    assert left[: here.start] == right[: there.start]
    assert left[here.start + here.length :] == right[there.start + there.length :]
    middle = left[here.start : here.start + here.length], right[there.start : there.start + there.length]
    if all(middle):
        assert middle[0][0] != middle[1][0]
        assert middle[0][-1] != middle[1][-1]
    assert similarity(left, right) == similarity(right, left)
    assert (similarity(left, right) == 1) == (left == right)
    assert 0 <= similarity(left, right) <= 1


def test_likeness_is_counted_in_characters_and_neighbours() -> None:
    assert similarity("abc", "xyz") == 0
    assert similarity("好的", "好") == 0.5
    assert similarity("xaxbx", "xbxax") < 1


# --- size ------------------------------------------------------------------------------------------------------------


def crowd(size: int, words: Sequence[str] | None, *, seed: int, timed: bool = True) -> list[Message]:
    dice = random.Random(seed)
    lines = (
        dice.choice(words) if words else "".join(dice.choices("明天发货退款好的吗请问你们", k=12)) for _ in range(size)
    )
    return copy(*(said(line, dice.choice((BUYER, SELLER)), n * 1.2 if timed else None) for n, line in enumerate(lines)))


@pytest.mark.parametrize("timed", [True, False], ids=["timed", "untimed"])
@pytest.mark.parametrize("words", [None, WORDS[:-1], ("好的",)], ids=["many words", "few words", "one word"])
def test_five_thousand_messages_are_compared_with_five_thousand_others_in_seconds(
    words: Sequence[str] | None, timed: bool
) -> None:
    here, there = (crowd(5_000, words, seed=seed, timed=timed) for seed in (1, 2))
    began = time.process_time()
    alignment = align(here, there)
    # Several times what it takes; a table of all pairs takes minutes.
    assert time.process_time() - began < 8
    assert_whole(alignment, here, there)


def renamed(messages: Sequence[Message]) -> list[Message]:
    return [replace(one, sender=replace(one.sender, name="另一个名字")) for one in messages]


def test_a_hundred_thousand_messages_are_compared_with_their_copy_in_seconds() -> None:
    here = crowd(100_000, None, seed=1)
    there = renamed(here)
    began = time.process_time()
    alignment = align(here, there)
    assert time.process_time() - began < 12
    assert alignment.differences == ()
    assert len(alignment.matches) == 100_000


@pytest.mark.parametrize("seed", [1, 2], ids=["the same", "others"])
def test_memory_grows_with_the_messages_and_not_with_their_pairs(seed: int) -> None:
    here, there = crowd(5_000, None, seed=1), renamed(crowd(5_000, None, seed=seed))
    tracemalloc.start()
    try:
        align(here, there)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # A table of a byte for each pair would have 25 million.
    assert peak < 20 * 2**20


def test_over_long_messages_do_not_make_it_slow() -> None:
    dice = random.Random(5)
    here, there = (
        copy(*(said("".join(dice.choices("ab", k=20_000)), at=n / 100) for n in range(100))) for _ in range(2)
    )
    began = time.process_time()
    assert_whole(align(here, there), here, there)
    assert time.process_time() - began < 20
