"""A city's hours for patterns and roses: the mean of its counted stations, and the wind of one of its own."""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qinglan.air import patterns, rose
from qinglan.air.city import point_means
from qinglan.core.clock import HOUR, from_day_and_hour
from qinglan.core.errors import NotFound
from qinglan.core.names import HOURLY_ITEMS
from qinglan.flow.views import making
from qinglan.flow.views import station as stations
from qinglan.flow.views.patterns import Key, panel_of
from qinglan.flow.views.result import Result, Row, Workspace
from qinglan.plan.rules import load_book

PANELS = ("hour", "week")


def counted(result: Result, code: str) -> list[Row]:
    """Stations that enter the mean of a place: ambient ones of it, its background points left out."""
    rows = making.stations(result)
    return [r for r in rows if r["place"] == code and r["kind"] == "ambient" and not r["control_point"]]


def window(workspace: Workspace, result: Result, code: str, first: date, last: date) -> stations.Window | None:
    """The hours of these days up to the run's newest hour; None for a place without hours of its own."""
    newest = stations.newest(workspace, result)
    start = from_day_and_hour(first, 1) - HOUR
    if newest is None or newest <= start or not any(
        stations.windows(workspace, result, row["station"]) for row in counted(result, code)
    ):  # fmt: skip
        return None
    return stations.Window(f"{first:%Y}-{last:%Y}", start, min(newest, from_day_and_hour(last, 24)))


@lru_cache(maxsize=24)
def _kept(workspace: Any, view: Key) -> stations.Grid:
    rows = [r for r in counted(view.result, view.code) if stations.windows(workspace, view.result, r["station"])]
    parts = [stations.grid(workspace, view.result, row["station"], view.span) for row in rows]
    time = parts[0].time
    serving = np.stack([_serving(row, time) for row in counted(view.result, view.code)])
    book = load_book("hj663", view.span.last)
    known = {row["station"]: k for k, row in enumerate(rows)}
    silent = np.full(len(time), np.nan)
    values = {}
    for item in HOURLY_ITEMS:
        lines = [
            parts[known[r["station"]]].values[item] if r["station"] in known else silent
            for r in counted(view.result, view.code)
        ]  # fmt: skip
        values[item] = point_means(np.stack(lines), serving, book)
    return stations.Grid(time, values)


def _serving(row: Row, time: NDArray[np.datetime64]) -> NDArray[np.bool_]:
    """Whether a station is registered in each hour (by its statistical day)."""
    day = (time + np.timedelta64(7, "h")).astype("datetime64[D]")
    made = np.ones(len(time), dtype=bool)
    if row["valid_from"]:
        made &= day >= np.datetime64(row["valid_from"], "D")
    if row["valid_to"]:
        made &= day <= np.datetime64(row["valid_to"], "D")
    return made


def panel(
    workspace: Workspace, result: Result, code: str, span: stations.Window, name: str, item: str
) -> patterns.Means:
    """Variation of a place's hourly means by hour of the day (``hour``) or hour of the week (``week``)."""
    opened: Any = workspace
    return panel_of(_kept(opened, Key(result, code, span)), name, item)


def roses(
    workspace: Workspace, result: Result, code: str, span: stations.Window, item: str | None = None
) -> tuple[rose.Rose, stations.Wind] | None:
    """Wind rose (with an item: pollution rose of the place's means), and whose wind it is; None without weather.

    Of the place's stations the one with the most hours of wind speaks for it: winds of a valley are not averaged.
    """
    opened: Any = workspace
    key = Key(result, code, span)
    hours, wind = _kept(opened, key), _wind(opened, key)
    if wind is None:
        return None
    if item is None:
        return rose.wind_rose(wind.direction, wind.speed), wind
    return rose.pollution_rose(wind.direction, wind.speed, hours.values[item]), wind


@lru_cache(maxsize=24)
def _wind(workspace: Any, view: Key) -> stations.Wind | None:
    hours = _kept(workspace, view)
    own = [row["station"] for row in making.stations(view.result) if row["place"] == view.code]
    found = [stations.wind(workspace, view.result, name, hours) for name in own]
    winds = [w for w in found if w is not None]
    return min(winds, key=lambda w: (w.distance, -int((~np.isnan(w.speed)).sum()), w.station), default=None)


def no_hours(code: str) -> NotFound:
    """What is said of a place of which the run holds no hours."""
    return NotFound(f"the run holds no hours of {code}.", remedy="Load hours of its stations, then run again.")
