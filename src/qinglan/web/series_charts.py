"""ECharts options of series, patterns and roses. What a chart shows is decided here, drawn by static/charts.js."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qinglan.air.patterns import Means
from qinglan.air.rose import Rose
from qinglan.core.clock import CST
from qinglan.core.names import HOURLY_ITEMS
from qinglan.core.rounding import shown
from qinglan.web import charts
from qinglan.web.site import CALM
from qinglan.web.text import Text

Option = dict[str, Any]

#: Official wall time is drawn as if it were UTC, so that a browser in any zone shows the same clock.
_CST = np.timedelta64(8, "h")
_CROSS = "path://M1,1L9,9M9,1L1,9"
MARKS = {"invalid": (_CROSS, "var(--bad)"), "missing": ("emptyTriangle", "var(--ink-3)"),
         "below_detection": ("emptyCircle", "var(--warn)")}  # fmt: skip


#: Headers of a chart: the reader asks again, and gets it again only when it changed.
KEPT = {"Cache-Control": CALM, "Vary": "Cookie"}


def wall(time: NDArray[np.datetime64]) -> NDArray[np.int64]:
    """UTC hour ends as the milliseconds of their official wall time."""
    return (time + _CST).astype("datetime64[ms]").astype(np.int64)


def wall_of(time: datetime) -> int:
    """One instant as :func:`wall`."""
    return round(time.astimezone(CST).replace(tzinfo=UTC).timestamp() * 1000)


def day_ms(day: date) -> int:
    """A day as milliseconds."""
    return round(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)


def _number(value: float, decimals: int) -> float | None:
    return None if value is None or math.isnan(value) else round(float(value), decimals)


def clean(values: Sequence[float] | NDArray[np.float64], decimals: int = 3) -> list[float | None]:
    """Numbers for JSON: NaN becomes None, no more decimals than say something.

    >>> clean([1.23456, float("nan")])
    [1.235, None]
    """
    return [None if v != v else v for v in np.round(np.asarray(values, np.float64), decimals).tolist()]


def panes(
    words: Text,
    moments: Sequence[int] | NDArray[np.int64],
    values: Mapping[str, Sequence[float | None]],
    marks: Mapping[str, Mapping[str, Sequence[tuple[int, float]]]] | None = None,
    bands: Sequence[tuple[int, int]] = (),
) -> Option:
    """Six panes above one another on one clock, zoomed together.

    moments : milliseconds of wall time, the same for all items. values : item to numbers, None is a gap.
    marks : by state, by item, moments with the value that was reported. bands : spans shaded over every pane.
    """
    items = list(values)
    dense = len(moments) <= 800
    tall, gap, top = 58.0 / len(items), 28.0 / len(items), 5.5
    grids, across, down, series = [], [], [], []
    for k, item in enumerate(items):
        grids.append({"left": 52, "right": 12, "top": f"{top + k * (tall + gap):.2f}%", "height": f"{tall:.2f}%"})
        bottom = k == len(items) - 1
        across.append(
            charts.time_axis(gridIndex=k) | {"axisLabel": {"show": bottom, "color": "var(--ink-2)",
                                                           "hideOverlap": True}}
        )  # fmt: skip
        title = f"{words.item(item)}  {words.unit(item)}"
        down.append(charts.value_axis(title, gridIndex=k, splitNumber=2, nameGap=6, scale=False))
        line: Option = {
            "type": "line", "name": words.item(item), "xAxisIndex": k, "yAxisIndex": k,
            "encode": {"x": "t", "y": item}, "color": charts.PALETTE[k % len(charts.PALETTE)],
            "showSymbol": False, "connectNulls": False, "lineStyle": {"width": 1.3},
            "sampling": None if dense else "lttb",
        }  # fmt: skip
        if bands:
            line["markArea"] = {"silent": True, "itemStyle": {"color": "var(--warn)", "opacity": 0.16},
                                "data": [[{"xAxis": a}, {"xAxis": b}] for a, b in bands]}  # fmt: skip
        series.append(line)
        series += _marks(words, item, k, marks or {})
    return {
        "useUTC": True,
        "dataset": {"source": {"t": list(map(int, moments)), **{i: list(v) for i, v in values.items()}}},
        "grid": grids, "xAxis": across, "yAxis": down, "series": series,
        "axisPointer": {"link": [{"xAxisIndex": "all"}], "lineStyle": {"color": "var(--ink-3)"}},
        "tooltip": {"trigger": "axis"},
        "dataZoom": [
            {"type": "inside", "xAxisIndex": list(range(len(items))), "zoomOnMouseWheel": "ctrl",
             "moveOnMouseWheel": False},
            {"type": "slider", "xAxisIndex": list(range(len(items))), "height": 20, "bottom": 6,
             "brushSelect": False},
        ],
    }  # fmt: skip


def _marks(
    words: Text, item: str, pane: int, marks: Mapping[str, Mapping[str, Sequence[tuple[int, float]]]]
) -> list[Option]:
    """What control set aside, as it was reported: a shape for each state."""
    made = []
    for state, (symbol, colour) in MARKS.items():
        points = marks.get(state, {}).get(item, ())
        if points:
            made.append(
                {"type": "scatter", "name": words("station.mark", item=words.item(item),
                                                  state=words.word("state", state)),
                 "xAxisIndex": pane, "yAxisIndex": pane, "symbol": symbol, "symbolSize": 8, "color": colour,
                 "itemStyle": {"borderColor": colour, "borderWidth": 1.5},
                 "data": [list(point) for point in points]}
            )  # fmt: skip
    return made


def flag_marks(flags: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, list[tuple[int, float]]]]:
    """Flags as :func:`panes` takes them; a value flagged by several rules is one mark, a missing one none."""
    found: dict[str, dict[str, dict[int, float]]] = {}
    for row in flags:
        if row["reported"] is not None and row["item"] in HOURLY_ITEMS:
            found.setdefault(row["state"], {}).setdefault(row["item"], {})[wall_of(row["time"])] = row["reported"]
    return {s: {i: sorted(points.items()) for i, points in items.items()} for s, items in found.items()}


def means_line(words: Text, names: Sequence[str], made: Means, unit: str, decimals: int = 2) -> Option:
    """Means with the band of their interval."""
    low, mean, high = (clean(v, decimals) for v in (made.low, made.mean, made.high))
    wide = [None if a is None or b is None else round(b - a, decimals) for a, b in zip(low, high, strict=True)]
    floor = [v for v in low if v is not None] or [v for v in mean if v is not None]
    band = {"type": "line", "stack": "interval", "symbol": "none", "lineStyle": {"opacity": 0},
            "color": charts.PALETTE[0]}  # fmt: skip
    option: Option = {
        "grid": {"left": 8, "right": 16, "top": 32, "bottom": 8, "containLabel": True},
        "tooltip": {"trigger": "axis"},
        "xAxis": charts.category_axis(names),
        "yAxis": charts.value_axis(unit, scale=True),
        "series": [
            {**band, "name": words("station.low"), "data": low},
            {**band, "name": words("station.width"), "data": wide, "areaStyle": {"opacity": 0.22}},
            {"type": "line", "name": words("station.mean"), "data": mean, "color": charts.PALETTE[0],
             "symbol": "circle", "symbolSize": 5, "lineStyle": {"width": 2}},
        ],
    }  # fmt: skip
    if floor and min(floor) < 0.5 * max(v for v in high if v is not None) if any(high) else False:
        option["yAxis"]["scale"] = False
    return option


def week_map(words: Text, made: Means, unit: str, decimals: int = 1) -> Option:
    """Hours across, weekdays down."""
    values = clean(made.mean, decimals)
    cells = [[k % 24, k // 24, value] for k, value in enumerate(values) if value is not None]
    days = [words(f"weekday.long.{n}") for n in range(7)]
    return charts.heatmap(cells, [str(h) for h in range(1, 25)], days, unit=unit)


def classes(made: Rose, unit: str) -> list[str]:
    """Names of a rose's classes.

    >>> from types import SimpleNamespace as N
    >>> classes(N(edges=(0.0, 2.0, 4.0)), "m/s")
    ['0–2 m/s', '2–4 m/s', '> 4 m/s']
    """
    edges = [f"{edge:g}" for edge in made.edges]
    return [f"{a}–{b} {unit}" for a, b in pairwise(edges)] + [f"> {edges[-1]} {unit}"]


def rose_chart(words: Text, made: Rose, unit: str) -> Option:
    """Shares by direction, stacked by class."""
    names = [words(f"direction.{k}") for k in range(len(made.sectors))]
    rings = {name: clean(made.share[:, k], 2) for k, name in enumerate(classes(made, unit))}
    colours = ("#deebf7", "#9ecae1", "#56b4e9", "#e69f00", "#d55e00", "#8c2d04", "#4a1486", "#14242b")
    return charts.rose(names, rings, colours=colours)


def printed(value: float | None, item: str, decimals: int | None = None) -> str | None:
    """A statistic for a table: one decimal more than the concentration is printed with."""
    places = (1 if item == "co" else 0) + 1 if decimals is None else decimals
    return None if value is None or math.isnan(value) else shown(value, places)
