"""Every refusal says its rule in both languages, whoever raises it."""

from __future__ import annotations

import ast
import string
from collections.abc import Iterator
from pathlib import Path

import pytest

import mediation
import workflows
from workflows.refusals import LANGUAGES, Conflict, NotPermitted, Refused, WrongState, codes, sentence

PACKAGES = (Path(workflows.__file__).parent, Path(mediation.__file__).parent)
RAISED = {"Refused", "Conflict", "NotPermitted"}

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
    "not_offered_yet": {"value": "exchange"},
    "exceeds_paid": {},
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


def test_any_other_language_is_answered_in_english() -> None:
    assert Refused("own_offer").sentence("fr") == Refused("own_offer").sentence("en") == str(Refused("own_offer"))


def test_a_refusal_keeps_its_field_and_figures_for_the_one_who_shows_it() -> None:
    refused = Conflict("already_decided", field="claims.0.line_id", line="7")
    assert (refused.code, refused.field, refused.figures) == ("already_decided", "claims.0.line_id", {"line": "7"})


def test_a_wrong_state_says_what_is_possible() -> None:
    assert WrongState(action="decide", state="opened", possible=("withdraw",)).possible == ("withdraw",)
