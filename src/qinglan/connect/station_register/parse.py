"""Read a register of stations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl
import pyarrow as pa

from qinglan.connect.cells import dates, numbers, reject_names, reject_rows
from qinglan.connect.reading import RECORD, Records, columns_of, read_records
from qinglan.core.batch import Batch, LayoutInfo, ReadContext, Reject
from qinglan.core.tables import STATIONS

_OWN = ("station", "name", "place")
_NATIONAL: Mapping[str, str] = {
    "ID": "station",
    "stations_name": "name",
    "area": "place",
    "lon": "lon",
    "lat": "lat",
    "stations_en_name": "aliases",
}
_TRUE, _FALSE = ("true", "1", "yes", "是", "对照点"), ("false", "0", "no", "否")

LAYOUT = LayoutInfo(
    name="station_register",
    title_zh="站点登记表",
    title_en="register of stations",
    datasets=("stations",),
    extensions=(".csv", ".csv.gz"),
    description_zh="本系统站点表，或国控站点名录（ID、stations_name、area、lon、lat）。",
    description_en="our own station table, or the national list (ID, stations_name, area, lon, lat).",
)


def sniff(path: Path) -> bool:
    """Whether the header is one of the two."""
    columns = set(columns_of(path))
    return {"ID", "stations_name", "area"} <= columns or {*_OWN, "lon", "lat"} <= columns


def read(path: Path, context: ReadContext) -> Iterator[Batch]:
    """`stations` of one file."""
    national = {"ID", "stations_name"} <= set(columns_of(path))
    required = tuple(_NATIONAL) if national else _OWN
    records = read_records(path, required, layout=LAYOUT.name)
    if national:
        records.frame = records.frame.select(RECORD, *_NATIONAL).rename(dict(_NATIONAL))
    frame, rejects = _keyed(records, context)
    frame, bad = _values(records, frame)
    yield Batch("stations", _table(frame), path.name, [*records.rejects, *rejects, *bad])


def _keyed(records: Records, context: ReadContext) -> tuple[pl.DataFrame, list[Reject]]:
    """Rows with a code, a name and a known place, each code once."""
    frame = records.frame.with_columns(pl.col(c).str.strip_chars() for c in _OWN)
    empty = pl.col("station").is_null() | pl.col("name").is_null()
    rejects = reject_rows(
        records, frame.filter(empty), "out_of_contract", "station", detail="code and name must not be empty"
    )
    frame = frame.filter(~empty)
    names = frame["place"].unique(maintain_order=True).to_list()
    codes = {name: context.place(name) if name else None for name in names}
    place = frame["place"].replace_strict(codes, return_dtype=pl.String) if codes else frame["place"]
    frame = frame.with_columns(pl.Series("_code", place))
    rejects += reject_names(records, frame.filter(pl.col("_code").is_null()), "unknown_place", "place")
    frame = frame.filter(pl.col("_code").is_not_null()).drop("place").rename({"_code": "place"})
    again = ~frame["station"].is_first_distinct()
    rejects += _repeats(records, frame, again)
    return frame.filter(~again), rejects


def _repeats(records: Records, frame: pl.DataFrame, again: pl.Series) -> list[Reject]:
    values = [c for c in frame.columns if c not in ("station", RECORD)]
    first = frame.filter(~again)
    twice = frame.filter(again).join(first, on="station", suffix="_1", maintain_order="left")
    alike = pl.all_horizontal(pl.col(v).eq_missing(pl.col(f"{v}_1")) for v in values)
    return [
        *reject_rows(records, twice.filter(alike), "duplicate_identical", "station"),
        *reject_rows(records, twice.filter(~alike), "duplicate_conflict", "station"),
    ]


def _values(records: Records, frame: pl.DataFrame) -> tuple[pl.DataFrame, list[Reject]]:
    """Coordinates, dates, marks and aliases; what cannot be read is emptied and set aside."""
    measured: tuple[str, ...] = ("lon", "lat", "altitude")
    present = {c: c for c in measured if c in frame.columns}
    frame, rejects = numbers(records, frame, present)
    limits = {c.name: c for c in STATIONS if c.low is not None}
    for name in present:
        low, high = limits[name].low or 0.0, limits[name].high or 0.0
        beyond = ~frame[name].is_between(low, high).fill_null(True)
        detail = f"allowed {low:g}..{high:g} {limits[name].unit}"
        rejects += reject_rows(records, frame.filter(beyond), "out_of_contract", name, detail=detail, rows=0)
        frame = frame.with_columns(pl.when(~beyond).then(pl.col(name)).alias(name))
    for name in ("valid_from", "valid_to"):
        if name in frame.columns:
            day = dates(frame[name])
            odd = frame.filter(day.is_null() & frame[name].is_not_null())
            rejects += reject_rows(records, odd, "bad_time", name, rows=0)
            frame = frame.with_columns(day.alias(name))
    marked = pl.col("name").str.contains("对照点")
    if "control_point" in frame.columns:
        text = frame["control_point"].str.strip_chars().str.to_lowercase()
        odd = frame.filter(text.is_not_null() & ~text.is_in([*_TRUE, *_FALSE]))
        rejects += reject_rows(records, odd, "out_of_contract", "control_point", detail="true or false", rows=0)
        marked = marked | text.is_in(_TRUE).fill_null(False)
    return frame.with_columns(marked.alias("control_point")), rejects


def _table(frame: pl.DataFrame) -> pa.Table:
    schema = pa.schema([pa.field(c.name, c.arrow, nullable=c.nullable) for c in STATIONS])
    aliases = pl.col("aliases") if "aliases" in frame.columns else pl.lit(None, pl.String)
    split = (
        aliases.fill_null("")
        .str.split(";")
        .list.eval(pl.element().str.strip_chars().filter(pl.element().str.strip_chars() != ""))
    )
    kind = pl.col("kind").fill_null("ambient") if "kind" in frame.columns else pl.lit("ambient")
    frame = frame.with_columns(split.alias("aliases"), kind.alias("kind"))
    for column in STATIONS:
        if column.name not in frame.columns:
            frame = frame.with_columns(pl.lit(None, pl.String).alias(column.name))
    table = frame.select(c.name for c in STATIONS).to_arrow(compat_level=pl.CompatLevel.oldest())
    return table.cast(schema)
