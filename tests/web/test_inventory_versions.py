"""Pages of frozen versions: freezing, what one was made of, two compared row by row, how sure one is.

Sources: tests/flow/small_inventory.py (boilers counted by hand), flow.inventory for the same numbers,
permissions.yaml.
"""

from __future__ import annotations

import csv
import io
import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.testclient import TestClient

from qinglan.flow import inventory
from qinglan.flow.workspace import Workspace, init
from qinglan.web import create_app

small = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "flow" / "small_inventory.py")))
who = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("inventory_people.py"))))
PEOPLE, identify = who.PEOPLE, who.identify


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Six boilers frozen; then one burns half as much more, one left, and they are frozen again."""
    made: Workspace = init(tmp_path_factory.mktemp("versions") / "home")
    firms = [small.good("air-enterprises", uscc=small.CODES[n], permit_no=f"{small.CODES[n]}001V", lon=101.76,
                        lat=36.66) for n in (1, 2, 3)]  # fmt: skip
    small.take(made, "air-enterprises", *firms)
    small.take(made, "boilers", *(_boiler(n, 10_000) for n in (1, 2, 3)))
    return made


def _boiler(n: int, coal: int) -> dict[str, Any]:
    made: dict[str, Any] = small.good(
        "boilers", boiler_no=f"GL-{n:02}", uscc=small.CODES[n], year=2025, fuel_use=coal
    )
    return made


@pytest.fixture(scope="module")
def pages(space: Workspace) -> TestClient:
    """The console, after two versions were frozen by its own form."""
    app = create_app(space, clock=lambda: small.NOW, identify=identify)
    client = TestClient(app, base_url="http://127.0.0.1", follow_redirects=False)
    assert "No inventory is frozen yet" in client.get("/inventory/versions?lang=en").text
    assert "No inventory is frozen yet" in client.get("/inventory/uncertainty?lang=en").text
    assert client.get("/inventory/versions/compare").status_code == 404
    answer = client.post("/inventory/versions", data={"year": "2025", "reason": "年度"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/inventory/versions/2025-01?done=frozen")
    again = client.post("/inventory/versions", data={"year": "2025", "reason": "又一次"})
    assert again.headers["location"] == "/inventory/versions/2025-01?done=existing"
    small.take(space, "boilers", _boiler(1, 15_000))
    assert "1 changed" in client.get("/inventory/versions?lang=en").text
    assert client.post("/inventory/versions", data={"year": "2025", "reason": "更正"}).status_code == 303
    return client


def test_only_the_province_freezes_and_says_why(pages: TestClient) -> None:
    form = {"year": "2025", "reason": "x"}
    assert pages.post("/inventory/versions", data=form, headers={"x-who": "haixi"}).status_code == 403
    assert "Freeze a year" not in pages.get("/inventory/versions?lang=en", headers={"x-who": "haixi"}).text
    wrong = pages.post("/inventory/versions", data={"year": "2025", "reason": " "})
    assert wrong.status_code == 422
    assert pages.post("/inventory/versions", data={"year": "1999", "reason": "x"}).status_code == 422
    assert pages.get("/inventory/versions", headers={"x-who": "public"}).status_code in (303, 401, 403)


def test_a_version_says_what_it_was_made_of(space: Workspace, pages: TestClient) -> None:
    version = inventory.open_version(space, "2025-01").version
    page = pages.get("/inventory/versions/2025-01?lang=en").text
    assert version.content in page
    assert version.inputs["boilers"]["hash"][:16] in page
    assert all(digest in page for digest in version.files.values())
    assert "1 have changed since" in page
    rows = list(
        csv.reader(io.StringIO(pages.get("/inventory/versions/2025-01/rows.csv?lang=en").text.lstrip("\ufeff")))
    )
    at = rows[0].index("Emission [t]")
    assert sum(float(r[at]) for r in rows[1:]) == pytest.approx(sum(version.totals.values()))
    assert pages.get("/inventory/versions/2025-01/tables.xlsx").content[:2] == b"PK"
    theirs = pages.get("/inventory/versions/2025-01/rows.csv", headers={"x-who": "haixi"}).text
    assert theirs.strip().count("\n") == 0  # heads only: no row of the version is theirs
    for wrong in ("/inventory/versions/1999-01", "/inventory/versions/2025-01/tables.pdf"):
        assert pages.get(wrong).status_code == 404


def test_two_versions_are_compared_row_by_row(space: Workspace, pages: TestClient) -> None:
    """One of three boilers burns half as much more: NOx grows by a sixth, all by activity."""
    found = inventory.compare(space, "2025-01", "2025-02").totals.filter(species="nox")
    assert found["after_t"].sum() / found["before_t"].sum() == pytest.approx(3.5 / 3)
    page = pages.get("/inventory/versions/compare?lang=en").text
    assert "2025-01 → 2025-02" in page
    assert "Rows that differ (1)" in page
    assert "GL-01" in page
    assert "GL-02" not in page
    sheet = list(
        csv.reader(io.StringIO(pages.get("/inventory/versions/compare.csv?lang=en").text.lstrip("\ufeff")))
    )
    row = dict(zip(*sheet, strict=True))
    assert float(row["Activity"]) == pytest.approx(float(row["Change"])) == pytest.approx(found["change_t"].sum())
    effects = pages.get("/inventory/versions/effects.json").json()["series"][0]["data"]
    assert effects[0] == pytest.approx(found["change_t"].sum(), abs=1e-5)
    assert effects[1:] == [0] * 5
    theirs = pages.get("/inventory/versions/compare?lang=en", headers={"x-who": "haixi"}).text
    assert "GL-01" not in theirs
    assert "1 more are of other offices" in theirs
    for wrong in ("before=9", "species=o3", "kind=none"):
        assert pages.get(f"/inventory/versions/compare?{wrong}").status_code == 404
    assert pages.get("/inventory/versions/totals.xlsx").content[:2] == b"PK"


def test_how_sure_a_version_is_stands_with_seed_and_draws(space: Workspace, pages: TestClient) -> None:
    held = inventory.open_version(space, "2025-02")
    truth = inventory.uncertainty(held, ["species"]).filter(species="nox").row(0, named=True)
    page = pages.get("/inventory/uncertainty?version=2025-02&species=nox&lang=en").text
    assert f"Monte Carlo of 1 000 draws, seed {inventory.SEED}" in page.replace("\u202f", " ").replace("\xa0", " ")
    assert 'href="/inventory/rows/boilers/' in page  # the amount of a row weighs, and leads to it
    sheet = pages.get("/inventory/uncertainty.csv?version=2025-02&lang=en").text.lstrip("\ufeff")
    row = next(r for r in csv.DictReader(io.StringIO(sheet)) if r["Species"] == "nox")
    assert float(row["Low [t]"]) == pytest.approx(truth["low"])
    drawn = pages.get("/inventory/uncertainty/totals.json?version=2025-02").json()["series"]
    ends = [pair for pair in zip(drawn[0]["data"], drawn[1]["data"], strict=True) if pair[0] is not None]
    assert len(ends) > 3  # of what emits nothing there is no share
    assert all(low <= 0 <= high for low, high in ends)
    theirs = pages.get("/inventory/uncertainty/inputs.csv?lang=en", headers={"x-who": "haixi"}).text
    assert "a row of another office" in theirs
    assert "GL-0" not in theirs
    assert pages.get("/inventory/uncertainty?species=o3").status_code == 404
    assert pages.get("/inventory/uncertainty?version=9").status_code == 404
