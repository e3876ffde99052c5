"""What is left of a target's year: the mean still allowed, the bad days left, the chance, the projection.

Without a forecast (:class:`Ahead`) the whole rest is a climatology: it is drawn from the same calendar days of
past years, a whole month of one year at a time, so that spells of bad air stay whole; past values are moved to
this year's level by the ratio of medians over the days that both have. One year of history is no climatology:
then there is no chance and no interval, and the result says so.
"""

from __future__ import annotations

from calendar import isleap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qinglan.core.clock import Period
from qinglan.core.errors import UnknownName, UsageError
from qinglan.core.rounding import half_even

Array = NDArray[Any]
Values = Mapping[date, float | bool | None]
Statistic = Callable[[Array], Array]

LEVELS = ("none", "year_to_date")


@dataclass(frozen=True, slots=True)
class Options:
    """How the rest of the year is drawn.

    years_min : fewest past years that make a climatology
    draws : resampled years
    level : ``year_to_date``: past days times this year's median over theirs; ``none``: past days as they were
    level_days_min : fewest common days for that ratio
    confidence : of the projection's interval
    """

    years_min: int = 2
    draws: int = 2000
    level: str = "year_to_date"
    level_days_min: int = 45
    confidence: float = 0.9

    def __post_init__(self) -> None:
        if self.level not in LEVELS:
            raise UnknownName("level of the climatology", self.level, LEVELS)


@dataclass(frozen=True, slots=True)
class Projection:
    """Value of the whole period as things stand, with an interval (None without a climatology)."""

    value: float
    low: float | None
    high: float | None

    def as_dict(self) -> dict[str, float | None]:
        """For JSON."""
        return {"value": self.value, "low": self.low, "high": self.high}


@dataclass(frozen=True, slots=True)
class Budget:
    """What is left.

    allowed_mean : mean the days left may have so that the period just meets its limit; None when no day is left
        or the target is not a mean. Negative: the target can no longer be met.
    days_left : days of the period after `as_of`
    bad_days_left : further days that may be bad; None for a mean. Negative: already missed by so many.
    possible : whether the target can still be met
    probability : chance of meeting it, 0..1; None without a climatology
    projection : None when nothing is observed and there is no climatology
    basis : what stands behind the chance, in both languages
    """

    allowed_mean: float | None
    days_left: int
    bad_days_left: int | None
    possible: bool
    probability: float | None
    projection: Projection | None
    basis: Mapping[str, str]

    def as_dict(self) -> dict[str, Any]:
        """For JSON (contract 0002 section 4); the projection stands beside it there."""
        return {
            "allowed_mean": self.allowed_mean,
            "days_left": self.days_left,
            "bad_days_left": self.bad_days_left,
            "possible": self.possible,
            "probability": self.probability,
            "basis": dict(self.basis),
        }


@dataclass(frozen=True, slots=True)
class Ahead:
    """What a forecast says of the next days: `cases` (case, day), equally likely, a row being a course of days."""

    days: tuple[date, ...]
    cases: Array
    name: str

    def __post_init__(self) -> None:
        if self.cases.ndim != 2 or self.cases.shape[1] != len(self.days) or not self.cases.shape[0]:
            raise UsageError(
                f"forecast {self.name}: {self.cases.shape} values for {len(self.days)} days.",
                remedy="Give one row for each course and one column for each day.",
            )


@dataclass(frozen=True, slots=True)
class Record:
    """What is known: this period's daily values, earlier years', and the last day that counts as observed.

    Values are None (or absent, or NaN) where missing; days after `as_of` are not looked at. For counts of
    days the values are 1 (bad) and 0 (not bad), or booleans. ahead : a forecast of days after `as_of`.
    """

    values: Values
    history: Values
    period: Period
    as_of: date
    ahead: Ahead | None = None

    def __post_init__(self) -> None:
        if self.as_of < self.period.start - timedelta(days=1):
            raise UsageError(
                f"as of {self.as_of} lies before the period {self.period.label}.", remedy="Ask within or after it."
            )


@dataclass(frozen=True, slots=True)
class Year:
    """A period split at `as_of`: what is observed and what the rest may be.

    observed : (n,) valid daily values; future : (draws, days left), NaN where the past day was missing; empty
    without a climatology. ahead : which forecast stands in for how many of the first days
    """

    observed: Array
    future: Array
    days_left: int
    years: tuple[int, ...]
    factor: float
    ahead: tuple[str, int] | None = None


def split_year(record: Record, rng: np.random.Generator, options: Options) -> Year:
    """Observed part of the period and draws of the rest: a month of one past year at a time."""
    period, values, history = record.period, record.values, record.history
    last = min(record.as_of, period.end)
    # NaN, which equals nothing, is missing like None.
    observed = np.array(
        [float(v) for d, v in values.items() if period.start <= d <= last and v is not None and v == v],
        dtype=float,
    )
    rest = [last + timedelta(days=i) for i in range(1, (period.end - last).days + 1)]
    past = {d: float(v) for d, v in history.items() if v is not None and v == v and d < period.start}
    years = _years_covering(past, rest)
    if not rest or len(years) < options.years_min:
        return Year(observed, np.empty((0, len(rest))), len(rest), years, 1.0)
    factor = _level(values, past, period.start, last, options)
    table = np.array([[past.get(_same_day(d, y), np.nan) for d in rest] for y in years]) * factor
    month = np.array([d.year * 12 + d.month for d in rest])
    future = np.empty((options.draws, len(rest)))
    for name in np.unique(month):
        columns = np.flatnonzero(month == name)
        usable = np.flatnonzero(np.count_nonzero(~np.isnan(table[:, columns]), axis=1) > 0)
        pick = rng.choice(usable if usable.size else np.arange(len(years)), options.draws)
        future[:, columns] = table[pick][:, columns]
    return Year(observed, future, len(rest), years, factor, _put_ahead(future, rest, record.ahead, rng))


def _put_ahead(
    future: Array, rest: list[date], ahead: Ahead | None, rng: np.random.Generator
) -> tuple[str, int] | None:
    """Put courses of a forecast into the days that it speaks of: one course a draw, so that spells stay whole."""
    known = [day for day in ahead.days if day in rest] if ahead is not None else []
    if ahead is None or not known:
        return None
    pick = rng.integers(0, ahead.cases.shape[0], future.shape[0])
    columns = [rest.index(day) for day in known]
    future[:, columns] = ahead.cases[pick][:, [ahead.days.index(day) for day in known]]
    return ahead.name, len(known)


def _same_day(day: date, back: int) -> date:
    """The calendar day some years back; 29 February falls back to the 28th."""
    year = day.year - back
    if day.month == 2 and day.day == 29:
        return date(year, 2, 29 if isleap(year) else 28)
    return day.replace(year=year)


def _years_covering(past: Mapping[date, float], rest: list[date]) -> tuple[int, ...]:
    """How many years back a past year lies, for years that hold at least half of the remaining days."""
    if not rest or not past:
        return ()
    furthest = rest[0].year - min(past).year + 1
    covered = []
    for back in range(1, furthest + 1):
        held = sum(_same_day(d, back) in past for d in rest)
        if held >= max(1, len(rest) / 2):
            covered.append(back)
    return tuple(covered)


def _level(values: Values, past: Mapping[date, float], start: date, last: date, options: Options) -> float:
    """Median of this year to date over the median of the same calendar days of past years."""
    if options.level == "none":
        return 1.0
    now, before = [], []
    furthest = start.year - min(past).year + 1
    for day, value in values.items():
        if start <= day <= last and value is not None and value == value:
            earlier = [past[e] for b in range(1, furthest + 1) if (e := _same_day(day, b)) in past]
            if earlier:
                now.append(float(value))
                before += earlier
    if len(now) < options.level_days_min or np.median(before) <= 0:
        return 1.0
    return float(np.median(now) / np.median(before))


def _basis(year: Year, period: Period) -> dict[str, str]:
    if year.days_left == 0:
        return {"zh": f"{period.label} 已结束, 按实测判定", "en": f"{period.label} is over: judged as measured"}
    if year.future.shape[0] == 0:
        return {
            "zh": f"可用历史年份仅 {len(year.years)} 个, 不足以估计概率",
            "en": f"only {len(year.years)} past year(s) cover the rest of the period: no chance is given",
        }
    first = sorted(period.end.year - b for b in year.years)
    named = f"{first[0]}-{first[-1]}" if len(first) > 1 else str(first[0])
    zh, en = "未用预报", "no forecast"
    if year.ahead is not None:
        name, days = year.ahead
        zh, en = f"其中 {days} 天用预报 {name}", f"of {days} days forecast {name}"
    return {
        "zh": f"{named} 年同期 ({len(first)} 年) 按月整块重抽样, 水平系数 {year.factor:.2f}; {zh}",
        "en": f"same days of {named} ({len(first)} years), whole months resampled, level factor {year.factor:.2f};"
        f" {en}",
    }


def _whole(year: Year) -> Array:
    """(draws, n + days left): the observed days beside each draw of the rest."""
    draws = year.future.shape[0]
    return np.hstack([np.broadcast_to(year.observed, (draws, year.observed.size)), year.future])


def _project(year: Year, statistic: Statistic, confidence: float) -> tuple[Projection | None, Array]:
    """Projection, and the statistic of each draw."""
    if year.future.shape[0]:
        drawn = statistic(_whole(year))
        drawn = drawn[~np.isnan(drawn)]
        tail = (1 - confidence) / 2
        low, high = np.quantile(drawn, [tail, 1 - tail])
        return Projection(float(np.median(drawn)), float(low), float(high)), drawn
    if year.observed.size == 0:
        return None, np.empty(0)
    value = float(statistic(year.observed[None, :])[0])
    over = year.days_left == 0
    return Projection(value, value if over else None, value if over else None), np.empty(0)


def _meets(drawn: Array, limit: float, comparison: str, decimals: int | None) -> Array:
    """Which values meet the limit, rounded first as they would be when judged (GB/T 8170)."""
    if comparison not in ("<=", ">=", "<", ">"):
        raise UnknownName("comparison", comparison, ("<=", ">=", "<", ">"))
    shown = drawn if decimals is None else np.array([float(half_even(float(v), decimals)) for v in drawn])
    return np.array(
        {"<=": shown <= limit, ">=": shown >= limit, "<": shown < limit, ">": shown > limit}[comparison]
    )


def _mean(rows: Array) -> Array:
    count = np.count_nonzero(~np.isnan(rows), axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(count > 0, np.nansum(rows, axis=1) / count, np.nan)


def percentile(share: float) -> Statistic:
    """The percentile of HJ 663 (linear between ranks) as a statistic of daily values; `share` in percent."""

    def of(rows: Array) -> Array:
        return np.asarray(np.nanquantile(rows, share / 100, axis=1))

    return of


def of_mean(
    record: Record,
    limit: float,
    *,
    rng: np.random.Generator,
    decimals: int | None = None,
    options: Options | None = None,
) -> Budget:
    """Budget of a mean that must not exceed a limit (PM2.5 of a year).

    Parameters
    ----------
    record : daily values [unit of the limit]
    decimals : decimals the mean is judged with; None: unrounded

    Returns
    -------
    Budget; ``allowed_mean`` counts every day left as valid and is measured against the limit itself, which is
    stricter than the rounding of the judgement

    >>> days = {date(2025, 1, 1) + timedelta(days=i): 30.0 for i in range(73)}
    >>> record = Record(days, {}, Period.year(2025), date(2025, 3, 14))
    >>> of_mean(record, 24, rng=np.random.default_rng(0)).allowed_mean
    22.5
    """
    options = options or Options()
    year = split_year(record, rng, options)
    total, n, left = float(np.sum(year.observed)), year.observed.size, year.days_left
    allowed = (limit * (n + left) - total) / left if left else None
    projection, drawn = _project(year, _mean, options.confidence)
    if left == 0:
        met = projection is not None and bool(_meets(np.array([projection.value]), limit, "<=", decimals)[0])
        chance = None if projection is None else float(met)
        return Budget(None, 0, None, met, chance, projection, _basis(year, record.period))
    possible = allowed is not None and allowed >= 0
    chance = float(np.mean(_meets(drawn, limit, "<=", decimals))) if drawn.size else (None if possible else 0.0)
    return Budget(allowed, left, None, possible, chance, projection, _basis(year, record.period))


def of_bad_days(
    record: Record,
    *,
    rng: np.random.Generator,
    most: int | None = None,
    good_rate: float | None = None,
    decimals: int = 1,
    options: Options | None = None,
) -> Budget:
    """Budget of days: at most so many bad ones (`most`), or at least a share of good ones (`good_rate` in %).

    Parameters
    ----------
    record : whether each valid day was bad (polluted, or heavily polluted); None where the day is not valid
    good_rate : least share of good days among valid days [%], judged with `decimals`

    Returns
    -------
    Budget; the projection is a number of bad days with `most`, a rate [%] with `good_rate`. ``bad_days_left``
    takes every day left as valid.

    >>> days = {date(2025, 1, 1) + timedelta(days=i): i < 10 for i in range(300)}
    >>> record = Record(days, {}, Period.year(2025), date(2025, 10, 27))
    >>> b = of_bad_days(record, good_rate=96.3, rng=np.random.default_rng(0))
    >>> b.bad_days_left, b.days_left
    (3, 65)
    """
    if (most is None) == (good_rate is None):
        raise UsageError("give either `most` bad days or the least `good_rate`, not both or neither.")
    options = options or Options()
    # A share of yes and no has no level to be moved to.
    plain = Options(options.years_min, options.draws, "none", options.level_days_min, options.confidence)
    year = split_year(record, rng, plain)
    so_far, n, left = int(np.sum(year.observed)), year.observed.size, year.days_left
    allowed = most if most is not None else most_bad(n + left, float(good_rate or 0), decimals)
    if most is not None:
        statistic, limit, comparison = _count, float(most), "<="
    else:
        statistic, limit, comparison = _good_rate, float(good_rate or 0), ">="
    projection, drawn = _project(year, statistic, options.confidence)
    places = None if most is not None else decimals
    possible = so_far <= allowed
    if left == 0:
        met = projection is not None and bool(_meets(np.array([projection.value]), limit, comparison, places)[0])
        return Budget(
            None,
            0,
            allowed - so_far,
            met,
            None if projection is None else float(met),
            projection,
            _basis(year, record.period),
        )
    chance = (
        float(np.mean(_meets(drawn, limit, comparison, places))) if drawn.size else (None if possible else 0.0)
    )
    return Budget(None, left, allowed - so_far, possible, chance, projection, _basis(year, record.period))


def _count(rows: Array) -> Array:
    return np.asarray(np.nansum(rows, axis=1))


def _good_rate(rows: Array) -> Array:
    return 100 * (1 - _mean(rows))


def most_bad(valid: int, good_rate: float, decimals: int) -> int:
    """Most bad days among `valid` whose good-day rate, rounded as it is judged, still reaches the rate."""
    most = -1
    for bad in range(valid + 1):
        rate = Fraction(100) if valid == 0 else half_even(Fraction(100 * (valid - bad), valid), decimals)
        if rate < half_even(str(good_rate), decimals):
            break
        most = bad
    return most


def of_statistic(
    record: Record,
    limit: float,
    statistic: Statistic,
    *,
    rng: np.random.Generator,
    comparison: str = "<=",
    decimals: int | None = None,
    options: Options | None = None,
) -> Budget:
    """Budget of any other statistic of daily values (see :func:`percentile`): chance and projection only."""
    options = options or Options()
    year = split_year(record, rng, options)
    projection, drawn = _project(year, statistic, options.confidence)
    if year.days_left == 0 and projection is not None:
        drawn = np.array([projection.value])
    chance = float(np.mean(_meets(drawn, limit, comparison, decimals))) if drawn.size else None
    possible = chance is None or chance > 0 or year.days_left > 0
    return Budget(None, year.days_left, None, possible, chance, projection, _basis(year, record.period))
