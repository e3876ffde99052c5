"""The national year through the air room's expressions on the embedded engine."""

from __future__ import annotations

import resource
import shutil
import time
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq

from benchmarks.data import files
from qinglan.core.clock import Period
from qinglan.flow.national import Engine, national_year
from qinglan.plan.rules import rules_on

MEMORY = "1200MB"
ITEMS = ("so2", "no2", "co", "o3", "pm10", "pm2_5")


class Stages:
    """Seconds and CPU seconds by stage, from the calls that say which one begins."""

    def __init__(self) -> None:
        self.taken: dict[str, list[float]] = {}
        self.began = ("rules", *_clocks())

    def __call__(self, stage: str) -> None:
        before, wall, cpu = self.began
        self.began = (stage, *_clocks())
        held = self.taken.setdefault(before, [0.0, 0.0])
        held[0] += self.began[1] - wall
        held[1] += self.began[2] - cpu


def _clocks() -> tuple[float, float]:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return time.perf_counter(), used.ru_utime + used.ru_stime


def year(folder: str, out: str, check: bool = False) -> dict[str, Any]:
    """The whole chain from Parquet to the ranking; the answer holds the stages."""
    stages, place = Stages(), Path(out)
    shutil.rmtree(place, ignore_errors=True)
    made = national_year(
        files(folder),
        pq.read_table(f"{folder}/register.parquet"),
        place,
        [Period.year(2025)],
        rules_on(date(2025, 12, 31), None),
        engine=Engine(threads=2, memory=MEMORY, spill=place / "spill"),
        progress=stages,
    )
    stages("")
    answer: dict[str, Any] = {"stages": stages.taken, "ranked": pq.read_metadata(made["ranking"]).num_rows}
    if check:
        answer["means"] = _sums(f"{made['station_days']}/*.parquet", ["mda8", *(i for i in ITEMS if i != "o3")])
        answer["days"] = _sums(f"{made['station_aqi']}/*.parquet", ["aqi"])
        answer["hours"] = _sums(f"{made['hourly_aqi']}/*.parquet", ["aqi"])
    return answer


def scan(folder: str) -> dict[str, Any]:
    """The engine's bare scan: the sums of the six columns."""
    return {"sums": _sums(f"{folder}/hours-*.parquet", ITEMS)}


def _sums(pattern: str, columns: list[str] | tuple[str, ...]) -> dict[str, float]:
    with duckdb.connect(config={"threads": 2, "memory_limit": MEMORY}) as con:
        sums = ", ".join(f"sum({c})" for c in columns)
        row = con.execute(f"select {sums} from '{pattern}'").fetchone()
    assert row is not None
    return {c: float(x) for c, x in zip(columns, row, strict=True)}
