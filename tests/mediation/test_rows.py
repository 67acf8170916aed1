"""A case is read and an entry written past the ORM: that must look to the session as if the ORM had done it."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import event, inspect, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError

from mediation import deadlines, docket, rows
from mediation.db import say
from mediation.models import Case
from tests.mediation.conftest import Server
from tests.mediation.story import Story
from workflows.acts import Actor
from workflows.states import Role

MEDIATOR = Actor(Role.MEDIATOR, "mediator-1", "mediator-1", "demo")
NOW = datetime(2190, 1, 1, tzinfo=UTC)


def _locked(session: Session, case: str) -> Case:
    return docket.lock(session, uuid.UUID(case), MEDIATOR)


def _take(session: Session, case: Case) -> None:
    with docket.after_trying(case.id):
        docket.advance(session, case, "take", MEDIATOR, NOW, changes={"assignee": "mediator-1"})


def _row(story: Story, case: str) -> dict[str, Any]:
    with story.services.sessions.begin() as session:
        return dict(session.execute(text("SELECT * FROM cases WHERE id = :id"), {"id": case}).mappings().one())


def test_a_case_is_read_as_the_orm_reads_it(shared: Story) -> None:
    case = shared.at("under_review")
    with shared.services.sessions.begin() as session:
        ours = docket.find(session, uuid.UUID(case), MEDIATOR)
        with shared.services.sessions.begin() as other:
            orms = other.scalars(docket.visible_cases(MEDIATOR).where(Case.id == ours.id)).one()
            for one, another in ((ours, orms), (ours.order, orms.order), (ours.buyer, orms.buyer)):
                names = inspect(type(one)).column_attrs.keys()
                assert {name: getattr(one, name) for name in names} == {name: getattr(another, name) for name in names}
            assert ours.seller.external_id == orms.seller.external_id
    assert inspect(ours).detached


def test_after_a_step_nothing_is_left_to_flush_and_its_row_is_written(shared: Story) -> None:
    case = shared.at("under_review")
    before = _row(shared, case)
    flushed = []
    with shared.services.sessions.begin() as session:
        found = _locked(session, case)
        _take(session, found)
        assert found not in session.dirty
        event.listen(session, "after_flush", lambda *args: flushed.append(args))
    after = _row(shared, case)
    assert not flushed
    assert (after["version"], after["assignee"]) == (before["version"] + 1, "mediator-1")


def test_what_is_set_after_a_step_is_flushed_as_ever(shared: Story) -> None:
    case = shared.at("under_review")
    with shared.services.sessions.begin() as session:
        found = _locked(session, case)
        _take(session, found)
        found.return_carrier = "sf"
        found.assignee = None
    after = _row(shared, case)
    assert (after["return_carrier"], after["assignee"]) == ("sf", None)


def test_two_steps_in_one_transaction_are_two_entries_and_two_versions(shared: Story) -> None:
    case = shared.at("under_review")
    before = _row(shared, case)
    with shared.services.sessions.begin() as session:
        found = _locked(session, case)
        _take(session, found)
        with docket.after_trying(found.id):
            docket.advance(session, found, "release", MEDIATOR, NOW, changes={"assignee": None})
    after = _row(shared, case)
    assert (after["version"], after["assignee"]) == (before["version"] + 2, None)


def test_a_step_that_is_rolled_back_to_a_savepoint_is_forgotten_by_the_session(shared: Story) -> None:
    case = shared.at("under_review")
    with shared.services.sessions.begin() as session:
        found = _locked(session, case)
        version, head = found.version, found.head
        trial = session.begin_nested()
        _take(session, found)
        trial.rollback()
        assert (found.version, found.head, found.assignee) == (version, head, None)
    assert _row(shared, case)["version"] == version


def test_a_row_that_stands_at_another_entry_is_not_written(shared: Story) -> None:
    case = shared.at("under_review")
    with shared.services.sessions() as session:
        found = _locked(session, case)
        entry = {
            **dict.fromkeys(("v", "type", "from_state", "prev", "hash", "visibility", "at", "openings")),
            **{"case_id": uuid.uuid4(), "seq": found.version + 1, "to_state": "under_review"},
        }
        with pytest.MonkeyPatch.context() as patch:
            # The row alone: an entry that does not follow is refused by the database before.
            patch.setattr(rows, "_ENTRY", "entry AS (SELECT 1)")
            patch.setattr(rows, "_OPENINGS", "SELECT 1")
            rows._statement.cache_clear()
            with pytest.raises(StaleDataError):
                rows.write(session, found, entry, [])
        rows._statement.cache_clear()


def test_a_lock_reads_anew_and_a_look_leaves_what_the_session_has_seen(shared: Story) -> None:
    case = shared.at("under_review")
    with shared.services.sessions.begin() as session:
        seen = docket.find(session, uuid.UUID(case), MEDIATOR)
        with shared.services.sessions.begin() as other:
            _take(other, _locked(other, case))
        assert docket.find(session, uuid.UUID(case), MEDIATOR) is seen
        assert seen.assignee is None
        assert _locked(session, case) is seen
        assert seen.assignee == "mediator-1"


def test_deadlines_of_a_locked_case_are_read_once_until_the_savepoint_is_over(shared: Story) -> None:
    case = shared.at("under_review")
    with shared.services.sessions.begin() as session:
        found = _locked(session, case)
        (running,) = deadlines.known(session, found.id)
        assert deadlines.known(session, found.id)[0] is running
        trial = session.begin_nested()
        (tried,) = deadlines.known(session, found.id)
        assert tried is not running
        assert tried == running
        trial.rollback()
        assert deadlines.known(session, found.id)[0] is not tried


def test_what_the_database_refuses_is_an_error_of_sqlalchemys(shared: Story) -> None:
    with shared.services.sessions() as session, pytest.raises(DBAPIError) as refused:
        say(session, "SELECT 1 / %(zero)s", {"zero": 0})
    assert getattr(refused.value.orig, "sqlstate", None) == "22012"
    assert "parameters hidden" in str(refused.value)


def test_a_connection_that_is_lost_in_a_statement_is_not_used_again(shared: Story, server: Server) -> None:
    with shared.services.sessions() as session:
        (lost,) = say(session, "SELECT pg_backend_pid()", {}).fetchone() or ()
        server.execute(f"SELECT pg_terminate_backend({lost}, 5000)")
        with pytest.raises(OperationalError) as refused:
            say(session, "SELECT 1", {})
        assert refused.value.connection_invalidated
    with shared.services.sessions.begin() as session:
        assert say(session, "SELECT 1", {}).fetchone() == (1,)
