"""The embedded engine: a DuckDB connection that stays within its memory and spills inside the home folder."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import ibis
import ibis.expr.types as ir
import pyarrow as pa
from ibis.backends.duckdb import Backend

_SQL_TYPES = {
    "string": "VARCHAR",
    "double": "DOUBLE",
    "int32": "INTEGER",
    "int8": "TINYINT",
    "date32[day]": "DATE",
    "timestamp[us, tz=UTC]": "TIMESTAMPTZ",
    "bool": "BOOLEAN",
}


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """memory_limit : as DuckDB writes it (``2GB``). threads : None for all cores."""

    memory_limit: str = "2GB"
    threads: int | None = None


def connect(spill: Path, settings: EngineSettings) -> Backend:
    """A fresh in-memory DuckDB whose session clock is UTC and whose big work spills into `spill`."""
    spill.mkdir(parents=True, exist_ok=True)
    options: dict[str, object] = {"memory_limit": settings.memory_limit, "temp_directory": str(spill)}
    if settings.threads:
        options["threads"] = settings.threads
    con = ibis.duckdb.connect(**options)
    con.raw_sql("SET TimeZone = 'UTC'")
    return con


def scan(con: Backend, paths: Sequence[Path], schema: pa.Schema) -> ir.Table:
    """A table over Parquet files of one schema; without files an empty table of that schema."""
    name = f"lake_{uuid.uuid4().hex}"
    if not paths:  # plain SQL: creating a table from Arrow fails in Ibis 12 with some releases of SQLGlot
        columns = ", ".join(f'"{field.name}" {_SQL_TYPES[str(field.type)]}' for field in schema)
        con.raw_sql(f'CREATE TEMP TABLE "{name}" ({columns})')
        return con.table(name)
    return con.read_parquet([str(p) for p in paths], table_name=name, hive_partitioning=False)


def months_between(first: date | None, last: date | None) -> tuple[int, int]:
    """Bounds as year*12 + month; open ends become limits that no file reaches.

    >>> months_between(date(2025, 3, 1), None)
    (24303, 120000)
    """
    low = first.year * 12 + first.month if first else 0
    high = last.year * 12 + last.month if last else 120_000
    return low, high
