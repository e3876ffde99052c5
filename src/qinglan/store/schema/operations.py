"""Tables of jobs of the scheduler, their runs, and leases: who may work on what until when."""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, Index, Integer, String, Table, Text

from qinglan.store.schema.columns import Instant, metadata, serial

jobs = Table(
    "jobs",
    metadata,
    Column("name", String(80), primary_key=True),
    Column("action", String(80), nullable=False),
    Column("schedule", String(120), nullable=False),
    Column("arguments", JSON, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("by", Text, nullable=False),
    Column("at", Instant, nullable=False),
)

job_runs = Table(
    "job_runs",
    metadata,
    serial(),
    Column("job", String(80), nullable=False),
    Column("action", String(80), nullable=False),
    Column("due", Instant, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("alive_until", Instant, nullable=False),
    Column("finished_at", Instant),
    Column("outcome", String(20), nullable=False),
    Column("result", JSON, nullable=False),
    Column("error", Text, nullable=False),
    Column("holder", Text, nullable=False),
    Column("by", Text, nullable=False),
    Index("ix_job_runs_job_due_attempt", "job", "due", "attempt", unique=True),
    Index("ix_job_runs_outcome", "outcome"),
)

leases = Table(
    "leases",
    metadata,
    Column("name", String(80), primary_key=True),
    Column("holder", Text, nullable=False),
    Column("until", Instant, nullable=False),
)
