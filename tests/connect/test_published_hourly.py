"""Station names to codes, frozen doubles, stale rows; the label's meaning shown on real data."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import pytest

from qinglan.connect import published_hourly
from qinglan.connect.published_hourly.parse import pollutants
from qinglan.core.errors import LayoutError

HEADER = "file,Date,Hour,WatchPoint,AQI,Level,PrimaryPollution,PM2.5,PM10,CO,NO2,O3_1h,O3_8h,SO2\n"
ROW = "xining,20200326,18,市环境监测站,52,良,颗粒物(PM10),16,54,NaN,10,106,74,58\n"


def test_a_row_becomes_hours_and_what_was_printed(written, context, door):
    out = door(published_hourly.read(written("a.csv", HEADER + ROW), context()))
    hour = out.rows["hours"].row(0, named=True)
    assert (hour["station"], hour["time"], hour["hour"]) == ("1480A", datetime(2020, 3, 26, 10, tzinfo=UTC), 18)
    assert (hour["pm2_5"], hour["pm10"], hour["co"], hour["o3"]) == (16.0, 54.0, None, 106.0)
    printed = out.rows["published"].row(0, named=True)
    assert (printed["aqi"], printed["level"], printed["primary_pollutant"], printed["o3_8h"]) == (
        52,
        "良",
        "pm10",
        74.0,
    )


def test_names_count_within_their_city(written, context, door):
    text = HEADER + ROW + ROW.replace("xining", "lanzhou")
    out = door(published_hourly.read(written("a.csv", text), context()))
    assert [(r.code, r.value, r.line) for r in out.rejects] == [("unknown_station", "市环境监测站", 3)]
    assert out.rows["hours"].height == 1


def test_the_city_may_be_an_option(written, context, door):
    text = (HEADER + ROW).replace("file,", "").replace("xining,", "")
    out = door(published_hourly.read(written("a.csv", text), context(city="西宁")))
    assert out.rows["hours"]["station"].to_list() == ["1480A"]
    assert door(published_hourly.read(written("a.csv", text), context())).codes == ["unknown_station"]


def test_an_unknown_name_is_one_mark_that_keeps_all_its_text(written, context, door):
    rows = [ROW.replace("18,市环境监测站", f"{h},某站") for h in (1, 2, 3)]
    out = door(published_hourly.read(written("a.csv", HEADER + "".join(rows)), context()))
    (mark,) = out.rejects
    assert (mark.value, mark.rows, mark.line) == ("某站", 3, 2)
    assert mark.raw == "".join(rows).rstrip("\n")


def test_a_frozen_series_under_a_second_name_is_set_aside(written, context, door):
    rows = []
    for h in range(1, 24):
        rows.append(f"lanzhou,20200327,{h},榆中兰大校区,52,良,NaN,17,53,0.5,21,46,49,5\n")
        rows.append(f"lanzhou,20200327,{h},榆中兰大校区(对照点),34,优,NaN,{h},34,0.5,2,97,92,2\n")
    out = door(published_hourly.read(written("a.csv", HEADER + "".join(rows)), context()))
    assert [(r.code, r.value, r.rows) for r in out.rejects] == [("frozen_double", "榆中兰大校区", 23)]
    assert out.rows["hours"]["pm2_5"].to_list() == [float(h) for h in range(1, 24)]


def test_rows_dated_years_away_are_stale(written, context, door):
    fresh = [ROW.replace("20200326,18", f"2020040{d},{h:02}") for d in (1, 2, 3) for h in range(1, 24)]
    stale = ROW.replace("20200326,18", "20180115,07")
    out = door(published_hourly.read(written("a.csv", HEADER + "".join(fresh) + stale), context()))
    (mark,) = out.rejects
    assert (mark.code, mark.value, mark.line) == ("stale_row", "20180115", 71)
    assert "the file covers 2020-04-01 to 2020-04-03" in mark.detail
    assert out.rows["hours"].height == 69


def test_a_file_of_two_periods_is_not_stale(written, context, door):
    rows = [ROW.replace("20200326", d) for d in ("20190326", "20200326")]
    assert door(published_hourly.read(written("a.csv", HEADER + "".join(rows)), context())).rejects == []


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("颗粒物(PM10)", "pm10"),
        ("\n    颗粒物(PM10)\n    \n   细颗粒物(PM2.5)\n", "pm10,pm2_5"),
        ("臭氧1小时", "o3"),
        ("二氧化氮,臭氧8小时", "no2,o3_8h"),
        ("—", None),
    ],
)
def test_pollutants_as_the_platform_writes_them(text, names):
    assert pollutants(text) == names


def test_a_strange_pollutant_is_set_aside_and_the_row_lives(written, context, door):
    out = door(published_hourly.read(written("a.csv", HEADER + ROW.replace("颗粒物(PM10)", "雾")), context()))
    assert [(r.code, r.value, r.rows) for r in out.rejects] == [("unknown_item", "雾", 0)]
    assert out.rows["published"]["aqi"].to_list() == [52]


def test_a_missing_column_is_named(written, context):
    with pytest.raises(LayoutError, match="lacks the column\\(s\\) SO2"):
        list(published_hourly.read(written("a.csv", (HEADER + ROW).replace(",SO2", ",X")), context()))


@pytest.mark.data
def test_real_labels_are_hour_ends(test_data, any_context, door):
    """At the first label of the natural day the 8-h mean has one hour in it, so it equals that hour. The share
    of equal pairs tells which label that is: 01 (89 %), not 00 (2 %). Were labels beginnings, it would be 00."""
    path = test_data / "cn_stations_hourly_2020" / "qinghai_lanzhou_hourly_raw.csv.gz"
    out = door(published_hourly.read(path, any_context(label="end")))
    both = out.rows["hours"].join(out.rows["published"], on=["station", "time"]).drop_nulls(["o3", "o3_8h"])
    equal = dict(both.group_by("hour").agg((pl.col("o3") == pl.col("o3_8h")).mean()).iter_rows())
    assert equal[1] > 0.85
    assert equal[24] < 0.05
    assert max(v for h, v in equal.items() if h != 1) < 0.2


@pytest.mark.data
def test_real_file_through_names_of_the_register(test_data, any_context, door):
    from qinglan.core.batch import ReadContext

    frozen = {"教育港（20181115启用）", "榆中兰大校区(对照点)"}
    world = ReadContext(lambda n, p=None: None if n in frozen else n, lambda n: n)
    path = test_data / "cn_stations_hourly_2020" / "qinghai_lanzhou_hourly_raw.csv.gz"
    assert published_hourly.sniff(path)
    hours, published = published_hourly.read(path, world)
    assert door([hours]).read == 3_381
    out = door([hours, published])
    # one station-hour was collected on both sides of the change from pinyin to Chinese city names
    assert {r.rows for r in out.only("duplicate_identical")} <= {1}
    assert {(r.value, r.rows) for r in out.only("frozen_double")} == {
        ("榆中兰大校区", 157),
        ("教育港（20181115启用）", 157),
    }
    two = out.rows["published"].filter(pl.col("primary_pollutant").str.contains(","))
    assert set(two["primary_pollutant"]) <= {"pm10,pm2_5", "pm2_5,pm10", "pm10,no2", "pm10,o3"}
    assert two.height >= 20
