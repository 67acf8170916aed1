"""The page's words in one language, and how they are put together with what stands in the case."""

from collections.abc import Mapping
from datetime import UTC, tzinfo
from typing import Any, Final

from markupsafe import Markup

from evidence.dossier.page_text import NONE, Moment, member, moment, money, objects, of_minor, said
from evidence.dossier.phrases import PHRASES, SENTENCES
from evidence.dossier.words import ACTS, LANGUAGES, PROBLEMS, VALUES

_PUNCTUATION: Final = {
    "en": (Markup(": "), Markup(", "), Markup("; ")),
    "zh-CN": (Markup("："), Markup("，"), Markup("；")),
}


class Wording:
    """What the page says in one language. Whatever it answers is set already: nothing is escaped a second time."""

    def __init__(self, language: str) -> None:
        """Raises ValueError for a language that the page does not speak."""
        self.language = language
        self._index = LANGUAGES.index(language)
        self.colon, self.comma, self.semicolon = _PUNCTUATION[language]

    def say(self, name: str, *parts: object) -> Markup:
        """A phrase of the page's own, with what goes into it."""
        return self._filled(PHRASES[name], parts)

    def sentence(self, name: str, *parts: object) -> Markup:
        """A sentence of the page's own, with what goes into it."""
        return self._filled(SENTENCES[name], parts)

    def _filled(self, words: tuple[str, str], parts: tuple[object, ...]) -> Markup:
        set_ = [part if isinstance(part, Markup) else said(part) for part in parts]
        return Markup(words[self._index]).format(*set_)  # noqa: S704 - our own words

    def act(self, name: object) -> Markup:
        """What happened, by the type of an entry or the action that a deadline fires."""
        return self._known(ACTS, name)

    def value(self, value: object, of: str = "") -> Markup:
        """A value of a closed list in words; `of` is what it is a value of, where its word alone could mean more."""
        return self._known(VALUES, f"{of} {value}" if f"{of} {value}" in VALUES else value)

    def _known(self, words: Mapping[str, tuple[str, str]], name: object) -> Markup:
        if name is None:
            return NONE
        if isinstance(name, str) and name in words:
            return Markup(words[name][self._index])  # noqa: S704 - our own words
        return said(name)

    def problem(self, one: Mapping[str, Any]) -> Markup:
        """What was noticed about a log; the record has it in English."""
        code = one.get("code")
        if self._index and isinstance(code, str) and code in PROBLEMS:
            return Markup(PROBLEMS[code])  # noqa: S704 - our own words
        return said(one.get("detail") or code or NONE)

    def money(self, value: object) -> Markup:
        """An amount, kept on one line."""
        return Markup('<span class="sum">{}</span>').format(said(money(value)))

    def moment(self, at: object, zone: tzinfo = UTC) -> Moment | None:
        """A time in this language."""
        return moment(at, zone, self.language)

    def at(self, at: object) -> Markup:
        """A time in UTC to the second; as it stands where it cannot be read, a dash where there is none."""
        read = self.moment(at)
        if read is None:
            return NONE if at is None else said(at)
        return Markup('<time datetime="{}">{} {}</time>').format(read.machine, read.date, read.clock)

    def day(self, at: object) -> Markup:
        """The day of a time in words, in UTC."""
        read = self.moment(at)
        return said(at) if read is None else Markup('<span class="day-of">{}</span>').format(read.day)

    # --- remedies ------------------------------------------------------------------------------------------------

    def remedy(self, remedy: object) -> Markup:
        """What is granted or offered: its kind, its sum, whether goods go back."""
        if not isinstance(remedy, Mapping):
            return NONE
        sum_ = remedy.get("amount") if "amount" in remedy else of_minor(remedy)
        parts = [self.value(remedy.get("kind") or remedy.get("remedy_kind"), "remedy")]
        if member(sum_, "amount"):
            parts.append(self.money(sum_))
        if remedy.get("return_required") and remedy.get("kind") != "return_and_refund":
            parts.append(self.say("with_return"))
        return self.listed(parts)

    def gives(self, remedy: object) -> Markup | None:
        """What a remedy gives as a part of a sentence; None where there is none."""
        kind = member(remedy, "kind")
        if kind is None:
            return None
        name = f"gives {kind}"
        return self.sentence(name, self.money(member(remedy, "amount"))) if name in SENTENCES else self.remedy(remedy)

    def outcome(self, case: Mapping[str, Any], *, decided: bool) -> Markup:
        """How the case ended, what it gives and where the money is, in one sentence."""
        outcome, end = case.get("outcome"), "。" if self._index else "."
        if outcome is None:
            still = self.sentence("no_outcome", self.value(case.get("state"), "state"))
            return Markup("{}{}").format(still, end)
        name = f"{outcome}" if decided or f"{outcome} undecided" not in SENTENCES else f"{outcome} undecided"
        sentence = self.sentence(name) if name in SENTENCES else self.value(outcome)
        gives, refunds = self.gives(case.get("remedy")), objects(case.get("refunds"))
        whole = len(refunds) == 1 and member(refunds[0], "amount") == member(case.get("remedy"), "amount")
        rest = [] if gives is None else [gives]
        rest += [told for one in refunds if (told := self._payment(one, whole=whole)) is not None]
        if case.get("state") == "decided":
            rest.append(self.sentence("not_final"))
        return Markup("{}{}{}{}").format(sentence, self.colon if rest else "", self.semicolon.join(rest), end)

    def _payment(self, refund: Mapping[str, Any], *, whole: bool) -> Markup | None:
        """Where a payment is; `whole`: it is all that was granted, so that its sum need not be said again."""
        status, sum_ = refund.get("status"), self.money(refund.get("amount"))
        if status == "settled" and whole:
            return self.sentence("payment settled whole", self.day(refund.get("settled_at")))
        if status in ("settled", "settled_elsewhere"):
            return self.sentence(f"payment {status}", sum_, self.day(refund.get("settled_at")))
        if status == "failed":
            return self.sentence("payment failed", sum_)
        return self.sentence("payment under_way", sum_) if status in ("requested", "sent") else None

    def listed(self, parts: list[Markup]) -> Markup:
        """Several things in a row."""
        return self.comma.join(parts)
