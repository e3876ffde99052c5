"""Factors and corrections of mobile sources as frames, read from content/factors."""

from __future__ import annotations

from functools import cache

import polars as pl

from qinglan.emission.categories import SPECIES, categories
from qinglan.emission.tables import read_table

#: What the road guide gives; its HC is the inventory's NMVOC by an option.
GUIDE = ("co", "hc", "nox", "pm2_5", "pm10")
#: Corrections by class and fuel, and classes of mean speed [km/h].
WEATHER = ("cold", "hot", "dry", "damp", "hot_dry", "hot_damp")
SPEEDS = ("below_20", "from_20", "from_30", "from_40", "from_80")
#: Corrections by sulphur of the fuel up to so many mg/kg, and of petrol vehicles by year.
SULPHURS = ("to_10", "to_50", "to_150", "to_350", "to_500", "to_800")
YEARS = ("in_2015", "in_2016", "in_2017", "in_2018")
_TOLD = ("certainty", "source")
#: Columns of the tables that :func:`told` reads.
_HEADS = {
    "vehicle_base.csv": ("class", "fuel", "stage", *GUIDE, "unit", "valid_from", *_TOLD),
    "vehicle_fuel.csv": ("class", "fuel", "value", "group", "unit", *_TOLD),
    "vehicle_by_fuel.csv": ("group", "fuel", "species", "value", "unit", *_TOLD),
    "vehicle_carbon.csv": ("group", "fuel", "stage", "bc", "om", "unit", *_TOLD),
    "vehicle_evaporation.csv": ("fuel", "kind", "value", "unit", *_TOLD),
    "transport_factors.csv": ("sector", "fuel", "species", "value", "unit", "valid_from", *_TOLD),
    "transport_defaults.csv": ("key", "value", "unit", *_TOLD),
    "vehicle_corrections.csv": ("class", "fuel", "species", "altitude", *WEATHER, *_TOLD),
    "vehicle_speed.csv": ("fuel", "stage", "species", *SPEEDS, *_TOLD),
    "vehicle_sulphur.csv": ("fuel", "stage", "species", *SULPHURS, *_TOLD),
    "vehicle_deterioration.csv": ("class", "fuel", "stage", "species", *YEARS, *_TOLD),
    "vehicle_load.csv": ("fuel", "load", *GUIDE, *_TOLD),
    "machine_limits.csv": ("stage", "from_power", "below_power", "hc", "nox", "pm", "unit", *_TOLD),
}


def _frame(name: str, keys: tuple[str, ...], numbers: tuple[str, ...], texts: tuple[str, ...]) -> pl.DataFrame:
    """A table whose rows are told apart by `keys`; ContentError lists its faults."""
    table = read_table(name, (*keys, *numbers, *texts))
    rows: list[dict[str, object]] = []
    for row in table.rows:
        table.told(row)
        if "species" in keys:
            table.among(row, "species", (*SPECIES, *GUIDE))
        if "class" in keys:
            table.among(row, "class", categories().technologies)
        values = {number: table.number(row, number) for number in numbers}
        rows.append({**{key: row[key] for key in (*keys, *texts)}, **values})
    table.unique(lambda row: tuple(row[key] for key in keys), "key")
    table.close()
    schema = {**dict.fromkeys((*keys, *texts), pl.String), **dict.fromkeys(numbers, pl.Float64)}
    return pl.DataFrame(rows, schema=schema)


@cache
def told(name: str, *keys: str) -> tuple[tuple[tuple[str, ...], tuple[str, str]], ...]:
    """Of each row of a table its cells of some columns, and its source and certainty."""
    rows = read_table(name, _HEADS[name]).rows
    return tuple((tuple(row[key] for key in keys), (row["source"], row["certainty"])) for row in rows)


@cache
def base() -> pl.DataFrame:
    """class, fuel, stage, species, value, unit, certainty: base factors of vehicles [g/km], one row for each."""
    texts = ("unit", "valid_from", *_TOLD)
    wide = _frame("vehicle_base.csv", ("class", "fuel", "stage"), GUIDE, texts)
    keys = ["class", "fuel", "stage", "unit", "certainty"]
    return wide.unpivot(GUIDE, index=keys, variable_name="species").drop_nulls("value")


@cache
def corrections() -> pl.DataFrame:
    """class, fuel, species, altitude and the weather's corrections [1]."""
    return _frame("vehicle_corrections.csv", ("class", "fuel", "species"), ("altitude", *WEATHER), _TOLD).drop(
        _TOLD
    )


@cache
def speeds() -> pl.DataFrame:
    """fuel, stage, species and the corrections [1] of five classes of mean speed."""
    return _frame("vehicle_speed.csv", ("fuel", "stage", "species"), SPEEDS, _TOLD).drop(_TOLD)


@cache
def sulphurs() -> pl.DataFrame:
    """fuel, stage, species and the corrections [1] by sulphur of the fuel."""
    return _frame("vehicle_sulphur.csv", ("fuel", "stage", "species"), SULPHURS, _TOLD).drop(_TOLD)


@cache
def deteriorations() -> pl.DataFrame:
    """class, fuel, stage, species and the corrections [1] of the years that the guide gives."""
    keys = ("class", "fuel", "stage", "species")
    return _frame("vehicle_deterioration.csv", keys, YEARS, _TOLD).drop(_TOLD)


@cache
def others() -> pl.DataFrame:
    """sector, fuel, species, value, unit, certainty: factors of what is no road vehicle."""
    texts = ("unit", "valid_from", *_TOLD)
    told = _frame("transport_factors.csv", ("sector", "fuel", "species"), ("value",), texts)
    farm = told.filter(pl.col("sector") == "machinery").with_columns(sector=pl.lit("farm_machinery"))
    return pl.concat([told, farm]).drop("valid_from", "source")


@cache
def fuel_use() -> pl.DataFrame:
    """class, fuel, group, value: fuel used by distance [g/km], and the group of classes that shares shares."""
    texts = ("group", "unit", *_TOLD)
    return _frame("vehicle_fuel.csv", ("class", "fuel"), ("value",), texts).drop("unit", *_TOLD)


@cache
def by_fuel() -> pl.DataFrame:
    """group, fuel, species, value, unit: factors of vehicles by fuel used [g/kg]."""
    return _frame("vehicle_by_fuel.csv", ("group", "fuel", "species"), ("value",), ("unit", *_TOLD)).drop(_TOLD)


@cache
def carbon() -> pl.DataFrame:
    """group, fuel, stage, bc [% of exhaust PM2.5], om [% of BC]."""
    keys = ("group", "fuel", "stage")
    return _frame("vehicle_carbon.csv", keys, ("bc", "om"), ("unit", *_TOLD)).drop("unit", *_TOLD)


@cache
def evaporation() -> pl.DataFrame:
    """fuel, driving [g/h], parking [g/day]: petrol that evaporates of a vehicle."""
    long = _frame("vehicle_evaporation.csv", ("fuel", "kind"), ("value",), ("unit", *_TOLD))
    return long.pivot("kind", index="fuel", values="value")


@cache
def loads() -> pl.DataFrame:
    """fuel, load [%], species and the correction [1] at that load."""
    wide = _frame("vehicle_load.csv", ("fuel", "load"), GUIDE, _TOLD)
    long = wide.unpivot(GUIDE, index=("fuel", "load"), variable_name="species")
    return long.with_columns(pl.col("load").cast(pl.Float64)).sort("fuel", "species", "load")


@cache
def machine_limits() -> pl.DataFrame:
    """stage, from_power, below_power [kW], species, limit [g/kWh]: what a stage lets an engine emit at most."""
    texts = ("unit", *_TOLD)
    wide = _frame("machine_limits.csv", ("stage", "from_power", "below_power"), ("hc", "nox", "pm"), texts)
    bounds = wide.with_columns(
        pl.col("from_power").cast(pl.Float64),
        pl.col("below_power").cast(pl.Float64, strict=False).fill_null(float("inf")),
    )
    named = bounds.with_columns(nmvoc="hc", pm10="pm", pm2_5="pm")
    keys = ("stage", "from_power", "below_power")
    return named.unpivot(
        ("nmvoc", "nox", "pm10", "pm2_5"), index=keys, variable_name="species", value_name="limit"
    )


@cache
def defaults() -> dict[str, float]:
    """Values that a row may lack, and bounds of the guide, by name.

    >>> defaults()["altitude_threshold"]
    1500.0
    """
    frame = _frame("transport_defaults.csv", ("key",), ("value",), ("unit", *_TOLD))
    return dict(frame.select("key", "value").iter_rows())


@cache
def default_units() -> dict[str, str]:
    """Units of :func:`defaults`."""
    frame = _frame("transport_defaults.csv", ("key",), ("value",), ("unit", *_TOLD))
    return dict(frame.select("key", "unit").iter_rows())
