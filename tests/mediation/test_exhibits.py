"""Evidence over the API: filed once, committed to, quoted to the letter, and handed out as it came."""

from __future__ import annotations

import hashlib
import io
import json
import random
import tracemalloc
import uuid
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote as percent

import psycopg
import pytest
from PIL import Image
from sqlalchemy import func, select
from werkzeug.datastructures import FileStorage, MultiDict
from werkzeug.test import TestResponse

import evidence.store
from evidence import chain, leaves, merkle, sealing
from evidence.canonical import canonical
from evidence.commitments import opens
from evidence.store import BlobStore
from mediation.models import DocketEntry, Exhibit, ExhibitMessage, ExhibitMessageOpening
from mediation.operations import exhibits
from mediation.sealing import Sealer
from tests.mediation.story import CHAT, WAYS, Story, decision

MEBIBYTE = 1024 * 1024
PHOTO = {"kind": "photo"}


def image(form: str = "PNG", size: tuple[int, int] = (8, 8)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, (200, 30, 30)).save(out, form)
    return out.getvalue()


def archive(*members: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members:
            made.writestr(name, content)
    return out.getvalue()


def chat(*texts: str, **more: Any) -> dict[str, Any]:
    """A chat log in which the seller says these texts."""
    messages = [{"sender": {"role": "seller", "id": "shop-17", "name": "客服"}, "text": text} for text in texts]
    return {"kind": "chat_log", "timezone": "Asia/Shanghai", "messages": messages, **more}


def upload(
    story: Story, who: str, case: str, content: bytes, name: str = "photo.png", *, meta: Any = None, **more: str
) -> TestResponse:
    """A file with a plain meta, unless another is given; `more` are headers."""
    encoded = f"filename*=UTF-8''{percent(name)}"
    about = json.dumps(PHOTO if meta is None else meta).encode()
    raw = part('name="meta"', about) + part(f'name="file"; {encoded}', content) + END
    return multipart(story, case, raw, who, **more)


def multipart(story: Story, case: str, raw: bytes, who: str = "buyer", **more: str) -> TestResponse:
    """An upload exactly as it is written; `--XX` between parts."""
    headers = story.headers(who, **{"Content-Type": "multipart/form-data; boundary=XX"}, **more)
    return story.client.post(f"/v1/cases/{case}/exhibits", data=raw, headers=headers)


def part(disposition: str, content: bytes, more: str = "") -> bytes:
    return f"--XX\r\nContent-Disposition: form-data; {disposition}\r\n{more}\r\n".encode() + content + b"\r\n"


END = b"--XX--\r\n"


def file_chat(story: Story, who: str, case: str, body: Any = None) -> dict[str, Any]:
    response = story.post(who, f"/cases/{case}/exhibits", CHAT if body is None else body)
    assert response.status_code == 201, response.get_data(as_text=True)
    found: dict[str, Any] = response.get_json()
    return found


def blobs(story: Story) -> set[str]:
    """Every file in the blob store, by its place."""
    folder = Path(story.services.settings.blob_location.removeprefix("file://"))
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def rows(story: Story) -> tuple[int, ...]:
    with story.services.sessions.begin() as session:
        return tuple(
            session.scalar(select(func.count()).select_from(model)) or 0
            for model in (Exhibit, ExhibitMessage, ExhibitMessageOpening, DocketEntry)
        )


class Unchanged:
    """Nothing is filed in this block: no row, no blob."""

    def __init__(self, story: Story) -> None:
        self._story = story

    def __enter__(self) -> None:
        self._before = rows(self._story), blobs(self._story)

    def __exit__(self, *failed: object) -> None:
        if failed[0] is None:
            assert (rows(self._story), blobs(self._story)) == self._before


def refusal(response: TestResponse, status: int, code: str | None = None, field: str | None = None) -> dict[str, Any]:
    assert response.status_code == status, response.get_data(as_text=True)
    found: dict[str, Any] = response.get_json()
    assert code is None or found["code"] == code, found
    assert field is None or field in found["errors"], found
    return found


# --- labels, commitments, receipts -------------------------------------------------------------------------------


def test_labels_count_by_who_filed(shared: Story) -> None:
    case = shared.open()
    filed = [(who, file_chat(shared, who, case)["label"]) for who in (
        "buyer", "seller", "buyer", "mediator", "platform", "senior", "seller", "supervisor", "buyer"
    )]  # fmt: skip
    assert filed == [
        ("buyer", "B-1"), ("seller", "S-1"), ("buyer", "B-2"), ("mediator", "M-1"), ("platform", "P-1"),
        ("senior", "M-2"), ("seller", "S-2"), ("supervisor", "M-3"), ("buyer", "B-3"),
    ]  # fmt: skip
    listed = shared.get("buyer", f"/cases/{case}/exhibits").get_json()["items"]
    assert [one["label"] for one in listed] == [label for _, label in filed]
    other = shared.open()
    assert file_chat(shared, "buyer", other)["label"] == "B-1"


def test_the_root_is_rebuilt_from_the_messages_shown_and_the_openings_kept(shared: Story) -> None:
    texts = ["发货了吗", "亲，明天发货 🚚", "e\u0301 is not \u00e9", " spaces  and\ttabs\n", "👩‍👩‍👧"]
    body = chat(*texts)
    body["messages"][1] |= {"sent_at": "2026-11-05T10:01:00", "attachments": [{"name": "a.png", "sha256": "0" * 64}]}
    filed = file_chat(shared, "seller", shared.open(), body)
    shown = shared.get("buyer", f"/exhibits/{filed['id']}/messages").get_json()["items"]
    assert [one["text"] for one in shown] == texts
    with shared.services.sessions.begin() as session:
        kept = session.scalars(
            select(ExhibitMessage)
            .where(ExhibitMessage.exhibit_id == uuid.UUID(filed["id"]))
            .order_by(ExhibitMessage.seq)
        ).all()
        openings = session.scalars(
            select(ExhibitMessageOpening)
            .where(ExhibitMessageOpening.exhibit_id == uuid.UUID(filed["id"]))
            .order_by(ExhibitMessageOpening.seq)
        ).all()
    hashed = []
    for message, opening, seen in zip(kept, openings, shown, strict=True):
        sender = {"id": seen["sender"]["id"], "name": seen["sender"]["name"]}
        assert opens(message.c_text, bytes(opening.text_salt or b""), seen["text"])
        assert opens(message.c_sender, bytes(opening.sender_salt or b""), sender)
        assert opens(message.c_attachments, bytes(opening.attachments_salt or b""), seen["attachments"])
        hashed.append(
            leaves.leaf_of(
                {
                    "seq": seen["seq"],
                    "role": seen["sender"]["role"],
                    "sent_at": None if message.sent_at is None else chain.instant(message.sent_at),
                    "kind": seen["kind"],
                    "c_text": message.c_text.hex(),
                    "c_sender": message.c_sender.hex(),
                    "c_attachments": message.c_attachments.hex(),
                }
            )
        )
    assert merkle.root(hashed).hex() == filed["merkle_root"]
    assert shown[1]["sent_at"] == "2026-11-05T02:01:00Z"
    salts = {bytes(salt or b"") for one in openings for salt in (one.text_salt, one.sender_salt, one.attachments_salt)}
    assert len(salts) == 3 * len(texts) and {len(salt) for salt in salts} == {32}


def test_two_filings_of_one_chat_share_no_commitment_and_no_blob(shared: Story) -> None:
    case = shared.open()
    first, second = file_chat(shared, "buyer", case), file_chat(shared, "seller", case)
    assert first["sha256"] == second["sha256"]
    assert first["merkle_root"] != second["merkle_root"]
    held = {path for path in blobs(shared) if path.endswith(str(first["sha256"])) and case in path}
    assert len(held) == 2


def test_the_digest_is_that_of_what_is_handed_out_again(shared: Story) -> None:
    case = shared.open()
    logged = file_chat(shared, "buyer", case)
    content = shared.get("seller", f"/exhibits/{logged['id']}/content")
    assert content.data == canonical({**CHAT, "visibility": "parties"})
    pictured = upload(shared, "buyer", case, image()).get_json()
    downloaded = shared.get("seller", f"/exhibits/{pictured['id']}/content")
    assert downloaded.data == image()
    for filed, got in ((logged, content), (pictured, downloaded)):
        assert hashlib.sha256(got.data).hexdigest() == filed["sha256"]
        assert len(got.data) == filed["size"] == int(got.headers["Content-Length"])
        assert got.content_type == filed["media_type"]


def test_the_receipt_verifies_with_the_published_keys_and_holds_the_head(shared: Story) -> None:
    case = shared.open()
    keys = shared.get("buyer", "/keys").get_json()
    for send in (lambda: file_chat(shared, "buyer", case), lambda: upload(shared, "seller", case, image()).get_json()):
        filed = send()
        told = sealing.verify(filed["receipt"], keys)
        entries = shared.get("buyer", f"/cases/{case}/docket?limit=100").get_json()["items"]
        assert told["statement"] == "receipt" and told["case"] == case
        assert (told["exhibit"], told["label"], told["sha256"], told["merkle_root"]) == (
            filed["id"], filed["label"], filed["sha256"], filed["merkle_root"]
        )  # fmt: skip
        head = entries[-1]
        assert (told["seq"], told["head"], told["at"]) == (head["seq"], head["hash"], head["at"])
        assert "receipt" not in shared.get("buyer", f"/exhibits/{filed['id']}").get_json()
    forged = {"keys": [{**keys["keys"][0], "x": "A" * 43}]}
    with pytest.raises(sealing.BadSeal):
        sealing.verify(filed["receipt"], forged)


def test_the_docket_commits_to_the_digest_and_the_root_of_each_filing(shared: Story) -> None:
    case = shared.open()
    filed = file_chat(shared, "buyer", case, {**CHAT, "title": "our talk"})
    entry = shared.get("seller", f"/cases/{case}/docket").get_json()["items"][-1]
    values = {one["name"]: one["value"] for one in entry["openings"]}
    assert values["sha256"] == {"sha256": filed["sha256"]}
    assert values["title"] == {"title": "our talk"}
    assert values["facts"]["facts"]["merkle_root"] == filed["merkle_root"]
    assert values["facts"]["facts"]["messages"] == 2
    for one in entry["openings"]:
        if one["salt"] is not None:
            assert opens(bytes.fromhex(one["commitment"]), bytes.fromhex(one["salt"]), one["value"])
    whole = shared.get("seller", f"/cases/{case}/docket").get_json()["items"]
    bare = [{name: value for name, value in one.items() if name != "openings"} for one in whole]
    assert chain.breaches(bare, bare[-1]["hash"], case=case) == []


def test_oddities_of_a_chat_log_are_told_and_nothing_is_dropped(shared: Story) -> None:
    body = chat("one", "two", "two")
    body["messages"][0]["sent_at"] = "2026-11-05T10:02:00"
    body["messages"][1]["sent_at"] = body["messages"][2]["sent_at"] = "2026-11-05T10:01:00"
    filed = file_chat(shared, "seller", shared.open(), body)
    assert filed["messages"] == 3
    assert [(one["message_seq"], one["code"]) for one in filed["problems"]] == [
        (2, "time_runs_backwards"),
        (3, "time_runs_backwards"),
        (3, "repeats_the_message_before"),
    ]


# --- quotes ------------------------------------------------------------------------------------------------------


def relying_on(label: str, *quotes: dict[str, Any]) -> dict[str, Any]:
    finding = {
        "issue": "Was shipping promised?",
        "burden": "seller",
        "finding": "proven",
        "relied_on": [{"exhibit": label, "quotes": list(quotes)}],
    }
    return decision(findings=[finding])


TEXT = "亲，明天发货 🚚，一定明天发货！e\u0301 ≠ \u00e9  two  spaces\t👩‍👩‍👧 end"


@pytest.mark.parametrize(
    "quote",
    [
        "明天发货",
        "🚚",
        "，",
        "e\u0301",
        "\u00e9",
        "  two  ",
        "\t",
        "👩‍👩‍👧",
        "\u0301",
        "亲",
        "end",
        TEXT,
        " ",
        "发货 🚚，一定",
    ],
)
def test_a_quote_to_the_letter_stands_and_is_shown_from_its_position(shared: Story, quote: str) -> None:
    case = shared.at("under_review")
    file_chat(shared, "seller", case, chat("hello", TEXT))
    shared.do("mediator", case, "decide", relying_on("S-1", {"seq": 2, "text": quote}))
    shown = shared.get("seller", f"/cases/{case}/decisions").get_json()["items"][0]
    found = shown["findings"][0]["relied_on"][0]["quotes"][0]
    # Of several occurrences the first; counted in code points.
    assert found == {"seq": 2, "start": TEXT.index(quote), "length": len(quote), "text": quote}
    docket = shared.get("mediator", f"/cases/{case}/docket?limit=100").get_json()["items"]
    decided = next(one for one in docket if one["type"] == "decide")
    kept = next(one["value"] for one in decided["openings"] if one["name"] == "findings")
    assert kept["findings"][0]["relied_on"][0]["quotes"] == [
        {"seq": 2, "start": TEXT.index(quote), "length": len(quote)}
    ]


def test_what_differs_by_anything_at_all_does_not_stand_and_the_real_text_is_told(shared: Story) -> None:
    case = shared.at("under_review")
    file_chat(shared, "seller", case, chat("hello", TEXT))
    file_chat(shared, "buyer", case, chat("明天退款"))
    for quote in (
        "亲,明天发货", "明天发货!", "\u00e9  two spaces", "two spaces", "e\u0301\u0301", "END", "明天 发货",
        "明天发货  ", "👩👩👧", "明天发貨", TEXT + " ", "hello", "明天退款", "\u200b", "🚚\ufe0f", "明天发货\u3002",
    ):  # fmt: skip
        with Unchanged(shared):
            response = shared.act("mediator", case, "decide", relying_on("S-1", {"seq": 2, "text": quote}))
        found = refusal(response, 422, "quote_does_not_stand", "findings.0.relied_on.0.quotes.0.text")
        assert found["real_text"] == TEXT
    assert shared.state(case) == "under_review"


def test_the_one_quote_of_several_that_does_not_stand_is_named(shared: Story) -> None:
    case = shared.at("under_review")
    file_chat(shared, "seller", case, chat("hello", TEXT))
    body = relying_on("S-1", {"seq": 1, "text": "hello"}, {"seq": 2, "text": "亲"}, {"seq": 1, "text": "goodbye"})
    found = refusal(shared.act("mediator", case, "decide", body), 422, None, "findings.0.relied_on.0.quotes.2.text")
    assert found["real_text"] == "hello"


def test_a_quote_of_a_message_or_an_exhibit_that_is_not_there_is_refused(shared: Story) -> None:
    case, other = shared.at("under_review"), shared.at("under_review")
    file_chat(shared, "seller", case, chat("hello"))
    upload(shared, "buyer", case, image())
    file_chat(shared, "seller", other, chat("hello"))
    file_chat(shared, "seller", other, chat("only here"))
    for label, quote, field in (
        ("S-1", {"seq": 2, "text": "hello"}, "findings.0.relied_on.0.quotes.0.seq"),
        ("S-1", {"seq": 0, "text": "hello"}, "findings.0.relied_on.0.quotes.0.seq"),
        ("S-1", {"seq": 1, "text": ""}, "findings.0.relied_on.0.quotes.0.text"),
        ("B-1", {"seq": 1, "text": "hello"}, "findings.0.relied_on.0.quotes.0.seq"),
        ("S-2", {"seq": 1, "text": "only here"}, "findings.0.relied_on.0.exhibit"),
        ("s-1", {"seq": 1, "text": "hello"}, "findings.0.relied_on.0.exhibit"),
        ("S-01", {"seq": 1, "text": "hello"}, "findings.0.relied_on.0.exhibit"),
        ("%", {"seq": 1, "text": "hello"}, "findings.0.relied_on.0.exhibit"),
    ):
        response = shared.act("mediator", case, "decide", relying_on(label, quote))
        found = refusal(response, 422, None, field)
        assert "only here" not in json.dumps(found)
    shared.do("mediator", case, "decide", relying_on("S-1", {"seq": 1, "text": "hello"}))


# --- what is not admitted ----------------------------------------------------------------------------------------

NOISE = random.Random(7).randbytes(50_000)
LIES: dict[str, tuple[bytes, str, int, str]] = {
    "a JPEG that says PNG": (image("JPEG"), "photo.png", 415, "type_mismatch"),
    "a page that says image": (b"<html><script>alert(1)</script>", "photo.png", 415, "type_mismatch"),
    "a program that says image": (b"MZ" + NOISE, "photo.jpg", 415, "type_mismatch"),
    "a program": (b"\x7fELF" + NOISE, "tool", 415, "unsupported_type"),
    "a page": (b"<html></html>", "page.html", 415, "unsupported_type"),
    "a drawing that can run scripts": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "a.svg", 415, "unsupported_type"),
    "nothing": (b"", "photo.png", 422, "empty_file"),
    "half an image": (image(size=(300, 300))[:-20], "photo.png", 422, "truncated"),
    "half a JPEG": (image("JPEG", (300, 300))[:-20], "photo.jpg", 422, "truncated"),
    "an image with something behind it": (image() + b"<script>", "photo.png", 422, "trailing_bytes"),
    "noise that says PDF": (b"%PDF-1.7\n" + NOISE, "a.pdf", 422, "truncated"),
    "noise that says text": (NOISE, "a.txt", 422, "not_text"),
    "text with a NUL": (b"a\x00b", "a.txt", 422, "control_character"),
    "JSON that is none": (b"{", "a.json", 422, "not_parsed"),
    "JSON nested deeply": (b"[" * 100_000 + b"]" * 100_000, "a.json", 422, "nested_too_deeply"),
    "a zip bomb": (archive(("a.txt", bytes(8 * MEBIBYTE))), "a.zip", 413, "unpacks_too_large"),
    "an archive in an archive": (archive(("b.zip", archive(("a.txt", b"x")))), "a.zip", 422, "nested_archive"),
    "an archive that leads out of itself": (archive(("../../x", b"x")), "a.zip", 422, "unsafe_member_name"),
    "a path for a name": (image(), "../../etc/passwd.png", 422, "bad_file_name"),
    "a path of another kind": (image(), "..\\..\\boot.png", 422, "bad_file_name"),
    "a name that turns round": (image(), "\u202egnp.exe.png", 422, "bad_file_name"),
    "a name with DEL": (image(), "a\x7fb.png", 422, "bad_file_name"),
    "a name without end": (image(), "x" * 300 + ".png", 422, "bad_file_name"),
    "a name of blanks": (image(), "   ", 422, "bad_file_name"),
    "above ten megabytes": (b"a" * (10 * MEBIBYTE + 1), "a.txt", 413, "too_large"),
}


@pytest.mark.parametrize("what", LIES)
def test_a_file_that_is_not_what_it_may_be_is_refused_and_leaves_nothing(shared: Story, what: str) -> None:
    content, name, status, code = LIES[what]
    case = shared.open()
    with Unchanged(shared):
        refusal(upload(shared, "buyer", case, content, name), status, code)


@pytest.mark.parametrize(
    ("content", "name", "media_type"),
    [
        (image(), "photo.png", "image/png"),
        (image("JPEG"), "PHOTO.JPEG", "image/jpeg"),
        (image("GIF"), "a.gif", "image/gif"),
        (image("WEBP"), "a.webp", "image/webp"),
        (image(), "no extension", "image/png"),
        ("快递单号".encode("gb18030"), "单号.txt", "text/plain"),
        (b"a,b\n1,2\n", "a.csv", "text/csv"),
        (b'{"a": 1}', "a.json", "application/json"),
        (archive(("chat.txt", b"hello")), "export.zip", "application/zip"),
        (b"a" * (10 * MEBIBYTE), "whole.txt", "text/plain"),
        (b"x", "Robert'); DROP TABLE exhibits;--.txt", "text/plain"),
        (b"x", 'quote".txt', "text/plain"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_honest_file_is_filed_and_handed_out_safely(
    shared: Story, content: bytes, name: str, media_type: str
) -> None:
    case = shared.open()
    filed = upload(shared, "buyer", case, content, name)
    assert filed.status_code == 201, filed.get_data(as_text=True)
    assert filed.get_json()["media_type"] == media_type
    assert filed.headers["Location"] == f"/v1/exhibits/{filed.get_json()['id']}"
    got = shared.get("seller", f"/exhibits/{filed.get_json()['id']}/content")
    assert got.data == content
    assert got.content_type == media_type
    assert got.headers["Content-Disposition"].startswith('attachment; filename="B-1.')
    assert got.headers["X-Content-Type-Options"] == "nosniff"
    assert got.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert "no-store" in got.headers["Cache-Control"]
    head = shared.client.head(f"/v1/exhibits/{filed.get_json()['id']}/content", headers=shared.headers("seller"))
    assert head.headers["Content-Length"] == str(len(content)) and head.data == b""


@pytest.mark.parametrize(
    "disposition",
    [
        "filename*=UTF-8''a%0d%0aSet-Cookie%3a%20x%3d1.png",
        "filename*=UTF-8''%00.png",
        "filename*=UTF-8''..%2f..%2fetc%2fpasswd.png",
        'filename="/etc/passwd.png"',
        "filename*=UTF-8''%e2%80%ae.png",
    ],
)
def test_a_file_name_reaches_neither_a_path_nor_a_header(shared: Story, disposition: str) -> None:
    case = shared.open()
    raw = part('name="meta"', json.dumps(PHOTO).encode()) + part(f'name="file"; {disposition}', image()) + b"--XX--\r\n"
    with Unchanged(shared):
        response = multipart(shared, case, raw)
        refusal(response, 422, "bad_file_name")
    assert "Set-Cookie" not in response.headers


META, FILE = part('name="meta"', json.dumps(PHOTO).encode()), part('name="file"; filename="a.png"', image())
BAD_PARTS: dict[str, tuple[bytes, int, str | None]] = {
    "no file": (META + END, 422, "file"),
    "no meta": (FILE + END, 422, "meta"),
    "no parts": (END, 422, "file"),
    "no bytes": (b"", 422, "file"),
    "two files": (META + FILE + FILE + END, 422, "file"),
    "two metas": (META + META + FILE + END, 422, "meta"),
    "a part too many": (META + FILE + part('name="other"', b"x") + END, 422, "other"),
    "another file too many": (META + FILE + part('name="more"; filename="b.png"', image()) + END, 422, "more"),
    "meta as a file": (part('name="meta"; filename="m.json"', b"{}") + FILE + END, 422, "meta"),
    "a file without a name": (META + part('name="file"', image()) + END, 422, "file"),
    "an empty name": (META + part('name="file"; filename=""', image()) + END, 422, None),
    "parts without end": (META + b"".join(part(f'name="p{n}"', b"x") for n in range(50)) + END, 413, None),
    "cut off": ((META + FILE)[:-40], 422, None),
    "no boundary in it": (b"hello", 422, None),
    "a huge meta": (part('name="meta"', b" " * 600_000) + FILE + END, 413, None),
    "a huge header of a part": (part(f'name="meta"; x="{"y" * 100_000}"', b"{}") + FILE + END, 422, None),
    "an unknown charset": (
        part('name="meta"', b"{}", "Content-Type: text/plain; charset=x\r\n") + FILE + END,
        422,
        None,
    ),
}


@pytest.mark.parametrize("what", BAD_PARTS)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Werkzeug drops the file it was reading
def test_an_upload_in_the_wrong_parts_is_refused_and_leaves_nothing(shared: Story, what: str) -> None:
    raw, status, field = BAD_PARTS[what]
    case = shared.open()
    with Unchanged(shared):
        found = multipart(shared, case, raw)
        assert found.status_code in ({status, 413} if field is None else {status}), found.get_data(as_text=True)
        if field:
            refusal(found, status, "invalid_body", field)


@pytest.mark.parametrize("rest", ["", "; boundary=", "; boundary=\xff", "; boundary=" + "x" * 10_000])
def test_an_upload_without_a_usable_boundary_is_refused(shared: Story, rest: str) -> None:
    case = shared.open()
    with Unchanged(shared):
        headers = shared.headers("buyer", **{"Content-Type": f"multipart/form-data{rest}"})
        response = shared.client.post(f"/v1/cases/{case}/exhibits", data=META + FILE + END, headers=headers)
        assert response.status_code in (400, 415, 422), response.get_data(as_text=True)


@pytest.mark.parametrize(
    ("meta", "status", "field"),
    [
        ("", 422, "meta"),
        ("not JSON", 400, None),
        ("[]", 422, "meta"),
        ("null", 422, "meta"),
        ('{"kind": "photo", "surprise": 1}', 422, "meta.surprise"),
        ('{"title": "x"}', 422, "meta.kind"),
        ('{"kind": "king"}', 422, "meta.kind"),
        ('{"kind": ["photo"]}', 422, "meta.kind"),
        ('{"kind": "photo", "title": "a\\u0000b"}', 422, "meta.title"),
        ('{"kind": "photo", "title": "\\ud800"}', 400, None),
        ('{"kind": "photo", "visibility": "public"}', 422, "meta.visibility"),
        ('{"kind": "photo", "format": "auto"}', 422, "meta.format"),
        ('{"kind": "photo", "participants": {"x": "buyer"}}', 422, "meta.participants"),
        ('{"kind": "chat_log"}', 422, "meta.format"),
        ('{"kind": "photo", "timezone": "Asia/Shanghai"}', 422, "meta.timezone"),
        ('{"kind": "photo", "date_order": "dmy"}', 422, "meta.date_order"),
        ("[" * 100_000, 400, None),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_meta_that_cannot_be_taken_is_refused_by_name(
    shared: Story, meta: str, status: int, field: str | None
) -> None:
    case = shared.open()
    raw = part('name="meta"', meta.encode()) + FILE + END
    with Unchanged(shared):
        response = multipart(shared, case, raw)
        if field == "meta":
            found = refusal(response, status)
            assert any(name.startswith("meta") for name in found["errors"]), found
        else:
            refusal(response, status, None, field)


def test_an_upload_above_fifty_megabytes_is_413_before_it_is_read(shared: Story) -> None:
    case = shared.open()
    with Unchanged(shared):
        response = shared.client.post(
            f"/v1/cases/{case}/exhibits",
            data=META,
            headers=shared.headers("buyer", **{"Content-Type": "multipart/form-data; boundary=XX"}),
            environ_overrides={"CONTENT_LENGTH": str(50 * MEBIBYTE + 1)},
        )
        refusal(response, 413)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # Werkzeug drops the file it was reading
def test_an_upload_of_unknown_length_is_cut_off_at_fifty_megabytes(shared: Story) -> None:
    case = shared.open()

    class Endless(io.RawIOBase):
        given = 0

        def readable(self) -> bool:
            return True

        def tell(self) -> int:
            return 0

        def seek(self, offset: int, whence: int = 0) -> int:
            return 0

        def readinto(self, buffer: Any) -> int:
            start = META + b'--XX\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'
            data = (start if not self.given else b"").ljust(len(buffer), b"a")[: len(buffer)]
            buffer[: len(data)] = data
            self.given += len(data)
            return len(data)

    endless = Endless()
    with Unchanged(shared):
        response = shared.client.post(
            f"/v1/cases/{case}/exhibits",
            input_stream=endless,  # type: ignore[arg-type]
            headers=shared.headers("buyer", **{"Content-Type": "multipart/form-data; boundary=XX"}),
            environ_overrides={"CONTENT_LENGTH": "", "wsgi.input_terminated": True},
        )
        refusal(response, 413)
    assert endless.given < 52 * MEBIBYTE


def test_an_upload_of_ten_megabytes_is_never_held_in_memory_whole(
    shared: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The blob store apart, which says of itself that it holds a blob once: parsing, judging, answering do not."""
    monkeypatch.setattr(BlobStore, "put", lambda *_: None)
    case = shared.open()
    content = b"line of text\n" * (10 * MEBIBYTE // 13)
    raw = (
        META
        + part('name="file"; filename="a.txt"', b"")[:-2]
        + content
        + b"\r\n"
        + END
    )  # fmt: skip
    stream = io.BytesIO(raw)
    headers = shared.headers("buyer", **{"Content-Type": "multipart/form-data; boundary=XX"})
    tracemalloc.start()
    try:
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        response = shared.client.post(
            f"/v1/cases/{case}/exhibits", input_stream=stream, headers=headers, content_length=len(raw)
        )
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert response.status_code == 201, response.get_data(as_text=True)
    assert peak - before < 3 * MEBIBYTE


# --- the end of filing, and failures half-way --------------------------------------------------------------------


@pytest.mark.parametrize("state", ["closed", "refunded"])
def test_nothing_is_filed_after_the_end(shared: Story, state: str) -> None:
    case = shared.at(state)
    for who in ("buyer", "seller", "mediator", "platform"):
        with Unchanged(shared):
            refusal(shared.post(who, f"/cases/{case}/exhibits", CHAT), 409, "case_final")
            refusal(upload(shared, who, case, image()), 409, "case_final")


def test_evidence_is_welcome_until_the_end(shared: Story) -> None:
    for state in WAYS.keys() - {"refunded", "closed"}:
        case = shared.at(state, paid=60_000 if state == "pending" else 12_900)
        assert file_chat(shared, "buyer", case)["label"] == "B-1", state


# --- what was asked for ------------------------------------------------------------------------------------------


def asked(story: Story, case: str, side: str) -> dict[str, Any]:
    """What answers the item that a side was asked for."""
    [request] = story.get("mediator", f"/cases/{case}/evidence-requests").get_json()["items"]
    return {"request": request["id"], "item": next(one["item"] for one in request["items"] if one["side"] == side)}


def statuses(story: Story, case: str) -> tuple[str, dict[str, tuple[str, str | None]]]:
    """The request's status, and by side the item's with the exhibit that answers it."""
    [request] = story.get("buyer", f"/cases/{case}/evidence-requests").get_json()["items"]
    return request["status"], {one["side"]: (one["status"], one["exhibit"]) for one in request["items"]}


def test_what_was_asked_for_is_answered_by_exhibits_and_the_case_goes_back_by_itself(shared: Story) -> None:
    case = shared.at("awaiting_evidence")
    of_buyer, of_seller = asked(shared, case, "buyer"), asked(shared, case, "seller")
    first = file_chat(shared, "buyer", case, {**CHAT, "answers": of_buyer})
    assert (first["answers"], first["late"]) == (of_buyer, False)
    assert statuses(shared, case) == ("open", {"buyer": ("answered", "B-1"), "seller": ("open", None)})
    waits = shared.get("buyer", f"/cases/{case}").get_json()
    assert (waits["state"], waits["waiting_on"]) == ("awaiting_evidence", "seller")
    second = upload(shared, "seller", case, image(), meta={**PHOTO, "answers": of_seller})
    assert second.status_code == 201, second.get_json()
    assert statuses(shared, case) == ("complete", {"buyer": ("answered", "B-1"), "seller": ("answered", "S-1")})
    assert shared.state(case) == "under_review"
    for exhibit, answers in ((first, of_buyer), (second.get_json(), of_seller)):
        assert shared.get("mediator", f"/exhibits/{exhibit['id']}").get_json()["answers"] == answers


def test_what_nobody_asked_for_is_filed_and_answers_nothing(shared: Story) -> None:
    case = shared.at("awaiting_evidence")
    assert file_chat(shared, "buyer", case)["answers"] is None
    assert statuses(shared, case) == ("open", {"buyer": ("open", None), "seller": ("open", None)})
    assert shared.state(case) == "awaiting_evidence"


@pytest.mark.parametrize("who", ["buyer", "mediator", "platform"])
def test_an_item_is_answered_by_the_side_that_was_asked_and_once(shared: Story, who: str) -> None:
    case = shared.at("awaiting_evidence")
    answers = asked(shared, case, "seller")
    with Unchanged(shared):
        body = {**CHAT, "answers": answers}
        refusal(shared.post(who, f"/cases/{case}/exhibits", body), 422, "item_not_open", "answers")
        refusal(upload(shared, who, case, image(), meta={**PHOTO, "answers": answers}), 422, "item_not_open")
    file_chat(shared, "seller", case, {**CHAT, "answers": answers})
    with Unchanged(shared):
        again = shared.post("seller", f"/cases/{case}/exhibits", {**CHAT, "answers": answers})
        refusal(again, 422, "item_not_open", "answers")


@pytest.mark.parametrize("item", [3, 99, 10_000])
def test_an_item_that_nobody_asked_for_cannot_be_answered(shared: Story, item: int) -> None:
    case = shared.at("awaiting_evidence")
    there = asked(shared, case, "buyer")
    with Unchanged(shared):
        for answers in ({**there, "item": item}, {**there, "request": str(uuid.uuid4())}):
            refused = shared.post("buyer", f"/cases/{case}/exhibits", {**CHAT, "answers": answers})
            refusal(refused, 422)


@pytest.mark.parametrize("end", ["end_evidence_request", "waiver"])
def test_an_item_that_is_not_wanted_any_more_cannot_be_answered(shared: Story, end: str) -> None:
    case = shared.at("awaiting_evidence")
    answers = asked(shared, case, "buyer")
    if end == "waiver":
        path = f"/cases/{case}/evidence-requests/{answers['request']}/items/{answers['item']}/waiver"
        assert shared.post("buyer", path).status_code == 200
    else:
        shared.do("mediator", case, end)
    with Unchanged(shared):
        body = {**CHAT, "answers": answers}
        refusal(shared.post("buyer", f"/cases/{case}/exhibits", body), 422, "item_not_open", "answers")
    assert file_chat(shared, "buyer", case)["late"] is False


def test_a_side_files_a_hundred_exhibits_and_no_more(shared: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred stands for the rule; five are filed."""
    assert exhibits.EXHIBITS_A_SIDE == 100
    monkeypatch.setattr(exhibits, "EXHIBITS_A_SIDE", 5)
    case = shared.open()
    for n in range(5):
        assert file_chat(shared, "mediator" if n % 2 else "senior", case, chat("x"))["label"] == f"M-{n + 1}"
    with Unchanged(shared):
        refusal(shared.post("mediator", f"/cases/{case}/exhibits", CHAT), 409, "too_many_exhibits")
        refusal(upload(shared, "supervisor", case, image()), 409, "too_many_exhibits")
    assert file_chat(shared, "buyer", case)["label"] == "B-1"


def test_a_filing_that_meets_the_end_of_the_case_leaves_nothing(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """The case is closed between the judging of the file and the locking of the case."""
    case = story.open()
    put = BlobStore.put

    def close_and_put(self: BlobStore, key: str, file: Any) -> None:
        put(self, key, file)
        story.do("buyer", case, "withdraw")

    monkeypatch.setattr(BlobStore, "put", close_and_put)
    for file in (
        lambda: upload(story, "seller", case, image()),
        lambda: story.post("seller", f"/cases/{case}/exhibits", CHAT),
    ):
        refusal(file(), 409, "case_final")
    assert blobs(story) == set() and rows(story)[:3] == (0, 0, 0)


def _fails(*args: Any, **kwargs: Any) -> Any:
    raise OSError("no space left on device")


def test_a_blob_store_that_fails_leaves_no_row(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    case = story.open()
    monkeypatch.setattr(BlobStore, "put", _fails)
    with Unchanged(story):
        for response in (upload(story, "buyer", case, image()), story.post("buyer", f"/cases/{case}/exhibits", CHAT)):
            refusal(response, 500, "internal_error")
            assert "space" not in response.get_data(as_text=True)
    monkeypatch.undo()
    assert upload(story, "buyer", case, image()).status_code == 201


def test_a_blob_that_was_written_but_not_brought_to_the_disk_is_taken_away(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = story.open()
    with Unchanged(story):
        monkeypatch.setattr(evidence.store, "_settle", _fails)
        refusal(upload(story, "buyer", case, image()), 500)
        refusal(story.post("buyer", f"/cases/{case}/exhibits", CHAT), 500)


@pytest.mark.parametrize(
    "send",
    [
        lambda story, case: upload(story, "buyer", case, image()),
        lambda story, case: story.post("buyer", f"/cases/{case}/exhibits", CHAT),
    ],
    ids=["file", "chat"],
)
def test_an_error_after_the_rows_were_written_leaves_neither_rows_nor_blob(
    story: Story, monkeypatch: pytest.MonkeyPatch, send: Callable[[Story, str], TestResponse]
) -> None:
    case = story.open()
    monkeypatch.setattr(Sealer, "receipt", _fails)
    with Unchanged(story):
        refusal(send(story, case), 500)
    monkeypatch.undo()
    assert send(story, case).get_json()["label"] == "B-1"


def test_a_commit_whose_answer_is_lost_does_not_cost_the_evidence(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server committed and the connection broke: the exhibit is on file, so its bytes must be there."""
    case = story.open()
    commit, receipt = psycopg.Connection.commit, Sealer.receipt
    happened: list[str] = []

    def note_receipt(self: Sealer, *args: Any, **kwargs: Any) -> str:
        happened.append("filing")
        return receipt(self, *args, **kwargs)

    def commit_and_lose(self: psycopg.Connection[Any]) -> None:
        commit(self)
        if happened == ["filing"]:
            happened.append("lost")
            raise psycopg.OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(Sealer, "receipt", note_receipt)
    monkeypatch.setattr(psycopg.Connection, "commit", commit_and_lose)
    response = upload(story, "buyer", case, image())
    monkeypatch.undo()
    assert happened == ["filing", "lost"] and response.status_code == 503
    filed = story.get("buyer", f"/cases/{case}/exhibits").get_json()["items"]
    assert [one["label"] for one in filed] == ["B-1"]
    assert story.get("buyer", f"/exhibits/{filed[0]['id']}/content").data == image()


def test_a_blob_that_is_gone_is_our_fault_and_its_key_is_not_told(story: Story) -> None:
    case = story.open()
    filed = upload(story, "buyer", case, image()).get_json()
    (key,) = blobs(story)
    story.services.blobs.delete(key)
    response = story.get("buyer", f"/exhibits/{filed['id']}/content")
    assert response.status_code in (404, 410, 500, 503)
    assert str(filed["sha256"]) not in response.get_data(as_text=True)


def test_a_refused_upload_is_not_read_by_somebody_who_may_not_file(shared: Story) -> None:
    """Strangers cannot make the service take in megabytes."""

    class Unread(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise AssertionError("it was read")

    case = shared.open()
    for who, status in (("other_buyer", 404), ("admin", 403)):
        response = shared.client.post(
            f"/v1/cases/{case}/exhibits",
            input_stream=Unread(META + FILE + END),
            headers=shared.headers(who, **{"Content-Type": "multipart/form-data; boundary=XX"}),
        )
        assert response.status_code == status


def test_the_claimed_type_of_a_part_counts_for_nothing(shared: Story) -> None:
    case = shared.open()
    parts = MultiDict(
        [
            ("meta", json.dumps(PHOTO)),
            ("file", FileStorage(io.BytesIO(image()), "photo.png", "file", "text/html")),
        ]
    )
    response = shared.client.post(f"/v1/cases/{case}/exhibits", data=parts, headers=shared.headers("buyer"))
    assert response.get_json()["media_type"] == "image/png"
