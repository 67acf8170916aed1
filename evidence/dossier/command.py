"""`mediation-verify`, and what `mediation verify` runs: a dossier is verified without a database and a network."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from evidence.dossier.faults import Report
from evidence.dossier.verifying import verify
from evidence.errors import BadSealingKey

INTACT, ALTERED, NOT_ASKED_RIGHT = 0, 1, 2
MAX_KEPT = 1 << 20
"""Bytes of a key or a receipt."""

HELP = """\
Verify a sealed case file (a dossier): that nothing in it was altered, and by whom it was signed.

Needs no database and no network. A file that is whole was signed by somebody; by whom it was only
--key tells, with a key that you had from the deployment itself and not from the file. That the
record was not rolled back only what you kept from before tells: a receipt of a filing, a signed
head, the verify/manifest.jws of an earlier file.
"""
EXAMPLES = """\
examples:
  {prog} D-7K4Q-9XM2-ABCD.dossier.zip
  {prog} case.zip --key sealing-key.pem --receipt receipt.jws --receipt filing-answer.json

exit status: 0 intact, 1 altered (a line for each fault: FILE, place: what), 2 wrongly called or
a file that cannot be read
"""
FILE_HELP = "the dossier"
KEY_HELP = "PEM of the Ed25519 key that must have signed"
RECEIPT_HELP = (
    "file with a compact JWS that was kept from before, or with the JSON answer that it came in "
    "(its `receipt` or `seal`); may be given several times"
)
JSON_HELP = "print the whole report as one JSON object"


class NotAskedRight(Exception):
    """What was asked for cannot be done; the message says why, in one line."""


def run(file: Path, *, key: Path | None, receipts: Sequence[Path], as_json: bool) -> tuple[int, str]:
    """Verify a file; return the exit status and what is to be printed.

    Raises NotAskedRight if a file cannot be read, the key is none, or there is no receipt in a receipt's file.
    """
    pem = None if key is None else _bytes(key)
    kept = [_receipt(path) for path in receipts]
    try:
        with file.open("rb") as opened:
            report = verify(opened, key=pem, receipts=kept)
    except OSError as error:
        raise NotAskedRight(f"{file}: cannot be read: {error.strerror or error}") from error
    except BadSealingKey as error:
        raise NotAskedRight(f"{key}: {error.detail}") from error
    status = INTACT if report.intact else ALTERED
    return status, json.dumps(asdict(report)) if as_json else "\n".join(_lines(report))


def main(argv: Sequence[str] | None = None) -> int:
    """Run as a program of its own and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="mediation-verify",
        description=HELP,
        epilog=EXAMPLES.format(prog="mediation-verify"),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path, metavar="FILE", help=FILE_HELP)
    parser.add_argument("--key", type=Path, metavar="PEM", help=KEY_HELP)
    parser.add_argument("--receipt", type=Path, metavar="FILE", action="append", default=[], help=RECEIPT_HELP)
    parser.add_argument("--json", action="store_true", help=JSON_HELP)
    asked = parser.parse_args(argv)
    try:
        status, said = run(asked.file, key=asked.key, receipts=asked.receipt, as_json=asked.json)
    except NotAskedRight as error:
        sys.stderr.write(f"{error}\n")
        return NOT_ASKED_RIGHT
    sys.stdout.write(f"{said}\n")
    return status


def _lines(report: Report) -> list[str]:
    if report.intact:
        return [f"intact, signed by {report.signed_by}{'' if report.key_checked else ', key not checked'}"]
    untold = [f"and {report.untold} more"] if report.untold else []
    return [*map(str, report.faults), *untold]


def _receipt(path: Path) -> str:
    """Return the compact JWS in a file: as it is, or in the JSON answer to a filing or for a head."""
    try:
        text = _bytes(path).decode("ascii").strip()
        answer: Any = json.loads(text) if text.startswith("{") else {"receipt": text}
    except (ValueError, RecursionError):
        answer = {}
    for name in ("receipt", "seal"):
        kept = answer.get(name)
        # A head's answer holds its seal in an object of its own.
        jws = kept.get("jws") if isinstance(kept, dict) else kept
        if isinstance(jws, str) and jws.count(".") == 2:
            return jws
    raise NotAskedRight(f"{path}: there is neither a compact JWS in it nor JSON with a receipt or a seal")


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as opened:
            data = opened.read(MAX_KEPT + 1)
    except OSError as error:
        raise NotAskedRight(f"{path}: cannot be read: {error.strerror or error}") from error
    if len(data) > MAX_KEPT:
        raise NotAskedRight(f"{path}: it is too large to be a key or a receipt")
    return data
