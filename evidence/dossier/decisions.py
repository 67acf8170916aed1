"""The decisions of a dossier: their words are those of the docket, and their quotes lie within the messages."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from evidence.dossier.archive import Archive
from evidence.dossier.faults import Findings
from evidence.dossier.messages import Log
from evidence.dossier.names import DECISIONS
from evidence.dossier.record import Record
from evidence.dossier.shapes import ANY, LIST, NUMBER, POSITIVE, TEXT, Each, Fields, Maybe, fits, misfits
from evidence.dossier.values import document, same

_DECISION = Fields(
    {
        "seq": POSITIVE,
        **dict.fromkeys(("number", "status", "outcome", "remedy", "dispositions", "liability", "blame"), ANY),
        "reasons": Maybe(TEXT),
        "findings": Maybe(LIST),
        **dict.fromkeys(("decided_by", "decided_at", "issued_at", "final_at", "appeals"), ANY),
    },
    open=True,
)
_QUOTE = Fields({"seq": POSITIVE, "start": NUMBER, "length": POSITIVE})
_RELIED_ON = Fields({"exhibit": TEXT, "quotes": Each(_QUOTE)})

Place = tuple[str, int, int]
"""Where a quote stands in decisions.json, and its start and length."""


@dataclass(slots=True)
class Quotes:
    """Quotes to be compared with texts: by label and number of message, and the labels whose logs were read."""

    wanted: dict[str, dict[int, list[Place]]] = field(default_factory=dict)
    logs: dict[str, Log] = field(default_factory=dict)
    count: int = 0

    def asked(self, label: str) -> Mapping[int, object]:
        """Return the numbers of the messages of an exhibit that are quoted."""
        return self.wanted.get(label, {})

    def read(self, label: str, log: Log) -> None:
        """Take in what was read of the messages of an exhibit."""
        self.logs[label] = log

    def check(self, exhibits: Mapping[str, Mapping[str, Any]], found: Findings) -> None:
        """Check every quote, once the messages were read."""
        for label, messages in self.wanted.items():
            if label not in exhibits or exhibits[label]["messages"] is None:
                place = next(iter(messages.values()))[0][0]
                found.add(DECISIONS, place, "quote", "it is from an exhibit without messages, or not in the dossier")
            elif label in self.logs:
                for seq, places in messages.items():
                    _check_quoted(label, seq, places, self.logs[label], found)


def _check_quoted(label: str, seq: int, places: list[Place], log: Log, found: Findings) -> None:
    if seq not in log.lengths:
        # Where a line could not be read, or numbers do not follow, the message may be there all the same.
        if seq > log.count or not (log.unreadable or log.strays):
            found.add(DECISIONS, places[0][0], "quote", f"{label} has no message {seq}")
        return
    length = log.lengths[seq]
    for place, start, size in places:
        if length is not None and start + size > length:
            found.add(DECISIONS, place, "quote", f"it does not lie within the text of message {seq} of {label}")


def check_decisions(archive: Archive, record: Record, quotes: Quotes, found: Findings) -> int:
    """Compare the decisions with the docket and note their quotes; return how many decisions there are."""
    decisions = document(archive, DECISIONS, Each(ANY), found) or []
    for n, decision in enumerate(decisions, 1):
        if found.untold:
            break
        wrong = list(misfits(decision, _DECISION))
        for place, what in wrong:
            found.add(DECISIONS, f"decision {n}, {place}" if place else f"decision {n}", "malformed", f"it {what}")
        if wrong:
            continue
        for place, what in _differences(decision, record):
            found.add(DECISIONS, f"decision {n}, {place}", "decision", what)
        for m, finding in enumerate(decision["findings"] or [], 1):
            _note_quotes(finding, f"decision {n}, finding {m}", quotes, found)
    return len(decisions)


def _differences(decision: Mapping[str, Any], record: Record) -> Iterator[tuple[str, str]]:
    """Yield in what a decision differs from its entry, as (place, what)."""
    seq = decision["seq"]
    if seq not in record.entries:
        if seq not in record.hashes and seq not in record.unreadable:
            yield "seq", f"the docket has no entry {seq}"
        return
    for name in ("reasons", "findings"):
        stated = decision[name]
        try:
            said = record.said(seq, name)
        except KeyError:
            continue
        if not (same(said, stated) or (name == "findings" and said is None and stated == [])):
            yield name, f"not what entry {seq} of the docket says"
    try:
        facts = record.said(seq, "facts")
    except KeyError:
        return
    if facts is not None:
        decided = facts.get("decision") if type(facts) is dict else None
        outcome = decided.get("outcome") if type(decided) is dict else None
        if decided is None or not same(outcome, decision["outcome"]):
            yield "outcome", f"not what entry {seq} of the docket says"


def _note_quotes(finding: Any, at: str, quotes: Quotes, found: Findings) -> None:
    relied_on = finding.get("relied_on", []) if type(finding) is dict else None
    if type(relied_on) is not list:
        found.add(DECISIONS, at, "malformed", "it is not an object with a list of what it relies on")
        return
    for n, item in enumerate(relied_on, 1):
        if not fits(item, _RELIED_ON):
            what = "it is not a label with quotes of number, start (from 0) and length (from 1)"
            found.add(DECISIONS, f"{at}, exhibit {n}", "malformed", what)
            continue
        for m, quote in enumerate(item["quotes"], 1):
            place = (f"{at}, exhibit {n}, quote {m}", quote["start"], quote["length"])
            quotes.wanted.setdefault(item["exhibit"], {}).setdefault(quote["seq"], []).append(place)
            quotes.count += 1
