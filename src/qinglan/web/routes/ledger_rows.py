"""Ledgers, to write: a row's form, moves and withdrawal; workbooks in and their repair; bulk changes; merging."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, File, Form, Request, UploadFile
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response

from qinglan.core.errors import QinglanError, UnknownName, UsageError
from qinglan.flow import ledgers as flow
from qinglan.flow.views import ledgers as ledger_views
from qinglan.web.access import needs, principal
from qinglan.web.routes.ledgers import DONE, SiteOf, cell_of, day_of, real, result_of
from qinglan.web.site import CALM, Site

router = APIRouter()
VIEW, EDIT, IMPORT = "ledger.view", "ledger.edit", "ledger.import"
MERGE, WITHDRAW = "ledger.merge", "ledger.withdraw"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
Reason = Annotated[str, Form(max_length=500)]


async def posted(request: Request) -> dict[str, str]:
    """The texts of a form whose fields depend on the ledger."""
    return {name: value for name, value in (await request.form()).items() if isinstance(value, str)}


Posted = Annotated[dict[str, str], Depends(posted)]


def _cells(form: Mapping[str, str]) -> dict[str, str]:
    return {name[2:]: value for name, value in form.items() if name.startswith("f.")}


def _to(ledger: str, rest: str = "", **query: str) -> RedirectResponse:
    return RedirectResponse(f"/ledgers/{ledger}{rest}{'?' + urlencode(query) if query else ''}", status_code=303)


# -- one row --------------------------------------------------------------------------------------------------


def _form_page(
    request: Request,
    site: Site,
    ledger: str,
    *,
    number: int | None = None,
    given: Mapping[str, str] | None = None,
    faults: Sequence[Mapping[str, Any]] = (),
    wrong: str = "",
    done: str = "",
    line: Mapping[str, Any] | None = None,
    reason: str = "",
) -> Response:
    """The page of a row (number), of a new one, or of a line kept aside; `given` is what was typed."""
    workspace, me, today = real(site), principal(request), day_of(site)
    declared = flow.load_ledger(ledger)
    row = None if number is None else flow.one(workspace, ledger, number, me=me)
    readable = ledger_views.readable(declared, me)
    values = {c.name: flow.typed_text(c, row["data"][c.name]) for c in readable} if row else {}
    codes = [row["data"][c.name] for c in readable if c.type == "place"] if row else []
    scope = flow.scope(me, declared, EDIT)
    places = [c.name for c in readable if c.type == "place"]
    choices = {name: flow.place_choices(workspace, declared, scope, name) for name in places}
    about = ledger_views.about_row(workspace, ledger, row, me, today) if row else None
    wrongs: dict[str, list[Mapping[str, Any]]] = {}
    for fault in faults:
        wrongs.setdefault(str(fault.get("column", "")), []).append(fault)
    return site.page(
        request, "ledger_row.html", result_of(site, request),
        status=422 if wrong or (wrongs and not line) else 200,
        ledger=declared, row=row, columns=readable, values={**values, **(given or {})}, faults=wrongs,
        wrong=wrong, done=done if done in DONE else "", line=line, reason=reason, about=about, cell_of=cell_of,
        history=flow.history(workspace, ledger, number, me=me) if number is not None else [],
        names=ledger_views.names_of(workspace, codes), places=choices, departments=flow.departments(workspace),
    )  # fmt: skip


@router.get("/ledgers/{ledger}/rows/new", dependencies=[needs(EDIT)])
def new_row(request: Request, site: SiteOf, ledger: str) -> Response:
    """An empty form."""
    flow.need(principal(request), flow.load_ledger(ledger), EDIT)
    return _form_page(request, site, ledger)


@router.post("/ledgers/{ledger}/rows/new", dependencies=[needs(EDIT)])
def add_row(request: Request, site: SiteOf, ledger: str, form: Posted) -> Response:
    """Enter a new row; its faults stand at its fields, and nothing typed is lost."""
    return _save(request, site, ledger, form, None)


@router.get("/ledgers/{ledger}/rows/{number}", dependencies=[needs(VIEW)])
def row(request: Request, site: SiteOf, ledger: str, number: int, done: str = "") -> Response:
    """A row: what it says, what is found and due, how it came to be, and what may be done with it."""
    return _form_page(request, site, ledger, number=number, done=done)


@router.post("/ledgers/{ledger}/rows/{number}", dependencies=[needs(EDIT)])
def save_row(request: Request, site: SiteOf, ledger: str, number: int, form: Posted) -> Response:
    """Correct a row against the version that was seen."""
    return _save(request, site, ledger, form, number)


def _save(request: Request, site: Site, ledger: str, form: Mapping[str, str], number: int | None) -> Response:
    cells, reason = _cells(form), form.get("reason", "")
    version = int(form["version"]) if form.get("version", "").isdigit() else None
    try:
        made = flow.save(
            real(site), ledger, cells, number=number, version=version, reason=reason, me=principal(request),
            today=day_of(site), now=site.clock(),
        )  # fmt: skip
    except flow.RowRefused as refused:
        return _form_page(request, site, ledger, number=number, given=cells, reason=reason, faults=refused.faults)
    except UsageError as fault:
        return _form_page(request, site, ledger, number=number, given=cells, reason=reason, wrong=str(fault))
    return _to(ledger, f"/rows/{made}", done="saved")


@router.post("/ledgers/{ledger}/rows/{number}/moves", dependencies=[needs(EDIT)])
def move(request: Request, site: SiteOf, ledger: str, number: int, form: Posted) -> Response:
    """Move a row to another state."""
    version = int(form["version"]) if form.get("version", "").isdigit() else None
    reason = form.get("reason", "")
    try:
        flow.move(
            real(site), ledger, number, form.get("to", ""), version=version, reason=reason,
            me=principal(request), today=day_of(site), now=site.clock(),
        )  # fmt: skip
    except flow.RowRefused as refused:
        state = flow.load_ledger(ledger).state
        return _form_page(
            request, site, ledger, number=number, given={state: form.get("to", "")}, faults=refused.faults,
            reason=reason,
        )  # fmt: skip
    except UsageError as fault:
        return _form_page(request, site, ledger, number=number, wrong=str(fault), reason=reason)
    return _to(ledger, f"/rows/{number}", done="moved")


@router.post("/ledgers/{ledger}/rows/{number}/standing", dependencies=[needs(WITHDRAW)])
def standing(
    request: Request, site: SiteOf, ledger: str, number: int, act: Annotated[str, Form()], reason: Reason = ""
) -> Response:
    """Withdraw a row with a reason, or put a withdrawn one back."""
    workspace, me, now = real(site), principal(request), site.clock()
    try:
        if act == "withdraw":
            flow.withdraw(workspace, ledger, [number], reason=reason, me=me, now=now)
        elif act == "back":
            flow.bring_back(workspace, ledger, number, reason=reason, me=me, now=now)
        else:
            raise UnknownName("act", act, ("withdraw", "back"))
    except UsageError as fault:
        return _form_page(request, site, ledger, number=number, wrong=str(fault), reason=reason)
    return _to(ledger, f"/rows/{number}", done="withdrawn" if act == "withdraw" else "back")


# -- workbooks ------------------------------------------------------------------------------------------------


@router.get("/ledgers/{ledger}/import", dependencies=[needs(IMPORT)])
def import_page(request: Request, site: SiteOf, ledger: str) -> Response:
    """Send a workbook; the imports made before."""
    return _import_page(request, site, ledger)


def _import_page(
    request: Request, site: Site, ledger: str, *, wrong: str = "", report: Any = None, change: Any = None
) -> Response:
    workspace, me = real(site), principal(request)
    declared = flow.load_ledger(ledger)
    flow.need(me, declared, IMPORT)
    before = [c for c in flow.changes(workspace, ledger, me=me, limit=30, dry=True) if c["kind"] == "import"]
    return site.page(
        request, "ledger_import.html", result_of(site, request), status=422 if wrong else 200, ledger=declared,
        wrong=wrong, report=report, change=change, before=before[:10], most=flow.MOST_BYTES // 2**20,
        may_withdraw=bool(flow.scope(me, declared, WITHDRAW)), aside=len(flow.aside(workspace, ledger, me=me)),
    )  # fmt: skip


@router.post("/ledgers/{ledger}/import", dependencies=[needs(IMPORT)])
def upload(
    request: Request,
    site: SiteOf,
    ledger: str,
    file: Annotated[UploadFile, File()],
    repairs: Annotated[int | None, Form()] = None,
) -> Response:
    """Look at what a workbook would do; nothing enters the ledger yet. `repairs` : the import that it repairs."""
    try:
        content = file.file.read(flow.MOST_BYTES + 1)
        if not content:
            raise UsageError("no file was sent.", remedy="Choose one.")
        report = flow.import_workbook(
            real(site), ledger, content, name=PurePath(file.filename or "workbook").name[-120:],
            me=principal(request), today=day_of(site), now=site.clock(), dry=True, repairs=repairs,
        )  # fmt: skip
    except flow.Forbidden:
        raise
    except QinglanError as fault:
        return _import_page(request, site, ledger, wrong=str(fault))
    return _to(ledger, f"/import/{report.change}")


@router.get("/ledgers/{ledger}/import/{number}", dependencies=[needs(IMPORT)])
def looked_at(request: Request, site: SiteOf, ledger: str, number: int) -> Response:
    """What an import does or did: counts, faults by cell; the marked workbook; confirm."""
    workspace, me = real(site), principal(request)
    change = flow.change_of(workspace, ledger, number, me=me)
    report = flow.again(workspace, ledger, number, me=me, today=day_of(site))
    return _import_page(request, site, ledger, report=report, change=change)


@router.post("/ledgers/{ledger}/import/{number}", dependencies=[needs(IMPORT)])
def confirm(
    request: Request,
    site: SiteOf,
    ledger: str,
    number: int,
    whole: Annotated[bool, Form()] = False,
    reason: Reason = "",
) -> Response:
    """Take the workbook in that was looked at."""
    workspace, me, today = real(site), principal(request), day_of(site)
    try:
        flow.confirm(
            workspace, ledger, number, me=me, today=today, now=site.clock(), withdraw_missing=whole, reason=reason
        )
    except flow.Forbidden:
        raise
    except UsageError as fault:
        change = flow.change_of(workspace, ledger, number, me=me)
        report = flow.again(workspace, ledger, number, me=me, today=today)
        return _import_page(request, site, ledger, wrong=str(fault), report=report, change=change)
    return _to(ledger, done="imported")


@router.get("/ledgers/{ledger}/import/{number}/marked.xlsx", dependencies=[needs(IMPORT)])
def marked(request: Request, site: SiteOf, ledger: str, number: int) -> Response:
    """The workbook of an import with its faults marked at their cells."""
    data, _ = flow.marked_workbook(real(site), ledger, number, me=principal(request), today=day_of(site))
    name = f"{ledger}-{number}-marked.xlsx"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": CALM}
    return Response(data, media_type=XLSX, headers=headers)


# -- lines kept aside -----------------------------------------------------------------------------------------


@router.get("/ledgers/{ledger}/aside", dependencies=[needs(IMPORT)])
def aside(request: Request, site: SiteOf, ledger: str, done: str = "") -> Response:
    """Lines of workbooks that were not taken in, with what is wrong with each."""
    rows = flow.aside(real(site), ledger, me=principal(request))
    return site.page(
        request, "ledger_aside.html", result_of(site, request), ledger=flow.load_ledger(ledger), rows=rows[:200],
        total=len(rows), done=done if done in DONE else "",
    )  # fmt: skip


@router.get("/ledgers/{ledger}/aside/{number}", dependencies=[needs(IMPORT)])
def aside_line(request: Request, site: SiteOf, ledger: str, number: int) -> Response:
    """One line kept aside as a form, its faults at its fields."""
    line = flow.aside_line(real(site), ledger, number, me=principal(request))
    return _form_page(request, site, ledger, given=line["cells"], faults=line["faults"], line=line)


@router.post("/ledgers/{ledger}/aside/{number}", dependencies=[needs(IMPORT)])
def repair(request: Request, site: SiteOf, ledger: str, number: int, form: Posted) -> Response:
    """Enter the repaired line (`act` repair), or accept that it is not needed (dismiss)."""
    workspace, me, now = real(site), principal(request), site.clock()
    line = flow.aside_line(workspace, ledger, number, me=me)
    cells, reason = _cells(form), form.get("reason", "")
    try:
        if form.get("act") == "dismiss":
            flow.dismiss(workspace, ledger, [number], reason=reason, me=me, now=now)
            return _to(ledger, "/aside", done="dismissed")
        flow.repair(workspace, ledger, number, cells, reason=reason, me=me, today=day_of(site), now=now)
    except flow.RowRefused as refused:
        return _form_page(request, site, ledger, given=cells, faults=refused.faults, line=line, reason=reason)
    except UsageError as fault:
        return _form_page(request, site, ledger, given=cells, line=line, wrong=str(fault), reason=reason)
    return _to(ledger, "/aside", done="repaired")


# -- many rows ------------------------------------------------------------------------------------------------


@router.post("/ledgers/{ledger}/bulk", dependencies=[needs(EDIT)])
def bulk(request: Request, site: SiteOf, ledger: str, form: Posted) -> Response:
    """Set a column of all rows that the filter finds: first what it would do, then, confirmed, do it."""
    workspace, me, today = real(site), principal(request), day_of(site)
    declared = flow.load_ledger(ledger)
    query = {k: v for k, v in form.items() if k in ("q", "place", "only") or k.startswith("c.")}
    _, rows, _, _ = ledger_views.selected(workspace, ledger, me, today, query)
    column, value, reason = form.get("column", ""), form.get("value", ""), form.get("reason", "")
    sure = form.get("act") == "do"
    wrong, made = "", None
    try:
        narrow = flow.asked_of(declared, {k: v for k, v in query.items() if k != "only"}, frozenset(rows["_row"]))
        if not any(query.values()):
            raise UsageError("no filter is set.", remedy="Choose the rows first: by place, state, code or search.")
        made = flow.bulk_set(
            workspace, ledger, narrow, column, value, reason=reason, me=me, today=today, now=site.clock(),
            dry=not sure,
        )  # fmt: skip
    except flow.Forbidden:
        raise
    except (UsageError, UnknownName) as fault:
        wrong = str(fault)
    if sure and made is not None:
        return _to(ledger, done="bulk")
    return site.page(
        request, "ledger_bulk.html", result_of(site, request),
        status=422 if wrong else 200, ledger=declared, made=made,
        query=query, column=column, value=value, reason=reason, wrong=wrong,
    )  # fmt: skip


@router.get("/ledgers/{ledger}/same", dependencies=[needs(VIEW)])
def same(request: Request, site: SiteOf, ledger: str, stays: int = 0, goes: int = 0, done: str = "") -> Response:
    """Rows that likely mean the same; with `stays` and `goes` both side by side."""
    return _same_page(request, site, ledger, stays, goes, done=done)


def _same_page(
    request: Request, site: Site, ledger: str, stays: int, goes: int, *, done: str = "", wrong: str = ""
) -> Response:
    workspace, me, today = real(site), principal(request), day_of(site)
    declared = flow.load_ledger(ledger)
    both = [flow.one(workspace, ledger, n, me=me) for n in (stays, goes)] if stays and goes else []
    columns = ledger_views.readable(declared, me)
    codes = [r["data"][c.name] for r in both for c in columns if c.type == "place"]
    return site.page(
        request, "ledger_same.html", result_of(site, request),
        status=422 if wrong else 200, ledger=declared, both=both,
        pairs=[] if both else flow.likely_pairs(workspace, ledger, me=me, today=today), columns=columns,
        names=ledger_views.names_of(workspace, codes), wrong=wrong, done=done if done in DONE else "",
        may_merge=bool(flow.scope(me, declared, MERGE)), cell_of=cell_of,
        importing=bool(flow.scope(me, declared, IMPORT)),
    )  # fmt: skip


async def whole_form(request: Request) -> FormData:
    """A form in which a name may stand several times."""
    return await request.form()


@router.post("/ledgers/{ledger}/same", dependencies=[needs(MERGE)])
def merge(request: Request, site: SiteOf, ledger: str, form: Annotated[FormData, Depends(whole_form)]) -> Response:
    """Merge two rows; `take` names the columns in which the row that goes is right."""
    stays, goes = (int(str(form.get(n))) if str(form.get(n, "")).isdigit() else 0 for n in ("stays", "goes"))
    take = [str(v) for v in form.getlist("take")]
    try:
        flow.merge(
            real(site), ledger, stays, goes, take=take, reason=str(form.get("reason", "")), me=principal(request),
            today=day_of(site), now=site.clock(),
        )  # fmt: skip
    except flow.Forbidden:
        raise
    except UsageError as fault:
        return _same_page(request, site, ledger, stays, goes, wrong=str(fault))
    return _to(ledger, f"/rows/{stays}", done="merged")
