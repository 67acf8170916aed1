"""Ways to tamper with a dossier, each with the place where it must be found; for every verifier that there is.

Alterations of what a member says come twice: with the manifest as it was (`stale`), and with the digests redone and the
manifest signed by a stranger whose key was put among the published ones (`resealed`).
"""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from evidence.canonical import canonical
from tests.evidence.dossiers import Made, honest, key, lines_of, members_of, public_pem, written
from tests.evidence.resealing import (
    KEYS,
    SIGNATURE,
    STRANGER,
    Altered,
    resealed,
    signed,
)
from tests.evidence.tampering_archives import (
    archives_altered,
    bits_of_members,
    bits_of_the_archive,
    extents_of,
    flipped,
    members_altered,
)
from tests.evidence.tampering_lines import custody_altered, docket_altered, messages_altered
from tests.evidence.tampering_values import decisions_altered, exhibits_altered, rest_altered, spellings

__all__ = [
    "Altered",
    "bits_of_members",
    "bits_of_the_archive",
    "everything",
    "extents_of",
    "flipped",
    "rollbacks",
    "strangers",
]


def strangers(made: Made) -> Iterator[Altered]:
    """A dossier that is whole in itself and was signed by somebody else: the reader's key tells."""
    members = members_of(made.data)
    yield Altered("signed by a stranger", resealed(members), SIGNATURE, "signature", pem=made.pem)
    page = {**members, "page.en.html": b"<p>another story"}
    yield Altered("another page, signed by a stranger", resealed(page), SIGNATURE, "signature", pem=made.pem)
    alone = {**members, KEYS: canonical({"keys": [key(STRANGER).public_jwk()]}), "seals.json": b"[]"}
    yield Altered("nothing but a stranger's key", signed(alone, STRANGER, None, {}), SIGNATURE, "signature", made.pem)
    yield Altered("an honest one, another's key", made.data, SIGNATURE, "signature", pem=public_pem(STRANGER))


def rollbacks(made: Made) -> Iterator[Altered]:
    """A record of which the end was cut off, whole in itself and even signed by the true key: what was kept tells."""
    members = members_of(made.data)
    lines = lines_of(members["docket.jsonl"])
    seals = orjson.loads(members["seals.json"])
    last_sealed = seals[-1]["seq"]
    kept = max(n for n, line in enumerate(lines[: last_sealed - 1], 1) if "entry" in line)
    entry = lines[kept - 1]["entry"]
    case = orjson.loads(members["case.json"]) | {"version": kept, "state": entry["to"]}
    decided = [one for one in orjson.loads(members["decisions.json"]) if one["seq"] <= kept]
    cut = {
        **members,
        "docket.jsonl": written(lines[:kept]),
        "case.json": canonical(case),
        "decisions.json": canonical(decided),
        "seals.json": canonical([one for one in seals if one["seq"] <= kept]),
    }
    head = {"seq": kept, "hash": entry["hash"]}
    place = f"entry {last_sealed}"
    for who, by in (("a stranger", STRANGER), ("its maker", 1)):
        rolled = resealed(cut, by=by, head=head)
        yield Altered(f"rolled back by {who}", rolled, "docket.jsonl", place, receipts=made.receipts)
        jws = members[SIGNATURE].decode()
        yield Altered(f"rolled back by {who}, an old dossier", rolled, "docket.jsonl", "entry", receipts=(jws,))
    yield Altered(
        "cut off, the seals left", resealed({**cut, "seals.json": members["seals.json"]}, head=head), "seals.json"
    )
    yield Altered("cut off, the head left", resealed(cut), "docket.jsonl")
    other = honest(next(seed for seed in range(100) if honest(seed).receipts))
    yield Altered("another case's receipt", made.data, "receipt 1", receipts=other.receipts[:1])
    yield Altered("no receipt at all", made.data, "receipt 1", receipts=("nonsense",))


def everything(made: Made) -> Iterator[Altered]:
    """Every alteration but single bits, of a dossier that has all parts (`dossiers.rich`)."""
    members = members_of(made.data)
    yield from docket_altered(members)
    for label in ("B-1", "B-2"):
        yield from messages_altered(members, label)
        yield from custody_altered(members, label)
    yield from exhibits_altered(members)
    yield from decisions_altered(members)
    yield from rest_altered(members)
    yield from spellings(members)
    yield from members_altered(members)
    yield from archives_altered(members)
    yield from strangers(made)
    yield from rollbacks(made)
