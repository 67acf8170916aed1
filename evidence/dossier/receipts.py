"""What the reader kept from before: receipts of filings and signed heads, against which a rollback shows."""

from collections.abc import Mapping
from typing import Any

from evidence.dossier.exhibits import Shown
from evidence.dossier.faults import Findings
from evidence.dossier.names import DOCKET, EXHIBITS
from evidence.dossier.record import Record
from evidence.dossier.shapes import DIGEST, INSTANT, POSITIVE, TEXT, Fields, Maybe, Shape, exactly, misfits
from evidence.dossier.signatures import Jwk, checked
from evidence.errors import BadSeal

_COMMON: Mapping[str, Shape] = {"v": exactly(1), "statement": TEXT, "case": TEXT, "seq": POSITIVE, "at": INSTANT}
_STATEMENTS: Mapping[str, Fields] = {
    "head": Fields({**_COMMON, "hash": DIGEST}),
    "dossier": Fields({**_COMMON, "head": DIGEST, "manifest": DIGEST}),
    "receipt": Fields(
        {
            **_COMMON,
            "head": DIGEST,
            "exhibit": TEXT,
            "label": TEXT,
            "sha256": Maybe(DIGEST),
            "merkle_root": Maybe(DIGEST),
        }
    ),
}


def check_receipt(
    place: str,
    receipt: str,
    *,
    keys: Mapping[str, Jwk],
    case: str | None,
    record: Record,
    shown: Shown,
    found: Findings,
) -> None:
    """Compare one receipt or head with the dossier. `place` names it in the faults, `case` is the manifest's."""
    try:
        said = checked(receipt, keys).payload
    except BadSeal as error:
        found.add(place, "signature", "receipt", error.detail)
        return
    statement = said.get("statement")
    shape = _STATEMENTS.get(statement) if type(statement) is str else None
    if shape is None or next(misfits(said, shape), None):
        found.add(place, "statement", "receipt", "it is neither a receipt nor a head")
        return
    if case is not None and said["case"] != case:
        found.add(place, "case", "wrong_case", "it speaks of another case")
        return
    _check_entry(said["seq"], said["hash" if statement == "head" else "head"], place, record, found)
    if statement == "receipt" and shown.complete:
        _check_exhibit(said, place, shown, found)


def _check_entry(seq: int, hash: str, place: str, record: Record, found: Findings) -> None:
    if seq in record.hashes:
        if record.hashes[seq] != hash:
            found.add(DOCKET, f"entry {seq}", "rolled_back", f"it is another than when {place} was signed")
    elif seq not in record.unreadable:
        what = f"it is no longer there, yet was when {place} was signed: the record was rolled back"
        found.add(DOCKET, f"entry {seq}", "rolled_back", what)


def _check_exhibit(said: Mapping[str, Any], place: str, shown: Shown, found: Findings) -> None:
    exhibit = next((one for one in shown.by_label.values() if one["id"] == said["exhibit"]), None)
    if exhibit is None:
        found.add(EXHIBITS, "exhibits", "receipt", f"the exhibit of {place} is not there")
        return
    for name in ("label", "sha256", "merkle_root"):
        erased = name == "sha256" and exhibit["redacted_at"] is not None
        if not erased and exhibit[name] != said[name]:
            found.add(EXHIBITS, f"{exhibit['label']}, {name}", "receipt", f"it is not what {place} says")
