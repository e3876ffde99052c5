"""Pages of the inventory: totals, rows, the working of a row, gaps; who sees what.

Sources: docs/design/0012-ledgers.md (every number leads to its row; missing is never zero), emission.build itself
over the same rows, content/access/permissions.yaml.
"""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pytest
from starlette.requests import Request
from starlette.testclient import TestClient

from qinglan.access import Grant, Principal
from qinglan.emission.build import build, stationary
from qinglan.flow import ledgers
from qinglan.flow.ledgers.frames import frame
from qinglan.flow.views import inventory as views
from qinglan.flow.workspace import Workspace, init
from qinglan.ledger.activity import activities
from qinglan.ledger.declare import load_ledger
from qinglan.web import create_app

TODAY, NOW = date(2026, 1, 5), datetime(2026, 1, 5, 1, tzinfo=UTC)
PEOPLE = {
    "province": Principal("sheng", "省厅", (Grant("province", "630000"),), via="session"),
    "haixi": Principal("haixi", "海西", (Grant("prefecture", "632800"),), via="session"),
    "public": Principal("", "", (Grant("public"),)),
}


def identify(request: Request) -> Principal:
    return PEOPLE[request.headers.get("x-who", "province")]


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Two boilers that burn coal in different prefectures."""
    made = init(tmp_path_factory.mktemp("inventory") / "home")
    good = dict(load_ledger("boilers").good[0])
    rows = [good | {"boiler_no": "GL-1", "county": "630105"}, good | {"boiler_no": "GL-2", "county": "632801"}]
    columns = [c for c in load_ledger("boilers").schema if c in good]

    def text_of(value: Any) -> str | None:
        return None if value is None else str(value).lower() if isinstance(value, bool) else str(value)

    text = [{c: text_of(r[c]) for c in columns} for r in rows]
    data = pl.DataFrame(text, schema=dict.fromkeys(columns, pl.String)).write_csv().encode()
    ledgers.import_workbook(made, "boilers", data, name="b.csv", me=PEOPLE["province"], today=TODAY, now=NOW)
    assert frame(made, "boilers").rows.height == 2
    return made


@pytest.fixture(scope="module")
def pages(space: Workspace) -> TestClient:
    app = create_app(space, clock=lambda: NOW, identify=identify)
    return TestClient(app, base_url="http://127.0.0.1", follow_redirects=False)


def test_the_pages_sum_to_what_the_rows_emit(space: Workspace, pages: TestClient) -> None:
    """By species and by sector the same tonnes as emission.build over the same rows, to 1e-9."""
    ledger = load_ledger("boilers")
    found = activities(ledger, frame(space, "boilers").rows, TODAY)
    truth = build(found.filter(stationary())).emissions
    assert truth.height > 4
    told = views.overview(views.seen(space, PEOPLE["province"], TODAY))
    for row in told["totals"]:
        expected = truth.filter(pl.col("species") == row["species"])["emission_t"].sum()
        assert row["total"] == pytest.approx(expected, rel=1e-9)
        assert sum(row["shares"].values()) == pytest.approx(100 if expected else 0), row
        for table in ("sectors", "prefectures"):
            parts = [r[row["species"]] for r in told[table] if r[row["species"]] is not None]
            assert sum(parts) == pytest.approx(expected, rel=1e-9), table
    sheet = list(csv.reader(io.StringIO(pages.get("/inventory/rows.csv?lang=en").text.lstrip("\ufeff"))))
    at = sheet[0].index("Emission [t]")
    assert sum(float(r[at]) for r in sheet[1:]) == pytest.approx(truth["emission_t"].sum(), rel=1e-9)


@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize("path", ["/inventory", "/inventory/rows", "/inventory/gaps"])
def test_every_page_answers(pages: TestClient, path: str, lang: str) -> None:
    answer = pages.get(f"{path}?lang={lang}")
    assert answer.status_code == 200, answer.text[-2000:]
    assert "inventory." not in answer.text.replace("inventory.csv", "")


def test_a_row_leads_to_its_working_and_its_ledger(space: Workspace, pages: TestClient) -> None:
    number = ledgers.number_of(space, "boilers", "GL-1")
    assert f'href="/inventory/rows/boilers/{number}"' in pages.get("/inventory/rows?species=nox").text
    page = pages.get(f"/inventory/rows/boilers/{number}?lang=en").text
    assert f'href="/ledgers/boilers/rows/{number}"' in page
    told = views.row(space, PEOPLE["province"], TODAY, "boilers", number)
    nox = next(r for r in told["emissions"] if r["species"] == "nox")
    assert nox["steps"][-1].value in page
    assert all(s.source in page for s in nox["steps"] if s.input == "factor")


def test_an_office_sees_its_own_rows(space: Workspace, pages: TestClient) -> None:
    page = pages.get("/inventory/rows", headers={"x-who": "haixi"}).text
    assert "GL-2" in page
    assert "GL-1" not in page
    theirs = ledgers.number_of(space, "boilers", "GL-1")
    assert pages.get(f"/inventory/rows/boilers/{theirs}", headers={"x-who": "haixi"}).status_code == 404
    assert pages.get("/inventory", headers={"x-who": "public"}).status_code in (303, 401, 403)


def test_filters_narrow_and_refuse_what_there_is_not(pages: TestClient) -> None:
    assert pages.get("/inventory/rows?place=632800").text.count("GL-1") == 0
    assert pages.get("/inventory/rows?species=unobtainium").status_code in (400, 404, 422)
    assert pages.get("/inventory/rows/boilers/999999").status_code == 404
    assert pages.get("/inventory/totals.csv").status_code == 200


def test_without_rows_the_page_says_what_to_do(tmp_path_factory: pytest.TempPathFactory) -> None:
    empty = init(tmp_path_factory.mktemp("nothing") / "home")
    client = TestClient(create_app(empty, clock=lambda: NOW, identify=identify), base_url="http://127.0.0.1")
    for path in ("/inventory", "/inventory/rows", "/inventory/gaps"):
        assert client.get(path).status_code == 200, path
    assert 'href="/ledgers"' in client.get("/inventory").text
