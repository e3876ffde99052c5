"""The current hour."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from qinglan.core.errors import UnknownName
from qinglan.flow import views
from qinglan.web.access import needs
from qinglan.web.site import Site, site, words_of
from qinglan.web.text import aware

router = APIRouter()

#: An hour older than this is shown as stale [h]: HJ 633-2026 5 wants it out within one hour of its end.
STALE_AFTER = 2


@router.get("/now", dependencies=[needs("air.view")])
def now(request: Request, site: Annotated[Site, Depends(site)], place: str | None = None) -> Response:
    """The latest hour of every place and station."""
    result = site.open(request, tagged=False)
    latest = views.now(result)
    known = views.places(result)
    if place is not None and place not in known:
        raise UnknownName("place", place, list(known))
    counties = {code for code, each in known.items() if each["level"] == "county"}
    latest["places"].sort(key=lambda row: (row["place"] in counties, row["place"]))
    shown = place or next((r["place"] for r in latest["places"] if r["place"] in known), None)
    age = None if latest["time"] is None else site.clock() - aware(latest["time"])
    return site.page(
        request,
        "now.html",
        result,
        latest=latest,
        places=known,
        stations={s["station"]: s for s in views.stations(result)},
        clock=site.clock(),
        stale=age is not None and age.total_seconds() > STALE_AFTER * 3600,
        counties=counties,
        shown=shown,
        hours=views.last_hours(result, shown, latest["time"]) if shown else [],
    )


@router.get("/now.csv", dependencies=[needs("air.view")])
def now_csv(request: Request, site: Annotated[Site, Depends(site)]) -> Response:
    """The latest hour as CSV."""
    result = site.open(request)
    words = words_of(request)
    latest = views.now(result)
    columns = ("time", "place", "station", "edition", "aqi", "level", "primary_pollutant",
               "so2", "no2", "co", "o3", "pm10", "pm2_5")  # fmt: skip
    heads = {c: words.item(c) if c in ("so2", "no2", "co", "o3", "pm10", "pm2_5") else words(f"column.{c}")
             for c in columns}  # fmt: skip
    return site.sheet(request, "now", heads, [*latest["places"], *latest["stations"]])
