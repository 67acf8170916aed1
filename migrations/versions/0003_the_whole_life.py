"""The whole life of a case: deadlines, notices, policies, evidence requests, carrier scans, and what they need.

A migration is frozen history: it imports nothing of ours.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

APPLICATION_ROLE = "mediation_app"

#: What the application may do with each new table, and nothing else.
PRIVILEGES = {
    "deadlines": "SELECT, INSERT, UPDATE",
    "notices": "SELECT, INSERT",
    "policy_versions": "SELECT, INSERT",
    "evidence_requests": "SELECT, INSERT, UPDATE",
    "evidence_items": "SELECT, INSERT, UPDATE",
    "tracking_scans": "SELECT, INSERT",
    "sandbox": "SELECT, INSERT, UPDATE",
}

#: Nobody rewrites these: a deadline names the version that it was counted by, a notice is served once.
APPEND_ONLY = ("policy_versions", "notices")

#: What the policies are looked up by, for cases that were opened before there were any.
MATTERS = """
UPDATE cases SET matters = found.matters
FROM (
    SELECT claims.case_id, jsonb_agg(
        jsonb_build_object('reason', claims.reason, 'request', claims.request, 'category', line.value ->> 'category')
        ORDER BY claims.n
    ) AS matters
    FROM claims
    JOIN orders ON orders.id = claims.order_id
    LEFT JOIN LATERAL jsonb_array_elements(orders.lines) AS line (value) ON line.value ->> 'id' = claims.line_id
    GROUP BY claims.case_id
) AS found
WHERE found.case_id = cases.id
"""
PURPOSES = "UPDATE refunds SET purposes = jsonb_build_object(purpose, amount_minor)"
#: What a remedy consists of, as it is kept from now on. Until now every remedy paid, and a decision split who bears it.
REMEDIES = """
UPDATE cases SET remedy = cases.remedy || jsonb_build_object(
    'return_required', false,
    'in_place_minor', 0,
    'purposes', CASE
        WHEN (cases.remedy ->> 'amount_minor')::bigint = 0 THEN '{}'::jsonb
        ELSE jsonb_build_object(
            CASE cases.remedy ->> 'kind' WHEN 'compensation' THEN 'compensation' ELSE 'refund' END,
            (cases.remedy ->> 'amount_minor')::bigint
        )
    END,
    'liability', coalesce((
        SELECT liability FROM decisions
        WHERE decisions.case_id = cases.id AND decisions.status IN ('final', 'issued')
        ORDER BY number DESC LIMIT 1
    ), '[]'::jsonb)
)
WHERE cases.remedy IS NOT NULL
"""
#: What a case is about to pay is the leg it is at.
LEGS = """
UPDATE cases SET legs = '["refund"]'::jsonb
WHERE state = 'refund' OR (state = 'escalated' AND escalation_reason = 'refund_failed')
"""
#: An appeal that a decision already issued still allows is not cut off by a limit that did not exist when it was made.
APPEALS = """
UPDATE cases SET appeal_until = now() + interval '7 days'
WHERE state = 'decided' OR (state = 'escalated' AND escalation_reason = 'appeal')
"""


def upgrade() -> None:
    _create_tables()
    _add_columns()
    for statement in (MATTERS, PURPOSES, REMEDIES, LEGS, APPEALS):
        op.execute(statement)
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_rewrite()"
        )
        op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_append_only")
    for table, privileges in PRIVILEGES.items():
        op.execute(f"GRANT {privileges} ON {table} TO {APPLICATION_ROLE}")


def _create_tables() -> None:
    op.create_table(
        "policy_versions",
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("document", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("effective_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("loaded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("loaded_by", sa.Text(), nullable=False),
        sa.CheckConstraint("version > 0", name=op.f("ck_policy_versions_version")),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_policy_versions")),
    )
    op.create_table(
        "sandbox",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("ahead", sa.Interval(), server_default=sa.text("'0'::interval"), nullable=False),
        sa.Column("gateway", sa.Text(), server_default="pass", nullable=False),
        sa.CheckConstraint("ahead >= '0'::interval", name=op.f("ck_sandbox_onward")),
        sa.CheckConstraint("gateway IN ('pass', 'fail', 'stall', 'twice')", name=op.f("ck_sandbox_gateway")),
        sa.CheckConstraint("id = 1", name=op.f("ck_sandbox_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sandbox")),
    )
    op.create_table(
        "tracking_scans",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("leg", sa.Text(), nullable=False),
        sa.Column("carrier", sa.Text(), nullable=False),
        sa.Column("tracking_number", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("place", sa.Text(), nullable=True),
        sa.Column("signed_by", sa.Text(), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("leg IN ('outbound', 'return')", name=op.f("ck_tracking_scans_leg")),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_tracking_scans_order_id_orders")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tracking_scans")),
    )
    op.create_index(
        "uq_tracking_scans_scan",
        "tracking_scans",
        ["order_id", "leg", "carrier", "tracking_number", "at", "status", sa.text("coalesce(place, '')")],
        unique=True,
    )
    op.create_table(
        "deadlines",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("fires", sa.Text(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("remaining", sa.Interval(), nullable=True),
        sa.Column("extended", sa.Interval(), server_default=sa.text("'0'::interval"), nullable=False),
        sa.Column("hours", sa.Text(), nullable=False),
        sa.Column("region", sa.Text(), nullable=True),
        sa.Column("provisional", sa.Boolean(), nullable=False),
        sa.Column("policy_version", sa.BigInteger(), nullable=True),
        sa.Column("policy_row", sa.Text(), nullable=True),
        sa.Column("wake_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("set_aside_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended", sa.Text(), nullable=True),
        sa.CheckConstraint("ended IN ('fired', 'ended')", name=op.f("ck_deadlines_ended")),
        sa.CheckConstraint("(done_at IS NULL) = (ended IS NULL)", name=op.f("ck_deadlines_done")),
        sa.CheckConstraint(
            "(due_at IS NULL) = (remaining IS NOT NULL)", name=op.f("ck_deadlines_runs_or_stands_still")
        ),
        sa.CheckConstraint("done_at IS NULL OR wake_at IS NULL", name=op.f("ck_deadlines_done_wakes_nobody")),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_deadlines_case_id_cases")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deadlines")),
    )
    op.create_index("ix_deadlines_case", "deadlines", ["case_id", "id"], unique=False)
    op.create_index(
        "ix_deadlines_wake", "deadlines", ["wake_at"], unique=False, postgresql_where=sa.text("wake_at IS NOT NULL")
    )
    op.create_index(
        "uq_deadlines_running",
        "deadlines",
        ["case_id", "kind"],
        unique=True,
        postgresql_where=sa.text("done_at IS NULL"),
    )
    op.create_table(
        "evidence_requests",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("asked_of", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("asked_of IN ('buyer', 'seller', 'both')", name=op.f("ck_evidence_requests_asked_of")),
        sa.CheckConstraint(
            "status IN ('open', 'complete', 'defaulted', 'ended')", name=op.f("ck_evidence_requests_status")
        ),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_evidence_requests_case_id_cases")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_evidence_requests")),
    )
    op.create_index("ix_evidence_requests_case", "evidence_requests", ["case_id", "id"], unique=False)
    op.create_index(
        "uq_evidence_requests_open",
        "evidence_requests",
        ["case_id"],
        unique=True,
        postgresql_where=sa.text("status = 'open'"),
    )
    op.create_table(
        "notices",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("served_on", sa.Text(), nullable=False),
        sa.Column("served_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("served_on IN ('buyer', 'seller', 'supervisor')", name=op.f("ck_notices_served_on")),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_notices_case_id_cases")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notices")),
    )
    op.create_index("ix_notices_case", "notices", ["case_id", "id"], unique=False)
    op.create_table(
        "evidence_items",
        sa.Column("request_id", sa.Uuid(), nullable=False),
        sa.Column("n", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("exhibit", sa.Text(), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("side IN ('buyer', 'seller')", name=op.f("ck_evidence_items_side")),
        sa.CheckConstraint(
            "status IN ('open', 'answered', 'waived', 'defaulted', 'ended')", name=op.f("ck_evidence_items_status")
        ),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_evidence_items_case_id_cases")),
        sa.ForeignKeyConstraint(
            ["request_id"], ["evidence_requests.id"], name=op.f("fk_evidence_items_request_id_evidence_requests")
        ),
        sa.PrimaryKeyConstraint("request_id", "n", name=op.f("pk_evidence_items")),
    )
    op.create_index(op.f("ix_evidence_items_case_id"), "evidence_items", ["case_id"], unique=False)


def _add_columns() -> None:
    op.add_column("cases", sa.Column("compensation_minor", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("cases", sa.Column("freight_minor", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column(
        "cases",
        sa.Column(
            "matters", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'::jsonb"), nullable=False
        ),
    )
    op.add_column(
        "cases",
        sa.Column(
            "legs", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'::jsonb"), nullable=False
        ),
    )
    op.add_column("cases", sa.Column("due_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("cases", sa.Column("appeal_until", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "cases", sa.Column("proposal_accepted_by_buyer", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    op.add_column(
        "cases", sa.Column("proposal_accepted_by_seller", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    op.add_column("cases", sa.Column("performed", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column("cases", sa.Column("return_address_seq", sa.BigInteger(), nullable=True))
    op.add_column("cases", sa.Column("return_carrier", sa.Text(), nullable=True))
    op.add_column("cases", sa.Column("return_tracking_number", sa.Text(), nullable=True))
    op.add_column("cases", sa.Column("return_shipped_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("cases", sa.Column("evidence_from", sa.Text(), nullable=True))
    op.add_column(
        "cases", sa.Column("evidence_of_buyer", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    op.add_column(
        "cases", sa.Column("evidence_of_seller", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    op.add_column("cases", sa.Column("suspended_from", sa.Text(), nullable=True))
    op.add_column("cases", sa.Column("suspended_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("cases", sa.Column("suspension_ground", sa.Text(), nullable=True))
    op.add_column(
        "cases", sa.Column("agreement_used", sa.Interval(), server_default=sa.text("'0'::interval"), nullable=False)
    )
    op.create_index(
        "ix_cases_unclocked",
        "cases",
        ["id"],
        unique=False,
        postgresql_where=sa.text("due_at IS NULL AND closed_at IS NULL"),
    )
    op.create_index(
        "ix_cases_due",
        "cases",
        ["marketplace", "due_at", "id"],
        unique=False,
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )
    op.add_column("decisions", sa.Column("freight_minor", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column(
        "decisions", sa.Column("return_required", sa.Boolean(), server_default=sa.text("true"), nullable=False)
    )
    op.add_column("exhibits", sa.Column("answers_request", sa.Uuid(), nullable=True))
    op.add_column("exhibits", sa.Column("answers_item", sa.BigInteger(), nullable=True))
    op.create_foreign_key(
        op.f("fk_exhibits_answers_request_evidence_requests"),
        "exhibits",
        "evidence_requests",
        ["answers_request"],
        ["id"],
    )
    op.add_column("ledger_entries", sa.Column("purpose", sa.Text(), nullable=True))
    op.add_column("offers", sa.Column("return_required", sa.Boolean(), server_default=sa.text("true"), nullable=False))
    op.add_column("orders", sa.Column("compensation_minor", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("orders", sa.Column("freight_minor", sa.BigInteger(), server_default="0", nullable=False))
    op.drop_constraint(op.f("ck_offers_status"), "offers", type_="check")
    op.create_check_constraint(
        op.f("ck_offers_status"),
        "offers",
        "status IN ('open', 'accepted', 'declined', 'replaced', 'expired', 'void')",
    )
    op.create_check_constraint(
        op.f("ck_orders_extras_not_negative"), "orders", "compensation_minor >= 0 AND freight_minor >= 0"
    )
    op.add_column("parties", sa.Column("return_address", postgresql.JSONB(astext_type=sa.Text()), nullable=True))
    op.add_column(
        "refunds",
        sa.Column(
            "purposes", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
    )
    op.alter_column("refunds", "tries_since", existing_type=postgresql.TIMESTAMP(timezone=True), nullable=True)


def downgrade() -> None:
    op.execute("UPDATE offers SET status = 'void' WHERE status = 'expired'")
    op.drop_constraint(op.f("ck_offers_status"), "offers", type_="check")
    op.create_check_constraint(
        op.f("ck_offers_status"), "offers", "status IN ('open', 'accepted', 'declined', 'replaced', 'void')"
    )
    op.execute("UPDATE refunds SET tries_since = requested_at WHERE tries_since IS NULL")
    op.alter_column("refunds", "tries_since", existing_type=postgresql.TIMESTAMP(timezone=True), nullable=False)
    op.drop_column("refunds", "purposes")
    op.drop_column("parties", "return_address")
    op.drop_constraint(op.f("ck_orders_extras_not_negative"), "orders", type_="check")
    op.drop_column("orders", "freight_minor")
    op.drop_column("orders", "compensation_minor")
    op.drop_column("offers", "return_required")
    op.drop_column("ledger_entries", "purpose")
    op.drop_constraint(op.f("fk_exhibits_answers_request_evidence_requests"), "exhibits", type_="foreignkey")
    op.drop_column("exhibits", "answers_item")
    op.drop_column("exhibits", "answers_request")
    op.drop_column("decisions", "return_required")
    op.drop_column("decisions", "freight_minor")
    op.drop_index("ix_cases_unclocked", table_name="cases")
    op.drop_index("ix_cases_due", table_name="cases", postgresql_where=sa.text("due_at IS NOT NULL"))
    op.drop_column("cases", "agreement_used")
    op.drop_column("cases", "suspension_ground")
    op.drop_column("cases", "suspended_at")
    op.drop_column("cases", "suspended_from")
    op.drop_column("cases", "evidence_of_seller")
    op.drop_column("cases", "evidence_of_buyer")
    op.drop_column("cases", "evidence_from")
    op.drop_column("cases", "return_shipped_at")
    op.drop_column("cases", "return_tracking_number")
    op.drop_column("cases", "return_carrier")
    op.drop_column("cases", "return_address_seq")
    op.drop_column("cases", "performed")
    op.drop_column("cases", "proposal_accepted_by_seller")
    op.drop_column("cases", "proposal_accepted_by_buyer")
    op.drop_column("cases", "appeal_until")
    op.drop_column("cases", "due_at")
    op.drop_column("cases", "legs")
    op.drop_column("cases", "matters")
    op.drop_column("cases", "freight_minor")
    op.drop_column("cases", "compensation_minor")
    _drop_tables()


def _drop_tables() -> None:
    op.drop_index(op.f("ix_evidence_items_case_id"), table_name="evidence_items")
    op.drop_table("evidence_items")
    op.drop_index("ix_notices_case", table_name="notices")
    op.drop_table("notices")
    op.drop_index(
        "uq_evidence_requests_open", table_name="evidence_requests", postgresql_where=sa.text("status = 'open'")
    )
    op.drop_index("ix_evidence_requests_case", table_name="evidence_requests")
    op.drop_table("evidence_requests")
    op.drop_index("uq_deadlines_running", table_name="deadlines", postgresql_where=sa.text("done_at IS NULL"))
    op.drop_index("ix_deadlines_wake", table_name="deadlines", postgresql_where=sa.text("wake_at IS NOT NULL"))
    op.drop_index("ix_deadlines_case", table_name="deadlines")
    op.drop_table("deadlines")
    op.drop_index("uq_tracking_scans_scan", table_name="tracking_scans")
    op.drop_table("tracking_scans")
    op.drop_table("sandbox")
    op.drop_table("policy_versions")
