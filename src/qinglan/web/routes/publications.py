"""Publications: the list, one version as it reads, its moves, and its documents to take away."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request
from starlette.responses import RedirectResponse, Response

from qinglan.access import Principal
from qinglan.core.clock import Period
from qinglan.core.errors import NotFound, UnknownName
from qinglan.flow import publications as life
from qinglan.flow.views import publications as views
from qinglan.flow.workspace import Workspace
from qinglan.report import MEDIA, kinds, moves
from qinglan.report.document import Figure
from qinglan.report.kinds import period_words
from qinglan.web.access import needs
from qinglan.web.site import Reader, Site, site

router = APIRouter()
Viewer = Annotated[Principal, needs("publication.view")]
Drafter = Annotated[Principal, needs("publication.draft")]
Where = Annotated[Site, Depends(site)]
Field = Annotated[str, Form()]


def _workspace(where: Site) -> Workspace:
    """The workspace with its registry; a bare folder of results has no publications."""
    if not isinstance(where.workspace, Workspace):
        raise NotFound("a bare folder of results has no publications.", remedy="Open a workspace.")
    return where.workspace


def _run(where: Site, request: Request) -> Any:
    """The current run for the frame, or None: publications outlive runs."""
    try:
        return where.open(request, tagged=False)
    except NotFound:
        return None


@router.get("/publications")
def listing(
    request: Request, site: Where, me: Viewer, kind: str = "", state: str = "", year: str = "", done: str = ""
) -> Response:
    """What there is, newest first, to be narrowed by kind, state and year."""
    result = _run(site, request)
    bare = not isinstance(site.workspace, Workspace)
    rows = [] if bare else views.listing(_workspace(site), kind=kind, state=state, year=year)
    language = Reader.of(request).language
    return site.page(
        request, "publications.html", result, rows=rows, kinds=kinds(), chosen={"kind": kind, "state": state,
        "year": year}, choices=None if bare else views.choices(_workspace(site)), done=done,
        words_of=lambda row: _period(row, language), bare=bare,
    )  # fmt: skip


def _period(row: dict[str, Any], language: str) -> str:
    return period_words(Period.parse(row["period"]), language)


@router.post("/publications")
def draft(site: Where, me: Drafter, kind: Field, period: Field) -> Response:
    """Draft a bulletin of the office's place from the current run."""
    workspace = _workspace(site)
    me.need("publication.draft", workspace.settings.place)
    made = life.draft(workspace, kind, period.strip(), who=me.id, at=site.clock())
    return _to(made.id, made.version, "draft")


def _to(publication: str, version: int, name: str) -> Response:
    return RedirectResponse(f"/publications/{publication}?version={version}&done={name}", status_code=303)


@router.get("/publications/{publication}")
def page(
    request: Request, site: Where, me: Viewer, publication: str, version: int | None = None, done: str = ""
) -> Response:
    """One version as it reads, its history, and what changed since the version before."""
    result = _run(site, request)
    found = views.shown(_workspace(site), publication, version, Reader.of(request).language)
    return site.page(
        request, "publication.html", result, **found, kinds=kinds(), moves=moves(), done=done,
        possible=views.possible(found["row"], me.may), forms=tuple(MEDIA), block_kind=lambda b: type(b).__name__,
    )  # fmt: skip


@router.post("/publications/{publication}/{version}/moves")
def move(site: Where, me: Viewer, publication: str, version: int, move: Field, reason: Field = "") -> Response:
    """Move a version; who may, says the table of moves at the bulletin's place."""
    workspace = _workspace(site)
    row = life.one(workspace, publication, version)
    if move not in moves():
        raise UnknownName("move", move, tuple(moves()))
    me.need(moves()[move].permission, row["place"])
    left = life.act(workspace, publication, move, who=me.id, at=site.clock(), reason=reason, version=version)
    return _to(publication, left["version"], move)


@router.get("/publications/{publication}/{version}/figures/{name}.png")
def figure(request: Request, site: Where, me: Viewer, publication: str, version: int, name: str) -> Response:
    """A picture of the preview."""
    workspace = _workspace(site)
    row = life.one(workspace, publication, version)
    made = life.document(workspace, row, Reader.of(request).language, life.issued_on(workspace, row))
    for block in made.blocks:
        if isinstance(block, Figure) and block.name == name:
            return Response(block.png, media_type="image/png", headers={"Cache-Control": "private, no-cache"})
    raise UnknownName("figure", name)


@router.get("/publications/{publication}/{version}.{form}")
def document(request: Request, site: Where, me: Viewer, publication: str, version: int, form: str) -> Response:
    """A version's document to take away; of an issued one the frozen bytes."""
    language = Reader.of(request).language
    data, name = life.export(_workspace(site), publication, form, language=language, version=version)
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "private, no-cache"}
    return Response(data, media_type=MEDIA[form], headers=headers)
