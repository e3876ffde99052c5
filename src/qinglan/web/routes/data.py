"""The data behind the numbers: loads, uploads, rejects and their repair, coverage, stations, runs; rule books."""

from __future__ import annotations

import threading
from datetime import date
from pathlib import Path, PurePath
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, File, Form, Query, Request, UploadFile
from starlette.responses import RedirectResponse, Response

from qinglan.core.clock import Period
from qinglan.core.errors import NotFound, QinglanError, UnknownName, UsageError
from qinglan.flow import ingest, operations, repair, uploads, views
from qinglan.flow.sources import layout_named, layouts
from qinglan.flow.views import data as data_views
from qinglan.flow.workspace import Workspace
from qinglan.web.access import needs, principal
from qinglan.web.site import Site, site, words_of

router = APIRouter()
SiteOf = Annotated[Site, Depends(site)]
PAGE = 50
#: Largest file that is taken through the browser [byte]; more belongs on the command line.
MOST_BYTES = 200 * 1024 * 1024
JOB = "nightly-run"
DONE = ("loaded", "mended", "dismissed", "named", "retried")


def _real(site: Site) -> Workspace:
    """The workspace with lake and registry; UsageError over a bare folder of results."""
    if not isinstance(site.workspace, Workspace):
        raise UsageError("these results have no registry.", remedy="Serve a workspace made by `qinglan init`.")
    return site.workspace


@router.get("/data", dependencies=[needs("data.view")])
def data(request: Request, site: SiteOf, done: str = "") -> Response:
    """What was loaded, what was set aside and why, what control found; upload of a file."""
    result = site.open(request, tagged=False)
    return site.page(
        request, "data.html", result, loads=views.loads(site.workspace), rejects=views.rejects(site.workspace),
        layouts=[(name, each.LAYOUT) for name, each in layouts().items()], done=done if done in DONE else "",
        most=MOST_BYTES // 2**20,
    )  # fmt: skip


@router.get("/data/loads.{kind}", dependencies=[needs("data.view")])
def loads_sheet(request: Request, site: SiteOf, kind: str) -> Response:
    """Loads with their counts as CSV or XLSX."""
    views.current(site.workspace)
    words = words_of(request)
    columns = ("id", "layout", "status", "started_at", "finished_at", "read", "inserted", "unchanged",
               "superseded", "filled", "rejected", "cells")  # fmt: skip
    rows = [{**load, **(load["counts"] or {})} for load in views.loads(site.workspace)]
    return site.sheet(request, "loads", {c: words(f"data.col.{c}") for c in columns}, rows, kind)


@router.get("/data/loads/{load_id}", dependencies=[needs("data.view")])
def load(request: Request, site: SiteOf, load_id: str, done: str = "") -> Response:
    """One load: its files and what became of each, what it set aside, and its events."""
    result = site.open(request, tagged=False)
    found = data_views.load(_real(site), load_id)
    return site.page(request, "data_load.html", result, load=found, done=done if done in DONE else "")


# -- upload --------------------------------------------------------------------------------------------------


@router.post("/data/upload", dependencies=[needs("data.load")])
def upload(
    request: Request,
    site: SiteOf,
    file: Annotated[UploadFile, File()],
    layout: Annotated[str, Form(max_length=80)] = "",
) -> Response:
    """Take a file and show what loading it would do; nothing enters the lake yet."""
    result = site.open(request, tagged=False)
    workspace = _real(site)
    if layout:
        layout_named(layout)
    path, wrong, found = None, "", None
    try:
        path = _kept(workspace, file)
        found = repair.preview(workspace, path, layout)
    except (QinglanError, OSError, UnicodeError) as fault:
        wrong = str(fault)
    return site.page(
        request, "data_upload.html", result, status=422 if wrong else 200, wrong=wrong, found=found,
        token=f"{path.parent.name}/{path.name}" if path else "", name=PurePath(file.filename or "").name,
    )  # fmt: skip


def _kept(workspace: Workspace, file: UploadFile) -> Path:
    """The uploaded bytes on disk; UsageError for none and for too many."""
    content = file.file.read(MOST_BYTES + 1)
    if not content:
        raise UsageError("no file was sent.", remedy="Choose one.")
    if len(content) > MOST_BYTES:
        raise UsageError("the file is too large for the browser.", remedy="Use `qinglan ingest` on the server.")
    return uploads.keep(workspace, file.filename or "", content)


@router.post("/data/load", dependencies=[needs("data.load")])
def load_uploaded(
    request: Request,
    site: SiteOf,
    token: Annotated[str, Form(pattern=r"^[0-9a-f]{64}/[\w.\-]{1,120}$")],
    layout: Annotated[str, Form(max_length=80)],
) -> Response:
    """Load the file that was looked at before: all of it through the door, or nothing."""
    workspace = _real(site)
    path = workspace.home / uploads.FOLDER / token
    if not path.is_file():
        raise NotFound("this upload is no longer here.", remedy="Send the file again.")
    how = ingest.IngestSettings(who=principal(request).id)
    report = ingest.ingest(workspace, layout, [path], settings=how)
    if not report.load_id:
        raise UsageError(report.files[0].message or "already loaded", remedy="Nothing more is needed.")
    return RedirectResponse(f"/data/loads/{report.load_id}?done=loaded", status_code=303)


# -- rejects -------------------------------------------------------------------------------------------------


def wanted(
    load: str = "", code: str = "", field: str = "", station: Annotated[str, Query(max_length=80)] = "",
    status: str = "open",
) -> data_views.Wanted:  # fmt: skip
    """The filter in the address."""
    return data_views.Wanted(load, code, field, station, status)


Asked = Annotated[data_views.Wanted, Depends(wanted)]


@router.get("/data/rejects", dependencies=[needs("data.view")])
def rejects(
    request: Request, site: SiteOf, ask: Asked, page: Annotated[int, Query(ge=1, le=10_000)] = 1, done: str = ""
) -> Response:
    """Rows set aside, by load, code, field and station: the raw text, why, and what to do."""
    result = site.open(request, tagged=False)
    found = data_views.rejects(_real(site), ask)
    pages = max(1, -(-len(found["rows"]) // PAGE))
    page = min(page, pages)
    query = urlencode({k: v for k, v in vars_of(ask).items() if v})
    return site.page(
        request, "data_rejects.html", result, found=found, ask=ask, query=query, page=page, pages=pages,
        shown=found["rows"][(page - 1) * PAGE : page * PAGE], done=done if done in DONE else "",
        known=views.stations(result),
    )  # fmt: skip


def vars_of(ask: data_views.Wanted) -> dict[str, str]:
    """The filter as it is written in an address."""
    return {name: getattr(ask, name) for name in ("load", "code", "field", "station", "status")}


@router.get("/data/rejects.{kind}", dependencies=[needs("data.view")])
def rejects_sheet(request: Request, site: SiteOf, ask: Asked, kind: str) -> Response:
    """The filtered rejects as CSV or XLSX."""
    words = words_of(request)
    chinese = words.language == "zh"
    rows = [
        {**r, "reason": r["reason_zh"] if chinese else r["reason"],
         "remedy": r["remedy_zh"] if chinese else r["remedy"]}
        for r in data_views.rejects(_real(site), ask)["rows"]
    ]  # fmt: skip
    columns = ("id", "load_id", "source", "line", "code", "field", "value", "rows", "raw", "reason", "remedy",
               "status")  # fmt: skip
    return site.sheet(request, "rejects", {c: words(f"data.col.{c}") for c in columns}, rows, kind)


@router.get("/data/rejects/{number}", dependencies=[needs("data.view")])
def one_reject(request: Request, site: SiteOf, number: int) -> Response:
    """One row set aside: its text as it came, why it was refused, and the ways to mend it."""
    return _reject_page(request, site, number)


def _reject_page(request: Request, site: Site, number: int, wrong: str = "", given: str = "") -> Response:
    result = site.open(request, tagged=False)
    found = repair.reject(_real(site), number)
    return site.page(
        request, "data_reject.html", result, status=422 if wrong else 200, reject=found, wrong=wrong, given=given,
        known=views.stations(result), places=views.places(result),
    )  # fmt: skip


async def posted(request: Request) -> dict[str, str]:
    """The texts of a form whose fields depend on the row."""
    return {name: value for name, value in (await request.form()).items() if isinstance(value, str)}


@router.post("/data/rejects/{number}", dependencies=[needs("data.repair")])
def mend(
    request: Request, site: SiteOf, number: int, form: Annotated[dict[str, str], Depends(posted)]
) -> Response:
    """Mend one row: `act` is mend (edited fields or line), name (the station it means) or dismiss."""
    act, reason, who = form.get("act", ""), form.get("reason", ""), principal(request).id
    workspace = _real(site)
    row = repair.reject(workspace, number)
    try:
        if act == "mend":
            fields = {k[2:]: v for k, v in form.items() if k.startswith("f.")}
            made = repair.mend(
                workspace, number, reason=reason, who=who, fields=fields or None, text=form.get("text", "")
            )
            return RedirectResponse(f"/data/loads/{made.load_id}?done=mended", status_code=303)
        if act == "name":
            repair.name_station(workspace, row["value"], form.get("station", ""), reason=reason, who=who)
            return RedirectResponse("/data/rejects?done=named", status_code=303)
        if act != "dismiss":
            raise UnknownName("act", act, ("mend", "name", "dismiss"))
        repair.dismiss(workspace, [number], reason=reason, who=who)
    except UsageError as fault:
        return _reject_page(request, site, number, str(fault), form.get("text", ""))
    return RedirectResponse("/data/rejects?done=dismissed", status_code=303)


@router.post("/data/rejects", dependencies=[needs("data.repair")])
def mend_many(
    request: Request,
    site: SiteOf,
    act: Annotated[str, Form()],
    load: Annotated[str, Form(max_length=60)],
    code: Annotated[str, Form(max_length=60)] = "",
    reason: Annotated[str, Form(max_length=500)] = "",
) -> Response:
    """All of a load and code at once: read its files again, or accept them as unusable."""
    workspace, who = _real(site), principal(request).id
    if act == "retry":
        repair.retry(workspace, load, who=who)
        return RedirectResponse("/data/rejects?done=retried", status_code=303)
    if act != "dismiss":
        raise UnknownName("act", act, ("retry", "dismiss"))
    repair.dismiss_all(workspace, load, code, reason=reason, who=who)
    return RedirectResponse("/data/rejects?done=dismissed", status_code=303)


# -- coverage and stations -----------------------------------------------------------------------------------


def _coverage(
    site: Site, subject: str, item: str, period: str
) -> tuple[views.Result, data_views.Coverage, Period, list[int]]:
    result = views.current(site.workspace)
    years = data_views.years(result)
    span = (
        Period.parse(period)
        if period
        else Period.year(years[0] if years else date.fromisoformat(result.verdict["as_of"]).year)
    )
    return result, data_views.coverage(result, subject, item, span), span, years


@router.get("/data/coverage", dependencies=[needs("data.view")])
def coverage(
    request: Request, site: SiteOf, subject: str = "places", item: str = "all", period: str = ""
) -> Response:
    """How complete the data are: places or stations by month of a year, or by day of a month."""
    site.open(request)
    result, found, span, years = _coverage(site, subject, item, period)
    query = urlencode({"subject": subject, "item": item, "period": span.label})
    return site.page(
        request, "data_coverage.html", result, found=found, period=span, years=years, query=query,
        subjects=data_views.SUBJECTS, items=data_views.ITEMS,
    )  # fmt: skip


@router.get("/data/coverage.{kind}", dependencies=[needs("data.view")])
def coverage_sheet(
    request: Request, site: SiteOf, kind: str, subject: str = "places", item: str = "all", period: str = ""
) -> Response:
    """The matrix of coverage as CSV or XLSX."""
    site.open(request)
    words = words_of(request)
    _, found, span, _ = _coverage(site, subject, item, period)
    heads = {"id": words("data.col.id"), "name": words("column.name"), **{c: c for c in found.columns}}
    rows = [
        {"id": r["id"], "name": words.place(r), **dict(zip(found.columns, r["cells"], strict=True))}
        for r in found.rows
    ]  # fmt: skip
    return site.sheet(request, f"coverage-{subject}-{span.label}", heads, rows, kind)


@router.get("/data/stations", dependencies=[needs("data.view")])
def station_list(request: Request, site: SiteOf) -> Response:
    """The station register as the run used it."""
    result = site.open(request)
    return site.page(
        request, "data_stations.html", result, stations=views.stations(result), places=views.places(result)
    )


@router.get("/data/stations/{station}", dependencies=[needs("data.view")])
def station(request: Request, site: SiteOf, station: str) -> Response:
    """One station's entry and how it came to be."""
    result = site.open(request, tagged=False)
    found = data_views.register_of(result, station)
    history = data_views.station_history(_real(site), station)
    return site.page(
        request, "data_station.html", result, station=found, history=history, places=views.places(result)
    )


@router.get("/stations.{kind}", dependencies=[needs("air.view")])
def stations_sheet(request: Request, site: SiteOf, kind: str) -> Response:
    """The station register as CSV or XLSX."""
    result = site.open(request)
    words = words_of(request)
    columns = ("station", "name", "place", "county", "lon", "lat", "altitude", "kind", "control_point",
               "valid_from", "valid_to")  # fmt: skip
    heads = {c: words(f"column.{c}") for c in columns}
    return site.sheet(request, "stations", heads, views.stations(result), kind)


# -- runs ----------------------------------------------------------------------------------------------------


@router.post("/data/run", dependencies=[needs("data.run")])
def start_run(request: Request, site: SiteOf) -> Response:
    """Start a run in the background; one at a time."""
    workspace, who = _real(site), principal(request).id
    before = [r for r in operations.history(workspace, limit=20) if r["job"] == JOB and r["finished_at"] is None]
    if before:
        return RedirectResponse("/data/run", status_code=303)

    def work() -> None:
        try:
            operations.run_job(workspace, JOB, who=who, clock=site.clock)
        except UsageError:
            return  # another worker began one in the same moment: its progress is what the page shows

    operations.enroll(workspace, site.clock())
    threading.Thread(target=work, name="run-now", daemon=True).start()
    return RedirectResponse("/data/run?started=true", status_code=303)


@router.get("/data/run", dependencies=[needs("data.view")])
def run_progress(request: Request, site: SiteOf, started: bool = False) -> Response:
    """Runs that were started by people or by the schedule, and how they stand."""
    workspace = _real(site)
    try:
        result = site.open(request, tagged=False)
    except views.NoRun:
        result = None
    operations.enroll(workspace, site.clock())
    history = operations.history(workspace, JOB, limit=20)
    alive = any(row["finished_at"] is None for row in history)
    return site.page(request, "data_run.html", result, history=history, alive=alive, started=started)


@router.get("/rules", dependencies=[needs("air.view")])
def rules(request: Request, site: SiteOf) -> Response:
    """The rule books that judged this run, with the options chosen in them."""
    result = site.open(request)
    return site.page(request, "rules.html", result, books=views.rule_books(result))
