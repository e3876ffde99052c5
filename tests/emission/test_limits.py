"""Limits of stationary sources and the fold to reference oxygen, by hand. Sources: fact sheet 9.1 and 12."""

from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl
import pytest

from qinglan.core.errors import LayoutError, UnknownName
from qinglan.emission.limits import compare, compliance, kinds
from qinglan.plan.rules import load_book

BOOK = load_book("stationary", date(2025, 6, 30))


def measured(**given: Any) -> dict[str, Any]:
    row = {"source_id": "DA001", "kind": "boiler_coal_special", "pollutant": "so2", "concentration": 100.0}
    return row | {"oxygen": 9.0, "permit_limit": None} | given


def compared(*rows: dict[str, Any]) -> pl.DataFrame:
    return compare(
        pl.DataFrame(list(rows), schema_overrides={"oxygen": pl.Float64, "permit_limit": pl.Float64}), BOOK
    )


@pytest.mark.parametrize(
    ("kind", "pollutant", "limit", "oxygen"),
    [
        ("boiler_coal_new", "dust", 50, 9),
        ("boiler_coal_used", "nox", 400, 9),
        ("boiler_oil_new", "so2", 200, 3.5),
        ("boiler_gas_special", "nox", 150, 3.5),
        ("power_coal_special", "so2", 50, 6),
        ("ule_sinter", "nox", 50, 16),
        ("ule_pellet", "so2", 35, 18),
        ("ule_coke_stack", "nox", 150, 8),
        ("aluminium_electrolysis", "fluoride", 3, None),
    ],
)
def test_limits_are_those_of_the_fact_sheet(kind: str, pollutant: str, limit: float, oxygen: float | None) -> None:
    """Fact sheet 12."""
    assert BOOK.number(f"limit.{kind}.{pollutant}") == limit
    assert (BOOK.number(f"oxygen.{kind}") if BOOK.has(f"oxygen.{kind}") else None) == oxygen


def test_diluted_gas_is_folded() -> None:
    """150 mg/m3 at 13 % oxygen and 9 % reference: 150 x 12/8 = 225, above 200; as measured it would pass."""
    row = compared(measured(concentration=150.0, oxygen=13.0)).row(0, named=True)
    assert (row["folded"], row["limit"], row["over"]) == (225.0, 200.0, True)
    assert row["below_percent"] == pytest.approx(-12.5)


def test_a_kind_without_reference_oxygen_is_not_folded() -> None:
    row = compared(measured(kind="aluminium_electrolysis", concentration=140.0, oxygen=20.5)).row(0, named=True)
    assert (row["folded"], row["below_percent"]) == (140.0, pytest.approx(30.0))


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"oxygen": None}, "no_oxygen"),
        ({"oxygen": 21.0}, "no_oxygen"),  # air: nothing can be folded
        ({"concentration": None}, "no_value"),
        ({"pollutant": "mercury"}, "no_limit"),
    ],
)
def test_what_cannot_be_judged_says_why(changed: dict[str, Any], reason: str) -> None:
    row = compared(measured(**changed), measured()).row(0, named=True)
    assert (row["over"], row["reason"]) == (None, reason)


def test_the_stricter_of_permit_and_book() -> None:
    assert compared(measured(permit_limit=50.0))["limit"][0] == 50.0
    assert compared(measured(permit_limit=500.0))["limit"][0] == 200.0
    diluted = measured(pollutant="mercury", permit_limit=0.05, concentration=0.03, oxygen=15.0)
    assert compared(diluted).select("folded", "over").row(0) == (0.06, True)  # the kind's oxygen, 12/6


def test_limits_are_dated() -> None:
    """No ultra-low limit before its document; GB 13271-2014 not before 2014-07-01."""
    assert "ule_sinter" not in kinds(load_book("stationary", date(2019, 4, 21)))
    assert "boiler_coal_new" not in kinds(load_book("stationary", date(2014, 6, 30)))
    with pytest.raises(UnknownName, match="ule_sintre"):
        compared(measured(kind="ule_sintre"))
    with pytest.raises(LayoutError, match="no column kind"):
        compare(pl.DataFrame([measured()]).drop("kind"), BOOK)


def test_ninety_five_percent_of_the_hours() -> None:
    """19 of 20 judged hours within the limit keep it; 18 of 19 do not. Hours without oxygen are not judged."""
    good, bad, unknown = measured(), measured(concentration=300.0), measured(oxygen=None)
    kept = compliance(compared(*[good] * 19, bad, unknown), BOOK).row(0, named=True)
    assert (kept["hours"], kept["judged"], kept["percent"], kept["kept"]) == (21, 20, 95.0, True)
    assert compliance(compared(*[good] * 18, bad), BOOK)["kept"].to_list() == [False]
    assert compliance(compared(unknown), BOOK)["kept"].to_list() == [None]
