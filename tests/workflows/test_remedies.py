"""Remedies: which legs carry them out, and sums exact to the minor unit."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows.remedies import GRANTS, IN_KIND, MAX_MINOR, PAYING, Leg, combined_kind, legs_of, sums_exactly
from workflows.states import RemedyKind, Request

#: As docs/lifecycle.md has it.
LEGS = {
    "refund": ("refund",),
    "partial_refund": ("refund",),
    "compensation": ("refund",),
    "return_and_refund": ("return", "refund"),
    "exchange": ("return", "performance"),
    "repair": ("return", "performance"),
    "reship": ("performance",),
    "none": (),
}
#: Where what is exchanged or repaired need not come back.
KEPT = LEGS | {"exchange": ("performance",), "repair": ("performance",)}
ORDER = ["return", "performance", "refund"]

kinds = st.sampled_from(RemedyKind)
amounts = st.integers(0, MAX_MINOR)


def test_every_kind_has_its_legs() -> None:
    assert LEGS.keys() == set(RemedyKind)
    assert [leg.value for leg in Leg] == ORDER


@pytest.mark.parametrize("kind", LEGS)
def test_a_remedy_has_the_legs_that_carry_it_out(kind: str) -> None:
    assert legs_of([RemedyKind(kind)]) == LEGS[kind]
    assert legs_of([RemedyKind(kind)], return_required=True) == LEGS[kind]


@pytest.mark.parametrize("kind", KEPT)
def test_only_what_is_exchanged_or_repaired_may_be_kept(kind: str) -> None:
    """Whoever gets the price back for returning the goods returns them, whatever is said."""
    assert legs_of([RemedyKind(kind)], return_required=False) == KEPT[kind]


def test_what_pays_and_what_is_done_in_kind() -> None:
    assert {kind.value for kind in PAYING} == {"refund", "partial_refund", "compensation", "return_and_refund"}
    assert {kind.value for kind in IN_KIND} == {"exchange", "repair", "reship"}


def test_every_request_is_granted_by_the_remedy_of_its_name() -> None:
    assert {str(request): str(kind) for request, kind in GRANTS.items()} == {
        "refund_only": "refund",
        "return_and_refund": "return_and_refund",
        "exchange": "exchange",
        "reship": "reship",
        "repair": "repair",
        "compensation": "compensation",
    }
    assert GRANTS.keys() == set(Request)


# --- several claims ----------------------------------------------------------------------------------------------


@given(st.lists(kinds), st.booleans())
def test_the_legs_of_several_claims_are_the_union_in_their_fixed_order(
    several: list[RemedyKind], return_required: bool
) -> None:
    table = LEGS if return_required else KEPT
    legs = legs_of(several, return_required=return_required)
    assert list(legs) == [leg for leg in ORDER if any(leg in table[kind] for kind in several)]


@given(st.lists(kinds), st.booleans(), st.randoms())
def test_the_order_of_the_claims_does_not_change_the_legs(
    several: list[RemedyKind], return_required: bool, random: Any
) -> None:
    shuffled = several[:]
    random.shuffle(shuffled)
    assert legs_of(shuffled, return_required=return_required) == legs_of(several, return_required=return_required)


def test_goods_go_back_for_one_claim_though_another_lets_them_be_kept() -> None:
    both = [RemedyKind.EXCHANGE, RemedyKind.RETURN_AND_REFUND]
    assert legs_of(both, return_required=False) == ("return", "performance", "refund")


@given(st.lists(kinds))
def test_the_name_of_several_remedies_is_one_of_theirs_or_a_refund(several: list[RemedyKind]) -> None:
    name = combined_kind(several)
    granting = [kind for kind in several if LEGS[kind]]
    assert (name is RemedyKind.NONE) == (not granting)
    if granting and name not in granting:
        assert name is RemedyKind.REFUND
        assert all(LEGS[kind] == ("refund",) for kind in granting)


@given(st.lists(kinds))
def test_the_name_of_several_remedies_promises_nothing_that_is_not_to_be_done(several: list[RemedyKind]) -> None:
    assert set(LEGS[combined_kind(several)]) <= set(legs_of(several))


@given(st.lists(st.sampled_from(["refund", "partial_refund", "compensation", "none"])))
def test_what_only_pays_has_a_name_with_the_same_legs(several: list[str]) -> None:
    paying = [RemedyKind(kind) for kind in several]
    assert legs_of([combined_kind(paying)]) == legs_of(paying)


@given(kinds, st.integers(1, 5))
def test_the_same_remedy_several_times_keeps_its_name(kind: RemedyKind, times: int) -> None:
    assert combined_kind([kind] * times) is kind


@pytest.mark.parametrize(
    ("several", "name"),
    [
        ([], "none"),
        (["none", "none"], "none"),
        (["none", "compensation"], "compensation"),
        (["partial_refund", "compensation"], "refund"),
        (["refund", "reship"], "refund"),
        (["reship", "refund"], "reship"),
        (["refund", "return_and_refund"], "return_and_refund"),
        (["reship", "exchange"], "exchange"),
        (["exchange", "return_and_refund"], "exchange"),
        (["return_and_refund", "exchange"], "return_and_refund"),
    ],
)
def test_the_most_far_reaching_remedy_gives_several_their_name(several: list[str], name: str) -> None:
    """The one with the most legs; of equals the first."""
    assert combined_kind([RemedyKind(kind) for kind in several]) == name


# --- sums --------------------------------------------------------------------------------------------------------


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
