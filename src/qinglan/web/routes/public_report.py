"""The form to report pollution, and the page that follows a report by its number and secret code."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Depends, Request
from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.responses import HTMLResponse, RedirectResponse, Response

from qinglan.core.errors import NotFound, UsageError
from qinglan.flow import complaints
from qinglan.web.access import needs
from qinglan.web.routes.public import language, render
from qinglan.web.site import site

router = APIRouter()

#: Beside the photo a form holds texts of at most this size [bytes].
TEXTS = 65_536
#: What is read at all is this many times what is taken, so that a photo that is too large still gets its answer.
READ = 4
#: A field that people never see; what fills it is a program.
TRAP = "website"
FIELDS = ("category", "place", "spot", "text", "seen", "lat", "lon", "contact")


def _limiter(request: Request) -> MovingWindowRateLimiter:
    """Counts of this process; several workers each count for themselves."""
    found = getattr(request.app.state, "report_limiter", None)
    if not isinstance(found, MovingWindowRateLimiter):
        found = request.app.state.report_limiter = MovingWindowRateLimiter(MemoryStorage())
    return found


def _within(request: Request, what: str) -> bool:
    """Whether this address may do it once more; counts it."""
    address = request.client.host if request.client else "unknown"
    return _limiter(request).hit(parse(complaints.rules()["rates"][what]), what, address)


def _page(request: Request, template: str, status: int = 200, **context: Any) -> Response:
    """A page for one reader: never kept by anybody."""
    settings = getattr(site(request).workspace, "settings", None)
    html = render(
        request, template, None, simulated=bool(settings and settings.simulated), rules=complaints.rules(),
        csrf_token=getattr(request.state, "csrf_token", ""), **context,
    )  # fmt: skip
    headers = {"Cache-Control": "no-store", "Content-Language": "zh-CN" if language(request) == "zh" else "en"}
    return HTMLResponse(html, status_code=status, headers=headers)


def _form(
    request: Request, given: Mapping[str, str], faults: Mapping[str, str], status: int = 200, refused: str = ""
) -> Response:
    """The form, with what was given and what is wrong with it."""
    return _page(
        request,
        "public_report.html",
        status,
        given={name: given.get(name, "") for name in FIELDS},
        faults=faults,
        refused=refused,
        places=complaints.place_choices(site(request).workspace),  # type: ignore[arg-type]
        once=secrets.token_urlsafe(18),
        trap=TRAP,
    )


@router.get("/public/report", dependencies=[needs("public.report")])
def form(request: Request, place: str = "") -> Response:
    """The empty form."""
    return _form(request, {"place": place}, {})


def bounded(request: Request) -> None:
    """UsageError, before anything is read, for a body of no stated or of an absurd size."""
    size = request.headers.get("content-length", "")
    most = READ * complaints.rules()["sizes"]["photo_bytes"]
    if not size.isdigit() or int(size) > most:
        raise UsageError(f"what was sent is larger than {most} bytes.", remedy="Send a smaller photo.")


@router.post("/public/report", dependencies=[Depends(bounded), needs("public.report")])
async def send(request: Request) -> Response:
    """Take a report and show its number and its code, once."""
    most = complaints.rules()["sizes"]["photo_bytes"] + TEXTS
    if int(request.headers["content-length"]) > most:
        return _form(request, {}, {"photo": "photo"}, 413, "size")
    async with request.form(max_files=1, max_fields=24, max_part_size=TEXTS) as sent:
        given = {name: value for name, value in sent.items() if isinstance(value, str)}
        upload = sent.get("photo")
        image = await upload.read() if isinstance(upload, UploadFile) and upload.filename else None
    if given.get(TRAP):
        return _form(request, given, {}, 422, "trap")
    if not _within(request, "report"):
        return _form(request, given, {}, 429, "often")
    here = site(request)
    workspace: Any = here.workspace
    try:
        receipt = await run_in_threadpool(
            complaints.submit, workspace, given, image, once=given.get("once", ""),
            language=language(request), now=here.clock(),
        )  # fmt: skip
    except complaints.Faulty as error:
        return _form(request, given, error.faults, 422, "faults")
    except complaints.AlreadySent as error:
        return _page(request, "public_received.html", number=error.number, code="")
    return _page(request, "public_received.html", number=receipt.number, code=receipt.code)


@router.get("/public/report/{number}", dependencies=[needs("public.report")])
def ask(request: Request, number: str) -> Response:
    """Ask for the code of a report."""
    return _page(request, "public_follow.html", number=number[:24], found=None, refused="")


@router.post("/public/follow", dependencies=[Depends(bounded), needs("public.report")])
async def find(request: Request) -> Response:
    """To the page of the number that somebody typed."""
    async with request.form(max_files=0, max_fields=8, max_part_size=4096) as sent:
        typed = str(sent.get("number", ""))
    spoken = f"?lang={language(request)}" if language(request) != "zh" else ""
    try:
        number = complaints.number_of(typed)
    except UsageError:
        return _page(request, "public_follow.html", 422, number=typed[:24], found=None, refused="number")
    return RedirectResponse(f"/public/report/{number}{spoken}", status_code=303)


@router.post("/public/report/{number}", dependencies=[Depends(bounded), needs("public.report")])
async def follow(request: Request, number: str) -> Response:
    """How a report stands, for who knows its code."""
    async with request.form(max_files=0, max_fields=8, max_part_size=4096) as sent:
        code = str(sent.get("code", ""))
    shown = {"number": number[:24], "found": None}
    if not _within(request, "follow"):
        return _page(request, "public_follow.html", 429, **shown, refused="often")
    workspace: Any = site(request).workspace
    try:
        found = await run_in_threadpool(complaints.follow, workspace, number, code)
    except UsageError:
        return _page(request, "public_follow.html", 422, **shown, refused="number")
    except NotFound:
        return _page(request, "public_follow.html", 404, **shown, refused="code")
    place = next((p for p in complaints.place_choices(workspace) if p["place"] == found["place"]), found)
    return _page(request, "public_follow.html", number=found["number"], found=found, place=place, refused="")
