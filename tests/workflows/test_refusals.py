"""Every refusal says its rule in both languages, whoever raises it."""

from __future__ import annotations

import ast
import string
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

import pytest

import mediation
import workflows
from workflows.refusals import LANGUAGES, Conflict, NotPermitted, Refused, WrongState, codes, sentence
from workflows.states import CaseState, Ground, Role, SuspendGround

PACKAGES = (Path(workflows.__file__).parent, Path(mediation.__file__).parent)
RAISED = {"Refused", "Conflict", "NotPermitted", "OutOfTime"}

#: Each code with the figures its sentence needs, as the code that raises it gives them.
FIGURES: dict[str, dict[str, object]] = {
    "wrong_state": {"action": "decide", "state": "opened"},
    "not_permitted": {"role": "buyer", "action": "decide"},
    "not_a_party": {},
    "interest_declared": {},
    "assigned_to_other": {"assignee": "mia"},
    "already_yours": {},
    "not_assigned_to_you": {},
    "own_offer": {},
    "counter_offers_exhausted": {"limit": 3},
    "no_offer_made": {},
    "no_pending_decision": {},
    "own_decision": {},
    "own_decision_appealed": {},
    "already_accepted": {},
    "already_appealed": {},
    "appeal_pending": {},
    "refund_failed": {},
    "refund_not_failed": {},
    "decision_issued": {},
    "not_under_appeal": {},
    "case_final": {},
    "too_many_exhibits": {"limit": 100},
    "quote_does_not_stand": {},
    "proposal_open": {},
    "proposal_accepted": {},
    "appeal_out_of_time": {},
    "not_performed": {},
    "already_performed": {},
    "not_waiting_on_seller": {},
    "return_address_needed": {},
    "consent_needed": {},
    "unknown_category": {"value": "spaceships", "known": "apparel, other"},
    "own_hand_over": {},
    "parcel_used": {},
    "due_in_the_past": {"now": "2026-11-05T10:00:00Z"},
    "due_too_far": {"latest": "2026-11-19T10:00:00Z", "row": "base"},
    "not_an_extension": {"due": "2026-11-07T10:00:00Z"},
    "suspension_too_long": {"ground": "court_docket", "latest": "2026-11-16T10:00:00Z"},
    "ground_not_proven": {"ground": "return_delivered"},
    "above_authority": {"amount": "CNY 600.00", "limit": "CNY 500.00"},
    "compensation_above_cap": {"cap": "CNY 500.00", "row": "base"},
    "freight_above_cap": {"cap": "CNY 50.00", "row": "base"},
    "item_not_open": {},
    "default_not_on_file": {},
    "exceeds_paid": {},
    "case_not_final": {},
    "already_answered": {},
    "words_erased": {},
    "own_request": {},
    "already_decided": {"line": "1"},
}


def _raised() -> Iterator[tuple[str, frozenset[str], str]]:
    """(code, names of its figures, where) of every refusal that is made anywhere in the code."""
    for package in PACKAGES:
        for path in package.rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if not isinstance(node, ast.Call):
                    continue
                name = getattr(node.func, "id", getattr(node.func, "attr", None))
                if name in RAISED and node.args and isinstance(node.args[0], ast.Constant):
                    figures = frozenset(word.arg for word in node.keywords if word.arg not in (None, "field"))
                    yield str(node.args[0].value), figures, f"{path.name}:{node.lineno}"  # type: ignore[arg-type]


def test_the_scan_finds_the_refusals_of_both_packages() -> None:
    found = {(code, where.partition(":")[0]) for code, _, where in _raised()}
    assert ("own_offer", "guards.py") in found
    assert ("appeal_out_of_time", "guards.py") in found
    assert ("already_decided", "filing.py") in found
    assert ("exceeds_paid", "errors.py") in found


def test_every_refusal_made_anywhere_has_a_sentence_and_gives_it_all_its_figures() -> None:
    for code, figures, where in _raised():
        assert code in codes(), where
        assert figures == FIGURES[code].keys(), where


def test_every_sentence_is_used_somewhere() -> None:
    made = {code for code, _, _ in _raised()} | {"wrong_state"}  # WrongState names its own code.
    assert codes() == made == FIGURES.keys()


@pytest.mark.parametrize("code", FIGURES)
def test_a_code_is_a_whole_sentence_in_both_languages(code: str) -> None:
    english, chinese = (sentence(code, language, **FIGURES[code]) for language in LANGUAGES)
    assert english.isascii()
    assert english.endswith(".")
    assert english[0] in string.ascii_uppercase + "'"
    assert chinese.endswith("。")
    assert any("\u4e00" <= letter <= "\u9fff" for letter in chinese)
    for told in (english, chinese):
        assert "{" not in told
        assert "None" not in told


@pytest.mark.parametrize("code", [code for code, figures in FIGURES.items() if figures])
def test_a_sentence_without_its_figures_is_an_error_and_not_a_hole(code: str) -> None:
    for language in LANGUAGES:
        with pytest.raises(KeyError):
            sentence(code, language)


def test_a_code_without_a_sentence_is_an_error() -> None:
    with pytest.raises(KeyError):
        sentence("no_such_rule", "en")


def test_words_of_closed_lists_are_chinese_in_a_chinese_sentence() -> None:
    refused = WrongState(action="decide", state="seller_refused", possible=())
    assert "卖家已拒绝" in refused.sentence("zh-CN")
    assert "seller_refused" in refused.sentence("en")
    assert "买家" in NotPermitted("not_permitted", role="buyer", action="decide").sentence("zh-CN")


#: (code, the figure that is a word of ours, the other figures it needs, the closed list of the words)
WORDS = [
    ("wrong_state", "state", {"action": "X"}, CaseState),
    ("not_permitted", "role", {"action": "X"}, Role),
    ("suspension_too_long", "ground", {"latest": "X"}, SuspendGround),
    ("ground_not_proven", "ground", {}, Ground),
]


@pytest.mark.parametrize(("code", "figure", "others", "words"), WORDS)
def test_every_word_of_the_closed_lists_has_a_chinese_one(
    code: str, figure: str, others: dict[str, str], words: type[StrEnum]
) -> None:
    told = {word: sentence(code, "zh-CN", **{figure: word.value}, **others) for word in words}
    assert all(word.value not in said for word, said in told.items())
    assert len(set(told.values())) == len(words)


def test_any_other_language_is_answered_in_english() -> None:
    assert Refused("own_offer").sentence("fr") == Refused("own_offer").sentence("en") == str(Refused("own_offer"))


def test_a_refusal_keeps_its_field_and_figures_for_the_one_who_shows_it() -> None:
    refused = Conflict("already_decided", field="claims.0.line_id", line="7")
    assert (refused.code, refused.field, refused.figures) == ("already_decided", "claims.0.line_id", {"line": "7"})


def test_a_wrong_state_says_what_is_possible() -> None:
    assert WrongState(action="decide", state="opened", possible=("withdraw",)).possible == ("withdraw",)
