"""A nation's year in bounded memory: from files of hours to the ranking, part by part, on the embedded engine.

The lake of an office is judged by :mod:`qinglan.flow.run`. A national network is some hundred times larger, and
what its hours need (daily statistics, hourly index) asks nothing of another station or day. So the files of hours
are taken in parts of about the same size, each part writes its Parquet, and the rest is computed from the daily
values. The expressions are those of the air room, unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.parquet as pq
from ibis.backends.duckdb import Backend

from qinglan.air import evaluate, rank
from qinglan.air.aqi import daily_aqi, hourly_aqi
from qinglan.air.city import place_days
from qinglan.air.statistics import station_days
from qinglan.core.clock import Period
from qinglan.core.errors import NotFound, UsageError
from qinglan.core.rulebook import Rules

Progress = Callable[[str], None]
Groups = Sequence[Sequence[Path]]

#: Station-hours in one part: a year of some 2,300 stations, about 0.5 GB of daily states while it is grouped.
PART_ROWS = 20_000_000

#: What an hour's index is kept for; the single indices of a nation's hours are made again when asked for.
HOURLY_COLUMNS = ("station", "time", "aqi", "level", "primary_pollutant")

#: Options that reach into the day before, and the choice that does.
_LOOKS_BACK = (("evaluation", "mda8_window", "labels_01_24"), ("aqi", "hourly_pm", "sliding_24h"))


@dataclass(frozen=True, slots=True)
class Engine:
    """The embedded engine's means.

    threads : at most so many cores.
    memory : limit of the engine's own memory; the process needs some 0.3 GB beside it.
    spill : folder for what does not fit.
    part_rows : station-hours that are taken at a time.
    """

    threads: int = 2
    memory: str = "1200MB"
    spill: Path | None = None
    part_rows: int = PART_ROWS

    def connect(self) -> Backend:
        """A fresh engine in memory. Rows keep no order of arrival, which would cost buffers in every part."""
        settings: dict[str, Any] = {"threads": self.threads, "memory_limit": self.memory}
        if self.spill is not None:
            settings["temp_directory"] = str(self.spill)
        return ibis.duckdb.connect(preserve_insertion_order=False, **settings)


def _silent(_: str) -> None:
    return None


def national_year(
    files: Sequence[Path],
    stations: pa.Table,
    out: Path,
    periods: Sequence[Period],
    rules: Rules,
    *,
    engine: Engine | None = None,
    progress: Progress = _silent,
) -> dict[str, Path]:
    """Judge a network's periods from its files of hours.

    Parameters
    ----------
    files : Parquet files with the columns of `hours` (or `checked`)
        By station or by month, as long as no station's day is spread over two files.
    stations : the station register; `valid_from` and `valid_to` may be left out (always in service)
    out : folder for the results, made when absent
    periods, rules : what is judged, and by which books
    progress : told the name of each stage as it begins

    Returns
    -------
    dict of result name to its folder of parts (`station_days`, `hourly_aqi`, `station_aqi`) or its file
    (`place_days`, `place_aqi`, `evaluation`, `counts`, `composite_index`, `ranking`).

    Raises
    ------
    NotFound : without a file. UsageError : files by month under an option that looks into the day before.
    """
    if not files:
        raise NotFound("no file of hours was given.", remedy="Give the Parquet files of the network's hours.")
    how = engine or Engine()
    groups = list(parts(files, how.part_rows))
    if len(groups) > 1:
        _insist_on_whole_days(groups, rules)
    made = {name: out / name for name in ("station_days", "hourly_aqi", "station_aqi")}
    for folder in made.values():
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.glob("part-*.parquet"):
            old.unlink()
    con = how.connect()
    try:
        for number, group in enumerate(groups):
            _one_part(con, group, made, f"part-{number:04d}.parquet", rules, progress)
        days = con.read_parquet(str(made["station_days"] / "part-*.parquet"))
        register = con.create_table("stations", ibis.memtable(_complete(stations)), temp=True)
        tables = _places(con, days, register, periods, rules, progress)
        progress("write")
        for name, table in tables.items():
            made[name] = out / f"{name}.parquet"
            con.to_parquet(table, made[name])
    finally:
        con.disconnect()
    return made


def parts(files: Sequence[Path], rows: int) -> Iterator[list[Path]]:
    """Files in their order, gathered into parts of at most `rows` rows (a larger file is a part of its own)."""
    group: list[Path] = []
    held = 0
    for file in files:
        size = pq.read_metadata(file).num_rows
        if group and held + size > rows:
            yield group
            group, held = [], 0
        group.append(file)
        held += size
    if group:
        yield group


def _insist_on_whole_days(groups: Groups, rules: Rules) -> None:
    """Refuse parts by time under an option whose windows cross midnight: their first hours would be wrong."""
    for book, option, choice in _LOOKS_BACK:
        if getattr(rules, book).option(option) == choice:
            break
    else:
        return
    seen: set[str] = set()
    for group in groups:
        found = {
            s for file in group for s in pq.read_table(file, columns=["station"])["station"].unique().to_pylist()
        }
        if both := seen & found:
            raise UsageError(
                f"station {min(both)} is in more than one part, and {option}={choice} looks into the day before.",
                remedy="Write the hours by station, or choose an option that stays within the day.",
            )
        seen |= found


def _one_part(
    con: Backend, files: Sequence[Path], folders: dict[str, Path], name: str, rules: Rules, progress: Progress
) -> None:
    """Daily statistics, hourly index and daily index of the stations (or months) of one part."""
    hours = con.read_parquet([str(f) for f in files])
    progress("station_days")
    con.to_parquet(station_days(hours, rules), folders["station_days"] / name)
    progress("hourly_aqi")
    con.to_parquet(hourly_aqi(hours, rules).select(*HOURLY_COLUMNS), folders["hourly_aqi"] / name)
    progress("station_aqi")
    days = con.read_parquet(str(folders["station_days"] / name))
    con.to_parquet(daily_aqi(days, rules, key="station"), folders["station_aqi"] / name)


def _complete(stations: pa.Table) -> pa.Table:
    for name in ("valid_from", "valid_to"):
        if name not in stations.column_names:
            stations = stations.append_column(name, pa.nulls(len(stations), pa.date32()))
    return stations


def _places(
    con: Backend, days: ir.Table, stations: ir.Table, periods: Sequence[Period], rules: Rules, progress: Progress
) -> dict[str, ir.Table]:
    """What follows from the stations' days: places, their index, periods and ranking."""
    tables: dict[str, ir.Table] = {}

    def keep(name: str, expression: ir.Table) -> ir.Table:
        progress(name)
        tables[name] = con.create_table(name, expression, temp=True)
        return tables[name]

    places = keep("place_days", place_days(days, stations, rules))
    indexed = keep("place_aqi", daily_aqi(places, rules))
    judged = keep("evaluation", evaluate.evaluation(places, periods, rules))
    keep("counts", evaluate.day_counts(indexed, periods, rules))
    keep("ranking", rank.ranking(keep("composite_index", rank.composite_index(judged, rules))))
    return tables
