"""Making one case and the dossier of it, step by step."""

from __future__ import annotations

import functools
import hashlib
import io
import random
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from evidence import chain, custody
from evidence.canonical import canonical
from evidence.commitments import Commitment, commit
from evidence.dossier.writing import Contents, write
from evidence.merkle import root
from evidence.sealing import SealingKey, head_statement, receipt_statement

BEGIN = datetime(2026, 3, 1, 8, 0, 0, 123456, tzinfo=UTC)
READERS = ("mediator", "buyer", "seller")
SAYINGS = (
    "你好，请问什么时候发货？",
    "It arrived broken 😢, see the photo.",
    "退款可以，但要先退货。\n第二行",
    'He said "no", then \\ nothing\t.',
    "é ou é",
    "13800138000",
    "ok",
    "\u2028line and \x7f control \x01",
)


@functools.cache
def key(n: int) -> SealingKey:
    """The n-th key of the tests."""
    private = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(f"key {n}".encode()).digest())
    return SealingKey.from_pem(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


@functools.cache
def public_pem(n: int) -> bytes:
    """The public half of the n-th key."""
    private = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(f"key {n}".encode()).digest())
    return private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@dataclass(frozen=True, slots=True)
class Made:
    """A dossier, the PEM of the key that signed it, and what its parties kept: receipts, sealed heads."""

    seed: int
    data: bytes
    pem: bytes
    receipts: tuple[str, ...]
    exhibits: int
    messages: int


@dataclass(slots=True)
class Maker:
    """Puts one case together, step by step, and then the copy of it that `reader` gets."""

    seed: int
    reader: str
    rng: random.Random = field(init=False)
    case: str = field(init=False)
    at: datetime = BEGIN
    entries: list[dict[str, Any]] = field(default_factory=list)
    lines: list[dict[str, Any]] = field(default_factory=list)
    exhibits: list[dict[str, Any]] = field(default_factory=list)
    messages: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    texts: dict[str, list[str]] = field(default_factory=dict)
    custody: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    contents: dict[str, bytes] = field(default_factory=dict)
    decisions: list[dict[str, Any]] = field(default_factory=list)
    seals: list[dict[str, Any]] = field(default_factory=list)
    receipts: list[str] = field(default_factory=list)
    state: str | None = None
    signing: int = 0

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.case = self.id()

    def id(self) -> str:
        return str(uuid.UUID(bytes=self.rng.randbytes(16), version=4))

    def now(self) -> datetime:
        self.at += timedelta(microseconds=self.rng.randrange(1, 10**10))
        return self.at

    def commit(self, value: Any) -> tuple[Commitment, dict[str, Any]]:
        made = commit(value, self.rng.randbytes(32))
        return made, {"salt": made.salt.hex(), "value": value}

    def enter(self, type_: str, to: str | None = None, *, by: str, staff: bool = False, **openings: Any) -> int:
        """Write a docket entry; a value of an opening that is a tuple is one that was erased."""
        seq, came_from = len(self.entries) + 1, self.state
        self.state = to or self.state or "opened"
        said = {"actor": {"role": by, "subject": f"{by}-7", "acts_for": f"{by}-7", "marketplace": "m"}, **openings}
        digests, shown = [], []
        for name, value in said.items():
            made, opening = self.commit({name: value[0] if isinstance(value, tuple) else value})
            digests.append(made.digest.hex())
            hidden = isinstance(value, tuple) or (
                self.reader != "mediator"
                and ((name == "actor" and by != self.reader) or name in ("custody_of_staff", "note"))
            )
            shown.append({"name": name, **(opening if not hidden else {"salt": None, "value": None})})
        entry = chain.seal_entry(
            case=self.case,
            seq=seq,
            prev=self.entries[-1]["hash"] if self.entries else chain.GENESIS,
            at=self.now(),
            type=type_,
            from_=came_from,
            to=self.state,
            commitments=digests,
        )
        self.entries.append(entry)
        withheld = staff and self.reader != "mediator"
        self.lines.append({"seq": seq, "hash": entry["hash"]} if withheld else {"entry": entry, "openings": shown})
        return seq

    def hold(self, label: str, exhibit: str, act: custody.CustodyAct, by: str) -> None:
        """Enter an act in the custody chain of an exhibit."""
        chain_ = self.custody.setdefault(label, [])
        made, opening = self.commit({"actor": {"role": by, "subject": f"{by}-7"}, "what": {}})
        hidden = self.reader not in ("mediator", by)
        entry = custody.seal_entry(
            exhibit=exhibit,
            seq=len(chain_) + 1,
            prev=chain_[-1]["entry"]["hash"] if chain_ else chain.GENESIS,
            at=self.now(),
            act=act,
            commitment=made.digest.hex(),
        )
        chain_.append({"entry": entry, "opening": {"salt": None, "value": None} if hidden else opening})

    def file(self, label: str, by: str, *, messages: int | None, redacted: bool = False, staff: bool = False) -> None:
        """File an exhibit: a chat log of some messages, or a picture."""
        rng, exhibit = self.rng, self.id()
        content = rng.randbytes(rng.randrange(1, 60))
        made_root = None if messages is None else self.log(label, messages, redacted)
        title = rng.choice([None, "照片", "chat of March"])
        digest = hashlib.sha256(content).hexdigest()
        facts = {
            "exhibit": exhibit,
            "label": label,
            "kind": "image" if messages is None else "chat_log",
            "media_type": "image/png" if messages is None else "application/json",
            "size": len(content),
            "messages": messages,
            "merkle_root": made_root,
            "late": rng.random() < 0.2,
        }
        private = {"sha256": digest} | ({"title": title} if title else {})
        openings = {name: (value,) if redacted else value for name, value in private.items()}
        seq = self.enter("exhibit_filed", by=by, staff=staff, facts=facts, **openings)
        self.receipt(exhibit, label, digest, made_root, seq)
        for act in rng.choices(list(custody.CustodyAct), k=rng.randrange(0, 4)):
            self.hold(label, exhibit, act, rng.choice(READERS))
        mine = self.reader in ("mediator", by)
        self.contents[label] = content
        if staff and self.reader != "mediator":
            return
        self.exhibits.append(
            {
                "id": exhibit,
                **{name: facts[name] for name in facts if name != "exhibit"},
                "title": None if redacted else title,
                "filename": None if redacted else rng.choice([None, "a b.png"]),
                "sha256": None if redacted else digest,
                "timezone": None if messages is None else "Asia/Shanghai",
                "filed_by": {"role": by, "id": f"{by}-7" if mine and not redacted else None},
                "filed_at": chain.instant(self.at_of(seq)),
                "visibility": "staff" if staff else "parties",
                "seq": seq,
                "problems": rng.choice([[], [{"message_seq": 1, "code": "out_of_order", "detail": "text"}]]),
                "redacted_at": chain.instant(self.at) if redacted else None,
                "content": None if redacted or rng.random() < 0.3 else f"exhibits/{label}/content",
            }
        )

    def at_of(self, seq: int) -> datetime:
        return datetime.fromisoformat(self.entries[seq - 1]["at"])

    def log(self, label: str, count: int, redacted: bool) -> str:
        """Make the messages of a chat log and return their root."""
        leaves, lines, texts = [], [], []
        for seq in range(1, count + 1):
            text = self.rng.choice(SAYINGS) * self.rng.randrange(1, 3)
            files = [{"name": "a.png", "media_type": self.rng.choice([None, "image/png"]), "sha256": None}]
            values = {
                "text": text,
                "sender": {"id": f"u{seq % 2}", "name": self.rng.choice([None, "小明"])},
                "attachments": files if self.rng.random() < 0.2 else [],
            }
            made = {name: self.commit(value) for name, value in values.items()}
            leaf = {
                "seq": seq,
                "role": self.rng.choice(["buyer", "seller", "staff", "system"]),
                "sent_at": self.rng.choice([None, chain.instant(self.now())]),
                "kind": "text",
                **{f"c_{name}": one.digest.hex() for name, (one, _) in made.items()},
            }
            gone = redacted and (self.rng.random() < 0.5 or seq == count)
            closed = {"salt": None, "value": None}
            lines.append({"leaf": leaf, **{name: closed if gone else opening for name, (_, opening) in made.items()}})
            leaves.append(hashlib.sha256(b"\x00" + canonical(leaf)).digest())
            texts.append(text)
        self.messages[label], self.texts[label] = lines, texts
        return root(leaves).hex()

    def receipt(self, exhibit: str, label: str, digest: str, made_root: str | None, seq: int) -> None:
        statement = receipt_statement(
            case=self.case,
            exhibit=exhibit,
            label=label,
            sha256=digest,
            merkle_root=made_root,
            seq=seq,
            head=self.entries[seq - 1]["hash"],
            at=self.at,
        )
        # Only what is kept from what this reader may see can be held against this reader's copy.
        if "entry" in self.lines[seq - 1]:
            self.receipts.append(key(self.signing).sign(statement))

    def decide(self, *, reasons_erased: bool = False) -> None:
        """Decide the case, quoting from the logs that both sides may see, and sealing custody heads and docket."""
        seen, unseen = {}, {}
        for label, lines in self.custody.items():
            last = lines[-1]["entry"]
            part = unseen if label.startswith("M") else seen
            part[label] = {name: last[name] for name in ("exhibit", "seq", "hash")}
        relied_on = []
        for label, texts in self.texts.items():
            if not texts or label.startswith("M"):
                continue
            seq = self.rng.randrange(1, len(texts) + 1)
            start = self.rng.randrange(0, len(texts[seq - 1]))
            length = self.rng.randrange(1, len(texts[seq - 1]) - start + 1)
            relied_on.append({"exhibit": label, "quotes": [{"seq": seq, "start": start, "length": length}]})
        findings = [{"issue": "is it broken", "finding": "proven", "relied_on": relied_on, "rejected": []}]
        reasons = "因为照片为证。"
        staff = {"custody_of_staff": unseen} if unseen else {}
        facts = {"decision": {"outcome": "buyer_favour", "amount_minor": 1200}, "amount_minor": 1200}
        seq = self.enter(
            "decide",
            "decided",
            by="mediator",
            facts=facts | ({"custody": seen} if seen else {}),
            reasons=(reasons,) if reasons_erased else reasons,
            findings=findings,
            **staff,
        )
        statement = head_statement(self.case, seq, self.entries[-1]["hash"], self.at)
        self.seals.append({"seq": seq, "jws": key(self.signing).sign(statement)})
        self.receipts.append(self.seals[-1]["jws"])
        when = chain.instant(self.at)
        self.decisions.append(
            {
                "id": self.id(),
                "seq": seq,
                "number": len(self.decisions) + 1,
                "status": "final",
                "outcome": "buyer_favour",
                "remedy": {"kind": "refund", "amount": {"amount": 1200, "currency": "CNY"}, "share": 0.5},
                "dispositions": [],
                "liability": [{"party": "seller", "amount": {"amount": 1200, "currency": "CNY"}}],
                "blame": "seller",
                "reasons": None if reasons_erased else reasons,
                "findings": findings,
                "decided_by": "mediator-7" if self.reader == "mediator" else None,
                "decided_at": when,
                "issued_at": when,
                "final_at": None,
                "appeals": [],
            }
        )

    def keys(self) -> dict[str, Any]:
        """The keys as they are published: those before the one that signs now are retired."""
        retired = [{**key(n).public_jwk(), "retired_at": chain.instant(BEGIN)} for n in range(self.signing)]
        return {"keys": [*retired, key(self.signing).public_jwk()]}

    def case_member(self) -> dict[str, Any]:
        lists = ("refunds", "ledger", "offers", "messages", "evidence_requests", "deadlines")
        return {
            "id": self.case,
            "reference": "D-7K4Q-9XM2-ABCD",
            "marketplace": "m",
            "state": self.state,
            "version": len(self.entries),
            "opened_at": chain.instant(BEGIN),
            "updated_at": chain.instant(self.at),
            "closed_at": None,
            "buyer": {"id": "buyer-7", "name": "小**"},
            "seller": {"id": "seller-7", "name": "Shop"},
            "order": {"id": "o-1", "paid": {"amount": 1200, "currency": "CNY"}},
            "claims": [{"reason": "damaged", "statement": SAYINGS[1]}],
            **{name: [] for name in lists},
            "outcome": None,
            "remedy": None,
        }

    def finish(self) -> Made:
        """Write the dossier."""
        for exhibit in self.exhibits:
            lines = self.custody.get(exhibit["label"])
            last = lines[-1]["entry"] if lines else None
            exhibit["custody"] = None if last is None else {"seq": last["seq"], "hash": last["hash"]}
        contents = Contents(
            case=self.case_member(),
            docket=self.lines,
            seals=self.seals,
            decisions=self.decisions,
            exhibits=self.exhibits,
            messages=self.messages.__getitem__,
            custody=self.custody.__getitem__,
            content=lambda label: [self.contents[label]],
            pages={
                "page.en.html": lambda: ["<!doctype html>", "<p>the case"],
                "page.zh-CN.html": lambda: ["<!doctype html>", "<p>案件"],
            },
            keys=self.keys(),
            head={"seq": len(self.entries), "hash": self.entries[-1]["hash"]},
            made_at=chain.instant(self.at),
            made_for=self.reader,
        )
        out = io.BytesIO()
        write(out, contents, sign=key(self.signing).sign)
        logs = [one["messages"] or 0 for one in self.exhibits]
        return Made(
            self.seed, out.getvalue(), public_pem(self.signing), tuple(self.receipts), len(self.exhibits), sum(logs)
        )
