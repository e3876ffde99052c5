"""API v1 and the SensorThings view: applications of their own under the console's, with their own errors."""

from __future__ import annotations

import re

from fastapi import FastAPI
from starlette.routing import Mount

from qinglan import __version__
from qinglan.web.access import check_routes
from qinglan.web.api import air, document, ledgers, office, problems
from qinglan.web.api.document import PREFIX
from qinglan.web.api.door import ApiSettings, Door, limiter_of_process
from qinglan.web.cache import Answers
from qinglan.web.sensorthings import service
from qinglan.web.site import Site

__all__ = ["ApiSettings", "mount_api"]


def mount_api(app: FastAPI, site: Site, answers: Answers, settings: ApiSettings | None = None) -> None:
    """Offer the API under ``/api/v1`` of an application, and SensorThings under ``/sensorthings/v1.1``.

    answers : where answers are kept, shared with the pages.
    """
    settings = settings or ApiSettings()
    api = FastAPI(title="Qinglan API", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)
    api.state.site = site
    for router in (air.router, office.router, ledgers.router, document.router):
        api.include_router(router)
    problems.install(api)
    limiter = limiter_of_process()
    things = service.application(site)
    _mount(app, "api", PREFIX, Door(api, PREFIX, site, answers, settings, limiter))
    door = Door(things, service.PREFIX, site, answers, settings, limiter, names_host=True)
    _mount(app, "sensorthings", service.PREFIX, door)


def _mount(app: FastAPI, name: str, prefix: str, door: Door) -> None:
    """Put a door before its application."""
    assert isinstance(door.app, FastAPI)
    check_routes(door.app)
    under = Mount(prefix, door, name=name)
    under.path_regex = re.compile(under.path_regex.pattern, re.DOTALL)  # a line break in an address is ours too
    app.router.routes.append(under)
