"""`mediation demo` against a real API over HTTP, and the cases that an empty home is given."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from flask import Flask, Response, request
from sqlalchemy import text
from structlog.testing import capture_logs

from mediation import clock, create_app
from mediation.cli import main
from mediation.demo import checks, data, dialogues
from mediation.demo.client import Api
from mediation.demo.errors import Broken
from mediation.demo.people import HAN, KETTLES, LI, cast
from mediation.keys import read_or_make
from mediation.services import Services
from mediation.settings import Settings
from tests.mediation.conftest import make_services, make_settings
from tests.mediation.served import Served, fire, load_shipped_policies, serving, working
from tests.mediation.story import Story, money

REAL = Path(__file__).parents[3] / "shared" / "data" / "dialogues" / "craigslist_bargain.jsonl"
DEMO = [sys.executable, "-c", "from mediation.cli import main; main()", "demo"]
#: What a terminal or a person may have set, and a test must not depend on.
PLAIN = {
    name: value
    for name, value in os.environ.items()
    if name not in {"NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "TERM", "TOKEN_KEY"}
}
PROMISE = "I will bring it over on Friday, with both keys."


@pytest.fixture(scope="module")
def idle(shared: Story) -> Iterator[Served]:
    """The API without a worker, under the shipped policies."""
    load_shipped_policies(shared.services)
    # Unconfigured, the log of the API would be written among the lines of the story.
    with capture_logs(), serving(shared.app) as url:
        yield Served(url, shared.services.settings.home, shared.services)


@pytest.fixture
def served(idle: Served) -> Iterator[Served]:
    with working(idle.services):
        yield idle


def dialogue(*said: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A dialogue in the format of the collections; each message is given its seq and time."""
    messages = [
        {"seq": n, "speaker_id": "01"[one["role"] == "seller"], "kind": "message", "text": "", **one}
        | {"sent_at": f"2017-06-01T18:25:{n:02}.170Z"}
        for n, one in enumerate(said, 1)
    ]
    return {
        "dialogue_id": "t-1",
        "messages": messages,
        "meta": {"item_title": "Blue bicycle", "list_price": 60},
        **more,
    }


BICYCLE = dialogue(
    {"role": "buyer", "text": "Is it still there?"},
    {"role": "seller", "text": f"Yes. {PROMISE} Do you want it?"},
    {"role": "seller", "kind": "offer", "data": {"price": 45.0}},
    {"role": "buyer", "kind": "accept"},
)


def written(folder: Path, *lines: Any) -> str:
    path = folder / "chat.jsonl"
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    return str(path)


# --- the story ---------------------------------------------------------------------------------------------------


def test_the_demo_plays_a_dispute_from_the_order_to_the_money_returned(served: Served) -> None:
    done = served.demo()
    assert done.exit_code == 0, done.output
    told = done.stdout
    states = ("opened,", "seller_notified,", "seller_refused,", "under_review,", "decided,", "escalated,", "refunded,")
    assert [told.index(f"→ {state}") for state in states] == sorted(told.index(f"→ {state}") for state in states)
    assert "422 quote_does_not_stand" in told
    assert "message 4 of B-1 really says: “亲放心，明天发货，后天一定到您手里。”" in told
    assert "» 明天发货\n" in told
    assert "quotes: “明天发货”" in told
    assert "the buyer's copy: chain of 12 entries whole" in told
    assert "paid 129.00 CNY, reserved 0.00 CNY, refunded 129.00 CNY" in told
    assert "is refunded." in told
    assert done.stderr == ""


def test_in_a_pipe_there_are_plain_lines_and_it_can_be_played_again(served: Served) -> None:
    for _ in range(2):
        command = [*DEMO, "--url", served.url, "--home", str(served.home)]
        done = subprocess.run(
            command, check=False, capture_output=True, timeout=60, env=PLAIN | {"TERM": "xterm-256color"}
        )
        assert done.returncode == 0, done.stderr.decode()
        assert b"\x1b" not in done.stdout + done.stderr
        assert b"\r" not in done.stdout
        assert "明天发货" in done.stdout.decode()


@pytest.mark.parametrize(("env", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_a_terminal_is_given_colours_unless_it_wants_none(served: Served, env: dict[str, str], coloured: bool) -> None:
    pty = pytest.importorskip("pty")
    ours, theirs = pty.openpty()
    command = [*DEMO, "--url", served.url, "--home", str(served.home)]
    surroundings = PLAIN | {"TERM": "xterm-256color"} | env
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, stdin=subprocess.DEVNULL, env=surroundings) as process:
        os.close(theirs)
        seen = b"".join(iter(_reader(ours), b""))
    os.close(ours)
    assert process.returncode == 0, seen.decode()
    assert (b"\x1b[" in seen) is coloured
    assert "refunded 129.00 CNY" in seen.decode()


def _reader(descriptor: int) -> Callable[[], bytes]:
    def read() -> bytes:
        # A pseudo-terminal ends with an error once nobody holds its other side.
        with suppress(OSError):
            return os.read(descriptor, 65_536)
        return b""

    return read


def test_a_terminal_that_cannot_write_a_character_still_sees_the_end(served: Served) -> None:
    command = [*DEMO, "--url", served.url, "--home", str(served.home)]
    done = subprocess.run(
        command, check=False, capture_output=True, timeout=60, env=PLAIN | {"PYTHONIOENCODING": "ascii"}
    )
    assert done.returncode == 0, done.stderr.decode()
    assert b"refunded 129.00 CNY" in done.stdout


# --- a real conversation as the evidence -------------------------------------------------------------------------


def test_a_conversation_in_a_file_is_filed_and_quoted_to_the_letter(served: Served, tmp_path: Path) -> None:
    done = served.demo("--chat", written(tmp_path, BICYCLE))
    assert done.exit_code == 0, done.output
    assert f"quotes: “{PROMISE}”" in done.stdout
    assert "“Blue bicycle”, 45.00 USD paid" in done.stdout
    assert "exhibit B-1: 4 messages" in done.stdout
    assert "refunded 45.00 USD" in done.stdout


def test_what_is_no_message_keeps_its_place_and_time_as_a_system_line(tmp_path: Path) -> None:
    messages = dialogues.read(Path(written(tmp_path, BICYCLE))).messages
    assert [(one["kind"], one["text"], one["sender"]["role"]) for one in messages[2:]] == [
        ("system", "[offer 45.00]", "seller"),
        ("system", "[accept]", "buyer"),
    ]
    assert [one["sent_at"] for one in messages] == [one["sent_at"] for one in BICYCLE["messages"]]


def test_a_sum_above_a_mediators_authority_is_approved_by_another_senior(served: Served, tmp_path: Path) -> None:
    dear = dialogue(
        {"role": "seller", "text": "It runs well."}, {"role": "seller", "kind": "offer", "data": {"price": 7500}}
    )
    done = served.demo("--chat", written(tmp_path, dear))
    assert done.exit_code == 0, done.output
    assert "other senior approves" in done.stdout
    assert "refunded 7500.00 USD" in done.stdout


def test_where_the_seller_wrote_nothing_their_offer_is_quoted(tmp_path: Path) -> None:
    silent = dialogue({"role": "buyer", "text": "Hello?"}, {"role": "seller", "kind": "offer", "data": {"price": 12.5}})
    script = dialogues.read(Path(written(tmp_path, silent)))
    assert (script.seq, script.quote, script.paid) == (2, "[offer 12.50]", money(1250, "USD"))


def test_nothing_in_a_conversation_makes_the_terminal_act(served: Served, tmp_path: Path) -> None:
    nasty = dialogue({"role": "seller", "text": "\x1b[31mred\x1b]0;title\x07 [bold]not markup[/bold]"})
    done = served.demo("--chat", written(tmp_path, nasty))
    assert done.exit_code == 0, done.output
    assert "\x1b" not in done.stdout
    assert "[bold]not markup[/bold]" in done.stdout


BROKEN_LINES = {
    "nothing": (b"", 1, "the file is empty"),
    "not JSON": (b"\n{oops\n", 2, "not JSON in UTF-8"),
    "not UTF-8": (b'{"messages": "\xff"}', 1, "not JSON in UTF-8"),
    "a list": (b"[1, 2]", 1, "an object with a list of messages is expected"),
    "no messages": (b'{"messages": []}', 1, "an object with a list of messages is expected"),
    "two dialogues": (b"{}\n\n{}\n", 3, "one dialogue is expected"),
    "deep": (b"[" * 100_000, 1, "not JSON in UTF-8"),
}
BROKEN_MESSAGES = {
    "another role": ({"role": "agent", "text": "x"}, "message 1: its role must be buyer or seller"),
    "another kind": ({"role": "seller", "kind": "sticker"}, "message 1: its kind must be one of"),
    "no text": ({"role": "seller", "text": ""}, "messages.0.text: a message of the kind text has a text"),
    "a number": ({"role": "seller", "text": 7}, "messages.0.text: a string is expected here"),
    "no seller": ({"role": "buyer", "text": "Hello?"}, "the seller says nothing in it that could be quoted"),
}


@pytest.mark.parametrize("name", BROKEN_LINES)
def test_a_file_without_a_dialogue_is_told_by_line_and_reason(tmp_path: Path, name: str) -> None:
    content, line, reason = BROKEN_LINES[name]
    path = tmp_path / "chat.jsonl"
    path.write_bytes(content)
    done = CliRunner().invoke(main, ["demo", "--chat", str(path)])
    assert done.exit_code == 2
    assert done.stderr.startswith(f"Error: {path}, line {line}: ")
    assert reason in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("name", BROKEN_MESSAGES)
def test_a_dialogue_that_cannot_be_evidence_is_told_by_message_and_reason(tmp_path: Path, name: str) -> None:
    message, reason = BROKEN_MESSAGES[name]
    done = CliRunner().invoke(main, ["demo", "--chat", written(tmp_path, dialogue(message))])
    assert done.exit_code == 2
    assert f"line 1: {reason}" in done.stderr


def test_a_message_out_of_its_place_is_told(tmp_path: Path) -> None:
    shuffled = copy.deepcopy(BICYCLE)
    shuffled["messages"].reverse()
    done = CliRunner().invoke(main, ["demo", "--chat", written(tmp_path, shuffled)])
    assert done.exit_code == 2
    assert "message 1: its seq must be 1, its place in the list" in done.stderr


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["demo", "--chat", str(tmp_path / "none.jsonl")])
    assert (done.exit_code, "cannot be read: No such file" in done.stderr) == (2, True)


@pytest.mark.skipif(not REAL.is_file(), reason="the collection of real dialogues is not on this machine")
def test_every_real_dialogue_can_be_the_evidence_and_some_are_played(served: Served, tmp_path: Path) -> None:
    with REAL.open() as file:
        lines = file.readlines()
    path = tmp_path / "one.jsonl"
    for line in lines:
        path.write_text(line)
        script = dialogues.read(path)
        said = script.messages[script.seq - 1]
        assert said["sender"]["role"] == "seller"
        assert script.quote in said["text"]
        assert script.misquote not in said["text"]
        assert len(script.messages) == len(json.loads(line)["messages"])
    for line in lines[:: len(lines) // 3]:
        path.write_text(line)
        done = served.demo("--chat", str(path))
        assert done.exit_code == 0, done.output
        assert f"quotes: “{' '.join(dialogues.read(path).quote.split())}”" in done.stdout


# --- what goes wrong ---------------------------------------------------------------------------------------------


def test_an_api_that_is_not_there_is_told_in_one_line(idle: Served) -> None:
    done = CliRunner().invoke(main, ["demo", "--url", "http://127.0.0.1:1", "--home", str(idle.home)])
    assert done.exit_code == 1
    assert done.stdout == ""
    assert done.stderr.startswith("Error: The API at http://127.0.0.1:1 cannot be reached: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("url", ["ftp://x", "127.0.0.1:8080", "http://", "http://[::1"])
def test_an_address_that_is_none_is_told(url: str) -> None:
    done = CliRunner().invoke(main, ["demo", "--url", url])
    assert done.exit_code == 2
    assert "Invalid value for '--url'" in done.stderr


def test_another_service_at_the_address_is_told(idle: Served) -> None:
    other = Flask("other")
    other.add_url_rule("/readyz", view_func=lambda: "fine")
    for app in (other, Flask("empty")):
        with serving(app) as url:
            done = CliRunner().invoke(main, ["demo", "--url", url, "--home", str(idle.home)])
        assert done.exit_code == 1
        assert done.stderr.startswith(f"Error: What answers at {url} is not ")


def test_tokens_under_another_key_are_refused_and_the_key_is_named(idle: Served, tmp_path: Path) -> None:
    from joserfc.jwk import OKPKey

    key = tmp_path / "other.pem"
    read_or_make(key, lambda: OKPKey.generate_key("Ed25519").as_pem(private=True))
    done = idle.demo("--token-key", str(key))
    assert done.exit_code == 1
    assert "Step 1 failed (platform puts the order on file" in done.stderr
    assert "401 unauthenticated" in done.stderr
    assert f"signed with {key}" in done.stderr


def test_a_home_without_a_key_is_told_and_none_is_made_there(idle: Served, tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["demo", "--url", idle.url, "--home", str(tmp_path)])
    assert done.exit_code == 2
    assert f"TOKEN_KEY: there is no key at {tmp_path}" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_key_that_is_none_is_told(idle: Served, tmp_path: Path) -> None:
    key = tmp_path / "token.pem"
    key.write_text("nothing")
    done = idle.demo("--token-key", str(key))
    assert done.exit_code == 2
    assert f"TOKEN_KEY: {key} cannot be used" in done.stderr


def test_without_a_worker_the_notice_to_the_seller_is_waited_for_only_so_long(idle: Served) -> None:
    done = idle.demo("--wait", "0.3")
    assert done.exit_code == 1
    assert "Step 3 failed (clock tells the seller, by itself): after 0.3 s the seller was not told" in done.stderr
    assert "does a worker run?" in done.stderr


def test_with_nobody_to_pay_the_refund_is_waited_for_only_so_long(idle: Served) -> None:
    with working(idle.services, fire):
        done = idle.demo("--wait", "5")
    assert done.exit_code == 1
    assert "after 5 s the refund is still requested: does a worker run?" in done.stderr


ANSWERS = {
    "500": (lambda: Response("oops", 500), "it answers 500 INTERNAL SERVER ERROR, and no problem of this API's."),
    "404": (
        lambda: Response(json.dumps({"code": "not_found", "detail": "There is no such thing."}), 404),
        "404 not_found: There is no such thing.",
    ),
    "another shape": (lambda: Response("[]", 201), "the answer is not what the contract says (KeyError"),
    "another status": (lambda: Response("{}", 204), "(where 201 was expected)"),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_a_step_that_fails_is_named_with_the_reason_and_ends_the_story(idle: Served, name: str) -> None:
    answer, reason = ANSWERS[name]
    app = create_app(idle.services.settings, idle.services)

    @app.before_request
    def instead() -> Response | None:
        return answer() if request.path.endswith("/exhibits") else None

    with serving(app) as url, working(idle.services, fire):
        done = replace(idle, url=url).demo()
    assert done.exit_code == 1
    assert done.stderr.startswith("Error: Step 6 failed (buyer files the chat log): ")
    assert reason in done.stderr
    assert reason in done.stdout
    assert "7. mediator takes" not in done.stdout


# --- what readers recompute --------------------------------------------------------------------------------------


@pytest.fixture
def record(story: Story) -> tuple[list[dict[str, Any]], str]:
    """A docket of some length as the API answers it, and its case."""
    case = story.at("decided")
    return story.get("mediator", f"/cases/{case}/docket").get_json()["items"], case


def _rewrite_words(entries: list[dict[str, Any]]) -> None:
    entries[2]["openings"][-1]["value"] = {"statement": "I never refused."}


def _rename_words(entries: list[dict[str, Any]]) -> None:
    opening = entries[2]["openings"][-1]
    opening["name"] = "grounds"


def _swap_commitment(entries: list[dict[str, Any]]) -> None:
    entries[2]["openings"][-1] |= entries[0]["openings"][-1]


def _change_state(entries: list[dict[str, Any]]) -> None:
    entries[2]["to"] = "closed"


def _drop_entry(entries: list[dict[str, Any]]) -> None:
    del entries[1]


def _drop_all(entries: list[dict[str, Any]]) -> None:
    entries.clear()


@pytest.mark.parametrize(
    "tamper", [_rewrite_words, _rename_words, _swap_commitment, _change_state, _drop_entry, _drop_all]
)
def test_a_docket_that_was_tampered_with_does_not_verify(
    record: tuple[list[dict[str, Any]], str], tamper: Callable[[list[dict[str, Any]]], None]
) -> None:
    entries, case = record
    assert checks.check_docket(entries, case).entries == len(entries)
    tamper(entries)
    with pytest.raises(Broken):
        checks.check_docket(entries, case)


# --- the cases in an empty home ----------------------------------------------------------------------------------


def _everything(services: Services) -> dict[str, list[Any]]:
    tables = ("orders", "parties", "cases", "claims", "docket_entries", "exhibits", "refunds", "ledger_entries")
    with services.engine.connect() as connection:
        return {name: sorted(map(str, connection.execute(text(f"SELECT * FROM {name}")))) for name in tables}


def _blobs(settings: Settings) -> list[Path]:
    return [path for path in (settings.home / "blobs").rglob("*") if path.is_file()]


def test_an_empty_home_is_given_cases_in_many_states_and_a_second_start_changes_nothing(
    settings: Settings, services: Services, story: Story
) -> None:
    data.seed(str(settings.database_url), settings)
    items = story.get("mediator", "/cases").get_json()["items"]
    assert [(case["order"]["id"], case["state"]) for case in items] == [
        ("DEMO-1001", "under_review"),
        ("DEMO-1002", "refunded"),
        ("DEMO-1003", "decided"),
        ("DEMO-1004", "negotiating"),
        ("DEMO-1005", "seller_notified"),
        ("DEMO-1006", "awaiting_return"),
        ("DEMO-1007", "escalated"),
    ]
    before, blobs = _everything(services), _blobs(settings)
    assert len(blobs) == 1
    data.seed(str(settings.database_url), settings)
    assert (_everything(services), _blobs(settings)) == (before, blobs)


def test_for_a_day_no_clock_moves_a_case_that_an_empty_home_was_given(
    settings: Settings, services: Services, story: Story
) -> None:
    load_shipped_policies(services)
    began = services.real()
    data.seed(str(settings.database_url), settings)
    before = _everything(services)
    for moment in (services.real(), began + timedelta(days=1) - timedelta(microseconds=1)):
        assert not clock.fire_next(replace(services, clock=lambda moment=moment: moment))
    assert _everything(services) == before
    with services.engine.connect() as connection:
        moments = connection.execute(text("SELECT wake_at FROM deadlines WHERE done_at IS NULL")).scalars().all()
    assert len(moments) > 5
    assert min(moments) >= began + timedelta(days=1)
    # And what was to become of them later still does.
    assert clock.fire_next(replace(services, clock=lambda: max(moments)))


def test_the_first_case_can_be_taken_and_decided_on_the_chat_log_that_was_filed(
    settings: Settings, story: Story
) -> None:
    data.seed(str(settings.database_url), settings)
    first = story.get("mediator", "/cases?limit=1").get_json()["items"][0]
    assert "take" in {action["name"] for action in first["actions"]}
    exhibit = story.get("buyer", f"/cases/{first['id']}/exhibits").get_json()["items"][0]
    messages = story.get("buyer", f"/exhibits/{exhibit['id']}/messages").get_json()["items"]
    assert "明天发货" in messages[3]["text"]
    assert json.loads(story.get("buyer", f"/exhibits/{exhibit['id']}/content").data)["messages"][3]["text"]


def test_the_record_of_every_seeded_case_verifies(settings: Settings, story: Story) -> None:
    data.seed(str(settings.database_url), settings)
    for case in story.get("mediator", "/cases").get_json()["items"]:
        entries = story.get("mediator", f"/cases/{case['id']}/docket").get_json()["items"]
        assert checks.check_docket(entries, case["id"]).shut == 0


def test_demo_money_leaves_by_the_ledger_whatever_gateway_is_set(settings: Settings, story: Story) -> None:
    away = replace(settings, gateway="http", gateway_url="http://127.0.0.1:1", gateway_secret="whsec_c2VjcmV0")
    data.seed(str(settings.database_url), away)
    case = story.get("platform", "/cases?order=DEMO-1002").get_json()["items"][0]
    refund = story.get("platform", f"/cases/{case['id']}/refunds").get_json()["items"][0]
    assert (refund["status"], refund["gateway"]) == ("settled", "ledger")


def test_two_starts_at_once_seed_once(settings: Settings, story: Story) -> None:
    starts = [threading.Thread(target=data.seed, args=(str(settings.database_url), settings)) for _ in range(2)]
    for start in starts:
        start.start()
    for start in starts:
        start.join()
    assert len(story.get("mediator", "/cases").get_json()["items"]) == 7


def test_a_start_that_fails_half_way_leaves_neither_rows_nor_files(
    settings: Settings, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: Any, **_more: Any) -> None:
        raise RuntimeError("as if the power had gone")

    empty = _everything(services)
    with monkeypatch.context() as patched:
        patched.setattr(data.decisions, "decide", fail)
        with pytest.raises(RuntimeError):
            data.seed(str(settings.database_url), settings)
    assert (_everything(services), _blobs(settings)) == (empty, [])
    data.seed(str(settings.database_url), settings)
    assert len(_blobs(settings)) == 1


def test_a_marketplace_of_another_name_gets_cases_of_its_own(database: str, tmp_path: Path) -> None:
    for name in ("north", "south"):
        data.seed(database, make_settings(database, tmp_path, marketplace=name))
    services = make_services(make_settings(database, tmp_path))
    try:
        assert len(_everything(services)["cases"]) == 14
    finally:
        services.engine.dispose()


def test_a_sellers_staff_act_under_their_own_name_for_the_shop() -> None:
    people = cast(LI, KETTLES)
    assert (people["seller"].subject, people["seller"].party) == ("clerk-of-shop-17", "shop-17")
    assert people["senior"].subject != people["other senior"].subject
    assert cast(HAN, KETTLES)["buyer"].subject == HAN["id"]


def test_proxies_of_the_environment_are_not_asked_for_this_machine(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with Api(served.url, served.services.settings, cast(LI, KETTLES)) as api:
        api.require_ready()
