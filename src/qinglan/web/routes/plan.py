"""The plan: its articles, their tasks and the evidence for them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from qinglan.flow import views
from qinglan.web.access import needs
from qinglan.web.site import Site, site, words_of

router = APIRouter()


@router.get("/plan/articles", dependencies=[needs("plan.view")])
def articles(
    request: Request,
    site: Annotated[Site, Depends(site)],
    department: str | None = None,
    status: str | None = None,
) -> Response:
    """All articles with their tasks, filtered by leading department and status."""
    result = site.open(request)
    page = views.plan_page(result, department or None, status or None)
    return site.page(request, "plan.html", result, page=page, department=department, chosen=status)


@router.get("/plan/articles.csv", dependencies=[needs("plan.view")])
def articles_csv(request: Request, site: Annotated[Site, Depends(site)]) -> Response:
    """Every task of the plan as CSV."""
    result = site.open(request)
    words = words_of(request)
    columns = ("article", "id", "title", "status", "due", "lead", "evidence", "missing")
    rows = [
        {"article": article["number"], "id": task["id"], "title": words.of(task["title"] or task["id"]),
         "status": words.word("task", task["status"]), "due": task["due"], "lead": words.of(task["lead"]),
         "evidence": words.of([e["title"] for e in task["evidence"]]),
         "missing": words.of([e["title"] for e in task["evidence"] if not e["have"]])}
        for article in views.articles_of(result) for task in article["tasks"]
    ]  # fmt: skip
    return site.sheet(request, "articles", {c: words(f"column.{c}") for c in columns}, rows)


@router.get("/plan/articles/{number}", dependencies=[needs("plan.view")])
def article(request: Request, site: Annotated[Site, Depends(site)], number: int) -> Response:
    """One article: its tasks, and the targets it sets."""
    result = site.open(request)
    return site.page(request, "article.html", result, article=views.article(result, number))


@router.get("/plan/{number:int}", dependencies=[needs("plan.view")], include_in_schema=False)
def article_before(number: int) -> Response:
    """Where an article stood in version 0.1."""
    return RedirectResponse(f"/plan/articles/{number}", status_code=308)
