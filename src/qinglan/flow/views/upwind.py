"""Where a place's air comes from: the wind of the last day and the neighbours that lie upwind, with their air."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from qinglan.core.clock import HOUR
from qinglan.core.errors import QinglanError
from qinglan.flow.views import city, today
from qinglan.flow.views import station as stations
from qinglan.flow.views.result import Result, Row, Workspace

#: Hours of wind that are looked back on.
BACK = 24
#: A neighbour within this of where the wind comes from lies upwind [degrees].
SECTOR = 45.0
#: Neighbours farther than this are none [km].
FAR = 400.0
#: So many neighbours are told of a place.
MOST = 3
POINTS = ("n", "ne", "e", "se", "s", "sw", "w", "nw")
#: Hours of the run that are looked through for the newest one that has ended.
_RECENT = 72
#: Below this the mean wind has no direction worth a name [m/s].
CALM = 0.5
_EARTH = 6371.0


def wind(workspace: Workspace, result: Result, code: str, end: datetime) -> Row | None:
    """Vector mean of the wind of the :data:`BACK` hours before an instant, at the place's nearest weather.

    Returns
    -------
    `direction` (from which it blows [degrees], None when calm), `point` (of the compass), `speed` of the vector
    mean [m/s], `hours` that had one, `station`; None when the run has no wind there.
    """
    span = stations.Window("wind", end - timedelta(hours=BACK), end)
    time = np.array([np.datetime64((end - HOUR * k).replace(tzinfo=None), "us") for k in range(BACK - 1, -1, -1)])
    for row in city.counted(result, code):
        try:
            found = stations.wind(workspace, result, row["station"], stations.Grid(time, {}))
        except QinglanError:
            return None
        if found is not None and np.isfinite(found.speed).any():
            return _mean(found, span.hours)
    return None


def _mean(found: stations.Wind, hours: int) -> Row:
    there = np.isfinite(found.speed) & np.isfinite(found.direction)
    turn = np.deg2rad(found.direction[there])
    east, north = (float(np.mean(found.speed[there] * f(turn))) for f in (np.sin, np.cos))
    speed = math.hypot(east, north)
    direction = math.degrees(math.atan2(east, north)) % 360 if speed >= CALM else None
    return {
        "direction": direction, "point": None if direction is None else point(direction), "speed": speed,
        "hours": int(there.sum()), "of": hours, "station": found.station,
    }  # fmt: skip


def point(bearing: float) -> str:
    """The point of the compass nearest to a bearing [degrees].

    >>> point(0), point(44), point(350), point(200)
    ('n', 'ne', 'n', 's')
    """
    return POINTS[round(bearing / 45) % 8]


def bearing(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    """Distance [km] and bearing [degrees] of a point (lon, lat) seen from another, on the sphere.

    >>> [round(x) for x in bearing((101.0, 36.0), (101.0, 37.0))]
    [111, 0]
    """
    a, b = math.radians(one[1]), math.radians(other[1])
    turn = math.radians(other[0] - one[0])
    inner = math.sin((b - a) / 2) ** 2 + math.cos(a) * math.cos(b) * math.sin(turn / 2) ** 2
    x = math.sin(turn) * math.cos(b)
    y = math.cos(a) * math.sin(b) - math.sin(a) * math.cos(b) * math.cos(turn)
    return 2 * _EARTH * math.asin(math.sqrt(inner)), math.degrees(math.atan2(x, y)) % 360


def neighbours(
    result: Result, code: str, others: Sequence[str], blows: Row | None, air: Mapping[str, Row]
) -> list[Row]:
    """Neighbours of a place, those upwind first, then the nearest, :data:`MOST` at most.

    air : `hour` and `yesterday` of each place (index, or None). Rows: `place, km, point, upwind, hour, yesterday`.
    """
    at = today.positions(result)
    if code not in at:
        return []
    found = []
    for other in others:
        if other == code or other not in at:
            continue
        km, way = bearing(at[code], at[other])
        if km > FAR:
            continue
        off = (
            None
            if blows is None or blows["direction"] is None
            else abs((way - blows["direction"] + 180) % 360 - 180)
        )
        told = air.get(other, {})
        found.append({"place": other, "km": km, "point": point(way), "upwind": off is not None and off <= SECTOR,
                      "hour": told.get("hour"), "yesterday": told.get("yesterday")})  # fmt: skip
    return sorted(found, key=lambda r: (not r["upwind"], r["km"]))[:MOST]


def air_now(result: Result, now: datetime) -> dict[str, dict[str, Any]]:
    """Of each place the index of the newest hour, when it is of the last day: `hour, level, primary, time`."""
    time = next((t for t in today.hours(result, back=_RECENT) if t <= now), None)
    if time is None or now - time > timedelta(days=1):
        return {}
    rows = today.snapshot(result, time)
    return {
        r["place"]: {"hour": r["aqi"], "level": r["level"], "primary": r["primary_pollutant"], "time": time}
        for r in (*rows["prefectures"], *rows["counties"])
    }
