"""What the pages and ``--json`` read: the results of the current run, by name, and nothing computed.

A view opens the current run's folder (``verdict.json`` and Parquet tables, contract 0002 §2 and §4) and, for the
last step down to the hours, the lake. Rows come back as dictionaries whose keys are the contract's column
names; a missing number is None. Reading is cached per run.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import duckdb

from qinglan.core.clock import Period
from qinglan.core.errors import NotFound, RuleError, UnknownName, UsageError
from qinglan.core.names import DAILY_ITEMS
from qinglan.plan.rules import load_book

Row = dict[str, Any]

DUST = ("in", "out")

#: Columns that a prefecture table may be sorted by, besides ``item`` names.
SORTABLE = (
    "rank", "place", "composite_index", "good_rate", "good_days", "heavy_days", "valid_days", "change_percent",
    *DAILY_ITEMS,
)  # fmt: skip

#: How a target's status sorts it on the board: judged by the air, waiting for evidence, reported.
GROUPS: Mapping[str, tuple[str, ...]] = {
    "air": ("not_met", "at_risk", "no_data", "on_track", "met"),
    "waiting": ("waiting",),
    "reported": ("reported_not_met", "reported_met"),
}


#: Fields of a verdict's rows that a run may leave out; pages see None.
OPTIONAL: Mapping[str, tuple[str, ...]] = {
    "target": ("value", "shown", "limit", "unit", "distance", "due", "period", "coverage", "edition", "dust",
               "variants", "trend", "budget", "projection", "waiting_for", "reported", "series", "formula", "item",
               "place"),
    "article": ("title", "summary", "tasks"),
    "task": ("title", "status", "due", "lead", "support", "evidence", "missing", "why"),
}  # fmt: skip


class NoRun(NotFound):
    """The workspace holds no finished run yet."""


class Workspace(Protocol):
    """What a view needs of an opened workspace."""

    @property
    def home(self) -> Path:
        """The folder that holds ``results/``."""

    def loads(self) -> list[Row]:
        """Loads, newest first."""

    def rejects(self) -> list[Row]:
        """Rows set aside, counted by load, code and reason."""

    def station_hours(self, dataset: str, station: str, day: date) -> list[Row]:
        """Rows of `hours`, `checked` or `flags` of a station's statistical day."""


@dataclass(frozen=True, slots=True)
class Result:
    """The current run as a page sees it."""

    folder: Path
    stamp: int
    verdict: Mapping[str, Any]

    @property
    def run_id(self) -> str:
        """Identity of the run."""
        return str(self.verdict["run"]["id"])

    @property
    def key(self) -> str:
        """Changes when the run or its files change: the seed of every page's ETag."""
        return f"{self.run_id}-{self.stamp:x}"

    def has(self, table: str) -> bool:
        """Whether the run wrote this table."""
        return (self.folder / f"{table}.parquet").exists()

    def columns(self, table: str) -> tuple[str, ...]:
        """Column names of a table; empty when the run did not write it."""
        return _columns(str(self.folder / f"{table}.parquet"), self.stamp) if self.has(table) else ()

    def rows(self, table: str, where: str = "true", order: str = "all", **values: Any) -> list[Row]:
        """Rows of a table under a condition whose ``$name`` parameters are given by keyword."""
        if not self.has(table):
            return []
        path = str(self.folder / f"{table}.parquet")
        sql = f"select * from read_parquet($path_) where {where} order by {order}"
        return [dict(row) for row in _query(path, self.stamp, sql, tuple(sorted(values.items())))]


def current(workspace: Workspace) -> Result:
    """The current run of a workspace; NotFound (with what to do) when there is none yet."""
    found: list[tuple[str, int, Path]] = []
    for path in (workspace.home / "results").glob("*/verdict.json"):
        stamp = path.stat().st_mtime_ns
        found.append((str(_verdict(str(path), stamp)["run"].get("started_at", "")), stamp, path))
    if not found:
        raise NoRun(f"{workspace.home} holds no run yet.", remedy="Run `qinglan run`.")
    _, stamp, path = max(found)
    return Result(path.parent, stamp, _verdict(str(path), stamp))


@lru_cache(maxsize=16)
def _verdict(path: str, stamp: int) -> Mapping[str, Any]:
    """A parsed verdict; `stamp` only keys the cache."""
    loaded: Mapping[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
    return loaded


@lru_cache(maxsize=1)
def _engine() -> duckdb.DuckDBPyConnection:
    """One in-memory engine for the process; each query takes its own cursor."""
    return duckdb.connect(config={"threads": 2})


def _clean(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


@lru_cache(maxsize=512)
def _query(path: str, stamp: int, sql: str, values: tuple[tuple[str, Any], ...]) -> tuple[Row, ...]:
    """Run one read; `stamp` only keys the cache."""
    cursor = _engine().cursor()
    try:
        cursor.execute(sql, {"path_": path, **dict(values)})
        names = [column[0] for column in cursor.description or ()]
        return tuple({n: _clean(v) for n, v in zip(names, row, strict=True)} for row in cursor.fetchall())
    finally:
        cursor.close()


@lru_cache(maxsize=64)
def _columns(path: str, stamp: int) -> tuple[str, ...]:
    cursor = _engine().cursor()
    try:
        cursor.execute("select * from read_parquet($path_) limit 0", {"path_": path})
        return tuple(column[0] for column in cursor.description or ())
    finally:
        cursor.close()


# --- the board -------------------------------------------------------------------------------------------------


def board(result: Result) -> dict[str, Any]:
    """Targets grouped for reading (air-judged, waiting, reported), worst first, with counts per status."""
    targets = targets_of(result)
    groups: dict[str, list[Row]] = {}
    for name, statuses in GROUPS.items():
        members = [t for t in targets if t["status"] in statuses]
        groups[name] = sorted(members, key=lambda t: statuses.index(t["status"]))
    unknown = {t["status"] for t in targets} - {s for group in GROUPS.values() for s in group}
    if unknown:
        raise UnknownName("target status", sorted(unknown)[0], [s for g in GROUPS.values() for s in g])
    counts = {status: sum(t["status"] == status for t in targets) for g in GROUPS.values() for status in g}
    return {"groups": groups, "counts": {k: n for k, n in counts.items() if n}, "total": len(targets)}


def _whole(kind: str, row: Mapping[str, Any]) -> Row:
    """A verdict's row with every optional field present."""
    return {**dict.fromkeys(OPTIONAL[kind]), **row}


def targets_of(result: Result) -> list[Row]:
    """The verdict's targets."""
    return [_whole("target", each) for each in result.verdict.get("targets", [])]


def target(result: Result, name: str) -> Row:
    """One target of the verdict by its id."""
    known = targets_of(result)
    for each in known:
        if each["id"] == name:
            return each
    raise UnknownName("target", name, [t["id"] for t in known])


# --- places ----------------------------------------------------------------------------------------------------


def level_of(place: str) -> str:
    """Administrative level told by a division code (GB/T 2260: two digits each of province, prefecture, county).

    >>> level_of("630000"), level_of("630100"), level_of("632801")
    ('province', 'prefecture', 'county')
    """
    if place.endswith("0000"):
        return "province"
    return "prefecture" if place.endswith("00") else "county"


def places(result: Result) -> dict[str, Row]:
    """Every place of the run by code: `place, name, name_en, level`."""
    rows = [*result.rows("places"), *result.verdict.get("places", [])]
    found: dict[str, Row] = {}
    for row in rows:
        code = str(row["place"])
        known = found.setdefault(code, {"place": code, "name": code, "name_en": None, "level": level_of(code)})
        known.update({k: row[k] for k in ("name", "name_en", "level") if row.get(k)})
    for row in result.rows("summary", order="place"):
        found.setdefault(
            row["place"],
            {"place": row["place"], "name": row["place"], "name_en": None, "level": level_of(row["place"])},
        )
    return dict(sorted(found.items()))


def place(result: Result, code: str) -> Row:
    """One place by its division code; UnknownName with the codes that the run has."""
    known = places(result)
    if code not in known:
        raise UnknownName("place", code, list(known))
    return known[code]


def periods(result: Result) -> list[Period]:
    """Periods that the run evaluated, newest first, longer before shorter."""
    labels = {row["period"] for row in result.rows("summary")}
    return sorted((Period.parse(x) for x in labels), key=lambda p: (p.end, p.days), reverse=True)


def pick_period(result: Result, label: str | None) -> Period:
    """The asked period if the run evaluated it, or the newest year (else the newest period) when none is asked."""
    known = periods(result)
    if not known:
        raise NotFound("this run evaluated no period.", remedy="Load observations, then run `qinglan run`.")
    if label is None:
        whole_years = [p for p in known if len(p.label) == 4]
        return (whole_years or known)[0]
    wanted = Period.parse(label)
    if wanted not in known:
        raise UnknownName("period", wanted.label, [p.label for p in known])
    return wanted


def evaluation(result: Result, period: Period, dust: str, code: str | None = None) -> list[Row]:
    """Rows of `evaluation` for a period, optionally of one place."""
    where = "period = $period and dust = $dust"
    if code is None:
        return result.rows("evaluation", where, period=period.label, dust=dust)
    return result.rows("evaluation", f"{where} and place = $place", period=period.label, dust=dust, place=code)


def leading(rows: Iterable[Row]) -> dict[str, dict[str, Row]]:
    """By place and item the one row a table shows: the mean, or the percentile of an item that has no mean."""
    table: dict[str, dict[str, Row]] = {}
    for row in sorted(rows, key=lambda r: (r["statistic"] != "mean", r["statistic"])):
        table.setdefault(row["place"], {}).setdefault(row["item"], row)
    return table


def prefectures(result: Result, period: Period, dust: str, sort: str = "rank", down: bool = False) -> list[Row]:
    """The table of places for a period: `summary`, `ranking` and the leading statistic of each item, joined.

    Each row carries ``name, name_en, level``, the columns of `summary` and `ranking`, and ``items`` (by item a row
    of `evaluation`). A missing value sorts last in either direction.
    """
    if dust not in DUST:
        raise UnknownName("dust treatment", dust, DUST)
    if sort not in SORTABLE:
        raise UnknownName("column to sort by", sort, SORTABLE)
    values = {"period": period.label, "dust": dust}
    where = "period = $period and dust = $dust"
    ranks = {row["place"]: row for row in result.rows("ranking", where, **values)}
    items = leading(evaluation(result, period, dust))
    known = places(result)
    table = [
        {**ranks.get(row["place"], {}), **row, **known[row["place"]], "items": items.get(row["place"], {})}
        for row in result.rows("summary", where, **values)
    ]

    def value(row: Row) -> Any:
        if sort in DAILY_ITEMS:
            return (row["items"].get(sort) or {}).get("value")
        return row.get(sort)

    there = sorted((r for r in table if value(r) is not None), key=value, reverse=down)
    return there + [r for r in table if value(r) is None]


def editions_of(rows: Iterable[Row]) -> list[str]:
    """The editions that appear in rows, in order of first sight."""
    return list(dict.fromkeys(row["edition"] for row in rows if row.get("edition")))


# --- calendar and days -----------------------------------------------------------------------------------------


def years(result: Result, code: str) -> list[int]:
    """Years for which a place has days, newest first."""
    rows = result.rows("place_aqi", "place = $place", place=code)
    return sorted({row["day"].year for row in rows}, reverse=True)


def calendar(result: Result, code: str, year: int) -> dict[str, dict[date, Row]]:
    """Daily AQI of a place and year: by edition, by day, a row of `place_aqi`."""
    rows = result.rows(
        "place_aqi",
        "place = $place and day between $first and $last",
        "day, edition",
        place=code,
        first=date(year, 1, 1),
        last=date(year, 12, 31),
    )
    found: dict[str, dict[date, Row]] = {}
    for row in rows:
        found.setdefault(row["edition"], {})[row["day"]] = row
    return found


def place_days(result: Result, code: str, first: date, last: date) -> list[Row]:
    """Daily concentrations of a place between two days, both included."""
    return result.rows(
        "place_days",
        "place = $place and day between $first and $last",
        "day",
        place=code,
        first=first,
        last=last,
    )


def dust_days(result: Result, code: str) -> set[date]:
    """Days of a place that a dust event touches."""
    columns = result.columns("dust_events")
    if "day" in columns:
        rows = result.rows("dust_events", "place = $place", place=code)
        return {row["day"] for row in rows}
    return set()


def by_month(result: Result, code: str, year: int, dust: str) -> dict[str, list[tuple[int, Row | None]]]:
    """The leading statistic of each item for the twelve months of a year; None for a month not evaluated."""
    series: dict[str, list[tuple[int, Row | None]]] = {item: [] for item in DAILY_ITEMS}
    for month in range(1, 13):
        rows = leading(evaluation(result, Period.month(year, month), dust, code)).get(code, {})
        for item in DAILY_ITEMS:
            series[item].append((month, rows.get(item)))
    return series


def coverage(result: Result, year: int) -> dict[str, list[float | None]]:
    """Share of days with a valid daily AQI, by place and month of a year [%]; None for a month not evaluated."""
    matrix: dict[str, list[float | None]] = {}
    for month in range(1, 13):
        period = Period.month(year, month)
        for row in result.rows("summary", "period = $period and dust = 'in'", period=period.label):
            line = matrix.setdefault(row["place"], [None] * 12)
            line[month - 1] = 100 * row["valid_days"] / period.days
    return dict(sorted(matrix.items()))


# --- the current hour ------------------------------------------------------------------------------------------


def now(result: Result) -> dict[str, Any]:
    """The latest hour: its `time`, and the newest row of `hourly_aqi` of each place and of each station.

    A station that has fallen silent keeps its last row, whose `time` is then older. Where an hour is judged by two
    editions the newer one speaks.
    """
    columns = result.columns("hourly_aqi")
    who = [name for name in ("place", "station") if name in columns]
    if not who:
        return {"time": None, "places": [], "stations": []}
    keys = ", ".join(who)
    newest = f"qualify row_number() over (partition by {keys} order by time desc, edition desc) = 1"
    rows = result.rows("hourly_aqi", f"true {newest}", keys)
    return {
        "time": max((row["time"] for row in rows), default=None),
        "places": [r for r in rows if not r.get("station")],
        "stations": [r for r in rows if r.get("station")],
    }


def last_hours(result: Result, code: str, until: datetime, hours: int = 48) -> list[Row]:
    """Hourly AQI of a place for some hours up to and including one, oldest first."""
    if "place" not in result.columns("hourly_aqi"):
        return []
    station = " and station is null" if "station" in result.columns("hourly_aqi") else ""
    return result.rows(
        "hourly_aqi",
        f"place = $place{station} and time <= $until and time > $until - to_hours({int(hours)}) "
        "qualify row_number() over (partition by time order by edition desc) = 1",
        "time",
        place=code,
        until=until,
    )


# --- the plan --------------------------------------------------------------------------------------------------


def articles_of(result: Result) -> list[Row]:
    """The plan's articles in their order, each with its tasks."""
    found = [_whole("article", each) for each in result.verdict.get("articles", [])]
    for each in found:
        each["tasks"] = [_whole("task", task) for task in each["tasks"] or []]
    return sorted(found, key=lambda a: a["number"])


def plan_page(result: Result, department: str | None = None, status: str | None = None) -> dict[str, Any]:
    """Articles with their tasks, filtered; beside them the departments and statuses that occur."""
    articles = articles_of(result)
    tasks = [task for article in articles for task in article["tasks"]]
    names = {key_of(lead): lead for task in tasks for lead in task["lead"] or []}
    statuses = sorted({task["status"] for task in tasks})
    if department and department not in names:
        raise UnknownName("department", department, sorted(names))
    if status and status not in statuses:
        raise UnknownName("task status", status, statuses)

    def kept(task: Row) -> bool:
        led = not department or department in map(key_of, task["lead"] or [])
        return led and (not status or task["status"] == status)

    shown = [{**a, "tasks": [t for t in a["tasks"] if kept(t)]} for a in articles]
    if department or status:
        shown = [a for a in shown if a["tasks"]]
    counts = {s: sum(t["status"] == s for t in tasks) for s in statuses}
    return {
        "articles": shown, "departments": sorted(names), "names": names, "counts": counts, "tasks": len(tasks),
        "total": len(articles),
    }  # fmt: skip


def article(result: Result, number: int) -> Row:
    """One article of the plan with its tasks, the targets that it sets, and its neighbours' numbers."""
    known = articles_of(result)
    numbers = [a["number"] for a in known]
    if number not in numbers:
        raise UnknownName("article", number, numbers)
    found = known[numbers.index(number)]
    return {**found, "targets": [t for t in targets_of(result) if t.get("article") == number], "numbers": numbers}


def key_of(name: Any) -> str:
    """A bilingual name's key: its Chinese text.

    >>> key_of({"zh": "省能源局", "en": "Energy Administration"}), key_of("省能源局")
    ('省能源局', '省能源局')
    """
    return str(name["zh"]) if isinstance(name, Mapping) else str(name)


# --- the making of a number ------------------------------------------------------------------------------------


def day_making(result: Result, code: str, day: date) -> dict[str, Any]:
    """How a place's day was made: its AQI by edition, its daily values, and the station days behind them."""
    aqi = result.rows("place_aqi", "place = $place and day = $day", "edition", place=code, day=day)
    values = result.rows("place_days", "place = $place and day = $day", place=code, day=day)
    if not aqi and not values:
        raise UnknownName("day", day.isoformat(), ())
    names = [s["station"] for s in stations(result) if s.get("place") == code or s.get("county") == code]
    rows = [r for r in result.rows("station_days", "day = $day", "station", day=day) if r["station"] in names]
    return {"aqi": aqi, "values": values[0] if values else None, "stations": rows}


def stations(result: Result) -> list[Row]:
    """The station register as the run used it."""
    return result.rows("stations", order="place, station")


def summary(result: Result, period: Period, code: str) -> dict[str, Row]:
    """A place's `summary` of a period by dust treatment."""
    rows = result.rows("summary", "period = $period and place = $place", period=period.label, place=code)
    return {row["dust"]: row for row in rows}


def year_limits(result: Result, code: str, year: int, dust: str) -> dict[str, float | None]:
    """The limit that each item's leading statistic is held against in a year."""
    rows = leading(evaluation(result, Period.year(year), dust, code)).get(code, {})
    return {item: rows[item]["limit"] if item in rows else None for item in DAILY_ITEMS}


def loads(workspace: Workspace) -> list[Row]:
    """Loads of the workspace, newest first."""
    return workspace.loads()


def rejects(workspace: Workspace) -> list[Row]:
    """Rows set aside at the door, counted by load, code and reason."""
    return workspace.rejects()


def rule_books(result: Result) -> list[Row]:
    """The rule books of the run: what it wrote about each, with the title and the options of the book itself.

    A book that this version of the package no longer carries keeps what the run wrote.
    """
    found = []
    for written in result.verdict["run"].get("rules", []):
        row = {"options": {}, "content_hash": None, "valid_from": None, "title": None, "choices": [], **written}
        on = row["valid_from"] or result.verdict["as_of"]
        try:
            book = load_book(row["book"], date.fromisoformat(on))
        except (UnknownName, RuleError):
            found.append(row)
            continue
        row["title"] = {"zh": book.title_zh, "en": book.title_en}
        row["choices"] = [
            {"name": o.name, "default": o.default, "why": o.why, "chosen": row["options"].get(o.name, o.default),
             "choices": {name: _two(words) for name, words in o.choices.items()}}
            for o in book.options.values()
        ]  # fmt: skip
        found.append(row)
    return found


def _two(words: str) -> dict[str, str]:
    """Both languages of a choice, which a rule book writes as `Chinese / English`.

    >>> _two("整日剔除 / the whole day")
    {'zh': '整日剔除', 'en': 'the whole day'}
    """
    chinese, _, english = words.partition(" / ")
    return {"zh": chinese, "en": english or chinese}


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


def hours_making(workspace: Workspace, result: Result, station: str, day: date) -> dict[str, Any]:
    """A station's day down to its hours: as reported, after control with states, the flags, and the day made."""
    reported = {row["hour"]: row for row in workspace.station_hours("hours", station, day)}
    checked = {row["hour"]: row for row in workspace.station_hours("checked", station, day)}
    made = result.rows("station_days", "station = $station and day = $day", station=station, day=day)
    return {
        "hours": [(hour, reported.get(hour), checked.get(hour)) for hour in range(1, 25)],
        "flags": workspace.station_hours("flags", station, day),
        "day": made[0] if made else None,
        "known": bool(reported or checked),
    }
