"""The eight stories that `mediation demo` can play, over HTTP in a sandbox, and what each of them comes to."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from flask import Flask, Response, request
from sqlalchemy import text
from structlog.testing import capture_logs

from mediation import create_app, supervisor
from mediation.cli import main
from mediation.demo import checks
from mediation.demo.errors import Broken
from mediation.demo.stories import STORIES
from mediation.services import Services
from mediation.settings import Settings
from tests.mediation.conftest import make_services, make_settings
from tests.mediation.served import Served, load_shipped_policies, serving, working
from tests.mediation.story import Story, money
from tests.mediation.test_up import Up

OPEN = [("buyer", "open", "opened"), ("clock", "notify_seller", "seller_notified")]
IN_REVIEW = [*OPEN, ("seller", "refuse", "seller_refused"), ("buyer", "request_mediation", "under_review")]
SETTLED = ("gateway", "settle_refund", "refunded")


@dataclass
class Comes:
    """What a story comes to: every entry with who made it and where it led, the outcome, sums in minor units.

    `fired` are the deadlines whose time ran out, in order. `ledger` are the movements, as (account, purpose, amount).
    """

    course: list[tuple[str, str, str]]
    outcome: str
    paid: int
    refunded: int
    fired: list[str]
    ledger: list[tuple[str, str, int]]


COMES: dict[str, Comes] = {
    "never-shipped": Comes(
        [*OPEN, ("clock", "agree", "refund"), SETTLED],
        "buyer_favour",
        19_900,
        19_900,
        ["notification", "response"],
        [("seller", "liability", -19_900), ("buyer", "refund", 19_900)],
    ),
    "return-and-refund": Comes(
        [
            *OPEN,
            ("seller", "agree", "awaiting_return"),
            ("buyer", "ship_return", "awaiting_inspection"),
            ("seller", "confirm_return", "refund"),
            SETTLED,
        ],
        "settled",
        8_950,
        8_950,
        ["notification"],
        [("seller", "liability", -8_950), ("buyer", "refund", 8_950)],
    ),
    "no-money-back": Comes(
        [
            *OPEN,
            ("seller", "agree", "awaiting_return"),
            ("buyer", "ship_return", "awaiting_inspection"),
            ("mediator", "refund_now", "refund"),
            SETTLED,
        ],
        "buyer_favour",
        31_500,
        31_500,
        ["notification"],
        [("seller", "liability", -31_500), ("buyer", "refund", 31_500)],
    ),
    "exchange": Comes(
        [
            *OPEN,
            ("seller", "agree", "awaiting_return"),
            ("buyer", "ship_return", "awaiting_inspection"),
            ("seller", "confirm_return", "awaiting_performance"),
            ("seller", "perform", "awaiting_performance"),
            ("buyer", "confirm_performance", "closed"),
        ],
        "settled",
        45_900,
        0,
        ["notification"],
        [],
    ),
    "reship-never-done": Comes(
        [*OPEN, ("seller", "agree", "awaiting_performance"), ("clock", "refund_in_place", "refund"), SETTLED],
        "settled",
        26_000,
        26_000,
        ["notification", "performance"],
        [("seller", "liability", -26_000), ("buyer", "refund", 26_000)],
    ),
    "evidence-default": Comes(
        [
            *IN_REVIEW,
            ("mediator", "request_evidence", "awaiting_evidence"),
            ("buyer", "exhibit_filed", "awaiting_evidence"),
            ("clock", "default_evidence", "under_review"),
            ("mediator", "decide", "decided"),
            ("buyer", "accept_decision", "decided"),
            ("clock", "finalise", "refund"),
            SETTLED,
        ],
        "buyer_favour",
        38_000,
        38_000,
        ["notification", "evidence", "appeal"],
        [("seller", "liability", -38_000), ("buyer", "refund", 38_000)],
    ),
    "two-claims": Comes(
        [
            *IN_REVIEW,
            ("mediator", "decide", "decided"),
            ("buyer", "accept_decision", "decided"),
            ("seller", "accept_decision", "decided"),
            ("system", "finalise", "awaiting_return"),
            ("buyer", "ship_return", "awaiting_inspection"),
            ("seller", "confirm_return", "awaiting_performance"),
            ("seller", "perform", "awaiting_performance"),
            ("buyer", "confirm_performance", "refund"),
            SETTLED,
        ],
        "buyer_favour",
        36_800,
        29_900,
        ["notification"],
        [("seller", "liability", -31_100), ("buyer", "refund", 29_900), ("buyer", "freight", 1_200)],
    ),
    "above-authority": Comes(
        [
            *IN_REVIEW,
            ("mediator", "decide", "escalated"),
            ("senior", "approve", "decided"),
            ("seller", "appeal", "escalated"),
            ("buyer", "appeal", "escalated"),
            ("senior", "take", "escalated"),
            ("senior", "decide", "decided"),
            ("system", "finalise", "refund"),
            SETTLED,
        ],
        "split",
        128_800,
        100_001,
        ["notification"],
        [("seller", "liability", -66_668), ("carrier", "liability", -33_333), ("buyer", "refund", 100_001)],
    ),
}


@pytest.fixture(scope="module")
def sandbox(module_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A sandbox under the shipped policies, its worker at work while its time is moved on."""
    settings = make_settings(module_database, tmp_path_factory.mktemp("home"), sandbox=True)
    services = make_services(settings)
    load_shipped_policies(services)
    # Unconfigured, the log of the API would be written among the lines of the story.
    with capture_logs(), serving(create_app(settings, services)) as url, working(services):
        yield Served(url, settings.home, services)
    services.engine.dispose()


def _reader(served: Served) -> Story:
    """Who looks at what a story left behind, apart from those who played it."""
    return Story(create_app(served.services.settings, served.services), served.services)


def _played(output: str) -> str:
    """The id of the case that a story left behind."""
    found = re.search(r"stays on file: http://\S+/v1/cases/(\S+)", output)
    assert found, output
    return found.group(1)


def _require(served: Served, case_id: str, comes: Comes, currency: str) -> None:
    """The case has come to what its story comes to, by the API's answers and by the database."""
    reader = _reader(served)
    case = reader.get("senior", f"/cases/{case_id}").get_json()
    entries = reader.get("senior", f"/cases/{case_id}/docket?limit=100").get_json()["items"]
    course = [(checks.opened(entry, "actor")["role"], entry["type"], entry["to"]) for entry in entries]
    assert course == comes.course
    assert [entry["from"] for entry in entries] == [None, *(to for _, _, to in course[:-1])]
    assert (case["state"], case["outcome"], case["waiting_on"]) == (comes.course[-1][2], comes.outcome, None)
    assert (case["deadline"], case["deadlines"], case["legs"]) == (None, [], [])
    order = reader.get("platform", f"/orders/{case['order']['id']}").get_json()
    sums = {"paid": comes.paid, "refunded": comes.refunded, "reserved": 0}
    assert {name: order[name] for name in sums} == {name: money(sum_, currency) for name, sum_ in sums.items()}
    with served.services.engine.connect() as connection:
        movements = connection.execute(
            text(
                "SELECT split_part(account, ':', 1), purpose, amount_minor FROM ledger_entries "
                "WHERE case_id = :case AND currency = :currency ORDER BY n"
            ),
            {"case": case_id, "currency": currency},
        )
        assert [tuple(row) for row in movements] == comes.ledger
        deadlines = connection.execute(
            text("SELECT kind, ended, done_at FROM deadlines WHERE case_id = :case ORDER BY done_at, id"),
            {"case": case_id},
        ).all()
    assert all(row.done_at is not None for row in deadlines)
    assert [row.kind for row in deadlines if row.ended == "fired"] == comes.fired
    assert {row.ended for row in deadlines} <= {"fired", "ended"}


def test_there_are_eight_stories_beside_the_kettles() -> None:
    assert list(STORIES) == ["kettle", *(name for name in STORIES if name in COMES)]
    assert len(COMES) == 8


@pytest.mark.parametrize("name", COMES)
def test_a_story_comes_to_what_it_says(sandbox: Served, name: str) -> None:
    done = sandbox.demo("--story", name)
    assert done.exit_code == 0, done.output
    assert "the mediator's copy: chain of" in done.stdout
    _require(sandbox, _played(done.stdout), COMES[name], "CNY")


def _decimals(amount: int, digits: int) -> str:
    return f"{amount / 10**digits:.{digits}f}"


@pytest.mark.parametrize(("name", "currency", "digits"), [("two-claims", "KWD", 3), ("above-authority", "JPY", 0)])
def test_a_story_comes_to_the_same_in_a_currency_with_other_decimals(
    sandbox: Served, name: str, currency: str, digits: int
) -> None:
    done = sandbox.demo("--story", name, "--currency", currency)
    assert done.exit_code == 0, done.output
    _require(sandbox, _played(done.stdout), COMES[name], currency)
    assert f"paid {_decimals(COMES[name].paid, digits)} {currency}, reserved" in done.stdout
    assert "CNY" not in done.stdout


def test_the_whole_ledger_sums_to_zero_in_each_currency(sandbox: Served) -> None:
    for currency in ("CNY", "KWD"):
        assert sandbox.demo("--story", "never-shipped", "--currency", currency).exit_code == 0
    with sandbox.services.engine.connect() as connection:
        query = text("SELECT currency, sum(amount_minor) FROM ledger_entries GROUP BY currency")
        sums = dict(connection.execute(query).all())
    assert {"CNY", "KWD"} <= sums.keys()
    assert set(sums.values()) == {0}


def test_the_decision_cites_the_silence_of_the_side_that_kept_silent(sandbox: Served) -> None:
    done = sandbox.demo("--story", "evidence-default")
    assert done.exit_code == 0, done.output
    case, reader = _played(done.stdout), _reader(sandbox)
    (asked,) = reader.get("mediator", f"/cases/{case}/evidence-requests").get_json()["items"]
    assert [(item["side"], item["status"]) for item in asked["items"]] == [
        ("buyer", "answered"),
        ("seller", "defaulted"),
    ]
    (decision,) = reader.get("mediator", f"/cases/{case}/decisions").get_json()["items"]
    assert decision["findings"][0]["defaults"] == [{"request": asked["id"], "side": "seller"}]


def test_two_claims_have_two_remedies_and_their_legs_come_in_order(sandbox: Served) -> None:
    done = sandbox.demo("--story", "two-claims")
    assert done.exit_code == 0, done.output
    told = ["still to do: return, then performance, then refund", "still to do: performance, then refund", "→ refund,"]
    assert [done.stdout.index(one) for one in told] == sorted(done.stdout.index(one) for one in told)
    (decision,) = _reader(sandbox).get("mediator", f"/cases/{_played(done.stdout)}/decisions").get_json()["items"]
    kinds = [item["remedy"]["kind"] for item in decision["dispositions"]]
    assert kinds == ["return_and_refund", "reship"]


def test_both_sides_appeal_and_the_second_decision_is_the_last(sandbox: Served) -> None:
    done = sandbox.demo("--story", "above-authority")
    assert done.exit_code == 0, done.output
    assert "403 own_decision_appealed" in done.stdout
    first, second = _reader(sandbox).get("senior", f"/cases/{_played(done.stdout)}/decisions").get_json()["items"]
    assert sorted(appeal["side"] for appeal in first["appeals"]) == ["buyer", "seller"]
    assert (first["decided_by"], first["approved_by"], second["decided_by"]) == ("mediator-1", "senior-2", "senior-1")
    assert (first["status"], second["status"], second["on_appeal"]) == ("overturned", "final", True)


# --- asking for a story ------------------------------------------------------------------------------------------


def test_the_stories_are_listed_with_a_line_each() -> None:
    listed = CliRunner().invoke(main, ["demo", "--list"])
    assert listed.exit_code == 0
    assert [line.split()[0] for line in listed.output.splitlines()] == list(STORIES)
    helped = CliRunner().invoke(main, ["demo", "--help"])
    assert listed.output in re.sub("(?m)^  ", "", helped.output) + "\n"


def test_a_story_nobody_knows_is_refused_with_those_there_are() -> None:
    done = CliRunner().invoke(main, ["demo", "--story", "cinderella"])
    assert done.exit_code == 2
    assert all(f"'{name}'" in done.stderr for name in STORIES)


@pytest.mark.parametrize("code", ["cny", "YUAN", "CN1", "元元元", ""])
def test_what_is_no_currency_is_refused(code: str) -> None:
    done = CliRunner().invoke(main, ["demo", "--currency", code])
    assert (done.exit_code, "must be a currency code like CNY" in done.stderr) == (2, True)


def test_a_conversation_goes_with_the_kettles_story_only(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["demo", "--story", "exchange", "--chat", str(tmp_path / "chat.jsonl")])
    assert (done.exit_code, "--chat goes with the story kettle only" in done.stderr) == (2, True)


@pytest.fixture
def no_sandbox(settings: Settings, services: Services) -> Iterator[Served]:
    load_shipped_policies(services)
    with capture_logs(), serving(create_app(settings, services)) as url, working(services):
        yield Served(url, settings.home, services)


@pytest.mark.parametrize("name", [name for name, story in STORIES.items() if story.needs_sandbox])
def test_where_days_go_by_a_deployment_that_is_no_sandbox_is_told_in_one_line(no_sandbox: Served, name: str) -> None:
    done = no_sandbox.demo("--story", name)
    assert done.exit_code == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "is no sandbox, `mediation up --sandbox` starts one" in done.stderr
    with no_sandbox.services.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM orders")).scalar_one() == 0


@pytest.mark.parametrize("name", ["return-and-refund", "exchange"])
def test_a_story_in_which_no_days_go_by_needs_no_sandbox(no_sandbox: Served, name: str) -> None:
    done = no_sandbox.demo("--story", name)
    assert done.exit_code == 0, done.output
    _require(no_sandbox, _played(done.stdout), COMES[name], "CNY")


# --- a story that does not come to what it says ------------------------------------------------------------------


def _more_went_back(path: str, answer: Any) -> None:
    if path.startswith("/v1/orders/") and "refunded" in answer:
        answer["refunded"]["amount"] += 1


def _something_is_held(path: str, answer: Any) -> None:
    if path.startswith("/v1/orders/") and "reserved" in answer:
        answer["reserved"]["amount"] += 1


def _a_movement_is_gone(path: str, answer: Any) -> None:
    if path.endswith("/ledger"):
        answer["items"].pop(0)


def _the_ledger_is_empty(path: str, answer: Any) -> None:
    if path.endswith("/ledger"):
        answer["items"].clear()


def _somebody_else_agreed(path: str, answer: Any) -> None:
    if path.endswith("/docket"):
        answer["items"][2]["openings"][0]["value"]["actor"]["role"] = "seller"


def _a_word_was_changed(path: str, answer: Any) -> None:
    if path.endswith("/docket"):
        answer["items"][0]["openings"][-1]["value"] = {"claims.0.statement": "I never said so."}


def _another_fact(path: str, answer: Any) -> None:
    if path.endswith("/docket") and len(answer["items"]) > 2:
        facts = next(one for one in answer["items"][2]["openings"] if one["name"] == "facts")
        facts["value"]["facts"]["stands_on"][0]["name"] = "delivery_failed"


def _another_outcome(path: str, answer: Any) -> None:
    if "outcome" in answer:
        answer["outcome"] = "settled"


def _a_clock_runs_on(path: str, answer: Any) -> None:
    if "deadlines" in answer:
        answer["deadlines"].append({"kind": "refund"})


def _another_state(path: str, answer: Any) -> None:
    if answer.get("state") in ("refund", "refunded"):
        answer["state"] = "under_review"


LIES: dict[Callable[[str, Any], None], str] = {
    _more_went_back: "the order should show 199.00 CNY refunded; it shows 199.01 CNY",
    _something_is_held: "the order should show 0.00 CNY reserved; it shows 0.01 CNY",
    _a_movement_is_gone: "the ledger does not sum to zero: {'CNY': 19900}",
    _the_ledger_is_empty: "the ledger should credit the buyer with {'CNY': 19900}; it credits {}",
    _somebody_else_agreed: "it should have gone so: buyer open, clock notify_seller, clock agree",
    _a_word_was_changed: "is not what was committed to",
    _another_fact: "“agree” should stand on not_shipped; it stands on delivery_failed",
    _another_outcome: "the case should be refunded, buyer_favour; it is refunded, settled",
    _a_clock_runs_on: "the case is over, and yet",
    _another_state: "the case should be refund or refunded now; it is under_review",
}


def _lying(served: Served, lie: Callable[[str, Any], None]) -> Flask:
    """The sandbox's API, but what it answers is not what is so."""
    app = create_app(served.services.settings, served.services)

    @app.after_request
    def changed(response: Response) -> Response:
        if response.status_code == 200 and response.is_json and request.path.startswith("/v1"):
            answer = response.get_json()
            lie(request.path, answer)
            response.data = app.json.dumps(answer)
        return response

    return app


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.__name__.strip("_"))
def test_a_story_ends_with_a_failure_if_anything_is_not_as_it_says(
    sandbox: Served, lie: Callable[[str, Any], None]
) -> None:
    with serving(_lying(sandbox, lie)) as url:
        done = replace(sandbox, url=url).demo("--story", "never-shipped")
    assert done.exit_code == 1
    assert re.match(r"Error: Step \d+ failed \(", done.stderr), done.output
    assert LIES[lie] in done.stderr


def test_a_refusal_for_another_reason_than_the_storys_ends_it(sandbox: Served) -> None:
    def reworded(response: Response) -> Response:
        if response.status_code == 422:
            response.data = app.json.dumps(response.get_json() | {"code": "another_rule"})
        return response

    app = create_app(sandbox.services.settings, sandbox.services)
    app.after_request(reworded)
    with serving(app) as url:
        done = replace(sandbox, url=url).demo("--story", "return-and-refund")
    assert done.exit_code == 1
    assert "it was refused for another reason: another_rule" in done.stderr


@pytest.mark.parametrize(
    ("movements", "said"),
    [
        ([("buyer:b", 5), ("seller:s", -5)], None),
        ([("buyer:b", -2), ("seller:s", -3), ("buyer:b", 5)], None),
        ([("buyer:b", 4), ("seller:s", -4)], "should credit the buyer"),
        ([("buyer:b", 5), ("seller:s", -4)], "does not sum to zero"),
        ([("platform:p", 5), ("seller:s", -5)], "should credit the buyer"),
    ],
)
def test_a_ledger_holds_when_it_sums_to_zero_and_credits_the_buyer(
    movements: list[tuple[str, int]], said: str | None
) -> None:
    entries = [{"account": account, "amount": money(amount, "KWD")} for account, amount in movements]
    if said is None:
        checks.check_ledger(entries, money(5, "KWD"))
        return
    with pytest.raises(Broken, match=said):
        checks.check_ledger(entries, money(5, "KWD"))


# --- one command up, one to play ---------------------------------------------------------------------------------


def test_a_home_that_is_a_sandbox_says_so_and_plays_a_story_with_its_own_worker() -> None:
    home = Path(tempfile.mkdtemp(prefix="m-"))
    up = Up(home, "--demo", "--sandbox", "--port", "0")
    try:
        up.until_ready()
        assert "This is a sandbox" in up.output
        done = CliRunner().invoke(
            main, ["demo", "--url", up.address, "--home", str(home), "--story", "reship-never-done"]
        )
        assert done.exit_code == 0, done.output
    finally:
        up.close()
        shutil.rmtree(home, ignore_errors=True)


@pytest.mark.parametrize(
    ("options", "env", "sandbox"),
    [(["--demo"], None, "0"), (["--demo", "--sandbox"], None, "1"), (["--demo"], "1", "1"), (["--sandbox"], "0", "1")],
)
def test_only_who_asks_for_a_sandbox_gets_one_and_the_children_are_told(
    options: list[str], env: str | None, sandbox: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[Settings] = []

    def up(settings: Settings, *, demo: bool) -> None:
        asked.append(settings)

    monkeypatch.setattr(supervisor, "up", up)
    monkeypatch.delenv("SANDBOX", raising=False)
    if env is not None:
        monkeypatch.setenv("SANDBOX", env)
    assert CliRunner().invoke(main, ["up", "--home", str(tmp_path), *options]).exit_code == 0
    children = [child for child, _ in supervisor._children(asked[0], "postgresql://nowhere/x")]
    assert [child.env["SANDBOX"] for child in children] == [sandbox, sandbox]
