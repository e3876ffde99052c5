"""Jobs of the size of an office: index, statistics, quality control, loading."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path
from typing import Any

import ibis
import pyarrow.parquet as pq

from qinglan.air import qc
from qinglan.air.aqi import hourly_aqi
from qinglan.air.statistics import sliding_mean, station_days
from qinglan.flow.ingest import ingest
from qinglan.flow.sources import layout_named
from qinglan.flow.workspace import init
from qinglan.plan.rules import load_book, rules_on


def index(file: str, rows: int, on: str = "2026-06-30") -> dict[str, Any]:
    """Hourly AQI of the first `rows` complete hours of a file, by HJ 633-2026; digest only, as the peers."""
    con = ibis.duckdb.connect(threads=2)
    hours = con.read_parquet(file)
    aqi = hourly_aqi(hours, rules_on(date.fromisoformat(on), None)).aqi
    row = con.to_pyarrow(aqi.as_table().aggregate(rows=aqi.count(), sum=aqi.sum())).to_pylist()[0]
    return {"rows": int(row["rows"]), "sum": int(row["sum"])}


def control(file: str, rules: list[str]) -> dict[str, Any]:
    """Flags of the named rules (all of them when none is named), counted by rule."""
    con = ibis.duckdb.connect(threads=2)
    book = load_book("qc", date(2025, 12, 31))
    flags = qc.check(con.read_parquet(file), book=book, rules=rules or qc.RULES)
    counted = con.to_pyarrow(flags.group_by("rule").aggregate(n=flags.count()))
    return {row["rule"]: row["n"] for row in counted.to_pylist()}


def day_means(file: str) -> dict[str, Any]:
    """Daily statistics of one long series; the sum of NO2's valid daily means."""
    con = ibis.duckdb.connect(threads=2)
    days = con.to_pyarrow(station_days(con.read_parquet(file), rules_on(date(2018, 12, 31), None)))
    valid = days["no2"].drop_null().to_numpy()
    return {"days": len(valid), "sum": float(valid.sum())}


def sliding(file: str) -> dict[str, Any]:
    """Sliding 8-h mean of ozone with at least 6 hours, by the clock."""
    con = ibis.duckdb.connect(threads=2)
    hours = con.read_parquet(file)
    means = con.to_pyarrow(hours.select(mean=sliding_mean(hours, "o3", 8, 6)))["mean"].drop_null().to_numpy()
    return {"hours": len(means), "sum": float(means.sum())}


def load(files: list[str], register: str, home: str) -> dict[str, Any]:
    """Daily files into an empty lake: read, judged at the door, merged, checkpointed and accounted for."""
    shutil.rmtree(home, ignore_errors=True)
    workspace = init(Path(home), stations=pq.read_table(register).to_pylist())
    report = ingest(workspace, layout_named("national_hourly"), [Path(f) for f in files])
    table = workspace.lake.table("hours")
    row = table.aggregate(rows=table.count(), sum=table.pm10.sum()).to_pyarrow().to_pylist()[0]
    return {"rows": int(row["rows"]), "sum": float(row["sum"]), "files": len(report.files)}
