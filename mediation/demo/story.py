"""The story as a list of steps: from the order on file to the money returned, and the record checked by its readers."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from mediation.demo import checks
from mediation.demo.client import Api
from mediation.demo.errors import Broken
from mediation.demo.screen import Screen
from mediation.demo.script import Script

LOOK_AGAIN = 0.25  # seconds between two looks at a refund under way


def _order_id() -> str:
    return f"DEMO-{datetime.now(UTC):%Y%m%d}-{secrets.token_hex(4)}"


@dataclass(slots=True)
class Play:
    """What is known while the story runs. `patience` is in seconds: how long the refund is waited for."""

    api: Api
    script: Script
    screen: Screen
    patience: float
    order_id: str = field(default_factory=_order_id)
    case: dict[str, Any] = field(default_factory=dict)
    exhibit: dict[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """The address of the case, under /v1."""
        return f"/cases/{self.case['id']}"

    def show_case(self, more: str = "") -> None:
        """Tell how the case stands."""
        waits = self.case["waiting_on"]
        on = f"waits on {'both sides' if waits == 'both' else f'the {waits}'}" if waits else "waits on nobody"
        self.screen.came_back(f"{self.case['state']}, {on}{more}")


Act = Callable[[Play, str], None]
Body = Mapping[str, Any]


def _always(play: Play) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Step:
    """Who does what. `leads_to` are the states the case may be in afterwards (none: not looked at)."""

    who: str
    does: str
    act: Act
    leads_to: tuple[str, ...] = ()
    when: Callable[[Play], bool] = _always


def money(value: Mapping[str, Any]) -> str:
    """Money for people, of the currencies in these stories, which have hundredths."""
    return f"{value['amount'] // 100:,}.{value['amount'] % 100:02} {value['currency']}"


# --- what the steps do -------------------------------------------------------------------------------------------


def put_order(play: Play, who: str) -> None:
    """The order with its parties, as only the platform may state it."""
    order = play.api.call(who, "PUT", f"/orders/{play.order_id}", json=play.script.order(play.order_id))
    play.screen.came_back(f"order {order['id']} is on file: “{play.script.title}”, {money(order['paid'])} paid")


def open_case(play: Play, who: str) -> None:
    """The buyer names their own order by its id and says what they claim."""
    script = play.script
    claim = {"line_id": "1", "reason": script.reason, "request": "refund_only", "amount": script.paid}
    body = {"order": {"id": play.order_id}, "claims": [{**claim, "statement": script.claim}]}
    play.screen.said(script.claim)
    play.case = play.api.call(who, "POST", "/cases", json=body, expect=201)
    play.show_case(f"; its reference is {play.case['reference']}")


def action(name: str, body: Callable[[Script], Body] = lambda script: {}, *, saying: str = "") -> Act:
    """A step that is one action on the case; `saying` names the field of its body that holds somebody's words."""

    def act(play: Play, who: str) -> None:
        sent = body(play.script)
        if saying:
            play.screen.said(sent[saying])
        play.case = play.api.call(who, "POST", f"{play.path}/actions/{name}", json=sent)
        play.show_case()

    return act


def file_chat(play: Play, who: str) -> None:
    """The conversation becomes an exhibit."""
    script = play.script
    filed = play.api.call(who, "POST", f"{play.path}/exhibits", json=script.chat_log(), expect=201)
    play.exhibit = filed
    play.screen.came_back(f"exhibit {filed['label']}: {filed['messages']} messages, Merkle root {filed['merkle_root']}")
    play.screen.came_back("a signed receipt with the docket's head came with it")


def misquote(play: Play, who: str) -> None:
    """A decision on words that do not stand in the message they name: refused, with the real ones."""
    script = play.script
    body = script.decision(play.exhibit["label"], script.misquote)
    play.screen.said(script.misquote)
    problem = play.api.call(who, "POST", f"{play.path}/actions/decide", json=body, expect=422)
    if problem.get("code") != "quote_does_not_stand":
        raise Broken(f"the wrong quote was refused for another reason: {problem.get('detail')}")
    play.screen.came_back(f"422 {problem['code']}: {problem['detail']}")
    play.screen.came_back(f"message {script.seq} of {play.exhibit['label']} really says: “{problem['real_text']}”")


def decide(play: Play, who: str) -> None:
    """The decision for the buyer, on the words as they stand."""
    script = play.script
    body = script.decision(play.exhibit["label"], script.quote)
    play.screen.said(script.quote)
    play.screen.said(script.reasons)
    play.case = play.api.call(who, "POST", f"{play.path}/actions/decide", json=body)
    play.show_case(f"; {money(script.paid)} to the buyer")


def above_authority(play: Play) -> bool:
    """Whether the decision waits for approval."""
    return bool(play.case["state"] == "escalated")


def await_refund(play: Play, who: str) -> None:
    """Look at the case and its refund until the money has gone, for as long as there is patience."""
    until = time.monotonic() + play.patience
    told = None
    while True:
        refund = play.api.call("platform", "GET", f"{play.path}/refunds")["items"][0]
        play.case = play.api.call("buyer", "GET", play.path)
        stands = f"refund of {money(refund['amount'])}: {refund['status']}"
        if stands != told:
            play.screen.came_back(stands)
            told = stands
        if play.case["state"] != "refund":
            break
        if time.monotonic() > until:
            raise Broken(f"after {play.patience:g} s the refund is still {refund['status']}: does a worker run?")
        play.screen.doing(f"{stands}, try {refund['attempts']}, {until - time.monotonic():.0f} s of patience left")
        time.sleep(LOOK_AGAIN)
    if refund["failure"]:
        play.screen.came_back(f"the gateway said: {refund['failure']}")
    play.show_case(f"; reference {refund['gateway_reference']}")


def show_decision(play: Play, who: str) -> None:
    """The decision in force with the quote in it, rendered from its position in the exhibit."""
    decisions = list(play.api.every(who, f"{play.path}/decisions"))
    quoted = [
        quote["text"]
        for finding in decisions[0]["findings"]
        for relied_on in finding["relied_on"]
        for quote in relied_on["quotes"]
    ]
    if quoted != [play.script.quote]:
        raise Broken(f"the decision quotes {quoted}, not what the seller wrote")
    play.screen.came_back(f"decision 1 ({decisions[0]['status']}) quotes: “{quoted[0]}”")
    last = decisions[-1]
    play.screen.came_back(f"decision {last['number']} ({last['status']}): {last['outcome']}, on appeal, upheld")


def check_docket(play: Play, who: str) -> None:
    """The record as staff see it and as the buyer does: both copies must verify, and end in the same head."""
    heads = set()
    for reader in ("mediator", "buyer"):
        found = checks.check_docket(list(play.api.every(reader, f"{play.path}/docket")), play.case["id"])
        heads.add(found.head)
        play.screen.checked(
            f"the {reader}'s copy: chain of {found.entries} entries whole, {found.opened} commitments opened, "
            f"{found.shut} kept shut, {found.withheld} entries withheld"
        )
    if len(heads) > 1:
        raise Broken("the two copies of the docket end in different heads")
    play.screen.came_back(f"head {heads.pop()}")


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
    seq = play.script.seq
    proof = play.api.call(who, "GET", f"/exhibits/{play.exhibit['id']}/proof", seq=seq)
    checks.check_message(proof, receipt["merkle_root"], play.script.messages[seq - 1]["text"])
    play.screen.checked(f"message {seq}, recomputed, is one of the {proof['size']} under that root")


def show_money(play: Play, who: str) -> None:
    """What was paid, is held and went back, over all cases of the order."""
    order = play.api.call(who, "GET", f"/orders/{play.order_id}")
    sums = {name: money(order[name]) for name in ("paid", "reserved", "refunded")}
    play.screen.came_back(", ".join(f"{name} {value}" for name, value in sums.items()))
    if order["refunded"] != play.script.paid or order["reserved"]["amount"]:
        raise Broken("the order should show the whole sum refunded and nothing reserved")


# --- the story ---------------------------------------------------------------------------------------------------


def _refusal(script: Script) -> Body:
    return {"reason": script.refusal_reason, "statement": script.refusal}


def _dismissal(script: Script) -> Body:
    return {"upholds": True, "reasons": script.dismissal}


STEPS: tuple[Step, ...] = (
    Step("platform", "puts the order on file; it alone says what was sold and paid", put_order),
    Step("buyer", "opens a dispute", open_case, ("opened",)),
    Step("platform", "tells the seller", action("notify_seller"), ("seller_notified",)),
    Step("seller", "refuses", action("refuse", _refusal, saying="statement"), ("seller_refused",)),
    Step("buyer", "asks for mediation", action("request_mediation"), ("under_review",)),
    Step("buyer", "files the chat log", file_chat),
    Step("mediator", "takes the case", action("take"), ("under_review",)),
    Step("mediator", "decides on words that nobody wrote, and is refused", misquote),
    Step("mediator", "decides, quoting to the letter", decide, ("decided", "escalated")),
    Step(
        "other senior",
        "approves: the sum is above a mediator's authority",
        action("approve", lambda script: {"note": "Agreed."}),
        ("decided",),
        above_authority,
    ),
    Step(
        "seller",
        "appeals",
        action("appeal", lambda script: {"grounds": script.grounds}, saying="grounds"),
        ("escalated",),
    ),
    Step("senior", "takes the appeal", action("take"), ("escalated",)),
    Step(
        "senior",
        "upholds the decision, which makes it final",
        action("decide", _dismissal, saying="reasons"),
        ("refund", "refunded"),
    ),
    Step("worker", "sends the refund; the ledger or the marketplace settles it", await_refund, ("refunded",)),
    Step("buyer", "reads what was decided, and on which words", show_decision),
    Step("buyer", "recomputes the record, and so does the mediator", check_docket),
    Step("buyer", "checks what was filed against its receipt", check_receipt),
    Step("platform", "sees the money on the order", show_money),
)
