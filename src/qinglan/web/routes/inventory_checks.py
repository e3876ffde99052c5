"""The inventory held against what others know: findings by kind, and the top-down file that it is held against."""

from __future__ import annotations

from pathlib import PurePath
from typing import Annotated, Any

from fastapi import APIRouter, Depends, File, Form, Query, Request, UploadFile
from starlette.responses import RedirectResponse, Response

from qinglan.core.errors import QinglanError, UsageError
from qinglan.emission.findings import texts
from qinglan.flow import inventory_checks as flow
from qinglan.flow import ledgers
from qinglan.flow.inventory_checks.given import MOST_BYTES
from qinglan.flow.views import inventory_checks as views
from qinglan.flow.views.ledgers import names_of
from qinglan.web.access import needs, principal
from qinglan.web.routes.inventory import VIEW, Page, SiteOf
from qinglan.web.routes.ledgers import real, result_of
from qinglan.web.site import Site, words_of

router = APIRouter()
BUILD = "inventory.build"
PAGE = 50
Short = Annotated[str, Query(max_length=40)]
#: What is told of a given file: `kept`, `forgotten`, or nothing.
DONE = ("kept", "forgotten")
#: Columns of a finding as a file.
COLUMNS = ("kind", "ledger", "row_key", "uscc", "name", "place", "species", "sector", "value", "expected", "unit",
           "said", "remedy")  # fmt: skip


def asked(of: Short = "", band: Short = "", kind: Short = "") -> dict[str, str]:
    """What is checked (a year's draft, or a version), by which band, and of which kind findings are listed."""
    return {"of": of, "band": band, "kind": kind}


Asked = Annotated[dict[str, str], Depends(asked)]


def _page(
    here: Site, request: Request, ask: dict[str, str], *, page: int = 1, wrong: str = "", done: str = ""
) -> Response:
    found = views.shown(real(here), principal(request), ask["of"], ask["band"])
    told: dict[str, Any] = {"ask": ask, "wrong": wrong, "done": done, "texts": texts(), "bands": flow.BANDS,
                            "may_give": principal(request).may(BUILD)}  # fmt: skip
    status = 422 if wrong else 200
    if found is None:
        return here.page(
            request, "inventory_checks.html", result_of(here, request), status=status, found=None, **told
        )
    every = views.of_kind(found, ask["kind"])
    pages = max(1, -(-every.height // PAGE))
    page = min(page, pages)
    part = every.slice((page - 1) * PAGE, PAGE).to_dicts()
    return here.page(
        request, "inventory_checks.html", result_of(here, request), status=status, found=found, part=part,
        page=page, pages=pages, total=every.height, most=MOST_BYTES // 10**6,
        names=names_of(real(here), (r["place"] for r in part)), **told,
    )  # fmt: skip


@router.get("/inventory/checks", dependencies=[needs(VIEW)])
def overview(request: Request, site: SiteOf, ask: Asked, page: Page = 1, done: Short = "") -> Response:
    """Questions to an inventory: what does not agree with others, what to do, and what could not be checked."""
    return _page(site, request, ask, page=page, done=done if done in DONE else "")


@router.get("/inventory/checks.{kind}", dependencies=[needs(VIEW)])
def findings_sheet(request: Request, site: SiteOf, kind: str, of: Short = "", band: Short = "",
                   only: Short = "") -> Response:  # fmt: skip
    """All findings, or those of one kind (`only`), as CSV or XLSX."""
    site.stands_on(request, "now")
    words, found = words_of(request), _there(site, request, of, band)
    heads = {c: words.word("inventory_checks_column", c) for c in COLUMNS}
    said, lang = texts(), words.language
    titles = {n: words.of(ledgers.load_ledger(n).title) for n in found.findings["ledger"].drop_nulls().unique()}
    rows = (
        {**r, "kind": words.of(said[r["kind"]]), "ledger": titles.get(r["ledger"]), "said": r[lang],
         "remedy": r[f"remedy_{lang}"]}
        for r in views.of_kind(found, only).iter_rows(named=True)
    )  # fmt: skip
    return site.sheet(request, f"inventory-checks-{found.of}", heads, rows, kind)


def _there(here: Site, request: Request, of: str, band: str) -> views.Shown:
    found = views.shown(real(here), principal(request), of, band)
    if found is None:
        raise UsageError("no ledger has rows to be checked.", remedy="Import the ledgers first.")
    return found


@router.get("/inventory/top-down.{kind}", dependencies=[needs(VIEW)])
def top_down_sheet(request: Request, site: SiteOf, kind: str, of: Short = "", band: Short = "") -> Response:
    """Our totals beside those of the top-down inventory, by species and sector, as CSV or XLSX."""
    site.stands_on(request, "now")
    words, found = words_of(request), _there(site, request, of, band)
    table = found.report.beside
    if table is None:
        raise UsageError("no top-down inventory was given.", remedy="Give one at /inventory/checks.")
    columns = ("species", "sector", "emission_t", "other_t", "other_year", "ratio", "stands_out")
    heads = {c: words.word("inventory_checks_column", c) for c in columns}
    rows = (
        {**r, "sector": words.of(r), "other_year": table.year,
         "stands_out": words("ledger.yes" if r["stands_out"] else "ledger.no")}
        for r in table.rows.iter_rows(named=True)
    )  # fmt: skip
    return site.sheet(request, f"inventory-top-down-{found.of}", heads, rows, kind)


@router.post("/inventory/checks/top-down", dependencies=[needs(BUILD)])
def give(
    request: Request,
    site: SiteOf,
    file: Annotated[UploadFile, File()],
    region: Annotated[str, Form(max_length=20)] = "",
) -> Response:
    """Give a top-down inventory to be held against: a plain table, or REAS as stacked by province."""
    try:
        content = file.file.read(MOST_BYTES + 1)
        if not content:
            raise UsageError("no file was sent.", remedy="Choose one.")
        flow.keep(
            real(site), content, name=PurePath(file.filename or "file").name[-120:], region=region.strip(),
            by=principal(request).id, now=site.clock(),
        )  # fmt: skip
    except QinglanError as fault:
        return _page(site, request, {"of": "", "band": "", "kind": ""}, wrong=str(fault))
    return RedirectResponse("/inventory/checks?done=kept#top_down", status_code=303)


@router.post("/inventory/checks/top-down/forget", dependencies=[needs(BUILD)])
def forget(request: Request, site: SiteOf) -> Response:
    """Hold the inventory against no top-down file any more; the file and who gave it stay in the audit log."""
    flow.forget(real(site), by=principal(request).id, now=site.clock())
    return RedirectResponse("/inventory/checks?done=forgotten#top_down", status_code=303)
