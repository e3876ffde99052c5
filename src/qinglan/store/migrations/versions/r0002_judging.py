"""What judging writes down: decisions on flags, dust events, reported values, evidence, runs."""

import sqlalchemy as sa
from alembic import op

from qinglan.store.schema import Instant

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables of judging."""
    _decisions()
    _reports_and_runs()


def _decisions() -> None:
    op.create_table(
        "flag_decisions",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("station", sa.String(64), nullable=False),
        sa.Column("time", Instant, nullable=False),
        sa.Column("item", sa.String(40), nullable=False),
        sa.Column("rule", sa.String(80), nullable=False),
        sa.Column("decision", sa.String(20), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("at", Instant, nullable=False),
    )
    op.create_index("ix_flag_decisions_station_time", "flag_decisions", ["station", "time"])
    op.create_table(
        "dust_events",
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(80), nullable=False),
        sa.Column("place", sa.String(40), nullable=False),
        sa.Column("start", Instant, nullable=False),
        sa.Column("end", Instant, nullable=False),
        sa.Column("removal", sa.String(40), nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("reviewer", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("evidence", sa.JSON, nullable=False),
        sa.Column("rule_version", sa.Text, nullable=False),
        sa.Column("at", Instant, nullable=False),
    )
    op.create_index("ix_dust_events_id", "dust_events", ["id"])
    op.create_index("ix_dust_events_place_start", "dust_events", ["place", "start"])


def _reports_and_runs() -> None:
    op.create_table(
        "reported_values",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("target_id", sa.String(120), nullable=False),
        sa.Column("value", sa.Float, nullable=False),
        sa.Column("baseline_value", sa.Float),
        sa.Column("unit", sa.String(40), nullable=False),
        sa.Column("as_of", sa.Date, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("at", Instant, nullable=False),
    )
    op.create_index("ix_reported_values_target_id_as_of", "reported_values", ["target_id", "as_of"])
    op.create_table(
        "task_evidence",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("task_id", sa.String(120), nullable=False),
        sa.Column("kind", sa.String(80), nullable=False),
        sa.Column("item", sa.Integer, nullable=False),
        sa.Column("cycle", sa.String(20), nullable=False),
        sa.Column("satisfied", sa.Boolean, nullable=False),
        sa.Column("value", sa.Float),
        sa.Column("unit", sa.String(40), nullable=False),
        sa.Column("reference", sa.Text, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("as_of", sa.Date, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("at", Instant, nullable=False),
    )
    op.create_index("ix_task_evidence_task_id", "task_evidence", ["task_id"])
    op.create_table(
        "runs",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("run_id", sa.String(40), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("json", sa.JSON, nullable=False),
        sa.Column("current", sa.Boolean, nullable=False),
        sa.Column("at", Instant, nullable=False),
    )
    op.create_index("ix_runs_kind_current", "runs", ["kind", "current"])


def downgrade() -> None:
    """Drop them."""
    for name in ("runs", "task_evidence", "reported_values", "dust_events", "flag_decisions"):
        op.drop_table(name)
