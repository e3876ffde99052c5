"""Reference states: physics and round trips; the audit finds what was put in and is quiet on clean series."""

from __future__ import annotations

from datetime import date

import ibis
import numpy as np
import pytest

from qinglan.air import reference_state as rs
from qinglan.core.errors import UsageError
from qinglan.plan.rules import load_book

OLD, NEW = rs.State(273.15, 1013.25), rs.State(298.15, 1013.25)
DAYS = np.arange(np.datetime64("2023-01-01"), np.datetime64("2025-01-01"))


def test_factor_of_2018_is_that_of_the_fact_sheet():
    # standards.md 1.2: C(298.15 K) = C(273.15 K) x 273.15/298.15.
    assert rs.factor(OLD, NEW) == pytest.approx(273.15 / 298.15)
    assert rs.convert(100.0, OLD, NEW) == pytest.approx(91.615, abs=0.001)


def test_conversion_goes_back_to_where_it_came_from():
    here = rs.State.actual(altitude=3700)
    values = np.array([0.0, 12.3, np.nan])
    back = rs.convert(rs.convert(values, OLD, here), here, OLD)
    np.testing.assert_allclose(back, values, rtol=1e-14)


def test_standard_atmosphere_at_tabulated_altitudes():
    # ISO 2533:1975 (geopotential altitude): 794.95 hPa, 275.15 K at 2,000 m; 616.40 hPa, 262.15 K at 4,000 m.
    for altitude, pressure, temperature in ((2000, 794.95, 275.15), (4000, 616.40, 262.15)):
        assert rs.standard_pressure(altitude) == pytest.approx(pressure, abs=0.05)
        assert rs.standard_temperature(altitude) == pytest.approx(temperature)
    with pytest.raises(UsageError, match=r"altitude 22600 m is outside"):
        rs.standard_pressure(22600)


def test_expression_and_scalar_agree():
    table = ibis.memtable({"pm10": [100.0], "temperature": [5.0], "pressure": [770.0]})
    expression = table.pm10 * rs.actual_factor(table.temperature, table.pressure, OLD)
    scalar = rs.convert(100.0, OLD, rs.State.actual(pressure=770.0, celsius=5.0))
    assert expression.execute()[0] == pytest.approx(scalar, rel=1e-14)


def test_the_rule_book_decides_by_date():
    before, after = load_book("gb3095", date(2018, 8, 31)), load_book("gb3095", date(2018, 9, 1))
    here = rs.State.actual(altitude=2260)
    assert rs.reported_state("so2", before, here) == OLD
    assert rs.reported_state("so2", after, here) == NEW
    assert rs.reported_state("pm10", before, here) == OLD
    assert rs.reported_state("pm10", after, here) == here
    assert rs.between_books("so2", before, after, here) == pytest.approx(0.9161, abs=1e-4)
    # At 2,260 m the actual state holds about a quarter less air than the standard state.
    assert 0.73 < rs.between_books("pm10", before, after, here) < 0.78


def test_states_that_are_no_outdoor_air_are_refused():
    with pytest.raises(UsageError, match=r"25 K, 101.325 hPa is not outdoor air.*kPa x 10"):
        rs.State(25, 101.325)
    with pytest.raises(UsageError, match="needs the altitude"):
        rs.State.actual(pressure=770)


def city(seed: int, item_level: float = 40.0, spread: float = 0.12) -> dict[str, np.ndarray]:
    """Six stations of one city: shared weather, own noise, own season against the others."""
    rng = np.random.default_rng(seed)
    shared = np.cumsum(rng.normal(0, 0.2, DAYS.size))
    shared -= np.convolve(shared, np.ones(61) / 61, "same")
    out = {}
    for k in range(6):
        own = rng.normal(0, spread, DAYS.size) + 0.03 * np.sin(2 * np.pi * (np.arange(DAYS.size) / 365 + k / 6))
        values = item_level * (0.8 + 0.08 * k) * np.exp(shared + own)
        values[rng.random(DAYS.size) < 0.03] = np.nan
        out[f"s{k}"] = values
    return out


def candidates(items: tuple[str, ...], altitude: float = 2260) -> dict[str, dict[str, dict[str, float]]]:
    return {i: {f"s{k}": rs.explanations(i, altitude, OLD, NEW) for k in range(6)} for i in items}


@pytest.mark.parametrize(
    ("item", "station", "name"),
    [("no2", "s2", "gas_old_state"), ("no2", "s4", "gas_new_state"), ("pm10", "s1", "particle_reference")],
)
def test_a_series_left_in_the_wrong_state_is_found(item: str, station: str, name: str):
    series = city(4)
    factor = candidates((item,))[item][station][name]
    wrong = slice(200, 400)
    series[station] = series[station].copy()
    series[station][wrong] *= factor
    found = rs.audit(DAYS, {item: series}, candidates((item,)))
    assert found
    first = found[0]
    assert (first.station, first.item, first.explanation) == (station, item, name)
    assert first.factor == pytest.approx(factor, rel=0.04)
    # A step of 9 % in noisy weeks is placed within weeks, one of 30 % within days.
    near = 14 if item == "pm10" else 45
    assert abs((np.datetime64(first.start) - DAYS[200]).astype(int)) <= near
    assert abs((np.datetime64(first.end) - DAYS[399]).astype(int)) <= near
    assert first.confidence > 0.4
    assert {s.station for s in found} == {station}


def test_clean_series_raise_no_cry():
    for seed in range(12):
        assert rs.audit(DAYS, {"no2": city(seed)}, candidates(("no2",))) == []


def test_items_that_share_a_state_speak_together():
    items = ("so2", "no2", "co")
    series = {i: city(20 + k, spread=0.30) for k, i in enumerate(items)}
    for i in items:
        series[i]["s3"] = series[i]["s3"].copy()
        series[i]["s3"][300:480] *= rs.factor(NEW, OLD)
    found = rs.audit(DAYS, series, candidates(items))
    assert any(s.item == "so2,no2,co" and s.station == "s3" for s in found)


def test_what_the_noise_hides_is_stated():
    quiet, loud = (np.random.default_rng(1).normal(0, s, DAYS.size) for s in (0.05, 0.6))
    assert rs.least_detectable(quiet, 120) < rs.factor(NEW, OLD)
    assert rs.least_detectable(loud, 90) > rs.factor(NEW, OLD)


def test_levels_finds_the_partner_left_at_the_reference_state():
    here = rs.State.actual(altitude=2260)
    means = {"a": 60.0, "b": 60.0 * rs.factor(here, OLD), "c": 61.0}
    altitudes = dict.fromkeys(means, 2260.0)
    found = rs.levels(means, altitudes, [("a", "b"), ("a", "c")])
    assert [(high, low) for high, low, *_ in found] == [("b", "a")]
