"""Tables of what the public reports, and its photos."""

import sqlalchemy as sa
from alembic import op

from qinglan.store.schema import Instant

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "complaints",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("number", sa.String(20), nullable=False, unique=True),
        sa.Column("once", sa.String(64), nullable=False, unique=True),
        sa.Column("code_hash", sa.String(64), nullable=False),
        sa.Column("category", sa.String(40), nullable=False),
        sa.Column("place", sa.String(40), nullable=False),
        sa.Column("spot", sa.Text, nullable=False),
        sa.Column("lat", sa.Float),
        sa.Column("lon", sa.Float),
        sa.Column("seen_at", Instant),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("language", sa.String(8), nullable=False),
        sa.Column("photo", sa.String(64), nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("handler", sa.Text, nullable=False),
        sa.Column("answer", sa.Text, nullable=False),
        sa.Column("at", Instant, nullable=False),
        sa.Column("changed_at", Instant, nullable=False),
    )
    op.create_index("ix_complaints_status_at", "complaints", ["status", "at"])
    op.create_index("ix_complaints_place", "complaints", ["place"])
    op.create_table(
        "complaint_contacts",
        sa.Column(
            "complaint_id",
            sa.Integer,
            sa.ForeignKey("complaints.id", name="fk_complaint_contacts_complaint_id"),
            primary_key=True,
        ),
        sa.Column("contact", sa.Text, nullable=False),
        sa.Column("at", Instant, nullable=False),
    )
    op.create_table(
        "complaint_moves",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column(
            "complaint_id",
            sa.Integer,
            sa.ForeignKey("complaints.id", name="fk_complaint_moves_complaint_id"),
            nullable=False,
        ),
        sa.Column("before", sa.String(20), nullable=False),
        sa.Column("after", sa.String(20), nullable=False),
        sa.Column("handler", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("answer", sa.Text, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("at", Instant, nullable=False),
    )
    op.create_index("ix_complaint_moves_complaint_id", "complaint_moves", ["complaint_id"])


def downgrade() -> None:
    """Drop them."""
    for name in ("complaint_moves", "complaint_contacts", "complaints"):
        op.drop_table(name)
