"""Serving: workers, a calm end, health, measurements, logs. Source: docs/design/0008-operations.md, §4."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.testclient import TestClient

from qinglan.access import Grant, Principal
from qinglan.core.errors import UsageError
from qinglan.flow import operations
from qinglan.flow.run import run
from qinglan.flow.simulate import simulate_into
from qinglan.flow.workspace import Settings, init, open_workspace
from qinglan.plan.places import load_stations
from qinglan.web import create_app, serve
from qinglan.web.server import Serving

NOW = datetime(2025, 2, 1, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A month of six stations of the simulated province, judged."""
    made = init(tmp_path_factory.mktemp("operations") / "home", Settings(simulated=True))
    simulate_into(made, date(2025, 1, 1), date(2025, 1, 31), stations=load_stations("qinghai")[:6])
    run(made, now=NOW)
    return made.home


def client(home: Path, address: str = "127.0.0.1", who: Principal | None = None) -> TestClient:
    app = create_app(home, clock=lambda: NOW, identify=(lambda _request: who) if who else None)
    return TestClient(app, base_url="http://127.0.0.1", client=(address, 40000))


def test_ready_when_registry_run_and_disk_hold(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asking = client(home)
    answer = asking.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (200, "ready")
    assert answer.headers["cache-control"] == "no-store"
    monkeypatch.setattr(operations, "ENOUGH", 10**18)
    full = asking.get("/readyz")
    assert (full.status_code, full.json()["checks"]["disk"]) == (503, False)

    def away(_workspace: Any) -> bool:
        raise OSError("postgresql://db.inside is away")

    monkeypatch.setattr(operations, "registry_answers", away)
    told = asking.get("/readyz")
    assert (told.status_code, told.json()["checks"]["registry"]) == (503, False)
    assert "db.inside" not in told.text
    assert asking.get("/healthz").json()["status"] == "ok"


def test_measurements_are_for_this_machine_and_for_administrators(home: Path) -> None:
    assert client(home).get("/metrics").status_code == 200
    outside = client(home, "10.0.0.9")
    assert outside.get("/metrics").status_code in (401, 403)
    proxied = client(home).get("/metrics", headers={"x-forwarded-for": "10.0.0.9"})
    assert proxied.status_code in (401, 403)
    someone = Principal("li", "李", (Grant("administrator"),))
    assert client(home, "10.0.0.9", someone).get("/metrics").status_code == 200


def value(text: str, name: str, **labels: str) -> float:
    """The sum over all series of a name with these labels."""
    found = 0.0
    for line in text.splitlines():
        match = re.fullmatch(r"([a-z_]+)(?:\{(.*)\})? (\S+)", line)
        if match and match[1] == name and all(f'{k}="{v}"' in (match[2] or "") for k, v in labels.items()):
            found += float(match[3])
    return found


def test_requests_are_counted_by_pattern(home: Path) -> None:
    asking = client(home)
    before = asking.get("/metrics").text
    asking.get("/healthz")
    asking.get("/healthz?secret=1")
    asking.get("/places/630100")
    asking.get("/nowhere/1")
    asking.get("/nowhere/2")
    after = asking.get("/metrics").text

    def grown(name: str, **labels: str) -> float:
        return value(after, name, **labels) - value(before, name, **labels)

    assert grown("qinglan_requests_total", route="/healthz", method="GET", status="200") == 2
    assert grown("qinglan_requests_total", route="unmatched", status="404") == 2
    assert grown("qinglan_request_seconds_count", route="/places/{code}") == 1
    assert "secret" not in after
    assert "630100" not in after
    assert value(after, "qinglan_run_timestamp_seconds") > 1.7e9
    assert value(after, "qinglan_disk_free_bytes") > 0


def test_each_answer_has_its_number(home: Path) -> None:
    numbers = {client(home).get("/healthz").headers["x-request-id"] for _ in range(3)}
    assert len(numbers) == 3


@pytest.mark.parametrize("workers", [0, 65])
def test_a_senseless_number_of_workers_is_refused(home: Path, workers: int) -> None:
    with pytest.raises(UsageError, match=rf"{workers} workers is not in 1..64"):
        serve(home, how=Serving(workers=workers))


@dataclass(frozen=True)
class Running:
    """A server in its own process group; `lines` is what it logged."""

    process: subprocess.Popen[str]
    base: str
    log: Path

    def lines(self) -> list[dict[str, Any]]:
        text = self.log.read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines() if line.startswith("{")]

    def stop(self, how: int = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        return self.process.wait(40)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def wait_for(found: Callable[[], Any], seconds: float = 150) -> None:
    give_up = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < give_up
        time.sleep(0.1)


def answers(base: str) -> bool:
    try:
        return httpx.get(f"{base}/healthz", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


@contextmanager
def serving(home: Path, log: Path, *options: str) -> Iterator[Running]:
    """`qinglan serve` as it is started on a machine."""
    port = free_port()
    code = "import sys; from qinglan.cli import main; main(sys.argv[1:])"
    words = [sys.executable, "-c", code, "--home", str(home), "serve", "--port", str(port), "--log-json", *options]
    with log.open("w") as out:
        process = subprocess.Popen(words, stderr=out, stdout=out, text=True, start_new_session=True)
    made = Running(process, f"http://127.0.0.1:{port}", log)
    try:
        wait_for(lambda: process.poll() is not None or answers(made.base))
        assert process.poll() is None, log.read_text()
        yield made
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(20)


def children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in found.split()]


def alive(pid: int) -> bool:
    """A process that is there and not merely waiting to be buried."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_several_workers_serve_count_together_and_end_calmly(home: Path, tmp_path: Path) -> None:
    with serving(home, tmp_path / "log", "--workers", "2") as server:
        wait_for(lambda: len(children(server.process.pid)) >= 3)  # two workers, jobs (and a resource tracker)
        for _ in range(20):  # a connection each, so that both workers take some
            answer = httpx.get(f"{server.base}/today", headers={"connection": "close"}, timeout=60)
            assert answer.status_code == 200
        text = httpx.get(f"{server.base}/metrics").text
        assert value(text, "qinglan_requests_total", route="/today") == 20
        assert server.stop() == 0
        assert not answers(server.base)
    logged = [line for line in server.lines() if line.get("event") == "request" and line["route"] == "/today"]
    assert len(logged) == 20
    assert {line["status"] for line in logged} == {200}
    assert set(logged[0]) >= {"id", "method", "route", "status", "ms", "principal", "timestamp", "level"}


SLOW = """
import sys, time
from pathlib import Path
from fastapi import FastAPI
from qinglan.web import app, server

def slow(*_given, **_more):
    made = FastAPI()
    made.get("/healthz")(lambda: "ok")
    made.get("/slow")(lambda: time.sleep(2) or "done")
    return made

app.create_app = slow
server.serve(Path(sys.argv[1]), port=int(sys.argv[2]), how=server.Serving(jobs=False))
"""


def test_a_running_request_is_ended_before_the_server_is(home: Path) -> None:
    port = free_port()
    process = subprocess.Popen([sys.executable, "-c", SLOW, str(home), str(port)])
    base, told = f"http://127.0.0.1:{port}", []
    try:
        wait_for(lambda: answers(base))
        asking = threading.Thread(target=lambda: told.append(httpx.get(f"{base}/slow", timeout=30).text))
        asking.start()
        time.sleep(0.7)
        process.send_signal(signal.SIGTERM)
        asking.join(30)
        assert told == ['"done"']
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait(20)


def test_nothing_is_left_of_a_killed_server(home: Path, tmp_path: Path) -> None:
    with serving(home, tmp_path / "log", "--workers", "2") as server:
        wait_for(lambda: len(children(server.process.pid)) >= 3)
        family = children(server.process.pid)
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait(20)
        wait_for(lambda: not any(alive(pid) for pid in family))
    assert open_workspace(home).lake.verify() == []
