"""Administration: settings — what is edited here, what stands in the file, and who changed what."""

from __future__ import annotations

import os
from itertools import groupby
from typing import Annotated, Any

from fastapi import APIRouter, Form
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from qinglan.access import Principal
from qinglan.core.errors import UnknownName, UsageError
from qinglan.flow import console_settings, views
from qinglan.flow.workspace import REGISTRY_VARIABLE, SETTINGS_FILE, Workspace
from qinglan.plan.rules import document
from qinglan.web.access import needs
from qinglan.web.routes.account import page
from qinglan.web.site import site

router = APIRouter()

Settings = Annotated[Principal, needs("admin.settings")]


@router.get("/admin/settings")
def settings(request: Request, me: Settings, done: str = "") -> Response:
    """Options of the rule books and thresholds, edited here; settings of the file, read only; the history."""
    return _page(request, done=bool(done))


def _page(request: Request, *, done: bool = False, wrong: str = "", open_key: str = "") -> Response:
    here = site(request)
    found = getattr(here.workspace, "settings", None)
    file = {name: getattr(found, name) for name in found.__dataclass_fields__} if found is not None else {}
    workspace = here.workspace if isinstance(here.workspace, Workspace) else None
    rows = console_settings.in_force(workspace) if workspace else []
    groups = [(name, list(each)) for name, each in groupby(rows, key=lambda row: row["setting"].group)]
    return page(
        request, "admin_settings.html", status=422 if wrong else 200, wrong=wrong, done=done, open_key=open_key,
        books=[(document(name).title, each) for name, each in groups if each[0]["setting"].choices is not None],
        thresholds=[row for row in rows if row["setting"].choices is None], used=_used(workspace),
        history=console_settings.history(workspace) if workspace else [], declared=console_settings.declared(),
        rows=file, file=str(here.workspace.home / SETTINGS_FILE), by_environment=REGISTRY_VARIABLE in os.environ,
        variable=REGISTRY_VARIABLE,
    )  # fmt: skip


def _used(workspace: Workspace | None) -> dict[str, str]:
    """What each option was in the current run, by key; nothing without a run."""
    try:
        verdict: Any = views.current(workspace).verdict if workspace else {}
    except views.NoRun:
        return {}
    rules = verdict.get("run", {}).get("rules", [])
    return {f"{console_settings.OPTION}.{r['book']}.{n}": c for r in rules for n, c in r["options"].items()}


@router.post("/admin/settings/{key}")
def change(
    request: Request, me: Settings, key: str, value: Annotated[str, Form(max_length=80)] = "",
    reason: Annotated[str, Form(max_length=500)] = "",
) -> Response:  # fmt: skip
    """Change a setting, with a reason."""
    here = site(request)
    if not isinstance(here.workspace, Workspace):
        raise UsageError("these results have no settings.", remedy="Serve a workspace.")
    if key not in console_settings.declared():
        raise UnknownName("setting", key, tuple(console_settings.declared()))
    try:
        console_settings.change(here.workspace, key, value, reason=reason, who=me.id, now=here.clock())
    except (UsageError, UnknownName) as fault:
        return _page(request, wrong=str(fault), open_key=key)
    return RedirectResponse("/admin/settings?done=true", status_code=303)
