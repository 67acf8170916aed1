"""A rich case for the tests of the page: every kind of thing shown, erased or withheld."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from evidence.dossier.page import View

NOBODY = {"salt": None, "value": None}


def opening(value: Any) -> dict[str, Any]:
    return {"salt": "00" * 32, "value": value}


def entry(seq: int, type_: str, to: str, at: str, **opened: Any) -> dict[str, Any]:
    openings = [{"name": name, **opening({name: value})} for name, value in opened.items()]
    body = {"v": 1, "case": "c", "seq": seq, "prev": "0" * 64, "at": at, "type": type_, "from": None, "to": to}
    return {"entry": {**body, "commitments": [], "hash": "1" * 64}, "openings": openings}


def message(seq: int, role: str, text: str | None, at: str | None, name: str | None, **more: Any) -> dict[str, Any]:
    return {
        "leaf": {"seq": seq, "role": role, "sent_at": at, "kind": more.get("kind", "text")},
        "text": NOBODY if text is None else opening(text),
        "sender": NOBODY if name is None else opening({"id": None, "name": name}),
        "attachments": opening(more.get("attachments", [])),
    }


def money(amount: int, currency: str = "CNY") -> dict[str, Any]:
    return {"amount": amount, "currency": currency}


def claim(reason: str, request: str, amount: int, statement: str | None) -> dict[str, Any]:
    return {"reason": reason, "request": request, "amount": money(amount), "statement": statement}


def quote(seq: int, start: int, length: int) -> dict[str, int]:
    return {"seq": seq, "start": start, "length": length}


FINDINGS: list[dict[str, Any]] = [
    {
        "issue": "卖家是否承诺次日发货",
        "burden": "seller",
        "finding": "proven",
        "rules": [],
        "relied_on": [{"exhibit": "S-1", "quotes": [quote(3, 2, 4), quote(3, 4, 5)]}, {"exhibit": "B-1", "quotes": []}],
        "rejected": [{"exhibit": "B-1", "why": "看不清日期"}],
        "differences": [{"left": "B-1", "right": "S-1", "kind": "missing", "left_seq": None, "right_seq": 4}],
    },
    {
        "issue": "Was the kettle sent in time?",
        "burden": "seller",
        "finding": "not_proven",
        "rules": [{"id": "38", "version": 3}],
        "relied_on": [],
        "rejected": [],
    },
]
CASE: dict[str, Any] = {
    "id": "c",
    "reference": "D-7K4Q-9XM2-ABCD",
    "state": "refunded",
    "outcome": "buyer_favour",
    "opened_at": "2026-11-05T10:00:00Z",
    "closed_at": "2026-11-12T10:00:00.123456Z",
    "buyer": {"id": "buyer-1", "name": "李雷"},
    "seller": {"id": "shop-17", "name": "悦家旗舰店"},
    "order": {
        "id": "T2026-1",
        "paid": money(12_900),
        "lines": [{"id": "1", "sku": "KX-9", "title": "电热水壶 1.7L", "quantity": 1, "unit_price": money(12_900)}],
    },
    "claims": [
        claim("late_shipment", "refund_only", 12_900, "说好明天发货，一周了还没有。"),
        claim("gift", "compensation", 500, None),
    ],
    "offers": [
        {
            "by": "seller",
            "remedy": {"kind": "partial_refund", "amount": money(2_000)},
            "note": "一半可以吗",
            "status": "declined",
            "made_at": "2026-11-06T09:00:00Z",
        }
    ],
    "messages": [
        {"seq": 4, "author": {"role": "buyer"}, "text": "请尽快处理，谢谢", "posted_at": "2026-11-07T08:00:00Z"},
        {"seq": 6, "author": None, "text": None, "posted_at": "2026-11-07T09:00:00Z"},
    ],
    "refunds": [
        {
            "purposes": {"refund": money(12_900)},
            "amount": money(12_900),
            "status": "settled",
            "requested_at": "2026-11-11T10:00:00Z",
            "settled_at": "2026-11-12T10:00:00Z",
        }
    ],
    "ledger": [
        {"account": "seller", "purpose": "refund", "amount": money(-12_900), "at": "2026-11-12T10:00:00Z"},
        {"account": "buyer", "purpose": None, "amount": money(12_900), "at": "2026-11-12T10:00:00Z"},
    ],
}
AT = "2026-11-06T11:00:00.000000Z"
DOCKET = [
    entry(1, "open", "opened", "2026-11-05T10:00:00.000000Z", actor={"role": "platform"}),
    entry(2, "notify_seller", "seller_notified", "2026-11-05T10:00:01.000000Z", actor={"role": "clock"}),
    entry(3, "refuse", "seller_refused", "2026-11-06T10:00:00.000000Z", statement="已经在路上了，请耐心等待。"),
    {"seq": 4, "hash": "2" * 64},
    entry(5, "exhibit_filed", "under_review", AT, facts={"label": "S-1"}, actor={"role": "seller"}),
    entry(6, "act_of_a_later_version", "under_review", "2026-11-06T12:00:00.000000Z"),
    entry(7, "decide", "decided", "2026-11-08T10:00:00.000000Z", actor={"role": "mediator"}),
]
DECISIONS: list[dict[str, Any]] = [
    {
        "seq": 7,
        "outcome": "buyer_favour",
        "status": "final",
        "remedy": {"kind": "refund", "amount": money(12_900)},
        "liability": [{"party": "seller", "amount": money(12_900)}],
        "reasons": "卖家两次承诺次日发货，均未履行；物流无任何揽收记录。应全额退款。",
        "findings": FINDINGS,
        "issued_at": "2026-11-08T10:00:00Z",
        "appeals": [{"side": "seller", "grounds": None, "exhibits": [], "filed_at": "2026-11-09T10:00:00Z"}],
    }
]
EXHIBITS: list[dict[str, Any]] = [
    {
        "label": "S-1",
        "kind": "chat_log",
        "title": "与买家的聊天记录",
        "media_type": "text/plain",
        "sha256": "ab" * 32,
        "merkle_root": "cd" * 32,
        "messages": 7,
        "timezone": "Asia/Shanghai",
        "filed_by": {"role": "seller", "id": None},
        "filed_at": "2026-11-06T11:00:00Z",
        "late": True,
        "problems": [{"line": 3, "message_seq": 2, "code": "time_runs_backwards", "detail": "it was sent before"}],
        "redacted_at": None,
    },
    {
        "label": "B-1",
        "kind": "photo",
        "title": None,
        "sha256": None,
        "merkle_root": None,
        "messages": None,
        "timezone": None,
        "filed_by": {"role": "buyer", "id": "buyer-1"},
        "filed_at": "2026-11-06T11:00:00Z",
        "late": False,
        "problems": [],
        "redacted_at": "2026-11-13T11:00:00Z",
    },
]
MESSAGES = [
    message(1, "system", "会话开始", "2026-11-03T01:12:00.000000Z", None, kind="system"),
    message(2, "buyer", "老板，我11月1号拍的电热水壶怎么还没发货啊", "2026-11-03T01:12:41.000000Z", "tb晴天小雨"),
    message(3, "seller", "亲，一定的，明天发货，不发赔您5元😀", "2026-11-03T01:21:10.000000Z", "悦家旗舰店:小夏"),
    message(4, "buyer", "[图片]", AT, "tb晴天小雨", kind="image", attachments=[{"name": "壶.jpg"}]),
    message(5, "seller", "", None, "悦家旗舰店:小夏", kind="recall"),
    message(6, "buyer", None, "2026-11-05T10:03:00.000000Z", None),
    message(7, "staff", "Hello, this is the house. \u202eevil", "2026-11-05T10:04:00.000000Z", "客服"),
]
CUSTODY = [
    {"entry": {"act": "filed", "seq": 1}, "opening": opening({"actor": {"role": "seller"}, "what": {}})},
    {"entry": {"act": "viewed", "seq": 2}, "opening": NOBODY},
    {"entry": {"act": "viewed", "seq": 3}, "opening": NOBODY},
]


def view(**changes: Any) -> View:
    """The case, with members replaced by `changes`."""

    def messages(label: str) -> Iterable[Mapping[str, Any]]:
        return changes.get("messages", MESSAGES) if label == "S-1" else []

    return View(
        case=changes.get("case", CASE),
        docket=changes.get("docket", DOCKET),
        decisions=changes.get("decisions", DECISIONS),
        exhibits=changes.get("exhibits", EXHIBITS),
        messages=messages,
        custody=lambda label: CUSTODY if label == "S-1" else [],
        head={"seq": 7, "hash": "1" * 64},
        made_at="2026-11-20T08:00:00.000000Z",
        made_for="buyer",
        thumbprint="NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
    )
