"""The logs: structured, each line with its request's id, and not one word of what people said or are called."""

from __future__ import annotations

import io
import json
import logging
import sys
import uuid
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import structlog
from sqlalchemy import text as sql

from mediation import logs, paying
from mediation.auth import issue_token
from mediation.gateways import Fate, Reply
from mediation.models import Refund
from mediation.operations import messages, orders
from tests.mediation.story import Story, decision, money

#: One word for each place into which a person writes; each is searched for in every line.
SECRETS = {
    "buyer's name": "Quokkabuyer",
    "seller's name": "Wombatseller",
    "buyer's id": "party-numbat",
    "seller's id": "party-bilby",
    "buyer's login": "login-dunnart",
    "staff's login": "login-quoll",
    "order": "order-kowari",
    "statement": "bandicootstatement",
    "title of a line": "potoroo-kettle",
    "received by": "bettongdoor",
    "refusal": "wallabyrefuses",
    "note of an offer": "pademelonnote",
    "message": "thylacinemessage",
    "internal note": "echidnanote",
    "chat": "platypuschat",
    "sender": "kookaburrasender",
    "title of an exhibit": "cassowarytitle",
    "file name": "emufile",
    "content of a file": "lyrebirdcontent",
    "finding": "cockatoofinding",
    "reasons": "galahreasons",
    "grounds": "budgerigargrounds",
    "unknown field": "corellafield",
    "quote": "magpiequote",
    "path": "currawongpath",
    "query": "brolgaquery",
    "key": "jabirukey",
    "header": "ibisheader",
    "gateway": "pelicangateway",
}


class Lines(io.StringIO):
    """What was logged."""

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.getvalue().splitlines()]

    def of(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"] == event]


@pytest.fixture
def story(shared: Story) -> Story:
    """All tests here look at their own lines and share a database."""
    return shared


@pytest.fixture
def logged(shared: Story, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lines]:
    """The log of a process that says everything it ever says, as its configuration writes it."""
    written, root = Lines(), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    monkeypatch.setattr(sys, "stderr", written)
    logs.configure(replace(shared.services.settings, log_level="debug", log_format="json"))
    # What a test's loggers are bound to must not outlive it.
    structlog.configure(cache_logger_on_first_use=False)
    yield written
    structlog.reset_defaults()
    root.handlers[:], root.level = handlers, level


def head(story: Story, who: str, **more: str) -> dict[str, str]:
    role, subject, acts_for = {
        "platform": ("platform", "machine", None),
        "buyer": ("buyer", SECRETS["buyer's login"], SECRETS["buyer's id"]),
        "seller": ("seller", "clerk", SECRETS["seller's id"]),
        "mediator": ("mediator", SECRETS["staff's login"], None),
        "senior": ("senior", "sam", None),
    }[who]
    token = issue_token(story.services.settings, subject=subject, role=role, acts_for=acts_for)
    return {"Authorization": f"Bearer {token}", **more}


def post(story: Story, who: str, path: str, body: Any, **more: str) -> Any:
    return story.client.post(f"/v1{path}", json=body, headers=head(story, who, **more))


def opening(story: Story) -> dict[str, Any]:
    body: dict[str, Any] = story.case_body(order_id=f"{SECRETS['order']}-{uuid.uuid4()}")
    body["buyer"] = {"id": SECRETS["buyer's id"], "name": SECRETS["buyer's name"]}
    body["seller"] = {"id": SECRETS["seller's id"], "name": SECRETS["seller's name"]}
    body["claims"][0]["statement"] = SECRETS["statement"]
    body["order"]["lines"][0]["title"] = SECRETS["title of a line"]
    body["order"]["delivered_to"] = SECRETS["received by"]
    return body


CHAT = {
    "kind": "chat_log",
    "timezone": "UTC",
    "title": SECRETS["title of an exhibit"],
    "messages": [{"sender": {"role": "seller", "name": SECRETS["sender"]}, "text": SECRETS["chat"]}],
}


def play(story: Story) -> str:
    """A whole dispute in which everybody says something, in the end paid; its id."""
    case = str(post(story, "platform", "/cases", opening(story)).get_json()["id"])
    at = f"/cases/{case}"
    finding = {
        "issue": SECRETS["finding"],
        "burden": "seller",
        "finding": "proven",
        "relied_on": [{"exhibit": "S-1", "quotes": [{"seq": 1, "text": SECRETS["chat"]}]}],
    }
    steps: list[tuple[str, str, Any]] = [
        ("platform", "actions/notify_seller", {}),
        ("buyer", "messages", {"text": SECRETS["message"]}),
        ("mediator", "messages", {"text": SECRETS["internal note"], "visibility": "staff"}),
        ("seller", "exhibits", CHAT),
        ("seller", "actions/offer", {"remedy": "refund", "amount": money(5), "note": SECRETS["note of an offer"]}),
        ("buyer", "actions/decline_offer", {}),
        ("buyer", "actions/request_mediation", {}),
        ("mediator", "actions/decide", decision(findings=[finding], reasons=SECRETS["reasons"])),
        ("seller", "actions/appeal", {"grounds": SECRETS["grounds"]}),
        ("senior", "actions/decide", {"upholds": True, "reasons": SECRETS["reasons"]}),
    ]
    for who, path, body in steps:
        response = post(story, who, f"{at}/{path}", body)
        assert response.status_code in (200, 201), response.get_data(as_text=True)
    upload = story.client.post(
        f"/v1{at}/exhibits",
        data={"meta": '{"kind": "photo"}', "file": (io.BytesIO(SECRETS["content of a file"].encode()), "emufile.txt")},
        headers=head(story, "buyer"),
    )
    assert upload.status_code == 201
    for listed in ("", "/docket", "/messages", "/exhibits", "/offers", "/decisions", "/refunds"):
        assert story.client.get(f"/v1{at}{listed}", headers=head(story, "buyer")).status_code == 200
    story.pay()
    return case


def require_clean(logged: Lines) -> None:
    """No word of anybody's in any line, and an id of the request in each that a request caused."""
    whole = logged.getvalue()
    found = [what for what, word in SECRETS.items() if word.casefold() in whole.casefold()]
    assert not found, found
    assert "eyJ" not in whole, "a token"
    for line in logged.lines:
        assert line["level"] and line["timestamp"] and line["logger"]
        if line["logger"] == "mediation.api":
            assert line["request_id"]


def test_a_whole_dispute_leaves_no_word_of_anybody_in_the_logs(story: Story, logged: Lines) -> None:
    case = play(story)
    assert story.state(case) == "refunded"
    requests = logged.of("request")
    assert len(requests) >= 18
    assert len(logged.of("refund_tried")) == 1
    for line in requests:
        assert line.keys() >= {"method", "route", "status", "milliseconds", "request_id"}
        # An address with an id in it could name a person: what is logged is the rule.
        assert line["route"].startswith("/v1/") and case not in line["route"]
    require_clean(logged)


def test_each_line_bears_the_id_that_the_answer_bears(story: Story, logged: Lines) -> None:
    given = "trace-0123456789"
    answers = [
        story.client.get("/v1/cases", headers=head(story, "buyer", **{"X-Request-Id": given})),
        story.client.get("/v1/cases", headers=head(story, "buyer")),
        story.client.get("/v1/cases"),
        story.client.get("/nowhere"),
        story.client.get("/healthz"),
    ]
    ids = [answer.headers["X-Request-Id"] for answer in answers]
    assert ids[0] == given and len(set(ids)) == len(ids)
    assert [line["request_id"] for line in logged.of("request")] == ids
    assert [line["status"] for line in logged.of("request")] == [answer.status_code for answer in answers]


@pytest.mark.parametrize(
    "given", ["short", "x" * 65, "a b c d e f g", "Ada Lovelace!", "новый-запрос", "a\tb\tc\td\te"]
)
def test_an_id_that_could_be_anything_is_replaced_by_one_of_ours(story: Story, logged: Lines, given: str) -> None:
    headers = {"X-Request-Id": given.encode().decode("latin-1")}
    answer = story.client.get("/healthz", headers=headers)
    assert uuid.UUID(answer.headers["X-Request-Id"])
    assert given not in logged.getvalue()


def test_refusals_of_every_kind_repeat_nothing_in_the_logs(story: Story, logged: Lines) -> None:
    first = opening(story)
    case = str(post(story, "platform", "/cases", first).get_json()["id"])
    at = f"/cases/{case}"
    word, deep = SECRETS["unknown field"], b'{"text": "' + SECRETS["message"].encode()
    story.client.post(
        f"/v1{at}/messages", data=deep, headers=head(story, "buyer", **{"Content-Type": "application/json"})
    )
    for who, path, body in [
        ("buyer", f"{at}/messages", {word: word, "text": 5}),
        ("buyer", f"{at}/messages", {"text": SECRETS["message"] + "\x00"}),
        ("platform", "/cases", first),
        ("platform", "/cases", {**first, "claims": []}),
        ("platform", "/cases", {**opening(story), "buyer": {"id": "another", "name": SECRETS["buyer's name"]}}),
        ("buyer", "/cases", opening(story)),
        ("mediator", "/interests", {"side": "seller", "party": SECRETS["buyer's name"]}),
        ("mediator", "/interests", {"side": "seller", "party": SECRETS["buyer's name"]}),
        ("buyer", f"{at}/exhibits", {**CHAT, "timezone": SECRETS["title of an exhibit"]}),
        ("buyer", f"{at}/exhibits", {**CHAT, "messages": [{"text": SECRETS["chat"], word: 1}]}),
        ("buyer", f"{at}/actions/agree", {}),
        ("seller", f"{at}/actions/agree", {}),
        ("buyer", f"/cases/{SECRETS['path']}/messages", {}),
        ("buyer", f"/{SECRETS['path']}", {}),
    ]:
        post(story, who, path, body, **{"Idempotency-Key": f"{SECRETS['key']}-{uuid.uuid4()}", "If-Match": "*"})
    story.client.get(f"/v1/orders/{SECRETS['order']}", headers=head(story, "buyer"))
    story.client.get(f"/v1/cases?q={SECRETS['query']}&{SECRETS['query']}=1", headers=head(story, "buyer"))
    story.client.get(
        "/v1/cases", headers={"Authorization": f"Bearer {SECRETS['key']}", "User-Agent": SECRETS["header"]}
    )
    story.client.get("/v1/cases", headers={"Cookie": SECRETS["header"], "Referer": SECRETS["header"]})
    story.client.post("/v1/gateway/callbacks", data=SECRETS["gateway"], headers={"webhook-id": SECRETS["gateway"]})
    statuses = {line["status"] for line in logged.of("request")}
    assert {201, 400, 401, 403, 404, 409, 422} <= statuses
    assert not logged.of("unexpected_error")
    require_clean(logged)


def test_a_quote_that_does_not_stand_tells_the_real_text_to_the_mediator_and_to_no_log(
    story: Story, logged: Lines
) -> None:
    case = str(post(story, "platform", "/cases", opening(story)).get_json()["id"])
    for who, path, body in [
        ("platform", "actions/notify_seller", {}),
        ("seller", "exhibits", CHAT),
        ("seller", "actions/refuse", {"reason": "other", "statement": SECRETS["refusal"]}),
        ("buyer", "actions/request_mediation", {}),
    ]:
        assert post(story, who, f"/cases/{case}/{path}", body).status_code in (200, 201)
    quotes = [{"seq": 1, "text": SECRETS["quote"]}]
    finding = {
        "issue": "i",
        "burden": "seller",
        "finding": "proven",
        "relied_on": [{"exhibit": "S-1", "quotes": quotes}],
    }
    refused = post(story, "mediator", f"/cases/{case}/actions/decide", decision(findings=[finding]))
    assert refused.get_json()["real_text"] == SECRETS["chat"]
    require_clean(logged)


# --- errors that nobody expected ---------------------------------------------------------------------------------


def test_an_unexpected_error_is_logged_by_its_kind_and_place_alone(
    story: Story, logged: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = str(post(story, "platform", "/cases", opening(story)).get_json()["id"])

    def fails(*args: Any, **kwargs: Any) -> None:
        try:
            raise KeyError(SECRETS["buyer's name"])
        except KeyError as error:
            raise RuntimeError(f"cannot post {SECRETS['message']}") from error

    monkeypatch.setattr(messages, "post", fails)
    answer = post(story, "buyer", f"/cases/{case}/messages", {"text": SECRETS["message"]})
    assert answer.status_code == 500
    assert not [word for word in SECRETS.values() if word in answer.get_data(as_text=True)]
    (line,) = logged.of("unexpected_error")
    assert line["error"] == "RuntimeError" and line["level"] == "error"
    assert line["request_id"] == answer.headers["X-Request-Id"]
    assert any("fails" in frame for frame in line["where"])
    require_clean(logged)


def test_a_broken_constraint_is_logged_by_its_name_without_the_row(
    story: Story, logged: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL's DETAIL says "Failing row contains (...)", which is all that somebody said."""
    case = str(post(story, "platform", "/cases", opening(story)).get_json()["id"])
    statements = {
        "ck_parties_side": "UPDATE parties SET side = 'king'",
        "uq_parties_marketplace_side_external_id": "INSERT INTO parties SELECT gen_random_uuid(), marketplace, side, "
        "external_id, name, locale FROM parties",
        "fk_orders_buyer_id_parties": "UPDATE orders SET buyer_id = gen_random_uuid()",
    }
    for constraint, statement in statements.items():

        def breaks(session: Any, *args: Any, statement: str = statement) -> None:
            session.execute(sql(statement))

        monkeypatch.setattr(messages, "post", breaks)
        answer = post(story, "buyer", f"/cases/{case}/messages", {"text": SECRETS["message"]})
        assert answer.status_code == 500
        assert not [word for word in SECRETS.values() if word in answer.get_data(as_text=True)]
        line = logged.of("unexpected_error")[-1]
        assert (line["constraint"], line["error"]) == (constraint, "IntegrityError")
    require_clean(logged)


def test_a_statement_that_cannot_run_is_logged_without_its_parameters(
    story: Story, logged: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = str(post(story, "platform", "/cases", opening(story)).get_json()["id"])

    def breaks(session: Any, *args: Any) -> None:
        session.execute(sql("SELECT CAST(:word AS bigint)"), {"word": SECRETS["message"]})

    monkeypatch.setattr(messages, "post", breaks)
    assert post(story, "buyer", f"/cases/{case}/messages", {"text": "x"}).status_code == 500
    (line,) = logged.of("unexpected_error")
    assert line["sqlstate"] == "22P02"
    require_clean(logged)


def test_an_error_while_answering_an_error_is_clean_too(
    story: Story, logged: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*args: Any, **kwargs: Any) -> None:
        raise ValueError(SECRETS["order"])

    monkeypatch.setattr(orders, "find", fails)
    answer = story.client.get(f"/v1/orders/{SECRETS['order']}", headers=head(story, "buyer"))
    assert answer.status_code == 500
    assert len(logged.of("unexpected_error")) == 1
    require_clean(logged)


# --- paying ------------------------------------------------------------------------------------------------------


class TalkativeGateway:
    """A gateway whose reasons name people."""

    name = "talkative"

    def __init__(self, fate: Fate) -> None:
        self._fate = fate

    def pay(self, sessions: Any, refund: Refund, now: Any) -> Reply:
        word = SECRETS["gateway"]
        return Reply(self._fate, reference=f"account of {word}", why=f"the account of {word} is closed")

    def close(self) -> None:
        """Nothing is held."""


@pytest.mark.parametrize("fate", [Fate.FAILED, Fate.SETTLED, Fate.UNKNOWN])
def test_what_a_gateway_says_of_people_is_not_logged(story: Story, logged: Lines, fate: Fate) -> None:
    case = story.at("refund")
    refund = uuid.UUID(story.get("senior", f"/cases/{case}/refunds").get_json()["items"][0]["id"])
    paying.pay(story.services, TalkativeGateway(fate), refund)
    (line,) = logged.of("refund_tried")
    assert line["fate"] == fate and line["refund"] == str(refund)
    require_clean(logged)


def test_the_search_for_words_would_find_one(logged: Lines) -> None:
    structlog.get_logger("mediation.api").info("planted", request_id="x" * 8, said=SECRETS["message"].upper())
    with pytest.raises(AssertionError, match="message"):
        require_clean(logged)
