"""A small simulated province with a run, read through the API."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from qinglan.access import DEMO, PUBLIC
from qinglan.flow.run import run
from qinglan.flow.simulate import simulate_into
from qinglan.flow.views import Result, current
from qinglan.flow.workspace import Settings, Workspace, init
from qinglan.plan.places import load_stations
from qinglan.web import create_app
from qinglan.web.api import ApiSettings

NOW = datetime(2026, 1, 5, 2, tzinfo=UTC)
STATIONS = ("1480A", "1481A", "3867A")


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Two months of three stations, judged."""
    home: Path = tmp_path_factory.mktemp("api") / "home"
    opened = init(home, Settings(simulated=True))
    chosen = [s for s in load_stations("qinghai") if s.station in STATIONS]
    simulate_into(opened, date(2025, 11, 1), date(2025, 12, 31), stations=chosen)
    run(opened, now=NOW)
    return opened


@pytest.fixture(scope="session")
def result(workspace: Workspace) -> Result:
    """Its current run."""
    return current(workspace)


@pytest.fixture(scope="session")
def api(workspace: Workspace) -> TestClient:
    """The demo visitor's client, without a limit on his requests."""
    app = create_app(workspace, clock=lambda: NOW, identify=lambda request: DEMO, api=ApiSettings(rate=""))
    return TestClient(app, base_url="http://127.0.0.1")


@pytest.fixture(scope="session")
def public(workspace: Workspace) -> TestClient:
    """The public's client: ten requests in a minute."""
    settings = ApiSettings(rate="10/minute", origins=("https://map.example",))
    app = create_app(workspace, clock=lambda: NOW, identify=lambda request: PUBLIC, api=settings)
    return TestClient(app, base_url="http://127.0.0.1")
