"""The import law of ARCHITECTURE.md holds, and whoever breaks it is caught: each contract is broken once on purpose."""

from __future__ import annotations

import configparser
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("mediation", "workflows", "evidence", "migrations")
LINT = Path(sys.executable).with_name("lint-imports")

#: contract -> (file, line) that breaks it, each tried on its own.
BREACHES: dict[str, list[tuple[str, str]]] = {
    "leaves-do-not-import-the-application": [
        ("workflows/guards.py", "import evidence.chain"),
        ("evidence/labels.py", "from workflows import states"),
    ],
    "leaves-never-look-back": [
        ("workflows/acts.py", "from mediation import errors"),
        ("evidence/store.py", "def late() -> None:\n    import mediation.settings"),
        ("evidence/chain.py", "import migrations"),
    ],
    "leaves-are-free-of-frameworks": [
        ("workflows/remedies.py", "import sqlalchemy"),
        ("workflows/states.py", "from marshmallow import Schema"),
        ("evidence/quotes.py", "from flask import request"),
    ],
    "inside-the-application": [
        ("mediation/docket.py", "from mediation.operations import orders"),
        ("mediation/operations/messages.py", "from mediation.api import lists"),
        ("mediation/models/staff.py", "from mediation import docket"),
        ("mediation/db.py", "from mediation.models import Case"),
        ("mediation/api/lists.py", "from mediation import worker"),
    ],
    "one-door": [
        ("mediation/operations/messages.py", "from workflows import procedure"),
        ("mediation/api/lists.py", "from workflows.procedure import fire"),
        ("mediation/worker.py", "import workflows.procedure"),
    ],
    "migrations-are-frozen": [
        ("migrations/versions/0001_the_spine.py", "from mediation.db import APPLICATION_ROLE"),
        ("migrations/versions/0001_the_spine.py", "from workflows.states import CaseState"),
        ("migrations/versions/0001_the_spine.py", "import evidence"),
    ],
}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the packages and their contracts, to break things in."""
    copy = tmp_path_factory.mktemp("house")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "setup.cfg", copy)
    return copy


def _lint(folder: Path, *contracts: str) -> tuple[int, str]:
    """(exit code, report) of import-linter over the packages in a folder."""
    asked = [word for contract in contracts for word in ("--contract", contract)]
    done = subprocess.run(
        [LINT, "--no-cache", "--no-logo", *asked], cwd=folder, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


def test_the_import_law_holds() -> None:
    code, report = _lint(ROOT)
    assert code == 0, report
    assert f"Contracts: {len(BREACHES)} kept, 0 broken." in report


def test_a_copy_of_the_house_keeps_the_law_too(house: Path) -> None:
    """The control of the planted breaches: what they add is all that is wrong."""
    code, report = _lint(house)
    assert code == 0, report


def test_every_contract_has_its_planted_breach() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    prefix = "importlinter:contract:"
    assert {name.removeprefix(prefix) for name in setup.sections() if name.startswith(prefix)} == BREACHES.keys()
    assert setup["importlinter"]["root_packages"].split() == list(PACKAGES)


@pytest.mark.parametrize(
    ("contract", "file", "line"), [(contract, *breach) for contract, several in BREACHES.items() for breach in several]
)
def test_a_planted_breach_is_caught(house: Path, contract: str, file: str, line: str) -> None:
    path = house / file
    sound = path.read_text(encoding="utf-8")
    path.write_text(f"{sound}\n\n{line}\n", encoding="utf-8")
    try:
        code, report = _lint(house, contract)
    finally:
        path.write_text(sound, encoding="utf-8")
    assert code == 1, report
    assert "0 kept, 1 broken" in report
    assert "is not allowed to import" in report or "not allowed" in report
