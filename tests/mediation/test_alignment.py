"""Two sides' copies of one conversation over the API: who may compare them, what is told, what decisions cite of it."""

from __future__ import annotations

import json
import threading
import time
import uuid
from typing import Any

import pytest

from evidence.commitments import opens
from mediation import docket
from mediation.operations import alignments, findings
from tests.mediation.story import CHAT, Story, decision
from tests.mediation.test_exhibits import image, upload
from workflows.acts import Actor
from workflows.states import Role

BUYERS = ("发货了吗", "亲，明天下午发货的", "我的电话是一三八", "谢谢")
SELLERS = ("发货了吗", "亲，后天上午发货的", "我的电话是一三八", "还有什么问题吗")


def chat(*texts: str, **more: Any) -> dict[str, Any]:
    """A chat log, buyer and seller in turn, a message every two minutes."""
    people = CHAT["messages"]
    said = [
        {"sender": people[n % 2]["sender"], "sent_at": f"2026-11-05T10:{2 * n:02}:00", "text": text}  # type: ignore[index]
        for n, text in enumerate(texts)
    ]
    return {"kind": "chat_log", "timezone": "Asia/Shanghai", "messages": said, **more}


def file(story: Story, who: str, case: str, *texts: str, **more: Any) -> dict[str, Any]:
    response = story.post(who, f"/cases/{case}/exhibits", chat(*texts, **more))
    assert response.status_code == 201, response.get_data(as_text=True)
    answer: dict[str, Any] = response.get_json()
    return answer


@pytest.fixture
def case(shared: Story) -> str:
    """A case under review in which each side filed its copy."""
    made = shared.at("under_review")
    file(shared, "buyer", made, *BUYERS)
    file(shared, "seller", made, *SELLERS)
    return made


def ask(
    story: Story, case: str, who: str = "mediator", *, left: str = "B-1", right: str = "S-1", more: str = ""
) -> Any:
    return story.get(who, f"/cases/{case}/alignment?left={left}&right={right}{more}")


def told(story: Story, case: str, **more: Any) -> dict[str, Any]:
    response = ask(story, case, **more)
    assert response.status_code == 200, response.get_data(as_text=True)
    answer: dict[str, Any] = response.get_json()
    return answer


def positions(answer: dict[str, Any]) -> list[tuple[str, int | None, int | None]]:
    return [(one["kind"], one["left_seq"], one["right_seq"]) for one in answer["differences"]]


# --- what is told ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["platform", "buyer", "seller", "mediator", "senior", "supervisor", "admin"])
def test_whoever_sees_both_exhibits_is_told_what_differs_with_the_texts(shared: Story, case: str, who: str) -> None:
    answer = told(shared, case, who=who)
    assert (answer["left"], answer["right"], answer["next_cursor"]) == ("B-1", "S-1", None)
    edit, *alone = answer["differences"]
    assert edit == {
        "n": 1,
        "kind": "edited",
        "left_seq": 2,
        "right_seq": 2,
        "left_text": BUYERS[1],
        "right_text": SELLERS[1],
        "left_span": {"start": 2, "length": 3},
        "right_span": {"start": 2, "length": 3},
        "similarity": edit["similarity"],
    }
    assert 0.5 < edit["similarity"] < 1
    assert sorted((one["kind"], one["left_text"] or one["right_text"]) for one in alone) == [
        ("missing", BUYERS[3]),
        ("missing", SELLERS[3]),
    ]
    counts = {name: count for name, count in answer["counts"].items() if count}
    assert counts == {"matched": 3, "left_only": 1, "right_only": 1, "edited": 1, "missing": 2}


def test_the_other_way_round_the_same_is_told_mirrored(shared: Story, case: str) -> None:
    here, there = told(shared, case), told(shared, case, left="S-1", right="B-1")
    turned = {"left": "right", "right": "left"}
    mirrored = [
        {"_".join(turned.get(part, part) for part in name.split("_")): value for name, value in one.items()}
        for one in there["differences"]
    ]
    assert mirrored == here["differences"]


def test_identical_copies_differ_in_nothing_and_a_look_at_nothing_is_no_view(shared: Story) -> None:
    case = shared.at("under_review")
    exhibit = file(shared, "buyer", case, *BUYERS)
    file(shared, "seller", case, *BUYERS)
    answer = told(shared, case)
    assert answer["differences"] == []
    assert answer["counts"]["matched"] == 4
    custody = shared.get("senior", f"/exhibits/{exhibit['id']}/custody").get_json()["items"]
    assert [one["act"] for one in custody] == ["filed"]


def test_the_differences_come_in_pages(shared: Story) -> None:
    case = shared.at("under_review")
    file(shared, "buyer", case, *(f"message {n}" for n in range(25)))
    file(shared, "seller", case, *(f"message {n}" if n % 2 else f"message {n}!" for n in range(25)))
    whole = told(shared, case, more="&limit=100")["differences"]
    assert [one["n"] for one in whole] == list(range(1, 14))
    pages: list[dict[str, Any]] = []
    cursor = ""
    while True:
        response = ask(shared, case, more=f"&limit=5{cursor}")
        page = response.get_json()
        pages += page["differences"]
        assert page["counts"]["edited"] == 13
        if page["next_cursor"] is None:
            assert "Link" not in response.headers
            break
        assert f"cursor={page['next_cursor']}" in response.headers["Link"]
        assert "left=B-1&right=S-1" in response.headers["Link"]
        cursor = f"&cursor={page['next_cursor']}"
    assert pages == whole


def test_whoever_compares_is_on_record_for_both_exhibits(shared: Story) -> None:
    case = shared.at("under_review")
    filed = [file(shared, "buyer", case, *BUYERS), file(shared, "seller", case, *SELLERS)]
    shown = len(told(shared, case)["differences"])
    for exhibit in filed:
        last = shared.get("senior", f"/exhibits/{exhibit['id']}/custody").get_json()["items"][-1]
        assert (last["act"], last["opening"]["value"]["actor"]["subject"]) == ("viewed", "mia")
        assert last["opening"]["value"]["what"] == {"alignment": ["B-1", "S-1"], "differences": [1, shown]}


def test_neither_does_it_wait_for_the_case_nor_change_it(shared: Story, case: str) -> None:
    before = shared.get("mediator", f"/cases/{case}").get_json()["version"]
    answered: list[int] = []
    client = shared.app.test_client()
    headers, path = shared.headers("buyer"), f"/v1/cases/{case}/alignment?left=B-1&right=S-1"
    with shared.services.sessions.begin() as session:
        docket.lock(session, uuid.UUID(case), Actor(Role.MEDIATOR, "mia", "mia", "demo"))
        reader = threading.Thread(target=lambda: answered.append(client.get(path, headers=headers).status_code))
        reader.start()
        reader.join(4)
        assert answered == [200]
    assert shared.get("mediator", f"/cases/{case}").get_json()["version"] == before


def test_long_logs_filed_a_moment_ago_are_compared_in_seconds(shared: Story) -> None:
    """The database has no statistics of them yet, and must not look for each message among all."""
    case = shared.at("under_review")
    said = [{"sender": {"role": "buyer", "id": "b"}, "text": f"message {n}"} for n in range(12_000)]
    for who, messages in (("buyer", said), ("seller", said[:-1])):
        body = {"kind": "chat_log", "timezone": "UTC", "messages": messages}
        assert shared.post(who, f"/cases/{case}/exhibits", body).status_code == 201
    began = time.monotonic()
    assert positions(told(shared, case)) == [("missing", 12_000, None)]
    assert time.monotonic() - began < 8


def test_what_was_redacted_is_told_as_erased_and_without_its_words(shared: Story) -> None:
    case = shared.at("under_review")
    exhibit = file(shared, "buyer", case, *BUYERS)
    file(shared, "seller", case, *BUYERS)
    body = {"reason": "personal_data", "seqs": [3]}
    response = shared.post("mediator", f"/exhibits/{exhibit['id']}/redactions", body)
    assert response.status_code in (200, 201), response.get_data(as_text=True)
    answer = told(shared, case)
    # The same words went in both copies.
    assert positions(answer) == [("erased", 3, 3)]
    assert (answer["differences"][0]["left_text"], answer["differences"][0]["right_text"]) == (None, None)
    assert BUYERS[2] not in json.dumps(answer, ensure_ascii=False)


def test_one_side_erased_is_told_with_the_words_of_the_other(shared: Story) -> None:
    case = shared.at("under_review")
    exhibit = file(shared, "buyer", case, *BUYERS)
    file(shared, "seller", case, *SELLERS)
    response = shared.post(
        "mediator", f"/exhibits/{exhibit['id']}/redactions", {"reason": "personal_data", "seqs": [2]}
    )
    assert response.status_code in (200, 201), response.get_data(as_text=True)
    first = told(shared, case)["differences"][0]
    assert (first["kind"], first["left_seq"], first["right_seq"]) == ("erased", 2, 2)
    assert (first["left_text"], first["right_text"]) == (None, SELLERS[1])


# --- who may not, and what cannot be compared ------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["other_buyer", "other_seller"])
def test_other_peoples_cases_are_not_there(shared: Story, case: str, who: str) -> None:
    for path in ("left=B-1&right=S-1", "left=B-1&right=B-1", "left=nothing"):
        assert shared.get(who, f"/cases/{case}/alignment?{path}").status_code == 404


def test_for_a_party_an_exhibit_for_staff_is_as_little_there_as_none(shared: Story, case: str) -> None:
    file(shared, "mediator", case, *BUYERS, visibility="staff")
    hidden, absent = (ask(shared, case, right=label, who="buyer") for label in ("M-1", "M-2"))
    assert (hidden.status_code, absent.status_code) == (404, 404)
    assert {**hidden.get_json(), "request_id": 0} == {**absent.get_json(), "request_id": 0}
    assert ask(shared, case, left="M-1", who="seller").status_code == 404
    assert positions(told(shared, case, right="M-1")) == []


def test_an_exhibit_of_another_case_is_not_there(shared: Story, case: str) -> None:
    other = shared.at("under_review")
    file(shared, "buyer", other, *BUYERS)
    assert ask(shared, other).status_code == 404


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("left=B-1&right=B-1", "right"),
        ("left=B-1", "right"),
        ("right=B-1", "left"),
        ("left=b-1&right=S-1", "left"),
        ("left=B-01&right=S-1", "left"),
        ("left=B-1&right=", "right"),
        ("left=B-1&right=%00", "right"),
        ("left=B-1&right=S-1&left=B-2", "left"),
        ("left=B-1&right=S-1&gap=1", "gap"),
        ("left=B-1&right=S-1&limit=101", "limit"),
        ("left=B-1&right=S-1&cursor=x", "cursor"),
        ("left=B-2&right=S-1", "left"),
        ("left=S-1&right=B-2", "right"),
    ],
)
def test_what_cannot_be_compared_is_refused_by_name(shared: Story, case: str, query: str, field: str) -> None:
    upload(shared, "buyer", case, image())
    response = shared.get("buyer", f"/cases/{case}/alignment?{query}")
    assert response.status_code == 422, response.get_data(as_text=True)
    assert list(response.get_json()["errors"]) == [field]


# --- what decisions cite ---------------------------------------------------------------------------------------------


def citing(*differences: Any) -> dict[str, Any]:
    finding = {
        "issue": "Whose copy is true?",
        "burden": "seller",
        "finding": "proven",
        "differences": list(differences),
    }
    return decision(900, findings=[finding])


def edited(**more: Any) -> dict[str, Any]:
    return {"left": "B-1", "right": "S-1", "kind": "edited", "left_seq": 2, "right_seq": 2, **more}


def kept(story: Story, case: str) -> dict[str, Any]:
    """The finding as it stands in the docket; its commitment must open."""
    entries = story.get("mediator", f"/cases/{case}/docket?limit=100").get_json()["items"]
    [decided] = [one for one in entries if one["type"] == "decide"]
    [opening] = [one for one in decided["openings"] if one["name"] == "findings"]
    assert opens(bytes.fromhex(opening["commitment"]), bytes.fromhex(opening["salt"]), opening["value"])
    [finding] = opening["value"]["findings"]
    found: dict[str, Any] = finding
    return found


def shown(story: Story, case: str, who: str = "seller") -> dict[str, Any]:
    [one] = story.get(who, f"/cases/{case}/decisions").get_json()["items"]
    [finding] = one["findings"]
    found: dict[str, Any] = finding
    return found


def test_a_difference_that_stands_is_kept_as_positions_and_shown_with_the_texts(shared: Story, case: str) -> None:
    turned = {"left": "S-1", "right": "B-1", "kind": "edited", "left_seq": 2, "right_seq": 2}
    shared.do("mediator", case, "decide", citing(edited(), turned))
    spans = {"left_span": {"start": 2, "length": 3}, "right_span": {"start": 2, "length": 3}}
    assert kept(shared, case)["differences"] == [edited(**spans), {**turned, **spans}]
    assert shown(shared, case)["differences"] == [
        edited(**spans, left_text=BUYERS[1], right_text=SELLERS[1]),
        {**turned, **spans, "left_text": SELLERS[1], "right_text": BUYERS[1]},
    ]


def test_what_one_side_lacks_is_cited_by_the_number_of_the_other_alone(shared: Story) -> None:
    case = shared.at("under_review")
    file(shared, "buyer", case, *BUYERS)
    file(shared, "seller", case, *BUYERS[:2])
    shared.do("mediator", case, "decide", citing(edited(kind="missing", left_seq=4, right_seq=None)))
    [difference] = shown(shared, case)["differences"]
    assert (difference["left_text"], difference["right_text"]) == (BUYERS[3], None)


@pytest.mark.parametrize("query", ["", "?dry_run=true"], ids=["decided", "rehearsed"])
@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"left_seq": 1, "right_seq": 1}, ""),
        ({"kind": "missing"}, ""),
        ({"kind": "clock_shift", "left_seq": None, "right_seq": None}, ""),
        ({"left_seq": 9_999}, ""),
        ({"left_seq": None}, ""),
        ({"right": "S-9"}, ".right"),
        ({"left": "b-1"}, ".left"),
        ({"right": "M-1"}, ".right"),
        ({"right": "B-2"}, ".right"),
        ({"right": "B-1"}, ".right"),
        ({"kind": "forged"}, ".kind"),
        ({"left_seq": 0}, ".left_seq"),
        ({"right_seq": "2"}, ".right_seq"),
        ({"text": "发货了吗"}, ".text"),
    ],
)
def test_a_difference_that_does_not_stand_is_refused_by_its_place(
    shared: Story, case: str, wrong: dict[str, Any], field: str, query: str
) -> None:
    file(shared, "mediator", case, *BUYERS, visibility="staff")
    upload(shared, "buyer", case, image())
    before = shared.get("mediator", f"/cases/{case}").get_json()["version"]
    response = shared.post("mediator", f"/cases/{case}/actions/decide{query}", citing(edited(), edited(**wrong)))
    assert response.status_code == 422, response.get_data(as_text=True)
    assert list(response.get_json()["errors"]) == [f"findings.0.differences.1{field}"]
    after = shared.get("mediator", f"/cases/{case}").get_json()
    assert (after["version"], after["state"]) == (before, "under_review")


def test_a_rehearsed_decision_may_cite_what_stands(shared: Story, case: str) -> None:
    response = shared.post("mediator", f"/cases/{case}/actions/decide?dry_run=true", citing(edited()))
    assert response.status_code == 200
    assert shared.state(case) == "under_review"


def test_a_difference_is_looked_for_as_the_exhibits_are_now(shared: Story) -> None:
    case = shared.at("under_review")
    exhibit = file(shared, "buyer", case, *BUYERS)
    file(shared, "seller", case, *SELLERS)
    path = f"/exhibits/{exhibit['id']}/redactions"
    shared.post("mediator", path, {"reason": "personal_data", "seqs": [2]})
    response = shared.act("mediator", case, "decide", citing(edited()))
    assert list(response.get_json()["errors"]) == ["findings.0.differences.0"]
    shared.do("mediator", case, "decide", citing(edited(kind="erased")))
    assert shown(shared, case)["differences"][0]["left_text"] is None


def test_more_than_is_compared_at_once_is_refused(shared: Story, case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alignments, "MAX_COMPARED", 7)
    response = shared.act("mediator", case, "decide", citing(edited()))
    assert (response.status_code, list(response.get_json()["errors"])) == (422, ["findings"])
    monkeypatch.setattr(alignments, "MAX_COMPARED", 8)
    monkeypatch.setattr(alignments, "MAX_CITED", 1)
    response = shared.act("mediator", case, "decide", citing(edited(), edited()))
    assert (response.status_code, list(response.get_json()["errors"])) == (422, ["findings"])
    shared.do("mediator", case, "decide", citing(edited()))


def test_findings_kept_before_differences_could_be_cited_are_still_read(
    shared: Story, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = findings.checked

    def as_before(*given: Any) -> list[dict[str, Any]]:
        return [{name: part for name, part in one.items() if name != "differences"} for one in checked(*given)]

    monkeypatch.setattr(findings, "checked", as_before)
    shared.do("mediator", case, "decide", citing())
    assert "differences" not in kept(shared, case)
    assert shown(shared, case)["differences"] == []
