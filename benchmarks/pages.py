"""Every page of the console, the common reads of the API and the public pages under a steady load, and the memory.

Two workers, as `qinglan serve --workers 2` starts them, over a copy of the workspace; somebody of the province is
signed in. Requests begin at even distances whatever the answers do (an open loop), and latency counts from when a
request was due: a server that stalls pays for all who waited. Every page is asked as often as every other one,
with parameters drawn evenly over all that the province has, so that hardly an address comes twice; pages with one
address come again. What is computed and no page, an evaluation of free days, is asked for three spans only.

QINGLAN_BENCH_HOME names a workspace with a run; without it the simulated province of three years is made once.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import addresses
from benchmarks.api import cpu_seconds, free_port, workspace_of
from benchmarks.loading import Load, Marks
from benchmarks.racing import Bench
from qinglan.access import Grant
from qinglan.flow import accounts, publications, views
from qinglan.flow.workspace import Workspace, open_workspace
from qinglan.web import create_app
from qinglan.web.access import doors
from qinglan.web.identify import COOKIE

WORKERS, SECONDS = 2, 60.0
#: Times that each page is asked before the load.
WARM = 8
#: name of a load: requests a second, and the p95 that was asked [ms].
ASKED = {"pages": (50.0, 150.0), "api": (50.0, 50.0), "public": (300.0, 30.0)}
USER = "bench"


@dataclass
class Memory:
    """Resident memory of the workers [MB] over a load: what is their own, and with the files that they map."""

    own: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)

    def look(self, pids: list[int]) -> None:
        """Add a reading of all workers together."""
        told = [_status(pid) for pid in pids]
        self.own.append(sum(t.get("RssAnon", 0) for t in told) / 1024)
        self.whole.append(sum(t.get("VmRSS", 0) for t in told) / 1024)

    def line(self) -> str:
        """Start, middle and end."""
        at = (0, len(self.own) // 2, -1)
        return "memory of the workers at the start, in the middle and at the end: " + ", ".join(
            f"{self.own[k]:.0f} MB ({self.whole[k]:.0f} with mapped files)" for k in at
        )


def run(bench: Bench) -> dict[str, dict[str, Marks]]:
    """The three loads; marks by load and page."""
    home = bench.scratch("pages") / "home"
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(workspace_of(bench), home)
    workspace = open_workspace(home)
    token = prepare(workspace)
    known = addresses.province(workspace)
    routes = (d.path for d in doors(create_app(workspace)) if "GET" in d.methods)
    if lost := addresses.unknown(routes):
        bench.say(f"pages that nobody knows how to ask, left out: {', '.join(lost)}")
    workspace.registry.close()
    seconds = 3.0 if bench.quick else SECONDS
    loads = {"pages": addresses.PAGES, "api": addresses.API, "public": addresses.PUBLIC}
    found = {}
    with served(home) as (port, pids, waited):
        bench.say(f"\npages: {WORKERS} workers answered {waited:.1f} s after the start; {os.cpu_count()} cores, "
                  f"load {os.getloadavg()[0]:.1f}")  # fmt: skip
        for name, makers in loads.items():
            rate, limit = ASKED[name]
            rate = rate / 5 if bench.quick else rate
            headers = {} if name == "public" else {"Cookie": f"{COOKIE}={token}"}
            _once(port, makers, known, headers, 1 if bench.quick else WARM)
            used = sum(map(cpu_seconds, pids))
            found[name], memory = _loaded(port, pids, makers, known, headers, rate, seconds)
            _table(bench, f"{name}: {rate:g} requests/s for {seconds:g} s", found[name], limit)
            used, n = sum(map(cpu_seconds, pids)) - used, sum(len(m.latencies) for m in found[name].values())
            bench.say(f"  {1000 * used / max(1, n):.1f} ms of processor time for each; {memory.line()}")
    return found


def prepare(workspace: Workspace) -> str:
    """Somebody who sees all pages, and bulletins to look at; the token of his session."""
    now, registry = datetime.now(UTC), workspace.registry
    grants = [Grant("administrator"), Grant("province", workspace.settings.place)]
    accounts.add_user(registry, USER, "测评", grants, who=USER, now=now, password="only for this copy, 1")
    result = views.current(workspace)
    months = [p.label for p in views.periods(result) if len(p.label) == 7 and p.label[4] == "-"][:2]
    for kind, period in (*(("monthly", label) for label in months), ("daily", result.verdict["as_of"])):
        publications.draft(workspace, kind, period, who=USER, at=now)
    return accounts.open_session(registry, USER, stage="open", via="password", now=now, agent="", address="")


@contextmanager
def served(home: Path) -> Iterator[tuple[int, list[int], float]]:
    """Our server as an office runs it, without jobs: its port, its workers, and how long until it answered [s]."""
    port = free_port()
    command = [sys.executable, "-m", "qinglan", "--home", str(home), "serve", "--workers", str(WORKERS), "--port",
               str(port), "--no-jobs"]  # fmt: skip
    begun = time.monotonic()
    quiet = subprocess.DEVNULL
    server = subprocess.Popen(command, env={**os.environ, "QINGLAN_API_RATE": ""}, stdout=quiet, stderr=quiet)
    try:
        _await(port, server, begun + 120)
        waited = time.monotonic() - begun
        yield port, _workers(server.pid), waited
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()


def _await(port: int, server: subprocess.Popen[bytes], until: float) -> None:
    """Wait for the first answer."""
    while time.monotonic() < until:
        if server.poll() is not None:
            raise RuntimeError("the server ended")
        with socket.socket() as probe:
            probe.settimeout(until - time.monotonic())
            try:
                probe.connect(("127.0.0.1", port))
                probe.sendall(b"GET /public HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n")
                if probe.recv(9) == b"HTTP/1.1 ":
                    return
            except OSError:
                time.sleep(0.05)
    raise RuntimeError("the server did not begin to answer")


def _workers(pid: int) -> list[int]:
    """The processes that answer: children that hold an application in memory."""
    found = Path(f"/proc/{pid}/task/{pid}/children")
    children = [int(n) for n in found.read_text().split()] if found.exists() else []
    return sorted(sorted(children, key=lambda n: -_status(n).get("VmRSS", 0))[:WORKERS])


def _status(pid: int) -> Mapping[str, int]:
    """Numbers of a process's status [kB]; nothing where the system does not tell."""
    path = Path(f"/proc/{pid}/status")
    if not path.exists():
        return {}
    lines = (line.split() for line in path.read_text().splitlines() if line.endswith(" kB"))
    return {line[0].rstrip(":"): int(line[1]) for line in lines}


def _once(
    port: int,
    makers: Mapping[str, addresses.Maker],
    known: addresses.Province,
    headers: dict[str, str],
    times: int,
) -> None:
    """Ask every page some times, so that hardly a worker loads what it needs for the first time."""
    draw = addresses.drawn(makers, known, seed=1)
    some = iter([next(draw) for _ in range(times * len(makers))])
    Load(port, some, clients=4, seconds=300, headers=headers).run()


def _loaded(
    port: int, pids: list[int], makers: Mapping[str, addresses.Maker], known: addresses.Province,
    headers: dict[str, str], rate: float, seconds: float,
) -> tuple[dict[str, Marks], Memory]:  # fmt: skip
    """One load: marks by page, and what became of the workers' memory."""
    memory = Memory()
    paths = addresses.drawn(makers, known, seed=random.Random(7).randrange(10**6))
    load = Load(port, paths, clients=64, seconds=seconds, rate=rate, gzip=True, headers=headers,
                watch=lambda: memory.look(pids))  # fmt: skip
    load.run()
    return load.by_name, memory


def _table(bench: Bench, title: str, found: Mapping[str, Marks], limit: float) -> None:
    """A line for each page, the slowest first, and one for all."""
    bench.say(f"\n{title} (open loop; latency from when a request was due)")
    bench.say(f"  {'':58s}{'n':>6s}{'p50 ms':>8s}{'p95 ms':>8s}{'max ms':>8s}{'errors':>8s}")
    whole = Marks()
    for marks in found.values():
        whole.latencies += marks.latencies
        whole.failed += marks.failed
    rows = sorted(found.items(), key=lambda each: -each[1].percentile(95))
    for name, marks in [*rows, ("all", whole)]:
        bench.say(f"  {name:58s}{len(marks.latencies):6d}{marks.percentile(50):8.1f}{marks.percentile(95):8.1f}"
                  f"{1000 * max(marks.latencies, default=0):8.0f}{marks.failed:8d}")  # fmt: skip
    over = [name for name, marks in rows if marks.percentile(95) > limit]
    bench.say(
        f"  p95 of all {whole.percentile(95):.1f} ms (asked: {limit:g}); over it: {', '.join(over) or 'none'}"
    )
