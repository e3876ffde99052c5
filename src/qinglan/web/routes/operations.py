"""Is it alive, can it serve, and how is it doing: for machines that watch."""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Callable, Iterable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from prometheus_client import CONTENT_TYPE_LATEST
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from starlette.responses import JSONResponse, Response

from qinglan import __version__
from qinglan.core.errors import QinglanError
from qinglan.flow import operations, views
from qinglan.web.access import needs, principal
from qinglan.web.observe import exposition
from qinglan.web.site import Site, site

log = logging.getLogger(__name__)
router = APIRouter()

_NOT_KEPT = {"Cache-Control": "no-store"}


@router.get("/healthz", dependencies=[needs("public.view")])
def healthz() -> Response:
    """This process answers."""
    return JSONResponse({"status": "ok", "version": __version__}, headers=_NOT_KEPT)


@router.get("/readyz", dependencies=[needs("public.view")])
def readyz(site: Annotated[Site, Depends(site)]) -> Response:
    """The registry answers, the current run can be read, the disk has room; else 503 and which does not hold."""
    checks = {
        "registry": _holds("registry", lambda: operations.registry_answers(site.workspace)),
        "run": _holds("run", lambda: bool(views.current(site.workspace).verdict)),
        "disk": _holds("disk", lambda: operations.free_space(site.workspace) >= operations.ENOUGH),
    }
    ready = all(checks.values())
    told = {"status": "ready" if ready else "not_ready", "checks": checks}
    return JSONResponse(told, status_code=200 if ready else 503, headers=_NOT_KEPT)


def _holds(name: str, check: Callable[[], bool]) -> bool:
    """What went wrong is for the log: it may name folders and hosts."""
    try:
        return check()
    except views.NoRun:
        return False
    except Exception as fault:
        log.error("not ready: %s: %s", name, fault)
        return False


class _Facts(Collector):
    """Measurements of the workspace, the same from every worker."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def collect(self) -> Iterable[Metric]:
        """Read them now."""
        workspace = self.site.workspace
        yield _one("qinglan_info", "This version.", 1, version=__version__)
        yield _one(
            "qinglan_disk_free_bytes", "Free space where the workspace lies.", operations.free_space(workspace)
        )
        try:
            result = views.current(workspace)
        except QinglanError:
            return
        made = result.stamp / 1e9
        yield _one("qinglan_run_timestamp_seconds", "When the current run was made.", made, run=result.run_id)
        yield from self._jobs(workspace)

    def _jobs(self, workspace: Any) -> Iterable[Metric]:
        ended = GaugeMetricFamily(
            "qinglan_job_ended_timestamp_seconds", "End of a job's last run.", labels=["job"]
        )
        failed = GaugeMetricFamily(
            "qinglan_job_failed", "Whether a job's last run did not end well.", labels=["job"]
        )
        for name, run in operations.last_runs(workspace).items():
            if run["finished_at"] is not None:
                ended.add_metric([name], run["finished_at"].timestamp())
                failed.add_metric([name], float(run["outcome"] != "done"))
        yield from (ended, failed)


def _one(name: str, text: str, value: float, **labels: str) -> Metric:
    made = GaugeMetricFamily(name, text, labels=list(labels))
    made.add_metric(list(labels.values()), value)
    return made


@router.get("/metrics", dependencies=[needs("public.view")])
def metrics(request: Request, site: Annotated[Site, Depends(site)]) -> Response:
    """Measurements for Prometheus: for programs on this machine, and for those who may see its health."""
    if not _from_here(request):
        principal(request).need("admin.view")
    return Response(exposition(_Facts(site)), media_type=CONTENT_TYPE_LATEST, headers=_NOT_KEPT)


def _from_here(request: Request) -> bool:
    """Asked on this machine, by nobody else's proxy."""
    if "x-forwarded-for" in request.headers or "forwarded" in request.headers or request.client is None:
        return False
    try:
        return ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False
