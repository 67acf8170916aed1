"""Lists: every filter, every order, pages that neither skip nor repeat."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any
from urllib.parse import quote

import pytest

from tests.mediation.story import CHAT, WAYS, Story, money
from workflows.states import CaseState

Item = dict[str, Any]

SORT_KEYS: dict[str, Callable[[Item], Any]] = {
    "opened_at": lambda case: (case["opened_at"].ljust(27, "0"), case["id"]),
    "updated_at": lambda case: (case["updated_at"].ljust(27, "0"), case["id"]),
    "amount": lambda case: (sum(claim["amount"]["amount"] for claim in case["claims"]), case["id"]),
    "due_at": lambda case: (case["deadline"]["at"].ljust(27, "0"), case["id"]),
}


def pages(story: Story, who: str, path: str, *, limit: int) -> Iterator[list[Item]]:
    """Every page, by following the Link header; each checked against its own body."""
    joined = "&" if "?" in path else "?"
    following: str | None = f"/v1{path}{joined}limit={limit}"
    while following is not None:
        response = story.client.get(following, headers=story.headers(who))
        assert response.status_code == 200, response.get_data(as_text=True)
        body = response.get_json()
        assert body.keys() == {"items", "next_cursor"}
        yield body["items"]
        link = response.headers.get("Link")
        if body["next_cursor"] is None:
            assert link is None
            return
        assert len(body["items"]) == limit
        found = re.fullmatch(r'<(/v1/[^>]+)>; rel="next"', link or "")
        assert found, link
        assert f"cursor={quote(body['next_cursor'])}" in found[1]
        following = found[1]


def everything(story: Story, who: str, path: str, *, limit: int = 100) -> list[Item]:
    return [item for page in pages(story, who, path, limit=limit) for item in page]


@pytest.fixture(scope="module")
def crowd(shared: Story) -> Story:
    """Cases in every state, of several people, sums, reasons and requests."""
    for state in WAYS.keys() - {"pending", "refund"}:
        shared.at(state)
    shared.at("pending", paid=60_000)
    shared.failed_refund()
    shared.do("mediator", shared.at("under_review"), "take")
    shared.do("other_mediator", shared.at("under_review"), "take")
    for n, (reason, request) in enumerate(
        [
            ("damaged", "refund_only"),
            ("damaged", "compensation"),
            ("other", "compensation"),
            ("late_shipment", "refund_only"),
        ]
    ):
        body = shared.case_body(paid=1_000, claims=[500, 500] if n % 2 else [777])
        for claim in body["claims"]:
            claim |= {"reason": reason, "request": request}
        body["claims"][-1]["reason"] = "quality_defect" if n == 1 else reason
        body["buyer"]["id"], body["seller"]["id"] = f"buyer-{n % 2 + 8}", f"shop-{n % 3 + 60}"
        assert shared.post("platform", "/cases", body).status_code == 201
    shared.at("refund")  # last, because the way to `refunded` pays whatever is due
    return shared


# --- filters -----------------------------------------------------------------------------------------------------

STATES = tuple(str(state) for state in CaseState)
MATCHES: dict[str, tuple[tuple[str, ...], Callable[[Item, str], bool]]] = {
    "state": (STATES, lambda case, value: case["state"] == value),
    "stage": (
        ("negotiation", "performance", "mediation", "appeal", "execution", "final"),
        lambda case, value: case["stage"] == value,
    ),
    "waiting_on": (
        ("platform", "buyer", "seller", "both", "mediator", "senior"),
        lambda case, value: case["waiting_on"] == value,
    ),
    "queue": (
        ("mediation", "escalations", "approvals", "appeals", "failed_refunds"),
        lambda case, value: case["queue"] == value,
    ),
    "assignee": (("mia", "max"), lambda case, value: case["assignee"] == value),
    "reason": (
        ("damaged", "quality_defect", "other", "late_shipment"),
        lambda case, value: value in {claim["reason"] for claim in case["claims"]},
    ),
    "request": (
        ("refund_only", "compensation", "return_and_refund", "reship"),
        lambda case, value: value in {claim["request"] for claim in case["claims"]},
    ),
    "buyer": (("buyer-1", "buyer-8", "buyer-9"), lambda case, value: case["buyer"]["id"] == value),
    "seller": (("shop-17", "shop-60", "shop-61", "shop-62"), lambda case, value: case["seller"]["id"] == value),
}


@pytest.mark.parametrize("name", MATCHES)
def test_a_filter_finds_what_it_names_and_nothing_else(crowd: Story, name: str) -> None:
    every = everything(crowd, "platform", "/cases")
    values, matches = MATCHES[name]
    for value in values:
        found = everything(crowd, "platform", f"/cases?{name}={value}", limit=3)
        wanted = [case["id"] for case in every if matches(case, value)]
        assert wanted, f"nothing there to be found by {name}={value}"
        assert len(wanted) < len(every)
        assert [case["id"] for case in found] == wanted, value


def test_an_order_and_a_reference_are_found_whole(crowd: Story) -> None:
    every = everything(crowd, "platform", "/cases")
    for case in every[:5]:
        order, reference = case["order"]["id"], case["reference"]
        for query in (
            f"order={order}",
            f"q={order}",
            f"q={reference}",
            f"q={reference.lower()}",
            f"q=%20{reference}%20",
        ):
            assert [one["id"] for one in everything(crowd, "platform", f"/cases?{query}")] == [case["id"]], query
        for query in (f"order={order}x", f"q={reference[:-1]}", "q=%25", "q=T2026", "order=_"):
            assert everything(crowd, "platform", f"/cases?{query}") == [], query


def test_times_bound_from_and_including_to_and_excluding(crowd: Story) -> None:
    every = everything(crowd, "platform", "/cases")
    middle = every[len(every) // 2]
    at = quote(middle["opened_at"])
    after = [case["id"] for case in everything(crowd, "platform", f"/cases?opened_from={at}")]
    before = [case["id"] for case in everything(crowd, "platform", f"/cases?opened_to={at}")]
    assert before + after == [case["id"] for case in every]
    assert after[0] == middle["id"]
    both = everything(crowd, "platform", f"/cases?opened_from={at}&opened_to={at}")
    assert both == []
    changed = max(every, key=SORT_KEYS["updated_at"])
    found = everything(crowd, "platform", f"/cases?updated_since={quote(changed['updated_at'])}")
    assert [case["id"] for case in found] == [changed["id"]]


def test_due_before_finds_what_falls_due_until_then_and_nothing_that_never_does(crowd: Story) -> None:
    every = everything(crowd, "platform", "/cases")
    dues = sorted((case["deadline"]["at"].ljust(27, "0"), case["id"]) for case in every if case["deadline"])
    assert 0 < len(dues) < len(every)
    middle = dues[len(dues) // 2][0]
    found = everything(crowd, "platform", f"/cases?due_before={quote(middle)}&sort=due_at", limit=3)
    assert [case["id"] for case in found] == [case for at, case in dues if at < middle]
    assert found, "nothing there to be found"
    later = everything(crowd, "platform", "/cases?due_before=2199-01-01T00:00:00Z", limit=7)
    assert {case["id"] for case in later} == {case for _, case in dues}
    assert everything(crowd, "platform", "/cases?due_before=2020-01-01T00:00:00Z") == []


def test_a_suspended_case_is_found_under_the_stage_in_which_it_stands_still(crowd: Story) -> None:
    resting = everything(crowd, "platform", "/cases?state=suspended")
    assert [case["stage"] for case in resting] == ["negotiation"]
    found = everything(crowd, "platform", "/cases?stage=negotiation&state=suspended")
    assert [case["id"] for case in found] == [case["id"] for case in resting]


def test_a_time_means_the_same_in_every_zone(crowd: Story) -> None:
    every = everything(crowd, "platform", "/cases")
    shifted = [
        everything(crowd, "platform", f"/cases?opened_from={quote(written)}")
        for written in ("2020-01-01T00:00:00Z", "2020-01-01T08:00:00+08:00", "2019-12-31T19:00:00-05:00")
    ]
    assert shifted == [every, every, every]
    assert everything(crowd, "platform", "/cases?opened_from=2199-01-01T00:00:00Z") == []


def test_filters_are_joined_by_and(crowd: Story) -> None:
    every = everything(crowd, "platform", "/cases")
    found = everything(crowd, "platform", "/cases?state=opened&reason=damaged&request=compensation&buyer=buyer-9")
    assert [case["id"] for case in found] == [
        case["id"]
        for case in every
        if case["state"] == "opened"
        and case["buyer"]["id"] == "buyer-9"
        and {"damaged"} & {claim["reason"] for claim in case["claims"]}
        and {"compensation"} & {claim["request"] for claim in case["claims"]}
    ]
    assert len(found) == 1
    assert everything(crowd, "platform", "/cases?state=opened&stage=final") == []


# --- order and pages ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sort", [f"{sign}{name}" for name in SORT_KEYS for sign in ("", "-")])
@pytest.mark.parametrize("limit", [1, 2, 7, 100])
def test_pages_in_every_order_make_up_the_whole(crowd: Story, sort: str, limit: int) -> None:
    every = everything(crowd, "mediator", "/cases")
    if sort.lstrip("-") == "due_at":
        assert any(case["deadline"] is None for case in every), "what nothing falls due on is in no list of what does"
        every = [case for case in every if case["deadline"] is not None]
    key, descending = SORT_KEYS[sort.lstrip("-")], sort.startswith("-")
    wanted = sorted(every, key=key, reverse=descending)
    found = everything(crowd, "mediator", f"/cases?sort={sort}", limit=limit)
    assert [case["id"] for case in found] == [case["id"] for case in wanted]


def test_a_filter_stays_on_the_next_page(crowd: Story) -> None:
    found = list(pages(crowd, "platform", "/cases?buyer=buyer-1&sort=-amount", limit=4))
    assert len(found) > 2
    assert {case["buyer"]["id"] for page in found for case in page} == {"buyer-1"}


def test_fifty_are_given_unless_another_limit_is_asked(shared: Story) -> None:
    case = shared.open()
    for n in range(51):
        assert shared.post("buyer", f"/cases/{case}/messages", {"text": f"{n}"}).status_code == 201
    first = shared.get("buyer", f"/cases/{case}/messages").get_json()
    assert len(first["items"]) == 50 and first["next_cursor"]
    whole = shared.get("buyer", f"/cases/{case}/messages?limit=100").get_json()
    assert len(whole["items"]) == 51 and whole["next_cursor"] is None
    exact = shared.get("buyer", f"/cases/{case}/messages?limit=51").get_json()
    assert len(exact["items"]) == 51 and exact["next_cursor"] is None


@pytest.mark.parametrize("sort", ["opened_at", "-opened_at", "amount", "-amount"])
def test_no_case_is_skipped_or_repeated_while_others_are_opened(story: Story, sort: str) -> None:
    there = {story.open(paid=paid) for paid in (300, 100, 200, 100, 300, 200, 100)}
    seen: list[str] = []
    for page in pages(story, "mediator", f"/cases?sort={sort}", limit=2):
        seen += [case["id"] for case in page]
        if len(seen) < 12:
            for paid in (50, 150, 250, 350):
                story.open(paid=paid)
    assert len(seen) == len(set(seen))
    assert there <= set(seen)


def test_many_cases_of_one_sum_are_still_told_apart(story: Story) -> None:
    there = [story.open(paid=100) for _ in range(7)]
    for sort in ("amount", "-amount"):
        found = [case["id"] for case in everything(story, "mediator", f"/cases?sort={sort}", limit=2)]
        assert sorted(found) == sorted(there)
        assert found == sorted(found, reverse=sort.startswith("-"))


def test_every_list_of_a_case_is_paged_without_loss(shared: Story) -> None:
    case = shared.at("seller_notified")
    for n in range(4):
        shared.do(
            ("seller", "buyer")[n % 2], case, "offer", {"remedy": "refund", "amount": money(n + 1), "note": f"{n}"}
        )
        shared.post("buyer", f"/cases/{case}/messages", {"text": f"m{n}"})
        shared.post("seller", f"/cases/{case}/messages", {"text": f"n{n}"})
        filed = shared.post("buyer", f"/cases/{case}/exhibits", CHAT)
    shared.do("buyer", case, "request_mediation")
    shared.post("mediator", f"/cases/{case}/messages", {"text": "between us", "visibility": "staff"})
    shared.post("mediator", f"/cases/{case}/exhibits", {**CHAT, "visibility": "staff"})
    paths = [f"/cases/{case}/{name}" for name in ("docket", "messages", "exhibits", "offers", "decisions", "refunds")]
    for path in [*paths, f"/exhibits/{filed.get_json()['id']}/messages"]:
        for who in ("buyer", "mediator"):
            whole = everything(shared, who, path)
            for limit in (1, 3):
                assert everything(shared, who, path, limit=limit) == whole, (path, who)
    assert len(everything(shared, "buyer", paths[3])) == 4
    seqs = [entry["seq"] for entry in everything(shared, "buyer", paths[0], limit=1)]
    assert seqs == list(range(1, len(seqs) + 1))


def test_pages_of_a_party_are_full_though_staff_see_more(shared: Story) -> None:
    """What is withheld does not show as holes in a party's pages."""
    case = shared.at("under_review")
    for n in range(6):
        shared.post("mediator", f"/cases/{case}/messages", {"text": f"note {n}", "visibility": "staff"})
        shared.post("buyer", f"/cases/{case}/messages", {"text": f"word {n}"})
        shared.post("mediator", f"/cases/{case}/exhibits", {**CHAT, "visibility": "staff"})
        shared.post("buyer", f"/cases/{case}/exhibits", CHAT)
    for name in ("messages", "exhibits"):
        sizes = [len(page) for page in pages(shared, "buyer", f"/cases/{case}/{name}", limit=2)]
        assert sizes == [2, 2, 2], name
        assert [len(page) for page in pages(shared, "senior", f"/cases/{case}/{name}", limit=12)] == [12], name


def test_interests_are_paged_too(shared: Story) -> None:
    for n in range(5):
        assert shared.post("senior", "/interests", {"side": "seller", "party": f"shop-{n}"}).status_code == 201
    found = everything(shared, "senior", "/interests", limit=2)
    assert [one["party"] for one in found] == [f"shop-{n}" for n in range(5)]
    assert everything(shared, "supervisor", "/interests", limit=1)[-5:] == found


def test_a_list_and_a_case_read_alone_say_the_same(crowd: Story) -> None:
    for who in ("buyer", "seller", "mediator", "platform"):
        for listed in everything(crowd, who, "/cases", limit=4):
            alone = crowd.get(who, f"/cases/{listed['id']}").get_json()
            # What is read out of a whole order, or out of the record, is there where one case is read.
            assert alone.pop("facts"), who
            address = alone.pop("return_address")
            assert (address is not None) == (listed["state"] in ("awaiting_return", "awaiting_inspection")), listed
            assert alone == listed


def test_opened_at_orders_as_the_ids_do_for_cases_opened_one_after_another(crowd: Story) -> None:
    found = everything(crowd, "platform", "/cases?sort=opened_at")
    assert all(one["opened_at"] <= two["opened_at"] for one, two in pairwise(found))
    assert [case["id"] for case in found] == sorted(case["id"] for case in found)
