"""Inventories by others: read line by line, and put beside ours box by box. Worked by hand; REAS 3.2 as it is."""

from __future__ import annotations

import gzip
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from qinglan.core.errors import LayoutError, NotFound
from qinglan.emission.frames import EMISSIONS
from qinglan.emission.top_down import TOTAL, beside, read_top_down
from qinglan.plan.rules import load_book

BOOK = load_book("tcses144", date(2024, 12, 31))
PLAIN = """species,sector,year,tonnes
nox,total,2022,100
NOX,工业源,2022,"1,000"
pm2.5,cement,2022,30
so2,cement,2022,x
o3,cement,2022,1
nox,magic,2022,1
nox,total,2022,3
so2,cement,20222,1
so2,cement,2022,-4

"""


def emissions(*rows: tuple[str, str, str, float]) -> pl.DataFrame:
    return pl.DataFrame(
        [
            dict.fromkeys(EMISSIONS)
            | {"species": s, "sector": sector, "fuel": fuel, "emission_t": t, "year": 2024}
            for s, sector, fuel, t in rows
        ],
        schema=EMISSIONS,
    )


@pytest.mark.parametrize(
    "as_bytes", [str.encode, lambda t: t.encode("gb18030"), lambda t: gzip.compress(t.encode())]
)
def test_a_plain_table_is_read_and_what_cannot_be_is_kept_aside(as_bytes: Any) -> None:
    found = read_top_down(as_bytes(PLAIN), place="630000")
    assert found.rows.rows() == [
        ("nox", TOTAL, 2022, 100),
        ("nox", "industry", 2022, 1000),
        ("pm2_5", "cement", 2022, 30),
    ]
    aside = found.aside.select("line", "column", "value").rows()
    assert aside == [
        (5, "tonnes", "x"), (6, "species", "o3"), (7, "sector", "magic"), (8, "species", "nox"),
        (9, "year", "20222"), (10, "tonnes", "-4"),
    ]  # fmt: skip
    assert all(found.aside["zh"])
    assert all(found.aside["en"])


def test_our_rows_are_summed_as_each_number_of_theirs_asks() -> None:
    """A sector, its class and the total hold the same tonnes three times; a band of two; one-sided stands out."""
    ours = emissions(("nox", "cement", "clinker", 60), ("nox", "steel", "coal", 20), ("nox", "road", "diesel", 40))
    theirs = ("nox,total,2020,100", "nox,industry,2020,200", "nox,cement,2020,60", "so2,total,2020,5")
    text = "\n".join(("species,sector,year,tonnes", *theirs))
    found = beside(ours, read_top_down(text.encode(), place="630000"), 2024, BOOK)
    told = {
        (r["species"], r["box"]): (r["emission_t"], r["ratio"], r["stands_out"]) for r in found.rows.to_dicts()
    }
    assert told == {
        ("nox", TOTAL): (120, 1.2, False),
        ("nox", "industry"): (80, 0.4, True),
        ("nox", "cement"): (60, 1.0, False),
        ("so2", TOTAL): (None, None, True),
    }
    assert (found.year, found.low, found.high) == (2020, 0.5, 2)
    wide = load_book("tcses144", date(2024, 12, 31), top_down_band="factor_three")
    rows = beside(ours, read_top_down(text.encode(), place="630000"), 2024, wide).rows
    assert not rows.filter(species="nox")["stands_out"].any()


def test_strange_cells_and_short_lines_are_kept_aside_not_raised() -> None:
    """Digits that are no number, a line that ends early, numbers beyond all numbers; units in the header."""
    lines = ("nox,total,²022,1", "nox,total", "nox,total,2022,1e999", "nox,total,2022,nan", "nox,合计,2022,5")
    text = "\n".join(("污染物,行业,年份,吨（t/a）", *lines))
    found = read_top_down(text.encode(), place="630000")
    assert found.rows.rows() == [("nox", TOTAL, 2022, 5)]
    assert found.aside["line"].to_list() == [2, 3, 4, 5]
    short = "reas_region,adcode,species,unit,sector,2015\nQH,630000,NOx,ktNO2/year\nQH,630000,NOx,kt/year,PP,1\n"
    assert read_top_down(short.encode(), place="630000").rows.rows() == [("nox", "PP", 2015, 1000.0)]


REAS = """reas_region,adcode,species,unit,sector,2014,2015
QH,630000,NOx,ktNO2/year,PP,0.1,0.2
QH,630000,NOx,ktNO2/year,ROAD,0.1,0.3
QH,630000,NOx,ktNO2/year,TOTAL,0.2,0.5
QH,630000,XX,kt/year,PP,1,1
GS,620000,NOx,ktNO2/year,PP,9,9
"""


def test_reas_is_cut_to_the_province_and_each_row_of_ours_is_in_one_box() -> None:
    """Boxes and what has none sum to ours; kt become t; dust of roads is not in REAS and in no total."""
    found = read_top_down(REAS.encode(), place="630000")
    assert found.years == (2014, 2015)
    assert found.aside["value"].to_list() == ["XX"]
    ours = emissions(
        ("nox", "power", "coal", 150), ("nox", "heat", "coal", 50), ("nox", "road", "diesel", 90),
        ("nox", "steel", "coal", 10), ("nox", "straw_burning", "straw", 7),
    )  # fmt: skip
    table = beside(ours, found, 2024, BOOK)
    told = {r["box"]: (r["emission_t"], r["other_t"], r["stands_out"]) for r in table.rows.to_dicts()}
    # The total of ours is of every box of REAS, also of those of which the table has no line.
    assert told == {TOTAL: (300, 500, False), "PP": (200, 200, False), "ROAD": (90, 300, True)}
    assert table.left.rows() == [("nox", "straw_burning", 7.0)]
    assert read_top_down(REAS.encode(), place="630000", region="gs").rows.height == 2
    with pytest.raises(NotFound, match="no region 'ZZ'"):
        read_top_down(REAS.encode(), place="630000", region="ZZ")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "no column species"),
        (b"species,year,tonnes\n", "no column sector"),
        (b"\x1f\x8bnonsense", "damaged"),
        (b"\xff\xfe\xff\xff\xff", "neither UTF-8 nor GBK"),
        (b"species,sector,year,tonnes\nnox," + b"x" * 200_000 + b",2022,1\n", "line 2 is no line of a CSV"),
    ],
)
def test_what_is_no_table_is_refused_with_what_to_do(data: bytes, says: str) -> None:
    with pytest.raises(LayoutError, match=says) as caught:
        read_top_down(data, place="630000")
    assert caught.value.remedy


@pytest.mark.data
def test_reas_3_2_as_it_is_distributed(test_data: Path) -> None:
    """Sectors of Qinghai 2015 sum to its TOTAL; totals are those of the test data's README [kt]."""
    path = test_data / "emission_inventory" / "reas_v3.2_china_provinces_1950_2015_wide.csv.gz"
    found = read_top_down(path.read_bytes(), place="630000")
    assert found.aside.is_empty()
    of = found.rows.filter(year=2015)
    total = dict(of.filter(box=TOTAL).select("species", "emission_t").iter_rows())
    parts = dict(of.filter(pl.col("box") != TOTAL).group_by("species").agg(pl.col("emission_t").sum()).iter_rows())
    assert total == pytest.approx(parts, rel=1e-4)
    stated = {"so2": 77.0, "nox": 152.5, "pm10": 78.5, "pm2_5": 54.3, "nmvoc": 125.2, "nh3": 130.5}
    assert {s: total[s] / 1000 for s in stated} == pytest.approx(stated, abs=0.06)
    boxes = {(s, b) for s, b in of.select("species", "box").iter_rows() if b != TOTAL}
    named = {(s, b) for s, b in boxes if b in found.boxes.get(s, found.boxes["any"])}
    assert boxes == named, "a sector of REAS that nothing of ours falls into"
