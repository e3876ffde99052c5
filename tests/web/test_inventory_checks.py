"""The page of the inventory's checks: what each office sees, filters, the given file, downloads.

Sources: tests/flow/small_inventory.py (an office whose disagreements are counted by hand), permissions.yaml.
"""

from __future__ import annotations

import csv
import io
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest
from starlette.testclient import TestClient

from qinglan.flow import inventory_checks
from qinglan.flow.inventory_checks import checking
from qinglan.flow.memory import Memory
from qinglan.flow.views import inventory as inventory_views
from qinglan.flow.workspace import Workspace, init
from qinglan.web import create_app, warm
from qinglan.web.site import Site

small = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "flow" / "small_inventory.py")))
who = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("inventory_people.py"))))
PEOPLE, identify = who.PEOPLE, who.identify


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    made: Workspace = small.office(tmp_path_factory.mktemp("checks") / "home")
    return made


@pytest.fixture(scope="module")
def pages(space: Workspace) -> TestClient:
    app = create_app(space, clock=lambda: small.NOW, identify=identify)
    return TestClient(app, base_url="http://127.0.0.1", follow_redirects=False)


def test_every_finding_leads_to_its_row_and_is_in_the_file(space: Workspace, pages: TestClient) -> None:
    truth = inventory_checks.check(space).findings
    page = pages.get("/inventory/checks?lang=en").text
    assert f"Findings ({truth.height})" in page
    assert page.count('href="/ledgers/coal-use/rows/') == 1  # the balance of enterprise 2
    sheet = list(csv.reader(io.StringIO(pages.get("/inventory/checks.csv?lang=en").text.lstrip("\ufeff"))))
    assert len(sheet) - 1 == truth.height
    only = pages.get("/inventory/checks.csv?only=silent").text.strip().splitlines()
    assert len(only) == 2
    assert "企业7" in only[1]
    assert pages.get("/inventory/checks.xlsx").status_code == 200


def test_a_kind_is_shown_alone(pages: TestClient) -> None:
    page = pages.get("/inventory/checks?kind=limit&lang=zh").text
    assert "2个月的月均浓度高于许可限值" in page
    assert "生产中，清单中没有任何排放" not in page


def test_an_office_elsewhere_sees_none_of_them_but_that_they_are(pages: TestClient) -> None:
    page = pages.get("/inventory/checks?lang=en", headers={"x-who": "haixi"}).text
    assert "企业" not in page
    assert "more are of other offices" in page
    assert "Give a top-down inventory" not in page
    assert pages.get("/inventory/checks", headers={"x-who": "public"}).status_code in (303, 401, 403)


def test_a_top_down_inventory_is_given_shown_and_taken_back(space: Workspace, pages: TestClient) -> None:
    assert pages.get("/inventory/top-down.csv").status_code == 422
    text = "species,sector,year,tonnes\nnox,合计,2024,0.001\nnox,magic,2024,1\n"
    files = {"file": ("a.csv", text.encode(), "text/csv")}
    home = {"Origin": "http://127.0.0.1"}
    assert (
        pages.post("/inventory/checks/top-down", files=files, headers={"x-who": "haixi"} | home).status_code == 403
    )
    answer = pages.post("/inventory/checks/top-down", files=files, headers=home)
    assert answer.status_code == 303
    page = pages.get(answer.headers["location"].split("#")[0] + "&lang=en").text
    assert "a.csv, given by sheng" in page
    assert "magic" in page  # the line kept aside
    assert "their nearest year is 2024, not 2025" in page
    row = pages.get("/inventory/top-down.csv?lang=en").text.splitlines()[1]
    assert row.startswith("nox,total,")
    wrong = pages.post("/inventory/checks/top-down", files={"file": ("b.csv", b"a,b\n1,2\n", "")}, headers=home)
    assert wrong.status_code == 422
    assert "species,sector,year,tonnes" in wrong.text
    assert pages.post("/inventory/checks/top-down/forget", headers=home).status_code == 303
    assert inventory_checks.kept(space) is None


def test_the_first_reader_waits_for_nothing_that_the_server_made_before(
    space: Workspace, pages: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the warm-up, neither the draft nor the checks are built when they are first asked for."""
    monkeypatch.setattr(checking, "_cases", Memory(1))
    monkeypatch.setattr(checking, "_reports", Memory(1))
    warm._warm(Site(space, lambda: small.NOW))
    monkeypatch.setattr(checking, "build_all", None)
    monkeypatch.setattr(inventory_views, "build_all", None)
    assert pages.get("/inventory/checks?kind=permit").status_code == 200
    assert pages.get("/inventory?species=co").status_code == 200


@pytest.mark.parametrize("query", ["of=1999", "of=1999-01", "of=x", "band=wide", "kind=none", "page=0"])
def test_what_there_is_not_is_refused_in_words(pages: TestClient, query: str) -> None:
    assert pages.get(f"/inventory/checks?{query}").status_code in (400, 404, 422)


def test_without_rows_the_page_says_what_to_do(tmp_path_factory: pytest.TempPathFactory) -> None:
    empty = init(tmp_path_factory.mktemp("nothing") / "home")
    client = TestClient(create_app(empty, clock=lambda: small.NOW, identify=identify), base_url="http://127.0.0.1")
    assert 'href="/ledgers"' in client.get("/inventory/checks").text
    assert client.get("/inventory/checks.csv").status_code == 422
