"""The data behind the numbers: loads, rejects, coverage, stations; and the rule books in force."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from qinglan.core.errors import UnknownName
from qinglan.flow import views
from qinglan.web.access import needs
from qinglan.web.site import Site, site, words_of

router = APIRouter()


@router.get("/data", dependencies=[needs("data.view")])
def data(request: Request, site: Annotated[Site, Depends(site)], year: int | None = None) -> Response:
    """What was loaded, what was set aside and why, and how complete it is."""
    result = site.open(request, tagged=False)
    known = sorted({period.start.year for period in views.periods(result)}, reverse=True)
    if year is not None and year not in known:
        raise UnknownName("year", year, known)
    chosen = year or (known[0] if known else date.fromisoformat(result.verdict["as_of"]).year)
    return site.page(
        request,
        "data.html",
        result,
        year=chosen,
        years=known,
        coverage=views.coverage(result, chosen),
        places=views.places(result),
        stations=views.stations(result),
        loads=views.loads(site.workspace),
        rejects=views.rejects(site.workspace),
    )


@router.get("/stations.csv", dependencies=[needs("air.view")])
def stations_csv(request: Request, site: Annotated[Site, Depends(site)]) -> Response:
    """The station register as CSV."""
    result = site.open(request)
    words = words_of(request)
    columns = ("station", "name", "place", "county", "lon", "lat", "altitude", "kind", "control_point",
               "valid_from", "valid_to")  # fmt: skip
    return site.sheet(request, "stations", {c: words(f"column.{c}") for c in columns}, views.stations(result))


@router.get("/rules", dependencies=[needs("air.view")])
def rules(request: Request, site: Annotated[Site, Depends(site)]) -> Response:
    """The rule books that judged this run, with the options chosen in them."""
    result = site.open(request)
    return site.page(request, "rules.html", result, books=views.rule_books(result))
