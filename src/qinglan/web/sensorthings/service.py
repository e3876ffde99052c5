"""The OGC SensorThings API 1.1 over a run, for reading: an application of its own under ``/sensorthings/v1.1``."""

from __future__ import annotations

import logging
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, FastAPI, Request
from polars.exceptions import PolarsError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response

from qinglan import __version__
from qinglan.access import Forbidden
from qinglan.core.errors import NotFound, QinglanError, UsageError
from qinglan.flow import sensorthings, views
from qinglan.web.access import needs, principal
from qinglan.web.api.answers import run_of
from qinglan.web.sensorthings.address import Target, resolve
from qinglan.web.sensorthings.answer import Answer
from qinglan.web.sensorthings.query import pairs, read
from qinglan.web.site import Site

PREFIX = "/sensorthings/v1.1"
JSON = "application/json"
_SPEC = "http://www.opengis.net/spec/iot_sensing/1.1/req"
#: Requirements that hold; those of writing, batches, data arrays, MultiDatastreams and MQTT do not, and of the
#: built-in functions those of lines are missing.
CONFORMANCE = (
    f"{_SPEC}/datamodel",
    f"{_SPEC}/resource-path/resource-path-to-entities",
    *(f"{_SPEC}/request-data/{name}" for name in (
        "status-code", "query-status-code", "order", "expand", "select", "orderby", "top", "skip", "count",
        "filter", "built-in-filter-operations", "pagination",
    )),
)  # fmt: skip

log = logging.getLogger(__name__)
router = APIRouter()
Run = Annotated[views.Result, Depends(run_of)]


def application(site: Site) -> FastAPI:
    """The application, to be mounted under `PREFIX`."""
    app = FastAPI(
        title="Qinglan SensorThings", version=__version__, docs_url=None, redoc_url=None, openapi_url=None
    )
    app.state.site = site
    app.include_router(router)
    app.add_exception_handler(QinglanError, _expected)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _crash)
    return app


@router.get("/", dependencies=[needs("api.read")])
async def service(request: Request, run: Run) -> Response:
    """What there is: entity sets, and the requirements that hold (18-088 clause 9.2)."""
    root = _root(request)
    value = [{"name": name, "url": f"{root}/{name}"} for name in sensorthings.ENTITY_SETS]
    return _json({"value": value, "serverSettings": {"conformance": CONFORMANCE}})


@router.get("/{path:path}", dependencies=[needs("api.read")])
async def entities(request: Request, run: Run, path: str) -> Response:
    """Entities, their properties and collections of them (18-088 clauses 9.3.2 and 9.3.3)."""
    return await run_in_threadpool(_answer, request, run, path)


def _answer(request: Request, run: views.Result, path: str) -> Response:
    site: Site = request.app.state.site
    text = request.scope["query_string"].decode("latin-1")
    model = sensorthings.model(site.workspace, run)
    path = path.rstrip("/")
    target = resolve(model, path)
    answer = Answer(model, _root(request), site.clock())
    if target.path:
        if any(name.startswith("$") for name in pairs(text)):
            raise UsageError("a property takes no query options.")
        return _property(answer, target)
    query = read(text)
    if "now(" in text.replace("%28", "("):
        request.scope["qinglan.pure"] = False
    try:
        body = answer.entity(target, query) if target.key else answer.collection(target, query, path)
    except RecursionError:
        raise UsageError("the query nests too deep.") from None
    except PolarsError as error:  # such as a sum of an instant that no calendar has
        raise UsageError(f"the query cannot be computed: {error}.") from None
    _tell_flags(request, site, answer)
    return _json(body)


def _property(answer: Answer, target: Target) -> Response:
    """A property as JSON, or its bare value."""
    found = answer.value(target)
    if target.form == "$value":
        if found is None:
            return Response(status_code=204)
        return PlainTextResponse(found if isinstance(found, str) else orjson.dumps(found).decode())
    return Response(status_code=204) if found is None else _json({target.path[-1]: found})


def _tell_flags(request: Request, site: Site, answer: Answer) -> None:
    """The rules behind values that were taken away, from the lake, for those who may see data."""
    if not answer.unusual or not principal(request).may("data.view"):
        return
    request.scope["qinglan.pure"] = False
    rules = sensorthings.state_flags(site.workspace, [key for _, key in answer.unusual])
    for quality, key in answer.unusual:
        quality["flags"] = list(rules.get(key, ()))


def _root(request: Request) -> str:
    """Address of the service as the reader wrote its host."""
    return f"{request.url.scheme}://{request.url.netloc}{PREFIX}"


def _json(body: Any) -> Response:
    return Response(orjson.dumps(body), media_type=JSON)


def _error(status: int, message: str, remedy: str = "", headers: dict[str, str] | None = None) -> Response:
    """An error with its code, what is wrong, and what to do."""
    body = {"code": status, "type": "error", "message": message} | ({"remedy": remedy} if remedy else {})
    given = {"Cache-Control": "no-store", **(headers or {})}
    if status == 401:
        given["WWW-Authenticate"] = "Bearer"
    return Response(orjson.dumps(body), status, given, JSON)


def _expected(request: Request, error: Any) -> Response:
    """Our own errors: 400 for what is asked wrongly, 404 for what is not there (18-088 clause 9.3.1)."""
    remedy, said = getattr(error, "remedy", ""), getattr(error, "message", str(error))
    if isinstance(error, views.NoRun):
        return _error(503, "there is no run to read yet.", remedy, {"Retry-After": "60"})
    if isinstance(error, Forbidden):
        return _error(403 if error.signed_in else 401, said, remedy)
    if isinstance(error, NotFound):
        return _error(404, said, remedy)
    if isinstance(error, UsageError):
        return _error(400, said, remedy)
    log.error("%s: %s", request.url.path, error)
    return _error(500, "the server could not answer.")


def _http(request: Request, error: Any) -> Response:
    said = {
        404: "there is no such address.",
        405: f"{request.method} is not offered: this service is for reading.",
    }
    return _error(
        error.status_code, said.get(error.status_code, str(error.detail)), headers=dict(error.headers or {})
    )


def _crash(request: Request, error: Exception) -> Response:
    log.error("%s failed", request.url.path, exc_info=error)
    return _error(500, "the server could not answer.")
