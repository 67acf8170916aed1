"""The money on the page: payments to the buyer, the movements of the ledger, and what is left of what was paid."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from evidence.dossier.page_text import NONE, member, number, objects, said, text_of
from evidence.dossier.page_wording import Wording


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment to the buyer."""

    purposes: Markup
    amount: Markup
    status: Markup
    requested_at: Markup
    settled_at: Markup | None
    reference: Markup | None


@dataclass(frozen=True, slots=True)
class Movement:
    """One side of a movement of the ledger."""

    at: Markup
    account: Markup
    purpose: Markup
    amount: Markup


@dataclass(frozen=True, slots=True)
class Payments:
    """Where the money went; `balance` are sums by what they are, the last of them the difference."""

    payments: list[Payment]
    movements: list[Movement]
    total: Markup | None
    balance: list[tuple[Markup, Markup]]


def payments(case: Mapping[str, Any], words: Wording) -> Payments:
    """The payments to the buyer, the movements of the ledger where this copy has them, and what is left."""
    refunds, ledger = objects(case.get("refunds")), objects(case.get("ledger"))
    amounts = [one.get("amount") for one in ledger]
    return Payments(
        payments=[_payment(one, words) for one in refunds],
        movements=[
            Movement(
                words.at(one.get("at")),
                _account(one.get("account"), words),
                words.value(one.get("purpose")),
                words.money(one.get("amount")),
            )
            for one in ledger
        ],
        total=None if (total := _total(amounts)) is None else words.money(total),
        balance=list(_balance(case, refunds, words)) if refunds else [],
    )


def _payment(refund: Mapping[str, Any], words: Wording) -> Payment:
    parts, settled = refund.get("purposes"), refund.get("settled_at")
    named = parts if isinstance(parts, Mapping) else {}
    one = next(iter(named), None) if len(named) == 1 else None
    purposes = [
        words.value(name) if name == one else Markup("{}{}{}").format(words.value(name), " ", words.money(part))
        for name, part in named.items()
    ]
    return Payment(
        purposes=words.listed(purposes) if purposes else words.value(refund.get("purpose")),
        amount=words.money(refund.get("amount")),
        status=words.value(refund.get("status"), "payment"),
        requested_at=words.at(refund.get("requested_at")),
        settled_at=None if settled is None else words.at(settled),
        reference=text_of(refund.get("gateway_reference")),
    )


def _account(account: object, words: Wording) -> Markup:
    """An account by whose it is; behind the colon stands what tells accounts apart."""
    if not isinstance(account, str):
        return NONE
    whose, _, rest = account.partition(":")
    return (
        Markup('{} <span class="mono">{}</span>').format(words.value(whose), said(rest)) if rest else words.value(whose)
    )


def _total(amounts: Iterable[object]) -> dict[str, Any] | None:
    """The sum of several amounts of one currency; None where there are none, or of several."""
    known = [one for one in amounts if number(member(one, "amount")) is not None]
    currencies = {member(one, "currency") for one in known}
    if len(currencies) != 1:
        return None
    return {"amount": sum(member(one, "amount") for one in known), "currency": currencies.pop()}


def _balance(
    case: Mapping[str, Any], refunds: list[Mapping[str, Any]], words: Wording
) -> Iterator[tuple[Markup, Markup]]:
    """What was paid, what of it went back or is on its way, and what is left."""
    paid = member(case, "order", "paid")
    whole, currency = number(member(paid, "amount")), member(paid, "currency")
    if whole is None or any(member(one, "amount", "currency") != currency for one in refunds):
        return
    left = whole
    yield words.say("paid"), words.money(paid)
    for name, statuses in (("returned", ("settled", "settled_elsewhere")), ("under_way", ("requested", "sent"))):
        of = [one for one in refunds if one.get("status") in statuses]
        sum_ = sum(number(member(one, "amount", "amount")) or 0 for one in of)
        if of:
            left -= sum_
            yield words.say(name), words.money({"amount": -sum_, "currency": currency})
    yield words.say("remains"), words.money({"amount": left, "currency": currency})
