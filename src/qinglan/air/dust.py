"""Dust events from a city's particles, for a person to confirm, and what a confirmed event takes away.

The start and end tests are those of 环办监测〔2016〕120号 as the rule book states them (family ``dust``). What the
rule does not say (how long an event may last, how gaps are bridged, how to screen daily values) is our own and
sits in :class:`Screen`, named and changeable. Nothing found here is removed by itself: an event is *proposed*
until a person confirms it, and three numbers stay apart: everything as measured, concentrations without the
particles of dust (gases stay), and the good-day rate without the days that dust alone pushed over.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import ibis
import numba
import numpy as np
import polars as pl
from ibis.expr import types as ir
from numpy.typing import NDArray

from qinglan.core.clock import day_and_hour
from qinglan.core.errors import UnknownName, UsageError
from qinglan.core.rulebook import RuleBook

Array = NDArray[Any]

PROPOSED, CONFIRMED, REJECTED = "proposed", "confirmed", "rejected"
REMOVALS = ("day_removal", "hour_removal")

EVENT_SCHEMA: dict[str, Any] = {
    "id": pl.String,
    "place": pl.String,
    "resolution": pl.String,
    "start": pl.Datetime("us", "UTC"),
    "end": pl.Datetime("us", "UTC"),
    "start_day": pl.Date,
    "end_day": pl.Date,
    "hours": pl.Int32,
    "observed": pl.Int32,
    "base_pm10": pl.Float64,
    "peak_pm10": pl.Float64,
    "peak_factor": pl.Float64,
    "least_ratio": pl.Float64,
    "rule": pl.String,
    "ended_by": pl.String,
    "status": pl.String,
}

TIE = 1e-9

_RULES = ("", "jump", "ratio", "jump_and_ratio")
_ENDS = ("returned", "gap", "longest", "data_end")


@dataclass(frozen=True, slots=True)
class Screen:
    """What the rule leaves open, with our defaults.

    max_hours : longest event; one that has not returned by then ends there and says so [h]
    gap_hours : longest run of hours without PM10 that an event survives [h]
    ratio_floor : with the option ``jump_or_ratio``: the ratio test starts an event only when PM10 is at least
    this
        times its mean before; 1 keeps clean air, whose ratio wanders, from starting events; 0 is the bare rule
    min_hours : shortest event that is proposed [h]
    day_window : days of the running median of the daily screen, centred [d]
    day_ratio_share : PM2.5/PM10 at most this share of its running median
    """

    max_hours: int = 96
    gap_hours: int = 6
    ratio_floor: float = 1.0
    min_hours: int = 2
    day_window: int = 31
    day_ratio_share: float = 0.9


@dataclass(frozen=True, slots=True)
class _Tests:
    """The numbers of the rule, read from its book."""

    window: int
    least: int
    factor: float
    floor: float
    share: float
    deviation: float
    mode: int

    @classmethod
    def of(cls, book: RuleBook) -> _Tests:
        modes = {"jump_only": 0, "jump_or_ratio": 1, "floor_on_both": 2}
        return cls(
            int(book.number("detect.window_hours")),
            int(book.number("detect.window_hours_min")),
            float(book.number("detect.start_pm10_ratio")),
            float(book.number("detect.start_pm10_above")),
            float(book.number("detect.start_ratio_share_max")),
            float(book.number("detect.end_relative_deviation")),
            modes[book.option("start_test")],
        )


@numba.njit(cache=True)
def _before(values: Array, hour: int, window: int, least: int) -> float:
    """Mean of the hours before; NaN when fewer than `least` are there."""
    total, count = 0.0, 0
    for i in range(max(0, hour - window), hour):
        if not np.isnan(values[i]):
            total += values[i]
            count += 1
    return total / count if count >= least else np.nan


@numba.njit(cache=True)
def _fired(pm10: Array, ratio: Array, hour: int, rule: Array, ratio_floor: float) -> int:
    """Which start test an hour meets: 0 none, 1 jump, 2 ratio, 3 both. `rule`: window ... mode as floats."""
    window, least, mode = int(rule[0]), int(rule[1]), int(rule[6])
    value = pm10[hour]
    mean = _before(pm10, hour, window, least)
    if np.isnan(value) or np.isnan(mean) or mean <= 0:
        return 0
    # A mean of equal values may miss them by a rounding error; a tie counts as met.
    found = 1 if value >= rule[2] * mean * (1 - TIE) and value > rule[3] else 0
    if mode > 0 and not np.isnan(ratio[hour]):
        mean_ratio = _before(ratio, hour, window, least)
        high_enough = value > rule[3] if mode == 2 else value >= ratio_floor * mean * (1 - TIE)
        if not np.isnan(mean_ratio) and ratio[hour] <= rule[4] * mean_ratio * (1 + TIE) and high_enough:
            found += 2
    return found


@numba.njit(cache=True)
def _walk(pm10: Array, ratio: Array, rule: Array, max_hours: int, gap_hours: int, ratio_floor: float) -> Array:
    """Events of one place: rows (first hour, last hour, rule fired, how it ended)."""
    out = np.empty((pm10.size // 2 + 1, 4), np.int64)
    found, hour = 0, 0
    while hour < pm10.size:
        fired = _fired(pm10, ratio, hour, rule, ratio_floor)
        if fired == 0:
            hour += 1
            continue
        base = _before(pm10, hour, int(rule[0]), int(rule[1]))
        last, ended, i = hour, 3, hour + 1
        while i < pm10.size:
            if i - hour >= max_hours:
                ended = 2
                break
            if i - last > gap_hours:
                ended = 1
                break
            if not np.isnan(pm10[i]):
                if pm10[i] <= base * (1 + rule[5]) * (1 + TIE):
                    ended = 0
                    break
                last = i
            i += 1
        out[found] = (hour, last, fired, ended)
        found += 1
        hour = max(last + 1, i if ended == 0 else last + 1)
    return out[:found]


def detect(hours: ir.Table, *, book: RuleBook, screen: Screen | None = None) -> ir.Table:
    """Propose dust events from city hours.

    An event starts at the first hour whose PM10 is at least ``detect.start_pm10_ratio`` times the mean of the
    hours before and above ``detect.start_pm10_above``, or whose PM2.5/PM10 has fallen to
    ``detect.start_ratio_share_max`` of its mean before (option ``start_test``). It lasts until PM10 is back
    at or within ``detect.end_relative_deviation`` above the mean before the event. Hours are walked one by
    one per place, in memory: a nation's year of city hours (400 x 8,760) is a small table.

    Parameters
    ----------
    hours : Table (place, time, pm10, pm2_5) [µg/m³], city hourly means; null where missing
    book : family ``dust``

    Returns
    -------
    Table with the columns of :data:`EVENT_SCHEMA`; ``end`` is the last affected hour, `hours` its length with
    gaps, `observed` those with PM10, `peak_factor` the peak over the mean before.
    """
    screen = screen or Screen()
    tests = _Tests.of(book)
    rule = np.array([getattr(tests, f) for f in tests.__dataclass_fields__], dtype=np.float64)
    frame = _collect(hours, ("place", "time", "pm10", "pm2_5"))
    rows: list[dict[str, Any]] = []
    for (place,), own in frame.sort("place", "time").group_by("place", maintain_order=True):
        first, pm10, pm25 = _grid(own, str(place))
        ratio = _ratio(pm25, pm10)
        events = _walk(pm10, ratio, rule, screen.max_hours, screen.gap_hours, screen.ratio_floor)
        for low, high, fired, ended in events.tolist():
            if high - low + 1 >= screen.min_hours:
                base = float(_before(pm10, low, tests.window, tests.least))
                rows.append(
                    _event(str(place), first, (low, high), (pm10, ratio, base), _RULES[fired], _ENDS[ended])
                )
    return ibis.memtable(pl.DataFrame(rows, schema=EVENT_SCHEMA))


def _collect(table: ir.Table, columns: tuple[str, ...]) -> pl.DataFrame:
    if lacking := [c for c in columns if c not in table.columns]:
        raise UsageError(f"city values lack the column(s) {', '.join(lacking)}.", remedy="Give city hourly means.")
    frame = pl.from_arrow(table.select(*columns).to_pyarrow())
    assert isinstance(frame, pl.DataFrame)
    return frame


def _grid(own: pl.DataFrame, place: str) -> tuple[datetime, Array, Array]:
    """The place's hours on a grid without gaps (missing: NaN)."""
    stamps = own["time"].dt.epoch("s").to_numpy() // 3600
    index = stamps - stamps[0]
    if np.any(np.diff(index) == 0):
        raise UsageError(
            f"place {place} has an hour twice.", remedy="Average its stations to one city value first."
        )
    pm10, pm25 = np.full(index[-1] + 1, np.nan), np.full(index[-1] + 1, np.nan)
    pm10[index] = own["pm10"].cast(pl.Float64).to_numpy()
    pm25[index] = own["pm2_5"].cast(pl.Float64).to_numpy()
    return datetime.fromtimestamp(int(stamps[0]) * 3600, UTC), pm10, pm25


def _ratio(fine: Array, coarse: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(coarse > 0, fine / coarse, np.nan)


def event_id(place: str, start: str, rule: str) -> str:
    """Stable name of an event: 16 hex digits of SHA-256 over place, start and rule.

    >>> event_id("630100", "2015-03-03", "day")
    'f961a219054ffcb3'
    """
    return hashlib.sha256(f"{place}|{start}|{rule}".encode()).hexdigest()[:16]


def _event(
    place: str,
    first: datetime,
    span: tuple[int, int],
    series: tuple[Array, Array, float],
    rule: str,
    ended: str,
) -> dict[str, Any]:
    low, high = span
    pm10, ratio, base = series
    start, end = first + timedelta(hours=low), first + timedelta(hours=high)
    part, share = pm10[low : high + 1], ratio[low : high + 1]
    peak = float(np.nanmax(part))
    return {
        "id": event_id(place, start.isoformat(), rule),
        "place": place,
        "resolution": "hour",
        "start": start,
        "end": end,
        "start_day": day_and_hour(start)[0],
        "end_day": day_and_hour(end)[0],
        "hours": high - low + 1,
        "observed": int(np.count_nonzero(~np.isnan(part))),
        "base_pm10": base,
        "peak_pm10": peak,
        "peak_factor": peak / base,
        "least_ratio": None if np.isnan(share).all() else float(np.nanmin(share)),
        "rule": rule,
        "ended_by": ended,
        "status": PROPOSED,
    }


def detect_days(days: ir.Table, *, book: RuleBook, screen: Screen | None = None) -> ir.Table:
    """Screen daily city values for dust where no hours exist. **Our own screen, not the rule's test.**

    A day is proposed when PM10 is above ``detect.start_pm10_above`` and at least ``detect.start_pm10_ratio``
    times its running median, and PM2.5/PM10 is at most `day_ratio_share` of its running median. Neighbouring
    days make one event. Without PM2.5 a day is not proposed: high PM10 alone may be anything.

    Parameters
    ----------
    days : Table (place, day, pm10, pm2_5) [µg/m³]

    Returns
    -------
    Table with the columns of :data:`EVENT_SCHEMA`; start and end are the first and last hour of the days
    """
    screen = screen or Screen()
    tests = _Tests.of(book)
    frame = _collect(days, ("place", "day", "pm10", "pm2_5"))
    rows: list[dict[str, Any]] = []
    for (place,), own in frame.sort("place", "day").group_by("place", maintain_order=True):
        number = own["day"].cast(pl.Date).to_physical().to_numpy()
        pm10, pm25 = (own[c].cast(pl.Float64).to_numpy() for c in ("pm10", "pm2_5"))
        ratio = _ratio(pm25, pm10)
        usual, usual_ratio = (_running_median(number, v, screen.day_window) for v in (pm10, ratio))
        with np.errstate(invalid="ignore"):
            hit = (pm10 > tests.floor) & (pm10 >= tests.factor * usual)
            hit &= ratio <= screen.day_ratio_share * usual_ratio
        where = np.flatnonzero(hit)
        if where.size == 0:
            continue
        for run in np.split(where, np.flatnonzero(np.diff(number[where]) > 1) + 1):
            made = _day_event(str(place), number[run], pm10[run], ratio[run], float(usual[run[0]]))
            rows.append(made)
    return ibis.memtable(pl.DataFrame(rows, schema=EVENT_SCHEMA))


def _running_median(day: Array, values: Array, window: int) -> Array:
    """Median of the values within half a window of days on either side."""
    low = np.searchsorted(day, day - window // 2, "left")
    high = np.searchsorted(day, day + window // 2, "right")
    out = np.full(values.size, np.nan)
    for i in range(values.size):
        part = values[low[i] : high[i]]
        part = part[~np.isnan(part)]
        if part.size:
            out[i] = np.median(part)
    return out


def _day_event(place: str, day: Array, pm10: Array, ratio: Array, usual: float) -> dict[str, Any]:
    first = date(1970, 1, 1) + timedelta(days=int(day[0]))
    last = date(1970, 1, 1) + timedelta(days=int(day[-1]))
    midnight = datetime(first.year, first.month, first.day, tzinfo=UTC) - timedelta(hours=8)
    peak = float(pm10.max())
    return {
        "id": event_id(place, first.isoformat(), "day"),
        "place": place,
        "resolution": "day",
        "start": midnight + timedelta(hours=1),
        "end": midnight + timedelta(hours=24 * day.size),
        "start_day": first,
        "end_day": last,
        "hours": 24 * day.size,
        "observed": 24 * day.size,
        "base_pm10": usual,
        "peak_pm10": peak,
        "peak_factor": peak / usual,
        "least_ratio": float(ratio.min()),
        "rule": "day",
        "ended_by": "returned",
        "status": PROPOSED,
    }


def decide(events: ir.Table, decisions: Iterable[Mapping[str, Any]]) -> ir.Table:
    """Events with the status people gave them; the newest decision on an event counts.

    Parameters
    ----------
    decisions : mappings (id, decision confirm|reject, reason, by, decided_at)

    Raises UnknownName for another decision or an id that is not among the events.
    """
    words = {"confirm": CONFIRMED, "reject": REJECTED}
    frame = pl.from_arrow(events.to_pyarrow())
    assert isinstance(frame, pl.DataFrame)
    known = set(frame["id"])
    status: dict[str, str] = {}
    for decision in sorted(decisions, key=lambda d: d["decided_at"]):
        if decision["decision"] not in words:
            raise UnknownName("decision on a dust event", decision["decision"], tuple(words))
        if decision["id"] not in known:
            raise UnknownName("dust event", decision["id"], sorted(known)[:12])
        status[str(decision["id"])] = words[decision["decision"]]
    new = pl.Series("status", [status.get(i, s) for i, s in frame.select("id", "status").iter_rows()], pl.String)
    return ibis.memtable(frame.with_columns(new))


def affected(events: ir.Table, removal: str, *, status: tuple[str, ...] = (CONFIRMED,)) -> ir.Table:
    """What the events take away from the particles: whole city-days or single hours.

    Parameters
    ----------
    events : Table of events after :func:`decide`
    removal : ``day_removal`` or ``hour_removal`` (option ``removal`` of the ``dust`` book)
    status : which events count; by default only those a person confirmed

    Returns
    -------
    Table (place, day), or (place, time, day, hour) for hours; no row twice
    """
    if removal not in REMOVALS:
        raise UnknownName("removal", removal, REMOVALS)
    frame = pl.from_arrow(events.to_pyarrow())
    assert isinstance(frame, pl.DataFrame)
    frame = frame.filter(pl.col("status").is_in(status))
    hours = (
        frame.select("place", time=pl.datetime_ranges("start", "end", interval="1h")).explode("time").drop_nulls()
    )
    # The statistical day: label 24:00 (16:00 UTC) closes the day before (core.clock).
    wall = pl.col("time").dt.replace_time_zone(None) + pl.duration(hours=7)
    hours = hours.with_columns(day=wall.dt.date(), hour=(wall.dt.hour() + 1).cast(pl.Int8)).unique()
    if removal == "day_removal":
        hours = hours.select("place", "day").unique()
        return ibis.memtable(hours.sort("place", "day"))
    return ibis.memtable(hours.sort("place", "time"))


def without_dust_hours(hours: ir.Table, removed: ir.Table, items: tuple[str, ...] = ("pm10", "pm2_5")) -> ir.Table:
    """City hours with the particles of the removed hours blanked; gases stay (120号).

    Parameters
    ----------
    hours : Table (place, time, ..., items)
    removed : Table (place, time) from :func:`affected` with ``hour_removal``
    """
    marks = removed.select("place", "time").distinct().mutate(dusty=True)
    joined = hours.left_join(marks, ["place", "time"]).select(*hours.columns, "dusty")
    clean = joined.dusty.isnull()
    return joined.mutate(**{i: ibis.ifelse(clean, joined[i], ibis.null("float64")) for i in items}).drop("dusty")


@dataclass(frozen=True, slots=True)
class GoodDays:
    """Good days of a place and a period, with dust and with its exceeding days deducted."""

    good: int
    valid: int
    deducted: int

    @property
    def raw_percent(self) -> float | None:
        """Share of good days among valid days [%], unrounded; None without valid days."""
        return 100 * self.good / self.valid if self.valid else None

    @property
    def adjusted_percent(self) -> float | None:
        """The same after the days that exceeded under dust are taken out of the valid days [%]."""
        rest = self.valid - self.deducted
        return 100 * self.good / rest if rest else None


def good_days(aqi: Mapping[date, int | None], dusty: Iterable[date], good_max: float) -> GoodDays:
    """Count good days raw and adjusted: a dust day that is good anyway stays good.

    Parameters
    ----------
    aqi : daily AQI by day, None where there is none
    good_max : largest AQI of a good day (``good_day.aqi_max`` of ``hj663``)

    >>> days = {date(2025, 4, 1): 40, date(2025, 4, 2): 300, date(2025, 4, 3): 120, date(2025, 4, 4): None}
    >>> g = good_days(days, [date(2025, 4, 1), date(2025, 4, 2)], good_max=100)
    >>> g.good, g.valid, g.deducted, g.adjusted_percent
    (1, 3, 1, 50.0)
    """
    dust = set(dusty)
    valid = {day: value for day, value in aqi.items() if value is not None}
    over = [day for day, value in valid.items() if value > good_max]
    return GoodDays(len(valid) - len(over), len(valid), sum(day in dust for day in over))
