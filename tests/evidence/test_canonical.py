import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence.canonical import MAX_INTEGER, canonical
from evidence.errors import NotCanonical

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


def test_the_example_of_rfc_8785_section_3_2_2_comes_out_byte_for_byte() -> None:
    value = {
        "numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": "\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"\u002f",
        "literals": [None, True, False],
    }
    expected = (
        '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )
    assert canonical(value) == expected.encode()


def test_keys_are_sorted_by_utf_16_units_as_in_rfc_8785_section_3_2_3() -> None:
    keys = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]
    ordered = list(json.loads(canonical(dict.fromkeys(keys, 0))))
    assert ordered == ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]


@given(JSON)
def test_the_canonical_form_reads_back_as_the_value_and_is_its_own_canonical_form(value: object) -> None:
    form = canonical(value)
    assert json.loads(form) == value
    assert canonical(json.loads(form)) == form


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (float("nan"), "$ is not a finite number"),
        ([1.0, float("-inf")], "$[1] is not a finite number"),
        ({"amount": 2**53}, "$.amount is an integer beyond 2^53-1"),
        ({"amount": -(2**53)}, "$.amount is an integer beyond 2^53-1"),
        ({"amount": 10**5000}, "$.amount is an integer beyond 2^53-1"),
        ({"a": ["\ud800"]}, "$.a[0] contains a lone surrogate"),
        ({"\ud800": 1}, "$ has a key with a lone surrogate"),
        ({1: 1}, "$ has a key that is not a string"),
        ({"a": b"bytes"}, "$.a is of the type bytes, which JSON does not have"),
        ({"a": {1, 2}}, "$.a is of the type set, which JSON does not have"),
        ({"张三": float("nan")}, "$.0 is not a finite number"),
    ],
)
def test_what_has_no_canonical_form_is_refused_with_the_place(value: object, reason: str) -> None:
    with pytest.raises(NotCanonical) as caught:
        canonical(value)
    assert caught.value.detail == reason
    assert caught.value.code == "not_canonical"
    assert isinstance(caught.value, ValueError)


def test_the_greatest_safe_integers_are_taken() -> None:
    assert canonical([MAX_INTEGER, -MAX_INTEGER]) == b"[9007199254740991,-9007199254740991]"


def test_nesting_without_end_is_refused() -> None:
    value: list[object] = []
    value.append(value)
    with pytest.raises(NotCanonical, match="nested too deeply"):
        canonical(value)


def test_a_refusal_never_repeats_what_the_value_said() -> None:
    with pytest.raises(NotCanonical) as caught:
        canonical({"name": "张三\ud800"})
    assert "张三" not in str(caught.value)
