"""Area sources against hand-worked values of 2014 No. 92 and AP-42, and simulated ledgers without a loss."""

from __future__ import annotations

from functools import cache

import polars as pl
import pytest
from tests.ledger.rows import TODAY, checked

from qinglan.core.errors import LayoutError, UsageError
from qinglan.emission.area import build, dust, sectors
from qinglan.emission.frames import REASONS
from qinglan.ledger.activity import activities
from qinglan.ledger.declare import load_ledger
from qinglan.sim import ledgers as simulated

LEDGERS = (
    *("bare-land", "construction-sites", "fertiliser", "fire-points", "livestock"),
    *("roads", "stockpiles", "straw-use", "waste-incineration"),
)
WEATHER = pl.DataFrame(
    {
        "place": ["630104"],
        "rain_days": [73.0],
        "wind": [2.2],
        "gust": [20.0],
        "rain": [400.0],
        "temperature": [6.0],
    }
)


def row(sector: str, fuel: str, technology: str, amount: float, unit: str, **terms: object) -> pl.DataFrame:
    place = {"source_id": "s", "ledger": "t", "row_key": "1", "activity": "a", "place": "630104", "year": 2025}
    kind = {"sector": sector, "fuel": fuel, "technology": technology, "amount": amount, "unit": unit}
    return pl.DataFrame([{**place, **kind, "terms": terms or {"none": None}}])


def tonnes(activity: pl.DataFrame, **options: object) -> dict[str, float]:
    made = build(activity, weather=WEATHER, **options)  # type: ignore[arg-type]
    assert made.gaps.is_empty(), made.gaps
    return dict(made.emissions.select("species", "emission_t").iter_rows())


@cache
def simulated_rows(name: str) -> pl.DataFrame:
    ledger = load_ledger(name)
    return activities(ledger, checked(ledger, simulated.rows(name, size=60)).rows, TODAY)


def test_paved_road_of_the_fact_sheet() -> None:
    """sL 1, Wt 2.5: 1.58 and 0.382 g/km; a million km with 73 of 365 days wet leaves 0.8 of it."""
    made = tonnes(row("road_dust", "none", "paved", 1e6, "km", silt_load=1.0, weight=2.5))
    assert made == pytest.approx({"pm10": 1.263, "pm2_5": 0.3056}, rel=2e-3)


def test_sweeping_holds_fine_and_coarse_back_apart() -> None:
    """T/CSES 144-2024 table A.1: vacuum 22 and 27 %."""
    bare = tonnes(row("road_dust", "none", "paved", 1e6, "km", silt_load=1.0, weight=2.5))
    kept = tonnes(row("road_dust", "none", "paved", 1e6, "km", silt_load=1.0, weight=2.5, control="road_vacuum"))
    assert kept["pm2_5"] == pytest.approx(0.78 * bare["pm2_5"])
    coarse = bare["pm10"] - bare["pm2_5"]
    assert kept["pm10"] == pytest.approx(0.78 * bare["pm2_5"] + 0.73 * coarse)


def test_unpaved_road_at_its_reference_is_its_constant() -> None:
    """s 12 %, M 0.5 %, 30 mph: k itself; as printed the same speed gives sqrt(1.609) of it."""
    road = row("road_dust", "none", "unpaved", 1e6, "km", silt_share=12.0, moisture=0.5, speed=48.28032)
    assert tonnes(road)["pm10"] == pytest.approx(507.42 * 0.8)
    assert tonnes(road, speed="as_printed")["pm10"] == pytest.approx(507.42 * 0.8 * 1.609344**0.5)
    with pytest.raises(UsageError):
        build(road, weather=WEATHER, speed="knots")


def test_a_building_site() -> None:
    """1 ha for 10 months: 2.69e-4 x 1e4 x 10 = 26.9 t TSP, 13.181 t PM10, 2.69 t PM2.5."""
    made = tonnes(row("construction_dust", "none", "housing", 10_000.0, "m2", months=10.0))
    assert made == pytest.approx({"pm10": 13.181, "pm2_5": 2.69})


def test_handling_at_the_reference_wind_and_moisture() -> None:
    """AP-42 13.2.4 at 2.2 m/s and M 2 %: 0.35 x 0.0016 kg/t; M read as a fraction would give 631 times as much."""
    made = tonnes(row("stockpile_dust", "none", "handling", 1e6, "t", moisture=2.0))
    assert made == pytest.approx({"pm10": 0.56, "pm2_5": 0.0848})


def test_bare_soil_by_hand() -> None:
    """PE = 1.099 x 400 / (0.5949 + 0.1189 x 6) = 336.009; C = 0.504 x 2.2^3 / PE^2; 0.3 x 193 x 0.5 x 0.7 t/ha."""
    made = tonnes(row("soil_dust", "bare_land", "wind_erosion", 10_000.0, "m2", soil="clay", width=100.0))
    climate = 0.504 * 10.648 / 336.009**2
    assert made["pm10"] == pytest.approx(0.3 * 193 * 0.5 * 0.7 * climate, rel=1e-4)


def test_wind_erodes_a_pile_above_the_threshold_only() -> None:
    """u* = 0.4 x 20 / ln 50 = 2.045; d = 0.925 above coal's 1.12; P = 58 d^2 + 25 d = 72.75 g/m2."""
    pile = row("stockpile_dust", "none", "wind_erosion", 1e4, "m2", material="coal", disturbances=10.0)
    assert tonnes(pile)["pm10"] == pytest.approx(0.5 * 72.75e-6 * 10 * 1e4, rel=2e-3)
    calm = build(pile, weather=WEATHER.with_columns(gust=pl.lit(5.0))).emissions
    assert calm["emission_t"].to_list() == [0.0, 0.0]


def test_burnt_grass_is_its_dry_matter() -> None:
    """T/CSES 144-2024 A = area D 0.8: 1 km2 x 0.15 kg/m2 x 0.8 = 120 t burnt; CO 63 g/kg."""
    assert tonnes(row("grassland_fire", "grassland", "none", 1e6, "m2"))["co"] == pytest.approx(7.56)
    assert tonnes(row("grassland_fire", "grassland", "none", 100.0, "公顷"))["co"] == pytest.approx(7.56, rel=1e-6)


def test_a_yak_and_a_tonne_of_wheat_straw() -> None:
    """IPCC 2006 tier 1: 47 + 1 kg CH4 a head; fact sheet 7.3: wheat PM2.5 7.58 g/kg."""
    assert tonnes(row("livestock", "yak", "grazing", 1000.0, "头"))["ch4"] == pytest.approx(48.0)
    assert tonnes(row("straw_burning", "wheat_straw", "none", 1000.0, "t"))["pm2_5"] == pytest.approx(7.58)


def test_no_weather_is_a_gap_and_frost_has_no_index() -> None:
    land = row("soil_dust", "bare_land", "wind_erosion", 1e4, "m2", soil="clay", width=100.0)
    bare = build(land).gaps
    assert bare["reason"].to_list() == ["missing_term"]
    assert bare["detail"].to_list() == ["wind, rain, temperature"]
    cold = build(land, weather=WEATHER.with_columns(temperature=pl.lit(-6.0))).gaps
    assert cold["detail"].to_list() == ["temperature"]
    with pytest.raises(LayoutError):
        build(land, weather=pl.concat([WEATHER, WEATHER]))


def test_a_wrong_unit_is_a_gap() -> None:
    assert (
        build(row("construction_dust", "none", "housing", 1.0, "t", months=1.0)).gaps["reason"][0]
        == "unit_mismatch"
    )


@pytest.mark.parametrize("name", LEDGERS)
def test_every_simulated_row_comes_out(name: str) -> None:
    rows = simulated_rows(name)
    assert rows.filter(~sectors()).is_empty()
    made = build(rows)
    met = set(made.emissions["row_key"]) | set(made.gaps["row_key"])
    assert met == set(rows["row_key"])
    assert set(made.gaps["reason"]) <= set(REASONS) - {"unknown_category", "unit_mismatch", "unknown_control"}


def test_constants_are_of_both_sizes() -> None:
    assert dust.constants()["paved.k", "pm10"] > dust.constants()["paved.k", "pm2_5"]
