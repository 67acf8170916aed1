"""What a story is told about: an order and what is claimed of it; for the kettle's, all that is said and quoted too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from mediation.demo.people import KETTLES, LI, Party
from mediation.schemas import money, rfc3339

SHANGHAI = "Asia/Shanghai"


@dataclass(frozen=True, slots=True)
class Claimed:
    """A line of an order and what is claimed of it: all that was paid for it, `amount` in minor units."""

    title: str
    category: str
    amount: int
    reason: str
    request: str
    statement: str


@dataclass(frozen=True, slots=True)
class Dispute:
    """An order, and what its buyer claims of each of its lines. `facts` are the order's own, beside what was paid."""

    headline: str
    buyer: Party
    seller: Party
    currency: str
    claimed: tuple[Claimed, ...]
    facts: Mapping[str, Any]

    @property
    def paid(self) -> dict[str, Any]:
        """What was paid, and is claimed back, as the API writes money."""
        return self.worth(sum(line.amount for line in self.claimed))

    def worth(self, amount: int) -> dict[str, Any]:
        """A sum in the order's currency, from minor units, as the API writes money."""
        return money(amount, self.currency)

    def order(self, order_id: str) -> dict[str, Any]:
        """The order with its parties, as the platform puts it on file."""
        lines = [
            {
                "id": str(n),
                "title": line.title,
                "quantity": 1,
                "unit_price": self.worth(line.amount),
                "category": line.category,
            }
            for n, line in enumerate(self.claimed, 1)
        ]
        return {
            "order": {"id": order_id, "paid": self.paid, **self.facts, "lines": lines},
            "buyer": dict(self.buyer),
            "seller": dict(self.seller),
        }

    def claims(self) -> list[dict[str, Any]]:
        """What the buyer claims, as they file it."""
        return [
            {
                "line_id": str(n),
                "reason": line.reason,
                "request": line.request,
                "amount": self.worth(line.amount),
                "statement": line.statement,
            }
            for n, line in enumerate(self.claimed, 1)
        ]


@dataclass(frozen=True, slots=True)
class Script(Dispute):
    """A dispute about one line that turns on words: `messages` are those of a native chat log.

    `quote` stands to the letter in message `seq`, `misquote` does not.
    """

    refusal_reason: str
    refusal: str
    log_title: str
    timezone: str
    messages: tuple[Mapping[str, Any], ...]
    seq: int
    quote: str
    misquote: str
    issue: str
    reasons: str
    grounds: str
    dismissal: str

    def chat_log(self) -> dict[str, Any]:
        """The conversation, ready to be filed as an exhibit."""
        told = {"title": self.log_title, "timezone": self.timezone}
        return {"kind": "chat_log", **told, "messages": [dict(message) for message in self.messages]}

    def decision(self, exhibit: str, quote: str) -> dict[str, Any]:
        """The mediator's decision for the buyer, on the strength of these words in that exhibit."""
        finding = {
            "issue": self.issue,
            "burden": "seller",
            "finding": "proven",
            "relied_on": [{"exhibit": exhibit, "quotes": [{"seq": self.seq, "text": quote}]}],
        }
        return {
            "outcome": "buyer_favour",
            "remedy": {"kind": "refund", "amount": self.paid, "freight_bearer": "seller"},
            "liability": [{"party": "seller", "amount": self.paid}],
            "blame": "seller",
            "findings": [finding],
            "reasons": self.reasons,
        }


def kettle(now: datetime) -> Script:
    """The house's own story: a kettle promised for tomorrow and sent four days later, told as of `now`."""
    return Script(
        headline="A kettle, promised for tomorrow and sent four days later",
        buyer=LI,
        seller=KETTLES,
        currency="CNY",
        claimed=(
            Claimed(
                title="不锈钢电热水壶 1.7 L",
                category="home_appliances",
                amount=12_900,
                reason="late_shipment",
                request="refund_only",
                statement="说好48小时内发货，拖了六天才发出，请客已经过去了，壶我不要了，请退款。",
            ),
        ),
        facts={
            "region": "CN",
            "paid_at": rfc3339(now - timedelta(days=8)),
            "ship_by": rfc3339(now - timedelta(days=6)),
            "shipped_at": rfc3339(now - timedelta(days=1)),
        },
        refusal_reason="shipped",
        refusal="货已经寄出，在路上了，不同意退款。",
        log_title="店铺聊天记录",
        timezone=SHANGHAI,
        messages=_kettle_chat(now),
        seq=4,
        quote="明天发货",
        misquote="今天发货",
        issue="卖家是否按自己的承诺发货",
        reasons="卖家在聊天中写明“明天发货”，而订单在四天之后才发出，买家的用途已经落空。应全额退款，运费由卖家承担。",
        grounds="当时仓库缺货，不是我们不愿意发，请重新考虑。",
        dismissal="缺货是卖家自己应承担的风险，改变不了“明天发货”这句承诺。维持原决定。",
    )


def _kettle_chat(now: datetime) -> tuple[Mapping[str, Any], ...]:
    asked, later = now - timedelta(days=5), now - timedelta(days=1, hours=4)
    said = (
        ("buyer", asked, "你好，我前几天拍的电热水壶怎么还没发货？"),
        ("seller", asked + timedelta(minutes=1), "亲，您好，这两天仓库有点忙呢。"),
        ("buyer", asked + timedelta(minutes=2), "页面上写的是48小时内发货，我请客要用的。"),
        ("seller", asked + timedelta(minutes=4), "亲放心，明天发货，后天一定到您手里。"),
        ("buyer", asked + timedelta(minutes=5), "说好了？那我就再等一天。"),
        ("seller", asked + timedelta(minutes=6), "嗯嗯，说好了。"),
        ("buyer", later, "四天了，物流一条记录都没有。"),
        ("seller", later + timedelta(minutes=30), "实在抱歉，货刚刚到仓，今晚就寄。"),
    )
    senders = {
        "buyer": {"role": "buyer", "id": LI["id"], "name": LI["name"]},
        "seller": {"role": "seller", "id": KETTLES["id"], "name": "客服小敏"},
    }
    zone = ZoneInfo(SHANGHAI)
    return tuple(
        {
            "sender": senders[role],
            # Local times, as a shop's chat program exports them; the filing states their zone.
            "sent_at": at.astimezone(zone).replace(tzinfo=None).isoformat(timespec="seconds"),
            "text": text,
        }
        for role, at, text in said
    )
