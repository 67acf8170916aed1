"""`mediation transcript`: what an import gives, shown before anything is filed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from evidence.transcripts.importers import importers
from mediation.cli import main
from tests.evidence.test_importers import ALL, expected_of, packed

TALK = "[2026-11-05, 08:00] Kim: Hello\x1b[2J\n[2026-11-08, 08:00] Shop: Hello\n"


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    path = tmp_path / "talk.txt"
    path.write_text("[2026-11-05, 08:00] Kim: Hello\n[2026-11-08, 09:30] Shop: Good\u202egnineve\n", encoding="utf-8")
    return path


def run(*args: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, ["transcript", *args], env={"COLUMNS": "120"})
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


def test_messages_senders_gaps_and_problems_are_shown(talk: Path) -> None:
    status, out, err = run(str(talk), "--timezone", "Asia/Shanghai", "--buyer", "Kim")
    assert (status, err) == (0, "")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[:8] == [
        f"format signal: {importers()['signal'].TITLE}",
        "file text/plain, utf-8",
        "messages 2: 2 text",
        "from, to 2026-11-05 08:00:00 to 2026-11-08 09:30:00 (Asia/Shanghai)",
        "sender Kim: 1 message, buyer",
        "sender Shop: 1 message, staff",
        "gap 73.5 hours between messages 1 and 2",
        "problem line 2: its sender was named for neither side and counts as staff (sender_not_named)",
    ]
    assert lines[10:] == [
        "1 2026-11-05 08:00:00 buyer Kim Hello",
        "2 2026-11-08 09:30:00 staff Shop Good\ufffdgnineve",
    ]


def test_silences_are_told_from_the_length_that_is_asked_for(talk: Path) -> None:
    assert "hours between" not in run(str(talk), "--timezone", "UTC", "--gap", "74")[1]
    assert "hours between" in run(str(talk), "--timezone", "UTC", "--gap", "73")[1]


def test_a_zone_that_is_missing_is_asked_for_by_its_option_with_the_senders(talk: Path) -> None:
    status, out, err = run(str(talk))
    assert (status, out) == (1, "")
    assert err.splitlines() == [
        "sender      Kim: 1 message",
        "sender      Shop: 1 message",
        "Error: the times in this file are local: state their zone, such as Asia/Shanghai (timezone_needed); "
        "give --timezone Asia/Shanghai",
    ]


def test_dates_that_can_be_read_in_two_ways_are_asked_for_with_the_senders(tmp_path: Path) -> None:
    path = tmp_path / "w.txt"
    path.write_text("03/04/26, 09:12 - Ana: hi\n", encoding="utf-8")
    status, _, err = run(str(path), "--timezone", "Europe/Madrid")
    assert status == 1
    assert "--date-order" in err and "Ana: 1 message" in err
    status, out, _ = run(str(path), "--timezone", "Europe/Madrid", "--date-order", "mdy")
    assert (status, "2026-03-04 09:12:00" in out) == (0, True)


def test_somebody_who_says_nothing_is_told_with_those_who_do(talk: Path) -> None:
    status, _, err = run(str(talk), "--timezone", "UTC", "--buyer", "Kam")
    assert status == 1
    assert "unknown_participant" in err and "Kim: 1 message" in err and "Shop: 1 message" in err


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--buyer", "Kim", "--seller", "Kim"], "once only"),
        (["--date-order", "yyy"], "--date-order"),
        (["--gap", "0"], "--gap"),
        (["--limit", "-1"], "--limit"),
        (["--timezone", "Mars/Base"], "--timezone"),
        (["--format", "fax"], "--format"),
    ],
)
def test_what_is_asked_wrongly_is_told_in_a_line(talk: Path, args: list[str], words: str) -> None:
    code, _, err = run(str(talk), *args)
    assert code == 2
    assert words in err.splitlines()[-1] and "Traceback" not in err


def test_a_format_that_does_not_fit_is_refused(talk: Path) -> None:
    status, _, err = run(str(talk), "--format", "slack")
    assert (status, "not_this_format" in err, len(err.splitlines())) == (1, True, 1)


def test_a_file_that_is_not_admitted_is_told_why(tmp_path: Path) -> None:
    path = tmp_path / "talk.txt"
    path.write_text(TALK, encoding="utf-8")
    status, _, err = run(str(path))
    assert (status, "control_character" in err) == (1, True)
    assert run(str(tmp_path / "none.txt"))[0] == 2


def test_what_would_steer_a_terminal_stays_in_the_file(tmp_path: Path) -> None:
    """JSON can escape what no text may hold; neither the table nor the JSON that is printed brings it to life."""
    said = {
        "type": "message",
        "date_unixtime": "1793869260",
        "from": "Kim\nproblem     none\u202e",
        "text": "\x1b[2J\x9b31m\x07\u2066 \u202e fine\nnext \u200d",
        "file": "a\x1b]0;title\x07.pdf",
    }
    path = tmp_path / "chat.json"
    path.write_text(json.dumps({"messages": [said]}), encoding="utf-8")
    for args in ([], ["--json"]):
        status, out, err = run(str(path), *args)
        assert (status, err) == (0, "")
        # What Python takes for printable neither moves the cursor nor turns the writing; a joiner only joins.
        assert not [one for one in out if one not in "\n\u200d" and not one.isprintable()]
    assert json.loads(run(str(path), "--json")[1])["messages"][0]["text"] == said["text"]
    # A name cannot pass for a line of ours.
    assert not [line for line in run(str(path))[1].splitlines() if line.startswith("problem     none")]


@pytest.mark.parametrize("path", ALL, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_sample_is_shown_as_json(path: Path, tmp_path: Path) -> None:
    expected = expected_of(path)
    copy = tmp_path / path.name
    copy.write_bytes(packed(path))
    args = ["--timezone", expected["timezone"]] if expected["timezone"] else []
    args += ["--date-order", expected["date_order"]] if expected["date_order"] else []
    status, out, err = run(str(copy), "--json", *args)
    assert status == 0, err
    found = json.loads(out)
    assert found["format"] == path.parent.name
    assert (found["encoding"] is None) == path.name.endswith(".zip")
    assert sum(one["messages"] for one in found["senders"]) <= len(found["messages"])
    assert [one["text"] for one in found["messages"]] == [one["text"] for one in expected["messages"]]


def test_a_long_log_is_cut_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "long.txt"
    path.write_text("".join(f"[2026-11-05, 08:{n:02}] Kim: m{n}\n" for n in range(60)))
    assert "20 more; --all prints them" in run(str(path), "--timezone", "UTC")[1]
    assert "m59" in run(str(path), "--timezone", "UTC", "--all")[1]
    assert "m1" not in run(str(path), "--timezone", "UTC", "--limit", "0")[1]
    assert len(json.loads(run(str(path), "--timezone", "UTC", "--json")[1])["messages"]) == 60


def test_a_long_text_is_shown_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "long.txt"
    path.write_text(f"[2026-11-05, 08:00] Kim: {'壶' * 300}。\n", encoding="utf-8")
    out = run(str(path), "--timezone", "UTC")[1]
    assert (out.count("壶"), out.count("。")) == (300, 1)


def test_many_senders_are_cut_too(tmp_path: Path) -> None:
    path = tmp_path / "many.txt"
    path.write_text("".join(f"[2026-11-05, 08:00] Kim{n}: hi\n" for n in range(30)), encoding="utf-8")
    out = run(str(path), "--timezone", "UTC")[1]
    assert ("Kim19: 1 message" in out, "Kim20: 1 message" in out) == (True, False)
    assert "and 10 more; --all prints them" in out
    assert "Kim29: 1 message" in run(str(path), "--timezone", "UTC", "--all")[1]
    assert "and 10 more" in run(str(path))[2]


def test_times_at_the_end_of_the_calendar_are_shown(tmp_path: Path) -> None:
    path = tmp_path / "far.json"
    one = {"sender": {"role": "buyer", "name": "x"}, "sent_at": "0001-01-01T00:00:00Z", "text": "first"}
    path.write_text(json.dumps([one, {**one, "sent_at": "9999-12-31T23:59:59Z"}]), encoding="utf-8")
    for zone in ("America/New_York", "Asia/Shanghai"):
        status, out, _ = run(str(path), "--timezone", zone)
        assert status == 0 and "first" in out


def test_progress_is_shown_where_somebody_looks_and_the_file_is_big(tmp_path: Path) -> None:
    path = tmp_path / "big.txt"
    path.write_text("".join(f"[2026-11-05, 08:00] Kim: {n} {'x' * 400}\n" for n in range(4_000)), encoding="utf-8")
    seen = {"TTY_COMPATIBLE": "1", "FORCE_COLOR": "1", "COLUMNS": "100"}
    shown = CliRunner().invoke(main, ["transcript", str(path), "--timezone", "UTC", "--limit", "0"], env=seen)
    assert (shown.exit_code, "reading" in shown.stderr) == (0, True)
    small = tmp_path / "small.txt"
    small.write_text("[2026-11-05, 08:00] Kim: hi\n", encoding="utf-8")
    assert CliRunner().invoke(main, ["transcript", str(small), "--timezone", "UTC"], env=seen).stderr == ""
    assert run(str(path), "--timezone", "UTC", "--limit", "0")[2] == ""


def test_it_needs_no_settings_and_no_database(talk: Path) -> None:
    """Settings that would stop anything else."""
    env = {"DATABASE_URL": "postgresql://nowhere.invalid/none", "TOKEN_KEY": "", "MEDIATION_HOME": "/dev/null/x"}
    result = CliRunner().invoke(main, ["transcript", str(talk), "--timezone", "UTC"], env=env)
    assert (result.exit_code, result.stderr) == (0, "")


def test_the_help_names_every_format() -> None:
    status, out, _ = run("--help")
    assert status == 0
    assert all(name in out for name in importers())
