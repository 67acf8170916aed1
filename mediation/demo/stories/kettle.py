"""The house's own story, and that of any other conversation: a decision that turns on words, and stands on appeal."""

from __future__ import annotations

from typing import Any

from mediation.demo import checks
from mediation.demo.errors import Broken
from mediation.demo.script import Script, kettle
from mediation.demo.steps import (
    OPENING,
    PAID,
    RECOMPUTED,
    Body,
    action,
    check_order,
    file_exhibit,
    money,
    refuse,
)
from mediation.demo.story import Play, Step, Story


def _script(play: Play) -> Script:
    """The words of the story, which is told about no other kind of dispute."""
    assert isinstance(play.script, Script), "the steps below are those of a dispute that turns on words"
    return play.script


def _refusal(play: Play) -> Body:
    script = _script(play)
    return {"reason": script.refusal_reason, "statement": script.refusal}


def _chat_log(play: Play) -> dict[str, Any]:
    return _script(play).chat_log()


def _grounds(play: Play) -> Body:
    return {"grounds": _script(play).grounds}


def _dismissal(play: Play) -> Body:
    return {"upholds": True, "reasons": _script(play).dismissal}


def misquote(play: Play, who: str) -> None:
    """A decision on words that do not stand in the message they name: refused, with the real ones."""
    script, label = _script(play), play.exhibit["label"]
    play.screen.said(script.misquote)
    body = script.decision(label, script.misquote)
    problem = refuse(play, who, "decide", body, (422, "quote_does_not_stand"))
    play.screen.came_back(f"message {script.seq} of {label} really says: “{problem['real_text']}”")


def decide(play: Play, who: str) -> None:
    """The decision for the buyer, on the words as they stand."""
    script = _script(play)
    body = script.decision(play.exhibit["label"], script.quote)
    play.screen.said(script.quote)
    play.screen.said(script.reasons)
    play.case = play.api.call(who, "POST", f"{play.path}/actions/decide", json=body)
    play.show_case(f"; {money(script.paid)} to the buyer")


def above_authority(play: Play) -> bool:
    """Whether the decision waits for approval."""
    return bool(play.case["state"] == "escalated")


def show_decision(play: Play, who: str) -> None:
    """The decision in force with the quote in it, rendered from its position in the exhibit."""
    decisions = list(play.api.every(who, f"{play.path}/decisions"))
    quoted = [
        quote["text"]
        for finding in decisions[0]["findings"]
        for relied_on in finding["relied_on"]
        for quote in relied_on["quotes"]
    ]
    if quoted != [_script(play).quote]:
        raise Broken(f"the decision quotes {quoted}, not what the seller wrote")
    play.screen.came_back(f"decision 1 ({decisions[0]['status']}) quotes: “{quoted[0]}”")
    last = decisions[-1]
    play.screen.came_back(f"decision {last['number']} ({last['status']}): {last['outcome']}, on appeal, upheld")


def check_receipt(play: Play, who: str) -> None:
    """The receipt against the published keys, the bytes and the Merkle root against the receipt."""
    keys = play.api.call(who, "GET", "/keys")
    entries = list(play.api.every(who, f"{play.path}/docket"))
    receipt = checks.check_receipt(play.exhibit["receipt"], keys, entries, play.case["id"])
    play.screen.checked(f"the receipt of {receipt['label']} is signed by a published key, and the head it names stands")
    exhibit = play.api.call(who, "GET", f"/exhibits/{play.exhibit['id']}")
    content = play.api.content(who, f"/exhibits/{play.exhibit['id']}/content")
    checks.check_exhibit(receipt, exhibit, content, entries)
    play.screen.checked(f"the {len(content)} bytes on file are those that were filed; one Merkle root everywhere")
    seq = _script(play).seq
    proof = play.api.call(who, "GET", f"/exhibits/{play.exhibit['id']}/proof", seq=seq)
    checks.check_message(proof, receipt["merkle_root"], _script(play).messages[seq - 1]["text"])
    play.screen.checked(f"message {seq}, recomputed, is one of the {proof['size']} under that root")


def show_money(play: Play, who: str) -> None:
    """The whole sum went back."""
    check_order(play, who, reserved=0, refunded=play.script.paid["amount"])


STEPS: tuple[Step, ...] = (
    *OPENING,
    Step("seller", "refuses", action("refuse", _refusal, saying="statement"), ("seller_refused",)),
    Step("buyer", "asks for mediation", action("request_mediation"), ("under_review",)),
    Step("buyer", "files the chat log", file_exhibit(_chat_log)),
    Step("mediator", "takes the case", action("take"), ("under_review",)),
    Step("mediator", "decides on words that nobody wrote, and is refused", misquote),
    Step("mediator", "decides, quoting to the letter", decide, ("decided", "escalated")),
    Step(
        "other senior",
        "approves: the sum is above a mediator's authority",
        action("approve", {"note": "Agreed."}),
        ("decided",),
        above_authority,
    ),
    Step("seller", "appeals", action("appeal", _grounds, saying="grounds"), ("escalated",)),
    Step("senior", "takes the appeal", action("take"), ("escalated",)),
    Step(
        "senior",
        "upholds the decision, which makes it final",
        action("decide", _dismissal, saying="reasons"),
        ("refund", "refunded"),
    ),
    PAID,
    Step("buyer", "reads what was decided, and on which words", show_decision),
    RECOMPUTED,
    Step("buyer", "checks what was filed against its receipt", check_receipt),
    Step("platform", "sees the money on the order", show_money),
)
KETTLE = Story(
    "kettle", "Promised for tomorrow, sent days later: a decision that quotes the chat, upheld.", kettle, STEPS
)
