"""Ten times the stations: how time and memory of the national year grow under the same limit of memory."""

from __future__ import annotations

from benchmarks import data
from benchmarks.racing import Bench, Contestant, Result, growth


def run(bench: Bench) -> list[Result]:
    """Both sizes in turn; at most 11 x the time is asked."""
    stations, days = (60, 40) if bench.quick else (1700, 365)
    contestants = []
    for times in (1, 10):
        folder = data.national(bench, stations * times, days)
        job = {"folder": folder, "out": bench.scratch(f"national-{times}")}
        contestants.append(Contestant(f"{stations * times} stations", "benchmarks.ours.national:year", job))
    results = bench.race(f"tenfold: {stations} and {stations * 10} stations, {days} days", contestants)
    small, large = results
    bench.say(growth(small, large, 10))
    if not bench.quick:
        held = large.middle <= 11 * small.middle and large.peak_mb < 2048
        bench.say(f"  at most 11 x the time, memory under 2,048 MB: {'held' if held else 'NOT HELD'}")
    for stage, (seconds, cpu) in large.answer["stages"].items():
        few = small.answer["stages"].get(stage, [0.0, 0.0])
        bench.say(f"    {stage:20s}{few[0]:8.3f}{few[1]:8.3f}{seconds:10.3f}{cpu:9.3f}")
    return results
