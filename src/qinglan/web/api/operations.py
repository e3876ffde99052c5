"""The responses that an operation documents, and its common dependencies."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from qinglan.web.api.answers import MEDIA
from qinglan.web.api.problems import MEDIA as PROBLEM

_SAID = {
    401: "Sign in, or send a key.",
    403: "Not permitted to you.",
    404: "No such place, station, target ... or nothing of it in this run.",
    405: "Only GET (and HEAD) is offered.",
    406: "None of the forms that you accept is offered.",
    422: "A parameter is wrong; `errors` or `detail` says which.",
    429: "Too many requests; `Retry-After` says how long to wait [s].",
    500: "A fault of the server.",
    503: "There is no run yet.",
}
_RATE = {
    "RateLimit-Limit": "Requests allowed in a window.",
    "RateLimit-Remaining": "Requests left in this window.",
    "RateLimit-Reset": "Seconds until the window begins anew.",
}


def _header(text: str) -> dict[str, Any]:
    return {"description": text, "schema": {"type": "string"}}


RATE_HEADERS = {name: _header(text) for name, text in _RATE.items()}
TAG_HEADERS = {"ETag": _header("Send it back as If-None-Match.")}


def responses(
    model: type[BaseModel] | None, *, tabular: bool = True, text: str = "Found."
) -> dict[int | str, Any]:
    """What an operation may answer, status by status."""
    content: dict[str, Any] = {}
    if tabular:
        binary = {"type": "string", "contentMediaType": MEDIA["parquet"]}
        content = {"text/csv": {"schema": {"type": "string"}}, MEDIA["parquet"]: {"schema": binary}}
    ok: dict[str, Any] = {"description": text, "headers": {**TAG_HEADERS, **RATE_HEADERS}}
    if content:
        ok["content"] = content
        ok["headers"]["Link"] = _header("Address of the next page (rel=next).")
    if model is not None:
        ok["model"] = model
    found: dict[int | str, Any] = {200: ok, 304: {"description": "You have it already (If-None-Match).",
                                                  "headers": TAG_HEADERS}}  # fmt: skip
    for status, said in _SAID.items():
        if status == 406 and not tabular:
            continue
        schema = {"$ref": "#/components/schemas/Problem"}
        found[status] = {"description": said, "content": {PROBLEM: {"schema": schema}}}
    return found
