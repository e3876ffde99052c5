"""Index of values given by hand: the calculator behind `qinglan aqi`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import ibis

from qinglan.air.aqi import daily_aqi, hourly_aqi
from qinglan.core.clock import from_day_and_hour
from qinglan.core.errors import UnknownName, UsageError
from qinglan.core.names import DAILY_ITEMS, HOURLY_ITEMS
from qinglan.plan.rules import rules_on


def index_of(
    values: Mapping[str, float],
    on: date,
    *,
    hourly: bool = False,
    options: Mapping[str, Mapping[str, str]] | None = None,
) -> dict[str, Any]:
    """AQI, level, primary pollutants and single indices of concentrations, by the edition in force on a date.

    values : item to concentration [µg/m³; CO mg/m³]; daily items, or hourly ones with `hourly`.
    """
    items = HOURLY_ITEMS if hourly else DAILY_ITEMS
    if not values:
        raise UsageError("no concentration was given.", remedy=f"Give some of {', '.join(items)}.")
    for name, value in values.items():
        if name not in items:
            raise UnknownName("item", name, items)
        if value < 0:
            raise UsageError(f"{name} is {value}: a concentration is not negative.")
    rules = rules_on(on, options)
    row: dict[str, Any] = {"place": "-", "day": on, "hour": 1, "time": from_day_and_hour(on, 1), "o3_1h": None}
    schema = {"place": "string", "day": "date", "hour": "int8", "time": "timestamp('UTC')", "o3_1h": "float64"}
    for item in items:
        row[item] = values.get(item)
        schema[item] = "float64"
    table = ibis.memtable({name: [value] for name, value in row.items()}, schema=schema)
    judged = hourly_aqi(table, rules, key="place") if hourly else daily_aqi(table, rules)
    found: dict[str, Any] = ibis.duckdb.connect().to_pyarrow(judged).to_pylist()[0]
    level = next((r for r in rules.aqi.get("levels").value if r["level"] == found["level"]), None)
    return {**{k: v for k, v in found.items() if k not in ("place", "time", "hour")}, "meaning": level}
