"""A short way for what maps and charts ask most: columns of a station's hours, and all stations at one hour.

It answers only addresses written in the plainest way (instants as 2025-01-01T00:00:00Z, each parameter once) and
leaves everything else, and every error, to the routes, whose answers are the same byte for byte (a test compares).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from qinglan.access import Principal
from qinglan.core.errors import QinglanError
from qinglan.flow import views
from qinglan.flow.views import api as tables
from qinglan.web.api import air
from qinglan.web.api.answers import MOST
from qinglan.web.site import Site

_HOURS = frozenset({"start", "end", "items", "limit", "format"})
_LATEST = frozenset({"time", "format"})
_PAGE = 1000
_PLAIN = len("2025-01-01T00:00:00Z")


def quick(scope: Scope, prefix: str, me: Principal, site: Site) -> Response | None:
    """The answer, or None for what the routes must see."""
    path = scope["path"][len(prefix) :]
    if scope["method"] != "GET" or not path.startswith("/stations/") or not me.may("api.read"):
        return None
    asked = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    given = dict(asked)
    if len(given) != len(asked) or given.get("format") != "columns":
        return None
    try:
        run = views.current(site.workspace)
        if not tables.ready(run):
            return None
        if path == "/stations/latest" and given.keys() <= _LATEST:
            columns = tables.latest(site.workspace, run, _instant(given.get("time")))
            return air.latest_columns(run, columns) if len(columns["station"]) <= _PAGE else None
        station, _, rest = path[len("/stations/") :].partition("/")
        if rest != "hours" or not given.keys() <= _HOURS:
            return None
        span = (_instant(given.get("start")), _instant(given.get("end")))
        items, limit = air.items_of(given.get("items")), _number(given.get("limit", str(_PAGE)))
        series = tables.series(site.workspace, run)
        return air.hours_columns(Request(scope), run, series, station, span, items, limit)
    except (QinglanError, ValueError):
        return None


def _instant(text: Any) -> datetime | None:
    """An instant in the plainest form; ValueError for any other."""
    if text is None:
        return None
    if len(text) != _PLAIN or text[4] != "-" or text[10] != "T" or text[-1] != "Z":
        raise ValueError(text)
    return datetime.fromisoformat(text)


def _number(text: str) -> int:
    """A number of rows; ValueError outside of what the route takes."""
    number = int(text) if text.isascii() and text.isdigit() else 0
    if not 1 <= number <= MOST:
        raise ValueError(text)
    return number
