"""Trend of a place's pollutant over the years, and a place beside the rulers of WHO, EU and US."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

import numpy as np
import polars as pl

from qinglan.air import comparators, trend
from qinglan.core.clock import Period
from qinglan.core.errors import NotFound, QinglanError, UnknownName, UsageError
from qinglan.core.names import DAILY_ITEMS
from qinglan.flow import console_settings
from qinglan.flow.air_results import Options
from qinglan.flow.decide import place_code
from qinglan.flow.run import air_tables, data_span
from qinglan.flow.workspace import Workspace
from qinglan.plan.rules import load_book, rules_on

Progress = Callable[[str], None]
COMPARATORS = ("who2021", "eu2024", "usepa2024")
_SEED = 20240628


def place_trend(
    workspace: Workspace, place: str, item: str, dust: str, options: Options, progress: Progress
) -> dict[str, Any]:
    """Annual values with the rank test of HJ 663, monthly means with a Theil-Sen slope and its interval.

    The annual value is the statistic that the ranking takes: the mean, for CO and ozone the percentile. The slope
    is of the de-seasonalised monthly means, with the seasonal Mann-Kendall test and a block bootstrap.
    """
    if item not in DAILY_ITEMS:
        raise UnknownName("item", item, DAILY_ITEMS)
    code = place_code(workspace, place)
    first, last = data_span(workspace)
    years = [Period.year(y) for y in range(first.year, last.year + 1) if Period.year(y).end <= last]
    months = [Period.month(y, m) for y in range(first.year, last.year + 1) for m in range(1, 13)]
    months = [p for p in months if p.end <= last and p.start >= first.replace(day=1)]
    air, _, _ = air_tables(workspace, last, options=options, periods=[*years, *months], progress=progress)
    try:
        table = air["evaluation"].filter(lambda t: (t.place == code) & (t["item"] == item) & (t.dust == dust))
        rows = air.con.to_pyarrow(table).to_pylist()
    finally:
        air.con.disconnect()
    if not rows:
        raise NotFound(f"no {item} of {place} in this workspace.", remedy="Load its observations first.")
    rules = rules_on(last, console_settings.options(workspace, options))
    wanted = rules.ranking.get(f"item.{item}").value
    statistic = "mean" if wanted == "mean" else f"p{int(wanted)}"
    found = {(r["period"], r["statistic"]): r for r in rows}
    annual = [found[p.label, statistic] for p in years if (p.label, statistic) in found]
    monthly = [(p, found[p.label, "mean"]["value"]) for p in months if (p.label, "mean") in found]
    return {
        "place": code,
        "item": item,
        "dust": dust,
        "statistic": statistic,
        "annual": [{k: r[k] for k in ("period", "value", "shown", "data_valid", "edition")} for r in annual],
        "rank_test": _or_why(lambda: _rank_test(annual, rules)),
        "slope": _or_why(lambda: _slope(monthly)),
    }


def _or_why(test: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """A test's result, or why it cannot be made."""
    try:
        return test()
    except QinglanError as reason:
        return {"not_made": str(reason)}


def _rank_test(annual: Sequence[dict[str, Any]], rules: Any) -> dict[str, Any]:
    book = rules.evaluation
    found = trend.spearman(
        [int(r["period"]) for r in annual],
        [r["value"] for r in annual],
        book.get("spearman.critical").value,
        years_min=int(book.number("spearman.years_min")),
        ties=book.option("spearman_ties"),
    )
    return {
        "coefficient": found.coefficient,
        "critical": found.critical,
        "years": found.years,
        "direction": found.direction,
        "significant": found.significant,
    }


def _slope(monthly: Sequence[tuple[Period, float]]) -> dict[str, Any]:
    month = np.array([p.start.month for p, _ in monthly])
    time = np.array([p.start.year + (p.start.month - 0.5) / 12 for p, _ in monthly])
    values = trend.deseasonalise(np.array([v for _, v in monthly]), month)
    block = max(1, round(len(monthly) ** (1 / 3)))
    found = trend.theil_sen(time, values, rng=np.random.default_rng(_SEED), season=month, block=block)
    return {
        "per_year": found.slope,
        "low": found.low,
        "high": found.high,
        "p": found.p,
        "tau": found.tau,
        "months": found.n,
        "significant": found.significant,
        "method": found.method,
    }


def compare(
    workspace: Workspace, year: int, ruler: str, places: Sequence[str] | None, options: Options, progress: Progress
) -> dict[str, Any]:
    """Places and a year beside a comparator (WHO 2021, EU 2024/2881, US EPA 2024), each form as its text says."""
    if ruler not in COMPARATORS:
        raise UnknownName("comparator", ruler, COMPARATORS)
    first, last = data_span(workspace)
    if not first.year <= year <= last.year:
        raise UsageError(f"there are no data of {year}.", remedy=f"The data run from {first} to {last}.")
    air, _, _ = air_tables(
        workspace, date(year, 12, 31), options=options, periods=[Period.year(year)], progress=progress
    )
    try:
        codes = [place_code(workspace, name) for name in places] if places else None
        days, hours = air["place_days"], air["place_hours"]
        if codes is not None:
            days, hours = (t.filter(t.place.isin(codes)) for t in (days, hours))
        limits = load_book("gb3095", date(year, 12, 31))
        table = comparators.compare(days, [year], load_book(ruler, date(year, 12, 31)), limits=limits, hours=hours)
        rows = pl.from_arrow(air.con.to_pyarrow(table))
    finally:
        air.con.disconnect()
    assert isinstance(rows, pl.DataFrame)
    found = rows.sort("place", "item", "form").to_dicts()
    for row in found:
        row.update(workspace.named(row["place"]))
    return {"year": year, "comparator": ruler, "rows": found}
