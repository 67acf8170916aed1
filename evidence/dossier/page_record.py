"""The record on the page: what happened and by which side, and what each side says."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from markupsafe import Markup

from evidence.dossier.page_text import Moment, listed, member, number, objects, of_minor, said, text_of
from evidence.dossier.page_wording import Wording

#: Acts that one side alone, staff or time alone can take: whose they are is known where who acted is not shown.
ALONE: Final[Mapping[str, str]] = {
    **dict.fromkeys(("withdraw", "ship_return", "confirm_performance", "dispute_performance"), "buyer"),
    **dict.fromkeys(("refuse", "confirm_return", "dispute_return", "perform"), "seller"),
    **dict.fromkeys(("take", "release", "hand_over", "propose", "request_evidence", "end_evidence_request"), "house"),
    **dict.fromkeys(("extend", "refund_now", "decide", "approve", "return_to_mediator", "suspend"), "house"),
    **dict.fromkeys(("retry_refund", "settle_elsewhere", "redacted"), "house"),
    **dict.fromkeys(("lapse", "expire_offer", "conclude_inspection", "conclude_performance"), "clock"),
    **dict.fromkeys(("refund_in_place", "default_evidence", "raise_level"), "clock"),
    "evidence_complete": "system",
}
#: Acts of either side and nobody else: where who acted is kept from one of them, it was the other.
OF_PARTIES: Final = frozenset({"offer", "accept_offer", "decline_offer", "accept_decision", "appeal"})
_OTHER: Final = {"buyer": "seller", "seller": "buyer"}
#: Words that are told with the entry; others have their place elsewhere on the page.
_NOTES: Final = ("note", "reason", "failure")
#: What is shown elsewhere, or to staff alone, and is not missed in an entry.
_ELSEWHERE: Final = frozenset({"actor", "deadlines", "custody_of_staff", "erased_of_staff", "sha256"})
#: What facts of an entry are values of, where their word alone could mean more.
_KINDS: Final = {"refuse": "refuse"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the timeline; of one that is withheld only the number is known."""

    seq: int | None
    when: Moment | None = None
    raw_at: Markup | None = None
    act: Markup | None = None
    by: Markup | None = None
    person: Markup | None = None
    moved_to: Markup | None = None
    details: list[Markup] = field(default_factory=list)
    exhibits: list[str] = field(default_factory=list)
    notes: list[Markup] = field(default_factory=list)
    incomplete: bool = False
    withheld: bool = False


@dataclass(frozen=True, slots=True)
class Statement:
    """What a side said in an act: `words` are None where they are redacted."""

    at: Markup
    act: Markup
    detail: Markup | None
    words: Markup | None


@dataclass(frozen=True, slots=True)
class _Shown:
    """What is shown of an entry: its openings by name, None where one is not."""

    entry: Mapping[str, Any]
    openings: Mapping[str, Any]

    @property
    def type(self) -> str:
        return str(self.entry.get("type"))

    @property
    def facts(self) -> Mapping[str, Any]:
        facts = self.openings.get("facts")
        return facts if isinstance(facts, Mapping) else {}


class Record:
    """The docket as one copy shows it; `reader` is the role that the copy was made for."""

    def __init__(self, lines: Sequence[Mapping[str, Any]], case: Mapping[str, Any], reader: str, words: Wording):
        self._lines, self._case, self._reader, self._words = lines, case, reader, words
        self._authors = {number(one.get("seq")): member(one, "author", "role") for one in objects(case.get("messages"))}

    def entries(self, filed: Mapping[str, object]) -> Iterator[Entry]:
        """The entries in order; `filed` are the roles that filed exhibits, by label."""
        for line in self._lines:
            shown = _shown(line)
            if shown is None:
                yield Entry(seq=number(line.get("seq")), withheld=True)
            else:
                yield self._entry(shown, filed)

    def statements(self) -> dict[str, list[Statement]]:
        """What each side said and did in answer, in the order of the record."""
        sides: dict[str, list[Statement]] = {"buyer": [], "seller": []}
        for line in self._lines:
            shown = _shown(line)
            if shown is None or not ("statement" in shown.openings or shown.type == "agree"):
                continue
            role = self._role(shown) or ("seller" if shown.type == "agree" else None)
            side = "seller" if role == "clock" and shown.type == "agree" else role
            if side in sides:
                sides[side].append(self._statement(shown))
        return sides

    def withheld(self) -> int:
        """How many entries are given by their hash alone."""
        return sum(_shown(line) is None for line in self._lines)

    # --- one entry -----------------------------------------------------------------------------------------------

    def _statement(self, shown: _Shown) -> Statement:
        detail = self._why(shown)
        if shown.type == "agree":
            return Statement(self._words.at(shown.entry.get("at")), self._words.act("agree"), detail, Markup(""))
        return Statement(
            self._words.at(shown.entry.get("at")),
            self._words.act(shown.entry.get("type")),
            detail,
            text_of(shown.openings.get("statement")),
        )

    def _why(self, shown: _Shown) -> Markup | None:
        """The reason from a closed list that an act gives."""
        facts, words = shown.facts, self._words
        if "silence" in facts:
            return words.say("by_silence")
        given = [facts[name] for name in ("reason", "verdict", "ground") if isinstance(facts.get(name), str)]
        return words.listed([words.value(one, _KINDS.get(shown.type, "")) for one in given]) if given else None

    def _entry(self, shown: _Shown, filed: Mapping[str, object]) -> Entry:
        entry, words = shown.entry, self._words
        role = self._role(shown) or filed.get(str(shown.facts.get("label")))
        role = role or self._authors.get(number(entry.get("seq")))
        when = words.moment(entry.get("at"))
        subject = member(shown.openings.get("actor"), "subject")
        known = role in _OTHER or (self._reader in _OTHER)
        moved = entry.get("from") != entry.get("to") and entry.get("to") is not None
        return Entry(
            seq=number(entry.get("seq")),
            when=when,
            raw_at=None if when else words.at(entry.get("at")),
            act=words.act(entry.get("type")),
            by=None if role is None else words.value(role),
            person=None if known or not isinstance(subject, str) or subject == role else said(subject),
            moved_to=words.value(entry.get("to"), "state") if moved else None,
            details=list(self._details(shown)),
            exhibits=_exhibits(shown.facts),
            notes=[text for name in _NOTES if (text := _note(shown.openings.get(name))) is not None],
            incomplete=any(value is None for name, value in shown.openings.items() if name not in _ELSEWHERE),
        )

    def _role(self, shown: _Shown) -> str | None:
        role = member(shown.openings.get("actor"), "role")
        if isinstance(role, str):
            return role
        if shown.type in OF_PARTIES:
            return _OTHER.get(self._reader)
        return ALONE.get(shown.type)

    def _details(self, shown: _Shown) -> Iterator[Markup]:
        """What the facts of an entry add to what happened, as far as a reader can make use of it."""
        facts, words = shown.facts, self._words
        if (why := self._why(shown)) is not None:
            yield why
        if isinstance(decision := facts.get("decision"), Mapping):
            yield words.value(decision.get("outcome"))
            yield words.remedy({"kind": decision.get("remedy_kind"), "amount": of_minor(decision)})
        if isinstance(remedy := facts.get("remedy"), Mapping):
            yield words.remedy({**remedy, "amount": of_minor(remedy)})
        if shown.type == "settle_refund" and (sum_ := number(facts.get("amount_minor"))) is not None:
            currency = member(self._case.get("order"), "paid", "currency")
            yield words.money({"amount": sum_, "currency": currency})
        if shown.type == "extend" and isinstance(facts.get("kind"), str):
            yield words.value(facts["kind"], "limit")
        if isinstance(facts.get("until"), str):
            yield words.say("until", words.at(facts["until"]))
        for side in listed(facts.get("silent")):
            yield Markup("{}{}{}").format(words.say("silent"), words.colon, words.value(side))
        for item in objects(facts.get("items")):
            yield Markup("{}{}{}").format(words.value(item.get("side")), words.colon, words.value(item.get("type")))


def _shown(line: Mapping[str, Any]) -> _Shown | None:
    """What a line of the docket shows; None where its entry is withheld."""
    entry = line.get("entry")
    if not isinstance(entry, Mapping):
        return None
    openings: dict[str, Any] = {}
    for opening in objects(line.get("openings")):
        name = str(opening.get("name"))
        openings[name] = member(opening.get("value"), name)
    return _Shown(entry, openings)


def _note(value: object) -> Markup | None:
    """A note in words; one that hands a case over says why, and to whom."""
    return text_of(value if isinstance(value, str) else member(value, "reason"))


def _exhibits(facts: Mapping[str, Any]) -> list[str]:
    """The labels of the exhibits that an entry is about."""
    one = facts.get("label") or facts.get("proof") or facts.get("exhibit")
    return [str(label) for label in ([one] if isinstance(one, str) else listed(facts.get("exhibits")))]
