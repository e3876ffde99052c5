"""The same wrong files for every delimited layout: what survives, what is set aside, what is said."""

from __future__ import annotations

import random

import pytest

from qinglan.connect import city_daily, national_hourly, published_hourly, station_register, table, uci_beijing
from qinglan.connect.reference import page
from qinglan.core.errors import LayoutError
from qinglan.flow.sources import guess_layout, layouts

MAPPING = {
    "time": {"column": "时间"},
    "station": {"column": "站点"},
    "items": {"PM10": {"item": "pm10", "unit": "µg/m³"}},
}
NATIONAL = [f"20240401,{h},PM10,{40 + h},{50 + h}" for h in range(10)]
PUBLISHED = [f"西宁,20200326,{h},市环境监测站,52,良,NaN,16,{50 + h},NaN,10,106,74,58" for h in range(10)]
DAILY = [f"西宁,2015-03-{d:02},99,1~2,良,9,{50 + d},3,1.1,1,6,3" for d in range(1, 11)]
UCI = [f"{h},2013,3,1,{h},4,{40 + h},4,7,300,77,-0.7,1023,-18.8,0,NNW,4.4,Dongsi" for h in range(10)]
TABLE = [f"2024-04-01 {h:02}:00,1480A,{40 + h}" for h in range(10)]
REGISTER = [f"{1000 + n}A,甲{n},西宁,101.{n},36.{n}" for n in range(10)]

LAYOUTS = {
    "national_hourly": (national_hourly, "date,hour,type,1480A,1481A", NATIONAL, {}, 20),
    "published_hourly": (
        published_hourly,
        "file,Date,Hour,WatchPoint,AQI,Level,PrimaryPollution,PM2.5,PM10,CO,NO2,O3_1h,O3_8h,SO2",
        PUBLISHED,
        {},
        10,
    ),
    "city_daily": (city_daily, "city,date,AQI,AQI_range,level,PM2.5,PM10,SO2,CO,NO2,O3,rank", DAILY, {}, 10),
    "uci_beijing": (
        uci_beijing,
        "No,year,month,day,hour,PM2.5,PM10,SO2,NO2,CO,O3,TEMP,PRES,DEWP,RAIN,wd,WSPM,station",
        UCI,
        {},
        10,
    ),
    "table": (table, "时间,站点,PM10", TABLE, {"mapping": MAPPING}, 10),
    "station_register": (station_register, "station,name,place,lon,lat", REGISTER, {}, 10),
}


@pytest.fixture(params=sorted(LAYOUTS))
def case(request, context, written, door):
    """``load(text) -> (rows of the main data set, outcome)`` of a layout, its header, lines and row count."""
    module, header, lines, options, rows = LAYOUTS[request.param]
    main = "hours" if "hours" in module.LAYOUT.datasets else module.LAYOUT.datasets[0]

    def load(text, encoding="utf-8", **more):
        out = door(module.read(written("a.csv", text, encoding), context(**options, **more)))
        columns = [c for c in out.rows[main].columns if c != "source_line"]
        return out.rows[main].select(columns).sort(columns[:2]), out

    return load, header, lines, rows


def text_of(header, lines, end="\n"):
    return end.join([header, *lines]) + end


def test_the_good_file(case):
    load, header, lines, rows = case
    frame, out = load(text_of(header, lines))
    assert (frame.height, out.rejects) == (rows, [])


@pytest.mark.parametrize("encoding", ["utf-8-sig", "gbk", "gb18030", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_encoding_mark_and_line_ends_change_nothing(case, encoding, end):
    load, header, lines, _ = case
    good, _ = load(text_of(header, lines))
    frame, out = load(text_of(header, lines, end), encoding)
    assert frame.equals(good)
    assert out.rejects == []


@pytest.mark.parametrize("separator", [";", "\t"])
def test_another_separator_changes_nothing(case, separator):
    load, header, lines, _ = case
    good, _ = load(text_of(header, lines))
    frame, _ = load(text_of(header, lines).replace(",", separator))
    assert frame.equals(good)


def test_order_of_lines_changes_nothing(case):
    load, header, lines, _ = case
    good, _ = load(text_of(header, lines))
    frame, _ = load(text_of(header, random.Random(3).sample(lines, len(lines))))
    assert frame.equals(good)


def test_order_of_columns_changes_nothing(case):
    load, header, lines, _ = case
    good, _ = load(text_of(header, lines))
    turned = [",".join(reversed(line.split(","))) for line in [header, *lines]]
    frame, _ = load(text_of(turned[0], turned[1:]))
    assert frame.equals(good)


def test_empty_and_header_only(case):
    load, header, _, _ = case
    with pytest.raises(LayoutError, match="is empty"):
        load("")
    frame, out = load(header + "\n")
    assert (frame.height, out.rejects) == (0, [])


def test_a_file_of_something_else_is_refused_by_its_columns(case):
    load, _, _, _ = case
    with pytest.raises(LayoutError, match="lacks the column"):
        load("x,y\n1,2\n")


def test_a_file_cut_in_a_line_keeps_the_whole_lines(case):
    load, header, lines, _ = case
    full = text_of(header, lines)
    cut = full[: full.rindex(",")]
    frame, out = load(cut)
    good, _ = load(text_of(header, lines[:-1]))
    assert frame.equals(good)
    assert [(r.code, r.line, r.raw) for r in out.rejects] == [("bad_row_width", 11, lines[-1].rpartition(",")[0])]


def test_repeated_lines_change_nothing_and_are_told(case):
    load, header, lines, rows = case
    good, _ = load(text_of(header, lines))
    frame, out = load(text_of(header, [*lines, *lines]))
    assert frame.equals(good)
    assert {r.code for r in out.rejects} == {"duplicate_identical"}
    assert sum(r.rows for r in out.rejects) >= rows


def test_a_line_of_another_width_costs_itself(case):
    load, header, lines, _ = case
    frame, out = load(text_of(header, [*lines[:3], lines[3] + ",9", *lines[4:]]))
    good, _ = load(text_of(header, [*lines[:3], *lines[4:]]))
    assert frame.equals(good)
    assert [(r.code, r.line, r.raw) for r in out.rejects] == [("bad_row_width", 5, lines[3] + ",9")]


def test_every_reject_of_a_damaged_file_points_to_its_line(case):
    load, header, lines, _ = case
    damaged = [line.replace("4", "4?").replace("5", "5?") if n % 2 else line for n, line in enumerate(lines)]
    _, out = load(text_of(header, damaged))
    assert out.rejects
    for reject in out.rejects:
        assert reject.raw
        assert reject.line is not None
        assert reject.reason
        assert reject.reason_zh
        assert reject.remedy


@pytest.mark.parametrize("name", sorted(set(LAYOUTS) - {"table"}))
def test_each_file_is_recognised_as_its_own_layout_only(name, written):
    _, header, lines, _, _ = LAYOUTS[name]
    for encoding in ("utf-8", "utf-8-sig", "gb18030"):
        assert guess_layout(written("a.csv", text_of(header, lines), encoding)) == name


@pytest.mark.parametrize("content", [b"", b"\x00\x01", b"\x1f\x8bbroken", "a,b\n1,2\n".encode("utf-16"), b"{"])
def test_sniffing_never_raises(content, written):
    path = written("a.csv", content)
    assert [name for name, layout in layouts().items() if layout.sniff(path)] == []
    assert [name for name, layout in layouts().items() if layout.sniff(path.with_name("absent"))] == []


def test_the_reference_page_is_what_the_layouts_say(pytestconfig):
    path = pytestconfig.rootpath / "docs" / "reference" / "layouts.md"
    expected = page(layout.LAYOUT for layout in layouts().values())
    assert path.read_text(encoding="utf-8") == expected, "write it again with qinglan.connect.reference.page"


def test_the_mapping_of_the_how_to_is_one(pytestconfig):
    import yaml

    from qinglan.connect.table.mapping import load

    text = (pytestconfig.rootpath / "docs" / "how-to" / "load-your-data.md").read_text(encoding="utf-8")
    spec = load(yaml.safe_load(text.split("```yaml\n")[1].split("```")[0]))
    assert {i.item for i in spec.items.values()} == {"pm10", "pm2_5", "o3"}
    assert "维护" in spec.missing
