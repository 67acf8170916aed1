"""decide?dry_run=true: what a decision would do, with nothing written."""

from __future__ import annotations

from sqlalchemy import text

from tests.mediation.story import Story, decision


def counts(story: Story) -> dict[str, int]:
    tables = ("docket_entries", "decisions", "seals", "refunds", "docket_openings")
    with story.services.sessions.begin() as session:
        return {table: session.scalar(text(f"SELECT count(*) FROM {table}")) or 0 for table in tables}


def test_a_rehearsed_decision_tells_the_money_and_writes_nothing(story: Story) -> None:
    case = story.at("under_review")
    before, seen = counts(story), story.get("mediator", f"/cases/{case}").get_json()
    response = story.post("mediator", f"/cases/{case}/actions/decide?dry_run=true", decision(900))
    told = response.get_json()
    assert response.status_code == 200
    assert (told["dry_run"], told["state"], told["awaits_approval"]) == (True, "decided", False)
    assert told["order"]["reserved"]["amount"] == 900
    assert told["order"]["left"]["amount"] == 12_000
    assert counts(story) == before
    assert story.get("mediator", f"/cases/{case}").get_json() == seen
    story.do("mediator", case, "decide", decision(900))


def test_a_rehearsal_above_the_authority_says_that_it_awaits_approval(story: Story) -> None:
    case = story.at("under_review", paid=60_000)
    told = story.post("mediator", f"/cases/{case}/actions/decide?dry_run=true", decision(60_000)).get_json()
    assert (told["state"], told["awaits_approval"]) == ("escalated", True)


def test_a_rehearsal_is_refused_as_the_decision_would_be(story: Story) -> None:
    case = story.at("under_review")
    response = story.post("mediator", f"/cases/{case}/actions/decide?dry_run=true", decision(12_901))
    assert response.status_code == 422
    assert "remedy.amount.amount" in response.get_json()["errors"]


def test_an_action_refuses_a_query_it_does_not_know_and_does_nothing(story: Story) -> None:
    case = story.at("under_review")
    response = story.post("mediator", f"/cases/{case}/actions/take?dry_run=true")
    assert response.status_code == 422
    assert story.get("mediator", f"/cases/{case}").get_json()["assignee"] is None
