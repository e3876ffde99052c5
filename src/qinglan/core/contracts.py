"""The check at the door: each row judged against the column contract before it may enter the lake.

The contract is :mod:`qinglan.core.tables`. One scan of the frame settles the common case (all rows good, a
few milliseconds for a nation's day); only when it finds a fault does Pandera, built from the same columns,
say which cells break which check. A bad value costs its cell, a bad key costs its row; both become rejects.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from functools import cache
from typing import Any

import polars as pl

from qinglan.core.batch import Reject
from qinglan.core.clock import DAY_SHIFT
from qinglan.core.errors import LayoutError
from qinglan.core.tables import SOURCE_LINE, Column, Dataset, dataset

#: A batch with fewer positive values than this says nothing about its unit.
UNIT_SAMPLE = 24
#: Times of records: before the first the network did not exist; the last only stops nonsense.
EARLIEST, LATEST = date(1970, 1, 1), date(2100, 1, 1)

_POLARS: dict[str, Any] = {
    "str": pl.String,
    "float": pl.Float64,
    "int": pl.Int32,
    "hour": pl.Int8,
    "date": pl.Date,
    "time": pl.Datetime("us", "UTC"),
    "bool": pl.Boolean,
}
_ROW = "_row"


def judge(frame: pl.DataFrame, name: str, *, accept_units: bool = False) -> tuple[pl.DataFrame, list[Reject]]:
    """Split a batch into rows that may enter the lake and what is set aside.

    frame : key and value columns of data set `name` (values may be missing), optionally `source_line`.
    accept_units : a person has confirmed the unit, so a batch of unusual size is let in.

    Returns the good rows, with `day` and `hour` written by the clock's rule and columns in contract order but
    without `load_id`, and the rejects. Rows in = good rows + the sum of `Reject.rows`.
    Raises LayoutError when columns are unknown, absent or cannot be cast: a fault of the connector.
    """
    contract = dataset(name)
    typed = _typed(frame, contract).with_row_index(_ROW)
    lines = _lines(frame)
    rejects: list[Reject] = []
    if not accept_units:
        typed, suspects = _suspect_units(typed, contract)
        rejects += suspects
    if not typed.select(_sound(contract)).item():
        typed, broken = _set_aside(typed, contract, lines)
        rejects += broken
    typed, doubles = _without_duplicates(typed, contract, lines)
    rejects += doubles
    return _dated(typed.drop(_ROW), contract), rejects


@cache
def schema(name: str) -> Any:
    """Pandera schema of what a connector hands over for a data set."""
    import pandera.polars as pa  # takes seconds, and clean files never need it

    contract = dataset(name)
    columns = {}
    for column in (contract.column(n) for n in contract.handed):
        checks = []
        if column.low is not None and column.high is not None:
            checks.append(pa.Check.in_range(column.low, column.high))
        if column.choices:
            checks.append(pa.Check.isin(list(column.choices)))
        if column.kind == "date":
            checks.append(pa.Check.in_range(EARLIEST, LATEST))
        if column.kind == "time":
            checks.append(pa.Check.in_range(_instant(EARLIEST), _instant(LATEST)))
            checks.append(pa.Check(lambda data: data.lazyframe.select(_on_the_hour(data.key)), name="on_the_hour"))
        columns[column.name] = pa.Column(_POLARS[column.kind], checks, nullable=column.nullable)
    return pa.DataFrameSchema(columns, strict=False)


def _instant(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _on_the_hour(name: str) -> pl.Expr:
    return pl.col(name) == pl.col(name).dt.truncate("1h")


def _typed(frame: pl.DataFrame, contract: Dataset) -> pl.DataFrame:
    unknown = [c for c in frame.columns if c not in (*contract.handed, SOURCE_LINE)]
    absent = [c for c in contract.key if c not in frame.columns]
    if unknown or absent:
        problem = f"unknown columns {unknown}" if unknown else f"no key columns {absent}"
        raise LayoutError(
            f"batch for {contract.name} has {problem}.", remedy="Hand over: " + ", ".join(contract.handed)
        )
    columns = []
    for column in (contract.column(n) for n in contract.handed):
        kind = _POLARS[column.kind]
        if column.name not in frame.columns:
            columns.append(pl.lit(None, kind).alias(column.name))
            continue
        cast = pl.col(column.name).cast(kind)
        columns.append(cast.fill_nan(None) if column.kind == "float" else cast)
    try:
        return frame.select(columns)
    except pl.exceptions.PolarsError as cause:
        raise LayoutError(f"batch for {contract.name} cannot be cast to its contract: {cause}") from cause


def _lines(frame: pl.DataFrame) -> pl.Series:
    if SOURCE_LINE in frame.columns:
        return frame[SOURCE_LINE].cast(pl.Int64)
    return pl.repeat(None, frame.height, dtype=pl.Int64, eager=True)


def _holds(column: Column) -> Iterator[pl.Expr]:
    cell = pl.col(column.name)
    if not column.nullable:
        yield cell.is_not_null()
    if column.low is not None and column.high is not None:
        yield cell.is_null() | cell.is_between(column.low, column.high)
    if column.choices:
        yield cell.is_null() | cell.is_in(list(column.choices))
    if column.kind == "date":
        yield cell.is_null() | cell.is_between(EARLIEST, LATEST)
    if column.kind == "time":
        yield cell.is_null() | cell.is_between(_instant(EARLIEST), _instant(LATEST))
        yield cell.is_null() | _on_the_hour(column.name)


def _sound(contract: Dataset) -> pl.Expr:
    """One truth value: no cell of the frame breaks its column's contract."""
    return pl.all_horizontal(
        *(held.all() for n in contract.handed for held in _holds(contract.column(n)))
    ).fill_null(False)


def _suspect_units(frame: pl.DataFrame, contract: Dataset) -> tuple[pl.DataFrame, list[Reject]]:
    watched = [contract.column(n) for n in contract.values if contract.column(n).usual]
    if not watched or frame.is_empty():
        return frame, []
    positive = [pl.col(c.name).filter(pl.col(c.name) > 0) for c in watched]
    medians = frame.select(p.median() for p in positive).row(0)
    counts = frame.select(p.len() for p in positive).row(0)
    rejects = []
    for column, median, count in zip(watched, medians, counts, strict=True):
        low, high = column.usual or (0.0, 0.0)
        if count < UNIT_SAMPLE or low <= median <= high:
            continue
        values = frame[column.name].drop_nulls()
        detail = f"{len(values)} values set aside; declared {column.unit}, usual median {low:g}..{high:g}"
        raw = json.dumps(values.head(5).to_list())
        rejects.append(
            Reject("wrong_unit_suspected", column.name, f"median {median:g}", raw=raw, detail=detail, rows=0)
        )
    emptied = [pl.lit(None, _POLARS["float"]).alias(r.field) for r in rejects]
    return frame.with_columns(emptied), rejects


def _failures(frame: pl.DataFrame, contract: Dataset) -> list[tuple[int, str]]:
    """(row, column) of each cell that Pandera finds in breach, each once."""
    from pandera.errors import SchemaErrors

    try:
        schema(contract.name).validate(frame, lazy=True)
    except SchemaErrors as errors:
        cases = errors.failure_cases
        found = cases.filter(pl.col("index").is_not_null()).select("index", "column").unique(maintain_order=True)
        return [(int(row), str(column)) for row, column in found.iter_rows()]
    return []


def _set_aside(frame: pl.DataFrame, contract: Dataset, lines: pl.Series) -> tuple[pl.DataFrame, list[Reject]]:
    rejects: list[Reject] = []
    lost: set[int] = set()
    cells: dict[str, list[int]] = {}
    failures = sorted(_failures(frame, contract), key=lambda f: contract.names.index(f[1]))
    for row, name in failures:
        column = contract.column(name)
        record = frame.row(row, named=True)
        key_fault = name in contract.key
        if row in lost:
            continue
        if key_fault:
            lost.add(row)
        else:
            cells.setdefault(name, []).append(row)
        code = "bad_time" if column.kind in ("time", "date") else "out_of_contract"
        shown = "" if record[name] is None else str(record[name])
        rejects.append(
            Reject(code, name, shown, lines[row], _raw(record), _allowed(column), rows=1 if key_fault else 0)
        )
    emptied = [
        pl.when(pl.col(_ROW).is_in(rows)).then(None).otherwise(pl.col(name)).alias(name)
        for name, rows in cells.items()
    ]
    return frame.with_columns(emptied).filter(~pl.col(_ROW).is_in(list(lost))), rejects


def _allowed(column: Column) -> str:
    if column.kind == "time":
        return f"whole hours, {EARLIEST} to {LATEST}"
    if column.kind == "date":
        return f"{EARLIEST} to {LATEST}"
    if column.choices:
        return "one of " + ", ".join(column.choices)
    if column.low is not None and column.high is not None:
        return f"allowed {column.low:g}..{column.high:g} {column.unit}".strip()
    return "must not be empty"


def _raw(record: dict[str, Any]) -> str:
    shown = {k: v for k, v in record.items() if k != _ROW and v is not None}
    return json.dumps(shown, ensure_ascii=False, default=str)


def _without_duplicates(
    frame: pl.DataFrame, contract: Dataset, lines: pl.Series
) -> tuple[pl.DataFrame, list[Reject]]:
    """Keep the first row of each key; tell repeats that agree from those that do not."""
    keys = list(contract.key)
    again = ~frame.select(pl.struct(keys).is_first_distinct()).to_series()
    if not again.any():
        return frame, []
    kept, repeats = frame.filter(~again), frame.filter(again)
    first = kept.select(*keys, pl.struct(list(contract.values)).alias("_first"))
    compared = repeats.join(first, on=keys, how="left", maintain_order="left").with_columns(
        pl.struct(list(contract.values)).eq_missing(pl.col("_first")).alias("_same")
    )
    same = compared.filter("_same")
    rejects = []
    if same.height:
        record = same.drop("_first", "_same").row(0, named=True)
        key = " ".join(str(record[k]) for k in keys)
        detail = f"{same.height} rows, the first of them named here"
        rejects.append(
            Reject("duplicate_identical", "+".join(keys), key, lines[record[_ROW]], "", detail, rows=same.height)
        )
    for record in compared.filter(~pl.col("_same")).iter_rows(named=True):
        first_values = record.pop("_first")
        record.pop("_same")
        detail = "kept: " + _raw(first_values)
        key = " ".join(str(record[k]) for k in keys)
        rejects.append(
            Reject("duplicate_conflict", "+".join(keys), key, lines[record[_ROW]], _raw(record), detail)
        )
    return kept, rejects


def _dated(frame: pl.DataFrame, contract: Dataset) -> pl.DataFrame:
    """Write the statistical day and hour label (docs/design/0002, section 1) and order the columns."""
    if "hour" in contract.names:
        wall = pl.col("time").dt.replace_time_zone(None) + DAY_SHIFT
        frame = frame.with_columns(wall.dt.date().alias("day"), (wall.dt.hour() + 1).cast(pl.Int8).alias("hour"))
    return frame.select(n for n in contract.names if n != "load_id")
