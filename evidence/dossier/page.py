"""The page of a sealed case file that a person reads: one HTML file that loads and runs nothing.

Rendered in pieces, so that a log of 100,000 messages is never one string. Whatever people wrote is escaped; characters
that turn the direction of writing are shown instead of obeyed.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from jinja2 import ChainableUndefined, Environment, PackageLoader, select_autoescape
from markupsafe import Markup, escape

from evidence.dossier.words import ACTS, LABELS, LANGUAGES, PROBLEMS, VALUES

#: Currencies of ISO 4217 whose minor unit is not a hundredth.
_NO_DIGITS = frozenset(
    {"BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF"}
    | {"XPF"}
)
_THREE_DIGITS = frozenset({"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"})
_STEERING = re.compile("[\u200b\u200e\u200f\u2028\u2029\u202a-\u202e\u2060\u2066-\u2069\ufeff]")


@dataclass(frozen=True, slots=True)
class View:
    """What the page is made of: members of the case file as docs/dossier.md has them, some of them by label.

    `thumbprint` is that of the key that signs.
    """

    case: Mapping[str, Any]
    docket: Sequence[Mapping[str, Any]]
    decisions: Sequence[Mapping[str, Any]]
    exhibits: Sequence[Mapping[str, Any]]
    messages: Callable[[str], Iterable[Mapping[str, Any]]]
    custody: Callable[[str], Iterable[Mapping[str, Any]]]
    head: Mapping[str, Any]
    made_at: str
    made_for: str
    thumbprint: str


def render(view: View, language: str) -> Iterator[str]:
    """The page in `en` or `zh-CN`, piece by piece. Raises ValueError for another language."""
    index = LANGUAGES.index(language)
    environment = Environment(
        loader=PackageLoader("evidence.dossier"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        # A file of an earlier version lacks fields that this one knows.
        undefined=ChainableUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        said=said,
        money=lambda value: said(money(value)),
        utc=lambda at: said(at_zone(at, None)),
        value=lambda value: VALUES[value][index] if value in VALUES else said(str(value)),
        problem=lambda one: said(PROBLEMS.get(one.get("code"), one.get("detail")) if index else one.get("detail")),
        act=lambda name: ACTS[name][index] if name in ACTS else said(str(name)),
    )
    quotes = Quotes(view.decisions)
    template = environment.get_template("page.html")
    return template.generate(
        view=view,
        language=language,
        say={name: words[index] for name, words in LABELS.items()},
        entries=[_entry(line) for line in view.docket],
        statements=_statements(view),
        exhibits=[_exhibit(view, one) for one in view.exhibits],
        bubbles=lambda exhibit: _bubbles(view, exhibit, quotes),
        decisions=[_decision(one, n, quotes.words(view)) for n, one in enumerate(view.decisions, 1)],
    )


# --- text, money, time -------------------------------------------------------------------------------------------


def said(text: object) -> Markup:
    """What a person wrote, escaped; characters that steer the writing are named in brackets."""
    shown = escape(str(text))
    return Markup(_STEERING.sub(lambda found: f'<i class="steer">U+{ord(found[0]):04X}</i>', str(shown)))  # noqa: S704 - escaped above


def money(value: object) -> str:
    """An amount of minor units with its currency, such as 129.00 CNY; - where there is none."""
    if not isinstance(value, Mapping) or type(value.get("amount")) is not int:
        return "-"
    amount, currency = value["amount"], str(value.get("currency", ""))
    digits = 0 if currency in _NO_DIGITS else 3 if currency in _THREE_DIGITS else 2
    sign, whole = "-" if amount < 0 else "", abs(amount)
    if digits == 0:
        return f"{sign}{whole:,} {currency}"
    return f"{sign}{whole // 10**digits:,}.{whole % 10**digits:0{digits}} {currency}"


def at_zone(at: object, zone: str | None) -> str:
    """A time to the second in a zone, UTC where there is none; as it stands where it cannot be read."""
    try:
        moment = datetime.fromisoformat(str(at))
        where = UTC if zone is None else ZoneInfo(zone)
    except (ValueError, ZoneInfoNotFoundError, OSError):
        return str(at)
    return moment.astimezone(where).strftime("%Y-%m-%d %H:%M:%S")


def _value(opening: object) -> Any:
    return opening.get("value") if isinstance(opening, Mapping) else None


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


# --- the record --------------------------------------------------------------------------------------------------


def _entry(line: Mapping[str, Any]) -> dict[str, Any]:
    """An entry for the timeline, with what is shown of it."""
    entry = line.get("entry")
    if not isinstance(entry, Mapping):
        return {"seq": line.get("seq"), "withheld": True}
    shown: dict[str, Any] = {}
    for opening in line.get("openings", ()):
        value = _value(opening)
        if isinstance(value, Mapping):
            shown.update(value)
    facts, actor = _object(shown.get("facts")), _object(shown.get("actor"))
    return {
        "seq": entry.get("seq"),
        "withheld": False,
        "at": entry.get("at"),
        "type": entry.get("type"),
        "moved": entry.get("from") != entry.get("to"),
        "to": entry.get("to"),
        "role": actor.get("role"),
        "exhibit": facts.get("label") or facts.get("exhibit"),
        "words": [shown[name] for name in ("text", "statement", "note") if isinstance(shown.get(name), str)],
    }


def _statements(view: View) -> dict[str, list[dict[str, Any]]]:
    """What each side said and offered, in order."""
    sides: dict[str, list[dict[str, Any]]] = {"buyer": [], "seller": []}
    for line in view.docket:
        one = _entry(line)
        if one["withheld"] or one["role"] not in sides or one["type"] == "message_posted":
            continue
        for words in one["words"]:
            sides[one["role"]].append({"at": one["at"], "type": one["type"], "words": words})
    # Whose act it was is not told to the other side; which acts only one side can take is known all the same.
    for line in view.docket:
        one = _entry(line)
        if not one["withheld"] and one["role"] is None and one["type"] in ("refuse", "dispute_return"):
            sides["seller"] += [{"at": one["at"], "type": one["type"], "words": words} for words in one["words"]]
    return {side: sorted(found, key=lambda said: str(said["at"])) for side, found in sides.items()}


# --- decisions and their quotes ----------------------------------------------------------------------------------


class Quotes:
    """Which findings quote which places of which messages."""

    def __init__(self, decisions: Sequence[Mapping[str, Any]]) -> None:
        self._of: dict[tuple[str, int], list[tuple[int, int, str]]] = {}
        for n, decision in enumerate(decisions, 1):
            for m, finding in enumerate(decision.get("findings") or (), 1):
                for item in finding.get("relied_on") or ():
                    for quote in item.get("quotes") or ():
                        place = (str(item.get("exhibit")), quote["seq"])
                        self._of.setdefault(place, []).append((quote["start"], quote["length"], f"{n}.{m}"))

    def words(self, view: View) -> dict[tuple[str, int], str]:
        """The texts of the messages that are quoted, of which no more than these are held."""
        labels = {label for label, _ in self._of}
        return {
            (label, line["leaf"]["seq"]): text
            for label in sorted(labels & {str(one["label"]) for one in view.exhibits})
            for line in view.messages(label)
            if (label, line["leaf"]["seq"]) in self._of and isinstance(text := _value(line.get("text")), str)
        }

    def parts(self, label: str, seq: int, text: str) -> Iterator[tuple[str, list[str]]]:
        """The text in parts, each with the findings that quote it; positions are code points."""
        quotes = self._of.get((label, seq), [])
        cuts = sorted(
            {0, len(text), *(min(at, len(text)) for start, size, _ in quotes for at in (start, start + size))}
        )
        for begin, end in pairwise(cuts):
            cited = sorted({name for start, size, name in quotes if start <= begin and end <= start + size})
            yield text[begin:end], cited
        if not text:
            yield "", []


def _decision(decision: Mapping[str, Any], n: int, words: Mapping[tuple[str, int], str]) -> dict[str, Any]:
    findings = [
        {
            **finding,
            "name": f"{n}.{m}",
            "relied_on": [_relied_on(item, words) for item in finding.get("relied_on") or ()],
        }
        for m, finding in enumerate(decision.get("findings") or (), 1)
    ]
    return {**decision, "findings": findings, "n": n}


def _relied_on(item: Mapping[str, Any], words: Mapping[tuple[str, int], str]) -> dict[str, Any]:
    """What a finding relies on, each quote with its words; None where they were taken out."""
    quotes = []
    for quote in item.get("quotes") or ():
        text = words.get((str(item.get("exhibit")), quote["seq"]))
        shown = None if text is None else text[quote["start"] : quote["start"] + quote["length"]]
        quotes.append({**quote, "words": shown})
    return {**item, "quotes": quotes}


# --- exhibits ----------------------------------------------------------------------------------------------------


def _exhibit(view: View, exhibit: Mapping[str, Any]) -> dict[str, Any]:
    hands: dict[tuple[str, str | None], int] = {}
    for line in view.custody(exhibit["label"]):
        entry, value = line.get("entry", {}), _value(line.get("opening"))
        actor = value.get("actor", {}) if isinstance(value, Mapping) else {}
        key = (str(entry.get("act")), actor.get("role"))
        hands[key] = hands.get(key, 0) + 1
    return {**exhibit, "hands": [{"act": act, "role": role, "count": count} for (act, role), count in hands.items()]}


def _bubbles(view: View, exhibit: Mapping[str, Any], quotes: Quotes) -> Iterator[dict[str, Any]]:
    """The messages of an exhibit, each in parts with what quotes them."""
    label, zone = exhibit["label"], exhibit.get("timezone")
    for line in view.messages(label):
        leaf, text, sender = line["leaf"], _value(line.get("text")), _value(line.get("sender"))
        yield {
            "seq": leaf["seq"],
            "role": leaf["role"],
            "kind": leaf["kind"],
            "at": None if leaf["sent_at"] is None else at_zone(leaf["sent_at"], zone),
            "sender": (sender or {}).get("name") or (sender or {}).get("id"),
            "gone": text is None,
            "parts": [] if text is None else list(quotes.parts(label, leaf["seq"], text)),
            "attachments": _value(line.get("attachments")) or [],
        }
