"""Today: the hours that can be shown, one hour of every place and station, and what is wrong now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from qinglan.core.clock import HOUR, day_and_hour
from qinglan.core.errors import UnknownName
from qinglan.core.names import HOURLY_ITEMS
from qinglan.flow import workspace as opened
from qinglan.flow.views.making import stations
from qinglan.flow.views.places import places
from qinglan.flow.views.result import Result, Row, Workspace
from qinglan.flow.views.verdict import articles_of, targets_of

#: Hours that the page goes back.
BACK = 48
#: An hour older than this is stale: HJ 633-2026 5 wants it out within one hour of its end.
STALE_AFTER = timedelta(hours=2)
#: A station that says nothing for longer than this, counted from the newest hour, is silent.
SILENT_AFTER = timedelta(hours=2)
#: A source that was not loaded for longer than this is stale: every connector is due at least daily.
SOURCE_AFTER = timedelta(hours=24)
LEVELS = (1, 2, 3, 4, 5, 6)


def hours(result: Result, back: int = BACK) -> list[datetime]:
    """Hours of the run that can be shown (UTC ends), newest first, at most `back` hours old."""
    if not result.has("hourly_aqi"):
        return []
    rows = result.rows("hourly_aqi", "true qualify row_number() over (partition by time) = 1", "time desc")
    known = [aware(row["time"]) for row in rows]
    return [time for time in known if time > known[0] - back * HOUR]


def aware(time: datetime) -> datetime:
    """A stored time with its zone: tables hold UTC."""
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time


def pick_hour(result: Result, day_hour: tuple[Any, int] | None) -> datetime | None:
    """The hour of a statistical day and label; the newest when none is asked. UnknownName with what is there."""
    known = hours(result)
    if day_hour is None:
        return known[0] if known else None
    named = {day_and_hour(time): time for time in known}
    if day_hour not in named:
        spelled = [f"{day}T{hour:02d}" for day, hour in named]
        raise UnknownName("hour", f"{day_hour[0]}T{day_hour[1]:02d}", spelled)
    return named[day_hour]


def snapshot(result: Result, time: datetime) -> dict[str, list[Row]]:
    """One hour: rows of `hourly_aqi` of `prefectures`, `counties` and `stations`, by code.

    A station row carries `name` and `county`; where two editions judge the hour the newer one speaks.
    """
    newest = "qualify row_number() over (partition by place, station order by edition desc) = 1"
    rows = result.rows("hourly_aqi", f"epoch_us(time) = $at {newest}", "place, station", at=_micro(time))
    known, register = places(result), {s["station"]: s for s in stations(result)}
    own = [
        {**row, **_place(known[row["place"]])} for row in rows if not row.get("station") and row["place"] in known
    ]
    return {
        "prefectures": [row for row in own if row["level_of"] == "prefecture"],
        "counties": [row for row in own if row["level_of"] == "county"],
        "stations": [
            {**row, "name": register[row["station"]]["name"]}
            for row in sorted(rows, key=lambda r: str(r.get("station")))
            if row.get("station") in register
        ],
    }


def _place(row: Row) -> Row:
    """A place's names; its level under `level_of`, because `level` is that of the index here."""
    return {"name": row["name"], "name_en": row["name_en"], "level_of": row["level"]}


def _micro(time: datetime) -> int:
    """Microseconds since 1970: equal for a table's times with and without a zone."""
    return round(time.timestamp()) * 1_000_000


def headline(rows: Sequence[Row]) -> dict[str, Any]:
    """How many places stand at each level, for how many that cannot be said, and which is worst.

    An index from fewer than six items is a lower bound: such a place counts as unknown, unless what is there
    already exceeds level 2. `worst` takes the bound at its word.
    """
    told = [row for row in rows if row["aqi"] is not None]
    judged = [row for row in told if row["aqi_state"] == "complete" or row["level"] > 2]
    counts = Counter(row["level"] for row in judged)
    return {
        "counts": {level: counts[level] for level in LEVELS if counts[level]},
        "good": counts[1] + counts[2],
        "judged": len(judged),
        "unknown": len(rows) - len(judged),
        "worst": max(told, key=lambda row: row["aqi"], default=None),
    }


def worst_by_hour(result: Result, times: Iterable[datetime]) -> dict[datetime, Row]:
    """Of each hour the prefecture with the highest index: `aqi, level, place`."""
    known = {code for code, row in places(result).items() if row["level"] == "prefecture"}
    station = "and station is null " if "station" in result.columns("hourly_aqi") else ""
    rows = result.rows(
        "hourly_aqi", f"aqi is not null {station}and list_contains($codes, place) "
        "qualify row_number() over (partition by time order by aqi desc, place) = 1", "time",
        codes=tuple(sorted(known)),
    )  # fmt: skip
    found = {aware(row["time"]): row for row in rows}
    return {time: found[time] for time in times if time in found}


def positions(result: Result) -> dict[str, tuple[float, float]]:
    """Where stations and places lie: (longitude, latitude). A place lies amid the stations of its mean."""
    found: dict[str, tuple[float, float]] = {}
    own: dict[str, list[tuple[float, float]]] = {}
    for row in stations(result):
        if row["lon"] is None or row["lat"] is None:
            continue
        at = (float(row["lon"]), float(row["lat"]))
        found[row["station"]] = at
        if not row["control_point"]:
            own.setdefault(row["place"], []).append(at)
    for place, points in own.items():
        found[place] = (sum(x for x, _ in points) / len(points), sum(y for _, y in points) / len(points))
    return found


def silent_stations(result: Result) -> list[Row]:
    """Stations in service that have said nothing lately, longest silence first.

    Rows: `station, name, place, last` (None: not in the hours of the run) and `silent` (timedelta or None).
    """
    known = hours(result)
    if not known:
        return []
    said = " or ".join(f"{item} is not null" for item in HOURLY_ITEMS)
    rows = result.rows(
        "hourly_aqi",
        f"station is not null and ({said}) "
        "qualify row_number() over (partition by station order by time desc) = 1",
        "station",
    )
    last = {row["station"]: aware(row["time"]) for row in rows}
    today, _ = day_and_hour(known[0])
    found = []
    for each in stations(result):
        if each["valid_to"] is not None and each["valid_to"] < today:
            continue
        heard = last.get(each["station"])
        quiet = None if heard is None else known[0] - heard
        if quiet is None or quiet > SILENT_AFTER:
            found.append({**each, "last": heard, "silent": quiet})
    return sorted(found, key=lambda r: (r["silent"] is not None, -(r["silent"] or HOUR).total_seconds()))


def stale_sources(workspace: Workspace, now: datetime) -> list[Row]:
    """Layouts whose newest finished load is older than a day: `layout, finished_at`, oldest first."""
    newest: dict[str, datetime] = {}
    for load in workspace.loads():
        if load.get("finished_at"):
            ended = aware(load["finished_at"])
            newest[load["layout"]] = max(newest.get(load["layout"], ended), ended)
    late = [{"layout": k, "finished_at": v} for k, v in newest.items() if now - v > SOURCE_AFTER]
    return sorted(late, key=lambda row: row["finished_at"])


def flags_lately(workspace: Workspace, result: Result) -> dict[str, Any]:
    """Flags on the last 24 hours of the run: `count`, `stations`, and `rules` (name, count), most first."""
    known = hours(result, 1)
    if not known or not isinstance(workspace, opened.Workspace):
        return {"count": 0, "stations": 0, "rules": []}
    return _flags(workspace, result.key, known[0])


@lru_cache(maxsize=8)
def _flags(workspace: opened.Workspace, key: str, newest: datetime) -> dict[str, Any]:
    """Read once for a run; `key` only keys the cache."""
    con = workspace.lake.connect()
    try:
        first, last = day_and_hour(newest - 23 * HOUR)[0], day_and_hour(newest)[0]
        table = workspace.lake.table("flags", con=con, first=first, last=last)
        table = table.filter((table.time > newest - 24 * HOUR) & (table.time <= newest)).select("station", "rule")
        rows = table.to_pyarrow().to_pylist()
    finally:
        con.disconnect()
    rules = Counter(row["rule"] for row in rows).most_common()
    return {"count": len(rows), "stations": len({row["station"] for row in rows}), "rules": rules}


def wrong_now(workspace: Workspace, result: Result, now: datetime) -> dict[str, Any]:
    """What needs somebody, counted from the newest hour of the run.

    newest : the newest hour, or None. age : how old it is at `now`. stale : whether that is too old.
    silent, sources : see the functions. flags : of the last 24 hours. rejects : rows set aside and not settled.
    overdue : tasks. not_met, at_risk : targets.
    """
    known = hours(result, 1)
    newest = known[0] if known else None
    age = None if newest is None else now - newest
    tasks = [task for article in articles_of(result) for task in article["tasks"]]
    status = Counter(target["status"] for target in targets_of(result))
    open_rejects = [row for row in workspace.rejects() if row["status"] == "open"]
    return {
        "newest": newest,
        "age": age,
        "stale": age is not None and age > STALE_AFTER,
        "silent": silent_stations(result),
        "sources": stale_sources(workspace, now),
        "flags": flags_lately(workspace, result),
        "rejects": sum(int(row["rows"] or 0) for row in open_rejects),
        "overdue": sum(task["status"] == "overdue" for task in tasks),
        "not_met": status["not_met"] + status["reported_not_met"],
        "at_risk": status["at_risk"],
    }
