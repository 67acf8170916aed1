"""Slack: a workspace's export, a zip with a folder for each conversation and a file for each day in it.

All conversations are read, by name and each in its order of time. A time is `seconds.microseconds` in UTC, exactly.
"""

import re
from collections import Counter
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
_TS = re.compile(r"([0-9]{1,11})(?:\.([0-9]{1,6}))?")
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
        items = _in_order([item for day in sorted(conversations[conversation]) for item in _list(source, day)])
        yield from itemised(items, lambda item: _draft(item, names), start=start)
        start += len(items)


def _list(source: Source, name: str) -> list[Any]:
    value = _json(source, name)
    return value if isinstance(value, list) else [value]


def _json(source: Source, name: str) -> Any:
    """The value of a file in the archive. Raises NotAdmitted where it is none, so that no day is left out unseen."""
    detail = "a file in the archive cannot be read as JSON"
    try:
        value = source.member(name).json
    except NotAdmitted as error:
        raise NotAdmitted("file", error.code or "not_parsed", detail) from error
    if value is None:
        raise NotAdmitted("file", "not_parsed", detail)
    return value


def _names(source: Source) -> dict[str, str]:
    """Names of people by their id: the one they show, else their real one, else the account's.

    The account's is also taken where several people show the same name, for it is unique.
    """
    files = [name for name in source.members() if name.rpartition("/")[2] == "users.json"]
    shown: dict[str, str] = {}
    accounts: dict[str, str] = {}
    for user in objects(_json(source, files[0])) if files else ():
        profile, account = mapping(user.get("profile")), string(user.get("name"))
        names = (profile.get("display_name"), profile.get("real_name"), user.get("real_name"), account)
        name = next((one for one in map(string, names) if one), None)
        if name and isinstance(user.get("id"), str):
            shown[user["id"]] = name
            accounts[user["id"]] = account or user["id"]
    uses = Counter(shown.values())
    return {one: name if uses[name] == 1 else accounts[one] for one, name in shown.items()}


def _in_order(items: list[Any]) -> list[Any]:
    """Sort by time; an item without one stays behind the item it stood behind."""
    keyed: list[tuple[tuple[int, int], Any]] = []
    at = (0, 0)
    for item in items:
        at = _ts(item) or at
        keyed.append((at, item))
    keyed.sort(key=lambda one: one[0])
    return [item for _, item in keyed]


def _ts(item: Any) -> tuple[int, int] | None:
    """Seconds and microseconds of an item's time."""
    found = _TS.fullmatch(str(mapping(item).get("ts")))
    return (int(found[1]), int((found[2] or "").ljust(6, "0"))) if found else None


def _draft(item: Mapping[str, Any], names: Mapping[str, str]) -> Draft:
    if item.get("type") != "message":
        raise NotAnItem
    subtype = string(item.get("subtype"))
    sent_at, doubts = _time(item)
    doubts += ("edited",) if isinstance(item.get("edited"), Mapping) else ()
    doubts += ("field_not_read",) if item.get("reactions") or item.get("attachments") else ()
    user = string(item.get("user")) or string(mapping(item.get("comment")).get("user")) or string(item.get("bot_id"))
    files = objects(item.get("files")) or objects([item.get("file")])
    attachments = tuple(_attachment(one) for one in files)
    named = string(item.get("username")) or string(mapping(item.get("user_profile")).get("name"))
    sender = names.get(user or "") or named or user
    kind = MessageKind.text
    if subtype in _GONE:
        kind = MessageKind.recall
    elif subtype not in _SPOKEN:
        kind, sender = MessageKind.system, None
    elif sender is None:
        raise NotAnItem
    elif attachments:
        picture = (attachments[0].media_type or "").startswith("image/")
        kind = MessageKind.image if picture else MessageKind.file
    return Draft(
        sender=sender,
        text=item["text"] if isinstance(item.get("text"), str) else "",
        sent_at=sent_at,
        kind=kind,
        sender_id=user,
        attachments=attachments,
        doubts=(*doubts, *(("attachment_missing",) if attachments else ())),
    )


def _attachment(file: Mapping[str, Any]) -> Attachment:
    name = string(file.get("name")) or string(file.get("title")) or string(file.get("id")) or "file"
    return Attachment(name, string(file.get("mimetype")))


def _time(item: Mapping[str, Any]) -> tuple[datetime | None, tuple[str, ...]]:
    found = _ts(item)
    try:
        if found is None:
            raise ValueError("no time")
        return aware(found[0]).replace(microsecond=found[1]), ()
    except ValueError:
        return None, ("unreadable_time",)
