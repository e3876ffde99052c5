"""The pages of publications over a workspace without a run: doors, list, refusals (docs/design/0006)."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from qinglan.access import Grant, Principal
from qinglan.flow.workspace import Settings, init
from qinglan.web import create_app

PROVINCE = Principal("李", "李", (Grant("province", place="630000"),), via="session")
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
