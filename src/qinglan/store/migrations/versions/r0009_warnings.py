"""Tables of warnings of heavy pollution."""

import sqlalchemy as sa
from alembic import op

from qinglan.store.schema import Instant

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make them."""
    _life()
    _orders()


def _life() -> None:
    op.create_table(
        "warnings",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("place", sa.String(40), nullable=False),
        sa.Column("at", Instant, nullable=False),
    )
    op.create_index("ix_warnings_place", "warnings", ["place"])
    op.create_table(
        "warning_moves",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("warning", sa.String(40), sa.ForeignKey("warnings.id"), nullable=False),
        sa.Column("move", sa.String(20), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("level", sa.String(10), nullable=False),
        sa.Column("goal", sa.String(10), nullable=False),
        sa.Column("starts_at", Instant),
        sa.Column("content", sa.String(64), nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("at", Instant, nullable=False),
    )
    op.create_index("ix_warning_moves_warning", "warning_moves", ["warning"])
    op.create_table(
        "warning_notices",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("move", sa.Integer, sa.ForeignKey("warning_moves.id"), nullable=False),
        sa.Column("language", sa.String(8), nullable=False),
        sa.Column("form", sa.String(8), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.UniqueConstraint("move", "language", "form", name="uq_warning_notices"),
    )


def _orders() -> None:
    op.create_table(
        "warning_orders",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("warning", sa.String(40), sa.ForeignKey("warnings.id"), nullable=False),
        sa.Column("move", sa.Integer, sa.ForeignKey("warning_moves.id"), nullable=False),
        sa.Column("uscc", sa.String(80), nullable=False),
        sa.Column("enterprise", sa.Text, nullable=False),
        sa.Column("place", sa.String(40), nullable=False),
        sa.Column("level", sa.String(10), nullable=False),
        sa.Column("lines", sa.JSON, nullable=False),
        sa.Column("at", Instant, nullable=False),
        sa.UniqueConstraint("move", "uscc", name="uq_warning_orders"),
    )
    op.create_index("ix_warning_orders_warning", "warning_orders", ["warning"])
    op.create_index("ix_warning_orders_uscc", "warning_orders", ["uscc"])
    op.create_table(
        "warning_replies",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("order", sa.Integer, sa.ForeignKey("warning_orders.id"), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("line", sa.String(80), nullable=False),
        sa.Column("cut", sa.Float),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("at", Instant, nullable=False),
    )
    op.create_index("ix_warning_replies_order", "warning_replies", ["order"])


def downgrade() -> None:
    """Drop them."""
    for name in ("warning_replies", "warning_orders", "warning_notices", "warning_moves", "warnings"):
        op.drop_table(name)
