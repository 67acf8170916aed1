"""Redaction: who may, with whose approval, what goes with it, and that everything still verifies."""

from __future__ import annotations

import io
import json
import threading
import uuid
import zipfile
from typing import Any

import pytest
from sqlalchemy import select, text

from evidence import chain, custody
from evidence.commitments import opens
from evidence.leaves import leaf_of
from evidence.merkle import verify_inclusion
from mediation import erasure
from mediation.models import Exhibit
from tests.mediation.story import CHAT, NOTHING_GRANTED, Story, decision

REASON = {"reason": "personal_data"}
PHONE = "我的电话是13812345678，请打给我"


def chat(*texts: str) -> dict[str, Any]:
    said = [
        {"sender": {"role": "buyer", "name": "李雷"}, "sent_at": "2026-11-05T10:00:00", "text": one} for one in texts
    ]
    return {"kind": "chat_log", "timezone": "Asia/Shanghai", "messages": said}


def file_chat(story: Story, case: str, *texts: str, who: str = "buyer", **more: Any) -> dict[str, Any]:
    response = story.post(who, f"/cases/{case}/exhibits", chat(*texts) | more)
    assert response.status_code == 201, response.get_data(as_text=True)
    answer: dict[str, Any] = response.get_json()
    return answer


def file_text(story: Story, case: str, content: bytes, name: str = "note.txt", who: str = "seller", **meta: Any) -> Any:
    data = {"meta": json.dumps({"kind": "other", **meta}), "file": (io.BytesIO(content), name)}
    response = story.client.post(f"/v1/cases/{case}/exhibits", data=data, headers=story.headers(who))
    assert response.status_code == 201, response.get_data(as_text=True)
    return response.get_json()


def redact(story: Story, exhibit: str, *seqs: int, who: str = "mediator", query: str = "", **more: Any) -> Any:
    body = REASON | ({"seqs": list(seqs)} if seqs else {}) | more
    return story.post(who, f"/exhibits/{exhibit}/redactions{query}", body)


def quoting(words: str) -> dict[str, Any]:
    """A finding that relies on these words of the first message of B-1."""
    return {
        "issue": "i",
        "burden": "seller",
        "finding": "proven",
        "rules": [],
        "relied_on": [{"exhibit": "B-1", "quotes": [{"seq": 1, "text": words}]}],
        "rejected": [],
    }


def texts(story: Story, exhibit: str, who: str = "mediator") -> list[str | None]:
    return [one["text"] for one in story.get(who, f"/exhibits/{exhibit}/messages").get_json()["items"]]


def docket(story: Story, case: str, who: str = "mediator") -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = story.get(who, f"/cases/{case}/docket?limit=100").get_json()["items"]
    return items


def assert_verifies(story: Story, case: str, exhibit: dict[str, Any]) -> None:
    """Chain, commitments, every message's proof and the custody chain."""
    entries = docket(story, case)
    bare = [{name: value for name, value in one.items() if name != "openings"} for one in entries]
    assert chain.breaches(bare, entries[-1]["hash"], case=case) == []
    for entry in entries:
        for opening in entry["openings"]:
            if opening["salt"] is not None:
                assert opens(bytes.fromhex(opening["commitment"]), bytes.fromhex(opening["salt"]), opening["value"])
    for seq in range(1, exhibit["messages"] + 1):
        proof = story.get("mediator", f"/exhibits/{exhibit['id']}/proof?seq={seq}").get_json()
        path = [bytes.fromhex(part) for part in proof["path"]]
        assert proof["merkle_root"] == exhibit["merkle_root"]
        root = bytes.fromhex(proof["merkle_root"])
        assert verify_inclusion(leaf_of(proof["leaf"]), seq - 1, proof["size"], path, root)
        for one in proof["openings"]:
            assert (one["salt"] is None) == (one["value"] is None)
            if one["salt"] is not None:
                assert opens(bytes.fromhex(proof["leaf"][one["name"]]), bytes.fromhex(one["salt"]), one["value"])
    shown = story.get("mediator", f"/exhibits/{exhibit['id']}/custody?limit=100").get_json()
    links = [{name: value for name, value in one.items() if name != "opening"} for one in shown["items"]]
    assert custody.breaches(links, shown["head"]["hash"], exhibit=exhibit["id"]) == []


def test_a_message_goes_and_everything_still_verifies(story: Story) -> None:
    case = story.at("under_review")
    exhibit = file_chat(story, case, "发货了吗", PHONE, "好的")
    response = redact(story, exhibit["id"], 2, note="a private number")
    assert response.status_code == 200, response.get_data(as_text=True)
    answer = response.get_json()
    assert (answer["status"], answer["exhibit"], answer["seqs"]) == ("done", "B-1", [2])
    assert answer["erased"]["messages"] == {"B-1": [2]}
    assert {"seq": answer_seq(story, case), "name": "sha256"} not in answer["erased"]["entries"]
    assert texts(story, exhibit["id"]) == ["发货了吗", None, "好的"]
    assert [one["redacted"] for one in _messages(story, exhibit["id"])] == [False, True, False]
    assert _messages(story, exhibit["id"])[1]["sender"]["name"] == "李雷"
    shown = story.get("buyer", f"/exhibits/{exhibit['id']}").get_json()
    assert shown["sha256"] is None and shown["redacted_at"] is not None
    gone = story.get("buyer", f"/exhibits/{exhibit['id']}/content")
    assert (gone.status_code, gone.get_json()["code"]) == (410, "gone")
    assert_verifies(story, case, exhibit)
    entry = docket(story, case, "seller")[-1]
    facts = next(one["value"]["facts"] for one in entry["openings"] if one["name"] == "facts")
    assert entry["type"] == "redacted"
    assert (facts["exhibit"], facts["seqs"], facts["approved"]) == ("B-1", [2], False)
    assert "13812345678" not in json.dumps(docket(story, case), ensure_ascii=False)


def answer_seq(story: Story, case: str) -> int:
    return int(docket(story, case)[-1]["seq"])


def _messages(story: Story, exhibit: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = story.get("mediator", f"/exhibits/{exhibit}/messages").get_json()["items"]
    return found


def test_the_same_words_go_wherever_they_stand(story: Story) -> None:
    case = story.at("under_review")
    mine = file_chat(story, case, PHONE, "发货了吗")
    theirs = file_chat(story, case, "好", f"他说：{PHONE}", who="seller")
    other = file_chat(story, case, "与此无关的话", who="seller")
    note = file_text(story, case, f"记下来：{PHONE}\n".encode(), title="备忘")
    escaped = file_text(story, case, json.dumps({"a": PHONE}).encode(), "a.json")
    picture = _file_picture(story, case)
    story.post("seller", f"/cases/{case}/messages", {"text": f"请看 {PHONE}"})
    story.post("seller", f"/cases/{case}/messages", {"text": "与此无关"})
    wide = PHONE.replace("138", "１３８")
    story.post("mediator", f"/cases/{case}/messages", {"text": f"note: {wide}", "visibility": "staff"})
    erased = redact(story, mine["id"], 1).get_json()["erased"]
    assert erased["messages"] == {"B-1": [1], "S-1": [2]}
    assert set(erased["exhibits"]) == {"B-1", "S-1", note["label"], escaped["label"]}
    assert [one["name"] for one in erased["entries"]] == ["text", "text"]
    assert erased["not_searched"] == [picture["label"]]
    posted = story.get("mediator", f"/cases/{case}/messages").get_json()["items"]
    assert [one["text"] for one in posted] == [None, "与此无关", None]
    assert texts(story, theirs["id"]) == ["好", None]
    assert texts(story, other["id"]) == ["与此无关的话"]
    assert story.get("seller", f"/exhibits/{note['id']}/content").status_code == 410
    assert story.get("seller", f"/exhibits/{other['id']}/content").status_code == 200
    for exhibit in (mine, theirs, other):
        assert_verifies(story, case, exhibit)


def _file_picture(story: Story, case: str) -> Any:
    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", (4, 4)).save(out, "PNG")
    data = {"meta": json.dumps({"kind": "photo"}), "file": (io.BytesIO(out.getvalue()), "p.png")}
    return story.client.post(f"/v1/cases/{case}/exhibits", data=data, headers=story.headers("buyer")).get_json()


SAID = 'ring "13812345678" now'


def _zipped(**members: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.txt", content)
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", 'He said: RING  "１３８12345678"\r\nnow.'.encode()),
        ("a.txt", f"He said: {SAID}.".encode("utf-16")),
        ("a.txt", f"他说：{SAID}".encode("gb18030")),
        ("a.csv", b'who,what\r\nhim,"ring ""13812345678"" now"\r\n'),
        ("a.json", json.dumps({"a": [{"b": f"he said {SAID}"}]}).encode()),
        ("a.json", json.dumps({f"he said {SAID}": 1}).encode()),
        ("a.txt", b'{"a": 1}\n{"a": "\\u0072ing \\"13812345678\\" now"}\n'),
        ("a.zip", _zipped(one=b"nothing", two=f"11/05/26, 10:00 - Li: {SAID}\n".encode())),
    ],
    ids=["text", "utf-16", "gb18030", "csv", "json", "name of a member", "escaped", "archive"],
)
def test_words_are_found_in_files_however_they_are_written(shared: Story, name: str, content: bytes) -> None:
    case = shared.at("under_review")
    exhibit = file_chat(shared, case, SAID)
    other = file_text(shared, case, content, name)
    bystander = file_text(shared, case, _zipped(one=b"nothing") if name == "a.zip" else b'["nothing"]', name)
    erased = redact(shared, exhibit["id"], 1).get_json()["erased"]
    assert erased["exhibits"] == ["B-1", other["label"]]
    assert shared.get("buyer", f"/exhibits/{other['id']}/content").status_code == 410
    assert shared.get("buyer", f"/exhibits/{bystander['id']}/content").status_code == 200


def test_short_words_are_only_found_as_a_whole_text(story: Story) -> None:
    case = story.at("under_review")
    exhibit = file_chat(story, case, "好的", "好的，谢谢", " 好的 ")
    assert redact(story, exhibit["id"], 1).get_json()["erased"]["messages"] == {"B-1": [1, 3]}


def test_a_rehearsal_says_what_would_go_and_writes_nothing(story: Story) -> None:
    case = story.at("under_review")
    exhibit = file_chat(story, case, PHONE)
    before = docket(story, case)
    response = redact(story, exhibit["id"], 1, query="?dry_run=true")
    assert (response.status_code, response.get_json()["status"]) == (200, "foreseen")
    assert response.get_json()["erased"]["messages"] == {"B-1": [1]}
    assert docket(story, case) == before
    assert texts(story, exhibit["id"]) == [PHONE]
    assert story.get("mediator", f"/cases/{case}/redactions").get_json()["items"] == []


def test_an_exhibit_that_is_no_chat_log_goes_whole(story: Story) -> None:
    case = story.at("under_review")
    note = file_text(story, case, b"a secret of somebody else", "secret plan.txt", title="the plan")
    erased = redact(story, note["id"]).get_json()["erased"]
    assert erased["exhibits"] == [note["label"]]
    shown = story.get("seller", f"/exhibits/{note['id']}").get_json()
    assert (shown["title"], shown["sha256"]) == (None, None)
    with story.services.sessions.begin() as session:
        row = session.get_one(Exhibit, uuid.UUID(note["id"]))
        assert (row.filename, row.blob_key) == (None, None)
        assert row.blob_erased_at is not None


def test_with_a_whole_exhibit_go_its_twins_and_what_it_says_but_not_its_namesakes(story: Story) -> None:
    case = story.at("under_review")
    note = file_text(story, case, b"the plan of somebody else", "plan.txt", title="the plan")
    twin = file_text(story, case, b"the plan of somebody else", "copy.txt", who="buyer")
    namesake = file_text(story, case, b"quite another matter", "plan.txt", title="the plan")
    said = file_chat(story, case, "This is THE PLAN of somebody else!", "the plan")
    erased = redact(story, note["id"]).get_json()["erased"]
    assert erased["exhibits"] == [twin["label"], said["label"], note["label"]]
    assert erased["messages"] == {said["label"]: [1]}
    shown = story.get("seller", f"/exhibits/{namesake['id']}").get_json()
    assert (shown["title"], shown["sha256"]) == ("the plan", namesake["sha256"])


def test_of_two_pictures_that_are_one_to_the_byte_both_go(story: Story) -> None:
    case = story.at("under_review")
    first, second = _file_picture(story, case), _file_picture(story, case)
    assert redact(story, first["id"]).get_json()["erased"]["exhibits"] == [first["label"], second["label"]]


def test_a_note_must_not_keep_what_is_taken_out(story: Story) -> None:
    case = story.at("under_review")
    exhibit = file_chat(story, case, PHONE)
    response = redact(story, exhibit["id"], 1, note=f"takes out: {PHONE}")
    assert (response.status_code, list(response.get_json()["errors"])) == (422, ["note"])
    assert texts(story, exhibit["id"]) == [PHONE]


def test_where_only_staff_looks_is_erased_and_told_to_staff_only(story: Story) -> None:
    case = story.at("under_review")
    exhibit = file_chat(story, case, PHONE)
    hidden = file_chat(story, case, PHONE, who="mediator", visibility="staff")
    story.post("mediator", f"/cases/{case}/messages", {"text": PHONE, "visibility": "staff"})
    erased = redact(story, exhibit["id"], 1).get_json()["erased"]
    assert erased["messages"] == {"B-1": [1], "M-1": [1]}
    assert len(erased["entries"]) == 1
    assert texts(story, hidden["id"]) == [None]
    [shown] = story.get("seller", f"/cases/{case}/redactions").get_json()["items"]
    assert (shown["erased"]["messages"], shown["erased"]["exhibits"], shown["erased"]["entries"]) == (
        {"B-1": [1]},
        ["B-1"],
        [],
    )
    assert "M-1" not in json.dumps(docket(story, case, "seller"))
    of_staff = {one["name"]: one["value"] for one in docket(story, case)[-1]["openings"]}["erased_of_staff"]
    assert of_staff["erased_of_staff"]["messages"] == {"M-1": [1]}


def test_what_is_not_erased_is_told_by_its_place(story: Story) -> None:
    number = "13812345678"
    body = story.case_body()
    body["buyer"]["name"] = f"李雷 {number}"
    body["order"]["lines"][0]["title"] = f"engraved {number}"
    case = story.post("platform", "/cases", body).get_json()["id"]
    story.do("platform", case, "notify_seller")
    story.do("seller", case, "refuse", {"reason": "shipped", "statement": "It is on its way."})
    story.do("buyer", case, "request_mediation")
    message = {"sender": {"role": "buyer", "name": number}, "sent_at": "2026-11-05T10:00:00", "text": number}
    exhibit = file_chat(story, case, messages=[message])
    erased = redact(story, exhibit["id"], 1).get_json()["erased"]
    assert erased["remains"] == ["buyer", "order", "senders of B-1"]
    assert number not in json.dumps(erased)


def test_goods_on_their_way_keep_the_address_they_go_to(story: Story) -> None:
    case = story.at("awaiting_return")
    exhibit = file_chat(story, case, "1 Dock Road, Hangzhou")
    erased = redact(story, exhibit["id"], 1).get_json()["erased"]
    [place] = erased["remains"]
    assert place.endswith(" return_address")
    assert story.get("buyer", f"/cases/{case}").get_json()["return_address"]["line"] == "1 Dock Road, Hangzhou"


def test_a_decision_that_waits_and_whose_reasons_were_erased_is_made_anew(story: Story) -> None:
    case = story.at("under_review", paid=60_000)
    exhibit = file_chat(story, case, PHONE)
    story.do("mediator", case, "decide", decision(60_000, reasons=f"He said: {PHONE}"))
    assert story.state(case) == "escalated"
    assert redact(story, exhibit["id"], 1).status_code == 200
    response = story.act("senior", case, "approve")
    assert (response.status_code, response.get_json()["code"]) == (409, "words_erased")
    story.do("senior", case, "return_to_mediator", {"note": "please decide anew"})
    story.do("mediator", case, "decide", decision(60_000))
    story.do("senior", case, "approve")


# --- who and when ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["buyer", "seller", "platform", "admin"])
def test_only_staff_redact(shared: Story, who: str) -> None:
    case = shared.at("under_review")
    exhibit = file_chat(shared, case, PHONE)
    assert redact(shared, exhibit["id"], 1, who=who).status_code == 403
    assert texts(shared, exhibit["id"]) == [PHONE]


def test_another_partys_exhibit_is_not_there(shared: Story) -> None:
    exhibit = file_chat(shared, shared.at("under_review"), PHONE)
    assert redact(shared, exhibit["id"], 1, who="other_buyer").status_code == 404
    assert redact(shared, str(uuid.uuid4()), 1).status_code == 404


def test_staff_with_an_interest_stay_out(story: Story) -> None:
    case = story.at("under_review")
    exhibit = file_chat(story, case, PHONE)
    assert story.post("mediator", "/interests", {"side": "seller", "party": "shop-17"}).status_code == 201
    response = redact(story, exhibit["id"], 1)
    assert (response.status_code, response.get_json()["code"]) == (403, "interest_declared")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "reason"),
        ({"reason": "because"}, "reason"),
        ({"reason": "personal_data"}, "seqs"),
        ({"reason": "personal_data", "seqs": []}, "seqs"),
        ({"reason": "personal_data", "seqs": [0]}, "seqs.0"),
        ({"reason": "personal_data", "seqs": [1, 9]}, "seqs.1"),
        ({"reason": "personal_data", "seqs": ["1"]}, "seqs.0"),
        ({"reason": "personal_data", "seqs": [1], "note": ""}, "note"),
        ({"reason": "personal_data", "seqs": [1], "all": True}, "all"),
    ],
)
def test_what_is_asked_wrongly_is_refused_by_name(shared: Story, body: dict[str, Any], field: str) -> None:
    exhibit = file_chat(shared, shared.at("under_review"), PHONE)
    response = shared.post("mediator", f"/exhibits/{exhibit['id']}/redactions", body)
    assert response.status_code == 422
    assert field in response.get_json()["errors"]
    assert texts(shared, exhibit["id"]) == [PHONE]


def _decided(story: Story) -> tuple[str, dict[str, Any]]:
    """A decided case with a chat log of which the decision quotes a message."""
    case = story.at("under_review")
    exhibit = file_chat(story, case, PHONE, "好的")
    story.do("mediator", case, "decide", decision(findings=[quoting("13812345678")]))
    return case, exhibit


def test_once_decided_a_mediator_asks_and_senior_staff_answers(story: Story) -> None:
    case, exhibit = _decided(story)
    asked = redact(story, exhibit["id"], 1)
    assert (asked.status_code, asked.get_json()["status"]) == (202, "pending")
    assert texts(story, exhibit["id"]) == [PHONE, "好的"]
    assert story.get("buyer", f"/cases/{case}/redactions").get_json()["items"] == []
    identity = asked.get_json()["id"]
    assert story.post("mediator", f"/redactions/{identity}/approve").status_code == 403
    assert story.post("seller", f"/redactions/{identity}/approve").status_code == 403
    done = story.post("senior", f"/redactions/{identity}/approve")
    assert (done.status_code, done.get_json()["status"]) == (200, "done")
    assert (done.get_json()["requested_by"], done.get_json()["answered_by"]) == ("mia", "sam")
    assert texts(story, exhibit["id"]) == [None, "好的"]
    again = story.post("senior", f"/redactions/{identity}/approve")
    assert (again.status_code, again.get_json()["code"]) == (409, "already_answered")
    [shown] = story.get("buyer", f"/cases/{case}/redactions").get_json()["items"]
    assert (shown["requested_by"], shown["answered_by"]) == (None, None)
    quote = story.get("buyer", f"/cases/{case}/decisions").get_json()["items"][0]["findings"][0]["relied_on"][0]
    assert quote["quotes"] == [{"seq": 1, "start": 5, "length": 11, "text": None}]
    assert_verifies(story, case, exhibit)


def test_senior_staff_may_say_no(story: Story) -> None:
    case, exhibit = _decided(story)
    identity = redact(story, exhibit["id"], 1).get_json()["id"]
    assert story.post("supervisor", f"/redactions/{identity}/reject").get_json()["status"] == "rejected"
    assert texts(story, exhibit["id"]) == [PHONE, "好的"]
    assert story.post("senior", f"/redactions/{identity}/approve").status_code == 409
    assert [one["type"] for one in docket(story, case)][-2:] == ["redaction_requested", "redaction_rejected"]
    assert all("type" not in one for one in docket(story, case, "buyer")[-2:])


def test_senior_staff_needs_nobody_even_after_a_decision(story: Story) -> None:
    _, exhibit = _decided(story)
    assert redact(story, exhibit["id"], 1, who="senior").status_code == 200


def test_a_redaction_that_is_not_there_is_not_found(shared: Story) -> None:
    for verb in ("approve", "reject"):
        assert shared.post("senior", f"/redactions/{uuid.uuid4()}/{verb}").status_code == 404
        assert shared.post("senior", f"/redactions/x/{verb}").status_code == 404


def test_two_who_approve_at_once_do_it_once(story: Story) -> None:
    case, exhibit = _decided(story)
    identity = redact(story, exhibit["id"], 1).get_json()["id"]
    statuses: list[int] = []

    def approve(who: str) -> None:
        client = story.app.test_client()
        response = client.post(f"/v1/redactions/{identity}/approve", json={}, headers=story.headers(who))
        statuses.append(response.status_code)

    people = ["senior", "other_senior", "supervisor"]
    threads = [threading.Thread(target=approve, args=(who,)) for who in people]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(statuses) == [200, 409, 409]
    assert [one["type"] for one in docket(story, case)].count("redacted") == 1


def test_what_is_staffs_alone_is_redacted_out_of_sight(story: Story) -> None:
    case = story.at("under_review")
    exhibit = file_chat(story, case, PHONE, who="mediator", visibility="staff")
    assert redact(story, exhibit["id"], 1).status_code == 200
    assert story.get("buyer", f"/cases/{case}/redactions").get_json()["items"] == []
    assert "type" not in docket(story, case, "buyer")[-1]


# --- the bytes ---------------------------------------------------------------------------------------------------


def _files(story: Story) -> list[str]:
    folder = story.services.settings.home / "blobs"
    return sorted(str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_file())


def test_a_process_that_dies_before_the_bytes_go_leaves_them_to_the_next(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = story.at("under_review")
    exhibit = file_chat(story, case, PHONE)
    kept = file_chat(story, case, "与此无关的话")

    def die(*_: object, **__: object) -> int:
        raise SystemExit("killed")

    with monkeypatch.context() as patch:
        patch.setattr(erasure, "sweep", die)
        with pytest.raises(SystemExit):
            redact(story, exhibit["id"], 1)
    assert texts(story, exhibit["id"]) == [None]
    assert any(exhibit["id"] in name for name in _files(story))
    assert erasure.sweep(story.services) == 1
    assert [name for name in _files(story) if exhibit["id"] in name] == []
    assert [name for name in _files(story) if kept["id"] in name] != []
    assert erasure.sweep(story.services) == 0


def test_what_a_killed_upload_left_beside_a_blob_goes_with_it(story: Story) -> None:
    case = story.at("under_review")
    exhibit = file_chat(story, case, PHONE)
    folder = story.services.settings.home / "blobs" / case / exhibit["id"]
    (folder / f"{exhibit['sha256']}#7").write_text(PHONE)
    redact(story, exhibit["id"], 1)
    assert not folder.exists()


def test_answers_kept_for_retries_are_forgotten(story: Story) -> None:
    case = story.at("under_review")
    response = story.post("buyer", f"/cases/{case}/exhibits", chat(PHONE), headers={"Idempotency-Key": "k1"})
    erased = redact(story, response.get_json()["id"], 1).get_json()["erased"]
    assert erased["answers"] == 1
    with story.services.sessions.begin() as session:
        assert session.scalar(select(text("count(*)")).select_from(text("idempotent_answers"))) == 0


def test_a_repeat_under_one_key_redacts_once(story: Story) -> None:
    case = story.at("under_review")
    exhibit = file_chat(story, case, PHONE)
    path, body = f"/exhibits/{exhibit['id']}/redactions", REASON | {"seqs": [1]}
    first = story.post("mediator", path, body, headers={"Idempotency-Key": "r"})
    second = story.post("mediator", path, body, headers={"Idempotency-Key": "r"})
    assert first.get_json() == second.get_json()
    assert [one["type"] for one in docket(story, case)].count("redacted") == 1


# --- one side's data ---------------------------------------------------------------------------------------------


def _closed(story: Story) -> tuple[str, dict[str, Any], dict[str, Any]]:
    case = story.at("under_review")
    mine = file_chat(story, case, PHONE)
    theirs = story.post("seller", f"/cases/{case}/exhibits", CHAT).get_json()
    story.post("buyer", f"/cases/{case}/messages", {"text": "谁来帮帮我？我等了很久"})
    story.get("buyer", f"/exhibits/{theirs['id']}")
    story.do("mediator", case, "decide", NOTHING_GRANTED)
    for who in ("buyer", "seller"):
        story.do(who, case, "accept_decision")
    return case, mine, theirs


def test_what_came_from_a_side_goes_once_the_case_is_over(story: Story) -> None:
    case, mine, theirs = _closed(story)
    body = {"side": "buyer", **REASON}
    asked = story.post("mediator", f"/cases/{case}/erasures", body)
    assert asked.status_code == 202
    done = story.post("senior", f"/redactions/{asked.get_json()['id']}/approve")
    assert done.status_code == 200, done.get_json()
    assert done.get_json()["side"] == "buyer"
    assert texts(story, mine["id"]) == [None]
    assert texts(story, theirs["id"]) == [None, "亲，明天发货"]
    assert [one["sender"]["name"] for one in _messages(story, theirs["id"])] == [None, "客服"]
    assert story.get("senior", f"/exhibits/{mine['id']}").get_json()["filed_by"]["id"] is None
    assert story.get("senior", f"/cases/{case}").get_json()["buyer"]["name"] is None
    [posted] = story.get("senior", f"/cases/{case}/messages").get_json()["items"]
    assert (posted["author"], posted["text"]) == (None, None)
    everything = json.dumps(docket(story, case), ensure_ascii=False)
    assert "谁来帮帮我" not in everything and "never came" not in everything
    for exhibit in (mine, theirs):
        assert_verifies(story, case, exhibit)
        shown = story.get("senior", f"/exhibits/{exhibit['id']}/custody").get_json()["items"]
        roles = [one["opening"]["value"]["actor"]["role"] for one in shown if one["opening"]["value"]]
        assert "buyer" not in roles


def test_the_other_sides_words_stay_but_for_those_that_are_the_same(story: Story) -> None:
    case = story.at("under_review")
    exhibit = story.post("seller", f"/cases/{case}/exhibits", CHAT | {"messages": [
        *CHAT["messages"],  # type: ignore[misc]
        {"sender": {"role": "seller", "name": "客服"}, "sent_at": "2026-11-05T10:02:00", "text": "发货了吗"},
    ]}).get_json()  # fmt: skip
    story.do("mediator", case, "decide", NOTHING_GRANTED)
    for who in ("buyer", "seller"):
        story.do(who, case, "accept_decision")
    erasure_of = {"side": "buyer", **REASON}
    foreseen = story.post("senior", f"/cases/{case}/erasures?dry_run=true", erasure_of).get_json()
    assert foreseen["status"] == "foreseen"
    done = story.post("senior", f"/cases/{case}/erasures", erasure_of)
    assert done.status_code == 200
    assert done.get_json()["erased"] == foreseen["erased"]
    assert texts(story, exhibit["id"]) == [None, "亲，明天发货", None]
    assert [one["sender"]["name"] for one in _messages(story, exhibit["id"])] == [None, "客服", "客服"]
    assert story.get("senior", f"/cases/{case}").get_json()["seller"]["name"] == "Kettle House"
    assert_verifies(story, case, exhibit)


def test_with_the_seller_goes_the_address_whoever_entered_it(story: Story) -> None:
    case = story.at("awaiting_return")
    story.do("buyer", case, "withdraw")
    done = story.post("senior", f"/cases/{case}/erasures", {"side": "seller", **REASON})
    assert done.status_code == 200, done.get_json()
    assert "return_address" in [one["name"] for one in done.get_json()["erased"]["entries"]]
    assert "Dock Road" not in json.dumps(docket(story, case))
    assert "clerk-9" not in json.dumps(docket(story, case))


def test_what_a_party_is_called_stays_while_another_case_of_theirs_is_open(story: Story) -> None:
    case, *_ = _closed(story)
    other = story.at("under_review")
    done = story.post("senior", f"/cases/{case}/erasures", {"side": "buyer", **REASON}).get_json()
    assert done["erased"]["remains"] == ["buyer"]
    assert story.get("senior", f"/cases/{other}").get_json()["buyer"]["name"] == "李雷"


def test_an_open_case_keeps_what_it_stands_on(shared: Story) -> None:
    case = shared.at("under_review")
    response = shared.post("senior", f"/cases/{case}/erasures", {"side": "buyer", **REASON})
    assert (response.status_code, response.get_json()["code"]) == (409, "case_not_final")
    secret = {"side": "buyer", "reason": "third_party_secret"}
    assert shared.post("senior", f"/cases/{case}/erasures", secret).status_code == 422
    assert shared.post("buyer", f"/cases/{case}/erasures", {"side": "buyer", **REASON}).status_code == 403


# --- what once escaped ---------------------------------------------------------------------------------------------


def _archive(**members: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def test_an_archive_with_odd_files_in_it_neither_stops_a_redaction_nor_hides_words(story: Story) -> None:
    case = story.at("under_review")
    exhibit = file_chat(story, case, PHONE)
    odd = file_text(story, case, _archive(a=b"hello\x01", b=PHONE.encode() + b"\x00"), "odd.zip")
    picture = file_text(story, case, _archive(a=b"\xff\xd8\xff\xe0 no text"), "pictures.zip")
    named = file_text(story, case, _archive(**{f"{PHONE}.txt": b"x"}), "named.zip")
    response = redact(story, exhibit["id"], 1)
    assert response.status_code == 200, response.get_data(as_text=True)
    erased = response.get_json()["erased"]
    assert set(erased["exhibits"]) == {"B-1", odd["label"], named["label"]}
    assert erased["not_searched"] == [picture["label"]]


def test_the_note_of_a_redaction_stays_among_staff(story: Story) -> None:
    case = story.at("under_review")
    exhibit = file_chat(story, case, PHONE)
    assert redact(story, exhibit["id"], 1, note="her sister's number").status_code == 200
    assert "her sister" in json.dumps(docket(story, case, "senior"))
    for who in ("buyer", "seller", "platform"):
        assert "her sister" not in json.dumps(docket(story, case, who))


def _file_attached(story: Story, case: str, who: str, name: str, sha256: str | None) -> dict[str, Any]:
    body = chat("")
    body["messages"][0] |= {"kind": "image", "attachments": [{"name": name, "sha256": sha256}]}
    response = story.post(who, f"/cases/{case}/exhibits", body)
    assert response.status_code == 201, response.get_data(as_text=True)
    answer: dict[str, Any] = response.get_json()
    return answer


def test_the_same_attachment_goes_in_every_copy_and_the_same_name_is_pointed_out(story: Story) -> None:
    case = story.at("under_review")
    mine = _file_attached(story, case, "buyer", "passport.jpg", "ab" * 32)
    same = _file_attached(story, case, "seller", "IMG_7.jpg", "ab" * 32)
    namesake = _file_attached(story, case, "seller", "passport.jpg", None)
    erased = redact(story, mine["id"], 1).get_json()["erased"]
    assert erased["messages"] == {"B-1": [1], "S-1": [1]}
    assert erased["remains"] == ["attachments of S-2"]
    assert [one["attachments"] for one in _messages(story, same["id"])] == [None]
    assert [one["attachments"][0]["name"] for one in _messages(story, namesake["id"])] == ["passport.jpg"]


def test_a_side_goes_from_logs_whose_filer_did_not_say_which_side_it_is(story: Story) -> None:
    case = story.at("under_review")
    lines = (
        "[2026-11-05, 08:00] 李雷: 我等了很久了\n[2026-11-05, 08:01] 小夏: 亲，明天发货\n[2026-11-05, 08:02] L.: 好\n"
    )
    log = file_text(story, case, lines.encode(), "chat.txt", kind="chat_log", timezone="Asia/Shanghai")
    story.do("mediator", case, "decide", NOTHING_GRANTED)
    for who in ("buyer", "seller"):
        story.do(who, case, "accept_decision")
    done = story.post("senior", f"/cases/{case}/erasures", {"side": "buyer", **REASON}).get_json()
    assert texts(story, log["id"]) == [None, "亲，明天发货", "好"]
    assert [one["sender"]["name"] for one in _messages(story, log["id"])] == [None, "小夏", "L."]
    # Nobody said who L. is, so somebody has to look.
    assert f"senders of {log['label']}" in done["erased"]["remains"]
