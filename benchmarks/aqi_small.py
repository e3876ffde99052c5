"""Hourly AQI of 1,224,000 station-hours x 6 by HJ 633-2026: ours, aqi-hub, and a numpy look-up table."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from benchmarks import data
from benchmarks.racing import Bench, Contestant, Result


def run(bench: Bench) -> list[Result]:
    """Race; the sums of all AQIs agree."""
    rows = 20_000 if bench.quick else 1_224_000
    folder = data.national(bench, 170, 90) if bench.quick else data.national(bench, 1700, 365)
    hours = bench.data(f"complete-{rows}", lambda made: complete_hours(folder, rows, made)) / "hours.parquet"
    hub, absent = bench.environment("aqi-hub==0.3.3", "pyarrow")
    job = {"file": hours, "rows": rows}
    scheme = data.scheme(date(2026, 6, 30), hourly=True)
    results = bench.race(
        f"aqi_small: {rows} station-hours x 6",
        [
            Contestant("Qinglan", "benchmarks.ours.small:index", job),
            Contestant("Qinglan, warm", "benchmarks.ours.small:index", job, warm=True),
            Contestant("aqi-hub", "benchmarks.peers.aqi_hub_hours:index", job, python=hub, absent=absent),
            Contestant("numpy look-up table", "benchmarks.peers.numpy_index:index", {**job, "scheme": scheme}),
        ],
        unit=(rows, "AQI"),
    )
    for other in results[1:]:
        assert other.answer == results[0].answer, (other.contestant.name, other.answer, results[0].answer)
    return results


def complete_hours(folder: Path, rows: int, made: Path) -> None:
    """The first station-hours of a network without a gap, of which aqi-hub would make a warning each."""
    import duckdb

    with duckdb.connect() as con:
        given = " and ".join(f"{i} is not null" for i in ("so2", "no2", "co", "o3", "pm10", "pm2_5"))
        con.execute(
            f"copy (select * from '{folder}/hours-*.parquet' where {given} limit {rows}) to '{made}/hours.parquet'"
        )
