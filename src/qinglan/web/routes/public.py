"""The public page: today's air, places, targets, bulletins and open data. No login, no session, no script.

Every page is a function of the run, the address (with its language) and the minute of the clock, so rendered bytes
are kept for a minute and shared by all readers.
"""

from __future__ import annotations

import gzip
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from qinglan.access import Principal
from qinglan.flow import public_bulletins, views
from qinglan.flow.views import public as public_views
from qinglan.web.access import needs, principal
from qinglan.web.site import Site, environment, site
from qinglan.web.strip import strip
from qinglan.web.text import LANGUAGES, Text, aware

router = APIRouter()

#: An hour older than this is called stale [h]: HJ 633-2026 wants it out within one hour of its end.
STALE_AFTER = 2
#: Shared caches may keep a page for a minute; it says itself which hour it speaks of.
SHARED = "public, max-age=60"
KEPT_PAGES = 512
#: How long the name of the current run is believed before the registry is asked again [s].
BELIEVED = 1.0


@dataclass(frozen=True, slots=True)
class Page:
    """A rendered page: its bytes plain and packed, and its ETag."""

    body: bytes
    packed: bytes
    etag: str


class Pages:
    """Rendered pages, the newest kept; `current` spares asking the registry at every request."""

    def __init__(self, room: int = KEPT_PAGES) -> None:
        self.room, self.lock = room, Lock()
        self.kept: OrderedDict[tuple[Any, ...], Page] = OrderedDict()
        self.believed: dict[int, tuple[float, views.Result]] = {}

    def current(self, site: Site) -> views.Result:
        """The current run, at most a second old."""
        found = self.believed.get(id(site))
        now = time.monotonic()
        if found is None or now - found[0] > BELIEVED:
            found = (now, views.current(site.workspace))
            self.believed = {id(site): found}
        return found[1]

    def get(self, key: tuple[Any, ...]) -> Page | None:
        """A kept page, moved to the young end."""
        with self.lock:
            found = self.kept.get(key)
            if found is not None:
                self.kept.move_to_end(key)
            return found

    def put(self, key: tuple[Any, ...], html: str) -> Page:
        """Keep a page, dropping the oldest when there are too many."""
        body = html.encode()
        page = Page(body, gzip.compress(body, 6, mtime=0), f'W/"{hashlib.sha256(body).hexdigest()[:20]}"')
        with self.lock:
            self.kept[key] = page
            while len(self.kept) > self.room:
                self.kept.popitem(last=False)
        return page


def _pages(request: Request) -> Pages:
    """The pages kept for this application."""
    found = getattr(request.app.state, "public_pages", None)
    if not isinstance(found, Pages):
        found = request.app.state.public_pages = Pages()
    return found


def language(request: Request) -> str:
    """The language of a public page: from its address only, so that shared caches never mix readers."""
    asked = request.query_params.get("lang", "")
    return asked if asked in LANGUAGES else LANGUAGES[0]


def render(request: Request, template: str, result: views.Result | None, **context: Any) -> str:
    """A public template in the language of the address; knows nothing of who asks."""
    spoken = language(request)

    def link(path: str, **values: Any) -> str:
        """A public address in the reader's language."""
        query = {k: v for k, v in values.items() if v not in (None, "")}
        if "lang" not in values and spoken != LANGUAGES[0]:
            query["lang"] = spoken
        return f"{path}?{urlencode(query)}" if query else path

    return environment().get_template(template).render(
        t=Text(spoken), language=spoken, languages=LANGUAGES, link=link, path=request.url.path, result=result,
        strip=strip, aware=aware, **context,
    )  # fmt: skip


async def answer(
    request: Request, template: str, make: Callable[[Site, views.Result], dict[str, Any]], **asked: Any
) -> Response:
    """A public page out of the kept ones, or made now.

    make : builds the template's context; runs in a thread, once for each minute, language and address.
    asked : what of the query the page depends on.
    """
    here, pages = site(request), _pages(request)
    result = (
        await run_in_threadpool(pages.current, here) if id(here) not in pages.believed else pages.current(here)
    )
    minute = int(here.clock().timestamp() // 60)
    key = (result.key, minute, request.url.path, language(request), *sorted(asked.items()))
    page = pages.get(key)
    if page is None:
        page = await run_in_threadpool(
            lambda: pages.put(key, render(request, template, result, **make(here, result)))
        )
    headers = {
        "ETag": page.etag,
        "Cache-Control": SHARED,
        "Vary": "Accept-Encoding",
        "Content-Language": "zh-CN" if language(request) == "zh" else "en",
    }
    if page.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    body = page.body
    if "gzip" in request.headers.get("accept-encoding", ""):
        body, headers["Content-Encoding"] = page.packed, "gzip"
    return Response(body, media_type="text/html; charset=utf-8", headers=headers)


def _age(here: Site, when: Any) -> dict[str, Any]:
    """The clock, and whether the newest hour is too old to be called current."""
    clock = here.clock()
    old = when is not None and (clock - aware(when)).total_seconds() > STALE_AFTER * 3600
    return {"clock": clock, "stale": old}


@router.get("/", dependencies=[needs("public.view")])
def home(request: Request) -> Response:
    """The front door: today's air for those who work with it, the public page for everybody else."""
    me: Principal = principal(request)
    kept = f"?{request.url.query}" if request.url.query else ""
    return RedirectResponse(("/today" if me.may("air.view") else "/public") + kept, status_code=303)


@router.get("/public", dependencies=[needs("public.view")])
async def air(request: Request) -> Response:
    """Today's air in each place, and what it means for whom."""

    def make(here: Site, result: views.Result) -> dict[str, Any]:
        found = public_views.air(result)
        targets = views.board(result)["groups"]["air"]
        issued = public_bulletins.issued(here.workspace, limit=3)
        return {"air": found, "targets": targets, "bulletins": issued, **_age(here, found["time"])}

    return await answer(request, "public.html", make)


@router.get("/public/places/{code}", dependencies=[needs("public.view")])
async def place(request: Request, code: str) -> Response:
    """A place's hours, its last thirty days and its year against the limits."""

    def make(here: Site, result: views.Result) -> dict[str, Any]:
        found = public_views.place_air(result, code)
        when = found["row"]["time"] if found["row"] else found["time"]
        return {"air": found, **_age(here, when)}

    return await answer(request, "public_place.html", make)


@router.get("/public/targets", dependencies=[needs("public.view")])
async def targets(request: Request) -> Response:
    """How the targets of the plan stand."""
    return await answer(request, "public_targets.html", lambda here, result: {"board": views.board(result)})


__all__ = ["answer", "language", "render", "router"]
