"""Quotes: a quote must stand, to the letter, in the message it names, and is kept as a position.

Positions count Unicode code points, not bytes and not UTF-16 units. Nothing is normalised, folded or trimmed: a quote
that differs by a full-width comma, a composed accent or a space is not a quote.
"""

from dataclasses import dataclass

from evidence.errors import QuoteDoesNotStand


@dataclass(frozen=True, slots=True)
class Position:
    """`start`: from 0, `length`: at least 1, both in code points of the message's text."""

    start: int
    length: int


def locate(text: str, quote: str) -> Position:
    """Find a quote in a message's text; of several occurrences the first.

    Raises QuoteDoesNotStand (code empty_quote, or quote_does_not_stand) with the text as it really is.
    """
    if not quote:
        raise QuoteDoesNotStand("a quote has at least one character", real_text=text, code="empty_quote")
    start = text.find(quote)
    if start < 0:
        raise QuoteDoesNotStand("the message does not say this, to the letter", real_text=text)
    return Position(start, len(quote))


def render(text: str, start: int, length: int) -> str:
    """Return the words at a position. Raises QuoteDoesNotStand if the text has no such position."""
    # Python's slices forgive what must not be forgiven here: a negative start, or an end beyond the text.
    if start < 0 or length < 1 or start + length > len(text):
        raise QuoteDoesNotStand("the message has no such position", real_text=text, code="no_such_position")
    return text[start : start + length]
