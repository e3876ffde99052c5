"""Data pages: coverage, stations, upload, rejects and their repair, runs; who may do what.

Sources: docs/design/0006-console.md, content/access/permissions.yaml.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from qinglan.flow.workspace import open_workspace
from qinglan.store import loads

HEAD = "station,name,place\n"


def upload(office: TestClient, text: str, name: str = "stations.csv", who: str = "province") -> tuple[int, str]:
    """Send a station register to look at; status and page."""
    answer = office.post(
        "/data/upload", data={"layout": "station_register"}, files={"file": (name, text.encode())},
        headers={"x-who": who},
    )  # fmt: skip
    return answer.status_code, answer.text


@pytest.mark.parametrize("language", ["zh", "en"])
def test_pages_answer(office: TestClient, language: str) -> None:
    for path in ("/data", "/data/coverage", "/data/coverage?subject=stations&item=pm2_5",
                 "/data/coverage?subject=places&period=2025-03", "/data/coverage?subject=stations&period=2025-03",
                 "/data/rejects", "/data/rejects?status=dismissed&station=14", "/data/stations",
                 "/data/stations/1480A", "/data/run", "/rules"):  # fmt: skip
        for who in ("", "province"):
            answer = office.get(path, headers={"cookie": f"qinglan_lang={language}", "x-who": who})
            assert answer.status_code == 200, (path, answer.text[:300])
    for path, status in (("/data/coverage?subject=moons", 404), ("/data/coverage?item=gold", 404),
                         ("/data/coverage?period=soon", 422), ("/data/stations/0000X", 404),
                         ("/data/rejects/999", 404), ("/data/loads/none", 404)):  # fmt: skip
        assert office.get(path).status_code == status, path


def test_coverage_counts_what_is_there(office: TestClient) -> None:
    """The fixture's stations report 20 to 24 of 24 hours on most days, 11 on a gap: shares lie between."""
    lines = office.get("/data/coverage.csv?subject=stations&item=pm2_5&period=2025").content.decode("utf-8-sig")
    rows = [line.split(",") for line in lines.splitlines()]
    assert len(rows) == 12
    shares = [float(cell) for row in rows[1:] for cell in row[2:]]
    assert 85 < min(shares) <= max(shares) < 96
    days = office.get("/data/coverage.csv?period=2025-02").content.decode("utf-8-sig").splitlines()
    assert len(days[0].split(",")) == 30
    assert {cell for line in days[1:] for cell in line.split(",")[2:]} & {"83.3", "100.0"}


def test_a_station_shows_how_its_entry_came_to_be(office: TestClient) -> None:
    page = office.get("/data/stations/1480A").text
    assert "tests" in page
    assert "1480A" in page


def test_an_upload_is_looked_at_before_it_is_loaded(office: TestClient, office_home: Path) -> None:
    workspace = open_workspace(office_home)
    before = len(workspace.loads())
    status, page = upload(office, HEAD + "X1,新站,630100\n,无号,630100\n")
    assert status == 200
    assert len(workspace.loads()) == before, "nothing is loaded by looking"
    token = page.split('name="token" value="')[1].split('"')[0]
    form = {"token": token, "layout": "station_register"}
    assert office.post("/data/load", data=form).status_code == 401
    answer = office.post("/data/load", data=form, headers={"x-who": "province"})
    assert answer.status_code == 303
    made = workspace.loads()[0]
    assert answer.headers["location"] == f"/data/loads/{made['id']}?done=loaded"
    assert workspace.station_lookup()("X1") == "X1"
    assert office.get(f"/data/loads/{made['id']}").status_code == 200
    assert office.post("/data/load", data=form, headers={"x-who": "province"}).status_code == 422
    assert (
        office.post("/data/load", data=form | {"token": "../x"}, headers={"x-who": "province"}).status_code == 422
    )


def test_a_file_that_cannot_be_read_is_refused_whole(office: TestClient, office_home: Path) -> None:
    before = len(open_workspace(office_home).loads())
    assert upload(office, "\0\0\0", "a.csv")[0] == 422
    assert upload(office, HEAD, who="energy")[0] == 403
    assert len(open_workspace(office_home).loads()) == before


def test_rejects_are_shown_as_they_came_and_settled_with_a_reason(office: TestClient, office_home: Path) -> None:
    upload(office, HEAD + "X2,<b>站</b>,630100\n,<script>alert(1)</script>,630100\n", "more.csv")
    _, page = upload(office, HEAD + "X2,<b>站</b>,630100\n,<script>alert(1)</script>,630100\n", "more.csv")
    token = page.split('name="token" value="')[1].split('"')[0]
    office.post("/data/load", data={"token": token, "layout": "station_register"}, headers={"x-who": "province"})
    workspace = open_workspace(office_home)
    row = loads.rejects(workspace.registry)[-1]
    page = office.get(f"/data/rejects/{row['id']}", headers={"x-who": "province"}).text
    assert "<script>alert" not in page
    act = {"act": "dismiss", "reason": "no code was ever given"}
    assert office.post(f"/data/rejects/{row['id']}", data=act, headers={"x-who": "energy"}).status_code == 403
    empty = office.post(f"/data/rejects/{row['id']}", data=act | {"reason": ""}, headers={"x-who": "province"})
    assert empty.status_code == 422
    assert office.post(f"/data/rejects/{row['id']}", data=act, headers={"x-who": "province"}).status_code == 303
    settled = [r for r in loads.rejects(workspace.registry, status="dismissed") if r["id"] == row["id"]]
    assert len(settled) == 1


def test_a_run_is_started_by_those_who_may_and_its_end_is_shown(office: TestClient, office_home: Path) -> None:
    """The workspace has no observations, so the run fails, and says why, on the page that follows it."""
    assert office.post("/data/run").status_code == 401
    assert office.post("/data/run", headers={"x-who": "xining"}).status_code == 403
    answer = office.post("/data/run", headers={"x-who": "province"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/data/run?started=true")
    deadline = time.monotonic() + 60
    while "u-province" not in (page := office.get("/data/run").text) or "进行中" in page:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert "holds no observations" in page
