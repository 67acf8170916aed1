"""Remedies: which legs carry them out, and sums exact to the minor unit."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows.refusals import Refused
from workflows.remedies import MAX_MINOR, Leg, combined_kind, legs_of, offered_kind, offered_request, sums_exactly
from workflows.states import RemedyKind, Request

REFUND = (Leg.REFUND,)
#: As docs/lifecycle.md has it, less what has no states yet.
LEGS = {"refund": REFUND, "partial_refund": REFUND, "compensation": REFUND, "none": ()}
NOT_YET = ["return_and_refund", "exchange", "reship", "repair"]

kinds = st.sampled_from([RemedyKind(kind) for kind in LEGS])
amounts = st.integers(0, MAX_MINOR)


@pytest.mark.parametrize("kind", LEGS)
def test_a_remedy_on_offer_has_the_legs_that_carry_it_out(kind: str) -> None:
    assert offered_kind(kind, field="remedy.kind") == kind
    assert legs_of([RemedyKind(kind)]) == LEGS[kind]


@pytest.mark.parametrize("kind", NOT_YET)
def test_a_remedy_that_needs_missing_states_is_not_offered_yet(kind: str) -> None:
    with pytest.raises(Refused) as refused:
        offered_kind(kind, field="remedy.kind")
    assert (refused.value.code, refused.value.field) == ("not_offered_yet", "remedy.kind")
    assert kind in refused.value.sentence("en")
    assert kind in refused.value.sentence("zh-CN")


def test_every_kind_is_either_offered_or_refused_by_name() -> None:
    assert {*LEGS, *NOT_YET} == set(RemedyKind)


@pytest.mark.parametrize("request_", ["refund_only", "compensation"])
def test_a_request_on_offer_is_taken(request_: str) -> None:
    assert offered_request(request_, field="claims.0.request") == request_


@pytest.mark.parametrize("request_", ["return_and_refund", "exchange", "reship", "repair"])
def test_a_request_that_needs_missing_states_is_not_offered_yet(request_: str) -> None:
    with pytest.raises(Refused) as refused:
        offered_request(request_, field="claims.2.request")
    assert (refused.value.code, refused.value.field) == ("not_offered_yet", "claims.2.request")


def test_every_request_is_either_offered_or_refused_by_name() -> None:
    assert {"refund_only", "compensation", "return_and_refund", "exchange", "reship", "repair"} == set(Request)


@pytest.mark.parametrize("word", ["", "REFUND", "refund ", "money"])
def test_a_word_that_is_no_kind_is_an_error_of_the_caller(word: str) -> None:
    with pytest.raises(ValueError, match="is not a valid"):
        offered_kind(word, field="remedy.kind")


@given(st.lists(kinds))
def test_the_legs_of_several_claims_are_the_union_of_each_ones(several: list[RemedyKind]) -> None:
    legs = legs_of(several)
    assert set(legs) == {leg for kind in several for leg in legs_of([kind])}
    assert list(legs) == sorted(set(legs), key=list(Leg).index)


@given(st.lists(kinds), st.randoms())
def test_the_order_of_the_claims_does_not_change_the_legs(several: list[RemedyKind], random: object) -> None:
    shuffled = several[:]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert legs_of(shuffled) == legs_of(several)


@given(st.lists(kinds, min_size=1))
def test_one_name_for_several_remedies_needs_the_same_legs(several: list[RemedyKind]) -> None:
    assert legs_of([combined_kind(several)]) == legs_of(several)


@given(kinds, st.integers(1, 5))
def test_the_same_remedy_several_times_keeps_its_name(kind: RemedyKind, times: int) -> None:
    assert combined_kind([kind] * times) is kind


def test_a_remedy_beside_none_keeps_its_name_and_two_that_pay_are_a_refund() -> None:
    assert combined_kind([RemedyKind.NONE, RemedyKind.COMPENSATION]) is RemedyKind.COMPENSATION
    assert combined_kind([RemedyKind.PARTIAL_REFUND, RemedyKind.COMPENSATION]) is RemedyKind.REFUND


@given(amounts, st.lists(st.integers(0, MAX_MINOR), max_size=6))
def test_a_sum_cut_into_parts_is_the_sum_again(total: int, cuts: list[int]) -> None:
    edges = sorted({0, total, *(cut for cut in cuts if cut < total)})
    parts = [after - before for before, after in pairwise(edges)]
    assert sums_exactly(parts, total)


@given(st.lists(amounts, max_size=6), st.integers(-3, 3).filter(bool))
def test_a_single_minor_unit_more_or_less_is_noticed(parts: list[int], off: int) -> None:
    """At 2^53 - 1 a float would not tell the difference."""
    assert not sums_exactly(parts, sum(parts) + off)


def test_nothing_sums_to_nothing() -> None:
    assert sums_exactly([], 0)
    assert not sums_exactly([], 1)


def test_the_largest_sum_is_what_every_json_reader_holds_exactly() -> None:
    assert float(MAX_MINOR) == MAX_MINOR
    assert int(float(MAX_MINOR + 2)) != MAX_MINOR + 2
