"""A rich case for the tests of the page: every kind of thing shown, erased or withheld."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from evidence.dossier.page import View

NOBODY = {"salt": None, "value": None}
REFERENCE = "D-7K4Q-9XM2-ABCD"
THUMBPRINT = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
HEAD = "3b1f6a0c9d2e47588f06a1b7c4d9e2f0135a7b9c8d6e4f20a1b3c5d7e9f01234"
DIGEST = "9f2c4e61b8a7d03f5c1e9a7b3d5f80214c6e8a0b2d4f6071839a5c7e9b1d3f50"
ROOT = "51d0c3a8e7f62b94d1a05c8e3f7b296084ad6e1c5f9b3072d8e4a6c0b1f39d75"


def opening(value: Any) -> dict[str, Any]:
    return {"salt": "00" * 32, "value": value}


def entry(seq: int, type_: str, states: str, at: str, **opened: Any) -> dict[str, Any]:
    """An entry that moves a case as `states` say ("from>to", or where it stays); an opening of None is erased."""
    before, _, after = states.rpartition(">")
    openings = [
        {"name": name, **(NOBODY if value is None else opening({name: value}))} for name, value in opened.items()
    ]
    body = {"v": 1, "case": "c", "seq": seq, "prev": "0" * 64, "at": f"2026-11-{at}.000000Z", "type": type_}
    body |= {"from": before or (None if seq == 1 else after), "to": after}
    return {"entry": {**body, "commitments": [], "hash": "1" * 64}, "openings": openings}


def message(seq: int, role: str, text: str | None, at: str | None, name: str | None, **more: Any) -> dict[str, Any]:
    return {
        "leaf": {"seq": seq, "role": role, "sent_at": at, "kind": more.get("kind", "text"), "c_text": DIGEST},
        "text": NOBODY if text is None else opening(text),
        "sender": NOBODY if name is None else opening({"id": None, "name": name}),
        "attachments": NOBODY if more.get("erased") else opening(more.get("attachments", [])),
    }


def money(amount: int, currency: str = "CNY") -> dict[str, Any]:
    return {"amount": amount, "currency": currency}


def claim(n: int, reason: str, request: str, amount: int, statement: str | None) -> dict[str, Any]:
    return {
        "id": f"claim-{n}",
        "line_id": str(n),
        "reason": reason,
        "request": request,
        "amount": money(amount),
        "statement": statement,
    }


def quote(seq: int, start: int, length: int) -> dict[str, int]:
    return {"seq": seq, "start": start, "length": length}


def actor(role: str, subject: str | None = None) -> dict[str, Any]:
    return {"role": role, "subject": subject or role, "acts_for": None, "marketplace": "m"}


FINDINGS: list[dict[str, Any]] = [
    {
        "issue": "卖家是否承诺次日发货？",
        "burden": "buyer",
        "finding": "proven",
        "rules": [{"id": "第三十八条", "version": 3}],
        "relied_on": [
            {"exhibit": "S-1", "quotes": [quote(3, 6, 4), quote(9, 0, 12)]},
            {"exhibit": "B-1", "quotes": []},
        ],
        "rejected": [{"exhibit": "B-2", "why": "截图不完整，看不清日期。"}],
        "differences": [
            {"left": "B-2", "right": "S-1", "kind": "missing", "left_seq": None, "right_seq": 9},
            {"left": "B-2", "right": "S-1", "kind": "clock_shift", "left_seq": None, "right_seq": None},
        ],
    },
    {
        "issue": "Does a gift that was promised fall due when the goods come late?",
        "burden": "seller",
        "finding": "not_proven",
        "rules": ["41"],
        "relied_on": [{"exhibit": "S-1", "quotes": [quote(3, 8, 8), quote(6, 0, 4)]}, {"exhibit": "M-1", "quotes": []}],
        "rejected": [],
        "defaults": [{"request": "r-1", "side": "seller"}],
    },
]
CASE: dict[str, Any] = {
    "id": "c",
    "reference": REFERENCE,
    "marketplace": "m",
    "state": "refunded",
    "version": 19,
    "outcome": "buyer_favour",
    "remedy": {"kind": "refund", "amount": money(13_400), "return_required": False, "purposes": {}},
    "opened_at": "2026-11-05T10:00:00Z",
    "updated_at": "2026-11-12T10:00:00Z",
    "closed_at": "2026-11-12T10:00:00.123456Z",
    "buyer": {"id": "buyer-1", "name": "李雷", "locale": "zh-CN"},
    "seller": {"id": "shop-17", "name": "悦**", "locale": "zh-CN"},
    "order": {
        "id": "T2026-1101-88",
        "paid": money(14_900),
        "paid_at": "2026-11-01T08:00:00Z",
        "ship_by": "2026-11-03T08:00:00Z",
        "shipped_at": None,
        "region": "CN",
        "lines": [
            {"id": "1", "sku": "KX-9", "title": "电热水壶 1.7L 不锈钢", "quantity": 1, "unit_price": money(12_900)},
            {"id": "2", "sku": "CUP-2", "title": "Tea cup, pair", "quantity": 2, "unit_price": money(1_000)},
        ],
    },
    "claims": [
        claim(1, "late_shipment", "refund_only", 12_900, "说好明天发货，一周了还没有。\n客服一直让我等。"),
        claim(2, "gift", "compensation", 500, None),
    ],
    "offers": [
        {
            "by": "seller",
            "remedy": {"kind": "partial_refund", "amount": money(2_000), "return_required": False},
            "note": "先补偿您20元，明天一定发出，可以吗？",
            "status": "declined",
            "made_at": "2026-11-06T11:30:00Z",
        },
        {
            "by": "mediator",
            "remedy": {"kind": "return_and_refund", "amount": money(12_900), "return_required": True},
            "note": None,
            "status": "expired",
            "made_at": "2026-11-07T08:00:00Z",
        },
    ],
    "messages": [
        {"seq": 10, "author": {"role": "buyer"}, "text": "请尽快处理，谢谢。", "posted_at": "2026-11-07T09:00:00Z"},
        {"seq": 11, "author": None, "text": None, "visibility": "staff", "posted_at": "2026-11-07T09:30:00Z"},
    ],
    "evidence_requests": [
        {
            "id": "r-1",
            "from": "seller",
            "status": "defaulted",
            "asked_at": "2026-11-07T10:00:00Z",
            "items": [
                {"item": 1, "side": "seller", "type": "chat_log", "note": None, "status": "answered", "exhibit": "S-1"},
                {
                    "item": 2,
                    "side": "seller",
                    "type": "tracking",
                    "note": "揽收记录",
                    "status": "defaulted",
                    "exhibit": None,
                },
            ],
        }
    ],
    "deadlines": [
        {"kind": "appeal", "fires": "finalise", "at": "2026-11-15T10:00:00Z"},
        {"kind": "review", "fires": None, "at": None},
    ],
    "refunds": [
        {
            "purpose": "refund",
            "purposes": {"refund": money(12_900), "compensation": money(500)},
            "amount": money(13_400),
            "status": "settled",
            "requested_at": "2026-11-11T10:00:00Z",
            "settled_at": "2026-11-12T10:00:00Z",
            "gateway_reference": "PAY-2026-000117",
        }
    ],
    "ledger": [
        {"account": "seller:0190aa", "purpose": "liability", "amount": money(-10_720), "at": "2026-11-12T10:00:00Z"},
        {"account": "platform:m", "purpose": "liability", "amount": money(-2_680), "at": "2026-11-12T10:00:00Z"},
        {"account": "buyer:0190bb", "purpose": "refund", "amount": money(12_900), "at": "2026-11-12T10:00:00Z"},
        {"account": "buyer:0190bb", "purpose": "compensation", "amount": money(500), "at": "2026-11-12T10:00:00Z"},
    ],
}
_DECIDED = {
    "outcome": "buyer_favour",
    "remedy_kind": "refund",
    "amount_minor": 12_900,
    "currency": "CNY",
}
DOCKET = [
    entry(1, "open", "opened", "05T10:00:00", actor=actor("buyer"), facts={}, **{"claims.1.statement": None}),
    entry(2, "notify_seller", "opened>seller_notified", "05T10:00:01", actor=None),
    entry(3, "refuse", "seller_notified>seller_refused", "06T10:00:00", actor=None, facts={"reason": "shipped"},
          statement="已经在路上了，请耐心等待。"),
    entry(4, "exhibit_filed", "seller_refused", "06T11:00:00", actor=actor("buyer"), facts={"label": "B-1"},
          sha256=None),
    entry(5, "exhibit_filed", "seller_refused", "06T11:10:00", actor=actor("buyer"), facts={"label": "B-2"},
          title=None),
    entry(6, "offer", "seller_refused>negotiating", "06T11:30:00", actor=None,
          facts={"remedy": {"kind": "partial_refund", "amount_minor": 2_000, "currency": "CNY"}}, note="先补偿您20元"),
    entry(7, "decline_offer", "negotiating>seller_refused", "06T12:00:00", actor=actor("buyer")),
    entry(8, "request_mediation", "seller_refused>under_review", "06T12:01:00", actor=actor("buyer")),
    {"seq": 9, "hash": "2" * 64},
    entry(10, "message_posted", "under_review", "07T09:00:00", actor=actor("buyer"), text="请尽快处理，谢谢。"),
    {"seq": 11, "hash": "3" * 64},
    entry(12, "request_evidence", "under_review>awaiting_evidence", "07T10:00:00", actor=None,
          facts={"items": [{"side": "seller", "type": "chat_log"}, {"side": "seller", "type": "tracking"}]}),
    entry(13, "exhibit_filed", "awaiting_evidence", "08T09:00:00", actor=None, facts={"label": "S-1"}),
    entry(14, "default_evidence", "awaiting_evidence>under_review", "09T10:00:00", actor=None,
          facts={"silent": ["seller"]}),
    entry(15, "decide", "under_review>decided", "09T15:20:00", actor=None, facts={"decision": _DECIDED}, reasons="…"),
    entry(16, "appeal", "decided>escalated", "10T09:00:00", actor=None, facts={"exhibits": ["S-1"]}, grounds=None),
    entry(17, "decide", "escalated>decided", "11T09:59:00", actor=None, facts={"decision": _DECIDED}),
    entry(18, "act_of_a_later_version", "refund", "11T10:00:00", facts={"something": 1}),
    entry(19, "settle_refund", "refund>refunded", "12T10:00:00", actor=None, facts={"amount_minor": 13_400}),
]  # fmt: skip
DECISIONS: list[dict[str, Any]] = [
    {
        "seq": 15,
        "number": 1,
        "outcome": "buyer_favour",
        "status": "overturned",
        "on_appeal": False,
        "upholds": False,
        "remedy": {"kind": "refund", "amount": money(12_900)},
        "dispositions": [
            {"claim": "claim-1", "remedy": {"kind": "refund", "amount": money(12_900)}},
            {"claim": "claim-2", "remedy": {"kind": "none", "amount": money(0)}},
        ],
        "liability": [{"party": "seller", "amount": money(12_900)}],
        "blame": "seller",
        "reasons": "卖家两次承诺次日发货，均未履行；物流无任何揽收记录。应全额退款。\n\n赠品一项，买家未能证明。",
        "findings": FINDINGS,
        "decided_by": None,
        "issued_at": "2026-11-09T15:20:00Z",
        "final_at": None,
        "appeals": [
            {"side": "seller", "grounds": None, "exhibits": ["S-1", "S-9"], "filed_at": "2026-11-10T09:00:00Z"},
            {"side": "buyer", "grounds": "赠品也应补偿。", "exhibits": [], "filed_at": "2026-11-10T10:00:00Z"},
        ],
    },
    {
        "seq": 17,
        "number": 2,
        "outcome": "buyer_favour",
        "status": "final",
        "on_appeal": True,
        "upholds": False,
        "remedy": {"kind": "refund", "amount": money(13_400)},
        "dispositions": [],
        "liability": [{"party": "seller", "amount": money(10_720)}, {"party": "platform", "amount": money(2_680)}],
        "blame": None,
        "reasons": None,
        "findings": None,
        "issued_at": "2026-11-11T09:59:00Z",
        "final_at": "2026-11-11T09:59:00Z",
        "appeals": [],
    },
]


def exhibit(label: str, kind: str, filed_at: str, seq: int, **more: Any) -> dict[str, Any]:
    return {
        "id": f"exhibit-{label}",
        "label": label,
        "kind": kind,
        "title": None,
        "filename": None,
        "media_type": "image/jpeg",
        "size": 184_223,
        "sha256": DIGEST,
        "merkle_root": None,
        "messages": None,
        "timezone": None,
        "filed_by": {"role": "buyer", "id": "buyer-1"},
        "filed_at": f"2026-11-{filed_at}Z",
        "late": False,
        "visibility": "parties",
        "seq": seq,
        "problems": [],
        "redacted_at": None,
        "custody": {"seq": 1, "hash": HEAD},
        "content": f"exhibits/{label}/content",
        **more,
    }


EXHIBITS: list[dict[str, Any]] = [
    exhibit("B-1", "photo", "06T11:00:00", 4, title="订单页面截图", filename="IMG_2291.jpg"),
    exhibit(
        "B-2", "photo", "06T11:10:00", 5, sha256=None, content=None, redacted_at="2026-11-13T11:00:00Z", custody=None
    ),
    exhibit(
        "S-1",
        "chat_log",
        "08T09:00:00",
        13,
        title="与买家的聊天记录",
        filename="千牛聊天记录.txt",
        media_type="text/plain",
        merkle_root=ROOT,
        messages=10,
        timezone="Asia/Shanghai",
        filed_by={"role": "seller", "id": None},
        late=True,
        problems=[
            {"line": 9, "message_seq": 6, "code": "time_runs_backwards", "detail": "it was sent before one above it"},
            {"line": None, "message_seq": None, "code": "of_a_later_version", "detail": "something else"},
        ],
    ),
]
_DAY = "2026-11-03T0"
MESSAGES = [
    message(1, "system", "会话开始", f"{_DAY}1:12:00.000000Z", None, kind="system"),
    message(2, "buyer", "老板，我11月1号拍的电热水壶怎么还没发货啊", f"{_DAY}1:12:41.000000Z", "tb晴天小雨"),
    message(3, "seller", "亲，一定的，明天发货，不发赔您5元😀", f"{_DAY}1:21:10.000000Z", "悦家旗舰店:小夏"),
    message(4, "buyer", "[图片]", f"{_DAY}1:25:00.000000Z", "tb晴天小雨", kind="image",
            attachments=[{"name": "订单截图.jpg", "media_type": "image/jpeg", "sha256": DIGEST}]),
    message(5, "buyer", "那我等到明天", f"{_DAY}1:26:02.000000Z", "tb晴天小雨"),
    message(6, "seller", "好的亲～", f"{_DAY}1:25:30.000000Z", "悦家旗舰店:小夏"),
    message(7, "seller", "", None, "悦家旗舰店:小夏", kind="recall"),
    message(8, "buyer", None, "2026-11-05T10:03:00.000000Z", None, erased=True),
    message(9, "seller", "明天一定发，不好意思哈，仓库这两天爆单了。", "2026-11-05T10:05:00.000000Z",
            "悦家旗舰店:小夏"),
    message(10, "staff", "Hello, this is the house. \u202elive si sihT", "2026-11-05T23:04:00.000000Z", "客服 Nora"),
]  # fmt: skip
_ACTS = [("filed", "seller", 9), ("viewed", None, 10), ("viewed", None, 11), ("exported", "buyer", 20)]
CUSTODY = [
    {
        "entry": {"act": act, "seq": n, "at": f"2026-11-{day:02}T09:00:00.000000Z"},
        "opening": NOBODY if role is None else opening({"actor": actor(role), "what": {}}),
    }
    for n, (act, role, day) in enumerate(_ACTS, 1)
]


def view(**changes: Any) -> View:
    """The case, with members replaced by `changes`; `messages` are those of S-1."""

    def messages(label: str) -> Iterable[Mapping[str, Any]]:
        return changes.get("messages", MESSAGES) if label == "S-1" else []

    return View(
        case=changes.get("case", CASE),
        docket=changes.get("docket", DOCKET),
        decisions=changes.get("decisions", DECISIONS),
        exhibits=changes.get("exhibits", EXHIBITS),
        messages=messages,
        custody=lambda label: changes.get("custody", CUSTODY) if label == "S-1" else [],
        head=changes.get("head", {"seq": 19, "hash": HEAD}),
        made_at="2026-11-20T08:00:00.000000Z",
        made_for=changes.get("made_for", "buyer"),
        thumbprint=THUMBPRINT,
    )
