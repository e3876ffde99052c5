"""A nation's year: 1,700 stations x 8,760 h x 6, from Parquet to the ranking, beside those who do a part of it.

The peers' job is the daily mean of all six and the daily maximum of their sliding 8-h mean (at least 6 hours).
Ours is the daily mean of five and the MDA8 of ozone, and then the hourly AQI with level and primary pollutant
written to Parquet, the daily AQI of stations and places, evaluation, day counts, composite index and ranking, each
by the letter of its standard.
"""

from __future__ import annotations

import math
from datetime import date

from benchmarks import data
from benchmarks.racing import Bench, Contestant, Result

STATIONS, DAYS = 1700, 365


def run(bench: Bench) -> list[Result]:
    """Race, stages, and what was asked of them."""
    stations, days, rows = (170, 90, 5_000) if bench.quick else (STATIONS, DAYS, 200_000)
    folder = data.national(bench, stations, days)
    job = {"folder": folder, "check": bench.quick}
    hub, absent = bench.environment("aqi-hub==0.3.3", "pyarrow")
    one = {"file": data.files(folder)[0], "rows": rows}
    pandas = {"folder": folder, "stations": stations}
    chain = {
        **pandas,
        "out": bench.scratch("pandas") / "hours.parquet",
        "hourly": data.scheme(date(2025, 12, 31), hourly=True),
        "daily": data.scheme(date(2025, 12, 31), hourly=False),
    }
    contestants = [
        Contestant("Qinglan", "benchmarks.ours.national:year", {**job, "out": bench.scratch("national")}),
        Contestant("Polars", "benchmarks.peers.polars_year:days", job),
        Contestant("DuckDB scan", "benchmarks.ours.national:scan", {"folder": folder}),
        Contestant("pandas, as Polars", "benchmarks.peers.pandas_year:days", pandas),
        Contestant("pandas, our job", "benchmarks.peers.pandas_year:chain", chain),
        Contestant(
            "aqi-hub, AQI alone",
            "benchmarks.peers.aqi_hub_hours:index",
            one,
            python=hub,
            share=rows / (stations * days * 24),
            absent=absent,
        ),
    ]
    results = bench.race(f"national_year: {stations} stations, {days} days", contestants)
    bench.say("  stages of our last run:")
    for stage, (seconds, cpu) in results[0].answer["stages"].items():
        bench.say(f"    {stage:20s}{seconds:8.3f} s{cpu:8.3f} CPU s")
    if bench.quick:
        agree(results)
    else:
        for line in promises(results):
            bench.say(line)
    return results


def promises(results: list[Result]) -> list[str]:
    """The ratios that were promised, and whether they held."""
    by = {r.contestant.name: r for r in results}
    ours = by["Qinglan"]

    def line(what: str, value: float, limit: float, at_most: bool) -> str:
        held = value <= limit if at_most else value >= limit
        asked = f"{'at most' if at_most else 'at least'} {limit:g}"
        return f"  {what}: {value:.2f}, {asked}: {'held' if held else 'NOT HELD'}"

    lines = [
        line("Qinglan / Polars", ours.middle / by["Polars"].middle, 2.5, True),
        line("Qinglan / Polars, CPU time", ours.work / by["Polars"].work, 2.5, True),
        line("pandas, our job / Qinglan", by["pandas, our job"].middle / ours.middle, 8, False),
        line("peak memory [MB]", ours.peak_mb, 2048, True),
        f"  Qinglan / bare scan: {ours.middle / by['DuckDB scan'].middle:.1f}",
    ]
    if "aqi-hub, AQI alone" in by:
        hourly = ours.answer["stages"]["hourly_aqi"][0]
        lines.append(
            line("aqi-hub / Qinglan, per hourly AQI", by["aqi-hub, AQI alone"].middle / hourly, 20, False)
        )
    return lines


def agree(results: list[Result]) -> None:
    """The sums of all valid daily means (ours are kept to 1e-6) and of all AQIs are those of the peers."""
    answers = {r.contestant.name: r.answer for r in results}
    ours, polars, pandas = (answers[n] for n in ("Qinglan", "Polars", "pandas, our job"))
    for item, mean in ours["means"].items():
        assert math.isclose(mean, pandas["means"][item], rel_tol=1e-8), (item, mean, pandas["means"][item])
        if item != "mda8":
            assert math.isclose(mean, polars["means"][item], rel_tol=1e-8), (item, mean, polars["means"][item])
    assert ours["hours"]["aqi"] == pandas["hours"], (ours["hours"], pandas["hours"])
    assert ours["days"]["aqi"] == pandas["days"], (ours["days"], pandas["days"])
