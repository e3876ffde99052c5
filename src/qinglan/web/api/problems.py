"""Errors of the API as RFC 9457 problem details: what is wrong, with which value, and what to do."""

from __future__ import annotations

import logging
from typing import Any

import orjson
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from qinglan.access import Forbidden
from qinglan.core.errors import NotFound, QinglanError, UnknownName, UsageError
from qinglan.flow import views

log = logging.getLogger(__name__)

MEDIA = "application/problem+json"
#: Titles by status; the part behind ``#`` of a problem's type is the title in lower case with hyphens.
TITLES = {
    401: "Not signed in",
    403: "Not permitted",
    404: "Not found",
    405: "Method not allowed",
    406: "Not acceptable",
    422: "Invalid request",
    429: "Too many requests",
    500: "Fault of the server",
    503: "No run yet",
}


class NotAcceptable(QinglanError):
    """None of the representations that the reader accepts is offered."""


def problem(
    status: int, detail: str, *, path: str = "", headers: dict[str, str] | None = None, **more: Any
) -> Response:
    """A problem document. `more` becomes members of it (`remedy`, `known`, `errors`)."""
    title = TITLES.get(status, "Error")
    body = {"type": f"/api/v1/docs#{title.lower().replace(' ', '-')}", "title": title, "status": status,
            "detail": detail, "instance": path} | {k: v for k, v in more.items() if v}  # fmt: skip
    given = {"Cache-Control": "no-store", **(headers or {})}
    if status == 401:
        given["WWW-Authenticate"] = "Bearer"
    return Response(orjson.dumps(body, default=str), status, given, MEDIA)


def expected(request: Request, error: Any) -> Response:
    """Our own errors under the status that fits."""
    path = request.url.path
    remedy = getattr(error, "remedy", "")
    detail = getattr(error, "message", str(error))
    if isinstance(error, views.NoRun):
        return problem(
            503, "there is no run to read yet.", path=path, headers={"Retry-After": "60"}, remedy=remedy
        )
    if isinstance(error, Forbidden):
        return problem(403 if error.signed_in else 401, detail, path=path, remedy=remedy)
    if isinstance(error, UnknownName):
        in_path = str(error.name) in {str(v) for v in request.path_params.values()}
        known = [str(name) for name in error.known][:200]
        return problem(404 if in_path else 422, detail, path=path, known=known)
    if isinstance(error, NotAcceptable):
        return problem(406, detail, path=path, remedy=remedy)
    if isinstance(error, NotFound):
        return problem(404, detail, path=path, remedy=remedy)
    if isinstance(error, UsageError):
        return problem(422, detail, path=path, remedy=remedy)
    log.error("%s: %s", path, error)
    return problem(500, "the server could not answer.", path=path)


def invalid(request: Request, error: Any) -> Response:
    """Parameters that are not of their kind: each with its name, its value and what is wrong."""
    faults = [
        {
            "parameter": str(e["loc"][-1]),
            "in": str(e["loc"][0]),
            "value": str(e.get("input"))[:200],
            "detail": e["msg"],
        }
        for e in error.errors()
    ]
    first = faults[0]
    return problem(422, f"{first['parameter']} is {first['value']!r}: {first['detail']}.",
                   path=request.url.path, errors=faults)  # fmt: skip


def http(request: Request, error: Any) -> Response:
    """An address or a method that we do not have."""
    said = {404: "there is no such address.", 405: f"{request.method} is not offered here."}
    headers = dict(error.headers or {})
    return problem(error.status_code, said.get(error.status_code, str(error.detail)), path=request.url.path,
                   headers=headers)  # fmt: skip


def crash(request: Request, error: Exception) -> Response:
    """A fault of ours: recorded in the log, told without its insides."""
    log.error("%s failed", request.url.path, exc_info=error)
    return problem(500, "the server could not answer.", path=request.url.path)


def install(app: FastAPI) -> None:
    """Answer every error of an application as a problem."""
    app.add_exception_handler(QinglanError, expected)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(Exception, crash)
