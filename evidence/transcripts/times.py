"""Times as chat logs state them: with an offset, or local to a zone that the filer has named.

A zone is never guessed. Local times that a change of clocks made impossible or ambiguous are read as the earlier of
the two instants they could mean (PEP 495, fold=0), and reported.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from evidence.errors import NotAdmitted

# RFC 3339 with the latitude of ISO 8601 that exports use: seconds and offset may be left out. `fromisoformat` alone
# would also take week dates, missing separators and any character between date and time.
_TIME = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(?P<offset>[Zz]|[+-]\d{2}:?\d{2})?", re.ASCII
)


@cache
def _zone_names() -> frozenset[str]:
    # "localtime" is whatever the machine is set to and "Factory" says that nobody set it: neither is a statement.
    return frozenset(available_timezones() - {"localtime", "Factory"})


def zone(name: object) -> ZoneInfo:
    """Return the zone of an IANA name. Raises NotAdmitted (field timezone, unknown_timezone)."""
    # Asked of the list and not of ZoneInfo, which opens files by this name: what a client sends is no path.
    if not isinstance(name, str) or name not in _zone_names():
        raise NotAdmitted(
            "timezone", "unknown_timezone", "the time zone must be an IANA name such as Asia/Shanghai or Europe/Berlin"
        )
    return ZoneInfo(name)


def read_time(
    written: str, instant: Callable[[datetime], tuple[datetime, tuple[str, ...]]]
) -> tuple[datetime, tuple[str, ...]]:
    """Read one time; return it in UTC with its doubts. `instant` does so for a time that states no offset.

    Raises ValueError if the text is not a time, or one outside the years 1 to 9999 in UTC, and what `instant` raises.
    """
    match = _TIME.fullmatch(written)
    if match is None:
        raise ValueError("not an ISO 8601 date and time")
    read = datetime.fromisoformat(written.upper())
    if not match["offset"]:
        return instant(read)
    try:
        return read.astimezone(UTC), ()
    except OverflowError as error:
        raise ValueError("outside the years 1 to 9999 in UTC") from error


def localised(local: datetime, zone: ZoneInfo) -> tuple[datetime, tuple[str, ...]]:
    """Return a naive local time in UTC, and `time_does_not_exist` or `time_is_ambiguous` where the zone makes it so.

    Raises ValueError for a time outside the years 1 to 9999 in UTC.
    """
    here = local.replace(tzinfo=zone)
    doubt = _doubt(here)
    try:
        return here.astimezone(UTC), (doubt,) if doubt else ()
    except OverflowError as error:
        raise ValueError("outside the years 1 to 9999 in UTC") from error


def _doubt(local: datetime) -> str | None:
    """Tell whether the zone's clocks never showed, or showed twice, this local time (PEP 495)."""
    earlier, later = local.replace(fold=0).utcoffset(), local.replace(fold=1).utcoffset()
    if earlier == later or earlier is None or later is None:
        return None
    return "time_does_not_exist" if earlier < later else "time_is_ambiguous"
