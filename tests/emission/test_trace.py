"""Where a number came from: each line of arithmetic gives its number again, and each input names its source."""

from __future__ import annotations

import re
from typing import Any

import polars as pl
import pytest

from qinglan.core.errors import ContentError
from qinglan.emission.area import dust
from qinglan.emission.build import build
from qinglan.emission.categories import categories
from qinglan.emission.trace import steps, with_sources, worked
from qinglan.emission.whole import build_all
from qinglan.plan.content import read


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


def moving(**told: Any) -> dict[str, Any]:
    row = dict.fromkeys(("source_id", "ledger", "row_key", "activity", "place"), "M") | {
        "year": 2024,
        "quality": "C",
    }
    return row | {"amount": 1000.0, "unit": "km", "terms": {}} | told


def test_factors_of_mobile_and_area_sources_name_all_tables_that_they_are_made_of() -> None:
    """content/factors: transport_factors.csv, machine_limits.csv, vehicle_*.csv, dust.csv and dust_forms.yaml."""
    terms = {"stage": "stage4", "altitude": 2261.0, "power": None, "silt_load": None, "weight": None,
             "rain_days": None}  # fmt: skip
    rows = [
        moving(source_id="car", sector="road", fuel="gasoline", technology="passenger_small", terms=terms),
        moving(source_id="gas", sector="road", fuel="natural_gas", technology="taxi", terms=terms),
        moving(source_id="digger", sector="machinery", fuel="diesel", technology="none", amount=10.0, unit="kWh",
               terms=terms | {"stage": "stage_3", "power": 60.0}),
        moving(source_id="train", sector="railway", fuel="diesel", technology="none", amount=10.0, unit="t"),
        moving(source_id="plane", sector="aviation", fuel="flight", technology="none", amount=10.0, unit="次"),
        moving(source_id="street", sector="road_dust", fuel="none", technology="paved",
               terms=terms | {"silt_load": 1.0, "weight": 2.5, "rain_days": 60.0}),
    ]  # fmt: skip
    made = with_sources(build_all(pl.DataFrame(rows, infer_schema_length=None)).emissions)
    assert set(made["source_id"]) == {str(r["source_id"]) for r in rows}
    assert made.filter(pl.col("factor_source").is_null()).select("source_id", "factor_id").rows() == []

    def factor(source: str, species: str) -> tuple[str, str]:
        one = made.filter(source_id=source, species=species).row(0, named=True)
        return one["factor_source"], one["factor_certainty"]

    assert factor("plane", "nox") == ("EMEP/EEA 1.A.3.a tier 1, domestic average fleet per LTO, from memory",
                                      "medium-low")  # fmt: skip
    source, certainty = factor("digger", "nox")
    assert "non-road guide" in source
    assert "GB 20891" in source, "held at the limit of its stage"
    assert certainty == "medium-low", "the least of medium-low (the guide) and medium (the limit)"
    guide = "2014 No. 92 dust guide [fact sheet 7.4]"
    assert factor("street", "pm10") == (f"{guide}; {guide}, as AP-42 13.2.1", "high")
    assert "one value for all classes" in factor("car", "nmvoc")[0], "what evaporates is part of it"
    steps_of_car = steps(made.filter(source_id="car", species="nox").row(0, named=True))
    assert [s.input for s in steps_of_car] == ["amount", "factor", "correction", "result"]
    assert "altitude x" in steps_of_car[2].value


def test_coefficients_of_dust_stand_in_content_with_their_source() -> None:
    """A form that lacks a coefficient, a source or a certainty is refused, and all faults are told."""
    book = read("factors", "dust_forms")
    assert dust.parse_forms(book)["paved"].values == {"silt_power": 0.91, "weight_power": 1.02}
    broken = {**book, "forms": {**book["forms"], "paved": {"values": {"silt_power": "x"}, "certainty": "sure"}}}
    with pytest.raises(ContentError) as caught:
        dust.parse_forms(broken)
    assert len(caught.value.problems) == 3
