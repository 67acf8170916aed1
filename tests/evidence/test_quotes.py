import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from evidence.errors import QuoteDoesNotStand
from evidence.quotes import Position, locate, render


def test_positions_count_code_points() -> None:
    text = "👍🏽 亲，我们还没发货哦"
    assert locate(text, "我们还没发货") == Position(5, 6)
    assert render(text, 5, 6) == "我们还没发货"


def test_of_several_occurrences_the_first_is_taken() -> None:
    assert locate("明天发货，明天发货", "明天发货") == Position(0, 4)


@given(st.text(min_size=1), st.data())
def test_every_piece_of_a_text_stands_in_it_and_is_rendered_to_the_letter(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    length = data.draw(st.integers(1, len(text) - start))
    quote = text[start : start + length]
    position = locate(text, quote)
    assert position.start <= start
    assert render(text, position.start, position.length) == quote


@given(st.text(), st.text(min_size=1))
def test_what_is_not_in_the_text_does_not_stand(text: str, quote: str) -> None:
    assume(quote not in text)
    with pytest.raises(QuoteDoesNotStand) as caught:
        locate(text, quote)
    assert caught.value.real_text == text


@pytest.mark.parametrize(
    ("text", "quote"),
    [
        ("我们还没发货。", "我们还没发货."),
        ("we have NOT shipped", "we have not shipped"),
        ("caf\u00e9", "cafe\u0301"),
        ("ﬁne", "fine"),
        ("１００元", "100元"),
        ("two  spaces", "two spaces"),
        ("line\r\nbreak", "line\nbreak"),
        ("發貨", "发货"),
        ("no-break\u00a0space", "no-break space"),
        ("zero\u200bwidth", "zerowidth"),
    ],
)
def test_nothing_is_normalised(text: str, quote: str) -> None:
    with pytest.raises(QuoteDoesNotStand) as caught:
        locate(text, quote)
    assert caught.value.code == "quote_does_not_stand"


def test_an_empty_quote_is_refused() -> None:
    with pytest.raises(QuoteDoesNotStand) as caught:
        locate("anything", "")
    assert caught.value.code == "empty_quote"


def test_the_real_text_is_not_in_the_errors_own_words() -> None:
    with pytest.raises(QuoteDoesNotStand) as caught:
        locate("我的电话是 13800000000", "没有这句")
    assert "138" not in str(caught.value)
    assert caught.value.real_text == "我的电话是 13800000000"


@pytest.mark.parametrize(("start", "length"), [(-1, 1), (0, 0), (0, -1), (0, 5), (3, 2), (4, 1), (99, 1)])
def test_a_position_that_the_text_does_not_have_renders_nothing(start: int, length: int) -> None:
    with pytest.raises(QuoteDoesNotStand) as caught:
        render("四个字符", start, length)
    assert caught.value.code == "no_such_position"
