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
from mediation.operations import carrying, custody, notices, rulings
from mediation.operations import findings as checking
from mediation.sealing import Sealer
from mediation.sight import CUSTODY_OF_STAFF
from workflows.acts import Actor
from workflows.guards import is_within
from workflows.refusals import Conflict, Refused
from workflows.remedies import IN_KIND
from workflows.states import EscalationReason, RemedyKind, Role

Body = Mapping[str, Any]
#: What a decision says in words; each can be erased.
WORDS = ("reasons", "findings")
#: What a decision says in figures and closed lists; its words are kept apart.
TERMS = (
    "outcome",
    "remedy_kind",
    "amount_minor",
    "freight_bearer",
    "freight_minor",
    "return_required",
    "blame",
    "dispositions",
    "liability",
)


@dataclass(frozen=True, slots=True)
class Ruling:
    """A decision that was checked: `terms` by the names of the columns, `words` each to be entered on its own."""

    terms: dict[str, Any]
    words: dict[str, Any]
    upholds: bool = False


def decide(session: Session, case: Case, actor: Actor, now: datetime, body: Body, *, sealer: Sealer) -> None:
    """Decide the case. Within the decider's authority it is issued at once; above it, it waits for senior staff.

    A second decision, on appeal, is final at once. Irreversible once issued: only an appeal leads to another.
    Raises InvalidBody, QuoteDoesNotStand, Refused `return_address_needed`, `compensation_above_cap` or
    `freight_above_cap`, Conflict `assigned_to_other` or `exceeds_paid`.
    """
    on_appeal = case.escalation_reason == EscalationReason.APPEAL
    ruling = _upheld(session, case, body) if body.get("upholds") else _checked(session, case, body)
    granted = granted_by(session, case, ruling.terms)
    if not carrying.is_borne(case, granted):
        # Said now and not when it is issued, for a decision may wait for its approval; the order's own check stays.
        raise Conflict("exceeds_paid", field="remedy.amount")
    limit = carrying.limit_of(session, case, actor, now) if actor.role is Role.MEDIATOR else None
    # What a remedy in kind may come to in money counts as well.
    worth = granted.remedy["amount_minor"] + granted.remedy["in_place_minor"]
    over = not is_within(worth, limit)
    if actor.role is not Role.MEDIATOR:
        # Only a mediator's decision waits for approval: senior staff whose authority is bounded leave it to others.
        carrying.require_authority(session, case, actor, worth, now)
    private = carrying.address(session, case, actor, body, now, needed=granted.returns)
    seen, unseen = _custody(session, case)
    number = session.scalar(select(func.count()).select_from(Decision).where(Decision.case_id == case.id)) or 0
    written = docket.advance(
        session,
        case,
        "decide",
        actor,
        now,
        changes={
            **(_pending(actor) if over else _issued(case, ruling, granted, actor.subject, None)),
            # Where a decision that waits sends the goods is for staff only, like all of it.
            **({} if over else carrying.addressed(case, private)),
        },
        private={**ruling.words, **private, **({} if over else unseen)},
        # A decision that waits for approval may still change: the parties see that something happened, not what.
        visibility=docket.STAFF_SEE if over else docket.PARTIES_SEE,
        authority_minor=limit,
        amount_minor=worth,
        decision=_fact(ruling, case),
        **({} if over else seen),
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
    """Issue the decision that waits for approval. Nobody approves their own.

    Raises Conflict `words_erased` where a redaction took its reasons or findings away meanwhile.
    """
    docket.check(case, "approve", actor, now)
    pending = session.scalars(select(Decision).where(Decision.case_id == case.id, Decision.status == "pending")).one()
    ruling = _ruling_of(session, pending)
    if len(ruling.words) < len(WORDS):
        raise Conflict("words_erased")
    note = {"note": body["note"]} if "note" in body else {}
    granted = granted_by(session, case, ruling.terms)
    worth = granted.remedy["amount_minor"] + granted.remedy["in_place_minor"]
    carrying.require_authority(session, case, actor, worth, now)
    again = carrying.address_of(session, case, pending.seq) if granted.returns else {}
    seen, unseen = _custody(session, case)
    # The decision is entered again, now for all to see, so that a party's copy of the docket holds its words.
    written = docket.advance(
        session,
        case,
        "approve",
        actor,
        now,
        changes={
            **_issued(case, ruling, granted, pending.decided_by, actor.subject),
            **carrying.addressed(case, again),
        },
        private={**ruling.words, **note, **again, **unseen},
        decision=_fact(ruling, case),
        **seen,
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
    granted = granted_by(session, case, {name: getattr(decision, name) for name in TERMS})
    changes = {"assignee": None, **carrying.beginning(case, granted, {})}
    written = docket.advance(session, case, "finalise", actor, now, changes=changes, legs=granted.legs)
    decision.status, decision.final_at = "final", written.at
    session.flush()
    carrying.go_on(session, case, written.at)


def granted_by(session: Session, case: Case, terms: Mapping[str, Any]) -> carrying.Grant:
    """What a decision of these terms grants, claim by claim."""
    claimed: dict[str, int] = {
        str(claim): amount
        for claim, amount in session.execute(select(Claim.id, Claim.amount_minor).where(Claim.case_id == case.id))
    }
    parts = [
        carrying.Part(
            RemedyKind(item["kind"]), item["amount_minor"], claimed[item["claim"]] if item["kind"] in IN_KIND else 0
        )
        for item in terms["dispositions"]
    ]
    return carrying.grant(
        parts,
        case.currency,
        kind=RemedyKind(terms["remedy_kind"]),
        freight_minor=terms["freight_minor"],
        freight_bearer=terms["freight_bearer"],
        return_required=terms["return_required"],
    )


# --- what a decision consists of ---------------------------------------------------------------------------------


def _checked(session: Session, case: Case, body: Body) -> Ruling:
    remedy = body["remedy"]
    claims = session.scalars(select(Claim).where(Claim.case_id == case.id).order_by(Claim.n)).all()
    stated = rulings.read(case, body, [str(claim.id) for claim in claims])
    terms = {
        "outcome": body["outcome"],
        "remedy_kind": remedy["kind"],
        "amount_minor": stated.amount,
        "freight_bearer": remedy.get("freight_bearer"),
        "freight_minor": stated.freight,
        "return_required": stated.returned,
        "blame": body.get("blame"),
        "dispositions": stated.dispositions,
        "liability": stated.liability,
    }
    words = {"reasons": body["reasons"], "findings": checking.checked(session, case, body["findings"])}
    return Ruling(terms, words)


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
            DocketOpening.name.in_(WORDS),
        )
    )
    words = {name: value[name] for name, value in rows if value is not None}
    return Ruling({name: getattr(decision, name) for name in TERMS}, words, decision.upholds)


def _fact(ruling: Ruling, case: Case) -> dict[str, Any]:
    return {"currency": case.currency, "upholds": ruling.upholds, **ruling.terms}


def _custody(session: Session, case: Case) -> tuple[dict[str, Any], dict[str, Any]]:
    """Facts and words in which a decision that is issued seals where the custody of each exhibit stands."""
    seen, unseen = custody.sealed_heads(session, case)
    return {"custody": seen} if seen else {}, {CUSTODY_OF_STAFF: unseen} if unseen else {}


# --- what follows from it ----------------------------------------------------------------------------------------


def _pending(actor: Actor) -> dict[str, Any]:
    return {
        "assignee": None,
        "level": 1,
        "escalation_reason": EscalationReason.AMOUNT_OVER_AUTHORITY,
        "pending_decision_by": actor.subject,
    }


def _issued(
    case: Case, ruling: Ruling, granted: carrying.Grant, decided_by: str, approved_by: str | None
) -> dict[str, Any]:
    return {
        "decisions_issued": case.decisions_issued + 1,
        "decided_by": decided_by,
        "approved_by": approved_by,
        "pending_decision_by": None,
        "escalation_reason": None,
        "level": 0,
        "assignee": decided_by,
        "outcome": ruling.terms["outcome"],
        "remedy": granted.remedy | {"liability": ruling.terms["liability"]},
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
    carrying.hold(session, case, written.at)
    sealer.seal_head(session, case, written)
    until = None if final else case.appeal_until
    notices.serve(session, case, written, "decision_issued", *notices.BOTH, due_at=until)
    if final:
        finalise(session, case, docket.SYSTEM, written.at)
