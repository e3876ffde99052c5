"""From text cells to numbers, times and batches: what every layout does in the same way.

A cell that is no number is emptied and set aside with its line and text; the row lives on with its other cells.
Limits, repeated keys and doubtful units are judged at the door (:mod:`qinglan.core.contracts`), not here: a batch
carries each row's line, so that the door can point back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import polars as pl
import pyarrow as pa

from qinglan.connect.reading import MISSING_TOKENS, RECORD, Records
from qinglan.core.batch import Batch, LayoutInfo, ReadContext, Reject
from qinglan.core.clock import HourLabel, TimeConvention
from qinglan.core.errors import UsageError
from qinglan.core.tables import SOURCE_LINE, dataset

_ACCEPT_UNITS = "yes：确认单位无误，不再按量级拒收 / yes: the units are right, do not refuse by size"

#: The option that every layout of values takes; the door heeds it.
UNIT_OPTIONS: Mapping[str, str] = {"accept_units": _ACCEPT_UNITS}

#: Options that every hourly layout takes, with their meaning.
TIME_OPTIONS: Mapping[str, str] = {
    "label": "小时标签的含义：end（小时末）或 begin（小时初） / what an hour label means: end or begin",
    "utc_offset": "源文件时钟比UTC快的小时数 / hours by which the written clock is ahead of UTC",
    **UNIT_OPTIONS,
}

_RAW_LENGTH = 2_000

_SECTORS = ("N", "NNE", "NE", "ENE", "E", "ESE", "SE", "SSE", "S", "SSW", "SW", "WSW", "W", "WNW", "NW", "NNW")


def convention(context: ReadContext, layout: LayoutInfo) -> TimeConvention:
    """The layout's time convention, changed by the options `label` and `utc_offset`."""
    options, declared = context.options, layout.convention
    try:
        label = HourLabel(str(options.get("label", declared.label)))
    except ValueError:
        raise UsageError(
            f"option label is {options['label']!r}.", remedy="Write label=end or label=begin."
        ) from None
    try:
        offset = float(options.get("utc_offset", declared.utc_offset))
    except (TypeError, ValueError):
        offset = 99.0
    if not -12 <= offset <= 14:
        raise UsageError(
            f"option utc_offset is {options['utc_offset']!r}.", remedy="Write hours ahead of UTC, such as 8."
        )
    return TimeConvention(label, offset)


def utc_end(written: pl.Expr, time: TimeConvention) -> pl.Expr:
    """UTC end of the hour that a naive label names."""
    shift: timedelta = time.shift()
    return (written.cast(pl.Datetime("us")) + pl.lit(shift)).dt.replace_time_zone("UTC")


def hour_of(text: pl.Expr) -> pl.Expr:
    """Hour number out of text such as ``7``, ``07``, ``7.0``, ``07:00`` or ``7时``; null when it is none."""
    return text.str.strip_chars().str.replace(r"(\.0+|:00(:00)?|时|点)$", "").cast(pl.Int32, strict=False)


def date_of(text: pl.Expr) -> pl.Expr:
    """Date out of ``20240401``, ``2024-04-01``, ``2024/4/1`` or ``2024年4月1日``; null when it is none."""
    plain = text.str.strip_chars()
    compact = plain.str.to_date("%Y%m%d", strict=False)
    iso = plain.str.to_date("%Y-%m-%d", strict=False)
    parts = plain.str.extract_groups(r"^(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?$")
    joined = pl.concat_str([parts.struct.field(n) for n in ("1", "2", "3")], separator="-")
    other = joined.str.to_date("%Y-%m-%d", strict=False)
    return pl.when(plain.str.len_bytes() == 8).then(pl.coalesce(compact, other)).otherwise(pl.coalesce(iso, other))


def dates(text: pl.Series) -> pl.Series:
    """Dates of a column of text; each distinct text is read once, for they are few and the spellings many."""
    distinct = pl.DataFrame({"text": text}).unique()
    known = distinct.with_columns(date_of(pl.col("text")).alias("date"))
    return pl.DataFrame({"text": text}).join(known, on="text", how="left", maintain_order="left")["date"]


def sector_degrees(text: pl.Expr) -> pl.Expr:
    """Direction the wind comes from [°] for a sector such as ``NNW``; north is 360, null for no sector."""
    degrees = {name: 22.5 * n or 360.0 for n, name in enumerate(_SECTORS)}
    return text.str.strip_chars().replace_strict(degrees, default=None, return_dtype=pl.Float64)


def raw_excerpt(records: Records, record: int, field: str = "", value: str = "") -> str:
    """Raw text of a record; of a very long line its beginning and the cell in question."""
    raw = records.raw(record)
    return raw if len(raw) <= _RAW_LENGTH else f"{raw[:120]} ... [{field}={value}] ..."


def reject_rows(
    records: Records, bad: pl.DataFrame, code: str, field: str, *, detail: str = "", rows: int = 1
) -> list[Reject]:
    """One reject for each row of a frame; `bad` has `RECORD` and, if it can be shown, the column `field`."""
    shown = bad[field].cast(pl.String).fill_null("").to_list() if field in bad.columns else [""] * bad.height
    return [
        Reject(code, field, value, records.line(r), raw_excerpt(records, r, field, value), detail, rows)
        for r, value in zip(bad[RECORD].to_list(), shown, strict=True)
    ]


def reject_names(records: Records, bad: pl.DataFrame, code: str, field: str) -> list[Reject]:
    """One reject for each unknown name: it counts all the rows and keeps all their text."""
    result = []
    for (name,), group in bad.group_by([field], maintain_order=True):
        lines = group[RECORD].to_list()
        where = f"{len(lines)} rows, lines {records.line(lines[0])} to {records.line(lines[-1])}"
        raw = "\n".join(records.raw(r) for r in lines)
        detail = where if len(lines) > 1 else ""
        result.append(Reject(code, field, str(name or ""), records.line(lines[0]), raw, detail, len(lines)))
    return result


def numbers(records: Records, frame: pl.DataFrame, items: Mapping[str, str]) -> tuple[pl.DataFrame, list[Reject]]:
    """Turn text columns into doubles under new names (`items`: name in the file to name in the vocabulary).

    Cells that are no number are emptied and set aside (`bad_number`, the row lives on).
    """
    exprs, doubts = [], []
    for source, item in items.items():
        text = pl.col(source).str.strip_chars()
        value = text.cast(pl.Float64, strict=False)
        exprs.append(pl.when(value.is_finite()).then(value).alias(item))
        blank = text.is_null() | text.is_in(MISSING_TOKENS)
        doubts.append((~blank & ~value.is_finite().fill_null(False)).alias(source))
    doubtful = frame.select(doubts)
    rejects: list[Reject] = []
    for source in items:
        if doubtful[source].any():
            bad = frame.filter(doubtful[source]).select(RECORD, source)
            rejects += reject_rows(records, bad, "bad_number", source, rows=0)
    rest = [c for c in frame.columns if c not in items]
    return frame.select(*rest, *exprs), rejects


def finish(
    name: str,
    frame: pl.DataFrame,
    records: Records,
    *,
    rejects: Sequence[Reject] = (),
    units: Mapping[str, str] | None = None,
    keep_empty: bool = True,
) -> Batch:
    """Hand a frame over as a batch of a data set.

    frame : key and value columns of the data set, and `RECORD`; keep_empty False drops rows that say nothing
    """
    contract = dataset(name)
    values = [v for v in contract.values if v in frame.columns]
    if not keep_empty:
        frame = frame.filter(pl.any_horizontal(pl.col(values).is_not_null()))
    table = to_arrow(frame.select(*contract.key, *values, RECORD), records)
    return Batch(name, table, records.path.name, list(rejects), units or {})


def to_arrow(frame: pl.DataFrame, records: Records) -> pa.Table:
    """The frame as Arrow, its record numbers turned into lines."""
    if records.spans is None:
        line = (pl.col(RECORD).cast(pl.Int64) + records.first_line).alias(SOURCE_LINE)
        return frame.with_columns(line).drop(RECORD).to_arrow(compat_level=pl.CompatLevel.oldest())
    lines = pl.Series(SOURCE_LINE, [records.spans[r][0] for r in frame[RECORD].to_list()], dtype=pl.Int64)
    return frame.with_columns(lines).drop(RECORD).to_arrow(compat_level=pl.CompatLevel.oldest())


def option(context: ReadContext, name: str, default: Any = None) -> Any:
    """An option's value, or its default."""
    return context.options.get(name, default)
