"""The API beside datasette over the same hours: a day of a station, all stations at once, a year of a station.

Both serve in this run, one after the other in turns, to the same load. QINGLAN_BENCH_HOME names a workspace with a
run; without it the simulated province of three years is made once.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from urllib.parse import quote

from benchmarks.loading import Load, Marks
from benchmarks.racing import Bench
from qinglan.core.names import HOURLY_ITEMS
from qinglan.flow import series, views
from qinglan.flow.workspace import open_workspace

CLIENTS, SECONDS = 4, 6.0
YEAR = 8_760


@dataclass(frozen=True)
class Served:
    """A server that runs, and how it is asked for each job: from a station and the end of an hour to a path."""

    name: str
    port: int
    pid: int
    day: Callable[[str, datetime], str]
    snapshot: Callable[[str, datetime], str]
    year: Callable[[str, datetime], str]


def run(bench: Bench) -> list[Marks]:
    """Three jobs; asked 3 times datasette's requests a second in each."""
    home = workspace_of(bench)
    workspace = open_workspace(home)
    hours = series.open_series(workspace, views.current(workspace).folder)
    table = bench.data(f"hours-{hours.index['checked'][:12]}", lambda made: into_sqlite(hours, made)) / "hours.db"
    seconds = 0.5 if bench.quick else SECONDS
    bench.say(f"\napi: {hours.index['rows']:,} hours of {len(hours.stations)} stations; {CLIENTS} clients, "
              f"keep-alive, {seconds:g} s each")  # fmt: skip
    found: list[Marks] = []
    with ours(home) as mine, theirs(table) as other:
        for job, few in (("day", False), ("snapshot", False), ("year", False), ("year", True)):
            marks, cost = [], []
            for server in (mine, other):
                asked = paths(server, job, hours, few=few)
                warm = Load(server.port, asked, clients=2, seconds=min(1.0, seconds)).run()
                assert warm.failed == 0, (server.name, job, warm.failed)
                used = cpu_seconds(server.pid)
                marks.append(Load(server.port, asked, clients=CLIENTS, seconds=seconds).run())
                cost.append(1000 * (cpu_seconds(server.pid) - used) / max(1, len(marks[-1].latencies)))
            same(mine, other, job, hours)
            title = {"day": "24 h of a station", "snapshot": "all stations at one hour",
                     "year": f"one station-year of {YEAR:,} hours"}[job]  # fmt: skip
            how = "20 addresses over and over (kept answers)" if few else "an address hardly ever twice"
            bench.say(f"\n{title}, {how}")
            for server, mark, work in zip((mine, other), marks, cost, strict=True):
                bench.say(
                    f"  {server.name:24s}{mark.line()}  peak {peak_mb(server.pid):.0f} MB, {work:.2f} ms CPU each"
                )
            more, less = marks[0].rate / max(marks[1].rate, 1e-9), cost[1] / max(cost[0], 1e-9)
            bench.say(f"  {more:.1f} times datasette (asked: 3); by CPU {less:.1f} times")
            found += marks
        found.append(sensorthings(bench, mine, seconds))
    return found


def sensorthings(bench: Bench, server: Served, seconds: float) -> Marks:
    """The last hour of every station and item in one question of SensorThings, never the same address twice.

    No race: what such servers take for it stands in their own issues (FROST-Server #287, #2096: minutes).
    """
    latest = "Observations($top=1;$orderby=phenomenonTime%20desc)"
    asked = f"/sensorthings/v1.1/Things?$expand=Datastreams($expand={latest})"
    Load(server.port, (f"{asked}&warm={k}" for k in count()), clients=2, seconds=min(1.0, seconds)).run()
    marks = Load(server.port, (f"{asked}&n={k}" for k in count()), clients=CLIENTS, seconds=seconds).run()
    assert marks.failed == 0, marks.failed
    bench.say(f"\nSensorThings: the last hour of every station and item in one question\n"
              f"  {server.name:24s}{marks.line()}  peak {peak_mb(server.pid):.0f} MB")  # fmt: skip
    return marks


def workspace_of(bench: Bench) -> Path:
    """The workspace that is served."""
    given = os.environ.get("QINGLAN_BENCH_HOME")
    if given:
        return Path(given)

    def make(made: Path) -> None:
        command = [sys.executable, "-m", "qinglan", "--home", str(made / "home"), "run", "--demo"]
        subprocess.run(command, check=True, capture_output=True)

    return bench.data("province", make) / "home"


def into_sqlite(hours: series.Series, made: Path) -> None:
    """The same rows as a table of SQLite with an index on station and time, and one on time."""
    with sqlite3.connect(made / "hours.db") as con:
        con.execute(
            f"create table hours (station text, time text, {', '.join(f'{i} real' for i in HOURLY_ITEMS)})"
        )
        for station in hours.stations:
            table = hours.hours(station).table()
            times = [text(t) for t in table["time"].to_pylist()]
            values = (table[i].to_pylist() for i in HOURLY_ITEMS)
            rows = zip(table["station"].to_pylist(), times, *values, strict=True)
            con.executemany(f"insert into hours values ({', '.join('?' * (2 + len(HOURLY_ITEMS)))})", rows)
        con.execute("create index by_station on hours (station, time)")
        con.execute("create index by_time on hours (time)")
        con.execute("analyze")


def paths(server: Served, job: str, hours: series.Series, *, few: bool) -> Iterator[str]:
    """Addresses without end, drawn alike for both: any station, any hour of the last two years."""
    draw, stations = random.Random(7), hours.stations
    assert hours.newest is not None
    span = 24 * 400
    known = [(draw.choice(stations), hours.newest - timedelta(hours=draw.randrange(span))) for _ in range(20)]
    while True:
        if few:
            station, end = draw.choice(known)
        else:
            station, end = draw.choice(stations), hours.newest - timedelta(hours=draw.randrange(span))
        yield getattr(server, job)(station, end)


def text(time: datetime) -> str:
    """An instant as both write it."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@contextmanager
def ours(home: Path) -> Iterator[Served]:
    """Our server, one process."""

    def day(station: str, end: datetime) -> str:
        start = end - timedelta(hours=23)
        return f"/api/v1/stations/{station}/hours?start={text(start)}&end={text(end)}&format=columns"

    def year(station: str, end: datetime) -> str:
        start = end - timedelta(hours=YEAR - 1)
        return f"/api/v1/stations/{station}/hours?start={text(start)}&end={text(end)}&format=columns&limit={YEAR}"

    def snapshot(station: str, end: datetime) -> str:
        return f"/api/v1/stations/latest?time={text(end)}&format=columns"

    port = free_port()
    command = [sys.executable, "-c", SERVE, str(home), str(port)]
    with running(command, port, {"QINGLAN_API_RATE": ""}) as pid:
        yield Served("Qinglan, one process", port, pid, day, snapshot, year)


#: One worker of uvicorn with its usual loop and parser; no log of requests on either side.
SERVE = """
import logging, structlog, sys, uvicorn
from pathlib import Path
structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
from qinglan.web import create_app
uvicorn.run(create_app(Path(sys.argv[1])), host="127.0.0.1", port=int(sys.argv[2]), log_level="warning",
            access_log=False)
"""


@contextmanager
def theirs(database: Path) -> Iterator[Served]:
    """datasette over the table, with its answers as arrays and no limit of rows in the way."""
    columns = ", ".join(("time", *HOURLY_ITEMS))

    def query(sql: str, **values: str) -> str:
        given = "".join(f"&{k}={quote(v)}" for k, v in values.items())
        return f"/hours.json?sql={quote(sql)}&_shape=arrays{given}"

    between = f"select {columns} from hours where station = :s and time >= :a and time <= :b order by time"

    def day(station: str, end: datetime) -> str:
        return query(between, s=station, a=text(end - timedelta(hours=23)), b=text(end))

    def year(station: str, end: datetime) -> str:
        return query(between, s=station, a=text(end - timedelta(hours=YEAR - 1)), b=text(end))

    def snapshot(station: str, end: datetime) -> str:
        return query("select * from hours where time = :t order by station", t=text(end))

    port = free_port()
    command = [sys.executable, "-c", DATASETTE, str(database), str(port)]
    with running(command, port, {}) as pid:
        yield Served("datasette, one process", port, pid, day, snapshot, year)


#: datasette's application under the same server as ours, without its access log, its file opened as immutable.
DATASETTE = """
import sys, uvicorn
from datasette.app import Datasette
settings = {"max_returned_rows": 10000, "sql_time_limit_ms": 10000}
uvicorn.run(Datasette(immutables=[sys.argv[1]], settings=settings).app(), host="127.0.0.1", port=int(sys.argv[2]),
            log_level="warning", access_log=False)
"""


@contextmanager
def running(command: Sequence[str], port: int, environment: dict[str, str]) -> Iterator[int]:
    """A server in a process of its own while it is asked; its process id."""
    quiet = subprocess.DEVNULL
    server = subprocess.Popen(command, env={**os.environ, **environment}, stdout=quiet, stderr=quiet)
    try:
        give_up = time.monotonic() + 60
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if server.poll() is not None or time.monotonic() > give_up:
                raise RuntimeError(f"{command[0]} did not begin to serve")
            time.sleep(0.1)
        yield server.pid
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()


def free_port() -> int:
    """A port that nobody has."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def peak_mb(pid: int) -> float:
    """Largest resident size of a process so far [MB], mapped files included; 0 where the system does not tell."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return 0.0
    return next(
        int(line.split()[1]) / 1024 for line in status.read_text().splitlines() if line.startswith("VmHWM:")
    )


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far [s]; 0 where the system does not tell."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        return 0.0
    told = stat.read_text().rsplit(")", 1)[1].split()
    return (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")


def same(mine: Served, other: Served, job: str, hours: series.Series) -> None:
    """Both must say the same numbers."""
    import httpx

    assert hours.newest is not None
    station, end = hours.stations[1], hours.newest - timedelta(hours=30)
    one = httpx.get(f"http://127.0.0.1:{mine.port}{getattr(mine, job)(station, end)}").json()
    two = httpx.get(f"http://127.0.0.1:{other.port}{getattr(other, job)(station, end)}").json()
    if job == "snapshot":
        left = sorted(zip(*(one["columns"][name] for name in ("station", *HOURLY_ITEMS)), strict=True))
        at = [two["columns"].index(name) for name in ("station", *HOURLY_ITEMS)]
        right = sorted(tuple(row[k] for k in at) for row in two["rows"])
    else:
        left = list(zip(*(one["columns"][name] for name in ("time", *HOURLY_ITEMS)), strict=True))
        right = [tuple(row) for row in two["rows"]]
    assert left, job
    assert left == right, (job, left[:1], right[:1])
