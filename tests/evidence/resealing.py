"""Putting archives together, right and wrong, and sealing again what was altered."""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from evidence.canonical import canonical
from tests.evidence.dossiers import key

STRANGER = 99
MANIFEST, SIGNATURE, KEYS = "verify/manifest.json", "verify/manifest.jws", "verify/keys.json"

Members = dict[str, bytes]
Pairs = Sequence[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Altered:
    """A dossier that was tampered with, and what a verifier must be given to find it.

    A fault in `file` whose place begins with `place` must be among those found. `pem` and `receipts` are what the
    reader brings; without them this alteration cannot be seen.
    """

    name: str
    data: bytes
    file: str
    place: str = ""
    pem: bytes | None = None
    receipts: tuple[str, ...] = ()


@dataclass(slots=True)
class Spelling:
    """How an archive is written; every default is as it must be."""

    method: int = 0
    flags: int = 0
    extra: bytes = b""
    date: int = 33
    made_by: int = 20
    attributes: int = 0
    record_comment: bytes = b""
    only: str | None = None

    def applies_to(self, name: str) -> bool:
        return self.only is None or self.only == name


PLAIN = Spelling()


def archived(pairs: Pairs, how: Spelling = PLAIN, *, comment: bytes = b"") -> bytes:
    """The archive of these members in this order."""
    out, directory = bytearray(), bytearray()
    for name, data in pairs:
        how_here = how if how.applies_to(name) else PLAIN
        raw, encoded, crc = data, name.encode("latin-1"), zlib.crc32(data)
        if how_here.method == 8:
            packer = zlib.compressobj(wbits=-15)
            raw = packer.compress(data) + packer.flush()
        described = bool(how_here.flags & 8)
        sums = (0, 0, 0) if described else (crc, len(raw), len(data))
        offset = len(out)
        fixed = (20, how_here.flags, how_here.method, 0, how_here.date)
        out += struct.pack("<4s5H3L2H", b"PK\x03\x04", *fixed, *sums, len(encoded), len(how_here.extra))
        out += encoded + how_here.extra + raw
        if described:
            out += struct.pack("<4s3L", b"PK\x07\x08", crc, len(raw), len(data))
        lengths = (len(encoded), 0, len(how_here.record_comment), 0, 0, how_here.attributes, offset)
        sizes = (crc, len(raw), len(data))
        directory += struct.pack("<4s6H3L5H2L", b"PK\x01\x02", how_here.made_by, *fixed, *sizes, *lengths)
        directory += encoded + how_here.record_comment
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, len(pairs), len(pairs), len(directory), len(out), len(comment))
    return bytes(out + directory + end + comment)


def stale(members: Members) -> bytes:
    """The archive of these members, the manifest as it is among them."""
    return archived(sorted(members.items()))


def resealed(members: Members, *, by: int = STRANGER, head: dict[str, Any] | None = None, **said: Any) -> bytes:
    """The archive of these members, the manifest redone and signed by a key that is added to the published ones."""
    keys = orjson.loads(members[KEYS])
    jwk = key(by).public_jwk()
    if all(one["kid"] != jwk["kid"] for one in keys["keys"]):
        members = {**members, KEYS: canonical({"keys": [*keys["keys"], jwk]})}
    return signed(members, by, head, said)


def signed(members: Members, by: int, head: dict[str, Any] | None, said: dict[str, Any]) -> bytes:
    files = {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
        for name, data in members.items()
        if name not in (MANIFEST, SIGNATURE)
    }
    manifest = {**orjson.loads(members[MANIFEST]), "files": files, **said}
    manifest["head"] = head or manifest["head"]
    raw = canonical(manifest)
    statement = {
        "v": 1,
        "statement": "dossier",
        "case": manifest["case"],
        "seq": manifest["head"]["seq"],
        "head": manifest["head"]["hash"],
        "manifest": hashlib.sha256(raw).hexdigest(),
        "at": manifest["made_at"],
    }
    return archived(sorted({**members, MANIFEST: raw, SIGNATURE: key(by).sign(statement).encode()}.items()))


def both(name: str, members: Members, file: str, place: str = "") -> Iterator[Altered]:
    """The same alteration with the manifest as it was, and resealed by a stranger."""
    yield Altered(f"{name}, stale", stale(members), file, place)
    yield Altered(f"{name}, resealed", resealed(members), file, place)
