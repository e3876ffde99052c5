"""The application: routes, headers and errors, all inside one frame."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from qinglan import __version__
from qinglan.access import Forbidden, Principal, load_permissions
from qinglan.core.errors import NotFound, QinglanError, UnknownName, UsageError
from qinglan.flow import views
from qinglan.flow.workspace import open_workspace
from qinglan.web.access import check_routes
from qinglan.web.api import ApiSettings, mount_api
from qinglan.web.assets import Assets
from qinglan.web.binding import LOCAL_NAMES
from qinglan.web.cache import PACK_FROM, PACK_LEVEL, Answers
from qinglan.web.csrf import ForeignForm
from qinglan.web.identify import Identify, People
from qinglan.web.keep import KeepPages
from qinglan.web.observe import Observe
from qinglan.web.routes import ROUTERS
from qinglan.web.site import Site

log = logging.getLogger(__name__)

#: Nothing but this server: scripts, styles, images, workers and calls from here only, nothing inline, no frame
#: around us. (MapLibre and ECharts draw images from memory: data: and blob: are for them.)
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data: blob:; connect-src 'self'; worker-src 'self' blob:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}

#: Over https: browsers ask for this host by https only, for a year.
HSTS = (b"strict-transport-security", b"max-age=31536000")


class Guard:
    """Puts the security headers on every answer and refuses a foreign Host (DNS rebinding)."""

    def __init__(self, app: ASGIApp, hosts: tuple[str, ...]) -> None:
        self.app, self.hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                extra = [(k.lower().encode(), v.encode()) for k, v in HEADERS.items()]
                extra += [HSTS] if scope.get("scheme") == "https" else []
                message["headers"] = [*message["headers"], *extra]
            await send(message)

        host = next((v.decode("latin-1") for k, v in scope["headers"] if k == b"host"), "")
        name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
        if name.strip("[]").lower() not in self.hosts:
            refused = JSONResponse({"detail": f"host {host!r} is not served here"}, status_code=421)
            await refused(scope, receive, guarded)
            return
        await self.app(scope, receive, guarded)


def create_app(
    home: Path | str | views.Workspace,
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    hosts: tuple[str, ...] = LOCAL_NAMES,
    local: bool = True,
    identify: Callable[[Request], Principal] | None = None,
    api: ApiSettings | None = None,
) -> FastAPI:
    """The console over a workspace (its home folder, or one already open).

    clock : the instant that the age of data is measured against; aware.
    hosts : names that a request may address us by.
    local : only this machine can reach us (a `Binding` knows).
    identify : says who asks; by default sessions and keys, and for others the public (or, over invented data on
        this machine, the demo visitor).
    api : rate limit and foreign origins of the API; by default from the environment.
    """
    app = FastAPI(title="Qinglan", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)
    workspace = open_workspace(home) if isinstance(home, str | Path) else home
    app.state.site = Site(workspace, clock)
    app.state.people = People(workspace, clock, local=local)
    app.mount("/static", Assets(), name="static")
    app.state.answers = Answers()
    mount_api(app, app.state.site, app.state.answers, api)
    for router in ROUTERS:
        app.include_router(router)
    app.add_exception_handler(QinglanError, _expected)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _crash)
    check_routes(app)
    app.add_middleware(KeepPages, site=app.state.site, answers=app.state.answers)
    app.add_middleware(GZipMiddleware, minimum_size=PACK_FROM, compresslevel=PACK_LEVEL)
    app.add_middleware(Identify, people=app.state.people, identify=identify)
    app.add_middleware(Guard, hosts=hosts)
    app.add_middleware(Observe)
    return app


def _answer(request: Request, status: int, kind: str, **detail: Any) -> Response:
    """An error page in the frame; without the run when there is none to show."""
    site: Site = request.app.state.site
    try:
        result = views.current(site.workspace)
    except QinglanError:
        result = None
    known = {"name": "", "message": "", "of": "", **detail}
    return site.page(request, "error.html", result, status=status, kind=kind, code=status, **known)


def _expected(request: Request, error: Any) -> Response:
    """Our own errors: what is wrong and what to do, under the status that fits."""
    if isinstance(error, views.NoRun):
        site: Site = request.app.state.site
        return site.page(request, "empty.html", None, status=503, home=str(site.workspace.home))
    if isinstance(error, Forbidden):
        return _forbidden(request, error)
    if isinstance(error, UnknownName):
        return _answer(request, 404, "unknown", name=str(error.name), message=error.remedy, of=error.kind)
    if isinstance(error, NotFound):
        return _answer(request, 404, "missing", message=str(error))
    if isinstance(error, UsageError):
        return _answer(request, 422, "usage", message=str(error))
    log.error("%s: %s", request.url.path, error)
    return _answer(request, 500, "fault", message=str(error))


def _forbidden(request: Request, error: Forbidden) -> Response:
    """The way to sign in (401), to the password that must be changed, or what was not permitted (403)."""
    session = getattr(request.state, "session", None)
    if session is not None and session.must_change and not isinstance(error, ForeignForm):
        return RedirectResponse("/account/password", status_code=303)
    site: Site = request.app.state.site
    if isinstance(error, ForeignForm):
        return site.page(request, "account_refused.html", None, status=403)
    if not error.signed_in:
        after = f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path
        return site.page(
            request, "account_needed.html", None, status=401, after=after if request.method == "GET" else "/"
        )
    permission = load_permissions().permission(error.permission)
    return site.page(request, "account_denied.html", None, status=403, permission=permission)


def _invalid(request: Request, error: Any) -> Response:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return _answer(request, 422, "usage", message=f"{where}: {first['msg']}")


def _http(request: Request, error: Any) -> Response:
    kind = {404: "page", 405: "method"}.get(error.status_code, "fault")
    return _answer(request, error.status_code, kind, name=request.url.path)


def _crash(request: Request, error: Exception) -> Response:
    """A fault of ours: recorded in the log, shown without its insides."""
    log.error("%s failed", request.url.path, exc_info=error)
    answer = _answer(request, 500, "fault")
    answer.headers.update(HEADERS)
    return answer
