"""The hourly forecast of stations: all of them at some hours, and one with its fan."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from qinglan.core.errors import NotFound, UnknownName
from qinglan.core.names import HOURLY_ITEMS
from qinglan.flow.forecasts import hourly
from qinglan.flow.views import forecast_hours as views
from qinglan.forecast.air_index import QUANTILES
from qinglan.web import charts, forecast_charts
from qinglan.web.access import needs
from qinglan.web.routes.forecast import VIEW
from qinglan.web.routes.ledgers import result_of
from qinglan.web.site import CALM, Site, site, words_of

router = APIRouter()
SiteOf = Annotated[Site, Depends(site)]
Item = Annotated[str, Query(max_length=10)]
_AT = "%Y-%m-%d %H:%M"


@router.get("/forecast/hours", dependencies=[needs(VIEW)])
def stations(request: Request, site: SiteOf, item: Item = "pm2_5") -> Response:
    """What is expected of every station on the next three days, and how such forecasts came out."""
    if item not in HOURLY_ITEMS:
        raise UnknownName("item", item, HOURLY_ITEMS)
    result, found = result_of(site, request), views.newest(site.workspace)
    told = None if found is None else views.overview(found, result)
    checked = None if found is None else views.checked(site.workspace)
    scores = [] if checked is None else checked.scores.filter(item=item).to_dicts()
    return site.page(request, "forecast_hours.html", result, told=told, checked=checked, scores=scores, item=item)


@router.get("/forecast/hours.{kind}", dependencies=[needs(VIEW)])
def stations_sheet(request: Request, site: SiteOf, kind: str) -> Response:
    """The hourly AQI of all stations as CSV or XLSX."""
    site.stands_on(request, "now")
    words, found = words_of(request), hourly.newest(site.workspace)
    heads = {"station": words("column.station"), **_heads(words)}
    return site.sheet(request, f"forecast-hours-{found.id}", heads, _rows(hourly.read(found).aqi.to_dicts()), kind)


@router.get("/forecast/hours/{code}", dependencies=[needs(VIEW)])
def station(request: Request, site: SiteOf, code: str, item: Item = "pm2_5") -> Response:
    """One station hour by hour: AQI with its range, and the fan of a pollutant."""
    if item not in HOURLY_ITEMS:
        raise UnknownName("item", item, HOURLY_ITEMS)
    result, found = result_of(site, request), views.newest(site.workspace)
    if found is None:
        return site.page(request, "forecast_hours.html", result, told=None, checked=None, scores=[], item=item)
    told = views.station(found, result, code)
    return site.page(request, "forecast_station.html", result, told=told, item=item)


@router.get("/forecast/hours/{code}/fan.json", dependencies=[needs(VIEW)])
def fan_chart(request: Request, site: SiteOf, code: str, item: Item = "pm2_5") -> Response:
    """The fan of a pollutant by the hour."""
    result, words, found = result_of(site, request), words_of(request), hourly.newest(site.workspace)
    rows = views.station(found, result, code).values.get(item)
    if rows is None:
        raise NotFound(f"there is no forecast of {item} for {code}.", remedy="Its notes say why.")
    names = {name: words.word("forecast_fan", name) for name in ("observed", "median", "half", "most")}
    seen = views.observed(site.workspace, result, found, code, item)
    said = [{**row, "day": row["clock"]} for row in rows]
    option = forecast_charts.fan(seen, said, names, words.unit(item), label=_label)
    return charts.answer(option, {"Cache-Control": CALM})


def _label(end: datetime) -> str:
    return f"{end:%m-%d %H:%M}"


@router.get("/forecast/hours/{code}/values.{kind}", dependencies=[needs(VIEW)])
def values_sheet(request: Request, site: SiteOf, code: str, kind: str) -> Response:
    """A station's quantiles of all pollutants by the hour as CSV or XLSX."""
    result = result_of(site, request)
    words, found = words_of(request), hourly.newest(site.workspace)
    heads = {"item": words("column.item"), "unit": words.word("forecast_column", "unit"),
             "time": words("column.time"), "mean": words.word("forecast_column", "mean")}  # fmt: skip
    heads |= {name: f"{int(name[1:])} %" for name in QUANTILES}
    rows = [
        {**row, "item": words.item(item), "unit": words.unit(item), "time": row["clock"].strftime(_AT)}
        for item, hours in views.station(found, result, code).values.items()
        for row in hours
    ]
    return site.sheet(request, f"forecast-hours-{code}-{found.id}", heads, rows, kind)


def _heads(words: Any) -> dict[str, str]:
    heads = {"time": words("column.time"), "level": words("column.level")}
    heads |= {"primary": words("column.primary_pollutant"), "edition": words.word("forecast_column", "edition")}
    return heads | {name: f"AQI {int(name[1:])} %" for name in QUANTILES}


def _rows(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**row, "time": views.clock(row["time"]).strftime(_AT)} for row in rows]
