"""Places: the table and ranking of a period, and one place's calendar, months and statistics."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from qinglan.core.clock import Period
from qinglan.core.errors import UnknownName
from qinglan.core.names import DAILY_ITEMS
from qinglan.flow import views
from qinglan.web.access import needs
from qinglan.web.site import Site, site, words_of
from qinglan.web.text import Text

router = APIRouter()


def _grouped(periods: list[Period], chosen: Period) -> dict[str, list[Period]]:
    """What can be picked: years and odd spans, and the halves, quarters and months of the chosen year."""
    kinds: dict[str, list[Period]] = {"year": [], "half": [], "quarter": [], "month": [], "span": []}
    for period in sorted(periods):
        label = period.label
        kind = {4: "year", 7: "month", 6: "quarter" if "Q" in label else "half"}.get(len(label), "span")
        if kind in ("year", "span") or period.start.year == chosen.start.year:
            kinds[kind].append(period)
    return {kind: found for kind, found in kinds.items() if found}


@router.get("/places", dependencies=[needs("air.view")])
def table(
    request: Request,
    site: Annotated[Site, Depends(site)],
    period: str | None = None,
    dust: str = "out",
    sort: str = "rank",
    down: bool = False,
) -> Response:
    """Prefectures side by side for a period."""
    result = site.open(request)
    chosen = views.pick_period(result, period)
    rows = views.prefectures(result, chosen, dust, sort, down)
    return site.page(
        request,
        "places.html",
        result,
        period=chosen,
        previous=chosen.back(),
        periods=_grouped(views.periods(result), chosen),
        leading=views.leading_statistics(chosen.end),
        dust=dust,
        sort=sort,
        down=down,
        rows=rows,
        editions=views.editions(result, chosen),
        limits=views.editions_of(item for row in rows for item in row["items"].values()),
    )


def _heads(words: Text) -> dict[str, str]:
    """Columns of the table of places with their headings."""
    plain = ("rank", "place", "name")
    days = {"raw_valid_days": "valid_days", "raw_good_days": "good_days", "raw_good_rate": "good_rate",
            "adjusted_good_rate": "adjusted_good_rate", "raw_heavy_days": "heavy_days"}  # fmt: skip
    tail = ("composite_index", "main_pollutant", "previous_index", "change_percent", "edition")
    heads = {c: words(f"column.{c}") for c in plain}
    heads |= {
        item: words("column.with_unit", name=words.item(item), unit=words.unit(item)) for item in DAILY_ITEMS
    }
    heads |= {c: words(f"column.{name}") for c, name in days.items()}
    return heads | {c: words(f"column.{c}") for c in tail}


@router.get("/places.csv", dependencies=[needs("air.view")])
def table_csv(
    request: Request,
    site: Annotated[Site, Depends(site)],
    period: str | None = None,
    dust: str = "out",
    sort: str = "rank",
    down: bool = False,
) -> Response:
    """The table of places as CSV."""
    result = site.open(request)
    words = words_of(request)
    chosen = views.pick_period(result, period)
    rows: list[dict[str, Any]] = []
    for row in views.prefectures(result, chosen, dust, sort, down):
        values = {i: (row["items"].get(i) or {}).get("value") for i in DAILY_ITEMS}
        rows.append(
            {**row, **values, "name": words.place(row), "main_pollutant": words.item(row["main_pollutant"])}
        )
    return site.sheet(request, f"places-{chosen.label}-dust-{dust}", _heads(words), rows)


@router.get("/places/{code}.csv", dependencies=[needs("air.view")])
def place_csv(
    request: Request, site: Annotated[Site, Depends(site)], code: str, year: int | None = None
) -> Response:
    """A place's days of a year: concentrations, and AQI under each edition."""
    result = site.open(request)
    words = words_of(request)
    views.place(result, code)
    chosen = _year(result, code, year)
    span = Period.year(chosen)
    calendar = views.calendar(result, code, chosen)
    heads = {"day": words("column.day")}
    heads |= {
        item: words("column.with_unit", name=words.item(item), unit=words.unit(item)) for item in DAILY_ITEMS
    }
    for k, edition in enumerate(calendar):
        heads |= {f"{c}{k}": f"{words(f'column.{c}')} {edition}" for c in ("aqi", "level", "primary_pollutant")}
    rows = []
    for row in views.place_days(result, code, span.start, span.end):
        line = dict(row)
        for k, days in enumerate(calendar.values()):
            found = days.get(row["day"], {})
            line |= {f"{c}{k}": found.get(c) for c in ("aqi", "level", "primary_pollutant")}
        rows.append(line)
    return site.sheet(request, f"{code}-{chosen}", heads, rows)


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
) -> Response:
    """One place: the calendar of its days, its months, its statistics against the limits."""
    result = site.open(request)
    found = views.place(result, code)
    if dust not in views.DUST:
        raise UnknownName("dust treatment", dust, views.DUST)
    chosen = _year(result, code, year)
    summary = views.summary(result, Period.year(chosen), code)
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
        dusty=views.dust_days(result, code),
        leading=views.leading_statistics(Period.year(chosen).end),
        months=views.by_month(result, code, chosen, dust),
        statistics=views.evaluation(result, Period.year(chosen), dust, code),
        summary=summary.get("in") or summary.get("out"),
        limits=views.year_limits(result, code, chosen, dust),
    )
