"""The page in the case file: whole, complete, and the same bytes for the same case."""

from __future__ import annotations

import re
from typing import Any

import pytest

from evidence.dossier.page import render
from evidence.dossier.page_wording import Wording
from evidence.dossier.words import LANGUAGES
from tests.evidence.page_reading import between, page, parsed, shown
from tests.evidence.pages import CASE, DIGEST, DOCKET, EXHIBITS, HEAD, THUMBPRINT, actor, entry, message, view

# --- structure --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("reader", ["buyer", "seller", "mediator"])
def test_the_page_is_whole_and_every_link_in_it_leads_somewhere(language: str, reader: str) -> None:
    found = parsed(page(language, made_for=reader))
    assert len(found.ids) == len(set(found.ids))
    assert found.links and all(link.startswith("#") and link[1:] in found.ids for link in found.links)
    assert {"S-1", "S-1-3", "finding-1.1", "entry-15", "decision-2"} <= set(found.ids)
    assert {"#S-1-3", "#S-1-9", "#finding-1.1", "#finding-1.2", "#B-1", "#entry-13"} <= set(found.links)


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_is_loaded_and_nothing_runs(language: str) -> None:
    text = page(language)
    found = parsed(text)
    loading = {"script", "img", "link", "iframe", "object", "embed", "form", "base", "svg", "video", "audio", "source"}
    assert {tag for tag, _ in found.tags} & loading == set()
    for tag, attributes in found.tags:
        assert not any(name.startswith("on") or name in ("src", "srcset", "action", "style") for name in attributes), (
            tag
        )
    assert re.search(r"url\(|@import|expression|https?:", text) is None
    policies = [attributes["content"] for _, attributes in found.tags if "http-equiv" in attributes]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]
    assert found.tags[0] == ("html", {"lang": language})


def test_the_decision_and_the_timeline_come_before_the_log() -> None:
    ids = parsed(page()).ids
    order = ["parties", "claims", "decision", "money", "timeline", "evidence", "S-1-1", "check"]
    assert sorted(order, key=ids.index) == order


@pytest.mark.parametrize("language", LANGUAGES)
def test_one_case_gives_one_page(language: str) -> None:
    assert page(language) == page(language)


def test_a_language_that_the_page_does_not_speak_is_refused() -> None:
    with pytest.raises(ValueError, match=r"tuple\.index"):
        render(view(), "fr")


# --- what is on it ----------------------------------------------------------------------------------------------------

EXPECTED = {
    "en": [
        "Decided in the buyer’s favour: 134.00 CNY goes back to the buyer; it arrived on 12 November 2026.",
        "Copy for the buyer",
        "Claim 1: late shipment, 电热水壶 1.7L 不锈钢 asks for: refund only, 129.00 CNY",
        "The seller refused what was asked: it was shipped",
        "partial refund, 20.00 CNY 先补偿您20元，明天一定发出，可以吗？ turned down",
        "Decision 2: in the buyer’s favour",
        "seller 107.20 CNY 80 % platform 26.80 CNY 20 %",
        "To be proved by the buyer; Articles: 第三十八条 (3)",
        "M-1, not part of this copy",
        "B-2: 截图不完整，看不清日期。",
        "missing in one copy: B-2, absent / S-1, message 9",
        "the clocks of the copies differ: B-2 / S-1 ",
        "Not shown when asked seller",
        "Appeal by the seller 2026-11-10 09:00:00 Text redacted Shows: S-1, S-9",
        "refund 129.00 CNY, compensation 5.00 CNY PAY-2026-000117 arrived",
        "Paid back in this case −134.00 CNY",
        "Left of what was paid 15.00 CNY",
        "Total 0.00 CNY",
        "Entry 9, not part of this copy",
        "act_of_a_later_version",
        "the decision becomes final",
        "file redacted 2026-11-13 11:00:00",
        "viewed ×2, last 2026-11-11 09:00:00",
        "line 9, message 6: it was sent before one above it",
        "Times in Asia/Shanghai.",
        "3 November 2026 Tuesday Asia/Shanghai (UTC+08:00)",
        "2 tb晴天小雨 buyer 09:12:41 老板，我11月1号拍的电热水壶怎么还没发货啊",
        "[recalled] no time A message was taken back here",
        f"sender redacted buyer 18:03:00 Text redacted its commitment stands: {DIGEST[:16]}… Attached: redacted",
        f"Attached: 订单截图.jpg image/jpeg {DIGEST[:16]}…",
        "2 of 19 entries of the record are given by their hash alone",
        "Redacted, as the law may demand (files of exhibits: 1; texts of messages: 1).",
        f"entry 19 {HEAD}",
        THUMBPRINT,
    ],
    "zh-CN": [
        "裁决支持买家：向买家退款 134.00 CNY；款项已于2026年11月12日到账。",
        "买家阅卷副本",
        "请求 1：延迟发货，电热水壶 1.7L 不锈钢 请求：仅退款，129.00 CNY",
        "说好明天发货，一周了还没有。 客服一直让我等。",
        "卖家拒绝请求：已发货 2026-11-06 10:00:00 已经在路上了，请耐心等待。",
        "第 2 号裁决：支持买家",
        "卖家 107.20 CNY 80 % 平台 26.80 CNY 20 %",
        "举证责任：买家；适用条款：第三十八条 (3)",
        "M-1，不在本副本中",
        "第 9 条，不在本副本中",
        "卖家：聊天记录，卖家：物流信息",
        "第 9 行，第 6 条：早于其上方的消息",
        "2026年11月3日 星期二 Asia/Shanghai (UTC+08:00)",
        "此处撤回了一条消息",
        "发送者已遮蔽 买家 18:03:00 文字已遮蔽",
        "有 2 条记录（共 19 条）仅列哈希值",
        "应全额退款。 赠品一项，买家未能证明。",
    ],
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_everything_that_matters_is_on_it_in_words(language: str) -> None:
    text = shown(language)
    for words in EXPECTED[language]:
        assert words in text, words
    assert not any(odd in text for odd in ("None", "Undefined", "built-in", "{}", "&lt;"))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"outcome": None, "state": "under_review"}, "Not decided yet: the case is under review."),
        ({"state": "decided", "refunds": []},
         "Decided in the buyer’s favour: 134.00 CNY goes back to the buyer; the decision is not final yet."),
        ({"outcome": "withdrawn", "remedy": None, "refunds": []}, "The buyer took the dispute back."),
        ({"outcome": "seller_favour", "remedy": {"kind": "none", "amount": None}, "refunds": []},
         "Decided in the seller’s favour: nothing is granted."),
        ({"refunds": [{"amount": {"amount": 13_400, "currency": "CNY"}, "status": "failed"}]},
         "Decided in the buyer’s favour: 134.00 CNY goes back to the buyer; the payment of 134.00 CNY failed and is"
         " being looked into."),
        ({"outcome": "of_a_later_version", "remedy": {"kind": "later", "amount": None}, "refunds": None},
         "of_a_later_version: later."),
    ],
)  # fmt: skip
def test_the_outcome_is_said_in_one_sentence(changes: dict[str, Any], sentence: str) -> None:
    assert sentence in shown(case=CASE | changes)


def test_without_a_decision_the_sentence_claims_none() -> None:
    text = shown(decisions=[])
    assert "Ended in the buyer’s favour without a decision: 134.00 CNY" in text
    assert "No decision has been issued." in text


def test_who_acted_is_told_as_far_as_it_is_known() -> None:
    assert 'class="by">seller' in between(page(), 'id="entry-3"', "</li>")
    line = between(page(), 'id="entry-6"', "</li>")
    assert 'class="by">seller' in line, "a buyer's copy hides who made an offer, which then was the seller"
    assert 'class="by">buyer' in between(page(made_for="seller"), 'id="entry-6"', "</li>")
    assert 'class="by"' not in between(page(made_for="mediator"), 'id="entry-6"', "</li>")
    whole = [*DOCKET[:6], entry(7, "take", "under_review", "06T12:00:00", actor=actor("mediator", "mia"))]
    assert "mediator <bdi>mia</bdi>" in page(docket=whole, made_for="senior")
    assert "mia" not in page(docket=whole, made_for="buyer")


@pytest.mark.parametrize(("language", "reader"), [("en", "buyer"), ("zh-CN", "seller"), ("en", "supervisor")])
def test_the_last_section_says_for_whom_it_is_and_what_is_left_out(language: str, reader: str) -> None:
    wording = Wording(language)
    text = shown(language, made_for=reader)
    assert str(wording.sentence("left_out", wording.value(reader), 2, len(DOCKET))) in text
    whole = shown(language, made_for=reader, docket=[line for line in DOCKET if "entry" in line])
    assert str(wording.sentence("all_in", wording.value(reader), len(DOCKET) - 2)) in whole
    assert "mediation verify D-7K4Q-9XM2-ABCD.dossier.zip --key" in text


# --- long logs --------------------------------------------------------------------------------------------------------


def test_a_long_log_is_all_there_and_never_one_string() -> None:
    drawn = []

    def lines() -> Any:
        for n in range(1, 5_001):
            drawn.append(n)
            yield message(n, "buyer", f"message {n}", None, "x")

    chunks = render(view(messages=lines(), exhibits=[EXHIBITS[2] | {"messages": 5_000}], decisions=[]), "en")
    first = next(chunks)
    assert len(first) < 200_000 and len(drawn) < 500
    rest = list(chunks)
    assert max(map(len, rest)) < 200_000
    text = first + "".join(rest)
    assert all(f">message {n}</p>" in text for n in (1, 2, 2_500, 5_000))
    assert len(drawn) == 5_000
