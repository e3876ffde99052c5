"""Tables of the evaluation pages: places in a period, one place and its limits, comparisons, ranks over time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from qinglan.core.clock import Period
from qinglan.core.errors import UnknownName, UsageError
from qinglan.core.names import DAILY_ITEMS, quantity
from qinglan.core.rounding import exact, half_even
from qinglan.flow.evaluate_any import Assessed
from qinglan.flow.views.places import SORTABLE, leading, places
from qinglan.flow.views.result import DUST, Result, Row

#: What is compared, with the decimals it is printed with; a change of a share is in percentage points.
METRICS: Mapping[str, int] = {
    **{item: quantity(item).decimals for item in DAILY_ITEMS},
    "composite_index": 2, "raw_good_rate": 1, "adjusted_good_rate": 1, "raw_good_days": 0, "raw_heavy_days": 0,
}  # fmt: skip
SHARES = ("raw_good_rate", "adjusted_good_rate")
#: More is better for these; for all others less is.
MORE_IS_BETTER = ("raw_good_rate", "adjusted_good_rate", "raw_good_days")
KINDS = ("year", "half", "quarter", "month")
FIELDS = ("prefectures", "counties")


def kind_of(period: Period) -> str:
    """year, half, quarter, month or span.

    >>> kind_of(Period.parse("2025Q1")), kind_of(Period.parse("2025-03"))
    ('quarter', 'month')
    """
    label = period.label
    return {4: "year", 7: "month", 6: "quarter" if "Q" in label else "half"}.get(len(label), "span")


def asked_period(first: str, last: str) -> Period | None:
    """The period of a first and a last day; None when neither is given, UsageError when they make none."""
    if not first and not last:
        return None
    try:
        found = Period(date.fromisoformat(first), date.fromisoformat(last))
    except ValueError:
        raise UsageError(
            f"first day {first!r} and last day {last!r} make no period.", remedy="Write both as YYYY-MM-DD."
        ) from None
    return found


def table(result: Result, assessed: Assessed, dust: str, sort: str = "rank", down: bool = False) -> list[Row]:
    """Places of a period side by side: `summary`, `ranking` and, as ``items``, each item's leading statistic.

    A missing value sorts last in either direction.
    """
    if dust not in DUST:
        raise UnknownName("dust treatment", dust, DUST)
    if sort not in SORTABLE:
        raise UnknownName("column to sort by", sort, SORTABLE)
    known = places(result)
    taken = {name: [r for r in assessed.tables[name] if r["dust"] == dust] for name in ("summary", "evaluation")}
    ranks = {r["place"]: r for r in assessed.tables["ranking"] if r["dust"] == dust}
    items = leading(taken["evaluation"], assessed.period.end)
    rows = [
        {"rank": None, "change_percent": None, "previous_index": None, **ranks.get(r["place"], {}), **r,
         **known[r["place"]], "items": items.get(r["place"], {})}
        for r in taken["summary"]
    ]  # fmt: skip

    def value(row: Row) -> Any:
        return (row["items"].get(sort) or {}).get("value") if sort in DAILY_ITEMS else row.get(sort)

    there = sorted((r for r in rows if value(r) is not None), key=value, reverse=down)
    return there + [r for r in rows if value(r) is None]


def of_place(assessed: Assessed, code: str, dust: str) -> Row:
    """One place of a period: `summary`, its `statistics` in the order of the items, its `exceedance` by item.

    UnknownName when the period holds no day of it.
    """
    found = [r for r in assessed.tables["summary"] if r["place"] == code and r["dust"] == dust]
    if not found:
        raise UnknownName("place with days in this period", code, _codes(assessed))
    rows = [r for r in assessed.tables["evaluation"] if r["place"] == code and r["dust"] == dust]
    order = {item: k for k, item in enumerate(DAILY_ITEMS)}
    return {
        "summary": found[0],
        "statistics": sorted(rows, key=lambda r: (order[r["item"]], r["statistic"] != "mean", r["statistic"])),
        "exceedance": {r["item"]: r for r in assessed.tables["exceedance"] if r["place"] == code},
    }


def _codes(assessed: Assessed) -> list[str]:
    return sorted({r["place"] for r in assessed.tables["summary"]})


def values(assessed: Assessed, dust: str) -> dict[str, dict[str, Row]]:
    """By place and metric: the printed `value`, its `limit` (items), and `valid`: the period had enough data."""
    rows = [r for r in assessed.tables["evaluation"] if r["dust"] == dust]
    items = leading(rows, assessed.period.end)
    found: dict[str, dict[str, Row]] = {}
    for summary in (r for r in assessed.tables["summary"] if r["dust"] == dust):
        code = summary["place"]
        found[code] = {name: _metric(name, items.get(code, {}).get(name), summary) for name in METRICS}
    return found


def _metric(name: str, item: Row | None, summary: Row) -> Row:
    row = item if name in DAILY_ITEMS else summary
    raw = None if row is None else row.get("value" if name in DAILY_ITEMS else name)
    return {
        "value": None if raw is None else float(half_even(raw, METRICS[name])),
        "limit": item.get("limit") if item is not None else None,
        "valid": bool(row and row.get("data_valid")),
    }


def change(before: float | None, after: float | None, metric: str) -> Row:
    """Absolute `change` and `percent` [%] from one printed value to another; a share changes in points only.

    >>> change(40.0, 36.0, "pm2_5")
    {'change': -4.0, 'percent': -10.0, 'better': True}
    """
    if before is None or after is None:
        return {"change": None, "percent": None, "better": None}
    step = exact(after) - exact(before)
    share = None if metric in SHARES or not before else float(half_even(100 * step / exact(before), 1))
    better = None if not step else (step > 0) == (metric in MORE_IS_BETTER)
    return {"change": float(half_even(step, METRICS[metric])), "percent": share, "better": better}


def compared(what: Row, before: Row, after: Row) -> Row:
    """A line of a comparison: what it is, both values, the change, and whether both are valid."""
    return {
        **what,
        "before": before["value"],
        "after": after["value"],
        "limit": after["limit"],
        "before_valid": before["valid"],
        "after_valid": after["valid"],
        "both_valid": before["valid"] and after["valid"],
        **change(before["value"], after["value"], what["metric"]),
    }


_NOTHING: Row = {"value": None, "limit": None, "valid": False}


def compare_periods(result: Result, now: Assessed, then: Assessed, dust: str, metric: str) -> list[Row]:
    """Each place of a period against another period, by one metric; counties last."""
    if metric not in METRICS:
        raise UnknownName("metric", metric, tuple(METRICS))
    known, new, old = places(result), values(now, dust), values(then, dust)
    return [
        compared(
            {**known[code], "metric": metric},
            old.get(code, {}).get(metric, _NOTHING),
            new.get(code, {}).get(metric, _NOTHING),
        )
        for code in sorted({*new, *old}, key=lambda c: (known[c]["level"] == "county", c))
    ]


def compare_one(now: Assessed, then: Assessed, after: str, before: str, dust: str) -> list[Row]:
    """All metrics of the place `after` in the period `now` against the place `before` in `then`."""
    new, old = values(now, dust).get(after, {}), values(then, dust).get(before, {})
    return [compared({"metric": m}, old.get(m, _NOTHING), new.get(m, _NOTHING)) for m in METRICS]


def rank_history(result: Result, kind: str, dust: str, field: str, most: int = 24) -> Row:
    """Ranks of a field of places over the newest `most` periods of a kind, oldest first.

    ``periods``: labels; ``rows``: places by newest rank, with ``ranks`` (by label a row of `ranking`).
    """
    for what, asked, choices in (("kind of period", kind, KINDS), ("dust treatment", dust, DUST),
                                 ("field of places", field, FIELDS)):  # fmt: skip
        if asked not in choices:
            raise UnknownName(what, asked, choices)
    counties = field == "counties"
    found = [
        r for r in result.rows("ranking", "dust = $dust", dust=dust)
        if kind_of(Period.parse(r["period"])) == kind and (not r["place"].endswith("00")) == counties
    ]  # fmt: skip
    labels = sorted({r["period"] for r in found if r["rank"] is not None}, key=lambda x: Period.parse(x).end)[
        -most:
    ]
    known = places(result)
    by_place: dict[str, dict[str, Row]] = {}
    for row in found:
        if row["period"] in labels:
            by_place.setdefault(row["place"], {})[row["period"]] = row
    newest = labels[-1] if labels else ""
    rows = [{**known[code], "ranks": ranks, "now": ranks.get(newest)} for code, ranks in by_place.items()]
    rows.sort(key=lambda r: ((r["now"] or {}).get("rank") or 10_000, r["place"]))
    return {"periods": labels, "rows": rows}
