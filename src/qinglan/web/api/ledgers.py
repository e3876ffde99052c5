"""Ledgers for programs: what they declare, and their live rows as they are now (not as a run saw them)."""

from __future__ import annotations

from typing import Annotated, Any

import pyarrow.compute as pc
from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from qinglan.core import clock
from qinglan.core.errors import UsageError
from qinglan.flow import ledgers as flow
from qinglan.flow.workspace import Workspace
from qinglan.web.access import needs, principal
from qinglan.web.api.answers import Page, chosen, cursor_of, dump, formed, key_of, paging
from qinglan.web.api.models import Row
from qinglan.web.api.operations import responses
from qinglan.web.site import Site

router = APIRouter()
Paged = Annotated[Page, Depends(paging)]


class LedgerRows(BaseModel):
    """Live rows of a ledger after a change."""

    ledger: str = Field(description="Id of the ledger.", examples=["boilers"])
    change: int = Field(description="The newest change of the ledger: rows with the same number are the same.")
    next: str | None = Field(None, description="Cursor of the next page; null on the last.")
    items: list[Row] = Field([], description="Rows (`format=rows`).")
    columns: dict[str, list[Any]] = Field({}, description="Columns (`format=columns`).")


def _workspace(request: Request) -> Workspace:
    site: Site = request.app.state.site
    if not isinstance(site.workspace, Workspace):
        raise UsageError("these results have no registry.", remedy="Serve a workspace made by `qinglan init`.")
    return site.workspace


@router.get("/ledgers", tags=["ledgers"], dependencies=[needs("ledger.view")],
            responses=responses(Row, tabular=False))  # fmt: skip
def ledgers(request: Request) -> Response:
    """All ledgers that you may see: rows, last change, breaches, deadlines over and near."""
    site: Site = request.app.state.site
    rows = flow.overview(_workspace(request), principal(request), clock.today(site.clock()))
    names = ("rows", "findings", "overdue", "soon", "aside")
    items = [
        {"id": r["ledger"].id, "title": dict(r["ledger"].title), "keeper": r["ledger"].keeper,
         "articles": list(r["ledger"].articles), **{n: r[n] for n in names},
         "change": r["change"]["id"] if r["change"] else None,
         "changed_at": r["change"]["at"] if r["change"] else None}
        for r in rows
    ]  # fmt: skip
    return dump({"items": items})


@router.get("/ledgers/{ledger}", tags=["ledgers"], dependencies=[needs("ledger.view")],
            responses=responses(Row, tabular=False))  # fmt: skip
def declaration(request: Request, ledger: str) -> Response:
    """What a ledger declares: columns in the manner of JSON Schema, identity, states, checks, deadlines."""
    declared = flow.load_ledger(ledger)
    flow.need(principal(request), declared, "ledger.view")
    return dump(flow.declaration(declared))


@router.get("/ledgers/{ledger}/rows", tags=["ledgers"], dependencies=[needs("ledger.view")],
            responses=responses(LedgerRows))  # fmt: skip
def rows(
    request: Request,
    ledger: str,
    page: Paged,
    place: Annotated[
        str, Query(description="Division code, with all inside it.", examples=["630100"], max_length=40)
    ] = "",
    search: Annotated[str, Query(description="Words that stand somewhere in the row.", max_length=200)] = "",
    only: Annotated[
        list[str] | None,
        Query(description="`column:value`, may be repeated; `*none` is an empty cell.", max_length=20,
              examples=[["fuel:coal"]]),
    ] = None,
) -> Response:  # fmt: skip
    """Live rows by identity. `_key` and `_version` name a row as it is; personal columns only for who edits."""
    declared = flow.load_ledger(ledger)
    base = flow.frame(_workspace(request), declared)
    found = flow.readable_rows(base, principal(request), flow.Asked(search, place, _only(only)))
    columns = chosen(page.fields, found.columns, ("_key",))
    table = found.select(columns).to_arrow()
    first = 0
    if page.cursor:
        [last] = key_of(page.cursor, 1)
        if not isinstance(last, str):
            raise UsageError(f"cursor {page.cursor!r} is not one of this list.", remedy="Begin anew without it.")
        first = pc.sum(pc.less_equal(table["_key"].cast("string"), last)).as_py() or 0
    part = table.slice(first, page.limit)
    more = None
    if first + page.limit < table.num_rows:
        more = cursor_of([part["_key"][part.num_rows - 1].as_py()])
    return formed(request, part, page.format, more, ledger=ledger, change=base.change)


def _only(given: list[str] | None) -> dict[str, str]:
    made = {}
    for text in given or []:
        column, colon, value = text.partition(":")
        if not (colon and column and value):
            raise UsageError(f"cannot read filter {text!r}.", remedy="Write column:value.")
        made[column] = value
    return made
