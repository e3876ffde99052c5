"""What loading writes down: loads, their files, rejects, stations, events."""

import sqlalchemy as sa
from alembic import op

from qinglan.store.schema import Instant

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables of loading."""
    _loads()
    _rejects()
    _stations_and_events()


def _loads() -> None:
    op.create_table(
        "loads",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("layout", sa.String(80), nullable=False),
        sa.Column("arguments", sa.JSON, nullable=False),
        sa.Column("started_at", Instant, nullable=False),
        sa.Column("finished_at", Instant),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("counts", sa.JSON, nullable=False),
        sa.Column("code_version", sa.String(40), nullable=False),
    )
    op.create_table(
        "load_files",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column(
            "load_id", sa.String(40), sa.ForeignKey("loads.id", name="fk_load_files_load_id"), nullable=False
        ),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("recipe", sa.String(64), nullable=False),
        sa.Column("status", sa.String(20), nullable=False),
        sa.Column("counts", sa.JSON, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("at", Instant, nullable=False),
    )
    op.create_index("ix_load_files_sha256_recipe", "load_files", ["sha256", "recipe"])
    op.create_index("ix_load_files_load_id", "load_files", ["load_id"])


def _rejects() -> None:
    op.create_table(
        "rejects",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("load_id", sa.String(40), sa.ForeignKey("loads.id", name="fk_rejects_load_id"), nullable=False),
        sa.Column(
            "file_id", sa.Integer, sa.ForeignKey("load_files.id", name="fk_rejects_file_id"), nullable=False
        ),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("line", sa.Integer),
        sa.Column("code", sa.String(40), nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("field", "value", "raw", "detail")),
        sa.Column("rows", sa.Integer, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("reason", "reason_zh", "remedy", "remedy_zh")),
        sa.Column("status", sa.String(20), nullable=False),
    )
    op.create_index("ix_rejects_load_id", "rejects", ["load_id"])
    op.create_index("ix_rejects_status_code", "rejects", ["status", "code"])


def _stations_and_events() -> None:
    op.create_table(
        "stations",
        sa.Column("station", sa.String(64), primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("place", sa.String(40), nullable=False),
        sa.Column("county", sa.String(40)),
        *(sa.Column(name, sa.Float) for name in ("lon", "lat", "altitude")),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("control_point", sa.Boolean, nullable=False),
        sa.Column("valid_from", sa.Date),
        sa.Column("valid_to", sa.Date),
        sa.Column("aliases", sa.JSON, nullable=False),
        sa.Column("by", sa.Text, nullable=False),
        sa.Column("at", Instant, nullable=False),
    )
    op.create_table(
        "events",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("at", Instant, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("what", sa.String(80), nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("detail", sa.JSON, nullable=False),
    )
    op.create_index("ix_events_what_subject", "events", ["what", "subject"])


def downgrade() -> None:
    """Drop them."""
    for name in ("events", "stations", "rejects", "load_files", "loads"):
        op.drop_table(name)
