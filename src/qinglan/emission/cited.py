"""Sources of factors that are made of several tables: vehicles, machines, locomotives, aircraft, raised dust.

Each is cited by the id that :mod:`qinglan.emission.mobile` and :mod:`qinglan.emission.area` give their factors;
of several parts the least certain counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import polars as pl

from qinglan.emission.area import dust
from qinglan.emission.mobile import tables
from qinglan.plan.schema import CERTAINTIES

#: What an equation of raised dust takes of the constants: those of a size, those of all sizes, those of a choice.
_OF_DUST = {
    "road_dust.paved": ("paved", ("paved.k",), ()),
    "road_dust.unpaved": ("unpaved", ("unpaved.k",), ()),
    "construction_dust.housing": ("", ("construction.part",), ("construction.tsp",)),
    "construction_dust.demolition": ("", ("construction.part",), ("construction.tsp",)),
    "construction_dust.road_building": ("", ("construction.part",), ("construction.tsp",)),
    "soil_dust.wind_erosion": ("soil", ("soil.k",), ("soil.erodibility.",)),
    "stockpile_dust.handling": ("handling", ("handling.k",), ()),
    "stockpile_dust.wind_erosion": ("erosion", ("erosion.k",), ("erosion.threshold.", "erosion.roughness")),
}  # fmt: skip
_Row = tuple[str, str, str]


@cache
def cited() -> pl.DataFrame:
    """factor_id, cited_source, cited_certainty: every factor that is made of several tables."""
    rows = [*_dust(), *_vehicles(), *_by_fuel(), *_carbon(), *_engines()]
    columns = ("factor_id", "cited_source", "cited_certainty")
    return pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String), orient="row")


@cache
def corrected() -> tuple[str, str]:
    """Source and certainty of the corrections of exhaust: altitude, weather, speed, sulphur, age, load."""
    names = ("corrections", "speed", "sulphur", "deterioration", "load")
    return _joined(source for name in names for _, source in tables.told(f"vehicle_{name}.csv"))


def _joined(parts: Iterable[tuple[str, str]]) -> tuple[str, str]:
    """Sources one after another, each once, and the least certainty."""
    known = list(dict.fromkeys(parts))
    sources = "; ".join(dict.fromkeys(source for source, _ in known))
    return sources, max((certainty for _, certainty in known), key=CERTAINTIES.index)


def _dust() -> Iterable[_Row]:
    known, forms = dust.told(), dust.forms()
    for activity, (form, sized, whole) in _OF_DUST.items():
        used = ["soil", "climate"] if form == "soil" else [form] if form else []
        for size in dust.SIZES:
            parts = [known[key, size] for key in sized]
            parts += [told for (key, _), told in known.items() if key.startswith(whole or ("-",))]
            parts += [(forms[name].source, forms[name].certainty) for name in used]
            yield (f"dust.{activity}.{size}", *_joined(parts))


def _vehicles() -> Iterable[_Row]:
    """Exhaust by distance. A class without factors of its own for gas has those of "other fuels"."""
    vapour = list(tables.told("vehicle_evaporation.csv", "fuel"))
    for (name, fuel, stage), source in tables.told("vehicle_base.csv", "class", "fuel", "stage"):
        for species in tables.GUIDE:
            more = [s for (of,), s in vapour if of == fuel and species == "hc"]
            for meant in (fuel, "natural_gas", "lpg") if fuel == "other" else (fuel,):
                yield (f"road.{name}.{meant}.{stage}.{species}", *_joined([source, *more]))


def _by_fuel() -> Iterable[_Row]:
    """Fuel used by distance times a factor by fuel; of SO2 the sulphur of the fuel, twice."""
    by = list(tables.told("vehicle_by_fuel.csv", "group", "fuel", "species"))
    sulphur = next(source for (key,), source in tables.told("transport_defaults.csv", "key") if key == "sulphur")
    for (name, fuel, group), used in tables.told("vehicle_fuel.csv", "class", "fuel", "group"):
        for (of, burnt, species), source in by:
            if (of, burnt) == (group, fuel):
                yield (f"road.fuel.{name}.{fuel}.{species}", *_joined([source, used]))
        yield (f"road.fuel.{name}.{fuel}.so2", *_joined([sulphur, used]))


def _carbon() -> Iterable[_Row]:
    """Shares of the exhaust's PM2.5; the exhaust's own source stands with its PM2.5."""
    for (group, fuel, stage), source in tables.told("vehicle_carbon.csv", "group", "fuel", "stage"):
        for species in ("bc", "oc"):
            yield (f"road.carbon.{group}.{fuel}.{stage}.{species}", *source)


def _engines() -> Iterable[_Row]:
    """Machines, locomotives and aircraft; an engine held at the limit of its stage has that in its id."""
    limits: dict[str, list[tuple[str, str]]] = {}
    for (stage,), source in tables.told("machine_limits.csv", "stage"):
        limits.setdefault(stage, []).append(source)
    for (sector, fuel, species), source in tables.told("transport_factors.csv", "sector", "fuel", "species"):
        for meant in (sector, "farm_machinery") if sector == "machinery" else (sector,):
            yield (f"{meant}.{fuel}.{species}", *source)
            for stage, parts in limits.items() if sector == "machinery" else ():
                yield (f"{meant}.{fuel}.{species}.{stage}", *_joined([source, *parts]))
