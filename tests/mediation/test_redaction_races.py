"""Redactions and what happens at the same moment: filings, decisions, downloads, a process that is killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from evidence.errors import BlobNotDeleted
from evidence.store import BlobStore
from mediation import erasure, worker
from mediation.gateways import LedgerGateway
from tests.mediation.story import Story, decision
from tests.mediation.test_races import act, at_once, post, require_whole_docket
from tests.mediation.test_redactions import PHONE, REASON, chat, docket, file_chat, file_text, quoting, redact, texts

ROOT = Path(__file__).parents[2]


def _entry_of(story: Story, case: str, type_: str, **facts: Any) -> int:
    [found] = [
        entry["seq"]
        for entry in docket(story, case)
        if entry["type"] == type_
        and facts.items()
        <= next((one["value"]["facts"] for one in entry["openings"] if one["name"] == "facts"), {}).items()
    ]
    return int(found)


def test_a_filing_at_the_same_moment_comes_before_and_is_erased_or_after_and_stands(story: Story) -> None:
    for _ in range(4):
        case = story.at("under_review")
        exhibit = file_chat(story, case, PHONE)
        filed, redacted = at_once(
            story,
            [
                post(story, "seller", f"/cases/{case}/exhibits", chat(f"他说：{PHONE}")),
                post(story, "mediator", f"/exhibits/{exhibit['id']}/redactions", REASON | {"seqs": [1]}),
            ],
        )
        assert (filed.status_code, redacted.status_code) == (201, 200)
        before = _entry_of(story, case, "exhibit_filed", label="S-1") < _entry_of(story, case, "redacted")
        assert texts(story, filed.get_json()["id"]) == [None if before else f"他说：{PHONE}"]
        assert ("S-1" in redacted.get_json()["erased"]["messages"]) == before
        content = story.get("seller", f"/exhibits/{filed.get_json()['id']}/content").status_code
        assert content == (410 if before else 200)
        require_whole_docket(story, case)


def test_a_decision_at_the_same_moment_quotes_what_stands_or_is_refused(story: Story) -> None:
    for _ in range(4):
        case = story.at("under_review")
        exhibit = file_chat(story, case, PHONE)
        decided, redacted = at_once(
            story,
            [
                act(story, "mediator", case, "decide", decision(findings=[quoting("13812345678")])),
                post(story, "supervisor", f"/exhibits/{exhibit['id']}/redactions", REASON | {"seqs": [1]}),
            ],
        )
        assert redacted.status_code == 200
        assert decided.status_code in (200, 422), decided.get_data(as_text=True)
        if decided.status_code == 200:
            assert _entry_of(story, case, "decide") < _entry_of(story, case, "redacted")
        assert texts(story, exhibit["id"]) == [None]
        require_whole_docket(story, case)


def test_a_quote_from_a_message_that_was_erased_is_refused_as_such(story: Story) -> None:
    case = story.at("under_review")
    exhibit = file_chat(story, case, PHONE)
    redact(story, exhibit["id"], 1)
    response = story.act("mediator", case, "decide", decision(findings=[quoting("1")]))
    assert response.status_code == 422
    assert response.get_json()["errors"] == {
        "findings.0.relied_on.0.quotes.0.seq": ["The words of this message of B-1 were erased."]
    }


def test_a_download_that_comes_too_late_is_told_so(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """The redaction ends between the look at the exhibit and the look into the store."""
    case = story.at("under_review")
    note = file_text(story, case, PHONE.encode())
    get, done = BlobStore.get, []

    def late(store: BlobStore, key: str) -> Any:
        if not done:
            done.append(1)
            client = story.app.test_client()
            headers = story.headers("mediator")
            answer = client.post(f"/v1/exhibits/{note['id']}/redactions", json=REASON, headers=headers)
            assert answer.status_code == 200
        return get(store, key)

    monkeypatch.setattr(BlobStore, "get", late)
    response = story.get("buyer", f"/exhibits/{note['id']}/content")
    assert response.status_code == 410
    answer = response.get_json()
    assert (answer["code"], answer["reason"]) == ("gone", "personal_data")
    assert answer["redacted_at"] == story.get("buyer", f"/exhibits/{note['id']}").get_json()["redacted_at"]


# --- the bytes ---------------------------------------------------------------------------------------------------

_KILLED = """
import os, signal, sys, uuid
from pathlib import Path
from mediation import create_app, erasure
from tests.mediation.conftest import make_services, make_settings
from tests.mediation.story import Story

erasure.sweep = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
settings = make_settings(sys.argv[1], Path(sys.argv[2]))
services = make_services(settings)
story = Story(create_app(settings, services), services)
story.post("mediator", f"/exhibits/{sys.argv[3]}/redactions", {"seqs": [1], "reason": "personal_data"})
"""


def test_what_a_process_leaves_that_is_killed_after_its_commit_goes_with_the_workers_sweep(story: Story) -> None:
    case = story.at("under_review")
    exhibit = file_chat(story, case, PHONE)
    settings = story.services.settings
    folder = settings.home / "blobs" / case / exhibit["id"]
    killed = subprocess.run(
        [sys.executable, "-c", _KILLED, str(settings.database_url), str(settings.home), exhibit["id"]],
        cwd=ROOT,
        check=False,
        capture_output=True,
    )
    assert killed.returncode == -9, killed.stderr.decode()
    assert texts(story, exhibit["id"]) == [None]
    assert PHONE.encode() in next(folder.iterdir()).read_bytes()
    tasks = worker.make_app(settings, story.services, LedgerGateway()).tasks
    tasks["mediation.erase_blobs"](timestamp=0)
    assert not folder.exists()


def test_a_store_that_refuses_keeps_nobody_from_redacting(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    case = story.at("under_review")
    first, second = file_chat(story, case, PHONE), file_chat(story, case, PHONE)
    delete = BlobStore.delete_folder

    def refuse(store: BlobStore, folder: str) -> None:
        if first["id"] in folder:
            raise BlobNotDeleted(folder)
        delete(store, folder)

    with monkeypatch.context() as patch:
        patch.setattr(BlobStore, "delete_folder", refuse)
        assert redact(story, first["id"], 1).status_code == 200
    blobs = story.services.settings.home / "blobs" / case
    assert [one.name for one in blobs.iterdir()] == [first["id"]], "one that fails does not keep the others waiting"
    assert second["id"] not in str(list(blobs.rglob("*")))
    assert erasure.sweep(story.services) == 1
    assert list(blobs.iterdir()) == []


def test_two_who_sweep_at_once_do_not_trip_over_each_other(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    case = story.at("under_review")
    exhibits = [file_chat(story, case, PHONE) for _ in range(8)]
    with monkeypatch.context() as patch:
        patch.setattr(erasure, "sweep", lambda house: 0)
        redact(story, exhibits[0]["id"], 1)

    def sweep(_: Any) -> Any:
        erasure.sweep(story.services)
        return None

    at_once(story, [sweep, sweep, sweep])
    assert list((story.services.settings.home / "blobs" / case).iterdir()) == []


def test_what_uploads_left_that_never_became_exhibits_goes_once_none_can_be_under_way(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that dies between the store and the database leaves a file that no row names: maybe the same one."""
    case = story.at("under_review")
    exhibit, kept = file_chat(story, case, PHONE), file_chat(story, case, "与此无关的话")
    folder = story.services.settings.home / "blobs" / case
    for name, file in (("whole", "0" * 64), ("half", f"{'0' * 64}#1")):
        (folder / name).mkdir()
        (folder / name / file).write_text(PHONE)
    with monkeypatch.context() as patch:
        patch.setattr(erasure, "sweep", lambda house: 0)
        redact(story, exhibit["id"], 1)
    strays = [path for name in ("whole", "half") for path in (folder / name, *(folder / name).iterdir())]
    _age(strays, erasure.STRAY_AFTER.total_seconds() - 60)
    with monkeypatch.context() as patch:
        patch.setattr(BlobStore, "delete_folder", _refuse)
        assert erasure.sweep(story.services) == 0, "the exhibit's own bytes were the first that it came to"
    _age(strays, 120)
    assert erasure.sweep(story.services) == 1
    assert [one.name for one in folder.iterdir()] == [kept["id"]]


def _age(paths: list[Path], seconds: float) -> None:
    for path in paths:
        os.utime(path, (0, path.stat().st_mtime - seconds))


def _refuse(store: BlobStore, folder: str) -> None:
    """Takes note of nothing but strays that are too young to be any."""
    assert not folder.endswith(("whole", "half"))
    raise BlobNotDeleted(folder)
