"""The watch over disclosure: when hours, days and forecasts came out, against the times of HJ 633."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from qinglan.core.clock import today
from qinglan.flow import disclosure, views
from qinglan.flow.views import review as view
from qinglan.web.access import needs
from qinglan.web.site import NOW, Site, site

router = APIRouter()


@router.get("/disclosure", dependencies=[needs("review.view")])
def watch(
    request: Request, site: Annotated[Site, Depends(site)], first: date | None = None, last: date | None = None
) -> Response:
    """How the times were kept; by default over the last 31 days."""
    workspace: Any = site.workspace
    site.stands_on(request, NOW)
    try:
        result = views.current(workspace)
    except views.NoRun:
        result = None
    end = last or today(site.clock())
    begin = first or end - timedelta(days=30)
    found = disclosure.watch(workspace, begin, end, now=site.clock())
    return site.page(
        request, "disclosure.html", result, found=found, first=begin, last=end, names=workspace.named,
        register={r["station"]: r for r in view.register(workspace)},
    )  # fmt: skip
