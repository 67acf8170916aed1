"""The docket of a dossier and the seals over its heads."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from evidence.chain import breaches
from evidence.dossier.archive import Archive
from evidence.dossier.faults import Findings
from evidence.dossier.names import DOCKET, SEALS, plain
from evidence.dossier.openings import State, state_of
from evidence.dossier.shapes import DIGEST, INSTANT, LIST, NUMBER, POSITIVE, TEXT, Each, Fields, Maybe, fits, misfits
from evidence.dossier.signatures import Jwk, checked
from evidence.dossier.values import document, lines, read_line
from evidence.errors import BadSeal

_WITHHELD = Fields({"seq": POSITIVE, "hash": DIGEST})
_ENTRY = Fields(
    {
        "v": NUMBER,
        "case": TEXT,
        "seq": POSITIVE,
        "prev": DIGEST,
        "at": INSTANT,
        "type": TEXT,
        "from": Maybe(TEXT),
        "to": TEXT,
        "commitments": Each(DIGEST),
        "hash": DIGEST,
    }
)
_SHOWN = Fields({"entry": _ENTRY, "openings": LIST})
_OPENING = {"name", "salt", "value"}


@dataclass(slots=True)
class Record:
    """What the docket says: entries that are shown, hashes of all, and the values of openings that hold.

    `openings[seq][name]` is a value, None where it is not shown; an opening that does not hold is in `broken`.
    """

    entries: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    hashes: dict[int, str] = field(default_factory=dict)
    openings: dict[int, dict[str, Any]] = field(default_factory=dict)
    broken: set[tuple[int, str]] = field(default_factory=set)
    unreadable: set[int] = field(default_factory=set)
    count: int = 0

    def said(self, seq: int, name: str) -> Any:
        """Return what the opening of this name says, unwrapped; None where there is none or it is not shown.

        Raises KeyError where that cannot be told: the entry is withheld or missing, or the opening is broken.
        """
        if (seq, name) in self.broken:
            raise KeyError(name)
        return self.openings[seq].get(name)


def read_docket(archive: Archive, manifest: Mapping[str, Any] | None, found: Findings) -> Record:
    """Check the docket against itself and the manifest's head (unless that could not be read), and return it."""
    record = Record()
    member = archive.members.get(DOCKET)
    if member is None or not member.stored:
        return record
    chain: list[Mapping[str, Any]] = []
    for n, line in lines(archive, member, found):
        record.count = n
        value = read_line(DOCKET, n, line, found)
        entry = None if value is None else _entry(value, n, record, found)
        if entry is None:
            record.unreadable.add(n)
        # A line that cannot be read is told as that, and not as an entry that is missing.
        chain.append({"seq": n} if entry is None else entry)
    _check_chain(chain, record, manifest, found)
    return record


def _entry(value: Any, n: int, record: Record, found: Findings) -> Mapping[str, Any] | None:
    if fits(value, _WITHHELD):
        record.hashes.setdefault(value["seq"], value["hash"])
        return dict(value)
    wrong = list(misfits(value, _SHOWN))
    for place, what in wrong:
        found.add(DOCKET, f"entry {n}, {place}" if place else f"entry {n}", "malformed", f"it {what}")
    if wrong:
        return None
    entry: dict[str, Any] = value["entry"]
    seq = entry["seq"]
    if record.hashes.setdefault(seq, entry["hash"]) == entry["hash"]:
        record.entries.setdefault(seq, entry)
    _check_openings(entry, value["openings"], record, found)
    return entry


def _check_openings(entry: Mapping[str, Any], openings: list[Any], record: Record, found: Findings) -> None:
    seq, commitments = entry["seq"], entry["commitments"]
    if len(openings) != len(commitments):
        what = f"it has {len(openings)} openings for {len(commitments)} commitments"
        found.add(DOCKET, f"entry {seq}", "openings", what)
    values = record.openings.setdefault(seq, {})
    for n, opening in enumerate(openings, 1):
        commitment = commitments[n - 1] if n <= len(commitments) else None
        name, problem = _opened(opening, commitment)
        if problem:
            called = f" ({plain(name)})" if plain(name) else ""
            found.add(DOCKET, f"entry {seq}, opening {n}{called}", "opening", problem)
            if name is not None:
                record.broken.add((seq, name))
        elif name is not None:
            values[name] = None if opening["value"] is None else opening["value"][name]


def _opened(opening: Any, commitment: Any) -> tuple[str | None, str | None]:
    """Return the name of an opening, so far as it has one, and what is wrong with it."""
    name = opening.get("name") if type(opening) is dict else None
    if type(name) is not str or opening.keys() != _OPENING:
        return name if type(name) is str else None, "it is not an object of name, salt and value"
    if commitment is None:
        return name, "there is no commitment that it could open"
    state = state_of({"salt": opening["salt"], "value": opening["value"]}, commitment)
    if state.is_fault:
        return name, state.value
    if state is State.OPEN and (type(opening["value"]) is not dict or opening["value"].keys() != {name}):
        return name, "its value is not an object of one member, named as the opening is"
    return name, None


def _check_chain(
    chain: list[Mapping[str, Any]], record: Record, manifest: Mapping[str, Any] | None, found: Findings
) -> None:
    head = None if manifest is None else manifest["head"]
    ends = bool(chain) and record.count not in record.unreadable
    cases = {entry["case"] for entry in chain if "case" in entry}
    # Of a docket that is another case's altogether that is told once, at its first entry, and not of all of them.
    case = manifest["case"] if manifest is not None and manifest["case"] in cases else None
    for breach in breaches(chain, None if head is None or not ends else head["hash"], case=case):
        if breach.code == "malformed" and breach.seq in record.unreadable:
            continue
        found.add(DOCKET, "entries" if breach.seq is None else f"entry {breach.seq}", breach.code, breach.what)
    if head is not None and (not chain or (ends and max(entry["seq"] for entry in chain) != head["seq"])):
        what = f"the manifest says that the docket stands at entry {head['seq']}: entries were cut off, or added"
        found.add(DOCKET, "end", "head_seq", what)
    first = next((entry for entry in chain if "case" in entry), None)
    if manifest is not None and first is not None and case is None:
        found.add(DOCKET, f"entry {first['seq']}", "wrong_case", "it belongs to another case than the manifest")


def check_seals(archive: Archive, record: Record, keys: Mapping[str, Jwk], case: str | None, found: Findings) -> int:
    """Check every seal over a head of the docket; return how many there are."""
    shape = Each(Fields({"seq": POSITIVE, "jws": TEXT}))
    seals = document(archive, SEALS, shape, found) or []
    for n, seal in enumerate(seals, 1):
        if found.untold:
            break
        place = f"seal {n}"
        try:
            said = checked(seal["jws"], keys).payload
        except BadSeal as error:
            found.add(SEALS, place, "seal", error.detail)
        else:
            problem = _problem_of_seal(said, seal["seq"], record, case)
            if problem:
                found.add(SEALS, place, *problem)
    return len(seals)


_HEAD = Fields({"v": NUMBER, "statement": TEXT, "case": TEXT, "seq": POSITIVE, "hash": DIGEST, "at": INSTANT})


def _problem_of_seal(said: Mapping[str, Any], seq: int, record: Record, case: str | None) -> tuple[str, str] | None:
    if not fits(said, _HEAD) or said["v"] != 1 or said["statement"] != "head":
        return "seal", "it is not a statement of a head"
    if case is not None and said["case"] != case:
        return "wrong_case", "it speaks of another case"
    if said["seq"] != seq:
        return "seal", f"it speaks of entry {said['seq']} and stands there for entry {seq}"
    if seq not in record.hashes:
        # An entry that is there and cannot be read has been told of.
        return None if seq in record.unreadable else ("rolled_back", f"entry {seq}, which it speaks of, is not there")
    if record.hashes[seq] != said["hash"]:
        return "rolled_back", f"entry {seq} is another than when it was sealed"
    return None
