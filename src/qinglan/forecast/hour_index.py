"""The hourly AQI that a forecast of hours says, level by level of probability.

At each level of probability the six pollutants stand at that quantile of their own: they are taken to rise and
fall together, so ranges are rather too wide than too narrow. Sliding means, where the rule of the valid hour asks
for them, begin with the hours that were observed.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import ibis
import polars as pl

from qinglan.air.aqi import hourly_aqi
from qinglan.core.clock import day_and_hour
from qinglan.core.names import HOURLY_ITEMS
from qinglan.core.rulebook import Rules
from qinglan.forecast.air_index import QUANTILES

#: Hours before the first forecast that a sliding mean may reach back to.
BEFORE = 24


def hour_index(observed: pl.DataFrame, said: pl.DataFrame, rules: Callable[[date], Rules]) -> pl.DataFrame:
    """AQI of each station and hour at each level of probability.

    Parameters
    ----------
    observed : `station`, `time` (UTC end of the hour) and the six items of the hours before [µg/m³; CO mg/m³]
    said : `station`, `time`, `lead_hour`, `item` and the quantiles q05 ... q95
    rules : the rules of a statistical day

    Returns
    -------
    frame: `station, time, lead_hour, q05 ... q95` of AQI, `level`, `primary` (of the median), `edition`
    """
    parts = []
    for column in QUANTILES:
        wide = said.pivot("item", index=["station", "time", "lead_hour"], values=column)
        both = pl.concat([observed.with_columns(lead_hour=pl.lit(None, pl.Int64)), wide], how="diagonal_relaxed")
        parts.append(both.with_columns(key=pl.col("station") + f" {column}"))
    rows = pl.concat(parts, how="diagonal_relaxed")
    for item in set(HOURLY_ITEMS) - set(rows.columns):
        rows = rows.with_columns(pl.lit(None, pl.Float64).alias(item))
    label = pl.col("time").dt.convert_time_zone("Asia/Shanghai").dt.replace_time_zone(None) - pl.duration(hours=1)
    rows = rows.with_columns(day=label.dt.date(), hour=label.dt.hour().cast(pl.Int64) + 1)
    ends = rows["time"].max()
    assert ends is not None
    last = day_and_hour(ends)[0]  # type: ignore[arg-type]
    first = day_and_hour(said["time"].min())[0]  # type: ignore[arg-type]
    found: list[pl.DataFrame] = []
    con = ibis.duckdb.connect()
    for day in (first + timedelta(days=n) for n in range((last - first).days + 1)):
        near = rows.filter(pl.col("day").is_between(day - timedelta(days=1), day))
        judged = hourly_aqi(
            ibis.memtable(near.select("key", "time", "day", "hour", *HOURLY_ITEMS)), rules(day), key="key"
        )
        told = pl.from_arrow(
            con.to_pyarrow(judged.select("key", "time", "aqi", "level", "primary_pollutant", "edition"))
        )
        assert isinstance(told, pl.DataFrame)
        found.append(told.join(near.filter(day=day).drop_nulls("lead_hour"), on=["key", "time"], how="inner"))
    whole = pl.concat(found).with_columns(column=pl.col("key").str.split(" ").list.last())
    keys = ["station", "time", "lead_hour"]
    median = whole.filter(column="q50").select(*keys, "level", "edition", primary="primary_pollutant")
    wide = whole.pivot("column", index=keys, values="aqi").select(*keys, *QUANTILES)
    return wide.join(median, on=keys).drop_nulls("q50").sort("station", "time")
