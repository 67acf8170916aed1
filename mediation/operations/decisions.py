"""Deciding, approving, accepting, becoming final."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from mediation import docket
from mediation.db import new_id
from mediation.errors import InvalidBody
from mediation.models import Case, Claim, Decision, DocketOpening
from mediation.operations import findings as checking
from mediation.operations import orders, refunds
from mediation.sealing import Sealer
from workflows.acts import Actor
from workflows.guards import is_within
from workflows.refusals import Conflict, Refused
from workflows.remedies import legs_of, offered_kind, sums_exactly
from workflows.states import CaseState, EscalationReason, Outcome, RemedyKind, Role

Body = Mapping[str, Any]
#: What a decision says in figures and closed lists; its words are kept apart.
TERMS = ("outcome", "remedy_kind", "amount_minor", "freight_bearer", "blame", "dispositions", "liability")


@dataclass(frozen=True, slots=True)
class Ruling:
    """A decision that was checked: `terms` by the names of the columns, `words` each to be entered on its own."""

    terms: dict[str, Any]
    words: dict[str, Any]
    upholds: bool = False


def decide(
    session: Session, case: Case, actor: Actor, now: datetime, body: Body, *, sealer: Sealer, authority_minor: int
) -> None:
    """Decide the case. Within the decider's authority it is issued at once; above it, it waits for senior staff.

    A second decision, on appeal, is final at once. Irreversible once issued: only an appeal leads to another.
    Raises InvalidBody, QuoteDoesNotStand, Refused `not_offered_yet`, Conflict `assigned_to_other` or `exceeds_paid`.
    """
    on_appeal = case.escalation_reason == EscalationReason.APPEAL
    ruling = _upheld(session, case, body) if body.get("upholds") else _checked(session, case, body)
    limit = authority_minor if actor.role is Role.MEDIATOR else None
    over = not is_within(ruling.terms["amount_minor"], limit)
    number = session.scalar(select(func.count()).select_from(Decision).where(Decision.case_id == case.id)) or 0
    written = docket.advance(
        session,
        case,
        "decide",
        actor,
        now,
        changes=_pending(actor) if over else _issued(case, ruling, actor.subject, None),
        private=ruling.words,
        # A decision that waits for approval may still change: the parties see that something happened, not what.
        visibility=docket.STAFF_SEE if over else docket.PARTIES_SEE,
        authority_minor=limit,
        amount_minor=ruling.terms["amount_minor"],
        decision=_fact(ruling, case),
    )
    _end_standing(session, case, "upheld" if ruling.upholds else "overturned")
    row = {
        "id": new_id(),
        "case_id": case.id,
        "number": number + 1,
        "issued_number": None if over else case.decisions_issued,
        "seq": written.seq,
        "status": "pending" if over else "issued",
        "on_appeal": on_appeal,
        "upholds": ruling.upholds,
        "currency": case.currency,
        "decided_by": actor.subject,
        "decided_at": written.at,
        "issued_at": None if over else written.at,
        **ruling.terms,
    }
    session.execute(insert(Decision), row)
    if not over:
        _take_effect(session, case, written, sealer, final=on_appeal)


def approve(session: Session, case: Case, actor: Actor, now: datetime, body: Body, *, sealer: Sealer) -> None:
    """Issue the decision that waits for approval. Nobody approves their own."""
    docket.check(case, "approve", actor, now)
    pending = session.scalars(select(Decision).where(Decision.case_id == case.id, Decision.status == "pending")).one()
    ruling = _ruling_of(session, pending)
    note = {"note": body["note"]} if "note" in body else {}
    # The decision is entered again, now for all to see, so that a party's copy of the docket holds its words.
    written = docket.advance(
        session,
        case,
        "approve",
        actor,
        now,
        changes=_issued(case, ruling, pending.decided_by, actor.subject),
        private={**ruling.words, **note},
        decision=_fact(ruling, case),
    )
    pending.status, pending.seq, pending.issued_number = "issued", written.seq, case.decisions_issued
    pending.approved_by, pending.issued_at = actor.subject, written.at
    session.flush()
    _take_effect(session, case, written, sealer, final=False)


def return_to_mediator(session: Session, case: Case, actor: Actor, now: datetime, body: Body) -> None:
    """Send the case back down; a decision that was waiting goes back to the one who made it."""
    docket.advance(
        session,
        case,
        "return_to_mediator",
        actor,
        now,
        changes={
            "assignee": case.pending_decision_by,
            "level": 0,
            "escalation_reason": None,
            "pending_decision_by": None,
        },
        private={"note": body["note"]} if "note" in body else None,
    )
    session.execute(
        update(Decision).where(Decision.case_id == case.id, Decision.status == "pending").values(status="returned")
    )


def accept_decision(session: Session, case: Case, actor: Actor, now: datetime, body: Body) -> None:
    """One side accepts, which forfeits its appeal; when both have, the decision is final and is carried out."""
    docket.advance(session, case, "accept_decision", actor, now, changes={f"accepted_by_{actor.side}": True})
    if case.accepted_by_buyer and case.accepted_by_seller:
        finalise(session, case, docket.SYSTEM, now)


def finalise(session: Session, case: Case, actor: Actor, now: datetime) -> None:
    """The issued decision becomes final and its first leg begins. Irreversible."""
    decision = session.scalars(select(Decision).where(Decision.case_id == case.id, Decision.status == "issued")).one()
    legs = [str(leg) for leg in legs_of(_kinds(decision))]
    written = docket.advance(session, case, "finalise", actor, now, changes={"assignee": None}, legs=legs)
    decision.status, decision.final_at = "final", written.at
    session.flush()
    if case.state == CaseState.REFUND:
        refunds.request(session, case, written.at)


# --- what a decision consists of ---------------------------------------------------------------------------------


def _checked(session: Session, case: Case, body: Body) -> Ruling:
    remedy = body["remedy"]
    kind = offered_kind(remedy["kind"], field="remedy.kind")
    amount = remedy["amount"]["amount"] if "amount" in remedy else 0
    errors = _sums(case, body, kind, amount)
    claims = session.scalars(select(Claim).where(Claim.case_id == case.id).order_by(Claim.n)).all()
    errors |= _dispositions(case, body, [str(claim.id) for claim in claims], amount)
    if errors:
        raise InvalidBody(errors=errors)
    order = case.order
    if amount > order.paid_minor - order.reserved_minor - order.refunded_minor + case.reserved_minor:
        # Said now and not when it is issued, for a decision may wait for its approval; the order's own check stays.
        raise Conflict("exceeds_paid", field="remedy.amount")
    given = body.get("dispositions") or [{"claim": str(claims[0].id), "remedy": remedy}]
    terms = {
        "outcome": body["outcome"],
        "remedy_kind": kind,
        "amount_minor": amount,
        "freight_bearer": remedy.get("freight_bearer"),
        "blame": body.get("blame"),
        "dispositions": [_disposition(item) for item in given],
        "liability": [{"party": part["party"], "amount_minor": part["amount"]["amount"]} for part in body["liability"]],
    }
    words = {"reasons": body["reasons"], "findings": checking.checked(session, case, body["findings"])}
    return Ruling(terms, words)


def _sums(case: Case, body: Body, kind: RemedyKind, amount: int) -> dict[str, list[str]]:
    errors: dict[str, list[str]] = {}
    if kind is RemedyKind.NONE and amount:
        errors["remedy.amount"] = ["Must be left out where there is no remedy."]
    if kind is not RemedyKind.NONE and not amount:
        errors["remedy.amount"] = ["Missing data for required field."]
    if amount > case.order.paid_minor:
        errors["remedy.amount.amount"] = ["Must not exceed what was paid for the order."]
    if body["outcome"] in (Outcome.SELLER_FAVOUR, Outcome.REFUSED_TO_HEAR) and amount:
        errors["outcome"] = ["Must agree with the remedy: this outcome grants nothing."]
    if body["outcome"] in (Outcome.BUYER_FAVOUR, Outcome.SPLIT) and not amount and "remedy.amount" not in errors:
        errors["outcome"] = ["Must agree with the remedy: this outcome grants something."]
    if not sums_exactly((part["amount"]["amount"] for part in body["liability"]), amount):
        errors["liability"] = ["Must sum to the remedy, to the last unit."]
    parties = [part["party"] for part in body["liability"]]
    if len(set(parties)) != len(parties):
        errors["liability"] = ["Must name each party once."]
    stated = {"remedy.amount": body["remedy"].get("amount")}
    stated |= {f"liability.{n}.amount": part["amount"] for n, part in enumerate(body["liability"])}
    for n, item in enumerate(body.get("dispositions", [])):
        stated[f"dispositions.{n}.remedy.amount"] = item["remedy"].get("amount")
    for place, sum_ in stated.items():
        if sum_ and sum_["currency"] != case.currency:
            errors[f"{place}.currency"] = [f"Must be the order's currency, {case.currency}."]
    return errors


def _dispositions(case: Case, body: Body, claims: list[str], amount: int) -> dict[str, list[str]]:
    given = body.get("dispositions")
    if given is None:
        return {} if len(claims) == 1 else {"dispositions": ["Required where a case has several claims."]}
    for n, item in enumerate(given):
        kind = offered_kind(item["remedy"]["kind"], field=f"dispositions.{n}.remedy.kind")
        if (kind is RemedyKind.NONE) == ("amount" in item["remedy"]):
            return {f"dispositions.{n}.remedy.amount": ["Must be there exactly where there is a remedy."]}
    if sorted(str(item["claim"]) for item in given) != sorted(claims):
        return {"dispositions": ["Must dispose of each claim of the case once."]}
    parts = (item["remedy"]["amount"]["amount"] for item in given if "amount" in item["remedy"])
    if not sums_exactly(parts, amount):
        return {"dispositions": ["Must sum to the remedy, to the last unit."]}
    kinds = {RemedyKind(item["remedy"]["kind"]) for item in given}
    if legs_of(kinds) != legs_of([RemedyKind(body["remedy"]["kind"])]):
        return {"dispositions": ["Must agree in kind with the remedy."]}
    return {}


def _disposition(item: Mapping[str, Any]) -> dict[str, Any]:
    remedy = item["remedy"]
    amount = remedy["amount"]["amount"] if "amount" in remedy else 0
    return {"claim": str(item["claim"]), "kind": remedy["kind"], "amount_minor": amount}


def _upheld(session: Session, case: Case, body: Body) -> Ruling:
    """Dismissing an appeal: the terms of the decision appealed against, with reasons of the appeal's own."""
    standing = session.scalars(select(Decision).where(Decision.case_id == case.id, Decision.status == "issued")).first()
    if case.escalation_reason != EscalationReason.APPEAL or standing is None:
        raise Refused("not_under_appeal", field="upholds")
    if extra := sorted(set(body) - {"upholds", "reasons", "findings"}):
        raise InvalidBody(errors={name: ["Must be left out when the decision is upheld."] for name in extra})
    found = checking.checked(session, case, body.get("findings", []))
    return Ruling(_ruling_of(session, standing).terms, {"reasons": body["reasons"], "findings": found}, upholds=True)


def _ruling_of(session: Session, decision: Decision) -> Ruling:
    rows = session.execute(
        select(DocketOpening.name, DocketOpening.value).where(
            DocketOpening.case_id == decision.case_id,
            DocketOpening.seq == decision.seq,
            DocketOpening.name.in_(("reasons", "findings")),
        )
    )
    words = {name: value[name] for name, value in rows if value is not None}
    return Ruling({name: getattr(decision, name) for name in TERMS}, words, decision.upholds)


def _kinds(decision: Decision) -> list[RemedyKind]:
    return [RemedyKind(item["kind"]) for item in decision.dispositions]


def _fact(ruling: Ruling, case: Case) -> dict[str, Any]:
    return {"currency": case.currency, "upholds": ruling.upholds, **ruling.terms}


# --- what follows from it ----------------------------------------------------------------------------------------


def _pending(actor: Actor) -> dict[str, Any]:
    return {
        "assignee": None,
        "level": 1,
        "escalation_reason": EscalationReason.AMOUNT_OVER_AUTHORITY,
        "pending_decision_by": actor.subject,
    }


def _issued(case: Case, ruling: Ruling, decided_by: str, approved_by: str | None) -> dict[str, Any]:
    terms = ruling.terms
    return {
        "decisions_issued": case.decisions_issued + 1,
        "decided_by": decided_by,
        "approved_by": approved_by,
        "pending_decision_by": None,
        "escalation_reason": None,
        "level": 0,
        "assignee": decided_by,
        "outcome": terms["outcome"],
        "remedy": {
            "kind": terms["remedy_kind"],
            "amount_minor": terms["amount_minor"],
            "currency": case.currency,
            "freight_bearer": terms["freight_bearer"],
        },
        "accepted_by_buyer": False,
        "accepted_by_seller": False,
    }


def _end_standing(session: Session, case: Case, issued_becomes: str) -> None:
    """A fresh decision takes the place of one that waited for approval, and of the one appealed against."""
    for before, after in (("pending", "superseded"), ("issued", issued_becomes)):
        session.execute(
            update(Decision).where(Decision.case_id == case.id, Decision.status == before).values(status=after)
        )


def _take_effect(session: Session, case: Case, written: docket.Written, sealer: Sealer, *, final: bool) -> None:
    """Hold the money, seal the docket's head, and where there is no further appeal carry the decision out."""
    orders.reserve(session, case, (case.remedy or {})["amount_minor"])
    sealer.seal_head(session, case, written)
    if final:
        finalise(session, case, docket.SYSTEM, written.at)
