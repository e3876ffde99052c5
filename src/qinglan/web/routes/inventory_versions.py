"""Frozen inventories: which there are, freezing one, what it is made of, two compared, how sure one is."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Query, Request
from starlette.responses import RedirectResponse, Response

from qinglan.core.errors import QinglanError, UnknownName
from qinglan.emission.categories import SPECIES, categories
from qinglan.emission.change import EFFECTS
from qinglan.emission.export.workbook import tables
from qinglan.flow import inventory as flow
from qinglan.flow import inventory_checks, ledgers
from qinglan.flow.views import inventory_versions as views
from qinglan.flow.views.ledgers import names_of
from qinglan.web import charts
from qinglan.web.access import needs, principal
from qinglan.web.routes.inventory import VIEW, Page, SiteOf
from qinglan.web.routes.inventory_checks import BUILD
from qinglan.web.routes.ledgers import XLSX, real, result_of
from qinglan.web.site import CALM, Site, words_of

router = APIRouter()
PAGE = 50
Short = Annotated[str, Query(max_length=40)]
#: What is told after freezing: a version was made, or it was there already.
DONE = ("frozen", "existing")
#: Columns of a compared row as a file, and of a version's row.
COMPARED = ("kind", "ledger", "ledger_key", "activity", "place", "sector", "fuel", "technology", "species",
            "before_t", "after_t", "change_t", *EFFECTS, "method_changed")  # fmt: skip
ROWS = ("ledger", "row_key", "activity", "place", "year", "sector", "fuel", "technology", "species", "emission_t",
        "method", "amount", "unit", "factor", "factor_unit", "factor_id", "removal")  # fmt: skip
SPREAD = ("species", "emission_t", "low", "high", "low_percent", "high_percent", "propagated_percent")
INPUTS = ("input", "name", "mass_t", "share", "cumulative")


def _listing(here: Site, request: Request, *, wrong: str = "", done: str = "", **given: Any) -> Response:
    workspace = real(here)
    return here.page(
        request, "inventory_versions.html", result_of(here, request), status=422 if wrong else 200,
        entries=views.listing(workspace), years=inventory_checks.years(workspace), wrong=wrong, done=done,
        may_build=principal(request).may(BUILD), given=given,
    )  # fmt: skip


@router.get("/inventory/versions", dependencies=[needs(VIEW)])
def listing(request: Request, site: SiteOf, done: Short = "") -> Response:
    """Frozen versions, newest first: who, when, why, of how much; freeze a year, compare two."""
    return _listing(site, request, done=done if done in DONE else "")


@router.post("/inventory/versions", dependencies=[needs(BUILD)])
def freeze(
    request: Request,
    site: SiteOf,
    year: Annotated[int, Form(ge=1900, le=2100)],
    reason: Annotated[str, Form(max_length=500)] = "",
) -> Response:
    """Build a year out of the ledgers and freeze it; the same rows, factors and program make nothing new."""
    try:
        made = flow.freeze(real(site), year, by=principal(request).id, reason=reason, now=site.clock())
    except QinglanError as fault:
        return _listing(site, request, wrong=str(fault), year=year, reason=reason)
    done = "existing" if made.existing else "frozen"
    return RedirectResponse(f"/inventory/versions/{made.id}?done={done}", status_code=303)


def pair_of(site: SiteOf, before: Short = "", after: Short = "", species: Short = "nox") -> dict[str, str]:
    """Two versions and a species; '' is the last version of the last year, for `before` the one before it."""
    known = [] if before and after else sorted((v.id for v in views.choices(real(site))), reverse=True)
    newest = after or next(iter(known), "")
    return {
        "before": before or next((v for v in known if v != newest), newest),
        "after": newest,
        "species": species,
    }


Pair = Annotated[dict[str, str], Depends(pair_of)]


@router.get("/inventory/versions/compare", dependencies=[needs(VIEW)])
def compare(request: Request, site: SiteOf, pair: Pair, kind: Short = "", page: Page = 1) -> Response:
    """Two versions row by row: what activity, factor and control each made of the change, what came and went."""
    found = views.compared(real(site), principal(request), **pair, kind=kind)
    pages = max(1, -(-found.rows.height // PAGE))
    page = min(page, pages)
    part = found.rows.slice((page - 1) * PAGE, PAGE).to_dicts()
    return site.page(
        request, "inventory_compare.html", result_of(site, request), found=found, part=part, page=page,
        pages=pages, pair=pair, kind=kind, species=SPECIES, effects=EFFECTS, versions=views.choices(real(site)),
        sectors=categories().sectors, names=names_of(real(site), (r["place"] for r in part)),
        titles={n: ledgers.load_ledger(n).title for n in found.rows["ledger"].unique()},
    )  # fmt: skip


@router.get("/inventory/versions/compare.{kind}", dependencies=[needs(VIEW)])
def compare_sheet(request: Request, site: SiteOf, kind: str, pair: Pair, only: Short = "") -> Response:
    """The rows of one species that differ (`only`: added, gone or changed) with the effects, as CSV or XLSX."""
    site.stands_on(request, "now")
    words, found = words_of(request), views.compared(real(site), principal(request), **pair, kind=only)
    heads = {c: words.word("inventory_compare_column", c) for c in COMPARED}
    rows = (
        {**r, "kind": words.word("inventory_compare_kind", r["kind"]),
         "method_changed": words("ledger.yes" if r["method_changed"] else "ledger.no")}
        for r in found.rows.iter_rows(named=True)
    )  # fmt: skip
    return site.sheet(request, "inventory-{before}-{after}-{species}".format(**pair), heads, rows, kind)


@router.get("/inventory/versions/totals.{kind}", dependencies=[needs(VIEW)])
def compare_totals(request: Request, site: SiteOf, kind: str, pair: Pair) -> Response:
    """Change by sector and species with its effects, as CSV or XLSX."""
    site.stands_on(request, "now")
    words, found = words_of(request), flow.compare(real(site), pair["before"], pair["after"])
    columns = ("sector", "species", "before_t", "after_t", "change_t", *EFFECTS)
    heads = {c: words.word("inventory_compare_column", c) for c in columns}
    name = "inventory-{before}-{after}".format(**pair)
    return site.sheet(request, name, heads, found.totals.iter_rows(named=True), kind)


@router.get("/inventory/versions/effects.json", dependencies=[needs(VIEW)])
def effects(request: Request, site: SiteOf, pair: Pair) -> Response:
    """What each effect adds to the change of one species, as a chart."""
    words, found = words_of(request), views.compared(real(site), principal(request), **pair)
    row = next((r for r in found.totals if r["species"] == found.species), dict.fromkeys(EFFECTS, 0.0))
    names = [words.word("inventory_compare_column", e) for e in EFFECTS]
    series = {words.word("inventory_species", found.species): [round(row[e], 6) for e in EFFECTS]}
    return charts.answer(charts.bars(series, names, unit="t"), {"Cache-Control": CALM})


@router.get("/inventory/versions/{version}", dependencies=[needs(VIEW)])
def one(request: Request, site: SiteOf, version: str, done: Short = "") -> Response:
    """What a version says and what it was made of: totals, ledgers, factors and files with their hashes."""
    held = flow.open_version(real(site), version)
    entries = views.listing(real(site))
    entry = next(e for e in entries if e.version.id == held.version.id)
    return site.page(
        request, "inventory_version.html", result_of(site, request), entry=entry,
        others=[e.version for e in entries if e.version.id != held.version.id], species=SPECIES,
        titles={n: ledgers.load_ledger(n).title for n in held.version.inputs},
        done=done if done in DONE else "",
    )  # fmt: skip


@router.get("/inventory/versions/{version}/rows.{kind}", dependencies=[needs(VIEW)])
def rows_sheet(request: Request, site: SiteOf, version: str, kind: str) -> Response:
    """A version's emissions that the reader may see, with factor, device and tonnes, as CSV or XLSX."""
    site.stands_on(request, "now")
    words = words_of(request)
    held, seen = views.emissions(real(site), principal(request), version)
    heads = {c: words.word("inventory_column", c) for c in ROWS}
    return site.sheet(request, f"inventory-{held.version.id}", heads, seen.iter_rows(named=True), kind)


@router.get("/inventory/versions/{version}/tables.{form}", dependencies=[needs(VIEW)])
def workbook(request: Request, site: SiteOf, version: str, form: str) -> Response:
    """A version in the guide's tables (XLSX): classes and sectors by species, and places."""
    site.stands_on(request, "now")
    if form != "xlsx":
        raise UnknownName("form of the guide's tables", form, ("xlsx",))
    held, seen = views.emissions(real(site), principal(request), version)
    headers = {"Content-Disposition": f'attachment; filename="inventory-{held.version.id}.xlsx"',
               "Cache-Control": CALM}  # fmt: skip
    return Response(tables(seen), media_type=XLSX, headers=headers)


def sure_of(version: Short = "", species: Short = "nox") -> dict[str, str]:
    """Version ('' is the newest) and species."""
    return {"version": version, "species": species}


Asked = Annotated[dict[str, str], Depends(sure_of)]


@router.get("/inventory/uncertainty", dependencies=[needs(VIEW)])
def uncertainty(request: Request, site: SiteOf, ask: Asked) -> Response:
    """How sure a version is: intervals by species and sector, what weighs most in them, key sources."""
    result, every = result_of(site, request), views.choices(real(site))
    if not every:
        return site.page(request, "inventory_uncertainty.html", result, found=None)
    found = views.sure(real(site), principal(request), **ask)
    return site.page(
        request, "inventory_uncertainty.html", result, found=found, versions=every, species=SPECIES,
        sectors=categories().sectors,
    )  # fmt: skip


@router.get("/inventory/uncertainty/totals.json", dependencies=[needs(VIEW)])
def spread_chart(request: Request, site: SiteOf, ask: Asked) -> Response:
    """The 95 % interval of each species in percent of its tonnes, as a chart."""
    words, found = words_of(request), views.sure(real(site), principal(request), **ask)
    names = [words.word("inventory_species", r["species"]) for r in found.totals]
    ends = {words.word("inventory_spread_column", n): [_rounded(r[n]) for r in found.totals]
            for n in ("low_percent", "high_percent")}  # fmt: skip
    return charts.answer(charts.bars(ends, names, unit="%", stacked=True), {"Cache-Control": CALM})


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)


@router.get("/inventory/uncertainty.{kind}", dependencies=[needs(VIEW)])
def spread_sheet(request: Request, site: SiteOf, ask: Asked, kind: str) -> Response:
    """Intervals by species as CSV or XLSX."""
    site.stands_on(request, "now")
    words, found = words_of(request), views.sure(real(site), principal(request), **ask)
    heads = {c: words.word("inventory_spread_column", c) for c in SPREAD}
    return site.sheet(request, f"inventory-uncertainty-{found.held.version.id}", heads, found.totals, kind)


@router.get("/inventory/uncertainty/inputs.{kind}", dependencies=[needs(VIEW)])
def inputs_sheet(request: Request, site: SiteOf, ask: Asked, kind: str) -> Response:
    """What weighs most in one species' interval as CSV or XLSX."""
    site.stands_on(request, "now")
    words, found = words_of(request), views.sure(real(site), principal(request), **ask)
    heads = {c: words.word("inventory_spread_column", c) for c in INPUTS}
    rows = (
        {**r, "input": words.word("inventory_spread_input", r["input"]),
         "name": words("inventory_uncertainty.theirs") if r["theirs"] else r["name"]}
        for r in found.inputs
    )  # fmt: skip
    return site.sheet(request, f"inventory-inputs-{found.held.version.id}-{found.species}", heads, rows, kind)
