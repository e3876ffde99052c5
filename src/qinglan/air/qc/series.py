"""Searches that compare a whole series with its neighbours: shifted time axis, swapped columns.

Both look at logarithms of day or hour matrices in memory, a month of hours at a time or daily means of the whole
period, never at the full table at once. They report findings for a person; :func:`flags_for` turns a confirmed one
into flags. Neighbours come from :func:`qinglan.air.neighbours.nearest`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import ibis
import numba
import numpy as np
import polars as pl
from ibis.expr import types as ir
from numpy.typing import NDArray

from qinglan.air.neighbours import median_of
from qinglan.air.qc.rows import flags_of, long_form
from qinglan.core.clock import Period
from qinglan.core.names import HOURLY_ITEMS, INVALID
from qinglan.core.rulebook import RuleBook

Array = NDArray[Any]
Near = Mapping[str, Sequence[str]]
KEY = ("station", "time", "day", "hour")


@dataclass(frozen=True, slots=True)
class Finding:
    """A stretch of a station's series that stands in the wrong place.

    kind : ``shifted_axis`` or ``swapped_columns``
    lag : steps by which the series is dated late (negative: early); 0 for swapped columns
    step : ``hour`` or ``day``, the unit of `lag`
    score : t of the gain in agreement, or summed gain in log-ratio
    agreeing, looked_at : items that show it, items that could
    """

    kind: str
    station: str
    items: tuple[str, ...]
    start: date
    end: date
    lag: int
    step: str
    score: float
    agreeing: int
    looked_at: int


@numba.njit(cache=True)
def best_run(values: Array) -> tuple[float, int, int]:
    """Largest sum of a run of neighbours, NaN counting as zero: (sum, first, behind last); (0, 0, 0) when none."""
    best, first, last = 0.0, 0, 0
    total, start = 0.0, 0
    for i in range(values.size):
        if total <= 0:
            total, start = 0.0, i
        if not np.isnan(values[i]):
            total += values[i]
        if total > best:
            best, first, last = total, start, i + 1
    return best, first, last


def _standard(values: Array) -> Array:
    """Logarithm of 1 + value, centred and scaled; all NaN when it hardly varies."""
    with np.errstate(invalid="ignore"):
        x = np.log1p(np.where(values >= 0, values, np.nan))
    if np.count_nonzero(~np.isnan(x)) < x.size / 3:
        return np.full(x.size, np.nan)
    spread = np.nanstd(x)
    return (x - np.nanmean(x)) / spread if spread > 0.05 else np.full(x.size, np.nan)


def _shift(values: Array, lag: int) -> Array:
    """The series moved `lag` steps later, NaN moving in."""
    out = np.full(values.size, np.nan)
    if lag >= 0:
        out[lag:] = values[: values.size - lag]
    else:
        out[:lag] = values[-lag:]
    return out


def lag_gain(own: Array, reference: Array, lag: int, block: int) -> Array:
    """How much better a series agrees with its neighbours when these are moved by a lag.

    Parameters
    ----------
    own, reference : (n,) values of a station and of its neighbours
    block : steps that make one independent gain (24 for hours, 3 for days)

    Returns
    -------
    (blocks,) mean over the block of the absolute difference of the standardised series less that at the lag; NaN
    where less than half of a block can be compared, empty when either is too short or hardly varies
    """
    a, b = _standard(own), _standard(reference)
    # Absolute differences, bounded: one storm that misses its day must not decide alone.
    gain = np.minimum(np.abs(a - b), 2.0) - np.minimum(np.abs(a - _shift(b, lag)), 2.0)
    if np.count_nonzero(~np.isnan(gain)) < max(4 * block, 20):
        return np.empty(0)
    blocks = -(-gain.size // block)
    padded = np.full(blocks * block, np.nan)
    padded[: gain.size] = gain
    table = padded.reshape(blocks, block)
    enough = 2 * np.count_nonzero(~np.isnan(table), axis=1) >= block
    out = np.full(blocks, np.nan)
    out[enough] = np.nanmean(table[enough], axis=1)
    return out


@dataclass(frozen=True, slots=True)
class _Lagging:
    lags: tuple[int, ...]
    t: float
    gain: float
    gain_short: float
    share: float
    least: int
    blocks: int
    block: int
    step: str

    @classmethod
    def of(cls, book: RuleBook, step: str) -> _Lagging:
        return cls(
            tuple(int(v) for v in book.get(f"shift.lags.{step}s").value),
            float(book.number("shift.t")),
            float(book.number("shift.gain")),
            float(book.number("shift.gain_short")),
            float(book.number("shift.items_share")),
            int(book.number("neighbours.least")),
            int(book.number("shift.blocks")),
            24 if step == "hour" else 3,
            step,
        )


def shifts(
    matrices: Mapping[str, Mapping[str, Array]], near: Near, days: Array, *, book: RuleBook, step: str = "hour"
) -> list[Finding]:
    """Stations whose rows agree with their neighbours only when moved in time, within one window.

    For each lag the daily gains in agreement are averaged over the items (a row is dated, not an item) and the
    stretch of days with the largest summed gain is sought. It is reported when it is long enough, its mean gain is
    large and sure, and most items share it. Neighbours with a natural delay of an hour (a valley, a front) show it
    in every window: judge a lag of 1 or 2 h against the station's other months.

    Parameters
    ----------
    matrices : item -> station -> (n,) values on a regular grid
    near : station -> neighbours
    days : (n,) datetime64[D], statistical day of each step
    step : ``hour`` or ``day``
    """
    rule = _Lagging.of(book, step)
    found = []
    for station in sorted({s for own in matrices.values() for s in own}):
        pairs = {}
        for item, own in matrices.items():
            others = [own[s] for s in near.get(station, ()) if s in own]
            if station in own and len(others) >= rule.least:
                pairs[item] = (own[station], median_of(np.array(others), rule.least))
        best = max((_at_lag(pairs, lag, rule) for lag in rule.lags), key=lambda m: m[0], default=None)
        if best is not None and best[0] > 0:
            t, lag, low, high, agreeing, looked_at = best
            first, last = days[low * rule.block], days[min(high * rule.block, days.size) - 1]
            span = (first.astype(object), last.astype(object))
            found.append(Finding("shifted_axis", station, agreeing, *span, lag, step, t, len(agreeing), looked_at))
    return found


def _at_lag(
    pairs: Mapping[str, tuple[Array, Array]], lag: int, rule: _Lagging
) -> tuple[float, int, int, int, tuple[str, ...], int]:
    """(t, lag, first block, behind last, agreeing items, items looked at) of a lag; t is 0 when it is not sure."""
    gains = {item: g for item, (own, ref) in pairs.items() if (g := lag_gain(own, ref, lag, rule.block)).size}
    nothing: tuple[float, int, int, int, tuple[str, ...], int] = (0.0, lag, 0, 0, (), len(gains))
    if not gains:
        return nothing
    table = np.array(list(gains.values()))
    known = np.any(~np.isnan(table), axis=0)
    mean = np.full(table.shape[1], np.nan)
    mean[known] = np.nanmean(table[:, known], axis=0)
    least = rule.gain if rule.step == "day" or abs(lag) > 2 else rule.gain_short
    _, low, high = best_run(mean - least / 2)
    inside = mean[low:high]
    inside = inside[~np.isnan(inside)]
    if inside.size < rule.blocks or inside.mean() < least:
        return nothing
    t = float(inside.mean() / max(inside.std(ddof=1), 1e-9) * np.sqrt(inside.size))
    part = table[:, low:high]
    own = [np.nanmean(row) if np.any(~np.isnan(row)) else -1.0 for row in part]
    agreeing = tuple(item for item, m in zip(gains, own, strict=True) if m > 0)
    sure = t >= rule.t and len(agreeing) >= max(2, rule.share * len(gains)) if len(gains) > 1 else t >= rule.t
    return (t, lag, low, high, agreeing, len(gains)) if sure else nothing


def shifted_hours(
    hours: ir.Table, near: Near, months: Sequence[Period], *, book: RuleBook, items: Sequence[str] = HOURLY_ITEMS
) -> list[Finding]:
    """Search each month for stations whose time axis is shifted; one month is in memory at a time.

    Parameters
    ----------
    hours : Table (station, day, hour, items)
    """
    found = []
    for month in months:
        # A day before and after, so that a lag of a day loses nothing at the edges.
        first, last = month.start - timedelta(days=1), month.end + timedelta(days=1)
        part = hours.filter((hours.day >= ibis.literal(first)) & (hours.day <= ibis.literal(last)))
        frame = pl.from_arrow(part.select("station", "day", "hour", *items).to_pyarrow())
        assert isinstance(frame, pl.DataFrame)
        days = np.repeat(np.arange(np.datetime64(first), np.datetime64(last) + 1), 24)
        place = (pl.col("day") - first).dt.total_days() * 24 + pl.col("hour").cast(pl.Int64) - 1
        found += shifts(_matrices(frame.with_columns(at=place), days.size, items), near, days, book=book)
    return found


def _matrices(frame: pl.DataFrame, size: int, items: Sequence[str]) -> dict[str, dict[str, Array]]:
    """Item -> station -> values on the grid of positions ``at``."""
    out: dict[str, dict[str, Array]] = {i: {} for i in items}
    for (station,), own in frame.group_by("station", maintain_order=True):
        at = own["at"].to_numpy()
        for item in items:
            line = np.full(size, np.nan)
            line[at] = own[item].cast(pl.Float64).to_numpy()
            out[item][str(station)] = line
    return out


def swapped(hours: ir.Table, near: Near, *, book: RuleBook) -> list[Finding]:
    """Stretches of days in which two items of a station fit better when exchanged.

    Daily log-means of both items are compared with those of the neighbours, each moved by the station's own median
    departure (its history); without neighbours, with its own running median. The days whose summed gain by the
    exchange is largest are reported.

    Parameters
    ----------
    hours : Table (station, day, items); a year or more makes the station's own history

    Returns
    -------
    list of Finding, largest score first
    """
    pairs = [tuple(p) for p in book.get("swap.pairs").value]
    items = sorted({i for p in pairs for i in p})
    daily = hours.group_by("station", "day").aggregate(**{i: hours[i].mean() for i in items})
    frame = pl.from_arrow(daily.to_pyarrow())
    assert isinstance(frame, pl.DataFrame)
    if frame.height == 0:
        return []
    frame = frame.with_columns(day=pl.col("day").cast(pl.Date))
    first, last = frame["day"].min(), frame["day"].max()
    assert isinstance(first, date)
    assert isinstance(last, date)
    days = np.arange(np.datetime64(first), np.datetime64(last) + 1)
    frame = frame.with_columns(at=(pl.col("day") - first).dt.total_days())
    logs = {
        item: {s: np.log(np.where(v > 0, v, np.nan)) for s, v in own.items()}
        for item, own in _matrices(frame, days.size, items).items()
    }
    found = []
    for one, other in pairs:
        for station in logs[one]:
            found += _exchanges(station, (one, other), logs, near, days, book)
    return sorted(found, key=lambda f: -f.score)


def _expected(item: str, station: str, logs: Mapping[str, Mapping[str, Array]], near: Near, least: int) -> Array:
    """What the station should read: neighbours' median plus its own usual departure, else its running median."""
    own = logs[item][station]
    others = [logs[item][s] for s in near.get(station, ()) if s in logs[item]]
    if len(others) >= least:
        reference = median_of(np.array(others), least)
        departure = own - reference
        usual = np.nanmedian(departure) if np.any(~np.isnan(departure)) else np.nan
        return np.asarray(reference + usual)
    out = np.full(own.size, np.nan)
    for i in range(own.size):
        part = own[max(0, i - 45) : i + 46]
        if np.count_nonzero(~np.isnan(part)) >= 20:
            out[i] = np.nanmedian(part)
    return out


def _exchanges(
    station: str,
    pair: tuple[str, str],
    logs: Mapping[str, Mapping[str, Array]],
    near: Near,
    days: Array,
    book: RuleBook,
) -> list[Finding]:
    one, other = pair
    least, shortest = int(book.number("neighbours.least")), int(book.number("swap.days"))
    a, b = logs[one][station], logs[other][station]
    ea, eb = (_expected(i, station, logs, near, least) for i in pair)
    gain = np.abs(a - ea) + np.abs(b - eb) - np.abs(a - eb) - np.abs(b - ea)
    score = gain - float(book.number("swap.gain"))
    found: list[Finding] = []
    while True:
        total, low, high = best_run(score)
        if total < float(book.number("swap.score")):
            return found
        if high - low >= shortest:
            span = (days[low].astype(object), days[high - 1].astype(object))
            found.append(Finding("swapped_columns", station, pair, *span, 0, "day", float(total), 2, 2))
        score[low:high] = np.nan


def flags_for(hours: ir.Table, finding: Finding) -> ir.Table:
    """Flags that make a confirmed finding's values invalid until the source sends them right."""
    own = hours.filter(
        (hours.station == finding.station)
        & (hours.day >= ibis.literal(finding.start))
        & (hours.day <= ibis.literal(finding.end))
    )
    moved = f"晚标 {finding.lag} {finding.step} / dated late by {finding.lag} {finding.step}(s)"
    detail = moved if finding.lag else f"{' ↔ '.join(finding.items)} 列互换 / columns exchanged"
    values = long_form(own, KEY, {i: {"value": own[i]} for i in finding.items})
    return flags_of(values, KEY, [(values["value"].notnull(), finding.kind, INVALID, detail)])
