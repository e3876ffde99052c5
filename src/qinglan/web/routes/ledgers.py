"""Ledgers, to read: the list, a ledger's rows, its map, its files, deadlines and findings over all of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import JSONResponse, Response

from qinglan.core import clock
from qinglan.core.errors import QinglanError, UnknownName, UsageError
from qinglan.flow import ledgers as flow
from qinglan.flow import views
from qinglan.flow.views import ledgers as ledger_views
from qinglan.flow.workspace import Workspace
from qinglan.ledger.declare import Column
from qinglan.web.access import needs, principal
from qinglan.web.site import CALM, NOW, Site, site, words_of
from qinglan.web.text import Text, day_text, plain

router = APIRouter()
SiteOf = Annotated[Site, Depends(site)]
VIEW = "ledger.view"
PAGE = 50
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def real(here: Site) -> Workspace:
    """The workspace with its registry; UsageError over a bare folder of results."""
    if not isinstance(here.workspace, Workspace):
        raise UsageError("these results have no registry.", remedy="Serve a workspace made by `qinglan init`.")
    return here.workspace


def result_of(here: Site, request: Request) -> views.Result | None:
    """The run that the frame names; ledgers do not wait for one. The page stands on everything as it is now."""
    here.stands_on(request, NOW)
    try:
        return views.current(here.workspace)
    except QinglanError:
        return None


def day_of(here: Site) -> date:
    """The statistical day on which it is asked."""
    return clock.today(here.clock())


def asked(request: Request) -> dict[str, str]:
    """The filter in an address: what :func:`qinglan.flow.ledgers.asking.asked_of` and the views read."""
    kept = {k: v for k, v in request.query_params.items() if k in ("q", "place", "sort", "dir", "only")}
    return kept | {k: v for k, v in request.query_params.items() if k.startswith("c.")}


Asked = Annotated[dict[str, str], Depends(asked)]


def shown(words: Text, column: Column, value: Any, names: Mapping[str, Any]) -> Any:
    """A cell as people read it: words of codes, yes and no, names of places; numbers stay numbers."""
    if value is None:
        return None
    if column.codes:
        code = column.codes.get(value)
        return words.of(code.words) if code else value
    if column.type == "boolean":
        return words("ledger.yes") if value else words("ledger.no")
    if column.type == "place":
        return words.place(names[value]) if value in names else value
    if column.type == "month":
        return day_text(value)[:7]
    return day_text(value) if column.type == "date" else value


def cell_of(words: Text, column: Column, value: Any, names: Mapping[str, Any]) -> str:
    """The same for a page: a number with no more decimals than it needs, a dash for nothing."""
    found = shown(words, column, value, names)
    return plain(found) if found is None or isinstance(found, int | float) else str(found)


@router.get("/ledgers", dependencies=[needs(VIEW)])
def listing(request: Request, site: SiteOf) -> Response:
    """All ledgers by chapter of the plan: rows, last change, breaches, deadlines."""
    found = ledger_views.listing(real(site), principal(request), day_of(site))
    return site.page(request, "ledgers.html", result_of(site, request), found=found)


def watched(
    article: Annotated[int | None, Query(ge=1, le=999)] = None,
    keeper: Annotated[str, Query(max_length=80)] = "",
    place: Annotated[str, Query(max_length=40)] = "",
    ledger: Annotated[str, Query(max_length=60)] = "",
) -> dict[str, Any]:
    """The filter over all ledgers."""
    return {"article": article, "keeper": keeper, "place": place, "ledger": ledger}


Watched = Annotated[dict[str, Any], Depends(watched)]


def _choices(here: Site, request: Request, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """What the filters over all ledgers offer."""
    workspace, me = real(here), principal(request)
    known = flow.visible(me)
    return {
        "ledgers": known, "titles": {x.id: x.title for x in known},
        "departments": {k: v for k, v in flow.departments(workspace).items() if k in {x.keeper for x in known}},
        "articles": sorted({n for x in known for n in x.articles}),
        "prefectures": workspace.places.prefectures(workspace.settings.place[:2] + "0000"),
        "names": ledger_views.names_of(workspace, (r["place"] for r in rows)),
    }  # fmt: skip


@router.get("/ledgers/due", dependencies=[needs(VIEW)])
def due(
    request: Request,
    site: SiteOf,
    ask: Watched,
    stands: str = "",
    page: Annotated[int, Query(ge=1, le=100_000)] = 1,
) -> Response:
    """What is over or near over all ledgers: who, of which article, in how many days."""
    rows = flow.deadlines(real(site), principal(request), day_of(site), **ask)
    counts = {name: sum(r["stands"] == name for r in rows) for name in flow.STANDS}
    if stands and stands not in flow.STANDS:
        raise UnknownName("standing of a deadline", stands, flow.STANDS)
    kept = [r for r in rows if stands in ("", r["stands"])]
    pages = max(1, -(-len(kept) // PAGE))
    page = min(page, pages)
    part = kept[(page - 1) * PAGE : page * PAGE]
    return site.page(
        request, "ledger_due.html", result_of(site, request),
        rows=part, counts=counts, total=len(rows), stands=stands,
        ask=ask, page=page, pages=pages, **_choices(site, request, part),
    )  # fmt: skip


@router.get("/ledgers/due.{kind}", dependencies=[needs(VIEW)])
def due_sheet(request: Request, site: SiteOf, ask: Watched, kind: str, stands: str = "") -> Response:
    """The filtered deadlines as CSV or XLSX."""
    rows = [
        r for r in flow.deadlines(real(site), principal(request), day_of(site), **ask)
        if stands in ("", r["stands"])
    ]  # fmt: skip
    words = words_of(request)
    more = _choices(site, request, rows)
    heads = ("ledger", "row", "place", "keeper", "article", "message", "due", "days", "stands")
    table = [
        {"ledger": words.of(more["titles"][r["ledger"]]), "row": r["label"] or r["_key"],
         "place": words.place(more["names"][r["place"]]) if r["place"] in more["names"] else "",
         "keeper": words.of(more["departments"].get(r["keeper"], r["keeper"])), "article": r["article"],
         "message": r[words.language], "due": r["due"].isoformat(), "days": r["days"],
         "stands": words(f"ledger.stands.{r['stands']}")}
        for r in rows
    ]  # fmt: skip
    return site.sheet(request, "deadlines", {h: words(f"ledger.head.{h}") for h in heads}, table, kind)


@router.get("/ledgers/findings", dependencies=[needs(VIEW)])
def findings(
    request: Request, site: SiteOf, ask: Watched, page: Annotated[int, Query(ge=1, le=100_000)] = 1
) -> Response:
    """Breaches of the plan that the rows of all ledgers show."""
    rows = flow.findings(real(site), principal(request), day_of(site), **ask)
    pages = max(1, -(-len(rows) // PAGE))
    page = min(page, pages)
    part = rows[(page - 1) * PAGE : page * PAGE]
    return site.page(
        request, "ledger_findings.html", result_of(site, request), rows=part, total=len(rows), ask=ask, page=page,
        pages=pages, **_choices(site, request, part),
    )  # fmt: skip


@router.get("/ledgers/indicators", dependencies=[needs(VIEW)])
def indicators(request: Request, site: SiteOf) -> Response:
    """Numbers that the ledgers give, and the targets that they answer."""
    rows = flow.indicators(real(site), principal(request), day_of(site))
    known = {x.id: x.title for x in flow.visible(principal(request))}
    return site.page(request, "ledger_indicators.html", result_of(site, request), rows=rows, titles=known)


@router.get("/ledgers/{ledger}", dependencies=[needs(VIEW)])
def table(
    request: Request,
    site: SiteOf,
    ledger: str,
    ask: Asked,
    page: Annotated[int, Query(ge=1, le=100_000)] = 1,
    done: str = "",
) -> Response:
    """A ledger's rows with filters, search and order; its map, files and what is found in it."""
    workspace, me, today = real(site), principal(request), day_of(site)
    found = ledger_views.table(workspace, ledger, me, today, ask, page=page, size=PAGE)
    declared = found.ledger
    codes = [r[c.name] for c in found.columns if c.type == "place" for r in found.rows]
    numbers = flow.indicators(workspace, me, today, ledger=ledger)
    scopes = {name: bool(flow.scope(me, declared, f"ledger.{name}")) for name in ("edit", "import", "merge")}
    return site.page(
        request, "ledger.html", result_of(site, request),
        ledger=declared, found=found, ask=ask, indicators=numbers,
        names=ledger_views.names_of(workspace, [*codes, *(p for p, _ in found.places)]),
        changes=flow.changes(workspace, ledger, me=me, limit=1), scopes=scopes, cell_of=cell_of,
        departments=flow.departments(workspace), done=done if done in DONE else "",
        aside=len(flow.aside(workspace, ledger, me=me)) if scopes["import"] else 0,
    )  # fmt: skip


#: What a page may say that was done.
DONE = ("imported", "saved", "moved", "withdrawn", "back", "bulk", "merged", "repaired", "dismissed")


@router.get("/ledgers/{ledger}/map.geojson", dependencies=[needs(VIEW)])
def points(request: Request, site: SiteOf, ledger: str, ask: Asked) -> Response:
    """The rows asked for as marks and outlines of a map."""
    part, rows, _, _ = ledger_views.selected(real(site), ledger, principal(request), day_of(site), ask)
    breach = frozenset(part.findings.filter(part.findings["level"] == "finding")["_row"].to_list())
    made = ledger_views.features(part.base.ledger, rows, breach)
    return JSONResponse(made, headers={"Cache-Control": CALM})


@router.get("/ledgers/{ledger}/rows.{kind}", dependencies=[needs(VIEW)])
def sheet(request: Request, site: SiteOf, ledger: str, ask: Asked, kind: str) -> Response:
    """The rows asked for: a workbook that can be imported again (XLSX), or a plain table in words (CSV)."""
    workspace, me, words = real(site), principal(request), words_of(request)
    part, rows, _, _ = ledger_views.selected(workspace, ledger, me, day_of(site), ask)
    declared = part.base.ledger
    if kind == "xlsx":
        data = flow.export(workspace, ledger, rows, me=me, lang=words.language)
        return _file(data, f"{ledger}.xlsx")
    columns = ledger_views.readable(declared, me)
    places = [v for c in columns if c.type == "place" for v in rows[c.name].unique().to_list()]
    names = ledger_views.names_of(workspace, places)
    heads = {c.name: words.of(c.words) for c in columns}
    told = ({c.name: shown(words, c, r[c.name], names) for c in columns} for r in rows.iter_rows(named=True))
    return site.sheet(request, ledger, heads, told, kind)


@router.get("/ledgers/{ledger}/template.xlsx", dependencies=[needs(VIEW)])
def template(request: Request, site: SiteOf, ledger: str) -> Response:
    """An empty workbook with drop-downs and notes, to be filled and imported."""
    me = principal(request)
    data = flow.export(real(site), ledger, None, me=me, lang=words_of(request).language)
    return _file(data, f"{ledger}-template.xlsx")


def _file(data: bytes, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": CALM}
    return Response(data, media_type=XLSX, headers=headers)


@router.get("/ledgers/{ledger}/changes", dependencies=[needs(VIEW)])
def changes(request: Request, site: SiteOf, ledger: str) -> Response:
    """What was done to a ledger: imports, forms, bulk changes, withdrawals, merges."""
    workspace, me = real(site), principal(request)
    rows, declared = flow.changes(workspace, ledger, me=me, limit=200), flow.load_ledger(ledger)
    return site.page(
        request, "ledger_changes.html", result_of(site, request), ledger=declared, rows=rows,
        importing=bool(flow.scope(me, declared, "ledger.import")),
    )  # fmt: skip
