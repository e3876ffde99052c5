"""The Beijing table: CO in micrograms, sectors, labels that begin, stations declared by the layout."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from qinglan.connect import city_daily, uci_beijing
from qinglan.connect.reading import read_bytes

HEADER = "No,year,month,day,hour,PM2.5,PM10,SO2,NO2,CO,O3,TEMP,PRES,DEWP,RAIN,wd,WSPM,station\n"
ROW = "1,2013,3,1,0,4.0,4.0,NA,7.0,300.0,77.0,-0.7,1023.0,-18.8,0.0,NNW,4.4,Aotizhongxin\n"


def test_a_row_becomes_an_hour_and_its_weather(written, context, door):
    out = door(uci_beijing.read(written("a.csv", HEADER + ROW), context()))
    hour = out.rows["hours"].row(0, named=True)
    assert (hour["station"], hour["time"]) == ("1011A", datetime(2013, 2, 28, 17, tzinfo=UTC))
    assert (hour["day"].isoformat(), hour["hour"]) == ("2013-03-01", 1)
    assert (hour["co"], hour["so2"], hour["pm10"]) == (0.3, None, 4.0)
    weather = out.rows["weather"].row(0, named=True)
    assert (weather["wind_direction"], weather["pressure"], weather["dew_point"]) == (337.5, 1023.0, -18.8)
    assert out.rejects == []


def test_the_layout_registers_its_twelve_stations(written, context):
    batch = next(uci_beijing.read(written("a.csv", HEADER + ROW), context()))
    rows = batch.rows.to_pylist()
    assert (batch.dataset, len(rows)) == ("stations", 12)
    assert [r["name"] for r in rows if r["control_point"]] == ["定陵"]
    assert {r["place"] for r in rows} == {"110000"}


def test_a_registered_station_is_left_as_it_is(written, any_context):
    batches = uci_beijing.read(written("a.csv", HEADER + ROW), any_context())
    assert [b.dataset for b in batches] == ["hours", "weather"]


def test_label_end_is_an_option(written, context, door):
    out = door(uci_beijing.read(written("a.csv", HEADER + ROW), context(label="end")))
    assert out.rows["hours"]["hour"].to_list() == [24]


def test_faults_are_set_aside(written, context, door):
    text = HEADER + ROW + ROW.replace("2013,3,1,0", "2013,2,30,0") + ROW.replace("2013,3,1,0", "2013,3,1,24")
    text += ROW.replace("Aoti", "Aoty") + ROW.replace(",0,4.0", ",5,4.O").replace("NNW", "CALM")
    out = door(uci_beijing.read(written("a.csv", text), context()))
    assert [(r.code, r.value, r.line, r.rows) for r in out.rejects] == [
        ("bad_time", "2013 2 30 0", 3, 1),
        ("bad_time", "2013 3 1 24", 4, 1),
        ("unknown_station", "Aotyzhongxin", 5, 1),
        ("bad_number", "4.O", 6, 0),
        ("bad_number", "CALM", 6, 0),
    ]
    assert out.rows["hours"].height == 2


@pytest.mark.data
def test_real_labels_are_hour_beginnings(test_data, tmp_path, any_context):
    """Two facts about 38 months of Beijing, against the city's reported days (layout city_daily).

    1. City means of PM2.5 over labels 0..23 fit the reported day far closer than means shifted by an hour.
    2. The reported ozone (max 8-h) leaves the evening before out: where the window that ends at label 0 would be
       the day's largest by far, the reported value lies with the day's own windows instead. So reported days are
       natural days, and the labels 0..23 make up one of them: they name beginnings.
    """
    path = test_data / "uci_beijing_multisite_2013_2017" / "PRSA_Data_12stations_20130301-20170228.csv.gz"
    assert uci_beijing.sniff(path)
    batches = {b.dataset: pl.DataFrame(b.rows) for b in uci_beijing.read(path, any_context())}
    assert (batches["hours"].height, batches["hours"]["station"].n_unique()) == (420_768, 12)
    reported = _reported_days(test_data, tmp_path, any_context)
    hours = batches["hours"].filter(pl.col("station") != "1002A")
    city = hours.group_by("time").agg(pl.col("pm2_5", "o3").mean()).sort("time")

    def misfit(shift: int) -> float:
        wall = pl.col("time").dt.replace_time_zone(None) + timedelta(hours=7 + shift)
        days = city.group_by(wall.dt.date().alias("day")).agg(pl.col("pm2_5").mean().alias("mean"))
        return days.join(reported, on="day").select((pl.col("mean") - pl.col("pm2_5")).abs().median()).item()

    assert misfit(0) * 2 < min(misfit(-1), misfit(1))

    wall = city.with_columns(
        wall=pl.col("time").dt.replace_time_zone(None) + timedelta(hours=7),
        run=pl.col("o3").rolling_mean(8, min_samples=6),
    ).with_columns(day=pl.col("wall").dt.date(), label=pl.col("wall").dt.hour())
    evening = wall.filter(pl.col("label") == 0).select("day", evening="run")
    own = wall.filter(pl.col("label") >= 7).group_by("day").agg(pl.col("run").max().alias("own"))
    both = evening.join(own, on="day").join(reported, on="day").drop_nulls(["evening", "own", "mda8"])
    plain = both.filter((pl.col("evening") < pl.col("own")) & (pl.col("own") > 40))
    scale = (plain["mda8"] / plain["own"]).median()  # the city's mean was taken over other stations
    after = both.filter(pl.col("evening") > pl.col("own") + 20)
    nearer = (after["mda8"] - after["own"] * scale).abs() < (after["mda8"] - after["evening"] * scale).abs()
    assert after.height >= 50
    assert nearer.mean() > 0.9


def _reported_days(test_data, tmp_path, any_context):
    source = test_data / "cn_city_daily_aqistudy_2013_2017" / "all_366_cities_daily.csv.gz"
    lines = read_bytes(source).decode().split("\n")
    short = tmp_path / "beijing.csv"
    short.write_text("\n".join([lines[0], *(x for x in lines if x.startswith("北京,"))]) + "\n")
    (batch,) = city_daily.read(short, any_context())
    return pl.DataFrame(batch.rows)
