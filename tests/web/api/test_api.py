"""API v1: pages, forms, tags, limits and errors. Sources: design 0006; RFC 9110 (ETag), RFC 9457 (problems)."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from starlette.testclient import TestClient

from qinglan.core.names import HOURLY_ITEMS
from qinglan.flow import series
from qinglan.flow.views import Result
from qinglan.flow.workspace import Workspace
from qinglan.web.cache import Answers, Kept

HOURS = "/api/v1/stations/1480A/hours"


def every_page(api: TestClient, path: str, **query: Any) -> list[dict[str, Any]]:
    """All rows of a list, by its cursor."""
    rows: list[dict[str, Any]] = []
    while True:
        answer = api.get(path, params=query)
        assert answer.status_code == 200, answer.text
        rows += answer.json()["items"]
        more = answer.json()["next"]
        assert ("link" in answer.headers) == bool(more)
        if not more:
            return rows
        query["cursor"] = more


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("/api/v1/stations/1480A/days", ("station", "day")),
        ("/api/v1/places/630100/days", ("place", "day")),
        ("/api/v1/places/630100/aqi", ("place", "day", "edition")),
        ("/api/v1/evaluation", ("place", "period", "item", "statistic", "dust")),
        ("/api/v1/ranking", ("field", "period", "dust", "rank", "place")),
        ("/api/v1/stations", ("station",)),
        ("/api/v1/stations/latest", ("station",)),
        (HOURS + "?start=2025-12-30T00:00:00Z", ("time",)),
    ],
)
def test_pages_together_are_the_whole_in_order(api: TestClient, path: str, key: tuple[str, ...]) -> None:
    path, _, query = path.partition("?")
    given = dict(part.split("=") for part in query.split("&") if part)
    whole = every_page(api, path, **given)
    assert every_page(api, path, limit=7, **given) == whole
    keys = [tuple(row[k] for k in key) for row in whole]
    assert keys == sorted(set(keys))
    assert len(keys) > 1


def test_hours_are_those_of_the_series_in_every_form(
    api: TestClient, workspace: Workspace, result: Result
) -> None:
    opened = series.open_series(workspace, result.folder)
    want = opened.hours("1480A").table()
    query = {"start": "2025-01-01T00:00:00+08:00", "limit": 10000}
    columns = api.get(HOURS, params={**query, "format": "columns"}).json()["columns"]
    rows = api.get(HOURS, params=query).json()["items"]
    table = pq.read_table(io.BytesIO(api.get(HOURS, params={**query, "format": "parquet"}).content))
    lines = api.get(HOURS, params=query, headers={"Accept": "text/csv"}).text.splitlines()
    for item in HOURLY_ITEMS:
        told = want[item].to_pylist()
        assert columns[item] == told == [row[item] for row in rows] == table[item].to_pylist()
    assert len(lines) == want.num_rows + 1
    assert lines[0].split(",")[1] == '"time"'
    assert columns["time"][0] == rows[0]["time"] == want["time"][0].as_py().strftime("%Y-%m-%dT%H:%M:%SZ")
    states = api.get(HOURS, params={"states": True, "items": "pm10", "format": "columns"}).json()["columns"]
    assert set(states) == {"time", "pm10", "pm10_state"}
    assert len(states["time"]) == 24


def test_latest_has_every_station_with_its_index(api: TestClient, result: Result) -> None:
    rows = api.get("/api/v1/stations/latest").json()["items"]
    assert {r["station"] for r in rows} == {"1480A", "1481A", "3867A"}
    assert all(r["name"] and r["place"] and r["lon"] for r in rows)
    assert any(r["aqi"] for r in rows)
    time = rows[0]["time"]
    shot = api.get("/api/v1/stations/latest", params={"time": time, "place": "630100"}).json()["items"]
    assert {r["place"] for r in shot} == {"630100"}
    assert shot[0]["pm10"] == next(r["pm10"] for r in rows if r["station"] == shot[0]["station"])


def test_plan_and_provenance(api: TestClient, result: Result) -> None:
    targets = every_page(api, "/api/v1/targets", limit=3)
    assert [t["id"] for t in targets] == [t["id"] for t in result.verdict["targets"]]
    assert api.get(f"/api/v1/targets/{targets[0]['id']}").json()["status"] == targets[0]["status"]
    assert len(every_page(api, "/api/v1/articles", fields="title")) == 38
    tasks = every_page(api, "/api/v1/tasks", limit=40)
    assert len(tasks) == sum(len(a["tasks"]) for a in result.verdict["articles"])
    current = api.get("/api/v1/runs/current").json()
    assert current["run"]["id"] == result.run_id
    assert current["hours"]["exact"] is True
    assert {b["book"] for b in every_page(api, "/api/v1/rule-books")} >= {"gb3095", "hj633", "qc"}
    assert every_page(api, "/api/v1/loads")
    span = {"station": "1480A", "start": "2025-11-01", "end": "2025-12-31"}
    flags = every_page(api, "/api/v1/flags", limit=5, **span)
    assert flags == every_page(api, "/api/v1/flags", **span)
    assert flags


def test_a_tag_spares_the_body_and_the_kept_answer_is_the_same(api: TestClient) -> None:
    for path in (HOURS, "/api/v1/loads", "/api/v1/stations?fields=name"):
        first, second = api.get(path), api.get(path)
        assert first.content == second.content
        assert first.headers["etag"] == second.headers["etag"]
        spared = api.get(path, headers={"If-None-Match": first.headers["etag"]})
        assert spared.status_code == 304
        assert not spared.content
        assert spared.headers["etag"] == first.headers["etag"]
    assert api.get(HOURS).headers["etag"] != api.get(HOURS, headers={"Accept": "text/csv"}).headers["etag"]
    packed = api.get(HOURS, headers={"Accept-Encoding": "gzip"})
    plain = api.get(HOURS, headers={"Accept-Encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.content == plain.content


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/api/v1/nowhere", 404, "no such address"),
        ("/api/v1/stations/9999A", 404, "9999A"),
        ("/api/v1/stations/9999A/hours", 404, "9999A"),
        ("/api/v1/places/999999/days", 404, "999999"),
        ("/api/v1/targets/none", 404, "none"),
        ("/api/v1/articles/99", 404, "99"),
        (HOURS + "?items=pm25", 422, "pm25"),
        (HOURS + "?start=2025-01-01T00:00:00", 422, "time zone"),
        (HOURS + "?limit=0", 422, "limit"),
        (HOURS + "?cursor=AAAA", 422, "cursor"),
        ("/api/v1/places/630100/days?cursor=WyJhIiwiYiJd", 422, "cursor"),
        ("/api/v1/stations?fields=nothing", 422, "nothing"),
        ("/api/v1/flags?station=1480A&start=2020-01-01&end=2025-01-01", 422, "400 days"),
        ("/api/v1/evaluation?period=2040", 422, "2040"),
        ("/api/v1/tasks?status=none", 422, "none"),
    ],
)
def test_an_error_is_a_problem_that_names_the_thing(api: TestClient, path: str, status: int, said: str) -> None:
    answer = api.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    body = answer.json()
    assert body["status"] == status
    assert said in body["detail"]
    assert body["instance"].startswith("/api/v1/")
    assert answer.headers["cache-control"] == "no-store"


def test_methods_and_forms_that_are_not_offered(api: TestClient) -> None:
    refused = api.post("/api/v1/stations")
    assert refused.status_code == 405
    assert refused.json()["title"] == "Method not allowed"
    assert api.get("/api/v1/stations", headers={"Accept": "image/png"}).status_code == 406


def test_the_public_sees_air_but_not_the_plan_and_is_limited(public: TestClient) -> None:
    origin = {"Origin": "https://map.example"}
    first = public.get("/api/v1/stations/latest", headers=origin)
    assert first.status_code == 200
    assert first.headers["access-control-allow-origin"] == origin["Origin"]
    assert first.headers["ratelimit-limit"] == "10"
    assert first.headers["ratelimit-remaining"] == "9"
    foreign = public.get("/api/v1/stations/latest", headers={"Origin": "https://other.example"})
    assert "access-control-allow-origin" not in foreign.headers
    refused = public.get("/api/v1/tasks")
    assert refused.status_code == 401
    assert "www-authenticate" in refused.headers
    assert public.get("/api/v1/loads").status_code == 401
    answers = [public.get("/api/v1/stations/latest") for _ in range(8)]
    assert [a.status_code for a in answers] == [200] * 6 + [429] * 2
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert answers[-1].json()["title"] == "Too many requests"


def test_what_one_may_see_is_not_kept_for_another(api: TestClient, workspace: Workspace) -> None:
    """Kept answers are found by the rights of who asks: the demo visitor's tasks are not the public's."""
    from qinglan.access import DEMO, PUBLIC
    from qinglan.web import create_app
    from qinglan.web.api import ApiSettings

    who = [DEMO]
    app = create_app(workspace, identify=lambda request: who[0], api=ApiSettings(rate=""))
    client = TestClient(app, base_url="http://127.0.0.1")
    first = client.get("/api/v1/tasks")
    assert first.status_code == 200
    who[0] = PUBLIC
    assert client.get("/api/v1/tasks").status_code == 401
    assert client.get("/api/v1/tasks", headers={"If-None-Match": first.headers["etag"]}).status_code == 401


def test_the_document_is_whole(api: TestClient) -> None:
    made = api.get("/api/v1/openapi.json").json()
    assert made["openapi"].startswith("3.1")
    assert made["servers"] == [{"url": "/api/v1"}]
    for path, offered in made["paths"].items():
        said = offered["get"]["responses"]
        assert {"200", "304", "401", "403", "404", "422", "429", "503"} <= set(said), path
        assert all(p.get("description") for p in offered["get"].get("parameters", []) if p["in"] == "query"), path
    page = api.get("/api/v1/docs")
    assert all(f"/api/v1{path}" in page.text for path in made["paths"])
    assert "http://" not in page.text
    assert "https://" not in page.text
    assert "<script" not in page.text


def test_without_a_run_every_door_says_so(tmp_path: Path) -> None:
    from qinglan.flow.workspace import Settings, init
    from qinglan.web import create_app

    empty = init(tmp_path / "home", Settings(simulated=True))
    client = TestClient(create_app(empty), base_url="http://127.0.0.1")
    answer = client.get("/api/v1/stations")
    assert answer.status_code == 503
    assert "qinglan run" in answer.json()["remedy"]


def test_kept_answers_stay_within_their_room() -> None:
    answers = Answers(megabytes=1)
    for k in range(100):
        answers.put(str(k), Kept((), b"x" * 50_000))
    assert answers.used <= answers.room
    assert answers.get("99") is not None
    assert answers.get("0") is None
    answers.put("huge", Kept((), b"x" * 2**20))
    assert answers.get("huge") is None
    before = answers.used
    answers.put("99", Kept((), b"y" * 50_000))
    assert answers.used == before


@pytest.mark.parametrize(
    "query",
    [
        "", "&limit=5", "&items=pm10,so2", "&start=2025-12-01T00:00:00Z&end=2025-12-02T00:00:00Z",
        "&start=2025-12-01T00:00:00Z&limit=30", "&end=2025-12-02T00:00:00Z", "&items=",
        "&start=2040-01-01T00:00:00Z",
    ],
)  # fmt: skip
def test_the_short_way_says_what_the_route_says(
    api: TestClient, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Byte for byte: the short way is a matter of speed only."""
    from qinglan.web.api import door

    short = api.get(f"{HOURS}?format=columns{query}").content
    monkeypatch.setattr(door, "quick", lambda *_: None)
    kept = next(r for r in api.app.router.routes if getattr(r, "name", "") == "api").app.answers
    kept.__init__()
    assert api.get(f"{HOURS}?format=columns{query}").content == short
    latest = "/api/v1/stations/latest?format=columns&time=2025-12-05T03:00:00Z"
    slow = api.get(latest).content
    monkeypatch.undo()
    kept.__init__()
    assert api.get(latest).content == slow
