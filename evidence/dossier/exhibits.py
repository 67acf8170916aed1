"""The exhibits of a dossier: what the docket says of their filing, their bytes, their messages and their custody."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from evidence.custody import breaches
from evidence.dossier.archive import Archive
from evidence.dossier.decisions import Quotes
from evidence.dossier.faults import Findings
from evidence.dossier.messages import check_root, read_log
from evidence.dossier.names import EXHIBITS, content_of, custody_of, messages_of
from evidence.dossier.openings import state_of
from evidence.dossier.record import Record
from evidence.dossier.shapes import (
    ANY,
    DIGEST,
    FLAG,
    INSTANT,
    NUMBER,
    OBJECT,
    POSITIVE,
    TEXT,
    Each,
    Fields,
    Kind,
    Maybe,
    misfits,
)
from evidence.dossier.values import document, lines, read_line, same
from evidence.errors import NotALabel
from evidence.labels import parse

FILED = "exhibit_filed"
CUSTODY_OF_STAFF = "custody_of_staff"


def _is_label(value: object) -> bool:
    try:
        return type(value) is str and bool(parse(value))
    except NotALabel:
        return False


_EXHIBIT = Fields(
    {
        "id": TEXT,
        "label": Kind("must be B, S, M or P, a hyphen and a number from 1", _is_label),
        "kind": TEXT,
        "title": Maybe(TEXT),
        "filename": Maybe(TEXT),
        "media_type": TEXT,
        "size": NUMBER,
        "sha256": Maybe(DIGEST),
        "merkle_root": Maybe(DIGEST),
        "messages": Maybe(NUMBER),
        "timezone": Maybe(TEXT),
        "filed_by": Fields({"role": TEXT, "id": Maybe(TEXT)}),
        "filed_at": TEXT,
        "late": FLAG,
        "visibility": TEXT,
        "seq": POSITIVE,
        "problems": Each(ANY),
        "redacted_at": Maybe(TEXT),
        "custody": Maybe(Fields({"seq": POSITIVE, "hash": DIGEST})),
        "content": Maybe(TEXT),
    }
)
_CUSTODY_ENTRY = Fields(
    {
        "v": NUMBER,
        "exhibit": TEXT,
        "seq": POSITIVE,
        "prev": DIGEST,
        "at": INSTANT,
        "act": TEXT,
        "commitment": DIGEST,
        "hash": DIGEST,
    }
)
_CUSTODY_LINE = Fields({"entry": _CUSTODY_ENTRY, "opening": OBJECT})
_REPEATED = ("label", "kind", "media_type", "size", "messages", "merkle_root", "late")

Exhibit = Mapping[str, Any]


@dataclass(slots=True)
class Shown:
    """The exhibits that could be read, by label, and whether every one of the list could."""

    by_label: dict[str, Exhibit] = field(default_factory=dict)
    complete: bool = False
    custody: dict[str, dict[int, str]] = field(default_factory=dict)
    messages: int = 0
    custody_entries: int = 0


def read_exhibits(archive: Archive, record: Record, found: Findings) -> Shown:
    """Read exhibits.json and compare it with the docket."""
    shown = Shown()
    listed = document(archive, EXHIBITS, Each(ANY), found)
    if listed is None:
        return shown
    shown.complete = True
    ids: set[str] = set()
    last = 0
    for n, exhibit in enumerate(listed, 1):
        if found.untold:
            break
        wrong = list(misfits(exhibit, _EXHIBIT))
        for place, what in wrong:
            found.add(EXHIBITS, f"exhibit {n}, {place}" if place else f"exhibit {n}", "malformed", f"it {what}")
        if wrong:
            shown.complete = False
            continue
        label = exhibit["label"]
        if label in shown.by_label or exhibit["id"] in ids:
            found.add(EXHIBITS, label, "duplicate", "an exhibit of this label or id is there already")
            continue
        if exhibit["seq"] <= last:
            found.add(EXHIBITS, label, "out_of_order", "it was filed before the one above it")
        last = max(last, exhibit["seq"])
        ids.add(exhibit["id"])
        shown.by_label[label] = exhibit
        for place, code, what in (*_within(exhibit), *_filing(exhibit, record)):
            found.add(EXHIBITS, f"{label}, {place}" if place else label, code, what)
    _check_filed(shown, record, ids, found)
    return shown


def members_of(shown: Shown) -> set[str]:
    """Return the names of the members that the exhibits must have."""
    names: set[str] = set()
    for label, exhibit in shown.by_label.items():
        parts = (("messages", messages_of), ("custody", custody_of), ("content", content_of))
        names.update(name(label) for part, name in parts if exhibit[part] is not None)
    return names


def check_members(archive: Archive, shown: Shown, quotes: Quotes, found: Findings) -> None:
    """Check bytes, messages and custody chain of every exhibit; lengths of quoted texts go to `quotes`."""
    for label, exhibit in shown.by_label.items():
        content = archive.members.get(content_of(label))
        if exhibit["content"] is not None and content is not None and content.stored:
            if exhibit["sha256"] is not None and content.sha256 != exhibit["sha256"]:
                found.add(content.name, "contents", "content", f"they are not the bytes that were filed as {label}")
            elif content.size != exhibit["size"]:
                what = f"they are {content.size} bytes, and {label} was filed with {exhibit['size']}"
                found.add(content.name, "contents", "size", what)
        member = archive.members.get(messages_of(label))
        if exhibit["messages"] is not None and member is not None and member.stored:
            log = read_log(archive, member, quotes.asked(label), found)
            check_root(log, member.name, exhibit, found)
            shown.messages += log.count
            quotes.read(label, log)
        if exhibit["custody"] is not None:
            _check_custody(archive, exhibit, shown, found)


def check_sealed_custody(shown: Shown, record: Record, found: Findings) -> None:
    """Check that every head of a custody chain that a decision sealed is an entry of that chain still."""
    for seq, values in record.openings.items():
        facts = values.get("facts")
        for sealed in (facts.get("custody") if type(facts) is dict else None, values.get(CUSTODY_OF_STAFF)):
            for label, head in sealed.items() if type(sealed) is dict else ():
                # An exhibit that this reader may not see has no chain here to compare with.
                if label in shown.by_label and not _is_in_chain(head, shown.by_label[label], shown):
                    what = f"what entry {seq} of the docket sealed is not in the chain: it was cut, or rewritten"
                    found.add(custody_of(label), "entries", "rolled_back", what)


def _is_in_chain(head: Any, exhibit: Exhibit, shown: Shown) -> bool:
    chain = shown.custody.get(exhibit["label"])
    if chain is None and exhibit["custody"] is not None:
        return True  # The member is missing or packed, which is told.
    if type(head) is not dict or type(head.get("seq")) is not int or head.get("exhibit") != exhibit["id"]:
        return False
    return chain is not None and chain.get(head["seq"]) == head.get("hash")


def _within(exhibit: Exhibit) -> Iterator[tuple[str, str, str]]:
    """Yield what contradicts itself in an exhibit, as (place, code, what)."""
    if (exhibit["merkle_root"] is None) != (exhibit["messages"] is None):
        yield "merkle_root", "malformed", "it is there without messages, or they without it"
    if (exhibit["sha256"] is None) == (exhibit["redacted_at"] is None):
        yield "sha256", "redaction", "it is null exactly where the exhibit was redacted, and here it is not so"
    if exhibit["sha256"] is None and exhibit["content"] is not None:
        yield "content", "redaction", "nothing can be said to be the bytes of an exhibit without a digest"
    if exhibit["content"] not in (None, content_of(exhibit["label"])):
        yield "content", "malformed", "it is not named as the label asks for"


def _filing(exhibit: Exhibit, record: Record) -> Iterator[tuple[str, str, str]]:
    """Yield in what an exhibit differs from the entry of its filing, as (place, code, what)."""
    seq = exhibit["seq"]
    entry = record.entries.get(seq)
    if entry is None:
        if seq not in record.hashes and seq not in record.unreadable:
            yield "seq", "filing", f"the docket has no entry {seq}"
        return
    if entry["type"] != FILED:
        yield "seq", "filing", f"entry {seq} is not one of a filing"
        return
    if exhibit["filed_at"] != entry["at"]:
        yield "filed_at", "filing", f"it is not the time of entry {seq}"
    for name in ("sha256", "title"):
        if _differs(record, seq, name, exhibit[name]):
            yield name, "filing", f"it is not what entry {seq} says"
    facts, actor = _object(record, seq, "facts"), _object(record, seq, "actor")
    if facts is not None:
        for name, stated in (("exhibit", exhibit["id"]), *((name, exhibit[name]) for name in _REPEATED)):
            if not same(facts.get(name), stated):
                yield "id" if name == "exhibit" else name, "filing", f"it is not what entry {seq} says"
    if actor is not None:
        by = exhibit["filed_by"]
        if actor.get("role") != by["role"] or (by["id"] is not None and actor.get("subject") != by["id"]):
            yield "filed_by", "filing", f"it is not who acted in entry {seq}"


def _differs(record: Record, seq: int, name: str, stated: Any) -> bool:
    try:
        return not same(record.said(seq, name), stated)
    except KeyError:
        return False


def _object(record: Record, seq: int, name: str) -> Mapping[str, Any] | None:
    """Return the object that an opening shows; one that is none compares with nothing, as an empty one."""
    try:
        said = record.said(seq, name)
    except KeyError:
        return None
    return said if said is None or type(said) is dict else {}


def _check_filed(shown: Shown, record: Record, ids: set[str], found: Findings) -> None:
    """Check that no exhibit whose filing is shown was left out."""
    for seq, entry in record.entries.items() if shown.complete else ():
        facts = _object(record, seq, "facts") if entry["type"] == FILED else None
        if facts is not None and facts.get("exhibit") not in ids:
            found.add(
                EXHIBITS, f"entry {seq}", "missing", f"the exhibit that entry {seq} of the docket filed is not there"
            )


def _check_custody(archive: Archive, exhibit: Exhibit, shown: Shown, found: Findings) -> None:
    name = custody_of(exhibit["label"])
    member = archive.members.get(name)
    if member is None or not member.stored:
        return
    entries: list[Mapping[str, Any]] = []
    chain = shown.custody.setdefault(exhibit["label"], {})
    readable = True
    for n, line in lines(archive, member, found):
        value = read_line(name, n, line, found)
        wrong = [] if value is None else list(misfits(value, _CUSTODY_LINE))
        for place, what in wrong:
            found.add(name, f"entry {n}, {place}" if place else f"entry {n}", "malformed", f"it {what}")
        if value is None or wrong:
            readable = False
            continue
        entry = value["entry"]
        entries.append(entry)
        chain.setdefault(entry["seq"], entry["hash"])
        state = state_of(value["opening"], entry["commitment"])
        if state.is_fault:
            found.add(name, f"entry {entry['seq']}, opening", "opening", state.value)
    shown.custody_entries += len(entries)
    if readable:
        _check_chain(name, entries, exhibit, found)


def _check_chain(name: str, entries: list[Mapping[str, Any]], exhibit: Exhibit, found: Findings) -> None:
    head = exhibit["custody"]
    for breach in breaches(entries, head["hash"]):
        found.add(name, "entries" if breach.seq is None else f"entry {breach.seq}", breach.code, breach.what)
    if not entries or entries[-1]["seq"] != head["seq"]:
        what = f"{exhibit['label']} says that its chain stands at entry {head['seq']}: entries were cut off, or added"
        found.add(name, "end", "head_seq", what)
    other = next((entry["seq"] for entry in entries if entry["exhibit"] != exhibit["id"]), None)
    if other is not None:
        found.add(name, f"entry {other}", "wrong_exhibit", f"it belongs to another exhibit than {exhibit['label']}")
