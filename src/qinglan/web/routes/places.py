"""Places: the list of places and stations, and one place's days, patterns, capture, statistics and stations."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from qinglan.core.clock import Period
from qinglan.core.errors import NotFound, UnknownName
from qinglan.core.names import DAILY_ITEMS, quantity
from qinglan.flow import views
from qinglan.flow.views import city, patterns
from qinglan.flow.views.station import Window
from qinglan.web import charts, series_charts
from qinglan.web.access import needs
from qinglan.web.routes.stations import Numbers, Part, panel_names, panel_numbers, rose_numbers
from qinglan.web.series_charts import Option
from qinglan.web.site import Site, site, words_of
from qinglan.web.text import Text

router = APIRouter()

_ONE_EACH = "true qualify row_number() over (partition by place) = 1"
#: Parts of an address that belonged to the table of places, which is the evaluation now.
_MOVED = ("period", "dust", "sort", "down")


@router.get("/places", dependencies=[needs("air.view")])
def listing(request: Request, site: Annotated[Site, Depends(site)]) -> Response:
    """Places and stations, plainly; an old address of the table of places leads on to the evaluation."""
    if any(name in request.query_params for name in _MOVED):
        return RedirectResponse(f"/evaluation?{request.url.query}", status_code=307)
    result = site.open(request)
    rows = _listed(result)
    return site.page(
        request,
        "places.html",
        result,
        rows=rows,
        year=_newest_year(result),
        places=views.places(result),
        stations=views.stations(result),
    )


def _newest_year(result: views.Result) -> Period | None:
    years = [period for period in views.periods(result) if len(period.label) == 4]
    return years[0] if years else None


def _listed(result: views.Result) -> list[dict[str, Any]]:
    """Every place with its stations and its days of the newest whole year."""
    year = _newest_year(result)
    days: dict[str, dict[str, Any]] = {}
    if year is not None:
        found = result.rows("summary", "period = $period and dust = 'in'", period=year.label)
        days = {row["place"]: row for row in found}
    register, rows = views.stations(result), []
    known = {row["place"] for row in result.rows("place_aqi", _ONE_EACH)}
    for code, place in views.places(result).items():
        own = sum(row["place"] == code or row.get("county") == code for row in register)
        said = days.get(code, {})
        counts = {c: said.get(f"raw_{c}") for c in ("valid_days", "good_days", "good_rate", "heavy_days")}
        rows.append({**place, "stations": own, "known": code in known, **counts})
    order = {"province": 0, "prefecture": 1, "county": 2}
    return sorted(rows, key=lambda row: (order.get(row["level"], 3), row["place"]))


@router.get("/places.{kind}", dependencies=[needs("air.view")])
def listing_sheet(request: Request, site: Annotated[Site, Depends(site)], kind: str) -> Response:
    """The list of places as CSV or XLSX."""
    result, words = site.open(request), words_of(request)
    heads = {"place": words("column.place"), "name": words("column.name"), "level": words("place.level"),
             "stations": words("place.stations")}  # fmt: skip
    heads |= {c: words(f"column.{c}") for c in ("valid_days", "good_days", "good_rate", "heavy_days")}
    rows = [
        {**row, "name": words.place(row), "level": words.word("level_of", row["level"])} for row in _listed(result)
    ]
    return site.sheet(request, "places", heads, rows, kind)


@router.get("/places/{code}.csv", dependencies=[needs("air.view")])
def place_csv(
    request: Request, site: Annotated[Site, Depends(site)], code: str, year: int | None = None
) -> Response:
    """A place's days of a year: concentrations, and AQI under each edition."""
    return _days_sheet(request, site, code, year, "csv")


@router.get("/places/{code}.xlsx", dependencies=[needs("air.view")])
def place_xlsx(
    request: Request, site: Annotated[Site, Depends(site)], code: str, year: int | None = None
) -> Response:
    """The same as a workbook."""
    return _days_sheet(request, site, code, year, "xlsx")


def _days_sheet(request: Request, site: Site, code: str, year: int | None, kind: str) -> Response:
    result = site.open(request)
    words = words_of(request)
    views.place(result, code)
    chosen = _year(result, code, year)
    span = Period.year(chosen)
    calendar = views.calendar(result, code, chosen)
    heads = {"day": words("column.day"), **_item_heads(words)}
    for k, edition in enumerate(calendar):
        heads |= {f"{c}{k}": f"{words(f'column.{c}')} {edition}" for c in ("aqi", "level", "primary_pollutant")}
    rows = []
    for row in views.place_days(result, code, span.start, span.end):
        line = dict(row)
        for k, days in enumerate(calendar.values()):
            found = days.get(row["day"], {})
            line |= {f"{c}{k}": found.get(c) for c in ("aqi", "level", "primary_pollutant")}
        rows.append(line)
    return site.sheet(request, f"{code}-{chosen}", heads, rows, kind)


def _item_heads(words: Text) -> dict[str, str]:
    return {i: words("column.with_unit", name=words.item(i), unit=words.unit(i)) for i in DAILY_ITEMS}


def _year(result: views.Result, code: str, year: int | None) -> int:
    """The asked year if the place has days in it; the newest when none is asked."""
    known = views.years(result, code)
    if year is None and known:
        return known[0]
    if year not in known:
        raise UnknownName("year", year, known)
    return year


@router.get("/places/{code}", dependencies=[needs("air.view")])
def place(
    request: Request,
    site: Annotated[Site, Depends(site)],
    code: str,
    year: int | None = None,
    dust: str = "out",
    every: bool = False,
    item: str = "pm2_5",
    whole: bool = False,
) -> Response:
    """One place: its series, patterns, calendar, months, capture, statistics, stations, and the year before."""
    result = site.open(request)
    found = views.place(result, code)
    if dust not in views.DUST:
        raise UnknownName("dust treatment", dust, views.DUST)
    chosen = _year(result, code, year)
    known = patterns.known_item(item, DAILY_ITEMS)
    asked = Asked(site.workspace, result, words_of(request), code, chosen, known, dust, whole)
    hours = asked.hours
    summary = views.summary(result, Period.year(chosen), code)
    register = views.stations(result)
    return site.page(
        request,
        "place.html",
        result,
        place=found,
        year=chosen,
        years=views.years(result, code),
        dust=dust,
        calendar=views.calendar(result, code, chosen, every=every),
        every=every,
        item=asked.item,
        whole=whole,
        query=asked.query,
        hours=hours,
        hourly=asked.hourly,
        wind=city.roses(site.workspace, result, code, hours) if hours else None,
        counted=len(city.counted(result, code)),
        dusty=views.dust_days(result, code),
        leading=views.leading_statistics(Period.year(chosen).end),
        months=views.by_month(result, code, chosen, dust),
        statistics=views.evaluation(result, Period.year(chosen), dust, code),
        summary=summary.get("in") or summary.get("out"),
        limits=views.year_limits(result, code, chosen, dust),
        capture=_capture_shares(asked),
        change=patterns.against_last_year(result, code, chosen, dust),
        stations=[row for row in register if row["place"] == code or row.get("county") == code],
        books=views.rule_books(result),
    )


@dataclass(frozen=True, slots=True)
class Asked:
    """What a page of a place or one of its charts is about; `whole` is every year there is."""

    workspace: views.Workspace
    result: views.Result
    words: Text
    code: str
    year: int
    item: str
    dust: str
    whole: bool

    @property
    def query(self) -> str:
        """The same as the end of an address."""
        whole = "&whole=true" if self.whole else ""
        return f"?year={self.year}&item={self.item}&dust={self.dust}{whole}"

    @property
    def span(self) -> tuple[date, date]:
        """First and last day."""
        known = views.years(self.result, self.code)
        first, last = (known[-1], known[0]) if self.whole else (self.year, self.year)
        return date(first, 1, 1), date(last, 12, 31)

    @property
    def hourly(self) -> str:
        """The item as hours have it: ozone for its daily 8-hour maximum."""
        return "o3" if self.item == "mda8" else self.item

    @property
    def hours(self) -> Window | None:
        """The hours of the span; None for a place that is known by daily values alone."""
        return city.window(self.workspace, self.result, self.code, *self.span)

    def hours_there(self) -> Window:
        """The same; NotFound where there are none."""
        if (found := self.hours) is None:
            raise city.no_hours(self.code)
        return found

    def days(self) -> list[dict[str, Any]]:
        """Daily values in the span."""
        return views.place_days(self.result, self.code, *self.span)


@router.get("/places/{code}/{name}", dependencies=[needs("air.view")])
def part(
    request: Request,
    site: Annotated[Site, Depends(site)],
    code: str,
    name: str,
    year: int | None = None,
    item: str = "pm2_5",
    dust: str = "out",
    whole: bool = False,
    page: int = 1,
) -> Response:
    """The numbers of one chart: a page, or with ``.json`` the chart, with ``.csv`` or ``.xlsx`` a file."""
    result = site.open(request)
    found = views.place(result, code)
    if dust not in views.DUST:
        raise UnknownName("dust treatment", dust, views.DUST)
    words = words_of(request)
    chosen = _year(result, code, year)
    asked = Asked(site.workspace, result, words, code, chosen, patterns.known_item(item, DAILY_ITEMS), dust, whole)
    return Part(NUMBERS, OPTIONS, asked, f"{code}-{{stem}}-{'all' if whole else chosen}").answer(
        request, site, name, page, subject=words.place(found), back=f"/places/{code}{asked.query}",
        query=asked.query, made=words("station.window", name=words("span.all") if whole else str(chosen)),
    )  # fmt: skip


def _series(asked: Asked) -> Numbers:
    return {"day": asked.words("column.day"), **_item_heads(asked.words)}, asked.days()[::-1]


def _panel_numbers(asked: Asked, name: str) -> Numbers:
    made = patterns.place_panel(asked.result, asked.code, *asked.span, name, asked.item)
    heads, rows = panel_numbers(asked.words, name, asked.item, made)
    return {**heads, "n": asked.words("station.days")}, rows


def _hourly(asked: Asked, name: str) -> Any:
    return city.panel(asked.workspace, asked.result, asked.code, asked.hours_there(), name, asked.hourly)


def _hourly_numbers(asked: Asked, name: str) -> Numbers:
    return panel_numbers(asked.words, name, asked.hourly, _hourly(asked, name))


def _rose(asked: Asked, item: str | None) -> Any:
    found = city.roses(asked.workspace, asked.result, asked.code, asked.hours_there(), item)
    if found is None:
        raise NotFound(f"no weather in or near {asked.code}.", remedy="Load weather hours of a station of it.")
    return found[0]


def _capture_shares(asked: Asked) -> dict[str, list[float | None]]:
    """Share of the days of each month with a valid value, by item [%]; None for a month without any day."""
    rows = views.place_days(asked.result, asked.code, date(asked.year, 1, 1), date(asked.year, 12, 31))
    months: dict[int, list[dict[str, Any]]] = {}
    for row in rows:
        months.setdefault(row["day"].month, []).append(row)

    def share(item: str, month: int) -> float | None:
        if month not in months:
            return None
        there = sum(row[item] is not None for row in months[month])
        return 100 * there / monthrange(asked.year, month)[1]

    return {item: [share(item, month) for month in range(1, 13)] for item in DAILY_ITEMS}


def _capture(asked: Asked) -> Numbers:
    found = _capture_shares(asked)
    heads = {"month": asked.words("panel.month"), **{i: f"{asked.words.item(i)} [%]" for i in DAILY_ITEMS}}
    rows = []
    for month in range(1, 13):
        shares = {i: None if (v := found[i][month - 1]) is None else round(v, 1) for i in DAILY_ITEMS}
        rows.append({"month": f"{asked.year}-{month:02d}", **shares})
    return heads, rows


def _change(asked: Asked) -> Numbers:
    words = asked.words
    heads = {"item": words("column.item"), "statistic": words("column.statistic"), "unit": words("column.unit"),
             "before": str(asked.year - 1), "value": str(asked.year), "change": words("place.change")}  # fmt: skip
    rows = [
        {**row, "item": words.item(row["item"]), "statistic": words.word("statistic", row["statistic"]),
         "unit": words.unit(row["item"])}
        for row in patterns.against_last_year(asked.result, asked.code, asked.year, asked.dust)
    ]  # fmt: skip
    return heads, rows


NUMBERS: Mapping[str, Callable[[Asked], Numbers]] = {
    "series": _series,
    "weekday": partial(_panel_numbers, name="weekday"),
    "month": partial(_panel_numbers, name="month"),
    **{name: partial(_hourly_numbers, name=name) for name in city.PANELS},
    "wind": lambda asked: rose_numbers(asked.words, _rose(asked, None), None),
    "pollution": lambda asked: rose_numbers(asked.words, _rose(asked, asked.hourly), asked.hourly),
    "capture": _capture,
    "change": _change,
}


def _series_chart(asked: Asked) -> Option:
    rows = {row["day"]: row for row in asked.days()}
    if not rows:
        return series_charts.panes(asked.words, [], {item: [] for item in DAILY_ITEMS})
    first, last = min(rows), max(rows)
    days = [date.fromordinal(n) for n in range(first.toordinal(), last.toordinal() + 1)]

    def value(day: date, item: str) -> float | None:
        found = rows.get(day, {}).get(item)
        return None if found is None else round(found, quantity(item).decimals + 1)

    dusty = [day for day in sorted(views.dust_days(asked.result, asked.code)) if first <= day <= last]
    bands = [(series_charts.day_ms(day) - 43_200_000, series_charts.day_ms(day) + 43_200_000) for day in dusty]
    values = {item: [value(day, item) for day in days] for item in DAILY_ITEMS}
    return series_charts.panes(asked.words, [series_charts.day_ms(day) for day in days], values, bands=bands)


def _means_chart(asked: Asked, name: str) -> Option:
    made = patterns.place_panel(asked.result, asked.code, *asked.span, name, asked.item)
    names = (
        [asked.words(f"weekday.{n}") for n in range(7)] if name == "weekday" else panel_names(asked.words, name)
    )
    return series_charts.means_line(asked.words, names, made, asked.words.unit(asked.item))


def _change_chart(asked: Asked) -> Option:
    """The months of a year beside those of the year before."""
    years = (asked.year - 1, asked.year)
    months = {y: views.by_month(asked.result, asked.code, y, asked.dust)[asked.item] for y in years}
    series = {str(y): [row["value"] if row else None for _, row in found] for y, found in months.items()}
    names = [asked.words(f"month.{n}") for n in range(1, 13)]
    return charts.bars(
        series, names, unit=asked.words.unit(asked.item), colours=("var(--line-2)", "var(--accent)")
    )


OPTIONS: Mapping[str, Callable[[Asked], Option]] = {
    "series": _series_chart,
    "weekday": partial(_means_chart, name="weekday"),
    "month": partial(_means_chart, name="month"),
    "hour": lambda asked: series_charts.means_line(
        asked.words, panel_names(asked.words, "hour"), _hourly(asked, "hour"), asked.words.unit(asked.hourly)
    ),
    "week": lambda asked: series_charts.week_map(
        asked.words, _hourly(asked, "week"), asked.words.unit(asked.hourly)
    ),
    "wind": lambda asked: series_charts.rose_chart(asked.words, _rose(asked, None), "m/s"),
    "pollution": lambda asked: series_charts.rose_chart(
        asked.words, _rose(asked, asked.hourly), asked.words.unit(asked.hourly)
    ),
    "change": _change_chart,
}
