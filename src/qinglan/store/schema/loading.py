"""What loading writes: loads, their files, rows set aside, the station register, and every event."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Date,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
)

from qinglan.store.schema.columns import Instant, metadata, serial

loads = Table(
    "loads",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("layout", String(80), nullable=False),
    Column("arguments", JSON, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("finished_at", Instant),
    Column("status", String(20), nullable=False),
    Column("counts", JSON, nullable=False),
    Column("code_version", String(40), nullable=False),
)

load_files = Table(
    "load_files",
    metadata,
    serial(),
    Column("load_id", String(40), ForeignKey("loads.id"), nullable=False),
    Column("path", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("size", BigInteger().with_variant(Integer, "sqlite"), nullable=False),
    Column("recipe", String(64), nullable=False),
    Column("status", String(20), nullable=False),
    Column("counts", JSON, nullable=False),
    Column("message", Text, nullable=False),
    Column("at", Instant, nullable=False),
    Index("ix_load_files_sha256_recipe", "sha256", "recipe"),
    Index("ix_load_files_load_id", "load_id"),
)

rejects = Table(
    "rejects",
    metadata,
    serial(),
    Column("load_id", String(40), ForeignKey("loads.id"), nullable=False),
    Column("file_id", Integer, ForeignKey("load_files.id"), nullable=False),
    Column("source", Text, nullable=False),
    Column("line", Integer),
    Column("code", String(40), nullable=False),
    Column("field", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("raw", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("reason_zh", Text, nullable=False),
    Column("remedy", Text, nullable=False),
    Column("remedy_zh", Text, nullable=False),
    Column("status", String(20), nullable=False),
    Index("ix_rejects_load_id", "load_id"),
    Index("ix_rejects_status_code", "status", "code"),
)

stations = Table(
    "stations",
    metadata,
    Column("station", String(64), primary_key=True),
    Column("name", Text, nullable=False),
    Column("place", String(40), nullable=False),
    Column("county", String(40)),
    Column("lon", Float),
    Column("lat", Float),
    Column("altitude", Float),
    Column("kind", String(40), nullable=False),
    Column("control_point", Boolean, nullable=False),
    Column("valid_from", Date),
    Column("valid_to", Date),
    Column("aliases", JSON, nullable=False),
    Column("by", Text, nullable=False),
    Column("at", Instant, nullable=False),
)

events = Table(
    "events",
    metadata,
    serial(),
    Column("at", Instant, nullable=False),
    Column("who", Text, nullable=False),
    Column("what", String(80), nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", JSON, nullable=False),
    Column("prev_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Index("ix_events_what_subject", "what", "subject"),
    Index("ix_events_prev_hash", "prev_hash", unique=True),
)
