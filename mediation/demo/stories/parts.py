"""What the stories are put together from: an order and its claims, a decision, the steps that several of them take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from mediation.demo.people import HAN, KETTLES, LI, SECOND_SPRING, Party
from mediation.demo.script import Claimed, Dispute
from mediation.demo.steps import Body, action
from mediation.demo.story import Play, Step
from mediation.schemas import rfc3339

CHINESE, ENGLISH = (LI, KETTLES), (HAN, SECOND_SPRING)
ADDRESS = {"name": "Second Spring returns", "line": "1 Dock Road, Hangzhou", "phone": "0571-12345678"}
BACK, AGAIN = {"carrier": "SF", "tracking_number": "SF-RETURN-1"}, {"carrier": "SF", "tracking_number": "SF-AGAIN-1"}
NOTICED = "buyer open, clock notify_seller"
REFUSED = f"{NOTICED}, seller refuse, buyer request_mediation"
#: How the order of most stories came: paid, sent in time, delivered.
CAME = {"paid_at": 9, "ship_by": 7, "shipped_at": 8, "delivered_at": 4}


def dispute(
    headline: str, *claimed: Claimed, between: tuple[Party, Party] = ENGLISH, days_ago: Mapping[str, int] = CAME
) -> Callable[[datetime], Dispute]:
    """An order with these lines, all of them claimed; its times are whole days before it is told."""

    def told(now: datetime) -> Dispute:
        facts = {name: rfc3339(now - timedelta(days=days)) for name, days in days_ago.items()}
        buyer, seller = between
        return Dispute(headline, buyer, seller, "CNY", claimed, {"region": "CN", **facts})

    return told


def decision(outcome: str, remedy: str, liable: Mapping[str, int], reasons: str) -> Callable[[Play], dict[str, Any]]:
    """A decision that orders one remedy, its sum shared among who bears it."""

    def told(play: Play) -> dict[str, Any]:
        worth = play.script.worth
        return {
            "outcome": outcome,
            "remedy": {"kind": remedy, "amount": worth(sum(liable.values())), "freight_bearer": "seller"},
            "liability": [{"party": party, "amount": worth(amount)} for party, amount in liable.items()],
            "blame": "seller",
            "findings": [],
            "reasons": reasons,
        }

    return told


def refuses(reason: str, statement: str) -> tuple[Step, ...]:
    """The seller refuses, and the buyer calls the platform in."""
    body = {"reason": reason, "statement": statement}
    return (
        Step("seller", "refuses", action("refuse", body, saying="statement"), ("seller_refused",)),
        Step("buyer", "asks for mediation", action("request_mediation"), ("under_review",)),
    )


def agrees(does: str, leads_to: str, body: Body) -> Step:
    """The seller grants all that was asked."""
    return Step("seller", does, action("agree", body), (leads_to,))


SENT_BACK = Step("buyer", "sends the goods back", action("ship_return", BACK), ("awaiting_inspection",))
CAME_BACK = action("confirm_return")
SENT_AGAIN = Step("seller", "sends another", action("perform", AGAIN), ("awaiting_performance",))
