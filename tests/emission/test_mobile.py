"""Mobile sources. Source: MEP 2014 No. 92 as digitised in vein 1.5.0 (tables of vehicle_ef_vein); by hand."""

from __future__ import annotations

import time
from pathlib import Path

import polars as pl
import pytest
from tests.emission.test_ledgers import activities_of
from tests.ledger.rows import TODAY

from qinglan.emission.categories import SPECIES
from qinglan.emission.frames import REASONS
from qinglan.emission.mobile import Options, build, sectors, tables
from qinglan.ledger.activity import activities
from qinglan.ledger.check import check_rows
from qinglan.ledger.declare import load_ledger
from qinglan.plan.places import load_places
from qinglan.sim import ledgers as sim

CLASS = {
    **{("Trucks", t): f"truck_{t.lower()}" for t in ("Mini", "Light", "Medium", "Heavy")},
    **{("PV", t): f"passenger_{t.lower()}" for t in ("Mini", "Small", "Medium", "Large")},
    ("PV", "Mediumbus"): "passenger_medium",
    ("PV", "Largebus"): "passenger_large",
    ("PV", "Taxi"): "taxi",
    ("PV", "Bus"): "bus",
    ("PV", "Motorcycles"): "motorcycle",
    ("PV", "Moped"): "moped",
    ("PV", "3-Wheel"): "three_wheeler",
    ("Trucks", "Low Speed"): "low_speed_truck",
}
FUEL = {"G": "gasoline", "D": "diesel", "CNG": "natural_gas", "ALL": "other", "G HY": "hybrid", "D HY D": "hybrid"}
STAGE = {s: f"stage{n}" for n, s in enumerate(("PRE", "I", "II", "III", "IV", "V", "VI"))}
NAME = {"CO": "co", "HC": "hc", "NOx": "nox", "PM2.5": "pm2_5", "PM10": "pm10"}


def table(folder: Path, name: str) -> pl.DataFrame:
    path = folder / "vehicle_ef_vein" / f"{name}_china.csv.gz"
    if not path.exists():
        pytest.skip(f"no {path.name} among the real data")
    return pl.read_csv(path).filter(pl.col("POLLUTANT").is_in(list(NAME)))


def road(**changed: object) -> pl.DataFrame:
    row = {
        "source_id": "a", "row_key": "a", "year": 2024, "sector": "road", "fuel": "diesel",
        "technology": "truck_heavy", "amount": 1e6, "unit": "km", **changed,
    }  # fmt: skip
    names = ("stage", "altitude", "speed", "load", "distance", "power", "filter")
    terms = {k: row.pop(k, None) for k in names}
    return pl.DataFrame([{**row, "terms": terms}])


def of(frame: pl.DataFrame, species: str, **options: object) -> float:
    made = build(frame, options=Options(**options)).emissions.filter(pl.col("species") == species)  # type: ignore[arg-type]
    return float(made["emission_t"].item())


def test_every_base_factor_is_the_tables(test_data: Path) -> None:
    ours = {r[:4]: r[4] for r in tables.base().select("class", "fuel", "stage", "species", "value").iter_rows()}
    seen = set()
    for row in table(test_data, "ef").iter_rows(named=True):
        key = CLASS[row["VEH"], row["TYPE"]], FUEL[row["FUEL"]], STAGE[row["STANDARD"]], NAME[row["POLLUTANT"]]
        assert ours[key] == row["EF"], key
        seen.add(key)
    assert seen == set(ours)


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("h", {"H": "altitude"}),
        ("te", {"T10": "cold", "T25": "hot"}),
        ("humidity", {"L50": "dry", "H50": "damp"}),
        ("tehu", {"TH24L50": "hot_dry", "TH24H50": "hot_damp"}),
    ],
)
def test_every_correction_is_the_tables(test_data: Path, name: str, columns: dict[str, str]) -> None:
    ours = {(r["class"], r["fuel"], r["species"]): r for r in tables.corrections().iter_rows(named=True)}
    for row in table(test_data, name).iter_rows(named=True):
        held = ours[CLASS[row["VEH"], row["TYPE"]], FUEL[row["FUEL"]], NAME[row["POLLUTANT"]]]
        assert [held[c] for c in columns.values()] == [row[c] for c in columns]


def test_every_speed_correction_is_the_tables(test_data: Path) -> None:
    ours = {(r["fuel"], r["stage"], r["species"]): r for r in tables.speeds().iter_rows(named=True)}
    for row in table(test_data, "speed").iter_rows(named=True):
        held = ours[FUEL[row["FUEL"]], STAGE[row["STANDARD"]], NAME[row["POLLUTANT"]]]
        assert [held[c] for c in tables.SPEEDS] == [row[c] for c in ("S20", "S20_30", "S30_40", "S40_80", "S80")]


def test_every_correction_of_sulphur_is_the_tables(test_data: Path) -> None:
    ours = {(r["fuel"], r["stage"], r["species"]): r for r in tables.sulphurs().iter_rows(named=True)}
    rows = table(test_data, "sulphur")
    for row in rows.iter_rows(named=True):
        held = ours[FUEL[row["FUEL"]], STAGE[row["STANDARD"]], NAME[row["POLLUTANT"]]]
        assert [held[c] for c in tables.SULPHURS] == [row[f"S{c.split('_')[1]}"] for c in tables.SULPHURS]
    assert rows.height == len(ours)


def test_every_deterioration_of_the_guides_stages_is_the_tables(test_data: Path) -> None:
    """Groups of classes by one member each; vein's China 6 repeats China 5 in other years."""
    member = {"group1": "passenger_small", "group2": "bus", "Taxi": "taxi"}
    ours = {(r["class"], r["stage"], r["species"]): r for r in tables.deteriorations().iter_rows(named=True)}
    for row in table(test_data, "det").filter(pl.col("STANDARD") != "VI").iter_rows(named=True):
        held = ours[member[row["TYPE"]], STAGE[row["STANDARD"]], NAME[row["POLLUTANT"]]]
        assert held[f"in_{row['YEAR']:.0f}"] == row["DET"]


def test_a_heavy_truck_by_hand() -> None:
    """1e6 km x 4.721 g/km = 4.721 t; above 1,500 m x 1.02 (the bound is not above); at 10 mg/kg sulphur x .84."""
    plain = {"sulphur": 350.0}
    assert of(road(stage="stage5", altitude=1500.0), "nox", **plain) == pytest.approx(4.721)
    assert of(road(stage="stage5", altitude=1501.0), "nox", **plain) == pytest.approx(4.721 * 1.02)
    assert of(road(stage="stage5"), "nox") == pytest.approx(4.721 * 1.02 * 0.84)
    assert of(road(stage="stage5", amount=1e3, unit="万km"), "nox", **plain) == pytest.approx(47.21 * 1.02)


def test_petrol_vehicles_wear() -> None:
    """Taxi of China 4, NOx: x 1.67 from 2015 on; before it, and switched off, x 1."""
    taxi = {"technology": "taxi", "fuel": "gasoline", "stage": "stage4"}
    new = of(road(**taxi, year=2014), "nox")
    assert of(road(**taxi, year=2024), "nox") == pytest.approx(new * 1.67)
    assert of(road(**taxi, year=2024), "nox", deterioration="off") == pytest.approx(new)


def test_speed_has_its_classes_and_weather_its_sides() -> None:
    """Petrol CO: 1.69, 1.26, .79, .39, .62 by speed; 1.36 below 10 degC; hot and damp 1.23 x 1.04."""
    car = {"technology": "passenger_small", "fuel": "gasoline", "stage": "stage4", "altitude": 0.0}
    plain = of(road(**car), "co")
    for speed, factor in ((19.9, 1.69), (20, 1.26), (30, 0.79), (40, 0.39), (79.9, 0.39), (80, 0.62)):
        assert of(road(**car, speed=float(speed)), "co") == pytest.approx(plain * factor)
    assert of(road(**car), "co", temperature=5.0) == pytest.approx(plain * 1.36)
    assert of(road(**car), "co", temperature=28.0, humidity=70.0) == pytest.approx(plain * 1.23 * 1.04)


def test_later_stages_of_diesel_trucks_emit_no_more() -> None:
    """At the sulphur of the base factors: the guide's corrections at 10 mg/kg put China 3 above China 2 in CO."""
    for species in ("co", "nox", "pm2_5", "pm10", "nmvoc"):
        line = [of(road(stage=f"stage{n}"), species, sulphur=350.0) for n in range(7)]
        assert line == sorted(line, reverse=True), species


def test_china_6_is_a_named_default() -> None:
    made = build(road(stage="stage6b")).emissions
    assert set(made["method"]) == {"factor_default"}
    by_stage = made.filter(pl.col("species").is_in(["co", "nmvoc", "nox", "pm10", "pm2_5", "bc", "oc"]))
    assert by_stage.height == 7
    assert by_stage["note"].str.contains("China 6").all()
    none = build(road(stage="stage6b"), options=Options(china6="gap"))
    assert none.emissions.is_empty()
    assert none.gaps.height == len(SPECIES)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"stage": None}, "missing_term"),
        ({"stage": "stage9"}, "no_factor"),
        ({"stage": "stage5", "amount": None}, "no_amount"),
        ({"stage": "stage5", "unit": "t"}, "unit_mismatch"),
        ({"stage": "stage5", "technology": "cart"}, "unknown_category"),
        ({"stage": "stage5", "speed": -3.0}, "bad_term"),
    ],
)
def test_what_cannot_be_computed_is_a_gap(changed: dict[str, object], reason: str) -> None:
    made = build(road(**changed))
    assert made.emissions.is_empty()
    assert set(made.gaps["reason"]) == {reason} <= set(REASONS)


def test_every_share_of_carbon_is_the_tables(test_data: Path) -> None:
    """(b) EMEP/EEA's shares as vein digitised them: BC % of PM2.5, OM % of BC; stages that China has."""
    path = test_data / "vehicle_ef_vein" / "bcom.csv.gz"
    if not path.exists():
        pytest.skip(f"no {path.name} among the real data")
    group = {"PC": "car", "LCV": "light", "HDV": "heavy", "Motorcycle": "motorcycle"}
    ours = {r[:3]: r[3:] for r in tables.carbon().select("group", "fuel", "stage", "bc", "om").iter_rows()}
    wanted = {
        (group[r["VEH"]], FUEL[r["FUEL"]], STAGE[r["STANDARD"]]): (r["BC"], r["OM"])
        for r in pl.read_csv(path).filter(pl.col("STANDARD").is_in(list(STAGE))).iter_rows(named=True)
    }
    assert ours == wanted


def test_every_factor_of_evaporation_is_the_tables(test_data: Path) -> None:
    """(b) 11.6 g/h driving and 0.5 g/day parked for every class and stage of petrol vehicles (vein 1.5.0)."""
    path = test_data / "vehicle_ef_vein" / "ef_china.csv.gz"
    if not path.exists():
        pytest.skip(f"no {path.name} among the real data")
    rows = pl.read_csv(path).filter((pl.col("FUEL") == "G") & pl.col("POLLUTANT").str.starts_with("Evap"))
    held = tables.evaporation().row(0, named=True)
    assert rows.height > 400
    for name, value in rows.select("POLLUTANT", "EF").iter_rows():
        assert held[name.removeprefix("Evaporative_")] == value


def test_petrol_evaporates() -> None:
    """(a) MEP 2014 No. 92, E = P (EF1 VKT / v + EF2 d): 1,000 cars x 15,000 km at 30 km/h.

    Driving 1000 x 11.6 x 500 h = 5.8 t; parked 1000 x 0.5 x 365 = 0.1825 t.
    """
    cars = {"technology": "passenger_small", "fuel": "gasoline", "stage": "stage5", "amount": 1.5e7}
    row = road(**cars, speed=30.0, distance=15_000.0)
    assert of(row, "nmvoc") - of(row, "nmvoc", vapour="off") == pytest.approx(5.8 + 0.1825)
    silent = build(road(**cars)).emissions.filter(pl.col("species") == "nmvoc")["note"].item()
    assert "speed of it assumed" in silent
    assert "without that of parking" in silent
    assert of(road(stage="stage5"), "nmvoc") == of(road(stage="stage5"), "nmvoc", vapour="off")  # diesel does not


def test_load_of_diesel_vehicles() -> None:
    """(a) 2014 No. 92: NOx x 0.83 empty, x 1 at 50 %, x 1.43 full; a line between; petrol not."""
    plain = of(road(stage="stage5"), "nox")
    for load, factor in ((0.0, 0.83), (50.0, 1.0), (87.5, (1.21 + 1.43) / 2), (100.0, 1.43), (140.0, 1.43)):
        assert of(road(stage="stage5", load=load), "nox") == pytest.approx(plain * factor)
    assert of(road(stage="stage5", load=100.0), "nox", load="off") == pytest.approx(plain)
    car = {"technology": "passenger_small", "fuel": "gasoline", "stage": "stage5"}
    assert of(road(**car, load=100.0), "nox") == pytest.approx(of(road(**car), "nox"))


def test_species_by_fuel_by_hand() -> None:
    """(a) 1e6 km x 240 g/km = 240 t of diesel: SO2 2 x 10 mg/kg; CO2 74,100 kg/TJ x 43.0 TJ/Gg (IPCC 2006)."""
    truck = road(stage="stage5")
    assert of(truck, "so2") == pytest.approx(240 * 2 * 10e-6)
    assert of(truck, "so2", sulphur=350.0) == pytest.approx(240 * 2 * 350e-6)
    assert of(truck, "co2") == pytest.approx(240 * 74.1 * 43.0 / 1e3)
    assert of(truck, "ch4") == pytest.approx(240 * 3.9e-6 * 43.0)
    assert of(truck, "nh3") == pytest.approx(240 * 0.013e-3)
    assert of(truck, "bc") == pytest.approx(of(truck, "pm2_5") * 0.15)
    assert of(truck, "oc") == pytest.approx(of(truck, "pm2_5") * 0.15 * 3.0 / 1.4)


def test_carbon_is_never_more_than_the_particles() -> None:
    """(c) BC + OM <= PM2.5 for every class, fuel and stage of the tables; CO2 rows equal their own source text."""
    base = tables.base().select("class", "fuel", "stage").unique()
    rows = pl.concat([road(technology=c, fuel=f, stage=s, row_key=f"{c}{f}{s}") for c, f, s in base.iter_rows()])
    wide = build(rows).emissions.pivot("species", index="row_key", values="emission_t").drop_nulls(["bc", "oc"])
    assert wide.height > 60
    assert (wide["bc"] + wide["oc"] * tables.defaults()["om_oc"] <= wide["pm2_5"] * (1 + 1e-12)).all()
    for name in ("co2", "ch4"):
        assert wide[name].null_count() == 0


def test_a_machine_is_held_at_the_limit_of_its_stage() -> None:
    """(a) GB 20891: 200 kW of stage II may emit 6.0 g/kWh of NOx, of stage IV 2.0; stage 0 has the mean 7.87."""
    work = {"sector": "machinery", "technology": "loader", "amount": 1e3, "unit": "kWh", "power": 200.0}
    mean = of(road(**work), "nox")
    assert mean == pytest.approx(32.79 * 0.24 * 1e-3)
    for stage, wanted in (("stage_0", mean), ("stage_1", mean), ("stage_2", 6.0e-3), ("stage_4", 2.0e-3)):
        assert of(road(**work, stage=stage), "nox") == pytest.approx(wanted)
        assert of(road(**work, stage=stage), "nox", machines="mean") == pytest.approx(mean)
    # By fuel, the limit goes through the fuel of an hour's work: 10 t / 0.24 kg/kWh x 2.0 g/kWh.
    fuel = {**work, "amount": 10.0, "unit": "t", "stage": "stage_4"}
    assert of(road(**fuel), "nox") == pytest.approx(10e3 / 0.24 * 2.0e-6)
    # Power at a bound belongs to the band above it; without power there is no band.
    assert of(road(**{**work, "power": 130.0}, stage="stage_4"), "nox") == pytest.approx(2.0e-3)
    assert of(road(**{**work, "power": 129.9}, stage="stage_4"), "nox") == pytest.approx(3.3e-3)
    assert of(road(**{**work, "power": None}, stage="stage_4"), "nox") == pytest.approx(mean)


def test_a_filter_keeps_particles_only() -> None:
    work = {"sector": "machinery", "technology": "loader", "amount": 1e3, "unit": "kWh"}
    kept = 1 - tables.defaults()["filter_removal"]
    for species, share in (("pm2_5", kept), ("pm10", kept), ("nox", 1.0)):
        ratio = of(road(**work, filter="true"), species) / of(road(**work, filter="false"), species)
        assert ratio == pytest.approx(share)


def test_gas_engines_hc_is_no_nmvoc() -> None:
    made = build(road(stage="stage5", fuel="natural_gas"))
    assert "nmvoc" not in set(made.emissions["species"])
    assert "nmvoc" in set(made.gaps["species"])


def test_others_by_hand() -> None:
    """10 t x 32.79 g/kg; 1,000 kWh x .24 kg/kWh x 32.79 g/kg; 10 t x 52.4 g/kg; 100 cycles x 8.3 kg."""
    machine = {"sector": "machinery", "technology": "loader"}
    assert of(road(**machine, amount=10.0, unit="t"), "nox") == pytest.approx(0.3279)
    assert of(road(**machine, amount=1e3, unit="kWh"), "nox") == pytest.approx(0.0078696)
    assert of(road(sector="railway", technology="none", amount=10.0, unit="t"), "nox") == pytest.approx(0.524)
    plane = road(sector="aviation", fuel="flight", technology="none", amount=100.0, unit="次")
    assert of(plane, "nox") == pytest.approx(0.83)


@pytest.mark.parametrize("name", ["vehicles", "nonroad-machines", "locomotives", "airports"])
def test_ledgers_feed_it(name: str) -> None:
    rows = activities_of(load_ledger(name)).filter(sectors())
    made = build(rows)
    assert rows.height
    assert made.emissions.height
    assert set(made.emissions["row_key"]) | set(made.gaps["row_key"]) == set(rows["row_key"])
    assert not set(made.gaps["reason"]) & {"unknown_category", "unit_mismatch"}


@pytest.mark.parametrize("name", ["vehicles", "locomotives", "airports"])
def test_every_simulated_row_is_an_emission_or_a_gap(name: str) -> None:
    """Synthetic truth: each row meets each species once, in one of the two frames."""
    ledger, raw = load_ledger(name), sim.rows(name)
    checked = check_rows(ledger, raw, today=TODAY, places=load_places(), key_region=frozenset(), known={})
    rows = activities(ledger, checked.rows, TODAY).filter(sectors())
    made = build(rows)
    keys = ["source_id", "row_key", "activity", "species"]
    met = pl.concat([made.emissions.select(keys), made.gaps.select(keys)])
    assert rows.height
    assert met.height == rows.height * len(SPECIES) == met.unique().height


def test_parts_sum_to_the_whole_and_20_000_rows_take_little_time() -> None:
    one = road(stage="stage5")
    many = pl.concat([one] * 20_000)
    start = time.perf_counter()
    made = build(many).emissions.filter(pl.col("species") == "nox")
    assert time.perf_counter() - start < 10  # loose: the machine is shared
    assert made["emission_t"].sum() == pytest.approx(of(road(stage="stage5", amount=2e10), "nox"))
