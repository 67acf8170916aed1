"""Decisions on the page: each with its reasons and findings, the quotes with the words that stand at their places."""

from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any, Final

from markupsafe import Markup

from evidence.dossier.page_quotes import Quotes, positions
from evidence.dossier.page_text import listed, member, number, objects, said, text_of
from evidence.dossier.page_wording import Wording

#: Differences of a message that one of the copies may not have.
_OF_ONE: Final = ("missing", "recalled", "erased")


@dataclass(frozen=True, slots=True)
class Quote:
    """Quoted words and the message they stand in; `words` are None where they are redacted."""

    seq: int
    words: Markup | None
    here: bool


@dataclass(frozen=True, slots=True)
class ReliedOn:
    """An exhibit that a finding rests on; without quotes it rests on the whole of it."""

    label: str
    here: bool
    quotes: list[Quote]


@dataclass(frozen=True, slots=True)
class Rejected:
    """An exhibit that a finding does not follow, and why."""

    label: str
    here: bool
    why: Markup | None


@dataclass(frozen=True, slots=True)
class Copy:
    """Where one side's copy of a conversation differs; `seq` is None where no message of it does."""

    label: str
    seq: int | None
    here: bool
    absent: bool


@dataclass(frozen=True, slots=True)
class Difference:
    """In what two copies differ, and where."""

    kind: Markup
    sides: list[Copy]


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding, as it is set; `issue` is None where it is not told."""

    name: str
    issue: Markup | None
    burden: Markup | None
    result: Markup
    rules: list[Markup]
    relied_on: list[ReliedOn]
    rejected: list[Rejected]
    silent: list[Markup]
    differences: list[Difference]


@dataclass(frozen=True, slots=True)
class Share:
    """What one party bears, and how many hundredths of the whole where that can be said."""

    party: Markup
    amount: Markup
    percent: str | None


@dataclass(frozen=True, slots=True)
class AppealShown:
    """An appeal; `grounds` are None where they are redacted."""

    side: Markup
    at: Markup
    grounds: Markup | None
    exhibits: list[Rejected]


@dataclass(frozen=True, slots=True)
class Decided:
    """One decision, as it is set."""

    n: int
    seq: int | None
    outcome: Markup
    status: Markup
    remarks: list[Markup]
    remedy: Markup
    claims: list[tuple[Markup, Markup]]
    shares: list[Share]
    blame: Markup | None
    issued_at: Markup
    final_at: Markup | None
    decided_by: Markup | None
    reasons: Markup | None
    findings: list[Finding]
    appeals: list[AppealShown]


class Decisions:
    """What makes decisions ready for the page; `anchors` are the ids of messages and exhibits that are on it."""

    def __init__(self, quotes: Quotes, exhibits: Set[str], lengths: Mapping[str, int], words: Wording) -> None:
        self._quotes, self._exhibits, self._lengths, self._words = quotes, exhibits, lengths, words

    def decided(self, n: int, decision: Mapping[str, Any], claims: Mapping[str, int]) -> Decided:
        """The `n`th decision; `claims` are the numbers of the claims by their ids."""
        words = self._words
        blame, final = decision.get("blame"), decision.get("final_at")
        remarks = [words.say(name) for name in ("on_appeal", "upholds") if decision.get(name) is True]
        findings = objects(decision.get("findings"))
        return Decided(
            n=n,
            seq=number(decision.get("seq")),
            outcome=words.value(decision.get("outcome")),
            status=words.value(decision.get("status")),
            remarks=remarks,
            remedy=words.remedy(decision.get("remedy")),
            claims=[
                (words.say("claim", claims.get(str(one.get("claim")), "–")), words.remedy(one.get("remedy")))
                for one in objects(decision.get("dispositions"))
            ],
            shares=self._shares(objects(decision.get("liability"))),
            blame=None if blame is None else words.value(blame),
            issued_at=words.at(decision.get("issued_at")),
            final_at=None if final is None else words.at(final),
            decided_by=text_of(decision.get("decided_by")),
            reasons=text_of(decision.get("reasons")),
            findings=[self._finding(f"{n}.{m}", one) for m, one in enumerate(findings, 1)],
            appeals=[self._appeal(one) for one in objects(decision.get("appeals"))],
        )

    def _shares(self, liability: list[Mapping[str, Any]]) -> list[Share]:
        amounts = [number(member(one, "amount", "amount")) for one in liability]
        whole = sum(amount or 0 for amount in amounts)
        return [
            Share(
                self._words.value(one.get("party")),
                self._words.money(one.get("amount")),
                None if not amount or len(liability) < 2 or whole <= 0 else f"{amount * 100 / whole:.0f} %",
            )
            for one, amount in zip(liability, amounts, strict=True)
        ]

    def _appeal(self, appeal: Mapping[str, Any]) -> AppealShown:
        return AppealShown(
            self._words.value(appeal.get("side")),
            self._words.at(appeal.get("filed_at")),
            text_of(appeal.get("grounds")),
            [self._rejected({"exhibit": label}) for label in listed(appeal.get("exhibits"))],
        )

    def _finding(self, name: str, finding: Mapping[str, Any]) -> Finding:
        words = self._words
        burden = finding.get("burden")
        return Finding(
            name=name,
            issue=text_of(finding.get("issue")),
            burden=None if burden is None else words.value(burden),
            result=words.value(finding.get("finding")),
            rules=[_rule(one) for one in listed(finding.get("rules"))],
            relied_on=[self._relied_on(one) for one in objects(finding.get("relied_on"))],
            rejected=[self._rejected(one) for one in objects(finding.get("rejected"))],
            silent=[words.value(one.get("side")) for one in objects(finding.get("defaults"))],
            differences=[self._difference(one) for one in objects(finding.get("differences"))],
        )

    def _relied_on(self, item: Mapping[str, Any]) -> ReliedOn:
        label = str(item.get("exhibit"))
        quotes = []
        for seq, start, length in positions(item):
            text = self._quotes.words(label, seq, start, length)
            quotes.append(Quote(seq, None if text is None else said(text), self._quotes.has(label, seq)))
        return ReliedOn(label, label in self._exhibits, quotes)

    def _rejected(self, item: Mapping[str, Any]) -> Rejected:
        label = str(item.get("exhibit"))
        return Rejected(label, label in self._exhibits, text_of(item.get("why")))

    def _difference(self, one: Mapping[str, Any]) -> Difference:
        sides = []
        for side in ("left", "right"):
            label, seq = str(one.get(side)), number(one.get(f"{side}_seq"))
            here = seq is not None and 1 <= seq <= self._lengths.get(label, 0)
            sides.append(Copy(label, seq, here, absent=seq is None and one.get("kind") in _OF_ONE))
        return Difference(self._words.value(one.get("kind"), "differs"), sides)


def _rule(rule: object) -> Markup:
    """An article by its number, with its edition and title where it has them."""
    if not isinstance(rule, Mapping):
        return said(rule)
    parts = [str(rule[name]) for name in ("id", "article", "title") if rule.get(name) is not None]
    edition = rule.get("version") or rule.get("edition")
    return said(" ".join(parts) + ("" if edition is None else f" ({edition})"))
