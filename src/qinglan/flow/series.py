"""The checked hours of a run, memory-mapped: a station's day or year without touching the rest.

``<results>/<run>/series/`` holds ``hours.arrow`` (Arrow IPC, uncompressed, one record batch for each station, in
the order of time), ``latest.arrow`` (the last hour of every station) and ``index.json`` (which batch is whose).
Readers map the file, so several processes share one copy in memory and a slice costs two binary searches. Under a
null the buffer holds NaN: a column can be handed on as it lies there.

The folder is made when the run is made, or on first use for a run that lacks it: beside its place, then renamed.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.ipc
from numpy.typing import NDArray

from qinglan.core.errors import NotFound, UnknownName, UsageError
from qinglan.core.names import HOURLY_ITEMS, STATES
from qinglan.flow import workspace as opened

FORMAT = 1
FOLDER, HOURS, LATEST, INDEX = "series", "hours.arrow", "latest.arrow", "index.json"

#: Columns of ``hours.arrow``; a state is its place in `core.names.STATES`.
SCHEMA = pa.schema(
    [
        pa.field("time", pa.timestamp("us", "UTC"), nullable=False),
        *[pa.field(item, pa.float64()) for item in HOURLY_ITEMS],
        *[pa.field(f"{item}_state", pa.int8(), nullable=False) for item in HOURLY_ITEMS],
    ]
)
LATEST_SCHEMA = pa.schema([pa.field("station", pa.string(), nullable=False), *SCHEMA])
_MISSING = STATES.index("missing")
_CHUNK = 131_072
_HOUR = 3_600_000_000
#: Largest table of rows by hour that a process keeps [bytes].
_PLACES_MOST = 64 * 2**20
_MICRO = np.dtype("datetime64[us]")


@dataclass(frozen=True, slots=True)
class Hours:
    """Hours of one station, views of the mapped file: do not write to them.

    time : datetime64[us], UTC ends of hours, ascending, shape (n,).
    values : item to float64, NaN where there is no usable value, shape (n,) [µg/m³; CO mg/m³].
    states : item to int8 into `core.names.STATES`, shape (n,).
    """

    station: str
    time: NDArray[np.datetime64]
    values: Mapping[str, NDArray[np.float64]]
    states: Mapping[str, NDArray[np.int8]]

    def __len__(self) -> int:
        return len(self.time)

    def part(self, first: int, last: int) -> Hours:
        """Rows `first` up to, not including, `last`."""
        cut = slice(first, last)
        return Hours(
            self.station,
            self.time[cut],
            {k: v[cut] for k, v in self.values.items()},
            {k: v[cut] for k, v in self.states.items()},
        )

    def table(self, items: Sequence[str] = HOURLY_ITEMS, *, states: bool = False) -> pa.Table:
        """As an Arrow table: `station`, `time`, the items (null where unusable), states spelled out when asked."""
        columns: dict[str, Any] = {
            "station": pa.repeat(pa.scalar(self.station), len(self)),
            "time": pa.array(self.time, pa.timestamp("us", "UTC")),
        }
        for item in items:
            columns[item] = pa.array(self.values[item], pa.float64(), from_pandas=True)
        if states:
            names = pa.array(STATES)
            for item in items:
                columns[f"{item}_state"] = names.take(pa.array(self.states[item]))
        return pa.table(columns)


class Series:
    """A run's hours, open for reading. `open_series` finds and caches them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.index: Mapping[str, Any] = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        if self.index.get("format") != FORMAT:
            raise NotFound(f"{folder} has format {self.index.get('format')!r}, not {FORMAT}.")
        self._rows = {row["station"]: row for row in self.index["stations"]}
        self._file = pa.ipc.open_file(pa.memory_map(str(folder / HOURS)))
        self._open: dict[str, Hours] = {}
        self._at_hand: list[tuple[str, NDArray[np.int64], list[NDArray[np.float64]]]] | None = None
        self._places: tuple[int, NDArray[np.int32]] | None = None

    @property
    def stations(self) -> tuple[str, ...]:
        """Codes of the stations that have hours, in their order."""
        return tuple(self._rows)

    @property
    def newest(self) -> datetime | None:
        """End of the newest hour of any station (UTC)."""
        known = [row["last"] for row in self._rows.values()]
        return datetime.fromisoformat(max(known)) if known else None

    def hours(self, station: str) -> Hours:
        """All hours of a station; UnknownName lists the known ones."""
        found = self._open.get(station)
        if found is None:
            if station not in self._rows:
                raise UnknownName("station", station, self.stations)
            found = self._open[station] = _views(station, self._file.get_batch(self._rows[station]["batch"]))
        return found

    def between(self, station: str, start: datetime | None, end: datetime | None) -> Hours:
        """Hours that end within ``[start, end]`` (aware instants; None: open)."""
        every = self.hours(station)
        first = 0 if start is None else int(np.searchsorted(every.time, instant(start), "left"))
        last = len(every) if end is None else int(np.searchsorted(every.time, instant(end), "right"))
        return every.part(first, max(first, last))

    def last(self, station: str, count: int) -> Hours:
        """The newest rows of a station."""
        every = self.hours(station)
        return every.part(max(0, len(every) - count), len(every))

    def latest(self) -> pa.Table:
        """The last hour of every station: `station, time`, six items, six states (int8)."""
        with pa.memory_map(str(self.folder / LATEST)) as source:
            return pa.ipc.open_file(source).read_all()

    def snapshot(self, time: datetime) -> dict[str, list[Any]]:
        """All stations at one hour, as columns `station` and the items (NaN: not usable).

        Stations that say nothing of that hour are left out.
        """
        wanted = int(instant(time).astype(np.int64))
        columns: dict[str, list[Any]] = {name: [] for name in ("station", *HOURLY_ITEMS)}
        append_to = [columns[item].append for item in HOURLY_ITEMS]
        for (station, _, arrays), at in zip(self._clocks(), self._at(wanted), strict=True):
            if at >= 0:
                columns["station"].append(station)
                for append, array in zip(append_to, arrays, strict=True):
                    append(array[at])
        return columns

    def _at(self, wanted: int) -> list[int]:
        """Row of each station at an instant [µs]; -1 where it has none."""
        if self._places is None:
            self._places = _places([times for _, times, _ in self._clocks()])
        first, rows = self._places
        if len(rows):
            hour, rest = divmod(wanted - first, _HOUR)
            known = rest == 0 and 0 <= hour < len(rows)
            return list(rows[hour].tolist()) if known else [-1] * len(self._rows)
        found = []
        for _, times, _ in self._clocks():
            at = int(times.searchsorted(wanted))
            found.append(at if at < len(times) and times[at] == wanted else -1)
        return found

    def _clocks(self) -> list[tuple[str, NDArray[np.int64], list[NDArray[np.float64]]]]:
        """Station, times [µs] and items of every station, found once."""
        if self._at_hand is None:
            every = (self.hours(station) for station in self._rows)
            self._at_hand = [(e.station, e.time.view(np.int64), list(e.values.values())) for e in every]
        return self._at_hand


def _places(clocks: Sequence[NDArray[np.int64]]) -> tuple[int, NDArray[np.int32]]:
    """First hour [µs] and, hour by hour, the row of each station (-1: none), shape (hours, stations).

    Empty when it would be larger than `_PLACES_MOST`: then rows are searched for.
    """
    first = min((int(times[0]) for times in clocks), default=0)
    last = max((int(times[-1]) for times in clocks), default=0)
    hours = (last - first) // _HOUR + 1
    if not clocks or hours * len(clocks) * 4 > _PLACES_MOST:
        return first, np.empty((0, 0), np.int32)
    found = np.full((hours, len(clocks)), -1, np.int32)
    for k, times in enumerate(clocks):
        found[(times - first) // _HOUR, k] = np.arange(len(times), dtype=np.int32)
    return first, found


def instant(time: datetime) -> np.datetime64:
    """An aware instant as numpy's naive UTC; UsageError for one without a zone.

    >>> instant(datetime(2024, 1, 1, 8, tzinfo=UTC))
    np.datetime64('2024-01-01T08:00:00.000000')
    """
    if time.tzinfo is None:
        raise UsageError(f"{time.isoformat()} has no time zone.", remedy="Write +08:00 or Z after it.")
    return np.datetime64(time.astimezone(UTC).replace(tzinfo=None), "us")


def _views(station: str, batch: pa.RecordBatch) -> Hours:
    """Columns of a mapped record batch as numpy arrays over the same memory."""

    def view(name: str, kind: Any) -> NDArray[Any]:
        column = batch.column(name)
        return np.frombuffer(column.buffers()[1], kind, len(column), column.offset * np.dtype(kind).itemsize)

    return Hours(
        station,
        view("time", np.int64).view(_MICRO),
        {item: view(item, np.float64) for item in HOURLY_ITEMS},
        {item: view(f"{item}_state", np.int8) for item in HOURLY_ITEMS},
    )


def open_series(workspace: Any, folder: Path) -> Series:
    """The series of the run in `folder`, made now if the run lacks them.

    Raises NotFound for a bare folder of results that has none, and for a run without hours.
    """
    index = folder / FOLDER / INDEX
    if not index.is_file():
        if not isinstance(workspace, opened.Workspace):
            raise NotFound(f"{folder.name} holds no series of hours.", remedy="Open the whole workspace.")
        build(workspace, folder)
    return _series(str(folder / FOLDER), index.stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _series(folder: str, stamp: int) -> Series:
    """An open series; `stamp` only keys the cache."""
    return Series(Path(folder))


def build(workspace: opened.Workspace, folder: Path) -> Path:
    """Write the series of the run in `folder`, unless they are there. Whole or not at all; one writer at a time.

    ``index.json`` says the fingerprint of the checked hours that were written, and whether the run itself stood on
    the same (`exact`): a run that was made before this table existed may be older than the lake.
    """
    place = folder / FOLDER
    with alone(workspace.results / f".{folder.name}.series.lock"):
        if (place / INDEX).is_file():
            return place
        said = json.loads((folder / "verdict.json").read_text(encoding="utf-8"))
        stood_on = said["run"].get("inputs", {}).get("lake/checked")
        made_from = workspace.lake.fingerprint("checked")
        draft = folder / f"{FOLDER}.draft"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir()
        rows = _write(draft, _ordered(workspace, date.fromisoformat(said["as_of"])))
        index = {"format": FORMAT, "run": folder.name, "checked": made_from, "exact": made_from == stood_on,
                 "rows": sum(r["rows"] for r in rows), "stations": rows}  # fmt: skip
        (draft / INDEX).write_text(json.dumps(index, indent=1), encoding="utf-8")
        for file in draft.iterdir():
            with file.open("rb") as written:
                os.fsync(written.fileno())
        shutil.rmtree(place, ignore_errors=True)
        draft.rename(place)
    return place


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Be the only process that makes this run's series; the system frees the lock of one that dies."""
    handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _ordered(workspace: opened.Workspace, as_of: date) -> Iterator[tuple[str, pa.Table]]:
    """Checked hours up to a day, station by station, each in the order of time."""
    con = workspace.lake.connect()
    try:
        checked = workspace.lake.table("checked", con=con, last=as_of)
        states = {
            f"{item}_state": ibis.coalesce(
                ibis.array(list(STATES)).index(checked[f"{item}_state"]), ibis.literal(_MISSING)
            ).cast("int8")
            for item in HOURLY_ITEMS
        }
        kept = checked.select("station", "time", *HOURLY_ITEMS, **states).order_by("station", "time")
        parts: list[pa.Table] = []
        station: str | None = None
        for batch in con.con.sql(con.compile(kept)).to_arrow_reader(_CHUNK):
            for name, piece in by_station(pa.Table.from_batches([batch])):
                if name != station:
                    if station is not None:
                        yield station, pa.concat_tables(parts)
                    station, parts = name, []
                parts.append(piece)
        if station is not None:
            yield station, pa.concat_tables(parts)
    finally:
        con.disconnect()


def by_station(table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """Cut rows that are ordered by station where the station changes."""
    if not table.num_rows:
        return
    runs = pa.compute.run_end_encode(table["station"].combine_chunks())
    first = 0
    for name, end in zip(runs.values.to_pylist(), runs.run_ends.to_pylist(), strict=True):
        yield name, table.slice(first, end - first)
        first = end


def _write(draft: Path, stations: Iterator[tuple[str, pa.Table]]) -> list[dict[str, Any]]:
    """Write ``hours.arrow`` and ``latest.arrow``; the rows of the index."""
    rows: list[dict[str, Any]] = []
    last: list[pa.RecordBatch] = []
    with pa.ipc.new_file(str(draft / HOURS), SCHEMA) as sink:
        for number, (station, table) in enumerate(stations):
            batch = _batch(table)
            sink.write_batch(batch)
            times = batch.column("time")
            rows.append(
                {"station": station, "batch": number, "rows": len(batch),
                 "first": times[0].as_py().isoformat(), "last": times[-1].as_py().isoformat()}
            )  # fmt: skip
            tail = [column.slice(len(batch) - 1) for column in batch.columns]
            last.append(pa.RecordBatch.from_arrays([pa.array([station]), *tail], schema=LATEST_SCHEMA))
    with pa.ipc.new_file(str(draft / LATEST), LATEST_SCHEMA) as sink:
        sink.write_table(pa.Table.from_batches(last, LATEST_SCHEMA).combine_chunks())
    return rows


def _batch(table: pa.Table) -> pa.RecordBatch:
    """One station's rows in one piece, with NaN under every null."""
    columns = []
    for field in SCHEMA:
        column = table[field.name].cast(field.type).combine_chunks()
        if field.type == pa.float64():
            bare = column.to_numpy(zero_copy_only=False).astype(np.float64)
            gaps = None
            if column.null_count:
                gaps = pa.py_buffer(np.packbits(~np.isnan(bare), bitorder="little").tobytes())
            column = pa.Array.from_buffers(field.type, len(bare), [gaps, pa.py_buffer(bare.tobytes())])
        columns.append(column)
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)
