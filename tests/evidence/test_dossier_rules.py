"""Rules of the format that no alteration of the others' touches, one by one."""

from __future__ import annotations

import base64
import hashlib
import io

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from evidence.canonical import canonical
from evidence.dossier.faults import Fault, Report
from evidence.dossier.shapes import is_instant
from evidence.dossier.verifying import verify
from evidence.errors import BadSealingKey
from evidence.sealing import head_statement
from tests.evidence.dossier_maker import BEGIN, Maker
from tests.evidence.dossiers import honest, key, lines_of, members_of, rich, written
from tests.evidence.resealing import KEYS, resealed, signed

MADE = rich()
MEMBERS = members_of(MADE.data)


def _verified(members: dict[str, bytes], *receipts: str) -> Report:
    return verify(io.BytesIO(resealed(members)), receipts=receipts)


def _places(report: Report) -> list[tuple[str, str, str]]:
    return [(fault.file, fault.place, fault.code) for fault in report.faults]


def test_a_fault_reads_as_file_place_and_what() -> None:
    assert str(Fault("docket.jsonl", "entry 3", "gap", "it is missing")) == "docket.jsonl, entry 3: it is missing"


def test_words_that_were_erased_cannot_be_put_back() -> None:
    """Reasons whose opening was taken out of the docket are not believed from decisions.json alone."""
    lines = lines_of(MEMBERS["docket.jsonl"])
    decisions = orjson.loads(MEMBERS["decisions.json"])
    seq = decisions[0]["seq"]
    for opening in lines[seq - 1]["openings"]:
        if opening["name"] == "reasons":
            opening |= {"salt": None, "value": None}
    erased = {**MEMBERS, "docket.jsonl": written(lines)}
    assert _places(_verified(erased)) == [("decisions.json", "decision 1, reasons", "decision")]
    decisions[0]["reasons"] = None
    assert _verified({**erased, "decisions.json": canonical(decisions)}).intact


def test_a_head_sealed_in_a_decision_must_be_in_the_custody_chain() -> None:
    """A chain that was begun anew, whole in itself, lacks the heads that two decisions sealed."""
    lines = lines_of(MEMBERS["exhibits/S-1/custody.jsonl"])[:1]
    exhibits = orjson.loads(MEMBERS["exhibits.json"])
    for exhibit in exhibits:
        if exhibit["label"] == "S-1":
            exhibit["custody"] = {"seq": 1, "hash": lines[0]["entry"]["hash"]}
    cut = {**MEMBERS, "exhibits/S-1/custody.jsonl": written(lines), "exhibits.json": canonical(exhibits)}
    report = _verified(cut)
    assert _places(report) == [("exhibits/S-1/custody.jsonl", "entries", "rolled_back")] * 2
    without = {name: data for name, data in cut.items() if name != "exhibits/S-1/custody.jsonl"}
    exhibits = [one | ({"custody": None} if one["label"] == "S-1" else {}) for one in exhibits]
    report = _verified({**without, "exhibits.json": canonical(exhibits)})
    assert _places(report) == [("exhibits/S-1/custody.jsonl", "entries", "rolled_back")] * 2


def test_a_custody_head_of_what_only_staff_may_see_is_checked_for_staff_and_not_missed_by_parties() -> None:
    assert b"custody_of_staff" in MEMBERS["docket.jsonl"]
    lines = lines_of(MEMBERS["exhibits/M-1/custody.jsonl"])[:1]
    exhibits = orjson.loads(MEMBERS["exhibits.json"])
    for exhibit in exhibits:
        if exhibit["label"] == "M-1":
            exhibit["custody"] = {"seq": 1, "hash": lines[0]["entry"]["hash"]}
    cut = {**MEMBERS, "exhibits/M-1/custody.jsonl": written(lines), "exhibits.json": canonical(exhibits)}
    assert set(_places(_verified(cut))) == {("exhibits/M-1/custody.jsonl", "entries", "rolled_back")}
    party = rich("buyer")
    assert not any("M-1" in name for name in members_of(party.data))
    assert verify(io.BytesIO(party.data)).intact


def test_retired_keys_still_verify_what_they_signed_and_only_published_ones_count() -> None:
    keys = orjson.loads(MEMBERS[KEYS])["keys"]
    assert [jwk["kid"] for jwk in keys] == [key(0).kid, key(1).kid]
    assert "retired_at" in keys[0]
    statement = head_statement(orjson.loads(MEMBERS["case.json"])["id"], 1, "00" * 32, BEGIN)
    stranger = key(50).sign(statement)
    report = verify(io.BytesIO(MADE.data), receipts=[stranger])
    assert _places(report) == [("receipt 1", "signature", "receipt")]


def test_a_kept_head_of_another_hash_names_the_entry() -> None:
    statement = head_statement(orjson.loads(MEMBERS["case.json"])["id"], 3, "00" * 32, BEGIN)
    report = verify(io.BytesIO(MADE.data), receipts=[key(0).sign(statement)])
    assert _places(report) == [("docket.jsonl", "entry 3", "rolled_back")]


def test_an_earlier_dossiers_signature_is_a_head_that_was_kept() -> None:
    jws = MEMBERS["verify/manifest.jws"].decode()
    assert verify(io.BytesIO(MADE.data), receipts=[jws]).intact


def test_a_receipt_of_a_redacted_exhibit_still_holds_but_for_its_digest() -> None:
    redacted = next(
        made for made in map(honest, range(200)) if b'"redacted_at":"' in members_of(made.data)["exhibits.json"]
    )
    assert verify(io.BytesIO(redacted.data), receipts=redacted.receipts).intact


def test_a_key_that_is_none_is_an_error_and_no_fault() -> None:
    for pem in (
        b"",
        b"nonsense",
        MADE.pem.replace(b"A", b"!"),
        b"-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n",
    ):
        with pytest.raises(BadSealingKey):
            verify(io.BytesIO(MADE.data), key=pem)


def test_a_private_key_will_do_for_its_public_half() -> None:
    assert verify(io.BytesIO(MADE.data), key=key(1).to_pem()).key_checked


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("2026-03-01T08:00:00.123456Z", True),
        ("2024-02-29T23:59:59.000000Z", True),
        ("2026-02-29T08:00:00.123456Z", False),
        ("2026-03-01T24:00:00.000000Z", False),
        ("2026-03-01T08:00:60.000000Z", False),
        ("2026-03-01 08:00:00.123456Z", False),
        ("2026-03-01T08:00:00,123456Z", False),
        ("2026-03-01T08:00:00.123456z", False),
        ("2026-03-01T08:00:00.123+01Z", False),
        ("２０２６-03-01T08:00:00.123456Z", False),
        ("2026-03-01T08:00:00Z", False),
        ("", False),
    ],
)
def test_an_instant_is_a_real_time_in_its_one_spelling(text: str, is_one: bool) -> None:
    assert is_instant(text) is is_one


def test_nothing_in_a_report_repeats_what_people_said() -> None:
    lines = lines_of(MEMBERS["exhibits/B-1/messages.jsonl"])
    for line in lines:
        line["text"]["value"] = "13800138000 is my number"
        line["13800138000"] = line["text"]
    report = _verified({**MEMBERS, "exhibits/B-1/messages.jsonl": written(lines)})
    assert report.faults
    assert not any("13800138000" in str(fault) for fault in report.faults)


def test_a_quote_must_lie_within_the_text_even_where_docket_and_decision_agree_on_it() -> None:
    """A house that decides on words nobody wrote is found out by its own record."""
    maker = Maker(11, "mediator")
    maker.enter("open", "opened", by="buyer")
    maker.file("B-1", "buyer", messages=3)
    maker.texts["B-1"] = ["words that nobody wrote " * 20] * 3
    maker.decide()
    quote = maker.decisions[0]["findings"][0]["relied_on"][0]["quotes"][0]
    quote_ends = quote["start"] + quote["length"]
    text = maker.messages["B-1"][quote["seq"] - 1]["text"]["value"]
    assert quote_ends > len(text)
    report = verify(io.BytesIO(maker.finish().data))
    assert _places(report) == [("decisions.json", "decision 1, finding 1, exhibit 1, quote 1", "quote")]


def test_a_number_that_cannot_be_told_from_its_neighbours_is_not_canonical() -> None:
    case = MEMBERS["case.json"].replace(b'"id":"o-1"', b'"id":100000000000000000000')
    assert _places(_verified({**MEMBERS, "case.json": case})) == [("case.json", "contents", "not_canonical")]


def test_a_key_has_one_spelling_and_is_named_after_itself() -> None:
    keys = orjson.loads(MEMBERS[KEYS])["keys"]
    jwk = key(20).public_jwk()
    # 32 bytes leave two bits of the last letter unused; a thumbprint over another letter names no key.
    other = {**jwk, "x": jwk["x"][:-1] + chr(ord(jwk["x"][-1]) + 1)}
    thumbprint = hashlib.sha256(canonical({name: other[name] for name in ("crv", "kty", "x")})).digest()
    other["kid"] = base64.urlsafe_b64encode(thumbprint).rstrip(b"=").decode()
    for added, place in ((other, "key 3"), (keys[0], "key 3"), ({**jwk, "d": "AA"}, "key 3"), ({"kid": "x"}, "key 3")):
        report = _verified({**MEMBERS, KEYS: canonical({"keys": [*keys, added]})})
        assert (KEYS, place) in [(fault.file, fault.place) for fault in report.faults]
    assert _verified({**MEMBERS, KEYS: canonical({"keys": [*keys, jwk]})}).intact


def test_a_seal_has_one_header() -> None:
    """What another spelling of the header says may be true, and yet is no seal."""
    payload = canonical(head_statement(orjson.loads(MEMBERS["case.json"])["id"], 1, _hash(1), BEGIN))
    kid = key(0).kid
    private = load_pem_private_key(key(0).to_pem(), None)
    assert isinstance(private, Ed25519PrivateKey)
    for header, holds in (
        ({"alg": "Ed25519", "kid": kid, "typ": "mediation-seal"}, True),
        ({"typ": "mediation-seal", "alg": "Ed25519", "kid": kid}, False),
        ({"alg": "Ed25519", "cty": "x", "kid": kid, "typ": "mediation-seal"}, False),
        ({"alg": "EdDSA", "kid": kid, "typ": "mediation-seal"}, False),
    ):
        parts = [base64.urlsafe_b64encode(part).rstrip(b"=") for part in (orjson.dumps(header), payload)]
        parts.append(base64.urlsafe_b64encode(private.sign(b".".join(parts))).rstrip(b"="))
        report = verify(io.BytesIO(MADE.data), receipts=[b".".join(parts).decode()])
        assert report.intact is holds, header


def _hash(seq: int) -> str:
    hash_: str = lines_of(MEMBERS["docket.jsonl"])[seq - 1]["entry"]["hash"]
    return hash_


def test_other_bytes_of_the_same_length_are_not_those_that_were_filed() -> None:
    name = "exhibits/B-1/content"
    report = _verified({**MEMBERS, name: bytes(len(MEMBERS[name]))})
    assert _places(report) == [(name, "contents", "content")]


def test_seals_are_told_apart_by_what_is_wrong_with_them() -> None:
    case = orjson.loads(MEMBERS["case.json"])["id"]
    for seq, statement, code in (
        (2, head_statement(case, 1, _hash(1), BEGIN), "seal"),
        (1, head_statement("another", 1, _hash(1), BEGIN), "wrong_case"),
        (1, head_statement(case, 1, "00" * 32, BEGIN), "rolled_back"),
        (99, head_statement(case, 99, "00" * 32, BEGIN), "rolled_back"),
        (1, {**head_statement(case, 1, _hash(1), BEGIN), "statement": "tail"}, "seal"),
        (1, {**head_statement(case, 1, _hash(1), BEGIN), "more": 1}, "seal"),
    ):
        seals = canonical([{"seq": seq, "jws": key(0).sign(statement)}])
        assert _places(_verified({**MEMBERS, "seals.json": seals})) == [("seals.json", "seal 1", code)]


def test_a_receipt_holds_the_exhibit_to_its_label_digest_and_root() -> None:
    exhibit = orjson.loads(MEMBERS["exhibits.json"])[0]
    true = {
        "v": 1,
        "statement": "receipt",
        "case": orjson.loads(MEMBERS["case.json"])["id"],
        "exhibit": exhibit["id"],
        "label": exhibit["label"],
        "sha256": exhibit["sha256"],
        "merkle_root": exhibit["merkle_root"],
        "seq": exhibit["seq"],
        "head": _hash(exhibit["seq"]),
        "at": exhibit["filed_at"],
    }
    assert verify(io.BytesIO(MADE.data), receipts=[key(0).sign(true)]).intact
    for name, other in (("label", "B-9"), ("sha256", "00" * 32), ("merkle_root", "00" * 32)):
        report = verify(io.BytesIO(MADE.data), receipts=[key(0).sign({**true, name: other})])
        assert _places(report) == [("exhibits.json", f"B-1, {name}", "receipt")]
    gone = verify(io.BytesIO(MADE.data), receipts=[key(0).sign({**true, "exhibit": "gone"})])
    assert _places(gone) == [("exhibits.json", "exhibits", "receipt")]


def test_the_key_that_signed_is_among_the_published_ones_even_if_the_reader_has_it() -> None:
    keys = orjson.loads(MEMBERS[KEYS])["keys"]
    data = signed({**MEMBERS, KEYS: canonical({"keys": keys[:1]}), "seals.json": b"[]"}, 1, None, {})
    report = verify(io.BytesIO(data), key=MADE.pem)
    assert _places(report) == [(KEYS, "keys", "key")]


def test_an_exhibit_does_not_contradict_itself() -> None:
    listed = orjson.loads(MEMBERS["exhibits.json"])
    by_label = {one["label"]: n for n, one in enumerate(listed)}
    redacted, picture = by_label["B-2"], by_label["S-1"]

    def places(n: int, more: dict[str, bytes], **change: object) -> list[tuple[str, str, str]]:
        altered = [*listed[:n], {**listed[n], **change}, *listed[n + 1 :]]
        return _places(_verified({**MEMBERS, **more, "exhibits.json": canonical(altered)}))

    content = "exhibits/B-2/content"
    assert ("exhibits.json", "B-2, content", "redaction") in places(redacted, {content: b"x"}, content=content)
    assert ("exhibits.json", "B-2, sha256", "redaction") in places(redacted, {}, redacted_at=None)
    assert ("exhibits.json", "S-1, merkle_root", "malformed") in places(picture, {}, merkle_root="00" * 32)
    twice = canonical([*listed, listed[0]])
    assert _places(_verified({**MEMBERS, "exhibits.json": twice})) == [("exhibits.json", "B-1", "duplicate")]
