"""Read the long table: names to codes, frozen doubles and far-off dates set aside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl

from qinglan.connect.cells import (
    TIME_OPTIONS,
    convention,
    dates,
    finish,
    hour_of,
    numbers,
    option,
    reject_names,
    reject_rows,
    utc_end,
)
from qinglan.connect.reading import RECORD, Records, columns_of, read_records
from qinglan.core.batch import Batch, LayoutInfo, ReadContext, Reject
from qinglan.core.clock import HourLabel, TimeConvention

_KEY = ("Date", "Hour", "WatchPoint")
_HOURS: Mapping[str, str] = {
    "PM2.5": "pm2_5",
    "PM10": "pm10",
    "SO2": "so2",
    "NO2": "no2",
    "O3_1h": "o3",
    "CO": "co",
}
_PRINTED: Mapping[str, str] = {"AQI": "aqi", "O3_8h": "o3_8h"}
#: How the platform writes pollutants; longer names first, because 颗粒物(PM2.5) ends 细颗粒物(PM2.5).
_POLLUTANTS: Mapping[str, str] = {
    "PM2.5": "pm2_5",
    "PM10": "pm10",
    "臭氧8小时": "o3_8h",
    "臭氧1小时": "o3",
    "臭氧": "o3",
    "O3": "o3",
    "二氧化硫": "so2",
    "SO2": "so2",
    "二氧化氮": "no2",
    "NO2": "no2",
    "一氧化碳": "co",
    "CO": "co",
}
#: A series under a second name is frozen when it says the same in all of at least this many hours.
_FROZEN_HOURS = 12
#: Dates further than this from the file's main body of dates belong to stations that stopped [days].
_FAR_DAYS = 90

LAYOUT = LayoutInfo(
    name="published_hourly",
    title_zh="发布平台逐时公布值（站点名称）",
    title_en="hourly values as a platform published them (station names)",
    datasets=("hours", "published"),
    extensions=(".csv", ".csv.gz"),
    description_zh="城市、日期、小时、站点名称、AQI、级别、首要污染物和各项浓度；时刻为小时末。",
    description_en="city, date, hour, station name, AQI, level, primary pollutant, values; labels are hour ends.",
    convention=TimeConvention(HourLabel.END, 8),
    units={**dict.fromkeys(_HOURS.values(), "µg/m³"), "co": "mg/m³", "o3_8h": "µg/m³"},
    options={
        **TIME_OPTIONS,
        "city": "没有 file 列时，所有站点所属的城市 / city of all stations when there is no column file",
    },
)


def sniff(path: Path) -> bool:
    """Whether the header has the layout's own column names."""
    return {*_KEY, "PrimaryPollution", "O3_1h"} <= set(columns_of(path))


def read(path: Path, context: ReadContext) -> Iterator[Batch]:
    """`hours` and `published` of one file."""
    time = convention(context, LAYOUT)
    records = read_records(path, (*_KEY, *_HOURS), layout=LAYOUT.name)
    frame, rejects = _timed(records, time)
    frame, far = _near_dates(records, frame)
    frame, unknown = _with_stations(records, frame, context)
    rejects = [*records.rejects, *rejects, *far, *unknown]
    present = {s: i for s, i in {**_HOURS, **_PRINTED}.items() if s in frame.columns}
    frame, bad = numbers(records, frame, present)
    frame, frozen = _without_frozen_doubles(records, frame)
    yield finish(
        "hours",
        frame.select("station", "time", RECORD, *_HOURS.values()),
        records,
        rejects=[*rejects, *bad, *frozen],
    )
    printed, odd = _printed(records, frame)
    yield finish("published", printed, records, rejects=odd, keep_empty=False)


def _timed(records: Records, time: TimeConvention) -> tuple[pl.DataFrame, list[Reject]]:
    last = 24 if time.label is HourLabel.END else 23
    frame = records.frame.with_columns(
        _day=dates(records.frame["Date"]),
        _hour=hour_of(pl.col("Hour")),
        _label=pl.concat_str(pl.col("Date").fill_null(""), pl.lit(" "), pl.col("Hour").fill_null("")),
    )
    fine = frame["_day"].is_not_null() & frame["_hour"].is_between(0, last).fill_null(False)
    bad = frame.filter(~fine).rename({"_label": "label"})
    rejects = reject_rows(records, bad, "bad_time", "label", detail=f"hour 0 to {last}")
    written = pl.col("_day").cast(pl.Datetime("us")) + pl.duration(hours="_hour")
    return frame.filter(fine).with_columns(utc_end(written, time).alias("time")), rejects


def _near_dates(records: Records, frame: pl.DataFrame) -> tuple[pl.DataFrame, list[Reject]]:
    """Set aside rows dated far from the bulk of the file: last words of stations that stopped years ago."""
    days = frame.group_by("_day").len().sort("_day")
    if days.height < 2:
        return frame, []
    body = days.with_columns(part=(pl.col("_day").diff().dt.total_days().fill_null(0) > _FAR_DAYS).cum_sum())
    sizes = body.group_by("part").agg(pl.col("len").sum()).sort("len", descending=True)
    if sizes.height == 1:
        return frame, []
    largest = sizes["part"][0]
    main = body.filter(pl.col("part") == largest)["_day"].to_list()
    far = ~frame["_day"].is_between(main[0], main[-1])
    if far.mean() > 0.05:  # type: ignore[operator]
        return frame, []  # not stragglers but a file of several periods
    detail = f"the file covers {main[0]} to {main[-1]}; stale row of a station that stopped"
    rejects = reject_rows(records, frame.filter(far), "stale_row", "Date", detail=detail)
    return frame.filter(~far), rejects


def _with_stations(
    records: Records, frame: pl.DataFrame, context: ReadContext
) -> tuple[pl.DataFrame, list[Reject]]:
    """Codes for names, within the city; a note in brackets is dropped when the full name is unknown."""
    city = pl.col("file") if "file" in frame.columns else pl.lit(option(context, "city"), pl.String)
    frame = frame.with_columns(city.alias("_city"), pl.col("WatchPoint").str.strip_chars())
    names = frame.select("_city", "WatchPoint").unique(maintain_order=True)
    plain = names["WatchPoint"].str.replace(r"[（(].*[)）]\s*$", "")
    codes = []
    for (place, name), bare in zip(names.iter_rows(), plain.to_list(), strict=True):
        code = context.station(name or "", place)
        codes.append(code or (context.station(bare, place) if bare and bare != name else None))
    known = names.with_columns(pl.Series("station", codes, dtype=pl.String))
    frame = frame.join(known, on=["_city", "WatchPoint"], how="left", nulls_equal=True, maintain_order="left")
    missing = frame.filter(pl.col("station").is_null())
    return frame.filter(pl.col("station").is_not_null()), reject_names(
        records, missing, "unknown_station", "WatchPoint"
    )


def _without_frozen_doubles(records: Records, frame: pl.DataFrame) -> tuple[pl.DataFrame, list[Reject]]:
    """Where two names mean one station and one of them never changes, set the frozen one aside."""
    names = frame.group_by("station").agg(pl.col("WatchPoint").n_unique().alias("names"))
    doubled = names.filter(pl.col("names") > 1)["station"]
    if doubled.is_empty():
        return frame, []
    items = list(_HOURS.values())
    series = (
        frame.filter(pl.col("station").is_in(doubled.to_list()))
        .group_by("station", "WatchPoint", maintain_order=True)
        .agg(pl.len().alias("hours"), pl.max_horizontal([pl.col(i).n_unique() for i in items]).alias("states"))
    )
    still = series.filter((pl.col("states") == 1) & (pl.col("hours") >= _FROZEN_HOURS))
    moving = series.filter(pl.col("states") > 1)["station"]
    still = still.filter(pl.col("station").is_in(moving.to_list())).select("station", "WatchPoint")
    frozen = frame.join(still, on=["station", "WatchPoint"], how="semi", maintain_order="left")
    rejects = reject_names(records, frozen, "frozen_double", "WatchPoint")
    kept = frame.join(still, on=["station", "WatchPoint"], how="anti", maintain_order="left")
    return kept, rejects


def _printed(records: Records, frame: pl.DataFrame) -> tuple[pl.DataFrame, list[Reject]]:
    """AQI, level and primary pollutants as printed; pollutants get their names of the vocabulary."""
    columns: list[pl.Expr | str] = ["station", "time", RECORD]
    if "aqi" in frame.columns:
        columns.append(pl.col("aqi").round().cast(pl.Int32))
    if "o3_8h" in frame.columns:
        columns.append("o3_8h")
    if "Level" in frame.columns:
        columns.append(pl.col("Level").str.strip_chars().alias("level"))
    if "PrimaryPollution" not in frame.columns:
        return frame.select(columns), []
    written = frame["PrimaryPollution"].drop_nulls().unique(maintain_order=True)
    names = {text: pollutants(text) for text in written.to_list()}
    frame = frame.with_columns(
        primary_pollutant=pl.col("PrimaryPollution").replace_strict(names, default=None, return_dtype=pl.String)
    )
    odd = frame.filter(pl.col("PrimaryPollution").is_not_null() & pl.col("primary_pollutant").is_null())
    rejects = reject_rows(records, odd, "unknown_item", "PrimaryPollution", rows=0)
    return frame.select(*columns, "primary_pollutant"), rejects


def pollutants(text: str) -> str | None:
    """Names of the vocabulary, joined by commas, for pollutants as the platform writes them.

    >>> pollutants(" 颗粒物(PM10),细颗粒物(PM2.5) "), pollutants("臭氧8小时"), pollutants("?")
    ('pm10,pm2_5', 'o3_8h', None)
    """
    found: list[tuple[int, str]] = []
    rest = text
    for written, name in _POLLUTANTS.items():
        at = rest.find(written)
        if at >= 0:
            found.append((at, name))
            rest = rest.replace(written, "\x1f" * len(written))
    return ",".join(name for _, name in sorted(found)) or None
