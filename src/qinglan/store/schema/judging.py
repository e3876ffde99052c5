"""What judging writes: decisions on flags, dust events, reported values, evidence, runs."""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, Date, Float, Index, Integer, String, Table, Text

from qinglan.store.schema.columns import Instant, metadata, serial

flag_decisions = Table(
    "flag_decisions",
    metadata,
    serial(),
    Column("station", String(64), nullable=False),
    Column("time", Instant, nullable=False),
    Column("item", String(40), nullable=False),
    Column("rule", String(80), nullable=False),
    Column("decision", String(20), nullable=False),
    Column("reason", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Index("ix_flag_decisions_station_time", "station", "time"),
)

dust_events = Table(
    "dust_events",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=True),
    Column("id", String(80), nullable=False),
    Column("place", String(40), nullable=False),
    Column("start", Instant, nullable=False),
    Column("end", Instant, nullable=False),
    Column("removal", String(40), nullable=False),
    Column("status", String(20), nullable=False),
    Column("reviewer", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("evidence", JSON, nullable=False),
    Column("rule_version", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Index("ix_dust_events_id", "id"),
    Index("ix_dust_events_place_start", "place", "start"),
)

reported_values = Table(
    "reported_values",
    metadata,
    serial(),
    Column("target_id", String(120), nullable=False),
    Column("value", Float, nullable=False),
    Column("baseline_value", Float),
    Column("unit", String(40), nullable=False),
    Column("as_of", Date, nullable=False),
    Column("source", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Index("ix_reported_values_target_id_as_of", "target_id", "as_of"),
)

task_evidence = Table(
    "task_evidence",
    metadata,
    serial(),
    Column("task_id", String(120), nullable=False),
    Column("kind", String(80), nullable=False),
    Column("item", Integer, nullable=False),
    Column("cycle", String(20), nullable=False),
    Column("satisfied", Boolean, nullable=False),
    Column("value", Float),
    Column("unit", String(40), nullable=False),
    Column("reference", Text, nullable=False),
    Column("hash", String(64), nullable=False),
    Column("as_of", Date, nullable=False),
    Column("source", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Index("ix_task_evidence_task_id", "task_id"),
)

runs = Table(
    "runs",
    metadata,
    serial(),
    Column("run_id", String(40), nullable=False),
    Column("kind", String(40), nullable=False),
    Column("json", JSON, nullable=False),
    Column("current", Boolean, nullable=False),
    Column("at", Instant, nullable=False),
    Index("ix_runs_kind_current", "kind", "current"),
)
