"""Shared fixtures: the two engines that every table function must agree on, and the real data when it is there."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
import zlib
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


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The longest first, so that no worker is left alone with them: the cluster's tests, then the browser's.

    ``QINGLAN_SAMPLE=4`` keeps of those marked slow, and of those on the cluster (each runs on DuckDB too),
    one in four, always the same ones; what is left out is counted as deselected. `make test` alone runs them all.
    """
    every = int(os.environ.get("QINGLAN_SAMPLE", "1"))
    if every > 1:
        left = [i for i in items if _is_long(i) and zlib.crc32(i.nodeid.encode()) % every]
        config.hook.pytest_deselected(items=left)
        gone = {i.nodeid for i in left}
        items[:] = [i for i in items if i.nodeid not in gone]
    items.sort(key=lambda item: 0 if _on_spark(item.nodeid) else 1 if item.get_closest_marker("browser") else 2)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A module stays on one worker, and all that is asked of Spark on one too: a second cluster costs more."""
    from xdist.scheduler import LoadScopeScheduling

    config.option.loadscopereorder = False  # by number of tests: it would put the longest of them last

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return "spark" if _on_spark(nodeid) else super()._split_scope(nodeid)

    return Scheduling(config, log)


def _is_long(item: pytest.Item) -> bool:
    return _on_spark(item.nodeid) or item.get_closest_marker("slow") is not None


def _on_spark(nodeid: str) -> bool:
    """Whether a test runs with the parameter ``spark`` of `engine`."""
    return re.search(r"\[(.*-)?spark(-.*)?\]$", nodeid) is not None


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
        # A handful of rows is read before a compiler has paid for itself.
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1",
        "spark.executor.extraJavaOptions": "-XX:TieredStopAtLevel=1",
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
    params=["duckdb", pytest.param("spark", marks=pytest.mark.spark)],
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


@dataclass(frozen=True)
class PostgresServer:
    """A PostgreSQL server of this test session, reached through a socket in its own folder."""

    socket: Path
    user: str = "qinglan"

    def url(self, database: str) -> str:
        return f"postgresql://{self.user}@/{database}?host={self.socket}"

    def run(self, statement: str, database: str = "postgres") -> list[Any]:
        """One statement outside any transaction; its rows."""
        import psycopg

        with psycopg.connect(host=str(self.socket), user=self.user, dbname=database, autocommit=True) as con:
            found = con.execute(statement)  # type: ignore[arg-type]
            return found.fetchall() if found.description else []

    def database(self, template: str = "template0", collation: str = "C") -> str:
        """A fresh database; its name."""
        name = f"q{uuid.uuid4().hex[:12]}"
        kind = f"ENCODING 'UTF8' LC_COLLATE '{collation}' LC_CTYPE '{collation}'"
        self.run(f"CREATE DATABASE {name} TEMPLATE {template} {kind}")
        return name


def _postgres_programs() -> Path | None:
    """Folder of initdb and postgres: on PATH, or where Debian keeps them; the newest."""
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).resolve().parent
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: float(p.parts[-3]))
    return found[-1].parent if found else None


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A real server for the session, without any network port; as root it would not start, so it is not root."""
    programs = _postgres_programs()
    if programs is None:
        pytest.skip("PostgreSQL's initdb is neither on PATH nor under /usr/lib/postgresql")
    pytest.importorskip("psycopg", reason="the driver is not installed: pip install 'qinglan[postgres]'")
    folder = Path(tempfile.mkdtemp(prefix="qinglan-pg-"))
    identity: dict[str, Any] = {}
    if os.geteuid() == 0:
        someone = pwd.getpwnam("nobody")
        shutil.chown(folder, someone.pw_uid, someone.pw_gid)
        identity = {"user": someone.pw_uid, "group": someone.pw_gid, "extra_groups": []}
    data = folder / "data"
    made = [
        programs / "initdb",
        "-D",
        data,
        "-U",
        "qinglan",
        "-A",
        "trust",
        "-E",
        "UTF8",
        "--locale=C",
        "--no-sync",
    ]
    subprocess.run(made, check=True, capture_output=True, cwd=folder, **identity)
    options = {
        "listen_addresses": "",
        "unix_socket_directories": str(folder),
        "fsync": "off",
        "max_connections": "60",
    }
    given = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([programs / "postgres", "-D", data, *given], cwd=folder, stderr=log, **identity)
    server = PostgresServer(folder)
    try:
        _await_postgres(server, process, folder / "log")
        yield server
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)
        shutil.rmtree(folder, ignore_errors=True)


def _await_postgres(server: PostgresServer, process: subprocess.Popen[bytes], log: Path) -> None:
    import psycopg

    for _ in range(300):
        try:
            server.run("SELECT 1")
        except psycopg.OperationalError:
            assert process.poll() is None, log.read_text(errors="replace")
            time.sleep(0.1)
        else:
            return
    raise AssertionError(log.read_text(errors="replace"))


@pytest.fixture(scope="session")
def postgres_registry_template(postgres: PostgresServer) -> str:
    """A database with an empty registry, to be copied for each test."""
    from qinglan.store.registry import Registry

    name = postgres.database()
    Registry(postgres.url(name)).close()
    return name


@pytest.fixture(params=["sqlite", "postgresql"])
def registry_place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path | str]:
    """Where a registry lies, on both engines: the same test on each."""
    if request.param == "sqlite":
        yield tmp_path / "registry.sqlite"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    name = server.database(request.getfixturevalue("postgres_registry_template"))
    yield server.url(name)
    server.run(f"DROP DATABASE {name} WITH (FORCE)")
