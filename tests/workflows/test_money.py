"""Money: shown with the currency's own decimals, shared out to the last minor unit."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows.money import exponent, share, shown, split
from workflows.remedies import MAX_MINOR, sums_exactly

amounts = st.integers(0, MAX_MINOR)
weights = st.lists(st.integers(0, MAX_MINOR) | st.integers(0, 3), min_size=1, max_size=8).filter(any)


@pytest.mark.parametrize(
    ("currency", "digits"), [("CNY", 2), ("EUR", 2), ("JPY", 0), ("KRW", 0), ("KWD", 3), ("TND", 3), ("CLF", 4)]
)
def test_a_currency_has_the_decimals_of_its_minor_unit(currency: str, digits: int) -> None:
    assert exponent(currency) == digits


@pytest.mark.parametrize(
    ("amount_minor", "currency", "text"),
    [
        (12_900, "CNY", "129.00 CNY"),
        (129, "JPY", "129 JPY"),
        (129, "KWD", "0.129 KWD"),
        (1, "CLF", "0.0001 CLF"),
        (0, "CNY", "0.00 CNY"),
        (0, "JPY", "0 JPY"),
        (-5, "CNY", "-0.05 CNY"),
        (-129, "JPY", "-129 JPY"),
        (MAX_MINOR, "CNY", "90071992547409.91 CNY"),
    ],
)
def test_a_sum_is_shown_in_major_units_with_all_its_decimals(amount_minor: int, currency: str, text: str) -> None:
    assert shown(amount_minor, currency) == text


@given(st.integers(-MAX_MINOR, MAX_MINOR), st.sampled_from(["CNY", "JPY", "KWD", "UYW"]))
def test_what_is_shown_reads_back_as_the_same_sum(amount_minor: int, currency: str) -> None:
    number, code = shown(amount_minor, currency).split(" ")
    assert code == currency
    assert Decimal(number).scaleb(exponent(currency)) == amount_minor


@pytest.mark.parametrize(
    ("total", "by", "parts"),
    [
        (100, [1, 1, 1], (34, 33, 33)),
        (101, [1, 1, 1], (34, 34, 33)),
        (1, [1, 2], (0, 1)),
        (1, [0, 1, 1, 0], (0, 1, 0, 0)),
        (0, [3, 5], (0, 0)),
        (7, [4], (7,)),
        (10, [15, 15, 70], (2, 1, 7)),
        (MAX_MINOR, [1, 1], (2**52, 2**52 - 1)),
        # Reckoned in floats the first part would be rounded up, at the cost of the second.
        (MAX_MINOR, [9, 1, 1], (7_369_526_662_969_902, 818_836_295_885_545, 818_836_295_885_544)),
    ],
)
def test_what_is_left_over_goes_to_those_who_lost_most_and_of_equals_to_the_earlier(
    total: int, by: list[int], parts: tuple[int, ...]
) -> None:
    assert split(total, by) == parts


@given(amounts, weights)
def test_the_parts_make_up_the_total(total: int, by: list[int]) -> None:
    parts = split(total, by)
    assert len(parts) == len(by)
    assert all(type(part) is int and part >= 0 for part in parts)
    assert sums_exactly(parts, total)


@given(amounts, weights)
def test_each_part_is_less_than_one_unit_from_the_exact_share(total: int, by: list[int]) -> None:
    whole = sum(by)
    for part, weight in zip(split(total, by), by, strict=True):
        assert abs(part - Fraction(total * weight, whole)) < 1


@given(amounts, weights)
def test_a_weight_of_zero_gets_nothing(total: int, by: list[int]) -> None:
    assert not any(part for part, weight in zip(split(total, by), by, strict=True) if weight == 0)


@given(amounts, weights)
def test_a_larger_weight_never_gets_less_and_of_equals_the_earlier_never_does(total: int, by: list[int]) -> None:
    parts = split(total, by)
    ranked = sorted(range(len(by)), key=lambda index: (-by[index], index))
    assert [parts[index] for index in ranked] == sorted(parts, reverse=True)


@given(amounts, weights, st.data())
def test_the_order_of_the_weights_matters_only_where_two_lost_the_same(
    total: int, by: list[int], data: st.DataObject
) -> None:
    order = data.draw(st.permutations(range(len(by))))
    parts = split(total, by)
    moved = split(total, [by[index] for index in order])
    assert all(abs(part - parts[index]) <= 1 for index, part in zip(order, moved, strict=True))
    if len({total * weight % sum(by) for weight in by}) == len(set(by)):
        moved_pairs = [(by[index], part) for index, part in zip(order, moved, strict=True)]
        assert sorted(moved_pairs) == sorted(zip(by, parts, strict=True))


@given(amounts, weights, st.integers(1, 1_000))
def test_only_the_proportion_of_the_weights_matters(total: int, by: list[int], times: int) -> None:
    assert split(total, [weight * times for weight in by]) == split(total, by)


@pytest.mark.parametrize(
    ("total", "by", "why"),
    [(-1, [1], "negative total"), (1, [2, -1], "weight is negative"), (1, [0, 0], "above zero"), (1, [], "above zero")],
)
def test_what_cannot_be_shared_out_is_an_error(total: int, by: list[int], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        split(total, by)


@pytest.mark.parametrize(
    ("total", "numerator", "denominator", "part"),
    [
        (12_900, 30, 100, 3_870),
        (1, 50, 100, 1),
        (1, 49, 100, 0),
        (3, 50, 100, 2),
        (-1, 50, 100, 0),
        (-3, 50, 100, -1),
        (100, 1, 3, 33),
        (200, 1, 3, 67),
        (5, 0, 100, 0),
        (MAX_MINOR, 100, 100, MAX_MINOR),
        (MAX_MINOR, 1, 2, 2**52),
    ],
)
def test_a_share_is_rounded_to_the_nearest_unit_and_a_half_up(
    total: int, numerator: int, denominator: int, part: int
) -> None:
    assert share(total, numerator, denominator) == part


@given(amounts, st.integers(0, 100))
def test_a_percentage_is_within_half_a_unit_of_the_exact_share(total: int, percent: int) -> None:
    off = share(total, percent) - Fraction(total * percent, 100)
    assert Fraction(-1, 2) < off <= Fraction(1, 2)


@pytest.mark.parametrize("denominator", [0, -100])
def test_a_share_needs_a_denominator_above_zero(denominator: int) -> None:
    with pytest.raises(ValueError, match="above zero"):
        share(1, 1, denominator)
