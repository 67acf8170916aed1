"""The case on the page: the parties, the order, what is claimed and offered, what is asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from markupsafe import Markup

from evidence.dossier.page_text import NONE, member, number, objects, said, text_of
from evidence.dossier.page_wording import Wording

#: What an order may say beside its lines: times, then texts.
_ORDER_TIMES: Final = ("paid_at", "ship_by", "shipped_at", "delivered_at", "receipt_confirmed_at")
_ORDER_TEXTS: Final = ("carrier", "tracking_number", "delivered_to")


@dataclass(frozen=True, slots=True)
class PartyShown:
    """A side of the case."""

    side: str
    role: Markup
    name: Markup | None
    id: Markup | None


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the order."""

    title: Markup
    sku: Markup | None
    quantity: str
    price: Markup
    sum: Markup


@dataclass(frozen=True, slots=True)
class OrderShown:
    """The order: its lines, and what else is known of it by name."""

    id: Markup
    paid: Markup
    lines: list[Line]
    known: list[tuple[Markup, Markup]]


@dataclass(frozen=True, slots=True)
class ClaimShown:
    """One claim; `statement` is None where its words are redacted."""

    n: int
    reason: Markup
    request: Markup
    amount: Markup
    line: Markup | None
    statement: Markup | None


@dataclass(frozen=True, slots=True)
class OfferShown:
    """An offer and what became of it."""

    at: Markup
    by: Markup
    remedy: Markup
    note: Markup | None
    status: Markup


@dataclass(frozen=True, slots=True)
class Limit:
    """A time limit that runs, or stands still."""

    kind: Markup
    at: Markup
    then: Markup


@dataclass(frozen=True, slots=True)
class Posted:
    """Something written in the case; `text` is None where it is redacted."""

    seq: int | None
    by: Markup | None
    at: Markup
    staff_only: bool
    text: Markup | None


@dataclass(frozen=True, slots=True)
class Asked:
    """An item of evidence that was asked for."""

    at: Markup
    side: Markup
    kind: Markup
    note: Markup | None
    status: Markup
    exhibit: str | None


def party(side: str, case: Mapping[str, Any], words: Wording) -> PartyShown:
    """One side of the case."""
    who = case.get(side)
    return PartyShown(side, words.value(side), text_of(member(who, "name")), text_of(member(who, "id")))


def order(case: Mapping[str, Any], words: Wording) -> OrderShown:
    """The order that the dispute is about."""
    found = case.get("order")
    known = [(words.say(name), words.at(at)) for name in _ORDER_TIMES if (at := member(found, name)) is not None] + [
        (words.say(name), said(text)) for name in _ORDER_TEXTS if (text := member(found, name)) is not None
    ]
    return OrderShown(
        id=said(member(found, "id") or NONE),
        paid=words.money(member(found, "paid")),
        lines=[_line(one, words) for one in objects(member(found, "lines"))],
        known=known,
    )


def _line(line: Mapping[str, Any], words: Wording) -> Line:
    quantity, price = number(line.get("quantity")), line.get("unit_price")
    each = number(member(price, "amount"))
    whole = (
        None if quantity is None or each is None else {"amount": quantity * each, "currency": member(price, "currency")}
    )
    title, sku = line.get("title"), line.get("sku")
    return Line(
        title=said(title or sku or line.get("id") or NONE),
        sku=text_of(sku) if title else None,
        quantity=NONE if quantity is None else f"{quantity:,}",
        price=words.money(price),
        sum=words.money(whole),
    )


def claims(case: Mapping[str, Any], words: Wording) -> list[ClaimShown]:
    """What the buyer claims, claim by claim."""
    lines = objects(member(case, "order", "lines"))
    titles = {str(one.get("id")): one.get("title") or one.get("sku") for one in lines} if len(lines) > 1 else {}
    return [
        ClaimShown(
            n=n,
            reason=words.value(one.get("reason")),
            request=words.value(one.get("request")),
            amount=words.money(one.get("amount")),
            line=text_of(titles.get(str(one.get("line_id")))),
            statement=text_of(one.get("statement")),
        )
        for n, one in enumerate(objects(case.get("claims")), 1)
    ]


def offers(case: Mapping[str, Any], words: Wording) -> list[OfferShown]:
    """What was offered, by whom, and what became of it."""
    return [
        OfferShown(
            words.at(one.get("made_at")),
            words.value(one.get("by")),
            words.remedy(one.get("remedy")),
            text_of(one.get("note")),
            words.value(one.get("status")),
        )
        for one in objects(case.get("offers"))
    ]


def limits(case: Mapping[str, Any], words: Wording) -> list[Limit]:
    """The time limits that are not over."""
    return [
        Limit(
            words.value(one.get("kind"), "limit"),
            words.at(one["at"]) if one.get("at") is not None else words.say("stands_still"),
            words.value(one.get("fires"), "then"),
        )
        for one in objects(case.get("deadlines"))
    ]


def posted(case: Mapping[str, Any], words: Wording) -> list[Posted]:
    """What was written in the case."""
    return [
        Posted(
            number(one.get("seq")),
            None if (role := member(one, "author", "role")) is None else words.value(role),
            words.at(one.get("posted_at")),
            one.get("visibility") == "staff",
            text_of(one.get("text")),
        )
        for one in objects(case.get("messages"))
    ]


def asked(case: Mapping[str, Any], words: Wording) -> list[Asked]:
    """What was asked for as evidence, item by item."""
    return [
        Asked(
            words.at(request.get("asked_at")),
            words.value(item.get("side")),
            words.value(item.get("type")),
            text_of(item.get("note")),
            words.value(item.get("status")),
            label if isinstance(label := item.get("exhibit"), str) else None,
        )
        for request in objects(case.get("evidence_requests"))
        for item in objects(request.get("items"))
    ]
