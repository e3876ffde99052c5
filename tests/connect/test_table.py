"""Tables described by a mapping: shapes, spellings, units, Excel, and mappings that are wrong."""

from __future__ import annotations

from datetime import UTC, date, datetime

import polars as pl
import pytest
from openpyxl import Workbook

from qinglan.connect import table
from qinglan.core.errors import ContentError, LayoutError, UsageError

LONG = {
    "dataset": "hours",
    "time": {"column": "时间"},
    "station": {"column": "站点", "city": "西宁"},
    "items": {"PM2.5": {"item": "pm2_5", "unit": "µg/m³"}, "CO": {"item": "co", "unit": "mg/m³"}},
}
TEXT = "时间,站点,PM2.5,CO\n2024-04-01 08:00,市环境监测站,35,0.9\n"


def test_long(written, context, door):
    out = door(table.read(written("a.csv", TEXT), context(mapping=LONG)))
    row = out.rows["hours"].row(0, named=True)
    assert (row["station"], row["time"], row["hour"]) == ("1480A", datetime(2024, 4, 1, 0, tzinfo=UTC), 8)
    assert (row["pm2_5"], row["co"], row["o3"]) == (35.0, 0.9, None)
    assert out.rejects == []


def test_mapping_from_a_file(written, context, door):
    mapping = written(
        "m.yaml", "time: {column: 时间}\nstation: {fixed: 1480A}\nitems:\n  CO: {item: co, unit: µg/m³}\n"
    )
    text = TEXT.replace("0.9", "900")
    (batch,) = table.read(written("a.csv", text), context(mapping=str(mapping)))
    assert pl.DataFrame(batch.rows)["co"].to_list() == [0.9]
    assert batch.units == {"co": "µg/m³"}


def test_tall(written, context, door):
    spec = {
        "shape": "tall", "time": {"date": "日期", "hour": "小时"}, "station": {"fixed": "1480A"},
        "item_column": "项目", "value_column": "浓度",
        "items": {"颗粒物": {"item": "pm10", "unit": "mg/m³"}, "臭氧": {"item": "o3", "unit": "µg/m³"}},
    }  # fmt: skip
    lines = ["颗粒物,0.054", "臭氧,88", "氡,1", "臭氧,89"]
    text = "日期,小时,项目,浓度\n" + "".join(f"2024/4/1,24,{line}\n" for line in lines)
    out = door(table.read(written("a.csv", text), context(mapping=spec)))
    assert out.rows["hours"].select("day", "hour", "pm10", "o3").rows() == [(date(2024, 4, 1), 24, 54.0, 88.0)]
    assert [(r.code, r.value, r.line, r.rows) for r in out.rejects] == [
        ("unknown_item", "氡", 4, 0),
        ("duplicate_conflict", "1480A 2024-04-01 16:00:00+00:00", 5, 1),
    ]


def test_wide_by_station_with_items_in_rows(written, context, door):
    spec = {
        "shape": "wide", "time": {"date": "d", "hour": "h", "label": "begin"},
        "station": {"city": "西宁"}, "item_column": "t",
        "items": {"O3": {"item": "o3", "unit": "ppb"}, "PM": {"item": "pm10", "unit": "µg/m³"}},
        "reference_state": {"temperature": 298.15, "pressure": 1013.25},
    }  # fmt: skip
    text = "d,h,t,市环境监测站,省医药仓库,某站\n20240401,0,O3,50,,7\n20240401,0,PM,30,31,32\n"
    out = door(table.read(written("a.csv", text), context(mapping=spec)))
    rows = out.rows["hours"].sort("station").select("station", "hour", "o3", "pm10").rows()
    assert rows[0] == ("1480A", 1, pytest.approx(98.1, abs=0.05), 30.0)  # 50 ppb x 47.997 / 24.465
    assert rows[1] == ("1481A", 1, None, 31.0)
    assert [(r.code, r.value, r.rows) for r in out.rejects] == [("unknown_station", "某站", 1)]


@pytest.mark.parametrize(
    ("cell", "value"), [("１２．５", 12.5), (" 1 234 ", 1234.0), ("1\u00a0234", 1234.0), ("-3", -3.0), ("—", None)]
)
def test_numbers_as_people_type_them(written, context, door, cell, value):
    out = door(table.read(written("a.csv", TEXT.replace(",35,", f",{cell},")), context(mapping=LONG)))
    assert out.rows["hours"]["pm2_5"].to_list() == [value]
    assert out.rejects == []


def test_decimal_comma_thousands_and_own_signs_of_missing(written, context, door):
    spec = {**LONG, "file": {"separator": ";", "decimal": ",", "thousands": "."}, "missing": [-99, "无"]}
    text = "时间;站点;PM2.5;CO\n2024-04-01 08:00;市环境监测站;1.035,5;0,9\n2024-04-01 09:00;市环境监测站;-99;无\n"
    out = door(table.read(written("a.csv", text), context(mapping=spec)))
    assert out.rows["hours"].select("pm2_5", "co").rows() == [(1035.5, 0.9), (None, None)]
    assert out.rejects == []


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2024-04-01 24:00", datetime(2024, 4, 1, 16, tzinfo=UTC)),
        ("2024/4/1 8:00", datetime(2024, 4, 1, 0, tzinfo=UTC)),
        ("2024-04-01T08:00:00", datetime(2024, 4, 1, 0, tzinfo=UTC)),
        ("2024年4月1日 8时", datetime(2024, 4, 1, 0, tzinfo=UTC)),
        ("202404010800", datetime(2024, 4, 1, 0, tzinfo=UTC)),
    ],
)
def test_instants_as_people_write_them(written, context, door, text, utc):
    out = door(table.read(written("a.csv", TEXT.replace("2024-04-01 08:00", text)), context(mapping=LONG)))
    assert out.rows["hours"]["time"].to_list() == [utc]


def test_a_declared_format_is_the_only_one(written, context, door):
    spec = {**LONG, "time": {"column": "时间", "format": "%d.%m.%Y %H:%M", "utc_offset": 0}}
    text = TEXT.replace("2024-04-01 08:00", "01.04.2024 08:00") + "2024-04-01 09:00,市环境监测站,1,1\n"
    out = door(table.read(written("a.csv", text), context(mapping=spec)))
    assert out.rows["hours"]["time"].to_list() == [datetime(2024, 4, 1, 8, tzinfo=UTC)]
    assert [(r.code, r.value, r.line) for r in out.rejects] == [("bad_time", "2024-04-01 09:00", 3)]


def test_half_past_is_not_an_hour(written, context, door):
    assert door(table.read(written("a.csv", TEXT.replace("08:00", "08:30")), context(mapping=LONG))).codes == [
        "bad_time"
    ]


def test_city_days(written, context, door):
    spec = {
        "dataset": "city_days", "time": {"date": "日期"}, "place": {"column": "城市"},
        "items": {"O3_8h": {"item": "mda8", "unit": "µg/m³"}, "AQI": {"item": "reported_aqi"}},
    }  # fmt: skip
    text = "日期,城市,O3_8h,AQI\n2024-04-01,西宁,101,52\n2024-04-02,何处,1,2\n"
    out = door(table.read(written("a.csv", text, "gb18030"), context(mapping=spec)))
    assert out.rows["city_days"].select("place", "mda8", "reported_aqi").rows() == [("630100", 101.0, 52)]
    assert [(r.code, r.value, r.line) for r in out.rejects] == [("unknown_place", "何处", 3)]


def test_weather(written, context, door):
    spec = {
        "dataset": "weather", "time": {"column": "t"}, "station": {"fixed": "1480A"},
        "items": {"T": {"item": "temperature", "unit": "K"}, "p": {"item": "pressure", "unit": "Pa"}},
    }  # fmt: skip
    out = door(table.read(written("a.csv", "t,T,p\n2024-04-01 08:00,283.15,77500\n"), context(mapping=spec)))
    assert out.rows["weather"].select("temperature", "pressure").rows() == [(pytest.approx(10.0), 775.0)]


def workbook(path, rows, sheet="数据"):
    book = Workbook()
    page = book.active
    page.title = sheet
    for row in rows:
        page.append(row)
    book.save(path)
    return path


def test_excel_with_a_merged_header_and_real_dates(tmp_path, context, door):
    spec = {
        "file": {"sheet": "数据", "header_row": 2, "header_rows": 2}, "time": {"column": "时间"},
        "station": {"column": "站点", "city": "西宁"},
        "items": {
            "颗粒物 PM10": {"item": "pm10", "unit": "µg/m³"},
            "颗粒物 PM2.5": {"item": "pm2_5", "unit": "µg/m³"},
        },
    }  # fmt: skip
    rows = [
        ["西宁市空气质量小时报"],
        ["时间", "站点", "颗粒物", None],
        [None, None, "PM10", "PM2.5"],
        [datetime.fromisoformat("2024-04-01T07:59:59.999"), "市环境监测站", 54, "３５"],
        [None, None, None, None],
        ["2024-04-01 09:00", "市环境监测站", "5x", 36.5],
    ]
    out = door(table.read(workbook(tmp_path / "a.xlsx", rows), context(mapping=spec)))
    assert out.rows["hours"].select("hour", "pm10", "pm2_5").rows() == [(8, 54.0, 35.0), (9, None, 36.5)]
    (bad,) = out.rejects
    assert (bad.code, bad.field, bad.value, bad.line) == ("bad_number", "颗粒物 PM10", "5x", 6)
    assert bad.raw == "2024-04-01 09:00\t市环境监测站\t5x\t36.5"


def test_excel_faults_are_named(tmp_path, written, context):
    path = workbook(tmp_path / "a.xlsx", [["时间", "站点", "CO"]])
    with pytest.raises(LayoutError, match=r"has no sheet '别的'.*It has: 数据"):
        list(table.read(path, context(mapping={**LONG, "file": {"sheet": "别的"}})))
    with pytest.raises(LayoutError, match=r"lacks the column\(s\) PM2\.5"):
        list(table.read(path, context(mapping=LONG)))
    with pytest.raises(LayoutError, match="cannot be opened as an Excel workbook"):
        list(table.read(written("b.xlsx", b"PK\x03\x04 not a workbook"), context(mapping=LONG)))


def test_every_fault_of_a_mapping_is_listed_at_once(written, context):
    spec = {
        "shape": "long", "tine": {}, "time": {"colum": "t", "label": "start", "utc_offset": 99},
        "station": {"column": "a", "fixed": "b"}, "file": {"decimal": "'"}, "missing": "x",
        "items": {
            "A": {"item": "pm25", "unit": "µg/m³"}, "B": {"item": "o3", "unit": "ppb"}, "C": {"item": "co"},
            "D": {"item": "no2", "unit": "stone"}, "E": {"item": "so2", "unit": "µg/m³", "x": 1}, "F": 3,
        },
    }  # fmt: skip
    with pytest.raises(ContentError) as error:
        list(table.read(written("a.csv", TEXT), context(mapping=spec)))
    listed = "\n".join(error.value.problems)
    for expected in (
        "tine: unknown key",
        "time.colum: unknown key",
        "time: give column, or date and hour",
        "time.label: 'start'",
        "time.utc_offset: 99",
        "station: give either column or fixed",
        "file.decimal",
        "missing: must be a list",
        "items.A.item: 'pm25' is not a column of hours",
        "items.B.unit: o3 in ppb needs the state",
        "items.C.unit: say the unit",
        "items.D.unit: unit 'stone' does not fit no2",
        "items.E.x: unknown key",
        "items.F: needs item and unit",
    ):
        assert expected in listed


@pytest.mark.parametrize("mapping", ["[1, 2]", "a: [", "just text"])
def test_a_mapping_that_is_none(written, context, mapping):
    with pytest.raises(ContentError):
        list(table.read(written("a.csv", TEXT), context(mapping=str(written("m.yaml", mapping)))))


def test_no_mapping_at_all(written, context):
    with pytest.raises(UsageError, match="layout table needs a mapping"):
        list(table.read(written("a.csv", TEXT), context()))


def test_milligrams_declared_as_micrograms_are_suspected(written, context, door):
    lines = [f"2024-04-{d:02} {h:02}:00,市环境监测站,0.035,0.9" for d in (1, 2) for h in range(1, 24)]
    path = written("a.csv", "时间,站点,PM2.5,CO\n" + "\n".join(lines) + "\n")
    out = door(table.read(path, context(mapping=LONG)))
    assert [r.field for r in out.only("wrong_unit_suspected")] == ["pm2_5"]
    right = {**LONG, "items": {**LONG["items"], "PM2.5": {"item": "pm2_5", "unit": "mg/m³"}}}
    again = door(table.read(path, context(mapping=right)))
    assert again.rejects == []
    assert again.rows["hours"]["pm2_5"].unique().to_list() == [pytest.approx(35.0)]


def test_every_cell_is_accepted_rejected_or_missing(written, context, door):
    """Conservation over a table with every kind of fault in its cells."""
    pool = ["12", "", "x", "１", "-", "1e9", "-2", "3 0"]
    cells = [(pool[i % 8], pool[(i * 3) % 8]) for i in range(48)]
    lines = [f"2024-04-{1 + i // 24:02} {i % 24:02}:00,市环境监测站,{a},{b}" for i, (a, b) in enumerate(cells)]
    path = written("a.csv", "时间,站点,PM2.5,CO\n" + "\n".join(lines) + "\n")
    out = door(table.read(path, context(mapping=LONG)))
    flat = [c for pair in cells for c in pair]
    accepted = out.rows["hours"].select(pl.col("pm2_5", "co").count()).sum_horizontal().item()
    missing = sum(c in ("", "-") for c in flat)
    assert accepted + len(out.rejects) + missing == len(flat)
    assert {r.code for r in out.rejects} == {"bad_number", "out_of_contract"}


def test_formats_are_checked_and_an_hour_needs_no_minute(written, context, door):
    spec = {**LONG, "time": {"column": "时间", "format": "%Y-%m-%d %H"}}
    out = door(table.read(written("a.csv", TEXT.replace("08:00", "08")), context(mapping=spec)))
    assert out.rows["hours"]["hour"].to_list() == [8]
    with pytest.raises(ContentError, match=r'time\.format: "%I o.clock" is not a format'):
        list(
            table.read(
                written("a.csv", TEXT),
                context(mapping={**LONG, "time": {"column": "时间", "format": "%I o'clock"}}),
            )
        )
