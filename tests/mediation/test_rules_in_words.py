"""What the rules forbid is refused in words that the caller can act on, in their own language, and leaves no trace.

Each attempt is made once in English and once in Chinese. It is told the rule with its figures, nothing of it is on
file afterwards, and whoever then does as they were told is let through.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from werkzeug.test import TestResponse

from mediation.settings import Settings
from tests.mediation.conftest import make_services
from tests.mediation.story import ADDRESS, PARCEL, decision, money
from tests.mediation.test_bad_input import book, require_problem
from tests.mediation.timed import START, Hands, TimedStory

SECOND = timedelta(seconds=1)
SIX_YEARS = timedelta(days=6 * 365)
#: The policies' longest dates set by hand, as default_policies.toml has them.
EVIDENCE, EXTENSION = timedelta(days=14), timedelta(days=10)
GROUNDS = {"grounds": "The carrier was late, not us."}


@pytest.fixture
def timed(settings: Settings) -> Iterator[TimedStory]:
    made = make_services(settings)
    yield TimedStory(made, Hands())
    made.engine.dispose()


@dataclass(frozen=True)
class Attempt:
    """Somebody's request that writes."""

    who: str
    path: str
    body: Any

    def make(self, story: TimedStory, language: str | None = None) -> TestResponse:
        return story.post(self.who, self.path, self.body, {} if language is None else {"Accept-Language": language})


@dataclass(frozen=True)
class Wrong:
    """An attempt that a rule forbids, the figures that its sentence must hold, and what is right instead."""

    attempt: Attempt
    status: int
    code: str
    field: str | None
    figures: tuple[str, ...]
    right: Attempt


def act(who: str, case: str, action: str, body: Any = None) -> Attempt:
    return Attempt(who, f"/cases/{case}/actions/{action}", body)


def at(moment: datetime) -> str:
    """A moment as the API writes it."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


# --- dates -------------------------------------------------------------------------------------------------------


def _evidence(
    story: TimedStory, due: timedelta, *, who: str = "mediator", state: str = "under_review"
) -> tuple[Attempt, datetime]:
    """A request for evidence until so long after the present time, and that time."""
    now = story.hands.now
    body = {"from": "buyer", "items": [{"type": "photo"}], "due": at(now + due)}
    return act(who, story.at(state), "request_evidence", body), now


def _due(attempt: Attempt, moment: datetime) -> Attempt:
    """The same with another date."""
    return replace(attempt, body=attempt.body | {"due": at(moment)})


def evidence_until_yesterday(story: TimedStory) -> Wrong:
    attempt, now = _evidence(story, timedelta(days=-1))
    return Wrong(attempt, 422, "due_in_the_past", "due", (at(now),), _due(attempt, now + SECOND))


def evidence_until_now(story: TimedStory) -> Wrong:
    attempt, now = _evidence(story, timedelta(0))
    return Wrong(attempt, 422, "due_in_the_past", "due", (at(now),), _due(attempt, now + SECOND))


def evidence_beyond_the_longest(story: TimedStory) -> Wrong:
    attempt, now = _evidence(story, EVIDENCE + SECOND)
    return Wrong(attempt, 422, "due_too_far", "due", (at(now + EVIDENCE), "base"), _due(attempt, now + EVIDENCE))


def evidence_beyond_the_longest_in_an_escalation(story: TimedStory) -> Wrong:
    attempt, now = _evidence(story, EVIDENCE + SECOND, who="senior", state="escalated")
    return Wrong(attempt, 422, "due_too_far", "due", (at(now + EVIDENCE), "base"), _due(attempt, now + EVIDENCE))


def _extension(story: TimedStory, state: str, due: Callable[[datetime, datetime], datetime]) -> tuple[Attempt, str]:
    """An extension of the deadline of a case in this state, until `due` of the present time and the present date."""
    case = story.at(state)
    moment = due(story.hands.now, story.due(case))
    return act("mediator", case, "extend", {"due": at(moment), "reason": "They asked for it."}), case


def extension_into_the_past(story: TimedStory) -> Wrong:
    attempt, case = _extension(story, "seller_notified", lambda now, due: now - SECOND)
    right = _due(attempt, story.due(case) + SECOND)
    return Wrong(attempt, 422, "due_in_the_past", "due", (at(story.hands.now),), right)


def extension_to_the_present_date(story: TimedStory) -> Wrong:
    attempt, case = _extension(story, "awaiting_return", lambda now, due: due)
    due = story.due(case)
    return Wrong(attempt, 422, "not_an_extension", "due", (at(due),), _due(attempt, due + SECOND))


def extension_beyond_the_longest(story: TimedStory) -> Wrong:
    attempt, case = _extension(story, "decided", lambda now, due: due + EXTENSION + SECOND)
    latest = story.due(case) + EXTENSION
    return Wrong(attempt, 422, "due_too_far", "due", (at(latest), "base"), _due(attempt, latest))


def second_extension_beyond_what_the_first_left(story: TimedStory) -> Wrong:
    attempt, case = _extension(story, "performed", lambda now, due: due + timedelta(days=9))
    latest = story.due(case) + EXTENSION
    assert attempt.make(story).status_code == 200
    story.hands.move(days=15)
    return Wrong(_due(attempt, latest + SECOND), 422, "due_too_far", "due", (at(latest), "base"), _due(attempt, latest))


def _suspension(ground: str, latest: datetime) -> Callable[[TimedStory], Wrong]:
    def wrong(story: TimedStory) -> Wrong:
        body = {"ground": ground, "until": at(story.hands.now + SIX_YEARS)}
        attempt = act("mediator", story.at("seller_notified"), "suspend", body)
        right = replace(attempt, body=body | {"until": at(latest)})
        return Wrong(attempt, 422, "suspension_too_long", "until", (at(latest),), right)

    return wrong


def suspension_of_thirty_days_and_a_second(story: TimedStory) -> Wrong:
    latest = story.hands.now + timedelta(days=30)
    wrong = _suspension("agreement", latest)(story)
    attempt = replace(wrong.attempt, body=wrong.attempt.body | {"until": at(latest + SECOND)})
    return replace(wrong, attempt=attempt)


def suspensions_that_are_too_long_together(story: TimedStory) -> Wrong:
    case = story.at("seller_notified")
    for _ in range(2):
        until = story.hands.now + timedelta(days=12)
        story.do("mediator", case, "suspend", {"ground": "agreement", "until": at(until)})
        story.hands.move(days=12)
        story.fire(case)
    latest = story.hands.now + timedelta(days=6)
    attempt = act("senior", case, "suspend", {"ground": "agreement", "until": at(latest + SECOND)})
    right = replace(attempt, body={"ground": "agreement", "until": at(latest)})
    return Wrong(attempt, 422, "suspension_too_long", "until", (at(latest),), right)


def suspension_until_yesterday(story: TimedStory) -> Wrong:
    now = story.hands.now
    body = {"ground": "police", "until": at(now - timedelta(days=1))}
    attempt = act("mediator", story.at("escalated"), "suspend", body)
    right = replace(attempt, body=body | {"until": at(now + SECOND)})
    return Wrong(attempt, 422, "due_in_the_past", "until", (at(now),), right)


# --- returns -----------------------------------------------------------------------------------------------------


def _return_by(who: str) -> Callable[[TimedStory], Wrong]:
    def wrong(story: TimedStory) -> Wrong:
        case = story.at("awaiting_return")
        right = act("buyer", case, "ship_return", PARCEL)
        return Wrong(replace(right, who=who), 403, "not_permitted", None, ("ship_return",), right)

    return wrong


def _without_address(who: str, state: str, action: str, body: dict[str, Any]) -> Callable[[TimedStory], Wrong]:
    def wrong(story: TimedStory) -> Wrong:
        attempt = act(who, story.at(state, request="return_and_refund"), action, body)
        right = replace(attempt, body=body | {"return_address": ADDRESS})
        return Wrong(attempt, 422, "return_address_needed", "return_address", ("return_address",), right)

    return wrong


def return_accepted_without_address(story: TimedStory) -> Wrong:
    case = story.at("seller_notified")
    story.do("buyer", case, "offer", {"remedy": "return_and_refund", "amount": money(12_900)})
    attempt = act("seller", case, "accept_offer")
    right = replace(attempt, body={"return_address": ADDRESS})
    return Wrong(attempt, 422, "return_address_needed", "return_address", ("return_address",), right)


# --- once, and no more -------------------------------------------------------------------------------------------


def second_appeal_of_one_side(story: TimedStory) -> Wrong:
    case = story.at("appealed")
    attempt = act("seller", case, "appeal", GROUNDS)
    return Wrong(attempt, 422, "already_appealed", None, (), replace(attempt, who="buyer"))


def appeal_against_a_second_decision(story: TimedStory) -> Wrong:
    case = story.at("appealed")
    story.do("senior", case, "decide", {"upholds": True, "reasons": "Nothing new was brought."})
    right = Attempt("buyer", f"/cases/{case}/messages", {"text": "I do not agree."})
    return Wrong(act("buyer", case, "appeal", GROUNDS), 409, "wrong_state", None, ("appeal",), right)


def appeal_after_accepting(story: TimedStory) -> Wrong:
    case = story.at("decided")
    story.do("buyer", case, "accept_decision")
    attempt = act("buyer", case, "appeal", GROUNDS)
    return Wrong(attempt, 422, "already_accepted", None, (), replace(attempt, who="seller"))


def _fourth_counter_offer(who: str) -> Callable[[TimedStory], Wrong]:
    def wrong(story: TimedStory) -> Wrong:
        case = story.at("seller_notified")
        body = {"remedy": "partial_refund", "amount": money(500)}
        other = "seller" if who == "buyer" else "buyer"
        story.do(other, case, "offer", body)  # It opens the talks and counters nothing.
        for n in range(3):
            story.do(who, case, "offer", body | {"amount": money(600 + n)})
            story.do(other, case, "offer", body | {"amount": money(700 + n)})
        attempt = act(who, case, "offer", body)
        return Wrong(attempt, 422, "counter_offers_exhausted", None, ("3",), act(who, case, "accept_offer"))

    return wrong


def _disputed_again(who: str) -> Callable[[TimedStory], Wrong]:
    def wrong(story: TimedStory) -> Wrong:
        case = story.at("decided")
        for side in ("buyer", "seller"):
            story.do(side, case, "accept_decision")
        story.pay()
        body = story.case_body()
        [claim] = body["claims"]
        asked = {"order": {"id": story.case(case)["order"]["id"]}, "claims": [claim | {"amount": money(100)}]}
        attempt = Attempt(who, "/cases", asked)
        right = replace(attempt, body=asked | {"claims": [asked["claims"][0] | {"reason": "damaged"}]})
        return Wrong(attempt, 409, "already_decided", "claims.0.line_id", ("1",), right)

    return wrong


# --- whose case it becomes ---------------------------------------------------------------------------------------


def hand_over_by_an_unknown_category(story: TimedStory) -> Wrong:
    case = story.at("under_review")
    story.do("mediator", case, "take")
    body = {"to": "max", "category": "kettles", "reason": "He knows them.", "consent": True}
    attempt = act("mediator", case, "hand_over", body)
    right = replace(attempt, body=body | {"category": "home_appliances"})
    return Wrong(attempt, 422, "unknown_category", "category", ("kettles", "home_appliances", "toys"), right)


def hand_over_without_consent(story: TimedStory) -> Wrong:
    case = story.at("escalated")
    story.do("senior", case, "take")
    body = {"to": "sue", "category": "toys", "reason": "She knows them.", "consent": False}
    attempt = act("senior", case, "hand_over", body)
    return Wrong(attempt, 422, "consent_needed", "consent", (), replace(attempt, body=body | {"consent": True}))


def escalation_to_an_unknown_category(story: TimedStory) -> Wrong:
    body = {"reason": "complex", "category": "Toys"}
    attempt = act("mediator", story.at("under_review"), "escalate", body)
    right = replace(attempt, body=body | {"category": "toys"})
    return Wrong(attempt, 422, "unknown_category", "category", ("Toys", "home_appliances", "toys"), right)


WRONGS: dict[str, Callable[[TimedStory], Wrong]] = {
    one.__name__: one
    for one in (
        evidence_until_yesterday,
        evidence_until_now,
        evidence_beyond_the_longest,
        evidence_beyond_the_longest_in_an_escalation,
        extension_into_the_past,
        extension_to_the_present_date,
        extension_beyond_the_longest,
        second_extension_beyond_what_the_first_left,
        suspension_of_thirty_days_and_a_second,
        suspensions_that_are_too_long_together,
        suspension_until_yesterday,
        return_accepted_without_address,
        second_appeal_of_one_side,
        appeal_against_a_second_decision,
        appeal_after_accepting,
        hand_over_by_an_unknown_category,
        hand_over_without_consent,
        escalation_to_an_unknown_category,
    )
} | {
    "six_years_by_agreement": _suspension("agreement", START + timedelta(days=30)),
    # Thursday, 10 in the morning in Shanghai; seven working days later is the Monday after next.
    "six_years_for_a_court": _suspension("court_docket", datetime(2026, 11, 16, 2, 0, tzinfo=UTC)),
    "six_years_for_the_police": _suspension("police", START + timedelta(days=183)),
    "return_by_the_seller": _return_by("seller"),
    "return_by_a_mediator": _return_by("mediator"),
    "return_by_the_platform": _return_by("platform"),
    "return_agreed_without_address": _without_address("seller", "seller_notified", "agree", {}),
    "return_offered_without_address": _without_address("seller", "seller_refused", "offer", {"remedy": "repair"}),
    "return_decided_without_address": _without_address(
        "mediator", "under_review", "decide", decision(remedy={"kind": "exchange"}, liability=[])
    ),
    "fourth_counter_offer_of_the_buyer": _fourth_counter_offer("buyer"),
    "fourth_counter_offer_of_the_seller": _fourth_counter_offer("seller"),
    "decided_line_disputed_again_by_the_platform": _disputed_again("platform"),
    "decided_line_disputed_again_by_the_buyer": _disputed_again("buyer"),
}

_ENGLISH = re.compile(r"[A-Za-z]+ [a-z]+ [a-z]+")
_CHINESE = re.compile(r"[\u4e00-\u9fff]{2,}")


@pytest.mark.parametrize("language", ["en", "zh-CN"])
@pytest.mark.parametrize("name", WRONGS)
def test_a_rule_is_told_in_words_leaves_nothing_and_can_be_kept(timed: TimedStory, name: str, language: str) -> None:
    wrong = WRONGS[name](timed)
    before = book(timed)
    told = require_problem(wrong.attempt.make(timed, language), wrong.status)
    assert book(timed) == before
    assert told["code"] == wrong.code
    sentence = told["detail"]
    for figure in wrong.figures:
        assert figure in sentence
    if language == "en":
        assert _ENGLISH.search(sentence) and not _CHINESE.search(sentence), sentence
    else:
        assert _CHINESE.search(sentence) and not _ENGLISH.search(sentence), sentence
    assert told.get("errors") == (None if wrong.field is None else {wrong.field: [sentence]})
    right = wrong.right.make(timed, language)
    assert right.status_code in (200, 201), right.get_data(as_text=True)


@pytest.mark.parametrize(
    ("asked", "spoken"),
    [
        ("zh-CN", "zh"),
        ("zh", "zh"),
        ("zh-CN,zh;q=0.9,en;q=0.1", "zh"),
        ("fr, zh-CN;q=0.2", "zh"),
        ("en", "en"),
        ("en-GB", "en"),
        ("en;q=0.9,zh-CN;q=0.5", "en"),
        ("fr", "en"),
        ("", "en"),
        ("*", "en"),
    ],
)
def test_the_language_is_the_callers_and_english_where_they_speak_neither(
    timed: TimedStory, asked: str, spoken: str
) -> None:
    told = require_problem(evidence_until_yesterday(timed).attempt.make(timed, asked), 422)
    assert bool(_CHINESE.search(told["detail"])) == (spoken == "zh"), told["detail"]


def test_another_buyers_return_does_not_even_find_the_case(timed: TimedStory) -> None:
    """To a stranger it is as if there were none: a refusal by rule would tell that there is one."""
    case = timed.at("awaiting_return")
    before = book(timed)
    for who in ("other_buyer", "other_seller"):
        there = require_problem(act(who, case, "ship_return", PARCEL).make(timed), 404)
        nowhere = require_problem(act(who, case[:-1] + "0", "ship_return", PARCEL).make(timed), 404)
        assert {**there, "request_id": 0} == {**nowhere, "request_id": 0}
    assert book(timed) == before


@pytest.mark.parametrize(
    "name", ["evidence_beyond_the_longest", "return_agreed_without_address", "six_years_for_a_court"]
)
def test_a_refusal_is_none_of_the_answers_that_a_retry_gets_again(timed: TimedStory, name: str) -> None:
    """The key of a request that was refused is free: the mended request may bear it."""
    wrong = WRONGS[name](timed)
    key = {"Idempotency-Key": "once"}
    before = book(timed)
    for _ in range(2):
        require_problem(timed.post(wrong.attempt.who, wrong.attempt.path, wrong.attempt.body, key), wrong.status)
    assert book(timed) == before
    assert timed.post(wrong.right.who, wrong.right.path, wrong.right.body, key).status_code == 200


def test_a_rule_refuses_a_body_only_after_the_state_and_the_role_were_found_right(timed: TimedStory) -> None:
    """A date that is too far is no news to somebody who may not name one at all."""
    far = {"due": at(timed.hands.now + SIX_YEARS), "reason": "x"}
    case = timed.at("opened")
    assert require_problem(act("buyer", case, "extend", far).make(timed), 403)["code"] == "not_permitted"
    assert require_problem(act("mediator", case, "extend", far).make(timed), 409)["code"] == "wrong_state"
