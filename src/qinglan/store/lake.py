"""The lake: observations as Parquet by data set and month, changed in transactions, read through DuckDB.

Layout: ``<root>/<dataset>/year=YYYY/month=MM/<hash>.parquet`` beside ``catalogue.sqlite``; only files named in
the catalogue count. A write makes new files first (temporary, synced, renamed) and then swaps them in with one
transaction of the catalogue: a process killed at any moment leaves the old state or the new one. Readers take a
list of files and are never blocked; replaced files stay on disk for `grace`.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from ibis.backends.duckdb import Backend

from qinglan.core.clock import DAY_SHIFT
from qinglan.core.errors import StoreError, UsageError
from qinglan.core.provenance import fingerprint
from qinglan.core.tables import DATASETS, Dataset, dataset, superseded_schema
from qinglan.store import engine
from qinglan.store.catalogue import Catalogue, LakeFile
from qinglan.store.merge import OUTCOMES, SOURCE, changing, merge
from qinglan.store.partfile import TEMPORARY, problems_of, write_file

_SUPERSEDED = "_superseded"
#: Files of replaced rows that a partition may have before they are joined into one.
_COMPACT_AT = 16

Partition = tuple[int, int]


@dataclass(slots=True)
class WriteReport:
    """What an upsert did, in rows. `by_source` splits it by the numbers in the `_source` column."""

    inserted: int = 0
    unchanged: int = 0
    superseded: int = 0
    filled: int = 0
    by_source: dict[int, dict[str, int]] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """All rows that came in."""
        return self.inserted + self.unchanged + self.superseded + self.filled

    def add(self, outcomes: pl.DataFrame) -> None:
        """Add the counts (_source, _outcome, len) of one partition."""
        for source, outcome, count in outcomes.select(SOURCE, "_outcome", "len").iter_rows():
            setattr(self, outcome, getattr(self, outcome) + count)
            split = self.by_source.setdefault(int(source), dict.fromkeys(OUTCOMES, 0))
            split[outcome] += count


class Lake:
    """Observations of one home folder.

    root : folder of the lake, made when it is not there.
    settings : memory limit and threads of the embedded engine.
    grace : how long a replaced file is kept for readers that began before.
    lock_timeout : seconds that a writer waits for another one.
    now : clock of the write times (a function, so that tests can hold it).
    """

    def __init__(
        self,
        root: Path,
        *,
        settings: engine.EngineSettings | None = None,
        grace: timedelta = timedelta(hours=6),
        lock_timeout: float = 600.0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.root = Path(root)
        self.root.mkdir(parents=True, exist_ok=True)
        self.settings = settings or engine.EngineSettings()
        self.grace, self.lock_timeout, self._now = grace, lock_timeout, now
        self.catalogue = Catalogue(self.root / "catalogue.sqlite")
        self._thread_lock, self._depth = threading.RLock(), 0
        self._con: Backend | None = None
        #: Files that are held back by `together`: added ones, and paths of those that give way.
        self._held: tuple[list[LakeFile], list[str]] | None = None

    # -- writing -------------------------------------------------------------------------------------------

    @contextmanager
    def writing(self, patience: float | None = None) -> Iterator[None]:
        """Be the only writer. Re-entrant; the operating system frees the lock of a process that dies.

        patience : seconds to wait for another writer, if not those of the lake.
        """
        with self._thread_lock:
            if self._depth:
                self._depth += 1
                try:
                    yield
                finally:
                    self._depth -= 1
                return
            handle = os.open(self.root / ".writer.lock", os.O_RDWR | os.O_CREAT, 0o644)
            try:
                self._acquire(handle, self.lock_timeout if patience is None else patience)
                self._depth = 1
                self._sweep()
                yield
            finally:
                self._depth = 0
                os.close(handle)

    def _acquire(self, handle: int, patience: float) -> None:
        give_up = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= give_up:
                    holder = os.pread(handle, 64, 0).decode(errors="replace").strip()
                    raise StoreError(
                        f"another process ({holder or 'unknown'}) is writing to the lake {self.root}.",
                        remedy="Wait until it has finished, or stop it; its work so far is safe.",
                    ) from None
                time.sleep(0.05)
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"pid {os.getpid()}".encode(), 0)

    def _sweep(self) -> None:
        """Remove files that no reader can want: expired ones and what a killed writer left. Needs the lock."""
        for expired in self.catalogue.forget(now=self._now(), grace=self.grace):
            (self.root / expired).unlink(missing_ok=True)
        known = self.catalogue.known()
        for path in self.root.glob("*/year=*/**/*"):
            if path.is_file() and (
                path.name.startswith(TEMPORARY)
                or (path.suffix == ".parquet" and str(path.relative_to(self.root)) not in known)
            ):
                path.unlink(missing_ok=True)

    def upsert(self, name: str, rows: pa.Table, load_id: str, *, replace: bool = False) -> WriteReport:
        """Merge rows into a data set by key; all touched partitions change together.

        rows : columns of the contract (`load_id` is written here), values may be left out; optionally an
            integer `_source` by which the report is split.
        replace : an empty cell erases the value that was there. Without it an empty cell says nothing.

        A row equal to the stored one changes nothing, whatever load it came with. Raises StoreError.
        """
        contract = dataset(name)
        if contract.derived:
            raise UsageError(f"{name} is derived.", remedy="Use write_derived.")
        report = WriteReport()
        if rows.num_rows == 0:
            return report
        with self.writing():
            now = self._now()
            live = self._by_partition(name)
            added: list[LakeFile] = []
            retired: list[str] = []
            for partition, new in _split(_conform(rows, contract, load_id), contract):
                old = self._read(live.get(partition, []), contract.schema())
                merged = merge(old, new, contract, replace=replace)
                report.add(merged.outcomes)
                if not merged.changed:
                    continue
                added.append(self._write(merged.rows, contract.schema(), (name, *partition), load_id))
                retired += [f.path for f in live.get(partition, [])]
                if merged.old.height:
                    fresh, gone = self._keep_old(contract, partition, merged.old, now)
                    added.append(fresh)
                    retired += gone
            if added:
                self._commit(added, retired)
        return report

    def would_change(self, name: str, rows: pl.DataFrame, *, replace: bool = False) -> pl.Series:
        """For each row, in its order, whether :meth:`upsert` of it alone would change anything."""
        contract, at = dataset(name), "_at"
        plain = rows.select(c for c in rows.columns if c in contract.names and c != "load_id")
        table = _conform(plain.to_arrow(), contract, "")
        table = table.append_column(at, pa.array(range(rows.height), pa.int64()))
        live, found = self._by_partition(name), [pl.DataFrame(schema={at: pl.Int64, "changing": pl.Boolean})]
        for partition, new in _split(table, contract):
            old = self._read(live.get(partition, []), contract.schema())
            found.append(new.select(at).with_columns(changing(old, new, contract, replace=replace)))
        return pl.concat(found).sort(at)["changing"]

    def _keep_old(
        self, contract: Dataset, partition: Partition, old: pl.DataFrame, now: datetime
    ) -> tuple[LakeFile, list[str]]:
        schema = superseded_schema(contract.name)
        rows = old.with_columns(pl.lit(now).dt.cast_time_unit("us").alias("superseded_at")).select(schema.names)
        name = contract.name + _SUPERSEDED
        files = self._by_partition(name).get(partition, [])
        gone: list[LakeFile] = files if len(files) >= _COMPACT_AT else []
        if gone:
            rows = pl.concat([self._read(gone, schema), rows])
        by = str(old["superseded_by"][0])
        entry = self._write(rows.sort(*contract.key, "superseded_at"), schema, (name, *partition), by)
        return entry, [f.path for f in gone]

    def write_derived(
        self,
        name: str,
        rows: pa.Table | ir.Table,
        *,
        partitions: Iterable[Partition] | None = None,
        made_from: str = "",
    ) -> int:
        """Replace a derived data set, or only some of its partitions (year, month), in one transaction.

        rows : an Arrow table, or an Ibis expression (one of DuckDB is worked off month by month).
        made_from : what it was made from, to be read by :meth:`derived_from`.

        Returns the number of rows written. Rows outside `partitions` raise UsageError.
        """
        contract = dataset(name)
        if not contract.derived:
            raise UsageError(
                f"{name} is not derived.", remedy="Use upsert: reported data are never replaced whole."
            )
        chosen = None if partitions is None else set(partitions)
        with self.writing():
            live = self._by_partition(name)
            added: list[LakeFile] = []
            for partition, part in self._parts(rows, contract):
                if chosen is not None and partition not in chosen:
                    raise UsageError(
                        f"{name} has rows in {partition}, which is not among the partitions to replace."
                    )
                frame = part.sort(*contract.key)
                added.append(self._write(frame, contract.schema(), (name, *partition), made_from[:64]))
            retired = [f.path for p, files in live.items() if chosen is None or p in chosen for f in files]
            self._commit(added, retired, made_from=(name, made_from))
        return sum(f.rows for f in added)

    def _parts(self, rows: pa.Table | ir.Table, contract: Dataset) -> Iterator[tuple[Partition, pl.DataFrame]]:
        if isinstance(rows, pa.Table):
            yield from _split(_cast(rows, contract), contract)
            return
        backend = rows.get_backend()
        if not isinstance(backend, Backend):
            yield from _split(_cast(rows.to_pyarrow(), contract), contract)
            return
        stage = f"stage_{contract.name}_{time.monotonic_ns()}"
        table = backend.create_table(stage, rows.select(*contract.names), temp=True)
        try:
            day = table.day if "day" in contract.names else (table.time + _interval()).date()
            spread = day.year() * 100 + (day.month() if contract.partition == "month" else 0)
            staged = table.mutate(_partition=spread)
            for value in sorted(staged.select("_partition").distinct().to_pyarrow()["_partition"].to_pylist()):
                part = staged.filter(staged._partition == value).drop("_partition").to_pyarrow()
                yield divmod(int(value), 100), pl.DataFrame(_cast(part, contract))
        finally:
            backend.raw_sql(f'DROP TABLE IF EXISTS "{stage}"')

    def derived_from(self, name: str) -> str | None:
        """The `made_from` of the last :meth:`write_derived`; None when it was never made."""
        return self.catalogue.made_from(name)

    def _write(
        self, frame: pl.DataFrame, schema: pa.Schema, target: tuple[str, int, int], added_by: str
    ) -> LakeFile:
        return write_file(self.root, frame.select(schema.names).to_arrow().cast(schema), target, added_by)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Let the merges of several data sets, each once, count in one transaction: all of them or none."""
        with self.writing():
            if self._held is not None:
                raise UsageError("merges are held together already.", remedy="Do not nest them.")
            self._held = ([], [])
            try:
                yield
                (added, retired), self._held = self._held, None
                if added:
                    self._commit(added, retired)
            finally:
                self._held = None

    def _commit(
        self, added: Sequence[LakeFile], retired: Iterable[str], made_from: tuple[str, str] | None = None
    ) -> None:
        if self._held is not None:
            twice = {f.dataset for f in added} & {f.dataset for f in self._held[0]}
            if twice or made_from:
                raise UsageError(f"{sorted(twice) or made_from} cannot be held together.", remedy="Merge it once.")
            self._held[0].extend(added)
            self._held[1].extend(retired)
            return
        again = {f.path for f in added}
        self.catalogue.swap(added, [p for p in retired if p not in again], now=self._now(), made_from=made_from)

    # -- reading -------------------------------------------------------------------------------------------

    @property
    def con(self) -> Backend:
        """The lake's own DuckDB connection; for one thread at a time."""
        if self._con is None:
            self._con = self.connect()
        return self._con

    def connect(self) -> Backend:
        """A fresh DuckDB connection with the lake's settings."""
        return engine.connect(self.root / ".spill", self.settings)

    def table(
        self,
        name: str,
        *,
        con: Backend | None = None,
        first: date | None = None,
        last: date | None = None,
        stations: Sequence[str] | None = None,
    ) -> ir.Table:
        """A data set (or `<name>_superseded`) as it stands now, as an Ibis table on DuckDB.

        first, last : statistical days, both included; files of other months are not even opened.
        stations : codes (or, in a data set of places, division codes) to keep.
        """
        contract = dataset(name.removesuffix(_SUPERSEDED))
        low, high = engine.months_between(first, last)
        files = [f for f in self.catalogue.live(name) if low <= _last_month(f) and _first_month(f) <= high]
        found = engine.scan(con or self.con, [self.root / f.path for f in files], _schema(name))
        day = found.day if "day" in contract.names else (found.time + _interval()).date()
        if first is not None:
            found = found.filter(day >= first)
        if last is not None:
            found = found.filter(day <= last)
        return found if stations is None else found.filter(found[contract.key[0]].isin(list(stations)))

    def paths(self, name: str) -> list[Path]:
        """The live Parquet files of a data set, for another engine."""
        return [self.root / f.path for f in self.catalogue.live(name)]

    def rows(self, name: str) -> int:
        """Number of rows, from the catalogue."""
        return sum(f.rows for f in self.catalogue.live(name))

    def fingerprint(self, name: str) -> str:
        """SHA-256 of what the data set says: equal data give an equal value, whatever loads brought them."""
        return fingerprint(
            [(f.year, f.month, f.content_hash) for f in sorted(self.catalogue.live(name), key=_by_hash)]
        )

    def coverage(self, name: str) -> pa.Table:
        """How much was observed: station (or place), month (its first day), `expected` hours (days) of the
        natural month, `observed` rows that say at least one value, and `<value>_n` for each value column."""
        contract = dataset(name)
        who, values = contract.key[0], contract.values
        table = self.table(name)
        said = ibis.or_(*(table[v].notnull() for v in values))
        month = table.day.truncate("M").name("month")
        counted = (
            table.group_by([table[who], month])
            .aggregate(observed=said.sum(), **{f"{v}_n": table[v].count() for v in values})
            .order_by([who, "month"])
            .to_pyarrow()
        )
        unit = 24 if "hour" in contract.names else 1
        months = [pl.Series(counted["month"]).dt.month_end().dt.day().cast(pl.Int64) * unit]
        return counted.add_column(2, "expected", pa.chunked_array([m.to_arrow() for m in months]))

    def verify(self) -> list[str]:
        """Check each live file against the catalogue: presence, size, hash, columns, rows. Empty: all is well."""
        problems: list[str] = []
        for entry in self.catalogue.live():
            problems += problems_of(self.root, entry, _schema(entry.dataset))
        return problems

    def _by_partition(self, name: str) -> dict[Partition, list[LakeFile]]:
        found: dict[Partition, list[LakeFile]] = defaultdict(list)
        for entry in self.catalogue.live(name):
            found[entry.partition].append(entry)
        return found

    def _read(self, files: Sequence[LakeFile], schema: pa.Schema) -> pl.DataFrame:
        tables = [schema.empty_table()] if not files else []
        for entry in files:
            try:
                tables.append(pq.read_table(self.root / entry.path, schema=schema, partitioning=None))
            except (OSError, pa.ArrowException) as cause:
                raise StoreError(
                    f"the lake's file {entry.path} cannot be read: {cause}.",
                    remedy="Run the lake's verification and restore the file from the backup.",
                ) from cause
        return pl.DataFrame(pa.concat_tables(tables))


def _interval() -> Any:
    return ibis.interval(hours=int(DAY_SHIFT.total_seconds() // 3600))


def _by_hash(entry: LakeFile) -> tuple[int, int, str]:
    return entry.year, entry.month, entry.content_hash


def _first_month(entry: LakeFile) -> int:
    return entry.year * 12 + (entry.month or 1)


def _last_month(entry: LakeFile) -> int:
    return entry.year * 12 + (entry.month or 12)


def _schema(name: str) -> pa.Schema:
    if name.endswith(_SUPERSEDED):
        return superseded_schema(name.removesuffix(_SUPERSEDED))
    return dataset(name).schema()


def _cast(rows: pa.Table, contract: Dataset) -> pa.Table:
    try:
        return rows.select(list(contract.names)).cast(contract.schema())
    except (KeyError, pa.ArrowException, ValueError) as cause:
        raise StoreError(f"rows do not fit the contract of {contract.name}: {cause}.") from cause


def _conform(rows: pa.Table, contract: Dataset, load_id: str) -> pa.Table:
    """All contract columns in order with `load_id`, and `_source` (0 when it was not given)."""
    unknown = [c for c in rows.column_names if c not in (*contract.names, SOURCE)]
    if unknown:
        raise StoreError(f"rows for {contract.name} have unknown columns {unknown}.")
    columns: Mapping[str, pa.ChunkedArray] = dict(zip(rows.column_names, rows.columns, strict=True))
    filled = []
    for column in contract.columns:
        if column.name == "load_id":
            filled.append(pa.repeat(pa.scalar(load_id, pa.string()), rows.num_rows))
            continue
        filled.append(columns.get(column.name, pa.nulls(rows.num_rows, column.arrow)))
        if not column.nullable and filled[-1].null_count:
            raise StoreError(
                f"rows for {contract.name} have empty {column.name}.", remedy="Judge them at the door."
            )
    table = _cast(pa.table(filled, names=list(contract.names)), contract)
    source = columns.get(SOURCE, pa.repeat(pa.scalar(0, pa.int32()), rows.num_rows))
    return table.append_column(SOURCE, source.cast(pa.int32()))


def _split(table: pa.Table, contract: Dataset) -> Iterator[tuple[Partition, pl.DataFrame]]:
    """Rows by partition, in order of time; order within a partition is kept."""
    frame = pl.DataFrame(table)
    day = pl.col("day") if "day" in contract.names else (pl.col("time") + DAY_SHIFT).dt.date()
    month = day.dt.month().cast(pl.Int32) if contract.partition == "month" else pl.lit(0, pl.Int32)
    spread = frame.with_columns((day.dt.year() * 100 + month).alias("_partition"))
    if spread.is_empty():
        return
    if spread["_partition"].n_unique() == 1:
        yield divmod(int(spread["_partition"][0]), 100), frame
        return
    groups = spread.partition_by("_partition", as_dict=True, include_key=False)
    for (value,), part in sorted(groups.items()):
        yield divmod(int(value), 100), part


def dataset_names() -> tuple[str, ...]:
    """Names that :meth:`Lake.table` knows, with those of replaced rows."""
    kept = tuple(n + _SUPERSEDED for n, d in DATASETS.items() if not d.derived)
    return (*DATASETS, *kept)
