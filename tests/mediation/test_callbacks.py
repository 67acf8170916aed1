"""What the marketplace's gateway may tell us, when, how often, and what is not believed."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy import text
from standardwebhooks.webhooks import Webhook
from werkzeug.test import TestResponse

from mediation import create_app, paying
from mediation.gateways import Fate, Reply
from tests.mediation.conftest import make_services, make_settings
from tests.mediation.gateway_book import signed
from tests.mediation.story import Story, money
from tests.mediation.worker_process import SECRET

PATH = "/v1/gateway/callbacks"


class Asked:
    """A gateway that answers as it is told, in place of the network."""

    name = "http"

    def __init__(self, fate: Fate) -> None:
        self._reply = Reply(fate, reference=None)

    def pay(self, *_: Any) -> Reply:
        return self._reply

    def close(self) -> None:
        """Nothing is held."""


@pytest.fixture(scope="module")
def shared(module_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """A story whose refunds leave over http."""
    settings = make_settings(
        module_database, tmp_path_factory.mktemp("home"), gateway="http", gateway_url="http://x/", gateway_secret=SECRET
    )
    made = make_services(settings)
    yield Story(create_app(settings, made), made)
    made.engine.dispose()


def refund(story: Story, case: str) -> dict[str, Any]:
    (one,) = story.get("senior", f"/cases/{case}/refunds").get_json()["items"]
    return dict(one)


def sent(story: Story, **more: Any) -> tuple[str, str]:
    """A case whose refund the gateway has accepted: case and refund."""
    case = story.at("refund", **more)
    one = refund(story, case)["id"]
    paying.pay(story.services, Asked(Fate.ACCEPTED), uuid.UUID(one))
    return case, one


def call(story: Story, body: Any, *, secret: str = SECRET, at: datetime | None = None, **headers: str) -> TestResponse:
    made, raw = signed(Webhook(secret), body, at)
    return story.client.post(PATH, data=raw, headers={**made, **headers})


def told(refund_id: str, status: str = "settled", amount: int = 12_900, **more: Any) -> dict[str, Any]:
    return {"refund_id": refund_id, "status": status, "amount": money(amount), **more}


def money_of(story: Story, case: str) -> tuple[int, int]:
    query = (
        "SELECT o.reserved_minor, o.refunded_minor FROM orders o JOIN cases c ON c.order_id = o.id WHERE c.id = :case"
    )
    with story.services.sessions.begin() as session:
        found = session.execute(text(query), {"case": case}).one()
        return found[0], found[1]


def settlings(story: Story, case: str) -> int:
    items = story.get("mediator", f"/cases/{case}/docket").get_json()["items"]
    return [entry["type"] for entry in items].count("settle_refund")


def test_a_signed_callback_settles_and_its_repetitions_change_nothing(shared):
    case, one = sent(shared)
    answers = [call(shared, told(one, reference="p-1")) for _ in range(3)]
    assert [(answer.status_code, answer.get_json()) for answer in answers] == [
        (200, {"applied": True}),
        (200, {"applied": False}),
        (200, {"applied": False}),
    ]
    assert shared.state(case) == "refunded" and money_of(shared, case) == (0, 12_900) and settlings(shared, case) == 1
    assert refund(shared, case)["gateway_reference"] == "p-1" and refund(shared, case)["anomaly"] is None


def test_a_failure_escalates_and_its_repetitions_change_nothing(shared):
    case, one = sent(shared)
    answers = [call(shared, told(one, "failed", why="no such account")) for _ in range(2)]
    assert [answer.get_json() for answer in answers] == [{"applied": True}, {"applied": False}]
    assert shared.state(case) == "escalated" and money_of(shared, case) == (12_900, 0)
    assert refund(shared, case)["failure"] == "no such account"


def test_a_payment_reported_after_the_refund_failed_settles_it(shared):
    case, one = sent(shared)
    call(shared, told(one, "failed"))
    assert call(shared, told(one)).get_json() == {"applied": True}
    assert shared.state(case) == "refunded" and money_of(shared, case) == (0, 12_900)
    assert refund(shared, case)["failure"] is None


def test_a_failure_reported_after_the_payment_changes_nothing(shared):
    case, one = sent(shared)
    call(shared, told(one))
    assert call(shared, told(one, "failed")).get_json() == {"applied": False}
    assert shared.state(case) == "refunded"


def test_a_repeated_failure_does_not_fail_a_seniors_retry_before_it_was_sent(shared):
    case, one = sent(shared)
    call(shared, told(one, "failed"))
    shared.do("senior", case, "retry_refund")
    assert call(shared, told(one, "failed")).get_json() == {"applied": False}
    assert shared.state(case) == "refund"
    paying.pay(shared.services, Asked(Fate.ACCEPTED), uuid.UUID(one))
    assert call(shared, told(one, "failed")).get_json() == {"applied": True}


def settled_elsewhere(story: Story) -> tuple[str, str]:
    case, one = sent(story)
    call(story, told(one, "failed"))
    proof = {
        "kind": "chat_log",
        "timezone": "UTC",
        "messages": [{"sender": {"role": "staff", "id": "sam", "name": "Sam"}, "text": "Paid by bank transfer."}],
    }
    filed = story.post("senior", f"/cases/{case}/exhibits", proof)
    assert filed.status_code == 201, filed.get_data(as_text=True)
    story.do("senior", case, "settle_elsewhere", {"proof": filed.get_json()["label"]})
    return case, one


def test_a_payment_reported_after_it_was_settled_elsewhere_is_kept_as_an_anomaly_and_logged(shared):
    case, one = settled_elsewhere(shared)
    with structlog.testing.capture_logs() as lines:
        assert call(shared, told(one, reference="p-9")).get_json() == {"applied": False}
    assert {"event": "refund_anomaly", "log_level": "error"}.items() <= lines[0].items()
    assert (refund(shared, case)["anomaly"], refund(shared, case)["gateway_reference"]) == (
        "paid_after_settled_elsewhere",
        "p-9",
    )
    assert money_of(shared, case) == (0, 12_900) and shared.state(case) == "refunded"
    assert settlings(shared, case) == 0


def test_a_failure_reported_after_it_was_settled_elsewhere_is_no_anomaly(shared):
    case, one = settled_elsewhere(shared)
    assert call(shared, told(one, "failed")).get_json() == {"applied": False}
    assert refund(shared, case)["anomaly"] is None


def test_one_refund_paid_under_two_references_is_an_anomaly(shared):
    case, one = sent(shared)
    call(shared, told(one, reference="p-1"))
    with structlog.testing.capture_logs() as lines:
        assert call(shared, told(one, reference="p-2")).get_json() == {"applied": False}
    assert lines[0]["event"] == "refund_anomaly"
    assert refund(shared, case)["anomaly"] == "settled_under_two_references"
    assert refund(shared, case)["gateway_reference"] == "p-1"


@pytest.mark.parametrize("amount", [money(12_899), money(12_901), money(1), money(12_900, "USD")])
def test_another_amount_is_refused_and_logged(shared, amount):
    case, one = sent(shared)
    with structlog.testing.capture_logs() as lines:
        answer = call(shared, {**told(one), "amount": amount})
    assert answer.status_code == 422 and "amount" in answer.get_json()["errors"]
    assert ("gateway_amount_differs", "error") in [(line["event"], line["log_level"]) for line in lines]
    assert shared.state(case) == "refund" and money_of(shared, case) == (12_900, 0)


def test_a_callback_may_come_before_our_own_request_was_answered(shared):
    case = shared.at("refund")
    one = refund(shared, case)["id"]

    class CallsBackFirst(Asked):
        def pay(self, *_: Any) -> Reply:
            assert call(shared, told(one, reference="p-1")).get_json() == {"applied": True}
            return Reply(Fate.SETTLED, reference="p-1")

    paying.pay(shared.services, CallsBackFirst(Fate.SETTLED), uuid.UUID(one))
    assert shared.state(case) == "refunded" and settlings(shared, case) == 1
    assert refund(shared, case)["anomaly"] is None


def test_an_unknown_refund_is_not_found(shared):
    assert call(shared, told(str(uuid.uuid4()))).status_code == 404


def test_a_refund_of_the_ledger_cannot_be_settled_from_outside(shared):
    case = shared.at("refund")
    one = refund(shared, case)["id"]
    with shared.services.sessions.begin() as session:
        session.execute(text("UPDATE refunds SET gateway = 'ledger' WHERE id = :id"), {"id": one})
    with structlog.testing.capture_logs() as lines:
        assert call(shared, told(one)).status_code == 404
    assert lines[0]["event"] == "gateway_callback_unexpected"
    assert shared.state(case) == "refund"


@pytest.mark.parametrize("age", [timedelta(minutes=5, seconds=5), timedelta(days=1), -timedelta(minutes=5, seconds=5)])
def test_a_stale_signature_is_refused(shared, age):
    case, one = sent(shared)
    assert call(shared, told(one), at=datetime.now(UTC) - age).status_code == 401
    assert shared.state(case) == "refund"


def test_a_signature_of_another_secret_is_refused(shared):
    _, one = sent(shared)
    answer = call(shared, told(one), secret="whsec_" + "b3RoZXItc2VjcmV0LW9mLXNvbWVib2R5LWVsc2U=")
    assert (answer.status_code, answer.get_json()["code"]) == (401, "bad_signature")


def test_a_signature_does_not_hold_for_another_body(shared):
    _, one = sent(shared)
    headers, _ = signed(Webhook(SECRET), told(one, "failed"))
    answer = shared.client.post(PATH, data=json.dumps(told(one)).encode(), headers=headers)
    assert answer.status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"webhook-id": ""},
        {"webhook-id": "other"},
        {"webhook-timestamp": ""},
        {"webhook-timestamp": "now"},
        {"webhook-timestamp": "nan"},
        {"webhook-timestamp": "1e400"},
        {"webhook-signature": ""},
        {"webhook-signature": "v1"},
        {"webhook-signature": "v1,"},
        {"webhook-signature": "v1,a,b"},
        {"webhook-signature": "v1,\u00e9"},
        {"webhook-signature": "v2,AAAA"},
        {"webhook-signature": "v1,not base64"},
    ],
)
def test_signature_headers_that_cannot_be_read_are_refused(shared, headers):
    assert call(shared, told(str(uuid.uuid4())), **headers).status_code == 401


def test_a_callback_without_signature_is_refused(shared):
    assert shared.client.post(PATH, json=told(str(uuid.uuid4()))).status_code == 401


def test_a_body_that_is_no_text_is_refused(shared):
    headers, _ = signed(Webhook(SECRET), {})
    assert shared.client.post(PATH, data=b"\xff\xfe", headers=headers).status_code == 401


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"status": "paid"}, "status"),
        ({"status": None}, "status"),
        ({"amount": None}, "amount"),
        ({"amount": {"amount": 12_900.5, "currency": "CNY"}}, "amount.amount"),
        ({"amount": {"amount": -1, "currency": "CNY"}}, "amount.amount"),
        ({"refund_id": "seven"}, "refund_id"),
        ({"extra": 1}, "extra"),
        ({"reference": "a\u0000b"}, "reference"),
        ({"reference": "r" * 129}, "reference"),
        ({"why": "\ud800"}, None),
        ({"why": "w" * 501}, "why"),
    ],
)
def test_a_signed_body_with_a_wrong_field_is_refused_naming_it(shared, change, field):
    _, one = sent(shared)
    answer = call(shared, {**told(one), **change})
    assert answer.status_code in (400, 422), answer.get_data(as_text=True)
    assert field is None or field in answer.get_json()["errors"]


def test_signed_text_that_is_no_json_object_is_refused(shared):
    for raw in ("", "{", "[]", '"settled"', "null", "[" * 5_000, '{"a":' * 2_000):
        at = datetime.now(UTC)
        headers = {
            "content-type": "application/json",
            "webhook-id": "m",
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": Webhook(SECRET).sign("m", at, raw),
        }
        assert shared.client.post(PATH, data=raw.encode(), headers=headers).status_code in (400, 422), raw[:20]


def test_a_huge_body_is_refused_before_it_is_read(shared):
    assert shared.client.post(PATH, data=b" " * (64 * 1024 + 1)).status_code == 413


def test_without_a_secret_nobody_can_call_back(story):
    case = story.at("refund")
    assert call(story, told(refund(story, case)["id"])).status_code == 401
    assert story.state(case) == "refund"


def test_what_a_callback_says_is_logged_without_the_gateways_words(shared):
    _, one = sent(shared)
    with structlog.testing.capture_logs() as lines:
        call(shared, told(one, "failed", why="account of Li Lei", reference="ref-of-li-lei"))
    assert "lei" not in json.dumps(lines, default=str).lower()


def test_the_gateways_words_can_be_erased_from_the_record_alone(shared):
    case, one = sent(shared)
    call(shared, told(one, "failed", why="no such account"))
    (entry,) = [
        entry
        for entry in shared.get("senior", f"/cases/{case}/docket").get_json()["items"]
        if entry["type"] == "fail_refund"
    ]
    assert {opening["name"] for opening in entry["openings"]} == {"actor", "facts", "deadlines", "failure"}


def test_settings_that_cannot_sign_are_refused_at_the_start(tmp_path: Path):
    from mediation.gateways import gateway_of
    from mediation.settings import BadSetting

    for url, secret in (("http://x/", "whsec_"), ("http://x/", "whsec_a"), ("http://", SECRET), ("http:///x", SECRET)):
        with pytest.raises(BadSetting, match="GATEWAY_"):
            gateway_of(
                make_settings("postgresql://x/", tmp_path, gateway="http", gateway_url=url, gateway_secret=secret)
            )
