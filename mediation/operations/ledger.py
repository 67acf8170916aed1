"""The double-entry ledger: every movement of money of a case, written once, in the transaction that settles it.

It is the payment itself where no other gateway is set up, and the book of it where one is.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import insert
from sqlalchemy.orm import Session

from mediation import deadlines, policies
from mediation.models import Case, LedgerEntry, Refund


def enter_refund(session: Session, case: Case, refund: Refund, now: datetime) -> None:
    """Enter a refund that was settled, as whoever is liable bears it."""
    enter(session, refund, _shares(case, refund), str(case.buyer_id), now, advanced_by=_advancer(session, case, now))


def enter(
    session: Session,
    refund: Refund,
    shares: Mapping[str, int],
    buyer: str,
    now: datetime,
    *,
    advanced_by: str | None = None,
) -> None:
    """Write the movement into the double-entry ledger: each liable account debited, the buyer credited by purpose.

    `shares` are minor units by account and sum to the refund, else the commit is refused; the ledger's key makes a
    second writing impossible. Entries stay for ever: `buyer` and the accounts name parties by our ids for them. Where
    an account advances the money, it pays the buyer, and those who are liable pay it.
    """
    owed = [(account, -amount, "liability") for account, amount in shares.items() if amount]
    paid = [(f"buyer:{buyer}", amount, purpose) for purpose, amount in refund.purposes.items()]
    movements = [*owed, *paid]
    if advanced_by is not None:
        advance = [(advanced_by, -refund.amount_minor, "advance"), (advanced_by, refund.amount_minor, "recovery")]
        movements = [*advance[:1], *paid, *owed, *advance[1:]]
    session.execute(
        insert(LedgerEntry),
        [
            {
                "refund_id": refund.id,
                "n": n,
                "case_id": refund.case_id,
                "account": account,
                "purpose": purpose,
                "amount_minor": amount,
                "currency": refund.currency,
                "at": now,
            }
            for n, (account, amount, purpose) in enumerate(movements)
        ],
    )


def _shares(case: Case, refund: Refund) -> dict[str, int]:
    """Who bears the refund, by account: as a decision splits the liability, and the seller alone what none splits.

    Accounts name parties by our id for them, which is one per marketplace and says nothing about a person: entries
    of the ledger stay for ever.
    """
    accounts = {"seller": f"seller:{case.seller_id}", "buyer": f"buyer:{case.buyer_id}"}
    split = (case.remedy or {}).get("liability") or []
    shares = {
        accounts.get(part["party"], f"{part['party']}:{case.marketplace}"): part["amount_minor"] for part in split
    }
    left = refund.amount_minor - sum(shares.values())
    # What goes back because a remedy in kind was not performed is in no decision's sum.
    shares[accounts["seller"]] = shares.get(accounts["seller"], 0) + left
    return shares


def _advancer(session: Session, case: Case, now: datetime) -> str | None:
    """The account that pays first and recovers from who is liable, where the policies say so."""
    book = policies.in_force(session, now)[1]
    advances = any(book.advance(matter).value for matter in deadlines.matters(case))
    return f"platform:{case.marketplace}" if advances else None
