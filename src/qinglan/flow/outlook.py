"""What lies ahead of an air target: its trend, what may still happen before it fails, where it is heading.

The verdict uses no forecast; :mod:`qinglan.flow.forecasts.targets` adds one beside it. The region's daily
series is the mean over its places of what the target counts each day: the concentration, the share of places
with good air, or the number of places with heavy pollution.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import polars as pl

from qinglan.air import budget, trend
from qinglan.air.budget import Ahead, Budget, Record
from qinglan.core.clock import Period
from qinglan.core.errors import UsageError
from qinglan.core.rulebook import Rules
from qinglan.flow.air_results import AirTables
from qinglan.plan.pack import DatedValue, Target

#: Of the resampling below: results must not change between two runs over the same data.
_SEED = 20240628
#: Fewest months of a trend that is worth stating.
_MONTHS_MIN = 24


@dataclass(frozen=True, slots=True)
class Outlook:
    """Trend, budget and projection as a verdict carries them; None where they have no meaning."""

    trend: Mapping[str, Any] | None = None
    budget: Mapping[str, Any] | None = None
    projection: Mapping[str, Any] | None = None


def outlook(
    air: AirTables, target: Target, places: Sequence[str], goal: DatedValue, as_of: date, rules: Rules
) -> Outlook:
    """Trend over all data, and budget and projection of the period that the target speaks of.

    A relative target has a trend only: its limit is a change, not a level.
    """
    series = regional_days(air, target, places, rules)
    slope = _trend(series, target)
    if target.relative or series.is_empty() or as_of < goal.period.start or target.comparison not in ("<=", ">="):
        return Outlook(trend=slope)
    found = budget_of(series, target, goal, as_of)
    left = found.as_dict()
    if target.air is not None and target.air.statistic == "good_day_rate":
        left["bad_days_left"] = _bad_days_left(series, goal, as_of, len(places), target.decimals)
    left["said"] = _said(left, target)
    return Outlook(slope, left, found.projection.as_dict() if found.projection else None)


def regional_days(air: AirTables, target: Target, places: Sequence[str], rules: Rules) -> pl.DataFrame:
    """The region's series: `day`, `value`, and `valid` and `hits` (places with a value; places counted)."""
    assert target.air is not None
    dust_out = target.air.dust == "out"
    if target.air.statistic == "mean":
        days = air["clean_days"] if dust_out else air["place_days"]
        table = days.filter(days.place.isin(list(places)))
        grouped = table.group_by("day").aggregate(
            value=table[target.air.item].mean(),
            valid=table[target.air.item].count(),
            hits=table[target.air.item].count(),
        )
    else:
        aqi = air["place_aqi"].filter(lambda t: t.in_force & t.aqi.notnull() & t.place.isin(list(places)))
        if dust_out:
            dusty = aqi.filter(aqi.level > 2).semi_join(air["dust_days"], ["place", "day"])
            aqi = aqi.anti_join(dusty, ["place", "day"])
        good = rules.evaluation.number("good_day.aqi_max")
        heavy = rules.evaluation.number("heavy_day.aqi_min")
        counted = aqi.aqi <= good if target.air.statistic == "good_day_rate" else aqi.aqi >= heavy
        grouped = aqi.group_by("day").aggregate(
            value=counted.cast("float64").mean(), valid=aqi.aqi.count(), hits=counted.cast("int64").sum()
        )
    frame = pl.from_arrow(air.con.to_pyarrow(grouped.order_by("day")))
    assert isinstance(frame, pl.DataFrame)
    return frame.drop_nulls("value")


def budget_of(
    series: pl.DataFrame, target: Target, goal: DatedValue, as_of: date, ahead: Ahead | None = None
) -> Budget:
    """Budget of a target from its region's series; `ahead` : courses of what a forecast says of that series."""
    assert target.air is not None
    rng = np.random.default_rng(_SEED)
    statistic = target.air.statistic
    if statistic == "heavy_days":
        column = series["hits"].cast(pl.Float64)
    else:
        column = series["value"] * (1 if statistic == "mean" else 100)
    values = dict(zip(series["day"].to_list(), column.to_list(), strict=True))
    now = {d: v for d, v in values.items() if d >= goal.period.start}
    past = {d: v for d, v in values.items() if d < goal.period.start}
    record = Record(now, past, goal.period, as_of, ahead)
    if statistic == "mean" and target.comparison == "<=":
        return budget.of_mean(record, goal.value, rng=rng, decimals=target.decimals)
    if statistic == "heavy_days":
        return budget.of_bad_days(record, most=int(goal.value), rng=rng)
    return budget.of_statistic(
        record, goal.value, _mean, rng=rng, comparison=target.comparison, decimals=target.decimals
    )


def _mean(rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.asarray(np.nanmean(rows, axis=1))


def _bad_days_left(series: pl.DataFrame, goal: DatedValue, as_of: date, places: int, decimals: int) -> int:
    """City-days that may still be bad, all places pooled and every day left counted as valid in every place."""
    inside = series.filter((pl.col("day") >= goal.period.start) & (pl.col("day") <= min(as_of, goal.period.end)))
    valid, good = int(inside["valid"].sum()), int(inside["hits"].sum())
    left = max(0, (goal.period.end - as_of).days) * places
    return budget.most_bad(valid + left, goal.value, decimals) - (valid - good)


def _trend(series: pl.DataFrame, target: Target) -> dict[str, Any] | None:
    """Theil-Sen slope of the monthly means with the seasonal Mann-Kendall test, per year in the target's unit."""
    assert target.air is not None
    months = (
        series.group_by(pl.col("day").dt.truncate("1mo").alias("month")).agg(pl.col("value").mean()).sort("month")
    )
    if months.height < _MONTHS_MIN:
        return None
    label = np.array([d.month for d in months["month"]])
    time = np.array([d.year + (d.month - 0.5) / 12 for d in months["month"]])
    scale = 100.0 if target.air.statistic == "good_day_rate" else 1.0
    values = trend.deseasonalise(months["value"].to_numpy() * scale, label)
    rng = np.random.default_rng(_SEED)
    block = max(1, round(months.height ** (1 / 3)))
    try:
        found = trend.theil_sen(time, values, rng=rng, season=label, block=block)
    except UsageError:
        return None
    span = Period(series["day"].min(), series["day"].max())  # type: ignore[arg-type]
    return {
        "method": "theil_sen",
        "detail": found.method,
        "slope_per_year": found.slope,
        "low": found.low,
        "high": found.high,
        "p": found.p,
        "significant": found.significant,
        "months": months.height,
        "period": span.label,
    }


def _said(left: Mapping[str, Any], target: Target) -> dict[str, str]:
    """The budget in one short sentence."""
    if left["days_left"] == 0:
        return {"zh": "评价期已结束", "en": "the period is over"}
    zh, en = [f"余{left['days_left']}天"], [f"{left['days_left']} d left"]
    if left["allowed_mean"] is not None:
        zh.append(f"余期均值≤{left['allowed_mean']:.1f} {target.unit}")
        en.append(f"mean of the rest <= {left['allowed_mean']:.1f} {target.unit}")
    if left["bad_days_left"] is not None:
        spare = int(left["bad_days_left"])
        zh.append(f"可再超{spare}个城市日" if spare >= 0 else f"已多超{-spare}个城市日")
        en.append(f"{spare} city-days may be bad" if spare >= 0 else f"{-spare} city-days too many already")
    if left["probability"] is not None:
        zh.append(f"达标概率{left['probability']:.0%}")
        en.append(f"chance {left['probability']:.0%}")
    return {"zh": "，".join(zh), "en": ", ".join(en)}
