"""Places and their air: periods, the table of places, calendars, months, coverage, the current hour."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from functools import lru_cache
from typing import Any

from qinglan.core.clock import Period
from qinglan.core.errors import NotFound, UnknownName
from qinglan.core.names import DAILY_ITEMS
from qinglan.flow.views.result import DUST, Result, Row
from qinglan.plan.places import load_places
from qinglan.plan.rules import load_book

#: Columns that a table of places may be sorted by; an item sorts by its leading statistic.
SORTABLE = (
    "rank", "place", "composite_index", "raw_good_rate", "raw_good_days", "raw_heavy_days", "raw_valid_days",
    "adjusted_good_rate", "change_percent",
    *DAILY_ITEMS,
)  # fmt: skip


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
    written = {str(row["place"]): row for row in result.verdict.get("places", [])}
    codes = {*written, *(row["place"] for row in _distinct(result, "summary", "place"))}
    return {code: {**_named(code), **_said(written.get(code, {}))} for code in sorted(codes)}


def _distinct(result: Result, table: str, what: str, where: str = "true", **values: Any) -> list[Row]:
    """A row for each different value of an expression."""
    return result.rows(table, f"{where} qualify row_number() over (partition by {what}) = 1", **values)


def _said(row: Row) -> Row:
    return {k: row[k] for k in ("name", "name_en", "level") if row.get(k)}


@lru_cache(maxsize=1024)
def _named(code: str) -> Row:
    """A place as the package knows it; its bare code when it does not."""
    known = load_places()
    if code not in known:
        return {"place": code, "name": code, "name_en": None, "level": level_of(code)}
    found = known[code]
    return {"place": code, "name": found.name, "name_en": found.name_en, "level": found.level}


def place(result: Result, code: str) -> Row:
    """One place by its division code; UnknownName with the codes that the run has."""
    known = places(result)
    if code not in known:
        raise UnknownName("place", code, list(known))
    return known[code]


def periods(result: Result) -> list[Period]:
    """Periods that the run evaluated, newest first, longer before shorter."""
    labels = {row["period"] for row in _distinct(result, "summary", "period")}
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


@lru_cache(maxsize=256)
def leading_statistics(on: date) -> dict[str, str]:
    """The one statistic of each item that tables show: the one that the city ranking of that day takes."""
    book = load_book("ranking", on)
    taken = {item: book.get(f"item.{item}").value for item in DAILY_ITEMS}
    return {item: taken[item] if taken[item] == "mean" else f"p{taken[item]}" for item in DAILY_ITEMS}


def leading(rows: Iterable[Row], on: date) -> dict[str, dict[str, Row]]:
    """By place and item the one row of `evaluation` that a table shows."""
    taken = leading_statistics(on)
    table: dict[str, dict[str, Row]] = {}
    for row in rows:
        if taken.get(row["item"]) == row["statistic"]:
            table.setdefault(row["place"], {})[row["item"]] = row
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
    items = leading(evaluation(result, period, dust), period.end)
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


def summary(result: Result, period: Period, code: str) -> dict[str, Row]:
    """A place's `summary` of a period by dust treatment."""
    rows = result.rows("summary", "period = $period and place = $place", period=period.label, place=code)
    return {row["dust"]: row for row in rows}


def year_limits(result: Result, code: str, year: int, dust: str) -> dict[str, float | None]:
    """The limit that each item's leading statistic is held against in a year."""
    rows = leading(evaluation(result, Period.year(year), dust, code), date(year, 12, 31)).get(code, {})
    return {item: rows[item]["limit"] if item in rows else None for item in DAILY_ITEMS}


def years(result: Result, code: str) -> list[int]:
    """Years for which a place has days, newest first."""
    rows = _distinct(result, "place_aqi", "year(day)", "place = $place", place=code)
    return sorted({row["day"].year for row in rows}, reverse=True)


def calendar(result: Result, code: str, year: int, *, every: bool = False) -> dict[str, dict[date, Row]]:
    """Daily AQI of a place and year: by edition, by day, a row of `place_aqi`.

    Only the editions in force on some day of the year, unless `every` is asked: a year that crosses a change of
    the standard has two, and both are given for all its days.
    """
    rows = result.rows(
        "place_aqi",
        "place = $place and day between $first and $last",
        "day, edition",
        place=code,
        first=date(year, 1, 1),
        last=date(year, 12, 31),
    )
    ruling = {row["edition"] for row in rows if row.get("in_force", True)}
    found: dict[str, dict[date, Row]] = {}
    for row in sorted(rows, key=lambda r: (r["edition"], r["day"])):
        if every or row["edition"] in ruling:
            found.setdefault(row["edition"], {})[row["day"]] = row
    return found


def editions(result: Result, period: Period) -> list[str]:
    """Editions of HJ 633 in force in a period."""
    rule = "in_force and " if "in_force" in result.columns("place_aqi") else ""
    rows = result.rows(
        "place_aqi",
        f"{rule}day between $first and $last qualify row_number() over (partition by edition) = 1",
        "edition",
        first=period.start,
        last=period.end,
    )
    return [row["edition"] for row in rows]


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
    """Days of a place that a confirmed dust event touches."""
    return {row["day"] for row in result.rows("dust_days", "place = $place", place=code)}


def by_month(result: Result, code: str, year: int, dust: str) -> dict[str, list[tuple[int, Row | None]]]:
    """The leading statistic of each item for the twelve months of a year; None for a month not evaluated."""
    series: dict[str, list[tuple[int, Row | None]]] = {item: [] for item in DAILY_ITEMS}
    found = _of_periods(result, "evaluation", "dust = $dust and place = $place", year, dust=dust, place=code)
    for month in range(1, 13):
        rows = leading(found.get(Period.month(year, month).label, ()), date(year, month, 1)).get(code, {})
        for item in DAILY_ITEMS:
            series[item].append((month, rows.get(item)))
    return series


def _of_periods(result: Result, table: str, where: str, year: int, **values: Any) -> dict[str, list[Row]]:
    """Rows of the months of a year by period, in one read."""
    labels = tuple(Period.month(year, month).label for month in range(1, 13))
    by_period: dict[str, list[Row]] = {}
    for row in result.rows(table, f"{where} and list_contains($periods, period)", periods=labels, **values):
        by_period.setdefault(row["period"], []).append(row)
    return by_period


def coverage(result: Result, year: int) -> dict[str, list[float | None]]:
    """Share of days with a valid daily AQI, by place and month of a year [%]; None for a month not evaluated."""
    matrix: dict[str, list[float | None]] = {}
    found = _of_periods(result, "summary", "dust = 'in'", year)
    for month in range(1, 13):
        period = Period.month(year, month)
        for row in found.get(period.label, ()):
            line = matrix.setdefault(row["place"], [None] * 12)
            line[month - 1] = 100 * (row["valid_days"] or 0) / period.days
    return dict(sorted(matrix.items()))


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
