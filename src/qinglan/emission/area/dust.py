"""Factors of raised dust, as 2014 No. 92 and AP-42 give them (fact sheet 7.4); constants are in dust.csv.

Natural dust is in none of these.
"""

from __future__ import annotations

import math
from functools import cache

import polars as pl

from qinglan.core.errors import UsageError
from qinglan.emission.tables import read_table
from qinglan.emission.units import scale

SIZES = ("pm10", "pm2_5")
SPEEDS = ("mph", "as_printed")


@cache
def constants() -> dict[tuple[str, str], float]:
    """Constants by key and species ("" where sizes do not differ); ContentError lists the faults of dust.csv."""
    table = read_table("dust.csv", ("key", "species", "value", "unit", "certainty", "source"))
    found = {}
    for row in table.rows:
        table.told(row)
        found[row["key"], row["species"]] = table.number(row, "value") or 0.0
    table.unique(lambda row: (row["key"], row["species"]), "key and species")
    table.close()
    return found


def paved(silt_load: pl.Expr, weight: pl.Expr, k: float) -> pl.Expr:
    """E = k sL^0.91 Wt^1.02 [g/km]: silt load [g/m2], mean mass of vehicles [t]. 2014 No. 92.

    >>> one = pl.select(paved(pl.lit(1.0), pl.lit(2.5), 0.62)).item()
    >>> round(one, 2)
    1.58
    """
    return k * silt_load**0.91 * weight**1.02


def unpaved(silt: pl.Expr, speed: pl.Expr, moisture: pl.Expr, k: float, form: str = "mph") -> pl.Expr:
    """E = k (s/12) (v/30)^0.5 / (M/0.5)^0.2 [g/km]: silt [%], speed [km/h], moisture [%].

    form : ``mph`` reads the 30 as miles an hour, as in AP-42 13.2.2, from which k comes (1.8 lb/VMT = 507.4 g/km);
    ``as_printed`` as km/h. UsageError for another.
    """
    if form not in SPEEDS:
        raise UsageError(f"unknown form of speed {form!r}.", remedy=f"Use one of {', '.join(SPEEDS)}.")
    reference = 30.0 * (scale("mile/hour", "km/hour") if form == "mph" else 1.0)
    return k * (silt / 12.0) * (speed / reference) ** 0.5 / (moisture / 0.5) ** 0.2


def handling(wind: pl.Expr, moisture: pl.Expr, k: float) -> pl.Expr:
    """E = k 0.0016 (u/2.2)^1.3 / (M/2)^1.4 [kg/t]: wind [m/s], moisture [%] as it is (AP-42 13.2.4)."""
    return k * 0.0016 * (wind / 2.2) ** 1.3 / (moisture / 2.0) ** 1.4


def climate(wind: pl.Expr, rain: pl.Expr, temperature: pl.Expr) -> pl.Expr:
    """C = 0.504 u^3/PE^2, PE = 1.099 p/(0.5949 + 0.1189 T): wind [m/s], rain [mm a year], temperature [C]."""
    wetness = 1.099 * rain / (0.5949 + 0.1189 * temperature)
    return 0.504 * wind**3 / wetness**2


def soil(erodibility: pl.Expr, width: pl.Expr, climate_factor: pl.Expr, k: float) -> pl.Expr:
    """E = k Iwe f L V C [t/ha a year], f 0.5, V 1 (bare), L by the unsheltered width [m]: 0.7, 0.85, 1."""
    length = pl.when(width <= 300).then(0.7).when(width < 600).then(0.85).otherwise(1.0)
    return k * erodibility * 0.5 * length * climate_factor


def erosion(gust: pl.Expr, threshold: pl.Expr, roughness: float, k: float) -> pl.Expr:
    """E = k P [g/m2 a disturbance], P = 58 d^2 + 25 d, d = u* - ut*; gust [m/s] at 10 m. AP-42 13.2.5."""
    above = (0.4 * gust / math.log(10.0 / roughness) - threshold).clip(0.0)
    return k * (58.0 * above**2 + 25.0 * above)
