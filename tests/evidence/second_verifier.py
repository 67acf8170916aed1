"""A second verifier of dossiers, from docs/dossier.md alone: says if one is intact, else one reason. Small, not fast."""

# ruff: noqa: E401, E501, I001 - at most 200 lines
# fmt: off
import base64, hashlib, json, re, struct, zlib
from datetime import datetime

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

CASE = {"id", "reference", "marketplace", "state", "version", "opened_at", "updated_at", "closed_at", "buyer", "seller", "order", "claims", "refunds", "ledger", "offers", "messages", "evidence_requests", "deadlines", "outcome", "remedy"}
EXHIBIT = {"id", "label", "kind", "title", "filename", "media_type", "size", "sha256", "merkle_root", "messages", "timezone", "filed_by", "filed_at", "late", "visibility", "seq", "problems", "redacted_at", "custody", "content"}
DECISION = {"seq", "number", "status", "outcome", "remedy", "dispositions", "liability", "blame", "reasons", "findings", "decided_by", "decided_at", "issued_at", "final_at", "appeals"}
ENTRY, HELD = {"v", "case", "seq", "prev", "at", "type", "from", "to", "commitments", "hash"}, {"v", "exhibit", "seq", "prev", "at", "act", "commitment", "hash"}
LEAF, OPENING = {"seq", "role", "sent_at", "kind", "c_text", "c_sender", "c_attachments"}, {"salt", "value"}
FIXED = {"case.json", "decisions.json", "docket.jsonl", "exhibits.json", "page.en.html", "page.zh-CN.html", "seals.json", "verify/keys.json", "verify/manifest.json", "verify/manifest.jws"}
HEX = re.compile("[0-9a-f]{64}")
def need(holds, why):
    if not holds:
        raise ValueError(why)
def sha(data):
    return hashlib.sha256(data).hexdigest()
def instant(value):
    need(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", value, re.ASCII) and datetime.fromisoformat(value), "at")
def canonical(raw):
    need(len(raw) <= 32 * 2**20 and rfc8785.dumps(value := json.loads(raw)) == raw, "canonical form")
    return value
def lines(raw):
    need(raw == b"" or raw.endswith(b"\n"), "line feed")
    return [dict(canonical(line)) for line in raw.split(b"\n")[:-1]]
def unzip(data):
    at, members, written, directory = 0, {}, b"", b""
    while data[at : at + 4] == b"PK\3\4":
        size, length = struct.unpack_from("<LH", data, at + 22)
        name, body = data[at + 30 : at + 30 + length], data[at + 30 + length : at + 30 + length + size]
        need(not members or name > max(members), "order of members")
        local = struct.pack("<HHHHHLLLHH", 20, 0, 0, 0, 33, zlib.crc32(body), size, size, length, 0)
        directory += b"PK\1\2\x14\0" + local + struct.pack("<HHHLL", 0, 0, 0, 0, at) + name
        members[name], written = body, written + b"PK\3\4" + local + name + body
        at += 30 + length + size
    end = (0, 0, len(members), len(members), len(directory), len(written), 0)
    need(written + directory + b"PK\5\6" + struct.pack("<HHHHLLH", *end) == data, "spelling of the archive")
    return {name.decode("ascii"): body for name, body in members.items()}
def base64url(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
def thumbprint(public):
    x = base64url(public.public_bytes(Encoding.Raw, PublicFormat.Raw))
    return base64url(hashlib.sha256(rfc8785.dumps({"crv": "Ed25519", "kty": "OKP", "x": x})).digest())
def part(text):
    need(base64url(raw := base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))) == text, "base64url")
    return raw
def signed(jws, keys):
    head, payload, signature = jws.split(".")
    kid = canonical(part(head))["kid"]
    need(canonical(part(head)) == {"alg": "Ed25519", "kid": kid, "typ": "mediation-seal"}, "header")
    keys[kid].verify(part(signature), f"{head}.{payload}".encode())
    return canonical(part(payload))
def published(jwks):
    need(jwks.keys() == {"keys"}, "keys")
    found = {thumbprint(one): one for one in (Ed25519PublicKey.from_public_bytes(part(jwk["x"])) for jwk in jwks["keys"])}
    stated = [{name: value for name, value in jwk.items() if name not in ("x", "retired_at")} for jwk in jwks["keys"]]
    need(stated == [{"kty": "OKP", "crv": "Ed25519", "kid": kid, "use": "sig", "alg": "Ed25519"} for kid in found], "jwk")
    return found
def opened(opening, commitment, names=OPENING):
    need(opening.keys() == names and (opening["salt"] is not None or opening["value"] is None), "opening")
    if opening["salt"] is not None:
        need(HEX.fullmatch(opening["salt"]), "salt")
        raw = b"\0" + bytes.fromhex(opening["salt"]) + rfc8785.dumps(opening["value"])
        need(sha(raw) == commitment, "commitment")
    return opening["value"]
def chained(entries, fields, owner):
    hashes, state = {}, None
    for n, entry in enumerate(entries, 1):
        need(entry["seq"] == n and type(entry["seq"]) is int and HEX.fullmatch(entry["hash"]), "numbering")
        if entry.keys() != {"seq", "hash"}:
            need(entry.keys() == fields and entry["v"] == 1 and type(entry["v"]) is int, "fields of an entry")
            need(entry.get("case", entry.get("exhibit")) == owner and entry["prev"] == hashes.get(n - 1, "0" * 64), "prev")
            need(sha(rfc8785.dumps({k: v for k, v in entry.items() if k != "hash"})) == entry["hash"], "hash")
            need("to" not in entry or entry["from"] == state if n == 1 or state else entry.get("from", 0) is not None, "from")
            instant(entry["at"])
        hashes[n], state = entry["hash"], entry.get("to")
    return hashes
def root(leaves):
    if len(leaves) < 2:
        return leaves[0] if leaves else hashlib.sha256(b"").digest()
    k = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + root(leaves[:k]) + root(leaves[k:])).digest()
def filed(one, entry, shown, hashes):
    need(one.keys() == EXHIBIT and re.fullmatch("[BSMP]-[1-9][0-9]{0,5}", one["label"]) and one["seq"] in hashes, "exhibit")
    need(one["filed_by"].keys() == {"role", "id"} and type(one["late"]) is bool, "filed_by")
    need((one["sha256"] is None) == (one["redacted_at"] is not None), "redacted")
    need((one["sha256"] or one["content"] is None) and (one["messages"] is None) == (one["merkle_root"] is None), "parts")
    if entry is not None:
        need(entry["type"] == "exhibit_filed" and entry["at"] == one["filed_at"], "filing")
        need(one["sha256"] == shown.get("sha256") and one["title"] == shown.get("title"), "sha256 or title")
        facts, actor, told = shown.get("facts"), shown.get("actor"), {**one, "exhibit": one["id"]}
        names = ("exhibit", "label", "kind", "media_type", "size", "messages", "merkle_root", "late")
        need(facts is None or all(facts.get(name) == told[name] for name in names), "facts of the filing")
        who = one["filed_by"]
        need(actor is None or (who["role"] == actor["role"] and who["id"] in (None, actor["subject"])), "filed_by")
def custody(found, one):
    for line in found:
        need(line.keys() == {"entry", "opening"} and line["entry"].keys() == HELD, "custody")
        opened(line["opening"], line["entry"]["commitment"])
    chain = chained([line["entry"] for line in found], HELD, one["id"])
    need(one["custody"] == ({"seq": len(chain), "hash": chain[len(chain)]} if chain else None), "custody head")
    return chain
def messages(found, one):
    leaves, texts = [], {}
    for n, line in enumerate(found, 1):
        leaf = line["leaf"]
        need(line.keys() == {"leaf", "text", "sender", "attachments"} and leaf.keys() == LEAF, "message")
        need(leaf["seq"] == n and type(leaf["seq"]) is int and (leaf["sent_at"] is None or not instant(leaf["sent_at"])), "leaf")
        leaves.append(hashlib.sha256(b"\0" + rfc8785.dumps(leaf)).digest())
        texts[n] = opened(line["text"], leaf["c_text"])
        sender, files = opened(line["sender"], leaf["c_sender"]), opened(line["attachments"], leaf["c_attachments"])
        need(isinstance(texts[n], str | None) and (sender is None or sender.keys() == {"id", "name"}), "text, sender")
        need(all(file.keys() == {"name", "media_type", "sha256"} for file in files or ()), "attachments")
    need(len(found) == one["messages"] and root(leaves).hex() == one["merkle_root"], "root")
    return texts
def decided(one, shown, hashes, texts):
    need(one.keys() >= DECISION and type(one["seq"]) is int and one["seq"] in hashes, "decision")
    if shown is not None:
        need(one["reasons"] == shown.get("reasons") and (one["findings"] or []) == shown.get("findings", []), "words")
        need("facts" not in shown or one["outcome"] == shown["facts"]["decision"]["outcome"], "outcome")
    for item in [item for finding in one["findings"] or () for item in finding["relied_on"]]:
        for quote in item["quotes"]:
            seq, start, length = (quote[name] for name in ("seq", "start", "length"))
            need(type(seq) is type(start) is type(length) is int and start >= 0 and length >= 1, "quote")
            text = texts[item["exhibit"]][seq]
            need(text is None or start + length <= len(text), "quote")
def kept(said, case, hashes, known):
    head = said[{"receipt": "head", "head": "hash", "dossier": "head"}[said["statement"]]]
    need(said["case"] == case and said["v"] == 1 and hashes[said["seq"]] == head, "rolled back")
    if said["statement"] == "receipt":
        [one] = [one for one in known.values() if one["id"] == said["exhibit"]]
        erased = {"sha256": None} if one["redacted_at"] else {}
        need(all(one[name] == {**said, **erased}[name] for name in ("label", "merkle_root", "sha256")), "receipt")
def check(data, pem, receipts):
    members = unzip(data)
    manifest, keys = canonical(members["verify/manifest.json"]), published(canonical(members["verify/keys.json"]))
    files = {name: {"sha256": sha(raw), "size": len(raw)} for name, raw in members.items() if name[:15] != "verify/manifest"}
    case, head, made_at = manifest["case"], manifest["head"], manifest["made_at"]
    need(manifest == {"v": 1, "format": "mediation-dossier", "case": case, "reference": manifest["reference"], "head": head,
                      "made_at": made_at, "made_for": str(manifest["made_for"]), "files": files}, "manifest")
    instant(made_at)
    own = load_pem_public_key(pem) if pem else None
    said = signed(members["verify/manifest.jws"].decode("ascii"), {thumbprint(own): keys[thumbprint(own)]} if own else keys)
    need(said == {"v": 1, "statement": "dossier", "case": case, "seq": head["seq"], "head": head["hash"],
                  "manifest": sha(members["verify/manifest.json"]), "at": made_at}, "signature")
    docket, entries, values = lines(members["docket.jsonl"]), {}, {}
    for line in [line for line in docket if "entry" in line]:
        entry = line["entry"]
        entries[entry["seq"]], values[entry["seq"]] = entry, {}
        need(line.keys() == {"entry", "openings"} and len(entry["commitments"]) == len(line["openings"]), "openings")
        for opening, commitment in zip(line["openings"], entry["commitments"], strict=True):
            value = opened(opening, commitment, {"name", *OPENING})
            need(isinstance(opening["name"], str) and (value is None or value.keys() == {opening["name"]}), "name")
            values[entry["seq"]].update(value or {})
    hashes = chained([line.get("entry", line) for line in docket], ENTRY, case)
    need(head == {"seq": len(docket), "hash": hashes[len(docket)]}, "head")
    known, texts, chains, allowed, before = {}, {}, {}, set(FIXED), 0
    for one in canonical(members["exhibits.json"]):
        label, path = one["label"], f"exhibits/{one['label']}/"
        filed(one, entries.get(one["seq"]), values.get(one["seq"], {}), hashes)
        need(label not in known and one["id"] not in [other["id"] for other in known.values()] and one["seq"] > before, "order")
        known[label], before = one, one["seq"]
        allowed |= {path + name for name in ("messages.jsonl", "custody.jsonl", "content") if one[name.split(".")[0]] is not None}
        if one["content"] is not None:
            raw = members[path + "content"]
            need((one["content"], one["sha256"], one["size"]) == (path + "content", sha(raw), len(raw)), "content")
        chains[label] = custody(lines(members.get(path + "custody.jsonl", b"")), one)
        texts[label] = {} if one["messages"] is None else messages(lines(members[path + "messages.jsonl"]), one)
    need(members.keys() == allowed, "members")
    for seq, entry in entries.items():
        facts = values[seq].get("facts") or {}
        need(entry["type"] != "exhibit_filed" or not facts or (before and seq in [one["seq"] for one in known.values()]), "filed")
        for label, at in {**(facts.get("custody") or {}), **(values[seq].get("custody_of_staff") or {})}.items():
            if label in known or at["exhibit"] in [one["id"] for one in known.values()]:
                need(known[label]["id"] == at["exhibit"] and chains[label].get(at["seq"]) == at["hash"], "custody head")
    for seal in canonical(members["seals.json"]):
        said = signed(seal["jws"], keys)
        need(seal.keys() == {"seq", "jws"} and said == {"v": 1, "statement": "head", "case": case, "seq": seal["seq"],
                                                        "hash": hashes[seal["seq"]], "at": said["at"]}, "seal")
    for one in canonical(members["decisions.json"]):
        decided(one, values.get(one["seq"]), hashes, texts)
    stated, last = canonical(members["case.json"]), entries.get(head["seq"], {})
    need(stated.keys() == CASE and (stated["id"], stated["reference"]) == (case, manifest["reference"]), "case")
    need(stated["version"] == head["seq"] and last.get("to", stated["state"]) == stated["state"], "state")
    for receipt in receipts:
        kept(signed(receipt.strip(), {**keys, **({thumbprint(own): own} if own else {})}), case, hashes, known)
def verify(data, pem=None, receipts=()):
    try:
        check(data, pem, receipts)
    except (ArithmeticError, AttributeError, InvalidSignature, LookupError, RecursionError, TypeError, ValueError, struct.error) as error:
        return f"{type(error).__name__}: {error}"
    return None
