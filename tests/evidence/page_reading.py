"""What a test reads of a page: its structure, and what a person sees."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

from evidence.dossier.page import render
from tests.evidence.pages import view

VOID = {"meta", "br"}
BLOCKS = {"p", "td", "th", "dt", "dd", "li", "div", "h1", "h2", "h3", "h4", "caption", "code", "blockquote", "br"}


class Structure(HTMLParser):
    """What a page is made of; fails for tags that do not match."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append((tag, found))
        if tag not in VOID:
            self.open.append(tag)
        if "id" in found:
            self.ids.append(str(found["id"]))
        if tag in BLOCKS:
            self.text.append("\n")
        if tag == "a":
            self.links.append(str(found["href"]))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, (tag, self.open[-4:])
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.text.append(data)


def page(language: str = "en", **changes: Any) -> str:
    return "".join(render(view(**changes), language))


def parsed(text: str) -> Structure:
    found = Structure()
    found.feed(text)
    found.close()
    assert found.open == []
    return found


def shown(language: str = "en", **changes: Any) -> str:
    """What a reader of the page reads, with every run of white space as one space."""
    return " ".join("".join(parsed(page(language, **changes)).text).split())


def between(text: str, begin: str, end: str) -> str:
    return text.partition(begin)[2].partition(end)[0]
