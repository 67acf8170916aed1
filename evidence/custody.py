"""The custody chain of an exhibit: who had it in hand, outside the docket and chained like it.

An entry is `{v, exhibit, seq, prev, at, act, commitment, hash}`; `hash` is the lowercase hex SHA-256 of the RFC 8785
form of the rest, `prev` the hash of the entry before (64 zeros before the first). Who acted, and on which part, stands
in the commitment alone, to `{"actor": {...}, "what": {...}}`.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from evidence.chain import FIRST_SEQ, GENESIS, VERSION, Breach, entry_hash, instant, is_hex_digest
from evidence.errors import NotCanonical

_FIELDS = frozenset({"v", "exhibit", "seq", "prev", "at", "act", "commitment", "hash"})


class CustodyAct(StrEnum):
    """What was done with an exhibit. `exported`: it went into a sealed case file; `redacted`: part of it was erased."""

    filed = "filed"
    viewed = "viewed"
    downloaded = "downloaded"
    exported = "exported"
    redacted = "redacted"


def seal_entry(*, exhibit: str, seq: int, prev: str, at: datetime, act: CustodyAct, commitment: str) -> dict[str, Any]:
    """Return the finished entry with its hash.

    Raises ValueError for a seq below 1, a first entry without GENESIS before it or a later one with it, a digest that
    is none or a naive time.
    """
    if seq < FIRST_SEQ or (seq == FIRST_SEQ) != (prev == GENESIS):
        raise ValueError("entries are numbered from 1, and the first, and no other, has GENESIS before it")
    if not is_hex_digest(prev) or not is_hex_digest(commitment):
        raise ValueError("prev and commitment are SHA-256 digests in lowercase hex")
    entry: dict[str, Any] = {
        "v": VERSION,
        "exhibit": exhibit,
        "seq": seq,
        "prev": prev,
        "at": instant(at),
        "act": act.value,
        "commitment": commitment,
    }
    return {**entry, "hash": entry_hash(entry)}


def breaches(entries: Sequence[object], head: str | None = None, *, exhibit: str | None = None) -> list[Breach]:
    """Return every fault of a whole custody chain; an empty list if it holds.

    `entries` are to stand in order from seq 1. With `head`, the hash of the last entry from a source that is trusted
    (a decision sealed it), a chain that was cut off or written anew is found as well. With `exhibit` the entries must
    be that exhibit's, else all of one. Nothing in the entries is trusted, not even that they are objects. Each fault
    is named once, where it stands.
    """
    found: list[Breach] = []
    sound: list[Mapping[str, Any]] = []
    for place, entry in enumerate(entries, FIRST_SEQ):
        problem = _malformed(entry, place)
        if problem is not None:
            found.append(problem)
        elif isinstance(entry, Mapping):
            sound.append(entry)
    found += _order(sound, unreadable={breach.seq for breach in found if breach.seq is not None})
    found += _contents(sound, exhibit)
    found += _links(sound)
    if head is not None:
        found += _head(sound, head)
    return found


def _malformed(entry: object, place: int) -> Breach | None:
    """Return the breach of an entry that cannot be read, and so takes no part in the other checks."""
    if not isinstance(entry, Mapping):
        return Breach(place, "the entry is not an object", "malformed")
    seq = entry.get("seq")
    # bool is an int to Python and would pass as entry 1.
    if type(seq) is not int or seq < FIRST_SEQ:
        return Breach(place, f"the seq is no whole number from {FIRST_SEQ}", "malformed")
    if entry.keys() != _FIELDS or not is_hex_digest(entry["hash"]):
        return Breach(seq, "the entry is not of this format", "malformed")
    return None


def _order(entries: Sequence[Mapping[str, Any]], unreadable: set[int]) -> Iterator[Breach]:
    seen: set[int] = set()
    highest = FIRST_SEQ - 1
    for entry in entries:
        seq = entry["seq"]
        if seq in seen:
            yield Breach(seq, f"entry {seq} stands there more than once", "duplicate")
        elif seq < highest:
            yield Breach(seq, f"entry {seq} stands after entry {highest}", "out_of_order")
        seen.add(seq)
        highest = max(highest, seq)
    # Over what is there, since a forged seq of 2^53 must cost nothing.
    expected = FIRST_SEQ
    for seq in sorted(seen | unreadable):
        if seq > expected:
            missing = f"entry {expected} is" if seq == expected + 1 else f"entries {expected} to {seq - 1} are"
            yield Breach(expected, f"{missing} missing", "gap")
        expected = seq + 1


def _contents(entries: Sequence[Mapping[str, Any]], exhibit: str | None) -> Iterator[Breach]:
    for entry in entries:
        seq = entry["seq"]
        if type(entry["v"]) is not int or entry["v"] != VERSION:
            yield Breach(seq, f"the format is not version {VERSION}", "version")
        if exhibit is None:
            exhibit = entry["exhibit"]
        elif entry["exhibit"] != exhibit:
            yield Breach(seq, "the entry belongs to another exhibit", "wrong_exhibit")
        try:
            intact = entry_hash(entry) == entry["hash"]
        except NotCanonical as error:
            yield Breach(seq, f"the entry cannot be hashed: {error.detail}", "malformed")
            continue
        if not intact:
            yield Breach(seq, "the contents do not give the hash: the entry was altered", "hash")


def _links(entries: Sequence[Mapping[str, Any]]) -> Iterator[Breach]:
    """Check `prev` against the entry numbered one lower, wherever it stands; where that is missing, it is a gap."""
    by_seq: dict[int, Mapping[str, Any]] = {}
    for entry in entries:
        by_seq.setdefault(entry["seq"], entry)
    for entry in entries:
        seq = entry["seq"]
        if seq == FIRST_SEQ:
            if entry["prev"] != GENESIS:
                yield Breach(seq, "the first entry has something before it", "prev")
        elif (before := by_seq.get(seq - 1)) is not None and entry["prev"] != before["hash"]:
            yield Breach(seq, f"prev is not the hash of entry {seq - 1}", "prev")


def _head(entries: Sequence[Mapping[str, Any]], head: str) -> Iterator[Breach]:
    if not entries:
        yield Breach(None, "the chain is empty, yet there is a head", "head")
        return
    last = max(entries, key=lambda entry: int(entry["seq"]))
    if last["hash"] != head:
        what = f"the head is not the hash of entry {last['seq']}: entries were cut off the end, or rewritten"
        yield Breach(last["seq"], what, "head")
