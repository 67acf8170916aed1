"""The words of the page: quotes at their places, every act in both languages, money and time."""

from __future__ import annotations

import itertools
import string
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence.custody import CustodyAct
from evidence.dossier.page_quotes import Part, Quotes
from evidence.dossier.page_record import ALONE, OF_PARTIES
from evidence.dossier.page_text import digits_of, moment, money, zone_of
from evidence.dossier.page_wording import Wording
from evidence.dossier.phrases import PHRASES, SENTENCES
from evidence.dossier.words import ACTS, LANGUAGES, PROBLEMS, VALUES
from evidence.transcripts.differences import DifferenceKind
from evidence.transcripts.normal import MessageKind, SenderRole
from evidence.transcripts.oddities import DETAILS
from tests.evidence.page_reading import between, page, shown
from tests.evidence.pages import DECISIONS, EXHIBITS, message, quote
from workflows import procedure, states, steps
from workflows.deadlines import DeadlineKind
from workflows.money import exponent

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

# --- quotes -----------------------------------------------------------------------------------------------------------


def _parts(text: str, *quotes: tuple[int, int]) -> list[Part]:
    findings = [{"relied_on": [{"exhibit": "B-1", "quotes": [quote(1, start, length)]}]} for start, length in quotes]
    return Quotes([{"findings": findings}]).parts("B-1", 1, text)


def test_a_quote_is_marked_at_its_code_points() -> None:
    marked = Part("明天发货", ("1.1",), ("1.1",))
    assert _parts("😀e\u0301明天发货👩\u200d👩\u200d👧", (3, 4)) == [
        Part("😀e\u0301"),
        marked,
        Part("👩\u200d👩\u200d👧"),
    ]


def test_quotes_that_overlap_are_marked_in_parts_and_numbered_where_they_end() -> None:
    assert _parts("abcdefg", (0, 4), (2, 4), (2, 2)) == [
        Part("ab", ("1.1",)),
        Part("cd", ("1.1", "1.2", "1.3"), ("1.1", "1.3")),
        Part("ef", ("1.2",), ("1.2",)),
        Part("g"),
    ]


def test_the_marks_stand_in_the_bubble_with_the_way_to_their_findings() -> None:
    bubble = between(page(), 'id="S-1-3"', "</li>")
    words = between(bubble, '<p class="words" dir="auto">', "</p>")
    first, second = (
        f'<a class="ref" href="#finding-{name}" title="quoted in finding {name}">{name}</a>' for name in ("1.1", "1.2")
    )
    assert words == (
        f'亲，一定的，<mark>明天</mark><mark class="twice">发货</mark>{first}<mark>，不发赔您5</mark>{second}元😀'
    )


def test_the_words_a_finding_relies_on_stand_beside_it() -> None:
    finding = between(page(), 'id="finding-1.1"', '<div class="finding"')
    assert '<q dir="auto">明天发货</q> <a href="#S-1-3">' in finding
    assert '<q dir="auto">明天一定发，不好意思哈，</q> <a href="#S-1-9">' in finding


def test_a_quote_of_words_that_are_redacted_or_not_in_this_copy_says_so() -> None:
    items = [
        {"exhibit": "S-1", "quotes": [quote(8, 0, 2), quote(99, 0, 2)]},
        {"exhibit": "S-7", "quotes": [quote(1, 0, 1)]},
    ]
    text = page(decisions=[DECISIONS[0] | {"findings": [{"relied_on": items}]}])
    finding = between(text, 'id="finding-1.1"', "</article>")
    assert '<em class="gone">redacted</em> <a href="#S-1-8">S-1, message 8</a>' in finding
    assert '<em class="gone">not part of this copy</em> S-1, message 99' in finding
    assert '<em class="gone">not part of this copy</em> S-7, message 1' in finding


@settings(deadline=None)
@given(text=st.text(max_size=20), quotes=st.lists(st.tuples(st.integers(0, 25), st.integers(1, 25)), max_size=4))
def test_the_parts_are_the_text_wherever_quotes_lie(text: str, quotes: list[tuple[int, int]]) -> None:
    parts = _parts(text, *quotes)
    assert "".join(part.text for part in parts) == text
    marked = "".join(part.text for part in parts if part.cited)
    inside = {at for start, length in quotes for at in range(start, start + length) if at < len(text)}
    assert marked == "".join(text[at] for at in sorted(inside))
    ended = [name for part in parts for name in part.ends]
    assert sorted(ended) == sorted(f"1.{n}" for n, (start, _) in enumerate(quotes, 1) if start < len(text))


# --- words ------------------------------------------------------------------------------------------------------------


def test_every_act_and_every_happening_has_words_in_both_languages() -> None:
    assert set(procedure.ACTIONS) | RECORDED == set(ACTS)
    for words in (*ACTS.values(), *VALUES.values(), *PHRASES.values(), *SENTENCES.values()):
        assert len(words) == len(LANGUAGES) and all(words)
        assert len({text.count("{}") for text in words}) == 1, words
    assert set(PROBLEMS) == set(DETAILS) | {"more_problems"}


@pytest.mark.parametrize(
    ("kind", "of"),
    [
        (states.CaseState, "state"),
        (states.Outcome, ""),
        (states.Reason, ""),
        (states.Request, ""),
        (states.RemedyKind, "remedy"),
        (states.FindingResult, ""),
        (states.RefuseReason, "refuse"),
        (states.Ground, ""),
        (states.SuspendGround, ""),
        (states.Verdict, ""),
        (states.EscalationReason, ""),
        (states.Blame, ""),
        (states.EvidenceType, ""),
        (states.Role, ""),
        (DeadlineKind, "limit"),
        (CustodyAct, ""),
        (MessageKind, ""),
        (SenderRole, ""),
        (DifferenceKind, "differs"),
    ],
)
def test_every_value_of_the_closed_lists_has_words(kind: Any, of: str) -> None:
    assert [value for value in kind if str(value) not in VALUES and f"{of} {value}" not in VALUES] == []


def test_what_becomes_of_offers_requests_decisions_and_payments_has_words() -> None:
    known = "open accepted declined replaced expired void complete defaulted ended answered waived pending issued final"
    payments = "payment requested,payment sent,payment settled,payment failed,payment settled_elsewhere"
    named = [*known.split(), *payments.split(","), "overturned", "upheld", "returned", "superseded"]
    assert [one for one in named if one not in VALUES] == []
    assert all(f"gives {kind}" in SENTENCES for kind in states.RemedyKind)
    assert all(f"{outcome}" in SENTENCES for outcome in states.Outcome)


def test_the_act_of_one_side_alone_is_the_act_of_that_side_in_the_procedure() -> None:
    able: dict[str, set[str]] = {}
    for step in steps.STEPS:
        able.setdefault(step.action, set()).update(str(role) for role in step.by)
    staff = {"mediator", "senior", "supervisor"}
    for action, roles in able.items():
        if roles == {"buyer", "seller"}:
            assert action in OF_PARTIES and action not in ALONE
        elif roles <= staff:
            assert ALONE[action] == "house"
        elif len(roles) == 1:
            assert {ALONE[action]} == roles
        else:
            assert action not in ALONE and action not in OF_PARTIES, action


# --- money and time ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "set_as"),
    [
        ({"amount": 12_900, "currency": "CNY"}, "129.00 CNY"),
        ({"amount": -5, "currency": "EUR"}, "−0.05 EUR"),
        ({"amount": 1_234_567, "currency": "JPY"}, "1,234,567 JPY"),
        ({"amount": 1_234_567, "currency": "KRW"}, "1,234,567 KRW"),
        ({"amount": 9, "currency": "VND"}, "9 VND"),
        ({"amount": 1_500, "currency": "KWD"}, "1.500 KWD"),
        ({"amount": 123_456_789, "currency": "BHD"}, "123,456.789 BHD"),
        ({"amount": 0, "currency": "USD"}, "0.00 USD"),
        (None, "–"),
        ({"amount": "1"}, "–"),
        ({"amount": True, "currency": "CNY"}, "–"),
    ],
)
def test_money_has_the_digits_of_its_currency(value: Any, set_as: str) -> None:
    assert money(value) == set_as.replace(" ", "\u00a0")


def test_the_digits_are_those_the_procedure_counts_in() -> None:
    for first, second, third in itertools.product(string.ascii_uppercase, repeat=3):
        assert digits_of(currency := first + second + third) == exponent(currency), currency


def test_a_chat_is_in_its_own_zone_and_where_that_is_unknown_in_utc() -> None:
    autumn = [message(n, "buyer", "x", f"2026-10-25T0{n - 1}:30:00.000000Z", "x") for n in (1, 2, 3)]
    berlin = shown(messages=autumn, exhibits=[EXHIBITS[2] | {"timezone": "Europe/Berlin", "messages": 3}])
    assert "25 October 2026 Sunday Europe/Berlin (UTC+02:00)" in berlin
    assert "25 October 2026 Sunday Europe/Berlin (UTC+01:00)" in berlin, "the clocks went back within the day"
    for zone in ("Mars/Base", None, "../etc/passwd", 7):
        text = shown(messages=autumn, exhibits=[EXHIBITS[2] | {"timezone": zone, "messages": 3}])
        assert "Times in UTC." in text and "25 October 2026 Sunday UTC" in text and "00:30:00" in text


@pytest.mark.parametrize("at", ["soon", "2026-11-03T01:12:41", None, 7, "9999-12-31T23:59:59Z"])
def test_a_time_that_cannot_be_read_is_none_and_is_shown_as_it_stands(at: object) -> None:
    assert moment(at, zone_of("Asia/Shanghai")[1], "en") is None
    assert Wording("en").at("soon") == "soon"
    assert Wording("en").at(None) == "–"
