"""Reports of pollution, for the offices: the list within one's places, one report, and moving it on."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import RedirectResponse, Response

from qinglan.access import Principal
from qinglan.core.errors import QinglanError, UsageError
from qinglan.flow import complaints, views
from qinglan.web.access import needs, principal
from qinglan.web.site import Site, site

router = APIRouter()

PAGE = 50
VIEW, HANDLE = "complaint.view", "complaint.handle"


def _result(here: Site) -> views.Result | None:
    """The run that the frame names; reports do not wait for one."""
    try:
        return views.current(here.workspace)
    except QinglanError:
        return None


def _seen(here: Site, me: Principal, number: str, permission: str) -> dict[str, Any]:
    """A report that lies where one may see (or handle) reports; Forbidden otherwise."""
    found = complaints.one(here.workspace, number)  # type: ignore[arg-type]
    me.need(permission, found["place"])
    return found


@router.get("/complaints", dependencies=[needs(VIEW)])
def table(
    request: Request, site: Annotated[Site, Depends(site)], status: str = "", before: int | None = None
) -> Response:
    """Reports in the places of who asks, newest first."""
    me = principal(request)
    workspace: Any = site.workspace
    rows, counts = complaints.listed(
        workspace, me.places(VIEW), status=status or None, before=before, limit=PAGE + 1
    )
    names = {p["place"]: p for p in complaints.place_choices(workspace)}
    more = rows[PAGE - 1]["id"] if len(rows) > PAGE else None
    return site.page(
        request, "complaints.html", _result(site), rows=rows[:PAGE], counts=counts, names=names, state=status,
        more=more, rules=complaints.rules(),
    )  # fmt: skip


@router.get("/complaints/{number}", dependencies=[needs(VIEW)])
def one(request: Request, site: Annotated[Site, Depends(site)], number: str) -> Response:
    """One report with what was done; who sent it only for those who may handle it."""
    me = principal(request)
    found = _seen(site, me, number, VIEW)
    workspace: Any = site.workspace
    handles = me.may(HANDLE, found["place"])
    names = {p["place"]: p for p in complaints.place_choices(workspace)}
    return site.page(
        request, "complaint.html", _result(site), found=found, handles=handles, names=names,
        contact=complaints.contact(workspace, number) if handles else "", rules=complaints.rules(),
        done=request.query_params.get("done", ""), wrong=request.query_params.get("wrong", ""),
    )  # fmt: skip


@router.get("/complaints/{number}/photo", dependencies=[needs(VIEW)])
def photo(request: Request, site: Annotated[Site, Depends(site)], number: str) -> Response:
    """The photo of a report."""
    _seen(site, principal(request), number, VIEW)
    image = complaints.photo(site.workspace, number)  # type: ignore[arg-type]
    return Response(image, media_type="image/jpeg", headers={"Cache-Control": "private, no-store"})


@router.post("/complaints/{number}/contact/erase", dependencies=[needs(HANDLE)])
def erase_contact(request: Request, site: Annotated[Site, Depends(site)], number: str) -> Response:
    """Erase how the sender of a closed report asked to be reached, in the name of who asks."""
    me = principal(request)
    found = _seen(site, me, number, HANDLE)
    try:
        complaints.erase_contact(site.workspace, number, who=me.id, now=site.clock())  # type: ignore[arg-type]
    except UsageError:
        return RedirectResponse(f"/complaints/{found['number']}?wrong=move", status_code=303)
    return RedirectResponse(f"/complaints/{found['number']}?done=erased", status_code=303)


@router.post("/complaints/{number}", dependencies=[needs(HANDLE)])
def move(
    request: Request,
    site: Annotated[Site, Depends(site)],
    number: str,
    to: Annotated[str, Form()] = "",
    handler: Annotated[str, Form()] = "",
    note: Annotated[str, Form()] = "",
    answer: Annotated[str, Form()] = "",
) -> Response:
    """Move a report on, in the name of who asks."""
    me = principal(request)
    found = _seen(site, me, number, HANDLE)
    told = {"handler": handler, "note": note, "answer": answer}
    workspace: Any = site.workspace
    try:
        complaints.answer(workspace, number, to, **told, who=me.id, now=site.clock())
    except UsageError:
        return RedirectResponse(f"/complaints/{found['number']}?wrong=move", status_code=303)
    return RedirectResponse(f"/complaints/{found['number']}?done={to}", status_code=303)
