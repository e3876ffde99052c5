"""Shared fixtures: the two engines that every table function must agree on, and the real data when it is there."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def test_data() -> Path:
    """Folder of real data; tests that need it skip with the reason where it is absent."""
    folder = Path(os.environ.get("QINGLAN_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}: set QINGLAN_TEST_DATA")
    return folder


@dataclass(frozen=True)
class Engine:
    """An Ibis backend with a door for test tables: through Parquet, as in the lake, so that null stays null."""

    name: str
    connection: Any
    folder: Path

    def load(self, data: pa.Table | dict[str, list[Any]], schema: pa.Schema | None = None) -> ir.Table:
        table = data if isinstance(data, pa.Table) else pa.table(data, schema=schema)
        path = self.folder / f"t{len(list(self.folder.iterdir()))}.parquet"
        pq.write_table(table, path)
        return self.connection.read_parquet(str(path))

    def rows(self, expression: ir.Table, *order: str) -> list[dict[str, Any]]:
        """Result as dictionaries, ordered by the named columns."""
        if order:
            expression = expression.order_by(list(order))
        return self.connection.to_pyarrow(expression).to_pylist()


@pytest.fixture(scope="session")
def duckdb_engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return Engine("duckdb", ibis.duckdb.connect(threads=2), tmp_path_factory.mktemp("duckdb"))


@pytest.fixture(scope="session")
def spark_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A Spark standalone cluster in small: one master, two worker processes, on this machine."""
    pytest.importorskip("pyspark", reason="PySpark is not installed: pip install 'qinglan[spark]'")
    if shutil.which("java") is None:
        pytest.skip("no Java for Spark")
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    from pyspark.sql import SparkSession

    folder = tmp_path_factory.mktemp("spark")
    settings = {
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.local.dir": str(folder / "local"),
    }
    builder = SparkSession.builder.master("local-cluster[2,1,1024]").appName("qinglan-tests")
    for key, value in settings.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    tables = folder / "tables"
    tables.mkdir()
    yield Engine("spark", ibis.pyspark.connect(session), tables)
    session.stop()


@pytest.fixture(
    scope="session",
    params=["duckdb", pytest.param("spark", marks=[pytest.mark.spark, pytest.mark.xdist_group("spark")])],
)
def engine(request: pytest.FixtureRequest) -> Engine:
    """The same test on both engines."""
    return request.getfixturevalue(f"{request.param}_engine")


@pytest.fixture(scope="session")
def rules() -> Callable[..., Any]:
    """``rules("2025-06-30", hj663={"mda8_window": ...})``: the rule books on a date, under options."""
    from datetime import date

    from qinglan.plan.rules import rules_on

    def on(day: str, **options: dict[str, str]) -> Any:
        return rules_on(date.fromisoformat(day), options or None)

    return on
