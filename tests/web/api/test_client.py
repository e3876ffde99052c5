"""The typed client against the real application. Source: the API's own document; the series of the run."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx
import pytest
from starlette.testclient import TestClient

from qinglan.client import ApiError, Client
from qinglan.core.errors import NotFound, UsageError
from qinglan.flow import series
from qinglan.flow.views import Result
from qinglan.flow.workspace import Workspace


@pytest.fixture
def client(api: TestClient) -> Client:
    return Client("http://127.0.0.1", http=api)


def test_records_and_pages(client: Client, result: Result) -> None:
    assert {s.station for s in client.stations()} == {"1480A", "1481A", "3867A"}
    assert [s.place for s in client.stations(place="630100")] == ["630100", "630100"]
    assert {p.place for p in client.places(level="prefecture")} == {"630100", "630200"}
    latest = client.latest(place="630100")
    assert latest[0].time.tzinfo is not None
    assert latest[0].pm10 is not None
    days = list(client.rows("/stations/1480A/days", limit=9))
    assert days == list(client.station_days("1480A"))
    assert len(days) == 61
    assert all(r["in_force"] for r in client.place_aqi("630100"))
    assert [t["id"] for t in client.targets()] == [t["id"] for t in result.verdict["targets"]]
    assert client.run()["run"]["id"] == result.run_id


def test_hours_become_frames(
    client: Client, workspace: Workspace, result: Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qinglan.client.client._PAGE", 400)
    start = datetime(2025, 11, 1, tzinfo=UTC)
    hours = client.hours("1480A", start, items=["pm10", "o3"])
    want = series.open_series(workspace, result.folder).between("1480A", start, None).table(("o3", "pm10"))
    assert len(hours) == want.num_rows > 1000
    assert hours.to_arrow()["pm10"].to_pylist() == want["pm10"].to_pylist()
    frame = hours.to_polars()
    assert frame.columns == ["time", "o3", "pm10"]
    assert frame["time"].to_list() == want["time"].to_pylist()
    assert hours.units == {"o3": "µg/m³", "pm10": "µg/m³"}
    assert len(client.hours("1480A")) == 24


def test_errors_are_of_our_tree(client: Client, public: TestClient) -> None:
    with pytest.raises(NotFound, match="1481A"):
        client.hours("9999A")
    with pytest.raises(UsageError, match="pm25"):
        client.hours("1480A", items=["pm25"])
    with pytest.raises(UsageError, match="time zone"):
        client.hours("1480A", datetime(2025, 11, 1))  # noqa: DTZ001
    with pytest.raises(ApiError) as refused:
        list(Client("http://127.0.0.1", http=public).tasks())
    assert refused.value.status in (401, 429)
    with pytest.raises(ApiError, match="does not answer") as silent, Client("http://127.0.0.1:9") as nobody:
        nobody.run()
    assert silent.value.status == 0


def test_a_key_goes_with_every_request() -> None:
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["authorization"])
        return httpx.Response(200, json={"run": {"id": "x"}})

    with Client(
        "http://office.example/", key="k", http=httpx.Client(transport=httpx.MockTransport(answer))
    ) as air:
        air.run()
    assert seen == ["Bearer k"]
