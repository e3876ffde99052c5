"""Open data and bulletins on the public page: what there is, and the files."""

from __future__ import annotations

import hashlib
from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from qinglan.flow import open_catalogue, open_data, public_bulletins, views
from qinglan.web.access import needs
from qinglan.web.routes.public import SHARED, answer
from qinglan.web.site import Site, site

router = APIRouter()


@router.get("/public/data", dependencies=[needs("public.view")])
async def data(request: Request) -> Response:
    """The tables of open data, the licence and the dictionary."""

    def make(here: Site, result: views.Result) -> dict[str, Any]:
        tables: dict[str, list[open_data.File]] = {}
        for each in open_data.files(result):
            tables.setdefault(each.table, []).append(each)
        return {
            "tables": tables,
            "about": open_data.dictionary()["tables"],
            "licence": open_data.licence(here.workspace),
            "columns": open_data.columns(result),
            "specials": (
                open_data.PACKAGE,
                open_data.DICTIONARY,
                open_data.LICENCE,
                open_data.SUMS,
                open_catalogue.NAME,
            ),
            "cities": [p for p in views.places(result).values() if p["level"] != "county"],
            "newest": max(open_data.years(result), default=None),
        }

    return await answer(request, "public_data.html", make)


def _file(request: Request, body: bytes, kind: str, name: str, tag: str) -> Response:
    """A file under its digest; a reader who has it gets no body."""
    headers = {"ETag": f'"{tag}"', "Cache-Control": SHARED}
    if f'"{tag}"' in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return Response(body, media_type=kind, headers=headers)


@router.get("/public/data/catalog.jsonld", dependencies=[needs("public.view")])
async def catalogue(request: Request) -> Response:
    """The catalogue of open data (DCAT 3, JSON-LD), for portals that gather such catalogues."""
    here, root = site(request), f"{request.url.scheme}://{request.url.netloc}"

    def read() -> bytes:
        return open_catalogue.catalogue(here.workspace, views.current(here.workspace), root)

    body = await run_in_threadpool(read)
    tag = hashlib.sha256(body).hexdigest()
    return _file(request, body, open_catalogue.MEDIA, open_catalogue.NAME, tag)


@router.get("/public/data/{name}", dependencies=[needs("public.view")])
async def file(request: Request, name: str) -> Response:
    """A file of open data: a table in one of its forms, or what describes and checks them."""
    here = site(request)

    def read() -> tuple[bytes, str, str]:
        body, kind = open_data.file(here.workspace, views.current(here.workspace), name)
        return body, kind, hashlib.sha256(body).hexdigest()

    body, kind, tag = await run_in_threadpool(read)
    return _file(request, body, kind, name, tag)


@router.get("/public/bulletins", dependencies=[needs("public.view")])
async def bulletins(request: Request) -> Response:
    """Issued bulletins."""
    return await answer(
        request,
        "public_bulletins.html",
        lambda here, result: {"bulletins": public_bulletins.issued(here.workspace)},
    )


@router.get("/public/bulletins/{publication}/{version}/{language}.{form}", dependencies=[needs("public.view")])
async def bulletin(request: Request, publication: str, version: int, language: str, form: str) -> Response:
    """The frozen file of an issued bulletin."""
    workspace = site(request).workspace
    body, digest = await run_in_threadpool(
        public_bulletins.document, workspace, publication, version, language, form
    )
    kind = public_bulletins.MEDIA.get(form, "application/octet-stream")
    return _file(request, body, kind, f"{publication}-v{version}-{language}.{form}", digest)
