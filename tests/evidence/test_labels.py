import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence.errors import NotALabel
from evidence.labels import LETTERS, Label, label, parse


@pytest.mark.parametrize(
    ("side", "expected"),
    [
        ("buyer", "B-1"),
        ("seller", "S-1"),
        ("mediator", "M-1"),
        ("senior", "M-1"),
        ("supervisor", "M-1"),
        ("platform", "P-1"),
    ],
)
def test_each_side_has_its_letter(side: str, expected: str) -> None:
    assert label(side, 1) == expected


@given(st.sampled_from(sorted(LETTERS)), st.integers(1, 999_999))
def test_a_label_reads_back_as_what_it_was_made_of(side: str, n: int) -> None:
    assert parse(label(side, n)) == Label(LETTERS[side], n)


@pytest.mark.parametrize("n", [0, -1, 1_000_000])
def test_a_number_outside_the_series_is_refused(n: int) -> None:
    with pytest.raises(NotALabel):
        label("buyer", n)


def test_an_unknown_side_is_refused() -> None:
    with pytest.raises(NotALabel):
        label("clock", 1)


@pytest.mark.parametrize(
    "text", ["", "B", "B-", "B-0", "B-01", "b-1", "X-1", "B1", "B-1 ", " B-1", "B-1\n", "B-１", "B--1", "B-1000000"]
)
def test_what_label_would_not_have_written_is_no_label(text: str) -> None:
    with pytest.raises(NotALabel):
        parse(text)
