"""The hash chain of the docket: format, sealing of an entry, and offline verification.

An entry is `{v, case, seq, prev, at, type, from, to, commitments, hash}`; `hash` is the lowercase hex SHA-256 of the
RFC 8785 form of the rest, `prev` the hash of the entry before. Everything private stands in `commitments` (hex, see
`commitments`). An entry that may not be shown is written `{seq, hash}`; the next entry's `prev` still holds it.

In verification nothing in the entries is trusted, not even that they are objects: they may come from a dossier that
somebody edited.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from evidence.canonical import canonical
from evidence.errors import NotCanonical

VERSION = 1
FIRST_SEQ = 1
GENESIS = "0" * 64

_HEX_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_FIELDS = frozenset({"v", "case", "seq", "prev", "at", "type", "from", "to", "commitments", "hash"})
_WITHHELD = frozenset({"seq", "hash"})


def instant(at: datetime) -> str:
    """Write an instant as RFC 3339 in UTC, always with six digits of microseconds and Z.

    Raises ValueError for a naive time, and for one that falls out of the years 1 to 9999 in UTC.
    """
    if at.utcoffset() is None:
        raise ValueError("an instant needs its offset from UTC; this time is naive")
    try:
        utc = at.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("the instant lies outside the years 1 to 9999 in UTC") from error
    return utc.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def is_hex_digest(value: object) -> bool:
    """Tell whether a value is a SHA-256 as this format writes it: 64 lowercase hex digits."""
    return isinstance(value, str) and _HEX_DIGEST.fullmatch(value) is not None


def seal_entry(
    *,
    case: str,
    seq: int,
    prev: str,
    at: datetime,
    type: str,
    from_: str | None,
    to: str,
    commitments: Sequence[str],
) -> dict[str, Any]:
    """Return the finished entry with its hash.

    `seq` counts from 1, `prev` is the hash of entry seq-1 (GENESIS for the first), `from_` and `to` are states (None
    before the first entry; equal when the entry moves nothing), `commitments` hex digests.
    Raises ValueError for a seq below 1, a first entry without GENESIS or with a `from_`, a digest that is not 64
    lowercase hex digits or a naive time; NotCanonical (a ValueError) for text without a canonical form.
    """
    if seq < FIRST_SEQ:
        raise ValueError(f"entries are numbered from {FIRST_SEQ}")
    if (seq == FIRST_SEQ) != (prev == GENESIS) or (seq == FIRST_SEQ) != (from_ is None):
        raise ValueError("the first entry, and no other, has GENESIS before it and comes from no state")
    if not all(is_hex_digest(digest) for digest in (prev, *commitments)):
        raise ValueError("prev and commitments are SHA-256 digests in lowercase hex")
    entry: dict[str, Any] = {
        "v": VERSION,
        "case": case,
        "seq": seq,
        "prev": prev,
        "at": instant(at),
        "type": type,
        "from": from_,
        "to": to,
        "commitments": list(commitments),
    }
    return {**entry, "hash": entry_hash(entry)}


def entry_hash(entry: Mapping[str, Any]) -> str:
    """Return the hash that the entry ought to have: over every field but `hash` itself, unknown fields included.

    Raises NotCanonical when a field has no RFC 8785 form.
    """
    return hashlib.sha256(canonical({key: value for key, value in entry.items() if key != "hash"})).hexdigest()


@dataclass(frozen=True, slots=True)
class Breach:
    """`seq`: the entry at fault (None if it cannot be told), `what`: the fault for a person, `code`: for a program."""

    seq: int | None
    what: str
    code: str


def breaches(entries: Sequence[Mapping[str, Any]], head: str | None = None, *, case: str | None = None) -> list[Breach]:
    """Return everything that is wrong with a chain; an empty list means it is whole.

    `entries` are to stand in order from seq 1; some may be withheld (`{seq, hash}`). With `head`, the hash of the last
    entry from a source that is trusted (a signed head, a receipt), a truncated or wholly rewritten chain is found as
    well; without it a chain cut off at its end is still a chain. With `case` the entries must be that case's, else
    all of one case. Each fault is named once, where it stands: the link to an entry that is missing is not reported
    on top of the gap, and an entry altered under its old hash does not accuse its neighbour.

    A withheld entry is held by the `prev` of the next; of two withheld neighbours only the later one is.
    """
    found: list[Breach] = []
    sound: list[Mapping[str, Any]] = []
    for entry in entries:
        problem = _malformed(entry)
        if problem:
            found.append(problem)
        else:
            sound.append(entry)
    found += _order(sound, unreadable={breach.seq for breach in found})
    found += _contents(sound, case)
    found += _links(sound)
    if head is not None:
        found += _head(sound, head)
    return found


def _malformed(entry: object) -> Breach | None:
    """Return the breach of an entry that cannot be read at all, and so takes no part in the other checks."""
    if not isinstance(entry, Mapping):
        return Breach(None, "an entry is not an object", "malformed")
    seq = entry.get("seq")
    # bool is an int to Python and would pass as entry 1.
    if not isinstance(seq, int) or isinstance(seq, bool):
        return Breach(None, "an entry has no seq that is a whole number", "malformed")
    if seq < FIRST_SEQ:
        return Breach(seq, f"the seq is below {FIRST_SEQ}", "malformed")
    if not is_hex_digest(entry.get("hash")):
        return Breach(seq, "the hash is not 64 lowercase hex digits", "malformed")
    if entry.keys() != _WITHHELD and not entry.keys() >= _FIELDS:
        return Breach(seq, f"the entry lacks {', '.join(sorted(_FIELDS - entry.keys()))}", "malformed")
    return None


def _order(entries: Sequence[Mapping[str, Any]], unreadable: set[int | None]) -> Iterator[Breach]:
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
    # An entry that cannot be read is reported as that, not as missing. The walk is over what is there, since a forged
    # seq of 2^53 must cost nothing.
    expected = FIRST_SEQ
    for seq in sorted(seen.union(seq for seq in unreadable if seq is not None and seq >= FIRST_SEQ)):
        if seq > expected:
            missing = f"entry {expected} is" if seq == expected + 1 else f"entries {expected} to {seq - 1} are"
            yield Breach(expected, f"{missing} missing", "gap")
        expected = seq + 1


def _contents(entries: Sequence[Mapping[str, Any]], case: str | None) -> Iterator[Breach]:
    for entry in entries:
        if _is_withheld(entry):
            continue
        seq = entry["seq"]
        if type(entry["v"]) is not int or entry["v"] != VERSION:
            yield Breach(seq, f"the format is not version {VERSION}", "version")
        if case is None:
            case = entry["case"]
        elif entry["case"] != case:
            yield Breach(seq, "the entry belongs to another case", "wrong_case")
        try:
            intact = entry_hash(entry) == entry["hash"]
        except NotCanonical as error:
            yield Breach(seq, f"the entry cannot be hashed: {error.detail}", "malformed")
            continue
        if not intact:
            yield Breach(seq, "the contents do not give the hash: the entry was altered", "hash")


def _links(entries: Sequence[Mapping[str, Any]]) -> Iterator[Breach]:
    """Check `prev` and `from` against the entry numbered one lower, wherever it stands in the sequence."""
    by_seq: dict[int, Mapping[str, Any]] = {}
    for entry in entries:
        by_seq.setdefault(entry["seq"], entry)
    for entry in entries:
        if _is_withheld(entry):
            continue
        seq = entry["seq"]
        if seq == FIRST_SEQ:
            if entry["prev"] != GENESIS:
                yield Breach(seq, "the first entry has something before it", "prev")
            if entry["from"] is not None:
                yield Breach(seq, "the first entry comes from a state", "state")
            continue
        before = by_seq.get(seq - 1)
        if before is None:
            continue
        if entry["prev"] != before["hash"]:
            yield Breach(seq, f"prev is not the hash of entry {seq - 1}", "prev")
        if not _is_withheld(before) and entry["from"] != before["to"]:
            yield Breach(
                seq, f"the entry does not go on from the state in which entry {seq - 1} left the case", "state"
            )


def _head(entries: Sequence[Mapping[str, Any]], head: str) -> Iterator[Breach]:
    if not entries:
        yield Breach(None, "the chain is empty, yet there is a head", "head")
        return
    last = max(entries, key=lambda entry: int(entry["seq"]))
    if last["hash"] == head:
        return
    at = next((entry["seq"] for entry in entries if entry["hash"] == head), None)
    if at is None:
        what = f"the head is not the hash of entry {last['seq']}: entries were cut off the end, or rewritten"
    else:
        what = f"the head is that of entry {at}, yet entries up to {last['seq']} follow"
    yield Breach(last["seq"], what, "head")


def _is_withheld(entry: Mapping[str, Any]) -> bool:
    return entry.keys() == _WITHHELD
