"""Erasure, tried as somebody would who holds everything that is left: a dump, the home, the logs, every answer."""

from __future__ import annotations

import io
import json
import logging
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
import structlog
from click.testing import CliRunner, Result
from sqlalchemy import text as sql
from sqlalchemy.engine import make_url

from evidence.dossier.verifying import verify
from mediation import jobs, logs, scrubbing
from mediation.cli import main
from mediation.db import driver_url, make_engine
from mediation.embedded import server
from tests.mediation.searching import digests, forms, found_below, found_in, guessed, plain_values
from tests.mediation.story import PEOPLE, Story, decision
from tests.mediation.test_redactions import assert_verifies, docket

NEIGHBOURHOOD = 10_000


@dataclass
class Filed:
    """A decided case in which one number stands in many places."""

    number: str
    case: str
    exhibits: list[dict[str, Any]]
    blobs: list[bytes]

    @property
    def needles(self) -> dict[str, bytes]:
        return forms(self.number) | digests([*plain_values(self.number), *self.blobs])

    def candidates(self) -> Iterator[str]:
        base = int(self.number) // NEIGHBOURHOOD * NEIGHBOURHOOD
        return (str(base + n) for n in range(NEIGHBOURHOOD))


@pytest.fixture
def logged(story: Story, monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """All that a process says which says everything."""
    written, root = io.StringIO(), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    monkeypatch.setattr(sys, "stderr", written)
    logs.configure(replace(story.services.settings, log_level="debug", log_format="json"))
    structlog.configure(cache_logger_on_first_use=False)
    yield written
    structlog.reset_defaults()
    root.handlers[:], root.level = handlers, level


def _chat(number: str, *more: str) -> dict[str, Any]:
    said = [("buyer", "李雷", "发货了吗"), ("buyer", "李雷", number), *(("seller", "客服", one) for one in more)]
    return {
        "kind": "chat_log",
        "timezone": "Asia/Shanghai",
        "messages": [
            {"sender": {"role": role, "name": name}, "sent_at": f"2026-11-05T10:0{n}:00", "text": text}
            for n, (role, name, text) in enumerate(said)
        ],
    }


def _file(story: Story, who: str, case: str, body: dict[str, Any]) -> dict[str, Any]:
    response = story.post(who, f"/cases/{case}/exhibits", body, headers={"Idempotency-Key": secrets.token_hex(8)})
    assert response.status_code == 201, response.get_data(as_text=True)
    answer: dict[str, Any] = response.get_json()
    return answer


def _file_note(story: Story, case: str, note: str) -> dict[str, Any]:
    meta = {"kind": "other", "title": f"number {note}"}
    response = story.client.post(
        f"/v1/cases/{case}/exhibits",
        data={"meta": json.dumps(meta), "file": (io.BytesIO(note.encode()), f"{note}.txt")},
        headers=story.headers("seller", **{"Idempotency-Key": secrets.token_hex(8)}),
    )
    assert response.status_code == 201, response.get_data(as_text=True)
    answer: dict[str, Any] = response.get_json()
    return answer


def _decided(story: Story) -> Filed:
    number = f"139{secrets.randbelow(10**8):08d}"
    case = story.open()
    story.do("platform", case, "notify_seller")
    refusal = {"reason": "shipped", "statement": f"We rang {number}, nobody was there."}
    assert story.act("seller", case, "refuse", refusal, **{"Idempotency-Key": "refused"}).status_code == 200
    story.do("buyer", case, "request_mediation")
    exhibits = [
        _file(story, "buyer", case, _chat(number)),
        _file(story, "seller", case, _chat(number, "好的", "亲，明天发货")),
        _file_note(story, case, number),
    ]
    story.post("buyer", f"/cases/{case}/messages", {"text": number}, headers={"Idempotency-Key": "said"})
    story.post("mediator", f"/cases/{case}/messages", {"text": f"call {number}", "visibility": "staff"})
    finding: dict[str, Any] = {"issue": "i", "burden": "seller", "finding": "proven", "rules": [], "rejected": []}
    finding["relied_on"] = [{"exhibit": "B-1", "quotes": [{"seq": 2, "text": number}]}]
    reasons = f"The buyer gave the number {number} and was not called."
    story.do("mediator", case, "decide", decision(findings=[finding], reasons=reasons))
    blobs = [story.get("mediator", f"/exhibits/{one['id']}/content").get_data() for one in exhibits]
    return Filed(number, case, exhibits, blobs)


def _redact(story: Story, filed: Filed) -> dict[str, Any]:
    body = {"seqs": [2], "reason": "personal_data", "note": "A number the buyer asked to have taken out."}
    asked = story.post(
        "mediator", f"/exhibits/{filed.exhibits[0]['id']}/redactions", body, headers={"Idempotency-Key": "a"}
    )
    assert asked.status_code == 202, asked.get_data(as_text=True)
    done = story.post("senior", f"/redactions/{asked.get_json()['id']}/approve", headers={"Idempotency-Key": "b"})
    assert done.status_code == 200, done.get_data(as_text=True)
    answer: dict[str, Any] = done.get_json()
    return answer


def _dump(story: Story) -> bytes:
    """The whole database as pg_dump writes it."""
    if os.environ.get("DATABASE_URL"):
        program = shutil.which("pg_dump")
        if program is None:
            pytest.skip("no pg_dump on this machine for the server of DATABASE_URL")
    else:
        from mediation.embedded.wheel import PROGRAMS

        program = str(PROGRAMS / "pg_dump")
    url = make_url(driver_url(str(story.services.settings.database_url))).set(drivername="postgresql")
    done = subprocess.run(
        [program, "--format=plain", f"--dbname={url.render_as_string(hide_password=False)}"],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def _answers(story: Story, filed: Filed) -> Iterator[tuple[str, bytes]]:
    """Every answer on the case, for everyone who may ask; nothing that the API offers is left out."""
    ids = {"case_id": [filed.case], "exhibit_id": [one["id"] for one in filed.exhibits], "version": ["1"]}
    order = story.get("mediator", f"/cases/{filed.case}").get_json()["order"]["id"]
    ids["order_id"] = [order]
    for rule in story.app.url_map.iter_rules():
        if "GET" not in (rule.methods or ()) or not rule.rule.startswith("/v1"):
            continue
        assert len(rule.arguments) <= 1 and rule.arguments <= ids.keys(), f"{rule.rule} is not looked at"
        name = next(iter(rule.arguments), None)
        for value in ids[name] if name else [""]:
            path = rule.rule.replace(f"<{name}>", value)
            for who in PEOPLE:
                for query in ("?seq=2",) if path.endswith("/proof") else ("",):
                    response = story.client.get(path + query, headers=story.headers(who))
                    yield f"{who} {path}", str(response.headers).encode() + response.get_data()
                    response.close()


def _known(filed: Filed) -> list[Any]:
    """The files that were filed, as somebody knows them who knows all of them but the number."""
    number = filed.number.encode()
    return [lambda candidate, blob=blob: blob.replace(number, candidate.encode()) for blob in filed.blobs]


def test_nothing_is_left_that_holds_the_number_or_gives_it_back(story: Story, logged: io.StringIO) -> None:
    filed = _decided(story)
    hint = jobs.Hinter(str(story.services.settings.database_url))
    hint()
    hint.close()
    home = story.services.settings.home
    before = _dump(story)
    # What is searched and guessed for below is there to be found before it is erased.
    assert {"UTF-8", "digest 0, hex", "digest 4, hex", "digest 5, hex"} <= set(found_in(before, filed.needles))
    assert b"procrastinate_jobs" in before and b"mediation.sweep_refunds" in before
    assert found_below(home, filed.needles)
    assert [name for name, answer in _answers(story, filed) if found_in(answer, filed.needles)]
    assert filed.number in guessed(before, filed.candidates(), [])
    for exhibit in filed.exhibits:
        assert filed.number in guessed(exhibit["sha256"].encode(), filed.candidates(), _known(filed))

    erased = _redact(story, filed)["erased"]

    assert erased["messages"] == {"B-1": [2], "S-1": [2]}
    assert erased["exhibits"] == ["B-1", "S-1", "S-2"]
    assert erased["answers"] == 6
    names = [one["name"] for one in erased["entries"]]
    assert sorted(names) == ["reasons", "statement", "text", "text", "title"]
    assert (erased["not_searched"], erased["remains"]) == ([], [])
    after = _dump(story)
    assert found_in(after, filed.needles) == []
    assert found_below(home, filed.needles) == []
    assert list(guessed(after, filed.candidates(), _known(filed))) == []
    for name, answer in _answers(story, filed):
        assert found_in(answer, filed.needles) == [], name
    assert len(logged.getvalue()) > 1_000
    assert found_in(logged.getvalue().encode(), filed.needles) == []
    for exhibit in filed.exhibits[:2]:
        assert_verifies(story, filed.case, exhibit)
    assert docket(story, filed.case)[-1]["type"] == "redacted"
    for who in ("mediator", "buyer", "seller"):
        report = verify(io.BytesIO(story.get(who, f"/cases/{filed.case}/dossier").get_data()))
        assert report.faults == [], who


def test_nothing_is_left_of_a_person_whose_data_were_erased(story: Story) -> None:
    name, number = f"韩梅梅{secrets.token_hex(4)}", f"138{secrets.randbelow(10**8):08d}"
    body = story.case_body()
    body["buyer"]["name"] = name
    body["claims"][0]["statement"] = f"Call me at {number}."
    case = story.post("platform", "/cases", body, headers={"Idempotency-Key": "opened"}).get_json()["id"]
    story.do("platform", case, "notify_seller")
    said = [
        {"sender": {"role": "buyer", "name": name}, "sent_at": "2026-11-05T10:00:00", "text": number},
        {"sender": {"role": "seller", "name": "客服"}, "sent_at": "2026-11-05T10:01:00", "text": f"好的，{number}"},
    ]
    chat = {"kind": "chat_log", "timezone": "Asia/Shanghai", "messages": said}
    exhibits = [_file(story, who, case, chat) for who in ("buyer", "seller")]
    blobs = [story.get("mediator", f"/exhibits/{one['id']}/content").get_data() for one in exhibits]
    story.do("buyer", case, "withdraw")
    filed = Filed(number, case, exhibits, blobs)
    needles = filed.needles | {f"name, {form}": value for form, value in forms(name).items()}
    needles |= {f"name, {form}": value for form, value in digests(plain_values(name)).items()}
    assert {"UTF-8", "name, UTF-8"} <= set(found_in(_dump(story), needles))

    done = story.post("senior", f"/cases/{case}/erasures", {"side": "buyer", "reason": "personal_data"})

    assert done.status_code == 200, done.get_data(as_text=True)
    after = _dump(story)
    assert found_in(after, needles) == []
    assert found_below(story.services.settings.home, needles) == []
    assert list(guessed(after, filed.candidates(), _known(filed))) == []
    for address, answer in _answers(story, filed):
        assert found_in(answer, needles) == [], address
    for exhibit in exhibits:
        assert_verifies(story, case, exhibit)


# --- what only the disk still holds ------------------------------------------------------------------------------


def _data_folder(story: Story) -> Path:
    """Where the server of this run has its files."""
    with story.services.engine.connect() as connection:
        connection.execute(sql("SET ROLE NONE"))
        folder = Path(str(connection.scalar(sql("SHOW data_directory"))))
    if os.environ.get("DATABASE_URL") or not os.access(folder, os.R_OK | os.X_OK):
        pytest.skip("the files of the server are not ours to look at")
    return folder


def _as_owner(story: Story, *statements: str) -> None:
    engine = make_engine(str(story.services.settings.database_url), role=None)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for statement in statements:
            connection.execute(sql(statement))
    engine.dispose()


def _scrub(story: Story) -> Result:
    home, url = story.services.settings.home, str(story.services.settings.database_url)
    return CliRunner().invoke(main, ["db", "scrub", "--home", str(home)], env={"DATABASE_URL": url})


def test_after_a_scrub_nothing_is_left_on_the_disk_either(story: Story) -> None:
    folder = _data_folder(story)
    filed = _decided(story)
    # Statistics hold values too, and keep them where a table has become empty.
    _as_owner(story, "ANALYZE")
    _redact(story, filed)
    _as_owner(story, "DELETE FROM idempotent_answers", "CHECKPOINT")
    assert found_in(_values_in_statistics(story), filed.needles)
    left = found_below(folder, filed.needles)
    assert any(place.startswith("base/") for place in left)
    assert any(place.startswith("pg_wal/") for place in left)
    done = _scrub(story)
    assert done.exit_code == 0, done.output
    assert found_in(_values_in_statistics(story), filed.needles) == []
    assert found_below(folder, filed.needles) == []
    assert found_below(folder.parent, filed.needles) == []
    assert _scrub(story).exit_code == 0


def _values_in_statistics(story: Story) -> bytes:
    with story.services.engine.connect() as connection:
        connection.execute(sql("SET ROLE NONE"))
        rows = connection.execute(sql("SELECT most_common_vals::text, histogram_bounds::text FROM pg_stats"))
        return "".join(map(str, rows)).encode()


def test_a_scrub_says_what_somebody_still_sees(story: Story) -> None:
    filed = _decided(story)
    url = str(story.services.settings.database_url)
    with story.services.engine.connect() as reader:
        reader.execute(sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        reader.execute(sql("SELECT 1 FROM orders"))
        _redact(story, filed)
        stays = scrubbing.scrub(url, lambda said: None, patience=0)
    assert [line for line in stays if line.startswith("docket_openings: ") and "still sees" in line], stays
    assert not any(line.startswith("docket_openings: ") for line in scrubbing.scrub(url, lambda said: None))


def test_a_scrub_by_somebody_who_may_not_says_so(story: Story) -> None:
    url = str(story.services.settings.database_url)
    stays = scrubbing.scrub(f"{url}{'&' if '?' in url else '?'}options=-c%20role%3Dmediation_app", lambda said: None)
    assert [line.partition(":")[0] for line in stays] == [*scrubbing.TABLES, scrubbing.STATISTICS, "write-ahead log"]


def test_segments_that_a_server_keeps_for_use_again_are_overwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not our embedded one, which keeps none; others do, and so did a home of an earlier release."""
    monkeypatch.setattr(server, "SETTINGS", server.SETTINGS | {"wal_recycle": "on", "min_wal_size": "160MB"})
    needle, home = secrets.token_hex(16), Path(tempfile.mkdtemp(prefix="m-"))
    log = home / "postgres" / "pg_wal"
    with server.running(home, durable=False) as embedded:
        conninfo = make_url(embedded.url()).set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(conninfo, autocommit=True) as connection:
            connection.execute("CREATE TABLE said (words text)")
            for _ in range(4):
                connection.execute(f"INSERT INTO said SELECT '{needle}' || n FROM generate_series(1, 150000) n")
            connection.execute("DROP TABLE said")
            connection.execute("CHECKPOINT")
            assert len(found_below(log, {"it": needle.encode()})) > 1
            assert list(scrubbing.let_go_of_log(connection)) == []
            assert found_below(log, {"it": needle.encode()}) == []
    shutil.rmtree(home)
