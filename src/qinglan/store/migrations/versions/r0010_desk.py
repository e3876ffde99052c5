"""Tables of the forecaster's desk."""

import sqlalchemy as sa
from alembic import op

from qinglan.store.schema import Instant

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "desk_bulletins",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("place", sa.String(40), nullable=False),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("at", Instant, nullable=False),
        sa.UniqueConstraint("place", "day", name="uq_desk_bulletins"),
    )
    op.create_table(
        "desk_moves",
        *_of_version(),
        sa.Column("replaces", sa.Integer),
        sa.Column("move", sa.String(20), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("content", sa.String(64), nullable=False),
        sa.Column("office", sa.String(80), nullable=False),
        sa.Column("until", Instant),
        *_act(),
    )
    op.create_index("ix_desk_moves_bulletin", "desk_moves", ["bulletin"])
    op.create_table(
        "desk_edits",
        *_of_version(),
        sa.Column("place", sa.String(40), nullable=False),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("low", sa.Integer),
        sa.Column("high", sa.Integer),
        sa.Column("level", sa.Integer),
        sa.Column("primary", sa.String(80), nullable=False),
        sa.Column("words", sa.Text, nullable=False),
        sa.Column("machine", sa.JSON, nullable=False),
        *_act(),
    )
    op.create_index("ix_desk_edits_bulletin", "desk_edits", ["bulletin"])
    op.create_table(
        "desk_files",
        *_of_version(),
        sa.Column("language", sa.String(8), nullable=False),
        sa.Column("form", sa.String(8), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.UniqueConstraint("bulletin", "version", "language", "form", name="uq_desk_files"),
    )


def _of_version() -> tuple[sa.Column, ...]:  # type: ignore[type-arg]
    return (
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("bulletin", sa.String(40), sa.ForeignKey("desk_bulletins.id"), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
    )


def _act() -> tuple[sa.Column, ...]:  # type: ignore[type-arg]
    return (
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("at", Instant, nullable=False),
    )


def downgrade() -> None:
    """Drop them."""
    for name in ("desk_files", "desk_edits", "desk_moves", "desk_bulletins"):
        op.drop_table(name)
