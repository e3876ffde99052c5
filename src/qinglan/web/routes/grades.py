"""Performance grades: assessments with their seven indicators, what holds each down, when it ends."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from qinglan.flow.views import grades as views
from qinglan.flow.views.ledgers import names_of
from qinglan.ledger.declare import load_ledger
from qinglan.web.access import needs, principal
from qinglan.web.routes.ledgers import cell_of, day_of, real, result_of, shown
from qinglan.web.site import Site, site, words_of

router = APIRouter()
SiteOf = Annotated[Site, Depends(site)]
VIEW = "emergency.view"
PAGE = 50
Page = Annotated[int, Query(ge=1, le=100_000)]
Only = Annotated[str, Query(max_length=20)]


@router.get("/grades", dependencies=[needs(VIEW)])
def grades(request: Request, site: SiteOf, only: Only = "", page: Page = 1) -> Response:
    """Assessments, those that end first on top; ending, expired, too high, unlike the list."""
    found = views.grades(real(site), principal(request), day_of(site))
    rows = found.only(only)
    pages = max(1, -(-len(rows) // PAGE))
    page = min(page, pages)
    part = rows[(page - 1) * PAGE : page * PAGE]
    return site.page(
        request, "grades.html", result_of(site, request), found=found, part=part, only=only, page=page,
        pages=pages, total=len(rows), tallies={name: len(found.only(name)) for name in views.ONLY},
        cell_of=cell_of,
        ledger=load_ledger(views.LEDGER), names=names_of(real(site), (r["county"] for r in part)),
    )  # fmt: skip


@router.get("/grades.{kind}", dependencies=[needs(VIEW)])
def sheet(request: Request, site: SiteOf, kind: str, only: Only = "") -> Response:
    """The assessments asked for, with what holds each down."""
    site.stands_on(request, "now")
    words, ledger = words_of(request), load_ledger(views.LEDGER)
    found = views.grades(real(site), principal(request), day_of(site))
    heads = {c.name: words.of(c.words) for c in ledger.columns}
    heads |= {n: words.word("grades_column", n) for n in ("whole", "lowest", "weakest", "stands", "listed")}
    names = names_of(real(site), (r["county"] for r in found.rows))
    grade = ledger.column("grade")

    def cells(row: dict[str, Any]) -> dict[str, Any]:
        made = {c.name: shown(words, c, row[c.name], names) for c in ledger.columns}
        joined = words("list.separator")
        return made | {
            "whole": shown(words, grade, row["whole"], names), "lowest": shown(words, grade, row["lowest"], names),
            "weakest": joined.join(words.of(ledger.column(n).words) for n in row["weakest"]),
            "stands": words.word("grades_stands", row["stands"]),
            "listed": joined.join(str(shown(words, grade, g, names)) for g in row["listed"]),
        }  # fmt: skip

    return site.sheet(request, "grades", heads, (cells(r) for r in found.only(only)), kind)
