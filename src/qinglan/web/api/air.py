"""Places, stations, hours, days and what was judged of them."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

import numpy as np
import orjson
import pyarrow as pa
from fastapi import APIRouter, Depends, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from qinglan.core.errors import UnknownName, UsageError
from qinglan.core.names import HOURLY_ITEMS, QUANTITIES, STATES
from qinglan.flow import views
from qinglan.flow.run import WRITTEN
from qinglan.flow.series import Hours, Series
from qinglan.flow.views import api as tables
from qinglan.web.access import needs
from qinglan.web.api.answers import (
    DUMP,
    JSON,
    Cursor,
    FormatOf,
    Limit,
    Page,
    cursor_of,
    dump,
    following,
    form_of,
    formed,
    key_of,
    paging,
    rows_page,
    run_of,
    table_page,
)
from qinglan.web.api.models import (
    Evaluation,
    Hour,
    Latest,
    Place,
    PlaceAqi,
    PlaceDay,
    Ranking,
    Station,
    StationDay,
    listing,
)
from qinglan.web.api.operations import responses

router = APIRouter(tags=["air"])
MAY = [needs("api.read")]

Run = Annotated[views.Result, Depends(run_of)]
Paged = Annotated[Page, Depends(paging)]
Code = Annotated[str | None, Query(description="Division code.", examples=["630100"], max_length=12)]
First = Annotated[date | None, Query(description="First statistical day.", examples=["2025-01-01"])]
Last = Annotated[date | None, Query(description="Last statistical day, included.", examples=["2025-12-31"])]
Dust = Annotated[Literal["in", "out"] | None, Query(description="Days of confirmed dust left in or out.")]


@router.get("/places", dependencies=MAY, responses=responses(listing(Place)))
async def places(
    request: Request,
    run: Run,
    page: Paged,
    level: Annotated[
        Literal["province", "prefecture", "county"] | None, Query(description="Administrative level.")
    ] = None,
) -> Response:
    """Places that the run judged."""
    rows = [row for row in views.places(run).values() if level in (None, row["level"])]
    return rows_page(request, run, rows, "place", page)


@router.get("/stations", dependencies=MAY, responses=responses(listing(Station)))
async def stations(request: Request, run: Run, page: Paged, place: Code = None) -> Response:
    """The station register as the run used it."""
    return table_page(request, run, tables.filtered(run, "stations", {"place": place}), ("station",), page)


@router.get("/stations/latest", dependencies=MAY, responses=responses(listing(Latest)))
async def latest(
    request: Request,
    run: Run,
    page: Paged,
    place: Code = None,
    time: Annotated[
        datetime | None,
        Query(description="End of an hour, with its zone; by default the last hour of each station.",
              examples=["2025-12-31T16:00:00Z"]),
    ] = None,
) -> Response:  # fmt: skip
    """All stations at once: the last hour of each with its index, or one hour of all."""
    workspace = request.app.state.site.workspace
    await run_in_threadpool(tables.series, workspace, run)  # may have to be made first
    columns = tables.latest(workspace, run, _instant("time", time))
    if place is not None:
        kept = [k for k, code in enumerate(columns["place"]) if code == place]
        columns = {name: [values[k] for k in kept] for name, values in columns.items()}
    few = len(columns["station"]) <= page.limit and not (page.cursor or page.fields)
    if few and form_of(request, page.format) == "columns":
        return latest_columns(run, columns)
    items = {item: pa.array(columns[item], pa.float64(), from_pandas=True) for item in HOURLY_ITEMS}
    return table_page(request, run, pa.table(columns | items), ("station",), page)


def latest_columns(run: views.Result, columns: dict[str, list[Any]]) -> Response:
    """All stations at once as columns; NaN becomes null on the way."""
    body = {"run": run.run_id, "next": None, "columns": columns}
    return Response(orjson.dumps(body, option=DUMP), media_type=JSON)


@router.get("/stations/{station}", dependencies=MAY, responses=responses(Station, tabular=False))
async def station(request: Request, run: Run, station: str) -> Response:
    """One station of the register."""
    register = tables.table(run, "stations")
    found = tables.filtered(run, "stations", {"station": station}).to_pylist()
    if not found:
        raise UnknownName("station", station, register["station"].to_pylist())
    return dump({"run": run.run_id, **found[0]})


def items_of(asked: str | None) -> list[str]:
    names = [name.strip() for name in asked.split(",") if name.strip()] if asked else list(HOURLY_ITEMS)
    for name in names:
        if name not in HOURLY_ITEMS:
            raise UnknownName("item", name, HOURLY_ITEMS)
    return [name for name in HOURLY_ITEMS if name in names]


def _instant(name: str, value: datetime | None) -> datetime | None:
    if value is not None and value.tzinfo is None:
        raise UsageError(f"{name} {value.isoformat()} has no time zone.", remedy="Write Z or +08:00 after it.")
    return value


@router.get("/stations/{station}/hours", dependencies=MAY, responses=responses(listing(Hour)))
async def hours(
    request: Request,
    run: Run,
    station: str,
    start: Annotated[
        datetime | None,
        Query(description="First hour end, with its zone. By default the last 24 hours.",
              examples=["2025-01-01T00:00:00+08:00"]),
    ] = None,
    end: Annotated[datetime | None, Query(description="Last hour end, included.")] = None,
    items: Annotated[
        str | None, Query(description="Items, separated by commas.", examples=["pm2_5,o3"], max_length=100)
    ] = None,
    states: Annotated[
        bool, Query(description="Also `<item>_state`: valid, invalid, missing, below_detection.")
    ] = False,
    limit: Limit = 1000,
    cursor: Cursor = None,
    format: FormatOf = None,  # noqa: A002
) -> Response:  # fmt: skip
    """Hours of a station after quality control and human decisions; read from memory, whatever the span."""
    wanted = items_of(items)
    series = await run_in_threadpool(tables.series, request.app.state.site.workspace, run)
    start, end = _instant("start", start), _instant("end", end)
    if form_of(request, format) == "columns" and not (states or cursor):
        return hours_columns(request, run, series, station, (start, end), wanted, limit)
    found = series.between(station, start, end) if start or end else series.last(station, 24)
    if cursor is not None:
        found = found.part(int(np.searchsorted(found.time, _time_of(cursor), "right")), len(found))
    part = found.part(0, limit)
    more = cursor_of([part.time[-1]]) if len(found) > limit else None
    form = form_of(request, format)
    units = {item: QUANTITIES[item].unit for item in wanted}
    if form == "columns":
        return _columns(request, run, part, wanted, states, more, units)
    table = part.table(wanted, states=states)
    if form == "rows":
        table = table.drop_columns(["station"])
    return formed(request, table, form, more, run=run.run_id, station=station, units=units)


def hours_columns(
    request: Request,
    run: views.Result,
    series: Series,
    station: str,
    span: tuple[datetime | None, datetime | None],
    items: list[str],
    limit: int,
) -> Response:
    """The first page of a station's hours as columns, without states."""
    found = series.between(station, *span) if any(span) else series.last(station, 24)
    more = cursor_of([found.time[limit - 1]]) if len(found) > limit else None
    units = {item: QUANTITIES[item].unit for item in items}
    return _columns(request, run, found.part(0, limit), items, False, more, units)


def _time_of(cursor: str) -> np.datetime64:
    [told] = key_of(cursor, 1)
    try:
        return np.datetime64(str(told).removesuffix("Z"), "us")
    except ValueError:
        raise UsageError(f"cursor {cursor!r} is not one of this list.") from None


def _columns(
    request: Request,
    run: views.Result,
    part: Hours,
    items: list[str],
    states: bool,
    more: str | None,
    units: dict[str, str],
) -> Response:
    """Columns straight from the mapped memory: NaN becomes null on the way."""
    columns: dict[str, Any] = {"time": part.time} | {item: part.values[item] for item in items}
    if states:
        names = np.array(STATES, object)
        columns |= {f"{item}_state": names[part.states[item]].tolist() for item in items}
    body = {"run": run.run_id, "station": part.station, "units": units, "next": more, "columns": columns}
    headers = {"Link": f'<{following(request, more)}>; rel="next"'} if more else {}
    return Response(orjson.dumps(body, option=DUMP), headers=headers, media_type=JSON)


@router.get("/stations/{station}/days", dependencies=MAY, responses=responses(listing(StationDay)))
def station_days(
    request: Request, run: Run, page: Paged, station: str, start: First = None, end: Last = None
) -> Response:
    """Daily values of a station with the number of valid hours behind each."""
    register = tables.table(run, "stations")["station"].to_pylist()
    if station not in register:
        raise UnknownName("station", station, register)
    found = tables.filtered(run, "station_days", {"station": station}, start, end)
    return table_page(request, run, found, WRITTEN["station_days"], page)


@router.get("/places/{place}/days", dependencies=MAY, responses=responses(listing(PlaceDay)))
def place_days(
    request: Request, run: Run, page: Paged, place: str, start: First = None, end: Last = None
) -> Response:
    """Daily values of a place: the mean of its stations, or what it reported."""
    views.place(run, place)
    found = tables.filtered(run, "place_days", {"place": place}, start, end)
    return table_page(request, run, found, WRITTEN["place_days"], page)


@router.get("/places/{place}/aqi", dependencies=MAY, responses=responses(listing(PlaceAqi)))
def place_aqi(
    request: Request,
    run: Run,
    page: Paged,
    place: str,
    start: First = None,
    end: Last = None,
    edition: Annotated[str | None, Query(description="Edition of HJ 633.", examples=["HJ 633-2012"])] = None,
    in_force: Annotated[
        bool | None, Query(description="Only the edition in force on the day (or only others).")
    ] = None,
) -> Response:
    """Daily index of a place under each edition of HJ 633."""
    views.place(run, place)
    equal = {"place": place, "edition": edition, "in_force": in_force}
    found = tables.filtered(run, "place_aqi", equal, start, end)
    return table_page(request, run, found, WRITTEN["place_aqi"], page)


def _period(run: views.Result, label: str | None) -> str | None:
    return None if label is None else views.pick_period(run, label).label


Label = Annotated[str | None, Query(description="Label of a period: a year, a quarter, a month, or a span.",
                                    examples=["2025", "2025Q1", "2025-03"], max_length=40)]  # fmt: skip


@router.get("/evaluation", dependencies=MAY, responses=responses(listing(Evaluation)))
def evaluation(
    request: Request,
    run: Run,
    page: Paged,
    period: Label = None,
    place: Code = None,
    item: Annotated[
        str | None, Query(description="Daily item.", examples=["pm2_5", "mda8"], max_length=20)
    ] = None,
    dust: Dust = None,
) -> Response:
    """Statistics of places and periods against the limits of GB 3095 (HJ 663)."""
    equal = {"period": _period(run, period), "place": place, "item": item, "dust": dust}
    return table_page(request, run, tables.filtered(run, "evaluation", equal), WRITTEN["evaluation"], page)


@router.get("/ranking", dependencies=MAY, responses=responses(listing(Ranking)))
def ranking(
    request: Request,
    run: Run,
    page: Paged,
    period: Label = None,
    dust: Dust = None,
    field: Annotated[Literal["prefectures", "counties"] | None, Query(description="Who is ranked.")] = None,
) -> Response:
    """Places ranked by the composite index."""
    equal = {"period": _period(run, period), "dust": dust, "field": field}
    found: pa.Table = tables.filtered(run, "ranking", equal)
    return table_page(request, run, found, WRITTEN["ranking"], page)
