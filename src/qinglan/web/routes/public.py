"""The public page, its places, bulletins, open data and the form to report pollution."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import RedirectResponse, Response

from qinglan.web.access import needs

router = APIRouter()


@router.get("/", dependencies=[needs("public.view")], include_in_schema=False)
def home() -> Response:
    """The front door leads to the targets until the public page stands."""
    return RedirectResponse("/plan", status_code=303)
