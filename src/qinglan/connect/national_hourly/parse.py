"""Read the wide daily files by turning each `type` into one block of hours by stations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from qinglan.connect.cells import (
    TIME_OPTIONS,
    convention,
    dates,
    finish,
    hour_of,
    raw_excerpt,
    reject_rows,
    utc_end,
)
from qinglan.connect.reading import MISSING_TOKENS, RECORD, Records, columns_of, original, read_records
from qinglan.core.batch import Batch, LayoutInfo, ReadContext, Reject
from qinglan.core.clock import HourLabel, TimeConvention
from qinglan.core.errors import LayoutError

_FIXED = ("date", "hour", "type")
_HOURS: Mapping[str, str] = {
    "PM2.5": "pm2_5",
    "PM10": "pm10",
    "SO2": "so2",
    "NO2": "no2",
    "O3": "o3",
    "CO": "co",
}
_PUBLISHED: Mapping[str, str] = {"AQI": "aqi", "O3_8h": "o3_8h"}
_DERIVED = ("PM2.5_24h", "PM10_24h", "SO2_24h", "NO2_24h", "O3_24h", "O3_8h_24h", "CO_24h")
_STATION_CODE = r"^\d{4}[A-Z]$"

LAYOUT = LayoutInfo(
    name="national_hourly",
    title_zh="国控站点小时历史数据（每日宽表）",
    title_en="national hourly archive (wide daily files)",
    datasets=("hours", "published"),
    extensions=(".csv", ".csv.gz"),
    description_zh="每天一个文件：date、hour（0 至 23）、type，其后每个国控站点一列；时刻为小时末。",
    description_en="one file a day: date, hour (0 to 23), type, then a column per station; labels are hour ends.",
    convention=TimeConvention(HourLabel.END, 8),
    units={**dict.fromkeys(_HOURS.values(), "µg/m³"), "co": "mg/m³", "o3_8h": "µg/m³"},
    options=TIME_OPTIONS,
)

Block = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Slots:
    """Every distinct (label, occurrence) of the file in order: the rows of a block.

    An occurrence beyond the first exists where a line was repeated; it becomes rows of its own, which the judging
    of keys then finds identical or in conflict.
    """

    frame: pl.DataFrame  # written, occurrence, slot, _record (first line of the slot)
    lines: pl.DataFrame  # slot, type, row, _record: the line that fills each slot and its row in the frame


def sniff(path: Path) -> bool:
    """Whether the header is ``date,hour,type`` and station codes follow."""
    columns = columns_of(path)
    codes = pl.Series(columns[3:20], dtype=pl.String)
    return columns[:3] == _FIXED and bool(codes.str.contains(_STATION_CODE).any())


def read(path: Path, context: ReadContext) -> Iterator[Batch]:
    """`hours` and `published` of one file."""
    time = convention(context, LAYOUT)
    records = read_records(path, _FIXED, layout=LAYOUT.name)
    columns = [c for c in records.header if c not in _FIXED]
    _insist_on_stations(path, columns)
    lines, rejects = _lines(records, time, len(columns))
    slots = _slots(lines)
    known, codes, unknown = _stations(columns, context, slots.frame.height)
    rejects += unknown
    if not known:
        yield finish("hours", _tidy(slots, codes, {}, time, ()), records, rejects=[*records.rejects, *rejects])
        return
    values, bad = _values(records, slots.lines, known)
    rejects += bad
    blocks = _blocks(slots, values)
    measured = _tidy(slots, codes, blocks, time, tuple(_HOURS.values()))
    yield finish("hours", measured, records, rejects=[*records.rejects, *rejects])
    printed = _tidy(slots, codes, blocks, time, tuple(_PUBLISHED.values()))
    if len(printed.columns) > 3:
        yield finish("published", printed, records, keep_empty=False)


def _insist_on_stations(path: Path, columns: Sequence[str]) -> None:
    codes = pl.Series(list(map(original, columns)), dtype=pl.String)
    if codes.is_empty() or not codes.str.contains(_STATION_CODE).any():
        found = ", ".join(codes.head(4).to_list()) or "none"
        raise LayoutError(
            f"{path.name} has no column that is a station code (found: {found}).",
            remedy="Load the archive's china_sites files; its china_cities files hold city means, not stations.",
        )


def _lines(records: Records, time: TimeConvention, stations: int) -> tuple[pl.DataFrame, list[Reject]]:
    """Lines with a readable label and a kept type: written, type, row, RECORD."""
    last = 24 if time.label is HourLabel.END else 23
    frame = records.frame.with_row_index("row").select(
        "row",
        RECORD,
        "date",
        pl.col("type").str.strip_chars(),
        day=dates(records.frame["date"]),
        hour=hour_of(pl.col("hour")),
        label=pl.concat_str(pl.col("date").fill_null(""), pl.lit(" "), pl.col("hour").fill_null("")),
    )
    fine = frame["day"].is_not_null() & frame["hour"].is_between(0, last).fill_null(False)
    detail = f"hour 0 to {last}; {stations} cells of the line"
    rejects = reject_rows(records, frame.filter(~fine), "bad_time", "label", detail=detail, rows=0)
    frame = frame.filter(fine)
    named = frame["type"].is_in([*_HOURS, *_PUBLISHED, *_DERIVED]).fill_null(False)
    detail = f"{stations} cells of the line"
    rejects += reject_rows(records, frame.filter(~named), "unknown_item", "type", detail=detail, rows=0)
    kept = frame.filter(frame["type"].is_in([*_HOURS, *_PUBLISHED]))
    written = pl.col("day").cast(pl.Datetime("us")) + pl.duration(hours="hour")
    return kept.select("type", "row", RECORD, written=written), rejects


def _slots(lines: pl.DataFrame) -> _Slots:
    counted = lines.with_columns(occurrence=pl.int_range(pl.len()).over("written", "type", order_by=RECORD))
    frame = (
        counted.group_by("occurrence", "written")
        .agg(pl.col(RECORD).min())
        .sort("occurrence", "written")
        .with_row_index("slot")
    )
    placed = counted.join(frame.select("occurrence", "written", "slot"), on=["occurrence", "written"])
    return _Slots(frame, placed.select("slot", "type", "row", RECORD))


def _stations(
    columns: Sequence[str], context: ReadContext, hours: int
) -> tuple[list[str], list[str], list[Reject]]:
    """Known columns, their codes, and one reject for each column that names no registered station."""
    known, codes, rejects = [], [], []
    for column in columns:
        name = original(column)
        code = context.station(name)
        if code is None:
            detail = f"the whole column, {hours} hours"
            rejects.append(Reject("unknown_station", "station", name, 1, name, detail, hours))
        else:
            known.append(column)
            codes.append(code)
    return known, codes, rejects


def _values(records: Records, lines: pl.DataFrame, columns: Sequence[str]) -> tuple[Block, list[Reject]]:
    """Numbers of the kept lines as lines by stations, and a reject for each cell that is none."""
    rows = lines["row"].to_numpy()
    cells = records.frame.select(columns)[rows]
    values = cells.select(pl.all().cast(pl.Float64, strict=False))
    array = values.to_numpy()
    odd = np.isnan(array).sum() != sum(cells.null_count().row(0)) or np.isinf(array).any()
    if not odd:
        return array, []
    values, rejects = _mend(records, cells, lines[RECORD])
    return values.to_numpy(), rejects


def _blocks(slots: _Slots, values: Block) -> dict[str, Block]:
    """Each type of the file as slots by stations."""
    result = {}
    kinds, places = slots.lines["type"].to_numpy(), slots.lines["slot"].to_numpy()
    for kind, item in {**_HOURS, **_PUBLISHED}.items():
        chosen = kinds == kind
        if chosen.any():
            block = np.full((slots.frame.height, values.shape[1]), np.nan)
            block[places[chosen]] = values[chosen]
            result[item] = block
    return result


def _mend(records: Records, cells: pl.DataFrame, numbers: pl.Series) -> tuple[pl.DataFrame, list[Reject]]:
    """The slow way for a block in which some text is no number: strip spaces, find the bad cells."""
    rejects: list[Reject] = []
    columns = []
    for name in cells.columns:
        text = cells[name].str.strip_chars()
        value = text.cast(pl.Float64, strict=False)
        value = value.set(~value.is_finite().fill_null(False), None)
        blank = text.is_null() | text.is_in(MISSING_TOKENS)
        for at in (~blank & value.is_null()).arg_true().to_list():
            record, shown = numbers[at], text[at]
            raw = raw_excerpt(records, record, original(name), shown)
            rejects.append(Reject("bad_number", original(name), shown, records.line(record), raw, rows=0))
        columns.append(value)
    return pl.DataFrame(columns), rejects


def _tidy(
    slots: _Slots, codes: Sequence[str], blocks: Mapping[str, Block], time: TimeConvention, items: Sequence[str]
) -> pl.DataFrame:
    """Blocks laid out as one row for each slot and station: station, time, items, RECORD."""
    keys = slots.frame.select(utc_end(pl.col("written"), time).alias("time"), RECORD)
    height, width = keys.height, len(codes)
    rows = np.repeat(np.arange(height), width)
    station = pl.Series("station", list(codes), dtype=pl.String)
    frame = keys[rows].with_columns(station.gather(np.tile(np.arange(width), height)))
    series = [pl.Series(item, blocks[item].ravel(), nan_to_null=True) for item in items if item in blocks]
    frame = frame.select("station", "time", RECORD).with_columns(series)
    return frame.with_columns(pl.col("aqi").round().cast(pl.Int32)) if "aqi" in frame.columns else frame
