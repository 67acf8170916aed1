"""Honest dossiers for tests: small, of many shapes, and the same for the same seed."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import Any

import orjson

from evidence import custody
from evidence.canonical import canonical
from tests.evidence.dossier_maker import READERS, SAYINGS, Made, Maker, key, public_pem

__all__ = ["Made", "Maker", "honest", "key", "lines_of", "members_of", "public_pem", "rich", "written"]


def honest(seed: int) -> Made:
    """Make the dossier of this seed. Those of neighbouring seeds differ in reader, exhibits, redactions and keys."""
    maker = Maker(seed, READERS[seed % 3])
    rng = maker.rng
    maker.enter("open", "opened", by="buyer", facts={"order": "o-1"}, **{"claims.0.statement": SAYINGS[1]})
    if rng.random() < 0.3:
        maker.enter("note", by="mediator", staff=True, text="between us")
        maker.enter("note", by="mediator", staff=True, text="and this")
    if rng.random() < 0.8:
        maker.enter("message_posted", by="seller", text=SAYINGS[2])
        for n in range(1, rng.randrange(1, 4)):
            maker.file(f"B-{n}", "buyer", messages=rng.choice([None, 0, 1, 2, 5, 7]), redacted=rng.random() < 0.3)
        if rng.random() < 0.4:
            maker.file("S-1", "seller", messages=rng.choice([None, 3]))
        if rng.random() < 0.3:
            maker.file("M-1", "mediator", messages=rng.choice([None, 2]), staff=True)
    maker.enter("assign", "mediation", by="mediator", note="mine")
    while rng.random() < 0.5 and len(maker.decisions) < 3:
        maker.decide(reasons_erased=rng.random() < 0.2)
        maker.signing += rng.random() < 0.4
    if rng.random() < 0.3:
        maker.enter("note", by="mediator", staff=True, text="the last word is ours")
    return maker.finish()


def rich(reader: str = "mediator") -> Made:
    """Make a dossier that has everything: what tampering tests alter."""
    maker = Maker(4_711, reader)
    maker.enter("open", "opened", by="buyer", facts={"order": "o-1"}, **{"claims.0.statement": SAYINGS[1]})
    maker.enter("note", by="mediator", staff=True, text="between us")
    maker.enter("message_posted", by="seller", text=SAYINGS[2])
    maker.file("B-1", "buyer", messages=7)
    maker.file("B-2", "buyer", messages=4, redacted=True)
    maker.file("S-1", "seller", messages=None)
    maker.file("M-1", "mediator", messages=2, staff=True)
    maker.enter("assign", "mediation", by="mediator", note="mine")
    for exhibit in maker.exhibits:
        for act in (custody.CustodyAct.viewed, custody.CustodyAct.downloaded, custody.CustodyAct.viewed):
            maker.hold(exhibit["label"], exhibit["id"], act, "mediator")
        if exhibit["sha256"] is not None:
            exhibit["content"] = f"exhibits/{exhibit['label']}/content"
    maker.decide()
    maker.signing += 1
    for exhibit in maker.exhibits:
        maker.hold(exhibit["label"], exhibit["id"], custody.CustodyAct.viewed, "buyer")
    maker.enter("appeal", "appealed", by="buyer", grounds="wrong")
    maker.decide()
    maker.enter("finalise", "executing", by="system", facts={"legs": ["refund"]})
    return maker.finish()


def members_of(data: bytes) -> dict[str, bytes]:
    """The members of an honest dossier, by name and in its order."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def lines_of(member: bytes) -> list[dict[str, Any]]:
    """The objects of a `.jsonl` member."""
    return [orjson.loads(line) for line in member.split(b"\n")[:-1]]


def written(lines: list[Mapping[str, Any]] | list[dict[str, Any]]) -> bytes:
    """A `.jsonl` member of these objects."""
    return b"".join(canonical(line) + b"\n" for line in lines)
