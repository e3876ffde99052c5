"""Ten thousand points and forty areas on 300 x 300 cells of 3 km: the field of a year, and a day of it written."""

from __future__ import annotations

import math

from benchmarks.racing import Bench, Contestant, Result, growth


def run(bench: Bench) -> list[Result]:
    """Both numbers of points in turn; all tonnes are kept; memory under 2 GB is asked."""
    points, areas, side = (50, 4, 12) if bench.quick else (10_000, 40, 300)
    out = bench.scratch("hourly-field")
    contestants = [
        Contestant(
            f"{points * times:,} points",
            "benchmarks.ours.hourly_field:day",
            {"points": points * times, "areas": areas, "side": side, "out": str(out / f"day-{times}.nc")},
        )
        for times in (1, 10)
    ]
    results = bench.race(f"hourly field: {areas} areas on {side} x {side} cells, 9 species, 7 layers", contestants)
    small, large = results
    bench.say(growth(small, large, 10))
    for result in results:
        told = result.answer
        assert math.isclose(told["given"], told["kept"], rel_tol=1e-9), told
        bench.say(
            f"  {result.contestant.name}: built in {told['build']:.2f} s, a day written in {told['day']:.2f} s "
            f"({told['mb']:.0f} MB), peak {result.peak_mb:.0f} MB"
        )
    if not bench.quick:
        bench.say(f"  memory under 2,048 MB: {'held' if large.peak_mb < 2048 else 'NOT HELD'}")
    return results
