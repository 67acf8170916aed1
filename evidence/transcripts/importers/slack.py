"""Slack: a workspace's export, a zip with a folder for each conversation and a file for each day in it.

All conversations are read, by name and each in its order of time. A time is `seconds.microseconds` in UTC, exactly.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from evidence.errors import NotAdmitted
from evidence.transcripts.importers._items import NotAnItem, itemised, mapping, objects, string
from evidence.transcripts.normal import Attachment, MessageKind
from evidence.transcripts.pieces import Draft, Piece, Stated, aware
from evidence.transcripts.source import Source

NAME = "slack"
TITLE = "Slack, exported workspace (zip)"

_DAY = re.compile(r"(?P<conversation>.+)/[0-9]{4}-[0-9]{2}-[0-9]{2}\.json")
_TS = re.compile(r"([0-9]{1,11})\.([0-9]{6})")
#: Subtypes that a person, or a program under a name, still says something with.
_SPOKEN = frozenset(
    {None, "bot_message", "me_message", "file_share", "thread_broadcast", "file_comment", "reply_broadcast"}
)
_GONE = frozenset({"tombstone", "message_deleted"})


def likeness(source: Source) -> int:
    """See `evidence.transcripts.pieces`."""
    names = source.members()
    days = [name for name in names if _DAY.fullmatch(name)]
    return 90 if days and any(name.rpartition("/")[2] == "users.json" for name in names) else 60 if days else 0


def pieces(source: Source, stated: Stated) -> Iterator[Piece]:
    """See `evidence.transcripts.pieces`."""
    names = _names(source)
    conversations: dict[str, list[str]] = {}
    for name in source.members():
        if found := _DAY.fullmatch(name):
            conversations.setdefault(found["conversation"], []).append(name)
    start = 0
    for conversation in sorted(conversations):
        items = [item for day in sorted(conversations[conversation]) for item in _list(source, day)]
        items.sort(key=_order)
        first = [start > 0]

        def read(item: Mapping[str, Any], first: list[bool] = first) -> Draft:
            draft = _draft(item, names, another=first[0])
            first[0] = False
            return draft

        yield from itemised(items, read, start=start)
        start += len(items)


def _list(source: Source, name: str) -> list[Any]:
    value = _json(source, name)
    return value if isinstance(value, list) else [value]


def _json(source: Source, name: str) -> Any:
    try:
        return source.member(name).json
    except NotAdmitted as error:
        raise NotAdmitted("file", error.code, "a file in the archive cannot be read as JSON") from error


def _names(source: Source) -> dict[str, str]:
    """Names of people by their id: the one they show, else their real one, else the account's."""
    files = [name for name in source.members() if name.rpartition("/")[2] == "users.json"]
    found: dict[str, str] = {}
    for user in objects(_json(source, files[0])) if files else ():
        profile = mapping(user.get("profile"))
        names = (profile.get("display_name"), profile.get("real_name"), user.get("real_name"), user.get("name"))
        name = next((one for one in map(string, names) if one), None)
        if name and isinstance(user.get("id"), str):
            found[user["id"]] = name
    return found


def _order(item: Any) -> tuple[int, int]:
    found = _TS.fullmatch(str(mapping(item).get("ts")))
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _draft(item: Mapping[str, Any], names: Mapping[str, str], *, another: bool) -> Draft:
    if item.get("type") != "message":
        raise NotAnItem
    subtype = string(item.get("subtype"))
    sent_at, doubts = _time(item)
    doubts += ("another_conversation",) if another else ()
    doubts += ("edited",) if isinstance(item.get("edited"), Mapping) else ()
    doubts += ("field_not_read",) if item.get("reactions") or item.get("attachments") else ()
    user = string(item.get("user")) or string(mapping(item.get("comment")).get("user")) or string(item.get("bot_id"))
    files = objects(item.get("files")) or objects([item.get("file")])
    attachments = tuple(_attachment(one) for one in files)
    sender = (
        names.get(user or "") or string(item.get("username")) or string(mapping(item.get("user_profile")).get("name"))
    )
    kind = MessageKind.text
    if subtype in _GONE:
        kind = MessageKind.recall
    elif subtype not in _SPOKEN:
        kind = MessageKind.system
    elif attachments:
        picture = (attachments[0].media_type or "").startswith("image/")
        kind = MessageKind.image if picture else MessageKind.file
    return Draft(
        sender=None if kind is MessageKind.system else sender or user or "?",
        text=item["text"] if isinstance(item.get("text"), str) else "",
        sent_at=sent_at,
        kind=kind,
        sender_id=user,
        attachments=attachments,
        doubts=(*doubts, *(("attachment_missing",) if attachments else ())),
    )


def _attachment(file: Mapping[str, Any]) -> Attachment:
    name = string(file.get("name")) or string(file.get("title")) or string(file.get("id")) or "file"
    return Attachment(name[:200], string(file.get("mimetype")))


def _time(item: Mapping[str, Any]) -> tuple[datetime | None, tuple[str, ...]]:
    found = _TS.fullmatch(str(item.get("ts")))
    try:
        if found is None:
            raise ValueError("no time")
        return aware(int(found[1])).replace(microsecond=int(found[2])), ()
    except ValueError:
        return None, ("unreadable_time",)
