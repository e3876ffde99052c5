"""Automatic control of 240 series x 8,760 h: range and constants beside SaQC, and our full rule set."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from benchmarks.racing import Bench, Contestant, Result

ITEMS = ("so2", "no2", "co", "o3", "pm10", "pm2_5")
STATIONS, DAYS = 40, 365


def run(bench: Bench) -> list[Result]:
    """Race; range flags are equal, constants differ as the rules do (ours ask longer runs of small values)."""
    from qinglan.plan.rules import load_book

    stations, days = (5, 40) if bench.quick else (STATIONS, DAYS)
    file = (
        bench.data(f"faulty-{stations}x{days}", lambda made: faulty_hours(made, stations, days)) / "hours.parquet"
    )
    book = load_book("qc", date(2025, 12, 31))
    high = {i: book.number(f"range.{i}.high") for i in ITEMS}
    hours = {i: book.get(f"stuck.{i}").value[-1]["hours"] for i in ITEMS}
    saqc, absent = bench.environment("saqc==2.9.0", "pyarrow")
    job = "benchmarks.ours.small:control"
    two = {"file": file, "rules": ["range", "stuck"]}
    results = bench.race(
        f"qc: {stations * len(ITEMS)} series x {days * 24} h",
        [
            Contestant("Qinglan, range and constants", job, two),
            Contestant(
                "SaQC, range and constants",
                "benchmarks.peers.saqc_flags:control",
                {"file": file, "high": high, "hours": hours},
                python=saqc,
                absent=absent,
            ),
            Contestant("Qinglan, warm", job, two, warm=True),
            Contestant("Qinglan, all rules", job, {"file": file, "rules": []}),
        ],
        unit=(stations * len(ITEMS) * days * 24, "value"),
    )
    for r in results:
        bench.say(f"  {r.contestant.name}: {r.answer}")
    ranges = {r.answer["range"] for r in results}
    assert len(ranges) == 1, ranges
    return results


def faulty_hours(made: Path, stations: int, days: int) -> None:
    """A small network with known faults: one value in 5,000 out of range, one stretch of 12 h in 2,000 stuck."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    from qinglan.sim.national import national_year

    table = pa.concat_tables(national_year(stations, days, seed=2, chunk=stations))
    rng = np.random.default_rng(2)
    for item in ITEMS:
        values = table[item].to_numpy().copy()
        values[rng.random(len(values)) < 1 / 5_000] = 20_000.0
        for start in np.flatnonzero(rng.random(len(values) - 12) < 1 / 2_000):
            values[start : start + 12] = values[start]
        table = table.set_column(table.column_names.index(item), item, pa.array(values, from_pandas=True))
    pq.write_table(table, made / "hours.parquet")
