"""The pages that are made from the code say what the code says."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from mediation.cli import main
from workflows import diagram
from workflows.states import CaseState
from workflows.steps import STEPS

PAGE = Path(__file__).parent.parent / "docs" / "lifecycle.md"


def test_the_page_of_the_lifecycle_is_not_stale() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == diagram.refreshed(page), "run `make docs`"


def test_a_stale_page_would_be_seen() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert diagram.refreshed(page.replace("lapse", "collapse")) != page.replace("lapse", "collapse")
    assert diagram.mermaid(STEPS[:-1]) != diagram.mermaid()


def test_the_diagram_knows_every_state_and_action() -> None:
    drawn, listed = diagram.mermaid(), diagram.table()
    for state in CaseState:
        assert state is CaseState.SUSPENDED or f" {state.value}" in drawn, state
        assert state.value in listed, state
    for step in STEPS:
        assert f"| {step.action} |" in listed, step


def test_the_procedure_is_printed_as_table_and_diagram() -> None:
    runner = CliRunner()
    whole = runner.invoke(main, ["procedure"])
    assert whole.exit_code == 0
    assert whole.output == f"{diagram.table()}\n\n{diagram.mermaid()}\n"
    assert runner.invoke(main, ["procedure", "--table"]).output == f"{diagram.table()}\n"
    assert runner.invoke(main, ["procedure", "--diagram"]).output == f"{diagram.mermaid()}\n"


def test_a_page_without_marks_is_refused_and_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing to see\n", encoding="utf-8")
    refused = CliRunner().invoke(main, ["procedure", "--write", str(page)])
    assert refused.exit_code == 1
    assert "marks" in refused.output
    assert page.read_text(encoding="utf-8") == "nothing to see\n"
    with pytest.raises(ValueError, match="marks"):
        diagram.refreshed("")
