"""Read the table of cities and days."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl

from qinglan.connect.cells import UNIT_OPTIONS, dates, finish, numbers, reject_names, reject_rows
from qinglan.connect.reading import RECORD, Form, columns_of, head, read_records
from qinglan.core.batch import Batch, LayoutInfo, ReadContext, Reject

_COLUMNS = (
    "city",
    "date",
    "AQI",
    "AQI_range",
    "level",
    "PM2.5",
    "PM10",
    "SO2",
    "CO",
    "NO2",
    "O3",
    "rank",
)
_ITEMS: Mapping[str, str] = {
    "PM2.5": "pm2_5",
    "PM10": "pm10",
    "SO2": "so2",
    "CO": "co",
    "NO2": "no2",
    "O3": "mda8",
    "AQI": "reported_aqi",
}
_ZERO = "该来源以 0 表示缺测 / this source writes 0 for missing"

LAYOUT = LayoutInfo(
    name="city_daily",
    title_zh="城市日值（2013至2017年公开汇总）",
    title_en="daily values of cities (public archive of 2013-2017)",
    datasets=("city_days",),
    extensions=(".csv", ".csv.gz"),
    description_zh="每城市每日一行；O3 为日最大8小时平均；该来源以 0 表示缺测，读入时置空并留痕。",
    description_en="one row per city and day; O3 is the maximum 8-h mean; this source writes 0 for missing.",
    units={**dict.fromkeys(("pm2_5", "pm10", "so2", "no2", "mda8"), "µg/m³"), "co": "mg/m³"},
    options=UNIT_OPTIONS,
)


def sniff(path: Path) -> bool:
    """Whether the header, or a first line of data, has the layout's columns."""
    columns = columns_of(path)
    if {"city", "date", "AQI", "AQI_range", "rank"} <= set(columns):
        return True
    first = next(iter(head(path, 1)), "").split(",")
    return (
        len(first) == len(_COLUMNS) and "~" in first[3] and re.fullmatch(r"\d{4}-\d\d-\d\d", first[1]) is not None
    )


def read(path: Path, context: ReadContext) -> Iterator[Batch]:
    """`city_days` of one file."""
    records = read_records(path, ("city", "date", *_ITEMS), layout=LAYOUT.name, form=Form(names=_COLUMNS))
    frame = records.frame.with_columns(pl.col("city").str.strip_chars(), day=dates(records.frame["date"]))
    rejects = list(records.rejects)
    rejects += reject_rows(records, frame.filter(pl.col("day").is_null()), "bad_time", "date")
    frame = frame.filter(pl.col("day").is_not_null())
    cities = frame["city"].unique(maintain_order=True).to_list()
    codes = {city: context.place(city) if city else None for city in cities}
    place = pl.col("city").replace_strict(codes, return_dtype=pl.String) if codes else pl.lit(None, pl.String)
    frame = frame.with_columns(place.alias("place"))
    rejects += reject_names(records, frame.filter(pl.col("place").is_null()), "unknown_place", "city")
    frame = frame.filter(pl.col("place").is_not_null())
    zeros: list[Reject] = []
    for column in _ITEMS:
        zero = frame.select(RECORD, column).filter(
            pl.col(column).str.strip_chars().cast(pl.Float64, strict=False) == 0
        )
        zeros += reject_rows(records, zero, "zero_for_missing", column, detail=_ZERO, rows=0)
    frame, bad = numbers(records, frame, _ITEMS)
    emptied = [pl.when(pl.col(i) != 0).then(pl.col(i)).alias(i) for i in _ITEMS.values() if i != "reported_aqi"]
    aqi = pl.col("reported_aqi").round().cast(pl.Int32)
    frame = frame.with_columns(*emptied, pl.when(aqi != 0).then(aqi).alias("reported_aqi"))
    yield finish("city_days", frame, records, rejects=[*rejects, *bad, *zeros])
