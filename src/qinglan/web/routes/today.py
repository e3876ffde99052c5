"""Today: the map, the hour, and what is wrong now."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from qinglan.core.errors import UsageError
from qinglan.core.names import HOURLY_ITEMS
from qinglan.flow import views
from qinglan.flow.views import desk
from qinglan.flow.views import today as view
from qinglan.web import charts
from qinglan.web.access import needs
from qinglan.web.series_charts import KEPT
from qinglan.web.site import Site, site, words_of
from qinglan.web.text import NOTHING, Text, label_text

router = APIRouter()

_HOUR = re.compile(r"(\d{4}-\d{2}-\d{2})T(\d{2})")


def hour_key(time: datetime) -> str:
    """How an address names an hour: its statistical day and label.

    >>> from datetime import UTC
    >>> hour_key(datetime(2025, 12, 31, 16, tzinfo=UTC))
    '2025-12-31T24'
    """
    return label_text(time).replace(" ", "T")[:13]


def _picked(result: views.Result, hour: str | None) -> datetime | None:
    if hour is None:
        return view.pick_hour(result, None)
    read = _HOUR.fullmatch(hour)
    try:
        asked = (date.fromisoformat(read[1]), int(read[2])) if read else None
    except ValueError:
        asked = None
    if asked is None:
        raise UsageError(
            f"hour {hour!r} cannot be read.", remedy="Write a day and a label 01 to 24: 2025-12-31T24."
        )
    return view.pick_hour(result, asked)


@router.get("/today", dependencies=[needs("air.view")])
def today(request: Request, site: Annotated[Site, Depends(site)], hour: str | None = None) -> Response:
    """Where the air stands in an hour of the last two days, and what needs somebody now."""
    result = site.open(request, tagged=False)
    known = view.hours(result)
    shown = _picked(result, hour)
    rows = view.snapshot(result, shown) if shown else {"prefectures": [], "counties": [], "stations": []}
    steps = [(label_text(time), f"/today/map.json?hour={hour_key(time)}") for time in reversed(known)]
    worst = view.worst_by_hour(result, known)
    return site.page(
        request,
        "today.html",
        result,
        shown=shown,
        newest=known[0] if known else None,
        hours=[(hour_key(time), time, worst.get(time)) for time in reversed(known)],
        older=hour_key(shown - timedelta(hours=1)) if shown and shown - timedelta(hours=1) in known else "",
        newer=hour_key(shown + timedelta(hours=1)) if shown and shown + timedelta(hours=1) in known else "",
        key=hour_key(shown) if shown else "",
        at=len(known) - 1 - known.index(shown) if shown else 0,
        steps=orjson.dumps(steps).decode(),
        rows=rows,
        headline=view.headline(rows["prefectures"]),
        places=views.places(result),
        wrong=view.wrong_now(site.workspace, result, site.clock()),
        late_forecasts=desk.late(site.workspace, site.clock()),
        clock=site.clock(),
    )


@router.get("/today/map.json", dependencies=[needs("air.view")])
def today_map(request: Request, site: Annotated[Site, Depends(site)], hour: str | None = None) -> Response:
    """The hour's stations and prefectures as GeoJSON points."""
    result = site.open(request)
    words = words_of(request)
    shown = _picked(result, hour)
    rows = view.snapshot(result, shown) if shown else {"prefectures": [], "stations": []}
    at = view.positions(result)
    features = [_point(words, row, at.get(row["station"]), "station") for row in rows["stations"]]
    features += [_point(words, row, at.get(row["place"]), "place") for row in rows["prefectures"]]
    drawn = [feature for feature in features if feature["geometry"]]
    return charts.answer({"type": "FeatureCollection", "features": drawn}, KEPT)


def _point(words: Text, row: dict[str, Any], at: tuple[float, float] | None, kind: str) -> dict[str, Any]:
    """A GeoJSON feature of a station or a place in an hour."""
    name = row["name"] if kind == "station" else words.place(row)
    level = words(f"level.{row['level']}") if row["level"] else words("level.none")
    aqi = row["aqi"] if row["aqi"] is not None else NOTHING
    text = words("today.point", name=name, aqi=aqi, level=level, primary=words.item(row["primary_pollutant"]))
    if row["aqi_state"] != "complete":
        text += f" · {words.word('aqi_state', row['aqi_state'])}"
    href = f"/stations/{row['station']}" if kind == "station" else f"/places/{row['place']}"
    properties = {"aqi": row["aqi"], "level": row["level"], "label": text, "href": href, "kind": kind}
    where = {"type": "Point", "coordinates": [round(at[0], 5), round(at[1], 5)]} if at else None
    return {"type": "Feature", "geometry": where, "properties": properties}


@router.get("/today.{kind}", dependencies=[needs("air.view")])
def today_sheet(
    request: Request, site: Annotated[Site, Depends(site)], kind: str, hour: str | None = None
) -> Response:
    """The hour's table of places and stations as CSV or XLSX."""
    result = site.open(request)
    words = words_of(request)
    shown = _picked(result, hour)
    rows = view.snapshot(result, shown) if shown else {}
    columns = ("time", "place", "station", "name", "edition", "aqi", "level", "aqi_state", "primary_pollutant")
    heads = {c: words("today.complete") if c == "aqi_state" else words(f"column.{c}") for c in columns}
    heads |= {i: words("column.with_unit", name=words.item(i), unit=words.unit(i)) for i in HOURLY_ITEMS}
    table = [
        {
            **row,
            "name": row["name"] if row.get("station") else words.place(row),
            "time": label_text(row["time"]),
            "aqi_state": words.word("aqi_state", row["aqi_state"]),
        }
        for group in rows.values()
        for row in group
    ]
    return site.sheet(request, f"hour-{hour_key(shown) if shown else 'none'}", heads, table, kind)
