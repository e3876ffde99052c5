"""Equations of T/CSES 144-2024, one small function each, over numbers, NumPy arrays or Polars expressions alike.

Numbers of the guide (how much sulphur stays in the ash, kilograms an hour from a leaking valve) are arguments:
they come from content/standards/tcses144.yaml and content/factors. Powers of ten come from the units
(:func:`qinglan.emission.units.tonnes`). Where the printed formula does not give a mass, the function is the one
that does, and its docstring says so; the proofs are in docs/explanation/inventory-equations.md.

Shares and efficiencies are fractions of 1, but sulphur and ash of coal are in %, as every laboratory reports them.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from qinglan.emission.units import scale, tonnes

Vector = NDArray[np.float64]
N = TypeVar("N", float, Vector, pl.Expr)


def effective(removal: N, running: N | float = 1.0, capture: N | float = 1.0) -> N:
    """Share that a device keeps from the air: what it removes x time it runs x what reaches it, fractions of 1.

    Source: T/CSES 144-2024 clause 5, eta = removal x running rate (投运率); for VOC x capture gamma (收集效率).

    >>> round(effective(0.8, 0.95), 12)
    0.76
    """
    return removal * running * capture


def in_series(first: N, second: N) -> N:
    """Effective share of two devices one behind the other: what passes the first meets the second.

    >>> round(in_series(0.57, 0.945), 5)
    0.97635
    """
    return 1.0 - (1.0 - first) * (1.0 - second)


def controlled(uncontrolled: N, kept: N | float = 0.0) -> N:
    """E = E0 (1 - eta): what is emitted of `uncontrolled` [t] when the share `kept` is held back. [t]

    Source: T/CSES 144-2024, E = A EF (1 - eta).
    """
    return uncontrolled * (1.0 - kept)


def by_factor(amount: N, factor: N | float, unit: N | float) -> N:
    """E0 = A EF [t], before control. `unit` is :func:`units.emitted` of the units of both.

    Source: T/CSES 144-2024, E = A EF (1 - eta).

    >>> by_factor(10_000.0, 5.47, 1e-3)  # 10,000 t of coal in a pulverised-coal boiler, NOx
    54.7
    """
    return amount * factor * unit


def pm10_kept(pm10: N, pm2_5: N, kept_fine: N, kept_coarse: N) -> N:
    """Share of PM10 held back by a device whose efficiency is told for PM2.5 and for 2.5-10 um apart.

    pm10, pm2_5 : factors before control, of one unit. Source: columns of T/CSES 144-2024 table A.1.

    >>> round(pm10_kept(0.23, 0.06, 0.93, 0.98), 4)
    0.967
    """
    return (pm2_5 * kept_fine + (pm10 - pm2_5) * kept_coarse) / pm10


def cems(concentration: N, flow: N, hours: N | float = 1.0) -> N:
    """E = C Q T [t]: concentration [mg/m3] and flow [m3/h] of one state (dry, measured oxygen), hours [h].

    Source: T/CSES 144-2024 eq. (1). The print has 10^-6, which gives kilograms; tonnes need 10^-9.

    >>> cems(50.0, 1_000_000.0, 8_000.0)
    400.0
    """
    return concentration * flow * hours * tonnes("mg/m3 * m3/h * h")


def cems_day(concentration: Vector, flow: Vector, hours_min: int) -> float:
    """E_d = 24/n sum(C_i Q_i) [t] of a day from its valid hours; NaN with fewer than `hours_min` of them.

    concentration [mg/m3], flow [m3/h] : shape (hours of the day,), NaN where an hour is not valid.
    Source: T/CSES 144-2024, daily emission by CEMS, n >= 18 (fact sheet 7.2, 5).
    """
    hourly = cems(concentration, flow)
    valid = np.isfinite(hourly)
    n = int(valid.sum())
    return float(len(hourly) / n * hourly[valid].sum()) if n >= hours_min else float("nan")


def so2_factor(sulphur: N, retained: N | float, conversion: float) -> N:
    """EF = conversion S (1 - sr) [kg/t]: sulphur as received S [%], share left in the ash sr, SO2 made of sulphur.

    Source: T/CSES 144-2024, EF = 2 S (1 - sr); with S in % and EF in kg/t this is 20 S (1 - sr).

    >>> round(so2_factor(0.8, 0.15, 2.0), 12)
    13.6
    """
    return sulphur * (1.0 - retained) * conversion * scale("%", "kg/t")


def pm_factor(ash: N, to_bottom: N | float, fraction: N | float) -> N:
    """EF = A (1 - ar) f [kg/t]: ash as received A [%], share to bottom ash ar, share f of a size in fly ash.

    Source: T/CSES 144-2024, EF_PM = Aar (1 - ar) f_PM, tables C.1 and C.2.

    >>> round(pm_factor(25.0, 0.25, 0.06), 12)
    11.25
    """
    return ash * (1.0 - to_bottom) * fraction * scale("%", "kg/t")


def carbon_factor(pm2_5: N, fraction: N | float) -> N:
    """EF of BC or OC: its share of PM2.5, in the unit of `pm2_5`. Source: T/CSES 144-2024 table C.3."""
    return pm2_5 * fraction


def sinter_so2(ore: N, ore_sulphur: N, fuel: N, fuel_sulphur: N, conversion: float) -> N:
    """E0 = (M S + M' S') 1.7 [t], before control: ore and solid fuel [t] with their sulphur [%].

    `conversion` is 1.7: 2 t of SO2 from each tonne of sulphur, of which 85 % leaves with the gas.
    Source: T/CSES 144-2024, sinter; fact sheet 7.2, 6.

    >>> round(sinter_so2(1_000_000.0, 0.05, 50_000.0, 0.6, 1.7), 9)
    1360.0
    """
    return (ore * ore_sulphur + fuel * fuel_sulphur) * conversion * tonnes("t * %")


def solvent(used: N, content: N, recovered: N | float = 0.0) -> N:
    """E0 = W I - R [t], before control: material W [t], VOC in it I [kg/t], VOC taken back or in waste R [t].

    Source: T/CSES 144-2024, solvent use, sum of W I (1 - eta s gamma) 10^-3.

    >>> solvent(120.0, 600.0)
    72.0
    """
    return used * content * tonnes("t * kg/t") - recovered


def tanks(turnover: N, working: N, count: N, standing: N) -> N:
    """E0 = k1 Q + n k2 [t]: turnover Q [t], working loss k1 [kg/t], tanks n, standing loss k2 [kg/tank, a year].

    Source: T/CSES 144-2024, tanks, sum of (k1 Q + n k2)(1 - eta gamma s) 10^-3.

    >>> tanks(50_000.0, 0.1, 4.0, 1_500.0)
    11.0
    """
    return turnover * working * tonnes("t * kg/t") + count * standing * tonnes("tank * kg/tank")


def components(count: N, factor: N | float, hours: N) -> N:
    """E = N EF T [t]: sealing points N, factor [kg/h each], hours under organic fluid in the year T [h].

    Source: T/CSES 144-2024 eq. (16). Eq. (14) prints t/8760 instead: the hours fall out, and what is left is a
    mass an hour; the function is eq. (16).

    >>> round(components(2_000.0, 0.00403, 8_000.0), 9)
    64.48
    """
    return count * factor * hours * tonnes("component * kg/h/component * h")


def leaks(leaking: N, repaired: N, factor: float, hours: N) -> N:
    """E = EF (N_leak - N_repaired) T [t]: reachable points that LDAR found leaking and that were not mended.

    `factor` [kg/h each] is 0.275. Source: T/CSES 144-2024 eq. (15).

    >>> round(leaks(30.0, 24.0, 0.275, 8_000.0), 9)
    13.2
    """
    return components(leaking - repaired, factor, hours)


def water(volume: N, factor: N | float) -> N:
    """E = V EF [t]: circulating cooling water or waste water V [m3], factor [kg/m3].

    Source: T/CSES 144-2024, cooling water and waste water, fact sheet 7.2, 7.

    >>> round(water(1_000_000.0, 1.24e-3), 9)
    1.24
    """
    return volume * factor * tonnes("m3 * kg/m3")


def loading(volume: N, factor: N | float) -> N:
    """E0 = V EF [t]: liquid loaded V [m3], factor [kg/m3] by liquid and way of loading (T/CSES 144-2024)."""
    return water(volume, factor)


def flare(burnt: N, efficiency: N | float) -> N:
    """E = M (1 - eta) [t]: organic compounds sent to the flare M [t]. T/CSES 144-2024: eta of a flare is 80 %.

    >>> round(flare(250.0, 0.8), 9)
    50.0
    """
    return controlled(burnt, efficiency)
