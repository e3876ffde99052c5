"""Categories, factors, controls: the content against the transcribed tables, the loaders against every fault.

Sources: T/CSES 144-2024 tables A.1, C.1-C.3, D.1, E.7 as digitised in the test data; fact sheet 7.3.
"""

from __future__ import annotations

import csv
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from qinglan.core.errors import ContentError, UnknownName, UsageError
from qinglan.emission.categories import categories, parse_categories
from qinglan.emission.controls import controls
from qinglan.emission.factors import (
    COLUMNS,
    all_factors,
    climb,
    coal_parameters,
    factors_on,
    heating_values,
    parse_factors,
    sigmas,
)
from qinglan.emission.frames import NUMBERS, TEXTS
from qinglan.emission.tables import parse_table
from qinglan.emission.units import UnitMismatch, emitted
from qinglan.plan.content import read

ON = date(2024, 12, 31)
GUIDE = {
    "CO": "co",
    "NOX": "nox",
    "SO2": "so2",
    "VOCS": "nmvoc",
    "PM25": "pm2_5",
    "PM10": "pm10",
    "BC": "bc",
    "OC": "oc",
}
FUELS = {
    "COAL": "coal",
    "COKE": "coke",
    "OTHCOKE": "other_coking",
    "GANGUE": "gangue",
    "COG": "coke_oven_gas",
    "BFG": "blast_furnace_gas",
    "OTHGAS": "other_coal_gas",
    "NG": "natural_gas",
    "LNG": "lng",
    "LPG": "lpg",
    "REFGAS": "refinery_gas",
    "CONVGAS": "converter_gas",
    "OTHFGAS": "other_gas",
    "CRUDE": "crude_oil",
    "GASOLINE": "gasoline",
    "KEROSENE": "kerosene",
    "DIESEL": "diesel",
    "FUELOIL": "fuel_oil",
    "OTHLIQ": "other_liquid",
    "ASPHALT": "bitumen",
    "PETCOKE": "petroleum_coke",
    "OTHPET": "other_petroleum",
}
FIRINGS = {
    "PF": "pulverised",
    "CFB": "fluidised_bed",
    "AUTOGRATE": "automatic_grate",
    "MANGRATE": "manual_grate",
    "NA": "none",
    "GASBOILER": "gas_boiler",
    "OILBOILER": "oil_boiler",
}
HEAD = ",".join(COLUMNS)


def transcribed(folder: Path, name: str) -> list[dict[str, str]]:
    text = (folder / "tcses144_2024" / name).read_text(encoding="utf-8")
    return list(csv.DictReader(line for line in text.splitlines() if not line.startswith("#")))


@pytest.mark.data
def test_every_combustion_factor_is_the_transcribed_one(test_data: Path) -> None:
    """Tables D.1 and E.7, cell by cell; S and P are balances, C depends on the size of the unit."""
    ours = {
        (r["sector"], r["fuel"], r["technology"], r["species"]): (r["value"], r["unit"])
        for r in factors_on(ON).filter(pl.col("id").str.contains(r"^(d1|e7)\.")).iter_rows(named=True)
    }
    sectors = {"电力生产": "power", "热力生产和供应": "heat"}
    rows = [(sectors[r["department"]], r) for r in transcribed(test_data, "power_heat_EF_tableD1.csv")]
    rows += [("industry", r) for r in transcribed(test_data, "industrial_boiler_EF_tableE7.csv")]
    met = 0
    for sector, row in rows:
        fuel, firing = row["code"].rsplit("-", 1)
        for column, species in GUIDE.items():
            if row[column] not in ("", "S", "P", "C"):
                expected = (float(row[column]), row["unit"])
                assert ours[sector, FUELS[fuel], FIRINGS[firing], species] == expected
                met += 1
    assert met > 400


@pytest.mark.data
def test_every_removal_is_the_transcribed_one(test_data: Path) -> None:
    """Table A.1 row by row, but for the dust of denitration, which the print repeats from the scrubbers."""
    ours = controls()
    rows = transcribed(test_data, "control_efficiency_tableA1.csv")
    assert ours.height == len(rows)
    columns = {"SO2": "so2", "NOX": "nox", "PM25": "pm2_5", "PM25_10": "pm2_5_10", "BC": "bc", "OC": "oc"}
    for row, own in zip(rows, ours.iter_rows(named=True), strict=True):
        voc = own["capture"] if own["kind"] == "capture" else own["nmvoc"]
        assert voc == pytest.approx(float(row["VOCS"]) / 100)
        for theirs, name in columns.items():
            slip = own["control"] in ("scr", "sncr") and name not in ("so2", "nox")
            assert own[name] == pytest.approx(0.0 if slip else float(row[theirs]) / 100), (own["control"], name)


@pytest.mark.data
def test_every_coal_parameter_is_the_transcribed_one(test_data: Path) -> None:
    """Tables C.1 to C.3."""
    ours = {
        (r["sector"], r["technology"], r["quantity"]): r["value"]
        for r in coal_parameters(ON).iter_rows(named=True)
    }
    sectors = {"电力生产": "power", "热力生产和供应": "heat", "采矿业、制造业、燃气生产和供应业": "industry"}
    names = {
        "煤粉炉": "pulverised",
        "流化床炉": "fluidised_bed",
        "自动炉排层燃炉": "automatic_grate",
        "手动炉排层燃炉": "manual_grate",
    }
    columns = {
        "sulfur_to_bottom_ash": "sulphur_retained",
        "ash_to_bottom_ash": "ash_to_bottom",
        "pm25_fraction": "pm2_5",
        "pm10_fraction": "pm10",
        "bc_fraction_of_pm25": "bc",
        "oc_fraction_of_pm25": "oc",
    }
    for row in transcribed(test_data, "coal_parameters.csv"):
        if row["department"] in sectors:
            for theirs, name in columns.items():
                key = (sectors[row["department"]], names[row["combustion_technology"]], name)
                assert ours[key] == float(row[theirs])


def test_process_factors_are_those_of_the_fact_sheet() -> None:
    """Fact sheet 7.3, a row of each kind."""
    ours = {r["id"]: r["value"] for r in factors_on(ON).iter_rows(named=True)}
    assert [
        ours[f"process.cement.clinker.nsp_kiln.{s}"] for s in ("co", "nox", "so2", "nmvoc", "pm2_5", "pm10")
    ] == [*(3.71, 1.88, 0.51, 0.33, 26.5, 57.5)]
    assert ours["process.aluminium.electrolytic_aluminium.none.so2"] == 7.5
    assert ours["voc.any.sealing_point.valve_light"] == 0.00403


def test_every_factor_multiplies_to_a_mass() -> None:
    """A factor's unit fits the unit in which its fuel is asked, with hours or heat where it is told for them."""
    fuels = categories().fuels
    for row in all_factors().iter_rows(named=True):
        asked = fuels[row["fuel"]]["unit"]
        ways = [row["unit"] + more for more in ("", " * h", " * MJ/kg", " * MJ/m3")]
        fits = []
        for way in ways:
            try:
                fits.append(emitted(asked, way))
            except UnitMismatch:
                continue
        assert fits, f"{row['id']}: {row['unit']} for {asked}"
        assert row["sigma"] is not None


def test_size_parts_of_dust_are_in_order() -> None:
    """PM2.5 is part of PM10, BC and OC are parts of PM2.5: a slip in transcribing would show here."""
    keys = ["sector", "fuel", "technology"]
    wide = factors_on(ON).filter(pl.col("term") == "").pivot("species", index=keys, values="value")
    assert wide.filter(pl.col("pm2_5") > pl.col("pm10")).is_empty()
    # Natural gas and the like: the print's carbon columns are zero.
    assert wide.filter(pl.col("bc") + pl.col("oc") > pl.col("pm2_5") * 1.0001).is_empty()
    assert heating_values()["heat"].is_between(3, 60).all()
    assert set(sigmas()) == {"factor", "amount", "method", "removal"}


def asked(**row: object) -> pl.DataFrame:
    blank = {**dict.fromkeys(NUMBERS), **dict.fromkeys(TEXTS), "_row": 0}
    schema = {**dict.fromkeys(NUMBERS, pl.Float64), **dict.fromkeys(TEXTS, pl.String)}
    return pl.DataFrame([{**blank, **row}], schema_overrides={**schema, "_row": pl.UInt32})


def found(species: str, **row: object) -> tuple[str, bool] | None:
    met = climb(asked(**row), factors_on(ON), "species", fuel=True).filter(species=species)
    return None if met.is_empty() else (met["id"][0], met["exact"][0])


@pytest.mark.parametrize(
    ("row", "species", "expected"),
    [
        # own technology of the own sector
        (("heat", "coal", "fluidised_bed"), "nox", ("d1.heat.coal.fluidised_bed.nox", True)),
        # the table of the whole class, for the very technology
        (("steel", "coal", "manual_grate"), "co", ("e7.industry.coal.manual_grate.co", True)),
        # technology not told: what the class has for any
        (("steel", "coal", "none"), "nox", ("own.industry.coal.none.nox", False)),
        # the sector's own row for any firing is a default where the table tells firings apart
        (("heat", "coal", "none"), "nox", ("own.heat.coal.none.nox", False)),
        # a technology without a row
        (("steel", "natural_gas", "kiln"), "nox", ("e7.industry.natural_gas.none.nox", False)),
        # any sector
        (("cement", "natural_gas", "kiln"), "co2", ("ghg.any.natural_gas.none.co2", False)),
        # the class before any sector
        (("household", "coal", "stove"), "ch4", ("ghg.residential.coal.none.ch4", False)),
        # products that the guide does not tell apart are exact
        (("cement", "cement", "none"), "pm10", ("process.cement.cement.none.pm10", True)),
        (("photovoltaic", "polysilicon", "none"), "nox", None),
    ],
)
def test_the_closest_factor_answers(
    row: tuple[str, str, str], species: str, expected: tuple[str, bool] | None
) -> None:
    sector, fuel, technology = row
    assert found(species, sector=sector, fuel=fuel, technology=technology) == expected


@pytest.mark.parametrize(
    ("size", "expected"),
    [(50.0, "small"), (100.0, "small"), (100.1, "middle"), (299.9, "middle"), (300.0, "large"), (1000.0, "large")],
)
def test_power_stations_are_told_apart_by_the_size_of_the_unit(size: float, expected: str) -> None:
    """Table D.1: up to 100 MW, above 100 and below 300, 300 and more. Units of 300 MW are common."""
    row = {"sector": "power", "fuel": "coal", "technology": "pulverised", "unit_capacity": size}
    assert found("nox", **row) == (f"d1.power.coal.pulverised.nox.{expected}", True)


def test_a_size_that_is_not_told_falls_back() -> None:
    row = {"sector": "power", "fuel": "coal", "technology": "pulverised"}
    assert found("nox", **row) == ("own.power.coal.none.nox", False)


def test_loading_is_told_apart_by_the_liquid() -> None:
    row = {"sector": "refining", "fuel": "loading", "technology": "none"}
    assert found("nmvoc", **row, liquid="diesel") == ("voc.any.loading.none.diesel", False)
    assert found("nmvoc", **row, liquid="tar") is None


def test_methane_of_coal_is_told_apart_by_the_kind_of_mine() -> None:
    row = {"sector": "coal_mining", "fuel": "coal_mined", "technology": "none"}
    assert found("ch4", **row, open_pit="true") == ("ghg.coal_mining.coal_mined.none.ch4.open_pit", True)
    assert found("ch4", **row, open_pit="false") == ("ghg.coal_mining.coal_mined.none.ch4.underground", True)
    assert found("ch4", **row) is None


def factor(**changed: str) -> str:
    row = dict.fromkeys(COLUMNS, "") | {
        "id": "a",
        "sector": "cement",
        "fuel": "coal",
        "technology": "none",
        "species": "nox",
        "value": "1",
        "unit": "g/kg",
        "valid_from": "2014-01-01",
        "certainty": "high",
        "source": "s",
    }
    return ",".join(f'"{v}"' for v in (row | changed).values())


def faults(*rows: str) -> str:
    with pytest.raises(ContentError) as caught:
        parse_factors(parse_table("\n".join((HEAD, *rows)), "made.csv", COLUMNS))
    return "\n".join(caught.value.problems)


def test_all_faults_of_a_table_are_told_at_once() -> None:
    told = faults(
        factor(sector="cemment", value="much"),
        factor(id="b", species="no2", certainty="sure"),
        factor(id="c", range="[1,2)", term="size"),
        factor(id="d", source="", valid_from="2014"),
        factor(id="e", fuel="coke"),
        factor(id="e", fuel="coke"),
        factor(id="f", fuel="coke"),
        factor(id="g", fuel="diesel", sigma="0.5", unit=""),
    )
    for said in (
        *("line 2, sector 'cemment'", "line 2, value 'much'", "line 3, species 'no2'", "line 3, certainty 'sure'"),
        *("line 4, range '[1,2)'", "line 5, source ''", "line 5, valid_from '2014'"),
        *("line 7: id and date repeats line 6", "line 8: what is asked by", "line 9, sigma", "line 9, unit ''"),
    ):
        assert said in told, said


def test_a_wrong_head_is_named() -> None:
    with pytest.raises(ContentError, match="wanted id, sector"):
        parse_table("id,value\n", "made.csv", COLUMNS)


def test_the_newest_value_on_or_before_the_day_answers() -> None:
    with pytest.raises(UsageError, match="2013-12-31"):
        factors_on(date(2013, 12, 31))
    assert factors_on(date(2014, 1, 1)).height == factors_on(ON).height


def test_faults_of_the_categories_are_told_at_once() -> None:
    raw = read("factors", "categories")
    raw["sectors"]["cement"]["class"] = "factories"
    raw["sectors"]["lime"]["boxes"] = {"any": ["chalk"]}
    del raw["fuels"]["coal"]["en"]
    raw["sectors"]["industry"] = raw["sectors"]["steel"]
    with pytest.raises(ContentError) as caught:
        parse_categories(raw)
    told = "\n".join(caught.value.problems)
    for said in (
        "'factories' is not a class",
        "'chalk' is not a crosswalk",
        "fuels.coal: needs",
        "industry: is also",
    ):
        assert said in told
    assert "crosswalks.lime: no sector uses it" in told


def test_an_unknown_name_is_named() -> None:
    with pytest.raises(UnknownName, match="unknown sector 'foundry'"):
        categories().class_of("foundry")


def test_every_sector_and_kind_has_a_box_in_every_system() -> None:
    """The crosswalk is total; only what has no counterpart (cooking, dust) is empty in EDGAR and IPCC."""
    table = categories().crosswalk()
    assert table.select("sector", "kind").is_unique().all()
    assert not table["gnfr"].is_null().any()
    assert set(table["handbook"]) == set(categories().handbook)
    assert set(table.filter(pl.col("edgar") == "")["sector"]) <= {
        *("catering", "human", "road_dust", "construction_dust", "soil_dust", "stockpile_dust"),
        *("forest_fire", "grassland_fire"),
    }
