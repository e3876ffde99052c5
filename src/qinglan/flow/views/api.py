"""Tables of a run as the API reads them: in memory by their key, filtered by equality and a span of days.

A run writes its tables in the order of their keys, so a page is a slice, and the place to go on from is found by
bisection on the key of the last row: it stays right when a later run has more rows.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from qinglan.core.errors import NotFound
from qinglan.core.names import HOURLY_ITEMS
from qinglan.flow import workspace as opened
from qinglan.flow.run import WRITTEN
from qinglan.flow.series import FOLDER, INDEX, Series, instant, open_series
from qinglan.flow.views.result import Result, Row, Workspace

#: Columns of the latest hour of a station that come from the hourly index.
_INDEX = ("edition", "aqi", "level", "primary_pollutant", "aqi_state")


def series(workspace: Workspace, result: Result) -> Series:
    """The hours of a run's stations; NotFound when there are none."""
    return open_series(workspace, result.folder)


def ready(result: Result) -> bool:
    """Whether the series of a run lie there and need not be made first."""
    return (result.folder / FOLDER / INDEX).is_file()


def table(result: Result, name: str) -> pa.Table:
    """A table of the run in the order of its key; NotFound when the run did not write it. Do not change it."""
    if not result.has(name):
        raise NotFound(f"the run {result.run_id} holds no table {name}.")
    return _table(str(result.folder / f"{name}.parquet"), result.stamp, WRITTEN[name])


@lru_cache(maxsize=12)
def _table(path: str, stamp: int, key: tuple[str, ...]) -> pa.Table:
    """A table in memory; `stamp` only keys the cache."""
    found = pq.read_table(path).combine_chunks()
    return found.sort_by([(name, "ascending") for name in key])


@lru_cache(maxsize=8)
def _spans(path: str, stamp: int, key: tuple[str, ...]) -> Mapping[str, tuple[int, int]]:
    """First and last row of each value of the first key column."""
    column = _table(path, stamp, key)[key[0]].combine_chunks()
    ends = pc.run_end_encode(column)
    spans, first = {}, 0
    for value, end in zip(ends.values.to_pylist(), ends.run_ends.to_pylist(), strict=True):
        spans[value] = (first, end)
        first = end
    return spans


def filtered(
    result: Result, name: str, equal: Mapping[str, Any], first: date | None = None, last: date | None = None
) -> pa.Table:
    """Rows of a table whose columns equal the given values (None: any), between two statistical days."""
    found = table(result, name)
    wanted = {k: v for k, v in equal.items() if v is not None}
    lead = WRITTEN[name][0]
    if lead in wanted:
        path = str(result.folder / f"{name}.parquet")
        begin, end = _spans(path, result.stamp, WRITTEN[name]).get(wanted.pop(lead), (0, 0))
        found = found.slice(begin, end - begin)
    conditions = [pc.equal(found[k], pa.scalar(v, found.schema.field(k).type)) for k, v in wanted.items()]
    if first is not None:
        conditions.append(pc.greater_equal(found["day"], pa.scalar(first, found.schema.field("day").type)))
    if last is not None:
        conditions.append(pc.less_equal(found["day"], pa.scalar(last, found.schema.field("day").type)))
    for k, condition in enumerate(conditions):
        conditions[0] = condition if k == 0 else pc.and_(conditions[0], condition)
    return found.filter(conditions[0]) if conditions else found


def after(found: pa.Table, key: Sequence[str], last: Sequence[Any] | None) -> int:
    """Number of the first row behind the one with this key (0 when there is none to begin behind)."""
    if last is None:
        return 0

    def key_of(row: int) -> tuple[Any, ...]:
        return tuple(found[name][row].as_py() for name in key)

    return bisect_right(range(found.num_rows), tuple(last), key=key_of)


def latest(workspace: Workspace, result: Result, time: datetime | None = None) -> dict[str, list[Any]]:
    """The last hour of every station, or all stations at one hour: columns, with the register's name and place.

    Where there is no usable value an item is NaN. The index is that of the run's last ten days, else None.
    """
    opened_series = series(workspace, result)
    if time is None:
        found = opened_series.latest()
        columns: dict[str, list[Any]] = {
            "station": found["station"].to_pylist(),
            "time": found["time"].to_pylist(),
        }
        columns |= {item: found[item].to_pylist() for item in HOURLY_ITEMS}
    else:
        shot = opened_series.snapshot(time)
        columns = {"station": shot.pop("station"), "time": [time.astimezone(UTC)] * len(shot["pm10"]), **shot}
    register = _register(str(result.folder / "stations.parquet"), result.stamp)
    known = [register.get(station, {}) for station in columns["station"]]
    columns |= {name: [row.get(name) for row in known] for name in ("name", "place", "lon", "lat")}
    indexed = {t: _indexed(str(result.folder / "hourly_aqi.parquet"), result.stamp, t) for t in {*columns["time"]}}
    rows = [indexed[t].get(s, {}) for s, t in zip(columns["station"], columns["time"], strict=True)]
    return columns | {name: [row.get(name) for row in rows] for name in _INDEX}


@lru_cache(maxsize=4)
def _register(path: str, stamp: int) -> Mapping[str, Row]:
    """The register by station; `stamp` only keys the cache."""
    return {row["station"]: row for row in _table(path, stamp, WRITTEN["stations"]).to_pylist()}


@lru_cache(maxsize=4)
def _by_time(path: str, stamp: int) -> tuple[pa.Table, Any]:
    """The hourly index of stations in the order of time, and its times as numpy."""
    found = pq.read_table(path, columns=["station", "time", *_INDEX])
    found = found.filter(pc.is_valid(found["station"])).sort_by("time").combine_chunks()
    times = found["time"].cast(pa.timestamp("us", "UTC"), safe=False).to_numpy().astype("datetime64[us]")
    return found, times


@lru_cache(maxsize=512)
def _indexed(path: str, stamp: int, time: datetime) -> Mapping[str, Row]:
    """The index of every station at one hour."""
    if not Path(path).exists():
        return {}
    found, times = _by_time(path, stamp)
    first, last = (int(np.searchsorted(times, instant(time), side)) for side in ("left", "right"))
    part = found.slice(first, last - first).to_pylist()
    return {row["station"]: {name: row[name] for name in _INDEX} for row in part}


def flags(workspace: Workspace, station: str, first: date, last: date) -> pa.Table:
    """Flags of a station between two statistical days, in the order of time; NotFound without a lake."""
    if not isinstance(workspace, opened.Workspace):
        raise NotFound("this is a bare folder of results without flags.", remedy="Open the whole workspace.")
    con = workspace.lake.connect()
    try:
        found = workspace.lake.table("flags", con=con, first=first, last=last, stations=[station])
        return con.to_pyarrow(found.order_by(["station", "time", "item", "rule"]))
    finally:
        con.disconnect()
