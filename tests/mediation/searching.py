"""Looking for a text in bytes, in every form it may have left there, and guessing it back from what is left."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from evidence.canonical import canonical

_LONG_HEX = re.compile(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")


def forms(text: str) -> dict[str, bytes]:
    """A text as it may stand in bytes."""
    raw = text.encode()
    found = {
        "UTF-8": raw,
        "UTF-16LE": text.encode("utf-16-le"),
        "UTF-16BE": text.encode("utf-16-be"),
        "hex": raw.hex().encode(),
        "HEX": raw.hex().upper().encode(),
    }
    for shift in range(3):
        # Base64 goes by threes, so what is inside of a longer text begins at any of three places.
        coded = base64.b64encode(bytes(shift) + raw)
        found[f"base64 at {shift}"] = coded[-(-8 * shift // 6) : len(coded) - 4]
    return found


def digests(of: Iterable[bytes]) -> dict[str, bytes]:
    """The bare SHA-256 of each, as it may stand in bytes."""
    found = {}
    for n, value in enumerate(of):
        digest = hashlib.sha256(value).digest()
        found |= {
            f"digest {n}, raw": digest,
            f"digest {n}, hex": digest.hex().encode(),
            f"digest {n}, HEX": digest.hex().upper().encode(),
            f"digest {n}, base64": base64.b64encode(digest).rstrip(b"="),
            f"digest {n}, base64url": base64.urlsafe_b64encode(digest).rstrip(b"="),
        }
    return found


def plain_values(text: str) -> list[bytes]:
    """What of a text alone might have been hashed."""
    return [text.encode(), canonical(text), canonical({"text": text}), b"\x00" + canonical(text)]


def found_in(data: bytes, needles: dict[str, bytes]) -> list[str]:
    """The needles that are in it."""
    return [name for name, needle in needles.items() if needle in data]


def found_below(folder: Path, needles: dict[str, bytes]) -> list[str]:
    """Where in a folder's files, and their names, the needles are."""
    places = []
    for path in sorted(folder.rglob("*")):
        try:
            data = path.read_bytes() if path.is_file() else b""
        except FileNotFoundError:
            # A server at work takes files of its own away.
            continue
        places += [f"{path.relative_to(folder)}: {name}" for name in found_in(data + str(path).encode(), needles)]
    return places


def guessed(dump: bytes, candidates: Iterable[str], known: Iterable[Callable[[str], bytes]]) -> Iterator[str]:
    """Those candidates of which a commitment with a salt of the dump, or a bare digest, stands in the dump.

    Every value of 32 bytes is tried as a salt. `known` makes of a candidate a file that the guesser knows but for it.
    """
    values = {bytes.fromhex(one.decode()) for one in _LONG_HEX.findall(dump)}
    salted = [hashlib.sha256(b"\x00" + salt) for salt in values]
    known = list(known)
    for candidate in candidates:
        if any(hashlib.sha256(value).digest() in values for value in plain_values(candidate)) or any(
            hashlib.sha256(made(candidate)).digest() in values for made in known
        ):
            yield candidate
            continue
        for form in (canonical(candidate), canonical({"text": candidate})):
            for begun in salted:
                one = begun.copy()
                one.update(form)
                if one.digest() in values:
                    yield candidate
                    break
            else:
                continue
            break
