"""What stands beside a station's hours in a run: its flags with the values that were sent, and the wind.

``<results>/<run>/beside/`` holds ``flags.arrow``, ``wind.arrow`` (Arrow IPC, one record batch for each station
that has any) and ``index.json`` (which batch is whose). Made with the run's series, or on first use for a run that
lacks it, so that a page asks a mapped file and not the lake. Readers of several processes share it.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pyarrow.ipc
from numpy.typing import NDArray

from qinglan.core.names import HOURLY_ITEMS
from qinglan.flow import workspace as opened
from qinglan.flow.series import alone, by_station, instant

FORMAT = 1
FOLDER, INDEX = "beside", "index.json"
PARTS = ("flags", "wind")
_MICRO = np.dtype("datetime64[us]")
_CHUNK = 131_072

Row = dict[str, Any]


class Beside:
    """A run's flags and wind, open for reading. `open_beside` finds and caches them."""

    def __init__(self, folder: Path) -> None:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        self._batch: dict[str, dict[str, int]] = index["batches"]
        self._files = {
            name: pa.ipc.open_file(pa.memory_map(str(folder / f"{name}.arrow")))
            for name in PARTS
            if self._batch[name]
        }

    @property
    def windy(self) -> tuple[str, ...]:
        """Stations that ever reported wind, by code."""
        return tuple(sorted(self._batch["wind"]))

    def flags(self, station: str, start: datetime, end: datetime) -> list[Row]:
        """Flags on hours that end after `start` and not after `end`, newest first: `station, time, item, rule,
        state, detail, reported`.
        """
        if station not in self._batch["flags"]:
            return []
        batch = self._files["flags"].get_batch(self._batch["flags"][station])
        time = _times(batch)[::-1]  # ascending, to be searched
        first, last = (int(np.searchsorted(time, instant(t), "right")) for t in (start, end))
        rows: list[Row] = batch.slice(len(time) - last, last - first).to_pylist()
        return rows

    def wind(self, station: str) -> tuple[NDArray[np.datetime64], NDArray[np.float64], NDArray[np.float64]]:
        """Hours with weather in order, direction [°] and speed [m/s] there (NaN where unknown), shapes (n,)."""
        batch = self._files["wind"].get_batch(self._batch["wind"][station])
        direction, speed = (batch[n].to_numpy(zero_copy_only=False) for n in ("wind_direction", "wind_speed"))
        return _times(batch), direction, speed


def _times(batch: pa.RecordBatch) -> NDArray[np.datetime64]:
    """The column of times, a view of the mapped file."""
    return np.frombuffer(batch["time"].buffers()[1], np.int64, len(batch), batch["time"].offset * 8).view(_MICRO)


def open_beside(workspace: Any, folder: Path) -> Beside | None:
    """What stands beside the hours of the run in `folder`; None for a bare folder of results that has none."""
    index = folder / FOLDER / INDEX
    if not index.is_file():
        if not isinstance(workspace, opened.Workspace):
            return None
        build(workspace, folder)
    return _opened(str(folder / FOLDER), index.stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _opened(folder: str, stamp: int) -> Beside:
    """Open files; `stamp` only keys the cache."""
    return Beside(Path(folder))


def build(workspace: opened.Workspace, folder: Path) -> Path:
    """Write what stands beside a run's hours, unless it is there. Whole or not at all; one writer at a time."""
    place = folder / FOLDER
    with alone(workspace.results / f".{folder.name}.{FOLDER}.lock"):
        if (place / INDEX).is_file():
            return place
        said = json.loads((folder / "verdict.json").read_text(encoding="utf-8"))
        draft = folder / f"{FOLDER}.draft"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir()
        con = workspace.lake.connect()
        try:
            until = date.fromisoformat(said["as_of"])
            tables = {"flags": _flags(workspace, con, until), "wind": _wind(workspace, con, until)}
            batches = {name: _write(draft / f"{name}.arrow", con, table) for name, table in tables.items()}
        finally:
            con.disconnect()
        index = {"format": FORMAT, "run": folder.name, "batches": batches}
        (draft / INDEX).write_text(json.dumps(index), encoding="utf-8")
        for file in draft.iterdir():
            with file.open("rb") as written:
                os.fsync(written.fileno())
        shutil.rmtree(place, ignore_errors=True)
        draft.rename(place)
    return place


def _flags(workspace: opened.Workspace, con: Any, until: date) -> ir.Table:
    """Flags with the value as it was sent, which control keeps whatever it thinks of it; newest first."""
    found = workspace.lake.table("flags", con=con, last=until)
    sent = workspace.lake.table("hours", con=con, last=until)
    sent = sent.select("station", "time", *(sent[item].name(f"sent_{item}") for item in HOURLY_ITEMS))
    joined = found.left_join(sent, ["station", "time"])
    value = ibis.cases(*((joined.item == item, joined[f"sent_{item}"]) for item in HOURLY_ITEMS))
    kept = joined.select("station", "time", "item", "rule", "state", "detail", reported=value)
    return kept.order_by("station", ibis.desc("time"), "item", "rule")


def _wind(workspace: opened.Workspace, con: Any, until: date) -> ir.Table:
    """Wind of the stations that ever reported any, in the order of time."""
    table = workspace.lake.table("weather", con=con, last=until)
    windy = table.filter(table.wind_speed.notnull()).select("station").distinct()
    kept = table.semi_join(windy, "station")
    numbers = {name: kept[name].cast("float64") for name in ("wind_direction", "wind_speed")}
    return kept.select("station", "time", **numbers).order_by("station", "time")


def _write(path: Path, con: Any, table: ir.Table) -> dict[str, int]:
    """Write a table that is ordered by station; which batch is whose."""
    numbers: dict[str, int] = {}
    schema = table.schema().to_pyarrow()
    if path.stem == "wind":  # a million rows need not say whose they are
        schema = schema.remove(schema.get_field_index("station"))
    with pa.ipc.new_file(str(path), schema) as sink:
        for station, pieces in _grouped(con.con.sql(con.compile(table)).to_arrow_reader(_CHUNK)):
            whole = pa.concat_tables(pieces).select(schema.names).cast(schema).combine_chunks()
            sink.write_batch(whole.to_batches()[0])
            numbers[station] = len(numbers)
    return numbers


def _grouped(reader: Any) -> Iterator[tuple[str, Sequence[pa.Table]]]:
    """A station and its pieces, one station after the other."""
    parts: list[pa.Table] = []
    station: str | None = None
    for batch in reader:
        for name, piece in by_station(pa.Table.from_batches([batch])):
            if name != station:
                if station is not None:
                    yield station, parts
                station, parts = name, []
            parts.append(piece)
    if station is not None:
        yield station, parts
