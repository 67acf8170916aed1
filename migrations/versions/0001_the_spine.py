"""The spine: cases, their docket, evidence, decisions and money, and the guards that only a database can give.

A migration is frozen history: it imports nothing of ours.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


#: The application's connections take this role: it owns nothing, so it can neither alter a table nor switch a trigger
#: off. It belongs to the whole server, not to this database, so a downgrade leaves it.
APPLICATION_ROLE = "mediation_app"

#: What the application may do with each table, and nothing else.
PRIVILEGES = {
    "alembic_version": "SELECT",
    "parties": "SELECT, INSERT, UPDATE",
    "orders": "SELECT, INSERT, UPDATE",
    "cases": "SELECT, INSERT, UPDATE",
    "claims": "SELECT, INSERT",
    "open_lines": "SELECT, INSERT, DELETE",
    "offers": "SELECT, INSERT, UPDATE",
    "docket_entries": "SELECT, INSERT",
    "docket_openings": "SELECT, INSERT",
    "exhibits": "SELECT, INSERT",
    "exhibit_messages": "SELECT, INSERT",
    "exhibit_message_openings": "SELECT, INSERT",
    "decisions": "SELECT, INSERT, UPDATE",
    "appeals": "SELECT, INSERT",
    "refunds": "SELECT, INSERT, UPDATE",
    "ledger_entries": "SELECT, INSERT",
    "seals": "SELECT, INSERT",
    "sealing_keys": "SELECT, INSERT, UPDATE",
    "interests": "SELECT, INSERT, UPDATE",
    "idempotent_answers": "SELECT, INSERT, DELETE",
}

#: Nobody rewrites these, not even the owner; ENABLE ALWAYS keeps the trigger on where a superuser plays replica.
APPEND_ONLY = ("docket_entries", "exhibit_messages", "ledger_entries", "seals")

ROLE = f"""
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{APPLICATION_ROLE}') THEN
        CREATE ROLE {APPLICATION_ROLE} NOLOGIN;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL;  -- another database of this server was being migrated at the same moment and made the role
END
$$
"""

#: Tried and not asked for: from PostgreSQL 16 on, who creates a role is its member without being able to take it.
MEMBER = f"""
DO $$
DECLARE
    me name := current_user;
BEGIN
    BEGIN
        SET LOCAL ROLE {APPLICATION_ROLE};
        EXECUTE format('SET LOCAL ROLE %I', me);
    EXCEPTION WHEN insufficient_privilege THEN
        EXECUTE format('GRANT {APPLICATION_ROLE} TO %I', me);
    END;
END
$$
"""

REFUSE_REWRITE = """
CREATE FUNCTION refuse_rewrite() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'integrity_constraint_violation';
END
$$
"""

CHAINED = """
CREATE FUNCTION require_chained() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.seq = 1 THEN
        IF NEW.prev <> decode(repeat('00', 32), 'hex') THEN
            RAISE EXCEPTION 'the first entry of a docket follows nothing'
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
    ELSIF NOT EXISTS (
        SELECT FROM docket_entries WHERE case_id = NEW.case_id AND seq = NEW.seq - 1 AND hash = NEW.prev
    ) THEN
        RAISE EXCEPTION 'docket entry % does not follow the one before it', NEW.seq
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END
$$
"""

#: A case only ever goes on to later entries: one that was set back would still match the docket, only an old one.
ONWARD = """
CREATE FUNCTION require_onward() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a case never goes back from entry % to %', OLD.version, NEW.version
        USING ERRCODE = 'integrity_constraint_violation';
END
$$
"""

BALANCED = """
CREATE FUNCTION require_balanced() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM ledger_entries WHERE refund_id = NEW.refund_id GROUP BY currency HAVING sum(amount_minor) <> 0
    ) THEN
        RAISE EXCEPTION 'the movements of refund % do not sum to zero', NEW.refund_id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NULL;
END
$$
"""


FUNCTIONS = ("refuse_rewrite", "require_chained", "require_onward", "require_balanced")

#: Names are looked up in our schema first and among temporary tables last, so that a temporary `docket_entries` of the
#: session's own cannot stand in for the real one.
FIXED_PATH = """
DO $$ BEGIN
    EXECUTE format('ALTER FUNCTION {function}() SET search_path TO pg_catalog, %I, pg_temp', current_schema());
END $$
"""


def _protect() -> None:
    for definition in (REFUSE_REWRITE, CHAINED, ONWARD, BALANCED):
        op.execute(definition)
    for function in FUNCTIONS:
        op.execute(FIXED_PATH.replace("{function}", function))
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_rewrite()"
        )
        op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_append_only")
    op.execute(
        "CREATE TRIGGER docket_entries_chained BEFORE INSERT ON docket_entries "
        "FOR EACH ROW EXECUTE FUNCTION require_chained()"
    )
    op.execute("ALTER TABLE docket_entries ENABLE ALWAYS TRIGGER docket_entries_chained")
    op.execute(
        "CREATE TRIGGER cases_onward BEFORE UPDATE ON cases FOR EACH ROW "
        "WHEN (NEW.version < OLD.version) EXECUTE FUNCTION require_onward()"
    )
    op.execute("ALTER TABLE cases ENABLE ALWAYS TRIGGER cases_onward")
    op.execute(
        "CREATE CONSTRAINT TRIGGER ledger_entries_balanced AFTER INSERT ON ledger_entries "
        "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION require_balanced()"
    )
    op.execute("ALTER TABLE ledger_entries ENABLE ALWAYS TRIGGER ledger_entries_balanced")


def _grant() -> None:
    op.execute(ROLE)
    op.execute(MEMBER)
    op.execute(
        f"DO $$ BEGIN EXECUTE format('GRANT USAGE ON SCHEMA %I TO {APPLICATION_ROLE}', current_schema()); END $$"
    )
    for table, privileges in PRIVILEGES.items():
        op.execute(f"GRANT {privileges} ON {table} TO {APPLICATION_ROLE}")


def upgrade() -> None:
    _create_tables()
    _protect()
    _grant()


def _create_tables() -> None:
    op.create_table(
        "idempotent_answers",
        sa.Column("marketplace", sa.Text(), nullable=False),
        sa.Column("caller", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request_digest", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.BigInteger(), nullable=False),
        sa.Column("headers", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("marketplace", "caller", "key", name=op.f("pk_idempotent_answers")),
    )
    op.create_index("ix_idempotent_answers_at", "idempotent_answers", ["at"], unique=False)
    op.create_index("ix_idempotent_answers_case", "idempotent_answers", ["case_id"], unique=False)
    op.create_table(
        "interests",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("marketplace", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("party", sa.Text(), nullable=False),
        sa.Column("declared_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("side IN ('buyer', 'seller')", name=op.f("ck_interests_side")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_interests")),
    )
    op.create_index(
        "uq_interests_running",
        "interests",
        ["marketplace", "subject", "side", "party"],
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_table(
        "parties",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("marketplace", sa.Text(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("locale", sa.Text(), server_default="zh-CN", nullable=False),
        sa.CheckConstraint("side IN ('buyer', 'seller')", name=op.f("ck_parties_side")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_parties")),
        sa.UniqueConstraint("marketplace", "side", "external_id", name=op.f("uq_parties_marketplace_side_external_id")),
    )
    op.create_table(
        "sealing_keys",
        sa.Column("kid", sa.Text(), nullable=False),
        sa.Column("jwk", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("kid", name=op.f("pk_sealing_keys")),
    )
    op.create_table(
        "orders",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("marketplace", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("buyer_id", sa.Uuid(), nullable=False),
        sa.Column("seller_id", sa.Uuid(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("paid_minor", sa.BigInteger(), nullable=False),
        sa.Column("reserved_minor", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("refunded_minor", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("paid_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("region", sa.Text(), nullable=True),
        sa.Column("ship_by", sa.DateTime(timezone=True), nullable=True),
        sa.Column("shipped_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("delivered_to", sa.Text(), nullable=True),
        sa.Column("receipt_confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("carrier", sa.Text(), nullable=True),
        sa.Column("tracking_number", sa.Text(), nullable=True),
        sa.Column("lines", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("currency ~ '^[A-Z]{3}$'", name=op.f("ck_orders_currency")),
        sa.CheckConstraint(
            "paid_minor >= 0 AND reserved_minor >= 0 AND refunded_minor >= 0", name=op.f("ck_orders_not_negative")
        ),
        sa.CheckConstraint("reserved_minor + refunded_minor <= paid_minor", name=op.f("ck_orders_within_paid")),
        sa.ForeignKeyConstraint(["buyer_id"], ["parties.id"], name=op.f("fk_orders_buyer_id_parties")),
        sa.ForeignKeyConstraint(["seller_id"], ["parties.id"], name=op.f("fk_orders_seller_id_parties")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_orders")),
        sa.UniqueConstraint("marketplace", "external_id", name=op.f("uq_orders_marketplace_external_id")),
    )
    op.create_table(
        "cases",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("marketplace", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("buyer_id", sa.Uuid(), nullable=False),
        sa.Column("seller_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("head", sa.LargeBinary(), nullable=False),
        sa.Column("waiting_on", sa.Text(), nullable=True),
        sa.Column("queue", sa.Text(), nullable=True),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("claimed_minor", sa.BigInteger(), nullable=False),
        sa.Column("assignee", sa.Text(), nullable=True),
        sa.Column("level", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("escalation_reason", sa.Text(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("remedy", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("reserved_minor", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("offers_made", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("open_offer_by", sa.Text(), nullable=True),
        sa.Column("counter_offers_buyer", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("counter_offers_seller", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("pending_decision_by", sa.Text(), nullable=True),
        sa.Column("decisions_issued", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("approved_by", sa.Text(), nullable=True),
        sa.Column("accepted_by_buyer", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("accepted_by_seller", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("appealed_by_buyer", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("appealed_by_seller", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.ForeignKeyConstraint(["buyer_id"], ["parties.id"], name=op.f("fk_cases_buyer_id_parties")),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_cases_order_id_orders")),
        sa.ForeignKeyConstraint(["seller_id"], ["parties.id"], name=op.f("fk_cases_seller_id_parties")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cases")),
        sa.UniqueConstraint("marketplace", "reference", name=op.f("uq_cases_marketplace_reference")),
    )
    op.create_index("ix_cases_amount", "cases", ["marketplace", "claimed_minor", "id"], unique=False)
    op.create_index(
        "ix_cases_assignee",
        "cases",
        ["marketplace", "assignee", "opened_at", "id"],
        unique=False,
        postgresql_where=sa.text("assignee IS NOT NULL"),
    )
    op.create_index("ix_cases_buyer", "cases", ["buyer_id", "id"], unique=False)
    op.create_index("ix_cases_opened", "cases", ["marketplace", "opened_at", "id"], unique=False)
    op.create_index("ix_cases_order", "cases", ["order_id"], unique=False)
    op.create_index(
        "ix_cases_queue",
        "cases",
        ["marketplace", "queue", "opened_at", "id"],
        unique=False,
        postgresql_where=sa.text("queue IS NOT NULL"),
    )
    op.create_index("ix_cases_seller", "cases", ["seller_id", "id"], unique=False)
    op.create_index("ix_cases_updated", "cases", ["marketplace", "updated_at", "id"], unique=False)
    op.create_table(
        "claims",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("n", sa.BigInteger(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("line_id", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_claims_amount")),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_claims_case_id_cases")),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_claims_order_id_orders")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_claims")),
        sa.UniqueConstraint("case_id", "n", name=op.f("uq_claims_case_id_n")),
    )
    op.create_index("ix_claims_line", "claims", ["order_id", "line_id"], unique=False)
    op.create_table(
        "decisions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("issued_number", sa.BigInteger(), nullable=True),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("on_appeal", sa.Boolean(), nullable=False),
        sa.Column("upholds", sa.Boolean(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("remedy_kind", sa.Text(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("freight_bearer", sa.Text(), nullable=True),
        sa.Column("blame", sa.Text(), nullable=True),
        sa.Column("dispositions", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("liability", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("approved_by", sa.Text(), nullable=True),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("final_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "status IN ('pending', 'issued', 'final', 'overturned', 'returned', 'superseded', 'upheld', 'void')",
            name=op.f("ck_decisions_status"),
        ),
        sa.CheckConstraint("amount_minor >= 0", name=op.f("ck_decisions_amount")),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_decisions_case_id_cases")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_decisions")),
        sa.UniqueConstraint("case_id", "number", name=op.f("uq_decisions_case_id_number")),
    )
    op.create_index(
        "uq_decisions_standing",
        "decisions",
        ["case_id"],
        unique=True,
        postgresql_where=sa.text("status IN ('pending', 'issued')"),
    )
    op.create_table(
        "docket_entries",
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("v", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("from_state", sa.Text(), nullable=True),
        sa.Column("to_state", sa.Text(), nullable=False),
        sa.Column("commitments", sa.ARRAY(sa.LargeBinary()), nullable=False),
        sa.Column("prev", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("visibility", sa.Text(), nullable=False),
        sa.CheckConstraint("visibility IN ('parties', 'staff')", name=op.f("ck_docket_entries_visibility")),
        sa.CheckConstraint(
            "octet_length(hash) = 32 AND octet_length(prev) = 32", name=op.f("ck_docket_entries_digests")
        ),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_docket_entries_case_id_cases")),
        sa.PrimaryKeyConstraint("case_id", "seq", name=op.f("pk_docket_entries")),
        sa.UniqueConstraint("case_id", "seq", "to_state", name=op.f("uq_docket_entries_case_id_seq_to_state")),
    )
    op.create_table(
        "exhibits",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("filename", sa.Text(), nullable=True),
        sa.Column("sha256", sa.Text(), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("blob_key", sa.Text(), nullable=True),
        sa.Column("filed_role", sa.Text(), nullable=False),
        sa.Column("filed_by", sa.Text(), nullable=False),
        sa.Column("filed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("late", sa.Boolean(), nullable=False),
        sa.Column("visibility", sa.Text(), nullable=False),
        sa.Column("timezone", sa.Text(), nullable=True),
        sa.Column("message_count", sa.BigInteger(), nullable=True),
        sa.Column("merkle_root", sa.LargeBinary(), nullable=True),
        sa.Column("problems", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.CheckConstraint("visibility IN ('parties', 'staff')", name=op.f("ck_exhibits_visibility")),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_exhibits_case_id_cases")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exhibits")),
        sa.UniqueConstraint("case_id", "label", name=op.f("uq_exhibits_case_id_label")),
        sa.UniqueConstraint("case_id", "seq", name=op.f("uq_exhibits_case_id_seq")),
    )
    op.create_table(
        "offers",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "status IN ('open', 'accepted', 'declined', 'replaced', 'void')", name=op.f("ck_offers_status")
        ),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_offers_case_id_cases")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_offers")),
    )
    op.create_index("ix_offers_case", "offers", ["case_id", "id"], unique=False)
    op.create_index("uq_offers_open", "offers", ["case_id"], unique=True, postgresql_where=sa.text("status = 'open'"))
    op.create_table(
        "open_lines",
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("line_id", sa.Text(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_open_lines_case_id_cases")),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_open_lines_order_id_orders")),
        sa.PrimaryKeyConstraint("order_id", "line_id", name=op.f("pk_open_lines")),
    )
    op.create_index(op.f("ix_open_lines_case_id"), "open_lines", ["case_id"], unique=False)
    op.create_table(
        "refunds",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("gateway", sa.Text(), nullable=True),
        sa.Column("gateway_reference", sa.Text(), nullable=True),
        sa.Column("attempts", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tries_since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("next_try_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failure", sa.Text(), nullable=True),
        sa.Column("anomaly", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "status IN ('requested', 'sent', 'settled', 'failed', 'settled_elsewhere')", name=op.f("ck_refunds_status")
        ),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_refunds_amount")),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_refunds_case_id_cases")),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_refunds_order_id_orders")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refunds")),
    )
    op.create_index("ix_refunds_case", "refunds", ["case_id", "id"], unique=False)
    op.create_index(
        "ix_refunds_due",
        "refunds",
        ["next_try_at"],
        unique=False,
        postgresql_where=sa.text("status IN ('requested', 'sent')"),
    )
    op.create_index(
        "uq_refunds_under_way",
        "refunds",
        ["case_id"],
        unique=True,
        postgresql_where=sa.text("status IN ('requested', 'sent', 'failed')"),
    )
    op.create_table(
        "appeals",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("decision_id", sa.Uuid(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("exhibits", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("filed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_appeals_case_id_cases")),
        sa.ForeignKeyConstraint(["decision_id"], ["decisions.id"], name=op.f("fk_appeals_decision_id_decisions")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_appeals")),
        sa.UniqueConstraint("decision_id", "side", name=op.f("uq_appeals_decision_id_side")),
    )
    op.create_index("ix_appeals_case", "appeals", ["case_id"], unique=False)
    op.create_table(
        "docket_openings",
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("n", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=True),
        sa.Column("value", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.CheckConstraint("(salt IS NULL) = (value IS NULL)", name=op.f("ck_docket_openings_erased_whole")),
        sa.ForeignKeyConstraint(
            ["case_id", "seq"],
            ["docket_entries.case_id", "docket_entries.seq"],
            name=op.f("fk_docket_openings_case_id_seq_docket_entries"),
        ),
        sa.PrimaryKeyConstraint("case_id", "seq", "n", name=op.f("pk_docket_openings")),
    )
    op.create_table(
        "exhibit_message_openings",
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("exhibit_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("text_salt", sa.LargeBinary(), nullable=True),
        sa.Column("sender", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("sender_salt", sa.LargeBinary(), nullable=True),
        sa.Column("attachments", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("attachments_salt", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_exhibit_message_openings_case_id_cases")),
        sa.ForeignKeyConstraint(
            ["exhibit_id"], ["exhibits.id"], name=op.f("fk_exhibit_message_openings_exhibit_id_exhibits")
        ),
        sa.PrimaryKeyConstraint("case_id", "exhibit_id", "seq", name=op.f("pk_exhibit_message_openings")),
    )
    op.create_table(
        "exhibit_messages",
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("exhibit_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("c_text", sa.LargeBinary(), nullable=False),
        sa.Column("c_sender", sa.LargeBinary(), nullable=False),
        sa.Column("c_attachments", sa.LargeBinary(), nullable=False),
        sa.Column("leaf", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_exhibit_messages_case_id_cases")),
        sa.ForeignKeyConstraint(["exhibit_id"], ["exhibits.id"], name=op.f("fk_exhibit_messages_exhibit_id_exhibits")),
        sa.PrimaryKeyConstraint("case_id", "exhibit_id", "seq", name=op.f("pk_exhibit_messages")),
    )
    op.create_table(
        "ledger_entries",
        sa.Column("refund_id", sa.Uuid(), nullable=False),
        sa.Column("n", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("amount_minor <> 0", name=op.f("ck_ledger_entries_amount")),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_ledger_entries_case_id_cases")),
        sa.ForeignKeyConstraint(["refund_id"], ["refunds.id"], name=op.f("fk_ledger_entries_refund_id_refunds")),
        sa.PrimaryKeyConstraint("refund_id", "n", name=op.f("pk_ledger_entries")),
    )
    op.create_index(op.f("ix_ledger_entries_case_id"), "ledger_entries", ["case_id"], unique=False)
    op.create_table(
        "seals",
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kid", sa.Text(), nullable=False),
        sa.Column("jws", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["case_id", "seq"],
            ["docket_entries.case_id", "docket_entries.seq"],
            name=op.f("fk_seals_case_id_seq_docket_entries"),
        ),
        sa.ForeignKeyConstraint(["kid"], ["sealing_keys.kid"], name=op.f("fk_seals_kid_sealing_keys")),
        sa.PrimaryKeyConstraint("case_id", "seq", name=op.f("pk_seals")),
    )
    # The state of a case is the one its last docket entry led to, whatever the application believes.
    op.create_foreign_key(
        "fk_cases_state_is_in_the_docket",
        "cases",
        "docket_entries",
        ["id", "version", "state"],
        ["case_id", "seq", "to_state"],
        deferrable=True,
        initially="DEFERRED",
    )


def downgrade() -> None:
    op.drop_constraint("fk_cases_state_is_in_the_docket", "cases", type_="foreignkey")
    op.drop_table("seals")
    op.drop_index(op.f("ix_ledger_entries_case_id"), table_name="ledger_entries")
    op.drop_table("ledger_entries")
    op.drop_table("exhibit_messages")
    op.drop_table("exhibit_message_openings")
    op.drop_table("docket_openings")
    op.drop_index("ix_appeals_case", table_name="appeals")
    op.drop_table("appeals")
    op.drop_index(
        "uq_refunds_under_way",
        table_name="refunds",
        postgresql_where=sa.text("status IN ('requested', 'sent', 'failed')"),
    )
    op.drop_index("ix_refunds_due", table_name="refunds", postgresql_where=sa.text("status IN ('requested', 'sent')"))
    op.drop_index("ix_refunds_case", table_name="refunds")
    op.drop_table("refunds")
    op.drop_index(op.f("ix_open_lines_case_id"), table_name="open_lines")
    op.drop_table("open_lines")
    op.drop_index("uq_offers_open", table_name="offers", postgresql_where=sa.text("status = 'open'"))
    op.drop_index("ix_offers_case", table_name="offers")
    op.drop_table("offers")
    op.drop_table("exhibits")
    op.drop_table("docket_entries")
    op.drop_index(
        "uq_decisions_standing", table_name="decisions", postgresql_where=sa.text("status IN ('pending', 'issued')")
    )
    op.drop_table("decisions")
    op.drop_index("ix_claims_line", table_name="claims")
    op.drop_table("claims")
    op.drop_index("ix_cases_updated", table_name="cases")
    op.drop_index("ix_cases_seller", table_name="cases")
    op.drop_index("ix_cases_queue", table_name="cases", postgresql_where=sa.text("queue IS NOT NULL"))
    op.drop_index("ix_cases_order", table_name="cases")
    op.drop_index("ix_cases_opened", table_name="cases")
    op.drop_index("ix_cases_buyer", table_name="cases")
    op.drop_index("ix_cases_assignee", table_name="cases", postgresql_where=sa.text("assignee IS NOT NULL"))
    op.drop_index("ix_cases_amount", table_name="cases")
    op.drop_table("cases")
    op.drop_table("orders")
    op.drop_table("sealing_keys")
    op.drop_table("parties")
    op.drop_index("uq_interests_running", table_name="interests", postgresql_where=sa.text("ended_at IS NULL"))
    op.drop_table("interests")
    op.drop_index("ix_idempotent_answers_case", table_name="idempotent_answers")
    op.drop_index("ix_idempotent_answers_at", table_name="idempotent_answers")
    op.drop_table("idempotent_answers")
    for function in FUNCTIONS:
        op.execute(f"DROP FUNCTION {function}()")
