"""Static files, read and compressed once: pinned, hashed in their address, served from memory.

``static/vendor`` holds other people's libraries as they published them; ``vendor.json`` there names package,
version, licence and SHA-256 of each (a test compares them).
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

_TYPES = {
    "css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8",
    "mjs": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml", "png": "image/png", "json": "application/json", "txt": "text/plain; charset=utf-8",
    "geojson": "application/geo+json",
}  # fmt: skip
_SMALL = 1024


@dataclass(frozen=True, slots=True)
class Asset:
    """One file in memory; `packed` is its gzip form, None when packing does not pay."""

    body: bytes
    packed: bytes | None
    tag: str
    kind: str


@cache
def assets() -> Mapping[str, Asset]:
    """Every static file by its path below ``static/``."""
    found: dict[str, Asset] = {}

    def walk(folder: Traversable, stem: str) -> None:
        for entry in folder.iterdir():
            name = f"{stem}{entry.name}"
            if entry.is_dir():
                walk(entry, f"{name}/")
            elif (kind := _TYPES.get(name.rpartition(".")[2])) is not None:
                body = entry.read_bytes()
                packed = gzip.compress(body, 6, mtime=0) if len(body) > _SMALL and kind != "image/png" else None
                found[name] = Asset(body, packed, hashlib.sha256(body).hexdigest()[:16], kind)

    walk(files("qinglan.web") / "static", "")
    walk(files("qinglan.content") / "boundaries", "boundaries/")
    return found


def asset(name: str) -> str:
    """Address of a static file that changes with its content (KeyError for one that is not there)."""
    return f"/static/{name}?v={assets()[name].tag}"


class Assets:
    """Serves them; a copy asked for by its tag never has to be asked for again."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope)
        name = scope["path"].removeprefix(scope.get("root_path", "")).lstrip("/").removeprefix("static/")
        found = assets().get(name)
        if found is None or request.method not in ("GET", "HEAD"):
            await Response(status_code=404 if found is None else 405)(scope, receive, send)
            return
        lasting = request.query_params.get("v") == found.tag
        headers = {
            "ETag": f'"{found.tag}"',
            "Cache-Control": "public, max-age=31536000, immutable" if lasting else "no-cache",
            "Vary": "Accept-Encoding",
        }
        if f'"{found.tag}"' in request.headers.get("if-none-match", ""):
            await Response(status_code=304, headers=headers)(scope, receive, send)
            return
        body = found.body
        if found.packed is not None and "gzip" in request.headers.get("accept-encoding", ""):
            body, headers["Content-Encoding"] = found.packed, "gzip"
        await Response(body, media_type=found.kind, headers=headers)(scope, receive, send)
