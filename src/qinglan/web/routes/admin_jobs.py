"""Administration: scheduled jobs — when they run, how they ended, run now, pause and go on."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Form
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from qinglan.access import Principal
from qinglan.core.errors import UsageError
from qinglan.flow import operations
from qinglan.web.access import needs
from qinglan.web.routes.account import page
from qinglan.web.routes.admin_health import registered
from qinglan.web.site import site

router = APIRouter()

Jobs = Annotated[Principal, needs("admin.jobs")]
DONE = ("started", "running", "paused", "resumed")
#: Runs that the page lists.
ROWS = 50


@router.get("/admin/jobs", dependencies=[needs("admin.view")])
def jobs(request: Request, job: str = "", done: str = "") -> Response:
    """Every job with its schedule, last run and next time, and the last runs (of one job, or of all)."""
    return _page(request, job, done=done if done in DONE else "")


def _page(request: Request, job: str = "", *, done: str = "", wrong: str = "") -> Response:
    here = site(request)
    workspace, now = registered(here), here.clock()
    found = operations.jobs(workspace, now)
    runs = operations.history(workspace, job or None, limit=ROWS)
    return page(
        request, "admin_jobs.html", status=422 if wrong else 200, jobs=found, runs=[_told(run) for run in runs],
        titles={row["name"]: row["title"] for row in found}, chosen=job, done=done, wrong=wrong,
        alive=operations.scheduler_alive(workspace, now), zone=workspace.settings.timezone,
        running=any(run["outcome"] == "running" for run in runs),
    )  # fmt: skip


def _told(run: dict[str, Any]) -> dict[str, Any]:
    """A run with its length [s] and its result as one line."""
    took = None if run["finished_at"] is None else (run["finished_at"] - run["started_at"]).total_seconds()
    said = {name: value for name, value in run["result"].items() if value not in (None, "", [], {})}
    return {**run, "took": took, "said": json.dumps(said, ensure_ascii=False) if said else ""}


@router.post("/admin/jobs/{job}/run")
def run_now(request: Request, me: Jobs, job: str) -> Response:
    """Do a job now, enabled or not."""
    here = site(request)
    begun = operations.start_job(registered(here), job, who=me.id, clock=here.clock)
    return RedirectResponse(f"/admin/jobs?done={'started' if begun else 'running'}", status_code=303)


@router.post("/admin/jobs/{job}/enabled")
def enable(
    request: Request, me: Jobs, job: str, enabled: Annotated[bool, Form()] = False,
    reason: Annotated[str, Form(max_length=500)] = "",
) -> Response:  # fmt: skip
    """Pause a job, or let it go on, with a reason."""
    here = site(request)
    try:
        operations.set_enabled(registered(here), job, enabled, reason=reason, who=me.id, now=here.clock())
    except UsageError as fault:
        return _page(request, wrong=str(fault))
    return RedirectResponse(f"/admin/jobs?done={'resumed' if enabled else 'paused'}", status_code=303)
