"""Three stories with a decision: on a side's silence, on two claims at once, and on more than one may order alone."""

from __future__ import annotations

from typing import Any

from mediation.demo import checks
from mediation.demo.errors import Broken
from mediation.demo.script import Claimed
from mediation.demo.steps import OPENING, action, ends, file_exhibit, held, let_pass, money, refused
from mediation.demo.stories.parts import ADDRESS, CAME_BACK, REFUSED, SENT_AGAIN, SENT_BACK, decision, dispute, refuses
from mediation.demo.story import TIME, Play, Step, Story


def _request(play: Play) -> dict[str, Any]:
    """What evidence was asked for, last."""
    items = list(play.api.every("mediator", f"{play.path}/evidence-requests"))
    return items[-1]


def _answer(play: Play) -> dict[str, Any]:
    asked = _request(play)
    own = next(one["item"] for one in asked["items"] if one["side"] == "buyer")
    words = {"buyer": "Any scratches?", "seller": "Not one, you have my word."}
    said = [{"sender": {"role": role, "id": role}, "text": text} for role, text in words.items()]
    log = {"kind": "chat_log", "title": "What we wrote before I paid", "timezone": "UTC", "messages": said}
    return {**log, "answers": {"request": asked["id"], "item": own}}


def _on_the_default(play: Play) -> dict[str, Any]:
    finding = {
        "issue": "Was the scratch there when the camera was sent?",
        "burden": "seller",
        "finding": "not_proven",
        "defaults": [{"request": _request(play)["id"], "side": "seller"}],
    }
    reasons = "Asked for the conversation, the buyer showed it and the seller kept silent. That silence counts."
    decided = decision("buyer_favour", "refund", {"seller": 38_000}, reasons)(play)
    return {**decided, "findings": [finding]}


def _show_default(play: Play, who: str) -> None:
    """Who kept silent is in the docket, and the decision cites it."""
    entry = checks.entry_of(list(play.api.every(who, f"{play.path}/docket")), "default_evidence")
    silent = checks.opened(entry, "facts")["silent"]
    (decision,) = play.api.every(who, f"{play.path}/decisions")
    cited = [(one["request"], one["side"]) for finding in decision["findings"] for one in finding["defaults"]]
    if silent != ["seller"] or cited != [(_request(play)["id"], "seller")]:
        raise Broken(f"the seller's default alone should be on record and cited; {silent} and {cited} are")
    play.screen.checked(f"entry {entry['seq']} says that the seller kept silent, and decision 1 cites it")


EVIDENCE_DEFAULT = Story(
    "evidence-default",
    "Both sides are asked for evidence and one keeps silent: the decision cites its default.",
    dispute(
        "A camera with a scratch, and only one side shows what was said of it",
        Claimed("Camera, as new", "other", 38_000, "not_as_described", "refund_only", "It is scratched all over."),
    ),
    (
        *OPENING,
        *refuses("as_described", "It is as new. No refund."),
        Step(
            "mediator",
            "asks both sides for what they wrote to each other",
            action("request_evidence", {"from": "both", "items": [{"type": "chat_log", "note": "All of it, please."}]}),
            ("awaiting_evidence",),
        ),
        Step("buyer", "shows it", file_exhibit(_answer), ("awaiting_evidence",)),
        Step(TIME, "passes: three days, and the seller shows nothing", let_pass("P3D"), ("under_review",)),
        Step(
            "mediator", "decides, citing the silence", action("decide", _on_the_default, saying="reasons"), ("decided",)
        ),
        Step("buyer", "accepts", action("accept_decision"), ("decided",)),
        Step(TIME, "passes: seven days, and the seller does not appeal", let_pass("P7D"), ("refund", "refunded")),
        Step("mediator", "reads who kept silent, and that it was cited", _show_default),
        *ends(
            "refunded",
            "buyer_favour",
            f"{REFUSED}, mediator request_evidence, buyer exhibit_filed, clock default_evidence, mediator decide, "
            "buyer accept_decision, clock finalise, gateway settle_refund",
            refunded=38_000,
        ),
    ),
)


def _two_remedies(play: Play) -> dict[str, Any]:
    """The first claim's goods go back for their price, the second's are sent again; the seller bears the freight."""
    worth, (first, second) = play.script.worth, [claim["id"] for claim in play.case["claims"]]
    price, freight = play.script.claimed[0].amount, 1_200
    reasons = "The jacket is not the one that was shown; the belt was never in the parcel."
    decided = decision("buyer_favour", "return_and_refund", {"seller": price + freight}, reasons)(play)
    remedy = {**decided["remedy"], "amount": worth(price), "freight": worth(freight)}
    dispositions = [
        {"claim": first, "remedy": {"kind": "return_and_refund", "amount": worth(price)}},
        {"claim": second, "remedy": {"kind": "reship"}},
    ]
    return {**decided, "remedy": remedy, "dispositions": dispositions, "return_address": ADDRESS}


TWO_CLAIMS = Story(
    "two-claims",
    "Two claims, two remedies: goods go back, goods come, then money, in this order.",
    dispute(
        "A jacket that is another one, and a belt that was not in the parcel",
        Claimed("Jacket", "apparel", 29_900, "not_as_described", "return_and_refund", "It is not the jacket shown."),
        Claimed("Belt", "apparel", 6_900, "missing_items", "reship", "There was no belt in the parcel."),
    ),
    (
        *OPENING,
        *refuses("as_described", "Everything was in the parcel, and as shown."),
        Step(
            "mediator",
            "disposes of each claim by itself",
            action("decide", _two_remedies, saying="reasons"),
            ("decided",),
        ),
        Step("platform", "sees that the order holds both prices", held(36_800)),
        Step("buyer", "accepts", action("accept_decision"), ("decided",)),
        Step("seller", "accepts too, which makes it final", action("accept_decision"), ("awaiting_return",)),
        SENT_BACK,
        Step("seller", "has the jacket back", CAME_BACK, ("awaiting_performance",)),
        SENT_AGAIN,
        Step("buyer", "has the belt", action("confirm_performance"), ("refund", "refunded")),
        *ends(
            "refunded",
            "buyer_favour",
            f"{REFUSED}, mediator decide, buyer accept_decision, seller accept_decision, system finalise, buyer "
            "ship_return, seller confirm_return, seller perform, buyer confirm_performance, gateway settle_refund",
            refunded=29_900,
            beside=1_200,
        ),
    ),
)


def _show_decisions(play: Play, who: str) -> None:
    """The first decision fell on appeal, and the second is final."""
    decisions = list(play.api.every(who, f"{play.path}/decisions"))
    for one in decisions:
        shares = " and ".join(f"{money(part['amount'])} by the {part['party']}" for part in one["liability"])
        play.screen.came_back(f"decision {one['number']} ({one['status']}): {one['outcome']}, borne {shares}")
    found = [(one["status"], one["on_appeal"], sorted(each["side"] for each in one["appeals"])) for one in decisions]
    if found != [("overturned", False, ["buyer", "seller"]), ("final", True, [])]:
        raise Broken(f"the first decision should have fallen on both appeals and the second be final; they are {found}")


ABOVE_AUTHORITY = Story(
    "above-authority",
    "More than a mediator may order: approved, appealed by both sides, decided anew for good.",
    dispute(
        "A dear vase that broke on its way, and two who are not content",
        Claimed(
            "Vase, signed", "other", 128_800, "damaged", "refund_only", "It came in pieces. I want all of it back."
        ),
    ),
    (
        *OPENING,
        *refuses("other", "It left us whole."),
        Step(
            "mediator",
            "decides on a sum above their authority, so that it waits",
            action(
                "decide",
                decision("buyer_favour", "partial_refund", {"seller": 80_001}, "The vase was packed too loosely."),
                saying="reasons",
            ),
            ("escalated",),
        ),
        Step("other senior", "approves", action("approve", {"note": "Agreed."}), ("decided",)),
        Step(
            "seller",
            "appeals: it is too much",
            action("appeal", {"grounds": "The carrier dropped it."}, saying="grounds"),
            ("escalated",),
        ),
        Step(
            "buyer",
            "appeals: it is too little",
            action("appeal", {"grounds": "I have nothing but shards."}, saying="grounds"),
            ("escalated",),
        ),
        Step(
            "other senior",
            "takes the appeal against what they approved, and is refused",
            refused("take", "own_decision_appealed", status=403),
        ),
        Step("senior", "takes the appeal", action("take"), ("escalated",)),
        Step(
            "senior",
            "decides anew, the sum shared to the last unit; there is no further appeal",
            action(
                "decide",
                decision(
                    "split",
                    "partial_refund",
                    {"seller": 66_668, "carrier": 33_333},
                    "Both the packing and the handling were careless, the packing twice as much.",
                ),
                saying="reasons",
            ),
            ("refund", "refunded"),
        ),
        Step("mediator", "reads both decisions", _show_decisions),
        *ends(
            "refunded",
            "split",
            f"{REFUSED}, mediator decide, senior approve, seller appeal, buyer appeal, senior take, senior decide, "
            "system finalise, gateway settle_refund",
            refunded=100_001,
        ),
    ),
)
