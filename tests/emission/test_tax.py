"""Environmental protection tax for air against the check values of the fact sheet 8, and each rule at its edge."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from qinglan.core.errors import LayoutError, RuleError
from qinglan.emission.tax import COLUMNS, Assessed, assess

QINGHAI = "630000"


def row(pollutant: str = "so2", kg: float | None = 1000.0, **given: Any) -> dict[str, Any]:
    return {"outlet": "DA001", "month": "2025-06", "pollutant": pollutant, "emission_kg": kg, **given}


def assessed(*rows: dict[str, Any]) -> Assessed:
    return assess(pl.DataFrame(list(rows), schema_overrides=COLUMNS, infer_schema_length=None), QINGHAI)


@pytest.mark.parametrize(
    ("pollutant", "expected"), [("so2", 1263.16), ("smoke", 550.46), ("general_dust", 300.00)]
)
def test_check_values(pollutant: str, expected: float) -> None:
    """1,000 kg at the rate of Qinghai (fact sheet 8)."""
    assert assessed(row(pollutant)).total == expected


def test_only_the_first_three_of_an_outlet() -> None:
    """Equivalents: SO2 1052.6, NOx 842.1, smoke 91.7, CO 59.9: CO is free; another outlet has its own three."""
    rows = [row("co"), row("smoke", 200.0), row("nox", 800.0), row("so2")]
    found = assessed(*rows, row("co", outlet="DA002"), row("co", month="2025-07"))
    table = {(r["outlet"], r["month"], r["pollutant"]): r for r in found.rows.iter_rows(named=True)}
    first = [table["DA001", "2025-06", p] for p in ("so2", "nox", "smoke", "co")]
    assert [(r["rank"], r["taxed"]) for r in first] == [(1, True), (2, True), (3, True), (4, False)]
    assert first[3]["tax"] == 0.0
    assert table["DA002", "2025-06", "co"]["tax"] == table["DA001", "2025-07", "co"]["tax"] == 71.86  # 59.88 x 1.2
    assert found.total == pytest.approx(1263.16 + 1010.53 + 110.09 + 2 * 71.86)


@pytest.mark.parametrize(
    ("concentration", "exceeded", "pays", "reason"),
    [
        (24.5, False, 75.0, "reduced_30"),  # exactly 30 % below 35
        (24.6, False, 100.0, "not_low_enough"),
        (17.5, False, 50.0, "reduced_50"),
        (17.6, False, 75.0, "reduced_30"),
        (10.0, True, 100.0, "exceeded"),
        (10.0, None, 100.0, "exceedance_unknown"),
        (None, False, 100.0, "no_concentration"),
        (40.0, False, 100.0, "not_low_enough"),
    ],
)
def test_a_clean_month_pays_less(
    concentration: float | None, exceeded: bool | None, pays: float, reason: str
) -> None:
    """Article 13: 30 % below the limit pays 75 %, 50 % below pays 50 %; a month above the limit pays in full."""
    found = assessed(row(concentration=concentration, limit=35.0, exceeded=exceeded)).rows.row(0, named=True)
    assert (found["pays_percent"], found["reason"]) == (pays, reason)
    assert found["tax"] == pytest.approx(1263.15789 * pays / 100, abs=0.006)


def test_rows_that_bear_no_tax_are_kept_aside() -> None:
    """VOC as a whole is not taxed (fact sheet 8); a bad mass or month is said."""
    found = assessed(row("nmvoc"), row(kg=None), row(kg=-1.0), row(month="June"), row())
    assert found.aside["reason"].to_list() == ["not_taxed", "bad_mass", "bad_mass", "bad_month"]
    assert (found.rows.height, found.total) == (1, 1263.16)


def test_a_province_without_a_rate_and_a_frame_without_a_column() -> None:
    with pytest.raises(RuleError, match="no rate of 110000"):
        assess(pl.DataFrame([row()]), "110000")
    with pytest.raises(LayoutError, match="no column emission_kg"):
        assess(pl.DataFrame([row()]).drop("emission_kg"), QINGHAI)
    with pytest.raises(RuleError, match="2017"):
        assess(pl.DataFrame([row(month="2017-12")]), QINGHAI)


def test_nothing_is_lost() -> None:
    rows = [row(p, k, outlet=str(i)) for i, (p, k) in enumerate((("so2", 1.0), ("x", 1.0), ("co", None)))]
    found = assessed(*rows)
    assert found.rows.height + found.aside.height == len(rows)
