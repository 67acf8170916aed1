"""Exports of JSON in which anything stands anywhere: refused, or every item is kept in a form that can be sealed."""

from __future__ import annotations

import copy
import io
import json
import random
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from evidence.errors import NotAdmitted
from evidence.leaves import seal_transcript
from evidence.transcripts import imports
from evidence.transcripts.pieces import Piece, Stated
from tests.evidence.test_importers import ALL, source_of

OF_ITEMS = ("native", "telegram", "intercom", "instagram", "slack")
SAMPLES = [path for path in ALL if path.parent.name in OF_ITEMS]
ANYTHING: list[Any] = [
    *(None, True, 0, -1, 1e300, 10**50, -(10**12), 253_402_300_800_000, [], {}, [[]], [{}], [None, 3, {}]),
    *("", "\x00", "\ud800", "a\udfffb", "x" * 300, "9" * 5_000, "1970-01-01T00:00:00", "<p>", "&#0;", "(File"),
    *("message", {"text": "\ud83d"}, {"type": "conversation", "source": {}}, {"conversation_parts": [None]}),
    *(["a", {"type": [], "text": "b"}], "\u202e\x1b[2J", {"name": "\x00"}, [{"uri": "\udfff", "name": 7}]),
]
NAMES = ("type", "text", "from", "ts", "body", "source", "files", "photos", "author", "action", "x")


def _places(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value in a value, from the outside."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield (*above, key)
        yield from _places(one, (*above, key))


def spoilt(value: Any, chance: random.Random) -> Any:
    """The value with a few values in it replaced, taken out or put in."""
    value = copy.deepcopy(value)
    for _ in range(chance.randint(1, 5)):
        places = list(_places(value))
        if not places:
            break
        *way, key = chance.choice(places)
        node = value
        for step in way:
            node = node[step]
        act, other = chance.random(), copy.deepcopy(chance.choice(ANYTHING))
        if act < 0.7:
            node[key] = other
        elif act < 0.85:
            del node[key]
        elif isinstance(node, dict):
            node[chance.choice(NAMES)] = other
        else:
            node.insert(0, other)
    return value


def spoilt_file(path: Path, chance: random.Random) -> tuple[bytes, str]:
    """A sample with values spoilt, and a name for it."""
    if path.is_file():
        return json.dumps(spoilt(json.loads(path.read_text("utf-8")), chance)).encode(), "x.json"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for one in sorted(path.rglob("*.json")):
            value = json.loads(one.read_text("utf-8"))
            made = spoilt(value, chance) if chance.random() < 0.5 else value
            archive.writestr(one.relative_to(path).as_posix(), json.dumps(made))
    return out.getvalue(), "x.zip"


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_is_imported_can_be_sealed_whatever_stands_in_it(path: Path) -> None:
    imported = 0
    for seed in range(120):
        content, name = spoilt_file(path, random.Random(seed))
        pieces: list[Piece] = []
        try:
            with source_of(content, name) as source:
                stated = Stated(ZoneInfo("Asia/Shanghai"))
                found = imports.read(
                    source, format=path.parent.name, stated=stated, participants={}, watch=pieces.append
                )
        except NotAdmitted:
            continue
        imported += 1
        assert [(one.start, one.end) for one in pieces] == [(n, n + 1) for n in range(len(pieces))]
        assert len(pieces) == len(found.transcript.messages)
        sealed, _ = seal_transcript(found.transcript.messages)
        for one in sealed:
            # As PostgreSQL takes it: UTF-8 without NUL.
            assert b"\x00" not in one.message.text.encode()
    assert imported > 20
