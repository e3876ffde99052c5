"""What the pages of the hourly forecast show: all stations at some hours, one station hour by hour."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from qinglan.core.clock import CST
from qinglan.core.errors import NotFound, UnknownName
from qinglan.core.names import HOURLY_ITEMS
from qinglan.flow import series
from qinglan.flow.forecasts import hourly, hourly_checking, reading
from qinglan.flow.memory import Memory
from qinglan.flow.views import forecast as days
from qinglan.flow.views import making
from qinglan.flow.views.result import Result, Row, Workspace, current

#: Leads of the table of all stations [h].
LEADS = (1, 3, 6, 12, 24, 36, 48, 60, 72)
#: Observed hours before a fan.
BEFORE = 48
_FORECASTS = 2


def newest(workspace: Workspace) -> reading.Forecast | None:
    """The newest forecast of hours, None when none was made."""
    try:
        return hourly.newest(workspace)
    except NotFound:
        return None


def clock(end: datetime) -> datetime:
    """An end of an hour on the official clock, without its zone."""
    return end.astimezone(CST).replace(tzinfo=None)


@dataclass(frozen=True, slots=True)
class Stations:
    """The newest forecast: `ends` of the hours shown, rows of stations with `cells` at them (None: nothing)."""

    forecast: reading.Forecast
    ends: tuple[datetime, ...]
    rows: list[Row]
    worst: Row | None


def overview(found: reading.Forecast, result: Result | None) -> Stations:
    """Stations in the order of their places. `worst` is the likeliest highest hourly AQI of the next day."""
    index = hourly.read(found).aqi
    ends = tuple(found.made_at + timedelta(hours=n) for n in LEADS)
    said = {(row["station"], row["lead_hour"]): row for row in index.iter_rows(named=True)}
    known = _register(result)
    rows = [
        {**known.get(code, _nameless(code)), "cells": [said.get((code, lead)) for lead in LEADS]}
        for code in found.about["stations"]
    ]
    rows.sort(key=lambda row: (row["place"], row["station"]))
    day = index.filter(pl.col("lead_hour") <= 24).sort("q50", descending=True, maintain_order=True)
    worst = None
    if day.height:
        top = day.row(0, named=True)
        worst = {**known.get(top["station"], _nameless(top["station"])), **top, "clock": clock(top["time"])}
    return Stations(found, tuple(clock(end) for end in ends), rows, worst)


def _register(result: Result | None) -> dict[str, Row]:
    if result is None:
        return {}
    return {
        row["station"]: {"station": row["station"], "name": row["name"], "place": row["place"],
                         "where": days.named(row["place"])}
        for row in making.stations(result)
    }  # fmt: skip


def _nameless(code: str) -> Row:
    return {"station": code, "name": code, "place": "", "where": None}


@dataclass(frozen=True, slots=True)
class Station:
    """One station of a forecast. hours : AQI by hour, `clock` beside `time`. values : item to rows by hour."""

    forecast: reading.Forecast
    station: Row
    hours: list[Row]
    values: dict[str, list[Row]]


def station(found: reading.Forecast, result: Result | None, code: str) -> Station:
    """What a forecast says of a station; UnknownName for one that it does not know."""
    if code not in found.about["stations"]:
        raise UnknownName("station of the forecast", code, found.about["stations"])
    said = hourly.read(found, [code])
    values: dict[str, list[Row]] = {}
    for row in said.values.drop_nulls("q50").sort("time").iter_rows(named=True):
        values.setdefault(row["item"], []).append({**row, "clock": clock(row["time"])})
    hours = [{**row, "clock": clock(row["time"])} for row in said.aqi.sort("time").iter_rows(named=True)]
    return Station(found, _register(result).get(code, _nameless(code)), hours, values)


def observed(
    workspace: Workspace, result: Result | None, found: reading.Forecast, code: str, item: str
) -> list[Row]:
    """`day` (the official clock) and `observed`: hours before a forecast, and its own as they have come."""
    if item not in HOURLY_ITEMS:
        raise UnknownName("item", item, HOURLY_ITEMS)
    if result is None:
        return []
    end = datetime.fromisoformat(found.about["hours"][-1])
    start = found.made_at - timedelta(hours=BEFORE - 1)
    try:
        part = series.open_series(workspace, result.folder).between(code, start, end)
    except (NotFound, UnknownName):
        return []
    return [
        {"day": clock(time.item().replace(tzinfo=UTC)), "observed": None if np.isnan(value) else float(value)}
        for time, value in zip(part.time, part.values[item], strict=True)
    ]


_kept = Memory[hourly_checking.CheckedHours](_FORECASTS)


def checked(workspace: Workspace) -> hourly_checking.CheckedHours | None:
    """How forecasts of hours came out; None while no hour has come."""
    try:
        names = tuple(found.id for found in hourly.forecasts(workspace)[: hourly_checking.MOST])
        return _kept.get(
            (workspace.home, names, current(workspace).key), lambda: hourly_checking.verify(workspace)
        )
    except NotFound:
        return None
