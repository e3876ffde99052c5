"""One station: its hours in a window, what control set aside, its days, its flags and the weather beside it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from qinglan.core.clock import HOUR, Period, day_and_hour, from_day_and_hour
from qinglan.core.errors import NotFound, UnknownName
from qinglan.core.names import HOURLY_ITEMS
from qinglan.flow import beside, series
from qinglan.flow.views import making
from qinglan.flow.views.result import Result, Row, Workspace

#: Weather of another station stands in up to this distance [km]; beyond it says nothing of this one.
WEATHER_WITHIN = 30.0
_EARTH = 6371.0
LAST = {"7d": 7, "30d": 30}


@dataclass(frozen=True, slots=True)
class Window:
    """Hours that a page speaks about: those that end after `start` and not after `end` (UTC).

    name : ``7d``, ``30d``, a year, or ``all``.
    """

    name: str
    start: datetime
    end: datetime

    @property
    def hours(self) -> int:
        """Natural hours in it."""
        return round((self.end - self.start) / HOUR)

    @property
    def first(self) -> date:
        """Statistical day of its first hour."""
        return day_and_hour(self.start + HOUR)[0]

    @property
    def last(self) -> date:
        """Statistical day of its last hour."""
        return day_and_hour(self.end)[0]


@dataclass(frozen=True, slots=True)
class Grid:
    """Every hour of a window in order, NaN where there is no usable value.

    time : datetime64[us], UTC ends, shape (n,). values : item to float64, shape (n,).
    """

    time: NDArray[np.datetime64]
    values: dict[str, NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Wind:
    """Wind beside a grid: `station` it was measured at, `distance` from ours [km], direction [°], speed [m/s]."""

    station: str
    distance: float
    direction: NDArray[np.float64]
    speed: NDArray[np.float64]


def station(result: Result, code: str) -> Row:
    """One row of the register; UnknownName with the codes that the run has."""
    known = {row["station"]: row for row in making.stations(result)}
    if code not in known:
        raise UnknownName("station", code, list(known))
    return known[code]


def _hours(workspace: Workspace, result: Result, code: str) -> series.Hours | None:
    """All checked hours of a station; None when the run has none of it."""
    try:
        return series.open_series(workspace, result.folder).hours(code)
    except (NotFound, UnknownName):
        return None


def newest(workspace: Workspace, result: Result) -> datetime | None:
    """End of the newest hour of any station: what windows count back from."""
    try:
        return series.open_series(workspace, result.folder).newest
    except NotFound:
        return None


def windows(workspace: Workspace, result: Result, code: str) -> list[str]:
    """Windows that can be asked for; empty when there are no hours."""
    found = _hours(workspace, result, code)
    if found is None or not len(found):
        return []
    first, last = (day_and_hour(_aware(t))[0].year for t in (found.time[0], found.time[-1]))
    return [*LAST, *(str(year) for year in range(last, first - 1, -1)), "all"]


def _aware(time: np.datetime64) -> datetime:
    plain: datetime = time.astype("datetime64[us]").item()
    return plain.replace(tzinfo=UTC)


def window(workspace: Workspace, result: Result, code: str, name: str | None) -> Window:
    """A window by name (the last 30 days by default); UnknownName with those there are, NotFound without hours."""
    known, end = windows(workspace, result, code), newest(workspace, result)
    found = _hours(workspace, result, code)
    if not known or end is None or found is None:
        raise NotFound(f"the run holds no hours of {code}.", remedy="Load its hours, then run `qinglan run`.")
    chosen = name or "30d"
    if chosen not in known:
        raise UnknownName("window", chosen, known)
    if chosen in LAST:
        return Window(chosen, end - timedelta(days=LAST[chosen]), end)
    if chosen == "all":
        return Window(chosen, _aware(found.time[0]) - HOUR, end)
    year = Period.year(int(chosen))
    return Window(chosen, from_day_and_hour(year.start, 1) - HOUR, min(end, from_day_and_hour(year.end, 24)))


def grid(workspace: Workspace, result: Result, code: str, span: Window) -> Grid:
    """The checked hours of a window on its whole clock."""
    start = series.instant(span.start)
    time = start + np.arange(1, span.hours + 1) * np.timedelta64(3600, "s")
    values = {item: np.full(span.hours, np.nan) for item in HOURLY_ITEMS}
    part = series.open_series(workspace, result.folder).between(code, span.start + HOUR, span.end)
    at = ((part.time - start) // np.timedelta64(3600, "s")).astype(np.int64) - 1
    for item in HOURLY_ITEMS:
        values[item][at] = part.values[item]
    return Grid(time.astype("datetime64[us]"), values)


def station_days(result: Result, code: str, first: date, last: date) -> list[Row]:
    """Daily values of a station between two days, both included."""
    return result.rows(
        "station_days", "station = $station and day between $first and $last", "day",
        station=code, first=first, last=last,
    )  # fmt: skip


def calendar(result: Result, code: str, year: int) -> dict[date, Row]:
    """Daily AQI of a station under the edition in force on each day; empty when the run made none."""
    if not result.has("station_aqi"):
        return {}
    rows = result.rows(
        "station_aqi", "station = $station and day between $first and $last", "day",
        station=code, first=date(year, 1, 1), last=date(year, 12, 31),
    )  # fmt: skip
    return {row["day"]: row for row in rows}


def flags(workspace: Workspace, result: Result, code: str, span: Window) -> list[Row]:
    """Flags of a station in a window, newest first: `time, item, rule, state, detail, reported`.

    reported : the value as it was sent, which control keeps whatever it thinks of it.
    """
    found = beside.open_beside(workspace, result.folder)
    return [] if found is None else found.flags(code, span.start, span.end)


def wind(workspace: Workspace, result: Result, code: str, hours: Grid) -> Wind | None:
    """Wind of the station, or of the nearest one within 30 km that has it, on a grid's clock; else None."""
    found = beside.open_beside(workspace, result.folder)
    if found is None:
        return None
    for other, distance in _weather_near(found, result, code):
        time, direction, speed = found.wind(other)
        at = np.searchsorted(time, hours.time)
        there = at < len(time)
        there[there] = time[at[there]] == hours.time[there]
        if there.any():
            made = np.full((2, len(hours.time)), np.nan)
            made[0, there], made[1, there] = direction[at[there]], speed[at[there]]
            return Wind(other, distance, made[0], made[1])
    return None


def _weather_near(found: beside.Beside, result: Result, code: str) -> list[tuple[str, float]]:
    """Stations with weather, nearest first, with their distance [km]."""
    known = {row["station"]: row for row in making.stations(result)}
    near = [(name, distance(known[code], known[name])) for name in found.windy if name in known]
    return sorted(((n, d) for n, d in near if d <= WEATHER_WITHIN), key=lambda each: each[1])


def distance(one: Row, other: Row) -> float:
    """Great-circle distance of two stations [km]; 0 for one and itself, infinite when a place is unknown."""
    if one["station"] == other["station"]:
        return 0.0
    if None in (one["lon"], one["lat"], other["lon"], other["lat"]):
        return math.inf
    x, a, y, b = (math.radians(float(v)) for v in (one["lon"], one["lat"], other["lon"], other["lat"]))
    inner = math.sin((b - a) / 2) ** 2 + math.cos(a) * math.cos(b) * math.sin((y - x) / 2) ** 2
    return 2 * _EARTH * math.asin(math.sqrt(inner))
