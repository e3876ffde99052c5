"""Pages of the emergency list and of grades: what holds, what is wrong, the completion accepted, who sees what.

Sources: tests/flow/small_list.py (five enterprises counted by hand), flow.emergency itself for the same numbers,
content/access/permissions.yaml, the short-board rule (环办大气〔2026〕2号) for the grades that are planted.
"""

from __future__ import annotations

import csv
import io
import re
import runpy
import shutil
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from starlette.requests import Request
from starlette.testclient import TestClient

from qinglan.access import Grant, Principal
from qinglan.flow import emergency, ledgers
from qinglan.flow.workspace import Workspace, init, open_workspace
from qinglan.web import create_app

#: An optimisation stands behind most pages.
pytestmark = pytest.mark.slow

small = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "flow" / "small_list.py")))
BRICK, CEMENT, GLASS, HEAT, LIME, NOW, TODAY = (
    small.BRICK, small.CEMENT, small.GLASS, small.HEAT, small.LIME, small.NOW, small.TODAY
)  # fmt: skip
PEOPLE = {
    "province": Principal("sheng", "省厅", (Grant("province", "630000"),), via="session"),
    "haixi": Principal("haixi", "海西", (Grant("prefecture", "632800"),), via="session"),
    "plant": Principal("chang", "试水泥", (Grant("enterprise", sources=(CEMENT,)),), via="session"),
    "public": Principal("", "", (Grant("public"),)),
}


def identify(request: Request) -> Principal:
    return PEOPLE[request.headers.get("x-who", "province")]


def client(space: Workspace) -> TestClient:
    app = create_app(space, clock=lambda: NOW, identify=identify)
    return TestClient(app, base_url="http://127.0.0.1", follow_redirects=False)


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    made: Workspace = small.small_list(tmp_path_factory.mktemp("emergency") / "home")
    seven = dict.fromkeys(
        ("equipment", "control", "limits", "fugitive", "monitoring", "management", "transport"), "A"
    )
    small.take(
        made, "performance-grades",
        small.assessed(GLASS, "试玻璃", "glass", "A", **seven | {"transport": "B"}, valid_to="2026-02-01"),
    )  # fmt: skip
    return made


@pytest.fixture(scope="module")
def pages(space: Workspace) -> TestClient:
    return client(space)


def table(pages: TestClient, path: str, who: str = "province", lang: str = "zh") -> list[dict[str, str]]:
    pages.cookies.clear()
    answer = pages.get(f"{path}{'&' if '?' in path else '?'}lang={lang}", headers={"x-who": who})
    assert answer.status_code == 200, path
    return list(csv.DictReader(io.StringIO(answer.text.lstrip("\ufeff"))))


@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize(
    "path",
    [
        "/emergency-list",
        "/emergency-list/lines",
        "/emergency-list/complete",
        f"/emergency-list/{BRICK}",
        "/grades",
    ],
)
def test_every_page_answers(pages: TestClient, path: str, lang: str) -> None:
    answer = pages.get(f"{path}?lang={lang}")
    assert answer.status_code == 200, answer.text[-2000:]
    assert not re.search(
        r"\b(emergency|grades)(_[a-z]+)?\.[a-z]", re.sub(r'(href|action)="[^"]*"', "", answer.text)
    )


def test_the_first_page_says_what_the_check_says(space: Workspace, pages: TestClient) -> None:
    found = emergency.check(space, TODAY)
    short = found.needs.filter(~found.needs["holds"]).height
    page = pages.get("/emergency-list?lang=en").text
    assert f"{short} of {found.needs.height} requirements are not met" in page
    assert short == 12
    sheet = table(pages, "/emergency-list/needs.csv", lang="en")
    assert [float(r["Credible [t/d]"]) for r in sheet] == pytest.approx(found.needs["credible_t"].to_list())
    told = table(pages, "/emergency-list/findings.csv", lang="en")
    assert len(told) == found.findings.height
    ramp = table(pages, "/emergency-list/findings.csv?check=ramp", lang="en")
    assert {(r["Enterprise"], r["Level"]) for r in ramp} == {("试砖瓦", "orange"), ("试砖瓦", "red")}
    assert f'href="/emergency-list/{LIME}?year=2025"' in pages.get("/emergency-list?check=coverage").text
    assert pages.get("/emergency-list?check=colour").status_code == 404


def test_lines_are_narrowed_and_exported_whole(space: Workspace, pages: TestClient) -> None:
    assert [r["企业名称"] for r in table(pages, "/emergency-list/lines.csv?sector=brick")] == ["试砖瓦"]
    assert [r["企业名称"] for r in table(pages, "/emergency-list/lines.csv?q=l-001")] == ["试水泥"]
    assert table(pages, "/emergency-list/lines.csv?place=632800") == []
    assert len(table(pages, "/emergency-list/lines.csv?only=finding")) >= 1
    row = table(pages, "/emergency-list/lines.csv?q=试砖瓦")[0]
    assert (row["红色预警措施"], row["红色预警减排比例 [%]"], row["停产需要时间 [h]"]) == (
        "全部停产",
        "100.0",
        "72.0",
    )
    assert pages.get("/emergency-list/lines.xlsx").content[:2] == b"PK"
    assert "试砖瓦" not in pages.get("/emergency-list/lines?sector=cement").text


def test_a_plant_has_its_measures_and_its_sheet(pages: TestClient) -> None:
    page = pages.get(f"/emergency-list/{BRICK}?lang=en").text
    assert "72 h to stop" in page
    assert "no monitoring point in the ledgers" in page
    assert "DA001" in pages.get(f"/emergency-list/{CEMENT}").text
    assert "sheet.docx" not in pages.get(f"/emergency-list/{LIME}").text, "nothing of it is listed"
    assert pages.get(f"/emergency-list/{LIME}/sheet.docx").status_code == 404
    assert pages.get("/emergency-list/nobody").status_code == 404
    for lang, said in (("zh", "停产需72小时，首日最多减排50.0%"), ("en", "at most 50.0 % on the first day")):
        answer = pages.get(f"/emergency-list/{BRICK}/sheet.docx?lang={lang}")
        text = re.sub(
            r"<[^>]+>", "", zipfile.ZipFile(io.BytesIO(answer.content)).read("word/document.xml").decode()
        )
        assert said in text
        assert "试砖瓦" in text
        assert answer.content == pages.get(f"/emergency-list/{BRICK}/sheet.docx?lang={lang}").content
    assert pages.get(f"/emergency-list/{BRICK}/sheet.odt").status_code == 404


def test_grades_mark_the_short_board_what_ends_and_what_the_list_says_otherwise(pages: TestClient) -> None:
    """Glass: grade A with transport B, ending in 27 days; lime: ended, so it has no grade."""
    rows = {r["企业名称"]: r for r in table(pages, "/grades.csv")}
    assert (rows["试玻璃"]["短板指标"], rows["试玻璃"]["最低指标等级"]) == ("运输方式", "B级")
    assert [r["企业名称"] for r in table(pages, "/grades.csv?only=above")] == ["试玻璃"]
    assert [r["企业名称"] for r in table(pages, "/grades.csv?only=ending")] == ["试玻璃"]
    assert [r["企业名称"] for r in table(pages, "/grades.csv?only=expired")] == ["试石灰"]
    assert table(pages, "/grades.csv?only=differs") == []
    assert rows["试石灰"]["企业有效等级"] == "未评级"
    assert "▾" in pages.get("/grades?only=above").text
    assert pages.get("/grades?only=colour").status_code == 404


def test_who_sees_what(pages: TestClient) -> None:
    mine = pages.get("/emergency-list/lines", headers={"x-who": "plant"}).text
    assert "试水泥" in mine
    assert "试玻璃" not in mine
    overview = pages.get("/emergency-list", headers={"x-who": "plant"}).text
    assert 'id="needs"' not in overview, "sums of the whole list are told to offices"
    assert table(pages, "/emergency-list/needs.csv", "plant") == []
    assert {r["企业"] for r in table(pages, "/emergency-list/findings.csv", "plant")} <= {"试水泥"}
    assert pages.get(f"/emergency-list/{GLASS}", headers={"x-who": "plant"}).status_code == 404
    assert pages.get(f"/emergency-list/{GLASS}/sheet.docx", headers={"x-who": "plant"}).status_code == 404
    assert pages.get(f"/emergency-list/{CEMENT}/sheet.docx", headers={"x-who": "plant"}).status_code == 200
    assert {r["企业名称"] for r in table(pages, "/grades.csv", "plant")} == {"试水泥"}
    offer = pages.get("/emergency-list/complete", headers={"x-who": "plant"}).text
    assert 'name="digest"' not in offer
    assert "试石灰" not in offer
    assert pages.post("/emergency-list/complete", headers={"x-who": "plant"}).status_code == 403
    assert table(pages, "/emergency-list/lines.csv", "haixi") == []
    assert pages.get("/emergency-list", headers={"x-who": "public"}).status_code in (303, 401, 403)


def test_a_completion_is_accepted_in_part_then_whole(space: Workspace, tmp_path: Path) -> None:
    own = open_workspace(Path(shutil.copytree(space.home, tmp_path / "home")))
    pages = client(own)
    found = emergency.propose(own, TODAY)
    page = pages.get("/emergency-list/complete?lang=en").text
    assert f'value="{found.digest}"' in page
    assert page.count('name="key"') == found.changes.height
    assert 'name="csrf"' in page
    base = {"digest": found.digest, "year": "2025", "act": "chosen"}
    key = f"{HEAT}|GL-001|2025"
    for form, said in (
        (base | {"reason": "r"}, "No row is chosen"),
        (base | {"reason": " ", "key": key}, "reason"),
        (base | {"reason": "r", "key": key, "digest": "0" * 16}, "have changed since"),
    ):
        answer = pages.post("/emergency-list/complete?lang=en", data=form)
        assert (answer.status_code, said in answer.text) == (422, True), said
    pages.cookies.clear()
    done = pages.post("/emergency-list/complete", data=base | {"reason": "年度补足", "key": key})
    assert (done.status_code, done.headers["location"]) == (303, "/emergency-list/complete?done=1&year=2025")
    assert "已写入1行" in pages.get(done.headers["location"]).text
    number = ledgers.number_of(own, "emergency-list", key)
    assert ledgers.history(own, "emergency-list", number, me=PEOPLE["province"])[0]["reason"] == "年度补足"
    after = emergency.propose(own, TODAY)
    assert after.changes.height == found.changes.height - 1
    whole = base | {"act": "all", "digest": after.digest, "reason": "年度补足"}
    assert (
        pages.post("/emergency-list/complete", data=whole)
        .headers["location"]
        .startswith(f"/emergency-list/complete?done={after.changes.height}")
    )
    assert "清单无需改动" in pages.get("/emergency-list/complete").text


def test_a_list_that_is_not_there_is_built_from_the_ledgers(tmp_path: Path) -> None:
    made = init(tmp_path / "home")
    small.take(made, "boilers", {"boiler_no": "GL-001", "uscc": HEAT, "county": "630106"})
    pages = client(made)
    assert "GL-001" in pages.get("/emergency-list/complete.csv").text
    assert f"/emergency-list/{HEAT}?year=2026" in pages.get("/emergency-list").text
    assert f"/emergency-list/{HEAT}?year=2026" in pages.get("/emergency-list/complete").text
    assert pages.get(f"/emergency-list/{HEAT}?year=2026").status_code == 200


def test_without_rows_the_pages_say_what_to_do(tmp_path: Path) -> None:
    pages = client(init(tmp_path / "home"))
    for path in ("/emergency-list", "/emergency-list/lines", "/emergency-list/complete", "/grades"):
        assert pages.get(path).status_code == 200, path
    assert 'href="/ledgers/emergency-list/import"' in pages.get("/emergency-list").text
    assert pages.get("/emergency-list/lines.csv").status_code in (400, 422)
