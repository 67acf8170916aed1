"""Counting time: the written form, windows of the day, working days, summer time, pauses."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from workflows.working_days import DAY, Due, Limit, due, due_after, parse, remaining, spelled, timezone_of

HOUR = 3600
NINE_TO_SIX = "within 09:00-18:00"


def at(text: str, zone: str = "Asia/Shanghai") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


def local(found: Due, zone: str = "Asia/Shanghai") -> str:
    return f"{found.at.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}"


# --- the written form --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("0", Limit(0)),
        ("90s", Limit(90)),
        ("15m", Limit(900)),
        ("48h", Limit(48 * HOUR)),
        ("7d12H", Limit(7 * DAY + 12 * HOUR)),
        ("  7d   12h ", Limit(7 * DAY + 12 * HOUR)),
        ("3660d", Limit(3660 * DAY)),
        ("7 working days", Limit(7 * DAY, working=True)),
        ("1 Working  Day", Limit(DAY, working=True)),
        ("12h on working days", Limit(12 * HOUR, working=True)),
        ("4h within 09:00-18:00", Limit(4 * HOUR, time(9), time(18))),
        ("7 working days of us-ca", Limit(7 * DAY, working=True, calendar="US-CA")),
        ("7 working days of CN-SH", Limit(7 * DAY, working=True, calendar="CN-SH")),
        (
            "4h WITHIN 09:00-18:30 on working days in Asia/Shanghai of CN",
            Limit(4 * HOUR, time(9), time(18, 30), True, "Asia/Shanghai", "CN"),
        ),
    ],
)
def test_a_limit_is_read_from_its_text(text: str, limit: Limit) -> None:
    assert parse(text) == limit


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "must not be empty"),
        ("  ", "must not be empty"),
        ("48", "no length of time"),
        ("two days", "no length of time"),
        ("-1h", "no length of time"),
        ("1.5h", "no length of time"),
        ("12h7d", "no length of time"),
        ("４８h", "no length of time"),
        ("48h or so", "no length of time"),
        ("48h of CN in Asia/Shanghai", "calendar needs working days|is no length of time"),
        ("3661d", "0 to 3660 days"),
        ("99999 working days", "0 to 3660 days"),
        ("4h within 9-18", "no daily window"),
        ("4h within 09:00-24:00", "from 00:00 to 23:59"),
        ("4h within 18:00-09:00", "over midnight is not possible"),
        ("4h within 09:00-09:00", "must open before it closes"),
        ("3660d within 09:00-09:01", "at most 3660 windows"),
        ("2 working days within 09:00-18:00", "write the counted hours"),
        ("4h within 09:00-18:00 in Asia/Nowhere", "'Asia/Nowhere' is no time zone"),
        ("4h within 09:00-18:00 in localtime", "is no time zone"),
        ("4h within 09:00-18:00 in ../etc/passwd", "is no time zone"),
        ("7 working days of XX", "No holidays are known for 'XX'"),
        ("7 working days of US-XX", "No holidays are known for 'US-XX'"),
        ("7 working days of US-", "No holidays are known for 'US-'"),
        ("48h of CN", "calendar needs working days"),
        ("48h in Asia/Shanghai", "time zone needs a daily window or working days"),
    ],
)
def test_what_is_no_limit_is_refused_with_the_rule(text: str, rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        parse(text)


@pytest.mark.parametrize(
    ("window", "rule"),
    [
        ((time(9), None), "both the time it opens"),
        ((None, time(9)), "both the time it opens"),
        ((time(9, 0, 1), time(18)), "whole minutes"),
        ((time(9, tzinfo=UTC), time(18)), "local time"),
    ],
)
def test_half_a_window_or_an_odd_one_is_refused(window: tuple[time | None, time | None], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        Limit(60, *window)


def test_a_negative_limit_is_refused() -> None:
    with pytest.raises(ValueError, match="from 0 to"):
        Limit(-1)


@pytest.mark.parametrize(
    ("limit", "text"),
    [
        (Limit(0), "0"),
        (Limit(48 * HOUR), "2d"),
        (Limit(DAY + 61), "1d1m1s"),
        (Limit(DAY, working=True), "1 working day"),
        (Limit(0, working=True), "0 working days"),
        (Limit(DAY + HOUR, working=True), "1d1h on working days"),
        (Limit(30 * HOUR, time(9), time(18)), "30h within 09:00-18:00"),
        (
            Limit(HOUR, time(9), time(18), True, "Asia/Tokyo", "CN"),
            "1h within 09:00-18:00 on working days in Asia/Tokyo of CN",
        ),
    ],
)
def test_a_limit_has_one_spelling(limit: Limit, text: str) -> None:
    assert spelled(limit) == text


windows = st.sampled_from([(None, None), (time(9), time(18)), (time(0), time(23, 59)), (time(2, 30), time(3, 15))])
zones = st.sampled_from([None, "Asia/Shanghai", "America/New_York", "America/Santiago", "Australia/Lord_Howe", "UTC"])
regions = st.sampled_from([None, "CN", "CN-SH", "US-CA", "DE", "KW", "HK", "CL", "XX"])


@st.composite
def limits(draw: st.DrawFn, longest: int = 40 * DAY) -> Limit:
    opens, closes = draw(windows)
    working = draw(st.booleans())
    zone = draw(zones) if working or opens else None
    calendar = draw(st.sampled_from([None, "CN", "US-CA"])) if working else None
    return Limit(draw(st.integers(0, longest)), opens, closes, working, zone, calendar)


@given(limits())
def test_a_spelled_limit_is_read_back(limit: Limit) -> None:
    assert parse(spelled(limit)) == limit


# --- windows of the day ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "until"),
    [
        ("2026-03-03 16:00", "2026-03-04 11:00"),
        ("2026-03-03 20:00", "2026-03-04 13:00"),
        ("2026-03-03 14:00", "2026-03-03 18:00"),
        ("2026-03-03 18:00", "2026-03-04 13:00"),
        ("2026-03-03 03:00", "2026-03-03 13:00"),
        ("2026-03-03 09:00", "2026-03-03 13:00"),
    ],
)
def test_a_window_across_the_night_comes_out_right(start: str, until: str) -> None:
    assert local(due(parse(f"4h {NINE_TO_SIX}"), at(start), region="CN")) == until


def test_what_the_night_does_not_count_does_not_remain() -> None:
    limit = parse(f"4h {NINE_TO_SIX}")
    until = due(limit, at("2026-03-03 16:00"), region="CN").at
    assert remaining(limit, at("2026-03-03 17:59"), until, region="CN") == timedelta(hours=2, minutes=1)
    assert remaining(limit, at("2026-03-03 22:00"), until, region="CN") == timedelta(hours=2)
    assert remaining(limit, at("2026-03-04 11:00"), until, region="CN") == timedelta(0)
    assert remaining(limit, at("2026-03-09 11:00"), until, region="CN") == timedelta(0)


def test_a_window_is_in_the_time_of_the_region_unless_the_limit_says_otherwise() -> None:
    start = datetime(2026, 3, 3, 8, tzinfo=UTC)
    assert due(parse(f"4h {NINE_TO_SIX}"), start, region="CN").at == datetime(2026, 3, 4, 3, tzinfo=UTC)
    assert due(parse(f"4h {NINE_TO_SIX}"), start, region=None).at == datetime(2026, 3, 3, 13, tzinfo=UTC)
    tokyo = parse(f"4h {NINE_TO_SIX} in Asia/Tokyo")
    assert due(tokyo, start, region="CN").at == datetime(2026, 3, 4, 3, tzinfo=UTC)


def test_an_always_counting_limit_is_plain_arithmetic() -> None:
    start = at("2026-03-03 16:00:00.000001")
    assert due(parse("3660d"), start, region="CN") == Due(start.astimezone(UTC) + timedelta(days=3660), False)
    assert due(parse("48h"), start, region="CN").at.tzinfo is UTC


@pytest.mark.parametrize("text", ["0", "0 working days", f"0 {NINE_TO_SIX}"])
def test_a_limit_of_zero_is_due_at_once_even_at_night(text: str) -> None:
    start = at("2026-10-01 23:30")
    assert due(parse(text), start, region="CN") == Due(start.astimezone(UTC), provisional=False)


def test_a_naive_moment_is_refused() -> None:
    naive, aware = datetime(2026, 3, 3), datetime(2026, 3, 3, tzinfo=UTC)  # noqa: DTZ001 - it is what is tried
    for ask in (
        lambda: due(Limit(1), naive, region=None),
        lambda: due_after(Limit(1), naive, timedelta(0), region=None),
        lambda: remaining(Limit(1), naive, aware, region=None),
        lambda: remaining(Limit(1), aware, naive, region=None),
    ):
        with pytest.raises(ValueError, match="naive"):
            ask()


# --- working days ------------------------------------------------------------------------------------------------


def test_a_weekend_does_not_count() -> None:
    # 2026-03-06 is a Friday.
    assert local(due(parse("2 working days"), at("2026-03-06 10:00"), region="CN")) == "2026-03-10 10:00"
    assert local(due(parse("1 working day"), at("2026-03-07 10:00"), region="CN")) == "2026-03-10 00:00"


def test_a_working_sunday_counts_in_china() -> None:
    """Sunday 2025-09-28 and Saturday 2025-10-11 were worked for National Day, by the State Council's notice."""
    assert local(due(parse("2 working days"), at("2025-09-27 12:00"), region="CN")) == "2025-09-30 00:00"
    assert (
        local(due(parse("2 working days in Asia/Shanghai of US"), at("2025-09-27 12:00"), region="CN"))
        == "2025-10-01 00:00"
    )
    assert local(due(parse("1 working day"), at("2025-10-10 12:00"), region="CN")) == "2025-10-11 12:00"
    assert local(due(parse("1 working day"), at("2026-09-19 12:00"), region="CN-SH")) == "2026-09-21 00:00"


def test_the_week_of_national_day_does_not_count_in_china() -> None:
    assert local(due(parse("1 working day"), at("2026-09-30 18:00"), region="CN")) == "2026-10-08 18:00"
    assert local(due(parse("1 working day"), at("2025-09-30 18:00"), region="CN")) == "2025-10-09 18:00"
    hours = parse(f"4h {NINE_TO_SIX} on working days")
    assert local(due(hours, at("2026-09-30 16:00"), region="CN")) == "2026-10-08 11:00"


def test_spring_festival_is_skipped_and_made_up_for_in_china() -> None:
    # Off from 15 to 23 February 2026; Saturday the 14th and Saturday the 28th are worked.
    assert local(due(parse("2 working days"), at("2026-02-14 00:00"), region="CN")) == "2026-02-25 00:00"
    assert local(due(parse("2 working days"), at("2026-02-27 12:00"), region="CN")) == "2026-03-02 12:00"


def test_a_region_has_its_own_weekend_and_a_subdivision_its_own_holidays() -> None:
    # Friday and Saturday are the weekend in Kuwait: from Thursday on, the next working day is Sunday.
    assert local(due(parse("1 working day"), at("2026-07-09 12:00", "Asia/Kuwait"), region="KW"), "Asia/Kuwait") == (
        "2026-07-12 12:00"
    )
    # Cesar Chavez Day, Tuesday 2026-03-31, is off in California only.
    start = at("2026-03-31 08:00", "America/Los_Angeles")
    assert local(due(parse("8h on working days"), start, region="US-CA"), "America/Los_Angeles") == "2026-04-01 08:00"
    assert local(due(parse("8h on working days"), start, region="US-WA"), "America/Los_Angeles") == "2026-03-31 16:00"


@pytest.mark.parametrize("region", [None, "XX", "XX-YY"])
def test_an_unknown_region_works_from_monday_to_friday(region: str | None) -> None:
    christmas = datetime(2026, 12, 24, 12, tzinfo=UTC)  # a Thursday
    assert due(parse("2 working days"), christmas, region=region) == Due(datetime(2026, 12, 28, 12, tzinfo=UTC), False)


def test_an_unknown_subdivision_has_the_holidays_of_its_country() -> None:
    start = at("2026-12-24 12:00", "America/New_York")
    found = due(parse("1 working day"), start, region="US-XX")
    assert (local(found, "America/New_York"), found.provisional) == ("2026-12-28 12:00", False)


def test_a_year_that_is_not_published_is_counted_by_weekdays_and_provisional() -> None:
    # National Day 2035 is a Monday; its week will be off, but nobody has said how.
    found = due(parse("3 working days"), at("2035-09-28 12:00"), region="CN")
    assert (local(found), found.provisional) == ("2035-10-03 12:00", True)
    japan = due(parse("1 working day"), datetime(2150, 1, 1, tzinfo=UTC), region="JP")
    assert japan.provisional


def test_an_unpublished_year_matters_only_if_counting_gets_there() -> None:
    assert not due(parse("7 working days"), at("2026-12-01 12:00"), region="CN").provisional
    assert due(parse("400 working days"), at("2026-12-01 12:00"), region="CN").provisional
    assert not due(parse("400d"), at("2026-12-01 12:00"), region="CN").provisional
    assert not due(parse("400 working days"), at("2026-12-01 12:00"), region="DE").provisional


# --- summer time -------------------------------------------------------------------------------------------------

NEW_YORK = "America/New_York"


def test_a_window_with_the_spring_gap_is_an_hour_shorter() -> None:
    # 2026-03-08, 02:00 to 03:00 does not exist.
    limit = parse("5h within 00:00-06:00")
    assert local(due(limit, at("2026-03-08 00:00", NEW_YORK), region="US"), NEW_YORK) == "2026-03-08 06:00"
    assert local(due(limit, at("2026-03-07 00:00", NEW_YORK), region="US"), NEW_YORK) == "2026-03-07 05:00"


def test_a_window_with_the_autumn_overlap_is_an_hour_longer() -> None:
    limit = parse("7h within 00:00-06:00")
    assert local(due(limit, at("2026-11-01 00:00", NEW_YORK), region="US"), NEW_YORK) == "2026-11-01 06:00"


def test_a_window_that_closes_in_the_hour_that_comes_twice_closes_the_second_time() -> None:
    # 01:30 is at 05:30 UTC, and again at 06:30.
    found = due(parse("2h30m within 00:00-01:30"), at("2026-11-01 00:00", NEW_YORK), region="US")
    assert found.at == datetime(2026, 11, 1, 6, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "until"),
    [
        ("1h within 02:30-18:00", "2026-03-08 04:00"),
        ("1h within 01:00-02:30", "2026-03-08 03:00"),
        ("2h within 01:00-02:30", "2026-03-09 02:00"),
        ("10m within 02:15-02:45", "2026-03-09 02:25"),
    ],
)
def test_a_window_that_opens_or_closes_in_the_gap_does_so_when_the_clock_jumps(text: str, until: str) -> None:
    assert local(due(parse(text), at("2026-03-08 00:00", NEW_YORK), region="US"), NEW_YORK) == until


def test_a_working_day_of_23_hours_counts_23() -> None:
    # Sunday is a working day in Kuwait, and the day on which New York's clocks change.
    limit = parse("1 working day in America/New_York of KW")
    assert local(due(limit, at("2026-03-08 00:00", NEW_YORK), region="CN"), NEW_YORK) == "2026-03-09 01:00"
    assert local(due(limit, at("2026-03-15 00:00", NEW_YORK), region="CN"), NEW_YORK) == "2026-03-16 00:00"


def test_a_day_whose_midnight_is_skipped_begins_when_the_clock_jumps() -> None:
    # In Santiago clocks jump from 00:00 to 01:00 on Sunday 2026-09-06.
    limit = parse("1h within 00:00-23:59")
    start = at("2026-09-05 23:59", "America/Santiago")
    assert local(due(limit, start, region="CL"), "America/Santiago") == "2026-09-06 02:00"


# --- pauses ------------------------------------------------------------------------------------------------------

starts = st.datetimes(datetime(2025, 1, 1), datetime(2027, 3, 1), timezones=st.just(UTC))  # noqa: DTZ001
shares = st.floats(0, 1, exclude_max=True)


@given(limits(), starts, regions, shares)
@example(parse("1h within 02:30-03:15"), datetime(2026, 3, 8, 5, tzinfo=UTC), "US", 0.5)
def test_what_remains_leads_to_the_same_due_date_from_any_moment(
    limit: Limit, start: datetime, region: str | None, share: float
) -> None:
    until = due(limit, start, region=region).at
    now = start + (until - start) * share
    left = remaining(limit, now, until, region=region)
    assert due_after(limit, now, left, region=region).at == until
    assert timedelta(0) <= left <= timedelta(seconds=limit.seconds)


@given(limits(), starts, regions)
def test_at_the_start_all_of_it_remains_and_when_due_nothing(limit: Limit, start: datetime, region: str | None) -> None:
    until = due(limit, start, region=region).at
    assert remaining(limit, start, until, region=region) == timedelta(seconds=limit.seconds)
    assert remaining(limit, until, until, region=region) == timedelta(0)


@given(limits(), starts, regions, shares, shares)
def test_less_remains_the_later_it_is(
    limit: Limit, start: datetime, region: str | None, one: float, other: float
) -> None:
    until = due(limit, start, region=region).at
    earlier, later = (start + (until - start) * share for share in sorted((one, other)))
    left = [remaining(limit, now, until, region=region) for now in (earlier, later)]
    assert left[0] >= left[1]
    assert left[0] - left[1] <= later - earlier


@given(limits(), starts, regions, st.lists(st.tuples(shares, st.timedeltas(timedelta(0), timedelta(days=9)))))
def test_any_number_of_pauses_keeps_the_total_to_the_microsecond(
    limit: Limit, start: datetime, region: str | None, pauses: list[tuple[float, timedelta]]
) -> None:
    now, until, ran = start, due(limit, start, region=region).at, timedelta(0)
    for share, pause in pauses:
        before = remaining(limit, now, until, region=region)
        now += (until - now) * share
        left = remaining(limit, now, until, region=region)
        ran += before - left
        now += pause
        until = due_after(limit, now, left, region=region).at
    assert ran + remaining(limit, now, until, region=region) == timedelta(seconds=limit.seconds)


@given(limits(), starts, regions)
def test_a_window_or_a_calendar_never_makes_a_limit_shorter(limit: Limit, start: datetime, region: str | None) -> None:
    assert due(limit, start, region=region).at >= start + timedelta(seconds=limit.seconds)


# --- time zones of regions ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("region", "zone"),
    [
        ("CN", "Asia/Shanghai"),
        ("CN-SH", "Asia/Shanghai"),
        ("US", "America/New_York"),
        ("US-CA", "America/Los_Angeles"),
        ("US-NY", "America/New_York"),
        ("AU-WA", "Australia/Perth"),
        ("GB-SCT", "Europe/London"),
        ("XX", "UTC"),
        ("", "UTC"),
        (None, "UTC"),
    ],
)
def test_a_region_has_a_time_zone(region: str | None, zone: str) -> None:
    assert timezone_of(region) == zone


def test_every_market_place_we_name_has_a_real_time_zone() -> None:
    asia = ["CN", "HK", "TW", "JP", "KR", "SG", "MY", "TH", "VN", "ID", "PH", "IN", "KW", "AE", "SA"]
    others = ["AU", "GB", "DE", "FR", "ES", "IT", "PL", "US", "CA", "MX", "BR", "AR"]
    assert all(timezone_of(country) != "UTC" and ZoneInfo(timezone_of(country)) for country in asia + others)
