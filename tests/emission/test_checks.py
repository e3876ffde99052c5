"""Comparisons with what others know: each on a small case worked by hand, REAS 3.2 on the real table."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from qinglan.emission import checks
from qinglan.emission.build import build
from qinglan.emission.frames import EMISSIONS
from qinglan.plan.rules import load_book

BOOK = load_book("tcses144", date(2024, 12, 31))


def emissions(*rows: dict[str, Any]) -> pl.DataFrame:
    base = {
        **dict.fromkeys(EMISSIONS),
        "species": "nox",
        "year": 2024,
        "sector": "heat",
        "fuel": "coal",
        "unit": "t",
    }
    return pl.DataFrame([base | row for row in rows], schema=EMISSIONS)


def test_top_down_on_both_sides() -> None:
    """Within a factor of two is quiet; a side that is silent is not."""
    ours = emissions(*[{"species": s, "emission_t": m} for s, m in (("nox", 60.0), ("so2", 45.0), ("nh3", 1.0))])
    other = pl.DataFrame({"species": ["nox", "so2", "co"], "emission_t": [100.0, 100.0, 5.0]})
    table = checks.against_top_down(ours, other, BOOK)
    assert dict(zip(table["species"], table["stands_out"], strict=True)) == {
        "co": True,
        "nh3": True,
        "nox": False,
        "so2": True,
    }
    assert table.filter(species="nox")["ratio"][0] == pytest.approx(0.6)


@pytest.mark.data
def test_top_down_reas_of_qinghai(test_data: Path) -> None:
    """REAS 3.2, Qinghai 2015, as the README of the test data tells it [kt]."""
    path = test_data / "emission_inventory" / "reas_v3.2_china_provinces_1950_2015_wide.csv.gz"
    wide = pl.read_csv(path, infer_schema_length=None).filter(pl.col("reas_region") == "QH")
    names = {"SO2": "so2", "NOX": "nox", "PM10": "pm10", "PM2.5": "pm2_5", "NMVOC": "nmvoc", "NH3": "nh3"}
    kept = wide.filter(pl.col("sector") != "TOTAL").with_columns(
        species=pl.col("species").str.to_uppercase().replace(names), emission_t=pl.col("2015") * 1000
    )
    stated = {"so2": 77.0, "nox": 152.5, "pm10": 78.5, "pm2_5": 54.3, "nmvoc": 125.2, "nh3": 130.5}
    ours = emissions(*[{"species": s, "emission_t": kt * 1000} for s, kt in stated.items()])
    table = checks.against_top_down(ours, kept, BOOK).filter(pl.col("species").is_in(list(stated)))
    assert table.height == len(stated)
    assert table["ratio"].to_list() == pytest.approx([1.0] * len(stated), abs=0.01)
    assert not table["stands_out"].any()


def test_fuel_balance() -> None:
    """5 % apart is let pass, more is asked; what one side lacks is asked; products are no fuel."""
    rows = [("coal", 104.0), ("natural_gas", 94.0), ("coke", 7.0), ("clinker", 9.0)]
    ours = pl.DataFrame([{"place": "63", "year": 2024, "fuel": f, "unit": "t", "amount": a} for f, a in rows])
    stated = [("coal", 100.0), ("natural_gas", 100.0), ("diesel", 1.0)]
    theirs = pl.DataFrame([{"place": "63", "year": 2024, "fuel": f, "unit": "t", "amount": a} for f, a in stated])
    table = checks.fuel_balance(ours, theirs, BOOK)
    assert dict(zip(table["fuel"], table["stands_out"], strict=True)) == {
        "coal": False,
        "coke": True,
        "diesel": True,
        "natural_gas": True,
    }
    assert table.filter(fuel="natural_gas")["difference_percent"][0] == pytest.approx(-6.0)


def test_cems_against_the_best_other_number() -> None:
    def boiler(source: str, cems: float) -> dict[str, Any]:
        return {
            **dict.fromkeys(("source_id", "ledger", "row_key", "activity", "place"), source),
            "year": 2024,
            "sector": "heat",
            "fuel": "coal",
            "technology": "automatic_grate",
            "amount": 1e4,
            "unit": "t",
            "terms": {"sulphur": 0.5, "cems_so2_t": cems},
        }

    inventory = build(pl.DataFrame([boiler("low", 40.0), boiler("right", 80.0), boiler("high", 180.0)]))
    table = checks.cems_against_factor(inventory, BOOK)
    assert table["other_t"].to_list() == pytest.approx([85.0] * 3)
    assert dict(zip(table["source_id"], table["stands_out"], strict=True)) == {
        "low": True,
        "right": False,
        "high": True,
    }
    assert set(table["other_method"]) == {"balance"}


def test_above_the_permit() -> None:
    """Sums over the activities of a source; below the permit is quiet."""
    ours = emissions(
        *[{"source_id": s, "emission_t": m} for s, m in (("A", 30.0), ("A", 25.0), ("B", 5.0), ("C", 9.0))]
    )
    held = pl.DataFrame(
        {"source_id": ["A", "B"], "year": [2024, 2024], "species": ["nox", "nox"], "permitted_t": [50.0, 6.0]}
    )
    table = checks.above_permit(ours, held)
    assert table.select("source_id", "excess_t").rows() == [("A", 5.0)]


def test_a_boiler_unlike_its_industry() -> None:
    """Nine boilers near 4 kg/t and one at 40: a slip of a power of ten stands out; its peers do not."""
    rates = [3.8, 3.9, 3.95, 4.0, 4.0, 4.05, 4.1, 4.2, 4.3, 40.0]
    ours = emissions(*[{"source_id": f"B{i}", "amount": 1e4, "emission_t": 10 * r} for i, r in enumerate(rates)])
    table = checks.outliers(ours, BOOK)
    assert table["source_id"].to_list() == ["B9"]
    assert table["z"][0] > 3.5
    assert checks.outliers(ours.head(4), BOOK).is_empty()
    alike = ours.with_columns(emission_t=pl.lit(40.0))
    assert checks.outliers(alike, BOOK).is_empty()


def test_one_unlike_many_that_are_alike() -> None:
    """MAD is 0 where most are alike: nine at 4 and one at 40 kg/t, z = 10/1.2533; at 6 kg/t it is let pass."""
    rates = [4.0] * 9 + [40.0]
    ours = emissions(*[{"source_id": f"B{i}", "amount": 1e4, "emission_t": 10 * r} for i, r in enumerate(rates)])
    table = checks.outliers(ours, BOOK)
    assert table["source_id"].to_list() == ["B9"]
    assert table["z"][0] == pytest.approx(10 / 1.2533)
    assert table["peers"][0] == 10
    near = ours.with_columns(emission_t=pl.when(source_id="B9").then(60.0).otherwise("emission_t"))
    assert checks.outliers(near, BOOK).is_empty()


def test_units_left_out_in_both_directions() -> None:
    ours = emissions(
        {"source_id": "A", "emission_t": 1.0},
        {"source_id": "X", "emission_t": 2.0},
        {"source_id": "X", "species": "so2", "emission_t": 3.0},
    )
    register = pl.DataFrame({"source_id": ["A", "B", None], "name": ["a", "b", "c"]})
    silent, strange = checks.left_out(ours, register)
    assert silent.rows() == [("B", "b")]
    assert strange.rows() == [("X", ["nox", "so2"], 5.0)]


def test_coverage_of_the_emergency_list() -> None:
    ours = emissions({"source_id": "A", "emission_t": 75.0}, {"source_id": "B", "emission_t": 25.0})
    table = checks.coverage(ours, pl.DataFrame({"source_id": ["A"]}))
    assert table.rows() == [("nox", 100.0, 75.0, 75.0)]
