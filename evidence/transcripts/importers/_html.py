"""Messages that were written down in HTML: the words of it, without the markup.

`html.parser` of the standard library takes quadratic time for tags that are never closed, and a chat log is a
stranger's file; so the tags are found by one expression that cannot go back.
"""

import html
import re
from collections.abc import Iterator

#: A tag ends at the first `>`: one that stands inside an attribute's value leaves the rest of the tag in the text.
_TAG = re.compile(r"<(?P<end>/?)(?P<name>[A-Za-z][A-Za-z0-9-]*+)(?P<attributes>[^<>]*+)>")
_SRC = re.compile(r"""\bsrc\s*+=\s*+(?:"([^"]*+)"|'([^']*+)'|([^\s"'>]++))""", re.IGNORECASE)
_BLOCKS = frozenset({"p", "div", "li", "ul", "ol", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "pre", "tr"})


def plain(body: str) -> tuple[str, list[str]]:
    """The words of a body in HTML, with what breaks a line there breaking it here, and the addresses of its images.

    Entities are decoded; a body without markup is returned as it stands.
    """
    if "<" not in body and "&" not in body:
        return body, []
    images: list[str] = []
    parts: list[str] = []
    for text, tag in _cut(body):
        # A line break of the source between two blocks is layout, not text.
        if text and not (text.isspace() and "\n" in text):
            parts.append(html.unescape(text))
        if tag is None:
            continue
        name = tag["name"].lower()
        if name == "br" or (name in _BLOCKS and parts and not parts[-1].endswith("\n")):
            parts.append("\n")
        elif name == "img" and (source := _SRC.search(tag["attributes"])):
            images.append(html.unescape(source[1] or source[2] or source[3] or ""))
    return "".join(parts).strip("\n"), [one for one in images if one]


def _cut(body: str) -> Iterator[tuple[str, re.Match[str] | None]]:
    """The texts between tags, each with the tag behind it; the last has none."""
    at = 0
    for tag in _TAG.finditer(body):
        yield body[at : tag.start()], tag
        at = tag.end()
    yield body[at:], None
