"""The people of the tests, and short ways to bring a case to where a test begins. Everything goes over the API."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from mediation import paying
from mediation.auth import issue_token
from mediation.gateways import Gateway, LedgerGateway
from mediation.services import Services

_numbers = itertools.count(1)

#: role -> (subject, acts_for); the two mediators and seniors are different people.
PEOPLE: dict[str, tuple[str, str, str | None]] = {
    "platform": ("platform", "shop-system", None),
    "buyer": ("buyer", "buyer-1", None),
    "seller": ("seller", "clerk-9", "shop-17"),
    "mediator": ("mediator", "mia", None),
    "other_mediator": ("mediator", "max", None),
    "senior": ("senior", "sam", None),
    "other_senior": ("senior", "sue", None),
    "supervisor": ("supervisor", "vera", None),
    "admin": ("admin", "root", None),
    "other_buyer": ("buyer", "buyer-2", None),
    "other_seller": ("seller", "shop-99", None),
}


def money(amount: int, currency: str = "CNY") -> dict[str, Any]:
    return {"amount": amount, "currency": currency}


def order(order_id: str, *, paid: int = 12_900, lines: int = 1) -> dict[str, Any]:
    each = paid // lines
    return {
        "id": order_id,
        "paid": money(paid),
        "paid_at": "2026-11-01T08:00:00Z",
        "region": "CN",
        "ship_by": "2026-11-03T08:00:00Z",
        "lines": [
            {
                "id": str(n + 1),
                "sku": f"KX-{n + 1}",
                "title": "kettle",
                "quantity": 1,
                "unit_price": money(each),
                "category": "home_appliances",
            }
            for n in range(lines)
        ],
    }


def decision(amount: int = 12_900, **more: Any) -> dict[str, Any]:
    """A decision for the buyer over `amount`, borne by the seller, without findings."""
    return {
        "outcome": "buyer_favour",
        "remedy": {"kind": "refund", "amount": money(amount), "freight_bearer": "seller"},
        "liability": [{"party": "seller", "amount": money(amount)}],
        "blame": "seller",
        "findings": [],
        "reasons": "The goods were not sent in time.",
        **more,
    }


NOTHING_GRANTED = {
    "outcome": "seller_favour",
    "remedy": {"kind": "none"},
    "liability": [],
    "blame": "none",
    "findings": [],
    "reasons": "The parcel was delivered as promised.",
}
CHAT = {
    "kind": "chat_log",
    "timezone": "Asia/Shanghai",
    "messages": [
        {
            "sender": {"role": "buyer", "id": "buyer-1", "name": "李雷"},
            "sent_at": "2026-11-05T10:00:00",
            "text": "发货了吗",
        },
        {
            "sender": {"role": "seller", "id": "shop-17", "name": "客服"},
            "sent_at": "2026-11-05T10:01:00",
            "text": "亲，明天发货",
        },
    ],
}


class Story:
    """A client of the API, and a case's way through the procedure."""

    def __init__(self, app: Flask, services: Services) -> None:
        self.app = app
        self.services = services
        self.client: FlaskClient = app.test_client()
        self._tokens: dict[tuple[str, str], str] = {}

    # --- calling ---

    def token(self, who: str, marketplace: str = "demo") -> str:
        key = (who, marketplace)
        if key not in self._tokens:
            role, subject, acts_for = PEOPLE[who]
            self._tokens[key] = issue_token(
                self.services.settings, subject=subject, role=role, acts_for=acts_for, marketplace=marketplace
            )
        return self._tokens[key]

    def headers(self, who: str, **more: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(who)}", **more}

    def get(self, who: str, path: str, **more: Any) -> TestResponse:
        return self.client.get(f"/v1{path}", headers=self.headers(who), **more)

    def post(self, who: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> TestResponse:
        return self.client.post(
            f"/v1{path}", json={} if body is None else body, headers=self.headers(who, **(headers or {}))
        )

    def put(self, who: str, path: str, body: Any) -> TestResponse:
        return self.client.put(f"/v1{path}", json=body, headers=self.headers(who))

    def act(self, who: str, case: str, action: str, body: Any = None, **headers: str) -> TestResponse:
        return self.post(who, f"/cases/{case}/actions/{action}", body, headers)

    def do(self, who: str, case: str, action: str, body: Any = None) -> dict[str, Any]:
        """Take an action that must succeed; the case it answers."""
        response = self.act(who, case, action, body)
        assert response.status_code == 200, response.get_data(as_text=True)
        answered: dict[str, Any] = response.get_json()
        return answered

    # --- making cases ---

    def case_body(
        self,
        *,
        paid: int = 12_900,
        claims: list[int] | None = None,
        order_id: str | None = None,
        request: str = "refund_only",
    ) -> Any:
        amounts = claims or [paid]
        return {
            "order": order(order_id or f"T2026-{next(_numbers)}", paid=paid, lines=len(amounts)),
            "buyer": {"id": "buyer-1", "name": "李雷", "locale": "zh-CN"},
            "seller": {"id": "shop-17", "name": "Kettle House", "locale": "zh-CN"},
            "claims": [
                {
                    "line_id": str(n + 1),
                    "reason": "late_shipment",
                    "request": request,
                    "amount": money(amount),
                    "statement": f"Line {n + 1} never came.",
                }
                for n, amount in enumerate(amounts)
            ],
        }

    def open(self, **more: Any) -> str:
        """The id of a new case in `opened`."""
        response = self.post("platform", "/cases", self.case_body(**more))
        assert response.status_code == 201, response.get_data(as_text=True)
        return str(response.get_json()["id"])

    def at(self, state: str, **more: Any) -> str:
        """The id of a new case that has come to `state` by the shortest honest way.

        A state that only some requests lead to is come to by one of these, unless another is named.
        """
        case = self.open(**({"request": REQUESTS[state]} if state in REQUESTS else {}) | more)
        for who, action, body in WAYS[state]:
            self.do(who, case, action, body(self, more.get("paid", 12_900)) if callable(body) else body)
        if state == "refunded":
            self.pay()
        return case

    def failed_refund(self, **more: Any) -> str:
        """The id of a case in `escalated` because its refund failed."""
        from mediation.operations import refunds

        case = self.at("refund", **more)
        refund = self.get("senior", f"/cases/{case}/refunds").get_json()["items"][0]["id"]
        with self.services.sessions.begin() as session:
            import uuid

            assert refunds.fail(session, uuid.UUID(refund), self.services.clock(), failure="no such account")
        return case

    def pay(self, gateway: Gateway | None = None) -> None:
        """Do what the worker does: try every refund that is due, once."""
        for refund in paying.due(self.services):
            paying.pay(self.services, gateway or LedgerGateway(), refund)

    def state(self, case: str) -> str:
        return str(self.get("mediator", f"/cases/{case}").get_json()["state"])


ADDRESS = {"name": "Kettle House returns", "line": "1 Dock Road, Hangzhou", "phone": "0571-1234"}
PARCEL = {"carrier": "SF", "tracking_number": "SF123"}

#: One act on the way: who does what, with which body; a function of the story and the sum paid where it needs them.
Way = tuple[str, str, dict[str, Any] | Callable[[Story, int], dict[str, Any]] | None]


def _decide(story: Story, paid: int) -> dict[str, Any]:
    return decision(paid)


def _rest(story: Story, paid: int) -> dict[str, Any]:
    return {"ground": "agreement", "until": (story.services.clock() + timedelta(days=5)).isoformat()}


_NOTIFIED: list[Way] = [("platform", "notify_seller", None)]
_REFUSED: list[Way] = [*_NOTIFIED, ("seller", "refuse", {"reason": "shipped", "statement": "It is on its way."})]
_REVIEW: list[Way] = [*_REFUSED, ("buyer", "request_mediation", None)]
_DECIDED: list[Way] = [*_REVIEW, ("mediator", "decide", _decide)]
_OFFER: Way = ("seller", "offer", {"remedy": "partial_refund", "amount": money(100), "note": "half?"})
_PROPOSAL: Way = ("mediator", "propose", {"remedy": "partial_refund", "amount": money(100), "note": "half each"})
_ASKED: Way = ("mediator", "request_evidence", {"from": "both", "items": [{"type": "tracking", "note": "the waybill"}]})
_RETURNING: list[Way] = [*_NOTIFIED, ("seller", "agree", {"return_address": ADDRESS})]
_PERFORMING: list[Way] = [*_NOTIFIED, ("seller", "agree", None)]

#: What a claim asks for where a state is to be come to that a refund alone never leads to.
REQUESTS = {
    "awaiting_return": "return_and_refund",
    "awaiting_inspection": "return_and_refund",
    "awaiting_performance": "reship",
    "performed": "reship",
}
#: The shortest honest way to each state, and to some that differ within one.
WAYS: dict[str, list[Way]] = {
    "opened": [],
    "seller_notified": _NOTIFIED,
    "negotiating": [*_NOTIFIED, _OFFER],
    "proposed": [*_REVIEW, _PROPOSAL],
    "seller_refused": _REFUSED,
    "awaiting_return": _RETURNING,
    "awaiting_inspection": [*_RETURNING, ("buyer", "ship_return", PARCEL)],
    "awaiting_performance": _PERFORMING,
    "performed": [*_PERFORMING, ("seller", "perform", PARCEL)],
    "under_review": _REVIEW,
    "awaiting_evidence": [*_REVIEW, _ASKED],
    "escalated": [*_REVIEW, ("mediator", "escalate", {"reason": "complex"})],
    "pending": [*_REVIEW, ("mediator", "decide", _decide)],
    "decided": _DECIDED,
    "appealed": [*_DECIDED, ("seller", "appeal", {"grounds": "The carrier was late, not us."})],
    "suspended": [*_NOTIFIED, ("mediator", "suspend", _rest)],
    "refund": [*_NOTIFIED, ("seller", "agree", None)],
    "refunded": [*_NOTIFIED, ("seller", "agree", None)],
    "closed": [("buyer", "withdraw", None)],
}
