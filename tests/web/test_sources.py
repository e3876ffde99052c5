"""Pages of sources: one enterprise with all its rows, what its ledgers disagree about, who may see and decide.

Sources: issue 4 ("disagreement is listed, never averaged away"), content/linkage/trust.yaml, the examples of the
ledgers, and for tonnes the inventory's own page of the same row.
"""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from starlette.requests import Request
from starlette.testclient import TestClient

from qinglan.access import Grant, Principal
from qinglan.core.errors import UsageError
from qinglan.flow import complaints, identities, ledgers
from qinglan.flow.views import inventory, source, sources
from qinglan.flow.workspace import Workspace, init
from qinglan.ledger.declare import load_ledger
from qinglan.plan.places import load_places
from qinglan.store.registry import events, verify_events
from qinglan.web import create_app

TODAY, NOW = date(2026, 1, 5), datetime(2026, 1, 5, 1, tzinfo=UTC)
ENTERPRISES, GRADES = load_ledger("air-enterprises"), load_ledger("performance-grades")
BOILER, OUTLET, STACK = (load_ledger(n).good[0] for n in ("boilers", "outlets", "stack-data"))
CODE = str(ENTERPRISES.good[0]["uscc"])
COUNTY = load_places().find(str(ENTERPRISES.good[0]["county"])).place
TOLD = str(ENTERPRISES.good[0]["grade"])
OTHER = next(g for g in GRADES.column("grade").codes if g != TOLD and g in ENTERPRISES.column("grade").codes)
NAMES = {str(r["uscc"]): str(r["name"]) for r in ENTERPRISES.good}
PEOPLE = {
    "province": Principal("sheng", "省厅", (Grant("province", "630000"),), via="session"),
    "haixi": Principal("haixi", "海西", (Grant("prefecture", "632800"),), via="session"),
    "county": Principal("xian", "县局", (Grant("county", COUNTY),), via="session"),
    "plant": Principal("chang", "厂", (Grant("enterprise", sources=(CODE,)),), via="session"),
    "public": Principal("", "", (Grant("public"),)),
}


def take(space: Workspace, name: str, *rows: dict[str, Any]) -> None:
    def text(value: object) -> str | None:
        return None if value is None else str(value).lower() if isinstance(value, bool) else str(value)

    columns = [c for c in load_ledger(name).schema if any(c in r for r in rows)]
    table = pl.DataFrame(
        [{c: text(r.get(c)) for c in columns} for r in rows], schema=dict.fromkeys(columns, pl.String)
    )
    report = ledgers.import_workbook(
        space, name, table.write_csv().encode(), name=f"{name}.csv", me=PEOPLE["province"], today=TODAY, now=NOW
    )
    assert report.aside == 0, report


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """One enterprise whose grade two ledgers tell differently, with a boiler, an outlet and two months of it."""
    made = init(tmp_path_factory.mktemp("sources") / "home")
    take(made, "air-enterprises", *(dict(r) for r in ENTERPRISES.good))
    of = {"uscc": CODE, "county": COUNTY, "enterprise": NAMES[CODE]}
    take(made, "performance-grades", {**GRADES.good[0], **of, "grade": OTHER})
    take(made, "boilers", {**BOILER, "uscc": CODE, "county": COUNTY})
    take(made, "outlets", {**OUTLET, **of, "outlet_no": "DA001", "permit_no": None, "so2_permit_t": 10})
    months = ({**STACK, **of, "outlet_no": "DA001", "month": m, "so2_kg": 1500} for m in ("2025-11", "2025-12"))
    take(made, "stack-data", *months)
    return made


@pytest.fixture(scope="module")
def pages(space: Workspace) -> TestClient:
    def identify(request: Request) -> Principal:
        return PEOPLE[request.headers.get("x-who", "province")]

    app = create_app(space, clock=lambda: NOW, identify=identify)
    return TestClient(app, base_url="http://127.0.0.1", follow_redirects=False)


def get(pages: TestClient, path: str, who: str = "province") -> str:
    answer = pages.get(path, headers={"x-who": who})
    assert answer.status_code == 200, (path, answer.status_code)
    return answer.text


def table(pages: TestClient, path: str, who: str = "province") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(get(pages, path, who).lstrip("\ufeff"))))


def test_each_enterprise_stands_once_and_to_those_who_may_see_its_rows(pages: TestClient) -> None:
    listed = table(pages, "/sources.csv?lang=en")
    assert sorted(r["Credit code"] for r in listed) == sorted(NAMES)
    mine = next(r for r in listed if r["Credit code"] == CODE)
    assert (mine["Rows"], mine["Conflicts"], mine["Undecided"]) == ("6", "1", "1")
    seen = {
        w: {r["Credit code"] for r in table(pages, "/sources.csv?lang=en", w)}
        for w in ("haixi", "plant", "county")
    }
    assert (seen["plant"], CODE in seen["haixi"], CODE in seen["county"]) == ({CODE}, False, True)
    assert pages.get(f"/sources/{CODE}", headers={"x-who": "haixi"}).status_code == 404
    assert pages.get("/sources", headers={"x-who": "public"}).status_code == 401
    assert NAMES[CODE] not in get(pages, "/sources/conflicts", "haixi")


def test_filters_find_who_is_known_to_a_ledger_and_who_is_not(pages: TestClient) -> None:
    def codes(query: str) -> set[str]:
        return {r["Credit code"] for r in table(pages, f"/sources.csv?lang=en&{query}")}

    assert codes("record=boilers") == codes("only=open") == codes(f"q={CODE.lower()}") == {CODE}
    assert codes("lacks=boilers") == set(NAMES) - {CODE}
    assert codes("lacks=air-enterprises") == set()
    assert (CODE in codes(f"place={COUNTY[:4]}00"), CODE in codes("place=632800")) == (True, False)
    assert codes(f"industry={ENTERPRISES.good[0]['industry']}") >= {CODE}


@pytest.mark.parametrize(
    ("path", "status"),
    [("/sources?only=x", 404), ("/sources?record=x", 404), ("/sources?page=0", 422), ("/sources.pdf", 404),
     ("/sources?year=99", 422), ("/sources/conflicts?fact=x", 404), ("/sources/conflicts?by=x", 404),
     ("/sources/conflicts?origin=x", 404), ("/sources/916301", 404), ("/sources?year=2050", 200)],
)  # fmt: skip
def test_a_wrong_question_gets_a_page_that_says_so(pages: TestClient, path: str, status: int) -> None:
    assert pages.get(path).status_code == status


def test_a_source_shows_who_says_what_with_its_rows(pages: TestClient, space: Workspace) -> None:
    text = get(pages, f"/sources/{CODE}?lang=en")
    numbers = dict(ledgers.frame(space, "performance-grades").rows.select("_key", "_row").iter_rows())
    assert f'/ledgers/performance-grades/rows/{next(iter(numbers.values()))}"' in text
    assert re.search(r"10 / <span[^>]*>3</span>", text), "permitted 10 t, monitored 2 x 1500 kg"
    assert "10 of 12 parts missing" in text
    assert "Decide</summary>" in text
    assert "Decide</summary>" not in get(pages, f"/sources/{CODE}?lang=en", "county")


def test_reports_of_the_public_near_a_source_stand_with_it_for_those_who_may_read_them(
    pages: TestClient, space: Workspace
) -> None:
    """One 0.005 degrees north (556 m on a sphere of 6371 km), one 0.02 (2.2 km), which is too far."""
    here = ledgers.frame(space, "air-enterprises").rows.filter(pl.col("uscc") == CODE)
    lon, lat = float(here["lon"][0]), float(here["lat"][0])
    for north in (0.005, 0.02):
        form = {"category": "smoke", "place": f"{COUNTY[:4]}00", "spot": f"北{north}",
                "text": "冒黑烟", "contact": "", "lon": str(lon), "lat": f"{lat + north:.6f}"}  # fmt: skip
        complaints.submit(space, form, None, once=str(north), language="zh", now=NOW)
    told = source.source(space, PEOPLE["province"], TODAY, NOW, CODE).reports
    assert [(r["spot"], round(r["meters"])) for r in told] == [("北0.005", 556)]
    assert told[0]["number"] in get(pages, f"/sources/{CODE}?reports")
    assert told[0]["number"] not in get(pages, f"/sources/{CODE}?reports", "plant")


def test_tonnes_of_a_source_are_those_of_its_rows_in_the_inventory(space: Workspace) -> None:
    one = source.source(space, PEOPLE["province"], TODAY, NOW, CODE)
    number = int(ledgers.frame(space, "boilers").rows["_row"][0])
    row = inventory.row(space, PEOPLE["province"], TODAY, "boilers", number)
    wanted = {e["species"]: e["emission_t"] for e in row["emissions"] if e["year"] == one.emission_year}
    assert {s: t for s, t in one.emitted[0]["tonnes"].items() if t is not None} == pytest.approx(wanted)
    assert wanted["so2"] > 0
    bare = next(c for c in NAMES if c != CODE)
    assert source.source(space, PEOPLE["province"], TODAY, NOW, bare).emitted == [], "nothing that could emit"
    assert source.source(space, PEOPLE["plant"], TODAY, NOW, CODE).emitted == [], "enterprises see no inventory"


def test_a_person_decides_with_a_reason_and_the_next_fusion_holds_to_it(
    pages: TestClient, space: Workspace
) -> None:
    def conflict() -> dict[str, str]:
        return table(pages, "/sources/conflicts.csv?lang=en&fact=grade")[0]

    assert (conflict()["Believed ledger"], conflict()["Decided by"]) == ("performance grades", "")
    page = f"/sources/{CODE}/decisions"
    form = {"fact": "grade", "origin": "air-enterprises", "reason": "复核后改判"}

    def post(who: str, **changed: str) -> int:
        token = re.search(r'name="csrf" value="([^"]+)"', get(pages, f"/sources/{CODE}", "province"))
        sent = {**form, **changed, "csrf": token[1] if token else ""}
        return pages.post(page, data=sent, headers={"x-who": who}).status_code

    assert (post("county"), post("plant")) == (403, 403)
    assert (post("haixi"), post("province", fact="colour"), post("province", reason=" ")) == (404, 404, 422)
    assert identities.decisions(space) == []
    assert post("province") == 303
    take(space, "air-enterprises", {**ENTERPRISES.good[1], "note": "改"})
    assert (conflict()["Believed ledger"], conflict()["Decided by"], conflict()["Why"]) == (
        "enterprises", "sheng", "复核后改判",
    )  # fmt: skip
    assert table(pages, "/sources/conflicts.csv?by=rule") == []
    assert [e["subject"] for e in events(space.registry, what=identities.DECIDED)] == [CODE]
    assert verify_events(space.registry).holds


def test_an_enterprise_that_only_another_ledger_names_is_a_source_too(space: Workspace, tmp_path: Path) -> None:
    """A boiler's owner that nobody entered among the enterprises: known to one ledger alone."""
    made = init(tmp_path / "home")
    take(made, "boilers", dict(BOILER))
    found = sources.found(made, PEOPLE["province"], 2026)
    rows = sources.chosen(
        found, {"q": "", "place": "", "industry": "", "record": "", "lacks": "", "only": "alone"}
    )
    assert rows.select("identity", "ledgers").rows() == [(BOILER["uscc"], ["boilers"])]


def test_a_row_whose_code_and_permit_differ_waits_for_a_person(tmp_path: Path) -> None:
    """An outlet under another's permit has no identity until a person says whose; corrected, it needs none."""
    other = str(ENTERPRISES.good[1]["uscc"])
    made = init(tmp_path / "home")
    take(made, "air-enterprises", *(dict(r) for r in ENTERPRISES.good))
    row = {**OUTLET, "uscc": CODE, "county": COUNTY, "enterprise": NAMES[CODE], "outlet_no": "DA007"}
    take(made, "outlets", {**row, "permit_no": f"{other}001P"})
    app = create_app(made, clock=lambda: NOW, identify=lambda r: PEOPLE[r.headers.get("x-who", "province")])
    pages = TestClient(app, base_url="http://127.0.0.1", follow_redirects=False)
    key = f"{CODE}|DA007"

    def members() -> list[tuple[str, str]]:
        fused = identities.held(made, PEOPLE["province"], 2025)
        return fused.members.filter(row_key=key).select("identity", "by").rows()

    assert (members(), identities.held(made, PEOPLE["province"], 2025).unmatched["reason"].to_list()) == (
        [], ["two_codes"],
    )  # fmt: skip
    text = get(pages, "/sources/conflicts?lang=en")
    assert "code and permit differ" in text
    form = {"origin": "permit-outlets", "row_key": key, "identity": CODE, "year": "2025", "reason": "母公司的证"}

    def post(who: str = "province", **changed: str) -> int:
        token = re.search(r'name="csrf" value="([^"]+)"', get(pages, "/sources/conflicts"))
        sent = {**form, **changed, "csrf": token[1] if token else ""}
        return pages.post("/sources/bindings", data=sent, headers={"x-who": who}).status_code

    assert [post("county"), post("haixi"), post(origin="boats"), post(row_key="x"), post(identity="91630100")] == [
        403, 404, 404, 404, 404,
    ]  # fmt: skip
    assert (post(reason=" "), members()) == (422, [])
    assert (post(), members()) == (303, [(CODE, "decision")])
    assert verify_events(made.registry).holds
    take(made, "outlets", {**row, "permit_no": f"{CODE}001P"})
    assert members() == [(CODE, "code")], "the row tells its identity itself now"
    with pytest.raises(UsageError, match="by its own code"):
        identities.bind(made, PEOPLE["province"], "permit-outlets", key, other, reason="x", now=NOW, year=2025)
