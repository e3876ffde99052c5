"""The plan: its articles, their tasks, the evidence for them, and what offices report."""

from __future__ import annotations

from datetime import date
from typing import Annotated
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Depends, File, Form, Query, Request, UploadFile
from starlette.responses import RedirectResponse, Response

from qinglan.access import Forbidden
from qinglan.core.clock import today
from qinglan.core.errors import UsageError
from qinglan.flow import decide, evidence, views
from qinglan.flow.views import tasks
from qinglan.flow.workspace import Workspace
from qinglan.plan.judge import Reported
from qinglan.web.access import needs, principal
from qinglan.web.site import Site, site, words_of

router = APIRouter()
SiteOf = Annotated[Site, Depends(site)]
PAGE = 60
#: Targets that an office reports, because no observation answers them.
REPORTED = ("waiting", "reported_met", "reported_not_met")


@router.get("/plan/articles", dependencies=[needs("plan.view")])
def articles(request: Request, site: SiteOf, department: str | None = None, status: str | None = None) -> Response:
    """All articles with their tasks, filtered by leading department and status."""
    result = site.open(request)
    page = views.plan_page(result, department or None, status or None)
    return site.page(request, "plan.html", result, page=page, department=department, chosen=status)


@router.get("/plan/articles.{kind}", dependencies=[needs("plan.view")])
def articles_sheet(request: Request, site: SiteOf, kind: str) -> Response:
    """Every task of the plan by article, as CSV or XLSX."""
    result = site.open(request)
    found = [{**task, "article": a["number"]} for a in views.articles_of(result) for task in a["tasks"]]
    return _task_sheet(request, site, "articles", found, kind)


@router.get("/plan/articles/{number}", dependencies=[needs("plan.view")])
def article(request: Request, site: SiteOf, number: int) -> Response:
    """One article: its tasks, and the targets it sets."""
    result = site.open(request)
    return site.page(request, "article.html", result, article=views.article(result, number))


@router.get("/plan/{number:int}", dependencies=[needs("plan.view")], include_in_schema=False)
def article_before(number: int) -> Response:
    """Where an article stood in version 0.1."""
    return RedirectResponse(f"/plan/articles/{number}", status_code=308)


def asked(
    department: str = "",
    place: str = "",
    status: str = "",
    due: str = "",
    article: Annotated[str, Query(pattern=r"^\d{0,3}$")] = "",
    q: Annotated[str, Query(max_length=80)] = "",
) -> tasks.Filter:
    """The filter in the address."""
    return tasks.Filter(department, place, status, due, int(article) if article else None, q)


Asked = Annotated[tasks.Filter, Depends(asked)]


def _query(filter_: tasks.Filter) -> dict[str, str]:
    made = {"department": filter_.department, "place": filter_.place, "status": filter_.status,
            "due": filter_.due, "article": str(filter_.article or ""), "q": filter_.text}  # fmt: skip
    return {k: v for k, v in made.items() if v}


@router.get("/plan/tasks", dependencies=[needs("plan.view")])
def task_list(
    request: Request, site: SiteOf, wanted: Asked, page: Annotated[int, Query(ge=1, le=1000)] = 1
) -> Response:
    """All tasks by department, place, deadline, status, article and text; overdue ones first."""
    result = site.open(request)
    found = tasks.find(result, wanted)
    pages = max(1, -(-len(found["tasks"]) // PAGE))
    page = min(page, pages)
    return site.page(
        request, "tasks.html", result, found=found, wanted=wanted, page=page, pages=pages,
        shown=found["tasks"][(page - 1) * PAGE : page * PAGE], query=urlencode(_query(wanted)),
        statuses=tasks.STATUSES, known_dues=tasks.DUE,
    )  # fmt: skip


@router.get("/plan/tasks.{kind}", dependencies=[needs("plan.view")])
def task_sheet(request: Request, site: SiteOf, wanted: Asked, kind: str) -> Response:
    """The filtered tasks as CSV or XLSX."""
    result = site.open(request)
    return _task_sheet(request, site, "tasks", tasks.find(result, wanted)["tasks"], kind)


def _task_sheet(request: Request, site: Site, name: str, found: list[views.Row], kind: str) -> Response:
    words = words_of(request)
    columns = ("article", "id", "title", "status", "due", "lead", "supporting", "evidence", "missing")
    rows = [
        {"article": task["article"], "id": task["id"], "title": words.of(task["title"] or task["id"]),
         "status": words.word("task", task["status"]), "due": task["due"], "lead": words.of(task["lead"]),
         "supporting": words.of(task["supporting"]), "evidence": words.of([e["title"] for e in task["evidence"]]),
         "missing": words.of([e["title"] for e in task["evidence"] if not e["have"]])}
        for task in found
    ]  # fmt: skip
    return site.sheet(request, name, {c: words(f"column.{c}") for c in columns}, rows, kind)


@router.get("/plan/tasks/{name}", dependencies=[needs("plan.view")])
def task(request: Request, site: SiteOf, name: str, done: str = "") -> Response:
    """One task: from its article to its evidence and its numbers; what was handed in and by whom."""
    return _task_page(request, site, name, done=done)


def _task_page(
    request: Request, site: Site, name: str, *, done: str = "", wrong: str = "", status: int = 200
) -> Response:
    result = site.open(request, tagged=False)
    found = tasks.task(result, name)
    workspace = site.workspace
    return site.page(
        request, "task.html", result, status=status, task=found, wrong=wrong,
        done=done if done in ("evidence", "report") else "",
        history=evidence.history(workspace, name) if isinstance(workspace, Workspace) else [],
        allowed=evidence.may_hand_in(principal(request), found), kinds=list(evidence.KINDS), reported=REPORTED,
        most=evidence.MOST_BYTES // 2**20, today=today(site.clock()).isoformat(),
    )  # fmt: skip


@router.post("/plan/tasks/{name}/evidence", dependencies=[needs("plan.evidence")])
def hand_in(
    request: Request,
    site: SiteOf,
    name: str,
    item: Annotated[int, Form(ge=0, le=99)],
    on: Annotated[date, Form()],
    source: Annotated[str, Form(max_length=300)] = "",
    reference: Annotated[str, Form(max_length=200)] = "",
    cycle: Annotated[str, Form(max_length=20)] = "",
    failed: Annotated[bool, Form()] = False,
    value: Annotated[str, Form(max_length=40)] = "",
    unit: Annotated[str, Form(max_length=40)] = "",
    file: Annotated[UploadFile | None, File()] = None,
) -> Response:
    """Hand in evidence for a task: a file, a document number, or a reported value."""
    result = site.open(request, tagged=False)
    found = tasks.task(result, name)
    data = file.file.read(evidence.MOST_BYTES + 1) if file is not None and file.filename else b""
    try:
        given = evidence.HandedIn(
            name, item, on, reference, source, (file.filename or "") if file else "", data, cycle, not failed,
            _number(value), unit,
        )  # fmt: skip
        evidence.hand_in(_real(site), given, found, principal(request), today=today(site.clock()))
    except UsageError as fault:
        return _task_page(request, site, name, wrong=str(fault), status=422)
    return RedirectResponse(f"/plan/tasks/{quote(name)}?done=evidence", status_code=303)


@router.post("/plan/tasks/{name}/report", dependencies=[needs("plan.report")])
def report(
    request: Request,
    site: SiteOf,
    name: str,
    target: Annotated[str, Form(max_length=120)],
    value: Annotated[str, Form(max_length=40)],
    on: Annotated[date, Form()],
    source: Annotated[str, Form(max_length=300)] = "",
    baseline: Annotated[str, Form(max_length=40)] = "",
) -> Response:
    """Report the value of a target that this task stands on."""
    result = site.open(request, tagged=False)
    found, me = tasks.task(result, name), principal(request)
    known = {t["id"]: t for t in (*found["targets"], *found["article_targets"])}
    if not evidence.may_hand_in(me, found) or target not in known:
        raise Forbidden("plan.report", signed_in=me.signed_in, place=name)
    try:
        if known[target]["status"] not in REPORTED:
            raise UsageError(f"target {target} is judged by observations.", remedy="It takes no reported value.")
        amount = _number(value)
        if amount is None:
            raise UsageError("value is empty.", remedy="Give a number.")
        said = Reported(target, amount, known[target]["unit"], on, source, me.id, _number(baseline))
        decide.report_value(_real(site), said, today=today(site.clock()))
    except UsageError as fault:
        return _task_page(request, site, name, wrong=str(fault), status=422)
    return RedirectResponse(f"/plan/tasks/{quote(name)}?done=report", status_code=303)


@router.get("/plan/tasks/{name}/evidence/{number}", dependencies=[needs("plan.view")])
def evidence_file(request: Request, site: SiteOf, name: str, number: int) -> Response:
    """A file that was handed in, to keep (never shown in the browser)."""
    tasks.task(views.current(site.workspace), name)
    data, media, called = evidence.file_of(_real(site), name, number)
    headers = {"Content-Disposition": f'attachment; filename="{called}"', "Cache-Control": "private, no-store"}
    return Response(data, media_type=media, headers=headers)


def _number(text: str) -> float | None:
    """A number as typed; None for an empty field, UsageError for what is none."""
    if not text.strip():
        return None
    try:
        return float(text.replace(",", "").replace("−", "-"))
    except ValueError:
        raise UsageError(f"value {text!r} is not a number.", remedy="Write it in digits.") from None


def _real(site: Site) -> Workspace:
    """The workspace with its registry; UsageError over a bare folder of results."""
    if not isinstance(site.workspace, Workspace):
        raise UsageError("these results have no registry.", remedy="Serve a workspace made by `qinglan init`.")
    return site.workspace
