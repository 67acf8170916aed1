"""Ways to tamper with what a dossier says: exhibits, decisions, seals, keys, manifest, and how JSON is written."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator
from typing import Any

import orjson

from evidence.canonical import canonical
from tests.evidence.dossiers import honest, members_of
from tests.evidence.resealing import (
    KEYS,
    MANIFEST,
    Altered,
    Members,
    both,
    resealed,
    stale,
)


def exhibits_altered(members: Members) -> Iterator[Altered]:
    """Fields of an exhibit that the docket bears out, an exhibit left out, other bytes for it."""
    listed = orjson.loads(members["exhibits.json"])
    changes: dict[str, Any] = {
        "id": "another",
        "kind": "video",
        "title": "another title",
        "media_type": "text/x",
        "size": 1_000_000,
        "sha256": "ab" * 32,
        "merkle_root": "ab" * 32,
        "messages": 6,
        "filed_by": {"role": "platform", "id": None},
        "filed_at": "2026-03-01T00:00:00.000000Z",
        "late": None,
        "seq": 1,
        "redacted_at": "2026-03-01T00:00:00.000000Z",
        "custody": {"seq": 1, "hash": "ab" * 32},
        "content": "exhibits/B-1/other",
        "extra": 1,
    }
    for field, value in changes.items():
        altered = copy.deepcopy(listed)
        altered[0][field] = value
        file = "exhibits/B-1/custody.jsonl" if field == "custody" else "exhibits.json"
        yield from both(f"{field} of an exhibit", {**members, "exhibits.json": canonical(altered)}, file)
    without = {name: data for name, data in members.items() if not name.startswith("exhibits/B-1/")}
    left_out = {**without, "exhibits.json": canonical(listed[1:])}
    yield Altered("an exhibit left out", resealed(left_out), "exhibits.json", f"entry {listed[0]['seq']}")
    content = "exhibits/B-1/content"
    yield from both("other bytes", {**members, content: b"other bytes"}, content)
    altered = copy.deepcopy(listed)
    altered[0] |= {"sha256": hashlib.sha256(b"other").hexdigest(), "size": 5}
    changed = {**members, content: b"other", "exhibits.json": canonical(altered)}
    yield from both("other bytes and digest", changed, "exhibits.json", "B-1, sha256")
    yield from both("exhibits swapped", {**members, "exhibits.json": canonical(listed[::-1])}, "exhibits.json")
    yield from both("exhibit twice", {**members, "exhibits.json": canonical([*listed, listed[0]])}, "exhibits.json")


def decisions_altered(members: Members) -> Iterator[Altered]:
    """Words of a decision changed, and quotes that do not stand."""
    name = "decisions.json"
    decided = orjson.loads(members[name])
    changes = {"reasons": "others", "outcome": "seller_favour", "seq": 1, "findings": [], "status": None}
    for field, value in changes.items():
        altered = copy.deepcopy(decided)
        altered[0][field] = value
        if field == "status":
            del altered[0][field]
        yield from both(f"{field} of a decision", {**members, name: canonical(altered)}, name, "decision 1")
    for change in ({"start": 100_000}, {"length": 0}, {"length": 100_000}, {"seq": 999}, {"start": -1}, {"extra": 1}):
        altered = copy.deepcopy(decided)
        altered[0]["findings"][0]["relied_on"][0]["quotes"][0] |= change
        yield from both(f"quote {change}", {**members, name: canonical(altered)}, name, "decision 1")


def rest_altered(members: Members) -> Iterator[Altered]:
    """The case, the seals, the keys and the manifest altered."""
    case = orjson.loads(members["case.json"])
    for field, value in (("id", "x"), ("reference", "x"), ("version", 3), ("state", "x"), ("extra", 1)):
        altered = {**members, "case.json": canonical({**case, field: value})}
        yield from both(f"{field} of the case", altered, "case.json", field if field != "extra" else "contents")
    seals = orjson.loads(members["seals.json"])
    for what, jws in _other_seals(seals).items():
        altered_seals = [{"seq": seals[0]["seq"], "jws": jws}, *seals[1:]]
        yield from both(f"seal {what}", {**members, "seals.json": canonical(altered_seals)}, "seals.json", "seal 1")
    keys = orjson.loads(members[KEYS])["keys"]
    published = {**members, KEYS: canonical({"keys": keys[1:]})}
    yield from both("a retired key left out", published, "seals.json", "seal 1")
    renamed = [{**keys[0], "kid": keys[1]["kid"]}, *keys[1:]]
    yield from both("key under another's name", {**members, KEYS: canonical({"keys": renamed})}, KEYS, "key")
    other = {**members, "case.json": canonical({**case, "id": "another"})}
    yield Altered("another case", resealed(other, case="another"), "docket.jsonl", "entry 1")
    yield from _manifests(members)


def _other_seals(seals: list[dict[str, Any]]) -> dict[str, str]:
    jws: str = seals[0]["jws"]
    header, payload, signature = jws.split(".")
    other = honest(next(seed for seed in range(100) if b'"jws"' in members_of(honest(seed).data)["seals.json"]))
    return {
        "of another entry": seals[1]["jws"],
        "of another case": orjson.loads(members_of(other.data)["seals.json"])[0]["jws"],
        "cut": jws[:-1],
        "padded": f"{jws}=",
        "with the signature of another": f"{header}.{payload}.{seals[1]['jws'].split('.')[2]}",
        "with a space": f"{header}.{payload} .{signature}",
        "empty": "",
    }


def _manifests(members: Members) -> Iterator[Altered]:
    manifest = orjson.loads(members[MANIFEST])
    for field in manifest:
        altered = {name: value for name, value in manifest.items() if name != field}
        yield Altered(f"manifest without {field}", stale({**members, MANIFEST: canonical(altered)}), MANIFEST)
    for field, value in (
        ("head", {"seq": 3, "hash": "ab" * 32}),
        ("head", {"seq": 99, "hash": manifest["head"]["hash"]}),
    ):
        yield Altered(f"manifest, {field} {value['seq']}", resealed(members, **{field: value}), "docket.jsonl")
    for field, value in (("made_at", "2026-03-01"), ("v", 2), ("format", "other"), ("extra", 1)):
        yield Altered(f"manifest, {field}", resealed(members, **{field: value}), MANIFEST)
    without = {name: file for name, file in manifest["files"].items() if name != "case.json"}
    unnamed = canonical({**manifest, "files": without})
    yield Altered("a file left out of the manifest", stale({**members, MANIFEST: unnamed}), "case.json", "member")
    yield Altered("another reader", stale({**members, MANIFEST: canonical(manifest | {"made_for": "x"})}), MANIFEST)


def spellings(members: Members) -> Iterator[Altered]:
    """JSON in other forms than its canonical one, or no JSON at all, in every member that holds some."""
    for name, data in members.items():
        if not name.endswith((".json", ".jsonl")) or name == MANIFEST or not data:
            continue
        line = data.split(b"\n")[0]
        cases = {
            "a space": line.replace(b":", b": ", 1),
            "nothing": b"",
            "a key twice": line.replace(b"{", b'{"v":1,"v":1,', 1),
            "not a number": line.replace(b":", b":NaN,", 1),
            "infinity": b"[1e400]",
            "a lone surrogate": b'"\\ud800"',
            "deep nesting": b"[" * 100_000 + b"]" * 100_000,
            "no UTF-8": b'"\xff"',
            "a large number": b"[123456789012345678901234567890]",
            "an escape": line.replace(b"e", b"\\u0065", 1),
            "null": b"null",
            "a number": b"1",
            "a list of lists": b"[[]]",
        }
        for what, spelt in cases.items():
            altered = {**members, name: spelt + data[len(line) :]}
            if altered[name] == data:
                continue
            if name == KEYS:
                yield Altered(f"{what} in {name}", stale(altered), name)
            else:
                yield from both(f"{what} in {name}", altered, name)
        if name.endswith(".jsonl"):
            yield from both(f"last line not ended in {name}", {**members, name: data[:-1]}, name, "line")
            yield from both(f"an empty line in {name}", {**members, name: data + b"\n"}, name, "line")
        else:
            ended = {**members, name: data + b"\n"}
            yield Altered(f"a line feed after {name}", stale(ended), name, "contents")
