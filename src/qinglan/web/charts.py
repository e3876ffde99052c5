"""Charts as data: small builders of ECharts options. Colours are names of the page's tokens (``"var(--accent)"``).

The page's script (static/charts.js) fetches an option, puts the theme's colours in and draws; it decides nothing.
A missing value is None and stays a gap. Times are official labels as text, or UTC milliseconds for long series.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from starlette.responses import Response

Option = dict[str, Any]

#: Distinct in hue and in lightness (Okabe and Ito 2008), so that they hold in grey and for colour-blind readers.
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6d1f", "#4a5d66")
SYMBOLS = ("circle", "rect", "triangle", "diamond", "emptyCircle", "emptyRect", "emptyTriangle", "emptyDiamond")
LEVEL_COLOURS = ("#9aa5ab", "rgb(0,228,0)", "rgb(255,255,0)", "rgb(255,126,0)", "rgb(255,0,0)", "rgb(153,0,76)",
                 "rgb(126,0,35)")  # fmt: skip
_AXIS = {
    "axisLine": {"lineStyle": {"color": "var(--line-2)"}},
    "axisTick": {"show": False},
    "axisLabel": {"color": "var(--ink-2)"},
    "splitLine": {"lineStyle": {"color": "var(--line)"}},
}


def answer(option: Option, headers: Mapping[str, str] | None = None) -> Response:
    """The JSON of an option."""
    return Response(orjson.dumps(option, option=orjson.OPT_SERIALIZE_NUMPY), media_type="application/json",
                    headers=dict(headers or {}))  # fmt: skip


def value_axis(name: str = "", **more: Any) -> Option:
    """A number axis; `name` carries the unit."""
    return {"type": "value", "name": name, "nameTextStyle": {"color": "var(--ink-3)", "align": "left"},
            **_AXIS, **more}  # fmt: skip


def category_axis(names: Sequence[str], **more: Any) -> Option:
    """An axis of names."""
    return {"type": "category", "data": list(names), **_AXIS, "splitLine": {"show": False}, **more}


def time_axis(**more: Any) -> Option:
    """An axis of moments."""
    return {"type": "time", **_AXIS, "splitLine": {"show": False}, **more}


def limit_line(value: float, text: str) -> Option:
    """A `markLine` at a limit."""
    return {
        "silent": True, "symbol": "none",
        "label": {"formatter": text, "color": "var(--bad)", "position": "insideEndTop"},
        "lineStyle": {"color": "var(--bad)", "type": "dashed"}, "data": [{"yAxis": value}],
    }  # fmt: skip


def _legend(count: int) -> Option:
    """Names of the series above a chart, to be scrolled where they are many; none for a single one."""
    ink = {"color": "var(--ink-2)"}
    return {"type": "scroll", "top": 0, "left": 64, "right": 0, "textStyle": ink, "pageTextStyle": ink,
            "show": count > 1}  # fmt: skip


def lines(
    series: Mapping[str, Sequence[Any]],
    *,
    names: Sequence[str] | None = None,
    unit: str = "",
    zoom: bool = False,
    limit: tuple[float, str] | None = None,
    area: bool = False,
) -> Option:
    """Lines over names, or over time when `names` is None and the points are ``[milliseconds, value]``.

    series : by its name in the reader's language, values in order (None is a gap).
    limit : value and words of a dashed line.
    """
    made = []
    for k, (name, values) in enumerate(series.items()):
        one: Option = {
            "type": "line", "name": name, "data": list(values), "connectNulls": False,
            "color": PALETTE[k % len(PALETTE)],
            "symbol": SYMBOLS[k % len(SYMBOLS)], "symbolSize": 5, "showSymbol": len(values) <= 62,
            "lineStyle": {"width": 1.6}, "sampling": "lttb" if len(values) > 2000 else None,
        }  # fmt: skip
        if area:
            one["areaStyle"] = {"opacity": 0.12}
        if limit is not None and k == 0:
            one["markLine"] = limit_line(*limit)
        made.append(one)
    option: Option = {
        "grid": {"left": 8, "right": 16, "top": 40, "bottom": 56 if zoom else 8, "containLabel": True},
        "legend": _legend(len(series)),
        "tooltip": {"trigger": "axis"},
        "xAxis": time_axis() if names is None else category_axis(names),
        "yAxis": value_axis(unit, scale=False),
        "series": made,
    }
    if zoom:
        option["dataZoom"] = [
            {"type": "inside"},
            {"type": "slider", "height": 22, "bottom": 8, "brushSelect": False},
        ]
    return option


def bars(
    series: Mapping[str, Sequence[Any]],
    names: Sequence[str],
    *,
    unit: str = "",
    stacked: bool = False,
    colours: Sequence[str] | None = None,
    flat: bool = False,
    limit: tuple[float, str] | None = None,
) -> Option:
    """Bars beside (or on) one another; `flat` lays them down, for long names."""
    hues = colours or PALETTE
    made = [
        {"type": "bar", "name": name, "data": list(values), "stack": "all" if stacked else None,
         "color": hues[k % len(hues)], "barMaxWidth": 28,
         "itemStyle": {"borderColor": "var(--ink-3)", "borderWidth": 0.4}}
        for k, (name, values) in enumerate(series.items())
    ]  # fmt: skip
    if limit is not None and made:
        made[0]["markLine"] = limit_line(*limit)
    number, name_axis = value_axis(unit), category_axis(names, inverse=flat)
    return {
        "grid": {"left": 8, "right": 24, "top": 40, "bottom": 8, "containLabel": True},
        "legend": _legend(len(series)),
        "tooltip": {"trigger": "axis", "axisPointer": {"type": "shadow"}},
        "xAxis": number if flat else name_axis,
        "yAxis": name_axis if flat else number,
        "series": made,
    }


def heatmap(
    cells: Sequence[Sequence[Any]], across: Sequence[str], down: Sequence[str], *, unit: str = "",
    low: float | None = None, high: float | None = None, pieces: Sequence[Mapping[str, Any]] | None = None,
) -> Option:  # fmt: skip
    """A matrix: `cells` are ``[column, row, value]``; colours run from light to dark, or by `pieces`."""
    known = [cell[2] for cell in cells if cell[2] is not None]
    scale: Option = {
        "type": "piecewise" if pieces else "continuous", "orient": "horizontal", "right": 0, "top": 0,
        "itemHeight": 90,
        "text": None if pieces else ["", unit], "textStyle": {"color": "var(--ink-2)"}, "calculable": False,
    }  # fmt: skip
    if pieces:
        scale["pieces"] = list(pieces)
    else:
        scale |= {"min": min(known, default=0) if low is None else low,
                  "max": max(known, default=1) if high is None else high,
                  "inRange": {"color": ["#f7fbff", "#c6dbef", "#6baed6", "#2171b5", "#08306b"]}}  # fmt: skip
    return {
        "grid": {"left": 8, "right": 8, "top": 48, "bottom": 8, "containLabel": True},
        "tooltip": {"trigger": "item"},
        "xAxis": category_axis(across), "yAxis": category_axis(down, inverse=True),
        "visualMap": scale,
        "series": [{"type": "heatmap", "data": [list(c) for c in cells],
                    "itemStyle": {"borderColor": "var(--card)", "borderWidth": 1}}],
    }  # fmt: skip


def sankey(
    layers: Sequence[Sequence[str]], links: Sequence[tuple[int, str, str, float]], *, unit: str = ""
) -> Option:
    """Flows from left to right: names by layer, and links as (layer they leave, from, to, value).

    A name may stand in several layers: each is told apart by marks that nobody sees.
    """

    def node(layer: int, name: str) -> str:
        return name + "\u200b" * layer

    nodes = [
        {"name": node(k, name), "depth": k,
         "itemStyle": {"color": PALETTE[n % len(PALETTE)], "borderColor": "var(--card)"}}
        for k, names in enumerate(layers) for n, name in enumerate(names)
    ]  # fmt: skip
    made = [{"source": node(k, a), "target": node(k + 1, b), "value": value} for k, a, b, value in links]
    return {
        "tooltip": {"trigger": "item"},
        "series": [{
            "type": "sankey", "data": nodes, "links": made, "left": 4, "right": 96, "top": 8, "bottom": 8,
            "nodeWidth": 14, "nodeGap": 9, "draggable": False,
            "emphasis": {"focus": "adjacency"}, "labelLayout": {"hideOverlap": True},
            "label": {"color": "var(--ink)", "fontSize": 12, "width": 170, "overflow": "truncate"},
            "lineStyle": {"color": "source", "opacity": 0.28, "curveness": 0.5}, "name": unit,
        }],
    }  # fmt: skip


def rose(
    directions: Sequence[str], rings: Mapping[str, Sequence[float | None]], *, unit: str = "%",
    colours: Sequence[str] = ("#c6dbef", "#6baed6", "#2171b5", "#08306b", "#041a3a"),
) -> Option:  # fmt: skip
    """A rose: for each direction (clockwise from north) a stack of shares by class."""
    made = [
        {"type": "bar", "name": name, "data": list(values), "coordinateSystem": "polar", "stack": "all",
         "color": colours[k % len(colours)], "itemStyle": {"borderColor": "var(--card)", "borderWidth": 0.5}}
        for k, (name, values) in enumerate(rings.items())
    ]  # fmt: skip
    half = 180 / len(directions)
    return {
        "polar": {"radius": "68%", "center": ["50%", "54%"]},
        "legend": {"top": 0, "textStyle": {"color": "var(--ink-2)"}},
        "tooltip": {"trigger": "axis"},
        "angleAxis": {"type": "category", "data": list(directions), "startAngle": 90 + half, "clockwise": True,
                      "axisLabel": {"color": "var(--ink-2)"},
                      "axisLine": {"lineStyle": {"color": "var(--line-2)"}}},
        "radiusAxis": {"axisLabel": {"color": "var(--ink-3)", "formatter": "{value} " + unit},
                       "splitLine": {"lineStyle": {"color": "var(--line)"}}, "axisLine": {"show": False}},
        "series": made,
    }  # fmt: skip
