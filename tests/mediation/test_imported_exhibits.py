"""Chat logs as files: exported, copied or zipped, filed over REST, quoted from and proved."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfWriter
from werkzeug.test import TestResponse

from evidence import sealing
from evidence.leaves import leaf_of
from evidence.merkle import verify_inclusion
from tests.evidence.test_importers import SAMPLES, packed
from tests.mediation.story import Story, decision

COPIED = """灯塔下的猫
2026-11-02 08:05:09
壶底漏水怎么办
已读
青山小店:阿木2026-11-02 08:06:00
是我们发错了，明天补发
未读
"""
ROOT = Path(__file__).parents[2]
MEBIBYTE = 1024 * 1024
PEOPLE = {"灯塔下的猫": "buyer", "青山小店:阿木": "seller"}


def file_log(story: Story, case: str, content: bytes, name: str, who: str = "buyer", **meta: Any) -> TestResponse:
    data = {
        "meta": json.dumps({"kind": "chat_log", **meta}),
        "file": (io.BytesIO(content), name),
    }
    return story.client.post(f"/v1/cases/{case}/exhibits", data=data, headers=story.headers(who))


def filed(response: TestResponse) -> dict[str, Any]:
    assert response.status_code == 201, response.get_data(as_text=True)
    answer: dict[str, Any] = response.get_json()
    return answer


def assert_proved(story: Story, exhibit: dict[str, Any], seq: int) -> None:
    """The message is in the tree whose root the receipt of the filing is signed over."""
    receipt = sealing.verify(exhibit["receipt"], story.get("buyer", "/keys").get_json())
    proof = story.get("buyer", f"/exhibits/{exhibit['id']}/proof?seq={seq}").get_json()
    path = [bytes.fromhex(part) for part in proof["path"]]
    assert proof["size"] == exhibit["messages"]
    root = bytes.fromhex(receipt["merkle_root"])
    assert verify_inclusion(leaf_of(proof["leaf"]), seq - 1, proof["size"], path, root)


def test_a_copied_conversation_is_filed_quoted_and_proved(shared: Story) -> None:
    case = shared.at("under_review")
    exhibit = filed(file_log(shared, case, COPIED.encode(), "chat.txt", timezone="Asia/Shanghai", participants=PEOPLE))
    assert (exhibit["kind"], exhibit["messages"], exhibit["media_type"]) == ("chat_log", 2, "text/plain")
    assert exhibit["sha256"] == hashlib.sha256(COPIED.encode()).hexdigest()
    assert exhibit["problems"] == []
    messages = shared.get("seller", f"/exhibits/{exhibit['id']}/messages").get_json()["items"]
    assert [(one["sender"]["role"], one["sent_at"], one["text"]) for one in messages] == [
        ("buyer", "2026-11-02T00:05:09Z", "壶底漏水怎么办"),
        ("seller", "2026-11-02T00:06:00Z", "是我们发错了，明天补发"),
    ]
    assert shared.get("seller", f"/exhibits/{exhibit['id']}/content").data == COPIED.encode()
    receipt = sealing.verify(exhibit["receipt"], shared.get("buyer", "/keys").get_json())
    assert (receipt["sha256"], receipt["merkle_root"]) == (exhibit["sha256"], exhibit["merkle_root"])
    quote = {"seq": 2, "text": "是我们发错了"}
    finding = {
        "issue": "who erred",
        "burden": "seller",
        "finding": "proven",
        "rules": [],
        "relied_on": [{"exhibit": exhibit["label"], "quotes": [quote]}],
        "rejected": [],
    }
    shared.do("mediator", case, "decide", decision(findings=[finding]))
    shown = shared.get("buyer", f"/cases/{case}/decisions").get_json()["items"][0]["findings"][0]
    assert shown["relied_on"][0]["quotes"] == [{"seq": 2, "start": 0, "length": 6, "text": "是我们发错了"}]
    assert_proved(shared, exhibit, 2)


@pytest.mark.parametrize("encoding", ["utf-16", "gb18030"])
def test_a_log_in_another_encoding_is_read_and_kept_as_it_was_filed(shared: Story, encoding: str) -> None:
    case = shared.open()
    content = COPIED.encode(encoding)
    exhibit = filed(file_log(shared, case, content, "chat.txt", timezone="Asia/Shanghai", participants=PEOPLE))
    assert exhibit["messages"] == 2
    assert shared.get("buyer", f"/exhibits/{exhibit['id']}/content").data == content


@pytest.mark.parametrize(
    ("format", "name"), [("slack", "export.zip"), ("whatsapp", "media.zip"), ("telegram", "chat.json")]
)
def test_exports_of_programs_are_filed_as_they_come(shared: Story, format: str, name: str) -> None:
    case = shared.open()
    content = packed(SAMPLES / format / name)
    expected = json.loads((SAMPLES / format / f"{name.split('.', maxsplit=1)[0]}.expected.json").read_text("utf-8"))
    meta = {"timezone": expected["timezone"]} if expected["timezone"] else {}
    exhibit = filed(file_log(shared, case, content, name, **meta, participants=expected["participants"]))
    messages = shared.get("mediator", f"/exhibits/{exhibit['id']}/messages").get_json()["items"]
    assert [one["text"] for one in messages] == [one["text"] for one in expected["messages"]]
    assert [(one["message_seq"], one["code"]) for one in exhibit["problems"]] == [
        (one["seq"], one["code"]) for one in expected["problems"]
    ]


def _pdf() -> bytes:
    out, writer = io.BytesIO(), PdfWriter()
    writer.add_blank_page(100, 100)
    writer.write(out)
    return out.getvalue()


PDF = _pdf()
REFUSALS: dict[str, tuple[bytes, str, dict[str, Any], str, str]] = {
    "no zone": (COPIED.encode(), "c.txt", {}, "timezone_needed", "meta.timezone"),
    "a zone that is none": (COPIED.encode(), "c.txt", {"timezone": "Mars/Base"}, "unknown_timezone", "meta.timezone"),
    "a path for a zone": (COPIED.encode(), "c.txt", {"timezone": "../etc/passwd"}, "unknown_timezone", "meta.timezone"),
    "nobody of that name": (
        COPIED.encode(),
        "c.txt",
        {"timezone": "Asia/Shanghai", "participants": {"灯塔下的狗": "buyer"}},
        "unknown_participant",
        "meta.participants",
    ),
    "a format there is not": (COPIED.encode(), "c.txt", {"format": "fax"}, "unknown_format", "meta.format"),
    "another zone than the file's own": (
        json.dumps({"timezone": "UTC", "messages": [{"sender": {"role": "buyer", "name": "x"}, "text": "y"}]}).encode(),
        "c.json",
        {"timezone": "Asia/Shanghai"},
        "timezone_does_not_fit",
        "meta.timezone",
    ),
    "a letter on paper": (PDF, "c.pdf", {}, "format_not_recognised", "meta.format"),
    "another format": (COPIED.encode(), "c.txt", {"format": "slack"}, "not_this_format", "meta.format"),
    "no conversation": (b"dear diary\n", "c.txt", {}, "format_not_recognised", "meta.format"),
    "a picture of one": (b"\x89PNG\r\n\x1a\n", "c.txt", {}, "type_mismatch", "file"),
    "dates in no order": (
        b"03/04/26, 09:12 - Ana: hi\n",
        "c.txt",
        {"timezone": "Europe/Madrid"},
        "date_order_needed",
        "meta.date_order",
    ),
    "nobody's words": (
        b"--- Log opened Thu Nov 05 23:58:00 2026\n10:00 -!- a joins\n",
        "c.txt",
        {"timezone": "UTC"},
        "no_messages",
        "file",
    ),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_a_log_that_cannot_be_taken_as_it_is_stated_is_refused_by_name(shared: Story, what: str) -> None:
    content, name, meta, code, field = REFUSALS[what]
    case = shared.open()
    response = file_log(shared, case, content, name, **meta)
    status = 415 if code == "type_mismatch" else 422
    body = response.get_json()
    assert response.status_code == status, body
    assert code in json.dumps(body), body
    assert field in body["errors"], body
    assert "灯塔" not in json.dumps(body, ensure_ascii=False)
    assert shared.get("buyer", f"/cases/{case}/exhibits").get_json()["items"] == []


def test_what_is_said_of_sides_must_be_a_side(shared: Story) -> None:
    case = shared.open()
    for people in ({"x": "king"}, {"x": ["buyer"]}, ["x"], {"": "buyer"}, {str(n): "staff" for n in range(1_001)}):
        response = file_log(shared, case, COPIED.encode(), "c.txt", timezone="Asia/Shanghai", participants=people)
        assert response.status_code == 422, response.get_data(as_text=True)
        # By whose name it is stays out of it: errors are kept where erasures do not look.
        assert list(response.get_json()["errors"]) == ["meta.participants"]


def test_a_retry_gets_the_same_exhibit_and_the_same_receipt(shared: Story) -> None:
    case = shared.open()

    def post() -> TestResponse:
        data = {
            "meta": json.dumps({"kind": "chat_log", "timezone": "Asia/Shanghai"}),
            "file": (io.BytesIO(COPIED.encode()), "c.txt"),
        }
        headers = shared.headers("buyer", **{"Idempotency-Key": f"once-{case}"})
        return shared.client.post(f"/v1/cases/{case}/exhibits", data=data, headers=headers)

    first, second = post(), post()
    assert second.headers["Idempotency-Replayed"] == "true"
    assert first.get_json() == second.get_json()
    assert len(shared.get("buyer", f"/cases/{case}/exhibits").get_json()["items"]) == 1


def test_a_zip_bomb_called_a_chat_is_refused(shared: Story) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("_chat.txt", b"\0" * 50_000_000)
    response = file_log(shared, shared.open(), out.getvalue(), "x.zip", timezone="UTC")
    assert response.status_code == 413


def test_what_a_slack_export_says_is_quoted_and_proved(shared: Story) -> None:
    case = shared.at("under_review")
    content = packed(SAMPLES / "slack" / "export.zip")
    exhibit = filed(file_log(shared, case, content, "export.zip", "seller", participants={"Ina K": "buyer"}))
    assert (exhibit["label"], exhibit["media_type"]) == ("S-1", "application/zip")
    finding = {
        "issue": "who was early",
        "burden": "seller",
        "finding": "proven",
        "rules": [],
        "relied_on": [{"exhibit": "S-1", "quotes": [{"seq": 5, "text": "*here* <@U2>"}]}],
        "rejected": [],
    }
    shared.do("mediator", case, "decide", decision(findings=[finding]))
    shown = shared.get("buyer", f"/cases/{case}/decisions").get_json()["items"][0]["findings"][0]
    assert shown["relied_on"][0]["quotes"] == [{"seq": 5, "start": 12, "length": 12, "text": "*here* <@U2>"}]
    assert_proved(shared, exhibit, 5)


def test_zones_orders_formats_and_people_are_for_chat_logs_alone(shared: Story) -> None:
    case = shared.open()
    stated = {"format": "auto", "timezone": "UTC", "date_order": "dmy", "participants": {"x": "buyer"}}
    response = file_log(shared, case, b"a letter\n", "letter.txt", kind="other", **stated)
    assert response.status_code == 422
    assert sorted(response.get_json()["errors"]) == [f"meta.{name}" for name in sorted(stated)]


def test_what_json_can_spell_and_no_text_can_hold_is_kept_as_it_is_spelt(shared: Story) -> None:
    said = {"type": "message", "date_unixtime": "1793869260", "from": "Kim"}
    raw = json.dumps({"messages": [{**said, "text": text} for text in ("fine", "a\0b", "half \ud83d")]})
    exhibit = filed(file_log(shared, shared.open(), raw.encode(), "chat.json", participants={"Kim": "buyer"}))
    assert [(one["message_seq"], one["code"]) for one in exhibit["problems"]] == [(2, "unreadable"), (3, "unreadable")]
    messages = shared.get("buyer", f"/exhibits/{exhibit['id']}/messages").get_json()["items"]
    assert [one["kind"] for one in messages] == ["text", "system", "system"]
    assert "a\\u0000b" in messages[1]["text"] and "half \\ud83d" in messages[2]["text"]


def test_how_a_chat_log_is_described_stands_in_the_description_of_the_api(shared: Story) -> None:
    spec = shared.client.get("/v1/openapi.json").get_json()
    body = spec["paths"]["/v1/cases/{case_id}/exhibits"]["post"]["requestBody"]["content"]["multipart/form-data"]
    name = body["schema"]["properties"]["meta"]["$ref"].rpartition("/")[2]
    described = spec["components"]["schemas"][name]["properties"]
    of_all, of_chat_logs = {"kind", "title", "visibility", "answers"}, {"format", "timezone", "date_order"}
    assert set(described) == {*of_all, *of_chat_logs, "participants"}
    assert body["encoding"] == {"meta": {"contentType": "application/json"}}


# --- size --------------------------------------------------------------------------------------------------------

FILING = """
import json, re, sys
from pathlib import Path
from mediation import create_app
from tests.mediation.conftest import make_services, make_settings
from tests.mediation.story import Story
# Not getrusage, whose figure a process inherits from the one that started it.
def highest():
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) // 1024
url, home, case, path, meta = sys.argv[1:]
settings = make_settings(url, Path(home))
services = make_services(settings)
story = Story(create_app(settings, services), services)
before = highest()
with open(path, "rb") as stream:
    data = {"meta": meta, "file": (stream, Path(path).name)}
    answer = story.client.post(f"/v1/cases/{case}/exhibits", data=data, headers=story.headers("buyer"))
after = highest()
print(json.dumps([answer.status_code, before, after, {**answer.get_json(), "problems": []}]))
"""


def file_in_a_process(story: Story, path: Path, **meta: Any) -> tuple[int, int, int, dict[str, Any]]:
    """File it over the API in a process of its own: status, its memory before and at its highest in MB, the answer."""
    settings = story.services.settings
    arguments = [str(settings.database_url), str(settings.home), story.open(), str(path)]
    done = subprocess.run(
        [sys.executable, "-c", FILING, *arguments, json.dumps({"kind": "chat_log", **meta})],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    status, before, after, answer = json.loads(done.stdout.splitlines()[-1])
    return status, before, after, answer


def test_a_log_of_a_hundred_thousand_messages_is_filed_within_500_mb(shared: Story, tmp_path: Path) -> None:
    path = tmp_path / "chat.txt"
    with path.open("w", encoding="utf-8") as out:
        for n in range(100_000):
            day, who = f"2026-11-{n // 5_000 + 1:02}, {n // 60 % 24:02}:{n % 60:02}", "Ana" if n % 2 else "Shop"
            out.write(f"[{day}] {who}: message {n} 您好亲爱的顾客，您的包裹已经发出 \n")
    assert 8 * MEBIBYTE < path.stat().st_size < 10 * MEBIBYTE
    status, before, after, answer = file_in_a_process(shared, path, timezone="UTC")
    assert (status, answer["messages"]) == (201, 100_000)
    assert after < 500, f"{before} MB before, {after} MB at the highest"
    assert_proved(shared, answer, 100_000)


class Made(io.RawIOBase):
    """A body of an upload that is made while it is read, so that nobody holds all of it."""

    def __init__(self, size: int) -> None:
        form = "--XX\r\nContent-Disposition: form-data; name="
        meta = f'{form}"meta"\r\n\r\n{{"kind": "chat_log"}}\r\n{form}"file"; filename="chat.txt"\r\n\r\n'
        lines, end = b"line of text\n" * 5_000, b"\r\n--XX--\r\n"
        count = (size - len(meta) - len(end)) // len(lines)
        self.size = len(meta) + count * len(lines) + len(end)
        self._parts = itertools.chain([meta.encode()], itertools.repeat(lines, count), [end])
        self._part = b""
        self._at = 0

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        # The client finds out by this how long the body is; it is read from the start all the same.
        self._at = self.size if whence == io.SEEK_END else offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        self._part = self._part or next(self._parts, b"")
        taken, self._part = self._part[: len(buffer)], self._part[len(buffer) :]
        buffer[: len(taken)] = taken
        return len(taken)


def test_an_upload_of_fifty_megabytes_never_sits_in_memory(shared: Story) -> None:
    case = shared.open()
    body = Made(50 * MEBIBYTE)
    assert body.size > 49 * MEBIBYTE
    headers = shared.headers("buyer", **{"Content-Type": "multipart/form-data; boundary=XX"})
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        response = shared.client.post(
            f"/v1/cases/{case}/exhibits",
            input_stream=body,  # type: ignore[arg-type]
            headers=headers,
            content_length=body.size,
        )
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (response.status_code, response.get_json()["errors"].keys()) == (413, {"file"})
    assert next(body._parts, None) is None, "it was not read to its end"
    assert peak - before < 4 * MEBIBYTE
