"""Verifying from the command line: what it prints, how it ends, and how little it needs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import click.testing
import pytest

from evidence.dossier import command
from evidence.dossier.faults import MAX_FAULTS
from mediation.cli import main as mediation
from tests.evidence.dossiers import Made, key, members_of, public_pem, rich
from tests.evidence.resealing import archived, stale
from tests.evidence.tampering import flipped

EVIDENCE = Path(__file__).parents[2] / "evidence"


@pytest.fixture(scope="module")
def made() -> Made:
    return rich()


@pytest.fixture
def folder(tmp_path: Path, made: Made) -> Path:
    """A folder with a dossier, an altered one, keys, and what was kept from before."""
    start = made.data.index(members_of(made.data)["case.json"])
    (tmp_path / "case.zip").write_bytes(made.data)
    (tmp_path / "altered.zip").write_bytes(flipped(made.data, start, 0))
    (tmp_path / "key.pem").write_bytes(made.pem)
    (tmp_path / "other.pem").write_bytes(public_pem(7))
    (tmp_path / "receipt.jws").write_text(f"{made.receipts[0]}\n")
    (tmp_path / "answer.json").write_text(json.dumps({"label": "B-1", "receipt": made.receipts[0]}))
    (tmp_path / "head.json").write_text(json.dumps({"seq": 12, "seal": made.receipts[-1]}))
    (tmp_path / "seal.json").write_text(json.dumps({"seal": {"seq": 12, "jws": made.receipts[-1]}}))
    (tmp_path / "none.json").write_text(json.dumps({"receipt": None}))
    return tmp_path


class _Both:
    """Runs `mediation verify` and `mediation-verify`, which must say the same."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(folder)
        self._capsys = capsys

    def __call__(self, *words: str) -> tuple[int, str]:
        code = command.main(words)
        said = self._capsys.readouterr()
        ran = click.testing.CliRunner().invoke(mediation, ["verify", *words])
        assert ran.exit_code == code
        assert ran.stdout == said.out
        if code == command.NOT_ASKED_RIGHT:
            assert said.err.strip() in ran.stderr
            assert not said.out
            return code, said.err
        assert not said.err
        return code, said.out


@pytest.fixture
def run(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> _Both:
    return _Both(folder, capsys, monkeypatch)


def test_an_intact_dossier_says_by_whom_it_was_signed_and_whether_that_was_checked(run: _Both) -> None:
    signed = f"intact, signed by {key(1).kid}"
    assert run("case.zip") == (0, f"{signed}, key not checked\n")
    assert run("case.zip", "--key", "key.pem") == (0, f"{signed}\n")


def test_another_key_than_the_readers_is_named(run: _Both) -> None:
    code, said = run("case.zip", "--key", "other.pem")
    assert code == 1
    assert said.startswith("verify/manifest.jws, signature: ")
    assert key(1).kid in said


def test_each_fault_is_one_line_of_file_place_and_what(run: _Both) -> None:
    code, said = run("altered.zip")
    assert code == 1
    assert said.splitlines() == [
        "case.json, contents: they do not give the CRC-32 of the local header",
        "case.json, contents: they are not those that the manifest names",
        "case.json, contents: it is not JSON in UTF-8",
    ]


def test_the_report_as_json_holds_all_of_it(run: _Both) -> None:
    code, said = run("altered.zip", "--json", "--key", "key.pem")
    report: dict[str, Any] = json.loads(said)
    assert code == 1
    assert (report["intact"], report["signed_by"], report["key_checked"]) == (False, key(1).kid, True)
    assert [fault["code"] for fault in report["faults"]] == ["crc", "digest", "not_json"]
    assert report["counts"]["entries"] == 12
    assert run("case.zip", "--json")[0] == 0


@pytest.mark.parametrize("kept", ["receipt.jws", "answer.json", "head.json", "seal.json"])
def test_receipts_are_taken_in_the_forms_in_which_they_were_given(run: _Both, kept: str) -> None:
    assert run("case.zip", "--receipt", kept)[0] == 0


def test_several_receipts_are_told_apart(run: _Both, folder: Path) -> None:
    (folder / "forged.jws").write_text("e30.e30.e30")
    code, said = run("case.zip", "--receipt", "receipt.jws", "--receipt", "forged.jws")
    assert code == 1
    assert said.startswith("receipt 2, signature: ")


@pytest.mark.parametrize(
    "words",
    [
        ("missing.zip",),
        (".",),
        ("case.zip", "--key", "missing.pem"),
        ("case.zip", "--key", "case.zip"),
        ("case.zip", "--key", "receipt.jws"),
        ("case.zip", "--receipt", "missing.jws"),
        ("case.zip", "--receipt", "none.json"),
        ("case.zip", "--receipt", "key.pem"),
        ("case.zip", "--receipt", "case.zip"),
    ],
)
def test_what_cannot_be_read_ends_in_two_and_one_line(run: _Both, words: tuple[str, ...]) -> None:
    code, said = run(*words)
    assert code == 2
    assert len(said.splitlines()) == 1
    assert words[-1] in said


def test_a_file_too_large_to_be_a_key_is_not_read_whole(run: _Both, folder: Path) -> None:
    with (folder / "large").open("wb") as large:
        large.truncate(1 << 40)
    assert run("case.zip", "--key", "large")[0] == 2


@pytest.mark.parametrize("words", [[], ["case.zip", "--unknown"], ["one.zip", "two.zip"]])
def test_a_wrong_call_ends_in_two(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(words)
    assert ended.value.code == 2
    assert "usage: mediation-verify" in capsys.readouterr().err


def test_the_help_tells_of_keys_receipts_and_exit_status(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["--help"])
    ours = capsys.readouterr().out
    theirs = click.testing.CliRunner().invoke(mediation, ["verify", "--help"]).stdout
    for said in (ours, theirs):
        assert "--key PEM" in said and "--receipt FILE" in said and "--json" in said
        assert "xit status: 0 intact" in said


def test_more_faults_than_are_told_are_counted(run: _Both, folder: Path, made: Made) -> None:
    members = members_of(made.data)
    (folder / "many.zip").write_bytes(stale({**members, "docket.jsonl": b"\n" * 5_000}))
    code, said = run("many.zip")
    assert code == 1
    assert len(said.splitlines()) == MAX_FAULTS + 1
    assert said.splitlines()[-1].startswith("and ")


def test_what_a_name_says_to_a_terminal_is_not_passed_on(run: _Both, folder: Path) -> None:
    (folder / "odd.zip").write_bytes(archived([("a\x1b[2J\n\x9b1mb", b"{}")]))
    code, said = run("odd.zip")
    assert code == 1
    assert "\x1b" not in said and "\x9b" not in said


# --- how little it needs -------------------------------------------------------------------------------------------

ALLOWED = {"cffi", "cryptography", "evidence", "joserfc", "orjson", "rfc8785", "_cffi_backend"}


def test_it_imports_nothing_but_its_four_libraries(folder: Path) -> None:
    script = (
        "import sys\n"
        "before = {name.partition('.')[0] for name in sys.modules}\n"
        "from evidence.dossier.command import main\n"
        "import evidence.dossier.writing\n"
        "code = main(['case.zip', '--key', 'key.pem', '--receipt', 'receipt.jws'])\n"
        "after = {name.partition('.')[0] for name in sys.modules}\n"
        "print(sorted(after - before - set(sys.stdlib_module_names)))\n"
        "sys.exit(code)\n"
    )
    environment = os.environ | {"PYTHONPATH": str(EVIDENCE.parent)}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    said, imported = done.stdout.splitlines()
    assert said == f"intact, signed by {key(1).kid}"
    found = {name for name in json.loads(imported.replace("'", '"')) if not name.startswith("_")}
    assert {"cryptography", "joserfc", "orjson", "rfc8785", "evidence"} <= found <= ALLOWED


def test_it_runs_as_a_module(folder: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(EVIDENCE.parent)}
    words = [sys.executable, "-m", "evidence.dossier", "altered.zip"]
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout.startswith("case.json, contents: ")


def test_the_package_that_is_installed_alone_has_every_module_and_those_libraries() -> None:
    project = tomllib.loads((EVIDENCE / "pyproject.toml").read_text(encoding="utf-8"))
    packages = {
        ".".join(("evidence", *path.parent.relative_to(EVIDENCE).parts)) for path in EVIDENCE.rglob("__init__.py")
    }
    assert set(project["tool"]["setuptools"]["packages"]) == packages
    assert project["project"]["dependencies"] == ["cryptography", "joserfc", "orjson", "rfc8785"]
    module, _, function = project["project"]["scripts"]["mediation-verify"].partition(":")
    assert getattr(sys.modules[module], function) is command.main
