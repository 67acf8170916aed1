"""A story in which the test holds the clock: time moves on when told, and what falls due is fired as a worker would."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from mediation import clock, create_app, paying
from mediation.gateways import LedgerGateway
from mediation.services import Services
from tests.mediation.story import ADDRESS, PARCEL, Story, money, order

START = datetime(2026, 11, 5, 2, 0, tzinfo=UTC)


class Hands:
    """The hands of a clock that only the test moves."""

    def __init__(self, start: datetime = START) -> None:
        self.now = start

    def __call__(self) -> datetime:
        return self.now

    def move(self, **span: float) -> None:
        self.now += timedelta(**span)


class TimedStory(Story):
    """A story over services whose time the test moves."""

    def __init__(self, services: Services, hands: Hands) -> None:
        timed = replace(services, clock=hands)
        super().__init__(create_app(services.settings, timed), timed)
        self.hands = hands

    def pass_time(self, **span: float) -> int:
        """Let time go by, firing each deadline in its own time and paying what is ordered; how many were fired."""
        until = self.hands.now + timedelta(**span)
        fired = 0
        while True:
            fired += self.work()
            with self.services.sessions.begin() as session:
                moment = clock.next_wake(session)
            if moment is None or moment > until:
                break
            self.hands.now = max(self.hands.now, moment)
        self.hands.now = until
        return fired + self.work()

    def work(self) -> int:
        """Do what a worker does now: fire what is due, pay what is ordered."""
        fired = 0
        while clock.fire_next(self.services):
            fired += 1
        for refund in paying.due(self.services):
            paying.pay(self.services, LedgerGateway(), refund)
        return fired

    def case(self, case: str, who: str = "mediator") -> dict[str, Any]:
        """The case as somebody sees it."""
        response = self.get(who, f"/cases/{case}")
        assert response.status_code == 200, response.get_data(as_text=True)
        found: dict[str, Any] = response.get_json()
        return found

    def asked(self, *requests: str, reason: str = "quality_defect", paid: int = 12_900, **more: Any) -> str:
        """The id of a new case with a claim for each of these requests, the seller told of it."""
        each = paid // len(requests)
        body = self.case_body(paid=paid, claims=[each] * len(requests))
        for claim, request in zip(body["claims"], requests, strict=True):
            claim |= {"request": request, "reason": reason}
        body["order"] |= more
        response = self.post("platform", "/cases", body)
        assert response.status_code == 201, response.get_data(as_text=True)
        case = str(response.get_json()["id"])
        self.do("platform", case, "notify_seller")
        return case

    def track(self, case: str, leg: str, number: str, *scans: tuple[str, datetime]) -> None:
        """Carrier scans of a parcel of the case's order."""
        order_id = self.case(case)["order"]["id"]
        body = {
            "leg": leg,
            "carrier": "SF",
            "tracking_number": number,
            "scans": [{"status": status, "at": at.isoformat()} for status, at in scans],
        }
        response = self.post("platform", f"/orders/{order_id}/tracking", body)
        assert response.status_code == 200, response.get_data(as_text=True)

    def entries(self, case: str, who: str = "senior") -> list[dict[str, Any]]:
        """The whole docket."""
        found, cursor = [], ""
        while True:
            page = self.get(who, f"/cases/{case}/docket?limit=100{cursor}").get_json()
            found += page["items"]
            if page["next_cursor"] is None:
                return found
            cursor = f"&cursor={page['next_cursor']}"

    def types(self, case: str) -> list[str]:
        """What happened, in order."""
        return [entry["type"] for entry in self.entries(case)]

    def deadlines(self, case: str) -> dict[str, dict[str, Any]]:
        """What runs on a case and what stands still, by kind, as staff see it."""
        found = self.get("senior", f"/cases/{case}/deadlines").get_json()["items"]
        return {one["kind"]: one for one in found}

    def due(self, case: str) -> datetime:
        """When the case's next deadline fires."""
        return datetime.fromisoformat(self.case(case)["deadline"]["at"])

    def fire(self, case: str) -> int:
        """Fire what is due on this one case, whatever is due on others; how many deadlines."""
        return clock.fire_case(self.services, uuid.UUID(case))

    def notices(self, case: str, who: str) -> list[str]:
        """The kinds of notices served on somebody, in order; staff see what was served on anyone."""
        return [one["kind"] for one in self.get(who, f"/cases/{case}/notices").get_json()["items"]]


def opened(entry: dict[str, Any]) -> dict[str, Any]:
    """What a docket entry holds for its reader, by name: the actor, facts and deadlines among it."""
    found: dict[str, Any] = {}
    for one in entry["openings"]:
        found |= one["value"]
    return found


__all__ = ["ADDRESS", "PARCEL", "START", "Hands", "TimedStory", "money", "opened", "order"]
