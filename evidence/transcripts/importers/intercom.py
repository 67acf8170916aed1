"""Intercom: conversation objects of its API, wherever they stand in a JSON document."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from html.parser import HTMLParser
from typing import Any

from evidence.transcripts.importers._items import NotAnItem, itemised, mapping, objects, string
from evidence.transcripts.normal import Attachment, MessageKind, SenderRole
from evidence.transcripts.pieces import Draft, Piece, Stated, aware
from evidence.transcripts.source import Source

NAME = "intercom"
TITLE = "Intercom, conversations of its API"

_STAFF = frozenset({"admin", "bot", "team"})
_BREAKS = frozenset({"p", "br", "div", "li", "ul", "ol", "h1", "h2", "h3", "h4", "blockquote", "pre", "tr"})


def likeness(source: Source) -> int:
    """See `evidence.transcripts.pieces`."""
    return 95 if any(True for _ in _conversations(source.json)) else 0


def pieces(source: Source, stated: Stated) -> Iterator[Piece]:
    """See `evidence.transcripts.pieces`. A conversation's source comes first, then its parts."""
    start = 0
    for conversation in _conversations(source.json):
        items: list[Any] = [{**mapping(conversation.get("source")), "created_at": conversation.get("created_at")}]
        parts = conversation.get("conversation_parts")
        listed = mapping(parts).get("conversation_parts") if isinstance(parts, Mapping) else parts
        items += listed if isinstance(listed, list) else []
        first = [start > 0]

        def read(item: Mapping[str, Any], first: list[bool] = first) -> Draft:
            draft = _draft(item, another=first[0])
            first[0] = False
            return draft

        yield from itemised(items, read, start=start)
        start += len(items)


def _conversations(value: Any) -> Iterator[Mapping[str, Any]]:
    """Every conversation of a document, in its order."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Mapping):
            if one.get("type") == "conversation" and isinstance(one.get("source"), Mapping):
                yield one
            else:
                waiting += reversed(list(one.values()))
        elif isinstance(one, list):
            waiting += reversed(one)


def _draft(item: Mapping[str, Any], *, another: bool) -> Draft:
    author = mapping(item.get("author"))
    if not author and item.get("body") is None:
        raise NotAnItem
    sent_at, doubts = _time(item.get("created_at"))
    doubts += ("another_conversation",) if another else ()
    body = string(item.get("body"))
    attachments = tuple(
        Attachment((string(one.get("name")) or "file")[:200], string(one.get("content_type")))
        for one in objects(item.get("attachments"))
    )
    name = string(author.get("name")) or string(author.get("email")) or string(author.get("id"))
    role = SenderRole.staff if string(author.get("type")) in _STAFF else None
    kind, text = MessageKind.text, _plain(body) if body else ""
    if item.get("redacted") is True:
        kind = MessageKind.recall
    elif attachments and not text:
        pictures = all((one.media_type or "").startswith("image/") for one in attachments)
        kind = MessageKind.image if pictures else MessageKind.file
    elif not text:
        # Assigned, closed, snoozed: something happened and nobody said anything.
        kind, name, text = MessageKind.system, None, string(item.get("part_type")) or ""
    return Draft(
        sender=name if kind is MessageKind.system else name or "?",
        text=text,
        sent_at=sent_at,
        kind=kind,
        sender_id=_identity(author.get("id")),
        role=role,
        attachments=attachments,
        doubts=(*doubts, *(("attachment_missing",) if attachments else ())),
    )


def _identity(value: object) -> str | None:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else None


def _time(value: object) -> tuple[datetime | None, tuple[str, ...]]:
    try:
        if type(value) is not int:
            raise ValueError("no time")
        return aware(value), ()
    except ValueError:
        return None, ("unreadable_time",)


class _Text(HTMLParser):
    """The words of a body in HTML; what breaks a line there breaks it here."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _BREAKS:
            self._break()

    def handle_endtag(self, tag: str) -> None:
        if tag in _BREAKS and tag != "br":
            self._break()

    def handle_data(self, data: str) -> None:
        self.parts.append(data)

    def _break(self) -> None:
        if self.parts and self.parts[-1] != "\n":
            self.parts.append("\n")


def _plain(body: str) -> str:
    if "<" not in body and "&" not in body:
        return body
    parser = _Text()
    parser.feed(body)
    parser.close()
    return "".join(parser.parts).strip("\n")
