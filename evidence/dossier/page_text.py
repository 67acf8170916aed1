"""How the page sets text: what people wrote escaped and made harmless, money, times and sizes as people write them.

Everything here takes whatever stands in a case file, also what a later version may put there, and never fails.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from markupsafe import Markup, escape

#: Currencies of ISO 4217 whose minor unit is not a hundredth, by the digits that it has.
_ODD: Final = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
_DIGITS: Final = {currency: digits for digits, those in _ODD.items() for currency in those.split()}
#: What is not seen but changes what is: control characters but tab and the ends of lines, marks and overrides of the
#: direction of writing, spaces without width, other line ends, invisible tags, and halves of surrogate pairs, which no
#: file can hold. Joiners and variation selectors stay: scripts and emoji need them.
_UNSEEN: Final = re.compile(
    "([\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0001\U000e0020-\U000e007f])\\1*"
)
NONE: Final = Markup("–")


def said(text: object) -> Markup:
    """What a person wrote, escaped; each character that steers the writing is named where it stands, not obeyed."""
    return Markup(_UNSEEN.sub(_named, str(escape(str(text)))))  # noqa: S704 - escaped just now


def untagged(text: object) -> Markup:
    """The same for a place where no tags can stand, such as the title of the page."""
    return escape(_UNSEEN.sub(lambda found: f"[{_name(found)}]", str(text)))


def _named(found: re.Match[str]) -> str:
    return f'<span class="unseen">{_name(found)}</span>'


def _name(found: re.Match[str]) -> str:
    count = len(found[0])
    return f"U+{ord(found[1]):04X}" + (f" ×{count}" if count > 1 else "")


def css_string(text: object) -> Markup:
    """A text as a string of a style sheet: whatever could end it, or the style, is written as a number."""
    shown = "".join(
        one if one.isascii() and one.isalnum() else f"\\{ord(one):x} "
        for one in str(text)[:200]
        if not 0xD800 <= ord(one) <= 0xDFFF and one != "\x00"
    )
    return Markup(f'"{shown}"')  # noqa: S704 - letters, digits and escapes alone


# --- reading what may be missing ---------------------------------------------------------------------------------


def member(value: object, *names: str) -> Any:
    """The member that names lead to, None where there is none on the way."""
    for name in names:
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value


def listed(value: object) -> list[Any]:
    """The items of a list, none where it is no list."""
    return list(value) if isinstance(value, list | tuple) else []


def objects(value: object) -> list[Mapping[str, Any]]:
    """The objects in a list."""
    return [one for one in listed(value) if isinstance(one, Mapping)]


def number(value: object) -> int | None:
    """A whole number, None for anything else."""
    return value if type(value) is int else None


def text_of(value: object) -> Markup | None:
    """A text as it is set, None where it is none."""
    return said(value) if isinstance(value, str) else None


# --- money -------------------------------------------------------------------------------------------------------


def digits_of(currency: str) -> int:
    """How many digits the minor unit of a currency has (ISO 4217)."""
    return _DIGITS.get(currency, 2)


def money(value: object) -> str:
    """An amount of minor units with its currency, such as `129.00 CNY`; a dash where there is none."""
    amount, currency = number(member(value, "amount")), member(value, "currency")
    if amount is None:
        return NONE
    currency = currency if isinstance(currency, str) else ""
    digits, sign, whole = digits_of(currency), "\u2212" if amount < 0 else "", abs(amount)
    if digits == 0:
        return f"{sign}{whole:,}\u00a0{currency}"
    return f"{sign}{whole // 10**digits:,}.{whole % 10**digits:0{digits}}\u00a0{currency}"


def of_minor(value: object, name: str = "amount_minor") -> dict[str, Any] | None:
    """The money in a fact of the record, which has it as minor units beside a currency."""
    amount = number(member(value, name))
    return None if amount is None else {"amount": amount, "currency": member(value, "currency")}


# --- time --------------------------------------------------------------------------------------------------------

_WEEKDAYS: Final = {
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "zh-CN": ("星期一", "星期二", "星期三", "星期四", "星期五", "星期六", "星期日"),
}
_MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Moment:
    """A time as it is set: the day in words, the clock to the second, the offset, and how a machine writes it."""

    day: str
    weekday: str
    date: str
    clock: str
    offset: str
    machine: str


def zone_of(name: object) -> tuple[str, tzinfo]:
    """A time zone by its name; UTC where there is none or it is not known."""
    if isinstance(name, str) and name:
        try:
            return name, ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            # It may be of a later edition of the zones than is installed here: UTC is told, and never wrong.
            return "UTC", UTC
    return "UTC", UTC


def moment(at: object, zone: tzinfo, language: str) -> Moment | None:
    """A time in a zone, None where there is none or it cannot be read."""
    try:
        read = datetime.fromisoformat(at) if isinstance(at, str) else None
        local = None if read is None or read.tzinfo is None else read.astimezone(zone)
    except (ValueError, OverflowError):
        return None
    if local is None:
        return None
    months = _MONTHS[local.month - 1]
    english = f"{local.day} {months} {local.year}"
    chinese = f"{local.year}年{local.month}月{local.day}日"
    minutes = int((local.utcoffset() or UTC.utcoffset(None)).total_seconds()) // 60
    sign = "\u2212" if minutes < 0 else "+"
    return Moment(
        day=chinese if language == "zh-CN" else english,
        weekday=_WEEKDAYS[language][local.weekday()],
        date=f"{local.year:04}-{local.month:02}-{local.day:02}",
        clock=f"{local.hour:02}:{local.minute:02}:{local.second:02}",
        offset="UTC" if minutes == 0 else f"UTC{sign}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}",
        machine=local.isoformat(),
    )
