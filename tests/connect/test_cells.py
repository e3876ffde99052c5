"""Text to numbers and times."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from qinglan.connect.cells import convention, dates, hour_of, numbers, sector_degrees
from qinglan.connect.national_hourly import LAYOUT
from qinglan.connect.reading import read_records
from qinglan.core.clock import HourLabel
from qinglan.core.errors import UsageError


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("20240401", date(2024, 4, 1)),
        ("2024-04-01", date(2024, 4, 1)),
        ("2024/4/1", date(2024, 4, 1)),
        ("2024年4月1日", date(2024, 4, 1)),
        (" 2024.4.1 ", date(2024, 4, 1)),
        ("2024-02-30", None),
        ("2014-12", None),
        ("20241301", None),
        ("abc", None),
        (None, None),
    ],
)
def test_dates_as_people_write_them(text, day):
    assert dates(pl.Series([text], dtype=pl.String)).to_list() == [day]


@pytest.mark.parametrize(
    ("text", "hour"),
    [("7", 7), ("07", 7), ("7.0", 7), ("07:00", 7), ("7时", 7), ("24", 24), ("x", None), ("7.5", None)],
)
def test_hours_as_people_write_them(text, hour):
    assert pl.select(hour_of(pl.lit(text))).item() == hour


def test_bad_numbers_are_emptied_and_set_aside_and_missing_is_neither(written):
    path = written("a.csv", "a,b\n1O2,5\n NaN ,-3.5\n,inf\n--,1e2\n")
    records = read_records(path, ["a"], layout="x")
    frame, rejects = numbers(records, records.frame, {"a": "pm10", "b": "o3"})
    assert frame["pm10"].to_list() == [None, None, None, None]
    assert frame["o3"].to_list() == [5.0, -3.5, None, 100.0]
    assert [(r.code, r.field, r.value, r.line, r.raw, r.rows) for r in rejects] == [
        ("bad_number", "a", "1O2", 2, "1O2,5", 0),
        ("bad_number", "b", "inf", 4, ",inf", 0),
    ]


def test_sectors_are_where_the_wind_comes_from():
    found = pl.select(sector_degrees(pl.Series(["N", "NNE", "E", "S", "NNW", "cv"]))).to_series().to_list()
    assert found == [360.0, 22.5, 90.0, 180.0, 337.5, None]


def test_label_and_zone_are_options(context):
    changed = convention(context(label="begin", utc_offset="0"), LAYOUT)
    assert (changed.label, changed.utc_offset) == (HourLabel.BEGIN, 0.0)
    with pytest.raises(UsageError, match="option label is 'start'"):
        convention(context(label="start"), LAYOUT)
    with pytest.raises(UsageError, match="option utc_offset is '88'"):
        convention(context(utc_offset="88"), LAYOUT)
