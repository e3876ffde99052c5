"""Factors of raised dust, as 2014 No. 92 and AP-42 give them (fact sheet 7.4).

Constants are in content/factors/dust.csv, coefficients of the equations in dust_forms.yaml, by the names below.
Natural dust is in none of these.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import polars as pl

from qinglan.core.errors import ContentError, UsageError
from qinglan.emission.tables import read_table
from qinglan.emission.units import scale
from qinglan.plan.content import read
from qinglan.plan.schema import CERTAINTIES

SIZES = ("pm10", "pm2_5")
SPEEDS = ("mph", "as_printed")


#: What each equation is made of beside its constants.
COEFFICIENTS: Mapping[str, tuple[str, ...]] = {
    "paved": ("silt_power", "weight_power"),
    "unpaved": ("silt", "speed", "speed_power", "moisture", "moisture_power"),
    "handling": ("scale", "wind", "wind_power", "moisture", "moisture_power"),
    "climate": ("scale", "wind_power", "wetness_power", "rain", "cold", "warm", "coldest"),
    "soil": ("rough", "bare", "narrow_to", "wide_from", "narrow", "middle", "wide"),
    "erosion": ("square", "line", "karman", "height"),
}


@dataclass(frozen=True, slots=True)
class Form:
    """An equation's coefficients by name, where they stand and how sure that is."""

    values: Mapping[str, float]
    source: str
    certainty: str

    def __getitem__(self, name: str) -> float:
        return self.values[name]


@cache
def forms() -> Mapping[str, Form]:
    """The equations of dust_forms.yaml; ContentError lists all that is missing or unknown there."""
    return parse_forms(read("factors", "dust_forms"))


def parse_forms(book: Mapping[str, Any]) -> Mapping[str, Form]:
    """The same of a document, with `sigma` as a form of its own."""
    told = {**book["forms"], "sigma": {**book["sigma"], "values": {"value": book["sigma"]["value"]}}}
    wanted = {**COEFFICIENTS, "sigma": ("value",)}
    problems = [f"forms {sorted(set(told) ^ set(wanted))}: missing or unknown."] if set(told) ^ set(wanted) else []
    for name, form in told.items():
        if set(form["values"]) != set(wanted.get(name, ())):
            problems.append(f"{name}: has {sorted(form['values'])}; wanted {sorted(wanted.get(name, ()))}.")
        if not all(isinstance(v, int | float) for v in form["values"].values()):
            problems.append(f"{name}: a value is no number.")
        if form.get("certainty") not in CERTAINTIES or not form.get("source"):
            problems.append(f"{name}: says no source, or no certainty of {', '.join(CERTAINTIES)}.")
    if problems:
        raise ContentError("factors/dust_forms.yaml", problems)
    return {
        name: Form({k: float(v) for k, v in form["values"].items()}, form["source"], form["certainty"])
        for name, form in told.items()
    }


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


@cache
def told() -> Mapping[tuple[str, str], tuple[str, str]]:
    """Source and certainty of each of :func:`constants`."""
    table = read_table("dust.csv", ("key", "species", "value", "unit", "certainty", "source"))
    return {(row["key"], row["species"]): (row["source"], row["certainty"]) for row in table.rows}


def paved(silt_load: pl.Expr, weight: pl.Expr, k: float) -> pl.Expr:
    """E = k sL^silt_power Wt^weight_power [g/km]: silt load [g/m2], mean mass of vehicles [t]. 2014 No. 92.

    >>> one = pl.select(paved(pl.lit(1.0), pl.lit(2.5), 0.62)).item()
    >>> round(one, 2)
    1.58
    """
    f = forms()["paved"]
    return k * silt_load ** f["silt_power"] * weight ** f["weight_power"]


def unpaved(silt: pl.Expr, speed: pl.Expr, moisture: pl.Expr, k: float, form: str = "mph") -> pl.Expr:
    """E = k (s/silt) (v/speed)^speed_power / (M/moisture)^moisture_power [g/km]: silt [%], km/h, moisture [%].

    form : ``mph`` reads the 30 as miles an hour, as in AP-42 13.2.2, from which k comes (1.8 lb/VMT = 507.4 g/km);
    ``as_printed`` as km/h. UsageError for another.
    """
    if form not in SPEEDS:
        raise UsageError(f"unknown form of speed {form!r}.", remedy=f"Use one of {', '.join(SPEEDS)}.")
    f = forms()["unpaved"]
    reference = f["speed"] * (scale("mile/hour", "km/hour") if form == "mph" else 1.0)
    damp = (moisture / f["moisture"]) ** f["moisture_power"]
    return k * (silt / f["silt"]) * (speed / reference) ** f["speed_power"] / damp


def handling(wind: pl.Expr, moisture: pl.Expr, k: float) -> pl.Expr:
    """E = k scale (u/wind)^wind_power / (M/moisture)^moisture_power [kg/t]: wind [m/s], moisture [%] as it is."""
    f = forms()["handling"]
    damp = (moisture / f["moisture"]) ** f["moisture_power"]
    return k * f["scale"] * (wind / f["wind"]) ** f["wind_power"] / damp


def climate(wind: pl.Expr, rain: pl.Expr, temperature: pl.Expr) -> pl.Expr:
    """C = scale u^3/PE^2, PE = rain p/(cold + warm T): wind [m/s], rain [mm a year], temperature [C]."""
    f = forms()["climate"]
    wetness = f["rain"] * rain / (f["cold"] + f["warm"] * temperature)
    return f["scale"] * wind ** f["wind_power"] / wetness ** f["wetness_power"]


def soil(erodibility: pl.Expr, width: pl.Expr, climate_factor: pl.Expr, k: float) -> pl.Expr:
    """E = k Iwe rough L bare C [t/ha a year], L by the unsheltered width [m]: narrow, middle, wide."""
    f = forms()["soil"]
    short, middling = width <= f["narrow_to"], width < f["wide_from"]
    length = pl.when(short).then(f["narrow"]).when(middling).then(f["middle"]).otherwise(f["wide"])
    return k * erodibility * f["rough"] * length * f["bare"] * climate_factor


def erosion(gust: pl.Expr, threshold: pl.Expr, roughness: float, k: float) -> pl.Expr:
    """E = k P [g/m2 a disturbance], P = square d^2 + line d, d = u* - ut*; gust [m/s] at 10 m. AP-42 13.2.5."""
    f = forms()["erosion"]
    above = (f["karman"] * gust / math.log(f["height"] / roughness) - threshold).clip(0.0)
    return k * (f["square"] * above**2 + f["line"] * above)
