"""Daily values and the indices of a month on a local Spark cluster, and the same on the embedded engine."""

from __future__ import annotations

import os
import sys
import tempfile
from datetime import date
from pathlib import Path
from typing import Any

import ibis

from qinglan.air.aqi import daily_aqi, hourly_aqi
from qinglan.air.city import place_days
from qinglan.air.statistics import station_days
from qinglan.plan.rules import rules_on


def _answer(con: Any, folder: str, hours: Any) -> dict[str, Any]:
    """Sums that any difference would show in."""
    rules = rules_on(date(2025, 12, 31), None)
    register = con.read_parquet(f"{folder}/register.parquet").mutate(
        valid_from=ibis.null("date"), valid_to=ibis.null("date")
    )
    days = station_days(hours, rules)
    places = place_days(days, register, rules)
    index, hourly = daily_aqi(places, rules), hourly_aqi(hours, rules)
    parts = {
        "station_days": days.aggregate(rows=days.count(), pm10=days.pm10.sum(), mda8=days.mda8.sum()),
        "place_days": places.aggregate(rows=places.count(), pm2_5=places.pm2_5.sum(), co=places.co.sum()),
        "place_aqi": index.aggregate(aqi=index.aqi.sum(), dusty=(index.primary_pollutant == "pm10").sum()),
        "hourly_aqi": hourly.aggregate(aqi=hourly.aqi.sum(), heavy=(hourly.level > 4).sum()),
    }
    found = {name: con.to_pyarrow(part).to_pylist()[0] for name, part in parts.items()}
    return {n: {k: round(float(v), 4) for k, v in row.items()} for n, row in found.items()}


def embedded(folder: str) -> dict[str, Any]:
    """On DuckDB."""
    con = ibis.duckdb.connect(threads=2)
    return _answer(con, folder, con.read_parquet(f"{folder}/hours-*.parquet"))


def spark(folder: str, master: str = "local-cluster[2,1,2048]") -> dict[str, Any]:
    """On Spark: by default one master and two worker processes on this machine; starting them is timed too."""
    from pyspark.sql import SparkSession

    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    with tempfile.TemporaryDirectory() as local:
        settings = {
            "spark.ui.enabled": "false",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.sql.session.timeZone": "UTC",
            "spark.sql.shuffle.partitions": "8",
            "spark.executor.memory": "1500m",
            "spark.local.dir": local,
            "spark.sql.warehouse.dir": str(Path(local) / "warehouse"),
        }
        builder = SparkSession.builder.master(master).appName("qinglan")
        for key, value in settings.items():
            builder = builder.config(key, value)
        session = builder.getOrCreate()
        try:
            con = ibis.pyspark.connect(session)
            return _answer(con, folder, con.read_parquet(f"{folder}/hours-*.parquet"))
        finally:
            session.stop()
