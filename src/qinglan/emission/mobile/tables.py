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
