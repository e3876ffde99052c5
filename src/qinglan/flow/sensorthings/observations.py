"""Observations of data streams: found, ordered and paged on the mapped series of a run.

Filters come as Polars expressions over the columns of `frame`; what a filter says of the stream and not of its
hours is judged once on the wide table. The latest of every stream needs no filter and no sort: the last row of
each station's hours.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from qinglan.core.clock import DAY_SHIFT, HOUR, day_and_hour
from qinglan.core.errors import UsageError
from qinglan.core.names import STATES
from qinglan.flow import workspace as opened
from qinglan.flow.sensorthings.model import OBSERVATIONS, Model, column

Stream = tuple[str, str]

#: Observations that one question may sort by something else than time.
SORTED_MOST = 3_000_000
PROVISIONAL, FINAL = "provisional", "final"


@dataclass(frozen=True, slots=True)
class Where:
    """A filter of observations: what it says of streams, what it says of hours, and the columns that takes.

    `named` are columns of `frame` and of the wide table that `hours` names.
    """

    streams: pl.Expr | None = None
    hours: pl.Expr | None = None
    named: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Order:
    """One key of an order. `time`: the key runs with the hours of a stream."""

    key: pl.Expr
    descending: bool
    named: frozenset[str]
    time: bool = False


@dataclass(frozen=True, slots=True)
class Hits:
    """Observations of one page as (station, item, row of the station's hours); how many there are when asked."""

    rows: list[tuple[str, str, int]]
    more: bool
    count: int | None = None


def frame(model: Model, stream: Stream, named: Collection[str]) -> pl.DataFrame:
    """The named columns of a stream's observations, one row an hour, and named columns of the wide table."""
    station, item = stream
    assert model.series is not None
    hours = model.series.hours(station)
    end = pl.Series("end", hours.time).dt.replace_time_zone("UTC")
    mine = f"{OBSERVATIONS}."
    made: dict[str, Any] = {"end": end}
    for name in named:
        if not name.startswith(mine):
            continue
        path = name[len(mine) :]
        if path == "result":
            made[name] = pl.Series(hours.values[item]).fill_nan(None)
        elif path == "phenomenonTime#start":
            made[name] = end - HOUR
        elif path in ("phenomenonTime#end", "resultTime"):
            made[name] = end
        elif path == "resultQuality/state":
            made[name] = pl.Series(list(STATES)).gather(hours.states[item])
        elif path == "resultQuality/status":
            made[name] = _status(model, station, end)
        elif path == "@iot.id":
            made[name] = f"{station}:{item}:" + end.dt.strftime("%Y%m%dT%HZ")
    found = pl.DataFrame(made)
    outer = [name for name in named if not name.startswith(mine)]
    if outer:
        row = model.wide.filter((pl.col("station") == station) & (pl.col("item") == item)).select(outer)
        found = found.with_columns([pl.lit(row[name][0], row.schema[name]).alias(name) for name in outer])
    return found


def _status(model: Model, station: str, end: pl.Series) -> pl.Series:
    """Provisional or final of every hour: final in a month that was locked when the run was made."""
    months = model.final.get(model.places.get(station, ""), frozenset())
    locked = (end + DAY_SHIFT).dt.strftime("%Y-%m").is_in(sorted(months))
    return pl.select(pl.when(locked).then(pl.lit(FINAL)).otherwise(pl.lit(PROVISIONAL))).to_series()


def _rows(model: Model, stream: Stream, where: Where) -> range | NDArray[np.int64]:
    """Rows of a stream that a filter keeps, in the order of time."""
    assert model.series is not None
    if where.hours is None:
        return range(len(model.series.hours(stream[0])))
    kept = frame(model, stream, where.named).select(where.hours.alias("kept"))["kept"]
    return np.flatnonzero(kept.cast(pl.Boolean).fill_null(False).to_numpy())


def streams_with(
    model: Model, streams: Iterable[tuple[str, str | None]], where: Where
) -> set[tuple[str, str | None]]:
    """Streams of which the filter keeps one hour or more."""
    told = Where(None, where.hours, where.named)
    return {(s, i) for s, i in streams if i is not None and len(_rows(model, (s, i), told))}


def find(
    model: Model,
    streams: Iterable[Stream],
    where: Where = Where(),
    orders: Sequence[Order] = (),
    *,
    skip: int = 0,
    top: int = 100,
    count: bool = False,
) -> Hits:
    """One page of the observations of some streams, in the order of streams and time unless `orders` say else.

    count : also how many there are in all. Raises UsageError when too many would have to be sorted.
    """
    chosen = list(streams)
    if where.streams is not None:
        kept = model.wide.filter(where.streams).select("station", "item").rows()
        allowed = set(kept)
        chosen = [stream for stream in chosen if stream in allowed]
    if model.series is None or not chosen:
        return Hits([], False, 0 if count else None)
    if orders and not (len(chosen) == 1 and orders[0].time and not orders[0].descending):
        return _sorted(model, chosen, where, orders, (skip, top, count))
    last, total = skip + top, 0
    taken: list[tuple[str, str, int]] = []
    for station, item in chosen:
        rows = _rows(model, (station, item), where)
        part = rows[max(skip - total, 0) : max(last - total, 0)]
        taken += [(station, item, int(row)) for row in part]
        total += len(rows)
        if total > last and not count:
            break
    return Hits(taken, total > last, total if count else None)


def _sorted(
    model: Model, streams: list[Stream], where: Where, orders: Sequence[Order], page: tuple[int, int, bool]
) -> Hits:
    """A page in another order. When time leads, a stream gives no more than the page can hold."""
    skip, top, count = page
    last, total, size = skip + top, 0, 0
    by_time = orders[0].time and (len(orders) == 1 or len(streams) == 1)
    parts: list[tuple[int, Any]] = []
    for number, stream in enumerate(streams):
        rows = _rows(model, stream, where)
        total += len(rows)
        if by_time:
            rows = rows[::-1][:last] if orders[0].descending else rows[:last]
        size += len(rows)
        if size > SORTED_MOST:
            raise UsageError(
                f"more than {SORTED_MOST} observations would have to be sorted.",
                remedy="Ask for less: one Datastream, or a shorter time in $filter.",
            )
        parts.append((number, rows))
    if by_time and len(streams) == 1:
        station, item = streams[0]
        taken = [(station, item, int(row)) for row in parts[0][1][skip:last]]
        return Hits(taken, total > last, total if count else None)
    keys = [f"key{k}" for k in range(len(orders))]
    found = pl.concat([_keyed(model, streams[number], number, rows, orders) for number, rows in parts if len(rows)]
                      or [pl.DataFrame({"stream": [], "row": []} | {k: [] for k in keys})])  # fmt: skip
    down = [order.descending for order in orders]
    part = found.sort(keys, descending=down, nulls_last=down, maintain_order=True).slice(skip, top)
    taken = [(*streams[number], row) for number, row in part.select("stream", "row").rows()]
    return Hits(taken, total > last, total if count else None)


def _keyed(model: Model, stream: Stream, number: int, rows: Any, orders: Sequence[Order]) -> pl.DataFrame:
    """Keys of some rows of a stream."""
    at = np.asarray(rows)
    if orders[0].time and len(orders) == 1:
        assert model.series is not None
        keys = {"key0": pl.Series(model.series.hours(stream[0]).time[at])}
    else:
        named = frozenset[str]().union(*(order.named for order in orders))
        whole = frame(model, stream, named)
        made = whole.select([o.key.alias(f"key{k}") for k, o in enumerate(orders)]).to_dict()
        keys = {name: (value.new_from_index(0, len(whole)) if len(value) == 1 else value).gather(at)
                for name, value in made.items()}  # fmt: skip
    return pl.DataFrame({"stream": np.full(len(at), number), "row": at, **keys})


Hour = tuple[str, str, datetime]


def state_flags(workspace: Any, wanted: Sequence[Hour]) -> Mapping[Hour, Sequence[str]]:
    """Rules that flagged some hours (station, item, end of the hour), read from the lake at once.

    What was read is kept as long as the lake's flags stay as they are: to open the lake costs more than all else
    of the question for the latest of every station.
    """
    if not wanted or not isinstance(workspace, opened.Workspace):
        return {}
    return _rules(_Lake(workspace), workspace.lake.fingerprint("flags"), tuple(wanted))


class _Lake:
    """A workspace's lake as the argument of a cache, known by its home."""

    def __init__(self, workspace: opened.Workspace) -> None:
        self.workspace = workspace

    def __hash__(self) -> int:
        return hash(self.workspace.home)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Lake) and other.workspace.home == self.workspace.home


@lru_cache(maxsize=32)
def _rules(held: _Lake, fingerprint: str, wanted: tuple[Hour, ...]) -> Mapping[Hour, Sequence[str]]:
    """Rules by hour; `fingerprint` only keys the cache."""
    days = [day_and_hour(time)[0] for _, _, time in wanted]
    stations = sorted({station for station, _, _ in wanted})
    lake = held.workspace.lake
    con = lake.connect()
    try:
        flags = lake.table("flags", con=con, first=min(days), last=max(days), stations=stations)
        rows = con.to_pyarrow(flags.select("station", "item", "time", "rule")).to_pylist()
    finally:
        con.disconnect()
    asked = set(wanted)
    found: dict[Hour, set[str]] = {}
    for row in rows:
        key = (row["station"], row["item"], row["time"])
        if key in asked:
            found.setdefault(key, set()).add(row["rule"])
    return {key: sorted(rules) for key, rules in found.items()}


__all__ = ["Hits", "Order", "Where", "column", "find", "frame", "state_flags", "streams_with"]
