"""Counting time: a limit is a number of seconds, together with the moments that count towards it.

Every moment counts, or only those inside a daily window of local time, or only those of working days, or both. What
counts is laid out as spans of UTC time, one a day, and every question is answered from the same spans. So a limit that
is paused and resumed any number of times runs for exactly as long as one that is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from holidays import HolidayBase, country_holidays, list_supported_countries

DAY = 86400
LONGEST_DAYS = 3660
#: Countries that move working days to weekends every year, by a decree for that year alone. A year without one moved
#: day is therefore a year not announced yet. Source for China: the yearly notices of the State Council's General
#: Office, listed in holidays/countries/china.py. Elsewhere a year without moved days may simply have none.
DECREED_YEARLY = frozenset({"CN"})

#: Zone = its regions. A country with several zones has the busiest one for all subdivisions that are not named.
_ZONES = """
    Africa/Cairo=EG Africa/Johannesburg=ZA Africa/Lagos=NG America/Argentina/Buenos_Aires=AR America/Bogota=CO
    America/Chicago=US-AL,US-AR,US-IA,US-IL,US-KS,US-LA,US-MN,US-MO,US-MS,US-ND,US-NE,US-OK,US-SD,US-TN,US-TX,US-WI
    America/Denver=US-CO,US-ID,US-MT,US-NM,US-UT,US-WY America/Edmonton=CA-AB America/Halifax=CA-NB,CA-NS,CA-PE
    America/Lima=PE America/Los_Angeles=US-CA,US-NV,US-OR,US-WA America/Mexico_City=MX America/New_York=US
    America/Phoenix=US-AZ America/Regina=CA-SK America/Santiago=CL America/Sao_Paulo=BR America/St_Johns=CA-NL
    America/Toronto=CA America/Vancouver=CA-BC America/Winnipeg=CA-MB Asia/Bangkok=TH Asia/Dubai=AE
    Asia/Ho_Chi_Minh=VN Asia/Hong_Kong=HK Asia/Jakarta=ID Asia/Jerusalem=IL Asia/Kolkata=IN Asia/Kuala_Lumpur=MY
    Asia/Kuwait=KW Asia/Macau=MO Asia/Manila=PH Asia/Qatar=QA Asia/Riyadh=SA Asia/Seoul=KR Asia/Shanghai=CN
    Asia/Singapore=SG Asia/Taipei=TW Asia/Tokyo=JP Australia/Adelaide=AU-SA Australia/Brisbane=AU-QLD
    Australia/Darwin=AU-NT Australia/Hobart=AU-TAS Australia/Melbourne=AU-VIC Australia/Perth=AU-WA
    Australia/Sydney=AU Europe/Amsterdam=NL Europe/Berlin=DE Europe/Istanbul=TR Europe/Lisbon=PT Europe/London=GB
    Europe/Madrid=ES Europe/Moscow=RU Europe/Paris=FR Europe/Rome=IT Europe/Stockholm=SE Europe/Warsaw=PL
    Pacific/Auckland=NZ Pacific/Honolulu=US-HI
"""
_ZONE_OF = {
    region: zone for zone, _, named in (pair.partition("=") for pair in _ZONES.split()) for region in named.split(",")
}


@dataclass(frozen=True, slots=True)
class Limit:
    """How long something may take, and which moments count. ValueError, naming the rule, if the parts do not fit.

    `seconds` are counted seconds: seven working days are 7 * 86400, counted on working days only. `opens` and `closes`
    are local wall time. `timezone` (IANA) and `calendar` (a region such as `CN` or `US-CA`) are set where they are not
    those of the region in which the limit is counted.
    """

    seconds: int
    opens: time | None = None
    closes: time | None = None
    working: bool = False
    timezone: str | None = None
    calendar: str | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.seconds <= LONGEST_DAYS * DAY:
            raise ValueError(f"A limit is from 0 to {LONGEST_DAYS} days long.")
        self._check_window()
        if self.timezone is not None:
            if not (self.working or self.opens):
                raise ValueError("A time zone needs a daily window or working days: without them it changes nothing.")
            if self.timezone not in _timezones():
                raise ValueError(f"{self.timezone!r} is no time zone; write one of the IANA list, like Asia/Shanghai.")
        if self.calendar is not None:
            if not self.working:
                raise ValueError("A calendar needs working days: without them no holiday is asked for.")
            if not _is_known(self.calendar):
                raise ValueError(f"No holidays are known for {self.calendar!r}; write a region like CN or US-CA.")

    def _check_window(self) -> None:
        if (self.opens is None) != (self.closes is None):
            raise ValueError("A daily window needs both the time it opens and the time it closes.")
        if self.opens is None or self.closes is None:
            return
        if any(edge.second or edge.microsecond or edge.tzinfo for edge in (self.opens, self.closes)):
            raise ValueError("A daily window opens and closes on whole minutes of local time.")
        if self.opens >= self.closes:
            raise ValueError("A daily window must open before it closes; a window over midnight is not possible.")
        if self.seconds > LONGEST_DAYS * 60 * (_minutes(self.closes) - _minutes(self.opens)):
            raise ValueError(f"A limit with a daily window may take at most {LONGEST_DAYS} windows.")


@dataclass(frozen=True, slots=True)
class Due:
    """When a limit is over (aware, UTC).

    `provisional`: the holidays of a year that mattered are not published yet, and its plain weekdays were counted.
    """

    at: datetime
    provisional: bool


def _minutes(wall: time) -> int:
    return wall.hour * 60 + wall.minute


# --- the written form --------------------------------------------------------------------------------------------

_FORM = re.compile(
    r"(?P<amount>.+?)(?: within (?P<window>\S+))?(?P<working> on working days)?"
    r"(?: in (?P<timezone>\S+))?(?: of (?P<calendar>\S+))?",
    re.IGNORECASE,
)
_WORKING_DAYS = re.compile(r"([0-9]{1,9}) working days?", re.IGNORECASE)
_DURATION = re.compile(
    r"(?=[0-9])(?:([0-9]{1,9})d ?)?(?:([0-9]{1,9})h ?)?(?:([0-9]{1,9})m ?)?(?:([0-9]{1,9})s)?", re.IGNORECASE
)
_WINDOW = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])")


def parse(text: str) -> Limit:
    """The limit that a text spells, such as `48h`, `7d12h`, `7 working days` or
    `4h within 09:00-18:00 on working days in Asia/Shanghai of CN`. Raises ValueError with the rule that was broken.
    """
    found = _FORM.fullmatch(" ".join(text.split()))
    if found is None:
        raise ValueError('A limit must not be empty; write "0" for none.')
    opens, closes = _parsed_window(found["window"]) if found["window"] else (None, None)
    days = _WORKING_DAYS.fullmatch(found["amount"])
    if days and opens:
        raise ValueError('Within a window write the counted hours: "8h within 09:00-17:00 on working days".')
    seconds = int(days[1]) * DAY if days else _parsed_duration(found["amount"])
    working = days is not None or found["working"] is not None
    calendar = found["calendar"].upper() if found["calendar"] else None
    return Limit(seconds, opens, closes, working, found["timezone"], calendar)


def _parsed_duration(text: str) -> int:
    found = _DURATION.fullmatch(text)
    if text == "0":
        return 0
    if found is None or not any(found.groups()):
        raise ValueError(
            f'{text!r} is no length of time; write it like "90s", "15m", "48h", "7d12h" or "7 working days", '
            'and after it, if wanted, "within 09:00-18:00", "on working days", "in Asia/Shanghai", "of CN".'
        )
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return days * DAY + hours * 3600 + minutes * 60 + seconds


def _parsed_window(text: str) -> tuple[time, time]:
    found = _WINDOW.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no daily window; write it like 09:00-18:00, from 00:00 to 23:59.")
    from_hour, from_minute, to_hour, to_minute = (int(part) for part in found.groups())
    return time(from_hour, from_minute), time(to_hour, to_minute)


def spelled(limit: Limit) -> str:
    """The canonical text of a limit: `parse(spelled(limit)) == limit`."""
    parts = []
    if limit.working and limit.opens is None and limit.seconds % DAY == 0:
        days = limit.seconds // DAY
        parts.append(f"{days} working day{'' if days == 1 else 's'}")
    else:
        # A day would look like one whole window there, and it is 24 hours counted inside of windows.
        parts.append(_spelled_duration(limit.seconds, with_days=limit.opens is None))
        if limit.opens and limit.closes:
            parts.append(f"within {limit.opens:%H:%M}-{limit.closes:%H:%M}")
        if limit.working:
            parts.append("on working days")
    if limit.timezone:
        parts.append(f"in {limit.timezone}")
    if limit.calendar:
        parts.append(f"of {limit.calendar}")
    return " ".join(parts)


def _spelled_duration(seconds: int, *, with_days: bool) -> str:
    days, rest = divmod(seconds, DAY) if with_days else (0, seconds)
    sizes = ((days, "d"), (rest // 3600, "h"), (rest % 3600 // 60, "m"), (rest % 60, "s"))
    return "".join(f"{size}{unit}" for size, unit in sizes if size) or "0"


# --- counting ----------------------------------------------------------------------------------------------------


def due(limit: Limit, start: datetime, *, region: str | None) -> Due:
    """When a limit that starts at `start` in a region is over. A limit of zero is over at once.

    A limit used up exactly when the window closes is due then, not when it opens again. ValueError for naive times.
    """
    return due_after(limit, start, timedelta(seconds=limit.seconds), region=region)


def due_after(limit: Limit, start: datetime, left: timedelta, *, region: str | None) -> Due:
    """When the counted time that is `left` of a limit is over, if it goes on at `start`: for a pause that ends."""
    start = _utc(start)
    if left <= timedelta(0):
        return Due(start, provisional=False)
    if _counts_always(limit):
        return Due(start + left, provisional=False)
    provisional = False
    for begin, end, presumed in _spans(limit, start, region):
        provisional = provisional or presumed
        if left <= end - begin:
            return Due(begin + left, provisional)
        left -= end - begin
    raise AssertionError("Spans go on for ever.")


def remaining(limit: Limit, now: datetime, due_at: datetime, *, region: str | None) -> timedelta:
    """The counted time still left between now and the due date, to the microsecond; zero once it is due."""
    now, due_at = _utc(now), _utc(due_at)
    if now >= due_at:
        return timedelta(0)
    if _counts_always(limit):
        return due_at - now
    left = timedelta(0)
    for begin, end, _ in _spans(limit, now, region):
        if begin >= due_at:
            break
        left += min(end, due_at) - begin
    return left


def _counts_always(limit: Limit) -> bool:
    return not limit.working and limit.opens is None


def _utc(moment: datetime) -> datetime:
    if moment.utcoffset() is None:
        raise ValueError("A moment needs a time zone; this one is naive.")
    return moment.astimezone(UTC)


def _spans(limit: Limit, start: datetime, region: str | None) -> Iterator[tuple[datetime, datetime, bool]]:
    """What counts from `start` on: begin and end in UTC, one span a day, and whether an unpublished year had a say.

    Days that do not count are an empty span, so that a loop over the spans sees every day that had a say.
    """
    place = limit.calendar or region
    zone = ZoneInfo(limit.timezone or timezone_of(place))
    day = start.astimezone(zone).date()
    while True:
        year = _working_year(place, day.year) if limit.working else None
        begin = max(start, _edge(day, limit.opens or time.min, zone))
        if limit.closes is None:
            end = _edge(day + timedelta(days=1), time.min, zone)
        else:
            end = _edge(day, limit.closes, zone, last=True)
        if end <= begin or (year is not None and day not in year.days):
            end = begin
        yield begin, end, year is not None and year.provisional
        day += timedelta(days=1)


def _edge(day: date, wall: time, zone: ZoneInfo, *, last: bool = False) -> datetime:
    """The instant, in UTC, at which a wall clock first (or last) shows a time; if it skips that, when it jumps."""
    local = datetime.combine(day, wall.replace(fold=int(last)), zone)
    instant = local.astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None):
        return instant
    before, after = sorted(local.replace(fold=fold).astimezone(UTC) for fold in (0, 1))
    old_offset = before.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
        if middle.astimezone(zone).utcoffset() == old_offset:
            before = middle
        else:
            after = middle
    return after


# --- regions -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _WorkingYear:
    days: frozenset[date]
    provisional: bool


def timezone_of(region: str | None) -> str:
    """The IANA time zone of a region (country, optional subdivision); UTC where it is not known."""
    country = (region or "").partition("-")[0]
    return _ZONE_OF.get(region or "") or _ZONE_OF.get(country, "UTC")


@lru_cache(maxsize=1)
def _timezones() -> frozenset[str]:
    # Names without a slash are legacy aliases, placeholders and this machine's own setting.
    return frozenset(name for name in available_timezones() if "/" in name or name == "UTC")


def _is_known(region: str) -> bool:
    """Whether the library has holidays for a region. Where it knows no subdivisions, the country's hold for any."""
    country, dash, subdivision = region.partition("-")
    known = list_supported_countries(include_aliases=False).get(country)
    if known is None or (dash and not subdivision):
        return False
    return not subdivision or not known or subdivision in known


@lru_cache(maxsize=1024)
def _working_year(region: str | None, year: int) -> _WorkingYear:
    """A year's working days. An unknown subdivision has those of its country, an unknown country Monday to Friday."""
    first, after = date(year, 1, 1), date(year + 1, 1, 1)
    days = [first + timedelta(days=offset) for offset in range((after - first).days)]
    country, _, subdivision = (region or "").partition("-")
    countries = list_supported_countries(include_aliases=False)
    if country not in countries:
        return _WorkingYear(frozenset(day for day in days if day.weekday() < 5), provisional=False)
    holidays = country_holidays(
        country,
        subdiv=subdivision if subdivision in countries[country] else None,
        years=year,
        expand=False,
    )
    if not _is_published(holidays, country, year):
        return _WorkingYear(frozenset(day for day in days if not holidays.is_weekend(day)), provisional=True)
    return _WorkingYear(frozenset(day for day in days if holidays.is_working_day(day)), provisional=False)


def _is_published(holidays: HolidayBase, country: str, year: int) -> bool:
    if country in DECREED_YEARLY:
        return any(day.year == year for day in holidays.weekend_workdays)
    return holidays.start_year <= year <= holidays.end_year
