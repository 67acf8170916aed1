"""Ways to tamper with the docket, the messages and the custody chains of a dossier."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from evidence import chain, custody
from evidence.canonical import canonical
from evidence.merkle import root
from tests.evidence.dossiers import lines_of, written
from tests.evidence.resealing import (
    Altered,
    Members,
    both,
    resealed,
)

Lines = list[dict[str, Any]]


def lines_moved(members: Members, name: str, what: str, seq_of: Callable[[Any], int]) -> Iterator[Altered]:
    """Lines dropped, swapped, inserted and duplicated, at the beginning, in the middle and before the end."""
    lines = lines_of(members[name])
    for n in sorted({0, len(lines) // 2, len(lines) - 2}):
        seq = seq_of(lines[n])

        def alter(do: str, altered: Lines, place: int, n: int = n) -> Iterator[Altered]:
            return both(f"{do} {n + 1} of {name}", {**members, name: written(altered)}, name, f"{what} {place}")

        yield from alter("drop", lines[:n] + lines[n + 1 :], seq)
        yield from alter("swap", [*lines[:n], lines[n + 1], lines[n], *lines[n + 2 :]], seq)
        yield from alter("duplicate", lines[: n + 1] + lines[n:], seq)
        yield from alter("repeat", [*lines[: n + 1], lines[0], *lines[n + 1 :]], seq_of(lines[0]))


def docket_altered(members: Members) -> Iterator[Altered]:
    """Entries and openings of the docket altered, one at a time, and the chain redone behind them."""
    name = "docket.jsonl"
    lines = lines_of(members[name])
    seqs = lines_moved(members, name, "entry", lambda line: line["entry"]["seq"] if "entry" in line else line["seq"])
    yield from seqs
    shown = [n for n, line in enumerate(lines) if "entry" in line]
    for n in (shown[0], shown[len(shown) // 2], shown[-1]):
        seq = lines[n]["entry"]["seq"]
        changes: dict[str, Any] = {
            "type": "renamed",
            "at": "2026-03-01T00:00:00.000000Z",
            "to": "elsewhere",
            "v": 2,
            "case": "another",
            "prev": "ab" * 32,
            "hash": "cd" * 32,
            "commitments": ["ef" * 32] * len(lines[n]["entry"]["commitments"]),
            "extra": 1,
        }
        for field, value in changes.items():
            altered = copy.deepcopy(lines)
            altered[n]["entry"][field] = value
            yield from both(f"{field} of entry {seq}", {**members, name: written(altered)}, name, f"entry {seq}")
        yield from _openings_altered(members, lines, n)
    yield from _rehashed(members, lines, shown[0])


def _openings_altered(members: Members, lines: Lines, n: int) -> Iterator[Altered]:
    name, seq = "docket.jsonl", lines[n]["entry"]["seq"]
    place = f"entry {seq}, opening"
    for at, opening in enumerate(lines[n]["openings"]):
        if opening["value"] is None:
            continue
        said = {opening["name"]: "something else"}
        changes = (
            {"value": said},
            {"salt": "00" * 32},
            {"salt": None},
            {"value": None},
            {"salt": opening["salt"].upper()},
            {"value": "text"},
            {"name": "other"},
        )
        for change in changes:
            altered = copy.deepcopy(lines)
            altered[n]["openings"][at] |= change
            what = f"{next(iter(change))} of opening {at + 1} of entry {seq}"
            yield from both(what, {**members, name: written(altered)}, name, place)
    altered = copy.deepcopy(lines)
    altered[n]["openings"].pop()
    yield from both(f"opening dropped from entry {seq}", {**members, name: written(altered)}, name, f"entry {seq}")


def _rehashed(members: Members, lines: Lines, n: int) -> Iterator[Altered]:
    """An entry changed under a hash of its own making: its neighbour, or a seal, knows of another."""
    name = "docket.jsonl"
    altered = copy.deepcopy(lines)
    altered[n]["entry"]["type"] = "renamed"
    altered[n]["entry"]["hash"] = chain.entry_hash(altered[n]["entry"])
    after = next(m for m in range(n + 1, len(lines)) if "entry" in lines[m])
    place = f"entry {lines[after]['entry']['seq']}" if after == n + 1 else "entry"
    if after == n + 1:
        yield from both("entry rehashed", {**members, name: written(altered)}, name, place)
    if all("entry" in line for line in lines):
        for m in range(n + 1, len(lines)):
            altered[m]["entry"]["prev"] = altered[m - 1]["entry"]["hash"]
            altered[m]["entry"]["hash"] = chain.entry_hash(altered[m]["entry"])
        last = altered[-1]["entry"]
        changed = {**members, name: written(altered)}
        yield from both("chain redone", changed, name, f"entry {last['seq']}")
        head = {"seq": last["seq"], "hash": last["hash"]}
        yield Altered("chain and head redone", resealed(changed, head=head), "seals.json", "seal 1")


def messages_altered(members: Members, label: str) -> Iterator[Altered]:
    """Messages dropped, swapped, changed, their openings exchanged, and the log redone as a whole."""
    name = f"exhibits/{label}/messages.jsonl"
    lines = lines_of(members[name])
    yield from lines_moved(members, name, "message", lambda line: int(line["leaf"]["seq"]))
    for n in (0, len(lines) - 1):
        seq, other = n + 1, 1 - n if n < 2 else n - 1
        for part in ("text", "sender", "attachments"):
            exchanged = copy.deepcopy(lines)
            exchanged[n][part], exchanged[other][part] = lines[other][part], lines[n][part]
            if lines[n][part] != lines[other][part]:
                yield from both(f"{part} of {seq} and {other + 1}", {**members, name: written(exchanged)}, name)
            if lines[n][part]["salt"] is None:
                continue
            value: Any = {"text": "never said", "sender": {"id": "x", "name": None}, "attachments": [1]}[part]
            for change in ({"value": value}, {"salt": "00" * 32}, {"salt": None}, {"value": None}, {"value": 1}):
                altered = copy.deepcopy(lines)
                altered[n][part] |= change
                what = f"{next(iter(change))} of {part} of message {seq}"
                yield from both(what, {**members, name: written(altered)}, name, f"message {seq}")
        for field, value in (("sent_at", "2026-03-01T00:00:00.000000Z"), ("role", "staff!"), ("c_text", "ab" * 32)):
            altered = copy.deepcopy(lines)
            altered[n]["leaf"][field] = value
            yield from both(f"{field} of message {seq}", {**members, name: written(altered)}, name)
    cut = {**members, name: written(lines[:-1])}
    yield from both("last message cut off", cut, name, "end")
    yield from _log_redone(members, label, lines)


def _log_redone(members: Members, label: str, lines: Lines) -> Iterator[Altered]:
    """The log without its first message, renumbered, and the new root in exhibits.json: the docket knows the old."""
    redone = copy.deepcopy(lines[1:])
    for seq, line in enumerate(redone, 1):
        line["leaf"]["seq"] = seq
    leaves = [hashlib.sha256(b"\x00" + canonical(line["leaf"])).digest() for line in redone]
    listed = orjson.loads(members["exhibits.json"])
    for exhibit in listed:
        if exhibit["label"] == label:
            exhibit |= {"messages": len(redone), "merkle_root": root(leaves).hex()}
    name = f"exhibits/{label}/messages.jsonl"
    changed = {**members, name: written(redone), "exhibits.json": canonical(listed)}
    yield from both("log redone", changed, "exhibits.json", f"{label}, merkle_root")


def custody_altered(members: Members, label: str) -> Iterator[Altered]:
    """Custody entries moved and changed, and a chain redone of which a decision sealed the head."""
    name = f"exhibits/{label}/custody.jsonl"
    lines = lines_of(members[name])
    yield from lines_moved(members, name, "entry", lambda line: int(line["entry"]["seq"]))
    for field, value in (("act", "viewed?"), ("at", "2026-03-01T00:00:00.000000Z"), ("exhibit", "x"), ("v", 2)):
        altered = copy.deepcopy(lines)
        altered[0]["entry"][field] = value
        yield from both(f"{field} of custody entry 1", {**members, name: written(altered)}, name, "entry 1")
    altered = copy.deepcopy(lines)
    altered[-1]["opening"] = {"salt": "00" * 32, "value": {"actor": None}}
    yield from both("custody opening", {**members, name: written(altered)}, name, f"entry {len(lines)}")
    yield from both("custody cut off", {**members, name: written(lines[:-1])}, name)
    redone: Lines = []
    for line in lines:
        entry = {**line["entry"], "act": "viewed", "at": "2026-03-01T00:00:00.000000Z"}
        entry["prev"] = redone[-1]["entry"]["hash"] if redone else chain.GENESIS
        entry["hash"] = chain.entry_hash(entry)
        redone.append({**line, "entry": entry})
    assert not custody.breaches([line["entry"] for line in redone])
    listed = orjson.loads(members["exhibits.json"])
    for exhibit in listed:
        if exhibit["label"] == label:
            exhibit["custody"] = {"seq": len(redone), "hash": redone[-1]["entry"]["hash"]}
    changed = {**members, name: written(redone), "exhibits.json": canonical(listed)}
    yield from both("custody chain redone", changed, name, "entries")
