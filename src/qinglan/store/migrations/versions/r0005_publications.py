"""Tables of bulletins, their versions and moves."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from qinglan.store.schema import Instant

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def _of() -> list[sa.Column[Any]]:
    return [
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("publication", sa.String(80), sa.ForeignKey("publications.id"), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
    ]


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "publications",
        sa.Column("id", sa.String(80), primary_key=True),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("place", sa.String(40), nullable=False),
        sa.Column("period", sa.String(40), nullable=False),
        sa.Column("first_day", sa.String(10), nullable=False),
        sa.Column("last_day", sa.String(10), nullable=False),
        sa.Column("at", Instant, nullable=False),
    )
    op.create_table(
        "publication_versions",
        *_of(),
        sa.Column("replaces", sa.Integer),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("at", Instant, nullable=False),
        sa.UniqueConstraint("publication", "version", name="uq_publication_versions"),
    )
    op.create_table(
        "publication_moves",
        *_of(),
        sa.Column("move", sa.String(20), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("run_id", sa.String(40), nullable=False),
        sa.Column("content", sa.String(64), nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("at", Instant, nullable=False),
        sa.UniqueConstraint("publication", "id", name="uq_publication_moves"),
    )
    op.create_table(
        "publication_files",
        *_of(),
        sa.Column("language", sa.String(8), nullable=False),
        sa.Column("form", sa.String(8), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.UniqueConstraint("publication", "version", "language", "form", name="uq_publication_files"),
    )


def downgrade() -> None:
    """Drop them."""
    for name in ("publication_files", "publication_moves", "publication_versions", "publications"):
        op.drop_table(name)
