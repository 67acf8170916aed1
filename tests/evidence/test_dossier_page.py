"""The page in the case file: complete, escaped, and the same bytes for the same case."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence.dossier.page import Quotes, at_zone, money, render
from evidence.dossier.words import ACTS, LABELS, LANGUAGES, PROBLEMS, VALUES
from evidence.transcripts.oddities import DETAILS
from tests.evidence.pages import CASE, DECISIONS, EXHIBITS, entry, message, opening, view
from workflows import procedure, states

RECORDED = {
    "open",
    "message_posted",
    "exhibit_filed",
    "evidence_waived",
    "redacted",
    "redaction_requested",
    "redaction_rejected",
    "clock_started",
    "payment_awaited",
    "deadlines_recounted",
    "deadline_set_aside",
    "deadline_retried",
}
VOID = {"meta", "br"}


class Structure(HTMLParser):
    """What a page is made of; fails for tags that do not match."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append((tag, found))
        if tag not in VOID:
            self.open.append(tag)
        if found.get("id"):
            self.ids.append(str(found["id"]))
        if tag == "a":
            self.links.append(str(found["href"]))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, (tag, self.open[-4:])
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.text.append(data)


def page(language: str = "en", **changes: Any) -> str:
    return "".join(render(view(**changes), language))


def parsed(text: str) -> Structure:
    found = Structure()
    found.feed(text)
    found.close()
    assert found.open == []
    return found


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_is_whole_and_every_link_in_it_leads_somewhere(language: str) -> None:
    found = parsed(page(language))
    assert len(found.ids) == len(set(found.ids))
    assert found.links and all(link.startswith("#") and link[1:] in found.ids for link in found.links)
    assert "S-1-3" in found.ids and "finding-1.1" in found.ids


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_is_loaded_and_nothing_runs(language: str) -> None:
    found = parsed(page(language))
    assert {tag for tag, _ in found.tags} & {
        "script",
        "img",
        "link",
        "iframe",
        "object",
        "embed",
        "form",
        "base",
    } == set()
    for tag, attributes in found.tags:
        assert not any(name.startswith("on") for name in attributes), tag
        assert not any("http" in str(value) for name, value in attributes.items() if name in ("src", "href")), tag
    assert re.search(r"url\(|@import|expression", page(language)) is None
    policy = next(attributes["content"] for tag, attributes in found.tags if attributes.get("http-equiv"))
    assert str(policy).startswith("default-src 'none'")


def test_everything_that_matters_is_on_it() -> None:
    text = "".join(parsed(page("zh-CN")).text)
    for words in (
        "D-7K4Q-9XM2-ABCD",
        "已退款",
        "支持买家",
        "李雷",
        "悦家旗舰店",
        "电热水壶 1.7L",
        "129.00 CNY",
        "说好明天发货，一周了还没有。",
        "已经在路上了，请耐心等待。",
        "一半可以吗",
        "应全额退款",
        "看不清日期",
        "本卷不含此条记录",
        "act_of_a_later_version",
        "老板，我11月1号拍的电热水壶怎么还没发货啊",
        "2026-11-03 09:12:41",
        "撤回了一条消息",
        "内容已遮蔽",
        "壶.jpg",
        "早于其上方的消息",
        "已到账",
        "NzbLsXh8uDCcd",
        "1" * 64,
    ):
        assert words in text, words
    assert "built-in" not in text and "Undefined" not in text and "None" not in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_one_case_gives_one_page(language: str) -> None:
    assert page(language) == page(language)


def test_a_language_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match=r"tuple\.index"):
        render(view(), "fr")


# --- hostile words -----------------------------------------------------------------------------------------------

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style><script>",
    "{{ 7 * 7 }} {% raw %}",
    "javascript:alert(1)",
    "a\u202egpj.exe",
    "&lt;b&gt; &amp;",
    "x" * 5_000,
    "\u2066isolate\u2069",
]


@pytest.mark.parametrize("words", HOSTILE, ids=lambda words: words[:20])
def test_what_people_write_stays_what_they_wrote(words: str) -> None:
    exhibit = EXHIBITS[0] | {"title": words, "problems": [{"line": 1, "code": "x", "detail": words}], "messages": 1}
    text = page(
        "en",
        case=CASE | {"claims": [CASE["claims"][0] | {"statement": words}], "seller": {"id": words, "name": words}},
        messages=[message(1, "buyer", words, None, words, attachments=[{"name": words}])],
        exhibits=[exhibit],
        decisions=[DECISIONS[0] | {"reasons": words, "findings": []}],
        docket=[entry(1, words, words, words, actor={"role": words}, statement=words)],
    )
    found = parsed(text)
    assert {tag for tag, _ in found.tags} & {"script", "img"} == set()
    assert re.search("[\u202a-\u202e\u2066-\u2069]", text) is None
    plain = re.sub("[\u202a-\u202e\u2066-\u2069]", lambda one: f"U+{ord(one[0]):04X}", words)
    assert "".join(found.text).count(plain) >= 8


# --- quotes ------------------------------------------------------------------------------------------------------


def _cited(text: str, *quotes: tuple[int, int]) -> list[tuple[str, list[str]]]:
    findings = [
        {"relied_on": [{"exhibit": "B-1", "quotes": [{"seq": 1, "start": start, "length": length}]}]}
        for start, length in quotes
    ]
    return list(Quotes([{"findings": findings}]).parts("B-1", 1, text))


def test_a_quote_is_marked_at_its_code_points() -> None:
    assert _cited("😀e\u0301明天发货", (3, 4)) == [("😀e\u0301", []), ("明天发货", ["1.1"])]


def test_quotes_that_overlap_are_marked_in_parts() -> None:
    assert _cited("abcdef", (0, 4), (2, 4)) == [("ab", ["1.1"]), ("cd", ["1.1", "1.2"]), ("ef", ["1.2"])]


@settings(deadline=None)
@given(text=st.text(max_size=20), quotes=st.lists(st.tuples(st.integers(0, 25), st.integers(1, 25)), max_size=4))
def test_the_parts_are_the_text_wherever_quotes_lie(text: str, quotes: list[tuple[int, int]]) -> None:
    parts = _cited(text, *quotes)
    assert "".join(part for part, _ in parts) == text
    marked = "".join(part for part, cited in parts if cited)
    inside = {at for start, length in quotes for at in range(start, start + length) if at < len(text)}
    assert marked == "".join(text[at] for at in sorted(inside))


def test_the_words_a_finding_relies_on_stand_beside_it() -> None:
    text = page("en")
    assert '<q dir="auto">一定的，</q>' in text
    assert '<a class="ref" href="#finding-1.1"' in text


# --- words -------------------------------------------------------------------------------------------------------


def test_every_act_and_every_happening_has_words_in_both_languages() -> None:
    assert set(procedure.ACTIONS) | RECORDED == set(ACTS)
    for words in (*ACTS.values(), *VALUES.values(), *LABELS.values()):
        assert len(words) == len(LANGUAGES) and all(words)
    assert set(PROBLEMS) == set(DETAILS) | {"more_problems"}


@pytest.mark.parametrize(
    "kind", [states.CaseState, states.Outcome, states.Reason, states.Request, states.RemedyKind, states.FindingResult]
)
def test_every_value_of_the_closed_lists_has_words(kind: Any) -> None:
    assert [value for value in kind if value not in VALUES] == []


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"amount": 12_900, "currency": "CNY"}, "129.00 CNY"),
        ({"amount": -5, "currency": "EUR"}, "-0.05 EUR"),
        ({"amount": 1_234_567, "currency": "JPY"}, "1,234,567 JPY"),
        ({"amount": 1_500, "currency": "KWD"}, "1.500 KWD"),
        (None, "-"),
        ({"amount": "1"}, "-"),
    ],
)
def test_money_has_the_digits_of_its_currency(value: Any, shown: str) -> None:
    assert money(value) == shown


def test_a_time_that_cannot_be_read_is_shown_as_it_stands() -> None:
    assert at_zone("2026-11-03T01:12:41Z", "Asia/Shanghai") == "2026-11-03 09:12:41"
    assert at_zone("soon", "Asia/Shanghai") == "soon"
    assert at_zone("2026-11-03T01:12:41Z", "Mars/Base") == "2026-11-03T01:12:41Z"


JUNK = st.none() | st.text(max_size=5) | st.integers() | st.lists(st.none(), max_size=2)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_what_is_missing_or_unknown_breaks_nothing(data: st.DataObject) -> None:
    case = {name: value for name, value in CASE.items() if name != "outcome"}
    case["outcome"] = data.draw(st.none() | st.text(max_size=5))
    decision = dict(DECISIONS[0])
    for name in ("reasons", "issued_at", "blame"):
        decision[name] = data.draw(st.none() | st.text(max_size=5))
    decision.pop(data.draw(st.sampled_from(["appeals", "issued_at", "findings"])), None)
    lines = [{"seq": 1, "hash": "x"}, entry(2, data.draw(st.text(max_size=9)), "x", "y", actor=data.draw(JUNK))]
    lines[1]["openings"].append({"name": "z", **opening(data.draw(JUNK))})
    parsed(page("zh-CN", case=case, decisions=[decision], docket=lines))


def test_a_long_log_is_never_one_string() -> None:
    lines = [message(n, "buyer", f"message {n}", None, "x") for n in range(1, 5_001)]
    chunks = list(render(view(messages=lines, exhibits=[EXHIBITS[0] | {"messages": 5_000}]), "en"))
    assert "message 5000" in "".join(chunks)
    assert max(map(len, chunks)) < 100_000
