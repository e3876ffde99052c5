"""Stations: series, patterns, roses, statistics, capture, flags; each chart with its numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from qinglan.core.errors import NotFound, UnknownName
from qinglan.core.names import DAILY_ITEMS, HOURLY_ITEMS, quantity
from qinglan.flow import views
from qinglan.flow.views import patterns
from qinglan.flow.views import station as view
from qinglan.web import charts, series_charts
from qinglan.web.access import needs
from qinglan.web.series_charts import KEPT, Option, clean, printed
from qinglan.web.site import Site, site, words_of
from qinglan.web.text import Text, label_text

router = APIRouter()

STEPS = ("hour", "day")
#: Rows of a page of numbers; the files hold all.
PAGE = 500
FLAGS_SHOWN = 30
Numbers = tuple[dict[str, str], list[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a page or one of its charts is about."""

    workspace: views.Workspace
    result: views.Result
    words: Text
    code: str
    span: view.Window
    item: str
    step: str

    @property
    def unit(self) -> str:
        """Unit of the item."""
        return self.words.unit(self.item)

    def heads(self, items: tuple[str, ...]) -> dict[str, str]:
        """Headings of items with their units."""
        return {i: self.words("column.with_unit", name=self.words.item(i), unit=self.words.unit(i)) for i in items}


def _asked(
    request: Request, site: Site, result: views.Result, code: str, span: str | None, item: str, step: str | None
) -> Asked:
    """Judge the address: UnknownName for what there is not, NotFound for a station without hours."""
    window = view.window(site.workspace, result, code, span)
    if step is not None and step not in STEPS:
        raise UnknownName("step", step, STEPS)
    chosen = step or ("hour" if window.name in view.LAST else "day")
    return Asked(site.workspace, result, words_of(request), code, window, patterns.known_item(item), chosen)


@router.get("/stations", dependencies=[needs("air.view")])
def listing() -> Response:
    """The stations stand in the list of places."""
    return RedirectResponse("/places#stations", status_code=307)


@router.get("/stations/{station}", dependencies=[needs("air.view")])
def shown(
    request: Request,
    site: Annotated[Site, Depends(site)],
    station: str,
    span: str | None = None,
    item: str = "pm2_5",
    step: str | None = None,
) -> Response:
    """One station."""
    result = site.open(request)
    row = view.station(result, station)
    known = view.windows(site.workspace, result, station)
    places = views.places(result)
    shared: dict[str, Any] = {
        "station": row,
        "places": places,
        "windows": known,
        "books": views.rule_books(result),
    }
    if not known:
        patterns.known_item(item)
        return site.page(request, "station.html", result, asked=None, **shared)
    asked = _asked(request, site, result, station, span, item, step)
    year = asked.span.last.year
    whole = view.window(site.workspace, result, station, str(year)) if str(year) in known else asked.span
    flags = view.flags(site.workspace, result, station, asked.span)
    wind = patterns.roses(site.workspace, result, station, asked.span)
    return site.page(
        request,
        "station.html",
        result,
        asked=asked,
        year=year,
        query=f"?span={asked.span.name}&item={asked.item}&step={asked.step}",
        statistics=patterns.statistics(site.workspace, result, station, asked.span),
        capture=patterns.capture(site.workspace, result, station, year, whole),
        calendar=view.calendar(result, station, year),
        dusty=views.dust_days(result, row["place"]),
        flags=flags[:FLAGS_SHOWN],
        flag_count=len(flags),
        wind=wind,
        **shared,
    )


@router.get("/stations/{station}/{name}", dependencies=[needs("air.view")])
def part(
    request: Request,
    site: Annotated[Site, Depends(site)],
    station: str,
    name: str,
    span: str | None = None,
    item: str = "pm2_5",
    step: str | None = None,
    page: int = 1,
) -> Response:
    """The numbers of one chart: a page, or with ``.json`` the chart, with ``.csv`` or ``.xlsx`` a file."""
    result = site.open(request)
    row = view.station(result, station)
    asked = _asked(request, site, result, station, span, item, step)
    query = f"?span={asked.span.name}&item={asked.item}&step={asked.step}"
    return Part(NUMBERS, OPTIONS, asked, f"{station}-{{stem}}-{asked.span.name}").answer(
        request, site, name, page, subject=f"{row['name']} {station}", back=f"/stations/{station}{query}",
        query=query, made=asked.words("station.window", name=window_name(asked.words, asked.span.name)),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Part:
    """The parts of a page: tables and charts by name, made from what was asked; `file` names a download."""

    tables: Mapping[str, Callable[[Any], Numbers]]
    options: Mapping[str, Callable[[Any], Option]]
    asked: Any
    file: str

    def answer(self, request: Request, site: Site, name: str, page: int, **context: Any) -> Response:
        """``hour.json`` is a chart, ``hour.csv`` and ``hour.xlsx`` its numbers as a file, ``hour`` a page of them.

        context : of the page: `subject`, `back`, `query`, `made`. UnknownName for no such part or page.
        """
        stem, _, kind = name.partition(".")
        if stem not in self.tables or (kind == "json" and stem not in self.options):
            raise UnknownName("part", name, (*self.tables, *(f"{option}.json" for option in self.options)))
        if kind == "json":
            return charts.answer(self.options[stem](self.asked), KEPT)
        heads, rows = self.tables[stem](self.asked)
        if kind:
            return site.sheet(request, self.file.format(stem=stem), heads, rows, kind)
        return _numbers_page(request, site, self.asked.result, heads, rows, page, stem=stem, **context)


def _numbers_page(
    request: Request, site: Site, result: views.Result, heads: dict[str, str], rows: list[dict[str, Any]],
    page: int, **context: Any,
) -> Response:  # fmt: skip
    """A table of numbers behind a chart, page by page."""
    pages = max(1, -(-len(rows) // PAGE))
    if not 1 <= page <= pages:
        raise UnknownName("page", page, tuple(map(str, range(1, pages + 1))))
    shown = rows[(page - 1) * PAGE : page * PAGE]
    return site.page(
        request, "station_table.html", result, heads=heads, rows=shown, total=len(rows), number_of=page,
        pages=pages, books=views.rule_books(result), **context,
    )  # fmt: skip


def window_name(words: Text, name: str) -> str:
    """A window in words."""
    return name if name.isdigit() else words(f"span.{name}")


# -- the numbers ---------------------------------------------------------------------------------------------


def _series(asked: Asked) -> Numbers:
    words = asked.words
    if asked.step == "day":
        rows = view.station_days(asked.result, asked.code, asked.span.first, asked.span.last)
        return {"day": words("column.day"), **asked.heads(DAILY_ITEMS)}, rows
    hours = view.grid(asked.workspace, asked.result, asked.code, asked.span)
    columns = {item: clean(hours.values[item]) for item in HOURLY_ITEMS}
    made = [
        {"time": label_text(time), **{item: columns[item][k] for item in HOURLY_ITEMS}}
        for k, time in enumerate(hours.time.tolist())
    ]
    return {"time": words("column.time"), **asked.heads(HOURLY_ITEMS)}, made[::-1]


def panel_names(words: Text, name: str) -> list[str]:
    """The groups of a panel in words."""
    if name == "hour":
        return [str(h) for h in range(1, 25)]
    if name == "weekday":
        return [words(f"weekday.long.{n}") for n in range(7)]
    if name == "month":
        return [words(f"month.{n}") for n in range(1, 13)]
    return [f"{words(f'weekday.long.{k // 24}')} {k % 24 + 1:02d}:00" for k in range(7 * 24)]


def panel_numbers(words: Text, name: str, item: str, made: Any) -> Numbers:
    """A panel of means as a table."""
    unit = words.unit(item)
    heads = {"group": words(f"panel.{name}"), "n": words("station.n")}
    heads |= {c: words("column.with_unit", name=words(f"station.{c}"), unit=unit) for c in ("mean", "low", "high")}
    columns = {c: clean(getattr(made, c)) for c in ("mean", "low", "high")}
    rows = [
        {"group": group, "n": int(made.n[k]), **{c: columns[c][k] for c in columns}}
        for k, group in enumerate(panel_names(words, name))
    ]
    return heads, rows


def _panel(asked: Asked, name: str) -> Any:
    return patterns.panel(asked.workspace, asked.result, asked.code, asked.span, name, asked.item)


def _rose(asked: Asked, item: str | None) -> Any:
    found = patterns.roses(asked.workspace, asked.result, asked.code, asked.span, item)
    if found is None:
        raise NotFound(
            f"no weather near {asked.code} in this window.", remedy="Load weather hours of the station."
        )
    return found[0]


def _rose_numbers(asked: Asked, item: str | None) -> Numbers:
    return rose_numbers(asked.words, _rose(asked, item), item)


def rose_numbers(words: Text, made: Any, item: str | None) -> Numbers:
    """A rose as a table: shares by direction and class; `item` of a pollution rose."""
    unit = words.unit(item) if item else "m/s"
    names = series_charts.classes(made, unit)
    heads = {"sector": words("station.sector"), "degrees": words("station.degrees"), "n": words("station.n")}
    heads |= {f"c{k}": f"{name} [%]" for k, name in enumerate(names)}
    heads |= {"mean": words("column.with_unit", name=words("station.mean"), unit=unit)}
    means, rows = clean(made.sector_mean), []
    for k, degrees in enumerate(made.sectors):
        shares = {f"c{c}": share for c, share in enumerate(clean(made.share[k]))}
        rows.append({"sector": words(f"direction.{k}"), "degrees": degrees, "n": int(made.sector_n[k]), **shares,
                     "mean": means[k]})  # fmt: skip
    calm = {"sector": words("station.calm"), "n": round(made.n * made.calm / 100) if made.n else 0}
    rows.append({**calm, "c0": None if made.calm != made.calm else round(made.calm, 3)})
    return heads, rows


def _statistics(asked: Asked) -> Numbers:
    words = asked.words
    heads = {"item": words("column.item"), "unit": words("column.unit")}
    heads |= {
        c: words(f"station.{c}") for c in ("n", "capture", "mean", "median", "p95", "p98", "maximum", "when")
    }
    rows = []
    for item, made, at in patterns.statistics(asked.workspace, asked.result, asked.code, asked.span):
        numbers = {c: printed(getattr(made, c), item) for c in ("mean", "median", "p95", "p98", "maximum")}
        rows.append({"item": words.item(item), "unit": words.unit(item), "n": made.n,
                     "capture": printed(made.capture, item, 1), **numbers,
                     "when": label_text(at) if at else None})  # fmt: skip
    return heads, rows


def _capture(asked: Asked) -> Numbers:
    year = asked.span.last.year
    known = view.windows(asked.workspace, asked.result, asked.code)
    whole = view.window(asked.workspace, asked.result, asked.code, str(year)) if str(year) in known else asked.span
    found = patterns.capture(asked.workspace, asked.result, asked.code, year, whole)
    heads = {"month": asked.words("panel.month")}
    heads |= {item: f"{asked.words.item(item)} [%]" for item in HOURLY_ITEMS}
    rows = []
    for month in range(1, 13):
        shares = {i: None if found[i][month - 1] is None else round(found[i][month - 1] or 0.0, 1) for i in found}
        rows.append({"month": f"{year}-{month:02d}", **shares})
    return heads, rows


def _flags(asked: Asked) -> Numbers:
    words = asked.words
    heads = {c: words(f"column.{c}") for c in ("time", "item", "rule", "state")}
    heads |= {"reported": words("station.reported"), "detail": words("column.detail")}
    rows = [
        {**row, "time": label_text(row["time"]), "item": words.item(row["item"]),
         "rule": words.word("rule", row["rule"]), "state": words.word("state", row["state"])}
        for row in view.flags(asked.workspace, asked.result, asked.code, asked.span)
    ]  # fmt: skip
    return heads, rows


def _panel_numbers(asked: Asked, name: str) -> Numbers:
    return panel_numbers(asked.words, name, asked.item, _panel(asked, name))


NUMBERS: Mapping[str, Callable[[Asked], Numbers]] = {
    "series": _series,
    **{name: partial(_panel_numbers, name=name) for name in patterns.PANELS},
    "wind": lambda asked: _rose_numbers(asked, None),
    "pollution": lambda asked: _rose_numbers(asked, asked.item),
    "statistics": _statistics,
    "capture": _capture,
    "flags": _flags,
}


# -- the charts ----------------------------------------------------------------------------------------------


def _series_chart(asked: Asked) -> Option:
    words = asked.words
    if asked.step == "day":
        items = DAILY_ITEMS
        rows = view.station_days(asked.result, asked.code, asked.span.first, asked.span.last)
        found = {row["day"]: row for row in rows}
        days = _days(asked.span.first, asked.span.last)
        values = {item: [_rounded(found.get(day, {}).get(item), item) for day in days] for item in items}
        return series_charts.panes(words, [series_charts.day_ms(day) for day in days], values)
    hours = view.grid(asked.workspace, asked.result, asked.code, asked.span)
    flags = view.flags(asked.workspace, asked.result, asked.code, asked.span)
    values = {item: clean(hours.values[item], quantity(item).decimals + 1) for item in HOURLY_ITEMS}
    return series_charts.panes(words, series_charts.wall(hours.time), values, series_charts.flag_marks(flags))


def _rounded(value: float | None, item: str) -> float | None:
    return None if value is None else round(value, quantity(item).decimals + 1)


def _days(first: date, last: date) -> list[date]:
    return [date.fromordinal(n) for n in range(first.toordinal(), last.toordinal() + 1)]


def _means_chart(asked: Asked, name: str) -> Option:
    names = panel_names(asked.words, name)
    return series_charts.means_line(asked.words, names, _panel(asked, name), asked.unit)


OPTIONS: Mapping[str, Callable[[Asked], Option]] = {
    "series": _series_chart,
    **{name: partial(_means_chart, name=name) for name in ("hour", "weekday", "month")},
    "week": lambda asked: series_charts.week_map(asked.words, _panel(asked, "week"), asked.unit),
    "wind": lambda asked: series_charts.rose_chart(asked.words, _rose(asked, None), "m/s"),
    "pollution": lambda asked: series_charts.rose_chart(asked.words, _rose(asked, asked.item), asked.unit),
}
