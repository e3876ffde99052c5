"""Tables of ledgers: changes, rows, versions, and what was kept aside."""

import sqlalchemy as sa
from alembic import op

from qinglan.store.schema import Instant

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make them."""
    _rows()
    _history()


def _rows() -> None:
    op.create_table(
        "ledger_changes",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("ledger", sa.String(60), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("file", sa.String(64), nullable=False),
        sa.Column("counts", sa.JSON, nullable=False),
        sa.Column("written", sa.Integer, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("at", Instant, nullable=False),
    )
    op.create_index("ix_ledger_changes_ledger_id", "ledger_changes", ["ledger", "id"])
    op.create_table(
        "ledger_rows",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("ledger", sa.String(60), nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("standing", sa.String(10), nullable=False),
        sa.Column("into", sa.Integer),
        sa.Column("state", sa.String(40), nullable=False),
        sa.Column("place", sa.String(40), nullable=False),
        sa.Column("enterprise", sa.String(80), nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("change", sa.Integer, sa.ForeignKey("ledger_changes.id"), nullable=False),
    )
    op.create_index("ix_ledger_rows_ledger_key", "ledger_rows", ["ledger", "key"], unique=True)
    op.create_index("ix_ledger_rows_ledger_enterprise", "ledger_rows", ["ledger", "enterprise"])


def _history() -> None:
    op.create_table(
        "ledger_versions",
        sa.Column("row", sa.Integer, sa.ForeignKey("ledger_rows.id"), primary_key=True),
        sa.Column("version", sa.Integer, primary_key=True),
        sa.Column("change", sa.Integer, sa.ForeignKey("ledger_changes.id"), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("standing", sa.String(10), nullable=False),
        sa.Column("columns", sa.Text, nullable=False),
        sa.Column("data", sa.Text, nullable=False),
    )
    op.create_index("ix_ledger_versions_change", "ledger_versions", ["change"])
    op.create_table(
        "ledger_aside",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("ledger", sa.String(60), nullable=False),
        sa.Column("change", sa.Integer, sa.ForeignKey("ledger_changes.id"), nullable=False),
        sa.Column("line", sa.Integer, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("place", sa.String(40), nullable=False),
        sa.Column("enterprise", sa.String(80), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("raw", sa.Text, nullable=False),
        sa.Column("faults", sa.Text, nullable=False),
        sa.Column("status", sa.String(10), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("settled_by", sa.Text),
        sa.Column("settled_at", Instant),
        sa.Column("settled_change", sa.Integer),
    )
    op.create_index("ix_ledger_aside_ledger_status", "ledger_aside", ["ledger", "status"])


def downgrade() -> None:
    """Drop them."""
    for name in ("ledger_aside", "ledger_versions", "ledger_rows", "ledger_changes"):
        op.drop_table(name)
