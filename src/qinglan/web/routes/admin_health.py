"""Administration: is anything wrong in the house, and every source of data with its lag, share and last load."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from qinglan.core.errors import UsageError
from qinglan.flow import feeds, health
from qinglan.flow.sources import layouts
from qinglan.flow.workspace import Workspace
from qinglan.web.access import needs
from qinglan.web.routes.account import page
from qinglan.web.site import Site, site, words_of
from qinglan.web.text import Text, hour_text

router = APIRouter()


def registered(here: Site) -> Workspace:
    """The workspace with lake and registry; UsageError over a bare folder of results."""
    if not isinstance(here.workspace, Workspace):
        raise UsageError("these results have no registry.", remedy="Serve a workspace made by `qinglan init`.")
    return here.workspace


def shown(words: Text, numbers: Mapping[str, Any]) -> dict[str, str]:
    """Numbers of a sentence as a reader sees them."""
    made = {}
    for name, value in numbers.items():
        if isinstance(value, datetime):
            made[name] = hour_text(value)
        elif name == "size":
            made[name] = words.size(value)
        else:
            made[name] = f"{value:g}" if isinstance(value, float) else str(value)
    return made


@router.get("/admin", dependencies=[needs("admin.view")])
def administration(request: Request) -> Response:
    """What is wrong in the house, the worst first; sizes, version."""
    here, words = site(request), words_of(request)
    found = health.look(registered(here), here.clock())
    said = [(finding, shown(words, finding.numbers)) for finding in found.findings]
    wrong = sum(finding.level != health.GOOD for finding in found.findings)
    return page(request, "admin_health.html", found=found, said=said, wrong=wrong, now=here.clock())


def _sources(request: Request) -> list[dict[str, Any]]:
    """Sources with their names and reasons in the reader's words."""
    here, words = site(request), words_of(request)
    workspace = registered(here)
    known = {name: each.LAYOUT for name, each in layouts().items()}
    rows = []
    for row in feeds.feeds(workspace, here.clock()):
        layout = known.get(row["layout"])
        name = words.place(workspace.named(row["place"])) if row["place"] else (
            words.of({"zh": layout.title_zh, "en": layout.title_en}) if layout else row["layout"]
        )  # fmt: skip
        reasons = [words(f"health_why.{key}", **shown(words, numbers)) for key, numbers in row["reasons"]]
        rows.append({**row, "name": name, "said": words("list.separator").join(reasons)})
    return rows


@router.get("/admin/sources", dependencies=[needs("admin.view")])
def sources(request: Request) -> Response:
    """Every source of data, the worst first."""
    return page(request, "admin_sources.html", rows=_sources(request), now=site(request).clock())


@router.get("/admin/sources.{kind}", dependencies=[needs("admin.view")])
def sources_sheet(request: Request, kind: str) -> Response:
    """The same as CSV or XLSX."""
    words = words_of(request)
    columns = ("state", "said", "name", "id", "dataset", "layout", "cadence", "units", "newest", "arrived", "lag",
               "share_day", "share_week", "load_id", "read", "rejected", "next")  # fmt: skip
    rows = []
    for row in _sources(request):
        load = row["load"] or {}
        rows.append(
            {**row, "state": words.word("health.state", row["state"]),
             "dataset": words.word("health.dataset", row["dataset"]),
             "cadence": words.word("health.cadence", row["cadence"]),
             "lag": None if row["lag"] is None else round(row["lag"], 1), "load_id": load.get("id"),
             "read": load.get("read"), "rejected": load.get("rejected")}
        )  # fmt: skip
    return site(request).sheet(request, "sources", {c: words(f"health_col.{c}") for c in columns}, rows, kind)
