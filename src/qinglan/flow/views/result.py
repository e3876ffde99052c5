"""The current run of a workspace, and reading its files: pure, cached per run, rows as dictionaries.

The keys of a row are the column names of contract 0002; a missing number is None.
"""

from __future__ import annotations

import itertools
import json
import math
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import duckdb
import pyarrow as pa

from qinglan.core.errors import NotFound
from qinglan.flow import workspace as opened
from qinglan.store import runs

Row = dict[str, Any]

DUST = ("in", "out")


class NoRun(NotFound):
    """The workspace holds no finished run yet."""


class Workspace(Protocol):
    """What a view needs of an opened workspace."""

    @property
    def home(self) -> Path:
        """The folder that holds ``results/``."""

    def loads(self) -> list[Row]:
        """Loads, newest first."""

    def rejects(self) -> list[Row]:
        """Rows set aside, counted by load, code and reason."""

    def station_hours(self, dataset: str, station: str, day: date) -> list[Row]:
        """Rows of `hours`, `checked` or `flags` of a station's statistical day."""


@dataclass(frozen=True, slots=True)
class Result:
    """The current run as a page sees it."""

    folder: Path
    stamp: int
    verdict: Mapping[str, Any]

    @property
    def run_id(self) -> str:
        """Identity of the run."""
        return str(self.verdict["run"]["id"])

    @property
    def key(self) -> str:
        """Changes when the run or its files change: the seed of every page's ETag."""
        return f"{self.run_id}-{self.stamp:x}"

    def has(self, table: str) -> bool:
        """Whether the run wrote this table."""
        return (self.folder / f"{table}.parquet").exists()

    def columns(self, table: str) -> tuple[str, ...]:
        """Column names of a table; empty when the run did not write it."""
        return _columns(str(self.folder / f"{table}.parquet"), self.stamp) if self.has(table) else ()

    def rows(self, table: str, where: str = "true", order: str = "all", **values: Any) -> list[Row]:
        """Rows of a table under a condition whose ``$name`` parameters are given by keyword."""
        if not self.has(table):
            return []
        path = str(self.folder / f"{table}.parquet")
        sql = f"select * from {_SOURCE} where {where} order by {order}"
        return [dict(row) for row in _query(path, self.stamp, sql, tuple(sorted(values.items())))]

    def grouped(self, table: str, columns: str, by: str, where: str = "true", **values: Any) -> list[Row]:
        """Aggregates of a table: SQL of the `columns` for each group of `by`, in the order of `by`."""
        if not self.has(table):
            return []
        path = str(self.folder / f"{table}.parquet")
        sql = f"select {by}, {columns} from {_SOURCE} where {where} group by {by} order by {by}"
        return [dict(row) for row in _query(path, self.stamp, sql, tuple(sorted(values.items())))]


def current(workspace: Workspace) -> Result:
    """The run that the registry names as current; NoRun (with what to do) when there is none yet.

    A bare folder of results, without a registry, shows its newest run.
    """
    path = _current_verdict(workspace)
    if path is None:
        raise NoRun(f"{workspace.home} holds no run yet.", remedy="Run `qinglan run`.")
    stamp = path.stat().st_mtime_ns
    return Result(path.parent, stamp, _verdict(str(path), stamp))


#: How long an answer of the registry holds at most while its file does not change [s].
_LOOK = 1.0
_looked: dict[Path, tuple[tuple[int, ...], float, Path | None]] = {}


def _current_verdict(workspace: Workspace) -> Path | None:
    folder = workspace.home / "results"
    if isinstance(workspace, opened.Workspace):
        path = _named_verdict(workspace)
        return path if path is not None and path.is_file() else None
    found = [(path.stat().st_mtime_ns, path) for path in folder.glob("*/verdict.json")]
    return max(found)[1] if found else None


def _named_verdict(workspace: opened.Workspace) -> Path | None:
    """Verdict of the run that the registry names, asked again when its file changed or a moment has passed.

    Every request wants it, and asking the database would be the dearest part of most of them.
    """
    stamp = _registry_stamp(workspace.home)
    kept = _looked.get(workspace.home)
    if kept is not None and kept[0] == stamp and time.monotonic() - kept[1] < _LOOK and stamp:
        return kept[2]
    named = runs.current_run(workspace.registry, "run")
    path = workspace.home / "results" / named["run_id"] / "verdict.json" if named else None
    _looked[workspace.home] = (stamp, time.monotonic(), path)
    return path


def _registry_stamp(home: Path) -> tuple[int, ...]:
    """Moment and size of the registry's files; empty for one that lies on a server."""
    found: list[int] = []
    for name in ("registry.sqlite", "registry.sqlite-wal"):
        with suppress(FileNotFoundError):
            stat = (home / name).stat()
            found += (stat.st_mtime_ns, stat.st_size)
    return tuple(found)


@lru_cache(maxsize=16)
def _verdict(path: str, stamp: int) -> Mapping[str, Any]:
    """A parsed verdict; `stamp` only keys the cache."""
    loaded: Mapping[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    return loaded


@lru_cache(maxsize=1)
def _engine() -> duckdb.DuckDBPyConnection:
    """One in-memory engine for the process; each query takes its own cursor."""
    return duckdb.connect(config={"threads": 2})


def _clean(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


@lru_cache(maxsize=128)
def _query(path: str, stamp: int, sql: str, values: tuple[tuple[str, Any], ...]) -> tuple[Row, ...]:
    """Run one read; `stamp` only keys the cache."""
    source, given = _tables.source(path, stamp)
    cursor = _engine().cursor()
    try:
        table = cursor.sql(sql.replace(_SOURCE, source), params=given | dict(values)).to_arrow_table()
    finally:
        cursor.close()
    columns = {name: _cleaned(table[name]) for name in table.column_names}
    return tuple(dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))


def _cleaned(column: pa.ChunkedArray) -> list[Any]:
    """A column as Python values; what is no number is None."""
    values: list[Any] = column.to_pylist()
    if not pa.types.is_floating(column.type):
        return [_clean(value) for value in values] if pa.types.is_nested(column.type) else values
    return [None if value != value else value for value in values]


#: Stands for the table in a statement.
_SOURCE = "source_"
#: Files up to this size are read once and kept in the engine [bytes]: a question then costs a fifth.
_READ_ONCE = 16 * 2**20
#: Runs whose tables are kept: the current one, and one that still answers while the next comes.
_RUNS = 2


class _Tables:
    """Tables of the newest runs inside the process's engine."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._names: dict[tuple[str, int], str] = {}
        self._made = itertools.count()

    def source(self, path: str, stamp: int) -> tuple[str, dict[str, str]]:
        """What a statement reads instead of `_SOURCE`, and its parameters."""
        name = self._names.get((path, stamp))
        if name is None:
            if Path(path).stat().st_size > _READ_ONCE:
                return "read_parquet($path_)", {"path_": path}
            with self._lock:
                name = self._names.get((path, stamp)) or self._read(path, stamp)
        return name, {}

    def _read(self, path: str, stamp: int) -> str:
        name = f"read_{next(self._made)}"
        cursor = _engine().cursor()
        try:
            cursor.execute(f"create table {name} as select * from read_parquet($path_)", {"path_": path})
            self._names[path, stamp] = name
            runs = list(dict.fromkeys((Path(p).parent, at) for p, at in reversed(self._names)))
            for key in [k for k in self._names if (Path(k[0]).parent, k[1]) not in runs[:_RUNS]]:
                cursor.execute(f"drop table {self._names.pop(key)}")
        finally:
            cursor.close()
        return name


_tables = _Tables()


@lru_cache(maxsize=64)
def _columns(path: str, stamp: int) -> tuple[str, ...]:
    cursor = _engine().cursor()
    try:
        cursor.execute("select * from read_parquet($path_) limit 0", {"path_": path})
        return tuple(column[0] for column in cursor.description or ())
    finally:
        cursor.close()
