"""Today: one hour on map and table, what is wrong now, and honesty about old data."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from tests.web.conftest import NOW, Stub
from tests.web.test_pages import read

from qinglan.access import DEMO
from qinglan.flow import views
from qinglan.flow.views import today as view
from qinglan.web import create_app


@pytest.fixture(scope="module")
def result(home: Path) -> views.Result:
    """The fabricated run."""
    return views.current(Stub(home))


def test_an_incomplete_index_is_not_called_good() -> None:
    """HJ 633-2026: an index from fewer than six items is a lower bound; at 30 nobody knows, at 160 it is bad."""

    def row(aqi: int | None, level: int | None, state: str) -> dict:
        return {"aqi": aqi, "level": level, "aqi_state": state}

    said = view.headline(
        [
            row(40, 1, "complete"),
            row(30, 1, "incomplete"),
            row(160, 4, "incomplete"),
            row(None, None, "unavailable"),
        ]
    )
    assert (said["good"], said["judged"], said["unknown"]) == (1, 2, 2)
    assert said["counts"] == {1: 1, 4: 1}
    assert said["worst"]["aqi"] == 160


def test_the_silent_station_is_named(result: views.Result) -> None:
    """The fixture lets 2674A fall silent three hours before the newest hour; two hours are allowed."""
    assert [(row["station"], row["silent"]) for row in view.silent_stations(result)] == [
        ("2674A", timedelta(hours=3))
    ]


def test_what_is_wrong_links_to_where_it_is_put_right(client: TestClient) -> None:
    page = client.get("/today").text
    found = read(page)
    assert found.faults == []
    for href in ("/stations/2674A", "/data/rejects", "/plan", "/plan/tasks?status=overdue"):
        assert f'href="{href}"' in page, href
    assert "360" in "".join(found.text), "rows set aside"


def test_old_data_are_called_old(home: Path) -> None:
    def at(hours: float) -> str:
        made = create_app(Stub(home), clock=lambda: NOW + timedelta(hours=hours), identify=lambda request: DEMO)
        return TestClient(made, base_url="http://127.0.0.1").get("/today").text

    assert "数据已陈旧" not in at(0)
    assert "数据已陈旧" in at(1), "HJ 633-2026 5: out within an hour; at two hours and twenty minutes it is late"
    assert "不是现在的" in at(24 * 300)


def test_the_hour_is_chosen_without_a_script(client: TestClient) -> None:
    page = client.get("/today").text
    strip = re.findall(r'href="/today\?hour=(\d{4}-\d\d-\d\dT\d\d)" class="lv\d"', page)
    assert len(strip) == view.BACK
    older = client.get(f"/today?hour={strip[0]}").text
    assert strip[0].replace("T", " ") in older
    assert f"/today/map.json?hour={strip[0]}" in older
    steps = json.loads(re.search(r"data-hours=\"([^\"]*)\"", page)[1].replace("&#34;", '"'))
    assert len(steps) == view.BACK
    for text, address in (steps[0], steps[-1]):
        assert client.get(address).status_code == 200
        assert text[:10] in address


def test_the_map_shows_what_the_table_says(client: TestClient) -> None:
    hour = "2026-04-12T20"
    points = client.get(f"/today/map.json?hour={hour}").json()["features"]
    table = client.get(f"/today.csv?hour={hour}").content.decode("utf-8-sig").strip().split("\r\n")
    heads, *rows = [line.split(",") for line in table]
    stations = {row[heads.index("站点")]: row[heads.index("AQI")] for row in rows if row[heads.index("站点")]}
    drawn = {p["properties"]["href"].rpartition("/")[2]: p for p in points}
    assert {s: str(drawn[s]["properties"]["aqi"] or "") for s in stations} == stations
    assert drawn["630100"]["properties"]["kind"] == "place"
    # 630100: mean of 1480A, 1481A and 1482A; the control point 1483A stays out.
    assert drawn["630100"]["geometry"]["coordinates"] == [pytest.approx(101.8), pytest.approx(36.6)]


@pytest.mark.parametrize(
    ("hour", "status"), [("2020-01-01T01", 404), ("2026-04-12T25", 404), ("now", 422), ("2026-13-01T01", 422)]
)
def test_wrong_hours_are_refused(client: TestClient, hour: str, status: int) -> None:
    answer = client.get(f"/today?hour={hour}")
    assert answer.status_code == status
    assert hour in answer.text
