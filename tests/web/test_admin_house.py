"""Pages of the house's health, sources and jobs. Sources: docs/design/0006-console.md, 0008-operations.md."""

from __future__ import annotations

import io
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from starlette.testclient import TestClient

from qinglan.access import Grant, Principal
from qinglan.flow import operations
from qinglan.flow.workspace import Workspace, init
from qinglan.store.registry import events
from qinglan.web import create_app

NOW = datetime(2025, 3, 10, 4, 20, tzinfo=UTC)
PEOPLE = {
    "admin": Principal("wang", "王", (Grant("administrator"),), via="session"),
    "province": Principal("li", "李", (Grant("province", place="630000"),), via="session"),
}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Two stations that never sent anything."""
    rows = [{"station": s, "name": s, "place": "630100"} for s in ("1480A", "1481A")]
    return init(tmp_path / "home", stations=rows)


@pytest.fixture
def client(workspace: Workspace) -> TestClient:
    app = create_app(workspace.home, clock=lambda: NOW, identify=lambda r: PEOPLE[r.headers.get("x-who", "admin")])
    return TestClient(app, base_url="http://127.0.0.1", follow_redirects=False)


def post(client: TestClient, path: str, who: str = "admin", **data: str) -> Any:
    """With the token of the form as the page shows it."""
    page = client.get("/admin/jobs", headers={"x-who": who}).text
    token = page.split('name="csrf" value="')[1].split('"')[0] if 'name="csrf"' in page else ""
    return client.post(path, data={"csrf": token, **data}, headers={"x-who": who})


@pytest.mark.parametrize(
    ("language", "words"), [("zh", ("系统健康", "从未备份")), ("en", ("Health", "Never backed up"))]
)
def test_the_first_page_says_what_is_wrong(client: TestClient, language: str, words: tuple[str, ...]) -> None:
    answer = client.get(f"/admin?lang={language}")
    assert answer.status_code == 200
    assert all(word in answer.text for word in words)
    assert answer.text.index("status s-not_met") < answer.text.index("status s-met")  # the worst first


def test_sources_are_the_same_on_the_page_and_in_the_files(client: TestClient) -> None:
    assert "西宁市" in client.get("/admin/sources").text
    text = client.get("/admin/sources.csv").text.lstrip("\ufeff").splitlines()
    assert text[1].startswith("中断,从未到数,西宁市,630100,小时浓度")
    sheet = openpyxl.load_workbook(io.BytesIO(client.get("/admin/sources.xlsx").content)).active
    assert [c.value for c in sheet[2]][:4] == ["中断", "从未到数", "西宁市", "630100"]


def test_a_job_is_paused_and_goes_on_with_a_reason(client: TestClient, workspace: Workspace) -> None:
    path = "/admin/jobs/bulletins/enabled"
    assert post(client, path, reason=" ").status_code == 422
    assert post(client, path, reason="holiday").headers["location"] == "/admin/jobs?done=paused"
    assert post(client, path, reason="back", enabled="true").headers["location"] == "/admin/jobs?done=resumed"
    told = [(e["who"], e["detail"].get("reason")) for e in events(workspace.registry, what="job.changed")]
    assert told == [("wang", "holiday"), ("wang", "back")]


def test_a_job_runs_now_and_its_run_is_listed(client: TestClient, workspace: Workspace) -> None:
    assert post(client, "/admin/jobs/verify-audit/run").headers["location"] == "/admin/jobs?done=started"
    for thread in threading.enumerate():
        if thread.name == "job-verify-audit":
            thread.join(20)
    (run,) = operations.history(workspace, "verify-audit")
    assert (run["outcome"], run["by"]) == ("done", "wang")
    page = client.get("/admin/jobs?job=verify-audit").text
    assert run["result"]["head"] in page
    assert post(client, "/admin/jobs/nothing/run").status_code == 404


def test_others_do_not_come_in(client: TestClient) -> None:
    for path in ("/admin", "/admin/sources", "/admin/jobs"):
        assert client.get(path, headers={"x-who": "province"}).status_code == 403


def test_a_setting_is_changed_with_a_reason_and_its_change_is_shown(
    client: TestClient, workspace: Workspace
) -> None:
    path = "/admin/settings/health.hourly_late"
    assert post(client, path, value="3", reason="").status_code == 422
    wrong = post(client, path, value="999", reason="slow line")
    assert (wrong.status_code, "1 to 48" in wrong.text, '<details class="dialog" open>' in wrong.text) == (
        422,
        True,
        True,
    )
    assert post(client, path, value="3", reason="slow line").status_code == 303
    page = client.get("/admin/settings").text
    assert "slow line" in page
    assert "3 小时" in page
    choice = post(client, "/admin/settings/option.ranking.weights", value="nothing", reason="r")
    assert choice.status_code == 422
    assert post(client, "/admin/settings/plan", value="x", reason="r").status_code == 404  # the file's, not ours
    assert client.post(path, headers={"x-who": "province"}).status_code == 403
    assert [e["who"] for e in events(workspace.registry, what="setting.changed")] == ["wang"]
