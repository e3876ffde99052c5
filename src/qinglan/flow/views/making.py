"""How a number was made: from a target to its places, from a place's day to its stations and their hours."""

from __future__ import annotations

from datetime import date
from typing import Any

from qinglan.core.errors import NotFound, UnknownName, UsageError
from qinglan.flow import workspace as opened
from qinglan.flow.views.places import pick_period, prefectures
from qinglan.flow.views.result import DUST, Result, Row, Workspace
from qinglan.flow.views.review import day_review


def target_places(result: Result, found: Row) -> list[Row]:
    """The prefectures behind a target's value, when the run evaluated its period and says how it treats dust."""
    try:
        period = pick_period(result, found.get("period"))
    except (UnknownName, UsageError, NotFound):
        return []
    dust = found.get("dust") if found.get("dust") in DUST else None
    if dust is None or found.get("value") is None:
        return []
    return [row for row in prefectures(result, period, dust) if row["level"] != "county"]


def day_making(result: Result, code: str, day: date) -> dict[str, Any]:
    """How a place's day was made: its AQI by edition, its daily values, and the station days behind them."""
    aqi = result.rows("place_aqi", "place = $place and day = $day", "edition", place=code, day=day)
    values = result.rows("place_days", "place = $place and day = $day", place=code, day=day)
    if not aqi and not values:
        raise UnknownName("day", day.isoformat(), ())
    names = [s["station"] for s in stations(result) if s.get("place") == code or s.get("county") == code]
    rows = [r for r in result.rows("station_days", "day = $day", "station", day=day) if r["station"] in names]
    return {"aqi": aqi, "values": values[0] if values else None, "stations": rows}


def hours_making(workspace: Workspace, result: Result, station: str, day: date) -> dict[str, Any]:
    """A station's day down to its hours: as reported, after control with states, the flags, the day made, and
    `review`: who signed it and what people decided (None where there is no registry)."""
    reported = {row["hour"]: row for row in workspace.station_hours("hours", station, day)}
    checked = {row["hour"]: row for row in workspace.station_hours("checked", station, day)}
    made = result.rows("station_days", "station = $station and day = $day", station=station, day=day)
    return {
        "hours": [(hour, reported.get(hour), checked.get(hour)) for hour in range(1, 25)],
        "flags": workspace.station_hours("flags", station, day),
        "day": made[0] if made else None,
        "known": bool(reported or checked),
        "review": day_review(workspace, station, day) if isinstance(workspace, opened.Workspace) else None,
    }


def stations(result: Result) -> list[Row]:
    """The station register as the run used it."""
    return result.rows("stations", order="place, station")


def loads(workspace: Workspace) -> list[Row]:
    """Loads of the workspace, newest first."""
    return workspace.loads()


def rejects(workspace: Workspace) -> list[Row]:
    """Rows set aside at the door, counted by load, code and reason."""
    return workspace.rejects()
