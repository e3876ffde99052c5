"""The station and place pages over a small lake whose numbers are known by hand."""

from __future__ import annotations

import io
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import openpyxl
import pyarrow as pa
import pytest
from starlette.testclient import TestClient
from tests.web.conftest import NOW, RUN_ID, fabricate
from tests.web.test_pages import read

from qinglan.access import DEMO
from qinglan.core.clock import day_and_hour, from_day_and_hour
from qinglan.core.names import HOURLY_ITEMS
from qinglan.flow.views import city
from qinglan.flow.workspace import Settings, Workspace, init
from qinglan.store import runs
from qinglan.web import create_app

FIRST, LAST = date(2025, 11, 1), date(2025, 12, 31)
SET_ASIDE = from_day_and_hour(date(2025, 12, 30), 5)
ZONED = pa.timestamp("us", "UTC")


def hours() -> list[dict]:
    """Every hour of two months: PM2.5 is the hour's label, PM10 the weekday (Monday 1), the rest is ten."""
    made, time = [], from_day_and_hour(FIRST, 1)
    while time <= from_day_and_hour(LAST, 24):
        day, hour = day_and_hour(time)
        row = dict.fromkeys(HOURLY_ITEMS, 10.0)
        row |= {"station": "1480A", "time": time, "pm2_5": float(hour), "pm10": float(day.isoweekday())}
        made.append(row)
        time += timedelta(hours=1)
    return made


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A real workspace: one station with hours, a flag and wind from the east; the rest as in every page test."""
    made = init(tmp_path_factory.mktemp("station") / "home", Settings(simulated=True))
    fabricate(made.home)
    sent = hours()
    for row in sent:
        day, hour = day_and_hour(row["time"])
        row |= {"day": day, "hour": hour}
        if row["time"] == SET_ASIDE:
            row["pm10"] = 999.0
    made.lake.upsert("hours", pa.Table.from_pylist(sent), "load-1")
    checked = []
    for row in sent:
        kept = {**row, **{f"{item}_state": "valid" for item in HOURLY_ITEMS}}
        if row["time"] == SET_ASIDE:
            kept |= {"pm10": None, "pm10_state": "invalid"}
        checked.append(kept)
    made.lake.write_derived("checked", pa.Table.from_pylist(checked))
    flag = {"station": "1480A", "time": SET_ASIDE, "item": "pm10", "rule": "spike", "state": "invalid",
            "detail": "2 → 999 → 2"}  # fmt: skip
    made.lake.write_derived("flags", pa.Table.from_pylist([flag]))
    wind = [{"station": "1480A", "time": r["time"], "day": r["day"], "hour": r["hour"], "wind_speed": 3.0,
             "wind_direction": 93.0} for r in sent]  # fmt: skip
    made.lake.upsert("weather", pa.Table.from_pylist(wind), "load-2")
    runs.record_run(made.registry, RUN_ID, "run", {}, who="test")
    return made


@pytest.fixture(scope="module")
def station(workspace: Workspace) -> TestClient:
    """The console over it."""
    made = create_app(workspace.home, clock=lambda: NOW, identify=lambda request: DEMO)
    return TestClient(made, base_url="http://127.0.0.1")


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize(
    "path",
    ["/stations/1480A", "/stations/1480A?span=all&item=pm10&step=hour", "/stations/1480A?span=2025",
     "/stations/1480A/series", "/stations/1480A/flags?span=all", "/stations/1480A/wind", "/stations/1481A",
     "/places", "/places/630100?whole=true&item=mda8", "/places/630100/series?year=2025",
     "/places/630100/capture?year=2025", "/places/630100/change?year=2025"],
)  # fmt: skip
def test_page_is_whole(station: TestClient, path: str, language: str) -> None:
    answer = station.get(path, headers={"cookie": f"qinglan_lang={language}"})
    assert answer.status_code == 200
    page = read(answer.text)
    assert page.faults == []
    assert "None" not in "".join(page.text)
    assert not re.search(r"\bnan\b", "".join(page.text))


def test_patterns_by_hand(station: TestClient) -> None:
    """PM2.5 equals the label, so its hours are 1 to 24 with no spread; PM10 equals the weekday."""
    option = station.get("/stations/1480A/hour.json?span=all&item=pm2_5").json()
    low, width, mean = (line["data"] for line in option["series"])
    assert mean == [float(h) for h in range(1, 25)]
    assert low == mean
    assert set(width) == {0.0}
    weekday = station.get("/stations/1480A/weekday.json?span=all&item=pm10").json()
    assert weekday["series"][2]["data"] == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
    week = station.get("/stations/1480A/week.json?span=30d&item=pm2_5").json()
    assert [23, 6, 24.0] in week["series"][0]["data"], "hour 24 of a Sunday"


def test_the_series_keeps_its_clock_and_marks_what_was_set_aside(station: TestClient) -> None:
    """The hour ends at 05:00 of 30 December on the wall; the reported 999 stays to be seen, the line breaks."""
    option = station.get("/stations/1480A/series.json?span=7d").json()
    source = option["dataset"]["source"]
    assert len(source["t"]) == 7 * 24
    wall = round(datetime(2025, 12, 30, 5, tzinfo=UTC).timestamp() * 1000)
    assert source["pm10"][source["t"].index(wall)] is None
    marks = [s for s in option["series"] if s["type"] == "scatter"]
    assert [mark["data"] for mark in marks] == [[[wall, 999.0]]]
    assert option["useUTC"] is True, "wall time is drawn as written, in any browser's zone"


def test_the_same_numbers_as_table_csv_and_xlsx(station: TestClient) -> None:
    heads = {"cookie": "qinglan_lang=en"}
    csv = station.get("/stations/1480A/hour.csv?span=all&item=pm2_5", headers=heads).content.decode("utf-8-sig")
    rows = [line.split(",") for line in csv.strip().split("\r\n")]
    assert rows[1][:3] == ["1", "61", "1.0"], "61 days, label 1, mean 1"
    book = openpyxl.load_workbook(
        io.BytesIO(station.get("/stations/1480A/hour.xlsx?span=all&item=pm2_5", headers=heads).content)
    )
    cells = [[str(c) for c in row] for row in book.active.iter_rows(min_row=2, values_only=True)]
    assert [float(row[2]) for row in cells] == [float(row[2]) for row in rows[1:]]
    page = station.get("/stations/1480A/hour?span=all&item=pm2_5", headers=heads).text
    assert page.count("<tr>") == 1 + 24 + page.split('id="making"')[1].count("<tr>")


def test_statistics_and_capture_by_hand(station: TestClient) -> None:
    """61 days of 24 hours; PM10 lacks the one hour; the maximum of PM2.5 is the last hour of the first day."""
    csv = station.get("/stations/1480A/statistics.csv?span=all").content.decode("utf-8-sig")
    rows = {line.split(",")[0]: line.split(",") for line in csv.strip().split("\r\n")}
    assert rows["PM₂.₅"][2:] == ["1464", "100.0", "12.5", "12.5", "23.0", "24.0", "24.0", "2025-11-01 24:00"]
    assert rows["PM₁₀"][2:4] == ["1463", "99.9"]
    csv = station.get("/stations/1480A/capture.csv?span=2025").content.decode("utf-8-sig")
    months = [line.split(",") for line in csv.strip().split("\r\n")]
    assert months[11][1:] == ["100.0"] * 6
    assert months[12][5] == "99.9", "743 of 744 hours of PM10 in December"
    assert months[1][1:] == ["0.0"] * 6


def test_the_wind_blows_from_the_east(station: TestClient) -> None:
    option = station.get("/stations/1480A/wind.json?span=30d").json()
    shares = {ring["name"]: ring["data"] for ring in option["series"]}
    assert shares["2–4 m/s"] == [0.0] * 4 + [100.0] + [0.0] * 11
    assert sum(map(sum, shares.values())) == 100


def test_flags_lead_to_the_review(station: TestClient) -> None:
    page = station.get("/stations/1480A?span=30d").text
    assert 'href="/review/1480A/2025-12-30"' in page
    assert "2 → 999 → 2" in page
    assert 'href="/making/hours/1480A/' in page


def test_a_station_without_hours_says_so(station: TestClient, client: TestClient) -> None:
    assert "没有该站的小时值" in station.get("/stations/1481A").text
    assert "没有该站的小时值" in client.get("/stations/1480A").text, "a bare folder of results has no hours"
    assert station.get("/stations/1481A/series.json").status_code == 404


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/stations/1480A?span=1999", "1999"),
        ("/stations/1480A?item=gold", "gold"),
        ("/stations/1480A?step=minute", "minute"),
        ("/stations/1480A/soup.json", "soup"),
        ("/stations/1480A/flags.json", "flags.json"),
        ("/stations/1480A/series.pdf", "pdf"),
        ("/stations/1480A/series?page=99", "99"),
        ("/places/630100/soup", "soup"),
        ("/places/630100/series?dust=maybe", "maybe"),
    ],
)
def test_wrong_addresses_are_named(station: TestClient, path: str, says: str) -> None:
    answer = station.get(path)
    assert answer.status_code == 404
    assert says in answer.text


def test_a_place_beside_its_year_before(station: TestClient) -> None:
    """The fixture evaluates 2025 and no whole 2024: what is missing stays missing."""
    csv = station.get("/places/630100/change.csv?year=2025").content.decode("utf-8-sig").split("\r\n")
    assert len(csv) == 1 + 6 + 1
    assert all(line.split(",")[3] == "" and line.split(",")[5] == "" for line in csv[1:7])
    assert all(float(line.split(",")[4]) > 0 for line in csv[1:7])


def test_dust_days_are_shaded(station: TestClient, workspace: Workspace) -> None:
    import pyarrow.parquet as pq

    folder = Path(workspace.home) / "results" / RUN_ID
    days = pq.read_table(folder / "dust_days.parquet").to_pylist()
    own = [row for row in days if row["place"] == "630100" and row["day"].year == 2025]
    option = station.get("/places/630100/series.json?year=2025").json()
    assert len(option["series"][0].get("markArea", {"data": []})["data"]) == len(own)


def test_an_unchanged_chart_is_not_sent_again(station: TestClient) -> None:
    first = station.get("/stations/1480A/series.json?span=7d")
    again = station.get("/stations/1480A/series.json?span=7d", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_place_has_the_patterns_and_roses_of_its_counted_stations(
    station: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HJ 663 city evaluation: of fewer than four points half must have a value. The wind blows from 93 degrees."""
    address = "/places/630100/hour.json?year=2025&item=pm2_5"
    assert set(station.get(address).json()["series"][2]["data"]) == {None}  # one of three reports
    whole = city.counted
    monkeypatch.setattr(city, "counted", lambda result, code: whole(result, code)[:2])
    city._kept.cache_clear()
    option = station.get(f"{address}&lang=en").json()  # one of two
    assert option["series"][2]["data"] == [float(h) for h in range(1, 25)]
    rows = station.get("/places/630100/wind.csv?year=2025&lang=en").text.splitlines()
    east = next(row for row in rows if ",90.0," in row).split(",")
    assert float(east[3]) + float(east[4]) == 100.0
    rose = station.get("/places/630100/pollution.csv?year=2025&item=mda8&lang=en").text
    assert "µg/m³" in rose.splitlines()[0]
    page = station.get("/places/630100?year=2025&lang=en").text
    assert "Wind of 1480A" in page
    assert station.get("/places/630200/hour.json?year=2025").status_code == 404  # no hours of it
    assert 'id="roses"' not in station.get("/places/630200?year=2025").text
    city._kept.cache_clear()
