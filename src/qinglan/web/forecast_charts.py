"""Charts of the forecast: the fan of a pollutant, the probability of each level, skill by lead day."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from qinglan.web import charts
from qinglan.web.charts import Option

Row = Mapping[str, Any]
_FAN = "#0072b2"
_GAP = "-"
#: Where a legend begins, beside the name of the axis [px].
_ASIDE = 96


def fan(
    observed: Sequence[Row],
    forecast: Sequence[Row],
    names: Mapping[str, str],
    unit: str,
    label: Callable[[Any], str] = str,
) -> Option:
    """Observed days (or hours), then the median with the ranges of 50 and 90 per cent.

    label : what an instant is called on the axis.
    names : words of `observed`, `median`, `half`, `most`. A range is the sum of two areas of which the lower one
    is not seen; its ends are lines without colour, so that the tooltip says them.
    """
    days = sorted({row["day"] for row in (*observed, *forecast)})
    said = {row["day"]: row for row in forecast}
    seen = {row["day"]: row["observed"] for row in observed}

    def column(name: str) -> list[Any]:
        return [round(said[day][name], 2) if day in said else _GAP for day in days]

    def width(low: str, high: str) -> list[Any]:
        return [round(said[day][high] - said[day][low], 2) if day in said else _GAP for day in days]

    shown = [_GAP if seen.get(day) is None else seen[day] for day in days]
    base: Option = {"type": "line", "symbol": "none", "silent": True, "color": _FAN, "lineStyle": {"width": 0}}
    series: list[Option] = [
        {**base, "silent": False, "name": names["observed"], "data": shown, "color": "var(--ink)",
         "symbol": "circle", "symbolSize": 5, "lineStyle": {"width": 1.6}},
        {**base, "silent": False, "name": names["median"], "data": column("q50"), "symbol": "rect",
         "symbolSize": 6, "lineStyle": {"width": 2}},
        *({**base, "name": name, "data": column(name)} for name in ("q25", "q75", "q05", "q95")),
        {**base, "name": "a", "stack": "most", "data": column("q05")},
        {**base, "name": names["most"], "stack": "most", "data": width("q05", "q95"),
         "areaStyle": {"opacity": 0.16}},
        {**base, "name": "b", "stack": "half", "data": column("q25")},
        {**base, "name": names["half"], "stack": "half", "data": width("q25", "q75"),
         "areaStyle": {"opacity": 0.28}},
    ]  # fmt: skip
    option = charts.lines({}, names=[label(day) for day in days], unit=unit)
    option["series"] = series
    option["legend"] |= {
        "show": True,
        "left": _ASIDE,
        "data": [names[n] for n in ("observed", "median", "half", "most")],
    }
    option["tooltip"] = {
        "trigger": "axis",
        "formatter": "{b}\n{a0} {c0}\n{a1} {c1}\n50 %: {c2} – {c3}\n90 %: {c4} – {c5}",
    }
    return option


def levels(rows: Sequence[Row], names: Sequence[str], unit: str) -> Option:
    """Probability of each level [%] by day, stacked, in the colours of the levels."""
    series = {name: [round(100 * row[f"p{n}"], 1) for row in rows] for n, name in enumerate(names, 1)}
    option = charts.bars(
        series, [row["day"].isoformat()[5:] for row in rows], unit=unit, stacked=True,
        colours=charts.LEVEL_COLOURS[1:],
    )  # fmt: skip
    option["yAxis"]["max"] = 100
    option["legend"]["left"] = _ASIDE
    return option


def reliability(rows: Sequence[Row], said: str, names: Mapping[int, str], unit: str) -> Option:
    """How often [%] came what was said with a probability, by its class; on the line `said` both are alike.

    names : of each AQI that may be exceeded.
    """
    classes = [f"{10 * n}–{10 * n + 10}" for n in range(10)]
    series: dict[str, Sequence[Any]] = {said: [10 * n + 5 for n in range(10)]}
    for top, name in names.items():
        came = {r["bin"]: round(100 * r["came"], 1) for r in rows if r["top"] == top}
        series[name] = [came.get(n) for n in range(10)]
    option = charts.lines(series, names=classes, unit=unit)
    option["legend"] |= {"show": True, "left": _ASIDE}
    for line in option["series"]:
        line |= {"symbol": "circle", "symbolSize": 6, "connectNulls": True}
    option["series"][0] |= {"symbol": "none", "lineStyle": {"type": "dashed", "width": 1.2}}
    return option


def skill(against: Mapping[str, Sequence[Row]], groups: Sequence[str], unit: str) -> Option:
    """Skill [%] by group against each other forecast, bars beside one another."""
    series = {
        name: [None if row["skill"] is None else round(100 * row["skill"], 1) for row in rows]
        for name, rows in against.items()
    }
    option = charts.bars(series, groups, unit=unit)
    option["legend"]["left"] = _ASIDE
    return option
