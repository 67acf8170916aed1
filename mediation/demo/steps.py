"""What the steps of the stories do: calls of the API, and what is looked at, waited for and checked after them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from mediation.demo import checks
from mediation.demo.errors import Broken
from mediation.demo.story import CLOCK, Act, Play, Step
from mediation.schemas import rfc3339
from workflows.money import shown

LOOK_AGAIN = 0.25  # seconds between two looks at what a worker does
Body = Mapping[str, Any]
#: A body as it stands, or made of what is known by then.
Bodied = Body | Callable[[Play], Body]
NOTHING: Body = {}


def money(value: Mapping[str, Any]) -> str:
    """Money of the API's for people."""
    return shown(value["amount"], value["currency"])


def _body(bodied: Bodied, play: Play) -> Body:
    return bodied(play) if callable(bodied) else bodied


# --- calls -------------------------------------------------------------------------------------------------------


def put_order(play: Play, who: str) -> None:
    """The order with its parties, as only the platform may state it."""
    order = play.api.call(who, "PUT", f"/orders/{play.order_id}", json=play.script.order(play.order_id))
    titles = ", ".join(f"“{line['title']}”" for line in order["lines"])
    play.screen.came_back(f"order {order['id']} is on file: {titles}, {money(order['paid'])} paid")


def open_case(play: Play, who: str) -> None:
    """The buyer names their own order by its id and says what they claim."""
    claims = play.script.claims()
    for claim in claims:
        play.screen.said(claim["statement"])
    play.case = play.api.call(
        who, "POST", "/cases", json={"order": {"id": play.order_id}, "claims": claims}, expect=201
    )
    play.show_case(f"; its reference is {play.case['reference']}")


def action(name: str, body: Bodied = NOTHING, *, saying: str = "") -> Act:
    """A step that is one action on the case; `saying` names the field of its body that holds somebody's words."""

    def act(play: Play, who: str) -> None:
        sent = _body(body, play)
        if saying:
            play.screen.said(sent[saying])
        play.case = play.api.call(who, "POST", f"{play.path}/actions/{name}", json=sent)
        play.show_case()

    return act


def refused(name: str, code: str, body: Bodied = NOTHING, *, status: int = 422) -> Act:
    """A step that is an action which must not be taken, for that reason and no other."""

    def act(play: Play, who: str) -> None:
        refuse(play, who, name, _body(body, play), (status, code))

    return act


def refuse(play: Play, who: str, name: str, body: Body, because: tuple[int, str]) -> dict[str, Any]:
    """Try an action that is refused with this status and code; the problem. Raises Broken if it is not."""
    status, code = because
    problem = play.api.call(who, "POST", f"{play.path}/actions/{name}", json=body, expect=status)
    if problem.get("code") != code:
        raise Broken(f"it was refused for another reason: {problem.get('code')}: {problem.get('detail')}")
    play.screen.came_back(f"{status} {code}: {problem['detail']}")
    return problem


def file_exhibit(body: Bodied) -> Act:
    """A conversation becomes an exhibit."""

    def act(play: Play, who: str) -> None:
        filed = play.api.call(who, "POST", f"{play.path}/exhibits", json=_body(body, play), expect=201)
        play.exhibit = filed
        root = filed["merkle_root"]
        play.screen.came_back(f"exhibit {filed['label']}: {filed['messages']} messages, Merkle root {root}")
        play.screen.came_back("a signed receipt with the docket's head came with it")
        play.look()

    return act


def scanned(leg: str, parcel: Body, *scans: tuple[str, timedelta]) -> Act:
    """Carrier scans of a parcel, each a status and how long ago it was seen; told twice, as carriers do."""

    def act(play: Play, who: str) -> None:
        seen = [{"status": status, "at": rfc3339(play.now - ago)} for status, ago in scans]
        for _ in range(2):
            told = play.api.call(
                who, "POST", f"/orders/{play.order_id}/tracking", json={**parcel, "leg": leg, "scans": seen}
            )
            play.screen.came_back(f"{told['received']} scans told, {told['new']} of them new")

    return act


# --- what happens by itself --------------------------------------------------------------------------------------


def let_pass(span: str) -> Act:
    """Let so much time go by (ISO 8601), in which nobody acts and the clock fires what falls due."""

    def act(play: Play, who: str) -> None:
        play.now = play.api.move_clock(span)
        play.look()
        play.show_case(f"; it is {play.now:%Y-%m-%d %H:%M} UTC now")

    return act


def await_notice(play: Play, who: str) -> None:
    """Look at the case until the clock has told the seller, for as long as there is patience."""
    until = time.monotonic() + play.patience
    while play.case["state"] == "opened":
        if time.monotonic() > until:
            raise Broken(f"after {play.patience:g} s the seller was not told: does a worker run?")
        play.screen.doing(f"the seller is yet to be told, {until - time.monotonic():.0f} s of patience left")
        time.sleep(LOOK_AGAIN)
        play.look()
    play.show_case()


def await_refund(play: Play, who: str) -> None:
    """Look at the case and its refund until the money has gone, for as long as there is patience."""
    until = time.monotonic() + play.patience
    told = None
    while True:
        refund = play.api.call("platform", "GET", f"{play.path}/refunds")["items"][0]
        play.look()
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


# --- what is looked at -------------------------------------------------------------------------------------------


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


def proven(name: str) -> Act:
    """That fact of the order must hold, as the case shows it with its source."""

    def act(play: Play, who: str) -> None:
        case = play.api.call(who, "GET", play.path)
        fact = next(one for one in case["facts"] if one["name"] == name)
        if not fact["holds"]:
            raise Broken(f"{name} should hold by now")
        play.screen.came_back(f"{name} since {fact['at']}, by {fact['source']}")

    return act


def stood_on(type_: str, name: str) -> Act:
    """The entry of this type must say that it stands on that fact of the order, and by which source."""

    def act(play: Play, who: str) -> None:
        facts = checks.opened(checks.entry_of(list(play.api.every(who, f"{play.path}/docket")), type_), "facts")
        (fact,) = facts["stands_on"]
        if (fact["name"], fact["holds"]) != (name, True):
            raise Broken(f"“{type_}” should stand on {name}; it stands on {fact['name']}")
        play.screen.checked(f"“{type_}” stands on a fact of the order: {name}, by {fact['source']}, {fact['at']}")

    return act


def check_order(play: Play, who: str, *, reserved: int, refunded: int) -> None:
    """What was paid, is held and went back, over all cases of the order. Raises Broken unless it is so much.

    `reserved` and `refunded` are in minor units.
    """
    order = play.api.call(who, "GET", f"/orders/{play.order_id}")
    play.screen.came_back(", ".join(f"{name} {money(order[name])}" for name in ("paid", "reserved", "refunded")))
    for name, amount in (("reserved", reserved), ("refunded", refunded)):
        if order[name] != play.script.worth(amount):
            wanted = money(play.script.worth(amount))
            raise Broken(f"the order should show {wanted} {name}; it shows {money(order[name])}")


def held(reserved: int) -> Act:
    """So much must be held on the order, in minor units, and nothing have gone back yet."""

    def act(play: Play, who: str) -> None:
        check_order(play, who, reserved=reserved, refunded=0)

    return act


def _course(course: str) -> Act:
    def act(play: Play, who: str) -> None:
        entries = list(play.api.every(who, f"{play.path}/docket"))
        went = ", ".join(f"{checks.opened(one, 'actor')['role']} {one['type']}" for one in entries)
        play.screen.came_back(went)
        if went != course:
            raise Broken(f"it should have gone so: {course}")

    return act


def _over(state: str, outcome: str) -> Act:
    def act(play: Play, who: str) -> None:
        case = play.api.call(who, "GET", play.path)
        if (case["state"], case["outcome"]) != (state, outcome):
            raise Broken(f"the case should be {state}, {outcome}; it is {case['state']}, {case['outcome']}")
        running = [one["kind"] for one in case["deadlines"]]
        if running or case["waiting_on"]:
            raise Broken(f"the case is over, and yet it waits on {case['waiting_on']} and these run: {running}")
        play.screen.checked(f"{state}, {outcome}; no deadline runs any more, and nobody is waited for")

    return act


def _paid(refunded: int, beside: int) -> Act:
    def act(play: Play, who: str) -> None:
        check_order(play, who, reserved=0, refunded=refunded)
        refunds = play.api.call(who, "GET", f"{play.path}/refunds")["items"]
        # What leaves by a marketplace's own gateway is in the books of the marketplace.
        if all(refund["gateway"] == "ledger" for refund in refunds):
            movements = play.api.call(who, "GET", f"{play.path}/ledger")["items"]
            for one in movements:
                play.screen.came_back(f"ledger: {money(one['amount'])} {one['purpose']} {one['account']}")
            checks.check_ledger(movements, play.script.worth(refunded + beside))
            summed = f"{len(movements)} movements sum to zero, and the buyer has it all" if movements else "empty"
            play.screen.checked(f"the ledger: {summed}")

    return act


PAID = Step("worker", "sends the refund; the ledger or the marketplace settles it", await_refund, ("refunded",))
RECOMPUTED = Step("buyer", "recomputes the record, and so does the mediator", check_docket)
#: How every story begins.
OPENING = (
    Step("platform", "puts the order on file; it alone says what was sold and paid", put_order),
    Step("buyer", "opens a dispute", open_case, ("opened",)),
    Step(CLOCK, "tells the seller, by itself", await_notice, ("seller_notified",)),
)


def ends(state: str, outcome: str, course: str, *, refunded: int = 0, beside: int = 0) -> tuple[Step, ...]:
    """The last steps: the money is waited for, and everything that the story claims is checked.

    `course` is every entry of the docket by role and type, in order. `refunded` is what of the price goes back, in
    minor units, `beside` what is paid apart from it: freight and compensation.
    """
    return (
        *((PAID,) if refunded else ()),
        Step("mediator", "reads in the docket who did what", _course(course)),
        RECOMPUTED,
        Step("mediator", "looks whether anything is still to be done", _over(state, outcome)),
        Step("platform", "sees the money on the order and in the ledger", _paid(refunded, beside)),
    )
