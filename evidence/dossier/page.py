"""The page of a sealed case file that a person reads: one HTML file that loads and runs nothing.

Rendered in pieces, so that a log of 100,000 messages is never one string. Whatever people wrote is escaped; characters
that turn the direction of writing are shown instead of obeyed. What verifies a file never imports this.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from evidence.dossier import page_case, page_money
from evidence.dossier.page_decisions import Decisions
from evidence.dossier.page_evidence import Evidence
from evidence.dossier.page_quotes import Quotes
from evidence.dossier.page_record import Record
from evidence.dossier.page_text import css_string, member, number, objects, said, untagged
from evidence.dossier.page_wording import Wording

#: Characters that are gathered before they are given on.
_GATHERED: Final = 1 << 15


@dataclass(frozen=True, slots=True)
class View:
    """What the page is made of: members of the case file as docs/dossier.md has them, some of them by label.

    `made_for` is the role of the reader, `thumbprint` that of the key that signs.
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
    words = Wording(language)
    return _gathered(_environment().get_template("page.html").generate(_filling(view, words)))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("evidence.dossier"),
        autoescape=True,
        # What a template asks for is made ready below, whatever the case file lacks.
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(said=said, untagged=untagged, css_string=css_string)
    return environment


def _gathered(pieces: Iterable[str]) -> Iterator[str]:
    held: list[str] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= _GATHERED:
            yield "".join(held)
            held, size = [], 0
    yield "".join(held)


# --- what the templates are filled with --------------------------------------------------------------------------


def _filling(view: View, words: Wording) -> dict[str, Any]:
    case = view.case
    logs = {str(one.get("label")): count for one in view.exhibits if (count := number(one.get("messages"))) is not None}
    quotes = Quotes(view.decisions)
    quotes.read(logs, view.messages)
    record = Record(view.docket, case, view.made_for, words)
    evidence = Evidence(view.messages, view.custody, quotes, words)
    labels = {str(one.get("label")) for one in view.exhibits}
    decisions = Decisions(quotes, labels, logs, words)
    claims = {str(one.get("id")): n for n, one in enumerate(objects(case.get("claims")), 1)}
    filed = {str(one.get("label")): member(one, "filed_by", "role") for one in view.exhibits}
    entries = list(record.entries(filed))
    return {
        "words": words,
        "say": words.say,
        "language": words.language,
        "reference": str(case.get("reference")),
        "case": case,
        "made": words.at(view.made_at),
        "made_for": words.value(view.made_for),
        "outcome": words.outcome(case, decided=bool(view.decisions)),
        "parties": [page_case.party(side, case, words) for side in ("buyer", "seller")],
        "order": page_case.order(case, words),
        "claims": page_case.claims(case, words),
        "statements": record.statements(),
        "offers": page_case.offers(case, words),
        "decisions": [decisions.decided(n, one, claims) for n, one in enumerate(view.decisions, 1)],
        "entries": entries,
        "shown": {one.seq for one in entries if one.seq is not None},
        "labels": labels,
        "quoted": quotes.labels(),
        "limits": page_case.limits(case, words),
        "posted": page_case.posted(case, words),
        "money": page_money.payments(case, words),
        "asked": page_case.asked(case, words),
        "exhibits": [(evidence.exhibit(one), one) for one in view.exhibits],
        "bubbles": evidence.bubbles,
        "tally": evidence.tally,
        "withheld": record.withheld(),
        "head": view.head,
        "thumbprint": view.thumbprint,
    }
