"""Units against the ideal gas: 24.465 L/mol at 298.15 K and 1013.25 hPa, 22.414 L/mol at 273.15 K (CODATA)."""

from __future__ import annotations

import pytest

from qinglan.connect.units import State, factor, known_units
from qinglan.core.errors import UsageError

NORMAL = State(298.15, 1013.25)


def test_molar_volumes_of_the_two_usual_states():
    assert NORMAL.molar_volume == pytest.approx(24.465, abs=5e-4)
    assert State(273.15, 1013.25).molar_volume == pytest.approx(22.414, abs=5e-4)


@pytest.mark.parametrize(
    ("item", "unit", "expected"),
    [
        ("pm10", "µg/m³", 1.0),
        ("pm10", "μg/m3", 1.0),
        ("pm10", "mg/m³", 1000.0),
        ("co", "mg/m3", 1.0),
        ("co", "µg/m³", 0.001),
    ],
)
def test_mass_concentrations(item, unit, expected):
    assert factor(item, unit) == (pytest.approx(expected), 0.0)


@pytest.mark.parametrize(
    ("item", "unit", "expected"),
    [("o3", "ppb", 2.00), ("no2", "ppb", 1.91), ("so2", "ppb", 2.66), ("co", "ppm", 1.16)],
)
def test_mixing_ratios_at_20_degrees_are_those_of_eu_reporting(item, unit, expected):
    """Conversion factors at 293 K and 101.3 kPa in Directive 2008/50/EC practice (UK-AIR, two decimals)."""
    assert factor(item, unit, State(293.0, 1013.0))[0] == pytest.approx(expected, abs=0.006)


def test_a_mixing_ratio_without_a_state_is_refused():
    with pytest.raises(UsageError, match="o3 in ppb needs the state of the gas"):
        factor("o3", "ppb")


@pytest.mark.parametrize(("item", "unit"), [("pm10", "ppb"), ("o3", "furlong"), ("temperature", "µg/m³")])
def test_a_unit_that_does_not_fit_lists_those_that_do(item, unit):
    with pytest.raises(UsageError, match=f"does not fit {item}") as error:
        factor(item, unit, NORMAL)
    assert all(u in error.value.remedy for u in known_units(item))


def test_weather_units():
    assert factor("temperature", "K") == (1.0, -273.15)
    assert factor("pressure", "Pa") == (0.01, 0.0)
    a, b = factor("temperature", "°F")
    assert 212 * a + b == pytest.approx(100)
