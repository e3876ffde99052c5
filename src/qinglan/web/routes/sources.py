"""Sources: every enterprise once, everything known about it, and where the ledgers disagree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Query, Request
from starlette.responses import RedirectResponse, Response

from qinglan.core.errors import UsageError
from qinglan.emission.categories import SPECIES
from qinglan.emission.linkage import trust
from qinglan.flow import complaints, identities
from qinglan.flow import ledgers as flow
from qinglan.flow.views import source as one
from qinglan.flow.views import sources as views
from qinglan.flow.views.ledgers import names_of
from qinglan.ledger.declare import load_ledger
from qinglan.web.access import needs, principal
from qinglan.web.routes.ledgers import cell_of, day_of, real, result_of, shown
from qinglan.web.site import Site, site, words_of
from qinglan.web.text import Text, plain

router = APIRouter(prefix="/sources")
SiteOf = Annotated[Site, Depends(site)]
VIEW, MERGE = "ledger.view", "ledger.merge"
PAGE = 50
Year = Annotated[int | None, Query(ge=1900, le=2100)]
Page = Annotated[int, Query(ge=1, le=100_000)]
Short = Annotated[str, Query(max_length=80)]


def asked(
    q: Short = "", place: Short = "", industry: Short = "", record: Short = "", lacks: Short = "", only: Short = ""
) -> dict[str, str]:
    """The filter over the sources."""
    return {"q": q, "place": place, "industry": industry, "record": record, "lacks": lacks, "only": only}


def disputed(
    q: Short = "", place: Short = "", fact: Short = "", origin: Short = "", by: Short = ""
) -> dict[str, str]:
    """The filter over the conflicts."""
    return {"q": q, "place": place, "fact": fact, "origin": origin, "by": by}


Asked = Annotated[dict[str, str], Depends(asked)]
Disputed = Annotated[dict[str, str], Depends(disputed)]


def _found(here: Site, request: Request, year: int | None) -> views.Found:
    return views.found(real(here), principal(request), day_of(here).year, year)


def said(words: Text, fact: str, value: str | None, names: Mapping[str, Any]) -> str:
    """A value of a fact as people read it: words of codes, names of places, numbers as short as they may be."""
    ledger, rule = load_ledger(views.OF), trust()["facts"][fact]
    if value is None:
        return plain(None)
    if rule["kind"] == "number":
        return plain(round(float(value), 3 if abs(float(value)) < 1000 else 0))
    return cell_of(words, ledger.column(fact), value, names) if fact in ledger.schema else value


def _words(here: Site, counties: Iterable[str | None]) -> dict[str, Any]:
    """Names that tables of sources show."""
    known = {c for c in counties if c}
    return {
        "names": names_of(real(here), known | {f"{c[:4]}00" for c in known}), "said": said, "cell_of": cell_of,
        "about": load_ledger(views.OF), "origins": trust()["origins"], "rules": trust()["facts"],
        "titles": {ledger.id: ledger.title for ledger in views.with_enterprise()},
    }  # fmt: skip


def _counties(found: views.Found) -> list[str]:
    return [str(c) for c in found.table["county"].drop_nulls().unique().to_list()]


@router.get("", dependencies=[needs(VIEW)])
def listing(request: Request, site: SiteOf, ask: Asked, year: Year = None, page: Page = 1) -> Response:
    """Every source that the ledgers know, once: who knows it, who does not, and where they disagree."""
    found = _found(site, request, year)
    rows = views.chosen(found, ask)
    pages = max(1, -(-rows.height // PAGE))
    page = min(page, pages)
    return site.page(
        request, "sources.html", result_of(site, request), found=found, ask=ask, page=page, pages=pages,
        rows=rows.slice((page - 1) * PAGE, PAGE).to_dicts(), total=rows.height, covered=views.covered(found),
        industries=found.table["industry"].drop_nulls().unique().sort().to_list(),
        **_words(site, _counties(found)),
    )  # fmt: skip


@router.get(".{kind}", dependencies=[needs(VIEW)])
def sheet(request: Request, site: SiteOf, ask: Asked, kind: str, year: Year = None) -> Response:
    """The sources asked for as CSV or XLSX."""
    site.stands_on(request, "now")
    words, found = words_of(request), _found(site, request, year)
    more = _words(site, _counties(found))
    columns = ("identity", "name", "county", "industry", "permit_kind", "grade", "status", "ledgers", "rows",
               "conflicts", "open")  # fmt: skip
    heads = {c: words.word("source_column", c) for c in columns}

    def cells(row: dict[str, Any]) -> dict[str, Any]:
        coded = ("county", "industry", "permit_kind", "grade", "status")
        told = {c: shown(words, more["about"].column(c), row[c], more["names"]) for c in coded}
        return {**row, **told, "ledgers": words.of([more["titles"][n] for n in row["ledgers"]])}

    rows = (cells(r) for r in views.chosen(found, ask).iter_rows(named=True))
    return site.sheet(request, f"sources-{found.year}", heads, rows, kind)


@router.get("/conflicts", dependencies=[needs(VIEW)])
def conflicts(
    request: Request, site: SiteOf, ask: Disputed, year: Year = None, page: Page = 1, done: Short = ""
) -> Response:
    """Where ledgers disagree: who says what with row and date, who is believed, by which rule and why."""
    found = _found(site, request, year)
    rows = views.disagreements(found, ask)
    pages = max(1, -(-rows.height // PAGE))
    page = min(page, pages)
    return site.page(
        request, "source_conflicts.html", result_of(site, request), found=found, ask=ask, page=page, pages=pages,
        rows=rows.slice((page - 1) * PAGE, PAGE).to_dicts(), total=rows.height,
        unmatched=found.fused.unmatched.to_dicts(), proposals=found.fused.proposals.to_dicts(),
        unused=found.fused.unused, done=done, may_decide=_may_decide(request), **_words(site, _counties(found)),
    )  # fmt: skip


@router.get("/conflicts.{kind}", dependencies=[needs(VIEW)])
def conflicts_sheet(request: Request, site: SiteOf, ask: Disputed, kind: str, year: Year = None) -> Response:
    """The conflicts asked for as CSV or XLSX."""
    site.stands_on(request, "now")
    words, found = words_of(request), _found(site, request, year)
    more = _words(site, _counties(found))
    columns = ("identity", "name", "county", "fact", "winner", "value", "winner_row", "winner_at", "other",
               "other_value", "other_row", "other_at", "unit", "difference", "measure", "tolerance", "decided_by",
               "why")  # fmt: skip
    heads = {c: words.word("source_column", c) for c in columns}

    def cells(row: dict[str, Any]) -> dict[str, Any]:
        rule, county = more["rules"][row["fact"]], more["about"].column("county")
        value = {n: said(words, row["fact"], row[n], more["names"]) for n in ("value", "other_value")}
        return {
            **row, **value, "fact": words.of(rule), "county": shown(words, county, row["county"], more["names"]),
            "winner": words.of(more["origins"][row["winner"]]), "other": words.of(more["origins"][row["other"]]),
            "unit": words.unit_word(rule.get("unit") if rule["kind"] == "number" else None),
            "measure": words.word("source_measure", row["measure"]) if row["measure"] else None,
            "why": row[words.language],
        }  # fmt: skip

    rows = (cells(r) for r in views.disagreements(found, ask).iter_rows(named=True))
    return site.sheet(request, f"conflicts-{found.year}", heads, rows, kind)


@router.post("/bindings", dependencies=[needs(MERGE)])
def bind(
    request: Request,
    site: SiteOf,
    origin: Annotated[str, Form(max_length=60)],
    row_key: Annotated[str, Form(max_length=300)],
    identity: Annotated[str, Form(max_length=40)],
    year: Annotated[int, Form(ge=1900, le=2100)],
    reason: Annotated[str, Form(max_length=500)] = "",
) -> Response:
    """Say to which enterprise a row without an identity belongs, with a reason; written into the audit log."""
    workspace, me = real(site), principal(request)
    identities.bind(workspace, me, origin, row_key, identity.strip(), reason=reason, now=site.clock(), year=year)
    return RedirectResponse(f"/sources/conflicts?year={year}&done=bound#unmatched", status_code=303)


def _may_decide(request: Request) -> bool:
    return bool(flow.scope(principal(request), load_ledger(views.OF), MERGE))


def _page(request: Request, site: Site, uscc: str, year: int | None, status: int = 200, **more: Any) -> Response:
    workspace, me = real(site), principal(request)
    found = one.source(workspace, me, day_of(site), site.clock(), uscc, year)
    return site.page(
        request, "source.html", result_of(site, request), status=status, one=found, found=found.told,
        species=SPECIES, permitted=tuple(one.PERMITTED), levels=one.LEVELS, may_decide=_may_decide(request),
        reported=complaints.rules(), near=trust()["near"], lists={n: load_ledger(n) for n in one.LISTS},
        **_words(site, [found.row["county"], *_counties(found.told)]), **{"done": "", "wrong": "", **more},
    )  # fmt: skip


@router.get("/{uscc}", dependencies=[needs(VIEW)])
def source(request: Request, site: SiteOf, uscc: str, year: Year = None, done: Short = "") -> Response:
    """One source: who says what of it, all its rows, permit, monitoring, emergency list, grade and tonnes."""
    return _page(request, site, uscc, year, done=done)


@router.post("/{uscc}/decisions", dependencies=[needs(MERGE)])
def decide(
    request: Request,
    site: SiteOf,
    uscc: str,
    fact: Annotated[str, Form(max_length=60)],
    origin: Annotated[str, Form(max_length=60)],
    reason: Annotated[str, Form(max_length=500)] = "",
) -> Response:
    """Believe one ledger about a fact of a source from now on, with a reason; written into the audit log."""
    workspace, me = real(site), principal(request)
    try:
        identities.decide(workspace, me, uscc, fact, origin, reason=reason, now=site.clock())
    except UsageError as fault:
        return _page(request, site, uscc, None, status=422, wrong=str(fault))
    return RedirectResponse(f"/sources/{uscc}?done=decided#conflicts", status_code=303)
