"""What a reader can recompute from the API's answers, trusting none of them: chain, openings, receipt, roots, sums."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evidence import chain, commitments, merkle, sealing
from evidence.errors import EvidenceError
from evidence.leaves import leaf_of
from mediation.demo.errors import Broken

Entries = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Docket:
    """What was found on checking a copy of a docket: its length, and how many commitments were opened or kept shut."""

    entries: int
    withheld: int
    opened: int
    shut: int
    head: str


def check_docket(entries: Entries, case: str) -> Docket:
    """Recompute every hash, link and opened commitment of a docket as the API answers it. Raises Broken."""
    bare = [{name: value for name, value in entry.items() if name != "openings"} for entry in entries]
    if not bare or (faults := chain.breaches(bare, case=case)):
        raise Broken("the docket does not verify: " + ("; ".join(f.what for f in faults) if bare else "it is empty"))
    opened = shut = 0
    for entry in entries:
        for opening in entry.get("openings", ()):
            if opening["salt"] is None:
                shut += 1
            else:
                _check_opening(entry, opening)
                opened += 1
    withheld = sum("openings" not in entry for entry in entries)
    return Docket(len(entries), withheld, opened, shut, bare[-1]["hash"])


def _check_opening(entry: Mapping[str, Any], opening: Mapping[str, Any]) -> None:
    digest, salt = bytes.fromhex(opening["commitment"]), bytes.fromhex(opening["salt"])
    # A value is wrapped in its name, so that one can never be passed off as another.
    named = list(opening["value"]) == [opening["name"]] and opening["commitment"] in entry["commitments"]
    if not named or not commitments.opens(digest, salt, opening["value"]):
        raise Broken(f"entry {entry['seq']}: “{opening['name']}” is not what was committed to")


def entry_of(entries: Entries, type_: str) -> Mapping[str, Any]:
    """The only entry of that type. Raises Broken if there is none, or more than one."""
    found = [entry for entry in entries if entry["type"] == type_]
    if len(found) != 1:
        raise Broken(f"one entry “{type_}” should be in the docket; there are {len(found)}")
    return found[0]


def opened(entry: Mapping[str, Any], name: str) -> Any:
    """What an entry commits to under that name. Raises Broken if its reader may not see it."""
    found = [one["value"][name] for one in entry.get("openings", ()) if one["name"] == name]
    if not found:
        raise Broken(f"entry {entry['seq']}, “{entry['type']}”, does not show its {name}")
    return found[0]


def check_ledger(movements: Entries, credited: Mapping[str, Any]) -> None:
    """The movements of each currency sum to zero, and the buyer is credited with exactly this. Raises Broken.

    What a buyer bears themselves is a debit of its own and takes nothing off the credit.
    """
    sums: dict[str, int] = {}
    buyers: dict[str, int] = {}
    for one in movements:
        currency, amount = one["amount"]["currency"], one["amount"]["amount"]
        sums[currency] = sums.get(currency, 0) + amount
        if one["account"].startswith("buyer:") and amount > 0:
            buyers[currency] = buyers.get(currency, 0) + amount
    if any(sums.values()):
        raise Broken(f"the ledger does not sum to zero: {sums}")
    wanted = {credited["currency"]: credited["amount"]} if credited["amount"] else {}
    if buyers != wanted:
        raise Broken(f"the ledger should credit the buyer with {wanted}; it credits {buyers}")


def check_receipt(receipt: str, keys: Mapping[str, Any], entries: Entries, case: str) -> dict[str, Any]:
    """Verify a filing's receipt against the published keys and the docket it speaks of; its statement. Raises Broken.

    A receipt names the head that the docket had right after the filing: a record rolled back since does not hold it.
    """
    try:
        statement = sealing.verify(receipt, keys)
    except EvidenceError as error:
        raise Broken(f"the receipt does not hold: {error}") from error
    head = next((entry["hash"] for entry in entries if entry["seq"] == statement["seq"]), None)
    if statement["statement"] != "receipt" or statement["case"] != case or statement["head"] != head:
        raise Broken("the receipt speaks of another docket than the one on file")
    return statement


def check_exhibit(statement: Mapping[str, Any], exhibit: Mapping[str, Any], content: bytes, entries: Entries) -> None:
    """The bytes that are served are those of the receipt, and one Merkle root stands everywhere. Raises Broken."""
    if not hashlib.sha256(content).hexdigest() == statement["sha256"] == exhibit["sha256"]:
        raise Broken(f"the bytes of {exhibit['label']} are not those that were filed")
    entry = next(entry for entry in entries if entry["seq"] == statement["seq"])
    facts = next(one["value"]["facts"] for one in entry["openings"] if one["name"] == "facts")
    if not facts["merkle_root"] == statement["merkle_root"] == exhibit["merkle_root"]:
        raise Broken(f"{exhibit['label']} has not the same Merkle root in the docket, the receipt and the exhibit")


def check_message(proof: Mapping[str, Any], merkle_root: str, text: str) -> None:
    """Recompute a message's leaf and the Merkle root from its proof, and open what the leaf commits to. Raises Broken.

    `merkle_root` and `text` are from elsewhere: the receipt, and the conversation as it was before it was filed.
    """
    leaf = proof["leaf"]
    opened = {one["name"]: one for one in proof["openings"]}
    for name, one in opened.items():
        if not commitments.opens(bytes.fromhex(leaf[name]), bytes.fromhex(one["salt"]), one["value"]):
            raise Broken(f"message {leaf['seq']}: {name} is not what was committed to")
    if opened["c_text"]["value"] != text:
        raise Broken(f"message {leaf['seq']} does not say what was filed")
    path = [bytes.fromhex(part) for part in proof["path"]]
    root = bytes.fromhex(merkle_root)
    if not merkle.verify_inclusion(leaf_of(leaf), leaf["seq"] - 1, proof["size"], path, root):
        raise Broken(f"message {leaf['seq']} is not under the Merkle root of the receipt")
