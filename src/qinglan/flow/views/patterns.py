"""Patterns, roses, statistics and capture of a station's hours and a place's days: :mod:`qinglan.air` on a run."""

from __future__ import annotations

from datetime import date, datetime
from functools import lru_cache
from typing import Any

import numpy as np

from qinglan.air import patterns, rose
from qinglan.core.clock import Period, day_and_hour
from qinglan.core.errors import UnknownName
from qinglan.core.names import DAILY_ITEMS, HOURLY_ITEMS
from qinglan.flow.views import station as stations
from qinglan.flow.views.places import evaluation, leading, leading_statistics, place_days
from qinglan.flow.views.result import Result, Row, Workspace

PANELS = ("hour", "weekday", "month", "week")
#: The bootstrap of a page starts here, so that the same run always shows the same bounds.
SEED = 20240628


def known_item(item: str, items: tuple[str, ...] = HOURLY_ITEMS) -> str:
    """The item itself; UnknownName with the known ones."""
    if item not in items:
        raise UnknownName("item", item, items)
    return item


class Key:
    """A station's or place's window of a run, compared by what it names: a run itself cannot be hashed."""

    def __init__(self, result: Result, code: str, span: stations.Window) -> None:
        self.result, self.code, self.span = result, code, span

    def _said(self) -> tuple[str, str, stations.Window]:
        return (self.result.key, self.code, self.span)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and self._said() == other._said()

    def __hash__(self) -> int:
        return hash(self._said())


@lru_cache(maxsize=256)
def _panel(workspace: Any, view: Key, name: str, item: str) -> patterns.Means:
    return panel_of(stations.grid(workspace, view.result, view.code, view.span), name, item)


def panel_of(hours: stations.Grid, name: str, item: str) -> patterns.Means:
    """One panel of the variation of hours: hour, weekday, month or week."""
    at = patterns.clock(hours.time)
    rng = np.random.default_rng(SEED)
    if name == "week":
        return patterns.means(at.weekday * 24 + at.hour - 1, hours.values[item], range(7 * 24), rng)
    keys = {"hour": patterns.HOURS, "weekday": patterns.WEEKDAYS, "month": patterns.MONTHS}[name]
    return patterns.means(getattr(at, name), hours.values[item], keys, rng)


def panel(
    workspace: Workspace, result: Result, code: str, span: stations.Window, name: str, item: str
) -> patterns.Means:
    """One panel of a station's variation in a window: hour, weekday, month or week."""
    if name not in PANELS:
        raise UnknownName("panel", name, PANELS)
    opened: Any = workspace  # every workspace is frozen, which its protocol cannot say
    return _panel(opened, Key(result, code, span), name, known_item(item))


def roses(
    workspace: Workspace, result: Result, code: str, span: stations.Window, item: str | None = None
) -> tuple[rose.Rose, stations.Wind] | None:
    """Wind rose (or, with an item, pollution rose) of a window, and whose wind it is; None without weather."""
    hours = stations.grid(workspace, result, code, span)
    wind = stations.wind(workspace, result, code, hours)
    if wind is None:
        return None
    if item is None:
        return rose.wind_rose(wind.direction, wind.speed), wind
    return rose.pollution_rose(wind.direction, wind.speed, hours.values[known_item(item)]), wind


def statistics(
    workspace: Workspace, result: Result, code: str, span: stations.Window
) -> list[tuple[str, patterns.Description, datetime | None]]:
    """Each item's statistics in a window, with the time (UTC) of the maximum."""
    hours = stations.grid(workspace, result, code, span)
    found = []
    for item in HOURLY_ITEMS:
        made = patterns.describe(hours.values[item], span.hours)
        at = None if made.at is None else hours.time[made.at].item()
        found.append((item, made, at))
    return found


def capture(
    workspace: Workspace, result: Result, code: str, year: int, span: stations.Window
) -> dict[str, list[float | None]]:
    """Share of the natural hours of each month with a usable value, by item [%]; None for a month not begun.

    The month that is running counts up to the newest hour of the run.
    """
    hours = stations.grid(workspace, result, code, span)
    last, hour = day_and_hour(span.end)
    natural: list[int] = []
    for month in range(1, 13):
        period = Period.month(year, month)
        whole = period.days * 24
        running = (last - period.start).days * 24 + hour
        natural.append(max(0, min(whole, running)))
    found: dict[str, list[float | None]] = {}
    for item in HOURLY_ITEMS:
        counts = patterns.month_counts(hours.time, hours.values[item], year)
        found[item] = [
            100 * int(n) / expected if expected else None for n, expected in zip(counts, natural, strict=True)
        ]
    return found


def place_panel(result: Result, code: str, first: date, last: date, name: str, item: str) -> patterns.Means:
    """Variation of a place's daily values by weekday or month."""
    rows = place_days(result, code, first, last)
    days = np.array([row["day"] for row in rows], "datetime64[D]")
    values = np.array([row[known_item(item, DAILY_ITEMS)] for row in rows], np.float64)
    weekday, month = patterns.day_variation(days, values, np.random.default_rng(SEED))
    if name not in ("weekday", "month"):
        raise UnknownName("panel", name, ("weekday", "month"))
    return weekday if name == "weekday" else month


def against_last_year(result: Result, code: str, year: int, dust: str) -> list[Row]:
    """Each item's leading statistic of a year beside that of the year before: `item, statistic, value, before,
    change` [%]; what either lacks is None.
    """
    now, then = (
        leading(evaluation(result, Period.year(y), dust, code), date(y, 12, 31)).get(code, {})
        for y in (year, year - 1)
    )
    found: list[Row] = []
    for item, statistic in leading_statistics(date(year, 12, 31)).items():
        value, before = (rows.get(item, {}).get("value") for rows in (now, then))
        change: Any = None if None in (value, before) or not before else 100 * (value / before - 1)
        found.append({"item": item, "statistic": statistic, "value": value, "before": before, "change": change})
    return found
