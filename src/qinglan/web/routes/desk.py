"""The forecaster's desk: the bulletin of a day with what stands beside it, edits, moves, life and documents."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Query, Request
from starlette.responses import RedirectResponse, Response

from qinglan.access import Principal
from qinglan.core.clock import today, wall
from qinglan.core.errors import UnknownName, UsageError
from qinglan.core.names import DAILY_ITEMS
from qinglan.flow.forecasts import desk as flow
from qinglan.flow.views import desk as shown
from qinglan.flow.views.forecast import named
from qinglan.web.access import needs
from qinglan.web.routes.ledgers import real, result_of
from qinglan.web.site import NOW, Reader, Site, site, words_of

router = APIRouter()
Viewer = Annotated[Principal, needs("forecast.view")]
Drafter = Annotated[Principal, needs("forecast.draft")]
#: Who may take part at all; which move asks for what, the flow decides.
Party = Annotated[Principal, needs("forecast.consult")]
Where = Annotated[Site, Depends(site)]
Field = Annotated[str, Form()]
Code = Annotated[str, Query(max_length=12)]
_SAID = ("low", "high", "level", "primary", "words")


def _page(where: Site, request: Request, template: str, **context: Any) -> Response:
    result = result_of(where, request)
    where.stands_on(request, NOW)
    return where.page(
        request, template, result, named=named, states=flow.states(), moves=flow.moves(), forms=flow.FORMS,
        items=DAILY_ITEMS, **context,
    )  # fmt: skip


@router.get("/desk")
def desk(
    request: Request, site: Where, me: Viewer, place: Code = "", day: date | None = None,
    cell: Annotated[str, Query(max_length=24)] = "", done: Annotated[str, Query(max_length=12)] = "",
) -> Response:  # fmt: skip
    """The bulletin of a place and day: the machine's table, what the office says, and what helps to judge it."""
    workspace = real(site)
    now = site.clock()
    found = shown.board(workspace, place or shown.own(workspace, me), day or today(now), now, me, cell)
    return _page(site, request, "desk.html", **found, done=done)


@router.post("/desk")
def begin(site: Where, me: Drafter, place: Field) -> Response:
    """Open today's bulletin of a place."""
    flow.begin(real(site), place, me=me, at=site.clock())
    return _back(place, today(site.clock()).isoformat(), "open")


def _back(place: str, day: str, done: str, anchor: str = "") -> Response:
    query = urlencode({"place": place, "day": day, "done": done})
    return RedirectResponse(f"/desk?{query}{anchor}", status_code=303)


@router.get("/desk/{bulletin}")
def bulletin(request: Request, site: Where, me: Viewer, bulletin: str) -> Response:
    """One bulletin: its versions, every move and edit, what other offices said, its documents."""
    found = shown.life(real(site), bulletin, site.clock(), me)
    return _page(site, request, "desk_bulletin.html", **found)


@router.get("/desk/{bulletin}/table.{kind}")
def sheet(request: Request, site: Where, me: Viewer, bulletin: str, kind: str) -> Response:
    """The table of a bulletin's newest version, office beside machine, as CSV or XLSX."""
    site.stands_on(request, NOW)
    words, found = words_of(request), shown.life(real(site), bulletin, site.clock(), me)
    heads = {"place": words("column.place"), "name": words("column.name"), "day": words("column.day")}
    heads |= {c: words.word("desk_column", c) for c in (*_SAID, "reason", "who")}
    heads |= {f"machine_{c}": words("desk.machine_of", column=words.word("desk_column", c)) for c in _SAID[:4]}
    rows = [
        {**row, "name": words.place(named(row["place"])), **{f"machine_{c}": row["machine"][c] for c in _SAID[:4]},
         **{c: (row["edit"] or {}).get(c, "") for c in ("reason", "who")}}
        for row in found["table"]
    ]  # fmt: skip
    return site.sheet(request, f"{bulletin}-{found['row']['version']}", heads, rows, kind)


@router.get("/desk/{bulletin}/{version}.{form}")
def document(request: Request, site: Where, me: Viewer, bulletin: str, version: int, form: str) -> Response:
    """A frozen document of an issued version, in the reader's language."""
    if form not in flow.FORMS:
        raise UnknownName("format", form, tuple(flow.FORMS))
    data, name = flow.export(real(site), bulletin, version, Reader.of(request).language, form)
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "private, no-cache"}
    return Response(data, media_type=flow.FORMS[form], headers=headers)


@router.post("/desk/{bulletin}/edits")
def edit(
    site: Where, me: Drafter, bulletin: str, place: Field, day: Field, reason: Field = "", low: Field = "",
    high: Field = "", level: Field = "", primary: Field = "", second: Field = "", words: Field = "",
    seen: Field = "",
) -> Response:  # fmt: skip
    """Edit one place's day; without numbers the machine's proposal stands again."""
    given = flow.Edit(
        _whole("low", low), _whole("high", high), _whole("level", level),
        ",".join(p for p in (primary, second) if p), words, reason, _whole("seen", seen),
    )  # fmt: skip
    workspace = real(site)
    flow.edit(workspace, bulletin, place, _day(day), given, me=me, at=site.clock())
    row = flow.one(workspace, bulletin)
    return _back(row["place"], row["day"], "edit", "#table")


def _whole(name: str, text: str) -> int | None:
    """A whole number of a form; UsageError names the field."""
    if not text.strip():
        return None
    try:
        return int(text)
    except ValueError as cause:
        raise UsageError(f"{name}: {text!r} is not a whole number.", remedy="Correct the number.") from cause


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as cause:
        raise UsageError(f"day: {text!r} is not a date.", remedy="Write YYYY-MM-DD.") from cause


@router.post("/desk/{bulletin}/moves")
def move(
    site: Where, me: Party, bulletin: str, move: Field, reason: Field = "", until: Field = "", seen: Field = ""
) -> Response:
    """Move a bulletin; who may, says the table of moves."""
    workspace = real(site)
    ends = wall(until) if until.strip() else None
    row = flow.act(workspace, bulletin, move, me=me, at=site.clock(), reason=reason, until=ends, seen=seen)
    return _back(row["place"], row["day"], move)
