"""/cases/{id}/offers, /decisions and /refunds: what was proposed, decided and paid."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from flask_smorest import Blueprint
from marshmallow import Schema, fields
from sqlalchemy import select, tuple_

from evidence import quotes
from mediation import queries
from mediation.api.answers import MoneyAnswerSchema, RemedyAnswerSchema
from mediation.api.calls import Answer, Call
from mediation.api.endpoint import ALL, V1, Hold, endpoint
from mediation.api.lists import PageSchema, after, list_of, page_answer
from mediation.models import Appeal, Case, Decision, Exhibit, ExhibitMessageOpening, LedgerEntry, Offer, Refund, Seal
from mediation.sight import appeals_answer, decision_answer, ledger_answer, offer_answer, refund_answer
from workflows.states import STAFF, Role

blueprint = Blueprint("history", __name__, url_prefix=V1, description="What was offered, decided and paid")


class OfferAnswerSchema(Schema):
    id = fields.UUID(required=True)
    by = fields.String(required=True)
    remedy = fields.Nested(RemedyAnswerSchema, required=True)
    note = fields.String(required=True, allow_none=True)
    status = fields.String(required=True)
    made_at = fields.DateTime(required=True)
    answered_at = fields.DateTime(required=True, allow_none=True)


class AppealAnswerSchema(Schema):
    side = fields.String(required=True)
    grounds = fields.String(required=True, allow_none=True)
    exhibits = fields.List(fields.String(), required=True)
    filed_at = fields.DateTime(required=True)


class DecidedRemedySchema(Schema):
    kind = fields.String(required=True)
    amount = fields.Nested(MoneyAnswerSchema, required=True, metadata={"description": "freight among it"})
    freight = fields.Nested(MoneyAnswerSchema, allow_none=True)
    freight_bearer = fields.String(allow_none=True)
    return_required = fields.Boolean()


class DecisionSchema(Schema):
    """A decision; each quote shown with its text, which stands in the message it names."""

    id = fields.UUID(required=True)
    number = fields.Integer(required=True)
    status = fields.String(required=True)
    on_appeal = fields.Boolean(required=True)
    upholds = fields.Boolean(required=True)
    outcome = fields.String(required=True)
    remedy = fields.Nested(DecidedRemedySchema, required=True)
    dispositions = fields.List(fields.Dict(), required=True)
    liability = fields.List(fields.Dict(), required=True)
    blame = fields.String(required=True, allow_none=True)
    findings = fields.List(fields.Dict(), required=True)
    reasons = fields.String(required=True, allow_none=True)
    decided_by = fields.String(required=True, allow_none=True)
    decided_at = fields.DateTime(required=True)
    approved_by = fields.String(required=True, allow_none=True)
    issued_at = fields.DateTime(required=True, allow_none=True)
    final_at = fields.DateTime(required=True, allow_none=True)
    seal = fields.String(
        required=True, allow_none=True, metadata={"description": "the docket's head when it was issued, signed (JWS)"}
    )
    appeals = fields.List(fields.Nested(AppealAnswerSchema), required=True)


class RefundSchema(Schema):
    id = fields.UUID(required=True)
    purpose = fields.String(required=True)
    purposes = fields.Dict(required=True, metadata={"description": "the parts of the sum"})
    amount = fields.Nested(MoneyAnswerSchema, required=True)
    status = fields.String(required=True)
    attempts = fields.Integer(required=True, allow_none=True, metadata={"description": "not for parties"})
    requested_at = fields.DateTime(required=True)
    settled_at = fields.DateTime(required=True, allow_none=True)
    failure = fields.String(required=True, allow_none=True)
    gateway = fields.String(required=True, allow_none=True)
    gateway_reference = fields.String(required=True, allow_none=True)
    anomaly = fields.String(required=True, allow_none=True)


PAGE = PageSchema()


def list_page(call: Call, query: Any, key: Any) -> tuple[Sequence[Any], uuid.UUID | None]:
    """One page of the query, as the caller asks for it."""
    asked = call.query(PAGE)
    return queries.page(call.session, query, key, after=after(asked, uuid.UUID), limit=asked["limit"])


@endpoint(
    blueprint,
    "GET",
    "/cases/<case_id>/offers",
    operation="listOffers",
    summary="What the sides offered each other",
    roles=ALL,
    hold=Hold.READ,
    query=PAGE,
    answer=list_of(OfferAnswerSchema),
)
def list_offers(call: Call, case: Case) -> Answer:
    found, more = list_page(call, select(Offer).where(Offer.case_id == case.id), Offer.id)
    words = queries.words(call.session, case, [offer.seq for offer in found])
    items = [offer_answer(offer, words[offer.seq].get("note")) for offer in found]
    return page_answer(items, more)


@endpoint(
    blueprint,
    "GET",
    "/cases/<case_id>/decisions",
    operation="listDecisions",
    summary="The decisions of a case; those that were not issued are for staff only",
    roles=ALL,
    hold=Hold.READ,
    query=PAGE,
    answer=list_of(DecisionSchema),
)
def list_decisions(call: Call, case: Case) -> Answer:
    query = select(Decision).where(Decision.case_id == case.id)
    if call.actor.role not in STAFF:
        query = query.where(Decision.issued_at.is_not(None))
    found, more = list_page(call, query, Decision.id)
    appeals = call.session.scalars(select(Appeal).where(Appeal.case_id == case.id).order_by(Appeal.id)).all()
    words = queries.words(call.session, case, [one.seq for one in (*found, *appeals)])
    texts = _quoted_texts(call, case, [words[one.seq] for one in found])
    seals = _seals(call, case)
    items = [
        decision_answer(one, call.actor, words[one.seq])
        | {"findings": [_finding(finding, texts) for finding in words[one.seq].get("findings", [])]}
        | {"seal": seals.get(one.seq), "appeals": appeals_answer(one, appeals, words)}
        for one in found
    ]
    return page_answer(items, more)


Words = Mapping[int, Mapping[str, Any]]
Texts = Mapping[tuple[str, int | None], str | None]


def _finding(finding: Mapping[str, Any], texts: Texts) -> dict[str, Any]:
    """A finding with each quote rendered from its position, each difference with the messages that it is between.

    A message since erased renders as null. Findings that were kept before differences could be cited have none.
    """
    relied_on = []
    for item in finding["relied_on"]:
        shown = []
        for quote in item["quotes"]:
            text = texts.get((item["exhibit"], quote["seq"]))
            words = None if text is None else quotes.render(text, quote["start"], quote["length"])
            shown.append({**quote, "text": words})
        relied_on.append({"exhibit": item["exhibit"], "quotes": shown})
    differences = [
        {**one, **{f"{side}_text": texts.get((one[side], one[f"{side}_seq"])) for side in ("left", "right")}}
        for one in finding.get("differences", [])
    ]
    return {**finding, "relied_on": relied_on, "differences": differences}


def _quoted_texts(call: Call, case: Case, words: Sequence[Mapping[str, Any]]) -> Texts:
    findings = [finding for one in words for finding in one.get("findings", [])]
    wanted = {
        (item["exhibit"], quote["seq"])
        for finding in findings
        for item in finding["relied_on"]
        for quote in item["quotes"]
    } | {
        (one[side], one[f"{side}_seq"])
        for finding in findings
        for one in finding.get("differences", [])
        for side in ("left", "right")
        if one[f"{side}_seq"] is not None
    }
    if not wanted:
        return {}
    rows = call.session.execute(
        select(Exhibit.label, ExhibitMessageOpening.seq, ExhibitMessageOpening.text)
        .join(Exhibit, Exhibit.id == ExhibitMessageOpening.exhibit_id)
        .where(ExhibitMessageOpening.case_id == case.id, tuple_(Exhibit.label, ExhibitMessageOpening.seq).in_(wanted))
    )
    return {(label, seq): text for label, seq, text in rows}


def _seals(call: Call, case: Case) -> dict[int, str]:
    rows = call.session.execute(select(Seal.seq, Seal.jws).where(Seal.case_id == case.id))
    return {row.seq: row.jws for row in rows}


@endpoint(
    blueprint,
    "GET",
    "/cases/<case_id>/refunds",
    operation="listRefunds",
    summary="Money on its way, and what became of it",
    roles=ALL,
    hold=Hold.READ,
    query=PAGE,
    answer=list_of(RefundSchema),
)
def list_refunds(call: Call, case: Case) -> Answer:
    found, more = list_page(call, select(Refund).where(Refund.case_id == case.id), Refund.id)
    items = [refund_answer(refund, call.actor) for refund in found]
    return page_answer(items, more)


class LedgerEntrySchema(Schema):
    refund_id = fields.UUID(required=True)
    n = fields.Integer(required=True)
    account = fields.String(required=True)
    purpose = fields.String(required=True, allow_none=True)
    amount = fields.Dict(required=True, metadata={"description": "credited if positive; each refund sums to zero"})
    at = fields.DateTime(required=True)


@endpoint(
    blueprint,
    "GET",
    "/cases/<case_id>/ledger",
    operation="listLedger",
    summary="Every movement of money of this case, double-entry",
    roles=frozenset(STAFF | {Role.PLATFORM, Role.ADMIN}),
    hold=Hold.READ,
    answer=list_of(LedgerEntrySchema),
)
def list_ledger(call: Call, case: Case) -> Answer:
    query = select(LedgerEntry).where(LedgerEntry.case_id == case.id)
    items = [ledger_answer(one) for one in call.session.scalars(query.order_by(LedgerEntry.refund_id, LedgerEntry.n))]
    return page_answer(items, None)
