"""Custody chains of exhibits, and redaction: what may be erased, by triggers that let it be nothing else.

A migration is frozen history: it imports nothing of ours.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

APPLICATION_ROLE = "mediation_app"

#: What the application may do with each new table, and nothing else.
PRIVILEGES = {
    "custody_entries": "SELECT, INSERT",
    "custody_openings": "SELECT, INSERT, UPDATE (salt, value)",
    "redactions": "SELECT, INSERT, UPDATE",
}

#: What may be erased from now on. That it can only be erased, and never changed, is the triggers' to see to.
ERASABLE = {
    "docket_openings": "UPDATE (salt, value)",
    "exhibit_message_openings": "UPDATE (text, text_salt, sender, sender_salt, attachments, attachments_salt)",
    "exhibits": "UPDATE (sha256, title, filename, blob_key, filed_by, redacted_at, blob_erased_at)",
}

#: A foreign key to the case would lock its row, and a view would wait for whoever acts on the case: the first entry is
#: looked at here instead, and the later ones follow one of the same case and exhibit.
CUSTODY_CHAINED = """
CREATE FUNCTION require_custody_chained() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.seq = 1 THEN
        IF NEW.prev <> decode(repeat('00', 32), 'hex') THEN
            RAISE EXCEPTION 'the first entry of a custody chain follows nothing'
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        IF NOT EXISTS (SELECT FROM exhibits WHERE id = NEW.exhibit_id AND case_id = NEW.case_id) THEN
            RAISE EXCEPTION 'a custody chain is that of an exhibit of the case'
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
    ELSIF NOT EXISTS (
        SELECT FROM custody_entries
        WHERE case_id = NEW.case_id AND exhibit_id = NEW.exhibit_id AND seq = NEW.seq - 1 AND hash = NEW.prev
    ) THEN
        RAISE EXCEPTION 'custody entry % does not follow the one before it', NEW.seq
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END
$$
"""

#: The arguments name the columns that may become null; every other column stays as it is.
ONLY_ERASED = """
CREATE FUNCTION require_only_erased() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before jsonb := to_jsonb(OLD);
    after jsonb := to_jsonb(NEW);
    name text;
BEGIN
    FOREACH name IN ARRAY TG_ARGV LOOP
        IF after -> name = 'null'::jsonb THEN
            after := jsonb_set(after, ARRAY[name], before -> name);
        END IF;
    END LOOP;
    IF TG_TABLE_NAME = 'exhibits' THEN
        -- When it was redacted, and when its bytes were gone, is said once.
        FOREACH name IN ARRAY ARRAY['redacted_at', 'blob_erased_at'] LOOP
            IF before -> name = 'null'::jsonb THEN
                after := jsonb_set(after, ARRAY[name], 'null'::jsonb);
            END IF;
        END LOOP;
    END IF;
    IF after <> before THEN
        RAISE EXCEPTION '% can be erased and not changed', TG_TABLE_NAME
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END
$$
"""

FUNCTIONS = ("require_custody_chained", "require_only_erased")

#: Names are looked up in our schema first and among temporary tables last.
FIXED_PATH = """
DO $$ BEGIN
    EXECUTE format('ALTER FUNCTION {function}() SET search_path TO pg_catalog, %I, pg_temp', current_schema());
END $$
"""

#: Table and the columns of it that a redaction empties.
ERASED = {
    "docket_openings": ("salt", "value"),
    "exhibit_message_openings": ("text", "text_salt", "sender", "sender_salt", "attachments", "attachments_salt"),
    "custody_openings": ("salt", "value"),
    "exhibits": ("sha256", "title", "filename", "blob_key", "filed_by"),
}


def upgrade() -> None:
    _create_tables()
    _add_columns()
    op.execute(CUSTODY_CHAINED)
    op.execute(ONLY_ERASED)
    for function in FUNCTIONS:
        op.execute(FIXED_PATH.format(function=function))
    _add_triggers()
    for table, privileges in (PRIVILEGES | ERASABLE).items():
        op.execute(f"GRANT {privileges} ON {table} TO {APPLICATION_ROLE}")


def _add_triggers() -> None:
    op.execute(
        "CREATE TRIGGER custody_entries_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON custody_entries "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_rewrite()"
    )
    op.execute("ALTER TABLE custody_entries ENABLE ALWAYS TRIGGER custody_entries_append_only")
    op.execute(
        "CREATE TRIGGER custody_entries_chained BEFORE INSERT ON custody_entries "
        "FOR EACH ROW EXECUTE FUNCTION require_custody_chained()"
    )
    op.execute("ALTER TABLE custody_entries ENABLE ALWAYS TRIGGER custody_entries_chained")
    for table, columns in ERASED.items():
        arguments = ", ".join(f"'{column}'" for column in columns)
        op.execute(
            f"CREATE TRIGGER {table}_only_erased BEFORE UPDATE ON {table} "
            f"FOR EACH ROW EXECUTE FUNCTION require_only_erased({arguments})"
        )
        op.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {table}_only_erased")


def _create_tables() -> None:
    op.create_table(
        "custody_entries",
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("exhibit_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("v", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("act", sa.Text(), nullable=False),
        sa.Column("commitment", sa.LargeBinary(), nullable=False),
        sa.Column("prev", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint(
            "act IN ('filed', 'viewed', 'downloaded', 'exported', 'redacted')", name=op.f("ck_custody_entries_act")
        ),
        sa.CheckConstraint(
            "octet_length(hash) = 32 AND octet_length(prev) = 32 AND octet_length(commitment) = 32",
            name=op.f("ck_custody_entries_digests"),
        ),
        sa.ForeignKeyConstraint(["exhibit_id"], ["exhibits.id"], name=op.f("fk_custody_entries_exhibit_id_exhibits")),
        sa.PrimaryKeyConstraint("case_id", "exhibit_id", "seq", name=op.f("pk_custody_entries")),
    )
    op.create_table(
        "custody_openings",
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("exhibit_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=True),
        sa.Column("value", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.CheckConstraint("(salt IS NULL) = (value IS NULL)", name=op.f("ck_custody_openings_erased_whole")),
        sa.ForeignKeyConstraint(
            ["case_id", "exhibit_id", "seq"],
            ["custody_entries.case_id", "custody_entries.exhibit_id", "custody_entries.seq"],
            name=op.f("fk_custody_openings_case_id_exhibit_id_seq_custody_entries"),
        ),
        sa.PrimaryKeyConstraint("case_id", "exhibit_id", "seq", name=op.f("pk_custody_openings")),
    )
    op.create_table(
        "redactions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("exhibit_id", sa.Uuid(), nullable=True),
        sa.Column("seqs", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("side", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answered_by", sa.Text(), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "erased", postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'::jsonb"), nullable=False
        ),
        sa.CheckConstraint("(exhibit_id IS NULL) <> (side IS NULL)", name=op.f("ck_redactions_exhibit_or_side")),
        sa.CheckConstraint("side IN ('buyer', 'seller')", name=op.f("ck_redactions_side")),
        sa.CheckConstraint("reason IN ('personal_data', 'third_party_secret')", name=op.f("ck_redactions_reason")),
        sa.CheckConstraint("status IN ('pending', 'done', 'rejected')", name=op.f("ck_redactions_status")),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_redactions_case_id_cases")),
        sa.ForeignKeyConstraint(["exhibit_id"], ["exhibits.id"], name=op.f("fk_redactions_exhibit_id_exhibits")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_redactions")),
    )
    op.create_index("ix_redactions_case", "redactions", ["case_id", "id"], unique=False)


def _add_columns() -> None:
    op.add_column("exhibits", sa.Column("redacted_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("exhibits", sa.Column("blob_erased_at", sa.DateTime(timezone=True), nullable=True))
    op.alter_column("exhibits", "filed_by", existing_type=sa.Text(), nullable=True)
    op.create_index(
        "ix_exhibits_to_erase",
        "exhibits",
        ["id"],
        unique=False,
        postgresql_where=sa.text("redacted_at IS NOT NULL AND blob_erased_at IS NULL"),
    )
    op.create_check_constraint(
        op.f("ck_exhibit_message_openings_erased_whole"),
        "exhibit_message_openings",
        "(text IS NULL) = (text_salt IS NULL) AND (sender IS NULL) = (sender_salt IS NULL) "
        "AND (attachments IS NULL) = (attachments_salt IS NULL)",
    )


def downgrade() -> None:
    for table, columns in ERASABLE.items():
        op.execute(f"REVOKE {columns} ON {table} FROM {APPLICATION_ROLE}")
    for table in ERASED:
        op.execute(f"DROP TRIGGER {table}_only_erased ON {table}")
    op.drop_constraint(op.f("ck_exhibit_message_openings_erased_whole"), "exhibit_message_openings", type_="check")
    op.drop_index("ix_exhibits_to_erase", table_name="exhibits")
    op.drop_column("exhibits", "blob_erased_at")
    op.drop_column("exhibits", "redacted_at")
    op.execute("UPDATE exhibits SET filed_by = '' WHERE filed_by IS NULL")
    op.alter_column("exhibits", "filed_by", existing_type=sa.Text(), nullable=False)
    op.drop_index("ix_redactions_case", table_name="redactions")
    op.drop_table("redactions")
    op.drop_table("custody_openings")
    op.drop_table("custody_entries")
    for function in FUNCTIONS:
        op.execute(f"DROP FUNCTION {function}()")
