"""API v1 and the SensorThings view: applications of their own under the console's, with their own errors."""

from __future__ import annotations

import re

from fastapi import FastAPI
from starlette.routing import Mount

from qinglan import __version__
from qinglan.web.access import check_routes
from qinglan.web.api import air, document, office, problems
from qinglan.web.api.document import PREFIX
from qinglan.web.api.door import ApiSettings, Door
from qinglan.web.cache import Answers
from qinglan.web.site import Site

__all__ = ["ApiSettings", "mount_api"]


def mount_api(app: FastAPI, site: Site, settings: ApiSettings | None = None) -> None:
    """Offer the API under ``/api/v1`` of an application."""
    settings = settings or ApiSettings()
    api = FastAPI(title="Qinglan API", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)
    api.state.site = site
    for router in (air.router, office.router, document.router):
        api.include_router(router)
    problems.install(api)
    check_routes(api)
    answers = Answers()
    under = Mount(PREFIX, Door(api, PREFIX, site, answers, settings), name="api")
    under.path_regex = re.compile(under.path_regex.pattern, re.DOTALL)  # a line break in an address is ours too
    app.router.routes.append(under)
