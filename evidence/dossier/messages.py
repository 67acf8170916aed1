"""The messages of a chat log: what is shown of each must open its commitments, and all leaves give the root.

A log may have a hundred thousand of them. A line that is in order is found to be so in one pass (`_in_order`); any
other is looked at a second time, part by part, to name what is wrong with it.
"""

import binascii
import hashlib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from evidence.canonical import MAX_INTEGER, canonical
from evidence.dossier.archive import Archive, Member
from evidence.dossier.faults import Findings
from evidence.dossier.openings import State, state_of
from evidence.dossier.shapes import (
    DIGEST,
    INSTANT,
    OBJECT,
    POSITIVE,
    TEXT,
    Each,
    Fields,
    Maybe,
    Shape,
    fits,
    misfits,
)
from evidence.dossier.values import lines, read, read_line
from evidence.merkle import root

_LEAF = Fields(
    {
        "seq": POSITIVE,
        "role": TEXT,
        "sent_at": Maybe(INSTANT),
        "kind": TEXT,
        "c_text": DIGEST,
        "c_sender": DIGEST,
        "c_attachments": DIGEST,
    }
)
_LINE = Fields({"leaf": _LEAF, "text": OBJECT, "sender": OBJECT, "attachments": OBJECT})
_ATTACHMENT = Fields({"name": TEXT, "media_type": Maybe(TEXT), "sha256": Maybe(TEXT)})
_VALUES: Mapping[str, Shape] = {
    "text": TEXT,
    "sender": Fields({"id": Maybe(TEXT), "name": Maybe(TEXT)}),
    "attachments": Each(_ATTACHMENT),
}

# Whether these are hex digits is seen where they are decoded: to step over them is faster than to look at each.
_HEX = rb'"(.{64})"'


def _opening_of(value: bytes) -> bytes:
    """Return the pattern of an opening, with groups for salt and value."""
    return rb'\{"salt":(?:' + _HEX + rb',"value":(' + value + rb')|null,"value":null)\}'


# A line in order, as canonical form has it: RFC 8785 leaves one way to write a text (section 3.2.2.2) and one order of
# keys. No part can be read in two ways, so nothing here ever goes back.
_TEXT = rb'"(?:[^"\\\x00-\x1f]++|\\(?:["\\bfnrt]|u00(?:0[0-7bef]|1[0-9a-f])))*+"'
_MAYBE_TEXT = rb"(?:null|" + _TEXT + rb")"
_FILE = rb'\{"media_type":' + _MAYBE_TEXT + rb',"name":' + _TEXT + rb',"sha256":' + _MAYBE_TEXT + rb"\}"
_FILES = rb"\[(?:" + _FILE + rb"(?:," + _FILE + rb")*+)?\]"
_SENDER = rb'\{"id":' + _MAYBE_TEXT + rb',"name":' + _MAYBE_TEXT + rb"\}"
_IN_ORDER = re.compile(
    rb'\{"attachments":' + _opening_of(_FILES) + rb',"leaf":(\{"c_attachments":' + _HEX + rb',"c_sender":' + _HEX
    + rb',"c_text":' + _HEX + rb',"kind":' + _TEXT + rb',"role":' + _TEXT
    + rb',"sent_at":(?:null|"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6})Z")'
    + rb',"seq":([1-9][0-9]*)\})'
    + rb',"sender":' + _opening_of(_SENDER) + rb',"text":' + _opening_of(_TEXT) + rb"\}",
    re.DOTALL,
).fullmatch  # fmt: skip

_sha256, _raw = hashlib.sha256, binascii.unhexlify


@dataclass(slots=True)
class Log:
    """What was read of a chat log: `leaves` of 32 bytes, numbers that do not follow, and lengths that were asked for.

    `lengths` has the code points of a message's text, None where that is not shown.
    """

    leaves: list[bytes] = field(default_factory=list)
    count: int = 0
    strays: list[int] = field(default_factory=list)
    unreadable: set[int] = field(default_factory=set)
    lengths: dict[int, int | None] = field(default_factory=dict)


def read_log(archive: Archive, member: Member, asked: Collection[int], found: Findings) -> Log:
    """Check every message, and keep the lengths of the texts of those that are `asked` for, by number."""
    log = Log()
    in_order, leaves, expected = _in_order, log.leaves, 1
    for n, line in lines(archive, member, found):
        fine = None if line is None else in_order(line)
        doubtful = fine is None
        if fine is None:
            before = found.count
            fine = _looked_at(member.name, n, line, found)
            doubtful = found.count > before
            if fine is None:
                log.unreadable.add(n)
                expected += 1
                continue
        leaf, seq = fine
        leaves.append(leaf)
        if seq != expected:
            log.strays.append(seq)
            _out_of_order(member.name, seq, expected, found)
            expected = seq
        expected += 1
        if line is not None and seq in asked:
            # A text that was altered is told of as that, and not again by what is quoted from it.
            log.lengths[seq] = None if doubtful else _length(line)
    log.count = len(leaves) + len(log.unreadable)
    return log


def check_root(log: Log, file: str, exhibit: Mapping[str, Any], found: Findings) -> None:
    """Compare number and root with what the exhibit says, unless faults already told rule that out."""
    if log.strays or log.unreadable:
        return
    if log.count != exhibit["messages"]:
        what = f"there are {log.count} messages, and {exhibit['label']} was filed with {exhibit['messages']}"
        found.add(file, "end", "messages", what)
    elif root(log.leaves).hex() != exhibit["merkle_root"]:
        what = f"the leaves of the messages do not give the Merkle root of {exhibit['label']}"
        found.add(file, "root", "merkle_root", what)


def _in_order(line: bytes) -> tuple[bytes, int] | None:
    """Return leaf hash and number of a line that is in order in every way, else None."""
    match = _IN_ORDER(line)
    if match is None:
        return None
    a_salt, attachments, leaf, c_attachments, c_sender, c_text, sent_at, seq, s_salt, sender, t_salt, text = (
        match.groups()
    )
    try:
        line.decode()
        if sent_at is not None:
            datetime.fromisoformat(sent_at.decode())
        number = int(seq)
        if number > MAX_INTEGER or not (
            _opens(t_salt, text, c_text)
            and _opens(s_salt, sender, c_sender)
            and _opens(a_salt, attachments, c_attachments)
        ):
            return None
    except ValueError:  # No UTF-8, no such day, digits without end, or no hex digits.
        return None
    return _sha256(b"\x00" + leaf).digest(), number


def _opens(salt: bytes | None, value: bytes, commitment: bytes) -> bool:
    """Tell whether this is an opening in order. Raises ValueError where there are no hex digits.

    Hex digits among which is no letter are not taken to be lowercase; such a line, if there ever is one, is looked at.
    """
    digest = _raw(commitment)
    if salt is None:
        return commitment.islower()
    return _sha256(b"\x00" + _raw(salt) + value).digest() == digest and commitment.islower() and salt.islower()


def _length(line: bytes) -> int | None:
    """Return the code points of the text of a message, None where it is not shown or is none."""
    opening = read(line).value["text"]
    text = opening.get("value")
    return len(text) if type(text) is str else None


def _looked_at(file: str, n: int, line: bytes | None, found: Findings) -> tuple[bytes, int] | None:
    """Name everything that is wrong with a line; return what `_in_order` would if it has a leaf at all."""
    value = read_line(file, n, line, found)
    if value is None:
        return None
    wrong = list(misfits(value, _LINE))
    for place, what in wrong:
        found.add(file, f"message {n}, {place}" if place else f"message {n}", "malformed", f"it {what}")
    if wrong:
        return None
    leaf = value["leaf"]
    for name, shape in _VALUES.items():
        state = state_of(value[name], leaf[f"c_{name}"])
        shown = value[name].get("value")
        place = f"message {leaf['seq']}"
        if state.is_fault:
            what = f"its {name} does not open c_{name}" if state is State.WRONG else f"its {name}: {state.value}"
            found.add(file, place, "opening", what)
        elif state is State.OPEN and not fits(shown, shape):
            found.add(file, place, "malformed", f"its {name} is not of the form that the format gives it")
    return _sha256(b"\x00" + canonical(leaf)).digest(), leaf["seq"]


def _out_of_order(file: str, seq: int, expected: int, found: Findings) -> None:
    if seq == expected - 1:
        found.add(file, f"message {seq}", "duplicate", "it stands there more than once")
    elif seq < expected:
        found.add(file, f"message {seq}", "out_of_order", f"it stands where message {expected} belongs")
    elif seq == expected + 1:
        found.add(file, f"message {expected}", "gap", f"it is missing: message {seq} stands in its place")
    else:
        found.add(file, f"message {expected}", "gap", f"messages {expected} to {seq - 1} are missing")
