"""The inventory, to read: its totals, its rows with their working, what is missing and why."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from qinglan.emission.categories import SPECIES, categories
from qinglan.emission.frames import METHODS
from qinglan.flow import ledgers as flow
from qinglan.flow.views import inventory as views
from qinglan.flow.views.inventory_flow import MAIN, flows
from qinglan.flow.views.ledgers import names_of
from qinglan.ledger.declare import ledgers
from qinglan.web import charts
from qinglan.web.access import needs, principal
from qinglan.web.routes.ledgers import day_of, real, result_of
from qinglan.web.site import Site, site, words_of
from qinglan.web.text import Text

router = APIRouter()
SiteOf = Annotated[Site, Depends(site)]
VIEW = "inventory.view"
PAGE = 50
Year = Annotated[int | None, Query(ge=1900, le=2100)]
Page = Annotated[int, Query(ge=1, le=100_000)]


def asked(
    sector: Annotated[str, Query(max_length=60)] = "",
    place: Annotated[str, Query(max_length=40)] = "",
    species: Annotated[str, Query(max_length=20)] = "",
    ledger: Annotated[str, Query(max_length=60)] = "",
    method: Annotated[str, Query(max_length=40)] = "",
) -> dict[str, str]:
    """The filter over the rows."""
    return {"sector": sector, "place": place, "species": species, "ledger": ledger, "method": method}


Asked = Annotated[dict[str, str], Depends(asked)]


def _seen(here: Site, request: Request, year: int | None) -> views.Seen:
    return views.seen(real(here), principal(request), day_of(here), year)


def _words(here: Site, found: views.Seen) -> dict[str, Any]:
    """Names that tables of the inventory show."""
    places = [*found.emissions["place"].unique(), *found.gaps["place"].unique()]
    places += found.emissions.select(views.prefecture())["place"].unique().to_list()
    return {
        "found": found, "sectors": categories().sectors, "classes": categories().classes,
        "names": names_of(real(here), places), "titles": {n: flow.load_ledger(n).title for n in ledgers()},
    }  # fmt: skip


@router.get("/inventory", dependencies=[needs(VIEW)])
def overview(request: Request, site: SiteOf, species: Flowing, year: Year = None) -> Response:
    """What the ledgers' rows emit: totals by species, sector and prefecture, methods, and what is missing."""
    found = _seen(site, request, year)
    result = result_of(site, request)
    told = views.overview(found)
    flowing = _flow_rows(site, words_of(request), found, species)
    return site.page(
        request, "inventory.html", result, told=told, species=SPECIES, methods=METHODS, flowing=flowing,
        flow_of=species, together=(MAIN, *SPECIES), **_words(site, found),
    )  # fmt: skip


def flow_of(species: Annotated[str, Query(max_length=20)] = MAIN) -> str:
    """The species whose flow is shown, or the main ones together."""
    return species


Flowing = Annotated[str, Depends(flow_of)]


def _flow_rows(here: Site, words: Text, found: views.Seen, species: str) -> list[dict[str, Any]]:
    """The flows in the reader's words, largest first."""
    known, other = categories(), words("inventory_flow.other")
    return [
        {**r, "sector": words.of(known.sectors[r["sector"]]) if r["sector"] in known.sectors else other,
         "fuel": words.of(known.fuels[r["fuel"]]) if r["fuel"] in known.fuels else other,
         "species": words.word("inventory_species", r["species"])}
        for r in flows(found, species).iter_rows(named=True)
    ]  # fmt: skip


@router.get("/inventory/flow.json", dependencies=[needs(VIEW)])
def flow_chart(request: Request, site: SiteOf, species: Flowing, year: Year = None) -> Response:
    """From sector by fuel or process to species, as a chart. Widths are shares of each species' own tonnes."""
    site.stands_on(request, "now")
    rows = _flow_rows(site, words_of(request), _seen(site, request, year), species)
    layers = [list(dict.fromkeys(r[c] for r in rows)) for c in ("sector", "fuel", "species")]
    links: dict[tuple[int, str, str], float] = {}
    for r in rows:
        for key in ((0, r["sector"], r["fuel"]), (1, r["fuel"], r["species"])):
            links[key] = links.get(key, 0.0) + r["share"]
    return charts.answer(charts.sankey(layers, [(*key, round(v, 4)) for key, v in links.items()], unit="%"))


@router.get("/inventory/flow.{kind}", dependencies=[needs(VIEW)])
def flow_sheet(request: Request, site: SiteOf, species: Flowing, kind: str, year: Year = None) -> Response:
    """The same flows as CSV or XLSX, with tonnes."""
    site.stands_on(request, "now")
    words, found = words_of(request), _seen(site, request, year)
    heads = {c: words.word("inventory_column", c) for c in ("sector", "fuel", "species", "emission_t")}
    heads["share"] = words("inventory_flow.share")
    rows = _flow_rows(site, words, found, species)
    return site.sheet(request, f"inventory-flow-{found.year or ''}-{species}", heads, rows, kind)


@router.get("/inventory/totals.{kind}", dependencies=[needs(VIEW)])
def totals_sheet(request: Request, site: SiteOf, kind: str, year: Year = None) -> Response:
    """Tonnes by sector and species as CSV or XLSX."""
    site.stands_on(request, "now")
    words, found = words_of(request), _seen(site, request, year)
    known = categories().sectors
    heads = {
        "group": words("inventory.head.sector"),
        **{s: f"{words.word('inventory_species', s)} [t]" for s in SPECIES},
    }
    rows = views.overview(found)["sectors"]
    table = [{**r, "group": words.of(known.get(r["group"], r["group"]))} for r in rows]
    return site.sheet(request, f"inventory-{found.year or ''}", heads, table, kind)


@router.get("/inventory/rows", dependencies=[needs(VIEW)])
def rows(request: Request, site: SiteOf, ask: Asked, year: Year = None, page: Page = 1) -> Response:
    """Every emission by source and species with its method; a filter; each leads to its working."""
    found = _seen(site, request, year)
    every = views.chosen(found, ask)
    pages = max(1, -(-every.height // PAGE))
    page = min(page, pages)
    part = every.slice((page - 1) * PAGE, PAGE).to_dicts()
    return site.page(
        request, "inventory_rows.html", result_of(site, request), rows=part, ask=ask, page=page, pages=pages,
        total=every.height, tonnes=every["emission_t"].sum(), species=SPECIES, methods=METHODS,
        **_words(site, found),
    )  # fmt: skip


@router.get("/inventory/rows.{kind}", dependencies=[needs(VIEW)])
def rows_sheet(request: Request, site: SiteOf, ask: Asked, kind: str, year: Year = None) -> Response:
    """The rows asked for as CSV or XLSX, with factor, device and tonnes."""
    site.stands_on(request, "now")
    words, found = words_of(request), _seen(site, request, year)
    columns = ("ledger", "row_key", "activity", "place", "year", "sector", "fuel", "technology", "species",
               "emission_t", "method", "amount", "unit", "factor", "factor_unit", "factor_id",
               "removal")  # fmt: skip
    heads = {c: words.word("inventory_column", c) for c in columns}
    return site.sheet(request, f"inventory-rows-{found.year or ''}", heads,
                      views.chosen(found, ask).iter_rows(named=True), kind)  # fmt: skip


@router.get("/inventory/rows/{ledger}/{number}", dependencies=[needs(VIEW)])
def row(request: Request, site: SiteOf, ledger: str, number: int) -> Response:
    """The working of a ledger row's emissions: each input with its source and certainty, other methods, gaps."""
    told = views.row(real(site), principal(request), day_of(site), ledger, number)
    return site.page(
        request, "inventory_row.html", result_of(site, request), told=told, sectors=categories().sectors,
        title=flow.load_ledger(ledger).title,
    )  # fmt: skip


@router.get("/inventory/gaps", dependencies=[needs(VIEW)])
def gaps(request: Request, site: SiteOf, year: Year = None, page: Page = 1) -> Response:
    """What could not be computed, with the reason; rows of kinds of source that the draft does not hold."""
    found = _seen(site, request, year)
    pages = max(1, -(-found.gaps.height // PAGE))
    page = min(page, pages)
    part = found.gaps.slice((page - 1) * PAGE, PAGE).to_dicts()
    return site.page(
        request, "inventory_gaps.html", result_of(site, request), rows=part, page=page, pages=pages,
        told=views.overview(found), **_words(site, found),
    )  # fmt: skip
