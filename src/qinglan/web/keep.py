"""Keeps rendered pages: what a page wrote is sent again while all that it stood on stands.

A route says what its answer stands on by how it opens the run (`Site.open`): on the run alone, or on everything as
it is now (then it is kept for a minute at most, and not across any event of the registry). An answer is kept under
its address, the reader's language and theme and his rights; one that asked who the reader is only for him. Tokens
of forms and the reader's name are filled in when a page is sent (:mod:`qinglan.web.slots`). What the route did not
open, what sets a cookie and what is no success is never kept.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from anyio.to_thread import run_sync
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from qinglan import __version__
from qinglan.access import PUBLIC, Principal
from qinglan.flow import standing
from qinglan.web.cache import PACK_FROM, Answers, pack
from qinglan.web.cache import Headers as Raw
from qinglan.web.site import NOW, RUN, Reader, Site
from qinglan.web.slots import NAME, TOKEN, Faceless, Fillings, Pieces, rights, slot

_DROPPED = frozenset((b"content-length", b"etag"))


@dataclass(slots=True)
class Page:
    """A page that was rendered: what it stands on, and its body cut at the slots.

    last : the packed body that was sent last, and the values in it: the same reader comes again.
    """

    on: str
    stands: str
    headers: Raw
    pieces: Pieces
    route: Any
    tag: str = ""
    last: tuple[dict[str, bytes], bytes] | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        digest = hashlib.blake2b(digest_size=12)
        for part in (*self.pieces.fixed, *(name.encode() for name in self.pieces.slots)):
            digest.update(part + b"\0")
        self.tag = digest.hexdigest()

    @property
    def size(self) -> int:
        """Bytes that it takes, packed as well."""
        return sum(map(len, self.pieces.fixed)) * 5 // 4 + 1024

    def tagged(self, values: dict[str, bytes]) -> str:
        """Name of the body as this reader sees it."""
        if not values:
            return self.tag
        own = b"\0".join(values.values())
        return hashlib.blake2b(own, digest_size=12, key=self.tag.encode()).hexdigest()

    def packed(self, values: dict[str, bytes]) -> bytes:
        """The body with these values, packed."""
        if self.last is None or self.last[0] != values:
            self.last = (values, pack(self.pieces.filled(values)))
        return self.last[1]


@dataclass(frozen=True, slots=True)
class _Making:
    """A page that is about to be rendered: where it will be kept, for whom, what stood before it began, and what
    to set when it is rendered: others wait for that, and not until a slow reader has it.
    """

    key: str
    who: Principal
    face: Faceless
    stands: dict[str, str]
    fillings: Fillings
    made: asyncio.Event


class KeepPages:
    """Stands before the console's routes. `answers` is shared with the API, so that memory has one bound."""

    def __init__(self, app: ASGIApp, site: Site, answers: Answers) -> None:
        self.app, self.site, self.answers = app, site, answers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET" or _OTHERS.match(scope["path"]):
            await self.app(scope, receive, send)
            return
        state: dict[str, Any] = scope.setdefault("state", {})
        who: Principal = state.get("principal", PUBLIC)
        token = state.get("csrf_token", "")
        fillings = Fillings(who.name or who.id, lambda: str(token))
        key, stands = _key(scope, who), await self._stands()
        if (page := self._kept(key, who, stands)) is None:
            async with self.answers.turns.of(key) as made:
                page = self._kept(key, who, stands) if made is None else None
                if page is None:  # we are the first, or it was not kept, or for somebody else
                    making = _Making(key, who, Faceless(who), stands, fillings, made or asyncio.Event())
                    await self._fresh(scope, receive, send, making)
                    return
        scope["route"] = page.route
        await _send_page(page, fillings, scope, send)

    def _kept(self, key: str, who: Principal, stands: dict[str, str]) -> Page | None:
        """The page of an address for somebody, if one is kept that still stands."""
        for name in (key, _own(key, who)):
            page = self.answers.get(name)
            if isinstance(page, Page) and page.stands == stands[page.on]:
                return page
        return None

    async def _fresh(self, scope: Scope, receive: Receive, send: Send, making: _Making) -> None:
        """Let the route answer, with slots where it would write who asks."""
        state, who = scope["state"], making.who
        token = state.get("csrf_token", "")
        state |= {"principal": making.face, "csrf_token": slot(TOKEN), "my_name": slot(NAME)}
        try:
            await self._render(scope, receive, send, making)
        finally:  # whoever stands before us (the log, the page of a crash) sees who it is
            state |= {"principal": who, "csrf_token": token}
            del state["my_name"]

    async def _stands(self) -> dict[str, str]:
        """What answers stand on, asked before they are made: what changes meanwhile makes them old at once."""
        site = self.site

        def now() -> str:
            return standing.of_now(site.workspace, site.clock())

        of_now = now() if standing.at_hand(site.workspace) else await run_sync(now)
        return {RUN: standing.of_run(site.workspace), NOW: of_now}

    async def _render(self, scope: Scope, receive: Receive, send: Send, making: _Making) -> None:
        start: Message = {}
        parts: list[bytes] = []

        async def collected(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
                if not _is_page(start, scope):
                    making.made.set()
                    await send(message)
                return
            if not _is_page(start, scope):
                await send(message)
                return
            parts.append(message.get("body", b""))
            if not message.get("more_body"):
                await self._made(scope, send, making, start, b"".join(parts))

        await self.app(scope, receive, collected)

    async def _made(self, scope: Scope, send: Send, making: _Making, start: Message, body: bytes) -> None:
        headers = tuple((k, v) for k, v in start["headers"] if k not in _DROPPED)
        pieces, on = Pieces.of(body), scope["state"].get("stands_on", "")
        stands = making.stands.get(on, "")
        if start["status"] != 200 or not stands or any(k == b"set-cookie" for k, _ in headers):
            making.made.set()
            filled = pieces.filled(making.fillings.of(pieces.slots))
            length = (b"content-length", str(len(filled)).encode())
            await _send(send, start["status"], [*headers, length], filled)
            return
        page = Page(on, stands, headers, pieces, scope.get("route"))
        own = making.face.asked
        self.answers.put(_own(making.key, making.who) if own else making.key, page)
        making.made.set()
        await _send_page(page, making.fillings, scope, send)


#: Not ours: the API and what is public keep their answers themselves, files lie in memory.
_OTHERS = re.compile(r"/(api|sensorthings|static|public)(/|$)")


def _is_page(start: Message, scope: Scope) -> bool:
    """Whether an answer may hold slots or may be kept; files and streams pass by."""
    if "stands_on" in scope["state"] and start["status"] == 200:
        return True
    return any(k == b"content-type" and v.startswith(b"text/html") for k, v in start["headers"])


def _key(scope: Scope, who: Principal) -> str:
    """The address, and of the reader his language, theme and rights."""
    reader = Reader.of(Request(scope))
    parts = (scope["path"], scope["query_string"].decode("latin-1"), reader.language, reader.theme, rights(who),
             __version__)  # fmt: skip
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=16).hexdigest()


def _own(key: str, who: Principal) -> str:
    return f"{key}|{who.id}"


async def _send_page(page: Page, fillings: Fillings, scope: Scope, send: Send) -> None:
    """Send a page to this reader, or only the word that he has it."""
    asked = Headers(scope=scope)
    values = fillings.of(page.pieces.slots)
    tag = page.tagged(values)
    headers = [*page.headers, (b"etag", f'W/"{tag}"'.encode()), (b"vary", b"Accept-Encoding")]
    if f'"{tag}"' in asked.get("if-none-match", ""):
        await _send(send, 304, [(k, v) for k, v in headers if k != b"content-type"], b"")
        return
    body = page.pieces.filled(values)
    if len(body) >= PACK_FROM and "gzip" in asked.get("accept-encoding", ""):
        body = page.packed(values)
        headers.append((b"content-encoding", b"gzip"))
    await _send(send, 200, [*headers, (b"content-length", str(len(body)).encode())], body)


async def _send(send: Send, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    await send({"type": "http.response.body", "body": body})
