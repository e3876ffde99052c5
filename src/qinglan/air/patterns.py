"""How air varies with the clock: by hour, by weekday, by month, and by hour of each weekday, with statistics.

The panels and their interval are those of `timeVariation` of openair (Carslaw and Ropkins 2012, Environmental
Modelling & Software 27-28, 52-61): the mean of all usable hours of a group and the 95 % interval of that mean by
bootstrap (percentiles of resampled means, 100 draws). Differences, on purpose: hours carry the official label of
their end (1 to 24) and belong to the statistical day that they close, so hour 24 of a Sunday counts as Sunday.
The bootstrap takes hours as independent, as openair does; hours that follow one another are not, so the interval
is the narrowest that the data allow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qinglan.core.clock import DAY_SHIFT
from qinglan.core.errors import UsageError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Times = NDArray[np.datetime64]

LEVEL, DRAWS = 0.95, 100
HOURS, WEEKDAYS, MONTHS = tuple(range(1, 25)), tuple(range(7)), tuple(range(1, 13))
_SHIFT = np.timedelta64(int(DAY_SHIFT.total_seconds()), "s")
_MONDAY = 3  #: 1970-01-01 was a Thursday, the fourth day counted from Monday.


@dataclass(frozen=True, slots=True)
class Clock:
    """Where hours fall: statistical day, label 1..24, weekday (Monday 0), month 1..12, year; each (n,)."""

    day: Times
    hour: Ints
    weekday: Ints
    month: Ints
    year: Ints


def clock(time: Times) -> Clock:
    """The official clock of UTC hour ends.

    time : datetime64, UTC, shape (n,).

    >>> c = clock(np.array(["2026-02-28T16:00"], "datetime64[us]"))
    >>> str(c.day[0]), int(c.hour[0]), int(c.weekday[0]), int(c.month[0])
    ('2026-02-28', 24, 5, 2)
    """
    wall = time.astype("datetime64[s]") + _SHIFT
    day = wall.astype("datetime64[D]")
    hour = ((wall - day) // np.timedelta64(3600, "s")).astype(np.int64) + 1
    return Clock(day, hour, *_dates(day))


def _dates(day: Times) -> tuple[Ints, Ints, Ints]:
    """Weekday, month and year of days."""
    months = day.astype("datetime64[M]").astype(np.int64)
    weekday = (day.astype("datetime64[D]").astype(np.int64) + _MONDAY) % 7
    return weekday, months % 12 + 1, months // 12 + 1970


@dataclass(frozen=True, slots=True)
class Means:
    """Means of groups, in the order of `keys`.

    n : usable values. mean : NaN for an empty group. low, high : bounds of the interval of the mean; NaN for a
    group of fewer than two values, which says nothing about its own spread. Each of shape (len(keys),).
    """

    keys: tuple[int, ...]
    n: Ints
    mean: Floats
    low: Floats
    high: Floats


def means(
    groups: Ints,
    values: Floats,
    keys: Sequence[int],
    rng: np.random.Generator,
    *,
    level: float = LEVEL,
    draws: int = DRAWS,
) -> Means:
    """Mean of each group with its bootstrap interval; NaN values are left out.

    groups, values : shape (n,). rng : where the draws come from: the same seed gives the same bounds.
    """
    if groups.shape != values.shape:
        raise UsageError(f"groups {groups.shape} and values {values.shape} differ in shape.")
    usable = ~np.isnan(values)
    order = np.argsort(groups[usable], kind="stable")
    labels, sorted_values = groups[usable][order], values[usable][order]
    starts = np.searchsorted(labels, keys, "left")
    ends = np.searchsorted(labels, keys, "right")
    made = np.full((3, len(keys)), np.nan)
    for k, (first, last) in enumerate(zip(starts, ends, strict=True)):
        part = sorted_values[first:last]
        if len(part):
            made[0, k] = part.mean()
        if len(part) > 1:
            drawn = part[rng.integers(0, len(part), (draws, len(part)), dtype=np.int32)].mean(axis=1)
            made[1:, k] = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Means(tuple(keys), (ends - starts).astype(np.int64), *made)


@dataclass(frozen=True, slots=True)
class Variation:
    """The four panels of openair's `timeVariation`; keys of `week` are weekday * 24 + (hour - 1)."""

    hour: Means
    weekday: Means
    month: Means
    week: Means


def time_variation(time: Times, values: Floats, rng: np.random.Generator) -> Variation:
    """Variation of hourly values by hour, weekday, month, and hour of each weekday.

    time : datetime64, UTC hour ends. values : concentrations, NaN where unusable. Both of shape (n,).
    """
    at = clock(time)
    week = at.weekday * 24 + at.hour - 1
    return Variation(
        means(at.hour, values, HOURS, rng),
        means(at.weekday, values, WEEKDAYS, rng),
        means(at.month, values, MONTHS, rng),
        means(week, values, range(7 * 24), rng),
    )


def day_variation(days: Times, values: Floats, rng: np.random.Generator) -> tuple[Means, Means]:
    """Variation of daily values by weekday and by month. days : datetime64[D]; both of shape (n,)."""
    weekday, month, _ = _dates(days)
    return means(weekday, values, WEEKDAYS, rng), means(month, values, MONTHS, rng)


@dataclass(frozen=True, slots=True)
class Description:
    """Statistics of a series; percentiles interpolate linearly between ranks (HJ 663-2013 annex A).

    capture : usable of `expected` values [%]; at : place of the maximum in the series, None when it is empty.
    """

    n: int
    expected: int
    capture: float
    mean: float
    median: float
    p95: float
    p98: float
    maximum: float
    at: int | None


def describe(values: Floats, expected: int) -> Description:
    """Statistics of the usable values of a series of shape (n,); NaN throughout when there are none.

    >>> d = describe(np.array([1.0, np.nan, 3.0]), 4)
    >>> d.n, d.capture, d.mean, d.median, d.maximum, d.at
    (2, 50.0, 2.0, 2.0, 3.0, 2)
    """
    usable = values[~np.isnan(values)]
    capture = 100 * len(usable) / expected if expected else float("nan")
    if not len(usable):
        nothing = float("nan")
        return Description(0, expected, capture, nothing, nothing, nothing, nothing, nothing, None)
    median, p95, p98 = (float(q) for q in np.quantile(usable, [0.5, 0.95, 0.98]))
    at = int(np.nanargmax(values))
    return Description(
        len(usable), expected, capture, float(usable.mean()), median, p95, p98, float(values[at]), at
    )


def month_counts(time: Times, values: Floats, year: int) -> Ints:
    """Usable hours in each of the twelve months of a year, shape (12,)."""
    at = clock(time)
    inside = (at.year == year) & ~np.isnan(values)
    return np.bincount(at.month[inside] - 1, minlength=12).astype(np.int64)
