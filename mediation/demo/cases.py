"""The quarrels that lie in an empty home, as data: who, about what, how long ago, and what was done since.

They are recent enough to stay as they are for a day and more before a clock moves them; in a sandbox, until its time is
moved on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from mediation.demo.people import HAN, KETTLES, LI, SECOND_SPRING, Party
from mediation.demo.script import Script, kettle
from mediation.schemas import money

#: Between two deeds on one case; only the clock does what it does at once.
APART = timedelta(minutes=10)
CLOCK = "clock"


@dataclass(frozen=True, slots=True)
class Deed:
    """One thing done on a case: an action, or `chat_log` (files it) or `pay` (the refund leaves by the ledger)."""

    who: str
    does: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Quarrel:
    """A case to be put on file: `order` as PUT /orders takes it, one claim, opened so long `ago`."""

    order: Mapping[str, Any]
    claim: Mapping[str, Any]
    ago: timedelta
    deeds: tuple[Deed, ...] = ()


def _order(order_id: str, buyer: Party, seller: Party, title: str, paid: Mapping[str, Any]) -> dict[str, Any]:
    line = {"id": "1", "title": title, "quantity": 1, "unit_price": dict(paid)}
    return {
        "order": {"id": order_id, "paid": dict(paid), "lines": [line]},
        "buyer": dict(buyer),
        "seller": dict(seller),
    }


def _claim(reason: str, paid: Mapping[str, Any], statement: str, *, request: str = "refund_only") -> dict[str, Any]:
    told = {"reason": reason, "request": request, "amount": dict(paid)}
    return {"line_id": "1", **told, "statement": statement}


def _decision(paid: Mapping[str, Any], reasons: str) -> dict[str, Any]:
    return {
        "outcome": "buyer_favour",
        "remedy": {"kind": "refund", "amount": dict(paid), "freight_bearer": "seller"},
        "liability": [{"party": "seller", "amount": dict(paid)}],
        "blame": "seller",
        "findings": [],
        "reasons": reasons,
    }


TOLD = Deed(CLOCK, "notify_seller", {})
CALLED_IN = Deed("buyer", "request_mediation", {})


def _refused(reason: str, statement: str) -> tuple[Deed, ...]:
    return TOLD, Deed("seller", "refuse", {"reason": reason, "statement": statement})


def quarrels(now: datetime) -> tuple[Quarrel, ...]:
    """All of them, oldest first; the first is the one a mediator can take at once."""
    return (
        _under_review(kettle(now)),
        _refunded(money(4_500, "CNY")),
        _decided(money(8_800, "CNY")),
        _negotiating(money(35_900, "CNY")),
        _seller_notified(money(2_600, "USD")),
        _awaiting_return(money(6_900, "CNY")),
        _escalated(money(120_000, "CNY")),
    )


def _under_review(script: Script) -> Quarrel:
    chat = Deed("buyer", "chat_log", script.chat_log())
    deeds = (*_refused(script.refusal_reason, script.refusal), CALLED_IN, chat)
    return Quarrel(script.order("DEMO-1001"), script.claims()[0], timedelta(hours=22), deeds)


def _refunded(paid: Mapping[str, Any]) -> Quarrel:
    order = _order("DEMO-1002", LI, SECOND_SPRING, "羊毛围巾 灰色", paid)
    claim = _claim("wrong_item", paid, "我拍的是灰色，寄来的是绿色。")
    deeds = (TOLD, Deed("seller", "agree", {}), Deed("worker", "pay", {}))
    return Quarrel(order, claim, timedelta(hours=20), deeds)


def _decided(paid: Mapping[str, Any]) -> Quarrel:
    order = _order("DEMO-1003", HAN, KETTLES, "Cast iron teapot 0.8 L", paid)
    claim = _claim("damaged", paid, "The lid was cracked when I opened the parcel, and the box was dented.")
    decision = _decision(paid, "The seller packed cast iron and its lid without padding between them.")
    deeds = (*_refused("other", "It left our warehouse whole."), CALLED_IN, Deed("mediator", "decide", decision))
    return Quarrel(order, claim, timedelta(hours=18), deeds)


def _negotiating(paid: Mapping[str, Any]) -> Quarrel:
    order = _order("DEMO-1004", LI, SECOND_SPRING, "二手咖啡机 九成新", paid)
    claim = _claim("quality_defect", paid, "蒸汽棒不出汽，商品页面没有提到这个毛病。")
    offer = {"remedy": "partial_refund", "amount": money(9_000, "CNY"), "note": "蒸汽棒我出钱给您换，可以吗？"}
    return Quarrel(order, claim, timedelta(hours=9), (TOLD, Deed("seller", "offer", offer)))


def _seller_notified(paid: Mapping[str, Any]) -> Quarrel:
    order = _order("DEMO-1005", HAN, SECOND_SPRING, "Reading lamp, brass", paid)
    claim = _claim("missing_items", paid, "The plug adapter shown in the pictures was not in the box.")
    return Quarrel(order, claim, timedelta(hours=5), (TOLD,))


def _awaiting_return(paid: Mapping[str, Any]) -> Quarrel:
    order = _order("DEMO-1006", LI, KETTLES, "养生壶玻璃内胆", paid)
    claim = _claim("wrong_item", paid, "尺寸不对，装不进我的壶，要退货。", request="return_and_refund")
    address = {"name": "壶里乾坤 退货组", "line": "浙江省杭州市余杭区仓前街道 1 号"}
    return Quarrel(order, claim, timedelta(hours=3), (TOLD, Deed("seller", "agree", {"return_address": address})))


def _escalated(paid: Mapping[str, Any]) -> Quarrel:
    """The last deed is done now: each level above the mediator has a day, and this case is to stay where it is."""
    order = _order("DEMO-1007", LI, KETTLES, "紫砂壶 手工制作 附证书", paid)
    claim = _claim("counterfeit", paid, "证书编号查不到，做工也不像手工，我认为是假货。")
    decision = _decision(paid, "证书编号在发证机构查无此号，卖家未能提供进货凭证，应当退款。")
    deeds = (
        *_refused("as_described", "我们的壶都是真品，证书随壶附上。"),
        CALLED_IN,
        Deed("mediator", "decide", decision),
    )
    return Quarrel(order, claim, APART * sum(deed.who != CLOCK for deed in deeds), deeds)
