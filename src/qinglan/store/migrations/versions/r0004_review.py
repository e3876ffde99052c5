"""Tables of levels of review, months locked and reopened, instrument records."""

import sqlalchemy as sa
from alembic import op

from qinglan.store.schema import Instant

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make them."""
    _days()
    _instruments()


def _days() -> None:
    op.create_table(
        "day_reviews",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("station", sa.String(64), nullable=False),
        sa.Column("place", sa.String(40), nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("level", sa.String(20), nullable=False),
        sa.Column("remark", sa.Text, nullable=False),
        sa.Column("seen", sa.String(64), nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("at", Instant, nullable=False),
        sa.Column("live", sa.Boolean),
        sa.Column("withdrawn_by", sa.Text),
        sa.Column("withdrawn_at", Instant),
        sa.Column("withdrawn_why", sa.Text),
    )
    live = ["station", "day", "level", "live"]
    op.create_index("ix_day_reviews_station_day_level_live", "day_reviews", live, unique=True)
    op.create_index("ix_day_reviews_place_day", "day_reviews", ["place", "day"])
    op.create_table(
        "month_locks",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("place", sa.String(40), nullable=False),
        sa.Column("month", sa.String(7), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("exceptions", sa.JSON, nullable=False),
        sa.Column("seen", sa.String(64), nullable=False),
        sa.Column("days", sa.Integer, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("at", Instant, nullable=False),
    )
    op.create_index("ix_month_locks_place_month", "month_locks", ["place", "month"])


def _instruments() -> None:
    op.create_table(
        "instrument_records",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("station", sa.String(64), nullable=False),
        sa.Column("place", sa.String(40), nullable=False),
        sa.Column("item", sa.String(40), nullable=False),
        sa.Column("serial", sa.String(80), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("checked_at", Instant, nullable=False),
        sa.Column("reference", sa.Float, nullable=False),
        sa.Column("reading", sa.Float, nullable=False),
        sa.Column("unit", sa.String(20), nullable=False),
        sa.Column("deviation", sa.Float, nullable=False),
        sa.Column("drift", sa.Float),
        sa.Column("tolerance", sa.Float, nullable=False),
        sa.Column("choice", sa.String(40), nullable=False),
        sa.Column("passed", sa.Boolean, nullable=False),
        sa.Column("remark", sa.Text, nullable=False),
        sa.Column("attachment", sa.String(64), nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("at", Instant, nullable=False),
    )
    by_time = ["station", "item", "checked_at"]
    op.create_index("ix_instrument_records_station_item_checked_at", "instrument_records", by_time)
    op.create_table(
        "doubted_hours",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("record", sa.Integer, sa.ForeignKey("instrument_records.id"), nullable=False),
        sa.Column("station", sa.String(64), nullable=False),
        sa.Column("item", sa.String(40), nullable=False),
        sa.Column("first", Instant, nullable=False),
        sa.Column("last", Instant, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("at", Instant, nullable=False),
    )
    op.create_index("ix_doubted_hours_record", "doubted_hours", ["record"], unique=True)


def downgrade() -> None:
    """Drop them."""
    for name in ("doubted_hours", "instrument_records", "month_locks", "day_reviews"):
        op.drop_table(name)
