"""Who plays in the demonstration. The staff carry the ids of the tokens that `mediation up` prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mediation.supervision.greeting import SUBJECTS

#: A party as the platform states it with an order.
Party = Mapping[str, str]

LI: Party = {"id": SUBJECTS["buyer"], "name": "李雷", "locale": "zh-CN"}
HAN: Party = {"id": "buyer-2", "name": "Han Meimei", "locale": "en"}
KETTLES: Party = {"id": SUBJECTS["seller"], "name": "壶里乾坤旗舰店", "locale": "zh-CN"}
SECOND_SPRING: Party = {"id": "shop-23", "name": "Second Spring", "locale": "en"}


@dataclass(frozen=True, slots=True)
class Person:
    """Who a token speaks for: `party` is the buyer or shop acted for, None for everyone else."""

    role: str
    subject: str
    party: str | None = None


def cast(buyer: Party, seller: Party) -> dict[str, Person]:
    """The people of a quarrel between these two, by the name they have in the story."""
    return {
        "platform": Person("platform", SUBJECTS["platform"]),
        "buyer": Person("buyer", buyer["id"], buyer["id"]),
        # A shop speaks through its staff, each under a name of their own.
        "seller": Person("seller", f"clerk-of-{seller['id']}", seller["id"]),
        "mediator": Person("mediator", SUBJECTS["mediator"]),
        "senior": Person("senior", SUBJECTS["senior"]),
        # Nobody hears an appeal against what they approved: that takes a second senior.
        "other senior": Person("senior", "senior-2"),
        # Who lets days go by in a sandbox.
        "admin": Person("admin", SUBJECTS["admin"]),
    }
