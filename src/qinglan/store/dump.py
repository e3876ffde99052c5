"""The registry as text: one JSON line for a row, one file for a table. What one engine wrote, either can read.

Tables are taken as they stand in the database, not as this version declares them, so that a copy made before an
upgrade is read into tables of its own revision and then brought forward.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, Column, Connection, MetaData, Table, func, insert, null, select, text

from qinglan.core.errors import StoreError
from qinglan.store.registry import Registry

#: Alembic's own table: the revision stands in the manifest.
_OWN = "alembic_version"
_CHUNK = 500


def tables_of(con: Connection) -> list[Table]:
    """The tables of a registry as they are there, those that others refer to first."""
    found = MetaData()
    found.reflect(con)
    return [table for table in found.sorted_tables if table.name != _OWN]


def dump(registry: Registry, folder: Path) -> dict[str, int]:
    """Write every table into ``<folder>/<table>.jsonl``, all of one moment. Returns the rows of each."""
    folder.mkdir(parents=True, exist_ok=True)
    counts = {}
    with registry.read() as con:
        for table in tables_of(con):
            query = select(table).order_by(*table.primary_key.columns).execution_options(yield_per=_CHUNK)
            with (folder / f"{table.name}.jsonl").open("w", encoding="utf-8") as out:
                counts[table.name] = _write(out.write, con.execute(query).mappings())
    return counts


def _write(write: Callable[[str], Any], rows: Iterable[Any]) -> int:
    count = 0
    for row in rows:
        write(json.dumps(dict(row), ensure_ascii=False, default=_plain) + "\n")
        count += 1
    return count


def _plain(value: Any) -> Any:
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise TypeError(f"{type(value).__name__} in the registry")


def load(registry: Registry, folder: Path, revision: str) -> dict[str, int]:
    """Fill an empty registry from :func:`dump`, and bring it up to date. Returns the rows of each table.

    registry : opened with ``upgrade=False``.

    Raises StoreError when the registry holds something, or when the copy was made by a newer Qinglan.
    """
    if registry.revision() is not None or registry.tables():
        raise StoreError(f"the registry {registry.shown} is not empty.", remedy="Restore into an empty database.")
    registry.migrate(revision)
    with registry.begin() as con:
        tables = tables_of(con)
        unknown = {path.stem for path in folder.glob("*.jsonl")} - {table.name for table in tables}
        if unknown:
            raise StoreError(f"the copy holds tables that revision {revision} has not: {sorted(unknown)}.")
        counts = {table.name: _fill(con, table, folder / f"{table.name}.jsonl") for table in tables}
    registry.migrate()
    return counts


def _fill(con: Connection, table: Table, path: Path) -> int:
    count = 0
    for rows in _chunks(path, {column.name: _reader(column) for column in table.columns}):
        con.execute(insert(table), rows)
        count += len(rows)
    if con.dialect.name == "postgresql":
        _continue_numbers(con, table)
    return count


def _chunks(path: Path, readers: dict[str, Callable[[Any], Any]]) -> Iterator[list[dict[str, Any]]]:
    """Rows in bundles; empty JSON in a column that may be empty stays SQL's NULL."""
    rows: list[dict[str, Any]] = []
    if not path.exists():
        return
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            rows.append({name: readers[name](value) for name, value in json.loads(line).items()})
            if len(rows) == _CHUNK:
                yield rows
                rows = []
    if rows:
        yield rows


def _reader(column: Column[Any]) -> Callable[[Any], Any]:
    """How to read a column's JSON value."""
    if isinstance(column.type, JSON):
        return (lambda value: null() if value is None else value) if column.nullable else lambda value: value
    kind = column.type.python_type
    readers: dict[type, Callable[[Any], Any]] = {
        datetime: datetime.fromisoformat,
        date: date.fromisoformat,
        bytes: base64.b64decode,
    }
    read = readers.get(kind)
    return (lambda value: value) if read is None else lambda value: None if value is None else read(value)


def _continue_numbers(con: Connection, table: Table) -> None:
    """Let PostgreSQL's counters go on after the highest number that came in."""
    for column in table.primary_key.columns:
        name = con.execute(
            text("SELECT pg_get_serial_sequence(:table, :column)"), {"table": table.name, "column": column.name}
        ).scalar()
        highest = con.execute(select(func.max(column))).scalar() if name else None
        if highest is not None:
            con.execute(text("SELECT setval(CAST(:name AS regclass), :value)"), {"name": name, "value": highest})
