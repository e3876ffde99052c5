"""Pages of ledgers: list, table, map, form, import with repair, deadlines, merging; who may do what.

Sources: docs/design/0012-ledgers.md, docs/design/0006-console.md, content/access/permissions.yaml.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pytest
from starlette.requests import Request
from starlette.testclient import TestClient

from qinglan.access import DEMO, Grant, Principal
from qinglan.flow import ledgers
from qinglan.flow.ledgers import frames
from qinglan.flow.workspace import Workspace, init
from qinglan.ledger.declare import ledgers as declared
from qinglan.ledger.declare import load_ledger
from qinglan.ledger.workbook import read_workbook
from qinglan.web import create_app

TODAY, NOW = date(2026, 1, 5), datetime(2026, 1, 5, 1, tzinfo=UTC)
BOILERS = load_ledger("boilers")
PEOPLE = {
    "province": Principal("sheng", "省厅", (Grant("province", "630000"),), via="session"),
    "haixi": Principal("haixi", "海西", (Grant("prefecture", "632800"),), via="session"),
    "plant": Principal("plant", "企业", (Grant("enterprise", sources=("91630105MA757K3R71",)),), via="session"),
    "public": Principal("", "", (Grant("public"),)),
}


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace whose ledgers hold their good examples, and one line that could not be taken in."""
    made = init(tmp_path_factory.mktemp("ledgers") / "home")
    for name in ("boilers", "bare-land", "construction-sites"):
        ledger = load_ledger(name)
        data = csv_of(name, *(dict(row) for row in ledger.good))
        ledgers.import_workbook(made, name, data, name=f"{name}.csv", me=PEOPLE["province"], today=TODAY, now=NOW)
    return made


def csv_of(name: str, *rows: dict[str, Any]) -> bytes:
    columns = [c for c in load_ledger(name).schema if any(c in r for r in rows)]

    def text(value: Any) -> str | None:
        return None if value is None else str(value).lower() if isinstance(value, bool) else str(value)

    table = [{c: text(r.get(c)) for c in columns} for r in rows]
    return pl.DataFrame(table, schema=dict.fromkeys(columns, pl.String)).write_csv().encode()


@pytest.fixture(scope="module")
def pages(space: Workspace) -> TestClient:
    """The console; the header ``x-who`` says who asks (nobody: the demo visitor)."""

    def identify(request: Request) -> Principal:
        return PEOPLE.get(request.headers.get("x-who", ""), DEMO)

    app = create_app(space, clock=lambda: NOW, identify=identify)
    return TestClient(app, base_url="http://127.0.0.1", follow_redirects=False)


def row_of(space: Workspace, key: str) -> int:
    return ledgers.number_of(space, "boilers", key)


FIRST = "QH630105-0001"


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_page_answers_for_every_ledger(pages: TestClient, space: Workspace, language: str) -> None:
    head = {"cookie": f"qinglan_lang={language}", "x-who": "province"}
    paths = ["/ledgers", "/ledgers/due", "/ledgers/findings", "/ledgers/indicators"]
    paths += [f"/ledgers/{name}" for name in declared()]
    for name in ("boilers", "mines"):
        paths += [f"/ledgers/{name}/{part}" for part in ("import", "aside", "same", "changes", "rows/new")]
    paths.append(f"/ledgers/boilers/rows/{row_of(space, FIRST)}")
    for path in paths:
        answer = pages.get(path, headers=head)
        assert answer.status_code == 200, (path, answer.text[-400:])
    for path in ("/ledgers/nosuch", "/ledgers/boilers/rows/999999", "/ledgers/boilers?sort=colour",
                 "/ledgers/boilers/rows.pdf", "/ledgers/boilers/aside/99999"):  # fmt: skip
        assert pages.get(path, headers=head).status_code == 404, path


def test_a_table_is_filtered_sorted_and_drawn(pages: TestClient, space: Workspace) -> None:
    whole = pages.get("/ledgers/boilers").text
    assert len(re.findall(r'href="/ledgers/boilers/rows/\d+"', whole)) == 3
    gas = pages.get("/ledgers/boilers?c.fuel=natural_gas").text
    assert "供气站锅炉" in gas
    assert "学校锅炉" not in gas
    assert "没有符合条件的行" in pages.get("/ledgers/boilers?q=不存在").text
    made = pages.get("/ledgers/boilers?only=made:small_coal_boilers_left").text
    assert "供气站锅炉" not in made, "a gas boiler is not what the number was made of"
    assert pages.get("/ledgers/boilers?only=made:nosuch").status_code == 404
    order = pages.get("/ledgers/boilers?sort=capacity&dir=down").text
    assert order.index("1号供热锅炉") < order.index("供气站锅炉") < order.index("学校锅炉")
    drawn = pages.get("/ledgers/boilers/map.geojson").json()["features"]
    assert [f["geometry"]["coordinates"] for f in drawn] == [[101.76, 36.66]]
    assert drawn[0]["properties"]["href"] == f"/ledgers/boilers/rows/{row_of(space, FIRST)}"
    shapes = pages.get("/ledgers/bare-land/map.geojson").json()["features"]
    assert {"Polygon", "Point"} >= {f["geometry"]["type"] for f in shapes}


def test_files_hold_what_the_filter_finds_and_no_more_than_one_may_read(pages: TestClient) -> None:
    text = pages.get("/ledgers/boilers/rows.csv?place=632800").content.decode("utf-8-sig")
    assert "天然气" in text
    assert text.count("\r\n") == 2
    assert "联系电话" not in text, "personal columns are for those who may edit"
    assert "联系电话" in pages.get("/ledgers/boilers/rows.csv", headers={"x-who": "province"}).text
    book = pages.get("/ledgers/boilers/rows.xlsx").content
    assert read_workbook(BOILERS, book)["boiler_no"].to_list() == [FIRST, "QH630106-0003", "QH632801-0007"]
    assert read_workbook(BOILERS, pages.get("/ledgers/boilers/template.xlsx").content).height == 0


def test_a_workbook_is_tried_confirmed_marked_and_repaired(pages: TestClient, space: Workspace) -> None:
    good = dict(BOILERS.good[0])
    rows = [{**good, "boiler_no": "QH630105-0100"}, {**good, "boiler_no": "QH630105-0101", "capacity": "四十五吨"}]
    head = {"x-who": "province"}
    sent = pages.post(
        "/ledgers/boilers/import", files={"file": ("报表.csv", csv_of("boilers", *rows))}, headers=head
    )
    assert sent.status_code == 303
    at = sent.headers["location"]
    page = pages.get(at, headers=head).text
    assert "“四十五吨”不是数" in page
    assert "尚未写入" in page
    assert ledgers.frame(space, "boilers").rows.filter(pl.col("boiler_no") == "QH630105-0100").height == 0
    assert pages.get(at, headers={"x-who": "haixi"}).status_code == 403, "another office's workbook"
    assert pages.post(at, headers=head).headers["location"] == "/ledgers/boilers?done=imported"
    assert pages.get(f"{at}/marked.xlsx", headers=head).content[:2] == b"PK"
    [line] = [r for r in ledgers.aside(space, "boilers", me=PEOPLE["province"]) if r["key"] == "QH630105-0101"]
    address = f"/ledgers/boilers/aside/{line['id']}"
    form = pages.get(address, headers=head).text
    assert 'value="四十五吨"' in form
    assert "f-f.capacity" in form
    still = pages.post(address, data={"f.capacity": "很大"}, headers=head)
    assert still.status_code in (200, 422)
    assert "“很大”不是数" in still.text
    done = pages.post(address, data={"f.capacity": "45"}, headers=head)
    assert done.headers["location"] == "/ledgers/boilers/aside?done=repaired"
    assert ledgers.frame(space, "boilers").rows.filter(pl.col("boiler_no") == "QH630105-0101")["capacity"][0] == 45
    wrong = pages.post("/ledgers/boilers/import", files={"file": ("x.xlsx", b"no workbook")}, headers=head)
    assert wrong.status_code == 422
    assert 'role="alert"' in wrong.text


def test_a_form_says_what_is_wrong_at_its_field_and_loses_nothing(pages: TestClient, space: Workspace) -> None:
    number = row_of(space, FIRST)
    at, head = f"/ledgers/boilers/rows/{number}", {"x-who": "province"}
    version = re.search(r'name="version" value="(\d+)"', pages.get(at, headers=head).text)[1]  # type: ignore[index]
    typed = {"version": version, "f.capacity": "很多", "f.note": "正在核实", "reason": "铭牌"}
    refused = pages.post(at, data=typed, headers=head)
    assert refused.status_code == 422
    assert "“很多”不是数" in refused.text
    assert "正在核实" in refused.text, "what was typed is still there"
    assert (
        pages.post(at, data={**typed, "f.capacity": "41"}, headers=head).headers["location"].endswith("done=saved")
    )
    late = pages.post(at, data={**typed, "f.capacity": "42"}, headers=head)
    assert late.status_code == 422
    assert "sheng" in late.text, "who came first is named"
    moved = pages.post(f"{at}/moves", data={"to": "idle", "reason": "停炉"}, headers=head)
    assert moved.headers["location"].endswith("done=moved")
    gone = pages.post(f"{at}/standing", data={"act": "withdraw", "reason": "误报"}, headers=head)
    assert gone.headers["location"].endswith("done=withdrawn")
    assert "已撤销" in pages.get(at, headers=head).text
    pages.post(f"{at}/standing", data={"act": "back", "reason": "复核"}, headers=head)
    assert "复核" in pages.get(at, headers=head).text


def test_a_bulk_change_is_shown_before_it_is_made(pages: TestClient, space: Workspace) -> None:
    head = {"x-who": "province"}
    form = {"c.fuel": "natural_gas", "column": "ultra_low", "value": "是"}
    shown = pages.post("/ledgers/boilers/bulk", data=form, headers=head)
    assert (shown.status_code, "确认修改 1 行" in shown.text) == (200, True)
    assert pages.post("/ledgers/boilers/bulk", data={**form, "act": "do"}, headers=head).status_code == 422
    done = pages.post("/ledgers/boilers/bulk", data={**form, "act": "do", "reason": "改造"}, headers=head)
    assert done.headers["location"] == "/ledgers/boilers?done=bulk"
    assert pages.post("/ledgers/boilers/bulk", data={"column": "note"}, headers=head).status_code == 422


def test_two_rows_are_looked_at_and_merged(pages: TestClient, space: Workspace) -> None:
    head = {"x-who": "province"}
    good = dict(BOILERS.good[0])
    twins = [{**good, "boiler_no": f"QH630105-020{n}", "name": "热源厂锅炉", "capacity": 30 + n} for n in (1, 2)]
    ledgers.import_workbook(space, "boilers", csv_of("boilers", *twins), name="a.csv", me=PEOPLE["province"],
                            today=TODAY, now=NOW)  # fmt: skip
    assert pages.get("/ledgers/boilers/same", headers=head).status_code == 200
    a, b = (row_of(space, f"QH630105-020{n}") for n in (1, 2))
    both = pages.get(f"/ledgers/boilers/same?stays={a}&goes={b}", headers=head).text
    assert 'name="take" value="capacity"' in both
    form = {"stays": a, "goes": b, "take": ["capacity"], "reason": "同一台"}
    assert (
        pages.post("/ledgers/boilers/same", data=form, headers=head)
        .headers["location"]
        .startswith(f"/ledgers/boilers/rows/{a}")
    )
    assert "已并入另一行" in pages.get(f"/ledgers/boilers/rows/{b}", headers=head).text
    assert pages.post("/ledgers/boilers/same", data=form, headers=head).status_code in (404, 422)


def test_doors_open_by_role_and_rows_by_place_and_source(pages: TestClient, space: Workspace) -> None:
    number = row_of(space, "QH630106-0003")
    assert pages.get("/ledgers", headers={"x-who": "public"}).status_code == 401
    assert pages.get(f"/ledgers/boilers/rows/{number}", headers={"x-who": "haixi"}).status_code == 404
    assert pages.get("/ledgers/boilers/import").status_code in (401, 403)
    assert "学校锅炉" not in pages.get("/ledgers/boilers", headers={"x-who": "haixi"}).text
    assert "供气站锅炉" not in pages.get("/ledgers/boilers", headers={"x-who": "plant"}).text
    assert "学校锅炉" in pages.get("/ledgers/boilers", headers={"x-who": "plant"}).text
    for who in ("", "haixi", "plant"):
        answer = pages.post(
            f"/ledgers/boilers/rows/{number}/standing", data={"act": "withdraw", "reason": "x"},
            headers={"x-who": who},
        )  # fmt: skip
        assert answer.status_code in (401, 403, 404), who


def test_deadlines_are_filtered_and_handed_out(pages: TestClient, space: Workspace) -> None:
    late = {**BOILERS.good[0], "boiler_no": "QH630105-0300", "name": "小锅炉", "capacity": 6}
    ledgers.import_workbook(space, "boilers", csv_of("boilers", late), name="a.csv", me=PEOPLE["province"],
                            today=TODAY, now=NOW)  # fmt: skip
    assert "小锅炉" in pages.get("/ledgers/due?stands=overdue&article=11").text
    assert "小锅炉" not in pages.get("/ledgers/due?place=632800").text
    assert "小锅炉" in pages.get("/ledgers/due.csv?ledger=boilers").content.decode("utf-8-sig")
    assert "小锅炉" in pages.get("/ledgers/findings?article=11").text
    assert pages.get("/ledgers/due?stands=someday").status_code == 404


# -- API ---------------------------------------------------------------------------------------------------------


def test_the_api_tells_declarations_and_pages_of_rows(pages: TestClient) -> None:
    listed = pages.get("/api/v1/ledgers").json()["items"]
    assert {r["id"] for r in listed} == set(declared())
    said = pages.get("/api/v1/ledgers/boilers").json()
    assert said["properties"]["fuel"]["enum"]
    assert {k: said["properties"]["capacity"][k] for k in ("type", "unit")} == {"type": "number", "unit": "t/h"}
    keys: list[str] = []
    address = "/api/v1/ledgers/boilers/rows?limit=2"
    while address:
        answer = pages.get(address)
        keys += [r["_key"] for r in answer.json()["items"]]
        more = answer.json()["next"]
        address = f"/api/v1/ledgers/boilers/rows?limit=2&cursor={more}" if more else ""
    assert keys == sorted(keys)
    assert len(keys) == pages.get("/ledgers/boilers/rows.csv").text.count("\r\n") - 1
    coal = pages.get("/api/v1/ledgers/boilers/rows?only=fuel:coal&place=630105&fields=fuel,county").json()["items"]
    assert {(r["fuel"], r["county"]) for r in coal} == {("coal", "630105")}
    assert "telephone" not in pages.get("/api/v1/ledgers/boilers/rows").json()["items"][0]
    mine = pages.get("/api/v1/ledgers/boilers/rows", headers={"x-who": "province"})
    assert "telephone" in mine.json()["items"][0]
    tag = {"if-none-match": mine.headers["etag"], "x-who": "province"}
    assert pages.get("/api/v1/ledgers/boilers/rows", headers=tag).status_code == 304
    assert pages.get("/api/v1/ledgers/boilers/rows?format=csv").text.startswith(
        '"_row","_key","_version","boiler_no"'
    )
    for path, status in (("rows?only=fuel", 422), ("rows?only=colour:red", 422), ("rows?cursor=xx", 422)):
        assert pages.get(f"/api/v1/ledgers/boilers/{path}").status_code == status, path
    assert pages.get("/api/v1/ledgers/nosuch/rows").status_code == 404
    assert pages.get("/api/v1/ledgers", headers={"x-who": "public"}).status_code in (401, 403)


def test_without_its_frames_a_ledger_is_as_before(space: Workspace) -> None:
    before = ledgers.frame(space, "boilers").rows
    for file in (space.home / "ledgers").glob("*.parquet"):
        file.unlink()
    frames._memory.__init__()  # type: ignore[misc]
    assert ledgers.frame(space, "boilers").rows.equals(before)
