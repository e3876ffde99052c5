"""The emergency list: whether it holds and what is wrong, its lines, its completion, a plant and its sheet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import polars as pl
from fastapi import APIRouter, Depends, Query, Request
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response

from qinglan.core.errors import UsageError
from qinglan.episode.grades import action
from qinglan.flow import emergency as flow
from qinglan.flow import ledgers
from qinglan.flow.views import emergency as views
from qinglan.flow.views.ledgers import names_of, readable
from qinglan.ledger.declare import load_ledger
from qinglan.report import MEDIA
from qinglan.web.access import needs, principal
from qinglan.web.routes.ledger_rows import whole_form
from qinglan.web.routes.ledgers import cell_of, day_of, real, result_of, shown
from qinglan.web.site import CALM, Reader, Site, site, words_of
from qinglan.web.text import Text

router = APIRouter(prefix="/emergency-list")
SiteOf = Annotated[Site, Depends(site)]
VIEW, EDIT = "emergency.view", "emergency.edit"
PAGE = 50
Year = Annotated[int | None, Query(ge=1900, le=2100)]
Page = Annotated[int, Query(ge=1, le=100_000)]
Short = Annotated[str, Query(max_length=60)]
NEEDS = ("level", "need", "base_t", "required", "claimed", "credible", "required_t", "claimed_t", "credible_t")


def asked(
    q: Short = "", place: Short = "", sector: Short = "", grade: Short = "", status: Short = "", only: Short = ""
) -> dict[str, str]:
    """The filter over the lines."""
    return {"q": q, "place": place, "sector": sector, "grade": grade, "status": status, "only": only}


Asked = Annotated[dict[str, str], Depends(asked)]


def _seen(here: Site, request: Request, year: int | None) -> flow.Seen | None:
    return views.seen(real(here), principal(request), day_of(here), year)


def _page(here: Site, request: Request, template: str, status: int = 200, **context: Any) -> Response:
    """A page with what all pages of the list show words with."""
    return here.page(
        request, template, result_of(here, request), status=status, cell_of=cell_of,
        ledger=load_ledger(flow.LEDGER), levels=views.LEVELS, species=views.SPECIES,
        may_edit=principal(request).may(EDIT), **context,
    )  # fmt: skip


def _part(frame: pl.DataFrame, page: int) -> tuple[list[dict[str, Any]], int, int]:
    """A page's rows, its number and how many there are."""
    pages = max(1, -(-frame.height // PAGE))
    page = min(page, pages)
    return frame.slice((page - 1) * PAGE, PAGE).to_dicts(), page, pages


def _places(here: Site, codes: Iterable[str | None]) -> dict[str, Any]:
    known = {c for c in codes if c}
    return names_of(real(here), known | {c[:4] + "00" for c in known})


@router.get("", dependencies=[needs(VIEW)])
def overview(request: Request, site: SiteOf, year: Year = None, check: Short = "", page: Page = 1) -> Response:
    """Whether the list reaches what is required, by level and species, and what is wrong with it."""
    found = _seen(site, request, year)
    if found is None:
        return _page(site, request, "emergency.html", found=None, part=[], names={})
    part, page, pages = _part(views.findings(found, check), page)
    return _page(
        site, request, "emergency.html", found=found, needs=views.levels(found.checked.needs), part=part,
        page=page, pages=pages, counts=views.counted(found), check=check,
        names=_places(site, (r["county"] for r in part)),
        listed=found.rows.filter(status="listed").height,
    )  # fmt: skip


def _none(found: Any) -> Any:
    if found is None:
        raise UsageError(
            "there is no emergency list and nothing to make one of.",
            remedy="Import the ledgers of enterprises and their lines.",
        )
    return found


@router.get("/needs.{kind}", dependencies=[needs(VIEW)])
def needs_sheet(request: Request, site: SiteOf, kind: str, year: Year = None) -> Response:
    """Required, listed and credible cuts by level and species, as a share and in tonnes a day."""
    site.stands_on(request, "now")
    words, found = words_of(request), _none(_seen(site, request, year))
    rows = _need_rows(words, found.checked.needs if found.whole else found.checked.needs.clear())
    heads = {c: words.word("emergency_column", c) for c in NEEDS}
    return site.sheet(request, f"emergency-needs-{found.year}", heads, rows, kind)


def _need_rows(words: Text, needs: pl.DataFrame) -> Iterable[dict[str, Any]]:
    for row in needs.iter_rows(named=True):
        named = {
            "level": words.word("emergency_level", row["level"]),
            "need": words.word("emergency_need", row["need"]),
        }
        yield row | named


@router.get("/findings.{kind}", dependencies=[needs(VIEW)])
def findings_sheet(request: Request, site: SiteOf, kind: str, year: Year = None, check: Short = "") -> Response:
    """All findings, or those of one check."""
    site.stands_on(request, "now")
    words, found = words_of(request), _none(_seen(site, request, year))
    columns = ("check", "uscc", "enterprise", "county", "line_no", "line", "level", "value", "said", "remedy")
    heads = {c: words.word("emergency_column", c) for c in columns}
    lang = words.language
    rows = (
        {**r, "check": words.word("emergency_check", r["check"]), "said": r[lang], "remedy": r[f"remedy_{lang}"],
         "level": words.word("emergency_level", r["level"]) if r["level"] else None}
        for r in views.findings(found, check).iter_rows(named=True)
    )  # fmt: skip
    return site.sheet(request, f"emergency-findings-{found.year}", heads, rows, kind)


@router.get("/lines", dependencies=[needs(VIEW)])
def lines(request: Request, site: SiteOf, ask: Asked, year: Year = None, page: Page = 1) -> Response:
    """Lines of the list with their measures, narrowed by a filter."""
    found = _seen(site, request, year)
    if found is None:
        return _page(site, request, "emergency_lines.html", found=None, part=[], ask=ask, names={})
    rows = views.lines(found, ask)
    part, page, pages = _part(rows, page)
    offered = views.choices(found)
    return _page(
        site, request, "emergency_lines.html", found=found, part=part, page=page, pages=pages, ask=ask,
        total=rows.height, offered=offered, names=_places(site, offered["county"]),
    )  # fmt: skip


@router.get("/lines.{kind}", dependencies=[needs(VIEW)])
def lines_sheet(request: Request, site: SiteOf, ask: Asked, kind: str, year: Year = None) -> Response:
    """The lines asked for, with every column of the ledger that the reader may read."""
    site.stands_on(request, "now")
    words, found = words_of(request), _none(_seen(site, request, year))
    columns = readable(load_ledger(flow.LEDGER), principal(request))
    names = _places(site, found.rows["county"].unique())
    heads = {c.name: words.of(c.words) + (f" [{c.unit}]" if c.unit and c.unit != "1" else "") for c in columns}
    rows = (
        {c.name: shown(words, c, r[c.name], names) for c in columns}
        for r in views.lines(found, ask).iter_rows(named=True)
    )
    return site.sheet(request, f"emergency-list-{found.year}", heads, rows, kind)


@router.get("/complete", dependencies=[needs(VIEW)])
def completion(
    request: Request, site: SiteOf, year: Year = None, kind: Short = "", page: Page = 1, done: Short = "",
    refused: Page | None = None,
) -> Response:  # fmt: skip
    """The cheapest fair completion, line by line with its reason; to be accepted whole or in part."""
    return _completion(request, site, year, kind=kind, page=page, done=done, refused=refused or 0)


def _completion(
    request: Request, here: Site, year: int | None, *, kind: str = "", page: int = 1, done: str = "",
    refused: int = 0, wrong: str = "", reason: str = "", faults: Any = (),
) -> Response:  # fmt: skip
    status = 422 if wrong else 200
    found = views.offer(real(here), principal(request), day_of(here), year)
    told: dict[str, Any] = {"done": done, "refused": refused, "wrong": wrong, "reason": reason, "faults": faults}
    if found is None:
        return _page(here, request, "emergency_complete.html", status, found=None, part=[], names={}, **told)
    rows = found.changes.filter(kind=kind) if kind in flow.KINDS else found.changes
    part, page, pages = _part(rows, page)
    return _page(
        here, request, "emergency_complete.html", status, found=found, p=found.proposal, part=part, page=page,
        pages=pages, kind=kind, kinds=views.kinds(found.changes), needs=views.levels(found.proposal.needs),
        names=_places(here, (r["county"] for r in part)), **told,
    )  # fmt: skip


@router.get("/complete.{kind}", dependencies=[needs(VIEW)])
def completion_sheet(request: Request, site: SiteOf, kind: str, year: Year = None) -> Response:
    """The completion line by line with its reasons."""
    site.stands_on(request, "now")
    words = words_of(request)
    found = _none(views.offer(real(site), principal(request), day_of(site), year))
    ledger = load_ledger(flow.LEDGER)
    measures = {n: ledger.column(n) for n in views.LEVELS}
    columns = ("kind", "uscc", "enterprise", "county", "line_no", "line", "sector", "grade")
    heads = {c: words.word("emergency_column", c) for c in columns}
    for name in views.LEVELS:
        level = words.word("emergency_level", name)
        heads[f"{name}_before"] = f"{level} {words('emergency.before')} [%]"
        heads[name] = f"{level} {words('emergency.measure')}"
        heads[f"{name}_cut"] = f"{level} {words('emergency.cut')} [%]"
    heads["said"] = words("emergency.why")
    rows = (
        {**r, "kind": words.word("emergency_kind", r["kind"]), "said": r[words.language],
         **{n: shown(words, c, r[n], {}) for n, c in measures.items()}}
        for r in found.changes.iter_rows(named=True)
    )  # fmt: skip
    return site.sheet(request, f"emergency-completion-{found.proposal.year}", heads, rows, kind)


@router.post("/complete", dependencies=[needs(EDIT)])
def accept(request: Request, site: SiteOf, form: Annotated[FormData, Depends(whole_form)]) -> Response:
    """Write all of the proposal that the reader may accept, or the chosen rows, with a reason."""
    workspace, me, today = real(site), principal(request), day_of(site)
    year = int(str(form.get("year"))) if str(form.get("year", "")).isdigit() else None
    reason, words = str(form.get("reason", ""))[:500], words_of(request)
    found = views.offer(workspace, me, today, year)
    keys = sorted(found.mine) if found else []
    if form.get("act") != "all":
        keys = [str(k) for k in form.getlist("key")]
    if not keys:
        return _completion(request, site, year, wrong=words("emergency.choose_first"), reason=reason)
    try:
        done = flow.accept(
            workspace, str(form.get("digest", "")), reason=reason, me=me, today=today, now=site.clock(),
            year=year, keys=keys,
        )  # fmt: skip
    except ledgers.Overtaken:
        return _completion(request, site, year, wrong=words("emergency.overtaken"), reason=reason)
    except UsageError as fault:
        faults = getattr(fault, "faults", ())
        return _completion(request, site, year, wrong=str(fault), reason=reason, faults=faults)
    query = f"?done={done.changed}" + (f"&refused={done.refused}" if done.refused else "")
    return RedirectResponse(f"/emergency-list/complete{query}{f'&year={year}' if year else ''}", status_code=303)


@router.get("/{uscc}", dependencies=[needs(VIEW)])
def enterprise(request: Request, site: SiteOf, uscc: str, year: Year = None) -> Response:
    """One enterprise: its lines, what each does at each level, what it cuts, how each can be checked."""
    found = flow.plant(real(site), principal(request), day_of(site), uscc, year)
    books = flow.books_on(day_of(site))
    demands: Mapping[str, Any] = {
        r["_key"]: {n: action(books.grades, r["grade"], n) for n in views.LEVELS} for r in found.rows
    }
    return _page(site, request, "emergency_plant.html", found=found, demands=demands,
                 names=_places(site, (found.county,)), forms=flow.SHEETS,
                 listed=any(r["status"] == "listed" for r in found.rows))  # fmt: skip


@router.get("/{uscc}/sheet.{form}", dependencies=[needs(VIEW)])
def sheet(request: Request, site: SiteOf, uscc: str, form: str, year: Year = None) -> Response:
    """The enterprise's sheet (一厂一策) as Word or PDF, in the reader's language."""
    language = Reader.of(request).language
    data, name = flow.sheet(
        real(site), principal(request), day_of(site), uscc, language=language, form=form, year=year
    )
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": CALM}
    return Response(data, media_type=MEDIA[form], headers=headers)
