"""Jobs of the scheduler, their runs and leases; sizes of files beyond 2 GiB."""

import sqlalchemy as sa
from alembic import op

from qinglan.store.schema import Instant

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make them. PostgreSQL's INTEGER ends at 2 GiB, SQLite's does not."""
    op.create_table(
        "jobs",
        sa.Column("name", sa.String(80), primary_key=True),
        sa.Column("action", sa.String(80), nullable=False),
        sa.Column("schedule", sa.String(120), nullable=False),
        sa.Column("arguments", sa.JSON, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("at", Instant, nullable=False),
    )
    op.create_table(
        "job_runs",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("job", sa.String(80), nullable=False),
        sa.Column("action", sa.String(80), nullable=False),
        sa.Column("due", Instant, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("started_at", Instant, nullable=False),
        sa.Column("alive_until", Instant, nullable=False),
        sa.Column("finished_at", Instant),
        sa.Column("outcome", sa.String(20), nullable=False),
        sa.Column("result", sa.JSON, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
    )
    op.create_index("ix_job_runs_job_due_attempt", "job_runs", ["job", "due", "attempt"], unique=True)
    op.create_index("ix_job_runs_outcome", "job_runs", ["outcome"])
    op.create_table(
        "leases",
        sa.Column("name", sa.String(80), primary_key=True),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("until", Instant, nullable=False),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column("load_files", "size", existing_type=sa.Integer, type_=sa.BigInteger)


def downgrade() -> None:
    """Drop them. The wide column stays: what is in it may not fit a narrower one."""
    for name in ("leases", "job_runs", "jobs"):
        op.drop_table(name)
