"""Pages of the forecaster's desk over a small office: they show what the flow says; a day's work done on them."""

from __future__ import annotations

import csv
import io
import runpy
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
from starlette.testclient import TestClient

from qinglan.access import DEMO, PUBLIC
from qinglan.core.clock import CST
from qinglan.flow.forecasts import desk
from qinglan.flow.views import desk as shown
from qinglan.flow.views import forecast as forecast_views
from qinglan.flow.views import upwind
from qinglan.flow.workspace import Workspace
from qinglan.web import create_app

made = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "flow" / "desk_home.py")))
TODAY, at = made.TODAY, made.at
YESTERDAY, D1 = TODAY - timedelta(days=1), TODAY + timedelta(days=1)
BULLETIN = "F630000-20260310"


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = made.NOW

    def __call__(self) -> Any:
        return self.now


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """An office that issued yesterday, 90–110 for Xining where the machine said 60–80, and 84 came."""
    home: Workspace = made.office(tmp_path_factory.mktemp("desk") / "home")
    before = at(16, day=YESTERDAY - timedelta(days=1))
    made.forecast(home.home, before)
    name = desk.begin(home, "630000", me=made.CLERK, at=before)
    desk.edit(
        home,
        name,
        "630100",
        YESTERDAY,
        desk.Edit(90, 110, primary="pm10", reason="沙尘"),
        me=made.CLERK,
        at=before,
    )
    for me, move in ((made.CLERK, "submit"), (made.CHIEF, "approve"), (made.CLERK, "issue")):
        desk.act(home, name, move, me=me, at=before)
    made.air(home, {("630100", YESTERDAY): (84, "pm2_5"), ("630200", YESTERDAY): (77, "pm10")})
    _hours(home)
    return home


def _hours(home: Workspace) -> None:
    """The newest hour of three places, and one that has not come yet; Haidong lies 98 km east of Xining."""
    folder = home.home / "results" / "drawn"
    known = {"630100": 91, "630200": 133, "632800": 40}
    hours = [
        {"station": None, "place": place, "time": time.astimezone(CST).replace(tzinfo=None) - timedelta(hours=8),
         "edition": "HJ 633-2026", "aqi": aqi, "aqi_state": "complete", "level": 2, "primary_pollutant": "pm10"}
        for time in (at(16), at(20)) for place, aqi in known.items()
    ]  # fmt: skip
    pl.DataFrame(hours).write_parquet(folder / "hourly_aqi.parquet")
    spots = {"630100": (101.7, 36.6), "630200": (102.8, 36.6), "632800": (97.4, 37.4)}
    stations = [
        {"station": f"S{p}", "name": p, "place": p, "county": None, "lon": lon, "lat": lat, "kind": "ambient",
         "control_point": False, "valid_from": YESTERDAY, "valid_to": None}
        for p, (lon, lat) in spots.items()
    ]  # fmt: skip
    pl.DataFrame(stations).write_parquet(folder / "stations.parquet")


@pytest.fixture(scope="module")
def pages(space: Workspace, clock: Clock) -> TestClient:
    people = {p.id: p for p in (made.CLERK, made.SECOND, made.CHIEF, made.XINING)}
    names = {"clerk": "王", "second": "李", "chief": "陈", "xining": "马"}
    app = create_app(
        space, clock=clock, identify=lambda r: people.get(names.get(r.headers.get("x-who", ""), ""), DEMO)
    )
    return TestClient(app, base_url="http://127.0.0.1", follow_redirects=False)


def get(pages: TestClient, path: str, who: str = "clerk") -> str:
    answer = pages.get(path, headers={"x-who": who})
    assert answer.status_code == 200, answer.text[:400]
    return answer.text


def post(pages: TestClient, path: str, who: str = "clerk", **data: Any) -> Any:
    return pages.post(path, data=data, headers={"x-who": who, "origin": "http://127.0.0.1"})


def test_the_desk_shows_proposal_errors_air_and_neighbours(pages: TestClient, space: Workspace) -> None:
    text = get(pages, "/desk?lang=en")
    assert "No bulletin is open" in text
    assert "Open the bulletin" in text
    assert "Open the bulletin" not in get(pages, "/desk?lang=en", "chief"), "a chief does not draft"
    assert "80–110" in text, "the machine's proposal"
    seen = shown.errors(space, shown.current(space), ["630100", "630200"], made.NOW)
    assert (seen["630100"]["machine"], seen["630100"]["office"]) == (70 - 84, 100 - 84)
    assert (seen["630200"]["machine"], seen["630200"]["office"]) == (70 - 77, 70 - 77)
    assert "−14" in text
    assert "+16" in text
    assert "No weather feed is joined" in text
    assert "no wind in the data" in text
    assert "Haidong" in text
    assert "133 / 77" in text, "the neighbour's newest hour and yesterday"
    assert ">91<" in text, "the hour of 16:00; that of 20:00 has not come"


def test_upwind_is_where_the_wind_comes_from(space: Workspace) -> None:
    """East wind: Haidong, due east of Xining, lies upwind and stands before what is nearer or farther."""
    result = shown.current(space)
    places = ["630100", "630200", "632800"]
    east = {"direction": 80.0, "point": "e", "speed": 3.0}
    rows = upwind.neighbours(result, "630100", places, east, {})
    assert [(r["place"], r["point"], r["upwind"]) for r in rows] == [("630200", "e", True), ("632800", "w", False)]
    west = upwind.neighbours(result, "630100", places, east | {"direction": 285.0}, {})
    assert [r["place"] for r in west] == ["632800", "630200"]
    assert not any(r["upwind"] for r in upwind.neighbours(result, "630100", places, None, {}))
    assert rows[0]["km"] == pytest.approx(98.2, abs=0.3), "1.1 degrees of longitude at 36.6 N"


def test_a_day_of_the_desk(pages: TestClient, clock: Clock, space: Workspace) -> None:
    clock.now = made.NOW
    assert post(pages, "/desk", place="630000").headers["location"].startswith("/desk?place=630000")
    cell = get(pages, f"/desk?lang=en&cell=630100.{D1}")
    assert 'name="low" value="80"' in cell.replace(' id="f-low"', "") or 'value="80"' in cell
    change = {
        "place": "630100",
        "day": D1,
        "low": 105,
        "high": 135,
        "primary": "pm2_5",
        "second": "pm10",
        "seen": 0,
    }
    wrong = post(pages, f"/desk/{BULLETIN}/edits", **change)
    assert wrong.status_code == 422 or wrong.status_code == 400
    assert "needs its reason" in wrong.text
    assert post(pages, f"/desk/{BULLETIN}/edits", reason="静稳", **change).status_code == 303
    late = post(pages, f"/desk/{BULLETIN}/edits", "second", reason="我也改", **(change | {"low": 90}))
    assert "was changed by 王 meanwhile" in late.text
    assert post(pages, f"/desk/{BULLETIN}/edits", "xining", reason="x", **change).status_code == 403
    text = get(pages, "/desk?lang=en")
    assert "105–135" in text
    assert "m 80–110" in text, "the machine's value beside"
    assert post(pages, f"/desk/{BULLETIN}/moves", move="consult").status_code == 303
    assert post(pages, f"/desk/{BULLETIN}/moves", "xining", move="comment", reason="逆温").status_code == 303
    text = get(pages, "/desk?lang=zh")
    assert "逆温" in text
    assert "未发言 海东市" in " ".join(text.split()), "the other prefecture of this bulletin"
    assert post(pages, f"/desk/{BULLETIN}/moves", move="submit").status_code == 303
    refused = post(pages, f"/desk/{BULLETIN}/moves", move="approve")
    assert refused.status_code == 403
    assert post(pages, f"/desk/{BULLETIN}/moves", "chief", move="approve", seen="0.0").status_code != 303
    assert post(pages, f"/desk/{BULLETIN}/moves", "chief", move="approve").status_code == 303
    clock.now = at(20, 12)
    assert "12 minutes overdue" in get(pages, "/desk?lang=en")
    assert shown.late(space, clock.now) == [BULLETIN], "and stands on the page of today"
    assert post(pages, f"/desk/{BULLETIN}/moves", move="issue").status_code == 303
    assert shown.late(space, clock.now) == []
    assert "issued 12 minutes late" in get(pages, f"/desk/{BULLETIN}?lang=en")
    text = pages.get(f"/desk/{BULLETIN}/1.txt?lang=zh", headers={"x-who": "clerk"})
    assert "AQI 105–135" in text.text
    assert 'filename="F630000-20260310-1-zh.txt"' in text.headers["content-disposition"]
    assert "issued</span>" in get(pages, "/forecast?lang=en"), "what is issued stands beside the machine's"


def test_everybody_begins_at_his_own_desk(pages: TestClient) -> None:
    assert "Xining: the forecast" in get(pages, "/desk?lang=en", "xining")
    assert "Qinghai: the forecast" in get(pages, "/desk?lang=en", "clerk")


def test_the_table_is_a_file_with_the_machine_beside(pages: TestClient, space: Workspace) -> None:
    name = desk.identity("630000", YESTERDAY - timedelta(days=1))
    rows = list(csv.DictReader(io.StringIO(get(pages, f"/desk/{name}/table.csv?lang=en").lstrip("\ufeff"))))
    first = next(r for r in rows if r["Place"] == "630100")
    assert (first["AQI from"], first["machine: AQI from"], first["Reason of the edit"]) == ("90", "60", "沙尘")
    assert pages.get(f"/desk/{name}/table.xlsx", headers={"x-who": "clerk"}).status_code == 200
    assert pages.get(f"/desk/{name}/table.pdf", headers={"x-who": "clerk"}).status_code == 404


def test_office_and_machine_stand_apart_on_the_page_of_verification(pages: TestClient) -> None:
    """Xining 90–110 (100) against 60–80 (70), came 84; Haidong 70 unedited, came 77: MAE 11.5 and 10.5."""
    text = get(pages, "/forecast/verification?lang=en")
    assert "Office and machine, apart" in text
    rows = file(pages, "office")
    assert [(r["Who"], float(r["MAE"])) for r in rows] == [("office", 11.5), ("machine", 10.5)]
    assert (rows[0]["Edited"], rows[0]["Nearer"], rows[0]["Farther"]) == ("1", "0", "1")


def test_wrong_addresses_are_answered(pages: TestClient) -> None:
    for path in ("/desk?place=999999", "/desk?day=2026-13-01", "/desk/F1", f"/desk/{BULLETIN}/9.txt",
                 f"/desk/{BULLETIN}/1.pdf"):  # fmt: skip
        assert pages.get(path, headers={"x-who": "clerk"}).status_code in (404, 422), path
    assert "says nothing of 630000 after" not in get(pages, f"/desk?cell=x.y&day={TODAY}")
    assert post(pages, f"/desk/{BULLETIN}/edits", place="630100", day="soon", reason="x").status_code in (400, 422)
    assert pages.post("/desk", data={"place": "630000"}).status_code in (401, 403), "a visitor opens nothing"


def test_a_visitor_sees_and_cannot_act(pages: TestClient) -> None:
    text = pages.get("/desk?lang=en").text
    assert "Places and days" in text
    assert '<form class="line" method="post" action="/desk' not in text


def test_the_public_sees_what_is_issued_and_nothing_before(space: Workspace, tmp_path: Path) -> None:
    """A day after the issue, the days from then on; an unissued edit is never shown."""
    app = create_app(space, clock=lambda: at(9), identify=lambda r: PUBLIC)
    text = TestClient(app, base_url="http://127.0.0.1").get("/public?lang=en").text
    told = text[text.index('id="forecast"') :]
    assert "60–80" in told, "of the bulletin of the 8th, for the 10th on"
    assert "90–110" not in told, "that was said of yesterday"
    assert "105–135" not in told, "what the 10th's bulletin says is issued at 20:12"
    assert "03-10" in told
    assert "last issued 2026-03-08 16:00" in told


def file(pages: TestClient, of: str) -> list[dict[str, str]]:
    text = get(pages, f"/forecast/verification.csv?of={of}&lang=en")
    return list(csv.DictReader(io.StringIO(text.lstrip("\ufeff"))))


def test_probabilities_are_scored_on_the_page(pages: TestClient) -> None:
    """The machine gave exceeding 100 no chance, and nothing exceeded: Brier 0, and no skill to speak of."""
    (row,) = [r for r in file(pages, "brier") if r["Above 100"] == "0"][:1]
    assert (float(row["Brier (>100)"]), row["Brier skill (>100)"]) == (0.0, "")
    assert {r["Class (0: 0–10 %)"] for r in file(pages, "reliability")} == {"0"}
    chart = pages.get("/forecast/verification/reliability.json?lang=en", headers={"x-who": "clerk"}).json()
    assert [s["name"] for s in chart["series"]] == ["as often as said", "AQI>100", "AQI>150", "AQI>200"]
    assert chart["series"][1]["data"][0] == 0.0
    assert chart["series"][0]["data"][9] == 95


def test_a_target_says_its_chance_with_the_forecast(office_home: Path) -> None:
    """Beside the budget of the verdict; how it was made stands on the target's own page."""
    row = {"probability": 0.62, "without": 0.71, "days": 10, "value": 20.9, "low": 20.1, "high": 21.8,
           "forecast": "f1",
           "basis": {"zh": "同期", "en": "same days of 2023-2024, of 10 days forecast f1"}}  # fmt: skip
    app = create_app(office_home, clock=lambda: made.NOW, identify=lambda r: DEMO)
    office = TestClient(app, base_url="http://127.0.0.1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forecast_views, "chances", lambda workspace: {"pm2_5-2025": row})
        text = office.get("/making/target/pm2_5-2025?lang=en").text
    assert "62 %" in text
    assert "of 10 days forecast f1" in text


def _issue(space: Workspace) -> None:
    """Today's bulletin is out with 105–135 for Xining, by the day of the desk above or by itself."""
    name = desk.begin(space, "630000", me=made.CLERK, at=made.NOW)
    if desk.one(space, name)["state"] != "issued":
        change = desk.Edit(105, 135, primary="pm2_5", reason="静稳")
        desk.edit(space, name, "630100", D1, change, me=made.CLERK, at=made.NOW)
        for me, move in ((made.CLERK, "submit"), (made.CHIEF, "approve"), (made.CLERK, "issue")):
            desk.act(space, name, move, me=me, at=made.NOW)


def test_a_place_shows_what_is_issued_of_it(pages: TestClient, clock: Clock, space: Workspace) -> None:
    """After the issue of 20:12: on the page of the forecast beside the machine's range, and on the public page."""
    _issue(space)
    clock.now = at(21)
    text = get(pages, "/forecast/630100?lang=en")
    assert "105–135" in text
    assert "80–110" in text
    assert f'href="/desk/{BULLETIN}"' in text
    app = create_app(space, clock=lambda: at(21), identify=lambda r: PUBLIC)
    public = TestClient(app, base_url="http://127.0.0.1")
    assert "105–135" in public.get("/public/places/630100?lang=en").text
    assert "105–135" not in public.get("/public/places/630200?lang=en").text
