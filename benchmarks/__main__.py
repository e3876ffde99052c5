"""``python -m benchmarks [name ...] [--quick] [--rounds N]``."""

from __future__ import annotations

import argparse
import importlib
import os
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version

from benchmarks.racing import Bench

#: Races and their modules, in the order in which they are run.
RACES = {
    **{name: name for name in ("national_year", "tenfold", "qc", "aqi_small")},
    "statistics": "mydata",
    **{
        name: name
        for name in (
            "ingest",
            "ledgers",
            "regridding",
            "hourly_field",
            "emergency_list",
            "forecast_beijing",
            "forecast_cities",
            "spark",
            "api",
            "pages",
        )
    },
}


def machine() -> str:
    """What the times were measured on."""
    found = []
    for name in (
        "duckdb",
        "ibis-framework",
        "polars",
        "pandas",
        "numpy",
        "pyarrow",
        "pyspark",
        "lightgbm",
        "statsforecast",
    ):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    load = ", ".join(f"{x:.1f}" for x in os.getloadavg())
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC; {os.cpu_count()} cores, load {load}; {platform.platform()}; "
        f"Python {platform.python_version()}; {', '.join(found)}"
    )


def main() -> None:
    """Run the races named, or all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"which of {', '.join(RACES)}; all by default")
    parser.add_argument("--quick", action="store_true", help="small jobs: proves that the races run")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each contestant")
    given = parser.parse_args()
    if unknown := sorted(set(given.names) - set(RACES)):
        parser.error(f"no benchmark {unknown[0]!r}; there are {', '.join(RACES)}")
    bench = Bench(quick=given.quick, rounds=given.rounds)
    print(machine())
    for name in given.names or RACES:
        importlib.import_module(f"benchmarks.{RACES[name]}").run(bench)
    print(f"\nload at the end: {', '.join(f'{x:.1f}' for x in os.getloadavg())}")


if __name__ == "__main__":
    main()
