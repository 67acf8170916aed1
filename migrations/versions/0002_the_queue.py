"""The queue of background work, in a schema of its own.

Its tables come from the installed `procrastinate`, whose version the constraints file pins; when that pin moves, the
upgrade scripts that it ships become migrations here. Jobs are hints: losing this schema loses no effect.
"""

from __future__ import annotations

from importlib.resources import files

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

APPLICATION_ROLE = "mediation_app"


def upgrade() -> None:
    tables = (files("procrastinate") / "sql" / "schema.sql").read_text(encoding="utf-8")
    connection = op.get_bind()
    home = connection.exec_driver_sql("SELECT current_schema()").scalar_one()
    op.execute("CREATE SCHEMA procrastinate")
    op.execute("SET LOCAL search_path TO procrastinate")
    # Sent as it is, without parameters, so that its many statements and percent signs need no quoting.
    connection.connection.cursor().execute(tables)
    op.execute(f'SET LOCAL search_path TO "{home}"')
    op.execute(f"GRANT USAGE ON SCHEMA procrastinate TO {APPLICATION_ROLE}")
    op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA procrastinate TO {APPLICATION_ROLE}")
    op.execute(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA procrastinate TO {APPLICATION_ROLE}")


def downgrade() -> None:
    op.execute("DROP SCHEMA procrastinate CASCADE")
