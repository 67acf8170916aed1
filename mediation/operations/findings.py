"""What a decision relies on: exhibits on file, and quotes that stand to the letter in the messages they name."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from evidence import quotes
from evidence.errors import QuoteDoesNotStand
from mediation.errors import InvalidBody
from mediation.models import Case, Exhibit, ExhibitMessageOpening
from mediation.operations import alignments, evidence_requests

#: Quotes in one decision: more than a person reads, and far fewer than a query can name.
MAX_QUOTES = 500

Stated = Sequence[Mapping[str, Any]]
Key = tuple[uuid.UUID, int]


def checked(session: Session, case: Case, findings: Stated) -> list[dict[str, Any]]:
    """The findings with quotes and differences as positions (exhibit, seq, start, length in code points), to be kept.

    Raises InvalidBody naming the place: an exhibit not on file, one only staff may see, a message it does not have, a
    difference that does not stand, a rule while there is no rulebook; QuoteDoesNotStand with the message's real text.
    """
    if sum(len(item["quotes"]) for finding in findings for item in finding["relied_on"]) > MAX_QUOTES:
        raise InvalidBody(errors={"findings": [f"Must hold {MAX_QUOTES} quotes at most."]})
    exhibits = _exhibits(session, case, findings)
    evidence_requests.require_defaults(session, case, _cited(findings, "defaults"))
    differences = alignments.cited(session, exhibits, _cited(findings, "differences"))
    texts = _texts(session, case, exhibits, findings)
    return [_finding(f"findings.{n}", finding, exhibits, texts, differences) for n, finding in enumerate(findings)]


def _cited(findings: Stated, part: str) -> dict[str, Mapping[str, Any]]:
    """What findings cite in one of their parts, by the place where they do."""
    return {
        f"findings.{n}.{part}.{m}": one
        for n, finding in enumerate(findings)
        for m, one in enumerate(finding.get(part, []))
    }


def labels_on_file(session: Session, case: Case, labels: Sequence[str], field: str) -> dict[str, Exhibit]:
    """The exhibits that labels name, all of them seen by both sides. Raises InvalidBody naming those that are not."""
    return _on_file(session, case, {f"{field}.{n}": label for n, label in enumerate(labels)}, {})


def _on_file(
    session: Session, case: Case, places: Mapping[str, str], errors: dict[str, list[str]]
) -> dict[str, Exhibit]:
    found = session.scalars(select(Exhibit).where(Exhibit.case_id == case.id, Exhibit.label.in_(set(places.values()))))
    known = {exhibit.label: exhibit for exhibit in found if exhibit.visibility == "parties"}
    for place, label in places.items():
        if label not in known:
            errors[place] = ["No such exhibit is on file for both sides to see."]
    if errors:
        raise InvalidBody(errors=errors)
    return known


def _exhibits(session: Session, case: Case, findings: Stated) -> dict[str, Exhibit]:
    places: dict[str, str] = {}
    errors: dict[str, list[str]] = {}
    for n, finding in enumerate(findings):
        for part in ("relied_on", "rejected"):
            for m, item in enumerate(finding[part]):
                places[f"findings.{n}.{part}.{m}.exhibit"] = item["exhibit"]
        for m, one in enumerate(finding.get("differences", [])):
            places |= {f"findings.{n}.differences.{m}.{side}": one[side] for side in ("left", "right")}
        if finding["rules"]:
            errors[f"findings.{n}.rules"] = ["Must be empty: there is no rulebook on file to cite from."]
    return _on_file(session, case, places, errors)


def _texts(session: Session, case: Case, exhibits: Mapping[str, Exhibit], findings: Stated) -> dict[Key, str | None]:
    wanted = {
        (exhibits[item["exhibit"]].id, quote["seq"])
        for finding in findings
        for item in finding["relied_on"]
        for quote in item["quotes"]
    }
    rows = session.execute(
        select(ExhibitMessageOpening.exhibit_id, ExhibitMessageOpening.seq, ExhibitMessageOpening.text).where(
            ExhibitMessageOpening.case_id == case.id,
            tuple_(ExhibitMessageOpening.exhibit_id, ExhibitMessageOpening.seq).in_(wanted),
        )
    )
    return {(exhibit, seq): text for exhibit, seq, text in rows}


def _finding(
    place: str,
    finding: Mapping[str, Any],
    exhibits: Mapping[str, Exhibit],
    texts: Mapping[Key, str | None],
    differences: Mapping[str, dict[str, Any]],
) -> dict[str, Any]:
    relied_on = []
    for m, item in enumerate(finding["relied_on"]):
        exhibit = exhibits[item["exhibit"]]
        positions = [
            _position(f"{place}.relied_on.{m}.quotes.{k}", exhibit, quote, texts)
            for k, quote in enumerate(item["quotes"])
        ]
        relied_on.append({"exhibit": exhibit.label, "quotes": positions})
    return {
        "issue": finding["issue"],
        "burden": finding["burden"],
        "finding": finding["finding"],
        "rules": [],
        "relied_on": relied_on,
        "rejected": [{"exhibit": item["exhibit"], "why": item["why"]} for item in finding["rejected"]],
        "defaults": [{"request": str(one["request"]), "side": one["side"]} for one in finding.get("defaults", [])],
        "differences": [differences[f"{place}.differences.{m}"] for m in range(len(finding.get("differences", [])))],
    }


def _position(
    place: str, exhibit: Exhibit, quote: Mapping[str, Any], texts: Mapping[Key, str | None]
) -> dict[str, int]:
    text = texts.get((exhibit.id, quote["seq"]))
    if text is None and (exhibit.id, quote["seq"]) in texts:
        raise InvalidBody(errors={f"{place}.seq": [f"The words of this message of {exhibit.label} were erased."]})
    if text is None:
        count = exhibit.message_count
        rule = f"{exhibit.label} has messages 1 to {count}." if count else f"{exhibit.label} is not a chat log."
        raise InvalidBody(errors={f"{place}.seq": [rule]})
    try:
        position = quotes.locate(text, quote["text"])
    except QuoteDoesNotStand as error:
        raise QuoteDoesNotStand(error.detail, real_text=text, field=f"{place}.text") from error
    return {"seq": quote["seq"], "start": position.start, "length": position.length}
