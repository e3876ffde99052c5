"""openair's mydata (65,533 hours): daily means and the sliding 8-h mean, beside pandas."""

from __future__ import annotations

import math
import os
from pathlib import Path

from benchmarks.racing import ROOT, Bench, Contestant, Result


def run(bench: Bench) -> list[Result]:
    """Both jobs; counts are equal and sums agree to 1e-8 (ours are kept to 1e-6)."""
    source = Path(os.environ.get("QINGLAN_TEST_DATA", ROOT.parent / "shared" / "data")) / "openair_mydata"
    if not source.is_dir():
        bench.say(f"\nstatistics: left out, no {source.name} in QINGLAN_TEST_DATA")
        return []
    file = bench.data("mydata", lambda made: hours_of_mydata(source, made)) / "hours.parquet"
    found = []
    for job, title in (("day_means", "daily means of all items"), ("sliding", "sliding 8-h mean of ozone")):
        results = bench.race(
            f"statistics: {title}, 65,533 hours",
            [
                Contestant("Qinglan", f"benchmarks.ours.small:{job}", {"file": file}),
                Contestant("Qinglan, warm", f"benchmarks.ours.small:{job}", {"file": file}, warm=True),
                Contestant("pandas", f"benchmarks.peers.pandas_series:{job}", {"file": file}),
            ],
        )
        one, other = results[0].answer, results[-1].answer
        number = next(k for k in one if k != "sum")
        assert one[number] == other[number], (one, other)
        assert math.isclose(one["sum"], other["sum"], rel_tol=1e-8), (one, other)
        found += results
    return found


def hours_of_mydata(source: Path, made: Path) -> None:
    """mydata in the columns of `hours`; its clock is GMT and labels begin the hour, which is all one to a race."""
    import duckdb

    with duckdb.connect() as con:
        con.execute("set timezone = 'UTC'")
        con.execute(
            f"""copy (select 'MY1' as station, date::timestamptz as time, date::date as day,
                (hour(date::timestamp) + 1)::tinyint as hour, so2::double as so2, no2::double as no2,
                co::double as co, o3::double as o3, pm10::double as pm10, pm25::double as pm2_5
                from read_csv('{source}/openair_mydata.csv.gz', nullstr=['', 'NA'])
                order by time) to '{made}/hours.parquet'"""
        )
