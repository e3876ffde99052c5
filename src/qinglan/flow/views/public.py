"""What the public page shows: the air of now in each place, what it means for whom, a place's days and year.

Nothing here depends on who asks. A province has no AQI (HJ 633 speaks of a city): it is told by how many of its
cities stand at each level.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any

from qinglan.core.clock import Period, day_and_hour
from qinglan.core.names import DAILY_ITEMS
from qinglan.flow.views.places import evaluation, last_hours, leading, now, place, places, summary, years
from qinglan.flow.views.result import Result, Row
from qinglan.plan import content
from qinglan.plan.rules import load_book

#: How far the page looks back: hours on the strip, days in the calendar.
HOURS, DAYS = 24, 30


@lru_cache(maxsize=64)
def levels(on: date) -> Mapping[int, Row]:
    """The levels of HJ 633 in force on a day, by number, with ``groups``: who should do what."""
    cut: Mapping[int, Any] = content.read("public", "advice")["levels"]
    book = load_book("hj633", on)
    return {
        row["level"]: {
            **row,
            "name": {"zh": row["zh"], "en": row["en"]},
            "health": {"zh": row["health_zh"], "en": row["health_en"]},
            "advice": {"zh": row["advice_zh"], "en": row["advice_en"]},
            "groups": cut[row["level"]],
            "edition": book.edition,
        }
        for row in book.get("levels").value
    }


def _day(result: Result, time: datetime | None) -> date:
    """The statistical day of an hour; the run's last day when there is no hour."""
    if time is None:
        return date.fromisoformat(result.verdict["as_of"])
    return day_and_hour(_utc(time))[0]


def _utc(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time


def air(result: Result) -> dict[str, Any]:
    """The latest hour of every place.

    Returns ``time`` (UTC end of the newest hour, or None), ``day`` of that hour, ``places`` (provinces, cities and
    prefectures: their newest row with their names and the ``hours`` behind it), ``counties`` (newest rows),
    ``counts`` (cities by level; None: without an AQI) and ``levels`` in force that day.
    """
    latest = now(result)
    known = places(result)
    time = latest["time"]
    rows = [{**row, **known[row["place"]], "reach": known[row["place"]]["level"], "level": row["level"]}
            for row in latest["places"] if row["place"] in known]  # fmt: skip
    cities = [r for r in rows if r["reach"] != "county"]
    counts: dict[int | None, int] = {}
    for row in cities:
        if row["reach"] == "prefecture":
            level = row["level"] if row["time"] == time and row["aqi"] is not None else None
            counts[level] = counts.get(level, 0) + 1
    day = _day(result, time)
    return {
        "time": time,
        "day": day,
        "places": [{**row, "hours": last_hours(result, row["place"], time, HOURS)} for row in cities],
        "counties": [r for r in rows if r["reach"] == "county"],
        "counts": counts,
        "levels": levels(day),
    }


def place_air(result: Result, code: str) -> dict[str, Any]:
    """One place: its newest hour, the hours before it, its last days and its year against the limits.

    Returns ``place``, ``row`` (None without hours), ``time`` (the network's newest hour), ``hours``, ``days`` (the
    last 30 calendar days up to the newest with its row of `place_aqi` under the edition in force, or None),
    ``year``, ``years``, ``statistics`` (by item a row of `evaluation`, dust left in) and ``summary``.
    UnknownName for a place that the run does not have.
    """
    found = place(result, code)
    latest = now(result)
    row = next((r for r in latest["places"] if r["place"] == code), None)
    known = years(result, code)
    year = known[0] if known else None
    period = None if year is None else Period.year(year)
    statistics = (
        {} if period is None else leading(evaluation(result, period, "in", code), period.end).get(code, {})
    )
    day = _day(result, latest["time"])
    return {
        "place": found,
        "row": row,
        "time": latest["time"],
        "hours": last_hours(result, code, latest["time"], HOURS) if latest["time"] else [],
        "days": _last_days(result, code),
        "year": year,
        "years": known,
        "statistics": {item: statistics.get(item) for item in DAILY_ITEMS},
        "summary": None if period is None else summary(result, period, code).get("in"),
        "levels": levels(day),
    }


def _last_days(result: Result, code: str) -> list[tuple[date, Row | None]]:
    """The last 30 days up to the newest that a place has, oldest first."""
    force = " and in_force" if "in_force" in result.columns("place_aqi") else ""
    rows = result.rows(
        "place_aqi",
        f"place = $place{force} qualify row_number() over (order by day desc, edition desc) <= {2 * DAYS}",
        "day, edition",
        place=code,
    )
    if not rows:
        return []
    by_day = {row["day"]: row for row in rows}
    last = max(by_day)
    span = [last - timedelta(days=back) for back in range(DAYS - 1, -1, -1)]
    return [(day, by_day.get(day)) for day in span]
