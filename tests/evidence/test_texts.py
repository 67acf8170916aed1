import json
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evidence.admission import MAX_BYTES, Admitted
from evidence.errors import NotAdmitted
from evidence.formats import texts

Filing = Callable[[bytes, str], Admitted]
Refusing = Callable[[bytes, str], NotAdmitted]

CHAT = "张三 2026-11-03 09:30:00\r\n\t亲，明天发货哦 👍🏽\r\n"


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (CHAT.encode(), "utf-8"),
        (CHAT.encode("utf-8-sig"), "utf-8-sig"),
        (CHAT.encode("utf-16"), "utf-16"),
        (b"\xfe\xff" + CHAT.encode("utf-16-be"), "utf-16"),
        (CHAT.encode("gb18030"), "gb18030"),
    ],
)
@pytest.mark.parametrize(("name", "media_type"), [("a.txt", "text/plain"), ("a.csv", "text/csv"), ("a", "text/plain")])
def test_a_text_is_admitted_in_each_encoding(
    filed: Filing, data: bytes, encoding: str, name: str, media_type: str
) -> None:
    one = filed(data, name)
    assert (one.media_type, one.encoding) == (media_type, encoding)
    assert one.file.read().decode(encoding) == CHAT


def test_a_character_across_the_border_of_two_chunks_is_read_whole(filed: Filing) -> None:
    data = b"x" * (texts.CHUNK_BYTES - 1) + "货".encode()
    assert filed(data, "a.txt").encoding == "utf-8"


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xff\xff",
        b"caf\xe9",
        "货".encode()[:2] + b"\xff",
        b"\xff\xfea",
        b"\xff\xfe\x00\xd8",
        b"\xef\xbb\xbf\xff",
        b"\x80\x80",
    ],
)
def test_bytes_in_no_encoding_are_refused(refused: Refusing, data: bytes) -> None:
    assert refused(data, "a.txt").code == "not_text"


@pytest.mark.parametrize("code", [*range(9), 0x0B, 0x0C, *range(0x0E, 0x20), 0x7F, 0x80, 0x9F])
def test_a_control_character_is_refused(refused: Refusing, code: int) -> None:
    assert refused(f"text{chr(code)}text".encode(), "a.txt").code == "control_character"


def test_a_nul_hidden_in_another_encoding_is_refused(refused: Refusing) -> None:
    assert refused("a\x00b".encode("utf-16"), "a.txt").code == "control_character"
    assert refused("货\x00".encode("gb18030"), "a.txt").code == "control_character"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ),
    st.booleans(),
)
def test_every_json_value_of_measure_is_json(value: object, ascii_only: bool) -> None:
    texts._bound(json.dumps(value, ensure_ascii=ascii_only))


@pytest.mark.parametrize("data", ['{"a": [1, 2.5e3, "x\\u00e9", null, true]}', "[]", '"]]]]"', '{"a": "\\\\\\""}', "5"])
def test_json_is_admitted(filed: Filing, data: str) -> None:
    assert filed(data.encode(), "a.json").media_type == "application/json"
    assert filed(data.encode("utf-16"), "a.json").encoding == "utf-16"


@pytest.mark.parametrize(
    "data",
    [
        "{",
        "[1,]",
        "{'a': 1}",
        "nul",
        '{"a": 1} x',
        '"open',
        '"open\\',
        "[NaN]",
        "[-Infinity]",
        "]",
        '"a\tb"',
        "{}{}",
        " ",
    ],
)
def test_what_is_not_json_is_refused(refused: Refusing, data: str) -> None:
    assert refused(data.encode(), "a.json").code == "not_parsed"


def test_json_may_be_nested_64_deep_and_no_deeper(filed: Filing, refused: Refusing) -> None:
    filed(b"[" * 64 + b"]" * 64, "a.json")
    assert refused(b"[" * 65 + b"]" * 65, "a.json").code == "nested_too_deeply"
    assert refused(b'{"a":' * 65 + b"1" + b"}" * 65, "a.json").code == "nested_too_deeply"
    assert refused(b"[" * 5_000_000, "a.json").code == "nested_too_deeply"


def test_brackets_in_strings_are_not_nesting(filed: Filing) -> None:
    filed(json.dumps(["[" * 1_000, '"' + "{" * 1_000]).encode(), "a.json")


@pytest.mark.parametrize("data", ['{"a":1,"a":1}', '{"a":1,"\\u0061":2}', '[{"x":{"k":1,"j":2,"k":3}}]'])
def test_a_key_given_twice_is_refused(refused: Refusing, data: str) -> None:
    assert refused(data.encode(), "a.json").code == "duplicate_key"


def test_a_key_given_in_two_objects_is_fine(filed: Filing) -> None:
    filed(b'[{"a":1},{"a":{"a":2}}]', "a.json")


def test_the_number_of_values_is_bounded(refused: Refusing) -> None:
    error = refused(b"[" + b"[]," * 1_000_001 + b"1]", "a.json")
    assert (error.code, error.status_hint) == ("too_many_values", "too_large")


def test_a_number_of_a_million_digits_costs_nothing(filed: Filing) -> None:
    filed(b"[" + b"7" * 1_000_000 + b"]", "a.json")


@pytest.mark.parametrize(
    "data", [b'"' + b'\\"' * (MAX_BYTES // 2 - 1), b'"' + b"x" * (MAX_BYTES - 1), b'""' * (MAX_BYTES // 2)]
)
def test_strings_made_to_be_costly_are_refused_in_good_time(refused: Refusing, data: bytes) -> None:
    started = time.perf_counter()
    assert refused(data, "a.json").code == "not_parsed"
    assert time.perf_counter() - started < 8
