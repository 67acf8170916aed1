"""Reading JSON of which nothing is trusted: values and lines, in canonical form or told not to be."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import orjson

from evidence.canonical import MAX_INTEGER, canonical
from evidence.dossier.archive import Archive, Member
from evidence.dossier.faults import MAX_FAULTS, Findings
from evidence.dossier.shapes import Shape, misfits
from evidence.errors import NotCanonical

MAX_VALUE = 32 << 20
"""Bytes of one value or line: read into memory a value is many times larger than written."""

# Only digits as many as these, or an exponent, can make a number that is too large.
_MAY_BE_LARGE = re.compile(rb"[0-9]{16}|[0-9]e\+")


@dataclass(frozen=True, slots=True)
class Read:
    """A value that was read, `None` with a fault if it could not be; `fault` is (code, what)."""

    value: Any
    fault: tuple[str, str] | None = None


def read(data: bytes) -> Read:
    """Read one JSON value. What is no JSON, too large or too deep has no value; what is not canonical has one."""
    if len(data) > MAX_VALUE:
        return Read(None, ("too_large", f"it has more than {MAX_VALUE >> 20} MiB"))
    try:
        value = orjson.loads(data)
        if value is None:
            return Read(None, ("malformed", "it is null"))
        written = canonical(value)
    except NotCanonical as error:
        return Read(None, ("not_canonical", f"it has no canonical form: {error.detail}"))
    except ValueError:
        return Read(None, ("not_json", "it is not JSON in UTF-8"))
    fault = None
    if written != data:
        fault = ("not_canonical", "it is not in canonical form")
    elif _MAY_BE_LARGE.search(data) and _has_large_number(value):
        fault = ("not_canonical", "it has a number beyond 2^53-1")
    return Read(value, fault)


def document(archive: Archive, name: str, shape: Shape, found: Findings) -> Any:
    """Read a `.json` member; None if it is missing, cannot be read or has not the shape, which is told."""
    member = archive.members.get(name)
    if member is None or not member.stored:
        return None
    if member.size > MAX_VALUE:
        found.add(name, "contents", "too_large", f"they have more than {MAX_VALUE >> 20} MiB")
        return None
    done = read(archive.read(member))
    if done.fault:
        found.add(name, "contents", *done.fault)
        if done.value is None:
            return None
    wrong = list(islice(misfits(done.value, shape), MAX_FAULTS + 1))
    for place, what in wrong:
        found.add(name, place or "contents", "malformed", f"it {what}")
    return None if wrong else done.value


def lines(archive: Archive, member: Member, found: Findings) -> Iterator[tuple[int, bytes | None]]:
    """Yield the lines of a `.jsonl` member, counted from 1, without their line feeds; None for one that is too long.

    Where more faults were found than are told, it ends: a file that is wrong in every line is not read for hours.
    """
    number, rest, skipping = 0, b"", False
    for chunk in archive.chunks(member):
        if found.untold:
            return
        parts = chunk.split(b"\n")
        parts[0] = rest + parts[0]
        rest = parts.pop()
        for part in parts:
            number += 1
            yield number, None if skipping or len(part) > MAX_VALUE else part
            skipping = False
            if found.untold:
                return
        if len(rest) > MAX_VALUE:
            skipping, rest = True, b""
    if rest or skipping:
        number += 1
        found.add(member.name, f"line {number}", "unended", "it is not ended by a line feed")
        yield number, None if skipping else rest


def read_line(file: str, number: int, line: bytes | None, found: Findings) -> Any:
    """Read the value of a line; None, and a fault, if there is none."""
    done = Read(None, ("too_large", f"it has more than {MAX_VALUE >> 20} MiB")) if line is None else read(line)
    if done.fault:
        found.add(file, f"line {number}", *done.fault)
    return done.value


def same(one: Any, other: Any) -> bool:
    """Tell whether two values are the same JSON; neither true nor 1.0 is 1."""
    try:
        return canonical(one) == canonical(other)
    except NotCanonical:
        return False


def _has_large_number(value: Any) -> bool:
    stack = [value]
    while stack:
        one = stack.pop()
        if type(one) is dict:
            stack.extend(one.values())
        elif type(one) is list:
            stack.extend(one)
        elif type(one) in (int, float) and abs(one) > MAX_INTEGER:
            return True
    return False
