"""From activities to emissions, alternatives and gaps, worked by hand from T/CSES 144-2024 (fact sheet 7)."""

from __future__ import annotations

import time
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from qinglan.core.errors import LayoutError
from qinglan.emission.build import build, stationary
from qinglan.emission.categories import SPECIES
from qinglan.emission.frames import EMISSIONS, GAPS, METHODS, REASONS, Inventory


def activity(source: str = "S", **given: Any) -> dict[str, Any]:
    row = {
        **dict.fromkeys(("ledger", "row_key", "activity", "place"), source),
        "source_id": source,
        "year": 2024,
        "sector": "heat",
        "fuel": "coal",
        "technology": "automatic_grate",
        "amount": 10_000.0,
        "unit": "t",
        "terms": {},
    }
    return row | given


def built(*rows: dict[str, Any], cems: pl.DataFrame | None = None) -> Inventory:
    return build(pl.DataFrame(list(rows), infer_schema_length=None), cems=cems)


def tonnes(inventory: Inventory, source: str = "S") -> dict[str, float]:
    rows = inventory.emissions.filter(source_id=source)
    return dict(zip(rows["species"], rows["emission_t"], strict=True))


def one(inventory: Inventory, species: str, source: str = "S") -> dict[str, Any]:
    found = inventory.emissions.filter(source_id=source, species=species)
    assert found.height == 1
    return found.row(0, named=True)


def test_a_heating_boiler_worked_by_hand() -> None:
    """10,000 t of coal, S 0.52 %, ash 14.5 %, gypsum scrubber, SNCR, bag filter, all running 98 %.

    SO2 20 x 0.52 x 0.85 = 8.84 kg/t, scrubber 0.8 x 0.98; NOx 4 kg/t, SNCR 0.3 x 0.98.
    PM2.5 10 x 14.5 x 0.15 x 0.10 = 2.175 kg/t; scrubber 57 %, bag 94.5 %: 1 - 0.43 x 0.055 = 0.97635.
    PM10 7.1775 kg/t, of which coarse 5.0025; 75 % and 95 %: 0.9875. CO 8 kg/t; NH3 slip of SNCR 0.17 kg/t.
    """
    terms = {
        "sulphur": 0.52,
        "ash": 14.5,
        "running_rate": 98.0,
        "so2_control": "limestone_gypsum",
        "nox_control": "sncr",
        "dust_control": "bag",
    }
    inventory = built(activity(terms=terms))
    mass = tonnes(inventory)
    assert mass["so2"] == pytest.approx(88.4 * (1 - 0.8 * 0.98))
    assert mass["nox"] == pytest.approx(40 * (1 - 0.3 * 0.98))
    assert mass["pm2_5"] == pytest.approx(21.75 * (1 - 0.97635 * 0.98))
    removal = (2.175 * 0.97635 + 5.0025 * 0.9875) / 7.1775
    assert mass["pm10"] == pytest.approx(71.775 * (1 - removal * 0.98))
    assert mass["co"] == pytest.approx(80.0)
    assert mass["nh3"] == pytest.approx(1.7)
    # IPCC: 10,000 t x 20.908 MJ/kg x 94.6 t/TJ
    assert mass["co2"] == pytest.approx(10_000 * 20.908e-3 * 94.6)
    assert inventory.gaps.is_empty()
    so2 = one(inventory, "so2")
    assert (so2["method"], so2["equation"], so2["factor_unit"]) == ("balance", "so2_factor", "kg/t")
    assert so2["factor"] == pytest.approx(8.84)
    assert (so2["removal"], so2["running"], so2["removal_id"]) == (pytest.approx(0.8), 0.98, "limestone_gypsum")
    assert one(inventory, "nox")["factor_id"] == "d1.heat.coal.automatic_grate.nox"


def test_each_emission_can_be_worked_again_from_its_row() -> None:
    """E = E0 (1 - removal x running x capture): what stands in the row gives the row's tonnes."""
    rows = [
        activity("A", terms={"dust_control": "esp", "so2_control": "spray_drying", "running_rate": 90.0}),
        activity("B", fuel="natural_gas", technology="gas_boiler", unit="万m3", terms={"nox_control": "low_nox"}),
        activity(
            "C", sector="surface_coating", fuel="paint_solvent", technology="spray", terms={"voc_control": "rto"}
        ),
    ]
    emissions = built(*rows).emissions
    again = pl.col("uncontrolled_t") * (1 - pl.col("removal") * pl.col("running") * pl.col("capture"))
    assert emissions.filter(pl.col("emission_t") != again.fill_null(pl.col("uncontrolled_t"))).is_empty()
    assert set(emissions["method"]) <= set(METHODS)
    assert set(emissions["species"]) <= set(SPECIES)


def test_without_an_analysis_the_default_coal_stands_in_and_says_so() -> None:
    row = one(built(activity()), "so2")
    assert (row["method"], row["factor_id"]) == ("factor_default", "coal.default.so2")
    assert row["emission_t"] == pytest.approx(10_000 * 20 * 0.8 * 0.85 / 1000)
    assert "sulphur" in row["note"]
    analysed = one(built(activity(terms={"sulphur": 0.8})), "so2")
    assert analysed["sigma"]["factor"] < row["sigma"]["factor"]


def test_a_measured_removal_stands_for_its_slot_and_the_table_for_the_rest() -> None:
    """Measured 99.8 % of dust; the scrubber's own dust removal still acts behind it: 1 - 0.002 x 0.43."""
    terms = {"dust_control": "bag", "dust_removal": 99.8, "so2_control": "dual_alkali"}
    row = one(built(activity(terms=terms)), "pm2_5")
    assert row["removal"] == pytest.approx(1 - 0.002 * 0.43)
    assert row["removal_id"] == "bag+dual_alkali@S"


def test_several_devices_of_one_slot() -> None:
    """Cyclone before bag: 1 - 0.9 x 0.055."""
    row = one(built(activity(terms={"dust_control": "multicyclone+bag"})), "pm2_5")
    assert row["removal"] == pytest.approx(1 - 0.9 * 0.055)


@pytest.mark.parametrize(
    ("terms", "capture"),
    [
        ({"voc_control": "rto", "capture": 85.0}, 0.85),
        ({"voc_control": "rto", "capture_kind": "capture_enclosed"}, 0.95),
        ({"voc_control": "rto"}, 0.40),  # an outer hood, table A.1 row 42, where nothing is told
    ],
)
def test_solvents_by_content_capture_and_removal(terms: dict[str, Any], capture: float) -> None:
    """E = W I (1 - eta s gamma): 10 t of paint with 45 % VOC, RTO 94 % running 90 %."""
    row = activity(
        sector="surface_coating",
        fuel="paint_solvent",
        technology="spray",
        amount=10.0,
        terms={"voc_content": 45.0, "running_rate": 90.0, **terms},
    )
    found = one(built(row), "nmvoc")
    assert found["emission_t"] == pytest.approx(4.5 * (1 - 0.94 * 0.9 * capture))
    assert (found["method"], found["capture"]) == ("balance", pytest.approx(capture))


def test_the_best_method_wins_and_the_others_stand_beside_it() -> None:
    """CEMS before a measured factor before the balance before the table (contract 0012)."""
    terms: dict[str, Any] = {"sulphur": 0.5, "cems_so2_t": 42.0, "measured_so2": 6.0, "measured_nox": 3.0}
    inventory = built(activity(terms=terms))
    assert one(inventory, "so2")["emission_t"] == 42.0
    beside = inventory.alternatives.filter(species="so2")
    assert beside["method"].to_list() == ["balance", "measured"]
    assert beside["emission_t"].to_list() == pytest.approx([10_000 * 8.5 / 1000, 60.0])
    assert (one(inventory, "nox")["method"], one(inventory, "nox")["emission_t"]) == (
        "measured",
        pytest.approx(30.0),
    )


def test_a_measured_factor_is_behind_the_devices() -> None:
    row = one(built(activity(terms={"measured_nox": 3.0, "nox_control": "scr"})), "nox")
    assert row["emission_t"] == pytest.approx(30.0)
    assert row["removal"] is None


def test_cems_with_too_few_valid_hours_is_a_gap_and_the_next_method_counts() -> None:
    """T/CSES 144-2024: 75 % of the hours of the quarter."""
    inventory = built(activity(terms={"sulphur": 0.5, "cems_so2_t": 42.0, "cems_valid": 74.9}))
    assert one(inventory, "so2")["method"] == "balance"
    assert inventory.gaps.select("species", "reason").rows() == [("so2", "cems_capture")]
    whole = built(activity(terms={"sulphur": 0.5, "cems_so2_t": 42.0, "cems_valid": 75.0}))
    assert (one(whole, "so2")["method"], whole.gaps.height) == ("cems", 0)


def test_a_sum_by_cems_is_shared_by_the_activities_of_its_source() -> None:
    """A boiler of coal and gas: 10 t of NOx measured, 40 t and 20.5 t by factor; the sum stays 10 t."""
    gas = activity("S", row_key="gas", fuel="natural_gas", technology="gas_boiler", amount=500.0, unit="万m3")
    coal = activity("S", row_key="coal")
    sums = pl.DataFrame({"source_id": ["S", "Z"], "species": ["nox", "nox"], "emission_t": [10.0, 99.0]})
    rows = built(coal, gas, cems=sums).emissions.filter(species="nox")
    assert rows["emission_t"].sum() == pytest.approx(10.0)
    assert rows["emission_t"].to_list() == pytest.approx([10 * 40 / 60.5, 10 * 20.5 / 60.5])
    assert set(rows["method"]) == {"cems"}


def test_monitored_dust_counts_as_pm10_and_its_parts_keep_their_proportion() -> None:
    terms = {"ash": 14.5, "dust_control": "bag"}
    plain, monitored = (
        tonnes(built(activity(terms=terms))),
        tonnes(built(activity(terms={**terms, "cems_pm_t": 0.5}))),
    )
    assert monitored["pm10"] == pytest.approx(0.5)
    assert monitored["pm2_5"] / monitored["pm10"] == pytest.approx(plain["pm2_5"] / plain["pm10"])


def test_the_coal_of_a_cement_kiln_counts_once() -> None:
    """SO2, NOx and dust of the kiln's coal are in the factors of clinker; of the coal only CO2 and CH4 count."""
    coal = activity("K", sector="cement", technology="kiln", row_key="coal", terms={"sulphur": 1.0})
    clinker = activity("K", sector="cement", fuel="clinker", technology="nsp_kiln", row_key="clinker")
    inventory = built(coal, clinker)
    assert set(inventory.emissions.filter(fuel="coal")["species"]) == {"co2", "ch4"}
    assert {"so2", "nox", "pm10"} <= set(inventory.emissions.filter(fuel="clinker")["species"])
    reheating = built(activity(sector="steel", technology="kiln", fuel="natural_gas", unit="万m3"))
    assert one(reheating, "nox")["emission_t"] == pytest.approx(10_000 * 1e4 * 2.09e-6)


def test_petrol_that_is_sold_is_not_burnt() -> None:
    """5,000 t through a station with stage-II recovery: vapour only, 3.243 kg/t x 0.2."""
    row = activity(sector="filling_station", fuel="gasoline", technology="none", amount=5000.0)
    row["terms"] = {"voc_control": "vapour_recovery_2"}
    assert tonnes(built(row)) == {"nmvoc": pytest.approx(5000 * 3.243e-3 * 0.2)}


def test_sealing_points_by_type_and_found_leaks() -> None:
    """Eq. 16: 3,200 x 0.00403 x 8,000 h; with LDAR eq. 15 wins: (21 - 19) x 0.275 x 8,000 h."""
    point = activity(sector="refining", fuel="sealing_point", technology="valve_light", amount=3200.0, unit="个")
    assert tonnes(built(point | {"terms": {"hours": 8000.0}}))["nmvoc"] == pytest.approx(103.168)
    found = built(point | {"terms": {"hours": 8000.0, "leaks": 21.0, "repaired": 19.0}})
    assert one(found, "nmvoc")["emission_t"] == pytest.approx(4.4)
    assert found.alternatives["emission_t"].to_list() == pytest.approx([103.168])
    beyond = built(point | {"terms": {"hours": 8000.0, "leaks": 21.0, "repaired": 19.0, "unreachable": 60.0}})
    assert one(beyond, "nmvoc")["emission_t"] == pytest.approx(4.4 + 60 * 0.00403 * 8)
    timeless = built(point)
    assert timeless.gaps.select("species", "reason").rows() == [("nmvoc", "missing_term")]


def test_other_balances() -> None:
    """Sinter (500 + 300) x 1.7; tank 5 + 6 t; flare 250 x 0.2."""
    sinter = activity("A", sector="steel", fuel="sinter", technology="none", amount=9e5)
    sinter["terms"] = {"ore": 1e6, "ore_sulphur": 0.05, "solid_fuel": 5e4, "fuel_sulphur": 0.6}
    tank = activity("B", sector="refining", fuel="tank", technology="fixed_roof", amount=5e4)
    tank["terms"] = {"working_loss": 0.1, "standing_loss": 1500.0, "tanks": 4.0}
    flare = activity("C", sector="refining", fuel="flare", technology="ground_flare", amount=250.0)
    inventory = built(sinter, tank, flare)
    assert one(inventory, "so2", "A")["emission_t"] == pytest.approx(1360.0)
    assert one(inventory, "nmvoc", "B")["emission_t"] == pytest.approx(11.0)
    assert one(inventory, "nmvoc", "C")["emission_t"] == pytest.approx(50.0)


@pytest.mark.parametrize(
    ("changed", "reason", "said"),
    [
        ({"fuel": "peat"}, "unknown_category", "fuel peat"),
        ({"sector": None}, "unknown_category", "sector ?"),
        ({"amount": None}, "no_amount", "?"),
        ({"amount": -1.0}, "no_amount", "-1.0"),
        ({"year": None}, "no_year", "?"),
        ({"year": 2010}, "no_year", "2010"),
        ({"year": 20244}, "no_year", "20244"),
        ({"terms": {"dust_control": "bag", "dust_removal": 998.0}}, "bad_term", "dust_removal 998"),
        ({"terms": {"dust_control": "bag", "sulphur": -0.5}}, "bad_term", "sulphur -0.5"),
        ({"terms": {"dust_control": "bag", "cems_so2_t": float("nan")}}, "bad_term", "cems_so2_t NaN"),
        ({"terms": {"dust_control": "bag+prayer"}}, "unknown_control", "dust_control prayer"),
        ({"sector": "photovoltaic", "fuel": "polysilicon"}, "no_factor", "photovoltaic / polysilicon"),
        ({"unit": "斛"}, "unit_mismatch", "斛"),
    ],
)
def test_what_cannot_be_computed_is_a_gap_with_its_reason(changed: dict[str, Any], reason: str, said: str) -> None:
    """Never a zero, never silence: the good row beside it is computed."""
    inventory = built(activity("bad", **changed), activity("good"))
    gaps = inventory.gaps.filter(source_id="bad")
    assert set(gaps["reason"]) == {reason}
    assert reason in REASONS
    assert said in gaps["detail"][0]
    assert inventory.emissions.filter(source_id="bad").is_empty()
    assert inventory.gaps.filter(source_id="good").is_empty()
    assert not inventory.emissions.filter(source_id="good").is_empty()


def test_every_row_is_in_emissions_or_in_gaps() -> None:
    rows = [activity(str(i), fuel=f, unit=u) for i, f in enumerate(("coal", "peat", "tank")) for u in ("t", "m3")]
    inventory = built(*rows)
    met = set(inventory.emissions["source_id"]) | set(inventory.gaps["source_id"])
    assert met == {row["source_id"] for row in rows}


def test_shapes_are_the_contracted_ones() -> None:
    inventory = built(activity())
    assert inventory.emissions.schema == pl.Schema(EMISSIONS)
    assert inventory.alternatives.schema == pl.Schema(EMISSIONS)
    assert inventory.gaps.schema == pl.Schema(GAPS)
    nothing = build(pl.DataFrame(schema={**built(activity()).emissions.schema, "terms": pl.Struct({})}))
    assert nothing.emissions.is_empty()
    with pytest.raises(LayoutError, match="no column unit"):
        build(pl.DataFrame([activity()]).drop("unit"))


def test_a_power_boiler_whose_unit_is_told_in_steam() -> None:
    """1,025 t/h of steam is a 300 MW unit: 7.21 g/kg; 410 t/h is between; the MW win where they are told."""
    row = activity(sector="power", technology="pulverised")
    for terms, factor in (({"capacity": 1025.0}, 7.21), ({"capacity": 410.0}, 8.19), ({"capacity": 90.0}, 8.96)):
        assert one(built(row | {"terms": terms}), "nox")["factor"] == factor
    assert one(built(row | {"terms": {"capacity": 1025.0, "unit_capacity": 135.0}}), "nox")["factor"] == 8.19


def test_kitchen_fume() -> None:
    """6,000 m3/h at 1.2 mg/m3 for 14,400 stove hours of 4 stoves: 3,600 h, 25.92 kg."""
    row = activity(sector="catering", fuel="meals", technology="none", amount=14_400.0, unit="h")
    row["terms"] = {"flow": 6000.0, "fume": 1.2, "stoves": 4.0}
    assert tonnes(built(row)) == {"pm10": pytest.approx(0.02592), "pm2_5": pytest.approx(0.02592)}


def test_both_spellings_of_a_term() -> None:
    """Ledgers of boilers say pm_control and running."""
    ours = built(activity(terms={"dust_control": "bag", "running_rate": 90.0})).emissions
    theirs = built(activity(terms={"pm_control": "bag", "running": 90.0})).emissions
    assert_frame_equal(ours, theirs)


def test_which_rows_are_for_this_module() -> None:
    frame = pl.DataFrame({"sector": ["cement", "road", "filling_station", "road_dust", "household", "livestock"]})
    assert frame.filter(stationary())["sector"].to_list() == ["cement", "filling_station", "household"]


@pytest.mark.slow
def test_twenty_thousand_rows_in_seconds() -> None:
    row = activity(terms={"sulphur": 0.5, "dust_control": "bag", "so2_control": "limestone_gypsum"})
    many = pl.concat([pl.DataFrame([row])] * 20_000).with_columns(source_id=pl.int_range(pl.len()).cast(pl.String))
    start = time.perf_counter()
    inventory = build(many)
    assert inventory.emissions.height == 20_000 * 10
    assert time.perf_counter() - start < 20  # 2 s on an idle machine
