"""Pages of the inventory: totals, rows, the working of a row, gaps; who sees what.

Sources: docs/design/0012-ledgers.md (every number leads to its row; missing is never zero), emission.whole itself
over the same rows, content/access/permissions.yaml.
"""

from __future__ import annotations

import csv
import io
import runpy
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
from starlette.testclient import TestClient

from qinglan.emission.whole import build_all
from qinglan.flow import inventory, ledgers
from qinglan.flow.inventory import fields
from qinglan.flow.ledgers.frames import frame
from qinglan.flow.views import inventory as views
from qinglan.flow.views.inventory_flow import MAIN, TOGETHER, flows
from qinglan.flow.workspace import Workspace, init
from qinglan.ledger.activity import activities
from qinglan.ledger.declare import load_ledger
from qinglan.web import create_app

TODAY, NOW = date(2026, 1, 5), datetime(2026, 1, 5, 1, tzinfo=UTC)
who = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("inventory_people.py"))))
PEOPLE, identify = who.PEOPLE, who.identify


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
    """By species and by sector the same tonnes as emission.whole over the same rows, to 1e-9."""
    ledger = load_ledger("boilers")
    found = activities(ledger, frame(space, "boilers").rows, TODAY)
    truth = build_all(found).emissions
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


def test_the_flow_sums_to_each_species_and_adds_no_two_of_them(space: Workspace, pages: TestClient) -> None:
    """Shares of a species are 100 %, tonnes are the totals' own; what leaves a layer enters the next."""
    seen = views.seen(space, PEOPLE["province"], TODAY)
    totals = {r["species"]: r["total"] for r in views.overview(seen)["totals"]}
    found = flows(seen, MAIN)
    sums = found.group_by("species").agg(pl.col("emission_t", "share").sum())
    for species, tonnes, share in sums.iter_rows():
        assert tonnes == pytest.approx(totals[species], rel=1e-9)
        assert share == pytest.approx(100)
    assert set(sums["species"]) <= set(TOGETHER)
    drawn = pages.get("/inventory/flow.json?lang=en").json()["series"][0]
    names = [node["name"] for node in drawn["data"]]
    assert len(names) == len(set(names))
    left, right = (
        sum(link["value"] for link in drawn["links"] if link[end].count("\u200b") == depth)
        for end, depth in (("source", 0), ("target", 2))
    )
    assert left == pytest.approx(right) == pytest.approx(100 * sums.height, rel=1e-4)
    assert 'id="flow-table"' in pages.get("/inventory?species=nox").text
    sheet = pages.get("/inventory/flow.csv?species=nox&lang=en").text.strip().splitlines()
    assert len(sheet) == 1 + flows(seen, "nox").height
    assert pages.get("/inventory?species=o3").status_code == 404


def test_small_sectors_are_told_together() -> None:
    """A sector below a hundredth of every species is among the others; tonnes are kept."""
    rows = [("power", "coal", "nox", 99.5), ("steel", "coal", "nox", 0.5), ("steel", "coal", "co", 5.0),
            ("glass", "coal", "nox", 0.5)]  # fmt: skip
    frame = pl.DataFrame(rows, schema=["sector", "fuel", "species", "emission_t"], orient="row")
    found = flows(views.Seen(2025, (2025,), frame, frame, frame), "nox")
    told = dict(found.select("sector", "emission_t").iter_rows())
    assert told == {"power": 99.5, "other": 1.0}


def test_ledgers_that_are_built_together_emit_as_each_alone(tmp_path: Path) -> None:
    """Three ledgers at once, and then one of them after a change: the same rows and gaps as built one by one."""
    small = runpy.run_path(str(Path(__file__).parents[1] / "flow" / "small_inventory.py"))
    made = init(tmp_path / "home")
    for name in ("boilers", "livestock", "stockpiles", "petrol-stations"):
        small["take"](made, name, dict(load_ledger(name).good[0]))

    def alone() -> tuple[pl.DataFrame, pl.DataFrame]:
        parts = [build_all(activities(load_ledger(n), frame(made, n).rows, TODAY)) for n in ledgers_of(made)]
        return pl.concat(p.emissions for p in parts), pl.concat(p.gaps for p in parts)

    def ledgers_of(space: Workspace) -> list[str]:
        return [
            n for n in ("boilers", "livestock", "petrol-stations", "stockpiles") if frame(space, n).rows.height
        ]

    def same(found: views.Inventory) -> None:
        for one, other in zip((found.emissions, found.gaps), alone(), strict=True):
            keys = ["ledger", "row_key", "activity", "species"]
            assert one.height == other.height > 0
            assert one.sort(keys).equals(other.sort(keys))

    same(views.draft(made, TODAY))
    boiler = load_ledger("boilers").good[0]
    small["take"](made, "boilers", boiler | {"fuel_use": 2 * boiler["fuel_use"]})
    same(views.draft(made, TODAY))


def test_a_year_that_is_not_over_is_not_the_first_shown(tmp_path: Path) -> None:
    """In January the year's first rows would else stand for the whole inventory."""
    small = runpy.run_path(str(Path(__file__).parents[1] / "flow" / "small_inventory.py"))
    made = init(tmp_path / "home")
    rows = [small["good"]("boilers", boiler_no=f"GL-{year}", year=year) for year in (2025, 2026)]
    small["take"](made, "boilers", *rows)
    first = views.seen(made, PEOPLE["province"], TODAY)
    assert (first.year, list(first.years)) == (2025, [2026, 2025])
    assert views.seen(made, PEOPLE["province"], TODAY, 2026).year == 2026
    assert views.seen(made, PEOPLE["province"], date(2025, 7, 1)).year == 2026  # nothing is over: the newest


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


def test_a_cell_on_the_map_leads_to_its_rows(space: Workspace, pages: TestClient) -> None:
    """The rows of a cell's hour, with their factors; what another office keeps is a sum, not a row."""
    assert "qinglan inventory build" in pages.get("/inventory/map").text
    year = load_ledger("boilers").good[0]["year"]
    inventory.freeze(space, year, by="tests", reason="年度清单", now=NOW)
    drawn = pages.get("/inventory/map.geojson?step=36&lang=en").json()["features"]
    held = inventory.open_version(space)
    assert len(drawn) == fields.cells(fields.field_of(held, 36), "nox").height
    assert max(f["properties"]["strength"] for f in drawn) == 1
    assert min(f["properties"]["strength"] for f in drawn) >= 0.08
    first = drawn[0]["properties"]["href"]
    assert f'href="{first}"'.replace("&", "&amp;") in pages.get("/inventory/map?step=36").text
    page = pages.get(f"{first}&day={year}-01-15&hour=8&lang=en").text
    assert "GL-1" in page
    assert "GL-2" in page
    assert 'href="/inventory/rows/boilers/' in page
    theirs = pages.get(f"{first}&day={year}-01-15", headers={"x-who": "haixi"}).text
    assert "GL-2" in theirs
    assert "GL-1" not in theirs
    path, query = first.split("?")
    sheet = pages.get(f"{path}/rows.csv?{query}&day={year}-01-15&hour=8").text.strip().splitlines()
    assert len(sheet) == 3
    assert len(pages.get(f"{path}/hours.json?{query}").json()["series"][0]["data"]) == 24


def test_a_point_leads_to_its_cell_and_what_is_not_there_is_refused(space: Workspace, pages: TestClient) -> None:
    inventory.freeze(space, load_ledger("boilers").good[0]["year"], by="tests", reason="年度清单", now=NOW)
    answer = pages.get("/inventory/map/cell?lon=101.6&lat=36.9&step=36")
    assert answer.status_code == 303
    assert pages.get(answer.headers["location"]).status_code == 200
    assert pages.get("/inventory/map/cell?lon=0&lat=0&step=36").status_code == 404
    assert pages.get("/inventory/map?species=radon&step=36").status_code == 404
    assert pages.get("/inventory/map/999/0?step=36").status_code == 422
    assert pages.get("/inventory/map/1/1?step=36&day=2001-01-01").status_code == 422
    assert pages.get("/inventory/cells.csv?step=36").text.count("\n") > 1
