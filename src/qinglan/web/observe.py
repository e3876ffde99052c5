"""What the server tells about itself: a line and a measurement for each request.

A line holds the request's id, method, route, status, milliseconds and who asked (an id, never a name); it holds no
query, no body and no address, because those may carry what is nobody's business. Routes are named by their
pattern, so that neither lines nor measurements grow with the places of the province.
"""

from __future__ import annotations

import logging
import os
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess
from prometheus_client.registry import REGISTRY, Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Where the workers of one server put their measurements; prometheus_client reads it when it is imported.
SHARED = "PROMETHEUS_MULTIPROC_DIR"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_requests = Counter("qinglan_requests", "Requests answered.", ("method", "route", "status"))
_seconds = Histogram(
    "qinglan_request_seconds",
    "Time to the last byte of the answer.",
    ("route",),
    buckets=(0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 10),
)
_in_flight = Gauge("qinglan_requests_in_flight", "Requests being answered.", multiprocess_mode="livesum")

requests_log = structlog.stdlib.get_logger("qinglan.request")


class Observe:
    """Measures and writes down each request; the outermost of all."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        number, status, start = uuid.uuid4().hex[:16], 500, time.perf_counter()
        scope.setdefault("state", {})["request_id"] = number

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", number.encode())]
            await send(message)

        _in_flight.inc()
        try:
            await self.app(scope, receive, observed)
        finally:
            _in_flight.dec()
            _write_down(scope, number, status, time.perf_counter() - start)


def _write_down(scope: Scope, number: str, status: int, seconds: float) -> None:
    method = scope["method"] if scope["method"] in _METHODS else "OTHER"
    route = _route(scope)
    _requests.labels(method, route, str(status)).inc()
    _seconds.labels(route).observe(seconds)
    me = scope.get("state", {}).get("principal")
    level = logging.ERROR if status >= 500 else logging.INFO
    requests_log.log(
        level, "request", id=number, method=method, route=route, status=status, ms=round(seconds * 1e3, 1),
        principal=getattr(me, "id", ""),
    )  # fmt: skip


def _route(scope: Scope) -> str:
    """The pattern that answered; what nothing answered is counted together."""
    if scope["path"].startswith("/static/"):
        return "/static"
    pattern = getattr(scope.get("route"), "path", None)
    return pattern if isinstance(pattern, str) else "unmatched"


def exposition(facts: Collector) -> bytes:
    """All measurements in Prometheus' text form: of this process, or of all workers together.

    facts : measurements that are the same whoever is asked (the run, the disk, the jobs).
    """
    shared = os.environ.get(SHARED)
    if shared is None:
        measured = generate_latest(REGISTRY)
    else:
        _forget_the_dead(Path(shared))
        together = CollectorRegistry()
        multiprocess.MultiProcessCollector(together)  # type: ignore[no-untyped-call]
        measured = generate_latest(together)
    told = CollectorRegistry()
    told.register(facts)
    return measured + generate_latest(told)


def _forget_the_dead(folder: Path) -> None:
    """What a killed worker was doing is over; what it had counted stays."""
    for path in folder.glob("gauge_live*_*.db"):
        pid = int(path.stem.rsplit("_", 1)[1])
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]
        except PermissionError:
            continue


def configure_logs(*, as_json: bool) -> None:
    """Send everything that is logged to the standard error: as JSON lines with requests, or as text without."""
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    shown: Any = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if as_json
        else structlog.processors.KeyValueRenderer(key_order=["timestamp", "level", "event"])
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, shown],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO if as_json else logging.WARNING)
    for name in ("apscheduler", "alembic", "httpx", "matplotlib"):
        logging.getLogger(name).setLevel(logging.WARNING)
