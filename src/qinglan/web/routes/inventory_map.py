"""The frozen inventory on the map: cells, and what one cell emits in an hour, followed to the ledgers' rows."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from qinglan.emission.categories import SPECIES, categories
from qinglan.flow import ledgers as flow
from qinglan.flow.inventory import fields
from qinglan.flow.views import inventory_map as views
from qinglan.flow.views.ledgers import names_of
from qinglan.ledger.declare import ledgers
from qinglan.web import charts
from qinglan.web.access import needs, principal
from qinglan.web.routes.inventory import VIEW
from qinglan.web.routes.ledgers import real, result_of
from qinglan.web.site import CALM, Site, site, words_of
from qinglan.web.text import plain

router = APIRouter()
SiteOf = Annotated[Site, Depends(site)]
#: Cells of the table beside the map.
LISTED = 25
_TONNES = "%.4g"


def asked(
    version: Annotated[str, Query(max_length=20)] = "",
    species: Annotated[str, Query(max_length=20)] = "nox",
    step: Annotated[int, Query(ge=1, le=100)] = fields.STEP,
) -> dict[str, Any]:
    """Version ('' is the newest), species and size of cell [km]."""
    return {"version": version, "species": species, "step": step}


Asked = Annotated[dict[str, Any], Depends(asked)]
Hour = Annotated[int, Query(ge=1, le=24)]


def _found(here: Site, ask: dict[str, Any]) -> views.Gridded:
    return views.gridded(real(here), **ask)


def _cell_address(ask: dict[str, Any], iy: int, ix: int, **more: Any) -> str:
    return f"/inventory/map/{iy}/{ix}?{urlencode({k: v for k, v in (ask | more).items() if v != ''})}"


@router.get("/inventory/map", dependencies=[needs(VIEW)])
def overview(request: Request, site: SiteOf, ask: Asked) -> Response:
    """What a frozen inventory emits in each cell of a grid; the largest cells lead to their hours and rows."""
    result, every = result_of(site, request), views.versions(real(site))
    if not every:
        return site.page(request, "inventory_map.html", result, found=None, ask=ask)
    found = _found(site, ask)
    return site.page(
        request, "inventory_map.html", result, found=found, ask=ask, told=views.overview(found), versions=every,
        largest=found.cells.head(LISTED).to_dicts(), species=SPECIES, steps=fields.STEPS, query=urlencode(ask),
        cell=lambda row: _cell_address(ask, row["iy"], row["ix"]),
    )  # fmt: skip


@router.get("/inventory/map.geojson", dependencies=[needs(VIEW)])
def outlines(request: Request, site: SiteOf, ask: Asked) -> Response:
    """Outlines of the cells with how strongly each emits."""
    found, words = _found(site, ask), words_of(request)
    name = words.word("inventory_species", found.species)
    shown = views.drawn(found).to_dicts()
    labels = [f"{name} {plain(float(_TONNES % row['tonnes']))} t" for row in shown]
    hrefs = [_cell_address(ask, row["iy"], row["ix"]) for row in shown]
    return JSONResponse(views.features(found, labels, hrefs), headers={"Cache-Control": CALM})


@router.get("/inventory/cells.{kind}", dependencies=[needs(VIEW)])
def cells_sheet(request: Request, site: SiteOf, ask: Asked, kind: str) -> Response:
    """Every cell that emits, with its centre and tonnes a year, as CSV or XLSX."""
    found, words = _found(site, ask), words_of(request)
    heads = {c: words.word("inventory_map_column", c) for c in ("iy", "ix", "lon", "lat", "tonnes")}
    name = f"inventory-{found.held.version.id}-{found.species}-{found.step}km"
    return site.sheet(request, name, heads, found.cells.iter_rows(named=True), kind)


@router.get("/inventory/map/cell", dependencies=[needs(VIEW)])
def at_point(
    request: Request,
    site: SiteOf,
    ask: Asked,
    lon: Annotated[float, Query(ge=-180, le=180)],
    lat: Annotated[float, Query(ge=-90, le=90)],
) -> Response:
    """To the cell of a longitude and latitude."""
    return RedirectResponse(_cell_address(ask, *fields.cell_at(_found(site, ask).field, lon, lat)), 303)


def _traced(here: Site, request: Request, ask: dict[str, Any], cell: tuple[int, int],
            at: tuple[date | None, int]) -> tuple[views.Gridded, views.Traced, date]:  # fmt: skip
    found = _found(here, ask)
    day = at[0] or date(found.year, 1, 1)
    return found, views.traced(real(here), principal(request), found, cell, (day, at[1])), day


#: Columns of a traced row as a file.
COLUMNS = ("ledger", "row_key", "activity", "place", "sector", "fuel", "technology", "tonnes", "share", "year_t",
           "in_cell", "in_hour", "method", "amount", "unit", "factor", "factor_unit", "factor_id", "factor_source",
           "removal", "running", "capture")  # fmt: skip


@router.get("/inventory/map/{iy}/{ix}", dependencies=[needs(VIEW)])
def cell(
    request: Request, site: SiteOf, ask: Asked, iy: int, ix: int, day: date | None = None, hour: Hour = 8
) -> Response:
    """What one cell emits in one hour: the ledgers' rows that make it, with the factors that made each."""
    found, told, day = _traced(site, request, ask, (iy, ix), (day, hour))
    places = told.rows["place"].drop_nulls().unique().to_list()
    return site.page(
        request, "inventory_cell.html", result_of(site, request), found=found, ask=ask, told=told, iy=iy, ix=ix,
        day=day, hour=hour, rows=told.rows.to_dicts(), sectors=categories().sectors, species=SPECIES,
        names=names_of(real(site), places), titles={n: flow.load_ledger(n).title for n in ledgers()},
        query=urlencode(ask | {"day": day, "hour": hour}),
    )  # fmt: skip


@router.get("/inventory/map/{iy}/{ix}/hours.json", dependencies=[needs(VIEW)])
def course(
    request: Request, site: SiteOf, ask: Asked, iy: int, ix: int, day: date | None = None, hour: Hour = 8
) -> Response:
    """The cell's hours of the day as a chart."""
    found, told, _ = _traced(site, request, ask, (iy, ix), (day, hour))
    words = words_of(request)
    name = words.word("inventory_species", found.species)
    series = {name: [round(t * 1000, 6) for t in told.hours]}
    return charts.answer(charts.bars(series, [str(h) for h in range(1, 25)], unit="kg/h"),
                         {"Cache-Control": CALM})  # fmt: skip


@router.get("/inventory/map/{iy}/{ix}/rows.{kind}", dependencies=[needs(VIEW)])
def cell_sheet(
    request: Request,
    site: SiteOf,
    ask: Asked,
    iy: int,
    ix: int,
    kind: str,
    day: date | None = None,
    hour: Hour = 8,
) -> Response:
    """The rows of a cell's hour as CSV or XLSX, with share, factor and device."""
    found, told, day = _traced(site, request, ask, (iy, ix), (day, hour))
    words = words_of(request)
    heads = {c: words.word("inventory_map_column", c) for c in COLUMNS}
    name = f"inventory-cell-{iy}-{ix}-{found.species}-{day:%Y%m%d}{hour:02}"
    return site.sheet(request, name, heads, told.rows.iter_rows(named=True), kind)
