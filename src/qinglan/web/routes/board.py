"""The target board, and the health of the service."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from qinglan.flow import views
from qinglan.flow.views import forecast
from qinglan.web.access import needs
from qinglan.web.site import Site, site, words_of

router = APIRouter()


@router.get("/plan", dependencies=[needs("plan.view")])
def board(request: Request, site: Annotated[Site, Depends(site)]) -> Response:
    """Which targets hold, which do not, and why."""
    result = site.open(request, tagged=False)
    chances = forecast.chances(site.workspace)
    return site.page(request, "board.html", result, board=views.board(result), chances=chances)


@router.get("/plan.{kind}", dependencies=[needs("plan.view")])
def targets_sheet(request: Request, site: Annotated[Site, Depends(site)], kind: str) -> Response:
    """The board as CSV or XLSX."""
    result = site.open(request)
    words = words_of(request)
    columns = ("id", "article", "title", "status", "value", "comparison", "limit", "unit", "distance", "coverage",
               "edition", "dust", "period", "due")  # fmt: skip
    heads = {c: words(f"column.{c}") for c in columns}
    rows = [
        {**t, "title": words.of(t["title"]), "status": words.word("status", t["status"]),
         "coverage": (t["coverage"] or {}).get("percent")}
        for t in views.targets_of(result)
    ]  # fmt: skip
    return site.sheet(request, f"targets-{result.run_id}", heads, rows, kind)


@router.get("/favicon.ico", dependencies=[needs("public.view")], include_in_schema=False)
def favicon() -> Response:
    """Browsers ask for it whatever the page says."""
    return RedirectResponse("/static/favicon.svg", status_code=308)
