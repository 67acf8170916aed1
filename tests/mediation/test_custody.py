"""Custody: whoever has an exhibit in hand is on record before it is shown, and nobody waits for a case for it."""

from __future__ import annotations

import io
import json
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier
from typing import Any

import psycopg
import pytest
from sqlalchemy import func, null, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from evidence import commitments, custody
from evidence.custody import CustodyAct
from mediation import docket
from mediation.api import exhibits as views
from mediation.models import CustodyEntry, CustodyOpening, Exhibit
from mediation.operations import custody as keeping
from tests.mediation.story import CHAT, Story, decision
from tests.mediation.test_idempotency import PNG
from workflows.acts import Actor
from workflows.states import Role

MIA = Actor(Role.MEDIATOR, "mia", "mia", "demo")


def filed(story: Story, case: str, who: str = "buyer", **more: Any) -> dict[str, Any]:
    response = story.post(who, f"/cases/{case}/exhibits", CHAT | more)
    assert response.status_code == 201, response.get_data(as_text=True)
    answer: dict[str, Any] = response.get_json()
    return answer


def chain(story: Story, exhibit: str, who: str = "senior", limit: int = 100) -> list[dict[str, Any]]:
    """The whole chain as somebody sees it, page by page; it must hold, and end at the head that the last page says."""
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = story.get(who, f"/exhibits/{exhibit}/custody?limit={limit}{cursor}").get_json()
        found += page["items"]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    entries = [{name: value for name, value in one.items() if name != "opening"} for one in found]
    assert custody.breaches(entries, page["head"]["hash"], exhibit=exhibit) == []
    assert page["head"]["seq"] == len(found)
    return found


def acts(story: Story, exhibit: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Each act with who did it and on what part."""
    return [
        (one["act"], one["opening"]["value"]["actor"]["subject"], one["opening"]["value"]["what"])
        for one in chain(story, exhibit)
    ]


@contextmanager
def owner(story: Story) -> Iterator[psycopg.Connection[Any]]:
    url = story.services.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def facts_of(story: Story, case: str, type_: str, who: str = "senior") -> dict[str, Any]:
    """What the last entry of a type holds, by the name of its openings."""
    entries = story.get(who, f"/cases/{case}/docket?limit=100").get_json()["items"]
    entry = [one for one in entries if one.get("type") == type_][-1]
    return {one["name"]: (one["value"] or {}).get(one["name"]) for one in entry["openings"]}


# --- what is recorded --------------------------------------------------------------------------------------------


def test_whoever_files_views_proves_and_downloads_is_on_record_with_the_part_they_had(shared: Story) -> None:
    case = shared.at("under_review")
    exhibit = filed(shared, case)["id"]
    version = shared.get("senior", f"/cases/{case}").get_json()["version"]
    for who, path in [
        ("seller", ""),
        ("mediator", "/messages?limit=1"),
        ("mediator", "/messages"),
        ("buyer", "/proof?seq=2"),
        ("seller", "/content"),
        ("platform", ""),
    ]:
        response = shared.get(who, f"/exhibits/{exhibit}{path}")
        assert response.status_code == 200
        assert response.get_data()
    assert acts(shared, exhibit) == [
        ("filed", "buyer-1", {}),
        ("viewed", "clerk-9", {}),
        ("viewed", "mia", {"messages": [1, 1]}),
        ("viewed", "mia", {"messages": [1, 2]}),
        ("viewed", "buyer-1", {"messages": [2, 2]}),
        ("downloaded", "clerk-9", {}),
        ("viewed", "shop-system", {}),
    ]
    assert shared.get("senior", f"/cases/{case}").get_json()["version"] == version


def test_each_entry_commits_to_who_acted_and_on_what(shared: Story) -> None:
    exhibit = filed(shared, shared.at("under_review"))["id"]
    shared.get("seller", f"/exhibits/{exhibit}/messages")
    for one in chain(shared, exhibit):
        digest, salt = bytes.fromhex(one["commitment"]), bytes.fromhex(one["opening"]["salt"])
        assert commitments.opens(digest, salt, one["opening"]["value"])
    assert one["opening"]["value"] == {
        "actor": {"role": "seller", "subject": "clerk-9", "acts_for": "shop-17", "marketplace": "demo"},
        "what": {"messages": [1, 2]},
    }


def test_a_file_that_is_uploaded_is_filed_in_its_own_transaction(shared: Story) -> None:
    case = shared.at("under_review")
    data = {"file": (io.BytesIO(PNG), "a.png"), "meta": json.dumps({"kind": "photo"})}
    response = shared.client.post(f"/v1/cases/{case}/exhibits", data=data, headers=shared.headers("seller"))
    assert response.status_code == 201, response.get_data(as_text=True)
    assert acts(shared, response.get_json()["id"]) == [("filed", "clerk-9", {})]


@pytest.mark.parametrize("path", ["", "/messages", "/proof?seq=1", "/content"])
def test_asking_for_the_headers_alone_is_on_record_too(shared: Story, path: str) -> None:
    exhibit = filed(shared, shared.at("under_review"))["id"]
    response = shared.client.head(f"/v1/exhibits/{exhibit}{path}", headers=shared.headers("seller"))
    assert response.status_code == 200
    assert response.get_data() == b""
    assert len(chain(shared, exhibit)) == 2


def test_reading_the_chain_and_lists_of_exhibits_is_no_view(shared: Story) -> None:
    case = shared.at("under_review")
    exhibit = filed(shared, case)["id"]
    for _ in range(3):
        shared.get("seller", f"/exhibits/{exhibit}/custody")
        shared.get("seller", f"/cases/{case}/exhibits")
    assert acts(shared, exhibit) == [("filed", "buyer-1", {})]


@pytest.mark.parametrize("path", ["", "/messages", "/proof?seq=1", "/content", "/custody"])
def test_who_may_not_see_an_exhibit_gets_nothing_and_leaves_nothing(shared: Story, path: str) -> None:
    case = shared.at("under_review")
    exhibit = filed(shared, case)["id"]
    unseen = filed(shared, case, "mediator", visibility="staff")["id"]
    for who, one in [("other_buyer", exhibit), ("other_seller", exhibit), ("buyer", unseen), ("platform", unseen)]:
        assert shared.get(who, f"/exhibits/{one}{path}").status_code == 404
    assert (len(chain(shared, exhibit)), len(chain(shared, unseen))) == (1, 1)


@pytest.mark.parametrize("path", ["/proof?seq=99", "/proof?seq=0", "/messages?limit=0", "/messages?cursor=x"])
def test_a_view_that_is_refused_is_not_on_record(shared: Story, path: str) -> None:
    exhibit = filed(shared, shared.at("under_review"))["id"]
    assert shared.get("seller", f"/exhibits/{exhibit}{path}").status_code in (404, 422)
    assert len(chain(shared, exhibit)) == 1


# --- nothing is shown that is not on record ----------------------------------------------------------------------


@pytest.mark.parametrize("path", ["", "/messages", "/proof?seq=1", "/content"])
def test_a_view_that_cannot_be_recorded_shows_nothing(story: Story, path: str) -> None:
    exhibit = filed(story, story.at("under_review"))["id"]
    with owner(story) as connection:
        connection.execute("REVOKE INSERT ON custody_entries FROM mediation_app")
        response = story.get("seller", f"/exhibits/{exhibit}{path}")
        assert response.status_code == 500
        assert set(response.get_json()) <= {"type", "title", "status", "code", "detail", "request_id"}
        connection.execute("GRANT INSERT ON custody_entries TO mediation_app")
    assert len(chain(story, exhibit)) == 1


def test_a_view_that_fails_after_it_was_entered_leaves_no_entry(shared: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    exhibit = filed(shared, shared.at("under_review"))["id"]

    def fails(*_: object) -> None:
        raise RuntimeError("after the entry")

    with monkeypatch.context() as patched:
        patched.setattr(views, "_answer", fails)
        assert shared.get("seller", f"/exhibits/{exhibit}").status_code == 500
    assert len(chain(shared, exhibit)) == 1


def test_a_view_whose_connection_dies_leaves_no_entry_and_keeps_nobody_waiting(shared: Story) -> None:
    exhibit = filed(shared, shared.at("under_review"))["id"]
    session = shared.services.sessions()
    with pytest.raises(DBAPIError), session:
        record(session, exhibit)
        pid = session.scalar(select(func.pg_backend_pid()))
        with owner(shared) as connection:
            connection.execute("SELECT pg_terminate_backend(%s)", (pid,))
        session.execute(text("SELECT 1"))
    began = time.monotonic()
    assert shared.get("seller", f"/exhibits/{exhibit}").status_code == 200
    assert time.monotonic() - began < 2
    assert [act for act, *_ in acts(shared, exhibit)] == ["filed", "viewed"]


def record(session: Session, exhibit: str, *, act: CustodyAct = CustodyAct.viewed) -> None:
    found = session.get_one(Exhibit, uuid.UUID(exhibit))
    keeping.record(session, found, MIA, found.filed_at, act)


def test_time_never_runs_backwards_in_a_chain(shared: Story) -> None:
    exhibit = filed(shared, shared.at("under_review"))["id"]
    shared.get("seller", f"/exhibits/{exhibit}")
    with shared.services.sessions.begin() as session:
        record(session, exhibit)  # Dated to the filing, before the view.
    times = [one["at"] for one in chain(shared, exhibit)]
    assert times == sorted(times)
    assert times[2] == times[1] > times[0]


# --- who sees what -----------------------------------------------------------------------------------------------


def test_a_party_sees_its_own_acts_and_of_others_neither_salt_nor_value(shared: Story) -> None:
    exhibit = filed(shared, shared.at("under_review"))["id"]
    for who in ("seller", "mediator", "platform"):
        shared.get(who, f"/exhibits/{exhibit}")
    roles = ["buyer", "seller", "mediator", "platform"]
    for reader, seen in {"buyer": {"buyer"}, "seller": {"seller"}, "platform": {*roles}, "senior": {*roles}}.items():
        shown = chain(shared, exhibit, reader)
        for role, one in zip(roles, shown, strict=True):
            if role in seen:
                assert one["opening"]["value"]["actor"]["role"] == role
            else:
                assert one["opening"] == {"salt": None, "value": None}


def test_what_was_erased_is_null_for_everyone_and_the_chain_holds(shared: Story) -> None:
    exhibit = filed(shared, shared.at("under_review"))["id"]
    shared.get("buyer", f"/exhibits/{exhibit}")
    with shared.services.sessions.begin() as session:
        session.execute(
            update(CustodyOpening)
            .where(CustodyOpening.exhibit_id == uuid.UUID(exhibit), CustodyOpening.seq == 2)
            .values(salt=None, value=null())
        )
    for who in ("buyer", "senior", "platform"):
        assert chain(shared, exhibit, who)[1]["opening"] == {"salt": None, "value": None}


def test_pages_of_the_chain_put_together_are_the_chain(shared: Story) -> None:
    exhibit = filed(shared, shared.at("under_review"))["id"]
    for _ in range(6):
        shared.get("seller", f"/exhibits/{exhibit}")
    assert [chain(shared, exhibit, limit=limit) for limit in (1, 2, 3, 7)] == [chain(shared, exhibit)] * 4
    first = shared.get("buyer", f"/exhibits/{exhibit}/custody?limit=3")
    assert 'rel="next"' in first.headers["Link"]
    assert first.get_json()["head"] == {"seq": 7, "hash": chain(shared, exhibit)[-1]["hash"]}


# --- what the database sees to -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE custody_entries SET act = 'viewed'",
        "DELETE FROM custody_entries",
        "TRUNCATE custody_entries CASCADE",
        "UPDATE custody_openings SET value = '{}'",
        "UPDATE custody_openings SET seq = seq + 1",
        "DELETE FROM custody_openings",
    ],
)
def test_the_application_cannot_rewrite_a_chain(shared: Story, statement: str) -> None:
    filed(shared, shared.at("under_review"))
    with pytest.raises(DBAPIError), shared.services.sessions.begin() as session:
        session.execute(text(statement))


@pytest.mark.parametrize("seq", [1, 2, 3, 4])
def test_an_entry_that_does_not_follow_the_last_is_refused_by_the_database(shared: Story, seq: int) -> None:
    exhibit = filed(shared, shared.at("under_review"))["id"]
    shared.get("seller", f"/exhibits/{exhibit}")
    with pytest.raises(DBAPIError), shared.services.sessions.begin() as session:
        last = session.scalars(
            select(CustodyEntry).where(CustodyEntry.exhibit_id == uuid.UUID(exhibit)).order_by(CustodyEntry.seq.desc())
        ).first()
        assert last is not None
        row = {column.key: getattr(last, column.key) for column in CustodyEntry.__table__.columns}
        if seq == 3:
            row["prev"] = bytes(32)
        session.execute(CustodyEntry.__table__.insert(), row | {"seq": seq})  # type: ignore[attr-defined]


def test_a_chain_cannot_begin_for_an_exhibit_of_another_case(shared: Story) -> None:
    exhibit = filed(shared, shared.at("under_review"))["id"]
    row = {
        "case_id": uuid.UUID(shared.at("under_review")),
        "exhibit_id": uuid.UUID(exhibit),
        "seq": 1,
        "v": 1,
        "at": shared.services.clock(),
        "act": "viewed",
        "commitment": bytes(32),
        "prev": bytes(32),
        "hash": bytes(32),
    }
    with pytest.raises(DBAPIError, match="exhibit of the case"), shared.services.sessions.begin() as session:
        session.execute(CustodyEntry.__table__.insert(), row)  # type: ignore[attr-defined]


# --- decisions ---------------------------------------------------------------------------------------------------


def test_a_decision_seals_the_heads_of_what_both_sides_may_see_and_apart_from_them_those_for_staff(
    shared: Story,
) -> None:
    case = shared.at("under_review")
    exhibits = {one["label"]: one["id"] for one in (filed(shared, case), filed(shared, case, "seller"))}
    inner = filed(shared, case, "mediator", visibility="staff")["id"]
    shared.get("mediator", f"/exhibits/{exhibits['S-1']}")
    before = {label: chain(shared, exhibit)[-1] for label, exhibit in exhibits.items()}
    of_staff = chain(shared, inner)[-1]
    shared.do("mediator", case, "decide", decision())
    sealed = facts_of(shared, case, "decide")
    assert sealed["facts"]["custody"] == {
        label: {"exhibit": exhibits[label], "seq": entry["seq"], "hash": entry["hash"]}
        for label, entry in before.items()
    }
    assert sealed["custody_of_staff"] == {"M-1": {"exhibit": inner, "seq": 1, "hash": of_staff["hash"]}}
    for who in ("buyer", "seller", "platform"):
        shown = facts_of(shared, case, "decide", who)
        assert shown["facts"] == sealed["facts"]
        assert shown["custody_of_staff"] is None


def test_a_decision_on_no_exhibits_seals_none(shared: Story) -> None:
    case = shared.at("under_review")
    shared.do("mediator", case, "decide", decision())
    sealed = facts_of(shared, case, "decide")
    assert "custody" not in sealed["facts"]
    assert "custody_of_staff" not in sealed


def test_an_exhibit_from_before_there_were_chains_begins_one_when_it_is_viewed(
    shared: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = shared.at("under_review")
    with monkeypatch.context() as patched:
        patched.setattr(keeping, "record", lambda *_, **__: None)
        exhibit = filed(shared, case)["id"]
    empty = shared.get("buyer", f"/exhibits/{exhibit}/custody").get_json()
    assert empty == {"items": [], "next_cursor": None, "head": None}
    assert shared.post("mediator", f"/cases/{case}/actions/decide?dry_run=true", decision()).status_code == 200
    shared.get("seller", f"/exhibits/{exhibit}")
    assert acts(shared, exhibit) == [("viewed", "clerk-9", {})]
    shared.do("mediator", case, "decide", decision())
    assert facts_of(shared, case, "decide")["facts"]["custody"]["B-1"]["seq"] == 1


def test_a_decision_that_waits_seals_nothing_and_its_approval_seals_what_was_viewed_by_then(shared: Story) -> None:
    case = shared.at("under_review", paid=99_900)
    exhibit = filed(shared, case)["id"]
    inner = filed(shared, case, "mediator", visibility="staff")["id"]
    assert shared.do("mediator", case, "decide", decision(99_900))["state"] == "escalated"
    waiting = facts_of(shared, case, "decide")
    assert "custody" not in waiting["facts"]
    assert "custody_of_staff" not in waiting
    shared.get("senior", f"/exhibits/{exhibit}")
    shared.do("senior", case, "approve")
    sealed = facts_of(shared, case, "approve")
    assert sealed["facts"]["custody"]["B-1"] == {
        "exhibit": exhibit,
        "seq": 2,
        "hash": chain(shared, exhibit)[1]["hash"],
    }
    assert sealed["custody_of_staff"]["M-1"]["exhibit"] == inner
    assert facts_of(shared, case, "approve", "buyer")["custody_of_staff"] is None


def test_a_rehearsed_decision_seals_and_enters_nothing(shared: Story) -> None:
    case = shared.at("under_review")
    exhibit = filed(shared, case)["id"]
    before = shared.get("senior", f"/cases/{case}/docket?limit=100").get_json()
    assert shared.post("mediator", f"/cases/{case}/actions/decide?dry_run=true", decision()).status_code == 200
    assert shared.get("senior", f"/cases/{case}/docket?limit=100").get_json() == before
    assert len(chain(shared, exhibit)) == 1


def test_a_decision_does_not_wait_for_a_view_that_is_under_way(shared: Story) -> None:
    case = shared.at("under_review")
    exhibit = filed(shared, case)["id"]
    with shared.services.sessions.begin() as session:
        record(session, exhibit)
        began = time.monotonic()
        shared.do("mediator", case, "decide", decision())
        assert time.monotonic() - began < 3
    assert facts_of(shared, case, "decide")["facts"]["custody"]["B-1"]["seq"] == 1
    assert len(chain(shared, exhibit)) == 2


# --- at the same time --------------------------------------------------------------------------------------------

THREADS, VIEWS = 8, 50


def test_four_hundred_views_while_the_case_is_locked_and_a_decision_among_them(story: Story) -> None:
    case = story.at("under_review")
    exhibit = filed(story, case)["id"]
    version = story.get("senior", f"/cases/{case}").get_json()["version"]
    halfway = Barrier(THREADS + 1, timeout=60)

    def views_of(n: int) -> list[int]:
        client = story.app.test_client()
        headers = story.headers(("buyer", "seller", "mediator", "senior")[n % 4])
        path = f"/v1/exhibits/{exhibit}" + ("/messages", "", "/proof?seq=1", "/content")[n % 4]
        seen = []
        for view in range(VIEWS):
            seen.append(client.get(path, headers=headers).status_code)
            if view == VIEWS // 2:
                halfway.wait()
        return seen

    for who in ("buyer", "seller", "mediator", "senior"):
        story.token(who)
    with ThreadPoolExecutor(THREADS) as pool:
        with story.services.sessions.begin() as session:
            locked = docket.lock_for_system(session, uuid.UUID(case))
            running = [pool.submit(views_of, n) for n in range(THREADS)]
            halfway.wait()  # Two hundred views and more have answered, and the case is still locked.
            assert locked.version == version
        assert story.get("senior", f"/cases/{case}").get_json()["version"] == version
        story.do("mediator", case, "decide", decision())
        answers = [status for one in running for status in one.result(60)]
    assert answers == [200] * (THREADS * VIEWS)
    entries = chain(story, exhibit)
    assert len(entries) == 1 + THREADS * VIEWS
    sealed = facts_of(story, case, "decide")["facts"]["custody"]["B-1"]
    assert sealed["seq"] > THREADS * VIEWS // 2
    assert entries[sealed["seq"] - 1]["hash"] == sealed["hash"]


def test_views_of_many_exhibits_in_opposite_orders_never_wait_for_each_other_in_a_circle(story: Story) -> None:
    case = story.at("under_review")
    ids = [uuid.UUID(filed(story, case)["id"]) for _ in range(5)]
    start = Barrier(6, timeout=30)

    def export(n: int) -> None:
        start.wait()
        for _ in range(10):
            with story.services.sessions.begin() as session:
                found = [session.get_one(Exhibit, one) for one in (ids if n % 2 else reversed(ids))]
                keeping.record_all(session, found, MIA, story.services.clock(), CustodyAct.exported, made_for="senior")

    with ThreadPoolExecutor(6) as pool:
        for one in [pool.submit(export, n) for n in range(6)]:
            one.result(60)
    for exhibit in ids:
        assert [act for act, *_ in acts(story, str(exhibit))] == ["filed"] + ["exported"] * 60
