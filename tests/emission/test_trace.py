"""Where a number came from: each line of arithmetic gives its number again, and each input names its source."""

from __future__ import annotations

import re
from typing import Any

import polars as pl
import pytest

from qinglan.emission.build import build
from qinglan.emission.categories import categories
from qinglan.emission.trace import steps, with_sources, worked


def emissions() -> pl.DataFrame:
    boiler = {
        **dict.fromkeys(("source_id", "ledger", "row_key", "activity", "place"), "B1"),
        "year": 2024,
        "sector": "heat",
        "fuel": "coal",
        "technology": "automatic_grate",
        "amount": 8600.0,
        "unit": "t",
        "quality": "B",
        "terms": {
            "sulphur": 0.52,
            "so2_control": "limestone_gypsum",
            "dust_control": "bag",
            "dust_removal": 99.0,
            "running_rate": 98.0,
            "cems_nox_t": 12.0,
            "voc_control": None,
        },
    }
    paint = boiler | {"source_id": "P1", "sector": "wood", "fuel": "paint_solvent", "technology": "spray"}
    paint["terms"] = {"voc_control": "activated_carbon"}
    return build(pl.DataFrame([boiler, paint], infer_schema_length=None)).emissions


def row_of(species: str, source: str = "B1") -> dict[str, Any]:
    return with_sources(emissions()).filter(species=species, source_id=source).row(0, named=True)


def test_the_line_gives_the_number_again() -> None:
    """The arithmetic that is shown is evaluated here: factor in kg for each tonne, shares as shown."""
    checked = 0
    for row in emissions().iter_rows(named=True):
        line = worked(row)
        shown = re.search(r"= ([\d.,e-]+) t; × \(1 − (.+)\) = ([\d.,e-]+) t$", line)
        if shown:
            kept = 1.0
            for share in shown[2].split(" × "):
                kept *= float(share)
            whole, result = (float(shown[i].replace(",", "")) for i in (1, 3))
            assert result == pytest.approx(whole * (1 - kept), rel=2e-3), line
            checked += 1
    assert checked >= 5


def test_every_input_names_its_source() -> None:
    found = {step.input: step for step in steps(row_of("so2"))}
    assert found["amount"].value == "8600 t"
    assert (found["amount"].source, found["amount"].certainty) == ("B1 / B1", "B")
    assert "annex C with the row's own analysis" in found["factor"].source
    assert "table A.1 row 3" in found["removal"].source
    assert found["result"].value.endswith("= 16.421 t")


def test_a_factor_of_a_table_tells_its_table() -> None:
    row = row_of("co")
    assert row["factor_source"] == "T/CSES 144-2024 table D1 [TCSES]"
    assert row["factor_certainty"] == "medium-high"
    assert [step.input for step in steps(row)] == ["amount", "factor", "result"]


def test_a_measured_removal_and_a_monitored_sum() -> None:
    removal = next(step for step in steps(row_of("pm2_5")) if step.input == "removal")
    assert removal.source == "bag+limestone_gypsum@B1"
    assert [step.input for step in steps(row_of("nox"))] == ["result"]
    assert worked(row_of("nox")) == "12 t"


def test_capture_is_told() -> None:
    found = {step.input: step.value for step in steps(row_of("nmvoc", "P1"))}
    assert (found["removal"], found["capture"]) == ("0.15", "0.4")


def test_boxes_keep_every_tonne() -> None:
    """A sum by NFR, by handbook class or by GNFR is the sum of all."""
    held = emissions()
    boxed = categories().with_boxes(held)
    assert boxed.height == held.height
    assert boxed["emission_t"].sum() == held["emission_t"].sum()
    heat = boxed.filter(sector="heat").row(0, named=True)
    assert (heat["class"], heat["handbook"], heat["nfr"], heat["gnfr"]) == (
        *("power_heat", "fixed_combustion", "1A1a", "A_PublicPower"),
    )
    assert set(boxed.filter(sector="wood")["nfr"]) == {"2D3d"}
