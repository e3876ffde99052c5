"""Before the routes of the API: rate limit, answers that are kept, ETags, and cross-origin readers when allowed.

One ASGI layer, so that a kept answer costs some microseconds. A route says that its answer is a pure function of
the run by reading it with `run_of`; only such answers are kept, under the run, the address, what the reader
accepts and what was granted to him.
"""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass, field

from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from starlette.datastructures import Headers
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from qinglan import __version__
from qinglan.access import PUBLIC, Principal
from qinglan.core.errors import QinglanError
from qinglan.flow import views
from qinglan.web.api.lane import quick
from qinglan.web.api.problems import problem
from qinglan.web.cache import Answers, Kept
from qinglan.web.site import Site

#: Kept by the reader only after asking us again: a new run shows at once.
CALM = b"private, no-cache"


def _origins() -> tuple[str, ...]:
    return tuple(o.strip() for o in os.environ.get("QINGLAN_API_ORIGINS", "").split(",") if o.strip())


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """How the API is offered.

    rate : requests allowed for each key, account or (for visitors) address, as ``"6000/minute"``, in each process
        of the server; empty: no limit. From QINGLAN_API_RATE.
    origins : web pages of other hosts that may read (CORS); none by default. From QINGLAN_API_ORIGINS, by
        commas.
    """

    rate: str = field(default_factory=lambda: os.environ.get("QINGLAN_API_RATE", "6000/minute"))
    origins: tuple[str, ...] = field(default_factory=_origins)


def limiter_of_process() -> FixedWindowRateLimiter:
    """Counts requests in this process's memory."""
    return FixedWindowRateLimiter(MemoryStorage())


class Door:
    """Wraps the application of an API.

    limiter : shared by doors whose requests are counted together. names_host : answers name the host that they
        were asked of, so that an answer kept for one is not given to another.
    """

    def __init__(
        self,
        app: ASGIApp,
        prefix: str,
        site: Site,
        answers: Answers,
        settings: ApiSettings,
        limiter: FixedWindowRateLimiter,
        *,
        names_host: bool = False,
    ) -> None:
        self.app, self.prefix, self.site, self.answers, self.settings = app, prefix, site, answers, settings
        self.limit = parse(settings.rate) if settings.rate else None
        self.limiter, self.names_host = limiter, names_host

    @property
    def routes(self) -> list[BaseRoute]:
        """Routes behind this door, for whoever walks an application's routes."""
        return list(getattr(self.app, "routes", []))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        me: Principal = scope.get("state", {}).get("principal", PUBLIC)
        asked = Headers(scope=scope)
        extra = self._shared_with(asked)
        if scope["method"] == "OPTIONS" and extra and "access-control-request-method" in asked:
            granted = [(b"access-control-allow-methods", b"GET, HEAD"), (b"access-control-max-age", b"600"),
                       (b"access-control-allow-headers", b"Authorization, If-None-Match")]  # fmt: skip
            await _send(send, 204, extra + granted, b"")
            return
        if self.limit is not None:
            allowed, told = self._allowed(me, scope)
            extra += told
            if not allowed:
                wait = dict(told)[b"ratelimit-reset"].decode()
                refused = problem(429, f"more than {self.settings.rate} requests.", path=scope["path"],
                                  headers={"Retry-After": wait}, remedy=f"Wait {wait} s.")  # fmt: skip
                refused.raw_headers.extend(extra)
                await refused(scope, receive, send)
                return
        key = self._key(me, asked, scope)
        if key is not None:
            if f'"{key}"' in asked.get("if-none-match", ""):
                await _send(send, 304, [(b"etag", f'W/"{key}"'.encode()), (b"cache-control", CALM), *extra], b"")
                return
            kept = self.answers.get(key)
            if isinstance(kept, Kept):
                headers, body = kept.sent(asked.get("accept-encoding", ""))
                await _send(send, 200, headers + extra, body)
                return
            found = quick(scope, self.prefix, me, self.site)
            if found is not None:
                scope["qinglan.pure"] = True
                start = {"status": 200, "headers": found.raw_headers}
                await self._answered(scope, send, key, extra, start, bytes(found.body))
                return
        await self._fresh(scope, receive, send, key, extra)

    def _shared_with(self, asked: Headers) -> list[tuple[bytes, bytes]]:
        """CORS headers for an origin that may read."""
        origin = asked.get("origin", "")
        if not origin or origin not in self.settings.origins:
            return []
        return [
            (b"access-control-allow-origin", origin.encode()),
            (b"vary", b"Origin"),
            (b"access-control-expose-headers", b"ETag, Link, RateLimit-Remaining, RateLimit-Reset"),
        ]

    def _allowed(self, me: Principal, scope: Scope) -> tuple[bool, list[tuple[bytes, bytes]]]:
        """Whether one more request is within the limit, and the headers that say where it stands."""
        assert self.limit is not None
        who = me.id or (scope.get("client") or ("unknown",))[0]
        allowed = self.limiter.hit(self.limit, who)
        stats = self.limiter.get_window_stats(self.limit, who)
        reset = _seconds(stats.reset_time)
        return allowed, [(b"ratelimit-limit", str(self.limit.amount).encode()),
                         (b"ratelimit-remaining", str(stats.remaining).encode()),
                         (b"ratelimit-reset", str(reset).encode())]  # fmt: skip

    def _key(self, me: Principal, asked: Headers, scope: Scope) -> str | None:
        """Name of this answer; None for what is never kept."""
        if scope["method"] != "GET":
            return None
        try:
            run = views.current(self.site.workspace).key
        except QinglanError:
            return None
        grants = ",".join(f"{g.role}:{g.place}:{g.department}" for g in me.grants)
        scopes = "" if me.scopes is None else ",".join(sorted(me.scopes))
        host = f"{scope.get('scheme')}://{asked.get('host', '')}" if self.names_host else ""
        parts = (host, run, scope["path"], scope["query_string"].decode("latin-1"), asked.get("accept", ""),
                 grants, scopes, __version__, "key" if me.scopes is not None else "")  # fmt: skip
        return hashlib.blake2b("\n".join(parts).encode(), digest_size=12).hexdigest()

    async def _fresh(
        self, scope: Scope, receive: Receive, send: Send, key: str | None, extra: list[tuple[bytes, bytes]]
    ) -> None:
        """Let the routes answer; keep what may be kept, tag what may be tagged."""
        scope["qinglan.pure"] = False
        start: Message = {}
        parts: list[bytes] = []

        async def collected(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
                return
            parts.append(message.get("body", b""))
            if message.get("more_body"):
                return
            await self._answered(scope, send, key, extra, start, b"".join(parts))

        await self.app(scope, receive, collected)

    async def _answered(
        self,
        scope: Scope,
        send: Send,
        key: str | None,
        extra: list[tuple[bytes, bytes]],
        start: Message,
        body: bytes,
    ) -> None:
        asked = Headers(scope=scope)
        dropped = (b"content-length",)
        headers = [(k, v) for k, v in start["headers"] if k not in dropped]
        if start["status"] != 200 or scope["method"] != "GET":
            headers.append((b"content-length", str(len(body)).encode()))
            await _send(send, start["status"], headers + extra, b"" if scope["method"] == "HEAD" else body)
            return
        pure = key is not None and scope["qinglan.pure"]
        tag = key if pure else hashlib.blake2b(body, digest_size=12).hexdigest()
        headers += [(b"etag", f'W/"{tag}"'.encode()), (b"cache-control", CALM)]
        kept = Kept(tuple(headers), body)
        if pure and key is not None:
            self.answers.put(key, kept)
        elif f'"{tag}"' in asked.get("if-none-match", ""):
            await _send(send, 304, [(b"etag", f'W/"{tag}"'.encode()), (b"cache-control", CALM), *extra], b"")
            return
        sent, body = kept.sent(asked.get("accept-encoding", ""))
        await _send(send, 200, sent + extra, body)


def _seconds(until: float) -> int:
    """Whole seconds until a moment, at least one."""
    return max(1, round(until - time.time() + 0.5))


async def _send(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
