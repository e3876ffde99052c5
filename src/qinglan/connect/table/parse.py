"""Read a described table."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from qinglan.connect.cells import (
    UNIT_OPTIONS,
    dates,
    finish,
    hour_of,
    option,
    reject_names,
    reject_rows,
    utc_end,
)
from qinglan.connect.reading import RECORD, Form, Records, original, read_records
from qinglan.connect.table.instants import formatted, instants
from qinglan.connect.table.mapping import Description, load
from qinglan.connect.table.sheet import read_sheet
from qinglan.core.batch import Batch, LayoutInfo, ReadContext, Reject
from qinglan.core.tables import dataset

_EXCEL = (".xlsx", ".xlsm")
_WIDE_DIGITS = dict(zip("０１２３４５６７８９．，－", "0123456789.,-", strict=True))
_SPACES = r"[\s\u00a0\u2009\u202f\u3000]"
_VALUE, _NAME, _WHO = "_value", "_item", "_who"

LAYOUT = LayoutInfo(
    name="table",
    title_zh="任意 CSV 或 Excel 表（按映射文件）",
    title_en="any CSV or Excel table (described by a mapping file)",
    datasets=("hours", "weather", "published", "city_days"),
    extensions=(".csv", ".csv.gz", ".txt", *_EXCEL),
    description_zh="列名、单位、时间写法、缺测标记等由映射文件说明；时刻含义与时区以映射文件为准。",
    description_en="columns, units, missing and time are told by the mapping, which also sets label and zone.",
    options={"mapping": "映射文件路径 / path of the mapping file", **UNIT_OPTIONS},
)


def sniff(path: Path) -> bool:
    """Never: without its mapping no table explains itself."""
    return False


def read(path: Path, context: ReadContext) -> Iterator[Batch]:
    """One batch of the data set that the mapping names."""
    spec = load(option(context, "mapping"))
    records = _records(path, spec)
    frame, rejects = _keyed(records, records.frame, spec)
    frame, unknown = _named(records, frame, spec, context)
    cells, strange = _cells(records, frame, spec, context)
    frame, bad = _spread(records, cells, spec)
    units = {i.item: i.unit for i in spec.items.values() if i.unit}
    rejects = [*records.rejects, *rejects, *unknown, *strange, *bad]
    yield finish(spec.dataset, frame, records, rejects=rejects, units=units)


def _records(path: Path, spec: Description) -> Records:
    if path.suffix.lower() in _EXCEL:
        return read_sheet(path, spec.columns, spec.file, spec.missing)
    form = Form(spec.file.header_row - 1, spec.file.header_rows, spec.file.separator, spec.missing)
    return read_records(path, spec.columns, layout=LAYOUT.name, form=form)


def _keyed(records: Records, frame: pl.DataFrame, spec: Description) -> tuple[pl.DataFrame, list[Reject]]:
    """Rows with a time (`time`, or `day` for city days); the others are set aside."""
    when = spec.time
    if spec.dataset == "city_days":
        source = when.column or when.date or ""
        day = formatted(frame[source], when.format).dt.date() if when.format else dates(frame[source].str.head(10))
        frame = frame.with_columns(day.alias("day"))
        bad = frame.filter(pl.col("day").is_null())
        return frame.filter(pl.col("day").is_not_null()), reject_rows(records, bad, "bad_time", source)
    if when.column:
        source, written = when.column, instants(frame[when.column], when.format)
    else:
        source = when.date or ""
        day = formatted(frame[source], when.format).dt.date() if when.format else dates(frame[source].str.head(10))
        hour = frame.select(hour_of(pl.col(when.hour or ""))).to_series()
        last = 24 if when.label == "end" else 23
        hour = hour.set(~hour.is_between(0, last).fill_null(False), None)
        parts = pl.DataFrame({"day": day, "hour": hour})
        written = parts.select(pl.col("day").cast(pl.Datetime("us")) + pl.duration(hours="hour")).to_series()
    frame = frame.with_columns(written.alias("_written"))
    bad = frame.filter(pl.col("_written").is_null())
    frame = frame.filter(pl.col("_written").is_not_null())
    return frame.with_columns(utc_end(pl.col("_written"), when.convention).alias("time")), reject_rows(
        records, bad, "bad_time", source
    )


def _named(
    records: Records, frame: pl.DataFrame, spec: Description, context: ReadContext
) -> tuple[pl.DataFrame, list[Reject]]:
    """Rows with the code of their station or place under `_WHO` (wide tables get theirs from the columns)."""
    if spec.shape == "wide":
        return frame, []
    who, daily = spec.who, spec.dataset == "city_days"
    code, field = ("unknown_place", "place") if daily else ("unknown_station", "station")
    name = pl.col(who.column).str.strip_chars() if who.column else pl.lit(who.fixed, pl.String)
    city = pl.col(who.city_column).str.strip_chars() if who.city_column else pl.lit(who.city, pl.String)
    frame = frame.with_columns(name.alias(field), city.alias("_city"))
    pairs = frame.select(field, "_city").unique(maintain_order=True)
    codes = [None if not n else context.place(n) if daily else context.station(n, c) for n, c in pairs.iter_rows()]
    known = pairs.with_columns(pl.Series(_WHO, codes, dtype=pl.String))
    frame = frame.join(known, on=[field, "_city"], how="left", nulls_equal=True, maintain_order="left")
    missing = reject_names(records, frame.filter(pl.col(_WHO).is_null()), code, field)
    return frame.filter(pl.col(_WHO).is_not_null()), missing


def _cells(
    records: Records, frame: pl.DataFrame, spec: Description, context: ReadContext
) -> tuple[pl.DataFrame, list[Reject]]:
    """The table as cells: key, `_NAME` (a key of `items`), `_VALUE` (text), RECORD."""
    key = "day" if spec.dataset == "city_days" else "time"
    if spec.shape == "wide":
        return _wide_cells(records, frame, spec, context, key)
    base = [RECORD, key, _WHO]
    if spec.shape == "long":
        return (
            frame.select(*base, *spec.items).unpivot(
                on=list(spec.items), index=base, variable_name=_NAME, value_name=_VALUE
            ),
            [],
        )
    cells = frame.select(
        *base,
        pl.col(spec.item_column or "").str.strip_chars().alias(_NAME),
        pl.col(spec.value_column or "").alias(_VALUE),
    )
    return _known_items(records, cells, spec)


def _known_items(records: Records, cells: pl.DataFrame, spec: Description) -> tuple[pl.DataFrame, list[Reject]]:
    named = cells[_NAME].is_in(list(spec.items)).fill_null(False)
    strange = cells.filter(~named).rename({_NAME: "item"})
    return cells.filter(named), reject_rows(records, strange, "unknown_item", "item", rows=0)


def _wide_cells(
    records: Records, frame: pl.DataFrame, spec: Description, context: ReadContext, key: str
) -> tuple[pl.DataFrame, list[Reject]]:
    fixed = set(spec.columns)
    columns = [c for c in records.header if c not in fixed and original(c)]
    known, rejects = {}, []
    for column in columns:
        name = original(column)
        daily = spec.dataset == "city_days"
        code = context.place(name) if daily else context.station(name, spec.who.city)
        if code is None:
            word = "place" if daily else "station"
            hours = frame[key].n_unique()
            rejects.append(
                Reject(
                    f"unknown_{word}",
                    word,
                    name,
                    records.first_line - 1,
                    name,
                    f"the whole column, {hours} rows",
                    hours,
                )
            )
        else:
            known[column] = code
    name_of = pl.col(spec.item_column).str.strip_chars() if spec.item_column else pl.lit(next(iter(spec.items)))
    cells = (
        frame.with_columns(name_of.alias(_NAME))
        .select(RECORD, key, _NAME, *known)
        .unpivot(on=list(known), index=[RECORD, key, _NAME], variable_name="_column", value_name=_VALUE)
        .with_columns(pl.col("_column").replace_strict(known, return_dtype=pl.String).alias(_WHO))
    )
    if not spec.item_column:
        return cells, rejects
    cells, strange = _known_items(records, cells, spec)
    return cells, [*rejects, *strange]


def _spread(records: Records, cells: pl.DataFrame, spec: Description) -> tuple[pl.DataFrame, list[Reject]]:
    """Cells converted and laid out as rows; a repeated cell makes a row of its own for the door to judge."""
    daily = spec.dataset == "city_days"
    key, who = ("day", "place") if daily else ("time", "station")
    texts = {n: i for n, i in spec.items.items() if dataset(spec.dataset).column(i.item).kind == "str"}
    value = _number(pl.col(_VALUE), spec)
    blank = pl.col(_VALUE).is_null() | pl.col(_VALUE).str.strip_chars().is_in(list(spec.missing))
    doubt = cells.select(
        ~blank & ~value.is_finite().fill_null(False) & ~pl.col(_NAME).is_in(list(texts))
    ).to_series()
    rejects: list[Reject] = []
    for (name,), group in cells.filter(doubt).group_by([_NAME], maintain_order=True):
        rejects += reject_rows(records, group.rename({_VALUE: str(name)}), "bad_number", str(name), rows=0)
    order = pl.int_range(pl.len()).over(_WHO, key, _NAME)
    cells = cells.sort(RECORD, maintain_order=True).with_columns(order.alias("_again"))
    index = [_WHO, key, "_again"]
    frame = cells.group_by(index, maintain_order=True).agg(pl.col(RECORD).min())
    for name, item in spec.items.items():
        if name in texts:
            converted = pl.col(_VALUE).str.strip_chars()
        else:
            number = _number(pl.col(_VALUE), spec)
            converted = pl.when(number.is_finite() & ~blank).then(number * item.scale + item.offset)
        column = cells.filter(pl.col(_NAME) == name).select(*index, converted.alias(item.item))
        if item.item in frame.columns:  # two names of one item in a tall table
            column = column.rename({item.item: "_other"})
            frame = (
                frame.join(column, on=index, how="left", maintain_order="left")
                .with_columns(pl.coalesce(item.item, "_other").alias(item.item))
                .drop("_other")
            )
        else:
            frame = frame.join(column, on=index, how="left", maintain_order="left")
    whole = [c.name for c in dataset(spec.dataset).columns if c.kind == "int" and c.name in frame.columns]
    frame = frame.with_columns(pl.col(c).round().cast(pl.Int32, strict=False) for c in whole)
    return frame.rename({_WHO: who}).sort(RECORD, maintain_order=True), rejects


def _number(text: pl.Expr, spec: Description) -> pl.Expr:
    """Doubles out of text as people type it: full-width digits, spaces between thousands, decimal commas."""
    plain = text.str.replace_many(_WIDE_DIGITS).str.replace_all(_SPACES, "")
    if spec.file.thousands:
        plain = plain.str.replace_all(spec.file.thousands, "", literal=True)
    if spec.file.decimal == ",":
        plain = plain.str.replace(",", ".", literal=True)
    return plain.cast(pl.Float64, strict=False)
