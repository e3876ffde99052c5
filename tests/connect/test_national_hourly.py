"""The wide daily files: blocks to rows, labels, what goes wrong, and the real files."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime
from itertools import pairwise

import polars as pl
import pytest

from qinglan.connect import national_hourly
from qinglan.core.errors import LayoutError

HEADER = "date,hour,type,1480A,1481A\n"
DAY = HEADER + "20240401,0,AQI,47,49\n20240401,0,PM2.5,25,31\n20240401,0,CO,0.9,\n20240401,1,PM2.5,22,\n"


def test_hour_zero_closes_the_day_before(written, context, door):
    out = door(national_hourly.read(written("china_sites_20240401.csv", DAY), context()))
    hours = out.rows["hours"]
    first = hours.row(0, named=True)
    assert first["time"] == datetime(2024, 3, 31, 16, tzinfo=UTC)
    assert (first["day"], first["hour"]) == (date(2024, 3, 31), 24)
    assert (first["station"], first["pm2_5"], first["co"]) == ("1480A", 25.0, 0.9)
    assert hours.filter(pl.col("hour") == 1)["day"].to_list() == [date(2024, 4, 1)] * 2
    assert out.rows["published"]["aqi"].to_list() == [47, 49]
    assert out.rejects == []


def test_label_begin_moves_every_hour_by_one(written, context, door):
    path = written("a.csv", DAY)
    end, begin = (door(national_hourly.read(path, context(label=x))).rows["hours"] for x in ("end", "begin"))
    assert (begin["time"] - end["time"]).dt.total_hours().unique().to_list() == [1]


def test_lines_in_any_order_give_the_same_rows(written, context, door):
    lines = DAY.splitlines()
    shuffled = [lines[0], *random.Random(1).sample(lines[1:], 4)]
    outs = [
        door(national_hourly.read(written("a.csv", "\n".join(t) + "\n"), context())) for t in (lines, shuffled)
    ]
    one, two = (o.rows["hours"].sort("time", "station") for o in outs)
    assert one.equals(two)


@pytest.mark.parametrize("hour", ["25", "-1", "x", ""])
def test_an_hour_that_is_none_costs_its_line(written, context, door, hour):
    text = DAY + f"20240401,{hour},PM10,1,2\n"
    out = door(national_hourly.read(written("a.csv", text), context()))
    bad = out.only("bad_time")
    assert [(r.line, r.raw, r.rows) for r in bad] == [(6, f"20240401,{hour},PM10,1,2", 0)]
    assert "2 cells of the line" in bad[0].detail
    assert out.rows["hours"].height == 4


def test_hour_24_is_midnight_at_the_end_of_its_date(written, context, door):
    text = HEADER + "20240401,24,PM10,1,2\n20240402,0,PM10,1,2\n"
    out = door(national_hourly.read(written("a.csv", text), context()))
    assert out.rows["hours"]["time"].unique().to_list() == [datetime(2024, 4, 1, 16, tzinfo=UTC)]
    assert [r.code for r in out.rejects] == ["duplicate_identical"]
    assert door(national_hourly.read(written("b.csv", text), context(label="begin"))).codes == ["bad_time"]


def test_a_repeated_day_is_one_day_and_a_contradiction_is_told(written, context, door):
    body = DAY.removeprefix(HEADER)
    same = door(national_hourly.read(written("a.csv", DAY + body), context()))
    assert same.rows["hours"].height == 4
    assert {r.code for r in same.rejects} == {"duplicate_identical"}
    other = door(national_hourly.read(written("b.csv", DAY + body.replace("25,31", "26,31")), context()))
    conflict = other.only("duplicate_conflict")
    assert [(r.line, r.rows) for r in conflict] == [(6, 1)]
    kept = other.rows["hours"].filter((pl.col("station") == "1480A") & (pl.col("hour") == 24))
    assert kept["pm2_5"].to_list() == [25.0]


def test_a_station_column_given_twice_is_judged_like_repeated_rows(written, context, door):
    text = "date,hour,type,1480A,1480A\n20240401,1,PM10,5,5\n20240401,2,PM10,5,6\n"
    out = door(national_hourly.read(written("a.csv", text), context()))
    assert out.codes == ["duplicate_conflict", "duplicate_identical"]
    assert out.rows["hours"]["pm10"].to_list() == [5.0, 5.0]


def test_an_unknown_station_is_one_mark_for_its_whole_column(written, context, door):
    text = DAY.replace("1481A", "9999A")
    out = door(national_hourly.read(written("a.csv", text), context()))
    assert [(r.code, r.value, r.rows) for r in out.rejects] == [("unknown_station", "9999A", 2)]
    assert out.rows["hours"]["station"].unique().to_list() == ["1480A"]
    nobody = door(national_hourly.read(written("b.csv", text.replace("1480A", "9998A")), context()))
    assert nobody.rows["hours"].height == 0
    assert [r.value for r in nobody.only("unknown_station")] == ["9998A", "9999A"]


def test_text_in_a_number_and_an_absurd_value_cost_a_cell(written, context, door):
    text = DAY.replace("25,31", "2S,31").replace("22,", "999999,-4")
    out = door(national_hourly.read(written("a.csv", text), context()))
    assert [(r.code, r.field, r.value, r.line) for r in out.rejects] == [
        ("bad_number", "1480A", "2S", 3),
        ("out_of_contract", "pm2_5", "999999.0", 5),
    ]
    assert out.only("bad_number")[0].raw == "20240401,0,PM2.5,2S,31"
    assert out.rows["hours"]["pm2_5"].to_list() == [None, 31.0, None, -4.0]  # QC judges the negative


def test_milligrams_for_micrograms_are_suspected(written, context, door):
    lines = [f"20240401,{h},{t},0.035,0.041" for h in range(24) for t in ("PM2.5", "PM10")]
    out = door(national_hourly.read(written("a.csv", HEADER + "\n".join(lines) + "\n"), context()))
    assert [r.field for r in out.only("wrong_unit_suspected")] == ["pm10", "pm2_5"]
    assert out.rows["hours"]["pm2_5"].null_count() == 48


def test_other_types_are_not_lost_in_silence(written, context, door):
    text = DAY + "20240401,1,PM2.5_24h,1,2\n20240401,1,NOx,1,2\n"
    out = door(national_hourly.read(written("a.csv", text), context()))
    assert [(r.code, r.value, r.line) for r in out.rejects] == [("unknown_item", "NOx", 7)]


def test_the_file_of_cities_is_refused_by_name(written, context):
    path = written("china_cities_20240401.csv", "date,hour,type,北京,西宁\n20240401,0,AQI,1,2\n")
    assert not national_hourly.sniff(path)
    with pytest.raises(LayoutError, match="china_cities files hold city means"):
        list(national_hourly.read(path, context()))


def test_a_cut_last_line_costs_that_line(written, context, door):
    out = door(national_hourly.read(written("a.csv", DAY + "20240401,2,PM2.5,2"), context()))
    assert [(r.code, r.raw) for r in out.rejects] == [("bad_row_width", "20240401,2,PM2.5,2")]
    assert out.rows["hours"].height == 4


def test_every_cell_is_accepted_rejected_or_missing(written, context, door):
    """Conservation: cells read = accepted + set aside + missing, over a file with every kind of fault."""
    rng = random.Random(7)
    pool = ["12", "7.5", "-3", "", "NaN", "x1", "1e9", " 5 "]
    rows = [
        (h, t, [rng.choice(pool) for _ in range(2)])
        for h in range(24)
        for t in ("PM2.5", "PM10", "SO2", "NO2", "O3", "CO", "AQI", "O3_8h")
    ]
    text = HEADER + "".join(f"20240401,{h},{t},{','.join(c)}\n" for h, t, c in rows)
    out = door(national_hourly.read(written("a.csv", text), context()))
    cells = [c for _, _, row in rows for c in row]
    missing = sum(c in ("", "NaN") for c in cells)
    values = {"hours": ["so2", "no2", "co", "o3", "pm10", "pm2_5"], "published": ["aqi", "o3_8h"]}
    accepted = sum(f.select(pl.col(values[n]).count()).sum_horizontal().item() for n, f in out.rows.items())
    assert all(r.rows == 0 and r.line and r.raw for r in out.rejects)
    assert accepted + len(out.rejects) + missing == len(cells)
    assert min(accepted, len(out.rejects), missing) > 0


@pytest.mark.data
def test_real_files_keep_every_cell(test_data, any_context, door):
    for path in sorted((test_data / "cnemc_hourly_format").glob("china_sites_*.csv")):
        assert national_hourly.sniff(path)
        out = door(national_hourly.read(path, any_context()))
        frame = pl.read_csv(path, schema_overrides={"date": pl.String})
        for kind, item in {"PM2.5": "pm2_5", "O3": "o3", "CO": "co"}.items():
            cells = frame.filter(pl.col("type") == kind).drop("date", "hour", "type")
            assert out.rows["hours"][item].count() == sum(cells.select(pl.all().count()).row(0))
            assert out.rows["hours"][item].sum() == pytest.approx(sum(cells.sum().fill_null(0).row(0)))
        assert out.rejects == []
        assert out.rows["hours"].height == 24 * 21
        days = out.rows["hours"]["day"].unique().sort().to_list()
        assert [(b - a).days for a, b in pairwise(days)] == [1]
