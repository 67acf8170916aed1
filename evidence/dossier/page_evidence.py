"""Exhibits on the page: what each is, who had it in hand, and its messages as bubbles, read one by one."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from markupsafe import Markup

from evidence.dossier.page_quotes import Part, Quotes
from evidence.dossier.page_text import Moment, member, number, objects, said, text_of, zone_of
from evidence.dossier.page_wording import Wording

Lines = Callable[[str], Iterable[Mapping[str, Any]]]
_ROLES: Final = frozenset({"buyer", "seller", "staff", "system"})


@dataclass(frozen=True, slots=True)
class Hand:
    """One kind of act on an exhibit by one role: how often, and when last."""

    act: Markup
    by: Markup | None
    count: int
    last: Markup


@dataclass(frozen=True, slots=True)
class ExhibitShown:
    """An exhibit, as it is set; `messages` is None where it is no chat log."""

    label: str
    kind: Markup
    title: Markup | None
    filename: Markup | None
    media_type: Markup | None
    size: str | None
    role: str
    filed_by: Markup
    person: Markup | None
    filed_at: Markup
    seq: int | None
    late: bool
    staff_only: bool
    redacted_at: Markup | None
    sha256: Markup | None
    root: Markup | None
    messages: int | None
    zone: str
    problems: list[tuple[Markup, Markup]]
    hands: list[Hand]
    custody: tuple[object, Markup] | None


@dataclass(frozen=True, slots=True)
class Attached:
    """What hung on a message."""

    name: Markup
    media_type: Markup | None
    sha256: Markup | None


@dataclass(frozen=True, slots=True)
class Bubble:
    """A message, as it is set; `parts` are None where its words are redacted, `day` is there where a new one begins."""

    seq: object
    role: str
    who: Markup
    sender: Markup | None
    kind: str
    kind_word: Markup | None
    when: Moment | None
    day: Moment | None
    parts: list[tuple[Markup, Part]] | None
    commitment: Markup
    attachments: list[Attached] | None


@dataclass(slots=True)
class Tally:
    """What was seen to be redacted while the page was written."""

    exhibits: int = 0
    messages: int = 0


class Evidence:
    """What makes exhibits ready for the page."""

    def __init__(self, messages: Lines, custody: Lines, quotes: Quotes, words: Wording) -> None:
        self._messages, self._custody, self._quotes, self._words = messages, custody, quotes, words
        self.tally = Tally()

    def exhibit(self, exhibit: Mapping[str, Any]) -> ExhibitShown:
        """One exhibit without its messages."""
        words, label = self._words, str(exhibit.get("label"))
        role = str(member(exhibit, "filed_by", "role"))
        person, size, redacted = (
            member(exhibit, "filed_by", "id"),
            number(exhibit.get("size")),
            exhibit.get("redacted_at"),
        )
        head = exhibit.get("custody")
        self.tally.exhibits += redacted is not None
        return ExhibitShown(
            label=label,
            kind=words.value(exhibit.get("kind")),
            title=text_of(exhibit.get("title")),
            filename=text_of(exhibit.get("filename")),
            media_type=text_of(exhibit.get("media_type")),
            size=None if size is None else f"{size:,}",
            role=role,
            filed_by=words.value(role),
            person=text_of(person),
            filed_at=words.at(exhibit.get("filed_at")),
            seq=number(exhibit.get("seq")),
            late=exhibit.get("late") is True,
            staff_only=exhibit.get("visibility") == "staff",
            redacted_at=None if redacted is None else words.at(redacted),
            sha256=text_of(exhibit.get("sha256")),
            root=text_of(exhibit.get("merkle_root")),
            messages=number(exhibit.get("messages")),
            zone=zone_of(exhibit.get("timezone"))[0],
            problems=[(self._place(one), words.problem(one)) for one in objects(exhibit.get("problems"))],
            hands=self._hands(label) if isinstance(head, Mapping) else [],
            custody=(head.get("seq"), said(head.get("hash"))) if isinstance(head, Mapping) else None,
        )

    def _place(self, problem: Mapping[str, Any]) -> Markup:
        """Where something was noticed: the line of the file, the message, or neither."""
        line, seq = number(problem.get("line")), number(problem.get("message_seq"))
        places = [self._words.say(name, at) for name, at in (("line_n", line), ("message_n", seq)) if at is not None]
        return self._words.listed(places)

    def _hands(self, label: str) -> list[Hand]:
        """The custody chain in short: a line for each kind of act and role, in the order of their first."""
        seen: dict[tuple[str, str | None], tuple[int, object]] = {}
        for line in self._custody(label):
            role = member(line, "opening", "value", "actor", "role")
            key = (str(member(line, "entry", "act")), role if isinstance(role, str) else None)
            seen[key] = (seen.get(key, (0, None))[0] + 1, member(line, "entry", "at"))
        words = self._words
        return [
            Hand(words.value(act), None if role is None else words.value(role), count, words.at(at))
            for (act, role), (count, at) in seen.items()
        ]

    # --- messages ------------------------------------------------------------------------------------------------

    def bubbles(self, exhibit: Mapping[str, Any]) -> Iterator[Bubble]:
        """The messages of an exhibit in order, none of them held."""
        label, zone = str(exhibit.get("label")), zone_of(exhibit.get("timezone"))[1]
        date = ""
        for line in self._messages(label):
            when = self._words.moment(member(line, "leaf", "sent_at"), zone)
            new = when is not None and f"{when.date} {when.offset}" != date
            if when is not None:
                date = f"{when.date} {when.offset}"
            yield self._bubble(label, line, when, when if new else None)

    def _bubble(self, label: str, line: Mapping[str, Any], when: Moment | None, day: Moment | None) -> Bubble:
        seq, kind = member(line, "leaf", "seq"), str(member(line, "leaf", "kind"))
        role, text = str(member(line, "leaf", "role")), member(line, "text", "value")
        sender, words = member(line, "sender", "value"), self._words
        name = member(sender, "name") or member(sender, "id")
        gone = sender is None and role != "system"
        attachments = member(line, "attachments", "value")
        self.tally.messages += not isinstance(text, str)
        return Bubble(
            seq=seq,
            role=role if role in _ROLES else "system",
            who=words.value(role),
            sender=text_of(name) or (words.say("somebody") if gone else None),
            kind=kind,
            kind_word=None if kind in ("text", role) else words.value(kind),
            when=when,
            day=day,
            parts=self._parts(label, seq, text) if isinstance(text, str) else None,
            commitment=said(str(member(line, "leaf", "c_text") or "")[:16]),
            attachments=None if attachments is None else [_attached(one) for one in objects(attachments)],
        )

    def _parts(self, label: str, seq: object, text: str) -> list[tuple[Markup, Part]]:
        return [(said(part.text), part) for part in self._quotes.parts(label, seq, text)]


def _attached(one: Mapping[str, Any]) -> Attached:
    digest = one.get("sha256")
    short = text_of(digest[:16]) if isinstance(digest, str) else None
    return Attached(said(one.get("name")), text_of(one.get("media_type")), short)
