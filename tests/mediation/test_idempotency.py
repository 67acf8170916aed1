"""Safe retries: the first answer again for the same request, once, and never half of it."""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from mediation import idempotency
from mediation.auth import issue_token
from mediation.models import Case, DocketEntry, Exhibit, IdempotentAnswer
from mediation.operations import messages
from tests.mediation.story import CHAT, Story, decision

KEPT = ("ETag", "Location", "Content-Type")
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8cfc0000003010100c9fe92ef"
    "0000000049454e44ae426082"
)


def fresh() -> str:
    return uuid.uuid4().hex


def with_key(key: str) -> dict[str, str]:
    return {"Idempotency-Key": key}


def count(story: Story, model: Any) -> int:
    with story.services.sessions.begin() as session:
        return session.scalar(select(func.count()).select_from(model)) or 0


def require_replay(first: TestResponse, second: TestResponse) -> None:
    assert "Idempotency-Replayed" not in first.headers
    assert second.headers.get("Idempotency-Replayed") == "true", second.get_data(as_text=True)
    assert second.status_code == first.status_code
    assert second.data == first.data
    for name in KEPT:
        assert second.headers.get(name) == first.headers.get(name), name


def code(response: TestResponse) -> tuple[int, str]:
    return response.status_code, response.get_json()["code"]


# --- the same again ----------------------------------------------------------------------------------------------


def test_opening_a_case_twice_under_one_key_opens_one(shared: Story) -> None:
    body, key, before = shared.case_body(), fresh(), count(shared, Case)
    first = shared.post("platform", "/cases", body, with_key(key))
    assert first.status_code == 201
    for _ in range(3):
        require_replay(first, shared.post("platform", "/cases", body, with_key(key)))
    assert count(shared, Case) == before + 1


def test_without_the_key_it_is_another_request(shared: Story) -> None:
    body, key = shared.case_body(), fresh()
    assert shared.post("platform", "/cases", body, with_key(key)).status_code == 201
    assert code(shared.post("platform", "/cases", body)) == (409, "open_case_exists")
    assert code(shared.post("platform", "/cases", body, with_key(fresh()))) == (409, "open_case_exists")


def test_every_kind_of_post_replays(shared: Story) -> None:
    case = shared.at("seller_notified")
    steps: list[tuple[str, str, Any]] = [
        ("buyer", f"/cases/{case}/messages", {"text": "hello"}),
        ("buyer", f"/cases/{case}/exhibits", CHAT),
        ("seller", f"/cases/{case}/actions/refuse", {"reason": "shipped", "statement": "It is on its way."}),
        ("buyer", f"/cases/{case}/actions/request_mediation", {}),
        ("mediator", f"/cases/{case}/actions/take", {}),
        ("mediator", f"/cases/{case}/actions/decide", decision()),
        ("mediator", "/interests", {"side": "buyer", "party": fresh()}),
    ]
    for who, path, body in steps:
        key = fresh()
        first = shared.post(who, path, body, with_key(key))
        assert first.status_code in (200, 201), first.get_data(as_text=True)
        version = shared.get("platform", f"/cases/{case}").get_json()["version"]
        require_replay(first, shared.post(who, path, body, with_key(key)))
        assert shared.get("platform", f"/cases/{case}").get_json()["version"] == version


def test_an_answer_replays_after_the_case_has_moved_on(shared: Story) -> None:
    case, key = shared.open(), fresh()
    first = shared.act("platform", case, "notify_seller", {}, **with_key(key))
    shared.do("seller", case, "agree")
    shared.pay()
    assert shared.state(case) == "refunded"
    require_replay(first, shared.act("platform", case, "notify_seller", {}, **with_key(key)))
    # A stale If-Match is a question about now; the answer is the first one all the same.
    again = shared.act("platform", case, "notify_seller", {}, **with_key(key), **{"If-Match": '"1"'})
    require_replay(first, again)
    assert shared.state(case) == "refunded"


@pytest.mark.parametrize("how", ["chat", "file"])
def test_a_filing_replays_after_the_case_is_over(shared: Story, how: str) -> None:
    case, key = shared.open(), fresh()

    def file() -> TestResponse:
        if how == "chat":
            return shared.post("buyer", f"/cases/{case}/exhibits", CHAT, with_key(key))
        return upload(shared, case, key)

    first = file()
    assert first.status_code == 201
    shared.do("buyer", case, "withdraw")
    require_replay(first, file())


# --- another request under the same key --------------------------------------------------------------------------


def test_another_body_or_path_or_query_under_the_key_is_refused(shared: Story) -> None:
    case, other, key = shared.open(), shared.open(), fresh()
    path, body = f"/cases/{case}/messages", {"text": "hello"}
    assert shared.post("buyer", path, body, with_key(key)).status_code == 201
    version = shared.get("buyer", f"/cases/{case}").get_json()["version"]
    for there, text in (
        (path, "goodbye"),
        (path, "hello "),
        (f"/cases/{other}/messages", "hello"),
        (f"{path}?x=1", "hello"),
    ):
        assert code(shared.post("buyer", there, {"text": text}, with_key(key))) == (422, "key_reused"), there
    assert code(shared.act("buyer", case, "withdraw", {}, **with_key(key))) == (422, "key_reused")
    assert shared.get("buyer", f"/cases/{case}").get_json()["version"] == version
    assert shared.state(other) == "opened"


def test_a_key_belongs_to_its_caller(shared: Story) -> None:
    """To the person, the role, the party and the marketplace; a stranger's key neither replays nor collides."""
    key, settings = fresh(), shared.services.settings
    case = shared.open()
    path, body = f"/cases/{case}/messages", {"text": "hello"}
    first = shared.post("buyer", path, body, with_key(key))
    for who in ("seller", "mediator", "senior", "platform"):
        again = shared.post(who, path, body, with_key(key))
        assert again.status_code == 201 and "Idempotency-Replayed" not in again.headers, who
    for claims in (
        {"subject": "clerk-10", "role": "seller", "acts_for": "shop-17"},
        {"subject": "buyer-1:x", "role": "buyer", "acts_for": "buyer-1"},
    ):
        headers = {"Authorization": f"Bearer {issue_token(settings, **claims)}", **with_key(key)}
        again = shared.client.post(f"/v1{path}", json=body, headers=headers)
        assert again.status_code == 201 and "Idempotency-Replayed" not in again.headers, claims
    elsewhere = {"Authorization": f"Bearer {shared.token('buyer', 'elsewhere')}", **with_key(key)}
    assert shared.client.post(f"/v1{path}", json=body, headers=elsewhere).status_code == 404
    assert shared.post("other_buyer", path, body, with_key(key)).status_code == 404
    require_replay(first, shared.post("buyer", path, body, with_key(key)))


def test_two_callers_whose_names_run_together_do_not_share_a_key(shared: Story) -> None:
    """buyer:a:b acting for c, and buyer:a acting for b:c, read the same when joined carelessly."""
    key, settings = fresh(), shared.services.settings
    answers = []
    for subject, acts_for in (("a:b", "c"), ("a", "b:c")):
        body = shared.case_body()
        body["buyer"]["id"] = acts_for
        case = shared.post("platform", "/cases", body).get_json()["id"]
        token = issue_token(settings, subject=subject, role="buyer", acts_for=acts_for)
        headers = {"Authorization": f"Bearer {token}", **with_key(key)}
        answers.append(shared.client.post(f"/v1/cases/{case}/messages", json={"text": "x"}, headers=headers))
    assert [answer.status_code for answer in answers] == [201, 201]


# --- failures are not kept ---------------------------------------------------------------------------------------


def test_a_refusal_is_not_kept_and_may_be_mended_under_its_key(shared: Story) -> None:
    case, key = shared.open(), fresh()
    for path, body, status in (
        (f"/cases/{case}/messages", {"text": ""}, 422),
        (f"/cases/{case}/actions/agree", {}, 403),
        (f"/cases/{case}/actions/accept_offer", {}, 409),
        (f"/cases/{uuid.uuid4()}/messages", {"text": "x"}, 404),
    ):
        before = count(shared, IdempotentAnswer)
        for _ in range(2):
            response = shared.post("buyer", path, body, with_key(key))
            assert response.status_code == status and "Idempotency-Replayed" not in response.headers
        assert count(shared, IdempotentAnswer) == before
    assert shared.post("buyer", f"/cases/{case}/messages", {"text": "x"}, with_key(key)).status_code == 201


def test_other_methods_take_no_notice_of_the_key(shared: Story) -> None:
    key, body = fresh(), shared.case_body()
    path = f"/orders/{body['order']['id']}"
    put = {name: body[name] for name in ("order", "buyer", "seller")}
    headers = {**shared.headers("platform"), **with_key(key)}
    for paid in (12_900, 13_000):
        put["order"]["paid"]["amount"] = paid
        response = shared.client.put(f"/v1{path}", json=put, headers=headers)
        assert response.status_code == 200 and "Idempotency-Replayed" not in response.headers
    assert shared.client.get(f"/v1{path}", headers=headers).get_json()["paid"]["amount"] == 13_000
    declared = shared.post("mediator", "/interests", {"side": "buyer", "party": fresh()}).get_json()["id"]
    for status in (204, 404):
        headers = {**shared.headers("mediator"), **with_key(key)}
        assert shared.client.delete(f"/v1/interests/{declared}", headers=headers).status_code == status


# --- answer and effect are one -----------------------------------------------------------------------------------


def test_an_error_after_the_effect_leaves_neither_effect_nor_answer(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, key = story.open(), fresh()

    def fails(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("after the effect")

    before = count(story, DocketEntry), story.get("buyer", f"/cases/{case}").get_json()["version"]
    monkeypatch.setattr(idempotency.Attempt, "keep", fails)
    path, body = f"/cases/{case}/messages", {"text": "hello"}
    assert code(story.post("buyer", path, body, with_key(key))) == (500, "internal_error")
    assert (count(story, DocketEntry), story.get("buyer", f"/cases/{case}").get_json()["version"]) == before
    assert count(story, IdempotentAnswer) == 0
    monkeypatch.undo()
    first = story.post("buyer", path, body, with_key(key))
    assert first.status_code == 201
    require_replay(first, story.post("buyer", path, body, with_key(key)))


def test_an_error_in_the_effect_leaves_no_answer(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    case, key = story.open(), fresh()
    post = messages.post

    def acts_and_fails(*args: Any, **kwargs: Any) -> Any:
        post(*args, **kwargs)
        raise RuntimeError("half-way")

    monkeypatch.setattr(messages, "post", acts_and_fails)
    assert story.post("buyer", f"/cases/{case}/messages", {"text": "x"}, with_key(key)).status_code == 500
    assert count(story, IdempotentAnswer) == 0
    assert story.get("buyer", f"/cases/{case}/messages").get_json()["items"] == []


# --- at the same moment ------------------------------------------------------------------------------------------


class Held:
    """Posting a message, held inside its transaction until it is let go."""

    def __init__(self, story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
        self.inside, self.let_go = Event(), Event()
        self._story, self._post = story, messages.post
        self._pool = ThreadPoolExecutor(1)
        monkeypatch.setattr(messages, "post", self._held)
        self._monkeypatch = monkeypatch

    def _held(self, *args: Any, **kwargs: Any) -> Any:
        written = self._post(*args, **kwargs)
        self.inside.set()
        assert self.let_go.wait(timeout=30)
        return written

    def start(self, path: str, body: Any, key: str) -> Future[TestResponse]:
        client = self._story.app.test_client()
        headers = self._story.headers("buyer", **with_key(key))
        running = self._pool.submit(client.post, f"/v1{path}", json=body, headers=headers)
        assert self.inside.wait(timeout=30)
        self._monkeypatch.setattr(messages, "post", self._post)
        return running

    def close(self) -> None:
        self.let_go.set()
        self._pool.shutdown()


@pytest.fixture
def held(shared: Story, monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    made = Held(shared, monkeypatch)
    yield made
    made.close()


def test_a_second_request_while_the_first_runs_is_told_so_at_once(shared: Story, held: Held) -> None:
    case, key = shared.open(), fresh()
    path, body = f"/cases/{case}/messages", {"text": "hello"}
    running = held.start(path, body, key)
    for again in (body, {"text": "another body"}):
        assert code(shared.post("buyer", path, again, with_key(key))) == (409, "still_running")
    assert not running.done()
    # Another key, another caller and another case are not held up by it.
    other = shared.open()
    assert shared.post("buyer", f"/cases/{other}/messages", body, with_key(fresh())).status_code == 201
    assert shared.post("seller", f"/cases/{other}/messages", body, with_key(key)).status_code == 201
    held.let_go.set()
    first = running.result(timeout=30)
    assert first.status_code == 201
    require_replay(first, shared.post("buyer", path, body, with_key(key)))
    assert len(shared.get("buyer", f"/cases/{case}/messages").get_json()["items"]) == 1


def test_many_at_once_under_one_key_have_one_effect(shared: Story) -> None:
    body, key, before = shared.case_body(), fresh(), count(shared, Case)

    def post(_: int) -> TestResponse:
        client = shared.app.test_client()
        return client.post("/v1/cases", json=body, headers=shared.headers("platform", **with_key(key)))

    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(post, range(24)))
    done = [answer for answer in answers if answer.status_code == 201]
    waiting = [answer for answer in answers if answer.status_code == 409]
    assert len(done) + len(waiting) == 24 and done
    assert {answer.data for answer in done} == {done[0].data}
    assert {code(answer)[1] for answer in waiting} <= {"still_running"}
    assert sum("Idempotency-Replayed" not in answer.headers for answer in done) == 1
    assert count(shared, Case) == before + 1


# --- uploads -----------------------------------------------------------------------------------------------------


def upload(story: Story, case: str, key: str, content: bytes = PNG, **named: str) -> TestResponse:
    """An upload, by default always the same; `named` may say another file name and title."""
    name, title = named.get("name", "a.png"), named.get("title", "the parcel")
    meta = json.dumps({"kind": "photo", "title": title})
    return story.client.post(
        f"/v1/cases/{case}/exhibits",
        data={"meta": meta, "file": (io.BytesIO(content), name)},
        content_type="multipart/form-data",
        headers=story.headers("buyer", **with_key(key)),
    )


def blobs(story: Story) -> set[Path]:
    folder = Path(story.services.settings.blob_location.removeprefix("file://"))
    return {path for path in folder.rglob("*") if path.is_file()}


def test_an_upload_replays_without_a_second_exhibit_or_blob(story: Story) -> None:
    """Its boundary differs from try to try, so it is known by what it holds."""
    case, key = story.open(), fresh()
    first = upload(story, case, key)
    assert first.status_code == 201
    held = blobs(story)
    assert len(held) == 1
    for _ in range(3):
        require_replay(first, upload(story, case, key))
    assert count(story, Exhibit) == 1 and blobs(story) == held
    assert story.get("seller", f"/exhibits/{first.get_json()['id']}/content").data == PNG


def test_another_upload_under_the_key_is_refused_and_leaves_nothing(story: Story) -> None:
    case, key = story.open(), fresh()
    assert upload(story, case, key).status_code == 201
    held = blobs(story)
    assert code(upload(story, case, key, b"text", name="a.txt")) == (422, "key_reused")
    assert code(upload(story, case, key, name="b.png")) == (422, "key_reused")
    assert code(upload(story, case, key, title="another")) == (422, "key_reused")
    assert code(story.post("buyer", f"/cases/{case}/exhibits", CHAT, with_key(key))) == (422, "key_reused")
    assert count(story, Exhibit) == 1 and blobs(story) == held


def test_a_chat_log_replays_with_its_receipt(story: Story) -> None:
    case, key = story.open(), fresh()
    first = story.post("buyer", f"/cases/{case}/exhibits", CHAT, with_key(key))
    require_replay(first, story.post("buyer", f"/cases/{case}/exhibits", CHAT, with_key(key)))
    assert first.get_json()["receipt"] and len(blobs(story)) == 1


def test_uploads_at_once_under_one_key_leave_one_exhibit_and_one_blob(story: Story) -> None:
    case, key = story.open(), fresh()
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: upload_apart(story, case, key), range(12)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert count(story, Exhibit) == 1 and len(blobs(story)) == 1


def upload_apart(story: Story, case: str, key: str) -> TestResponse:
    """An upload by a client of its own."""
    return story.app.test_client().post(
        f"/v1/cases/{case}/exhibits",
        data={"meta": '{"kind": "photo"}', "file": (io.BytesIO(PNG), "a.png")},
        content_type="multipart/form-data",
        headers=story.headers("buyer", **with_key(key)),
    )


def test_an_answer_is_forgotten_after_its_time_and_not_before(story: Story) -> None:
    case = story.open()
    key = {"Idempotency-Key": "kept for a while"}
    assert story.act("platform", case, "notify_seller", **key).status_code == 200
    now = story.services.clock()
    with story.services.sessions.begin() as session:
        assert idempotency.forget(session, now + idempotency.RETENTION - timedelta(minutes=1)) == 0
    assert story.act("platform", case, "notify_seller", **key).headers["Idempotency-Replayed"] == "true"
    with story.services.sessions.begin() as session:
        assert idempotency.forget(session, now + idempotency.RETENTION + timedelta(minutes=1)) == 1
    assert story.act("platform", case, "notify_seller", **key).status_code == 409
