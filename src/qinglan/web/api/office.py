"""The plan, the run, the rule books, and the data behind them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from qinglan.core.errors import NotFound, UnknownName, UsageError
from qinglan.flow import views
from qinglan.flow.views import api as tables
from qinglan.web.access import needs
from qinglan.web.api.answers import Page, cursor_of, dump, following, key_of, paging, run_of, table_page
from qinglan.web.api.models import Flag, Row, listing
from qinglan.web.api.operations import responses
from qinglan.web.site import Site

router = APIRouter()
Run = Annotated[views.Result, Depends(run_of)]
Paged = Annotated[Page, Depends(paging)]

#: Span of flags that one question may ask for [d].
FLAG_DAYS = 400


def _records(
    request: Request, run: views.Result, rows: Sequence[dict[str, Any]], key: str, page: Page
) -> Response:
    """A page of records with inner structure, in the order that they are in."""
    keys = [str(row[key]) for row in rows]
    first = 0
    if page.cursor:
        [last] = key_of(page.cursor, 1)
        if last not in keys:
            raise UsageError(f"cursor {page.cursor!r} is not one of this list.", remedy="Begin anew without it.")
        first = keys.index(last) + 1
    part = list(rows[first : first + page.limit])
    more = cursor_of([keys[first + page.limit - 1]]) if first + page.limit < len(rows) else None
    if page.fields:
        asked = [key, *(name.strip() for name in page.fields.split(","))]
        known = list(dict.fromkeys(name for row in rows for name in row))
        for name in asked:
            if known and name not in known:
                raise UnknownName("field", name, known)
        part = [{k: v for k, v in row.items() if k in asked} for row in part]
    answer = dump({"run": run.run_id, "next": more, "items": part})
    if more:
        answer.headers["Link"] = f'<{following(request, more)}>; rel="next"'
    return answer


@router.get("/targets", tags=["plan"], dependencies=[needs("api.read")],
            responses=responses(listing(Row), tabular=False))  # fmt: skip
def targets(
    request: Request,
    run: Run,
    page: Paged,
    status: Annotated[
        str | None, Query(description="met, not_met, on_track, at_risk, waiting, no_data ...", max_length=40)
    ] = None,
) -> Response:
    """Targets of the plan, each with its value, its limit and how it stands."""
    rows = [dict(t) for t in views.targets_of(run) if status in (None, t["status"])]
    return _records(request, run, rows, "id", page)


@router.get("/targets/{target}", tags=["plan"], dependencies=[needs("api.read")],
            responses=responses(Row, tabular=False))  # fmt: skip
def target(run: Run, target: str) -> Response:
    """One target with its variants, series, trend and what may still happen."""
    return dump({"run": run.run_id, **views.target(run, target)})


@router.get("/articles", tags=["plan"], dependencies=[needs("plan.view")],
            responses=responses(listing(Row), tabular=False))  # fmt: skip
def articles(request: Request, run: Run, page: Paged) -> Response:
    """Articles of the plan with their tasks."""
    return _records(request, run, views.articles_of(run), "number", page)


@router.get("/articles/{number}", tags=["plan"], dependencies=[needs("plan.view")],
            responses=responses(Row, tabular=False))  # fmt: skip
def article(run: Run, number: int) -> Response:
    """One article with its tasks and the targets that it sets."""
    return dump({"run": run.run_id, **views.article(run, number)})


@router.get("/tasks", tags=["plan"], dependencies=[needs("plan.view")],
            responses=responses(listing(Row), tabular=False))  # fmt: skip
def tasks(
    request: Request,
    run: Run,
    page: Paged,
    status: Annotated[str | None, Query(description="Status of a task.", max_length=40)] = None,
    department: Annotated[str | None, Query(description="Id of a leading department.", max_length=80)] = None,
) -> Response:
    """Tasks of the plan with the evidence that they have and lack."""
    found = views.plan_page(run, department or None, status or None)["articles"]
    rows = [{"article": a["number"], **t} for a in found for t in a["tasks"]]
    return _records(request, run, rows, "id", page)


@router.get("/runs/current", tags=["provenance"], dependencies=[needs("api.read")],
            responses=responses(Row, tabular=False))  # fmt: skip
def run_current(request: Request, run: Run) -> Response:
    """What all answers stand on: run, inputs with their fingerprints, rule books, code version."""
    site: Site = request.app.state.site
    said = {k: run.verdict.get(k) for k in ("run", "plan", "as_of", "simulated", "dust", "control")}
    try:
        index = tables.series(site.workspace, run).index
        hours: dict[str, Any] | None = {k: index[k] for k in ("rows", "checked", "exact")}
    except NotFound:
        hours = None
    return dump({**said, "hours": hours})


@router.get("/rule-books", tags=["provenance"], dependencies=[needs("api.read")],
            responses=responses(listing(Row), tabular=False))  # fmt: skip
def rule_books(request: Request, run: Run, page: Paged) -> Response:
    """Rule books that judged the run, with the options chosen in them."""
    return _records(request, run, views.rule_books(run), "book", page)


@router.get("/flags", tags=["data"], dependencies=[needs("data.view")], responses=responses(listing(Flag)))
def flags(
    request: Request,
    page: Paged,
    station: Annotated[str, Query(description="Station code.", examples=["1480A"], max_length=40)],
    start: Annotated[date, Query(description="First statistical day.", examples=["2025-12-01"])],
    end: Annotated[date, Query(description="Last statistical day, included.", examples=["2025-12-31"])],
) -> Response:
    """Flags of a station in a span of at most 400 days."""
    site: Site = request.app.state.site
    run = views.current(site.workspace)  # live: flags are the lake's, not the run's
    register = tables.table(run, "stations")["station"].to_pylist()
    if station not in register:
        raise UnknownName("station", station, register)
    if not 0 <= (end - start).days <= FLAG_DAYS:
        raise UsageError(
            f"{start} to {end} is not a span of at most {FLAG_DAYS} days.", remedy="Ask for less at once."
        )
    found = tables.flags(site.workspace, station, start, end)
    return table_page(request, run, found, ("station", "time", "item", "rule"), page)


@router.get("/loads", tags=["data"], dependencies=[needs("data.view")],
            responses=responses(listing(Row), tabular=False))  # fmt: skip
def loads(request: Request, page: Paged) -> Response:
    """Loads, newest first."""
    site: Site = request.app.state.site
    run = views.current(site.workspace)
    return _records(request, run, views.loads(site.workspace), "id", page)
