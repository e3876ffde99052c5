"""Tables of the registry. Nothing official is deleted: rows are superseded and every change appends an event.

Written in the common subset of SQLite and PostgreSQL. Instants are UTC; codes and states are plain strings whose
vocabularies are checked by the functions that write them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Date,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)
from sqlalchemy.exc import DontWrapMixin

from qinglan.core.errors import UsageError


class NaiveInstant(UsageError, DontWrapMixin):
    """A moment without a zone was about to be written."""


class Instant(TypeDecorator[datetime]):
    """A moment with its zone; stored in UTC (SQLite forgets zones)."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a naive moment, turn the others to UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise NaiveInstant(f"instant {value.isoformat()} carries no zone.", remedy="Pass an aware datetime.")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Give the zone back."""
        return None if value is None else value.replace(tzinfo=UTC)


metadata = MetaData(
    naming_convention={"ix": "ix_%(table_name)s_%(column_0_N_name)s", "fk": "fk_%(table_name)s_%(column_0_name)s"}
)


def _serial() -> Column[int]:
    return Column("id", Integer, primary_key=True, autoincrement=True)


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
    _serial(),
    Column("load_id", String(40), ForeignKey("loads.id"), nullable=False),
    Column("path", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("size", Integer, nullable=False),
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
    _serial(),
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
    _serial(),
    Column("at", Instant, nullable=False),
    Column("who", Text, nullable=False),
    Column("what", String(80), nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", JSON, nullable=False),
    Index("ix_events_what_subject", "what", "subject"),
)

flag_decisions = Table(
    "flag_decisions",
    metadata,
    _serial(),
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
    _serial(),
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
    _serial(),
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
    _serial(),
    Column("run_id", String(40), nullable=False),
    Column("kind", String(40), nullable=False),
    Column("json", JSON, nullable=False),
    Column("current", Boolean, nullable=False),
    Column("at", Instant, nullable=False),
    Index("ix_runs_kind_current", "kind", "current"),
)
