"""Long random walks against the real database: anybody does anything, time passes, carriers scan, refunds fail.

After every step the list of what the machine must never allow (docs/lifecycle.md) is checked on the tables themselves.
The walks are the same in every run. To walk elsewhere and for longer, from a first seed and as often as wanted:

    python -m tests.mediation.test_walks 1000 500
"""

from __future__ import annotations

import itertools
import random
import shutil
import sys
import tempfile
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import select, text

from evidence import chain
from mediation import clock, logs, migrating, paying
from mediation.embedded import running
from mediation.gateways import Fate, LedgerGateway, Reply
from mediation.models import Case, Deadline, Decision, DocketEntry, Order, Refund
from mediation.operations import refunds
from tests.mediation.conftest import Server, load_policies, make_services, make_settings
from tests.mediation.story import CHAT, REQUESTS, WAYS, order
from tests.mediation.timed import ADDRESS, PARCEL, START, Hands, TimedStory, money
from workflows.deadlines import OWN
from workflows.remedies import LEGS, PAYING, Leg, legs_of
from workflows.states import (
    DISPUTED_VERDICTS,
    FINAL_STATES,
    STATED_ESCALATION_REASONS,
    CaseState,
    Ground,
    Reason,
    RefuseReason,
    RemedyKind,
    Request,
    SuspendGround,
)

#: So many walks of hypothesis and strolls by seed, and the most steps of each.
WALKS, STROLLS, WALK_STEPS, STROLL_STEPS = 25, 20, 50, 100
PAID, LINES = 12_900, 3
ACTING = ("buyer", "seller", "mediator", "other_mediator", "senior", "other_senior", "supervisor", "platform", "admin")
STRANGERS = ("other_buyer", "other_seller")
#: Who may be refused for an interest in the buyer, where the walk lets them declare it.
BIASED = "other_mediator"


# --- what people may plausibly send ------------------------------------------------------------------------------


class Plausible:
    """Bodies that are well-formed and could be meant. The same chance gives the same bodies."""

    def __init__(self, chance: random.Random, case: Mapping[str, Any], now: datetime) -> None:
        self._chance, self._case, self._now = chance, case, now

    def body(self, action: str) -> dict[str, Any]:
        made = getattr(self, f"_{action}", None)
        return {} if made is None else made()

    def _one(self, *choices: Any) -> str:
        return str(self._chance.choice(choices))

    def _later(self, most: int) -> str:
        return (self._now + timedelta(hours=self._chance.randint(1, most))).isoformat()

    def _maybe(self, **fields: Any) -> dict[str, Any]:
        return fields if self._chance.random() < 0.5 else {}

    def _agree(self) -> dict[str, Any]:
        return self._maybe(return_address=ADDRESS)

    _accept_offer = _agree

    def _refuse(self) -> dict[str, Any]:
        return {"reason": self._one(*RefuseReason), "statement": "We see it otherwise."}

    def _propose(self) -> dict[str, Any]:
        kind = RemedyKind(self._one(*(kind for kind in RemedyKind if kind is not RemedyKind.NONE)))
        amount = {"amount": money(self._chance.randint(1, PAID))} if kind in PAYING else {}
        return {"remedy": kind, **amount, **self._maybe(return_required=False)}

    def _offer(self) -> dict[str, Any]:
        return {**self._propose(), **self._maybe(return_address=ADDRESS)}

    def _ship_return(self) -> dict[str, Any]:
        return PARCEL

    _perform = _ship_return

    def _dispute_return(self) -> dict[str, Any]:
        return {"verdict": self._one(*DISPUTED_VERDICTS), "statement": "That is not it."}

    _dispute_performance = _dispute_return

    def _hand_over(self) -> dict[str, Any]:
        # Colleagues who had nothing to do with the case so far, or they could not take it.
        return {"to": self._one("kim", "lee"), "category": "toys", "reason": "They know toys.", "consent": True}

    def _request_evidence(self) -> dict[str, Any]:
        items = [{"type": "photo"}, {"type": "tracking", "note": "the waybill"}][: self._chance.randint(1, 2)]
        return {"from": self._one("buyer", "seller", "both"), "items": items, **self._maybe(due=self._later(300))}

    def _extend(self) -> dict[str, Any]:
        return {"due": self._later(400), "reason": "They were ill."}

    def _suspend(self) -> dict[str, Any]:
        return {"ground": self._one(*SuspendGround), "until": self._later(300)}

    def _refund_now(self) -> dict[str, Any]:
        return {"ground": self._one(*Ground)}

    def _escalate(self) -> dict[str, Any]:
        return {"reason": self._one(*STATED_ESCALATION_REASONS), **self._maybe(note="Please look.")}

    def _appeal(self) -> dict[str, Any]:
        return {"grounds": "It was otherwise."}

    def _settle_elsewhere(self) -> dict[str, Any]:
        return {"proof": self._one("M-1", "B-1", "S-1")}

    def _decide(self) -> dict[str, Any]:
        reasons = {"reasons": "As the evidence shows.", "findings": []}
        if self._case["escalation_reason"] == "appeal" and self._chance.random() < 0.4:
            return {"upholds": True, **reasons}
        kinds = [RemedyKind(self._one(*RemedyKind)) for _ in self._case["claims"]]
        given = [self._disposition(kind, claim) for kind, claim in zip(kinds, self._case["claims"], strict=True)]
        paid = sum(one["remedy"]["amount"]["amount"] for one in given if "amount" in one["remedy"])
        granting = [kind for kind in kinds if LEGS[kind]]
        only_paid = legs_of(kinds) == (Leg.REFUND,)
        kind = RemedyKind.REFUND if only_paid else (granting or kinds)[0]
        returns = Leg.RETURN in legs_of(kinds)
        freight = self._chance.randint(1, 800) if returns and self._chance.random() < 0.5 else 0
        remedy: dict[str, Any] = {"kind": kind, "freight_bearer": "seller"}
        remedy |= {name: money(amount) for name, amount in (("amount", paid), ("freight", freight)) if amount}
        outcomes = ("buyer_favour", "split") if granting or freight else ("seller_favour", "refused_to_hear")
        return {
            **reasons,
            "outcome": self._one(*outcomes),
            "remedy": remedy,
            "dispositions": given,
            "liability": self._shares(paid + freight),
            "blame": "seller",
            **({"return_address": ADDRESS} if returns else {}),
        }

    def _disposition(self, kind: RemedyKind, claim: Mapping[str, Any]) -> dict[str, Any]:
        amount = {"amount": money(self._chance.randint(1, claim["amount"]["amount"]))} if kind in PAYING else {}
        return {"claim": claim["id"], "remedy": {"kind": kind, **amount}}

    def _shares(self, total: int) -> list[dict[str, Any]]:
        first = self._chance.randint(0, total)
        parts = (("seller", first), ("platform", total - first))
        return [{"party": party, "amount": money(amount)} for party, amount in parts if amount]


class Moody:
    """A gateway that pays, refuses, pays and does not say so, or does nothing, as it is told."""

    name = "http"

    def __init__(self) -> None:
        self.mood = "pays"
        self.paid: Counter[uuid.UUID] = Counter()

    def pay(self, sessions: Any, refund: Refund, now: datetime) -> Reply:
        if refund.id in self.paid:
            return Reply(Fate.SETTLED, reference=f"moody:{refund.id}")
        if self.mood in ("pays", "pays in silence"):
            self.paid[refund.id] += 1
        if self.mood == "pays":
            return Reply(Fate.SETTLED, reference=f"moody:{refund.id}")
        return Reply(Fate.FAILED, why="no such account") if self.mood == "refuses" else Reply(Fate.UNKNOWN)

    def close(self) -> None:
        """Nothing is held."""


# --- the walk ----------------------------------------------------------------------------------------------------

#: From where walks begin: everywhere a case can stand.
STARTS = [state for state in WAYS if state not in ("refunded", "closed")]
#: What is offered nearly everywhere and leads nowhere new: how often it is thought of.
SELDOM = {"withdraw": 0.1, "suspend": 0.2, "remind_seller": 0.2}
#: How long nobody does anything, how the gateway is, and what happens beside the case: scans, corrections of the
#: order, other cases, evidence, interests.
HOURS = [0.5, 5, 24, 49, 100, 170, 250]
MOODS = ["pays", "refuses", "pays in silence", "does nothing", "calls back"]
BESIDE = ["scans", "corrects", "opens", "files", "waives", "declares"]
CHANCE = st.integers(0, 2**32 - 1)
PERSON = st.sampled_from(ACTING)
WHICH = st.integers(0, 20)


class Walk(RuleBasedStateMachine):
    """One order with its disputes, and everybody who has to do with it. Time is this walk's own."""

    def __init__(self, story: TimedStory) -> None:
        super().__init__()
        self.story = story
        self.story.hands.now = START
        self.cases: list[str] = []
        self.ended: dict[str, tuple[str, int]] = {}
        self.verified: dict[str, list[dict[str, Any]]] = {}
        self.interest: str | None = None
        self.gateway: Any = LedgerGateway()

    def teardown(self) -> None:
        if self.interest is not None:
            ended = self.story.client.delete(f"/v1/interests/{self.interest}", headers=self.story.headers(BIASED))
            assert ended.status_code == 204

    # What can happen.

    @initialize(
        chance=CHANCE,
        state=st.sampled_from(STARTS),
        returns_known=st.booleans(),
        moody=st.booleans(),
        region=st.sampled_from(["CN", "US"]),
    )
    def begins(self, chance: int, state: str, returns_known: bool, moody: bool, region: str) -> None:
        """Somewhere on its way already, so that walks see the far ends too."""
        dice = random.Random(chance)
        self.order = f"W-{uuid.uuid4()}"
        body = self.story.case_body(order_id=self.order)
        body["order"] = order(self.order, paid=PAID, lines=LINES) | {"region": region}
        body["seller"]["return_address"] = ADDRESS if returns_known else None
        body["claims"] = self._claims(dice) if state == "opened" else [self._claim(dice, 1)]
        if state != "opened":
            body["claims"][0] |= {"request": REQUESTS.get(state, "refund_only")}
        self.gateway = Moody() if moody else LedgerGateway()
        opened = self.story.post("platform", "/cases", body)
        assert opened.status_code == 201, opened.get_json()
        self.cases.append(opened.get_json()["id"])
        for who, action, way in WAYS[state]:
            self.story.do(who, self.cases[0], action, way(self.story, PAID) if callable(way) else way)

    def _claims(self, dice: random.Random) -> list[dict[str, Any]]:
        return [self._claim(dice, line) for line in dice.sample(range(1, LINES + 1), dice.randint(1, 2))]

    def _claim(self, dice: random.Random, line: int) -> dict[str, Any]:
        return {
            "line_id": str(line),
            "reason": str(dice.choice(list(Reason))),
            "request": str(dice.choice(list(Request))),
            "amount": money(dice.randint(1, PAID // LINES)),
            "statement": "It is not as it should be.",
        }

    @rule(which=WHICH, who=PERSON, nth=WHICH, chance=CHANCE)
    def somebody_does_what_the_case_offers(self, which: int, who: str, nth: int, chance: int) -> None:
        self._act_as_offered(which, who, nth, chance)

    @rule(which=WHICH, nth=WHICH, chance=CHANCE)
    def who_is_waited_for_acts(self, which: int, nth: int, chance: int) -> None:
        waits = self._shown(which, "platform")["waiting_on"]
        who = {"both": ("buyer", "seller")[chance % 2], None: "mediator"}.get(waits, waits)
        self._act_as_offered(which, who, nth, chance)

    def _act_as_offered(self, which: int, who: str, nth: int, chance: int) -> None:
        shown = self._shown(which, who)
        dice = random.Random(chance)
        offered = [one["name"] for one in shown["actions"] if dice.random() < SELDOM.get(one["name"], 1)]
        if not offered:
            return
        action = offered[nth % len(offered)]
        answer = self._act(shown, who, action, dice)
        if not self._overdue(shown):
            code = answer.get_json().get("code")
            assert answer.status_code != 403 and code != "wrong_state", (who, action, shown["state"], code)

    @rule(which=WHICH, who=st.sampled_from(ACTING + STRANGERS), nth=st.integers(0, 100), chance=CHANCE)
    def somebody_tries_what_the_case_does_not_offer(self, which: int, who: str, nth: int, chance: int) -> None:
        shown = self._shown(which, "senior")
        mine = self.story.get(who, f"/cases/{shown['id']}")
        assert mine.status_code == (404 if who in STRANGERS else 200)
        offered = [] if who in STRANGERS else [one["name"] for one in mine.get_json()["actions"]]
        others = [action for action in ACTIONS if action not in offered]
        answer = self._act(shown, who, others[nth % len(others)], random.Random(chance))
        if not self._overdue(shown):
            assert answer.status_code in (403, 404, 409, 422), (who, others[nth % len(others)], shown["state"])

    @rule(hours=st.sampled_from(HOURS), fires=st.booleans())
    def time_passes(self, hours: float, fires: bool) -> None:
        """With a worker alive everything fires in its time; without, whoever acts next finds it due."""
        until = self.story.hands.now + timedelta(hours=hours)
        for case in self.cases if fires else ():
            self._fire_in_time(case, until)
        self.story.hands.now = until

    @rule(mood=st.sampled_from(MOODS))
    def refunds_are_tried(self, mood: str) -> None:
        if isinstance(self.gateway, Moody):
            self.gateway.mood = mood
        for refund in self._refunds():
            paying.pay(self.story.services, self.gateway, refund)
        if mood == "calls back" and isinstance(self.gateway, Moody):
            # However late, and whatever has become of the case meanwhile.
            for refund in self._refunds(all_of_them=True):
                if refund in self.gateway.paid:
                    clock.in_time(self.story.services, lambda refund=refund: self._settle(refund))

    def _settle(self, refund: uuid.UUID) -> None:
        with self.story.services.sessions.begin() as session:
            refunds.settle(session, refund, self.story.hands.now, reference=f"moody:{refund}")

    @rule(what=st.sampled_from(BESIDE), which=WHICH, who=PERSON, nth=WHICH, chance=CHANCE)
    def something_happens_beside(self, what: str, which: int, who: str, nth: int, chance: int) -> None:
        """What moves no case by itself."""
        dice = random.Random(chance)
        getattr(self, f"_{what}")(self._shown(which, who), who, nth, dice)

    def _scans(self, shown: Mapping[str, Any], who: str, nth: int, dice: random.Random) -> None:
        status = dice.choice(["accepted", "in_transit", "delivered", "failed", "returned", "lost"])
        at = self.story.hands.now - timedelta(hours=dice.randint(0, 100))
        leg = dice.choice(["outbound", "return"])
        body = {"leg": leg, **PARCEL, "scans": [{"status": status, "at": at.isoformat()}]}
        assert self.story.post("platform", f"/orders/{self.order}/tracking", body).status_code == 200

    def _corrects(self, shown: Mapping[str, Any], who: str, nth: int, dice: random.Random) -> None:
        facts = {"shipped_at": self.story.hands.now.isoformat()} if dice.random() < 0.5 else {}
        paid = PAID if dice.random() < 0.5 else dice.randint(1, 2 * PAID)
        body = {
            "order": order(self.order, paid=PAID, lines=LINES) | facts | {"paid": money(paid)},
            "buyer": {"id": "buyer-1"},
            "seller": {"id": "shop-17"},
        }
        answer = self.story.put("platform", f"/orders/{self.order}", body)
        assert answer.status_code in (200, 409), answer.get_json()

    def _opens(self, shown: Mapping[str, Any], who: str, nth: int, dice: random.Random) -> None:
        claims, held = self._claims(dice), self._lines_held()
        body = {"order": {"id": self.order}, "claims": claims}
        opened = self.story.post(dice.choice(["buyer", "platform"]), "/cases", body)
        told = opened.get_json()
        if opened.status_code == 201:
            self.cases.append(told["id"])
            assert not held & {claim["line_id"] for claim in claims}
        elif told["code"] not in ("open_case_exists", "already_decided"):
            # The platform may have corrected what was paid to less than is claimed.
            assert list(told["errors"]) == ["claims.0.amount.amount"], told

    def _files(self, shown: Mapping[str, Any], who: str, nth: int, dice: random.Random) -> None:
        owed = [(request, item) for request, item, side in self._items(shown, who) if side == who]
        answers = {"answers": dict(zip(("request", "item"), owed[nth % len(owed)], strict=True))} if owed else {}
        filed = self.story.post(who, f"/cases/{shown['id']}/exhibits", {**CHAT, **answers})
        assert filed.status_code in (201, 403, 409, 422), filed.get_json()

    def _waives(self, shown: Mapping[str, Any], who: str, nth: int, dice: random.Random) -> None:
        if items := self._items(shown, who):
            request, item, _ = items[nth % len(items)]
            waived = self.story.post(who, f"/cases/{shown['id']}/evidence-requests/{request}/items/{item}/waiver")
            assert waived.status_code in (200, 403, 422), waived.get_json()

    def _items(self, shown: Mapping[str, Any], who: str) -> list[tuple[str, int, str]]:
        asked = self.story.get(who, f"/cases/{shown['id']}/evidence-requests").get_json()["items"]
        return [(one["id"], item["item"], item["side"]) for one in asked for item in one["items"]]

    def _declares(self, shown: Mapping[str, Any], who: str, nth: int, dice: random.Random) -> None:
        if self.interest is None:
            declared = self.story.post(BIASED, "/interests", {"side": "buyer", "party": "buyer-1"})
            assert declared.status_code == 201, declared.get_json()
            self.interest = declared.get_json()["id"]

    # What it takes.

    def _shown(self, which: int, who: str) -> dict[str, Any]:
        return self.story.case(self.cases[which % len(self.cases)], who)

    def _overdue(self, shown: Mapping[str, Any]) -> bool:
        due = shown["deadline"]
        return due is not None and datetime.fromisoformat(due["at"]) <= self.story.hands.now

    def _act(self, shown: Mapping[str, Any], who: str, action: str, dice: random.Random) -> Any:
        body = Plausible(dice, shown, self.story.hands.now).body(action)
        answer = self.story.act(who, shown["id"], action, body)
        assert answer.status_code in (200, 403, 404, 409, 422), (action, body, answer.get_json())
        if answer.status_code == 200:
            assert who not in STRANGERS, (who, action)
            if who == BIASED and self.interest is not None:
                assert action not in ("take", "decide", "propose", "request_evidence", "refund_now"), action
        return answer

    def _fire_in_time(self, case: str, until: datetime) -> None:
        while (moment := self._wakes(case)) is not None and moment <= until:
            self.story.hands.now = max(self.story.hands.now, moment)
            assert self.story.fire(case) > 0
            assert self._failures(case) == []

    def _wakes(self, case: str) -> datetime | None:
        with self.story.services.sessions.begin() as session:
            query = select(Deadline.wake_at).where(Deadline.case_id == uuid.UUID(case), Deadline.wake_at.is_not(None))
            return session.scalar(query.order_by(Deadline.wake_at).limit(1))

    def _failures(self, case: str) -> list[Any]:
        with self.story.services.sessions.begin() as session:
            query = select(Deadline.kind, Deadline.failure).where(
                Deadline.case_id == uuid.UUID(case), Deadline.attempts > 0
            )
            return [tuple(row) for row in session.execute(query)]

    def _refunds(self, *, all_of_them: bool = False) -> list[uuid.UUID]:
        query = select(Refund.id).where(Refund.case_id.in_([uuid.UUID(case) for case in self.cases]))
        if not all_of_them:
            query = query.where(Refund.status.in_(refunds.UNDER_WAY))
        with self.story.services.sessions.begin() as session:
            return list(session.scalars(query.order_by(Refund.id)))

    def _lines_held(self) -> set[str]:
        held = "SELECT line_id FROM open_lines JOIN orders ON orders.id = order_id WHERE external_id = :order"
        with self.story.services.sessions.begin() as session:
            return set(session.scalars(text(held), {"order": self.order}))

    # What must hold.

    @invariant()
    def nothing_is_allowed_that_must_never_be(self) -> None:
        if not self.cases:
            return
        with self.story.services.sessions.begin() as session:
            cases = session.scalars(
                select(Case).where(Case.id.in_([uuid.UUID(case) for case in self.cases])).order_by(Case.id)
            ).all()
            deadlines = session.scalars(
                select(Deadline).where(Deadline.case_id.in_([case.id for case in cases]), Deadline.done_at.is_(None))
            ).all()
            for case in cases:
                running = [one for one in deadlines if one.case_id == case.id]
                self._stays_final(case)
                if case.state in FINAL_STATES:
                    require_over(case, running)
                else:
                    require_waiting(case, running)
                self._is_chained(session, case)
            require_honest_money(session, cases)
            require_fair_decisions(session, cases)
            require_one_case_a_line(session, cases[0].order_id)

    def _stays_final(self, case: Case) -> None:
        before = self.ended.get(str(case.id))
        if before is not None:
            assert case.state == before[0], f"{case.state} after {before[0]}"
        if case.state in FINAL_STATES:
            self.ended[str(case.id)] = (case.state, case.version)

    def _is_chained(self, session: Any, case: Case) -> None:
        known = self.verified.setdefault(str(case.id), [])
        query = select(DocketEntry).where(DocketEntry.case_id == case.id, DocketEntry.seq > len(known))
        new = [_chained(one) for one in session.scalars(query.order_by(DocketEntry.seq))]
        # From the last entry that was verified on; the first is there only to be gone on from.
        whole = [*known, *new]
        assert [one["seq"] for one in whole] == list(range(1, case.version + 1))
        assert whole[-1]["to"] == case.state and whole[-1]["hash"] == case.head.hex()
        for before, after in itertools.pairwise(whole[max(0, len(known) - 1) :]):
            assert (after["prev"], after["from"]) == (before["hash"], before["to"])
            assert after["at"] >= before["at"]
        for entry in new:
            assert chain.entry_hash(entry) == entry["hash"]
            assert not (entry["from"] in FINAL_STATES and entry["to"] != entry["from"])
        self.verified[str(case.id)] = whole


def _chained(one: DocketEntry) -> dict[str, Any]:
    return {
        "v": one.v,
        "case": str(one.case_id),
        "seq": one.seq,
        "prev": one.prev.hex(),
        "at": chain.instant(one.at),
        "type": one.type,
        "from": one.from_state,
        "to": one.to_state,
        "commitments": [digest.hex() for digest in one.commitments],
        "hash": one.hash.hex(),
    }


def require_over(case: Case, running: Sequence[Deadline]) -> None:
    """A final case waits on nobody, holds no money and has no clock."""
    assert (case.waiting_on, case.assignee, case.due_at, running) == (None, None, None, [])
    assert case.closed_at is not None and case.outcome is not None
    assert (case.reserved_minor, case.compensation_minor, case.freight_minor) == (0, 0, 0)


def require_waiting(case: Case, running: Sequence[Deadline]) -> None:
    """An open case waits on somebody, unless it is suspended, and on a clock that will do something."""
    state = CaseState(case.state)
    assert (case.waiting_on is None) == (state is CaseState.SUSPENDED)
    assert case.closed_at is None
    own = [one for one in running if one.kind in (OWN[state], "confirmation") and one.due_at is not None]
    assert len(own) == 1 and own[0].fires is not None, (case.state, [one.kind for one in running])
    assert own[0].wake_at is not None, "nothing fails in a walk, so nothing is set aside"
    firing = [one.due_at for one in running if one.due_at is not None and one.fires is not None]
    assert case.due_at == min(firing)
    standing_still = [one.kind for one in running if one.due_at is None]
    if state in (CaseState.AWAITING_EVIDENCE, CaseState.SUSPENDED):
        assert len(firing) == 1 and standing_still, (case.state, [one.kind for one in running])
    else:
        assert standing_still == [], (case.state, standing_still)
    assert (case.level > 0) == (state is CaseState.ESCALATED) or state in (
        CaseState.SUSPENDED,
        CaseState.AWAITING_EVIDENCE,
    )


def require_honest_money(session: Any, cases: Sequence[Case]) -> None:
    """Never more back than was paid, over all cases; nothing twice; every movement has its counterpart."""
    order_ = session.get_one(Order, cases[0].order_id)
    found = session.scalars(select(Refund).where(Refund.order_id == order_.id)).all()
    back = [one for one in found if one.status in ("settled", "settled_elsewhere")]
    refunded = sum(one.purposes.get("refund", 0) for one in back)
    assert refunded == order_.refunded_minor
    assert refunded + order_.reserved_minor <= order_.paid_minor
    assert order_.reserved_minor == sum(case.reserved_minor for case in cases)
    for one in found:
        assert one.amount_minor == sum(one.purposes.values())
        assert min(one.purposes.values()) > 0, one.purposes
    assert max(Counter(one.case_id for one in found).values(), default=0) <= 1, "one refund a case"
    under_way = {one.case_id for one in found if one.status in ("requested", "sent")}
    assert under_way == {case.id for case in cases if case.state == CaseState.REFUND}
    assert {one.case_id for one in back} == {case.id for case in cases if case.state == CaseState.REFUNDED}
    ledger = session.execute(
        text(
            "SELECT l.refund_id, sum(l.amount_minor), sum(l.amount_minor) FILTER (WHERE l.account LIKE 'buyer:%' AND"
            " l.purpose <> 'liability') FROM ledger_entries l JOIN refunds r ON r.id = l.refund_id"
            " WHERE r.order_id = :order GROUP BY l.refund_id"
        ),
        {"order": order_.id},
    ).all()
    assert all(total == 0 for _, total, _ in ledger)
    credited = {refund: amount for refund, _, amount in ledger}
    assert credited == {one.id: one.amount_minor for one in back}


def require_fair_decisions(session: Any, cases: Sequence[Case]) -> None:
    """Nobody approves their own decision or hears an appeal against it; at most one decision stands."""
    query = select(Decision).where(Decision.case_id.in_([case.id for case in cases]))
    made = session.scalars(query.order_by(Decision.case_id, Decision.number)).all()
    for one in made:
        assert one.approved_by != one.decided_by
    for before, after in itertools.pairwise(made):
        if after.on_appeal and after.case_id == before.case_id:
            assert after.decided_by not in (before.decided_by, before.approved_by)
    for case in cases:
        standing = [one for one in made if one.case_id == case.id and one.status in ("pending", "issued")]
        assert len(standing) <= 1
        pending = [one for one in standing if one.status == "pending"]
        assert (case.pending_decision_by is not None) == bool(pending)


def require_one_case_a_line(session: Any, order_id: uuid.UUID) -> None:
    """No two open cases about one line of the order, and the lines that are held are those of open cases."""
    open_ = session.execute(
        text(
            "SELECT claims.line_id, cases.id FROM claims JOIN cases ON cases.id = claims.case_id"
            " WHERE cases.order_id = :order AND cases.closed_at IS NULL"
        ),
        {"order": order_id},
    ).all()
    assert len({line for line, _ in open_}) == len(open_)
    held = session.execute(text("SELECT line_id, case_id FROM open_lines WHERE order_id = :order"), {"order": order_id})
    assert set(map(tuple, held)) == set(map(tuple, open_))


#: Every action that has an address, also those that no token may take.
ACTIONS = tuple(dict.fromkeys(clock.docket.actions()))


# --- walking -----------------------------------------------------------------------------------------------------


def stroll(story: TimedStory, seed: int, steps: int = STROLL_STEPS) -> None:
    """One walk whose every turn comes from a seed: where hypothesis looks for what is small, this goes far."""
    dice = random.Random(seed)
    walk = Walk(story)
    try:
        walk.begins(dice.getrandbits(32), dice.choice(STARTS), dice.random() < 0.5, dice.random() < 0.5, "CN")
        walk.nothing_is_allowed_that_must_never_be()
        for _ in range(steps):
            turn(walk, dice)
            walk.nothing_is_allowed_that_must_never_be()
    finally:
        walk.teardown()


def turn(walk: Walk, dice: random.Random) -> None:
    """One step of a stroll: mostly somebody acts."""
    which, nth, chance = dice.randrange(20), dice.randrange(100), dice.getrandbits(32)
    kind = dice.choices(range(6), weights=(4, 4, 1, 2, 2, 2))[0]
    if kind == 0:
        walk.somebody_does_what_the_case_offers(which, dice.choice(ACTING), nth, chance)
    elif kind == 1:
        walk.who_is_waited_for_acts(which, nth, chance)
    elif kind == 2:
        walk.somebody_tries_what_the_case_does_not_offer(which, dice.choice(ACTING + STRANGERS), nth, chance)
    elif kind == 3:
        walk.time_passes(dice.choice(HOURS), dice.random() < 0.5)
    elif kind == 4:
        walk.refunds_are_tried(dice.choice(MOODS))
    else:
        walk.something_happens_beside(dice.choice(BESIDE), which, dice.choice(ACTING), nth, chance)


@pytest.fixture(scope="module")
def walking(module_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TimedStory]:
    made = make_services(make_settings(module_database, tmp_path_factory.mktemp("home")))
    yield TimedStory(made, Hands())
    made.engine.dispose()


@pytest.mark.parametrize("seed", range(STROLLS))
def test_long_walks_never_come_to_what_must_never_be(walking: TimedStory, seed: int) -> None:
    stroll(walking, seed)


def test_no_short_walk_that_hypothesis_thinks_of_comes_to_what_must_never_be(walking: TimedStory) -> None:
    run_state_machine_as_test(
        lambda: Walk(walking),
        settings=settings(
            max_examples=WALKS,
            stateful_step_count=WALK_STEPS,
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_compensation_that_is_sent_back_at_once_on_the_facts_can_be_paid(walking: TimedStory) -> None:
    walking.hands.now = START
    case = walking.asked("compensation", reason="not_shipped", paid=400)
    walking.do("mediator", case, "refund_now", {"ground": "not_shipped"})
    with walking.services.sessions.begin() as session:
        refund = session.scalars(select(Refund).where(Refund.case_id == uuid.UUID(case))).one()
    assert refund.purposes == {"compensation": 400}
    paying.pay(walking.services, LedgerGateway(), refund.id)
    assert walking.state(case) == "refunded"


def main() -> None:
    """Walk elsewhere than the tests do: from the first seed that is given, so many times."""
    first, count = map(int, sys.argv[1:3])
    home = Path(tempfile.mkdtemp(prefix="m-"))
    with running(home, durable=False) as embedded:
        url = embedded.url("walks")
        Server(url).execute("CREATE DATABASE walks")
        migrating.upgrade(url)
        load_policies(url)
        made = make_services(make_settings(url, home, log_format="text"))
        logs.configure(made.settings)
        story = TimedStory(made, Hands())
        for seed in range(first, first + count):
            sys.stdout.write(f"{seed}\n")
            stroll(story, seed)
        made.engine.dispose()
    shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
