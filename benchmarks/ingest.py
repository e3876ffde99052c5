"""365 daily files of the national wide layout (200 stations) into the lake, beside a plain pandas loop."""

from __future__ import annotations

import math
from datetime import date, timedelta
from pathlib import Path

from benchmarks.racing import Bench, Contestant, Result

STATIONS, DAYS = 200, 365


def run(bench: Bench) -> list[Result]:
    """Race; rows and the sum of PM10 agree."""
    stations, days = (20, 10) if bench.quick else (STATIONS, DAYS)
    folder = bench.data(f"daily-{stations}x{days}", lambda made: daily_files(made, stations, days))
    files = sorted(folder.glob("china_sites_*.csv"))
    scratch = bench.scratch("ingest")
    ours = {"files": files, "register": folder / "register.parquet", "home": scratch / "home"}
    results = bench.race(
        f"ingest: {days} daily files, {stations} stations",
        [
            Contestant("Qinglan", "benchmarks.ours.small:load", {**ours, "files": [str(f) for f in files]}),
            Contestant(
                "pandas loop",
                "benchmarks.peers.pandas_files:load",
                {"files": [str(f) for f in files], "out": scratch / "hours.parquet"},
            ),
        ],
        unit=(stations * days * 24, "row"),
    )
    one, other = (r.answer for r in results)
    assert one["rows"] == other["rows"], (one, other)
    assert math.isclose(one["sum"], other["sum"], rel_tol=1e-12), (one, other)
    return results


def daily_files(folder: Path, stations: int, days: int) -> None:
    """``china_sites_YYYYMMDD.csv``: date, hour, type, one column per station; 15 types as the archive has them."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    codes = [f"{1001 + n}A" for n in range(stations)]
    rows = {"station": codes, "name": [f"站{c}" for c in codes], "place": ["630100"] * stations}
    pq.write_table(pa.table(rows), folder / "register.parquet")
    rng = np.random.default_rng(1)
    plain = ("AQI", "PM2.5", "PM10", "SO2", "NO2", "O3", "O3_8h", "CO")
    kinds = (*plain, *(f"{k}_24h" for k in ("PM2.5", "PM10", "SO2", "NO2", "O3", "O3_8h", "CO")))
    for number in range(days):
        day = date(2024, 1, 1) + timedelta(days=number)
        lines = [",".join(("date", "hour", "type", *codes))]
        for hour in range(24):
            values = rng.integers(1, 200, (len(kinds), stations))
            there = rng.random(values.shape) >= 0.02
            for kind, row, keep in zip(kinds, values, there, strict=True):
                unit = 100 if kind.startswith("CO") else 1
                cells = [str(v / unit) if k else "" for v, k in zip(row.tolist(), keep.tolist(), strict=True)]
                lines.append(",".join((f"{day:%Y%m%d}", str(hour), kind, *cells)))
        text = "\n".join(lines) + "\n"
        (folder / f"china_sites_{day:%Y%m%d}.csv").write_text(text, encoding="utf-8-sig")
