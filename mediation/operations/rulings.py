"""What a decision orders, read from its body: sums that add up, and a remedy for each claim."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mediation.errors import InvalidBody
from mediation.models import Case
from workflows.money import split
from workflows.remedies import IN_KIND, LEGS, PAYING, Leg, legs_of, sums_exactly
from workflows.states import Outcome, RemedyKind

Body = Mapping[str, Any]
Errors = dict[str, list[str]]
_MISSING = "Missing data for required field."
#: Why a sum may not be named: there is no remedy, or one that is not paid but done.
_LEFT_OUT = {
    True: "Must be left out where there is no remedy.",
    False: "Must be left out: a remedy in kind pays nothing while it is performed.",
}


@dataclass(frozen=True, slots=True)
class Stated:
    """A decision's sums in minor units, freight and compensation among `amount`, and its remedy for each claim."""

    amount: int
    freight: int
    compensation: int
    dispositions: list[dict[str, Any]]
    liability: list[dict[str, Any]]
    returned: bool


def read(case: Case, body: Body, claims: Sequence[str]) -> Stated:
    """The sums and dispositions of a decision over these claims. Raises InvalidBody with everything that is wrong."""
    remedy = body["remedy"]
    kind = RemedyKind(remedy["kind"])
    freight = _amount(remedy, "freight")
    paid = _amount(remedy, "amount")
    errors = _currencies(case, body) | _sums(case, body, kind, paid, freight) | _returned(body, freight)
    given = body.get("dispositions") or [{"claim": claims[0], "remedy": remedy}]
    errors |= _dispositions(body, kind, claims, paid)
    if errors:
        raise InvalidBody(errors=errors)
    dispositions = [
        {
            "claim": str(item["claim"]),
            "kind": item["remedy"]["kind"],
            "amount_minor": _amount(item["remedy"], "amount"),
        }
        for item in given
    ]
    return Stated(
        paid + freight, freight, _compensation(body), dispositions, _liability(body, paid + freight), _is_returned(body)
    )


def _amount(remedy: Body, name: str) -> int:
    return int(remedy[name]["amount"]) if name in remedy else 0


def _kinds(body: Body) -> list[RemedyKind]:
    given = body.get("dispositions")
    return [RemedyKind(item["remedy"]["kind"]) for item in given] if given else [RemedyKind(body["remedy"]["kind"])]


def _compensation(body: Body) -> int:
    """What of the sum is compensation, which comes beside what was paid for the order."""
    parts = [item["remedy"] for item in body.get("dispositions") or [body]]
    return sum(_amount(part, "amount") for part in parts if part["kind"] == RemedyKind.COMPENSATION)


def _sums(case: Case, body: Body, kind: RemedyKind, paid: int, freight: int) -> Errors:
    errors: Errors = {}
    pays = any(one in PAYING for one in _kinds(body))
    if paid and not pays:
        errors["remedy.amount"] = [_LEFT_OUT[kind is RemedyKind.NONE]]
    if pays and not paid:
        errors["remedy.amount"] = [_MISSING]
    if paid - _compensation(body) > case.order.paid_minor:
        errors["remedy.amount.amount"] = ["Must not exceed what was paid for the order."]
    grants = any(LEGS[one] for one in _kinds(body)) or freight > 0
    if body["outcome"] in (Outcome.SELLER_FAVOUR, Outcome.REFUSED_TO_HEAR) and grants:
        errors["outcome"] = ["Must agree with the remedy: this outcome grants nothing."]
    if body["outcome"] in (Outcome.BUYER_FAVOUR, Outcome.SPLIT) and not grants and "remedy.amount" not in errors:
        errors["outcome"] = ["Must agree with the remedy: this outcome grants something."]
    if {("amount" in part, "weight" in part) for part in body["liability"]} - {(True, False), (False, True)}:
        errors["liability"] = ["Must give each party an amount, or each a weight."]
    elif not _adds_up(body, paid + freight):
        errors["liability"] = ["Must sum to the remedy, freight included, to the last unit."]
    parties = [part["party"] for part in body["liability"]]
    if len(set(parties)) != len(parties):
        errors["liability"] = ["Must name each party once."]
    return errors


def _adds_up(body: Body, total: int) -> bool:
    """Whether the liability makes up the remedy: amounts to the last unit, weights wherever there is one to split."""
    parts = body["liability"]
    if any("weight" in part for part in parts):
        return total > 0 and all("weight" in part for part in parts)
    return sums_exactly((part["amount"]["amount"] for part in parts), total)


def _liability(body: Body, total: int) -> list[dict[str, Any]]:
    """Who bears how much: as it is stated, or split by weights to the last minor unit."""
    parts = body["liability"]
    if any("weight" in part for part in parts):
        amounts = split(total, [part["weight"] for part in parts])
    else:
        amounts = tuple(part["amount"]["amount"] for part in parts)
    return [{"party": part["party"], "amount_minor": amount} for part, amount in zip(parts, amounts, strict=True)]


def _is_returned(body: Body) -> bool:
    """Whether goods go back by this decision."""
    return Leg.RETURN in legs_of(_kinds(body), return_required=body["remedy"].get("return_required", True))


def _returned(body: Body, freight: int) -> Errors:
    if freight and not _is_returned(body):
        return {"remedy.freight": ["Must be left out where no goods go back."]}
    if freight and body["remedy"].get("freight_bearer") in (None, "buyer", "none"):
        return {"remedy.freight_bearer": ["Must name who bears the freight that is repaid to the buyer."]}
    return {}


def _currencies(case: Case, body: Body) -> Errors:
    stated = {f"remedy.{name}": body["remedy"].get(name) for name in ("amount", "freight")}
    stated |= {f"liability.{n}.amount": part.get("amount") for n, part in enumerate(body["liability"])}
    for n, item in enumerate(body.get("dispositions", [])):
        stated[f"dispositions.{n}.remedy.amount"] = item["remedy"].get("amount")
    return {
        f"{place}.currency": [f"Must be the order's currency, {case.currency}."]
        for place, money in stated.items()
        if money and money["currency"] != case.currency
    }


def _dispositions(body: Body, total: RemedyKind, claims: Sequence[str], paid: int) -> Errors:
    given = body.get("dispositions")
    if given is None:
        return {} if len(claims) == 1 else {"dispositions": ["Required where a case has several claims."]}
    for n, item in enumerate(given):
        kind = RemedyKind(item["remedy"]["kind"])
        if (kind in PAYING) != ("amount" in item["remedy"]):
            why = "Must be there exactly where the remedy pays." if kind not in IN_KIND else _LEFT_OUT[False]
            return {f"dispositions.{n}.remedy.amount": [why]}
    if sorted(str(item["claim"]) for item in given) != sorted(claims):
        return {"dispositions": ["Must dispose of each claim of the case once."]}
    if not sums_exactly((_amount(item["remedy"], "amount") for item in given), paid):
        return {"dispositions": ["Must sum to the remedy, to the last unit."]}
    kinds = _kinds(body)
    names_one_of_them = total in kinds or (total is RemedyKind.REFUND and legs_of(kinds) == (Leg.REFUND,))
    return {} if names_one_of_them else {"dispositions": ["Must agree in kind with the remedy."]}
