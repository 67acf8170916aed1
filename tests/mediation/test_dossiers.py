"""The sealed case file as it is handed out: for whom, with what, verified by whoever has it."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from evidence.dossier.verifying import Report, verify
from mediation import dossiers, erasure
from mediation.cli import main
from mediation.errors import Busy
from tests.mediation.story import CHAT, WAYS, Story, decision
from tests.mediation.test_redactions import PHONE, file_chat, file_text, redact

FINDING = {
    "issue": "Was it promised for the next day?",
    "burden": "seller",
    "finding": "proven",
    "rules": [],
    "relied_on": [{"exhibit": "S-1", "quotes": [{"seq": 2, "text": "明天发货"}]}],
    "rejected": [],
}


def fetch(story: Story, case: str, who: str) -> bytes:
    response = story.get(who, f"/cases/{case}/dossier")
    assert response.status_code == 200, response.get_data(as_text=True)
    assert response.mimetype == "application/zip"
    assert response.headers["Content-Disposition"].endswith('.dossier.zip"')
    content = response.get_data()
    assert response.headers["Content-Length"] == str(len(content))
    return content


def checked(content: bytes, tmp_path: Path, **more: Any) -> Report:
    path = tmp_path / "case.zip"
    path.write_bytes(content)
    with path.open("rb") as file:
        return verify(file, **more)


def member(content: bytes, name: str) -> Any:
    raw = zipfile.ZipFile(io.BytesIO(content)).read(name)
    if name.endswith(".jsonl"):
        return [json.loads(line) for line in raw.splitlines()]
    return json.loads(raw) if name.endswith(".json") else raw.decode()


def _full(story: Story) -> str:
    """A case with evidence of every kind, words of both sides, notes of staff and a decision that quotes."""
    case = story.at("under_review")
    assert story.post("seller", f"/cases/{case}/exhibits", CHAT).status_code == 201
    file_chat(story, case, "发货了吗", PHONE)
    file_text(story, case, b"the waybill", title="waybill")
    file_chat(story, case, "内部", who="mediator", visibility="staff")
    story.post("buyer", f"/cases/{case}/messages", {"text": "请尽快处理"})
    story.post("mediator", f"/cases/{case}/messages", {"text": "look at S-1 again", "visibility": "staff"})
    story.do("mediator", case, "decide", decision(findings=[FINDING]))
    return case


@pytest.mark.parametrize("who", ["buyer", "seller", "mediator", "senior", "supervisor"])
def test_everyones_copy_verifies(shared: Story, tmp_path: Path, who: str) -> None:
    case = _full(shared)
    report = checked(fetch(shared, case, who), tmp_path)
    assert [str(fault) for fault in report.faults] == []
    assert report.intact and not report.key_checked
    assert report.signed_by == shared.services.sealer.kid


@pytest.mark.parametrize("state", sorted(WAYS))
def test_a_case_in_any_state_gives_a_file_that_verifies(shared: Story, tmp_path: Path, state: str) -> None:
    case = shared.at(state)
    for who in ("buyer", "mediator"):
        report = checked(fetch(shared, case, who), tmp_path)
        assert [str(fault) for fault in report.faults] == []


def test_a_partys_copy_holds_what_the_party_may_see_and_no_more(shared: Story, tmp_path: Path) -> None:
    case = _full(shared)
    mine, staffs = fetch(shared, case, "buyer"), fetch(shared, case, "mediator")
    names = zipfile.ZipFile(io.BytesIO(mine)).namelist()
    everything = b"".join(zipfile.ZipFile(io.BytesIO(mine)).read(name) for name in names).decode()
    assert "look at S-1 again" not in everything and "内部" not in everything
    assert "clerk-9" not in everything and '"mia"' not in everything
    assert "M-1" not in [one["label"] for one in member(mine, "exhibits.json")]
    assert "M-1" in [one["label"] for one in member(staffs, "exhibits.json")]
    assert "look at S-1 again" in json.dumps(member(staffs, "case.json"))
    assert PHONE in everything and "请尽快处理" in everything
    assert any("entry" not in line for line in member(mine, "docket.jsonl"))
    assert all("entry" in line for line in member(staffs, "docket.jsonl"))
    assert member(mine, "case.json")["ledger"] == []


@pytest.mark.parametrize(
    ("who", "status"), [("other_buyer", 404), ("other_seller", 404), ("platform", 403), ("admin", 403)]
)
def test_nobody_else_gets_one(shared: Story, who: str, status: int) -> None:
    case = shared.at("under_review")
    assert shared.get(who, f"/cases/{case}/dossier").status_code == status


def test_that_it_was_made_stands_in_the_custody_of_each_exhibit_and_in_the_file(shared: Story) -> None:
    case = _full(shared)
    content = fetch(shared, case, "buyer")
    for exhibit in member(content, "exhibits.json"):
        lines = member(content, f"exhibits/{exhibit['label']}/custody.jsonl")
        assert lines[-1]["entry"]["act"] == "exported"
        assert lines[-1]["opening"]["value"]["what"] == {"made_for": "buyer"}
        assert exhibit["custody"]["seq"] == len(lines)
    version = shared.get("buyer", f"/cases/{case}").get_json()["version"]
    assert member(content, "verify/manifest.json")["head"]["seq"] == version


def test_receipts_and_heads_of_before_hold_and_show_a_record_that_was_rolled_back(
    shared: Story, tmp_path: Path
) -> None:
    case = shared.at("under_review")
    first = file_chat(shared, case, "发货了吗")
    early = fetch(shared, case, "buyer")
    later = file_chat(shared, case, "还没有吗")
    now = fetch(shared, case, "buyer")
    assert checked(now, tmp_path, receipts=[first["receipt"], later["receipt"]]).intact
    report = checked(early, tmp_path, receipts=[later["receipt"]])
    assert not report.intact


def test_a_redacted_exhibit_verifies_and_says_so(shared: Story, tmp_path: Path) -> None:
    case = shared.at("under_review")
    exhibit = file_chat(shared, case, "发货了吗", PHONE)
    redact(shared, exhibit["id"], 2)
    content = fetch(shared, case, "seller")
    report = checked(content, tmp_path, receipts=[exhibit["receipt"]])
    assert [str(fault) for fault in report.faults] == []
    names = zipfile.ZipFile(io.BytesIO(content)).namelist()
    assert "exhibits/B-1/content" not in names
    assert all("13812345678" not in zipfile.ZipFile(io.BytesIO(content)).read(name).decode() for name in names)


def test_evidence_erased_while_the_file_is_made_is_left_out_of_it(
    story: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bytes go between the snapshot and their turn: the file is made anew from what then is."""
    case = story.at("under_review")
    exhibit = file_chat(story, case, PHONE)
    real, calls = story.services.blobs.get, []

    def get(key: str) -> Any:
        calls.append(key)
        if len(calls) == 1:
            with monkeypatch.context() as patch:
                patch.setattr(story.services.blobs, "get", real, raising=False)
                assert redact(story, exhibit["id"], 1).status_code == 200
        return real(key)

    monkeypatch.setattr(type(story.services.blobs), "get", lambda self, key: get(key))
    content = fetch(story, case, "seller")
    assert checked(content, tmp_path).intact
    assert "exhibits/B-1/content" not in zipfile.ZipFile(io.BytesIO(content)).namelist()


def test_evidence_whose_bytes_are_lost_is_no_dossier(story: Story) -> None:
    case = story.at("under_review")
    exhibit = file_chat(story, case, PHONE)
    story.services.blobs.delete_folder(f"{case}/{exhibit['id']}")
    assert story.get("seller", f"/cases/{case}/dossier").status_code == 503
    assert erasure.sweep(story.services) == 0
    assert issubclass(Busy, Exception) and callable(dossiers.make)


# --- from the command line ---------------------------------------------------------------------------------------


def _run(story: Story, *args: str) -> Any:
    settings = story.services.settings
    environment = {"DATABASE_URL": str(settings.database_url), "MEDIATION_HOME": str(settings.home)}
    return CliRunner().invoke(main, list(args), env=environment)


@pytest.mark.parametrize("role", ["mediator", "buyer", "seller"])
def test_the_command_makes_a_file_and_another_verifies_it(story: Story, tmp_path: Path, role: str) -> None:
    case = _full(story)
    reference = story.get("mediator", f"/cases/{case}").get_json()["reference"]
    path = tmp_path / "out.zip"
    made = _run(story, "dossier", reference.lower(), "--for", role, "-o", str(path))
    assert made.exit_code == 0, made.output
    assert reference in made.output
    verified = CliRunner().invoke(main, ["verify", str(path)])
    assert verified.exit_code == 0, verified.output
    assert verified.output.strip() == f"intact, signed by {story.services.sealer.kid}, key not checked"
    assert member(path.read_bytes(), "verify/manifest.json")["made_for"] == role
    assert list(tmp_path.glob(".out*")) == []


def test_a_case_that_is_not_there_is_told_in_a_line(story: Story, tmp_path: Path) -> None:
    result = _run(story, "dossier", "D-NONE", "-o", str(tmp_path / "x.zip"))
    assert result.exit_code == 2 and "no such case" in result.output
    case = story.at("under_review")
    result = _run(story, "dossier", case, "-o", str(tmp_path / "none" / "x.zip"))
    assert result.exit_code == 1 and "cannot be written" in result.output


def test_what_a_file_was_called_on_somebodys_machine_is_for_them_and_staff(shared: Story) -> None:
    case = shared.at("under_review")
    file_text(shared, case, b"x", "Zhang_Wei_1990.txt")
    for who, known in (("buyer", False), ("seller", True), ("mediator", True)):
        assert (b"Zhang_Wei_1990" in fetch(shared, case, who)) is known


def test_what_is_filed_while_the_file_is_made_does_not_leave_unrecorded(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = story.at("under_review")
    file_chat(story, case, "发货了吗")
    real, calls = dossiers._enter, []

    def enter(*args: Any) -> None:
        real(*args)
        calls.append(args)
        if len(calls) == 1:
            file_chat(story, case, "还没有吗")

    monkeypatch.setattr(dossiers, "_enter", enter)
    content = fetch(story, case, "seller")
    assert len(calls) == 2
    for label in ("B-1", "B-2"):
        acts = [line["entry"]["act"] for line in member(content, f"exhibits/{label}/custody.jsonl")]
        assert acts == ["filed", "exported"], label
