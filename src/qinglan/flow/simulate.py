"""Brings simulated data into the world: into a workspace by the door of real data, or onto disk for a benchmark.

The simulated hours are written as raw files into the home folder and then loaded like any other source, so the
lake, the rejects and the provenance of a simulated workspace are made by the code that real data meet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from qinglan.core.batch import Batch, LayoutInfo, ReadContext
from qinglan.core.errors import LayoutError, UsageError
from qinglan.core.tables import SOURCE_LINE, dataset
from qinglan.flow.ingest import IngestReport, ingest
from qinglan.flow.ingest import Progress as IngestProgress
from qinglan.flow.workspace import Workspace
from qinglan.plan.places import Station, load_stations
from qinglan.plan.simulation import load_parameters
from qinglan.sim.national import national_register, national_year
from qinglan.sim.province import SIMULATED, Simulated, simulate
from qinglan.store.stations import register_stations

#: Folders of a simulated workspace: what the instruments "sent", and what was really so.
RAW, TRUTH = "simulated", "truth"

#: Stage (``simulate`` or ``load``), how much of it is done, of how much, and what is at hand.
Progress = Callable[[str, int, int, str], None]


class _SimulatedLayout:
    """Reads the raw files written here; a layout of :class:`qinglan.core.batch.Layout`."""

    LAYOUT = LayoutInfo(
        name="simulated",
        title_zh="模拟数据",
        title_en="simulated data",
        datasets=("hours", "weather"),
        extensions=(".parquet",),
        description_zh="本系统模拟的小时浓度与气象，非实测。",
        description_en="Hours and weather made up by this system, not measured.",
    )

    def sniff(self, path: Path) -> bool:
        """Whether the file says that it is simulated."""
        try:
            return SIMULATED in (pq.read_schema(path).metadata or {})
        except (OSError, pa.ArrowException):
            return False

    def read(self, path: Path, context: ReadContext) -> Iterator[Batch]:
        """One batch per file; the data set is the first word of the file's name."""
        if not self.sniff(path):
            raise LayoutError(f"{path.name} is not marked as simulated.", remedy="Load it with its own layout.")
        name = path.name.split("-")[0]
        table = pq.read_table(path).select(dataset(name).handed)
        yield Batch(name, table.append_column(SOURCE_LINE, pc.add(_numbers(table.num_rows), 1)), path.name)


@dataclass(frozen=True, slots=True)
class SimulationReport:
    """What was simulated and what became of it at the door."""

    stations: int
    start: date
    end: date
    seed: int
    load: IngestReport
    truth: tuple[Path, ...]


def simulate_into(
    workspace: Workspace,
    start: date,
    end: date,
    seed: int | None = None,
    progress: Progress | None = None,
    stations: Iterable[Station] | None = None,
) -> SimulationReport:
    """Fill a simulated workspace: register, hours and weather through the door, truth beside the lake.

    start, end : statistical days, both included.
    seed : of the random streams; the parameters' own when left out.
    stations : the register to simulate; by default the national stations and the simulated ones.

    Running it again changes nothing. Raises UsageError for a workspace that is not marked as simulated.
    """
    if not workspace.settings.simulated:
        raise UsageError(
            f"{workspace.home} is a workspace of real data.",
            remedy="Make another one with simulated = true; invented data never enter this one.",
        )
    chosen = list(stations) if stations is not None else [*load_stations("qinghai"), *load_stations("simulated")]
    parameters = load_parameters()
    used = parameters.seed if seed is None else seed

    def simulated(station: str, done: int, total: int) -> None:
        if progress is not None:
            progress("simulate", done, total, station)

    def loaded(at: IngestProgress) -> None:
        if progress is not None:
            progress("load", at.done, at.files, at.name)

    truth, files = _write(workspace.home, simulate(chosen, parameters, start, end, used, simulated), start, end)
    register_stations(
        workspace.registry, [asdict(s) | {"aliases": list(s.aliases)} for s in chosen], who="simulation"
    )
    report = ingest(workspace, _SimulatedLayout(), files, progress=loaded)
    return SimulationReport(len(chosen), start, end, used, report, truth)


def _numbers(rows: int) -> pa.Array:
    return pa.array(range(rows), pa.int64())


def _write(home: Path, made: Simulated, start: date, end: date) -> tuple[tuple[Path, ...], list[Path]]:
    """Truth and raw files; the tables are let go before the load begins."""
    return _write_truth(home / TRUTH, made), _write_raw(home / RAW, made, start, end)


def _write_truth(folder: Path, made: Simulated) -> tuple[Path, ...]:
    folder.mkdir(parents=True, exist_ok=True)
    tables = {"dust": made.truth_dust, "faults": made.truth_faults}
    for name, table in tables.items():
        pq.write_table(table, folder / f"{name}.parquet", compression="zstd")
    return tuple(folder / f"{name}.parquet" for name in tables)


def _write_raw(folder: Path, made: Simulated, start: date, end: date) -> list[Path]:
    """One file per data set and year, so that a load can be resumed and a reject names its file and line."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name, table in (("hours", made.hours), ("weather", made.weather)):
        for year in range(start.year, end.year + 1):
            part = table.filter(pc.equal(pc.year(table["day"]), year))
            low, high = max(start, date(year, 1, 1)), min(end, date(year, 12, 31))
            files.append(folder / f"{name}-{low.isoformat()}_{high.isoformat()}.parquet")
            pq.write_table(part, files[-1], compression="zstd")
    return files


def write_national(
    folder: Path, stations: int = 1700, days: int = 365, seed: int = 1, stations_per_file: int = 500
) -> list[Path]:
    """Write a national year as Parquet files under `folder` and its register as ``register.parquet``.

    One row group holds 100 stations. Two files' worth of row groups are never in memory at once: 17,000
    stations stay under 1.5 GB. Returns the files of hours in order.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(national_register(stations), folder / "register.parquet")
    chunk = min(100, stations_per_file)
    made: list[Path] = []
    writer: pq.ParquetWriter | None = None
    held = 0
    with ThreadPoolExecutor(max_workers=1) as pool:
        pending = None
        for table in national_year(stations, days, seed, chunk=chunk):
            if pending is not None:
                pending.result()
            if writer is None or held >= stations_per_file:
                if writer is not None:
                    writer.close()
                made.append(folder / f"hours-{len(made):04d}.parquet")
                writer, held = _writer(made[-1], table.schema), 0
            held += chunk
            # Arrow writes without the interpreter lock, so the next chunk is made meanwhile.
            pending = pool.submit(writer.write_table, table, table.num_rows)
        if pending is not None:
            pending.result()
    if writer is not None:
        writer.close()
    return made


def _writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    return pq.ParquetWriter(path, schema, compression="snappy", use_dictionary=True, write_statistics=True)
