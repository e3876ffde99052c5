"""Cells as officials write them. Source: the contract (0012); GB 32100-2015; Excel's day 0 is 1899-12-30."""

from dataclasses import replace
from datetime import date

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ledger.rows import checked, raw_of

from qinglan.ledger.cells import place_of, read_column
from qinglan.ledger.check import Scope
from qinglan.ledger.declare import Code, Column, load_ledger
from qinglan.ledger.geometry import load_outlines, outside
from qinglan.ledger.identifiers import ALPHABET, check_character, permit_fault, uscc_fault
from qinglan.ledger.quantities import read_number
from qinglan.ledger.workbook import read_workbook, template
from qinglan.plan.places import load_places, load_stations

PLACES = load_places()
BOILERS = load_ledger("boilers")


def read(kind, *texts, **more):
    words = {"zh": "列", "en": "column"}
    return read_column(Column("x", words, kind, **more), pl.Series("x", list(texts), dtype=pl.String), PLACES)


def test_days_in_every_spelling():
    day = date(2024, 6, 28)
    texts = ["2024-06-28", "2024/6/28", "2024.6.28", "20240628", "2024年6月28日", "２０２４－０６－２８", "45471",
             "2024-06-28 00:00:00", "45471.0"]  # fmt: skip
    assert read("date", *texts).values.to_list() == [day] * len(texts)
    assert day.toordinal() - date(1899, 12, 30).toordinal() == 45471
    bad = read("date", "2024-02-30", "28.06.2024", "昨天", "1024-06-28", None)
    assert bad.bad["bad_date"].to_list() == [True, True, True, True, False]


def test_months_and_years():
    june = date(2024, 6, 1)
    assert read("month", "2024-06", "2024年6月", "202406", "2024/6", "2024-06-01").values.to_list() == [june] * 5
    assert read("year", "2024", "2024年", "2024年度", "2024.0").values.to_list() == [2024] * 4
    assert read("year", "24.5").bad["bad_number"].to_list() == [True]


@pytest.mark.parametrize(
    ("text", "unit", "value", "converted"),
    [
        ("1234.5", "t", 1234.5, False),
        ("１，２３４.5", "t", 1234.5, False),
        ("12 kt", "t", 12000, True),
        ("12千吨", "t", 12000, True),
        ("1.2万吨", "t", 12000, False),
        ("35蒸吨/小时", "t/h", 35, False),
        ("5 MW", "kW", 5000, True),
        ("80000 m3", "万m³", 8, True),
        ("二〇二五", "1", 2025, False),
        ("一百零五", "t", 105, False),
        ("85%", "%", 85, False),
        ("65℃", "°C", 65, False),
    ],
)
def test_numbers_with_units_and_chinese_digits(text, unit, value, converted):
    assert read_number(text, unit) == (pytest.approx(value, rel=1e-12), converted)


@pytest.mark.parametrize(
    ("text", "unit"),
    [("12 kW", "t"), ("300 K", "°C"), ("2,5", "t"), ("1.5亿", "万m³"), ("12个", "台"), ("nan", "t"), ("inf", "t"),
     ("1e999", "t"), ("12 t t", "t/h"), ("三十几", "t"), ("", "t")],
)  # fmt: skip
def test_what_is_not_known_without_doubt_is_no_number(text, unit):
    assert read_number(text, unit) is None


def test_a_converted_unit_is_told():
    found = checked(BOILERS, raw_of([{**BOILERS.good[0], "fuel_use": "8.6 kt"}], list(BOILERS.schema)))
    assert found.rows["fuel_use"].item() == 8600
    told = found.faults.filter(code="converted").row(0, named=True)
    assert (told["level"], told["zh"]) == ("note", "“8.6 kt”已按t换算为8600")


def test_limits_and_whole_numbers():
    found = read("number", "5", "-1", "11", min=0, max=10)
    assert found.values.to_list() == [5, None, None]
    assert found.bad["out_of_range"].to_list() == [False, True, True]
    assert read("integer", "3", "3.0", "3.5").bad["bad_number"].to_list() == [False, False, True]


def test_yes_and_no():
    texts = ["是", "有", "TRUE", "1", "√", "否", "无", "false", "0", "×"]
    assert read("boolean", *texts).values.to_list() == [True] * 5 + [False] * 5


def test_codes_by_code_word_alias_and_without_leading_zero():
    codes = {
        "01": Code("01", {"zh": "农业", "en": "farming"}, ("种植",)),
        "10": Code("10", {"zh": "采矿", "en": "Mining"}),
    }  # fmt: skip
    texts = ["01", "1", "农业", "种植", "MINING", " 采 矿 ", "99"]
    assert read("code", *texts, codes=codes).values.to_list() == ["01", "01", "01", "01", "10", "10", None]


@pytest.mark.parametrize(
    ("text", "code"),
    [("632801", "632801"), ("格尔木", "632801"), ("青海省海西州格尔木市", "632801"), ("西宁市 城东区", "630102"),
     ("西宁城东", "630102"), ("630000", None), ("西宁市", None), ("海南", None), ("亚特兰蒂斯", None)],
)  # fmt: skip
def test_counties_by_code_name_and_full_address(text, code):
    found = place_of(text, PLACES, "county")
    assert (found.place if found else None) == code


def test_degrees_minutes_and_seconds():
    assert read("lon", "101.76", "东经101°45′36″", "101°45'36\"E").values.to_list() == [101.76] * 3


def test_credit_codes_by_their_check_character():
    """GB 32100-2015: any single wrong character and any swap of neighbours is found."""
    code = "91630105MA757K3R71"
    assert uscc_fault(code) is None
    for at in range(18):
        for other in set(ALPHABET) - {code[at]}:
            assert uscc_fault(code[:at] + other + code[at + 1 :]) is not None
    for at in range(17):
        if code[at] != code[at + 1]:
            assert uscc_fault(code[:at] + code[at + 1] + code[at] + code[at + 2 :]) is not None
    assert check_character("9144030071526726X") == "G"  # a public code
    assert permit_fault(f"{code}001P") is None
    assert permit_fault(f"{code}01P") is not None
    assert read("uscc", " 91630105ma757k3r71 ").values.to_list() == [code]


def test_the_first_of_rows_with_the_same_identity_stands():
    base = BOILERS.good[0]
    found = checked(BOILERS, raw_of([base, {**base, "capacity": 41}, base], list(BOILERS.schema)))
    assert found.rows["_line"].to_list() == [4]
    told = found.faults.filter(code="duplicate_identity")
    assert told["line"].to_list() == [5, 6]
    assert "第4行" in told["zh"][0]
    assert (found.read, found.taken, found.aside) == (3, 1, 2)


def test_what_lies_outside_somebodys_scope_is_refused_by_what_it_says_and_said():
    rows = [BOILERS.good[0], BOILERS.good[1]]
    raw = raw_of(rows, list(BOILERS.schema))
    xining = checked(BOILERS, raw, scope=Scope(places=("630100",)))
    assert xining.rows["boiler_no"].to_list() == ["QH630105-0001"]
    assert xining.faults.select("code", "column").rows() == [("out_of_scope", "county")]
    own = checked(BOILERS, raw, scope=Scope(enterprises=("91632801MA75CD9X26",)))
    assert own.faults.select("line", "code", "column").rows() == [(4, "not_yours", "uscc")]
    # Writing one's own place into somebody else's row does not make it one's own.
    standing = checked(BOILERS, raw).rows
    taken = raw_of([{**rows[1], "county": "630105"}], list(BOILERS.schema))
    assert checked(BOILERS, taken, existing=standing, scope=Scope(places=("630100",))).aside == 1


def test_a_point_outside_its_place_is_a_warning():
    square = {"type": "Polygon", "coordinates": [[[101, 36], [102, 36], [102, 37], [101, 37], [101, 36]]]}
    rows = [BOILERS.good[0], {**BOILERS.good[0], "boiler_no": "QH-0002", "lon": 103.5}]
    found = checked(BOILERS, raw_of(rows, list(BOILERS.schema)), outlines={"630105": square})
    assert found.taken == 2
    assert found.faults.select("line", "code", "level").rows() == [(5, "outside_place", "warning")]


def test_stations_lie_in_their_counties_by_the_outlines_that_come_along():
    """Source: the register of national stations, whose coordinates and counties were entered apart."""
    stations = [s for s in load_stations() if s.county]
    frame = pl.DataFrame(
        {"place": [s.county for s in stations], "lon": [s.lon for s in stations], "lat": [s.lat for s in stations]}
    )
    far = [s.station for s, out in zip(stations, outside(frame, load_outlines()), strict=True) if out]
    assert len(stations) > 15
    assert far == []
    moved = frame.with_columns(lon=pl.col("lon") + 3)
    assert outside(moved, load_outlines()).all()


def test_what_is_missing_neither_applies_nor_breaks():
    row = {**BOILERS.good[0], "built_up": None}
    found = checked(BOILERS, raw_of([row], list(BOILERS.schema)))
    assert found.faults.select("code", "column").rows() == [("missing", "built_up")]


def test_a_reference_without_its_ledger_is_not_judged():
    raw = raw_of(BOILERS.good, list(BOILERS.schema))
    assert checked(BOILERS, raw, known={}).aside == 0
    assert checked(BOILERS, raw, known={"air-enterprises.uscc": set()}).aside == 3


def test_blank_rows_are_not_read():
    raw = raw_of([BOILERS.good[0], {}, {"name": " 　"}], list(BOILERS.schema))
    found = checked(BOILERS, raw)
    assert (found.read, found.taken, found.aside) == (1, 1, 0)


def test_no_rows_at_all():
    found = checked(BOILERS, raw_of([], list(BOILERS.schema)))
    assert (found.read, found.taken, found.aside, found.faults.height) == (0, 0, 0, 0)


LEDGERS = ("boilers", "nonroad-machines", "air-enterprises")
#: Boilers with few columns, so that many texts go through a workbook quickly.
SMALL = replace(
    BOILERS, columns=tuple(c for c in BOILERS.columns if c.name in ("boiler_no", "note")), checks=(), deadlines=(),
    indicators=(), activity=(), geometry={}, place="", enterprise="", states=None, label="boiler_no",
)  # fmt: skip
CELLS = st.one_of(
    st.none(),
    st.text(max_size=12),
    st.sampled_from(["是", "0", "1e400", "-", "＝", "=1", "#N/A", "2024-06-28", "99999", "630105", "在用",
                     "retired", "12 kt", "一万亿", "_x0041_",
                     "a\x1fb", "甲\r\n乙", "a\rb",
                     "点", "亿", "101°99′", "\x00", "\ud7ff", "9" * 40, "91630105MA757K3R71"]),
)  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(data=st.data(), name=st.sampled_from(LEDGERS))
def test_whatever_is_written_is_taken_or_set_aside(data, name):
    """No text makes the check fail; read = taken + aside; every row set aside has its error."""
    ledger = load_ledger(name)
    rows = [dict(ledger.good[n % len(ledger.good)]) for n in range(data.draw(st.integers(0, 4)))]
    for row in rows:
        for column in data.draw(st.lists(st.sampled_from(list(ledger.schema)), max_size=6)):
            row[column] = data.draw(CELLS)
    found = checked(ledger, raw_of(rows, list(ledger.schema)))
    assert found.read == found.taken + found.aside
    errors = set(found.faults.filter((pl.col("level") == "error") & (pl.col("line") > 0))["line"])
    assert errors == set(found.rejected["_line"])
    assert not errors & set(found.rows["_line"])


@settings(max_examples=25, deadline=None)
@given(text=st.one_of(st.text(max_size=20), CELLS.filter(bool)))
def test_whatever_text_is_taken_comes_back_from_a_workbook(text):
    found = checked(SMALL, raw_of([{**BOILERS.good[0], "note": text}], list(SMALL.schema)))
    again = checked(SMALL, read_workbook(SMALL, template(SMALL, found.rows)))
    assert again.rows["note"].to_list() == found.rows["note"].to_list()


def test_a_new_row_begins_and_an_existing_one_stays_where_it_is():
    ledger = replace(
        BOILERS, columns=tuple(replace(c, required=False) if c.type == "state" else c for c in BOILERS.columns)
    )
    blank = raw_of([{**BOILERS.good[0], "status": None}], list(BOILERS.schema))
    new = checked(ledger, blank)
    assert new.rows["status"].to_list() == ["in_use"]
    idle = new.rows.with_columns(status=pl.lit("idle"))
    assert checked(ledger, blank, existing=idle).rows["status"].to_list() == ["idle"]
