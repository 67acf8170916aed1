"""Verifying a dossier, by nothing but what is in it and what the reader brings (docs/dossier.md, its last section).

Nothing in the file is trusted. One alteration is told once, at its place, and once more where the manifest, which is
signed, knows of no such bytes.
"""

from collections.abc import Mapping, Sequence
from typing import IO, Any

from evidence.dossier.archive import Archive, open_archive
from evidence.dossier.decisions import Quotes, check_decisions
from evidence.dossier.exhibits import Shown, check_members, check_sealed_custody, members_of, read_exhibits
from evidence.dossier.faults import Findings, Report
from evidence.dossier.names import ALWAYS, CASE, KEYS, MANIFEST, SIGNATURE, UNLISTED, belongs
from evidence.dossier.receipts import check_receipt
from evidence.dossier.record import Record, check_seals, read_docket
from evidence.dossier.shapes import ANY, DIGEST, INSTANT, NUMBER, POSITIVE, TEXT, Fields, Kind, exactly, fits
from evidence.dossier.signatures import MAX_JWS, Jwk, checked, published, trusted
from evidence.dossier.values import document, same
from evidence.dossier.writing import FORMAT, VERSION, statement
from evidence.errors import BadSeal

_FILE = Fields({"sha256": DIGEST, "size": NUMBER})
_MANIFEST = Fields(
    {
        "v": exactly(VERSION),
        "format": exactly(FORMAT),
        "case": TEXT,
        "reference": TEXT,
        "made_at": INSTANT,
        "made_for": TEXT,
        "head": Fields({"seq": POSITIVE, "hash": DIGEST}),
        "files": Kind(
            "must be an object of SHA-256 and size by name",
            lambda files: type(files) is dict and all(fits(file, _FILE) for file in files.values()),
        ),
    }
)
_CASE = Fields(
    {
        "id": TEXT,
        "reference": TEXT,
        "state": TEXT,
        "version": POSITIVE,
        **dict.fromkeys(
            (
                *("marketplace", "opened_at", "updated_at", "closed_at", "buyer", "seller", "order", "claims"),
                *("refunds", "ledger", "offers", "messages", "evidence_requests", "deadlines", "outcome", "remedy"),
            ),
            ANY,
        ),
    }
)

Manifest = Mapping[str, Any]


def verify(file: IO[bytes], *, key: bytes | None = None, receipts: Sequence[str] = ()) -> Report:
    """Check everything that docs/dossier.md says of a dossier, and say where it does not hold.

    `file` is open at its beginning, best a file on disk, which is then mapped and not read into memory. `key` is a PEM
    of the Ed25519 key that must have signed; `receipts` are compact JWS that the reader kept: receipts of filings,
    signed heads, signatures of earlier dossiers.
    Raises BadSealingKey if `key` is none, OSError if the file cannot be read; whatever is in the file raises nothing.
    """
    own = None if key is None else trusted(key)
    found = Findings()
    with open_archive(file, found) as archive:
        manifest: Manifest | None = document(archive, MANIFEST, _MANIFEST, found)
        keys = published(archive, found)
        signed_by = _check_signature(archive, manifest, keys, own, found)
        record = read_docket(archive, manifest, found)
        case = None if manifest is None else manifest["case"]
        quotes = Quotes()
        shown = read_exhibits(archive, record, found)
        _check_names(archive, manifest, shown, found)
        counts = {"members": len(archive.members), "entries": record.count}
        counts["seals"] = check_seals(archive, record, keys, case, found)
        counts["decisions"] = check_decisions(archive, record, quotes, found)
        check_members(archive, shown, quotes, found)
        check_sealed_custody(shown, record, found)
        quotes.check(shown.by_label, found)
        _check_case(archive, manifest, record, found)
        for n, receipt in enumerate(receipts, 1):
            check_receipt(f"receipt {n}", receipt, keys=keys, case=case, record=record, shown=shown, found=found)
    counts |= {
        "exhibits": len(shown.by_label),
        "messages": shown.messages,
        "custody": shown.custody_entries,
        "quotes": quotes.count,
    }
    return Report(not found.faults, signed_by, own is not None, found.faults, counts, found.untold)


def _check_signature(
    archive: Archive, manifest: Manifest | None, keys: Mapping[str, Jwk], own: Jwk | None, found: Findings
) -> str | None:
    """Return the thumbprint of the key whose signature over this manifest holds, None if none does."""
    member, signed = archive.members.get(SIGNATURE), archive.members.get(MANIFEST)
    if member is None or not member.stored:
        return None
    text = archive.read(member).decode("ascii", "replace") if member.size <= MAX_JWS else ""
    try:
        done = checked(text, keys if own is None else {own["kid"]: own, **keys})
    except BadSeal as error:
        found.add(SIGNATURE, "signature", "signature", error.detail)
        return None
    if signed is None or manifest is None:
        return None
    expected = statement(manifest, signed.sha256)
    if done.payload.get("manifest") != signed.sha256:
        found.add(MANIFEST, "contents", "digest", "they are not those that were signed")
        return None
    if not same(done.payload, expected):
        found.add(SIGNATURE, "statement", "statement", "it is not that of a dossier with this manifest")
        return None
    if done.kid not in keys:
        found.add(KEYS, "keys", "key", "the key that signed the manifest is not among them")
    if own is not None and done.kid != own["kid"]:
        found.add(SIGNATURE, "signature", "wrong_key", f"it was made with {done.kid} and not with the key given")
    return done.kid


def _check_names(archive: Archive, manifest: Manifest | None, shown: Shown, found: Findings) -> None:
    """Compare the members with those that the manifest names, and with those that must be there."""
    there = archive.members
    files = None if manifest is None else manifest["files"]
    due = ALWAYS | members_of(shown)
    for name in sorted(due | (files.keys() if files else set())):
        if name not in there:
            place = name if name in due or belongs(name) else MANIFEST
            found.add(place, "member", "missing", "it is not in the archive")
    for name, member in there.items():
        if not belongs(name) or (shown.complete and name not in due):
            found.add(name, "member", "unexpected", "no member of this name belongs in this dossier")
        if files is None or name in UNLISTED:
            continue
        if name not in files:
            found.add(name, "member", "unlisted", "the manifest does not name it")
        elif files[name] != {"sha256": member.sha256, "size": member.size}:
            found.add(name, "contents", "digest", "they are not those that the manifest names")
    for name in sorted(UNLISTED & (files.keys() if files else set())):
        found.add(MANIFEST, "files", "malformed", f"it names {name}")


def _check_case(archive: Archive, manifest: Manifest | None, record: Record, found: Findings) -> None:
    case = document(archive, CASE, _CASE, found)
    if case is None or manifest is None:
        return
    head = manifest["head"]["seq"]
    for name, expected in (("id", manifest["case"]), ("reference", manifest["reference"]), ("version", head)):
        if case[name] != expected:
            found.add(CASE, name, "case", "it is not what the manifest says")
    last = record.entries.get(head)
    if last is not None and case["state"] != last["to"]:
        found.add(CASE, "state", "case", f"it is not where entry {head} left the case")
