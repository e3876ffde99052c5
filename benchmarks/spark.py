"""One month of the national network on a local Spark cluster by the same expressions; not a race, an equality."""

from __future__ import annotations

import math
import shutil
from importlib.util import find_spec

from benchmarks import data
from benchmarks.racing import Bench, Contestant, Result


def run(bench: Bench) -> list[Result]:
    """Time of both engines, and that their answers are equal."""
    stations, days = (20, 10) if bench.quick else (1700, 31)
    folder = data.national(bench, stations, days)
    absent = ""
    if find_spec("pyspark") is None:
        absent = "PySpark is not installed: pip install 'qinglan[spark]'"
    elif shutil.which("java") is None:
        absent = "no Java"
    job = {"folder": folder}
    once = Bench(bench.quick, bench.folder, 1, bench.say)
    results = once.race(
        f"spark: {stations} stations, {days} days, daily values and both indices",
        [
            Contestant("DuckDB", "benchmarks.ours.cluster:embedded", job),
            Contestant("Spark, start included", "benchmarks.ours.cluster:spark", job, absent=absent),
        ],
    )
    if len(results) == 2:
        one, other = (r.answer for r in results)
        for table, row in one.items():
            for column, value in row.items():
                assert math.isclose(value, other[table][column], rel_tol=1e-12), (
                    table,
                    column,
                    value,
                    other[table],
                )
        bench.say("  answers are equal")
    return results
