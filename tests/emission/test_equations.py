"""Every equation against an example worked by hand, and its dimension proved with Pint.

Sources: T/CSES 144-2024 as in the fact sheet 7.2 (clause in each case); the arithmetic stands beside the case.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np
import polars as pl
import pytest

from qinglan.emission import equations
from qinglan.emission.units import UnitMismatch, emitted, registry, scale, tonnes
from qinglan.plan.rules import load_book

BOOK = load_book("tcses144", date(2024, 12, 31))
SULPHUR = BOOK.number("so2.per_sulphur")

#: equation, arguments, result, how it was worked
WORKED: list[tuple[Callable[..., Any], tuple[float, ...], float, str]] = [
    (equations.cems, (35.0, 800_000.0, 7_000.0), 196.0, "eq. 1: 35 mg x 8e5 x 7e3 = 1.96e11 mg"),
    (equations.by_factor, (10_000.0, 5.47, emitted("t", "g/kg")), 54.7, "1e7 kg x 5.47 g = 5.47e7 g"),
    (equations.by_factor, (300.0, 2.09, emitted("万m3", "g/m3")), 6.27, "3e6 m3 x 2.09 g = 6.27e6 g"),
    (equations.controlled, (54.7, 0.64), 19.692, "E = A EF (1 - eta): 54.7 x 0.36"),
    (equations.effective, (0.8, 0.95), 0.76, "eta = removal x running"),
    (equations.effective, (0.85, 0.9, 0.4), 0.306, "VOC: eta s gamma = 0.85 x 0.9 x 0.4"),
    (equations.in_series, (0.57, 0.945), 0.97635, "1 - 0.43 x 0.055"),
    (equations.so2_factor, (1.2, 0.15, SULPHUR), 20.4, "20 x 1.2 x 0.85"),
    (equations.pm_factor, (25.0, 0.25, 0.06), 11.25, "10 x 25 x 0.75 x 0.06, PM2.5 of a PF boiler"),
    (equations.pm_factor, (25.0, 0.85, 0.33), 12.375, "10 x 25 x 0.15 x 0.33, PM10 of a grate"),
    (equations.carbon_factor, (2.625, 0.2), 0.525, "BC of a grate: 10 x 25 x 0.15 x 0.07 x 0.2"),
    (equations.pm10_kept, (0.23, 0.06, 0.945, 0.95), 0.94869565217, "(0.06 x 0.945 + 0.17 x 0.95)/0.23"),
    (equations.sinter_so2, (1e6, 0.05, 5e4, 0.6, 1.7), 1360.0, "(500 + 300) x 1.7"),
    (equations.solvent, (120.0, 600.0, 10.0), 62.0, "120 t x 0.6 - 10"),
    (equations.tanks, (50_000.0, 0.1, 4.0, 1_500.0), 11.0, "5 t of turnover + 4 x 1.5 t standing"),
    (equations.components, (2_000.0, 0.00403, 8_000.0), 64.48, "eq. 16: 2000 x 0.00403 x 8000 = 64,480 kg"),
    (equations.leaks, (30.0, 24.0, BOOK.number("leak.factor"), 8_000.0), 13.2, "eq. 15: 6 x 0.275 x 8000 kg"),
    (equations.water, (1e6, 1.24e-3), 1.24, "cooling water: 1e6 x 0.00124 kg"),
    (equations.water, (2e5, 0.42), 84.0, "waste water, primary: 2e5 x 0.42 kg"),
    (equations.loading, (10_000.0, 1.624), 16.24, "gasoline: 1e4 x 1.624 kg"),
    (equations.flare, (250.0, BOOK.number("flare.efficiency") / 100), 50.0, "250 x 0.2"),
]


def identify(case: tuple[Callable[..., Any], tuple[float, ...], float, str]) -> str:
    return f"{case[0].__name__}: {case[3]}"


@pytest.mark.parametrize("case", WORKED, ids=identify)
def test_worked_by_hand(case: tuple[Callable[..., Any], tuple[float, ...], float, str]) -> None:
    equation, arguments, expected, _ = case
    assert equation(*arguments) == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("case", WORKED, ids=identify)
def test_the_same_over_arrays_and_expressions(
    case: tuple[Callable[..., Any], tuple[float, ...], float, str],
) -> None:
    """One definition serves a number, a NumPy array and a Polars column."""
    equation, arguments, expected, _ = case
    if equation in (equations.by_factor,):
        columns, rest = arguments[:2], arguments[2:]
    elif equation in (equations.so2_factor, equations.sinter_so2):
        columns, rest = arguments[:-1], arguments[-1:]
    elif equation is equations.leaks:
        leaking, repaired, factor, hours = arguments
        by_array = equation(np.full(3, leaking), np.full(3, repaired), factor, np.full(3, hours))
        assert by_array == pytest.approx(np.full(3, expected))
        return
    else:
        columns, rest = arguments, ()
    by_array = equation(*[np.full(3, a) for a in columns], *rest)
    assert by_array == pytest.approx(np.full(3, expected), rel=1e-11)
    frame = pl.DataFrame({f"x{i}": [a, a] for i, a in enumerate(columns)})
    by_column = frame.select(y=equation(*[pl.col(f"x{i}") for i in range(len(columns))], *rest))["y"]
    assert by_column.to_list() == pytest.approx([expected, expected], rel=1e-11)


#: What each equation multiplies, with the units its docstring promises: (form, units, arguments, equation)
FORMS: list[tuple[str, Callable[..., Any], list[tuple[float, str]], Callable[..., Any]]] = [
    ("cems", lambda c, q, t: c * q * t, [(35.0, "mg/m3"), (8e5, "m3/h"), (7e3, "h")], equations.cems),
    ("solvent", lambda w, i, r: w * i - r, [(120.0, "t"), (600.0, "kg/t"), (10.0, "t")], equations.solvent),
    (
        "tanks",
        lambda q, k1, n, k2: k1 * q + n * k2,
        [(5e4, "t"), (0.1, "kg/t"), (4.0, "tank"), (1500.0, "kg/tank")],
        equations.tanks,
    ),
    (
        "components",
        lambda n, f, t: n * f * t,
        [(2e3, "component"), (0.00403, "kg/h/component"), (8e3, "h")],
        equations.components,
    ),
    (
        "leaks",
        lambda n, m, f, t: (n - m) * f * t,
        [(30.0, "component"), (24.0, "component"), (0.275, "kg/h/component"), (8e3, "h")],
        equations.leaks,
    ),
    ("water", lambda v, f: v * f, [(1e6, "m3"), (1.24e-3, "kg/m3")], equations.water),
    (
        "sinter",
        lambda m, s, f, u, k: (m * s + f * u) * k,
        [(1e6, "t"), (0.05, "%"), (5e4, "t"), (0.6, "%"), (1.7, "1")],
        equations.sinter_so2,
    ),
    ("flare", lambda m, e: m * (1 - e), [(250.0, "t"), (0.8, "1")], equations.flare),
]


@pytest.mark.parametrize(("name", "form", "arguments", "equation"), FORMS, ids=[f[0] for f in FORMS])
def test_result_is_a_mass_and_the_power_of_ten_is_right(
    name: str, form: Callable[..., Any], arguments: list[tuple[float, str]], equation: Callable[..., Any]
) -> None:
    """Pint multiplies the quantities with their units and turns the product into tonnes."""
    units = registry()
    mass = form(*[value * units(unit) if unit != "1" else value for value, unit in arguments])
    assert mass.check("[mass]"), name
    assert equation(*[value for value, _ in arguments]) == pytest.approx(mass.to("t").magnitude, rel=1e-12)


def test_factors_of_coal_are_mass_for_mass() -> None:
    """20 S (1 - sr): a share in % times 2 is kg/t. The 20 of the guide is 2 x (1 % in kg/t)."""
    units = registry()
    assert (1.2 * units("%") * SULPHUR * 0.85).to("kg/t").magnitude == pytest.approx(20.4)
    assert SULPHUR * scale("%", "kg/t") == 20.0


def test_printed_cems_formula_gives_kilograms() -> None:
    """Eq. (1) prints C Q T x 10^-6 as tonnes: that number is the same mass in kilograms."""
    assert scale("mg/m3 * m3/h * h", "kg") == 1e-6
    assert tonnes("mg/m3 * m3/h * h") == 1e-9


def test_printed_formula_of_components_is_no_mass() -> None:
    """Eq. (14) has t/8760 for the hours: what is left is a mass an hour; eq. (16) is a mass."""
    with pytest.raises(UnitMismatch, match="is not a 't'"):
        tonnes("component * kg/h/component * h/h")
    assert tonnes("component * kg/h/component * h") == 1e-3


@pytest.mark.parametrize(
    ("amount", "factor", "expected"),
    [
        ("t", "g/kg", 1e-3),
        ("万t", "kg/t", 10.0),
        ("万m³", "g/m3", 1e-2),
        ("头", "kg/头", 1e-3),
        ("TJ", "t/TJ", 1.0),
    ],
)
def test_an_amount_meets_its_factor(amount: str, factor: str, expected: float) -> None:
    assert emitted(amount, factor) == expected


@pytest.mark.parametrize(("amount", "factor"), [("t", "g/m3"), ("m3", "kg/t"), ("头", "kg/辆"), ("t", "kg/t/h")])
def test_a_factor_of_another_dimension_is_refused(amount: str, factor: str) -> None:
    with pytest.raises(UnitMismatch, match="fits the factor"):
        emitted(amount, factor)


def test_an_unknown_unit_is_named() -> None:
    with pytest.raises(UnitMismatch, match="斛"):
        emitted("斛", "kg/t")


def test_a_day_counts_from_eighteen_valid_hours() -> None:
    """E_d = 24/n sum(C Q), n >= 18: 20 valid hours of 100 mg/m3 x 10,000 m3/h are 24 kg; 17 are no day."""
    needed = int(BOOK.number("cems.valid_hours_min"))
    concentration, flow = np.full(24, 100.0), np.full(24, 10_000.0)
    concentration[:4] = np.nan
    assert equations.cems_day(concentration, flow, needed) == pytest.approx(0.024)
    concentration[:6] = np.nan
    assert equations.cems_day(concentration, flow, needed) == pytest.approx(0.024)
    concentration[:7] = np.nan
    assert np.isnan(equations.cems_day(concentration, flow, needed))
