"""The forecast joined to the targets' remaining budget: the chance of meeting each, beside that without one.

What is observed stands; the next days are drawn from the newest forecast, the rest of the period from the same
days of past years (:mod:`qinglan.air.budget`). A course of days has one rank of error for all places, which the
next day keeps in part (rule book ``forecast``: `targets.carry`): the air of a region is one air. Concentrations
that are forecast hold dust, so of a mean without dust the forecast days count all particles; of days, those
that are not dust.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from statistics import NormalDist
from typing import Any

import ibis
import numpy as np
import polars as pl

from qinglan.air import evaluate
from qinglan.air.budget import Ahead
from qinglan.core.errors import NotFound
from qinglan.core.rulebook import Rules
from qinglan.flow.air_results import AirTables
from qinglan.flow.forecasts import reading
from qinglan.flow.outlook import budget_of, regional_days
from qinglan.flow.views.result import Result, current
from qinglan.flow.workspace import Workspace
from qinglan.forecast.air_index import QUANTILES, drawn
from qinglan.forecast.series import Floats
from qinglan.plan.pack import Target, load_plan
from qinglan.plan.rules import Suite, load_book, rules_on

Row = dict[str, Any]
#: Courses of days that are drawn from a forecast.
COURSES = 1000
_SEED = 20260301
_TABLES = ("place_days", "place_aqi", "dust_days")


def chances(workspace: Workspace) -> dict[str, Row]:
    """Of each target of the air whose period is not over, the chance of meeting it with the newest forecast.

    Returns
    -------
    target to `probability`, `without` (no forecast), `low`, `value`, `high` (projection with the forecast), `days`
    (forecast days that count), `forecast` and `basis` in both languages. Empty without a run or a forecast of days
    after its last one; without two past years there is no row, and of a mean whose dust goes by hours no row.
    """
    try:
        result, found = current(workspace), reading.newest(workspace)
    except NotFound:
        return {}
    as_of = date.fromisoformat(str(result.verdict["as_of"])[:10])
    days = tuple(d for d in map(date.fromisoformat, found.about["days"]) if d > as_of)
    plan = load_plan(workspace.settings.plan)
    if not days or any(not result.has(name) for name in _TABLES):
        return {}
    rules = rules_on(as_of, _options(result))
    air = _tables(result, rules)
    told = {}
    for target in plan.targets:
        if target.air is None or target.relative or target.comparison not in ("<=", ">="):
            continue
        goal = target.value_at(as_of)
        inside = tuple(d for d in days if goal.period.start <= d <= goal.period.end)
        clean = target.air.statistic == "mean" and target.air.dust == "out"
        if not inside or (clean and "clean_days" not in air.tables):
            continue
        places = plan.air_places(target, workspace.places)
        series = regional_days(air, target, places, rules)
        ahead = courses(found, target, places, inside)
        if series.is_empty() or ahead is None:
            continue
        joined = budget_of(series, target, goal, as_of, ahead)
        if joined.probability is not None:
            told[target.id] = _told(budget_of(series, target, goal, as_of), joined, ahead)
    return told


def _told(without: Any, joined: Any, ahead: Ahead) -> Row:
    line = joined.projection
    return {
        "probability": joined.probability, "without": without.probability, "days": len(ahead.days),
        "value": line.value if line else None, "low": line.low if line else None,
        "high": line.high if line else None, "forecast": ahead.name, "basis": dict(joined.basis),
    }  # fmt: skip


def _options(result: Result) -> dict[str, dict[str, str]]:
    """Options of the books of the air as the run had them."""
    known = set(Suite().families().values())
    return {r["book"]: dict(r["options"]) for r in result.verdict["run"].get("rules", []) if r["book"] in known}


def _tables(result: Result, rules: Rules) -> AirTables:
    """Tables of the run as the outlook reads them; `clean_days` where dust goes by whole days."""
    air = AirTables(ibis.duckdb.connect())
    for name in _TABLES:
        air.tables[name] = air.con.read_parquet(str(result.folder / f"{name}.parquet"))
    if rules.dust.option("removal") == "day_removal":
        air.tables["clean_days"] = evaluate.without_dust(air["place_days"], air["dust_days"], rules)
    return air


def courses(found: reading.Forecast, target: Target, places: Sequence[str], days: Sequence[date]) -> Ahead | None:
    """What a forecast says of a target's daily regional value as courses of days; None where it says nothing.

    A mean: the mean over the places [unit of the item]; a rate of good days: the share of places at most AQI 100
    [%]; heavy days: the number of places above AQI 200.
    """
    assert target.air is not None
    said = found.read(list(places))
    ranks = _ranks(len(days), load_book("forecast", days[0]).number("targets.carry"))
    columns = []
    kept = []
    for at, day in enumerate(days):
        if target.air.statistic == "mean":
            rows = said.values.filter((pl.col("day") == day) & (pl.col("item") == target.air.item)).drop_nulls(
                QUANTILES
            )
            value = drawn(rows.select(QUANTILES).to_numpy(), ranks[:, at]).mean(axis=0) if rows.height else None
        else:
            value = _counted(said.aqi.filter(pl.col("day") == day), target, ranks[:, at])
        if value is not None:
            columns.append(value)
            kept.append(day)
    return Ahead(tuple(kept), np.stack(columns, axis=1), found.id) if columns else None


def _counted(rows: pl.DataFrame, target: Target, ranks: Floats) -> Floats | None:
    """Share of good places [%] or number of heavily polluted ones, in each case of a day."""
    assert target.air is not None
    if rows.is_empty():
        return None
    if target.air.statistic == "good_day_rate":
        bad = rows["p_over"].to_numpy() - (rows["p_dust"].to_numpy() if target.air.dust == "out" else 0.0)
        good: Floats = 100 * (ranks[:, None] < 1 - bad[None, :]).mean(axis=1)
        return good
    heavy = (rows["p5"] + rows["p6"]).to_numpy()
    found: Floats = (ranks[:, None] >= 1 - heavy[None, :]).sum(axis=1).astype(np.float64)
    return found


def _ranks(days: int, carry: float) -> Floats:
    """(course, day): ranks 0..1 that are evenly spread on each day, and keep a part from one day to the next."""
    rng = np.random.default_rng(_SEED)
    score = np.empty((COURSES, days))
    for day in range(days):
        fresh = rng.standard_normal(COURSES)
        score[:, day] = fresh if day == 0 else carry * score[:, day - 1] + (1 - carry**2) ** 0.5 * fresh
    found: Floats = np.vectorize(NormalDist().cdf)(score)
    return found
