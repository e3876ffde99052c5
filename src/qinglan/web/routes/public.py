"""The public page: today's air, places, targets, bulletins and open data. No login, no session, no script.

No page depends on who asks, so rendered bytes are shared by all readers, for a minute at most and not across any
change (:mod:`qinglan.flow.standing`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from qinglan.access import Principal
from qinglan.flow import public_bulletins, standing, views
from qinglan.flow.views import desk
from qinglan.flow.views import public as public_views
from qinglan.web.access import needs, principal
from qinglan.web.cache import Answers, Kept
from qinglan.web.site import Site, environment, site
from qinglan.web.strip import strip
from qinglan.web.text import LANGUAGES, Text, aware

router = APIRouter()

#: An hour older than this is called stale [h]: HJ 633-2026 wants it out within one hour of its end.
STALE_AFTER = 2
#: Shared caches may keep a page for a minute; it says itself which hour it speaks of.
SHARED = "public, max-age=60"


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

    make : builds the template's context; runs in a thread, once for each minute, language and address, and again
    when anything changed.
    asked : what of the query the page depends on.
    """
    here: Site = site(request)
    answers: Answers = request.app.state.answers
    stands = await _stands(here)
    key = "|".join(("public", stands, request.url.path, language(request), repr(sorted(asked.items()))))
    page = answers.get(key)
    if not isinstance(page, Kept):
        async with answers.turns.of(key):
            page = answers.get(key)
            if not isinstance(page, Kept):
                page = await run_in_threadpool(_made, request, template, make)
                answers.put(key, page)
    if dict(page.headers)[b"etag"].decode() in request.headers.get("if-none-match", ""):
        return _raw(304, [h for h in page.headers if h[0] != b"content-type"], b"")
    return _raw(200, *page.sent(request.headers.get("accept-encoding", "")))


async def _stands(here: Site) -> str:
    """What public pages stand on: everything as it is in this minute."""

    def ask() -> str:
        now = here.clock()
        return standing.of_now(here.workspace, now) or f"{standing.of_run(here.workspace)}|{now.timestamp() // 60}"

    return ask() if standing.at_hand(here.workspace) else await run_in_threadpool(ask)


def _made(request: Request, template: str, make: Callable[[Site, views.Result], dict[str, Any]]) -> Kept:
    here = site(request)
    result = views.current(here.workspace)
    body = render(request, template, result, **make(here, result)).encode()
    headers = {
        "content-type": "text/html; charset=utf-8",
        "etag": f'W/"{hashlib.sha256(body).hexdigest()[:20]}"',
        "cache-control": SHARED,
        "content-language": "zh-CN" if language(request) == "zh" else "en",
    }
    return Kept(tuple((k.encode(), v.encode()) for k, v in headers.items()), body)


def _raw(status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> Response:
    """A response with these very headers."""
    made = Response(body, status_code=status)
    made.raw_headers = list(headers)
    return made


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
        said = desk.outlook(here.workspace, here.clock())
        return {"air": found, "targets": targets, "bulletins": issued, "said": said, **_age(here, found["time"])}

    return await answer(request, "public.html", make)


@router.get("/public/places/{code}", dependencies=[needs("public.view")])
async def place(request: Request, code: str) -> Response:
    """A place's hours, what is forecast of it, its last thirty days and its year against the limits."""

    def make(here: Site, result: views.Result) -> dict[str, Any]:
        found = public_views.place_air(result, code)
        when = found["row"]["time"] if found["row"] else found["time"]
        said = desk.outlook(here.workspace, here.clock(), code)
        return {"air": found, "said": said, **_age(here, when)}

    return await answer(request, "public_place.html", make)


@router.get("/public/targets", dependencies=[needs("public.view")])
async def targets(request: Request) -> Response:
    """How the targets of the plan stand."""
    return await answer(request, "public_targets.html", lambda here, result: {"board": views.board(result)})


__all__ = ["answer", "language", "render", "router"]
