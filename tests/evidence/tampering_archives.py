"""Ways to tamper with the archive of a dossier: its bits, its members and its records."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator

from tests.evidence.dossiers import Made, members_of
from tests.evidence.resealing import (
    KEYS,
    MANIFEST,
    SIGNATURE,
    Altered,
    Members,
    Spelling,
    archived,
    both,
    resealed,
    stale,
)


def extents_of(data: bytes) -> list[tuple[int, int, str]]:
    """From where to where which member or part of an honest archive lies: (start, end, name)."""
    found, at = [], 0
    while data[at : at + 4] == b"PK\x03\x04":
        size, length = struct.unpack_from("<L", data, at + 18)[0], struct.unpack_from("<H", data, at + 26)[0]
        name = data[at + 30 : at + 30 + length].decode()
        found.append((at, at + 30 + length + size, name))
        at += 30 + length + size
    while data[at : at + 4] == b"PK\x01\x02":
        length = struct.unpack_from("<H", data, at + 28)[0]
        found.append((at, at + 46 + length, data[at + 46 : at + 46 + length].decode()))
        at += 46 + length
    return [*found, (at, len(data), "archive")]


def flipped(data: bytes, position: int, bit: int) -> bytes:
    """The bytes with one bit turned over."""
    return data[:position] + bytes([data[position] ^ (1 << bit)]) + data[position + 1 :]


def bits_of_members(made: Made, rng: random.Random) -> Iterator[Altered]:
    """One bit in every member, at several positions: in the archive as it is, and with the archive redone around it."""
    members = members_of(made.data)
    ends = {name: end for _, end, name in reversed(extents_of(made.data)) if name in members}
    ends |= {name: end for start, end, name in extents_of(made.data) if made.data[start : start + 4] == b"PK\x03\x04"}
    for name, data in members.items():
        for position in sorted({0, len(data) // 2, len(data) - 1, *(rng.randrange(len(data)) for _ in range(4))}):
            bit = rng.randrange(8)
            at = ends[name] - len(data) + position
            yield Altered(f"bit {bit} of byte {position} of {name}", flipped(made.data, at, bit), name)
            altered = {**members, name: flipped(data, position, bit)}
            yield Altered(f"bit {bit} of byte {position} of {name}, redone", stale(altered), name)


def bits_of_the_archive(made: Made, rng: random.Random, count: int) -> Iterator[Altered]:
    """One bit at random places of the file."""
    extents = extents_of(made.data)
    for _ in range(count):
        position, bit = rng.randrange(len(made.data)), rng.randrange(8)
        file = next(name for start, end, name in extents if start <= position < end)
        yield Altered(f"bit {bit} of byte {position} of the file", flipped(made.data, position, bit), file)


def members_altered(members: Members) -> Iterator[Altered]:
    """Members added, removed, renamed, reordered and doubled."""
    for name in (
        "README.txt",
        "exhibits/B-9/content",
        "exhibits/B-1/other",
        "../case.json",
        "page.fr.html",
        "a\x1b[2J",
    ):
        shown = name.replace("\x1b", "\\x1b")
        yield from both(f"{shown} added", {**members, name: b"{}"}, shown, "member")
    for name in members:
        without = {one: data for one, data in members.items() if one != name}
        yield Altered(f"{name} removed, stale", stale(without), name, "member")
        if name not in (MANIFEST, SIGNATURE, KEYS):
            yield Altered(f"{name} removed, resealed", resealed(without), name, "member")
            renamed = {**without, f"{name}x": members[name]}
            yield from both(f"{name} renamed", renamed, name, "member")
    pairs = list(members.items())
    for n in (0, len(pairs) // 2, len(pairs) - 2):
        swapped = [*pairs[:n], pairs[n + 1], pairs[n], *pairs[n + 2 :]]
        yield Altered(f"members {n} and {n + 1} swapped", archived(swapped), pairs[n][0], "local header")
        doubled = [*pairs[: n + 1], (pairs[n][0], b"{}"), *pairs[n + 1 :]]
        yield Altered(f"member {n} doubled", archived(doubled), pairs[n][0], "local header")


def archives_altered(members: Members) -> Iterator[Altered]:
    """Everything that other zips have and this one must not."""
    pairs, one = sorted(members.items()), "docket.jsonl"
    honest_data = archived(pairs)
    zip64 = struct.pack("<2H2Q", 1, 16, len(members[one]), len(members[one]))
    deviations = {
        "compressed": Spelling(method=8, only=one),
        "all compressed": Spelling(method=8),
        "with a data descriptor": Spelling(flags=8, only=one),
        "with data descriptors": Spelling(flags=8),
        "encrypted by its flags": Spelling(flags=1, only=one),
        "flagged UTF-8": Spelling(flags=0x800, only=one),
        "with zip64 sizes": Spelling(extra=zip64, only=one),
        "with an extra field": Spelling(extra=b"\x55\x54\x01\x00\x00", only=one),
        "of another day": Spelling(date=34, only=one),
    }
    for what, how in deviations.items():
        yield Altered(f"a member {what}", archived(pairs, how), one, "local header")
    records = {
        "made by Unix": Spelling(made_by=0x0314, only=one),
        "with attributes": Spelling(attributes=0o644 << 16, only=one),
        "with a comment": Spelling(record_comment=b"hello", only=one),
    }
    for what, how in records.items():
        yield Altered(f"a record {what}", archived(pairs, how), one, "directory record")
    yield Altered("a comment", archived(pairs, comment=b"hello"), "archive")
    yield Altered("bytes before", b"#!/bin/sh\n" + honest_data, "archive", "bytes 0 to 9")
    yield Altered(
        "bytes after", honest_data + b"more", "archive", f"bytes {len(honest_data)} to {len(honest_data) + 3}"
    )
    yield Altered("a second end record", honest_data + honest_data[-22:], "archive", f"bytes {len(honest_data)}")
    yield Altered("a second archive", honest_data + honest_data, "archive", f"bytes {len(honest_data)}")
    directory = next(
        start for start, _, _ in extents_of(honest_data) if honest_data[start : start + 4] == b"PK\x01\x02"
    )
    for at, place in ((extents_of(honest_data)[0][1], "bytes"), (directory, "bytes"), (len(honest_data) - 22, "bytes")):
        yield Altered(f"bytes in between at {at}", honest_data[:at] + b"between" + honest_data[at:], "archive", place)
    for size in (0, 1, 21, 100, directory, directory + 10, len(honest_data) - 22, len(honest_data) - 1):
        yield Altered(f"cut after {size} bytes", honest_data[:size], "archive")
    yield Altered("without a directory", honest_data[:directory] + honest_data[-22:], "archive")
    for field, offset in (("size", 18), ("size", 22), ("crc", 14), ("name", 26), ("extra", 28)):
        data = bytearray(honest_data)
        at = next(start for start, _, name in extents_of(honest_data) if name == one) + offset
        data[at : at + 2] = b"\xff\xff"
        yield Altered(f"a lying {field} at {offset}", bytes(data), one)
