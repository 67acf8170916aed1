"""Dates and times of day as chat programs write them in the user's own habit."""

import re
from collections.abc import Iterable
from datetime import datetime

from evidence.errors import NotAdmitted
from evidence.transcripts.pieces import DateOrder, Stated

UNREADABLE = ("unreadable_time",)
#: Morning and afternoon, before or behind the time, with the spaces that newer programs put there.
MARK = r"(?:[AaPp]\.?[ \u00a0\u202f]?[Mm]\.?|上午|下午|凌晨|早上|中午|晚上)"
_AFTERNOON = re.compile(r"[Pp]|下午|晚上")
_MORNING = re.compile(r"[Aa]|上午|凌晨|早上")


def hour_of(hour: int, mark: str | None) -> int:
    """The hour of the day, 0 to 23, of an hour with a mark of morning or afternoon (None: 24 hours).

    Hours that already lie in the afternoon, and 00 in the morning, are taken as they stand. Noon is 12 中午.
    """
    if mark is None or hour > 12:
        return hour
    if _AFTERNOON.search(mark) or (mark == "中午" and hour < 4):
        return hour % 12 + 12
    return hour % 12 if _MORNING.search(mark) else hour


def order_of(dates: Iterable[tuple[int, int, int]], stated: DateOrder | None) -> DateOrder:
    """In which order dates of three numbers are written: as what is in them proves, else as it was stated.

    Raises NotAdmitted with field date_order: date_order_needed where nothing proves it and nothing was stated,
    date_order_does_not_fit where no order, or not the stated one, makes dates of all of them that are dates at all.
    """
    possible = set(DateOrder)
    dated = False
    for numbers in dates:
        fitting = _fitting(numbers, stated)
        if fitting:
            # A date that no order makes a date of is no evidence of the order.
            possible &= fitting
            dated = True
    if not dated:
        return stated or DateOrder.ymd
    if stated is not None and stated in possible:
        return stated
    if stated is not None or not possible:
        detail = "the dates in the file cannot be read in this order" if stated else "the dates contradict each other"
        raise NotAdmitted("date_order", "date_order_does_not_fit", detail)
    if len(possible) > 1:
        raise NotAdmitted(
            "date_order",
            "date_order_needed",
            "the dates can be read in several ways: state dmy (day first), mdy (month first) or ymd (year first)",
        )
    return possible.pop()


def _fitting(numbers: tuple[int, int, int], stated: DateOrder | None) -> set[DateOrder]:
    """The orders in which three numbers are a date.

    Whoever writes the year first writes all of it, so that two digits are a year only where nothing else fits, or
    where the filer says so.
    """
    fitting = {order for order in DateOrder if _fits(numbers, order)}
    short = DateOrder.ymd in fitting and numbers[0] < 100
    return fitting - {DateOrder.ymd} if short and len(fitting) > 1 and stated is not DateOrder.ymd else fitting


def _fits(numbers: tuple[int, int, int], order: DateOrder) -> bool:
    year, month, day = arranged(numbers, order)
    return _is_year(year) and 1 <= month <= 12 and 1 <= day <= 31


def _is_year(year: int) -> bool:
    return year < 100 or year >= 1990


def arranged(numbers: tuple[int, int, int], order: DateOrder) -> tuple[int, int, int]:
    """Year, month and day of three numbers; a year is as written."""
    first, second, third = numbers
    if order is DateOrder.ymd:
        return first, second, third
    return (third, second, first) if order is DateOrder.dmy else (third, first, second)


def local_time(numbers: tuple[int, int, int], order: DateOrder, clock: tuple[int, int, int]) -> datetime | None:
    """The naive local time, None where there is no such day or time. Years of two digits are of this century."""
    year, month, day = arranged(numbers, order)
    if not _is_year(year):
        return None
    try:
        return datetime(year + 2000 if year < 100 else year, month, day, *clock)  # noqa: DTZ001 - local, zone to come
    except ValueError:
        return None


def instant_of(local: datetime | None, stated: Stated) -> tuple[datetime | None, tuple[str, ...]]:
    """A local time in UTC with its doubts; None with the doubt `unreadable_time` where there is none.

    Raises NotAdmitted (timezone_needed) where no zone was stated.
    """
    if local is None:
        return None, UNREADABLE
    try:
        return stated.instant(local)
    except ValueError:
        # The very first and last hours of the calendar lie outside it in some zones.
        return None, UNREADABLE
