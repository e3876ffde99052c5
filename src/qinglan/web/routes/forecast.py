"""The forecast: what is expected of all places, of one place with its fans, and how forecasts came out."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from qinglan.core.errors import NotFound, UnknownName
from qinglan.core.names import DAILY_ITEMS
from qinglan.flow import forecasts
from qinglan.flow.forecasts.desk import issued
from qinglan.flow.views import forecast as views
from qinglan.flow.workspace import Workspace
from qinglan.forecast.air_index import QUANTILES
from qinglan.web import charts, forecast_charts
from qinglan.web.access import needs
from qinglan.web.routes.ledgers import result_of
from qinglan.web.site import CALM, Site, site, words_of
from qinglan.web.text import Text

router = APIRouter()
SiteOf = Annotated[Site, Depends(site)]
VIEW = "forecast.view"
Item = Annotated[str, Query(max_length=10)]
By = Annotated[str, Query(max_length=10)]
_SAID = ("low", "high", "level", "primary", *(f"p{n}" for n in range(1, 7)), "p_over", "dust", "ozone", "edition")
_SCORED = ("n", "level_hit", "range_hit", "primary_hit", "mae", "bias",
           *(f"{kind}_{top}" for top in (100, 150, 200) for kind in ("hits", "misses", "false_alarms")),
           )  # fmt: skip
_OFFICE = ("who", "n", "rmse", *_SCORED[1:], "edited", "better", "worse")
_BRIER = ("n", *(f"{kind}_{top}" for top in (100, 150, 200) for kind in ("events", "brier", "brier_skill")))
_NUMBERS = ("n", "rmse", "mae", "bias", "r", "crps", "coverage_50", "coverage_90")


def _known(here: Site) -> forecasts.Forecast:
    return forecasts.newest(here.workspace)


@router.get("/forecast", dependencies=[needs(VIEW)])
def overview(
    request: Request, site: SiteOf, level: Annotated[str, Query(max_length=12)] = "prefecture"
) -> Response:
    """What is expected of every place on the coming days: AQI range, level, chance of exceeding, flags."""
    result, found = result_of(site, request), views.newest(site.workspace)
    told = None if found is None else views.overview(found, level)
    return site.page(
        request, "forecast.html", result, told=told, level=level, named=views.named, said=_issued(site)
    )


def _issued(here: Site) -> dict[tuple[str, date], Any]:
    """What offices issued of each place and day; nothing over a bare folder of results."""
    return issued(here.workspace, here.clock()) if isinstance(here.workspace, Workspace) else {}


@router.get("/forecast.{kind}", dependencies=[needs(VIEW)])
def overview_sheet(request: Request, site: SiteOf, kind: str) -> Response:
    """Everything that the newest forecast says of AQI, of all places, as CSV or XLSX."""
    site.stands_on(request, "now")
    words, found = words_of(request), _known(site)
    heads = {"place": words("column.place"), "name": words("column.name"), "day": words("column.day")}
    heads |= {c: words.word("forecast_column", c) for c in _SAID}
    rows = [{**row, "name": words.place(views.named(row["place"]))} for row in found.read().aqi.to_dicts()]
    return site.sheet(request, f"forecast-{found.id}", heads, rows, kind)


@router.get("/forecast/verification", dependencies=[needs(VIEW)])
def verification(request: Request, site: SiteOf, by: By = "lead_day", item: Item = "pm2_5") -> Response:
    """Forecasts held to the air that came: hits of level, range and primary pollutant, errors, skill."""
    result = result_of(site, request)
    return site.page(
        request, "forecast_verification.html", result, told=views.verification(site.workspace, by, item), by=by,
        item=item, kinds=views.BY, named=views.named, scored=_SCORED,
    )  # fmt: skip


@router.get("/forecast/verification.json", dependencies=[needs(VIEW)])
def skill_chart(request: Request, site: SiteOf, by: By = "lead_day", item: Item = "pm2_5") -> Response:
    """Skill against persistence and climatology."""
    site.stands_on(request, "now")
    words, told = words_of(request), views.verification(site.workspace, by, item)
    against = {words.word("forecast_model", name): rows for name, rows in views.wide(told.skill).items()}
    groups = [_group(words, by, row["group"]) for row in next(iter(against.values()), [])]
    option = forecast_charts.skill(against, groups, words("forecast.skill.unit"))
    return charts.answer(option, {"Cache-Control": CALM})


def _group(words: Text, by: str, group: Any) -> str:
    """A group of scores in words."""
    if by == "place":
        return words.place(views.named(str(group)))
    return words.word("season", group) if by == "season" else str(group)


@router.get("/forecast/verification/reliability.json", dependencies=[needs(VIEW)])
def reliability_chart(request: Request, site: SiteOf, by: By = "lead_day") -> Response:
    """How often an AQI was exceeded when that was said with a probability."""
    site.stands_on(request, "now")
    words, told = words_of(request), views.verification(site.workspace, by, "pm2_5")
    names = {top: words("forecast.exceeding", top=top) for top in (100, 150, 200)}
    option = forecast_charts.reliability(
        told.reliability, words("forecast.reliability.same"), names, words("forecast.reliability.unit")
    )
    return charts.answer(option, {"Cache-Control": CALM})


@router.get("/forecast/verification.{kind}", dependencies=[needs(VIEW)])
def verification_sheet(
    request: Request,
    site: SiteOf,
    kind: str,
    by: By = "lead_day",
    item: Item = "pm2_5",
    of: Annotated[str, Query(max_length=12)] = "aqi",
) -> Response:
    """Scores as CSV or XLSX: `of` is ``aqi``, ``values``, ``skill``, ``office``, ``brier`` or ``reliability``."""
    site.stands_on(request, "now")
    words, told = words_of(request), views.verification(site.workspace, by, item)
    columns = {"aqi": _SCORED, "values": _NUMBERS, "skill": ("against", "n", "skill", "low", "high"),
               "office": _OFFICE}  # fmt: skip
    columns |= {"brier": _BRIER, "reliability": ("top", "bin", "n", "said", "came")}
    if of not in columns:
        raise UnknownName("table", of, tuple(columns))
    heads = {} if of == "reliability" else {"group": words.word("forecast_by", by)}
    heads |= {c: words.word("forecast_column", c) for c in columns[of]}
    rows = [
        {
            **row,
            "group": _group(words, by, row.get("group", "")),
            "who": words.word("forecast_who", row.get("who")),
        }
        for row in getattr(told, of)
    ]
    return site.sheet(request, f"verification-{of}-{by}", heads, rows, kind)


@router.get("/forecast/{code}", dependencies=[needs(VIEW)])
def place(request: Request, site: SiteOf, code: str, item: Item = "pm2_5") -> Response:
    """One place: level and its probability by day, primary pollutants, fans, and what is missing."""
    result, found = result_of(site, request), views.newest(site.workspace)
    if item not in DAILY_ITEMS:
        raise UnknownName("item", item, DAILY_ITEMS)
    if found is None:
        return site.page(
            request, "forecast.html", result, told=None, level="prefecture", named=views.named, said={}
        )
    return site.page(
        request, "forecast_place.html", result, told=views.place(found, code), item=item, named=views.named,
        said=_issued(site),
        seen={row["day"]: row["observed"] for row in views.before(result, code, found, item)},
    )  # fmt: skip


@router.get("/forecast/{code}/fan.json", dependencies=[needs(VIEW)])
def fan_chart(request: Request, site: SiteOf, code: str, item: Item = "pm2_5") -> Response:
    """The fan of a pollutant: the observed days before, the median, the ranges of 50 and 90 per cent."""
    result, words, found = result_of(site, request), words_of(request), _known(site)
    rows = views.place(found, code).values.get(item)
    if rows is None:
        raise NotFound(f"there is no forecast of {item} for {code}.", remedy="Its notes say why.")
    names = {name: words.word("forecast_fan", name) for name in ("observed", "median", "half", "most")}
    option = forecast_charts.fan(views.before(result, code, found, item), rows, names, words.unit(item))
    return charts.answer(option, {"Cache-Control": CALM})


@router.get("/forecast/{code}/levels.json", dependencies=[needs(VIEW)])
def levels_chart(request: Request, site: SiteOf, code: str) -> Response:
    """The probability of each level by day."""
    site.stands_on(request, "now")
    words, found = words_of(request), _known(site)
    names = [words(f"level.{n}") for n in range(1, 7)]
    option = forecast_charts.levels(views.place(found, code).aqi, names, words("forecast.probability.unit"))
    return charts.answer(option, {"Cache-Control": CALM})


@router.get("/forecast/{code}/values.{kind}", dependencies=[needs(VIEW)])
def values_sheet(request: Request, site: SiteOf, code: str, kind: str) -> Response:
    """A place's quantiles of all pollutants as CSV or XLSX."""
    site.stands_on(request, "now")
    words, found = words_of(request), _known(site)
    told = views.place(found, code)
    heads = {"item": words("column.item"), "unit": words.word("forecast_column", "unit"),
             "day": words("column.day"), "mean": words.word("forecast_column", "mean")}  # fmt: skip
    heads |= {name: f"{int(name[1:])} %" for name in QUANTILES}
    rows = [
        {**row, "item": words.item(item), "unit": words.unit(item)}
        for item, days in told.values.items()
        for row in days
    ]
    return site.sheet(request, f"forecast-{code}-{found.id}", heads, rows, kind)


@router.get("/forecast/{code}/aqi.{kind}", dependencies=[needs(VIEW)])
def aqi_sheet(request: Request, site: SiteOf, code: str, kind: str) -> Response:
    """A place's AQI range, level, probabilities and primary pollutants as CSV or XLSX."""
    site.stands_on(request, "now")
    words, found = words_of(request), _known(site)
    heads = {"day": words("column.day"), **{c: words.word("forecast_column", c) for c in _SAID}}
    return site.sheet(request, f"forecast-aqi-{code}-{found.id}", heads, views.place(found, code).aqi, kind)
