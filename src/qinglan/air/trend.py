"""Trends: Spearman's rank test as HJ 663 asks it, Theil-Sen's slope, Mann-Kendall's test, a block bootstrap.

Plain arrays in, dataclasses out. Missing values are NaN and are left out; nothing is filled.

References
----------
HJ 663-2013 (rank correlation by Spearman); Sen 1968, doi:10.1080/01621459.1968.10480934; Hirsch, Slack and
Smith 1982, doi:10.1029/WR018i001p00107 (seasonal test); Künsch 1989, doi:10.1214/aos/1176347265 (block
bootstrap).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import erfc, sqrt
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from qinglan.core.errors import RuleError, UsageError

Array = NDArray[Any]

RISING, FALLING, NO_CHANGE = "rising", "falling", "no_change"


@dataclass(frozen=True, slots=True)
class Spearman:
    """Result of the rank test.

    coefficient : rank correlation of concentration and year; direction : rising, falling or no_change (基本无变化)
    critical : smallest |coefficient| that counts as significant for this number of years
    """

    coefficient: float
    critical: float
    years: int
    direction: str

    @property
    def significant(self) -> bool:
        """Whether the coefficient reaches the critical value."""
        return self.direction != NO_CHANGE


def ranks(values: Array) -> Array:
    """Ranks from 1, ties sharing the mean of theirs.

    >>> ranks(np.array([3.0, 1.0, 3.0, 2.0])).tolist()
    [3.5, 1.0, 3.5, 2.0]
    """
    order = np.argsort(values, kind="stable")
    ordered = np.asarray(values)[order]
    _, first, count = np.unique(ordered, return_index=True, return_counts=True)
    out = np.empty(len(ordered))
    out[order] = np.repeat(first + (count + 1) / 2, count)
    return out


def spearman(
    years: Sequence[int],
    values: Sequence[float] | Array,
    critical: Mapping[str, float],
    *,
    years_min: int,
    ties: str = "mean_ranks",
) -> Spearman:
    """Rank test of HJ 663: ``rs = 1 - 6 sum(D^2) / (N^3 - N)`` against a table of critical values.

    Parameters
    ----------
    values : annual concentrations, NaN where a year has none [any unit]
    critical : ``spearman.critical`` of ``hj663``: number of years -> critical value
    years_min : ``spearman.years_min`` of ``hj663``
    ties : ``mean_ranks`` or ``order_of_years``; HJ 663 does not say

    Raises
    ------
    RuleError with fewer years than the rule asks for, or more than its table holds.

    >>> table = {"5": 0.9, "6": 0.829}
    >>> spearman(range(2015, 2020), [50, 48, 49, 45, 44], table, years_min=5)
    Spearman(coefficient=-0.9, critical=0.9, years=5, direction='falling')
    """
    x, y = np.asarray(years, dtype=float), np.asarray(values, dtype=float)
    if x.size != y.size:
        raise UsageError(f"{x.size} years stand against {y.size} values.")
    keep = ~np.isnan(y)
    x, y = x[keep], y[keep]
    n = x.size
    if n < years_min:
        raise RuleError(f"the rank test needs {years_min} years with a value; there are {n}.")
    if str(n) not in critical:
        raise RuleError(
            f"no critical value for {n} years.", remedy=f"The table holds {', '.join(critical)}; take fewer years."
        )
    order = np.argsort(x, kind="stable")
    y = y[order]
    if ties not in ("mean_ranks", "order_of_years"):
        raise UsageError(f"ties {ties!r} is neither mean_ranks nor order_of_years.")
    rank = ranks(y) if ties == "mean_ranks" else np.argsort(np.argsort(y, kind="stable"), kind="stable") + 1.0
    difference = rank - np.arange(1, n + 1)
    # The sum is a multiple of 1/2 and exact in doubles; one division follows.
    coefficient = float(((n**3 - n) - 6 * np.sum(difference**2)) / (n**3 - n))
    limit = float(critical[str(n)])
    direction = NO_CHANGE if abs(coefficient) < limit else (RISING if coefficient > 0 else FALLING)
    return Spearman(coefficient, limit, n, direction)


@dataclass(frozen=True, slots=True)
class Trend:
    """A slope with its interval and test.

    slope, low, high : change per unit of time, interval of the stated confidence
    p : two-sided p of no trend; tau : Kendall's; n : values used
    method : how interval and p were found
    """

    slope: float
    low: float
    high: float
    intercept: float
    p: float
    tau: float
    n: int
    confidence: float
    method: str

    @property
    def significant(self) -> bool:
        """Whether p is below 1 - confidence."""
        return self.p < 1 - self.confidence


@numba.njit(cache=True)
def _slopes(time: Array, values: Array) -> Array:
    n = time.size
    out = np.empty(n * (n - 1) // 2)
    k = 0
    for i in range(n - 1):
        for j in range(i + 1, n):
            if time[j] != time[i]:
                out[k] = (values[j] - values[i]) / (time[j] - time[i])
                k += 1
    return out[:k]


@numba.njit(cache=True)
def _score(values: Array) -> int:
    s = 0
    for i in range(values.size - 1):
        for j in range(i + 1, values.size):
            if values[j] > values[i]:
                s += 1
            elif values[j] < values[i]:
                s -= 1
    return s


def _score_variance(values: Array) -> float:
    """Variance of Kendall's S without trend, corrected for ties."""
    n = values.size
    _, ties = np.unique(values, return_counts=True)
    t = ties.astype(float)
    return float((n * (n - 1) * (2 * n + 5) - np.sum(t * (t - 1) * (2 * t + 5))) / 18)


@dataclass(frozen=True, slots=True)
class MannKendall:
    """Kendall's score S, its variance, z with continuity correction, two-sided p and tau."""

    s: int
    variance: float
    z: float
    p: float
    tau: float
    n: int


def _kendall(s: int, variance: float, pairs: float, n: int) -> MannKendall:
    z = 0.0 if s == 0 or variance <= 0 else (s - np.sign(s)) / sqrt(variance)
    return MannKendall(s, variance, float(z), erfc(abs(z) / sqrt(2)), s / pairs if pairs else 0.0, n)


def mann_kendall(values: Sequence[float] | Array) -> MannKendall:
    """Mann-Kendall test of values in order of time, corrected for ties.

    >>> mann_kendall([1, 2, 3, 4, 5]).s, round(mann_kendall([1, 2, 3, 4, 5]).p, 4)
    (10, 0.0275)
    """
    x = np.asarray(values, dtype=float)
    x = x[~np.isnan(x)]
    return _kendall(int(_score(x)), _score_variance(x), x.size * (x.size - 1) / 2, x.size)


def seasonal_mann_kendall(values: Sequence[float] | Array, season: Sequence[int] | Array) -> MannKendall:
    """Mann-Kendall within each season (month), scores and variances added (Hirsch, Slack and Smith 1982)."""
    x, label = np.asarray(values, dtype=float), np.asarray(season)
    s, variance, pairs, n = 0, 0.0, 0.0, 0
    for name in np.unique(label):
        part = x[(label == name) & ~np.isnan(x)]
        s += int(_score(part))
        variance += _score_variance(part)
        pairs += part.size * (part.size - 1) / 2
        n += part.size
    return _kendall(s, variance, pairs, n)


def deseasonalise(values: Array, season: Array, *, period: int = 12) -> Array:
    """Take the yearly cycle out of a regular series by a smooth seasonal component, keeping the mean.

    The cycle of each season is the mean of its departures from a centred moving mean of one period, as in
    classical decomposition; at the ends the moving mean is completed by a straight line through the nearest
    period. A season without any value stays missing.
    """
    x = np.asarray(values, dtype=float)
    smooth = _moving_mean(x, period)
    departure = x - smooth
    labels = np.unique(season)
    cycle = {k: np.nanmean(departure[season == k]) for k in labels if np.any(~np.isnan(departure[season == k]))}
    centre = float(np.mean(list(cycle.values()))) if cycle else 0.0
    return np.asarray(x - np.array([cycle.get(k, np.nan) - centre for k in season]))


def _moving_mean(x: Array, period: int) -> Array:
    """Centred mean over one period (half weights at the ends when it is even), extended by local lines."""
    half = period // 2
    weight = np.ones(2 * half + 1)
    if period % 2 == 0:
        weight[[0, -1]] = 0.5
    out = np.full(x.size, np.nan)
    for i in range(x.size):
        low, high = max(0, i - half), min(x.size, i + half + 1)
        part, w = x[low:high], weight[low - i + half : high - i + half]
        ok = ~np.isnan(part)
        if np.sum(w[ok]) >= 0.7 * np.sum(weight):
            out[i] = np.sum(part[ok] * w[ok]) / np.sum(w[ok])
    known = np.flatnonzero(~np.isnan(out))
    if known.size == 0:
        return np.full(x.size, np.nanmean(x))
    for edge, span in ((known[:period], range(known[0])), (known[-period:], range(known[-1] + 1, x.size))):
        if edge.size > 1 and len(span):
            slope, level = np.polyfit(edge, out[edge], 1)
            out[list(span)] = level + slope * np.array(list(span))
    return np.asarray(np.interp(np.arange(x.size), np.flatnonzero(~np.isnan(out)), out[~np.isnan(out)]))


def theil_sen(
    time: Sequence[float] | Array,
    values: Sequence[float] | Array,
    *,
    rng: np.random.Generator,
    season: Sequence[int] | Array | None = None,
    block: int = 1,
    resamples: int = 1000,
    confidence: float = 0.95,
) -> Trend:
    """Median of all pairwise slopes, with a bootstrap interval.

    Parameters
    ----------
    time : e.g. decimal years; the slope is per its unit
    values : NaN where missing
    season : month of each value; given, the p and tau are those of the seasonal Mann-Kendall test
    block : 1: pairs of time and value are drawn freely (values independent); more: they are drawn in blocks of
        this many neighbours, which keeps autocorrelation; ``round(n ** (1 / 3))`` is customary
    rng : the source of randomness; the same state gives the same interval

    Returns
    -------
    Trend; p from Mann-Kendall when ``block`` is 1, else from the share of resampled slopes beyond zero

    Raises UsageError with fewer than 4 values.
    """
    t, x = np.asarray(time, dtype=float), np.asarray(values, dtype=float)
    if t.size != x.size:
        raise UsageError(f"{t.size} times stand against {x.size} values.")
    keep = ~np.isnan(x)
    label = None if season is None else np.asarray(season)[keep]
    t, x = t[keep], x[keep]
    if x.size < 4:
        raise UsageError(f"a slope needs 4 values or more; there are {x.size}.")
    slope = float(np.median(_slopes(t, x)))
    intercept = float(np.median(x - slope * t))
    test = mann_kendall(x) if label is None else seasonal_mann_kendall(x, label)
    drawn = _bootstrap(t, x, block, resamples, rng)
    if block <= 1:
        p, method = test.p, "theil-sen, pairs bootstrap, Mann-Kendall"
    else:
        below = (np.sum(drawn <= 0) + 1) / (resamples + 1)
        above = (np.sum(drawn >= 0) + 1) / (resamples + 1)
        p, method = min(1.0, 2 * min(below, above)), f"theil-sen, bootstrap in blocks of {block}"
    if label is not None:
        method += ", seasonal"
    tail = (1 - confidence) / 2
    low, high = (float(v) for v in np.quantile(drawn, [tail, 1 - tail]))
    return Trend(slope, low, high, intercept, float(p), test.tau, x.size, confidence, method)


def _bootstrap(t: Array, x: Array, block: int, resamples: int, rng: np.random.Generator) -> Array:
    """Slopes of resampled (time, value) pairs, drawn in blocks of neighbours (moving blocks, Künsch 1989)."""
    n = x.size
    block = max(1, min(block, n))
    offsets = np.arange(block)
    out = np.empty(resamples)
    for i in range(resamples):
        starts = rng.integers(0, n - block + 1, -(-n // block))
        pick = (starts[:, None] + offsets).ravel()[:n]
        slopes = _slopes(t[pick], x[pick])
        out[i] = np.median(slopes) if slopes.size else 0.0
    return out
