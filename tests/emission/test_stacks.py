"""Months of an outlet for the inventory and for the tax, worked by hand (ledger stack-data; fact sheet 8, 9.2)."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from qinglan.core.errors import LayoutError
from qinglan.emission.build import build
from qinglan.emission.stacks import annual_sums, taxable
from qinglan.emission.tax import assess

SOURCES = pl.DataFrame({"outlet": ["U-DA001"], "source_id": ["B1"]})


def month(n: int, **given: Any) -> dict[str, Any]:
    row = {
        "outlet": "U-DA001",
        "month": f"2025-{n:02d}",
        "hours_run": 700.0,
        "hours_valid": 690.0,
        "hours_over": 0.0,
        "so2": 20.0,
        "nox": 40.0,
        "pm": 5.0,
        "so2_kg": 1000.0,
        "nox_kg": 2000.0,
        "pm_kg": 250.0,
    }
    return row | given


def year(**changed: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame([month(n, **changed.get(f"m{n}", {})) for n in range(1, 13)], infer_schema_length=None)


def so2(months: pl.DataFrame, sources: pl.DataFrame = SOURCES) -> dict[str, Any]:
    return annual_sums(months, sources).filter(species="so2").row(0, named=True)


def test_twelve_months_are_a_year() -> None:
    """12 x 1,000 kg; 690 of 700 hours."""
    assert so2(year()) == {
        "source_id": "B1",
        "year": 2025,
        "species": "so2",
        "emission_t": 12.0,
        "valid": pytest.approx(100 * 690 / 700),
    }
    assert annual_sums(year(), SOURCES)["species"].to_list() == ["nox", "pm", "so2"]


def test_the_worst_quarter_counts() -> None:
    """One month of the second quarter with 100 of 700 hours: (690 + 690 + 100)/2,100."""
    assert so2(year(m5={"hours_valid": 100.0}))["valid"] == pytest.approx(100 * 1480 / 2100)


def test_a_summer_standing_still_is_no_gap() -> None:
    still = {"hours_run": 0.0, "hours_valid": 0.0, "so2_kg": None, "so2": None}
    found = so2(year(m6=still, m7=still, m8=still))
    assert (found["emission_t"], found["valid"]) == (9.0, pytest.approx(100 * 690 / 700))


def test_a_missing_month_or_mass_is_not_used() -> None:
    assert so2(year().filter(pl.col("month") != "2025-03"))["valid"] == 0.0
    assert so2(year(m3={"so2_kg": None}))["valid"] == 0.0
    two = pl.DataFrame({"outlet": ["U-DA001", "U-DA002"], "source_id": ["B1", "B1"]})
    assert so2(year(), two)["valid"] == 0.0  # the other outlet says nothing


def test_two_outlets_of_a_source_add_up_and_one_outlet_has_one_source() -> None:
    two = pl.DataFrame({"outlet": ["U-DA001", "U-DA002"], "source_id": ["B1", "B1"]})
    both = pl.concat([year(), year().with_columns(outlet=pl.lit("U-DA002"))])
    assert so2(both, two)["emission_t"] == 24.0
    torn = pl.DataFrame({"outlet": ["U-DA001", "U-DA001"], "source_id": ["B1", "B2"]})
    with pytest.raises(LayoutError, match="belongs to 2 sources"):
        annual_sums(year(), torn)


def test_the_inventory_reads_it() -> None:
    """The sum by CEMS wins over the balance; a year short of a month does not."""
    boiler = {
        "source_id": "B1",
        "year": 2025,
        "sector": "heat",
        "fuel": "coal",
        "technology": "automatic_grate",
        "amount": 1e4,
        "unit": "t",
        "terms": {"sulphur": 0.5},
    }
    rows = pl.DataFrame([boiler])
    whole = build(rows, cems=annual_sums(year(), SOURCES)).emissions.filter(species="so2")
    assert whole.select("method", "emission_t").row(0) == ("cems", 12.0)
    short = build(rows, cems=annual_sums(year().head(11), SOURCES))
    assert short.emissions.filter(species="so2")["method"].to_list() == ["balance"]
    assert set(short.gaps["reason"]) == {"cems_capture"}


def test_the_tax_reads_it() -> None:
    """SO2 1,000 kg at 20 mg/m3 under a limit of 35 (43 % below): 1263.16 x 0.75; dust as smoke."""
    limits = pl.DataFrame({"outlet": ["U-DA001"] * 2, "item": ["so2", "nox"], "limit": [35.0, 50.0]})
    rows = taxable(pl.DataFrame([month(6), month(7, hours_over=2.0)]), limits)
    assert rows.height == 6
    found = assess(rows, "630000").rows
    tax = {(r["month"], r["pollutant"]): (r["tax"], r["reason"]) for r in found.iter_rows(named=True)}
    assert tax["2025-06", "so2"] == (947.37, "reduced_30")
    assert tax["2025-07", "so2"] == (1263.16, "exceeded")
    assert tax["2025-06", "nox"][1] == "not_low_enough"
    assert tax["2025-06", "smoke"][0] == pytest.approx(137.61)
    general = pl.DataFrame({"outlet": ["U-DA001"], "pollutant": ["general_dust"]})
    assert "general_dust" in set(taxable(pl.DataFrame([month(6)]), limits, general)["pollutant"])


def test_a_missing_column_is_named() -> None:
    with pytest.raises(LayoutError, match="no column nox_kg"):
        annual_sums(year().drop("nox_kg"), SOURCES)
