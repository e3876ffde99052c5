"""The pages of publications (docs/design/0006): doors, list, refusals, and the life of a bulletin of June 2016."""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from qinglan.access import Grant, Principal
from qinglan.flow import publications as life
from qinglan.flow.ingest import ingest
from qinglan.flow.run import run
from qinglan.flow.workspace import Settings, init, open_workspace
from qinglan.web import create_app

PROVINCE = Principal("李", "李", (Grant("province", place="630000"),), via="session")
SECOND = Principal("钱", "钱", (Grant("province", place="630000"),), via="session")
COUNTY = Principal("王", "王", (Grant("county", place="630105"),), via="session")
ELSEWHERE = Principal("赵", "赵", (Grant("prefecture", place="630100"),), via="session")


def client(home: Path, who: Principal) -> TestClient:
    return TestClient(create_app(home, identify=lambda request: who), base_url="http://localhost")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    init(tmp_path / "home", Settings())
    return tmp_path / "home"


def test_the_list_offers_a_draft_only_to_who_may(home: Path) -> None:
    province, county = (client(home, who).get("/publications") for who in (PROVINCE, COUNTY))
    assert province.status_code == county.status_code == 200
    assert "还没有符合条件的通报" in county.text
    assert 'name="period"' in province.text
    assert 'name="period"' not in county.text
    assert "No publication matches" in client(home, COUNTY).get("/publications?lang=en").text


def test_who_may_not_is_refused(home: Path) -> None:
    sent = {"kind": "monthly", "period": "2016-06"}
    assert client(home, COUNTY).post("/publications", data=sent).status_code == 403
    # A prefecture drafts for itself, not for the province.
    assert client(home, ELSEWHERE).post("/publications", data=sent).status_code == 403


def test_what_does_not_exist_is_not_found(home: Path) -> None:
    there = client(home, PROVINCE)
    for path in ("/publications/monthly-630000-2016-06", "/publications/monthly-630000-2016-06/1.pdf"):
        assert there.get(path).status_code == 404


@pytest.mark.data
def test_a_bulletin_goes_its_way_over_the_pages(
    test_data: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the draft to the frozen file; the one who drafted does not approve (docs/design/0006, section 6)."""
    workspace = open_workspace(home)
    days = test_data / "cn_city_daily_aqistudy_2013_2017" / "qinghai_8_prefectures_daily.csv.gz"
    ingest(workspace, "city_daily", [days])
    run(workspace, now=datetime(2016, 7, 5, 2, tzinfo=UTC), as_of=date(2016, 6, 30))
    monkeypatch.setattr("qinglan.report.figures._png", lambda made: b"")
    monkeypatch.setattr(life, "write", lambda made, form: f"{form}|{made.language}|{made.mark}".encode())
    first, second = client(home, PROVINCE), client(home, SECOND)
    drafted = first.post("/publications", data={"kind": "monthly", "period": "2016-06"}, follow_redirects=False)
    at = "/publications/monthly-630000-2016-06"
    assert drafted.status_code == 303
    assert drafted.headers["location"] == f"{at}?version=1&done=draft"

    def moved(there: TestClient, version: int, move: str, **more: str) -> int:
        sent = {"move": move, **more}
        return there.post(f"{at}/{version}/moves", data=sent, follow_redirects=False).status_code

    assert moved(first, 1, "submit") == 303
    assert moved(first, 1, "approve") == 422, "the drafter does not approve"
    assert moved(client(home, ELSEWHERE), 1, "approve") == 403
    assert moved(second, 1, "approve") == 303
    assert moved(second, 1, "issue") == 303
    page = first.get(at).text
    assert "已发布" in page
    frozen = first.get(f"{at}/1.docx")
    assert frozen.content == b"docx|zh|"
    assert hashlib.sha256(frozen.content).hexdigest() in page
    assert moved(first, 1, "correct", reason="一个站点的数据已修复") == 303
    assert first.get(f"{at}?version=2").status_code == 200
    assert "一个站点的数据已修复" in first.get(at).text
    assert first.get(f"{at}/1.docx").content == b"docx|zh|", "the old version keeps its files"
