"""What people write, or leave out, does nothing to the page."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence.dossier.page import View, render
from evidence.dossier.page_text import css_string, said
from evidence.dossier.words import LANGUAGES
from tests.evidence.page_reading import between, page, parsed
from tests.evidence.pages import CASE, DECISIONS, DOCKET, EXHIBITS, MESSAGES, actor, entry, message, opening, quote

UNSEEN = re.compile("[\u200b\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff\ud800-\udfff]")

# --- hostile words ----------------------------------------------------------------------------------------------------

HOSTILE = {
    "script": "<script>alert(1)</script>",
    "attribute": "\"><img src=x onerror='alert(1)'>",
    "style": "</style><script>alert(1)</script>",
    "style string": '"; } body { background: url(http://leak.example/) } /*',
    "title": "</title><script>",
    "template": "{{ 7 * 7 }} {% raw %}{# #}",
    "scheme": "javascript:alert(1)",
    "override": "a\u202egpj.exe",
    "isolate": "\u2066isolate\u2069",
    "entities": "&lt;b&gt; &amp;",
    "long": "x" * 5_000,
    "half a pair": "half \ud83d a pair",
    "control": "bell \x07 and \x9b31m",
    "comment": "<!-- --><![CDATA[",
}


def filled_with(words: str) -> dict[str, Any]:
    """A case in which these words stand wherever a person or a later version can put words."""
    money_ = {"amount": 1, "currency": words}
    case = CASE | {
        "reference": words,
        "state": words,
        "outcome": words,
        "remedy": {"kind": words, "amount": money_},
        "claims": [CASE["claims"][0] | {"statement": words, "reason": words, "amount": money_}],
        "buyer": {"id": words, "name": words},
        "order": {"id": words, "paid": money_, "carrier": words, "lines": [{"title": words, "sku": words}]},
        "offers": [{"note": words, "by": words, "remedy": {"kind": words}, "status": words, "made_at": words}],
        "messages": [{"seq": 1, "author": {"role": words}, "text": words, "posted_at": words}],
        "refunds": [{"purposes": {words: money_}, "status": words, "gateway_reference": words}],
        "ledger": [{"account": f"{words}:{words}", "purpose": words, "amount": money_, "at": words}],
        "evidence_requests": [{"items": [{"note": words, "exhibit": words, "type": words}]}],
        "deadlines": [{"kind": words, "fires": words, "at": words}],
    }
    finding = {
        "issue": words,
        "burden": words,
        "finding": words,
        "rules": [words, {"id": words}],
        "relied_on": [{"exhibit": words, "quotes": [quote(1, 0, 9)]}, {"exhibit": "S-1", "quotes": [quote(1, 0, 5)]}],
        "rejected": [{"exhibit": words, "why": words}],
        "differences": [{"left": words, "right": words, "kind": words, "left_seq": 1}],
    }
    decision = DECISIONS[0] | {"reasons": words, "outcome": words, "status": words, "findings": [finding]}
    decision["appeals"] = [{"side": words, "grounds": words, "exhibits": [words], "filed_at": words}]
    problem = {"line": 1, "code": words, "detail": words}
    exhibit = EXHIBITS[2] | {
        "title": words,
        "filename": words,
        "media_type": words,
        "problems": [problem],
        "messages": 1,
    }
    lines = [message(1, "buyer", words, None, words, attachments=[{"name": words, "media_type": words}])]
    docket = [entry(1, words, f"a>{words}", "05T10:00:00", actor=actor(words), statement=words, note=words)]
    return {
        "case": case,
        "decisions": [decision],
        "exhibits": [exhibit],
        "messages": lines,
        "docket": docket,
        "made_for": words,
        "head": {"seq": words, "hash": words},
    }


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("words", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_people_write_stays_what_they_wrote(words: str, language: str) -> None:
    text = page(language, **filled_with(words))
    found = parsed(text)
    assert {tag for tag, _ in found.tags} & {"script", "img", "image"} == set()
    assert {name for _, attributes in found.tags for name in attributes} <= {
        "lang", "charset", "http-equiv", "content", "name", "class", "id", "href", "dir", "scope", "colspan", "title",
        "datetime",
    }  # fmt: skip
    assert all(link.startswith("#") for link in found.links)
    assert UNSEEN.search("".join(found.text)) is None
    assert text.count("<style>") == text.count("</style>") == 1
    style = between(text, "<style>", "</style>")
    assert "leak" not in style.replace("\\", "") or "url(" not in style
    plain = "".join(found.text)
    named = re.sub("[\u202a-\u202e\u2066-\u2069\x07\x9b\ud83d]", lambda one: f"U+{ord(one[0]):04X}", words)
    assert plain.count(named) >= 30
    text.encode()


def test_a_run_of_characters_without_width_is_named_once_with_its_length() -> None:
    assert said("a" + "\u200b" * 400 + "b") == 'a<span class="unseen">U+200B ×400</span>b'
    assert said("x\u200d\u200cy\ufe0f") == "x\u200d\u200cy\ufe0f"


@settings(deadline=None)
@given(st.text(max_size=60))
def test_a_string_of_the_style_sheet_ends_where_it_should(text: str) -> None:
    written = css_string(text)
    assert re.fullmatch(r'"(?:[A-Za-z0-9]|\\[0-9a-f]{1,6} )*"', written)
    read = re.sub(r"\\([0-9a-f]{1,6}) ", lambda one: chr(int(one[1], 16)), written[1:-1])
    assert read == text.replace("\x00", "")


# --- what is missing --------------------------------------------------------------------------------------------------

JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["id", "amount", "items"]), inner, max_size=2)
    ),
    max_leaves=4,
)


def _spoilt(data: st.DataObject, whole: Any) -> Any:
    """The object with up to four of its members, at whatever depth, left out or replaced."""
    spoilt = whole
    for _ in range(data.draw(st.integers(1, 4))):
        spoilt = _once_spoilt(data, spoilt)
    return spoilt


def _once_spoilt(data: st.DataObject, whole: Any) -> Any:
    if isinstance(whole, dict) and whole:
        name = data.draw(st.sampled_from(sorted(whole)))
        if data.draw(st.booleans()):
            return {**whole, name: _once_spoilt(data, whole[name])}
        rest = {one: value for one, value in whole.items() if one != name}
        return rest if data.draw(st.booleans()) else {**rest, name: data.draw(JUNK)}
    if isinstance(whole, list) and whole:
        n = data.draw(st.integers(0, len(whole) - 1))
        return [*whole[:n], _once_spoilt(data, whole[n]), *whole[n + 1 :]]
    return data.draw(JUNK)


@settings(max_examples=150, deadline=None)
@given(data=st.data(), part=st.sampled_from(["case", "docket", "decisions", "exhibits", "messages", "custody"]))
def test_what_is_missing_or_unknown_breaks_nothing(data: st.DataObject, part: str) -> None:
    language = data.draw(st.sampled_from(LANGUAGES))
    objects = {"case": CASE, "docket": DOCKET, "decisions": DECISIONS, "exhibits": EXHIBITS, "messages": MESSAGES}
    if part == "custody":
        line = {"entry": {"act": "filed", "seq": 1}, "opening": opening({"actor": {"role": "seller"}})}
        parsed(page(language, custody=[_spoilt(data, line)]))
    elif part == "case":
        parsed(page(language, case=_spoilt(data, CASE)))
    else:
        whole = list(objects[part])
        n = data.draw(st.integers(0, len(whole) - 1))
        spoilt = _spoilt(data, whole[n])
        whole[n] = spoilt if isinstance(spoilt, dict) else {}
        parsed(page(language, **{part: whole}))


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_case_with_nothing_in_it_is_a_page_too(language: str) -> None:
    empty = View({}, [], [], [], lambda _: [], lambda _: [], {}, "", "", "")
    assert "".join(render(empty, language)).endswith("</html>")
