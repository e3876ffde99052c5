"""Cities and days: zeros that mean missing, names that must be known, and what the real archive holds."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from qinglan.connect import city_daily
from qinglan.core.errors import LayoutError

HEADER = "city,date,AQI,AQI_range,level,PM2.5,PM10,SO2,CO,NO2,O3,rank\n"
ROW = "西宁,2015-03-03,218,120~400,重度污染,98.3,468.5,31,1.144,19.3,66,361\n"


def test_a_row_becomes_a_city_day(written, context, door):
    out = door(city_daily.read(written("a.csv", HEADER + ROW), context()))
    row = out.rows["city_days"].row(0, named=True)
    assert (row["place"], row["day"], row["reported_aqi"]) == ("630100", date(2015, 3, 3), 218)
    assert (row["pm10"], row["co"], row["mda8"]) == (468.5, 1.144, 66.0)
    assert out.rejects == []


def test_a_file_without_header_is_the_same(written, context, door):
    path = written("a.csv", ROW)
    assert city_daily.sniff(path)
    out = door(city_daily.read(path, context()))
    assert out.rows["city_days"]["pm10"].to_list() == [468.5]


def test_zero_is_missing_and_leaves_a_trace(written, context, door):
    text = HEADER + ROW.replace(",468.5,", ",0,").replace(",218,", ",0,")
    out = door(city_daily.read(written("a.csv", text), context()))
    row = out.rows["city_days"].row(0, named=True)
    assert (row["pm10"], row["reported_aqi"], row["pm2_5"]) == (None, None, 98.3)
    assert [(r.code, r.field, r.value, r.line, r.rows) for r in out.rejects] == [
        ("zero_for_missing", "PM10", "0", 2, 0),
        ("zero_for_missing", "AQI", "0", 2, 0),
    ]
    assert all("this source writes 0 for missing" in r.detail for r in out.rejects)


def test_an_unknown_city_and_a_bad_date_are_set_aside(written, context, door):
    text = HEADER + ROW + ROW.replace("西宁", "西凝") + ROW.replace("2015-03-03", "2015-02-30")
    out = door(city_daily.read(written("a.csv", text), context()))
    assert [(r.code, r.value, r.line) for r in out.rejects] == [
        ("bad_time", "2015-02-30", 4),
        ("unknown_place", "西凝", 3),
    ]
    assert out.only("unknown_place")[0].raw == ROW.replace("西宁", "西凝").strip()


def test_repeated_days(written, context, door):
    text = HEADER + ROW + ROW + ROW.replace("98.3", "99.3")
    out = door(city_daily.read(written("a.csv", text), context()))
    assert out.codes == ["duplicate_conflict", "duplicate_identical"]
    assert out.rows["city_days"]["pm2_5"].to_list() == [98.3]


def test_the_monthly_sister_is_not_taken_for_it(written):
    assert not city_daily.sniff(written("m.csv", "七台河,2014-12,130,130~130,轻度污染,99,121,31,1.1,19,59,314\n"))


def test_gbk_is_read(written, context, door):
    out = door(city_daily.read(written("a.csv", HEADER + ROW, "gbk"), context()))
    assert out.rows["city_days"]["place"].to_list() == ["630100"]


def test_wrong_file_is_refused(written, context):
    with pytest.raises(LayoutError, match="is not of layout city_daily"):
        list(city_daily.read(written("a.csv", "a,b\n1,2\n"), context()))


@pytest.mark.data
def test_the_eight_prefectures(test_data, any_context, door):
    """Counts of the archive's own description: 6,457 rows, Xining complete, 468.5 µg/m³ of PM10 on 2015-03-03."""
    path = test_data / "cn_city_daily_aqistudy_2013_2017" / "qinghai_8_prefectures_daily.csv.gz"
    assert city_daily.sniff(path)
    out = door(city_daily.read(path, any_context()))
    days = out.rows["city_days"]
    assert days.height == 6_457
    xining = days.filter(pl.col("place") == "西宁")
    assert (xining.height, xining["pm10"].null_count()) == (1_157, 0)
    assert xining.filter(pl.col("day") == date(2015, 3, 3))["pm10"].item() == 468.5
    items = ["so2", "no2", "co", "mda8", "pm10", "pm2_5", "reported_aqi"]
    assert days.select(pl.col(items).min()).min_horizontal().item() > 0
    assert days.select(pl.col(items).null_count()).sum_horizontal().item() == len(out.rejects) > 0
    yushu = days.filter(pl.col("place") == "玉树州")
    assert (yushu["mda8"].null_count(), yushu["no2"].null_count()) == (43, 20)
