"""Quotes on the page: which finding quotes which words of which message. Positions are code points."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from evidence.dossier.page_text import member, number, objects

Place = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Part:
    """A run of a text that the same findings quote; `ends` are those of them whose quote ends with it."""

    text: str
    cited: tuple[str, ...] = ()
    ends: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Span:
    """One quote: the finding by its number (`2.1`: the first of the second decision), and where it begins and ends."""

    finding: str
    start: int
    end: int


def positions(item: Mapping[str, Any]) -> Iterator[tuple[int, int, int]]:
    """The quotes of what a finding relies on as (message, start, length), those that are none left out."""
    for quote in objects(item.get("quotes")):
        seq, start, length = (number(quote.get(name)) for name in ("seq", "start", "length"))
        if seq is not None and start is not None and length is not None and start >= 0 and length > 0:
            yield seq, start, length


class Quotes:
    """The quotes of all decisions, by message, and the texts that they are of."""

    def __init__(self, decisions: Sequence[Mapping[str, Any]]) -> None:
        self._spans: dict[Place, list[Span]] = {}
        for n, decision in enumerate(decisions, 1):
            for m, finding in enumerate(objects(decision.get("findings")), 1):
                for item in objects(finding.get("relied_on")):
                    for seq, start, length in positions(item):
                        span = Span(f"{n}.{m}", start, start + length)
                        self._spans.setdefault((str(item.get("exhibit")), seq), []).append(span)
        self._texts: dict[Place, str | None] = {}

    def read(self, labels: Iterable[str], messages: Callable[[str], Iterable[Mapping[str, Any]]]) -> None:
        """Look up the messages that are quoted; no more than these are kept."""
        quoted = self.labels()
        for label in labels:
            for line in messages(label) if label in quoted else ():
                seq = number(member(line, "leaf", "seq"))
                place = (label, 0 if seq is None else seq)
                if place in self._spans:
                    text = member(line, "text", "value")
                    self._texts[place] = text if isinstance(text, str) else None

    def labels(self) -> set[str]:
        """The exhibits that are quoted."""
        return {label for label, _ in self._spans}

    def has(self, label: str, seq: int) -> bool:
        """Whether a quoted message is in this copy."""
        return (label, seq) in self._texts

    def words(self, label: str, seq: int, start: int, length: int) -> str | None:
        """The words at a position; None where the message is redacted or not in this copy."""
        text = self._texts.get((label, seq))
        return None if text is None else text[start : start + length]

    def parts(self, label: str, seq: object, text: str) -> list[Part]:
        """A message's text in runs, each with the findings that quote it."""
        spans = self._spans.get((label, seq), []) if isinstance(seq, int) else []
        inside = [one for one in spans if one.start < len(text)]
        cuts = sorted({0, len(text), *(one.start for one in inside), *(min(one.end, len(text)) for one in inside)})
        return [
            Part(text[begin:end], _names(inside, begin, end), _ending(inside, end, len(text)))
            for begin, end in pairwise(cuts)
        ]


def _names(spans: Sequence[Span], begin: int, end: int) -> tuple[str, ...]:
    return _once(one for one in spans if one.start <= begin and end <= one.end)


def _ending(spans: Sequence[Span], end: int, length: int) -> tuple[str, ...]:
    return _once(one for one in spans if min(one.end, length) == end)


def _once(spans: Iterable[Span]) -> tuple[str, ...]:
    """The findings of several quotes, each once, in the order of their numbers."""
    return tuple(sorted({one.finding for one in spans}, key=lambda name: [int(part) for part in name.split(".")]))
