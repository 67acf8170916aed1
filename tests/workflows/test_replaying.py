"""A docket told once more: what the procedure allows passes, what it does not is named, what was erased is let be."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.workflows.cases import _PEOPLE, NOW
from workflows.replayed import Entry, Replay, Unknown
from workflows.replaying import ACTIONS, RECORDED, replay
from workflows.states import CaseState
from workflows.steps import STEPS

#: action, role, where it leads; with what else it brings.
Line = tuple[Any, ...]
REVIEW: list[Line] = [
    ("notify_seller", "platform", "seller_notified"),
    ("refuse", "seller", "seller_refused"),
    ("request_mediation", "buyer", "under_review"),
]
DECISION = {"amount_minor": 100, "authority_minor": 500, "decision": {"outcome": "buyer_favour"}}
DUE = (NOW + timedelta(days=7)).isoformat()
APPEAL_RUNS = [{"kind": "appeal", "change": "started", "fires": "finalise", "due_at": DUE}]
DECIDED: list[Line] = [*REVIEW, ("decide", "mediator", "decided", {"facts": DECISION, "deadlines": APPEAL_RUNS})]
PAID: list[Line] = [
    ("notify_seller", "platform", "seller_notified"),
    ("agree", "seller", "refund", {"facts": {"legs": ["refund"]}}),
    ("settle_refund", "gateway", "refunded"),
]


def docket(*lines: Line, opening: dict[str, Any] | None = None) -> list[Entry]:
    """The entries of these lines, each an hour after the one before, after the one that opens the case."""
    first = {"actor": _who("platform"), "deadlines": []} | (opening or {})
    entries = [Entry(1, NOW, "open", None, "opened", first)]
    for seq, (action, role, to, *more) in enumerate(lines, start=2):
        brought = more[0] if more else {}
        came_from = brought.get("from", entries[-1].to)
        openings = {"actor": None if role is None else _who(role), **brought}
        entries.append(Entry(seq, NOW + timedelta(hours=seq), action, came_from, to, openings))
    return entries


def _who(role: str) -> dict[str, str]:
    person, _, subject = role.partition(":")
    known, acts_for = _PEOPLE.get(person, (person, person))
    return {"role": person, "subject": subject or known, "acts_for": acts_for, "marketplace": "demo"}


def told(*lines: Line, **more: Any) -> Replay:
    return replay(docket(*lines, **more), buyer_ref="buyer-1", seller_ref="shop-17")


def missteps(*lines: Line) -> list[tuple[int, str]]:
    return [(one.seq, one.what) for one in told(*lines).missteps]


@pytest.mark.parametrize("lines", [[], REVIEW, DECIDED, PAID], ids=["opened", "review", "decided", "paid"])
def test_an_honest_docket_has_no_misstep(lines: list[Line]) -> None:
    assert missteps(*lines) == []


def test_what_follows_from_the_record_is_told() -> None:
    known = told(*DECIDED).case.known()
    assert (known["state"], known["decisions_issued"], known["decided_by"]) == ("decided", 1, "mia")
    assert (known["assignee"], known["outcome"]) == ("mia", "buyer_favour")
    assert known["due_at"] == known["appeal_until"] == NOW + timedelta(days=7)
    over = told(*PAID).case.known()
    assert (over["outcome"], over["legs"], over["assignee"]) == ("settled", [], None)
    assert over["closed_at"] == NOW + timedelta(hours=4)


def test_offers_and_their_counts_are_told_by_side() -> None:
    talks = [("notify_seller", "platform", "seller_notified"), ("offer", "seller", "negotiating")]
    known = told(*talks, ("offer", "buyer", "negotiating"), ("offer", "seller", "negotiating")).case.known()
    assert (known["offers_made"], known["counter_offers_buyer"], known["counter_offers_seller"]) == (3, 1, 1)
    assert known["open_offer_by"] == "seller"
    assert missteps(*talks, ("accept_offer", "seller", "refund", {"facts": {"legs": ["refund"]}})) == [
        (4, "accept_offer was refused by the procedure: own_offer")
    ]


def test_a_proposal_binds_when_both_sides_have_accepted_it() -> None:
    proposed: list[Line] = [*REVIEW, ("propose", "mediator", "negotiating"), ("accept_offer", "buyer", "negotiating")]
    assert missteps(*proposed, ("accept_offer", "seller", "refund", {"facts": {"legs": ["refund"]}})) == []
    early: list[Line] = [*proposed[:-1], ("accept_offer", "buyer", "refund", {"facts": {"legs": ["refund"]}})]
    assert missteps(*early) == [(6, "accept_offer leads from negotiating to negotiating here, not to refund")]


@pytest.mark.parametrize(
    ("lines", "seq", "what"),
    [
        ([("refuse", "seller", "seller_refused")], 2, "no seller can refuse from opened"),
        ([*REVIEW, ("decide", "buyer", "decided", {"facts": DECISION})], 5, "no buyer can decide from under_review"),
        (
            [*REVIEW, ("decide", "mediator", "decided", {"facts": DECISION | {"amount_minor": 501}})],
            5,
            "decide leads from under_review to escalated here, not to decided",
        ),
        (
            [("notify_seller", "platform", "seller_notified"), ("agree", "seller", "refunded", {"facts": {}})],
            3,
            "agree leads from seller_notified to awaiting_performance or awaiting_return or refund here, "
            "not to refunded",
        ),
        ([*PAID, ("notify_seller", "platform", "seller_notified")], 5, "no platform can notify_seller from refunded"),
        ([*PAID, ("message_posted", "buyer", "refunded")], 5, "message_posted does not happen once a case is over"),
        (
            [("message_posted", "buyer", "closed")],
            2,
            "message_posted moves no case, yet it leads from opened to closed",
        ),
        ([("bribed", "seller", "closed")], 2, "the entry is of a type that there is not"),
        ([("withdraw", "buyer", "nowhere")], 2, "the entry names a state that there is not"),
        ([*DECIDED, ("withdraw", "buyer", "closed")], 6, "no buyer can withdraw from decided"),
        (
            [*REVIEW, ("take", "mediator", "under_review"), ("take", "mediator:max", "under_review")],
            6,
            "take was refused by the procedure: assigned_to_other",
        ),
        (
            [*DECIDED, ("accept_decision", "seller", "decided"), ("appeal", "seller", "escalated")],
            7,
            "appeal was refused by the procedure: already_accepted",
        ),
        (
            [*DECIDED, ("appeal", "seller", "escalated"), ("decide", "senior", "decided", {"facts": DECISION}),
             ("withdraw", "buyer", "closed", {"from": "escalated"})],
            8,
            "the entry goes on from escalated, and the one before left the case in decided",
        ),
        (
            [("notify_seller", "platform", "seller_notified"), ("suspend", "mediator", "suspended"),
             ("resume", "mediator", "under_review")],
            4,
            "resume leads from suspended to seller_notified here, not to under_review",
        ),
    ],
)  # fmt: skip
def test_what_the_procedure_does_not_allow_is_named_where_it_stands(lines: list[Line], seq: int, what: str) -> None:
    assert (seq, what) in missteps(*lines)
    assert {one for one, _ in missteps(*lines)} == {seq}


def test_an_entry_of_another_party_is_no_partys() -> None:
    stranger = _who("seller") | {"acts_for": "shop-99"}
    lines = [
        ("notify_seller", "platform", "seller_notified"),
        ("refuse", "seller", "seller_refused", {"actor": stranger}),
    ]
    assert missteps(*lines) == [(3, "refuse was refused by the procedure: not_a_party")]


def test_an_appeal_after_its_time_is_named() -> None:
    late = docket(*DECIDED, ("appeal", "seller", "escalated"))
    late[-1] = Entry(6, NOW + timedelta(days=8), "appeal", "decided", "escalated", late[-1].openings)
    found = replay(late, buyer_ref="buyer-1", seller_ref="shop-17").missteps
    assert [one.what for one in found] == ["appeal was refused by the procedure: appeal_out_of_time"]


def test_time_that_goes_back_and_a_beginning_that_is_none_are_named() -> None:
    entries = docket(*REVIEW)
    turned = [entries[0], Entry(2, NOW - timedelta(seconds=1), "notify_seller", "opened", "seller_notified", {})]
    found = replay(turned, buyer_ref="b", seller_ref="s").missteps
    assert [one.what for one in found] == ["the entry is older than the one before it"]
    found = replay(entries[1:], buyer_ref="buyer-1", seller_ref="shop-17").missteps
    assert [one.what for one in found] == [
        "the first entry does not open the case",
        "a case is opened into opened, not from opened into seller_notified",
    ]


def test_of_an_erased_actor_any_role_will_do_and_what_hangs_on_it_is_unknown() -> None:
    lines = [("notify_seller", None, "seller_notified"), ("offer", None, "negotiating")]
    found = told(*lines)
    assert found.missteps == []
    assert found.case.known()["offers_made"] == 1
    assert "open_offer_by" not in found.case.known()
    with pytest.raises(Unknown):
        _ = found.case.open_offer_by
    # Whose the open offer is nobody knows any more, so either side may have declined it, into either state.
    assert told(*lines, ("decline_offer", "seller", "seller_refused")).missteps == []
    assert told(*lines, ("decline_offer", "seller", "under_review")).missteps == []
    # Even so nobody could have done this.
    assert [one.what for one in told(("settle_refund", None, "refunded")).missteps] == [
        "nobody can settle_refund from opened"
    ]


def test_facts_that_were_erased_leave_every_way_of_the_table_open() -> None:
    told_seller = ("notify_seller", "platform", "seller_notified")
    for to in ("refund", "awaiting_return", "awaiting_performance"):
        assert missteps(told_seller, ("agree", "seller", to, {"facts": None})) == []
    assert missteps(told_seller, ("agree", "seller", "closed", {"facts": None})) != []


def test_a_case_from_before_there_were_clocks_says_nothing_of_them_until_they_start() -> None:
    entries = docket(*REVIEW)
    entries[0] = Entry(1, NOW, "open", None, "opened", {"actor": _who("platform")})
    found = replay(entries, buyer_ref="buyer-1", seller_ref="shop-17").case
    assert not {"due_at", "appeal_until"} & found.known().keys()
    started = {"deadlines": [{"kind": "review", "change": "started", "fires": "escalate", "due_at": DUE}]}
    entries.append(Entry(5, NOW + timedelta(days=1), "clock_started", "under_review", "under_review", started))
    found = replay(entries, buyer_ref="buyer-1", seller_ref="shop-17").case
    assert found.known()["due_at"] == NOW + timedelta(days=7)


def test_deadlines_are_followed_through_all_that_can_become_of_them() -> None:
    later = (NOW + timedelta(days=9)).isoformat()

    def change(what: str, kind: str = "review", **more: str) -> dict[str, Any]:
        return {"deadlines": [{"kind": kind, "change": what, "fires": "escalate", **more}]}

    def due(*changes: dict[str, Any]) -> Any:
        entries = docket(*REVIEW, *(("message_posted", "buyer", "under_review", one) for one in changes))
        return replay(entries, buyer_ref="buyer-1", seller_ref="shop-17").case.get("due_at")

    begun = change("started", due_at=DUE)
    assert due(begun) == NOW + timedelta(days=7)
    assert due(begun, change("extended", due_at=later)) == NOW + timedelta(days=9)
    assert due(begun, change("paused")) is None
    assert due(begun, change("paused"), change("resumed", due_at=later)) == NOW + timedelta(days=9)
    assert due(begun, change("fired")) is None
    assert due(begun, change("started", "negotiation", due_at=later), change("ended")) == NOW + timedelta(days=9)
    assert repr(due(begun, {"deadlines": [{"kind": "review"}]})) == "UNKNOWN"


def test_every_row_of_the_table_can_be_taken_by_each_of_its_roles() -> None:
    assert not ACTIONS & RECORDED.keys()
    told_of = set()
    for step in STEPS:
        for source in step.source:
            to = source if step.target is None else step.target
            lines: list[Line] = [("message_posted", "buyer", source.value, {"from": source.value})]
            for role in step.by:
                found = missteps(*lines, (step.action, role.value, to.value))
                assert not any(f"can {step.action}" in what for _, what in found), (step.action, source, role)
                told_of.add(to)
    assert told_of == set(CaseState)
