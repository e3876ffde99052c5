"""How a number was made: from a target down to a station's twenty-four hours."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from qinglan.core.clock import Period
from qinglan.core.errors import UnknownName
from qinglan.core.names import DAILY_ITEMS
from qinglan.flow import views
from qinglan.flow.views import forecast
from qinglan.web.access import needs
from qinglan.web.site import Site, site

router = APIRouter(prefix="/making")


@router.get("/target/{name}", dependencies=[needs("air.view")])
def target(request: Request, site: Annotated[Site, Depends(site)], name: str) -> Response:
    """A target's value: the rule, the variants, the places and the run behind it."""
    result = site.open(request, tagged=False)
    found = views.target(result, name)
    return site.page(
        request,
        "making_target.html",
        result,
        chances=forecast.chances(site.workspace),
        target=found,
        rows=views.target_places(result, found),
        places=views.places(result),
    )


@router.get("/place/{code}/{period}", dependencies=[needs("air.view")])
def place(
    request: Request,
    site: Annotated[Site, Depends(site)],
    code: str,
    period: str,
    dust: str = "out",
    item: str = "pm2_5",
) -> Response:
    """A place's statistic of a period: the evaluation and the daily values under it."""
    result = site.open(request)
    found = views.place(result, code)
    chosen = views.pick_period(result, period)
    if item not in DAILY_ITEMS:
        raise UnknownName("item", item, DAILY_ITEMS)
    if dust not in views.DUST:
        raise UnknownName("dust treatment", dust, views.DUST)
    return site.page(
        request,
        "making_place.html",
        result,
        place=found,
        period=chosen,
        dust=dust,
        item=item,
        statistics=[r for r in views.evaluation(result, chosen, dust, code) if r["item"] == item],
        days=views.place_days(result, code, chosen.start, chosen.end),
        dusty=views.dust_days(result, code),
    )


@router.get("/day/{code}/{day}", dependencies=[needs("air.view")])
def day(request: Request, site: Annotated[Site, Depends(site)], code: str, day: date) -> Response:
    """A place's day: its indices by edition, its values, the station days behind them."""
    result = site.open(request)
    found = views.place(result, code)
    return site.page(
        request,
        "making_day.html",
        result,
        place=found,
        day=day,
        before=day - timedelta(days=1),
        after=day + timedelta(days=1),
        dusty=day in views.dust_days(result, code),
        making=views.day_making(result, code, day),
        register={s["station"]: s for s in views.stations(result)},
        year=Period.year(day.year),
    )


@router.get("/hours/{station}/{day}", dependencies=[needs("air.view")])
def hours(request: Request, site: Annotated[Site, Depends(site)], station: str, day: date) -> Response:
    """A station's day: its twenty-four hours as reported, each with its state and the flags on it."""
    result = site.open(request, tagged=False)  # who decided and signed what is of now
    register = {s["station"]: s for s in views.stations(result)}
    if station not in register:
        raise UnknownName("station", station, list(register))
    return site.page(
        request,
        "making_hours.html",
        result,
        station=register[station],
        day=day,
        before=day - timedelta(days=1),
        after=day + timedelta(days=1),
        making=views.hours_making(site.workspace, result, station, day),
    )
