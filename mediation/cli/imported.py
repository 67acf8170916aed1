"""What an import gives, shown to a person or written as JSON. Nothing of the file reaches a terminal as a command."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from evidence.admission import Admitted
from evidence.chain import instant
from evidence.transcripts.importers import importers
from evidence.transcripts.imports import Imported
from evidence.transcripts.normal import Message

LISTED = 20
"""Senders and gaps that are listed where not everything is asked for."""
_PLACES = 5
#: What JSON leaves unescaped and a terminal obeys: C1, and characters that turn the direction of writing.
_STEERING = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
#: Joiners make one sign of several, in emoji as in Persian and Hindi; they steer nothing.
_JOINERS = "\u200c\u200d"


class Shown:
    """An import with the silences in it that are longer than `longest_gap`."""

    def __init__(self, imported: Imported, admitted: Admitted, *, longest_gap: timedelta) -> None:
        self._imported = imported
        self._admitted = admitted
        self._messages = imported.transcript.messages
        self._gaps = list(_gaps(self._messages, longest_gap))

    def json(self) -> str:
        """One JSON object with every message."""
        value = {
            "format": self._imported.format,
            "media_type": self._admitted.media_type,
            "encoding": self._admitted.encoding,
            "sha256": self._admitted.sha256,
            "senders": [
                {"name": name, "roles": roles, "messages": self._imported.senders[name]}
                for name, roles in self._roles().items()
            ],
            "messages": [_message(one) for one in self._messages],
            "gaps": [
                {"after": first, "before": second, "hours": round(gap / timedelta(hours=1), 2)}
                for first, second, gap in self._gaps
            ],
            "problems": [
                {"line": one.line, "message_seq": one.message_seq, "code": one.code, "detail": one.detail}
                for one in self._imported.transcript.problems
            ],
        }
        written = orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
        return _STEERING.sub(lambda one: f"\\u{ord(one[0]):04x}", written)

    def print(self, zone: tzinfo, *, limit: int | None) -> None:
        """Print it for a person, times in `zone`, at most `limit` messages; all of everything for None."""
        console = Console(highlight=False, markup=False)
        for heading, line in self._summary(zone, listed=None if limit is None else LISTED):
            console.print(Text(f"{heading:<11} {line}"), soft_wrap=True)
        if limit != 0:
            console.print()
            console.print(_table(self._messages[:limit], zone))
        if limit is not None and 0 < limit < len(self._messages):
            console.print(f"{len(self._messages) - limit:,} more; --all prints them")

    def _summary(self, zone: tzinfo, *, listed: int | None) -> Iterator[tuple[str, str]]:
        """What is told above the messages, line by line."""
        kinds = Counter(one.kind.value for one in self._messages)
        times = [one.sent_at for one in self._messages if one.sent_at is not None]
        found = self._imported
        yield "format", f"{found.format}: {importers()[found.format].TITLE}"
        yield "file", ", ".join(filter(None, (self._admitted.media_type, self._admitted.encoding)))
        yield "messages", f"{len(self._messages):,}: " + ", ".join(f"{count:,} {kind}" for kind, count in kinds.items())
        if times:
            yield "from, to", f"{_local(min(times), zone)} to {_local(max(times), zone)} ({zone})"
        senders = [
            f"{plain(name, lines=False)}: {counted(found.senders[name])}, {' and '.join(roles)}"
            for name, roles in self._roles().items()
        ]
        gaps = [
            f"{gap / timedelta(hours=1):,.1f} hours between messages {first} and {second}"
            for first, second, gap in self._gaps
        ]
        for heading, lines in (("sender", senders), ("gap", gaps), ("problem", list(self._problems()))):
            yield from ((heading, line) for line in lines[:listed])
            if listed is not None and len(lines) > listed:
                yield "", f"and {len(lines) - listed:,} more; --all prints them"

    def _roles(self) -> dict[str, list[str]]:
        """The sides that each sender speaks for; several only where the file says so."""
        roles: dict[str, set[str]] = {name: set() for name in self._imported.senders}
        for one in self._messages:
            name = one.sender.name
            if name in roles:
                roles[name].add(one.sender.role.value)
        return {name: sorted(sides) for name, sides in roles.items()}

    def _problems(self) -> Iterator[str]:
        """Each kind of problem with the places where it is; of many places the first few."""
        places: dict[tuple[str, str], list[str]] = {}
        for one in self._imported.transcript.problems:
            where = f"line {one.line}" if one.line else f"message {one.message_seq}" if one.message_seq else "file"
            places.setdefault((one.code, one.detail), []).append(where)
        for (code, detail), found in places.items():
            more = f" and {len(found) - _PLACES:,} more" if len(found) > _PLACES else ""
            yield f"{', '.join(found[:_PLACES])}{more}: {detail} ({code})"


def _gaps(messages: Sequence[Message], longest: timedelta) -> Iterator[tuple[int, int, timedelta]]:
    """Pairs of messages, by seq, between which nobody said anything for longer than that."""
    before: tuple[int, datetime] | None = None
    for message in messages:
        if message.sent_at is None:
            continue
        if before is not None and message.sent_at - before[1] > longest:
            yield before[0], message.seq, message.sent_at - before[1]
        before = message.seq, message.sent_at


def _message(one: Message) -> dict[str, Any]:
    return {
        "seq": one.seq,
        "sender": {"role": one.sender.role, "id": one.sender.id, "name": one.sender.name},
        "sent_at": None if one.sent_at is None else instant(one.sent_at),
        "kind": one.kind,
        "text": one.text,
        "attachments": [
            {"name": part.name, "media_type": part.media_type, "sha256": part.sha256} for part in one.attachments
        ],
        "source_line": one.source_line,
    }


def _table(messages: Sequence[Message], zone: tzinfo) -> Table:
    table = Table(box=None, pad_edge=False, show_edge=False)
    table.add_column("seq", justify="right")
    table.add_column("sent", no_wrap=True)
    table.add_column("side")
    table.add_column("sender", overflow="fold")
    # Folded, never cut: what stands in the file is shown to its end.
    table.add_column("text", ratio=1, overflow="fold")
    for one in messages:
        words = plain(one.text) if one.kind.value == "text" else f"<{one.kind.value}> {plain(one.text)}"
        if one.attachments:
            words += " [" + ", ".join(plain(part.name, lines=False) for part in one.attachments) + "]"
        sent = "-" if one.sent_at is None else _local(one.sent_at, zone)
        sender = plain(one.sender.name or "-", lines=False)
        table.add_row(str(one.seq), sent, one.sender.role.value, Text(sender), Text(words))
    return table


def counted(messages: int) -> str:
    """A number of messages."""
    return f"{messages:,} message" + ("" if messages == 1 else "s")


def _local(at: datetime, zone: tzinfo) -> str:
    try:
        return at.astimezone(zone).strftime("%Y-%m-%d %H:%M:%S")
    except OverflowError:
        # At the ends of the calendar the zone would lead out of it.
        return f"{at:%Y-%m-%d %H:%M:%S}Z"


def plain(text: str, *, lines: bool = True) -> str:
    """A text without what would steer a terminal or turn its direction of writing; `lines` lets it have several."""
    kept = _JOINERS + ("\n" if lines else "")
    return "".join(
        one if one in kept or unicodedata.category(one) not in ("Cc", "Cf", "Cs", "Zl", "Zp") else "\ufffd"
        for one in text.replace("\t", " ")
    )
