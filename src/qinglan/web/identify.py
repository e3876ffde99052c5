"""Who asks: a session's cookie, an API key, or nobody. Without either, nothing is looked up."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime
from functools import cached_property
from typing import Any

from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from qinglan.access import DEMO, PUBLIC, Principal
from qinglan.flow import accounts
from qinglan.flow.oidc import Provider, provider_of
from qinglan.web.csrf import COOKIE as FORM_COOKIE
from qinglan.web.csrf import Forms

COOKIE = "qinglan_session"


class People:
    """How an application knows people: its registry, its identity provider, and who a visitor is.

    local : the console can be reached from this machine only, so that a visitor of invented data may look at it.
    Raises UsageError for settings of a provider that do not fit together.
    """

    def __init__(self, workspace: Any, clock: Callable[[], datetime], *, local: bool = True) -> None:
        self._workspace, self._clock = workspace, clock
        settings = getattr(workspace, "settings", None)
        self.local = local
        self.provider: Provider | None = None if settings is None else provider_of(settings)
        self.visitor = DEMO if local and settings is not None and settings.simulated else PUBLIC

    @cached_property
    def registry(self) -> Any:
        """The registry, opened when it is first needed; None where there is none."""
        return accounts.registry_of(self._workspace)

    @cached_property
    def form_key(self) -> bytes:
        """Signs visitors' forms; of the registry, so that every worker has the same."""
        if self.registry is None:
            return secrets.token_bytes(32)
        return accounts.signing_key(self.registry, now=self._clock())

    async def session(self, token: str) -> accounts.Session | None:
        """The session of a cookie."""
        if not token or self.registry is None:
            return None
        return await run_sync(lambda: accounts.find_session(self.registry, token, now=self._clock()))

    async def key(self, key: str) -> Principal | None:
        """Who asks with a key."""
        if not key.startswith(accounts.KEY_MARK) or self.registry is None:
            return None
        return await run_sync(lambda: accounts.find_key(self.registry, key, now=self._clock()))


class Identify:
    """Puts who asks on the request: `principal`, and for browsers `session`, `csrf` and `csrf_token`.

    identify : says who asks instead (tests, and consoles behind a door of their own); then forms are not checked.
    """

    def __init__(
        self, app: ASGIApp, people: People, identify: Callable[[Request], Principal] | None = None
    ) -> None:
        self.app, self.people, self.identify = app, people, identify

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request, state = Request(scope), scope.setdefault("state", {})
        if self.identify is not None:
            state["principal"] = self.identify(request)
            await self.app(scope, receive, send)
            return
        kind, _, key = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            found = await self.people.key(key.strip())
            if found is None:
                await _no_such_key()(scope, receive, send)
                return
            state["principal"] = found
            await self.app(scope, receive, send)
            return
        await self._browser(request, state, receive, send)

    async def _browser(self, request: Request, state: dict[str, Any], receive: Receive, send: Send) -> None:
        cookies = request.cookies if "cookie" in request.headers else {}
        token = cookies.get(COOKIE, "")
        session = await self.people.session(token) if token else None
        signed_in = session is not None and session.stage == "open"
        forms = Forms(token if session else "", cookies.get(FORM_COOKIE, ""), lambda: self.people.form_key)
        state |= {
            "principal": session.principal if session is not None and signed_in else self.people.visitor,
            "session": session, "session_token": token, "csrf": forms, "csrf_token": forms,
        }  # fmt: skip

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start" and forms.fresh:
                made = Response()
                made.set_cookie(FORM_COOKIE, forms.seed, httponly=True, samesite="lax", secure=secure(request))
                message["headers"] = [*message["headers"], *(h for h in made.raw_headers if h[0] == b"set-cookie")]
            await send(message)

        await self.app(request.scope, receive, marked)


def secure(request: Request) -> bool:
    """Whether the browser speaks to us (or to a proxy that we trust) by https."""
    return request.url.scheme == "https"


def give_session(request: Request, response: Response, token: str) -> Response:
    """Hand a session to the browser: no script reads it, no other site sends it, and it goes with the browser."""
    response.set_cookie(COOKIE, token, httponly=True, samesite="lax", secure=secure(request))
    return response


def take_session(request: Request, response: Response) -> Response:
    """Take the session's cookie back."""
    response.delete_cookie(COOKIE, httponly=True, samesite="lax", secure=secure(request))
    return response


def _no_such_key() -> Response:
    told = {
        "type": "about:blank",
        "title": "Unauthorized",
        "status": 401,
        "detail": "the key is not known or is over",
    }
    headers = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
    return JSONResponse(told, status_code=401, media_type="application/problem+json", headers=headers)
