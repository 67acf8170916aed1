"""Who may see and do what: the order of checks, other people's cases, masks, and what only staff may know."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from werkzeug.test import TestResponse

from mediation.auth import issue_token
from tests.mediation.conftest import patient_policies
from tests.mediation.story import CHAT, PARCEL, PEOPLE, WAYS, Story, decision, money, order

OWN_KIND = {"buyer": "other_buyer", "seller": "other_seller"}
STAFF = ("mediator", "senior", "supervisor")
EVERYONE = ("platform", "buyer", "seller", "mediator", "senior", "supervisor", "admin")


def code(response: TestResponse) -> tuple[int, str]:
    found = response.get_json()
    return response.status_code, found.get("code", "") if isinstance(found, dict) else ""


def call(story: Story, who: str, method: str, path: str, marketplace: str = "demo", **more: Any) -> TestResponse:
    headers = {"Authorization": f"Bearer {story.token(who, marketplace)}", **more.pop("headers", {})}
    return story.client.open(f"/v1{path}", method=method, headers=headers, **more)


def rules(story: Story, part: str) -> list[tuple[str, str]]:
    """(method, path without /v1) of every rule with `part` in it."""
    return sorted(
        (method, rule.rule.removeprefix("/v1"))
        for rule in story.app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if part in rule.rule
    )


# --- every route under a case or an exhibit ----------------------------------------------------------------------


def test_there_are_routes_to_walk(shared: Story) -> None:
    assert len(rules(shared, "<case_id>")) >= 55
    assert len(rules(shared, "<exhibit_id>")) >= 3


@pytest.mark.parametrize("side", OWN_KIND)
def test_another_partys_case_is_not_there_on_any_route(shared: Story, side: str) -> None:
    case = shared.at("under_review")
    exhibit = shared.post("buyer", f"/cases/{case}/exhibits", CHAT).get_json()["id"]
    for method, path in [*rules(shared, "<case_id>"), *rules(shared, "<exhibit_id>")]:
        there = path.replace("<case_id>", case).replace("<exhibit_id>", exhibit)
        response = call(shared, OWN_KIND[side], method, there, json={} if method == "POST" else None)
        assert code(response) == (404, "not_found"), (method, path)
        nowhere = path.replace("<case_id>", str(uuid.uuid4())).replace("<exhibit_id>", str(uuid.uuid4()))
        other = call(shared, OWN_KIND[side], method, nowhere, json={} if method == "POST" else None)
        # The two answers differ in nothing, so that they do not tell whether the case exists.
        assert {**response.get_json(), "request_id": 0} == {**other.get_json(), "request_id": 0}, path


@pytest.mark.parametrize("who", EVERYONE)
def test_another_marketplaces_case_is_not_there_on_any_route(shared: Story, who: str) -> None:
    case = shared.at("under_review")
    exhibit = shared.post("buyer", f"/cases/{case}/exhibits", CHAT).get_json()["id"]
    for method, path in [*rules(shared, "<case_id>"), *rules(shared, "<exhibit_id>")]:
        there = path.replace("<case_id>", case).replace("<exhibit_id>", exhibit)
        response = call(shared, who, method, there, marketplace="elsewhere", json={} if method == "POST" else None)
        assert code(response) == (404, "not_found"), (method, path)


@pytest.mark.parametrize("who", EVERYONE)
def test_another_marketplaces_lists_are_empty(shared: Story, who: str) -> None:
    case = shared.open()
    shown = shared.get("platform", f"/cases/{case}").get_json()
    for query in (
        "",
        f"?q={shown['reference']}",
        f"?order={shown['order']['id']}",
        "?buyer=buyer-1",
        "?seller=shop-17",
    ):
        found = call(shared, who, "GET", f"/cases{query}", marketplace="elsewhere").get_json()
        assert found == {"items": [], "next_cursor": None}
    response = call(shared, who, "GET", f"/orders/{shown['order']['id']}", marketplace="elsewhere")
    assert response.status_code == (403 if who == "admin" else 404)


def test_a_list_shows_a_party_its_own_cases_alone_whatever_is_asked(shared: Story) -> None:
    case = shared.open()
    shown = shared.get("platform", f"/cases/{case}").get_json()
    for who in ("other_buyer", "other_seller"):
        for query in (
            "",
            "?buyer=buyer-1",
            "?seller=shop-17",
            f"?q={shown['reference']}",
            f"?order={shown['order']['id']}",
        ):
            assert shared.get(who, f"/cases{query}").get_json()["items"] == []
    for who in ("buyer", "seller"):
        found = shared.get(who, f"/cases?q={shown['reference']}").get_json()["items"]
        assert [one["id"] for one in found] == [case]


def test_the_same_ids_in_two_marketplaces_are_two_orders_and_two_parties(shared: Story) -> None:
    body = shared.case_body(order_id="TWIN-1")
    first = shared.post("platform", "/cases", body)
    body["buyer"]["name"] = "韩梅梅"
    second = call(shared, "platform", "POST", "/cases", marketplace="elsewhere", json=body)
    assert (first.status_code, second.status_code) == (201, 201)
    case = first.get_json()["id"]
    assert shared.get("buyer", f"/cases/{case}").get_json()["buyer"]["name"] == "李雷"
    assert call(shared, "buyer", "GET", f"/cases/{case}", marketplace="elsewhere").status_code == 404


# --- roles -------------------------------------------------------------------------------------------------------

BY = {
    "notify_seller": {"platform", "mediator"},
    "agree": {"seller"},
    "refuse": {"seller"},
    "offer": {"seller", "buyer"},
    "accept_offer": {"seller", "buyer"},
    "decline_offer": {"seller", "buyer"},
    "request_mediation": {"seller", "buyer"},
    "ship_return": {"buyer"},
    "confirm_return": {"seller"},
    "dispute_return": {"seller"},
    "perform": {"seller"},
    "confirm_performance": {"buyer"},
    "dispute_performance": {"buyer"},
    "withdraw": {"buyer"},
    "take": set(STAFF),
    "release": set(STAFF),
    "hand_over": set(STAFF),
    "propose": {"mediator"},
    "request_evidence": set(STAFF),
    "end_evidence_request": set(STAFF),
    "extend": set(STAFF),
    "remind_seller": {"mediator", "platform"},
    "refund_now": set(STAFF),
    "suspend": set(STAFF),
    "resume": set(STAFF),
    "escalate": {"mediator"},
    "decide": set(STAFF),
    "approve": {"senior", "supervisor"},
    "return_to_mediator": {"senior", "supervisor"},
    "accept_decision": {"seller", "buyer"},
    "appeal": {"seller", "buyer"},
    "conclude_inspection": set(),
    "conclude_performance": set(),
    "default_evidence": set(),
    "evidence_complete": set(),
    "expire_offer": set(),
    "fail_refund": set(),
    "finalise": set(),
    "lapse": set(),
    "raise_level": set(),
    "refund_in_place": set(),
    "settle_refund": set(),
    "retry_refund": {"senior", "supervisor"},
    "settle_elsewhere": {"senior", "supervisor"},
}


def test_the_table_of_roles_names_every_action(shared: Story) -> None:
    found = {path.rpartition("/")[2] for _, path in rules(shared, "/actions/")}
    assert found == set(BY)


@pytest.mark.parametrize("action", BY)
def test_a_wrong_role_is_403_whatever_else_is_wrong(shared: Story, action: str) -> None:
    case = shared.at("closed")
    for who in EVERYONE:
        response = shared.act(who, case, action, {"surprise": 1}, **{"If-Match": '"999"'})
        if who in BY[action]:
            assert response.status_code == 412, who
        else:
            assert code(response) == (403, "not_permitted"), who


def test_who_may_open_cases_state_orders_and_declare_interests(shared: Story) -> None:
    for who in set(EVERYONE) - {"platform", "buyer"}:
        assert shared.post(who, "/cases", shared.case_body()).status_code == 403, who
    body = {"order": order("MINE"), "buyer": {"id": "buyer-1"}, "seller": {"id": "shop-17"}}
    for who in set(EVERYONE) - {"platform"}:
        assert shared.put(who, "/orders/MINE", body).status_code == 403, who
    for who in set(EVERYONE) - set(STAFF):
        assert shared.post(who, "/interests", {"side": "buyer", "party": "x"}).status_code == 403, who
        assert shared.get(who, "/interests").status_code == 403, who
        path = f"/v1/interests/{uuid.uuid4()}"
        assert shared.client.delete(path, headers=shared.headers(who)).status_code == 403, who
    assert shared.get("platform", "/orders/MINE").status_code == 404


SCANS = {**PARCEL, "leg": "outbound", "scans": [{"status": "delivered", "at": "2026-11-05T08:00:00Z"}]}


def test_carrier_scans_come_from_the_platform_alone(shared: Story) -> None:
    """A party that could state them could prove a ground for a refund, or disprove one."""
    case = shared.at("seller_notified")
    order_id = shared.get("platform", f"/cases/{case}").get_json()["order"]["id"]
    for who in set(EVERYONE) - {"platform"}:
        assert code(shared.post(who, f"/orders/{order_id}/tracking", SCANS)) == (403, "not_permitted"), who
    facts = {one["name"]: one["holds"] for one in shared.get("mediator", f"/cases/{case}").get_json()["facts"]}
    assert not facts["delivered"]
    elsewhere = call(shared, "platform", "POST", f"/orders/{order_id}/tracking", marketplace="elsewhere", json=SCANS)
    assert code(elsewhere) == (404, "not_found")
    assert shared.post("platform", f"/orders/{order_id}/tracking", SCANS).get_json() == {"received": 1, "new": 1}


def test_policies_are_read_by_everybody_and_loaded_by_an_administrator_alone(shared: Story) -> None:
    body = {"text": patient_policies() + "\n# once more\n"}
    for who in EVERYONE:
        assert shared.get(who, "/policies").status_code == 200, who
        assert shared.get(who, "/policies/current").get_json()["in_force"] is True, who
    for who in set(EVERYONE) - {"admin"}:
        assert code(shared.post(who, "/policies", body)) == (403, "not_permitted"), who
    assert len(items(shared, "admin", "/policies")) == 1
    assert shared.post("admin", "/policies", body).status_code == 201
    assert len(items(shared, "buyer", "/policies")) == 2


def _evidence(story: Story) -> tuple[str, str, dict[str, int]]:
    """A case that waits on both sides' evidence, the request, and the item that each side owes."""
    case = story.at("awaiting_evidence")
    [asked] = items(story, "mediator", f"/cases/{case}/evidence-requests")
    return case, asked["id"], {item["side"]: item["item"] for item in asked["items"]}


def test_an_item_of_evidence_is_waived_by_its_own_side_or_by_staff_without_an_interest(story: Story) -> None:
    case, asked, owed = _evidence(story)
    path = f"/cases/{case}/evidence-requests/{asked}/items"
    for who in ("platform", "admin"):
        assert code(story.post(who, f"{path}/{owed['buyer']}/waiver")) == (403, "not_permitted"), who
    for who, other in (("buyer", "seller"), ("seller", "buyer")):
        assert code(story.post(who, f"{path}/{owed[other]}/waiver")) == (422, "item_not_open"), who
    assert story.post("buyer", f"{path}/{owed['buyer']}/waiver").get_json()["waiting_on"] == "seller"
    for number in (0, 99, "x", "-1", "1.0", "%31"):
        there = story.post("mediator", f"{path}/{number}/waiver").status_code
        assert there == (422 if number == "%31" else 404), number
    assert story.post("mediator", f"/cases/{case}/evidence-requests/{uuid.uuid4()}/items/1/waiver").status_code == 404
    assert story.post("mediator", "/interests", {"side": "seller", "party": "shop-17"}).status_code == 201
    assert code(story.post("mediator", f"{path}/{owed['seller']}/waiver")) == (403, "interest_declared")
    assert story.post("senior", f"{path}/{owed['seller']}/waiver").get_json()["state"] == "under_review"


def test_an_item_of_another_cases_request_is_not_there(shared: Story) -> None:
    _, asked, owed = _evidence(shared)
    other = shared.at("awaiting_evidence")
    path = f"/cases/{other}/evidence-requests/{asked}/items/{owed['buyer']}/waiver"
    for who in ("buyer", "mediator"):
        assert code(shared.post(who, path)) == (404, "not_found"), who
    body = {**CHAT, "answers": {"request": asked, "item": owed["buyer"]}}
    assert code(shared.post("buyer", f"/cases/{other}/exhibits", body)) == (422, "item_not_open")


def test_a_notice_is_read_by_the_one_it_was_served_on_and_by_staff(shared: Story) -> None:
    case = shared.at("awaiting_performance")
    shared.do("seller", case, "perform", PARCEL)
    every = [(one["kind"], one["served_on"]) for one in items(shared, "mediator", f"/cases/{case}/notices")]
    assert every == [("case_opened", "seller"), ("performed", "buyer")]
    for side in ("buyer", "seller"):
        found = [(one["kind"], one["served_on"]) for one in items(shared, side, f"/cases/{case}/notices")]
        assert found == [one for one in every if one[1] == side]


def test_a_party_is_not_told_how_the_clock_fares(shared: Story) -> None:
    case = shared.at("seller_notified")
    inside = {"attempts", "failure", "set_aside_at"}
    for who in EVERYONE:
        [one] = items(shared, who, f"/cases/{case}/deadlines")
        assert (inside & one.keys()) == (inside if who in STAFF else set()), who


def test_an_administrator_reads_but_neither_writes_nor_files(shared: Story) -> None:
    case = shared.open()
    assert shared.get("admin", f"/cases/{case}").status_code == 200
    assert shared.post("admin", f"/cases/{case}/messages", {"text": "hello"}).status_code == 403
    assert shared.post("admin", f"/cases/{case}/exhibits", CHAT).status_code == 403


FACTS: list[tuple[str, Any]] = [
    ("paid", money(99_999)),
    ("lines", [{"id": "1", "title": "t", "unit_price": money(1)}]),
    ("paid_at", "2026-11-01T08:00:00Z"),
    ("shipped_at", None),
    ("delivered_to", "me"),
    ("region", "CN"),
]


@pytest.mark.parametrize(("fact", "value"), FACTS, ids=[fact for fact, _ in FACTS])
def test_a_buyer_cannot_state_a_fact_of_the_order(shared: Story, fact: str, value: Any) -> None:
    body = shared.case_body()
    assert shared.put("platform", f"/orders/{body['order']['id']}", {k: body[k] for k in ("order", "buyer", "seller")})
    before = shared.get("platform", f"/orders/{body['order']['id']}").get_json()
    asked = {"order": {"id": body["order"]["id"], fact: value}, "claims": body["claims"]}
    assert code(shared.post("buyer", "/cases", asked)) == (403, "not_permitted")
    assert shared.get("platform", f"/orders/{body['order']['id']}").get_json() == before


def test_a_buyer_opens_a_case_about_their_own_order_alone(shared: Story) -> None:
    body = shared.case_body()
    facts = {name: body[name] for name in ("order", "buyer", "seller")}
    assert shared.put("platform", f"/orders/{body['order']['id']}", facts).status_code == 200
    asked = {"order": {"id": body["order"]["id"]}, "claims": body["claims"]}
    assert shared.post("other_buyer", "/cases", asked).status_code == 404
    assert shared.post("buyer", "/cases", {**asked, "buyer": {"id": "buyer-2"}}).status_code == 403
    assert shared.post("buyer", "/cases", {**asked, "seller": {"id": "shop-17"}}).status_code == 403
    assert shared.post("buyer", "/cases", {**asked, "order": {"id": "not on file"}}).status_code == 404
    assert call(shared, "buyer", "POST", "/cases", marketplace="elsewhere", json=asked).status_code == 404
    opened = shared.post("buyer", "/cases", asked)
    assert opened.status_code == 201
    assert opened.get_json()["order"]["paid"] == money(12_900)


def test_an_order_is_read_by_its_own_parties_and_by_staff_once_a_case_stands_on_it(shared: Story) -> None:
    body = shared.case_body()
    path = f"/orders/{body['order']['id']}"
    assert shared.put("platform", path, {k: body[k] for k in ("order", "buyer", "seller")}).status_code == 200
    seen = {
        who: shared.get(who, path).status_code for who in ("buyer", "seller", "other_buyer", "other_seller", *STAFF)
    }
    assert seen == {"buyer": 200, "seller": 200, "other_buyer": 404, "other_seller": 404, **dict.fromkeys(STAFF, 404)}
    assert shared.post("platform", "/cases", body).status_code == 201
    assert all(shared.get(who, path).status_code == 200 for who in STAFF)
    for who in ("buyer", "seller"):
        assert not {"reserved", "refunded", "buyer", "seller"} & shared.get(who, path).get_json().keys()


# --- the order of checks -----------------------------------------------------------------------------------------


def test_the_order_of_checks_is_that_of_the_contract(shared: Story) -> None:
    """Each request is wrong in every later way too; each line mends the first wrong thing of the one before."""
    case, bad = shared.at("closed"), {"surprise": 1}
    stale = {"If-Match": '"999"'}
    nowhere = str(uuid.uuid4())
    path = "/v1/cases/{}/actions/decide"
    assert shared.client.post(path.format(nowhere), json=bad, headers=stale).status_code == 401
    assert shared.act("buyer", nowhere, "decide", bad, **stale).status_code == 404
    assert shared.act("buyer", case, "decide", bad, **stale).status_code == 403
    assert shared.act("mediator", case, "decide", bad, **stale).status_code == 412
    wrong = shared.act("mediator", case, "decide", bad)
    assert code(wrong) == (409, "wrong_state")
    assert wrong.get_json()["actions"] == []
    under_review = shared.at("under_review")
    assert shared.act("mediator", under_review, "decide", bad).status_code == 422


def test_wrong_state_names_what_the_caller_may_do_now(shared: Story) -> None:
    case = shared.at("seller_notified")
    for who, action in (("mediator", "take"), ("buyer", "accept_offer"), ("seller", "appeal")):
        found = shared.act(who, case, action, {"surprise": 1})
        assert code(found) == (409, "wrong_state")
        open_now = {one["name"] for one in shared.get(who, f"/cases/{case}").get_json()["actions"]}
        assert open_now <= set(found.get_json()["actions"]), who


def test_an_exhibit_is_refused_in_the_same_order(shared: Story) -> None:
    case, closed, bad = shared.open(), shared.at("closed"), {"surprise": 1}
    stale = {"If-Match": '"999"'}
    nowhere = f"/cases/{uuid.uuid4()}/exhibits"
    assert shared.client.post(f"/v1{nowhere}", json=bad, headers=stale).status_code == 401
    assert shared.post("admin", nowhere, bad, stale).status_code == 404
    assert shared.post("admin", f"/cases/{case}/exhibits", bad, stale).status_code == 403
    assert shared.post("buyer", f"/cases/{closed}/exhibits", bad, stale).status_code == 412
    assert shared.post("buyer", f"/cases/{case}/exhibits", bad, stale).status_code == 412
    assert code(shared.post("buyer", f"/cases/{closed}/exhibits", bad)) == (409, "case_final")
    assert shared.post("buyer", f"/cases/{case}/exhibits", bad).status_code == 422


def test_a_message_is_refused_in_the_same_order(shared: Story) -> None:
    case, closed, bad = shared.open(), shared.at("closed"), {"surprise": 1}
    stale = {"If-Match": '"999"'}
    nowhere = f"/cases/{uuid.uuid4()}/messages"
    assert shared.client.post(f"/v1{nowhere}", json=bad, headers=stale).status_code == 401
    assert shared.post("admin", nowhere, bad, stale).status_code == 404
    assert shared.post("admin", f"/cases/{case}/messages", bad, stale).status_code == 403
    assert shared.post("buyer", f"/cases/{closed}/messages", bad, stale).status_code == 412
    assert code(shared.post("buyer", f"/cases/{closed}/messages", bad)) == (409, "case_final")
    assert shared.post("buyer", f"/cases/{case}/messages", bad).status_code == 422


def test_every_route_asks_for_a_token_before_it_looks_at_anything(shared: Story) -> None:
    open_to_all = {"/v1/gateway/callbacks", "/v1/openapi.json", "/healthz", "/readyz"}
    for rule in shared.app.url_map.iter_rules():
        if not rule.rule.startswith("/v1") or rule.rule in open_to_all:
            continue
        path = rule.rule.replace("<case_id>", "x").replace("<exhibit_id>", "x").replace("<order_id>", "x")
        for name in ("interest_id", "version", "request_id", "item", "redaction_id"):
            path = path.replace(f"<{name}>", "x")
        assert "<" not in path
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            response = shared.client.open(path, method=method, data=b"{", headers={"If-Match": "x"})
            assert code(response) == (401, "unauthenticated"), (method, path)
            assert response.headers["WWW-Authenticate"].startswith("Bearer")
    # Unsigned, and no gateway is set up.
    assert shared.client.post("/v1/gateway/callbacks", json={}).status_code == 401


def test_an_interest_bars_a_mediator_from_deciding_and_taking(shared: Story) -> None:
    case = shared.at("under_review")
    declared = shared.post("other_mediator", "/interests", {"side": "seller", "party": "shop-17"})
    assert declared.status_code == 201
    for action, body in (("take", {}), ("decide", decision())):
        assert code(shared.act("other_mediator", case, action, body)) == (403, "interest_declared")
    path = f"/v1/interests/{declared.get_json()['id']}"
    assert shared.client.delete(path, headers=shared.headers("mediator")).status_code == 404
    assert shared.client.delete(path, headers=shared.headers("supervisor")).status_code == 204
    assert shared.act("other_mediator", case, "take").status_code == 200


def test_a_member_of_staff_sees_their_own_interests_and_a_supervisor_all(shared: Story) -> None:
    mine = shared.post("mediator", "/interests", {"side": "buyer", "party": "my-cousin"}).get_json()["id"]
    seen = {who: {one["id"] for one in shared.get(who, "/interests?limit=100").get_json()["items"]} for who in STAFF}
    assert mine in seen["mediator"] and mine in seen["supervisor"] and mine not in seen["senior"]
    elsewhere = call(shared, "supervisor", "GET", "/interests", marketplace="elsewhere").get_json()
    assert elsewhere["items"] == []


# --- what only staff may see -------------------------------------------------------------------------------------


def items(story: Story, who: str, path: str) -> list[dict[str, Any]]:
    response = story.get(who, path)
    assert response.status_code == 200, response.get_data(as_text=True)
    found: list[dict[str, Any]] = response.get_json()["items"]
    return found


def test_an_internal_note_is_for_staff_alone(shared: Story) -> None:
    case = shared.at("under_review")
    note = shared.post("mediator", f"/cases/{case}/messages", {"text": "A liar, between us.", "visibility": "staff"})
    assert note.status_code == 201
    seq = note.get_json()["id"]
    for who in ("buyer", "seller", "platform", "admin"):
        assert items(shared, who, f"/cases/{case}/messages") == []
        entry = next(one for one in items(shared, who, f"/cases/{case}/docket") if one["seq"] == seq)
        assert entry.keys() == {"seq", "hash"}
        assert "A liar" not in shared.get(who, f"/cases/{case}/docket").get_data(as_text=True)
    for who in STAFF:
        assert [one["text"] for one in items(shared, who, f"/cases/{case}/messages")] == ["A liar, between us."]
    for who in ("buyer", "seller", "platform"):
        refused = shared.post(who, f"/cases/{case}/messages", {"text": "x", "visibility": "staff"})
        assert refused.status_code == 403


def test_an_exhibit_for_staff_is_for_staff_alone(shared: Story) -> None:
    case = shared.at("under_review")
    filed = shared.post("mediator", f"/cases/{case}/exhibits", {**CHAT, "title": "a tip", "visibility": "staff"})
    assert filed.status_code == 201
    exhibit = filed.get_json()["id"]
    for who in ("buyer", "seller", "platform", "admin"):
        assert items(shared, who, f"/cases/{case}/exhibits") == []
        for path in ("", "/messages", "/content"):
            assert shared.get(who, f"/exhibits/{exhibit}{path}").status_code == 404
        docket = shared.get(who, f"/cases/{case}/docket").get_data(as_text=True)
        assert exhibit not in docket and "a tip" not in docket and "M-1" not in docket
        assert exhibit not in shared.get(who, f"/cases/{case}").get_data(as_text=True)
    for who in STAFF:
        assert [one["id"] for one in items(shared, who, f"/cases/{case}/exhibits")] == [exhibit]
    for who in ("buyer", "seller", "platform"):
        assert shared.post(who, f"/cases/{case}/exhibits", {**CHAT, "visibility": "staff"}).status_code == 403
    refused = shared.act("buyer", case, "withdraw")
    assert refused.status_code == 200


def test_an_exhibit_for_staff_can_be_neither_relied_on_nor_appealed_with(shared: Story) -> None:
    case = shared.at("under_review")
    assert shared.post("mediator", f"/cases/{case}/exhibits", {**CHAT, "visibility": "staff"}).status_code == 201
    finding = {"issue": "i", "burden": "seller", "finding": "proven", "relied_on": [{"exhibit": "M-1"}]}
    refused = shared.act("mediator", case, "decide", decision(findings=[finding]))
    assert "findings.0.relied_on.0.exhibit" in refused.get_json()["errors"]
    shared.do("mediator", case, "decide", decision())
    hidden = shared.act("seller", case, "appeal", {"grounds": "g", "exhibits": ["M-1"]})
    absent = shared.act("seller", case, "appeal", {"grounds": "g", "exhibits": ["M-2"]})
    assert hidden.status_code == absent.status_code == 422
    # Equal answers: the error is no way of asking what staff hold.
    assert hidden.get_json()["errors"] == absent.get_json()["errors"]


def test_an_exhibit_for_staff_that_proves_a_payment_is_not_named_to_the_parties(shared: Story) -> None:
    case = shared.failed_refund()
    filed = shared.post("senior", f"/cases/{case}/exhibits", {**CHAT, "visibility": "staff"})
    assert filed.get_json()["label"] == "M-1"
    shared.act("senior", case, "settle_elsewhere", {"proof": "M-1"})
    for who in ("buyer", "seller"):
        assert "M-1" not in shared.get(who, f"/cases/{case}/docket").get_data(as_text=True)


def test_a_pending_decision_is_for_staff_alone(shared: Story) -> None:
    case = shared.at("pending", paid=60_000)
    for who in ("buyer", "seller", "platform", "admin"):
        assert items(shared, who, f"/cases/{case}/decisions") == []
        docket = shared.get(who, f"/cases/{case}/docket").get_data(as_text=True)
        assert "The goods were not sent in time." not in docket and "buyer_favour" not in docket
        seen = shared.get(who, f"/cases/{case}").get_json()
        assert seen["outcome"] is None and seen["remedy"] is None
    assert [one["status"] for one in items(shared, "mediator", f"/cases/{case}/decisions")] == ["pending"]
    shared.do("senior", case, "return_to_mediator", {"note": "Think again, my friend."})
    for who in ("buyer", "seller", "platform"):
        assert items(shared, who, f"/cases/{case}/decisions") == []
        assert "Think again" not in shared.get(who, f"/cases/{case}/docket").get_data(as_text=True)


def test_a_pending_decision_does_not_tell_the_parties_that_it_is_for_a_large_sum(shared: Story) -> None:
    case = shared.at("pending", paid=60_000)
    for who in ("buyer", "seller"):
        shown = shared.get(who, f"/cases/{case}").get_data(as_text=True)
        listed = shared.get(who, "/cases?queue=approvals").get_data(as_text=True)
        assert "amount_over_authority" not in shown and "approvals" not in shown
        assert case not in listed


# --- personal data -----------------------------------------------------------------------------------------------

#: People whose every id and name is their own, so that each can be searched for.
CAST = {
    "buyer": ("buyer", "login-of-ada", "party-b-77"),
    "seller": ("seller", "login-of-clerk", "party-s-88"),
    "mediator": ("mediator", "login-of-mia", None),
    "senior": ("senior", "login-of-sam", None),
    "supervisor": ("supervisor", "login-of-vera", None),
    "platform": ("platform", "login-of-machine", None),
}
BUYER_NAME, SELLER_NAME = "欧阳娜娜 Ada", "Qiu Kettles 有限公司"
#: Who took the parcel in at the buyer's door; and the colleague to whom the case was handed over.
SIGNED_BY, COLLEAGUE = "邻居 Neighbour Ding", "login-of-sue"


def cast(story: Story, who: str) -> dict[str, str]:
    role, subject, party = CAST[who]
    token = issue_token(story.services.settings, subject=subject, role=role, acts_for=party)
    return {"Authorization": f"Bearer {token}"}


def play(story: Story) -> tuple[str, dict[str, str]]:
    """A case with something of everything in it, up to the refund; its id, and everybody's headers."""
    heads = {who: cast(story, who) for who in CAST}

    def post(who: str, path: str, body: Any) -> Any:
        response = story.client.post(f"/v1{path}", json=body, headers=heads[who])
        assert response.status_code in (200, 201), response.get_data(as_text=True)
        return response.get_json()

    body = story.case_body(paid=60_000)
    body["buyer"] = {"id": "party-b-77", "name": BUYER_NAME, "locale": "zh-CN"}
    body["seller"] = {"id": "party-s-88", "name": SELLER_NAME, "locale": "zh-CN"}
    case = post("platform", "/cases", body)["id"]
    at = f"/cases/{case}"
    chat = {
        **CHAT,
        "messages": [
            {"sender": {"role": "buyer", "id": "b", "name": "B"}, "text": "发货了吗"},
            {"sender": {"role": "seller", "id": "s", "name": "S"}, "text": "明天发货"},
        ],
    }
    for who in CAST:
        post(who, f"{at}/messages", {"text": f"says the {who}"})
        post(who, f"{at}/exhibits", chat)
    post("platform", f"{at}/actions/notify_seller", {})
    post("seller", f"{at}/actions/offer", {"remedy": "partial_refund", "amount": money(5), "note": "half"})
    post("buyer", f"{at}/actions/offer", {"remedy": "refund", "amount": money(50_000), "note": "all"})
    post("seller", f"{at}/actions/decline_offer", {})
    post("buyer", f"{at}/actions/request_mediation", {})
    post("mediator", f"{at}/actions/take", {})
    post("mediator", f"{at}/actions/decide", decision(60_000))
    post("senior", f"{at}/actions/approve", {"note": "Well done."})
    post("seller", f"{at}/actions/appeal", {"grounds": "It was sent.", "exhibits": ["S-1"]})
    asked = {"from": "both", "items": [{"type": "tracking", "note": "the waybill, please"}]}
    post("supervisor", f"{at}/actions/request_evidence", asked)
    post("supervisor", f"{at}/actions/end_evidence_request", {})
    post("supervisor", f"{at}/actions/take", {})
    handed = {"to": COLLEAGUE, "category": "toys", "reason": "She knows kettles.", "consent": True}
    post("supervisor", f"{at}/actions/hand_over", handed)
    order_id = body["order"]["id"]
    delivered = {"status": "delivered", "at": "2026-11-05T08:00:00Z", "signed_by": SIGNED_BY}
    post("platform", f"/orders/{order_id}/tracking", {**PARCEL, "leg": "outbound", "scans": [delivered]})
    return case, heads


def bodies(story: Story, case: str, headers: dict[str, str]) -> dict[str, str]:
    """Every body that this caller can be given about the case, by path, and the Link headers with them."""
    found: dict[str, str] = {}

    def take(path: str) -> TestResponse:
        response = story.client.get(f"/v1{path}", headers=headers)
        found[path] = response.get_data(as_text=True) + str(response.headers)
        return response

    for listed in (
        "",
        "/docket",
        "/messages",
        "/exhibits",
        "/offers",
        "/decisions",
        "/refunds",
        "/deadlines",
        "/notices",
        "/evidence-requests",
    ):
        take(f"/cases/{case}{listed}?limit=100" if listed else f"/cases/{case}")
    take("/cases?limit=100")
    take("/keys")
    take(f"/orders/{story.client.get(f'/v1/cases/{case}', headers=headers).get_json()['order']['id']}")
    listing = story.client.get(f"/v1/cases/{case}/exhibits", headers=headers).get_json()["items"]
    for exhibit in listing:
        for part in ("", "/messages", "/content"):
            take(f"/exhibits/{exhibit['id']}{part}")
    return found


@pytest.mark.parametrize("reader", ["buyer", "seller"])
def test_no_body_given_to_a_party_holds_the_other_sides_name_or_login_or_any_staffs(shared: Story, reader: str) -> None:
    case, heads = play(shared)
    other = "seller" if reader == "buyer" else "buyer"
    secret = {CAST[who][1] for who in CAST if who != reader} | {SELLER_NAME if other == "seller" else BUYER_NAME}
    secret |= {COLLEAGUE} | ({SIGNED_BY} if reader == "seller" else set())
    shown = bodies(shared, case, heads[reader])
    assert len(shown) > 20
    for path, body in shown.items():
        assert not [word for word in secret if word in body], path
    own = SELLER_NAME if reader == "seller" else BUYER_NAME
    assert own in shown[f"/cases/{case}"] and CAST[reader][1] in shown[f"/cases/{case}/docket?limit=100"]


def test_staff_see_who_in_person_acted(shared: Story) -> None:
    """The counterpart, without which the search above could pass for having nothing to find."""
    case, heads = play(shared)
    shown = bodies(shared, case, heads["senior"])
    everything = "".join(shown.values())
    for _, subject, _ in CAST.values():
        assert subject in everything
    assert BUYER_NAME in everything and SELLER_NAME in everything
    assert SIGNED_BY in everything and COLLEAGUE in everything
    assert SIGNED_BY in "".join(bodies(shared, case, heads["buyer"]).values()), "the buyer's own door"


@pytest.mark.parametrize("reader", ["buyer", "seller"])
def test_refusals_tell_a_party_no_name_of_staff_either(shared: Story, reader: str) -> None:
    case, heads = play(shared)
    staff = {subject for role, subject, _ in CAST.values() if role not in ("buyer", "seller")} | {COLLEAGUE}
    for action in BY:
        response = shared.client.post(f"/v1/cases/{case}/actions/{action}", json={}, headers=heads[reader])
        shown = response.get_data(as_text=True)
        assert not [who for who in staff if who in shown], action


def test_a_name_of_one_character_is_masked_as_well(shared: Story) -> None:
    body = shared.case_body()
    body["buyer"]["name"] = "禤"
    case = shared.post("platform", "/cases", body).get_json()["id"]
    assert "禤" not in shared.get("seller", f"/cases/{case}").get_data(as_text=True)


# --- acting for a party ------------------------------------------------------------------------------------------


def with_token(story: Story, path: str, *, method: str = "GET", **claims: Any) -> TestResponse:
    token = issue_token(story.services.settings, **claims)
    body = {} if method == "POST" else None
    return story.client.open(f"/v1{path}", method=method, headers={"Authorization": f"Bearer {token}"}, json=body)


def test_all_staff_of_a_shop_act_for_the_shop_and_nobody_elses_staff_do(shared: Story) -> None:
    case = shared.at("seller_notified")
    for subject in ("clerk-9", "clerk-10", "shop-17"):
        assert (
            with_token(shared, f"/cases/{case}", subject=subject, role="seller", acts_for="shop-17").status_code == 200
        )
    # A clerk's own id is no party, and a subject that reads like the shop's does not help who acts for another.
    for subject, acts_for in (("clerk-9", None), ("shop-17", "shop-99"), ("shop-17", "SHOP-17"), ("x", "shop-17 ")):
        found = with_token(shared, f"/cases/{case}", subject=subject, role="seller", acts_for=acts_for)
        assert found.status_code == 404, (subject, acts_for)
    agreed = with_token(
        shared, f"/cases/{case}/actions/agree", method="POST", subject="clerk-10", role="seller", acts_for="shop-17"
    )
    assert agreed.status_code == 200


def test_a_seller_who_is_named_like_the_buyer_is_not_the_buyer(shared: Story) -> None:
    case = shared.open()
    assert with_token(shared, f"/cases/{case}", subject="buyer-1", role="seller").status_code == 404
    assert with_token(shared, f"/cases/{case}", subject="shop-17", role="buyer").status_code == 404


def test_staff_cannot_act_in_another_ones_name_by_acting_for_them(shared: Story) -> None:
    """Nobody hears an appeal against what they decided, whoever their token says they act for."""
    case = shared.at("pending", paid=60_000)
    refused = with_token(
        shared, f"/cases/{case}/actions/approve", method="POST", subject="mia", role="senior", acts_for="sam"
    )
    assert code(refused) == (403, "own_decision")
    under_review = shared.at("under_review")
    with_token(
        shared, f"/cases/{under_review}/actions/take", method="POST", subject="max", role="mediator", acts_for="mia"
    )
    assert shared.get("mediator", f"/cases/{under_review}").get_json()["assignee"] == "max"


def test_the_body_and_other_headers_do_not_change_who_asks(shared: Story) -> None:
    case = shared.at("under_review")
    forged = {
        "X-Role": "mediator",
        "X-User": "mia",
        "X-Forwarded-User": "mia",
        "Cookie": f"token={shared.token('mediator')}",
    }
    assert shared.act("buyer", case, "take", {}, **forged).status_code == 403
    for query in (f"access_token={shared.token('mediator')}", "role=mediator"):
        assert shared.post("buyer", f"/cases/{case}/actions/take?{query}", {}).status_code == 403
    without = shared.client.post(f"/v1/cases/{case}/actions/take", json={}, headers=forged)
    assert without.status_code == 401
    spoken_for = shared.post("buyer", f"/cases/{case}/messages", {"text": "x", "author": {"role": "mediator"}})
    assert spoken_for.status_code == 422


@pytest.mark.parametrize("role", ["clock", "gateway", "system", "root", "", "Mediator", "staff"])
def test_no_token_is_issued_for_a_role_that_no_token_has(shared: Story, role: str) -> None:
    with pytest.raises(ValueError, match="role"):
        issue_token(shared.services.settings, subject="x", role=role)


@pytest.mark.parametrize("who", sorted(set(PEOPLE) - {"other_buyer", "other_seller"}))
def test_every_action_offered_names_an_address_that_lets_the_caller_in(shared: Story, who: str) -> None:
    for state in WAYS:
        case = shared.at(state, paid=60_000 if state == "pending" else 12_900)
        for action in shared.get(who, f"/cases/{case}").get_json()["actions"]:
            # With a body that cannot be: the door is open, nothing happens.
            response = shared.client.post(action["href"], json={"surprise": 1}, headers=shared.headers(who))
            assert response.status_code == 422, (state, action["name"])
